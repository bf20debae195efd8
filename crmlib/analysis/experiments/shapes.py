"""What sums of one metric cannot tell: ratios of two, quantiles, and means with the largest values cut back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pandas as pd
from scipy import stats

from crmlib.analysis.experiments.facts import product, spread
from crmlib.errors import UsageError, nearest

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

CUT = 0.001  # share of a metric's values, over all arms, that is cut back at either end
_SUMS = ("top", "below", "top_squares", "below_squares", "cross")


def read_ratios(text: str, *, metrics: Sequence[str]) -> list[tuple[str, str]]:
    """'revenue/orders, margin/orders' as pairs. UsageError for what is no ratio or names a metric there is not."""
    found = []
    for part in _parts(text):
        top, slash, below = (piece.strip() for piece in part.partition("/"))
        if not (top and slash and below):
            raise UsageError(f"ratios are written as revenue/orders; '{part}' is not")
        found.append((_known(top, metrics), _known(below, metrics)))
    return found


def read_quantiles(text: str, *, metrics: Sequence[str]) -> list[tuple[str, float]]:
    """'revenue@0.5, revenue@0.95' as pairs. UsageError for what is no quantile or names a metric there is not."""
    found = []
    for part in _parts(text):
        metric, _, share = part.rpartition("@")
        try:
            q = float(share)
        except ValueError:
            q = math.nan
        if not metric.strip() or not 0 < q < 1:
            raise UsageError(f"quantiles are written as revenue@0.5, with shares between 0 and 1; '{part}' is not")
        found.append((_known(metric.strip(), metrics), q))
    return found


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _known(metric: str, metrics: Sequence[str]) -> str:
    if metrics and metric not in metrics:
        raise UsageError(f"no experiment has a metric '{metric}'; {nearest(metric, metrics)}")
    return metric


def ratio_moments(shop: Shop, outcomes: ir.Table, *, ratios: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Grain: an experiment, ratio and arm. Over units with both values: n, mean (of all that is above the line over all
    below it), top_mean, below_mean, top_var, below_var, cov, nonzero (units whose lower value is not 0), open, missing.

    The unit is still what was assigned: a ratio of sums, not the mean of the units' own ratios.
    """
    names = ["experiment", "metric", "variant", "n", "nonzero", "open", "missing", "mean", "top_mean", "below_mean",
             "top_var", "below_var", "cov"]  # fmt: skip
    frames = [pd.DataFrame(columns=names)]
    for top, below in ratios:
        frame = shop.fetch(_ratio_sums(outcomes, top=top, below=below))
        rows = []
        for row in frame.to_dict("records"):
            n = int(row["n"])
            exact = {name: Fraction(row[name]) if isinstance(row[name], str) else Fraction(0) for name in _SUMS}
            rows.append({key: row[key] for key in ("experiment", "variant", "n", "nonzero", "open", "missing")} | {
                "metric": f"{top}/{below}",
                "mean": float(exact["top"] / exact["below"]) if exact["below"] else math.nan,
                "top_mean": float(exact["top"] / n) if n else math.nan,
                "below_mean": float(exact["below"] / n) if n else math.nan,
                "top_var": spread(exact["top_squares"], exact["top"], exact["top"], n),
                "below_var": spread(exact["below_squares"], exact["below"], exact["below"], n),
                "cov": spread(exact["cross"], exact["top"], exact["below"], n),
            })  # fmt: skip
        if rows:
            frames.append(pd.DataFrame(rows)[names])
    return pd.concat(frames[1:], ignore_index=True) if len(frames) > 1 else frames[0]


def _ratio_sums(outcomes: ir.Table, *, top: str, below: str) -> ir.Table:
    keys = ["experiment", "unit_id"]
    upper = outcomes.filter(outcomes["metric"] == top).select(*keys, "variant", "open", _top="value")
    lower = outcomes.filter(outcomes["metric"] == below).select(*keys, also_open="open", _below="value")
    rows = upper.inner_join(lower, keys)
    both = rows["_top"].notnull() & rows["_below"].notnull()
    rows = rows.mutate(
        _both=both,
        _waits=rows["open"] | rows["also_open"],
        top=rows["_top"],
        below=rows["_below"],
    )
    a, b, both = rows["top"], rows["below"], rows["_both"]
    squares = {"top_squares": product(a, a), "below_squares": product(b, b)}
    sums = {"top": a, "below": b, **squares, "cross": product(a, b)}
    grouped = rows.group_by("experiment", "variant").aggregate(
        n=both.sum(),
        nonzero=(both & (b != 0)).sum(),
        open=rows["_waits"].sum(),
        missing=(~both & ~rows["_waits"]).sum(),
        # As texts, whole, for the same reason as the moments.
        **{name: value.sum(where=both).cast("string") for name, value in sums.items()},
    )
    return grouped.order_by("experiment", "variant")


