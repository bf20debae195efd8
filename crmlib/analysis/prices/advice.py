"""Which prices to raise, lower, test or drop? Only among prices that were tried, and only where it surely pays."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats as distributions

from crmlib import figures, formats, wording
from crmlib.analysis.prices import facts
from crmlib.analysis.prices.history import LEAST_PIECES, MOVED, History, cash
from crmlib.analysis.prices.slopes import TOGETHER, Slopes
from crmlib.errors import UsageError
from crmlib.findings import Metric, Part, Signal
from crmlib.shop.shop import Shop
from crmlib.stats.planning import plan

RAISE, LOWER, TEST, DROP, KEEP, UNKNOWN = "raise", "lower", "test", "drop", "keep", ""
ERROR = 0.05  # chance that any price of the page is called better although none is
DEARER, LONGEST_TEST = 0.10, 364  # what a test of a price that never moved asks, and the days it may take at most
_YEAR, _CENT, _MOST_FEW = 52, 0.005, 1000
_TOLD = ["advice", "other", "tried", "worth", "worth_low", "worth_high", "days", "yearly"]


@dataclass(frozen=True, kw_only=True)
class Floors:
    """What was really paid for a piece beside what it had to bring, of the last 90 days and the 90 before.

    Prices, floors and costs of a piece are as on the shelf; what is missing or earned is without tax.

    table    product_id, pieces, price (paid on average), floor (cost, delivery, wanted margin; empty: cost unknown),
             below (pieces sold under their floor), short (money missing on them), share_below
    before   the same of the 90 days before
    costs    cost with delivery of a piece, the latest of the last year, by product_id
    net      which share of a product's price is no tax, by product_id; taxed: whether prices hold any (None: not said)
    """

    __repr__ = formats.outline

    table: pd.DataFrame
    before: pd.DataFrame
    costs: pd.Series = field(repr=False)
    margin: float
    currency: str
    net: pd.Series = field(default_factory=lambda: pd.Series(dtype=float), repr=False)
    taxed: bool | None = None

    @property
    def under(self) -> pd.DataFrame:
        """Products that are paid less on average than their floor, the costliest first."""
        return self.table[self.table["price"] < self.table["floor"] - _CENT].sort_values("short", ascending=False)


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What each price should do.

    table    product_id, name, pieces (90 days), price (paid), shelf (lasting price now), floor, elasticity, low, high,
             identified, moved (or why not identified), advice, other (the price it is about), tried (the best other
             price), worth with worth_low and worth_high (margin a year at `tried` against today's; the ranges of all
             products hold at once), days (of a test), yearly (margin a year as it is), by which rows are ordered,
             part_year (sold in a part of the year only: no test, and no other price, is proposed)
    compared  prices that were compared with today's
    """

    __repr__ = formats.outline

    table: pd.DataFrame
    floors: Floors
    compared: int
    as_of: date
    currency: str

    def of(self, advice: str) -> pd.DataFrame:
        """The products with that advice, those first that it is worth most for."""
        rows = self.table[self.table["advice"] == advice]
        return rows.sort_values(["worth", "yearly"], ascending=False, na_position="last")


def floors(shop: Shop, *, margin: float = 0.0) -> Floors:
    """Which products are sold for less than they have to bring? `margin` is the share of the price the shop wants.

    >>> bool((floors(store).under["price"] < floors(store).under["floor"]).all())
    True
    """
    if not 0 <= margin < 1:
        raise UsageError(f"margin is {margin}; it is a share of the price, from 0 to below 1")
    rows = facts.fetched(shop, facts.by_product(shop.keep(facts.lines(shop)), margin=margin))
    known = rows["known"].where(rows["known"] > 0)
    rows = rows.assign(price=(rows["paid"] / known).fillna(rows["money"] / rows["pieces"]), floor=rows["floor"] / known,
                       cost=rows["cost"] / known, share_below=rows["below"] / known)  # fmt: skip
    columns = ["product_id", "pieces", "price", "floor", "below", "short", "share_below"]
    now, before = (rows.loc[rows["span"] == span, columns].reset_index(drop=True) for span in (0, 1))
    costs = rows.dropna(subset="cost").sort_values("span").drop_duplicates("product_id").set_index("product_id")["cost"]
    sums = rows.groupby("product_id")[["net", "money"]].sum()
    return Floors(table=now, before=before, costs=costs, margin=margin, currency=shop.currency,
                  net=sums["net"] / sums["money"], taxed=shop.settings.prices_include_tax)  # fmt: skip


