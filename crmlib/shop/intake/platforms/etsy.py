"""Etsy: orders without an address, the items of them, and the statement that says when money was given back."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from crmlib.shop.intake.platforms.base import Export, Identity, Made, Spec, either, number, one_per, spread


def _sold(rows: ir.Table) -> ir.Value:
    """What was sold: the total also holds tax that the marketplace keeps; shipping is already after its discount."""
    return number(rows, "Order Value", "Shipping") - number(rows, "Discount Amount")


def _given_back(rows: ir.Table) -> ir.Value:
    """An adjusted net of 0 means that nothing was adjusted."""
    adjusted = number(rows, "Adjusted Net Order Amount", "Adjusted Card Processing Fees")
    changed = (rows["# Adjusted Net Order Amount"] != 0).fill_null(False)
    return ibis.ifelse(changed, ibis.greatest(_sold(rows) - adjusted, 0), 0).cast("decimal(18, 4)")


def _items(rows: ir.Table) -> ir.Table:
    off = rows["# Discount Amount"].sum().over(group_by=[rows["_key"]]).fill_null(0)
    return rows.mutate(_off=spread(rows, off, number(rows, "Item Total")))


def _listings(rows: ir.Table) -> ir.Table:
    return one_per(rows.mutate(_goods=either(rows, "Listing ID", "SKU", "Item Name")), "_goods")


def _orders_of(rows: ir.Table) -> ir.Table:
    return one_per(rows, _total=(number(rows, "Item Total", "Order Shipping") - number(rows, "Discount Amount")).sum())


_GOODS = "Listing ID | SKU | Item Name"
_BUYER: dict[str, Spec] = {
    "country": "Ship Country",
    "region": "Ship State",
    "city": "Ship City",
    "postcode": "Ship Zipcode",
}

ORDERS = Export(
    platform="Etsy",
    what="orders",
    needs=("Sale Date", "Order ID", "Buyer User ID", "Order Value", "Order Net"),
    key="Order ID",
    numbers=("Order Value", "Discount Amount", "Shipping", "Card Processing Fees", "Order Net",
             "Adjusted Net Order Amount", "Adjusted Card Processing Fees"),
    made={
        "orders": Made({
            "order_id": "_key", "ordered_at": "Sale Date", "total": (_sold, "Order Value"), "_label": "_key",
            "_account": "Buyer User ID", "_name": "Full Name", "coupon": "Coupon Code", "currency": "Currency",
            "discount": "Discount Amount", "shipping": "Shipping", "channel": "Order Type",
            "refunded": (_given_back, "Adjusted Net Order Amount"),
            "_refunded": (_given_back, "Adjusted Net Order Amount"), "their_total": "Order Total",
        }),
        "customers": Made({"_account": "Buyer User ID", "_name": "Full Name", "first_name": "First Name",
                           "last_name": "Last Name", **_BUYER}, rank=1),
        "shipments": Made({"order_id": "_key", "shipped_at": "Date Shipped"},
                          rows=lambda t: t.filter(t["Date Shipped"].notnull())),
    },
    sums=(Identity("Order Net", lambda t: t["# Order Net"], {
        "Order Value − Discount Amount + Shipping − Card Processing Fees":
        lambda t: _sold(t) - number(t, "Card Processing Fees")}),),
)  # fmt: skip

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

STATEMENT = Export(
    platform="Etsy",
    what="statement",
    needs=("Date", "Type", "Title", "Info", "Amount", "Fees & Taxes", "Net"),
    numbers=("Amount", "Net"),
    made={
        "refunds": Made(
            rows=lambda t: t.filter((t["Type"].lower() == "refund").fill_null(False)),
            columns={
                "_label": (lambda t: (t["Title"] + " " + t["Info"].fill_null("")).re_extract(r"#\s?(\d+)", 1), "Title"),
                "refunded_at": "Date",
                "_back": (lambda t: ibis.coalesce(t["# Amount"], t["# Net"]).abs(), "Amount"),
            },
        )
    },
)
