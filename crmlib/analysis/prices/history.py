"""Which prices lasted, and which were promotions? A product's weeks, each with its price on the shelf."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib import figures, formats, wording
from crmlib.analysis.prices import facts
from crmlib.errors import NotAvailable
from crmlib.findings import Part

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MOST_PRODUCTS, LEAST_LINES = 400, 50
LASTING, STEP = 4, 0.03  # weeks a price has to hold, and by how much it has to differ from another one, to be one
LEAST_PIECES = 30  # at each of two lasting prices, outside promotions
_SAME, _SHARE, _SILENT, _DIP = 0.01, 0.8, 12.0, 0.95
MOVED, TWICE_FEW = "moved", "too few pieces at two prices"
NEVER, PROMOTED = "never moved", "moved in promotions only"


@dataclass(frozen=True, kw_only=True)
class History:
    """A shop's prices by product and week.

    weeks     product_id, week (0 the newest), pieces, paid (what a piece brought on average), base (the lasting price),
              promotion; weeks in which a product was on sale, those in which nobody bought it as zeros
    levels    product_id, price, weeks, pieces (outside promotions), first and last (weeks), of the lasting prices
    steps     product_id, day, before, after: when a lasting price began
    products  product_id, name, kind (category), pieces, price (now), promotions (weeks), moved ('moved', or why not)
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
    def moved(self) -> pd.DataFrame:
        """The products whose lasting price moved, with enough pieces on both sides."""
        return self.products[self.products["moved"] == MOVED]


def history(shop: Shop, *, within_days: int = 1092) -> History:
    """Which prices did each product have, for how long, and what were promotions?

    NotAvailable without dated orders, lines and prices. Products below 50 lines are left out.

    >>> found = history(store)
    >>> bool((found.weeks["base"] > 0).all())
    True
    """
    needed(shop)
    rows = shop.keep(facts.lines(shop))
    counts = facts.fetched(shop, facts.weekly(rows, most=MOST_PRODUCTS, least=LEAST_LINES, within_days=within_days))
    names = pd.DataFrame({"product_id": counts["product_id"].unique()})
    if shop.has("products"):
        listed = shop.table("products").select("product_id", "name", "category")
        listed = shop.fetch(listed.filter(listed["product_id"].isin(names["product_id"].tolist())))
        names = names.merge(listed.drop_duplicates("product_id"), on="product_id", how="left")
    return read(counts, names, as_of=shop.as_of, currency=shop.currency, within_days=within_days)


def needed(shop: Shop) -> None:
    """NotAvailable where a shop has no dated lines with a price."""
    lacking = [name for name in ("orders", "order_lines") if not shop.has(name)]
    if lacking:
        raise NotAvailable(f"needs {' and '.join(lacking)}; this shop has {', '.join(shop.audits)}")
    facts.lines(shop)


