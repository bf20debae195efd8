"""Apache Spark, on this machine or on a cluster: for a shop that has outgrown one embedded database."""

from __future__ import annotations

import importlib.util
import itertools
import os
import re
import shutil
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from crmlib.errors import UsageError
from crmlib.scratch import Scratch
from crmlib.shop.engines.duckdb import DuckDB
from crmlib.shop.engines.protocol import SPARK, Raw, flag, our_names, without_decimals
from crmlib.shop.intake import encoding as text
from crmlib.shop.intake.files import Source

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

WORK = "spark.crmlib.work"  # a setting of the session: a folder that the driver and all executors can reach


class Spark:
    """One session for one shop, apart from the session it was opened with: views, functions and settings stay inside.

    What is kept lies as Parquet in `spark.crmlib.work`, or in `scratch` where Spark runs on this machine alone.
    """

    name = SPARK

    def __init__(self, scratch: Path, *, folder: Path | None = None, session: SparkSession | None = None) -> None:
        _require()
        with _quietly():
            from pyspark.errors import PySparkException

            whole = session or _session()
            self._scratch, self._folder = scratch, folder
            self._work = _work(whole, scratch)
            # A shared folder would keep what a process leaves.
            weakref.finalize(self, shutil.rmtree, self._work, ignore_errors=True)
            self._session = whole.newSession()
            self._backend = _backend(self._session)
        self.fault: tuple[type[Exception], ...] = (*DuckDB.fault, PySparkException, pa.ArrowException)
        self._session.conf.set("spark.sql.legacy.parquet.nanosAsLong", "true")
        # Expressions call this by DuckDB's name.
        self._session.sql(
            "CREATE TEMPORARY FUNCTION timezone(zone STRING, instant TIMESTAMP) RETURNS TIMESTAMP "
            "RETURN from_utc_timestamp(instant, zone)"
        )

    def raw(self, source: Source) -> Raw:
        return self._parquet(source) if source.parquet else self._csv(source)

    def keep(self, name: str, expression: ir.Table) -> ir.Table:
        path = self._place(name)
        with _in_steps():
            found = self._result(expression)
        found.write.mode("overwrite").parquet(path)
        return self._view(name, self._session.read.parquet(path))

    def store(self, name: str, expression: ir.Table) -> ir.Table:
        return self.keep(name, expression)

    def keep_in_order(self, name: str, expression: ir.Table) -> ir.Table:
        return self.keep(name, expression)

    def drop(self, name: str) -> None:
        self._session.catalog.dropTempView(name)
        shutil.rmtree(self._place(name), ignore_errors=True)

    def frame(self, expression: ir.Table) -> pd.DataFrame:
        from ibis.formats.pandas import PandasData

        expression = without_decimals(expression)
        with _quietly():
            found = self._result(expression).toArrow()
            columns = {
                name: column.to_pylist() if column.null_count else column.to_pandas()
                for name, column in zip(found.column_names, found.columns, strict=True)
            }
            frame: pd.DataFrame = PandasData.convert_table(pd.DataFrame(columns), expression.schema())
        return frame

    def stream(self, expression: ir.Table, *, chunk: int) -> Iterator[pd.DataFrame]:
        schema = expression.schema().to_pyarrow()
        rows = self._result(expression).toLocalIterator()
        while batch := list(itertools.islice(rows, chunk)):
            yield pa.RecordBatch.from_pylist([row.asDict() for row in batch], schema=schema).to_pandas()

    def write(self, expression: ir.Table, path: Path) -> None:
        parquet.write_table(self._result(expression).toArrow(), path)

    def _result(self, expression: ir.Table) -> DataFrame:
        from pyspark.sql.types import TimestampType

        with _quietly():
            self._backend._run_pre_execute_hooks(expression)  # rows of Python's become tables of the session
        found = self._session.sql(self._backend.compile(expression))
        # A moment here is the shop's own, and must not be moved to this machine's time zone on its way.
        local = [field.name for field in found.schema if isinstance(field.dataType, TimestampType)]
        return (
            found.withColumns({name: found[_quoted(name)].cast("timestamp_ntz") for name in local}) if local else found
        )

    def _place(self, name: str) -> str:
        # Spark takes what begins with an underscore for its own, and does not read it.
        return str(self._work / f"kept-{name}")

    def _view(self, name: str, rows: DataFrame) -> ir.Table:
        rows.createOrReplaceTempView(name)
        return self._backend.table(name)

    def _csv(self, source: Source) -> Raw:
        """A CSV has an order and quotes that span lines: one reader goes through it, the same as for DuckDB."""
        self._work.mkdir(parents=True, exist_ok=True)
        found = DuckDB(self._scratch, folder=self._folder, also=self._work)
        raw = found.raw(source)
        copy = self._work / f"raw-{source.table}.parquet"
        found.write(raw.rows.mutate(_row=ibis.row_number() + 1), copy)
        return Raw(self._view(f"_raw_{source.table}", self._session.read.parquet(str(copy))), raw.names, raw.broken)

    def _parquet(self, source: Source) -> Raw:
        """A Parquet file is read by all executors; it knows the place of each of its rows."""
        schema = parquet.read_schema(source.read_path)
        text.no_twins(schema.names, name=source.path.name)
        # A shop may be called 'shop [EU]': its path is no pattern.
        rows = self._session.read.parquet(re.sub(r"([*?\[\]{}\\])", r"\\\1", str(source.read_path)))
        names = our_names(tuple(name for name in rows.columns if not (source.marked and name == text.MARK)))
        place = rows.metadataColumn("_metadata")["row_index"]
        columns = [
            _moment(rows[_quoted(theirs)], schema.field(theirs).type).alias(ours) for theirs, ours in names.items()
        ]
        reasons = (text.BROKEN_QUOTE, text.TOO_LONG, text.RAGGED_ROW) if source.marked else ()
        columns += [(rows[text.MARK] == reason).alias(flag(reason)) for reason in reasons]
        found = self._view(f"_raw_{source.table}", rows.select(*columns, (place + 1).alias("_row")))
        # Ibis takes an instant of Spark for a local moment.
        instants = [
            ours
            for theirs, ours in names.items()
            if pa.types.is_timestamp(kind := schema.field(theirs).type) and kind.tz
        ]
        return Raw(
            found.mutate(**{name: found[name].cast(dt.Timestamp(timezone="UTC")) for name in instants}), names, reasons
        )


