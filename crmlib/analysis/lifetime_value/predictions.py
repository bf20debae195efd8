"""What is said today that a later day can mark: predictions, and the grades of earlier ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd

from crmlib import wording
from crmlib.analysis.forecasts import Total, half_width
from crmlib.analysis.lifetime_value.chances import DAYS as _BUYS_DAYS
from crmlib.analysis.lifetime_value.chances import band_names, band_of
from crmlib.analysis.lifetime_value.past import came
from crmlib.analysis.lifetime_value.scoring import Scores
from crmlib.findings import Due, Grade, Part, Prediction
from crmlib.publishing import csv_rows
from crmlib.shop import facts as shop_facts
from crmlib.shop.shop import Shop

AHEAD_DAYS = 90
_DAYS = (30, AHEAD_DAYS)
_BUYS = "buys_90d"
LIST = "predictions"


def predictions(scores: Scores, *, shop: Shop) -> tuple[Prediction, ...]:
    """Orders and net sales of known customers in 30 and 90 days and the horizon, and who will order within 90 days.

    An order is a day on which a customer orders. Net sales are counted as they stand on the day of grading.
    """
    ahead, start = scores.forecaster, shop.as_of
    counts = ahead.patterns["customers"].to_numpy(float)
    made: list[Prediction] = []

    def said(id: str, label: str, unit: str, days: int, total: Total) -> None:
        made.append(
            Prediction(id=f"{id}_{days}d", label=f"{label} known customers in {days} days", unit=unit,
                       value=total.value, low=total.low, high=total.high, n=len(scores.customers),
                       start=start, end=start + timedelta(days=days))
        )  # fmt: skip

    for days in dict.fromkeys((*_DAYS, scores.horizon_days)):
        expected = ahead.orders(days)
        # Variances of single histories, which are only summed, need few draws.
        draws = ahead.simulate(days, n=int(np.clip(2_000_000 // len(counts), 16, 100)), seed=days)
        variance, own = draws.var(axis=1, dtype=float), ahead.spread(days, counts)
        total = scores.total(float(counts @ expected), float(np.sqrt(counts @ variance)), own)
        said("orders", "Orders by", "orders", days, total)
        if scores.spend is None:
            continue
        per_order, mean = _per_order(scores), expected[scores.row]
        # Chance of how many orders, and of how large each is.
        each = np.square(per_order)
        spread = np.sqrt(variance[scores.row] @ each + mean @ each * scores.spend.order_variance)
        own = float(np.hypot(own, scores.spend.mean_deviation))
        total = scores.total(float(mean @ per_order), float(spread), own)
        said("sales", "Net sales to", shop.currency or "amount", days, total)
    return (*made, *_bands(scores, start))


def predictions_list(scores: Scores) -> pd.DataFrame:
    """Who was given which chance to order within 90 days: customer_id, chance, band."""
    people = scores.customers
    band = np.array(band_names())[band_of(people["chance_90d"])]
    return pd.DataFrame({"customer_id": people["customer_id"], "chance": people["chance_90d"], "band": band})


def grade(shop: Shop, due: Sequence[Due]) -> tuple[Grade, ...]:
    """What came of earlier predictions whose time is over. Those that cannot be counted any more are left out."""
    grades = []
    for one in due:
        said = one.prediction
        if said.end > shop.as_of:
            continue
        if said.id.startswith(("orders_", "sales_")):
            column = "purchases" if said.id.startswith("orders_") else "revenue"
            grades.append(Grade(due=one, actual=came(shop, column, start=said.start, end=said.end)))
        elif said.id == _BUYS and one.lists is not None:
            rows = csv_rows(one.lists / f"{LIST}.csv")
            who = pd.Series([row["customer_id"] for row in rows if row["band"] == said.band], dtype=str)
            later = shop_facts.later_purchases(shop, start=said.start, end=said.end).select("customer_id")
            if len(who):
                bought = who.isin(shop.fetch(later, max_rows=20_000_000)["customer_id"])
                grades.append(Grade(due=one, actual=float(bought.mean())))
    return tuple(grades)


def _bands(scores: Scores, start: date) -> list[Prediction]:
    chance = scores.customers["chance_90d"].to_numpy(float)
    which, names = band_of(chance), band_names()
    half = scores.forecaster.chances.half_width(half_width(0.0, scores.errors))
    made = []
    for k, name in enumerate(names):
        some = chance[which == k]
        if not len(some):
            continue
        mean = float(some.mean())
        # Chance among this many, and what moves whole windows: as earlier ones were off, or as totals were.
        off = float(np.hypot(1.96 * np.sqrt((some * (1 - some)).sum()) / len(some), half * mean * (1 - mean)))
        made.append(
            Prediction(
                id=_BUYS, label=f"Order within {_BUYS_DAYS} days, given a chance of {name}", unit="share", value=mean,
                low=max(mean - off, 0.0), high=min(mean + off, 1.0), n=len(some), band=name,
                start=start, end=start + timedelta(days=_BUYS_DAYS),
            )
        )  # fmt: skip
    return made


def _per_order(scores: Scores) -> np.ndarray:
    """Net sales of a coming purchase day, per row of customers."""
    people = scores.customers
    expected = people["expected_orders"].to_numpy(float)
    share = scores.margin.share
    mean = people["expected_value"].sum() / max(expected.sum() * share, 1e-12)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = people["expected_value"].to_numpy(float) / (expected * share)
    return np.where(expected > 0, own, mean)


def part_predictions(scores: Scores, grades: Sequence[Grade], *, shop: Shop, tested: bool = True) -> Part:
    """What is said of the days ahead, for a later run to grade, and the grades of earlier runs; nothing is drawn.

    The next 90 days are put into words where a forecast of 90 days was tested.
    """
    said = predictions(scores, shop=shop)
    money = {prediction.id: prediction for prediction in said}.get(f"sales_{AHEAD_DAYS}d")
    ahead = []
    if tested and money is not None:
        amounts = [wording.rounded_money(end, shop.currency) for end in (money.low, money.high)]
        until = wording.day(money.end - timedelta(days=1), near=shop.as_of)
        ahead = [f"Known customers should bring between {amounts[0]} and {amounts[1]} of net sales by {until}."]
    return Part(predictions=said, grades=grades, ahead=ahead, lists={LIST: predictions_list(scores)})
