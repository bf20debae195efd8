"""A calendar of a list: when how many of its people have their birthday or are due, as iCalendar (RFC 5545).

The public holidays of a year stand beside them. Events count people and name none, since calendars are shared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from crmlib.handover import values
from crmlib.handover.table import Person, Target
from crmlib.ical import Event, calendar
from crmlib.shop.facts.holidays import holidays_of

# A year of 365 days has its birthdays of 29 February on the 28th: the last day of the month in every year.
_LAST_OF_FEBRUARY = "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1"


def _written(people: Sequence[Person], options: Mapping[str, str]) -> str:
    made, name = date.fromisoformat(options["as_of"]), options["list"]
    due = Counter(day for person in people if (day := values.day(person.get("by", ""))))
    born = Counter((day.month, day.day) for person in people if (day := values.day(person["birth_date"])))
    events = [Event(f"{name} due {day}", day, f"{name}: {count} due") for day, count in sorted(due.items())]
    for (month, number), count in sorted(born.items()):
        leap = (month, number) == (2, 29)
        first = _next(made, month, number)
        rule = _LAST_OF_FEBRUARY if leap else "RRULE:FREQ=YEARLY"
        title = f"{name}: {count} birthday{'s'[: count > 1]}"
        events.append(Event(f"{name} born {month}-{number}", first, title, rule))
    if events:  # of which some may fall on a day that nobody works
        free = holidays_of(options.get("country", ""), made, made + timedelta(days=365))
        events += [Event(f"holiday {day}", day, title) for day, title in sorted(free.items())]
    return calendar(events, made=made)


def _next(made: date, month: int, number: int) -> date:
    """The first such birthday from a day on; that of 29 February is the last day of the month."""
    for year in (made.year, made.year + 1):
        day = date(year, 3, 1) - timedelta(days=1) if (month, number) == (2, 29) else date(year, month, number)
        if day >= made:
            return day
    raise AssertionError("a year has every birthday")


TARGET = Target(
    name="calendar", suffix="ics", write=_written,
    notice="It counts people by day and names none; birthdays come back each year until the calendar is taken away.",
)  # fmt: skip
