"""What will a running test show of the units it has so far, once all their windows are closed; and what came of it?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import ibis
import pandas as pd
from scipy import stats

from crmlib.analysis.experiments.facts import assigned_units, measured
from crmlib.analysis.experiments.measures import scale_of, title, words
from crmlib.analysis.experiments.moments import moments
from crmlib.analysis.experiments.results import Results
from crmlib.findings import Due, Grade, Prediction
from crmlib.shop.shop import Shop


def final_range(arms: Sequence[tuple[float, float, float]], *, confidence: float = 0.95) -> float:
    """How far may the difference of two means still move until the open windows close? Half the width of its range.

    `arms` are (variance, units closed, units open). The part already seen stays: with a share w of the units closed,
    the final mean strays from today's by variance / closed × (1 − w), which counts both what is not seen yet and what
    is not known.
    """
    strays = sum(variance / closed * (1 - closed / (closed + waiting)) for variance, closed, waiting in arms)
    return float(stats.norm.ppf(0.5 + confidence / 2)) * math.sqrt(strays)


def predictions(results: Results) -> tuple[Prediction, ...]:
    """For each running test with a sound split that may be read on any day: the plain difference in the primary measure
    that today's units will end at. Of a test read once, at its end, nothing is said before."""
    facts, found = results.facts, []
    table = results.table
    for row in table[table["primary"] & (table["open"] > 0) & (table["state"] == "ok")].to_dict("records"):
        mine = (facts.moments["experiment"] == row["experiment"]) & (facts.moments["metric"] == row["metric"])
        arms = facts.moments[mine].set_index("variant")
        end = facts.end_of(row["experiment"], row["metric"])
        # Of a ratio two means move at once: nothing is foretold of it.
        if arms.empty or end <= facts.as_of:
            continue
        arm, control = arms.loc[row["variant"]], arms.loc[row["control"]]
        scale, units = scale_of(row["kind"]), int(arm["n"] + arm["open"] + control["n"] + control["open"])
        value = scale * float(arm["mean"] - control["mean"])
        half = scale * final_range([(float(one["var"]), float(one["n"]), float(one["open"])) for one in (arm, control)])
        label = f"{title(row['experiment'])}, {words(row['variant'])}: change in {words(row['metric'])} of those "
        unit = {"share": "points", "money": facts.currency or "money"}.get(row["kind"], "per unit")
        said: dict[str, Any] = {"id": _identity(row), "label": f"{label}assigned so far", "unit": unit, "value": value}
        said |= {"start": facts.as_of, "end": end, "low": value - half, "high": value + half, "n": units}
        found.append(Prediction(**said))
    return tuple(found)


def grade(shop: Shop, due: Sequence[Due], *, results: Results) -> tuple[Grade, ...]:
    """What the tests that were running did show, of the units they had then."""
    known: dict[str, dict[str, Any]] = {_identity(row): row for row in results.table.to_dict("records")}
    found = []
    for one in due:
        row = known.get(one.prediction.id)
        if row is None or results.checks.is_blocked(row["experiment"], row["metric"]):
            continue
        units = assigned_units(shop, experiment=row["experiment"])
        then = units.filter(units["assigned_at"] < ibis.timestamp(one.as_of.isoformat()))
        outcomes = measured(shop, units=then, window_days=results.facts.window_days)
        arms = moments(shop, outcomes.filter(outcomes["metric"] == row["metric"])).set_index("variant")
        means: pd.Series = arms["mean"].reindex([row["variant"], row["control"]])
        if means.notna().all():
            found.append(Grade(due=one, actual=scale_of(row["kind"]) * float(means.iloc[0] - means.iloc[1])))
    return tuple(found)


def _identity(row: dict[str, Any]) -> str:
    return f"final_effect:{row['experiment']}:{row['metric']}:{row['variant']}"
