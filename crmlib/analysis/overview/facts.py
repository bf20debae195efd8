"""Two periods side by side: what each customer, product and group brought in both, and what each month came to.

Money is in whole ten-thousandths of the currency's unit, so that sums are exact and parts add up to the whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir

from crmlib.shop import facts as shared

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

UNIT = 10_000
_MEASURED = 50  # a line of more than so many is of litres, grams or the like
IN_LINES = ("category", "product")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A period [start, end) and the one it is compared with, [before, until), as that was known on the day `known`.

    `against` names the latter as it follows 'on': 'last year'. `months` is how long both are, `apart` how far.
    """

    start: date
    end: date
    before: date
    until: date
    known: date
    against: str
    months: int
    apart: int

    @property
    def longer(self) -> float:
        """How much longer the later period is than the earlier, where the calendar makes more than a hundredth."""
        ratio = (self.end - self.start).days / (self.until - self.before).days
        return ratio if abs(ratio - 1) > 0.01 else 1.0

    @property
    def fairly(self) -> str:
        """`against`, and that days are compared where months are unlike."""
        return self.against + (", day by day" if self.longer != 1 else "")


def whole(money: ir.NumericValue) -> ir.IntegerValue:
    """Money as whole ten-thousandths."""
    return (money.fill_null(0) * UNIT).cast("int64")


def firsts(shop: Shop) -> ir.Table:
    """Grain: a customer with an order. Columns customer_id, first (day of the first one)."""
    orders = shared.net_orders(shop).filter(lambda t: t["customer_id"].notnull())
    return orders.group_by("customer_id").aggregate(first=orders["day"].min())


def sold(shop: Shop, pair: Pair) -> ir.Table:
    """Grain: an order, or credit note that stands alone, of either period.

    Columns order_id, unit (customer, or the order of a guest), guest, customer_id, day, late (in the later period),
    money, orders (1 or 0). Refunds of the earlier period are those that were known then, so that the later one, whose
    refunds are still to come, is compared with its like.
    """
    rows = shared.sales(shop)
    late = _within(rows["day"], pair.start, pair.end)
    rows = rows.mutate(late=late, _back=ibis.literal(0, type="decimal(18, 4)"))
    rows = rows.filter(late | _within(rows["day"], pair.before, pair.until))
    if shop.has("orders", "refunded", "refunded_at"):
        given = shop.table("orders").filter(lambda t: t["refunded_at"].date() >= ibis.literal(pair.known))
        given = given.select("order_id", _given="refunded")
        rows = rows.left_join(given, "order_id").drop("order_id_right")
        rows = rows.mutate(_back=ibis.ifelse(rows["late"], ibis.literal(0), rows["_given"].fill_null(0)))
    return rows.select(
        "order_id", "customer_id", "day", "late", "orders", guest=rows["customer_id"].isnull(),
        unit=ibis.coalesce(rows["customer_id"], rows["order_id"]), money=whole(rows["revenue"]) + whole(rows["_back"]),
    )  # fmt: skip


def kinds(shop: Shop, pair: Pair) -> ir.Table:
    """Grain: a kind of customer: new, returned (bought before, not in the earlier period), more, less, lost, guests.

    Columns kind, customers, before, now, orders_before, orders_now, buyers_before, buyers_now, squares (of what each
    brought more or less, the measure of chance). Each order of a guest is a customer.
    """
    rows = sold(shop, pair)
    late, zero = rows["late"], ibis.literal(0, type="int64")
    own = rows.group_by("unit", "guest").aggregate(
        before=rows["money"].sum(where=~late).fill_null(zero), now=rows["money"].sum(where=late).fill_null(zero),
        orders_before=rows["orders"].sum(where=~late).fill_null(zero),
        orders_now=rows["orders"].sum(where=late).fill_null(zero),
    )  # fmt: skip
    own = own.left_join(firsts(shop), own["unit"] == firsts(shop)["customer_id"])
    then, now, gap = own["orders_before"] > 0, own["orders_now"] > 0, (own["now"] - own["before"]).cast("float64")
    fresh = (own["first"] >= ibis.literal(pair.start)).fill_null(True)
    own = own.mutate(
        kind=ibis.cases((own["guest"], "guests"), (now & ~then & fresh, "new"), (now & ~then, "returned"),
                        (then & ~now, "lost"), (gap >= 0, "more"), else_="less"),
        _square=gap * gap, _then=then.cast("int64"), _now=now.cast("int64"),
    )  # fmt: skip
    sums = {name: own[name].sum().cast("int64") for name in ("before", "now", "orders_before", "orders_now")}
    return own.group_by("kind").aggregate(
        customers=own.count(), **sums, buyers_before=own["_then"].sum(), buyers_now=own["_now"].sum(),
        squares=own["_square"].sum(),
    ).order_by("kind")  # fmt: skip


