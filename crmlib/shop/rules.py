"""What a segment may ask of a customer: the rules by name, and comparisons of columns. Each is a lazy table of ids."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir

from crmlib.errors import NotAvailable, UsageError, nearest
from crmlib.shop.facts import net_orders
from crmlib.shop.facts.customers import purchase_days
from crmlib.shop.shop import Shop

_SPAN = re.compile(r"(\d{1,5})\s*(d|days?|w|weeks?)")


@dataclass(frozen=True)
class Given:
    """A rule with its arguments; `ask` gives the customers who meet it, lazily. Two of the same text are one.

    `lasting`: who meets it does not hang on what was bought or said since, so that its orders by day can be compared.
    """

    text: str
    ask: Callable[[Shop], ir.Table] = field(compare=False, repr=False)
    lasting: bool = field(default=False, compare=False, repr=False)


@dataclass(frozen=True)
class Rule:
    """A rule: its name, what it asks, and the function that asks it of a shop."""

    name: str
    meaning: str
    ask: Callable[..., ir.Table]

    def given(self, args: tuple[Any, ...], said: dict[str, Any], text: str) -> Given:
        """The rule with arguments; UsageError where they do not fit."""
        signature = inspect.signature(self.ask)
        try:
            signature.bind(None, *args, **said)
        except TypeError:
            known = [str(one) for one in list(signature.parameters.values())[1:]]
            takes = ", ".join(re.sub(r": [^=]*", "", one).strip() for one in known) or "nothing"
            raise UsageError(f"'{text}' does not fit: {self.name} takes {takes}") from None
        return Given(text, lambda shop: self.ask(shop, *args, **said), self.name in _LASTING)


def everyone(shop: Shop) -> ir.Table:
    """Every customer the shop knows of by an account, an order or a text: customer_id, each once."""
    there = [
        shop.table(name).select("customer_id")
        for name in ("customers", "orders", "feedback", "tickets", "touches")
        if shop.has(name, "customer_id")
    ]
    if not there:
        raise NotAvailable("segments need customers: no table of this shop has a customer_id")
    found = there[0] if len(there) == 1 else ibis.union(*there)
    return found.filter(found["customer_id"].notnull()).distinct()


def bought(shop: Shop, *what: str, last: str = "", since: str = "", before: str = "", first: bool = False) -> ir.Table:
    """Customers with an order that stands: of any of `what` (id, name, category or brand), within the days given."""
    orders = _within(shop, _orders(shop), last=last, since=since, before=before)
    if first:
        started = _orders(shop).group_by("customer_id").aggregate(_first=lambda t: t["ordered_at"].min())
        orders = orders.inner_join(started, "customer_id").filter(lambda t: t["ordered_at"] == t["_first"])
    if what:
        lines = shop.table("order_lines")
        orders = orders.semi_join(
            lines.filter(lines["product_id"].isin(_products(shop, what)["product_id"])), "order_id"
        )
    return orders.select("customer_id")


def bought_often(shop: Shop, times: int = 2, *, last: str = "", since: str = "", before: str = "") -> ir.Table:
    """Customers with purchases on at least `times` days."""
    days = _within(shop, purchase_days(shop), last=last, since=since, before=before)
    counted = days.group_by("customer_id").aggregate(_n=days.count())
    return counted.filter(counted["_n"] >= _number("bought_often", times)).select("customer_id")


def spent(shop: Shop, least: float, *, last: str = "", since: str = "", before: str = "") -> ir.Table:
    """Customers whose orders came to at least `least`, refunds taken off."""
    days = _within(shop, purchase_days(shop), last=last, since=since, before=before)
    sums = days.group_by("customer_id").aggregate(_sum=days["revenue"].sum())
    return sums.filter(sums["_sum"] >= _number("spent", least)).select("customer_id")


def rated(shop: Shop, low: float, high: float, *, last: str = "", since: str = "", before: str = "") -> ir.Table:
    """Customers who gave a mark from `low` to `high` stars."""
    texts = shop.table("feedback", "customer_id", "rating")
    texts = texts.filter(texts["rating"].between(_number("rated", low), _number("rated", high)))
    if last or since or before:
        shop.table("feedback", "created_at")
        texts = _within(shop, texts.mutate(day=texts["created_at"].date()), last=last, since=since, before=before)
    return texts.filter(texts["customer_id"].notnull()).select("customer_id")


def birthday(shop: Shop, within: str = "7d") -> ir.Table:
    """Customers whose birthday is within that time from as_of; one of 29 February has it on the 28th of other years."""
    people = shop.table("customers", "birth_date")
    days = [shop.as_of + timedelta(days=ahead) for ahead in range(_days(within))]
    wanted = {day.month * 100 + day.day for day in days}
    if any((day.month, day.day) == (2, 28) and (day + timedelta(days=1)).month == 3 for day in days):
        wanted.add(229)
    born = people["birth_date"]
    return people.filter((born.month() * 100 + born.day()).isin(sorted(wanted))).select("customer_id")


def open_ticket(shop: Shop) -> ir.Table:
    """Customers with a request to customer service that is not closed."""
    tickets = shop.table("tickets", "customer_id")
    return tickets.filter(tickets["closed_at"].isnull() & tickets["customer_id"].notnull()).select("customer_id")


def _stars(low: int, high: int) -> Callable[..., ir.Table]:
    return lambda shop, *, last="", since="", before="": rated(shop, low, high, last=last, since=since, before=before)


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule("everyone", "every customer the shop knows", everyone),
        Rule("bought", "has an order; of the products, categories or brands named, in the time named", bought),
        Rule("bought_often", "bought on two days or more, or on as many as you say", bought_often),
        Rule("bought_since", "has an order on that day or later", lambda shop, day: bought(shop, since=day)),
        Rule("bought_before", "has an order before that day", lambda shop, day: bought(shop, before=day)),
        Rule("bought_last", "has an order in the last days, such as 90d", lambda shop, time: bought(shop, last=time)),
        Rule(
            "first_bought", "had one of these in the first order", lambda shop, *what: bought(shop, *what, first=True)
        ),
        Rule("spent", "orders came to at least so much", spent),
        Rule("unhappy", "gave one or two stars", _stars(1, 2)),
        Rule("happy", "gave four or five stars", _stars(4, 5)),
        Rule("rated", "gave stars from … to …", rated),
        Rule("birthday", "has a birthday in the next days, such as 7d", birthday),
        Rule("open_ticket", "waits for an answer of customer service", open_ticket),
    )
}

# Fields that are worked out from a customer's orders, beside the columns of `customers`.
FIELDS = ("orders", "sales", "first_order", "last_order", "first_channel", "first_coupon", "last_channel")


_LASTING = ("everyone", "first_bought", "first_channel", "first_coupon")


def compare(name: str, sign: str, value: Any, text: str) -> Given:
    """A column of `customers`, or a field worked out from orders, held against a value or a list of them."""
    return Given(text, lambda shop: _compared(shop, name, sign, value), name not in FIELDS or name in _LASTING)


def _compared(shop: Shop, name: str, sign: str, value: Any) -> ir.Table:
    table = _fields(shop) if name in FIELDS else _people(shop, name)
    column = table[name]
    values = value if isinstance(value, tuple) else (value,)
    if (sign in ("in", "not in")) != isinstance(value, tuple):
        raise UsageError(f"{name} {sign} {value!r}: 'in' wants a list such as ['DE', 'AT'], the other signs one value")
    typed = [_typed(column, name, one) for one in values]
    if column.type().is_string() and any(isinstance(one, int | float) for one in typed):
        column = column.try_cast("float64")
    tests: dict[str, Callable[[], ir.BooleanValue]] = {
        "==": lambda: column == typed[0], "!=": lambda: column != typed[0], "<": lambda: column < typed[0],
        "<=": lambda: column <= typed[0], ">": lambda: column > typed[0], ">=": lambda: column >= typed[0],
        "in": lambda: column.isin(typed), "not in": lambda: ~column.isin(typed),
    }  # fmt: skip
    met = tests[sign]().fill_null(sign in ("!=", "not in"))
    # Whoever has no row has no value, and is met by what is not.
    if sign in ("!=", "not in"):
        return everyone(shop).anti_join(table.filter(~met), "customer_id")
    return table.filter(met).select("customer_id")


def _typed(column: ir.Column, name: str, value: Any) -> Any:
    kind = column.type()
    if kind.is_boolean() != isinstance(value, bool):
        wanted = "True or False" if kind.is_boolean() else "a text or number"
        raise UsageError(f"{name} is compared with {wanted}, not {value!r}")
    if kind.is_temporal():
        return ibis.literal(_day(str(value)))
    if kind.is_numeric() and not isinstance(value, int | float):
        raise UsageError(f"{name} is a number, not {value!r}")
    return value


def _people(shop: Shop, name: str) -> ir.Table:
    people = shop.table("customers")
    own = [column for column in people.columns if column != "customer_id" and not column.startswith("_")]
    if name not in own:
        raise UsageError(f"customers have no column '{name}'; {nearest(name, [*own, *FIELDS])}")
    return shop.table("customers", name).select("customer_id", name)


def _fields(shop: Shop) -> ir.Table:
    """One row a customer with orders: how many, what they came to, the first and the last, and how they came about."""
    orders = _orders(shop)
    more = shop.table("orders").select("order_id", "channel", "coupon")
    orders = orders.left_join(more, "order_id").drop("order_id_right")
    at = [orders["ordered_at"], orders["order_id"]]
    # Spark knows no aggregate in an order: the first and the last row are found by their number.
    orders = orders.mutate(
        _from=ibis.row_number().over(ibis.window(group_by="customer_id", order_by=at)),
        _to=ibis.row_number().over(ibis.window(group_by="customer_id", order_by=[key.desc() for key in at])),
    )
    first, last = orders["_from"] == 0, orders["_to"] == 0
    return orders.group_by("customer_id").aggregate(
        orders=orders.count(),
        sales=orders["revenue"].sum(),
        first_order=orders["ordered_at"].min().date(),
        last_order=orders["ordered_at"].max().date(),
        first_channel=orders["channel"].max(where=first),
        first_coupon=orders["coupon"].max(where=first),
        last_channel=orders["channel"].max(where=last),
    )


def _orders(shop: Shop) -> ir.Table:
    return net_orders(shop).filter(lambda t: t["customer_id"].notnull())


def _products(shop: Shop, what: tuple[str, ...]) -> ir.Table:
    """Products named by id, name, category or brand; UsageError for a word that names none."""
    words = [str(word).strip().casefold() for word in what]
    lines = shop.table("order_lines").select("product_id").distinct()
    table = lines
    columns = ["product_id"]
    if shop.has("products"):
        listed = shop.table("products").select("product_id", "name", "category", "brand")
        table = lines.outer_join(listed, "product_id")
        table = table.select(
            "name", "category", "brand", product_id=table["product_id"].fill_null(table["product_id_right"])
        )
        columns += ["name", "category", "brand"]
    lowered = table.mutate(**{f"_{column}": table[column].cast("string").strip().lower() for column in columns})
    for word, said in zip(words, what, strict=True):
        met = ibis.or_(*(lowered[f"_{column}"] == word for column in columns)).fill_null(False)
        if not int(shop.fetch(lowered.aggregate(n=met.cast("int64").sum().fill_null(0)))["n"].iloc[0]):
            known = shop.fetch(
                lowered.select(word=columns[-2] if len(columns) > 1 else "product_id").distinct().limit(500)
            )
            raise UsageError(
                f"no product, category or brand is called '{said}'; {nearest(said, known['word'].dropna().astype(str))}"
            )
    met = ibis.or_(*(lowered[f"_{column}"].isin(words) for column in columns)).fill_null(False)
    return lowered.filter(met).select("product_id").distinct()


def _within(shop: Shop, table: ir.Table, *, last: str, since: str, before: str) -> ir.Table:
    if last:
        table = table.filter(table["day"] >= ibis.literal(shop.as_of - timedelta(days=_days(last))))
    if since:
        table = table.filter(table["day"] >= ibis.literal(_day(since)))
    if before:
        table = table.filter(table["day"] < ibis.literal(_day(before)))
    return table


def _days(text: str) -> int:
    found = _SPAN.fullmatch(str(text).strip())
    if not found or not 0 < int(found[1]) <= 20_000:
        raise UsageError(f"'{text}' is no span of time; write 90d for days or 12w for weeks")
    return int(found[1]) * (7 if found[2].startswith("w") else 1)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        raise UsageError(f"'{text}' is no day; write it as 2026-06-01") from None


def _number(rule: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{rule} takes a number, not {value!r}")
    return value
