"""Were customers who look new old ones, whose earlier orders the data lacks (left truncation)?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import ibis
import pandas as pd

from crmlib import wording
from crmlib.shop import facts as shop_facts
from crmlib.shop.shop import Shop

_MONTH = 30
_OLD_ACCOUNT_DAYS = 30
_TOO_MANY_TIMES = 3.0
_TOO_LARGE_SHARE = 0.05


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """How the data begins. `old` customers had an account well before the first day of data, None where not known.

    `first_month` bought first in its first 30 days, `later_month` in a usual 30 days after (the median).
    """

    customers: int
    old: int | None
    first_month: int
    later_month: float

    @property
    def truncated(self) -> bool:
        """Do too many customers only look new?"""
        if self.old is not None:
            return self.old > _TOO_LARGE_SHARE * self.customers
        return self.first_month > _TOO_MANY_TIMES * max(self.later_month, 1)

    def sentence(self) -> str:
        """How the data begins and what that means."""
        said = f"{wording.counted(self.first_month, 'customer')} bought first in the data's first {_MONTH} days, "
        said += f"{self.later_month:,.0f} in a usual {_MONTH} days after"
        if self.old is not None:
            said = f"{self.old:,} of {self.customers:,} customers had an account more than {_OLD_ACCOUNT_DAYS} days "
            said += "before the data begins"
        if self.truncated:
            return f"{said}: some are old customers whose earlier orders are missing."
        return f"{said}: no sign that earlier orders are missing."


def beginning(shop: Shop) -> Beginning:
    """Look at the first purchases of all customers before as_of, and at their accounts where the shop has them."""
    history = shop_facts.customer_history(shop, until=shop.as_of).select("customer_id", "first_day")
    windows = history.mutate(start=history["first_day"].min().over())
    days = windows["first_day"].delta(windows["start"], unit="day").cast("float64")
    months = windows.group_by(month=(days / _MONTH).floor().cast("int64"))
    counts = shop.fetch(months.aggregate(customers=ibis._.count()).order_by("month"))
    sizes = counts.set_index("month")["customers"]
    later = sizes.reindex(range(1, max(int(sizes.index.max()), 1) + 1), fill_value=0) if len(sizes) else pd.Series([0])
    old = None
    if shop.has("customers", "created_at"):
        made = shop.table("customers").select("customer_id", "created_at")
        first_day = shop.fetch(history.aggregate(day=history["first_day"].min()))["day"].iloc[0]
        before = pd.Timestamp(first_day).date() - timedelta(days=_OLD_ACCOUNT_DAYS)
        joined = history.inner_join(made, "customer_id")
        earlier = (joined["created_at"].date() < ibis.literal(before)).sum()
        found = shop.fetch(joined.aggregate(old=earlier, known=joined["created_at"].count())).iloc[0]
        old = int(found["old"]) if found["known"] > 0.5 * sizes.sum() else None
    first, usual = int(sizes.get(0, 0)), float(later.median())
    return Beginning(customers=int(sizes.sum()), old=old, first_month=first, later_month=usual)
