"""Orders by day, with days of no order as zeros, and the days that are known to be special."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib import formats, wording
from crmlib.shop import facts as shared
from crmlib.shop import segments
from crmlib.shop.facts import public_holidays
from crmlib.shop.shop import Shop

YEAR, WEEK = 365, 7
LEAST_DAYS, LEAST_ORDERS, SILENT_DAYS = 56, 50, 28
LARGE = 3.0  # orders a day a group needs to be watched by itself
_MOST_GROUPS = 6  # of one kind, the largest first
_BEFORE_DAYS = 56  # what a deviation is compared with
_HOURS = ("at night", "in the morning", "in the afternoon", "in the evening")
WATCHED = ("channel", "country", "category", "customers", "segment")
TOTAL = ("", "")


@dataclass(frozen=True, kw_only=True)
class Days:
    """A shop's days from its first order to the day before as_of, one row each.

    frame    day (index), orders, sales (NaN where there are no amounts), holiday (its name), span (name of the closure
             or campaign of shop.toml; such a day bends nothing and is no alert), masked (in such a span)
    lacks    why nothing can be concluded; '' where something can
    series   orders by what is watched: (kind, value) as columns, the first ('', '') all orders
    changing  segments that cannot be watched: what customers did lately decides who is in them
    """

    __repr__ = formats.outline

    frame: pd.DataFrame
    series: pd.DataFrame
    as_of: date
    currency: str
    country: str
    lacks: str = ""
    changing: tuple[str, ...] = ()

    @property
    def years(self) -> int:
        """Whole years there are."""
        return len(self.frame) // YEAR

    @property
    def open(self) -> NDArray[np.bool_]:
        """Days outside closures and campaigns."""
        return ~self.frame["masked"].to_numpy(bool)


def daily(shop: Shop) -> ir.Table:
    """Grain: a local day with an order or a credit note. Columns day, orders, revenue. Days without are not there."""
    sold = shared.sales(shop)
    return sold.group_by("day").aggregate(
        orders=sold["orders"].sum(), revenue=sold["revenue"].sum().cast("float64")
    ).order_by("day")  # fmt: skip


def labelled(shop: Shop, by: str) -> ir.Table:
    """Grain: an order and a value of `by`: channel, country, region, time of day, customers (one each), category,
    product, segment (each it is in).

    Columns order_id, day, value (empty: unknown). Customers are new with their first order, as far as there are orders.
    Not enough for money: orders with two products count twice.
    """
    orders = shared.net_orders(shop).select("order_id", "customer_id", "day", "ordered_at")
    if by == "channel":
        own = shop.table("orders", "channel").select("order_id", value="channel")
        rows = orders.left_join(own, "order_id")
    elif by in ("country", "region"):
        own = shop.table("customers", by).select("customer_id", value=by)
        rows = orders.left_join(own, "customer_id")
    elif by == "customers":
        place = ibis.row_number().over(ibis.window(group_by="customer_id", order_by=["ordered_at", "order_id"]))
        rows = orders.mutate(_place=place).filter(lambda t: t["customer_id"].notnull())
        rows = rows.mutate(value=ibis.ifelse(rows["_place"] == 0, "new", "returning"))
    elif by == "segment":
        named = {name: segments.members(shop, who) for name, who in _named(shop).items() if who.lasting}
        rows = ibis.union(
            *(orders.semi_join(who, "customer_id").mutate(value=ibis.literal(name)) for name, who in named.items())
        )
    elif by == "time of day":
        part = (orders["ordered_at"].hour() / 6).floor().cast("int64")
        rows = orders.mutate(value=part.cases(*enumerate(_HOURS), else_=_HOURS[0]))
    else:
        lines = shared.goods(shop)
        if by == "category":
            kinds = shop.table("products", "category").select("product_id", value="category")
            lines = lines.inner_join(kinds, "product_id")
        else:
            lines = lines.mutate(value=lines["product_id"])
        rows = orders.inner_join(lines.select("order_id", "value").distinct(), "order_id")
    return rows.select("order_id", "day", "value")


def daily_by(shop: Shop, by: str) -> ir.Table:
    """Grain: a day and a value of `by` with an order, of the values that are large enough. Columns day, value, n."""
    rows = labelled(shop, by)
    rows = rows.filter(rows["value"].notnull() & (rows["value"] != ""))
    recent = rows.filter(rows["day"] >= ibis.literal(shop.as_of - timedelta(days=YEAR)))
    large = recent.group_by("value").aggregate(_n=recent.count()).order_by(ibis.desc("_n"), "value").limit(_MOST_GROUPS)
    kept = rows.semi_join(large, "value")
    return kept.group_by("day", "value").aggregate(n=kept.count()).order_by("day", "value")


def around(shop: Shop, by: str, *, start: date, end: date) -> ir.Table:
    """Grain: a value of `by` with an order in [start, end) or the 56 days before. Columns value, before, during."""
    rows = labelled(shop, by)
    begin = start - timedelta(days=_BEFORE_DAYS)
    rows = rows.filter(rows["day"] >= ibis.literal(begin), rows["day"] < ibis.literal(end), rows["value"].notnull())
    during = (rows["day"] >= ibis.literal(start)).cast("int64")
    found = rows.group_by("value").aggregate(before=(1 - during).sum(), during=during.sum())
    return found.order_by(ibis.desc("before"), "value").limit(1000)


def _named(shop: Shop) -> dict[str, segments.Segment]:
    """The shop's own segments."""
    return {name: segments.segment(text, shop=shop) for name, text in segments.saved(shop).items()}


