"""A calendar as iCalendar (RFC 5545): whole days, each with a title."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

_HEAD = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//CRM Workbook//EN", "CALSCALE:GREGORIAN")


@dataclass(frozen=True)
class Event:
    """A whole day. The same `key` is the same event for every calendar program; `rule` is a line such as an RRULE."""

    key: str
    day: date
    title: str
    rule: str = ""


def calendar(events: Iterable[Event], *, made: date) -> str:
    """The text of a calendar file, the same for the same events and day."""
    lines = [*_HEAD, *(line for event in events for line in _lines(event, made)), "END:VCALENDAR"]
    return "".join(f"{folded}\r\n" for line in lines for folded in _folded(line))


def _lines(event: Event, made: date) -> list[str]:
    uid = hashlib.sha256(event.key.encode()).hexdigest()[:32]
    title = event.title.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return [
        "BEGIN:VEVENT", f"UID:{uid}@crm-workbook", f"DTSTAMP:{made:%Y%m%d}T000000Z",
        f"DTSTART;VALUE=DATE:{event.day:%Y%m%d}", f"DTEND;VALUE=DATE:{event.day + timedelta(days=1):%Y%m%d}",
        *filter(None, [event.rule]), f"SUMMARY:{title}", "TRANSP:TRANSPARENT", "END:VEVENT",
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
