"""Was the forecast right? The model beside simple rules on a later time that it had not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib.analysis.lifetime_value.models import (
    Floats,
    PurchaseModel,
    SpendModel,
    TimeUnit,
    cut_day,
    facts,
    fit,
    fit_spend,
)
from crmlib.errors import NotEnoughData
from crmlib.shop import facts as shop_facts

if TYPE_CHECKING:
    from crmlib.shop.engine import Shop

MODEL, NOBODY, SAME_RATE, RECENCY = "BG/NBD", "nobody buys", "same rate as before", "days since last order"
SIMPLEST_FIRST = (NOBODY, SAME_RATE, RECENCY, MODEL)
_RECENCY_BINS = 10
_MOST_CUTS = 6
_QUARTER, _YEAR = 91, 365
_RESAMPLES = 400


@dataclass(frozen=True, kw_only=True)
class Cut:
    """One look back: what was forecast at `start` for the days until `end`, and what came."""

    start: date
    end: date
    forecast: float
    actual: int


@dataclass(frozen=True, kw_only=True)
class Validation:
    """How the methods did on the last `holdout_days` before as_of, for customers known before.

    patterns   frequency, recency_days, t_days, purchases (in the holdout), customers
    expected   method -> mean purchases per row of patterns; a method that only ranks is not in it
    ranking    method -> score per row of patterns, higher is likelier to buy
    measures   method, measure, value, low, high: 95 % intervals by resampling customers
    cuts       the holdout first, then earlier ones
    chosen     the simplest method that none beats
    weekly     week from `start`, purchases
    spend      fitted before the holdout; sales_forecast and sales_actual are net sales in it, nan without amounts
    """

    model: PurchaseModel | None
    start: date
    end: date
    patterns: pd.DataFrame
    expected: Mapping[str, Floats]
    ranking: Mapping[str, Floats]
    measures: pd.DataFrame
    cuts: tuple[Cut, ...]
    chosen: str
    weekly: pd.DataFrame
    spend: SpendModel | None
    sales_forecast: float
    sales_actual: float

    @property
    def actual(self) -> int:
        return int(self.patterns["purchases"] @ self.patterns["customers"])

    @property
    def forecast(self) -> float:
        return float(self.expected[self.chosen] @ self.patterns["customers"])

    @property
    def days(self) -> int:
        return (self.end - self.start).days

    @property
    def typical_error(self) -> float:
        """Root mean square of log(actual / forecast) over the cuts: by what share totals were off."""
        errors = [np.log(cut.actual / cut.forecast) for cut in self.cuts if cut.actual and cut.forecast > 0]
        return float(np.sqrt(np.mean(np.square(errors)))) if errors else float("nan")

    def measure(self, method: str, name: str) -> tuple[float, float, float]:
        """value, low, high of one measure; nan where the method has none."""
        row = self.measures[(self.measures["method"] == method) & (self.measures["measure"] == name)]
        if row.empty:
            return (float("nan"),) * 3
        value, low, high = row[["value", "low", "high"]].iloc[0]
        return float(value), float(low), float(high)

    def verdict(self) -> str:
        """Which method is used and why, in words."""
        if self.model is None:
            return f"BG/NBD did not converge on this shop, so '{self.chosen}' is used."
        if self.chosen == MODEL:
            return "On the days kept aside the model came closer, customer by customer, than every simple rule, so it is used."
        return f"On the days kept aside '{self.chosen}' came as close as the model, so the simpler rule is used."


def holdout_length(shop: Shop, *, asked: int = 0) -> int:
    """How many of the last days to keep aside: `asked`, or if 0 a year where two years came before, else a quarter.

    A year holds every season once; a quarter says more about the season than about the model.
    """
    if asked:
        return asked
    days = shop_facts.purchase_days(shop)
    first = shop.fetch(days.aggregate(day=days["day"].min()))["day"].iloc[0]
    known = (pd.Timestamp(shop.as_of) - first).days if not pd.isna(first) else 0
    return _YEAR if known >= 3 * _YEAR else _QUARTER


def holdout_patterns(shop: Shop, *, start: date, end: date) -> ir.Table:
    """Grain: a distinct history before `start` and number of purchase days in [start, end), with its customers.

    Columns frequency, recency_days, t_days, purchases, customers. An exact compression of the holdout.
    """
    history = shop_facts.customer_history(shop, until=start)
    later = shop_facts.later_purchases(shop, start=start, end=end).select("customer_id", "purchases")
    joined = history.left_join(later, "customer_id").mutate(purchases=ibis._["purchases"].fill_null(0))
    keys = ("frequency", "recency_days", "t_days", "purchases")
    return joined.group_by(keys).aggregate(customers=joined.count()).order_by(keys)


def weekly_repeats(shop: Shop, *, start: date, end: date) -> ir.Table:
    """Grain: a week counted from `start` (negative before). Columns week, purchases.

    Repeat purchase days before `end` of customers who were known at `start`.
    """
    days = shop_facts.purchase_days(shop)
    first = days["day"].min().over(group_by="customer_id")
    known = days.mutate(_first=first).filter(lambda t: t._first < ibis.literal(start), lambda t: t.day > t._first)
    known = known.filter(known["day"] < ibis.literal(end))
    offset = known["day"].delta(ibis.literal(start), unit="day").cast("float64")
    weeks = known.group_by(week=(offset / 7).floor().cast("int64"))
    return weeks.aggregate(purchases=known.count()).order_by("week")


def validate(shop: Shop, *, holdout_days: int, time_unit: TimeUnit = "day", seed: int = 0) -> Validation:
    """Does the model beat simple rules on the last `holdout_days` before as_of, which it has not seen?

    The rules: nobody buys; everybody goes on at the rate so far; everybody does what customers as long silent did one holdout
    earlier. Decided by squared error per customer, over resampled customers; a tie goes to the simpler method.
    Raises NotEnoughData where too little came before the holdout.
    """
    start, end = cut_day(shop, days=holdout_days), shop.as_of
    patterns = shop.fetch(holdout_patterns(shop, start=start, end=end), max_rows=5_000_000)
    if patterns.empty:
        raise NotEnoughData(
            f"too few to conclude: nobody had bought before {start}, where the holdout of {holdout_days} days begins"
        )
    known = patterns.groupby(["frequency", "recency_days", "t_days"], as_index=False)["customers"].sum()
    model = fit(known, time_unit=time_unit, until=start)
    expected: dict[str, Floats] = {NOBODY: np.zeros(len(patterns))}
    x, recency, t = (patterns[name].to_numpy(float) for name in ("frequency", "recency_days", "t_days"))
    expected[SAME_RATE] = x / np.maximum(t, 1) * holdout_days
    silent = t - recency
    ranking: dict[str, Floats] = {SAME_RATE: expected[SAME_RATE], RECENCY: -silent}
    bins = recency_bins(shop, start=start, days=holdout_days)
    if bins is not None:
        expected[RECENCY] = bins.rates(silent)
    if model is not None:
        expected[MODEL] = ranking[MODEL] = model.expected(patterns, days=holdout_days)
    spend = fit_spend(shop, until=start)
    measures, chosen = _compare(patterns, expected, ranking, seed=seed)
    cut = Cut(start=start, end=end, forecast=float(expected[chosen] @ patterns["customers"]),
              actual=int(patterns["purchases"] @ patterns["customers"]))  # fmt: skip
    return Validation(
        model=model, start=start, end=end, patterns=patterns, expected=expected, ranking=ranking, measures=measures,
        cuts=(cut, *_earlier_cuts(shop, start, holdout_days, time_unit, chosen)), chosen=chosen,
        weekly=shop.fetch(weekly_repeats(shop, start=start, end=end)), spend=spend,
        **_sales(shop, spend, patterns, expected[chosen], start=start, end=end),
    )  # fmt: skip


def _sales(
    shop: Shop, spend: SpendModel | None, patterns: pd.DataFrame, expected: Floats, *, start: date, end: date
) -> dict[str, float]:
    """Net sales of the holdout, as forecast by purchases times spend, and as they came."""
    if spend is None:
        return {"sales_forecast": float("nan"), "sales_actual": float("nan")}
    history = shop_facts.customer_history(shop, until=start)
    later = shop_facts.later_purchases(shop, start=start, end=end).select("customer_id", later="revenue")
    keys = ["frequency", "recency_days", "t_days"]
    rows = history.left_join(later, "customer_id").select(*keys, "repeat_revenue", later=ibis._["later"].fill_null(0))
    people = shop.fetch(rows.order_by(*keys, "repeat_revenue", "later"), max_rows=20_000_000)
    mean = patterns[keys].assign(mean=expected).drop_duplicates(keys)
    purchases = people.merge(mean, on=keys, how="left")["mean"].to_numpy(float)
    return {
        "sales_forecast": float(purchases @ spend.per_order(people)[0]),
        "sales_actual": float(people["later"].sum()),
    }


@dataclass(frozen=True)
class RecencyBins:
    """What customers did in `days`, by how long they had been silent before: mean and variance of purchases per bin."""

    edges: tuple[float, ...]
    means: tuple[float, ...]
    variances: tuple[float, ...]
    days: int

    def _bin(self, silent: Floats) -> NDArray[np.intp]:
        return np.searchsorted(np.array(self.edges), silent, side="right")

    def rates(self, silent: Floats) -> Floats:
        return np.array(self.means)[self._bin(silent)]

    def spreads(self, silent: Floats) -> Floats:
        return np.array(self.variances)[self._bin(silent)]


def recency_bins(shop: Shop, *, start: date, days: int) -> RecencyBins | None:
    """Learn the recency rule from the `days` before `start`; None where under 100 customers were known before those."""
    earlier = start - timedelta(days=days)
    rows = shop.fetch(holdout_patterns(shop, start=earlier, end=start), max_rows=5_000_000)
    if rows["customers"].sum() < 100:
        return None
    silent, n, bought = (
        (rows["t_days"] - rows["recency_days"]).to_numpy(float),
        rows["customers"].to_numpy(float),
        rows["purchases"],
    )
    order = np.argsort(silent, kind="stable")
    shares = np.cumsum(n[order]) / n.sum()
    inner = [silent[order][np.searchsorted(shares, k / _RECENCY_BINS)] for k in range(1, _RECENCY_BINS)]
    edges = tuple(sorted(set(map(float, inner)) - {float(silent.min())}))
    which = np.searchsorted(np.array(edges), silent, side="right")
    size = np.bincount(which, weights=n, minlength=len(edges) + 1)
    mean = np.bincount(which, weights=n * bought, minlength=len(edges) + 1) / size
    square = np.bincount(which, weights=n * bought**2, minlength=len(edges) + 1) / size
    return RecencyBins(edges, tuple(mean.tolist()), tuple((square - mean**2).tolist()), days)


def _earlier_cuts(shop: Shop, start: date, days: int, time_unit: TimeUnit, chosen: str) -> list[Cut]:
    """The same method at earlier days, for as long as there was enough to fit."""
    cuts: list[Cut] = []
    # Long holdouts overlap, or no shop would have more than one.
    step = days if days <= _QUARTER else days // 4
    for k in range(1, _MOST_CUTS):
        begin = start - timedelta(days=k * step)
        end = begin + timedelta(days=days)
        rows = shop.fetch(holdout_patterns(shop, start=begin, end=end), max_rows=5_000_000)
        # A model needs as long a past as the future it is asked for.
        if rows.empty or rows["t_days"].max() < days:
            break
        forecast = _forecast_total(shop, rows, begin, days, time_unit, chosen)
        if forecast is None:
            break
        cuts.append(Cut(start=begin, end=end, forecast=forecast, actual=int(rows["purchases"] @ rows["customers"])))
    return cuts


def _forecast_total(
    shop: Shop, rows: pd.DataFrame, begin: date, days: int, time_unit: TimeUnit, chosen: str
) -> float | None:
    n = rows["customers"].to_numpy(float)
    if chosen == NOBODY:
        return 0.0
    if chosen == SAME_RATE:
        return float(n @ (rows["frequency"] / np.maximum(rows["t_days"], 1) * days))
    if chosen == RECENCY:
        bins = recency_bins(shop, start=begin, days=days)
        return None if bins is None else float(n @ bins.rates((rows["t_days"] - rows["recency_days"]).to_numpy(float)))
    try:
        model = fit(shop.fetch(facts(shop, until=begin), max_rows=5_000_000), time_unit=time_unit, until=begin)
    except NotEnoughData:
        return None
    return None if model is None else float(n @ model.expected(rows, days=days))


def _compare(
    patterns: pd.DataFrame, expected: Mapping[str, Floats], ranking: Mapping[str, Floats], *, seed: int
) -> tuple[pd.DataFrame, str]:
    n, bought = patterns["customers"].to_numpy(float), patterns["purchases"].to_numpy(float)
    total = int(n.sum())
    rng = np.random.default_rng(seed)
    # Row 0 is what was seen; the others are shops made of the same customers drawn again.
    weights = np.vstack([n, rng.multinomial(total, n / total, size=_RESAMPLES)])
    rows: list[dict[str, object]] = []

    def add(method: str, measure: str, values: Floats) -> None:
        low, high = np.nanquantile(values[1:], [0.025, 0.975]) if np.isfinite(values[1:]).any() else (np.nan, np.nan)
        rows.append({"method": method, "measure": measure, "value": values[0], "low": low, "high": high})

    losses = {method: weights @ np.square(bought - mean) / total for method, mean in expected.items()}
    came = weights @ bought
    for method, mean in expected.items():
        forecast = weights @ mean
        rows.append({"method": method, "measure": "forecast", "value": forecast[0], "low": np.nan, "high": np.nan})
        with np.errstate(divide="ignore", invalid="ignore"):
            add(method, "error_share", forecast / came - 1)
        add(method, "rmse", np.sqrt(losses[method]))
        add(method, "bias", (forecast - came) / total)
    for method, score in ranking.items():
        add(method, "auc", weighted_auc(score, bought > 0, weights))
        add(method, "top_tenth_share", top_share(score, bought, weights))
    chosen = next(method for method in SIMPLEST_FIRST if method in expected)
    for method in SIMPLEST_FIRST[1:]:
        if method not in losses:
            continue
        difference = losses[method] - losses[chosen]
        add(method, f"squared_error_minus_{chosen.replace(' ', '_')}", difference)
        if np.quantile(difference[1:], 0.975) < 0:
            chosen = method
    return pd.DataFrame(rows), chosen


def weighted_auc(score: Floats, positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """Chance that a buyer is ranked above a non-buyer, ties half, for each row of `weights` (resamples, patterns)."""
    order, starts = _groups(score)
    buyers = np.add.reduceat((weights * positive)[:, order], starts, axis=1)
    others = np.add.reduceat((weights * ~positive)[:, order], starts, axis=1)
    below = np.cumsum(others, axis=1) - others
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((buyers * (below + others / 2)).sum(axis=1) / (buyers.sum(axis=1) * others.sum(axis=1)))


def top_share(score: Floats, amount: Floats, weights: Floats, *, share: float = 0.1) -> Floats:
    """Share of `amount` held by the top `share` of customers by score; a tie at the edge is split evenly."""
    order, starts = _groups(-score)
    size = np.add.reduceat(weights[:, order], starts, axis=1)
    held = np.add.reduceat((weights * amount)[:, order], starts, axis=1)
    room = share * size.sum(axis=1, keepdims=True) - (np.cumsum(size, axis=1) - size)
    with np.errstate(invalid="ignore", divide="ignore"):
        taken = np.where(size > 0, np.clip(room / size, 0, 1), 0.0)
        return np.asarray((held * taken).sum(axis=1) / held.sum(axis=1))


def _groups(score: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    return order, np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
