"""The baskets of a shop, carried over once: sizes, item totals, and which frequent item is in which basket."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from crmlib import wording
from crmlib.analysis.baskets.expressions import (
    EDGES,
    GROUPS,
    basket_lines,
    basket_table,
    grouped,
    item_totals,
    sized_items,
    total_profile,
)
from crmlib.errors import NotAvailable, NotEnoughData, UsageError
from crmlib.findings import Metric
from crmlib.shop import facts as shared
from crmlib.shop.shop import Shop

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Matrix = Any  # scipy.sparse.csc_array of zeros and ones, baskets × items

WORDS = {
    "product": ("product", "products"),
    "category": ("kind of product", "kinds of product"),
    "brand": ("brand", "brands"),
}
LATER_SHARE = 0.25
MIN_BASKETS = 5  # that must hold a rule however small the shop; fewer are luck or one household
# Wholesale: more items than this many times those that nine baskets in ten stay within, and never fewer than the least.
_WHOLESALE_TIMES, _WHOLESALE_LEAST, _WHOLESALE_SHARE = 10, 36, 0.02
_MAX_BASKETS, _MAX_ITEMS, _MAX_LINES = 3_000_000, 1_000_000, 30_000_000


@dataclass(frozen=True)
class Profile:
    """Item totals of some baskets without the items' names: `items[g]` items are each in `totals[g]` baskets."""

    totals: Ints
    items: Ints


@dataclass(frozen=True)
class Baskets:
    """All baskets of a shop, as far as rules need them. Arrays are aligned by basket or by item.

    sizes        distinct items of each basket; 0 where none is known at this level
    customers    the customer of each basket as a number; a guest's basket has one of its own
    days, months day and month of each basket, empty (NaT) where the shop has no orders table
    ids, names   the items carried: all that can be frequent, in the order of their ids
    held         baskets × those items
    cut          first day of the later part kept for checking, None without days
    middle       first day of the second half, for checking once more before `cut`
    profiles     item totals of all items by period ('all', 'earlier', 'later', 'first half', 'third quarter', months
                 such as '2026-03', a period's months such as 'earlier 2026-03', a group such as 'customers: new') and
                 size class
    items        distinct items in all baskets of the shop, frequent or not
    guests       baskets without a customer (of a whole shop only)
    groups       the group of each basket by name ('customers': new, returning, guest; 'channel' if customers have one)
    customer_ids the id behind each number of `customers`; guests' numbers lie beyond its end
    kinds        category and brand of each item, '' where not known
    prices, margins  of one piece of each item, on average; NaN where not known
    margin_known the share of sales whose costs are known
    currency     of prices and margins
    as_of        the day before which all this was seen
    undrawn      baskets of the shop that are not among these
    one_in       above 1: these are the baskets of one customer in so many, drawn by lot, since there are too many
    families     the family of each item (one thing in several sizes, colours or designs), '' where it stands alone
    prompted     which baskets a coupon, a campaign or a letter prompted; empty where the shop does not know
    min_baskets  that must hold a rule, whatever `min_support` says
    wholesale    items in each basket that was left out since it holds many times as many as nine in ten do
    """

    level: str
    min_support: float
    sizes: Ints
    customers: Ints
    days: pd.Series[pd.Timestamp]
    months: pd.Series[str]
    ids: tuple[str, ...]
    names: tuple[str, ...]
    held: Matrix
    cut: date | None
    profiles: dict[tuple[str, int], Profile]
    items: int
    guests: int
    groups: dict[str, pd.Series[str]] = field(default_factory=dict)
    customer_ids: tuple[str, ...] = ()
    kinds: tuple[tuple[str, str], ...] = ()
    prices: Floats = field(default_factory=lambda: np.empty(0))
    margins: Floats = field(default_factory=lambda: np.empty(0))
    margin_known: float = 0.0
    currency: str = ""
    as_of: date | None = None
    middle: date | None = None
    undrawn: int = 0
    one_in: int = 1
    families: tuple[str, ...] = ()
    prompted: Flags = field(default_factory=lambda: np.empty(0, dtype=bool))
    min_baskets: int = 1
    wholesale: tuple[int, ...] = ()

    @property
    def least(self) -> int:
        """Baskets that must hold a rule."""
        return max(minimum_count(self.min_support, self.n), self.min_baskets)

    @property
    def n(self) -> int:
        """Baskets, single items and guests included."""
        return len(self.sizes)

    @property
    def classes(self) -> Ints:
        """The size class of each basket."""
        return size_class(self.sizes)

    @property
    def yearly(self) -> float:
        """Baskets of the whole shop in a year, at the pace of the last twelve months; 0 where days are not known."""
        if self.days.isna().any() or not self.n:
            return 0.0
        last = self.days.max()
        since = max(self.days.min(), last - pd.Timedelta(days=364))
        return float((self.days >= since).sum()) * self.one_in * 365 / ((last - since).days + 1)

    def part(self, period: str) -> Baskets:
        """The baskets before `cut` ('earlier') or from then on ('later'), before `middle` ('first half') or between the
        two ('third quarter'): with the totals of the period, and of those of its months that it may hold a part of
        only."""
        bounds = {"earlier": (None, self.cut), "later": (self.cut, None), "first half": (None, self.middle),
                  "third quarter": (self.middle, self.cut)}  # fmt: skip
        start, end = (pd.Timestamp(day) if day else day for day in bounds[period])
        inside = (self.days >= (start or self.days.min())) & ((self.days < end) if end else True)
        own = {
            (month[len(period) + 1 :], c): p
            for (month, c), p in self.profiles.items()
            if month.startswith(f"{period} ")
        }
        part = self.rows(np.flatnonzero(inside), period=period)
        return replace(part, profiles=part.profiles | own)

    def rows(self, here: Ints, *, period: str) -> Baskets:
        """Some of the baskets, with the totals of `period` for all of theirs."""
        return replace(
            self,
            sizes=self.sizes[here],
            customers=self.customers[here],
            days=self.days.iloc[here],
            months=self.months.iloc[here],
            held=self.held[here],
            prompted=self.prompted[here] if len(self.prompted) else self.prompted,
            cut=None,
            middle=None,
            profiles={("all", c): profile for (name, c), profile in self.profiles.items() if name == period},
            guests=0,
            undrawn=0,
            wholesale=(),
            groups={name: group.iloc[here] for name, group in self.groups.items()},
        )

    def __repr__(self) -> str:
        items = f"{self.items:,} items at level {self.level}, {len(self.ids):,} of them carried"
        return f"Baskets({self.n:,} baskets, {items})"


