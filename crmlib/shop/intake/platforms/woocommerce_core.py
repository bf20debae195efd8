"""WooCommerce's own files: analytics of orders, and products."""

from __future__ import annotations

from dataclasses import replace

from crmlib.shop.intake.platforms.base import Export, Made, number, with_refunds

ANALYTICS = Export(
    platform="WooCommerce",
    what="analytics orders",
    needs=("Date", "Order #", "Status", "Customer", "Customer type", "Net Sales"),
    key="Order #",
    numbers=("Net Sales",),
    made={
        "orders": Made(
            rows=lambda t: with_refunds(t, amount=number(t, "Net Sales"), at=t["Date"], refund=t["# Net Sales"] < 0),
            columns={
                "order_id": "_key",
                "ordered_at": "_at_",
                "total": (lambda t: t["_total"], "Net Sales"),
                "refunded": (lambda t: t["_back"], "Net Sales"),
                "refunded_at": "_back_at",
                "status": "Status",
                "coupon": "Coupon(s)",
                "channel": "Attribution",
                "goods": "Product(s)",
                "items": "Items sold",
            },
        )
    },
)

PRODUCTS = Export(
    platform="WooCommerce",
    what="products",
    needs=("ID", "Type", "SKU", "Name", "Published", "Regular price"),
    made={
        "products": Made({
            "product_id": "ID", "name": "Name", "list_price": "Regular price", "unit_cost": "Cost of goods",
            "category": (lambda t: t["Categories"].re_extract(r"^([^,]*)", 1).nullif(""), "Categories"),
            "sku": "SKU", "type": "Type",
        })
    },
)  # fmt: skip

# Names as files in these languages have them; money has the decimal sign of the shop.
PRODUCTS_GERMAN = replace(PRODUCTS, what="products in German", called={
    "Type": "Typ", "SKU": "Artikelnummer", "Published": "Veröffentlicht", "Regular price": "Regulärer Preis",
    "Categories": "Kategorien"})  # fmt: skip
PRODUCTS_FRENCH = replace(PRODUCTS, what="products in French", called={
    "SKU": "UGS", "Name": "Nom", "Published": "Publié", "Regular price": "Tarif régulier",
    "Categories": "Catégories"})  # fmt: skip
