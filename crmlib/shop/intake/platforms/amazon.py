"""Amazon: all orders, which withhold who bought, and the date-range report, which says when money was given back."""

from __future__ import annotations

import ibis.expr.types as ir

from crmlib.shop.intake.platforms.base import Export, Made, number, numbered, one_per, with_refunds

_PAID = ("item-price", "shipping-price", "gift-wrap-price")
_OFF = ("item-promotion-discount", "ship-promotion-discount")
_CREDITS = ("product sales", "shipping credits", "gift wrap credits", "promotional rebates")


def _sold(rows: ir.Table) -> ir.Value:
    """What was sold: taxes are the marketplace's to pay, and discounts are written without a sign."""
    off = [rows[f"# {name}"].abs().fill_null(0) for name in _OFF]
    return number(rows, *_PAID) - off[0] - off[1]


def _items(rows: ir.Table) -> ir.Table:
    bought = numbered(rows.filter((rows["# quantity"] != 0).fill_null(True)))
    return bought.mutate(_net=bought["# item-price"] - bought["# item-promotion-discount"].abs().fill_null(0))


def _at(rows: ir.Table) -> ir.Value:
    """'Sep 4, 2026 1:05:07 AM PDT' without its zone: it is the account's own."""
    return rows["date/time"].re_replace(r"\s+[A-Z]{3,4}$", "")


ORDERS = Export(
    platform="Amazon", what="all orders",
    needs=("amazon-order-id", "purchase-date", "order-status", "sku", "quantity", "item-price"),
    key="amazon-order-id",
    short_rows=True,
    numbers=(*_PAID, *_OFF, "item-tax", "shipping-tax", "quantity"),
    made={
        "orders": Made(
            rows=lambda t: one_per(t, _total=_sold(t).sum(), _tax=number(t, "item-tax", "shipping-tax").sum()),
            columns={
                "order_id": "_key", "ordered_at": "purchase-date", "total": (lambda t: t["_total"], "item-price"),
                "tax": (lambda t: t["_tax"], "item-tax"), "status": "order-status", "channel": "sales-channel",
                "currency": "currency", "fulfilment": "fulfillment-channel", "_label": "_key",
            },
        ),
        "order_lines": Made(rows=_items, columns={
            "order_id": "_key", "product_id": "sku | asin", "quantity": "quantity", "line_no": "_no",
            "line_total": (lambda t: t["_net"], "item-price"), "asin": "asin"}),
        "products": Made(rank=1, rows=lambda t: one_per(t.mutate(_goods=t["sku"]), "_goods"), columns={
            "product_id": "sku | asin", "name": "product-name"}),
    },
)  # fmt: skip

DATE_RANGE = Export(
    platform="Amazon", what="date range report",
    needs=("date/time", "settlement id", "type", "order id", "product sales", "total"),
    key="order id",
    numbers=(*_CREDITS, "quantity", "total"),
    made={
        "orders": Made(
            rank=1,
            rows=lambda t: with_refunds(
                t.filter(t["type"].isin(["Order", "Refund"])), amount=number(t, *_CREDITS), at=_at(t),
                refund=t["type"] == "Refund"),
            columns={
                "order_id": "_key", "ordered_at": "_at_", "total": (lambda t: t["_total"], "product sales"),
                "refunded": (lambda t: t["_back"], "product sales"), "refunded_at": "_back_at",
                "channel": "marketplace",
            },
        ),
        "refunds": Made(
            rows=lambda t: t.filter(t["type"] == "Refund"),
            columns={"_label": "order id", "refunded_at": (_at, "date/time"),
                     "_back": (lambda t: -number(t, *_CREDITS), "product sales")},
        ),
    },
)  # fmt: skip
