"""Public holidays of the country in shop.toml."""

from __future__ import annotations

from datetime import date

from crmlib.shop.shop import Shop


def public_holidays(shop: Shop, first: date, last: date) -> dict[date, str]:
    """Day -> name of each public holiday from one day to another; none where the country is unknown or not named.

    Source: the holidays package.
    """
    import holidays

    years = range(first.year, last.year + 1)
    try:
        found = holidays.country_holidays(shop.settings.country, years=years, language="en_US")
    except (NotImplementedError, KeyError, AttributeError):
        return {}
    return {day: str(name) for day, name in found.items() if first <= day <= last}
