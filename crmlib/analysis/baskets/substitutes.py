"""Which items replace each other: bought by the same customers, but less often in one basket than chance would have
it?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse
from scipy import stats as distributions

from crmlib import figures, formats, stats, wording
from crmlib.analysis.baskets import clusters
from crmlib.analysis.baskets.facts import Baskets, Ints, tally
from crmlib.analysis.baskets.relatives import SIZE, related
from crmlib.analysis.baskets.rules import LEAST_CUSTOMERS, Rules
from crmlib.findings import Action, Part

COLUMNS = ("pair", "first", "second", "relation", "count", "expected", "times", "times_low", "times_high",
           "customers_both", "p_value", "q_value")  # fmt: skip


def substitutes(rules: Rules, baskets: Baskets, *, least_customers: int = LEAST_CUSTOMERS) -> pd.DataFrame:
    """Pairs that are together less often than chance given basket size. One row a pair, clearest first.

    The same null as for pairs above chance, read from the other end: the lower Poisson tail, and a t-test with
    customers as clusters, whichever is less sure; Benjamini and Hochberg over all pairs of frequent items. Chance is
    the smallest of what it gives over the whole time, month by month, and from each customer's own purchases, so that
    neither summer and winter things nor two tastes are taken for substitutes. At least `least_customers` customers
    bought both, on different days or not. Columns pair, first, second (names), relation (of size, set or ''), count,
    expected, times, times_low, times_high, customers_both, p_value, q_value.
    """
    pairs = rules.all_pairs
    chance = np.minimum.reduce([pairs.expected, pairs.within, pairs.at_home])
    by_count = distributions.poisson.cdf(pairs.count, chance)
    searched = len(pairs)
    # As for rules: the second test can only raise a p-value.
    here = np.flatnonzero(stats.adjust(by_count, method="fdr_bh", searched=searched) <= rules.rate)
    if not len(here):
        return pd.DataFrame(columns=list(COLUMNS))
    sets = np.stack([pairs.first[here], pairs.second[here]], axis=1)
    count, expected = pairs.count[here], chance[here]
    by_class = rules.chance.expected(sets)
    se, freedom, of_expected = (np.empty(len(here)) for _ in range(3))
    sides: list[clusters.Sides] = [((int(a),), (int(b),)) for a, b in sets]
    for piece, brought in clusters.influences(sides, by_class, baskets=baskets, chance=rules.chance):
        # On the scale of baskets, where a count of zero is a number like any other.
        se[piece], freedom[piece] = clusters.errors(brought.together - expected[piece] * brought.expected)
        of_expected[piece] = clusters.reach(*clusters.errors(brought.expected))
    with np.errstate(divide="ignore", invalid="ignore"):
        by_customers = np.where(se > 0, distributions.t.cdf((count - expected) / se, freedom), 0.0)
        inflation = np.where(count > 0, np.maximum(1.0, se**2 / np.maximum(count, 1)), 1.0)
    low, high = clusters.ratio_range(count, expected, inflation=inflation)
    p = np.maximum(by_count[here], by_customers)
    table = pd.DataFrame(
        {
            "pair": [tuple(int(i) for i in pair) for pair in sets],
            "first": [baskets.names[a] for a, _ in sets],
            "second": [baskets.names[b] for _, b in sets],
            "relation": [related(baskets, int(a), int(b)) for a, b in sets],
            "count": count,
            "expected": expected,
            "times": count / expected,
            # Both what is counted and what is expected move with the customers.
            "times_low": low * np.exp(-of_expected),
            "times_high": high * np.exp(of_expected),
            "customers_both": _customers_both(sets, baskets=baskets),
            "p_value": p,
            "q_value": stats.adjust(p, method="fdr_bh", searched=searched),
        }
    )
    found = (table["q_value"] <= rules.rate) & (table["times_high"] < 1) & (table["customers_both"] >= least_customers)
    return table[found].sort_values(["times_high", "pair"], ignore_index=True)


def _customers_both(sets: Ints, *, baskets: Baskets) -> Ints:
    """How many customers bought both items of each pair, in one basket or not?"""
    ever = sparse.csc_array((clusters.by_customer(baskets) @ baskets.held) > 0).astype(np.int64)
    answer = np.empty(len(sets), dtype=np.int64)
    for row, (a, b) in enumerate(sets):
        answer[row] = int((ever[:, [a]].multiply(ever[:, [b]])).sum())
    return answer


def part_substitutes(rules: Rules, baskets: Baskets) -> Part:
    """Which products replace each other? Nothing to see where none do."""
    return part_of(substitutes(rules, baskets), rules)


def part_of(replaced: pd.DataFrame, rules: Rules) -> Part:
    """The part on a table of `substitutes`."""
    metric = tally(
        "substitutes", "Pairs that replace each other", len(replaced), len(rules.all_pairs),
        "Pairs together less often than chance over all, within months and from each customer's own purchases; "
        f"false-discovery rate {rules.rate:g}; bought by {LEAST_CUSTOMERS} customers or more who bought both.",
    )  # fmt: skip
    tables = {"substitutes": replaced.drop(columns="pair")}
    if replaced.empty:
        return Part(metrics=[metric], tables=tables)
    top, more = replaced.iloc[0], len(replaced) - 1
    what = f"customers buy {top['first']} or {top['second']}, rarely both at once"
    if top["relation"] == SIZE:
        alike = " ".join(word for word in top["first"].split() if word in top["second"].split())
        what = f"customers buy one size of {alike} or another, rarely both at once"
    action = f"Offer {top['second']} when {top['first']} is sold out"
    if more:
        action = f"If one of these {len(replaced)} pairs is sold out, offer the other"
    return Part(
        title=wording.upper(what),
        sentence=wording.sentences(
            f"{formats.number(top['customers_both'])} customers have bought both, but only "
            f"{formats.number(top['count'])} baskets hold the two; {formats.number(top['expected'])} would be "
            "expected.",
            f"The same goes for {wording.counted(more, 'other pair')}." if more else ""
        ),
        detail=True,
        chart=figures.table(
            replaced,
            caption="Pairs together less often than expected",
            labels={"first": "Product", "second": "Or", "customers_both": "Customers who bought both",
                    "count": "Baskets with both", "expected": "Expected", "times": "Times as often",
                    "times_low": "From", "times_high": "To"},
            formats=dict.fromkeys(("customers_both", "count", "expected"), formats.number)
            | dict.fromkeys(("times", "times_low", "times_high"), formats.multiple),
            rows=12,
            file="tables/substitutes.csv"
        ),
        metrics=[metric],
        tables=tables,
        actions=[
            Action(what=action, owner="shop", count=len(replaced), file="tables/substitutes.csv",
                   why="Never show them beside each other: those who take one do not need the other.")
        ],
    )  # fmt: skip
