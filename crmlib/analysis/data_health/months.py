"""What did each month bring, beside a year before?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.data_health.facts import Health
from crmlib.findings import Metric, Part

_YEAR = 12


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A stretch of full months beside the same months a year earlier; `before` is None where they are not all there."""

    now: float
    before: float | None


def compare(health: Health, months: int, measure: str = "") -> Compared | None:
    """The last full months beside a year before, as they were known then: refunds of late months are still to come."""
    measure = measure or health.measure
    full = health.full_months
    if full.empty:
        return None
    last, first = full["month"].iloc[-1], full["month"].iloc[0]
    now = pd.date_range(end=last, periods=months, freq="MS")
    if first > now[0]:
        return None
    before = pd.date_range(end=last - pd.DateOffset(years=1), periods=months, freq="MS")
    column = full.set_index("month")
    earlier = column[measure if measure == "orders" else "then"]
    whole = health.like_for_like and before[0] >= first
    return Compared(
        now=float(column[measure].reindex(now, fill_value=0).sum()),
        before=float(earlier.reindex(before, fill_value=0).sum()) if whole else None,
    )


def part_months(health: Health, *, rule: str = "") -> Part:
    """What did each month bring beside a year before, to compare with the platform's own report?"""
    metrics = [*_sales(health), *_totals(health, rule)]
    if health.months.empty:
        return Part(metrics=metrics, tables={"months": _month_table(health)})
    frame = health.months.assign(
        name=health.months["month"].dt.strftime("%b %y"),
        before=_a_year_earlier(health),
        unfinished=[health.last_month_is_partial and i == len(health.months) - 1 for i in range(len(health.months))],
    )
    what = "Net sales" if health.measure == "revenue" else "Orders"
    form = _form(health)
    compared = frame["before"].notna().any()
    labels = {"name": "Month", "orders": "Orders"} | ({"revenue": "Net sales"} if health.measure == "revenue" else {})
    labels |= (
        {
            "before": "Year before, as known then"
            if health.measure == "revenue" and health.like_for_like
            else "Year before"
        }
        if compared
        else {}
    )
    chart = figures.columns(
        frame.tail(_YEAR if compared else 36),
        period="name", value=health.measure, before="before" if compared else "",
        unfinished="unfinished", what=f"{what} by month", form=form,
        caption="The last month is not whole." if health.last_month_is_partial else "",
        table=figures.tabulate(frame[::-1], caption=f"{what} by month, newest first", labels=labels,
                               formats=dict.fromkeys(("orders", "revenue", "before"), formats.number),
                               file="tables/months.csv"),
    )  # fmt: skip
    return Part(
        title=_months_title(health),
        chart=chart,
        glance=True,
        metrics=metrics,
        certain=[_to_compare(health)],
        tables={"months": _month_table(health)},
    )


def _form(health: Health) -> figures.Form:
    unit = health.unit
    return lambda value: wording.rounded_money(value, health.currency) if unit != "orders" else formats.number(value)


def _a_year_earlier(health: Health) -> pd.Series:
    """Each of the last months' year before as it was known then: later refunds had not been given back yet."""
    column = health.months.set_index("month")["orders" if health.measure == "orders" else "then"]
    before = pd.Series(column.reindex(health.months["month"] - pd.DateOffset(years=1)).to_numpy(dtype=float))
    # `then` is what was known a year before as_of, which is no earlier day than that of older months.
    return before.where(before.index >= len(before) - _YEAR - health.last_month_is_partial)


def _month_table(health: Health) -> pd.DataFrame:
    months = health.months[["month", "orders", "revenue"]]
    return months.assign(
        month=months["month"].dt.strftime("%Y-%m"), year_before_as_known_then=_a_year_earlier(health).round(2)
    )


def month_title(health: Health, month: Compared | None) -> str:
    what = "sales" if health.measure == "revenue" else "orders"
    if month is None:
        return f"No month is over yet, so {what} can't be compared"
    name = wording.month(health.full_months["month"].iloc[-1], as_of=health.as_of)
    return f"{name} {what} were {_amount(health, month.now)}{_on_last_year(month, health.unit)}"


def _months_title(health: Health) -> str:
    """How many of the last months were above those of the year before; where none can be compared, the best month."""
    what = "Sales" if health.measure == "revenue" else "Orders"
    full = health.full_months.assign(before=_a_year_earlier(health)).tail(_YEAR).dropna(subset=["before"])
    n = len(full)
    if n < 2 or not health.like_for_like:
        return _best_month(health, what)
    above, below = (int((sign * (full[health.measure] - full["before"]) > 0).sum()) for sign in (1, -1))
    if n in (above, below):
        months = "every month" if n == _YEAR else f"all {wording.small(n)} months that can be compared"
        return f"{what} were {'above' if above else 'below'} last year's in {months}"
    months = "last 12 months" if n == _YEAR else f"{n} months that can be compared"
    return f"{what} were above last year's in {above or 'none'} of the {months}"


