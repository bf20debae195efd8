"""Which channel's customers repay what it cost to win them, and after how many months?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib.analysis.lifetime_value.scoring import Scores, group_total
from crmlib.analysis.lifetime_value.timing import Floats
from crmlib.shop import facts as shop_facts

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

MONTH_DAYS = 30.4375
MOST_MONTHS, YEAR_MONTHS = 18, 12
LEAST_CUSTOMERS = 30
_RESAMPLES, _MOST_CELLS = 300, 20_000_000


@dataclass(frozen=True, kw_only=True)
class Channels:
    """Value of customers by the channel that won them.

    table     channel, customers, known (those of them known for all the months), cost (acquisition, per customer), first (earned with the first order), earned (within twelve months,
              or as many as there are) with low and high, payback_month (0: with the first order; empty: not yet) with
              payback_low and payback_high, expected_value per customer over the horizon with low_value and high_value
    curves    channel, month, earned, low, high: cumulative, per customer, month 0 being the day of the first order
    median    payback month of the median customer with its 95 % range; infinite where it has not come yet
    missing   what the shop lacks for this, '' where nothing
    called    what is earned: margin, or net sales where no costs are known
    """

    table: pd.DataFrame
    curves: pd.DataFrame
    months: int
    median: tuple[float, float, float]
    missing: str
    called: str = "margin"

    @property
    def priced(self) -> pd.DataFrame:
        """The channels whose cost is known."""
        return self.table[self.table["cost"].notna()]

    @property
    def late(self) -> pd.DataFrame:
        """Those that have not repaid within the months looked at."""
        return self.priced[~np.isfinite(self.priced["payback_month"])]

    def by_then(self, channel: str) -> pd.Series:
        """What an average customer of a channel had earned at the end of the months looked at: earned, low, high."""
        return self.curves[self.curves["channel"] == channel].iloc[-1]


def earnings(shop: Shop, *, share: float) -> ir.Table:
    """Grain: a customer and month since the first purchase with an order. Columns customer_id, month, earned.

    Month 0 is the day of the first purchase, month 1 the 30.44 days after it. earned is margin where an order's costs are known,
    else net sales × `share`. Customers are needed as rows, since they are what is resampled.
    """
    orders = shop_facts.net_orders(shop)
    orders = orders.filter(orders["customer_id"].notnull())
    first = orders["day"].min().over(group_by="customer_id")
    known = orders.select(
        "order_id",
        "customer_id",
        days=orders["day"].delta(first, unit="day"),
        revenue=orders["revenue"].cast("float64"),
    )
    usual = known["revenue"].fill_null(0) * share
    if shop_facts.has_costs(shop):
        margins = shop_facts.order_margins(shop).select("order_id", "margin")
        known = known.left_join(margins, "order_id").drop("order_id_right")
        usual = known["margin"].fill_null(known["revenue"].fill_null(0) * share)
    days = known["days"].cast("float64")
    month = ibis.ifelse(days <= 0, 0, ((days - 1) / MONTH_DAYS).floor() + 1).cast("int64")
    months = known.mutate(month=month, _earned=usual).filter(lambda t: t.month <= MOST_MONTHS)
    return (
        months.group_by("customer_id", "month")
        .aggregate(earned=months["_earned"].sum())
        .order_by("customer_id", "month")
    )


def acquisition_costs(shop: Shop) -> ir.Table:
    """Grain: a channel with acquisition costs before as_of. Columns channel, amount, since (the first day they count for)."""
    costs = shop.table("costs")
    costs = costs.filter(
        (costs["kind"].lower() == "acquisition").fill_null(False), costs["acquisition_channel"].notnull()
    )
    return costs.group_by(channel=costs["acquisition_channel"]).aggregate(
        amount=costs["amount"].sum().cast("float64"), since=costs["valid_from"].min().date()
    )


def channels(shop: Shop, scores: Scores, *, seed: int = 0) -> Channels:
    """What do customers of each channel earn by month since their first order, beside what they cost?

    Each month counts the customers known for all of it, so that the young do not look poor. Intervals by drawing customers again.
    Wholesale buyers are left out.
    """
    if not shop.has("customers", "acquisition_channel"):
        return _nothing("customers.acquisition_channel")
    if scores.spend is None:
        return _nothing("order amounts")
    people = shop.table("customers").select("customer_id", channel=shop.table("customers")["acquisition_channel"])
    history = shop_facts.customer_history(shop, until=shop.as_of).select("customer_id", "first_day", "t_days")
    joined = history.left_join(people, "customer_id").drop("customer_id_right")
    # Each id leaves the engine once, as the name of a number: there are many months to a customer.
    joined = shop.keep(joined.mutate(number=ibis.row_number().over(order_by="customer_id").cast("int32")))
    rows = shop.fetch(joined.order_by("number"), max_rows=20_000_000)
    rows = rows.assign(channel=rows["channel"].fillna("unknown"))
    by_month = earnings(shop, share=scores.margin.share).inner_join(
        joined.select("customer_id", "number"), "customer_id"
    )
    by_month = by_month.select("number", "earned", month=by_month["month"].cast("int32"))
    money = shop.fetch(by_month, max_rows=100_000_000)
    months = int(min(MOST_MONTHS, max(rows["t_days"].max() // MONTH_DAYS, 1)))
    earned = np.zeros((len(rows), months + 1))
    money = money[money["month"] <= months]
    earned[money["number"], money["month"]] = money["earned"]
    known_for = (rows["t_days"].to_numpy(float)[:, None] // MONTH_DAYS) >= np.arange(months + 1)
    costs = _costs(shop, rows)
    value = pd.Index(scores.customers["customer_id"])
    # One wholesale buyer would decide a channel's average.
    big = rows["customer_id"].isin(scores.customers.loc[scores.customers["wholesale"], "customer_id"])
    rows = rows.assign(channel=rows["channel"].mask(big))
    table, curves, paybacks = [], [], []
    for channel, where in sorted(rows.groupby("channel").indices.items()):
        if len(where) < LEAST_CUSTOMERS:
            continue
        lines = _cumulative(earned[where], known_for[where], seed=seed)
        low, high = np.quantile(lines[1:], [0.025, 0.975], axis=0)
        cost = costs.get(str(channel), np.nan)
        payback = _payback(lines, cost)
        year = min(YEAR_MONTHS, months)
        members = value.isin(rows["customer_id"].iloc[where])
        per_head, total = group_total(scores, np.asarray(members))
        table.append(
            {"channel": channel, "customers": len(where), "known": int(known_for[where, months].sum()), "cost": cost, "first": lines[0, 0], "earned": lines[0, year],
             "low": low[year], "high": high[year], **_payback_cells(payback), "expected_value": per_head,
             "low_value": total.low / len(where), "high_value": total.high / len(where)}
        )  # fmt: skip
        curves.append(
            pd.DataFrame({"channel": channel, "month": range(months + 1), "earned": lines[0], "low": low, "high": high})
        )
        if np.isfinite(cost):
            paybacks.append((len(where), payback))
    if not table:
        return _nothing(f"a channel with {LEAST_CUSTOMERS} customers")
    return Channels(
        table=pd.DataFrame(table).sort_values("earned", ascending=False, ignore_index=True),
        curves=pd.concat(curves, ignore_index=True), months=months, median=_median(paybacks),
        missing="" if paybacks else "costs of kind 'acquisition' with a channel", called=scores.margin.called,
    )  # fmt: skip


def _nothing(missing: str) -> Channels:
    nan = float("nan")
    return Channels(table=pd.DataFrame(), curves=pd.DataFrame(), months=0, median=(nan, nan, nan), missing=missing)


def _costs(shop: Shop, rows: pd.DataFrame) -> dict[str, float]:
    """What a new customer cost, by channel: the bills over those won since the first of them."""
    if not shop.has("costs", "acquisition_channel"):
        return {}
    found = {}
    for line in shop.fetch(acquisition_costs(shop)).itertuples(index=False):
        won = ((rows["channel"] == line.channel) & (rows["first_day"] >= pd.Timestamp(line.since))).sum()
        if won:
            found[str(line.channel)] = float(line.amount) / int(won)
    return found


def _cumulative(earned: Floats, known: NDArray[np.bool_], *, seed: int) -> Floats:
    """Cumulative earnings per customer, shape (1 + resamples, months + 1); row 0 is what was seen."""
    n = len(earned)
    resamples = int(np.clip(_MOST_CELLS // n, 60, _RESAMPLES))
    rng = np.random.default_rng(seed)
    counted, sums = known.astype(float), earned * known
    size, total = np.empty((2, resamples + 1, earned.shape[1]))
    # One sample at a time: together they would take more memory than the customers.
    for line in range(resamples + 1):
        weights = rng.poisson(1.0, n).astype(float) if line else np.ones(n)
        size[line], total[line] = weights @ counted, weights @ sums
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.cumsum(np.where(size > 0, total / size, 0.0), axis=1))


def _payback(lines: Floats, cost: float) -> Floats:
    """First month at whose end the cost is covered, for each line; infinite where it is not."""
    covered = lines >= cost
    return np.where(covered.any(axis=1), covered.argmax(axis=1), np.inf)


def _payback_cells(payback: Floats) -> dict[str, float]:
    low, high = np.quantile(payback, [0.025, 0.975], method="inverted_cdf")
    ends = (payback[0], low, high)
    return dict(zip(("payback_month", "payback_low", "payback_high"), map(float, ends), strict=True))


def _median(paybacks: list[tuple[int, Floats]]) -> tuple[float, float, float]:
    """Payback month of the median customer, whatever the channel, with its 95 % range."""
    if not paybacks:
        return (float("nan"),) * 3
    least = min(len(months) for _, months in paybacks)
    sizes = np.array([n for n, _ in paybacks], float)
    months = np.stack([months[:least] for _, months in paybacks])
    order = np.argsort(months, axis=0, kind="stable")
    reached = np.cumsum(sizes[order], axis=0) >= sizes.sum() / 2
    middle = np.take_along_axis(months, order, axis=0)[reached.argmax(axis=0), np.arange(least)]
    low, high = np.quantile(middle, [0.025, 0.975], method="inverted_cdf")
    return float(middle[0]), float(low), float(high)
