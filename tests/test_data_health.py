"""Data health on shops small enough to count by hand."""

from __future__ import annotations

import json
from datetime import date

import pandas as pd
import pytest

import crmlib as crm
from crmlib.analysis import data_health
from crmlib.analysis.data_health.apart import part_credits, part_not_goods

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


def page_of(shop):
    return data_health.page(data_health.measure(shop), shop=shop)


def test_counts_by_hand(shop):
    said = page_of(shop)
    wanted = {
        "customers": 1, "orders": 3, "order_lines": None, "revenue": 35.1, "rows_read": 6, "rows_kept": 4,
        "rows_set_aside": 1, "rows_after_as_of": 1, "guest_order_share": 1 / 3,
    }  # fmt: skip
    assert {name: said[name].value for name in wanted} == pytest.approx(wanted)
    months = said.tables["months"].astype(object)
    assert months.where(months.notna(), None).to_dict("records") == [
        {"month": "2025-01", "orders": 2, "revenue": pytest.approx(30.1), "year_before_as_known_then": None},
        {"month": "2025-02", "orders": 1, "revenue": 5.0, "year_before_as_known_then": None},
    ]
    assert said.tables["set_aside"].to_dict("records") == [{"table": "orders", "row": 5, "code": "repeated_key"}]
    # One row in six not used is more than one in a hundred.
    assert said.status == "warnings"
    assert [check.verdict for check in said.checks] == ["warning", "warning"]


def _references(write_shop, ids: list[str], *, listed: list[str]) -> dict[str, str]:
    orders = [
        {"order_id": f"o{i}", "ordered_at": "2025-01-05", "customer_id": id, "total": 1} for i, id in enumerate(ids)
    ]
    lines = [{"order_id": f"O-{i}" if i < 3 else f"o{i}", "product_id": "p", "line_total": 1} for i in range(len(ids))]
    folder = write_shop(orders=orders, order_lines=lines, customers=[{"customer_id": id} for id in listed])
    said = page_of(crm.connect(folder, as_of="2025-02-20"))
    return {check.name: check.text for check in said.checks if check.verdict == "failed"}


def test_references_that_find_nothing_are_a_fault_from_a_tenth_on(write_shop):
    failed = _references(write_shop, [*(f"c{i}" for i in range(20)), ""], listed=[f"C-{i}" for i in range(20)])
    alike = "look whether both files write the number alike."
    assert failed == {
        "customers of orders": f"100% of orders find no customer in the customer list: {alike}",
        "orders of order lines": f"14% of order lines find no order in the order list: {alike}",
    }
    # One in ten is not more than a tenth.
    few = _references(write_shop, [f"c{i}" for i in range(40)], listed=[f"c{i}" for i in range(4, 40)])
    assert few == {}


def test_a_customer_lists_own_totals_are_held_against_the_orders(write_shop):
    orders = [
        {"order_id": f"o{i}", "ordered_at": "2025-01-05", "customer_id": f"c{i % 4}", "total": 500} for i in range(8)
    ]

    def said(*own: str) -> list[str]:
        listed = [{"customer_id": f"c{i}", "Total Spent": text} for i, text in enumerate(own)]
        page = page_of(
            crm.connect(write_shop(orders=orders, customers=listed, toml='currency = "EUR"'), as_of="2025-02-20")
        )
        return [f"{part.title}. {part.sentence}" for part in page.parts if "Total Spent" in part.title]

    assert said("1000", "€1,000.00", "1000.00", "EUR 1000") == [
        "The customer list's ‘Total Spent’ agrees with the orders. Both come to €4,000."
    ]
    assert said("1100", "1000", "1000", "1000") == [
        "‘Total Spent’ differs from the orders of 1 of 4 customers. It comes to €4,100, their orders to €4,000 after "
        "refunds; pages use the orders."
    ]
    # A decimal comma is not guessed, and what is no number is not compared.
    assert said("1000,00", "unknown", "", "") == []


