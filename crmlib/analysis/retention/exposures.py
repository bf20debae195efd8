"""What had happened to customers by a few days after a purchase, before anybody knew who would stay.

Each is a lazy table of those to whom it happened, and only where the shop's data has a day for it: what came later is
never counted, neither for those who left nor for those who stayed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pandas as pd

from crmlib.analysis.retention.facts import MAX_CUSTOMERS, Limits, episodes
from crmlib.shop.facts import customer_traits, gaps, line_money, net_orders, since
from crmlib.shop.shop import Shop

BEFORE_DAYS = 30  # before the purchase, from which on tickets, reviews and price rises count
_PRICE_DAYS = 90
_DEARER = 1.05
_EARLIER = 10  # days with sales of a product that tell its price and pace
_DRY = 5  # times as long without a sale as usual
_SLOW_DAYS = 2
_UNHAPPY = 2
_LATE = 0.9

Asked = Callable[[Shop, ir.Table, "Window"], "ir.Table | None"]


@dataclass(frozen=True)
class Window:
    """How many days after the purchase things count, and from how many on a parcel is late (0: unknown)."""

    landmark: int
    late: int


def compared(shop: Shop, at: Limits) -> ir.Table:
    """Grain: a customer's last purchase before leaving, and one after which they stayed; its limit passed in the span.

    Columns customer_id, day, number, behind, spent, left. Purchases followed by another before the landmark are not in
    it. Of those after which a customer stayed one is chosen at random, so that nobody counts twice on a side.
    """
    rows = shop.keep(episodes(shop, at))
    rows = rows.filter((rows["over"] > 0) & (rows["over"] <= at.span) & (rows["gap"] > at.landmark)
                       & (rows["limit"] > at.landmark))  # fmt: skip
    rows = rows.mutate(left=rows["gap"] > rows["limit"])
    lot = (rows["customer_id"] + rows["number"].cast("string")).hexdigest("md5")
    order = [ibis.desc(ibis.ifelse(rows["left"], rows["number"], 0)), lot]
    place = ibis.row_number().over(ibis.window(group_by=["customer_id", "left"], order_by=order))
    one = rows.mutate(_n=place).filter(lambda t: t["_n"] == 0)
    one = shop.keep(one.select("customer_id", "day", "number", "behind", "left"))
    days = gaps(shop, day=at.day).select("customer_id", "revenue", _day="day")
    before = one.select("customer_id", "day").inner_join(days, "customer_id").filter(lambda t: t["_day"] <= t["day"])
    spent = before.group_by("customer_id", "day").aggregate(spent=before["revenue"].sum().cast("float64"))
    return one.inner_join(spent, ["customer_id", "day"]).select(
        "customer_id", "day", "number", "behind", "spent", "left"
    )


def _bought(shop: Shop, of: ir.Table) -> ir.Table:
    """The orders of each customer's day: order_id, customer_id, day."""
    rows = net_orders(shop).select("order_id", "customer_id", "day").semi_join(of, ["customer_id", "day"])
    return shop.keep(rows)  # four things are asked of them


def _within(at: ir.Column, day: ir.Column, window: Window, before: int = BEFORE_DAYS) -> ir.BooleanValue:
    apart = at.cast("date").delta(day, unit="day")
    return (apart >= -before) & (apart <= window.landmark)


def _late(shop: Shop, of: ir.Table, window: Window) -> ir.Table | None:
    if not window.late or window.late >= window.landmark:
        return None
    parcels = shop.table("shipments").select("order_id", "delivered_at").inner_join(_bought(shop, of), "order_id")
    return parcels.filter(parcels["delivered_at"].date().delta(parcels["day"], unit="day") > window.late)


def _refund(shop: Shop, of: ir.Table, window: Window) -> ir.Table | None:
    if not shop.has("orders", "refunded", "refunded_at"):
        return None
    back = shop.table("orders").filter(lambda t: t["refunded"] > 0).select("order_id", "refunded_at")
    back = back.inner_join(_bought(shop, of), "order_id")
    return back.filter(_within(back["refunded_at"], back["day"], window))


def _ticket(shop: Shop, of: ir.Table, window: Window) -> ir.Table | None:
    if not shop.has("tickets", "customer_id"):
        return None
    rows = shop.table("tickets").select("customer_id", "opened_at").inner_join(of, "customer_id")
    return rows.filter(_within(rows["opened_at"], rows["day"], window))


def _slow(shop: Shop, of: ir.Table, window: Window) -> ir.Table | None:
    if not shop.has("tickets", "customer_id", "first_reply_at") or window.landmark <= _SLOW_DAYS:
        return None
    rows = shop.table("tickets").select("customer_id", "opened_at", "first_reply_at").inner_join(of, "customer_id")
    waited = rows["first_reply_at"].date().delta(rows["opened_at"].date(), unit="day") > _SLOW_DAYS
    known = _within(rows["opened_at"], rows["day"], Window(window.landmark - _SLOW_DAYS - 1, 0))
    return rows.filter(known & waited.fill_null(True))


def _unhappy(shop: Shop, of: ir.Table, window: Window) -> ir.Table | None:
    if not shop.has("feedback", "customer_id", "rating", "created_at"):
        return None
    rows = shop.table("feedback").filter(lambda t: t["rating"] <= _UNHAPPY).select("customer_id", "created_at")
    rows = rows.inner_join(of, "customer_id")
    return rows.filter(_within(rows["created_at"], rows["day"], window))


