"""What would it bring or cost to have the change for everybody, in money a month?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.experiments.measures import effect_text, rounded, words
from crmlib.analysis.experiments.results import Results
from crmlib.findings import Caveat, Metric, Part
from crmlib.formats import Estimate
from crmlib.stats.shrinkage import chance_below

DAYS_A_MONTH = 365.25 / 12
LEAST_PAST = 3  # finished comparisons of other tests that tell how large effects are here
MARGIN = ("margin", "profit")
_COLUMNS = ["experiment", "variant", "metric", "effect", "per_unit", "low", "high", "units_a_month", "month",
            "month_low", "month_high", "loss", "past", "units"]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Worth:
    """Margin less the offer's cost, one row per experiment and arm with a readable margin metric.

    table       experiment, variant, metric, effect, per_unit (effect less offer_cost), low, high, units_a_month, month,
                month_low, month_high, loss (chance that per_unit is below 0, drawn towards what the shop's other tests
                found; empty in a test that is still running, which may have been looked at because it did well), past
                (how many finished comparisons of other tests it rests on; 0: every effect was equally likely before),
                units (in both arms)
    offer_cost  what the offer costs for each unit of the arm, beyond what the margin metric already counts
    """

    results: Results
    table: pd.DataFrame
    offer_cost: float

    def of(self, experiment: str, arm: str) -> dict[str, Any] | None:
        """The row of one arm, or None."""
        rows = self.table[(self.table["experiment"] == experiment) & (self.table["variant"] == arm)]
        return rows.to_dict("records")[0] if len(rows) else None

    def __repr__(self) -> str:
        return f"Worth({len(self.table)} comparisons)"


def worth(results: Results, *, offer_cost: float = 0.0, units_a_month: float = 0.0) -> Worth:
    """What would each arm bring a month, and how likely is a loss?

    The margin metric is the primary one if it is of margin, else the first of margin by name; revenue is no margin, so
    a test without one has no row. `units_a_month` is how many would meet the change; 0 takes the test's own pace, all
    arms together.
    """
    rows = []
    arms = results.table.groupby(["experiment", "variant"], sort=True)
    found = {(str(experiment), str(arm)): margin_row(mine) for (experiment, arm), mine in arms}
    margins = {key: row for key, row in found.items() if row is not None and row["state"] == "ok"}
    for (experiment, variant), row in margins.items():
        pace = units_a_month or results.facts.a_day(str(experiment)) * DAYS_A_MONTH
        if math.isnan(pace):
            continue  # nobody said for how long the test ran, nor how many a month would meet the change
        per_unit, low, high = (float(row[name]) - offer_cost for name in ("effect", "low", "high"))
        past = _past(margins, experiment) if row["mean_control"] > 0 else []
        loss = math.nan if row["open"] else _loss(row, past, offer_cost)
        months = (pace, per_unit * pace, low * pace, high * pace)
        units, ends = int(row["n"] + row["n_control"]), (row["effect"], per_unit, low, high)
        rows.append((experiment, variant, row["metric"], *ends, *months, loss, len(past), units))
    return Worth(results=results, table=pd.DataFrame(rows, columns=_COLUMNS), offer_cost=offer_cost)


def _past(margins: Mapping[tuple[str, str], pd.Series], experiment: str) -> list[tuple[float, float]]:
    """Effects and errors of other finished tests, as shares of control's mean; none where they are too few."""
    others = [row for (name, _), row in margins.items() if name != experiment and not row["open"]]
    known = [(row["effect"] / row["mean_control"], row["error"] / row["mean_control"])
             for row in others if row["mean_control"] > 0]  # fmt: skip
    return known if len(known) >= LEAST_PAST else []


def _loss(row: pd.Series, past: list[tuple[float, float]], offer_cost: float) -> float:
    """The chance that margin less the offer's cost falls, in view of what other tests found."""
    scale = row["mean_control"] if past else 1.0
    effects = np.array(past, dtype=float).reshape(-1, 2)
    one = (float(value / scale) for value in (row["effect"], row["error"]))
    return chance_below(*one, line=offer_cost / scale, past=effects[:, 0], past_errors=effects[:, 1])


def margin_row(rows: pd.DataFrame) -> pd.Series | None:
    """The row of one arm that speaks of margin for each unit, tested or not; the primary one first."""
    plain = rows[~rows["metric"].str.contains("/|@", regex=True)]
    speaks = [any(word in words(metric).casefold() for word in MARGIN) for metric in plain["metric"]]
    # An empty list would choose no columns instead of no rows.
    named = plain[pd.Series(speaks, index=plain.index, dtype=bool)]
    ranked = named.sort_values(["primary", "metric"], ascending=[False, True], kind="stable")
    return None if ranked.empty else ranked.iloc[0]


