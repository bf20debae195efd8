"""How many of the newcomers who have bought once will come back in the next 90 days?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from crmlib import formats, wording
from crmlib.analysis import forecasts
from crmlib.analysis.cohorts.facts import LEAST, Newcomers
from crmlib.analysis.forecasts import Errors, Total
from crmlib.findings import Due, Grade, Part, Prediction

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

DAYS, WINDOW = 90, 180
_LOOKS, _MOST_ROWS = 3, 500_000
_ID = f"newcomers_back_{DAYS}d"


@dataclass(frozen=True, kw_only=True)
class Ahead:
    """How many of `waiting` newcomers (first order in the last 90 days, one purchase day) will come back, and the
    errors of the same forecast on earlier days."""

    waiting: int
    total: Total | None
    errors: Errors


def waits(people: ir.Table) -> ir.Table:
    """Grain: a first day and a wait of newcomers: first_day, second_days (empty: none within 180 days), n."""
    soon = people.mutate(
        second_days=ibis.ifelse(people["second_days"] <= WINDOW, people["second_days"], ibis.null("int64"))
    )
    return soon.group_by("first_day", "second_days").aggregate(n=soon.count()).order_by("first_day", "second_days")


def ahead(shop: Shop, found: Newcomers) -> Ahead:
    """How many newcomers of the last 90 days who bought once will buy again in the next 90?

    From the daily chances to come back of the last 180 days, whatever the cohort; its errors are those of three earlier
    days. No total where fewer than 30 wait.

    >>> ahead(store, measure(store)).waiting >= 0
    True
    """
    frame = _waits(shop, found, begun=shop.as_of - timedelta(days=WINDOW + (_LOOKS + 1) * DAYS + WINDOW))
    waiting, value, own = expect(frame, shop.as_of)
    seen: list[tuple[float, float, float]] = []
    for back in range(_LOOKS, 0, -1):
        then = shop.as_of - timedelta(days=back * DAYS)
        there, said, error = expect(frame, then)
        if there >= LEAST and said > 0:
            seen.append((came(frame, then), said, error))
    errors = forecasts.errors_of(*zip(*seen, strict=True)) if seen else Errors()
    if waiting < LEAST or value <= 0:
        return Ahead(waiting=waiting, total=None, errors=errors)
    return Ahead(waiting=waiting, total=forecasts.band(value, own, errors, most=waiting), errors=errors)


def _waits(shop: Shop, found: Newcomers, *, begun: date) -> pd.DataFrame:
    rows = found.people.filter(found.people["first_day"] >= ibis.literal(begun))
    frame = shop.fetch(waits(rows), max_rows=_MOST_ROWS)
    return frame.assign(first_day=pd.to_datetime(frame["first_day"]), second=frame["second_days"].astype(float))


def expect(frame: pd.DataFrame, day: date) -> tuple[int, float, float]:
    """Newcomers waiting on `day`, how many are expected within 90 days, and the relative deviation of that number."""
    at = pd.Timestamp(day)
    age = (at - frame["first_day"]).dt.days.to_numpy()  # days behind them on `day`; their first day has age 0
    second, n = frame["second"].to_numpy(), frame["n"].to_numpy(float)
    known = age > 0
    offsets = np.arange(1, WINDOW + 1)
    # Of the last 180 days: who was still waiting at an age, and who came back at it.
    start = np.maximum(age - WINDOW, 0)
    left = np.where(second < age, second, age - 1)  # the last age seen
    chance = np.zeros(WINDOW + 1)
    for offset in offsets:
        there = known & (offset >= start) & (offset <= left) & (offset < age)
        exposed, events = n[there].sum(), n[there & (second == offset)].sum()
        chance[offset] = events / exposed if exposed else 0.0
    stay = np.cumprod(1 - chance)
    open_ = known & (age <= DAYS) & ~(second < age)
    ages = age[open_] - 1  # the last day lived through
    later = np.minimum(ages + DAYS, WINDOW)
    p = 1 - stay[later] / np.maximum(stay[ages], 1e-12)
    waiting = n[open_]
    value, variance = float(waiting @ p), float(waiting @ (p * (1 - p)))
    # The chances are themselves counted: as uncertain as so many comings back are.
    events = float(n[known & (second < age) & (age <= WINDOW)].sum())
    own = np.sqrt(variance / value**2 + 1 / max(events, 1.0)) if value > 0 else 0.0
    return int(waiting.sum()), value, float(own)


def came(frame: pd.DataFrame, day: date) -> float:
    """How many of those waiting on `day` came back within 90 days."""
    age = (pd.Timestamp(day) - frame["first_day"]).dt.days
    open_ = (age > 0) & (age <= DAYS) & ~(frame["second"] < age)
    return float(frame.loc[open_ & (frame["second"] < age + DAYS), "n"].sum())


def part_ahead(found: Ahead, grades: Sequence[Grade] = (), *, shop: Shop) -> Part:
    """What is said of the next 90 days, how it did before, and what became of what earlier runs said."""
    if found.total is None:
        return Part(grades=grades)
    said = found.total.estimate("newcomers", n=found.waiting)
    ends = f"between {formats.number(found.total.low)} and {formats.number(found.total.high)}"
    prediction = Prediction(
        id=_ID, label=f"Newcomers of the last {DAYS} days who come back", unit="customers", value=found.total.value,
        start=shop.as_of, end=shop.as_of + timedelta(days=DAYS), low=found.total.low, high=found.total.high,
        n=found.waiting,
    )  # fmt: skip
    text = (
        f"Of {formats.number(found.waiting)} newcomers who have bought once, about {said.text} ({ends}) should come "
        f"back in the next {DAYS} days."
    )
    worst = max((abs(np.expm1(error)) for error in found.errors.seen), default=None)
    missed = f"On earlier days the same forecast missed by up to {formats.share(worst)}." if worst is not None else ""
    return Part(
        ahead=[text], certain=[wording.sentences(text, missed)],
        predictions=[prediction], grades=grades,
    )  # fmt: skip


def grade(shop: Shop, found: Newcomers, due: tuple[Due, ...]) -> list[Grade]:
    """What became of what earlier runs said of their newcomers."""
    open_ = [one for one in due if one.prediction.id == _ID and one.prediction.end <= shop.as_of]
    if not open_:
        return []
    frame = _waits(shop, found, begun=min(one.as_of for one in open_) - timedelta(days=DAYS))
    return [Grade(due=one, actual=came(frame, one.as_of)) for one in open_]
