"""Are there kinds of customers, or only ways to cut them? How many, and how surely does one belong to one?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, stats
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits  # comes with scikit-learn

from crmlib.analysis.personas.facts import FEW, LEAST_ORDERS, Trait
from crmlib.formats import outline

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
MOST, DRAWS, ERROR = 6, 59, 0.05
WORTH = 0.1  # by how much closer kinds must hold together than one Gaussian's, to be called kinds
CLEAR = 0.8  # chance from which on somebody is clearly of a kind
_RELIABLE, _KNOWN, _FAR, _TESTED, _BOOTS, _STABLE, _CUTS = 0.05, 0.5, 3.5, 1000, 30, 0.75, 4
_LEAST_SHARE, _LEAST = 0.03, 15


@dataclass(frozen=True)
class Scale:
    """How a habit is measured: (x − middle) / √(between + within / m), times weight.

    What chance adds to a habit that was seen m times is within / m: so all stand in one unit, whether they bought three
    times or thirty, and a habit that is mostly chance weighs little.
    """

    trait: Trait
    middle: float
    between: float
    within: float
    weight: float


@dataclass(frozen=True)
class Model:
    """Kinds as centres in the space of `scales`; `spread` is the variance within a kind of one habit."""

    __repr__ = outline

    scales: tuple[Scale, ...]
    centres: Floats
    spread: float

    @property
    def kinds(self) -> int:
        """How many."""
        return len(self.centres)

    @property
    def clearly(self) -> float:
        """How much nearer (in squares) one's own centre must be for a chance of CLEAR."""
        return 2 * self.spread * float(np.log(CLEAR / (1 - CLEAR)))


@dataclass(frozen=True)
class Verdict:
    """Kinds beside a matched null: one correlated Gaussian with the same margins, drawn again and again.

    structure   True where kinds hold together better than the null's, beyond chance and by WORTH
    gain        share by which they are closer to their centres than the null's kinds; p_value of the best number
    stability   mean Jaccard likeness of each kind when customers are drawn again; `null` the same for the null
    curve       kinds, gain, z
    """

    __repr__ = outline

    structure: bool
    gain: float
    p_value: float
    stability: Floats
    null: float
    curve: pd.DataFrame


def measured(frame: pd.DataFrame, traits: Sequence[Trait]) -> tuple[Scale, ...]:
    """How is each habit measured? Habits that are unknown for most, the same for all or mere chance are left out."""
    found = []
    for trait in traits:
        x, m = (frame[f"{side}_{trait.id}"].to_numpy(float) for side in "xm")
        there = np.isfinite(x) & (m > 0)
        if there.mean() < _KNOWN or not np.ptp(x[there]):
            continue
        x, m = x[there], m[there]
        middle = float(np.mean(x))
        off = np.clip(x - middle, *np.quantile(x - middle, [0.01, 0.99])) ** 2
        between, within = _parts(off, m)
        share = float(np.mean(between / (between + within / m))) if between + within > 0 else 0.0
        if share >= _RELIABLE:
            found.append(Scale(trait, middle, between, within, float(np.sqrt(share))))
    return tuple(found)


def _parts(squares: Floats, seen: Floats) -> tuple[float, float]:
    """Variance between customers and within one, from squared distances: both at least 0, weighted by their size."""
    design = np.column_stack([np.ones(len(seen)), 1 / seen])
    weight = np.ones(len(seen))
    parts = np.array([squares.mean(), 0.0])
    for _ in range(3):
        parts, _rest = optimize.nnls(design * weight[:, None], squares * weight)
        weight = 1 / np.maximum(design @ parts, 1e-9 + 0.05 * squares.mean())
    return float(parts[0]), float(parts[1])


def scores(frame: pd.DataFrame, scales: Sequence[Scale]) -> Floats:
    """Customers in the space of the scales; what is unknown stands in the middle, what is far out at its edge."""
    columns = []
    for scale in scales:
        x, m = (frame[f"{side}_{scale.trait.id}"].to_numpy(float) for side in "xm")
        with np.errstate(divide="ignore", invalid="ignore"):
            z = (x - scale.middle) / np.sqrt(scale.between + scale.within / m)
        columns.append(np.clip(np.where(m > 0, np.nan_to_num(z), 0.0), -_FAR, _FAR) * scale.weight)
    return np.column_stack(columns)


@threadpool_limits.wrap(limits=1)
def fit(z: Floats, scales: Sequence[Scale], *, kinds: int, seed: int = 0) -> Model:
    """Kinds by k-means, the best of many starts.

    >>> z = np.r_[np.zeros((50, 1)), np.ones((50, 1))]
    >>> fit(z, [Scale(Trait("a", "", "", ""), 0.0, 1.0, 0.0, 1.0)], kinds=2).centres.ravel().round(2).tolist()
    [0.0, 1.0]
    """
    found = _clustered(z, kinds, starts=20, seed=seed)
    centres: Floats = found.cluster_centers_[np.lexsort(found.cluster_centers_.round(9).T[::-1])]
    return Model(tuple(scales), centres, float(found.inertia_ / z.size))


def nearest(z: Floats, model: Model) -> Labels:
    """The kind of each row: the nearest centre."""
    return _nearest(z, model.centres)


def _nearest(z: Floats, centres: Floats) -> Labels:
    labels: Labels = ((z[:, None, :] - centres) ** 2).sum(axis=2).argmin(axis=1)
    return labels


def _clustered(z: Floats, kinds: int, *, starts: int, seed: int) -> KMeans:
    return KMeans(kinds, n_init=starts, random_state=seed, max_iter=100).fit(z)


