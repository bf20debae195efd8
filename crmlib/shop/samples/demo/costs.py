"""What does the demo shop pay to win customers? A monthly bill a channel, in step with how many it won."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib.shop.samples.demo.population import FIRST_DAY, HISTORY_DAYS

# euros for a new customer who buys, on average over the years
COST_PER_CUSTOMER = {
    "search": 62.0,
    "social": 88.0,
    "referral": 18.0,
    "newsletter": 9.0,
    "coupon_site": 145.0,
    "market_stall": 34.0,
}
_MONTHLY_SIGMA = 0.12


def acquisition_costs(rng: np.random.Generator, *, channel: NDArray[Any], first_day: NDArray[np.int64]) -> pd.DataFrame:
    """Rows of `costs`: a bill a month and channel, and for each channel a whole in exact step with those it won.

    `first_day` counts from the shop's first day; those below 0 never bought and cost nothing here.
    """
    day = FIRST_DAY + np.maximum(first_day, 0)
    month = day.astype("datetime64[M]").astype(int)
    months = np.arange(month.min(), (FIRST_DAY + HISTORY_DAYS - 1).astype("datetime64[M]").astype(int) + 1)
    bills = []
    for name, cost in COST_PER_CUSTOMER.items():
        won = np.bincount(month[(channel == name) & (first_day >= 0)] - months[0], minlength=len(months))
        noisy = (won + 0.2) * np.exp(_MONTHLY_SIGMA * rng.standard_normal(len(months)))
        amount = noisy / noisy.sum() * won.sum() * cost
        bills.append(pd.DataFrame({"month": months, "acquisition_channel": name, "amount": amount.round(2)}))
    table = pd.concat(bills, ignore_index=True).sort_values(["month", "acquisition_channel"], ignore_index=True)
    return pd.DataFrame(
        {
            "kind": "acquisition",
            "amount": table["amount"],
            "valid_from": pd.to_datetime(table["month"].to_numpy().astype("datetime64[M]")).strftime("%Y-%m-%d"),
            "campaign_id": "",
            "acquisition_channel": table["acquisition_channel"],
        }
    )
