"""Who buys in the demo shop, and on which days?

Three kinds of buyers with dropout, run on a clock that goes faster in the season: regular ones leave
gamma-distributed gaps, irregular ones exponential gaps with a rate of their own, one-time buyers never
return. The process is continued for a year after the shop's last day, so that forecasts can be graded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

FIRST_DAY = np.datetime64("2023-10-01")
AS_OF = np.datetime64("2026-10-01")
HISTORY_DAYS = int((AS_OF - FIRST_DAY).astype(int))
FUTURE_DAYS = 365

# How busy a month is, 1 the average of the year; within a month by weekday, Monday first.
MONTHS = np.array([0.88, 0.90, 0.96, 0.96, 0.92, 0.76, 0.68, 0.73, 0.97, 1.06, 1.34, 1.86])
WEEKDAYS = np.array([1.12, 1.03, 1.00, 0.98, 0.88, 0.84, 1.15])

KINDS = ("regular", "irregular", "one_time", "registered_only")
# share of new customers, shares of the kinds (regular, irregular, one-time), how fast they drop out
CHANNELS: dict[str, tuple[float, tuple[float, float, float], float]] = {
    "search": (0.32, (0.29, 0.41, 0.30), 1.0),
    "social": (0.20, (0.20, 0.42, 0.38), 1.4),
    "referral": (0.14, (0.42, 0.40, 0.18), 0.6),
    "newsletter": (0.10, (0.36, 0.40, 0.24), 0.8),
    "coupon_site": (0.16, (0.12, 0.32, 0.56), 2.0),
    "market_stall": (0.08, (0.32, 0.38, 0.30), 0.8),
}
REGISTERED_ONLY_SHARE = 0.02
REGULAR_GAP_SHAPE = 4.0
REGULAR_RATE_MEDIAN, REGULAR_RATE_SIGMA = 16.0, 0.35  # orders per year, lognormal
IRREGULAR_RATE_SHAPE, IRREGULAR_RATE_MEAN = 1.1, 14.2  # orders per year, gamma
DROPOUT_SHAPE, DROPOUT_MEAN = 1.6, 0.62  # hazard per year of active life, gamma, before the channel's factor
SPEND_SIGMA = 0.5  # lognormal with mean 1


@dataclass(frozen=True)
class Population:
    """Buyers with their true parameters, and every order day of theirs until a year after the last day.

    `people` has one row per customer: kind, acquisition_channel, rate_per_year (orders per average year while
    active), first_day (days since 2023-10-01, -1 for none), dropout_day (a real number of days, infinite for
    nobody), spend_level (mean 1, independent of the rate). `buyer` and `day` are parallel, one per order.
    """

    people: pd.DataFrame
    buyer: Ints
    day: Ints


@dataclass(frozen=True)
class Calendar:
    """The season as a clock: `elapsed[d]` is the shop's time, in average days, at the start of day d."""

    elapsed: Floats
    busy: Floats

    def day_at(self, shop_time: Floats) -> Floats:
        """Calendar day, as a real number, at which the clock shows this time."""
        days: Floats = np.interp(shop_time, self.elapsed, np.arange(len(self.elapsed)))
        return days

    def time_at(self, day: Floats) -> Floats:
        """What the clock shows on this day."""
        times: Floats = np.interp(day, np.arange(len(self.elapsed)), self.elapsed)
        return times


def calendar() -> Calendar:
    """The demo shop's calendar from the first day to a year after the last."""
    dates = FIRST_DAY + np.arange(HISTORY_DAYS + FUTURE_DAYS)
    month = dates.astype("datetime64[M]").astype(int) % 12
    weekday = (dates.astype("datetime64[D]").astype(int) + 3) % 7
    busy = MONTHS[month] / MONTHS.mean() * WEEKDAYS[weekday] / WEEKDAYS.mean()
    return Calendar(elapsed=np.concatenate([[0.0], np.cumsum(busy)]), busy=busy)