def tally(id: str, label: str, value: float | None, n: int | None, definition: str, *, unit: str = "pairs") -> Metric:
    """A complete count as a metric that is no tile."""
    return Metric(id=id, label=label, value=value, n=n, definition=definition, unit=unit)


def minimum_count(support: float, baskets: int) -> int:
    """How many baskets must hold a set? ceil(support × baskets) of the support as it is written, at least 1.

    >>> minimum_count(0.07, 100)  # 0.07 * 100 is 7.000000000000001 in floating point
    7
    """
    return max(1, math.ceil(Fraction(str(support)) * baskets))


def size_class(sizes: Ints) -> Ints:
    """Which baskets are alike in size? The number of EDGES a size has reached: 0 for none or one item, 1 for two …"""
    return np.searchsorted(np.array(EDGES), sizes, side="right").astype(np.int64)


def facts(shop: Shop, *, level: str, min_support: float, min_baskets: int = 1, least_baskets: int = 1) -> Baskets:
    """What do the baskets of this shop hold? Carries every basket's size, and the items that can be frequent.

    `level` is product, category or brand; `min_support` the share of baskets that will be asked for, `min_baskets`
    their number in a small shop. Items below it stay in the engine and count in sizes only. Wholesale baskets are
    counted and left out: in one of hundreds of products anything meets anything. Where more than 3 million orders or
    30 million lines would have to leave the engine, those of one customer in `one_in` do. Raises NotAvailable without
    order_lines (or the level's column), NotEnoughData below `least_baskets`.
    """
    if level not in WORDS:
        raise UsageError(f"level must be one of {', '.join(WORDS)}; not {level!r}")
    one_in = _one_in(shop)
    every, shop = shared.basket_items(shop), shop.drawn(one_in)
    table = shop.fetch(basket_table(shop, level=level).order_by("order_id"), max_rows=_MAX_BASKETS)
    if len(table) < least_baskets:
        needed = wording.counted(least_baskets, "basket")
        raise NotEnoughData(f"rules need {needed}, this shop has {len(table):,} before {shop.as_of}")
    undrawn = 0
    if one_in > 1:
        undrawn = int(shop.fetch(every.aggregate(n=every["order_id"].nunique()))["n"].iloc[0]) - len(table)
    days = pd.Series(pd.to_datetime(table["day"]), name="day")
    cut, middle = _day_after(days, share=1 - LATER_SHARE), _day_after(days, share=1 - 2 * LATER_SHARE)
    first_half = int((days < pd.Timestamp(middle)).sum()) if middle else len(table)
    # What can be frequent in an earlier part has at least its minimum count in all.
    least = max(minimum_count(min_support, first_half), min_baskets)
    totals = item_totals(shop, level=level).filter(lambda t: t.baskets >= least).order_by("item")
    ids = tuple(shop.fetch(totals, max_rows=_MAX_ITEMS)["item"])
    lines = shop.fetch(basket_lines(shop, level=level, least=least), max_rows=_MAX_LINES)
    groups = {name: table[name].astype(str) for name in GROUPS if name in table}
    groups = {name: group for name, group in groups.items() if group.nunique() > 1}
    prices, margins, margin_known = _money(shop, ids, level=level)
    carried = replace(
        _carried(shop, table, (lines["basket"].to_numpy(), lines["item"].to_numpy()), level=level, ids=ids),
        min_support=min_support,
        min_baskets=min_baskets,
        cut=cut,
        middle=middle,
        profiles=_profiles(shop, level=level, cut=cut, middle=middle, groups=tuple(groups)),
        groups=groups,
        prices=prices,
        margins=margins,
        margin_known=margin_known,
        undrawn=undrawn,
        one_in=one_in,
    )
    return without_wholesale(carried)


