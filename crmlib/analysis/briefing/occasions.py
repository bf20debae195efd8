"""Days that are somebody's: birthdays, round orders, the next of a line of which somebody has the last five; and open
tickets.
"""

from __future__ import annotations

from datetime import date, timedelta

import ibis
import pandas as pd

from crmlib import formats, wording
from crmlib.analysis.outreach import lots
from crmlib.shop.facts import basket_items, net_orders
from crmlib.shop.shop import Shop

WEEK = 7
ROUND = (10, 25, 50, 100, 200, 500)  # an order worth a word of thanks
BIRTHDAY, MILESTONE, NEXT, TICKET = "birthday", "milestone", "next_of_a_line", "open_ticket"
_OPEN_DAYS = 30  # how old a ticket without an answer may be, for an answer to help
_NEW_DAYS, _LAST = 60, 5  # how long a product is new; how many before it make a collector
_MOST = 5_000
_COLUMNS = ["customer_id", "lot", "list", "what", "reason", "offer", "by"]


def occasions(shop: Shop) -> pd.DataFrame:
    """Who has a day in the coming week, or gave a reason in the last? Grain: a customer and occasion.

    Columns customer_id, lot, list, what (is done), reason, offer, by. Birthdays of 29 February are on the 28th of other
    years. Occasions that need a table the shop lacks are left out.

    >>> sorted(set(occasions(store)["list"]) - {"birthday", "milestone", "next_of_a_line", "open_ticket"})
    []
    """
    found = [open_tickets(shop), birthdays(shop), milestones(shop), next_of_line(shop)]
    whole = pd.concat([frame for frame in found if len(frame)]) if any(map(len, found)) else pd.DataFrame()
    if whole.empty:
        return pd.DataFrame(columns=_COLUMNS)
    # Whoever waits for an answer gets one, whatever the lot.
    drawn = pd.Series(lots(whole["customer_id"], shop=shop), index=whole.index)
    whole["lot"] = drawn.where(whole["list"] != TICKET, "")
    return whole.reset_index(drop=True)[_COLUMNS]


def open_tickets(shop: Shop) -> pd.DataFrame:
    """Who opened a ticket of late and has had no first answer? The oldest ticket of each."""
    if not shop.has("tickets", "customer_id", "first_reply_at"):
        return pd.DataFrame()
    rows = shop.table("tickets")
    since = ibis.literal(shop.as_of - timedelta(days=_OPEN_DAYS))
    rows = rows.filter(
        rows["customer_id"].notnull() & rows["first_reply_at"].isnull() & rows["closed_at"].isnull()
        & (rows["opened_at"].date() >= since)
    ).select("ticket_id", "customer_id", "topic", day=rows["opened_at"].date())  # fmt: skip
    frame = shop.fetch(rows.order_by("day", "customer_id", "topic").limit(_MOST), max_rows=_MOST)
    frame = frame.drop_duplicates("customer_id")
    about = [f" about {topic}" if isinstance(topic, str) and topic else "" for topic in frame["topic"]]
    days = [formats.day(day, year=False) for day in pd.to_datetime(frame["day"]).dt.date]
    said = [f"ticket {id}{what} of {day} without an answer"
            for id, what, day in zip(frame["ticket_id"], about, days, strict=True)]  # fmt: skip
    frame = frame[["customer_id"]].assign(list=TICKET, what="Answer tickets", reason=said, offer="")
    return frame.assign(by=wording.working_day(shop.as_of, 1))


def birthdays(shop: Shop, *, days: int = WEEK) -> pd.DataFrame:
    """Who has a birthday in the coming days, as `occasions` has it."""
    if not shop.has("customers", "birth_date"):
        return pd.DataFrame()
    on = {_mark(day): day for day in (shop.as_of + timedelta(days=ahead) for ahead in range(days))}
    for day in list(on.values()):
        if (day.month, day.day) == (2, 28) and (day + timedelta(days=1)).month == 3:
            on[229] = day
    people = shop.table("customers", "birth_date")
    mark = people["birth_date"].month() * 100 + people["birth_date"].day()
    chosen = people.filter(mark.isin(sorted(on))).select("customer_id", mark=mark.cast("int64"))
    frame = shop.fetch(chosen.order_by("customer_id").limit(_MOST), max_rows=_MOST)
    frame["by"] = frame["mark"].map(on)
    said = [f"birthday on {wording.day(day, near=shop.as_of)}" for day in frame["by"]]
    return frame.drop(columns="mark").assign(list=BIRTHDAY, what="Send a birthday card", reason=said, offer="")


