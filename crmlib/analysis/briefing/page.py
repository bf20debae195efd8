"""The week, in the order of the page, and the same for a mailer and a calendar."""

from __future__ import annotations

import textwrap
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.briefing.occasions import BIRTHDAY, WEEK
from crmlib.analysis.briefing.queue import FRESH_DAYS, LIST, SUPPOSED, Queue
from crmlib.analysis.earned import Earned, part_earned, title_earned
from crmlib.analysis.outreach import shows
from crmlib.findings import Action, Caveat, Findings, Metric, Part, compose
from crmlib.ical import Event, calendar
from crmlib.lots import LEAVE
from crmlib.shop.facts import public_holidays

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

_SHOWN, _MOST = 12, 40  # rows of who does what, and of all there is to do
_LINES, _LABEL = 3, 44  # lines of the text, letters that fit a phone and one line of a chart
_LABELS = {"what": "What", "owner": "Who", "by": "By", "worth": "Worth", "title": "From"}
_TASKS = {"what": "What", "owner": "Who", "customers": "Customers", "offers": "With an offer"}
_FILE, _CARDS = f"lists/{LIST}.csv", f"lists/{BIRTHDAY}.csv"


def part_contacts(found: Queue) -> Part:
    """How many to contact, for which reason, and the list itself."""
    people = found.contacts
    counts = people.groupby("what", sort=False).agg(
        owner=("owner", "first"), offers=("offer", lambda offers: (offers != "").sum()), customers=("what", "size")
    ).reset_index()  # fmt: skip
    counts = counts.sort_values("customers", ascending=False, kind="stable")
    counts["label"] = [textwrap.shorten(what, _LABEL, placeholder=" …") for what in counts["what"]]
    behind = figures.table(counts, rows=_SHOWN, labels=_TASKS, caption="Who does what", file=_FILE).table
    more = f"{formats.number(found.beyond)} more on the lists of other pages wait behind them." if found.beyond else ""
    other = f"{wording.upper(wording.counted(found.unreachable, 'customer'))} had not agreed and left the list."
    room = f"There is room for {found.capacity} contacts a week: shop.toml may say otherwise, under [team]."
    return Part(
        title=_most(counts), glance=True, metrics=list(_metrics(found)), actions=list(_asked(found)),
        sentence=wording.sentences(more, other if found.unreachable else "", "" if found.told else room),
        chart=figures.bars(counts, label="label", value="customers", what="customers to contact", form=formats.number,
                           table=behind)
        if len(counts) else None,
        lists={name: frame for name, frame in ((LIST, found.people), (BIRTHDAY, found.cards)) if len(frame)},
    )  # fmt: skip


def _most(counts: pd.DataFrame) -> str:
    if counts.empty:
        return "Nobody is to be contacted this week"
    top = counts.iloc[0]
    return f"Biggest job this week: {wording.lower(str(top['what']))} ({formats.number(top['customers'])})"


def _metrics(found: Queue) -> list[Metric]:
    held = int((found.people["lot"] == LEAVE).sum())
    return [
        Metric(id="contacts", label="To contact this week", value=len(found.contacts), unit="customers", headline=True,
               note=f"{formats.number(found.beyond)} more behind them" if found.beyond else "",
               definition="customers on the list of the week whom no lot leaves alone"),
        Metric(id="waiting", label="Without an answer", value=found.waiting, unit="customers", headline=True,
               definition="customers of the list whose ticket or unhappy text has no answer on record"),
        Metric(id="held_out", label="Held back at random", value=held, unit="customers", headline=True,
               note="to show what writing adds" if shows(len(found.contacts), held, times=52) else "too few to tell",
               definition="customers who would be on the list and are left alone, to show what writing adds"),
    ]  # fmt: skip


def _asked(found: Queue) -> list[Action]:
    """What to do with the lists: answers, contacts, cards."""
    day, personal = found.as_of, len(found.personal)
    others, cards = len(found.contacts) - personal, int((found.cards["lot"] != LEAVE).sum())
    order = (
        "Those come first for whom past lists of the kind earned most; where none was measured, "
        f"{formats.share(SUPPOSED)} of what is at stake stands in, for the order alone. "
        "Each row says why, by when and on which channel"
        + ("." if (found.contacts["channel"] != "").all() else "; none, where nobody knows whether they agreed to one.")
    )
    answers, first = _due(found.personal, wording.working_day(day, 2))
    contacts, sooner = _due(found.contacts[~found.contacts["customer_id"].isin(found.personal["customer_id"])],
                            wording.working_day(day, 5))  # fmt: skip
    n = found.guests
    guests = f"{formats.number(n)} more, by guests, {wording.noun(n, 'is')} on Feedback's list alone." if n else ""
    made = [
        (personal, _in_person(found.waiting, personal - found.waiting), answers, "service", _FILE,
         wording.sentences("They stand on top of the list; nobody is held back.", first, guests)),
        (others, f"Contact {wording.counted(others, 'customer')}", contacts, "marketing", _FILE,
         wording.sentences(order, sooner)),
        (cards, f"Send {wording.counted(cards, 'birthday greeting')}, each on its day",
         wording.working_day(day, WEEK - 1), "marketing", _CARDS,
         "Whoever gets one is not contacted otherwise this week."),
    ]  # fmt: skip
    return [
        Action(what=what, by=by, owner=owner, file=file, count=count, why=why)
        for count, what, by, owner, file, why in made
        if count
    ]


def _due(rows: pd.DataFrame, usual: date) -> tuple[date, str]:
    """The day by which all rows are due, and how many are due before."""
    days = [day for day in rows["by"] if day]
    last = max(days, default=usual)
    sooner = [day for day in days if day < last]
    return (
        last,
        f"{formats.number(len(sooner))} of them sooner, from {formats.day(min(sooner), year=False)} on."
        if sooner
        else "",
    )


