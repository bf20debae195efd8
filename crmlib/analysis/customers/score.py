"""How loyal is each customer? A score from 0 to 100 out of four parts, tested on later purchases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib import figures, formats
from crmlib.analysis.customers.facts import MAX_CUSTOMERS, Profiles, brought_later, profiles
from crmlib.errors import NotEnoughData
from crmlib.findings import Metric, Part
from crmlib.formats import Estimate
from crmlib.shop.facts import later_purchases
from crmlib.shop.shop import Shop
from crmlib.stats.intervals import share_interval
from crmlib.stats.logistic import fit_logistic
from crmlib.stats.ranking import auc, groups

Floats = NDArray[np.float64]

PARTS = ("recent", "often", "rhythm", "spend")
_MEANT = {
    "recent": "how recent the last purchase is",
    "often": "how many purchases there were",
    "rhythm": "how short the silence is beside the customer's own gaps",
    "spend": "what a purchase comes to",
}
_LEAST_EVENTS = 30
_PENALTY = 1.0  # on each weight, so that a part that tells nothing more gets none
_DRAWS, _DRAWN_AT_ONCE = 200, 20
_TENTHS = 10
_TELLS = 0.6
_BETTER = 0.03  # of pairs ranked right, below which a score is no better than the last date alone for any use


@dataclass(frozen=True)
class Score:
    """The weights of the four parts, and where each begins and ends: 0 points and all its points."""

    weights: Floats
    low: Floats
    high: Floats

    @property
    def most(self) -> Floats:
        """The most points of each part; they sum to 100."""
        return 100 * self.weights / self.weights.sum()

    def points(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Points of each part for rows of `Profiles.frame`; their sum is the score, 0 to 100."""
        scaled = np.clip((_parts(frame) - self.low) / np.maximum(self.high - self.low, 1e-12), 0, 1)
        return pd.DataFrame(scaled * self.most, columns=list(PARTS), index=frame.index)


@dataclass(frozen=True)
class Tested:
    """The score of earlier days held against later purchases.

    before, days  customers as they were known when the test began; it asks who bought in the `days` after
    orders        purchase days of each of them in that time; brought: the margin (or sales) of these days
    tenths        tenth (1 lowest), score (mean), n, bought, share, low, high
    auc, recency  chance that a buyer stood above a non-buyer, by the score and by days since the last purchase alone
    """

    before: Profiles
    days: int
    orders: pd.Series
    tenths: pd.DataFrame
    auc: Estimate
    recency: Estimate
    brought: pd.Series

    @property
    def rises(self) -> bool:
        """Does each tenth buy at least as often as the one below, up to chance?"""
        low, high = self.tenths["low"].to_numpy(), self.tenths["high"].to_numpy()
        return bool((high[1:] >= low[:-1]).all() and high[-1] > low[0] and (self.auc.low or 0) > 0.5)


def fit(before: Profiles, bought: pd.Series) -> Score:
    """Weights of the parts by which later buyers stood out: a logistic regression without negative weights.

    `bought` is true for customers of `before` who bought in the days after it. NotEnoughData below 30 buyers or others.

    >>> fit(before, bought).most.sum().round(6)
    np.float64(100.0)
    """
    y = bought.to_numpy(float)
    if min(y.sum(), len(y) - y.sum()) < _LEAST_EVENTS:
        raise NotEnoughData(f"a score needs {_LEAST_EVENTS} customers who bought later, and as many who did not")
    x = _parts(before.frame)
    low, high = np.quantile(x, 0.01, axis=0), np.quantile(x, 0.99, axis=0)
    scaled = np.clip((x - low) / np.maximum(high - low, 1e-12), 0, 1)
    weights = fit_logistic(scaled, y, ridge=0.0, lasso=_PENALTY)[1:]
    if not weights.sum() > 0:
        raise NotEnoughData("later buyers did not differ from the others in any part of the score")
    return Score(weights, low, high)


def later(shop: Shop, before: Profiles, *, days: int) -> pd.Series:
    """On how many days did each customer of `before` buy in the `days` after it? A number each row.

    >>> int(later(shop, profiles(shop), days=1).sum())
    0
    """
    end = before.day + timedelta(days=days)
    asked = later_purchases(shop, start=before.day, end=end).select("customer_id", "purchases")
    found = shop.fetch(asked, max_rows=MAX_CUSTOMERS).set_index("customer_id")["purchases"]
    return before.frame["customer_id"].map(found).fillna(0).astype(int)


def test(shop: Shop, *, days: int) -> tuple[Score | None, Tested | None]:
    """Fit on the `days` before last, hold against the last `days`, and fit once more for today.

    (None, None) where the shop is younger than that, or too few bought: then there is no score.

    >>> test(shop, days=90)[1].rises
    True
    """
    try:
        return _test(shop, days=days)
    except NotEnoughData:
        return None, None


def _test(shop: Shop, *, days: int) -> tuple[Score, Tested]:
    start = shop.as_of - timedelta(days=days)
    earlier, before = profiles(shop, day=start - timedelta(days=days)), profiles(shop, day=start)
    first = fit(earlier, later(shop, earlier, days=days) > 0)
    orders = later(shop, before, days=days)
    bought = orders > 0
    score = first.points(before.frame).sum(axis=1).to_numpy()
    came = bought.to_numpy(bool)
    own, recency = _ranked((score, -before.frame["silent_days"].to_numpy(float)), came)
    tested = Tested(
        before, days, orders, _tenths(score, came), own, recency, brought_later(shop, before, end=shop.as_of)
    )
    return fit(before, bought), tested