def advise(found: History, slopes: Slopes, floors: Floors) -> Advice:
    """What should each price do?

    Raise and lower only to a price that lasted before, and only where the margin is surely larger: the chance that any
    is named wrongly is held to 5 % over all (Bonferroni). Margin is what is paid less the cost and
    delivery that make the floor. Drop: under its floor, with no tried price above. Test: not
    known to be right, where two prices that take turns by week would tell within a year.

    >>> made = advise(history(store), slopes(history(store)), floors(store))
    >>> set(made.table["advice"]) <= {"raise", "lower", "test", "drop", "keep", ""}
    True
    """
    table = found.products.drop(columns="kind").merge(floors.table, on="product_id", how="outer")
    if len(found.products):  # of the others only what is sold too cheap
        table = table[table["shelf"].notna() | (table["price"] < table["floor"] - _CENT)]
    table = table.sort_values("pieces", ascending=False).head(len(found.products) + _MOST_FEW)
    table = table.merge(slopes.table, on="product_id", how="left").assign(
        cost=lambda t: t["product_id"].map(floors.costs), net=lambda t: t["product_id"].map(floors.net).fillna(1.0),
        name=lambda t: t["name"].fillna(t["product_id"]),
        moved=lambda t: t["moved"].fillna("too few pieces").mask(t["product_id"].isin(slopes.together), TOGETHER),
        part_year=lambda t: t["product_id"].isin(found.part_year),
        identified=lambda t: (t["moved"] == MOVED) & t["own"].notna(),
    )  # fmt: skip
    year = {str(name): rows for name, rows in found.weeks[found.weeks["week"] < _YEAR].groupby("product_id")}
    tried = found.levels[found.levels["pieces"] >= LEAST_PIECES].groupby("product_id")["price"].agg(list).to_dict()
    rows = table.to_dict("records")
    for row in rows:
        weeks = year.get(row["product_id"], found.weeks.head(0))
        row |= {"kept": _kept(weeks), "weeks": weeks, "levels": tried.get(row["product_id"], [])}
    options = [option for row in rows if row["identified"] and not row["part_year"] for option in _options(row)]
    factor = float(distributions.norm.isf(ERROR / 2 / max(len(options), 1)))
    best: dict[str, dict[str, Any]] = {}
    for option in options:
        ends = [_worth(option, option["own"] + sign * factor * option["error"]) for sign in (-1, 1)]
        option |= {"worth": _worth(option, option["own"]), "worth_low": min(ends), "worth_high": max(ends)}
        rival = best.setdefault(option["product_id"], option)
        if (option["worth_low"] > 0, option["worth"]) > (rival["worth_low"] > 0, rival["worth"]):
            best[option["product_id"]] = option
    told = pd.DataFrame([_told(row, best.get(row["product_id"], {})) for row in rows], columns=_TOLD)
    kept = ["product_id", "name", "pieces", "price", "shelf", "floor", "elasticity", "low", "high", "identified",
            "moved", "part_year"]  # fmt: skip
    table = pd.concat([table[kept].reset_index(drop=True), told], axis=1).sort_values("yearly", ascending=False)
    return Advice(table=table.reset_index(drop=True), floors=floors, compared=len(options), as_of=found.as_of,
                  currency=found.currency)  # fmt: skip


def _kept(weeks: pd.DataFrame) -> float:
    """What share of the lasting price is really paid, after coupons and promotions."""
    asked = float((weeks["pieces"] * weeks["base"]).sum())
    return min(float((weeks["pieces"] * weeks["paid"]).sum()) / asked, 1.0) if asked else 1.0


