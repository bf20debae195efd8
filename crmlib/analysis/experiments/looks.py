"""How a test looked on each day, and whether its effect wears off: week by week, and early and late after first seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib import figures, formats, wording
from crmlib.analysis.experiments.effects import Effect
from crmlib.analysis.experiments.facts import assigned_units, measured, placed_orders
from crmlib.analysis.experiments.measures import amount, effect_text, p_text, rounded, scale_of, unit_of, words
from crmlib.analysis.experiments.moments import moments
from crmlib.analysis.experiments.results import CLEAR, Results, Rule, comparison
from crmlib.findings import Part
from crmlib.stats import adjust, heterogeneity

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

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
        weeks = _weeks(moments(shop, weekly, by=["week", "first_day"]), results)
    frame = pd.DataFrame(_over_weeks(weeks) + changes, columns=_CHANGES)
    frame["p_adjusted"] = adjust(frame["p_value"], method="holm") if len(frame) else pd.Series(dtype=float)
    return Looks(results=results, days=days, weeks=weeks.drop(columns="error"), changes=frame, since=since)


def primary_outcomes(shop: Shop, results: Results) -> ir.Table | None:
    """The outcomes that decide, of tests whose split is sound and that may be read by now; None where there are none.
    Ratios and quantiles are no outcomes of a unit."""
    plain = set(results.facts.moments["metric"])
    kept = {
        name: metric
        for name, metric in results.primary.items()
        if metric in plain and not results.checks.is_blocked(name, metric) and not results.is_waiting(name)
    }
    if not kept:
        return None
    units = shop.keep(assigned_units(shop))
    outcomes = shop.keep(measured(shop, units=units, window_days=results.facts.window_days))
    chosen = [(outcomes["experiment"] == name) & (outcomes["metric"] == metric) for name, metric in kept.items()]
    return outcomes.filter(ibis.or_(*chosen))


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
        always = Rule(level=rule.level, reading="always", planned=rule.planned)
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
                    rows.append((experiment, metric, arm, control, day, int(pair[0]["n"]), int(pair[1]["n"]), kind,
                                 found.effect, found.low, found.high, naive.low, naive.high))  # fmt: skip
    return pd.DataFrame(rows, columns=_DAYS)


def _weeks(frame: pd.DataFrame, results: Results) -> pd.DataFrame:
    rows: list[Line] = []
    for (experiment, metric, week), mine in frame.groupby(["experiment", "metric", "week"], sort=True):
        control, arms = results.checks.controls[str(experiment)], mine.set_index("variant")
        binary = bool(frame.loc[(frame["experiment"] == experiment), "off_binary"].sum() == 0)
        kind = results.kind_of(str(experiment), str(metric))
        start = pd.Timestamp(mine["first_day"].iloc[0]) + pd.Timedelta(weeks=int(week))
        for arm in arms.index if control in arms.index else ():
            found = comparison(arms.loc[arm], arms.loc[control], binary=binary, rule=results.once)
            if arm != control and found is not None:
                rows.append((experiment, metric, arm, control, int(week) + 1, start.date(), int(arms.loc[arm, "n"]),
                             int(arms.loc[control, "n"]), kind, found.effect, found.low, found.high, found.error))  # fmt: skip
    return pd.DataFrame(rows, columns=_WEEKS)


def _over_weeks(weeks: pd.DataFrame) -> list[Line]:
    several = [(key, mine) for key, mine in weeks.groupby(["experiment", "variant"], sort=True) if len(mine) > 1]
    return [(*key, BY_WEEK, *heterogeneity(mine["effect"], mine["error"])) for key, mine in several]


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
                curve += [
                    (name, arm, control, *one) for one in _curve(mine, pair, days=days, step=step, rule=results.once)
                ]
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
    """What would each day's look have said, in a running test that may be looked at, else the largest that has ended?"""
    days, facts = looks.days, looks.results.facts
    rows = days.to_dict("records")
    table = figures.tabulate(
        days.assign(test=[facts.name(row["experiment"], row["variant"]) for row in rows],
                    measure=[words(row["metric"]) for row in rows],
                    on=[pd.Timestamp(row["day"]).strftime("%Y-%m-%d") for row in rows],
                    said=[effect_text(row, facts.currency) for row in rows], units=days["n"] + days["n_control"])[::-1],
        caption="The effect with the range that holds on all days, by the last day of arrival counted, latest first",
        labels={"on": "Arrived by", "test": "Test", "measure": "Measure", "said": "Change", "units": wording.upper(facts.unit)},
        formats={"units": formats.number},
        file="tables/looks.csv",
    )  # fmt: skip
    published = {"looks": rounded(days)}
    mine = _chosen(looks)
    if mine is None:
        return Part(title="No test can be followed day by day yet", chart=figures.Chart(table=table), tables=published, detail=True,
                    sentence=f"Needs a mean or a share that decides, and three days with enough {facts.unit} in both versions.")  # fmt: skip
    last, scale = mine.iloc[-1], scale_of(mine["kind"].iloc[0])
    name, metric = wording.upper(facts.name(last["experiment"], last["variant"])), words(last["metric"])
    clear = (mine["low"] > 0) | (mine["high"] < 0)
    if clear.iloc[-1]:
        off = mine.index[~clear].max()
        start = formats.day(pd.Timestamp(mine["day"].iloc[0 if pd.isna(off) else int(off) + 1]), year=False)
        title = f"{name}: {metric} was clearly {'higher' if last['effect'] > 0 else 'lower'} from {start} on"
    elif clear.any():
        title = f"{name}: a difference in {metric} was clear for a while; now it is not"
    else:
        title = f"{name}: no day's look showed a clear difference in {metric}"
    fooled = int(((mine["naive_low"] > 0) | (mine["naive_high"] < 0)).sum())
    reach = 1.5 * scale * (last["high"] - last["low"])
    bottom, top = (edge(0.0, scale * last["effect"]) + side * reach for edge, side in ((min, -1), (max, 1)))
    shown = mine.assign(
        day=pd.to_datetime(mine["day"]), line="change",
        **{column: (scale * mine[column]).clip(bottom, top) for column in ("effect", "low", "high")},
    )  # fmt: skip
    none = shown.assign(line="no change", effect=0.0, low=math.nan, high=math.nan)
    form = _form(last, facts.currency)
    return Part(
        title=title,
        sentence=f"The band holds on all days at once, so a test may be watched by it; a range made for one look was off zero on "
        f"{fooled} of {wording.counted(len(mine), 'day')}.",
        chart=figures.line(
            pd.concat([shown, none]), x="day", y="effect", low="low", high="high", group="line", strong="change", zero=False,
            what=f"change in {metric}, {unit_of(last['kind'], facts.currency)}", form=form, table=table,
            caption="Among all who had arrived by that day. Where the band leaves the picture, early on, it is wider still.",
        ),
        tables=published,
        detail=True,
    )  # fmt: skip


