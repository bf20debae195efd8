"""What to suggest next to somebody, from what he has and what goes with it in other people's baskets?

Item-item collaborative filtering (Sarwar, Karypis, Konstan and Riedl 2001): the cosine between two items' columns. On
Complete Journey it found 20.5 % of hidden items among ten where bestsellers found 11.1 %; a ridge regression on all
items at once (EASE: Steck 2019) found 22.5 %, with a penalty to be chosen and a table of all items to be inverted.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import sparse

from crmlib.analysis.baskets.clusters import by_customer
from crmlib.analysis.baskets.facts import Baskets, Floats, Ints, Matrix
from crmlib.analysis.baskets.mining import Itemset, column_sums

SHOWN_NEXT = 10  # items shown at once where they fill a list
_CELLS = 8_000_000  # people × items in memory at once
_MOST_TRIALS = 20_000


def owned(baskets: Baskets) -> Matrix:
    """Known customers × items: 1 where this customer has ever bought it."""
    known = np.flatnonzero(baskets.customers < len(baskets.customer_ids))
    bought = by_customer_id(baskets, known) @ sparse.csr_array(baskets.held)[known]
    return sparse.csr_array((np.ones(bought.nnz, dtype=np.int32), bought.indices, bought.indptr), shape=bought.shape)


def by_customer_id(baskets: Baskets, rows: Ints) -> Matrix:
    """Known customers × these baskets: 1 where the basket is the customer's."""
    ones = np.ones(len(rows), dtype=np.int32)
    return sparse.csr_array(
        (ones, (baskets.customers[rows], np.arange(len(rows)))), shape=(len(baskets.customer_ids), len(rows))
    )


def likeness(held: Matrix) -> Matrix:
    """Items × items: the cosine between two items over the rows of `held`, 0 on the diagonal.

    >>> likeness(sparse.csr_array(np.array([[1, 1, 0], [1, 1, 1], [1, 0, 0], [1, 0, 0]]))).toarray().round(2)[0]
    array([0.  , 0.71, 0.5 ])
    """
    joint = sparse.coo_array(sparse.csr_array(held).T @ sparse.csr_array(held))
    scale = np.sqrt(np.maximum(column_sums(held), 1).astype(float))
    apart = joint.row != joint.col
    row, col = joint.row[apart], joint.col[apart]
    return sparse.csr_array((joint.data[apart] / (scale[row] * scale[col]), (row, col)), shape=joint.shape)


