"""The files of a shop's folder: which are tables of ours by name, which a platform wrote, and which are neither."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import ibis.expr.types as ir

from crmlib.errors import DataError
from crmlib.shop import people
from crmlib.shop.engines import DUCKDB, Engine, open_engine
from crmlib.shop.intake import encoding, persons
from crmlib.shop.intake.combine import together, with_refunds
from crmlib.shop.intake.compose import Piece, Table_, apart, compose
from crmlib.shop.intake.copies import Copied, copied
from crmlib.shop.intake.files import Given, Source, given, look_at, parquet_names, source_of
from crmlib.shop.intake.kept import Kept
from crmlib.shop.intake.platforms import Export, Made, nearest_export, recognise
from crmlib.shop.intake.settings import Settings
from crmlib.shop.intake.told import Recognised, Told, Unknown
from crmlib.shop.intake.unpack import KINDS, PLAIN, Unpacked, even_rows, unpack
from crmlib.shop.intake.zones import month_first, zone_of
from crmlib.shop.tables import TABLES

# orders.csv, and what is exported in parts: orders_2.csv, orders-2026-01.csv, orders (1).csv.
_NAMED = re.compile(rf"({'|'.join(TABLES)})([-_ .]*\(?\d[-_ .\d]*\)?)?", re.IGNORECASE)
_MOST_FILES = 500
_HEEDED = "a no in it wins over a yes in the shop's own customers, unless that is newer"


@dataclass(frozen=True)
class Gathered:
    """A shop's tables as files to read, in canonical order, and what is to be told of the files they come from."""

    sources: list[Source]
    told: Told = field(default_factory=Told)
    people: people.People = field(default_factory=people.People)
    timezone: str = ""  # where the clock of its exports stands, if shop.toml does not say
    dates: str = ""  # likewise the order of day and month
    noes: Source | None = None  # by address what exports say no to, where the shop has customers of its own


def gather(folder: Path, settings: Settings, *, scratch: Path, kept: Kept | None = None) -> Gathered:
    """What a folder holds. Files named after our tables are taken as they are, others by their headers.

    Of several files of one table only those are read here of which nothing is `kept`.

    Raises DataError where the folder is missing, holds no table, holds one twice, or a file is empty.
    """
    if not (folder.is_dir() or settings.database):
        raise DataError(f"there is no shop at '{folder}': expected a folder with files such as orders.csv")
    lying = [
        path for path in (folder.iterdir() if folder.is_dir() else ())
        if path.suffix.lower() in KINDS and path.is_file() and not path.name.startswith((".", "~"))
    ]  # fmt: skip
    copies = copied(settings, scratch / "intake" / "database") if settings.database else Copied()
    paths = sorted([*lying, *copies.files], key=lambda path: _natural(path.name))
    plain = {path.stem.lower(): path for path in reversed(paths) if _canonical(path)}
    for path in paths:
        if _canonical(path) and plain[path.stem.lower()] != path:
            both = f"{plain[path.stem.lower()].name}, {path.name}"
            raise DataError(f"shop '{folder.name}' has two files for one table: {both}")
    if len(plain) == len(paths) and not any(_foreign(path, settings) for path in paths):
        found = {
            table: source_of(table, path, scratch, settings.columns.get(table, {})) for table, path in plain.items()
        }
        gathered = Gathered([found[table] for table in TABLES if table in found])
    else:
        gathered = _Gathering(folder, settings, scratch, kept).all(paths)
    if copies.timezone and not settings.zone_named:
        gathered = replace(gathered, timezone=copies.timezone)
    if copies.remarks:
        told = replace(gathered.told, remarks=(*copies.remarks, *gathered.told.remarks))
        gathered = replace(gathered, told=told)
    if not gathered.sources:
        raise DataError(f"shop '{folder.name}' holds no table: {_nothing(paths, gathered.told)}")
    return gathered


def _canonical(path: Path) -> bool:
    return path.suffix.lower() in PLAIN and path.stem.lower() in TABLES


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name.lower()) if part]


