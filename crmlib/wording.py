"""English, once: plurals, lists, times, money, days and periods as one says them.

Numbers in tables are `formats`; here is what stands in a sentence, with at most two digits more than it needs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date, timedelta

from crmlib import formats
from crmlib.formats import NOTHING, money, number, share

_SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_PLURALS = {"is": "are", "was": "were", "has": "have", "does": "do", "it": "they", "its": "their", "this": "these"}
_SATURDAY = 5


def upper(text: str) -> str:
    """A text with its first letter large, the rest as it is."""
    return text[:1].upper() + text[1:]


def lower(text: str) -> str:
    """A text with its first letter small, unless its first word is a name in capitals."""
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def noun(count: float, one: str, many: str = "") -> str:
    """The word for so many: also of verbs, as in noun(2, "is").

    >>> noun(1, "customer"), noun(2, "customer"), noun(0, "category"), noun(3, "was")
    ('customer', 'customers', 'categories', 'were')
    """
    if count == 1:
        return one
    if many or one in _PLURALS:
        return many or _PLURALS[one]
    if one.endswith("y") and one[-2:-1] not in "aeiou":
        return one[:-1] + "ies"
    return one + ("es" if one.endswith(("s", "x", "ch", "sh")) else "s")


def counted(count: int, one: str, many: str = "") -> str:
    """How many of what.

    >>> counted(0, "order"), counted(1, "order"), counted(1234, "order")
    ('no orders', '1 order', '1,234 orders')
    """
    return f"{number(count) if count else 'no'} {noun(count, one, many)}"


def month(day: date, *, as_of: date) -> str:
    """A month's name; with its year where it is not one of the last twelve.

    >>> month(date(2026, 9, 1), as_of=date(2026, 10, 1)), month(date(2021, 12, 1), as_of=date(2026, 10, 1))
    ('September', 'December 2021')
    """
    behind = 12 * (as_of.year - day.year) + as_of.month - day.month
    return f"{day:%B}" if behind <= 12 else f"{day:%B %Y}"


def small(count: int) -> str:
    """A number as prose has it: in words up to ten.

    >>> small(3), small(11)
    ('three', '11')
    """
    return _SMALL[count] if 0 <= count < len(_SMALL) else number(count)


def listed(names: Iterable[str], *, most: int = 0, rest: str = "other") -> str:
    """Names in a row; with `most` so many of them, and how many more there are.

    >>> listed(["a", "b", "c"]), listed(["a", "b", "c", "d"], most=2, rest="product")
    ('a, b and c', 'a, b and 2 more products')
    """
    all_names = list(names)
    if most and len(all_names) > most:
        left = len(all_names) - most
        more = f"{left} {noun(left, 'other')}" if rest == "other" else f"{left} more {noun(left, rest)}"
        all_names = [*all_names[:most], more]
    if len(all_names) < 2:
        return "".join(all_names)
    return f"{', '.join(all_names[:-1])} and {all_names[-1]}"


def sentences(*said: str) -> str:
    """Sentences one after the other; empty ones are left out."""
    return " ".join(text.strip() for text in said if text.strip())


def times(ratio: float, *, many: bool = True, word: str = "") -> str:
    """How many times as many (or, for an amount, as much; or as `word` says), as one says it.

    >>> times(4.1), times(2.02), times(1.5)
    ('about four times as many', 'about twice as many', '1.5 times as many')
    >>> times(0.5), times(1.02), times(3, many=False)
    ('about half as many', 'about as many', 'about three times as much')
    >>> times(5, word="often"), times(0.7, word="often")
    ('about five times as often', '30% less often')
    """
    as_many = f"as {word or ('many' if many else 'much')}"
    if not math.isfinite(ratio) or ratio < 0:
        return NOTHING
    if 0.95 <= ratio < 1.05:
        return f"about {as_many}"
    if 0.45 <= ratio <= 0.55:
        return f"about half {as_many}"
    if ratio < 1:
        fewer = f"less {word}" if word else "fewer" if many else "less"
        return f"{share(1 - ratio)} {fewer}"
    if 1.9 <= ratio <= 2.1:
        return f"about twice {as_many}"
    if ratio < 2.75:
        return f"{number(ratio, digits=1)} times {as_many}"
    return f"about {small(round(ratio))} times {as_many}"


def change(now: float, before: float, unit: str, *, against: str = "") -> str:
    """How a number moved between two periods, to follow a verb or stand in a tile; `against` names the earlier one.

    >>> change(110, 100, "EUR"), change(0.28, 0.13, "share"), change(100, 100, "orders")
    ('up 10%', 'up 15 points', 'unchanged')
    >>> change(13.6, 3.4, "complaints", against="the year before"), change(200, 100, "EUR", against="last year")
    ('about four times as many as the year before', 'about twice as much as last year')
    >>> change(3.62, 4.18, "index", against="the year before"), change(100, 90, "EUR", against="last year")
    ('from 4.18 the year before', 'up 11% on last year')
    >>> change(5, 0, "orders", against="last year"), change(50, 5, "orders"), change(4.18, 4.18, "index")
    ('up from 0 last year', 'at least ten times as many', 'unchanged')
    """
    words = _moved(now, before, unit)
    joint = " " if "from " in words else " as " if words.endswith((" as many", " as much")) else " on "
    return f"{words}{joint}{against}" if against else words


def _moved(now: float, before: float, unit: str) -> str:
    if unit == "share":
        points = 100 * (now - before)
        if abs(points) < 0.05:
            return "unchanged"
        size = number(abs(points), digits=0 if abs(points) >= 2 else 1)
        return f"{'up' if points > 0 else 'down'} {size} {'point' if size == '1' else 'points'}"
    if not before:
        return "unchanged" if now == before else f"up from {formats.quantity(before, unit)}"
    portion = now / before - 1
    # An average of stars is no amount of which a part could be lost.
    if unit == "index":
        was = formats.quantity(before, unit)
        return "unchanged" if was == formats.quantity(now, unit) else f"from {was}"
    if abs(portion) < 0.005:
        return "unchanged"
    if portion >= 1:
        money_unit = unit == "amount" or (len(unit) == 3 and unit.isupper())
        if portion < 9:
            return times(now / before, many=not money_unit)
        return f"at least ten times as {'much' if money_unit else 'many'}"
    return f"{'up' if portion > 0 else 'down'} {share(abs(portion))}"


def rounded_money(value: float | None, currency: str) -> str:
    """An amount as a headline has it: two or three digits that count.

    >>> rounded_money(1_412_345, "EUR"), rounded_money(563_412, "EUR"), rounded_money(20_345, "EUR")
    ('€1.4m', '€563,000', '€20,300')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    size = abs(value)
    if size >= 999_500:
        digits = 0 if size >= 1e8 else 1
        return f"{money(value / 1e6, currency, digits=digits)}m"
    step = 10 ** max(0, math.floor(math.log10(size)) - 2) if size >= 1 else 1
    return money(round(value / step) * step, currency)