def _ranked(by: Sequence[Floats], bought: NDArray[np.bool_]) -> list[Estimate]:
    """The chance that a buyer stood above a non-buyer by each of `by`, with ranges from customers drawn again."""
    n, rng = len(bought), np.random.default_rng(0)
    order, parts = [groups(values) for values in by], [list[Floats]() for _ in by]
    # A few draws at a time: all of them would take gigabytes for a million customers.
    for size in (0, *[_DRAWN_AT_ONCE] * (_DRAWS // _DRAWN_AT_ONCE)):
        weights = rng.poisson(1.0, (size, n)).astype(float) if size else np.ones((1, n))
        for ranks, part in zip(order, parts, strict=True):
            part.append(auc(ranks, bought, weights))
    found = []
    for drawn in map(np.concatenate, parts):
        low, high = np.quantile(drawn[1:], [0.025, 0.975])
        found.append(Estimate(value=float(drawn[0]), low=float(low), high=float(high), unit="index", n=n))
    return found


def _tenths(score: Floats, bought: NDArray[np.bool_]) -> pd.DataFrame:
    """Tenths by score; equal scores stay together, so that there may be fewer."""
    edges = np.unique(np.quantile(score, np.arange(1, _TENTHS) / _TENTHS, method="higher"))
    at = np.searchsorted(edges, score, side="right")
    frame = pd.DataFrame({"at": at, "score": score, "bought": bought})
    found = frame.groupby("at").agg(score=("score", "mean"), n=("bought", "size"), bought=("bought", "sum"))
    found["share"] = found["bought"] / found["n"]
    found["low"], found["high"] = share_interval(found["bought"], found["n"])
    return found.reset_index(drop=True).assign(tenth=range(1, len(found) + 1))


def _parts(frame: pd.DataFrame) -> Floats:
    """The four parts before they are scaled: more is more loyal, in each."""
    silent, purchases = frame["silent_days"].to_numpy(float), frame["purchases"].to_numpy(float)
    # One purchase has no gap: the time it is known for is what its first gap has come to.
    gap = np.where(purchases > 1, (frame["known_days"] - silent) / np.maximum(purchases - 1, 1), frame["known_days"])
    spend = np.log1p(np.maximum(frame["sales"].to_numpy(float), 0) / purchases)
    return np.column_stack([-np.log1p(silent), np.log(purchases), -np.log((silent + 7) / (gap + 7)), spend])


def part_score(score: Score | None, tested: Tested | None) -> Part:
    """The finding: does the score tell who buys again, and better than the last purchase alone? Nothing without one."""
    if score is None or tested is None:
        return Part(metrics=[_ranking("score", None), _ranking("recency", None)])
    tenths = tested.tenths.assign(
        name=[f"Tenth {int(row.tenth)}, score {row.score:.0f}" for row in tested.tenths.itertuples()]
    )
    top, bottom = tenths.iloc[-1], tenths.iloc[0]
    better = (tested.auc.value or 0) - (tested.recency.value or 1) >= _BETTER
    title = "The loyalty score tells who buys again"
    if not tested.rises:
        apart = bottom["high"] < top["low"] and (tested.auc.low or 0) > _TELLS
        title = f"{title}, but not in every tenth" if apart else "The loyalty score did not tell who buys again"
    shares = [formats.share(row["share"]) for row in (top, bottom)]
    said = f"{shares[0]} of the top tenth bought again within {tested.days} days, {shares[1]} of the lowest."
    return Part(
        title=title, sentence=said,
        chart=figures.dots(
            tenths, label="name", value="share", low="low", high="high", form=formats.share,
            what=f"share who bought within {tested.days} days",
            table=figures.tabulate(
                tenths, caption="Customers by score, and who bought later",
                labels={"tenth": "Tenth", "score": "Score", "n": "Customers", "share": "Bought later"},
                formats={"score": lambda v: formats.number(v), "n": formats.people, "share": formats.share},
                file="tables/score.csv",
            ),
        ),
        metrics=[_ranking("score", tested), _ranking("recency", tested)],
        tables={"score": tested.tenths[["tenth", "score", "n", "bought", "share", "low", "high"]]},
        certain=[_beside(tested, better=better)], method=[_weights(score)],
    )  # fmt: skip


def _ranking(by: str, tested: Tested | None) -> Metric:
    found = None if tested is None else tested.auc if by == "score" else tested.recency
    days = f"purchases in {tested.days} days, fitted on the days before" if tested else "not tested"
    return Metric.of(
        found or Estimate(value=None, unit="index"), id=f"{by}_auc",
        label="Ranking by the score" if by == "score" else "Ranking by the last purchase alone",
        definition=f"chance that somebody who bought later stood above somebody who did not; {days}",
    )  # fmt: skip


def _beside(tested: Tested, *, better: bool) -> str:
    score, recency = (formats.number(100 * (found.value or 0)) for found in (tested.auc, tested.recency))
    said = f"Of two customers, the score puts the one who bought later first {score} times in 100"
    alone = "so does the date of the last purchase alone" if score == recency else (
        f"the date of the last purchase alone, {recency} times{'' if better else ', about as often'}"
    )  # fmt: skip
    return f"{said}; {alone}."


def _weights(score: Score) -> str:
    most = sorted(zip(score.most, PARTS, strict=True), reverse=True)
    said = [f"up to {formats.number(points)} points for {_MEANT[part]}" for points, part in most if points >= 0.5]
    return f"The score adds {'; '.join(said)}."
