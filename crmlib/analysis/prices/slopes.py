"""By how much do sales fall when a price rises? Up a ladder: naively, within products, without promotions and season.

Pieces by product and week, weeks of no piece included, by Poisson pseudo-likelihood (Santos Silva and Tenreyro 2006):
right for counts that scatter more than Poisson's, where logarithms of counts would lose the zeros. An association: only
prices set by lot would tell what the price alone does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats as distributions

from crmlib import figures, formats, wording
from crmlib.analysis.prices.history import History
from crmlib.findings import Metric, Part
from crmlib.formats import Estimate
from crmlib.stats.shrinkage import towards_mean

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RUNGS = ("All products together", "Within products", "Without promotions", "Without season")
_OWN_SEASON = 10  # products of a category from which it has a season of its own
_LEAST_RUNG, _LEAST_PROMOTION = 5, 3
_LAGS = 26  # weeks over which a product's sales may stay above or below what is expected
_ALONE = 0.25  # share of its price's movement that a product must not have in common with the others
TOGETHER = "moved with all others"
_COLUMNS = ["product_id", "n", "own", "error", "own_low", "own_high", "elasticity", "low", "high"]


@dataclass(frozen=True, kw_only=True)
class Slopes:
    """Elasticities: percent more pieces for one percent more price, below zero.

    ladder    rung, elasticity, low, high (95 %, errors clustered by product), n (product weeks); the last is to be
              believed most. Empty where fewer than five products moved their price
    table     product_id, n (weeks), own with error, own_low, own_high (of its own weeks), elasticity with low and high
              (drawn towards the shop's as far as chance explains their scatter); products whose price moved
    together  products whose price moved only when the others' did, so that season cannot be told from price
    memory    (size, week by week kept): how far products wander from what is expected, as a share of sales
    """

    __repr__ = formats.outline

    ladder: pd.DataFrame
    table: pd.DataFrame
    together: tuple[str, ...]
    memory: tuple[float, float]

    @property
    def naive(self) -> float:
        """What whoever compares naively gets; nan without a ladder."""
        return float(self.ladder["elasticity"].iloc[0]) if len(self.ladder) else float("nan")


def slopes(found: History) -> Slopes:
    """How do pieces answer to prices, of the shop and of each product whose lasting price moved?

    >>> made = slopes(history(store))
    >>> bool((made.table["own_low"] <= made.table["own_high"]).all())
    True
    """
    weeks = found.weeks.merge(found.products[["product_id", "kind", "moved"]], on="product_id")
    moved = found.moved["product_id"].tolist()
    if not moved:
        return Slopes(
            ladder=_ladder(weeks.head(0), 0), table=pd.DataFrame(columns=_COLUMNS), together=(), memory=(0.0, 0.0)
        )
    often = weeks.groupby("kind")["product_id"].transform("nunique")
    kind = weeks["kind"].where(often >= _OWN_SEASON, "")
    weeks = weeks.assign(
        product=pd.factorize(weeks["product_id"])[0],
        cell=pd.factorize(kind.astype(str) + "|" + weeks["week"].astype(str))[0],
    )
    table, together, memory = _each(weeks, moved)
    return Slopes(ladder=_ladder(weeks, len(table)), table=_pooled(table), together=together, memory=memory)


def _ladder(weeks: pd.DataFrame, moved: int) -> pd.DataFrame:
    rows = []
    if moved >= _LEAST_RUNG:
        y, products, cells = (weeks[name].to_numpy() for name in ("pieces", "product", "cell"))
        paid, base = np.log(weeks["paid"].to_numpy(float)), np.log(weeks["base"].to_numpy(float))
        off = weeks["promotion"].to_numpy(float)
        shelf = np.column_stack([base, off]) if off.any() else base[:, None]
        nothing = np.zeros(len(y), dtype=np.int64)
        for rung, x, effects in zip(RUNGS, (paid[:, None], paid[:, None], shelf, shelf),
                                    ([nothing], [products], [products], [products, cells]), strict=True):  # fmt: skip
            theta, covariance = poisson(y.astype(float), x, effects, cluster=products)
            half = float(distributions.t.ppf(0.975, max(moved - 1, 1)) * np.sqrt(covariance[0, 0]))
            rows.append((rung, theta[0], theta[0] - half, theta[0] + half, len(y)))
    return pd.DataFrame(rows, columns=["rung", "elasticity", "low", "high", "n"])


def poisson(y: Floats, x: Floats, effects: Sequence[Ints], *, cluster: Ints) -> tuple[Floats, Floats]:
    """Slopes of a Poisson regression with effects of one or more groupings taken out, and their clustered covariance.

    Reweighted least squares on what is left within the groups (Correia, Guimarães and Zylkin 2020).

    >>> x = np.log([[1.0], [2.0], [1.0], [2.0]])
    >>> theta, _ = poisson(np.array([40.0, 10, 80, 20]), x, [np.array([0, 0, 1, 1])], cluster=np.array([0, 0, 1, 1]))
    >>> round(float(theta[0]), 6)
    -2.0
    """
    kept = np.ones(len(y), dtype=np.bool_)
    for group in effects:  # a group in which nothing was sold says nothing
        kept &= np.bincount(group, y)[group] > 0
    y, x, cluster = y[kept], x[kept], cluster[kept]
    effects = [np.unique(group[kept], return_inverse=True)[1] for group in effects]
    mu = (y + y.mean()) / 2
    eta, theta = np.log(mu), np.zeros(x.shape[1])
    for _ in range(50):
        both = _within(mu, effects, np.column_stack([eta + (y - mu) / mu, x]))
        root = np.sqrt(mu)[:, None]
        before, theta = theta, np.linalg.lstsq(both[:, 1:] * root, both[:, 0] * root[:, 0], rcond=None)[0]
        eta = np.clip(eta + (y - mu) / mu - (both[:, 0] - both[:, 1:] @ theta), -30, 30)
        mu = np.exp(eta)
        if np.abs(theta - before).max() < 1e-7:
            break
    within = _within(mu, effects, x)
    bread = np.linalg.pinv((within * mu[:, None]).T @ within)
    _, code = np.unique(cluster, return_inverse=True)
    scores = np.column_stack([np.bincount(code, column) for column in (within * (y - mu)[:, None]).T])
    clusters = len(scores)
    return theta, bread @ (scores.T @ scores) @ bread * clusters / max(clusters - 1, 1)


def _within(weight: Floats, effects: Sequence[Ints], columns: Floats) -> Floats:
    """What is left of columns once the weighted means of all groupings are taken out, in turn until nothing moves."""
    left = columns.copy()
    sums = [np.bincount(group, weight) for group in effects]
    for _ in range(1 if len(effects) == 1 else 500):
        most = 0.0
        for group, total in zip(effects, sums, strict=True):
            means = np.column_stack([np.bincount(group, weight * column) for column in left.T]) / total[:, None]
            left -= means[group]
            most = max(most, float(np.abs(means).max()))
        if most < 1e-9:
            break
    return left


@dataclass(frozen=True)
class _One:
    """One product's weeks: its columns (a constant, the price's logarithm, promotion), counts, weeks and cells."""

    name: str
    x: Floats
    y: Floats
    week: Ints
    cell: Ints
    priced: bool


def _each(weeks: pd.DataFrame, moved: Sequence[str]) -> tuple[pd.DataFrame, tuple[str, ...], tuple[float, float]]:
    """Each product's own slope, the season being what all products of its kind have in common week by week."""
    chosen = set(moved)
    ones = [_one(str(name), rows, str(name) in chosen) for name, rows in weeks.groupby("product_id", sort=False)]
    season, thetas = np.zeros(int(weeks["cell"].max()) + 1), [np.zeros(one.x.shape[1]) for one in ones]
    sold = np.bincount(weeks["cell"], weeks["pieces"], len(season))
    for theta, one in zip(thetas, ones, strict=True):
        theta[0] = np.log(max(one.y.mean(), 1e-3))
    for _ in range(60):
        before = np.concatenate(thetas)
        thetas = [_newton(one, theta, season[one.cell]) for one, theta in zip(ones, thetas, strict=True)]
        bare = np.zeros(len(season))
        for one, theta in zip(ones, thetas, strict=True):
            np.add.at(bare, one.cell, np.exp(one.x @ theta))
        season = np.log(np.maximum(sold, 0.5) / bare)
        if np.abs(np.concatenate(thetas) - before).max() < 1e-4:
            break
    means = [np.exp(one.x @ theta + season[one.cell]) for one, theta in zip(ones, thetas, strict=True)]
    whole = np.zeros(len(season))
    for one, mu in zip(ones, means, strict=True):
        np.add.at(whole, one.cell, mu)
    scatter = [_scatter(one, mu) for one, mu in zip(ones, means, strict=True)]
    own = [_autocovariance(one, mu, phi) for one, mu, phi in zip(ones, means, scatter, strict=True)]
    size, kept = _memory(own)
    rows, together = [], []
    for one, theta, mu, phi in zip(ones, thetas, means, scatter, strict=True):
        if not one.priced:
            continue
        share = mu / whole[one.cell]
        if _alone(one, mu, share) < _ALONE:
            together.append(one.name)
            continue
        error = _error(one, mu, phi, share, memory=(size, kept))
        rows.append((one.name, len(one.y), theta[1], error))
    table = pd.DataFrame(rows, columns=["product_id", "n", "own", "error"])
    return table, tuple(together), (size, kept)


