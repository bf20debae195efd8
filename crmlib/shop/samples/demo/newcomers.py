"""What befalls newcomers of the demo shop: a worse first order from one month on, and the way that led to it.

Each is drawn by itself, so that whatever else the shop holds stays as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib.shop.samples.demo.catalogue import Catalogue
from crmlib.shop.samples.demo.orders import Orders
from crmlib.shop.samples.demo.population import AS_OF, FIRST_DAY, Population

Flags = NDArray[np.bool_]
FirstOrders = Literal["changed", "as before", "one better"]

CHANGED_FROM, LOST_SHARE = np.datetime64("2026-04-01"), 0.5
BETTER_PRODUCT, LOST_OF_OTHERS = "Earl Grey Classic 100 g", 0.35

WITH_PATH, MORE_VISITS_MEAN, SAME_CHANNEL = 0.7, 1.3, 0.55
_OTHER_VISITS = {"direct": 0.4, "search": 0.3, "social": 0.15, "newsletter": 0.1, "comparison": 0.05}
_DEVICES = {"phone": 0.62, "computer": 0.31, "tablet": 0.07}


@dataclass(frozen=True)
class Lost:
    """Customers who never came back after their first order, by position, and the orders that so were never placed."""

    people: Flags
    orders: Flags


def lost(
    rng: np.random.Generator, *, how: FirstOrders, found: Population, taken: Orders, goods: Catalogue, spoken: Flags
) -> Lost:
    """Who would have come back and did not?

    'changed': a share of those whose first order came on or after CHANGED_FROM, but nobody who wrote about a later
    order (`spoken`, by order), so that all texts stay as they were; 'one better': a share of those whose first order
    lacked BETTER_PRODUCT; 'as before': nobody.
    """
    size = len(found.people)
    first = np.full(size + 2, -1)
    who, where = np.unique(taken.buyer, return_index=True)
    first[who] = where
    later = (taken.buyer >= 0) & (np.arange(len(taken.buyer)) != first[taken.buyer])
    draw = rng.random(size)
    if how == "changed":
        since = int((CHANGED_FROM - FIRST_DAY).astype(int))
        picked = (found.people["first_day"].to_numpy() >= since) & (draw < LOST_SHARE)
        picked &= ~np.isin(np.arange(size), taken.buyer[later & spoken])
    elif how == "one better":
        with_it = taken.lines.loc[taken.lines["product"] == goods.position(BETTER_PRODUCT), "order"]
        bought = np.isin(first[:size], with_it)
        picked = (first[:size] >= 0) & ~bought & (draw < LOST_OF_OTHERS)
    else:
        picked = np.zeros(size, dtype=np.bool_)
    picked &= (found.people["kind"] != "obsessive").to_numpy()
    return Lost(people=picked, orders=later & np.append(picked, [False, False])[taken.buyer])


def touches(rng: np.random.Generator, *, found: Population, taken: Orders, ids: NDArray[Any]) -> pd.DataFrame:
    """Visits before the first order, of those who may be followed: the first by the channel that won them.

    One row a visit, in order of time: customer_id, at, channel, kind, campaign_id, device.
    """
    size = len(found.people)
    who, where = np.unique(taken.buyer, return_index=True)
    who, where = who[who >= 0], where[who >= 0]
    seen = rng.random(size)[who] < WITH_PATH
    who, at = who[seen], taken.table["ordered_at"].to_numpy()[where[seen]].astype("datetime64[s]")
    visits = 1 + rng.poisson(MORE_VISITS_MEAN, len(who))
    row = np.repeat(np.arange(len(who)), visits)
    number = np.arange(len(row)) - np.repeat(np.cumsum(visits) - visits, visits)
    left = np.repeat(visits, visits) - 1 - number
    # The last minutes before the order; each visit before that some days earlier, at the same time of day.
    gap = np.where(left > 0, rng.integers(1, 10, len(row)), 0)
    ends = np.cumsum(gap)[np.cumsum(visits) - 1]
    days = (ends[row] - np.cumsum(gap) + gap).astype("timedelta64[D]")
    minutes = rng.integers(120, 2400, len(who)).astype("timedelta64[s]")
    won_by = found.people["acquisition_channel"].to_numpy()[who][row]
    other = rng.choice(list(_OTHER_VISITS), size=len(row), p=list(_OTHER_VISITS.values()))
    same = (number == 0) | (rng.random(len(row)) < SAME_CHANNEL)
    device = rng.choice(list(_DEVICES), size=len(row), p=list(_DEVICES.values()))
    table = pd.DataFrame(
        {
            "customer_id": ids[who][row],
            "at": (at[row] - minutes[row] - days).astype("datetime64[us]"),
            "channel": np.where(same, won_by, other),
            "kind": "visit",
            "campaign_id": "",
            "device": device,
        }
    )
    return table.sort_values(["at", "customer_id"], kind="stable", ignore_index=True)


def without(table: pd.DataFrame, faults: dict[str, list[int]], gone: set[str]) -> pd.DataFrame:
    """A table without the rows of these orders; `faults` are renumbered in place."""
    keep = ~table["order_id"].isin(gone).to_numpy()
    place = np.cumsum(keep) - 1
    for kind, rows in faults.items():
        faults[kind] = [int(place[row]) for row in rows if keep[row]]
    return table[keep].reset_index(drop=True)


def truth(how: FirstOrders, lost: Lost, *, goods: Catalogue, ids: NDArray[Any]) -> dict[str, Any]:
    """What was planted, and whom it struck."""
    numbers = dict(zip(goods.products["name"], goods.products["product_id"], strict=True))
    said: dict[str, Any] = {"first_orders": how, "lost": ids[: len(lost.people)][lost.people].tolist()}
    if how == "changed":
        said |= {"from": str(CHANGED_FROM), "lost_share": LOST_SHARE}
    elif how == "one better":
        said |= {"product": numbers[BETTER_PRODUCT], "lost_of_others": LOST_OF_OTHERS}
    return said


def truth_of_touches() -> dict[str, Any]:
    """How paths were drawn; nobody bought because of a visit."""
    return {
        "share_of_buyers_with_a_path": WITH_PATH,
        "visits_before_the_first_order_mean": 1 + MORE_VISITS_MEAN,
        "first_visit": "by acquisition_channel",
        "later_visit_by_the_same_channel": SAME_CHANNEL,
        "later_visit_by_another": dict(_OTHER_VISITS),
        "until": str(AS_OF),
    }
