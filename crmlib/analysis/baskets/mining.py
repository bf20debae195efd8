"""Which items are in at least so many baskets together, and which rules can be read from them? Exact counts only."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from crmlib.analysis.baskets.facts import Ints, Matrix

Itemset = tuple[int, ...]
MOST_SPLITS = 1_500_000  # of all sets found: what the table of rules is laid out from
_CELLS = 20_000_000  # of one table in memory at once


@dataclass(frozen=True)
class Itemsets:
    """Every set of up to `max_items` items that is in at least `least` of `baskets` baskets.

    `counts` maps a set, its items' positions in increasing order, to the number of baskets that hold all of it.
    """

    counts: dict[Itemset, int]
    baskets: int
    least: int
    max_items: int

    def of_size(self, size: int) -> int:
        """How many frequent sets have this many items."""
        return sum(len(itemset) == size for itemset in self.counts)

    def searched(self) -> int:
        """How many splits were candidates: each ordered pair of frequent sets without a common item.

        A split that turned out too rare was searched all the same: only counting these too keeps a correction honest,
        since among rare sets the minimum count itself picks the lucky ones. Where both sides have several items,
        pairs with a common item are counted as well, which errs on the safe side.
        """
        sizes = {size: self.of_size(size) for size in range(1, self.max_items + 1)}
        total = 0
        for a in range(1, self.max_items):
            for c in range(1, self.max_items - a + 1):
                if a == 1 or c == 1:
                    total += sizes[max(a, c)] * max(sizes[1] - max(a, c), 0)
                else:
                    total += sizes[a] * sizes[c]
        return total


class TooManySets(Exception):
    """More sets or splits than `MOST_SPLITS` come of these baskets; raised while they are counted, before they are
    laid out."""


@dataclass
class _Found:
    """Sets found so far; gives up as soon as more splits than `MOST_SPLITS` would come of them."""

    counts: dict[Itemset, int]
    splits: int = 0

    def add(self, sets: Iterator[Itemset], tallies: list[int], *, size: int) -> None:
        self.splits += len(tallies) * (2**size - 2)
        if self.splits > MOST_SPLITS:
            raise TooManySets
        self.counts.update(zip(sets, tallies, strict=True))


def frequent_itemsets(held: Matrix, *, least: int, max_items: int) -> Itemsets:
    """Which sets of items are in at least `least` rows of `held`? All counts are whole numbers; nothing is compared in
    floats.

    Pairs are one sparse product of the table with itself. A larger set is looked for among the rows that hold its first
    items, and there only among items that are frequent with each of those (Eclat: Zaki 2000), with all counts of one
    such table in one matrix product. Raises TooManySets where more splits come of them than `MOST_SPLITS`, of triples
    before the first is counted if each item's frequent partners say so.
    """
    totals = column_sums(held)
    frequent = np.flatnonzero(totals >= least)
    found = _Found({(int(i),): int(totals[i]) for i in frequent})
    if max_items > 1 and len(frequent) > 1:
        columns = sparse.csr_array(held[:, frequent])
        both = sparse.coo_array(sparse.triu(columns.T @ columns, k=1))
        enough = both.data >= least
        first, second, tallies = both.row[enough], both.col[enough], both.data[enough]
        order = np.lexsort((second, first))
        first, second, tallies = first[order], second[order], tallies[order]
        named = zip(frequent[first].tolist(), frequent[second].tolist(), strict=True)
        found.add(named, tallies.tolist(), size=2)
        if max_items > 2:
            by_column = sparse.csc_array(columns)
            starts = np.searchsorted(first, np.arange(len(frequent) + 1))
            for item in range(len(frequent)):
                partners = second[starts[item] : starts[item + 1]]
                if len(partners) > 1:
                    rows = by_column.indices[by_column.indptr[item] : by_column.indptr[item + 1]]
                    table = _laid_out(columns[rows][:, partners])
                    _extend(found, (int(frequent[item]),), frequent[partners], table, least=least, max_items=max_items)
    return Itemsets(counts=found.counts, baskets=held.shape[0], least=least, max_items=max_items)


def _laid_out(table: Matrix) -> Matrix:
    """The table as a plain array where it is small."""
    # Whole numbers are exact in single precision up to 16.8 million, and no shop carries more baskets than five.
    dense = sparse.issparse(table) and table.shape[0] * table.shape[1] <= _CELLS
    return table.toarray().astype(np.float32) if dense else table


def _extend(found: _Found, prefix: Itemset, partners: Ints, table: Matrix, *, least: int, max_items: int) -> None:
    """Add the frequent sets of `prefix` and two or more `partners`: the columns of `table`, rows with the prefix."""
    product = table.T @ table
    both = np.triu(product.toarray() if sparse.issparse(product) else product, k=1)
    first, second = np.nonzero(both >= least)
    tallies = both[first, second].astype(np.int64).tolist()
    pairs = zip(partners[first].tolist(), partners[second].tolist(), strict=True)
    found.add(((*prefix, *pair) for pair in pairs), tallies, size=len(prefix) + 2)
    if len(prefix) + 2 == max_items:
        return
    for place in np.unique(first):
        further = second[first == place]
        if len(further) > 1:
            column = table[:, [place]]
            here = np.flatnonzero((column.toarray() if sparse.issparse(column) else column).ravel())
            after = (*prefix, int(partners[place]))
            rows = _laid_out(table[here][:, further])
            _extend(found, after, partners[further], rows, least=least, max_items=max_items)


def least_that_fits(held: Matrix, *, least: int, max_items: int) -> int:
    """The lowest minimum count above `least`, or near it, whose sets are few enough; each try stops at `MOST_SPLITS`.

    >>> least_that_fits(sparse.csc_array(np.ones((9, 2), dtype=np.int32)), least=3, max_items=2)
    4
    """

    def fits(count: int) -> bool:
        try:
            frequent_itemsets(held, least=count, max_items=max_items)
        except TooManySets:
            return False
        return True

    low, high = least, least + 1
    while not fits(high):
        low, high = high, 2 * high
    # To within a tenth.
    while high - low > max(1, high // 10):
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def column_sums(held: Matrix) -> Ints:
    """In how many rows is each column's item?"""
    return np.asarray(held.sum(axis=0)).ravel().astype(np.int64)


