"""How many units, how many days, and how small an effect: asked before a test, and of one that is there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd
from scipy import stats

from crmlib.analysis.experiments.facts import Facts
from crmlib.analysis.experiments.results import Results
from crmlib.errors import UsageError

POWER = 0.8
USUAL_EFFECT = 0.05  # of control's mean, where no smallest effect worth having was named


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A test of equal arms that finds an effect of `least` with chance `power`.

    least in the metric's own unit; units_per_arm, units (all arms); days of assignment in whole weeks, None where the pace is not known
    """

    least: float
    units_per_arm: int
    units: int
    days: int | None
    power: float
    confidence: float


def plan(
    *,
    base: float,
    spread: float = 0.0,
    least: float = 0.0,
    units_per_arm: int = 0,
    arms: int = 2,
    units_per_day: float = 0.0,
    confidence: float = 0.95,
    power: float = POWER,
) -> Plan:
    """How large must a test be for an effect of `least`, or how small an effect will `units_per_arm` find?

    `base` is control's mean, or its share where `spread` (the standard deviation of one unit) is 0. Give `least` (absolute)
    or `units_per_arm`; with several arms the level is shared out among them (Bonferroni). Days are rounded up to whole
    weeks; the outcome window comes on top. Two-sided, unpooled normal approximation (Fleiss, Levin and Paik 2003, 4.15
    without continuity; for means Cohen 1988, 2.3). Raises UsageError where the question is not one.

    >>> plan(base=0.10, least=0.02, units_per_day=800).units_per_arm
    3839
    """
    if (least == 0) == (units_per_arm == 0):
        raise UsageError("a plan needs either the least effect worth finding or units_per_arm, not both")
    if arms < 2 or not 0 < power < 1 or not 0 < confidence < 1:
        raise UsageError("a plan needs two arms or more, and power and confidence between 0 and 1")
    if spread == 0 and not 0 < base + least < 1 > base > 0:
        raise UsageError("without a spread, base and base + least are shares between 0 and 1")
    factor = float(stats.norm.ppf(1 - (1 - confidence) / (arms - 1) / 2) + stats.norm.ppf(power))

    def needed(effect: float) -> float:
        both = 2 * spread**2 if spread else base * (1 - base) + (base + effect) * (1 - base - effect)
        return factor**2 * both / effect**2

    if least:
        size, found = math.ceil(needed(least) - 1e-9), least
    else:
        size, found = units_per_arm, _smallest(needed, units_per_arm, room=math.inf if spread else 1 - base)
    days = math.ceil(size * arms / units_per_day / 7 - 1e-9) * 7 if units_per_day > 0 else None
    return Plan(least=found, units_per_arm=size, units=size * arms, days=days, power=power, confidence=confidence)


def _smallest(needed, units: int, *, room: float) -> float:  # type: ignore[no-untyped-def]
    """The effect for which `units` are just enough, by halving: `needed` falls with the effect."""
    low, high = 0.0, 1.0
    while needed(high) > units and high < room:
        high *= 2
    high = min(high, room)
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if needed(middle) > units else (low, middle)
    return high


def power_of(facts: Facts, results: Results, *, worthwhile: float = 0.0) -> pd.DataFrame:
    """What could each test have found, and what would one need for the smallest effect worth having?

    One row per experiment and arm whose primary measure was read: experiment, variant, metric, kind, base, error, units (in both arms),
    per_day (units a day, all arms), days, detectable (found four times in five), least, needed (units in each arm for it),
    needed_days. Looks at variances only, never at the effect.
    """
    rows = []
    table = results.table[results.table["primary"] & results.table["error"].notna()]
    for row in table.to_dict("records"):
        arms = facts.arms[facts.arms["experiment"] == row["experiment"]]
        span = (arms["last_at"].max().date() - arms["first_at"].min().date()).days + 1
        per_day = float(arms["units"].sum()) / span
        factor = float(stats.norm.ppf(0.5 + row["level"] / 2) + stats.norm.ppf(POWER))
        # The spread of one unit, after any adjustment.
        spread = row["error"] / math.sqrt(1 / row["n"] + 1 / row["n_control"])
        least = (worthwhile or USUAL_EFFECT) * abs(row["mean_control"])
        needed = math.ceil(2 * (factor * spread / least) ** 2) if least > 0 else None
        days = math.ceil(needed * len(arms) / per_day / 7) * 7 if needed else None
        rows.append({"experiment": row["experiment"], "variant": row["variant"], "metric": row["metric"], "kind": row["kind"],
                     "base": row["mean_control"], "error": row["error"], "units": row["n"] + row["n_control"], "per_day": per_day,
                     "days": span, "detectable": factor * row["error"], "least": least, "needed": needed, "needed_days": days})  # fmt: skip
    names = ["experiment", "variant", "metric", "kind", "base", "error", "units", "per_day", "days", "detectable", "least", "needed",
             "needed_days"]  # fmt: skip
    return pd.DataFrame(rows, columns=names)
