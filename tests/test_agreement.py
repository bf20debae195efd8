"""Every shared facts expression beside a few lines of plain pandas that say the same, on each engine.

The oracles start from the usable rows as DuckDB keeps them; test_engines.py holds Spark's to those.
"""

from __future__ import annotations

import inspect
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import crmlib as crm
from crmlib.analysis import data_health
from crmlib.analysis.lifetime_value import methods, validation
from crmlib.cli import main
from crmlib.publishing import csv_rows
from crmlib.shop import facts
from crmlib.shop.facts.customers import TRAITS
from tests.conftest import ROOT

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
def lines(demo_shop: crm.Shop) -> pd.DataFrame:
    return demo_shop.fetch(demo_shop.table("order_lines"))


@pytest.fixture(scope="module")
def products(demo_shop: crm.Shop) -> pd.DataFrame:
    return demo_shop.fetch(demo_shop.table("products")).set_index("product_id")


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


def test_net_orders(shop, orders):
    assert len(orders) > 1000
    same(shop.fetch(facts.net_orders(shop)), orders)


@pytest.mark.usefixtures("each_engine")
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


@pytest.mark.usefixtures("each_engine")
def test_line_total_wins_over_price_times_quantity(write_shop):
    lines = [{"order_id": "1", "product_id": "p", "unit_price": 9, "quantity": 0, "line_total": 1.25}]
    shop = crm.connect(write_shop(orders=[{"order_id": "1", "ordered_at": "2025-01-01"}], order_lines=lines))
    assert shop.fetch(facts.net_orders(shop))["revenue"].tolist() == [1.25]


def test_purchase_days(shop, days):
    same(shop.fetch(facts.purchase_days(shop)), days)


@pytest.fixture(scope="module")
def gaps(days: pd.DataFrame) -> pd.DataFrame:
    past = days[days["day"] < pd.Timestamp(END)].sort_values(["customer_id", "day"])
    own = past.groupby("customer_id")["day"]
    after = own.shift(-1)
    return past[["customer_id", "day", "revenue"]].assign(
        number=own.cumcount() + 1, closed=after.notna(), gap=(after.fillna(pd.Timestamp(END)) - past["day"]).dt.days,
        behind=(past["day"] - own.transform("min")).dt.days, of=own.transform("size"),
    )  # fmt: skip


def test_gaps(shop, gaps):
    same(shop.fetch(facts.gaps(shop, day=END)), gaps)


def test_gap_lengths(shop, gaps):
    closed = gaps[gaps["closed"]]
    weighed = closed.assign(w=1 / closed.groupby("customer_id")["gap"].transform("size"))
    same(
        shop.fetch(facts.gap_lengths(shop, day=END)),
        weighed.groupby("gap", as_index=False).agg(n=("w", "size"), w=("w", "sum")),
    )


