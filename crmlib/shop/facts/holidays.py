"""Public holidays of the country in shop.toml."""

from __future__ import annotations

from datetime import date

from crmlib.shop.shop import Shop


def public_holidays(shop: Shop, first: date, last: date) -> dict[date, str]:
    """Day -> name of each public holiday from one day to another; none where the country is unknown or not named.

    Source: the holidays package.
    """
    return holidays_of(shop.settings.country, first, last)


def holidays_of(country: str, first: date, last: date) -> dict[date, str]:
    """The same of a country by its two letters.

    >>> holidays_of("DE", date(2026, 10, 1), date(2026, 10, 31)), holidays_of("", date(2026, 1, 1), date(2026, 12, 31))
    ({datetime.date(2026, 10, 3): 'German Unity Day'}, {})
    """
    import holidays

    years = range(first.year, last.year + 1)
    try:
        found = holidays.country_holidays(country, years=years, language="en_US")
    except (NotImplementedError, KeyError, AttributeError):
        return {}
    return {day: str(name) for day, name in found.items() if first <= day <= last}
