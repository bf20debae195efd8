"""Do new products suit what the customers of a kind buy?"""

from __future__ import annotations

from datetime import timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd
from scipy import stats
from scipy.stats.contingency import relative_risk

from crmlib import figures, formats, wording
from crmlib.analysis.personas.cut import ERROR
from crmlib.analysis.personas.facts import FEW, Plan
from crmlib.analysis.personas.kinds import Personas
from crmlib.findings import Metric, Part
from crmlib.formats import FEW_PEOPLE
from crmlib.shop.facts import basket_items
from crmlib.shop.shop import Shop
from crmlib.stats.corrections import adjust

NEW_DAYS, LEAST_BUYERS = 90, 20
_MOST, _SHOWN, _BEFORE_DAYS = 12, 6, 180
_RATES = ["per_100", "others", "category", "category_others"]
_COLUMNS = ["kind", "name", "product_id", "product", "since", "active", "buyers", *_RATES, "ratio", "low", "high",
            "p_value"]  # fmt: skip


def launched(shop: Shop, at: Plan) -> ir.Table:
    """Grain: a product first sold in the last 90 days before the plan ends, with a day of sale. Columns item, since.

    None where the shop itself had sold for less than half a year before: then all are new. Not enough for who bought.
    """
    items = basket_items(shop).filter(lambda t: t["day"] < ibis.literal(at.until))
    first = items.group_by("item").aggregate(since=items["day"].min(), n=items["customer_id"].nunique())
    first = first.mutate(_opened=first["since"].min().over())
    new, known = (ibis.literal(at.until - timedelta(days=days)) for days in (NEW_DAYS, NEW_DAYS + _BEFORE_DAYS))
    rows = first.filter((first["since"] >= new) & (first["_opened"] <= known) & (first["n"] >= LEAST_BUYERS))
    return rows.order_by(ibis.desc("n"), "item").limit(_MOST).select("item", "since")


def takers(shop: Shop, at: Plan, people: ir.Table) -> ir.Table:
    """Grain: a new product and a kind of `people`. Columns item, kind, since, active (customers of the kind who ordered
    since), buyers (who bought it), alike (who bought another product of its category). Not enough for how many pieces.
    """
    new, who = launched(shop, at), people.select("customer_id", "kind")
    items = basket_items(shop).filter(lambda t: t["day"] < ibis.literal(at.until)).inner_join(who, "customer_id")
    items = items.select("customer_id", "kind", "day", thing="item")
    if shop.has("products", "category"):
        known = shop.table("products").select(thing="product_id", of="category")
        items = items.left_join(known, "thing").drop("thing_right")
        new = new.left_join(known.rename(item="thing", _of="of"), "item").drop("item_right")
    else:
        items, new = items.mutate(of=ibis.null("string")), new.mutate(_of=ibis.null("string"))
    both = items.inner_join(new, items["day"] >= new["since"])
    own = both["thing"] == both["item"]
    like = (both["of"] == both["_of"]).fill_null(False) & ~own
    return both.group_by("item", "kind", "since").aggregate(
        active=both["customer_id"].nunique(), buyers=both["customer_id"].nunique(where=own),
        alike=both["customer_id"].nunique(where=like),
    )  # fmt: skip


