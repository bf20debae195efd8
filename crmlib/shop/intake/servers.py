"""A shop's database on a server: it is only read from, in one transaction, a block of rows at a time."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Context, Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from crmlib.errors import DataError
from crmlib.shop.intake.database import Address

_BLOCK = 20_000  # rows held at a time
_EXACT = Context(prec=38)
_SECONDS = 10  # to reach the server
_INTEGERS = ("smallint", "integer", "bigint", "tinyint", "mediumint", "int")
_BYTES = ("bytea", "blob", "tinyblob", "mediumblob", "longblob", "binary", "varbinary", "geometry", "bit")


@dataclass(frozen=True)
class Column:
    """A column as the server describes it: `kind` in its words, small."""

    table: str
    name: str
    kind: str
    precision: int = 0
    scale: int = 0
    unsigned: bool = False


class Server:
    """An open database. `columns` are those that this user may read, but for bytes, which no table of ours has."""

    def __init__(self, address: Address, connection: Any) -> None:
        self.address, self._connection = address, connection
        self._postgres = address.kind == "postgresql"
        with closing(connection.cursor()) as cursor:
            if not self._postgres:
                cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                cursor.execute("SET SESSION time_zone = '+00:00'")
                cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            place = "current_schema()" if self._postgres else "DATABASE()"
            self.schema = address.option("schema") or self._value(cursor, f"SELECT {place}")
            more = "data_type" if self._postgres else "column_type"
            cursor.execute(
                f"SELECT table_name, column_name, data_type, numeric_precision, numeric_scale, {more} "
                "FROM information_schema.columns WHERE table_schema = %s ORDER BY table_name, ordinal_position",
                (self.schema,),
            )
            self.columns = [
                Column(row[0], row[1], row[2].lower(), int(row[3] or 0), int(row[4] or 0), "unsigned" in row[5].lower())
                for row in cursor.fetchall() if row[2].lower() not in _BYTES
            ]  # fmt: skip

    @staticmethod
    def _value(cursor: Any, sql: str) -> str:
        cursor.execute(sql)
        return str(cursor.fetchone()[0])

    @property
    def may_write(self) -> bool:
        """May this user change tables, too? Nobody does here, but a user who cannot is the better one."""
        with closing(self._connection.cursor()) as cursor:
            if self._postgres:
                cursor.execute(
                    "SELECT bool_or(has_table_privilege(oid, 'INSERT, UPDATE, DELETE')) FROM pg_class "
                    "WHERE relkind = 'r' AND relnamespace = to_regnamespace(%s)", (f'"{self.schema}"',)
                )  # fmt: skip
                return bool(cursor.fetchone()[0])
            cursor.execute("SHOW GRANTS")
            granted = " ".join(str(row[0]).upper() for row in cursor.fetchall())
            return re.search(r"\b(ALL PRIVILEGES|INSERT|UPDATE|DELETE)\b", granted) is not None

    def count(self, table: str, where: str) -> int:
        """The rows of a table that meet a condition of ours."""
        with closing(self._connection.cursor()) as cursor:
            named = f"{self._quoted(self.schema)}.{self._quoted(table)}"
            return int(self._value(cursor, f"SELECT count(*) FROM {named} WHERE {where}"))

    def copy(self, columns: Sequence[Column], target: Path, *, where: str = "", order: str = "") -> None:
        """Write these columns of one table as a Parquet file; `where` is a condition of ours."""
        listed = ", ".join(self._quoted(column.name) for column in columns)
        sql = f"SELECT {listed} FROM {self._quoted(self.schema)}.{self._quoted(columns[0].table)}"
        sql += f" WHERE {where}" if where else ""
        sql += f" ORDER BY {self._quoted(order)}" if order else ""
        kinds = [_kind(column) for column in columns]
        schema = pa.schema([(column.name, kind) for column, (kind, _) in zip(columns, kinds, strict=True)])
        with closing(self._rows()) as cursor, parquet.ParquetWriter(target, schema) as writer:
            cursor.execute(sql)
            while block := cursor.fetchmany(_BLOCK):
                arrays = [
                    pa.array([None if value is None else read(value) for value in values], kind)
                    for values, (kind, read) in zip(zip(*block, strict=True), kinds, strict=True)
                ]
                writer.write_batch(pa.record_batch(arrays, schema=schema))

    def _rows(self) -> Any:
        """A cursor whose rows wait on the server."""
        if self._postgres:
            return self._connection.cursor(name="crm")
        from pymysql.cursors import SSCursor

        return self._connection.cursor(SSCursor)

    def _quoted(self, name: str) -> str:
        sign = '"' if self._postgres else "`"
        return sign + name.replace(sign, 2 * sign) + sign


@contextmanager
def opened(address: Address) -> Iterator[Server]:
    """The database, read only. DataError where its driver is missing, or it cannot be reached or read.

    The password comes from PGPASSWORD or ~/.pgpass, for MySQL and MariaDB from MYSQL_PWD or ~/.my.cnf.
    """
    needed, connect = ("psycopg", _postgresql) if address.kind == "postgresql" else ("pymysql", _mysql)
    if find_spec(needed) is None:
        raise DataError(f"{address.text} needs the package {needed}: install crmlib[databases]")
    faults = _faults(needed)
    try:
        connection = connect(address)
    except faults as error:
        raise DataError(f"{address.text} cannot be reached: {_word(error)}") from None
    try:
        with closing(connection):
            yield Server(address, connection)
    except faults as error:
        raise DataError(f"{address.text} cannot be read: {_word(error)}") from None


def _faults(driver: str) -> tuple[type[Exception], ...]:
    if driver == "psycopg":
        import psycopg

        return psycopg.Error, OSError, pa.ArrowException
    import pymysql

    # A RuntimeError where a kind of password needs what is not installed.
    return pymysql.err.Error, OSError, RuntimeError, pa.ArrowException


def _word(error: Exception) -> str:
    """What a driver says, on one line; MySQL's has a number in front."""
    said = error.args[-1] if error.args else error
    return re.sub(r"\s+", " ", str(said))[:200].strip() or type(error).__name__


