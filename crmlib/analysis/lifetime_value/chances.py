"""How likely is each customer to order? The model's chances, or a hazard learnt where that came measurably closer.

The models let everybody's gaps vary like waiting for chance. Many people buy more regularly: once silent for longer
than their own gaps, they are likelier gone than the models say. A logistic regression on recency, frequency, rhythm
and season learns from windows of 90 days that are over how often customers like these did order (Steyerberg 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from crmlib import wording
from crmlib.analysis.lifetime_value.models import PurchaseModel
from crmlib.analysis.lifetime_value.season import Clock
from crmlib.analysis.lifetime_value.timing import Floats

DAYS = 90
LEAST_LEARNT, MOST_WINDOWS = 3, 8
EDGES = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 1.0)
_MOST_ROWS = 20_000  # histories of a window to learn from: coefficients need no more
_LEAST = 1e-4
_RIDGE = 1e-3
_WEEK = 7.0


@dataclass(frozen=True, kw_only=True)
class Window:
    """What came in the 90 days from `start`; patterns as holdout_patterns has. To be judged by, with the model then."""

    start: date
    patterns: pd.DataFrame
    model: PurchaseModel | None = None

    def over(self, day: date) -> bool:
        """Had it ended by `day`?"""
        return (day - self.start).days >= DAYS


@dataclass(frozen=True, kw_only=True)
class Mending:
    """Two fitted regressions: `weights` of the traits of a history, less `centre`, over `scale`; the constant first.

    `weights` tell who orders, `more` how often beyond once whoever does, never above the `most` seen. Of use where the
    season is told by the same kind of clock as when it learnt.
    """

    weights: tuple[float, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    more: tuple[float, ...]
    most: float

    def chance(self, patterns: pd.DataFrame, *, start: date, clock: Clock | None) -> Floats:
        """Chance of an order in the 90 days from `start`."""
        return np.clip(special.expit(self._sum(self.weights, patterns, start, clock)), _LEAST, 1 - _LEAST)

    def each(self, patterns: pd.DataFrame, *, start: date, clock: Clock | None) -> Floats:
        """Mean orders in the 90 days from `start` of those who order at all."""
        return np.minimum(1 + np.exp(np.minimum(self._sum(self.more, patterns, start, clock), 20.0)), self.most)

    def _sum(self, weights: tuple[float, ...], patterns: pd.DataFrame, start: date, clock: Clock | None) -> Floats:
        traits = (_traits(patterns, start, clock) - np.array(self.centre)) / np.array(self.scale)
        return np.asarray(weights[0] + traits @ np.array(weights[1:]))


@dataclass(frozen=True, kw_only=True)
class Chances:
    """Which chances are used, and how they did in windows they had not seen.

    mending     None where the model's own chances stand
    onward      whether chances beyond 90 days go on from the learnt ones
    often       whether those who order do so as often as was learnt, else as the model has it
    windows     how many windows of 90 days were over, and `judged` of them by what earlier ones taught
    better      log loss per customer in the judged windows, mended less plain: value, low, high; nan where none was
    farther     the same over the days kept aside, where those are twice as long or more
    drift       half of the 95 % range of a band's log-odds from one window to the next, beyond customers' own chance
    bands       band, customers, said, low, high, came, plain_said, plain_came, plain_customers: over the judged windows
    """

    mending: Mending | None = None
    onward: bool = True
    often: bool = False
    windows: int = 0
    judged: int = 0
    better: tuple[float, float, float] = (np.nan, np.nan, np.nan)
    farther: tuple[float, float, float] = (np.nan, np.nan, np.nan)
    drift: float = 0.0
    bands: pd.DataFrame | None = None

    def none(self, model: PurchaseModel, patterns: pd.DataFrame, *, days: float) -> Floats:
        """Chance of no order in the next `days`; never less than that over a longer time.

        Over more than 90 days hazards go on as the model has them, in the proportion to which those of the first 90
        were mended. Over fewer, the model's own chance of an order counts up to the mended one of 90 days.
        """
        plain = model.p_none(patterns, days=days)
        if self.mending is None:
            return plain
        quarter = model.p_none(patterns, days=DAYS)
        mended = 1 - self.mending.chance(patterns, start=model.until, clock=model.clock)
        if days == DAYS:
            return mended
        if days < DAYS:
            return np.maximum(plain, mended)
        if not self.onward:
            return np.minimum(plain, mended)
        farther = np.log(np.maximum(plain, 1e-300)) / np.log(np.clip(quarter, 1e-300, 1 - 1e-12))
        return np.asarray(np.exp(np.log(mended) * np.maximum(farther, 1.0)))

    def orders(self, model: PurchaseModel, patterns: pd.DataFrame, *, days: float) -> Floats:
        """Mean orders of one customer of each history, in the same proportions as the chances used.

        Whoever orders at all does so as often as the model says, or as was learnt of 90 days (over another time as much
        more often as the model says); the whole crowd brings as much as the model says.
        """
        plain = model.expected(patterns, days=days)
        if self.mending is None:
            return plain
        buys = 1 - self.none(model, patterns, days=days)
        each = _each(model, patterns, days)
        if self.often:
            learnt = self.mending.each(patterns, start=model.until, clock=model.clock)
            each = np.maximum(learnt * (each / _each(model, patterns, DAYS) if days != DAYS else 1.0), 1.0)
        each = each * buys
        n = patterns["customers"].to_numpy(float)
        return np.asarray(np.maximum(each * (n @ plain) / max(float(n @ each), 1e-12), buys))

    def half_width(self, usual: float) -> float:
        """Half of the 95 % range of a band's log-odds for what moves many at once: as seen in windows, else `usual`."""
        return self.drift if self.judged else usual

    def sentence(self) -> str:
        """What was done with single chances, and why; '' where no window is over."""
        if not self.windows:
            return ""
        own = "Single chances are the model's own"
        if not self.judged:
            over = f"{wording.counted(self.windows, 'window')} of {DAYS} days {wording.noun(self.windows, 'is')} over"
            return f"{own}: only {over}, too few to learn from and to test."
        seen = f"in {wording.counted(self.judged, 'window')} of {DAYS} days that taught nothing"
        if self.mending is None:
            return f"{own}: {seen}, learnt ones were not clearly closer."
        farther = ""
        if np.isfinite(self.farther[0]):
            farther = f", but not over the whole test, so beyond {DAYS} days the model's own stand"
            farther = ", and over the whole test" if self.onward else farther
        return (
            f"Single chances are learnt from what customers with such a rhythm and silence did before: {seen}, they "
            f"came closer to what customers did than the model's own{farther}."
        )


