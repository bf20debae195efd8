"""What does the text in a cell say: which moment, which amount, which id?

In two readings. The first takes what nearly all exports write, and keeps the other texts of a row aside. The second
reads those by their column's `Manner`, which `survey` decides from all rows. Expressions only, for any engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from crmlib.shop.tables import Column
from crmlib.shop.vocabulary import CURRENCIES, MONTHS, ZONES, is_guest, yes_or_no

MONEY = dt.Decimal(18, 4)  # exact sums, the same on every run
APART = "\x1f"  # between the texts of a row that wait for the second reading
_WORDS = (
    # With a digit, of five letters, or with another letter in front: no word for an empty value is like that.
    r"^([!-~]*[0-9][!-~]*|[!-~][ -~]{3,}[!-~]|[A-MO-Za-mo-z][!-~]*)?$"
)
# An id that no spreadsheet has rounded, and that is no guest's 0.
_IDS = r"^([A-Za-z#_][A-Za-z#_-]*[0-9][0-9A-Za-z_-]{0,14}|[1-9][0-9A-Za-z_-]{0,14})?$"
_MOMENT = r"^([0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}:[0-9]{2})?)?$"
# Three digits behind a point may be thousands.
_PLAINLY = r"^(-?([0-9]+([.]([0-9]{1,2}|[0-9]{4,}))?|0[.][0-9]+))?$"
# How nearly all values are written, or empty: one pattern for what needs no other, which would take most of the time.
_USUAL = {"id": _IDS, "text": _WORDS, "time": _MOMENT, "date": _MOMENT, "number": _PLAINLY, "money": _PLAINLY}
_NOTHING = r"^(NULL|\\N|NaN|NaT|<NA>|#N/A)?$"
_NOTHING_ELSE = r"^(NULL|\\N|NaN|NaT|<NA>|#N/A|null|None|nan)?$"
_NO_DATE = r"^0{2,4}[-/.]00?[-/.]0{2,4}([T ][0:.]*Z?)?$|^0001-01-01"

# Pieces of dates.
_CLOCK = r"\d{1,2}:\d{1,2}(:\d{1,2}([.,]\d*)?)?( ?[AP]\.? ?M\.?)?"
_ZONE = rf" ?(Z|UTC|GMT|{'|'.join(ZONES)}|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)"
_HALVES = r"\d ?([AP])\.? ?M"
_ZONED = rf":\d{{1,2}}(?:[.,]\d*)?(?: ?[AP]\.? ?M\.?)?{_ZONE}$"
_END = rf"([T ,]+((AT|UM|À|A LAS|OM|ALLE) )?{_CLOCK}({_ZONE})?)?$"
_LETTERS = r"[A-Za-zÀ-žА-яЁё]"
_NTH = r"(?:\.|ST|ND|RD|TH)?"
_WEEKDAY = rf"^({_LETTERS}{{2,10}}\.?,? )?"
SHAPES = {  # of the texts that hold a day, in capitals
    "year_first": r"^\d{4}[-/.] ?\d{1,2}[-/.] ?\d{1,2}\.?" + _END,
    "year_last": r"^\d{1,2}[-/]\d{1,2}[-/](\d{4}|\d{2})" + _END,
    "dotted": r"^\d{1,2}\. ?\d{1,2}\. ?(\d{4}|\d{2})" + _END,
    "day_month": _WEEKDAY
    + rf"\d{{1,2}}{_NTH}[ /.-]+(DE |OF )?{_LETTERS}{{3,10}}\.?,?[ /.-]+(DE )?(\d{{4}}|\d{{2}})"
    + _END,
    "month_day": _WEEKDAY + rf"{_LETTERS}{{3,10}}\.?[ -]\d{{1,2}}{_NTH},?[ -](\d{{4}}|\d{{2}})" + _END,
}
_PLACES = {  # of the number or word in such a text that says the day, month and year
    "year_first": (r"^\d+. ?\d+. ?(\d+)", r"^\d+. ?(\d+)", r"^(\d+)"),
    # Nobody writes a month before a point.
    "dotted": (r"^(\d+)", r"^\d+\. ?(\d+)", r"^\d+\. ?\d+\. ?(\d+)"),
    "day_first": (r"^(\d+)", r"^\d+.(\d+)", r"^\d+.\d+.(\d+)"),
    "month_first": (r"^\d+.(\d+)", r"^(\d+)", r"^\d+.\d+.(\d+)"),
    "day_month": (rf"^(?:{_LETTERS}+\.?,? )?(\d+)", rf"\d{_NTH}[ /.-]+(?:DE |OF )?({_LETTERS}+)",
                  rf"\d{_NTH}[ /.-]+(?:DE |OF )?{_LETTERS}+\.?,?[ /.-]+(?:DE )?(\d+)"),
    "month_day": (rf"{_LETTERS}\.?[ -](\d+)", rf"({_LETTERS}+)\.?[ -]\d", rf"\d{_NTH},?[ -](\d{{4}}|\d{{2}})"),
}  # fmt: skip
COUNTED = {"serial": r"^[2-6]\d{4}([.,]\d+)?$", "unix": r"^\d{9,10}$", "unix_ms": r"^\d{12,13}$",
           "compact": r"^(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])$",
           "week": r"^(19|20)\d\d-?W(0[1-9]|[1-4]\d|5[0-3])-?[1-7]$"}  # fmt: skip
# Ways to write a moment that others differ from by their signs only, and what those write.
_ODD = (
    r"^\d{8}[T ]?\d{4}|[\])日]\.?$|日 |[A-Z] ?[+-]\d|UHR$|H\d\d|:\d\d [A-Z ]*\d{4}$"
    r"|[ ,]\d{1,2}\.\d\d($|[ .]\D|\.\d\d($|[ .]))"
)
_EVEN = (
    (r"^(\d{4})(\d\d)(\d\d)[T ]?(\d\d)(\d\d)(\d\d)", r"\1-\2-\3T\4:\5:\6"),
    (r"^(\d{4})(\d\d)(\d\d)[T ](\d\d)(\d\d)", r"\1-\2-\3T\4:\5"),
    (r" ?\[[A-Z_/]+\]$| ?\([^()]*\)$| UHR$|日", ""),
    ("[年月]", "-"),
    (r" ?(?:GMT|UTC) ?([+-])(\d)$", r"\1" + "0" + r"\2"),
    (r" ?(?:GMT|UTC) ?([+-]\d)", r" \1"),
    (r"(\d)H(\d\d)", r"\1:\2"),
    (r"([ ,]\d{1,2})\.(\d\d)($|[ .])", r"\1:\2\3"),
    (r"([ ,]\d{1,2}:\d\d)\.(\d\d)", r"\1:\2"),
    (rf"^(?:[A-Z]{{3}},? )?([A-Z]{{3}}) (\d{{1,2}}) (\d\d:\d\d:\d\d)({_ZONE})? (\d{{4}})$", r"\1 \2, \6 \3\4"),
)

# Pieces of amounts.
_BLANKS = r"[ \x{A0}\x{202F}\x{2009}'’]"  # between groups of three, as in 1 234,50 and 1'234.50
_MINUS = r"[-−–]"
_GAP = r"[ \x{A0}\x{202F}\x{2009}]?"
_SIGN = rf"^\(?[+]?{_MINUS}?{_GAP}({CURRENCIES}{_GAP})?{_MINUS}?|({_GAP}{CURRENCIES})?{_GAP}{_MINUS}?\)?$"
_BEYOND = rf"^\([^()]*\)$|^({CURRENCIES}{_GAP})?{_MINUS}|{_MINUS}({_GAP}{CURRENCIES})?$"
_POINT = (
    r"^(\d+\.|\d*\.\d{1,2}|\d*\.\d{4,}|\d{4,}\.\d+|0*\.\d+|\d{1,3}(,\d{3})+\.\d*|\d{1,2}(,\d{2})+,\d{3}(\.\d*)?"
    r"|\d{1,3}(,\d{3}){2,}|\d+\.?\d*[eE][+-]?\d+)$"
)
_COMMA = r"^(\d+,\d{1,2}|\d+,\d{4,}|\d{4,},\d+|0+,\d+|\d{1,3}(\.\d{3})+,\d*|\d{1,3}(\.\d{3}){2,})$"
_SPACED = rf"^[1-9]\d{{0,2}}({_BLANKS}\d{{3}})+([.,]\d*)?$"
_EITHER_POINT, _EITHER_COMMA = r"^[1-9]\d{0,2}\.\d{3}$", r"^[1-9]\d{0,2},\d{3}$"
ROUNDED = r"^-?\d([.,]\d+)?[eE][+]\d{1,2}$"  # what a spreadsheet makes of a number of more than eleven digits


@dataclass(frozen=True)
class Manner:
    """How one column writes what the first reading did not take.

    shapes    of its dates, as in SHAPES; `order` of day and month where the year is last, 'day_first' or 'month_first'
    halves    some times say AM or PM; `zoned`: some say how far they are from Greenwich
    counted   'serial', 'unix', 'unix_ms', 'compact' or 'week', where all its dates are numbers of that kind
    decimals  'point' or 'comma', what 1.234 means; empty where the column says both or nothing
    whole     ids such as 12345.0 are whole numbers
    unclear   what many rows say of a yes or no that is neither, and so no yes
    """

    shapes: tuple[str, ...] = ("year_first",)
    order: str = ""
    halves: bool = False
    zoned: bool = False
    counted: str = ""
    decimals: str = ""
    whole: bool = False
    unclear: tuple[str, ...] = ()


@ibis.udf.scalar.builtin(name="timezone", signature=((dt.string, dt.Timestamp(timezone="UTC")), dt.timestamp))
def _local(zone: Any, instant: Any) -> Any:
    """The local moment of an instant."""


@ibis.udf.scalar.builtin(name="chr", signature=((dt.int32,), dt.string))
def _character(code: Any) -> Any:
    """The character of this code."""


def dtype(column: Column) -> dt.DataType:
    kinds = {"id": dt.string, "text": dt.string, "time": dt.timestamp, "date": dt.date, "flag": dt.boolean}
    return kinds.get(column.kind, MONEY)


def usual(source: ir.Value, column: Column) -> ir.BooleanValue | None:
    """Is a text written as nearly all are? None where it is no text, or its kind has no such way."""
    pattern = _USUAL.get(column.kind)
    return source.re_search(pattern).fill_null(False) if pattern and isinstance(source, ir.StringValue) else None


def first(source: ir.Value, column: Column, known: ir.BooleanValue | None, timezone: str) -> ir.Value:
    """A value at first reading, in its canonical type; null where it is empty or waits. `known`: as `usual` says."""
    if isinstance(source, ir.StringValue):
        if column.kind == "text":
            plain = _plain(source)
            return _if(known, source.nullif(""), ibis.ifelse(said(plain, column), plain, ibis.null("string")))
        if column.kind == "flag":
            return _flag(source.strip().lower())
        read = source.nullif("").try_cast(dt.timestamp if column.kind == "date" else dtype(column))
        return ibis.ifelse(known, read.cast(dtype(column)), ibis.null(dtype(column)))
    if column.kind == "id" and isinstance(source, ir.FloatingValue):
        # Whole numbers beside empty ones become floats in many tools: 17.0 is the customer 17.
        whole = (source == source.floor()) & (source.abs() < 2**53)
        text = ibis.ifelse(whole, source.try_cast("int64").cast("string"), source.cast("string"))
        return ibis.ifelse(source.isnan(), ibis.null("string"), text)
    if column.kind in ("id", "text"):
        plain = _plain(source.cast("string"))
        return ibis.ifelse(said(plain, column), plain, ibis.null("string"))
    if column.kind in ("time", "date"):
        moment = _moment_of(source, timezone)
        return moment.cast("date") if column.kind == "date" else moment
    if column.kind == "flag":
        return source if isinstance(source, ir.BooleanValue) else _flag(source.cast("string").lower())
    if isinstance(source, ir.NumericValue) and not isinstance(source, ir.BooleanValue):
        return source.try_cast(MONEY)
    return ibis.null(MONEY)


def waits(source: ir.Value, column: Column, value: ir.Value) -> ir.BooleanValue | None:
    """Has a cell a text that the first reading could not take? None where its kind leaves nothing to a second."""
    if column.kind == "text" or (column.kind == "id" and not isinstance(source, ir.StringValue)):
        return None
    if isinstance(source, ir.StringValue):
        return value.isnull() & (source != "").fill_null(False)
    filled = source.notnull() & ~source.isnan() if isinstance(source, ir.FloatingValue) else source.notnull()
    return value.isnull() & filled


def joined(cells: Sequence[tuple[ir.Value, ir.BooleanValue | None]]) -> ir.StringValue:
    """The waiting texts of a row in one, null where none waits; from each column's source and what `waits` says."""
    tests = [test for _, test in cells if test is not None]
    if not tests:
        return ibis.null("string")
    texts = [
        ibis.literal("") if test is None else ibis.ifelse(test, _plain(source.cast("string")), "")
        for source, test in cells
    ]
    whole = texts[0]
    for text in texts[1:]:
        whole = whole + APART + text
    return ibis.ifelse(ibis.or_(*tests), whole, ibis.null("string"))


