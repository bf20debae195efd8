"""Who is of which kind, what it is called, what it brings and buys, and what to write to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from crmlib import formats, wording
from crmlib.analysis.personas.cut import MOST, Floats, Model, Scale, Verdict, assigned, judge, measured, scores
from crmlib.analysis.personas.facts import (
    FEW,
    LEAST,
    LEAST_ORDERS,
    YEAR,
    Plan,
    Trait,
    behaviour,
    dealers_from,
    left_out,
    plan,
)
from crmlib.errors import UsageError
from crmlib.shop.facts import basket_items, has_costs, order_margins
from crmlib.shop.shop import Shop

FITTED = 20_000  # customers from whom kinds are learnt; all are assigned
_SET_APART, _LIFT, _LEAST_BASKETS, _ITEMS, _NAMED, _WHOLE_DAYS = 0.25, 1.15, 30, 60, 2, 30

Habits = list[tuple[Trait, bool]]  # with more of it, or less

# What to write to whoever has more or less of a habit, and what to leave out.
_ADVICE = {
    ("gap", True): ("what is new since their last order", "weekly offers"),
    ("gap", False): ("refills, previews", "welcome and win-back offers"),
    ("spend", True): ("sets and the best of the range", "small discounts"),
    ("spend", False): ("extras for the last order", "large sets"),
    ("discount", True): ("offers with a last day", "news at full price"),
    ("discount", False): ("what is new and good", "discount codes"),
    ("weekend", True): ("on Friday afternoon", "start-of-week mails"),
    ("weekend", False): ("early in the week", "weekend offers"),
    ("evening", True): ("after work", "morning offers"),
    ("evening", False): ("in the morning", "late-night offers"),
}


@dataclass(frozen=True, kw_only=True)
class Personas:
    """Kinds of customers, or cuts where no structure was found.

    table    a row a kind, those with too few orders last (kind −1): kind, name, customers, orders, sales, year (sales
             of the last 365 days), margin (of the same; nan: unknown), clear (share clearly in it), stability, share
             and share_sales (of all), before and sales_before (the same a year ago; nan: not known), basket, write,
             leave_out
    centres  kinds × habits, in the spread of all customers; verdict and model are None with too few customers
    people   everybody, one row each in the engine, with kind and clear
    enough   customers with enough orders
    left_out how many are in none: 'never' ordered, only 'before' the days looked at, as a 'dealer'
    """

    __repr__ = formats.outline

    table: pd.DataFrame
    centres: pd.DataFrame
    verdict: Verdict | None
    model: Model | None
    at: Plan
    people: ir.Table = field(repr=False)
    enough: int
    currency: str
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def kinds(self) -> pd.DataFrame:
        """The kinds without those of too few orders, largest sales first."""
        return self.table[self.table["kind"] != FEW]

    @property
    def money(self) -> bool:
        """Are there sales of the last year to share?"""
        return bool(self.table["year"].sum() > 0)

    @property
    def word(self) -> str:
        """What they are called: kinds only where they are there."""
        return "kind" if self.verdict is not None and self.verdict.structure else "cut"


def measure(shop: Shop, *, personas: int = 0, seed: int = 0) -> Personas:
    """Which few kinds of customers are there, and is there anything between them but a continuum?

    `personas`: how many (2 to 6), 0 to let the data choose. Habits of the last 730 days; with fewer than 60 customers
    of three orders and more there are none. NotAvailable where orders do not name their customer.

    >>> len(measure(shop).kinds) >= 2
    True
    """
    if personas and not 2 <= personas <= MOST:
        raise UsageError(f"personas is {personas}; it has to lie between 2 and {MOST}, or be 0 to let the data choose")
    at = plan(shop, until=shop.as_of)
    everybody = shop.keep(behaviour(shop, at))
    at = replace(at, most=dealers_from(shop, everybody))
    people, out = everybody.filter(everybody["sales"] <= at.most * everybody["orders"]), left_out(shop, everybody, at)
    told = people.filter(people["orders"] >= LEAST_ORDERS)
    enough = int(shop.fetch(told.aggregate(n=told.count()))["n"].iloc[0])
    frame = learnt_from(shop, people, seed=seed)
    scales = measured(frame, at.traits) if enough >= LEAST else ()
    if not scales:
        people = people.mutate(kind=ibis.literal(FEW, type="int64"), clear=ibis.literal(False))
        said = dict.fromkeys(("basket", "write", "leave_out"), "")
        table = _sums(shop, people, at).assign(name="Everybody", **said)
        return Personas(table=table, centres=pd.DataFrame(), verdict=None, model=None, at=at, people=people,
                        enough=enough, currency=shop.currency, left_out=out)  # fmt: skip
    model, verdict = judge(scores(frame, scales), scales, kinds=personas, seed=seed)
    people = shop.keep(assigned(people, model))
    table = _sums(shop, people, at).join(_before(shop, at, model), on="kind")
    baskets = _baskets(shop, people, at)
    habits = [apart(centre, model.scales) for centre in model.centres]
    names = {FEW: f"Fewer than {wording.small(LEAST_ORDERS)} orders", **dict(enumerate(named(habits)))}
    advice = {FEW: ("a welcome and the bestsellers", "what assumes habits"), **dict(enumerate(map(advised, habits)))}
    table = table.assign(
        name=table["kind"].map(names), stability=table["kind"].map(dict(enumerate(verdict.stability))),
        basket=[baskets.get(kind, "") for kind in table["kind"]],
        write=[advice[kind][0] for kind in table["kind"]], leave_out=[advice[kind][1] for kind in table["kind"]],
    )  # fmt: skip
    return Personas(
        table=table, centres=pd.DataFrame(model.centres, columns=[scale.trait.what for scale in scales]), at=at,
        verdict=verdict, model=model, people=people, enough=enough, currency=shop.currency,
        left_out=out,
    )  # fmt: skip


def learnt_from(shop: Shop, people: ir.Table, *, seed: int) -> pd.DataFrame:
    """At most FITTED customers with enough orders, the same on every engine."""
    told = people.filter(people["orders"] >= LEAST_ORDERS)
    return shop.sample(told, rows=FITTED, key="customer_id", seed=seed).sort_values("customer_id", ignore_index=True)


def _sums(shop: Shop, people: ir.Table, at: Plan) -> pd.DataFrame:
    table = shop.fetch(
        people.group_by("kind").aggregate(
            customers=people.count(), clear=people["clear"].cast("float64").mean(),
            **{name: people[name].sum() for name in ("orders", "sales", "year")},
        )
    ).assign(margin=np.nan)  # fmt: skip
    if has_costs(shop):
        recent = ibis.literal(at.until - timedelta(days=YEAR))
        earned = order_margins(shop).filter(lambda t: t["margin"].notnull() & (t["day"] >= recent))
        earned = earned.inner_join(people.select("customer_id", "kind"), "customer_id")
        margin = shop.fetch(earned.group_by("kind").aggregate(margin=earned["margin"].sum()))
        table["margin"] = table["kind"].map(margin.set_index("kind")["margin"])
    for part, whole in (("share", "customers"), ("share_sales", "year")):
        table[part] = table[whole] / table[whole].sum() if table[whole].sum() > 0 else np.nan
    table["_last"] = table["kind"] == FEW
    order = ["_last", "year", "customers", "kind"]
    return table.sort_values(order, ascending=[True, False, False, True], ignore_index=True).drop(columns="_last")


def _before(shop: Shop, at: Plan, model: Model) -> pd.DataFrame:
    """Each kind's share of customers and of sales a year ago, by the same centres; empty where the data lack it."""
    year = timedelta(days=YEAR)
    then = replace(at, start=at.start - year, until=at.until - year)
    rows = assigned(behaviour(shop, then), model)
    sums = rows.group_by("kind").aggregate(before=rows.count(), sales_before=rows["year"].sum(), _=rows["first"].min())
    frame = shop.fetch(sums).set_index("kind")
    first = pd.Timestamp(frame.pop("_").min())
    whole = len(frame) > 0 and first <= pd.Timestamp(then.start + timedelta(days=_WHOLE_DAYS))
    return frame / frame.sum() if whole else frame.iloc[:0]


