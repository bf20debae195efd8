"""Can the shop's tables be trusted, and do they add up to what the platform itself reports?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import ibis.expr.types as ir
import pandas as pd

from crmlib import figures, formats
from crmlib.errors import DataError
from crmlib.findings import Action, Caveat, Check, Findings, Metric
from crmlib.shop import facts
from crmlib.shop.quality import SET_ASIDE
from crmlib.shop.tables import TABLES
from crmlib.stats import chance_range

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from crmlib.shop.shop import Shop

_MANY_SET_ASIDE = 0.01  # share of a table's rows from which a check warns
_MEND_WITHIN_DAYS = 14
_TELLING_ORDERS = 100


@dataclass(frozen=True, kw_only=True)
class Health:
    """What data_health measured. Amounts in the shop's currency; None where the shop has no such table or column.

    reconciliation  table, read, kept, set_aside, after_as_of; the last row is the sum
    faults          table, code, meaning, rows, kept
    months          month (first day), orders, revenue, refunds (of that month's orders, as known so far)
    guests          month (first day), orders, guests
    newest          table, day (its newest row)
    missing         code, meaning, orders, money (what they say they cost): orders set aside for another reason than standing twice
    unlisted        buyers who are missing from the customer list; None without one
    """

    as_of: date
    currency: str
    reconciliation: pd.DataFrame
    faults: pd.DataFrame
    months: pd.DataFrame
    guests: pd.DataFrame
    newest: pd.DataFrame
    missing: pd.DataFrame
    customers: int | None
    unlisted: int | None
    orders: int | None
    order_lines: int | None
    revenue: float | None

    @property
    def last_month_is_partial(self) -> bool:
        return not self.months.empty and self.months["month"].iloc[-1].date() == self.as_of.replace(day=1)


def guest_orders(shop: Shop) -> ir.Table:
    """Grain: a calendar month. Columns month (its first day), orders, guests (orders without a customer)."""
    orders = facts.net_orders(shop)
    months = orders.group_by(month=orders["day"].truncate("M"))
    return months.aggregate(orders=orders.count(), guests=orders["customer_id"].isnull().sum()).order_by("month")


def refunds(shop: Shop) -> ir.Table:
    """Grain: a calendar month. Columns month (its first day), refunds (what was given back of that month's orders)."""
    given = shop.table("orders").select("order_id", "refunded")
    orders = facts.net_orders(shop).filter(lambda t: t.revenue.notnull()).left_join(given, "order_id")
    months = orders.group_by(month=orders["day"].truncate("M"))
    return months.aggregate(refunds=orders["refunded"].sum().fill_null(0)).order_by("month")


def unlisted_buyers(shop: Shop) -> ir.Table:
    """Grain: one row. Column customers: buyers who are missing from the customer list."""
    buyers = facts.net_orders(shop).filter(lambda t: t.customer_id.notnull())
    unlisted = buyers.anti_join(shop.table("customers"), "customer_id")
    return unlisted.aggregate(customers=unlisted["customer_id"].nunique())


def order_totals(shop: Shop) -> ir.Table:
    """Grain: one row. Columns customers (distinct buyers), orders, revenue (net, in the shop's currency)."""
    orders = facts.net_orders(shop)
    return orders.aggregate(
        customers=orders["customer_id"].nunique(), orders=orders.count(), revenue=orders["revenue"].sum()
    )


def measure(shop: Shop) -> Health:
    """Are all rows accounted for, how fresh are they, and what do they add up to?

    Works on any shop: what its tables cannot tell is None. Raises DataError if the counts do not reconcile.
    """
    reconciliation = shop.reconciliation()
    parts = reconciliation[["kept", "set_aside", "after_as_of"]].sum(axis=1)
    if not (parts == reconciliation["read"]).all():
        raise DataError("rows read are not the rows kept, set aside and after as_of: please report this as a defect")
    nothing = pd.DataFrame({"month": pd.Series(dtype="datetime64[s]")})
    has_orders = shop.has("orders")
    totals = shop.fetch(order_totals(shop)).iloc[0] if has_orders else None
    return Health(
        as_of=shop.as_of,
        currency=shop.currency,
        reconciliation=reconciliation,
        faults=shop.faults(),
        months=_months(shop) if has_orders else nothing.assign(orders=0, revenue=0.0, refunds=0.0),
        guests=shop.fetch(guest_orders(shop)) if has_orders else nothing.assign(orders=0, guests=0),
        newest=_newest(shop),
        missing=_missing(shop),
        unlisted=int(shop.fetch(unlisted_buyers(shop))["customers"].iloc[0])
        if has_orders and shop.has("orders", "customer_id") and shop.has("customers")
        else None,
        customers=int(totals["customers"]) if totals is not None and shop.has("orders", "customer_id") else None,
        orders=int(totals["orders"]) if totals is not None else None,
        order_lines=shop.audits["order_lines"].kept if shop.has("order_lines") else None,
        revenue=float(totals["revenue"]) if totals is not None and not pd.isna(totals["revenue"]) else None,
    )


def _months(shop: Shop) -> pd.DataFrame:
    months = shop.fetch(facts.monthly(shop))
    if not shop.has("orders", "refunded"):
        return months.assign(refunds=0.0)
    return months.merge(shop.fetch(refunds(shop)), on="month", how="left").fillna({"refunds": 0.0})


def _missing(shop: Shop) -> pd.DataFrame:
    audit = shop.audits.get("orders")
    # Of a number that stands twice the first order counts, so nothing is missing.
    found = {code: (n, audit.money[code]) for code, n in audit.set_aside.items()} if audit else {}
    rows = [(code, SET_ASIDE[code], n, money) for code, (n, money) in found.items() if code != "repeated_key"]
    frame = pd.DataFrame(rows, columns=["code", "meaning", "orders", "money"])
    return frame.sort_values("orders", ascending=False, kind="stable", ignore_index=True)


def _newest(shop: Shop) -> pd.DataFrame:
    rows = []
    for name in shop.audits:
        time = TABLES[name].time
        if time and shop.has(name, time):
            table = shop.table(name)
            at = shop.fetch(table.aggregate(at=table[time].max()))["at"].iloc[0]
            if not pd.isna(at):
                rows.append((name, at.normalize()))
    return pd.DataFrame(rows, columns=["table", "day"])


def figure_months(health: Health) -> figures.Figure:
    """What did each month bring, to hold against the platform's own report?"""
    if health.months.empty:
        return _without_orders("Sales by month are not available", health)
    months = health.months.assign(name=health.months["month"].dt.strftime("%b %Y"))
    money = health.revenue is not None
    column, what = ("revenue", "Net sales") if money else ("orders", "Orders")
    unit = health.currency if money else "orders"
    partial = health.last_month_is_partial
    full = months.iloc[:-1] if partial else months
    if full.empty:
        title = f"{what}: not one full month yet"
    else:
        last = full.iloc[-1]
        title = f"{what} were {formats.quantity(round(last[column]), unit)} in {last['month']:%B %Y}"
        title += ", the last full month" if partial else ""
        title += _against_last_year(full, column)
    note = " The last month is not over." if partial else ""
    note += " Refunds of the last months' orders are still coming in." if money and _refunded(months) else ""

    def paint(ax: Axes, narrow: bool) -> None:
        import seaborn as sns

        shown = months.tail(18 if narrow else 36)
        colours = [figures.SOFT if partial and i == len(shown) - 1 else figures.ACCENT for i in range(len(shown))]
        sns.barplot(x=range(len(shown)), y=shown[column], hue=range(len(shown)), palette=colours, legend=False,
                    ax=ax, width=0.75, saturation=1)  # fmt: skip
        every = max(1, len(shown) // (3 if narrow else 6))
        ticks = list(range(len(shown) - 1, -1, -every))[::-1]
        ax.set_xticks(ticks, [shown["name"].iloc[i] for i in ticks])
        ax.yaxis.set_major_formatter(lambda value, _: formats.quantity(round(value), unit))
        ax.set(xlabel="", ylabel="")

    span = f"{months['name'].iloc[0]} to {months['name'].iloc[-1]}" if len(months) else "no month"
    low, high = (months[column].min(), months[column].max()) if len(months) else (0, 0)
    bounds = f"{formats.quantity(round(low), unit)} to {formats.quantity(round(high), unit)}"
    labels = {"name": "Month", "orders": "Orders"} | (
        {"revenue": f"Net sales, {health.currency or 'amount'}"} if money else {}
    )
    table = figures.tabulate(
        months[["name", "orders", "revenue"]][::-1],
        caption="Orders and net sales by month, newest first",
        labels=labels,
        formats={"orders": formats.number, "revenue": lambda value: formats.number(value, digits=2)},
        file="tables/months.csv",
    )
    return figures.draw(
        paint,
        title=title,
        sentence=f"{_to_hold_against(health)}{note}" if money else f"Orders by month; this shop has no amounts.{note}",
        alt=f"Bars of {what.lower()} by month, {span}, from {bounds}.",
        caption=f"{what} by calendar month{', paler where the month is not over' if partial else ''}.",
        table=table,
    )


def _against_last_year(months: pd.DataFrame, column: str) -> str:
    """The last month beside the same month a year before, which has the same season; '' where there is none."""
    # A month that just ended lacks refunds that a year-old one has: money is compared as it was before them.
    gross = column == "revenue" and _refunded(months)
    amounts = months[column] + months["refunds"] if gross else months[column]
    last = months["month"].iloc[-1]
    before = amounts[months["month"] == last - pd.DateOffset(years=1)]
    if before.empty or not before.iloc[0] > 0:
        return ""
    change = float(amounts.iloc[-1] / before.iloc[0] - 1)
    said = "; before refunds, " if gross else ", "
    if abs(change) < 0.005:
        return f"{said}as in the same month a year before"
    return f"{said}{formats.share(abs(change))} {'more' if change > 0 else 'less'} than a year before"


def _refunded(months: pd.DataFrame) -> bool:
    return bool((months["refunds"] != 0).any())


def _to_hold_against(health: Health) -> str:
    """What the monthly sums are to be compared with, and what is missing from them."""
    text = "Hold these months against your platform's own report, without cancelled orders"
    text += " and with each refund in the month of its order." if _refunded(health.months) else "."
    count = int(health.missing["orders"].sum())
    if not count:
        return f"{text} No order is missing here, so they should agree to the cent."
    reasons = ", ".join(f"{_brief(line.meaning)} ({line.orders:,})" for line in health.missing.itertuples())
    text += f" {count:,} {'order is' if count == 1 else 'orders are'} missing here, because {'it was' if count == 1 else 'they were'} set aside: {reasons}."
    positive = float(health.missing["money"].clip(lower=0).sum())
    negative = float(health.missing["money"].clip(upper=0).sum())
    sums = [f"to {formats.money(positive, health.currency)}"] if positive else []
    sums += [f"to {formats.money(negative, health.currency)} for those below zero"] if negative else []
    return text + (f" Their totals, as far as they can be read, come {', '.join(sums)}." if sums else "")


def _brief(meaning: str) -> str:
    """What is wrong, without what is done about it."""
    return meaning.split(";")[0]


def figure_guests(health: Health) -> figures.Figure:
    """How many orders have no customer behind them, and does that change?"""
    if health.guests.empty:
        return _without_orders("Guests cannot be counted", health)
    months = health.guests.assign(share=health.guests["guests"] / health.guests["orders"])
    orders, guests = int(months["orders"].sum()), int(months["guests"].sum())
    overall = guests / orders if orders else 0.0
    months["low"], months["high"] = chance_range(overall, months["orders"])
    # A month that has only begun says little.
    told = months[months["orders"] >= _TELLING_ORDERS]
    span = (
        f" By month the share stayed between {formats.share(told['share'].min(), digits=1)} and {formats.share(told['share'].max(), digits=1)}."
        if len(told) > 1
        else ""
    )

    def paint(ax: Axes, narrow: bool) -> None:
        import seaborn as sns

        ax.fill_between(months["month"], months["low"], months["high"], color=figures.SOFT, alpha=0.5, linewidth=0)
        sns.lineplot(months, x="month", y="share", color=figures.ACCENT, ax=ax)
        ax.set_ylim(0, max(0.02, 1.15 * months["high"].max()) if len(months) else 1)
        figures.time_axis(ax, narrow=narrow)
        ax.yaxis.set_major_formatter(
            lambda value, _: formats.share(value, digits=0 if value >= 0.1 or value == 0 else 1)
        )
        ax.set(xlabel="", ylabel="")

    title = f"{formats.share(overall, digits=1)} of orders come from guests" if guests else "Every order has a customer"
    return figures.draw(
        paint,
        title=title,
        sentence=f"Guests count in sales and baskets, but no history can be kept for them.{span}"
        if guests
        else "No order is from a guest, so every purchase belongs to somebody's history.",
        alt=f"Line of the share of guest orders by month with a band of chance; overall {formats.share(overall, digits=1)} of {orders:,}.",
        caption=f"Share of orders without a customer, by month. If nothing but chance moved it around {formats.share(overall, digits=1)}, "
        "19 months in 20 would lie within the band.",
        table=figures.tabulate(
            months[::-1].assign(name=months["month"].dt.strftime("%b %Y")),
            caption="Guest orders by month, newest first",
            labels={"name": "Month", "orders": "Orders", "guests": "From guests", "share": "Share"},
            formats={
                "share": lambda value: formats.share(value, digits=1),
                "orders": formats.number,
                "guests": formats.number,
            },
        ),
        height=3.2,
        narrow_height=2.8,
    )


def _without_orders(title: str, health: Health) -> figures.Figure:
    table = figures.tabulate(
        health.newest,
        caption="Newest row by table",
        labels={"table": "Table", "day": "Newest row"},
        formats={"day": lambda day: f"{day:%Y-%m-%d}"},
    )
    return figures.show_table(table, title=title, sentence="This shop has no orders in the time looked at.")


def table_reconciliation(health: Health) -> figures.Figure:
    """Is every row accounted for?"""
    total = health.reconciliation.iloc[-1]
    aside = int(total["set_aside"])
    counts = ("read", "kept", "set_aside", "after_as_of")
    return figures.show_table(
        figures.tabulate(
            health.reconciliation,
            caption=f"Rows read = kept + set aside + dated {formats.day(health.as_of)} or later, which are left for a later report",
            labels={
                "table": "Table",
                "read": "Read",
                "kept": "Kept",
                "set_aside": "Set aside",
                "after_as_of": "Dated later",
            },
            formats=dict.fromkeys(counts, formats.number),
        ),
        title=f"All {total['read']:,} rows are accounted for" + (f"; {aside:,} could not be used" if aside else ""),
        sentence="A row that cannot be used is set aside with its reason, never dropped in silence.",
    )


def table_faults(health: Health) -> figures.Figure:
    """Which faults does the export have, and do such rows still count?"""
    faults = health.faults.assign(use=health.faults["kept"].map({True: "kept", False: "set aside"}))
    faults = faults.sort_values(["kept", "rows"], ascending=[True, False], kind="stable")
    if faults.empty:
        title = "No fault found"
    else:
        worst = health.faults.sort_values("rows", ascending=False, kind="stable").iloc[0]
        what, *then = worst["meaning"].split("; ", 1)
        how_many = "; ".join([f"{worst['rows']:,} {_rows_of(worst['table'], worst['rows'])}", *then])
        title = f"Most common fault: {what} ({how_many})"
    return figures.show_table(
        figures.tabulate(
            faults,
            caption="Faults by table and reason",
            labels={
                "meaning": "What is wrong",
                "table": "Table",
                "rows": "Rows",
                "use": "Such rows are",
                "code": "Code",
            },
            formats={"rows": formats.number},
        ),
        title=title,
        sentence="Set-aside rows are listed with their row number in tables/set_aside.csv; mend them where they were made."
        if len(faults)
        else "Every row could be read and used as it stands.",
    )


def _rows_of(table: str, rows: int) -> str:
    """What the rows of a table are called: 'order lines'."""
    if table == "feedback":
        return "text" if rows == 1 else "texts"
    name = table.replace("_", " ")
    return name.removesuffix("s") if rows == 1 and not name.endswith("ss") else name


def findings(health: Health, *, shop: Shop) -> Findings:
    """What the shop's owner should know of the data before reading any other page."""
    total = health.reconciliation.iloc[-1]
    guests, orders = int(health.guests["guests"].sum()), health.orders
    guest_share = guests / orders if orders else None
    aside = int(total["set_aside"])
    since = f" since {health.months['month'].iloc[0]:%B %Y}" if len(health.months) else ""
    metrics = (
        _count("revenue", "Net sales", health.revenue, shop.money_rule(), unit=health.currency or "amount", n=orders,
               note=f"of {orders:,} orders{since}" if orders else ""),
        _count("orders", "Orders", orders, "kept orders that were not cancelled", headline=True, unit="orders", note=since.strip()),
        _count("customers", "Customers who bought", health.customers, _buyers_definition(health), headline=True, unit="customers",
               note=since.strip()),
        _count("order_lines", "Order lines", health.order_lines, "kept order lines, those of cancelled orders too", headline=False, unit="order lines"),
        _count("rows_read", "Rows read", int(total["read"]), "rows below the headers of all files", headline=False, unit="rows"),
        _count("rows_kept", "Rows kept", int(total["kept"]), "rows that could be read and kept", headline=False, unit="rows"),
        _count("rows_set_aside", "Rows set aside", aside, "rows that cannot be used, by reason in set_aside.csv",
               note=f"of {total['read']:,} read", unit="rows"),
        _count("rows_after_as_of", "Rows dated later", int(total["after_as_of"]), f"rows dated {formats.day(shop.as_of)} or later, left for a later report",
               headline=False, unit="rows"),
        _count("guest_order_share", "Orders from guests", guest_share, "orders without a customer as a share of all orders; both kept and not cancelled",
               unit="share", n=orders, note=f"{guests:,} orders" if orders else ""),
    )  # fmt: skip
    checks = _checks(health, shop)
    worst = [check for check in checks if check.verdict != "ok"]
    through = formats.day(shop.data_through) if shop.data_through else "an unknown day"
    lead = f"{'No' if not aside else f'{aside:,}'} of {total['read']:,} rows had to be set aside; data goes through {through}."
    lead += f" {worst[0].text}" if worst else " Nothing stands in the way of the other reports."
    actions = []
    if aside:
        actions.append(
            Action(
                what="Mend the export where it is made",
                why=_causes(health),
                count=aside,
                counted="row" if aside == 1 else "rows",
                by=formats.day(shop.as_of + timedelta(days=_MEND_WITHIN_DAYS)),
                owner="whoever keeps the shop system",
                file="tables/set_aside.csv",
            )
        )
    set_aside = shop.fetch(shop.set_aside(), max_rows=5_000_000)
    months = health.months.assign(month=health.months["month"].dt.strftime("%Y-%m")).drop(columns="refunds")
    missing = int(health.missing["orders"].sum())
    return Findings(
        report="data_health",
        lead=lead,
        status="warnings" if worst else "published",
        metrics=metrics,
        so_what=(
            f"{formats.share(total['kept'] / total['read'] if total['read'] else None, digits=1)} of all rows could be read and kept.",
            _standing(health, shop, through=through),
            "If the monthly sums differ from the platform's own"
            + (f" by more than the {missing:,} orders set aside can explain" if missing > 1 else "")
            + ", ask why before using the other pages.",
        ),
        how_sure=(
            "Counts and sums are of every row of every file, not of a sample, so they have no range; read is kept plus set aside plus dated later, "
            "table by table.",
            *(
                (
                    "The band in the chart of guests says how far single months would stray from the overall share by chance alone.",
                )
                if guests
                else ()
            ),
            shop.money_rule(),
            *(
                f"Not as known on that day, because the data does not say when it came about: {text}."
                for text in shop.not_as_known()
            ),
        ),
        caveats=(
            Caveat(
                text="What never reached the export cannot be seen here: compare the monthly sums with the platform."
            ),
            Caveat(text="A row can be readable and still wrong; only the stated checks were made."),
        ),
        actions=tuple(actions),
        checks=checks,
        tables={"set_aside": set_aside, "months": months},
    )


def _causes(health: Health) -> str:
    """Why rows were set aside: the two most frequent reasons, over all tables, in plain words."""
    aside = health.faults[~health.faults["kept"]].assign(meaning=lambda faults: faults["meaning"].map(_brief))
    sums = aside.groupby("meaning", sort=False)["rows"].sum().sort_values(ascending=False, kind="stable")
    said = [f"{meaning} ({rows:,})" for meaning, rows in sums.head(2).items()]
    rest = int(sums.iloc[2:].sum())
    return "; ".join([*said, *([f"other reasons ({rest:,})"] if rest else [])])


def _buyers_definition(health: Health) -> str:
    text = "distinct customers with a kept order that was not cancelled"
    if health.unlisted:
        text += (
            f"; {health.unlisted:,} of them {'is' if health.unlisted == 1 else 'are'} missing from the customer list"
        )
    return text


def _standing(health: Health, shop: Shop, *, through: str) -> str:
    """From the orders kept to the orders that count, which other pages start from."""
    if not health.orders:
        return (
            f"The newest record is of {through}; the day of this report, {formats.day(shop.as_of)}, is not part of it."
        )
    kept = int(health.reconciliation.set_index("table").loc["orders", "kept"])
    guests = int(health.guests["guests"].sum())
    gone = kept - health.orders
    return (
        f"Of {kept:,} orders kept, {health.orders:,} stand and {gone:,} {'was' if gone == 1 else 'were'} cancelled; {guests:,} of those that stand "
        f"{'is from a guest' if guests == 1 else 'are from guests'}. Other pages count from there, and say what else they leave out."
    )


def _count(
    id: str, label: str, value: float | None, definition: str, *, unit: str, n: int | None = None,
    headline: bool = True, note: str = "",
) -> Metric:  # fmt: skip
    return Metric(id=id, label=label, value=value, unit=unit, definition=definition, n=n, headline=headline, note=note)


def _checks(health: Health, shop: Shop) -> tuple[Check, ...]:
    checks = []
    for row in health.reconciliation.iloc[:-1].itertuples():
        gone = row.set_aside / row.read if row.read else 0.0
        name = f"rows of {row.table}"
        if row.kept == 0:
            checks.append(Check(name=name, verdict="failed", text=f"{row.table} has no usable row."))
        elif gone > _MANY_SET_ASIDE:
            text = f"{formats.share(gone, digits=1)} of {row.table} could not be used."
            checks.append(Check(name=name, verdict="warning", text=text))
        else:
            checks.append(Check(name=name, verdict="ok", text=f"{row.kept:,} of {row.read:,} usable."))
    if shop.stale():
        text = f"Data is older than {shop.settings.max_age}: the newest event is of {shop.data_through}."
        checks.append(Check(name="freshness", verdict="failed", text=text))
    elif shop.data_through is not None:
        gap = (shop.as_of - timedelta(days=1) - shop.data_through).days
        text = "Data goes up to the day before as-of." if gap <= 0 else f"The newest event is {gap} days before as-of."
        checks.append(Check(name="freshness", verdict="ok" if gap <= 7 else "warning", text=text))
    return tuple(checks)
