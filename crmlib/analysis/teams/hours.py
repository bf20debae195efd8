"""How long did it take, by the clock and in the hours in which a shop works? Local moments, right over summer time."""

from __future__ import annotations

import itertools
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import ibis.expr.types as ir
import pandas as pd

from crmlib.shop.facts import public_holidays
from crmlib.shop.shop import Shop

DAY = 86_400
NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def working(shop: Shop) -> str:
    """The hours of work as shop.toml's [team] has them, in words; '' where it does not say.

    >>> working(store)
    'Mon–Fri, 9–17'
    """
    team = shop.settings.team
    if team.hours is None:
        return ""
    ends = "–".join(f"{int(at)}:{round(at % 1 * 60):02d}" if at % 1 else f"{int(at)}" for at in team.hours)
    days = [day for day in NAMES if day in team.working_days]
    whole = len(days) > 2 and "".join(days) in "".join(NAMES)
    return f"{f'{days[0]}–{days[-1]}' if whole else ', '.join(days)}, {ends}"


def calendar(shop: Shop, first: date) -> pd.DataFrame:
    """One row a day from `first` up to as_of: day, number, before (seconds of work before it), works (0 or 1; not on
    public holidays of shop.toml's country, nor in its closures), ahead (seconds by which the clock is ahead of UTC
    as it begins), turns (second of the day from which on it is `step` more).

    >>> days = calendar(store, date(2026, 3, 27))
    >>> days.loc[days["step"] != 0, ["turns", "step"]].to_numpy().tolist()
    [[10800, 3600]]
    """
    team, zone = shop.settings.team, ZoneInfo(shop.settings.timezone)
    days = [first + timedelta(days=n) for n in range(max((shop.as_of - first).days, 0) + 2)]
    free = set(public_holidays(shop, days[0], days[-1]))
    free |= {day for span in shop.settings.closures for day in days if span.start <= day <= span.end}

    def ahead(at: datetime) -> int:
        return int((at.replace(tzinfo=zone).utcoffset() or timedelta()).total_seconds())

    def turns(day: date) -> int:
        # Of an hour shown twice, the first counts.
        halves = (datetime.combine(day, time()) + timedelta(minutes=30 * half) for half in range(48))
        changed = [at for at in halves if ahead(at) != ahead(datetime.combine(day, time()))]
        return int((changed[0] - datetime.combine(day, time())).total_seconds()) if changed else DAY

    begin = [ahead(datetime.combine(day, time())) for day in days]
    step = [after - before for before, after in itertools.pairwise(begin)]
    frame = pd.DataFrame({"day": days[:-1], "number": range(len(step)), "ahead": begin[:-1], "step": step})
    frame["turns"] = [turns(day) if change else DAY for day, change in zip(days[:-1], step, strict=True)]
    frame["works"] = [int(NAMES[day.weekday()] in team.working_days and day not in free) for day in days[:-1]]
    opens, shuts = _span(shop)
    return frame.assign(before=(frame["works"].cumsum() - frame["works"]) * (shuts - opens))


def clocked(shop: Shop, rows: ir.Table, days: ir.Table, at: str) -> ir.Table:
    """`rows` with {at}_clock and {at}_work: seconds until the moment `at`, of the clock and of work since `days` begin.

    Both are empty where the moment is. Differences of two such columns are how long something took.
    """
    opens, shuts = _span(shop)
    both = rows.mutate(_day=rows[at].date()).left_join(days, [("_day", "day")])
    second = both[at].hour() * 3600 + both[at].minute() * 60 + both[at].second()
    ahead = both["ahead"] + (second >= both["turns"]).cast("int64") * both["step"]
    within = (second - opens).clip(0, shuts - opens) * both["works"]
    sums = {"clock": both["number"] * DAY + second - ahead, "work": both["before"] + within}
    made = {f"{at}_{how}": seconds.cast("int64") for how, seconds in sums.items()}
    return both.mutate(**made).drop("_day", *days.columns)


def _span(shop: Shop) -> tuple[int, int]:
    """The seconds of a day at which work begins and ends; the whole day where shop.toml does not say."""
    opens, shuts = shop.settings.team.hours or (0, 24)
    return int(opens * 3600), int(shuts * 3600)
