"""Files as they really come: each row is kept or set aside under its reason, or the error says what to do."""

from __future__ import annotations

import csv
import datetime as dt
import io
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

import crmlib as crm
from crmlib.errors import DataError
from crmlib.shop.intake import encoding as text

HEAD = "order_id,ordered_at,coupon\n"
ONE = HEAD + "1,2025-01-01,x\n"
TIMES = [dt.datetime(2025, 1, 1, 10), dt.datetime(2025, 1, 2, 23, 30)]


def connect(folder: Path, content: str | bytes, *, name: str = "orders.csv") -> crm.Shop:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return crm.connect(folder, as_of="2025-06-01")


def rows_of(shop: crm.Shop, table: str = "orders") -> pd.DataFrame:
    key = shop.table(table).columns[shop.table(table).columns.index(f"{table.removesuffix('s')}_id")]
    return shop.fetch(shop.table(table).order_by(key))


def aside(shop: crm.Shop) -> dict[int, str]:
    frame = shop.fetch(shop.set_aside())
    return dict(zip(frame["row"], frame["code"], strict=True))


@pytest.mark.usefixtures("each_engine")
@pytest.mark.parametrize(
    "content",
    [
        ONE,
        ONE.replace("\n", "\r\n"),
        ONE.replace("\n", "\r"),
        "\n\n" + ONE,
        ONE + "\n\n",
        "sep=;\n" + ONE.replace(",", ";"),
        ONE.replace(",", "|"),
        ONE.replace(",", "\t"),
        'order_id;ordered_at;"coupon";"note, a, b, c, d"\n1;2025-01-01;x;n\n',
        b"\xef\xbb\xbf" + ONE.encode(),
        *[ONE.encode(kind) for kind in ("utf-16", "utf-16-le", "utf-16-be", "utf-32")],
        " Order_ID ,ORDERED_AT, Coupon\n1,2025-01-01,x\n",
        "order_id,ordered_at,coupon,,\n1,2025-01-01,x,,\n",
        'order_id,ordered_at,coupon,"x""); drop table orders; --",<script>\n1,2025-01-01,x,3,4\n',
        "order_id,ordered_at,coupon,_row,_reason,_surplus_0,_late\n1,2025-01-01,x,9,9,9,9\n",
    ],
)
def test_one_order_is_one_order_however_it_is_written(tmp_path: Path, content: str | bytes) -> None:
    shop = connect(tmp_path, content)
    assert shop.reconciliation().iloc[0].tolist() == ["orders", 1, 1, 0, 0]
    assert rows_of(shop)[["order_id", "coupon"]].values.tolist() == [["1", "x"]]


