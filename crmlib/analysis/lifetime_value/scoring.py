"""What to expect of each customer, and of all together, with how far it may be off."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib.analysis.forecasts import Errors, Total, band
from crmlib.analysis.lifetime_value.chances import DAYS as _BUYS_DAYS
from crmlib.analysis.lifetime_value.chances import Chances
from crmlib.analysis.lifetime_value.holdout import TIERS, tiers_then
from crmlib.analysis.lifetime_value.methods import (
    HISTORY,
    MODELS,
    NOBODY,
    RECENCY,
    SAME_RATE,
    Fits,
    fit_all,
    recency_bins,
)
from crmlib.analysis.lifetime_value.models import PurchaseModel
from crmlib.analysis.lifetime_value.season import year_before
from crmlib.analysis.lifetime_value.spend import SpendModel, repeat_average, spend_of
from crmlib.analysis.lifetime_value.timing import Floats
from crmlib.analysis.lifetime_value.validation import Validation
from crmlib.errors import NotEnoughData
from crmlib.shop import facts as shop_facts

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

_DRAWS, _FEWER_DRAWS, _MANY = 400, 200, 50_000
_CHUNK = 10_000  # histories or customers simulated at a time
_MOST_CELLS = 20_000_000
_STEPS = 12  # parts of the horizon for discounting
WHOLESALE = "wholesale"

_Part = TypeVar("_Part")
_Made = TypeVar("_Made")


@dataclass(frozen=True, kw_only=True)
class Margin:
    """What is left of sales. `share` of net sales; `known_share` of sales have a cost; source: costs, parameter, none.

    `at_risk` is the part of the margin that goes if nothing that was refunded came back fit for sale.
    """

    share: float
    known_share: float
    source: str
    at_risk: float = 0.0

    @property
    def called(self) -> str:
        """What amounts after it are called."""
        return "net sales" if self.source == "none" else "margin"


@dataclass(frozen=True, kw_only=True)
class Forecaster:
    """One method, taught with everything before as_of: what it expects of each history in any number of days."""

    method: str
    patterns: pd.DataFrame
    fits: Fits
    rule: Callable[[float], tuple[Floats, Floats]] | None
    chances: Chances = field(default_factory=Chances)

    @property
    def model(self) -> PurchaseModel | None:
        return self.fits.models.get(self.method)

    def expected(self, days: float) -> Floats:
        if self.model is not None:
            return self.model.expected(self.patterns, days=days)
        assert self.rule is not None
        return self.rule(days)[0]

    def p_none(self, days: float) -> Floats:
        if self.model is not None:
            return self.chances.none(self.model, self.patterns, days=days)
        mean, extra = self._rule(days)
        mixed, scale, shape = _gamma(mean, extra)
        return np.where(mixed, (1 + scale) ** -shape, np.exp(-mean))

    def spread(self, days: float, customers: Floats) -> float:
        """By what share the total of so many customers of each history may be off because parameters are not known."""
        if self.model is None:
            return 0.0
        return self.model.spread_of_total(self.patterns.assign(customers=customers), days=days)

    def simulate(self, days: float, *, n: int, seed: int) -> NDArray[np.uint16]:
        """Possible numbers of purchases for each history, shape (histories, n); each history once."""
        if self.model is not None:
            model = self.model

            draws = np.empty((len(self.patterns), n), np.uint16)

            def fill(start: int) -> None:
                part = self.patterns.iloc[start : start + _CHUNK]
                found = model.simulate(part, days=days, n=n, seed=seed, chance=seed + 1 + start)
                draws[start : start + _CHUNK] = _small(found)

            _side_by_side(fill, range(0, len(self.patterns), _CHUNK))
            return draws
        mean, extra = self._rule(days)
        mixed, scale, shape = _gamma(mean, extra)
        rng = np.random.default_rng(seed)
        rates = np.where(mixed[:, None], scale[:, None] * rng.gamma(shape[:, None], 1.0, (len(mean), n)), mean[:, None])
        return _small(rng.poisson(rates))

    def _rule(self, days: float) -> tuple[Floats, Floats]:
        assert self.rule is not None
        return self.rule(days)


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Expected orders and value in [as_of, as_of + horizon_days).

    customers   customer_id, expected_orders, low_orders, high_orders, expected_value, low_value, high_value,
                p_no_order, rank, tier, days_since_last_order, past_revenue, chance_90d (of an order within 90 days),
                if_active (value if still buying), quiet, wholesale; best first; value in the shop's currency, empty
                where spend cannot be forecast
    tiers       tier, customers, expected_orders, expected_value, low_value, high_value, share (wholesale apart), p_no_order: totals with bands, as
                wide as each tier's own miss in the days kept aside
    year_before how busy the coming days were a year ago (1: as the whole year), where the method knows no season
    row         for each row of customers, that of `forecaster.patterns`
    """

    customers: pd.DataFrame
    tiers: pd.DataFrame
    row: NDArray[np.intp]
    forecaster: Forecaster
    spend: SpendModel | None
    margin: Margin
    horizon_days: int
    errors: Errors
    orders: Total
    buyers: Total
    value: Total | None
    top_tenth: Total | None
    at_stake: Total | None
    discount_rate: float
    year_before: float | None

    @property
    def method(self) -> str:
        return self.forecaster.method

    @property
    def model(self) -> PurchaseModel | None:
        return self.forecaster.model

    @property
    def wholesale(self) -> int:
        return int(self.customers["wholesale"].sum())

    @property
    def wholesale_share(self) -> float:
        value = self.customers["expected_value"]
        return float(value[self.customers["wholesale"]].sum() / max(value.sum(), 1e-12))