def loss_text(loss: float) -> str:
    """A chance of loss as one says it, never as none or as certain; '' where it is not known.

    >>> loss_text(0.0001), loss_text(0.14), loss_text(0.5), loss_text(0.96), loss_text(0.999)
    ('under 1 chance in 100', '1 chance in 7', '1 chance in 2', '96 chances in 100', 'over 99 chances in 100')
    """
    if loss != loss:
        return ""
    if loss < 0.01:
        return "under 1 chance in 100"
    if loss > 0.55:
        return "over 99 chances in 100" if loss > 0.99 else f"{100 * loss:.0f} chances in 100"
    return f"1 chance in {round(1 / loss)}"


def month_of(row: Mapping[str, Any], currency: str) -> Estimate:
    """Margin a month with its range."""
    ends = {"low": row["month_low"], "high": row["month_high"]}
    return Estimate(value=row["month"], unit=currency or "money", n=int(row["units"]), **ends)


def part_worth(found: Worth, *, largest: tuple[str, str] = ("", "")) -> Part:
    """What would each change bring a month, and how likely is a loss? The tile is of the `largest` test read."""
    facts, rows = found.results.facts, found.table.to_dict("records")
    currency, unit = facts.currency, facts.unit
    # Of a test that shows no difference in what decides neither amount nor chance may look like advice.
    table = found.results.table[found.results.table["primary"]].set_index(["experiment", "variant"])
    clear = set(table.index[(table["low"] > 0) | (table["high"] < 0)])
    rows = [one for one in rows if (one["experiment"], one["variant"]) in clear]
    row = next((one for one in rows if (one["experiment"], one["variant"]) == largest), None)
    part = Part(
        title="No test can be told in money yet",
        sentence=f"That takes a clear difference, and margin or profit measured for each of the {unit}.",
        metrics=[_tile(found, row)],
        tables={"worth": rounded(found.table)},
        detail=True,
    )
    if not rows:
        return part
    shown = pd.DataFrame(rows).assign(
        test=[facts.name(one["experiment"], one["variant"]) for one in rows],
        each=[effect_text(one | {"effect": one["per_unit"], "kind": "money"}, currency) for one in rows],
        said=[f"{month.text} ({month.span})" for month in (month_of(one, currency) for one in rows)],
        risk=[loss_text(one["loss"]) or "told at the end" for one in rows],
    )
    best = row or max(rows, key=lambda one: one["units"])
    cost = f", after {formats.money(found.offer_cost, currency, digits=2)} for the offer" if found.offer_cost else ""
    labels = {"test": "Test", "each": f"Margin for each of the {unit}", "said": "Margin a month"}
    labels |= {"units_a_month": f"{wording.upper(unit)} a month", "risk": "Chance of loss"}
    caption = f"Margin a month, with the range that the test allows; the chance of loss {_prior_words(best['past'])}"
    form = {"units_a_month": formats.number}
    chart = figures.table(shown, caption=caption, labels=labels, formats=form, file="tables/worth.csv")
    method = "The chance of a loss is estimated as if every effect had been equally likely before and the mean's error "
    method += f"were normal: it takes {LEAST_PAST} other finished tests to know how large effects are here."
    if best["past"]:
        method = f"The chance of a loss {_prior_words(best['past'])}: true effects are taken as normal around none, "
        method += "spread as those tests and this one tell (hierarchical normal model)."
    return replace(
        part,
        title=_title(best, facts.name(best["experiment"], best["variant"]), currency),
        sentence=f"At the test's own number of {unit}, if everybody got the new version{cost}.",
        chart=chart,
        caveats=[Caveat(text="Margin a month takes the test's own weeks for every month.")],
        method=[f"{method} It says nothing of whether the effect will last."],
        detail=False,
    )


def _prior_words(past: int) -> str:
    """What the chance of a loss rests on.

    >>> _prior_words(0), _prior_words(5)
    ('takes this test alone', 'counts what 5 other tests found, too')
    """
    return f"counts what {past} other tests found, too" if past else "takes this test alone"


def _tile(found: Worth, row: Mapping[str, Any] | None) -> Metric:
    facts = found.results.facts
    definition = f"margin for each of the {facts.unit} less the offer's cost, times {facts.unit} a month, in the test "
    said: dict[str, Any] = {"id": "margin_a_month", "definition": f"{definition}read at its end with the most"}
    if row is None:
        return Metric(label="Margin a month", value=None, unit=facts.currency or "money", **said)
    label = f"{wording.upper(facts.name(row['experiment'], row['variant']))}: margin a month"
    return Metric.of(month_of(row, facts.currency), label=label, headline=True, spread=True, signed=True, **said)


def _title(row: Mapping[str, Any], name: str, currency: str) -> str:
    ends = {"low": row["month_low"], "high": row["month_high"]}
    low, high = (formats.quantity(abs(end), currency or "money", **ends) for end in ends.values())
    if row["month_low"] > 0:
        return f"{wording.upper(name)} earns between {low} and {high} more a month"
    if row["month_high"] < 0:
        return f"{wording.upper(name)} costs between {high} and {low} a month"
    return f"{wording.upper(name)} could cost {low} a month or earn {high}"
