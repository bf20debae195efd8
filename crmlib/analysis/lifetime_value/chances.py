"""How likely is each customer to order? The model's chances, mended where that measurably came closer to what came.

The models let everybody's gaps vary like waiting for chance. Many people buy more regularly: once silent for longer
than their own gaps, they are likelier gone than the models say. A logistic regression learns from windows of 90 days
that are over how often customers with such a chance and such a silence did order (Platt 1999; Steyerberg 2019,
chapter 20, on updating a model).
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
from crmlib.analysis.lifetime_value.timing import Floats

DAYS = 90
LEAST_LEARNT, MOST_WINDOWS = 3, 8
EDGES = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 1.0)
_MOST_ROWS = 20_000  # histories of a window to learn from: coefficients need no more
_LEAST = 1e-4
_WEEK = 7.0


@dataclass(frozen=True, kw_only=True)
class Window:
    """What came in the 90 days from `start`, by the model as it stood that day; patterns as holdout_patterns has."""

    start: date
    patterns: pd.DataFrame
    model: PurchaseModel


@dataclass(frozen=True, kw_only=True)
class Mending:
    """A fitted regression: `weights` of the traits of a history, less `centre`, over `scale`; the constant first."""

    weights: tuple[float, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]

    def chance(self, patterns: pd.DataFrame, plain: Floats) -> Floats:
        """Chance of an order within 90 days, given the model's own."""
        traits = (_traits(patterns, plain) - np.array(self.centre)) / np.array(self.scale)
        return np.clip(special.expit(self.weights[0] + traits @ np.array(self.weights[1:])), _LEAST, 1 - _LEAST)


@dataclass(frozen=True, kw_only=True)
class Chances:
    """Which chances are used, and how they did in windows they had not seen.

    mending     None where the model's own chances stand
    onward      whether chances beyond 90 days go on from the mended ones
    windows     how many windows of 90 days were over, and `judged` of them by what earlier ones taught
    better      log loss per customer in the judged windows, mended less plain: value, low, high; nan where none was
    farther     the same over the days kept aside, where those are twice as long or more
    drift       half of the 95 % range of a band's log-odds from one window to the next, beyond customers' own chance
    bands       band, customers, said, low, high, came, plain_said, plain_came, plain_customers: over the judged windows
    """

    mending: Mending | None = None
    onward: bool = True
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
        mended = 1 - self.mending.chance(patterns, 1 - quarter)
        if days == DAYS:
            return mended
        if days < DAYS:
            return np.maximum(plain, mended)
        if not self.onward:
            return np.minimum(plain, mended)
        farther = np.log(np.maximum(plain, 1e-300)) / np.log(np.clip(quarter, 1e-300, 1 - 1e-12))
        return np.asarray(np.exp(np.log(mended) * np.maximum(farther, 1.0)))

    def half_width(self, usual: float) -> float:
        """Half of the 95 % range of a band's log-odds for what moves many at once: as seen in windows, else `usual`."""
        return self.drift if self.judged else usual

    def sentence(self) -> str:
        """What was done with single chances, and why; '' where no window is over."""
        if not self.windows:
            return ""
        if not self.judged:
            return (
                f"Single chances are the model's own: only {wording.counted(self.windows, 'window')} of {DAYS} days "
                f"{wording.noun(self.windows, 'is')} over, too few to learn from and to test."
            )
        seen = f"in {wording.counted(self.judged, 'window')} of {DAYS} days that taught nothing"
        if self.mending is None:
            return f"Single chances are the model's own: {seen}, corrected ones were not clearly closer."
        farther = ""
        if np.isfinite(self.farther[0]):
            farther = (
                ", and over the whole test"
                if self.onward
                else (f", but not over the whole test, so beyond {DAYS} days the model's own stand")
            )
        return (
            f"Single chances are corrected for how long somebody is silent by their own rhythm: {seen}, they came "
            f"closer to what customers did than the model's own{farther}."
        )


def band_of(chance: pd.Series | Floats) -> NDArray[np.intp]:
    """Which of the bands a chance lies in."""
    return np.clip(np.searchsorted(EDGES, np.asarray(chance, float), side="right") - 1, 0, len(EDGES) - 2)


def band_names() -> list[str]:
    """What the bands are called, in files and on the page."""
    return [f"{round(100 * low)}–{round(100 * high)} %" for low, high in pairwise(EDGES)]


def learn(windows: Sequence[Window]) -> Mending:
    """Fit the regression on windows that are over."""
    from sklearn.linear_model import LogisticRegression

    some = [_thinned(window.patterns) for window in windows]
    rows = [_traits(part, _plain(window.model, part)) for part, window in zip(some, windows, strict=True)]
    traits = np.vstack(rows)
    came = np.concatenate([part["purchases"].to_numpy() > 0 for part in some])
    n = np.concatenate([part["customers"].to_numpy(float) for part in some])
    centre = n @ traits / n.sum()
    scale = np.maximum(np.sqrt(n @ np.square(traits - centre) / n.sum()), 1e-9)
    # The slight ridge only keeps coefficients finite where a trait does not vary.
    fitted = LogisticRegression(C=10.0, solver="newton-cholesky").fit((traits - centre) / scale, came, sample_weight=n)
    weights = (float(fitted.intercept_[0]), *map(float, fitted.coef_[0]))
    return Mending(weights=weights, centre=tuple(map(float, centre)), scale=tuple(map(float, scale)))


