"""What there is, in a shop with too few customers to conclude anything: all of them, counted."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crmlib import figures, formats
from crmlib.findings import Part
from crmlib.shop.facts import customer_history
from crmlib.shop.shop import Shop

_ENDS = (30, 90, 180, 365)


def part_there(shop: Shop, *, needed: str) -> Part:
    """Customers by days since their last purchase, and `needed`: a sentence that says from how many on one could tell.

    >>> part_there(store, needed="Twenty are needed.").sentence
    'Twenty are needed.'
    """
    rows = shop.fetch(customer_history(shop, until=shop.as_of), max_rows=1_000_000)
    silent = (pd.Timestamp(shop.as_of) - pd.to_datetime(rows["last_day"])).dt.days
    names = [f"at most {end} days" for end in _ENDS] + ["longer"]
    band = pd.Categorical(np.array(names)[np.searchsorted(_ENDS, silent)], categories=names, ordered=True)
    frame = rows.assign(silent=band, purchases=rows["frequency"] + 1)
    by = frame.groupby("silent", observed=True).agg(customers=("customer_id", "size"), purchases=("purchases", "sum"))
    return Part(
        title="What there is", sentence=needed,
        chart=figures.table(
            by.reset_index().astype({"silent": str}), caption="Customers by days since their last purchase",
            labels={"silent": "Silent for", "customers": "Customers", "purchases": "Purchase days"},
            formats={"customers": formats.number, "purchases": formats.number},
        ),
    )  # fmt: skip
