"""A shop's tables as of a day; the one door through which rows reach Python."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import ibis
import ibis.expr.types as ir
import pandas as pd

from crmlib.errors import DataError, NotAvailable, TooManyRows, UsageError, nearest
from crmlib.scratch import Scratch
from crmlib.shop import display, quality
from crmlib.shop import privacy as pseudonyms
from crmlib.shop import sharing as shared
from crmlib.shop.engines import DUCKDB, Engine, open_engine
from crmlib.shop.intake.database import is_address
from crmlib.shop.intake.settings import Settings, engine_and_folder, read_settings
from crmlib.shop.intake.told import Told
from crmlib.shop.load import Audit, Record
from crmlib.shop.people import People
from crmlib.shop.tables import TABLES

_HELD = {"order_lines": "the products in each order (table order_lines)", "assignments": "tests (table assignments)",
         "feedback": "reviews or ratings (table feedback)"}  # fmt: skip
_NUMBERS = itertools.count()  # names of what is kept; shops may share an engine


@dataclass(frozen=True)
class Shop:
    """A shop as it was known when `as_of` began.

    Every canonical column of a table is there, empty where the shop does not have it; `has` tells. Days are days of
    the shop's own time zone, and no row or state at or after `as_of` can be seen.
    """

    folder: str
    settings: Settings
    as_of: date
    today: date
    data_through: date | None
    audits: Mapping[str, Audit]
    _record: Record = field(repr=False)
    _tables: Mapping[str, ir.Table] = field(repr=False)
    _aside: ir.Table = field(repr=False)
    _engine: Engine = field(repr=False)
    _scratch: Scratch = field(repr=False)
    _kept: dict[Any, ir.Table] = field(default_factory=dict, init=False, repr=False, compare=False)
    _key: bytes = field(repr=False)
    segment: str = ""

    def __repr__(self) -> str:
        tables = ", ".join(f"{name} {audit.kept:,}" for name, audit in self.audits.items())
        only = f", only {self.segment}" if self.segment else ""
        return f"Shop({self.settings.name!r} as of {self.as_of}{only}: {tables})"

    def _repr_html_(self) -> str:
        return display.shop_html(
            self.settings, self.audits, as_of=self.as_of, data_through=self.data_through,
            remarks=[*display.another_day(self.as_of, self.data_through, self.today),
                     *(f"not as known then: {note}" for note in self.not_as_known())],
        )  # fmt: skip

    @property
    def owners(self) -> Mapping[str, str]:
        """Who acts, by role, as shop.toml names them."""
        return self.settings.owners

    @property
    def currency(self) -> str:
        """Three-letter code of every amount; empty where the shop names none."""
        return self.settings.currency

    def has(self, table: str, *columns: str) -> bool:
        """Does the shop bring this table, with these columns?

        >>> shop.has("orders", "total"), shop.has("orders", "tracking_code")
        (True, False)
        """
        return table in self.audits and self.audits[table].present.issuperset(columns)

    def table(self, name: str, *columns: str) -> ir.Table:
        """The usable rows of a table, lazily. NotAvailable where this shop lacks the table or one of `columns`.

        UsageError for a name that no shop has: neither data/README.md nor the file knows it.

        Every canonical column is there, empty where the shop lacks it; times are local moments, money is exact.

        >>> orders = shop.table("orders", "total")
        >>> shop.fetch(orders.aggregate(largest=orders["total"].max())).shape
        (1, 1)
        """
        if name not in TABLES:
            raise UsageError(f"no shop has a table '{name}'; {nearest(name, TABLES)}")
        if name not in self.audits:
            held = " and ".join(", ".join(table.replace("_", " ") for table in self.audits).rsplit(", ", 1))
            raise NotAvailable(f"The export holds {held}, but not {_HELD.get(name, name.replace('_', ' '))}")
        canonical = TABLES[name].names
        # Columns of the shop's own stand in the table beside ours.
        there = self.audits[name].present | (set(self._tables[name].columns) - set(canonical))
        if unknown := [column for column in columns if column not in there.union(canonical)]:
            raise UsageError(f"{name} have no column '{unknown[0]}'; {nearest(unknown[0], there.union(canonical))}")
        if lacking := [column for column in columns if column not in there]:
            raise NotAvailable(f"needs {name}.{' and '.join(lacking)}; this shop's {name} do not have it")
        return self._tables[name]

    def fetch(self, expression: ir.Table | str, *, max_rows: int = 100_000) -> pd.DataFrame:
        """Carry a table's rows into pandas, or those of a table by its name.

        Raises TooManyRows above `max_rows`, and says how many there are.

        >>> by_status = shop.table("orders").group_by("status").aggregate(n=lambda t: t.count())
        >>> list(shop.fetch(by_status).columns)
        ['status', 'n']
        """
        expression = self.table(expression) if isinstance(expression, str) else expression
        frame = self._engine.frame(expression.limit(max_rows + 1))
        if len(frame) > max_rows:
            found = int(self._engine.frame(expression.aggregate(n=expression.count()))["n"].iloc[0])
            raise TooManyRows(
                f"{found:,} rows would leave the engine, {max_rows:,} are allowed here: group or filter them first, "
                f"or pass max_rows={found}"
            )
        return frame

    def keep(self, expression: ir.Table) -> ir.Table:
        """The same rows, worked out once inside the engine: for what several questions are asked of. No row leaves.

        The same expression is kept once, for as long as the shop is open.

        >>> days = shop.keep(shop.table("orders").group_by("status").aggregate(n=lambda t: t.count()))
        >>> shop.keep(shop.table("orders").group_by("status").aggregate(n=lambda t: t.count())) is days
        True
        """
        key = expression.op()
        if key not in self._kept:
            self._kept[key] = self._engine.keep(f"_once_{next(_NUMBERS)}", expression)
        return self._kept[key]

    def drawn(self, one_in: int) -> Shop:
        """The same shop with the orders of one customer in `one_in`, drawn by lot, the same on every engine.

        For what needs the rows themselves, where there are too many: whoever is drawn is there with all orders, so that
        shares, and what is said of customers, stay right; sums are a part. A guest's order stands for itself. Counts of
        `audits` stay those of the whole. Raises UsageError below 1.

        >>> part = shop.drawn(4)
        >>> count = lambda s: int(s.fetch(s.table("orders").aggregate(n=lambda t: t.count()))["n"].iloc[0])
        >>> 0 < count(part) < count(shop)
        True
        """
        if one_in < 1:
            raise UsageError(f"one in {one_in} cannot be drawn; 1 is the whole shop, 2 half of it")
        if one_in == 1:
            return self
        tables = dict(self._tables)
        if "orders" in tables:
            orders = tables["orders"]
            lot = _drawn(ibis.coalesce(orders["customer_id"], orders["order_id"]), one_in)
            tables["orders"] = self.keep(orders.filter(lot))
            if "order_lines" in tables:
                tables["order_lines"] = self.keep(tables["order_lines"].semi_join(tables["orders"], "order_id"))
        elif "order_lines" in tables:
            lines = tables["order_lines"]
            tables["order_lines"] = self.keep(lines.filter(_drawn(lines["order_id"], one_in)))
        return replace(self, _tables=tables)

    def sample(self, expression: ir.Table, *, rows: int, key: str, seed: int = 0) -> pd.DataFrame:
        """`rows` random rows, the same for the same seed and on every engine: those whose hashed `key` comes first.

        >>> len(shop.sample(shop.table("orders"), rows=5, key="order_id", seed=1))
        5
        """
        order = (expression[key].cast("string") + f"#{seed}").hexdigest("md5")
        return self._engine.frame(expression.order_by(order, expression[key]).limit(rows))

    def stream(self, expression: ir.Table, *, chunk: int = 100_000) -> Iterator[pd.DataFrame]:
        """A table's rows in frames of at most `chunk`, for what must be read row by row, such as texts.

        >>> max(len(frame) for frame in shop.stream(shop.table("orders"), chunk=500))
        500
        """
        yield from self._engine.stream(expression, chunk=chunk)

    def reconciliation(self) -> pd.DataFrame:
        """Is every row accounted for? One row a table and one for the sum: table, read, kept, set_aside, after_as_of.

        >>> total = shop.reconciliation().iloc[-1]
        >>> bool(total["read"] == total["kept"] + total["set_aside"] + total["after_as_of"])
        True
        """
        rows = [
            (name, audit.read, audit.kept, sum(audit.set_aside.values()), audit.after_as_of)
            for name, audit in self.audits.items()
        ]
        frame = pd.DataFrame(rows, columns=["table", "read", "kept", "set_aside", "after_as_of"])
        total = frame.drop(columns="table").sum()
        return pd.concat([frame, pd.DataFrame([{"table": "all", **total}])], ignore_index=True)

    def faults(self) -> pd.DataFrame:
        """What is wrong with the rows? One row a table and reason: table, code, meaning, rows, kept (they still count).

        >>> sorted(set(shop.faults()["table"]) - set(shop.audits))
        []
        """
        rows = []
        for name, audit in self.audits.items():
            rows += [(name, code, quality.SET_ASIDE[code], n, False) for code, n in audit.set_aside.items()]
            rows += [(name, code, quality.KEPT[code], n, True) for code, n in audit.oddities.items() if n]
        return pd.DataFrame(rows, columns=["table", "code", "meaning", "rows", "kept"])

    def set_aside(self) -> ir.Table:
        """Which rows were set aside? Lazily: table, row (counted from 1 below the header), code.

        >>> list(shop.set_aside().columns)
        ['table', 'row', 'code']
        """
        return self._aside.order_by("table", "row")

    def states(self) -> pd.DataFrame:
        """What were the states of orders taken for? One row a status: status, kind, orders, money, by number of orders.

        'sale' and 'open' count as sales, 'unknown' too, until somebody says what it is; 'out' does not; 'given_back'
        was paid back in full where the shop does not say how much.

        >>> list(shop.states().columns)
        ['status', 'kind', 'orders', 'money']
        """
        rows = [(state.status, state.kind, state.orders, state.money) for state in self._record.states]
        return pd.DataFrame(rows, columns=["status", "kind", "orders", "money"])

    def statuses(self, kind: str) -> list[str]:
        """The statuses of orders that were taken for this kind, as the shop writes them."""
        return [state.status for state in self._record.states if state.kind == kind]

    @property
    def not_goods(self) -> Mapping[str, str]:
        """Products that are money only, by id: 'shipping', 'fee', 'gift_card', or as the shop says."""
        return self._record.not_goods

    @property
    def unread_files(self) -> tuple[str, ...]:
        """Tables that lie beside those that were read, under names that are none of ours."""
        return tuple(note.file for note in self._record.notes if note.code == "unread_file")

    @property
    def exports(self) -> Told:
        """What raw exports were taken for, which files were not recognised, and whether the platform's sums hold."""
        return self._record.told

    @property
    def people(self) -> People:
        """How rows of raw exports were told to be of one person."""
        return self._record.people

    def person(self, customer_id: str) -> Mapping[str, str]:
        """Which accounts, addresses and phones does a customer of raw exports stand for, and by which rule each?

        >>> shop.person("C00017")
        {'C00017': 'own id'}
        """
        return self._record.people.why.get(customer_id, {customer_id: "own id"})

    def notes(self) -> pd.DataFrame:
        """What was decided while the files were read, for whoever knows better? One row each: code, file, detail.

        >>> list(shop.notes().columns)
        ['code', 'file', 'detail']
        """
        rows = [(note.code, note.file, note.detail) for note in self._record.notes]
        return pd.DataFrame(rows, columns=["code", "file", "detail"])

    def pseudonym(self, value: object, *, kind: str = "customer") -> str:
        """How may a page speak of one customer, order or unit? The same short name on every page of this shop.

        A keyed hash of the id: CRM_KEY, else the reports folder's own key; in a notebook run by hand without CRM_KEY
        it lasts for the session. Ids themselves belong into `lists`.

        >>> shop.pseudonym("C00017")  # doctest: +SKIP
        'c-3f0e5a7b9d21'
        """
        return pseudonyms.pseudonym(value, key=self._key, kind=kind)

    def lot(self, value: object, *, of: str) -> bool:
        """Is this customer acted on by the lot `of`? True for about four in five, the same on every run and engine.

        Drawn with the key of `pseudonym`, and lasts as long as it does. An id keeps its lot when the list changes.

        >>> shop.lot("C00017", of="reminders") == shop.lot("C00017", of="reminders")
        True
        """
        return pseudonyms.lot(value, key=self._key, of=of)

    def not_as_known(self) -> tuple[str, ...]:
        """What a run of an old day cannot undo, because the data does not say when it came about."""
        if self.as_of >= self.today:
            return ()
        found = []
        if self.has("orders", "refunded") and not self.has("orders", "refunded_at"):
            found.append("refunds: orders.refunded_at is missing")
        if self.has("orders", "status") and not self.has("orders", "cancelled_at"):
            found.append("order status: orders.cancelled_at is missing")
        if self.has("customers", "email_consent") and not self.has("customers", "consent_at"):
            found.append("consent: customers.consent_at is missing")
        if self.has("outcomes") and not self.has("outcomes", "observed_at"):
            found.append("experiment outcomes: outcomes.observed_at is missing")
        return tuple(found)

    def stale(self) -> bool:
        """Is the newest event older than shop.toml's max_age before as_of? Never, where shop.toml names none."""
        if not self.settings.max_age or self.data_through is None:
            return False
        return self.as_of - self.data_through - timedelta(days=1) > _age(self.settings.max_age)

    def written(self, name: str) -> Path:
        """A table's usable rows as a Parquet file, with the columns that the shop has; it lasts as long as the shop."""
        rows, canonical = self.table(name), TABLES[name].names
        columns = [c for c in rows.columns if c in self.audits[name].present or c not in canonical]
        path = self._scratch.path / f"written-{name}.parquet"
        self._engine.write(rows.select(*columns), path)
        return path

    def money_rule(self) -> str:
        """How this shop's money is counted, as a sentence."""
        if self.has("orders", "total"):
            parts = ["Net sales are order totals less refunds, without cancelled orders"]
            inside = [name for name in ("tax", "shipping") if self.has("orders", name)]
            parts.append(f"; {' and '.join(inside)} count as they stand in the totals" if inside else "")
            return "".join(parts) + "."
        if self.has("order_lines", "line_total") or self.has("order_lines", "unit_price"):
            return "Net sales are the sums of order lines less refunds, without cancelled orders, tax or shipping."
        return "This shop has no amounts, so money is not available."

    def passport(self) -> dict[str, Any]:
        """What a page says of the data under it."""
        tables = [
            {"table": name, "file": audit.source.path.name, "sha256": audit.source.sha256, "read": audit.read,
             "encoding": audit.source.encoding, "kept": audit.kept, "set_aside": sum(audit.set_aside.values()),
             "after_as_of": audit.after_as_of}
            for name, audit in self.audits.items()
        ]  # fmt: skip
        # What is no state, such as a name in a column that was mapped by mistake, is rare, and does not go onto a page.
        states = self.states()
        return {
            "name": self.settings.name,
            "segment": self.segment,
            "folder": self.folder,
            "currency": self.currency,
            "timezone": self.settings.timezone,
            "data_through": self.data_through.isoformat() if self.data_through else None,
            "stale": self.stale(),
            "max_age": self.settings.max_age,
            "money": self.money_rule(),
            "not_as_known": list(self.not_as_known()),
            "tables": tables,
            "faults": self.faults().to_dict("records"),
            "states": states[states["kind"].ne("unknown") | states["orders"].ge(5)].head(30).to_dict("records"),
            "states_in_all": len(states),
            "not_goods": len(self.not_goods),
            "notes": self.notes().to_dict("records"),
        }


