"""Data health on shops small enough to count by hand."""

from __future__ import annotations

import json

import pandas as pd
import pytest

import crmlib as crm
from crmlib.analysis import data_health

ORDERS = [
    {"order_id": "1", "ordered_at": "2025-01-05", "customer_id": "a", "total": "10.10", "refunded": "", "cancelled_at": ""},
    {"order_id": "2", "ordered_at": "2025-01-06", "customer_id": "", "total": "20.20", "refunded": "0.20", "cancelled_at": ""},
    {"order_id": "3", "ordered_at": "2025-02-06", "customer_id": "a", "total": "5", "refunded": "", "cancelled_at": ""},
    {"order_id": "4", "ordered_at": "2025-02-07", "customer_id": "b", "total": "7", "refunded": "", "cancelled_at": "2025-02-08"},
    {"order_id": "4", "ordered_at": "2025-02-07", "customer_id": "b", "total": "7", "refunded": "", "cancelled_at": ""},
    {"order_id": "5", "ordered_at": "2025-03-01", "customer_id": "b", "total": "9", "refunded": "", "cancelled_at": ""},
]  # fmt: skip


@pytest.fixture
def shop(write_shop):
    return crm.connect(write_shop(orders=ORDERS, toml='currency = "EUR"'), as_of="2025-02-20")


def test_counts_by_hand(shop):
    said = data_health.findings(data_health.measure(shop), shop=shop)
    wanted = {
        "customers": 1, "orders": 3, "order_lines": None, "revenue": 35.1, "rows_read": 6, "rows_kept": 4,
        "rows_set_aside": 1, "rows_after_as_of": 1, "guest_order_share": 1 / 3,
    }  # fmt: skip
    assert {name: said[name].value for name in wanted} == pytest.approx(wanted)
    assert said.tables["months"].to_dict("records") == [
        {"month": "2025-01", "orders": 2, "revenue": pytest.approx(30.1)},
        {"month": "2025-02", "orders": 1, "revenue": 5.0},
    ]
    assert said.tables["set_aside"].to_dict("records") == [{"table": "orders", "row": 5, "code": "repeated_key"}]
    # One row in six set aside is more than one in a hundred.
    assert said.status == "warnings"
    assert [check.verdict for check in said.checks] == ["warning", "warning"]


def test_the_last_month_is_marked_while_it_is_not_over(shop, write_shop):
    health = data_health.measure(shop)
    assert health.last_month_is_partial
    assert data_health.figure_months(health).title == "Net sales were €30 in January 2025, the last full month"
    over = data_health.measure(crm.connect(shop.folder, as_of="2025-03-01"))
    assert not over.last_month_is_partial
    assert data_health.figure_months(over).title == "Net sales were €5 in February 2025"


def test_a_shop_without_orders_still_has_a_page(write_shop):
    rows = [{"feedback_id": "1", "text": "fine", "created_at": "2025-01-01"}]
    shop = crm.connect(write_shop(feedback=rows))
    health = data_health.measure(shop)
    said = data_health.findings(health, shop=shop)
    assert said["orders"].value is None
    assert said["revenue"].value is None
    assert said["rows_read"].value == 1
    for make in (
        data_health.figure_months,
        data_health.figure_guests,
        data_health.table_faults,
    ):
        assert make(health).title
    assert said.tables["months"].empty


def test_a_table_without_one_usable_row_fails_its_check(write_shop):
    shop = crm.connect(write_shop(orders=[{"order_id": "", "ordered_at": "2025-01-01"}]), as_of="2025-02-01")
    checks = data_health.findings(data_health.measure(shop), shop=shop).checks
    assert checks[0].verdict == "failed"
    assert "no usable row" in checks[0].text


def test_demo_dirt_is_found_again(demo_folder):
    """Every planted fault of the demo shop is set aside or counted under its own reason, and nothing else is."""
    planted = json.loads((demo_folder / "truth.json").read_text(encoding="utf-8"))["dirt"]
    shop = crm.connect(demo_folder)
    found = {(row.table, row.code): row.rows for row in data_health.measure(shop).faults.itertuples()}
    orders, lines, customers, feedback = (planted[name] for name in ("orders", "order_lines", "customers", "feedback"))
    assert found == {
        ("customers", "missing_value"): customers["missing_id"],
        ("customers", "repeated_key"): customers["repeated_key"] + customers["identical_row"],
        ("customers", "impossible_value"): customers["impossible_birth_date"],
        ("orders", "missing_value"): orders["missing_id"] + orders["missing_date"],
        ("orders", "negative_total"): orders["negative_total"],
        ("orders", "repeated_key"): orders["repeated_key"] + orders["identical_row"],
        ("orders", "unreadable_date"): orders["unreadable_date"],
        ("orders", "unreadable_value"): orders["unreadable_number"],
        ("orders", "unknown_customer"): orders["unknown_customer"],
        ("order_lines", "missing_value"): lines["missing_order_id"] + lines["missing_product_id"],
        ("order_lines", "repeated_key"): lines["identical_row"],
        ("order_lines", "unknown_order"): lines["unknown_order"],
        ("order_lines", "unreadable_value"): lines["unreadable_number"],
        ("order_lines", "negative_quantity"): lines["negative_quantity"],
        ("order_lines", "zero_quantity_with_money"): lines["zero_quantity"],
        ("feedback", "missing_value"): feedback["missing_id"] + feedback["empty_text"],
        ("feedback", "repeated_key"): feedback["repeated_key"] + feedback["identical_row"],
        ("feedback", "unreadable_value"): feedback["unreadable_date"],
        ("feedback", "impossible_value"): feedback["rating_out_of_range"],
    }
    assert shop.audits["orders"].after_as_of == orders["future_date"]
    assert shop.audits["order_lines"].after_as_of == lines["of_future_order"]


