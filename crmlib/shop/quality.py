"""Faults in a shop's tables by reason code, and counts that reconcile: read = kept + set aside + after as_of.

Expressions only; the engine materialises them. A row that cannot be used is set aside with one code, the first that
applies. A row that is odd but usable is kept, and counted under the codes it deserves.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Set
from datetime import date
from functools import reduce
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from crmlib.shop.tables import Column, Table

MONEY = dt.Decimal(18, 4)  # exact sums, the same on every run

SET_ASIDE: Mapping[str, str] = {
    "broken_quote": "a quotation mark that opens and never closes, or closes within a field",
    "too_long": "a row of more than a million characters",
    "ragged_row": "more or fewer fields than there are column names",
    "missing_value": "a field that must be filled is empty",
    "unreadable_date": "the date cannot be read; write 2026-11-21 or 2026-11-21 14:30",
    "unreadable_number": "a number that must be there cannot be read",
    "impossible_date": "a date before 1970 or after 2100",
    "negative_total": "the order's total is below zero; money given back belongs in the column refunded",
    "unknown_order": "a line whose order is missing or was set aside itself",
    "repeated_key": "the same number stands twice in the export; the first row is kept",
}
_BLANKS = r"[ \x{A0}\x{202F}\x{2009}'’]"  # between groups of three, as in 1 234,50 and 1'234.50
_WORDS, _MOMENT, _PLAINLY = (
    # With a digit, of five letters, or with another letter in front: no word for an empty value is like that.
    r"^([!-~]*[0-9][!-~]*|[!-~][ -~]{3,}[!-~]|[A-MO-Za-mo-z][!-~]*)?$",
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}:[0-9]{2})?)?$",
    r"^(-?[0-9]+([.][0-9]+)?)?$",
)
# How nearly all values are written, or empty: one pattern for what needs no other, which would take most of the time.
_USUAL = {"id": _WORDS, "text": _WORDS, "time": _MOMENT, "date": _MOMENT, "number": _PLAINLY, "money": _PLAINLY}
_NOTHING = r"^(NULL|\\N|NaN|NaT|<NA>|#N/A)?$"
_NOTHING_ELSE = r"^(NULL|\\N|NaN|NaT|<NA>|#N/A|null|None|nan)?$"
KEPT: Mapping[str, str] = {
    "zero_total": "an order whose total is zero",
    "unreadable_value": "a value that may be empty cannot be read; taken as empty",
    "impossible_value": "a rating outside 1 to 5, or a birthday that cannot be; taken as empty",
    "unknown_customer": "an order by a customer who is missing from the customer list",
    "negative_quantity": "a line with a negative number of pieces, as goods taken back are written",
    "zero_quantity_with_money": "a line without pieces that has an amount; counts in sales, not in baskets",
    "refund_above_total": "more was given back than was paid",
    "identical_row": "every value is the same as in another row",
}


@ibis.udf.scalar.builtin(name="timezone", signature=((dt.string, dt.Timestamp(timezone="UTC")), dt.timestamp))
def _local(zone: Any, instant: Any) -> Any:
    """The local moment of an instant."""


@ibis.udf.scalar.builtin(name="chr", signature=((dt.int32,), dt.string))
def _character(code: Any) -> Any:
    """The character of this code."""


def typed(
    raw: ir.Table, table: Table, *, columns: Mapping[str, str], timezone: str, broken: Mapping[str, ir.BooleanValue]
) -> ir.Table:
    """Raw rows, numbered by `_row`, as canonical columns, plus `_reason` (null if usable) and `_unread`.

    `columns` maps canonical name -> the file's, `broken` reason -> the test by which a raw row has it. Canonical
    columns the file lacks are there, empty; its other columns stay under their own names.
    """
    # In steps, so that an engine need not work out a text or a value again for each question that is asked of it.
    mapped = set(columns.values())
    extras = [name for name in raw.columns if name not in mapped and name not in table.names and name[0] != "_"]
    tests: dict[str, ir.Value] = {f"_is_{reason}": test for reason, test in broken.items()}
    given = [column for column in table.columns if column.name in columns]
    usual = {column.name: test for column in given if (test := _usual(raw[columns[column.name]], column)) is not None}
    told = raw.mutate(**{f"_usual_{name}": test for name, test in usual.items()})
    plain, filled = {}, {}
    for column in given:
        source, known = told[columns[column.name]], told[f"_usual_{column.name}"] if column.name in usual else None
        plain[f"_plain_{column.name}"] = _if(known, source, _plain(source, column))
        said = _filled(source, column)
        filled[f"_filled_{column.name}"] = said if known is None else ibis.ifelse(known, source != "", said)
    numbered = ["_row"] if "_row" in raw.columns else []
    rows = told.select(*numbered, *extras, *(f"_usual_{name}" for name in usual), **tests, **filled, **plain)
    tests |= filled
    values = {}
    for column in table.columns:
        if column not in given:
            values[column.name] = ibis.null(_dtype(column))
            continue
        known = rows[f"_usual_{column.name}"] if column.name in usual else None
        values[column.name] = _read(rows[f"_plain_{column.name}"], column, timezone, known=known)
    read = rows.select(*extras, *numbered, **values, **{name: rows[name] for name in tests})
    missing, unread_date, unread_number, unread_other = [], [], [], []
    for column in given:
        filled = read[f"_filled_{column.name}"]
        if column.required:
            missing.append(~filled)
        unread = filled & read[column.name].isnull()
        if not column.required:
            unread_other.append(unread)
        elif column.kind in ("time", "date"):
            unread_date.append(unread)
        else:
            unread_number.append(unread)
    reasons = [
        ("missing_value", _any(missing)),
        ("unreadable_date", _any(unread_date)),
        ("unreadable_number", _any(unread_number)),
    ]
    reasons = [*((code, read[f"_is_{code}"]) for code in broken), *reasons]
    if table.time and table.time in columns:
        at = read[table.time].fill_null(ibis.timestamp("2000-01-01"))
        reasons.append(("impossible_date", (at < ibis.timestamp("1970-01-01")) | (at >= ibis.timestamp("2101-01-01"))))
    if table.name == "orders" and "total" in columns:
        reasons.append(("negative_total", (read["total"] < 0).fill_null(False)))
    reason = ibis.cases(*[(test, code) for code, test in reasons], else_=ibis.null("string"))
    faults = [unread.cast("int64") for unread in unread_other]
    unread = reduce(operator.add, faults) if faults else ibis.literal(0)
    return read.mutate(_reason=reason, _unread=unread).drop(*tests)


def placed(rows: ir.Table, table: Table, *, as_of: date, orders: ir.Table | None, has_key: bool) -> ir.Table:
    """Typed rows with `_late` (at or after as_of) and the reasons that need other rows.

    `orders` are `known_orders`, for tables that follow them; without them every line counts as of a usable order.
    """
    cut = _moment(as_of)
    late = (rows[table.time] >= cut).fill_null(False) if table.time else ibis.literal(False)
    if table.follows_order and orders is not None:
        known = orders.select(_order="order_id", _order_late="_late")
        rows = rows.left_join(known, rows["order_id"] == known["_order"])
        late = rows["_order_late"].fill_null(False)
        unknown = rows["_reason"].isnull() & rows["_order"].isnull()
        rows = rows.mutate(_reason=ibis.ifelse(unknown, "unknown_order", rows["_reason"]), _late=late)
        rows = rows.drop("_order", "_order_late")
    else:
        rows = rows.mutate(_late=late)
    # A row of the future must not push out the row that was there first.
    rows = rows.mutate(_late=rows["_late"] & rows["_reason"].isnull())
    if not has_key:
        return rows
    comparable = (
        rows["_reason"].isnull() & ~rows["_late"] & reduce(operator.and_, [rows[k].notnull() for k in table.key])
    )
    # Keys that repeat are few: numbering the rows of every key would cost more than all the rest.
    keys = (
        rows.filter(comparable).group_by(table.key).aggregate(_n=lambda t: t.count(), _first=lambda t: t["_row"].min())
    )
    twice = keys.filter(keys["_n"] > 1).select(**{f"_key_{k}": keys[k] for k in table.key}, _first=keys["_first"])
    rows = rows.mutate(_comparable=comparable)
    rows = rows.left_join(twice, [rows[k] == twice[f"_key_{k}"] for k in table.key])
    repeated = rows["_comparable"] & (rows["_row"] > rows["_first"]).fill_null(False)
    rows = rows.mutate(_reason=ibis.ifelse(repeated, "repeated_key", rows["_reason"]))
    return rows.drop("_comparable", "_first", *(f"_key_{k}" for k in table.key))


def exceptions(rows: ir.Table) -> ir.Table:
    """The placed rows that do not count, few as a rule: `_row`, `_reason`, `_late`; order_id and total where they have one."""
    out = rows.filter(rows["_reason"].notnull() | rows["_late"])
    return out.select("_row", "_reason", "_late", *(name for name in ("order_id", "total") if name in rows.columns))


def known_orders(kept: ir.Table, out: ir.Table) -> ir.Table:
    """Usable orders, of which the late ones are yet to come: order_id, `_late`. From kept orders and their exceptions."""
    late = out.filter(out["_reason"].isnull()).select("order_id").distinct().anti_join(kept, "order_id")
    return kept.select("order_id", _late=ibis.literal(False)).union(late.mutate(_late=ibis.literal(True)))


def usable(rows: ir.Table, table: Table, *, as_of: date, out: ir.Table) -> ir.Table:
    """Typed rows that count, as they were known at as_of: exceptions left out, later states undone, impossible values emptied."""
    kept = rows.anti_join(out, "_row")
    cut = _moment(as_of)
    changes: dict[str, ir.Value] = {}
    for state in table.states:
        later = (kept[state.at] >= cut).fill_null(False)
        for name in (state.at, *state.columns):
            changes[name] = ibis.ifelse(later, ibis.null(kept[name].type()), kept[name])
    if table.name == "orders":
        # A status that says cancelled is only as old as the cancellation it speaks of.
        undone = (kept["cancelled_at"] >= cut).fill_null(False)
        changes["status"] = ibis.ifelse(undone, ibis.null("string"), kept["status"])
    impossible = _impossible(kept, table, as_of)
    for name, test in impossible.items():
        changes[name] = ibis.ifelse(test, ibis.null(kept[name].type()), changes.get(name, kept[name]))
    count = reduce(operator.add, [test.cast("int64") for test in impossible.values()], ibis.literal(0))
    return kept.mutate(_impossible=count).mutate(**changes)


def counts(out: ir.Table) -> ir.Table:
    """Exceptions by outcome: `reason` ('after_as_of' where nothing else is wrong), `rows`, `money` (orders' readable totals)."""
    outcome = out["_reason"].fill_null("after_as_of")
    money = out["total"].sum().fill_null(0).cast("float64") if "total" in out.columns else ibis.literal(0.0)
    return out.group_by(reason=outcome).aggregate(rows=out.count(), money=money).order_by("reason")


def oddities(kept: ir.Table, table: Table, *, customers: ir.Table | None, has_key: bool, present: Set[str]) -> ir.Table:
    """One row: how many kept rows deserve each code of KEPT. `present` are the canonical columns the file has."""
    sums: dict[str, ir.Value] = {
        "unreadable_value": (kept["_unread"] > 0).sum(),
        "impossible_value": (kept["_impossible"] > 0).sum(),
    }
    if table.name == "orders":
        sums["zero_total"] = (kept["total"] == 0).sum()
        sums["refund_above_total"] = (kept["refunded"] > kept["total"]).sum()
        if customers is not None:
            known = customers.select("customer_id").distinct()
            sums["unknown_customer"] = (
                kept.anti_join(known, "customer_id").filter(lambda t: t.customer_id.notnull()).count()
            )
    if table.name == "order_lines":
        sums["negative_quantity"] = (kept["quantity"] < 0).sum()
        sums["zero_quantity_with_money"] = ((kept["quantity"] == 0) & (kept["line_total"].fill_null(0) != 0)).sum()
    if not has_key:
        # What the file does not have is empty in every row.
        lacking = {column.name for column in table.columns} - present
        values = [name for name in kept.columns if not name.startswith("_") and name not in lacking]
        repeats = kept.group_by(values).aggregate(_n=kept.count())
        sums["identical_row"] = repeats.aggregate(n=(repeats["_n"] - 1).sum().fill_null(0)).as_scalar()
    own = {
        name: value.fill_null(0) for name, value in sums.items() if name not in ("unknown_customer", "identical_row")
    }
    frame = kept.aggregate(**own)
    for name in ("unknown_customer", "identical_row"):
        if name in sums:
            frame = frame.mutate(**{name: sums[name]})
    return frame


def _impossible(kept: ir.Table, table: Table, as_of: date) -> dict[str, ir.BooleanValue]:
    if table.name == "feedback":
        return {"rating": (~kept["rating"].between(1, 5)).fill_null(False)}
    if table.name == "customers":
        born = kept["birth_date"]
        return {"birth_date": ((born < ibis.date("1900-01-01")) | (born >= ibis.literal(as_of))).fill_null(False)}
    return {}


def _moment(day: date) -> ir.TimestampScalar:
    return ibis.timestamp(day.isoformat())


def _any(tests: list[ir.BooleanValue]) -> ir.BooleanValue:
    return reduce(operator.or_, tests) if tests else ibis.literal(False)


def _dtype(column: Column) -> dt.DataType:
    kinds = {"id": dt.string, "text": dt.string, "time": dt.timestamp, "date": dt.date, "flag": dt.boolean}
    return kinds.get(column.kind, MONEY)


def _usual(source: ir.Value, column: Column) -> ir.BooleanValue | None:
    """Is a text written as nearly all are? None where it is no text, or its kind has no such way."""
    pattern = _USUAL.get(column.kind)
    return source.re_search(pattern).fill_null(False) if pattern and isinstance(source, ir.StringValue) else None


def _if(known: ir.BooleanValue | None, usual: ir.Value, else_: ir.Value) -> ir.Value:
    """The second only where the first does not do: an engine works out no branch for rows that do not take it."""
    return else_ if known is None else ibis.ifelse(known, usual, else_)


def _filled(source: ir.Value, column: Column) -> ir.BooleanValue:
    if isinstance(source, ir.StringValue):
        return _said(source.strip(), column).fill_null(False)
    if isinstance(source, ir.FloatingValue):
        return source.notnull() & ~source.isnan()
    return source.notnull()


def _said(text: ir.StringValue, column: Column) -> ir.BooleanValue:
    """Does a text say more than databases and libraries write for an empty value?"""
    # In a text, 'None' and 'null' may be words that people say. A pattern plans faster than a list.
    return ~text.re_search(_NOTHING if column.kind == "text" else _NOTHING_ELSE)


def _plain(source: ir.Value, column: Column) -> ir.Value:
    """What is to be read: texts without what surrounds them, other values as they are where their kind fits."""
    if column.kind in ("id", "text"):
        if isinstance(source, ir.FloatingValue) and column.kind == "id":
            # Whole numbers beside empty ones become floats in many tools: 17.0 is the customer 17.
            whole = (source == source.floor()) & (source.abs() < 2**53)
            source = ibis.ifelse(whole, source.try_cast("int64").cast("string"), source.cast("string"))
        # The character 0 says nothing, and would end the engine's own commands early where a name is part of one.
        return source.cast("string").replace(_character(0), "").strip()
    if column.kind in ("time", "date"):
        return source if isinstance(source, ir.TimestampValue | ir.DateValue) else source.cast("string").strip()
    if column.kind == "flag":
        return source if isinstance(source, ir.BooleanValue) else source.cast("string").strip().lower()
    return source.strip() if isinstance(source, ir.StringValue) else source


def _read(source: ir.Value, column: Column, timezone: str, *, known: ir.BooleanValue | None) -> ir.Value:
    """One column, made plain, in its canonical type; null where it cannot be read. `known`: written as nearly all are."""
    if column.kind in ("id", "text"):
        slowly = ibis.ifelse(_said(source, column), source, ibis.null("string"))
        return slowly if known is None else ibis.ifelse(known, source.nullif(""), slowly)
    if column.kind in ("time", "date"):
        moment = _if(known, source.try_cast(dt.timestamp), _time(source, timezone))
        return moment.cast("date") if column.kind == "date" else moment
    if column.kind == "flag":
        return _flag(source)
    return _if(known, source.try_cast(MONEY), _number(source))


def _time(source: ir.Value, timezone: str) -> ir.Value:
    if isinstance(source, ir.TimestampValue):
        return _local(timezone, source) if source.type().timezone else source.cast(dt.timestamp)
    if isinstance(source, ir.DateValue):
        return source.cast(dt.timestamp)
    text = source
    # A date is written year first here; engines would also take other orders, and each some other things of its own.
    date, clock = r"^\d{4}-\d{2}-\d{2}", r"[T ]\d{1,2}:\d{1,2}(:\d{1,2}(\.\d*)?)?"
    offset = r"\s*(Z|UTC|[+-](0\d|1[0-4])(:?[0-5]\d)?)$"
    text = text.re_replace("  +", " ")
    # Engines write the groups of a pattern in different ways, so none is named in what replaces it.
    zone = text.re_extract(r"[+-]\d{2}(:?\d{2})?$", 0).replace(":", "")
    spelt = text.re_replace(offset, "") + ibis.cases(
        (zone == "", "+00:00"), (zone.length() == 3, zone + ":00"), else_=zone.left(3) + ":" + zone.right(2)
    )  # fmt: skip
    instant = ibis.ifelse(text.re_search(date + clock + offset), spelt, ibis.null("string"))
    local = ibis.ifelse(text.re_search(f"{date}({clock})?$"), text, ibis.null("string")).try_cast(dt.timestamp)
    return ibis.coalesce(local, _local(timezone, instant.try_cast(dt.Timestamp(timezone="UTC"))))


def _number(source: ir.Value) -> ir.Value:
    if isinstance(source, ir.BooleanValue) or not isinstance(source, ir.NumericValue | ir.StringValue):
        return ibis.null(MONEY)
    if isinstance(source, ir.NumericValue):
        return source.try_cast(MONEY)
    text = source
    plain = text.re_search(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
    comma = text.re_search(r"^[+-]?\d{1,3}(\.\d{3})*,\d{1,2}$|^[+-]?\d+,\d{1,2}$|^[+-]?0,\d+$")
    grouped = text.re_search(r"^[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?$")
    spaced = text.re_search(rf"^[+-]?[1-9]\d{{0,2}}({_BLANKS}\d{{3}})+([.,]\d+)?$")
    number = ibis.cases(
        (plain, text),
        (comma, text.replace(".", "").replace(",", ".")),
        (grouped, text.replace(",", "")),
        (spaced, text.re_replace(_BLANKS, "").replace(",", ".")),
        else_=ibis.null("string"),
    )
    return number.try_cast(MONEY)


def _flag(source: ir.Value) -> ir.Value:
    if isinstance(source, ir.BooleanValue):
        return source
    text = source
    return ibis.cases(
        (text.isin(["true", "t", "yes", "y", "1"]), True), (text.isin(["false", "f", "no", "n", "0"]), False),
        else_=ibis.null("boolean"),
    )  # fmt: skip
