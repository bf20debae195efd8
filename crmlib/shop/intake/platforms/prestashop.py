"""PrestaShop: its tables as they are, whatever language its lists are in, from a database file or dumped one by one."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from crmlib.shop.intake.platforms.base import Export, Identity, Made, Spec, joined_text, number, one_per


def _worth(rows: ir.Table, name: str) -> ir.Value:
    """An amount in the shop's own currency."""
    rate = rows["# conversion_rate"].nullif(0).fill_null(1) if "# conversion_rate" in rows.columns else 1
    return (rows[f"# {name}"] / rate).round(4).cast("decimal(18, 4)")


def _tax(rows: ir.Table) -> ir.Value:
    return _worth(rows, "total_paid_tax_incl") - _worth(rows, "total_paid_tax_excl")


def _money(name: str) -> Spec:
    return (lambda t: _worth(t, name), name)


def _status(rows: ir.Table) -> ir.Value:
    """`valid` says that an order counts; without it the number of its state tells, where that is the platform's own."""
    state = rows["current_state"]
    told = ibis.cases((state == "6", "cancelled"), (state == "7", "refunded"), (state == "8", "payment error"),
                      else_="awaiting payment")  # fmt: skip
    return ibis.ifelse(rows["valid"] == "1", "paid", told)


ORDERS = Export(
    platform="PrestaShop", what="ps_orders",
    needs=("id_order", "id_customer", "current_state", "valid", "total_paid_tax_incl", "date_add"),
    key="id_order",
    numbers=("total_paid_tax_incl", "total_paid_tax_excl", "total_products_wt", "total_shipping", "total_discounts",
             "conversion_rate"),
    made={"orders": Made({
        "order_id": "_key", "ordered_at": "date_add", "total": _money("total_paid_tax_incl"),
        "status": (_status, "valid"), "shipping": _money("total_shipping"), "discount": _money("total_discounts"),
        "tax": (_tax, "total_paid_tax_excl"), "payment_method": "payment", "reference": "reference",
        "_account": "id_customer", "_label": "_key"})},
    sums=(Identity("total_paid", lambda t: t["# total_paid_tax_incl"], {
        "products + shipping − discounts": lambda t:
        number(t, "total_products_wt", "total_shipping") - number(t, "total_discounts")}),),
)  # fmt: skip

LINES = Export(
    platform="PrestaShop", what="ps_order_detail",
    needs=("id_order", "product_id", "product_quantity", "product_name"),
    made={
        "order_lines": Made({
            "order_id": "id_order", "product_id": "product_id", "quantity": "product_quantity",
            "unit_price": "unit_price_tax_incl", "line_total": "total_price_tax_incl",
            "unit_cost": "original_wholesale_price", "line_no": "id_order_detail",
        }),
        "products": Made({"product_id": "product_id", "name": "product_name"}, rank=1,
                         rows=lambda t: one_per(t.mutate(_goods=t["product_id"]), "_goods")),
    },
)  # fmt: skip

CUSTOMERS = Export(
    platform="PrestaShop", what="ps_customer",
    needs=("id_customer", "email", "firstname", "lastname", "newsletter", "date_add"),
    key="id_customer",
    made={"customers": Made({
        "_account": "id_customer", "_email": "email", "first_name": "firstname", "last_name": "lastname",
        "_name": (lambda t: joined_text(t, "firstname", "lastname"), "firstname"), "birth_date": "birthday",
        "email_consent": "newsletter", "consent_at": "newsletter_date_add", "created_at": "date_add"})},
)  # fmt: skip

SLIPS = Export(
    platform="PrestaShop", what="ps_order_slip",
    needs=("id_order_slip", "id_order", "amount", "date_add"),
    numbers=("amount",),
    made={"refunds": Made({
        "_label": "id_order", "refunded_at": "date_add", "_back": (lambda t: t["# amount"], "amount")})},
)  # fmt: skip