def _each(model: PurchaseModel, patterns: pd.DataFrame, days: float) -> Floats:
    """Mean orders of those who order at all, as the model has it."""
    buys = 1 - model.p_none(patterns, days=days)
    return np.maximum(model.expected(patterns, days=days) / np.maximum(buys, 1e-12), 1.0)


def band_of(chance: pd.Series | Floats) -> NDArray[np.intp]:
    """Which of the bands a chance lies in."""
    return np.clip(np.searchsorted(EDGES, np.asarray(chance, float), side="right") - 1, 0, len(EDGES) - 2)


def band_names() -> list[str]:
    """What the bands are called, in files and on the page."""
    return [f"{round(100 * low)}–{round(100 * high)} %" for low, high in pairwise(EDGES)]


def learn(windows: Sequence[Window], *, clock: Clock | None = None) -> Mending:
    """Fit the regressions on windows that are over, in the season that `clock` tells."""
    from sklearn.linear_model import LogisticRegression, PoissonRegressor

    some = [thinned(window.patterns) for window in windows]
    rows = [_traits(part, window.start, clock) for part, window in zip(some, windows, strict=True)]
    traits = np.vstack(rows)
    bought = np.concatenate([part["purchases"].to_numpy(float) for part in some])
    came = bought > 0
    n = np.concatenate([part["customers"].to_numpy(float) for part in some])
    centre = n @ traits / n.sum()
    scale = np.maximum(np.sqrt(n @ np.square(traits - centre) / n.sum()), 1e-9)
    # The slight ridge only keeps coefficients finite where a trait does not vary.
    traits = (traits - centre) / scale
    who = LogisticRegression(solver="newton-cholesky", max_iter=300).fit(traits, came, sample_weight=n)
    # Only those who ordered tell how often, so a silence says no more than it did to them.
    often = PoissonRegressor(alpha=_RIDGE, solver="newton-cholesky", max_iter=300)
    often.fit(traits[came], bought[came] - 1, sample_weight=n[came])
    return Mending(
        weights=(float(who.intercept_[0]), *map(float, who.coef_[0])), centre=tuple(map(float, centre)),
        scale=tuple(map(float, scale)), more=(float(often.intercept_), *map(float, often.coef_)),
        most=float(bought.max()),
    )  # fmt: skip


