"""Shopify's other files: customers, products, and the payments that alone say when money was given back."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from crmlib.shop.intake.platforms.base import Export, Made, joined_text


def _variants(rows: ir.Table) -> ir.Table:
    """A row per variant: an image has a row of its own, and the product's words stand on its first."""
    within = {"group_by": [rows["_key"]]}
    firsts = {
        name: rows[name].max().over(**within)
        for name in ("Title", "Vendor", "Type", "Product Category", "Status", "Tags", "Gift Card")
        if name in rows.columns
    }
    named = rows.mutate(**firsts)
    options = joined_text(named, "Option1 Value", "Option2 Value", "Option3 Value", by=" / ")
    default = (options == "Default Title").fill_null(True)
    named = named.mutate(_named=ibis.ifelse(default, named["Title"], named["Title"] + " - " + options))
    return named.filter(named["Variant Price"].notnull())


CUSTOMERS = Export(
    platform="Shopify",
    what="customers",
    needs=("First Name", "Last Name", "Email", "Accepts Email Marketing"),
    key="Customer ID",
    or_key="Email",
    made={
        "customers": Made({
            "_account": "Customer ID", "_email": "Email", "_phone": "Phone | Default Address Phone",
            "_name": (lambda t: joined_text(t, "First Name", "Last Name"), "First Name"),
            "first_name": "First Name", "last_name": "Last Name", "city": "City | Default Address City",
            "country": "Country Code | Default Address Country Code | Country",
            "region": "Province Code | Default Address Province Code | Province",
            "postcode": "Zip | Default Address Zip", "email_consent": "Accepts Email Marketing",
            "sms_consent": "Accepts SMS Marketing", "tags": "Tags",
        })
    },
)  # fmt: skip

PRODUCTS = Export(
    platform="Shopify",
    what="products",
    needs=("Handle", "Title", "Variant Price", "Option1 Name"),
    adjacent="Handle",
    also=("Option1 Value", "Option2 Value", "Option3 Value"),
    made={
        "products": Made(
            rows=_variants,
            columns={
                "product_id": "Variant SKU | _named", "name": "_named", "category": "Type | Product Category",
                "brand": "Vendor", "list_price": "Variant Compare At Price | Variant Price",
                "unit_cost": "Cost per item", "status": "Status", "tags": "Tags",
                "kind": (lambda t: ibis.ifelse(t["Gift Card"].lower() == "true", "gift_card", "goods"), "Gift Card"),
            },
        )
    },
)  # fmt: skip

PAYMENTS = Export(
    platform="Shopify",
    what="payment transactions",
    needs=("Transaction Date", "Type", "Order", "Amount", "Fee", "Net"),
    numbers=("Amount",),
    made={
        "refunds": Made(
            rows=lambda t: t.filter((t["Type"].lower() == "refund").fill_null(False)),
            columns={
                "_label": "Order", "refunded_at": "Transaction Date",
                "_back": (lambda t: t["# Amount"].abs(), "Amount"),
            },
        )
    },
)  # fmt: skip