def scores(alike: Matrix, has: Matrix) -> Iterator[tuple[slice, Floats]]:
    """How well each item goes with what each row has, piece by piece; what a row has is −1."""
    step = max(1, _CELLS // max(has.shape[1], 1))
    for start in range(0, has.shape[0], step):
        piece = slice(start, min(start + step, has.shape[0]))
        rows = has[piece]
        found = np.asarray((rows @ alike).toarray(), dtype=float)
        found[rows.nonzero()] = -1.0
        yield piece, found


def next_items(alike: Matrix, has: Matrix, *, popular: Ints) -> tuple[Ints, Ints]:
    """For each row of `has`: the item that goes best with what it has, and the most popular one it has not.

    Where nothing goes with it, or several go equally well, the more popular one; `popular` lists items by popularity.
    """
    best, most = (np.empty(has.shape[0], dtype=np.int64) for _ in range(2))
    for piece, found in scores(alike, has):
        ordered = found[:, popular]
        best[piece] = popular[np.argmax(ordered, axis=1)]
        most[piece] = popular[np.argmax(ordered >= 0, axis=1)]
    return best, most


def because(alike: Matrix, has: Matrix, suggested: Ints, *, tested: set[Itemset]) -> Ints:
    """Of what each row has, the item the suggestion goes with: of a tested pair if it can be, else the likest."""
    answer = np.empty(len(suggested), dtype=np.int64)
    columns, partners = sparse.csc_array(alike), np.array(sorted(tested), dtype=np.int64).reshape(-1, 2)
    for item in np.unique(suggested).tolist():
        near = columns[:, [item]].toarray().ravel()
        near[partners[partners[:, 0] == item, 1]] += 1
        near[partners[partners[:, 1] == item, 0]] += 1
        here = np.flatnonzero(suggested == item)
        mine = has[here]
        who = np.repeat(np.arange(len(here)), np.diff(mine.indptr))
        # The first of each row, the nearest first; nobody here has nothing.
        nearest = np.lexsort((mine.indices, -near[mine.indices], who))
        answer[here] = mine.indices[nearest[mine.indptr[:-1]]]
    return answer


def hidden_items(alike: Matrix, baskets: Baskets, *, popular: Ints, seed: int = 0) -> pd.DataFrame:
    """One item of each basket is hidden: is it among the ten that go best with the rest, or among the ten bestsellers?

    One row a basket of two items or more (20,000 at most, at random): customer, trials (1), suggestion, bestseller.
    """
    held, rng = sparse.csr_array(baskets.held), np.random.default_rng(seed)
    rows = np.flatnonzero(np.diff(held.indptr) >= 2)
    if len(rows) > _MOST_TRIALS:
        rows = np.sort(rng.choice(rows, _MOST_TRIALS, replace=False))
    rest = held[rows]
    pick = rest.indptr[:-1] + rng.integers(0, np.maximum(np.diff(rest.indptr), 1))
    hidden = rest.indices[pick].astype(np.int64)
    rest.data[pick] = 0
    rest.eliminate_zeros()
    rank = np.argsort(popular)
    ours, theirs = (np.zeros(len(rows), dtype=bool) for _ in range(2))
    for piece, found in scores(alike, rest):
        here, wanted = np.arange(len(found)), hidden[piece]
        # Of equals the more popular one is shown.
        mine = found - rank * 1e-9
        ours[piece] = (mine > mine[here, wanted][:, None]).sum(axis=1) < SHOWN_NEXT
        sold = np.where(found >= 0, -rank.astype(float), -np.inf)
        theirs[piece] = (sold > sold[here, wanted][:, None]).sum(axis=1) < SHOWN_NEXT
    return pd.DataFrame(
        {"customer": baskets.customers[rows], "trials": 1.0, "suggestion": ours * 1.0, "bestseller": theirs * 1.0}
    )


def next_table(alike: Matrix, baskets: Baskets, *, tested: set[Itemset]) -> pd.DataFrame:
    """Ten items to show beside each: item_id, item, rank, suggest_id, suggest, likeness, tested (a suggested pair)."""
    alike = sparse.csr_array(alike)
    item = np.repeat(np.arange(alike.shape[0]), np.diff(alike.indptr))
    order = np.lexsort((alike.indices, -alike.data, item))
    rank = np.arange(len(item)) - alike.indptr[item] + 1
    item, other, near = item[order], alike.indices[order], alike.data[order]
    kept = rank <= SHOWN_NEXT
    item, other, near, rank = item[kept], other[kept], near[kept], rank[kept]
    ids, names = np.array(baskets.ids, dtype=object), np.array(baskets.names, dtype=object)
    pairs = zip(np.minimum(item, other).tolist(), np.maximum(item, other).tolist(), strict=True)
    return pd.DataFrame(
        {
            "item_id": ids[item], "item": names[item], "rank": rank, "suggest_id": ids[other],
            "suggest": names[other], "likeness": near.round(4), "tested": [pair in tested for pair in pairs],
        }
    )  # fmt: skip


def households(baskets: Baskets) -> Matrix:
    """Customers × items, guests as one each: 1 where the item was bought."""
    bought = sparse.csr_array(by_customer(baskets) @ baskets.held)
    return sparse.csr_array((np.ones(bought.nnz, dtype=np.int32), bought.indices, bought.indptr), shape=bought.shape)