def judge(windows: Sequence[Window], taught: Sequence[Window] = ()) -> Chances:
    """Learn the chances or leave the model's? Each window is held against what was over when it began.

    `taught` are windows to learn from, which may overlap: `windows` themselves where there are none. The same customers
    stand behind every window, so the deviations of the windows' differences are added as if they always erred
    together; a tie leaves the model's.
    """
    ordered, taught = sorted(windows, key=lambda window: window.start), taught or windows
    looks, clock = [], None
    for window in ordered:
        assert window.model is not None
        clock = window.model.clock
        known = [one for one in taught if one.over(window.start) and _varies(one)]
        if len(known) >= LEAST_LEARNT and _varies(window):
            looks.append(_Seen.of(window, learn(known, clock=clock)))
    if not looks:
        return Chances(windows=len(ordered))
    better = _difference([(look.customers, look.loss(look.mended) - look.loss(look.plain)) for look in looks])
    used = better[2] < 0
    often = used and _difference([(look.customers, look.often) for look in looks])[2] < 0
    return Chances(
        mending=learn([one for one in taught if _varies(one)], clock=clock) if used else None, windows=len(ordered),
        often=often, judged=len(looks), better=better, drift=_drift(looks, used), bands=_bands(looks, used),
    )  # fmt: skip


def go_on(
    chances: Chances, taught: Sequence[Window], *, patterns: pd.DataFrame, model: PurchaseModel, days: int
) -> Chances:
    """Hold learnt chances against what came over a longer time too: `patterns` and `model` of a look over `days`.

    Where too little was over when the look began, they go on: 90 days were judged.
    """
    then = as_of(chances, taught, model=model)
    if then.mending is None or days < 2 * DAYS:
        return chances
    came, n = patterns["purchases"].to_numpy() > 0, patterns["customers"].to_numpy(float)
    mended, plain = then.none(model, patterns, days=days), model.p_none(patterns, days=days)
    farther = _difference([(n, _loss(1 - mended, came) - _loss(1 - plain, came))])
    found = replace(chances, onward=farther[2] < 0, farther=farther)
    apart = _often(replace(then, onward=found.onward), model, patterns, days=days)
    return replace(found, often=found.often and _difference([(n, apart)])[2] < 0)


def as_of(chances: Chances, taught: Sequence[Window], *, model: PurchaseModel) -> Chances:
    """The chances as they would have been learnt on the day `model` was fitted, from what was over by then."""
    known = [window for window in taught if window.over(model.until) and _varies(window)]
    if chances.mending is None or len(known) < LEAST_LEARNT:
        return replace(chances, mending=None)
    return replace(chances, mending=learn(known, clock=model.clock))


@dataclass(frozen=True)
class _Seen:
    """One judged window: customers of each history, whether they ordered, both chances; how much closer orders are
    where it was learnt how often."""

    customers: Floats
    came: NDArray[np.bool_]
    plain: Floats
    mended: Floats
    often: Floats

    @classmethod
    def of(cls, window: Window, mending: Mending) -> _Seen:
        assert window.model is not None
        plain = 1 - window.model.p_none(window.patterns, days=DAYS)
        mended = mending.chance(window.patterns, start=window.start, clock=window.model.clock)
        n, came = window.patterns["customers"].to_numpy(float), window.patterns["purchases"].to_numpy() > 0
        return cls(n, came, plain, mended, _often(Chances(mending=mending), window.model, window.patterns, days=DAYS))

    def loss(self, chance: Floats) -> Floats:
        return _loss(chance, self.came)

    def by_band(self, chance: Floats) -> Floats:
        """Customers, expected buyers, their variance, buyers: shape (4, bands)."""
        which, n = band_of(chance), self.customers
        parts = (n, n * chance, n * chance * (1 - chance), n * self.came)
        return np.stack([np.bincount(which, weights=part, minlength=len(EDGES) - 1) for part in parts])


def _loss(chance: Floats, came: NDArray[np.bool_]) -> Floats:
    sure = np.clip(chance, _LEAST, 1 - _LEAST)
    return -np.where(came, np.log(sure), np.log1p(-sure))


def deviance(mean: Floats, bought: Floats, customers: Floats) -> Floats:
    """Poisson deviance of each row: finite even where 'never' was said.

    A mean counts as at least half a purchase among all customers: less cannot be told from this many.

    >>> deviance(np.array([2.0]), np.array([2.0]), np.ones(1))
    array([0.])
    """
    mean = np.maximum(mean, 0.5 / customers.sum())
    return np.asarray(2 * (special.xlogy(bought, bought / mean) - (bought - mean)))


