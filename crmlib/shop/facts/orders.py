"""Orders as money: what stands, what each line cost, what is left of an order.

Every table says its grain and what it is not enough for. Nothing leaves the engine before an analysis fetches.
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import pandas as pd

from crmlib.errors import NotAvailable
from crmlib.shop.shop import Shop

_SLACK_DAYS = 3  # and three usual gaps: so long before a month's end the newest order may lie


def line_money(shop: Shop) -> ir.DecimalColumn:
    """The price of each order line: line_total, else unit_price × quantity. NotAvailable without either."""
    lines = shop.table("order_lines")
    if shop.has("order_lines", "line_total"):
        return lines["line_total"]
    if shop.has("order_lines", "unit_price", "quantity"):
        return (lines["unit_price"] * lines["quantity"]).cast("decimal(18, 4)")
    raise NotAvailable("money needs orders.total, order_lines.line_total, or order_lines.unit_price and quantity")


def net_orders(shop: Shop, *more: str) -> ir.Table:
    """Grain: one order that stands: neither cancelled, nor undone by a credit note of the same amount, nor one itself.

    Columns order_id, customer_id (empty: guest), ordered_at, day, revenue: total − refunded in the shop's currency,
    less what refund rows gave back for it; without totals the lines' sum stands for it, and without both it is empty;
    and `more` of the orders' own.
    Not enough for sales where the shop has credit notes: ask `sales`. Not enough for products, nor for what a cancelled
    order would have been.
    """
    standing = _standing(shop)
    refunded = standing["refunded"].fill_null(0)
    if may_have_credits(shop):
        notes = credit_notes(shop)
        undone = notes.filter(notes["cancels"].notnull()).select(order_id="cancels")
        back = notes.filter(notes["reduces"].notnull()).group_by(_of="reduces").aggregate(_back=-notes["amount"].sum())
        standing = standing.filter(~(standing["_gross"] < 0).fill_null(False)).anti_join(undone, "order_id")
        standing = standing.left_join(back, standing["order_id"] == back["_of"])
        # A shop that writes both means the same money.
        refunded = ibis.greatest(standing["refunded"].fill_null(0), standing["_back"].fill_null(0))
    return standing.select(
        "order_id",
        "customer_id",
        "ordered_at",
        day=standing["ordered_at"].date(),
        revenue=(standing["_gross"] - refunded).cast("decimal(18, 4)"),
        **{name: name for name in more},
    )


def sales(shop: Shop) -> ir.Table:
    """Grain: an order that stands, or a credit note that stands alone. Columns as `net_orders`, and orders (1 or 0).

    The sum of revenue is what was sold, each credit note on its own day; that of orders is how many orders there are.
    """
    orders = net_orders(shop).mutate(orders=ibis.literal(1, type="int64"))
    if not may_have_credits(shop):
        return orders
    alone = lone_credits(shop).mutate(orders=ibis.literal(0, type="int64"))
    return orders.union(alone.select(*orders.columns))


def may_have_credits(shop: Shop) -> bool:
    """Are there orders below zero, as far as the counts of a shop's oddities tell?"""
    if not shop.has("orders"):
        return False
    odd = shop.audits["orders"].oddities
    if shop.has("orders", "total"):
        return bool(odd.get("credit_note", 0) + odd.get("refund_row", 0))
    return shop.has("order_lines") and bool(shop.audits["order_lines"].oddities.get("negative_quantity", 0))


def credit_notes(shop: Shop) -> ir.Table:
    """Grain: an order below zero. Columns order_id, customer_id, ordered_at, day, amount, reduces, cancels.

    `reduces` is the order whose refund it is, by parent_id; `cancels` the latest order before it of the same customer
    and amount that no other note undoes. Where both are empty it reduces sales on its own day.
    """
    rows = _standing(shop).filter(lambda t: t["_gross"] < 0)
    known = shop.table("orders").filter(lambda t: ~(t["total"] < 0).fill_null(False)).select(reduces="order_id")
    notes = rows.left_join(known, rows["parent_id"] == known["reduces"]).select(
        "order_id", "customer_id", "ordered_at", "reduces", amount="_gross", day=rows["ordered_at"].date()
    )
    pairs = _pairs(shop, notes.filter(notes["reduces"].isnull() & notes["customer_id"].notnull()))
    notes = notes.left_join(pairs, notes["order_id"] == pairs["_note"])
    return shop.keep(notes.select("order_id", "customer_id", "ordered_at", "day", "amount", "reduces", "cancels"))


