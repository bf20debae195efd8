"""By how much do sales fall when a price rises? Up a ladder: naively, within products, without promotions and season.

Pieces by product and week, weeks of no piece included, by Poisson pseudo-likelihood (Santos Silva and Tenreyro 2006):
right for counts that scatter more than Poisson's, where logarithms of counts would lose the zeros. An association: only
prices set by lot would tell what the price alone does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats as distributions

from crmlib import figures, formats
from crmlib.analysis.prices.history import History
from crmlib.findings import Metric, Part
from crmlib.stats.shrinkage import towards_mean

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RUNGS = ("All products together", "Within products", "Without promotions", "Without season")
TOGETHER = "moved with all others"
_OWN_SEASON = 10  # products of a category from which it has a season of its own
_LEAST_RUNG, _LEAST_PROMOTION = 5, 3
_LAGS, _KEPT = 26, (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)  # weeks over which sales may stay above or below the expected ones
_ALONE = 0.25  # share of its price's movement that a product must not have in common with the others
_COLUMNS = ["product_id", "own", "error", "own_low", "own_high", "elasticity", "low", "high"]


@dataclass(frozen=True, kw_only=True)
class Slopes:
    """Elasticities: percent more pieces for one percent more price, below zero.

    ladder    rung, elasticity, low, high (95 %, errors clustered by product), n (product weeks); the last is to be
              believed most. Empty where fewer than five products moved their price
    table     product_id, own with error, own_low, own_high (of its own weeks), elasticity with low and high (drawn
              towards the shop's as far as chance explains their scatter); products whose price moved
    together  products whose price moved only when the others' did, so that season cannot be told from price
    wander    how far a product's sales stray from what is expected for weeks on end, as a share of them
    """

    __repr__ = formats.outline

    ladder: pd.DataFrame
    table: pd.DataFrame
    together: tuple[str, ...]
    wander: float


def slopes(found: History) -> Slopes:
    """How do pieces answer to prices, of the shop and of each product whose lasting price moved?

    >>> made = slopes(history(store))
    >>> bool((made.table["own_low"] <= made.table["own_high"]).all())
    True
    """
    weeks = found.weeks.merge(found.products[["product_id", "kind"]], on="product_id")
    often = weeks.groupby("kind")["product_id"].transform("nunique")
    kind = weeks["kind"].where(often >= _OWN_SEASON, "").astype(str)
    weeks["product"] = pd.factorize(weeks["product_id"])[0]
    weeks["cell"] = pd.factorize(kind + "|" + weeks["week"].astype(str))[0]
    weeks = weeks[weeks.groupby("cell")["pieces"].transform("sum") > 0]
    ones, together, wander = _each(weeks, set(found.moved)) if found.moved else ([], (), 0.0)
    ladder = pd.DataFrame(_ladder(weeks, len(ones)) if len(ones) >= _LEAST_RUNG else [],
                          columns=["rung", "elasticity", "low", "high", "n"])  # fmt: skip
    return Slopes(ladder=ladder, table=_pooled(ones), together=together, wander=wander)


def _ladder(weeks: pd.DataFrame, moved: int) -> list[tuple[object, ...]]:
    y, products, cells = weeks["pieces"].to_numpy(float), weeks["product"].to_numpy(), weeks["cell"].to_numpy()
    paid, base = (np.log(weeks[[name]].to_numpy(float)) for name in ("paid", "base"))
    off = weeks[["promotion"]].to_numpy(float)
    shelf = np.hstack([base, off]) if off.any() else base
    nothing = np.zeros(len(y), dtype=np.int64)
    rows: list[tuple[object, ...]] = []
    grouped = ([nothing], [products], [products], [products, cells])
    for rung, x, effects in zip(RUNGS, (paid, paid, shelf, shelf), grouped, strict=True):
        theta, covariance = poisson(y, x, effects, cluster=products)
        # Only products whose price moved tell anything: as many degrees of freedom.
        half = float(distributions.t.ppf(0.975, moved - 1) * np.sqrt(covariance[0, 0]))
        rows.append((rung, theta[0], theta[0] - half, theta[0] + half, len(y)))
    return rows


def poisson(y: Floats, x: Floats, effects: Sequence[Ints], *, cluster: Ints) -> tuple[Floats, Floats]:
    """Slopes of a Poisson regression with effects of one or more groupings taken out, and their clustered covariance.

    Reweighted least squares on what is left within the groups, of which each has sales (Correia, Guimarães and Zylkin
    2020).

    >>> x = np.log([[1.0], [2.0], [1.0], [2.0]])
    >>> theta, _ = poisson(np.array([40.0, 10, 80, 20]), x, [np.array([0, 0, 1, 1])], cluster=np.array([0, 0, 1, 1]))
    >>> round(float(theta[0]), 6)
    -2.0
    """
    mu, theta = (y + y.mean()) / 2, np.zeros(x.shape[1])
    eta = np.log(mu)
    for _ in range(50):
        target = eta + (y - mu) / mu
        both = _within(mu, effects, np.column_stack([target, x]))
        root = np.sqrt(mu)[:, None]
        before, theta = theta, np.linalg.lstsq(both[:, 1:] * root, both[:, 0] * root[:, 0], rcond=None)[0]
        eta = np.clip(target - (both[:, 0] - both[:, 1:] @ theta), -30, 30)
        mu = np.exp(eta)
        if np.abs(theta - before).max() < 1e-7:
            break
    within = _within(mu, effects, x)
    bread = np.linalg.pinv((within * mu[:, None]).T @ within)
    sums = np.column_stack([np.bincount(cluster, column) for column in (within * (y - mu)[:, None]).T])
    # Each cluster has pulled the slope towards itself: CR3 of Bell and McCaffrey 2002 gives that back.
    pull = np.array([[np.bincount(cluster, mu * one * other) for other in within.T] for one in within.T])
    rest = (1 + 1e-9) * np.eye(len(theta)) - pull.transpose(2, 0, 1) @ bread
    scores = np.linalg.solve(rest, sums[:, :, None])[:, :, 0]
    return theta, bread @ (scores.T @ scores) @ bread


def _within(weight: Floats, effects: Sequence[Ints], columns: Floats) -> Floats:
    """What is left of columns once the weighted means of all groupings are taken out, in turn until nothing moves."""
    left = columns.copy()
    sums = [np.maximum(np.bincount(group, weight), 1e-300) for group in effects]
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
    """One product's weeks: its columns (a constant, the price's logarithm, promotion) with their slopes, counts, what
    was expected, weeks, cells and what share of its cell it is."""

    name: str
    x: Floats
    theta: Floats
    y: Floats
    mu: Floats
    week: Ints
    cell: Ints
    share: Floats
    priced: bool

    @property
    def scatter(self) -> float:
        """How much more counts scatter from week to week than Poisson's."""
        free = max(len(self.y) - self.x.shape[1], 1)
        return max(float(((self.y - self.mu) ** 2 / self.mu).sum() / free), 0.5)

    @property
    def price(self) -> Floats:
        """The price's logarithm around its mean; none where it did not move."""
        return self.x[:, 1] if self.priced else np.zeros(len(self.y))

    def error(self, size: float, kept: float) -> float:
        """Standard error of the price's slope: chance, wandering, and that a product is part of its own season."""
        free = self.mu * (1 - self.share)
        bread = np.linalg.pinv((self.x * free[:, None]).T @ self.x)
        slow = size * kept ** np.abs(self.week[:, None] - self.week) * np.outer(free, free)
        return float(np.sqrt((bread @ self.x.T @ (slow + np.diag(self.scatter * free)) @ self.x @ bread)[1, 1]))


