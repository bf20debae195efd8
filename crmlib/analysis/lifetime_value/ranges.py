"""How far may one customer's orders be from what is expected? The model's limits, as wide as past windows ask for."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crmlib.analysis.lifetime_value.chances import Chances, thinned
from crmlib.analysis.lifetime_value.models import PurchaseModel
from crmlib.analysis.lifetime_value.timing import Floats

_COVERED, _MOST = 0.95, 4.0
_DRAWS = 200
_PARTS, _LEAST_PART = 4, 100


def limits(
    model: PurchaseModel, chances: Chances, patterns: pd.DataFrame, *, days: float, widen: float
) -> tuple[Floats, Floats]:
    """Where 95 % of the orders of one customer of each history should fall, around what the chances used expect."""
    plain, mean = model.expected(patterns, days=days), chances.orders(model, patterns, days=days)
    exact = model.limits(patterns, days=days)
    if exact is None:
        draws = model.simulate(patterns, days=days, n=_DRAWS, seed=0)
        low, high = np.quantile(draws, [0.025, 0.975], axis=1, method="inverted_cdf")
        exact = (low, high)
    ratio = mean / np.maximum(plain, 1e-12)
    low, high = (np.asarray(end, float) * ratio for end in exact)
    return wider(mean, np.minimum(low, mean), np.maximum(high, mean), by=widen)


def wider(mean: Floats, low: Floats, high: Floats, *, by: float) -> tuple[Floats, Floats]:
    """Ends so many times as far from the mean, in whole orders."""
    return np.floor(np.maximum(mean - by * (mean - low), 0) + 1e-6), np.ceil(mean + by * (high - mean) - 1e-6)


def widening(model: PurchaseModel, chances: Chances, patterns: pd.DataFrame, *, days: int) -> float:
    """How many times as wide as the model's must ranges be to hold 95 % of what customers did in a past window?

    In each quarter of them by orders expected: tastes drift, which shows in those who order much and are few.
    `patterns` as holdout_patterns has them, `model` and `chances` as they stood when it began; 1 where the model's do.
    """
    some = thinned(patterns)
    came, n = some["purchases"].to_numpy(float), some["customers"].to_numpy(float)
    mean = chances.orders(model, some, days=days)
    low, high = limits(model, chances, some, days=days, widen=1.0)
    order, parts = np.argsort(mean, kind="stable"), int(np.clip(n.sum() // _LEAST_PART, 1, _PARTS))
    part = np.empty(len(n), int)
    part[order] = np.minimum((np.cumsum(n[order]) - n[order]) / n.sum() * parts, parts - 1)
    size = np.bincount(part, weights=n, minlength=parts)
    for by in np.arange(1.0, _MOST, 0.1):
        ends = wider(mean, low, high, by=float(by))
        held = np.bincount(part, weights=n * ((ends[0] <= came) & (came <= ends[1])), minlength=parts)
        if (held >= _COVERED * size).all():
            return float(by)
    return _MOST
