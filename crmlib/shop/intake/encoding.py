"""What do the bytes of a CSV file say, and which of its lines can be read at all?

Exports come in many encodings, and with quotes that open and never close. Read as it stands, such a quote swallows the
lines after it without a trace; here the line is marked, so that it is set aside by name and those after it are kept.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crmlib.errors import DataError

DELIMITERS = ",;\t|"
LONGEST_ROW = 1_000_000  # characters; the engine's own limit is two million bytes
MARK = "_mark"  # the column that says what is wrong with a line
DAMAGED = "utf-8-sig"  # UTF-8 but for some bytes, which become question marks
BROKEN_QUOTE, TOO_LONG, RAGGED_ROW = "broken_quote", "too_long", "ragged_row"
_LONGEST_RECORD = 1000  # lines one quoted text may run over in a file whose quotes are broken
_PREAMBLE = 30  # lines some reports write before their header
_UNSEEN = re.compile("[\ufeff\u200b-\u200d\u2060]")  # zero-width signs
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

    What is neither UTF-8 nor UTF-16 nor UTF-32 is judged by its letters. Raises DataError where it is no text.
    """
    for bom, encoding in _BOMS:
        if first.startswith(bom):
            return encoding if utf8 or encoding != "utf-8" else DAMAGED
    head = first[:4096]
    for magic, what in _OTHERS:
        if head.lstrip()[:16].lower().startswith(magic.lower()):
            raise DataError(f"{name} is {what}, not a CSV file: export it as CSV, in UTF-8")
    odd, even = head[1::2].count(0), head[::2].count(0)
    if odd + even > len(head) / 4 and min(odd, even) < len(head) / 50:
        return "utf-16-le" if odd > even else "utf-16-be"
    if b"\0" in head.partition(b"\n")[0] or head.count(0) > len(head) / 50:
        raise DataError(f"{name} is not a text file: export it as CSV, in UTF-8")
    if utf8:
        return "utf-8"
    read = first.decode("utf-8", "replace")
    wrong = read.count("\ufffd")
    # A few bytes that are none do not make another encoding of a text of many that are.
    return DAMAGED if sum(not sign.isascii() for sign in read) > 4 * max(wrong, 1) else _of_letters(first)


def _of_letters(first: bytes) -> str:
    """Which of the old encodings makes words of these bytes; Windows-1252 where none does better."""
    # Lines without a sign beyond ASCII say nothing, and the last may be cut in the middle of a sign.
    whole = first if len(first) < _CHUNK else first[: first.rfind(b"\n") + 1]
    telling = b"\n".join([line for line in re.split(b"[\r\n]+", whole) if not line.isascii()][:2000])
    try:
        # Kana is two bytes, of which the first is no letter in any of the others.
        if re.search("[ぁ-んァ-ヶ]", telling.decode("cp932")):
            return "cp932"
    except UnicodeDecodeError:
        pass
    high = re.findall(b"[\xc0-\xff]+", telling)
    if sum(len(run) for run in high if len(run) > 2) * 2 > sum(byte > 127 for byte in telling):
        return "cp1251"
    spoilt = {encoding: _spoilt(telling, encoding) for encoding in ("cp1252", "cp1250", "mac_roman")}
    best = min(spoilt, key=lambda encoding: spoilt[encoding])
    # Carons are Central European, and its other letters are letters in Windows-1252 too.
    central = re.search(rb"[\x8a\x8e\x9a\x9e]", telling) and re.search(rb"[\xe6\xe8\xec\xf0\xf8\xf9]", telling)
    return "cp1250" if best == "cp1252" and central else best


def _spoilt(text: bytes, encoding: str) -> int:
    """Signs within words that are no letters."""
    return len(
        re.findall(r"(?<=[^\W\d_])(?:\ufffd|[^\w\s\x00-\x7f’‘–·])(?=[^\W\d_])", text.decode(encoding, "replace"))
    )


def recode(path: Path, copy: Path, encoding: str) -> Path:
    """A copy in UTF-8; what the encoding cannot say becomes a question mark."""
    with (
        path.open(encoding=encoding, errors="replace", newline="") as theirs,
        copy.open("w", encoding="utf-8", newline="") as ours,
    ):
        while text := theirs.read(_CHUNK):
            ours.write(text)
    return copy