def _postgresql(address: Address) -> Any:
    import psycopg

    connection = psycopg.connect(
        dbname=address.name, host=address.option("socket") or address.host or None, port=address.port or None,
        user=address.user or None, sslmode=address.option("sslmode") or None,
        sslrootcert=address.option("sslrootcert") or None, connect_timeout=_SECONDS, application_name="crm",
        options="-c default_transaction_read_only=on -c timezone=UTC",
    )  # fmt: skip
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    return connection


def _mysql(address: Address) -> Any:
    import pymysql

    mode, file = address.option("sslmode"), Path("~/.my.cnf").expanduser()
    secure = ssl.create_default_context(cafile=address.option("sslrootcert") or None)
    if mode != "verify-full":
        secure.check_hostname, secure.verify_mode = False, ssl.CERT_NONE
    return pymysql.connect(
        database=address.name, host=address.host or None, port=address.port, user=address.user or None,
        unix_socket=address.option("socket") or None, password=os.environb.get(b"MYSQL_PWD", b""), charset="utf8mb4",
        read_default_file=str(file) if file.is_file() else None, connect_timeout=_SECONDS, program_name="crm",
        ssl_disabled=mode == "disable" or None, ssl=secure if mode in ("require", "verify-full") else None,
    )  # fmt: skip


def _kind(column: Column) -> tuple[pa.DataType, Callable[[Any], Any]]:
    """How a column is kept, and how a value of it is read: amounts and days as such, all else as a CSV has it."""
    kind = column.kind
    if kind in _INTEGERS:
        return (pa.decimal128(20, 0), Decimal) if column.unsigned and kind == "bigint" else (pa.int64(), int)
    if kind in ("numeric", "decimal"):
        # Three digits behind a point could be taken for thousands, and an open scale has none of its own.
        scale = 9 if not column.precision else 4 if column.scale == 3 else column.scale
        unit = Decimal(1).scaleb(-scale)
        return pa.decimal128(38, scale), lambda value: _EXACT.quantize(value, unit) if value.is_finite() else None
    if kind in ("real", "double precision", "double", "float"):
        return pa.float64(), float
    if kind == "boolean":
        return pa.bool_(), bool
    if kind == "date":
        return pa.date32(), lambda value: value if isinstance(value, date) else None  # 0000-00-00 comes as a text
    if kind in ("datetime", "timestamp without time zone"):
        return pa.timestamp("us"), lambda value: value if isinstance(value, datetime) else None
    if kind == "timestamp with time zone":
        return pa.string(), lambda value: value.isoformat(" ")
    if kind == "timestamp":  # MySQL's is a moment, and this session's clock is Greenwich's
        return pa.string(), lambda value: f"{value.isoformat(' ')}+00:00" if isinstance(value, datetime) else None
    return pa.string(), lambda value: value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