def test_the_last_month_is_marked_while_it_is_not_over(shop):
    health = data_health.measure(shop)
    assert health.last_month_is_partial
    part = data_health.part_months(health)
    assert page_of(shop).headline.endswith("January sales were €30.")
    assert part.title == "Sales: too few months to compare"
    assert part.chart.caption == "The last month is not whole."
    over = data_health.measure(crm.connect(shop.folder, as_of="2025-03-01"))
    assert not over.last_month_is_partial
    assert data_health.page(over, shop=shop).headline.endswith("February sales were €5.")
    begun = data_health.measure(crm.connect(shop.folder, as_of="2025-01-20"))
    assert "sales" not in data_health.page(begun, shop=shop).headline


@pytest.mark.parametrize(
    "tables",
    [
        {"feedback": [{"feedback_id": "1", "text": "fine", "created_at": "2025-01-01"}]},
        {"orders": [{"order_id": "1", "ordered_at": "2025-01-01"}]},
        {"orders": [{"order_id": "", "ordered_at": "2025-01-01"}]},
        {"products": [{"product_id": "1", "name": "Cup"}]},
        {"order_lines": [{"order_id": "1", "product_id": "2"}]},
        {"assignments": [{"experiment": "a", "unit_id": "1", "variant": "b", "assigned_at": "2025-01-01"}]},
    ],
    ids=lambda tables: next(iter(tables)),
)
def test_any_shop_has_a_page(write_shop, tables):
    said = page_of(crm.connect(write_shop(**tables), as_of="2025-03-01"))
    assert said["rows_read"].value == 1
    assert said.headline
    assert len(said.tiles) <= 4
    assert said.to_json()


def test_a_table_without_one_usable_row_fails_its_check_and_leads(write_shop):
    shop = crm.connect(write_shop(orders=[{"order_id": "", "ordered_at": "2025-01-01"}]), as_of="2025-02-01")
    said = page_of(shop)
    assert said.checks[0].verdict == "failed"
    assert said.headline.startswith("The orders file has no usable row.")


def test_demo_dirt_is_found_again(demo_folder):
    """Every planted fault of the demo shop is set aside or counted under its own reason, and nothing else is."""
    truth = json.loads((demo_folder / "truth.json").read_text(encoding="utf-8"))
    shop, planted = crm.connect(demo_folder), truth["dirt"]
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
        ("price_survey", "unordered_prices"): truth["price_survey"]["not_rising"],
    }
    assert shop.audits["orders"].after_as_of == orders["future_date"]
    assert shop.audits["order_lines"].after_as_of == lines["of_future_order"]


def test_months_are_newest_last_and_exact(demo_shop):
    health = data_health.measure(demo_shop)
    assert health.months["month"].is_monotonic_increasing
    assert health.months["revenue"].sum() == pytest.approx(health.revenue)
    assert isinstance(health.faults, pd.DataFrame)


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ("8", ", up 50% on last year"),
        ("24", ", down 50% on last year"),
        ("12", ", the same as last year"),
        ("6", ", about twice as much as last year"),
        ("1", ", at least ten times as much as last year"),
        (None, ""),
    ],
)
def test_a_month_stands_beside_the_same_month_a_year_before(write_shop, before, words):
    rows = [("2025-01-10", "99"), ("2025-02-10", "12"), *([("2024-02-10", before)] if before else [])]
    orders = [{"order_id": str(n), "ordered_at": day, "total": total} for n, (day, total) in enumerate(rows)]
    said = page_of(crm.connect(write_shop(orders=orders, toml='currency = "EUR"'), as_of="2025-03-01"))
    assert said.headline.endswith(f"February sales were €12{words}.")
    assert said["sales_month"].before == (float(before) if before else None)
    assert not said.changes  # the headline says it, once


