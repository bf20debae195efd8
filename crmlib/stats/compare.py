"""Two groups compared: shares by the score test and its intervals, ratios of two, several effects at once.

The score interval of Miettinen and Nurminen is written out because statsmodels 0.15 inverts it wrongly for differences:
for 56/70 against 48/80 it gives .0526 to .3440, and with the arms swapped another interval, where Newcombe 1998 (table
II, method 6) has .0528 to .3382.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

_END = 1e-10  # how close to the edge of what a difference of shares can be
_NO_RANGE = (math.nan, math.nan)


def score_test(events: int, n: int, events_control: int, n_control: int) -> float:
    """Could two shares be the same? Two-sided p of the score test, which is the pooled z-test times √((N − 1) / N)."""
    return float(2 * stats.norm.sf(abs(_z_difference(0.0, events, n, events_control, n_control))))


def difference_interval(
    events: int, n: int, events_control: int, n_control: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """How far apart may two shares be? All differences that the score test does not reject.

    Source: Miettinen and Nurminen 1985; recommended by Newcombe and Nurminen 2011. Holds at no and at all events too.

    >>> low, high = difference_interval(56, 70, 48, 80)
    >>> round(low, 4), round(high, 4)
    (0.0528, 0.3382)
    """
    q = float(stats.norm.ppf(0.5 + confidence / 2))
    seen = events / n - events_control / n_control

    def z(difference: float) -> float:
        return _z_difference(difference, events, n, events_control, n_control)

    return _crossing(z, q, -1 + _END, seen), _crossing(z, -q, 1 - _END, seen)


def exact_test(events: int, n: int, events_control: int, n_control: int) -> float:
    """Could two shares be the same, however few the events? Fisher's exact test, the smaller tail twice.

    >>> round(exact_test(6, 1_000, 0, 1_000), 4)
    0.0309
    """
    one = stats.hypergeom(n + n_control, events + events_control, n)
    return min(1.0, 2 * float(min(one.cdf(events), one.sf(events - 1))))


def exact_range(events: int, n: int, *, confidence: float) -> tuple[float, float, float]:
    """A share and how far it may lie from what was counted: Clopper and Pearson 1934, never narrower than it says.

    >>> [round(end, 4) for end in exact_range(0, 100, confidence=0.95)]
    [0.0, 0.0, 0.0362]
    """
    ends = stats.binomtest(events, n).proportion_ci(confidence, method="exact")
    return events / n, float(ends.low), float(ends.high)


def ratio_interval(
    events: int, n: int, events_control: int, n_control: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """How many times as large may one share be as the other? Needs an event in both arms; (nan, nan) otherwise.

    Source: Miettinen and Nurminen 1985, section 3. Holds 1 exactly where the interval of the difference holds 0.
    """
    if not (events and events_control):
        return _NO_RANGE
    q = float(stats.norm.ppf(0.5 + confidence / 2))
    seen = math.log(events / n / (events_control / n_control))

    def z(logarithm: float) -> float:
        return _z_ratio(math.exp(logarithm), events, n, events_control, n_control)

    return math.exp(_crossing(z, q, seen - 20, seen)), math.exp(_crossing(z, -q, seen + 20, seen))


def surely(low: float, high: float) -> float:
    """How far from one is a ratio, at the end of its range nearest to one? 0 where the range holds one; below 1.

    >>> surely(2.0, 8.0), surely(0.5, 0.8), surely(0.9, 3.0)
    (0.5, 0.2, 0.0)
    """
    return round(1 - 1 / low, 9) if low > 1 else round(1 - max(high, 0.0), 9) if high < 1 else 0.0


def fieller(
    control: float, treatment: float, var_control: float, var_treatment: float, *, factor: float
) -> tuple[float, float]:
    """How far above control, as a share of it, may a mean lie? Ends of treatment / control − 1, `factor` errors wide.

    Variances are those of the means. Source: Fieller 1954. (nan, nan) where control is not clearly above zero.

    >>> [round(end, 3) for end in fieller(10, 12, 0.04, 0.04, factor=1.96)]
    [0.141, 0.263]
    """
    a = control**2 - factor**2 * var_control
    if not (control > 0 and a > 0):
        return _NO_RANGE
    b = control * treatment
    root = math.sqrt(max(b * b - a * (treatment**2 - factor**2 * var_treatment), 0.0))
    return (b - root) / a - 1, (b + root) / a - 1


def mover(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """How far apart may two estimates lie? From the interval of each (middle, low, high): ends of one − other.

    Source: Zou and Donner 2008 (MOVER).

    >>> [round(end, 2) for end in mover((5, 4, 7), (3, 2, 4))]
    [0.59, 4.24]
    """
    (a, a_low, a_high), (b, b_low, b_high) = one, other
    return a - b - math.hypot(a - a_low, b_high - b), a - b + math.hypot(a_high - a, b - b_low)


def mover_ratio(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """The same as a share of the other: ends of one / other − 1, holding 0 exactly where those of the difference do.

    Source: Donner and Zou 2012 (MOVER-R). (nan, nan) where the other's interval is not above zero, or the one's below.

    >>> [round(end, 2) for end in mover_ratio((5, 4, 7), (3, 2, 4))]
    [0.16, 1.82]
    """
    (a, a_low, a_high), (b, b_low, b_high) = one, other
    if not (b_low > 0 and a_low >= 0):
        return _NO_RANGE
    ends = []
    for near, far, side in ((a_low, b_high, -1), (a_high, b_low, 1)):
        below = far * (2 * b - far)
        inside = (a * b) ** 2 - near * (2 * a - near) * below
        # 2b − far can fall to 0 or under where the other's interval is very lopsided: then there is no such end.
        if not below > 0:
            return _NO_RANGE
        ends.append((a * b + side * math.sqrt(max(inside, 0.0))) / below - 1)
    return ends[0], ends[1]


def heterogeneity(effects: ArrayLike, errors: ArrayLike) -> tuple[float, float]:
    """Do several effects differ from one another, given their standard errors? Cochran's Q (1954) and its p-value.

    >>> [round(value, 3) for value in heterogeneity([1.0, 3.0], [0.5, 0.5])]
    [8.0, 0.005]
    """
    effect, weights = np.asarray(effects, dtype=float), 1 / np.asarray(errors, dtype=float) ** 2
    middle = (weights * effect).sum() / weights.sum()
    q = float((weights * (effect - middle) ** 2).sum())
    return q, float(stats.chi2.sf(q, len(effect) - 1))


def _crossing(z: Callable[[float], float], target: float, edge: float, seen: float) -> float:
    """Where z, which falls from +∞ to −∞ and is 0 at what was seen, takes the value `target`."""
    if abs(z(edge)) <= abs(target) or edge == seen:
        return round(edge)
    return float(optimize.brentq(lambda value: z(value) - target, edge, seen, xtol=1e-12))


def _z_difference(difference: float, events: int, n: int, events_control: int, n_control: int) -> float:
    """The score statistic of `difference`, the shares being as likely as they can be given that difference."""
    total = n + n_control
    # The cubic of Miettinen and Nurminen's appendix, for control's share.
    l2 = (n + 2 * n_control) * difference - total - (events + events_control)
    l1 = (n_control * difference - total - 2 * events_control) * difference + events + events_control
    l0 = events_control * difference * (1 - difference)
    q = (l2 / (3 * total)) ** 3 - l1 * l2 / (6 * total**2) + l0 / (2 * total)
    p = math.copysign(math.sqrt(max((l2 / (3 * total)) ** 2 - l1 / (3 * total), 0.0)), q)
    angle = (math.pi + math.acos(max(-1.0, min(1.0, q / p**3)))) / 3 if p else 0.0
    base = min(max(2 * p * math.cos(angle) - l2 / (3 * total), 0.0, -difference), 1.0, 1 - difference)
    share = base + difference
    variance = (share * (1 - share) / n + base * (1 - base) / n_control) * total / (total - 1)
    return _ratio(events / n - events_control / n_control - difference, variance)


def _z_ratio(ratio: float, events: int, n: int, events_control: int, n_control: int) -> float:
    total = n + n_control
    b = n * ratio + events + n_control + events_control * ratio
    root = math.sqrt(max(b * b - 4 * total * ratio * (events + events_control), 0.0))
    # The smaller root, written so that nothing cancels.
    base = 2 * (events + events_control) / (b + root)
    share = ratio * base
    variance = (share * (1 - share) / n + ratio**2 * base * (1 - base) / n_control) * total / (total - 1)
    return _ratio(events / n - ratio * events_control / n_control, variance)


def _ratio(gap: float, variance: float) -> float:
    if variance > 0:
        return gap / math.sqrt(variance)
    return math.copysign(math.inf, gap) if abs(gap) > 1e-12 else 0.0
