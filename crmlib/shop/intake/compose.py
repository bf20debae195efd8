"""Files of a platform become our tables: rows are put in records, repeated ones dropped, columns named and reckoned."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial, reduce
from pathlib import Path
from typing import Any, cast

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pandas as pd

from crmlib.errors import DataError
from crmlib.shop import cells, quality, survey
from crmlib.shop.engines import Engine, Raw, Sharing, flag
from crmlib.shop.engines.protocol import BLANK
from crmlib.shop.intake.encoding import BROKEN_QUOTE, MARK, RAGGED_ROW, TOO_LONG
from crmlib.shop.intake.files import Source, column_map
from crmlib.shop.intake.kept import Kept, Part
from crmlib.shop.intake.platforms.base import Export, Made, names_of
from crmlib.shop.intake.settings import Settings
from crmlib.shop.intake.told import Recognised, Told, Way
from crmlib.shop.tables import TABLES, Column, Table

CENT = 0.0051  # amounts are rounded to the cent on both sides
_BROKEN = (BROKEN_QUOTE, TOO_LONG, RAGGED_ROW)
_MOST_IN_COMMON = 200_000  # records; with more, files are put together afresh
A_FILE = 1 << 40  # what `_at` grows by from file to file, in the order of their names
WHO = ("_account", "_email", "_phone", "_name")


@dataclass(frozen=True)
class Piece:
    """One readable file: what messages call it, and what its bytes say."""

    name: str
    source: Source


@dataclass(frozen=True)
class Table_:
    """Rows of one of our tables, as texts and amounts, from one kind of file; `rank` as `Made` has it."""

    name: str
    rank: int
    rows: ir.Table


@dataclass(frozen=True)
class Composed:
    """What files of one kind make, and what is to be told of them."""

    tables: tuple[Table_, ...]
    told: Told


@dataclass(frozen=True)
class Apart:
    """What is kept of files that were read each by itself, their columns, and the rows that another one has too."""

    parts: tuple[Part, ...]
    columns: tuple[str, ...]
    again: tuple[int, ...]
    told: Told


def compose(works: Engine, export: Export, pieces: Sequence[Piece], settings: Settings) -> Composed:
    """What files of one kind of one platform make of our tables.

    Raises DataError where records of several files cannot be told apart.
    """
    return _Composing(works, export, pieces, settings).composed()


def apart(works: Engine, export: Export, pieces: Sequence[Piece], settings: Settings, kept: Kept) -> Apart | None:
    """What is kept of files of one of our tables that can be read each by itself; None where they cannot."""
    composing = _Composing(works, export, pieces, replace(settings, columns={}))
    return composing.apart(kept, settings) if isinstance(works, Sharing) else None


@dataclass
class _Composing:
    works: Engine
    export: Export
    pieces: Sequence[Piece]
    settings: Settings
    remarks: list[str] = field(default_factory=list)
    again: dict[int, int] = field(default_factory=dict)
    readings: dict[object, ir.Table] = field(default_factory=dict)  # by the shape of a file

    @property
    def stem(self) -> str:
        return re.sub(r"\W+", "_", f"{self.export.platform}_{self.export.what}".lower())

    def composed(self) -> Composed:
        read = self.works.keep(f"_in_{self.stem}", self._read())
        sound = self._reckoned(read.filter(read["_bad"].isnull()))
        sound = self._newest(self.works.keep(f"_keyed_{self.stem}", self._keyed(sound)))
        marked = read.filter(read["_bad"].notnull())
        broken = self._count(marked)
        tables = []
        for place, (name, made) in enumerate(self.export.made.items()):
            rows = self._named(made.rows(sound) if made.rows else sound, name, made)
            if broken and not place:
                rows = rows.mutate(**{MARK: ibis.literal("")})
                nothing = {column: ibis.null(rows[column].type()) for column in rows.columns} | {"_at": _place(marked)}
                rows = ibis.union(rows, marked.select(**{**nothing, MARK: marked["_bad"]}).select(*rows.columns))
            tables.append(Table_(name, made.rank, self.works.keep(f"_made_{self.stem}_{name}", rows)))
        told = Told(
            recognised=tuple(self._recognised(self._by_file(read))),
            ways=tuple(self._ways(sound)),
            remarks=tuple((piece.name, remark) for remark in self.remarks for piece in self.pieces[:1]),
        )
        return Composed(tuple(tables), told)

    @cached_property
    def wanted(self) -> tuple[str, ...]:
        """Columns of theirs that at least one file has, as this export spells them; and what shop.toml names."""
        there: dict[str, str] = {}
        for piece in self.pieces:
            there |= {name: theirs.strip() for name, theirs in self.export.names(piece.source.header).items()}
        mapped = [theirs for columns in self.settings.columns.values() for theirs in columns.values()]
        many = [name for name in there.values() if self.export.many and re.fullmatch(self.export.many, name)]
        # To the engine names that differ in nothing but their case are one.
        named = {name.casefold(): name for name in reversed((*self.export.columns, *many, *mapped))}
        return tuple(name for folded, name in reversed(named.items()) if folded in there)

    def _read(self) -> ir.Table:
        """The rows of all files, one under the other, as texts without blanks around them: `_file`, `_row`, `_bad`."""
        parts = []
        for number, piece in enumerate(self.pieces):
            texts = self._texts(self.works.raw(piece.source)).mutate(_file=ibis.literal(number, type="int32"))
            parts.append(self._filled(self.works.keep_in_order(f"_piece_{self.stem}_{number}", texts)))
        return ibis.union(*parts) if len(parts) > 1 else parts[0]  # fmt: skip

    def _texts(self, raw: Raw) -> ir.Table:
        ours = {name: raw.names[theirs] for name, theirs in self.export.names(raw.names).items()}
        texts = {name: _text(raw.rows, ours.get(name.casefold(), "")) for name in self.wanted}
        reasons = [(raw.rows[flag(reason)], reason) for reason in raw.broken if reason != BLANK]
        bad = ibis.cases(*reasons, else_=ibis.null("string")) if reasons else ibis.null("string")
        blank = raw.rows[flag(BLANK)] if BLANK in raw.broken else ibis.literal(False)
        return raw.rows.select(**texts, _bad=bad, _blank=blank.fill_null(False))

    def _filled(self, rows: ir.Table) -> ir.Table:
        """Without empty rows, and those that repeat the header, as files that were put together have."""
        first = rows[self.wanted[0]] if self.wanted else ibis.null("string")
        again = (first == ibis.literal(self.wanted[0])).fill_null(False)
        return rows.filter(~rows["_blank"] & ~again).drop("_blank")

    def apart(self, kept: Kept, settings: Settings) -> Apart | None:
        """What is kept of files of one of our tables, each read by itself; None where they have so much in common that
        they have to be put together."""
        ((table, made),) = self.export.made.items()
        columns = tuple(column for column in made.columns if column in self.wanted)
        try:
            whole = replace(self.pieces[0].source, table=table)
            mapping = column_map(whole, columns, dict(settings.columns.get(table, {})))
        except DataError:  # said of all files together, once they are
            return None
        parts = []
        for piece in self.pieces:
            key = {
                "table": table,
                "columns": columns,
                "mapping": mapping,
                "wanted": self.wanted,
                "record": self.export.key,
            }
            write = partial(self._read_apart, piece, TABLES[table], columns=mapping, timezone=settings.timezone)
            parts.append(kept.part(key | piece.source.read_as, piece.name, write))
        again = self._again(parts, kept, TABLES[table])
        if again is None:
            # They are read again, and nobody looks for rows of who was erased in what would be kept.
            kept.leave |= {part.name for part in parts}
            kept.known -= {piece.source.sha256 for piece in self.pieces}
            return None
        recognised = self._recognised({place: part.rows for place, part in enumerate(parts)})
        return Apart(tuple(parts), columns, again, Told(recognised=tuple(recognised)))

    def _again(self, parts: Sequence[Part], kept: Kept, table: Table) -> tuple[int, ...] | None:
        """The rows that another part has too, as `_newest` has it; None where they are too many, or cannot be told."""
        rows = cast("Sharing", self.works).side_by_side(f"_apart_{table.name}", parts)
        seen, marks = kept.compared(parts)
        # Files of the same bytes are one part, and no part was compared with itself.
        seen -= {name for name, times in Counter(part.name for part in parts).items() if times > 1}
        late = [place for place, part in enumerate(parts) if part.name not in seen]
        if late:
            new, old = rows.filter(rows["_part"].isin(late)), rows.filter(rows["_part"].notin(late))
            each = new.group_by("_mark").aggregate(first=new["_part"].min(), last=new["_part"].max())
            several = each.filter((each["first"] < each["last"]) & each["_mark"].notnull()).select("_mark")
            both = several.union(old.semi_join(new, "_mark").select("_mark")).distinct()
            marks |= {int(mark) for mark in self.works.frame(both.limit(_MOST_IN_COMMON + 1))["_mark"]}
        if len(marks) > _MOST_IN_COMMON:
            return None
        kept.common.append(({part.name for part in parts}, marks))
        if not marks:
            return ()
        listed = ibis.memtable(pd.DataFrame({"_mark": pd.Series(sorted(marks), dtype="uint64")}))
        met = self.works.keep(f"_met_{table.name}", rows.semi_join(listed, "_mark"))
        if self.export.time in self.wanted and self.export.key:
            at = met[table.time].cast("string").coalesce(met["_waits"])
            days = met.group_by("_mark").aggregate(n=at.nunique())
            if self._count(days.filter(days["n"] > 1)):  # one record of several days: `_refuse_labels` judges it
                return None
        told = self._judged(met, ["_mark"], "_part")
        found = self.works.frame(told.filter(told["_older"]).select("_row").order_by("_row"))
        self.works.drop(f"_met_{table.name}")
        return tuple(int(row) for row in found["_row"])

    def _read_apart(self, piece: Piece, table: Table, path: Path, *, columns: Mapping[str, str], timezone: str) -> None:
        """The first reading of one file by itself, with `_mark`, in which rows differ if their record does."""
        # Under one name whatever the file: what reads one then reads all that look alike.
        raw = self.works.raw(replace(piece.source, table=table.name))
        shape = (*raw.names.items(), *raw.broken, str(raw.rows.schema()))
        if shape not in self.readings:
            rows = self._marked(self._filled(self._texts(raw)))
            broken = {reason: (rows["_bad"] == reason).fill_null(False) for reason in _BROKEN}
            self.readings[shape] = quality.first_reading(
                rows, table, columns=columns, timezone=timezone, broken=broken
            )  # fmt: skip
        self.works.write(self.readings[shape], path)

    def _marked(self, rows: ir.Table) -> ir.Table:
        record = rows[self.export.key] if self.export.key else ibis.null("string")
        if not self.export.key:
            record = reduce(
                lambda one, two: one + cells.APART + two, [rows[name].fill_null("") for name in self.wanted]
            )
        counts = rows["_bad"].isnull() & record.notnull()
        rows = rows.mutate(_mark=ibis.ifelse(counts, _digest(_unquoted(record)), ibis.null("uint64")))
        empty = {name: ibis.ifelse(rows["_bad"].isnull(), rows[name], ibis.null("string")) for name in self.wanted}
        return rows.select(**{name: empty[name] for name in self.export.columns if name in empty}, _bad=rows["_bad"],
                           _mark=rows["_mark"])  # fmt: skip

    def _reckoned(self, rows: ir.Table) -> ir.Table:
        """With the amounts that are reckoned with, in the manner of each column over all files, as '# Total'."""
        there = [name for name in self.export.numbers if name in self.wanted]
        absent = {f"# {name}": ibis.null(cells.MONEY) for name in self.export.numbers if name not in there}
        if not there:
            return rows.mutate(**absent)
        columns = tuple(Column(f"# {name}", "money", "") for name in there)
        usual = rows.mutate(**{f"? {name}": cells.usual(rows[name], columns[0]) for name in there})
        values = {f"# {n}": cells.first(usual[n], columns[0], usual[f"? {n}"], "UTC") for n in there}
        told = usual.mutate(**values)
        waits = cells.joined([(told[n], cells.waits(told[n], columns[0], told[f"# {n}"])) for n in there])
        first = told.mutate(_waits=waits).drop(*(f"? {name}" for name in there))
        first = self.works.keep(f"_first_{self.stem}", first)
        n, late = self.works.frame(first.aggregate(n=first.count(), late=first["_waits"].count())).iloc[0]
        if int(late):
            source = self.pieces[0].source
            waiting = survey.Waiting(source, first, columns, (), int(n), int(late))
            manners = survey.decide(self.works, [waiting], self.settings)
            read = {}
            for column in columns:
                text, manner = waiting.text(column, first), manners.get((source.table, column.name), cells.Manner())
                read[column.name] = ibis.ifelse(
                    (text != "").fill_null(False), cells.second(text, column, manner, "UTC"), first[column.name]
                )
            first = first.mutate(**read)
        return first.mutate(**absent).drop("_waits")

    def _keyed(self, rows: ir.Table) -> ir.Table:
        """With `_key`, what names the record of a row: empty where nothing does."""
        export = self.export
        mapped = self.settings.columns.get(next(iter(export.made)), {}).get("order_id", "")
        key = mapped or export.key
        given = rows[key] if key in self.wanted else ibis.null("string")
        if key and key == export.key and key in self.wanted and export.adjacent and self._rounded(rows, key):
            self.remarks.append(f"{key} was rounded by a spreadsheet: {export.adjacent} names the {export.what}")
            given = ibis.null("string")
        given = _unquoted(given)
        if export.or_key in self.wanted:
            given = given.coalesce(rows[export.or_key])
        if not export.adjacent:
            if export.unnamed:
                # The newest stand first: counted from the end, a day's records keep their numbers in a longer export.
                nth = ibis.row_number().over(group_by=[rows["_file"], rows["Date"]], order_by=rows["_row"].desc()) + 1
                given = given.coalesce(rows["Date"] + " no. " + nth.cast("string"))
            return rows.mutate(_key=given)
        order = {"group_by": ["_file"], "order_by": ["_row"]}
        run = rows.mutate(_given=given)
        label, before = run[export.adjacent], run[export.adjacent].lag().over(**order)
        other = run["_given"].notnull() & (run["_given"] != run["_given"].lag().over(**order)).fill_null(True)
        starts = ((label != before).fill_null(True) & label.notnull()) | other
        # A step of its own: engines do not count over what they look back for.
        run = self.works.keep(f"_starts_{self.stem}", run.mutate(_start=starts.cast("int64")))
        counted = run.mutate(_run=run["_start"].sum().over(ibis.cumulative_window(**order)))
        counted = self.works.keep(f"_runs_{self.stem}", counted.drop("_start"))
        within = {"group_by": ["_file", "_run"]}
        named = counted.mutate(
            _key=ibis.coalesce(counted["_given"].max().over(**within), counted[export.adjacent].max().over(**within)),
            _by_label=counted["_given"].max().over(**within).isnull(),
        )
        return named.drop("_given", "_run")

    def _rounded(self, rows: ir.Table, key: str) -> bool:
        hit = rows.aggregate(n=rows[key].re_search(cells.ROUNDED).sum().fill_null(0))
        return bool(int(self.works.frame(hit)["n"].iloc[0]))

    def _newest(self, rows: ir.Table) -> ir.Table:
        """Without what a later file has again: records by their key, else whole rows."""
        if len(self.pieces) < 2:
            return rows
        keyed = bool(self.export.key or self.export.adjacent)
        if keyed and self.export.time in self.wanted:
            self._refuse_labels(rows)
        whole = [name for name in rows.columns if not name.startswith(("_", "#"))]
        told = self._judged(rows, ["_key"] if keyed else whole, "_file")
        return self.works.keep(f"_new_{self.stem}", told.filter(~told["_older"]).drop("_older"))

    def _judged(self, rows: ir.Table, record: Sequence[str], file: str) -> ir.Table:
        """Rows with `_older`: does a later file have the record, too? Of whole rows as many stay as the file has that
        has most of them. The older ones are counted in `again`."""
        if keyed := bool(self.export.key or self.export.adjacent):
            told = rows.mutate(_last=rows[file].max().over(group_by=record))
            told = told.mutate(_older=told[record[0]].notnull() & (told["_last"] > told[file])).drop("_last")
        else:
            told = rows.mutate(_nth=ibis.row_number().over(group_by=[*record, file], order_by="_row"))
            told = told.mutate(_copy=ibis.row_number().over(group_by=[*record, "_nth"], order_by=file))
            told = told.mutate(_older=told["_copy"] > 0).drop("_nth", "_copy")
        older = told.filter(told["_older"])
        n = older[record[0]].nunique() if keyed else older.count()
        found = self.works.frame(older.group_by(_of=older[file]).aggregate(n=n))
        self.again.update({int(row["_of"]): int(row["n"]) for row in found.to_dict("records")})
        return told

    def _refuse_labels(self, rows: ir.Table) -> None:
        """Raises DataError where two files have a record of one label, and no id tells whether it is the same."""
        labels = rows.filter(rows["_by_label"]) if "_by_label" in rows.columns else rows
        labels = labels.group_by("_key").aggregate(
            files=lambda t: t["_file"].nunique(), days=lambda t: t[self.export.time].nunique()
        )
        torn = labels.filter((labels["files"] > 1) & (labels["days"] > 1) & labels["_key"].notnull())
        found = self.works.frame(torn.order_by("_key").limit(3))
        if found.empty:
            return
        names = " and ".join(piece.name for piece in self.pieces[:3])
        key = self.export.key
        other = self._serving(rows.filter(rows["_key"].isin(list(found["_key"]))))
        mend = f"export them again with '{key}', which tells them apart" if not other else (
            f'write order_id = "{other}" under [columns.{next(iter(self.export.made))}] in shop.toml'
        )  # fmt: skip
        raise DataError(f"{names} have different {self.export.what} of one name ({', '.join(found['_key'])}): {mend}")

    def _serving(self, rows: ir.Table) -> str:
        """A column that tells records of one name apart: never empty, and another in each file."""
        texts = [name for name in self.wanted if name != self.export.time][:100]
        each = rows.group_by("_key").aggregate(
            _files=rows["_file"].nunique(), **{name: rows[name].nunique() for name in texts}
        )
        said = self.works.frame(each)
        ids = [name for name in texts if (said[name] == said["_files"]).all() and rows[name].type().is_string()]
        return min(ids, key=lambda name: ("id" not in name.lower(), len(name)), default="")

    def _named(self, rows: ir.Table, table: str, made: Made) -> ir.Table:
        """A table's columns under our names; those that no file has are left out."""
        columns: dict[str, ir.Value] = {}
        mapped = self.settings.columns.get(table, {})
        specs = {**made.columns, **{ours: theirs for ours, theirs in mapped.items() if theirs in self.wanted}}
        for ours, spec in specs.items():
            there = [name for name in names_of(spec) if name in rows.columns]
            if isinstance(spec, str):
                if there:
                    texts = [rows[name] for name in there]
                    columns[ours] = ibis.coalesce(*texts) if len(texts) > 1 else texts[0]
            elif len(there) == len(spec) - 1:
                columns[ours] = spec[0](rows)
        values = dict(columns)
        if table == "customers":
            values |= {name[1:]: values[name] for name in ("_email", "_phone") if name in values}
        return rows.select(**values, _platform=ibis.literal(self.export.platform), _at=_place(rows))

    def _ways(self, sound: ir.Table) -> Iterator[Way]:
        """How many orders come to their amounts in which way."""
        made = self.export.made.get(self.export.sums_of)
        if not self.export.sums or made is None:
            return
        orders = made.rows(sound) if made.rows else sound
        orders = self.works.keep(f"_sums_{self.stem}", orders)
        for identity in self.export.sums:
            needed = identity.amount(orders).notnull()
            rows = orders.filter(needed & identity.where(orders)) if identity.where else orders.filter(needed)
            apart = [(way, (identity.amount(rows) - amount(rows)).abs()) for way, amount in identity.ways.items()]
            hit = [((gap < CENT).fill_null(False), ibis.literal(way)) for way, gap in apart]
            least = ibis.least(*(gap for _, gap in apart)) if len(apart) > 1 else apart[0][1]
            told = rows.select(way=ibis.cases(*hit, else_=ibis.literal("")), gap=least.cast("float64"))
            each = told.group_by("way").aggregate(orders=told.count(), money=told["gap"].sum())
            for row in self.works.frame(each.order_by(each["orders"].desc(), "way")).itertuples(index=False):
                money = float(row.money) if not row.way else 0.0
                yield Way(self.export.platform, identity.of, row.way, int(row.orders), money)

    def _by_file(self, read: ir.Table) -> dict[int, int]:
        counts = self.works.frame(read.group_by("_file").aggregate(n=read.count()))
        return {int(row["_file"]): int(row["n"]) for row in counts.to_dict("records")}

    def _recognised(self, rows: Mapping[int, int]) -> Iterator[Recognised]:
        known = {name.casefold() for name in self.wanted}
        for number, piece in enumerate(self.pieces):
            header = [name.strip() for name in piece.source.header]
            mine = {theirs.strip() for name, theirs in self.export.names(header).items() if name in known}
            yield Recognised(
                file=piece.name,
                platform=self.export.platform,
                what=self.export.what,
                tables=tuple(name for name in self.export.made if name in TABLES),
                rows=rows.get(number, 0),
                used=tuple(name for name in header if name in mine),
                left=tuple(name for name in header if name not in mine),
                again=self.again.get(number, 0),
            )

    def _count(self, rows: ir.Table) -> int:
        return int(self.works.frame(rows.aggregate(n=rows.count()))["n"].iloc[0])


@ibis.udf.scalar.builtin(name="md5_number_lower", signature=((dt.string,), dt.uint64))
def _digest(text: Any) -> Any:
    """Half of a text's digest: the engine's own hash is the same for texts that are nearly so."""


def _place(rows: ir.Table) -> ir.IntegerValue:
    return rows["_file"].cast("int64") * A_FILE + rows["_row"].cast("int64")


def _unquoted(text: ir.StringValue) -> ir.StringValue:
    return ibis.ifelse(text.re_search("^'[0-9+]"), text.substr(1), text)


def _text(rows: ir.Table, name: str) -> ir.StringValue:
    """A column as texts without blanks around them; empty ones are nothing."""
    return rows[name].cast("string").strip().nullif("") if name else ibis.null("string")
