"""What the data cannot say: guests, columns that are not there, days that are missing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from crmlib import figures, formats, wording
from crmlib.analysis.data_health.facts import Health, shared_addresses
from crmlib.findings import Action, Caveat, Check, Part
from crmlib.stats import chance_range

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

_MANY_SET_ASIDE = 0.01  # share of a table's rows from which a check warns
_TELLING_ORDERS = 100
_MANY_LOST = 0.1  # share of references to another table from which those that find nothing are a fault


def part_guests(health: Health) -> Part | None:
    """How many orders have no customer behind them, and does that change?"""
    orders, guests = int(health.guests["orders"].sum()), int(health.guests["guests"].sum())
    if not guests:
        return None
    overall = guests / orders
    low, high = chance_range(overall, health.guests["orders"])
    months = health.guests.assign(share=health.guests["guests"] / health.guests["orders"], low=low, high=high)
    told = months[months["orders"] >= _TELLING_ORDERS]
    moved = bool(((told["share"] < told["low"]) | (told["share"] > told["high"])).sum() > max(1, 0.1 * len(told)))
    steady = "" if len(told) < 2 else ", and the share changes over time" if moved else ", steady over time"
    digits = 0 if overall >= 0.02 else 1
    return Part(
        title=f"{formats.share(overall, digits=digits)} of orders come from guests{steady}",
        sentence="Guests count in sales and baskets, but their next order can't be recognised as theirs.",
        chart=figures.line(
            months, x="month", y="share", low="low", high="high", what="Orders from guests",
            form=lambda value: formats.share(value, digits=0 if value >= 0.1 or value == 0 else 1),
            caption="Band: where 19 months in 20 would lie if nothing but chance moved the share.",
            table=figures.tabulate(
                months[::-1].assign(name=months["month"].dt.strftime("%b %Y")),
                caption="Guest orders by month, newest first",
                labels={"name": "Month", "orders": "Orders", "guests": "From guests", "share": "Share"},
                formats={"share": lambda value: formats.share(value, digits=1), "orders": formats.number,
                         "guests": formats.number},
            ),
        ),
    )  # fmt: skip


def part_fields(health: Health) -> Part | None:
    """Which columns would let the pages say more?"""
    if health.fields.empty:
        return None
    first = health.fields.iloc[0]
    name = f"{first['table']}.{first['column']}"
    return Part(
        title=f"{wording.upper(wording.counted(len(health.fields), 'column'))} would let these pages say more",
        sentence=f"Most useful: {name}, to show {first['shows']}.",
        detail=True,
        chart=figures.table(
            health.fields.assign(name=health.fields["table"] + "." + health.fields["column"]),
            caption="Columns worth collecting", labels={"name": "Column", "shows": "It would show"},
        ),
        actions=[Action(what=f"Export {first['asked']}, to see {first['shows']}", owner="shop")],
    )  # fmt: skip


def _references(health: Health, shop: Shop) -> Iterator[Check | None]:
    """Do orders find their customers, and lines their orders and products?"""
    if shop.has("orders", "customer_id") and shop.has("customers"):
        orders = shop.audits["orders"]
        named = orders.kept - int(health.guests["guests"].sum())
        yield _missing("orders", "customer", orders.oddities.get("unknown_customer", 0), named)
    if shop.has("order_lines"):
        lines = shop.audits["order_lines"]
        lost = lines.set_aside.get("unknown_order", 0)
        yield _missing("order lines", "order", lost, lines.kept + lost)
        if shop.has("products"):
            yield _missing("order lines", "product", lines.oddities.get("unknown_product", 0), lines.kept)


def _missing(rows: str, of: str, lost: int, named: int) -> Check | None:
    if not lost or lost <= _MANY_LOST * named:
        return None
    share = formats.share(min(lost / named, 1.0)) if named else "All"
    text = f"{share} of {rows} find no {of} in the {of} list: look whether both files write the number alike."
    return Check(name=f"{of}s of {rows}", verdict="failed", text=text)


def part_checks(health: Health, *, shop: Shop) -> Part:
    """Is the data complete and fresh enough for the other pages?"""
    checks = []
    for row in health.reconciliation.iloc[:-1].itertuples():
        gone = row.set_aside / row.read if row.read else 0.0
        name, words = f"rows of {row.table}", row.table.replace("_", " ")
        if row.kept == 0:
            checks.append(Check(name=name, verdict="failed", text=f"The {words} file has no usable row."))
        elif gone > _MANY_SET_ASIDE:
            text = f"{formats.share(gone, digits=1)} of {words} could not be used."
            checks.append(Check(name=name, verdict="warning", text=text))
        else:
            checks.append(Check(name=name, verdict="ok", text=f"{row.kept:,} of {row.read:,} usable."))
    checks += [check for check in _references(health, shop) if check]
    through = shop.data_through
    if shop.stale():
        text = f"The newest data is from {through}, older than {shop.settings.max_age}."
        checks.append(Check(name="freshness", verdict="failed", text=text))
    elif through is not None:
        gap = (shop.as_of - timedelta(days=1) - through).days
        text = "The data is up to date." if gap <= 0 else f"The newest data is {wording.counted(gap, 'day')} old."
        checks.append(Check(name="freshness", verdict="ok" if gap <= 7 else "warning", text=text))
    n = int(shop.fetch(shared_addresses(shop)).iloc[0, 0]) if shop.has("customers", "email") else 0
    several = f"{wording.counted(n, 'e-mail address', 'e-mail addresses')} {wording.noun(n, 'stands', 'stand')}"
    said = [Caveat(text=f"{several} at more than one customer: they may be one person.")] if n else []
    unknown = [f"Not as known on that day, for want of a date: {text}." for text in shop.not_as_known()]
    return Part(checks=checks, caveats=said, method=[shop.money_rule(), *unknown])