def _in_person(waiting: int, others: int) -> str:
    if not waiting:
        return f"Look after {wording.counted(others, 'customer')} in person"
    answer = f"Answer {wording.counted(waiting, 'customer')}"
    return f"{answer}, look after {formats.number(others)} in person" if others else answer


def part_actions(found: Queue) -> Part:
    """What the reports ask for, ranked, in one table."""
    rows = found.actions
    metric = Metric(id="actions", label="Actions", value=len(rows), unit="actions",
                    definition="what other reports ask for beside lists that are in the queue")  # fmt: skip
    tables = {"actions": rows.drop(columns="title")}
    if rows.empty:
        return Part(metrics=[metric], tables=tables)
    rows = rows.sort_values("by", key=lambda days: days.map(lambda day: day or date.max), kind="stable")
    dated = rows.assign(by=[formats.day(day, year=False) if day else "" for day in rows["by"]])
    things, reports = wording.counted(len(rows), "thing"), wording.counted(rows["report"].nunique(), "report")
    return Part(
        title=f"{wording.upper(things)} to do beside the lists, from {reports}", metrics=[metric], tables=tables,
        sentence="By the day they are due; of one day, first what touches most customers, orders or tickets.",
        chart=figures.table(dated, rows=_MOST, caption="What to do, by the day it is due", labels=_LABELS,
                            file="tables/actions.csv"),
    )  # fmt: skip


def part_days(shop: Shop, found: Queue) -> Part | None:
    """Birthdays, public holidays, closures and campaigns of the coming two weeks."""
    said = [f"{formats.day(day, year=False)}: {what}" for day, what in _days(shop, found)]
    if not said:
        return None
    return Part(title="Days to know in the next two weeks", sentence=f"{'; '.join(said)}.", detail=True)


def _days(shop: Shop, found: Queue) -> list[tuple[date, str]]:
    end = found.as_of + timedelta(days=2 * WEEK)
    days = list(public_holidays(shop, found.as_of, end).items())
    for span in (*shop.settings.closures, *shop.settings.campaigns):
        if span.start <= end and span.end >= found.as_of:
            days.append((max(span.start, found.as_of), span.name or "closed"))
    born = found.cards.loc[found.cards["lot"] != LEAVE, "by"].value_counts()
    return sorted([*days, *((day, wording.counted(int(n), "birthday greeting")) for day, n in born.items())])


def headline(found: Queue) -> str:
    """What the week asks for, in at most 20 words."""
    n, waits, actions = len(found.contacts), found.waiting, len(found.actions)
    if found.ended:
        return f"Nobody is proposed: the data end on {formats.day(found.ended)}. Bring a fresh export."
    if not n:
        asked = f"the reports ask for {wording.counted(actions, 'thing')}" if actions else "no report asks for anything"
        return f"Nobody is to be contacted this week; {asked}."
    first = f"{wording.upper(wording.counted(n, 'customer'))} to contact this week"
    answer = f"; {formats.number(waits)} of them {wording.noun(waits, 'has', 'have')} no answer yet" if waits else ""
    return f"{first}{answer}."


def page(shop: Shop, found: Queue, measured: Earned) -> Findings:
    """What should each person do this week? The queue, all actions, what past lists earned, the days to know."""
    said = headline(found)
    parts = [part_contacts(found), part_actions(found), part_earned(measured), part_days(shop, found)]
    nothing = not (found.read or len(found.people) or len(found.cards))
    return compose(
        "briefing", said, [*parts, _beside(shop, found, measured, said)], status="too_few" if nothing else None
    )


def _beside(shop: Shop, found: Queue, measured: Earned, said: str) -> Part:
    """briefing.txt and briefing.ics, which count people and name none; and what the page rests on."""
    todo: list[dict[str, Any]] = [
        *({"what": one.what, "by": one.by, "owner": shop.owners.get(one.owner, ""), "report": "briefing"}
          for one in _asked(found)),
        *({str(key): value for key, value in row.items()} for row in found.actions.to_dict("records")),
    ]  # fmt: skip
    days = _days(shop, found)
    lines = [said, *map(_line, todo[: 2 * _LINES])]
    lines += [f"- {formats.day(day, year=False)}: {what}" for day, what in days[:_LINES]]
    lines.append(f"{title_earned(measured)}.")
    events = [Event(f"do {row['report']} {row['what']}", row["by"], row["what"]) for row in todo if row["by"]]
    events += [Event(f"day {day} {what}", day, what) for day, what in days]
    missing = "" if found.read else "No other report has been published yet: run them all, and this one again."
    if found.old:
        missing = f"Left out, since more than {FRESH_DAYS} days old: {wording.listed(found.old)}. Run them again."
    lists = wording.noun(len(found.unknown), "that list", "those lists")
    none = f"shop.toml names an offer for {wording.listed(found.unknown)}, and nobody is on {lists} this week."
    missing = wording.sentences(missing, none if found.unknown else "")
    return Part(
        texts={"briefing.txt": "\n".join(lines) + "\n", "briefing.ics": calendar(events, made=found.as_of)},
        caveats=[Caveat(text=missing)] if missing else [],
        certain=["Who is listed follows from the reports; what contacts add is known only where lists were measured."],
    )  # fmt: skip


def _line(row: dict[str, Any]) -> str:
    by = f", by {formats.day(row['by'], year=False)}" if row["by"] else ""
    return f"- {row['what']}{by}" + (f" ({row['owner']})" if row["owner"] else "")
