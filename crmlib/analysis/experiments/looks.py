"""How a test looked on each day, and whether its effect wears off, week by week or with the days since first seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib import figures, formats, wording
from crmlib.analysis.experiments.effects import Effect
from crmlib.analysis.experiments.facts import among, assigned_units, measured, placed_orders
from crmlib.analysis.experiments.given import GIVEN
from crmlib.analysis.experiments.measures import chart_of, on_axis, p_text, rounded, words
from crmlib.analysis.experiments.moments import moments
from crmlib.analysis.experiments.results import CLEAR, Results, Rule, comparison, within
from crmlib.findings import Part
from crmlib.shop.shop import Shop
from crmlib.stats import adjust, heterogeneity
from crmlib.wording import upper

MOST_POINTS = 14  # of the curve since first seen; longer windows are told in steps of several days
_DAYS = ["experiment", "metric", "variant", "control", "day", "n", "n_control", "kind", "effect", "low", "high",
         "naive_low", "naive_high"]  # fmt: skip
_WEEKS = ["experiment", "metric", "variant", "control", "week", "first_day", "n", "n_control", "kind", "effect", "low",
          "high", "error"]  # fmt: skip
_SINCE = ["experiment", "variant", "control", "first_day", "last_day", "n", "n_control", "effect", "low", "high"]
_CHANGES = ["experiment", "variant", "what", "value", "p_value"]
BY_WEEK, SINCE_SEEN = "by week of arrival", "since first seen"
Floats = TypeVar("Floats", float, NDArray[np.float64])
Line = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Looks:
    """The primary measure of each sound test, as it grew; none of a test that is still running and read once, at its
    end, nor of a ratio or a quantile.

    days     experiment, metric, variant, control, day, n, n_control, kind, effect, low, high (always valid: they hold
             at all days at once), naive_low, naive_high (would hold for one look only); units are those who had arrived
             by that day and whose window has closed
    weeks    the effect among the arrivals of one week each (low and high for one look)
    changes  experiment, variant, what ('by week of arrival', 'since first seen'), value (early less late effect; for
             weeks Cochran's Q), p_value, p_adjusted (Holm over all of the run)
    since    where outcomes are orders, the effect on orders a day of each unit by the days since it first saw the
             change (the first is 1): experiment, variant, control, first_day, last_day, n, n_control, effect, low, high
             (each for one look)
    """

    results: Results
    days: pd.DataFrame
    weeks: pd.DataFrame
    changes: pd.DataFrame
    since: pd.DataFrame

    def __repr__(self) -> str:
        return f"Looks({len(self.days)} looks at {self.days['experiment'].nunique()} experiments)"


def by_day(shop: Shop, results: Results) -> Looks:
    """What would each look have said, and does the effect wear off?

    Grain that crosses: an experiment's primary metric, arm and day (and week) of arrival. Without orders nothing tells
    what a unit did on each day since it first saw the change, so novelty is then looked for among early and late
    arrivals.
    """
    outcomes = primary_outcomes(shop, results)
    since, changes = since_seen(shop, results)
    days, weeks = pd.DataFrame(columns=_DAYS), pd.DataFrame(columns=_WEEKS)
    if outcomes is not None:
        days = _days(moments(shop, outcomes, by=["day"], cumulated=True), results)
        first = outcomes["day"].min().over(ibis.window(group_by="experiment"))
        weekly = outcomes.mutate(week=outcomes["day"].delta(first, unit="day") // 7, first_day=first)
        weeks = within(moments(shop, weekly, by=["week", "first_day"]), results, "week", "first_day")
        weeks = weeks.dropna(subset="effect").reset_index(drop=True)
        starts = pd.to_datetime(weeks["first_day"]) + pd.to_timedelta(7 * weeks["week"].astype(int), unit="D")
        weeks = weeks.assign(week=weeks["week"].astype(int) + 1, first_day=starts.dt.date)[_WEEKS]
    several = [(key, mine) for key, mine in weeks.groupby(["experiment", "variant"], sort=True) if len(mine) > 1]
    tests = [(*key, BY_WEEK, *heterogeneity(mine["effect"], mine["error"])) for key, mine in several]
    frame = pd.DataFrame([*tests, *changes], columns=_CHANGES)
    frame["p_adjusted"] = adjust(frame["p_value"], method="holm") if len(frame) else pd.Series(dtype=float)
    return Looks(results=results, days=days, weeks=weeks.drop(columns="error"), changes=frame, since=since)


def primary_outcomes(shop: Shop, results: Results) -> ir.Table | None:
    """The outcomes that decide, of tests whose split is sound and that may be read by now; None where there are none.
    Ratios and quantiles are no outcomes of a unit."""
    plain, checks = set(results.facts.moments["metric"]), results.checks
    sound = [one for one in results.primary.items() if one[1] in plain and not checks.is_blocked(*one)]
    kept = [one for one in sound if not results.is_waiting(one[0])]
    if not kept or results.facts.source == GIVEN:
        return None
    units = shop.keep(assigned_units(shop))
    outcomes = shop.keep(measured(shop, units=units, window_days=results.facts.window_days))
    return outcomes.filter(among(outcomes, kept))


def _days(frame: pd.DataFrame, results: Results) -> pd.DataFrame:
    rows: list[Line] = []
    for (experiment, metric), mine in frame.groupby(["experiment", "metric"], sort=True):
        control = results.checks.controls[str(experiment)]
        days = sorted(set(mine["day"]))
        # A day on which an arm got nobody stands where the arm stood the day before.
        arms = {arm: part.set_index("day").reindex(days).ffill() for arm, part in mine.groupby("variant")}
        if control not in arms:
            continue
        rule = results.rules[(str(experiment), str(metric))]
        always = replace(rule, reading="always")
        binary, kind = bool(mine["off_binary"].sum() == 0), results.kind_of(str(experiment), str(metric))
        for arm, part in arms.items():
            seen = -1.0
            for day in days if arm != control else ():
                pair = part.loc[day], arms[control].loc[day]
                closed = sum(float(row["n"]) for row in pair)
                if not closed > seen:
                    continue
                seen = closed
                found, naive = (comparison(*pair, binary=binary, rule=one) for one in (always, results.once))
                if found is not None and naive is not None:
                    sizes, ends = (int(row["n"]) for row in pair), (found.effect, found.low, found.high)
                    rows.append((experiment, metric, arm, control, day, *sizes, kind, *ends, naive.low, naive.high))
    return pd.DataFrame(rows, columns=_DAYS)


def since_seen(shop: Shop, results: Results) -> tuple[pd.DataFrame, list[Line]]:
    """The effect on a unit's orders a day by the days since it first saw the change, and its early less its late days.

    Only units whose whole window has closed, so that every point is of the same ones. The change is tested by each
    unit's own contrast of the two halves of its window: the days of one unit are no strangers to each other, and points
    of the curve must not be compared as if they were. Grain that crosses: an experiment, arm and day since.
    """
    facts, checks = results.facts, results.checks
    kept = [name for name in results.primary if not checks.is_blocked(name, "") and not results.is_waiting(name)]
    curve: list[Line] = []
    changes: list[Line] = []
    if facts.source == "orders" and kept:
        days, first = facts.window_days, facts.window_days // 2
        step = math.ceil(days / MOST_POINTS)
        placed = placed_orders(shop, units=shop.keep(assigned_units(shop)), window_days=days).filter(lambda t: ~t.open)
        points, halves = shop.fetch(day_sums(placed, step=step)), shop.fetch(half_sums(placed, first=first))
        closed = facts.moments[facts.moments["metric"] == "orders"]
        for name in kept:
            sizes = closed[closed["experiment"] == name].set_index("variant")["n"].astype(int).to_dict()
            control = checks.controls[name]
            for arm in sorted(set(sizes) - {control}):
                pair = {side: sizes.get(side, 0) for side in (arm, control)}
                if min(pair.values()) < 1:
                    continue
                mine = points[points["experiment"] == name].set_index(["variant", "since"])
                points_ = _curve(mine, pair, days=days, step=step, rule=results.once)
                curve += [(name, arm, control, *one) for one in points_]
                half = halves[halves["experiment"] == name].set_index("variant")
                change = _contrast(half, pair, first=first, late=days - first, rule=results.once)
                if change is not None and math.isfinite(change.p_value):
                    changes.append((name, arm, SINCE_SEEN, change.effect, change.p_value))
    return pd.DataFrame(curve, columns=_SINCE), changes


def day_sums(placed: ir.Table, *, step: int) -> ir.Table:
    """Grain: an experiment, arm and step of days since assignment. Columns nonzero (units that ordered in it), total,
    squares."""
    keys = ["experiment", "variant", "since"]
    rows = placed.mutate(since=(placed["seconds"] // (86_400 * step)).cast("int64"))
    each = rows.group_by(*keys, "unit_id").aggregate(orders=rows.count())
    sums = each.group_by(*keys).aggregate(
        nonzero=each.count(), total=each["orders"].sum(), squares=(each["orders"] * each["orders"]).sum()
    )
    return sums.order_by(*keys)


def half_sums(placed: ir.Table, *, first: int) -> ir.Table:
    """Grain: an experiment and arm. Sums, squares and products of each unit's orders in its `first` days and later."""
    early = placed["seconds"] < 86_400 * first
    each = placed.group_by("experiment", "variant", "unit_id").aggregate(
        early=early.cast("int64").sum(), late=(~early).cast("int64").sum()
    )
    a, b = each["early"], each["late"]
    sums = each.group_by("experiment", "variant").aggregate(
        nonzero=each.count(), early=a.sum(), late=b.sum(), early2=(a * a).sum(), late2=(b * b).sum(), both=(a * b).sum()
    )
    return sums.order_by("experiment", "variant")


def contrast_of(row: Mapping[str, Floats], n: int, *, first: int, late: int) -> tuple[Floats, Floats]:
    """Mean and variance over `n` units of orders a day in the first days less those later, from `half_sums`."""
    total = row["early"] / first - row["late"] / late
    squares = row["early2"] / first**2 + row["late2"] / late**2 - 2 * row["both"] / (first * late)
    return total / n, (squares - total**2 / n) / (n - 1)


def _curve(points: pd.DataFrame, sizes: dict[str, int], *, days: int, step: int, rule: Rule) -> list[Line]:
    found: list[Line] = []
    for place in range(math.ceil(days / step)):
        first, last = place * step + 1, min(days, (place + 1) * step)
        length = last - first + 1
        rows = []
        for side, n in sizes.items():
            there = (side, place) in points.index
            sums = points.loc[(side, place)] if there else {"nonzero": 0, "total": 0, "squares": 0}
            variance = (sums["squares"] - sums["total"] ** 2 / n) / (n - 1) if n > 1 else math.nan
            rows.append(_moments(n, sums["nonzero"], sums["total"] / n / length, variance / length**2))
        effect = comparison(*rows, binary=False, rule=rule)
        if effect is not None:
            found.append((first, last, *sizes.values(), effect.effect, effect.low, effect.high))
    return found


def _contrast(halves: pd.DataFrame, sizes: dict[str, int], *, first: int, late: int, rule: Rule) -> Effect | None:
    if not first or min(sizes.values()) < 2 or any(side not in halves.index for side in sizes):
        return None
    rows = [
        _moments(n, halves.loc[side, "nonzero"], *contrast_of(halves.loc[side], n, first=first, late=late))
        for side, n in sizes.items()
    ]
    return comparison(*rows, binary=False, rule=rule)


def _moments(n: int, nonzero: float, mean: float, variance: float) -> pd.Series:
    none = dict.fromkeys(("pre_mean", "pre_var", "cov"), math.nan)
    return pd.Series({"n": n, "nonzero": nonzero, "mean": mean, "var": variance, "pre_n": 0} | none)


def part_looks(looks: Looks) -> Part:
    """What would each day's look have said, in a running test that may be watched, else in the largest?"""
    facts = looks.results.facts
    listed, forms = facts.told(looks.days).assign(on=looks.days["day"].astype(str))[::-1], {"both": formats.number}
    labels = {"on": "Arrived by", "test": "Test", "measure": "Measure", "said": "Change", "both": upper(facts.unit)}
    caption = "The effect with the range that holds on all days, by the last day of arrival counted, latest first"
    table = figures.tabulate(listed, caption=caption, labels=labels, formats=forms, file="tables/looks.csv")
    part = Part(
        title="No test can be followed day by day yet",
        sentence=f"It takes a mean or a share that decides, and three days with enough {facts.unit} in both versions.",
        chart=figures.Chart(table=table),
        tables={"looks": rounded(looks.days)},
        detail=True,
    )
    mine = _chosen(looks)
    if mine is None:
        return part
    last = mine.iloc[-1]
    name, metric = upper(facts.name(last["experiment"], last["variant"])), words(last["metric"])
    clear = (mine["low"] > 0) | (mine["high"] < 0)
    title = f"{name}: no day's look showed a clear difference in {metric}"
    if clear.iloc[-1]:
        off = mine.index[~clear].max()
        start = formats.day(mine["day"].iloc[0 if pd.isna(off) else int(off) + 1], year=False)
        title = f"{name}: {metric} was clearly {'higher' if last['effect'] > 0 else 'lower'} from {start} on"
    elif clear.any():
        title = f"{name}: a difference in {metric} was clear for a while; now it is not"
    fooled = int(((mine["naive_low"] > 0) | (mine["naive_high"] < 0)).sum())
    shown, form, what = on_axis(mine, facts.currency)
    effect, low, high = shown[["effect", "low", "high"]].iloc[-1]
    bottom, top = min(0.0, effect) - 1.5 * (high - low), max(0.0, effect) + 1.5 * (high - low)
    ends = {name: shown[name].clip(bottom, top) for name in ("effect", "low", "high")}
    shown = shown.assign(day=pd.to_datetime(mine["day"]), line="change", **ends)
    lines = pd.concat([shown, shown.assign(line="no change", effect=0.0, low=math.nan, high=math.nan)])
    caption = "Among all who had arrived by that day. The band is cut off where it leaves the picture, early on."
    columns: dict[str, Any] = {"x": "day", "y": "effect", "low": "low", "high": "high", "group": "line"}
    chart = figures.line(lines, strong="change", what=what, form=form, table=table, caption=caption, **columns)
    sentence = "The band holds on all days at once, so a test may be watched by it; a range made for one look was off "
    sentence += f"zero on {fooled} of {wording.counted(len(mine), 'day')}."
    return replace(part, title=title, sentence=sentence, chart=chart)


def _chosen(looks: Looks) -> pd.DataFrame | None:
    """Looks at the arm with at least three: of a running test if there is one, else of that with the most units."""
    table = looks.results.table
    running = set(table.loc[table["primary"] & (table["open"] > 0), "experiment"])
    groups = [mine for _, mine in looks.days.groupby(["experiment", "variant"]) if len(mine) >= 3]
    if not groups:
        return None
    best = max(groups, key=lambda mine: (mine["experiment"].iloc[0] in running, mine["n"].max()))
    return best.reset_index(drop=True)


def part_novelty(looks: Looks) -> Part:
    """Does the effect wear off: by day since first seen where orders tell, else by week of arrival?"""
    facts, unit = looks.results.facts, looks.results.facts.unit
    what = BY_WEEK if looks.since.empty else SINCE_SEEN
    if what == SINCE_SEEN:
        frame = looks.since.assign(kind="number", metric=f"orders a day of 100 {unit}")
        frame[["effect", "low", "high"]] *= 100
        days = zip(frame["first_day"], frame["last_day"], strict=True)
        frame["at"] = [f"day {first}" if first == last else f"days {first} to {last}" for first, last in days]
    else:
        starts = [formats.day(day, year=False) for day in looks.weeks["first_day"]]
        frame = looks.weeks.assign(at=[f"week {week}, from {day}" for week, day in zip(looks.weeks["week"], starts)])
    labels = {"at": "When", "test": "Test", "measure": "Measure", "said": "Change", "both": upper(unit)}
    forms, file = {"both": formats.number}, "tables/since_seen.csv" if what == SINCE_SEEN else ""
    table = figures.tabulate(facts.told(frame), caption=f"The effect {what}", labels=labels, formats=forms, file=file)
    part = Part(
        title="Too early to see an effect wear off",
        sentence=f"That takes two weeks of arrivals with enough {unit}, or orders.",
        chart=figures.Chart(table=table),
        method=[f"Novelty was looked for {what}, corrected for the number of tests (Holm)."],
        tables={"since_seen": rounded(looks.since)},
        detail=True,
    )
    groups = {key: mine for key, mine in frame.groupby(["experiment", "variant"], sort=True) if len(mine) > 1}
    if not groups:
        return part
    changed = looks.changes[looks.changes["p_adjusted"] < CLEAR].sort_values("p_adjusted", kind="stable")
    found = [key for key in zip(changed["experiment"], changed["variant"]) if key in groups]
    key = found[0] if found else max(groups, key=lambda one: groups[one]["n"].max())
    tests = looks.changes[looks.changes["what"] == what].set_index(["experiment", "variant"])
    known = tests.loc[[key]].iloc[0] if key in tests.index else None
    caption = f"{'Other' if what == BY_WEEK else 'The same'} {unit} at every point; one range in twenty misses."
    chart = chart_of(groups[key].rename(columns={"at": "label"}), facts.currency, table=table, caption=caption)
    lasts = "Do not count on its average to last." if found else "What is tried only because it is new would wear off."
    title = _novelty_title(facts.name(*key), known, by_day=what == SINCE_SEEN)
    return replace(part, title=title, sentence=lasts, chart=chart, detail=not found)


def _novelty_title(name: str, known: pd.Series | None, *, by_day: bool) -> str:
    when = "since it was first seen" if by_day else "from week to week"
    if known is None or math.isnan(known["p_adjusted"]):
        return f"Whether the effect of {name} changed {when} could not be tested"
    p = f"({p_text(float(known['p_adjusted']))}, corrected)"
    if known["p_adjusted"] >= CLEAR:
        return f"No clear change in the effect of {name} {when}"
    if not by_day:
        return f"The effect of {name} was not the same in every week {p}"
    return f"The effect of {name} was {'larger' if known['value'] > 0 else 'smaller'} in the first days than later {p}"
