"""How many customers who still buy will there be of each kind in 90 days?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib.analysis import forecasts
from crmlib.analysis.customers.facts import Profiles, earlier
from crmlib.analysis.customers.rfm import KINDS, NEW, Cuts, cuts, kinds
from crmlib.analysis.forecasts import Total
from crmlib.findings import Due, Grade, Part, Prediction
from crmlib.shop.shop import Shop

DAYS = 90
_LOOKS, _LEAST = 2, 30
_WIDEST = 2.0  # a range beyond twice the number tells nothing
# Whoever has gone quiet is counted by a length of silence that grows with the shop, and tells nobody what to do.
BUYING = KINDS[: KINDS.index(NEW) + 1]
Floats = NDArray[np.float64]


def _kinds(found: Profiles, at: Cuts) -> pd.Series:
    """Kinds as that day's page shows them: its own top tenth, today's lengths of silence."""
    then = cuts(found, quiet_days=at.quiet_days, regular=at.regular)
    return pd.Series(kinds(found.frame, then).cat.codes.to_numpy(), index=found.frame["customer_id"])


def expect(before: pd.Series, now: pd.Series) -> tuple[Floats, Floats]:
    """Expected sizes of all kinds one step on, and the relative deviation of each.

    Kinds as numbers, by customer, a step ago and now: everybody moves as people of their kind just did, and as many
    come new. Chance of the moves, and of having counted them once, is in the deviation.

    >>> expect(pd.Series([0, 0, 6]), pd.Series([0, 0, 6, 3]))[0]
    array([2., 0., 0., 2., 0., 0., 1.])
    """
    size = len(KINDS)
    known = now.reindex(before.index)
    moved = np.zeros((size, size))
    np.add.at(moved, (before[known.notna()].to_numpy(), known.dropna().to_numpy(int)), 1)
    new = np.bincount(now[~now.index.isin(before.index)], minlength=size).astype(float)
    there, seen = np.bincount(now, minlength=size).astype(float), moved.sum(axis=1)
    # A kind nobody was of a step ago is taken to stay as it is.
    p = np.where(seen[:, None] > 0, moved / np.maximum(seen, 1)[:, None], np.eye(size))
    value = there @ p + new
    variance = (there * (1 + there / np.maximum(seen, 1))) @ (p * (1 - p)) + 2 * new
    return value, np.sqrt(variance) / np.maximum(value, 1e-9)


def sizes(shop: Shop, today: Profiles, at: Cuts) -> dict[str, Total]:
    """How many customers of each kind that still buys will there be in 90 days, with a 95 % range?

    Kinds of at least 30 people; the errors of the same forecast on two earlier days widen the range. Empty where the
    shop had too few customers a step ago, or only a segment is looked at, whose members are those of today.

    >>> sizes(shop, profiles(shop), cuts(profiles(shop)))
    {}
    """
    if shop.segment:
        return {}
    # One day's customers at a time: there may be millions.
    seen = [_kinds(today, at)]
    for back in range(1, _LOOKS + 2):
        if (then := earlier(shop, days=DAYS * back)) is None:
            break
        seen.append(_kinds(then, at))
    if len(seen) < 2:
        return {}
    value, own = expect(seen[1], seen[0])
    there = np.bincount(seen[0], minlength=len(KINDS))
    looks = [
        (np.bincount(after, minlength=len(KINDS)), *expect(before, now))
        for after, now, before in zip(seen, seen[1:], seen[2:], strict=False)
    ]
    found = {}
    for k, kind in enumerate(BUYING):
        if there[k] >= _LEAST and value[k] >= _LEAST:
            came, said, doubt = ([float(look[part][k]) for look in looks] for part in range(3))
            errors = forecasts.errors_of(came, said, doubt)
            # Two looks seldom show that moves change from season to season; what they were off by counts in full.
            total = forecasts.band(value[k], float(np.hypot(own[k], np.nan_to_num(errors.typical))), errors)
            if total.high <= _WIDEST * total.value:
                found[kind] = total
    return found


def part_ahead(shop: Shop, today: Profiles, at: Cuts, due: Sequence[Due] = ()) -> Part:
    """How many of each kind there should be in 90 days, for a later run to grade; and grades of earlier runs."""
    found = sizes(shop, today, at)
    said = [
        Prediction(id=_id(kind), label=f"{kind.capitalize()} customers in {DAYS} days", unit=f"{kind} customers",
                   value=total.value, low=total.low, high=total.high, start=shop.as_of,
                   end=shop.as_of + timedelta(days=DAYS))
        for kind, total in found.items()
    ]  # fmt: skip
    return Part(predictions=said, grades=grade(shop, at, due))


def grade(shop: Shop, at: Cuts, due: Sequence[Due]) -> list[Grade]:
    """What became of the sizes that earlier runs expected, by the kinds of the day they were expected for."""
    names, grades = {_id(kind): code for code, kind in enumerate(BUYING)}, []
    counted: dict[int, NDArray[np.int64]] = {}
    for one in due:
        ago = (shop.as_of - one.prediction.end).days
        if one.prediction.id not in names or ago < 0:
            continue
        if ago not in counted:
            found = earlier(shop, days=ago)
            counted[ago] = np.bincount(_kinds(found, at) if found else [], minlength=len(KINDS))
        grades.append(Grade(due=one, actual=float(counted[ago][names[one.prediction.id]])))
    return grades


def _id(kind: str) -> str:
    return f"{kind}_{DAYS}d"