def parted(whole: ir.StringValue, place: int, column: Column) -> ir.StringValue:
    """The waiting text of one column, empty where it has none; dates in capitals, with plain blanks and signs."""
    text = whole.split(APART)[place].fill_null("")
    if column.kind in ("time", "date"):
        up = text.upper().re_replace(r"\s+", " ").re_replace("[−–]", "-")
        even = up
        for odd, plain in _EVEN:
            even = even.re_replace(odd, plain)
        return ibis.ifelse(up.re_search(_ODD), even, up)
    return text


def second(text: ir.StringValue, column: Column, manner: Manner, timezone: str) -> ir.Value:
    """A waiting text in its column's manner; null where it cannot be read."""
    if column.kind == "id":
        return ibis.ifelse(
            said(text, column), as_id(text, manner, reference=_is_reference(column)), ibis.null("string")
        )
    if column.kind in ("time", "date"):
        moment = _moment(text, manner, timezone, born=column.kind == "date")
        return moment.cast("date") if column.kind == "date" else moment
    return yes_or_no(text.strip().lower(), column.name) if column.kind == "flag" else _number(text, manner)


def says(text: ir.StringValue, column: Column) -> ir.BooleanValue:
    """Does a waiting text mean a value, be it readable or not?"""
    found = said(text, column).fill_null(False)
    if column.kind in ("time", "date") and not column.required:
        return found & ~text.re_search(_NO_DATE)
    if column.kind == "id" and _is_reference(column):
        return found & ~is_guest(text)
    return found