def _backend(session: SparkSession) -> Any:
    """Ibis for Spark, with what it says differently to Spark than to others put right."""
    from ibis.backends.pyspark import Backend
    from ibis.backends.sql.compilers.pyspark import PySparkCompiler

    class Compiler(PySparkCompiler):
        def visit_Strip(self, _: Any, *, arg: Any) -> Any:
            # Spark does not know the signs that Ibis names here, and takes away the letters f and v.
            return self.f.regexp_replace(arg, r"^\s+|\s+$", "")

        def visit_RegexReplace(self, _: Any, *, arg: Any, pattern: Any, replacement: Any) -> Any:
            # What others write \1 is $1 in Java.
            groups = replacement.copy()
            groups.set("this", re.sub(r"\\(\d)", r"$\1", str(replacement.this)))
            return self.f.regexp_replace(arg, pattern, groups)

    class Amended(Backend):
        compiler = Compiler()

    if ibis.options.pyspark is None:
        Backend.register_options()
    found = Amended()
    found.do_connect(session)
    return found


def _moment(column: Any, kind: pa.DataType) -> Any:
    """Spark reads nanoseconds as whole numbers; a moment has microseconds here."""
    if not (pa.types.is_timestamp(kind) and kind.unit == "ns"):
        return column
    from pyspark.sql import functions

    instant = functions.timestamp_micros(functions.floor(column / 1000).cast("long"))
    return instant if kind.tz else instant.cast("timestamp_ntz")


def _require() -> None:
    if importlib.util.find_spec("pyspark") is None:
        raise UsageError("Spark is not installed: `pip install 'crmlib[spark]'`, and Java 17 or 21 beside it")
    if "JAVA_HOME" not in os.environ and shutil.which("java") is None and "SPARK_REMOTE" not in os.environ:
        raise UsageError("Spark needs Java 17 or 21, which is not here: install it, or name its folder in JAVA_HOME")


def _session(*, cores: int = os.cpu_count() or 1) -> SparkSession:
    """The session that is open in this process; else one as SPARK_CONF_DIR says, else one on this machine that speaks
    to nobody. It outlives the shop it was opened for, so what it writes lies apart."""
    from pyspark.sql import SparkSession

    if found := SparkSession.getActiveSession():
        return found
    home = Scratch("crmlib-spark-")
    settings = {
        "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.driver.memory": "2g",
        "spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR",
        "spark.sql.shuffle.partitions": str(max(2, cores)), "spark.sql.warehouse.dir": f"{home.path}/warehouse",
        "spark.sql.files.openCostInBytes": "1048576", "spark.sql.catalogImplementation": "in-memory",
        "spark.local.dir": str(home.path),
    }  # fmt: skip
    builder = SparkSession.builder.appName("crmlib")
    if "SPARK_CONF_DIR" not in os.environ:
        builder = builder.master(f"local[{cores}]")
        for name, value in settings.items():
            builder = builder.config(name, value)
    log = home.path / "spark.log"
    try:
        with _apart(log):
            opened = builder.getOrCreate()
    except Exception as error:
        # Where there is no Java to ask, what the shell said is all there is.
        shell = log.read_text(encoding="utf-8", errors="replace").strip() if "GATEWAY" in str(error) else ""
        raise UsageError(f"Spark did not start: {(shell or str(error)).splitlines()[0][:300]}") from None
    opened.crmlib_home = home
    return opened


def _work(session: SparkSession, scratch: Path) -> Path:
    if named := session.conf.get(WORK, ""):
        # Two shops of one session must not write into each other's tables.
        return Path(named) / scratch.name
    if not session.conf.get("spark.master", "").startswith("local"):
        raise UsageError(
            f"a Spark cluster needs a folder that the driver and all executors can reach: set {WORK} in the session, "
            "and put the shop's folder where they can read it too"
        )
    return scratch / "spark"


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


@contextmanager
def _apart(log: Path) -> Iterator[None]:
    """A Java started here writes its remarks into a file, not onto the page of a report."""
    before = os.dup(2)
    with log.open("wb") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


@contextmanager
def _in_steps() -> Iterator[None]:
    """Ibis merges one step into the next, and Spark then works out a value again wherever it is used."""
    before = ibis.options.sql.fuse_selects
    ibis.options.sql.fuse_selects = False
    try:
        yield
    finally:
        ibis.options.sql.fuse_selects = before


@contextmanager
def _quietly() -> Iterator[None]:
    with warnings.catch_warnings():
        # Pandas 3 is newer than what PySpark was tested with; the agreement tests here cover what is used of it.
        warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas", category=FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
