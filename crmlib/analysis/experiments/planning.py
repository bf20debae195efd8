"""How many units, how many days, and how small an effect: asked before a test, and of one that is there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from scipy import stats

from crmlib import figures, formats, wording
from crmlib.analysis.experiments.measures import size_text, words
from crmlib.analysis.experiments.results import Results
from crmlib.errors import UsageError
from crmlib.findings import Part

CONFIDENCE, POWER = 0.95, 0.8
USUAL_EFFECT = 0.05  # of control's mean, where no smallest effect worth having was named
_COLUMNS = ["experiment", "variant", "metric", "kind", "base", "error", "units", "per_day", "days", "detectable",
            "least", "needed", "needed_days"]  # fmt: skip


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


def detectable(row: Mapping[str, Any]) -> float:
    """The effect that a test with a row like this finds four times in five."""
    return float(stats.norm.ppf(0.5 + row["level"] / 2) + stats.norm.ppf(POWER)) * float(row["error"])


def needed(row: Mapping[str, Any], least: float) -> int:
    """Units each arm needs to find `least` four times in five at this row's level, at this test's variance."""
    # The spread of one unit, after any adjustment.
    spread = detectable(row) / math.sqrt(1 / row["n"] + 1 / row["n_control"])
    return math.ceil(2 * (spread / least) ** 2)


def power_of(results: Results, *, worthwhile: float = 0.0) -> pd.DataFrame:
    """What could each test have found, and what would one need for the smallest effect worth having?

    One row per experiment and arm whose primary measure was read: experiment, variant, metric, kind, base, error, units
    (in both arms), per_day (units a day, all arms), days, detectable (found four times in five), least, needed (units
    in each arm for it), needed_days. Looks at variances only, never at the effect.
    """
    facts, table = results.facts, results.table[results.table["primary"] & results.table["error"].notna()]
    rows = table.to_dict("records")
    per_day = [facts.a_day(row["experiment"]) for row in rows]
    least = [(worthwhile or USUAL_EFFECT) * abs(row["mean_control"]) for row in rows]
    sizes = [needed(row, effect) if effect > 0 else None for row, effect in zip(rows, least, strict=True)]
    arms = [len(facts.units_of(row["experiment"])) for row in rows]
    days = [
        math.ceil(size * n / pace / 7) * 7 if size and pace == pace else None
        for size, n, pace in zip(sizes, arms, per_day, strict=True)
    ]
    return table.assign(
        base=table["mean_control"],
        units=table["n"] + table["n_control"],
        per_day=per_day,
        days=[facts.span_of(row["experiment"]) for row in rows],
        detectable=[detectable(row) for row in rows],
        least=least,
        needed=sizes,
        needed_days=days,
    )[_COLUMNS]


def part_plan(results: Results, *, worthwhile: float = 0.0) -> Part:
    """How small a change could each test have found, and what would a smaller one take?"""
    facts = results.facts
    found = power_of(results, worthwhile=worthwhile)
    found = found[found["base"].abs() > 0]  # of nothing there is no share
    if found.empty:
        said = "plan(…) tells size, days and smallest effect from a mean and a spread."
        return Part(title="No test is large enough to plan the next one by", sentence=said, detail=True)
    rows, share = found.to_dict("records"), formats.share(worthwhile or USUAL_EFFECT)
    shown = found.assign(
        test=[facts.name(row["experiment"], row["variant"]) for row in rows],
        measure=found["metric"].map(words),
        could=[size_text(row["detectable"], row["kind"], facts.currency) for row in rows],
        wish=[size_text(row["least"], row["kind"], facts.currency) for row in rows],
    )
    chart = figures.table(
        shown,
        caption=f"To find a change of {share} of the old version's mean; 'could find' is found four times in five",
        labels={"test": "Test", "measure": "Measure", "units": wording.upper(facts.unit), "could": "Could find"}
        | {"wish": "To find", "needed": "Needed in each version", "needed_days": "Days at its pace"},
        formats=dict.fromkeys(["units", "needed", "needed_days"], formats.number),
    )
    tests = "Your tests easily miss" if len(found) > 1 else "This test easily misses"
    title = f"{tests} changes under about {_span(found)}"
    return Part(title=title, sentence=f"Finding half that change takes four times the {facts.unit}.", chart=chart)


def _span(found: pd.DataFrame) -> str:
    """From the finest test to the coarsest: '0.6–0.8 points' where all measures are shares, else '9–12%'."""
    points = bool((found["kind"] == "share").all())
    sizes = 100 * (found["detectable"] if points else found["detectable"] / found["base"].abs())
    digits = max(0, -math.floor(math.log10(sizes.min()))) if sizes.min() > 0 else 1
    ends = [formats.number(size, digits=digits) for size in (sizes.min(), sizes.max())]
    text = formats.DASH.join(dict.fromkeys(ends))
    return formats.points(text) if points else f"{text}%"
