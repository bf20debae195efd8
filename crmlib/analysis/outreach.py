"""Who may be written to, and who of them is left alone so that the difference can be seen?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import pandas as pd

from crmlib import formats, wording
from crmlib.lots import LEAVE, WINDOW_DAYS, half_year
from crmlib.publishing import csv_rows
from crmlib.shop import consent

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

WRITE = "write"
MARKETING = "marketing"  # the one kind of list there is: what one leaves alone, all leave alone
PAUSE_DAYS = 7  # between two lists that write to the same customer
_POWER = 1.96 + 0.842  # of normal deviates: 95 % on two sides, four times in five
Channel = Literal["email", "sms"]
Reason = Literal[
    "refused", "unknown", "unsubscribed", "bounced", "no address", "complaint", "under control", "another list"
]

_SUBJECTS = {"email": "marketing e-mail", "sms": "text messages"}
_ADDRESSES = {"email": "an e-mail address", "sms": "a phone number"}


class Draws(Protocol):
    """What drawing lots needs of a shop."""

    @property
    def as_of(self) -> date: ...

    def lot(self, value: object, *, of: str) -> bool: ...


@dataclass(frozen=True)
class Contactable:
    """The rows of a list whose customers may be written to.

    frame     those rows, in their order, numbered anew, with lot, names, addresses and consents as `reached` has them
    left_out  customers taken off, by the first reason that applies
    channel   email or sms
    checked   whether the shop's data says who agreed; where it does not, nobody was taken off for want of consent, and
              neither e-mail addresses nor phone numbers are in it
    """

    frame: pd.DataFrame
    left_out: Mapping[Reason, int]
    channel: Channel
    checked: bool

    @property
    def write(self) -> pd.DataFrame:
        """The rows whose customers are written to: those whom the lot does not leave alone."""
        return self.frame[self.frame["lot"] != LEAVE] if "lot" in self.frame else self.frame

    @property
    def proviso(self) -> str:
        """What has to come first where the data says nothing of consent, as the end of `Action.what`."""
        return "" if self.checked else ", once you know who agreed"

    @property
    def note(self) -> str:
        """Who was left out and why, and who is left alone, as sentences for `Action.why`."""
        alone = len(self.frame) - len(self.write)
        are = f"{wording.upper(wording.counted(alone, 'other'))} chosen at random {wording.noun(alone, 'is')}"
        why = "to show" if shows(len(self.write), alone) else "too few to show within a year"
        return wording.sentences(f"{are} left alone, {why} what writing adds." if alone else "", self._left_out())

    def _left_out(self) -> str:
        subject = _SUBJECTS[self.channel]
        gone = [
            f"{formats.number(count)} who {_said(reason, count, self.channel)}"
            for reason, count in self.left_out.items()
            if count
        ]
        left = f"Left out: {wording.listed(gone)}." if gone else ""
        if not self.checked:
            return wording.sentences(
                f"The data does not say who agreed to {subject}, so the list holds no e-mail addresses and no phone "
                f"numbers; the column {consent.CHANNELS[self.channel][0]} of customers would tell.",
                left,
            )
        return left or f"All on the list have agreed to {subject}."


def _said(reason: Reason, count: int, channel: Channel) -> str:
    has, waits = wording.noun(count, "has"), wording.noun(count, "waits", "wait")
    return {
        "refused": f"{has} not agreed to {_SUBJECTS[channel]}",
        "unknown": f"{has} no consent on record",
        "unsubscribed": f"{has} unsubscribed",
        "bounced": f"{wording.noun(count, 'has', 'have')} an address that bounced",
        "no address": f"{has} not left {_ADDRESSES[channel]}",
        "complaint": f"{waits} for an answer to a complaint",
        "under control": f"{wording.noun(count, 'is')} left alone by an earlier list",
        "another list": f"{wording.noun(count, 'was', 'were')} on another list this week",
    }[reason]


def contactable(shop: Shop, frame: pd.DataFrame, *, channel: Channel = "email", name: str = "") -> Contactable:
    """Which rows of the list `name` (column customer_id) are of customers who may be written to, and how many not, why?

    Consent is what it was at the shop's as_of. A customer without a row in `customers`, or with consent left blank, has
    not agreed. Where the shop has no column of consent nobody is taken off for it, and `checked` is False; the same
    for addresses. Who was handed over with another list in the last PAUSE_DAYS, and who is still under the control of
    a list of an earlier half-year, is taken off too. Whoever stays has a `lot`.
    """
    found = consent.standing(shop, channel=channel)
    answer = frame.reset_index(drop=True)
    if "lot" not in answer:
        at = int(answer.columns.get_loc("customer_id")) + 1
        answer.insert(at, "lot", lots(answer["customer_id"], shop=shop))
    if frame.empty:
        return Contactable(answer, {}, channel, found.checked)
    why = pd.Series(found.of(answer["customer_id"]).to_numpy(dtype=object))
    spoilt = {who for who, since in _held(shop.as_of).items() if half_year(since) != half_year(shop.as_of)}
    for of in _draws(shop.as_of)[1:]:
        spoilt |= {who for who in answer["customer_id"] if not shop.lot(who, of=of)}
    for reason, who in (("under control", spoilt), ("another list", _written(shop.as_of, but=name))):
        why = why.mask(why.eq("") & answer["customer_id"].isin(who), reason)
    off = why != ""
    left_out = answer.assign(why=why)[off].groupby("why")["customer_id"].nunique()
    counts: dict[Reason, int] = {reason: int(left_out[reason]) for reason in get_args(Reason) if reason in left_out}
    stay = reached(shop, answer[~off].reset_index(drop=True))
    # A list of which nobody knows who agreed can be looked into and called from the shop's own books, but not mailed.
    stay = stay if found.checked else stay.drop(columns=["email", "phone"], errors="ignore")
    return Contactable(stay, counts, channel, found.checked)


def reached(shop: Shop, frame: pd.DataFrame) -> pd.DataFrame:
    """A list (column customer_id) with how its people are called and reached, and what they agreed to since which day.

    These columns, as far as the shop has them, stand behind customer_id, lot and reason. Nobody is taken off.
    """
    if frame.empty or not shop.has("customers"):
        return frame
    people = consent.details(shop, frame["customer_id"].dropna()).drop(columns=list(frame.columns), errors="ignore")
    if "consent_at" in people:
        people["consent_at"] = pd.to_datetime(people["consent_at"]).dt.date
    lead = [name for name in ("customer_id", "lot", "reason") if name in frame]
    whole = frame.join(people, on="customer_id")
    return whole[[*lead, *people.columns, *(name for name in frame.columns if name not in lead)]]


def lots(customers: Iterable[str], *, shop: Draws, act: str = WRITE) -> list[str]:
    """Whom of a list to `act` on, and whom to leave alone: about one in five, the same on every run with one key.

    What acting adds is told by those left alone. The lot is one for all lists of a half-year, whatever their order:
    nobody whom one list leaves alone is written to by another, not even after the key was lost.
    """
    draws, held = _draws(shop.as_of), _held(shop.as_of)
    return [act if who not in held and all(shop.lot(who, of=of) for of in draws) else LEAVE for who in customers]


def shows(written: int, alone: int, *, times: int = 2) -> bool:
    """Do so many, so many times a year, show what writing adds: 25 % buying, not 20, four times in five, at 95 %?

    >>> shows(1_000, 250), shows(2_000, 500)
    (False, True)
    """
    spread = math.sqrt((0.25 * 0.75 / max(written, 1) + 0.2 * 0.8 / max(alone, 1)) / times)
    return _POWER * spread <= 0.25 - 0.2


def kept(name: str) -> list[dict[str, str]]:
    """The rows of HELD, EXPORTED or ASSIGNED; none in a notebook that is run by hand."""
    file = consent.kept_file(name)
    return csv_rows(file) if file else []


def _draws(as_of: date) -> list[str]:
    """The lots that hold on a day: of its half-year, and of the one before until the windows of its lists are over.

    Records alone do not tell whom those lists left alone: a restored backup may lack them, the key draws them again.
    """
    now, before = half_year(as_of), half_year(as_of - timedelta(days=WINDOW_DAYS))
    listed = before != now and any(half_year(date.fromisoformat(row["since"])) == before for row in kept(consent.HELD))
    return [f"{MARKETING} {half}" for half in ((now, before) if listed else (now,))]


def _held(as_of: date) -> dict[str, date]:
    """Whom earlier lists leave alone as of a day, and since when."""
    rows = kept(consent.HELD)
    known = [(row["customer_id"], date.fromisoformat(row["since"]), date.fromisoformat(row["until"])) for row in rows]
    return {who: since for who, since, until in sorted(known) if since < as_of <= until}


def _written(as_of: date, *, but: str) -> set[str]:
    """Who was handed over with another list than `but` within the pause before a day."""
    begin = str(as_of - timedelta(days=PAUSE_DAYS))
    rows = kept(consent.EXPORTED)
    return {row["customer_id"] for row in rows if row["list"] != but and begin < row["day"] < str(as_of)}