@pytest.mark.usefixtures("each_engine")
def test_a_name_that_begins_like_a_working_column_can_be_mapped(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text('[columns.orders]\norder_id = "_row"\n')
    shop = connect(tmp_path, "_row,ordered_at,_late\nA,2025-01-01,1\n")
    assert rows_of(shop)["order_id"].tolist() == ["A"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: it needs at least a header line with order_id, ordered_at"),
        (b"\xef\xbb\xbf", "is empty"),
        (b" \n\n\n", "is empty"),
        (b"PK\x03\x04" + bytes(99), "an Excel workbook or a zip file.*export it as CSV"),
        (b"\x1f\x8b\x08" + bytes(99), "compressed"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b'[{"order_id": 1}]', "JSON"),
        (bytes(range(256)) * 20, "not a text file"),
        (b"Order_ID,order_id,ordered_at\n1,1,2025-01-01\n", "two columns named 'Order_ID' and 'order_id'"),
    ],
)
def test_what_is_no_table_is_refused_with_what_to_do(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        connect(tmp_path, content)


@pytest.mark.usefixtures("each_engine")
@pytest.mark.parametrize("content", [HEAD, HEAD.strip(), HEAD + "\n"])
def test_a_header_alone_is_a_shop_without_orders(tmp_path: Path, content: str) -> None:
    shop = connect(tmp_path, content)
    assert shop.reconciliation().iloc[0].tolist() == ["orders", 0, 0, 0, 0]


def test_a_folder_or_a_dead_link_is_not_a_table(tmp_path: Path) -> None:
    (tmp_path / "products.csv").mkdir()
    (tmp_path / "customers.csv").symlink_to(tmp_path / "nowhere.csv")
    assert list(connect(tmp_path, ONE).audits) == ["orders"]


# Quotes: what never closes must not swallow the lines after it.

BROKEN = [
    ('2,"2025-01-02,x\n', {2: "broken_quote"}),
    ('2,2025-01-02,"x\n', {2: "broken_quote"}),
    ('2,2025-01-02,"a"b\n', {2: "broken_quote"}),
    ('2,2025-01-02,"a\\"b"\n', {2: "broken_quote"}),
    ('2,"2025-01-02,x\n3,"2025-01-02,x\n', {2: "broken_quote", 3: "broken_quote"}),
    ('2,2025-01-02,"never closed\n3,2025-01-02,"two\nlines"\n', {2: "broken_quote"}),
    ("2,2025-01-02,12\" pipe\n", {}),
    ('2,2025-01-02,"two\n\nlines, ""quoted"""\n', {}),
]  # fmt: skip


@pytest.mark.usefixtures("each_engine")
@pytest.mark.parametrize(("middle", "reasons"), BROKEN)
def test_a_broken_quote_costs_its_own_row_only(tmp_path: Path, middle: str, reasons: dict[int, str]) -> None:
    shop = connect(tmp_path, ONE + middle + "8,2025-01-03,y\n9,2025-01-03,z\n")
    assert aside(shop) == reasons
    assert rows_of(shop)["order_id"].tolist()[-2:] == ["8", "9"]
    read, kept, out = shop.reconciliation().iloc[0][["read", "kept", "set_aside"]]
    assert read == kept + out and out == len(reasons)


@pytest.mark.usefixtures("each_engine")
def test_a_quote_that_never_closes_in_a_large_file(tmp_path: Path) -> None:
    # Beyond the engine's own limit for a line, two million bytes.
    tail = "".join(f"{i},2025-01-03,{'y' * 40}\n" for i in range(100, 60_000))
    shop = connect(tmp_path, ONE + '2,2025-01-02,"open\n' + tail)
    assert shop.reconciliation().iloc[0].tolist() == ["orders", 59_902, 59_901, 1, 0]


@pytest.mark.usefixtures("each_engine")
def test_a_giant_row_is_set_aside_and_the_next_one_kept(tmp_path: Path) -> None:
    content = "feedback_id,text\n1," + "x" * 3_000_000 + '\n2,"' + "y" * 200_000 + '"\n3,fine\n'
    shop = connect(tmp_path, content, name="feedback.csv")
    assert aside(shop) == {1: "too_long"}
    lengths = shop.table("feedback").mutate(length=lambda t: t.text.length()).order_by("feedback_id")
    assert shop.fetch(lengths)["length"].tolist() == [200_000, 4]


_FIELD = st.text(st.sampled_from("ab\",;\n\r \\'é\u2028"), max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(_FIELD, _FIELD, _FIELD), min_size=1, max_size=6))
def test_a_well_written_file_is_never_called_broken(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]]
) -> None:
    # The oracle is Python's own writer: what it writes is sound, and mending must give the same rows back.
    folder = tmp_path_factory.mktemp("sound")
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerows([("a", "b", "c"), *rows])
    (folder / "x.csv").write_text(out.getvalue(), encoding="utf-8", newline="")
    assert text.quotes_of(folder / "x.csv", delimiter=",").sound
    text.mend(folder / "x.csv", folder / "y.csv", delimiter=",", columns=3, skip=0)
    with (folder / "y.csv").open(encoding="utf-8", newline="") as file:
        mended = list(csv.reader(file))[1:]
    assert [row[0] for row in mended] == [""] * len(rows)
    # Line ends within a field may change their kind, nothing else may change.
    plain = [[field.replace("\r\n", "\n").replace("\r", "\n") for field in row] for row in rows]
    assert [row[1:] for row in mended] == plain


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.sampled_from('12",;x -\\'), min_size=1, max_size=12), min_size=1, max_size=8))
def test_whatever_the_lines_hold_none_is_lost(lines: list[str]) -> None:
    """Each line is in one row: alone, or joined with others to a row of the header's width."""
    lines = [line for line in lines if line.strip()]
    rows = list(text._rows(iter([f"{line}\n" for line in lines]), delimiter=",", columns=3))
    spans = [1 + sum(field.count("\n") for field in row) for _, row in rows]
    assert sum(spans) == len(lines)
    assert all(len(row) == 3 for (mark, row), span in zip(rows, spans, strict=True) if span > 1 and not mark)
    assert all(span == 1 for (mark, _), span in zip(rows, spans, strict=True) if mark)


# Values


