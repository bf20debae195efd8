"""Which channel, country, product or kind of customer moved more than the rest, by more than chance?"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from crmlib import figures, formats, wording
from crmlib import findings as said
from crmlib.analysis.overview import facts
from crmlib.analysis.overview.facts import UNIT
from crmlib.analysis.overview.measure import Measured
from crmlib.findings import Part
from crmlib.stats import adjust, surely

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

LEVEL, LEAST_UNITS, LEAST_SHARE = 0.05, 10, 0.002
_MOST_GROUPS, _SILENT_DAYS = 500_000, 14
_NAMED = {"channel": "by {}", "country": "from {}", "buyer": "with {}", "category": "of {}", "product": "of {}"}
_COLUMNS = ["by", "value", "customers", "before", "now", "beyond", "low", "high", "p_value", "p_adjusted",
            "silent", "swap"]  # fmt: skip


def movers(shop: Shop, found: Measured) -> pd.DataFrame:
    """Which groups moved otherwise than all sales did, in the comparison that leads?

    Columns by, value, customers, before, now, beyond (of its change, what it would not have had if it had moved as all
    did), low, high (95 % of it, of each alone), p_value, p_adjusted (Holm over all groups of all kinds), silent (day
    of the last sale, where none has come for a fortnight), swap (a product whose category did not go its way by half as
    much: others took its place), the surest first. Chance is that of customers, who differ; groups of under ten of them
    are not judged.

    >>> list(movers(store, measure(store)).columns)[:2]
    ['by', 'value']
    """
    change, frames = found.main, []
    for by in facts.ways(shop) if change is not None else ():
        assert change is not None
        if by == "buyer" and found.opening is not None and change.pair.before < found.opening:
            continue  # what looks like a first order may be a later one
        rows = shop.fetch(facts.groups(shop, change.pair, by), max_rows=_MOST_GROUPS)
        frames.append(judged(rows, change.pair.end).assign(by=by))
    rows = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=[*_COLUMNS])
    rows = rows.assign(p_adjusted=adjust(rows["p_value"].astype(float), method="holm"))
    rows = rows.assign(swap=_swaps(shop, rows) if shop.has("products", "category") else False)
    rows = rows.reindex(columns=_COLUMNS).sort_values(["p_adjusted", "p_value"], kind="stable", ignore_index=True)
    return rows.astype({"by": str, "value": str, "swap": bool})


def _swaps(shop: Shop, rows: pd.DataFrame) -> pd.Series:
    """Which of the products that surely moved have a category that did not go along?"""
    goods = shop.table("products", "category")
    label = goods["name"].coalesce(goods["product_id"]) if "name" in goods.columns else goods["product_id"]
    sought = rows.loc[(rows["by"] == "product") & (rows["p_adjusted"] < LEVEL), "value"]
    of = goods.select(value=label, category="category").filter(lambda t: t["value"].isin([*sought, ""])).distinct()
    of = shop.fetch(of.filter(of["category"].fill_null("") != ""))
    of["moved"] = of["category"].map(rows[rows["by"] == "category"].set_index("value")["beyond"])
    along = rows["value"].map(of.groupby("value")["moved"].sum()) / rows["beyond"]
    return (rows["by"] == "product") & (along < 0.5)  # no number is below: of no category, or not sought


def judged(rows: pd.DataFrame, end: date) -> pd.DataFrame:
    """One way of telling sales apart, judged at `end`: rows as `facts.groups` has them, without those too small."""
    before, now = rows["before"].sum() / UNIT, rows["now"].sum() / UNIT
    if before <= 0 or len(rows) < 2:
        return pd.DataFrame(columns=_COLUMNS)
    growth, part = now / before, rows["before"] / UNIT / before
    own = rows["nn"] - 2 * growth * rows["nb"] + growth**2 * rows["bb"]
    crossed = rows["xnn"] - growth * (rows["xnb"] + rows["xbn"]) + growth**2 * rows["xbb"]
    # Each customer's say in what the group did beyond all: its own, less the group's part of what the customer did.
    error = np.sqrt(np.maximum(own - 2 * part * crossed + part**2 * crossed.sum(), 0.0))
    beyond = rows["now"] / UNIT - growth * rows["before"] / UNIT
    large = (rows["before"] + rows["now"]) / UNIT >= LEAST_SHARE * (before + now)
    kept = large & (rows["units"] >= LEAST_UNITS) & (rows["value"] != "") & (error > 0)
    half, last = stats.norm.ppf(0.975) * error, pd.to_datetime(rows["last"])
    return pd.DataFrame(
        {"value": rows["value"], "customers": rows["units"], "before": rows["before"] / UNIT, "now": rows["now"] / UNIT,
         "beyond": beyond, "low": beyond - half, "high": beyond + half,
         "silent": last.dt.strftime("%F").where(last < pd.Timestamp(end) - pd.Timedelta(days=_SILENT_DAYS), ""),
         "p_value": 2 * stats.norm.sf(np.abs(beyond) / np.maximum(error, 1e-9))}
    )[kept]  # fmt: skip


def sure(rows: pd.DataFrame) -> pd.DataFrame:
    """Those that moved by more than chance, however many were looked at; a category that is one product only once."""
    return rows[(rows["p_adjusted"] < LEVEL) & ~rows["swap"]].drop_duplicates(["value", "before", "now"])


def named(row: pd.Series) -> str:
    """What moved: 'Sales by app', 'Sales of Tea'.

    >>> named(pd.Series({"by": "channel", "value": "app"}))
    'Sales by app'
    """
    return f"Sales {_NAMED[row['by']].format(row['value'])}"


def silent(row: pd.Series) -> str:
    """That a group's sales have ended, and when; '' where they go on."""
    if not row["silent"] or row["beyond"] > 0:
        return ""
    return f"stopped after {formats.day(date.fromisoformat(row['silent']), year=False)}"


