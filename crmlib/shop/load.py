"""Take a shop's files in: each row is read, judged, and kept or set aside, so that the counts reconcile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir
import pandas as pd

from crmlib.errors import DataError
from crmlib.shop import quality
from crmlib.shop.engines import Engine, flag
from crmlib.shop.intake.files import Source, column_map, find_sources
from crmlib.shop.intake.settings import Settings
from crmlib.shop.tables import TABLES

ASIDE = "set_aside"  # the table of what was set aside, beside those of the shop


@dataclass(frozen=True)
class Audit:
    """What became of one table's rows: read = kept + set_aside + after_as_of. `money` is what set-aside orders say they cost."""

    source: Source
    present: frozenset[str]
    read: int
    kept: int
    after_as_of: int
    set_aside: Mapping[str, int]
    oddities: Mapping[str, int]
    money: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is known of a shop once its files were taken in."""

    settings: Settings
    as_of: date
    today: date
    data_through: date | None
    audits: Mapping[str, Audit]


@dataclass(frozen=True)
class Taken:
    """The rows that count, with every canonical column, and those that do not: table, row (from 1) and code."""

    record: Record
    tables: Mapping[str, ir.Table]
    aside: ir.Table


def take_in(works: Engine, folder: Path, settings: Settings, *, as_of: date | None, scratch: Path) -> Taken:
    """A folder's tables on an engine, as of a day: the one asked for, shop.toml's, or the day after the latest event.

    `scratch` takes copies of files that are not in UTF-8. Raises DataError for data that cannot be used.
    """
    sources = find_sources(folder, scratch=scratch)
    typed, present = {}, {}
    for source in sources:
        typed[source.table], columns = _typed(works, source, settings)
        present[source.table] = frozenset(columns)
    clock = datetime.now(ZoneInfo(settings.timezone)).date()
    today = settings.as_of or clock
    day = as_of or settings.as_of or _after_latest(works, typed, clock)
    audits: dict[str, Audit] = {}
    tables: dict[str, ir.Table] = {}
    known_orders = None
    aside = []
    for source in sources:
        name, table = source.table, TABLES[source.table]
        has_key = bool(table.key) and present[name].issuperset(table.key)
        rows = quality.placed(typed[name], table, as_of=day, orders=known_orders, has_key=has_key)
        # Only what does not count is written down, not every row once more.
        out = works.keep(f"_out_{name}", quality.exceptions(rows))
        kept = works.store(name, quality.usable(typed[name], table, as_of=day, out=out))
        works.drop(f"_typed_{name}")
        if name == "orders":
            known_orders = works.keep("_known_orders", quality.known_orders(kept, out))
        found = works.frame(quality.counts(out)).set_index("reason")
        outcomes = found["rows"].to_dict()
        usable = int(works.frame(kept.aggregate(n=kept.count()))["n"].iloc[0])
        known = tables.get("customers")
        odd = quality.oddities(kept, table, customers=known, has_key=has_key, present=present[name])
        bad = out.filter(out["_reason"].notnull())
        aside.append(bad.select(table=ibis.literal(name), row=bad["_row"], code=bad["_reason"]))
        audits[name] = Audit(
            source=source,
            present=present[name],
            read=usable + int(sum(outcomes.values())),
            kept=usable,
            after_as_of=int(outcomes.pop("after_as_of", 0)),
            set_aside={code: int(n) for code, n in outcomes.items()},
            oddities={code: int(n) for code, n in works.frame(odd).iloc[0].items()},
            money={str(code): float(found.loc[code, "money"]) for code in outcomes},
        )
        tables[name] = without_ours(kept)
    all_aside = works.store(ASIDE, ibis.union(*aside) if len(aside) > 1 else aside[0])
    for name in tables:
        works.drop(f"_out_{name}")
    if known_orders is not None:
        works.drop("_known_orders")
    _one_currency(works, tables, settings)
    record = Record(
        settings=settings if settings.currency else _with_currency(works, settings, tables),
        as_of=day,
        today=today,
        data_through=_latest(works, tables),
        audits=audits,
    )
    return Taken(record, tables, all_aside)


def without_ours(kept: ir.Table) -> ir.Table:
    """A stored table's canonical columns; ours, which begin with an underscore, are for the checks."""
    return kept.select(*(column for column in kept.columns if not column.startswith("_")))


