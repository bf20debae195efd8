"""Gaps between a customer's purchases, the open ones counted: what rhythms, lateness and leaving are made of."""

from __future__ import annotations

from datetime import date

import ibis
import ibis.expr.types as ir

from crmlib.shop.facts.customers import purchase_days
from crmlib.shop.shop import Shop

PRIOR_GAPS = 2  # how many gaps of the shop's usual length a customer's own rhythm starts with


def gaps(shop: Shop, *, day: date) -> ir.Table:
    """Grain: a purchase day before `day`. Columns customer_id, number (1 first), day, revenue, gap, closed, behind.

    `gap` is days to the next purchase, or until `day` where none came (`closed` false). `behind` is days since the
    first purchase. Not enough for products.
    """
    days = purchase_days(shop).filter(lambda t: t["day"] < ibis.literal(day)).select("customer_id", "day", "revenue")
    own = ibis.window(group_by="customer_id", order_by="day")
    after = days["day"].lead().over(own)
    return days.mutate(
        number=ibis.row_number().over(own).cast("int64") + 1,
        closed=after.notnull(),
        gap=ibis.coalesce(after, ibis.literal(day)).delta(days["day"], unit="day").cast("int64"),
        behind=days["day"].delta(days["day"].min().over(ibis.window(group_by="customer_id")), unit="day").cast("int64"),
    )


def gap_lengths(shop: Shop, *, day: date) -> ir.Table:
    """Grain: a length of closed gaps before `day`. Columns gap (days), n, w: each customer's gaps weigh 1 in all.

    By `w`, daily buyers do not set the shop's clock.
    """
    closed = gaps(shop, day=day).filter(lambda t: t["closed"])
    weighed = closed.mutate(_w=1.0 / closed.count().over(ibis.window(group_by="customer_id")))
    return weighed.group_by("gap").aggregate(n=weighed.count(), w=weighed["_w"].sum()).order_by("gap")
