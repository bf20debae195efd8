"""Shop systems' own databases, as `schemas` makes flat exports of their tables."""

from __future__ import annotations

from collections.abc import Iterator

import ibis.expr.types as ir

from crmlib.shop.intake.platforms.base import Export, Identity, Made, Spec, joined_text, number, one_per

_NAME: Spec = (lambda t: joined_text(t, "first_name", "last_name"), "first_name")
_WHO: dict[str, Spec] = {"_account": "account", "_email": "email", "_phone": "phone", "_name": _NAME}
_PLACE: dict[str, Spec] = {
    name: name for name in ("first_name", "last_name", "country", "region", "city", "postcode")
}  # fmt: skip
_MONEY = ("total", "lines", "shipping", "tax", "fees")


def _parts(rows: ir.Table) -> ir.Value:
    return number(rows, *_MONEY[1:])


def _exports(platform: str) -> Iterator[Export]:
    """Orders, lines, refunds and customers; the first column of each says whose and what it is."""
    order, line, refund, customer = (f"{platform} {what}" for what in ("order", "line", "refund", "customer"))
    yield Export(
        platform=platform, what="database: orders", needs=(order, "ordered_at"), key=order, numbers=_MONEY,
        also=("last_name",),
        made={
            "orders": Made({
                "order_id": "_key", "ordered_at": "ordered_at", "total": "total", "status": "status",
                "coupon": "coupon", "currency": "currency", "discount": "discount", "shipping": "shipping",
                "tax": "tax", "_label": "_key", "payment_method": "payment_method", **_WHO}),
            "customers": Made({**_WHO, **_PLACE}, rank=1),
        },
        sums=(Identity("total", lambda t: t["# total"], {"lines + shipping + fees + tax": _parts}),),
    )  # fmt: skip
    lines = ("order_id", "product_id", "quantity", "unit_price", "line_total", "discount", "unit_cost", "sku")
    yield Export(
        platform=platform, what="database: order lines", needs=(line, "order_id", "product_id"), key=line,
        made={
            "order_lines": Made({**{name: name for name in lines}, "line_no": "_key"}),
            "products": Made({"product_id": "product_id", "name": "name", "category": "category"}, rank=1,
                             rows=lambda t: one_per(t.mutate(_goods=t["product_id"]), "_goods")),
        },
    )  # fmt: skip
    yield Export(
        platform=platform, what="database: refunds", needs=(refund, "order_id", "amount"), numbers=("amount",),
        made={"refunds": Made({"_label": "order_id", "refunded_at": "refunded_at",
                               "_back": (lambda t: t["# amount"], "amount")})},
    )  # fmt: skip
    known = ("created_at", "birth_date", "gender", "email_consent", "consent_at")
    yield Export(
        platform=platform, what="database: customers", needs=(customer, "email"), also=("last_name",), key=customer,
        made={"customers": Made({"_account": customer, "_email": "email", "_name": _NAME, **_PLACE,
                                 **{name: name for name in known}})},
    )  # fmt: skip


WOO_ORDERS, WOO_LINES, WOO_REFUNDS, WOO_CUSTOMERS = _exports("WooCommerce")
MAGENTO_ORDERS, MAGENTO_LINES, MAGENTO_REFUNDS, MAGENTO_CUSTOMERS = _exports("Magento")
