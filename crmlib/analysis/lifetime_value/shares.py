"""How far were forecasts off by tier, that is by shares of the customers, best first?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from crmlib.analysis.lifetime_value.methods import Look
from crmlib.analysis.lifetime_value.timing import Floats
from crmlib.stats import top_share

TOP, WHOLESALE = "top tenth", "wholesale"
# tier -> share of customers, best first
TIERS = ((TOP, 0.1), ("next two tenths", 0.2), ("middle", 0.3), ("the rest", 0.4))
EDGES = (0.0, *(float(edge) for edge in np.cumsum([share for _, share in TIERS])))


def between(score: Floats, amount: Floats, n: Floats, edges: Sequence[float] = EDGES) -> Floats:
    """How much of `amount` the customers between such shares of all hold, best by `score` first."""
    total = float(n @ amount)
    if total == 0:
        return np.zeros(len(edges) - 1)
    reached = [float(top_share(score, amount, n[None, :], share=edge)[0]) if edge else 0.0 for edge in edges]
    return np.diff(reached) * total


def tier_misses(
    looks: Sequence[Look], method: str, *, money: pd.DataFrame | None = None
) -> Mapping[str, tuple[float, ...]]:
    """What came of each tier over what was forecast of it, look by look; then of `money` said and come by customer.

    One order more to both: of a tier that brings next to nothing, a ratio says little.
    """
    ratios = []
    for at in looks:
        mean, n = at.expected[method], at.customers
        ratios.append((between(mean, at.purchases, n) + 1) / (between(mean, mean, n) + 1))
    if money is not None and len(money):
        said, came = (money[name].to_numpy(float) for name in ("said", "came"))
        n, one = np.ones(len(said)), float(said.sum()) / max(looks[0].total(method), 1.0)
        ratios.append((between(said, came, n) + one) / (between(said, said, n) + one))
    columns = np.array(ratios).reshape(-1, len(TIERS)).T.tolist()
    return {tier: tuple(column) for (tier, _), column in zip(TIERS, columns, strict=True)}
