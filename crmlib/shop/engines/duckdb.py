"""DuckDB inside this process: the engine a shop has unless it asks for another."""

from __future__ import annotations

import itertools
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir
import pandas as pd

from crmlib.errors import DataError
from crmlib.shop.engines.protocol import BLANK, DUCKDB, FOLDER_VARIABLE, Raw, flag, our_names, without_decimals
from crmlib.shop.intake import encoding as text
from crmlib.shop.intake.files import Source, parquet_names
from crmlib.shop.intake.kept import VARIABLE, Part

_OVERFLOW = 8  # surplus fields a ragged CSV row may have and still be set aside rather than stop the run
_SHARED = "shared"  # the database of what is stored for others
_THERE = (_SHARED, "main")
_MEMORY = "1GB"  # the engine's own; what does not fit spills to disk
_SPILL = "50GB"


class DuckDB:
    """One embedded database for one shop; `scratch` takes what does not fit into its memory.

    It reads and writes below `scratch`, `folder`, `also` and where shops are shared and kept, and nowhere else.
    """

    name = DUCKDB
    fault: tuple[type[Exception], ...] = (duckdb.Error,)

    def __init__(self, scratch: Path, *, folder: Path | None = None, also: Path | None = None) -> None:
        self._backend = ibis.duckdb.connect(
            temp_directory=str(scratch), memory_limit=_MEMORY, max_temp_directory_size=_SPILL,
            autoinstall_known_extensions=False, autoload_known_extensions=False,
        )  # fmt: skip
        named = [Path(place) for name in (FOLDER_VARIABLE, VARIABLE) if (place := os.environ.get(name, ""))]
        places = [place for place in (scratch, folder, also, *named) if place is not None]
        # A link in a shop's folder leads where it leads; its owner put it there.
        files = (
            [str(path.resolve()) for path in folder.iterdir() if path.is_symlink()]
            if folder and folder.is_dir()
            else []
        )
        real = [*places, *(place.resolve() for place in places)]
        both = sorted({str(place) for place in real} | {_literally(place) for place in real})
        self._backend.con.execute("SET allowed_directories = ?", [both])
        self._backend.con.execute("SET allowed_paths = ?", [files])
        self._backend.con.execute("SET enable_external_access = false")
        self._backend.con.execute("SET lock_configuration = true")
        self._storing = False
        self._compiled: dict[object, str] = {}

    def raw(self, source: Source) -> Raw:
        rows, names, broken = self._parquet(source) if source.parquet else self._csv(source)
        flags = {flag(reason): test for reason, test in broken.items()}
        kept = [rows[name] for name in names.values()]
        return Raw(rows.select(*kept, **flags), names, tuple(broken))

    def keep(self, name: str, expression: ir.Table) -> ir.Table:
        return self._backend.create_table(name, expression, temp=True)

    def store(self, name: str, expression: ir.Table) -> ir.Table:
        if not self._storing:
            return self.keep(name, expression)
        return self._backend.create_table(name, expression, database=_THERE)

    @contextmanager
    def storing(self, file: Path) -> Iterator[None]:
        self._backend.attach(file, name=_SHARED)
        self._storing = True
        try:
            yield
        finally:
            self._storing = False
            self._backend.detach(_SHARED)

    def stored(self, file: Path, names: Iterable[str]) -> Mapping[str, ir.Table]:
        self._backend.attach(file, name=_SHARED, read_only=True)
        return {name: self._backend.table(name, database=_THERE) for name in names}

    def keep_in_order(self, name: str, expression: ir.Table) -> ir.Table:
        # The engine keeps the order of what it reads, on all cores at once; counting rows on their way would take one.
        kept = self.keep(name, expression)
        return kept.mutate(_row=kept.rowid() + 1)

    def side_by_side(self, name: str, parts: Sequence[Part]) -> ir.Table:
        before = [0, *itertools.accumulate(part.rows for part in parts[:-1])]
        files = ", ".join(_quoted(_literally(part.path)) for part in parts)
        self._backend.con.execute(
            f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT *, file_row_number + 1 + ({before}::BIGINT[])"
            f"[file_index::BIGINT + 1] AS _row, file_index::INTEGER AS _part FROM read_parquet([{files}])"
        )
        return self._backend.table(name)

    def drop(self, name: str) -> None:
        self._backend.drop_table(name, force=True)

    def write(self, expression: ir.Table, path: Path) -> None:
        rows = expression.op()
        if rows not in self._compiled:
            self._compiled[rows] = self._backend.compile(expression)
        self._backend.con.execute(f"COPY ({self._compiled[rows]}) TO {_quoted(str(path))} (FORMAT parquet)")

    def frame(self, expression: ir.Table) -> pd.DataFrame:
        with warnings.catch_warnings():
            # Ibis asks pandas 3 for an option that pandas 4 will drop.
            warnings.simplefilter("ignore", DeprecationWarning)
            found: pd.DataFrame = without_decimals(expression).to_pandas()
        return found

    def stream(self, expression: ir.Table, *, chunk: int) -> Iterator[pd.DataFrame]:
        for batch in expression.to_pyarrow_batches(chunk_size=chunk):
            yield batch.to_pandas()

    def _parquet(self, source: Source) -> tuple[ir.Table, dict[str, str], dict[str, ir.BooleanValue]]:
        rows = self._backend.read_parquet(_literally(source.read_path), table_name=f"_raw_{source.table}")
        text.no_twins(parquet_names(source.read_path), name=source.path.name)
        names = our_names(tuple(name for name in rows.columns if not (source.marked and name == text.MARK)))
        broken = text.marks(rows) if source.marked else {}
        return rows.rename({ours: theirs for theirs, ours in names.items()}), names, broken

    def _csv(self, source: Source) -> tuple[ir.Table, dict[str, str], dict[str, ir.BooleanValue]]:
        names = our_names(source.header)
        marks = [text.MARK] if source.marked else []
        surplus = [f"_surplus_{i}" for i in range(_OVERFLOW)]
        options: dict[str, Any] = {
            "header": True, "auto_detect": False, "delim": source.delimiter, "quote": '"', "escape": '"',
            "strict_mode": False,
            # Empty fields stay empty texts, so that only the padding of a short row is null.
            "nullstr": "\x01", "null_padding": True, "skip": source.skip,
            # Where a row may run over lines, they can be told apart from the start of the file only.
            "parallel": source.one_line_rows,
            "columns": dict.fromkeys([*marks, *names.values(), *surplus], "VARCHAR"),
        }  # fmt: skip
        rows = self._backend.read_csv(_literally(source.read_path), table_name=f"_raw_{source.table}", **options)
        broken = text.marks(rows) if source.marked else {}
        last, beyond = names[source.header[-1]], rows[surplus[0]]
        # Some exports end each row, but not the header, with a separator.
        wide = ibis.ifelse(beyond.notnull(), (beyond != "") | rows[surplus[1]].notnull(), False)
        fields = [rows[name] for name in (*names.values(), *surplus)]
        nothing = [field.fill_null("").strip() == "" for field in fields]
        blank = ibis.ifelse(nothing[0], ibis.and_(*nothing[1:]), False)
        return rows, names, {BLANK: blank, **broken, text.RAGGED_ROW: rows[last].isnull() | wide}


