"""How many units, how many days, or how small an effect: the arithmetic of a test before it begins."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy import stats

from crmlib.errors import UsageError

CONFIDENCE, POWER = 0.95, 0.8


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A test of equal arms that finds an effect of `least`, in the metric's own unit, four times in five.

    units are those of all arms; days of assignment in whole weeks, None where the pace is not known
    """

    least: float
    units_per_arm: int
    units: int
    days: int | None


def plan(
    *,
    base: float,
    spread: float = 0.0,
    least: float = 0.0,
    units_per_arm: int = 0,
    arms: int = 2,
    units_per_day: float = 0.0,
) -> Plan:
    """How large must a test be for an effect of `least`, or how small an effect will `units_per_arm` find?

    `base` is control's mean, or its share where `spread` (the standard deviation of one unit) is 0. Give `least`
    (absolute) or `units_per_arm`; with several arms the level of 95% is shared out among them (Bonferroni). Found means
    four times in five. Days are rounded up to whole weeks; the outcome window comes on top. Two-sided, unpooled normal
    approximation (Fleiss, Levin and Paik 2003, 4.15 without continuity; for means Cohen 1988, 2.3). Raises UsageError
    where the question is not one.

    >>> plan(base=0.10, least=0.02, units_per_day=800).units_per_arm
    3839
    """
    if (least == 0) == (units_per_arm == 0):
        raise UsageError("a plan needs either the least effect worth finding or units_per_arm, not both")
    if arms < 2 or (spread == 0 and not 0 < base + least < 1 > base > 0):
        raise UsageError("a plan needs two arms, and without a spread base and base + least are shares between 0 and 1")
    factor = float(stats.norm.ppf(1 - (1 - CONFIDENCE) / (arms - 1) / 2) + stats.norm.ppf(POWER))

    def needed(effect: float) -> float:
        both = 2 * spread**2 if spread else base * (1 - base) + (base + effect) * (1 - base - effect)
        return factor**2 * both / effect**2

    size = math.ceil(needed(least) - 1e-9) if least else units_per_arm
    found = least or _smallest(needed, units_per_arm, room=math.inf if spread else 1 - base)
    days = math.ceil(size * arms / units_per_day / 7 - 1e-9) * 7 if units_per_day > 0 else None
    return Plan(least=found, units_per_arm=size, units=size * arms, days=days)


def _smallest(needed: Callable[[float], float], units: int, *, room: float) -> float:
    """The effect for which `units` are just enough, by halving: `needed` falls with the effect."""
    low, high = 0.0, 1.0
    while needed(high) > units and high < room:
        high *= 2
    high = min(high, room)
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if needed(middle) > units else (low, middle)
    return high
