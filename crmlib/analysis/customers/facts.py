"""What is known of each customer on a day: one row each, as every part of the page sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

from crmlib.errors import NotAvailable, NotEnoughData
from crmlib.formats import outline
from crmlib.shop.facts import customer_history, gap_lengths, has_costs, may_have_credits, order_money, purchase_days
from crmlib.shop.shop import Shop
from crmlib.wording import noun

YEAR = 365
MAX_CUSTOMERS = 5_000_000
LEAST = 20  # customers below which nothing is said of kinds of customers


@dataclass(frozen=True)
class Profiles:
    """Customers as they were known on `day` (exclusive), with at least one purchase before it.

    frame: customer_id, purchases (days with an order), silent_days (since the last), known_days (since the first),
    sales (all), sales_year and purchases_year (of the last 365 days), last_year (what the 365 days up to the last
    purchase brought, as `brought` calls it: margin where costs are known, else sales). `gaps` are the days between
    consecutive purchases of those who came back: gap, n, w (each customer weighs 1).
    """

    __repr__ = outline

    day: date
    frame: pd.DataFrame
    gaps: pd.DataFrame
    brought: str = "sales"

    @property
    def few(self) -> bool:
        """Are there too few customers to speak of kinds of them?"""
        return len(self.frame) < LEAST

    @property
    def whole(self) -> bool:
        """Does the data hold the whole year before the day? One that it does not is no year to compare with."""
        return bool(self.frame["known_days"].max() >= YEAR)


def _earned(shop: Shop, days: ir.Table) -> ir.Table:
    """Purchase days with `_brought`: margin, of orders without a known cost at the rate of all others; or sales."""
    if not has_costs(shop):
        return days.mutate(_brought=days["revenue"])
    known = order_money(shop).filter(lambda t: t["margin"].notnull() & t["customer_id"].notnull())
    own = shop.keep(known.group_by("customer_id", "day").aggregate(
        _margin=known["margin"].sum(), _of=known["revenue"].sum()
    ))  # fmt: skip
    whole = own.aggregate(_usual=own["_margin"].sum() / own["_of"].sum().nullif(0))
    own = own.select("customer_id", "day", _own=own["_margin"] / own["_of"].nullif(0))
    # A rate, so that what a later credit note took off a day's sales is off its margin, too.
    both = days.left_join(own, ["customer_id", "day"]).select(*days.columns, "_own").cross_join(whole)
    rate = both["_own"].fill_null(both["_usual"]).fill_null(1.0)
    return both.mutate(_brought=both["revenue"].cast("float64") * rate).drop("_own", "_usual")


def profile(shop: Shop, *, day: date) -> ir.Table:
    """Grain: a customer who bought before `day`. Columns as `Profiles.frame`. Not enough for products or seasons."""
    rows = lately(shop).filter(lambda t: t["day"] < ibis.literal(day))
    year = rows["day"] >= ibis.literal(day - timedelta(days=YEAR))
    found = rows.group_by("customer_id").aggregate(
        purchases=rows.count(), _first=rows["day"].min(), _last=rows["day"].max(), sales=rows["revenue"].sum(),
        sales_year=rows["revenue"].sum(where=year), purchases_year=year.cast("int64").sum(),
        last_year=rows["lately"].argmax(rows["day"]),
    )  # fmt: skip
    if may_have_credits(shop):  # a credit note of a later day had not been written
        then = customer_history(shop, until=day).select("customer_id", "revenue")
        found = found.drop("sales").inner_join(then.rename(sales="revenue"), "customer_id")
    until = ibis.literal(day)
    return found.select(
        "customer_id", "purchases", silent_days=until.delta(found["_last"], unit="day").cast("int64"),
        known_days=until.delta(found["_first"], unit="day").cast("int64"),
        **{name: found[name].cast("float64").fill_null(0.0) for name in ("sales", "sales_year")},
        purchases_year=found["purchases_year"].fill_null(0), last_year=found["last_year"].cast("float64"),
    )  # fmt: skip


def lately(shop: Shop) -> ir.Table:
    """Grain: a purchase day. customer_id, day, revenue, lately (what the 365 days up to it brought, as `brought`)."""
    days = _earned(shop, purchase_days(shop))
    at = days["day"].delta(ibis.literal(shop.as_of), unit="day")
    days = days.mutate(_brought=days["_brought"].fill_null(0), _at=at)
    own = ibis.range_window(group_by="customer_id", order_by="_at", preceding=YEAR - 1, following=0)
    # Kept for all days that are asked of it: what costs is to put the rows in order.
    return shop.keep(days.select("customer_id", "day", "revenue", lately=days["_brought"].sum().over(own)))


def profiles(shop: Shop, *, day: date | None = None) -> Profiles:
    """Who had bought before `day` (the shop's as_of where none is given), and how?

    NotEnoughData without a customer, and on an earlier `day` below 20: today the page shows those there are.
    NotAvailable without orders that name their customer.

    >>> list(profiles(shop).frame.columns)[:4]
    ['customer_id', 'purchases', 'silent_days', 'known_days']
    """
    shop.table("orders")
    if not shop.has("orders", "customer_id"):
        raise NotAvailable("needs orders.customer_id; this shop's orders do not name their customer")
    when = day or shop.as_of
    frame = shop.fetch(profile(shop, day=when), max_rows=MAX_CUSTOMERS).sort_values("customer_id", ignore_index=True)
    if len(frame) < (1 if day is None else LEAST):
        there = f"there {noun(len(frame), 'is')} {len(frame)}"
        raise NotEnoughData(f"kinds of customers need {LEAST} customers with orders; {there}")
    called = "margin" if has_costs(shop) else "sales"
    return Profiles(when, frame, shop.fetch(gap_lengths(shop, day=when)), called)


def brought_later(shop: Shop, before: Profiles, *, end: date) -> pd.Series:
    """What each customer of `before` brought from its day to `end` (exclusive), as `brought` calls it: one each row."""
    start, until = ibis.literal(before.day), ibis.literal(end)
    days = _earned(shop, purchase_days(shop).filter(lambda t: (t["day"] >= start) & (t["day"] < until)))
    sums = days.group_by("customer_id").aggregate(brought=days["_brought"].sum().cast("float64"))
    found = shop.fetch(sums, max_rows=MAX_CUSTOMERS).set_index("customer_id")["brought"]
    return before.frame["customer_id"].map(found).fillna(0.0)


def earlier(shop: Shop, *, days: int) -> Profiles | None:
    """The same as it was `days` ago; None where the shop had too few customers then.

    >>> earlier(shop, days=36500) is None
    True
    """
    try:
        return profiles(shop, day=shop.as_of - timedelta(days=days))
    except NotEnoughData:
        return None