def without_wholesale(baskets: Baskets) -> Baskets:
    """The same without baskets of ten times as many items as nine in ten have (36 at least), which are counted.

    Where more than one basket in fifty is so large, large baskets are this shop's business, and stay.
    The bound is the edge of a size class, so that the chance models of the others stay as they are.
    """
    some = baskets.sizes[baskets.sizes > 0]
    if not len(some):
        return baskets
    usual = max(_WHOLESALE_LEAST, _WHOLESALE_TIMES * float(np.quantile(some, 0.9)))
    bound = next((edge for edge in EDGES if edge >= usual), None)
    large = baskets.sizes >= (bound or np.inf)
    if bound is None or not 0 < large.mean() <= _WHOLESALE_SHARE:
        return baskets
    first = int(size_class(np.array([bound]))[0])
    kept = baskets.rows(np.flatnonzero(~large), period="all")
    return replace(
        kept,
        cut=baskets.cut,
        middle=baskets.middle,
        guests=int((kept.customers >= len(baskets.customer_ids)).sum()),
        undrawn=baskets.undrawn,
        profiles={(period, c): profile for (period, c), profile in baskets.profiles.items() if c < first},
        wholesale=tuple(sorted(baskets.sizes[large].tolist(), reverse=True)),
    )


def between(shop: Shop, *, level: str, ids: tuple[str, ...], start: date, end: date) -> Baskets:
    """The baskets of [start, end) with these items only, totals of all items included: enough to recount known pairs.

    In a shop with more than fit, those of the customers that `facts` draws.
    """
    shop = shop.drawn(_one_in(shop))

    def inside(rows: ir.Table) -> ir.Table:
        return rows.filter(rows["day"] >= ibis.literal(start), rows["day"] < ibis.literal(end))

    table = shop.fetch(inside(basket_table(shop, level=level)).order_by("order_id"), max_rows=_MAX_BASKETS)
    items = inside(shop.keep(sized_items(shop, level=level)))
    lines = shop.fetch(items.filter(items["item"].isin(ids)).select("order_id", "item"), max_rows=_MAX_LINES)
    where = (pd.Index(table["order_id"]).get_indexer(lines["order_id"]), pd.Index(ids).get_indexer(lines["item"]))
    periods = (ibis.literal("all"), items["day"].strftime("%Y-%m"))
    profiles = _read_profiles(shop, [total_profile(items, period=period) for period in periods])
    return replace(_carried(shop, table, where, level=level, ids=ids), profiles=profiles)


def _carried(shop: Shop, table: pd.DataFrame, where: tuple[Ints, Ints], *, level: str, ids: tuple[str, ...]) -> Baskets:
    """The baskets of `table` with these items in these rows and columns, without totals."""
    customers, customer_ids = _customers(table["customer_id"])
    days = pd.Series(pd.to_datetime(table["day"]), name="day")
    ones = np.ones(len(where[0]), dtype=np.int32)
    every = item_totals(shop, level=level)
    names, kinds = _described(shop, ids, level=level)
    return Baskets(
        level=level,
        min_support=0.0,
        sizes=table["size"].to_numpy(dtype=np.int64),
        customers=customers,
        days=days,
        months=days.dt.strftime("%Y-%m"),
        ids=ids,
        names=names,
        kinds=kinds,
        families=_families(shop, ids, level=level),
        prompted=table["prompted"].to_numpy(dtype=bool),
        held=sparse.csc_array((ones, where), shape=(len(table), len(ids))),
        cut=None,
        profiles={},
        items=int(shop.fetch(every.aggregate(n=every.count()))["n"].iloc[0]),
        guests=int((customers >= len(customer_ids)).sum()),
        customer_ids=customer_ids,
        currency=shop.currency,
        as_of=shop.as_of,
    )


