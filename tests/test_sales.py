"""What counts as a sale: states in many languages, credit notes, refund rows, and lines that are money only."""

from __future__ import annotations

import collections
import random
from datetime import date, timedelta

import pandas as pd
import pytest

import crmlib as crm
from crmlib.shop import facts
from crmlib.shop.vocabulary import state
from tests.conftest import ShopWriter


def sums(shop: crm.Shop) -> tuple[int, float]:
    """Orders and sales."""
    months = shop.fetch(facts.monthly(shop))
    return int(months["orders"].sum()), round(float(months["revenue"].sum()), 2)


def order(number: object, day: str, customer: str, total: float, **more: object) -> dict[str, object]:
    return {"order_id": number, "ordered_at": day, "customer_id": customer, "total": total, **more}


OUT = [
    "voided",
    "Cancelled",
    "CANCELLED ",
    "canceled",
    "wc-cancelled",
    "wc-failed",
    "failed",
    "storniert",
    "trash",
    "expired",
    "wc-checkout-draft",
    "Canceled - fraud",
    "cancelled_by_customer",
    "order_cancelled",
    "annulé",
    "void",
    "declined",
    "Cancelado",
    "draft",
    "Annulée",
    "geannuleerd",
    "anulowane",
    "zrušeno",
    "отменён",
    "キャンセル",
    "Payment failed",
    "auto-draft",
]
SALE = "paid,Completed,wc-processing,shipped,pending,on-hold,partially_refunded,bezahlt,fulfilled,authorized".split(",")  # noqa: SIM905


def test_states_as_platforms_write_them() -> None:
    assert {status: state(status) for status in OUT} == dict.fromkeys(OUT, "out")
    assert {state(status) for status in SALE} <= {"sale", "open"}
    assert [state(status) for status in ("refunded", "wc-refunded", "erstattet")] == ["given_back"] * 3
    assert [state(status) for status in ("5", "cancellation fee paid?", "Schrödinger")] == ["unknown"] * 3


@pytest.mark.usefixtures("each_engine")
def test_orders_that_never_were_are_no_sales_and_unknown_states_are_kept_and_listed(write_shop: ShopWriter) -> None:
    states = ["paid", "paid", "wc-cancelled", "failed", "storniert", "5", "refunded"]
    rows = [order(i, f"2025-03-0{1 + i}", f"c{i}", 10, status=status) for i, status in enumerate(states)]
    shop = crm.connect(write_shop(orders=rows), as_of="2026-01-01")
    # Three are out, one was given back in full, one is of a state that nobody knows.
    assert sums(shop) == (4, 30)
    found = shop.states()
    assert found.set_index("status")["kind"].to_dict() == {
        "paid": "sale", "wc-cancelled": "out", "failed": "out", "storniert": "out", "5": "unknown",
        "refunded": "given_back",
    }  # fmt: skip
    assert found[found["kind"] == "unknown"][["status", "orders", "money"]].values.tolist() == [["5", 1, 10.0]]
    assert shop.passport()["states"][0]["status"] == "paid"


@pytest.mark.usefixtures("each_engine")
def test_cancelled_orders_that_kept_their_money_are_counted(write_shop: ShopWriter) -> None:
    rows = [order(i, "2025-03-01", f"c{i}", 10, status="paid", refunded=0, cancelled_at="2025-03-02") for i in range(8)]
    rows += [
        order(i, "2025-03-01", f"c{i}", 10, status="refunded", refunded=10, cancelled_at="2025-03-02") for i in (8, 9)
    ]
    rows += [order(10, "2025-03-05", "c10", 10, status="paid", refunded=0, cancelled_at="2025-03-02")]
    rows += [order(11, "2025-03-05", "c11", 10, status="paid", refunded=0, cancelled_at="")]
    shop = crm.connect(write_shop(orders=rows), as_of="2026-01-01")
    assert sums(shop) == (1, 10)
    odd = shop.audits["orders"].oddities
    assert (odd["cancelled_with_money"], odd["cancelled_before_order"]) == (9, 1)


