"""Faults in a shop's tables by reason code, and counts that reconcile: read = kept + set aside + after as_of.

Expressions only; the engine materialises them. A row that cannot be used is set aside with one code, the first that
applies. A row that is odd but usable is kept, and counted under the codes it deserves.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date
from functools import reduce
from itertools import pairwise

import ibis
import ibis.expr.types as ir

from crmlib.shop import cells
from crmlib.shop.cells import MONEY, Manner
from crmlib.shop.engines import BLANK
from crmlib.shop.tables import Column, Table

__all__ = ["KEPT", "MONEY", "SET_ASIDE"]

SET_ASIDE: Mapping[str, str] = {
    "broken_quote": "a quotation mark that opens and never closes, or closes within a field",
    "too_long": "a row of more than a million characters",
    "ragged_row": "more or fewer fields than there are column names",
    "missing_value": "a required field is empty",
    "unreadable_date": "the date can't be read; write 2026-11-21 or 2026-11-21 14:30",
    "number_for_date": "a spreadsheet's number in place of a date; format the column as dates",
    "unreadable_number": "a required number can't be read",
    "impossible_date": "a date before 1970 or after 2100",
    "epoch_date": "no real date, such as 1 January 1970",
    "rounded_id": "numbers rounded by a spreadsheet, now alike",
    "negative_total": "a total below zero although tax or goods are not",
    "unordered_prices": "the four prices of a survey do not rise",
    "unknown_order": "a line whose order is missing or can't be used",
    "repeated_key": "repeated number; first row kept",
    "erased": "the customer asked to be erased",
}
KEPT: Mapping[str, str] = {
    "zero_total": "an order whose total is zero",
    "unreadable_value": "an optional value can't be read; taken as empty",
    "impossible_value": "a rating outside 1 to 5, or a birthday or date that cannot be; taken as empty",
    "unknown_customer": "an order by a customer who is missing from the customer list",
    "negative_quantity": "a line with a negative number of pieces, as goods taken back are written",
    "zero_quantity_with_money": "a line without pieces that has an amount; counts in sales, not in baskets",
    "refund_above_total": "more was given back than was paid",
    "credit_note": "an order below zero: it reduces sales on its own day, and is no order",
    "refund_row": "a row that gives money back for another order, and reduces that one",
    "refund_before_order": "money given back before the order",
    "cancelled_before_order": "cancelled before it was ordered",
    "cancelled_with_money": "cancelled, with money that was not given back; not in sales",
    "minutes_are_months": "the minutes of the time are those of its month: the export writes times wrongly",
    "one_customer": "an order of one customer who has more than any person has: a till, a guest account or a dealer?",
    "unknown_product": "a line whose product is missing from the product list",
    "lost_zeros": "a number shorter than others that begin with zeros: were its own lost in a spreadsheet?",
    "identical_row": "every value is the same as in another row",
}


def first_reading(
    raw: ir.Table, table: Table, *, columns: Mapping[str, str], timezone: str, broken: Mapping[str, ir.BooleanValue]
) -> ir.Table:
    """Raw rows, numbered by `_row` where the engine does so, as canonical columns, with `_waits`, `_broken`, `_blank`.

    `columns` maps canonical name -> the file's, `broken` reason -> the test by which a raw row has it. Canonical
    columns the file lacks are there, empty; its other columns stay under their own names. `_waits` holds the texts of
    a row that the second reading shall see, in the order of `columns`; null where there are none.
    """
    # In steps, so that an engine need not work out a text or a value again for each question that is asked of it.
    given = [column for column in table.columns if column.name in columns]
    names = _extras(raw, table, columns)
    usual = {c.name: test for c in given if (test := cells.usual(raw[columns[c.name]], c)) is not None}
    told = raw.mutate(**{f"_usual_{name}": test for name, test in usual.items()})
    values, sources = {}, {}
    for column in table.columns:
        if column not in given:
            values[column.name] = ibis.null(cells.dtype(column))
            continue
        source = told[columns[column.name]]
        known = told[f"_usual_{column.name}"] if column.name in usual else None
        sources[f"_source_{column.name}"] = source
        values[column.name] = cells.first(source, column, known, timezone)
    reason = ibis.cases(*((test, code) for code, test in broken.items()), else_=ibis.null("string")) if broken else None
    read = told.select(
        **{name: told[theirs] for name, theirs in names.items()},
        **{name: told[name] for name in ("_row", "_mark") if name in raw.columns},
        **values,
        **sources,
        _broken=ibis.null("string") if reason is None else reason,
    )
    texts = []
    for column in given:
        source = read[f"_source_{column.name}"]
        texts.append((source, cells.waits(source, column, read[column.name])))
    blank = (read["_broken"] == BLANK).fill_null(False) if BLANK in broken else ibis.literal(False)
    return read.mutate(_waits=cells.joined(texts), _blank=blank).drop(*sources)


def second_reading(
    rows: ir.Table, table: Table, *, columns: Mapping[str, str], manners: Mapping[str, Manner], timezone: str
) -> ir.Table:
    """Rows of the first reading with the texts that waited read in the `manners` of their columns.

    Plus `_reason` (null if usable), `_unread` (how many values that may be empty cannot be read).
    """
    given = [column for column in table.columns if column.name in columns]
    late = {
        column.name: _Late(column, place, manners[column.name])
        for place, column in enumerate(given)
        if column.name in manners
    }
    # A step of its own, so that the texts of a row are taken apart once.
    texts = {f"_text_{name}": cells.parted(rows["_waits"], waits.place, waits.column) for name, waits in late.items()}
    told = rows.mutate(**texts) if late else rows
    values, unread = {}, {}
    for name, waits in late.items():
        text, column = told[f"_text_{name}"], waits.column
        there = text != ""
        found = cells.second(text, column, waits.manner, timezone)
        values[name] = ibis.ifelse(there, found, told[name])
        unread[f"_said_{name}"] = ibis.ifelse(there, cells.says(text, column), False)
        if column.kind == "id":
            unread[f"_rounded_{name}"] = ibis.ifelse(there, text.re_search(cells.ROUNDED), False)
        if column.kind in ("time", "date") and column.required:
            unread[f"_counted_{name}"] = ibis.ifelse(there, text.re_search(cells.COUNTED["serial"]), False)
    read = told.mutate(**values, **unread).drop(*texts) if late else rows
    time = next((column for column in given if column.name == table.time), None)
    if time is not None and not time.required:
        undated = _before_time(read[time.name]) | _beyond_time(read[time.name])
        read = read.mutate(_undated=undated)
        read = read.mutate(**{time.name: ibis.ifelse(read["_undated"], ibis.null("timestamp"), read[time.name])})
    faults = _faults(read, given, late)
    if time is not None and time.required:
        at = read[time.name]
        faults.reasons += [("epoch_date", _before_time(at)), ("impossible_date", _beyond_time(at))]
    if table.name == "orders" and {"total", "tax"} <= columns.keys():
        faults.reasons.append(("negative_total", ((read["total"] < 0) & (read["tax"] > 0)).fill_null(False)))
    if table.name == "price_survey":
        asked = [read[column.name] for column in given if column.kind == "money"]
        rising = reduce(operator.and_, [low < high for low, high in pairwise(asked)], asked[0] >= 0)
        faults.reasons.append(("unordered_prices", ~rising.fill_null(True)))
    reason = ibis.cases(*((test, code) for code, test in faults.reasons), else_=ibis.null("string"))
    count = reduce(operator.add, [test.cast("int64") for test in faults.unread], ibis.literal(0))
    return read.mutate(_reason=read["_broken"].fill_null(reason), _unread=count).drop("_broken", *unread)


@dataclass(frozen=True)
class _Late:
    """A column with texts that waited, and its place among them."""

    column: Column
    place: int
    manner: Manner


@dataclass
class _Faults:
    reasons: list[tuple[str, ir.BooleanValue]] = field(default_factory=list)
    unread: list[ir.BooleanValue] = field(default_factory=list)


def _faults(read: ir.Table, given: list[Column], late: Mapping[str, _Late]) -> _Faults:
    """By which tests does a row have which reason, the first that applies, and what else of it cannot be read?"""
    missing, dates, numbers, counted, rounded = [], [], [], [], []
    found = _Faults()
    for column in given:
        empty = read[column.name].isnull()
        said = read[f"_said_{column.name}"] if column.name in late else ibis.literal(False)
        if column.name in late and column.kind == "id":
            rounded.append(read[f"_rounded_{column.name}"])
        if not column.required:
            found.unread.append(said & empty)
            continue
        missing.append(empty & ~said)
        if column.kind in ("time", "date"):
            dates.append(empty & said)
            counted += [empty & read[f"_counted_{column.name}"]] if column.name in late else []
        else:
            numbers.append(empty & said)
    found.reasons += [
        ("missing_value", _any(missing)),
        ("rounded_id", _any(rounded)),
        ("number_for_date", _any(counted)),
        ("unreadable_date", _any(dates)),
        ("unreadable_number", _any(numbers)),
    ]
    return found


def _before_time(at: ir.TimestampValue) -> ir.BooleanValue:
    """Is it the first second of 1970, which some zones have a few hours before or after it?"""
    return at.between(ibis.timestamp("1969-12-31 10:00"), ibis.timestamp("1970-01-01 14:00")).fill_null(False)


def _beyond_time(at: ir.TimestampValue) -> ir.BooleanValue:
    return ((at < ibis.timestamp("1970-01-01")) | (at >= ibis.timestamp("2101-01-01"))).fill_null(False)


def contradicted(rows: ir.Table, lines: ir.Table) -> ir.Table:
    """Orders below zero whose goods are not are none: `_reason` negative_total. `lines` are typed order lines."""
    lines = lines.filter(lines["_reason"].isnull())
    money = lines["line_total"].fill_null(lines["unit_price"] * lines["quantity"])
    sums = lines.group_by(_order=lines["order_id"]).aggregate(_goods=money.sum())
    rows = rows.left_join(sums, rows["order_id"] == sums["_order"])
    wrong = rows["_reason"].isnull() & ((rows["total"] < 0) & (rows["_goods"] > 0)).fill_null(False)
    return rows.mutate(_reason=ibis.ifelse(wrong, "negative_total", rows["_reason"])).drop("_order", "_goods")


def _extras(raw: ir.Table, table: Table, columns: Mapping[str, str]) -> dict[str, str]:
    """The file's other columns, by the names they have here: one that is called as ours reads 'column Total'."""
    mapped = set(columns.values())
    ours = {name.casefold() for name in table.names}
    names: dict[str, str] = {}
    for theirs in raw.columns:
        if theirs in mapped or theirs[0] == "_":
            continue
        name = f"column {theirs}" if theirs.casefold() in ours else theirs
        if name.casefold() not in {taken.casefold() for taken in names}:
            names[name] = theirs
    return names


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
    rows = rows.filter(~rows["_blank"])
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
    """The placed rows that do not count, few as a rule: `_row`, `_reason`, `_late`, and an order's id and total."""
    out = rows.filter(rows["_reason"].notnull() | rows["_late"])
    return out.select("_row", "_reason", "_late", *(name for name in ("order_id", "total") if name in rows.columns))