def _typed(works: Engine, source: Source, settings: Settings) -> tuple[ir.Table, Mapping[str, str]]:
    """A file's rows with their types, kept in its order, and which of its columns stands for which of ours."""
    name = f"_typed_{source.table}"
    try:
        raw = works.raw(source)
        columns = column_map(source, tuple(raw.names), dict(settings.columns.get(source.table, {})))
        ours = {canonical: raw.names[theirs] for canonical, theirs in columns.items()}
        broken = {reason: raw.rows[flag(reason)] for reason in raw.broken}
        rows = quality.typed(raw.rows, TABLES[source.table], columns=ours, timezone=settings.timezone, broken=broken)
        return works.keep_in_order(name, rows), columns
    except works.fault as error:
        if not source.one_line_rows:
            raise DataError(_unreadable(source, error)) from None
    # DuckDB sometimes gives up on quoted fields where it starts in the middle of a file; from the beginning it does not.
    works.drop(name)
    return _typed(works, replace(source, one_line_rows=False), settings)


def _unreadable(source: Source, error: Exception) -> str:
    """The engine's complaint in one line, without the place where a copy of the file lies."""
    said = str(error).splitlines()[0].replace(f"{source.read_path.parent}/", "")
    kind = "Parquet" if source.parquet else "CSV"
    return f"{source.path.name} cannot be read as {kind}: {said[:300]}; export it again"


def _after_latest(works: Engine, typed: Mapping[str, ir.Table], clock: date) -> date:
    tomorrow = ibis.timestamp((clock + timedelta(days=1)).isoformat())
    usable = {name: rows.filter(rows["_reason"].isnull()) for name, rows in typed.items()}
    past = {name: rows.filter(rows[TABLES[name].time] < tomorrow) for name, rows in usable.items() if TABLES[name].time}
    latest = _latest(works, past)
    return latest + timedelta(days=1) if latest else clock


def _latest(works: Engine, tables: Mapping[str, ir.Table]) -> date | None:
    """The latest day of any event; accounts made are not events, since a shop can import them in one night."""
    days = []
    for name, rows in tables.items():
        time = TABLES[name].time
        if not time or (name == "customers" and len(tables) > 1):
            continue
        latest = works.frame(rows.aggregate(at=rows[time].max()))["at"].iloc[0]
        if not pd.isna(latest):
            days.append(pd.Timestamp(latest).date())
    return max(days, default=None)


def _one_currency(works: Engine, tables: Mapping[str, ir.Table], settings: Settings) -> None:
    found = _currencies(works, tables)
    if len(found) > 1:
        raise DataError(
            f"orders are in {len(found)} currencies ({', '.join(found)}), one a run is needed: export one, "
            "or convert the amounts first"
        )
    if found and settings.currency and found[0] != settings.currency:
        raise DataError(f"shop.toml says {settings.currency}, orders.csv says {found[0]}: correct one of them")


def _with_currency(works: Engine, settings: Settings, tables: Mapping[str, ir.Table]) -> Settings:
    found = _currencies(works, tables)
    return Settings(**{**settings.__dict__, "currency": found[0]}) if found else settings


def _currencies(works: Engine, tables: Mapping[str, ir.Table]) -> list[str]:
    if "orders" not in tables:
        return []
    orders = tables["orders"]
    codes = orders.filter(orders["currency"].notnull()).select(code=orders["currency"].upper()).distinct()
    return sorted(works.frame(codes.limit(20))["code"])
