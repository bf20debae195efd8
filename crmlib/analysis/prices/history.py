"""Which prices lasted, and which were promotions? A product's weeks, each with its price on the shelf."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib import figures, formats, wording
from crmlib.analysis.prices import facts
from crmlib.errors import UsageError
from crmlib.findings import Part
from crmlib.shop.shop import Shop

Floats = NDArray[np.float64]

MOST_PRODUCTS, LEAST_LINES = 400, 50
LASTING, STEP = 4, 0.03  # weeks a price has to hold, and by how much it has to differ from another one, to be one
LEAST_PIECES = 30  # at each of two lasting prices, outside promotions
MOVED, FEW, NEVER, PROMOTED = "moved", "too few pieces at two prices", "never moved", "moved in promotions only"
_YEAR, _MOST_OF_IT = 52, 40  # weeks on sale in the last year below which a product is sold in a part of it
_SAME, _CLEAR, _SILENT, _DIP = 0.01, 0.8, 12.0, 0.95


@dataclass(frozen=True, kw_only=True)
class History:
    """A shop's prices by product and week.

    weeks     product_id, week (0 the newest), pieces, paid (what a piece brought on average), base (the lasting price),
              promotion; weeks in which a product was on sale, those in which nobody bought it as zeros
    levels    product_id, price, weeks, pieces (outside promotions): the lasting prices, from the lowest
    steps     product_id, day, before, after: when a lasting price began
    products  product_id, name, kind (category), shelf (price now), promotions (weeks), moved ('moved', or why not)
    """

    __repr__ = formats.outline

    weeks: pd.DataFrame
    levels: pd.DataFrame
    steps: pd.DataFrame
    products: pd.DataFrame
    as_of: date
    currency: str
    within_days: int

    @property
    def moved(self) -> list[str]:
        """The products whose lasting price moved, with enough pieces on both sides."""
        return list(self.products.loc[self.products["moved"] == MOVED, "product_id"])

    @property
    def part_year(self) -> list[str]:
        """The products known for a year that were sold in a part of it only, as what is made for Christmas is."""
        by = self.weeks.groupby("product_id")["week"]
        few, old = by.agg(lambda week: (week < _YEAR).sum() < _MOST_OF_IT), by.max() >= _YEAR
        return list(few.index[few & old])


def history(shop: Shop, *, within_days: int = 1092) -> History:
    """Which prices did each product have in `within_days` (180 to 2,000), for how long, and what were promotions?

    NotAvailable without dated orders, lines and prices. Products below 50 lines are left out.

    >>> bool((history(store).weeks["base"] > 0).all())
    True
    """
    if not 180 <= within_days <= 2000:
        raise UsageError(f"within_days is {within_days}; it has to lie between 180 and 2000")
    rows = shop.keep(facts.lines(shop))
    counts = facts.fetched(shop, facts.weekly(rows, most=MOST_PRODUCTS, least=LEAST_LINES, within_days=within_days))
    names = pd.DataFrame({"product_id": counts["product_id"].unique()})
    if shop.has("products"):
        listed = shop.table("products").select("product_id", "name", "category")
        listed = shop.fetch(listed.filter(listed["product_id"].isin(names["product_id"].tolist())))
        names = names.merge(listed.drop_duplicates("product_id"), on="product_id", how="left")
    return read(counts, names, as_of=shop.as_of, currency=shop.currency, within_days=within_days)


def read(
    counts: pd.DataFrame, names: pd.DataFrame, *, as_of: date, currency: str = "", within_days: int = 1092
) -> History:
    """The same from counts by product, week, price and reduction (`facts.weekly`); `names` may bring name and category.

    >>> counts = pd.DataFrame({"product_id": "a", "week": range(20), "cents": [120] * 10 + [100] * 10, "reduced": False,
    ...                        "lines": 9, "pieces": 9.0, "money": 9.0})
    >>> read(counts, counts[["product_id"]].head(1), as_of=date(2026, 10, 1)).steps[["before", "after"]].values.tolist()
    [[1.0, 1.2]]
    """
    made, spells, names = [], [], names.set_index("product_id")
    for name, rows in counts[counts["cents"] > 0].groupby("product_id", sort=False):
        weeks, held = _product(rows)
        made.append(weeks.assign(product_id=name))
        spells += [(name, *one) for one in held]
    columns = ["product_id", "week", "pieces", "paid", "base", "promotion"]
    table = pd.concat(made, ignore_index=True)[columns] if made else pd.DataFrame(columns=columns)
    found = pd.DataFrame(spells, columns=["product_id", "price", "weeks", "pieces", "first"])
    before = found.groupby("product_id")["price"].shift()
    day = [as_of - timedelta(days=facts.WEEK * (int(week) + 1)) for week in found["first"]]
    steps = found.assign(day=day, before=before, after=found["price"])[(found["price"] / before - 1).abs() >= _SAME]
    levels = _levels(found)
    by = table.groupby("product_id", sort=False)
    products = by.agg(shelf=("base", "last"), promotions=("promotion", "sum")).reset_index()
    said = {column: names[column].dropna().to_dict() for column in ("name", "category") if column in names}
    named = [
        (said.get("name", {}).get(one) or one, said.get("category", {}).get(one) or "")
        for one in products["product_id"]
    ]
    products[["name", "kind"]] = pd.DataFrame(named, columns=["name", "kind"], dtype=object)
    often = levels[levels["pieces"] >= LEAST_PIECES].groupby("product_id").size()
    several, enough = (
        products["product_id"].map(n).fillna(0) >= 2 for n in (levels.groupby("product_id").size(), often)
    )
    products["moved"] = np.select([enough, several, products["promotions"] >= LASTING], [MOVED, FEW, PROMOTED], NEVER)
    return History(
        weeks=table, levels=levels, steps=steps[["product_id", "day", "before", "after"]].reset_index(drop=True),
        products=products, as_of=as_of, currency=currency, within_days=within_days,
    )  # fmt: skip


def _product(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[float, int, float, int]]]:
    """One product's weeks on sale, oldest first; its lasting prices with weeks and pieces outside promotions, and the
    week of their beginning."""
    plain = rows[~rows["reduced"]]
    if plain["lines"].sum() < 0.3 * rows["lines"].sum():  # where nearly all is reduced, that is the price
        plain = rows
    top = plain.sort_values(["lines", "cents"]).groupby("week").tail(1).set_index("week")
    by = rows.groupby("week")
    index = pd.RangeIndex(rows["week"].max(), rows["week"].min() - 1, -1, name="week")
    pieces, lines = (by[name].sum().reindex(index).fillna(0.0).to_numpy(float) for name in ("pieces", "lines"))
    paid, price = ((money / of).reindex(index).to_numpy(float) for money, of in
                   ((by["money"].sum(), by["pieces"].sum()), (top["cents"], 100.0)))  # fmt: skip
    clear = (top["lines"] / plain.groupby("week")["lines"].sum()).reindex(index).fillna(1.0).to_numpy(float) >= _CLEAR
    off = rows[rows["reduced"]].groupby("week")["lines"].sum().reindex(index).fillna(0.0).to_numpy(float)
    # A week without a sale has the price of the nearest one with.
    known = np.flatnonzero(np.isfinite(price))
    shown = price[known[np.abs(np.arange(len(price))[:, None] - known).argmin(axis=1)]]
    ends = [0, *(np.flatnonzero(np.abs(shown[1:] / shown[:-1] - 1) > _SAME) + 1), len(shown)]
    runs = [(start, end, int(np.isfinite(price[start:end]).sum())) for start, end in pairwise(ends)]
    held = [run for run in runs if run[1] - run[0] >= LASTING and run[2] >= LASTING - 1]
    base = np.full(len(shown), np.nan)
    for start, end, _ in held or [max(runs, key=lambda run: run[1] - run[0])]:
        base[start:end] = np.median(shown[start:end])
    short = np.isnan(base)
    base = pd.Series(base).ffill().bfill().to_numpy(float)
    promotion = short | ((off >= 3) & (off >= 0.5 * lines) & (paid < _DIP * base))
    turn = np.abs(np.diff(base)) > _SAME * base[1:]
    # In the week of a step two prices stand side by side.
    sold = _on_sale(lines) & (clear | ~(np.r_[False, turn] | np.r_[turn, False]))
    paid = np.where(np.isfinite(paid), paid, base)
    frame = pd.DataFrame({"week": index, "pieces": pieces, "paid": paid, "base": base, "promotion": promotion})
    use = sold & ~promotion
    sums = [(int(use[start:end].sum()), float(pieces[start:end][use[start:end]].sum())) for start, end, _ in held]
    spells = [(float(base[run[0]]), *both, int(index[run[0]])) for run, both in zip(held, sums, strict=True)]
    return frame[sold], spells


def _on_sale(lines: Floats) -> NDArray[np.bool_]:
    """Weeks in which a product could be bought: without silences that its pace does not explain."""
    bought = np.flatnonzero(lines)
    on, pace = np.ones(len(lines), dtype=np.bool_), lines.sum() / max(len(bought), 1)
    for start, end in pairwise(bought):
        if end - start > LASTING and (end - start - 1) * pace >= _SILENT:
            on[start + 1 : end] = False
    return on


def _levels(spells: pd.DataFrame) -> pd.DataFrame:
    """Lasting prices of each product, a step apart from one another; the one that sold most stands for its likes."""
    rows = spells.sort_values(["product_id", "price"]).reset_index(drop=True)
    level, start = [], 0.0
    for place, (again, price) in enumerate(
        zip(rows["product_id"].eq(rows["product_id"].shift()), rows["price"], strict=True)
    ):
        if not again or price >= start * (1 + STEP):
            start, number = price, place
        level.append(number)
    rows = rows.assign(level=level).sort_values(["level", "pieces"])
    by = rows.groupby("level")
    return by.agg(product_id=("product_id", "last"), price=("price", "last"), weeks=("weeks", "sum"),
                  pieces=("pieces", "sum")).reset_index(drop=True)  # fmt: skip


def part_history(found: History) -> Part:
    """The finding, folded: when lasting prices began, and each product's weeks of promotions beside them."""
    products = found.products[["product_id", "name", "promotions"]]
    steps = found.steps.merge(products, on="product_id").sort_values("day", ascending=False)
    rest = products[(products["promotions"] > 0) & ~products["product_id"].isin(steps["product_id"])]
    rows = pd.concat([steps.astype(object), rest.sort_values("promotions", ascending=False).astype(object)])
    weeks = int(found.products["promotions"].sum())
    out = (
        f"; {wording.counted(weeks, 'week')} of promotions {wording.noun(weeks, 'is', 'are')} not counted as prices"
        if weeks
        else ""
    )
    said = f"A price lasts from four weeks on{out}."
    if rows.empty:
        return Part(title="No price moved for good", sentence=said, detail=True)
    of = wording.counted(steps["product_id"].nunique(), "product")
    money = cash(found.currency)
    return Part(
        title=f"{wording.upper(wording.counted(len(steps), 'lasting new price'))} of {of}" if len(steps) else
        "No price moved for good", sentence=said, detail=True,
        chart=figures.table(rows.assign(day=[formats.day(day) if day == day else None for day in rows["day"]]),
                            caption="Lasting new prices, the latest first, and weeks of promotions", file="steps",
                            labels={"name": "Product", "day": "From", "before": "Before", "after": "After",
                                    "promotions": "Weeks of promotions"},
                            formats={"before": money, "after": money, "promotions": formats.number}),
        tables={"steps": rows.drop(columns="name")},
    )  # fmt: skip


def cash(currency: str) -> figures.Form:
    """How prices are written: with two decimals."""
    return lambda value: formats.money(value, currency, digits=2)