def _baskets(shop: Shop, people: ir.Table, at: Plan) -> dict[int, str]:
    """What each kind's orders hold more often than others': 'Tea 1.4×, Cups 1.2×', or nothing."""
    if not shop.has("order_lines"):
        return {}
    level = "category" if at.groups else "product"
    items = basket_items(shop, level=level).filter(lambda t: t["day"] >= ibis.literal(at.start))
    items = items.inner_join(people.filter(people["kind"] != FEW).select("customer_id", "kind"), "customer_id")
    often = items.group_by("item").aggregate(_n=items.count()).order_by(ibis.desc("_n"), "item").limit(_ITEMS)
    counts = shop.fetch(items.semi_join(often, "item").group_by("kind", "item").aggregate(n=lambda t: t.count()))
    baskets = shop.fetch(items.group_by("kind").aggregate(n=items["order_id"].nunique())).set_index("kind")["n"]
    wide, names, said = counts.pivot(index="item", columns="kind", values="n").fillna(0), {}, {}
    if level == "product" and shop.has("products", "name"):
        known = shop.fetch(shop.table("products").filter(lambda t: t["product_id"].isin(list(wide.index))))
        names = known.set_index("product_id")["name"].dropna().to_dict()
    for kind in wide:
        others = (wide.drop(columns=kind).sum(axis=1) / max(baskets.drop(kind).sum(), 1)).replace(0, np.nan)
        lift = (wide[kind] / baskets[kind] / others)[wide[kind] >= _LEAST_BASKETS]
        top = lift[lift >= _LIFT].sort_values(ascending=False, kind="stable").head(2)
        said[int(kind)] = ", ".join(f"{names.get(item, item)} {formats.multiple(x)}" for item, x in top.items())
    return said