def horizon_words(days: int) -> str:
    return "in the next 12 months" if days == 365 else f"in the next {days} days"


def margin_of(shop: Shop, *, assumed: float) -> Margin:
    """What share of net sales is left after discounts and product costs? From the last year's lines with a unit cost.

    `assumed` counts only where no cost is known; 1 means that sales are shown instead of margin.
    """
    nothing = Margin(share=assumed, known_share=0.0, source="parameter" if assumed < 1 else "none")
    if not shop.has("orders") or not shop_facts.has_costs(shop):
        return nothing
    orders = shop_facts.order_margins(shop)
    orders = orders.filter(orders["day"] >= shop.as_of - timedelta(days=365))
    costed = orders["margin"].notnull()
    sums = shop.fetch(
        orders.aggregate(
            goods=orders["goods"].sum(), known=orders["known"].sum(), margin=orders["margin"].sum(),
            revenue=orders["revenue"].sum(where=costed), back=orders["returned_cost"].sum().fill_null(0),
        )
    ).iloc[0]  # fmt: skip
    if not sums["known"] > 0 or not sums["revenue"] > 0:
        return nothing
    return Margin(
        share=float(sums["margin"] / sums["revenue"]),
        known_share=float(sums["known"] / sums["goods"]),
        source="costs",
        at_risk=float(sums["back"] / sums["margin"]) if sums["margin"] > 0 else 0.0,
    )


def forecaster(shop: Shop, patterns: pd.DataFrame, validation: Validation) -> Forecaster:
    """The method `validation` chose, taught with everything before as_of; the next best that can be where it cannot."""
    wanted = [validation.chosen, *(name for name in MODELS if name in validation.models), RECENCY, SAME_RATE]
    for method in dict.fromkeys(wanted):
        fits = Fits(models={}, failed=(), clock=None)
        if method in MODELS:
            fits = fit_all(shop, patterns, time_unit=validation.time_unit, until=shop.as_of, names=(method,))
            if method in fits.models:
                # What was learnt of one model's chances says nothing of another's.
                likely = validation.chances if method == validation.chosen else Chances()
                return Forecaster(method=method, patterns=patterns, fits=fits, rule=None, chances=likely)
            continue
        rule = _rule(shop, method, patterns, validation.days)
        if rule is not None:
            return Forecaster(method=method, patterns=patterns, fits=fits, rule=rule)
    raise NotEnoughData("too few to conclude: no method could be taught with this shop")


