"""Who of those who left comes back unasked? Counted on earlier days, said of the next ones, graded by later runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from crmlib import formats, wording
from crmlib.analysis.forecasts import Errors, Total, band
from crmlib.analysis.retention.facts import AHEAD, BANDS, MAX_CUSTOMERS, silences
from crmlib.analysis.retention.left import Left
from crmlib.findings import Due, Grade, Metric, Part, Prediction
from crmlib.publishing import csv_rows
from crmlib.shop.facts import later_purchases
from crmlib.shop.shop import Shop

LIST, AWAY = "left", f"left_{AHEAD}d"
_WINDOWS = 4
_PRIOR = 20.0  # customers of the average that a cell's share is drawn towards
_LEAST = 100
_ROUGH = 1.25  # times as many as expected, or as few, from which on a forecast is called rough


@dataclass(frozen=True)
class Back:
    """The chance that somebody who left buys within AHEAD days unasked.

    chance   one for each row of `Left.people`; nan where nothing could be counted
    windows  earlier spans of AHEAD days: back (days ago of their begin), n, came, expected (from those before it)
    total    how many of those who left will come back in the next AHEAD days; None where nothing could be counted
    """

    __repr__ = formats.outline

    chance: pd.Series
    windows: pd.DataFrame
    total: Total | None

    @property
    def most(self) -> bool:
        """Do most of those who left come back unasked? Then few are gone, they are only late."""
        return self.total is not None and self.total.value > len(self.chance) / 2


def back(shop: Shop, found: Left) -> Back:
    """How likely does each customer who left come back unasked, given how long and how often they had bought?

    Shares of those who came in up to four earlier spans, by purchases and length of silence, drawn towards the share of
    all, and put to the level of the newest span, since shares fall as those who are gone for good gather. Each span was
    forecast from those before it; the range of the total is widened by what it was off.

    >>> back(store, left(store, limits(store))).chance.between(0, 1).all()
    np.True_
    """
    nothing = Back(pd.Series(np.nan, index=found.people.index), pd.DataFrame(), None)
    if found.at.few:
        return nothing
    counted = [shop.fetch(silences(shop, found.at, back=AHEAD * k)).assign(back=AHEAD * k)
               for k in range(_WINDOWS, 0, -1)]  # fmt: skip
    cells = pd.concat(counted)
    if cells["n"].sum() < _LEAST or not cells["came"].any() or found.people.empty:
        return nothing
    windows = []
    for start, part in cells.groupby("back"):
        before = cells[cells["back"] > start]
        expected = float((part["n"] * _of(before, part)).sum()) if before["came"].any() else np.nan
        windows.append((start, int(part["n"].sum()), int(part["came"].sum()), expected))
    frame = pd.DataFrame(windows, columns=["back", "n", "came", "expected"])
    chance = _of(cells, found.people)
    value = float(chance.sum())
    tested = frame[(frame["came"] > 0) & (frame["expected"] > 0)]
    seen = tuple(float(e) for e in np.log(tested["came"] / tested["expected"]))
    own = float(np.sqrt((chance * (1 - chance)).sum())) / max(value, 1e-9)
    each = tuple(float(e) for e in 1 / np.sqrt(tested["expected"]))
    return Back(
        pd.Series(chance, index=found.people.index),
        frame,
        band(value, own, Errors(seen, each), most=float(len(chance))),
    )


def _of(cells: pd.DataFrame, rows: pd.DataFrame) -> np.ndarray:
    """The share of each row's kind and band who came, by these cells, at the level of their newest span."""
    newest = cells[cells["back"] == cells["back"].min()]
    level = (newest["came"].sum() + _PRIOR) / (float((newest["n"] * _shares(cells, newest)).sum()) + _PRIOR)
    return np.minimum(_shares(cells, rows) * level, 1.0)


def _shares(cells: pd.DataFrame, rows: pd.DataFrame) -> np.ndarray:
    mean = cells["came"].sum() / cells["n"].sum()
    by = cells.groupby(["kind", "band"])[["n", "came"]].sum()
    share = ((by["came"] + _PRIOR * mean) / (by["n"] + _PRIOR)).unstack("band")
    # Who is silent for longer than anybody had been is no likelier to come than those silent longest until then.
    share = share.reindex(columns=range(len(BANDS) + 1)).ffill(axis=1).stack()
    asked = pd.MultiIndex.from_frame(rows[["kind", "band"]])
    return share.reindex(asked).fillna(mean).to_numpy(float)


def part_back(found: Back, *, shop: Shop, due: tuple[Due, ...] = ()) -> Part:
    """How many of those who left should come back unasked, for a later run to grade; and grades of earlier runs."""
    total = found.total
    metric = Metric(
        id=f"back_{AHEAD}d", label=f"Should come back unasked within {AHEAD} days", unit="customers",
        value=total.value if total else None, low=total.low if total else None, high=total.high if total else None,
        n=len(found.chance) or None,
        definition="of all who have left, by what those as long silent with as many purchases did before",
    )  # fmt: skip
    if total is None:
        return Part(metrics=[metric], grades=grade(shop, due))
    n = len(found.chance)
    share = formats.share(total.value / n, digits=0 if total.value / n >= 0.1 else 1)
    said = Prediction(
        id=AWAY, label=f"Customers said to have left who buy nothing within {AHEAD} days", unit="customers",
        value=n - total.value, low=n - total.high, high=n - total.low, n=n, start=shop.as_of,
        end=shop.as_of + timedelta(days=AHEAD),
    )  # fmt: skip
    return Part(
        metrics=[metric], predictions=[said], grades=grade(shop, due),
        ahead=[f"Of all {wording.counted(n, 'customer')} {'now silent' if found.most else 'who ever left'}, about "
               f"{share} should come back unasked within {AHEAD} days."],
        certain=[_held(found)] if len(found.windows) else [], tables={"coming_back": found.windows},
    )  # fmt: skip


def _held(found: Back) -> str:
    last = found.windows.iloc[0]
    gone = "silent for unusually long" if found.most else "who had left"
    rough = not 1 / _ROUGH < last["came"] / max(last["expected"], 1e-9) < _ROUGH
    return (
        f"In the last {AHEAD} days {wording.counted(int(last['came']), 'customer')} {gone} came back; "
        f"{formats.number(last['expected'])} {wording.noun(round(last['expected']), 'was', 'were')} expected"
        f"{': take that as a rough guide' if rough else ''}."
    )


def grade(shop: Shop, due: Sequence[Due]) -> list[Grade]:
    """What became of those whom earlier runs said to have left: how many bought nothing since."""
    grades = []
    for one in due:
        said = one.prediction
        if said.id != AWAY or said.end > shop.as_of or one.lists is None:
            continue
        who = pd.Series([row["customer_id"] for row in csv_rows(one.lists / f"{LIST}.csv")], dtype=str)
        if len(who):
            grades.append(Grade(due=one, actual=float((~who.isin(_came(shop, said.start, said.end))).sum())))
    return grades


def _came(shop: Shop, start: date, end: date) -> set[str]:
    asked = later_purchases(shop, start=start, end=end).select("customer_id")
    return set(shop.fetch(asked, max_rows=MAX_CUSTOMERS)["customer_id"])
