"""Nothing is there: does anything get found, and as often as declared?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from crmlib.analysis.proof.checks import Check, rate
from crmlib.stats import adjust
from crmlib.stats.compare import score_test
from crmlib.stats.sequential import split_p, widening

_TESTS, _SPLITS, _DAYS, _VISITORS = 1_000, 300, 60, 200
_YEARS = 10  # histories dealt anew


def nulls(seed: int) -> tuple[Check, ...]:
    """Equal versions compared once and on each of 60 days, fair splits, families of true nulls: how often is there an
    alarm?

    >>> all(check.passed for check in nulls(1))
    True
    """
    rng = np.random.default_rng(seed)
    buyers = rng.binomial(2_000, 0.05, (_TESTS, 2))
    once = [score_test(int(a), 2_000, int(b), 2_000) < 0.05 for a, b in buyers]
    days = np.arange(1, _DAYS + 1)
    walks = rng.normal(0, 1, (_TESTS, _DAYS)).cumsum(axis=1) / np.sqrt(days)
    n = days * float(_VISITORS)
    ever = np.any(np.abs(walks) > widening(n, n, alpha=0.05, planned=10_000), axis=1).tolist()
    arm = rng.binomial(2 * _VISITORS, 0.5, (_SPLITS, _DAYS)).cumsum(axis=1)
    other = 2 * _VISITORS * days - arm
    broken = [split_p(np.stack(pair, axis=1), [1, 1])[-1] < 0.01 for pair in zip(arm, other, strict=True)]
    families = [bool((adjust(row, method="holm") <= 0.05).any()) for row in rng.random((_TESTS, 20))]
    return (
        rate("two equal versions that look different", once, 0.05, source=f"{_TESTS:,} tests drawn"),
        rate(f"the same, read on each of {_DAYS} days", ever, 0.05, source=f"{_TESTS:,} tests drawn", most=True),
        rate(
            f"a fair split called broken on any of {_DAYS} days",
            broken,
            0.01,
            source=f"{_SPLITS} splits drawn",
            most=True,
        ),
        rate("any of twenty true nulls found", families, 0.05, source=f"{_TESTS:,} families drawn"),
    )


def unfounded(
    pairs: tuple[int, int], judged: Any, days: Any, normal: Callable[[Any], Any], *, seed: int
) -> tuple[Check, ...]:
    """Is anything found where all was dealt anew?

    `pairs`: how many are found there, and in the shop itself; `judged`: `crm.teams.measure` there; `days` of
    `crm.seasons.measure`, which are dealt here, and its `normal`.

    >>> found = unfounded((0, 10), crm.teams.measure(small), crm.seasons.measure(small), crm.seasons.normal, seed=1)
    >>> [check.passed for check in found]
    [True, True, True]
    """
    rng, series = np.random.default_rng(seed), days.series
    orders = (rng.permutation(len(series)) for _ in range(_YEARS))
    histories = (replace(days, series=series.iloc[order].set_axis(series.index)) for order in orders)
    verdicts = [one for one in judged.verdicts if one.kind in ("team", "carrier")]
    cases = {(one.kind, name) for one in verdicts for name in one.table["team"]}
    far = {(one.kind, name) for one in verdicts for name in one.far}
    n, of = min(pairs), pairs[1]
    shop, years = "the shop drawn, dealt anew", f"its days, dealt anew {_YEARS} times"
    return (
        rate("pairs of products dealt anew, beside those of the shop", [True] * n + [False] * (of - n), 0.05,
             source=shop, most=True),
        rate("teams and carriers named whose cases were dealt anew", [case in far for case in sorted(cases)], 0.05,
             source=shop, most=True),
        rate("a season of the year in days dealt anew", [bool(normal(one).yearly) for one in histories], 0.05,
             source=years, most=True),
    )  # fmt: skip
