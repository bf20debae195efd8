"""Shops in which nothing happens, and shops in which one thing does: days drawn by themselves, for tests of seasons."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd

from crmlib.analysis.seasons.facts import TOTAL, Days

END = pd.Timestamp("2026-10-01")
WEEK = np.array([1.15, 1.05, 1.0, 0.98, 0.9, 0.8, 1.12])
GROUPS = {"channel": {"web": 0.55, "app": 0.35, "phone": 0.1}, "country": {"DE": 0.7, "AT": 0.3},
          "category": {"Tea": 0.45, "Coffee": 0.35, "Cups": 0.2}, "customers": {"new": 0.3, "returning": 0.7},
          "segment": {"north": 0.25, "others": 0.75}}  # fmt: skip


def season(index: pd.DatetimeIndex, strength: float = 1.0) -> np.ndarray:
    """A year with a peak before Christmas and a quiet summer; the mean of its logarithm is about none."""
    day = index.day_of_year.to_numpy()
    curve = 0.7 * np.exp(-(((day - 343) / 16) ** 2)) - 0.25 * np.cos(2 * np.pi * (day - 15) / 365.25 + np.pi)
    return np.exp(strength * (curve - curve.mean()))


def shop(
    seed: int, *, years: float = 3.0, level: float = 40.0, yearly: float = 1.0, noise: float = 0.08, rho: float = 0.4, drift: float = 0.0015,
    factor: np.ndarray | float = 1.0,
) -> Days:  # fmt: skip
    """Days of a shop: a rhythm of weeks and years, days that are alike their neighbours, a level that drifts slowly.

    `factor` multiplies what is expected, day by day: a shift or an outage.
    """
    rng = np.random.default_rng(seed)
    size = round(365 * years)
    index = pd.date_range(END - timedelta(days=size), periods=size, name="day")
    mood = np.zeros(size)
    shocks = rng.normal(0, noise * np.sqrt(1 - rho**2), size)
    for day in range(1, size):
        mood[day] = rho * mood[day - 1] + shocks[day]
    wander = np.cumsum(rng.normal(0, drift, size))
    mean = level * WEEK[index.day_of_week] * season(index, yearly) * np.exp(mood + wander) * factor
    total = rng.poisson(mean)
    parts = {TOTAL: total.astype(float)}
    for kind, shares in GROUPS.items():
        own = np.array([list(shares.values())] * size) * np.exp(rng.normal(0, 0.05, (size, len(shares))))
        drawn = np.array([rng.multinomial(n, p / p.sum()) for n, p in zip(total, own, strict=True)])
        parts |= {(kind, name): drawn[:, place].astype(float) for place, name in enumerate(shares)}
    frame = pd.DataFrame({"orders": total.astype(float), "sales": total * 30.0, "holiday": "", "span": "", "masked": False},
                         index=index)  # fmt: skip
    return Days(frame=frame, series=pd.DataFrame(parts, index=index), as_of=END.date(), currency="EUR", country="")


def until(days: Days, back: int) -> Days:
    """The same shop as it was so many days before."""
    size = len(days.frame) - back
    return Days(frame=days.frame.iloc[:size], series=days.series.iloc[:size],
                as_of=days.as_of - timedelta(days=back), currency=days.currency, country=days.country)  # fmt: skip
