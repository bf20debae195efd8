"""All pairs of frequent items at once: how often they meet, and how often they would by chance, overall and within
groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from crmlib import figures, formats
from crmlib.analysis.baskets import mining
from crmlib.analysis.baskets.chance import Chance, SizeClasses, fit_size_classes
from crmlib.analysis.baskets.clusters import by_customer
from crmlib.analysis.baskets.facts import Baskets, Floats, Ints
from crmlib.errors import UsageError
from crmlib.findings import Chart

SHOWN = 10  # pairs open on the page
MOST_ITEMS = 6_000  # a table of all pairs of more would not fit beside the rest


@dataclass(frozen=True)
class Pairs:
    """Every pair of frequent items, whether it met or not. Arrays have one entry a pair, `first` < `second`.

    first, second  positions of the items
    count          baskets that hold both
    expected       baskets that would, by chance given basket size
    within         the same with each month held to its own totals; equal to `expected` where there are no days
    at_home        baskets that would if each customer filled his own baskets at random with what he buys. Large and
                   small baskets are taken for alike here, so it is low rather than high
    """

    first: Ints
    second: Ints
    count: Ints
    expected: Floats
    within: Floats
    at_home: Floats

    def __len__(self) -> int:
        return len(self.first)


def all_pairs(baskets: Baskets, *, chance: SizeClasses, least: int) -> Pairs:
    """Count and chance for all pairs of items in at least `least` baskets. UsageError where they are too many to lay
    out."""
    items = np.flatnonzero(mining.column_sums(baskets.held) >= least)
    if len(items) > MOST_ITEMS:
        raise UsageError(
            f"{len(items):,} items are in {least:,} baskets or more and {MOST_ITEMS:,} can be compared with each "
            f"other: raise min_support (now {baskets.min_support:g}) or take level='category'"
        )
    above = np.triu_indices(len(items), k=1)
    columns = sparse.csr_array(baskets.held[:, items])
    count = (columns.T @ columns).toarray()[above].astype(np.int64)
    expected = pair_table(chance, items)[above]
    within = expected
    if labels := months_known(baskets):
        by_month = np.zeros((len(items), len(items)))
        for month, rows in labels.items():
            by_month += pair_table(fit_size_classes(baskets.rows(rows, period=month)), items)
        within = by_month[above]
    who = by_customer(baskets)
    bought = (who @ columns).toarray()
    at_home = (bought.T @ (bought / np.asarray(who.sum(axis=1)).reshape(-1, 1)))[above]
    return Pairs(
        first=items[above[0]], second=items[above[1]], count=count, expected=expected, within=within, at_home=at_home
    )


def pair_table(chance: SizeClasses, items: Ints) -> Floats:
    """Items × items: baskets that would hold both by chance, given basket size. The diagonal means nothing."""
    answer = np.zeros((len(items), len(items)))
    for model, totals in zip(chance.models, chance.totals, strict=True):
        answer += _expected(model, totals[items])
    return np.maximum(answer, 0.0, out=answer)


def _expected(model: Chance, totals: Ints) -> Floats:
    """Σ over sizes of N [q_i q_j − q_i (1 − q_i) q_j (1 − q_j) / spread], as two matrix products."""
    q = np.zeros((len(totals), len(model.sizes)))
    q[totals > 0] = model.rows(totals[totals > 0])
    fits = model.baskets * (model.sizes >= 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        taken = np.where(model.spread > 0, fits / model.spread, 0.0)
    spread = q * (1 - q)
    return np.asarray((q * fits) @ q.T - (spread * taken) @ spread.T)


def months_known(baskets: Baskets) -> dict[str, Ints]:
    """The rows of each month; empty where the shop has no days."""
    return _rows_by(baskets.months, baskets=baskets, prefix="")


def group_rows(baskets: Baskets, name: str) -> dict[str, Ints]:
    """The rows of each group of `baskets.groups`, by the name its totals have in `profiles`."""
    return _rows_by(baskets.groups[name], baskets=baskets, prefix=f"{name}: ")


def _rows_by(labels: pd.Series[str], *, baskets: Baskets, prefix: str) -> dict[str, Ints]:
    known = {period for period, _ in baskets.profiles}
    rows = {prefix + str(label): np.flatnonzero((labels == label).to_numpy()) for label in sorted(set(labels.dropna()))}
    # Baskets without an item at this level have no totals, and no pairs either.
    rows = {label: here for label, here in rows.items() if label in known or (baskets.sizes[here] > 0).any()}
    return rows if rows and set(rows) <= known else {}


def expected_by(rows: dict[str, Ints], sets: Ints, *, baskets: Baskets) -> pd.DataFrame:
    """What chance would give each pair within each of these groups of baskets: a row a group, a column a pair."""
    parts = {
        label: fit_size_classes(baskets.rows(here, period=label)).expected(sets).sum(axis=0)
        for label, here in rows.items()
    }
    return pd.DataFrame.from_dict(parts, orient="index", columns=range(len(sets)))


def times_chart(
    frame: pd.DataFrame, *, what: str, value: str = "times", strong: str = "", caption: str = "", table: Any = None
) -> Chart:
    """The first ten pairs (column name) by how many times as often as expected they meet: `value`, value_low,
    value_high."""
    return figures.dots(
        frame, label="name", value=value, low=f"{value}_low", high=f"{value}_high", what=what, form=formats.multiple,
        reference=1, log=True, strong=strong, caption=caption, table=table, rows=SHOWN,
    )  # fmt: skip
