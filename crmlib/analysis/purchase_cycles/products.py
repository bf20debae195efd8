"""Which products are used up and bought again, and after how long?"""

from __future__ import annotations

import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.purchase_cycles.facts import product_gaps
from crmlib.analysis.purchase_cycles.returns import again
from crmlib.findings import Part
from crmlib.shop.shop import Shop

_LEAST_AGAIN = 0.3  # of its buyers within a year, from which a product counts as bought again
_MOST_SPREAD = 3.0  # how far the time for three quarters may lie beyond that for one quarter of those who come


def replenished(shop: Shop) -> pd.DataFrame:
    """Which products are bought again, and when? product_id, name, buyers, share_year, low, high, from_days, to_days.

    By Kaplan and Meier, open gaps counted; `from_days` and `to_days` hold the middle half of those who buy it again
    within a year. Products that 50 customers or more bought again; the steadiest first. Empty without order lines.

    >>> list(replenished(shop).columns)[:2]
    ['product_id', 'name']
    """
    columns = ["product_id", "name", "buyers", "share_year", "low", "high", "from_days", "to_days"]
    if not shop.has("order_lines"):
        return pd.DataFrame(columns=columns)
    counts = product_gaps(shop, day=shop.as_of)
    rows = []
    for product, part in counts.groupby("product_id"):
        found = again(part)
        year = found.by(365)
        if not year.value or year.value < _LEAST_AGAIN:
            continue
        quarter, three = (float(found.days[(found.share >= year.value * share).argmax()]) for share in (0.25, 0.75))
        if three <= _MOST_SPREAD * max(quarter, 1):
            rows.append((product, found.n, year.value, year.low, year.high, quarter, three))
    frame = pd.DataFrame(rows, columns=[name for name in columns if name != "name"])
    names = frame["product_id"]
    if shop.has("products", "name") and len(frame):
        known = shop.fetch(shop.table("products").select("product_id", "name")).set_index("product_id")["name"]
        names = frame["product_id"].map(known).fillna(frame["product_id"])
    frame.insert(1, "name", names)
    spread = frame["to_days"] / frame["from_days"].clip(lower=1)
    return frame.assign(_s=spread).sort_values("_s", ignore_index=True).drop(columns="_s")[columns]


def part_products(frame: pd.DataFrame) -> Part:
    """The finding: which products are bought again more steadily than others."""
    if frame.empty:
        return Part(tables={"products": frame})
    n = len(frame)
    top = frame.iloc[0]
    shown = frame.assign(when=[f"{int(row.from_days)}–{int(row.to_days)}" for row in frame.itertuples()])
    return Part(
        title=f"{wording.upper(wording.counted(n, 'product'))} {wording.noun(n, 'is')} bought again more steadily than "
        "others",
        sentence=f"{top['name']}: {formats.share(top['share_year'])} buy it again within a year, half of them after "
        f"{int(top['from_days'])} to {int(top['to_days'])} days.",
        chart=figures.table(
            shown, caption="Products that are bought again",
            labels={"name": "Product", "buyers": "Purchases", "share_year": "Bought again in a year",
                    "when": "After days"},
            formats={"buyers": formats.people, "share_year": formats.share}, rows=10, file="tables/products.csv",
        ),
        tables={"products": frame},
    )  # fmt: skip
