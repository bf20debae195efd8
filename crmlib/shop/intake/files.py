"""One file of a shop: what its bytes say, how its columns are named, and whether it is still what it was."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crmlib.errors import DataError, nearest
from crmlib.shop.intake import encoding as text
from crmlib.shop.intake.kept import Part
from crmlib.shop.tables import TABLES
from crmlib.shop.vocabulary import opposite

_CHUNK = 1 << 20
_MOST_COLUMNS = 2_000


@dataclass(frozen=True)
class Given:
    """A file as it lies in a shop's folder, and its size and time when it was hashed."""

    path: Path
    sha256: str
    stamp: tuple[int, int, int]


@dataclass(frozen=True)
class Source:
    """One file of a shop. `read_path` is where to read it: the file, or a copy in UTF-8 where it was not.

    A `marked` copy has one more column in front, which says why a line cannot be used. `skip` lines come before the
    header. `encoding` is what the file was taken for. With `one_line_rows` no row runs over the end of its line.
    `stamp` is the file's size and time when it was hashed; `twice` the column names it has more than once. `given` are
    the files that a table was put together from, where it is not one file as it lies; a `canonical` one has our names.
    `parts` are what is kept of them, each read by itself, and `again` the rows, counted through all, that others have
    too. Other files tell `more` columns of its rows.
    """

    table: str
    path: Path
    read_path: Path
    sha256: str
    header: tuple[str, ...] = ()
    delimiter: str = ""
    skip: int = 0
    marked: bool = False
    encoding: str = "utf-8"
    one_line_rows: bool = False
    stamp: tuple[int, int, int] = (0, 0, 0)
    twice: tuple[str, ...] = ()
    given: tuple[Given, ...] = ()
    canonical: bool = False
    parts: tuple[Part, ...] = ()
    again: tuple[int, ...] = ()
    more: tuple[str, ...] = ()

    @property
    def recoded(self) -> bool:
        return self.encoding != "utf-8"

    @property
    def read_as(self) -> dict[str, Any]:
        """The file's bytes and what they were taken for: what its rows as they stand depend on."""
        return {
            "sha256": self.sha256, "header": self.header, "delimiter": self.delimiter, "skip": self.skip,
            "encoding": self.encoding, "marked": self.marked, "parquet": self.parquet,
        }  # fmt: skip

    @property
    def parquet(self) -> bool:
        return self.read_path.suffix.lower() == ".parquet"


def unchanged(sources: Iterable[Source], known: Set[str] = frozenset()) -> None:
    """Raises DataError where a file is no longer what it was when it was first looked at.

    Those with `known` bytes were not read, so that their size and time are all that is looked at.
    """
    each = [source.given or (Given(source.path, source.sha256, source.stamp),) for source in sources]
    for given in dict.fromkeys(given for files in each for given in files):
        try:
            same = stamp_of(given.path) == given.stamp
            same = same and (given.sha256 in known or _hash(given.path) == given.sha256)
        except OSError:
            same = False
        if not same:
            raise DataError(f"{given.path.name} changed while it was read: run again once its export is complete")


def column_map(source: Source, present: tuple[str, ...], mapping: dict[str, str]) -> dict[str, str]:
    """Canonical name -> the file's own, by shop.toml first, then by name whatever its case.

    Raises DataError for a required column that is missing, or a mapping to a column that is not there.
    """
    table = TABLES[source.table]
    folded = {name.strip().casefold(): name for name in present}
    found = {}
    for column in table.columns:
        theirs = mapping.get(column.name)
        if theirs is not None:
            if theirs not in present:
                raise DataError(
                    f"shop.toml reads {table.name}.{column.name} from '{theirs}', which {source.path.name} lacks; "
                    f"{nearest(theirs, present)}"
                )
            if column.name.endswith("_consent") and opposite(theirs):
                raise DataError(
                    f"shop.toml reads {table.name}.{column.name} from '{theirs}', which by its name says who may "
                    "not be written to: a yes there would become a consent. Export a column that says who agreed"
                )
            found[column.name] = theirs
        elif column.name in folded:
            found[column.name] = folded[column.name]
        elif column.required:
            raise DataError(
                f"{source.path.name} has no column '{column.name}', which {table.name} needs; "
                f"{nearest(column.name, present)} Rename it, or map it in shop.toml under [columns.{table.name}]."
                f"{_header_taken(source)}"
            )
    return found