def read(
    counts: pd.DataFrame, names: pd.DataFrame, *, as_of: date, currency: str = "", within_days: int = 1092
) -> History:
    """The same from counts by product, week, price and reduction (`facts.weekly`); `names` may bring name and category.

    >>> counts = pd.DataFrame({"product_id": "a", "week": range(20), "cents": [120] * 10 + [100] * 10, "reduced": False,
    ...                        "lines": 9, "pieces": 9.0, "money": 9.0})
    >>> read(counts, counts[["product_id"]].head(1), as_of=date(2026, 10, 1)).steps[["before", "after"]].values.tolist()
    [[1.0, 1.2]]
    """
    told = {str(one): _product(rows) for one, rows in counts[counts["cents"] > 0].groupby("product_id", sort=False)}
    weeks = [frame.assign(product_id=name) for name, (frame, _) in told.items() if len(frame)]
    columns = ["product_id", "week", "pieces", "paid", "base", "promotion"]
    table = pd.concat(weeks, ignore_index=True)[columns] if weeks else pd.DataFrame(columns=columns)
    levels = pd.concat([lasting.assign(product_id=name) for name, (_, lasting) in told.items()], ignore_index=True) \
        if told else pd.DataFrame(columns=["price", "weeks", "pieces", "first", "last", "product_id"])  # fmt: skip
    spells = levels.sort_values(["product_id", "first"], ascending=[True, False])
    spells = spells.assign(before=spells.groupby("product_id")["price"].shift())
    steps = spells[(spells["price"] / spells["before"] - 1).abs() >= _SAME]
    day = [as_of - timedelta(days=facts.WEEK * (int(week) + 1)) for week in steps["first"]]
    steps = steps.assign(day=day).rename(columns={"price": "after"})[["product_id", "day", "before", "after"]]
    by = table.groupby("product_id")
    products = names.assign(
        name=names.get("name", names["product_id"]), kind=names.get("category", pd.Series("", index=names.index))
    )[["product_id", "name", "kind"]]
    products["name"] = products["name"].fillna("").where(lambda name: name != "", products["product_id"])
    products["kind"] = products["kind"].fillna("")
    products = products[products["product_id"].isin(told)].assign(
        pieces=lambda t: t["product_id"].map(by["pieces"].sum()),
        price=lambda t: t["product_id"].map(table[table["week"] == by["week"].transform("min")].set_index("product_id")["base"]),
        promotions=lambda t: t["product_id"].map(by["promotion"].sum()).astype(float),
    )  # fmt: skip
    merged = _levels(levels)
    products["moved"] = [_moved(merged[merged["product_id"] == row.product_id], row.promotions)
                         for row in products.itertuples()]  # fmt: skip
    return History(
        weeks=table, levels=merged, steps=steps.reset_index(drop=True), products=products.reset_index(drop=True),
        as_of=as_of, currency=currency, within_days=within_days,
    )  # fmt: skip


