"""What will a running test show of the units it has so far, once all their windows are closed; and what came of it?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import ibis
import pandas as pd
from scipy import stats

from crmlib.analysis.experiments.checks import Checks
from crmlib.analysis.experiments.facts import Facts, assigned_units, measured, moments
from crmlib.analysis.experiments.measures import title, words
from crmlib.analysis.experiments.results import Results
from crmlib.analysis.experiments.verdicts import end_of
from crmlib.findings import Due, Grade, Prediction

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop


def final_range(arms: Sequence[tuple[float, float, float]], *, confidence: float = 0.95) -> float:
    """How far may the difference of two means still move until the open windows close? Half the width of a range for it.

    `arms` are (variance, units closed, units open). The part already seen stays: with a share w of the units closed, the
    final mean strays from today's by variance / closed × (1 − w), which counts both what is not seen yet and what is not known.
    """
    strays = sum(variance / closed * (1 - closed / (closed + waiting)) for variance, closed, waiting in arms)
    return float(stats.norm.ppf(0.5 + confidence / 2)) * math.sqrt(strays)


def predictions(facts: Facts, checks: Checks, results: Results) -> tuple[Prediction, ...]:
    """For each running test with a sound split that may be read on any day: the plain difference in the primary measure
    that today's units will end at. Of a test read once, at its end, nothing is said before."""
    found = []
    for identity, row, pair in _running(facts, checks, results):
        ahead = end_of(facts, str(row["experiment"]), str(row["metric"]))
        if ahead <= facts.as_of:
            continue
        scale, unit = _scale(row, facts)
        arm, control = pair
        half = scale * final_range([(float(one["var"]), float(one["n"]), float(one["open"])) for one in pair])
        value = scale * float(arm["mean"] - control["mean"])
        label = f"{title(str(row['experiment']))}, {words(str(row['variant']))}: change in {words(str(row['metric']))} of those assigned so far"
        found.append(
            Prediction(id=identity, label=label, unit=unit, value=value, start=facts.as_of, end=ahead, low=value - half,
                       high=value + half, n=int(arm["n"] + arm["open"] + control["n"] + control["open"]))
        )  # fmt: skip
    return tuple(found)


def grade(shop: Shop, due: Sequence[Due], *, facts: Facts, checks: Checks, results: Results) -> tuple[Grade, ...]:
    """What the tests that were running did show, of the units they had then."""
    known = {
        _identity(row["experiment"], row["metric"], row["variant"]): row for row in results.table.to_dict("records")
    }
    found = []
    for one in due:
        row = known.get(one.prediction.id)
        if row is None or checks.is_blocked(str(row["experiment"]), str(row["metric"])):
            continue
        units = assigned_units(shop, experiment=str(row["experiment"]))
        then = units.filter(units["assigned_at"] < ibis.timestamp(one.as_of.isoformat()))
        outcomes = measured(shop, units=then, window_days=facts.window_days)
        arms = moments(shop, outcomes.filter(outcomes["metric"] == str(row["metric"]))).set_index("variant")
        pair = arms.reindex([row["variant"], row["control"]])
        if pair["mean"].notna().all():
            actual = _scale(row, facts)[0] * float(pair["mean"].iloc[0] - pair["mean"].iloc[1])
            found.append(Grade(due=one, actual=actual))
    return tuple(found)


def _running(
    facts: Facts, checks: Checks, results: Results
) -> Iterator[tuple[str, dict[str, object], tuple[pd.Series, pd.Series]]]:
    for row in results.table.to_dict("records"):
        mine = facts.moments[
            (facts.moments["experiment"] == row["experiment"]) & (facts.moments["metric"] == row["metric"])
        ]
        # Of a ratio two means move at once: nothing is foretold of it.
        if mine.empty or not (row["primary"] and row["open"] and row["state"] == "ok"):
            continue
        arms = mine.set_index("variant")
        identity = _identity(row["experiment"], row["metric"], row["variant"])
        yield identity, row, (arms.loc[row["variant"]], arms.loc[checks.controls[str(row["experiment"])]])


def _identity(experiment: object, metric: object, variant: object) -> str:
    return f"final_effect:{experiment}:{metric}:{variant}"


def _scale(row: dict[str, object], facts: Facts) -> tuple[int, str]:
    if row["kind"] == "share":
        return 100, "points"
    return 1, (facts.currency or "money") if row["kind"] == "money" else "per unit"
