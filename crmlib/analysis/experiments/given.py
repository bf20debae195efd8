"""Results that another tool added up: sums by arm are all there is, and all that a difference of means needs."""

from __future__ import annotations

import math

import pandas as pd

from crmlib.errors import DataError, NotEnoughData, UsageError, nearest
from crmlib.shop.shop import Shop

GIVEN = "results"
_NOTHING = ("pre_n", "missing", "open", "several", "early")
_UNKNOWN = ("window_low", "window_high", "pre_mean", "pre_var", "cov")
_MOST = 10_000


def given_results(shop: Shop, *, experiment: str = "") -> pd.DataFrame:
    """The table of results, one row an experiment, metric and arm.

    Raises NotEnoughData where it is empty, UsageError for an experiment that is not there, DataError for an arm without
    units, or with neither conversions nor sum and sum_of_squares that could be of its units.
    """
    table = shop.table(GIVEN)
    rows = shop.fetch(table.order_by("experiment", "metric", "variant"), max_rows=_MOST)
    if rows.empty:
        raise NotEnoughData(f"no experiment had ended before {shop.as_of}: needs results")
    if experiment and experiment not in set(rows["experiment"]):
        raise UsageError(f"there is no experiment '{experiment}'; {nearest(experiment, set(rows['experiment']))}")
    rows = rows[rows["experiment"] == experiment] if experiment else rows
    for row in rows.itertuples():
        where = f"results of {row.experiment}, {row.metric}, {row.variant}"
        if not (row.n > 0 and float(row.n).is_integer()):
            raise DataError(f"{where}: n must be the number of units, not {row.n:g}")
        if row.conversions == row.conversions:
            if not 0 <= row.conversions <= row.n:
                raise DataError(f"{where}: {row.conversions:g} conversions of {row.n:g} units cannot be")
        elif not row.sum_of_squares * row.n >= row.sum**2 * (1 - 1e-9):
            raise DataError(f"{where} needs conversions, or sum and sum_of_squares, which is at least sum² / n")
    return rows.reset_index(drop=True)


def arms_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Experiment, variant, units (of the metric that most have), first_at, last_at; empty where no day is given."""
    each = rows.groupby(["experiment", "variant"], as_index=False)
    arms = each.agg(units=("n", "max"), first_at=("started_at", "min"), last_at=("ended_at", "max"))
    return arms.astype({"units": int, "first_at": "datetime64[us]", "last_at": "datetime64[us]"})


def moments_of(rows: pd.DataFrame) -> pd.DataFrame:
    """What `moments.moments` says, as far as sums do: the largest value and its skewness are not known."""
    binary = rows["conversions"].notna()
    n, total = rows["n"], rows["conversions"].where(binary, rows["sum"])
    mean = total / n
    squares = rows["conversions"].where(binary, rows["sum_of_squares"])
    spread = ((squares - total * mean) / (n - 1).where(n > 1)).clip(lower=0)
    return rows[["experiment", "metric", "variant"]].assign(
        n=n.astype(int), **dict.fromkeys(_NOTHING, 0), **dict.fromkeys(_UNKNOWN, math.nan),
        nonzero=total.where(binary, n).astype(int), largest=binary.map({True: 1.0, False: math.nan}),
        off_binary=(~binary).astype(int), mean=mean, var=spread,
        skew3=(mean * (1 - mean) * (1 - 2 * mean)).where(binary, 0.0),
    )  # fmt: skip
