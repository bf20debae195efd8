"""Who may be contacted on a channel, as of the day, and how are they reached?

Consent is asked last, after every other choice of people, and a person nobody knows has given none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import ibis
import ibis.expr.types as ir
import pandas as pd

from crmlib.errors import NotAvailable
from crmlib.shop.privacy import KEPT_VARIABLE

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

# customer_id, list, and: since, until · channel, day, answered · lot, day
HELD, EXPORTED, ASSIGNED = "held_out", "exported", "assigned"
CHANNELS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "email": ("email_consent", ("email",)),
    "sms": ("sms_consent", ("phone",)),
    "ads": ("ads_consent", ("email", "phone")),
}
Channel = Literal["email", "sms", "ads"]
DETAILS = (
    "first_name", "last_name", "email", "phone", "language", "email_consent", "sms_consent", "ads_consent",
    "consent_at",
)  # fmt: skip
PLACE = ("birth_date", "gender", "country", "region", "city", "postcode")
MOST_CUSTOMERS = 5_000_000
COMPLAINT_DAYS = 30  # how long an unhappy text without an answer keeps other mail away
_AT_ONCE = 2_000  # ids in one question to the engine
_FINE = ("subscribed", "active", "confirmed", "yes", "true", "1", "")
_OFF = (
    "unsubscribed", "unsubscribe", "opted out", "opt-out", "optout", "revoked", "withdrawn", "redacted", "complained",
    "complaint", "spam", "abgemeldet", "désabonné", "désinscrit", "disiscritto", "baja", "uitgeschreven",
)  # fmt: skip
_BOUNCED = ("bounced", "bounce", "hard bounce", "hard_bounce", "cleaned", "invalid", "undeliverable", "suppressed")


@dataclass(frozen=True)
class Standing:
    """Whether customers may be contacted on a channel.

    why       by customer_id: '' who may be, else unsubscribed, bounced, refused, unknown, no address or complaint
    checked   whether the data says who agreed; where it does not, nobody is kept back for want of consent
    stranger  the same for whom the data does not know
    """

    why: pd.Series[str]
    checked: bool
    stranger: str = ""

    def of(self, customers: Iterable[str]) -> pd.Series[str]:
        """The same for these ids, in their order."""
        return self.why.reindex(list(customers)).fillna(self.stranger)


def standing(shop: Shop, *, channel: Channel = "email") -> Standing:
    """Who of the shop's customers may be contacted on this channel at its as_of, and why the others may not?

    The first reason that applies counts. Only ids and reasons leave the engine, at most MOST_CUSTOMERS.
    """
    consent, addresses = CHANNELS[channel]
    checked = shop.has("customers", consent)
    addressed = [name for name in addresses if shop.has("customers", name)]
    if not (checked or addressed):
        return Standing(pd.Series(dtype=str), checked=False)
    people = shop.table("customers")
    tests: list[tuple[ir.BooleanValue, str]] = []
    if channel == "email" and shop.has("customers", "email_status"):
        status = people["email_status"].fill_null("").strip().lower()
        tests += [(status.isin(_BOUNCED), "bounced"), (status.isin(_OFF), "unsubscribed")]
    if checked:
        tests += [((~people[consent]).fill_null(False), "refused"), (people[consent].isnull(), "unknown")]
    if channel == "email" and shop.has("customers", "email_status"):
        tests.append((~status.isin(_FINE), "unknown"))  # pending, not set: no yes
    if addressed:
        reached = [people[name].fill_null("").strip() != "" for name in addressed]
        tests.append((~(reached[0] | reached[-1]), "no address"))
    asked = people.select("customer_id", why=ibis.cases(*tests, else_=""))
    waiting = _waiting(shop)
    if waiting is not None:
        asked = asked.left_join(waiting, asked["customer_id"] == waiting["_waits"])
        waits = (asked["why"] == "") & asked["_waits"].notnull()
        asked = asked.select("customer_id", why=ibis.ifelse(waits, "complaint", asked["why"]))
    told = shop.fetch(asked, max_rows=MOST_CUSTOMERS)
    why = told.drop_duplicates("customer_id").set_index("customer_id")["why"]
    return Standing(why, checked, "unknown" if checked else "no address")


def _waiting(shop: Shop) -> ir.Table | None:
    """Customers with an open ticket, or an unhappy text of the last days that no ticket has answered: _waits."""
    begin = ibis.timestamp((shop.as_of - timedelta(days=COMPLAINT_DAYS)).isoformat())
    found, answered = [], None
    if shop.has("tickets", "customer_id", "closed_at"):
        tickets = shop.table("tickets")
        open_ones = tickets["closed_at"].isnull() & (tickets["opened_at"] >= begin)
        found.append(tickets.filter(open_ones).select(_waits="customer_id"))
        answered = tickets.filter(tickets["closed_at"] >= begin).select(_closed="closed_at", _who="customer_id")
    if shop.has("feedback", "customer_id", "rating", "created_at"):
        texts = shop.table("feedback")
        texts = texts.filter((texts["rating"] <= 2) & (texts["created_at"] >= begin))
        if answered is not None:
            later = [texts["customer_id"] == answered["_who"], texts["created_at"] <= answered["_closed"]]
            texts = texts.anti_join(answered, later)
        found.append(texts.select(_waits="customer_id"))
    if not found:
        return None
    everybody = ibis.union(*found) if len(found) > 1 else found[0]
    return everybody.filter(everybody["_waits"].notnull()).distinct()


def details(shop: Shop, customers: Iterable[str], columns: Iterable[str] = DETAILS) -> pd.DataFrame:
    """How these customers are called and reached: one row an id that is known, the columns the shop has, by id.

    Only what was asked for leaves the engine. NotAvailable where the shop has no customers.
    """
    if not shop.has("customers"):
        raise NotAvailable("needs customers, with their addresses; this shop has none")
    ids = list(dict.fromkeys(customers))
    wanted = [name for name in columns if shop.has("customers", name)]
    people = shop.table("customers").select("customer_id", *wanted)
    if len(ids) > _AT_ONCE:
        # In parts, every part would read all customers.
        asked = shop.keep(ibis.memtable(pd.DataFrame({"customer_id": ids}), schema={"customer_id": "string"}))
        found = shop.fetch(people.semi_join(asked, "customer_id"), max_rows=2 * len(ids))
    else:
        found = shop.fetch(people.filter(people["customer_id"].isin(ids or [""])))
    return found.drop_duplicates("customer_id").set_index("customer_id")


def address_key(text: str) -> str:
    """An address as it is compared: in small letters; of a number the last nine digits, whoever wrote it how.

    >>> address_key(" Ann@Example.com"), address_key("+49 (0)30 23125 959")
    ('ann@example.com', '023125959')
    """
    return text.strip().lower() if "@" in text else re.sub("[^0-9]", "", text)[-9:]


def same_address(shop: Shop, column: str, keys: Iterable[str]) -> pd.DataFrame:
    """Which customers have one of these addresses in `column`, email or phone? One row each: customer_id, key."""
    people = shop.table("customers")
    text = people[column]
    key = text.strip().lower() if column == "email" else text.re_replace("[^0-9]", "").right(9)
    people = people.select("customer_id", key=key)
    asked = sorted(set(keys) - {""})
    parts = [asked[i : i + _AT_ONCE] for i in range(0, len(asked), _AT_ONCE)] or [["no address"]]
    return pd.concat([shop.fetch(people.filter(people["key"].isin(part))) for part in parts], ignore_index=True)


def kept_file(name: str) -> Path | None:
    """Where HELD, EXPORTED or ASSIGNED lies, as the runner says; None in a notebook that is run by hand."""
    folder = os.environ.get(KEPT_VARIABLE, "")
    return Path(folder) / f"{name}.csv" if folder else None
