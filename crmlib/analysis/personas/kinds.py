"""Who is of which kind, what it is called, what it brings and buys, and what to write to it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from crmlib import formats, wording
from crmlib.analysis.personas.cut import MOST, Model, Verdict, assigned, judge, measured, scores
from crmlib.analysis.personas.facts import (
    FEW,
    LEAST_ORDERS,
    YEAR,
    Plan,
    Trait,
    behaviour,
    plan,
)
from crmlib.errors import UsageError
from crmlib.shop.facts import basket_items, has_costs, order_margins

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

LEAST = 60  # customers with enough orders, below which nobody is cut
FITTED = 20_000  # customers from whom kinds are learnt; all are assigned
FEW_NAME = f"Fewer than {wording.small(LEAST_ORDERS)} orders"
_SET_APART, _LIFT, _LEAST_BASKETS, _ITEMS, _NAMED = 0.25, 1.15, 30, 60, 2

# What to write to whoever has more or less of a habit, and what to leave out.
_ADVICE = {
    ("gap", True): ("what is new since their last order", "weekly offers"),
    ("gap", False): ("refills and first looks", "welcome and win-back offers"),
    ("spend", True): ("sets and the best of the range", "small discounts"),
    ("spend", False): ("small things that go with the last order", "large sets"),
    ("discount", True): ("offers with a last day", "news at full price"),
    ("discount", False): ("what is new and good", "discount codes"),
    ("weekend", True): ("on Friday afternoon", "start-of-week mails"),
    ("weekend", False): ("early in the week", "weekend offers"),
    ("evening", True): ("after work", "offers for the morning"),
    ("evening", False): ("in the morning", "late-night offers"),
}


@dataclass(frozen=True, kw_only=True)
class Personas:
    """Kinds of customers, or cuts where no structure was found.

    table    a row a kind, those with too few orders last (kind −1): kind, name, customers, orders, sales, year (sales
             of the last 365 days), margin (of the same; nan: unknown), clear (share clearly in it), stability, share
             and share_sales (of all), before and sales_before (shares a year ago; nan: not known), basket, write, leave_out
    centres  kinds × habits, in the spread of all customers
    people   everybody, one row each in the engine, with kind and clear
    learnt   how many customers they were learnt from, of `enough` with enough orders
    """

    __repr__ = formats.outline

    table: pd.DataFrame
    centres: pd.DataFrame
    verdict: Verdict | None
    model: Model | None
    at: Plan
    people: ir.Table = field(repr=False)
    enough: int
    learnt: int
    currency: str

    @property
    def kinds(self) -> pd.DataFrame:
        """The kinds without those of too few orders, largest sales first."""
        return self.table[self.table["kind"] != FEW]

    @property
    def word(self) -> str:
        """What they are called: kinds only where they are there."""
        return "kind" if self.verdict is not None and self.verdict.structure else "cut"


def measure(shop: Shop, *, personas: int = 0, seed: int = 0) -> Personas:
    """Which few kinds of customers are there, and is there anything between them but a continuum?

    `personas`: how many (2 to 6), 0 to let the data choose. Habits of the last 730 days; with fewer than 60 customers
    of three orders and more there are none.

    >>> len(measure(shop).kinds) >= 2
    True
    """
    if personas and not 2 <= personas <= MOST:
        raise UsageError(f"personas is {personas}; it has to lie between 2 and {MOST}, or be 0 to let the data choose")
    at = plan(shop, until=shop.as_of)
    people = shop.keep(behaviour(shop, at))
    told = people.filter(people["orders"] >= LEAST_ORDERS)
    enough = int(shop.fetch(told.aggregate(n=told.count()))["n"].iloc[0])
    frame = learnt_from(shop, told, seed=seed)
    scales = measured(frame, at.traits) if enough >= LEAST else ()
    if not scales:
        none = people.mutate(kind=ibis.literal(FEW, type="int64"), clear=ibis.literal(False))
        table = _sums(shop, none, at)
        return Personas(table=table.assign(name="Everybody"), centres=pd.DataFrame(), verdict=None, model=None, at=at,
                        people=none, enough=enough, learnt=0, currency=shop.currency)  # fmt: skip
    z = scores(frame, scales)
    model, verdict = judge(z, scales, kinds=personas, seed=seed)
    people = shop.keep(assigned(people, model))
    centres = pd.DataFrame(model.centres, columns=[scale.trait.what for scale in scales])
    table = _sums(shop, people, at)
    table = table.merge(_baskets(shop, people, at), on="kind", how="left").fillna({"basket": ""})
    then = _before(shop, at, model)
    told_by = [apart(centre, [scale.trait for scale in scales]) for centre in model.centres]
    names = {FEW: FEW_NAME, **dict(enumerate(named(told_by)))}
    advice = {FEW: ("a welcome and the bestsellers", "anything that assumes habits"),
              **{n: advised(one[:_NAMED]) for n, one in enumerate(told_by)}}  # fmt: skip
    table = table.assign(
        name=table["kind"].map(names), **{name: table["kind"].map(then[name]) for name in then},
        stability=table["kind"].map(dict(enumerate(verdict.stability))),
        write=[advice[kind][0] for kind in table["kind"]], leave_out=[advice[kind][1] for kind in table["kind"]],
    )  # fmt: skip
    return Personas(table=table, centres=centres, verdict=verdict, model=model, at=at, people=people, enough=enough,
                    learnt=len(frame), currency=shop.currency)  # fmt: skip


def learnt_from(shop: Shop, told: ir.Table, *, seed: int) -> pd.DataFrame:
    """At most FITTED customers, the same on every engine."""
    return shop.sample(told, rows=FITTED, key="customer_id", seed=seed).sort_values("customer_id", ignore_index=True)


def _sums(shop: Shop, people: ir.Table, at: Plan) -> pd.DataFrame:
    sums = people.group_by("kind").aggregate(
        customers=people.count(), orders=people["orders"].sum(), sales=people["sales"].sum(),
        year=people["year"].sum(), clear=people["clear"].cast("float64").mean(),
    )  # fmt: skip
    table = shop.fetch(sums)
    table["margin"] = np.nan
    if has_costs(shop) and len(table):
        recent = ibis.literal(at.until - timedelta(days=YEAR))
        earned = order_margins(shop).filter(lambda t: t["margin"].notnull() & (t["day"] >= recent))
        earned = earned.inner_join(people.select("customer_id", "kind"), "customer_id")
        margin = shop.fetch(earned.group_by("kind").aggregate(margin=earned["margin"].sum()))
        table["margin"] = table["kind"].map(margin.set_index("kind")["margin"])
    for part, whole in (("share", "customers"), ("share_sales", "year")):
        table[part] = table[whole] / table[whole].sum() if table[whole].sum() > 0 else np.nan
    order = [table["kind"] == FEW, -table["year"], -table["customers"]]
    return table.iloc[np.lexsort([np.asarray(key) for key in order[::-1]])].reset_index(drop=True)


def _before(shop: Shop, at: Plan, model: Model) -> pd.DataFrame:
    """Each kind's share of customers and of sales a year earlier, by the same centres; empty where the data lack it."""
    year = timedelta(days=YEAR)
    then = replace(at, start=at.start - year, until=at.until - year)
    rows = assigned(behaviour(shop, then), model)
    sums = rows.group_by("kind").aggregate(before=rows.count(), sales_before=rows["year"].sum(), _=rows["first"].min())
    frame = shop.fetch(sums).set_index("kind")
    if not len(frame) or pd.Timestamp(frame.pop("_").min()) > pd.Timestamp(then.until - year + timedelta(days=30)):
        return pd.DataFrame(columns=["before", "sales_before"])
    return frame / frame.sum()


