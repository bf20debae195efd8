"""What is asked of the engine: baskets with their sizes, item totals, and which item is in which basket."""

from __future__ import annotations

import operator
from functools import reduce

import ibis
import ibis.expr.types as ir

from crmlib.shop import facts as shared
from crmlib.shop.shop import Shop

# Within so many days of a letter an order is taken for its answer.
_ANSWERS = 3
GROUPS = ("customers", "channel")
NEW, RETURNING, GUEST, UNKNOWN = "new", "returning", "guest", "unknown"
# Baskets of one class differ by at most a third in size; up to five items each size is its own.
EDGES = (2, 3, 4, 5, 6, 8, 11, 15, 20, 27, 36, 48, 64, 86, 115, 154, 206, 275, 367, 490)


def items_of(shop: Shop, level: str = "product") -> ir.Table:
    return shop.keep(shared.basket_items(shop, level=level))


def basket_table(shop: Shop, *, level: str = "product") -> ir.Table:
    """Grain: a basket, that is a kept order with at least one positive line. Columns order_id, customer_id, day, size,
    prompted (`prompted_orders`) and the groups the basket belongs to (`grouped`).

    size counts distinct items at `level`, 0 where none of its products has one; such a basket still counts.
    """
    baskets, items = (
        grouped(shop, items_of(shop).select("order_id", "customer_id", "day").distinct()),
        items_of(shop, level),
    )
    sizes = items.group_by("order_id").aggregate(size=items.count())
    joined = baskets.left_join(sizes, "order_id").drop("order_id_right")
    joined = joined.mutate(size=joined["size"].fill_null(0))
    if (prompted := prompted_orders(shop)) is None:
        return joined.mutate(prompted=ibis.literal(False))
    marked = joined.left_join(prompted.mutate(_by=ibis.literal(True)), "order_id")
    return marked.mutate(prompted=marked["_by"].fill_null(False)).drop("order_id_right", "_by")


def grouped(shop: Shop, table: ir.Table) -> ir.Table:
    """The same rows with columns customers (new on their first day with a basket, returning, guest) and, where the
    shop's customers have one, channel (of acquisition). `table` has customer_id and day."""
    if not shop.has("orders"):
        return table
    baskets = items_of(shop)
    known = baskets.filter(baskets["customer_id"].notnull())
    first = known.group_by("customer_id").aggregate(_first=known["day"].min())
    joined = table.left_join(first, "customer_id").drop("customer_id_right")
    of_new = ibis.ifelse(joined["day"] == joined["_first"], NEW, RETURNING)
    table = joined.mutate(customers=ibis.ifelse(joined["customer_id"].isnull(), GUEST, of_new)).drop("_first")
    if shop.has("customers", "acquisition_channel"):
        source = shop.table("customers").select("customer_id", channel="acquisition_channel")
        joined = table.left_join(source, "customer_id").drop("customer_id_right")
        table = joined.mutate(channel=joined["channel"].fill_null(UNKNOWN))
    return table


def prompted_orders(shop: Shop) -> ir.Table | None:
    """Grain: an order with a coupon, of a campaign, or of somebody written to in the three days before. Column
    order_id; None where the shop knows of none of these."""
    orders, found = shop.table("orders") if shop.has("orders") else None, []
    if orders is None:
        return None
    for column in ("coupon", "campaign_id"):
        if shop.has("orders", column):
            found.append(orders.filter(orders[column].fill_null("").strip() != "").select("order_id"))
    if (written := shared.letters(shop)) is not None:
        sent = written.select(_who="customer_id", _sent="at")
        after = orders.inner_join(sent, orders["customer_id"] == sent["_who"])
        soon = (after["ordered_at"] >= after["_sent"]) & (
            after["ordered_at"] < after["_sent"] + ibis.interval(days=_ANSWERS)
        )
        found.append(after.filter(soon).select("order_id"))
    return reduce(lambda a, b: a.union(b), found).distinct() if found else None


def item_totals(shop: Shop, *, level: str = "product") -> ir.Table:
    """Grain: an item that is in a basket. Columns item, baskets."""
    items = items_of(shop, level)
    return items.group_by("item").aggregate(baskets=items.count())


def sized_items(shop: Shop, *, level: str = "product") -> ir.Table:
    """Grain: an item of a basket, as facts.basket_items has it, with `size_class` of the basket's items at `level`."""
    items = items_of(shop, level)
    sizes = items.group_by("order_id").aggregate(_size=items.count())
    reached = reduce(operator.add, [(sizes["_size"] >= edge).cast("int64") for edge in EDGES])
    return items.inner_join(sizes.select("order_id", size_class=reached), "order_id")


def total_profile(sized: ir.Table, *, period: ir.Value) -> ir.Table:
    """Grain: a period, a size class, a number of baskets. Columns period, size_class, baskets, items.

    items is how many items were in so many baskets of that period and class; `sized` has one row per item of a basket
    (`sized_items`). Enough for the chance model, which treats items of one total alike; their names are gone.
    """
    rows = sized.select("item", "size_class", period=period)
    totals = rows.group_by("period", "size_class", "item").aggregate(baskets=rows.count())
    return totals.group_by("period", "size_class", "baskets").aggregate(items=totals.count())


def basket_lines(shop: Shop, *, level: str = "product", least: int = 1) -> ir.Table:
    """Grain: an item in a basket, items in fewer than `least` baskets left out. Columns basket, item, both integers.

    Numbers count from 0 along the sorted order ids and the sorted ids of the items left.
    """
    items = items_of(shop, level)
    # Ids leave the engine once, as the names of these numbers.
    orders = basket_table(shop).select("order_id")
    orders = orders.mutate(basket=ibis.row_number().over(order_by="order_id"))
    kinds = item_totals(shop, level=level).filter(lambda t: t.baskets >= least).select("item")
    kinds = kinds.mutate(number=ibis.row_number().over(order_by="item"))
    lines = items.inner_join(orders, "order_id").inner_join(kinds, "item")
    return lines.select(basket=lines["basket"].cast("int32"), item=lines["number"].cast("int32"))
