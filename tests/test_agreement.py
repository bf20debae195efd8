"""Every shared facts expression beside a few lines of plain pandas that say the same."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

import crmlib as crm
from crmlib.analysis import data_health
from crmlib.analysis import lifetime_value as clv
from crmlib.shop import facts

CUT, END = date(2026, 4, 1), date(2026, 8, 1)


def same(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    """The same rows, whatever their order, types of integers or resolution of days."""
    columns = sorted(wanted.columns)
    assert sorted(found.columns) == columns
    frames = []
    for frame in (found, wanted):
        frame = frame[columns].copy()
        for name in columns:
            if pd.api.types.is_datetime64_any_dtype(frame[name]):
                frame[name] = frame[name].dt.strftime("%Y-%m-%d %H:%M:%S")
            elif pd.api.types.is_numeric_dtype(frame[name]):
                frame[name] = frame[name].astype(float).round(6)
            else:
                frame[name] = frame[name].astype(object).where(frame[name].notna(), "–")
        frames.append(frame.sort_values(columns, ignore_index=True))
    pd.testing.assert_frame_equal(*frames, check_dtype=False)


@pytest.fixture(scope="module")
def orders(demo_shop: crm.Shop) -> pd.DataFrame:
    """net_orders in plain pandas, from the usable rows."""
    frame = demo_shop.fetch(demo_shop.table("orders"))
    cancelled = frame["cancelled_at"].notna() | frame["status"].str.lower().isin(["cancelled", "canceled", "voided"])
    frame = frame[~cancelled]
    frame = frame.assign(day=frame["ordered_at"].dt.normalize(), revenue=frame["total"] - frame["refunded"].fillna(0))
    return frame[["order_id", "customer_id", "ordered_at", "day", "revenue"]]


@pytest.fixture(scope="module")
def days(orders: pd.DataFrame) -> pd.DataFrame:
    known = orders.dropna(subset="customer_id").groupby(["customer_id", "day"], as_index=False)
    return known.agg(orders=("order_id", "size"), revenue=("revenue", "sum"))


@pytest.fixture(scope="module")
def history(days: pd.DataFrame) -> pd.DataFrame:
    past = days[days["day"] < pd.Timestamp(CUT)]
    rows = []
    for customer, own in past.groupby("customer_id"):
        first, last = own["day"].min(), own["day"].max()
        repeats = own[own["day"] > first]
        rows.append(
            {"customer_id": customer, "frequency": len(repeats), "first_day": first, "last_day": last,
             "repeat_revenue": repeats["revenue"].sum(), "revenue": own["revenue"].sum(),
             "recency_days": (last - first).days, "t_days": (pd.Timestamp(CUT) - first).days - 1}
        )  # fmt: skip
    return pd.DataFrame(rows)


def test_net_orders(demo_shop, orders):
    assert len(orders) > 1000
    same(demo_shop.fetch(facts.net_orders(demo_shop)), orders)


def test_net_orders_from_lines(write_shop):
    orders = [
        {"order_id": i, "ordered_at": "2025-01-01", "customer_id": "a", "refunded": r} for i, r in (("1", 0), ("2", 3))
    ]
    lines = [
        {"order_id": o, "product_id": "p", "unit_price": p, "quantity": q}
        for o, p, q in (("1", 2.5, 2), ("1", 1, 1), ("2", 10, 1))
    ]
    shop = crm.connect(write_shop(orders=orders, order_lines=lines))
    money = shop.fetch(facts.net_orders(shop)).set_index("order_id")["revenue"]
    assert money.to_dict() == {"1": 6.0, "2": 7.0}


def test_line_total_wins_over_price_times_quantity(write_shop):
    lines = [{"order_id": "1", "product_id": "p", "unit_price": 9, "quantity": 0, "line_total": 1.25}]
    shop = crm.connect(write_shop(orders=[{"order_id": "1", "ordered_at": "2025-01-01"}], order_lines=lines))
    assert shop.fetch(facts.net_orders(shop))["revenue"].tolist() == [1.25]


def test_purchase_days(demo_shop, days):
    same(demo_shop.fetch(facts.purchase_days(demo_shop)), days)


def test_customer_history(demo_shop, history):
    assert (history["frequency"] > 0).any()
    same(demo_shop.fetch(facts.customer_history(demo_shop, until=CUT)), history)


def test_history_patterns(demo_shop, history):
    keys = ["frequency", "recency_days", "t_days"]
    wanted = history.groupby(keys, as_index=False).agg(customers=("customer_id", "size"))
    same(demo_shop.fetch(facts.history_patterns(facts.customer_history(demo_shop, until=CUT))), wanted)


def test_later_purchases(demo_shop, days):
    later = days[(days["day"] >= pd.Timestamp(CUT)) & (days["day"] < pd.Timestamp(END))]
    wanted = later.groupby("customer_id", as_index=False).agg(purchases=("day", "size"), revenue=("revenue", "sum"))
    same(demo_shop.fetch(facts.later_purchases(demo_shop, start=CUT, end=END)), wanted)


def test_holdout_patterns(demo_shop, history, days):
    later = days[(days["day"] >= pd.Timestamp(CUT)) & (days["day"] < pd.Timestamp(END))].groupby("customer_id").size()
    keys = ["frequency", "recency_days", "t_days", "purchases"]
    joined = history.assign(purchases=history["customer_id"].map(later).fillna(0).astype(int))
    wanted = joined.groupby(keys, as_index=False).agg(customers=("customer_id", "size"))
    same(demo_shop.fetch(clv.holdout_patterns(demo_shop, start=CUT, end=END)), wanted)


def test_weekly_repeats(demo_shop, days):
    first = days.groupby("customer_id")["day"].transform("min")
    known = days[(first < pd.Timestamp(CUT)) & (days["day"] > first) & (days["day"] < pd.Timestamp(END))]
    week = (known["day"] - pd.Timestamp(CUT)).dt.days // 7
    wanted = known.assign(week=week).groupby("week", as_index=False).agg(purchases=("day", "size"))
    assert (wanted["week"] < 0).any()
    same(demo_shop.fetch(clv.weekly_repeats(demo_shop, start=CUT, end=END)), wanted)


def test_monthly(demo_shop, orders):
    month = orders["day"].dt.to_period("M").dt.to_timestamp()
    wanted = (
        orders.assign(month=month)
        .groupby("month", as_index=False)
        .agg(orders=("order_id", "size"), revenue=("revenue", "sum"))
    )
    same(demo_shop.fetch(facts.monthly(demo_shop)), wanted)


def test_guest_orders_and_totals(demo_shop, orders):
    month = orders["day"].dt.to_period("M").dt.to_timestamp()
    grouped = orders.assign(month=month, guest=orders["customer_id"].isna()).groupby("month", as_index=False)
    same(
        demo_shop.fetch(data_health.guest_orders(demo_shop)),
        grouped.agg(orders=("order_id", "size"), guests=("guest", "sum")),
    )
    totals = demo_shop.fetch(data_health.order_totals(demo_shop)).iloc[0]
    assert (totals["customers"], totals["orders"]) == (orders["customer_id"].nunique(), len(orders))
    assert totals["revenue"] == pytest.approx(orders["revenue"].sum())


@pytest.mark.parametrize("level", ["product", "category", "brand"])
def test_basket_items(demo_shop, orders, level):
    lines = demo_shop.fetch(demo_shop.table("order_lines"))
    lines = lines[lines["quantity"] > 0]
    products = demo_shop.fetch(demo_shop.table("products")).set_index("product_id")
    item = lines["product_id"] if level == "product" else lines["product_id"].map(products[level])
    items = lines.assign(item=item)[["order_id", "item"]].dropna().drop_duplicates()
    wanted = items.merge(orders[["order_id", "customer_id", "day"]], on="order_id")
    assert len(wanted) > 1000
    same(demo_shop.fetch(facts.basket_items(demo_shop, level=level), max_rows=1_000_000), wanted)
