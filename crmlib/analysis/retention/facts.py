"""Purchases beside the silence after them, by limits that are each customer's own. Days are whole numbers, so that
every engine says the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from crmlib.errors import NotAvailable
from crmlib.formats import outline
from crmlib.shop.facts import gap_lengths, gaps, has_costs, order_money
from crmlib.shop.facts.gaps import PRIOR_GAPS
from crmlib.shop.shop import Shop

YEAR = 365
MAX_CUSTOMERS = 5_000_000
AHEAD = 60  # days in which a list's writing is counted, and in which coming back unasked is
CLASSES = (1, 2, 3, 6, 11)  # purchases: the more there were, the better the rhythm is known
BANDS = (125, 150, 200, 300, 500)  # silence in percent of the limit
LEAST_CUSTOMERS, LEAST_GAPS = 20, 50
_OWN_GAPS = 100  # below which a class of purchases takes the point of all
_WITHIN = 0.95
_LONGEST_LANDMARK = 30


@dataclass(frozen=True)
class Limits:
    """From which silence on has a customer left? Beyond `points` percent of the own usual gap.

    usual      the shop's median gap in days, each customer counted once; a customer's own mean gap is drawn towards it
               as if two such gaps had been seen before. 0: too little is known, and nobody has left
    points     by CLASSES of purchases, percent of the usual gap by which 95 % of gaps that closed had closed
    landmark   days after a purchase at which those who stayed and left are compared: a quarter of gaps is shorter
    gaps       closed gaps these rest on
    customers  customers who ever bought
    span       days in which somebody must have left to be counted
    """

    __repr__ = outline

    day: date
    usual: int
    points: tuple[int, ...]
    landmark: int
    gaps: int
    customers: int
    span: int = YEAR

    @property
    def few(self) -> bool:
        """Is too little known to say who left?"""
        return not self.usual

    @property
    def once(self) -> int:
        """Days after a first and only purchase from which on somebody has left."""
        return self.usual * self.points[0] // 100 if self.points else 0


def ratios(shop: Shop, *, begun: date, usual: int) -> ir.Table:
    """Grain: class of purchases and length of closed gaps begun before `begun` in percent of the usual gap then.

    Columns kind (index of CLASSES), percent, n, w (each customer's gaps of a class weigh 1 in all).
    """
    rows = gaps(shop, day=shop.as_of).filter(lambda t: t["closed"] & (t["day"] < ibis.literal(begun)))
    rows = rows.mutate(kind=_kind(rows["number"]), percent=100 * rows["gap"] * _known(rows) // _days(rows, usual))
    weighed = rows.mutate(_w=1.0 / rows.count().over(ibis.window(group_by=["customer_id", "kind"])))
    by = weighed.group_by("kind", "percent")
    return by.aggregate(n=weighed.count(), w=weighed["_w"].sum()).order_by("kind", "percent")


def limits(shop: Shop, *, span: int = YEAR) -> Limits:
    """From which silence on has each customer of this shop left?

    Points come from gaps that began a year ago or longer, since of younger ones only the short have closed; where these
    are under 100, from all. NotAvailable where orders do not name their customer.

    >>> limits(store).once > limits(store).usual
    True
    """
    shop.table("orders")
    if not shop.has("orders", "customer_id"):
        raise NotAvailable("needs orders.customer_id; this shop's orders do not name their customer")
    known = shop.fetch(gap_lengths(shop, day=shop.as_of))
    asked = gaps(shop, day=shop.as_of).aggregate(n=lambda t: t["customer_id"].nunique())
    customers, n = int(shop.fetch(asked)["n"].iloc[0]), int(known["n"].sum())
    if customers < LEAST_CUSTOMERS or n < LEAST_GAPS:
        return Limits(shop.as_of, 0, (), 0, n, customers, span)
    usual = max(_reached(known, "gap", 0.5), 1)
    rows = shop.fetch(ratios(shop, begun=shop.as_of - timedelta(days=YEAR), usual=usual))
    if rows["n"].sum() < _OWN_GAPS:
        rows = shop.fetch(ratios(shop, begun=shop.as_of, usual=usual))
    every = _reached(rows.groupby("percent", as_index=False)["w"].sum(), "percent", _WITHIN)
    parts = [rows[rows["kind"] == kind] for kind in range(len(CLASSES))]
    points = [_reached(part, "percent", _WITHIN) if part["n"].sum() >= _OWN_GAPS else every for part in parts]
    landmark = min(max(_reached(known, "gap", 0.25), 1), _LONGEST_LANDMARK)
    return Limits(shop.as_of, usual, tuple(points), landmark, n, customers, span)


def _reached(rows: pd.DataFrame, value: str, share: float) -> int:
    """The smallest value by which `share` of the weight is reached; rows in the order of `value`."""
    rows = rows.sort_values(value)
    within = (rows["w"].cumsum() / rows["w"].sum()).to_numpy()
    return int(rows[value].iloc[int(np.searchsorted(within, share - 1e-9))])


def _kind(number: ir.IntegerColumn) -> ir.IntegerColumn:
    return ibis.cases(*[(number >= least, at) for at, least in reversed(list(enumerate(CLASSES)))], else_=0)


def _known(rows: ir.Table) -> ir.IntegerColumn:
    return rows["number"] - 1 + PRIOR_GAPS


def _days(rows: ir.Table, usual: int) -> ir.IntegerColumn:
    return rows["behind"] + PRIOR_GAPS * usual


def episodes(shop: Shop, at: Limits) -> ir.Table:
    """Grain: a purchase day, and the silence that followed.

    Columns customer_id, number, day, gap, closed, behind, limit (days), and in days before `at.day`:
    ago (the purchase), until (the next one, 0 where none came), over (when the silence passed the limit, if it did;
    below 1 it has not yet). Not enough for products.
    """
    rows = gaps(shop, day=at.day)
    steps = reversed(list(zip(CLASSES, at.points, strict=True)))
    point = ibis.cases(*[(rows["number"] >= least, percent) for least, percent in steps], else_=at.points[0])
    ago = ibis.literal(at.day).delta(rows["day"], unit="day").cast("int64")
    rows = rows.mutate(
        limit=ibis.greatest(_days(rows, at.usual) * point // (100 * _known(rows)), 1).cast("int64"),
        ago=ago, until=ago - rows["gap"],
    )  # fmt: skip
    rows = rows.mutate(over=rows["ago"] - rows["limit"])
    return rows.select("customer_id", "number", "day", "gap", "closed", "behind", "limit", "ago", "until", "over")


def months(shop: Shop, at: Limits) -> ir.Table:
    """Grain: a month. Columns month, customers (who bought in it), stayed, open (too early to tell): the rest left; and
    exact (bought in the very next month) and rolling (bought in a later month, whichever).

    Each customer counts with the last purchase of the month; `stayed` bought again within the own limit.
    """
    rows = shop.keep(episodes(shop, at)).mutate(month=lambda t: t["day"].truncate("M"))
    # In days before `at.day`, the next purchase lies in a later month if it is nearer than the month's last day.
    end = rows["month"] + ibis.interval(months=1)
    left = ibis.literal(at.day).delta(end.cast("date"), unit="day")
    after = ibis.literal(at.day).delta((end + ibis.interval(months=1)).cast("date"), unit="day")
    rows = rows.mutate(_exact=rows["closed"] & (rows["until"] > after), _end=left).filter(
        lambda t: ~t["closed"] | (t["until"] <= t["_end"])
    )
    within = rows["gap"] <= rows["limit"]
    return rows.group_by("month").aggregate(
        customers=rows.count(), stayed=(within & rows["closed"]).sum().cast("int64"),
        open=(within & ~rows["closed"]).sum().cast("int64"),
        exact=rows["_exact"].sum().cast("int64"), rolling=rows["closed"].sum().cast("int64"),
    ).order_by("month")  # fmt: skip


def leaving(shop: Shop, at: Limits) -> ir.Table:
    """Grain: one row for each of two spans, the last and the one before, each as it was known at its end.

    Columns back (days before `at.day` at which it ended), base (customers who had not left when it began, or bought in
    it), left (whose silence passed the limit in it and lasted to its end), once (of them, after a single purchase),
    returned (of them, who bought since), first (days before `at.day` of the shop's first purchase).
    """
    rows = shop.keep(episodes(shop, at))
    found = []
    for back in (0, at.span):
        begin = back + at.span
        there = (rows["ago"] > back) & (rows["over"] <= begin) & (rows["until"] < begin)
        left = (rows["over"] > back) & (rows["over"] <= begin) & (rows["until"] <= back)
        found.append(rows.aggregate(
            back=ibis.literal(back, type="int64"), base=rows["customer_id"].nunique(where=there),
            left=left.sum().cast("int64"), once=(left & (rows["number"] == 1)).sum().cast("int64"),
            returned=(left & rows["closed"]).sum().cast("int64"), first=rows["ago"].max(),
        ))  # fmt: skip
    return ibis.union(*found)


def silences(shop: Shop, at: Limits, *, back: int) -> ir.Table:
    """Grain: class of purchases and band of silence of those who had left `back` days before `at.day`.

    Columns kind, band (index of BANDS passed), n, came (who bought in the AHEAD days after).
    """
    rows = shop.keep(episodes(shop, at))
    rows = rows.filter((rows["over"] > back) & (rows["until"] <= back))
    rows = rows.mutate(kind=_kind(rows["number"]), band=_band(100 * (rows["ago"] - back) // rows["limit"]))
    came = rows["closed"] & (rows["until"] > back - AHEAD)
    return rows.group_by("kind", "band").aggregate(n=rows.count(), came=came.sum().cast("int64"))


def _band(percent: ir.IntegerColumn) -> ir.IntegerColumn:
    return ibis.cases(*[(percent > end, at + 1) for at, end in reversed(list(enumerate(BANDS)))], else_=0)


def standing(shop: Shop, at: Limits) -> ir.Table:
    """Grain: a customer who has left. customer_id, purchases, last_day, silent_days, usual_days, over, kind, band,
    money (margin, or net sales where no costs are known, of the year up to the last purchase).
    """
    rows = shop.keep(episodes(shop, at)).filter(lambda t: ~t["closed"] & (t["over"] > 0))
    rows = rows.select(
        "customer_id", "over", purchases="number", last_day="day", silent_days="gap",
        usual_days=_days(rows, at.usual) / _known(rows), kind=_kind(rows["number"]),
        band=_band(100 * rows["gap"] // rows["limit"]),
    )  # fmt: skip
    paid = money(shop).inner_join(rows.select("customer_id", "last_day"), "customer_id")
    paid = paid.filter(paid["last_day"].delta(paid["day"], unit="day") < YEAR)
    year = paid.group_by("customer_id").aggregate(money=paid["money"].sum())
    return rows.left_join(year, "customer_id").drop("customer_id_right")


def money(shop: Shop) -> ir.Table:
    """Grain: an order, or a purchase day where no costs are known: customer_id, day, money: margin, or net sales."""
    if has_costs(shop):
        rows = order_money(shop).filter(lambda t: t["customer_id"].notnull() & t["lined"])
        return shop.keep(rows.select("customer_id", "day", money=rows["margin"].fill_null(0)))
    days = gaps(shop, day=shop.as_of)
    return days.select("customer_id", "day", money=days["revenue"].cast("float64"))


def returns(shop: Shop, at: Limits) -> ir.Table:
    """Grain: one row. What those who had left and came back, a year ago or longer, brought in the year from then on.

    Columns n, mean, deviation (of one of them).
    """
    rows = shop.keep(episodes(shop, at)).filter(
        lambda t: t["closed"] & (t["gap"] > t["limit"]) & (t["until"] >= YEAR)
    )  # fmt: skip
    back = rows.select("customer_id", "until", at=rows["ago"])
    paid = money(shop)
    paid = paid.mutate(_ago=ibis.literal(at.day).delta(paid["day"], unit="day").cast("int64"))
    both = back.inner_join(paid, "customer_id")
    both = both.filter((both["_ago"] <= both["until"]) & (both["_ago"] > both["until"] - YEAR))
    each = both.group_by("customer_id", "at").aggregate(_year=both["money"].sum())
    return each.aggregate(n=each.count(), mean=each["_year"].mean(), deviation=each["_year"].std(how="sample"))