def marks(rows: Any) -> dict[str, Any]:
    """By reason, the test of a marked copy's rows for it."""
    reasons = (BROKEN_QUOTE, TOO_LONG, RAGGED_ROW)
    return {reason: (rows[MARK] == reason).fill_null(False) for reason in reasons}


@dataclass(frozen=True)
class Header:
    """Column names, delimiter, the lines that come before them, and the names that stood there twice."""

    names: tuple[str, ...]
    delimiter: str
    skip: int
    twice: tuple[str, ...] = ()


def header_of(path: Path, *, name: str, wanted: Set[str] = frozenset()) -> Header:
    """The header of a file: its first line, or the first that has all the `wanted` names where the first has not.

    Empty lines, the 'sep=;' of some exports and the title lines of some reports are skipped. A column without a name
    gets its place as one; a second of the same name is 'email (2)'. Raises DataError where one of `wanted` is twice.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(itertools.islice(file, _PREAMBLE))
        skip, delimiter = 0, ""
        for line in lines:
            bare = _UNSEEN.sub("", line).strip()
            if bare and not (skip == 0 and bare[:4].lower() == "sep=" and len(bare) == 5):
                break
            delimiter = bare[-1:] if bare else delimiter
            skip += 1
        else:
            return Header((), delimiter or ",", skip)
        found = _names(lines[skip:], file, delimiter), delimiter or _separator(lines[skip])
        for place, line in enumerate(lines[skip:] if wanted else (), start=skip):
            names = _names(lines[place:], file, delimiter) if place == skip else _names([line], (), "")
            if wanted <= {column.casefold() for column in names}:
                skip, found = place, (names, delimiter or _separator(line))
                break
    return _unique(Header(tuple(found[0]), found[1], skip), name=name, wanted=wanted)


def _separator(line: str) -> str:
    return max(DELIMITERS, key=_outside_quotes(line).count)


def _names(lines: Sequence[str], more: Iterable[str], delimiter: str) -> list[str]:
    rows = csv.reader(itertools.chain(lines, more), delimiter=delimiter or _separator(lines[0]))
    return [_UNSEEN.sub("", column).strip() for column in next(rows, [])]


def _unique(header: Header, *, name: str, wanted: Set[str]) -> Header:
    names: list[str] = []
    taken: set[str] = set()
    twice = []
    for place, column in enumerate(header.names, start=1):
        unique = column = column or f"column {place}"
        number = 1
        while unique.casefold() in taken:
            number += 1
            unique = f"{column} ({number})"
        if number > 1:
            twice.append(column)
        taken.add(unique.casefold())
        names.append(unique)
    folded = {column.casefold() for column in twice}
    no_twins([column for column in header.names if column.casefold() in folded & wanted], name=name)
    return Header(tuple(names), header.delimiter, header.skip, tuple(dict.fromkeys(twice)))


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
    """`sound`: all quotes close where a field ends, and no row is longer than LONGEST_ROW.

    `one_line_rows`: none runs over lines.
    """

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
        row, still_open = _parse(line, delimiter, columns)
        used, text = 1, line
        while row is None and still_open and used < _LONGEST_RECORD and (more := peek(used)) is not None:
            text, used = text + more, used + 1
            if len(text) > LONGEST_ROW:
                still_open = False
            elif '"' in more:
                row, still_open = _parse(text, delimiter, columns)
        if row is None or (used > 1 and len(row) != columns):
            ahead.popleft()
            yield BROKEN_QUOTE, [line[:100].rstrip("\n")]
            continue
        for _ in range(used):
            ahead.popleft()
        yield "", row


def _parse(text: str, delimiter: str, columns: int) -> tuple[list[str] | None, bool]:
    """The fields of one row, or None and whether a quote is still open at its end."""
    try:
        rows = list(csv.reader(io.StringIO(text), delimiter=delimiter, strict=True))
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            return None, True
        # Editors that line columns up put blanks behind a closing quote.
        lined_up = re.sub(rf'"[ \t]+(?={re.escape(delimiter)}|\r?\n|$)', '"', text)
        rows = list(csv.reader(io.StringIO(lined_up), delimiter=delimiter))
        return (rows[0], False) if lined_up != text and [len(row) for row in rows] == [columns] else (None, False)
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
