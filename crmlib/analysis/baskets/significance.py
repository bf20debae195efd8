"""Is a rule met more often than chance, and how far may that be due to the customers who happened to come?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats as distributions

from crmlib import stats
from crmlib.analysis.baskets import clusters, mining
from crmlib.analysis.baskets.chance import SizeClasses, tail
from crmlib.analysis.baskets.facts import Baskets, Floats

FOR_PAIRS = 0.9  # of the false-discovery rate
_CELLS = 4_000_000  # baskets × sets in memory at once
_FEW_EXPECTED = 30  # baskets by chance, below which customers are counted, not their scatter measured


def tested(
    table: pd.DataFrame, itemsets: mining.Itemsets, baskets: Baskets, chance: SizeClasses, *, rate: float
) -> tuple[pd.DataFrame, Floats]:
    """The splits that may be within the rate, tested against chance, and what is expected of each in each class.

    Nine tenths of the rate go to pairs and one to larger sets, however many these are (weighted Benjamini and Hochberg:
    Genovese, Roeder and Wasserman 2006), so that asking for larger sets does not hide the pairs.
    """
    searched = itemsets.searched()
    by_class = _expected_rules(table, baskets=baskets, chance=chance)
    table["expected"] = by_class.sum(axis=0)
    weight = _weights(table, itemsets)
    sides = table["count_a"].to_numpy(), table["count_c"].to_numpy()
    by_count = tail(table["count"].to_numpy(), table["expected"].to_numpy(float), *sides) / weight
    if rate < 1:
        # The other test can only raise a p-value, so what fails by count alone need not be looked at further; with p
        # left as it is, every q up to the rate stays exact.
        hopeful = stats.adjust(by_count, method="fdr_bh", searched=searched) <= rate
        table, by_class, by_count, weight = table[hopeful], by_class[:, hopeful], by_count[hopeful], weight[hopeful]
    # Lift itself is left to mlxtend, with the other measures.
    table = table.join(intervals(table, by_class, baskets=baskets, chance=chance).drop(columns="lift"))
    table["p_value"] = np.maximum(by_count * weight, table.pop("p_customers"))
    table["q_value"] = stats.adjust(table["p_value"] / weight, method="fdr_bh", searched=searched)
    return table, by_class


def _weights(table: pd.DataFrame, itemsets: mining.Itemsets) -> Floats:
    """What the p-value of each split is divided by: 1 on average over all that were searched."""
    singles, searched = itemsets.of_size(1), itemsets.searched()
    of_pairs = singles * (singles - 1)
    of_larger = searched - of_pairs
    if not of_larger or not of_pairs:
        return np.ones(len(table))
    is_pair = table["itemset"].map(len).to_numpy() == 2
    return np.where(is_pair, FOR_PAIRS * searched / of_pairs, (1 - FOR_PAIRS) * searched / of_larger)


def _expected_rules(rules: pd.DataFrame, *, baskets: Baskets, chance: SizeClasses) -> Floats:
    """Baskets of each class that would hold both sides of each rule, if each side as often as it is met the other by
    chance.

    A side of several items may itself be more frequent than chance; the model's number for the whole set is raised by
    that factor, class by class, so that a rule is not credited with what its own antecedent explains.
    """
    answer = np.ones((len(chance.models), len(rules)))
    for column, observed in (("itemset", False), ("antecedent", True), ("consequent", True)):
        sets = list(rules[column])
        for size in sorted({len(items) for items in sets}):
            if observed and size == 1:
                continue
            here = np.array([len(items) == size for items in sets])
            unique = sorted({items for items in sets if len(items) == size})
            values = chance.expected(np.array(unique, dtype=np.int64))
            if observed:
                with np.errstate(divide="ignore", invalid="ignore"):
                    values = np.where(values > 0, _class_counts(unique, baskets=baskets, chance=chance) / values, 0.0)
            place = {items: column for column, items in enumerate(unique)}
            answer[:, here] *= values[:, [place[items] for items in sets if len(items) == size]]
    return answer


def _class_counts(sets: list[mining.Itemset], *, baskets: Baskets, chance: SizeClasses) -> Floats:
    """Baskets of each class that hold each set: classes × sets."""
    into = clusters.class_indicator(baskets, chance)
    parts = [(into @ mining.together(baskets.held, piece)).toarray() for piece in pieces(sets, baskets.n)]
    return np.hstack(parts).astype(float)


def intervals(rules: pd.DataFrame, by_class: Floats, *, baskets: Baskets, chance: SizeClasses) -> pd.DataFrame:
    """How far may lift and times lie from what was counted, had other customers come? Same rows as `rules`.

    `by_class` has the expected count of each rule in each size class. Columns customers, times, times_low, times_high,
    reach (half the width, on the log), lift, lift_low, lift_high, p_customers. The linearised variance of the log with
    customers as clusters, and t quantiles.
    """
    sides = [tuple(sorted(pair)) for pair in zip(rules["antecedent"], rules["consequent"], strict=True)]
    first_row = {pair: row for row, pair in reversed(list(enumerate(sides)))}
    unique = sorted(first_row, key=lambda pair: (len(pair[0]), len(pair[1]), pair))
    columns = ["customers", "se", "df", "se_lift", "df_lift"]
    values = np.empty((len(unique), len(columns)))
    asked = by_class[:, [first_row[pair] for pair in unique]]
    for piece, brought in clusters.influences(unique, asked, baskets=baskets, chance=chance):
        shares = brought.together / brought.together.sum(axis=0)
        values[piece] = np.column_stack(
            [
                (brought.together > 0).sum(axis=0),
                *clusters.errors(shares - brought.expected),
                *clusters.errors(shares - brought.plain),
            ]
        )
    where = {pair: row for row, pair in enumerate(unique)}
    found = pd.DataFrame(values, columns=columns).iloc[[where[pair] for pair in sides]].set_axis(rules.index, axis=0)

    with np.errstate(divide="ignore"):
        times = rules["count"] / rules["expected"]
    lift = rules["count"] / rules["count_a"] * (baskets.n / rules["count_c"])
    reach = clusters.reach(found["se"], found["df"])
    reach_lift = clusters.reach(found["se_lift"], found["df_lift"])
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(found["se"] > 0, np.log(times) / found["se"], 0.0)
    by_log = distributions.t.sf(distance, found["df"])
    # Of few baskets a t-test is never sure. Each customer counted once is no household's habit either.
    expected = rules["expected"].to_numpy(float)
    totals = rules["count_a"].to_numpy(), rules["count_c"].to_numpy()
    by_head = tail(found["customers"].to_numpy(), expected, *totals)
    return pd.DataFrame(
        {
            "customers": found["customers"].astype(np.int64),
            "times": times,
            "times_low": times * np.exp(-reach),
            "times_high": times * np.exp(reach),
            "reach": reach,
            "lift": lift,
            "lift_low": lift * np.exp(-reach_lift),
            "lift_high": lift * np.exp(reach_lift),
            "p_customers": np.where(expected < _FEW_EXPECTED, by_head, by_log),
        }
    )


def within_range(
    count: pd.Series[int], expected: pd.Series[float], *, reach: pd.Series[float]
) -> tuple[Floats, Floats]:
    """The 95 % range of count / expected where `expected` is summed over parts: at least that of a Poisson count.

    `reach` is half the width over all, on the log; parts leave fewer customers each, so it alone could be too narrow.
    """
    se = reach / distributions.norm.ppf(0.5 + clusters.CONFIDENCE / 2)
    inflation = np.maximum(1.0, (count * se**2).fillna(1.0)).to_numpy()
    return clusters.ratio_range(count.to_numpy(), expected.to_numpy(), inflation=inflation)


def pieces(pairs: list[mining.Itemset], baskets: int) -> list[list[mining.Itemset]]:
    step = max(1, _CELLS // max(baskets, 1) * 40)
    return [pairs[start : start + step] for start in range(0, len(pairs), step)]
