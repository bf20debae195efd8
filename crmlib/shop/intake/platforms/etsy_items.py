"""Etsy's order items: what was bought, and orders where their own file is not here."""

from __future__ import annotations

import ibis.expr.types as ir

from crmlib.shop.intake.platforms.base import Export, Identity, Made, either, number, one_per, spread

_GOODS = "Listing ID | SKU | Item Name"


def _items(rows: ir.Table) -> ir.Table:
    off = rows["# Discount Amount"].sum().over(group_by=[rows["_key"]]).fill_null(0)
    return rows.mutate(_off=spread(rows, off, number(rows, "Item Total")))


def _orders_of(rows: ir.Table) -> ir.Table:
    return one_per(rows, _total=(number(rows, "Item Total", "Order Shipping") - number(rows, "Discount Amount")).sum())


def _listings(rows: ir.Table) -> ir.Table:
    return one_per(rows.mutate(_goods=either(rows, "Listing ID", "SKU", "Item Name")), "_goods")


ITEMS = Export(
    platform="Etsy",
    what="order items",
    needs=("Sale Date", "Item Name", "Quantity", "Price", "Item Total", "Order ID", "Transaction ID"),
    key="Order ID",
    numbers=("Quantity", "Price", "Item Total", "Discount Amount", "Order Shipping"),
    sums_of="order_lines",
    made={
        "order_lines": Made(rows=_items, columns={
            "order_id": "_key", "product_id": _GOODS, "quantity": "Quantity",
            "unit_price": "Price", "line_total": (lambda t: number(t, "Item Total") - t["_off"], "Item Total"),
            "discount": (lambda t: t["_off"], "Discount Amount"), "line_no": "Transaction ID",
            "variations": "Variations",
        }),
        "orders": Made(rank=1, rows=_orders_of, columns={
            "order_id": "_key", "ordered_at": "Sale Date", "total": (lambda t: t["_total"], "Item Total"),
            "_account": "Buyer", "currency": "Currency", "coupon": "Coupon Code", "shipping": "Order Shipping",
        }),
        "products": Made(rank=1, rows=_listings, columns={
            "product_id": _GOODS, "name": "Item Name", "list_price": "Price"}),
    },
    sums=(Identity("Item Total", lambda t: t["# Item Total"], {
        "Quantity × Price": lambda t: number(t, "Quantity") * number(t, "Price")}),),
)  # fmt: skip
