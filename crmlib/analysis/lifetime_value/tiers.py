"""Which customers bring the value? Totals by tier, best first, each as wide as that tier was off in the test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from crmlib.analysis.forecasts import Total
from crmlib.analysis.lifetime_value.forecaster import Outlook
from crmlib.analysis.lifetime_value.timing import Floats
from crmlib.analysis.lifetime_value.validation import Validation
from crmlib.stats import top_share

TOP, WHOLESALE = "top tenth", "wholesale"
# tier -> share of customers, best first
TIERS = ((TOP, 0.1), ("next two tenths", 0.2), ("middle", 0.3), ("the rest", 0.4))


def tiers(frame: pd.DataFrame, outlook: Outlook, *, then: pd.DataFrame) -> pd.DataFrame:
    """Totals by tier. A range also holds what would come if the tier missed as it did in the test (`then`).

    Columns tier, customers, expected_orders, expected_value, low_value, high_value, share (wholesale apart),
    p_no_order; values empty where spend cannot be forecast.
    """
    missed = (then["came"] / then["forecast"].where(then["forecast"] > 0)).set_axis(then["tier"]).fillna(1.0)
    rows: list[dict[str, object]] = []
    whole = max(float(frame.loc[~frame["wholesale"], "expected_value"].sum()), 1e-12)
    for tier in (WHOLESALE, *(name for name, _ in TIERS)):
        some = frame[frame["tier"] == tier]
        if some.empty:
            continue
        total = outlook.money(some) if outlook.spend is not None else None
        if total and tier in missed:
            again = total.value * float(missed[tier])
            total = Total(value=total.value, low=min(total.low, again), high=max(total.high, again))
        elif total and len(some) == 1:
            # One buyer's own range, as the list has it.
            own = some[["low_value", "high_value"]].iloc[0]
            total = Total(value=total.value, low=float(own.iloc[0]), high=float(own.iloc[1]))
        value, low, high = (total.value, total.low, total.high) if total else (np.nan,) * 3
        rows.append(
            {"tier": tier, "customers": len(some), "expected_orders": float(some["expected_orders"].sum()),
             "expected_value": value, "low_value": low, "high_value": high,
             "share": value / whole if tier != WHOLESALE else np.nan, "p_no_order": float(some["p_no_order"].mean())}
        )  # fmt: skip
    return pd.DataFrame(rows)


def tier_of(crowd: np.ndarray) -> np.ndarray:
    """The tier of each customer, best first: by place among the `crowd`, or wholesale."""
    place = (np.cumsum(crowd) - 1) / max(crowd.sum(), 1)
    edges = np.cumsum([share for _, share in TIERS])[:-1]
    names = np.array([name for name, _ in TIERS])
    return np.where(crowd, names[np.searchsorted(edges, place + 1e-12, side="right")], WHOLESALE)


def tiers_then(validation: Validation) -> pd.DataFrame:
    """Orders of the test by tier, as the tiers of today share customers out: tier, forecast, came."""
    n = validation.customers
    said, bought = validation.expected[validation.chosen], validation.purchases
    edges = [0.0, *np.cumsum([share for _, share in TIERS])]
    forecast, came = (between(said, amount, n, edges) for amount in (said, bought))
    return pd.DataFrame({"tier": [name for name, _ in TIERS], "forecast": forecast, "came": came})


def between(score: Floats, amount: Floats, n: Floats, edges: Sequence[float]) -> Floats:
    """How much of `amount` the customers between such shares of all hold, best by `score` first."""
    total = float(n @ amount)
    if total == 0:
        return np.zeros(len(edges) - 1)
    reached = [float(top_share(score, amount, n[None, :], share=edge)[0]) if edge else 0.0 for edge in edges]
    return np.diff(reached) * total