def milestones(shop: Shop, *, days: int = WEEK) -> pd.DataFrame:
    """Whose latest order, of the last days, was a round one."""
    if not shop.has("orders", "customer_id"):
        return pd.DataFrame()
    orders = net_orders(shop).filter(lambda t: t["customer_id"].notnull())
    sums = orders.group_by("customer_id").aggregate(n=orders["order_id"].nunique(), day=orders["day"].max())
    since = shop.as_of - timedelta(days=days)
    chosen = sums.filter((sums["day"] >= ibis.literal(since)) & sums["n"].isin(ROUND))
    frame = shop.fetch(chosen.order_by([sums["n"].desc(), "customer_id"]).limit(_MOST), max_rows=_MOST)
    said = [f"placed order number {n} on {formats.day(day, year=False)}" for n, day in _pairs(frame, "n", "day")]
    frame = frame[["customer_id"]].assign(list=MILESTONE, what="Say thank you for a round order", reason=said, offer="")
    return frame.assign(by=wording.working_day(shop.as_of, 5))


def next_of_line(shop: Shop) -> pd.DataFrame:
    """Who bought the last five of a brand's (else category's) products, and not yet the one that is new?

    A product is new for _NEW_DAYS from its first sale on.
    """
    line = next((name for name in ("brand", "category") if shop.has("products", name)), "")
    if not (line and shop.has("order_lines") and shop.has("orders", "customer_id")):
        return pd.DataFrame()
    bought = basket_items(shop).filter(lambda t: t["customer_id"].notnull()).rename(product_id="item")
    firsts = bought.group_by("product_id").aggregate(first=bought["day"].min())
    named = shop.table("products").select("product_id", "name", line=line)
    firsts = firsts.inner_join(named, "product_id").filter(lambda t: t["line"] != "")
    products = shop.fetch(firsts.select("product_id", "name", "line", "first"), max_rows=_MOST * 100)
    wanted = _lines(products, shop.as_of)
    if wanted.empty:
        return pd.DataFrame()
    schema = {"product_id": "string", "new": "string", "is_new": "boolean"}
    of = shop.keep(ibis.memtable(wanted[list(schema)], schema=schema))
    mine = bought.inner_join(of, "product_id")
    sums = mine.group_by("customer_id", "new").aggregate(
        had=mine["product_id"].nunique(where=~mine["is_new"]), has=mine["is_new"].sum()
    )
    chosen = sums.filter((sums["had"] == _LAST) & (sums["has"] == 0)).order_by("customer_id", "new")
    frame = shop.fetch(chosen.limit(_MOST), max_rows=_MOST).drop_duplicates("customer_id")
    news = wanted[wanted["is_new"]].set_index("product_id")
    said = "bought the last five of " + frame["new"].map(news["line"]).astype(str)
    frame = frame[["customer_id"]].assign(
        list=NEXT, what="Offer the newest of a line", reason=said, offer=frame["new"].map(news["name"])
    )
    return frame.assign(by=wording.working_day(shop.as_of, 5))


def _lines(products: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """The newest product of each line that has one that is new, and the five before it."""
    products = products.assign(first=pd.to_datetime(products["first"]))
    products = products.sort_values(["line", "first", "product_id"], ascending=[True, False, True])
    products["place"] = products.groupby("line").cumcount()
    six = products[products["place"] <= _LAST]
    newest = six.groupby("line").agg(first=("first", "max"), n=("place", "size"), new=("product_id", "first"))
    fresh = newest[(newest["first"] >= pd.Timestamp(as_of - timedelta(days=_NEW_DAYS))) & (newest["n"] == _LAST + 1)]
    six = six[six["line"].isin(fresh.index)]
    return six.assign(new=six["line"].map(newest["new"]), is_new=six["place"] == 0)


def _mark(day: date) -> int:
    return day.month * 100 + day.day


def _pairs(frame: pd.DataFrame, one: str, other: str) -> list[tuple[int, date]]:
    return list(zip(frame[one], pd.to_datetime(frame[other]).dt.date, strict=True))