def _nothing(paths: Sequence[Path], told: Told) -> str:
    names = [path.name for path in paths]
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    why = next((f" {unknown.file}: {unknown.why}." for unknown in told.unknown if unknown.why), "")
    hint = f" It has {', '.join(names[:20])}{more}.{why} Rename one to its table's name." if names else ""
    return f"expected files such as orders.csv or feedback.csv, or the exports of a shop system.{hint}"


def _foreign(path: Path, settings: Settings) -> bool:
    """Is a file named after one of our tables a platform's all the same, by a header that has not what ours need?"""
    if path.suffix.lower() != ".csv":
        return False
    try:
        with path.open("rb") as file:
            first = file.read(1 << 16).removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].decode("utf-8", "replace")
    except OSError:
        return False
    names = {name.strip().strip('"').casefold() for name in re.split("[,;\t|]", first)}
    return not names >= _needed(path.stem.lower(), settings) and recognise(names) is not None


def _needed(table: str, settings: Settings) -> set[str]:
    mapping = settings.columns.get(table, {})
    return {mapping.get(name, name).strip().casefold() for name in TABLES[table].required}


@dataclass(frozen=True)
class _Item:
    """A table that was found: the file in the folder it is of, and how it can be read."""

    unpacked: Unpacked
    origin: Given
    source: Source

    @property
    def header(self) -> tuple[str, ...]:
        return self.source.header