def score(
    shop: Shop,
    validation: Validation,
    *,
    horizon_days: int,
    margin: float = 1.0,
    discount_rate: float = 0.0,
    seed: int = 0,
) -> Scores:
    """How much will each customer bring in the `horizon_days` from as_of on? One row per customer, best first.

    Uses the method `validation` chose, refitted on everything before as_of. `margin` is a share of net sales, for shops
    without costs; `discount_rate` is per year. Raises NotEnoughData where nobody has bought.
    """
    history = shop_facts.customer_history(shop, until=shop.as_of).order_by("customer_id")
    people = shop.fetch(history, max_rows=20_000_000)
    if people.empty:
        raise NotEnoughData(f"too few to conclude: nobody has bought before {shop.as_of}")
    groups = people.groupby(HISTORY, sort=True)
    patterns = groups.size().rename("customers").reset_index()
    row = groups.ngroup().to_numpy(np.intp)
    ahead = forecaster(shop, patterns, validation)
    expected = ahead.expected(horizon_days)
    # Whoever orders at all orders at least once: no chance of an order is above the orders expected.
    none = np.maximum(ahead.p_none(horizon_days), 1 - expected)
    soon = 1 - ahead.p_none(_BUYS_DAYS)
    soon = np.minimum(soon, 1 - none) if horizon_days >= _BUYS_DAYS else np.maximum(soon, 1 - none)
    draws = ahead.simulate(horizon_days, n=_FEWER_DRAWS if len(patterns) > _MANY else _DRAWS, seed=seed)
    counts = patterns["customers"].to_numpy(float)
    exact = ahead.model.limits(patterns, days=horizon_days) if ahead.model else None
    low, high = exact or _quantiles(draws)
    frame = pd.DataFrame(
        {
            "customer_id": people["customer_id"],
            "expected_orders": expected[row],
            "low_orders": low[row].astype(int),
            "high_orders": high[row].astype(int),
            "p_no_order": none[row],
            "days_since_last_order": (people["t_days"] - people["recency_days"]) + 1,
            "past_revenue": people["revenue"].astype(float),
            "chance_90d": soon[row],
            "_row": row,
        }
    )
    errors = validation.errors
    own = ahead.spread(horizon_days, counts)
    chance = np.sqrt(counts @ _variances(draws))
    orders = _band(float(counts @ expected), chance, own, errors)
    doubt = np.sqrt(counts @ (none * (1 - none)))
    buyers = _band(float(counts @ (1 - none)), doubt, own, errors, most=len(people))
    spend = spend_of(people, until=shop.as_of) if people["revenue"].notna().any() and _has_money(shop) else None
    earnings = margin_of(shop, assumed=margin)
    frame = _with_value(frame, people, ahead, spend, earnings, draws, expected, horizon_days, discount_rate, seed)
    frame = _ranked(frame)
    value, top, stake = None, None, None
    if spend is not None:
        value = _money_band(frame, ahead, horizon_days, spend, errors)
        top = _top_share(frame.loc[~frame["wholesale"], "expected_value"].to_numpy(float), seed)
        quiet = frame[frame["quiet"]]
        stake = _money_band(quiet, ahead, horizon_days, spend, errors, column="if_active") if len(quiet) else None
    tiers = _tiers(frame, ahead, horizon_days, spend, errors, then=tiers_then(validation))
    return Scores(
        customers=frame.drop(columns=["_row", "_variance"]).round(4), tiers=tiers,
        row=frame["_row"].to_numpy(np.intp), forecaster=ahead, spend=spend, margin=earnings,
        horizon_days=horizon_days, errors=errors, orders=orders, buyers=buyers, value=value, top_tenth=top,
        at_stake=stake, discount_rate=discount_rate,
        year_before=None if ahead.fits.clock else year_before(shop, days=horizon_days),
    )  # fmt: skip


def group_total(scores: Scores, members: NDArray[np.bool_]) -> tuple[float, Total]:
    """Expected value per customer of some of the customers (a mask over scores.customers), and their total with its band."""
    assert scores.spend is not None
    some = scores.customers[members].assign(_row=scores.row[members])
    spread = (some["high_value"] - some["low_value"]) / 3.92
    total = _money_band(
        some.assign(_variance=np.square(spread)), scores.forecaster, scores.horizon_days, scores.spend, scores.errors
    )
    return total.value / max(len(some), 1), total


def _has_money(shop: Shop) -> bool:
    return shop.has("orders", "total") or shop.has("order_lines")


def _rule(
    shop: Shop, method: str, patterns: pd.DataFrame, holdout: int
) -> Callable[[float], tuple[Floats, Floats]] | None:
    """days -> mean purchases of each history by a simple rule, and their variance beyond chance."""
    x, recency, t = (patterns[name].to_numpy(float) for name in HISTORY)
    zero = np.zeros(len(patterns))
    if method == NOBODY:
        return lambda _: (zero, zero)
    if method == SAME_RATE:
        return lambda days: (x / np.maximum(t, 1) * days, zero)
    bins = recency_bins(shop, start=shop.as_of, days=holdout)
    if bins is None:
        return None
    rate, spread = bins.rates(t - recency), bins.spreads(t - recency)
    # Differences between customers grow with the square of the time, chance only with the time.
    return lambda days: (days / holdout * rate, (days / holdout) ** 2 * np.maximum(spread - rate, 0))