def _product(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One product's weeks on sale, oldest first, and its spells of a lasting price."""
    plain = rows[~rows["reduced"]]
    if plain["lines"].sum() < 0.3 * rows["lines"].sum():  # where nearly all is reduced, that is the price
        plain = rows
    top = plain.sort_values(["lines", "cents"]).groupby("week").tail(1).set_index("week")
    by, seen = rows.groupby("week"), plain.groupby("week")["lines"].sum()
    index = np.arange(rows["week"].max(), rows["week"].min() - 1, -1)
    frame = pd.DataFrame({"week": index})
    frame["pieces"] = frame["week"].map(by["pieces"].sum()).fillna(0.0)
    lines = frame["week"].map(by["lines"].sum()).fillna(0.0).to_numpy(float)
    price = frame["week"].map(top["cents"] / 100).to_numpy(float)
    clear = frame["week"].map(top["lines"] / seen).fillna(1.0).to_numpy(float) >= _SHARE
    known = np.flatnonzero(np.isfinite(price))
    if not len(known):
        return frame.head(0).assign(paid=0.0, base=0.0, promotion=False), _spells(frame.head(0), np.zeros(0), [])
    place = np.arange(len(price))
    nearest = known[np.abs(place[:, None] - known[None, :]).argmin(axis=1)]
    shown = price[nearest]
    starts = np.r_[0, np.flatnonzero(np.abs(shown[1:] / shown[:-1] - 1) > _SAME) + 1]
    runs = list(zip(starts, np.r_[starts[1:], len(shown)], strict=True))
    held = [
        run for run in runs if run[1] - run[0] >= LASTING and np.isfinite(price[run[0] : run[1]]).sum() >= LASTING - 1
    ]
    held = held or [max(runs, key=lambda run: run[1] - run[0])]
    base = np.full(len(shown), np.nan)
    for start, end in held:
        base[start:end] = np.median(shown[start:end])
    short = np.isnan(base)
    base = pd.Series(base).ffill().bfill().to_numpy(float)
    paid = frame["week"].map(by["money"].sum() / by["pieces"].sum()).to_numpy(float)
    off = frame["week"].map(rows[rows["reduced"]].groupby("week")["lines"].sum()).fillna(0.0).to_numpy(float)
    promotion = short | ((off >= 3) & (off >= 0.5 * lines) & (paid < _DIP * base))
    turn = (
        np.r_[False, np.abs(base[1:] / base[:-1] - 1) > _SAME] | np.r_[np.abs(base[1:] / base[:-1] - 1) > _SAME, False]
    )
    frame = frame.assign(paid=np.where(np.isfinite(paid), paid, base), base=base, promotion=promotion)
    frame = frame[_on_sale(lines) & ~(turn & ~clear)]
    return frame, _spells(frame, base, [(int(index[start]), int(index[end - 1])) for start, end in held])


def _spells(frame: pd.DataFrame, base: Floats, held: list[tuple[int, int]]) -> pd.DataFrame:
    """Spells of a lasting price with the weeks and pieces outside promotions."""
    rows = []
    for first, last in held:
        own = frame[(frame["week"] <= first) & (frame["week"] >= last)]
        plain = own[~own["promotion"]]
        rows.append((float(own["base"].median()), len(plain), float(plain["pieces"].sum()), first, last))
    return pd.DataFrame(rows, columns=["price", "weeks", "pieces", "first", "last"]).dropna()


def _on_sale(lines: Floats) -> Flags:
    """Weeks in which a product could be bought: without silences that its pace does not explain."""
    bought = np.flatnonzero(lines)
    on, pace = np.ones(len(lines), dtype=np.bool_), lines.sum() / max(len(bought), 1)
    for start, end in zip(bought[:-1], bought[1:], strict=True):
        gap = end - start - 1
        if gap >= LASTING and gap * pace >= _SILENT:
            on[start + 1 : end] = False
    return on


def _levels(spells: pd.DataFrame) -> pd.DataFrame:
    """Lasting prices of each product: spells of the same price, a step apart from the next one, put together."""
    rows = []
    for name, own in spells.sort_values("price").groupby("product_id"):
        start = float("nan")
        for row in own.itertuples():
            if not row.price < start * (1 + STEP):
                start = row.price
                rows.append([name, row.price, 0, 0.0, row.first, row.last])
            at = rows[-1]
            # The price that sold most stands for those that hardly differ.
            at[1] = row.price if row.pieces >= at[3] else at[1]
            at[2], at[3], at[4], at[5] = (
                at[2] + row.weeks,
                at[3] + row.pieces,
                max(at[4], row.first),
                min(at[5], row.last),
            )
    return pd.DataFrame(rows, columns=["product_id", "price", "weeks", "pieces", "first", "last"])


def _moved(levels: pd.DataFrame, promotions: float) -> str:
    if (levels["pieces"] >= LEAST_PIECES).sum() >= 2:
        return MOVED
    if len(levels) >= 2:
        return TWICE_FEW
    return PROMOTED if promotions >= LASTING else NEVER


def part_history(found: History) -> Part:
    """The finding: when lasting prices began; promotions told from them."""
    steps = found.steps.merge(found.products[["product_id", "name"]], on="product_id")
    weeks = int(found.products["promotions"].sum())
    counted = f"{wording.counted(weeks, 'week')} of promotions {wording.noun(weeks, 'is', 'are')} no price of their own"
    if steps.empty:
        return Part(title="No price moved for good", sentence=f"{wording.upper(counted)}.", detail=True)
    latest = steps.sort_values("day", ascending=False)
    shown = latest.assign(day=[formats.day(day) for day in latest["day"]])
    money = cash(found.currency)
    of = wording.counted(steps["product_id"].nunique(), "product")
    return Part(
        title=f"{wording.upper(wording.counted(len(steps), 'lasting new price'))} of {of}", detail=True,
        sentence=f"A price lasts from four weeks on; {counted}.", tables={"steps": steps.drop(columns="name")},
        chart=figures.table(shown, caption="Lasting new prices, the latest first", file="steps",
                            labels={"name": "Product", "day": "From", "before": "Before", "after": "After"},
                            formats={"before": money, "after": money}),
    )  # fmt: skip


def cash(currency: str) -> figures.Form:
    """How prices are written: with two decimals."""
    return lambda value: formats.money(value, currency, digits=2)