def _literally(path: Path) -> str:
    """A path that the engine does not take for a pattern: a shop may be called 'shop [EU]'."""
    return re.sub(r"[*?\[]", lambda sign: f"[{sign[0]}]", str(path))


def tables_of(file: Path, into: Path) -> Iterator[tuple[str, Path]]:
    """The tables of a DuckDB database, each as a Parquet file in `into`: no view, and nothing outside of the two."""
    base = duckdb.connect(config={"memory_limit": _MEMORY, "temp_directory": str(into)})
    try:
        base.execute(f"ATTACH {_quoted(str(file))} AS theirs (READ_ONLY)")
        base.execute("SET allowed_directories = ?", [[str(into)]])
        base.execute("SET enable_external_access = false")
        base.execute("SET lock_configuration = true")
        found = base.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'theirs' AND NOT internal"
        ).fetchall()
        for number, (schema, name) in enumerate(found):
            copy = into / f"table-{number}.parquet"
            place = ".".join(f'"{part.replace(chr(34), 2 * chr(34))}"' for part in ("theirs", schema, name))
            base.execute(f"COPY (SELECT * FROM {place}) TO {_quoted(str(copy))} (FORMAT parquet)")
            yield name, copy
    except duckdb.Error as error:
        said = str(error).splitlines()[0].replace(f"{file.parent}/", "")[:200]
        raise DataError(f"{file.name} cannot be read as a DuckDB database: {said}") from None
    finally:
        base.close()


class Joining:
    """Parquet files of one database, asked together: SQL of ours over `files` by name, nothing but them and `into`.

    `missing` are the columns of each that it lacks, which are empty; a name without a file has no rows.
    """

    def __init__(self, files: Mapping[str, Path], missing: Mapping[str, Sequence[str]], into: Path) -> None:
        self._base = duckdb.connect(config={"memory_limit": _MEMORY, "temp_directory": str(into)})
        self._base.execute("SET allowed_directories = ?", [[str(into)]])
        self._base.execute("SET enable_external_access = false")
        for name, absent in missing.items():
            empty = ", ".join(f'NULL::VARCHAR AS "{column}"' for column in absent)
            rows = f"FROM read_parquet({_quoted(_literally(files[name]))})" if name in files else "WHERE false"
            listed = ", ".join(filter(None, ("*" if name in files else "", empty)))
            self._base.execute(f'CREATE VIEW "{name}" AS SELECT {listed} {rows}')

    def __enter__(self) -> Joining:
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    def write(self, sql: str, target: Path) -> None:
        """The rows of an expression as a Parquet file, in its order."""
        self._base.execute(f"COPY ({sql}) TO {_quoted(str(target))} (FORMAT parquet)")

    def value(self, sql: str) -> str:
        """The one value that a question has, as text; empty where there is none."""
        row = self._base.execute(sql).fetchone()
        return str(row[0]) if row and row[0] is not None else ""


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
