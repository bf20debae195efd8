"""Which prices to raise, lower, test or drop? Only among prices that were tried, and only where it surely pays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats as distributions

from crmlib import figures, formats, wording
from crmlib.analysis.prices import facts
from crmlib.analysis.prices.history import LEAST_PIECES, MOVED, History, cash, needed
from crmlib.analysis.prices.slopes import TOGETHER, Slopes
from crmlib.errors import UsageError
from crmlib.findings import Metric, Part, Signal
from crmlib.stats.planning import plan

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

RAISE, LOWER, TEST, DROP, KEEP, UNKNOWN = "raise", "lower", "test", "drop", "keep", ""
ERROR = 0.05  # chance that any price of the page is called better although none is
DEARER, LONGEST_TEST = 0.10, 364  # what a test of a price that never moved asks, and the days it may take at most
_YEAR, _CENT = 52, 0.005
_FLOORS = ["product_id", "pieces", "price", "floor", "cost", "below", "short", "share_below"]


@dataclass(frozen=True, kw_only=True)
class Floors:
    """What was really paid for a piece beside what it had to bring, of the last 90 days and the 90 before.

    table    product_id, pieces, price (paid on average), floor (cost, delivery, wanted margin; empty: cost unknown),
             cost (with delivery), below (pieces sold under their floor), short (money missing on them), share_below
    before   the same of the 90 days before
    """

    __repr__ = formats.outline

    table: pd.DataFrame
    before: pd.DataFrame
    margin: float
    currency: str

    @property
    def under(self) -> pd.DataFrame:
        """Products that are paid less on average than their floor, the costliest first."""
        return _under(self.table)


@dataclass(frozen=True, kw_only=True)
class Advice:
    """A row a product: what its price should do.

    table    product_id, name, pieces (90 days), price (paid), shelf (lasting price now), floor, elasticity, low, high,
             identified, moved (or why not identified), advice, other (the price it is about), worth with worth_low and
             worth_high (margin a year at `other` against today's; the ranges of all products hold at once), days
             (of a test), yearly (margin a year as it is); costliest first
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
    needed(shop)
    rows = facts.fetched(shop, facts.by_product(shop.keep(facts.lines(shop)), margin=margin))
    known = rows["known"].where(rows["known"] > 0)
    paid = (rows["paid"] / known).fillna(rows["money"] / rows["pieces"])
    told = rows.assign(price=paid, floor=rows["floor"] / known, cost=rows["cost"] / known,
                       share_below=rows["below"] / known)  # fmt: skip
    now, before = (told.loc[told["span"] == span, _FLOORS].reset_index(drop=True) for span in (0, 1))
    return Floors(table=now, before=before, margin=margin, currency=shop.currency)


def _under(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["price"] < table["floor"] - _CENT].sort_values("short", ascending=False)


def advise(found: History, slopes: Slopes, floors: Floors) -> Advice:
    """What should each price do? Raise and lower only to a price that lasted before, and only where the margin is surely
    larger: the chance that any is named wrongly is held to 5 % over all (Bonferroni). Drop: under its floor, and no
    price that was tried lies above. Test: a price that is not known to be right, where a test of weeks by turns would
    tell within half a year.

    >>> made = advise(history(store), slopes(history(store)), floors(store))
    >>> set(made.table["advice"]) <= {"raise", "lower", "test", "drop", "keep", ""}
    True
    """
    costs = pd.concat([floors.table, floors.before]).drop_duplicates("product_id").set_index("product_id")["cost"]
    table = found.products.rename(columns={"price": "shelf", "pieces": "_all"}).merge(
        floors.table, on="product_id", how="outer"
    )
    table = table.merge(slopes.table, on="product_id", how="left").drop(columns=["cost"])
    table = table.assign(
        name=table["name"].fillna(table["product_id"]), cost=table["product_id"].map(costs),
        moved=table["moved"].fillna("too few pieces").mask(table["product_id"].isin(slopes.together), TOGETHER),
    )  # fmt: skip
    table["identified"] = (table["moved"] == MOVED) & table["own"].notna()
    year = found.weeks[found.weeks["week"] < _YEAR]
    weekly = {str(name): rows for name, rows in year.groupby("product_id")}
    tried = {str(name): rows.loc[rows["pieces"] >= LEAST_PIECES, "price"].tolist()
             for name, rows in found.levels.groupby("product_id")}  # fmt: skip
    options = [option for row in table[table["identified"]].to_dict("records") if row["product_id"] in weekly
               for option in _options(row, weekly[row["product_id"]], tried[row["product_id"]])]  # fmt: skip
    factor = float(distributions.norm.isf(ERROR / 2 / max(len(options), 1)))
    best: dict[str, dict[str, float]] = {}
    for option in options:
        ends = [_worth(option, option["own"] + sign * factor * option["error"]) for sign in (-1, 1)]
        option |= {"worth": _worth(option, option["own"]), "worth_low": min(ends), "worth_high": max(ends)}
        name = str(option["product_id"])
        if name not in best or (option["worth_low"] > 0, option["worth"]) > (
            best[name]["worth_low"] > 0,
            best[name]["worth"],
        ):
            best[name] = option
    told = [_told(row, best.get(row["product_id"]), weekly.get(row["product_id"]), tried.get(row["product_id"], []))
            for row in table.to_dict("records")]  # fmt: skip
    table = pd.concat([table.reset_index(drop=True), pd.DataFrame(told, columns=_TOLD)], axis=1)
    columns = [
        "product_id",
        "name",
        "pieces",
        "price",
        "shelf",
        "floor",
        "elasticity",
        "low",
        "high",
        "identified",
        "moved",
    ]
    return Advice(
        table=table.sort_values("yearly", ascending=False, na_position="last")[columns + _TOLD].reset_index(drop=True),
        floors=floors, compared=len(options), as_of=found.as_of, currency=found.currency,
    )  # fmt: skip


_TOLD = ["advice", "other", "worth", "worth_low", "worth_high", "days", "yearly"]


def _kept(weeks: pd.DataFrame) -> float:
    """What share of the lasting price is really paid, after coupons and promotions."""
    asked = float((weeks["pieces"] * weeks["base"]).sum())
    return min(float((weeks["pieces"] * weeks["paid"]).sum()) / asked, 1.0) if asked else 1.0


def _options(row: dict[str, object], weeks: pd.DataFrame, tried: list[float]) -> list[dict[str, float]]:
    """The other prices that were tried, each with what is needed to say what it would earn in a year."""
    now, cost, own = (float(row[name]) for name in ("shelf", "cost", "own"))  # type: ignore[arg-type]
    if not (math.isfinite(cost) and math.isfinite(now)):
        return []
    kept = _kept(weeks)
    pieces = float((weeks["pieces"] * (now / weeks["base"]) ** own).sum())
    return [{"product_id": row["product_id"], "now": now, "other": price, "pieces": pieces, "own": own,
             "error": float(row["error"]), "unit": kept * now - cost, "unit_other": kept * price - cost}
            for price in tried if abs(price / now - 1) >= _CENT]  # type: ignore[arg-type, dict-item]  # fmt: skip


def _worth(option: dict[str, float], slope: float) -> float:
    """Margin a year at the other price less that at today's."""
    pieces = (option["other"] / option["now"]) ** slope
    return option["pieces"] * (option["unit_other"] * pieces - option["unit"])


def _told(
    row: dict[str, object], best: dict[str, float] | None, weeks: pd.DataFrame | None, tried: list[float]
) -> tuple[object, ...]:
    """One product's advice, the price it is about, what that is worth, days of a test, and its margin a year."""
    nothing = (math.nan,) * 5
    price, floor, cost, now = (float(row[name]) for name in ("price", "floor", "cost", "shelf"))  # type: ignore[arg-type]
    if not math.isfinite(cost):
        return UNKNOWN, *nothing, math.nan
    sold = float(weeks["pieces"].sum()) if weeks is not None else 0.0
    unit = (_kept(weeks) * now if weeks is not None and math.isfinite(now) else price) - cost
    yearly = sold * unit if sold else math.nan
    worth = (best["worth"], best["worth_low"], best["worth_high"]) if best else (math.nan,) * 3
    if best and best["worth_low"] > 0:
        return RAISE if best["other"] > best["now"] else LOWER, best["other"], *worth, math.nan, yearly
    if price < floor - _CENT:
        above = [one for one in (*tried, now) if one > floor]
        # Where its price on the shelf is above the floor, discounts are what takes it below.
        return (RAISE, min(above), *worth, math.nan, yearly) if above else (DROP, *nothing, yearly)
    other = best["other"] if best else now * (1 + DEARER)
    days = _days(weeks, now=now, other=other, unit=unit, cost=cost) if weeks is not None else math.inf
    open_ = best is None or best["worth_high"] > 0
    return (
        (TEST, other, *worth, days, yearly)
        if open_ and days <= LONGEST_TEST
        else (KEEP, math.nan, *worth, math.nan, yearly)
    )


def _days(weeks: pd.DataFrame, *, now: float, other: float, unit: float, cost: float) -> float:
    """Days of a test in which two prices take turns by week, until it tells whether the other one earns more."""
    plain = weeks.loc[~weeks["promotion"].astype(bool), "pieces"]
    then = other * _kept(weeks) - cost
    if len(plain) < 8 or not plain.mean() or unit <= 0 or then <= 0:
        return math.inf
    mean, spread = float(plain.mean()), max(float(plain.std()), math.sqrt(plain.mean()))
    turning = abs(1 - unit / then) * mean
    return float(plan(base=mean, spread=spread, least=turning, units_per_day=1 / facts.WEEK).days or math.inf)


def part_floor(floors: Floors, advice: Advice) -> Part:
    """The finding: products sold below cost, delivery and wanted margin."""
    under, before, known = floors.under, _under(floors.before), floors.table["floor"].notna()
    money = cash(floors.currency)
    metric = Metric(
        id="below_floor", label="Sold below their floor", value=float(len(under)) if known.any() else None, unit="products",
        headline=True, n=int(known.sum()), before=float(len(before)) if len(floors.before) and known.any() else None,
        against="the three months before", definition="products paid less on average, in 90 days, than cost, delivery and "
        "wanted margin",
    )  # fmt: skip
    if not known.any():
        return Part(metrics=[metric])
    signal = Signal(id="below_floor", text=f"{wording.upper(wording.counted(len(under), 'product'))} below the floor.",
                    gone="No product is sold below its floor any more.")  # fmt: skip
    rows = floors.table[floors.table["below"] > 0].sort_values("short", ascending=False)
    if rows.empty:
        return Part(metrics=[metric], sentence="No piece was sold below its floor in three months.",
                    title="Nothing is sold below its floor", detail=True)  # fmt: skip
    rows = rows.merge(advice.table[["product_id", "name"]], on="product_id").assign(
        under=lambda t: np.where(t["price"] < t["floor"] - _CENT, "yes", "")
    )
    short = wording.rounded_money(float(rows["short"].sum()), floors.currency)
    many = wording.counted(len(under), "product")
    title = f"{wording.upper(many)} {wording.noun(len(under), 'sells', 'sell')} below {wording.noun(len(under), 'its')} floor" \
        if len(under) else "Only single pieces were sold below their floor"  # fmt: skip
    share = formats.share(float(rows["below"].sum() / floors.table.loc[known, "pieces"].sum()), digits=1)
    return Part(
        title=title, signals=[signal] if len(under) else [], metrics=[metric], detail=not len(under),
        sentence=f"{share} of pieces went for less than cost and delivery: {short} missing in three months.",
        chart=figures.table(
            rows, caption="Products with pieces below their floor, last 90 days", rows=10 if len(under) else 5, file="floors",
            labels={"name": "Product", "pieces": "Pieces", "price": "Paid", "floor": "Floor", "share_below": "Pieces below",
                    "short": "Missing", "under": "Below on average"},
            formats={"pieces": formats.number, "price": money, "floor": money, "share_below": formats.share, "short": money},
        ),
        tables={"floors": rows.drop(columns=["under", "cost"])},
    )  # fmt: skip