def kinds(shop: Shop, among: tuple[str, ...]) -> list[str]:
    """By which of these can this shop's orders be told apart?"""
    there = {
        "channel": shop.has("orders", "channel"),
        "country": shop.has("orders", "customer_id") and shop.has("customers", "country"),
        "region": shop.has("orders", "customer_id") and shop.has("customers", "region"),
        "category": shop.has("order_lines") and shop.has("products", "category"),
        "product": shop.has("order_lines"),
        "time of day": True,
        "customers": shop.has("orders", "customer_id"),
        "segment": shop.has("orders", "customer_id") and any(who.lasting for who in _named(shop).values()),
    }
    return [kind for kind in among if there[kind]]


def measure(shop: Shop) -> Days:
    """How many orders came on each day, in all and by channel, country, category, new or returning
    customers and the segments of segments.toml?

    With fewer than 56 days or 50 orders, an order less than once a week, or none for 28 days, nothing is concluded
    from them: `lacks` says so.

    >>> measure(store).frame["orders"].min() >= 0
    np.True_
    """
    rows = shop.fetch(daily(shop))
    orders = int(rows["orders"].sum()) if len(rows) else 0
    first = pd.Timestamp(rows["day"].min()) if orders else pd.Timestamp(shop.as_of)
    index = pd.date_range(first, pd.Timestamp(shop.as_of), inclusive="left", name="day")
    by_day = rows.assign(day=pd.to_datetime(rows["day"])).set_index("day")
    lacks = ""
    if len(index) < LEAST_DAYS or orders < LEAST_ORDERS:
        there = f"{wording.counted(orders, 'order')} in {wording.counted(len(index), 'day')}"
        lacks = f"{there}; {LEAST_ORDERS} in {LEAST_DAYS} are needed"
    elif (silent := (index[-1] - by_day.index[by_day["orders"] > 0].max()).days) >= SILENT_DAYS:
        lacks = f"the last order is {silent + 1} days old, so nothing can be said of now"
    elif WEEK * (came := int((by_day["orders"] > 0).sum())) < len(index):
        lacks = f"orders came on {came} of {formats.number(len(index))} days; one in a week is needed"
    sums = by_day.reindex(index)
    money = bool(by_day["revenue"].notna().any())
    frame = pd.DataFrame({"orders": sums["orders"].fillna(0).astype(float),
                          "sales": sums["revenue"].fillna(0.0 if money else np.nan)})  # fmt: skip
    span = pd.Series("", index=index)
    for one in (*shop.settings.closures, *shop.settings.campaigns):
        span[(index >= pd.Timestamp(one.start)) & (index <= pd.Timestamp(one.end))] = one.name or "closed"
    free = public_holidays(shop, date(index[0].year, 1, 1), date(index[-1].year, 12, 31)) if len(index) else {}
    holiday = pd.Series([free.get(day.date(), "") for day in index], index=index)
    frame = frame.assign(holiday=holiday, span=span, masked=span != "")
    parts = {TOTAL: frame["orders"]}
    for kind in () if lacks else kinds(shop, WATCHED):
        table = shop.fetch(daily_by(shop, kind))
        wide = table.assign(day=pd.to_datetime(table["day"])).pivot(index="day", columns="value", values="n")
        wide = wide.reindex(index).fillna(0.0).astype(float)
        if wide.shape[1] > 1 or kind == "segment":
            parts |= {(kind, str(v)): wide[v] for v in wide if wide[v].tail(YEAR).mean() >= LARGE}
    return Days(
        frame=frame, series=pd.DataFrame(parts), as_of=shop.as_of, currency=shop.currency if money else "",
        country=shop.settings.country if free else "", lacks=lacks,
        changing=tuple(name for name, who in _named(shop).items() if not who.lasting),
    )  # fmt: skip
