"""Google Customer Match: hashed addresses and names, plain country and postcode.

All rows are hashed. Dots of Gmail addresses stay: the rules of lists do not take them out.
"""

from __future__ import annotations

from crmlib.handover import values
from crmlib.handover.table import Field, Person, Target


def _named(column: str, person: Person) -> str:
    """A name counts only with country and postcode in the same row."""
    return values.hashed(values.folded(person[column])) if person["country"] and person["postcode"] else ""


TARGET = Target(
    name="google",
    fields=(
        Field("Email", lambda p: values.hashed(p["email"]), values.HASH, once=True),
        Field("Phone", lambda p: values.hashed(p["phone"]), values.HASH, once=True),
        Field("First Name", lambda p: _named("first_name", p), values.HASH),
        Field("Last Name", lambda p: _named("last_name", p), values.HASH),
        Field("Country", lambda p: p["country"] if p["postcode"] else "", "[A-Z]{2}"),
        Field("Zip", lambda p: p["postcode"] if p["country"] else "", r"[\w -]{2,12}"),
    ),
    needs={"ads": ("Email", "Phone")},
    channels=("ads",),
    notice="In the EU set the consent signals (ad_user_data, ad_personalization) to granted for this file alone: "
    "everybody in it agreed to adverts, which is another consent than that to e-mail.",
)  # fmt: skip
