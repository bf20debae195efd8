"""What did customers bring in the past twelve months? The answer where the coming ones cannot be forecast."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import ibis
import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.lifetime_value.tiers import TIERS
from crmlib.findings import Metric, Part
from crmlib.shop import facts as shop_facts
from crmlib.shop.shop import Shop

YEAR = 365
_LEAST_KNOWN = 100


@dataclass(frozen=True, kw_only=True)
class Past:
    """Net sales of the twelve months before a day, or of all there is since `start`; nan without amounts.

    `before` are those of the twelve months before them, None where the data does not reach back. `tiers` has tier and
    value, by sales in that time; nobody of a name stands in it.
    """

    start: date
    whole: bool
    sales: float
    customers: int
    before: float | None
    tiers: pd.DataFrame

    @property
    def period(self) -> str:
        """The time as a sentence has it: 'in the past 12 months'."""
        return "in the past 12 months" if self.whole else f"since {wording.day(self.start)}"

    @property
    def top(self) -> float:
        """Share of the best tenth of those who bought; nan where nothing came."""
        return float(self.tiers["value"].iloc[0] / self.sales) if self.sales > 0 else float("nan")


def past_year(shop: Shop) -> Past:
    """Sales to known customers in the twelve months before as_of, and those of the year before where there is one."""
    days = shop_facts.purchase_days(shop)
    first = pd.Timestamp(shop.fetch(days.aggregate(first=days["day"].min()))["first"].iloc[0]).date()
    start = shop.as_of - timedelta(days=YEAR)
    later = shop_facts.later_purchases(shop, start=start, end=shop.as_of).select("revenue")
    ranked = later.mutate(tenth=ibis.ntile(10).over(order_by=ibis.desc("revenue")))
    tenths = shop.fetch(ranked.group_by("tenth").aggregate(customers=ranked.count(), sales=ranked["revenue"].sum()))
    earlier = shop_facts.later_purchases(shop, start=start - timedelta(days=YEAR), end=start)
    known = first <= start - timedelta(days=YEAR)
    before = shop.fetch(earlier.aggregate(total=earlier["revenue"].sum()))["total"].iloc[0] if known else None
    paid = shop.has("orders", "total") or shop.has("order_lines")
    last = np.cumsum([share for _, share in TIERS])
    place = np.searchsorted(last, (tenths["tenth"].to_numpy(float) + 0.5) / 10)
    # To the cent: the order in which a sum is made must not show.
    sales = np.bincount(place, weights=tenths["sales"].to_numpy(float), minlength=len(TIERS)).round(2)
    return Past(
        start=max(first, start), whole=first <= start, sales=round(float(sales.sum()), 2) if paid else float("nan"),
        customers=int(tenths["customers"].sum()),
        before=round(float(before), 2) if before is not None and paid and before == before else None,
        tiers=pd.DataFrame({"tier": [name for name, _ in TIERS], "value": sales}),
    )  # fmt: skip


def yardstick(shop: Shop, *, days: int) -> tuple[float, int] | None:
    """Net sales in the last `days` to the customers known when they began, and how many these were.

    What to hold a forecast of as many days against; None under 100 of them, or without amounts.
    """
    if not (shop.has("orders", "total") or shop.has("order_lines")):
        return None
    start = shop.as_of - timedelta(days=days)
    known = shop_facts.customer_history(shop, until=start)
    customers = int(shop.fetch(known.aggregate(n=known.count()))["n"].iloc[0])
    sales = came(shop, "revenue", start=start, end=shop.as_of)
    return (round(sales, 2), customers) if customers >= _LEAST_KNOWN and sales else None


def came(shop: Shop, column: str, *, start: date, end: date) -> float:
    """What customers known at `start` brought from then to `end`: revenue, or purchases (days)."""
    known = shop_facts.customer_history(shop, until=start).select("customer_id")
    later = shop_facts.later_purchases(shop, start=start, end=end).semi_join(known, "customer_id")
    value = shop.fetch(later.aggregate(total=later[column].sum()))["total"].iloc[0]
    return 0.0 if pd.isna(value) else float(value)


def part_past(past: Past, *, currency: str) -> Part:
    """The finding where the coming year cannot be forecast: what came in the past one, and from how few."""
    told = [
        Metric(
            id="past_sales", label="Net sales, past 12 months" if past.whole else f"Net sales {past.period}",
            value=past.sales if past.sales == past.sales else None,
            unit=currency or "amount", n=past.customers, headline=past.sales == past.sales, before=past.before,
            against="the year before" if past.before is not None else "",
            definition=f"net sales to known customers from {past.start.isoformat()} on",
        ),
        Metric(id="past_buyers", label=f"Customers who bought {past.period}", value=past.customers, unit="customers",
               definition="distinct customers with a purchase in that time"),
    ]  # fmt: skip
    if not past.sales > 0:
        return Part(metrics=told)
    names = ["top tenth", "next two tenths", "next three tenths", "other four tenths"]
    rows = past.tiers.assign(name=names, strong=[True] + [False] * 3)
    said: dict[str, Any] = {"form": lambda value: wording.rounded_money(value, currency), "strong": "strong"}
    chart = figures.bars(rows, label="name", value="value", what=f"net sales {past.period}", **said)
    title = f"One in ten buyers brought {formats.share(past.top)} of net sales"
    return Part(title=title, chart=chart, glance=True, metrics=told)
