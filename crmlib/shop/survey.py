"""In which manner does each column write its dates, amounts and ids? Decided from all of its rows, or asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import ibis
import ibis.expr.types as ir
import pandas as pd

from crmlib.errors import DataError
from crmlib.shop import cells
from crmlib.shop.cells import Manner
from crmlib.shop.engines import Engine
from crmlib.shop.intake.files import Source
from crmlib.shop.intake.settings import Settings
from crmlib.shop.tables import Column

_MANY_TO_ONE = 20  # rows that say one thing for each that says the other, before the others count as slips
_FEW = 5  # rows that must say a word for it to be shown
_ORDERS = {"month-first": "month_first", "day-first": "day_first"}


@dataclass(frozen=True)
class Waiting:
    """A table after its first reading: `rows` with `_waits`, the texts left to read, in the order of `columns`.

    `number` rows are no blank ones; `extras` are the columns that are none of ours.
    """

    source: Source
    rows: ir.Table
    columns: tuple[Column, ...]
    extras: tuple[str, ...]
    number: int
    waiting: int

    def text(self, column: Column, rows: ir.Table) -> ir.StringValue:
        return cells.parted(rows["_waits"], self.columns.index(column), column)


@dataclass(frozen=True)
class Evidence:
    """How many waiting texts of a column tell what.

    `values` were read at once, and `parts` of these are no whole numbers.
    """

    table: Waiting
    column: Column
    counts: Mapping[str, int]
    values: int
    parts: int

    def __getitem__(self, name: str) -> int:
        return self.counts.get(name, 0)


def decide(works: Engine, tables: Iterable[Waiting], settings: Settings) -> Mapping[tuple[str, str], Manner]:
    """The manner of every column that has texts left to read, by table and column.

    What a column alone cannot tell, the others of its table tell, then those of the shop, then shop.toml. Raises
    DataError with three values, and the line to write, where none does; and for ids that a spreadsheet has rounded.
    """
    found = [evidence for table in tables for evidence in _evidence(works, table)]
    orders = {id(e): _order(e) for e in found if e.column.kind in ("time", "date")}
    decimals = {id(e): _decimals(e) for e in found if e.column.kind in ("money", "number")}
    manners = {}
    for evidence in found:
        kind = evidence.column.kind
        manner = Manner()
        if kind == "id":
            _refuse_rounded(works, evidence)
            manner = replace(manner, whole=evidence["whole"] > 0 and evidence["parts"] == 0)
        elif kind in ("time", "date"):
            order = orders[id(evidence)] or _neighbours(evidence, orders, found) or _ORDERS.get(settings.dates, "")
            manner = _dates(works, evidence, order, settings)
        elif kind in ("money", "number"):
            sign = decimals[id(evidence)] or _neighbours(evidence, decimals, found) or settings.decimals
            manner = replace(manner, decimals=_settled(works, evidence, sign))
        elif kind == "flag":
            manner = replace(manner, unclear=_unclear(works, evidence))
        manners[evidence.table.source.table, evidence.column.name] = manner
    return manners


def _evidence(works: Engine, table: Waiting) -> list[Evidence]:
    if not table.waiting:
        return []
    waits = table.rows.filter(table.rows["_waits"].notnull())
    texts = waits.select(**{f"_{c.name}": table.text(c, waits) for c in table.columns})
    filled = works.frame(texts.aggregate(**{name: (texts[name] != "").sum().fill_null(0) for name in texts.columns}))
    told = [column for column in table.columns if int(filled[f"_{column.name}"].iloc[0])]
    if not told:
        return []
    sums = {}
    for column in told:
        text = texts[f"_{column.name}"]
        for name, test in cells.evidence(text, column).items():
            sums[f"{column.name} {name}"] = ((text != "") & test.fill_null(False)).sum().fill_null(0)
    counts = works.frame(texts.aggregate(_n=texts.count(), **sums)).iloc[0]
    values = {column.name: table.rows[column.name].notnull().sum() for column in told}
    parts = {
        f"{column.name} parts": (table.rows[column.name] % 1 != 0).sum().fill_null(0)
        for column in told
        if column.kind in ("money", "number")
    }
    known = works.frame(table.rows.aggregate(**values, **parts)).iloc[0]
    found = []
    for column in told:
        own = {key.partition(" ")[2]: int(n) for key, n in counts.items() if key.startswith(f"{column.name} ")}
        found.append(Evidence(table, column, own, int(known[column.name]), int(known.get(f"{column.name} parts", 0))))
    return found


def _order(found: Evidence) -> str:
    """The order of day and month where the rows tell, the few that tell otherwise being slips."""
    day, month = found["day_first"], found["month_first"]
    if day > month * _MANY_TO_ONE:
        return "day_first"
    return "month_first" if month > day * _MANY_TO_ONE else ""


def _decimals(found: Evidence) -> str:
    point, comma = found["point"] + found["spaced_point"] + found.parts, found["comma"] + found["spaced_comma"]
    if point and comma:
        return "both"
    return "point" if point else "comma" if comma else ""


def _neighbours(found: Evidence, told: Mapping[int, str], all_found: list[Evidence]) -> str:
    """What the other columns of the table say, else those of the shop, where they say one thing."""
    others = [(e.table is found.table, told[id(e)]) for e in all_found if told.get(id(e), "") not in ("", "both")]
    for among in ([word for near, word in others if near], [word for _, word in others]):
        if among:
            return among[0] if len(set(among)) == 1 else ""
    return ""


def _dates(works: Engine, found: Evidence, order: str, settings: Settings) -> Manner:
    counted = next((kind for kind in cells.COUNTED if found[kind] and found[kind] == found["said"]), "")
    if counted and not found.values:
        return Manner(counted=counted)
    shapes = tuple(shape for shape in cells.SHAPES if found[shape])
    last = found["year_last"]
    # Where both orders are told by many, only shop.toml knows.
    torn = min(found["day_first"], found["month_first"]) > 0 and not _order(found)
    if last and (not order or torn) and settings.dates not in _ORDERS:
        shown = _shown(works, found, ("year_last",))
        either = "some have the day first, some the month" if torn else "day and month cannot be told apart"
        raise DataError(
            f'{_place(found)} writes dates such as {shown}, where {either}: write dates = "month-first" or '
            'dates = "day-first" in shop.toml, or export dates as 2026-11-21'
        )
    if torn:
        order = _ORDERS[settings.dates]
    return Manner(shapes=shapes, order=order, halves=found["halves"] > 0, zoned=found["zoned"] > 0)


def _settled(works: Engine, found: Evidence, sign: str) -> str:
    """What 1.234 means in a column; a number with a point is taken at its word."""
    if sign == "both":
        return ""
    unclear = ("either_comma",) if found.column.kind == "number" else ("either_point", "either_comma")
    if not sign and any(found[name] for name in unclear):
        raise DataError(
            f"{_place(found)} writes {_shown(works, found, unclear)}, which may be thousands or three decimals: write "
            'decimals = "point" or decimals = "comma" in shop.toml'
        )
    return sign or "point"


def _unclear(works: Engine, found: Evidence) -> tuple[str, ...]:
    """What a column of yes and no says that is neither, the most frequent first; what few rows say may be a name."""
    rows = found.table.rows.filter(found.table.rows["_waits"].notnull())
    text = found.table.text(found.column, rows)
    told = rows.select(text=text).filter(
        (text != "") & cells.says(text, found.column) & cells.second(text, found.column, Manner(), "UTC").isnull()
    )
    each = told.group_by("text").aggregate(n=told.count()).filter(lambda t: t["n"] >= _FEW)
    said = works.frame(each.order_by(each["n"].desc(), "text").limit(3))
    return tuple(f"'{row.text.strip()[:40]}' in {row.n:,} rows" for row in said.itertuples(index=False))


def _refuse_rounded(works: Engine, found: Evidence) -> None:
    total = found.values + sum(found[name] for name in ("rounded", "long", "whole"))
    # By chance one number of seventeen digits in a hundred ends with two zeros.
    cut = (
        found["cut_off"]
        if found["cut_off"] == found["long"] and found["cut_off"] > (1 if found["longer"] else 5)
        else 0
    )
    if not found["rounded"] * 10 > total and not cut:
        return
    shown = _shown(works, found, ("rounded",) if found["rounded"] else ("cut_off",))
    table, name = found.table.source.table, found.column.name
    other = _serving(works, found)
    instead = (
        f"read it from '{other}' instead: write {name} = \"{other}\" under [columns.{table}] in shop.toml, or "
        if other
        else ""
    )
    raise DataError(
        f"{_place(found)} holds numbers that a spreadsheet has rounded ({shown}), so that several are now the same: "
        f"{instead}export the file again and do not open it in a spreadsheet"
    )


def _serving(works: Engine, found: Evidence) -> str:
    """A column of the file that is filled in every row, and names more rows apart than any other."""
    rows = found.table.rows
    texts = [name for name in found.table.extras if isinstance(rows[name], ir.StringValue)][:100]
    if not texts:
        return ""
    filled = {f"n{i}": (rows[name] != "").sum() for i, name in enumerate(texts)}
    apart = {f"d{i}": rows[name].nunique() for i, name in enumerate(texts)}
    facts = works.frame(rows.aggregate(_all=rows.count(), **filled, **apart)).iloc[0]
    serving = [
        (int(facts[f"d{i}"]), -i, name) for i, name in enumerate(texts)
        if facts[f"n{i}"] == facts["_all"] and facts[f"d{i}"] * 2 > facts["_all"]
    ]  # fmt: skip
    return max(serving)[2] if serving else ""


def _shown(works: Engine, found: Evidence, tells: tuple[str, ...]) -> str:
    """Three of the texts that tell so."""
    rows = found.table.rows.filter(found.table.rows["_waits"].notnull())
    text = found.table.text(found.column, rows)
    tests = cells.evidence(text, found.column)
    hit = rows.filter(ibis.or_(*(tests[name] for name in tells))).select(text=text).distinct()
    return ", ".join(f"'{value.strip()[:40]}'" for value in works.frame(hit.order_by("text").limit(3))["text"])


def _place(found: Evidence) -> str:
    """The file, and the column as the file names it."""
    return f"{found.table.source.path.name}: {found.column.name}"


def unreadable(works: Engine, table: Waiting, rows: ir.Table) -> None:
    """Raises DataError for a column of amounts of which nothing can be read, naming three of its values.

    `rows` are those of the second reading, with `_reason`.
    """
    columns = [column for column in table.columns if column.kind == "money"]
    waits = rows.filter(rows["_waits"].notnull() & rows["_reason"].isnull())
    if not columns:
        return
    said = {c.name: ((t := table.text(c, waits)) != "") & cells.says(t, c) & t.re_search(r"\w\w") for c in columns}
    unread = {name: (test & waits[name].isnull()).sum().fill_null(0) for name, test in said.items()}
    found = works.frame(waits.aggregate(**unread)).iloc[0]
    for column in columns:
        if int(found[column.name]) < 3:
            continue
        n = works.frame(rows.aggregate(n=rows[column.name].notnull().sum()))["n"].iloc[0]
        if not pd.isna(n) and int(n):
            continue
        shown = (
            waits.filter(said[column.name]).select(text=table.text(column, waits)).distinct().order_by("text").limit(3)
        )
        values = ", ".join(f"'{value.strip()[:40]}'" for value in works.frame(shown)["text"])
        raise DataError(
            f"{table.source.path.name}: not one amount in {column.name} can be read, for example {values}: "
            "write amounts as 1234.50, or map another column in shop.toml"
        )
