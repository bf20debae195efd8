"""Four prices that customers of the demo shop named for two products, with a known best price.

All is drawn by itself: no other table changes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from crmlib.shop.samples.demo.catalogue import Catalogue
from crmlib.shop.samples.demo.population import AS_OF

# product: the price at which as many find it too cheap as too dear, and how many answered
ASKED = {"Sencha Uji 100 g": (11.0, 240), "Matcha Ceremonial 30 g": (21.0, 120)}
# A person's prices lie this far, in logarithms, about that person's own middle; alike below and above it, so that
# answers are symmetric and every crossing is known.
_NEAR, _FAR, _SPREAD, _BETWEEN = 0.15, 0.45, 0.05, 0.2
_MUDDLED = 6  # answers that do not rise, where there is dirt


def survey(
    rng: np.random.Generator, *, goods: Catalogue, ids: np.ndarray[Any, Any], dirty: bool
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The table of answers, and what is true of it; `ids` are the customers who may have answered."""
    numbers, rows = dict(zip(goods.products["name"], goods.products["product_id"], strict=True)), []
    for name, (best, people) in ASKED.items():
        middle = np.log(best) + rng.normal(0, _BETWEEN, people)
        near, far = (size + _SPREAD * rng.uniform(-1, 1, (2, people)) for size in (_NEAR, _FAR))
        logs = (middle - far[0], middle - near[0], middle + near[1], middle + far[1])
        prices = np.column_stack([np.exp(log).round(1) for log in logs])
        rows.append(pd.DataFrame(prices, columns=["too_cheap", "cheap", "expensive", "too_expensive"]).assign(
            product_id=numbers[name], customer_id=rng.choice(ids, people, replace=people > len(ids)),
            asked_at=(AS_OF - rng.integers(10, 60, people)).astype("datetime64[s]"),
        ))  # fmt: skip
    table = pd.concat(rows, ignore_index=True)
    if dirty:
        muddled = rng.choice(len(table), _MUDDLED, replace=False)
        table.loc[muddled, ["cheap", "expensive"]] = table.loc[muddled, ["expensive", "cheap"]].to_numpy()
    away = float(np.exp((_NEAR + _FAR) / 2))
    truth = {
        numbers[name]: {"best": best, "from": round(best / away, 4), "to": round(best * away, 4), "answers": people}
        for name, (best, people) in ASKED.items()
    }
    columns = ["product_id", "too_cheap", "cheap", "expensive", "too_expensive", "customer_id", "asked_at"]
    return table[columns], {"products": truth, "not_rising": _MUDDLED if dirty else 0}
