"""eBay: the orders report, in which an order of several items has a row that sums the others up."""

from __future__ import annotations

from dataclasses import replace

import ibis
import ibis.expr.types as ir

from crmlib.shop.intake.platforms.base import Export, Identity, Made, either, number, numbered, one_per


def _total(rows: ir.Table) -> ir.Value:
    """The order's own total, on its summary row where it has one, without tax that the marketplace keeps."""
    inside = either(rows, "eBay Collected Tax Included in Total").lower() == "yes"
    kept = ibis.ifelse(inside.fill_null(False), number(rows, "eBay Collected Tax"), 0)
    return (rows["# Total Price"] - kept).cast("decimal(18, 4)")


def _items(rows: ir.Table) -> ir.Table:
    """Rows with an item; a summary row has none."""
    goods = numbered(rows.filter(rows["Item Title"].notnull()))
    sum_ = (goods["# Sold For"] * goods["# Quantity"].fill_null(1)).cast("decimal(18, 4)")
    return goods.mutate(_sum=sum_, _id=either(goods, "Custom Label", "Item Number", "Item Title"))


def _orders(rows: ir.Table) -> ir.Table:
    sold = number(rows, "Sold For") * rows["# Quantity"].fill_null(1)
    return one_per(rows, _lines=sold.sum(where=rows["Item Title"].notnull()).fill_null(0).cast("decimal(18, 4)"))


ORDERS = Export(
    platform="eBay",
    what="orders report",
    needs=("Sales Record Number", "Order Number", "Item Title", "Quantity", "Sold For", "Total Price", "Sale Date"),
    key="Order Number",
    or_key="Sales Record Number",
    also=("eBay Collected Tax Included in Total", "Custom Label", "Item Number"),
    numbers=("Sold For", "Quantity", "Total Price", "Shipping And Handling", "Postage And Packaging",
             "Postage And Handling", "Seller Collected Tax", "eBay Collected Tax"),
    made={
        "orders": Made(rows=_orders, columns={
            "order_id": "_key", "ordered_at": "Sale Date", "total": (_total, "Total Price"),
            "shipping": "Shipping And Handling | Postage And Packaging | Postage And Handling",
            "tax": "Seller Collected Tax", "_account": "Buyer Username", "_email": "Buyer Email", "_name": "Buyer Name",
            "_phone": "Ship To Phone | Post To Phone", "_label": "_key"}),
        "order_lines": Made(rows=_items, columns={
            "order_id": "_key", "product_id": "_id", "quantity": "Quantity", "unit_price": "Sold For",
            "line_total": (lambda t: t["_sum"], "Sold For"), "line_no": "_no"}),
        "products": Made(rank=1, rows=lambda t: one_per(_items(t), "_id"), columns={
            "product_id": "_id", "name": "Item Title", "list_price": "Sold For"}),
        "customers": Made(rank=1, rows=one_per, columns={
            "_account": "Buyer Username", "_email": "Buyer Email", "_name": "Buyer Name", "name": "Buyer Name",
            "city": "Buyer City | Ship To City | Post To City", "country": "Buyer Country | Ship To Country",
            "postcode": "Buyer Zip | Ship To Zip | Post To Postcode"}),
    },
    sums=(Identity("Total Price", lambda t: t["# Total Price"], {
        "items + shipping + seller's tax": lambda t: t["_lines"] + number(
            t, "Shipping And Handling", "Postage And Packaging", "Postage And Handling", "Seller Collected Tax"),
        "the same + eBay's tax": lambda t: t["_lines"] + number(
            t, "Shipping And Handling", "Postage And Packaging", "Postage And Handling", "Seller Collected Tax",
            "eBay Collected Tax")}),),
)  # fmt: skip

# The report in German, as far as its names are known; what is not named here, such as eBay's taxes, is left.
ORDERS_GERMAN = replace(ORDERS, what="orders report in German", called={
    "Sales Record Number": "Verkaufsprotokollnummer", "Order Number": "Bestellnummer", "Item Number": "Artikelnummer",
    "Item Title": "Angebotstitel", "Custom Label": "Bestandseinheit", "Quantity": "Anzahl", "Sold For": "Verkauft für",
    "Shipping And Handling": "Verpackung und Versand", "Total Price": "Gesamtbetrag", "Sale Date": "Verkauft am",
    "Buyer Username": "Nutzername des Käufers", "Buyer Name": "Name des Käufers"})  # fmt: skip
