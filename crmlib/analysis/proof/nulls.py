"""Nothing is there: does anything get found, and as often as declared?"""

from __future__ import annotations

import numpy as np

from crmlib.analysis.proof.checks import Check, rate
from crmlib.stats import adjust
from crmlib.stats.compare import score_test
from crmlib.stats.sequential import split_p, widening

_TESTS, _SPLITS, _DAYS, _VISITORS = 1_000, 300, 60, 200


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
