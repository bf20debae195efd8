"""Etsy: orders without an address, the items of them, and the statement that says when money was given back."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from crmlib.shop.intake.platforms.base import Export, Identity, Made, Spec, number


def _sold(rows: ir.Table) -> ir.Value:
    """What was sold: the total also holds tax that the marketplace keeps; shipping is already after its discount."""
    return number(rows, "Order Value", "Shipping") - number(rows, "Discount Amount")


def _given_back(rows: ir.Table) -> ir.Value:
    """An adjusted net of 0 means that nothing was adjusted."""
    adjusted = number(rows, "Adjusted Net Order Amount", "Adjusted Card Processing Fees")
    changed = (rows["# Adjusted Net Order Amount"] != 0).fill_null(False)
    return ibis.ifelse(changed, ibis.greatest(_sold(rows) - adjusted, 0), 0).cast("decimal(18, 4)")


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
