"""What was assigned and what was measured, reduced in the engine to one row per experiment, metric and arm."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from itertools import accumulate
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib.errors import NotAvailable
from crmlib.shop.facts.orders import net_orders

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

_DAY = 86_400  # seconds
_EXACT = dt.Decimal(18, 4)  # as the shop's tables: sums and sums of squares are exact, the same in every order
_WIDE = dt.Decimal(19, 4)
_SUMS = ("total", "squares", "total_with_pre", "pre_total", "pre_squares", "cross")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that crossed from the engine, as small tables.

    arms      experiment, variant, units (in this arm only), first_at, last_at
    apart     experiment, two_arms (units seen in more than one arm, set aside), repeats (assignments that only repeat
              an earlier one), unassigned_rows and unassigned_units (outcomes of units that were never assigned)
    days      experiment, day, variant, units
    moments   experiment, metric, variant and what `moments` says
    ratios    the same for ratios of two metrics, with both means, variances and their covariance
    quantiles experiment, metric, share, variant, n, middle, low, high (order statistics), low_all and high_all (the same at the
              level that holds for all arms of the experiment together)
    capped    experiment, metric, variant, largest, n, mean, var, with the outermost thousandth of values cut back
    source    'outcomes' or 'orders': where the metrics come from
    unit      what was assigned, in the plural: 'visitors'
    """

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


def assigned_units(shop: Shop, *, experiment: str = "") -> ir.Table:
    """Grain: a unit of an experiment. Columns experiment, unit_id, variant, assigned_at (first), arms, rows.

    A repeated assignment to the same arm counts once, from the first. Where `arms` is above 1 the unit saw several
    arms, and `variant` means nothing.
    """
    rows = shop.table("assignments")
    if experiment:
        rows = rows.filter(rows["experiment"] == experiment)
    return rows.group_by("experiment", "unit_id").aggregate(
        variant=rows["variant"].min(),
        assigned_at=rows["assigned_at"].min(),
        arms=rows["variant"].nunique(),
        rows=rows.count(),
    )


def assigned_days(units: ir.Table) -> ir.Table:
    """Grain: a local day, experiment and arm. Columns experiment, day, variant, units; units of several arms are out."""
    single = units.filter(units["arms"] == 1)
    days = single.group_by("experiment", "variant", day=single["assigned_at"].date())
    return days.aggregate(units=single.count()).order_by("experiment", "day", "variant")


def recorded_outcomes(shop: Shop, *, units: ir.Table, window_days: int) -> ir.Table:
    """Grain: a metric of a unit in one arm, from the outcomes table; units without a value are there, empty.

    Columns experiment, metric, variant, unit_id, value, pre_value, open, contradictory, early, window (days from
    assignment to observation; empty where the shop does not say), day (of assignment). A value measured before the
    assignment (`early`), or one of several that differ (`contradictory`), is empty. `open`: the metric's longest window
    (else `window_days`) has not passed for this unit; a value that came before is not counted yet, since those who act
    early would else stand for all.
    """
    single = units.filter(units["arms"] == 1)
    rows = shop.table("outcomes").select("experiment", "unit_id", "metric", "value", "observed_at", "pre_value")
    rows = rows.inner_join(single.select("experiment", "unit_id", "assigned_at"), ["experiment", "unit_id"])
    rows = rows.mutate(_seconds=rows["observed_at"].delta(rows["assigned_at"], unit="second"))
    found = rows.group_by("experiment", "unit_id", "metric").aggregate(
        value=rows["value"].min(),
        pre_value=rows["pre_value"].min(),
        # Two values differ where the least is not the largest; counting them apart would cost as much as all the rest.
        contradictory=(rows["value"].min() != rows["value"].max()).fill_null(False),
        early=(rows["_seconds"].min() < 0).fill_null(False),
        _seconds=rows["_seconds"].max(),
    )
    metrics = found.group_by("experiment", "metric").aggregate(_longest=found["_seconds"].max())
    grid = single.select("experiment", "unit_id", "variant", "assigned_at").inner_join(metrics, "experiment")
    keys = ["experiment", "unit_id", "metric"]
    grid = grid.left_join(found, keys).drop(*(f"{key}_right" for key in keys))
    usable = ~(grid["contradictory"] | grid["early"]).fill_null(True)
    waiting = _moment(shop.as_of).delta(grid["assigned_at"], unit="second")
    window = ibis.greatest(grid["_longest"].fill_null(window_days * _DAY), 0)
    # A value without a date cannot be said to have come early.
    grid = grid.mutate(_open=(waiting < window) & (grid["value"].isnull() | grid["_seconds"].notnull()))
    usable &= ~grid["_open"]
    return grid.select(
        "experiment",
        "metric",
        "variant",
        "unit_id",
        value=ibis.ifelse(usable, grid["value"], ibis.null(_EXACT)),
        pre_value=grid["pre_value"],
        open=grid["_open"],
        contradictory=grid["contradictory"].fill_null(False),
        early=grid["early"].fill_null(False),
        window=grid["_seconds"] / _DAY,
        day=grid["assigned_at"].date(),
    )


