"""One day on which the demo shop's app was down and nobody was told: its orders came by the website.

Nothing is drawn and no order is moved to another day, so that whatever else the shop holds stays as it was.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

DAY, CHANNEL, WENT_TO = pd.Timestamp("2026-09-22"), "app", "web"


def app_down(table: pd.DataFrame) -> pd.DataFrame:
    """The orders, those by app on the day of the outage by the website instead."""
    return table.assign(channel=table["channel"].mask(_struck(table), WENT_TO))


def truth(table: pd.DataFrame) -> dict[str, Any]:
    """What was planted, told of the orders as they were before it."""
    return {"day": str(DAY.date()), "channel": CHANNEL, "went_to": WENT_TO, "orders_moved": int(_struck(table).sum())}


def _struck(table: pd.DataFrame) -> pd.Series:
    return (table["ordered_at"].dt.normalize() == DAY) & (table["channel"] == CHANNEL)
