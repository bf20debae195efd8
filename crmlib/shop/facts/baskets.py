"""The items of baskets, and what they earn."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from crmlib.shop.facts.orders import line_money, net_orders, untaxed
from crmlib.shop.shop import Shop


def goods(shop: Shop, lines: ir.Table | None = None) -> ir.Table:
    """Order lines without those that are money only: postage, fees, tips, gift cards. Grain and columns as they are."""
    lines = shop.table("order_lines") if lines is None else lines
    return lines.filter(~lines["product_id"].isin(list(shop.not_goods))) if shop.not_goods else lines


def basket_items(shop: Shop, *, level: str = "product", of: ir.Table | None = None) -> ir.Table:
    """Grain: one distinct item of one basket. Columns order_id, customer_id (empty: guest), day, item.

    `level` is product, category or brand. A basket is a kept order with at least one positive line; items of quantity
    zero or below do not count, nor postage, fees and gift cards, several pieces count once. Without an orders table
    customer_id and day are empty. With `of` only orders whose order_id stands there. Exact for itemsets of any size;
    not enough for quantities or money.
    """
    lines = goods(shop) if of is None else goods(shop).semi_join(of, "order_id")
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
    """Grain: an item that was sold. Columns item, pieces, sales, known_pieces, known_sales, tax, cost.

    Positive lines of kept orders, before shipping, refunds and discounts on the whole order. The known columns and
    cost are of lines whose unit cost is known, from the line or else from the product; tax is what is known of the tax
    in known_sales. NotAvailable without prices or quantities. Enough for averages per piece; not enough for what one
    order earned.
    """
    lines = shop.table("order_lines", "quantity").mutate(_money=line_money(shop))
    lines = goods(shop, lines).filter((lines["quantity"] > 0).fill_null(False))
    if shop.has("orders"):
        lines = lines.semi_join(net_orders(shop), "order_id")
    left: ir.FloatingValue = ibis.literal(1.0)
    if shop.settings.prices_include_tax and shop.has("orders"):
        raw = shop.table("orders")
        lines = lines.inner_join(raw.select("order_id", _left=untaxed(shop, raw)), "order_id")
        left = lines["_left"]
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
        tax=(lines["_money"].cast("float64") * (1 - left)).sum(where=known).fill_null(0),
        cost=lines["_cost"].sum(where=known).fill_null(0).cast("float64"),
    )
