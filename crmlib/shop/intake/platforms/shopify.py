"""Shopify: orders, customers, products, and the payments that alone say when money was given back."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from crmlib.shop.intake.platforms.base import Export, Identity, Made, either, number, numbered, one_per, spread


def _orders(rows: ir.Table) -> ir.Table:
    lines = number(rows, "Lineitem price") * number(rows, "Lineitem quantity")
    return one_per(rows, _lines=lines.sum().cast("decimal(18, 4)"))


def _lines(rows: ir.Table) -> ir.Table:
    gross = (number(rows, "Lineitem price") * number(rows, "Lineitem quantity")).cast("decimal(18, 4)")
    whole = {"group_by": [rows["_key"]]}
    off, below = rows["# Discount Amount"].max().over(**whole).fill_null(0), rows["# Subtotal"].max().over(**whole)
    # A code for free shipping takes nothing off the goods: their sum is the subtotal then.
    free = (below - gross.sum().over(**whole)).abs() < 0.005
    off = ibis.ifelse(free.fill_null(False), ibis.literal(0).cast("decimal(18, 4)"), off)
    rows = rows.mutate(_gross=gross, _off=spread(rows, off, gross))
    rows = numbered(rows.mutate(_net=rows["_gross"] - rows["_off"]))
    return rows.filter(either(rows, "Lineitem name", "Lineitem sku").notnull())


def _goods(rows: ir.Table) -> ir.Table:
    return one_per(rows.mutate(_goods=either(rows, "Lineitem sku", "Lineitem name")), "_goods")


def _kind(rows: ir.Table) -> ir.Value:
    return ibis.ifelse(rows["Lineitem name"].lower().re_search(_NO_GOODS), "fee", "goods")


_GOODS = "Lineitem sku | Lineitem name"
_NO_GOODS = "(gift card|^tip$|shipping protection|route package|package protection|^donation)"
_PHONE, _NAME = "Phone | Billing Phone | Shipping Phone", "Billing Name | Shipping Name"

ORDERS = Export(
    platform="Shopify",
    what="orders",
    needs=("Name", "Created at", "Lineitem name", "Lineitem price", "Lineitem quantity"),
    key="Id", adjacent="Name", time="Created at",
    numbers=("Lineitem price", "Lineitem quantity", "Subtotal", "Shipping", "Taxes", "Total", "Discount Amount",
             "Refunded Amount"),
    made={
        "orders": Made(rows=_orders, columns={
            "order_id": "_key", "ordered_at": "Created at", "total": "Total", "status": "Financial Status",
            "channel": "Source", "staff_id": "Employee", "coupon": "Discount Code", "currency": "Currency",
            "discount": "Discount Amount", "shipping": "Shipping", "tax": "Taxes", "refunded": "Refunded Amount",
            "_refunded": (lambda t: t["# Refunded Amount"], "Refunded Amount"), "cancelled_at": "Cancelled at",
            "_email": "Email", "_phone": _PHONE, "_name": _NAME, "_label": "Name", "name": "Name", "tags": "Tags",
            "location": "Location", "payment_method": "Payment Method", "subtotal": "Subtotal",
            "their_day": (lambda t: t["Created at"].left(10), "Created at")}),
        "order_lines": Made(rows=_lines, columns={
            "order_id": "_key", "product_id": _GOODS, "quantity": "Lineitem quantity", "unit_price": "Lineitem price",
            "line_total": (lambda t: t["_net"], "Lineitem price"), "line_no": "_no",
            "discount": (lambda t: t["_off"], "Discount Amount")}),
        "products": Made(rank=1, rows=_goods, columns={
            "product_id": _GOODS, "name": "Lineitem name", "brand": "Vendor", "kind": (_kind, "Lineitem name"),
            "list_price": "Lineitem compare at price | Lineitem price"}),
        "customers": Made(rank=1, rows=_orders, columns={
            "_email": "Email", "_phone": _PHONE, "_name": _NAME, "country": "Billing Country | Shipping Country",
            "region": "Billing Province | Shipping Province", "city": "Billing City | Shipping City",
            "postcode": "Billing Zip | Shipping Zip", "email_consent": "Accepts Marketing"}),
    },
    sums=(
        Identity("Subtotal", lambda t: t["# Subtotal"], {
            "lines − discount": lambda t: t["_lines"] - number(t, "Discount Amount"),
            "lines, where the code pays shipping": lambda t: t["_lines"]}),
        Identity("Total", lambda t: t["# Total"], {
            "Subtotal + Shipping + Taxes": lambda t: number(t, "Subtotal", "Shipping", "Taxes"),
            "Subtotal + Shipping, taxes inside": lambda t: number(t, "Subtotal", "Shipping"),
            "the code pays shipping": lambda t: number(t, "Subtotal", "Shipping") - number(t, "Discount Amount")}),
        Identity("Refunded Amount", lambda t: t["# Refunded Amount"], {
            "Total, where refunded": lambda t: t["# Total"]}, lambda t: either(t, "Financial Status") == "refunded"),
    ),
)  # fmt: skip
