"""What a lot means and how long it holds, for who draws lots, who keeps them and who counts what lists earn."""

from __future__ import annotations

from datetime import date

LEAVE = "leave alone"
WINDOW_DAYS = 60  # from a list's day on, for how long what people buy counts and those left alone are left alone


def half_year(day: date) -> str:
    """The half-year for which one control holds.

    >>> half_year(date(2026, 7, 1))
    '2026-2'
    """
    return f"{day.year}-{1 + (day.month > 6)}"
