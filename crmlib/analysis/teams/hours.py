"""How long did it take, by the clock and in the hours in which a shop works? Local moments, right over summer time."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir
import pandas as pd

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

DAY = 86_400
_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def working(shop: Shop) -> str:
    """The hours of work as shop.toml's [team] has them, in words; '' where it does not say.

    >>> working(store)
    'Mon–Fri, 9–17'
    """
    team = shop.settings.team
    if team.hours is None:
        return ""
    ends = [f"{int(at)}:{round(at % 1 * 60):02d}" if at % 1 else f"{int(at)}" for at in team.hours]
    days = [day for day in _NAMES if day in team.working_days]
    whole = len(days) > 2 and _NAMES.index(days[-1]) - _NAMES.index(days[0]) == len(days) - 1
    return f"{f'{days[0]}–{days[-1]}' if whole else ', '.join(days)}, {'–'.join(ends)}"


def calendar(shop: Shop, first: date) -> pd.DataFrame:
    """One row a day from `first` up to as_of: day, before (seconds of work before it), works (0 or 1; not on public
    holidays of shop.toml's country, nor in its closures), ahead (seconds by which the local clock is ahead of UTC when
    it begins), turns (second of the day at which that changes), step.

    >>> days = calendar(store, date(2026, 3, 27))
    >>> days.loc[days["step"] != 0, ["day", "turns", "step"]].iloc[0].tolist()[1:]
    [10800, 3600]
    """
    zone, team = ZoneInfo(shop.settings.timezone), shop.settings.team
    days = [first + timedelta(days=n) for n in range(max((shop.as_of - first).days, 0) + 1)]
    free = _holidays(shop.settings.country, days[0].year, days[-1].year)
    free |= {day for span in shop.settings.closures for day in days if span.start <= day <= span.end}
    works = [int(_NAMES[day.weekday()] in team.working_days and day not in free) for day in days]
    begin = [datetime(day.year, day.month, day.day, tzinfo=zone) for day in [*days, days[-1] + timedelta(days=1)]]
    ahead = [int((at.utcoffset() or timedelta()).total_seconds()) for at in begin]
    step = [after - before for before, after in zip(ahead, ahead[1:], strict=False)]
    turns = [_turn(at) if change else 0 for at, change in zip(begin, step, strict=False)]
    frame = pd.DataFrame({"day": pd.to_datetime(days), "works": works, "ahead": ahead[:-1], "turns": turns,
                          "step": step})  # fmt: skip
    start, end = span(shop)
    frame["before"] = (frame["works"].cumsum() - frame["works"]) * (end - start)
    return frame


def span(shop: Shop) -> tuple[int, int]:
    """The seconds of a day at which work begins and ends; the whole day where shop.toml does not say."""
    begin, end = shop.settings.team.hours or (0, 24)
    return int(begin * 3600), int(end * 3600)


def clocked(shop: Shop, rows: ir.Table, days: ir.Table, at: str) -> ir.Table:
    """`rows` with {at}_clock and {at}_work: seconds until the moment `at`, of the clock and of work since `days` begin.

    Both are empty where the moment is. Differences of two such columns are how long something took.
    """
    start, end = span(shop)
    both = rows.mutate(_day=rows[at].date()).left_join(days, [("_day", "day")])
    second = both[at].hour() * 3600 + both[at].minute() * 60 + both[at].second()
    ahead = both["ahead"] + ibis.ifelse((both["step"] != 0) & (second >= both["turns"]), both["step"], 0)
    within = ibis.least(ibis.greatest(second - start, 0), end - start) * both["works"]
    return both.mutate(
        **{
            f"{at}_clock": (both["number"] * DAY + second - ahead).cast("int64"),
            f"{at}_work": (both["before"] + within).cast("int64"),
        }
    ).drop("_day", *days.columns)


def lazy(frame: pd.DataFrame) -> ir.Table:
    """The calendar inside the engine, its days numbered."""
    whole = frame.assign(number=range(len(frame)), day=frame["day"].dt.date)
    return ibis.memtable(whole, schema={name: "date" if name == "day" else "int64" for name in whole})


def _turn(midnight: datetime) -> int:
    """The second of a local day from which on its clocks are changed: of an hour shown twice, the first counts."""
    zone, wall = midnight.tzinfo, midnight.replace(tzinfo=None)
    halves = (wall + timedelta(minutes=30 * half) for half in range(48))
    return next(
        (int((at - wall).total_seconds()) for at in halves if at.replace(tzinfo=zone).utcoffset() != midnight.utcoffset()),
        DAY,
    )


def _holidays(country: str, first: int, last: int) -> set[date]:
    if not country:
        return set()
    import holidays

    try:
        return set(holidays.country_holidays(country, years=range(first, last + 1)))
    except NotImplementedError:
        return set()