def part_movers(rows: pd.DataFrame, found: Measured) -> Part:
    """The finding: what moved otherwise than the rest."""
    change = found.main
    if change is None or rows.empty:
        return Part()
    shown, against = sure(rows), change.pair.against
    money = found.money
    looked = wording.counted(len(rows), "group")
    tables = {"movers": rows.round(6)}
    if shown.empty:
        return Part(
            title=f"No channel, country or product moved otherwise than the rest, on {against}", tables=tables,
            sentence=f"Of {looked}, none differs by more than chance.", detail=True, chart=_chart(rows.head(8), money),
        )  # fmt: skip
    top = shown.iloc[0]
    seen = f"{looked} {wording.noun(len(rows), 'was', 'were')} looked at"
    usual = max(float(top["now"] - top["beyond"]), 1.0)
    size = surely(1 + top["low"] / usual, 1 + top["high"] / usual)
    text = f"{named(top)} are {money(abs(top['beyond']))} {'above' if top['beyond'] > 0 else 'below'} the rest's pace"
    text = f"{named(top)} {silent(top)}" if silent(top) else text
    return Part(
        title=text,
        sentence=f"Beside what it would be had all moved alike on {against}; {seen}.",
        chart=_chart(shown, money),
        changes=[said.Change(text=f"{text}, on {against}.", size=size, better=bool(top["beyond"] > 0))],
        certain=["A group is named only where chance would name any in at most five of 100 quiet shops."],
        tables=tables,
    )


def _chart(rows: pd.DataFrame, money: figures.Form) -> figures.Chart:
    told = rows.assign(name=[named(row) for _, row in rows.iterrows()])
    numbers = figures.tabulate(
        told, caption="Groups and how far they moved beyond all", file="tables/movers.csv",
        labels={"name": "Group", "before": "Before", "now": "Now", "beyond": "Beyond all", "customers": "Customers"},
        formats={"before": money, "now": money, "beyond": money, "customers": formats.people},
    )  # fmt: skip
    return figures.dots(told, label="name", value="beyond", low="low", high="high", reference=0.0, rows=8,
                        what="beyond what all did", form=money, table=numbers)  # fmt: skip
