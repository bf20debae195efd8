"""Lazy tables that several analyses share: orders as money, purchase days, customer histories, baskets.

Each says its grain and what it is not enough for. Nothing is computed before an analysis fetches.
"""

from __future__ import annotations

from datetime import date

import ibis
import ibis.expr.types as ir

from crmlib.errors import NotAvailable
from crmlib.shop.engine import Shop

_CANCELLED = ["cancelled", "canceled", "voided"]


def line_money(shop: Shop) -> ir.DecimalColumn:
    """The price of each order line: line_total, else unit_price × quantity. NotAvailable without either."""
    lines = shop.table("order_lines")
    if shop.has("order_lines", "line_total"):
        return lines["line_total"]
    if shop.has("order_lines", "unit_price", "quantity"):
        return (lines["unit_price"] * lines["quantity"]).cast("decimal(18, 4)")
    raise NotAvailable("money needs orders.total, order_lines.line_total, or order_lines.unit_price and quantity")


def net_orders(shop: Shop) -> ir.Table:
    """Grain: one order that was not cancelled. Columns order_id, customer_id (empty: guest), ordered_at, day, revenue.

    revenue is total − refunded in the shop's currency; without totals the lines' sum stands for it, and without both
    it is empty. Not enough for products, nor for what a cancelled order would have been.
    """
    orders = shop.table("orders")
    standing = orders.filter(
        orders["cancelled_at"].isnull(), ~orders["status"].lower().isin(_CANCELLED).fill_null(False)
    )
    gross = standing["total"]
    if not shop.has("orders", "total") and _lines_have_money(shop):
        lines = shop.table("order_lines").mutate(_money=line_money(shop))
        sums = lines.group_by("order_id").aggregate(_gross=lines["_money"].sum())
        standing = standing.left_join(sums, "order_id").drop("order_id_right")
        gross = standing["_gross"]
    return standing.select(
        "order_id",
        "customer_id",
        "ordered_at",
        day=standing["ordered_at"].date(),
        revenue=(gross - standing["refunded"].fill_null(0)).cast("decimal(18, 4)"),
    )


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


def basket_items(shop: Shop, *, level: str = "product") -> ir.Table:
    """Grain: one distinct item of one basket. Columns order_id, customer_id (empty: guest), day, item.

    `level` is product, category or brand. A basket is a kept order with at least one positive line; items of quantity
    zero or below do not count, several pieces count once. Without an orders table customer_id and day are empty.
    Exact for itemsets of any size; not enough for quantities or money.
    """
    lines = shop.table("order_lines")
    if shop.has("order_lines", "quantity"):
        lines = lines.filter((lines["quantity"] > 0).fill_null(False))
    if level == "product":
        lines = lines.mutate(item=lines["product_id"])
    else:
        products = shop.table("products", level).select("product_id", item=level)
        lines = lines.inner_join(products.filter(products["item"].notnull()), "product_id")
    items = lines.select("order_id", "item").distinct()
    if not shop.has("orders"):
        return items.mutate(customer_id=ibis.null("string"), day=ibis.null("date"))
    orders = net_orders(shop).select("order_id", "customer_id", "day")
    return items.inner_join(orders, "order_id").select("order_id", "customer_id", "day", "item")