def connect(shop: str | Path, *, as_of: str | date | None = None, engine: Any = "") -> Shop:
    """Open a shop's folder, or database, as it was known when `as_of` (a day, exclusive) began.

    A database is named as postgresql://user@host/name or mysql://user@host/name; its password comes from the
    environment. A relative folder is looked for here, then below the nearest parent with a pyproject.toml. Without
    `as_of`, shop.toml's counts, else the day after the latest event that is not in the future. `engine` is 'duckdb'
    (where nothing is said), 'spark' or an open Spark session; 'spark:data/demo' says the same in one word. Raises
    DataError for data that cannot be used, UsageError for an as_of that is no day and an engine that is not there.

    >>> shop = crm.connect("data/demo", as_of="2026-09-01")  # doctest: +SKIP
    >>> shop.as_of  # doctest: +SKIP
    datetime.date(2026, 9, 1)
    """
    named, place = engine_and_folder(shop)
    folder = resolve(place)
    settings = read_settings(place if is_address(place) else folder)
    scratch = Scratch("crmlib-")
    # An open session says more than the name of its kind.
    works = open_engine(engine or named or DUCKDB, scratch=scratch.path, folder=folder)
    taken = shared.take_in(works, folder, settings, as_of=_as_of(as_of), scratch=scratch.path)
    record = taken.record
    return Shop(
        folder=str(place),
        settings=record.settings,
        as_of=record.as_of,
        today=record.today,
        data_through=record.data_through,
        audits=MappingProxyType(record.audits),
        _record=record,
        _tables=MappingProxyType(taken.tables),
        _aside=taken.aside,
        _engine=works,
        _scratch=scratch,
        _key=pseudonyms.key(),
    )


def resolve(shop: str | Path) -> Path:
    """A shop's folder: a relative one from here, else below the nearest parent folder that has a pyproject.toml."""
    path = Path(shop).expanduser()
    if path.is_absolute() or is_address(shop):
        return path
    here = Path.cwd()
    if (here / path).is_dir():
        return here / path
    root = next((parent for parent in (here, *here.parents) if (parent / "pyproject.toml").is_file()), here)
    return root / path


def _as_of(value: str | date | None) -> date | None:
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise UsageError(f"as_of must be a day such as 2026-11-21, not '{value}'") from None


def _age(text: str) -> timedelta:
    units = {"m": "minutes", "h": "hours", "d": "days"}
    try:
        return timedelta(**{units[text.strip()[-1]]: float(text.strip()[:-1])})
    except (KeyError, ValueError, IndexError):
        raise DataError(f"shop.toml: max_age must be like 26h or 2d, not '{text}'") from None


def _drawn(key: ir.StringValue, one_in: int) -> ir.BooleanValue:
    """True for one key in `one_in`: those whose hash lies in the first part of all hashes."""
    return (key.cast("string") + "#drawn").hexdigest("md5").left(8) < f"{2**32 // one_in:08x}"
