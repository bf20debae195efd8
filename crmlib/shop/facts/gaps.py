"""Gaps between a customer's purchases, the open ones counted: what rhythms, lateness and leaving are made of."""

from __future__ import annotations

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from crmlib.shop.facts.customers import purchase_days
from crmlib.shop.shop import Shop

PRIOR_GAPS = 2  # how many gaps of the shop's usual length a customer's own rhythm starts with
_RUSH_DAYS, _RUSH = 30, 3.0


def gaps(shop: Shop, *, day: date) -> ir.Table:
    """Grain: a purchase day before `day`. Columns customer_id, number (1 first), day, revenue, gap, closed, behind, of.

    `gap` is days to the next purchase, or until `day` where none came (`closed` false). `behind` is days since the
    first purchase, `of` how many purchases the customer made. Not enough for products.
    """
    days = purchase_days(shop).filter(lambda t: t["day"] < ibis.literal(day)).select("customer_id", "day", "revenue")
    own = ibis.window(group_by="customer_id", order_by="day")
    after = days["day"].lead().over(own)
    # All by one order of the rows, which is what costs, and once for all who ask of today.
    found = days.mutate(
        # Spark numbers rows in 32 bits, which shows once they are kept.
        number=(ibis.row_number().over(own) + 1).cast("int32").cast("int64"),
        closed=after.notnull(),
        gap=ibis.coalesce(after, ibis.literal(day)).delta(days["day"], unit="day").cast("int64"),
        behind=days["day"].delta(days["day"].min().over(own), unit="day").cast("int64"),
        of=days.count().over(own),
    )  # fmt: skip
    return shop.keep(found) if day == shop.as_of else found


def gap_lengths(shop: Shop, *, day: date) -> ir.Table:
    """Grain: a length of closed gaps before `day`. Columns gap (days), n, w: each customer's gaps weigh 1 in all.

    By `w`, daily buyers do not set the shop's clock.
    """
    rows = gaps(shop, day=shop.as_of)
    # Those of today that had closed by `day`: nothing is put in order again.
    closed = rows.filter(rows["closed"] & (rows["gap"] < ibis.literal(day).delta(rows["day"], unit="day")))
    weighed = closed.mutate(_w=1.0 / closed.count().over(ibis.window(group_by="customer_id")))
    return weighed.group_by("gap").aggregate(n=weighed.count(), w=weighed["_w"].sum()).order_by("gap")


def since(shop: Shop) -> tuple[date | None, str]:
    """The first day on which who buys first is a newcomer, where the data alone has to tell; and why, in a sentence.

    A shop's data that begins in mid-life shows its old customers in a rush of first orders. Then those count who were
    not seen for as long as 95 of 100 gaps between purchases last, each customer counted once, nor before the rush has
    ebbed: in a large shop one in twenty is a crowd. (None, '') where there is no such rush.
    """
    firsts = gaps(shop, day=shop.as_of).filter(lambda t: t["number"] == 1)
    start = shop.fetch(firsts.aggregate(day=firsts["day"].min()))["day"].iloc[0]
    if pd.isna(start):
        return None, ""
    age = firsts["day"].delta(ibis.literal(pd.Timestamp(start).date()), unit="day")
    counts = shop.fetch(
        firsts.group_by(at=(age / _RUSH_DAYS).floor().cast("int64")).aggregate(n=firsts.count()).order_by("at")
    )
    if len(counts) < 2:
        return None, ""
    usual = float(counts["n"].iloc[1:].median())
    ebbed = int(np.argmax(counts["n"] <= _RUSH * usual))
    if not ebbed:
        return None, ""
    by = shop.fetch(gap_lengths(shop, day=shop.as_of))
    if by.empty:
        return None, ""
    lead = int(by["gap"].iloc[int(np.searchsorted(by["w"].cumsum(), 0.95 * by["w"].sum()))])
    lead = max(lead, _RUSH_DAYS * int(counts["at"].iloc[ebbed]))
    return pd.Timestamp(start).date() + timedelta(days=lead), (
        f"First orders rush in when the data begins, so many are of old customers: whoever was first seen in its first "
        f"{lead} days is left out."
    )
