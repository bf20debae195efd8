"""Prices of the demo shop that moved, what buyers made of it, and promotions in strong weeks that hide it.

What a price changes is how many pieces a line has, never whether there is one: customers, orders, days and baskets stay
as they were. All is drawn by itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib.shop.samples.demo.catalogue import Catalogue
from crmlib.shop.samples.demo.population import FIRST_DAY

# product: percent more pieces for one percent more price, and (until, times today's price) of earlier prices
MOVED: dict[str, tuple[float, tuple[tuple[str, float], ...]]] = {
    "Ethiopia Yirgacheffe 250 g": (-0.5, (("2025-06-02", 1.16),)),
    "Sencha Uji 100 g": (-3.2, (("2025-03-03", 0.84),)),
    "Colombia Huila 250 g": (-1.2, (("2024-09-02", 0.83), ("2025-11-03", 0.92))),
    "Peppermint Leaves 75 g": (-1.4, (("2024-11-04", 0.86),)),
    "East Frisian Blend 250 g": (-1.0, (("2025-09-01", 0.88),)),
    "Decaf Mexico 250 g": (-1.8, (("2024-06-03", 1.13),)),
    "Brazil Cerrado 500 g": (-1.3, (("2025-05-05", 0.87),)),
    "Camomile Flowers 60 g": (-1.6, (("2026-01-05", 0.87),)),
    "Almond Cantuccini 200 g": (-2.2, (("2025-01-06", 1.14),)),
    "Oat Biscuits 250 g": (-0.9, (("2025-02-03", 0.82), ("2026-02-02", 0.9))),
    "Dark Chocolate 70 % 100 g": (-1.7, (("2024-08-05", 0.86),)),
    "Filter Roast Ground 500 g": (-1.1, (("2025-12-01", 1.14),)),
    "Rooibos Vanilla 100 g": (-1.5, (("2025-04-07", 0.87),)),
    "Wildflower Honey 500 g": (-2.0, (("2024-12-02", 0.88),)),
}
# Two weeks each, when the shop sells most: a fifth off, and more is bought than the price explains.
PROMOTIONS = ("2023-11-27", "2023-12-11", "2024-07-08", "2024-11-25", "2024-12-09", "2025-07-07", "2025-11-24",
              "2025-12-08", "2026-07-06")  # fmt: skip
PROMOTED = ("Colombia Huila 250 g", "Peppermint Leaves 75 g", "Brazil Cerrado 500 g", "Oat Biscuits 250 g",
            "Decaf Mexico 250 g", "Dark Chocolate 70 % 100 g", "Wildflower Honey 500 g", "Guatemala Antigua 250 g",
            "Lemon Curd 320 g")  # fmt: skip
PROMOTION_DAYS, OFF, LIFT, USUAL_SLOPE = 14, 0.2, 1.5, -1.5
# Its supplier asks more, and nobody has looked: since then it costs more than it brings.
COSTLY, COSTLY_FROM, COSTLY_TIMES = "Rock Sugar 500 g", "2026-05-04", 1.8
DISTRIBUTION = 4.20  # euros to pack and send an order
_MOST_PIECES = 12


def priced(rng: np.random.Generator, *, lines: pd.DataFrame, goods: Catalogue, day: NDArray[np.int64]) -> pd.DataFrame:
    """The lines at the prices of their day, with the pieces that were bought at these; `day` has one entry an order."""
    at = (FIRST_DAY + day)[lines["order"].to_numpy()]
    product, quantity = lines["product"].to_numpy(), lines["quantity"].to_numpy().copy()
    price, cost = lines["unit_price"].to_numpy(float).copy(), lines["unit_cost"].to_numpy(float).copy()
    asked = price * quantity
    share = np.divide(lines["discount"].to_numpy(float), asked, out=np.zeros(len(lines)), where=asked > 0)
    kept, more = rng.random(len(lines)), rng.random(len(lines))
    strong = np.zeros(len(lines), dtype=np.bool_)
    for start in PROMOTIONS:
        strong |= (at >= np.datetime64(start)) & (at < np.datetime64(start) + PROMOTION_DAYS)
    for name in dict.fromkeys([*MOVED, *PROMOTED]):
        own = np.flatnonzero(product == goods.position(name))
        slope, steps = MOVED.get(name, (USUAL_SLOPE, ()))
        today = float(goods.products["list_price"].iloc[goods.position(name)])
        then = np.full(len(own), today)
        for until, times in reversed(steps):
            then[at[own] < np.datetime64(until)] = round(today * times, 1)
        off = strong[own] if name in PROMOTED else np.zeros(len(own), dtype=np.bool_)
        wanted = (then * np.where(off, 1 - OFF, 1) / today) ** slope * np.where(off, LIFT, 1)
        price[own], share[own] = then, np.where(off, OFF, share[own])
        few = quantity[own] <= _MOST_PIECES  # the wholesale buyer takes what he takes
        pieces = _pieces(
            quantity[own], wanted, mean=quantity[own][few].mean() if few.any() else 1.0, draws=(kept[own], more[own])
        )
        quantity[own] = np.where(few, pieces, quantity[own])
    cost[(product == goods.position(COSTLY)) & (at >= np.datetime64(COSTLY_FROM))] *= COSTLY_TIMES
    cents = np.round(price * 100) * quantity
    discount = np.round(cents * share)
    money = {"discount": discount / 100, "line_total": (cents - discount) / 100}
    return lines.assign(quantity=quantity, unit_price=price, unit_cost=cost.round(2), **money)


def _pieces(
    quantity: NDArray[np.int64], wanted: NDArray[np.float64], *, mean: float, draws: tuple[NDArray[np.float64], ...]
) -> NDArray[np.int64]:
    """Pieces whose mean is `wanted` times what it was: fewer of those beyond the first, or some more."""
    from scipy import stats

    kept, more = draws
    left = np.clip(1 - (1 - wanted) * mean / max(mean - 1, 0.01), 0, 1)
    fewer = 1 + stats.binom.ppf(kept, np.maximum(quantity - 1, 0), left).astype(np.int64)
    extra = stats.poisson.ppf(more, np.maximum(wanted - 1, 0) * mean).astype(np.int64)
    return np.where(wanted < 1, fewer, quantity + extra)


def distribution() -> pd.DataFrame:
    """The row of `costs` that says what an order costs to send."""
    return pd.DataFrame({"kind": ["distribution"], "amount": [DISTRIBUTION], "valid_from": ["2023-10-01"]})


def truth(goods: Catalogue) -> dict[str, Any]:
    """What was planted, by product."""
    numbers = dict(zip(goods.products["name"], goods.products["product_id"], strict=True))
    return {
        "elasticities": {numbers[name]: slope for name, (slope, _) in MOVED.items()},
        "earlier_prices": {numbers[name]: [list(step) for step in steps] for name, (_, steps) in MOVED.items()},
        "promotions": {"from": list(PROMOTIONS), "days": PROMOTION_DAYS, "off": OFF, "lift_beyond_the_price": LIFT,
                       "products": [numbers[name] for name in PROMOTED]},
        "below_floor": {"product": numbers[COSTLY], "from": COSTLY_FROM, "cost_times": COSTLY_TIMES},
        "distribution_per_order": DISTRIBUTION,
        "definition": "expected pieces of a line are those of today times (price / today's price) ** elasticity",
    }  # fmt: skip
