"""One ranked queue out of all lists: nobody twice, nobody who may not be contacted, no more than can be done."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from crmlib import wording
from crmlib.analysis.briefing.occasions import BIRTHDAY, TICKET, occasions
from crmlib.analysis.earned import Earned
from crmlib.analysis.outreach import Channel, contactable, kept, lots, reached
from crmlib.findings import severest
from crmlib.formats import outline
from crmlib.lots import LEAVE
from crmlib.publishing import Run, average_order, newest
from crmlib.shop import consent
from crmlib.shop.shop import Shop

LIST = "briefing"
CAPACITY = 40  # contacts a week where shop.toml does not say
FRESH_DAYS = 14  # how old a report may be, for its lists and actions to count
PERSONAL_PAUSE_DAYS = 30  # until somebody who was contacted in person is proposed again without a new list
ENDED_DAYS = 92  # after the last day of the data nobody is proposed
SUPPOSED = 0.05  # of what is at stake: what writing adds, for the order alone, where no list of the kind was measured
_MOST_ROWS = 5_000  # of a list, best first
_OFFERS = ("suggest", "remind_of")
_TEXTS = ["lot", "owner", "offer", "report"]
_CLAUSE = re.compile("(?:‘[^’]*’|[,:;](?! )|[^,:;])*")  # up to a comma outside a name
_WANTED = ["customer_id", "list", "what", "reason", "by", "place", "stake", "waits", *_TEXTS]
_WORTH = ["expected_value", "low_value", "high_value"]


@dataclass(frozen=True)
class Queue:
    """Whom to contact this week, best first.

    cards     who gets a birthday card, and whom the lot leaves alone; not among people, and beside the capacity
    people    rank, customer_id, lot, reason, how the customer is reached, channel, what, owner (who does it), offer,
              by, list, report, also (further reasons), expected_value with its range; those left alone stand where they
              would have come
    actions   what reports ask for beside lists in the queue, ranked: rank, report, what, owner, by, worth, file
    waiting   customers of the queue who wait for an answer; `guests`, rows of lists that name no customer
    beyond    customers there was no room for; `unreachable`, who may not be contacted on any channel
    read      the reports whose lists and actions count; `old`, titles of those too old for that
    told      whether shop.toml says how many contacts a week there is time for
    unknown   lists for which shop.toml names an offer and which nobody is on
    ended     the last day of data that ended so long ago that nobody is proposed, else None
    """

    people: pd.DataFrame
    cards: pd.DataFrame
    actions: pd.DataFrame
    capacity: int
    told: bool
    waiting: int
    guests: int
    beyond: int
    unreachable: int
    read: tuple[str, ...]
    old: tuple[str, ...]
    unknown: tuple[str, ...]
    as_of: date
    currency: str
    ended: date | None = None

    __repr__ = outline

    @property
    def contacts(self) -> pd.DataFrame:
        """Those to contact: all but whom the lot leaves alone."""
        return self.people[self.people["lot"] != LEAVE]

    @property
    def personal(self) -> pd.DataFrame:
        """Those who wait for an answer or are looked after in person, whatever a lot would say."""
        return self.people[self.people["lot"] == ""]


def queue(shop: Shop, runs: Sequence[Run], measured: Earned, *, contacts: int = 0) -> Queue:
    """What should each person do this week? `contacts` a week; 0 is as shop.toml says, else CAPACITY.

    Answers that are waited for come first, then what a contact has earned as far as past lists were measured, else a
    twentieth of what is at stake. Lists that cost more than they bring are not proposed. Consent is asked anew.

    >>> queue(store, (), earned).people.empty
    True
    """
    asked = contacts or shop.settings.team.contacts_per_week or CAPACITY
    begin, through = shop.as_of - timedelta(days=FRESH_DAYS), shop.data_through or shop.as_of
    # Who ordered or agreed since is not known.
    ended = through if through < shop.as_of - timedelta(days=ENDED_DAYS) else None
    read = tuple(run for run in newest(runs) if run.as_of >= begin)
    old = tuple(run.title for run in newest(runs) if run.as_of < begin and run.actions)
    lists = {run.report: _lists(run) for run in read}
    days = occasions(shop).iloc[: 0 if ended else None]
    roles = days["list"].map(lambda name: "service" if name == TICKET else "marketing")
    days = _with_offers(days.assign(owner=[shop.owners.get(role, "") for role in roles]), shop.settings.offers)
    born = days["list"] == BIRTHDAY
    cards, _ = _reachable(shop, days[born & ~days["list"].isin(measured.stopped)].assign(personal=False))
    rows = pd.DataFrame(
        [*days[~born].to_dict("records"),
         *(row for run in read if not ended for row in _listed(run, lists[run.report]))]
    )  # fmt: skip
    people, beyond, unreachable, named = rows, 0, 0, set(rows["list"]) if len(rows) else set()
    if len(rows):
        rows = rows[~rows["list"].isin(measured.stopped)].reindex(columns=_WANTED)
        rows["waits"] = rows["waits"].eq(True) | (rows["list"] == TICKET)
        rows[_TEXTS] = rows[_TEXTS].astype(object).fillna("")
        rows = _with_offers(rows, shop.settings.offers)
        rows = rows[(rows["lot"] == "") | ~rows["customer_id"].isin(cards["customer_id"])]
        # A list may have been drawn under another key, or before somebody was held out.
        drawn = pd.Series(lots(rows["customer_id"], shop=shop), index=rows.index)
        rows["lot"] = rows["lot"].mask((rows["lot"] != "") & (drawn == LEAVE), LEAVE)
        rows = _ranked(rows, _worth(read), measured, _paused(shop.as_of))
        people, unreachable = _reachable(shop, rows)
        people, beyond = _within(people, asked)
    return Queue(
        people=_shown(people), cards=cards.drop(columns="personal"), actions=_actions(read, lists), capacity=asked,
        told=bool(contacts or shop.settings.team.contacts_per_week), beyond=beyond, unreachable=unreachable,
        waiting=int(people["waits"].eq(True).sum()) if "waits" in people else 0,
        guests=sum(not row["customer_id"] for files in lists.values() for listed in files.values() for row in listed),
        read=tuple(run.report for run in read), old=old, as_of=shop.as_of, currency=shop.currency,
        unknown=tuple(name for name in shop.settings.offers if name not in {*named, *days["list"]}), ended=ended,
    )  # fmt: skip


def _with_offers(rows: pd.DataFrame, offers: Mapping[str, str]) -> pd.DataFrame:
    """What a row itself does not offer, its list does where shop.toml says so."""
    pairs = zip(rows["offer"], rows["list"], strict=True)
    return rows.assign(offer=[offer or offers.get(name, "") for offer, name in pairs])


def _lists(run: Run) -> dict[str, list[dict[str, str]]]:
    """By file of an action, the best rows of each list that says how its people are reached."""
    found = {}
    for file in dict.fromkeys(action.file for action in run.actions if action.file.startswith("lists/")):
        rows = run.rows(Path(file).stem, of="lists")[:_MOST_ROWS]
        if rows and "customer_id" in rows[0] and ("email" in rows[0] or "phone" in rows[0]):
            found[file] = rows
    return found


def _listed(run: Run, lists: Mapping[str, Sequence[Mapping[str, str]]]) -> Iterator[dict[str, Any]]:
    """Their rows, with what the first action that names a list asks for."""
    for file, rows in lists.items():
        action, name = next(one for one in run.actions if one.file == file), Path(file).stem
        for place, row in enumerate(rows):
            if row["customer_id"]:
                offer = next((row[key] for key in _OFFERS if row.get(key)), "")
                yield {
                    "customer_id": row["customer_id"], "lot": row.get("lot", ""), "list": name, "report": run.report,
                    "what": _task(action.what), "owner": action.owner, "reason": _reason(row, name), "offer": offer,
                    "by": action.by, "place": place, "stake": _stake(row), "waits": "feedback_id" in row,
                }  # fmt: skip


def _task(what: str) -> str:
    """What an action asks for, of one.

    >>> _task("Write to 31 ‘Small orders, gifts’ customers, the oldest first")
    'Write to ‘Small orders, gifts’ customers'
    """
    return re.sub(r" (?:the |these )?[\d,]+(?= )", "", _CLAUSE.match(what)[0], count=1)  # type: ignore[index]


def _reason(row: Mapping[str, str], name: str) -> str:
    """Why somebody is on a list, from the row itself."""
    if row.get("reason"):
        return row["reason"] + (f" ({row['feedback_id']})" if row.get("feedback_id") else "")
    called = row.get("segment") or f"on the list ‘{name.replace('_', ' ')}’"
    silent = row.get("silent_days") or row.get("days_since_last_order", "")
    return f"{called}, silent for {wording.counted(int(float(silent)), 'day')}" if silent else called


def _stake(row: Mapping[str, str]) -> float:
    """The money at stake with a customer as the list itself says; nan where it says none."""
    for name in ("value_if_back", "margin_last_year", "revenue_last_year"):
        if row.get(name):
            # Of those who left only who may come back is at stake.
            return float(row[name]) * float(row.get("chance_back") or 1.0)
    return float("nan")


def _worth(runs: Sequence[Run]) -> pd.DataFrame:
    """What customers are expected to bring, with ranges, by id; empty where lifetime_value has not said."""
    rows = next((run.rows("customers", of="lists") for run in runs if run.report == "lifetime_value"), [])
    frame = pd.DataFrame(rows, columns=["customer_id", *_WORTH]).set_index("customer_id")
    return frame.replace("", float("nan")).astype(float)


def _paused(as_of: date) -> set[str]:
    """Who was contacted in person of late, by the record of what was done with earlier briefings."""
    begin = str(as_of - timedelta(days=PERSONAL_PAUSE_DAYS))
    return {
        row["customer_id"] for row in kept(consent.EXPORTED) if row["list"] == LIST and begin < row["day"] < str(as_of)
    }


def _ranked(rows: pd.DataFrame, worth: pd.DataFrame, measured: Earned, paused: set[str]) -> pd.DataFrame:
    """Best first, each customer once, with further reasons in `also`."""
    rows = rows.join(worth[~worth.index.duplicated()], on="customer_id")
    stake = pd.to_numeric(rows["stake"]).fillna(rows["expected_value"]).fillna(0.0)
    known = {row["list"]: row["each"] for row in measured.table.to_dict("records") if row["verdict"] == "earns"}
    rows["gain"] = rows["list"].map(known).astype(float).fillna(SUPPOSED * stake)
    rows["personal"] = rows["lot"] == ""
    rows = rows[~(rows["personal"] & rows["customer_id"].isin(paused))]
    rows = rows.sort_values(["personal", "gain", "place", "customer_id"], ascending=[False, False, True, True],
                            na_position="first", kind="stable")  # fmt: skip
    reasons = rows.groupby("customer_id")["reason"].agg(lambda said: "; ".join(dict.fromkeys(said.iloc[1:])))
    first = rows.drop_duplicates("customer_id").reset_index(drop=True)
    return first.assign(also=first["customer_id"].map(reasons).astype(object).fillna(""))


def _reachable(shop: Shop, rows: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Who may be contacted, with `channel` if it is known who agreed; and how many may not. Who waits is answered."""
    order = {who: n for n, who in enumerate(rows["customer_id"])}
    own, others = rows[rows["personal"]], rows[~rows["personal"]]
    answered = reached(shop, own)
    phone = _has(answered, "phone").map({True: "phone", False: ""})
    parts = [answered.assign(channel=phone.mask(_has(answered, "email"), "email"))] if len(own) else []
    left = others
    ways: tuple[tuple[Channel, bool], ...] = (("email", True), ("sms", True), ("email", False))
    for channel, known in ways:
        if len(left) and (may := contactable(shop, left, channel=channel)).checked == known:
            parts.append(may.frame.assign(channel=channel if known else ""))
            left = left[~left["customer_id"].isin(may.frame["customer_id"])]
    whole = pd.concat(parts) if parts else rows.assign(channel="")
    return whole.sort_values("customer_id", key=lambda ids: ids.map(order)).reset_index(drop=True), len(left)


