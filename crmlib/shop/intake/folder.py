"""A folder of CSV or Parquet files named after the canonical tables."""

from __future__ import annotations

import codecs
import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

from crmlib.errors import DataError, nearest
from crmlib.shop.tables import TABLES

_DELIMITERS = ",;\t|"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Source:
    """One file of a shop. `read_path` is where to read it: the file, or a copy in UTF-8 where it was not."""

    table: str
    path: Path
    read_path: Path
    sha256: str
    header: tuple[str, ...] = ()
    delimiter: str = ""
    recoded: bool = False

    @property
    def parquet(self) -> bool:
        return self.path.suffix.lower() == ".parquet"


def find_sources(folder: Path, *, scratch: Path) -> list[Source]:
    """The tables of a shop, in canonical order; `scratch` takes UTF-8 copies of files in other encodings.

    Raises DataError where the folder is missing, holds no table, holds one twice, or a file is empty.
    """
    if not folder.is_dir():
        raise DataError(f"there is no shop at '{folder}': expected a folder with files such as orders.csv")
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in (".csv", ".parquet") or path.stem.lower() not in TABLES:
            continue
        if path.stem.lower() in files:
            raise DataError(
                f"shop '{folder.name}' has two files for one table: {files[path.stem.lower()].name}, {path.name}"
            )
        files[path.stem.lower()] = path
    if not files:
        others = [path.stem for path in sorted(folder.glob("*.csv")) + sorted(folder.glob("*.parquet"))]
        hint = f" It has {', '.join(others[:5])}." if others else ""
        raise DataError(
            f"shop '{folder.name}' holds no table: expected files such as orders.csv or feedback.csv.{hint}"
        )
    return [_source(table, files[table], scratch) for table in TABLES if table in files]


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
            found[column.name] = theirs
        elif column.name in folded:
            found[column.name] = folded[column.name]
        elif column.required:
            raise DataError(
                f"{source.path.name} has no column '{column.name}', which {table.name} needs; {nearest(column.name, present)} "
                f"Rename it, or map it in shop.toml under [columns.{table.name}]."
            )
    return found


def _source(table: str, path: Path, scratch: Path) -> Source:
    digest = hashlib.sha256()
    decoder = codecs.getincrementaldecoder("utf-8")()
    utf8 = True
    with path.open("rb") as file:
        first = chunk = file.read(_CHUNK)
        while chunk:
            digest.update(chunk)
            if utf8:
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    utf8 = False
            chunk = file.read(_CHUNK)
    if not first.strip():
        raise DataError(
            f"{path.name} is empty: it needs at least a header line with {', '.join(TABLES[table].required)}"
        )
    if path.suffix.lower() == ".parquet":
        return Source(table, path, path, digest.hexdigest())
    utf16 = first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    read_path = path if utf8 and not utf16 else _recode(path, scratch, "utf-16" if utf16 else "cp1252")
    header, delimiter = _header(path, read_path)
    return Source(table, path, read_path, digest.hexdigest(), header, delimiter, recoded=read_path != path)


def _recode(path: Path, scratch: Path, encoding: str) -> Path:
    """A copy in UTF-8; what even Windows-1252 cannot read becomes a question mark."""
    copy = scratch / path.name
    with (
        path.open(encoding=encoding, errors="replace", newline="") as theirs,
        copy.open("w", encoding="utf-8", newline="") as ours,
    ):
        while text := theirs.read(_CHUNK):
            ours.write(text)
    return copy


def _header(path: Path, read_path: Path) -> tuple[tuple[str, ...], str]:
    with read_path.open(encoding="utf-8-sig", newline="") as file:
        first_line = file.readline()
        delimiter = max(_DELIMITERS, key=first_line.count)
        file.seek(0)
        names = tuple(name.strip() for name in next(csv.reader(file, delimiter=delimiter), []))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"{path.name} has two columns named '{twice[0]}': rename one, so that it is clear which is meant"
        )
    return names, delimiter