def _baskets(shop: Shop, people: ir.Table, at: Plan) -> pd.DataFrame:
    """What each kind's orders hold more often than others' do: kind, basket ('tea 1.4×, cups 1.2×')."""
    none = pd.DataFrame({"kind": pd.Series(dtype="int64"), "basket": pd.Series(dtype=object)})
    if not shop.has("order_lines"):
        return none
    level = "category" if at.groups else "product"
    items = basket_items(shop, level=level).filter(lambda t: t["day"] >= ibis.literal(at.start))
    items = items.inner_join(people.filter(people["kind"] != FEW).select("customer_id", "kind"), "customer_id")
    often = items.group_by("item").aggregate(_n=items.count()).order_by(ibis.desc("_n"), "item").limit(_ITEMS)
    counts = shop.fetch(items.semi_join(often, "item").group_by("kind", "item").aggregate(n=lambda t: t.count()))
    baskets = shop.fetch(items.group_by("kind").aggregate(n=items["order_id"].nunique())).set_index("kind")["n"]
    wide = counts.pivot(index="item", columns="kind", values="n").fillna(0)
    names = {}
    if level == "product" and shop.has("products", "name"):
        known = shop.fetch(shop.table("products").filter(lambda t: t["product_id"].isin(list(wide.index))))
        names = known.set_index("product_id")["name"].dropna().to_dict()
    said = []
    for kind in wide:
        others = (wide.drop(columns=kind).sum(axis=1) / max(baskets.drop(kind).sum(), 1)).replace(0, np.nan)
        lift = (wide[kind] / baskets[kind] / others)[wide[kind] >= _LEAST_BASKETS].dropna()
        top = lift[lift >= _LIFT].sort_values(ascending=False, kind="stable").head(2)
        said.append((kind, ", ".join(f"{names.get(item, item)} {formats.multiple(x)}" for item, x in top.items())))
    return pd.DataFrame(said, columns=["kind", "basket"]) if said else none


