"""Compressed files, workbooks, JSON lines and small databases become CSV or Parquet files that can be read like others.

Whatever a file says of itself is a claim: how large it becomes is counted while it is unpacked, names of members are
words for messages and never paths, and of a database only the rows of its plain tables are read.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import sqlite3
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import quote

from crmlib.errors import DataError

_LARGEST = 16 << 30  # bytes that one packed file may become
_FREE, _TIMES = 64 << 20, 400  # beyond the first, no text is packed smaller than this
_MEMBERS = 1_000
_CELLS = 50_000_000  # of a sheet, the empty ones between others included
_COLUMNS = 2_000
_CHUNK = 1 << 20
_LINE = 32 << 20
_SECONDS = 600
_TEXTS = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson")
_BOOKS = (".xlsx", ".xlsm", ".xls")
_DATABASES = (".sqlite", ".sqlite3", ".db")
PLAIN = (".csv", ".parquet")
KINDS = (*PLAIN, ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".gz", ".zip", *_BOOKS, *_DATABASES, ".duckdb")


@dataclass(frozen=True)
class Unpacked:
    """A table in or of a file: what messages call it, the name by which it may be one of ours, where to read it."""

    name: str
    stem: str
    path: Path


def unpack(path: Path, scratch: Path) -> Iterator[Unpacked]:
    """The tables of a file, as CSV or Parquet files; `scratch` takes those that it is not itself.

    Raises DataError for a file that is not what its name says, or becomes too large.
    """
    kind, stem = path.suffix.lower(), path.stem
    with _in_words(path.name):
        if kind == ".gz":
            inner = Path(stem)
            if inner.suffix.lower() not in _TEXTS:
                raise DataError(f"{path.name} holds no CSV, TSV or JSON lines by its name")
            with gzip.open(path, "rb") as packed:
                copy = _copy(
                    cast("IO[bytes]", packed),
                    scratch / f"unpacked{inner.suffix.lower()}",
                    path.stat().st_size,
                    path.name,
                )
            yield from _text(copy, path.name, inner.stem, scratch)
        elif kind == ".zip":
            yield from _members(path, scratch)
        elif kind in _BOOKS:
            yield from _sheets(path, scratch)
        elif kind in _DATABASES:
            yield from _sqlite(path, scratch)
        elif kind == ".duckdb":
            from crmlib.shop.engines.duckdb import tables_of

            found = list(tables_of(path, scratch))
            for name, copy in found:
                yield Unpacked(f"{path.name}: {_word(name)}", name if len(found) > 1 or name else stem, copy)
        else:
            yield from _text(path, path.name, stem, scratch)


def _text(path: Path, name: str, stem: str, scratch: Path) -> Iterator[Unpacked]:
    if path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        path = _json(path, name, scratch / "json.csv")
    yield Unpacked(name, stem, path)


@contextmanager
def _in_words(name: str) -> Iterator[None]:
    """What libraries say of a broken file, as one line of ours."""
    try:
        yield
    except (zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{name} cannot be unpacked: {_word(str(error))}; export it again") from None
    except sqlite3.Error as error:
        raise DataError(f"{name} cannot be read as SQLite: {_word(str(error))}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} cannot be read: {_word(str(error))}") from None
    except OSError as error:
        raise DataError(f"{name} cannot be opened: {_word(error.strerror or str(error))}") from None


def _word(text: str) -> str:
    """Words of somebody else's on one line, short, and without signs that a terminal would obey."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", text)[:120]


def _copy(packed: IO[bytes], target: Path, size: int, name: str) -> Path:
    """Unpack a stream, and stop where it becomes larger than any text would."""
    most, written = min(_LARGEST, max(_FREE, size * _TIMES)), 0
    with target.open("wb") as out:
        while chunk := packed.read(_CHUNK):
            written += len(chunk)
            if written > most:
                raise DataError(f"{name} becomes larger than {most >> 20:,} MB when it is unpacked: unpack it by hand")
            out.write(chunk)
    return target