def _one(name: str, rows: pd.DataFrame, moved: bool) -> _One:
    rows = rows.sort_values("week", ascending=False)
    columns = [np.ones(len(rows))]
    if moved:
        log = np.log(rows["base"].to_numpy(float))
        columns.append(log - log.mean())
    off = rows["promotion"].to_numpy(float)
    if _LEAST_PROMOTION <= off.sum() <= len(off) - _LEAST_PROMOTION:
        columns.append(off)
    week, cell = rows["week"].to_numpy(np.int64), rows["cell"].to_numpy(np.int64)
    return _One(name, np.column_stack(columns), rows["pieces"].to_numpy(float), week, cell, moved)


def _newton(one: _One, theta: Floats, offset: Floats) -> Floats:
    for _ in range(25):
        mu = np.exp(np.clip(one.x @ theta + offset, -30, 30))
        curve = (one.x * mu[:, None]).T @ one.x + 1e-6 * np.eye(len(theta))
        step = np.linalg.solve(curve, one.x.T @ (one.y - mu))
        theta = theta + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-6:
            break
    return theta


def _scatter(one: _One, mu: Floats) -> float:
    """How much more counts scatter from week to week than Poisson's; at least as they would in the mean."""
    free = max(len(mu) - one.x.shape[1], 1)
    return max(float(((one.y - mu) ** 2 / mu).sum() / free), 0.5)