@dataclass
class _Gathering:
    folder: Path
    settings: Settings
    scratch: Path
    kept: Kept | None = None
    unknown: list[Unknown] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    number: int = 0
    timezone: str = ""
    dates: str = ""
    noes: Source | None = None

    def all(self, paths: Sequence[Path]) -> Gathered:
        ours: dict[str, list[_Item]] = defaultdict(list)
        theirs: dict[int, tuple[Export, list[_Item]]] = {}
        plain = {path.stem.lower(): path for path in paths if _canonical(path) and not _foreign(path, self.settings)}
        for path in [path for path in paths if path not in plain.values()][:_MOST_FILES]:
            for item in self._items(path):
                table = self._table(item)
                if table:
                    ours[table].append(item)
                elif export := self._export(item):
                    theirs.setdefault(id(export), (export, []))[1].append(item)
        self.unknown += [Unknown(path.name, "more files than are looked at") for path in paths[_MOST_FILES:]]
        sources = {}
        for table, path in plain.items():
            if table in ours:
                ours[table] = [*self._items(path), *ours[table]]
            else:
                sources[table] = source_of(table, path, self.scratch, self.settings.columns.get(table, {}))
        sources |= {table: self._one(table, items) for table, items in ours.items()}
        crowd = people.People()
        if theirs:
            made, crowd = self._made(list(theirs.values()), taken=set(sources))
            sources |= made
            if self.noes:
                sources["customers"] = replace(sources["customers"], more=self.noes.header)
            self.told = [replace(one, recognised=tuple(_without(one.recognised, set(made)))) for one in self.told]
        whole = Told(
            recognised=tuple(recognised for one in self.told for recognised in one.recognised),
            unknown=tuple(self.unknown),
            ways=tuple(way for one in self.told for way in one.ways),
            remarks=tuple(remark for one in self.told for remark in one.remarks),
        )
        return Gathered(
            [sources[table] for table in TABLES if table in sources], whole, crowd, self.timezone, self.dates, self.noes
        )

    @cached_property
    def works(self) -> Engine:
        """An engine of its own, whatever the shop's: what it writes, every other one reads."""
        self._place()
        return open_engine(DUCKDB, scratch=self.scratch / "intake", folder=self.folder)

    def _place(self) -> Path:
        """A folder of its own for each file, whose copies would else bear one name."""
        self.number += 1
        place = self.scratch / "intake" / f"{self.number}"
        place.mkdir(parents=True)
        return place

    def _items(self, path: Path) -> Iterator[_Item]:
        """The tables of a file. What cannot be read is told, unless its name says that it is one of ours."""
        try:
            for unpacked in unpack(path, self._place()):
                try:
                    source = self._look(unpacked)
                except DataError as error:
                    if _canonical(path):
                        raise
                    # Of one sheet or member that is no table the others still are.
                    self.unknown.append(Unknown(unpacked.name, str(error).removeprefix(unpacked.name).lstrip(": ")))
                else:
                    plain = unpacked.path == path
                    yield _Item(unpacked, Given(path, source.sha256, source.stamp) if plain else given(path), source)
        except (DataError, OSError) as error:
            if _canonical(path):
                raise
            why = str(error) if isinstance(error, DataError) else f"cannot be opened: {error.strerror}"
            self.unknown.append(Unknown(path.name, why.removeprefix(path.name).lstrip(": ")))

    def _look(self, unpacked: Unpacked, wanted: frozenset[str] = frozenset()) -> Source:
        table = f"file_{self.number}"
        source = look_at(unpacked.path, name=unpacked.name, table=table, scratch=self._place(), wanted=wanted)
        return replace(source, header=parquet_names(unpacked.path)) if source.parquet else source

    def _table(self, item: _Item) -> str:
        """The table of ours that a file is by its name, and has the columns of."""
        named = _NAMED.fullmatch(item.unpacked.stem.strip())
        if named is None:
            return ""
        table = named[1].lower()
        names = {name.strip().casefold() for name in item.header}
        if names >= _needed(table, self.settings):
            return table
        # A file of ours whose columns are not there is told so when it is read.
        return table if not named[2] and self._export(item, tell=False) is None and _plain(item) else ""

    def _export(self, item: _Item, *, tell: bool = True) -> Export | None:
        found = recognise(item.header)
        if found is None and not item.source.parquet:
            found = next((e for line in _first_lines(item.source) if (e := recognise(line))), None)
        if found is None and tell:
            near = nearest_export(item.header)
            lacks = f"no '{near[1][0]}' and {len(near[1]) - 1} more" if near and len(near[1]) > 1 else ""
            lacks = lacks or (f"no '{near[1][0]}'" if near else "")
            why = f"nearest to {near[0].platform} {near[0].what}, but it has {lacks}" if near else ""
            self.unknown.append(Unknown(item.unpacked.name, why))
        return found

    def _piece(self, item: _Item, export: Export) -> Piece:
        needs = export.needed
        source = item.source
        if export.short_rows and not source.parquet:
            plain, even = item.unpacked.path, self._place() / "even.csv"
            even_rows(plain, even, delimiter=source.delimiter, encoding=source.encoding)
            source = self._look(replace(item.unpacked, path=even), needs)
        if not needs <= {name.strip().casefold() for name in source.header}:
            source = self._look(item.unpacked, needs)
        self.number += 1
        return Piece(item.unpacked.name, replace(source, table=f"piece_{self.number}", path=Path(item.unpacked.name)))

    def _one(self, table: str, items: list[_Item]) -> Source:
        """One file of ours as it is, or several as one table."""
        if len(items) == 1:
            item = items[0]
            if _plain(item):
                return source_of(table, item.origin.path, self.scratch, self.settings.columns.get(table, {}))
            path = self.folder / item.unpacked.name
            return replace(item.source, table=table, path=path, sha256=item.origin.sha256, given=(item.origin,))
        names = {name.casefold(): name for item in reversed(items) for name in item.header if _free(name)}
        mapping = self.settings.columns.get(table, {})
        key, time = (
            names.get(mapping.get(c, c).strip().casefold(), "")
            for c in (TABLES[table].key[0] if len(TABLES[table].key) == 1 else "", TABLES[table].time)
        )
        export = Export(platform="", what=table, needs=tuple(names.values()), key=key, time=time,
                        made={table: Made({name: name for name in names.values()})})  # fmt: skip
        pieces, origins = [self._piece(item, export) for item in items], [item.origin for item in items]
        if self.kept and (found := apart(self.works, export, pieces, self.settings, self.kept)):
            self.told.append(found.told)
            source = self._source(table, found.parts[0].path, origins)
            return replace(source, header=found.columns, parts=found.parts, again=found.again)
        composed = compose(self.works, export, pieces, replace(self.settings, columns={}))
        self.told.append(composed.told)
        (made,) = composed.tables
        return self._written(table, made.rows, origins, canonical=False)

    def _made(
        self, theirs: list[tuple[Export, list[_Item]]], *, taken: set[str]
    ) -> tuple[dict[str, Source], people.People]:
        """The tables that exports make, but for those that are there under our names."""
        parts: dict[str, list[Table_]] = defaultdict(list)
        origins: dict[str, list[Given]] = defaultdict(list)
        contacts: list[Table_] = []
        for export, items in theirs:
            composed = compose(self.works, export, [self._piece(item, export) for item in items], self.settings)
            self.told.append(composed.told)
            for table in composed.tables:
                if table.name not in taken:
                    parts[table.name].append(table)
                    origins[table.name] += [item.origin for item in items]
                elif table.name == "customers" and {"_email", "email_consent"} <= set(table.rows.columns):
                    contacts.append(table)
                    self.told.append(Told(remarks=((items[0].unpacked.name, _HEEDED),)))
        if contacts:
            path = self._place() / "noes.parquet"
            noes = persons.refusals(together({"customers": contacts})["customers"])
            self.works.write(noes, path)
            self.noes = Source("noes", path, path, "", ("email_status",) if "no email_status" in noes.columns else ())
        tables, crowd = persons.resolved(self.works, with_refunds(together(parts)), country=self.settings.country)
        sources = {
            table: self._written(table, rows, origins[table], canonical=True)
            for table, rows in tables.items() if table in TABLES and _there(rows, parts[table], TABLES[table].required)
        }  # fmt: skip
        if "orders" in sources and not self.settings.dates and month_first(self.works, tables["orders"]):
            self.dates = "month-first"
            self.told.append(
                Told(remarks=((sources["orders"].path.name, "days such as 11/10/24 have the month first"),))
            )
        if "orders" in sources and not self.settings.zone_named:
            self.timezone = zone_of(self.works, tables["orders"], "ordered_at")
            remark = (sources["orders"].path.name, f"times are of {self.timezone}, by their distance from Greenwich")
            self.told += [Told(remarks=(remark,))] if self.timezone else []
        return sources, crowd

    def _written(self, table: str, rows: ir.Table, origins: Sequence[Given], *, canonical: bool) -> Source:
        columns = [name for name in rows.columns if not name.startswith("_") or name == encoding.MARK]
        place = self._place() / f"{table}.parquet"
        self.works.write(rows.order_by("_at").select(*columns), place)
        return replace(
            self._source(table, place, origins), header=tuple(name for name in columns if name != encoding.MARK),
            marked=encoding.MARK in columns, canonical=canonical,
        )  # fmt: skip

    def _source(self, table: str, place: Path, origins: Sequence[Given]) -> Source:
        files = list({origin.path: origin for origin in origins}.values())
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        digest = hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest()
        name, sha256 = self.folder / f"{files[0].path.name}{more}", digest if more else files[0].sha256
        return Source(table, name, place, sha256, given=tuple(files))


def _free(name: str) -> bool:
    """Is a column's name none that the engine or we use?"""
    return name[:1] not in "_#?" and name.casefold() != "rowid"


def _there(rows: ir.Table, parts: Sequence[Table_], required: Sequence[str]) -> bool:
    """Has a table what it needs? One that files of another kind make by the way is left out where it has not."""
    return set(required) <= set(rows.columns) or any(part.rank == 0 for part in parts)


def _plain(item: _Item) -> bool:
    return item.unpacked.path == item.origin.path


def _first_lines(source: Source) -> Iterator[Sequence[str]]:
    """The lines of a file that may be a header below others, as names."""
    with source.read_path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        for _ in range(30):
            line = file.readline(1 << 16)
            for delimiter in encoding.DELIMITERS if line else ():
                yield [name.strip().strip('"') for name in line.split(delimiter)]


def _without(recognised: Sequence[Recognised], tables: set[str]) -> Iterator[Recognised]:
    """What exports make but for the tables that are ours already."""
    for one in recognised:
        yield replace(one, tables=tuple(table for table in one.tables if table in tables or not one.platform))
