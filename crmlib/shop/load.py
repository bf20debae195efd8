"""Take a shop's files in: each row is read, judged, and kept or set aside, so that the counts reconcile."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir
import pandas as pd

from crmlib.errors import DataError
from crmlib.shop import erased, quality, survey, vocabulary
from crmlib.shop.cells import Manner
from crmlib.shop.engines import Engine, Raw, Sharing, flag
from crmlib.shop.intake import persons
from crmlib.shop.intake.combine import once, renumbered
from crmlib.shop.intake.files import Source, column_map, unchanged
from crmlib.shop.intake.gather import gather
from crmlib.shop.intake.kept import Kept, Part, holding
from crmlib.shop.intake.settings import Settings
from crmlib.shop.intake.told import Note, Told
from crmlib.shop.people import People
from crmlib.shop.tables import TABLES

ASIDE = "set_aside"  # the table of what was set aside, beside those of the shop
_STATES = 1000  # as many as a page could list; a column with more is no state
# Days that systems write for a date that is none, beside the first of 1970.
_DEFAULTS = ("1980-01-01", "1980-01-04", "1990-01-01", "1999-11-30", "2000-01-01", "2001-01-01")


@dataclass(frozen=True)
class Audit:
    """What became of one table's rows: read = kept + set_aside + after_as_of.

    `money` is what set-aside orders say they cost, credit notes among them left out.
    """

    source: Source
    present: frozenset[str]
    read: int
    kept: int
    after_as_of: int
    set_aside: Mapping[str, int]
    oddities: Mapping[str, int]
    money: Mapping[str, float]


@dataclass(frozen=True)
class State:
    """A status of orders, and what it was taken for: 'sale', 'open', 'out', 'given_back' or 'unknown'."""

    status: str
    kind: str
    orders: int
    money: float


@dataclass(frozen=True, kw_only=True)
class Record:
    """What is known of a shop once its files were taken in."""

    settings: Settings
    as_of: date
    today: date
    data_through: date | None
    audits: Mapping[str, Audit]
    states: tuple[State, ...] = ()
    not_goods: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    told: Told = field(default_factory=Told)
    people: People = field(default_factory=People)


@dataclass(frozen=True)
class Taken:
    """The rows that count, with every canonical column, and those that do not: table, row (from 1) and code."""

    record: Record
    tables: Mapping[str, ir.Table]
    aside: ir.Table


def take_in(
    works: Engine, folder: Path, settings: Settings, *, as_of: date | None, scratch: Path, kept: Kept | None = None
) -> Taken:
    """A folder's tables on an engine, as of a day: the one asked for, shop.toml's, or the day after the latest event.

    `scratch` takes copies of files that are not in UTF-8. What is `kept` of files is not read again. Raises DataError
    for data that cannot be used.
    """
    gathered = gather(folder, settings, scratch=scratch, kept=kept)
    sources = gathered.sources
    # What exports tell, where shop.toml does not.
    settings = replace(
        settings, timezone=gathered.timezone or settings.timezone, dates=gathered.dates or settings.dates
    )
    files = [_first(works, source, settings, kept) for source in sources]
    manners = survey.decide(works, [file.waiting for file in files], settings)
    typed = {file.name: _second(works, file, manners, settings) for file in files}
    whole, typed = typed, erased.without(works, typed, folder)
    unchanged(sources, kept.known if kept else set())
    if kept:
        parts = {file.name: file.parts for file in files if file.parts}
        whole |= {file.name: _whole(works, file, manners, settings) for file in files if file.waiting.source.again}
        for name, rows in erased.places(works, whole, folder, set(parts)).items():
            kept.leave |= {part.name for part in holding(parts[name], rows)}
    if "orders" in typed:
        typed["orders"] = _judged(works, typed)
    clock = datetime.now(ZoneInfo(settings.timezone)).date()
    day = as_of or settings.as_of or _after_latest(works, typed, clock)
    if noes := gathered.noes:
        typed["customers"] = persons.heeded(works, typed["customers"], works.raw(noes).rows, as_of=day)
    taking = _Taking(works, typed, day)
    for file in files:
        taking.take(file)
    aside = [taking.aside[file.name] for file in files]
    all_aside = works.store(ASIDE, ibis.union(*aside) if len(aside) > 1 else aside[0])
    for name in taking.tables:
        works.drop(f"_out_{name}")
    works.drop("_known_orders")
    if kept:
        kept.settle()
    record = Record(
        settings=_one_currency(works, taking.tables, settings),
        as_of=day,
        today=settings.as_of or clock,
        data_through=_latest(works, taking.tables),
        audits=taking.audits,
        states=taking.states,
        not_goods=_not_goods(works, taking.tables, settings),
        notes=(*_noted(sources, manners), *gathered.told.notes()),
        told=gathered.told,
        people=gathered.people,
    )
    return Taken(record, taking.tables, all_aside)


@dataclass(frozen=True)
class _File:
    """A file after its first reading, with the columns that stand for ours."""

    name: str
    waiting: survey.Waiting
    columns: Mapping[str, str]
    parts: tuple[Part, ...] = ()


class _Taking:
    """A shop's tables as they are taken in one after the other, each with what the others say."""

    def __init__(self, works: Engine, typed: Mapping[str, ir.Table], day: date) -> None:
        self.works, self.typed, self.day = works, typed, day
        self.tables: dict[str, ir.Table] = {}
        self.audits: dict[str, Audit] = {}
        self.aside: dict[str, ir.Table] = {}
        self.states: tuple[State, ...] = ()
        self._known_orders: ir.Table | None = None

    def take(self, file: _File) -> None:
        works, name, table = self.works, file.name, TABLES[file.name]
        present = frozenset((*file.columns, *file.waiting.source.more))
        has_key = bool(table.key) and present.issuperset(table.key)
        rows = quality.placed(self.typed[name], table, as_of=self.day, orders=self._known_orders, has_key=has_key)
        # Only what does not count is written down, not every row once more.
        out = works.keep(f"_out_{name}", quality.exceptions(rows))
        birthdays = _no_birthdays(works, self.typed[name]) if name == "customers" and "birth_date" in present else ()
        use = quality.usable(self.typed[name], table, as_of=self.day, out=out, no_birthdays=birthdays)
        kept = works.store(name, use)
        if name == "orders":
            self._known_orders = works.keep("_known_orders", quality.known_orders(kept, out))
            self.states = _states(works, kept) if "status" in present else ()
        found = works.frame(quality.counts(out)).set_index("reason")
        outcomes = {str(code): int(n) for code, n in found["rows"].items()}
        usable, read = _count(works, kept), file.waiting.number
        bad = out.filter(out["_reason"].notnull())
        bad = renumbered(bad, file.waiting.source.again)
        self.aside[name] = bad.select(table=ibis.literal(name), row=bad["_row"], code=bad["_reason"])
        if read != (found_again := usable + sum(outcomes.values())):
            raise DataError(
                f"{file.waiting.source.path.name} has {read:,} rows, found again {found_again:,}: "
                "a fault of this software; please report it"
            )
        context = quality.Context(
            has_key=has_key,
            present=present,
            customers=self.tables.get("customers"),
            products=self._products(),
            sales=[state.status for state in self.states if state.kind == "sale"],
        )
        self.audits[name] = Audit(
            source=file.waiting.source,
            present=present,
            read=read,
            kept=usable,
            after_as_of=outcomes.pop("after_as_of", 0),
            set_aside=outcomes,
            oddities=_oddities(works, kept, name, context),
            money={code: float(found.loc[code, "money"]) for code in outcomes},
        )
        self.tables[name] = without_ours(kept)
        # No table that is still to come asks for this one's first rows: products, which lines ask for, come after them.
        for reading in ("_first", "_second"):
            works.drop(f"{reading}_{name}")

    def _products(self) -> ir.Table | None:
        if "products" not in self.typed:
            return None
        return self.typed["products"].filter(lambda t: t["_reason"].isnull())


