"""Two shares compared by the score test of Miettinen and Nurminen, and the intervals that invert it.

Written out because statsmodels 0.15 inverts it wrongly for differences: for 56/70 against 48/80 it gives .0526 to .3440,
and with the arms swapped another interval, where Newcombe 1998 (table II, method 6) has .0528 to .3382.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy import optimize, stats

_END = 1e-10  # how close to the edge of what a difference of shares can be


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


def ratio_interval(
    events: int, n: int, events_control: int, n_control: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """How many times as large may one share be as the other? Needs an event in both arms; (nan, nan) otherwise.

    Source: Miettinen and Nurminen 1985, section 3. Holds 1 exactly where the interval of the difference holds 0.
    """
    if not (events and events_control):
        return math.nan, math.nan
    q = float(stats.norm.ppf(0.5 + confidence / 2))
    seen = math.log(events / n / (events_control / n_control))

    def z(logarithm: float) -> float:
        return _z_ratio(math.exp(logarithm), events, n, events_control, n_control)

    return math.exp(_crossing(z, q, seen - 20, seen)), math.exp(_crossing(z, -q, seen + 20, seen))


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