def item_money(shop: Shop, *, level: str = "product") -> ir.Table:
    """Grain: an item that was sold. Columns item, pieces, sales, known_pieces, known_sales, cost.

    Positive lines of kept orders, before shipping, refunds and discounts on the whole order. The known columns and
    cost are of lines whose unit cost is known, from the line or else from the product. NotAvailable without prices
    or quantities. Enough for averages per piece; not enough for what one order earned.
    """
    lines = shop.table("order_lines", "quantity")
    lines = lines.mutate(_money=line_money(shop)).filter((lines["quantity"] > 0).fill_null(False))
    if shop.has("orders"):
        lines = lines.semi_join(net_orders(shop), "order_id")
    cost = lines["unit_cost"]
    if shop.has("products"):
        kinds = shop.table("products").select("product_id", "category", "brand", _list_cost="unit_cost")
        lines = lines.left_join(kinds, "product_id").drop("product_id_right")
        cost = lines["unit_cost"].fill_null(lines["_list_cost"])
    item = lines["product_id" if level == "product" else level]
    lines = lines.mutate(item=item, _cost=cost * lines["quantity"])
    known = lines["_cost"].notnull()
    sums = lines.filter(lines["item"].notnull()).group_by("item")
    return sums.aggregate(
        pieces=lines["quantity"].sum().cast("float64"),
        sales=lines["_money"].sum().fill_null(0).cast("float64"),
        known_pieces=lines["quantity"].sum(where=known).fill_null(0).cast("float64"),
        known_sales=lines["_money"].sum(where=known).fill_null(0).cast("float64"),
        cost=lines["_cost"].sum(where=known).fill_null(0).cast("float64"),
    )


def monthly(shop: Shop) -> ir.Table:
    """Grain: a calendar month of the shop's time zone with orders. Columns month (its first day), orders, revenue."""
    orders = net_orders(shop)
    months = orders.group_by(month=orders["day"].truncate("M"))
    return months.aggregate(orders=orders.count(), revenue=orders["revenue"].sum()).order_by("month")


def has_costs(shop: Shop) -> bool:
    """Are there lines with unit costs of their own, or of their products?"""
    in_products = shop.has("products", "unit_cost") and shop.has("order_lines", "quantity")
    return shop.has("order_lines") and (shop.has("order_lines", "unit_cost", "quantity") or in_products)


def order_margins(shop: Shop) -> ir.Table:
    """Grain: an order that was not cancelled, with lines. What is left of it after discounts, refunds and product costs.

    Columns order_id, customer_id, day, revenue, goods (its lines' money), known (that of lines with a cost), margin and
    returned_cost (what the goods that came back had cost), both empty where no line has a cost. Lines without a cost are taken to earn as the order's others do; what was given back counts as
    goods that came back; shipping is neither earned nor spent. A shop without costs has none: ask `has_costs` first.
    """
    lines = shop.table("order_lines").mutate(_money=line_money(shop))
    cost = lines["unit_cost"] if shop.has("order_lines", "unit_cost") else ibis.null("decimal(18, 4)")
    if shop.has("products", "unit_cost"):
        costs = shop.table("products").select("product_id", _list_cost="unit_cost")
        lines = lines.left_join(costs, "product_id").drop("product_id_right")
        own = lines["unit_cost"] if shop.has("order_lines", "unit_cost") else lines["_list_cost"]
        cost = own.fill_null(lines["_list_cost"])
    lines = lines.mutate(_cost=cost * lines["quantity"])
    seen = lines["_cost"].notnull()
    sums = lines.group_by("order_id").aggregate(
        goods=lines["_money"].sum().cast("float64"),
        known=lines["_money"].sum(where=seen).fill_null(0).cast("float64"),
        _cost=lines["_cost"].sum(where=seen).cast("float64"),
    )
    paid = shop.table("orders").select("order_id", "total", "discount")
    orders = net_orders(shop).inner_join(sums, "order_id").left_join(paid, "order_id").drop("order_id_right")
    revenue = orders["revenue"].cast("float64")
    whole = orders["total"].cast("float64").nullif(0).fill_null(orders["goods"]).nullif(0)
    discount = orders["discount"].cast("float64").fill_null(0)
    kept = revenue / whole
    cost = orders["_cost"] * orders["goods"] / orders["known"].nullif(0)
    return orders.select(
        "order_id", "customer_id", "day", "goods", "known",
        revenue=revenue, margin=(orders["goods"] - discount - cost) * kept, returned_cost=cost * (1 - kept),
    )  # fmt: skip


def _lines_have_money(shop: Shop) -> bool:
    return shop.has("order_lines", "line_total") or shop.has("order_lines", "unit_price", "quantity")
