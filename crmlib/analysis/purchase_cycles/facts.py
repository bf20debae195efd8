"""Gaps between purchases, the open ones counted, and what is known of each customer's rhythm."""

from __future__ import annotations

from datetime import date

import ibis
import pandas as pd

from crmlib.errors import NotAvailable, NotEnoughData
from crmlib.shop.facts import first_orders, net_orders
from crmlib.shop.facts.gaps import PRIOR_GAPS, gaps, since
from crmlib.shop.shop import Shop

MAX_CUSTOMERS = 5_000_000
MOST_ORDERS = 10
LEAST = 20
_STALE_DAYS = 90  # without an order for so long, nobody can be called due or late


def gap_counts(shop: Shop, *, day: date | None = None) -> pd.DataFrame:
    """How long from each purchase to the next? Columns number (10: ten and more), gap, closed, n.

    Where the data begins in mid-life, customers who may be old ones have no first purchase in it, if enough others do.
    NotEnoughData without a customer, and where from 20 on nobody has bought for 90 days; NotAvailable where orders do
    not name their customer.

    >>> list(gap_counts(shop).columns)
    ['number', 'gap', 'closed', 'n']
    """
    named(shop)
    after, _ = since(shop)
    found = gaps(shop, day=day or shop.as_of)
    found = found.mutate(_new=True if after is None else found["day"] >= ibis.literal(after))
    counted = found.group_by("_new", "gap", "closed", number=ibis.least(found["number"], MOST_ORDERS)).aggregate(
        n=found.count()
    )
    frame = shop.fetch(counted.order_by("number", "gap", "closed"))
    if frame.loc[frame["_new"] & (frame["number"] == 1), "n"].sum() >= LEAST:
        frame = frame[frame["_new"] | (frame["number"] > 1)]
    frame = frame.groupby(["number", "gap", "closed"], as_index=False)["n"].sum()
    first = int(frame.loc[frame["number"] == 1, "n"].sum())
    if not first:
        raise NotEnoughData(f"purchase cycles need {LEAST} customers with orders; there are none")
    if first < LEAST:
        return frame
    silent = int(frame.loc[~frame["closed"], "gap"].min())
    if silent > _STALE_DAYS:
        raise NotEnoughData(
            f"the last order is {silent} days before {day or shop.as_of}; one in {_STALE_DAYS} is needed"
        )
    return frame


def group_counts(shop: Shop) -> pd.DataFrame:
    """Gaps after the first three orders, by what the first was: kind (value, channel, year), group, and `gap_counts`'s.

    Of newcomers as `gap_counts` tells them; value is the third of newcomers by what the first day came to.
    """
    after, _ = since(shop)
    found = gaps(shop, day=shop.as_of)
    first = found.filter((found["number"] == 1) & (found["day"] >= ibis.literal(after or date.min)))
    place = ibis.percent_rank().over(ibis.window(order_by=first["revenue"]))
    third = (place * 3).floor().cast("int64").cases((0, "lowest third"), (1, "middle third"), else_="highest third")
    kinds = {"year": first["day"].year().cast("string")}
    if len(shop.fetch(first.aggregate(low=first["revenue"].min(), high=first["revenue"].max())).T[0].unique()) > 1:
        kinds["value"] = third
    first = first.select("customer_id", **kinds)
    if shop.has("orders", "channel"):
        by = first_orders(shop).inner_join(shop.table("orders").select("order_id", "channel"), "order_id")
        first = first.left_join(by.select("customer_id", "channel"), "customer_id")
    rows, parts = shop.keep(found.filter(found["number"] <= 3).inner_join(first, "customer_id")), []
    for kind in ("value", "channel", "year"):
        if kind in first.columns:
            known = rows.filter(rows[kind].notnull())
            of = known.group_by("number", "gap", "closed", group=kind).aggregate(n=known.count())
            parts.append(shop.fetch(of, max_rows=1_000_000).assign(kind=kind))
    return pd.concat(parts).sort_values(["kind", "group", "number", "gap", "closed"], ignore_index=True)