def _gamma(mean: Floats, extra: Floats) -> tuple[NDArray[np.bool_], Floats, Floats]:
    """A Gamma of rates makes counts negative binomial; without differences they are Poisson."""
    mixed = extra > 1e-12
    scale = np.where(mixed, extra / np.maximum(mean, 1e-12), 1.0)
    return mixed, scale, np.where(mixed, mean / scale, 1.0)


def _small(draws: NDArray[np.int64]) -> NDArray[np.uint16]:
    return np.minimum(draws, np.iinfo(np.uint16).max).astype(np.uint16)


def _variances(draws: NDArray[np.uint16]) -> Floats:
    """Of each row; some at a time, since on the way each draw is a float four times its size."""
    starts = range(0, len(draws), _CHUNK)
    return np.concatenate([draws[start : start + _CHUNK].var(axis=1, dtype=float) for start in starts])


def _quantiles(draws: NDArray[np.uint16]) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """The 2.5 and 97.5 % points of each row: for counts, values that occur."""
    n = draws.shape[1]
    below, above = max(int(np.ceil(0.025 * n)) - 1, 0), int(np.ceil(0.975 * n)) - 1
    split = np.partition(draws, (below, above), axis=1)
    return split[:, below].copy(), split[:, above].copy()


def _side_by_side(work: Callable[[_Part], _Made], parts: Iterable[_Part]) -> list[_Made]:
    """Parts of one calculation on two cores: NumPy lets go of the interpreter while it draws."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, parts))


def _band(value: float, chance: float, own: float, errors: Errors, *, most: float = np.inf) -> Total:
    return band(value, float(np.hypot(chance / max(value, 1e-12), own)), errors, most=most)


def _money_band(
    some: pd.DataFrame,
    ahead: Forecaster,
    days: int,
    spend: SpendModel,
    errors: Errors,
    *,
    column: str = "expected_value",
) -> Total:
    """A sum of money over rows of customers, its band from their chance, the parameters and earlier errors."""
    rows = np.bincount(some["_row"], minlength=len(ahead.patterns)).astype(float)
    own = float(np.hypot(ahead.spread(days, rows), spend.mean_deviation))
    return _band(float(some[column].sum()), float(np.sqrt(some["_variance"].sum())), own, errors)


def _with_value(
    frame: pd.DataFrame, people: pd.DataFrame, ahead: Forecaster, spend: SpendModel | None, earnings: Margin,
    draws: NDArray[np.uint16], expected: Floats, days: int, rate: float, seed: int,
) -> pd.DataFrame:  # fmt: skip
    """Value per customer with its 95 % range and variance."""
    if spend is None:
        columns = ("expected_value", "low_value", "high_value", "_variance", "if_active")
        return frame.assign(**dict.fromkeys(columns, np.nan), wholesale=False)
    frequency, average = repeat_average(people)
    per_order, big = spend.per_order(people)
    row = frame["_row"].to_numpy(np.intp)
    weight = earnings.share * _discount(ahead, days, rate, expected)[row]

    def some(start: int) -> tuple[Floats, Floats, Floats]:
        part = slice(start, start + _CHUNK)
        purchases = draws[row[part]]
        money = spend.simulate(purchases, frequency[part], average[part], rng=np.random.default_rng([seed, start]))
        money = np.where(big[part, None], purchases * average[part, None], money)
        n = money.shape[1]
        below, above = int(0.025 * n), min(int(np.ceil(0.975 * n)), n - 1)
        variance = money.var(axis=1)
        money.partition((below, above), axis=1)
        # Copies: a view of one column would keep the whole table of draws.
        return money[:, below].copy(), money[:, above].copy(), variance

    low, high, variance = (
        np.concatenate(c) for c in zip(*_side_by_side(some, range(0, len(people), _CHUNK)), strict=True)
    )
    alive = ahead.model.p_alive(ahead.patterns) if ahead.model is not None else np.ones(len(ahead.patterns))
    return frame.assign(
        expected_value=expected[row] * per_order * weight, low_value=low * weight, high_value=high * weight,
        _variance=variance * weight**2, if_active=_if_active(expected, alive)[row] * per_order * weight,
        wholesale=big,
    )  # fmt: skip


def _if_active(expected: Floats, alive: Floats) -> Floats:
    """Purchases of somebody who still buys. Chances are tiny long before they are lost: only 0 has no answer."""
    return np.where(alive > 0, expected / np.where(alive > 0, alive, 1.0), 0.0)


def _discount(ahead: Forecaster, days: int, rate: float, expected: Floats) -> Floats:
    """Per history, what a unit of money over the horizon is worth today."""
    if rate == 0:
        return np.ones(len(expected))
    edges = np.linspace(0, days, _STEPS + 1)
    worth = (1 + rate) ** (-(edges[1:] + edges[:-1]) / 2 / 365)
    reached = np.stack([np.zeros(len(expected)), *(ahead.expected(edge) for edge in edges[1:])])
    return np.where(expected > 0, worth @ np.diff(reached, axis=0) / np.maximum(expected, 1e-12), 1.0)


def _top_share(value: Floats, seed: int) -> Total:
    """Share of the total held by the top tenth, 95 % by drawing customers again."""
    ordered = np.sort(value)[::-1]
    rng = np.random.default_rng(seed)
    tenth = max(len(ordered) / 10, 1)

    def share(times: Floats) -> float:
        room = np.clip(tenth - (np.cumsum(times) - times), 0, times)
        return float(room @ ordered / max(float(times @ ordered), 1e-12))

    # Poisson numbers of each customer: a sample drawn again without shuffling.
    resamples = int(np.clip(_MOST_CELLS // len(ordered), 60, 200))
    again = [share(rng.poisson(1.0, len(ordered)).astype(float)) for _ in range(resamples)]
    low, high = np.quantile(again, [0.025, 0.975])
    return Total(value=share(np.ones(len(ordered))), low=float(low), high=float(high))


def _tiers(
    frame: pd.DataFrame, ahead: Forecaster, days: int, spend: SpendModel | None, errors: Errors, *, then: pd.DataFrame
) -> pd.DataFrame:
    """Totals by tier. A range also holds what would come if the tier missed as it did in the days kept aside."""
    missed = (then["came"] / then["forecast"].where(then["forecast"] > 0)).set_axis(then["tier"]).fillna(1.0)
    rows: list[dict[str, object]] = []
    whole = max(float(frame.loc[~frame["wholesale"], "expected_value"].sum()), 1e-12)
    for tier in (WHOLESALE, *(name for name, _ in TIERS)):
        some = frame[frame["tier"] == tier]
        if some.empty:
            continue
        total = _money_band(some, ahead, days, spend, errors) if spend is not None else None
        if total and tier in missed:
            again = total.value * float(missed[tier])
            total = Total(value=total.value, low=min(total.low, again), high=max(total.high, again))
        elif total and len(some) == 1:
            # One buyer's own range, as the list has it.
            total = Total(
                value=total.value, low=float(some["low_value"].iloc[0]), high=float(some["high_value"].iloc[0])
            )
        rows.append(
            {"tier": tier, "customers": len(some), "expected_orders": float(some["expected_orders"].sum()),
             "expected_value": total.value if total else np.nan, "low_value": total.low if total else np.nan,
             "high_value": total.high if total else np.nan, "share": total.value / whole if total and tier != WHOLESALE else np.nan,
             "p_no_order": float(some["p_no_order"].mean())}
        )  # fmt: skip
    return pd.DataFrame(rows)


def _ranked(frame: pd.DataFrame) -> pd.DataFrame:
    by = "expected_value" if frame["expected_value"].notna().any() else "expected_orders"
    frame = frame.sort_values(
        [by, "days_since_last_order", "customer_id"], ascending=[False, True, True], ignore_index=True
    )
    loyal = frame["past_revenue"] >= frame["past_revenue"].quantile(0.8)
    crowd = ~frame["wholesale"].to_numpy(bool)
    place = (np.cumsum(crowd) - 1) / max(crowd.sum(), 1)
    edges = np.cumsum([share for _, share in TIERS])[:-1]
    names = np.array([name for name, _ in TIERS])
    tier = np.where(crowd, names[np.searchsorted(edges, place + 1e-12, side="right")], WHOLESALE)
    frame = frame.assign(
        rank=np.arange(1, len(frame) + 1), tier=tier, quiet=loyal & (frame["p_no_order"] >= 0.5) & crowd
    )
    columns = [
        "customer_id", "expected_orders", "low_orders", "high_orders", "expected_value", "low_value", "high_value", "p_no_order",
        "rank", "tier", "days_since_last_order", "past_revenue", "chance_90d", "if_active", "quiet", "wholesale",
        "_row", "_variance",
    ]  # fmt: skip
    return frame[columns]