def test_months_without_orders_count_as_nothing(write_shop):
    rows = [("2024-02-10", "8"), ("2024-12-10", "5"), ("2025-02-10", "12")]
    orders = [{"order_id": str(n), "ordered_at": day, "total": total} for n, (day, total) in enumerate(rows)]
    said = page_of(crm.connect(write_shop(orders=orders), as_of="2025-03-01"))
    assert said["sales_12m"].value == 17
    assert said["sales_12m"].before is None
    months = said.tables["months"].set_index("month")
    assert months.index.tolist() == [f"{day:%Y-%m}" for day in pd.date_range("2024-02-01", "2025-02-01", freq="MS")]
    assert months["revenue"].tolist() == [8, *[0] * 9, 5, 0, 12] and months["orders"].sum() == 3


def test_months_are_nothing_up_to_the_newest_event_of_any_table_and_unknown_after_it(write_shop):
    orders = [{"order_id": "1", "ordered_at": "2025-01-10", "total": "8"}]
    feedback = [{"feedback_id": "1", "text": "Fine tea.", "created_at": "2025-03-05"}]
    alive = data_health.measure(crm.connect(write_shop(orders=orders, feedback=feedback), as_of="2025-03-20"))
    assert alive.months["orders"].tolist() == [1, 0, 0] and alive.last_month_is_partial
    old = data_health.measure(crm.connect(write_shop("old", orders=orders), as_of="2025-03-20"))
    assert old.months["orders"].tolist() == [1]
    unpriced = [{name: row[name] for name in ("order_id", "ordered_at")} for row in orders]
    none = data_health.measure(crm.connect(write_shop("none", orders=unpriced, feedback=feedback), as_of="2025-03-20"))
    assert none.months["orders"].tolist() == [1, 0, 0] and none.months["revenue"].isna().all()


def test_refunds_still_to_come_do_not_look_like_growth(write_shop):
    """Two like Septembers, of which the older has had its refunds: net sales grew by a quarter, sales did not."""
    rows = [
        {"order_id": f"{year}-{n}", "ordered_at": f"{year}-09-{n:02}", "total": "10",
         "refunded": "10" if year == 2024 and n <= 5 else "",
         "refunded_at": f"{year}-10-{n:02}" if year == 2024 and n <= 5 else ""}
        for year in (2024, 2025) for n in range(1, 26)
    ]  # fmt: skip
    rows[30] |= {"refunded": "10", "refunded_at": "2025-10-20"}
    store = crm.connect(write_shop(orders=rows, toml='currency = "EUR"'), as_of="2025-10-01")
    health = data_health.measure(store)
    assert health.months["revenue"].tolist() == [200.0, *[0.0] * 11, 250.0]
    part = data_health.part_months(health)
    assert page_of(store).headline.endswith("September sales were €250, the same as last year.")
    # The table says what last year is: €250 as known then, of which €50 were given back since.
    assert (
        store.has("orders", "refunded_at")
        and data_health.page(health, shop=store).tables["months"]["year_before_as_known_then"].iloc[-1] == 250
    )
    assert {"label": "Year before, as known then"}.items() <= part.chart.table["columns"][-1].items()
    assert "each refund in the month of its order" in part.certain[0]
    undated = [{name: value for name, value in row.items() if name != "refunded_at"} for row in rows]
    store = crm.connect(write_shop("undated", orders=undated, toml='currency = "EUR"'), as_of="2025-10-01")
    assert page_of(store)["sales_month"].before is None


