"""Every row of a bad export is kept, set aside with its reason, or after as_of; and the counts reconcile."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import crmlib as crm
from crmlib.errors import DataError
from crmlib.shop import facts, quality

DIRTY = "\n".join(
    [
        "order_id;ordered_at;customer_id;total;refunded;Note",
        "A1;2025-01-02 10:00:00;c1;12,50;;x",
        'A2;2025-01-02T23:30:00Z;c2;1.234,50;5;"two\nlines"',
        "A2;2025-01-03;c2;3;;",
        "A3;31.02.2025;c1;3;;",
        ";2025-01-03;c1;3;;",
        "A4;2025-01-04;c1;-3;;",
        "A5;2031-01-04;;4;;",
        "A6;2025-01-04;x;4",
        "A7;2025-01-04;x;4;;n;extra;more",
        "A8;2025-01-04;x;abc;;n",
        "A9;0025-01-04;x;0;;n",
        "",
    ]
)
REASONS = {3: "repeated_key", 4: "unreadable_date", 5: "missing_value", 8: "ragged_row", 9: "ragged_row", 11: "impossible_date"}  # fmt: skip


def _shop(folder, text: str, *, name: str = "orders.csv", encoding: str = "utf-8") -> crm.Shop:
    (folder / name).write_text(text, encoding=encoding, newline="")
    return crm.connect(folder, as_of="2025-02-01")


@pytest.mark.usefixtures("each_engine")
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_each_bad_row_has_its_reason(tmp_path, encoding):
    shop = _shop(tmp_path, DIRTY, encoding=encoding)
    aside = shop.fetch(shop.set_aside())
    assert dict(zip(aside["row"], aside["code"], strict=True)) == REASONS
    assert shop.reconciliation().iloc[0].tolist() == ["orders", 11, 4, 6, 1]
    money = shop.fetch(facts.net_orders(shop).order_by("order_id"))
    assert money["revenue"].fillna(-1).tolist() == [12.5, 1229.5, -1.0]
    assert shop.audits["orders"].oddities["unreadable_value"] == 1
    assert shop.audits["orders"].oddities["credit_note"] == 1


@pytest.mark.usefixtures("each_engine")
def test_windows_text_is_read(tmp_path):
    shop = _shop(tmp_path, "order_id,ordered_at,city\n1,2025-01-01,Köln – 5 €\n", encoding="cp1252")
    assert shop.fetch(shop.table("orders"))["city"].tolist() == ["Köln – 5 €"]
    assert shop.audits["orders"].source.recoded


@pytest.mark.usefixtures("each_engine")
@pytest.mark.parametrize(
    ("text", "value"),
    [("12.50", 12.5), ("12,50", 12.5), ("1.234,50", 1234.5), ("1,234.50", 1234.5), (" 7 ", 7.0), ("1e3", 1000.0),
     (".5", 0.5), ("+3", 3.0), ("12 EUR", 12.0), ("1,2,3", None), ("NaN", None), ("--", None)],
)  # fmt: skip
def test_numbers_in_the_wild(tmp_path, text, value):
    shop = _shop(tmp_path, f'order_id,ordered_at,total\n1,2025-01-01,"{text}"\n')
    read = shop.fetch(shop.table("orders"))["total"].iloc[0]
    assert pd.isna(read) if value is None else read == value


@pytest.mark.usefixtures("each_engine")
def test_lines_follow_their_orders(write_shop):
    orders = [
        {"order_id": "1", "ordered_at": "2025-01-01"},
        {"order_id": "2", "ordered_at": "2025-09-09"},
        {"order_id": "3", "ordered_at": "never"},
    ]
    lines = [
        {"order_id": o, "product_id": "p", "quantity": q}
        for o, q in (("1", 1), ("1", 1), ("2", 1), ("3", 1), ("9", 1), ("1", -1))
    ]
    shop = crm.connect(write_shop(orders=orders, order_lines=lines), as_of="2025-02-01")
    assert shop.reconciliation().iloc[1].tolist() == ["order_lines", 6, 3, 2, 1]
    assert shop.audits["order_lines"].set_aside == {"unknown_order": 2}
    assert shop.audits["order_lines"].oddities["identical_row"] == 1
    assert shop.audits["order_lines"].oddities["negative_quantity"] == 1


@pytest.mark.usefixtures("each_engine")
def test_a_future_row_cannot_push_out_the_row_that_was_first(write_shop):
    rows = [
        {"order_id": "1", "ordered_at": "2025-05-05", "total": 9},
        {"order_id": "1", "ordered_at": "2025-01-01", "total": 1},
    ]
    shop = crm.connect(write_shop(orders=rows), as_of="2025-02-01")
    assert shop.fetch(shop.table("orders"))["total"].tolist() == [1.0]


@pytest.mark.usefixtures("each_engine")
def test_impossible_values_are_emptied_and_counted(write_shop):
    feedback = [{"feedback_id": i, "text": "ok", "rating": r} for i, r in enumerate([0, 1, 5, 9, ""])]
    customers = [
        {"customer_id": i, "birth_date": d}
        for i, d in enumerate(["1890-01-01", "1990-02-28", "2030-01-01", "2023-02-29"])
    ]
    shop = crm.connect(write_shop(feedback=feedback, customers=customers), as_of="2025-02-01")
    assert shop.fetch(shop.table("feedback").order_by("feedback_id"))["rating"].notna().tolist() == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert shop.audits["feedback"].oddities["impossible_value"] == 2
    assert shop.fetch(shop.table("customers"))["birth_date"].notna().sum() == 1
    assert shop.audits["customers"].oddities == {"unreadable_value": 1, "impossible_value": 2}


def test_every_code_has_a_meaning(demo_shop):
    faults = demo_shop.faults()
    assert len(faults) > 5
    assert set(faults["code"]) <= set(quality.SET_ASIDE) | set(quality.KEPT)
    assert faults["meaning"].str.len().min() > 10


def test_the_demo_shop_reconciles(demo_shop):
    table = demo_shop.reconciliation()
    assert (table["read"] == table[["kept", "set_aside", "after_as_of"]].sum(axis=1)).all()
    assert table["set_aside"].iloc[-1] > 0
    assert len(demo_shop.fetch(demo_shop.set_aside())) == table["set_aside"].iloc[-1]


_field = st.one_of(
    st.sampled_from(["", "1", "2", "x", "2025-01-01", "2031-01-01", "31.12.2024", "12,5", "=1+1", "é"]),
    st.text(max_size=6),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(_field, min_size=2, max_size=5), min_size=1, max_size=8))
def test_no_row_is_ever_lost(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("fuzz")
    quoted = [
        "order_id,ordered_at,total",
        *(",".join('"' + f.replace('"', '""').replace("\0", "") + '"' for f in row) for row in rows),
    ]
    (folder / "orders.csv").write_text("\n".join(quoted) + "\n", encoding="utf-8", errors="replace", newline="")
    try:
        shop = crm.connect(folder, as_of="2025-02-01")
    except DataError as error:
        assert "not one amount in total can be read" in str(error)
        return
    read, kept, aside, after = shop.reconciliation().iloc[0][["read", "kept", "set_aside", "after_as_of"]]
    # A row of nothing is none.
    assert read == sum(any(field.replace("\0", "").strip() for field in row) for row in rows) == kept + aside + after


def test_an_order_id_before_and_after_the_as_of_day_counts_its_lines_once(write_shop):
    orders = [
        {"order_id": "1", "ordered_at": day, "customer_id": "a", "total": 5} for day in ("2026-01-01", "2026-12-01")
    ]
    lines = [{"order_id": "1", "product_id": "p", "quantity": 1, "line_total": 5}]
    shop = crm.connect(write_shop(orders=orders, order_lines=lines), as_of="2026-06-01")
    assert (shop.audits["order_lines"].read, shop.audits["order_lines"].kept) == (1, 1)
    assert (shop.audits["orders"].read, shop.audits["orders"].kept, shop.audits["orders"].after_as_of) == (2, 1, 1)
