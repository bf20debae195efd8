"""Where does a shop's clock stand? Told by how far its own times say they are from Greenwich, winter and summer."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import ibis.expr.types as ir

from crmlib.shop.engines import Engine

# One for each clock: of two that never differ, the better known.
_CLOCKS = (
    "Europe/Berlin", "America/New_York", "Europe/London", "America/Los_Angeles", "America/Chicago", "America/Denver",
    "America/Toronto", "America/Halifax", "America/Phoenix", "America/Sao_Paulo", "America/Mexico_City",
    "America/Bogota", "America/Santiago", "America/Anchorage", "Pacific/Honolulu", "Europe/Helsinki",
    "Europe/Istanbul", "Europe/Moscow", "Asia/Jerusalem", "Africa/Cairo", "Africa/Johannesburg", "Africa/Lagos",
    "Asia/Dubai", "Asia/Karachi", "Asia/Kolkata", "Asia/Dhaka", "Asia/Bangkok", "Asia/Singapore", "Asia/Tokyo",
    "Australia/Perth", "Australia/Adelaide", "Australia/Brisbane", "Australia/Sydney", "Pacific/Auckland",
)  # fmt: skip
_WRITTEN = r"^(\d{4}-\d{2}-\d{2}).*([+-]\d{2}:?\d{2})$"
_MOST = 20_000  # days with their distances that are looked at


def zone_of(works: Engine, rows: ir.Table, column: str) -> str:
    """The zone whose clock all times of a column were taken from; empty where they do not say, or no one zone fits.

    Offsets change within a day: of a hundred distances one may be another.
    """
    if not rows[column].type().is_string():
        return ""
    day, away = (rows[column].re_extract(_WRITTEN, place) for place in (1, 2))
    said = works.frame(rows.select(day=day, away=away).filter(lambda t: t["away"] != "").distinct().limit(_MOST))
    if said.empty:
        return ""
    found = [(datetime.fromisoformat(f"{row.day} 12:00"), _distance(row.away)) for row in said.itertuples(index=False)]
    if all(not away for _, away in found):
        return ""
    for name in _CLOCKS:
        zone = ZoneInfo(name)
        wrong = sum(at.replace(tzinfo=zone).utcoffset() != away for at, away in found)
        if wrong * 100 <= len(found):
            return name
    return ""


def _distance(text: str) -> timedelta:
    away = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return -away if text[0] == "-" else away


def month_first(works: Engine, rows: ir.Table) -> bool:
    """Are all days of orders such as 11/10/24, which could be of two months, in a shop that sells in US dollars?

    A spreadsheet wrote them so, in the country of that money: elsewhere it would have put the day first.
    """
    if "currency" not in rows.columns or not rows["ordered_at"].type().is_string():
        return False
    one, two = (
        rows["ordered_at"].re_extract(r"^(\d{1,2})/(\d{1,2})/\d{2,4}", place).try_cast("int64") for place in (1, 2)
    )
    money = rows["currency"].fill_null("USD").upper()
    told = rows.aggregate(
        other=(one.isnull() | (one > 12) | (two > 12)).sum().fill_null(0),
        foreign=(money != "USD").sum().fill_null(0), dollars=rows["currency"].count(),
    )  # fmt: skip
    found = works.frame(told).iloc[0]
    return not int(found["other"]) and not int(found["foreign"]) and int(found["dollars"]) > 0