def test_orders_that_are_missing_from_the_months_are_said_with_their_money(write_shop):
    good = [{"order_id": str(n), "ordered_at": "2025-01-30", "customer_id": "a", "total": "10"} for n in range(5)]
    bad = [
        {"order_id": "5", "ordered_at": "sometime", "customer_id": "a", "total": "30"},
        {"order_id": "6", "ordered_at": "sometime", "customer_id": "a", "total": "lots"},
        {"order_id": "", "ordered_at": "2025-01-30", "customer_id": "a", "total": "12"},
        {"order_id": "1", "ordered_at": "2025-01-30", "customer_id": "a", "total": "10"},
    ]
    said = page_of(crm.connect(write_shop(orders=good + bad, toml='currency = "EUR"'), as_of="2025-02-01"))
    assert said.headline == "3 orders worth €42 could not be used. January sales were €50."
    assert said.certain[0].endswith("3 orders are missing from them.")
    first = said.actions[0]
    assert (first.what, first.worth, first.count) == (
        "Fix 4 rows in your shop system", "€42 missing", 4,
    )  # fmt: skip
    # 15 February 2025 is a Saturday.
    assert (first.by, first.weight) == (date(2025, 2, 17), 42)
    below = [
        row | {"order_id": str(n), "total": "-900", "tax": "5", "ordered_at": "2025-01-05"}
        for n, row in enumerate(bad[:1], 7)
    ]
    told = data_health.measure(crm.connect(write_shop("below", orders=good + bad[:1] + below), as_of="2025-02-01"))
    assert told.money_missing == 30  # a total below zero is never worth more than nothing
    back = [bad[0], bad[0] | {"order_id": "8", "total": "-20"}]
    told = data_health.measure(crm.connect(write_shop("back", orders=good + back), as_of="2025-02-01"))
    assert told.money_missing == 30, "what one order gave back makes the loss of another no smaller"
    clean = page_of(crm.connect(write_shop("clean", orders=good, toml='currency = "EUR"'), as_of="2025-02-01"))
    assert clean.headline == "All 5 rows could be used. January sales were €50."
    assert "missing" not in clean.certain[0]
    one = page_of(crm.connect(write_shop("one", orders=good[:1]), as_of="2025-02-01"))
    assert one.headline.startswith("The only row could be used.")


def test_buyers_who_are_missing_from_the_customer_list_are_counted(write_shop):
    orders = [{"order_id": str(n), "ordered_at": "2025-01-05", "customer_id": who} for n, who in enumerate("abbc")]
    shop = crm.connect(write_shop(orders=orders, customers=[{"customer_id": "a"}]), as_of="2025-02-01")
    health = data_health.measure(shop)
    assert (health.customers, health.unlisted) == (3, 2)
    assert "2 of them missing from the customer list" in page_of(shop)["customers"].definition


@pytest.mark.parametrize(
    ("emails", "said"),
    [
        (["kim@example.org", "", "", "lee@example.org"], ""),
        (["kim@example.org", " KIM@example.org", "", "lee@example.org"],
         "1 e-mail address stands at more than one customer: they may be one person."),
        (["kim@example.org", "kim@example.org", "lee@example.org", "lee@example.org"],
         "2 e-mail addresses stand at more than one customer: they may be one person."),
    ],
)  # fmt: skip
def test_addresses_of_several_customers_are_said_and_join_nobody(write_shop, emails, said):
    people = [{"customer_id": name, "email": email} for name, email in zip("abcd", emails, strict=True)]
    store = crm.connect(write_shop(orders=ORDERS, customers=people), as_of="2025-02-20")
    found = [caveat.text for caveat in page_of(store).caveats if "e-mail" in caveat.text]
    assert found == [said] * bool(said) and store.fetch(store.table("customers").count().as_table()).iloc[0, 0] == 4


def test_a_fault_is_a_signal_that_may_go(shop):
    part = data_health.part_faults(data_health.measure(shop))
    assert part.title.startswith("Most common: repeated number; first row kept (1)")
    assert [signal.id for signal in part.signals] == ["fault:orders:repeated_key"]


def test_without_a_fault_there_is_nothing_to_fix(write_shop):
    said = page_of(crm.connect(write_shop(orders=[ORDERS[0]]), as_of="2025-02-20"))
    assert [part.title for part in said.parts if part.title == "No faults found"]
    assert not any(action.file for action in said.actions)


def test_columns_worth_collecting_are_named(write_shop):
    said = page_of(crm.connect(write_shop(orders=[{"order_id": "1", "ordered_at": "2025-01-01"}]), as_of="2025-02-01"))
    assert said.actions[0].what.startswith("Export the customer of each order, to see who")