def known_orders(kept: ir.Table, out: ir.Table) -> ir.Table:
    """Usable orders, of which the late ones are yet to come: order_id, `_late`. From kept orders and exceptions."""
    late = out.filter(out["_reason"].isnull()).select("order_id").distinct().anti_join(kept, "order_id")
    return kept.select("order_id", _late=ibis.literal(False)).union(late.mutate(_late=ibis.literal(True)))


def usable(rows: ir.Table, table: Table, *, as_of: date, out: ir.Table, no_birthdays: Sequence[date] = ()) -> ir.Table:
    """Typed rows that count, as they were known at as_of.

    Exceptions are left out, later states undone, impossible values emptied, and birthdays that are none.
    """
    kept = rows.filter(~rows["_blank"]).anti_join(out, "_row").drop("_blank", "_waits", "_reason")
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
    impossible = _impossible(kept, table, as_of, no_birthdays)
    for name, test in impossible.items():
        changes[name] = ibis.ifelse(test, ibis.null(kept[name].type()), changes.get(name, kept[name]))
    tests = [*impossible.values(), *([kept["_undated"]] if "_undated" in kept.columns else [])]
    count = reduce(operator.add, [test.cast("int64") for test in tests], ibis.literal(0))
    return kept.mutate(_impossible=count).mutate(**changes)