def named(shop: Shop) -> None:
    """NotAvailable where orders do not say whose they are."""
    shop.table("orders")
    if not shop.has("orders", "customer_id"):
        raise NotAvailable("needs orders.customer_id; this shop's orders do not name their customer")


def rhythms(shop: Shop, *, day: date, until: date | None = None) -> pd.DataFrame:
    """What is each customer's rhythm before `day`? customer_id, purchases, silent_days, known_days, usual (days).

    `usual` is the own mean gap, drawn towards the shop's median as if two such gaps had been seen before. With `until`
    there is no customer_id, and `came` says who bought from `day` on and before that; customers keep their order.
    """
    every = gaps(shop, day=shop.as_of)
    ago = ibis.literal(day).delta(every["day"], unit="day").cast("int64")
    # The last purchase before the day: the next one comes later, or has not come.
    rows = every.filter((ago > 0) & ~(every["closed"] & (every["gap"] < ago))).select(
        "customer_id", purchases="number", silent_days=ago, known_days=ago + every["behind"],
        came=every["closed"] & (every["gap"] < ago + ((until or day) - day).days),
    ).drop(*([] if until else ["came"]))  # fmt: skip
    if until:
        ids = every.filter(every["number"] == 1).select("customer_id")
        # Ids would be most of what leaves the engine: their places in line stand for them.
        places = shop.keep(ids.mutate(place=ibis.row_number().over(ibis.window(order_by="customer_id"))))
        rows = rows.inner_join(places, "customer_id").drop("customer_id")
    by = "place" if until else "customer_id"
    frame = shop.fetch(rows, max_rows=MAX_CUSTOMERS).sort_values(by, ignore_index=True)
    frame = frame.drop(columns="place", errors="ignore")
    closed, typical = frame["purchases"] - 1, frame["known_days"] - frame["silent_days"]
    shops = float((typical / closed.clip(lower=1))[closed > 0].median()) if (closed > 0).any() else float("nan")
    frame["usual"] = (typical + PRIOR_GAPS * shops) / (closed + PRIOR_GAPS)
    return frame


def product_gaps(shop: Shop, *, day: date, least: int = 50) -> pd.DataFrame:
    """Days from one purchase of a product to the next by the same customer: product_id, gap, closed, n.

    Only products that `least` customers or more bought again. Not enough for who they are.
    """
    orders = net_orders(shop).filter(lambda t: t["customer_id"].notnull() & (t["day"] < ibis.literal(day)))
    lines = shop.table("order_lines")
    lines = lines.filter(lines["quantity"] > 0) if shop.has("order_lines", "quantity") else lines
    # Orders are put in line by numbers for their customers, which is quicker than by ids.
    ids = orders.select("customer_id").distinct()
    numbered = shop.keep(ids.mutate(_who=ibis.row_number().over(ibis.window(order_by="customer_id"))))
    orders = orders.inner_join(numbered, "customer_id").select("order_id", "_who", "day")
    days = lines.inner_join(orders, "order_id").select("_who", "product_id", "day")
    own = ibis.window(group_by=["_who", "product_id"], order_by="day")
    after = days["day"].lead().over(own)
    found = days.mutate(
        closed=after.notnull(),
        gap=ibis.coalesce(after, ibis.literal(day)).delta(days["day"], unit="day").cast("int64"),
        _again=(days["day"] == days["day"].min().over(own)) & after.notnull(),
    )
    # Bought twice on a day is bought once: cheaper here than to make each day of a product distinct beforehand.
    found = found.filter(~found["closed"] | (found["gap"] > 0))
    # Each customer's first gap of a product, where it is closed, is a customer who bought it again.
    counted = shop.keep(
        found.group_by("product_id", "gap", "closed").aggregate(
            n=found.count(), _again=found["_again"].cast("int64").sum()
        )
    )
    again = counted.group_by("product_id").aggregate(_n=counted["_again"].sum())
    often = counted.semi_join(again.filter(again["_n"] >= least), "product_id").drop("_again")
    return shop.fetch(often.order_by("product_id", "gap", "closed"), max_rows=2_000_000)