def placed_orders(shop: Shop, *, units: ir.Table, window_days: int) -> ir.Table:
    """Grain: an order of a unit in one arm, within its window. Columns experiment, unit_id, variant, open (the window had not
    closed by as_of), seconds (from assignment to order)."""
    _, placed = _units_and_orders(shop, units=units, window_days=window_days)
    seconds = placed["ordered_at"].delta(placed["assigned_at"], unit="second")
    return placed.select("experiment", "unit_id", "variant", "open", seconds=seconds)


def _units_and_orders(shop: Shop, *, units: ir.Table, window_days: int) -> tuple[ir.Table, ir.Table]:
    single = units.filter(units["arms"] == 1).select("experiment", "unit_id", "variant", "assigned_at")
    window = ibis.interval(days=window_days)
    single = single.mutate(open=single["assigned_at"] + window > _moment(shop.as_of))
    orders = (
        net_orders(shop)
        .filter(lambda t: t.customer_id.notnull())
        .select("order_id", "customer_id", "ordered_at", "revenue")
    )
    placed = single.inner_join(orders, single["unit_id"] == orders["customer_id"])
    within = placed["ordered_at"] >= placed["assigned_at"], placed["ordered_at"] < placed["assigned_at"] + window
    return single, placed.filter(*within)


def order_outcomes(shop: Shop, *, units: ir.Table, window_days: int) -> ir.Table:
    """Grain: a metric of a unit in one arm, from orders in [assigned_at, assigned_at + window_days) of that customer.

    Columns as `recorded_outcomes`. Metrics: converted (0 or 1), orders, and revenue where the shop has amounts. Units
    that did not order count as 0 (intent to treat); units whose window had not closed by as_of are open and empty.
    """
    single, placed = _units_and_orders(shop, units=units, window_days=window_days)
    sums = placed.group_by("experiment", "unit_id").aggregate(
        orders=placed.count(), revenue=placed["revenue"].sum(), priced=placed["revenue"].count()
    )
    table = single.left_join(sums, ["experiment", "unit_id"]).drop("experiment_right", "unit_id_right")
    count = table["orders"].fill_null(0)
    # An order without an amount leaves the unit's revenue unknown rather than too small.
    known = table["priced"].fill_null(0) == count
    money = ibis.ifelse(known, table["revenue"].fill_null(0).cast(_EXACT), ibis.null(_EXACT))
    values = {"converted": (count > 0).cast("int64").cast(_EXACT), "orders": count.cast(_EXACT)}
    if _has_money(shop):
        values["revenue"] = money
    parts = [
        table.select(
            "experiment",
            "variant",
            "unit_id",
            "open",
            metric=ibis.literal(name),
            value=ibis.ifelse(table["open"], ibis.null(_EXACT), value),
            pre_value=ibis.null(_EXACT),
            contradictory=ibis.literal(False),
            early=ibis.literal(False),
            window=ibis.literal(float(window_days)),
            day=table["assigned_at"].date(),
        )
        for name, value in values.items()
    ]
    names = (
        "experiment",
        "metric",
        "variant",
        "unit_id",
        "value",
        "pre_value",
        "open",
        "contradictory",
        "early",
        "window",
        "day",
    )
    return ibis.union(*parts).select(*names)


def measured(shop: Shop, *, units: ir.Table, window_days: int) -> ir.Table:
    """The outcomes the shop recorded, else those its orders tell. NotAvailable where it has neither."""
    if shop.has("outcomes"):
        return recorded_outcomes(shop, units=units, window_days=window_days)
    if shop.has("orders", "customer_id"):
        return order_outcomes(shop, units=units, window_days=window_days)
    raise NotAvailable("needs outcomes, or orders with customer_id; this shop has " + ", ".join(shop.audits))


def sums(outcomes: ir.Table, *, by: Sequence[str] = ()) -> ir.Table:
    """Grain: an experiment, metric and arm, and `by`. What differences of means and their adjustment need, and no more.

    Columns n (units with a value), total, squares, cubes; pre_n (of those, units with a pre_value), pre_total,
    pre_squares, cross (value × pre_value), total_with_pre; nonzero, largest, off_binary (values other than 0 and 1),
    missing, open, contradictory, early (units), window_low and window_high (days). Empty values never count in n. Sums
    and squares are exact decimals, cubes are not. Enough for means and proportions; not for ratios or quantiles.
    """
    value, has = outcomes["value"], outcomes["value"].notnull()
    pre = ibis.ifelse(has, outcomes["pre_value"], ibis.null(_EXACT))
    rows = outcomes.mutate(_pre=pre, _float=value.cast("float64"))
    rough = rows["_float"]
    value, pre = rows["value"].cast(_EXACT), rows["_pre"].cast(_EXACT)
    grouped = rows.group_by("experiment", "metric", "variant", *by).aggregate(
        n=value.count(),
        total=value.sum(),
        squares=product(value, value).sum(),
        cubes=(rough * rough * rough).sum(),
        pre_n=pre.count(),
        pre_total=pre.sum(),
        pre_squares=product(pre, pre).sum(),
        cross=product(value, pre).sum(),
        total_with_pre=value.sum(where=pre.notnull()),
        nonzero=(value != 0).sum().fill_null(0),
        largest=rough.max(),
        off_binary=((value != 0) & (value != 1)).sum().fill_null(0),
        missing=(value.isnull() & ~rows["open"]).sum(),
        open=rows["open"].sum(),
        contradictory=rows["contradictory"].sum(),
        early=rows["early"].sum(),
        window_low=rows["window"].min(),
        window_high=rows["window"].max(),
    )
    return grouped.order_by("experiment", "metric", "variant", *by)


