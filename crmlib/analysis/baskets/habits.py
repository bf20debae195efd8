"""Do two items meet more often than the same customers' habits of the month alone would have it?

Who buys both milk and bread on most trips has them together on many, and nothing goes with anything. So what each
customer bought in a month is dealt out anew over the baskets of that month, larger baskets getting more; what two items
meet beyond that is no habit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse
from scipy import stats as distributions

from crmlib import stats
from crmlib.analysis.baskets.facts import Baskets, Floats, Ints, Matrix
from crmlib.analysis.baskets.mining import Itemset, cells, column_sums, together

_ROUNDS = 60
_LAST_STEPS = 20  # of Newton, in the logarithm of x
_BASKETS = 20_000  # dealt out at a time
_TESTED = 0.5  # of a pair's baskets, that must lie beside others of the same customer and month


@dataclass(frozen=True)
class Trips:
    """The baskets that lie beside others of the same customer and month, month by month of each customer.

    rows   their positions
    group  which customer's month each is of, from 0
    sizes  items in each; more of them get more of what is dealt out
    """

    rows: Ints
    group: Ints
    sizes: Floats

    @property
    def number(self) -> Ints:
        """Baskets in the same customer's month, for each."""
        return np.bincount(self.group)[self.group] if len(self.group) else self.group


def trips(baskets: Baskets) -> Trips:
    """Baskets of known customers that have another in the same month."""
    known = np.flatnonzero((baskets.sizes > 0) & baskets.months.notna().to_numpy())
    month = pd.factorize(baskets.months.iloc[known])[0]
    code = np.unique(baskets.customers[known] * (int(month.max(initial=0)) + 1) + month, return_inverse=True)[1]
    several = np.bincount(code, minlength=1)[code] > 1
    order = np.argsort(code[several], kind="stable")
    rows = known[several][order]
    group = np.unique(code[several][order], return_inverse=True)[1].astype(np.int64)
    return Trips(rows=rows, group=group, sizes=baskets.sizes[rows].astype(float))


def dealt(held: Matrix, of: Trips) -> Matrix:
    """Baskets × items: the chance that the item is in the basket, given how many of the month's baskets hold it.

    x y / (1 + x y) with x such that the chances of a month add up to what was bought, y such that those of a basket add
    up to its size. Items that are not carried fill baskets too, as if each were bought once a month.
    """
    held = sparse.csc_array(held)
    months = int(of.group.max(initial=-1)) + 1
    into = sparse.csr_array((np.ones(len(of.rows)), (of.group, np.arange(len(of.rows)))), shape=(months, len(of.rows)))
    bought = sparse.csc_array(into @ held)
    start = np.argsort(of.group, kind="stable")
    first = np.searchsorted(of.group[start], np.arange(months))
    length = np.bincount(of.group, minlength=months)
    # One entry for each basket of each month in which an item was bought.
    month, total = bought.indices, bought.data.astype(float)
    each = length[month]
    entry = np.repeat(np.arange(len(month)), each)
    ends = np.cumsum(each)
    row = start[np.repeat(first[month], each) + np.arange(len(entry)) - np.repeat(ends - each, each)]
    full, others = total >= each, of.sizes - np.asarray(held.sum(axis=1)).ravel()
    rest: Floats = np.maximum(np.bincount(of.group, weights=others, minlength=months), 0.0)
    fixed = np.bincount(row, weights=full[entry].astype(float), minlength=len(of.rows))
    y: Floats = of.sizes / np.bincount(of.group, weights=of.sizes, minlength=months)[of.group]
    x, z = total.copy(), np.ones(months)
    for _ in range(_ROUNDS):
        odds = x[entry] * y[row]
        sums = np.bincount(entry, weights=odds / (1 + odds), minlength=len(month))
        x = np.where(full, x, x * total / np.maximum(sums, 1e-12))
        once = z[of.group] * y
        z = z / np.maximum(np.bincount(of.group, weights=once / (1 + once), minlength=months), 1e-12)
        odds, once = x[entry] * y[row], z[of.group] * y
        dealt_out = np.where(full[entry], 0.0, odds / (1 + odds))
        filled: Floats = np.bincount(row, weights=dealt_out, minlength=len(of.rows)) + rest[of.group] * once / (
            1 + once
        )
        y = np.where(filled > 0, y * np.maximum(of.sizes - fixed, 1e-9) / np.maximum(filled, 1e-12), y)
    # What was bought in a month is dealt out whole, whatever the last step left of the sizes.
    for _ in range(_LAST_STEPS):
        q = x[entry] * y[row] / (1 + x[entry] * y[row])
        sums, slope = (np.bincount(entry, weights=part, minlength=len(month)) for part in (q, q * (1 - q)))
        x = np.where(full, x, x * np.exp(np.clip((total - sums) / np.maximum(slope, 1e-12), -1, 1)))
    odds = x[entry] * y[row]
    q = np.where(full[entry], 1.0, odds / (1 + odds))
    item = np.repeat(np.repeat(np.arange(held.shape[1]), np.diff(bought.indptr)), each)
    return sparse.csc_array((q, (row, item)), shape=held.shape)