def without_ours(kept: ir.Table) -> ir.Table:
    """A stored table's canonical columns; ours, which begin with an underscore, are for the checks."""
    return kept.select(*(column for column in kept.columns if not column.startswith("_")))


def _first(works: Engine, source: Source, settings: Settings, kept: Kept | None) -> _File:
    """A file's rows after the first reading, kept in its order."""
    name, table, parts = f"_first_{source.table}", TABLES[source.table], source.parts
    mapping = {} if source.canonical else dict(settings.columns.get(source.table, {}))
    try:
        if kept and isinstance(works, Sharing) and (parts or not source.parquet):
            columns = column_map(source, source.header, mapping)
            if not parts:
                key = {"table": source.table, "columns": columns, "timezone": settings.timezone} | source.read_as
                parts = (
                    kept.part(
                        key,
                        source.path.name,
                        lambda path: works.write(_read(works.raw(source), source, settings, columns), path),
                    ),
                )
            rows = works.side_by_side(f"_kept_{source.table}", parts)
            rows = rows.drop(*(column for column in ("_part", "_mark") if column in rows.columns))
            rows = once(rows, source.again)
        else:
            raw = works.raw(source)
            columns = column_map(source, tuple(raw.names), mapping)
            rows = works.keep_in_order(name, _read(raw, source, settings, columns))
        given = tuple(column for column in table.columns if column.name in columns)
        extras = tuple(column for column in rows.columns if column not in table.names and column[0] != "_")
        sums = rows.aggregate(rows=(~rows["_blank"]).sum(), waits=rows["_waits"].count())
        number, waits = (0 if pd.isna(n) else int(n) for n in works.frame(sums).iloc[0])
    except works.fault as error:
        if not source.one_line_rows:
            raise DataError(_unreadable(source, error)) from None
    else:
        return _File(source.table, survey.Waiting(source, rows, given, extras, number, waits), columns, parts)
    # DuckDB at times gives up on quoted fields where it starts in the middle of a file; from the beginning it does not.
    works.drop(name)
    return _first(works, replace(source, one_line_rows=False), settings, kept)


