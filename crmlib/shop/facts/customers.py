"""Customers' purchase days and histories, as models of purchase timing see them."""

from __future__ import annotations

from datetime import date

import ibis
import ibis.expr.types as ir

from crmlib.shop.facts.orders import net_orders
from crmlib.shop.shop import Shop


def purchase_days(shop: Shop) -> ir.Table:
    """Grain: a customer's day with at least one order, guests out. Columns customer_id, day, orders, revenue.

    Orders of one day are one purchase, as every purchase-timing model counts. Not enough for baskets or order values.
    """
    orders = net_orders(shop).filter(lambda t: t.customer_id.notnull())
    return orders.group_by("customer_id", "day").aggregate(orders=orders.count(), revenue=orders["revenue"].sum())


def customer_history(shop: Shop, *, until: date) -> ir.Table:
    """Grain: a customer who bought before `until` (exclusive). What a purchase-timing model needs of the past.

    Columns customer_id, frequency (repeat purchase days), first_day, last_day, recency_days (first to last), t_days
    (first to the last day observed, `until` − 1), repeat_revenue (on repeat days), revenue (all).
    Exact for models of purchase timing; not enough for gaps, seasons or single orders.
    """
    days = purchase_days(shop)
    days = days.filter(days["day"] < ibis.literal(until))
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
    days = purchase_days(shop)
    days = days.filter(days["day"] >= ibis.literal(start), days["day"] < ibis.literal(end))
    return days.group_by("customer_id").aggregate(purchases=days.count(), revenue=days["revenue"].sum().fill_null(0))
