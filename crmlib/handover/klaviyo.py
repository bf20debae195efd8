"""Klaviyo: a list's CSV. Whoever is uploaded to a list counts as subscribed to it."""

from __future__ import annotations

from crmlib.handover import values
from crmlib.handover.table import Field, Target

TARGET = Target(
    name="klaviyo",
    fields=(
        Field("Email", lambda p: p["email"], values.EMAIL, once=True),
        Field("Phone Number", lambda p: p["phone"], values.PHONE, once=True),
        Field("First Name", lambda p: p["first_name"], values.TEXT),
        Field("Last Name", lambda p: p["last_name"], values.TEXT),
        Field("Language", lambda p: p["language"], "[a-z]{2}"),
        Field("Consent", lambda p: f'["{p["channel"]}"]', r'\["(email|sms)"\]'),
        Field("Consent Timestamp", lambda p: p["consent_at"], r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"),
        Field("CRM List", lambda p: p["list"], values.TEXT),
        Field("CRM Reason", lambda p: p["reason"], values.TEXT),
    ),
    needs={"email": ("Email",), "sms": ("Phone Number",)},
    most_bytes=50_000_000,
    notice="Uploading to a Klaviyo list subscribes everybody in the file. It holds only people who agreed; "
    "upload nothing older, and none of rejected.csv.",
)  # fmt: skip
