"""Lines as prices: what was really paid for a piece, and what it would have had to bring; by product and week.

Goods of orders that stand and were not given back whole, with what a coupon took off the order shared out over its
lines. Prices are those on the shelf: where they hold tax, a cost, which holds none, is put up by it.
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import pandas as pd

from crmlib.errors import NotAvailable
from crmlib.shop import segments
from crmlib.shop.facts import goods, line_money, net_orders
from crmlib.shop.facts.orders import untaxed
from crmlib.shop.shop import Shop

WEEK = 7
LATELY_DAYS, SPANS = 90, 4
TRADE = 10  # times the usual pieces of a line: whoever buys so many did not choose by the price on the shelf
_CENT = 0.005
_MOST_ROWS = 2_000_000
REGULAR_ORDERS = 5
SEGMENT = "segment "


def lines(shop: Shop) -> ir.Table:
    """Grain: a line of goods that stands. What a piece of it really cost its buyer, and what it cost the shop.

    Columns order_id, customer_id, product_id, day, ago (days before as_of, 0 the newest), quantity, price (of a piece,
    the order's own discount shared out), reduced (discount, coupon or a campaign of shop.toml), net (which share of
    the price is no tax), cost (goods alone; empty: unknown) and delivery (distribution of a piece, after what the order
    paid for shipping), both with the tax that prices have. Not enough for what an order earned. NotAvailable where a
    shop has no dated lines with a price.
    """
    if lacking := [name for name in ("orders", "order_lines") if not shop.has(name)]:
        raise NotAvailable(f"needs {' and '.join(lacking)}; this shop has {', '.join(shop.audits)}")
    every = shop.table("order_lines", "quantity").mutate(_money=line_money(shop).cast("float64"))
    sums = every.group_by("order_id").aggregate(
        _goods=every["_money"].sum(), _pieces=every["quantity"].sum(where=every["quantity"] > 0).cast("float64")
    )
    rows = goods(shop, every).filter(lambda t: (t["quantity"] > 0).fill_null(False) & (t["_money"] >= 0))
    raw = shop.table("orders")
    paid = {name: raw[name].cast("float64") for name in ("total", "discount", "shipping", "tax")}
    extra = raw.select(
        "order_id",
        _coupon=raw["coupon"].fill_null("") != "",
        _net=untaxed(shop, raw),
        **{f"_{n}": v for n, v in paid.items()},
    )
    of = net_orders(shop).inner_join(extra, "order_id").inner_join(sums, "order_id")
    of = of.filter(~((of["revenue"] <= 0) & (of["_total"] > 0)).fill_null(False))
    # Some shops write into `discount` what the lines have lost already: then the total has not lost it once more.
    off = of["_discount"].fill_null(0)
    asked = of["_goods"] + of["_shipping"].fill_null(0) + of["_tax"].fill_null(0)
    share = ibis.ifelse((of["_total"] <= asked - off + 3 * _CENT).fill_null(True), off / of["_goods"].nullif(0), 0.0)
    sent = ibis.greatest(0.0, delivery_cost(shop) / of["_net"] - of["_shipping"].fill_null(0)) / of["_pieces"].nullif(0)
    of = of.select(
        "order_id", "customer_id", "day", _left=1 - ibis.least(share.fill_null(0), 1.0), _coupon=of["_coupon"],
        _sent=sent.fill_null(0.0), net=of["_net"],
    )  # fmt: skip
    rows = rows.select("order_id", "product_id", "quantity", "_money", _off=rows["discount"], _cost=rows["unit_cost"])
    rows = rows.inner_join(of, "order_id")
    cost = rows["_cost"]
    if shop.has("products", "unit_cost"):
        listed = shop.table("products").select("product_id", _list_cost="unit_cost")
        rows = rows.left_join(listed, "product_id").drop("product_id_right")
        cost = rows["_cost"].fill_null(rows["_list_cost"])
    quantity = rows["quantity"].cast("float64")
    held = ibis.literal(False)
    for span in shop.settings.campaigns:
        held |= (rows["day"] >= ibis.literal(span.start)) & (rows["day"] <= ibis.literal(span.end))
    return rows.select(
        "order_id", "customer_id", "product_id", "day", quantity=quantity,
        ago=ibis.literal(shop.as_of).delta(rows["day"], unit="day").cast("int64") - 1,
        price=rows["_money"] * rows["_left"] / quantity,
        reduced=(rows["_off"] > 0).fill_null(False) | rows["_coupon"] | held,
        net=rows["net"], cost=cost.cast("float64") / rows["net"], delivery=rows["_sent"],
    )  # fmt: skip


def delivery_cost(shop: Shop) -> float:
    """What packing and sending one order costs: the newest distribution costs, those of one day added up; 0 unknown."""
    if not shop.has("costs"):
        return 0.0
    rows = shop.table("costs").filter(lambda t: (t["kind"].lower() == "distribution").fill_null(False))
    bills = shop.fetch(rows.select("valid_from", amount=rows["amount"].cast("float64")))
    if bills.empty:
        return 0.0
    since = pd.to_datetime(bills["valid_from"])
    return float(bills.loc[since == since.max() if since.notna().any() else since.isna(), "amount"].sum())


def by_product(rows: ir.Table, *, margin: float) -> ir.Table:
    """Grain: a product and a span of 90 days of the last year, `span` 0 the latest. Of pieces whose cost is known
    `floor` is what they had to bring: cost and delivery, and the `margin` (a share of the price) the shop wants.

    Columns product_id, span, pieces, money, net (what of it is no tax), known (pieces), paid, floor, cost (with
    delivery), below (pieces sold under their floor), short (money missing on these, without tax).
    """
    rows = rows.filter(rows["ago"] < SPANS * LATELY_DAYS)
    known = rows["cost"].notnull()
    cost = rows["cost"] + rows["delivery"]
    floor = cost / (1 - margin)
    under = known & (rows["price"] < floor - _CENT)
    pieces = rows["quantity"]
    return rows.group_by("product_id", span=rows["ago"] // LATELY_DAYS).aggregate(
        pieces=pieces.sum(), money=(rows["price"] * pieces).sum(),
        net=(rows["price"] * pieces * rows["net"]).sum(), known=pieces.sum(where=known).fill_null(0.0),
        paid=(rows["price"] * pieces).sum(where=known), floor=(floor * pieces).sum(where=known),
        cost=(cost * pieces).sum(where=known), below=pieces.sum(where=under).fill_null(0.0),
        short=((floor - rows["price"]) * pieces * rows["net"]).sum(where=under).fill_null(0.0),
    ).order_by("product_id", "span")  # fmt: skip


def weekly(rows: ir.Table, *, most: int, least: int, within_days: int) -> ir.Table:
    """Grain: a product, a week, a price in cents, reduced or not; of the `most` products with at least `least` lines.

    Columns product_id, week (0 the newest), cents, reduced, lines, pieces, money. Lines of trade size are left out. Not
    enough for who bought.
    """
    kept = shelf(rows, within_days=within_days)
    often = kept.group_by("product_id").aggregate(_lines=kept.count())
    often = often.filter(often["_lines"] >= least).order_by(ibis.desc("_lines"), "product_id").limit(most)
    kept = kept.semi_join(often, "product_id")
    by = kept.group_by("product_id", "week", "reduced", cents=(kept["price"] * 100).round().cast("int64"))
    return by.aggregate(
        lines=kept.count(), pieces=kept["quantity"].sum(), money=(kept["quantity"] * kept["price"]).sum()
    ).order_by("product_id", "week", "cents", "reduced")  # fmt: skip


def shelf(rows: ir.Table, *, within_days: int) -> ir.Table:
    """The lines of the last `within_days` in whole weeks before as_of, with `week`, without those of trade size."""
    rows = rows.filter(rows["ago"] < within_days // WEEK * WEEK).mutate(week=rows["ago"] // WEEK)
    usual = rows["quantity"].mean().over(ibis.window(group_by="product_id"))
    return rows.mutate(_usual=usual).filter(lambda t: t["quantity"] <= TRADE * t["_usual"]).drop("_usual")


def kinds(shop: Shop) -> list[str]:
    """By which kinds of customers can this shop's lines be told apart?"""
    named = shop.has("orders", "customer_id")
    there = {
        "buyer": named,
        "channel": shop.has("orders", "channel"),
        "country": named and shop.has("customers", "country"),
    }
    own = {f"{SEGMENT}{name}" for name, text in segments.saved(shop).items()
           if named and segments.segment(text, shop=shop).lasting}  # fmt: skip
    return [*(kind for kind, known in there.items() if known), *sorted(own)]