def said(text: ir.StringValue, column: Column) -> ir.BooleanValue:
    """Does a text say more than databases and libraries write for an empty value?"""
    # In a text, 'None' and 'null' may be words that people say. A pattern plans faster than a list.
    pattern = _NOTHING if column.kind == "text" else _NOTHING_ELSE
    return ~text.re_search(f"(?i){pattern}" if column.kind in ("time", "date") else pattern)


def as_id(text: ir.StringValue, manner: Manner, *, reference: bool = False) -> ir.StringValue:
    """An id without a spreadsheet's apostrophe, and 12345 for 12345.0 in a column of whole numbers."""
    text = ibis.ifelse(text.re_search("^'[0-9+]"), text.substr(1), text)
    if manner.whole:
        text = ibis.ifelse(text.re_search(r"^\d+[.]0+$"), text.re_replace(r"[.]0+$", ""), text)
    return ibis.ifelse(is_guest(text), ibis.null("string"), text) if reference else text


def amount(text: ir.StringValue) -> ir.StringValue:
    """The digits of an amount, without sign, currency and brackets."""
    return _even(text).re_replace(_SIGN, "").strip()


def evidence(text: ir.StringValue, column: Column) -> dict[str, ir.BooleanValue]:
    """What a waiting text tells of its column's manner, by name."""
    if column.kind == "flag":
        return {}
    if column.kind in ("time", "date"):
        last = text.re_search(SHAPES["year_last"])
        one, two = (text.re_extract(place, 1).try_cast("int64").fill_null(0) for place in _PLACES["day_first"][:2])
        # 18-11-08 may begin with its year: only a second number that is no month tells.
        short = text.re_search(r"^\d{1,2}-\d{1,2}-\d{2}($|[T ,])")
        tells = {name: text.re_search(shape) for name, shape in SHAPES.items()}
        return tells | {name: text.re_search(shape) for name, shape in COUNTED.items()} | {
            "day_first": last & (one > 12) & (two <= 12) & ~short, "month_first": last & (two > 12) & (one <= 12),
            "halves": text.re_search(_HALVES), "zoned": text.re_search(_ZONED), "short": last & short,
            "said": says(text, column),
        }  # fmt: skip
    if column.kind == "id":
        return {
            "rounded": text.re_search(ROUNDED), "long": text.re_search(r"^\d{16,}$"),
            "cut_off": text.re_search(r"^\d{15}0+$"), "longer": text.re_search(r"^\d{17,}$"),
            "whole": text.re_search(r"^\d+[.]0+$"), "parts": text.re_search(r"^\d+[.]\d*[1-9]\d*$"),
        }  # fmt: skip
    digits = amount(text)
    return {
        "point": digits.re_search(_POINT), "comma": digits.re_search(_COMMA),
        "either_point": digits.re_search(_EITHER_POINT), "either_comma": digits.re_search(_EITHER_COMMA),
        "spaced_point": digits.re_search(_SPACED) & digits.contains("."),
        "spaced_comma": digits.re_search(_SPACED) & digits.contains(","),
    }  # fmt: skip