def _autocovariance(one: _One, mu: Floats, phi: float) -> tuple[Floats, Floats]:
    """Sums by lag of what products of two weeks' residuals have in common, and of their means, to be pooled."""
    size = int(one.week.max() - one.week.min()) + 1
    off, mean = np.zeros(size), np.zeros(size)
    at = one.week.max() - one.week
    off[at], mean[at] = one.y - mu, mu
    lags = range(1, min(_LAGS, size - 1) + 1)
    weight = np.array([float((mean[lag:] * mean[:-lag]).sum()) for lag in lags])
    # What a regression has taken out makes residuals lean against one another.
    common = (
        np.array([float((off[lag:] * off[:-lag]).sum()) for lag in lags]) + phi * one.x.shape[1] * weight / mu.sum()
    )
    return np.pad(common, (0, _LAGS - len(common))), np.pad(weight, (0, _LAGS - len(weight)))


def _memory(own: Sequence[tuple[Floats, Floats]]) -> tuple[float, float]:
    """Variance of slow wandering as a share of sales squared, and what of it is kept from week to week."""
    common, weight = (np.sum([pair[place] for pair in own], axis=0) for place in (0, 1))
    there = weight > 0
    lag = np.arange(1, _LAGS + 1)[there]
    curve, weight = (common[there] / weight[there]), weight[there]
    best = (np.inf, 0.0, 0.0)
    for kept in (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98):
        shape = kept**lag
        size = max(float((weight * shape * curve).sum() / (weight * shape**2).sum()), 0.0)
        best = min(best, (float((weight * (curve - size * shape) ** 2).sum()), size, kept))
    return best[1], best[2]


