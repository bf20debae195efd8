"""Numbers as a reader expects them: thousands grouped, units beside, no false precision."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from typing import Any

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
NOTHING = "not available"
FEW_PEOPLE = 5
UNITS = (
    "'share' (0 to 1), 'index' (two decimals), 'months', 'days', a currency's three capital letters, "
    "or the name of what is counted: 'orders'"
)
_MEANT = {
    "share": ("%", "percent", "per cent", "percentage", "percentages", "pct", "shares", "proportion", "ratio", "rate"),
    "index": ("indices", "indexes", "indx"),
    "the shop's currency code": ("€", "$", "£", "eur", "usd", "gbp", "euro", "euros", "dollar", "dollars", "currency"),
}
_SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "INR": "₹"}


def number(value: float | None, *, digits: int = 0) -> str:
    """A plain number, thousands grouped.

    >>> number(-1234.5, digits=1)
    '−1,234.5'
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{abs(value):,.{digits}f}"
    negative = value < 0 and text.strip("0.,") != ""
    return (MINUS if negative else "") + text


def people(count: float | None) -> str:
    """A count of people in a cell of a cross-table: under five it says so and no more, for it could name somebody.

    >>> people(3), people(0), people(1234)
    ('<5', '0', '1,234')
    """
    return "<5" if count is not None and 0 < count < FEW_PEOPLE else number(count)


def share(value: float | None, *, digits: int = 0) -> str:
    """A share between 0 and 1 as a percentage.

    >>> share(0.473)
    '47%'
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    return number(100 * value, digits=digits) + "%"


def multiple(value: float | None) -> str:
    """How many times another number, to two digits that count.

    >>> multiple(4.97), multiple(1.82), multiple(1.04), multiple(0.304), multiple(36.4)
    ('5×', '1.8×', '1.04×', '0.3×', '36×')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    digits = 3 if 1 < value < 1.1 else 2  # that it is not quite one is the news
    return (number(value) if abs(value) >= 10 else f"{value:.{digits}g}") + "\N{MULTIPLICATION SIGN}"


def money(value: float | None, currency: str, *, digits: int = 0) -> str:
    """An amount with its currency's sign, or its code where it has none.

    >>> money(-1200, "EUR"), money(5.5, "CHF", digits=2)
    ('−€1,200', 'CHF\\xa05.50')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    text = number(value, digits=digits)
    sign = _SYMBOLS.get(currency, f"{currency}\N{NO-BREAK SPACE}" if currency else "")
    return MINUS + sign + text[1:] if text.startswith(MINUS) else sign + text


def day(value: date, *, year: bool = True) -> str:
    """A day in words: '1 July 1998'."""
    text = f"{value.day}\N{NO-BREAK SPACE}{value:%B}"
    return f"{text} {value.year}" if year else text


def misspelt(unit: str) -> str:
    """What was meant by a unit that would be taken for the name of a counted thing; '' for one that is right.

    >>> misspelt("percent"), misspelt("orders"), misspelt("EUR")
    ('share', '', '')
    """
    if len(unit) == 3 and unit.isupper():
        return ""
    return next((right for right, wrong in _MEANT.items() if unit.strip().casefold() in wrong), "")


def _digits(low: float | None, high: float | None) -> int | None:
    """The decimals worth showing: the interval's width is then eight to eighty steps of the last digit."""
    if low is None or high is None or not math.isfinite(high - low) or high <= low:
        return None
    return -math.floor(math.log10((high - low) / 8))


def _rounded(value: float, digits: int) -> float:
    return round(value, digits) if digits < 0 else value


