"""What would it bring or cost to have the change for everybody, in money a month?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd
from scipy import stats

from crmlib.analysis.experiments.facts import Facts
from crmlib.analysis.experiments.measures import words
from crmlib.analysis.experiments.results import Results

DAYS_A_MONTH = 365.25 / 12
MARGIN = ("margin", "profit")
BRIEFLY = "as if every effect had been equally likely before"
ASSUMED = "as if every effect had been equally likely before the test, and the mean's error were normal"


@dataclass(frozen=True, kw_only=True)
class Worth:
    """Margin less the offer's cost, one row per experiment and arm with a readable margin metric.

    table       experiment, variant, metric, effect, per_unit (effect less offer_cost), low, high, units_a_month, month, month_low,
                month_high, loss (chance that per_unit is below 0, under `ASSUMED`; empty in a test that is still running, which may have been
                looked at because it did well), units (in both arms)
    offer_cost  what the offer costs for each unit of the arm, beyond what the margin metric already counts
    """

    table: pd.DataFrame
    offer_cost: float

    def __repr__(self) -> str:
        return f"Worth({len(self.table)} comparisons)"


def worth(facts: Facts, results: Results, *, offer_cost: float = 0.0, units_a_month: float = 0.0) -> Worth:
    """What would each arm bring a month, and how likely is a loss?

    The margin metric is the primary one if it is of margin, else the first of margin by name; revenue is no margin, so a
    test without one has no row. `units_a_month` is how many would meet the change; 0 takes the test's own pace, all
    arms together.
    """
    rows = []
    for (experiment, variant), mine in results.table.groupby(["experiment", "variant"], sort=True):
        row = margin_row(mine)
        if row is None or row["state"] != "ok":
            continue
        arms = facts.arms[facts.arms["experiment"] == experiment]
        span = (arms["last_at"].max().date() - arms["first_at"].min().date()).days + 1
        pace = units_a_month or float(arms["units"].sum()) / span * DAYS_A_MONTH
        per_unit, low, high = (float(row[name]) - offer_cost for name in ("effect", "low", "high"))
        loss = float(stats.norm.cdf(-per_unit / row["error"])) if not row["open"] else math.nan
        rows.append((experiment, variant, row["metric"], float(row["effect"]), per_unit, low, high, pace, per_unit * pace, low * pace,
                     high * pace, loss, int(row["n"] + row["n_control"])))  # fmt: skip
    names = ["experiment", "variant", "metric", "effect", "per_unit", "low", "high", "units_a_month", "month", "month_low", "month_high",
             "loss", "units"]  # fmt: skip
    return Worth(table=pd.DataFrame(rows, columns=names), offer_cost=offer_cost)


def margin_row(rows: pd.DataFrame) -> pd.Series | None:
    """The row of one arm that speaks of margin for each unit, tested or not; the primary one first."""
    plain = rows[~rows["metric"].str.contains("/|@", regex=True)]
    named = plain[[any(word in words(metric).casefold() for word in MARGIN) for metric in plain["metric"]]]
    return (
        None
        if named.empty
        else named.sort_values(["primary", "metric"], ascending=[False, True], kind="stable").iloc[0]
    )
