"""Meta custom audiences: everything hashed; numbers without + and leading zeros, so not as Google hashes them."""

from __future__ import annotations

from crmlib.handover import values
from crmlib.handover.table import Field, Target

_GENDERS = {"female": "f", "f": "f", "male": "m", "m": "m"}

TARGET = Target(
    name="meta",
    fields=(
        Field("email", lambda p: values.hashed(p["email"]), values.HASH, once=True),
        Field("phone", lambda p: values.hashed(p["phone"].lstrip("+0")), values.HASH, once=True),
        Field("fn", lambda p: values.hashed(values.letters(p["first_name"])), values.HASH),
        Field("ln", lambda p: values.hashed(values.letters(p["last_name"])), values.HASH),
        Field("zip", lambda p: values.hashed(values.folded(p["postcode"]).replace(" ", "")), values.HASH),
        Field("ct", lambda p: values.hashed(values.letters(p["city"])), values.HASH),
        Field("country", lambda p: values.hashed(p["country"].lower()), values.HASH),
        Field("gen", lambda p: values.hashed(_GENDERS.get(values.folded(p["gender"]), "")), values.HASH),
    ),
    needs={"ads": ("email", "phone")},
    channels=("ads",),
    fewest=100,
    notice="Choose 'hashed' while uploading. Everybody in the file agreed to adverts, which is another consent than "
    "that to e-mail.",
)  # fmt: skip
