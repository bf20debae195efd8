"""The few columns of the few tables of a shop's database that a run needs, copied once into files of its own."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from crmlib.errors import DataError
from crmlib.shop.intake.database import read_address
from crmlib.shop.intake.platforms import recognise
from crmlib.shop.intake.schemas import SCHEMAS, Schema
from crmlib.shop.intake.servers import Column, Server, opened
from crmlib.shop.intake.settings import Settings
from crmlib.shop.tables import TABLES

# Never read, whatever table they are in.
_SECRET = re.compile(
    r"(^|_)(pass|passwd|password|pwd|hash|salt|token|secret|session|cookie|card|cvv|cvc|iban|bic|ip|useragent|user_agent)"
    r"(_|$)|ip_?addr|password",
    re.IGNORECASE,
)
_MOST = 20  # tables that a message names


@dataclass(frozen=True)
class Copied:
    """The copies, each named after what it is, the shop's time zone where the database says it, and what to tell."""

    files: tuple[Path, ...] = ()
    timezone: str = ""
    remarks: tuple[tuple[str, str], ...] = ()


def copied(settings: Settings, into: Path) -> Copied:
    """Copy what makes a shop out of its database, into a new folder.

    A shop system's own tables are known by their names and columns, other tables by our names or as a file would be.
    Raises DataError where the database cannot be reached, holds no table of a shop, or the tables of several.
    """
    into.mkdir(mode=0o700, parents=True)
    address = read_address(settings.database)
    with opened(address) as server:
        tables: dict[str, list[Column]] = defaultdict(list)
        for column in server.columns:
            tables[column.table].append(column)
        prefix = settings.table_prefix or address.option("table_prefix")
        found = _schema(server, tables, prefix)
        files, zone = _of_system(server, tables, *found, into) if found else ([], "")
        files += list(_by_name(server, tables, prefix, settings, into))
        if not files:
            names = ", ".join(sorted(tables)[:_MOST]) or "none that this user may read"
            raise DataError(f"{address.text} holds no table of a shop: it has {names}")
        remarks = [(address.name, "its user may change tables: one who may only read them is enough")]
        return Copied(tuple(files), zone, tuple(remarks if server.may_write else ()))


def _schema(server: Server, tables: Mapping[str, list[Column]], prefix: str) -> tuple[Schema, str] | None:
    """The shop system whose tables these are, and what stands before their names."""
    found = []
    for schema in SCHEMAS:
        first = next(iter(schema.tables))
        for table in tables:
            before = table.removesuffix(first)
            if table.endswith(first) and prefix in ("", before) and _has(tables, schema, before):
                found.append((schema, before))
    if len(prefixes := sorted({before for _, before in found})) > 1:
        raise DataError(
            f"{server.address.text} has the tables of several shops, named {', '.join(f'{p}…' for p in prefixes)}: "
            f'write table_prefix = "{prefixes[0]}" in shop.toml, or ?table_prefix={prefixes[0]} behind the address'
        )
    if len(found) > 1:
        return max(found, key=lambda pair: server.count(pair[1] + next(iter(pair[0].tables)), pair[0].orders))
    return found[0] if found else None


def _has(tables: Mapping[str, list[Column]], schema: Schema, before: str) -> bool:
    for name, wanted in schema.tables.items():
        there = {column.name for column in tables.get(before + name, ())}
        if not wanted.optional and not {column for column, needed in wanted.names.items() if needed} <= there:
            return False
    return True


def _of_system(
    server: Server, tables: Mapping[str, list[Column]], schema: Schema, before: str, into: Path
) -> tuple[list[Path], str]:  # fmt: skip
    """The flat exports of a shop system's tables, and its time zone."""
    raw: dict[str, Path] = {}
    missing: dict[str, list[str]] = {}
    for name, wanted in schema.tables.items():
        there = {column.name: column for column in tables.get(before + name, ())}
        columns = [there[column] for column in wanted.names if column in there]
        missing[name] = [column for column in wanted.names if column not in there]
        if columns:
            raw[name] = into / f"raw-{name}.parquet"
            server.copy(columns, raw[name], where=wanted.where, order=columns[0].name)
    files = []
    # DuckDB starts a thread when it is imported; a warm process forks only without it.
    from crmlib.shop.engines.duckdb import Joining

    with Joining(raw, missing, into) as joining:
        for name, sql in schema.flat.items():
            files.append(into / f"{schema.platform} {name}.parquet")
            joining.write(sql, files[-1])
        zone = joining.value(schema.zone)
    for path in raw.values():
        path.unlink()
    return files, zone


def _by_name(
    server: Server, tables: Mapping[str, list[Column]], prefix: str, settings: Settings, into: Path
) -> Iterator[Path]:  # fmt: skip
    """Tables under our names, with all their columns but secrets, and those that a platform's file could be."""
    for table, columns in tables.items():
        name = table.removeprefix(prefix).lower()
        names = {column.name.casefold() for column in columns}
        mapping = settings.columns.get(name, {})
        needed = {mapping.get(n, n).casefold() for n in TABLES[name].required} if name in TABLES else {"no such column"}
        export = None if needed <= names else recognise(names)
        if name in TABLES and export is None:
            known = {*TABLES[name].names, *(theirs.casefold() for theirs in mapping.values())}
            wanted = [c for c in columns if c.name.casefold() in known or not _SECRET.search(c.name)]
            order = next((c.name for c in wanted if c.name == (TABLES[name].key or ("",))[0]), "")
        elif export is not None:
            theirs = {column.casefold() for column in export.columns}
            wanted = [c for c in columns if c.name.casefold() in theirs]
            name, order = re.sub(r"\W", "_", table), next((c.name for c in wanted if c.name == export.key), "")
        else:
            continue
        target = into / f"{name}.parquet"
        server.copy(wanted, target, order=order)
        yield target
