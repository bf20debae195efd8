"""How far may a forecast of a total be off? A model's own doubt, widened where earlier forecasts were worse than it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from crmlib.formats import Estimate


@dataclass(frozen=True, kw_only=True)
class Total:
    """A sum over customers with a 95 % range of what will come: chance, open parameters and earlier errors."""

    value: float
    low: float
    high: float

    def estimate(self, unit: str, *, n: int | None = None) -> Estimate:
        """The same as a page says it."""
        return Estimate(value=self.value, low=self.low, high=self.high, unit=unit, n=n)

    def holds(self, actual: float) -> bool:
        """Did what came lie inside?"""
        return self.low <= actual <= self.high


@dataclass(frozen=True)
class Errors:
    """What earlier forecasts were off by, log(actual / forecast), and the deviation the method expected."""

    seen: tuple[float, ...] = ()
    own: tuple[float, ...] = ()

    @property
    def typical(self) -> float:
        """Root mean square; nan where there are none."""
        return float(np.sqrt(np.mean(np.square(self.seen)))) if self.seen else float("nan")

    @property
    def worse_than_own(self) -> bool:
        """Were they larger than the method's own doubt explains (chi-square, p < .1)?"""
        if not self.seen:
            return False
        squares = np.square(np.array(self.seen) / np.maximum(self.own, 1e-9))
        return bool(squares.sum() > stats.chi2.ppf(0.9, len(self.seen)))


def half_width(own: float, errors: Errors) -> float:
    """Half of the 95 % range, in logarithms of the total, for a method whose own deviation is `own`.

    Where earlier errors are no larger than the method expected, its own band stands: it covers 95 % when the model
    is right. Where they are, their root mean square with Student's quantile takes its place, since so few errors
    do not say exactly how large the next may be.
    """
    if not errors.worse_than_own:
        return 1.96 * own
    freedom = max(len(errors.seen), 3)
    return float(max(1.96 * own, stats.t.ppf(0.975, freedom) * errors.typical))


def band(value: float, own: float, errors: Errors, *, most: float = np.inf) -> Total:
    """The range of a total around `value`, on the scale of ratios."""
    if value <= 0:
        return Total(value=0.0, low=0.0, high=0.0)
    half = half_width(own, errors)
    return Total(value=value, low=value * float(np.exp(-half)), high=min(value * float(np.exp(half)), most))


def errors_of(actual: Sequence[float], forecast: Sequence[float], own: Sequence[float]) -> Errors:
    """Errors of look-backs in which something was forecast and something came."""
    rows = [(np.log(a / f), o) for a, f, o in zip(actual, forecast, own, strict=True) if a > 0 and f > 0]
    return Errors(tuple(float(e) for e, _ in rows), tuple(float(o) for _, o in rows))


def count_band(expected: float, *, scatter: float) -> tuple[float, float]:
    """Where 95 % of counts with this mean fall whose variance is `scatter` times it; Poisson's where that is 1.

    >>> count_band(10, scatter=1), count_band(0, scatter=1)
    ((4.0, 17.0), (0.0, 3.0))
    """
    if expected <= 0:
        return 0.0, 3.0  # nothing seen: a Poisson mean up to 3 is compatible with no event
    if scatter <= 1.0001:
        return float(stats.poisson.ppf(0.025, expected)), float(stats.poisson.ppf(0.975, expected))
    p = 1 / scatter
    law = stats.nbinom(expected * p / (1 - p), p)
    return float(law.ppf(0.025)), float(law.ppf(0.975))