def _alone(one: _One, mu: Floats, share: Floats) -> float:
    """What share of the movement of its price a product does not have in common with its cells."""
    x = one.x[:, 1] - np.average(one.x[:, 1], weights=mu)
    return float((mu * (1 - share) * x**2).sum() / (mu * x**2).sum())


def _error(one: _One, mu: Floats, phi: float, share: Floats, *, memory: tuple[float, float]) -> float:
    """Standard error of the price's slope: chance, slow wandering, and that a product is part of its own season."""
    size, kept = memory
    free = mu * (1 - share)
    bread = np.linalg.pinv((one.x * free[:, None]).T @ one.x)
    slow = size * kept ** np.abs(one.week[:, None] - one.week[None, :]) * np.outer(free, free)
    meat = one.x.T @ (slow + np.diag(phi * free)) @ one.x
    return float(np.sqrt((bread @ meat @ bread)[1, 1]))


def _pooled(table: pd.DataFrame) -> pd.DataFrame:
    """Own slopes with ranges, and the same drawn towards the shop's mean as far as chance explains their scatter."""
    if table.empty:
        return pd.DataFrame(columns=_COLUMNS)
    own, error = table["own"].to_numpy(float), table["error"].to_numpy(float)
    weight = 1 / error**2
    middle = float((weight * own).sum() / weight.sum())
    q = float((weight * (own - middle) ** 2).sum())
    spread = max(0.0, (q - len(own) + 1) / max(float(weight.sum() - (weight**2).sum() / weight.sum()), 1e-9))
    weight = 1 / (error**2 + spread)
    middle = float((weight * own).sum() / weight.sum())
    likely, low, _ = towards_mean(own - middle, error)
    # The middle itself is known only so well, where there are few products not at all.
    near = np.sqrt(
        ((likely - low) / 1.96) ** 2 + (1 - np.clip((likely - low) / 1.96 / error, 0, 1) ** 2) ** 2 / weight.sum()
    )
    if len(own) < _LEAST_RUNG:
        likely, near = own - middle, error
    return table.assign(
        own_low=own - 1.96 * error, own_high=own + 1.96 * error, elasticity=middle + likely,
        low=middle + likely - 1.96 * near, high=middle + likely + 1.96 * near,
    )[_COLUMNS]  # fmt: skip


def part_ladder(found: Slopes) -> Part:
    """The finding: what naive comparison says, and what is left of it."""
    rows = found.ladder
    if rows.empty:
        return Part()
    first, last = rows.iloc[0], rows.iloc[-1]
    naive, fair = (formats.number(row["elasticity"], digits=1) for row in (first, last))
    believed = Estimate(value=float(last["elasticity"]), low=float(last["low"]), high=float(last["high"]), unit="index")
    apart = not last["low"] <= first["elasticity"] <= last["high"]
    title = f"A 1% dearer product sells {_percent(last['elasticity'])}, not {_percent(first['elasticity'])}" if apart else (
        f"A 1% dearer product sells {_percent(last['elasticity'])}"
    )  # fmt: skip
    said = (
        f"Whoever compares naively gets {naive}; within products, without promotions and season it is {fair}."
        if apart else f"Without promotions and season it is {fair}; comparing naively gives {naive}."
    )  # fmt: skip
    return Part(
        title=title, sentence=said,
        chart=figures.dots(rows, label="rung", value="elasticity", low="low", high="high", what="elasticity",
                           form=lambda value: formats.number(value, digits=1), reference=0.0),
        metrics=[Metric.of(believed, id="elasticity", label="Elasticity", definition="percent more pieces for 1% more "
                           "price, within products, without promotions and season; clustered by product")],
        method=["Poisson pseudo-likelihood with effects of products and of weeks by category, zeros included; each "
                f"product's own error allows for wandering of {formats.share(np.sqrt(found.memory[0]), digits=1)} of sales."],
        tables={"ladder": rows},
    )  # fmt: skip


def _percent(slope: float) -> str:
    return f"{formats.number(abs(slope), digits=1)}% {'less' if slope < 0 else 'more'}"
