"""How many units, how many days, and how small an effect: asked before a test, and of one that is there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
from scipy import stats

from crmlib import figures, formats, wording
from crmlib.analysis.experiments.measures import size_text, words
from crmlib.analysis.experiments.results import Results
from crmlib.findings import Part
from crmlib.stats.planning import POWER, Plan, plan

__all__ = ["Plan", "detectable", "needed", "part_plan", "plan", "power_of"]

USUAL_EFFECT = 0.05  # of control's mean, where no smallest effect worth having was named
_COLUMNS = ["experiment", "variant", "metric", "kind", "base", "error", "units", "per_day", "days", "detectable",
            "least", "needed", "needed_days"]  # fmt: skip


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
    found = []
    for row in rows:
        pace, least = facts.a_day(row["experiment"]), (worthwhile or USUAL_EFFECT) * abs(row["mean_control"])
        size, arms = needed(row, least) if least > 0 else None, len(facts.units_of(row["experiment"]))
        days = math.ceil(size * arms / pace / 7) * 7 if size and pace == pace else None
        found.append((pace, facts.span_of(row["experiment"]), detectable(row), least, size, days))
    names = ["per_day", "days", "detectable", "least", "needed", "needed_days"]
    told = pd.DataFrame(found, columns=names, index=table.index)
    return table.assign(base=table["mean_control"], units=table["n"] + table["n_control"]).join(told)[_COLUMNS]


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
    labels = {"test": "Test", "measure": "Measure", "units": wording.upper(facts.unit), "could": "Could find"}
    labels |= {"wish": "To find", "needed": "Needed in each version", "needed_days": "Days at its pace"}
    caption = f"To find a change of {share} of the old version's mean; 'could find' is found four times in five"
    forms = dict.fromkeys(["units", "needed", "needed_days"], formats.number)
    chart = figures.table(shown, caption=caption, labels=labels, formats=forms)
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