def _one_in(shop: Shop) -> int:
    """Of how many customers one is drawn, so that the rows of all that are fit. With room for the draw's own chance."""
    most = {"orders": 0.95 * _MAX_BASKETS, "order_lines": 0.95 * _MAX_LINES}
    return max([1, *(math.ceil(shop.audits[name].kept / room) for name, room in most.items() if shop.has(name))])


def _day_after(days: pd.Series[pd.Timestamp], *, share: float) -> date | None:
    """The day on which this share of the days with baskets is over."""
    if days.isna().any() or days.nunique() < 2:
        return None
    first, last = days.min().date(), days.max().date()
    span = (last - first).days + 1
    return first + timedelta(days=math.ceil(span * share))


def _customers(ids: pd.Series[str]) -> tuple[Ints, tuple[str, ...]]:
    codes, known = pd.factorize(ids)
    codes = codes.astype(np.int64)
    guest = codes < 0
    # Nobody knows which guests are the same person: each basket is one.
    codes[guest] = len(known) + np.arange(guest.sum())
    return codes, tuple(known)


def _profiles(
    shop: Shop, *, level: str, cut: date | None, middle: date | None, groups: tuple[str, ...]
) -> dict[tuple[str, int], Profile]:
    # One size for all periods: a basket belongs to one day.
    items = shop.keep(sized_items(shop, level=level))
    asked = [(items, ibis.literal("all"))]
    if cut and middle:
        before, month = items["day"] < ibis.literal(cut), items["day"].strftime("%Y-%m")
        part = ibis.ifelse(before, "earlier", "later")
        half = ibis.ifelse(items["day"] < ibis.literal(middle), "first half", "third quarter")
        asked += [(items, part), (items, month), (items, part + " " + month)]
        asked += [(items.filter(before), period) for period in (half, half + " " + month)]
    if groups:
        named = grouped(shop, items)
        asked += [(named, ibis.literal(f"{group}: ") + named[group]) for group in groups]
    return _read_profiles(shop, [total_profile(rows, period=period) for rows, period in asked])


def _read_profiles(shop: Shop, tables: list[ir.Table]) -> dict[tuple[str, int], Profile]:
    found: dict[tuple[str, int], Profile] = {}
    for table in tables:
        frame = shop.fetch(table.order_by("period", "size_class", "baskets"), max_rows=_MAX_ITEMS)
        for (period, of_size), rows in frame.groupby(["period", "size_class"]):
            found[str(period), int(of_size)] = Profile(
                totals=rows["baskets"].to_numpy(dtype=np.int64), items=rows["items"].to_numpy(dtype=np.int64)
            )
    return found


def _money(shop: Shop, ids: tuple[str, ...], *, level: str) -> tuple[Floats, Floats, float]:
    """Price and margin of a piece of each item, and the share of all sales whose costs are known."""
    try:
        table = shop.fetch(shared.item_money(shop, level=level), max_rows=_MAX_ITEMS).set_index("item")
    except NotAvailable:
        return np.full(len(ids), np.nan), np.full(len(ids), np.nan), 0.0
    here = table.reindex(list(ids)).astype(float)
    known = here["known_pieces"].where(here["known_pieces"] > 0)
    prices, margins = here["sales"] / here["pieces"], (here["known_sales"] - here["tax"] - here["cost"]) / known
    sales = float(table["sales"].sum())
    share = float(table["known_sales"].sum()) / sales if sales > 0 else 0.0
    return prices.to_numpy(), margins.to_numpy(), share


def _families(shop: Shop, ids: tuple[str, ...], *, level: str) -> tuple[str, ...]:
    if level != "product":
        return ("",) * len(ids)
    found = shared.families(shop).set_index("product_id")["family"]
    return tuple(found.reindex(list(ids)).fillna(""))


def _described(shop: Shop, ids: tuple[str, ...], *, level: str) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """What to call the items (a product by its name, with its id if two share one), and category and brand of each."""
    if level != "product" or not shop.has("products"):
        return ids, (("", ""),) * len(ids)
    products = shop.table("products").select("product_id", "name", "category", "brand")
    known = shop.fetch(products, max_rows=_MAX_ITEMS).drop_duplicates("product_id").set_index("product_id")
    known = known.reindex(list(ids)).fillna("").astype(str)
    names = [name.strip() or item for name, item in zip(known["name"], ids, strict=True)]
    counts = pd.Series(names).value_counts()
    own = (name if counts[name] == 1 else f"{name} ({item})" for name, item in zip(names, ids, strict=True))
    return tuple(own), tuple(zip(known["category"], known["brand"], strict=True))
