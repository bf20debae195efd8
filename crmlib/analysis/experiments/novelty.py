"""Does an effect wear off with the days since a unit first saw the change? Asked of orders, which say on which day they came."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib.analysis.experiments.checks import Checks
from crmlib.analysis.experiments.effects import Effect
from crmlib.analysis.experiments.facts import Facts, assigned_units, placed_orders
from crmlib.analysis.experiments.results import Results, Rule, comparison

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

MOST_POINTS = 14  # of the curve; longer windows are told in steps of several days
SINCE = ["experiment", "variant", "control", "first_day", "last_day", "n", "n_control", "effect", "low", "high"]
Floats = TypeVar("Floats", float, NDArray[np.float64])
Change = tuple[object, ...]  # experiment, variant, what, value, p_value


def since_seen(
    shop: Shop, facts: Facts, checks: Checks, results: Results
) -> tuple[pd.DataFrame, list[tuple[object, ...]]]:
    """The effect on a unit's orders a day by the days since it first saw the change, and its early less its late days.

    Only units whose whole window has closed, so that every point is of the same ones. The change is tested by each
    unit's own contrast of the two halves of its window: the days of one unit are no strangers to each other, and points of
    the curve must not be compared as if they were. Grain that crosses: an experiment, arm and day since.
    """
    kept = [name for name in results.primary if not checks.is_blocked(name, "") and not results.is_waiting(name)]
    curve: list[Change] = []
    changes: list[Change] = []
    if facts.source == "orders" and kept:
        days, first = facts.window_days, facts.window_days // 2
        step = math.ceil(days / MOST_POINTS)
        placed = placed_orders(shop, units=shop.keep(assigned_units(shop)), window_days=days).filter(lambda t: ~t.open)
        points, halves = shop.fetch(day_sums(placed, step=step)), shop.fetch(half_sums(placed, first=first))
        for name in kept:
            closed = facts.moments[(facts.moments["experiment"] == name) & (facts.moments["metric"] == "orders")]
            sizes = closed.set_index("variant")["n"].astype(int).to_dict()
            for arm in sorted(set(sizes) - {checks.controls[name]}):
                pair = {side: sizes.get(side, 0) for side in (arm, checks.controls[name])}
                if min(pair.values()) < 1:
                    continue
                curve += _curve(
                    points[points["experiment"] == name], pair, days=days, step=step, level=results.confidence
                )
                change = _contrast(
                    halves[halves["experiment"] == name], pair, first=first, late=days - first, level=results.confidence
                )
                if change is not None and math.isfinite(change.p_value):
                    changes.append((name, arm, "since first seen", change.effect, change.p_value))
    return pd.DataFrame(curve, columns=SINCE), changes


def day_sums(placed: ir.Table, *, step: int) -> ir.Table:
    """Grain: an experiment, arm and step of days since assignment. Columns nonzero (units that ordered in it), total, squares."""
    keys = ["experiment", "variant", "since"]
    rows = placed.mutate(since=(placed["seconds"] // (86_400 * step)).cast("int64"))
    each = rows.group_by(*keys, "unit_id").aggregate(orders=rows.count())
    sums = each.group_by(*keys).aggregate(
        nonzero=each.count(), total=each["orders"].sum(), squares=(each["orders"] * each["orders"]).sum()
    )
    return sums.order_by(*keys)


def half_sums(placed: ir.Table, *, first: int) -> ir.Table:
    """Grain: an experiment and arm. Sums, squares and products of each unit's orders in its `first` days and after them."""
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
    """Mean and variance over `n` units of orders a day in the first days less those in the later ones, from `half_sums`."""
    total = row["early"] / first - row["late"] / late
    squares = row["early2"] / first**2 + row["late2"] / late**2 - 2 * row["both"] / (first * late)
    return total / n, (squares - total**2 / n) / (n - 1)


def _curve(points: pd.DataFrame, sizes: dict[str, int], *, days: int, step: int, level: float) -> list[Change]:
    arm, control = sizes
    known = points.set_index(["variant", "since"])
    found: list[Change] = []
    for place in range(math.ceil(days / step)):
        first, last = place * step + 1, min(days, (place + 1) * step)
        length = last - first + 1
        rows = []
        for side, n in sizes.items():
            sums = (
                known.loc[(side, place)] if (side, place) in known.index else {"nonzero": 0, "total": 0, "squares": 0}
            )
            variance = (sums["squares"] - sums["total"] ** 2 / n) / (n - 1) if n > 1 else math.nan
            rows.append(_moments(n, sums["nonzero"], sums["total"] / n / length, variance / length**2))
        effect = comparison(*rows, binary=False, rule=_rule(level))
        if effect is not None:
            found.append((points["experiment"].iloc[0], arm, control, first, last, sizes[arm], sizes[control], effect.effect, effect.low, effect.high))  # fmt: skip
    return found


def _contrast(halves: pd.DataFrame, sizes: dict[str, int], *, first: int, late: int, level: float) -> Effect | None:
    known = halves.set_index("variant")
    if not first or min(sizes.values()) < 2 or any(side not in known.index for side in sizes):
        return None
    rows = [
        _moments(n, known.loc[side, "nonzero"], *contrast_of(known.loc[side], n, first=first, late=late))
        for side, n in sizes.items()
    ]
    return comparison(*rows, binary=False, rule=_rule(level))


def _moments(n: int, nonzero: float, mean: float, variance: float) -> pd.Series:
    return pd.Series({"n": n, "nonzero": nonzero, "mean": mean, "var": variance, "pre_n": 0, "pre_mean": math.nan,
                      "pre_var": math.nan, "cov": math.nan})  # fmt: skip


def _rule(level: float) -> Rule:
    return Rule(level=level, reading="fixed", planned=1)
