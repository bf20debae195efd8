"""A calendar of a list: when how many of its people have their birthday or are due, as iCalendar (RFC 5545).

Events count people and name none, since calendars are shared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from crmlib.handover import values
from crmlib.handover.table import Person, Target

_HEAD = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//CRM Workbook//EN", "CALSCALE:GREGORIAN")
# A year of 365 days has its birthdays of 29 February on the 28th: the last day of the month in every year.
_LAST_OF_FEBRUARY = "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1"


def _written(people: Sequence[Person], options: Mapping[str, str]) -> str:
    made, name = date.fromisoformat(options["as_of"]), options["list"]
    due = Counter(day for person in people if (day := values.day(person.get("by", ""))))
    born = Counter((day.month, day.day) for person in people if (day := values.day(person["birth_date"])))
    lines = list(_HEAD)
    for day, count in sorted(due.items()):
        lines += _event(f"due {day}", day, f"{name}: {count} due", made, name)
    for (month, number), count in sorted(born.items()):
        leap = (month, number) == (2, 29)
        first = _next(made, month, number)
        rule = _LAST_OF_FEBRUARY if leap else "RRULE:FREQ=YEARLY"
        lines += _event(
            f"born {month}-{number}", first, f"{name}: {count} birthday{'s'[: count > 1]}", made, name, rule
        )
    return "".join(f"{folded}\r\n" for line in [*lines, "END:VCALENDAR"] for folded in _folded(line))


def _next(made: date, month: int, number: int) -> date:
    """The first such birthday from a day on; that of 29 February is the last day of the month."""
    for year in (made.year, made.year + 1):
        day = date(year, 3, 1) - timedelta(days=1) if (month, number) == (2, 29) else date(year, month, number)
        if day >= made:
            return day
    raise AssertionError("a year has every birthday")


def _event(what: str, day: date, title: str, made: date, name: str, *rules: str) -> list[str]:
    uid = values.hashed(f"{name} {what}")[:32]
    title = title.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return [
        "BEGIN:VEVENT", f"UID:{uid}@crm-workbook", f"DTSTAMP:{made:%Y%m%d}T000000Z",
        f"DTSTART;VALUE=DATE:{day:%Y%m%d}", f"DTEND;VALUE=DATE:{day + timedelta(days=1):%Y%m%d}", *rules,
        f"SUMMARY:{title}", "TRANSP:TRANSPARENT", "END:VEVENT",
    ]  # fmt: skip


def _folded(line: str) -> list[str]:
    """Lines of at most 75 octets, the further ones behind a blank; no letter is torn apart."""
    parts, part = [], ""
    for letter in line:
        if len((part + letter).encode()) > 75:
            parts.append(part)
            part = " "
        part += letter
    return [*parts, part]


TARGET = Target(
    name="calendar", suffix="ics", write=_written,
    notice="It counts people by day and names none; birthdays come back each year until the calendar is taken away.",
)  # fmt: skip
