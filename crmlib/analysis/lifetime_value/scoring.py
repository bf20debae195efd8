"""What to expect of each customer, and of all together, with how far it may be off."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib import figures, formats, wording
from crmlib.analysis.forecasts import Total
from crmlib.analysis.lifetime_value import chances
from crmlib.analysis.lifetime_value.forecaster import CHUNK, Outlook, forecaster, side_by_side
from crmlib.analysis.lifetime_value.margin import Margin, margin_of
from crmlib.analysis.lifetime_value.methods import HISTORY
from crmlib.analysis.lifetime_value.models import PurchaseModel
from crmlib.analysis.lifetime_value.past import Past, part_past, past_year, yardstick
from crmlib.analysis.lifetime_value.ranges import limits
from crmlib.analysis.lifetime_value.season import year_before
from crmlib.analysis.lifetime_value.spend import GAMMA_GAMMA, spend_of
from crmlib.analysis.lifetime_value.tiers import TOP, WHOLESALE, tier_of, tiers, tiers_then
from crmlib.analysis.lifetime_value.timing import Floats
from crmlib.analysis.lifetime_value.validation import Trust, Validation
from crmlib.errors import NotEnoughData
from crmlib.findings import Metric, Part
from crmlib.formats import Estimate, outline
from crmlib.shop import facts as shop_facts
from crmlib.shop.shop import Shop
from crmlib.stats.ranking import top_share_range

STOPPED, NEW_DAYS = 0.5, 30  # a chance of no order from which one is likelier gone than not; how long that is news
BEST_SHARE = 0.2  # the customers by past sales who are worth a call when they waver
_DRAWS, _FEWER_DRAWS, _MANY = 400, 200, 50_000
_AS_MANY = 0.02  # a number of customers this close is the same
_STEPS = 12  # parts of the horizon for discounting
_COLUMNS = [
    "customer_id", "expected_orders", "low_orders", "high_orders", "expected_value", "low_value", "high_value",
    "p_no_order", "rank", "tier", "days_since_last_order", "past_revenue", "chance_90d", "if_active", "quiet",
    "wholesale", "new", "past_orders", "_row", "_variance",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Scores(Outlook):
    """Expected orders and value in [as_of, as_of + horizon_days).

    customers   customer_id, expected_orders, low_orders, high_orders, expected_value, low_value, high_value,
                p_no_order, rank, tier, days_since_last_order, past_revenue, chance_90d (of an order within 90 days),
                if_active (value if still buying), quiet (one of the best, likelier not to order), wholesale,
                new (quiet now and not thirty days ago); best first; value in the shop's currency, empty where spend
                cannot be forecast
    tiers       totals with ranges, as `tiers.tiers` has them
    past        what customers brought in the twelve months before as_of
    yardstick   what those known as long ago as the horizon brought since, and how many they were
    year_before how busy the coming days were a year ago (1: as the whole year), where the method knows no season
    row         for each row of customers, that of `forecaster.patterns`
    """

    __repr__ = outline

    customers: pd.DataFrame
    tiers: pd.DataFrame
    row: NDArray[np.intp]
    margin: Margin
    past: Past
    orders: Total
    buyers: Total
    value: Total | None
    top_tenth: Total | None
    discount_rate: float
    year_before: float | None
    yardstick: tuple[float, int] | None

    @property
    def method(self) -> str:
        """The method used."""
        return self.forecaster.method

    @property
    def model(self) -> PurchaseModel | None:
        """Its model; None for a simple rule."""
        return self.forecaster.model

    @property
    def wholesale(self) -> int:
        """How many wholesale buyers there are."""
        return int(self.customers["wholesale"].sum())

    @property
    def best(self) -> pd.DataFrame:
        """The best fifth of customers by past sales; by past orders where there are no amounts."""
        return self.customers[_best(self.customers)]

    @property
    def best_by(self) -> str:
        """By what they are the best: sales, or orders where there are no amounts."""
        return "sales" if _paid(self.customers) else "orders"

    @property
    def ahead(self) -> str:
        """The horizon in words: 'next 12 months'."""
        return f"next {wording.span(self.horizon_days)}"

    def group_total(self, members: NDArray[np.bool_]) -> tuple[float, Total]:
        """Expected value per customer of some of the customers (a mask), and their total with its range."""
        some = self.customers[members].assign(_row=self.row[members])
        spread = (some["high_value"] - some["low_value"]) / 3.92
        total = self.money(some.assign(_variance=np.square(spread)))
        return total.value / max(len(some), 1), total


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
    money = validation.spend.name if validation.spend else GAMMA_GAMMA
    paid = people["revenue"].notna().any() and (shop.has("orders", "total") or shop.has("order_lines"))
    outlook = Outlook(forecaster=ahead, horizon_days=horizon_days, errors=validation.errors, widen=validation.widen,
                      spend=spend_of(people, until=shop.as_of, name=money) if paid else None)  # fmt: skip
    draws = ahead.simulate(horizon_days, n=_FEWER_DRAWS if len(patterns) > _MANY else _DRAWS, seed=seed)
    expected, none, soon = _chances(outlook)
    frame = _frame(people, outlook, (expected, none, soon), draws, row)
    earnings = margin_of(shop, assumed=margin)
    weight = earnings.share * _discount(outlook, discount_rate, expected)
    frame = _ranked(_with_value(frame, people, outlook, draws, (expected, weight), seed))
    counts = patterns["customers"].to_numpy(float)
    own = ahead.spread(horizon_days, counts)
    orders = outlook.total(float(counts @ expected), np.sqrt(counts @ _variances(draws)), own)
    buyers = outlook.total(float(counts @ (1 - none)), np.sqrt(counts @ (none * (1 - none))), own, most=len(people))
    value, top = None, None
    if outlook.spend is not None:
        value = outlook.money(frame)
        held = top_share_range(frame.loc[~frame["wholesale"], "expected_value"].to_numpy(float), seed=seed)
        top = Total(value=held[0], low=held[1], high=held[2])
    return Scores(
        forecaster=ahead, horizon_days=horizon_days, errors=outlook.errors, spend=outlook.spend,
        customers=frame.drop(columns=["_row", "_variance"]).round(4),
        tiers=tiers(frame, outlook, validation=validation), row=frame["_row"].to_numpy(np.intp), margin=earnings,
        past=past_year(shop), orders=orders, buyers=buyers, value=value, top_tenth=top, discount_rate=discount_rate,
        year_before=None if ahead.fits.clock else year_before(shop, days=horizon_days),
        yardstick=yardstick(shop, days=horizon_days),
    )  # fmt: skip


def _chances(outlook: Outlook) -> tuple[Floats, Floats, Floats]:
    """Of each history: purchases expected, chance of none, chance of one within 90 days; none contradicts another."""
    ahead, days = outlook.forecaster, outlook.horizon_days
    expected = ahead.orders(days)
    # Whoever orders at all orders at least once: no chance of an order is above the orders expected.
    none = np.maximum(ahead.p_none(days), 1 - expected)
    soon = 1 - ahead.p_none(chances.DAYS)
    return expected, none, np.minimum(soon, 1 - none) if days >= chances.DAYS else np.maximum(soon, 1 - none)


def _frame(
    people: pd.DataFrame, outlook: Outlook, of: tuple[Floats, Floats, Floats], draws: NDArray[np.uint16],
    row: NDArray[np.intp],
) -> pd.DataFrame:  # fmt: skip
    """Orders and chances per customer, from those of the histories."""
    expected, none, soon = of
    ahead = outlook.forecaster
    if ahead.model is not None:
        low, high = limits(ahead.model, ahead.chances, ahead.patterns, days=outlook.horizon_days, widen=outlook.widen)
    else:
        # For counts, values that occur.
        low, high = np.quantile(draws, [0.025, 0.975], axis=1, method="inverted_cdf").astype(float)
    before = ahead.p_none(outlook.horizon_days, before=NEW_DAYS)
    of_history = {"expected_orders": expected, "low_orders": low.astype(int), "high_orders": high.astype(int),
                  "p_no_order": none, "chance_90d": soon, "_before": before}  # fmt: skip
    return people[["customer_id"]].assign(
        **{name: values[row] for name, values in of_history.items()}, _row=row,
        days_since_last_order=(people["t_days"] - people["recency_days"]) + 1,
        past_revenue=people["revenue"].astype(float), past_orders=people["frequency"] + 1,
    )  # fmt: skip


def _variances(draws: NDArray[np.uint16]) -> Floats:
    """Of each row; some at a time, since on the way each draw is a float four times its size."""
    starts = range(0, len(draws), CHUNK)
    return np.concatenate([draws[start : start + CHUNK].var(axis=1, dtype=float) for start in starts])


def _with_value(
    frame: pd.DataFrame, people: pd.DataFrame, outlook: Outlook, draws: NDArray[np.uint16],
    of: tuple[Floats, Floats], seed: int,
) -> pd.DataFrame:  # fmt: skip
    """Value per customer with its 95 % range and variance. `of` each history: purchases, and what one unit is worth."""
    expected, spend, ahead = of[0], outlook.spend, outlook.forecaster
    if spend is None:
        columns = ("expected_value", "low_value", "high_value", "_variance", "if_active")
        return frame.assign(**dict.fromkeys(columns, np.nan), wholesale=False)
    count, average = spend.seen(people)
    per_order, big = spend.per_order(people)
    row = frame["_row"].to_numpy(np.intp)
    weight, plain = of[1][row], ahead.expected(outlook.horizon_days)
    # Draws are the model's; chances share its orders out anew.
    drawn = np.where(plain > 1e-12, expected / np.maximum(plain, 1e-12), 1.0)[row]

    def some(start: int) -> tuple[Floats, Floats, Floats]:
        part = slice(start, start + CHUNK)
        purchases = draws[row[part]]
        money = spend.simulate(purchases, count[part], average[part], rng=np.random.default_rng([seed, start]))
        money = np.where(big[part, None], purchases * per_order[part, None], money)
        n = money.shape[1]
        below, above = int(0.025 * n), min(int(np.ceil(0.975 * n)), n - 1)
        variance = money.var(axis=1)
        money.partition((below, above), axis=1)  # a key is a place in the order
        # Copies: a view of one column would keep the whole table of draws.
        return money[:, below].copy(), money[:, above].copy(), variance

    parts = side_by_side(some, range(0, len(people), CHUNK))
    low, high, variance = (np.concatenate(column) for column in zip(*parts, strict=True))
    mean, low, high, variance = expected[row] * per_order, low * drawn, high * drawn, variance * drawn**2
    low = np.maximum(mean - outlook.widen * np.maximum(mean - low, 0), 0)
    high = mean + outlook.widen * np.maximum(high - mean, 0)
    alive = ahead.model.p_alive(ahead.patterns) if ahead.model is not None else np.ones(len(ahead.patterns))
    return frame.assign(
        expected_value=mean * weight, low_value=low * weight, high_value=high * weight,
        _variance=variance * weight**2, if_active=_if_active(plain, alive)[row] * per_order * weight, wholesale=big,
    )  # fmt: skip


def _if_active(expected: Floats, alive: Floats) -> Floats:
    """Purchases of somebody who still buys. Chances are tiny long before they are lost: only 0 has no answer."""
    return np.where(alive > 0, expected / np.where(alive > 0, alive, 1.0), 0.0)


def _discount(outlook: Outlook, rate: float, expected: Floats) -> Floats:
    """Per history, what a unit of money over the horizon is worth today."""
    if rate == 0:
        return np.ones(len(expected))
    edges = np.linspace(0, outlook.horizon_days, _STEPS + 1)
    worth = (1 + rate) ** (-(edges[1:] + edges[:-1]) / 2 / 365)
    reached = np.stack([np.zeros(len(expected)), *(outlook.forecaster.expected(edge) for edge in edges[1:])])
    return np.where(expected > 0, worth @ np.diff(reached, axis=0) / np.maximum(expected, 1e-12), 1.0)


def _paid(customers: pd.DataFrame) -> bool:
    return bool((customers["past_revenue"] > 0).any())


def _best(customers: pd.DataFrame) -> pd.Series[bool]:
    past = customers["past_revenue" if _paid(customers) else "past_orders"]
    return past >= past.quantile(1 - BEST_SHARE)


def _ranked(frame: pd.DataFrame) -> pd.DataFrame:
    by = "expected_value" if frame["expected_value"].notna().any() else "expected_orders"
    order = [by, "days_since_last_order", "customer_id"]
    frame = frame.sort_values(order, ascending=[False, True, True], ignore_index=True)
    crowd = ~frame["wholesale"].to_numpy(bool)
    quiet = _best(frame) & (frame["p_no_order"] >= STOPPED) & crowd
    tier, new = tier_of(crowd, frame[by].to_numpy(float)), quiet & (frame["_before"] < STOPPED)
    return frame.assign(rank=np.arange(1, len(frame) + 1), tier=tier, quiet=quiet, new=new)[_COLUMNS]


def part_value(scores: Scores, validation: Validation, *, currency: str) -> Part:
    """The finding of the page: who brings the money, in the horizon, or in the past year where that is not known."""
    told = _total_metrics(scores, validation, currency)
    tables, people = {"tiers": scores.tiers}, {"customers": scores.customers}
    if validation.trust(scores.horizon_days) is not Trust.TESTED:
        past = part_past(scores.past, currency=currency)
        return replace(past, metrics=(*past.metrics, *told), tables=tables, lists=people)
    paid, called = scores.value is not None, scores.margin.called
    called_ = {"middle": "next three tenths", "the rest": "other four tenths"}
    called_[WHOLESALE] = f"wholesale ({scores.wholesale})"
    then = _then(scores.tiers, tiers_then(validation))
    shown = scores.tiers.assign(
        name=scores.tiers["tier"].replace(called_), strong=scores.tiers["tier"] == TOP, then=then
    )
    by, what = ("expected_value", called) if paid else ("expected_orders", "orders")
    chart = figures.bars(
        shown, label="name", value=by, strong="strong", low="low_value" if paid else "",
        high="high_value" if paid else "", what=f"expected {what}, {scores.ahead}" + (" (line: range)" if paid else ""),
        form=lambda value: wording.rounded_money(value, currency) if paid else formats.number(value),
        table=_table(shown, scores, currency),
    )  # fmt: skip
    crowd = scores.tiers[scores.tiers["tier"] != WHOLESALE]
    share = crowd.loc[crowd["tier"] == TOP, by].sum() / max(crowd[by].sum(), 1e-12)
    apart = ", wholesale apart" if scores.wholesale else ""
    return Part(
        title=f"One in ten brings {formats.share(share)} of {what}{apart}",
        chart=chart, glance=True, metrics=told, tables=tables, lists=people,
    )  # fmt: skip


def _table(shown: pd.DataFrame, scores: Scores, currency: str) -> dict[str, object]:
    amounts = ("expected_value", "low_value", "high_value")
    return figures.tabulate(
        shown,
        caption=f"Expected {scores.margin.called} in the {scores.ahead} by tier; 95% ranges",
        labels={"name": "Tier", "customers": "Customers", "expected_orders": "Orders",
                "expected_value": wording.upper(scores.margin.called), "low_value": "From", "high_value": "to",
                "share": "Share", "p_no_order": "Chance of no order", "then": "Last test"},
        formats={"customers": formats.number, "expected_orders": formats.number, "share": formats.share,
                 "p_no_order": lambda value: "over 99%" if 0.995 <= value < 1 else formats.share(value),
                 **dict.fromkeys(amounts, lambda value: formats.money(round(value, -2), currency))},
        file="tiers",
    )  # fmt: skip


def _then(tiers: pd.DataFrame, then: pd.DataFrame) -> list[str | None]:
    """Orders expected of each tier in the test, and what came."""
    spoken = [
        f"{formats.number(line.forecast)} expected, {formats.number(line.came)} came" for line in then.itertuples()
    ]
    return [dict(zip(then["tier"], spoken, strict=True)).get(tier) for tier in tiers["tier"]]


def _total_metrics(scores: Scores, validation: Validation, currency: str) -> list[Metric]:
    n, money, called = len(scores.customers), currency or "amount", scores.margin.called
    tested = validation.trust(scores.horizon_days) is Trust.TESTED
    yard = scores.yardstick if scores.value is not None else None
    value = f"expected {called} in [as_of, as_of + {scores.horizon_days} days) from customers known at as_of"
    value += f", discounted at {formats.share(scores.discount_rate)} a year" if scores.discount_rate else ""
    crowd = n - scores.wholesale
    return [
        Metric.of(
            _estimate(scores.value, money, n), id="expected_value", label=f"Expected {called}",
            headline=tested and scores.value is not None, spread=True,
            before=yard[0] * scores.margin.share if yard else None,
            against=_against(n, yard[1], scores.horizon_days) if yard else "",
            definition=f"{value}; range of what will come, from chance, open parameters and errors of earlier "
            "forecasts; the time before: what customers known at its start brought",
        ),
        Metric.of(
            _estimate(scores.orders, "orders", n), id="expected_orders", label="Expected orders",
            headline=tested and scores.value is None, spread=True,
            definition=f"expected customer-days with an order in the {scores.ahead}, by customers known at as_of",
        ),
        Metric.of(
            _estimate(scores.buyers, "customers", n), id="active_customers", label="Customers who will order again",
            headline=tested, note=f"of {formats.number(n)}",
            definition=f"expected number of known customers with at least one order in the {scores.ahead}",
        ),
        Metric.of(
            _estimate(scores.top_tenth, "share", crowd), id="top_tenth_value_share", label="Expected from top tenth",
            definition=f"share of expected {called} from the tenth of customers with the highest, wholesale buyers "
            "apart, 95 % by resampling customers",
        ),
        Metric(id="customers", label="Customers who ever bought", value=n, unit="customers", n=n, headline=not tested,
               definition="distinct customers with a purchase before as_of"),
    ]  # fmt: skip


def _against(now: int, then: int, days: int) -> str:
    """The time before as long, with how many more customers there are to bring the money now."""
    before = "the year before" if days == 365 else f"the {wording.span(days)} before"
    if not then or abs(now / then - 1) < _AS_MANY:
        return before
    share = formats.share(abs(now / then - 1))
    return f"{before}, from {share} {'more' if now > then else 'fewer'} customers"


def _estimate(total: Total | None, unit: str, n: int) -> Estimate:
    return total.estimate(unit, n=n) if total else Estimate(value=None, unit=unit, n=n)
