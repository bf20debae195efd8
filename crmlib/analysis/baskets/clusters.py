"""How far may a count lie from chance only because other customers might have come? Customers, not baskets, are
independent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy import stats as distributions

from crmlib import stats
from crmlib.analysis.baskets import mining
from crmlib.analysis.baskets.chance import SizeClasses
from crmlib.analysis.baskets.facts import Baskets, Floats, Ints, Matrix

CONFIDENCE = 0.95
_CELLS = 4_000_000  # customers × pairs of sides in memory at once
Sides = tuple[mining.Itemset, mining.Itemset]


@dataclass(frozen=True)
class Influence:
    """What each customer adds to the counts of some pairs of sides: dense, customers × pairs.

    together   baskets that hold both sides
    expected   share of what is expected of both sides: how the logarithm of it moves with this customer
    plain      the same where baskets are taken for alike, as lift does
    """

    together: Floats
    expected: Floats
    plain: Floats


def class_indicator(baskets: Baskets, chance: SizeClasses) -> Matrix:
    """Size classes × baskets: 1 where a basket is of the class."""
    rows = np.concatenate(chance.rows) if chance.rows else np.empty(0, dtype=np.int64)
    number = np.repeat(np.arange(len(chance.rows)), [len(here) for here in chance.rows])
    return sparse.csr_array((np.ones(len(rows)), (number, rows)), shape=(len(chance.rows), baskets.n))


def by_customer(baskets: Baskets) -> Matrix:
    """Customers × baskets: 1 where the basket is the customer's."""
    code = np.unique(baskets.customers, return_inverse=True)[1]
    clusters = int(code.max(initial=-1)) + 1
    return sparse.csr_array((np.ones(baskets.n), (code, np.arange(baskets.n))), shape=(clusters, baskets.n))


def influences(
    sides: list[Sides], by_class: Floats, *, baskets: Baskets, chance: SizeClasses
) -> Iterator[tuple[slice, Influence]]:
    """The influences of all customers on these pairs of sides, piece by piece.

    `by_class` has what is expected of each pair in each size class: classes × pairs.
    """
    who = by_customer(baskets)
    clusters = who.shape[0]
    into = class_indicator(baskets, chance)
    by_basket = (who @ np.ones(baskets.n))[:, None] / max(baskets.n, 1)
    by_class_of_size = _shares(who @ into.T)
    # One class more, of no weight, for baskets that no class has.
    class_of = np.full(baskets.n, len(chance.rows))
    for number, here in enumerate(chance.rows):
        class_of[here] = number
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = np.where(by_class.sum(axis=0) > 0, by_class / by_class.sum(axis=0), 0.0)
    step = max(1, _CELLS // max(clusters, 1))
    for start in range(0, len(sides), step):
        piece = slice(start, min(start + step, len(sides)))
        weight = weights[:, piece]
        together = who @ mining.together(baskets.held, [tuple(sorted(a + c)) for a, c in sides[piece]])
        held = [mining.together(baskets.held, [pair[side] for pair in sides[piece]]) for side in (0, 1)]
        weighted = sum(_weighted(side, weight, into=into, class_of=class_of) for side in held)
        yield (
            piece,
            Influence(
                together=together.toarray(),
                expected=(who @ weighted).toarray() - by_class_of_size @ weight,
                plain=sum(_shares(who @ side) for side in held).toarray() - by_basket,
            ),
        )


def errors(influence: Floats) -> tuple[Floats, Floats]:
    """Standard error and degrees of freedom of sums of the columns of `influence`, one row a customer.

    The degrees of freedom are those the influences themselves have (Satterthwaite), so that a count that hangs on one
    household gets the width it deserves.
    """
    clusters = len(influence)
    squares = influence * influence
    second, fourth = squares.sum(axis=0), (squares * squares).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.where(fourth > 0, second**2 / fourth - 1, 1.0)
    return np.sqrt(second * clusters / max(clusters - 1, 1)), np.clip(freedom, 1.0, None)


def reach(se: Floats, freedom: Floats) -> Floats:
    """Half the width of a 95 % interval."""
    return np.asarray(distributions.t.ppf(0.5 + CONFIDENCE / 2, freedom) * se)


def ratio_range(count: Floats | Ints, expected: Floats, *, inflation: Floats | float = 1.0) -> tuple[Floats, Floats]:
    """The 95 % range of count / expected where the count varies `inflation` times as much as a Poisson count."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return stats.rate_interval(np.asarray(count) / inflation, np.asarray(expected) / inflation)


def _shares(by_customer: Matrix) -> Matrix:
    """Each column divided by its sum: which share of a count each customer brought."""
    totals = np.asarray(by_customer.sum(axis=0)).ravel()
    return by_customer @ sparse.diags_array(1 / np.where(totals > 0, totals, 1.0))


def _weighted(held: Matrix, weight: Floats, *, into: Matrix, class_of: Ints) -> Matrix:
    """What each basket adds to the log of what is expected: its class's weight, shared among the class's holders."""
    holders = (into @ held).toarray()
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(holders > 0, weight / holders, 0.0)
    each = np.vstack([each, np.zeros(each.shape[1])])
    column = np.repeat(np.arange(held.shape[1]), np.diff(held.indptr))
    return sparse.csc_array((each[class_of[held.indices], column], held.indices, held.indptr), shape=held.shape)
