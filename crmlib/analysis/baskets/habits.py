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
from crmlib.analysis.baskets.mining import Itemset, column_sums, together

_ROUNDS = 30
_TESTED = 0.5  # of a pair's baskets, that must lie beside others of the same customer and month


@dataclass(frozen=True)
class Trips:
    """The baskets that lie beside others of the same customer and month.

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
    rows = known[several]
    group = np.unique(code[several], return_inverse=True)[1].astype(np.int64)
    return Trips(rows=rows, group=group, sizes=baskets.sizes[rows].astype(float))


def dealt(held: Matrix, of: Trips) -> Matrix:
    """Baskets × items: the chance that the item is in the basket, given how many of the month's baskets hold it.

    x y / (1 + x y) with y the basket's size and x such that the chances of a month add up to what was bought.
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
    y, full = of.sizes[row], total >= each
    x = total / np.maximum(np.bincount(entry, weights=y, minlength=len(month)), 1e-12)
    for _ in range(_ROUNDS):
        odds = x[entry] * y
        sums = np.bincount(entry, weights=odds / (1 + odds), minlength=len(month))
        x = np.where(full, x, x * total / np.maximum(sums, 1e-12))
    odds = x[entry] * y
    q = np.where(full[entry], 1.0, odds / (1 + odds))
    item = np.repeat(np.repeat(np.arange(held.shape[1]), np.diff(bought.indptr)), each)
    return sparse.csc_array((q, (row, item)), shape=held.shape)


def within_habits(pairs: list[Itemset], baskets: Baskets, *, rate: float) -> pd.DataFrame:
    """One row a pair: count_in_habits and expected_in_habits (baskets beside others of the same customer and month, and
    what habits alone give there), times_in_habits with its range, q_in_habits, beyond_habits.

    A pair most of whose baskets stand alone in their customer's month is left open: no habit could have made it.
    """
    of = trips(baskets)
    used = np.array(sorted({item for pair in pairs for item in pair}), dtype=np.int64)
    place = {int(item): column for column, item in enumerate(used)}
    q = dealt(sparse.csr_array(baskets.held)[of.rows][:, used], of)
    spread = _spread(q)
    number = of.number.astype(float)
    weight = sparse.diags_array(number / np.maximum(number - 1, 1))
    first, second = (np.array([place[pair[side]] for pair in pairs], dtype=np.int64) for side in (0, 1))
    expected = np.asarray(sparse.csr_array(q.T @ q)[first, second]).ravel()
    variance = np.asarray(sparse.csr_array(spread.T @ (weight @ spread))[first, second]).ravel()
    count = column_sums(together(sparse.csc_array(sparse.csr_array(baskets.held)[of.rows]), pairs))
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


def _spread(q: Matrix) -> Matrix:
    """q (1 − q) of what is not 0."""
    answer = q.copy()
    answer.data = answer.data * (1 - answer.data)
    return answer
