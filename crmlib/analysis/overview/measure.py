"""Which periods can be compared, what each came to, and how far months usually lie apart."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from crmlib import formats, wording
from crmlib.analysis.overview import facts
from crmlib.analysis.overview.facts import UNIT, Pair
from crmlib.errors import NotAvailable
from crmlib.shop import facts as shared

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

YEAR, LEAST_ORDERS = 12, 30
_MOST_PRODUCTS = 500_000
_LEAST_YEARLY, _LEAST_MONTHLY = 8, 6  # changes from which their spread is known
_KINDS = ("before", "now", "orders_before", "orders_now", "buyers_before", "buyers_now")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One period beside another: how sales moved, and within what they move by chance.

    kinds     kind of customer: customers, before, now (ten-thousandths), orders_…, buyers_…
    products  product_id, before, now, pieces_…, first, last; empty where there are no lines with prices
    half      half of the 95 % range of the change, in the shop's currency: of chance among customers, and of how
              months vary where `usual` says that it is known
    """

    __repr__ = formats.outline

    pair: Pair
    kinds: pd.DataFrame
    products: pd.DataFrame
    half: float
    usual: bool

    def of(self, column: str) -> int:
        """The sum of a column of `kinds`."""
        return int(self.kinds[column].sum())

    @property
    def before(self) -> float:
        """What the earlier period brought."""
        return self.of("before") / UNIT

    @property
    def now(self) -> float:
        """What the later period brought."""
        return self.of("now") / UNIT

    @property
    def alike(self) -> float:
        """What the earlier period would have brought, had it been as long as the later."""
        return self.before * self.pair.longer

    @property
    def moved(self) -> bool:
        """Is the change more than chance and the calendar?"""
        return abs(self.now - self.alike) > self.half

    @property
    def enough(self) -> bool:
        """Are there orders enough in both periods to speak of a change?"""
        return min(self.of("orders_before"), self.of("orders_now")) > 0 and (
            self.of("orders_before") + self.of("orders_now") >= LEAST_ORDERS
        )


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A shop's months and its last full one beside others.

    months   month, whole (over, and in the data to its end), orders, revenue, customers, new, guests, refunded,
             discount, filled (orders with goods), pieces, margin, costed (net sales with known costs); months without
             an order are zeros, what the shop does not know is NaN
    changes  the last full month beside the year before ('year') and the month before ('month'), and twelve months
             beside the twelve before ('12m'); those that the data allow
    opening  the first day from which who buys first is new, where the data begins in a shop's mid-life
    """

    __repr__ = formats.outline

    months: pd.DataFrame
    changes: dict[str, Change]
    as_of: date
    currency: str
    known: bool
    undated: bool
    opening: date | None = None

    @property
    def full(self) -> pd.DataFrame:
        """The months that are whole."""
        return self.months[self.months["whole"]]

    @property
    def last(self) -> pd.Timestamp | None:
        """The last full month."""
        return self.full["month"].iloc[-1] if len(self.full) else None

    @property
    def main(self) -> Change | None:
        """The comparison that leads: with the same month a year before, else with the month before."""
        found = [self.changes[name] for name in ("year", "month") if name in self.changes]
        return next((change for change in found if change.enough), None)

    @property
    def unit(self) -> str:
        """The currency, or the word for one that is not named."""
        return self.currency or "amount"

    def money(self, value: float) -> str:
        """An amount as a chart has it."""
        return wording.rounded_money(value, self.currency)

    @property
    def nobody_new(self) -> str:
        """When the last new customers came, where none has for three full months; '' where they do."""
        new = self.full.loc[self.full["new"] > 0, "month"]
        return f"{new.iloc[-1]:%B %Y}" if len(new) and new.iloc[-1] < self.full["month"].iloc[-3:].min() else ""

    def tells_new(self, change: Change) -> bool:
        """Are new customers of the later period told from old ones whom the data had not seen yet?"""
        return self.known and (self.opening is None or change.pair.start >= self.opening)

    def over(self, column: str, months: int = YEAR, *, back: int = 0) -> float:
        """The sum of a column over so many full months, ended `back` months ago; NaN where they are not all there."""
        full = self.full
        shown = full.iloc[max(len(full) - back - months, 0) : len(full) - back]
        return float(shown[column].sum(min_count=1)) if len(shown) == months else float("nan")


def measure(shop: Shop) -> Measured:
    """What did each month come to, and what did customers and products bring in those that are compared?

    NotAvailable for a shop without amounts.

    >>> measure(store).months["orders"].min() >= 0
    np.True_
    """
    opening = shared.since(shop)[0] if shop.has("orders", "customer_id") else None
    rows = _months(shop, opening)
    if rows["orders"].sum() and rows["revenue"].isna().all():
        raise NotAvailable("money needs orders.total, order_lines.line_total, or order_lines.unit_price and quantity")
    full = rows.loc[rows["whole"], ["month", "revenue"]]
    changes = {}
    for name, pair in pairs(full["month"], shop.as_of).items():
        own = shop.fetch(facts.kinds(shop, pair)).astype(dict.fromkeys(_KINDS, "int64"))
        goods = shop.fetch(facts.products(shop, pair), max_rows=_MOST_PRODUCTS) if facts.has_lines(shop) else (
            pd.DataFrame())  # fmt: skip
        spread, freedom = usual(full["revenue"].to_numpy(float), pair)
        before = float(own["before"].sum()) / UNIT
        chance = float(np.sqrt(own["squares"].sum())) / UNIT
        months = spread * before if spread == spread else 0.0
        wide = stats.t.ppf(0.975, freedom) if months > chance else stats.norm.ppf(0.975)
        changes[name] = Change(pair=pair, kinds=own, products=goods, half=float(wide * max(months, chance)),
                               usual=spread == spread)  # fmt: skip
    return Measured(
        months=rows, changes=changes, as_of=shop.as_of, currency=shop.currency,
        known=shop.has("orders", "customer_id"),
        undated=shop.has("orders", "refunded") and not shop.has("orders", "refunded_at"), opening=opening,
    )  # fmt: skip


def _months(shop: Shop, opening: date | None) -> pd.DataFrame:
    rows = shop.fetch(facts.months(shop))
    for told, table in ((facts.has_lines(shop), facts.baskets), (shared.has_costs(shop), facts.margins)):
        rows = rows.merge(shop.fetch(table(shop)), on="month", how="left") if told and len(rows) else rows
    rows = rows.reindex(columns=[*rows, *(n for n in ("filled", "pieces", "margin", "costed") if n not in rows)])
    rows["month"] = pd.to_datetime(rows["month"])
    if rows.empty:
        return rows.assign(whole=pd.Series(dtype=bool))
    begin, told, newest = shared.told(shop)
    every = pd.date_range(rows["month"].iloc[0], newest.replace(day=1), freq="MS")
    over = pd.date_range(every[-1] + pd.DateOffset(months=1), pd.Timestamp(shop.as_of), freq="MS", inclusive="left")
    every = every.append(over[over + pd.offsets.MonthEnd(0) <= told])
    rows = rows.set_index("month").reindex(every).rename_axis("month").reset_index()
    lacks = rows.columns[rows.isna().all()]
    rows = rows.fillna(dict.fromkeys(rows.columns.difference(["month", *lacks]), 0))
    rows = rows.astype(dict.fromkeys(("orders", "customers", "new", "guests"), "int64"))
    if opening is not None:
        rows["new"] = rows["new"].where(rows["month"] >= pd.Timestamp(opening))
    ends = rows["month"] + pd.offsets.MonthEnd(0)
    return rows.assign(whole=(ends < pd.Timestamp(shop.as_of)) & (ends <= told) & (rows["month"] >= begin))


def pairs(full: pd.Series, as_of: date) -> dict[str, Pair]:
    """Which periods of whole months can be compared, by name: month, year, 12m.

    >>> list(pairs(pd.Series(pd.date_range("2025-01-01", periods=13, freq="MS")), date(2026, 2, 1)))
    ['month', 'year']
    """
    if full.empty:
        return {}
    last, there = full.iloc[-1], set(full)
    asked = {"month": (1, 1, f"{last - pd.DateOffset(months=1):%B}"), "year": (1, YEAR, "last year"),
             "12m": (YEAR, YEAR, "the 12 months before")}  # fmt: skip
    found = {}
    for name, (months, apart, against) in asked.items():
        start = last - pd.DateOffset(months=months - 1)
        begin = start - pd.DateOffset(months=apart)
        needed = pd.date_range(begin, periods=months, freq="MS").append(pd.date_range(start, last, freq="MS"))
        if there.issuperset(needed):
            ends = [last + pd.DateOffset(months=1), begin + pd.DateOffset(months=months)]
            known = pd.Timestamp(as_of) - pd.DateOffset(months=apart)
            found[name] = Pair(start=start.date(), end=ends[0].date(), before=begin.date(), until=ends[1].date(),
                               known=known.date(), against=against, months=months, apart=apart)  # fmt: skip
    return found


def usual(revenue: NDArray[np.float64], pair: Pair) -> tuple[float, float]:
    """How far, as a share, do such periods usually lie apart by chance? The deviation and its degrees of freedom.

    Of changes on the year before it is taken from how far each lies from the mean of its neighbours in time (Gasser,
    Sroka and Jennen-Steinmetz 1986), so that growth and season are not in it; where too few are known, from months in
    the same way. Months side by side differ by season too, which is part of how they vary. The newest change, which is
    to be judged, has no say. NaN with under six changes.

    >>> ahead = pairs(pd.Series(pd.date_range("2026-01-01", periods=2, freq="MS")), date(2026, 3, 1))["month"]
    >>> usual(np.ones(6), ahead)[0]
    nan
    """
    logs = np.log(np.where(revenue > 0, revenue, np.nan))[:-1]
    yearly = np.diff(logs[YEAR:] - logs[:-YEAR], 2) if len(logs) > YEAR else np.array([])
    monthly = np.diff(logs, 2 if pair.apart == YEAR else 1)
    yearly, monthly = (_tame(steps[np.isfinite(steps)]) for steps in (yearly, monthly))
    if pair.apart == YEAR and len(yearly) >= _LEAST_YEARLY:
        spread, freedom = float(np.sqrt(np.mean(yearly**2) / 6)), len(yearly) / 2
    elif len(monthly) >= _LEAST_MONTHLY:
        # Of a year's change both months vary; a step between months holds both already.
        spread = float(np.sqrt(np.mean(monthly**2) / (3 if pair.apart == YEAR else 1)))
        freedom = len(monthly) / (2 if pair.apart == YEAR else 1)
    else:
        return float("nan"), 1.0
    return spread / float(np.sqrt(pair.months)), freedom


def _tame(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Steps cut at three deviations of their median: a launch or one great sale says little of other months."""
    most = 3 * 1.4826 * np.median(np.abs(steps)) if len(steps) else 0.0
    return np.clip(steps, -most, most)
