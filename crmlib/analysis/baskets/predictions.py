"""What is said of the days ahead, in numbers that a later run can mark, and the marks themselves."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
from scipy import stats as distributions

from crmlib import wording
from crmlib.analysis.baskets.facts import Baskets, between
from crmlib.analysis.baskets.hits import (
    BESIDE,
    SUGGESTION,
    HitRates,
    beside_rate,
    first_choice,
    later_range,
    shown_beside,
    unprompted,
)
from crmlib.analysis.baskets.validation import Validation, held_up, recount
from crmlib.findings import Due, Grade, Part, Prediction
from crmlib.publishing import csv_rows
from crmlib.shop.shop import Shop

DAYS_AHEAD = 90
PAIRS_HELD, HIT_RATE = f"pairs_held_{DAYS_AHEAD}d", f"hit_rate_{DAYS_AHEAD}d"
LIST = "suggested_pairs"  # lists/suggested_pairs.csv: the pairs the predictions speak of


def predictions(
    baskets: Baskets, validation: Validation, suggestions: pd.DataFrame, rates: HitRates
) -> tuple[Prediction, ...]:
    """What the next 90 days will bring for the pairs suggested today; nothing where no later part said what to expect.

    pairs_held_90d: share of them that will be together more often than chance within months. hit_rate_90d: how often a
    basket with an item that has a suggestion will hold it.
    """
    if suggestions.empty or validation.found.empty or baskets.as_of is None:
        return ()
    start, end = baskets.as_of, baskets.as_of + timedelta(days=DAYS_AHEAD)
    followed, n = len(validation.found), len(suggestions)
    held = int((validation.found["count"] > validation.found["expected"]).sum())
    # What is known of the share (Jeffreys), and how n pairs then fall.
    band = distributions.betabinom(n, held + 0.5, followed - held + 0.5)
    low, high = (float(band.ppf(end)) / n for end in (0.025, 0.975))
    label = f"Suggested pairs above chance over the next {DAYS_AHEAD} days"
    pairs = Prediction(
        id=PAIRS_HELD, label=label, unit="share", value=held / followed, low=low, high=high, n=n, start=start, end=end
    )
    rate, difference = rates.rate(BESIDE, SUGGESTION), rates.difference(BESIDE)
    if rate is None or difference is None:
        return (pairs,)
    value, se = float(rate["rate"]), float((rate["high"] - rate["rate"]) / 1.96)
    low, high = later_range(value, se=se, days=rates.days, days_ahead=DAYS_AHEAD)
    trials = round(float(rate["trials"]) * DAYS_AHEAD / max(rates.days, 1))
    label = "Baskets that will hold what is suggested beside them"
    return pairs, Prediction(
        id=HIT_RATE, label=label, unit="share", value=value, low=low, high=high, n=trials, start=start, end=end
    )


def listed(suggestions: pd.DataFrame, *, level: str) -> pd.DataFrame:
    """The pairs as lists/suggested_pairs.csv keeps them: level, item_id, item, suggest_id, suggest, share, gain."""
    return suggestions[["item_id", "item", "suggest_id", "suggest", "share", "gain"]].assign(level=level)


def grade(shop: Shop, due: tuple[Due, ...]) -> tuple[Grade, ...]:
    """What came of predictions whose time is over: the pairs of that day, counted in the baskets since.

    A prediction whose list of pairs is gone cannot be marked and is left out.
    """
    marks = []
    for said in due:
        file = said.lists / f"{LIST}.csv" if said.lists else None
        if file is None or not file.is_file() or said.prediction.id not in (PAIRS_HELD, HIT_RATE):
            continue
        pairs = pd.DataFrame(csv_rows(file)).astype({"share": float})
        # Lists of earlier versions know no gain: all their pairs were shown.
        shown = shown_beside(pairs.assign(gain=pairs["gain"].astype(float))) if "gain" in pairs else pairs
        ids = tuple(sorted({*pairs["item_id"], *pairs["suggest_id"]}))
        span = said.prediction
        baskets = between(shop, level=str(pairs["level"].iloc[0]), ids=ids, start=span.start, end=span.end)
        if not baskets.n:
            continue
        if span.id == PAIRS_HELD:
            sides = np.sort(pd.Index(ids).get_indexer(pairs[["item_id", "suggest_id"]].stack()).reshape(-1, 2))
            counted = recount([(int(a), int(b)) for a, b in sides], baskets)
            actual = float((counted["count"] > counted["expected"]).mean())
        else:
            actual, trials = beside_rate(first_choice(shown, ids), unprompted(baskets))
            if not trials:
                continue
        marks.append(Grade(due=said, actual=float(np.round(actual, 6))))
    return tuple(marks)


def part_later(
    baskets: Baskets, validation: Validation, suggestions: pd.DataFrame, rates: HitRates, grades: tuple[Grade, ...] = ()
) -> Part:
    """Did pairs found earlier hold up, what is said of the days ahead, and what came of what was said before?"""
    said, n = predictions(baskets, validation, suggestions, rates), len(suggestions)
    ahead = [
        f"Over the next {DAYS_AHEAD} days at least {math.ceil((one.low or 0) * n - 1e-9)} of the "
        f"{wording.counted(n, 'pair')} should be bought together more often than expected again."
        for one in said
        if one.id == PAIRS_HELD
    ]
    lists = {LIST: listed(suggestions, level=baskets.level)} if len(suggestions) else {}
    return replace(held_up(validation, baskets), predictions=said, grades=grades, ahead=ahead, lists=lists)