def test_guests_by_chance_alone_are_steady(demo_shop, write_shop):
    assert (
        data_health.part_guests(data_health.measure(demo_shop)).title
        == "4% of orders come from guests, steady over time"
    )
    orders = [{"order_id": "1", "ordered_at": "2025-01-05", "customer_id": "a"}]
    assert data_health.part_guests(data_health.measure(crm.connect(write_shop(orders=orders)))) is None


@pytest.mark.parametrize(
    ("now", "title"),
    [(3, "Sales were above last year's in every month"), (1, "Sales were below last year's in every month"),
     (None, "Sales were above last year's in 6 of the last 12 months")],
)  # fmt: skip
def test_months_are_counted_against_last_years(write_shop, now, title):
    months = [*pd.date_range("2024-01-01", periods=24, freq="MS")]
    amounts = [2] * 12 + [now or (3 if n % 2 else 1) for n in range(12)]
    orders = [
        {"order_id": f"{day:%y%m}", "ordered_at": f"{day:%Y-%m-05}", "total": n} for day, n in zip(months, amounts)
    ]
    folder = write_shop(orders=orders)
    health = data_health.measure(crm.connect(folder, as_of="2026-01-01"))
    assert data_health.part_months(health).title == title
    young = data_health.measure(crm.connect(folder, as_of="2025-07-01"))
    some = {
        3: "above last year's in all six",
        1: "below last year's in all six",
        None: "above last year's in 3 of the 6",
    }
    assert data_health.part_months(young).title == f"Sales were {some[now]} months that can be compared"


def test_orders_without_money_are_not_called_worth_it(write_shop):
    good = [{"order_id": str(n), "ordered_at": "2025-01-05", "total": "10"} for n in range(5)]
    bad = [{"order_id": "8", "ordered_at": "sometime", "total": "30"},
           {"order_id": "9", "ordered_at": "2025-01-05", "total": "-9", "tax": "5"}]  # fmt: skip
    shop = crm.connect(write_shop(orders=good + bad, toml='currency = "EUR"'), as_of="2025-02-01")
    assert page_of(shop).headline.startswith("2 orders could not be used, 1 of them worth €30.")


def test_credit_notes_reduce_sales_and_are_no_orders(write_shop):
    rows = [("1", "2025-01-05", "a", "100"), ("2", "2025-01-06", "b", "40"), ("3", "2025-01-20", "a", "-30")]
    orders = [dict(zip(("order_id", "ordered_at", "customer_id", "total"), row, strict=True)) for row in rows]
    said = page_of(crm.connect(write_shop(orders=orders), as_of="2025-02-01"))
    assert (said["orders"].value, said["customers"].value, said["revenue"].value) == (2, 2, 110)
    assert said.tables["months"]["revenue"].tolist() == [110]


@pytest.mark.parametrize(
    ("states", "title"),
    [(["completed", "storniert"], "All order states are known"),
     (["completed", "blub"], "‘blub’ is counted as sales"),
     (["blub", "zap"], "‘blub’ and ‘zap’ are counted as sales")],
)  # fmt: skip
def test_states_of_orders_are_told(write_shop, states, title):
    orders = [
        {"order_id": str(n), "ordered_at": "2025-01-05", "total": "10", "status": s} for n, s in enumerate(states)
    ]
    part = data_health.part_states(crm.connect(write_shop(orders=orders), as_of="2025-02-01"))
    assert part.title == title
    assert part.detail == (title == "All order states are known")


def test_files_that_were_not_read_are_named(write_shop):
    folder = write_shop(orders=[{"order_id": "1", "ordered_at": "2025-01-05"}])
    assert data_health.part_files(crm.connect(folder, as_of="2025-02-01")) is None
    (folder / "orders_old.csv").write_text("order_id,ordered_at\n2,2025-01-05\n")
    (folder / "notes.json").write_text("{}")
    part = data_health.part_files(crm.connect(folder, as_of="2025-02-01"))
    assert part.title == "1 file beside the tables was not read"
    assert [action.what for action in part.actions] == ["Rename orders_old.csv if it should count"]