def quantity(value: float | None, unit: str, *, low: float | None = None, high: float | None = None) -> str:
    """A value in its unit, rounded to what its interval supports.

    Units: 'share' (0 to 1), 'index' (two decimals), 'months' (whole), 'days', a three-letter currency code, or a
    counted thing.

    >>> quantity(612_345, "EUR", low=540_000, high=690_000)
    '€610,000'
    >>> quantity(0.1734, "share", low=0.15, high=0.19)
    '17.3%'
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    digits = _digits(low, high)
    if unit == "share":
        return share(value, digits=1 if digits is None else max(0, min(digits - 2, 2)))
    if unit == "index":
        return number(value, digits=2)
    if unit == "months":
        return number(value)
    if digits is None:
        whole = float(value).is_integer() or abs(value) >= 100
        digits = 0 if whole else 2
    shown = max(0, min(digits, 4))
    if len(unit) == 3 and unit.isupper():
        return money(_rounded(value, digits), unit, digits=min(shown, 2))
    return number(_rounded(value, digits), digits=shown)


def with_sign(text: str, value: float | None) -> str:
    """A number's text with a plus before it where it is above zero; a minus stands there already.

    >>> with_sign("3.8%", 0.038), with_sign("−1%", -0.01)
    ('+3.8%', '−1%')
    """
    return f"+{text}" if value is not None and value > 0 and text != NOTHING and text.strip("0.%") else text


def interval(low: float | None, high: float | None, unit: str) -> str:
    """The two ends of an interval in their unit, or '' where there is none.

    >>> interval(540_000, 690_000, "EUR")
    '540,000–690,000'
    """
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    bare = "" if len(unit) == 3 and unit.isupper() else unit
    ends = [quantity(end, bare, low=low, high=high) for end in (low, high)]
    if unit == "share":
        ends[0] = ends[0].removesuffix("%")
    # A minus before the second number needs words, or it reads as a dash.
    joint = " to " if low < 0 else DASH
    return joint.join(ends)


def points(text: str) -> str:
    """A written number of percentage points.

    >>> points("1"), points("0.3–1")
    ('1 point', '0.3–1 points')
    """
    return f"{text} point" if text in ("1", "+1") else f"{text} points"


def movement(value: float, unit: str, *, before: float, low: float | None = None, high: float | None = None) -> str:
    """How far a number moved, without its sign, and how much of what it was; `low` and `high` bound the movement.

    >>> movement(18_000, "EUR", before=594_000)
    '€18,000 (3%)'
    >>> movement(-0.021, "share", before=0.19)
    '2.1 points'
    """
    size = abs(value)
    if unit == "share":
        digits = _digits(low, high)
        shown = 1 if digits is None else max(0, min(digits - 2, 2))
        text = number(100 * size, digits=shown)
        if size and text.strip("0.") == "":
            return f"less than {number(10.0**-shown, digits=shown)} points"
        return points(text)
    text = quantity(size, unit, low=low, high=high)
    if unit == "index" or before < 10:
        return text
    portion = size / before
    return f"{text} ({share(portion, digits=0 if portion >= 0.02 else 1)})"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its range, unit and n; `low` and `high` are None for complete counts.

    >>> Estimate(value=612_345, low=540_000, high=690_000, unit="EUR").text
    '€610,000'
    """

    value: float | None
    unit: str
    low: float | None = None
    high: float | None = None
    n: int | None = None

    @property
    def text(self) -> str:
        """The value with no more digits than its range supports."""
        return quantity(self.value, self.unit, low=self.low, high=self.high)

    @property
    def span(self) -> str:
        """The range as it stands in a table, '540,000–690,000'; '' without one."""
        return interval(self.low, self.high, self.unit)

    @property
    def between(self) -> str:
        """The range as one says it: 'between €540,000 and €690,000'; '' without one.

        >>> Estimate(value=0.55, low=0.531, high=0.569, unit="share").between
        'between 53% and 57%'
        """
        if not self.span:
            return ""
        low, high = (self.low, self.high)
        if self.unit == "share" and low is not None and high is not None and high - low >= 0.02:
            return f"between {share(low)} and {share(high)}"
        ends = [quantity(end, self.unit, low=low, high=high) for end in (low, high)]
        return f"between {ends[0]} and {ends[1]}"


def outline(result: Any) -> str:
    """What a result holds, a line for each field, in words: the `__repr__` of what notebooks show.

    >>> print(outline(Estimate(value=612_345, low=540_000, high=690_000, unit="EUR")).partition("\\n")[0])
    Estimate: A number with its range, unit and n; `low` and `high` are None for complete counts.
    """
    about = " ".join((type(result).__doc__ or "").split("\n\n")[0].split())
    told = [f"  {field.name:<15} {_told(getattr(result, field.name))}" for field in fields(result) if field.repr]
    return "\n".join([f"{type(result).__name__}: {about}", *told])


def _told(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: DASH}[value]
    if isinstance(value, int | float):
        return quantity(value, "")
    if isinstance(value, Estimate):
        return f"{value.text} ({value.span})" if value.span else value.text
    if (columns := getattr(value, "columns", None)) is not None:
        text = f"{len(value):,} rows of {', '.join(map(str, columns))}"
    elif isinstance(value, Mapping):
        text = f"{len(value):,}: {', '.join(map(str, value))}" if value else DASH
    elif isinstance(value, tuple | list | set | frozenset):
        text = f"{len(value):,}: {', '.join(map(_told, value))}" if value else DASH
    else:
        text = type(value).__name__ if is_dataclass(value) else str(value) or DASH
    text = " ".join(text.split())
    return text if len(text) <= 100 else f"{text[:99].rstrip(' ,')}…"