def lone_credits(shop: Shop) -> ir.Table:
    """Credit notes that neither reduce nor cancel an order: columns as `net_orders`, revenue below zero."""
    notes = credit_notes(shop).filter(lambda t: t["reduces"].isnull() & t["cancels"].isnull())
    return notes.select("order_id", "customer_id", "ordered_at", "day", revenue=notes["amount"].cast("decimal(18, 4)"))


def _pairs(shop: Shop, notes: ir.Table) -> ir.Table:
    """Which order does each note undo? Columns _note, cancels.

    Orders and notes of one customer and amount are opening and closing brackets in time: what a note closes is the
    latest order still open. At each depth they alternate, so that the n-th opening belongs to the n-th closing.
    """
    key = ["customer_id", "_amount"]
    minus = notes.select("order_id", "customer_id", "ordered_at", _amount=-notes["amount"], _step=ibis.literal(-1))
    orders = _standing(shop)
    plus = orders.filter(orders["_gross"] > 0).select(
        "order_id", "customer_id", "ordered_at", _amount="_gross", _step=ibis.literal(1)
    )
    both = plus.semi_join(minus, key).union(minus)
    at = [both["ordered_at"], both["_step"].desc(), both["order_id"]]
    depth = both["_step"].sum().over(ibis.cumulative_window(group_by=key, order_by=at))
    both = both.mutate(_level=ibis.ifelse(both["_step"] > 0, depth, depth + 1))
    place = ibis.row_number().over(
        ibis.window(group_by=[*key, "_level", "_step"], order_by=[both["ordered_at"], both["order_id"]])
    )
    both = both.mutate(_place=place)
    # Below the ground a closing comes first, and has nothing to close.
    down = both.filter(both["_step"] < 0)
    down = down.select(*key, "_level", _note="order_id", _place=down["_place"] - (down["_level"] <= 0).cast("int64"))
    up = both.filter(both["_step"] > 0).select(*key, "_level", "_place", cancels="order_id")
    return down.inner_join(up, [*key, "_level", "_place"]).select("_note", "cancels")


def _standing(shop: Shop) -> ir.Table:
    """Orders whose state does not take them out, with `_gross`, what they came to before anything was given back."""
    orders = shop.table("orders")
    standing = orders.filter(orders["cancelled_at"].isnull())
    if out := shop.statuses("out"):
        standing = standing.filter(~standing["status"].isin(out).fill_null(False))
    if shop.has("orders", "total") or not _lines_have_money(shop):
        standing = standing.mutate(_gross=standing["total"])
    else:
        lines = shop.table("order_lines").mutate(_money=line_money(shop))
        sums = lines.group_by("order_id").aggregate(_gross=lines["_money"].sum())
        standing = standing.left_join(sums, "order_id").drop("order_id_right")
    if not shop.has("orders", "refunded") and (back := shop.statuses("given_back")):
        # A state that says refunded, and no column that says how much: all of it.
        given = standing["status"].isin(back).fill_null(False) & (standing["_gross"] > 0)
        standing = standing.mutate(refunded=ibis.ifelse(given, standing["_gross"], standing["refunded"]))
    return standing


def monthly(shop: Shop) -> ir.Table:
    """Grain: a calendar month of the shop's time zone with sales. Columns month (its first day), orders, revenue."""
    sold = sales(shop)
    months = sold.group_by(month=sold["day"].truncate("M"))
    return months.aggregate(orders=sold["orders"].sum(), revenue=sold["revenue"].sum()).order_by("month")


def told(shop: Shop) -> tuple[pd.Timestamp, pd.Timestamp, pd.Timestamp]:
    """From and until which day does the data tell of sales, and when was the newest? NaT where there are none.

    An export that ended in the middle of a month tells nothing of its rest, but for three usual gaps between orders.
    """
    days = shop.fetch(sales(shop).aggregate(
        first=lambda t: t["day"].min(), last=lambda t: t["day"].max(), days=lambda t: t["day"].nunique()
    )).iloc[0]  # fmt: skip
    first, newest = pd.Timestamp(days["first"]), pd.Timestamp(days["last"])
    slack = pd.to_timedelta(_SLACK_DAYS + 3 * (newest - first).days / max(int(days["days"]), 1), unit="D")
    return first - slack, max(newest + slack, pd.Timestamp(shop.data_through or newest)), newest