@pytest.mark.usefixtures("each_engine")
@pytest.mark.parametrize(
    ("value", "expected"),
    [("0,125", 0.125), ("1 234,50", 1234.5), ("1\u00a0234", 1234.0), ("1\u202f234,5", 1234.5), ("1'234.50", 1234.5),
     ("1.234.567,8", 1234567.8), ("+1 000", 1000.0), ("1 23", None), ("1 2345", None), ("€5", 5.0), ("(5)", -5.0),
     ("٣", None), ("1e30", None), ("99999999999999999999", None)],
)  # fmt: skip
def test_numbers_as_people_group_them(tmp_path: Path, value: str, expected: float | None) -> None:
    shop = connect(tmp_path, f'order_id;ordered_at;total\n1;2025-01-01;"{value}"\n')
    read = rows_of(shop)["total"].iloc[0]
    assert pd.isna(read) if expected is None else read == expected
    assert shop.audits["orders"].oddities["unreadable_value"] == (expected is None)


@pytest.mark.usefixtures("each_engine")
@pytest.mark.parametrize("word", ["NULL", "\\N", "NaN", "<NA>", "#N/A", "null", "None", "nan"])
def test_an_empty_value_by_another_name_is_empty(tmp_path: Path, word: str) -> None:
    lines = f"order_id,ordered_at,customer_id,total,refunded\n1,2025-01-01,{word},{word},1\n{word},2025-01-01,c,1,1\n"
    shop = connect(tmp_path, lines)
    row = rows_of(shop).iloc[0]
    # Or all guests of a shop would be one very good customer named NULL.
    assert pd.isna(row["customer_id"]) and pd.isna(row["total"])
    assert shop.audits["orders"].oddities["unreadable_value"] == 0
    assert aside(shop) == {2: "missing_value"}


@pytest.mark.usefixtures("each_engine")
def test_words_that_people_are_called_or_say_stay(tmp_path: Path) -> None:
    shop = connect(tmp_path, "feedback_id,text\n1,None\n2,null\n3,NA\n", name="feedback.csv")
    assert shop.fetch(shop.table("feedback").order_by("feedback_id"))["text"].tolist() == ["None", "null", "NA"]
    (tmp_path / "customers.csv").write_text("customer_id,last_name,country\nNA,Null,NA\n")
    person = crm.connect(tmp_path, as_of="2025-06-01")
    assert person.fetch(person.table("customers"))[["customer_id", "last_name", "country"]].values.tolist() == [
        ["NA", "Null", "NA"]
    ]


@pytest.mark.usefixtures("each_engine")
@pytest.mark.parametrize(
    "day",
    ["20250102", "2025-13-01", "2025-02-29", "31.02.2024", "31/12/2024 25:00", "Jan 32 2025", "2 Foo 2025", "now"],
)
def test_a_day_that_is_none_is_set_aside(tmp_path: Path, day: str) -> None:
    assert aside(connect(tmp_path, f"{ONE}2,{day},x\n")) == {2: "unreadable_date"}


# Parquet


def parquet_shop(folder: Path, **columns: Any) -> crm.Shop:
    table = pa.table({"order_id": [1, 2], "ordered_at": TIMES} | columns)
    parquet.write_table(table, folder / "orders.parquet")
    return crm.connect(folder, as_of="2025-06-01")


def _decimal(places: int) -> pa.Array:
    return pa.array([Decimal("1.5"), Decimal("2.25")], pa.decimal128(38, places))


@pytest.mark.usefixtures("each_engine")
@pytest.mark.parametrize(
    ("columns", "name", "expected"),
    [
        ({"total": _decimal(10)}, "total", [1.5, 2.25]),
        ({"total": pa.array([1.5, 2.25], pa.float32())}, "total", [1.5, 2.25]),
        ({"total": pa.array([1, 2], pa.uint8())}, "total", [1.0, 2.0]),
        ({"total": pa.array(["1,50", "2.25"]).dictionary_encode()}, "total", [1.5, 2.25]),
        ({"total": [float("nan"), float("inf")]}, "total", [None, None]),
        ({"total": [True, False]}, "total", [None, None]),
        ({"total": [[1], [2]]}, "total", [None, None]),
        ({"total": pa.nulls(2)}, "total", [None, None]),
        ({"customer_id": [17.0, None]}, "customer_id", ["17", None]),
        ({"customer_id": [17.5, 2.0**50]}, "customer_id", ["17.5", "1125899906842624"]),
        ({"customer_id": pa.array([2**64 - 1, 1], pa.uint64())}, "customer_id", [str(2**64 - 1), "1"]),
        ({"customer_id": pa.array(["a", "b"]).dictionary_encode()}, "customer_id", ["a", "b"]),
        ({"status": pa.array(["x", None], pa.large_string())}, "status", ["x", None]),
        ({"note": [{"a": 1}, {"a": 2}]}, "note", [{"a": 1}, {"a": 2}]),
    ],
)
def test_parquet_of_every_type_is_read_or_left_empty(
    tmp_path: Path, columns: dict[str, Any], name: str, expected: list[object]
) -> None:
    shop = parquet_shop(tmp_path, **columns)
    assert shop.reconciliation().iloc[0].tolist() == ["orders", 2, 2, 0, 0]
    got = [None if not isinstance(v, dict) and pd.isna(v) else v for v in rows_of(shop)[name]]
    assert got == expected