def _form(row: pd.Series, currency: str) -> figures.charts.Form:
    scale, width = scale_of(row["kind"]), float(row["high"] - row["low"])
    return lambda value: amount(value / scale, row["kind"], currency, width=width, sign=True)


def _chosen(looks: Looks) -> pd.DataFrame | None:
    """Looks at the arm with at least three: of a running test if there is one, else of that with the most units."""
    table, days = looks.results.table, looks.days
    running = set(table.loc[table["primary"] & (table["open"] > 0), "experiment"])
    groups = [mine for _, mine in days.groupby(["experiment", "variant"]) if len(mine) >= 3]
    if not groups:
        return None
    best = max(groups, key=lambda mine: (mine["experiment"].iloc[0] in running, mine["n"].max()))
    return best.reset_index(drop=True)


def part_novelty(looks: Looks) -> Part:
    """Does the effect wear off: by day since first seen where orders tell, else by week of arrival?"""
    facts, by_day_ = looks.results.facts, not looks.since.empty
    what = SINCE_SEEN if by_day_ else BY_WEEK
    if by_day_:
        frame = looks.since.assign(
            kind="number",
            metric="orders",
            at=[_days_text(row.first_day, row.last_day) for row in looks.since.itertuples()],
        )
        frame[["effect", "low", "high"]] *= 100
    else:
        starts = [formats.day(pd.Timestamp(day), year=False) for day in looks.weeks["first_day"]]
        frame = looks.weeks.assign(at=[f"week {week}, from {day}" for week, day in zip(looks.weeks["week"], starts)])
    rows = frame.to_dict("records")
    table = figures.tabulate(
        frame.assign(test=[facts.name(row["experiment"], row["variant"]) for row in rows],
                     said=[effect_text(row, facts.currency) for row in rows], units=frame["n"] + frame["n_control"]),
        caption=f"Orders a day of 100 {facts.unit}, more than in the old version, by days since they first saw the new one" if by_day_
        else "The effect among the arrivals of one week each",
        labels={"at": "Since first seen" if by_day_ else "Arrived in", "test": "Test", "said": "Change", "units": wording.upper(facts.unit)},
        formats={"units": formats.number},
        file="tables/since_seen.csv" if by_day_ else "",
    )  # fmt: skip
    published = {"since_seen": rounded(looks.since)}
    groups = {key: mine for key, mine in frame.groupby(["experiment", "variant"], sort=True) if len(mine) > 1}
    if not groups:
        return Part(title="Too early to see an effect wear off", chart=figures.Chart(table=table), tables=published, detail=True,
                    sentence=f"Needs two weeks of arrivals with enough {facts.unit}, or orders.")  # fmt: skip
    changed = looks.changes[looks.changes["p_adjusted"] < CLEAR].sort_values("p_adjusted", kind="stable")
    keys = [key for key in zip(changed["experiment"], changed["variant"]) if key in groups]
    key = keys[0] if keys else max(groups, key=lambda one: groups[one]["n"].max())
    mine, name = groups[key], facts.name(*key)
    scale = scale_of(mine["kind"].iloc[0])
    tests = looks.changes[looks.changes["what"] == what].set_index(["experiment", "variant"])
    known = tests.loc[[key]].iloc[0] if key in tests.index else None
    unit = f"orders a day of 100 {facts.unit}" if by_day_ else unit_of(mine["kind"].iloc[0], facts.currency)
    narrowest = mine.loc[(mine["high"] - mine["low"]).idxmin()]
    return Part(
        title=_novelty_title(name, known, by_day=by_day_),
        sentence="Do not count on its average to last." if keys else "What is tried only because it is new would wear off.",
        chart=figures.dots(
            mine.assign(**{column: scale * mine[column].astype(float) for column in ("effect", "low", "high")}),
            label="at", value="effect", low="low", high="high", reference=0.0, form=_form(narrowest, facts.currency), table=table,
            what=f"change in {words(mine['metric'].iloc[0])}, {unit}",
            caption=f"{'The same' if by_day_ else 'Other'} {facts.unit} at every point; one range in twenty misses.",
        ),
        method=[f"Novelty was looked for {what}; the tests are corrected for their number (Holm)."] if len(looks.changes) else [],
        tables=published,
        detail=not keys,
    )  # fmt: skip


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


def _days_text(first: int, last: int) -> str:
    return f"day {first}" if first == last else f"days {first} to {last}"
