"""Which orders did the demo shop take, when, and what became of them?

The orders of its customers, of guests and of a wholesale buyer, in order of time, with their lines and money;
then which of them were cancelled or refunded before the shop's last day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib.shop.samples.demo.baskets import basket_lines, order_money, with_sequences
from crmlib.shop.samples.demo.catalogue import Catalogue
from crmlib.shop.samples.demo.population import (
    AS_OF,
    FIRST_DAY,
    HISTORY_DAYS,
    SPEND_SIGMA,
    Population,
    by_day,
)
from crmlib.shop.samples.demo.prices import priced
from crmlib.shop.samples.demo.special_days import moved

Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

GUEST, WHOLESALE = -1, -2  # buyers that are no customer of the population
GUEST_SHARE = 0.04
WHOLESALE_FROM_DAY = 61
CANCELLED_SHARE, REFUNDED_SHARE, FULL_REFUND_SHARE = 0.015, 0.045, 0.4
CHANNELS = {"web": 0.60, "app": 0.34, "phone": 0.06}
# How much is ordered in each hour of the day; none from two to six.
HOURS = np.array([6, 3, 0, 0, 0, 0, 4, 10, 16, 22, 26, 28, 32, 30, 28, 28, 30, 36, 48, 64, 72, 66, 44, 18.0])


@dataclass(frozen=True)
class Orders:
    """Orders in order of time, with parallel facts that are no columns of a shop's table.

    `table` has order_id, ordered_at and money columns; `lines` refers to orders by position (`order`);
    `buyer` is the customer's position in the population, GUEST or WHOLESALE.
    """

    table: pd.DataFrame
    lines: pd.DataFrame
    buyer: Ints
    big: Flags


def orders_taken(
    rng: np.random.Generator, *, day_rng: np.random.Generator, sequence_rng: np.random.Generator,
    price_rng: np.random.Generator, found: Population, goods: Catalogue,
) -> Orders:  # fmt: skip
    """All orders from the first day to the last, guests and the wholesale buyer included.

    What special days move, what customers come back for, and how many pieces they take at which price, is drawn from
    streams of their own.
    """
    history = found.day < HISTORY_DAYS
    buyer, day = found.buyer[history], found.day[history]
    guests = round(len(day) * GUEST_SHARE / (1 - GUEST_SHARE))
    weekly = np.arange(WHOLESALE_FROM_DAY, HISTORY_DAYS, 7)
    buyer = np.concatenate([buyer, np.full(guests, GUEST), np.full(len(weekly), WHOLESALE)])
    day = np.concatenate([day, rng.choice(day, size=guests), weekly])
    at = FIRST_DAY.astype("datetime64[s]") + day.astype("timedelta64[D]") + _time_of_day(rng, len(day))
    at = moved(day_rng, at, fixed=buyer == WHOLESALE)
    order = np.lexsort((buyer, at))
    buyer, at = buyer[order], at[order]

    month = at.astype("datetime64[M]").astype(np.int64) % 12 + 1
    level = found.people["spend_level"].to_numpy()
    guest_level = np.exp(SPEND_SIGMA * rng.standard_normal(len(at)) - SPEND_SIGMA**2 / 2)
    spend = np.where(buyer >= 0, level[np.maximum(buyer, 0)], np.where(buyer == GUEST, guest_level, 1.0))
    obsessive = int(np.flatnonzero((found.people["kind"] == "obsessive").to_numpy())[0])
    lines, big = basket_lines(
        rng, goods=goods, month=month, spend=spend, obsessive=buyer == obsessive, wholesale=buyer == WHOLESALE
    )
    day = (at.astype("datetime64[D]") - FIRST_DAY).astype(np.int64)
    lines = with_sequences(sequence_rng, lines=lines, goods=goods, buyer=buyer, day=day)
    lines = priced(price_rng, lines=lines, goods=goods, day=day)
    first = np.zeros(len(at), dtype=np.bool_)
    first[np.unique(buyer, return_index=True)[1]] = True
    first &= buyer >= 0
    table = pd.DataFrame(
        {
            "order_id": [f"D{number}" for number in range(100_001, 100_001 + len(at))],
            "ordered_at": at.astype("datetime64[us]"),
            "channel": rng.choice(list(CHANNELS), size=len(at), p=list(CHANNELS.values())),
            "currency": "EUR",
        }
    )
    money = order_money(rng, lines=lines, goods=goods, first_order=first, month=month)
    return Orders(table=pd.concat([table, money], axis=1), lines=lines, buyer=buyer, big=big)


def with_status(rng: np.random.Generator, *, table: pd.DataFrame, undisturbed: Flags) -> pd.DataFrame:
    """The orders with status, refunded, refunded_at and cancelled_at, as known on the shop's last day.

    What would have happened on or after that day has not happened: the order reads as completed. Orders that
    are `undisturbed` are completed.
    """
    size = len(table)
    at = table["ordered_at"].to_numpy().astype("datetime64[s]")
    draw = rng.random(size)
    after = (3600 * np.exp(1.5 + 1.2 * rng.standard_normal(size))).astype(np.int64)
    cancelled_at = by_day(at + after.astype("timedelta64[s]"))
    days = (3 + rng.gamma(2.0, 5.0, size)).astype(np.int64)
    office = rng.integers(8 * 3600, 18 * 3600, size)
    refunded_at = at.astype("datetime64[D]") + days.astype("timedelta64[D]") + office.astype("timedelta64[s]")
    full = rng.random(size) < FULL_REFUND_SHARE
    part = np.round(table["total"].to_numpy() * rng.uniform(0.1, 0.7, size), 2)

    end = AS_OF.astype("datetime64[s]")
    cancelled = (draw < CANCELLED_SHARE) & (cancelled_at < end) & ~undisturbed
    returned = (draw >= CANCELLED_SHARE) & (draw < CANCELLED_SHARE + REFUNDED_SHARE)
    returned &= (refunded_at < end) & ~undisturbed
    return table.assign(
        status=np.select(
            [cancelled, returned & full, returned], ["cancelled", "refunded", "partly_refunded"], "completed"
        ),
        refunded=np.where(returned, np.where(full, table["total"], part), 0.0),
        refunded_at=np.where(returned, refunded_at, np.datetime64("NaT")).astype("datetime64[us]"),
        cancelled_at=np.where(cancelled, cancelled_at, np.datetime64("NaT")).astype("datetime64[us]"),
    )


def _time_of_day(rng: np.random.Generator, size: int) -> NDArray[np.timedelta64]:
    hour = rng.choice(24, size=size, p=HOURS / HOURS.sum())
    seconds: NDArray[np.timedelta64] = (hour * 3600 + rng.integers(0, 3600, size)).astype("timedelta64[s]")
    return seconds
