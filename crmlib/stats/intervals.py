"""How far may a share or a rate lie from what was counted?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

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
