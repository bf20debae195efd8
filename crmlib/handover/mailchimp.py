"""Mailchimp: an audience's CSV. Its status is chosen while importing, for the whole file."""

from __future__ import annotations

import re

from crmlib.handover import values
from crmlib.handover.table import Field, Person, Target


def _birthday(person: Person) -> str:
    born = values.day(person["birth_date"])
    return f"{born:%m/%d}" if born else ""


def tags(person: Person) -> str:
    """Our tags, found again by their prefix; a comma would begin another."""
    return "crm:" + re.sub(r"[^\w-]+", "-", person["list"])


TARGET = Target(
    name="mailchimp",
    fields=(
        Field("Email Address", lambda p: p["email"], values.EMAIL, once=True),
        Field("First Name", lambda p: p["first_name"], values.TEXT),
        Field("Last Name", lambda p: p["last_name"], values.TEXT),
        Field("Address", lambda _: "", values.TEXT),
        Field("Phone Number", lambda p: p["phone"], values.PHONE),
        Field("Birthday", _birthday, r"(0[1-9]|1[0-2])/(0[1-9]|[12]\d|3[01])"),
        Field("Tags", tags, r"[^\x00-\x1f]*"),
    ),
    needs={"email": ("Email Address",)},
    channels=("email",),
    notice="Choose the status 'Subscribed' for this file and for no other: everybody in it agreed to e-mail. "
    "'Update existing contacts' would subscribe again who has unsubscribed there since; leave it off.",
)  # fmt: skip
