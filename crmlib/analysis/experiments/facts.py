"""What was assigned and what was measured, reduced in the engine to one row per experiment, metric and arm."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from crmlib.analysis.experiments import moments as reduced
from crmlib.analysis.experiments.given import GIVEN, arms_of, given_results, moments_of
from crmlib.analysis.experiments.measures import effect_text, parts_of, unit_called, words
from crmlib.analysis.experiments.moments import EXACT
from crmlib.errors import NotAvailable, NotEnoughData, UsageError, nearest
from crmlib.formats import outline
from crmlib.shop.facts import net_orders
from crmlib.shop.shop import Shop

_DAY = 86_400  # seconds
_BETWEEN = "\x1f"
_USUAL = 0.05  # share of units with several rows above which a metric's rows are events
_OUTCOMES = ("experiment", "metric", "variant", "unit_id", "value", "pre_value", "open", "several", "early",
             "window", "day")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that crossed from the engine, as small tables.

    arms      experiment, variant, units (in this arm only), first_at, last_at
    apart     experiment, two_arms (units seen in more than one arm, left out), repeats (assignments that only repeat an
              earlier one), unassigned_rows and unassigned_units (outcomes of units that were never assigned)
    days      experiment, day, variant, units
    moments   experiment, metric, variant and what `moments.moments` says
    ratios    the same for ratios of two metrics, with both means, variances and their covariance
    quantiles what `moments.order_statistics` says
    capped    experiment, metric, variant, n, mean, var, with the outermost thousandth of values cut back
    source    'outcomes', 'orders' or 'results': where the metrics come from
    unit      what was assigned, in the plural: 'visitors'
    """

    __repr__ = outline

    as_of: date
    source: str
    window_days: int
    currency: str
    dated: bool
    arms: pd.DataFrame
    apart: pd.DataFrame
    days: pd.DataFrame
    moments: pd.DataFrame
    ratios: pd.DataFrame
    quantiles: pd.DataFrame
    capped: pd.DataFrame
    unit: str = "units"
    money_rule: str = ""

    def units_of(self, experiment: str) -> dict[str, int]:
        """Arm -> its units, in the order of their names."""
        return self._units.get(experiment, {})

    @cached_property
    def _units(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        arms = self.arms.sort_values(["experiment", "variant"])
        for experiment, arm, units in zip(arms["experiment"], arms["variant"], arms["units"], strict=True):
            found.setdefault(str(experiment), {})[str(arm)] = int(units)
        return found

    def name(self, experiment: str, arm: str = "") -> str:
        """A test as a sentence calls it, with its arm where there are several new versions: 'button (red)'."""
        several = len(self.units_of(experiment)) > 2
        return f"{words(experiment)} ({words(arm)})" if several and arm else words(experiment)

    def told(self, effects: pd.DataFrame) -> pd.DataFrame:
        """Effects with the columns a page shows: test, measure, said (the change and its range), both (units)."""
        rows = effects.to_dict("records")
        return effects.assign(
            test=[self.name(row["experiment"], row["variant"]) for row in rows],
            measure=effects["metric"].map(words),
            said=[effect_text(row, self.currency) if row["low"] == row["low"] else "too few" for row in rows],
            both=effects["n"] + effects["n_control"],
        )

    def span_of(self, experiment: str) -> int | None:
        """Days from the first assignment to the last, both counted; None where results came without days."""
        mine = self.arms[self.arms["experiment"] == experiment]
        if mine[["first_at", "last_at"]].isna().to_numpy().any():
            return None
        days: int = (mine["last_at"].max().date() - mine["first_at"].min().date()).days
        return days + 1

    def a_day(self, experiment: str) -> float:
        """Units assigned a day, all arms together; nan where that is not known."""
        return sum(self.units_of(experiment).values()) / (self.span_of(experiment) or math.nan)

    def end_of(self, experiment: str, metric: str = "") -> date:
        """The day by which the last unit's window has closed; a first as_of at which this test can be read."""
        # A ratio ends with the later of its two metrics, a quantile with its own.
        mine = self.moments["metric"].isin(parts_of(metric))
        known = self.moments[(self.moments["experiment"] == experiment) & mine]
        windows = known["window_high"].dropna()
        days = float(windows.max()) if len(windows) else float(self.window_days)
        if self.source == GIVEN:
            return self.as_of
        last = self.arms.loc[self.arms["experiment"] == experiment, "last_at"].max() + timedelta(days=days)
        end: date = (last + timedelta(days=1) - timedelta(microseconds=1)).date()
        return end


def facts(
    shop: Shop,
    *,
    experiment: str = "",
    window_days: int = 14,
    also: str = "",
    unit: str = "",
    confidence: float = 0.95,
) -> Facts:
    """Who was in which arm, and what did each arm do?

    `experiment` picks one, empty means all. `also` are ratios such as 'revenue/orders' and quantiles such as
    'revenue@0.95' to compare beside the metrics. `unit` is what was assigned, in the plural; empty is as the metrics'
    names say. `confidence` is that of the quantiles' order statistics. Raises NotAvailable without assignments or
    anything to measure by, NotEnoughData where nothing had been assigned by as_of, UsageError for an experiment or a
    metric that does not exist.
    """
    if shop.has(GIVEN) and not shop.has("assignments"):
        return _given(shop, given_results(shop, experiment=experiment), unit=unit, also=also)
    assignments = shop.table("assignments")
    names = shop.fetch(assignments.select("experiment").distinct().order_by("experiment"))["experiment"].tolist()
    if not names:
        raise NotEnoughData(f"no unit had been assigned to an experiment before {shop.as_of}: needs assignments")
    if experiment and experiment not in names:
        raise UsageError(f"there is no experiment '{experiment}'; {nearest(experiment, names)}")
    units = shop.keep(assigned_units(shop, experiment=experiment))
    outcomes = shop.keep(measured(shop, units=units, window_days=window_days))
    found = reduced.moments(shop, outcomes)
    metrics, known = sorted(set(found["metric"])), shop.has("outcomes")
    ratios, quantiles = reduced.read_also(also, metrics=metrics)
    arms, source = shop.fetch(_arms(units)), "outcomes" if known else "orders"
    sizes = arms.groupby("experiment").size().to_dict()
    ranks = reduced.order_statistics(shop, outcomes, quantiles=quantiles, confidence=confidence, arms=sizes)
    told: dict[str, Any] = {"as_of": shop.as_of, "currency": shop.currency, "window_days": window_days}
    told |= {"source": source, "unit": unit.strip() or unit_called(metrics, source=source)}
    return Facts(
        **told,
        dated=not known or shop.has("outcomes", "observed_at"),
        arms=arms,
        apart=shop.fetch(_apart(shop, units)),
        days=shop.fetch(assigned_days(units)),
        moments=found,
        ratios=reduced.ratio_moments(shop, outcomes, ratios=ratios),
        quantiles=ranks,
        capped=_capped(shop, outcomes, found, ratios),
        money_rule="" if known else shop.money_rule(),
    )


def _given(shop: Shop, rows: pd.DataFrame, *, unit: str, also: str) -> Facts:
    """The same of results that another tool added up: sums know no days, nor who saw two arms."""
    reduced.read_also(also, metrics=(metrics := sorted(set(rows["metric"]))))
    nothing = ["two_arms", "repeats", "unassigned_rows", "unassigned_units"]
    apart = rows[["experiment"]].drop_duplicates(ignore_index=True).assign(**dict.fromkeys(nothing, 0))
    plain = ["experiment", "metric", "variant", "n", "mean", "var"]
    return Facts(
        as_of=shop.as_of, source=GIVEN, window_days=0, currency=shop.currency, dated=False, arms=arms_of(rows),
        apart=apart, days=pd.DataFrame(columns=["experiment", "day", "variant", "units"]), moments=moments_of(rows),
        ratios=pd.DataFrame(columns=reduced.RATIO_COLUMNS), quantiles=pd.DataFrame(columns=reduced.QUANTILE_COLUMNS),
        capped=pd.DataFrame(columns=plain), unit=unit.strip() or unit_called(metrics, source="outcomes"),
    )  # fmt: skip


def _capped(shop: Shop, outcomes: ir.Table, found: pd.DataFrame, ratios: list[tuple[str, str]]) -> pd.DataFrame:
    """Means and ratios with the outermost values cut back, of metrics that are not mere zeros and ones."""
    names = ["experiment", "metric", "variant", "n", "mean", "var"]
    spread = sorted(set(found.loc[found["off_binary"] > 0, "metric"]))
    if not spread:
        return pd.DataFrame(columns=names)
    plain = reduced.moments(shop, reduced.cut_back(outcomes.filter(outcomes["metric"].isin(spread))))[names]
    if not ratios:
        return plain
    return pd.concat([plain, reduced.ratio_moments(shop, outcomes, ratios=ratios, cut=True)[names]])


def among(rows: ir.Table, measures: Iterable[tuple[str, str]]) -> ir.BooleanValue:
    """Is a row of one of these tests and metrics? One list: a condition for each would nest too deep for an engine."""
    names = [experiment + _BETWEEN + metric for experiment, metric in measures]
    both: ir.StringValue = rows["experiment"] + _BETWEEN + rows["metric"]
    return both.isin(names).fill_null(False) if names else ibis.literal(False)


def assigned_units(shop: Shop, *, experiment: str = "") -> ir.Table:
    """Grain: a unit of an experiment. Columns experiment, unit_id, variant, assigned_at (first), arms, rows.

    A repeated assignment to the same arm counts once, from the first. Where `arms` is above 1 the unit saw several
    arms, and `variant` means nothing.
    """
    rows = shop.table("assignments")
    if experiment:
        rows = rows.filter(rows["experiment"] == experiment)
    first = {name: rows[name].min() for name in ("variant", "assigned_at")}
    return rows.group_by("experiment", "unit_id").aggregate(**first, arms=rows["variant"].nunique(), rows=rows.count())


def assigned_days(units: ir.Table) -> ir.Table:
    """Grain: a local day, experiment and arm. Columns experiment, day, variant, units; none of several arms."""
    single = units.filter(units["arms"] == 1)
    days = single.group_by("experiment", "variant", day=single["assigned_at"].date())
    return days.aggregate(units=single.count()).order_by("experiment", "day", "variant")


def _arms(units: ir.Table) -> ir.Table:
    """Grain: an experiment and arm. Columns experiment, variant, units, first_at, last_at."""
    single = units.filter(units["arms"] == 1)
    ends = {"first_at": single["assigned_at"].min(), "last_at": single["assigned_at"].max()}
    arms = single.group_by("experiment", "variant").aggregate(units=single.count(), **ends)
    return arms.order_by("experiment", "variant")


def _apart(shop: Shop, units: ir.Table) -> ir.Table:
    """Grain: an experiment. Columns experiment, two_arms, repeats, unassigned_rows, unassigned_units."""
    repeats = ibis.ifelse(units["arms"] == 1, units["rows"] - 1, 0)
    apart = units.group_by("experiment").aggregate(two_arms=(units["arms"] > 1).sum(), repeats=repeats.sum())
    strays = ("unassigned_rows", "unassigned_units")
    if not shop.has("outcomes"):
        return apart.mutate(**{name: ibis.literal(0) for name in strays}).order_by("experiment")
    stray = shop.table("outcomes").anti_join(units, ["experiment", "unit_id"])
    counts = dict(zip(strays, (stray.count(), stray["unit_id"].nunique()), strict=True))
    stray = stray.group_by("experiment").aggregate(**counts)
    apart = apart.left_join(stray, "experiment").drop("experiment_right")
    return apart.mutate(**{name: apart[name].fill_null(0) for name in strays}).order_by("experiment")


def measured(shop: Shop, *, units: ir.Table, window_days: int) -> ir.Table:
    """The outcomes the shop recorded, else those its orders tell. NotAvailable where it has neither."""
    if shop.has("outcomes"):
        return recorded_outcomes(shop, units=units, window_days=window_days)
    if shop.has("orders", "customer_id"):
        return order_outcomes(shop, units=units, window_days=window_days)
    raise NotAvailable("needs outcomes, or orders with customer_id; this shop has " + ", ".join(shop.audits))


def recorded_outcomes(shop: Shop, *, units: ir.Table, window_days: int) -> ir.Table:
    """Grain: a metric of a unit in one arm, from the outcomes table; units without a value are there, empty.

    Columns experiment, metric, variant, unit_id, value, pre_value, open, several, early, window (days from assignment
    to observation; empty where the shop does not say), day (of assignment). Values of `several` rows are put together
    (`_events`); one measured before the assignment (`early`) does not count. `open`: the metric's longest window (else
    `window_days`) has not passed for this unit; a value that came before is not counted yet, since those who act early
    would else stand for all. Where all was measured on one day, the test ended for everybody then, and nothing is open.
    """
    single = units.filter(units["arms"] == 1)
    keys = ["experiment", "unit_id", "metric"]
    rows = shop.table("outcomes").select(*keys, "value", "observed_at", "pre_value")
    rows = rows.inner_join(single.select("experiment", "unit_id", "assigned_at"), ["experiment", "unit_id"])
    rows = rows.mutate(_seconds=rows["observed_at"].delta(rows["assigned_at"], unit="second"))
    found = shop.keep(rows.group_by(*keys).aggregate(**_of_unit(rows)))
    metrics = _metrics_of(found)
    if several := shop.fetch(metrics.filter(metrics["_several"] > 0)).to_dict("records"):
        found = shop.keep(_events(shop, single, several, window_days=window_days))
        metrics = _metrics_of(found)
    grid = single.select("experiment", "unit_id", "variant", "assigned_at").inner_join(metrics, "experiment")
    grid = grid.left_join(found, keys).drop(*(f"{key}_right" for key in keys))
    waiting = _moment(shop.as_of).delta(grid["assigned_at"], unit="second")
    window = ibis.greatest(grid["_longest"].fill_null(window_days * _DAY), 0)
    # A value without a date cannot be said to have come early.
    waits = (waiting < window) & (grid["value"].isnull() | grid["_seconds"].notnull())
    grid = grid.mutate(open=waits & ~(grid["_first"].date() == grid["_last"].date()).fill_null(False))
    return grid.mutate(
        value=ibis.ifelse(grid["open"], ibis.null(EXACT), grid["value"]),
        several=(grid["_rows"] > 1).fill_null(False),
        early=grid["early"].fill_null(False),
        window=grid["_seconds"] / _DAY,
        day=grid["assigned_at"].date(),
    ).select(*_OUTCOMES)


def _of_unit(rows: ir.Table) -> dict[str, ir.Value]:
    """What is kept of a unit's rows of one metric: the sum of those that did not come early."""
    value = ibis.ifelse((rows["_seconds"] < 0).fill_null(False), ibis.null(EXACT), rows["value"])
    return {
        "value": value.sum().cast(EXACT),
        "pre_value": rows["pre_value"].min(),
        "early": (rows["_seconds"].min() < 0).fill_null(False),
        "_rows": value.count(),
        "_seconds": rows["_seconds"].max(),
        "_at": rows["observed_at"].max(),
    }


def _metrics_of(found: ir.Table) -> ir.Table:
    """Grain: an experiment and metric. Longest window, units and those of several rows, first and last day."""
    return found.group_by("experiment", "metric").aggregate(
        _longest=found["_seconds"].max(),
        _several=(found["_rows"] > 1).sum(),
        _units=found.count(),
        _first=found["_at"].min(),
        _last=found["_at"].max(),
    )


def _events(shop: Shop, single: ir.Table, several: list[dict[str, Any]], *, window_days: int) -> ir.Table:
    """The same where units of some metrics have several rows, one for each event.

    A row that stands twice, to the second, counts once. Events are added up; where a metric says no or yes (zeros and
    ones, both there) a unit did it if it ever did. Where several rows are usual, each unit's events count for as long
    as every unit could be followed, at least for `window_days`.
    """
    keys = ["experiment", "unit_id", "metric"]
    rows = shop.table("outcomes")
    # Without a time of day two purchases of a price and a row that stands twice look alike: then both count.
    at = rows["observed_at"]
    timed = (at.notnull() & (at != at.truncate("D"))).fill_null(False)
    rows = rows.filter(timed).distinct().union(rows.filter(~timed)).select(*keys, "value", "observed_at", "pre_value")
    rows = rows.inner_join(single.select("experiment", "unit_id", "assigned_at"), ["experiment", "unit_id"])
    rows = rows.mutate(_seconds=rows["observed_at"].delta(rows["assigned_at"], unit="second"))
    usual = [row for row in several if row["_several"] > _USUAL * row["_units"]]
    marked = among(rows, [(row["experiment"], row["metric"]) for row in usual])
    last = single.group_by("experiment").aggregate(_followed=single["assigned_at"].max())
    last = last.mutate(_followed=_moment(shop.as_of).delta(last["_followed"], unit="second"))
    rows = rows.mutate(_event=marked).inner_join(last, "experiment")
    limit = ibis.greatest(rows["_followed"], window_days * _DAY)
    rows = rows.filter(~(rows["_event"] & (rows["_seconds"] > limit)).fill_null(False))
    said = {"_off": (rows["value"] != 0) & (rows["value"] != 1), "_no": rows["value"] == 0}
    said["_event"] = rows["_event"]
    found = rows.group_by(*keys).aggregate(**_of_unit(rows), **{name: one.sum() for name, one in said.items()})
    kinds = found.group_by("experiment", "metric").aggregate(_yes=(found["_off"].sum() == 0) & (found["_no"].sum() > 0))
    found = found.inner_join(kinds, ["experiment", "metric"])
    ever = found["_yes"] & (found["value"] > 1)
    # A unit's last event does not end its window.
    longest = found["_seconds"].max().over(ibis.window(group_by=["experiment", "metric"]))
    return found.mutate(
        value=ibis.ifelse(ever, ibis.literal(1).cast(EXACT), found["value"]),
        _seconds=ibis.ifelse(found["_event"] > 0, longest, found["_seconds"]),
    )


def placed_orders(shop: Shop, *, units: ir.Table, window_days: int) -> ir.Table:
    """Grain: an order of a unit in one arm, within its window.

    Columns experiment, unit_id, variant, open (the window had not closed by as_of), seconds (assignment to order).
    """
    _, placed = _units_and_orders(shop, units=units, window_days=window_days)
    seconds = placed["ordered_at"].delta(placed["assigned_at"], unit="second")
    return placed.select("experiment", "unit_id", "variant", "open", seconds=seconds)


def _units_and_orders(shop: Shop, *, units: ir.Table, window_days: int) -> tuple[ir.Table, ir.Table]:
    single = units.filter(units["arms"] == 1).select("experiment", "unit_id", "variant", "assigned_at")
    window = ibis.interval(days=window_days)
    single = single.mutate(open=single["assigned_at"] + window > _moment(shop.as_of))
    orders = net_orders(shop).filter(lambda t: t.customer_id.notnull())
    orders = orders.select("order_id", "customer_id", "ordered_at", "revenue")
    placed = single.inner_join(orders, single["unit_id"] == orders["customer_id"])
    within = placed["ordered_at"] >= placed["assigned_at"], placed["ordered_at"] < placed["assigned_at"] + window
    return single, placed.filter(*within)


def order_outcomes(shop: Shop, *, units: ir.Table, window_days: int) -> ir.Table:
    """Grain: a metric of a unit in one arm, from orders in [assigned_at, assigned_at + window_days) of that customer.

    Columns as `recorded_outcomes`. Metrics: converted (0 or 1), orders, and revenue where the shop has amounts. Units
    that did not order count as 0 (intent to treat); units whose window had not closed by as_of are open and empty.
    """
    single, placed = _units_and_orders(shop, units=units, window_days=window_days)
    money = {"revenue": placed["revenue"].sum(), "priced": placed["revenue"].count()}
    sums = placed.group_by("experiment", "unit_id").aggregate(orders=placed.count(), **money)
    table = single.left_join(sums, ["experiment", "unit_id"]).drop("experiment_right", "unit_id_right")
    table = table.mutate(
        pre_value=ibis.null(EXACT),
        several=ibis.literal(False),
        early=ibis.literal(False),
        window=ibis.literal(float(window_days)),
        day=table["assigned_at"].date(),
    )
    count = table["orders"].fill_null(0)
    values = {"converted": (count > 0).cast("int64").cast(EXACT), "orders": count.cast(EXACT)}
    lines = shop.has("order_lines", "line_total") or shop.has("order_lines", "unit_price", "quantity")
    if shop.has("orders", "total") or lines:
        # An order without an amount leaves the unit's revenue unknown rather than too small.
        known = table["priced"].fill_null(0) == count
        values["revenue"] = ibis.ifelse(known, table["revenue"].fill_null(0).cast(EXACT), ibis.null(EXACT))
    parts = []
    for name, value in values.items():
        known = ibis.ifelse(table["open"], ibis.null(EXACT), value)
        parts.append(table.mutate(metric=ibis.literal(name), value=known).select(*_OUTCOMES))
    return ibis.union(*parts)


def _moment(day: date) -> ir.TimestampScalar:
    return ibis.timestamp(day.isoformat())