def assigned(people: ir.Table, model: Model) -> ir.Table:
    """Grain: a customer of `behaviour`, as there, with kind (FEW: too few orders to tell) and clear (surely in it).

    The same as `scores` and `nearest`, said to the engine, so that a million are assigned where they lie.
    """
    columns = []
    for scale in model.scales:
        x, m = people[f"x_{scale.trait.id}"], people[f"m_{scale.trait.id}"]
        z = (x - scale.middle) / (scale.between + scale.within / m.nullif(0)).sqrt()
        columns.append(z.fill_null(0.0).clip(-_FAR, _FAR) * scale.weight)
    rows = people.mutate(**{f"_z{n}": z for n, z in enumerate(columns)})
    away = {
        f"_d{kind}": sum(((rows[f"_z{n}"] - float(at)) ** 2 for n, at in enumerate(centre)), ibis.literal(0.0))
        for kind, centre in enumerate(model.centres)
    }
    rows = rows.mutate(**away)
    d = [rows[name] for name in away]
    best = ibis.least(*d)
    second = ibis.least(
        *(ibis.greatest(one, other) for n, one in enumerate(d) for other in d[n + 1 :]), ibis.literal(1e9)
    )
    kind = ibis.cases(*((one == best, n) for n, one in enumerate(d)), else_=0)
    few = rows["orders"] < LEAST_ORDERS
    return rows.mutate(
        kind=ibis.ifelse(few, FEW, kind).cast("int64"), clear=~few & ((second - best) >= model.clearly)
    ).select(*people.columns, "kind", "clear")


# Small fits: threads would only wait for one another.
@threadpool_limits.wrap(limits=1)
def judge(
    z: Floats, scales: Sequence[Scale], *, kinds: int = 0, draws: int = DRAWS, seed: int = 0
) -> tuple[Model, Verdict]:
    """How many kinds, and are they there? With `kinds` so many, 0: as the data say.

    Kinds are there where, for any number of them from 2 to 6, customers lie closer to their centres than those of one
    Gaussian with the same margins and correlations (a Gaussian copula), beyond what such draws do in 95 of 100, and
    by 5 %. Then their number is that with the largest gain; else it is the largest up to four whose cuts
    are stable. Source: the gap statistic of Tibshirani, Walther and Hastie 2001 with a matched null; Hennig 2007 for
    stability.
    """
    rng, everybody = np.random.default_rng(seed), z
    if len(z) > _TESTED:
        z = z[rng.choice(len(z), _TESTED, replace=False)]
    most = max(2, min(MOST, len(z) // _LEAST))
    ks = np.arange(2, most + 1)
    like = _copula(z)
    drawn = np.array([_within(like(rng), ks) for _ in range(draws)])
    ours, middle, spread = _within(z, ks), drawn.mean(axis=0), np.maximum(drawn.std(axis=0), 1e-12)
    gains, far = 1 - np.exp(ours - middle), (middle - ours) / spread
    p = (1 + int((((middle - drawn) / spread).max(axis=1) >= far.max() - 1e-9).sum())) / (draws + 1)
    structure = bool(p <= ERROR and gains.max() >= WORTH)
    if structure and not kinds:
        kinds = int(ks[np.argmax(gains >= gains.max() - WORTH / 2)])
    for k in [kinds] if kinds else range(min(_CUTS, most), 1, -1):
        model = fit(everybody, scales, kinds=k, seed=seed)
        stable = stability(z, model.centres, rng=rng)
        size = np.bincount(nearest(everybody, model), minlength=k).min()
        if kinds or (stable.mean() >= _STABLE and size >= max(_LEAST, _LEAST_SHARE * len(everybody))):
            break
    like_it = like(rng)
    null = stability(like_it, fit(like_it, scales, kinds=k).centres, rng=rng).mean()
    curve = pd.DataFrame({"kinds": ks, "gain": gains, "z": far})
    return model, Verdict(structure, float(gains.max()), p, stable, float(null), curve)


def _within(z: Floats, ks: NDArray[np.int64]) -> Floats:
    return np.log([max(_clustered(z, int(k), starts=2, seed=0).inertia_, 1e-12) for k in ks])


def _copula(z: Floats) -> Callable[[np.random.Generator], Floats]:
    """Draws from one Gaussian with the margins and rank correlations of z."""
    n, d = z.shape
    normal = stats.norm.ppf((stats.rankdata(z, axis=0) - 0.5) / n)
    values, vectors = np.linalg.eigh(np.atleast_2d(np.corrcoef(normal.T)))
    root, ranked = vectors * np.sqrt(np.clip(values, 0, None)), np.sort(z, axis=0)

    def draw(rng: np.random.Generator) -> Floats:
        places = (rng.standard_normal((n, d)) @ root.T).argsort(axis=0).argsort(axis=0)
        drawn: Floats = np.take_along_axis(ranked, places, axis=0)
        return drawn

    return draw


def stability(z: Floats, centres: Floats, *, rng: np.random.Generator, boots: int = _BOOTS) -> Floats:
    """How alike does each kind come out when customers are drawn again? Mean Jaccard likeness of its members."""
    kinds = len(centres)
    ours = np.eye(kinds)[_nearest(z, centres)]
    sums = np.zeros(kinds)
    for _ in range(boots):
        again = _clustered(z[rng.integers(0, len(z), len(z))], kinds, starts=3, seed=0).cluster_centers_
        theirs = np.eye(kinds)[_nearest(z, again)]
        both = ours.T @ theirs
        sums += (both / np.maximum(ours.sum(axis=0)[:, None] + theirs.sum(axis=0) - both, 1)).max(axis=1)
    return sums / boots