def population(rng: np.random.Generator, *, customers: int, clock: Calendar) -> Population:
    """Draw the customers and their order days; the first regular one is the obsessive buyer."""
    names = list(CHANNELS)
    shares = np.array([CHANNELS[name][0] for name in names])
    channel = rng.choice(len(names), size=customers, p=shares / shares.sum())
    kind = np.empty(customers, dtype=np.int64)
    draw = rng.random(customers)
    for place, name in enumerate(names):
        edges = np.cumsum(CHANNELS[name][1])
        kind[channel == place] = np.searchsorted(edges[:2], draw[channel == place], side="right")
    kind[rng.random(customers) < REGISTERED_ONLY_SHARE] = 3

    # New customers come all the time, most in the first months after opening and in the season.
    rush = clock.busy[:HISTORY_DAYS] * (1 + 1.2 * np.exp(-np.arange(HISTORY_DAYS) / 200))
    first = rng.choice(HISTORY_DAYS, size=customers, p=rush / rush.sum()).astype(np.float64)

    regular_rate = REGULAR_RATE_MEDIAN * np.exp(REGULAR_RATE_SIGMA * rng.standard_normal(customers))
    irregular_rate = rng.gamma(IRREGULAR_RATE_SHAPE, IRREGULAR_RATE_MEAN / IRREGULAR_RATE_SHAPE, customers)
    rate = np.select([kind == 0, kind == 1], [regular_rate, irregular_rate], 0.0)
    haste = np.array([CHANNELS[name][2] for name in names])[channel]
    hazard = rng.gamma(DROPOUT_SHAPE, DROPOUT_MEAN / DROPOUT_SHAPE, customers) * haste
    dropout = first + 365.25 * rng.standard_exponential(customers) / hazard
    dropout = np.where(kind == 2, first, dropout)
    spend = np.exp(SPEND_SIGMA * rng.standard_normal(customers) - SPEND_SIGMA**2 / 2)

    obsessive = int(np.flatnonzero(kind == 0)[0])
    first[obsessive], rate[obsessive], dropout[obsessive] = 5.0, 75.0, np.inf
    first[kind == 3], dropout[kind == 3] = -1, -1

    buyer, day = _order_days(rng, kind=kind, first=first, rate=rate, dropout=dropout, clock=clock)
    people = pd.DataFrame(
        {
            "kind": np.array(KINDS)[kind],
            "acquisition_channel": np.array(names)[channel],
            "rate_per_year": rate.round(4),
            "first_day": first.astype(np.int64),
            "dropout_day": dropout,
            "spend_level": spend.round(4),
        }
    )
    people.loc[obsessive, "kind"] = "obsessive"
    return Population(people=people, buyer=buyer, day=day)


def _order_days(
    rng: np.random.Generator, *, kind: Ints, first: Floats, rate: Floats, dropout: Floats, clock: Calendar
) -> tuple[Ints, Ints]:
    end = len(clock.busy)
    buyers = np.flatnonzero(first >= 0)
    all_buyers, all_days = [buyers], [first[buyers]]
    active = buyers[rate[buyers] > 0]
    # Half a day in, so that a dropout on the first day and a second order on it are both possible.
    now = clock.time_at(first[active] + 0.5)
    while len(active):
        shape = np.where(kind[active] == 0, REGULAR_GAP_SHAPE, 1.0)
        now = now + rng.standard_gamma(shape) / shape * 365.25 / rate[active]
        day = clock.day_at(now)
        on = (now < clock.elapsed[-1]) & (day < np.minimum(dropout[active] + 0.5, end))
        active, now = active[on], now[on]
        all_buyers.append(active)
        all_days.append(day[on])
    buyer = np.concatenate(all_buyers)
    day_number = np.floor(np.concatenate(all_days)).astype(np.int64)
    order = np.lexsort((buyer, day_number))
    return buyer[order].astype(np.int64), day_number[order]


def by_day(moments: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """The moments, those between midnight and six put eight hours later: offices and writers sleep.

    So no time falls into the hour that summer time skips or repeats.
    """
    hour = moments.astype("datetime64[h]").astype(np.int64) % 24
    later: NDArray[np.datetime64] = moments + np.where(hour < 6, 8, 0).astype("timedelta64[h]")
    return later