@pytest.mark.parametrize(
    ("total", "headline"),
    [
        ("30", "1 order worth €30 could not be used. January sales were €1,000."),
        ("9", "January sales were €1,000. 1 order worth €9 could not be used."),
        ("-900", "1 order could not be used. January sales were €1,000."),
    ],
)
def test_sales_lead_where_next_to_nothing_is_missing(write_shop, total, headline):
    rows = [("1", "2025-01-05", "400"), ("2", "2025-01-30", "600"), ("3", "sometime", total)]
    orders = [{"order_id": n, "ordered_at": day, "total": money} for n, day, money in rows]
    said = page_of(crm.connect(write_shop(orders=orders, toml='currency = "EUR"'), as_of="2025-02-01"))
    assert said.headline == headline


@pytest.mark.parametrize(
    ("buyers", "words"),
    [
        ("aaaaaa", "; no new customers since January 2025"),
        ("aaaaab", ""),  # one joined in the last month
        ("abbbbb", "; no new customers since February 2025"),
        ("aaab", ""),  # two months are no cohort
    ],
)
def test_months_without_a_new_customer_are_said(write_shop, buyers, words):
    orders = [
        {"order_id": str(n), "ordered_at": f"2025-{n + 1:02}-10", "customer_id": who, "total": "10"}
        for n, who in enumerate(buyers)
    ]
    as_of = f"2025-{len(buyers) + 1:02}-01"
    shop = crm.connect(write_shop(orders=orders, toml='currency = "EUR"'), as_of=as_of)
    month = pd.Timestamp(f"2025-{len(buyers):02}-01")
    assert page_of(shop).headline.endswith(f"{month:%B} sales were €10{words}.")
    without = [{name: value for name, value in row.items() if name != "customer_id"} for row in orders]
    guests = crm.connect(write_shop("guests", orders=without), as_of=as_of)
    assert "new customers" not in page_of(guests).headline


def test_where_no_row_is_lost_no_file_of_lost_rows_is_named(write_shop):
    kept = [{"order_id": "1", "ordered_at": "2025-01-05", "total": "10", "discount": "some"}]
    part = data_health.part_faults(data_health.measure(crm.connect(write_shop(orders=kept), as_of="2025-02-01")))
    assert part.sentence == "Every row could still be used." and not part.actions
    lost = [*kept, {"order_id": "", "ordered_at": "2025-01-05", "total": "10", "discount": ""}]
    part = data_health.part_faults(
        data_health.measure(crm.connect(write_shop("lost", orders=lost), as_of="2025-02-01"))
    )
    assert part.sentence == "" and part.actions[0].file == "tables/set_aside.csv"


@pytest.mark.parametrize(
    ("totals", "title"),
    [
        (["5"], "Sales: too few months to compare"),
        (["5", "5", "5"], "Sales were the same in every month"),
        (["5", "9", "5"], "Sales were highest in February 2025"),
    ],
)
def test_without_a_year_before_the_months_still_say_something(write_shop, totals, title):
    orders = [{"order_id": str(n), "ordered_at": f"2025-{n + 1:02}-10", "total": one} for n, one in enumerate(totals)]
    shop = crm.connect(write_shop(orders=orders), as_of=f"2025-{len(totals) + 1:02}-01")
    assert data_health.part_months(data_health.measure(shop)).title == title


NOTES = {
    "pair": [("1", "03-01", "a", 100, ""), ("C1", "03-02", "a", -100, "")],
    "alone": [("C2", "03-05", "b", -20, "")],
    "refund": [("2", "03-03", "b", 50, ""), ("R2", "03-06", "b", -5, "2")],
}