def day(value: date, *, near: date | None = None) -> str:
    """A day in a sentence, without its year where that is the year of `near`.

    >>> day(date(2026, 10, 1)), day(date(2026, 10, 1), near=date(2026, 12, 24))
    ('1\\xa0October 2026', '1\\xa0October')
    """
    return formats.day(value, year=near is None or near.year != value.year)


def working_day(start: date, days: int) -> date:
    """The day so many days later, moved on to Monday where it falls on a weekend.

    >>> working_day(date(2026, 10, 1), 2)
    datetime.date(2026, 10, 5)
    """
    then = start + timedelta(days=days)
    return then + timedelta(days=max(0, 7 - then.weekday())) if then.weekday() >= _SATURDAY else then


def span(days: int) -> str:
    """A length of time in the largest unit that fits.

    >>> span(365), span(28), span(90), span(1), span(1095)
    ('12 months', 'four weeks', 'three months', 'one day', 'three years')
    """
    if days >= 700:
        return _of(round(days / 365.25), "year")
    if days >= 59:
        return _of(round(days / 30.44), "month")
    if days >= 14 and days % 7 == 0:
        return _of(days // 7, "week")
    return _of(days, "day")


def _of(count: int, unit: str) -> str:
    return f"{small(count)} {noun(count, unit)}"