def _each(weeks: pd.DataFrame, moved: set[str]) -> tuple[list[tuple[str, float, float]], tuple[str, ...], float]:
    """Each product's own slope and its error, the season being what its cells have in common: in turn until both
    hold."""
    ones = [_one(str(name), rows, moved) for name, rows in weeks.groupby("product_id", sort=False)]
    cells, bare = np.concatenate([one.cell for one in ones]), np.ones(int(weeks["cell"].max()) + 1)
    sold = np.bincount(weeks["cell"], weeks["pieces"], len(bare))
    for _ in range(60):
        season = np.log(np.maximum(sold, 0.5) / np.maximum(bare, 1e-12))
        before, ones = ones, [_newton(one, season[one.cell]) for one in ones]
        bare[:] = np.bincount(cells, np.concatenate([one.mu for one in ones]) / np.exp(season[cells]), len(bare))
        if (
            max(np.abs(one.theta[1:] - old.theta[1:]).max(initial=0) for one, old in zip(ones, before, strict=True))
            < 1e-4
        ):
            break
    whole = np.bincount(cells, np.concatenate([one.mu for one in ones]), len(bare))
    ones = [replace(one, share=one.mu / whole[one.cell]) for one in ones]
    size, kept = _wandering(ones)
    common = np.bincount(cells, np.concatenate([one.mu * one.price for one in ones]), len(bare)) / np.maximum(
        whole, 1e-12
    )
    told, together = list[tuple[str, float, float]](), list[str]()
    for one in (one for one in ones if one.priced):
        alone = (one.mu * (one.price - common[one.cell]) ** 2).sum() / (one.mu * one.price**2).sum()
        if alone >= _ALONE:
            told.append((one.name, float(one.theta[1]), one.error(size, kept)))
        else:
            together.append(one.name)
    return told, tuple(together), float(np.sqrt(size))


def _one(name: str, rows: pd.DataFrame, moved: set[str]) -> _One:
    columns, off = [np.ones(len(rows))], rows["promotion"].to_numpy(float)
    if name in moved:
        log = np.log(rows["base"].to_numpy(float))
        columns.append(log - log.mean())
    if _LEAST_PROMOTION <= off.sum() <= len(off) - _LEAST_PROMOTION:
        columns.append(off)
    y, theta = rows["pieces"].to_numpy(float), np.zeros(len(columns))
    theta[0] = np.log(max(y.mean(), 1e-3))
    return _One(name, np.column_stack(columns), theta, y, y, rows["week"].to_numpy(), rows["cell"].to_numpy(), y,
                name in moved)  # fmt: skip


