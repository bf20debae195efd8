"""One shop in every kind of file says the same; and what hostile files of these kinds may not do."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pytest

import crmlib as crm
from crmlib.errors import DataError
from crmlib.shop.intake import unpack
from crmlib.shop.intake.gather import gather
from crmlib.shop.intake.settings import read_settings

ORDERS = [["order_id", "ordered_at", "customer_id", "total", "note"]] + [
    [f"{1000 + i}", f"2026-01-{i % 27 + 1:02d} 10:00:00", f"00{i % 7 + 1}", f"{i}.50", 'said "so, and\nwent']
    for i in range(60)
]
LINES = [["order_id", "product_id", "quantity", "line_total"]] + [
    [f"{1000 + i}", f"P{i % 5}", "2", f"{i}.50"] for i in range(60)
]


def text(rows: list[list[str]], delimiter: str = ",") -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return out.getvalue()


def records(rows: list[list[str]]) -> list[dict[str, str]]:
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def as_csv(folder: Path) -> None:
    (folder / "orders.csv").write_text(text(ORDERS))
    (folder / "order_lines.csv").write_text(text(LINES))


def as_gz(folder: Path) -> None:
    (folder / "orders.csv.gz").write_bytes(gzip.compress(text(ORDERS).encode("utf-16")))
    (folder / "order_lines.tsv.gz").write_bytes(gzip.compress(text(LINES, "\t").encode()))


def as_zip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "export of today.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b/orders.csv", text(ORDERS))
        archive.writestr("../../order_lines.csv", text(LINES, ";"))
        archive.writestr("__MACOSX/._orders.csv", "x")
        archive.writestr("readme.md", "words")


def as_tsv(folder: Path) -> None:
    (folder / "orders.tsv").write_text(text(ORDERS, "\t"))
    (folder / "order_lines.txt").write_text(text(LINES, "|"))


def as_json(folder: Path) -> None:
    (folder / "orders.jsonl").write_text("\n".join(json.dumps(record) for record in records(ORDERS)))
    (folder / "order_lines.json").write_text(json.dumps(records(LINES), indent=1))


def as_parquet(folder: Path) -> None:
    typed = pd.DataFrame(records(ORDERS)).assign(
        ordered_at=lambda t: pd.to_datetime(t["ordered_at"]), total=lambda t: t["total"].astype(float)
    )
    typed.to_parquet(folder / "orders.parquet")
    pd.DataFrame(records(LINES)).to_parquet(folder / "order_lines.parquet")


def as_sqlite(folder: Path) -> None:
    with sqlite3.connect(folder / "shop.sqlite") as base:
        for name, rows in (("orders", ORDERS), ("order_lines", LINES)):
            base.execute(f"CREATE TABLE {name} ({', '.join(f'{c} TEXT' for c in rows[0])})")
            base.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", rows[1:])
        base.execute("CREATE VIEW customers AS SELECT customer_id FROM orders")
        base.execute("CREATE TABLE log (what TEXT)")
        base.execute("CREATE TRIGGER t AFTER INSERT ON orders BEGIN INSERT INTO log VALUES ('fired'); END")
    base.close()


def as_duckdb(folder: Path) -> None:
    with duckdb.connect(str(folder / "shop.duckdb")) as base:
        for name, rows in (("orders", ORDERS), ("order_lines", LINES)):
            frame = pd.DataFrame(records(rows))
            base.register("frame", frame)
            base.execute(f"CREATE TABLE {name} AS SELECT * FROM frame")
            base.unregister("frame")
        base.execute("CREATE VIEW customers AS SELECT * FROM read_csv('/etc/passwd')")


def as_parts(folder: Path) -> None:
    (folder / "orders-2026-01.csv").write_text(text(ORDERS[:40]))
    (folder / "orders-2026-02.csv").write_text(text([ORDERS[0], *ORDERS[25:]]))
    (folder / "order_lines (1).csv").write_text(text(LINES[:30]))
    (folder / "order_lines (2).csv").write_text(text([LINES[0], *LINES[20:]], ";"))


def as_excel(folder: Path) -> None:
    (folder / "shop.xlsx").write_bytes(workbook({"orders": ORDERS, "order_lines": LINES}))


def workbook(sheets: dict[str, list[list[str]]]) -> bytes:
    """A workbook as small as one may be: cells with their texts in line."""
    out = io.BytesIO()
    kinds = "http://schemas.openxmlformats.org"
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        parts = "".join(
            f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>'
            for n in range(1, len(sheets) + 1)
        )
        book.writestr(
            "[Content_Types].xml",
            f'<?xml version="1.0"?><Types xmlns="{kinds}/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>{parts}</Types>',
        )
        book.writestr(
            "_rels/.rels",
            f'<?xml version="1.0"?><Relationships xmlns="{kinds}/package/2006/relationships"><Relationship Id="r" Type="{kinds}/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        names = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(sheets, start=1))
        book.writestr(
            "xl/workbook.xml",
            f'<?xml version="1.0"?><workbook xmlns="{kinds}/spreadsheetml/2006/main" xmlns:r="{kinds}/officeDocument/2006/relationships"><sheets>{names}</sheets></workbook>',
        )
        links = "".join(
            f'<Relationship Id="r{n}" Type="{kinds}/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n in range(1, len(sheets) + 1)
        )
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<?xml version="1.0"?><Relationships xmlns="{kinds}/package/2006/relationships">{links}</Relationships>',
        )
        for n, rows in enumerate(sheets.values(), start=1):
            body = "".join(
                f'<row r="{r}">'
                + "".join(
                    f'<c r="{chr(65 + c)}{r}" t="inlineStr"><is><t>{value.replace("&", "&amp;").replace("<", "&lt;")}</t></is></c>'
                    for c, value in enumerate(row)
                )
                + "</row>"
                for r, row in enumerate(rows, start=1)
            )
            book.writestr(
                f"xl/worksheets/sheet{n}.xml",
                f'<?xml version="1.0"?><worksheet xmlns="{kinds}/spreadsheetml/2006/main"><sheetData>{body}</sheetData></worksheet>',
            )
    return out.getvalue()


def said(folder: Path) -> tuple[object, ...]:
    shop = crm.connect(folder)
    orders, lines = shop.fetch("orders"), shop.fetch("order_lines")
    return (
        shop.as_of, len(orders), len(lines), float(orders["total"].sum()), float(lines["line_total"].sum()),
        sorted(orders["order_id"]), sorted(orders["customer_id"]), orders["ordered_at"].max(), sorted(orders["note"])[:3],
    )  # fmt: skip


KINDS = (as_gz, as_zip, as_tsv, as_json, as_parquet, as_sqlite, as_duckdb, as_parts, as_excel)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    folder = tmp_path_factory.mktemp("plain")
    as_csv(folder)
    return said(folder)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_file_says_the_same(
    tmp_path: Path, plain: tuple[object, ...], kind: Callable[[Path], None]
) -> None:
    kind(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert said(tmp_path) == plain
    assert sorted(tmp_path.iterdir()) == before


def unread(folder: Path, make: Callable[[Path], None]) -> str:
    """What is said of a file that cannot be read, beside one that can."""
    (folder / "shop").mkdir()
    (folder / "scratch").mkdir()
    (folder / "shop" / "orders.csv").write_text("order_id,ordered_at\n1,2026-01-05\n")
    make(folder / "shop")
    found = gather(folder / "shop", read_settings(folder / "shop"), scratch=folder / "scratch")
    assert [source.table for source in found.sources] == ["orders"]
    (unknown,) = found.told.unknown
    assert "\n" not in unknown.why and str(folder) not in unknown.why
    return unknown.why


def bomb(folder: Path) -> None:
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("customers.csv", "customer_id\n" + "0" * (80 << 20))


def test_what_becomes_too_large_is_not_unpacked_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "_FREE", 1 << 20)
    assert "becomes larger than" in unread(tmp_path, bomb)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 60 << 20


def test_a_compressed_file_that_never_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "_FREE", 1 << 20)
    assert "becomes larger" in unread(
        tmp_path, lambda f: (f / "customers.csv.gz").write_bytes(gzip.compress(b"0" * (80 << 20))) and None
    )


def test_a_workbook_with_one_cell_far_away_is_refused(tmp_path: Path) -> None:
    rows = workbook({"customers": [["customer_id"], ["1"]]})

    def make(folder: Path) -> None:
        with (
            zipfile.ZipFile(io.BytesIO(rows)) as old,
            zipfile.ZipFile(folder / "far.xlsx", "w", zipfile.ZIP_DEFLATED) as new,
        ):
            for member in old.namelist():
                new.writestr(member, old.read(member).replace(b'r="A2"', b'r="XFD1048576"'))

    assert "cells as far away" in unread(tmp_path, make)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.zip", b"PK\x03\x04 no archive", "cannot be unpacked"),
        ("a.xlsx", b"no workbook", "cannot be unpacked"),
        ("a.sqlite", b"SQLite format 3\0" + b"\xff" * 5000, "cannot be read"),
        ("a.db", b"another kind of file", "is not an SQLite database"),
        ("a.duckdb", b"no database" * 500, "cannot be read as a DuckDB database"),
        ("a.csv.gz", b"\x1f\x8b\x08\x00 broken", "cannot be unpacked"),
        ("a.jsonl", b'{"a": ' + b"[" * 100_000, "no JSON objects"),
        ("a.jsonl", b'{"a": 1}\n[1]', "no JSON objects"),
        ("a.json", b"[" + b"1," * 10 + b"1]", "holds no objects"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_named_and_the_rest_is_read(
    tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    assert words in unread(tmp_path, lambda folder: (folder / name).write_bytes(data) and None)


def test_an_encrypted_archive_is_named(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        as_zip(folder)
        path = folder / "export of today.zip"
        data = bytearray(path.read_bytes())
        for start in (b"PK\x03\x04", b"PK\x01\x02"):
            at = data.find(start)
            while at >= 0:
                data[at + (6 if start == b"PK\x03\x04" else 8)] |= 1
                at = data.find(start, at + 4)
        path.write_bytes(bytes(data))

    assert "encrypted" in unread(tmp_path, make)


def test_a_hostile_database_runs_nothing(tmp_path: Path) -> None:
    """Generated columns, views and virtual tables call functions; their tables are left out, the others are read."""
    folder = tmp_path / "shop"
    folder.mkdir()
    with sqlite3.connect(folder / "shop.db") as base:
        base.execute("CREATE TABLE orders (order_id TEXT, ordered_at TEXT)")
        base.execute("INSERT INTO orders VALUES ('1', '2026-01-05')")
        base.execute("CREATE TABLE products (product_id TEXT, name TEXT AS (hex(zeroblob(100000000))) VIRTUAL)")
        base.execute("INSERT INTO products VALUES ('1')")
        base.execute("CREATE VIEW customers AS SELECT hex(randomblob(10)) AS customer_id")
        base.execute("CREATE VIRTUAL TABLE feedback USING fts5(feedback_id, text)")
    base.close()
    before = (folder / "shop.db").read_bytes()
    shop = crm.connect(folder)
    assert list(shop.audits) == ["orders"]
    assert any("cannot be read (products: " in unknown.why for unknown in shop.exports.unknown)
    assert (folder / "shop.db").read_bytes() == before and len(list(folder.iterdir())) == 1


def test_a_huge_cell_is_set_aside_or_cut_never_fatal(tmp_path: Path) -> None:
    (tmp_path / "orders.jsonl").write_text(
        json.dumps({"order_id": "1", "ordered_at": "2026-01-05"}) + "\n"
        + json.dumps({"order_id": "x" * 3_000_000, "ordered_at": "2026-01-05"}) + "\n"
    )  # fmt: skip
    shop = crm.connect(tmp_path)
    assert shop.fetch("orders")["order_id"].tolist() == ["1"]
    assert shop.audits["orders"].set_aside == {"too_long": 1}


def test_a_packed_file_that_changes_while_it_is_read_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_gz(tmp_path)
    from crmlib.shop import survey

    decide = survey.decide

    def changed(*said: object) -> object:
        (tmp_path / "orders.csv.gz").write_bytes(gzip.compress(b"order_id,ordered_at\n"))
        return decide(*said)  # type: ignore[arg-type]

    monkeypatch.setattr(survey, "decide", changed)
    with pytest.raises(DataError, match="changed while it was read"):
        crm.connect(tmp_path)