def has_costs(shop: Shop) -> bool:
    """Are there lines with unit costs of their own, or of their products?"""
    in_products = shop.has("products", "unit_cost") and shop.has("order_lines", "quantity")
    return shop.has("order_lines") and (shop.has("order_lines", "unit_cost", "quantity") or in_products)


def untaxed(shop: Shop, orders: ir.Table) -> ir.FloatingValue:
    """Which share of what an order came to is no tax? `orders` has total and tax; 1 unless prices_include_tax is true.

    The tax of an order is spread evenly over all of it; an order that names none has tax_rate of shop.toml.
    """
    if not shop.settings.prices_include_tax:
        return ibis.literal(1.0)
    total, tax = orders["total"].cast("float64"), orders["tax"].cast("float64")
    own = ibis.ifelse((total > 0) & (tax >= 0) & (tax < total), 1 - tax / total.nullif(0), ibis.null("float64"))
    return own.fill_null(1 / (1 + shop.settings.tax_rate))


def order_margins(shop: Shop) -> ir.Table:
    """Grain: an order that stands, with lines, as `order_money` has it. A shop without costs has no margins."""
    rows = order_money(shop)
    # Worked out once for all that are asked of it: every line of the shop is read for it.
    return shop.keep(rows.filter(rows["lined"]).drop("lined", "off", "back"))


def order_money(shop: Shop) -> ir.Table:
    """Grain: an order that stands. What is left of it after discounts, refunds and product costs.

    Columns order_id, customer_id, day, revenue, goods (its lines' money), known (that of lines with a cost), margin and
    returned_cost (what the goods that came back had cost), both empty where no line has a cost; lined (has it lines?),
    off (the discount on all of it) and back (what the order says was refunded). Lines without a cost
    are taken to earn as the order's others do; what was given back counts as goods that came back; shipping is neither
    earned nor spent. Revenue and goods are as prices are; the margin is without the tax that `untaxed` knows of. A shop
    without costs has none: ask `has_costs` first.
    """
    lines = shop.table("order_lines").mutate(_money=line_money(shop))
    cost = lines["unit_cost"] if shop.has("order_lines", "unit_cost") else ibis.null("decimal(18, 4)")
    if shop.has("products", "unit_cost"):
        costs = shop.table("products").select("product_id", _list_cost="unit_cost")
        lines = lines.left_join(costs, "product_id").drop("product_id_right")
        own = lines["unit_cost"] if shop.has("order_lines", "unit_cost") else lines["_list_cost"]
        cost = own.fill_null(lines["_list_cost"])
    lines = lines.mutate(_cost=cost * lines["quantity"])
    seen = lines["_cost"].notnull()
    sums = lines.group_by("order_id").aggregate(
        goods=lines["_money"].sum().cast("float64"),
        known=lines["_money"].sum(where=seen).fill_null(0).cast("float64"),
        _cost=lines["_cost"].sum(where=seen).cast("float64"),
    )
    orders = net_orders(shop, "total", "discount", "tax", "refunded").left_join(sums, "order_id")
    revenue = orders["revenue"].cast("float64")
    whole = orders["total"].cast("float64").nullif(0).fill_null(orders["goods"]).nullif(0)
    discount = orders["discount"].cast("float64").fill_null(0)
    kept = revenue / whole
    cost = orders["_cost"] * orders["goods"] / orders["known"].nullif(0)
    return orders.select(
        "order_id", "customer_id", "day", "goods", "known",
        revenue=revenue, margin=((orders["goods"] - discount) * untaxed(shop, orders) - cost) * kept,
        returned_cost=cost * (1 - kept), lined=orders["order_id_right"].notnull(), off=discount,
        back=orders["refunded"].cast("float64").fill_null(0),
    )  # fmt: skip


def contact_cost(shop: Shop, *, kinds: Sequence[str] = ("contact", "offer", "gift")) -> float:
    """What one contact costs with what goes out with it, by the shop's table of costs; 0 where it does not say.

    Of each kind the latest amount counts. What a coupon takes off is no cost: orders are without it.
    """
    if not shop.has("costs"):
        return 0.0
    kind = shop.table("costs")["kind"].lower().strip()
    rows = shop.table("costs").select("amount", "valid_from", kind=kind).filter(kind.isin(kinds))
    frame = shop.fetch(rows).sort_values("valid_from", na_position="first")
    return float(frame.groupby("kind")["amount"].last().astype(float).sum())


def _lines_have_money(shop: Shop) -> bool:
    return shop.has("order_lines", "line_total") or shop.has("order_lines", "unit_price", "quantity")