def apart(centre: Floats, scales: Sequence[Scale]) -> Habits:
    """What sets a kind apart, clearest first, and at least half as much as the clearest."""
    order = np.argsort(-np.abs(centre), kind="stable")
    least = max(_SET_APART, 0.5 * float(np.abs(centre).max()))
    return [(scales[n].trait, bool(centre[n] > 0)) for n in order if abs(centre[n]) >= least]


def named(kinds: list[Habits]) -> list[str]:
    """A name for each kind from at most two of its habits; three where two kinds would be called alike, then numbers.

    >>> spend, gap = Trait("spend", "large orders", "small orders", ""), Trait("gap", "rarely", "often", "")
    >>> named([[(gap, True), (spend, True)], [(spend, False)], []])
    ['Large orders, rarely', 'Small orders', 'Like most customers']
    """
    names = [_name(one[:_NAMED]) for one in kinds]
    full = [_name(one[: _NAMED + (names.count(name) > 1)]) for name, one in zip(names, kinds, strict=True)]
    return [f"{name} {full[: n + 1].count(name)}" if full.count(name) > 1 else name for n, name in enumerate(full)]


def _name(habits: Habits) -> str:
    words = {trait.id: trait.more if more else trait.less for trait, more in habits}
    if "spend" in words:
        words = {"spend": words.pop("spend"), **words}
    elif "gap" in words:
        words = {"gap": f"order {words.pop('gap')}", **words}
    return wording.upper(", ".join(words.values())) if words else "Like most customers"


def advised(habits: Habits) -> tuple[str, str]:
    """What to write to a kind, and what to leave out, by the habits that name it."""
    said = []
    for trait, more in habits[:_NAMED]:
        goods = (f"news of {trait.goods}", "") if more else ("", trait.goods)
        said.append(goods if trait.goods else _ADVICE.get((trait.id, more), ("", "")))
    # 'Sets and the best of the range, in the morning': with an 'and' the hour would be one more thing to write of.
    write, leave = (
        ", ".join(filter(None, (one for one, _ in said))),
        wording.listed(filter(None, (off for _, off in said))),
    )
    return write or "the bestsellers", leave or "nothing in particular"