def _has(rows: pd.DataFrame, column: str) -> pd.Series:
    return rows[column].fillna("") != "" if column in rows else pd.Series(False, index=rows.index)


def _within(people: pd.DataFrame, capacity: int) -> tuple[pd.DataFrame, int]:
    """As many as there is time for, those left alone beside them; and how many more there are."""
    done = (people["lot"] != LEAVE).cumsum()
    fits = done <= capacity
    return people[fits].reset_index(drop=True), int((~fits & (people["lot"] != LEAVE)).sum())


def _shown(people: pd.DataFrame) -> pd.DataFrame:
    last = ["channel", "what", "owner", "offer", "by", "list", "report", "also", *_WORTH]
    if people.empty:
        return pd.DataFrame(columns=["rank", "customer_id", "lot", "reason", *last])
    lead = [name for name in people if name not in (*last, "place", "stake", "gain", "personal", "waits")]
    shown = people[[*lead, *last]]
    shown.insert(0, "rank", range(1, len(shown) + 1))
    return shown.round(dict.fromkeys(_WORTH, 2))


def _actions(runs: Sequence[Run], lists: Mapping[str, Collection[str]]) -> pd.DataFrame:
    """What the reports ask for beside lists that are in the queue, the gravest first."""
    found = [(place, action, run) for run in runs for place, action in enumerate(run.actions)
             if action.file not in lists[run.report]]  # fmt: skip
    rows = [
        {"rank": rank, "report": run.report, "what": action.what, "owner": action.owner, "by": action.by,
         "worth": action.worth, "file": action.file, "title": run.title}
        for rank, (_, action, run) in enumerate(severest(found, order=average_order(runs)), start=1)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["rank", "report", "what", "owner", "by", "worth", "file", "title"])