def counts(out: ir.Table) -> ir.Table:
    """Exceptions by outcome: `reason` ('after_as_of' where nothing else is wrong), `rows`, `money`.

    Money is the sum of totals above zero: what was given back for one order does not make another's loss smaller.
    """
    outcome = out["_reason"].fill_null("after_as_of")
    money = ibis.literal(0.0)
    if "total" in out.columns:
        money = ibis.greatest(out["total"], 0).sum().fill_null(0).cast("float64")
    return out.group_by(reason=outcome).aggregate(rows=out.count(), money=money).order_by("reason")


@dataclass(frozen=True)
class Context:
    """What else is known when a table's oddities are counted.

    `present` are the canonical columns the file has, `customers` and `products` the rows of those tables (None without
    them), `sales` the states of orders that are sales.
    """

    has_key: bool
    present: Set[str]
    customers: ir.Table | None = None
    products: ir.Table | None = None
    sales: Sequence[str] = ()


def oddities(kept: ir.Table, table: Table, context: Context) -> ir.Table:
    """One row: how many kept rows deserve each code of KEPT, before `settled` has judged those that need a share."""
    sums: dict[str, ir.Value] = {
        "unreadable_value": (kept["_unread"] > 0).sum(),
        "impossible_value": (kept["_impossible"] > 0).sum(),
        **_odd_orders(kept, table, context),
    }
    if table.name == "order_lines":
        sums["negative_quantity"] = (kept["quantity"] < 0).sum()
        sums["zero_quantity_with_money"] = ((kept["quantity"] == 0) & (kept["line_total"].fill_null(0) != 0)).sum()
    if len(table.key) == 1:
        key = kept[table.key[0]]
        sums["_zeros"] = ibis.ifelse(key.startswith("0"), key.length(), 0).max()
    scalars: dict[str, ir.Value] = {}
    if table.name == "orders" and context.customers is not None:
        scalars["unknown_customer"] = _unmatched(kept, context.customers, "customer_id")
    if table.name == "order_lines" and context.products is not None:
        scalars["unknown_product"] = _unmatched(kept, context.products, "product_id")
    if not context.has_key:
        # What the file does not have is empty in every row.
        lacking = {column.name for column in table.columns} - context.present
        values = [name for name in kept.columns if not name.startswith("_") and name not in lacking]
        scalars["identical_row"] = _identical(kept, values)
    frame = kept.aggregate(**{name: value.fill_null(0) for name, value in sums.items()})
    return frame.mutate(**scalars) if scalars else frame