def _members(path: Path, scratch: Path) -> Iterator[Unpacked]:
    with zipfile.ZipFile(path) as archive:
        members = [
            member for member in archive.infolist()
            if not member.is_dir() and not Path(member.filename).name.startswith((".", "~"))
            and not member.filename.startswith("__MACOSX")
        ]  # fmt: skip
        if len(members) > _MEMBERS:
            raise DataError(f"{path.name} holds {len(members):,} files, {_MEMBERS:,} at most can be read")
        whole = 0
        for number, member in enumerate(members):
            inner = Path(_word(member.filename).replace("\\", "/")).name
            kind = Path(inner).suffix.lower()
            name = f"{path.name}: {inner}"
            if kind not in (*_TEXTS, ".json", *_BOOKS):
                continue
            if member.flag_bits & 1:
                raise DataError(f"{name} is encrypted: unpack it by hand")
            place = scratch / f"member-{number}"
            place.mkdir()
            with archive.open(member) as packed:
                copy = _copy(packed, place / f"unpacked{kind}", path.stat().st_size, name)
            whole += copy.stat().st_size
            if whole > _LARGEST:
                raise DataError(f"{path.name} becomes larger than {_LARGEST >> 30} GB when it is unpacked")
            if kind in _BOOKS:
                for sheet in _sheets(copy, place):
                    yield Unpacked(f"{name}{sheet.name.removeprefix(copy.name)}", sheet.stem, sheet.path)
            else:
                yield from _text(copy, name, Path(inner).stem, place)


def _sheets(path: Path, scratch: Path) -> Iterator[Unpacked]:
    from python_calamine import CalamineError, CalamineWorkbook

    if path.suffix.lower() != ".xls":
        _bounded(path)
    try:
        book = CalamineWorkbook.from_path(str(path))
        names = list(book.sheet_names)
        for number, sheet in enumerate(names):
            rows = book.get_sheet_by_name(sheet).iter_rows()
            copy = _write(scratch / f"sheet-{number}.csv", ([_cell(value) for value in row] for row in rows))
            if copy.stat().st_size > 2:
                stem = sheet if len(names) > 1 and sheet.strip().lower() not in ("sheet1", "tabelle1") else path.stem
                yield Unpacked(path.name if len(names) == 1 else f"{path.name}: {_word(sheet)}", stem, copy)
    except CalamineError as error:
        raise DataError(f"{path.name} cannot be read as an Excel workbook: {_word(str(error))}") from None


def _bounded(path: Path) -> None:
    """Raises DataError for a workbook that becomes too large, or whose cells lie too far apart to be held."""
    size, whole = path.stat().st_size, 0
    place = re.compile(rb'<c[^>]{0,40}? r="([A-Z]{1,3})([0-9]{1,7})"')
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            rows = columns = 1
            with archive.open(member) as packed:
                end = b""
                while chunk := packed.read(_CHUNK):
                    whole += len(chunk)
                    if whole > min(_LARGEST, max(_FREE, size * _TIMES)):
                        raise DataError(f"{path.name} becomes too large when it is unpacked: save it as CSV")
                    if "/worksheets/" in member.filename:
                        for letters, row in place.findall(end + chunk):
                            rows, columns = max(rows, int(row)), max(columns, _number(letters))
                        end = chunk[-60:]
            if rows * columns > _CELLS:
                raise DataError(
                    f"{path.name} has cells as far away as row {rows:,}: delete what is empty, or save as CSV"
                )


def _number(letters: bytes) -> int:
    """The place of a column: 1 for A, 27 for AA."""
    place = 0
    for letter in letters:
        place = place * 26 + letter - 64
    return place


def _cell(value: Any) -> str:
    """What a cell of a workbook or a database says, as text."""
    if value is None or isinstance(value, bytes):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat(" ", timespec="seconds")
    return value.isoformat() if isinstance(value, date) else str(value)


def _write(target: Path, rows: Iterable[list[str]]) -> Path:
    with target.open("w", encoding="utf-8", newline="", errors="replace") as out:
        writer = csv.writer(out, lineterminator="\n")
        for row in rows:
            if any(row):
                writer.writerow(row)
    return target


