"""All pairs of frequent items at once: how often they meet, and how often they would by chance, overall and within
groups."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
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
TWO_YEARS = 700  # days, the two years being seldom whole
LARGE = 11  # items from which a basket is large: nearly everything is in it anyway
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


def support_of(count: int, baskets: int) -> float:
    """The lowest support of two digits that asks for at least so many baskets.

    >>> support_of(7, 100), support_of(13, 999)
    (0.07, 0.014)
    """
    share = Fraction(count, baskets)
    places = 1 - math.floor(math.log10(share))
    return math.ceil(share * 10**places) / 10**places


def within_reach(baskets: Baskets) -> None:
    """UsageError, with the support that would do, where more items are frequent than can be compared."""
    totals = np.sort(mining.column_sums(baskets.held))[::-1]
    frequent = int((totals >= baskets.least).sum())
    if frequent > MOST_ITEMS:
        support = support_of(int(totals[MOST_ITEMS]) + 1, baskets.n)
        raise UsageError(
            f"{frequent:,} items are in {baskets.least:,} baskets or more and {MOST_ITEMS:,} can be compared with each "
            f"other: take min_support {support:g} (now {baskets.min_support:g}) or level='category'"
        )


def frequent(baskets: Baskets, *, max_items: int) -> mining.Itemsets:
    """The frequent sets; UsageError with the support that fits where more come than can be laid out."""
    within_reach(baskets)
    try:
        return mining.frequent_itemsets(baskets.held, least=baskets.least, max_items=max_items)
    except mining.TooManySets:
        fits = mining.least_that_fits(baskets.held, least=baskets.least, max_items=max_items)
    raise UsageError(
        f"more than {mining.MOST_SPLITS:,} rules of up to {max_items} items would come of min_support "
        f"{baskets.min_support:g} ({baskets.least:,} baskets): take {support_of(fits, baskets.n):g} ({fits:,} baskets)"
        + (" or a smaller max_items" if max_items > 2 else "")
    )


def all_pairs(baskets: Baskets, *, chance: SizeClasses, least: int) -> Pairs:
    """Count and chance for all pairs of items in at least `least` baskets; they must be `within_reach`."""
    items = np.flatnonzero(mining.column_sums(baskets.held) >= least)
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


def gains(first: Ints, second: Ints, *, baskets: Baskets) -> Floats:
    """How much more often do baskets with the first item hold the second than the bestseller? One number a pair.

    In baskets of under 11 items, where there is room to suggest; of all where no such basket holds the first. The
    bestseller is the item in most baskets, beside itself the next.
    """
    small = baskets.sizes < LARGE
    best = np.argsort(-mining.column_sums(baskets.held), kind="stable")[:2]
    beside = np.where((first == best[0]) & (len(best) > 1), best[-1], best[0])
    answer = np.full(len(first), np.nan)
    for rows in (small, np.ones(baskets.n, dtype=bool)):
        held = sparse.csc_array(baskets.held[np.flatnonzero(rows)])
        totals, joint = mining.column_sums(held), held.T @ held
        here = np.isnan(answer) & (totals[first] > 0)
        ours, theirs = (mining.cells(joint, first[here], other[here]) for other in (second, beside))
        answer[here] = (ours - theirs) / totals[first[here]]
    return answer


def with_gain(rules: pd.DataFrame, baskets: Baskets) -> pd.DataFrame:
    """The rules with `gain`, NaN where a side has several items."""
    pairs = rules[rules["itemset"].map(len) == 2]
    sides = [np.array([item for (item,) in pairs[side]], dtype=np.int64) for side in ("antecedent", "consequent")]
    return rules.assign(gain=pd.Series(gains(*sides, baskets=baskets), index=pairs.index).reindex(rules.index))


def seasons_known(baskets: Baskets) -> bool:
    """Do the baskets span two years? What one year shows may be its own."""
    days = baskets.days.dropna()
    return len(days) > 0 and (days.max() - days.min()).days >= TWO_YEARS


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