def test_a_float_beyond_whole_numbers_is_no_number_as_an_id(tmp_path: Path) -> None:
    rows = rows_of(parquet_shop(tmp_path, customer_id=[2.0**60, 2.0**52]))
    assert rows["customer_id"].tolist() == ["1.152921504606847e+18", "4503599627370496"]


@pytest.mark.usefixtures("each_engine")
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_parquet_times_are_local_moments(tmp_path: Path, unit: str, zone: str | None) -> None:
    (tmp_path / "shop.toml").write_text('timezone = "Europe/Berlin"')
    shop = parquet_shop(tmp_path, ordered_at=pa.array(TIMES, pa.timestamp(unit, zone)))
    days = [f"{at:%d %H:%M}" for at in rows_of(shop)["ordered_at"]]
    # An instant of 23:30 UTC is half past midnight in Berlin; a time without a zone is the shop's own.
    assert days == (["01 11:00", "03 00:30"] if zone else ["01 10:00", "02 23:30"])


@pytest.mark.usefixtures("each_engine")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b"hello, this is text"), "orders.parquet cannot be read as Parquet"),
        (lambda path: path.write_bytes(b"PAR1" + bytes(99)), "cannot be read as Parquet"),
        (
            lambda path: parquet.write_table(
                pa.table([[1], [2], TIMES[:1]], names=["order_id", "Order_ID", "ordered_at"]), path
            ),
            "two columns named 'Order_ID' and 'order_id'",
        ),
    ],
)
def test_broken_parquet_is_refused_without_naming_where_it_lies(
    tmp_path: Path, make: Callable[[Path], None], message: str
) -> None:
    make(tmp_path / "orders.parquet")
    with pytest.raises(DataError, match=message) as caught:
        crm.connect(tmp_path)
    assert str(tmp_path) not in str(caught.value)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from(['"', '""', '"a"', ",", ";", "\n", "\r\n", "\r", "a", "é", " "]), max_size=30).map("".join)
)
def test_quotes_that_are_seen_to_be_sound_are_sound_to_a_reader_of_fields(written: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.csv"
        path.write_text(written, encoding="utf-8", newline="")
        found = text.quotes_of(path, delimiter=",")
    try:
        reader = csv.reader(io.StringIO(written, newline=""), delimiter=",", strict=True)
        rows = list(reader)
    except csv.Error:
        assert not found.sound
    else:
        assert found.sound and (not found.one_line_rows or reader.line_num == len(rows))


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_plain_exports_are_seen_to_be_so_and_texts_over_lines_are_not(tmp_path: Path, ending: str) -> None:
    rows = ['"a","b"', '"x, ""y""",""', 'plain,"ends"', "é,2"]
    path = tmp_path / "x.csv"
    path.write_text(ending.join([*rows, ""]), encoding="utf-8-sig", newline="")
    assert text.quotes_of(path, delimiter=",") == text.Quotes(sound=True, one_line_rows=True)
    path.write_text(ending.join([*rows, '"over', 'lines",1']), encoding="utf-8", newline="")
    assert text.quotes_of(path, delimiter=",") == text.Quotes(sound=True, one_line_rows=False)


def test_rows_keep_their_places_however_many_readers_there_are(tmp_path: Path) -> None:
    """Large enough for several readers at once; every thousandth row is broken, and is named by its place."""
    note, size = "n" * 200, 200_000
    with (tmp_path / "orders.csv").open("w", encoding="utf-8") as file:
        file.write('"order_id","ordered_at","note"\n')
        file.writelines(
            f'"{row}","{"x" if row % 1000 == 0 else "2025-01-02 10:00:00"}","{note}"\n' for row in range(1, size + 1)
        )
    shop = crm.connect(tmp_path, as_of="2025-02-01")
    assert shop.audits["orders"].source.one_line_rows and shop.audits["orders"].kept == size - size // 1000
    assert aside(shop) == dict.fromkeys(range(1000, size + 1, 1000), "unreadable_date")
