"""Orders as money: what stands, what each line cost, what is left of an order.

Every table says its grain and what it is not enough for. Nothing is computed before an analysis fetches.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from crmlib.errors import NotAvailable
from crmlib.shop.shop import Shop

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