def _dearer(shop: Shop, of: ir.Table, window: Window) -> ir.Table | None:
    if not (shop.has("order_lines", "quantity") and shop.has("order_lines")):
        return None
    days = selling_days(shop)
    rose = days.filter(days["price"] >= _DEARER * days["dearest"]).select("product_id", rose="day")
    lines = shop.table("order_lines").select("order_id", "product_id").inner_join(_bought(shop, of), "order_id")
    both = lines.inner_join(rose, "product_id")
    return both.filter(_within(both["rose"], both["day"], window, _PRICE_DAYS))


def _sold_out(shop: Shop, of: ir.Table, window: Window) -> ir.Table | None:
    if not shop.has("order_lines", "quantity"):
        return None
    days = selling_days(shop)
    # In tenths of a day: _EARLIER days with sales back, so that no engine divides.
    dry = ibis.least(days["next"], window.landmark + 1) * _EARLIER > ibis.greatest(_DRY * days["pace"], 7 * _EARLIER)
    stopped = days.filter(dry.fill_null(False)).select("product_id", "day")
    lines = shop.table("order_lines").select("order_id", "product_id").inner_join(_bought(shop, of), "order_id")
    return lines.semi_join(stopped, ["product_id", "day"])


def selling_days(shop: Shop) -> ir.Table:
    """Grain: a product's day with sales. Columns product_id, day, price (mean of a piece), and once ten such days were
    before it: dearest (of their prices), pace (days they took); next (days until it sold again, many where it never
    did). Not enough for who bought.
    """
    lines = shop.table("order_lines")
    lines = lines.mutate(_money=lines["unit_price"] * lines["quantity"]
                         if shop.has("order_lines", "unit_price") else line_money(shop))  # fmt: skip
    lines = lines.filter((lines["quantity"] > 0) & lines["_money"].notnull())
    sold = lines.inner_join(net_orders(shop).select("order_id", "day"), "order_id")
    days = sold.group_by("product_id", "day").aggregate(
        price=sold["_money"].sum().cast("float64") / sold["quantity"].sum().cast("float64")
    )
    own = ibis.window(group_by="product_id", order_by="day")
    begun = days["day"].lag(_EARLIER).over(own)
    # Not the day before: a price that rose in the middle of it would hide its own rise.
    before = ibis.window(group_by="product_id", order_by="day", preceding=(_EARLIER, 2))
    return shop.keep(days.mutate(
        dearest=ibis.ifelse(begun.notnull(), days["price"].max().over(before), None),
        pace=days["day"].delta(begun, unit="day").cast("int64"),
        next=ibis.coalesce(days["day"].lead().over(own), ibis.literal(shop.as_of)).delta(days["day"], unit="day")
        .cast("int64"),
    ))  # fmt: skip


ASKED: dict[str, Asked] = {
    "late delivery": _late, "refund": _refund, "ticket": _ticket, "slow answer": _slow, "unhappy text": _unhappy,
    "dearer": _dearer, "sold out": _sold_out,
}  # fmt: skip


def late_days(shop: Shop) -> int:
    """From how many days on is a parcel late? As nine of ten took no longer; 0 where the data does not say."""
    if not (shop.has("shipments", "delivered_at") and shop.has("orders")):
        return 0
    orders = net_orders(shop).select("order_id", "day")
    rows = shop.table("shipments").select("order_id", "delivered_at").inner_join(orders, "order_id")
    took = rows["delivered_at"].date().delta(rows["day"], unit="day").cast("int64")
    counted = rows.filter(rows["delivered_at"].notnull()).group_by(days=took).aggregate(n=lambda t: t.count())
    frame = shop.fetch(counted).sort_values("days")
    if frame.empty:
        return 0
    reached = (frame["n"].cumsum() / frame["n"].sum()).to_numpy()
    return int(frame["days"].iloc[int((reached >= _LATE).argmax())])


def exposed(shop: Shop, at: Limits) -> tuple[pd.DataFrame, Window]:
    """The rows of `compared`, with a column of true or false for each thing that may have happened, and texts.

    The texts are the customer's traits: first_product, first_channel, first_coupon, acquisition_channel, as far as the
    shop has them.
    """
    of = shop.keep(compared(shop, at))
    window = Window(at.landmark, late_days(shop))
    frame = shop.fetch(of, max_rows=MAX_CUSTOMERS).sort_values(["customer_id", "day"], ignore_index=True)
    purchase = pd.MultiIndex.from_frame(frame[["customer_id", "day"]])
    days = of.select("customer_id", "day")
    for name, ask in ASKED.items():
        rows = ask(shop, days, window)
        if rows is not None:
            who = shop.fetch(rows.select("customer_id", "day").distinct(), max_rows=MAX_CUSTOMERS)
            frame[name] = purchase.isin(pd.MultiIndex.from_frame(who)) if len(who) else False
    traits, late = customer_traits(shop), since(shop)[0]  # in data that begins late a first order may be a later one
    kept = [name for name in traits.columns
            if (name.startswith("first_") and late is None) or name == "acquisition_channel"]  # fmt: skip
    if kept:
        asked = traits.select("customer_id", *kept).semi_join(of, "customer_id")
        frame = frame.merge(shop.fetch(asked, max_rows=MAX_CUSTOMERS), on="customer_id", how="left")
    return frame, window