def has_lines(shop: Shop) -> bool:
    """Are there products with prices?"""
    return shop.has("order_lines", "line_total") or shop.has("order_lines", "unit_price", "quantity")


def lines(shop: Shop) -> ir.Table:
    """Grain: a line with pieces and a price, of goods, in an order that stands. Columns order_id, product_id, unit,
    day, pieces (1 where the shop counts none; of goods sold by measure, in usual lines), money."""
    rows = shared.goods(shop, shop.table("order_lines").mutate(_money=shared.line_money(shop)))
    counted = shop.has("order_lines", "quantity")
    rows = rows.mutate(pieces=(rows["quantity"] if counted else ibis.literal(1)).cast("float64"))
    rows = rows.filter((rows["pieces"] > 0).fill_null(False) & rows["_money"].notnull())
    large = (rows["pieces"] > _MEASURED).cast("int64")
    usual = rows.group_by("product_id").aggregate(_usual=rows["pieces"].mean(), _large=large.mean())
    rows = rows.left_join(usual.filter(usual["_large"] > 0.5), "product_id").drop("product_id_right")
    rows = rows.mutate(pieces=rows["pieces"] / rows["_usual"].fill_null(1.0))
    rows = rows.inner_join(shared.net_orders(shop).select("order_id", "customer_id", "day"), "order_id")
    return rows.select("order_id", "product_id", "day", "pieces", money=whole(rows["_money"]),
                       unit=ibis.coalesce(rows["customer_id"], rows["order_id"]))  # fmt: skip


def products(shop: Shop, pair: Pair) -> ir.Table:
    """Grain: a product sold in either period. Columns product_id, before, now, pieces_before, pieces_now, first, last
    (days on which it was ever sold first and last)."""
    rows = lines(shop)
    late, then = _within(rows["day"], pair.start, pair.end), _within(rows["day"], pair.before, pair.until)
    found = rows.group_by("product_id").aggregate(
        before=rows["money"].sum(where=then).fill_null(0), now=rows["money"].sum(where=late).fill_null(0),
        pieces_before=rows["pieces"].sum(where=then).fill_null(0),
        pieces_now=rows["pieces"].sum(where=late).fill_null(0), first=rows["day"].min(), last=rows["day"].max(),
    )  # fmt: skip
    found = found.filter((found["pieces_before"] > 0) | (found["pieces_now"] > 0))
    return found.mutate(before=found["before"].cast("int64"), now=found["now"].cast("int64"))


def ways(shop: Shop) -> list[str]:
    """By what can this shop's sales be told apart?"""
    known = shop.has("orders", "customer_id")
    there = {
        "channel": shop.has("orders", "channel"), "country": known and shop.has("customers", "country"),
        "buyer": known, "category": has_lines(shop) and shop.has("products", "category"), "product": has_lines(shop),
    }  # fmt: skip
    return [by for by, told in there.items() if told]