def order_statistics(
    shop: Shop,
    outcomes: ir.Table,
    *,
    quantiles: Sequence[tuple[str, float]],
    confidence: float,
    arms: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """Grain: an experiment, quantile and arm. Columns experiment, metric ('revenue@0.95'), share, variant, n, middle, low,
    high, low_all, high_all, open, missing.

    Ranked in the engine over all units of an arm, zeros too; five values cross for each arm. `middle` is the smallest
    value that at least `share` of the units do not exceed, [low, high] the distribution-free interval between two order
    statistics (David and Nagaraja 2003, section 7.1, ranks by the normal approximation). low_all and high_all hold at the
    level by which all of an experiment's comparisons hold together (Bonferroni); `arms` counts each experiment's arms.
    """
    names = [
        "experiment",
        "metric",
        "share",
        "variant",
        "n",
        "middle",
        "low",
        "high",
        "low_all",
        "high_all",
        "open",
        "missing",
    ]
    frames = []
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    several = {name: count for name, count in (arms or {}).items() if count > 2}
    joint = {name: float(stats.norm.ppf(1 - (1 - confidence) / (count - 1) / 2)) for name, count in several.items()}
    for metric, share in quantiles:
        rows = outcomes.filter(outcomes["metric"] == metric)
        value = rows["value"].cast("float64")
        arm = ibis.window(group_by=["experiment", "variant"])
        rows = rows.mutate(_value=value, _n=value.count().over(arm))
        place = ibis.row_number().over(
            ibis.window(group_by=["experiment", "variant", rows["_value"].isnull()], order_by=[rows["_value"]])
        )
        rows = rows.mutate(_rank=ibis.ifelse(rows["_value"].isnull(), 0, place + 1))
        n = rows["_n"].cast("float64")
        error = (n * share * (1 - share)).sqrt()
        z_all = rows["experiment"].cases(*joint.items(), else_=z) if joint else ibis.literal(z)
        # A share such as 0.95 is not exact in binary: 0.95 × 100 must be rank 95.
        middle = ibis.greatest((n * share - 1e-9).ceil(), 1)
        ranks = {"_middle": middle}
        for end, by in (("", ibis.literal(z)), ("_all", z_all)):
            ranks[f"_low{end}"] = ibis.greatest((n * share - error * by).round(), 1)
            ranks[f"_high{end}"] = ibis.least((n * share + error * by).round() + 1, n)
        rows = rows.mutate(**ranks)
        found = rows.group_by("experiment", "variant").aggregate(
            n=rows["_value"].count(),
            open=rows["open"].sum(),
            missing=(rows["_value"].isnull() & ~rows["open"]).sum(),
            **{name.removeprefix("_"): rows["_value"].max(where=rows["_rank"] == rows[name]) for name in ranks},
        )
        frame = shop.fetch(found.order_by("experiment", "variant"))
        frames.append(frame.assign(metric=f"{metric}@{share:g}", share=share)[names])
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=names)


def cut_back(outcomes: ir.Table) -> ir.Table:
    """The same outcomes, with values beyond the outermost thousandth of their metric, over all arms, set to its edge."""
    value = outcomes["value"].cast("float64")
    edges = outcomes.group_by("experiment", "metric").aggregate(
        _least=value.quantile(CUT), _most=value.quantile(1 - CUT)
    )
    rows = outcomes.inner_join(edges, ["experiment", "metric"])
    inside = ibis.greatest(ibis.least(rows["value"].cast("float64"), rows["_most"]), rows["_least"])
    kept = ibis.ifelse(rows["value"].isnull(), ibis.null(dt.Decimal(18, 4)), inside.cast(dt.Decimal(18, 4)))
    return rows.mutate(value=kept).drop("_least", "_most")