@pytest.mark.parametrize(
    ("kinds", "title", "rows"),
    [
        (("pair",), "1 order is undone by its credit note", ["cancel out 1 −100.00"]),
        (("alone",), "1 credit note stands alone", ["own day 1 −20.00"]),
        (("refund",), "1 refund has a row of its own", ["an order 1 −5.00"]),
        (("pair", "alone", "refund") * 2,
         "2 orders are undone by their credit notes; 2 credit notes stand alone; 2 refunds have rows of their own",
         ["own day 2 −40.00", "cancel out 2 −200.00", "an order 2 −10.00"]),
    ],
)  # fmt: skip
def test_credit_notes_are_named_with_their_number_and_money(write_shop, kinds, title, rows):
    orders = [
        {"order_id": f"{id}.{n}", "ordered_at": f"2025-{day}", "customer_id": f"{who}{n}", "total": total,
         "parent_id": parent and f"{parent}.{n}"}
        for n, kind in enumerate(kinds) for id, day, who, total, parent in NOTES[kind]
    ]  # fmt: skip
    said = page_of(crm.connect(write_shop(orders=orders), as_of="2025-04-01"))
    (part,) = [part for part in said.parts if part.title == title]
    assert part.detail
    assert [" ".join(row).endswith(end) for row, end in zip(part.chart.table["rows"], rows, strict=True)] == [
        True
    ] * len(rows)
    plain = crm.connect(write_shop(orders=ORDERS, name="plain"), as_of="2025-02-20")
    assert part_credits(plain) is None and part_not_goods(plain) is None


@pytest.mark.parametrize(
    ("lines", "title", "sentence", "rows"),
    [
        ([("1", "Tea", 95)], "", "", []),
        ([("1", "Tea", 95), ("1", "POST", 5)], "‘POST’ counts as money, not as goods",
         "Its line is in sales, not in baskets. It comes to €5.", [["POST", "postage", "1", "5.00"]]),
        ([("1", "POST", 5), ("2", "Tip", 1.5), ("2", "POST", 5), ("9", "POST", 99)], "‘POST’ and ‘Tip’ count as money, not as goods",
         "Their lines are in sales, not in baskets. They come to €12.",
         [["POST", "postage", "2", "10.00"], ["Tip", "fee", "1", "1.50"]]),
        ([("1", "POST", None), ("2", "Tip", None), ("2", "Gift Card", None)], "‘Gift Card’, ‘POST’ and 1 more product count as money, not as goods",
         "Their lines are in sales, not in baskets.",
         [["Gift Card", "gift card", "1", "–"], ["POST", "postage", "1", "–"], ["Tip", "fee", "1", "–"]]),
    ],
)  # fmt: skip
def test_what_is_no_goods_is_named_with_its_lines_and_money(write_shop, lines, title, sentence, rows):
    orders = [{"order_id": n, "ordered_at": "2025-03-01", "customer_id": n, "status": "paid"} for n in "12"]
    orders.append(orders[0] | {"order_id": "9", "status": "cancelled"})
    sold = [{"order_id": order, "product_id": product} | ({"line_total": money} if money else {})
            for order, product, money in lines]  # fmt: skip
    toml = 'currency = "EUR"'
    part = part_not_goods(crm.connect(write_shop(orders=orders, order_lines=sold, toml=toml), as_of="2025-04-01"))
    assert (part is None) == (not title)
    if part:
        assert (part.title, part.sentence, part.chart.table["rows"], part.detail) == (title, sentence, rows, True)
        assert part.tables["not_goods"]["lines"].sum() == sum(int(row[2]) for row in rows)


def test_a_month_that_the_data_does_not_hold_whole_is_no_full_month(write_shop):
    """Looked at long after the export, January is what it was on the day of the export: not over."""
    days = pd.date_range("2023-11-01", "2025-01-11", freq="2D")
    orders = [{"order_id": str(n), "ordered_at": f"{day:%F}", "total": "10"} for n, day in enumerate(days)]
    for as_of in ("2025-01-12", "2025-06-30"):
        health = data_health.measure(crm.connect(write_shop(as_of, orders=orders), as_of=as_of))
        assert health.last_month_is_partial and health.full_months["month"].iloc[-1] == pd.Timestamp("2024-12-01")
        assert "December sales" in data_health.page(health, shop=crm.connect(write_shop(as_of, orders=orders))).headline
        assert data_health.part_months(health).chart.caption == "The last month is not whole."
