"""What do the bytes of a CSV file say, and which of its lines can be read at all?

Exports come in many encodings, and with quotes that open and never close. Read as it stands, such a quote swallows the
lines after it without a trace; here the line is marked, so that it is set aside by name and those after it are kept.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crmlib.errors import DataError

DELIMITERS = ",;\t|"
LONGEST_ROW = 1_000_000  # characters; the engine's own limit is two million bytes
MARK = "_mark"  # the column that says what is wrong with a line
BROKEN_QUOTE, TOO_LONG = "broken_quote", "too_long"
_LONGEST_RECORD = 100  # lines one quoted text may run over in a file whose quotes are broken
_CHUNK, _BLOCK = 1 << 20, 1 << 22
_NEWLINE, _RETURN, _QUOTE = 10, 13, 34
Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]
_BOMS = (  # the longer first: UTF-32's begins like UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_OTHERS = (
    (b"PK\x03\x04", "an Excel workbook or a zip file"), (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\x1f\x8b", "compressed (gzip)"), (b"PAR1", "a Parquet file"), (b"%PDF", "a PDF"), (b"\x89PNG", "a picture"),
    (b"<!doctype", "a web page"), (b"<html", "a web page"), (b"<?xml", "XML"), (b"[{", "JSON"), (b'{"', "JSON"),
)  # fmt: skip


def encoding_of(first: bytes, *, utf8: bool, name: str) -> str:
    """The encoding of a file that begins with `first`; `utf8` says whether all of it is valid UTF-8.

    What is neither UTF-8 nor UTF-16 nor UTF-32 is taken for Windows-1252. Raises DataError where it is no text.
    """
    for bom, encoding in _BOMS:
        if first.startswith(bom):
            return encoding
    head = first[:4096]
    for magic, what in _OTHERS:
        if head.lstrip()[:16].lower().startswith(magic.lower()):
            raise DataError(f"{name} is {what}, not a CSV file: export it as CSV, in UTF-8")
    odd, even = head[1::2].count(0), head[::2].count(0)
    if odd + even > len(head) / 4 and min(odd, even) < len(head) / 50:
        return "utf-16-le" if odd > even else "utf-16-be"
    if b"\0" in head.partition(b"\n")[0] or head.count(0) > len(head) / 50:
        raise DataError(f"{name} is not a text file: export it as CSV, in UTF-8")
    return "utf-8" if utf8 else "cp1252"


def recode(path: Path, copy: Path, encoding: str) -> Path:
    """A copy in UTF-8; what the encoding cannot say becomes a question mark."""
    with (
        path.open(encoding=encoding, errors="replace", newline="") as theirs,
        copy.open("w", encoding="utf-8", newline="") as ours,
    ):
        while text := theirs.read(_CHUNK):
            ours.write(text)
    return copy


def header_of(path: Path, *, name: str) -> tuple[tuple[str, ...], str, int]:
    """Column names, delimiter, and the lines that come before them: empty ones, and the 'sep=;' of some exports.

    A column without a name gets its place as one. Raises DataError where two names differ in nothing but their case.
    """
    skip, delimiter = 0, ""
    with path.open(encoding="utf-8-sig", newline="") as file:
        for line in file:
            bare = line.strip()
            if bare and not (skip == 0 and bare[:4].lower() == "sep=" and len(bare) == 5):
                break
            delimiter = bare[-1:] if bare else delimiter
            skip += 1
        else:
            return (), delimiter or ",", skip
        delimiter = delimiter or max(DELIMITERS, key=_outside_quotes(line).count)
        names = next(csv.reader(itertools.chain([line], file), delimiter=delimiter), [])
    header = tuple(name.strip() or f"column {place}" for place, name in enumerate(names, start=1))
    no_twins(header, name=name)
    return header, delimiter, skip


def no_twins(header: Sequence[str], *, name: str) -> None:
    """Raises DataError where two column names differ in nothing but their case."""
    folded = [column.casefold() for column in header]
    if twice := sorted({column for column in header if folded.count(column.casefold()) > 1}):
        both = " and ".join(f"'{column}'" for column in twice)
        raise DataError(
            f"{name} has two columns named {both if len(twice) > 1 else both + ' alike'}: "
            "rename one, so that it is clear which is meant"
        )


@dataclass(frozen=True)
class Quotes:
    """`sound`: all quotes close where a field ends, and no row is longer than LONGEST_ROW. `one_line_rows`: none runs over lines."""

    sound: bool
    one_line_rows: bool


def quotes_of(path: Path, *, delimiter: str) -> Quotes:
    """May the quotes of a file be trusted, and do its rows keep to their lines?"""
    if _is_plain(path, delimiter=delimiter):
        return Quotes(sound=True, one_line_rows=True)
    lines = 0
    with path.open(encoding="utf-8-sig", newline="") as file, _wide_fields():
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            for row in reader:
                lines += 1
                if len(row) and sum(map(len, row)) > LONGEST_ROW:
                    return Quotes(sound=False, one_line_rows=False)
        except csv.Error:
            return Quotes(sound=False, one_line_rows=False)
        return Quotes(sound=True, one_line_rows=reader.line_num == lines)


def _is_plain(path: Path, *, delimiter: str) -> bool:
    """Does every quote open at the start of a field and close at the end of one, in its line, and is no line too long?

    What nearly all exports are, seen without reading a single field. False says only that it takes a closer look.
    """
    codes = np.arange(256)
    opens, ends = (
        np.isin(codes, [ord(delimiter), _NEWLINE, _QUOTE]),
        np.isin(codes, [ord(delimiter), _NEWLINE, _RETURN, _QUOTE]),
    )
    with path.open("rb") as file:
        file.seek(len(codecs.BOM_UTF8) if file.read(3) == codecs.BOM_UTF8 else 0)
        left = b""
        while block := file.read(_BLOCK):
            block = left + block
            whole = block.rfind(b"\n") + 1
            left, block = block[whole:], block[:whole]
            if len(left) > LONGEST_ROW or not _fits(np.frombuffer(block, np.uint8), opens, ends):
                return False
    return not left or _fits(np.frombuffer(left + b"\n", np.uint8), opens, ends)


def _fits(codes: np.ndarray[tuple[int], np.dtype[np.uint8]], opens: Flags, ends: Flags) -> bool:
    """Does _is_plain hold for these whole lines?"""
    quotes, breaks = np.flatnonzero(codes == _QUOTE), np.flatnonzero(codes == _NEWLINE)
    returns = np.flatnonzero(codes == _RETURN)
    if np.diff(breaks, prepend=-1).max(initial=0) > LONGEST_ROW or (codes[returns + 1] != _NEWLINE).any():
        return False
    if (np.searchsorted(quotes, breaks) % 2).any():
        return False
    # Two quotes in a row close and open again; before the first character stands the last: a line's end.
    return bool(opens[codes[quotes[::2] - 1]].all() and ends[codes[quotes[1::2] + 1]].all())


def mend(path: Path, copy: Path, *, delimiter: str, columns: int, skip: int) -> Path:
    """A copy with one more column in front, MARK: empty, or why the line cannot be used.

    A line whose quotes do not close is joined with those after it only where that makes a row with the header's number
    of columns; else it stands alone, marked, and the next line is read as a new row.
    """
    with (
        path.open(encoding="utf-8-sig") as theirs,
        copy.open("w", encoding="utf-8", newline="") as ours,
        _wide_fields(),
    ):
        out = csv.writer(ours, delimiter=delimiter, lineterminator="\n")
        lines = itertools.islice(theirs, skip, None)
        header = True
        for mark, row in _rows(lines, delimiter=delimiter, columns=columns):
            out.writerow([MARK if header else mark, *row])
            header = False
    return copy


def _rows(lines: Iterator[str], *, delimiter: str, columns: int) -> Iterator[tuple[str, list[str]]]:
    ahead: deque[str] = deque()

    def peek(place: int) -> str | None:
        while len(ahead) <= place:
            if (line := next(lines, None)) is None:
                return None
            ahead.append(line)
        return ahead[place]

    while (line := peek(0)) is not None:
        if not line.strip():
            ahead.popleft()
            continue
        if len(line) > LONGEST_ROW:
            ahead.popleft()
            yield TOO_LONG, [line[:100].rstrip("\n")]
            continue
        row, still_open = _parse(line, delimiter)
        used, text = 1, line
        while row is None and still_open and used < _LONGEST_RECORD and (more := peek(used)) is not None:
            text, used = text + more, used + 1
            row, still_open = _parse(text, delimiter) if len(text) <= LONGEST_ROW else (None, False)
        if row is None or (used > 1 and len(row) != columns):
            ahead.popleft()
            yield BROKEN_QUOTE, [line[:100].rstrip("\n")]
            continue
        for _ in range(used):
            ahead.popleft()
        yield "", row


def _parse(text: str, delimiter: str) -> tuple[list[str] | None, bool]:
    """The fields of one row, or None and whether a quote is still open at its end."""
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=delimiter, strict=True))
    except csv.Error as error:
        return None, "unexpected end of data" in str(error)
    return (rows[0], False) if len(rows) == 1 else (None, False)


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


@contextmanager
def _wide_fields() -> Iterator[None]:
    """Let one field be as long as a file; Python's own limit is 128 KB."""
    before = csv.field_size_limit(1 << 30)
    try:
        yield
    finally:
        csv.field_size_limit(before)
