"""The forecasts that compete: three rules that anyone can apply, and five models."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from crmlib.analysis.lifetime_value import chances
from crmlib.analysis.lifetime_value.models import PurchaseModel, TimeUnit, Unfit, fit
from crmlib.analysis.lifetime_value.season import LEAST_SEASON_DAYS, Clock, monthly_repeats, season
from crmlib.analysis.lifetime_value.timing import BG, EXPONENTIAL, MBG, NBD, PARETO, Floats, Name
from crmlib.errors import NotEnoughData
from crmlib.formats import outline
from crmlib.shop import facts as shop_facts
from crmlib.shop.shop import Shop

NOBODY, SAME_RATE, RECENCY = "nobody buys", "same rate as before", "days since last order"
MODELS: tuple[Name, ...] = (NBD, EXPONENTIAL, BG, MBG, PARETO)
# A tie goes to the one further left.
SIMPLEST_FIRST = (NOBODY, SAME_RATE, RECENCY, *MODELS)
HISTORY = ["frequency", "recency_days", "t_days"]
_RECENCY_BINS = 10
_LEAST_PAST_DAYS = 180
_NEAR_DAYS = 14
_LEAST_TAUGHT_DAYS, _LEAST_STEP_DAYS, _MOST_TAUGHT, _LEAST_TAUGHT = 60, 15, 14, 100


@dataclass(frozen=True, kw_only=True)
class Fits:
    """The models as far as they could be fitted, why others could not, and the season they were told of."""

    __repr__ = outline

    models: Mapping[str, PurchaseModel]
    failed: tuple[Unfit, ...]
    clock: Clock | None


@dataclass(frozen=True, kw_only=True)
class Look:
    """What each method, knowing only the days before `start`, said of [start, end), and what came.

    patterns   frequency, recency_days, t_days, purchases (in the window), customers
    expected   method -> mean purchases per row of patterns
    """

    start: date
    end: date
    patterns: pd.DataFrame
    expected: Mapping[str, Floats]
    fits: Fits

    @property
    def days(self) -> int:
        """How long it looks ahead."""
        return (self.end - self.start).days

    @property
    def customers(self) -> Floats:
        """Customers of each row of patterns."""
        return self.patterns["customers"].to_numpy(float)

    @property
    def purchases(self) -> Floats:
        """Purchase days in the window of one customer of each row."""
        return self.patterns["purchases"].to_numpy(float)

    @property
    def actual(self) -> int:
        """Orders that came."""
        return int(self.purchases @ self.customers)

    def total(self, method: str) -> float:
        """Orders that a method expected."""
        return float(self.expected[method] @ self.customers)

    def loss(self, method: str) -> Floats:
        """Poisson deviance of each row of patterns: the measure that decides."""
        return chances.deviance(self.expected[method], self.purchases, self.customers)

    def own_deviation(self, method: str) -> float:
        """By what share the method itself expected its total to be off: customers' chance, and open parameters.

        A rule says nothing of chance, so for it what was seen of it stands in.
        """
        total, model, days = self.total(method), self.fits.models.get(method), self.days
        if total <= 0:
            return float("nan")
        if model is None:
            return float(np.sqrt(self.customers @ np.square(self.purchases - self.expected[method])) / total)
        groups = self.patterns.groupby(HISTORY, as_index=False)["customers"].sum()
        chance = np.sqrt(groups["customers"].to_numpy(float) @ model.variance(groups, days=days)) / total
        return float(np.hypot(chance, model.spread_of_total(groups, days=days)))


@dataclass(frozen=True)
class RecencyBins:
    """What customers did in `days`, by how long they had been silent before: mean and variance of purchases per bin."""

    edges: tuple[float, ...]
    means: tuple[float, ...]
    variances: tuple[float, ...]
    days: int

    def of(self, silent: Floats) -> tuple[Floats, Floats]:
        """Mean and variance of those so long silent."""
        place = np.searchsorted(np.array(self.edges), silent, side="right")
        return np.array(self.means)[place], np.array(self.variances)[place]


def holdout_patterns(shop: Shop, *, start: date, end: date) -> ir.Table:
    """Grain: a distinct history before `start` and number of purchase days in [start, end), with its customers.

    Columns frequency, recency_days, t_days, purchases, customers. An exact compression of the holdout.
    """
    history = shop_facts.customer_history(shop, until=start)
    later = shop_facts.later_purchases(shop, start=start, end=end).select("customer_id", "purchases")
    joined = history.left_join(later, "customer_id").mutate(purchases=ibis._["purchases"].fill_null(0))
    keys = (*HISTORY, "purchases")
    return joined.group_by(keys).aggregate(customers=joined.count()).order_by(keys)


def fit_all(
    shop: Shop,
    patterns: pd.DataFrame,
    *,
    time_unit: TimeUnit,
    until: date,
    names: tuple[str, ...] = (BG, MBG, PARETO),
    months: pd.DataFrame | None = None,
) -> Fits:
    """Fit the models of these `names`, on the season's clock where two years or more show one.

    One that ends on a boundary is a simpler model there, which is fitted in its place.
    Raises NotEnoughData as `fit` does. `months` is monthly_repeats where it has crossed already; what lies after
    `until` is not looked at.
    """
    clock, plain = None, dict[Name, PurchaseModel | Unfit]()
    if patterns["t_days"].max() >= LEAST_SEASON_DAYS:
        if months is None:
            months = shop.fetch(monthly_repeats(shop, until=until))
        # The season hangs on no one model: whichever can be fitted says what comes without one.
        for name in (BG, MBG, NBD):
            plain[name] = found_plain = fit(patterns, time_unit=time_unit, until=until, name=name)
            if isinstance(found_plain, PurchaseModel):
                clock = season(months, patterns, model=found_plain)
                break
    told: dict[str, Any] = {"time_unit": time_unit, "until": until, "clock": clock}
    known = plain if clock is None else {}
    found = [known.get(name) or fit(patterns, name=name, **told) for name in MODELS if name in names]
    others = {one.instead for one in found if isinstance(one, Unfit)} - {None, *names}
    found += [fit(patterns, name=name, **told) for name in MODELS if name in others]
    models: dict[str, PurchaseModel] = {one.name: one for one in found if isinstance(one, PurchaseModel)}
    return Fits(models=models, failed=tuple(model for model in found if isinstance(model, Unfit)), clock=clock)


def look(shop: Shop, *, start: date, end: date, time_unit: TimeUnit, months: pd.DataFrame | None = None) -> Look:
    """What would each method have said on `start`? Raises NotEnoughData where too little came before."""
    days = (end - start).days
    patterns = shop.fetch(holdout_patterns(shop, start=start, end=end), max_rows=5_000_000)
    if patterns.empty:
        begins = f"{start}, where the holdout of {days} days begins"
        raise NotEnoughData(f"too few to conclude: nobody had bought before {begins}")
    known = patterns.groupby(HISTORY, as_index=False)["customers"].sum()
    fits = fit_all(shop, known, time_unit=time_unit, until=start, months=months)
    x, recency, t = (patterns[name].to_numpy(float) for name in HISTORY)
    expected: dict[str, Floats] = {NOBODY: np.zeros(len(patterns)), SAME_RATE: x / np.maximum(t, 1) * days}
    bins = recency_bins(shop, start=start, days=days)
    if bins is not None:
        expected[RECENCY] = bins.of(t - recency)[0]
    expected |= {name: model.expected(patterns, days=days) for name, model in fits.models.items()}
    return Look(start=start, end=end, patterns=patterns, expected=expected, fits=fits)


def windows(
    shop: Shop,
    looks: Sequence[Look],
    *,
    method: str,
    first: date,
    time_unit: TimeUnit,
    months: pd.DataFrame | None = None,
) -> list[chances.Window]:
    """Windows of 90 days that are over, latest first and apart, each with the model as it stood on the day it began.

    `looks` that began within a fortnight lend their models. At most eight; none begins before 180 days of data.
    """
    length = timedelta(days=chances.DAYS)
    found: list[chances.Window] = []
    fitted = {at.start: at.fits.models[method] for at in looks if method in at.fits.models}
    latest = shop.as_of - length
    while len(found) < chances.MOST_WINDOWS:
        begin = max((day for day in fitted if 0 <= (latest - day).days < _NEAR_DAYS), default=latest)
        if (begin - first).days < _LEAST_PAST_DAYS:
            break
        latest = begin - length
        patterns = shop.fetch(holdout_patterns(shop, start=begin, end=begin + length), max_rows=5_000_000)
        model = fitted.get(begin)
        if model is None:
            known = patterns.groupby(HISTORY, as_index=False)["customers"].sum()
            with contextlib.suppress(NotEnoughData):
                fits = fit_all(shop, known, time_unit=time_unit, until=begin, names=(method,), months=months)
                model = fits.models.get(method)
        if model is not None:
            found.append(chances.Window(start=begin, patterns=patterns, model=model))
    return found


def taught(shop: Shop, *, first: date) -> list[chances.Window]:
    """Windows of 90 days that are over, spread evenly over all data from two months on, to learn chances from.

    They overlap; only as many histories of each are kept as learning needs.
    """
    last = shop.as_of - timedelta(days=chances.DAYS)
    step = max(_LEAST_STEP_DAYS, -((first - last).days + _LEAST_TAUGHT_DAYS) // _MOST_TAUGHT)
    found, begin = list[chances.Window](), last
    while (begin - first).days >= _LEAST_TAUGHT_DAYS and len(found) < _MOST_TAUGHT:
        over = holdout_patterns(shop, start=begin, end=begin + timedelta(days=chances.DAYS))
        rows = shop.fetch(over, max_rows=5_000_000)
        if rows["customers"].sum() >= _LEAST_TAUGHT:
            found.append(chances.Window(start=begin, patterns=chances.thinned(rows)))
        begin -= timedelta(days=step)
    return found


def recency_bins(shop: Shop, *, start: date, days: int) -> RecencyBins | None:
    """Learn the recency rule from the `days` before `start`; None where under 100 customers were known before those."""
    earlier = start - timedelta(days=days)
    rows = shop.fetch(holdout_patterns(shop, start=earlier, end=start), max_rows=5_000_000)
    if rows["customers"].sum() < 100:
        return None
    silent = (rows["t_days"] - rows["recency_days"]).to_numpy(float)
    n, bought = (rows[name].to_numpy(float) for name in ("customers", "purchases"))
    order = np.argsort(silent, kind="stable")
    shares = np.cumsum(n[order]) / n.sum()
    inner = [silent[order][np.searchsorted(shares, k / _RECENCY_BINS)] for k in range(1, _RECENCY_BINS)]
    edges = tuple(sorted(set(map(float, inner)) - {float(silent.min())}))
    which = np.searchsorted(np.array(edges), silent, side="right")
    size, total, squares = (np.bincount(which, n * bought**k, len(edges) + 1) for k in (0, 1, 2))
    mean, square = total / size, squares / size
    return RecencyBins(edges, tuple(mean.tolist()), tuple((square - mean**2).tolist()), days)
