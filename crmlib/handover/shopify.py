"""Shopify: the customers' CSV in the header of today, without what Shopify works out itself."""

from __future__ import annotations

from crmlib.handover import values
from crmlib.handover.mailchimp import tags
from crmlib.handover.table import Field, Person, Target

_YES = r"yes|no"


def _agreed(channel: str) -> str:
    return f"{channel}_consent"


def _flag(name: str) -> Field:
    headers = {"email": "Accepts Email Marketing", "sms": "Accepts SMS Marketing"}
    return Field(headers[name], lambda p: "yes" if p[_agreed(name)] == "True" else "no", _YES)


def _abroad(person: Person) -> str:
    return person["country"]


TARGET = Target(
    name="shopify",
    fields=(
        Field("First Name", lambda p: p["first_name"], values.TEXT),
        Field("Last Name", lambda p: p["last_name"], values.TEXT),
        Field("Email", lambda p: p["email"], values.EMAIL, once=True),
        _flag("email"),
        Field("Default Address Company", lambda _: "", values.TEXT),
        Field("Default Address Address1", lambda _: "", values.TEXT),
        Field("Default Address Address2", lambda _: "", values.TEXT),
        Field("Default Address City", lambda p: p["city"], values.TEXT),
        Field("Default Address Province Code", lambda _: "", "[A-Z0-9]{0,3}"),
        Field("Default Address Country Code", _abroad, "[A-Z]{2}"),
        Field("Default Address Zip", lambda p: p["postcode"], values.TEXT),
        Field("Default Address Phone", lambda _: "", values.PHONE),
        Field("Phone", lambda p: p["phone"], values.PHONE, once=True),
        _flag("sms"),
        Field("Note", lambda p: p["reason"], values.TEXT),
        Field("Tax Exempt", lambda _: "no", _YES),
        Field("Tags", tags, values.TEXT),
    ),
    needs={"email": ("Email",), "sms": ("Phone",)},
    notice="Leave 'Overwrite existing customers' off, or Shopify takes consents and tags from this file in place of "
    "its own, and gives consent back to who has withdrawn it there since.",
)  # fmt: skip
