"""WooCommerce: its analytics and products, and the exports of the WebToffee and Advanced Order Export plugins."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from crmlib.shop.intake.platforms.base import Export, Identity, Made, Spec, joined_text, number, one_per


def _field(item: ir.StringValue, name: str) -> ir.StringValue:
    """What stands behind 'name:' in 'name:Cup|product_id:1|total:8.00'; a name may hold a colon, but no bar."""
    return item.re_extract(rf"(?:^|\|){name}:([^|]*)", 1).nullif("")


def _items(rows: ir.Table) -> ir.Table:
    """A row per line item, which this export writes side by side as line_item_1, line_item_2 …"""
    names = sorted((n for n in rows.columns if n.startswith("line_item_")), key=lambda n: int(n.rsplit("_")[-1]))
    parts = [rows.mutate(_item=rows[name], _no=ibis.literal(str(place))) for place, name in enumerate(names, start=1)]
    lines = (ibis.union(*parts) if len(parts) > 1 else parts[0]).filter(lambda t: t["_item"].notnull())
    item = lines["_item"]
    variation = _field(item, "_variation_id").nullif("0")
    return lines.mutate(
        _goods=variation.coalesce(_field(item, "product_id").nullif("0"), _field(item, "sku"), _field(item, "name")),
        _named=_field(item, "name"), _quantity=_field(item, "quantity"), _sum=_field(item, "total"),
    )  # fmt: skip


def _refunds(rows: ir.Table) -> ir.ArrayValue:
    return rows["refund_items"].fill_null("").split(";")


def _refunded(rows: ir.Table) -> ir.Value:
    amounts = _refunds(rows).map(lambda r: r.re_extract(r"amount:-?([0-9.]+)", 1).try_cast("decimal(18, 4)"))
    return amounts.sums().fill_null(0)


def _refunded_at(rows: ir.Table) -> ir.Value:
    return _refunds(rows).map(lambda r: r.re_extract(r"date:([0-9: -]+)", 1)).maxs().nullif("")


def _lines_sum(rows: ir.Table) -> ir.Value:
    names = [n for n in rows.columns if n.startswith("line_item_")]
    amounts = [_field(rows[n].fill_null(""), "total").try_cast("decimal(18, 4)").fill_null(0) for n in names]
    return sum(amounts[1:], amounts[0])


_ORDER: dict[str, Spec] = {
    "order_id": "_key", "ordered_at": "order_date", "total": "order_total", "status": "status", "_label": "_key",
    "currency": "order_currency", "shipping": "shipping_total", "tax": "tax_total", "discount": "discount_total",
    "refunded": (_refunded, "refund_items"), "refunded_at": (_refunded_at, "refund_items"),
    "coupon": (lambda t: t["coupon_items"].re_extract(r"code:([^|]*)", 1).nullif(""), "coupon_items"),
    "payment_method": "payment_method_title | payment_method", "_account": "customer_id | customer_user",
    "_email": "billing_email | customer_email", "_phone": "billing_phone",
    "_name": (lambda t: joined_text(t, "billing_first_name", "billing_last_name"), "billing_first_name"),
}  # fmt: skip
_PERSON: dict[str, Spec] = {
    "_account": "customer_id | customer_user", "_email": "billing_email | customer_email", "_phone": "billing_phone",
    "_name": _ORDER["_name"], "first_name": "billing_first_name", "last_name": "billing_last_name",
    "country": "billing_country", "region": "billing_state", "city": "billing_city", "postcode": "billing_postcode",
}  # fmt: skip

WEBTOFFEE = Export(
    platform="WooCommerce", what="orders (WebToffee)",
    needs=("order_id", "order_date", "order_total", "order_currency", "line_item_1"),
    key="order_id", many=r"line_item_\d+", also=("billing_last_name",),
    numbers=("order_total", "shipping_total", "tax_total", "fee_total"),
    made={
        "orders": Made(_ORDER),
        "order_lines": Made(rows=_items, columns={"order_id": "_key", "line_no": "_no", "line_total": "_sum",
                                                  "product_id": "_goods", "quantity": "_quantity"}),
        "products": Made(rank=1, rows=lambda t: one_per(_items(t), "_goods"), columns={
            "product_id": "_goods", "name": "_named"}),
        "customers": Made(_PERSON, rank=1),
    },
    sums=(Identity("order_total", lambda t: t["# order_total"], {
        "line items + shipping + fees + tax": lambda t:
        _lines_sum(t) + number(t, "shipping_total", "fee_total", "tax_total")}),),
)  # fmt: skip
