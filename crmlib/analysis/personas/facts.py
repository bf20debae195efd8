"""How customers buy: a row each in the engine, made of what the shop's tables hold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir

from crmlib import wording
from crmlib.errors import NotAvailable
from crmlib.shop.facts import basket_items, net_orders
from crmlib.shop.shop import Shop

DAYS, YEAR = 730, 365  # what is looked at, and what value is counted over
LEAST = 60  # customers with enough orders, below which nobody is cut
LEAST_ORDERS = 3  # fewer tell too little of anybody's habits
FEW = -1  # the kind of those with fewer
_FAR_OFF = 6.0
_GROUPS, _WAYS, _EVENING, _WEEKEND, _LEAST_SHARE = 4, 2, 18, (5, 6), 0.05


@dataclass(frozen=True)
class Trait:
    """A habit: its column (x_id, seen m_id times), what having more and less of it is called, what it is, of which
    goods."""

    id: str
    more: str
    less: str
    what: str
    goods: str = ""


@dataclass(frozen=True)
class Plan:
    """What is asked of each customer: the days [start, until), the largest categories and channels, the habits."""

    start: date
    until: date
    groups: tuple[str, ...]
    ways: tuple[str, ...]
    traits: tuple[Trait, ...]
    most: float = math.inf  # money of an order on average, from which a buyer is a dealer and no persona


def plan(shop: Shop, *, until: date) -> Plan:
    """Which habits do this shop's tables tell, before the day `until`?

    >>> [trait.id for trait in plan(shop, until=shop.as_of).traits][:3]
    ['gap', 'spend', 'discount']
    """
    shop.table("orders")
    if not shop.has("orders", "customer_id"):
        raise NotAvailable("needs orders.customer_id; this shop's orders do not name their customer")
    start = until - timedelta(days=DAYS)
    groups, ways = tuple[str, ...](), tuple[str, ...]()
    if shop.has("order_lines") and shop.has("products", "category"):
        items = basket_items(shop, level="category")
        groups = _largest(shop, items.filter(items["day"] >= ibis.literal(start)), "item", _GROUPS)
    if shop.has("orders", "channel"):
        ways = _largest(shop, shop.table("orders").filter(lambda t: t["channel"].notnull()), "channel", _WAYS)
    traits = [
        Trait("gap", "rarely", "often", "days between orders"),
        Trait("spend", "large orders", "small orders", "spend per order"),
        Trait("discount", "with discounts", "at full price", "orders with a discount"),
        Trait("weekend", "at weekends", "on weekdays", "orders at weekends"),
        Trait("evening", "in the evening", "in the daytime", "orders after 6 pm"),
        *(Trait(f"way{n}", f"by {_bare(name)}", f"rarely by {_bare(name)}", f"orders by {_bare(name)}")
          for n, name in enumerate(ways)),
        *(Trait(f"group{n}", f"much {_bare(name)}", f"little {_bare(name)}", f"orders with {_bare(name)}", _bare(name))
          for n, name in enumerate(groups)),
    ]  # fmt: skip
    if not (shop.has("orders", "discount") or shop.has("orders", "coupon")):
        traits = [trait for trait in traits if trait.id != "discount"]
    return Plan(start, until, groups, ways, tuple(traits))


def _largest(shop: Shop, rows: ir.Table, by: str, most: int) -> tuple[str, ...]:
    """The most frequent values, without the last where they are all: the others tell it, and what is told twice would
    look like structure."""
    counts = rows.group_by(by).aggregate(n=rows.count())
    counts = counts.mutate(_all=counts["n"].sum().over()).order_by(ibis.desc("n"), by).limit(most + 1)
    found = shop.fetch(counts)
    found = found.head(min(most, max(len(found) - 1, 0)))
    return tuple(str(name) for name in found.loc[found["n"] >= _LEAST_SHARE * found["_all"], by])


def _bare(name: str) -> str:
    return wording.lower(name.replace("_", " ").strip())


def bought(shop: Shop, at: Plan) -> ir.Table:
    """Grain: an order of a named customer within the plan's days. Columns as `net_orders`, and off (with a discount or
    coupon), way. Not enough for products."""
    orders = net_orders(shop)
    orders = orders.filter(
        orders["customer_id"].notnull() & (orders["day"] >= ibis.literal(at.start))
        & (orders["day"] < ibis.literal(at.until))
    )  # fmt: skip
    more = shop.table("orders").select("order_id", way="channel", _off="discount", _coupon="coupon")
    orders = orders.left_join(more, "order_id").drop("order_id_right")
    off = (orders["_off"] > 0).fill_null(False) | (orders["_coupon"].fill_null("") != "")
    return orders.mutate(off=off).drop("_off", "_coupon")


def behaviour(shop: Shop, at: Plan) -> ir.Table:
    """Grain: a customer with an order within the plan's days.

    Columns customer_id, orders, first, last_day, sales, year (sales of the last 365 days), and for each habit x_ (its
    size; gap and spend as logarithms, the rest as shares; empty: unknown) and m_ (how many times it was seen). Not
    enough for single orders.
    """
    rows = bought(shop, at)
    recent = rows["day"] >= ibis.literal(at.until - timedelta(days=YEAR))
    money = rows["revenue"].cast("float64")
    counted = {
        "discount": rows["off"], "weekend": rows["day"].day_of_week.index().isin(_WEEKEND),
        "evening": rows["ordered_at"].hour() >= _EVENING,
        **{f"way{n}": (rows["way"] == name).fill_null(False) for n, name in enumerate(at.ways)},
    }  # fmt: skip
    people = rows.group_by("customer_id").aggregate(
        orders=rows.count(), first=rows["day"].min(), last_day=rows["day"].max(), sales=money.sum().fill_null(0.0),
        year=money.sum(where=recent).fill_null(0.0), m_spend=(money > 0).cast("float64").sum().fill_null(0.0),
        x_spend=ibis.greatest(money, 0.01).ln().mean(where=money > 0),
        **{f"x_{name}": had.cast("float64").mean() for name, had in counted.items()},
    )  # fmt: skip
    many = people["orders"].cast("float64")
    apart = people["last_day"].delta(people["first"], unit="day").cast("float64") / (many - 1).nullif(0)
    people = people.mutate(
        m_gap=many - 1, x_gap=ibis.greatest(apart, 0.5).ln(), **{f"m_{name}": many for name in counted}
    )
    if at.groups:
        items = basket_items(shop, level="category").semi_join(rows, "order_id")
        theirs = items.group_by("customer_id").aggregate(
            _n=items["order_id"].nunique().cast("float64"),
            **{f"_{n}": (items["item"] == name).cast("float64").sum() for n, name in enumerate(at.groups)},
        )  # fmt: skip
        people = people.left_join(theirs, "customer_id").drop("customer_id_right")
        for n in range(len(at.groups)):
            shares = {f"x_group{n}": people[f"_{n}"] / people["_n"], f"m_group{n}": people["_n"].fill_null(0.0)}
            people = people.mutate(**shares)
    asked = [f"{side}_{trait.id}" for trait in at.traits for side in "xm"]
    people = people.select("customer_id", "orders", "first", "last_day", "sales", "year", *asked)
    return people if math.isinf(at.most) else people.filter(people["sales"] <= at.most * people["orders"])


def dealers_from(shop: Shop, people: ir.Table) -> float:
    """The average order from which a buyer is no longer one of the crowd, by the rule lifetime value has: six spreads
    (of the logarithm, by its median deviation) above the middle. Infinite below 60 buyers, or where none varies."""
    logs = people.filter(people["sales"] > 0).select(log=lambda t: (t["sales"] / t["orders"]).ln())
    middle, n = shop.fetch(logs.aggregate(at=logs["log"].quantile(0.5), n=logs.count())).iloc[0]
    if n < LEAST:
        return math.inf
    off = (logs["log"] - float(middle)).abs()
    spread = 1.4826 * float(shop.fetch(logs.aggregate(at=off.quantile(0.5)))["at"].iloc[0])
    return math.exp(float(middle) + _FAR_OFF * spread) if spread > 0 else math.inf


def left_out(shop: Shop, people: ir.Table, at: Plan) -> dict[str, int]:
    """How many customers are in no persona: `never` ordered, only `before` the plan's days, as a `dealer`.
    `people` are those of `behaviour`, dealers included."""
    bought_ = net_orders(shop).filter(lambda t: t["customer_id"].notnull() & (t["day"] < ibis.literal(at.until)))
    each = bought_.group_by("customer_id").aggregate(_last=bought_["day"].max())
    found = {
        "before": each.filter(each["_last"] < ibis.literal(at.start)),
        "dealer": people.filter(people["sales"] > at.most * people["orders"]),
    }
    if shop.has("customers"):
        found["never"] = shop.table("customers").select("customer_id").anti_join(each, "customer_id")
    counts = {name: shop.fetch(rows.aggregate(n=rows.count()))["n"].iloc[0] for name, rows in found.items()}
    return {name: int(n) for name, n in counts.items() if n}


def later(shop: Shop, at: Plan, *, end: date) -> ir.Table:
    """Grain: a customer who ordered before `end`, with what was not used to cut them.

    Columns customer_id, orders_later and sales_later (in [until, end)), returned and unhappy (shares of their orders
    before and of their ratings), age in years; empty where the shop does not tell.
    """
    orders = net_orders(shop).filter(lambda t: t["customer_id"].notnull() & (t["day"] < ibis.literal(end)))
    after = orders["day"] >= ibis.literal(at.until)
    found = orders.group_by("customer_id").aggregate(
        orders_later=after.cast("float64").sum(),
        sales_later=orders["revenue"].cast("float64").sum(where=after).fill_null(0.0),
    )
    before = shop.table("orders").filter(lambda t: t["ordered_at"].date() < ibis.literal(at.until))
    returned = (before["refunded"] > 0).cast("float64").mean()
    parts = {"returned": before.group_by("customer_id").aggregate(returned=returned)}
    if shop.has("feedback", "customer_id", "rating"):
        said = shop.table("feedback").filter(lambda t: t["rating"].notnull())
        parts["unhappy"] = said.group_by("customer_id").aggregate(unhappy=(said["rating"] <= 2).cast("float64").mean())
    if shop.has("customers", "birth_date"):
        age = at.until.year - shop.table("customers")["birth_date"].year().cast("float64")
        parts["age"] = shop.table("customers").select("customer_id", age=age)
    for name in ("returned", "unhappy", "age"):
        if name in parts:
            found = found.left_join(parts[name], "customer_id").drop("customer_id_right")
        else:
            found = found.mutate(**{name: ibis.null("float64")})
    return found