def _read(raw: Raw, source: Source, settings: Settings, columns: Mapping[str, str]) -> ir.Table:
    ours = {canonical: raw.names[theirs] for canonical, theirs in columns.items()}
    broken = {reason: raw.rows[flag(reason)] for reason in raw.broken}
    return quality.first_reading(
        raw.rows, TABLES[source.table], columns=ours, timezone=settings.timezone, broken=broken
    )  # fmt: skip


def _second(works: Engine, file: _File, manners: Mapping[tuple[str, str], Manner], settings: Settings) -> ir.Table:
    """A file's rows with their types. Raises DataError where not one of many amounts can be read."""
    read = _typed(file.waiting.rows, file, manners, settings)
    if not any(table == file.name for table, _ in manners):
        return read
    kept = works.keep(f"_second_{file.name}", read)
    survey.unreadable(works, file.waiting, kept)
    works.drop(f"_first_{file.name}")
    return kept


def _typed(rows: ir.Table, file: _File, manners: Mapping[tuple[str, str], Manner], settings: Settings) -> ir.Table:
    own = {column: manner for (table, column), manner in manners.items() if table == file.name}
    return quality.second_reading(
        rows, TABLES[file.name], columns=file.columns, manners=own, timezone=settings.timezone
    )  # fmt: skip


def _whole(works: Engine, file: _File, manners: Mapping[tuple[str, str], Manner], settings: Settings) -> ir.Table:
    """The same with the rows that stand there again, in which other columns may have texts to read."""
    rows = cast("Sharing", works).side_by_side(f"_whole_{file.name}", file.parts)
    return _typed(rows, file, {(file.name, column): Manner() for column in file.columns} | dict(manners), settings)


def _judged(works: Engine, typed: Mapping[str, ir.Table]) -> ir.Table:
    """Orders with the reasons that other rows give: sums that their lines contradict, and days far before all."""
    orders = typed["orders"]
    sound = orders.filter(orders["_reason"].isnull())
    at = sound["ordered_at"]
    default = at.date().isin([ibis.date(day) for day in _DEFAULTS]) & (at.hour() == 0) & (at.minute() == 0)
    facts = works.frame(
        sound.aggregate(
            below=(sound["total"] < 0).sum().fill_null(0),
            default=default.sum().fill_null(0),
            others=at.min(where=~default & (at > ibis.timestamp("1970-01-02"))),
        )
    ).iloc[0]
    if int(facts["below"]) and "order_lines" in typed:
        orders = quality.contradicted(orders, typed["order_lines"])
    if int(facts["default"]) and not pd.isna(facts["others"]):
        begin = (pd.Timestamp(facts["others"]) - pd.Timedelta(days=3 * 365)).date()
        at = orders["ordered_at"]
        none = at.date().isin([ibis.date(day) for day in _DEFAULTS]) & (at < ibis.timestamp(begin.isoformat()))
        wrong = none.fill_null(False) & orders["_reason"].isnull()
        orders = orders.mutate(_reason=ibis.ifelse(wrong, "epoch_date", orders["_reason"]))
    return orders


def _count(works: Engine, rows: ir.Table) -> int:
    return int(works.frame(rows.aggregate(n=rows.count()))["n"].iloc[0])


def _oddities(works: Engine, kept: ir.Table, name: str, context: quality.Context) -> dict[str, int]:
    raw = {str(code): int(n) for code, n in works.frame(quality.oddities(kept, TABLES[name], context)).iloc[0].items()}
    found = quality.settled(raw)
    if raw.get("_zeros"):
        lost = quality.lost_zeros(kept, TABLES[name].key[0], width=raw["_zeros"])
        if shorter := int(works.frame(lost)["n"].iloc[0]):
            found["lost_zeros"] = shorter
    if name == "orders" and "customer_id" in context.present:
        people = kept.filter(kept["customer_id"].notnull())
        each = people.group_by("customer_id").aggregate(n=people.count())
        most = works.frame(each.aggregate(most=each["n"].max().fill_null(0), all=each["n"].sum(), people=each.count()))
        top, whole, number = (0 if pd.isna(value) else int(value) for value in most.iloc[0])
        if number >= 20 and top >= 100 and top * 20 > whole:
            found["one_customer"] = top
    return found