def judge(windows: Sequence[Window]) -> Chances:
    """Mend the chances or leave them? Each window is held against what only earlier ones taught; a tie mends nothing.

    The same customers stand behind every window, so the deviations of the windows' differences are added as if they
    always erred together.
    """
    ordered = sorted(windows, key=lambda window: window.start)
    if len(ordered) <= LEAST_LEARNT or not all(_varies(window) for window in ordered):
        return Chances(windows=len(ordered))
    looks = [_Seen.of(ordered[k], learn(ordered[:k])) for k in range(LEAST_LEARNT, len(ordered))]
    better = _difference([(look.customers, look.loss(look.mended) - look.loss(look.plain)) for look in looks])
    used = better[2] < 0
    return Chances(
        mending=learn(ordered) if used else None, windows=len(ordered), judged=len(looks), better=better,
        drift=_drift(looks, used), bands=_bands(looks, used),
    )  # fmt: skip


def go_on(
    chances: Chances, windows: Sequence[Window], *, patterns: pd.DataFrame, model: PurchaseModel, days: int
) -> Chances:
    """Hold mended chances against what came over a longer time too: `patterns` and `model` of a look over `days`.

    What was not over when the look began teaches nothing. Where too little was, they go on: 90 days were judged.
    """
    known = [window for window in windows if (model.until - window.start).days >= DAYS]
    if chances.mending is None or days < 2 * DAYS or len(known) < LEAST_LEARNT:
        return chances
    then = Chances(mending=learn(known))
    came, n = patterns["purchases"].to_numpy() > 0, patterns["customers"].to_numpy(float)
    losses = [
        _loss(1 - none, came) for none in (then.none(model, patterns, days=days), model.p_none(patterns, days=days))
    ]
    farther = _difference([(n, losses[0] - losses[1])])
    return replace(chances, onward=farther[2] < 0, farther=farther)


@dataclass(frozen=True)
class _Seen:
    """One judged window: customers of each history, whether they ordered, and both chances."""

    customers: Floats
    came: NDArray[np.bool_]
    plain: Floats
    mended: Floats

    @classmethod
    def of(cls, window: Window, mending: Mending) -> _Seen:
        plain = _plain(window.model, window.patterns)
        return cls(
            window.patterns["customers"].to_numpy(float), window.patterns["purchases"].to_numpy() > 0, plain,
            mending.chance(window.patterns, plain),
        )  # fmt: skip

    def loss(self, chance: Floats) -> Floats:
        return _loss(chance, self.came)

    def by_band(self, chance: Floats) -> Floats:
        """Customers, expected buyers, their variance, buyers: shape (4, bands)."""
        which, n = band_of(chance), self.customers
        parts = (n, n * chance, n * chance * (1 - chance), n * self.came)
        return np.stack([np.bincount(which, weights=part, minlength=len(EDGES) - 1) for part in parts])


def _plain(model: PurchaseModel, patterns: pd.DataFrame) -> Floats:
    return 1 - model.p_none(patterns, days=DAYS)


def _loss(chance: Floats, came: NDArray[np.bool_]) -> Floats:
    sure = np.clip(chance, _LEAST, 1 - _LEAST)
    return -np.where(came, np.log(sure), np.log1p(-sure))


def _varies(window: Window) -> bool:
    bought = window.patterns["purchases"] > 0
    return bool(bought.any() and not bought.all())


def _thinned(patterns: pd.DataFrame) -> pd.DataFrame:
    return patterns if len(patterns) <= _MOST_ROWS else patterns.sample(_MOST_ROWS, random_state=0)


def _traits(patterns: pd.DataFrame, plain: Floats) -> Floats:
    """What the regression looks at: the model's log-odds, how often somebody bought, how long they are silent.

    Silence over the own mean gap bends at one, two and four gaps, and counts for more the better the gap is known;
    silence itself bends after a month and after a quarter.
    """
    x, recency, t = (patterns[name].to_numpy(float) for name in ("frequency", "recency_days", "t_days"))
    odds = special.logit(np.clip(plain, _LEAST, 1 - _LEAST))
    silent = np.log(t - recency + _WEEK)
    late = np.where(x > 0, silent - np.log(recency / np.maximum(x, 1) + _WEEK), 0.0)
    bends = [late, *(np.maximum(late - np.log(gaps), 0) for gaps in (1, 2, 4))]
    known = x / (x + 3)
    return np.column_stack(
        [odds, x == 0, np.log1p(x), *bends, *(known * bend for bend in bends),
         silent, *(np.maximum(silent - np.log(days + _WEEK), 0) for days in (30, DAYS))]
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
    n, said, variance, came = sum(
        (look.by_band(look.mended if used else look.plain) for look in looks), np.zeros((4, len(EDGES) - 1))
    )
    plain, plain_said, _, plain_came = sum((look.by_band(look.plain) for look in looks), np.zeros((4, len(EDGES) - 1)))
    with np.errstate(invalid="ignore", divide="ignore"):
        share, off = said / n, np.sqrt(variance) / n
        drift = _drift(looks, used) * share * (1 - share) / np.sqrt(len(looks))
        half = np.hypot(1.96 * off, drift)
        return pd.DataFrame(
            {"band": band_names(), "customers": n.astype(int), "said": share, "low": np.maximum(share - half, 0),
             "high": np.minimum(share + half, 1), "came": came / n, "plain_customers": plain.astype(int),
             "plain_said": plain_said / plain, "plain_came": plain_came / plain}
        ).query("customers > 0 or plain_customers > 0").reset_index(drop=True)  # fmt: skip