def _identical(kept: ir.Table, values: list[str]) -> ir.Value:
    """How many rows are the same as another one? Whole rows are compared only where their hashes meet."""
    mark: ir.Value = ibis.literal(0)
    for name in values:
        mark = mark % 2**40 * 1_000_003 + kept[name].hash().fill_null(0) % 2**40
    marked = kept.mutate(_mark=mark)
    each = marked.group_by("_mark").aggregate(_n=lambda t: t.count()).filter(lambda t: t["_n"] > 1)
    repeats = marked.semi_join(each, "_mark").group_by(values).aggregate(_n=lambda t: t.count())
    return repeats.aggregate(n=(repeats["_n"] - 1).sum().fill_null(0)).as_scalar()


def _odd_orders(kept: ir.Table, table: Table, context: Context) -> dict[str, ir.Value]:
    if table.name != "orders":
        return {}
    below = (kept["total"] < 0).fill_null(False)
    day, at = kept["ordered_at"].date(), kept["ordered_at"]
    timed = (at.hour() * 60 + at.minute()) > 0
    sums = {
        "zero_total": (kept["total"] == 0).sum(),
        "refund_above_total": ((kept["refunded"] > kept["total"]) & ~below).sum(),
        "credit_note": (below & kept["parent_id"].isnull()).sum(),
        "refund_row": (below & kept["parent_id"].notnull()).sum(),
        "refund_before_order": (kept["refunded_at"].date() < day).sum(),
        "cancelled_before_order": (kept["cancelled_at"].date() < day).sum(),
        "minutes_are_months": (timed & (at.minute() == at.month())).sum(),
        "_timed": timed.sum(),
    }
    if {"cancelled_at", "status"} <= context.present and context.sales:
        owed = kept["total"] > kept["refunded"].fill_null(0)
        sums["cancelled_with_money"] = (
            kept["cancelled_at"].notnull() & kept["status"].isin(context.sales) & owed
        ).sum()
    return sums


def settled(counts: Mapping[str, int]) -> dict[str, int]:
    """Oddities without those that are few enough to be chance."""
    found = {code: n for code, n in counts.items() if not code.startswith("_")}
    if "minutes_are_months" in found and found["minutes_are_months"] < max(20, 0.9 * counts["_timed"]):
        del found["minutes_are_months"]
    return found


def lost_zeros(kept: ir.Table, key: str, *, width: int) -> ir.Table:
    """How many numbers are shorter than the `width` of those that begin with zeros? One row, column n."""
    number = kept[key]
    return kept.aggregate(n=((number.length() < width) & number.re_search("^[1-9][0-9]*$")).sum().fill_null(0))


def _unmatched(kept: ir.Table, others: ir.Table, name: str) -> ir.Value:
    known = others.select(name).distinct()
    return kept.anti_join(known, name).filter(lambda t: t[name].notnull()).count()


def _impossible(kept: ir.Table, table: Table, as_of: date, no_birthdays: Sequence[date]) -> dict[str, ir.BooleanValue]:
    if table.name == "feedback":
        return {"rating": (~kept["rating"].between(1, 5)).fill_null(False)}
    if table.name == "customers":
        born = kept["birth_date"]
        wrong = (born < ibis.date("1900-01-01")) | (born >= ibis.literal(as_of))
        if no_birthdays:
            wrong = wrong | born.isin([ibis.literal(day) for day in no_birthdays])
        return {"birth_date": wrong.fill_null(False)}
    return {}


def _moment(day: date) -> ir.TimestampScalar:
    return ibis.timestamp(day.isoformat())


def _any(tests: list[ir.BooleanValue]) -> ir.BooleanValue:
    return reduce(operator.or_, tests) if tests else ibis.literal(False)
