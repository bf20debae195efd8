"""What is there: rows read and used, months, guests, faults and what the shop lacks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

import ibis.expr.types as ir
import pandas as pd

from crmlib.errors import DataError
from crmlib.formats import outline
from crmlib.shop import facts
from crmlib.shop.quality import SET_ASIDE
from crmlib.shop.tables import TABLES

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

_ALL_ROWS = 5_000_000
_LONG = 3  # months without a new customer that are worth saying

# What a shop would learn from a column it does not have yet: table, column, how one asks for it, what it would show.
_FIELDS = (
    ("orders", "customer_id", "the customer of each order", "who buys again, and what a customer is worth"),
    ("orders", "total", "the total of each order", "sales and lifetime value in money"),
    ("order_lines", "product_id", "the products of each order", "what sells together"),
    ("order_lines", "unit_cost", "what each product cost you", "margin instead of sales"),
    ("orders", "refunded", "what was refunded", "sales after refunds"),
    ("customers", "email_consent", "who agreed to marketing e-mail", "lists of customers who may be written to"),
    ("customers", "acquisition_channel", "where each customer came from", "which channel's customers repay their cost"),
    ("feedback", "text", "reviews and complaints", "what customers complain about"),
)


@dataclass(frozen=True, kw_only=True)
class Health:
    """What data_health measured. Amounts in the shop's currency; None where the shop has no such table or column.

    reconciliation  table, read, kept, set_aside, after_as_of; the last row is the sum
    faults          table, code, meaning, rows, kept
    months          month (first day), orders, revenue, refunds (of that month's orders, as known so far), then (the
                    revenue as it was known a year before as_of)
    guests          month (first day), orders, guests
    newest          table, day (its newest row)
    missing         code, meaning, orders, money: orders that could not be used and stand nowhere else
    set_aside       table, row, code: the rows that could not be used
    last_new        day on which a customer last ordered for the first time; None without customers
    told            until which day before as_of the data tells of sales; NaT without any
    unlisted        buyers who are missing from the customer list; None without one
    fields          table, column, asked, shows: columns the shop lacks, how one asks for them, what they would show
    """

    __repr__ = outline

    as_of: date
    currency: str
    reconciliation: pd.DataFrame
    faults: pd.DataFrame
    months: pd.DataFrame
    guests: pd.DataFrame
    newest: pd.DataFrame
    missing: pd.DataFrame
    fields: pd.DataFrame
    set_aside: pd.DataFrame
    customers: int | None
    unlisted: int | None
    last_new: date | None
    orders: int | None
    order_lines: int | None
    revenue: float | None
    like_for_like: bool
    told: pd.Timestamp

    @property
    def total(self) -> pd.Series:
        """Rows of all tables together: read, kept, set_aside, after_as_of."""
        return self.reconciliation.iloc[-1]

    @property
    def money_missing(self) -> float:
        """What orders that could not be used say they brought; totals below zero apart."""
        return float(self.missing["money"].astype(float).sum())

    @property
    def nobody_new(self) -> date | None:
        """Since when nobody has bought for the first time, if that is three months or more while others still buy."""
        newest = self.newest.set_index("table")["day"].get("orders")
        if self.last_new is None or newest is None:
            return None
        return self.last_new if pd.Timestamp(self.last_new) < newest - pd.DateOffset(months=_LONG) else None

    @property
    def last_month_is_partial(self) -> bool:
        """Is the newest month not over yet, or does the data end within it?"""
        return bool((self.months["month"].tail(1) + pd.offsets.MonthEnd(0) > self.told).any())

    @property
    def full_months(self) -> pd.DataFrame:
        """The months that are over."""
        return self.months.iloc[:-1] if self.last_month_is_partial else self.months

    @property
    def measure(self) -> Literal["revenue", "orders"]:
        """What months are compared by: money, or orders where there is none."""
        return "revenue" if self.revenue is not None else "orders"

    @property
    def unit(self) -> str:
        """The unit of `measure`."""
        return (self.currency or "amount") if self.measure == "revenue" else "orders"


def guest_orders(shop: Shop) -> ir.Table:
    """Grain: a calendar month. Columns month (its first day), orders, guests (orders without a customer)."""
    orders = facts.net_orders(shop)
    months = orders.group_by(month=orders["day"].truncate("M"))
    return months.aggregate(orders=orders.count(), guests=orders["customer_id"].isnull().sum()).order_by("month")


def refunds(shop: Shop) -> ir.Table:
    """Grain: a calendar month. What was given back of its orders: refunds, and late, those of the last year.

    Columns month (its first day), refunds, late (dated within the year before as_of; 0 where refunds have no day).
    """
    given = shop.table("orders").select("order_id", "refunded", "refunded_at")
    orders = facts.net_orders(shop).filter(lambda t: t.revenue.notnull()).left_join(given, "order_id")
    months = orders.group_by(month=orders["day"].truncate("M"))
    late = (orders["refunded_at"].date() >= _year_before(shop.as_of)).fill_null(False)
    return months.aggregate(
        refunds=orders["refunded"].sum().fill_null(0), late=orders["refunded"].sum(where=late).fill_null(0)
    ).order_by("month")


def unlisted_buyers(shop: Shop) -> ir.Table:
    """Grain: one row. Column customers: buyers who are missing from the customer list."""
    buyers = facts.net_orders(shop).filter(lambda t: t.customer_id.notnull())
    unlisted = buyers.anti_join(shop.table("customers"), "customer_id")
    return unlisted.aggregate(customers=unlisted["customer_id"].nunique())


def shared_addresses(shop: Shop) -> ir.Table:
    """Grain: one row. Column addresses: e-mail addresses that stand at more than one customer."""
    by = shop.table("customers").group_by(email=lambda t: t["email"].strip().lower()).aggregate(n=lambda t: t.count())
    return by.aggregate(addresses=((by["n"] > 1) & (by["email"] != "")).sum().fill_null(0))


def newest_customer(shop: Shop) -> ir.Table:
    """Grain: one row. Column day: when somebody last ordered for the first time."""
    orders = facts.net_orders(shop).filter(lambda t: t.customer_id.notnull())
    first = orders.group_by("customer_id").aggregate(day=orders["day"].min())
    return first.aggregate(day=first["day"].max())


def order_totals(shop: Shop) -> ir.Table:
    """Grain: one row. Columns customers (distinct buyers), orders, revenue (net, in the shop's currency)."""
    sold = facts.sales(shop)
    counted = sold["orders"] > 0
    return sold.aggregate(
        customers=sold["customer_id"].nunique(where=counted),
        orders=sold["orders"].sum().fill_null(0),
        revenue=sold["revenue"].sum(),
    )


def measure(shop: Shop) -> Health:
    """Are all rows accounted for, how fresh are they, and what do they add up to?

    Works on any shop: what its tables cannot tell is None. Raises DataError if the counts do not reconcile.
    """
    reconciliation = shop.reconciliation()
    parts = reconciliation[["kept", "set_aside", "after_as_of"]].sum(axis=1)
    if not (parts == reconciliation["read"]).all():
        raise DataError("rows read are not the rows kept, set aside and after as_of: please report this as a defect")
    nothing = pd.DataFrame({"month": pd.Series(dtype="datetime64[s]")})
    sold = shop.has("orders")
    totals = shop.fetch(order_totals(shop)).iloc[0] if sold else None
    known = sold and shop.has("orders", "customer_id")
    listed = known and shop.has("customers")
    return Health(
        as_of=shop.as_of,
        currency=shop.currency,
        reconciliation=reconciliation,
        faults=shop.faults(),
        months=_months(shop) if sold else nothing.assign(orders=0, revenue=0.0, refunds=0.0, then=0.0),
        guests=shop.fetch(guest_orders(shop)) if sold else nothing.assign(orders=0, guests=0),
        newest=_newest(shop),
        missing=_missing(shop),
        fields=_fields(shop),
        set_aside=shop.fetch(shop.set_aside(), max_rows=_ALL_ROWS),
        customers=int(totals["customers"]) if totals is not None and known else None,
        unlisted=int(shop.fetch(unlisted_buyers(shop))["customers"].iloc[0]) if listed else None,
        last_new=_last_new(shop) if known else None,
        orders=int(totals["orders"]) if totals is not None else None,
        order_lines=shop.audits["order_lines"].kept if shop.has("order_lines") else None,
        revenue=float(totals["revenue"]) if totals is not None and not pd.isna(totals["revenue"]) else None,
        like_for_like=not shop.has("orders", "refunded") or shop.has("orders", "refunded_at"),
        told=min(facts.told(shop)[1], pd.Timestamp(shop.as_of) - pd.Timedelta(days=1)) if sold else pd.NaT,
    )


def _last_new(shop: Shop) -> date | None:
    day = shop.fetch(newest_customer(shop))["day"].iloc[0]
    if pd.isna(day):
        return None
    last: date = pd.Timestamp(day).date()
    return last


def _year_before(day: date) -> date:
    return (pd.Timestamp(day) - pd.DateOffset(years=1)).date()


def _months(shop: Shop) -> pd.DataFrame:
    months = _every(shop.fetch(facts.monthly(shop)), shop)
    if not shop.has("orders", "refunded"):
        return months.assign(refunds=0.0, then=months["revenue"])
    both = months.merge(shop.fetch(refunds(shop)), on="month", how="left").fillna({"refunds": 0.0, "late": 0.0})
    return both.assign(then=both["revenue"] + both["late"]).drop(columns="late")


def _every(months: pd.DataFrame, shop: Shop) -> pd.DataFrame:
    """Months without an order are zeros, up to the shop's newest event: what is after it nobody has told us."""
    if months.empty or shop.data_through is None:
        return months
    last = max(months["month"].iloc[-1], pd.Timestamp(shop.data_through).replace(day=1))
    every = pd.DataFrame(
        {"month": pd.date_range(months["month"].iloc[0], last, freq="MS").astype(months["month"].dtype)}
    )
    money = 0.0 if months["revenue"].notna().any() else float("nan")
    filled = every.merge(months, on="month", how="left").fillna({"orders": 0, "revenue": money})
    return filled.astype({"orders": months["orders"].dtype})


def _missing(shop: Shop) -> pd.DataFrame:
    audit = shop.audits.get("orders")
    # Of a number that stands twice the first order counts, so nothing is missing.
    found = {code: (n, audit.money[code]) for code, n in audit.set_aside.items()} if audit else {}
    rows = [(code, SET_ASIDE[code], n, money) for code, (n, money) in found.items() if code != "repeated_key"]
    frame = pd.DataFrame(rows, columns=["code", "meaning", "orders", "money"])
    return frame.sort_values("orders", ascending=False, kind="stable", ignore_index=True)


def _newest(shop: Shop) -> pd.DataFrame:
    rows = []
    for name in shop.audits:
        time = TABLES[name].time
        if time and shop.has(name, time):
            table = shop.table(name)
            at = shop.fetch(table.aggregate(at=table[time].max()))["at"].iloc[0]
            if not pd.isna(at):
                rows.append((name, at.normalize()))
    return pd.DataFrame(rows, columns=["table", "day"])


def _fields(shop: Shop) -> pd.DataFrame:
    lacking = [field for field in _FIELDS if not shop.has(*field[:2])]
    if facts.has_costs(shop):
        lacking = [field for field in lacking if field[1] != "unit_cost"]
    return pd.DataFrame(lacking, columns=["table", "column", "asked", "shows"])