def _is_reference(column: Column) -> bool:
    return column.name in ("customer_id", "parent_id") and not column.required


def _plain(text: ir.StringValue) -> ir.StringValue:
    # The character 0 says nothing, and would end the engine's own commands early where a name is part of one.
    return text.replace(_character(0), "").replace(_character(31), " ").strip()


def _if(known: ir.BooleanValue | None, usual: ir.Value, else_: ir.Value) -> ir.Value:
    """The second only where the first does not do: an engine works out no branch for rows that do not take it."""
    return else_ if known is None else ibis.ifelse(known, usual, else_)


def _moment_of(source: ir.Value, timezone: str) -> ir.Value:
    if isinstance(source, ir.TimestampValue):
        return _local(timezone, source) if source.type().timezone else source.cast(dt.timestamp)
    return source.cast(dt.timestamp) if isinstance(source, ir.DateValue) else ibis.null(dt.timestamp)


def _moment(up: ir.StringValue, manner: Manner, timezone: str, *, born: bool) -> ir.Value:
    if manner.counted:
        return _counted(up, manner.counted, timezone)
    days = [(up.re_search(SHAPES[shape]), _day(up, shape, manner.order, born=born)) for shape in manner.shapes
            if shape != "year_last" or manner.order]  # fmt: skip
    if not days:
        return ibis.null(dt.timestamp)
    day = ibis.cases(*days, else_=ibis.null("string"))
    clock = up.re_extract(r"[T ,](\d{1,2}:\d{1,2}(:\d{1,2}([.,]\d*)?)?)", 1).replace(",", ".")
    clock = ibis.cases((clock == "", "00:00:00"), (clock.re_search(r"^\d+:\d+$"), clock + ":00"), else_=clock)
    local = (day + " " + clock).try_cast(dt.timestamp)
    if manner.halves:
        half, hour = up.re_extract(_HALVES, 1), local.hour()
        # What is after twelve and says PM was counted to 24 all along.
        shift = ibis.cases(((half == "P") & (hour < 12), 12), ((half == "A") & (hour == 12), -12), else_=0)
        local = local + shift.cast("int64").as_interval("h")
    if not manner.zoned:
        return local
    zone = up.re_extract(_ZONED, 1)
    far = zone.re_extract(r"^[+-][\d:]+$", 0).replace(":", "")
    named = {name: hours for name, hours in ZONES.items() if name != "CST" or not timezone.startswith("Asia/")}
    far = ibis.cases(*((zone == name, hours) for name, hours in named.items()), (zone == "CST", "+0800"), else_=far)
    far = ibis.cases(
        (far == "", "+00:00"), (far.length() == 3, far + ":00"), else_=far.left(3) + ":" + far.right(2)
    )  # fmt: skip
    away = _local(timezone, (local.cast("string") + far).try_cast(dt.Timestamp(timezone="UTC")))
    return ibis.ifelse(zone == "", local, away)


