"""Mailchimp's and Brevo's contacts: who agreed to e-mail and since when, and who no longer does."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from crmlib.shop.intake.platforms.base import Export, Made, either, joined_text


def _newest(rows: ir.Table) -> ir.Table:
    """Of each address what was last changed: who is in an older file of those who agreed may be in a newer of those who
    left. Where days cannot be compared as they are written all rows stay, of which a no wins."""
    day = rows["LAST_CHANGED"].fill_null("")
    of = {"group_by": rows["Email Address"].lower()}
    told = rows.mutate(_day=day, _sorts=day.re_search(r"^\d{4}-\d\d-\d\d").all().over(**of), _last=day.max().over(**of))
    return told.filter(~told["_sorts"] | (told["_day"] == told["_last"]))


def _state(rows: ir.Table) -> ir.StringValue:
    """Whoever left or bounced stands in a file with columns that say when and why."""
    left, gone = (
        either(rows, *(name for name in rows.columns if name.upper().startswith(word))) for word in ("UNSUB", "CLEAN")
    )
    return ibis.cases((gone.notnull(), "cleaned"), (left.notnull(), "unsubscribed"), else_="subscribed")


def _since(rows: ir.Table) -> ir.StringValue:
    there = _state(rows) == "subscribed"
    return ibis.ifelse(there, either(rows, "CONFIRM_TIME", "OPTIN_TIME"), either(rows, "CLEAN_TIME", "UNSUB_TIME"))


MAILCHIMP = Export(
    platform="Mailchimp", what="contacts",
    needs=("Email Address", "OPTIN_TIME", "CONFIRM_TIME", "LAST_CHANGED", "LEID", "EUID"),
    many=r"(?i)(UNSUB|CLEAN)_\w+", also=("First Name", "Last Name"),
    made={"customers": Made(rank=1, rows=_newest, columns={
        "_email": "Email Address", "_phone": "Phone Number", "first_name": "First Name", "last_name": "Last Name",
        "_name": (lambda t: joined_text(t, "First Name", "Last Name"), "First Name"), "tags": "TAGS",
        "email_consent": (_state, "LEID"), "consent_at": (_since, "LEID"), "email_status": (_state, "LEID")})},
)  # fmt: skip


def _agreed(rows: ir.Table) -> ir.StringValue:
    """Who is not blocked was taken on; what says neither is neither."""
    blocked = rows["EMAIL_BLACKLISTED"].lower()
    return ibis.cases((blocked.isin(["yes", "true", "1"]), "no"), (blocked.isin(["no", "false", "0"]), "yes"),
                      else_=ibis.null("string"))  # fmt: skip


def _added(rows: ir.Table) -> ir.StringValue:
    """The day is the first of the two numbers; when somebody was blocked the file does not say."""
    day = rows["ADDED_TIME"].re_replace(r"^(\d\d)-(\d\d)-(\d{4})", r"\3-\2-\1")
    return ibis.ifelse(_agreed(rows) == "yes", day, ibis.null("string"))


def _no_texts(rows: ir.Table) -> ir.StringValue:
    """Blocked is a no; not to be blocked is no yes to text messages, which nobody was asked for."""
    return ibis.ifelse(rows["SMS_BLACKLISTED"].lower().isin(["yes", "true", "1"]), "no", ibis.null("string"))


BREVO = Export(
    platform="Brevo", what="contacts",
    needs=("EMAIL", "EMAIL_BLACKLISTED", "SMS_BLACKLISTED", "ADDED_TIME"), key="EMAIL",
    also=("LASTNAME",),
    made={"customers": Made(rank=1, columns={
        "_email": "EMAIL", "first_name": "FIRSTNAME", "last_name": "LASTNAME",
        "_name": (lambda t: joined_text(t, "FIRSTNAME", "LASTNAME"), "FIRSTNAME"),
        "_phone": (lambda t: "+" + t["SMS"].re_replace("[^0-9]", ""), "SMS"),
        "email_consent": (_agreed, "EMAIL_BLACKLISTED"), "consent_at": (_added, "ADDED_TIME"),
        "sms_consent": (_no_texts, "SMS_BLACKLISTED"),
        "email_status": (lambda t: _agreed(t).nullif("yes").replace("no", "blacklisted"), "EMAIL_BLACKLISTED")})},
)  # fmt: skip
