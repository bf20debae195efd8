"""Which first product makes customers who come back? A league table in which chance wins no rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy import stats

from crmlib import figures, formats, wording
from crmlib.analysis.cohorts.facts import GROUPS, LEAST, NO_COUPON, OTHER, UNKNOWN, Newcomers
from crmlib.findings import Action, Part, Signal
from crmlib.shop import facts as shared
from crmlib.stats.corrections import adjust
from crmlib.stats.shrinkage import towards_mean

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

Q_MOST = 0.05
_SIZES = (1, 2, 3, 5)  # distinct products in a first order, from which a class begins
_MOST_ITEMS, _MOST_CELLS = 400, 2_000_000
_TEST_WITHIN_DAYS = 14


@dataclass(frozen=True, kw_only=True)
class League:
    """Groups of newcomers beside what was to be expected of them.

    table    item, customers, repeat (share who came back in time), expected, likely with low and high (shrunk),
             p_value, q_value, stands (1 above, −1 below, 0 inside the noise); best first. All of it was searched.
    usual    share of all judged newcomers who came back
    """

    table: pd.DataFrame
    usual: float
    within_days: int

    @property
    def stands(self) -> bool:
        """Does any stand out?"""
        return bool(self.table["stands"].any())

    @property
    def above(self) -> pd.DataFrame:
        """Those whose customers come back more often than chance explains."""
        return self.table[self.table["stands"] > 0]

    @property
    def below(self) -> pd.DataFrame:
        """Those whose customers come back less often."""
        return self.table[self.table["stands"] < 0].iloc[::-1]


def first_items(shop: Shop, people: ir.Table, *, names: ir.Table | None = None) -> ir.Table:
    """Grain: a newcomer of `people` and a product (or what `names`, product_id and item, calls it) of the first order.

    Columns customer_id, item, first, size (distinct products of that order, in classes), known_days, second_days.
    """
    items = shared.basket_items(shop, of=people).select("order_id", product_id="item")
    sized = items.mutate(_size=items.count().over(ibis.window(group_by="order_id")))
    if names is not None:
        sized = sized.left_join(names, "product_id").drop("product_id_right")
        sized = sized.mutate(item=sized["item"].fill_null(sized["product_id"]))
    else:
        sized = sized.mutate(item=sized["product_id"])
    rows = people.inner_join(sized, "order_id")
    size = ibis.cases(*[(rows["_size"] >= least, least) for least in reversed(_SIZES)], else_=1)
    return rows.select("customer_id", "item", "first", "known_days", "second_days", size=size).distinct()


def item_cells(rows: ir.Table, *, within_days: int) -> ir.Table:
    """Grain: item, month of the first order and size class: n and back, of those known for `within_days`."""
    judged = rows.filter(rows["known_days"] >= within_days)
    back = (judged["second_days"] <= within_days).fill_null(False).cast("int64")
    return judged.mutate(_back=back).group_by("item", "first", "size").aggregate(
        n=lambda t: t.count(), back=lambda t: t["_back"].sum()
    ).order_by("item", "first", "size")  # fmt: skip


def league(shop: Shop, found: Newcomers) -> League | None:
    """Whose first buyers come back more often than others of the same month who bought as many things?

    A family (sizes, colours of one thing) is one product. Groups below 30 newcomers are not judged. Against chance each
    is tested within month and size of the first order (Mantel and Haenszel 1959), corrected for all that were looked at
    (Benjamini and Hochberg), and drawn towards the others. None where there is nothing to judge.

    >>> league(store, measure(store)).table["q_value"].le(1).all()
    np.True_
    """
    if not shop.has("order_lines") or not shop.has("orders", "customer_id"):
        return None
    within_days = found.within_days
    rows = shop.keep(first_items(shop, found.people, names=_names(shop)))
    judged = rows.filter(rows["known_days"] >= within_days)
    often = judged.group_by("item").aggregate(_n=judged.count())
    often = often.filter(often["_n"] >= LEAST).order_by(ibis.desc("_n"), "item").limit(_MOST_ITEMS)
    cells = shop.fetch(item_cells(rows.semi_join(often, "item"), within_days=within_days), max_rows=_MOST_CELLS)
    each = rows.drop("item").distinct().mutate(item=ibis.literal(""))
    everybody = shop.fetch(item_cells(each, within_days=within_days), max_rows=_MOST_CELLS)
    return judge(cells, everybody, within_days=within_days)


def _names(shop: Shop) -> ir.Table | None:
    """What products are called: their family, else their name; None where a shop has no products."""
    if not shop.has("products"):
        return None
    products = shop.table("products")
    named = products.select("product_id", item=products["name"].nullif(""))
    of = shared.families(shop)[["product_id", "family"]]
    if of.empty:
        return named
    known = shop.keep(ibis.memtable(of.astype("string"), schema={"product_id": "string", "family": "string"}))
    both = named.left_join(known, "product_id").drop("product_id_right")
    return both.select("product_id", item=both["family"].fill_null(both["item"]))


def judge(cells: pd.DataFrame, everybody: pd.DataFrame, *, within_days: int) -> League | None:
    """The league of groups (item, n, back in strata first and size) among `everybody` of those strata.

    >>> cells = pd.DataFrame({"item": ["a"], "first": 1, "size": 1, "n": 40, "back": 30})
    >>> everybody = pd.DataFrame({"first": [1], "size": 1, "n": 400, "back": 200})
    >>> judge(cells, everybody, within_days=90).above["item"].tolist()
    ['a']
    """
    strata = [name for name in ("first", "size") if name in cells]
    sums = cells.groupby("item")["n"].sum()
    cells = cells[cells["item"].isin(sums.index[sums >= LEAST])]
    if cells.empty or not everybody["n"].sum():
        return None
    whole = everybody.groupby(strata, as_index=False)[["n", "back"]].sum()
    both = cells.merge(whole, on=strata, suffixes=("", "_all"))
    size, rate = both["n_all"].to_numpy(float), (both["back_all"] / both["n_all"]).to_numpy(float)
    n = both["n"].to_numpy(float)
    both["expected"] = n * rate
    # A stratum in which all have the product, or of one person, says nothing.
    both["variance"] = np.where(size > 1, n * (size - n) / np.maximum(size - 1, 1) * rate * (1 - rate), 0.0)
    table = both.groupby("item", as_index=False)[["n", "back", "expected", "variance"]].sum()
    table = table[(table["variance"] > 0) & (table["expected"] > 0)].reset_index(drop=True)
    if table.empty:
        return None
    expected = table["expected"].to_numpy(float)
    gap, spread = table["back"].to_numpy(float) - expected, np.sqrt(table["variance"].to_numpy(float))
    p = np.minimum(2 * stats.norm.sf(np.maximum(np.abs(gap) - 0.5, 0) / spread), 1.0)
    usual = float(everybody["back"].sum() / everybody["n"].sum())
    # Against the others, not against all: a group that is half of everybody pulls the expectation towards itself.
    others = np.clip(table["variance"].to_numpy(float) / (expected * (1 - usual)), 0.05, 1.0) * expected
    likely, low, high = (np.clip((1 + ends) * usual, 0, 1) for ends in towards_mean(gap / others, spread / others))
    q = adjust(p, method="fdr_bh")
    found = pd.DataFrame(
        {"item": table["item"].astype(str), "customers": table["n"].astype(int), "repeat": table["back"] / table["n"],
         "expected": table["expected"] / table["n"], "likely": likely, "low": low, "high": high, "p_value": p,
         "q_value": q, "stands": np.where(q < Q_MOST, np.sign(gap), 0).astype(int)}
    )  # fmt: skip
    found = found.sort_values(["likely", "item"], ascending=[False, True], ignore_index=True)
    return League(table=found, usual=usual, within_days=within_days)


def by_group(found: Newcomers) -> dict[str, League]:
    """The same for channels, first coupons and countries, month by month, and for who came before Christmas by year."""
    made = {}
    for by in GROUPS:
        rows = found.of(by)
        if rows.empty:
            continue
        cells = rows.rename(columns={"cohort": "item"})[["item", "first", "within", "back_within"]]
        cells = cells.rename(columns={"within": "n", "back_within": "back"})
        if by == "season":
            cells["first"] = cells["first"].dt.year
        one = judge(
            cells[~cells["item"].isin([OTHER, UNKNOWN])], cells.drop(columns="item"), within_days=found.within_days
        )
        if one is not None and len(one.table) > 1:
            made[by] = one
    return made


def part_firsts(found: League | None, *, shop: Shop) -> Part:
    """The finding: whose first buyers come back more often than others, if any, and what to show newcomers."""
    if found is None:
        return Part(
            title="Too few newcomers to compare first products",
            sentence=f"A product is judged from {LEAST} newcomers on who began with it.",
        ) if shop.has("order_lines") else Part()  # fmt: skip
    above = found.above["item"].tolist()
    actions, signals, what = [], [], wording.listed(above[:3])
    if above:
        actions = [
            Action(
                what=f"Show {what} first to half of new visitors", owner="marketing", count=len(above),
                by=wording.working_day(shop.as_of, _TEST_WITHIN_DAYS), file="tables/first_products.csv",
                why=f"Who began with {wording.noun(len(above), 'it', 'them')} came back more often than others who "
                "began in the same month with as many products. Keener people may choose it: a test on half tells.",
            )
        ]  # fmt: skip
        signals = [
            Signal(id="first_products", text=f"Newcomers who begin with {what} come back more often.",
                   gone="No first product stands out any more.")
        ]  # fmt: skip
    title, sentence = _said(found)
    # Where nothing stands out there is no best: the most frequent are shown.
    shown = found.table[found.table["stands"] != 0] if found.stands else found.table.nlargest(8, "customers")
    return Part(
        title=title, sentence=sentence, actions=actions, signals=signals,
        chart=_dots(shown.assign(name=shown["item"]), found),
        tables={"first_products": found.table.rename(columns={"item": "product"})},
        method=["First products: Mantel–Haenszel within month and size of the first order; false discoveries held to "
                f"5% over {formats.number(len(found.table))} products; drawn together by a hierarchical model."],
    )  # fmt: skip


def _said(found: League) -> tuple[str, str]:
    above, below, days = found.above["item"].tolist(), found.below["item"].tolist(), found.within_days
    if not found.stands:
        many, were = wording.counted(len(found.table), "product"), wording.noun(len(found.table), "was", "were")
        sentence = f"{wording.upper(many)} {were} compared: all differences in who comes back may be chance."
        return "No first product stands out", sentence
    more = "more" if above else "less"
    row = found.table.iloc[0 if above else -1]
    likely, usual = (formats.share(value) for value in (row["likely"], found.usual))
    return (
        f"Who begins with {wording.listed((above or below)[:3])} comes back {more} often",
        f"About {likely} of them come back within {days} days, {usual} of all. The rest cannot be told apart.",
    )


def part_groups(found: dict[str, League]) -> Part:
    """The finding: channels, first coupons and countries whose newcomers come back more or less often."""
    if not found:
        return Part()
    rows = pd.concat(
        [one.table.assign(name=[who(by, item) for item in one.table["item"]]) for by, one in found.items()]
    ).sort_values(["likely", "name"], ascending=[False, True], ignore_index=True)
    out, some = rows[rows["stands"] != 0], next(iter(found.values()))
    if out.empty:
        kinds = wording.listed([_PLURAL[by] for by in found])
        return Part(title=f"Newcomers of all {kinds} come back alike", detail=True, chart=_dots(rows, some))
    ends = [out.iloc[0], out.iloc[-1]] if len(out) > 1 else [out.iloc[0]]
    said = [f"{formats.share(row['repeat'])} {row['name']}" for row in ends]
    more = "more" if ends[0]["stands"] > 0 else "less"
    return Part(
        title=f"Newcomers {ends[0]['name']} come back {more} often than others",
        detail=True,
        chart=_dots(out, some),
        sentence=f"Back within {some.within_days} days: {wording.listed(said)}; {formats.share(some.usual)} of all.",
    )


_PLURAL = {"channel": "channels", "coupon": "first coupons", "country": "countries", "season": "seasons"}


def who(by: str, item: object) -> str:
    """Newcomers of a group, after 'newcomers'."""
    if by == "season":
        return f"won {item}"
    if by == "coupon":
        return "without a coupon" if item == NO_COUPON else f"with coupon {item}"
    return f"from {item}" if by == "country" else f"through {str(item).replace('_', ' ')}"


def _dots(rows: pd.DataFrame, found: League) -> figures.Chart:
    shown = rows.assign(
        label=[wording.upper(f"{row.name} ({wording.counted(row.customers, 'newcomer')})")
               for row in rows[["name", "customers"]].itertuples(index=False, name="Row")],
        place=rows["stands"].map({1: "more often", -1: "less often", 0: "as others"}), strong=rows["stands"] != 0,
    )  # fmt: skip
    table = figures.tabulate(
        shown, caption="As seen, as expected of that month (and size of order), and as is likely after chance",
        labels={"name": "First", "customers": "Newcomers", "repeat": "Came back", "expected": "Expected",
                "likely": "Likely", "place": "Comes back"},
        formats={"customers": formats.people, **dict.fromkeys(("repeat", "expected", "likely"), formats.share)},
    )  # fmt: skip
    return figures.dots(
        shown, label="label", value="likely", low="low", high="high", reference=found.usual, strong="strong",
        form=formats.share, what=f"share who come back within {found.within_days} days", table=table, rows=10,
    )  # fmt: skip
