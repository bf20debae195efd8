"""Baskets shuffled so that nothing belongs together any more, and their rules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from crmlib.analysis import baskets as bk
from crmlib.analysis.baskets.facts import Matrix, Profile, size_class


def freely(held: Matrix, rng: np.random.Generator) -> Matrix:
    """Each item into as many baskets as it was in, any of them: totals stay, basket sizes do not."""
    columns = sparse.csc_array(held)
    rows = [rng.choice(held.shape[0], size=int(n), replace=False) for n in np.diff(columns.indptr)]
    where = (np.concatenate(rows), np.repeat(np.arange(held.shape[1]), np.diff(columns.indptr)))
    return sparse.csc_array((np.ones(columns.nnz, dtype=np.int32), where), shape=held.shape)


def traded(held: Matrix, rng: np.random.Generator, *, rounds: int = 12) -> Matrix:
    """The same baskets after trades of items at random: sizes and totals stay.

    Global curveball (Carstens, Berger and Strona 2018): in each round every basket meets one other; what both hold they
    keep, the rest is dealt anew, to each as many as before. Equal to item-by-item swaps in the end, and all of a round
    at once.
    """
    table = sparse.coo_array(held)
    row, item = table.row.astype(np.int64), table.col.astype(np.int64)
    baskets, items = held.shape
    for _ in range(rounds):
        partner = np.empty(baskets, dtype=np.int64)
        partner[rng.permutation(baskets)] = np.arange(baskets) // 2
        key = partner[row] * items + item
        order = np.argsort(key, kind="stable")
        row, item, key = row[order], item[order], key[order]
        twin = np.zeros(len(key), dtype=bool)
        twin[1:] = key[1:] == key[:-1]
        twin[:-1] |= twin[1:]
        loose = np.flatnonzero(~twin)
        # Deal what is loose: the seats of each pair of baskets stay, the items are put in random order.
        pair = partner[row[loose]]
        item[loose] = item[loose][np.lexsort((rng.random(len(loose)), pair))]
    return sparse.csc_array((np.ones(len(row), dtype=np.int32), (row, item)), shape=held.shape)


def with_items(baskets: bk.Baskets, held: Matrix) -> bk.Baskets:
    """These customers' baskets with other contents: sizes and totals counted anew, months and groups forgotten."""
    sizes = np.asarray(held.sum(axis=1)).ravel().astype(np.int64)
    profiles = {}
    classes = size_class(sizes)
    rows = sparse.csr_array(held)
    for c in np.unique(classes):
        totals = np.asarray(rows[classes == c].sum(axis=0)).ravel()
        values, counts = np.unique(totals[totals > 0], return_counts=True)
        profiles["all", int(c)] = Profile(totals=values.astype(np.int64), items=counts.astype(np.int64))
    return replace(baskets, sizes=sizes, held=sparse.csc_array(held), profiles=profiles, groups={}, cut=None)
