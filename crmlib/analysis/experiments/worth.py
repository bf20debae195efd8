"""What would it bring or cost to have the change for everybody, in money a month?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from scipy import stats

from crmlib import figures, formats, wording
from crmlib.analysis.experiments.measures import amount, rounded, words
from crmlib.analysis.experiments.results import Results
from crmlib.findings import Caveat, Metric, Part
from crmlib.formats import Estimate

DAYS_A_MONTH = 365.25 / 12
MARGIN = ("margin", "profit")
_COLUMNS = ["experiment", "variant", "metric", "effect", "per_unit", "low", "high", "units_a_month", "month",
            "month_low", "month_high", "loss", "units"]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Worth:
    """Margin less the offer's cost, one row per experiment and arm with a readable margin metric.

    table       experiment, variant, metric, effect, per_unit (effect less offer_cost), low, high, units_a_month, month,
                month_low, month_high, loss (chance that per_unit is below 0, as if every effect had been equally likely
                before the test; empty in a test that is still running, which may have been looked at because it did
                well), units (in both arms)
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
    for (experiment, variant), mine in results.table.groupby(["experiment", "variant"], sort=True):
        row = margin_row(mine)
        if row is None or row["state"] != "ok":
            continue
        pace = units_a_month or results.facts.a_day(str(experiment)) * DAYS_A_MONTH
        per_unit, low, high = (float(row[name]) - offer_cost for name in ("effect", "low", "high"))
        loss = float(stats.norm.cdf(-per_unit / row["error"])) if not row["open"] else math.nan
        rows.append((experiment, variant, row["metric"], float(row["effect"]), per_unit, low, high, pace,
                     per_unit * pace, low * pace, high * pace, loss, int(row["n"] + row["n_control"])))  # fmt: skip
    return Worth(results=results, table=pd.DataFrame(rows, columns=_COLUMNS), offer_cost=offer_cost)


def margin_row(rows: pd.DataFrame) -> pd.Series | None:
    """The row of one arm that speaks of margin for each unit, tested or not; the primary one first."""
    plain = rows[~rows["metric"].str.contains("/|@", regex=True)]
    named = plain[[any(word in words(metric).casefold() for word in MARGIN) for metric in plain["metric"]]]
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
    return Estimate(value=row["month"], low=row["month_low"], high=row["month_high"], unit=currency or "money",
                    n=int(row["units"]))  # fmt: skip


def part_worth(found: Worth, *, largest: tuple[str, str] = ("", "")) -> Part:
    """What would each change bring a month, and how likely is a loss? The tile is of the `largest` test that was read."""
    facts, table = found.results.facts, found.table
    currency = facts.currency
    row = found.of(*largest)
    unit = currency or "money"
    definition = f"margin for each of the {facts.unit} less the offer's cost, times {facts.unit} a month, in the test read at its end with the most"
    metric = Metric(id="margin_a_month", label="Margin a month", value=None, unit=unit, definition=definition)
    if row is not None:
        risk = loss_text(row["loss"])
        metric = Metric.of(
            month_of(row, currency), id="margin_a_month", definition=definition, headline=True, spread=True, signed=True,
            label=f"{wording.upper(facts.name(*largest))}: margin a month",
            note=f"{risk} that it loses money" if risk else "",
        )  # fmt: skip
    published = {"worth": rounded(table)}
    if table.empty:
        return Part(
            title="No test can be told in money yet",
            sentence=f"That takes margin or profit measured for each of the {facts.unit}; revenue is not what is earned.",
            metrics=[metric], tables=published, detail=True,
        )  # fmt: skip
    shown = table.assign(
        test=[facts.name(one.experiment, one.variant) for one in table.itertuples()],
        each=[_each_text(one, currency) for one in table.to_dict("records")],
        said=[f"{m.text} ({m.span})" for m in (month_of(one, currency) for one in table.to_dict("records"))],
        risk=[loss_text(loss) or "told at the end" for loss in table["loss"]],
    )
    best = row or table.sort_values("units", ascending=False, kind="stable").to_dict("records")[0]
    cost = f", after {formats.money(found.offer_cost, currency, digits=2)} for the offer" if found.offer_cost else ""
    return Part(
        title=_title(best, facts.name(best["experiment"], best["variant"]), currency),
        sentence=f"At the test's own number of {facts.unit}, if everybody got the new version{cost}.",
        chart=figures.table(
            shown,
            caption="Margin a month, with the range that the test allows",
            labels={"test": "Test", "each": f"Margin for each of the {facts.unit}", "said": "Margin a month",
                    "units_a_month": f"{wording.upper(facts.unit)} a month", "risk": "Chance of loss"},
            formats={"units_a_month": formats.number},
            file="tables/worth.csv",
        ),
        metrics=[metric],
        caveats=[Caveat(text="Margin a month takes the test's own weeks for every month.")],
        method=["The chance of a loss is estimated as if every effect had been equally likely before the test and the "
                "mean's error were normal; it says nothing of whether the effect will last."],
        tables=published,
    )  # fmt: skip


def _title(row: Mapping[str, Any], name: str, currency: str) -> str:
    low, high = (formats.quantity(abs(row[end]), currency or "money", low=row["month_low"], high=row["month_high"])
                 for end in ("month_low", "month_high"))  # fmt: skip
    if row["month_low"] > 0:
        return f"{wording.upper(name)} earns between {low} and {high} more a month"
    if row["month_high"] < 0:
        return f"{wording.upper(name)} costs between {high} and {low} a month"
    return f"{wording.upper(name)} could cost {low} a month or earn {high}"


def _each_text(row: Mapping[str, Any], currency: str) -> str:
    width = row["high"] - row["low"]
    ends = [amount(row[end], "money", currency, width=width) for end in ("low", "high")]
    return f"{amount(row['per_unit'], 'money', currency, width=width, sign=True)} ({ends[0]} to {ends[1]})"