def moments(shop: Shop, outcomes: ir.Table, *, by: Sequence[str] = (), cumulated: bool = False) -> pd.DataFrame:
    """One row per experiment, metric, arm and `by`: `sums` as n, mean, var (n − 1), skew3 (third central moment), pre_n, pre_mean,
    pre_var, cov, and the counts.

    A unit without pre_value takes the metric's mean over all arms, which leaves its value as it was. Computed from exact
    sums, so that the last digit does not depend on the order in which an engine adds. `cumulated` adds up along `by`.
    """
    expression = sums(outcomes, by=by)
    # Texts carry a decimal through the door whole; as floats, squares would lose what the variance is made of.
    frame = shop.fetch(expression.mutate(**{name: expression[name].cast("string") for name in _SUMS}))
    exact = {name: [Fraction(text) if isinstance(text, str) else Fraction(0) for text in frame[name]] for name in _SUMS}
    typical = _typical(frame, exact["pre_total"])
    if cumulated:
        arms = frame.groupby(["experiment", "metric", "variant"], sort=False)
        added = ["n", "pre_n", "nonzero", "missing", "open", "cubes"]
        frame[added] = arms[added].cumsum()
        exact = {name: _added(arms.indices.values(), values) for name, values in exact.items()}
    rows = []
    for place, row in enumerate(frame.itertuples(index=False)):
        n, known = int(row.n), int(row.pre_n)
        one = {name: values[place] for name, values in exact.items()}
        m = typical[(row.experiment, row.metric)]
        pre_total = one["pre_total"] + (n - known) * m
        pre_squares = one["pre_squares"] + (n - known) * m * m
        cross = one["cross"] + m * (one["total"] - one["total_with_pre"])
        mean = one["total"] / n if n else Fraction(0)
        third = row.cubes / n - float(3 * mean * one["squares"] / n - 2 * mean**3) if n else math.nan
        rows.append(
            {
                "mean": float(mean) if n else math.nan,
                "var": spread(one["squares"], one["total"], one["total"], n),
                "skew3": third,
                "pre_mean": float(pre_total / n) if n and known else math.nan,
                "pre_var": spread(pre_squares, pre_total, pre_total, n) if known else math.nan,
                "cov": spread(cross, one["total"], pre_total, n) if known else math.nan,
            }
        )
    names = ["mean", "var", "skew3", "pre_mean", "pre_var", "cov"]
    found = pd.DataFrame(rows, columns=names, dtype="float64")
    return pd.concat([frame.drop(columns=[*_SUMS, "cubes"]), found], axis=1)


def product(left: ir.DecimalValue, right: ir.DecimalValue) -> ir.DecimalValue:
    """left × right to the last digit, on every engine.

    DuckDB multiplies 18 by 18 digits into 18, where 100,000 squared would overflow; Spark rounds what may need more than 38.
    """
    return left.cast(_EXACT) * right.cast(_WIDE)


def spread(products: Fraction, left: Fraction, right: Fraction, n: int) -> float:
    """Variance or covariance from a sum of products and the two sums."""
    return float((products - left * right / n) / (n - 1)) if n > 1 else math.nan


def _added(groups: Iterable[NDArray[np.intp]], values: list[Fraction]) -> list[Fraction]:
    """Running sums within each group of places."""
    found = list(values)
    for places in groups:
        for place, total in zip(places, accumulate(values[place] for place in places), strict=True):
            found[place] = total
    return found


def _typical(frame: pd.DataFrame, totals: list[Fraction]) -> dict[tuple[str, str], Fraction]:
    """The mean pre_value of a metric over all arms."""
    keys = list(zip(frame["experiment"], frame["metric"], strict=True))
    sums_, counts = dict.fromkeys(keys, Fraction(0)), dict.fromkeys(keys, 0)
    for key, total, n in zip(keys, totals, frame["pre_n"], strict=True):
        sums_[key] += total
        counts[key] += int(n)
    return {key: sums_[key] / counts[key] if counts[key] else Fraction(0) for key in sums_}


def _has_money(shop: Shop) -> bool:
    lines = shop.has("order_lines", "line_total") or shop.has("order_lines", "unit_price", "quantity")
    return shop.has("orders", "total") or lines


def _moment(day: date) -> ir.TimestampScalar:
    return ibis.timestamp(day.isoformat())