def within_habits(pairs: list[Itemset], baskets: Baskets, *, rate: float) -> pd.DataFrame:
    """One row a pair: count_in_habits and expected_in_habits (baskets beside others of the same customer and month, and
    what habits alone give there), times_in_habits with its range, q_in_habits, beyond_habits.

    A pair most of whose baskets stand alone in their customer's month is left open: no habit could have made it.
    """
    of = trips(baskets)
    first, second = (np.array([pair[side] for pair in pairs], dtype=np.int64) for side in (0, 1))
    held = sparse.csr_array(baskets.held)[of.rows]
    expected, variance = np.zeros(len(pairs)), np.zeros(len(pairs))
    for piece in _pieces(of):
        some = Trips(of.rows[piece], np.unique(of.group[piece], return_inverse=True)[1], of.sizes[piece])
        mean, scatter = _dealt_pairs(held[piece], some, first, second)
        expected, variance = expected + mean, variance + scatter
    count = column_sums(together(sparse.csc_array(held), pairs))
    total = column_sums(together(baskets.held, pairs))
    se = np.sqrt(np.maximum(variance, 1e-12))
    tested = (count >= _TESTED * total) & (variance > 0)
    # Half a basket for counts being whole.
    p = np.where(tested, distributions.norm.sf((count - 0.5 - expected) / se), np.nan)
    q_value = np.full(len(pairs), np.nan)
    q_value[tested] = stats.adjust(p[tested], method="fdr_bh")
    with np.errstate(divide="ignore", invalid="ignore"):
        times, reach = count / expected, 1.96 * se / expected
    return pd.DataFrame(
        {
            "count_in_habits": count,
            "expected_in_habits": expected,
            "times_in_habits": np.where(tested, times, np.nan),
            "times_low_in_habits": np.where(tested, np.maximum(times - reach, 0.0), np.nan),
            "times_high_in_habits": np.where(tested, times + reach, np.nan),
            "q_in_habits": q_value,
            "beyond_habits": ~(q_value > rate),
        }
    )


def _pieces(of: Trips) -> list[slice]:
    """Whole months of customers, so many baskets at a time."""
    edges = np.flatnonzero(np.diff(of.group, prepend=-1) > 0)
    if not len(edges):
        return []
    starts = [int(edges[np.searchsorted(edges, at)]) for at in range(0, len(of.rows), _BASKETS) if at <= edges[-1]]
    starts = sorted(set(starts))
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(of.rows)], strict=True)]


def _dealt_pairs(held: Matrix, of: Trips, first: Ints, second: Ints) -> tuple[Floats, Floats]:
    """Baskets that would hold both of each pair, and by how much these vary. Sizes are fixed (see `chance`)."""
    q = dealt(held, of)
    spread = q.copy()
    spread.data = spread.data * (1 - spread.data)
    room = np.asarray(spread.sum(axis=1)).ravel()
    number = of.number.astype(float)
    # What an item is dealt in a month is fixed too: of so few baskets one less is free.
    taken = sparse.diags_array(np.where(room > 0, 1 / np.where(room > 0, room, 1.0), 0.0) * (number - 1) / number)
    weight = sparse.diags_array(number / (number - 1))
    mean = sparse.csr_array(q.T @ q) - sparse.csr_array(spread.T @ (taken @ spread))
    scatter = sparse.csr_array(spread.T @ (weight @ spread))
    return cells(mean, first, second), cells(scatter, first, second)
