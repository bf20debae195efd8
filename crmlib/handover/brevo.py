"""Brevo: contacts apart by semicolons, numbers without a plus."""

from __future__ import annotations

from crmlib.handover import values
from crmlib.handover.table import Field, Target

TARGET = Target(
    name="brevo",
    fields=(
        Field("EMAIL", lambda p: p["email"], values.EMAIL, once=True),
        Field("LASTNAME", lambda p: p["last_name"], values.TEXT),
        Field("FIRSTNAME", lambda p: p["first_name"], values.TEXT),
        Field("SMS", lambda p: p["phone"].removeprefix("+"), r"[1-9]\d{7,14}", once=True),
        Field("CRM_LIST", lambda p: p["list"], values.TEXT),
        Field("CRM_REASON", lambda p: p["reason"], values.TEXT),
    ),
    needs={"email": ("EMAIL",), "sms": ("SMS",)},
    delimiter=";",
    notice="Importing into a list makes everybody in the file a contact who may be mailed. It holds only people who "
    "agreed; leave 'update blocklisted contacts' off.",
)  # fmt: skip