def _often(chances: Chances, model: PurchaseModel, patterns: pd.DataFrame, *, days: float) -> Floats:
    """Deviance of each row where buyers order as often as was learnt, less that as the model has it."""
    bought, n = patterns["purchases"].to_numpy(float), patterns["customers"].to_numpy(float)
    learnt, plain = (replace(chances, often=often).orders(model, patterns, days=days) for often in (True, False))
    return deviance(learnt, bought, n) - deviance(plain, bought, n)


def _varies(window: Window) -> bool:
    bought = window.patterns["purchases"] > 0
    return bool(bought.any() and not bought.all())


def thinned(patterns: pd.DataFrame) -> pd.DataFrame:
    """As many histories as coefficients need."""
    return patterns if len(patterns) <= _MOST_ROWS else patterns.sample(_MOST_ROWS, random_state=0)


def _traits(patterns: pd.DataFrame, start: date, clock: Clock | None) -> Floats:
    """What the regression looks at: how often somebody bought, for how long known, how long silent; the season.

    Silence over the own mean gap bends at one, two and four gaps, and counts for more the better the gap is known;
    silence itself bends after a month and after a quarter.
    """
    x, recency, t = (patterns[name].to_numpy(float) for name in ("frequency", "recency_days", "t_days"))
    silent, gap = np.log(t - recency + _WEEK), np.log(recency / np.maximum(x, 1) + _WEEK)
    late, known = np.where(x > 0, silent - gap, 0.0), x / (x + 3)
    bends = [late, *(np.maximum(late - np.log(gaps), 0) for gaps in (1, 2, 4))]
    busy = np.log(clock.ahead(start, days=DAYS) / DAYS) if clock else 0.0
    return np.column_stack(
        [x == 0, np.log1p(x), *bends, *(known * bend for bend in bends), known * gap,
         silent, *(np.maximum(silent - np.log(days + _WEEK), 0) for days in (30, DAYS)),
         np.log((x + 0.5) / (t + 30)), np.log(t + 30), np.full(len(x), busy)]
    )  # fmt: skip


def _difference(parts: Sequence[tuple[Floats, Floats]]) -> tuple[float, float, float]:
    """Mean over all customers of all parts, with its 95 % interval: parts are (customers, value) by history."""
    total = sum(float(n.sum()) for n, _ in parts)
    value = sum(float(n @ apart) for n, apart in parts) / total
    half = 1.96 * sum(float(np.sqrt(n @ np.square(apart - n @ apart / n.sum()))) for n, apart in parts) / total
    return value, value - half, value + half


def _drift(looks: Sequence[_Seen], used: bool) -> float:
    """Half of the 95 % range of a band's log-odds between windows: beyond customers' chance, weighted by knowledge."""
    errors, chances = [], []
    for look in looks:
        n, said, variance, came = look.by_band(look.mended if used else look.plain)
        slope = np.where(n > 0, said * (n - said) / np.maximum(n, 1), 0.0)
        known = variance > 1
        errors.append((came - said)[known] / slope[known])
        chances.append(variance[known] / np.square(slope[known]))
    error, chance = np.concatenate(errors), np.concatenate(chances)
    if len(error) < 2:
        return 0.0
    weight = 1 / np.square(chance + np.median(chance))
    beyond = max(float(weight @ (np.square(error) - chance) / weight.sum()), 0.0)
    return float(stats.t.ppf(0.975, len(error) - 1) * np.sqrt(beyond))


def _bands(looks: Sequence[_Seen], used: bool) -> pd.DataFrame:
    """Said and came by band over the judged windows, both ways, with 95 % ranges of chance and drift."""
    n, said, variance, came = sum((look.by_band(look.mended if used else look.plain) for look in looks), np.zeros(1))
    plain, plain_said, _, plain_came = sum((look.by_band(look.plain) for look in looks), np.zeros(1))
    with np.errstate(invalid="ignore", divide="ignore"):
        share, off = said / n, np.sqrt(variance) / n
        drift = _drift(looks, used) * share * (1 - share) / np.sqrt(len(looks))
        half = np.hypot(1.96 * off, drift)
        return pd.DataFrame(
            {"band": band_names(), "customers": n.astype(int), "said": share, "low": np.maximum(share - half, 0),
             "high": np.minimum(share + half, 1), "came": came / n, "plain_customers": plain.astype(int),
             "plain_said": plain_said / plain, "plain_came": plain_came / plain}
        ).query("customers > 0 or plain_customers > 0").reset_index(drop=True)  # fmt: skip
