"""What to expect of each customer, and of all together, with how far it may be off."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib.analysis.lifetime_value.models import Floats, PurchaseModel, SpendModel, fit, fit_spend
from crmlib.analysis.lifetime_value.validation import MODEL, NOBODY, SAME_RATE, Validation, recency_bins
from crmlib.errors import NotEnoughData
from crmlib.shop import facts as shop_facts

if TYPE_CHECKING:
    from crmlib.shop.engine import Shop

_DRAWS = 400
_CHUNK = 20_000  # customers whose spend is simulated at a time
_STEPS = 12  # parts of the horizon for discounting
_PATTERN = ["frequency", "recency_days", "t_days"]


@dataclass(frozen=True, kw_only=True)
class Total:
    """A sum over customers with a 95 % range: chance, what the data leaves open, and the errors of earlier forecasts."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Margin:
    """What is left of sales. `share` of net sales; `known_share` of sales have a cost; source: costs, parameter, none."""

    share: float
    known_share: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Expected orders and value in [as_of, as_of + horizon_days).

    customers   customer_id, expected_orders, low_orders, high_orders, expected_value, low_value, high_value,
                p_no_order, rank, days_since_last_order, past_revenue, quiet; best first; value in the shop's currency,
                empty where spend cannot be forecast
    model, spend  refitted on everything before as_of
    """

    customers: pd.DataFrame
    method: str
    model: PurchaseModel | None
    spend: SpendModel | None
    margin: Margin
    horizon_days: int
    orders: Total
    buyers: Total
    value: Total | None
    top_tenth: Total | None
    wholesale: int
    wholesale_share: float
    discount_rate: float


def margin_of(shop: Shop, *, assumed: float) -> Margin:
    """What share of net sales is left after product costs? From unit costs of the last year where lines have them.

    `assumed` counts only where no cost is known; 1 means that sales are shown instead of margin.
    """
    in_lines = shop.has("order_lines", "unit_cost", "quantity")
    in_products = shop.has("products", "unit_cost") and shop.has("order_lines", "quantity")
    if not shop.has("order_lines") or not (in_lines or in_products):
        return Margin(share=assumed, known_share=0.0, source="parameter" if assumed < 1 else "none")
    lines = shop.table("order_lines").mutate(_money=shop_facts.line_money(shop))
    if shop.has("orders"):
        recent = shop_facts.net_orders(shop)
        recent = recent.filter(recent["day"] >= shop.as_of - timedelta(days=365)).select("order_id")
        lines = lines.semi_join(recent, "order_id")
    if in_products:
        costs = shop.table("products").select("product_id", _list_cost="unit_cost")
        lines = lines.left_join(costs, "product_id").drop("product_id_right")
        cost = lines["unit_cost"].fill_null(lines["_list_cost"]) if in_lines else lines["_list_cost"]
    else:
        cost = lines["unit_cost"]
    lines = lines.mutate(_cost=cost * lines["quantity"])
    known = lines["_cost"].notnull()
    sums = shop.fetch(
        lines.aggregate(
            sales=lines["_money"].sum(), known=lines["_money"].sum(where=known), cost=lines["_cost"].sum(where=known)
        )
    ).iloc[0]
    if not sums["known"] > 0:
        return Margin(share=assumed, known_share=0.0, source="parameter" if assumed < 1 else "none")
    return Margin(
        share=float(1 - sums["cost"] / sums["known"]), known_share=float(sums["known"] / sums["sales"]), source="costs"
    )


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
    patterns = people.groupby(_PATTERN, as_index=False).agg(customers=("customer_id", "size"))
    row = people.merge(patterns.reset_index(names="row")[["row", *_PATTERN]], on=_PATTERN, how="left")["row"].to_numpy()
    method, model = validation.chosen, None
    if method == MODEL:
        model = fit(patterns, time_unit=validation.model.time_unit if validation.model else "day", until=shop.as_of)
        method = MODEL if model is not None else SAME_RATE
    expected, none, draws = _purchases(shop, method, model, patterns, horizon_days, validation.days, seed)
    counts = patterns["customers"].to_numpy(float)
    low, high = np.quantile(draws, [0.025, 0.975], axis=1, method="inverted_cdf")
    frame = pd.DataFrame(
        {
            "customer_id": people["customer_id"],
            "expected_orders": expected[row],
            "low_orders": low[row].astype(int),
            "high_orders": high[row].astype(int),
            "p_no_order": none[row],
            "days_since_last_order": (people["t_days"] - people["recency_days"]) + 1,
            "past_revenue": people["revenue"],
        }
    )
    error = validation.typical_error
    own = _relative_spread(model, patterns, horizon_days, expected, seed)
    orders = _total(float(counts @ expected), float(np.sqrt(counts @ draws.var(axis=1))), own, error)
    buyers = _total(
        float(counts @ (1 - none)), float(np.sqrt(counts @ (none * (1 - none)))), own, error, most=len(people)
    )
    spend = fit_spend(shop) if shop.has("orders", "total") or shop.has("order_lines") else None
    earnings = margin_of(shop, assumed=margin)
    value, top, wholesale, wholesale_share = None, None, 0, 0.0
    if spend is not None:
        big = spend.per_order(people)[1]
        weight = earnings.share * _discount(model, patterns, horizon_days, discount_rate, expected)[row]
        values, deviation = _values(spend, people, draws, row, expected[row], weight, seed)
        frame = frame.assign(**values)
        wholesale = int(big.sum())
        wholesale_share = float(frame.loc[big, "expected_value"].sum() / max(frame["expected_value"].sum(), 1e-12))
        value = _total(float(values["expected_value"].sum()), deviation, own, error)
        top = _top_tenth(frame["expected_value"].to_numpy(float), seed)
    else:
        frame = frame.assign(expected_value=np.nan, low_value=np.nan, high_value=np.nan)
    return Scores(
        customers=_ranked(frame), method=method, model=model, spend=spend, margin=earnings, horizon_days=horizon_days,
        orders=orders, buyers=buyers, value=value, top_tenth=top, wholesale=wholesale,
        wholesale_share=wholesale_share, discount_rate=discount_rate,
    )  # fmt: skip


def _purchases(
    shop: Shop, method: str, model: PurchaseModel | None, patterns: pd.DataFrame, days: int, holdout: int, seed: int
) -> tuple[Floats, Floats, Floats]:
    """Per pattern: mean purchases, chance of none, and draws (patterns, n)."""
    if model is not None:
        draws = model.simulate(patterns, days=days, n=_DRAWS, seed=seed).astype(float)
        return model.expected(patterns, days=days), model.p_none(patterns, days=days), draws
    rng = np.random.default_rng(seed)
    x, recency, t = (patterns[name].to_numpy(float) for name in _PATTERN)
    if method == NOBODY:
        mean = extra = np.zeros(len(patterns))
    elif method == SAME_RATE:
        mean, extra = x / np.maximum(t, 1) * days, np.zeros(len(patterns))
    else:
        bins = recency_bins(shop, start=shop.as_of, days=holdout)
        if bins is None:
            raise NotEnoughData("too few to conclude: under 100 customers were known one holdout before as_of")
        k = days / holdout
        rate, spread = bins.rates(t - recency), bins.spreads(t - recency)
        # Differences between customers grow with the square of the time, chance only with the time.
        mean, extra = k * rate, k * k * np.maximum(spread - rate, 0)
    mixed = extra > 1e-12
    # A Gamma of rates makes counts negative binomial; without differences they are Poisson.
    scale = np.where(mixed, extra / np.maximum(mean, 1e-12), 1.0)
    shape = np.where(mixed, mean / scale, 1.0)
    rates = np.where(
        mixed[:, None], scale[:, None] * rng.gamma(shape[:, None], 1.0, (len(mean), _DRAWS)), mean[:, None]
    )
    none = np.where(mixed, (1 + scale) ** -shape, np.exp(-mean))
    return mean, none, rng.poisson(rates).astype(float)


def _relative_spread(
    model: PurchaseModel | None, patterns: pd.DataFrame, days: int, expected: Floats, seed: int
) -> float:
    """By what share the total may be off because the parameters are not known exactly."""
    total = float(patterns["customers"] @ expected)
    if model is None or total <= 0:
        return 0.0
    totals = model.expected_totals(patterns, days=days, draws=model.draws(200, seed=seed))
    return float(np.std(np.log(np.maximum(totals, 1e-9))))


def _total(value: float, deviation: float, own: float, error: float, *, most: float = np.inf) -> Total:
    """95 % range on the scale of ratios, from chance, unknown parameters and the typical error of earlier forecasts."""
    if value <= 0:
        return Total(value=0.0, low=0.0, high=0.0)
    # The earlier errors already hold chance and parameters of their time: the larger counts, not the sum.
    spread = max(np.hypot(deviation / value, own), error if np.isfinite(error) else 0.0)
    return Total(
        value=value, low=value * float(np.exp(-1.96 * spread)), high=min(value * float(np.exp(1.96 * spread)), most)
    )


def _discount(model: PurchaseModel | None, patterns: pd.DataFrame, days: int, rate: float, expected: Floats) -> Floats:
    """Per pattern, what a unit of money over the horizon is worth today."""
    edges = np.linspace(0, days, _STEPS + 1)
    worth = (1 + rate) ** (-(edges[1:] + edges[:-1]) / 2 / 365)
    if model is None:
        return np.full(len(patterns), worth.mean())
    reached = np.stack([np.zeros(len(patterns)), *(model.expected(patterns, days=edge) for edge in edges[1:])])
    return np.asarray(worth @ np.diff(reached, axis=0) / np.maximum(expected, 1e-12))


def _values(
    spend: SpendModel,
    people: pd.DataFrame,
    draws: Floats,
    row: NDArray[np.intp],
    expected: Floats,
    weight: Floats,
    seed: int,
) -> tuple[dict[str, Floats], float]:
    """Value per customer with its 95 % range, and the standard deviation of the sum."""
    frequency = people["frequency"].to_numpy(float)
    average = people["repeat_revenue"].to_numpy(float) / np.maximum(frequency, 1)
    per_order, big = spend.per_order(people)
    low, high, variance = (np.empty(len(people)) for _ in range(3))
    for start in range(0, len(people), _CHUNK):
        part = slice(start, start + _CHUNK)
        purchases = draws[row[part]].astype(np.int64)
        money = spend.simulate(purchases, frequency[part], average[part], seed=seed + start)
        money = np.where(big[part, None], purchases * average[part, None], money) * weight[part, None]
        low[part], high[part] = np.quantile(money, [0.025, 0.975], axis=1)
        variance[part] = money.var(axis=1)
    values = {"expected_value": expected * per_order * weight, "low_value": low, "high_value": high}
    return values, float(np.sqrt(variance.sum()))


def _top_tenth(value: Floats, seed: int) -> Total:
    rng = np.random.default_rng(seed)

    def share(values: Floats) -> float:
        ordered = np.sort(values)[::-1]
        return float(ordered[: max(1, round(len(ordered) / 10))].sum() / max(ordered.sum(), 1e-12))

    again = [share(rng.choice(value, len(value))) for _ in range(200)]
    low, high = np.quantile(again, [0.025, 0.975])
    return Total(value=share(value), low=float(low), high=float(high))


def _ranked(frame: pd.DataFrame) -> pd.DataFrame:
    by = "expected_value" if frame["expected_value"].notna().any() else "expected_orders"
    frame = frame.sort_values(
        [by, "days_since_last_order", "customer_id"], ascending=[False, True, True], ignore_index=True
    )
    loyal = frame["past_revenue"] >= frame["past_revenue"].quantile(0.8)
    columns = [
        "customer_id",
        "expected_orders",
        "low_orders",
        "high_orders",
        "expected_value",
        "low_value",
        "high_value",
        "p_no_order",
    ]
    frame = frame.assign(rank=np.arange(1, len(frame) + 1), quiet=loyal & (frame["p_no_order"] >= 0.5))
    return frame[[*columns, "rank", "days_since_last_order", "past_revenue", "quiet"]].round(4)
