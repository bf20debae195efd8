"""How many times as often as chance, once luck is taken off? Empirical Bayes, with a prior fitted on all pairs.

DuMouchel's gamma-Poisson shrinker (1999): each pair's count is Poisson with mean expected × λ, and λ comes from a
mixture of two gamma distributions, fitted to the counts of all pairs of frequent items, those that never met included.
A prior fitted only on pairs that were mined would take the luckiest for the usual.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special
from scipy import stats as distributions

from crmlib.stats.intervals import rate_interval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_BINS_PER_E = 20  # expected counts are gathered in steps of 5 %
_ROUNDS = 80


@dataclass(frozen=True)
class Prior:
    """λ is Gamma(shapes[0], rates[0]) with probability `weight`, else Gamma(shapes[1], rates[1])."""

    shapes: tuple[float, float]
    rates: tuple[float, float]
    weight: float
    pairs: int

    @property
    def mean(self) -> float:
        """How many times as often as chance all pairs meet, on average."""
        first, second = (shape / rate for shape, rate in zip(self.shapes, self.rates, strict=True))
        return self.weight * first + (1 - self.weight) * second


def fit_prior(count: Ints, expected: Floats) -> Prior:
    """The prior that makes these counts likeliest; one entry a pair, all pairs of frequent items."""
    here = expected > 0
    counts, step = count[here], np.round(np.log(expected[here]) * _BINS_PER_E)
    table, pairs = np.unique(np.stack([counts.astype(float), step], axis=1), axis=0, return_counts=True)
    n: Floats = table[:, 0]
    e: Floats = np.exp(table[:, 1] / _BINS_PER_E)

    def loss(x: Floats) -> float:
        shapes, rates, weight = _unpack(x)
        first, second = (_log_density(n, e, shape, rate) for shape, rate in zip(shapes, rates, strict=True))
        both = np.logaddexp(np.log(weight) + first, np.log1p(-weight) + second)
        return -float(pairs @ both) / max(int(pairs.sum()), 1)

    # Most pairs lie near chance, some far above; means and shapes within what a shop can show.
    start = [np.log(20), 0.0, 0.0, np.log(2.0), 2.0]
    bounds = [(np.log(0.05), np.log(1e4)), (-3, 3), (np.log(0.05), np.log(1e4)), (-3, 5), (-7, 7)]
    found = optimize.minimize(loss, start, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-8})
    shapes, rates, weight = _unpack(found.x)
    return Prior(shapes=shapes, rates=rates, weight=weight, pairs=int(pairs.sum()))


def shrink(prior: Prior, *, times: Floats, information: Floats) -> tuple[Floats, Floats, Floats]:
    """λ after what was counted: its median and its 95 % range.

    `times` is what was counted over what was expected; `information` the Poisson count that would be as sure of it, so
    that a count that hangs on few households is shrunk as the small count it is.
    """
    n = np.maximum(np.asarray(information, dtype=float), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        e = np.where(times > 0, n / times, 0.0)
    first, second = (
        _log_density(n, np.maximum(e, 1e-12), shape, rate)
        for shape, rate in zip(prior.shapes, prior.rates, strict=True)
    )
    weight = special.expit(np.log(prior.weight) - np.log1p(-prior.weight) + first - second)
    a1, a2 = (n + shape for shape in prior.shapes)
    b1, b2 = (e + rate for rate in prior.rates)

    def quantile(p: float) -> Floats:
        ends = np.stack([distributions.gamma.ppf(p, a1, scale=1 / b1), distributions.gamma.ppf(p, a2, scale=1 / b2)])
        low, high = np.log(np.maximum(ends.min(axis=0), 1e-12)), np.log(np.maximum(ends.max(axis=0), 1e-12))
        for _ in range(_ROUNDS):
            middle = (low + high) / 2
            x = np.exp(middle)
            below = weight * special.gammainc(a1, b1 * x) + (1 - weight) * special.gammainc(a2, b2 * x) < p
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray(np.exp((low + high) / 2))

    return quantile(0.5), quantile(0.025), quantile(0.975)


def _unpack(x: Floats) -> tuple[tuple[float, float], tuple[float, float], float]:
    shapes = float(np.exp(x[0])), float(np.exp(x[2]))
    means = float(np.exp(x[1])), float(np.exp(x[3]))
    return shapes, (shapes[0] / means[0], shapes[1] / means[1]), float(special.expit(x[4]))


def _log_density(n: Floats, e: Floats, shape: float, rate: float) -> Floats:
    """Log of the negative binomial density: a Poisson count with mean e λ, λ from Gamma(shape, rate)."""
    return np.asarray(
        special.gammaln(n + shape)
        - special.gammaln(shape)
        - special.gammaln(n + 1)
        + shape * (np.log(rate) - np.log(rate + e))
        + n * (np.log(e) - np.log(rate + e))
    )


def shrunk(counts: Floats, exposure: Floats) -> tuple[Floats, Floats, Floats]:
    """Rates drawn towards their common mean as far as chance explains their scatter, with 95 % intervals.

    Gamma–Poisson, its prior fitted to all counts by maximum likelihood; in events per unit of exposure.
    Source: Clayton and Kaldor 1987.

    >>> rate, low, high = shrunk(np.array([0.0, 2.0, 9.0]), np.array([1.0, 1.0, 1.0]))
    >>> bool(0 < rate[0] < rate[2] < 9)
    True
    """
    mean = counts.sum() / exposure.sum() if exposure.sum() else np.nan
    if not counts.any():
        low, high = rate_interval(counts, exposure)
        return np.zeros(len(counts)), low, high

    def unlikely(log_shape: float) -> float:
        shape = np.exp(log_shape)
        p = shape / (shape + mean * exposure)
        rising = special.gammaln(shape + counts) - special.gammaln(shape)
        return -float((rising + shape * np.log(p) + counts * np.log1p(-p)).sum())

    shape = float(np.exp(optimize.minimize_scalar(unlikely, bounds=(-3.0, 8.0), method="bounded").x))
    above, below = shape + counts, shape / mean + exposure
    return above / below, distributions.gamma.ppf(0.025, above) / below, distributions.gamma.ppf(0.975, above) / below


def towards_mean(effects: Floats, errors: Floats) -> tuple[Floats, Floats, Floats]:
    """Effects of several groups drawn towards none as far as chance explains their scatter, with 95 % intervals.

    True effects are normal around none with a spread the effects tell: averaged over all spreads, weighted by their
    likelihood, each as likely beforehand, as in `chance_below`. Source: Gelman et al. 2013, section 5.4.

    >>> middle, low, high = towards_mean(np.array([0.3, -0.1, 0.0, 0.1, -0.3]), np.full(5, 0.1))
    >>> bool(0 < middle[0] < 0.3 and low[0] < middle[0] < high[0])
    True
    """
    effects, errors = np.asarray(effects, dtype=float), np.asarray(errors, dtype=float)
    spread = np.linspace(0.0, 3 * max(float(np.abs(effects).max()), float(errors.min())), 300)[:, None]
    log_density = distributions.norm.logpdf(effects, 0.0, np.hypot(spread, errors)).sum(axis=1)
    weight = np.exp(log_density - log_density.max())
    weight /= weight.sum()
    kept = spread**2 / (spread**2 + errors**2)
    middle = weight @ (kept * effects)
    error = np.sqrt(weight @ (kept * errors**2 + (kept * effects - middle) ** 2))
    return middle, middle - 1.96 * error, middle + 1.96 * error


def chance_below(
    effect: float, error: float, *, line: float = 0.0, past: Floats | None = None, past_errors: Floats | None = None
) -> float:
    """How likely does a true effect lie below `line`, given what other effects of its kind were like?

    True effects are normal around none with a spread that `past` effects and this one tell: averaged over all spreads,
    weighted by their likelihood, each as likely beforehand. Without `past` every effect counts as equally likely
    beforehand. Source: Gelman et al. 2013, Bayesian Data Analysis, section 5.4.

    >>> round(chance_below(1.0, 1.0), 2)
    0.16
    >>> small = np.array([0.1, -0.2, 0.1, 0.0, -0.1])
    >>> round(chance_below(1.0, 1.0, past=small, past_errors=np.full(5, 0.3)), 2)
    0.42
    """
    if past is None or past_errors is None or not len(past):
        return float(distributions.norm.cdf((line - effect) / error))
    effects, errors = np.append(past, effect), np.append(past_errors, error)
    spread = np.geomspace(errors.min() / 100, 10 * max(errors.max(), np.abs(effects).max()), 400)[:, None]
    log_density = distributions.norm.logpdf(effects, 0.0, np.hypot(spread, errors)).sum(axis=1)
    weight = np.exp(log_density - log_density.max()) * spread[:, 0]  # the steps of the spread grow with it
    kept = spread[:, 0] ** 2 / (spread[:, 0] ** 2 + error**2)
    below = distributions.norm.cdf((line - kept * effect) / (np.sqrt(kept) * error))
    return float(weight @ below / weight.sum())