def _day(up: ir.StringValue, shape: str, order: str, *, born: bool) -> ir.StringValue:
    """The day in such a text, year first."""
    day, month, year = (up.re_extract(place, 1) for place in _PLACES[order if shape == "year_last" else shape])
    if shape in ("day_month", "month_day"):
        named = [(month.re_search(f"^({names})"), f"{number:02d}") for number, names in enumerate(MONTHS, start=1)]
        month = ibis.cases(*named, else_="")
    # Who was born in '55 was born in 1955; what was sold in '55 is not known to have been.
    century = ibis.ifelse(year.re_search("^[01]" if born else "^[0-6]"), "20", "19")
    year = ibis.ifelse(year.length() == 2, century + year, year)
    return year + "-" + ("0" + month).right(2) + "-" + ("0" + day).right(2)


def _counted(text: ir.StringValue, kind: str, timezone: str) -> ir.Value:
    """A day that is written as a number: of days since 1900, seconds or milliseconds since 1970, or its own digits."""
    if kind == "week":
        digits = text.re_replace("[^0-9]", "")
        week, weekday = (digits.substr(place, size).try_cast("int64") for place, size in ((4, 2), (6, 1)))
        fourth = (digits.left(4) + "-01-04").try_cast(dt.timestamp)  # of January, which is always in the first week
        past = (week - 1) * 7 + weekday - 1 - fourth.day_of_week.index().cast("int64")
        day = fourth + past.as_interval("D")
        return ibis.ifelse(day.week_of_year() == week, day, ibis.null(dt.timestamp))
    if kind == "compact":
        return (text.left(4) + "-" + text.substr(4, 2) + "-" + text.right(2)).try_cast(dt.timestamp)
    number = ibis.ifelse(text.re_search(COUNTED[kind]), text.replace(",", "."), ibis.null("string")).try_cast("float64")
    since = ibis.timestamp("1970-01-01")
    if kind == "serial":
        return since + ((number - 25569) * 86400).round().cast("int64").as_interval("s")
    seconds = (number / (1000 if kind == "unix_ms" else 1)).floor().cast("int64")
    return _local(timezone, (since + seconds.as_interval("s")).cast("string").try_cast(dt.Timestamp(timezone="UTC")))


