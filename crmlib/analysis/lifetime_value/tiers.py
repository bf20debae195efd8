"""Which customers bring the value? Totals by tier, best first, each as wide as that tier was off in the test."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crmlib.analysis.forecasts import Total
from crmlib.analysis.lifetime_value.forecaster import Outlook
from crmlib.analysis.lifetime_value.shares import EDGES, TIERS, TOP, WHOLESALE, between
from crmlib.analysis.lifetime_value.validation import Validation

__all__ = ["TIERS", "TOP", "WHOLESALE", "between", "tier_of", "tiers", "tiers_then"]


def tiers(frame: pd.DataFrame, outlook: Outlook, *, validation: Validation) -> pd.DataFrame:
    """Totals by tier. A range also holds what would come if the tier missed as it did in any test.

    Columns tier, customers, expected_orders, expected_value, low_value, high_value, share (wholesale apart),
    p_no_order; values empty where spend cannot be forecast.
    """
    then = tiers_then(validation)
    missed = (then["came"] / then["forecast"].where(then["forecast"] > 0)).set_axis(then["tier"]).fillna(1.0)
    rows: list[dict[str, object]] = []
    whole = max(float(frame.loc[~frame["wholesale"], "expected_value"].sum()), 1e-12)
    for tier in (WHOLESALE, *(name for name, _ in TIERS)):
        some = frame[frame["tier"] == tier]
        if some.empty:
            continue
        total = outlook.money(some) if outlook.spend is not None else None
        if total and tier in missed:
            again = [total.value * by for by in (float(missed[tier]), *validation.tier_misses.get(tier, ()))]
            total = Total(value=total.value, low=min(total.low, *again), high=max(total.high, *again))
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


def tier_of(crowd: np.ndarray, score: np.ndarray) -> np.ndarray:
    """The tier of each customer, best first by `score`: by place among the `crowd`, or wholesale. Ties share a tier.

    It is the one in which the middle of those who tie stands, and the top one for whoever is best.
    """
    place = (np.cumsum(crowd) - 1) / max(crowd.sum(), 1)
    _, group = np.unique(-score, return_inverse=True)
    n = np.maximum(np.bincount(group, weights=crowd), 1)
    middle = (np.bincount(group, weights=crowd * place) / n)[group]
    place = np.where(group == group[crowd].min(initial=len(n)), 0.0, middle)
    edges = np.cumsum([share for _, share in TIERS])[:-1]
    names = np.array([name for name, _ in TIERS])
    return np.where(crowd, names[np.searchsorted(edges, place + 1e-12, side="right")], WHOLESALE)


def tiers_then(validation: Validation) -> pd.DataFrame:
    """Orders of the test by tier, as the tiers of today share customers out: tier, forecast, came."""
    n = validation.customers
    said, bought = validation.split, validation.purchases
    forecast, came = (between(said, amount, n, EDGES) for amount in (said, bought))
    return pd.DataFrame({"tier": [name for name, _ in TIERS], "forecast": forecast, "came": came})