def launches(shop: Shop, found: Personas) -> pd.DataFrame:
    """Which new products does a kind buy more, or less, than the other kinds, of all who ordered since it is sold?

    A row a kind and product: per_100 and others (buyers of 100 customers of the kind and of the others), category and
    category_others (the same of other products of its category), ratio of the first two with low and high (95 %,
    as scipy has it), p_value (Fisher), q_value (Holm over all rows). Empty without new products.

    >>> bool(launches(shop, measure(shop))["q_value"].between(0, 1).all())
    True
    """
    made, there = [], found.verdict is not None and len(found.kinds) > 1 and shop.has("order_lines")
    if there:
        people = found.people.filter(found.people["kind"] != FEW)
        cells = shop.fetch(takers(shop, found.at, people)).sort_values(["item", "kind"])
        titles = {}
        if shop.has("products", "name") and len(cells):
            listed = shop.table("products").select("product_id", "name")
            rows = shop.fetch(listed.filter(listed["product_id"].isin(sorted(cells["item"].unique()))))
            titles = rows.dropna().set_index("product_id")["name"].to_dict()
        names = found.table.set_index("kind")["name"]
        for item, its in cells.groupby("item"):
            for row in its.itertuples() if len(its) > 1 else ():
                rest = its.loc[its["kind"] != row.kind, ["active", "buyers", "alike"]].sum()
                made.append((row.kind, names[row.kind], item, titles.get(item, item), row.since, row.active, row.buyers,
                             100 * row.buyers / row.active, 100 * rest["buyers"] / rest["active"],
                             100 * row.alike / row.active, 100 * rest["alike"] / rest["active"],
                             *_compared(row.buyers, row.active, int(rest["buyers"]), int(rest["active"]))))  # fmt: skip
    table = pd.DataFrame(made, columns=_COLUMNS)
    table["q_value"] = adjust(table["p_value"].astype(float), method="holm")
    return table.sort_values(["q_value", "p_value", "kind", "product_id"], ignore_index=True)


def _compared(had: int, n: int, others: int, rest: int) -> tuple[float, float, float, float]:
    """The ratio of two shares with its range, and p; no ratio where the others bought none."""
    p = float(stats.fisher_exact([[had, n - had], [others, rest - others]]).pvalue)
    if not others:
        return float("nan"), float("nan"), float("nan"), p
    risk = relative_risk(had, n, others, rest)
    ends = risk.confidence_interval()
    return float(risk.relative_risk), float(ends.low), float(ends.high), p


def part_launches(found: Personas, table: pd.DataFrame) -> Part:
    """The finding: whom new products suit; nothing where none is new."""
    if table.empty:
        return Part()
    n, rates = table["product_id"].nunique(), [*_RATES, "ratio", "low", "high"]
    hidden = figures.masked(table.round(dict.fromkeys([*rates, "p_value", "q_value"], 4)), count="buyers", rates=rates)
    told = table[(table["q_value"] < ERROR) & (table["buyers"] >= FEW_PEOPLE)]
    more = told[told["per_100"] > told["others"]]
    those = "The new product suits" if n == 1 else f"The {wording.small(n)} new products suit"
    title = f"{those} all {found.word}s alike"
    sentence = f"Of {wording.counted(len(table), 'pair')} none is beyond chance."
    if len(told):
        top = (more if len(more) else told).iloc[0]
        takes = "take to" if len(more) else "leave alone"
        title = f"‘{top['name']}’ customers {takes} {top['product']}"
        sentence = (f"Of 100 who ordered since, {_one(top['per_100'])} bought it; of others {_one(top['others'])}. "
                    f"{_like(top)}").strip()  # fmt: skip
    shown = (told if len(told) else table[table["buyers"] >= FEW_PEOPLE]).head(_SHOWN)
    labels = {"name": wording.upper(found.word), "product": "Product", "per_100": "Of 100", "others": "Of 100 others",
              "category": "Rest of category", "category_others": "Others, of it"}  # fmt: skip
    return Part(
        title=title, sentence=sentence, detail=True, tables={"new_products": hidden},
        metrics=[Metric(id="new_products", label="New products of one group", value=len(more), unit="products",
                        definition="pairs of group and new product above the others beyond chance, corrected")],
        chart=figures.table(shown, caption="Who buys what is new", labels=labels, file="tables/new_products.csv",
                            formats=dict.fromkeys(_RATES, _one)),
    )  # fmt: skip


def _like(top: pd.Series) -> str:
    """Is that so of the rest of its category, too?"""
    if not top["category"] + top["category_others"]:
        return ""
    mine, others = _one(top["category"]), _one(top["category_others"])
    return f"Of the rest of its category {mine} bought something, of others {others}."


def _one(value: float) -> str:
    return formats.number(value, digits=1)
