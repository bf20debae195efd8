"""Customers' purchase days and histories, as models of purchase timing see them."""

from __future__ import annotations

from datetime import date

import ibis
import ibis.expr.types as ir

from crmlib.shop.facts.orders import lone_credits, may_have_credits, net_orders
from crmlib.shop.shop import Shop

TRAITS = ("country", "region", "gender", "acquisition_channel")


def purchase_days(shop: Shop) -> ir.Table:
    """Grain: a customer's day with at least one order, guests out. Columns customer_id, day, orders, revenue.

    Orders of one day are one purchase, as every purchase-timing model counts. What a credit note gave back is taken
    from the customer's latest purchase day before it. Not enough for baskets or order values.
    """
    return _days(shop, until=None)


def _days(shop: Shop, *, until: date | None) -> ir.Table:
    """Purchase days before `until`, as they were known then: a credit note of a later day had not been written."""
    days = _ordered(shop)
    if until is not None:
        days = days.filter(days["day"] < ibis.literal(until))
    if not may_have_credits(shop):
        return days
    notes = lone_credits(shop).filter(lambda t: t.customer_id.notnull())
    if until is not None:
        notes = notes.filter(notes["day"] < ibis.literal(until))
    notes = notes.select("customer_id", "order_id", _noted="day", _amount="revenue")
    before = (
        days.select("customer_id", "day").inner_join(notes, "customer_id").filter(lambda t: t["day"] <= t["_noted"])
    )
    latest = before.group_by("customer_id", "order_id", "_amount").aggregate(day=before["day"].max())
    back = latest.group_by("customer_id", "day").aggregate(_back=latest["_amount"].sum())
    both = days.left_join(back, ["customer_id", "day"])
    return both.select(
        "customer_id", "day", "orders", revenue=(both["revenue"] + both["_back"].fill_null(0)).cast("decimal(38, 4)")
    )


def _ordered(shop: Shop) -> ir.Table:
    """Purchase days before credit notes. Asked again and again, of other days: the orders are summed once."""
    orders = net_orders(shop).filter(lambda t: t.customer_id.notnull())
    return shop.keep(
        orders.group_by("customer_id", "day").aggregate(orders=orders.count(), revenue=orders["revenue"].sum())
    )


def customer_history(shop: Shop, *, until: date) -> ir.Table:
    """Grain: a customer who bought before `until` (exclusive). What a purchase-timing model needs of the past.

    Columns customer_id, frequency (repeat purchase days), first_day, last_day, recency_days (first to last), t_days
    (first to the last day observed, `until` − 1), repeat_revenue (on repeat days), revenue (all).
    Exact for models of purchase timing; not enough for gaps, seasons or single orders.
    """
    days = _days(shop, until=until)
    first = days["day"].min().over(group_by="customer_id")
    days = days.mutate(_repeat=days["day"] > first)
    history = days.group_by("customer_id").aggregate(
        frequency=days["_repeat"].sum().cast("int64"),
        first_day=days["day"].min(),
        last_day=days["day"].max(),
        repeat_revenue=days["revenue"].sum(where=days["_repeat"]).fill_null(0),
        revenue=days["revenue"].sum().fill_null(0),
    )
    end = ibis.literal(until)
    return history.mutate(
        recency_days=history["last_day"].delta(history["first_day"], unit="day").cast("int64"),
        t_days=end.delta(history["first_day"], unit="day").cast("int64") - 1,
    )


def history_patterns(history: ir.Table) -> ir.Table:
    """Grain: a distinct (frequency, recency_days, t_days), with `customers` who share it, ordered.

    An exact compression: purchase-timing models see nothing else of a customer. Not enough for money.
    """
    patterns = history.group_by("frequency", "recency_days", "t_days").aggregate(customers=history.count())
    return patterns.order_by("frequency", "recency_days", "t_days")


def later_purchases(shop: Shop, *, start: date, end: date) -> ir.Table:
    """Grain: a customer with at least one purchase day in [start, end). Columns customer_id, purchases, revenue."""
    days = _days(shop, until=end)
    days = days.filter(days["day"] >= ibis.literal(start))
    return days.group_by("customer_id").aggregate(purchases=days.count(), revenue=days["revenue"].sum().fill_null(0))


def first_orders(shop: Shop, *more: str) -> ir.Table:
    """Grain: a customer with an order. customer_id, ordered_at, order_id, `more` of the first; lowest of a moment."""
    days = _ordered(shop)
    begun = days.group_by("customer_id").aggregate(day=days["day"].min())
    # Only orders of first days are put in order: a day's rows are few.
    orders = net_orders(shop, *more).filter(lambda t: t["customer_id"].notnull())
    first = orders.semi_join(begun, ["customer_id", "day"])
    place = ibis.row_number().over(ibis.window(group_by="customer_id", order_by=["ordered_at", "order_id"]))
    return first.mutate(_place=place).filter(lambda t: t["_place"] == 0).select(
        "customer_id", "ordered_at", "order_id", *more
    )  # fmt: skip


def customer_traits(shop: Shop) -> ir.Table:
    """Grain: a customer with an order. customer_id and the traits, as they stand in the tables."""
    asked = [column for column in ("channel", "coupon") if shop.has("orders", column)]
    found = shop.keep(first_orders(shop, *asked)).rename({f"first_{column}": column for column in asked})
    found = found.drop("ordered_at")
    if "coupon" in asked:
        used = found["first_coupon"].fill_null("") != ""
        found = found.mutate(first_coupon=ibis.ifelse(used, "with a coupon", "without a coupon"))
    if shop.has("order_lines") and shop.has("products", "category"):
        of_product = shop.table("products").select("product_id", "category")
        lines = shop.table("order_lines").semi_join(found, "order_id").inner_join(of_product, "product_id")
        held = lines.group_by("order_id").aggregate(first_product=lines["category"].argmin(lines["product_id"]))
        found = found.left_join(held, "order_id").drop("order_id_right")
    if own := [column for column in TRAITS if shop.has("customers", column)]:
        people = shop.table("customers").select("customer_id", *own)
        found = found.left_join(people, "customer_id").drop("customer_id_right")
    return found.drop("order_id")
