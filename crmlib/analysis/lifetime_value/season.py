"""Is there a yearly season, and how much faster do orders come in it? A clock for models that know none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from crmlib.analysis.lifetime_value import timing
from crmlib.shop import facts as shop_facts
from crmlib.shop.shop import Shop

Floats = NDArray[np.float64]

LEAST_SEASON_DAYS = 730
UNIT_DAYS = {"day": 1, "week": 7}
_LEAST_A_MONTH = 30  # repeat purchase days, in every month of the last two years
_LEVEL = 0.01


@dataclass(frozen=True)
class Clock:
    """Time that runs as fast as the shop is busy: `busy` by calendar month, 1 the average; low and high are 95 %.

    A steady buyer on this clock buys more in the season; a purchase-timing model then keeps its meaning.
    """

    busy: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def history(self, until: date, *, recency_days: Floats, t_days: Floats) -> tuple[Floats, Floats]:
        """Recency and T of histories seen until `until` (exclusive), in average days."""
        reached, shift = self._elapsed(-int(t_days.max(initial=0)), 0, until)
        first = np.rint(shift - t_days).astype(int)
        last = first + np.rint(recency_days).astype(int)
        return reached[last] - reached[first], reached[shift] - reached[first]

    def ahead(self, until: date, *, days: float) -> float:
        """How many average days the `days` from `until` on are worth."""
        whole = int(np.ceil(days))
        reached, shift = self._elapsed(0, whole, until)
        return float(np.interp(days, np.arange(whole + 1), reached[shift:] - reached[shift]))

    def deviation(self, until: date, *, days: float) -> float:
        """By what share `ahead` may be off because months are not known exactly (one deviation); 0 for a whole year."""
        spread = np.log(np.array(self.high) / np.array(self.low)) / 3.92
        busy = np.array(self.busy)
        on = np.datetime64(until, "D") + np.arange(max(int(np.ceil(days)), 1))
        month = on.astype("datetime64[M]").astype(int) % 12
        weight = np.bincount(month, weights=busy[month], minlength=12)
        return float(np.sqrt(np.square((weight / weight.sum() - busy / busy.sum()) * spread).sum()))

    def _elapsed(self, start: int, end: int, until: date) -> tuple[Floats, int]:
        """Clock time at the end of each day from `start` to `end`, from the day before `until`; where that day is."""
        day = np.datetime64(until, "D") - 1 + np.arange(start, end + 1)
        month = day.astype("datetime64[M]").astype(int) % 12
        return np.cumsum(np.array(self.busy)[month]), -start


def monthly_repeats(shop: Shop, *, until: date) -> ir.Table:
    """Grain: a calendar month before `until` with repeat purchase days. Columns month (its first day), purchases."""
    days = shop_facts.purchase_days(shop)
    days = days.filter(days["day"] < ibis.literal(until))
    repeats = days.mutate(_first=days["day"].min().over(group_by="customer_id")).filter(lambda t: t.day > t._first)
    months = repeats.group_by(month=repeats["day"].truncate("M"))
    return months.aggregate(purchases=repeats.count()).order_by("month")


def season(months: pd.DataFrame, patterns: pd.DataFrame, *, model: Any) -> Clock | None:
    """The clock of the yearly season, or None where two whole years do not show one.

    `model` was fitted without a clock. Each month's repeat purchases are divided by what the model expects of the
    customers won by then, so that neither growth nor dropout looks like a season; years are centred; the months'
    differences must exceed those between years (analysis of variance, p < .01) and are shrunk by what could be chance.
    """
    ratios = _ratios(months, patterns, model=model)
    if ratios is None:
        return None
    years = len(ratios)
    logs = np.log(ratios) - np.log(ratios).mean(axis=1, keepdims=True)
    effect = logs.mean(axis=0)
    left = logs - effect
    within = float((left**2).sum() / (11 * (years - 1)))
    between = float(years * (effect**2).sum() / 11)
    if within <= 0 or stats.f.sf(between / within, 11, 11 * (years - 1)) > _LEVEL:
        return None
    effect = effect * (1 - within / between)
    margin = stats.t.ppf(0.975, 11 * (years - 1)) * np.sqrt(within / years)
    # Columns run over the twelve months before `until`; the clock is by calendar month.
    first = model.until.month - 1
    order = np.argsort((first + np.arange(12)) % 12)
    effect = effect[order]
    level = np.exp(effect).mean()
    busy, low, high = (tuple((np.exp(effect + by) / level).tolist()) for by in (0.0, -margin, margin))
    return Clock(busy, low, high)


def _ratios(months: pd.DataFrame, patterns: pd.DataFrame, *, model: Any) -> Floats | None:
    """Actual over expected by whole year back from `until` and month in it, shape (years, 12); None under two years."""
    until = model.until
    end = np.datetime64(until, "M")
    t = patterns["t_days"].to_numpy(int)
    days = int(t.max()) + 1
    start = np.datetime64(until, "D") - days
    years = int((end - (start - 1).astype("datetime64[M]") - 1).astype(int)) // 12
    if years < 2:
        return None
    won = np.bincount(days - 1 - t, weights=patterns["customers"].to_numpy(float), minlength=days)
    nothing = np.zeros(days + 1)
    ahead = np.arange(days + 1) / UNIT_DAYS[model.time_unit]
    mean = timing.expected(model.name, model.parameters, nothing, nothing, nothing, ahead)
    expected = np.convolve(won, np.diff(mean))[: days - 1]
    on = (start + 1 + np.arange(days - 1)).astype("datetime64[M]")
    back = np.asarray(end - on).astype(int)  # 1 is the last whole month
    inside = (back >= 1) & (back <= 12 * years)
    forecast = np.bincount(back[inside] - 1, weights=expected[inside], minlength=12 * years)
    seen = months["month"].to_numpy().astype("datetime64[M]")
    at = (end - seen).astype(int)
    came = np.zeros(12 * years)
    kept = (at >= 1) & (at <= 12 * years)
    came[at[kept] - 1] = months["purchases"].to_numpy(float)[kept]
    if came[:24].min() < _LEAST_A_MONTH or forecast.min() <= 0 or came.min() <= 0:
        return None
    # Oldest first, so that columns run forward through the twelve months that end before `until`.
    return np.asarray((came / forecast)[::-1].reshape(years, 12))


def year_before(shop: Shop, *, days: int) -> float | None:
    """How busy were the coming `days` a year ago, 1 as the whole year? None under a year of data or for whole years."""
    if days % 365 == 0 or days > 365:
        return None
    repeats = shop_facts.purchase_days(shop)
    repeats = repeats.mutate(_first=repeats["day"].min().over(group_by="customer_id"))
    start = shop.as_of - timedelta(days=365)
    year = (repeats["day"] >= ibis.literal(start)) & (repeats["day"] > repeats["_first"])
    same = year & (repeats["day"] < ibis.literal(start + timedelta(days=days)))
    row = shop.fetch(repeats.aggregate(first=repeats["day"].min(), year=year.sum(), same=same.sum())).iloc[0]
    if pd.isna(row["first"]) or pd.Timestamp(row["first"]).date() > start or row["year"] < 12 * _LEAST_A_MONTH:
        return None
    return float(row["same"] / row["year"] / (days / 365))