def _options(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The other prices that were tried, each with what is needed to say what it would earn in a year."""
    now, cost, weeks = row["shelf"], row["cost"], row["weeks"]
    if not (math.isfinite(cost) and math.isfinite(now)) or weeks.empty:
        return []
    pieces = float((weeks["pieces"] * (now / weeks["base"]) ** row["own"]).sum())
    unit, kept = row["kept"] * now - cost, row["kept"]
    return [{**row, "other": price, "sold": pieces, "unit": unit, "then": kept * price - cost}
            for price in row["levels"] if abs(price / now - 1) >= _CENT]  # fmt: skip


def _worth(option: dict[str, Any], slope: float) -> float:
    """Margin a year at the other price less that at today's, without tax."""
    return float(
        option["net"]
        * option["sold"]
        * (option["then"] * (option["other"] / option["shelf"]) ** slope - option["unit"])
    )


def _told(row: dict[str, Any], best: dict[str, Any]) -> tuple[object, ...]:
    """One product's advice and what stands beside it, in the order of _TOLD."""
    now, price, floor, none = row["shelf"], row["price"], row["floor"], math.nan
    tried = tuple(best.get(name, none) for name in ("other", "worth", "worth_low", "worth_high"))
    if not math.isfinite(row["cost"]):
        return UNKNOWN, none, *tried, none, none
    unit = (row["kept"] * now if math.isfinite(now) else price) - row["cost"]
    yearly = float(row["weeks"]["pieces"].sum()) * unit * row["net"]
    if best and best["worth_low"] > 0:
        return RAISE if best["other"] > now else LOWER, best["other"], *tried, none, yearly
    if price < floor - _CENT:
        # Where the price on the shelf is above the floor, discounts are what takes it below.
        above = [one for one in (*row["levels"], now) if one > floor]
        return RAISE if above else DROP, min(above, default=none), *tried, none, yearly
    other = best.get("other", now * (1 + DEARER))
    days = math.inf if row["part_year"] else _days(row, unit, row["kept"] * other - row["cost"])
    if days <= LONGEST_TEST and best.get("worth", 1.0) > 0:
        return TEST, other, *tried, days, yearly
    return KEEP, none, *tried, none, yearly


def _days(row: dict[str, Any], unit: float, then: float) -> float:
    """Days of a test in which two prices take turns by week, until it tells which of them earns more."""
    plain = row["weeks"].loc[~row["weeks"]["promotion"].astype(bool), "pieces"].to_numpy(float)
    if len(plain) < 8 or not plain.any() or not (unit > 0 and then > 0):
        return math.inf
    # From week to week, since that is how the two take turns: what comes slowly strikes both.
    spread = max(math.sqrt((np.diff(plain) ** 2).mean() / 2), math.sqrt(plain.mean()))
    turning = abs(1 - unit / then) * plain.mean()
    return float(plan(base=plain.mean(), spread=spread, least=turning, units_per_day=1 / facts.WEEK).days or math.inf)


def part_floor(floors: Floors, advice: Advice) -> Part:
    """The finding: products sold below cost, delivery and wanted margin."""
    under, known = floors.under, floors.table["floor"].notna()
    before = int((floors.before["price"] < floors.before["floor"] - _CENT).sum())
    metric = Metric(
        id="below_floor", label="Sold below their floor", value=float(len(under)) if known.any() else None,
        unit=wording.noun(len(under), "product"), n=int(known.sum()), against="the three months before",
        headline=bool(known.any()),  # without costs there is nothing to show
        before=float(before) if floors.before["floor"].notna().any() and known.any() else None,
        definition="products paid less on average, in 90 days, than cost, delivery and wanted margin",
    )  # fmt: skip
    rows = floors.table[floors.table["below"] > 0].sort_values("short", ascending=False)
    if rows.empty:
        told = (
            "Nothing was sold below cost and delivery"
            if known.any()
            else "No product has a known cost, and so no floor"
        )
        return Part(metrics=[metric], title=told, sentence=f"{told} in the last three months.", detail=True)
    gone = "No product is sold below its floor any more."
    sell, its = wording.noun(len(under), "sells", "sell"), wording.noun(len(under), "its")
    title = f"{wording.counted(len(under), 'product')} {sell} below {its} floor"
    names, money = advice.table.set_index("product_id")["name"], cash(floors.currency)
    rows = rows.assign(name=rows["product_id"].map(names).fillna(rows["product_id"]))
    share = formats.share(float(rows["below"].sum() / floors.table.loc[known, "pieces"].sum()), digits=1)
    short = wording.rounded_money(float(rows["short"].sum()), floors.currency)
    return Part(
        title=wording.upper(title), metrics=[metric], detail=under.empty, tables={"floors": rows.drop(columns="name")},
        sentence=f"{share} of pieces went for less than cost and delivery: {short} missing in three months.",
        signals=[Signal(id="below_floor", text=f"{wording.upper(title)}.", gone=gone)] if len(under) else [],
        chart=figures.table(
            rows, caption="Pieces below their floor, last 90 days", rows=max(len(under), 5), file="floors",
            labels={"name": "Product", "pieces": "Pieces", "price": "Paid", "floor": "Floor",
                    "share_below": "Pieces below", "short": "Missing"},
            formats=dict.fromkeys(["price", "floor", "short"], money)
            | {"share_below": formats.share, "pieces": formats.number},
        ),
    )  # fmt: skip
