"""How far may a share or a rate lie from what was counted?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

Floats = NDArray[np.float64]


def share_interval(successes: ArrayLike, trials: ArrayLike, *, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """How far may a share lie from what was counted? Wilson's score interval; (nan, nan) for no trials.

    Source: Wilson 1927; Brown, Cai and DasGupta 2001, section 3.1.1.

    >>> low, high = share_interval(9, 10)
    >>> round(float(low), 3), round(float(high), 3)
    (0.596, 0.982)
    """
    k, n = np.asarray(successes, dtype=float), np.asarray(trials, dtype=float)
    z = stats.norm.ppf(0.5 + confidence / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = k / n
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)


def chance_range(share: float, trials: ArrayLike, *, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Where would shares counted in so many trials lie if all had this one chance? Binomial quantiles.

    >>> low, high = chance_range(0.5, 100)
    >>> float(low), float(high)
    (0.4, 0.6)
    """
    n = np.asarray(trials, dtype=float)
    low, high = stats.binom.interval(confidence, n, share)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.clip(low / n, 0, 1), np.clip(high / n, 0, 1)


def rate_interval(events: ArrayLike, exposure: ArrayLike, *, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """How far may a rate of independent events lie from events / exposure? Garwood's exact Poisson interval.

    Source: Garwood 1936. In events per unit of exposure.

    >>> low, high = rate_interval(0, 1)
    >>> float(low), round(float(high), 2)
    (0.0, 3.69)
    """
    k, e = np.asarray(events, dtype=float), np.asarray(exposure, dtype=float)
    tail = (1 - confidence) / 2
    low = np.where(k > 0, stats.chi2.ppf(tail, 2 * np.maximum(k, 1e-9)) / 2, 0.0)
    return low / e, stats.chi2.ppf(1 - tail, 2 * k + 2) / 2 / e


def rate_ratio(
    now: Floats,
    then: Floats,
    *,
    exposed: tuple[float, float],
    scatter: Floats,
    freedom: Floats,
    comparisons: int = 1,
) -> tuple[Floats, Floats, Floats, Floats]:
    """How many times as often now as then? The ratio of two rates, its 95 % interval and a two-sided p.

    Given their sum, recent counts are binomial: exact for Poisson counts (`scatter` 1). Counts that scatter more are
    divided by their scatter; since that is an estimate worth `freedom` degrees, Student's t takes the place of the
    normal. The intervals of so many `comparisons` hold all at once (Bonferroni); p is of each alone.
    Source: Przyborowski and Wilenski 1940; McCullagh and Nelder 1989, section 6.2.3.

    >>> one = np.ones(1)
    >>> ratio, low, high, p = rate_ratio(18 * one, 30 * one, exposed=(8, 52), scatter=one, freedom=51 * one)
    >>> [round(float(value[0]), 2) for value in (ratio, low, high)]
    [3.9, 2.05, 7.23]
    """
    odds = exposed[0] / exposed[1]
    null = exposed[0] / (exposed[0] + exposed[1])
    some = 1e-12  # stands for no event, whose end of the interval and whose tail are known

    def ends(share: float, wider: Floats) -> tuple[Floats, Floats]:
        one, other = now / (scatter * wider), then / (scatter * wider)
        low = np.where(now > 0, stats.beta.ppf(share, np.maximum(one, some), other + 1), 0.0)
        return low, np.where(then > 0, stats.beta.isf(share, one + 1, np.maximum(other, some)), 1.0)

    one, other = now / scatter, then / scatter
    above = np.where(now > 0, special.betainc(np.maximum(one, some), other + 1, null), 1.0)
    below = np.where(then > 0, special.betainc(np.maximum(other, some), one + 1, 1 - null), 1.0)
    p = np.minimum(1.0, 2 * np.minimum(above, below))
    spread = scatter > 1
    p = np.where(spread, np.minimum(1.0, 2 * stats.t.sf(stats.norm.isf(p / 2), freedom)), p)
    tail = 0.025 / comparisons
    wider = np.where(spread, (stats.t.isf(tail, freedom) / stats.norm.isf(tail)) ** 2, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = (share / (1 - share) / odds for share in ends(tail, wider))
        return np.divide(now, then) / odds, low, high, p


def dispersion(counts: Floats, exposure: Floats) -> tuple[Floats, Floats]:
    """How much more do counts scatter around a constant rate than Poisson's would, and how surely is that known?

    Pearson's dispersion, at least 1, and its degrees of freedom; one column a series. Long tails measure their own
    scatter badly: with an excess kurtosis of κ, n counts are worth 2n / (2 + κ) normal ones. Source: Box 1953.
    """
    counts, exposure = counts[exposure > 0], exposure[exposure > 0]
    n = len(counts)
    if n < 2:
        return np.ones(counts.shape[1:]), np.full(counts.shape[1:], np.inf)
    share = (exposure / exposure.sum()).reshape((n,) + (1,) * (counts.ndim - 1))
    expected = share * counts.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        off = (counts - expected) ** 2 / expected
        scatter = np.where(expected.any(axis=0), off.sum(axis=0) / (n - 1), 1.0)
        tails = np.nan_to_num((off**2).mean(axis=0) / off.mean(axis=0) ** 2 - 3)
    return np.maximum(1.0, scatter), np.clip(2 * n / (2 + np.maximum(tails, 0)), 4, n - 1)
