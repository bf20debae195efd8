"""Stripe and PayPal: payments are orders where no shop system's own are there, and else say nothing new of sales."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from crmlib.shop.intake.platforms.base import Export, Identity, Made, either, joined_text, number


def _utc(rows: ir.Table) -> ir.Value:
    return either(rows, "Created (UTC)", "Created date (UTC)") + " UTC"


def _converted(rows: ir.Table, name: str) -> ir.Value:
    """In the account's own currency, where the payment was in another."""
    return ibis.coalesce(rows[f"# Converted {name}"], rows[f"# {name}"])


STRIPE = Export(
    platform="Stripe",
    what="payments",
    needs=("id", "Amount", "Amount Refunded", "Currency", "Fee", "Status"),
    key="id",
    also=("Created (UTC)", "Created date (UTC)"),
    numbers=("Amount", "Amount Refunded", "Converted Amount", "Converted Amount Refunded", "Fee"),
    made={
        "orders": Made(rank=2, columns={
            "order_id": "_key", "ordered_at": (_utc, "id"), "total": (lambda t: _converted(t, "Amount"), "Amount"),
            "refunded": (lambda t: _converted(t, "Amount Refunded"), "Amount Refunded"), "status": "Status",
            "currency": (lambda t: either(t, "Converted Currency", "Currency").upper(), "Currency"),
            "_account": "Customer ID", "_email": "Customer Email", "fee": "Fee"}),
        "customers": Made({"_account": "Customer ID", "_email": "Customer Email"}, rank=2),
    },
    sums=(Identity("Amount Refunded", lambda t: t["# Amount Refunded"], {
        "Amount, where refunded": lambda t: t["# Amount"]},
        lambda t: (t["Status"].lower() == "refunded").fill_null(False)),),
)  # fmt: skip


def _sales(rows: ir.Table) -> ir.Table:
    """Completed payments of customers, and refunds of them; no transfer, hold or conversion of one's own money."""
    kind, memo = rows["Type"].lower(), (either(rows, "Balance Impact").lower() == "memo").fill_null(False)
    done = (rows["Status"].lower().isin(["completed", "abgeschlossen", "terminé"])).fill_null(False) & ~memo
    own = kind.re_search(
        "withdraw|transfer|conversion|hold|release|authorization|fee|deposit|bank|umrechnung|abbuchung"
    )
    back = (
        kind.re_search("refund|reversal|chargeback|rückzahlung|remboursement")
        & either(rows, "Reference Txn ID").notnull()
    )
    return rows.filter(done & (back | (~own & (rows["# Gross"] > 0)).fill_null(False))).mutate(
        _of=ibis.ifelse(back, either(rows, "Reference Txn ID"), ibis.null("string")))  # fmt: skip


PAYPAL = Export(
    platform="PayPal",
    what="activity",
    needs=("Date", "Time", "Type", "Status", "Currency", "Gross", "Fee", "Net", "Transaction ID"),
    key="Transaction ID",
    also=("Balance Impact", "Reference Txn ID"),
    numbers=("Gross", "Fee", "Net"),
    made={
        "orders": Made(rank=2, rows=_sales, columns={
            "order_id": "_key", "ordered_at": (lambda t: joined_text(t, "Date", "Time"), "Date"),
            "total": (lambda t: t["# Gross"], "Gross"),
            "parent_id": "_of", "currency": "Currency", "status": "Status", "fee": "Fee", "type": "Type",
            "_email": "From Email Address", "_name": "Name", "invoice": "Invoice Number"}),
        "customers": Made({"_email": "From Email Address", "_name": "Name", "name": "Name"}, rank=2,
                          rows=lambda t: _sales(t).filter(lambda s: s["_of"].isnull())),
    },
    sums=(Identity("Net", lambda t: t["# Net"], {"Gross + Fee": lambda t: number(t, "Gross", "Fee")}),),
)  # fmt: skip