def cells(table: Matrix, rows: Ints, columns: Ints) -> NDArray[np.float64]:
    """The entries at these places of a sparse table, which alone cannot be asked for none."""
    return np.asarray(sparse.csr_array(table)[rows, columns], dtype=float).ravel() if len(rows) else np.zeros(0)


def together(held: Matrix, sets: list[Itemset]) -> Matrix:
    """Baskets × sets: 1 where a basket holds all items of a set."""
    longest = max((len(itemset) for itemset in sets), default=1)
    # A shorter set repeats its last item, which changes nothing.
    padded = np.array([itemset + (itemset[-1],) * (longest - len(itemset)) for itemset in sets], dtype=np.int64)
    product = held[:, padded[:, 0]]
    for place in range(1, longest):
        product = product.multiply(held[:, padded[:, place]])
    return sparse.csc_array(product)


def splits(itemsets: Itemsets) -> pd.DataFrame:
    """One row a rule: every split of every frequent set into antecedent and consequent.

    Columns antecedent and consequent (tuples of positions), itemset, count, count_a, count_c: baskets that hold both
    sides, the first, the second. Ordered by itemset, then antecedent.
    """
    rows = []
    for itemset, count in sorted(itemsets.counts.items()):
        for size in range(1, len(itemset)):
            for left in combinations(itemset, size):
                right = tuple(item for item in itemset if item not in left)
                rows.append((left, right, itemset, count, itemsets.counts[left], itemsets.counts[right]))
    columns = ["antecedent", "consequent", "itemset", "count", "count_a", "count_c"]
    return pd.DataFrame(rows, columns=columns).astype({"count": int, "count_a": int, "count_c": int})


def confident(count: Ints, of: Ints, *, least: float) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Is count / of at least the confidence as it is written? Compared as fractions, so that an edge is an edge.

    >>> confident(np.array([7]), np.array([100]), least=0.07).tolist()
    [True]
    """
    share = Fraction(str(least))
    return np.array(
        [int(k) * share.denominator >= share.numerator * int(n) for k, n in zip(count, of, strict=True)], dtype=bool
    )


def redundant(rules: pd.DataFrame, itemsets: Itemsets) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which rules say no more than a shorter one? Their confidence is not above that of a rule with part of their
    antecedent and the same consequent (Bayardo, Agrawal and Gunopulos 2000: improvement of at most 0)."""
    counts = itemsets.counts

    def shorter_is_as_good(left: Itemset, right: Itemset, count: int, count_a: int) -> bool:
        for size in range(1, len(left)):
            for part in combinations(left, size):
                both = counts[tuple(sorted(part + right))]
                if count * counts[part] <= both * count_a:
                    return True
        return False

    rows = zip(rules["antecedent"], rules["consequent"], rules["count"], rules["count_a"], strict=True)
    return np.array([shorter_is_as_good(*row) for row in rows], dtype=bool)


def measures(rules: pd.DataFrame, itemsets: Itemsets) -> pd.DataFrame:
    """support, confidence, lift, leverage, conviction and Zhang's metric of each rule, by mlxtend; same order."""
    names = ["support", "confidence", "lift", "leverage", "conviction", "zhangs_metric"]
    if rules.empty:
        return pd.DataFrame(columns=names, index=rules.index, dtype=float)
    with warnings.catch_warnings():
        # Its import has every library's deprecations shown from then on, in red in a notebook.
        from mlxtend.frequent_patterns import association_rules
    needed = {s for side in ("antecedent", "consequent", "itemset") for s in rules[side]}
    needed |= {part for s in set(rules["itemset"]) for size in range(1, len(s)) for part in combinations(s, size)}
    ordered = sorted(needed)
    frame = pd.DataFrame(
        {
            "itemsets": [frozenset(itemset) for itemset in ordered],
            "support": [itemsets.counts[itemset] / itemsets.baskets for itemset in ordered],
        }
    )
    # Threshold 0 on support: nothing is compared in floating point here, the exact cuts were made before.
    table = association_rules(
        frame, num_itemsets=itemsets.baskets, metric="support", min_threshold=0.0, return_metrics=names
    )
    table["antecedent"] = [tuple(sorted(side)) for side in table["antecedents"]]
    table["consequent"] = [tuple(sorted(side)) for side in table["consequents"]]
    wanted = rules[["antecedent", "consequent"]].reset_index(drop=True)
    merged = wanted.merge(table, on=["antecedent", "consequent"], how="left", validate="one_to_one")
    return merged[names].set_axis(rules.index, axis=0)