def by_kind(shop: Shop, rows: ir.Table, kind: str, *, products: Sequence[str]) -> ir.Table:
    """Grain: a product of `products` (all others together as empty), a week and a value of `kind`. Columns product_id,
    week, value, lines.

    "segment NAME" says who is in one of the shop's own; buyer says how many orders the customer had placed before: new
    (none), known, or regular (five or more).
    """
    if kind == "buyer":
        place = ibis.row_number().over(ibis.window(group_by="customer_id", order_by=["ordered_at", "order_id"]))
        before = net_orders(shop).filter(lambda t: t["customer_id"].notnull()).mutate(_place=place)
        value = ibis.cases(
            (before["_place"] == 0, "new"), (before["_place"] >= REGULAR_ORDERS, "regular"), else_="known"
        )
        of, key = before.select("order_id", value=value), "order_id"
    elif kind.startswith(SEGMENT):
        who = segments.members(shop, segments.segment(kind[len(SEGMENT) :], shop=shop)).mutate(_in=True)
        key = "customer_id"
        of = rows.filter(rows[key].notnull()).select(key).distinct().left_join(who, key)
        of = of.select("customer_id", value=ibis.ifelse(of["_in"].fill_null(False), "in it", "others"))
    elif kind == "channel":
        of, key = shop.table("orders", "channel").select("order_id", value="channel"), "order_id"
    else:
        of, key = shop.table("customers", "country").select("customer_id", value="country"), "customer_id"
    told = rows.inner_join(of, key).filter(lambda t: t["value"].notnull() & (t["value"] != ""))
    one = ibis.ifelse(told["product_id"].isin(list(products)), told["product_id"], "")
    return told.group_by("week", "value", product_id=one).aggregate(lines=told.count()).order_by(
        "product_id", "week", "value"
    )  # fmt: skip


def fetched(shop: Shop, rows: ir.Table) -> pd.DataFrame:
    """A table of counts in pandas: as many rows as products and weeks make at most."""
    return shop.fetch(rows, max_rows=_MOST_ROWS)
