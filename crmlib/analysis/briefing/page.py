"""The week, in the order of the page, and the same for a mailer and a calendar."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.briefing.occasions import BIRTHDAY, WEEK
from crmlib.analysis.briefing.queue import LIST, SUPPOSED, Queue
from crmlib.analysis.earned import ALL, WINDOW_DAYS, Earned
from crmlib.analysis.outreach import LEAVE
from crmlib.findings import Action, Caveat, Findings, Metric, Part, compose
from crmlib.ical import Event, calendar
from crmlib.shop.facts import public_holidays

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

_SHOWN, _LINES = 12, 3
_LABELS = {"what": "What", "owner": "Who", "by": "By", "worth": "Worth", "title": "From"}


def part_contacts(found: Queue) -> Part:
    """How many to contact, for which reason, and the list itself."""
    people, personal = found.contacts, found.personal
    held = int((found.people["lot"] == LEAVE).sum())
    counts = people.groupby("what", sort=False).size().rename("customers").reset_index()
    chart = None
    if len(counts):
        chart = figures.bars(
            counts.sort_values("customers", ascending=False), label="what", value="customers", what="customers to contact",
            form=formats.number,
        )  # fmt: skip
    by = wording.working_day(found.as_of, 5)
    written = len(people) - len(personal)
    actions = [
        Action(
            what=f"Answer or look after {wording.counted(len(personal), 'customer')} in person", by=wording.working_day(
                found.as_of, 2), owner="service", file=f"lists/{LIST}.csv", count=len(personal),
            why="They stand on top of the list, and are not subject to any lot.",
        ) if len(personal) else None,
        Action(
            what=f"Write to {wording.counted(written, 'customer')}, best first", by=by, owner="marketing",
            file=f"lists/{LIST}.csv", count=written, why=_order_said(found),
        ) if written else None,
    ]  # fmt: skip
    metrics = [
        Metric(id="contacts", label="To contact this week", value=len(people), unit="customers", headline=True,
               note=f"{formats.number(found.beyond)} more wait" if found.beyond else "",
               definition="customers on the list of the week whom no lot leaves alone"),
        Metric(id="held_out", label="Left alone", value=held, unit="customers",
               note="to show what writing adds", headline=True,
               definition="customers who would have been on it and are left alone by lot, to show what writing adds"),
        Metric(id="answers", label="Of them in person", value=len(personal), unit="customers", headline=True,
               note="answers first", definition="customers who wait for an answer or are looked after in person"),
    ]  # fmt: skip
    room = "" if found.told else (
        f"There is room for {found.capacity} contacts a week unless shop.toml says otherwise "
        "([team] contacts_per_week)."
    )  # fmt: skip
    away = f"{wording.upper(wording.counted(found.unreachable, 'other'))} may not be contacted on any channel."
    return Part(
        title=_why_title(counts), sentence=wording.sentences(
            f"{formats.number(found.beyond)} more customers wait behind them." if found.beyond else "",
            away if found.unreachable else "", room),
        chart=chart, glance=True, metrics=metrics, actions=[one for one in actions if one],
        lists={LIST: found.people} if len(found.people) else {},
    )  # fmt: skip


def _order_said(found: Queue) -> str:
    return wording.sentences(
        "Those come first who bring most by what past lists earned; where none of the kind was measured, "
        f"{formats.share(SUPPOSED)} of what is at stake stands for it, for the order alone.",
        "Each has a reason, a channel they agreed to and, where there is one, an offer.",
    )


def _why_title(counts: pd.DataFrame) -> str:
    if counts.empty:
        return "Nobody is to be contacted this week"
    top = counts.sort_values("customers", ascending=False).iloc[0]
    return f"{formats.number(top['customers'])} of {formats.number(counts['customers'].sum())}: {wording.lower(top['what'])}"


def part_actions(found: Queue) -> Part:
    """What the reports ask for, ranked, in one table."""
    rows = found.actions
    metric = Metric(id="actions", label="Actions", value=len(rows), unit="actions",
                    definition="what the other reports ask for as of this day or the newest before it")  # fmt: skip
    if rows.empty:
        return Part(metrics=[metric], tables={"actions": rows.drop(columns="title")})
    dated = rows.assign(by=[formats.day(day, year=False) if day else "" for day in rows["by"]])
    table = figures.table(dated.head(_SHOWN), caption="What to do, first things first", labels=_LABELS,
                          file="tables/actions.csv")  # fmt: skip
    return Part(
        title=f"{wording.upper(wording.counted(len(rows), 'thing'))} to do, from "
        f"{wording.counted(rows['report'].nunique(), 'report')}",
        sentence="Each report’s first comes before any report’s second, then what is worth more.",
        chart=table, metrics=[metric], tables={"actions": rows.drop(columns="title")},
    )  # fmt: skip


def part_days(shop: Shop, found: Queue) -> Part | None:
    """Birthdays, public holidays and closures of the coming two weeks."""
    said = [f"{formats.day(day, year=False)}: {what}" for day, what in _days(shop, found)]
    if not said:
        return None
    return Part(title=f"{wording.upper(wording.counted(len(said), 'day'))} to know", sentence=f"{'; '.join(said)}.",
                detail=True)  # fmt: skip


def _days(shop: Shop, found: Queue) -> list[tuple[date, str]]:
    end = found.as_of + timedelta(days=2 * WEEK)
    days = list(public_holidays(shop, found.as_of, end).items())
    for span in (*shop.settings.closures, *shop.settings.campaigns):
        if span.start <= end and span.end >= found.as_of:
            days.append((max(span.start, found.as_of), span.name or "closed"))
    born = found.contacts.loc[found.contacts["list"] == BIRTHDAY, "by"].value_counts()
    days += [(day, wording.counted(int(n), "birthday")) for day, n in born.items()]
    return sorted(days)


def part_earned(measured: Earned) -> Part:
    """What past lists earned against those left alone."""
    whole = measured.table.iloc[0].to_dict() if len(measured) else {}
    read = bool(whole) and whole["each"] == whole["each"] and whole["verdict"] != "spoilt"
    written = whole.get("written", 0)
    money = measured.currency or "amount"
    metric = Metric(
        id="earned", label="Earned by writing", value=whole["each"] * written if read else None, unit=money,
        low=whole["low"] * written if read else None, high=whole["high"] * written if read else None, headline=True,
        n=written or None, spread=True, note="" if read else _not_yet(measured), signed=True,
        definition=f"{measured.money} within {WINDOW_DAYS} days of those written to beyond that of those left alone, "
        "less the cost of contacts; the range holds whenever it is read",
    )  # fmt: skip
    if not len(measured):
        return Part(
            title="What lists earn is not measured yet",
            sentence="No list is known to have been used: hand it over by ‘crm export’, or say what was done by "
            "‘crm outcome’. One in five is left alone, so that the difference can be seen.",
            metrics=[metric], detail=True,
        )  # fmt: skip
    table = measured.table.assign(list=measured.table["list"].str.replace("_", " "))
    shown = table[table["each"].notna()]
    chart = figures.table(_told(measured), caption="What each list brought", labels={
        "list": "List", "written": "Written to", "left_alone": "Left alone", "each": f"{wording.upper(measured.money)} each",
        "low": "From", "high": "To", "verdict": "Verdict", "answer_by": "Answer by"}, file="tables/earned.csv",
    )  # fmt: skip
    if len(shown):
        form = _form(money)
        chart = figures.dots(shown, label="list", value="each", low="low", high="high", form=form, reference=0.0,
                             what=f"{measured.money} for each written to", table=chart.table)  # fmt: skip
    spoilt = table.loc[table["verdict"] == "spoilt", "list"].tolist()
    caveats = [Caveat(text=f"The control of {wording.listed(spoilt)} is spoilt: too many of those to be left alone were "
                           "contacted, or too few are left. What it earned cannot be told.")] if spoilt else []  # fmt: skip
    return Part(
        title=_earned_title(measured), chart=chart, metrics=[metric], caveats=caveats, tables={"earned": measured.table},
        sentence=_earned_said(measured),
        method=["Everybody a used list names counts on the side the lot put them, from the first day in a half-year on. "
                "The range is a confidence sequence (Waudby-Smith et al. 2024), so that it may be read every week; what "
                "people bought in the year before narrows it (CUPED)."],
    )  # fmt: skip


def _form(currency: str) -> figures.Form:
    return lambda value: formats.with_sign(formats.money(value, currency, digits=2), value)


def _told(measured: Earned) -> pd.DataFrame:
    table = measured.table.assign(list=measured.table["list"].str.replace("_", " "))
    for name in ("each", "low", "high"):
        table[name] = [
            formats.money(value, measured.currency, digits=2) if value == value else "" for value in table[name]
        ]
    days = [formats.day(day) if isinstance(day, date) else "" for day in table["answer_by"]]
    return table.assign(answer_by=days)


def _not_yet(measured: Earned) -> str:
    first = measured.table.iloc[0].to_dict() if len(measured) else {}
    if first.get("verdict") == "spoilt":
        return "the control is spoilt"
    by = first.get("answer_by")
    return f"first answer by {formats.day(by, year=False)}" if isinstance(by, date) else "no list known to be used"


def _earned_title(measured: Earned) -> str:
    earns = measured.table[(measured.table["verdict"] == "earns") & (measured.table["list"] != ALL)]["list"].tolist()
    names = [name.replace("_", " ") for name in earns]
    if names:
        return f"{wording.upper(wording.listed(names, most=3))} {wording.noun(len(names), 'earns', 'earn')} more than doing nothing"
    if measured.stopped:
        stopped = [name.replace("_", " ") for name in measured.stopped]
        return f"{wording.upper(wording.listed(stopped, most=3))} {wording.noun(len(stopped), 'costs', 'cost')} more than it brings"
    return "No list is shown to earn yet"


def _earned_said(measured: Earned) -> str:
    first = measured.table.iloc[0].to_dict()
    money, said = measured.currency, ""
    if first["each"] == first["each"]:
        span = f"{formats.money(first['low'], money, digits=2)} to {formats.money(first['high'], money, digits=2)}"
        said = (f"Each of {formats.number(first['written'])} written to brought "
                f"{formats.money(first['mean'], money, digits=2)} within {WINDOW_DAYS} days, each of "
                f"{formats.number(first['left_alone'])} left alone {formats.money(first['mean_alone'], money, digits=2)}; "
                f"allowing for the year before, writing added {formats.money(first['each'], money, digits=2)} ({span}).")  # fmt: skip
    by = first["answer_by"]
    ahead = f"A gain of a tenth would show by {formats.day(by)}." if isinstance(by, date) else ""
    stopped = [name.replace("_", " ") for name in measured.stopped]
    gone = f"{wording.upper(wording.listed(stopped))} will not be proposed again." if stopped else ""
    return wording.sentences(said or "No window has closed for enough people yet.", ahead, gone)


def headline(found: Queue) -> str:
    """What the week asks for, in at most 20 words."""
    n, personal = len(found.contacts), len(found.personal)
    if not n and found.actions.empty:
        return "Nothing is to be done this week, as far as the other reports tell."
    if not n:
        return (
            f"Nobody is to be contacted this week; the reports ask for {wording.counted(len(found.actions), 'thing')}."
        )
    first = f"{wording.upper(wording.counted(n, 'customer'))} to contact this week"
    waits = f": {wording.counted(personal, 'answer')} first" if personal else ""
    do = found.actions.iloc[0]["what"] if len(found.actions) else ""
    return f"{first}{waits}." + (f" Beside it: {wording.lower(do)}." if do and len(do.split()) <= 9 else "")


def page(shop: Shop, found: Queue, measured: Earned) -> Findings:
    """What should each person do this week? The queue, all actions, what past lists earned, the days to know."""
    said = headline(found)
    parts = [part_contacts(found), part_actions(found), part_earned(measured), part_days(shop, found),
             _beside(shop, found, measured, said)]  # fmt: skip
    return compose("briefing", said, parts)


def _beside(shop: Shop, found: Queue, measured: Earned, said: str) -> Part:
    """briefing.txt and briefing.ics: they count people and name none. And what the page rests on."""
    first = found.actions.head(_LINES).to_dict("records")
    lines = [said, *(f"- {row['what']}" + (f", by {formats.day(row['by'], year=False)}" if row["by"] else "")
                     + (f" ({row['owner']})" if row["owner"] else "") for row in first)]  # fmt: skip
    lines += [f"- {formats.day(day, year=False)}: {what}" for day, what in _days(shop, found)[:_LINES]]
    lines.append(_earned_title(measured) + "." if len(measured) else "What lists earn is not measured yet.")
    events = [Event(f"do {row['report']} {row['what']}", row["by"], row["what"])
              for row in found.actions.to_dict("records") if row["by"]]  # fmt: skip
    events += [Event(f"day {day} {what}", day, what) for day, what in _days(shop, found)]
    missing = "" if found.read else "No other report has been published yet: run them all."
    return Part(
        texts={"briefing.txt": "\n".join(lines) + "\n", "briefing.ics": calendar(events, made=found.as_of)},
        caveats=[Caveat(text=missing)] if missing else [],
        certain=["Who is contacted follows from the lists; how much that adds is known only where lists were measured."],
    )  # fmt: skip
