"""Who of a list is handed over? Whoever the tool can take, nobody twice, and consent is asked last.

Nobody held out is, but for a personal answer: a row with an empty lot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from crmlib.errors import DataError, UsageError
from crmlib.handover import values
from crmlib.handover.table import Person, Target
from crmlib.shop import consent

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

LEFT_ALONE = "left alone to show what writing brings"
REASONS = {
    "refused": "has not agreed", "unknown": "no consent on record", "unsubscribed": "unsubscribed",
    "bounced": "the address bounced", "no address": "no address on this channel",
    "complaint": "waits for an answer to a complaint",
}  # fmt: skip
OTHER_LIST, TWICE, NOBODY = "on another list this week", "twice on the list", "no customer is named"
SHARED = "the address is another customer's, too, who is not to be written to"
_STOPPED = ("refused", "unsubscribed", "bounced")


@dataclass(frozen=True)
class Handed:
    """What leaves the house: the people of the file, and who is not in it with the reason, by customer_id."""

    people: tuple[Person, ...]
    rejected: tuple[tuple[str, str], ...]

    def counts(self) -> dict[str, int]:
        """How many were turned away, by reason, most first."""
        return {str(why): int(n) for why, n in pd.Series([why for _, why in self.rejected]).value_counts().items()}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is to be handed over: the list's name, for whom and on which channel; `held` are left alone by any list and
    get personal answers only, `elsewhere` were handed over with another list this week."""

    name: str
    target: Target
    channel: str
    held: frozenset[str] = frozenset()
    elsewhere: frozenset[str] = frozenset()


def hand_over(shop: Shop, rows: Sequence[Mapping[str, str]], asked: Asked) -> Handed:
    """The people of a list that go into the file, each once, in the list's order, and why the others do not.

    Names, addresses and consents are the shop's of today, not the list's. Consent and suppression come last, and an
    address that one customer has stopped is stopped for all who share it. Raises UsageError for a list without
    customers or a channel the target does not have, DataError where the shop does not know who agreed.
    """
    if asked.channel not in asked.target.channels:
        raise UsageError(
            f"{asked.target.name} takes lists for {' or '.join(asked.target.channels)}, not for {asked.channel!r}"
        )
    if rows and "customer_id" not in rows[0]:
        raise UsageError(f"the list {asked.name} names no customers, only {', '.join(rows[0])}: nothing to hand over")
    standing = consent.standing(shop, channel=asked.channel)  # type: ignore[arg-type]
    if not standing.checked:
        column = consent.CHANNELS[asked.channel][0]
        raise DataError(
            f"the data does not say who agreed to {asked.channel}: customers.{column} is missing, so nobody can be "
            "handed over; export that column too, or name it in shop.toml under [columns.customers]"
        )
    ids = list(dict.fromkeys(row["customer_id"] for row in rows))
    people = _people(shop, ids, asked)
    why = dict(zip(ids, standing.of(ids), strict=True))
    return decide(rows, Known(people, why, *_shared(shop, people, standing, asked)), asked)


@dataclass(frozen=True)
class Known:
    """What the shop says of a list's customers, by id: how they are reached, why they may not be contacted ('' where
    they may), the addresses that another customer has stopped, and those at which somebody is left alone."""

    people: Mapping[str, Person]
    why: Mapping[str, str]
    shared: frozenset[str]
    alone: frozenset[str] = frozenset()


def decide(rows: Sequence[Mapping[str, str]], known: Known, asked: Asked) -> Handed:
    """The same from what is known, without asking the shop."""
    turned: dict[str, str] = {}
    taken: dict[str, Person] = {}
    seen: set[tuple[str, str]] = set()
    for row in rows:
        who = row["customer_id"]
        if who in taken or not who:
            turned.setdefault(who, TWICE if who else NOBODY)
            continue
        person = {"customer_id": who, "reason": "", "lot": "", **row, **known.people.get(who, {})}
        # Whoever waits for an answer gets one, whatever a lot says: it is why they are on the list.
        personal, why = row.get("lot") == "", known.why[who]
        left = who in asked.held and not personal
        fault = _fault(person, asked, seen, left=left) if who in known.people else REASONS["unknown"]
        stopped = "" if personal and why == "complaint" else REASONS.get(why, why)
        others = known.shared if personal else known.shared | known.alone
        reason = fault or stopped or (SHARED if _keys(person, asked) & others else "")
        if reason:
            turned[who] = reason
            continue
        seen.update(asked.target.keys(person))
        taken[who] = person
    return Handed(tuple(taken.values()), tuple(turned.items()))


def _keys(person: Person, asked: Asked) -> set[str]:
    return {consent.address_key(person[column]) for column in consent.CHANNELS[asked.channel][1]} - {""}


def _fault(person: Person, asked: Asked, seen: set[tuple[str, str]], *, left: bool) -> str:
    """Why a person is not handed over, whatever he agreed to."""
    who = person["customer_id"]
    if left or "leave alone" in (person["lot"], person.get("half")):
        return LEFT_ALONE
    if who in asked.elsewhere:
        return OTHER_LIST
    if fault := asked.target.fault(person, asked.channel):
        return fault
    double = next((header for header, value in asked.target.keys(person) if (header, value) in seen), "")
    return f"another row has the same {double}" if double else ""


def _people(shop: Shop, ids: Sequence[str], asked: Asked) -> dict[str, dict[str, str]]:
    """Those the shop knows, every value as text and as tools want it.

    An address of another channel comes along only where that was agreed to as well: a tool may take it for a consent.
    """
    columns = (*consent.DETAILS, *consent.PLACE)
    frame = consent.details(shop, ids, columns)
    found = {}
    for who, row in zip(frame.index, frame.to_dict("records"), strict=True):
        text = {name: "" if pd.isna(value := row.get(name)) else str(value) for name in columns}
        land = values.country(text["country"], shop.settings.country if not text["country"].strip() else "")
        person = {**text, "country": land, "email": values.email(text["email"])}
        person["phone"] = values.phone(text["phone"], land or shop.settings.country)
        person |= {name: values.name(text[name]) for name in ("first_name", "last_name", "city", "postcode")}
        person |= {"channel": asked.channel, "list": asked.name, "consent_at": text["consent_at"][:19]}
        person["birth_date"] = text["birth_date"][:10]
        for channel, column in (("email", "email"), ("sms", "phone")):
            if asked.channel not in (channel, "ads") and text[f"{channel}_consent"] != "True":
                person[column] = ""
        found[str(who)] = person
    return found


def _shared(
    shop: Shop, known: Mapping[str, Person], standing: consent.Standing, asked: Asked
) -> tuple[frozenset[str], frozenset[str]]:
    """The addresses that another customer, who may not be on the list, has stopped; those where one is left alone."""
    shared: set[str] = set()
    alone: set[str] = set()
    for column in consent.CHANNELS[asked.channel][1]:
        if shop.has("customers", column):
            mates = consent.same_address(shop, column, (consent.address_key(p[column]) for p in known.values()))
            shared |= set(mates.loc[standing.of(mates["customer_id"]).isin(_STOPPED).to_numpy(), "key"])
            alone |= set(mates.loc[mates["customer_id"].isin(asked.held), "key"])
    return frozenset(shared), frozenset(alone)