def parquet_names(path: Path) -> tuple[str, ...]:
    """The column names as the file has them; the engine would number those that repeat."""
    from pyarrow import parquet

    return tuple(parquet.read_schema(path).names)


def _header_taken(source: Source) -> str:
    if source.parquet or len(source.header) > 1:
        return ""
    return f" Its line {source.skip + 1} was taken as the header, with columns apart by '{source.delimiter}'."


def source_of(table: str, path: Path, scratch: Path, mapping: Mapping[str, str]) -> Source:
    """A file that is named after its table; `mapping` is shop.toml's, by which a header is known below other lines."""
    wanted = {mapping.get(name, name).strip().casefold() for name in TABLES[table].required}
    needs = f"it needs at least a header line with {', '.join(TABLES[table].required)}"
    return look_at(path, name=path.name, table=table, scratch=scratch, wanted=wanted, needs=needs)


def look_at(path: Path, *, name: str, table: str, scratch: Path, wanted: Set[str], needs: str = "") -> Source:
    """What the bytes of a file say: its encoding, header and quotes. `name` is what messages call it.

    Raises DataError where it cannot be opened, is empty or is no table.
    """
    try:
        stamp = stamp_of(path)
        look = _look(path)
    except OSError as error:
        raise DataError(f"{name} cannot be opened: {error.strerror}") from None
    needs = f": {needs}" if needs else ""
    if not look.first.removeprefix(codecs.BOM_UTF8).strip():
        raise DataError(f"{name} is empty{needs}")
    if path.suffix.lower() == ".parquet":
        return Source(table, path, path, look.sha256, stamp=stamp)  # the engine reads its header
    encoding = text.DAMAGED if look.cut else text.encoding_of(look.first, utf8=look.utf8, name=name)
    plain = path if encoding == "utf-8" else text.recode(path, scratch / f"{table}.csv", encoding)
    header = text.header_of(plain, name=name, wanted=wanted)
    if not header.names:
        raise DataError(f"{name} is empty{needs}")
    if len(header.names) > _MOST_COLUMNS:
        raise DataError(
            f"{name} has {len(header.names):,} columns; export those that are needed, {_MOST_COLUMNS:,} at most"
        )
    quotes = text.Quotes(sound=True, one_line_rows=True)
    if look.quoted or plain != path:
        quotes = text.quotes_of(plain, delimiter=header.delimiter)
    skip, marked = header.skip, not quotes.sound
    if marked:
        mended = scratch / f"{table}-marked.csv"
        plain = text.mend(plain, mended, delimiter=header.delimiter, columns=len(header.names), skip=skip)
        skip = 0
    return Source(
        table, path, plain, look.sha256, header.names, header.delimiter, skip=skip, marked=marked, encoding=encoding,
        one_line_rows=quotes.one_line_rows, stamp=stamp, twice=header.twice,
    )  # fmt: skip


def given(path: Path) -> Given:
    """A file as it is now."""
    return Given(path, _hash(path), stamp_of(path))


def stamp_of(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class _Look:
    """One pass over a file: its hash and beginning, whether it is UTF-8 (and ends within a sign), whether quotes or
    giant lines need care."""

    sha256: str
    first: bytes
    utf8: bool
    cut: bool
    quoted: bool


def _look(path: Path) -> _Look:
    digest = hashlib.sha256()
    decoder = codecs.getincrementaldecoder("utf-8")()
    utf8, quoted = True, False
    with path.open("rb") as file:
        first = chunk = file.read(_CHUNK)
        while chunk:
            digest.update(chunk)
            quoted = quoted or b'"' in chunk or (len(chunk) == _CHUNK and not (b"\n" in chunk or b"\r" in chunk))
            if utf8:
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    utf8 = False
            chunk = file.read(_CHUNK)
    return _Look(digest.hexdigest(), first, utf8, utf8 and bool(decoder.getstate()[0]), quoted)