def even_rows(path: Path, target: Path, *, delimiter: str, encoding: str) -> Path:
    """A file whose rows end where nothing follows and in which a quote is a word, as an ordinary CSV file."""
    with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, errors="replace", newline="") as file:
        rows = csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE)
        header = next((row for row in rows if len(row) > 3), [])
        return _write(target, (row + [""] * (len(header) - len(row)) for part in ([header], rows) for row in part))


def _json(path: Path, name: str, target: Path) -> Path:
    """Objects, a line each or in one list, as rows; an object within one becomes 'customer.email'."""
    columns: dict[str, int] = {}
    for record in _records(path, name):
        for key in record:
            columns.setdefault(key, len(columns))
        if len(columns) > _COLUMNS:
            raise DataError(f"{name} has more than {_COLUMNS:,} different fields")
    if not columns:
        raise DataError(f"{name} holds no objects")
    rows = ([record.get(key, "") for key in columns] for record in _records(path, name))
    return _write(target, (row for part in ([list(columns)], rows) for row in part))


def _records(path: Path, name: str) -> Iterator[dict[str, str]]:
    read: Callable[[str], Any] = json.JSONDecoder(parse_int=str, parse_float=str).decode
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        if path.suffix.lower() == ".json":
            if file.read(64).lstrip()[:1] != "[":
                raise DataError(f"{name} is no list of objects")
            file.seek(0)
            if path.stat().st_size > 16 * _LINE:
                raise DataError(f"{name} is one list of more than 512 MB: export it as JSON lines")
            found = read(file.read())
            yield from (_flat(item) for item in found if isinstance(item, dict))
            return
        while line := file.readline(_LINE):
            if len(line) == _LINE:
                raise DataError(f"{name} has a line of more than {_LINE >> 20} MB")
            if line.strip():
                try:
                    item = read(line)
                except (ValueError, RecursionError):
                    item = None
                if not isinstance(item, dict):
                    raise DataError(f"{name} has lines that are no JSON objects")
                yield _flat(item)


def _flat(item: dict[str, Any]) -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in item.items():
        inner = value if isinstance(value, dict) else {}
        flat |= {f"{key}.{below}": _plain(deep) for below, deep in inner.items()} if inner else {key: _plain(value)}
    return flat


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    return _cell(value) if value is None or isinstance(value, bool) else json.dumps(value, ensure_ascii=False)


def _sqlite(path: Path, scratch: Path) -> Iterator[Unpacked]:
    with path.open("rb") as file:
        if file.read(16) != b"SQLite format 3\0":
            raise DataError(f"{path.name} is not an SQLite database")
    until = time.monotonic() + _SECONDS
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)) as base:
        base.execute("PRAGMA trusted_schema = OFF")
        base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 4 << 20)
        base.set_progress_handler(lambda: time.monotonic() > until, 1_000_000)
        base.text_factory = lambda raw: raw.decode("utf-8", "replace")
        # Nothing but reading columns: no function, no attached file, no extension, whatever the schema says.
        reading = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ)
        base.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in reading else sqlite3.SQLITE_DENY)
        names = [
            name for name, made in base.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
            if not name.lower().startswith("sqlite_") and not re.match(r"\s*CREATE\s+VIRTUAL", made or "", re.I)
        ]  # fmt: skip
        left = []
        for number, name in enumerate(names[:_MEMBERS]):
            copy = scratch / f"table-{number}.csv"
            try:
                quoted = name.replace('"', '""')
                rows = base.execute(f'SELECT * FROM "{quoted}"')
                header = [[column[0] for column in rows.description]]
                cells = ([_cell(value) for value in row] for row in rows)
                _write(copy, (row for part in (header, cells) for row in part))
            except sqlite3.DatabaseError as error:
                left.append(f"{_word(name)}: {_word(str(error))}")
                continue
            yield Unpacked(f"{path.name}: {_word(name)}", name, copy)
        if left:  # the others were read
            raise DataError(f"{path.name} has tables that cannot be read ({'; '.join(left[:3])})")
