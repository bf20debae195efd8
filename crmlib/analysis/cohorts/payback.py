"""When has a newcomer earned what it cost to win one?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.cohorts.facts import GROUPS, LEAST, MONTHS, Newcomers
from crmlib.analysis.cohorts.firsts import who
from crmlib.findings import Metric, Part
from crmlib.formats import Estimate

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop


@dataclass(frozen=True, kw_only=True)
class Payback:
    """What newcomers earn by month, beside what they cost.

    curve    month, n (known that long), earned per newcomer by then, low, high
    cost     of winning one; nan where no acquisition costs are known
    groups   of each channel, first coupon and country: name, n, first and year (earned with the first order and in a
             year), refunds (share of first orders' money), cost (of one, by channel), paid (back after how long)
    """

    curve: pd.DataFrame
    cost: float
    called: str
    groups: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def months(self) -> Estimate:
        """First month by which the mean has covered the cost; no value where it has not, or nothing is known."""
        return months_to(self.curve, self.cost)


def months_to(curve: pd.DataFrame, cost: float) -> Estimate:
    """Months until the curve covers a cost, with the months at which its range does.

    >>> curve = pd.DataFrame({"month": [0, 1], "n": 50, "earned": [5.0, 9], "low": [4.0, 8], "high": [6.0, 10]})
    >>> months_to(curve, 7.0).value
    1.0
    """
    ends = {}
    for name in ("earned", "low", "high"):
        reached = curve.loc[curve[name] >= cost, "month"]
        ends[name] = float(reached.iloc[0]) if len(reached) and cost == cost else None
    n = int(curve["n"].max()) if len(curve) else 0
    return Estimate(value=ends["earned"], low=ends["high"], high=ends["low"], unit="months", n=n)


def bills(shop: Shop) -> ir.Table:
    """Grain: a month and a channel with acquisition costs. Columns first (month), channel (empty: all), amount."""
    costs = shop.table("costs")
    rows = costs.filter((costs["kind"].lower() == "acquisition").fill_null(False), costs["valid_from"].notnull())
    rows = rows.mutate(first=rows["valid_from"].date().truncate("M"), channel=rows["acquisition_channel"].strip())
    by = rows.group_by("first", "channel").aggregate(amount=rows["amount"].sum().cast("float64"))
    return by.order_by("first", "channel")


def payback(shop: Shop, found: Newcomers) -> Payback:
    """How much has a newcomer earned by each month since the first order, and when is that what one costs?

    Each month counts the newcomers known all of it, the dead and the faithful alike. Costs are those of months with
    newcomers, over all newcomers of those months.

    >>> list(payback(store, measure(store)).curve.columns)
    ['month', 'n', 'earned', 'low', 'high']
    """
    rows = found.of("all")
    paid = pd.DataFrame(columns=["first", "channel", "amount"])
    if shop.has("costs", "valid_from"):
        paid = shop.fetch(bills(shop)).assign(first=lambda t: pd.to_datetime(t["first"]))
    rows_of = [(by, str(name), own) for by in GROUPS for name, own in found.of(by).groupby("cohort")]
    groups = [_group(by, name, own, paid) for by, name, own in rows_of if own["n"].sum() >= LEAST]
    columns = ["name", "n", "first", "year", "refunds", "cost", "paid"]
    return Payback(curve=_curve(rows), cost=_cost(rows, paid), called=found.called,
                   groups=pd.DataFrame(groups, columns=columns))  # fmt: skip


def _cost(rows: pd.DataFrame, paid: pd.DataFrame) -> float:
    """What one newcomer of `rows` cost, in the months that have both."""
    paid = paid[paid["first"].isin(rows["first"])]
    won = int(rows.loc[rows["first"].isin(paid["first"]), "n"].sum())
    return float(paid["amount"].sum()) / won if won else float("nan")


def _group(by: str, name: str, rows: pd.DataFrame, paid: pd.DataFrame) -> tuple[object, ...]:
    curve, gross = _curve(rows).set_index("month")["earned"], float(rows["gross"].sum())
    cost = _cost(rows, paid[paid["channel"] == name]) if by == "channel" else float("nan")
    back = _paid(months_to(_curve(rows), cost).value) if cost == cost else None
    refunds = rows["given_back"].sum() / gross if gross else float("nan")
    return wording.upper(who(by, name)), int(rows["n"].sum()), curve.get(0), curve.get(12), refunds, cost, back


def _curve(rows: pd.DataFrame) -> pd.DataFrame:
    sums, lines = rows.drop(columns=["by", "cohort", "first"]).sum(), []
    for month in MONTHS:
        n = float(sums[f"n_{month}"])
        if n < LEAST:
            break
        mean = float(sums[f"margin_{month}"]) / n
        half = 1.96 * np.sqrt(max(float(sums[f"squares_{month}"]) / n - mean**2, 0.0) / n)
        lines.append((month, int(n), mean, mean - half, mean + half))
    return pd.DataFrame(lines, columns=["month", "n", "earned", "low", "high"])


def part_payback(found: Payback, *, shop: Shop) -> Part:
    """The finding: what a newcomer earns by month, and when that covers the cost of winning one."""
    if found.curve.empty or not found.curve["earned"].any():
        return Part()
    when = found.months

    def money(value: float) -> str:
        return formats.money(value, shop.currency)

    metrics = []
    if found.cost == found.cost:
        metrics = [
            Metric.of(when, id="payback_months", label="Months until paid back",
                      headline=when.value is not None, note=f"average of all; one costs {money(found.cost)}",
                      definition="whole months since the first order until the mean newcomer has earned what it cost "
                      "to win one; 95 % range of that mean")
        ]  # fmt: skip
    return Part(
        title=_title(found, money), metrics=metrics, detail=found.cost != found.cost,
        sentence=f"The first order brings {money(found.curve['earned'].iloc[0])} of {found.called}.",
        chart=figures.line(
            found.curve, x="month", y="earned", low="low", high="high", form=money, x_form=formats.number,
            across="Months since the first order", what=f"{found.called} per newcomer",
            reference=found.cost if found.cost == found.cost else None,
            table=_numbers(found, money) if len(found.groups) else None,
            caption="The line across is what it costs to win one." if found.cost == found.cost else "",
        ),
        tables={"payback": found.groups} if len(found.groups) else {},
    )  # fmt: skip


def _numbers(found: Payback, money: figures.Form) -> dict[str, object]:
    labels = {
        "name": "Newcomers",
        "n": "Number",
        "first": f"{wording.upper(found.called)} of the first order",
        "year": "In a year",
        "refunds": "Refunds of first orders",
        "cost": "One costs",
        "paid": "Paid back",
    }
    form = {"n": formats.people, "refunds": lambda share: formats.share(share, digits=1)}
    return figures.tabulate(
        found.groups, caption="Each newcomer by channel, first coupon and country; a dash: not known", labels=labels,
        formats=form | dict.fromkeys(("first", "year", "cost"), money), file="tables/payback.csv", rows=20,
    )  # fmt: skip


def _title(found: Payback, money: figures.Form) -> str:
    last = found.curve.iloc[-1]
    if found.cost != found.cost:
        return f"A newcomer brings {money(last['earned'])} of {found.called} in {_span(int(last['month']))}"
    if found.months.value is None:
        return f"A newcomer costs {money(found.cost)} and has not earned it in {_span(int(last['month']))}"
    return f"The {money(found.cost)} a newcomer costs was back {_paid(found.months.value)}, on average over all"


def _paid(month: float | None) -> str:
    if month is None or month != month:
        return "not yet"
    return "with the first order" if month == 0 else f"within {wording.counted(int(month), 'month')}"


def _span(month: int) -> str:
    return wording.counted(month, "month") if month else "the first order"