def test_months_are_newest_last_and_exact(demo_shop):
    health = data_health.measure(demo_shop)
    assert health.months["month"].is_monotonic_increasing
    assert health.months["revenue"].sum() == pytest.approx(health.revenue)
    assert isinstance(health.faults, pd.DataFrame)


def test_from_orders_kept_to_orders_that_count_by_hand(shop):
    said = data_health.findings(data_health.measure(shop), shop=shop)
    assert "Of 4 orders kept, 3 stand and 1 was cancelled; 1 of those that stand is from a guest." in said.so_what[1]


@pytest.mark.parametrize(
    ("before", "words"),
    [("8", "€12 in February 2025, 50\N{NO-BREAK SPACE}% more than a year before"),
     ("24", "€12 in February 2025, 50\N{NO-BREAK SPACE}% less than a year before"),
     ("12", "€12 in February 2025, as in the same month a year before"),
     (None, "€12 in February 2025")],
)  # fmt: skip
def test_a_month_stands_beside_the_same_month_a_year_before(write_shop, before, words):
    rows = [("2025-01-10", "99"), ("2025-02-10", "12"), *([("2024-02-10", before)] if before else [])]
    orders = [{"order_id": str(n), "ordered_at": day, "total": total} for n, (day, total) in enumerate(rows)]
    store = crm.connect(write_shop(orders=orders, toml='currency = "EUR"'), as_of="2025-03-01")
    title = data_health.figure_months(data_health.measure(store)).title
    assert title == f"Net sales were {words}"


def test_refunds_still_to_come_do_not_look_like_growth(write_shop):
    """Two like Septembers, of which the older has had its refunds: net sales grew by a quarter, sales did not."""
    rows = [
        {"order_id": f"{year}-{n}", "ordered_at": f"{year}-09-{n:02}", "total": "10", "refunded": "10" if year == 2024 and n <= 5 else "",
         "refunded_at": f"{year}-10-{n:02}" if year == 2024 and n <= 5 else ""}
        for year in (2024, 2025) for n in range(1, 26)
    ]  # fmt: skip
    rows[30] |= {"refunded": "10", "refunded_at": "2025-10-20"}
    store = crm.connect(write_shop(orders=rows, toml='currency = "EUR"'), as_of="2025-10-01")
    health = data_health.measure(store)
    assert health.months["revenue"].tolist() == [200.0, 250.0]
    drawn = data_health.figure_months(health)
    assert drawn.title == "Net sales were €250 in September 2025; before refunds, as in the same month a year before"
    assert "Refunds of the last months' orders are still coming in" in drawn.sentence
    assert "each refund in the month of its order" in drawn.sentence


def test_orders_that_are_missing_from_the_months_are_said_with_their_money(write_shop):
    good = [{"order_id": str(n), "ordered_at": "2025-01-05", "customer_id": "a", "total": "10"} for n in range(5)]
    bad = [
        {"order_id": "5", "ordered_at": "sometime", "customer_id": "a", "total": "30"},
        {"order_id": "6", "ordered_at": "sometime", "customer_id": "a", "total": "lots"},
        {"order_id": "", "ordered_at": "2025-01-05", "customer_id": "a", "total": "12"},
        {"order_id": "7", "ordered_at": "2025-01-05", "customer_id": "a", "total": "-4"},
        {"order_id": "1", "ordered_at": "2025-01-05", "customer_id": "a", "total": "10"},
    ]
    store = crm.connect(write_shop(orders=good + bad, toml='currency = "EUR"'), as_of="2025-02-01")
    health = data_health.measure(store)
    said = data_health.figure_months(health).sentence
    assert "4 orders are missing here, because they were set aside: the date cannot be read (2), " in said
    assert "come to €42, to −€4 for those below zero" in said
    clean = data_health.measure(crm.connect(write_shop(orders=good, toml='currency = "EUR"'), as_of="2025-02-01"))
    assert "agree to the cent" in data_health.figure_months(clean).sentence
    page = data_health.findings(health, shop=store)
    assert (
        page.actions[0].why
        == "the date cannot be read (2); a field that must be filled is empty (1); other reasons (2)"
    )
    assert page.actions[0].by == "15\N{NO-BREAK SPACE}February 2025"
    assert "by more than the 4 orders set aside can explain" in page.so_what[2]


def test_buyers_who_are_missing_from_the_customer_list_are_counted(write_shop):
    orders = [{"order_id": str(n), "ordered_at": "2025-01-05", "customer_id": who} for n, who in enumerate("abbc")]
    shop = crm.connect(write_shop(orders=orders, customers=[{"customer_id": "a"}]), as_of="2025-02-01")
    health = data_health.measure(shop)
    assert (health.customers, health.unlisted) == (3, 2)
    assert (
        "2 of them are missing from the customer list"
        in data_health.findings(health, shop=shop)["customers"].definition
    )


def test_the_commonest_fault_is_said_in_plain_words(shop):
    title = data_health.table_faults(data_health.measure(shop)).title
    assert title == "Most common fault: the same number stands twice in the export (1 order; the first row is kept)"


def test_guests_by_chance_alone_stay_in_the_band(demo_shop):
    health = data_health.measure(demo_shop)
    drawn = data_health.figure_guests(health)
    assert "By month the share stayed between" in drawn.sentence
    assert "19 months in 20" in drawn.caption
