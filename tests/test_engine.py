"""A shop's tables as of a day: time zones, look-ahead, the capped door, and what is asked of a folder."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest

import crmlib as crm
from crmlib.errors import DataError, NotAvailable, TooManyRows, UsageError
from crmlib.shop import facts
from crmlib.shop.engines.duckdb import DuckDB

ORDERS = [
    {"order_id": "1", "ordered_at": "2025-03-01 09:00", "customer_id": "a", "total": "10", "refunded": "", "refunded_at": "", "cancelled_at": "", "status": "completed"},
    {"order_id": "2", "ordered_at": "2025-03-02 23:59:59", "customer_id": "b", "total": "20", "refunded": "5", "refunded_at": "2025-03-10", "cancelled_at": "", "status": "completed"},
    {"order_id": "3", "ordered_at": "2025-03-03", "customer_id": "", "total": "30", "refunded": "", "refunded_at": "", "cancelled_at": "2025-03-12", "status": "cancelled"},
    {"order_id": "4", "ordered_at": "2025-03-11", "customer_id": "a", "total": "40", "refunded": "", "refunded_at": "", "cancelled_at": "", "status": "completed"},
]  # fmt: skip


@pytest.mark.usefixtures("each_engine")
def test_as_of_is_exclusive_and_later_states_are_not_seen(write_shop):
    folder = write_shop(orders=ORDERS)
    early = crm.connect(folder, as_of="2025-03-10")
    assert early.reconciliation().iloc[0].tolist() == ["orders", 4, 3, 0, 1]
    money = early.fetch(facts.net_orders(early).order_by("order_id"))
    # The refund of the 10th and the cancellation of the 12th had not happened.
    assert money["revenue"].tolist() == [10.0, 20.0, 30.0]
    late = crm.connect(folder, as_of="2025-03-13")
    assert late.fetch(facts.net_orders(late).order_by("order_id"))["revenue"].tolist() == [10.0, 15.0, 40.0]


@pytest.mark.usefixtures("each_engine")
def test_future_rows_and_states_change_no_number(write_shop):
    then = crm.connect(write_shop("then", orders=ORDERS[:2]), as_of="2025-03-05")
    later = [
        {**ORDERS[0], "order_id": "9", "ordered_at": "2025-04-01"},
        {**ORDERS[1], "order_id": "1", "ordered_at": "2025-04-02"},
    ]
    now = crm.connect(write_shop("now", orders=later + ORDERS[:2]), as_of="2025-03-05")
    for expression in (facts.net_orders, facts.purchase_days, facts.monthly):
        columns = sorted(then.fetch(expression(then)).columns)
        frames = [s.fetch(expression(s)).sort_values(columns, ignore_index=True) for s in (then, now)]
        pd.testing.assert_frame_equal(*frames)


@pytest.mark.usefixtures("each_engine")
def test_empty_as_of_is_the_day_after_the_latest_event_that_has_happened(write_shop):
    rows = [*ORDERS, {**ORDERS[0], "order_id": "5", "ordered_at": "2099-01-01"}]
    shop = crm.connect(write_shop(orders=rows))
    assert (shop.as_of, shop.data_through) == (date(2025, 3, 12), date(2025, 3, 11))
    closed = crm.connect(write_shop("closed", toml="as_of = 2025-03-03", orders=rows))
    assert closed.as_of == date(2025, 3, 3)


@pytest.mark.usefixtures("each_engine")
def test_instants_become_local_days(write_shop):
    rows = [
        {"order_id": "utc", "ordered_at": "2025-07-01T22:30:00Z"},
        {"order_id": "offset", "ordered_at": "2025-07-01 22:30:00 +0000"},
        {"order_id": "winter", "ordered_at": "2025-01-01T23:30:00+00:00"},
        {"order_id": "own", "ordered_at": "2025-07-01 23:59"},
    ]
    shop = crm.connect(write_shop(toml='timezone = "Europe/Berlin"', orders=rows))
    days = shop.fetch(facts.net_orders(shop)).set_index("order_id")["day"]
    assert {name: f"{day:%m-%d}" for name, day in days.items()} == {
        "utc": "07-02",
        "offset": "07-02",
        "winter": "01-02",
        "own": "07-01",
    }


@pytest.mark.usefixtures("each_engine")
def test_parquet_and_csv_say_the_same(write_shop, tmp_path):
    folder = tmp_path / "parquet"
    folder.mkdir()
    frame = pd.DataFrame(ORDERS).assign(ordered_at=lambda f: pd.to_datetime(f["ordered_at"], format="mixed"))
    frame = frame.assign(total=frame["total"].astype(float)).drop(columns=["refunded", "refunded_at", "cancelled_at"])
    frame.to_parquet(folder / "orders.parquet")
    csv = crm.connect(write_shop(orders=frame), as_of="2025-03-10")
    parquet = crm.connect(folder, as_of="2025-03-10")
    for shop in (csv, parquet):
        assert shop.reconciliation().iloc[-1].tolist() == ["all", 4, 3, 0, 1]
    pd.testing.assert_frame_equal(*(s.fetch(facts.monthly(s)) for s in (csv, parquet)))


@pytest.mark.usefixtures("each_engine")
def test_the_door_is_capped_and_says_how_many(write_shop):
    shop = crm.connect(write_shop(orders=ORDERS))
    with pytest.raises(TooManyRows, match=r"4 rows .* 3 are allowed.*max_rows=4"):
        shop.fetch(shop.table("orders"), max_rows=3)
    assert len(shop.fetch(shop.table("orders"), max_rows=4)) == 4
    assert sum(map(len, shop.stream(shop.table("orders"), chunk=3))) == 4


@pytest.mark.usefixtures("each_engine")
def test_a_sample_is_the_same_for_the_same_seed(write_shop):
    rows = [{**ORDERS[0], "order_id": str(i)} for i in range(200)]
    shop = crm.connect(write_shop(orders=rows))
    draws = [set(shop.sample(shop.table("orders"), rows=20, key="order_id", seed=s)["order_id"]) for s in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    assert len(draws[2]) == 20


def test_asking_for_what_is_not_there_names_what_is(write_shop):
    shop = crm.connect(write_shop(orders=ORDERS))
    with pytest.raises(NotAvailable, match="The export holds orders, but not reviews or ratings"):
        shop.table("feedback")
    with pytest.raises(NotAvailable, match=r"needs orders\.coupon"):
        shop.table("orders", "coupon")
    assert shop.has("orders", "total")
    assert not shop.has("orders", "coupon")


def test_a_name_that_no_shop_has_is_a_slip_and_not_an_absence(write_shop):
    shop = crm.connect(write_shop(orders=[{**row, "gift_note": "hi"} for row in ORDERS]))
    with pytest.raises(UsageError, match="orders have no column 'totl'; did you mean 'total'"):
        shop.table("orders", "totl")
    with pytest.raises(UsageError, match="no shop has a table 'order'; did you mean 'orders'"):
        shop.table("order")
    assert "gift_note" in shop.table("orders", "gift_note").columns


@pytest.mark.usefixtures("each_engine")
def test_columns_are_mapped_and_extra_ones_stay(write_shop):
    rows = [{"Name": "#1", "Created at": "2025-01-02 10:00:00 +0100", "Total": "5", "Vendor note": "x"}]
    toml = '[columns.orders]\norder_id = "Name"\nordered_at = "Created at"\n'
    shop = crm.connect(write_shop(toml=toml, orders=rows))
    row = shop.fetch(shop.table("orders")).iloc[0]
    assert (row["order_id"], row["total"], row["Vendor note"]) == ("#1", 5.0, "x")


@pytest.mark.usefixtures("each_engine")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "orders.csv is empty"),
        ("order_id,orderd_at\n1,2025-01-01\n", "no column 'ordered_at'.*did you mean 'orderd_at'"),
        ("order_id,order_id,ordered_at\n1,1,2025-01-01\n", "two columns named 'order_id'"),
        ("order_id,ordered_at,currency\n1,2025-01-01,EUR\n2,2025-01-01,USD\n", "2 currencies .EUR, USD."),
    ],
)
def test_data_that_cannot_be_used_is_refused_with_what_to_do(tmp_path, content, message):
    (tmp_path / "orders.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        crm.connect(tmp_path)


def test_a_folder_without_tables_and_a_wrong_day(tmp_path, write_shop):
    with pytest.raises(DataError, match="holds no table"):
        crm.connect(tmp_path)
    with pytest.raises(DataError, match="there is no shop at"):
        crm.connect(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="as_of must be a day"):
        crm.connect(write_shop(orders=ORDERS), as_of="yesterday")


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("nme = 'x'", "no setting 'nme'; did you mean 'name'"),
        ("timezone = 'Europe/Berln'", "unknown time zone"),
        ("as_of = 'soon'", "as_of must be a day"),
        ("[columns.order]\nx = 'y'", "is not a table; did you mean 'orders'"),
        ("[columns.orders]\nordered = 'y'", "no column 'ordered'"),
        ("name = ", "cannot be read"),
        ("currency = 'USD'", "shop.toml says USD, orders.csv says EUR"),
    ],
)
def test_a_faulty_shop_toml_is_refused(write_shop, toml, message):
    folder = write_shop(toml=toml, orders=[{**ORDERS[0], "currency": "EUR"}])
    with pytest.raises(DataError, match=message):
        crm.connect(folder)


def test_what_an_old_day_cannot_know_is_listed(write_shop):
    row = {"order_id": "1", "ordered_at": "2025-03-01", "status": "completed", "refunded": "1"}
    folder = write_shop(orders=[row])
    assert [text.split(":")[0] for text in crm.connect(folder, as_of="2025-03-05").not_as_known()] == [
        "refunds",
        "order status",
    ]
    closed = write_shop("closed", toml="as_of = 2025-03-05", orders=[row])
    assert crm.connect(closed).not_as_known() == ()


def test_staleness_counts_from_as_of(write_shop):
    folder = write_shop(toml='max_age = "48h"', orders=ORDERS)
    assert not crm.connect(folder, as_of="2025-03-13").stale()
    assert crm.connect(folder, as_of="2025-03-16").stale()


def test_cdnow_as_the_contract_reads_it(cdnow_folders: tuple[Path, Path]):
    # CONTRACT: eight zero-value orders stay in the sample; row counts as in the files lifetimes carries.
    full, sample = (crm.connect(folder) for folder in cdnow_folders)
    assert full.reconciliation().iloc[-1].tolist() == ["all", 69_659, 69_659, 0, 0]
    assert sample.reconciliation().iloc[-1].tolist() == ["all", 6_919, 6_919, 0, 0]
    assert sample.audits["orders"].oddities["zero_total"] == 8


@pytest.mark.usefixtures("each_engine")
def test_what_is_kept_is_worked_out_once_and_is_the_same(write_shop):
    shop = crm.connect(
        write_shop(orders=[{"order_id": str(i), "ordered_at": "2025-01-01", "total": i} for i in range(9)])
    )

    def high():
        orders = shop.table("orders")
        return orders.filter(orders["total"] > 4).select("order_id", "total")

    kept = shop.keep(high())
    assert shop.keep(high()) is kept and shop.keep(shop.table("orders")) is not kept
    pd.testing.assert_frame_equal(shop.fetch(kept.order_by("order_id")), shop.fetch(high().order_by("order_id")))


@pytest.mark.usefixtures("each_engine")
def test_whoever_is_drawn_is_there_with_all_orders(write_shop):
    orders = [
        {"order_id": f"o{i}", "ordered_at": "2025-01-01", "customer_id": f"c{i % 200}" if i % 5 else ""}
        for i in range(1000)
    ]
    lines = [{"order_id": row["order_id"], "product_id": "p"} for row in orders]
    folder = write_shop(orders=orders, order_lines=lines)
    shop = crm.connect(folder)
    part = shop.drawn(4)
    found = part.fetch(part.table("orders"))

    def lot(key: str) -> bool:
        return hashlib.md5(f"{key}#drawn".encode()).hexdigest()[:8] < "40000000"

    wanted = {row["order_id"] for row in orders if lot(row["customer_id"] or row["order_id"])}
    assert set(found["order_id"]) == wanted and 150 < len(wanted) < 350
    assert set(part.fetch(part.table("order_lines"))["order_id"]) == wanted
    assert len(shop.fetch(shop.table("orders"))) == 1000
    assert shop.drawn(1) is shop
    with pytest.raises(UsageError, match="1 is the whole shop"):
        shop.drawn(0)
    (folder / "orders.csv").unlink()
    alone = crm.connect(folder).drawn(4)
    assert set(alone.fetch(alone.table("order_lines"))["order_id"]) == {
        row["order_id"] for row in orders if lot(row["order_id"])
    }


def test_a_file_that_cannot_be_read_in_parts_is_read_from_its_beginning(write_shop, monkeypatch):
    """As DuckDB does with quoted fields at some places of large files (its issue 24237)."""
    asked = []
    of_csv, keep = DuckDB._csv, DuckDB.keep

    def noted(self, source):
        asked.append(source.one_line_rows)
        return of_csv(self, source)

    def refusing(self, name, expression):
        kept = keep(self, name, expression)
        if asked[-1] or never:
            raise duckdb.NotImplementedException("The Parallel CSV Reader does not support a full read on this file")
        return kept

    monkeypatch.setattr(DuckDB, "_csv", noted)
    monkeypatch.setattr(DuckDB, "keep", refusing)
    folder = write_shop(orders=ORDERS)
    never = False
    assert crm.connect(folder).audits["orders"].read == len(ORDERS) and asked == [True, False]
    never = True
    with pytest.raises(DataError, match="cannot be read"):
        crm.connect(folder)
