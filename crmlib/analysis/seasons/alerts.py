"""What is not normal now: one alert an event, ranked, each with whatever explains most of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.seasons.demand import names
from crmlib.analysis.seasons.facts import TOTAL, WEEK, Days, around, kinds
from crmlib.analysis.seasons.watching import JUDGED_DAYS, WINDOWS, Watch, band, edges, episodes, window_of
from crmlib.findings import Action, Metric, Part
from crmlib.shop.shop import Shop

_CAUSES = ("channel", "country", "region", "category", "customers", "segment", "time of day", "product")
_ONE_EACH = ("channel", "country", "region", "customers", "time of day")  # an order has one of them
_BEYOND = 0.15  # by so much more than its usual part something has to explain, to be named as the cause
_SURE = 2.0  # usual deviations that what took the orders over has to be off by itself
_SHOWN_DAYS, _CHECK_DAYS = 91, 1
_COLUMNS = [
    "day",
    "what",
    "expected",
    "actual",
    "low",
    "high",
    "cause",
    "share",
    "first",
    "last",
    "score",
    "series",
    "days",
    "other",
]
_PUBLIC = _COLUMNS[:-4]


@dataclass(frozen=True, kw_only=True)
class Alerts:
    """Events of the last four weeks that passed the bar, the most surprising first, those last that only moved orders.

    table   day (of the peak; the last of seven where `what` speaks of a week), what, expected, actual, low, high (of
            the band), cause, share (of the deviation that it explains), first, last (days of the event), score, series
            (its place), days (1 or 7), other (the channel or country that has the orders instead; '' where none has)
    """

    __repr__ = formats.outline

    table: pd.DataFrame
    watch: Watch


def alerts(shop: Shop, days: Days, found: Watch | None) -> Alerts | None:
    """Which events of the last four weeks are no chance, and what explains most of each?

    A cause is the channel, country, region, category, product, segment, time of day, or new or returning customers,
    whose part of the deviation most exceeds its part of orders before; a group is its own cause where all orders
    together are not half as far off. Where nothing does, all is concerned alike. None where there was nothing to watch.

    >>> list(alerts(store, measure(store), watch(measure(store), yearly=False)).table.columns)[:2]
    ['day', 'what']
    """
    if found is None:
        return None
    rows, index = [], days.frame.index
    for at, first, last, peak in events(days, found):
        if last < len(index) - JUDGED_DAYS:
            continue
        window = int(np.abs(np.nan_to_num(found.cells[at, :, peak])).argmax())
        came, expected = (values[peak] for values in window_of(days, found, at, window))
        low, high = (float(end) for end in edges(expected, found.bar * found.width[at, window, peak]))
        begin = index[peak] - timedelta(days=WINDOWS[window] - 1)
        other, booked = moved_to(days, found, at, (window, peak))
        span = (begin, index[peak])
        cause, share = (booked, 1.0) if other else cause_of(
            shop, days, found, series=at, span=span, off=float(came - expected)
        )  # fmt: skip
        ends = [index[place].date() for place in (first, last)]
        score = float(abs(found.cells[at, window, peak]))
        rows.append((index[peak].date(), what(days, at, WINDOWS[window]), expected, came, low, high, cause, share,
                     *ends, score, at, WINDOWS[window], other))  # fmt: skip
    table = pd.DataFrame(rows, columns=_COLUMNS)
    table = table.assign(_moved=table["other"] != "").sort_values(["_moved", "score"], ascending=[True, False])
    return Alerts(table=table[_COLUMNS].reset_index(drop=True), watch=found)


def events(days: Days, found: Watch) -> list[tuple[int, int, int, int]]:
    """What passed the bar: place of its series, and of its first, its last and its most surprising day.

    What befalls all orders is said of all orders, however much more one group shows it. Series that are most off within
    a week show one event; another one is an event of its own, so that a channel that is gone for weeks hides no outage.
    """
    size = np.abs(np.nan_to_num(found.cells)).max(axis=1)
    place, made = list(days.series).index(TOTAL), []
    for begin, end, _ in found.passed:
        runs = [(size[at, begin + top], at, begin + top) for at in range(len(size))
                for _, _, top in episodes(size[at, begin : end + 1], found.notice)]  # fmt: skip
        runs = [run for run in runs if run[0] > found.bar]
        while runs:
            _, at, peak = max(runs)
            at = place if size[place, peak] > found.bar else at
            first, last, _ = next(one for one in episodes(size[at], found.bar) if one[0] <= peak <= one[1])
            made.append((at, first, last, peak))
            runs = [run for run in runs if abs(run[2] - peak) > WEEK and not (run[1] == at and first <= run[2] <= last)]
    return made


def what(days: Days, series: int, window: int) -> str:
    """What an alert is about: 'orders', 'orders by app in seven days', 'orders from DE', 'orders by new customers'."""
    kind, value = days.series.columns[series]
    of = {"": "", "channel": f" by {value}", "country": f" from {value}", "category": f" with {value}",
          "customers": f" by {value} customers", "segment": f" of segment {value}"}[kind]  # fmt: skip
    return f"orders{of}{' in seven days' if window > 1 else ''}"


def moved_to(days: Days, found: Watch, series: int, cell: tuple[int, int]) -> tuple[str, str]:
    """Which channel or country has the orders that `series` lacks, or lacks those it has more? And the cause in words;
    both '' where none does.

    In the window and on the day of `cell` it is off the other way, by half as much or more and beyond its usual swing,
    and all orders are not half as far off. Of categories an order may have several: there nothing is told.
    """
    kind, names = days.series.columns[series][0], list(days.series.columns)
    rivals = [place for place, (own, _) in enumerate(names) if own == kind and place != series]
    if kind not in ("channel", "country") or not rivals:
        return "", ""
    window, peak = cell
    own, whole, *offs = (
        float(np.nan_to_num(np.subtract(*(values[peak] for values in window_of(days, found, place, window)))))
        for place in (series, names.index(TOTAL), *rivals)
    )
    best = int(np.argmax(-np.sign(own) * np.array(offs)))
    sure = abs(np.nan_to_num(found.cells[rivals[best], window, peak])) >= _SURE
    if not sure or -np.sign(own) * offs[best] < abs(own) / 2 or np.sign(own) * whole > abs(own) / 2:
        return "", ""
    both = sorted([(own, names[series][1]), (offs[best], names[rivals[best]][1])])
    (less, down), (more, up) = ((formats.number(abs(off)), name) for off, name in both)
    said = f"{down} down by {less}, {up} up by {more}; the total is as expected, so look at how orders are booked"
    return str(names[rivals[best]][1]), said


def cause_of(
    shop: Shop, days: Days, found: Watch, *, series: int, span: tuple[pd.Timestamp, pd.Timestamp], off: float
) -> tuple[str, float]:
    """What explains most of a deviation of `off` orders in `span`, and which share of it."""
    kind, value = days.series.columns[series]
    came = float(days.series[TOTAL].loc[span[0] : span[1]].sum())
    if kind:
        whole = came - float(found.expected[TOTAL].loc[span[0] : span[1]].sum())
        if abs(whole) < abs(off) / 2 or whole * off < 0:
            return f"{_called(kind, value)} alone{', others took over' if kind in _ONE_EACH else ''}", 1.0
        off = whole
    start, end = span[0].date(), span[1].date() + timedelta(days=1)
    best = (_called(kind, value) if kind else "all alike", 1.0, _BEYOND)
    for by in kinds(shop, _CAUSES):
        rows = shop.fetch(around(shop, by, start=start, end=end))
        before = float(rows["before"].sum()) if by in _ONE_EACH else _orders(days, start)
        if not before:
            continue
        usual = rows["before"] / before
        share = (rows["during"] - usual * (came - off)) / off
        if (beyond := share - usual).empty:
            continue
        at = int(beyond.argmax())
        # Small groups explain much by chance; what is named has at least a twentieth of the orders or of the surge.
        if beyond.iloc[at] > best[2]:
            called = str(rows["value"].iloc[at])
            if by == "product":
                called = names(shop, rows["value"].iloc[[at]])[0]
            best = (
                _called(by, called),
                min(float(share.iloc[at]), 1.0),
                beyond.iloc[at],
            )
    return best[0], best[1]


def _called(kind: str, value: str) -> str:
    return {"time of day": value, "customers": f"{value} customers"}.get(kind, f"{kind} {value}")


def _orders(days: Days, start: object) -> float:
    end = pd.Timestamp(str(start))
    return float(days.series[TOTAL].loc[end - timedelta(days=56) : end - timedelta(days=1)].sum())


def elsewhere(row: pd.Series) -> str:
    """Where orders went that are booked otherwise: 'more by web'."""
    more = "more" if row["actual"] < row["expected"] else "fewer"
    return f"{more} {'from' if row['what'].startswith('orders from') else 'by'} {row['other']}"


def sentence(row: pd.Series, *, near: date) -> str:
    """An alert in a sentence: 'On 22 September orders by app were 0, where 20 to 41 were likely: channel app alone.'"""
    on = f"{'Until' if row['days'] > 1 else 'On'} {wording.day(row['day'], near=near)}"
    return (
        f"{on} {row['what']} came to {formats.number(row['actual'])}, where {formats.number(row['low'])} to "
        f"{formats.number(row['high'])} were likely: {row['cause']}."
    )


def part_alerts(found: Alerts | None, days: Days, *, shop: Shop) -> Part:
    """The finding: orders of three months with the band they were expected in, and the events that left it."""
    if found is None:
        none = Metric(id="alerts", label="Alerts", value=None, unit="alerts", definition="too few days to say")
        return Part(metrics=[none], tables={"alerts": pd.DataFrame(columns=_PUBLIC)})
    rows = found.table
    top = rows.iloc[0] if len(rows) else None
    series = int(top["series"]) if top is not None else 0
    frame = band(found.watch, days, series=series).tail(_SHOWN_DAYS)
    drawn = pd.concat([
        frame.assign(who="Actual", value=frame["actual"], low=np.nan, high=np.nan),
        frame.assign(who="Expected", value=frame["expected"]),
    ])  # fmt: skip
    return Part(
        title=_title(rows, days.as_of), glance=True,
        sentence="Every day of the last four weeks lay inside its band." if top is None
        else sentence(top, near=days.as_of),
        chart=figures.line(
            drawn, x="day", y="value", group="who", low="low", high="high", strong="Actual", form=formats.number,
            what=f"{what(days, series, 1)} a day",
            mark=None if top is None else (pd.Timestamp(top["day"]), top["what"]),
            table=_table(rows) if len(rows) else None,
        ),
        metrics=[_metric(found), _rate(found), _week(found, days)],
        tables={"alerts": rows[_PUBLIC]},
        certain=[
            f"The band is set so that about {_a_year(found.watch.rate)} comes by chance, over "
            f"{wording.counted(len(days.series.columns), 'number')} watched at once."
        ],
        method=[
            f"Expected: weekday, season and holiday, each learnt from other parts of the time, times the level of the "
            f"weeks before. The bar, {found.watch.bar:.2f} usual deviations, is set by the tail of "
            f"{found.watch.clusters} episodes in {found.watch.years:.1f} years, the newest four weeks left out."
        ],
        actions=[_action(rows, shop)] if len(rows) else [],
    )  # fmt: skip


def _title(rows: pd.DataFrame, near: date) -> str:
    if rows.empty:
        return "Nothing out of the ordinary in four weeks"
    one = f"{wording.upper(rows['what'].iloc[0])} left the band on {wording.day(rows['day'].iloc[0], near=near)}"
    more = len(rows) - 1
    return f"{one}, and {wording.counted(more, 'more alert')}" if more else one


def _table(rows: pd.DataFrame) -> dict[str, object]:
    whole = dict.fromkeys(("expected", "actual", "low", "high"), formats.number)
    return figures.tabulate(
        rows, caption="Alerts of the last four weeks",
        labels={"day": "Day", "what": "What", "actual": "Actual", "expected": "Expected", "low": "From", "high": "To",
                "cause": "Cause", "share": "Explains"},
        formats={"day": lambda day: wording.day(day), "share": formats.share} | whole, file="tables/alerts.csv",
    )  # fmt: skip


def _metric(found: Alerts) -> Metric:
    return Metric(
        id="alerts", label="Alerts in four weeks", value=len(found.table), unit="alerts", headline=True,
        n=JUDGED_DAYS, note=f"{_a_year(found.watch.rate)} by chance",
        definition="events of the last 28 days in which orders, of all or of a channel, country, category, segment, or "
        "of new or returning customers, left what is likely; an event that lasts counts once",
    )  # fmt: skip


def _rate(found: Alerts) -> Metric:
    past = sum(1 for _, last, _ in found.watch.passed if last < len(found.watch.scores) - JUDGED_DAYS)
    return Metric(
        id="false_alarm_rate", label="False alarms a year", value=found.watch.rate, unit="alerts", n=past,
        definition="declared number of alerts a year by chance, over all that is watched; n is how many events of the "
        "whole past passed the same bar, false or true",
    )  # fmt: skip


def _week(found: Alerts, days: Days) -> Metric:
    frame = band(found.watch, days).tail(7)
    return Metric(
        id="orders_7d", label="Orders in the last seven days", value=float(frame["actual"].sum()), unit="orders",
        before=float(frame["expected"].sum()) if frame["expected"].notna().all() else None,
        against="what is normal" if frame["expected"].notna().all() else "", headline=True, n=7,
        definition="orders of the last seven days; beside them what was expected the evening before each of them",
    )  # fmt: skip


def _a_year(rate: float) -> str:
    whole = float(rate).is_integer()
    return (
        f"{wording.small(int(rate)) if whole else formats.number(rate, digits=1)} {wording.noun(rate, 'alert')} a year"
    )


def _action(rows: pd.DataFrame, shop: Shop) -> Action:
    top = rows.iloc[0]
    fewer = top["actual"] < top["expected"]
    lost, on = formats.number(abs(top["expected"] - top["actual"])), wording.day(top["day"], near=shop.as_of)
    than = f"than normal, {elsewhere(top)}" if top["other"] else "than normal"
    do = (
        f"Look at how orders of {on} are booked" if top["other"] else f"Find out what happened to {top['what']} on {on}"
    )
    return Action(
        what=do,
        worth=f"{lost} {'fewer' if fewer else 'more'} {than}", count=len(rows), file="tables/alerts.csv", owner="shop",
        # Orders that only changed their channel are not lost.
        touched=0.0 if top["other"] else max(float(top["low"] - top["actual"]), 0.0),
        by=wording.working_day(shop.as_of, _CHECK_DAYS),
        why="Where orders are only booked otherwise, none is lost." if top["other"] else
        f"{sentence(top, near=shop.as_of)} An event that is known belongs into shop.toml, as one of the "
        "[[closures]] or [[campaigns]], so that it bends nothing.",
    )  # fmt: skip
