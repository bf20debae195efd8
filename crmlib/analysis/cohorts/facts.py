"""Newcomers with what they came for and what they did after: one row each in the engine, sums when they leave it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import pandas as pd

from crmlib import formats
from crmlib.errors import NotAvailable, UsageError
from crmlib.shop import facts as shared
from crmlib.shop.facts.gaps import since

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

MONTH_DAYS = 30.4375
MONTHS = (*range(13), 18, 24)  # whole months since the first order at which people are looked at; 0 is its day
BOUNDS = {month: int(month * MONTH_DAYS) for month in MONTHS}
LEAST = 30  # newcomers below which a group is not judged
WON = ("channel", "coupon", "country")
GROUPS = (*WON, "season")
CHRISTMAS, OTHERWISE = "before Christmas", "at other times"
NO_COUPON, OTHER, UNKNOWN = "no coupon", "other", "unknown"
_MOST_VALUES = 40  # of a group that are told apart
_OLD_ACCOUNT_DAYS = 30
_DEALER = 20  # times what one in a hundred spends, and nobody buys so for himself


@dataclass(frozen=True, kw_only=True)
class Newcomers:
    """Newcomers in sums.

    cells    by (all, channel, coupon, country, season), cohort, first (month of the first order), n; within and
             back_within (known for all of `within_days`, and those of them who bought again by then); for k of MONTHS
             n_k (known for all of k months), back_k (bought again by then), revenue_k, margin_k and squares_k (of the
             margin); given_back and off (refunds and discounts of first orders), gross
    called   what the margin columns hold: margin, or net sales where no costs are known
    left_out customers who had bought before the data begins, as far as one can tell; `rule` says how
    dealers  customers left out who spent more than 20 times what 99 of 100 do: they would be a cohort's whole margin
    people   the others, as `newcomers` has them, one row each in the engine
    """

    __repr__ = formats.outline

    cells: pd.DataFrame
    as_of: date
    within_days: int
    called: str
    left_out: int
    rule: str
    dealers: int
    people: ir.Table = field(repr=False)
    currency: str
    segment: str = ""

    @property
    def total(self) -> int:
        """How many newcomers there are."""
        return int(self.of("all")["n"].sum())

    def of(self, by: str) -> pd.DataFrame:
        """The rows of one grouping."""
        return self.cells[self.cells["by"] == by].reset_index(drop=True)

    def months(self) -> pd.DataFrame:
        """Months of first orders, oldest first: first, n, back, share, of those months whose newcomers are all known
        for `within_days`."""
        rows = self.of("all").sort_values("first")
        rows = rows[rows["within"] == rows["n"]]
        return pd.DataFrame(
            {"first": rows["first"], "n": rows["n"], "back": rows["back_within"],
             "share": rows["back_within"] / rows["n"]}
        ).reset_index(drop=True)  # fmt: skip


def newcomers(shop: Shop, *, after: date | None = None) -> ir.Table:
    """Grain: a customer whose first order is in the data. Guests are out.

    Columns customer_id, order_id and ordered_at (of the first order), first_day, known_days (to the last day observed),
    second_days (until the next purchase day; empty: none yet), first (month), channel, coupon, country, season (the
    four weeks before Christmas or not, where that is a public holiday of the shop's country), old: had an account 30
    days before the data begins, or was first seen before `after`. Not enough for money.
    """
    days = shared.gaps(shop, day=shop.as_of)
    first = days.filter(days["number"] == 1)
    second = ibis.ifelse(first["closed"], first["gap"], None)
    begun = shared.first_orders(shop, "coupon", "channel").rename(_coupon="coupon", _way="channel")
    rows = begun.inner_join(first.select("customer_id", _day="day", second_days=second), "customer_id")
    people = shop.table("customers") if shop.has("customers") else None
    if people is not None:
        known = people.select("customer_id", "country", "created_at", _source="acquisition_channel")
        rows = rows.left_join(known, "customer_id").drop("customer_id_right")
    else:
        rows = rows.mutate(country=ibis.null("string"), created_at=ibis.null("timestamp"), _source=ibis.null("string"))
    rows = rows.cross_join(first.aggregate(_start=first["day"].min()))
    source = rows["_source"] if shop.has("customers", "acquisition_channel") else rows["_way"]
    old = (rows["created_at"].date().delta(rows["_start"], unit="day") < -_OLD_ACCOUNT_DAYS).fill_null(False)
    if after is not None:
        old |= rows["_day"] < ibis.literal(after)
    end, begun = ibis.literal(shop.as_of), rows["_day"].month() * 100 + rows["_day"].day()
    christmas = date(shop.as_of.year, 12, 25)
    known = christmas in shared.public_holidays(shop, christmas, christmas)
    season = ibis.ifelse(begun.between(1127, 1224), CHRISTMAS, OTHERWISE) if known else ibis.literal(UNKNOWN)
    return rows.select(
        "customer_id", "order_id", "ordered_at", "second_days", first_day="_day", first=rows["_day"].truncate("M"),
        known_days=end.delta(rows["_day"], unit="day").cast("int64") - 1,
        channel=_said(source, UNKNOWN), coupon=_said(rows["_coupon"], NO_COUPON),
        country=_said(rows["country"], UNKNOWN), season=season, old=old,
    )  # fmt: skip


def followed(shop: Shop, people: ir.Table) -> ir.Table:
    """Grain: a newcomer of `people`, with money: revenue_k and margin_k of all orders until month k of MONTHS, and
    given_back, off, gross of the first day. Where no costs are known margin_k is net sales. Not enough for products."""
    paid = shared.has_costs(shop)
    columns = ["customer_id", "day", "revenue", "off", "back"]
    orders = shared.net_orders(shop, "refunded", "discount").rename(off="discount", back="refunded").select(*columns)
    if paid:  # kept, since every line of the shop is read for it
        orders = shop.keep(shared.order_money(shop).select(*columns, "margin"))
    orders = orders.mutate(_money=orders["revenue"].cast("float64").fill_null(0.0))
    rows = orders.inner_join(people.select("customer_id", "first_day"), "customer_id")
    amounts = {"revenue": "_money"}
    if paid:
        known = orders.filter(orders["margin"].notnull() & orders["customer_id"].notnull())
        share = known.aggregate(_share=(known["margin"].sum() / known["revenue"].sum().nullif(0)).fill_null(1.0))
        rows = rows.cross_join(share)
        # Money of orders without a known cost earns the shop's usual share.
        rows = rows.mutate(_margin=rows["margin"].fill_null(rows["_money"] * rows["_share"]))
        amounts["margin"] = "_margin"
    days = rows["day"].delta(rows["first_day"], unit="day")
    late = len(MONTHS)
    rows = rows.mutate(_at=ibis.cases(*((days <= end, k) for k, end in enumerate(BOUNDS.values())), else_=late))
    first = rows["day"] == rows["first_day"]
    # Each order counts in one month, and what was earned by then is added up after: an order in every month is slow.
    sums = {f"_{name}_{k}": rows[amount].sum(where=rows["_at"] == k)
            for name, amount in amounts.items() for k in range(late)}  # fmt: skip
    # Of a shop that has no such column, what a state says was given back is not counted here.
    back = rows["back"].cast("float64").fill_null(0.0) if shop.has("orders", "refunded") else 0 * rows["_money"]
    sums["given_back"] = back.sum(where=first)
    sums["off"] = rows["off"].cast("float64").fill_null(0.0).sum(where=first)
    sums["gross"] = (rows["_money"] + back).sum(where=first)
    found = people.inner_join(rows.group_by("customer_id").aggregate(**sums), "customer_id")
    for name in ("revenue", "margin"):
        parts = [found[f"_{name if name in amounts else 'revenue'}_{k}"].fill_null(0.0) for k in range(late)]
        found = found.mutate(**{f"{name}_{month}": sum(parts[1 : k + 1], parts[0]) for k, month in enumerate(MONTHS)})
    return found.drop(*(name for name in sums if name.startswith("_")))


def summed(rows: ir.Table, *, within_days: int) -> ir.Table:
    """Grain: newcomers of one month alike in all of GROUPS, with the sums of `Newcomers.cells`: what groups add up."""
    sums = {
        "n": rows.count(),
        "within": (rows["known_days"] >= within_days).cast("int64").sum(),
        "back_within": ((rows["known_days"] >= within_days) & (rows["second_days"] <= within_days)).sum().fill_null(0),
        **{name: rows[name].sum() for name in ("given_back", "off", "gross")},
    }
    for month, bound in BOUNDS.items():
        whole = rows["known_days"] >= bound
        sums[f"n_{month}"] = whole.cast("int64").sum()
        sums[f"back_{month}"] = (whole & (rows["second_days"] <= bound).fill_null(False)).cast("int64").sum()
        for name in ("revenue", "margin"):
            sums[f"{name}_{month}"] = rows[f"{name}_{month}"].sum(where=whole).fill_null(0.0)
        sums[f"squares_{month}"] = (rows[f"margin_{month}"] ** 2).sum(where=whole).fill_null(0.0)
    return rows.group_by(*GROUPS, "first").aggregate(**sums)


def cells(rows: ir.Table, *, by: str) -> ir.Table:
    """Grain: a value of `by` (all: one) and a month of first orders, with the columns of `Newcomers.cells`."""
    rows = rows.mutate(by=ibis.literal(by), cohort=ibis.literal("") if by == "all" else rows[by])
    key, sums = ("by", "cohort", "first"), {}
    for name in [name for name in rows.columns if name not in (*GROUPS, *key)]:
        # Once they are kept, whole numbers may be wider than any that is counted here.
        sums[name] = (rows[name] if rows[name].type().is_floating() else rows[name].cast("int64")).sum()
    return rows.group_by(*key).aggregate(**sums).order_by(*key)


def measure(shop: Shop, *, within_days: int = 90) -> Newcomers:
    """Who came new, by month, channel, coupon, country and season, and what did they do in the months after?

    `within_days` (1 to 730) is the time in which coming back is compared. NotAvailable where orders do not name their
    customer.

    >>> measure(store).total > 0
    True
    """
    if not 0 < within_days <= BOUNDS[MONTHS[-1]]:
        raise UsageError(f"within_days is {within_days}; it has to lie between 1 and {BOUNDS[MONTHS[-1]]}")
    shop.table("orders")
    if not shop.has("orders", "customer_id"):
        raise NotAvailable("needs orders.customer_id; this shop's orders do not name their customer")
    after, rule = since(shop)
    if rule and shop.has("customers", "created_at"):
        after, rule = None, ""  # accounts say it better
    people = shop.keep(newcomers(shop, after=after))
    counted = shop.fetch(people.aggregate(old=people["old"].cast("int64").sum().fill_null(0)))
    rows, dealers = _persons(shop, shop.keep(followed(shop, people.filter(~people["old"]))))
    sums = shop.keep(summed(rows, within_days=within_days))
    parts = [shop.fetch(cells(sums, by="all"))]
    for by in GROUPS:
        often = sums.group_by(by).aggregate(n=sums["n"].sum()).order_by(ibis.desc("n"), by)
        often = shop.fetch(often.limit(_MOST_VALUES))
        values = often.loc[often["n"] >= LEAST, by].tolist()
        if len(values) > 1:
            told = sums.mutate(**{by: ibis.ifelse(sums[by].isin(values), sums[by], OTHER)})
            parts.append(shop.fetch(cells(told, by=by)))
    frame = pd.concat(parts, ignore_index=True)
    return Newcomers(
        cells=frame.assign(first=pd.to_datetime(frame["first"])), as_of=shop.as_of, within_days=within_days,
        called="margin" if shared.has_costs(shop) else "net sales", left_out=int(counted["old"].iloc[0]), rule=rule,
        dealers=dealers, people=rows.select(*people.columns), currency=shop.currency, segment=shop.segment,
    )  # fmt: skip


def _persons(shop: Shop, rows: ir.Table) -> tuple[ir.Table, int]:
    """The rows without dealers, and how many those are."""
    count = int(shop.fetch(rows.aggregate(n=rows.count()))["n"].iloc[0])
    top = rows.select(spent=f"revenue_{MONTHS[-1]}").order_by(ibis.desc("spent")).limit(count // 100 + 1)
    most = _DEALER * float(shop.fetch(top.aggregate(spent=top["spent"].min()))["spent"].iloc[0]) if count else 0.0
    if not most > 0:
        return rows, 0
    theirs = rows[f"revenue_{MONTHS[-1]}"] > most
    return rows.filter(~theirs), int(shop.fetch(rows.aggregate(n=theirs.cast("int64").sum()))["n"].iloc[0])


def _said(text: ir.StringValue, otherwise: str) -> ir.StringValue:
    bare = text.cast("string").fill_null("").strip()
    return ibis.ifelse(bare == "", otherwise, bare)
