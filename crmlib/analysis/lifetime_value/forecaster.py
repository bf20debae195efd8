"""One method, taught with everything known: what it expects of each history, and how far a sum of it may be off."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib.analysis.forecasts import Errors, Total, band
from crmlib.analysis.lifetime_value import methods
from crmlib.analysis.lifetime_value.chances import Chances
from crmlib.analysis.lifetime_value.methods import HISTORY, MODELS, NOBODY, SAME_RATE, Fits
from crmlib.analysis.lifetime_value.models import PurchaseModel
from crmlib.analysis.lifetime_value.spend import SpendModel
from crmlib.analysis.lifetime_value.timing import Floats
from crmlib.analysis.lifetime_value.validation import Validation
from crmlib.errors import NotEnoughData
from crmlib.shop.shop import Shop

CHUNK = 10_000  # histories or customers simulated at a time

# days -> mean purchases of each history, and their variance beyond chance
Rule = Callable[[float], tuple[Floats, Floats]]
_Part = TypeVar("_Part")
_Made = TypeVar("_Made")


@dataclass(frozen=True, kw_only=True)
class Forecaster:
    """One method, taught with everything before as_of: what it expects of each history in any number of days."""

    method: str
    patterns: pd.DataFrame
    fits: Fits
    rule: Rule = field(default=lambda _: (np.zeros(0), np.zeros(0)))
    chances: Chances = field(default_factory=Chances)

    @property
    def model(self) -> PurchaseModel | None:
        """The fitted model; None where a simple rule is used."""
        return self.fits.models.get(self.method)

    def expected(self, days: float) -> Floats:
        """Mean purchases of one customer of each history."""
        return self.model.expected(self.patterns, days=days) if self.model else self.rule(days)[0]

    def orders(self, days: float) -> Floats:
        """The same, shared out as the chances have it."""
        return self.chances.orders(self.model, self.patterns, days=days) if self.model else self.rule(days)[0]

    def p_none(self, days: float, *, before: int = 0) -> Floats:
        """Chance that one customer of each history orders nothing; as it was so many days `before`, silent since."""
        if self.model is not None:
            patterns = self.patterns
            silent = patterns["t_days"] - patterns["recency_days"]
            earlier = patterns.assign(t_days=patterns["t_days"] - np.minimum(before, silent))
            then = replace(self.model, until=self.model.until - timedelta(days=before))
            return self.chances.none(then, earlier, days=days)
        mean, extra = self.rule(days)
        mixed, scale, shape = _gamma(mean, extra)
        return np.where(mixed, (1 + scale) ** -shape, np.exp(-mean))

    def spread(self, days: float, customers: Floats) -> float:
        """By what share the total of so many customers of each history may be off: parameters are not known."""
        if self.model is None:
            return 0.0
        return self.model.spread_of_total(self.patterns.assign(customers=customers), days=days)

    def simulate(self, days: float, *, n: int, seed: int) -> NDArray[np.uint16]:
        """Possible numbers of purchases for each history, shape (histories, n); each history once."""
        if self.model is not None:
            model, draws = self.model, np.empty((len(self.patterns), n), np.uint16)

            def fill(start: int) -> None:
                part = self.patterns.iloc[start : start + CHUNK]
                found = model.simulate(part, days=days, n=n, seed=seed, chance=seed + 1 + start)
                draws[start : start + CHUNK] = _small(found)

            side_by_side(fill, range(0, len(self.patterns), CHUNK))
            return draws
        mean, extra = self.rule(days)
        mixed, scale, shape = _gamma(mean, extra)
        rng = np.random.default_rng(seed)
        rates = np.where(mixed[:, None], scale[:, None] * rng.gamma(shape[:, None], 1.0, (len(mean), n)), mean[:, None])
        return _small(rng.poisson(rates))


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What sums over customers are worked out with: their range holds chance, parameters and earlier errors."""

    forecaster: Forecaster
    horizon_days: int
    spend: SpendModel | None
    errors: Errors
    widen: float = 1.0  # how many times as wide as the model's ranges of single customers are

    def total(self, value: float, chance: float, own: float, *, most: float = np.inf) -> Total:
        """A sum with its range, from the deviation of chance and the share by which parameters may be off."""
        return band(value, float(np.hypot(chance / max(value, 1e-12), own)), self.errors, most=most)

    def money(self, some: pd.DataFrame) -> Total:
        """The expected value of some rows of customers, which need `_row` and `_variance`."""
        assert self.spend is not None
        rows = np.bincount(some["_row"], minlength=len(self.forecaster.patterns)).astype(float)
        own = float(np.hypot(self.forecaster.spread(self.horizon_days, rows), self.spend.mean_deviation))
        return self.total(float(some["expected_value"].sum()), float(np.sqrt(some["_variance"].sum())), own)


def forecaster(shop: Shop, patterns: pd.DataFrame, validation: Validation) -> Forecaster:
    """The method `validation` chose, taught with everything before as_of.

    Raises NotEnoughData where it cannot be.
    """
    method, fits = validation.chosen, validation.now
    if method in MODELS:
        if method not in fits.models:
            fits = methods.fit_all(shop, patterns, time_unit=validation.time_unit, until=shop.as_of, names=(method,))
        if method in fits.models:
            return Forecaster(method=method, patterns=patterns, fits=fits, chances=validation.chances)
    else:
        rule = _rule(shop, method, patterns, validation.days)
        if rule is not None:
            return Forecaster(method=method, patterns=patterns, fits=Fits(models={}, failed=(), clock=None), rule=rule)
    raise NotEnoughData(f"too few to conclude: '{method}' could not be taught with this shop")


def side_by_side(work: Callable[[_Part], _Made], parts: Iterable[_Part]) -> list[_Made]:
    """Parts of one calculation on two cores: NumPy lets go of the interpreter while it draws."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, parts))


def _rule(shop: Shop, method: str, patterns: pd.DataFrame, holdout: int) -> Rule | None:
    x, recency, t = (patterns[name].to_numpy(float) for name in HISTORY)
    zero = np.zeros(len(patterns))
    if method == NOBODY:
        return lambda _: (zero, zero)
    if method == SAME_RATE:
        return lambda days: (x / np.maximum(t, 1) * days, zero)
    bins = methods.recency_bins(shop, start=shop.as_of, days=holdout)
    if bins is None:
        return None
    rate, spread = bins.of(t - recency)
    # Differences between customers grow with the square of the time, chance only with the time.
    return lambda days: (days / holdout * rate, (days / holdout) ** 2 * np.maximum(spread - rate, 0))


def _gamma(mean: Floats, extra: Floats) -> tuple[NDArray[np.bool_], Floats, Floats]:
    """A Gamma of rates makes counts negative binomial; without differences they are Poisson."""
    mixed = extra > 1e-12
    scale = np.where(mixed, extra / np.maximum(mean, 1e-12), 1.0)
    return mixed, scale, np.where(mixed, mean / scale, 1.0)


def _small(draws: NDArray[np.int64]) -> NDArray[np.uint16]:
    return np.minimum(draws, np.iinfo(np.uint16).max).astype(np.uint16)
