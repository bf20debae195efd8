"""Which share of the next 90 days' orders will each kind place, and how did earlier answers turn out?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from crmlib.analysis import forecasts
from crmlib.analysis.personas.cut import Floats, assigned
from crmlib.analysis.personas.facts import FEW, YEAR, Plan, behaviour, later
from crmlib.analysis.personas.kinds import Personas
from crmlib.analysis.personas.page import MAX_CUSTOMERS
from crmlib.findings import Due, Grade, Part, Prediction
from crmlib.publishing import csv_rows
from crmlib.shop.shop import Shop

DAYS = 90
LIST = "predictions"  # lists/predictions.csv: who was of which kind when it was said
_LOOKS, _LEAST = 3, 30  # days looked back to; orders of a kind below which nothing is said of it


def part_ahead(shop: Shop, found: Personas, due: Sequence[Due] = ()) -> Part:
    """Each kind's share of the orders of the next 90 days, for a later run to grade; and grades of earlier runs.

    Shares, since a season moves all kinds. Whoever ordered within a year counts; each is taken to order as people who
    were of the kind 90 days ago did since, and what that was off by before widens the range. Nothing is said of a
    segment, whose members are those of today, nor before two such spans can be looked back to.
    """
    grades, looks = grade(shop, found.at, due), list[pd.DataFrame]()
    ids = {kind: f"persona_{place}_share_{DAYS}d" for place, kind in enumerate(found.kinds["kind"], 1)}
    for back in range(1, _LOOKS + 1) if found.model is not None and not shop.segment else ():
        look = _look(shop, found, back=timedelta(days=DAYS * back)).reindex(list(ids)).fillna(0.0)
        if not (look[["n", "mean"]] > 0).all(axis=None):
            break
        looks.append(look)
    if len(looks) < 2:
        return Part(grades=grades)
    people = _current(found.people, found.at.until).select("customer_id", "kind")
    who = shop.fetch(people, max_rows=MAX_CUSTOMERS).sort_values("customer_id", ignore_index=True)
    now = who["kind"].value_counts().reindex(list(ids)).fillna(0).to_numpy(float)
    value, own = expect(now, looks[0])
    before = [expect(one["n"].to_numpy(), then) for one, then in pairwise(looks)]
    came = [_shares(one["n"] * one["mean"]) for one in looks]
    said = []
    for k, (kind, name) in enumerate(found.kinds[["kind", "name"]].itertuples(index=False)):
        tests = [(came[at][k], share[k], doubt[k]) for at, (share, doubt) in enumerate(before)]
        errors = forecasts.errors_of(*zip(*tests, strict=True))
        total = forecasts.band(value[k], own[k], errors, most=1.0)
        if now[k] * looks[0]["mean"].iloc[k] >= _LEAST:
            said.append(Prediction(
                id=ids[kind], label=f"Share of orders by ‘{name}’ customers in {DAYS} days", unit="share",
                value=total.value, low=total.low, high=total.high, n=int(now[k]), start=shop.as_of,
                end=shop.as_of + timedelta(days=DAYS),
            ))  # fmt: skip
    listed = who.assign(prediction=who["kind"].map(ids))[["customer_id", "prediction"]]
    return Part(predictions=said, grades=grades, lists={LIST: listed} if said else {})


def expect(now: Floats, then: pd.DataFrame) -> tuple[Floats, Floats]:
    """Each kind's share of orders where so many are of it `now`, and each orders as those of `then` did (n, mean, var);
    and the deviation of the shares' logarithms, by chance in both spans.

    >>> expect(np.array([10.0, 30.0]), pd.DataFrame({"n": [9.0, 9.0], "mean": [3.0, 1.0], "var": [0.0, 0.0]}))
    (array([0.5, 0.5]), array([0., 0.]))
    """
    n, mean, var = (then[name].to_numpy(float) for name in ("n", "mean", "var"))
    shares = _shares(now * mean)
    off = var * (1 / np.maximum(now, 1) + 1 / n) / mean**2
    return shares, np.sqrt((np.eye(len(n)) - shares) ** 2 @ off)


def _shares(orders: Floats | pd.Series) -> Floats:
    return np.asarray(orders / orders.sum(), dtype=float)


def grade(shop: Shop, at: Plan, due: Sequence[Due]) -> list[Grade]:
    """Which share those ordered who were of a kind then. Where the list of them is gone nothing is graded."""
    grades, counted = [], dict[date, pd.Series]()
    for one in due:
        said, file = one.prediction, one.lists / f"{LIST}.csv" if one.lists else None
        rows = csv_rows(file) if file and file.is_file() and said.end <= shop.as_of else []
        if not rows or not said.id.startswith("persona_"):
            continue
        if said.start not in counted:
            came = later(shop, replace(at, until=said.start), end=said.end).select("customer_id", "orders_later")
            came = shop.fetch(came.filter(came["orders_later"] > 0), max_rows=MAX_CUSTOMERS)
            counted[said.start] = came.set_index("customer_id")["orders_later"]
        who = pd.DataFrame(rows).set_index("customer_id")["prediction"]
        orders = counted[said.start].reindex(who.index).fillna(0.0)
        if orders.sum() > 0:
            grades.append(Grade(due=one, actual=float(orders[who == said.id].sum() / orders.sum())))
    return grades


def _current(people: ir.Table, until: date) -> ir.Table:
    return people.filter((people["kind"] != FEW) & (people["last_day"] >= ibis.literal(until - timedelta(days=YEAR))))


def _look(shop: Shop, found: Personas, *, back: timedelta) -> pd.DataFrame:
    """By kind as of that day: how many there were (n), their orders in the 90 days since (mean, var). Empty where the
    data lack the year before."""
    assert found.model is not None
    at = replace(found.at, start=found.at.start - back, until=found.at.until - back)
    people = _current(assigned(behaviour(shop, at), found.model), at.until)
    came = later(shop, at, end=at.until + timedelta(days=DAYS)).select("customer_id", "orders_later")
    rows = people.inner_join(came, "customer_id")
    table = shop.fetch(
        rows.group_by("kind").aggregate(
            n=rows.count(), mean=rows["orders_later"].mean(), var=rows["orders_later"].var(), first=rows["first"].min()
        )
    ).set_index("kind")
    whole = len(table) and pd.Timestamp(table.pop("first").min()) <= pd.Timestamp(at.until - timedelta(days=YEAR))
    return table.astype(float) if whole else table.iloc[:0]