def apart(centre: np.ndarray, traits: list[Trait]) -> list[tuple[Trait, bool]]:
    """What sets a kind apart, clearest first: habits and whether it has more of them."""
    order = np.argsort(-np.abs(centre), kind="stable")
    return [(traits[n], bool(centre[n] > 0)) for n in order if abs(centre[n]) >= _SET_APART]


def named(kinds: list[list[tuple[Trait, bool]]]) -> list[str]:
    """A name for each kind from at most two of its habits; a third where two kinds would be called alike.

    >>> spend, gap = Trait("spend", "large orders", "small orders", ""), Trait("gap", "rarely", "often", "")
    >>> named([[(gap, True), (spend, True)], [(spend, False)], []])
    ['Large orders, rarely', 'Small orders', 'Like most customers']
    """
    names = [_name(one[:_NAMED]) for one in kinds]
    longer = [_name(one[: _NAMED + 1]) if names.count(name) > 1 else name for name, one in zip(names, kinds, strict=True)]
    return [f"{name} {longer[: n + 1].count(name)}" if longer.count(name) > 1 else name for n, name in enumerate(longer)]


def _name(habits: list[tuple[Trait, bool]]) -> str:
    words = {trait.id: trait.more if more else trait.less for trait, more in habits}
    if "spend" in words:
        words = {"spend": words.pop("spend"), **words}
    elif "gap" in words:
        words = {"gap": f"order {words.pop('gap')}", **words}
    return wording.upper(", ".join(words.values())) if words else "Like most customers"


def advised(habits: list[tuple[Trait, bool]]) -> tuple[str, str]:
    """What to write to a kind, and what to leave out."""
    write, leave = [], []
    for trait, more in habits:
        goods = (f"news of {trait.goods}", "") if more else ("", trait.goods)
        said = goods if trait.goods else _ADVICE.get((trait.id, more), ("", ""))
        for into, text in zip((write, leave), said, strict=True):
            into += [text] if text else []
    return wording.listed(write) or "the bestsellers", wording.listed(leave) or "nothing in particular"