def _number(text: ir.StringValue, manner: Manner) -> ir.Value:
    digits = amount(text)
    by_point, by_comma = digits.replace(",", ""), digits.replace(".", "").replace(",", ".")
    cases: list[tuple[ir.Value, ir.Value]] = [
        (digits.re_search(rf"^\d+$|{_POINT}"), by_point),
        (digits.re_search(_COMMA), by_comma),
        (digits.re_search(_SPACED), digits.re_replace(_BLANKS, "").replace(",", ".")),
    ]
    if manner.decimals:
        either = by_point if manner.decimals == "point" else by_comma
        cases.append((digits.re_search(f"{_EITHER_POINT}|{_EITHER_COMMA}"), either))
    text = _even(text)
    # Half a bracket, or two signs, may mean anything.
    sound = text.re_search(r"^[^()]*$|^\([^()]*\)$") & ~text.re_search(rf"^[^eE]*{_MINUS}.*{_MINUS}")
    number = ibis.ifelse(sound, ibis.cases(*cases, else_=ibis.null("string")), ibis.null("string")).try_cast(MONEY)
    return ibis.ifelse(text.re_search(_BEYOND), -number, number)


def _even(text: ir.StringValue) -> ir.StringValue:
    """12,- and 12.– are even amounts, not negative ones."""
    return text.re_replace(rf"[.,]{_GAP}[-–—]+({_GAP}{CURRENCIES})?$", "")


def _flag(text: ir.StringValue) -> ir.Value:
    return ibis.cases(
        (text.isin(["true", "t", "yes", "y", "1"]), True), (text.isin(["false", "f", "no", "n", "0"]), False),
        else_=ibis.null("boolean"),
    )  # fmt: skip
