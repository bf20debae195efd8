"""Which channel's customers repay what it cost to win them, and after how many months?"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from crmlib import figures, formats, wording
from crmlib.analysis.lifetime_value.scoring import Scores
from crmlib.analysis.lifetime_value.timing import Floats
from crmlib.findings import Action, Metric, Part, Signal
from crmlib.formats import outline
from crmlib.shop import facts as shop_facts
from crmlib.shop.shop import Shop

MONTH_DAYS = 30.4375
MOST_MONTHS, YEAR_MONTHS = 18, 12
LEAST_CUSTOMERS = 30
_ACT_WITHIN_DAYS = 30
_RESAMPLES, _MOST_CELLS = 300, 20_000_000
_NAN = float("nan")


@dataclass(frozen=True, kw_only=True)
class Channels:
    """Value of customers by the channel that won them.

    table     channel, customers, known (those of them known for all the months), cost (acquisition, per customer),
              first (earned with the first order), earned (within twelve months, or as many as there are) with low and
              high, payback_month (0: with the first order; infinite: not yet) with payback_low and payback_high,
              expected_value per customer over the horizon with low_value and high_value
    curves    channel, month, earned, low, high: cumulative, per customer, month 0 being the day of the first order
    median    payback month of the median customer with its 95 % range; infinite where it has not come yet
    missing   what the shop lacks for this, '' where nothing
    called    what is earned: margin, or net sales where no costs are known
    lately    channel -> customers won in the last twelve months
    """

    __repr__ = outline

    missing: str
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    curves: pd.DataFrame = field(default_factory=pd.DataFrame)
    months: int = 0
    median: tuple[float, float, float] = (_NAN, _NAN, _NAN)
    called: str = "margin"
    lately: dict[str, int] = field(default_factory=dict)

    @property
    def priced(self) -> pd.DataFrame:
        """The channels whose cost is known, with what a customer had earned at the end of the months looked at."""
        priced = self.table[self.table["cost"].notna()]
        last = self.curves[self.curves["month"] == self.months].set_index("channel")[["earned", "low", "high"]]
        return priced.merge(last.add_suffix("_by_then"), left_on="channel", right_index=True)

    @property
    def late(self) -> pd.DataFrame:
        """Those that have not repaid within the months looked at."""
        priced = self.priced
        return priced[~np.isfinite(priced["payback_month"])]


def earnings(shop: Shop, *, share: float) -> ir.Table:
    """Grain: a customer and month since the first purchase with an order. Columns customer_id, month, earned.

    Month 0 is the day of the first purchase, month 1 the 30.44 days after it. earned is margin where an order's costs
    are known, else net sales × `share`. Customers are needed as rows, since they are what is resampled.
    """
    orders = shop_facts.net_orders(shop)
    orders = orders.filter(orders["customer_id"].notnull())
    first = orders["day"].min().over(group_by="customer_id")
    days, revenue = orders["day"].delta(first, unit="day"), orders["revenue"].cast("float64")
    known = orders.select("order_id", "customer_id", days=days, revenue=revenue)
    usual = known["revenue"].fill_null(0) * share
    if shop_facts.has_costs(shop):
        margins = shop_facts.order_margins(shop).select("order_id", "margin")
        known = known.left_join(margins, "order_id").drop("order_id_right")
        usual = known["margin"].fill_null(known["revenue"].fill_null(0) * share)
    days = known["days"].cast("float64")
    month = ibis.ifelse(days <= 0, 0, ((days - 1) / MONTH_DAYS).floor() + 1).cast("int64")
    months = known.mutate(month=month, _earned=usual).filter(lambda t: t.month <= MOST_MONTHS)
    sums = months.group_by("customer_id", "month").aggregate(earned=months["_earned"].sum())
    return sums.order_by("customer_id", "month")


def acquisition_costs(shop: Shop) -> ir.Table:
    """Grain: a channel with acquisition costs before as_of. Columns channel, amount, since (first day they count)."""
    costs = shop.table("costs")
    of_winning = (costs["kind"].lower() == "acquisition").fill_null(False)
    costs = costs.filter(of_winning, costs["acquisition_channel"].notnull())
    sums = {"amount": costs["amount"].sum().cast("float64"), "since": costs["valid_from"].min().date()}
    return costs.group_by(channel=costs["acquisition_channel"]).aggregate(**sums)


def channels(shop: Shop, scores: Scores, *, seed: int = 0) -> Channels:
    """What do customers of each channel earn by month since their first order, beside what they cost?

    Each month counts the customers known for all of it, so that the young do not look poor. Intervals by drawing
    customers again. Wholesale buyers are left out.
    """
    if not shop.has("customers", "acquisition_channel"):
        return Channels(missing="customers.acquisition_channel")
    if scores.spend is None:
        return Channels(missing="order amounts")
    rows, earned = _by_customer(shop, scores)
    months = earned.shape[1] - 1
    known_for = (rows["t_days"].to_numpy(float)[:, None] // MONTH_DAYS) >= np.arange(months + 1)
    costs = _costs(shop, rows)
    value = pd.Index(scores.customers["customer_id"])
    # One wholesale buyer would decide a channel's average.
    big = rows["customer_id"].isin(scores.customers.loc[scores.customers["wholesale"], "customer_id"])
    rows = rows.assign(channel=rows["channel"].mask(big))
    table, curves, paybacks = [], [], []
    year = min(YEAR_MONTHS, months)
    for channel, where in sorted(rows.groupby("channel").indices.items()):
        if len(where) < LEAST_CUSTOMERS:
            continue
        lines = _cumulative(earned[where], known_for[where], seed=seed)
        low, high = np.quantile(lines[1:], [0.025, 0.975], axis=0)
        cost = costs.get(str(channel), np.nan)
        payback = _payback(lines, cost)
        paid = np.quantile(payback, [0.025, 0.975], method="inverted_cdf").tolist()
        per_head, total = scores.group_total(np.asarray(value.isin(rows["customer_id"].iloc[where])))
        table.append(
            {"channel": channel, "customers": len(where), "known": int(known_for[where, months].sum()), "cost": cost,
             "first": lines[0, 0], "earned": lines[0, year], "low": low[year], "high": high[year],
             "payback_month": float(payback[0]), "payback_low": paid[0], "payback_high": paid[1],
             "expected_value": per_head, "low_value": total.low / len(where), "high_value": total.high / len(where)}
        )  # fmt: skip
        curve = {"channel": channel, "month": range(months + 1), "earned": lines[0], "low": low, "high": high}
        curves.append(pd.DataFrame(curve))
        if np.isfinite(cost):
            paybacks.append((len(where), payback))
    if not table:
        return Channels(missing=f"a channel with {LEAST_CUSTOMERS} customers")
    new = rows.loc[rows["first_day"] >= pd.Timestamp(shop.as_of - timedelta(days=365)), "channel"]
    return Channels(
        table=pd.DataFrame(table).sort_values("earned", ascending=False, ignore_index=True),
        curves=pd.concat(curves, ignore_index=True), months=months, median=_median(paybacks),
        missing="" if paybacks else "costs of kind 'acquisition' with a channel", called=scores.margin.called,
        lately=new.value_counts().to_dict(),
    )  # fmt: skip


def _by_customer(shop: Shop, scores: Scores) -> tuple[pd.DataFrame, Floats]:
    """Channel, first_day and t_days of each customer, and what they earned by month, shape (customers, months + 1)."""
    people = shop.table("customers").select("customer_id", channel=shop.table("customers")["acquisition_channel"])
    history = shop_facts.customer_history(shop, until=shop.as_of).select("customer_id", "first_day", "t_days")
    joined = history.left_join(people, "customer_id").drop("customer_id_right")
    # Each id leaves the engine once, as the name of a number: there are many months to a customer.
    joined = shop.keep(joined.mutate(number=ibis.row_number().over(order_by="customer_id").cast("int32")))
    rows = shop.fetch(joined.order_by("number"), max_rows=20_000_000)
    numbers = joined.select("customer_id", "number")
    by_month = earnings(shop, share=scores.margin.share).inner_join(numbers, "customer_id")
    by_month = by_month.select("number", "earned", month=by_month["month"].cast("int32"))
    money = shop.fetch(by_month, max_rows=100_000_000)
    months = int(min(MOST_MONTHS, max(rows["t_days"].max() // MONTH_DAYS, 1)))
    earned = np.zeros((len(rows), months + 1))
    money = money[money["month"] <= months]
    earned[money["number"], money["month"]] = money["earned"]
    return rows.assign(channel=rows["channel"].fillna("unknown")), earned


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


def part_channels(channels: Channels, *, shop: Shop) -> Part:
    """The finding: what a customer of each channel earned for each unit of money it cost to win one, by 18 months."""
    if channels.table.empty:
        return Part()
    money = {name: lambda value: formats.money(value, shop.currency) for name in
             ("cost", "first", "earned", "low", "high", "expected_value")}  # fmt: skip
    year = min(YEAR_MONTHS, channels.months)
    table = figures.tabulate(
        channels.table.assign(
            channel=channels.table["channel"].map(_name),
            payback=channels.table["payback_month"].map(_when).where(channels.table["cost"].notna(), None),
        ),
        caption=f"{wording.upper(channels.called)} per customer by the channel that won them; 95% ranges",
        labels={"channel": "Channel", "customers": "Customers", "cost": "Cost to win one",
                "first": "With the first order", "earned": f"After {year} months", "low": "From", "high": "to",
                "payback": "Paid back", "expected_value": "Expected next"},
        formats={"customers": formats.number, **money}, file="channels",
    )  # fmt: skip
    # Where the range holds the cost, the channel may pay yet; ranges are widened so that those of all channels hold.
    wider = norm.isf(0.025 / max(len(channels.priced), 1)) / norm.isf(0.025)
    late = channels.late.assign(most=lambda t: t["earned_by_then"] + wider * (t["high_by_then"] - t["earned_by_then"]))
    losing = list(late[late["most"] < late["cost"]].itertuples())
    return Part(
        title=_title(channels, shop.currency), sentence=_sentence(channels, sure=len(losing)),
        chart=_chart(channels, shop, table),
        metrics=_metrics(channels), tables={"channels": channels.table},
        # Where nobody is won any more, there is nothing to cut.
        actions=[_action(line, channels, shop) for line in losing if channels.lately.get(str(line.channel))],
        signals=[
            Signal(id=f"unpaid_{line.channel}", text=f"{_name(line.channel)} customers don't repay what they cost.",
                   gone=f"{_name(line.channel)} customers may repay what they cost now.")
            for line in losing
        ],
    )  # fmt: skip


def _chart(channels: Channels, shop: Shop, table: dict[str, object]) -> figures.Chart:
    if channels.missing:
        shown = channels.table.assign(channel=channels.table["channel"].map(_name))
        return figures.bars(
            shown, label="channel", value="earned", low="low", high="high", table=table,
            what=f"{channels.called} per customer in the first {min(YEAR_MONTHS, channels.months)} months",
            form=lambda value: formats.money(value, shop.currency),
        )  # fmt: skip
    priced = channels.priced
    whole = formats.money
    names = [
        f"{_name(channel)}: cost {whole(cost, shop.currency)}, earned {whole(earned, shop.currency)}"
        for channel, cost, earned in zip(priced["channel"], priced["cost"], priced["earned_by_then"], strict=True)
    ]
    per = {name: priced[f"{name}_by_then"] / priced["cost"] for name in ("earned", "low", "high")}
    rows = priced.assign(**per, name=names).sort_values("earned", ascending=False)
    one = formats.money(1, shop.currency)
    return figures.dots(
        rows, label="name", value="earned", low="low", high="high", reference=1.0, table=table,
        what=f"{channels.called} per {one} spent", log=bool(rows["low"].min() > 0),
        form=lambda value: formats.money(value, shop.currency, digits=2 if value % 1 else 0),
        caption=f"What {one} spent on winning customers brought in {channels.months} months; left of the line, a loss.",
    )  # fmt: skip


def _title(channels: Channels, currency: str) -> str:
    names, late = [_name(channel) for channel in channels.table["channel"] if channel != "unknown"], channels.late
    if channels.missing:
        return f"{names[0]} customers bring most, {names[-1]} customers least" if len(names) > 1 else "Value by channel"
    if late.empty:
        slowest = float(channels.priced["payback_month"].max())
        return f"Every channel pays back {_when(slowest)}"
    who = wording.listed([_name(late["channel"].iloc[0]), *map(_spoken, late["channel"].iloc[1:])])
    if len(late) > 1:
        return f"{who} customers don't repay what they cost within {channels.months} months"
    got, cost = (formats.money(late[name].iloc[0], currency) for name in ("earned_by_then", "cost"))
    return f"{who} customers cost {cost} each and earn {got} in {channels.months} months"


def _sentence(channels: Channels, *, sure: int) -> str:
    others = channels.priced[np.isfinite(channels.priced["payback_month"])]
    unsure = "Some of it may be chance." if sure else "Such a loss may be chance."
    said = unsure if sure < len(channels.late) else ""
    if len(channels.late) and len(others):
        which = "All other channels pay" if len(others) > 1 else "The other channel pays"
        said = wording.sentences(said, f"{which} back {_when(float(others['payback_month'].max()))}.")
    return wording.sentences(said, "Channels attract different people, so moving the budget need not bring the same.")


def _action(line: Any, channels: Channels, shop: Shop) -> Action:
    channel, cost, earned = str(line.channel), line.cost, line.earned_by_then
    lost, new = cost - earned, channels.lately.get(channel, 0)
    whole = [formats.money(value, shop.currency) for value in (cost, earned)]
    return Action(
        what=f"Cut or renegotiate the {_spoken(channel)} channel",
        worth=f"{formats.money(lost, shop.currency)} lost on each customer in {channels.months} months",
        by=wording.working_day(shop.as_of, _ACT_WITHIN_DAYS), owner="marketing", file="tables/channels.csv",
        count=new, weight=float(lost * new),
        why=f"A customer costs {whole[0]} and earns {whole[1]} in {channels.months} months (range "
        f"{formats.interval(line.low_by_then, line.high_by_then, shop.currency or 'amount')}): the months added up, "
        f"each over the customers known for all of it; {wording.counted(line.known, 'customer')} "
        f"{wording.noun(line.known, 'is')} known for all {channels.months}. "
        f"It brought {wording.counted(new, 'new customer')} in the last 12 months.",
    )  # fmt: skip


def _metrics(channels: Channels) -> list[Metric]:
    value, low, high = channels.median
    if not np.isfinite(value):
        return []
    return [
        Metric(
            id="payback_month", label="Months to earn back what a new customer costs", value=value, unit="months",
            n=int(channels.priced["customers"].sum()), low=low if np.isfinite(low) else None,
            high=high if np.isfinite(high) else None,
            definition="months after the first order until the channel's average customer has earned what it cost to "
            "win one, for the median customer; 0 is the day of the first order; 95 % by resampling customers",
        )
    ]  # fmt: skip


def _when(month: float) -> str:
    if not np.isfinite(month):
        return "not yet"
    return "with the first order" if month == 0 else f"within {wording.counted(round(month), 'month')}"


def _spoken(channel: object) -> str:
    return str(channel).replace("_", " ")


def _name(channel: object) -> str:
    return wording.upper(_spoken(channel))