@pytest.mark.usefixtures("each_engine")
def test_a_credit_note_reduces_sales_on_its_own_day_and_is_no_order(write_shop: ShopWriter) -> None:
    rows = [
        order(1, "2025-03-01", "a", 100),
        order(2, "2025-04-01", "a", 50),
        order("C1", "2025-05-05", "a", -30),
        order("C2", "2025-05-06", "", -7),
    ]
    shop = crm.connect(write_shop(orders=rows), as_of="2026-01-01")
    months = shop.fetch(facts.monthly(shop))
    assert months[["orders", "revenue"]].values.tolist() == [[1, 100], [1, 50], [0, -37]]
    assert sorted(shop.fetch(facts.net_orders(shop))["order_id"]) == ["1", "2"]
    bought = shop.fetch(facts.purchase_days(shop).order_by("day"))
    assert bought[["orders", "revenue"]].values.tolist() == [[1, 100], [1, 20]]
    history = shop.fetch(facts.customer_history(shop, until=date(2025, 6, 1)))
    assert history[["frequency", "repeat_revenue", "revenue"]].values.tolist() == [[1, 20, 120]]
    before = shop.fetch(facts.customer_history(shop, until=date(2025, 5, 5)))
    assert before["revenue"].tolist() == [150]
    later = shop.fetch(facts.later_purchases(shop, start=date(2025, 4, 1), end=date(2025, 6, 1)))
    assert later[["purchases", "revenue"]].values.tolist() == [[1, 20]]
    assert shop.audits["orders"].oddities["credit_note"] == 2 and not shop.audits["orders"].set_aside


@pytest.mark.usefixtures("each_engine")
def test_an_order_and_the_note_that_undoes_it_cancel_out(write_shop: ShopWriter) -> None:
    rows = [
        order(1, "2025-03-01", "a", 77183.60),
        order("C1", "2025-03-02", "a", -77183.60),
        order(2, "2025-03-01", "b", 20),
        order("C2", "2025-02-01", "b", -20),  # before the order: it cannot undo it
        order(3, "2025-03-03", "c", 20),
        order("C3", "2025-03-04", "d", -20),  # another customer's
    ]
    shop = crm.connect(write_shop(orders=rows), as_of="2026-01-01")
    notes = shop.fetch(facts.credit_notes(shop)).set_index("order_id")["cancels"]
    assert notes.loc["C1"] == "1" and notes.drop("C1").isna().all()
    assert sorted(shop.fetch(facts.net_orders(shop))["order_id"]) == ["2", "3"]
    assert sums(shop) == (2, 0)


def test_pairs_are_those_of_a_stack_of_open_orders(write_shop: ShopWriter) -> None:
    """Against ten lines of Python: each note undoes the latest open order of its customer and amount."""
    chance = random.Random(7)
    rows = []
    for number in range(400):
        day = date(2025, 1, 1) + timedelta(days=chance.randrange(300))
        rows.append(order(number, day.isoformat(), f"c{chance.randrange(9)}", chance.choice([10, 20, -10, -20])))
    opened: dict[tuple[object, float], list[str]] = collections.defaultdict(list)
    expected = {}
    for row in sorted(rows, key=lambda r: (str(r["ordered_at"]), float(str(r["total"])) < 0, str(r["order_id"]))):
        total, key = float(str(row["total"])), (row["customer_id"], abs(float(str(row["total"]))))
        if total > 0:
            opened[key].append(str(row["order_id"]))
        elif opened[key]:
            expected[str(row["order_id"])] = opened[key].pop()
    shop = crm.connect(write_shop(orders=rows), as_of="2026-01-01")
    found = shop.fetch(facts.credit_notes(shop)).dropna(subset=["cancels"]).set_index("order_id")["cancels"]
    assert found.to_dict() == expected
    assert sums(shop)[1] == sum(float(str(row["total"])) for row in rows)


@pytest.mark.usefixtures("each_engine")
def test_a_refund_row_reduces_its_order_and_is_seen_from_its_own_day(write_shop: ShopWriter) -> None:
    rows = [
        order(1, "2025-03-01", "a", 100, parent_id=0),
        order(2, "2025-03-05", "a", -40, parent_id=1),
        order(3, "2025-03-07", "b", -5, parent_id=99),
    ]
    folder = write_shop(orders=rows)
    shop = crm.connect(folder, as_of="2026-01-01")
    # The last one's order is not here: it stands alone.
    assert sums(shop) == (1, 55)
    assert shop.fetch(facts.net_orders(shop))["revenue"].tolist() == [60]
    assert len(shop.fetch(facts.purchase_days(shop))) == 1
    assert sums(crm.connect(folder, as_of="2025-03-05")) == (1, 100)