def groups(shop: Shop, pair: Pair, by: str) -> ir.Table:
    """Grain: a value of `by`: channel, country, buyer (first or later order, guest), category or product.

    Columns value ('' unknown), units (customers), last (day of a sale), before, now, and what the chance of both is
    made of: nn, nb, bb (sums over customers of their squares and product within the value), xnn, xnb, xbn, xbb (the
    same, one side within the value and the other over all values).
    """
    rows = sold(shop, pair) if by not in IN_LINES else lines(shop)
    if by in IN_LINES:
        late = _within(rows["day"], pair.start, pair.end)
        rows = rows.mutate(late=late).filter(late | _within(rows["day"], pair.before, pair.until))
    if by == "channel":
        labels = shop.table("orders", "channel").select("order_id", value="channel")
    elif by == "country":
        labels = shop.table("customers", "country").select("customer_id", value="country")
    elif by == "buyer":
        labels = firsts(shop)
    else:
        labels = shop.table("products", *([by] if by == "category" else [])) if shop.has("products") else None
        name = by if by == "category" else "name"
        labels = labels.select("product_id", value=ibis.coalesce(labels[name], labels["product_id"])) if (
            labels is not None) else None  # fmt: skip
    if labels is None:
        rows = rows.mutate(value=rows["product_id"])
    else:
        key = labels.columns[0]
        rows = rows.left_join(labels, key).drop(f"{key}_right")
    if by == "buyer":
        first = ibis.ifelse(rows["first"] == rows["day"], "first orders", "later orders")
        rows = rows.mutate(value=ibis.ifelse(rows["guest"], "guests' orders", first))
    rows = rows.mutate(value=rows["value"].fill_null(""))
    late, value = rows["late"], rows["money"].cast("float64") / UNIT
    own = rows.group_by("value", "unit").aggregate(
        n=value.sum(where=late).fill_null(0), b=value.sum(where=~late).fill_null(0),
        now=rows["money"].sum(where=late).fill_null(0), before=rows["money"].sum(where=~late).fill_null(0),
        last=rows["day"].max(),
    )  # fmt: skip
    every = ibis.window(group_by="unit")
    own = own.mutate(_n=own["n"].sum().over(every), _b=own["b"].sum().over(every))
    n, b, all_n, all_b = own["n"], own["b"], own["_n"], own["_b"]
    terms = {"nn": n * n, "nb": n * b, "bb": b * b, "xnn": n * all_n, "xnb": n * all_b, "xbn": b * all_n,
             "xbb": b * all_b}  # fmt: skip
    return own.group_by("value").aggregate(
        units=own.count(), before=own["before"].sum().cast("int64"), now=own["now"].sum().cast("int64"),
        last=own["last"].max(), **{name: term.sum() for name, term in terms.items()},
    )  # fmt: skip


def months(shop: Shop) -> ir.Table:
    """Grain: a month with sales. Columns month (its first day), orders, revenue, customers, new (whose first order it
    was), guests (orders), refunded, discount; money in the shop's currency."""
    rows = shared.sales(shop).left_join(firsts(shop), "customer_id").drop("customer_id_right")
    paid = shop.table("orders").select("order_id", "refunded", "discount")
    rows = rows.left_join(paid, "order_id").drop("order_id_right")
    rows = rows.mutate(month=rows["day"].truncate("M"), guest=rows["customer_id"].isnull() & (rows["orders"] > 0))
    bought, fresh = rows["orders"] > 0, rows["first"].truncate("M") == rows["month"]
    return rows.group_by("month").aggregate(
        orders=rows["orders"].sum(), revenue=rows["revenue"].sum().cast("float64"),
        customers=rows["customer_id"].nunique(where=bought), new=rows["customer_id"].nunique(where=bought & fresh),
        guests=rows["guest"].cast("int64").sum(),
        **{name: rows[name].sum().fill_null(0).cast("float64") if shop.has("orders", name) else ibis.null("float64")
           for name in ("refunded", "discount")},
    ).order_by("month")  # fmt: skip


def baskets(shop: Shop) -> ir.Table:
    """Grain: a month with goods sold. Columns month, filled (orders with goods), pieces."""
    rows = lines(shop)
    by = rows.group_by(month=rows["day"].truncate("M"))
    return by.aggregate(filled=rows["order_id"].nunique(), pieces=rows["pieces"].sum()).order_by("month")


def margins(shop: Shop) -> ir.Table:
    """Grain: a month with orders whose costs are known. Columns month, margin, costed (their net sales)."""
    rows = shared.order_margins(shop).filter(lambda t: t["margin"].notnull())
    by = rows.group_by(month=rows["day"].truncate("M"))
    return by.aggregate(margin=rows["margin"].sum(), costed=rows["revenue"].sum()).order_by("month")


def _within(day: ir.DateValue, start: date, end: date) -> ir.BooleanValue:
    return (day >= ibis.literal(start)) & (day < ibis.literal(end))
