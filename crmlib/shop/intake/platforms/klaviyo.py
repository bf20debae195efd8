"""Klaviyo's profiles and Matrixify's customers of a Shopify shop: who agreed, since when, and whose address is none."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from crmlib.shop.intake.platforms.base import Export, Made, Spec, either, joined_text

_NAME: Spec = (lambda t: joined_text(t, "First Name", "Last Name"), "First Name")


def _status(rows: ir.Table) -> ir.StringValue:
    """Why an address is kept from mail, where it is: by itself, by the person or by the shop; else what was agreed."""
    why = either(rows, "Email Suppressions").lower().re_replace(r'[\[\]" ]', "").fill_null("")
    return ibis.cases((why.re_search("bounce|invalid"), "bounced"), (why.re_search("unsub|spam"), "unsubscribed"),
                      (why != "", "suppressed"), else_=rows["Email Marketing Consent"].lower())  # fmt: skip


def _since(rows: ir.Table) -> ir.StringValue:
    """The day of what was agreed; of what keeps an address from mail the file knows none."""
    agreed = _status(rows) == rows["Email Marketing Consent"].lower()
    return ibis.ifelse(agreed, either(rows, "Email Marketing Consent Timestamp"), ibis.null("string"))


KLAVIYO = Export(
    platform="Klaviyo", what="profiles",
    needs=("Email", "Email Marketing Consent"), key="Email",
    also=("Last Name", "Email Suppressions", "Email Marketing Consent Timestamp"),
    made={"customers": Made(rank=1, columns={
        "_email": "Email", "_phone": "Phone Number", "_name": _NAME, "first_name": "First Name",
        "last_name": "Last Name", "country": "Country", "email_consent": (_status, "Email Marketing Consent"),
        "consent_at": (_since, "Email Marketing Consent"), "email_status": (_status, "Email Marketing Consent")})},
)  # fmt: skip


MATRIXIFY = Export(
    platform="Shopify", what="customers by Matrixify",
    needs=("ID", "Email", "Email Marketing: Status"), also=("Last Name",),
    made={"customers": Made(columns={
        "_account": "ID", "_email": "Email", "_phone": "Phone", "_name": _NAME, "first_name": "First Name",
        "last_name": "Last Name", "created_at": "Created At", "language": "Language", "country": "Address Country Code",
        "region": "Address Province Code", "city": "Address City", "postcode": "Address Zip", "tags": "Tags",
        "email_consent": "Email Marketing: Status", "email_status": "Email Marketing: Status",
        "consent_at": "Email Marketing: Updated At"})},
)  # fmt: skip