@pytest.mark.usefixtures("each_engine")
def test_a_total_below_zero_that_its_tax_or_goods_contradict_is_set_aside(write_shop: ShopWriter) -> None:
    orders = [
        order(1, "2025-03-01", "a", -10, tax=1.6),
        order(2, "2025-03-01", "a", -10, tax=""),
        order(3, "2025-03-01", "a", -10, tax=-1.6),
        order(4, "2025-03-01", "a", 10, tax=1.6),
    ]
    lines = [
        {"order_id": i, "product_id": "p", "quantity": q, "line_total": 10 * q} for i, q in ((2, 1), (3, -1), (4, 1))
    ]
    shop = crm.connect(write_shop(orders=orders, order_lines=lines), as_of="2026-01-01")
    assert shop.audits["orders"].set_aside == {"negative_total": 2}
    assert shop.audits["order_lines"].set_aside == {"unknown_order": 1}
    assert sums(shop) == (1, 10) or sums(shop) == (0, 0)


@pytest.mark.usefixtures("each_engine")
def test_orders_whose_money_is_in_their_lines_can_be_credit_notes(write_shop: ShopWriter) -> None:
    orders = [{"order_id": i, "ordered_at": f"2025-03-0{i}", "customer_id": "a"} for i in (1, 2, 3)]
    lines = [
        {"order_id": 1, "product_id": "p", "quantity": 2, "unit_price": 10},
        {"order_id": 2, "product_id": "q", "quantity": 1, "unit_price": 30},
        {"order_id": 3, "product_id": "p", "quantity": -1, "unit_price": 10},
    ]
    shop = crm.connect(write_shop(orders=orders, order_lines=lines), as_of="2026-01-01")
    assert sums(shop) == (2, 40)
    assert sorted(set(shop.fetch(facts.basket_items(shop))["order_id"])) == ["1", "2"]


@pytest.mark.usefixtures("each_engine")
def test_postage_fees_and_gift_cards_are_money_and_no_goods(write_shop: ShopWriter) -> None:
    products = [
        {"product_id": "T1", "name": "Tea", "kind": "goods"},
        {"product_id": "T2", "name": "Postage stamp album", "kind": ""},
        {"product_id": "P1", "name": "Versandkosten", "kind": ""},
        {"product_id": "G1", "name": "Voucher for a friend", "kind": "gift_card"},
        {"product_id": "W1", "name": "Gift wrap", "kind": ""},
        {"product_id": "M", "name": "Mug", "kind": ""},
    ]
    ids = ["T1", "T2", "P1", "G1", "W1", "M", "POST"]
    lines = [{"order_id": 1, "product_id": i, "quantity": 1, "line_total": 5} for i in ids]
    folder = write_shop(orders=[order(1, "2025-03-01", "a", 35)], order_lines=lines, products=products,
                        toml='not_goods = ["gift wrap"]')  # fmt: skip
    shop = crm.connect(folder, as_of="2026-01-01")
    assert shop.not_goods == {"POST": "shipping", "P1": "shipping", "G1": "gift_card", "W1": "not_goods"}
    assert sorted(shop.fetch(facts.basket_items(shop))["item"]) == ["M", "T1", "T2"]
    assert sorted(shop.fetch(facts.item_money(shop))["item"]) == ["M", "T1", "T2"]
    assert sums(shop) == (1, 35)
    assert shop.audits["order_lines"].oddities["unknown_product"] == 1


@pytest.mark.usefixtures("each_engine")
def test_what_cannot_be_is_noticed(write_shop: ShopWriter) -> None:
    rows = [
        order(
            i, f"2025-{1 + i % 7:02d}-{1 + i % 28:02d} 10:{1 + i % 7:02d}:00", f"c{i}", 10, refunded="", refunded_at=""
        )
        for i in range(100)
    ]
    rows.append(order("r", "2025-05-05 12:05", "c1", 10, refunded=5, refunded_at="2025-05-04"))
    odd = crm.connect(write_shop(orders=rows), as_of="2026-01-01").audits["orders"].oddities
    assert (odd["minutes_are_months"], odd["refund_before_order"]) == (101, 1)
    till = [order(i, "2025-03-01 10:00", "till" if i % 2 else f"c{i}", 10) for i in range(400)]
    odd = crm.connect(write_shop("till", orders=till), as_of="2026-01-01").audits["orders"].oddities
    assert odd["one_customer"] == 200 and "minutes_are_months" not in odd


def test_a_table_by_its_name(write_shop: ShopWriter) -> None:
    shop = crm.connect(write_shop(orders=[order(1, "2025-03-01", "a", 35)]))
    pd.testing.assert_frame_equal(shop.fetch("orders"), shop.fetch(shop.table("orders")))