def _states(works: Engine, orders: ir.Table) -> tuple[State, ...]:
    """The states of kept orders, by their money; none where there are so many that they are no states."""
    given = orders.filter(orders["status"].notnull())
    each = given.group_by("status").aggregate(orders=given.count(), money=given["total"].sum().fill_null(0))
    found = works.frame(each.order_by(each["orders"].desc(), "status").limit(_STATES))
    return tuple(
        State(row.status, vocabulary.state(row.status), int(row.orders), float(row.money))
        for row in found.itertuples(index=False)
    )


def _not_goods(works: Engine, tables: Mapping[str, ir.Table], settings: Settings) -> dict[str, str]:
    """Products that are money only, by id: what they are."""
    words = vocabulary.NOT_GOODS | {word.strip().lower(): "not_goods" for word in settings.not_goods}
    # There may be many rows: no word is made of each, to be compared.
    forms = {form for word in words for form in (word, word.upper(), word.title(), word.capitalize())}
    written = sorted(forms | set(settings.not_goods))
    found: dict[str, str] = {}
    told = []
    if "order_lines" in tables:
        lines = tables["order_lines"]
        told.append(lines.filter(lines["product_id"].isin(written)).select("product_id"))
    if "products" in tables:
        products = tables["products"]
        goods = products["kind"].fill_null("").lower().isin(["goods", "product", "simple", "variable", "physical", ""])
        named = products["product_id"].isin(written) | products["name"].isin(written).fill_null(False)
        told.append(products.filter(named | ~goods).select("product_id", "name", "kind"))
    for rows in told:
        for row in works.frame(rows.distinct().order_by("product_id").limit(10_000)).itertuples(index=False):
            said = [value.strip().lower() for value in row if isinstance(value, str)]
            kinds = [words[word] for word in said if word in words]
            found[row.product_id] = next(iter(kinds), said[-1])
    return found


def _no_birthdays(works: Engine, customers: ir.Table) -> tuple[date, ...]:
    """Days on which so many were born that it is a form's default."""
    born = customers.filter(customers["_reason"].isnull() & customers["birth_date"].notnull())
    each = born.group_by("birth_date").aggregate(n=born.count())
    all_of_them = _count(works, born)
    top = works.frame(each.order_by(each["n"].desc(), "birth_date").limit(5))
    days = [(pd.Timestamp(row.birth_date).date(), int(row.n)) for row in top.itertuples(index=False)]
    return tuple(day for day, n in days if n >= 5 and n * (100 if (day.month, day.day) == (1, 1) else 20) > all_of_them)


def _noted(sources: list[Source], manners: Mapping[tuple[str, str], Manner]) -> list[Note]:
    files = {source.table: source.path.name for source in sources}
    notes = [Note("encoding", source.path.name, source.encoding) for source in sources if source.recoded]
    notes += [
        Note("preamble", source.path.name, str(source.skip)) for source in sources if source.skip and not source.parquet
    ]
    notes += [Note("twice", source.path.name, column) for source in sources for column in source.twice]
    for (table, column), manner in manners.items():
        if manner.unclear:
            notes.append(Note("unclear", files[table], f"{column}: {', '.join(manner.unclear)}"))
        told = manner.counted or (manner.order if "year_last" in manner.shapes else "")
        notes += [Note("dates", files[table], f"{column}: {told.replace('_', ' ')}")] if told else []
    return notes


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


def _one_currency(works: Engine, tables: Mapping[str, ir.Table], settings: Settings) -> Settings:
    """The settings with the orders' currency. Raises DataError where there are several, or shop.toml's is another."""
    found = _currencies(works, tables)
    if len(found) > 1:
        # A column that was taken for the currency by mistake may hold names.
        codes = [code for code in found if re.fullmatch("[A-Z]{3}", code)]
        others = [f"{len(found) - len(codes)} that are no codes"] if len(codes) < len(found) else []
        raise DataError(
            f"orders are in {len(found)} currencies ({', '.join([*codes, *others])}), one a run is needed: export one, "
            "or convert the amounts first"
        )
    if found and settings.currency and found[0] != settings.currency:
        raise DataError(f"shop.toml says {settings.currency}, orders.csv says {found[0]}: correct one of them")
    return replace(settings, currency=found[0]) if found else settings


def _currencies(works: Engine, tables: Mapping[str, ir.Table]) -> list[str]:
    if "orders" not in tables:
        return []
    orders = tables["orders"]
    codes = orders.filter(orders["currency"].notnull()).select(code=orders["currency"].upper()).distinct()
    return sorted(works.frame(codes.limit(20))["code"])
