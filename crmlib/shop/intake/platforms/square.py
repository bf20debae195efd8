"""Square: the lines of a till, and its transactions, which alone know tips and staff."""

from __future__ import annotations

import ibis.expr.types as ir

from crmlib.shop.intake.platforms.base import (
    Export,
    Identity,
    Made,
    Spec,
    either,
    joined_text,
    number,
    numbered,
    one_per,
    with_refunds,
)


def _sold(rows: ir.Table) -> ir.Table:
    return with_refunds(
        rows, amount=number(rows, "Net Sales", "Tax"), at=joined_text(rows, "Date", "Time"),
        refund=rows["Event Type"].lower() == "refund")  # fmt: skip


def _lines(rows: ir.Table) -> ir.Table:
    """What was bought; what came back is what the order was refunded."""
    bought = rows.filter((rows["Event Type"].lower() != "refund").fill_null(True) & rows["Item"].notnull())
    named = numbered(bought.mutate(_goods=joined_text(bought, "Item", "Price Point Name", by=" - ")))
    return named.mutate(_id=either(named, "SKU", "_goods"))


_ORDER: dict[str, Spec] = {
    "order_id": "_key", "ordered_at": "_at_", "total": (lambda t: t["_total"], "Net Sales"),
    "refunded": (lambda t: t["_back"], "Net Sales"), "refunded_at": "_back_at", "tax": "Tax",
    "_account": "Customer ID", "_name": "Customer Name", "channel": "Channel | Source | Location",
    "location": "Location", "time_zone": "Time Zone",
}  # fmt: skip

ITEMS = Export(
    platform="Square", what="items",
    needs=("Date", "Item", "Qty", "Gross Sales", "Net Sales", "Event Type", "Transaction ID"),
    key="Transaction ID", sums_of="order_lines", also=("Time", "SKU", "Price Point Name"),
    numbers=("Qty", "Gross Sales", "Discounts", "Net Sales", "Tax"),
    made={
        "order_lines": Made(rows=_lines, columns={
            "order_id": "_key", "product_id": "_id", "quantity": "Qty", "line_total": "Net Sales", "line_no": "_no",
            "discount": (lambda t: -t["# Discounts"], "Discounts"), "modifiers": "Modifiers Applied",
            "unit_price": (lambda t: (t["# Gross Sales"] / t["# Qty"].nullif(0)).round(4).cast("decimal(18, 4)"),
                           "Qty")}),
        "orders": Made(rank=1, rows=_sold, columns={**_ORDER, "staff_id": "Employee"}),
        "products": Made(rank=1, rows=lambda t: one_per(_lines(t), "_id"), columns={
            "product_id": "_id", "name": "_goods", "category": "Category"}),
        "customers": Made({"_account": "Customer ID", "_name": "Customer Name", "name": "Customer Name"}, rank=1,
                          rows=lambda t: t.filter(t["Customer ID"].notnull())),
    },
    sums=(Identity("Net Sales", lambda t: t["# Net Sales"], {
        "Gross Sales + Discounts": lambda t: number(t, "Gross Sales", "Discounts")}),),
)  # fmt: skip

TRANSACTIONS = Export(
    platform="Square", what="transactions",
    needs=("Date", "Gross Sales", "Net Sales", "Tip", "Total Collected", "Event Type"),
    key="Transaction ID",
    unnamed=True, also=("Time",),
    numbers=("Gross Sales", "Discounts", "Net Sales", "Tax", "Tip", "Gift Card Sales", "Total Collected", "Fees",
             "Net Total"),
    made={"orders": Made(rows=_sold, columns={
        **_ORDER, "staff_id": "Staff ID | Staff Name", "tip": "Tip", "fees": "Fees"})},
    sums=(
        Identity("Total Collected", lambda t: t["# Total Collected"], {
            "Net Sales + Tax + Tip + Gift Card Sales":
            lambda t: number(t, "Net Sales", "Tax", "Tip", "Gift Card Sales")}),
        Identity("Net Total", lambda t: t["# Net Total"], {
            "Total Collected + Fees": lambda t: number(t, "Total Collected", "Fees")}),
    ),
)  # fmt: skip