def _best_month(health: Health, what: str) -> str:
    full = health.full_months.tail(_YEAR)
    if len(full) < 2 or full[health.measure].nunique() == 1:
        return f"{what}: too few months to compare" if len(full) < 2 else f"{what} were the same in every month"
    best = full.loc[full[health.measure].idxmax(), "month"]
    return f"{what} were highest in {best:%B %Y}"


def _amount(health: Health, value: float) -> str:
    return formats.quantity(round(value), health.unit)


def _on_last_year(compared: Compared, unit: str) -> str:
    if compared.before is None or not compared.before > 0:
        return ""
    moved = wording.change(compared.now, compared.before, unit, against="last year")
    return ", the same as last year" if moved.startswith("unchanged") else f", {moved}"


def _sales(health: Health) -> list[Metric]:
    """The tiles: the last full month and the last twelve, beside the same a year before."""
    found = []
    money = health.measure == "revenue"
    full = health.full_months.tail(25)
    line = tuple((f"{row.month:%Y-%m-%d}", float(getattr(row, health.measure))) for row in full.itertuples())
    for name, months in (("month", 1), ("12m", _YEAR)):
        compared = compare(health, months)
        if compared is None:
            continue
        what = "sales" if money else "orders"
        last = f"{wording.month(full['month'].iloc[-1], as_of=health.as_of)} {what}"
        found.append(
            Metric(
                id=f"{what}_{name}",
                label=last if months == 1 else f"{wording.upper(what)}, 12 months",
                value=round(compared.now, 2),
                unit=health.unit,
                headline=True,
                before=compared.before,
                against="last year" if months == 1 else "the year before",
                history=line if months == 1 else (),
                note=""
                if compared.before is not None
                else "no year before it yet"
                if health.like_for_like
                else "refunds have no day: not compared",
                definition=f"of the last {wording.counted(months, 'full month')}; the year before as it was known then",
            )
        )
    return [*found, *_average(health)] if money else found


def _average(health: Health) -> list[Metric]:
    """What moves a year's sales: how many orders, and what one comes to."""
    year, orders = compare(health, _YEAR), compare(health, _YEAR, "orders")
    if not year or not orders or not orders.now:
        return []
    told: dict[str, Any] = {"headline": True, "against": "the year before"}
    before = year.before / orders.before if year.before is not None and orders.before else None
    return [
        Metric(id="orders_12m", label="Orders, 12 months", value=orders.now, unit="orders", before=orders.before,
               definition="orders of the last 12 full months that were not cancelled", **told),
        Metric(id="average_order_12m", label="Average order, 12 months", value=round(year.now / orders.now, 2),
               unit=health.unit, definition="net sales of the last 12 full months by order", before=before, **told),
    ]  # fmt: skip


def _totals(health: Health, rule: str) -> list[Metric]:
    orders, guests = health.orders, int(health.guests["guests"].sum())
    unlisted = f"; {health.unlisted:,} of them missing from the customer list" if health.unlisted else ""
    return [
        Metric(id="revenue", label="Net sales", value=health.revenue, unit=health.currency or "amount", n=orders,
               running=True, definition=rule or "order totals less refunds, without cancelled orders"),
        Metric(id="orders", label="Orders, all time", value=orders, unit="orders", running=True,
               definition="kept orders that were not cancelled"),
        Metric(id="customers", label="Customers who ever bought", value=health.customers, unit="customers",
               running=True, headline=health.customers is not None and compare(health, _YEAR) is None,
               note=wording.counted(orders, "order") if orders else "",
               definition=f"distinct customers with a kept order that was not cancelled{unlisted}"),
        Metric(id="order_lines", label="Order lines", value=health.order_lines, unit="order lines", running=True,
               definition="kept order lines, those of cancelled orders too"),
        Metric(id="guest_order_share", label="Orders from guests, all time", value=guests / orders if orders else None,
               unit="share", n=orders, definition="orders without a customer / all orders; kept and not cancelled"),
    ]  # fmt: skip


def _to_compare(health: Health) -> str:
    """What the monthly sums are to be compared with, and what is missing from them."""
    refunded = bool((health.months["refunds"] != 0).any())
    text = "Check the monthly sales against your shop system's report, without cancelled orders"
    text += " and with each refund in the month of its order." if refunded else "."
    count = int(health.missing["orders"].sum())
    if not count:
        return text
    return f"{text} {wording.counted(count, 'order')} {wording.noun(count, 'is')} missing from them."
