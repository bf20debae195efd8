"""Outcomes as exact sums and moments, and what sums of one metric cannot tell: ratios, quantiles, values cut back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import accumulate

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from crmlib.analysis.experiments.measures import parts_of
from crmlib.errors import UsageError, nearest
from crmlib.shop.shop import Shop

EXACT = dt.Decimal(18, 4)  # as the shop's tables: sums and sums of squares are exact, the same in every order
LEAST_WITHOUT = 30  # units without a pre_value for which these are a group of their own
CUT = 0.001  # share of a metric's values, over all arms, that is cut back at either end
_WIDE = dt.Decimal(19, 4)
SUMS = ("total", "squares", "total_with_pre", "pre_total", "pre_squares", "cross")
RATIO_SUMS = ("top", "below", "top_squares", "below_squares", "cross")
_CUBES = ("top3", "top2", "below2", "below3")
RATIO_COLUMNS = [
    "experiment", "metric", "variant", "n", "nonzero", "open", "missing", "mean", "top_mean", "below_mean", "top_var",
    "below_var", "cov", "var", "skew3",
]  # fmt: skip
QUANTILE_COLUMNS = [
    "experiment", "metric", "share", "variant", "n", "middle", "low", "high", "low_all", "high_all", "open", "missing",
]  # fmt: skip


def sums(outcomes: ir.Table, *, by: Sequence[str] = ()) -> ir.Table:
    """Grain: an experiment, metric and arm, and `by`. What differences of means and their adjustment need, and no more.

    Columns n (units with a value), total, squares, cubes; pre_n (of those, units with a pre_value), pre_total,
    pre_squares, cross (value × pre_value), total_with_pre; nonzero, largest, off_binary (values other than 0 and 1),
    missing, open, several, early (units), window_low and window_high (days). Empty values never count in n. Sums
    and squares are exact decimals, cubes are not. Enough for means and proportions; not for ratios or quantiles.
    """
    has = outcomes["value"].notnull()
    pre = ibis.ifelse(has, outcomes["pre_value"], ibis.null(EXACT))
    rows = outcomes.mutate(_pre=pre, _float=outcomes["value"].cast("float64"))
    rough = rows["_float"]
    value, pre = rows["value"].cast(EXACT), rows["_pre"].cast(EXACT)
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
        several=rows["several"].sum(),
        early=rows["early"].sum(),
        window_low=rows["window"].min(),
        window_high=rows["window"].max(),
    )
    return grouped.order_by("experiment", "metric", "variant", *by)


def moments(shop: Shop, outcomes: ir.Table, *, by: Sequence[str] = (), cumulated: bool = False) -> pd.DataFrame:
    """How do the outcomes of each experiment, metric and arm (and `by`) lie? A row each, with mean, var and counts.

    `sums` as n, mean, var (n − 1), skew3 (third central moment), pre_n, pre_mean, pre_var, cov. A unit without
    pre_value takes what `_filled` says. Computed from exact sums, so that the last digit does not depend on the order
    in which an engine adds. `cumulated` adds up along `by`.
    """
    expression = sums(outcomes, by=by)
    # Texts carry a decimal through the door whole; as floats, squares would lose what the variance is made of.
    frame = shop.fetch(expression.mutate(**{name: expression[name].cast("string") for name in SUMS}))
    exact = _exact(frame, SUMS)
    typical = _filled(frame, exact)
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
        spreads = spread(pre_squares, pre_total, pre_total, n), spread(cross, one["total"], pre_total, n)
        before = (_over(pre_total, n), *spreads) if known else (math.nan,) * 3
        rows.append((_over(one["total"], n), spread(one["squares"], one["total"], one["total"], n), third, *before))
    names = ["mean", "var", "skew3", "pre_mean", "pre_var", "cov"]
    found = pd.DataFrame(rows, columns=names, dtype="float64")
    return pd.concat([frame.drop(columns=[*SUMS, "cubes"]), found], axis=1)


def product(left: ir.DecimalValue, right: ir.DecimalValue) -> ir.DecimalValue:
    """left × right to the last digit, on every engine.

    DuckDB multiplies 18 by 18 digits into 18, where 100,000 squared would overflow; Spark rounds what may need over 38.
    """
    return left.cast(EXACT) * right.cast(_WIDE)


def spread(products: Fraction, left: Fraction, right: Fraction, n: int) -> float:
    """Variance or covariance from a sum of products and the two sums."""
    return float((products - left * right / n) / (n - 1)) if n > 1 else math.nan


def _over(total: Fraction, size: int | Fraction) -> float:
    return float(total / size) if size else math.nan


def _exact(frame: pd.DataFrame, names: Sequence[str]) -> dict[str, list[Fraction]]:
    """Sums that crossed as texts."""
    return {name: [Fraction(text) if isinstance(text, str) else Fraction(0) for text in frame[name]] for name in names}


def _added(groups: Iterable[NDArray[np.intp]], values: list[Fraction]) -> list[Fraction]:
    """Running sums within each group of places."""
    found = list(values)
    for places in groups:
        for place, total in zip(places, accumulate(values[place] for place in places), strict=True):
            found[place] = total
    return found


def _filled(frame: pd.DataFrame, exact: Mapping[str, list[Fraction]]) -> dict[tuple[str, str], Fraction]:
    """What stands for a missing pre_value, by experiment and metric, over all arms.

    With it the slope of value on pre_value is the regression on the known pre-values and on whether there is one: units
    without a past, such as new customers, differ from the rest. Few of them take the mean, which changes nothing.
    """
    found = {}
    for key, places in frame.groupby(["experiment", "metric"], sort=False).indices.items():
        total, with_pre, pre, squares, cross = (
            sum((exact[name][place] for place in places), Fraction(0))
            for name in ("total", "total_with_pre", "pre_total", "pre_squares", "cross")
        )
        known, units = int(frame["pre_n"].iloc[places].sum()), int(frame["n"].iloc[places].sum())
        mean = pre / known if known else Fraction(0)
        slope = (cross - mean * with_pre, squares - mean * pre)
        found[key] = mean
        if known and units - known >= LEAST_WITHOUT and all(slope):
            gap = (total - with_pre) / (units - known) - with_pre / known
            found[key] = mean + gap * slope[1] / slope[0]
    return found


def read_also(text: str, *, metrics: Sequence[str]) -> tuple[list[tuple[str, str]], list[tuple[str, float]]]:
    """'revenue/orders, revenue@0.95' as ratios and quantiles, each once; plain metrics are compared anyhow.

    Raises UsageError for what is neither, and for a metric there is not.
    """
    ratios, quantiles = [], []
    for part in dict.fromkeys(part.strip() for part in text.split(",") if part.strip()):
        if part in metrics:
            continue
        names = parts_of(part)[1:] or [part]
        for name in names if metrics else ():
            if name.strip() not in metrics:
                raise UsageError(f"no experiment has a metric '{name}'; {nearest(name.strip(), metrics)}")
        if "@" in part:
            try:
                share = float(part.split("@")[1])
            except ValueError:
                share = math.nan
            if not 0 < share < 1:
                raise UsageError(f"quantiles are written as revenue@0.5, with shares between 0 and 1; '{part}' is not")
            quantiles.append((names[0].strip(), share))
        elif len(names) == 2:
            ratios.append((names[0].strip(), names[1].strip()))
    return ratios, quantiles


def ratio_moments(
    shop: Shop, outcomes: ir.Table, *, ratios: Sequence[tuple[str, str]], cut: bool = False
) -> pd.DataFrame:
    """Grain: an experiment, ratio and arm. Over units with both values: n, mean (of all that is above the line over all
    below it), top_mean, below_mean, top_var, below_var, cov, nonzero (units whose lower value is not 0), open, missing;
    var and skew3 of each unit's part in it, (top − mean × below) / below_mean.

    The unit is still what was assigned: a ratio of sums, not the mean of the units' own ratios. With `cut` the units
    with the largest thousandth of either value weigh less, and keep a ratio of their own.
    """
    frames = []
    for top, below in ratios:
        frame = shop.fetch(_ratio_sums(outcomes, top=top, below=below, cut=cut))
        n = frame["n"].astype(int).tolist()
        a, b, aa, bb, ab = _exact(frame, RATIO_SUMS).values()
        means = {"mean": map(_over, a, b), "top_mean": map(_over, a, n), "below_mean": map(_over, b, n)}
        spreads = {"top_var": (aa, a, a, n), "below_var": (bb, b, b, n), "cov": (ab, a, b, n)}
        columns = means | {name: map(spread, *of) for name, of in spreads.items()}
        frame = frame.assign(metric=f"{top}/{below}", **{name: list(values) for name, values in columns.items()})
        frames.append(_parts(frame)[RATIO_COLUMNS])
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=RATIO_COLUMNS)


def _parts(frame: pd.DataFrame) -> pd.DataFrame:
    """With var and skew3 of what each unit adds to the ratio, by the delta method."""
    r, below, a3, a2, b2, b3 = (frame[name].astype(float) for name in ("mean", "below_mean", *_CUBES))
    var = (frame["top_var"] - 2 * r * frame["cov"] + r**2 * frame["below_var"]) / below**2
    cubes = (a3 - 3 * r * a2 + 3 * r**2 * b2 - r**3 * b3) / frame["n"].astype(float)
    return frame.assign(var=var.clip(lower=0), skew3=cubes / below**3)


def _ratio_sums(outcomes: ir.Table, *, top: str, below: str, cut: bool) -> ir.Table:
    keys = ["experiment", "unit_id"]
    upper = outcomes.filter(outcomes["metric"] == top).select(*keys, "variant", "open", top="value")
    lower = outcomes.filter(outcomes["metric"] == below).select(*keys, also_open="open", below="value")
    rows = upper.inner_join(lower, keys)
    rows = rows.mutate(_both=rows["top"].notnull() & rows["below"].notnull(), _waits=rows["open"] | rows["also_open"])
    if cut:
        rows = _weighed(rows)
    a, b, both = rows["top"], rows["below"], rows["_both"]
    x, y = (value.cast("float64") for value in (a, b))
    cubes = dict(zip(_CUBES, (x * x * x, x * x * y, x * y * y, y * y * y), strict=True))
    added = {"top": a, "below": b, "top_squares": product(a, a), "below_squares": product(b, b), "cross": product(a, b)}
    grouped = rows.group_by("experiment", "variant").aggregate(
        n=both.sum(),
        nonzero=(both & (b != 0)).sum(),
        open=rows["_waits"].sum(),
        missing=(~both & ~rows["_waits"]).sum(),
        # As texts, whole, for the same reason as the moments.
        **{name: value.sum(where=both).cast("string") for name, value in added.items()},
        **{name: value.sum(where=both) for name, value in cubes.items()},
    )
    return grouped.order_by("experiment", "variant")


def _weighed(rows: ir.Table) -> ir.Table:
    """Units beyond the largest thousandth of either value brought to its edge, both values by the same factor."""
    sizes = {"top": rows["top"].cast("float64").abs(), "below": rows["below"].cast("float64").abs()}
    edges = rows.group_by("experiment").aggregate(**{f"_{name}": x.quantile(1 - CUT) for name, x in sizes.items()})
    rows = rows.inner_join(edges, "experiment")
    # An edge of 0, where nearly nobody has a value, would cut away all there is.
    parts = [
        ibis.ifelse((rows[f"_{name}"] > 0) & (size > rows[f"_{name}"]), rows[f"_{name}"] / size, 1.0)
        for name, size in ((name, rows[name].cast("float64").abs()) for name in sizes)
    ]
    weight = ibis.least(*parts)
    return rows.mutate(**{name: (rows[name].cast("float64") * weight).cast(EXACT) for name in sizes})


def order_statistics(
    shop: Shop,
    outcomes: ir.Table,
    *,
    quantiles: Sequence[tuple[str, float]],
    confidence: float,
    arms: Mapping[str, int],
) -> pd.DataFrame:
    """Grain: an experiment, quantile and arm. Columns experiment, metric ('revenue@0.95'), share, variant, n, middle,
    low, high, low_all, high_all, open, missing.

    Ranked in the engine over all units of an arm, zeros too; five values cross for each arm. `middle` is the smallest
    value that at least `share` of the units do not exceed, [low, high] the distribution-free interval between two order
    statistics (David and Nagaraja 2003, section 7.1, ranks by the normal approximation). low_all and high_all hold at
    the level by which all of an experiment's comparisons hold together (Bonferroni); `arms` counts its arms.
    """
    frames = []
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    several = {name: count for name, count in arms.items() if count > 2}
    joint = {name: float(stats.norm.ppf(1 - (1 - confidence) / (count - 1) / 2)) for name, count in several.items()}
    for metric, share in quantiles:
        rows = outcomes.filter(outcomes["metric"] == metric)
        arm = ["experiment", "variant"]
        value = rows["value"].cast("float64")
        rows = rows.mutate(_value=value, _n=value.count().over(ibis.window(group_by=arm)))
        empty = rows["_value"].isnull()
        place = ibis.row_number().over(ibis.window(group_by=[*arm, empty], order_by=[rows["_value"]]))
        rows = rows.mutate(_rank=ibis.ifelse(empty, 0, place + 1))
        n = rows["_n"].cast("float64")
        error = (n * share * (1 - share)).sqrt()
        z_all = rows["experiment"].cases(*joint.items(), else_=z) if joint else ibis.literal(z)
        # A share such as 0.95 is not exact in binary: 0.95 × 100 must be rank 95.
        ranks = {"middle": ibis.greatest((n * share - 1e-9).ceil(), 1)}
        for end, by in (("", ibis.literal(z)), ("_all", z_all)):
            ranks[f"low{end}"] = ibis.greatest((n * share - error * by).round(), 1)
            ranks[f"high{end}"] = ibis.least((n * share + error * by).round() + 1, n)
        rows = rows.mutate(**{f"_{name}": rank for name, rank in ranks.items()})
        found = rows.group_by(*arm).aggregate(
            n=rows["_value"].count(),
            open=rows["open"].sum(),
            missing=(rows["_value"].isnull() & ~rows["open"]).sum(),
            **{name: rows["_value"].max(where=rows["_rank"] == rows[f"_{name}"]) for name in ranks},
        )
        frame = shop.fetch(found.order_by(*arm))
        frames.append(frame.assign(metric=f"{metric}@{share:g}", share=share)[QUANTILE_COLUMNS])
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=QUANTILE_COLUMNS)


def cut_back(outcomes: ir.Table) -> ir.Table:
    """The same outcomes, values beyond the outermost thousandth of their metric, over all arms, set to its edge."""
    value = outcomes["value"].cast("float64")
    edges = outcomes.group_by("experiment", "metric").aggregate(
        _least=value.quantile(CUT), _most=value.quantile(1 - CUT)
    )
    rows = outcomes.inner_join(edges, ["experiment", "metric"])
    inside = ibis.greatest(ibis.least(rows["value"].cast("float64"), rows["_most"]), rows["_least"])
    kept = ibis.ifelse(rows["value"].isnull(), ibis.null(EXACT), inside.cast(EXACT))
    return rows.mutate(value=kept).drop("_least", "_most")
