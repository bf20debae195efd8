"""How often would items meet by chance, when baskets keep their sizes and items their totals?

The bipartite configuration model (Saracco, Di Clemente, Gabrielli and Squartini 2015; Saracco et al. 2017): the
likeliest random baskets whose expected sizes and item totals are those observed. Fisher's test and lift take all
baskets for alike; big baskets then make everything look as if it belonged together.

The model is fitted within classes of about equal size. Fitted to all baskets at once it assumes that an item's odds
grow with basket size just as every other item's do. Where bestsellers fill the large baskets sooner than that, it
takes any two bestsellers for a pair; totals kept within each class leave no room for this.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats as distributions

from crmlib.analysis.baskets.facts import Baskets, Floats, Ints, Profile, size_class

_TOLERANCE, _ROUNDS, _CHUNK = 1e-9, 5_000, 20_000
# p-values that a finer test would not move across any rate, and the share of baskets from which it differs.
_CERTAIN, _HOPELESS, _MANY = 1e-12, 0.3, 0.005


@dataclass(frozen=True)
class Chance:
    """The fitted model. `q[g, s]` is the chance that an item in `totals[g]` baskets is in a basket of `sizes[s]` items.

    baskets  baskets of each size
    spread   Σ q(1 − q) over all items, by size: how far a basket's size would vary if it were not fixed
    gap      largest relative difference between fitted and observed totals
    """

    sizes: Ints
    baskets: Ints
    totals: Ints
    q: Floats
    spread: Floats
    gap: float

    def rows(self, totals: Ints) -> Floats:
        """The rows of `q` for items with these totals."""
        return np.asarray(self.q[np.searchsorted(self.totals, totals)])


def fit_chance(profile: Profile, sizes: Ints) -> Chance:
    """Fit the model to item totals and basket sizes, by fixed point; empty baskets play no part.

    q = x y / (1 + x y), with Σ over baskets of q = item total and Σ over items of q = basket size. Full baskets and
    items that are in every basket are taken out first: their chances are 1, which no finite x and y can say.
    """
    size, count = np.unique(sizes[sizes > 0], return_counts=True)
    totals, items = profile.totals.astype(float), profile.items.astype(float)
    q = np.zeros((len(totals), len(size)))
    left_total, left_size = totals.copy(), size.astype(float)
    rows, columns = np.ones(len(totals), bool), np.ones(len(size), bool)
    while True:
        full = columns & (left_size >= items[rows].sum())
        q[np.ix_(rows, full)] = 1.0
        left_total[rows] -= count[full].sum()
        columns &= ~full & (left_size > 0)
        everywhere = rows & (left_total >= count[columns].sum())
        q[np.ix_(everywhere, columns)] = 1.0
        left_size[columns] -= items[everywhere].sum()
        kept = rows & ~everywhere & (left_total > 0)
        if not full.any() and not everywhere.any() and (kept == rows).all():
            break
        rows = kept
    if rows.any() and columns.any():
        q[np.ix_(rows, columns)] = _solve(
            left_total[rows], items[rows], left_size[columns], count[columns].astype(float)
        )
    fitted = np.concatenate([q @ count / totals, items @ q / size]) if len(totals) else np.ones(1)
    return Chance(
        sizes=size.astype(np.int64),
        baskets=count.astype(np.int64),
        totals=profile.totals,
        q=q,
        spread=items @ (q * (1 - q)),
        gap=float(np.abs(fitted - 1).max()),
    )


def _solve(totals: Floats, items: Floats, sizes: Floats, baskets: Floats) -> Floats:
    scale = np.sqrt(totals @ items)
    x, y = totals / scale, sizes / scale
    for _ in range(_ROUNDS):
        x = totals / ((y * baskets) / (1 + np.outer(x, y))).sum(axis=1)
        y = sizes / ((x * items)[:, None] / (1 + np.outer(x, y))).sum(axis=0)
        odds = np.outer(x, y)
        q = odds / (1 + odds)
        if np.abs(q @ baskets / totals - 1).max() < _TOLERANCE:
            break
    return np.asarray(q)


def expected(chance: Chance, q: Floats, sets: Ints) -> Floats:
    """In how many baskets would each set of items be, by chance? One number for each row of `sets`.

    `q` has one row of chances per item (Chance.rows), `sets` holds positions in it, one set a row. A basket's size is
    fixed, so an item that is in takes room from the others: item j, given the items before it, has the chance
    q_j − q_j (1 − q_j) Σ (1 − q_i) / spread. For pairs this is Σ N [q_i q_j − q_i (1−q_i) q_j (1−q_j) / spread].
    """
    answer = np.empty(len(sets))
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(chance.spread > 0, 1 / chance.spread, 0.0)
    fits = chance.sizes >= sets.shape[1]
    for start in range(0, len(sets), _CHUNK):
        rows = sets[start : start + _CHUNK]
        first = q[rows[:, 0]]
        product, taken = chance.baskets * fits * first, 1 - first
        for place in range(1, sets.shape[1]):
            item = q[rows[:, place]]
            product = product * np.maximum(item - item * (1 - item) * taken * room, 0.0)
            taken = taken + 1 - item
        answer[start : start + _CHUNK] = product.sum(axis=1)
    return answer


def tail(count: Floats | Ints, expected: Floats, first: Ints, second: Ints) -> Floats:
    """How likely are `count` baskets or more by chance, where the sides are in `first` and in `second` baskets?

    Hypergeometric (Fisher 1935), in as many baskets as would let these totals meet as often as `expected`: fewer than
    there are where sizes differ, and so never too sure, since the more baskets differ the less the true count scatters
    (Hoeffding 1956). Where neither side is in many of them it is as good as binomial.

    >>> tail(np.array([7]), np.array([2.0]), np.array([10]), np.array([20])).round(4)
    array([0.0004])
    """
    most = np.minimum(first, second)
    found = np.asarray(distributions.binom.sf(np.asarray(count) - 1, most, np.clip(expected / most, 0.0, 1.0)))
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.asarray(first, float) * np.asarray(second, float) / np.asarray(expected, float)
    unsure = (found > _CERTAIN) & (found < _HOPELESS) & (most > _MANY * room)
    sides = (np.asarray(side)[unsure].astype(np.int64) for side in (first, second))
    found[unsure] = distributions.hypergeom.sf(np.asarray(count)[unsure] - 1, np.floor(room[unsure] + 1e-9), *sides)
    return found


@dataclass(frozen=True)
class SizeClasses:
    """Chance within each class of basket size. Arrays are classes × carried items, or one entry a class.

    models  the fitted model of each class, classes of one item or none left out
    rows    the positions of its baskets
    totals  in how many of them each carried item is
    """

    models: tuple[Chance, ...]
    rows: tuple[Ints, ...]
    totals: tuple[Ints, ...]

    @property
    def gap(self) -> float:
        """Largest relative difference between fitted and observed totals."""
        return max((model.gap for model in self.models), default=0.0)

    def expected(self, sets: Ints) -> Floats:
        """Baskets of each class that would hold each set by chance: classes × sets."""
        answer = np.zeros((len(self.models), len(sets)))
        for place, (model, totals) in enumerate(zip(self.models, self.totals, strict=True)):
            q = np.zeros((len(totals), len(model.sizes)))
            q[totals > 0] = model.rows(totals[totals > 0])
            answer[place] = expected(model, q, sets)
        return answer


def fit_size_classes(baskets: Baskets) -> SizeClasses:
    """Fit the model to each class of basket size, with the item totals of that class."""
    classes = size_class(baskets.sizes)
    present = [int(c) for c in np.unique(classes[classes > 0])]
    rows = tuple(np.flatnonzero(classes == c) for c in present)
    return SizeClasses(
        models=tuple(
            fit_chance(baskets.profiles["all", c], baskets.sizes[here]) for c, here in zip(present, rows, strict=True)
        ),
        rows=rows,
        totals=tuple(np.asarray(baskets.held[here].sum(axis=0)).ravel().astype(np.int64) for here in rows),
    )
