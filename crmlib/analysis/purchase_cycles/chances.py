"""Who buys in the next 7, 30 and 90 days, given the silence so far? Fitted on earlier days, tested on later ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.purchase_cycles.facts import rhythms
from crmlib.findings import Due, Grade, Metric, Part, Prediction
from crmlib.formats import Estimate
from crmlib.shop.shop import Shop
from crmlib.stats.intervals import Floats, share_interval
from crmlib.stats.logistic import chance, fit_logistic
from crmlib.stats.ranking import weighted_auc

HORIZONS = (7, 30, 90)
AHEAD = 30
_LEAST_EVENTS = 30
_TENTHS = 10
_WINDOWS = 3


@dataclass(frozen=True)
class Chances:
    """Chances of each customer today, and how chances of earlier days fared.

    customers  customer_id, purchases, silent_days, usual, and chance_7d, chance_30d, chance_90d as far as tested
    tenths     Contract's chances.csv: horizon, tenth, forecast, actual, low, high, n
    off        by horizon, log(actual / forecast) of the number of buyers on each earlier day tested
    ranked     by horizon, chance that a later buyer stood above another customer: by the chance, by recency alone
    """

    __repr__ = formats.outline

    customers: pd.DataFrame
    tenths: pd.DataFrame
    off: Mapping[int, tuple[float, ...]]
    ranked: Mapping[int, tuple[float, float]] = field(default_factory=dict)

    def due(self, days: int = AHEAD) -> Estimate:
        """How many customers will buy within so many days? With the range that earlier misses leave."""
        if days not in self.off:
            return Estimate(value=None, unit="customers")
        each = self.customers[f"chance_{days}d"].to_numpy(float)
        value = float(each.sum())
        # Chance of each alone, and the misses of whole days before: whatever is wider.
        alone = float(np.sqrt((each * (1 - each)).sum())) / max(value, 1e-9)
        error = max(alone, float(np.sqrt(np.mean(np.square(self.off[days])))) if self.off[days] else 0.0)
        low, high = value * np.exp(-1.96 * error), value * np.exp(1.96 * error)
        return Estimate(value=value, low=low, high=high, unit="customers", n=len(each))


def chances(shop: Shop) -> Chances:
    """The chance of a purchase within 7, 30 and 90 days for each customer who ever bought.

    A logistic regression on silence, number of purchases and silence beside the own rhythm, fitted on the window that
    ends where the test begins; the test's chances are held against what came, then it is fitted once more for today. A
    horizon for which the shop is too young has no column.

    >>> chances(shop).customers["chance_30d"].between(0, 1).all()
    np.True_
    """
    today = rhythms(shop, day=shop.as_of)
    tenths, off, ranked = [], {}, {}
    for days in HORIZONS:
        misses, fitted = [], None
        for back in range(_WINDOWS + 1, 0, -1):
            start, end = (shop.as_of - timedelta(days=days * at) for at in (back, back - 1))
            known = rhythms(shop, day=start, until=end)
            x, y = _measures(known), known["came"].to_numpy(bool)
            usable = bool(min(y.sum(), (~y).sum()) >= _LEAST_EVENTS)
            if usable and fitted is not None:
                expected = chance(fitted, x)
                misses.append(float(np.log(y.sum() / expected.sum())))
            # The latest window has to be usable: on it the test is made, and today's chances are fitted.
            fitted = fit_logistic(x, y) if usable else fitted if back > 1 else None
        if fitted is None or not misses:
            continue
        tenths.append(_tenths(expected, y, days))
        today[f"chance_{days}d"] = chance(fitted, _measures(today))
        off[days] = tuple(misses)
        own, recency = (float(weighted_auc(by, y, np.ones((1, len(y))))[0]) for by in (expected, -x[:, 0]))
        ranked[days] = own, recency
    # What is likely within a week is no less likely within a month.
    named = [f"chance_{days}d" for days in HORIZONS if f"chance_{days}d" in today]
    if named:
        today[named] = np.maximum.accumulate(today[named].to_numpy(), axis=1)
    columns = ["horizon", "tenth", "forecast", "actual", "low", "high", "n"]
    return Chances(today, pd.concat(tenths)[columns] if tenths else pd.DataFrame(columns=columns), off, ranked)


def _measures(known: pd.DataFrame) -> Floats:
    silent, bought = known["silent_days"].to_numpy(float), known["purchases"].to_numpy(float)
    usual = np.maximum(known["usual"].fillna(known["known_days"]).to_numpy(float), 1)
    quiet, ratio, often = np.log1p(silent), np.log((silent + 1) / usual), np.log(bought)
    # Curves, since a silence says little before the usual gap and much beyond it; a rhythm is known from three on.
    return np.column_stack([
        quiet, often, np.log(usual), ratio, np.square(np.minimum(ratio, 0)), np.square(np.maximum(ratio, 0)),
        np.square(quiet), ratio * (bought >= 3), quiet * often, bought == 1,
    ])  # fmt: skip


def _tenths(expected: Floats, came: np.ndarray, days: int) -> pd.DataFrame:
    order = pd.Series(expected).rank(method="first")
    at = np.minimum(((order - 1) * _TENTHS // len(expected)).astype(int), _TENTHS - 1)
    frame = pd.DataFrame({"tenth": at + 1, "forecast": expected, "came": came})
    found = frame.groupby("tenth").agg(forecast=("forecast", "mean"), came=("came", "sum"), n=("came", "size"))
    found["actual"] = found["came"] / found["n"]
    found["low"], found["high"] = share_interval(found["came"], found["n"])
    return found.reset_index().assign(horizon=days)


def part_chances(found: Chances) -> Part:
    """The finding: how many will buy within 30 days, and whether such chances held before."""
    due = found.due()
    frame = found.tenths[found.tenths["horizon"] == AHEAD]
    metric = Metric.of(
        due, id="due_30d", label=f"Will buy within {AHEAD} days", headline=due.value is not None,
        spread=True,
        note=f"{formats.number(float((frame['actual'] * frame['n']).sum()))} did in the last {AHEAD}, newcomers apart",
        definition=f"sum of the chances of all customers to buy within {AHEAD} days of this day",
    )  # fmt: skip
    if due.value is None or frame.empty:
        return Part(metrics=[metric], tables={"chances": found.tenths})
    shown = _groups(frame)
    title, sentence = _said(found.tenths)
    return Part(
        title=title, sentence=sentence,
        chart=figures.dots(
            shown, label="name", value="actual", low="low", high="high", form=formats.share,
            what=f"share who bought within {AHEAD} days",
            table=figures.tabulate(
                found.tenths, caption="Chances given, and who bought",
                labels={"horizon": "Days", "tenth": "Tenth", "forecast": "Chance", "actual": "Bought", "n": "People"},
                formats={"forecast": formats.share, "actual": formats.share, "n": formats.people},
                file="tables/chances.csv", rows=30,
            ),
        ),
        metrics=[metric], tables={"chances": found.tenths},
        certain=[f"The range for the number of buyers comes from how far off up to {_WINDOWS} earlier months were.",
                 _beside(*found.ranked[AHEAD])],
    )  # fmt: skip


def _beside(own: float, recency: float) -> str:
    """How well the chances tell who buys, beside the date of the last purchase alone."""
    own, recency = round(100 * own), round(100 * recency)
    alone = "so does the last purchase alone" if own == recency else f"the last purchase alone, {recency} times"
    return (
        f"Of two customers, the chance puts the one who bought within {AHEAD} days first {own} times in 100; {alone}."
    )


def _said(tenths: pd.DataFrame) -> tuple[str, str]:
    """In how many groups the chances of a month held, and which other chances did not; what that means."""
    title, missed = "", {}
    for days, part in tenths.groupby("horizon"):
        rows = _groups(part)
        high, low = int((rows["forecast"] > rows["high"]).sum()), int((rows["forecast"] < rows["low"]).sum())
        way = "off" if high and low else "too high" if high else "too low"
        if bad := 3 * (high + low) > len(rows):
            missed[days] = way
        if days == AHEAD:
            said = f"were {way} in {high + low}" if bad else f"held in {len(rows) - high - low}"
            title = f"{days}-day chances {said} of {len(rows)} groups of customers"
    for way in dict.fromkeys(missed[days] for days in missed if days != AHEAD):
        of = wording.listed(str(days) for days in missed if missed[days] == way and days != AHEAD)
        title += f"; those for {of} days were {way}"
    return title, "Take those as a rough guide." if missed else ""


def _groups(frame: pd.DataFrame) -> pd.DataFrame:
    """Tenths that were given the same chance, as one row; the highest first."""
    said = frame["forecast"].map(formats.share)
    sums = frame.assign(came=frame["actual"] * frame["n"], forecast=frame["forecast"] * frame["n"])
    found = sums.groupby(said.rename("said"), sort=False)[["came", "forecast", "n"]].sum()[::-1].reset_index()
    found["low"], found["high"] = share_interval(found["came"], found["n"])
    return found.assign(
        name="Chance given: " + found["said"],
        actual=found["came"] / found["n"],
        forecast=found["forecast"] / found["n"],
    )


def predictions(found: Chances, *, shop: Shop) -> list[Prediction]:
    """What is said of the next 30 days, for a later run to grade."""
    due = found.due()
    if due.value is None:
        return []
    return [
        Prediction(id="due_30d", label=f"Customers who buy within {AHEAD} days", unit="customers", value=due.value,
                   start=shop.as_of, end=shop.as_of + timedelta(days=AHEAD), low=due.low, high=due.high, n=due.n)
    ]  # fmt: skip


def grade(shop: Shop, due: tuple[Due, ...]) -> list[Grade]:
    """What became of earlier runs' numbers of buyers: customers known then who bought in the time spoken of."""
    grades = []
    for one in due:
        said = one.prediction
        if said.id != "due_30d" or said.end > shop.as_of:
            continue
        came = rhythms(shop, day=one.as_of, until=said.end)["came"]
        grades.append(Grade(due=one, actual=float(came.sum())))
    return grades