def _newton(one: _One, offset: Floats) -> _One:
    theta = one.theta
    for _ in range(25):
        mu = np.exp(np.clip(one.x @ theta + offset, -30, 30))
        curve = (one.x * mu[:, None]).T @ one.x + 1e-6 * np.eye(len(theta))
        step = np.linalg.solve(curve, one.x.T @ (one.y - mu))
        theta = theta + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-6:
            break
    return replace(one, theta=theta, mu=np.exp(np.clip(one.x @ theta + offset, -30, 30)))


def _wandering(ones: Sequence[_One]) -> tuple[float, float]:
    """Variance of slow wandering as a share of sales squared, and what of it is kept from week to week.

    By what residuals of weeks apart have in common, over all products; a regression has taken some of it out, which the
    curve that is fitted to it allows for.
    """
    common, weight = np.zeros(_LAGS + 1), np.zeros(_LAGS + 1)
    for one in ones:
        size = max(int(np.ptp(one.week)), _LAGS) + 1
        at = one.week - one.week.min()
        off, mean = (np.bincount(at, values, size) for values in (one.y - one.mu, one.mu))
        own = np.array([mean[lag:] @ mean[: size - lag] for lag in range(_LAGS + 1)])
        chance = one.scatter * one.x.shape[1] * own / one.mu.sum()
        common += [off[lag:] @ off[: size - lag] for lag in range(_LAGS + 1)] + chance
        weight += own
    lags = np.flatnonzero(weight > 0)[1:]
    curve, weight, best = common[lags] / weight[lags], weight[lags], (np.inf, 0.0, 0.0)
    at = np.arange(max(int(np.median([len(one.y) for one in ones])), _LAGS + 2))
    x = np.column_stack([at < len(at) / 2, at >= len(at) / 2]).astype(float)  # a level before a step and one after
    out = np.eye(len(at)) - x @ np.linalg.pinv(x)
    for kept in _KEPT:
        left = out @ kept ** np.abs(at[:, None] - at) @ out
        shape = np.array([np.diagonal(left, lag).mean() for lag in lags])
        level = max(float((weight * shape * curve).sum() / (weight * shape**2).sum()), 0.0)
        best = min(best, (float((weight * (curve - level * shape) ** 2).sum()), level, kept))
    return best[1], best[2]


def _pooled(ones: Sequence[tuple[str, float, float]]) -> pd.DataFrame:
    """Own slopes with ranges, and the same drawn towards their mean; of fewer than five there is none to draw to."""
    table = pd.DataFrame(ones, columns=["product_id", "own", "error"])
    own, error = table["own"].to_numpy(float), table["error"].to_numpy(float)
    likely, near = own, error
    if len(own) >= _LEAST_RUNG:
        weight = 1 / error / (1 / error).sum()
        middle = float(weight @ own)
        drawn, low, _ = towards_mean(own - middle, error)
        # The mean itself is known only so well: the more a product leans on it, the more that counts.
        own_share = np.clip((drawn - low) / 1.96 / error, 0, 1) ** 2
        doubt = np.sqrt((weight**2 * (own - middle) ** 2).sum())
        likely, near = middle + drawn, np.hypot((drawn - low) / 1.96, (1 - own_share) * doubt)
    ends = {"own_low": own - 1.96 * error, "own_high": own + 1.96 * error}
    return table.assign(**ends, elasticity=likely, low=likely - 1.96 * near, high=likely + 1.96 * near)[_COLUMNS]


def part_ladder(found: Slopes) -> Part:
    """The finding: what naive comparison says, and what is left of it."""
    rows = found.ladder
    if rows.empty:
        return Part()
    first, last = rows.iloc[0], rows.iloc[-1]
    naive, fair = (f"{formats.number(abs(row['elasticity']), digits=1)}% {'less' if row['elasticity'] < 0 else 'more'}"
                   for row in (first, last))  # fmt: skip
    apart = not last["low"] <= first["elasticity"] <= last["high"]
    near = (
        "Here a naive comparison says the same." if naive == fair else f"Naively it is {naive}, too near to tell apart."
    )
    metric = Metric(
        id="elasticity", label="Elasticity", value=float(last["elasticity"]), low=float(last["low"]), unit="index",
        high=float(last["high"]), definition="percent more pieces for 1% more price, within products, without "
        "promotions and season; errors clustered by product",
    )  # fmt: skip
    return Part(
        title=f"A product that gets 1% dearer sells {fair}", metrics=[metric], tables={"ladder": rows},
        sentence=f"Whoever compares naively gets {naive}." if apart else near,
        chart=figures.dots(rows, label="rung", value="elasticity", low="low", high="high", what="elasticity",
                           reference=0.0, form=lambda value: formats.number(value, digits=1)),
        method=["Poisson pseudo-likelihood with effects of products and of weeks by category, weeks without a sale "
                f"included; a product's error allows for wandering by {formats.share(found.wander, digits=1)}."],
    )  # fmt: skip