def test_since(shop, orders):
    days = orders.dropna(subset="customer_id").groupby("customer_id")["ordered_at"].min().dt.normalize()
    spans = ((days - days.min()).dt.days // 30).value_counts().sort_index()
    assert spans.iloc[0] <= 3 * spans.iloc[1:].median(), "this shop's first customers did not come in a rush"
    assert facts.since(shop) == (None, "")


@pytest.mark.usefixtures("each_engine")
def test_since_of_data_that_begins_in_mid_life(write_shop):
    # Forty who buy every 20 days are first seen at once, then two new ones each 30 days: the rush ebbs after 30.
    first = [pd.Timestamp("2025-01-01") + pd.Timedelta(days=n % 20) for n in range(40)]
    first += [pd.Timestamp("2025-02-10") + pd.Timedelta(days=30 * (n // 2)) for n in range(16)]
    rows = [{"order_id": f"{n}-{k}", "customer_id": f"c{n}", "ordered_at": begun + pd.Timedelta(days=20 * k)}
            for n, begun in enumerate(first) for k in range(4)]  # fmt: skip
    shop = crm.connect(write_shop(orders=rows), as_of=date(2026, 1, 1))
    day, said = facts.since(shop)
    assert day == date(2025, 1, 31) and said.endswith("in its first 30 days is left out.")


def test_first_orders(shop, orders):
    first = orders.dropna(subset="customer_id").sort_values(["ordered_at", "order_id"]).drop_duplicates("customer_id")
    same(shop.fetch(facts.first_orders(shop)), first[["customer_id", "ordered_at", "order_id"]])
    raw = shop.fetch(shop.table("orders").select("order_id", "channel"))
    meant = first[["customer_id", "ordered_at", "order_id"]].merge(raw, on="order_id")
    same(shop.fetch(facts.first_orders(shop, "channel")), meant)


def test_customer_traits(shop, demo_shop, orders):
    first = orders.dropna(subset="customer_id").sort_values(["ordered_at", "order_id"]).drop_duplicates("customer_id")
    columns = ("order_id", "channel", "coupon")
    found = first[["customer_id", "order_id"]].merge(
        demo_shop.fetch(demo_shop.table("orders").select(*columns)), how="left"
    )
    items = demo_shop.fetch(demo_shop.table("order_lines").select("order_id", "product_id"), max_rows=10**6)
    kinds = demo_shop.fetch(demo_shop.table("products").select("product_id", "category"))
    held = items.merge(kinds).dropna(subset="category").sort_values("product_id").drop_duplicates("order_id")
    own = demo_shop.fetch(demo_shop.table("customers").select("customer_id", *TRAITS))
    wanted = found.merge(held[["order_id", "category"]], how="left").merge(own, how="left").rename(
        columns={"channel": "first_channel", "category": "first_product"}
    )  # fmt: skip
    wanted["first_coupon"] = np.where(wanted["coupon"].fillna("") != "", "with a coupon", "without a coupon")
    same(shop.fetch(facts.customer_traits(shop)), wanted.drop(columns=["order_id", "coupon"]))


def test_customer_history(shop, history):
    assert (history["frequency"] > 0).any()
    same(shop.fetch(facts.customer_history(shop, until=CUT)), history)


def test_history_patterns(shop, history):
    keys = ["frequency", "recency_days", "t_days"]
    wanted = history.groupby(keys, as_index=False).agg(customers=("customer_id", "size"))
    same(shop.fetch(facts.history_patterns(facts.customer_history(shop, until=CUT))), wanted)


def test_later_purchases(shop, days):
    later = days[(days["day"] >= pd.Timestamp(CUT)) & (days["day"] < pd.Timestamp(END))]
    wanted = later.groupby("customer_id", as_index=False).agg(purchases=("day", "size"), revenue=("revenue", "sum"))
    same(shop.fetch(facts.later_purchases(shop, start=CUT, end=END)), wanted)


def test_holdout_patterns(shop, history, days):
    later = days[(days["day"] >= pd.Timestamp(CUT)) & (days["day"] < pd.Timestamp(END))].groupby("customer_id").size()
    keys = ["frequency", "recency_days", "t_days", "purchases"]
    joined = history.assign(purchases=history["customer_id"].map(later).fillna(0).astype(int))
    wanted = joined.groupby(keys, as_index=False).agg(customers=("customer_id", "size"))
    same(shop.fetch(methods.holdout_patterns(shop, start=CUT, end=END)), wanted)


def test_weekly_repeats(shop, days):
    first = days.groupby("customer_id")["day"].transform("min")
    known = days[(first < pd.Timestamp(CUT)) & (days["day"] > first) & (days["day"] < pd.Timestamp(END))]
    week = (known["day"] - pd.Timestamp(CUT)).dt.days // 7
    wanted = known.assign(week=week).groupby("week", as_index=False).agg(purchases=("day", "size"))
    assert (wanted["week"] < 0).any()
    same(shop.fetch(validation.weekly_repeats(shop, start=CUT, end=END)), wanted)


def test_monthly(shop, orders):
    month = orders["day"].dt.to_period("M").dt.to_timestamp()
    wanted = (
        orders.assign(month=month)
        .groupby("month", as_index=False)
        .agg(orders=("order_id", "size"), revenue=("revenue", "sum"))
    )
    same(shop.fetch(facts.monthly(shop)), wanted)


def test_guest_orders_and_totals(shop, orders):
    month = orders["day"].dt.to_period("M").dt.to_timestamp()
    grouped = orders.assign(month=month, guest=orders["customer_id"].isna()).groupby("month", as_index=False)
    same(
        shop.fetch(data_health.guest_orders(shop)),
        grouped.agg(orders=("order_id", "size"), guests=("guest", "sum")),
    )
    totals = shop.fetch(data_health.order_totals(shop)).iloc[0]
    assert (totals["customers"], totals["orders"]) == (orders["customer_id"].nunique(), len(orders))
    assert totals["revenue"] == pytest.approx(orders["revenue"].sum())


@pytest.mark.parametrize("level", ["product", "category", "brand"])
def test_basket_items(shop, orders, lines, products, level):
    lines = lines[lines["quantity"] > 0]
    item = lines["product_id"] if level == "product" else lines["product_id"].map(products[level])
    items = lines.assign(item=item)[["order_id", "item"]].dropna().drop_duplicates()
    wanted = items.merge(orders[["order_id", "customer_id", "day"]], on="order_id")
    assert len(wanted) > 1000
    same(shop.fetch(facts.basket_items(shop, level=level), max_rows=1_000_000), wanted)


def test_line_money(shop, lines):
    found = shop.fetch(shop.table("order_lines").select("order_id", "line_no", money=facts.line_money(shop)))
    same(found, lines[["order_id", "line_no"]].assign(money=lines["line_total"]))


def test_order_money(shop, demo_shop, orders, lines):
    """Every order that stands, with what was taken off and refunded; those with lines as `order_margins` has them."""
    raw = demo_shop.fetch(demo_shop.table("orders")).set_index("order_id")
    found = shop.fetch(facts.order_money(shop))
    wanted = orders.drop(columns="ordered_at").assign(
        lined=orders["order_id"].isin(lines["order_id"]), off=orders["order_id"].map(raw["discount"]).fillna(0.0),
        back=orders["order_id"].map(raw["refunded"]).fillna(0.0),
    )  # fmt: skip
    assert wanted["off"].sum() > 0 and wanted["back"].sum() > 0
    same(found[wanted.columns], wanted)
    assert found.loc[~found["lined"], "goods"].isna().all()
    same(found[found["lined"]].drop(columns=["lined", "off", "back"]), shop.fetch(facts.order_margins(shop)))


@pytest.mark.parametrize("level", ["product", "category"])
def test_item_money(shop, orders, lines, products, level):
    sold = lines[(lines["quantity"] > 0) & lines["order_id"].isin(orders["order_id"])]
    each = sold["unit_cost"].fillna(sold["product_id"].map(products["unit_cost"]))
    item = sold["product_id"] if level == "product" else sold["product_id"].map(products[level])
    sold = sold.assign(item=item, cost=each * sold["quantity"], pieces=sold["quantity"], sales=sold["line_total"])
    sold["tax"] = 0.0
    for name, of in (("known_pieces", "pieces"), ("known_sales", "sales")):
        sold[name] = sold[of].where(sold["cost"].notna(), 0)
    names = ["pieces", "sales", "known_pieces", "known_sales", "tax", "cost"]
    wanted = sold.dropna(subset="item").groupby("item", as_index=False)[names].sum()
    assert 0 < wanted["known_sales"].sum() <= wanted["sales"].sum()
    same(shop.fetch(facts.item_money(shop, level=level)), wanted)


def test_order_margins(shop, demo_shop, orders, lines, products):
    """An order's lines, one order at a time; and the same without the tax in its prices."""
    paid = demo_shop.fetch(demo_shop.table("orders")).set_index("order_id")
    wanted = []
    own = dict(list(lines.groupby("order_id")))
    for order in orders.itertuples():
        if order.order_id not in own:
            continue
        rows = own[order.order_id]
        cost = rows["unit_cost"].fillna(rows["product_id"].map(products["unit_cost"])) * rows["quantity"]
        goods, known = rows["line_total"].sum(), rows["line_total"][cost.notna()].sum()
        total, discount = paid.loc[order.order_id, ["total", "discount"]]
        whole = total or goods
        margin = back = tax = np.nan
        if cost.notna().any() and known and whole:
            spent = cost.sum() * goods / known
            margin = (goods - (discount if discount == discount else 0) - spent) * order.revenue / whole
            back = spent * (1 - order.revenue / whole)
            said = paid.loc[order.order_id, "tax"]
            part = said / total if said == said and total > 0 and 0 <= said < total else 0.19 / 1.19
            tax = part * (goods - (discount if discount == discount else 0)) * order.revenue / whole
        wanted.append((order.order_id, order.customer_id, order.day, order.revenue, goods, known, margin, back, tax))
    columns = ["order_id", "customer_id", "day", "revenue", "goods", "known", "margin", "returned_cost", "tax"]
    wanted = pd.DataFrame(wanted, columns=columns)
    assert wanted["margin"].notna().mean() > 0.9 and wanted["tax"].sum() > 0
    tax = wanted.pop("tax")
    same(shop.fetch(facts.order_margins(shop)), wanted)
    taxed = replace(shop, settings=replace(shop.settings, prices_include_tax=True, tax_rate=0.19))
    same(taxed.fetch(facts.order_margins(taxed)), wanted.assign(margin=wanted["margin"] - tax))


@pytest.mark.parametrize(
    ("lines", "products", "known"),
    [({"quantity": 1}, {}, False), ({"quantity": 1, "unit_cost": 2}, {}, True), ({"unit_cost": 2}, {}, False),
     ({"quantity": 1}, {"unit_cost": 2}, True), ({}, {"unit_cost": 2}, False)],
)  # fmt: skip
def test_has_costs(write_shop, lines, products, known):
    folder = write_shop(
        orders=[{"order_id": "1", "ordered_at": "2025-01-01"}],
        order_lines=[{"order_id": "1", "product_id": "p", **lines}],
        products=[{"product_id": "p", **products}],
    )
    assert facts.has_costs(crm.connect(folder)) is known


CREDITS = [
    {"order_id": "1", "ordered_at": "2025-01-05", "customer_id": "a", "total": "100"},
    {"order_id": "2", "ordered_at": "2025-01-06", "customer_id": "b", "total": "40"},
    {"order_id": "3", "ordered_at": "2025-01-20", "customer_id": "a", "total": "-30"},
    {"order_id": "4", "ordered_at": "2025-01-21", "customer_id": "b", "total": "-40"},
]


def test_sales(write_shop):
    shop = crm.connect(write_shop(orders=CREDITS), as_of="2025-02-01")
    sold = shop.fetch(facts.sales(shop).order_by("order_id"))
    assert [(row.order_id, float(row.revenue), row.orders) for row in sold.itertuples()] == [
        ("1", 100, 1),
        ("3", -30, 0),
    ]


def test_lone_credits(write_shop):
    """The note of 40 undoes order 2; the one of 30 undoes nothing and reduces sales on its own day."""
    shop = crm.connect(write_shop(orders=CREDITS), as_of="2025-02-01")
    assert shop.fetch(facts.lone_credits(shop))["order_id"].tolist() == ["3"]


def test_may_have_credits(write_shop):
    assert facts.may_have_credits(crm.connect(write_shop(orders=CREDITS), as_of="2025-02-01"))
    assert not facts.may_have_credits(crm.connect(write_shop("none", orders=CREDITS[:2]), as_of="2025-02-01"))


def test_goods(write_shop):
    lines = [{"order_id": "1", "product_id": p, "quantity": 1, "line_total": "5"} for p in ("cup", "Shipping")]
    shop = crm.connect(write_shop(orders=CREDITS[:1], order_lines=lines), as_of="2025-02-01")
    assert shop.fetch(facts.goods(shop))["product_id"].tolist() == ["cup"]


def test_contact_cost(write_shop):
    orders = pd.DataFrame({"order_id": ["1"], "ordered_at": ["2026-02-01"]})
    assert facts.contact_cost(crm.connect(write_shop(orders=orders), as_of="2026-03-01")) == 0.0
    kinds = ["Contact", "contact", "campaign", "Offer ", "offer", "gift", "gift"]
    costs = pd.DataFrame({"kind": kinds, "amount": [0.4, 0.6, 99.0, 2.0, 3.0, 0.25, 50.0],
                          "valid_from": ["2025-01-01", "2026-01-01", "", "", "2025-06-01", "2024-01-01", "2026-04-01"]})  # fmt: skip
    shop = crm.connect(write_shop(costs=costs, orders=orders), as_of="2026-03-01")
    assert facts.contact_cost(shop) == pytest.approx(0.6 + 3.0 + 0.25)
    assert facts.contact_cost(shop, kinds=("contact",)) == 0.6


def test_letters(write_shop):
    channels = ["Email", "newsletter", "SMS", "search", "e-mail", "Push", "email", ""]
    kinds = ["sent", "", "click", "click", "Bounce", "sent", "visit", "sent"]
    touches = pd.DataFrame({"customer_id": list("abcdefgh"), "at": ["2026-02-01 09:00:00"] * 8, "channel": channels,
                            "kind": kinds, "campaign_id": ["spring", *[""] * 7]})  # fmt: skip
    shop = crm.connect(
        write_shop(touches=touches, orders=pd.DataFrame({"order_id": ["1"], "ordered_at": ["2026-02-01"]}))
    )
    found = shop.fetch(facts.letters(shop)).sort_values("customer_id")
    day = "2026-02-01"
    named = [f"spring {day}", f"newsletter {day}", f"sms {day}", f"push {day}"]
    assert found["customer_id"].tolist() == ["a", "b", "c", "f"] and found["letter"].tolist() == named
    assert facts.letters(crm.connect(write_shop(name="none", orders=[{"order_id": 1, "ordered_at": day}]))) is None


def test_public_holidays(write_shop):
    orders = pd.DataFrame({"order_id": ["1"], "ordered_at": ["2026-02-01"]})
    span = date(2026, 12, 24), date(2027, 1, 2)
    assert facts.public_holidays(crm.connect(write_shop(orders=orders)), *span) == {}
    found = facts.public_holidays(crm.connect(write_shop(orders=orders, toml='country = "DE"\n')), *span)
    assert list(found) == [date(2026, 12, 25), date(2026, 12, 26), date(2027, 1, 1)]


def test_told(write_shop):
    days = ["2026-01-05", "2026-01-05", "2026-01-11", "2026-01-20"]  # three days of sales, a usual gap of five
    orders = pd.DataFrame({"order_id": list("abcd"), "ordered_at": days, "total": 9.0})
    first, until, newest = facts.told(crm.connect(write_shop(orders=orders), as_of=date(2026, 3, 1)))
    assert (first, newest) == (pd.Timestamp("2025-12-18"), pd.Timestamp("2026-01-20"))
    assert until >= pd.Timestamp("2026-02-07")


def test_every_fact_has_an_oracle_here():
    public = {
        name
        for name, made in vars(facts).items()
        if inspect.isfunction(made) and made.__module__.startswith(facts.__name__)
    }
    public = {name for name in public if not name.startswith("_")}
    assert len(public) >= 11
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    # What credit notes, goods and families do is counted by hand there.
    by_hand = "".join(
        (ROOT / "tests" / f"test_{name}.py").read_text(encoding="utf-8") for name in ("sales", "families")
    )
    assert public <= tested | {name for name in public if f"facts.{name}(" in by_hand}


@pytest.mark.slow
def test_who_cancelled_after_twelve_minutes_is_on_no_list(
    demo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large orders undone at once, by a day of cancelling, a status or a credit note: nobody is to call or keep in touch."""
    folder, ids = tmp_path / "shop", ["UNDONE1", "UNDONE2", "UNDONE3", "STANDS"]
    shutil.copytree(demo_folder, folder)
    people, orders = (pd.read_csv(folder / f"{name}.csv", dtype=str) for name in ("customers", "orders"))
    whole = people[people["email_consent"].eq("True") & people["email"].notna()].head(4)
    whole = whole.assign(customer_id=ids, email=[f"{who}@example.com" for who in ids], phone=None, birth_date=None)
    made = pd.DataFrame(
        [(f"U{n}{k}", f"2026-0{4 + k}-10 10:00:00", who, "9000.00", "completed")
         for n, who in enumerate(ids) for k in range(4)],
        columns=["order_id", "ordered_at", "customer_id", "total", "status"],
    )  # fmt: skip
    soon = made["ordered_at"].str.replace("10:00", "10:12")
    made["cancelled_at"] = soon.where(made["customer_id"] == ids[0])
    made["status"] = made["status"].mask(made["customer_id"] == ids[1], "cancelled")
    notes = made[made["customer_id"] == ids[2]].assign(total="-9000.00", ordered_at=soon)
    notes["order_id"] = "R" + notes["order_id"]
    pd.concat([people, whole]).to_csv(folder / "customers.csv", index=False)
    pd.concat([orders, made, notes]).to_csv(folder / "orders.csv", index=False)
    monkeypatch.chdir(ROOT)
    reports, names = tmp_path / "reports", ["lifetime_value", "customers", "retention", "purchase_cycles", "briefing"]
    done = CliRunner().invoke(main, ["run", *names, "--shop", str(folder), "--reports", str(reports)])
    assert done.exit_code == 0, done.output
    lists = sorted(reports.glob("2026-10-01/*/lists/*.csv"))
    rows = {f"{file.parent.parent.name}/{file.stem}": csv_rows(file) for file in lists}
    assert {"briefing/briefing", "lifetime_value/wholesale_customers", "retention/win_back"} <= set(rows)
    named = {name for name, found in rows.items() if {row["customer_id"] for row in found} & set(ids[:3])}
    assert named == set()
    # The same orders, had they stood, are what such lists look for.
    assert ids[3] in {row["customer_id"] for row in rows["lifetime_value/wholesale_customers"]}
    pages = "".join(file.read_text() for file in reports.glob("2026-10-01/*/report.html"))
    assert "UNDONE" not in pages
