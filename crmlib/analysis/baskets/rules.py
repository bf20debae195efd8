"""Which items are bought together, how often, by how many customers, and is that more often than chance?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse
from scipy import stats as distributions

from crmlib.analysis import stats
from crmlib.analysis.baskets import mining
from crmlib.analysis.baskets.chance import Floats, SizeClasses, fit_size_classes
from crmlib.analysis.baskets.facts import Baskets, Ints, Matrix, minimum_count
from crmlib.errors import NotEnoughData, UsageError

FALSE_DISCOVERIES = 0.05  # the rate declared where q_max asks for no filter
MIN_MULTIPLE = 100  # baskets with two or more items, below which nothing is concluded
CONFIDENCE = 0.95
_CELLS = 4_000_000  # customers × rules in memory at once


@dataclass(frozen=True)
class Rules:
    """Rules read from a shop's baskets.

    table      one row a rule kept, best first: antecedent and consequent (tuples of item positions), count, customers,
               support, confidence, lift, lift_low, lift_high, p_value, q_value, leverage, conviction, zhang, expected,
               times, times_low, times_high (count over expected given basket size), extra, extra_low (count − expected
               and its lower bound, in baskets), expected_in_months, times_in_months, q_in_months (pairs only),
               above (more often than chance given basket size), beyond_season (also within months)
    mined      rules with enough support and confidence, before the filters on q and redundancy
    searched   candidate splits that the correction counts
    pairs      pairs of items above chance given basket size, whatever their confidence
    pairs_searched  pairs of frequent items, all of which were candidates
    least      baskets that must hold a set
    rate       the false-discovery rate that `above` is held to
    """

    table: pd.DataFrame
    mined: int
    searched: int
    pairs: int
    pairs_searched: int
    least: int
    rate: float
    chance: SizeClasses
    min_confidence: float
    max_items: int
    q_max: float
    keep_redundant: bool

    @property
    def kept(self) -> int:
        """Rules in the table."""
        return len(self.table)

    def __repr__(self) -> str:
        return f"Rules({self.mined:,} mined, {self.kept:,} kept, {self.pairs:,} pairs above chance given basket size)"


def fit(
    baskets: Baskets,
    *,
    min_confidence: float = 0.05,
    max_items: int = 3,
    q_max: float = 0.05,
    keep_redundant: bool = False,
    min_multiple: int = MIN_MULTIPLE,
) -> Rules:
    """Which rules do these baskets hold, and which go together more often than chance, given basket size?

    A rule must be in ceil(support × baskets) baskets and have the confidence asked for, both compared exactly. Its
    p-value is the larger of two: a Poisson tail of its count over what the configuration model expects of sizes and
    totals, and a t-test on the log of that ratio with customers as clusters, so that no household makes a rule alone.
    q is Benjamini and Hochberg's, over every candidate split and before the cut on confidence. Raises NotEnoughData
    where fewer than `min_multiple` baskets hold two items, UsageError for parameters out of range.
    """
    if not 2 <= max_items <= 5 or not 0 <= min_confidence <= 1 or not 0 < q_max <= 1:
        raise UsageError("max_items lies in [2, 5], min_confidence in [0, 1], q_max in (0, 1]")
    multiple = int((baskets.sizes >= 2).sum())
    if multiple < min_multiple:
        raise NotEnoughData(
            f"rules need {min_multiple:,} baskets of two or more items; {multiple:,} of {baskets.n:,} baskets are"
        )
    least = minimum_count(baskets.min_support, baskets.n)
    itemsets = mining.frequent_itemsets(baskets.held, least=least, max_items=max_items)
    chance = fit_size_classes(baskets)
    table = mining.splits(itemsets)
    by_class = _expected_rules(table, baskets=baskets, chance=chance)
    table["expected"] = by_class.sum(axis=0)
    table = table.join(_intervals(table, by_class, baskets=baskets, chance=chance))
    by_count = distributions.poisson.sf(table["count"] - 1, table["expected"])
    table["p_value"] = np.maximum(by_count, table.pop("p_customers"))
    searched = itemsets.searched()
    table["q_value"] = stats.adjust(table["p_value"], method="fdr_bh", searched=searched)
    rate = q_max if q_max < 1 else FALSE_DISCOVERIES
    table["above"] = table["q_value"] <= rate
    size = table["itemset"].map(len)
    pairs = table.loc[table["above"] & (size == 2), "itemset"].nunique()

    table = table[mining.confident(table["count"], table["count_a"], least=min_confidence)]
    mined = len(table)
    if q_max < 1:
        table = table[table["q_value"] <= q_max]
    if not keep_redundant:
        table = table[~mining.redundant(table, itemsets)]
    table = table.join(mining.measures(table, itemsets).rename(columns={"zhangs_metric": "zhang"}))
    table = table.join(_within_months(table, baskets=baskets, chance=chance, rate=rate))
    table["extra"] = table["count"] - table["expected"]
    table["extra_low"] = table["expected"] * (table["times_low"] - 1)
    table = table.sort_values(
        ["extra_low", "count", "antecedent", "consequent"], ascending=[False, False, True, True], ignore_index=True
    )
    return Rules(
        table=table, mined=mined, searched=searched, pairs=int(pairs),
        pairs_searched=math.comb(itemsets.of_size(1), 2), least=least, rate=rate, chance=chance,
        min_confidence=min_confidence, max_items=max_items, q_max=q_max, keep_redundant=keep_redundant,
    )  # fmt: skip


def count_pairs(pairs: list[mining.Itemset], *, baskets: Baskets) -> pd.DataFrame:
    """How often do these pairs meet in these baskets, and how often would they by chance? One row a pair.

    Columns itemset, count, expected, times, times_low, times_high; the last three NaN where a pair never meets.
    """
    chance = fit_size_classes(baskets)
    totals = np.asarray(baskets.held.sum(axis=0)).ravel()
    counts: dict[mining.Itemset, int] = {}
    for piece in _pieces(pairs, baskets.n):
        tallies = np.asarray(mining.together(baskets.held, piece).sum(axis=0)).ravel()
        counts.update(zip(piece, (int(tally) for tally in tallies), strict=True))
    table = pd.DataFrame(
        {
            "antecedent": [(first,) for first, _ in pairs],
            "consequent": [(second,) for _, second in pairs],
            "itemset": pairs,
            "count": [counts[pair] for pair in pairs],
            "count_a": [int(totals[first]) for first, _ in pairs],
            "count_c": [int(totals[second]) for _, second in pairs],
        }
    ).astype({"count": np.int64})
    by_class = chance.expected(np.array(pairs, dtype=np.int64).reshape(-1, 2))
    table["expected"] = by_class.sum(axis=0)
    met = (table["count"] > 0).to_numpy()
    intervals = _intervals(table[met], by_class[:, met], baskets=baskets, chance=chance)
    return table[["itemset", "count", "expected"]].join(intervals[["times", "times_low", "times_high"]])


def _expected_rules(rules: pd.DataFrame, *, baskets: Baskets, chance: SizeClasses) -> Floats:
    """Baskets of each class that would hold both sides of each rule, if each side as often as it is met the other by chance.

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
    into = _class_indicator(baskets, chance)
    parts = [(into @ mining.together(baskets.held, piece)).toarray() for piece in _pieces(sets, baskets.n)]
    return np.hstack(parts).astype(float)


def _class_indicator(baskets: Baskets, chance: SizeClasses) -> Matrix:
    rows = np.concatenate(chance.rows) if chance.rows else np.empty(0, dtype=np.int64)
    number = np.repeat(np.arange(len(chance.rows)), [len(here) for here in chance.rows])
    return sparse.csr_array((np.ones(len(rows)), (number, rows)), shape=(len(chance.rows), baskets.n))


def _intervals(rules: pd.DataFrame, by_class: Floats, *, baskets: Baskets, chance: SizeClasses) -> pd.DataFrame:
    """How far may lift and times lie from what was counted, had other customers come? Same rows as `rules`.

    `by_class` has the expected count of each rule in each size class. Columns customers, times, times_low, times_high,
    lift_low, lift_high, p_customers. The linearised variance of the log with customers as clusters; t quantiles with
    the degrees of freedom the influences themselves have (Satterthwaite), so that a count that hangs on one household
    gets the width it deserves.
    """
    code = np.unique(baskets.customers, return_inverse=True)[1]
    clusters = int(code.max(initial=-1)) + 1
    who = sparse.csr_array((np.ones(baskets.n), (code, np.arange(baskets.n))), shape=(clusters, baskets.n))
    by_basket = (who @ np.ones(baskets.n))[:, None] / max(baskets.n, 1)
    into = _class_indicator(baskets, chance)
    by_class_of_size = _shares(who @ into.T)
    # One class more, of no weight, for baskets that no class has.
    class_of = np.full(baskets.n, len(chance.rows))
    for number, here in enumerate(chance.rows):
        class_of[here] = number
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = np.where(by_class.sum(axis=0) > 0, by_class / by_class.sum(axis=0), 0.0)

    # Both directions of a rule are the same question.
    sides = [tuple(sorted(pair)) for pair in zip(rules["antecedent"], rules["consequent"], strict=True)]
    first_row = {pair: row for row, pair in reversed(list(enumerate(sides)))}
    unique = sorted(first_row, key=lambda pair: (len(pair[0]), len(pair[1]), pair))
    parts = []
    step = max(1, _CELLS // max(clusters, 1))
    for start in range(0, len(unique), step):
        piece = unique[start : start + step]
        weight = weights[:, [first_row[pair] for pair in piece]]
        by_customer = who @ mining.together(baskets.held, [tuple(sorted(a + c)) for a, c in piece])
        shares = _shares(by_customer)
        influence, influence_lift = shares, shares
        for side in (0, 1):
            held = mining.together(baskets.held, [pair[side] for pair in piece])
            influence = influence - who @ _weighted(held, weight, into=into, class_of=class_of)
            influence_lift = influence_lift - _shares(who @ held)
        parts.append(
            np.column_stack(
                [
                    np.asarray((by_customer > 0).sum(axis=0)).ravel(),
                    *_errors(influence.toarray() + by_class_of_size @ weight),
                    *_errors(influence_lift.toarray() + by_basket),
                ]
            )
        )
    columns = ["customers", "se", "df", "se_lift", "df_lift"]
    values = np.vstack(parts) if parts else np.empty((0, len(columns)))
    where = {pair: row for row, pair in enumerate(unique)}
    found = pd.DataFrame(values, columns=columns).iloc[[where[pair] for pair in sides]].set_axis(rules.index, axis=0)

    with np.errstate(divide="ignore"):
        times = rules["count"] / rules["expected"]
    lift = rules["count"] / rules["count_a"] * (baskets.n / rules["count_c"])
    reach = distributions.t.ppf(0.5 + CONFIDENCE / 2, found["df"]) * found["se"]
    reach_lift = distributions.t.ppf(0.5 + CONFIDENCE / 2, found["df_lift"]) * found["se_lift"]
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(found["se"] > 0, np.log(times) / found["se"], 0.0)
    return pd.DataFrame(
        {
            "customers": found["customers"].astype(np.int64),
            "times": times,
            "times_low": times * np.exp(-reach),
            "times_high": times * np.exp(reach),
            "lift_low": lift * np.exp(-reach_lift),
            "lift_high": lift * np.exp(reach_lift),
            "p_customers": distributions.t.sf(distance, found["df"]),
        }
    )


def _shares(by_customer: Matrix) -> Matrix:
    """Each column divided by its sum: which share of a count each customer brought."""
    totals = np.asarray(by_customer.sum(axis=0)).ravel()
    return by_customer @ sparse.diags_array(1 / totals)


def _weighted(held: Matrix, weight: Floats, *, into: Matrix, class_of: Ints) -> Matrix:
    """What each basket adds to the log of what is expected: its class's weight, shared among the class's holders."""
    holders = (into @ held).toarray()
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(holders > 0, weight / holders, 0.0)
    each = np.vstack([each, np.zeros(each.shape[1])])
    column = np.repeat(np.arange(held.shape[1]), np.diff(held.indptr))
    return sparse.csc_array((each[class_of[held.indices], column], held.indices, held.indptr), shape=held.shape)


def _errors(influence: Floats) -> tuple[Floats, Floats]:
    """Standard error and degrees of freedom of sums of the columns of `influence`, one row a customer."""
    clusters = len(influence)
    squares = influence * influence
    second, fourth = squares.sum(axis=0), (squares * squares).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.where(fourth > 0, second**2 / fourth - 1, 1.0)
    return np.sqrt(second * clusters / max(clusters - 1, 1)), np.clip(freedom, 1.0, None)


def _within_months(rules: pd.DataFrame, *, baskets: Baskets, chance: SizeClasses, rate: float) -> pd.DataFrame:
    """Do pairs above chance stay above it when each month is held against its own totals? Same rows as `rules`.

    Two things sold in the same season look like a pair over the year without being one within any month. Rules of
    more items, and shops without days, are left open (NaN, False).
    """
    answer = pd.DataFrame(
        {"expected_in_months": np.nan, "times_in_months": np.nan, "q_in_months": np.nan}, index=rules.index
    ).assign(beyond_season=False)
    months = sorted(set(baskets.months.dropna()))
    chosen = rules[rules["above"] & (rules["itemset"].map(len) == 2)]
    if chosen.empty or not months or not set(months) <= {period for period, _ in baskets.profiles}:
        return answer
    pairs = sorted(set(chosen["itemset"]))
    place = {pair: row for row, pair in enumerate(pairs)}
    total = np.zeros(len(pairs))
    for month in months:
        part = baskets.rows(np.flatnonzero((baskets.months == month).to_numpy()), period=month)
        total += fit_size_classes(part).expected(np.array(pairs)).sum(axis=0)
    rows = [place[pair] for pair in chosen["itemset"]]
    inside = chosen.assign(expected=total[rows])
    by_class = _expected_rules(chosen, baskets=baskets, chance=chance)
    p_customers = _intervals(inside, by_class, baskets=baskets, chance=chance)["p_customers"]
    p = np.maximum(distributions.poisson.sf(inside["count"] - 1, inside["expected"]), p_customers)
    answer.loc[chosen.index, "expected_in_months"] = inside["expected"]
    answer.loc[chosen.index, "times_in_months"] = inside["count"] / inside["expected"]
    answer.loc[chosen.index, "q_in_months"] = stats.adjust(p, method="fdr_bh")
    answer["beyond_season"] = answer["q_in_months"] <= rate
    return answer


def _pieces(pairs: list[mining.Itemset], baskets: int) -> list[list[mining.Itemset]]:
    step = max(1, _CELLS // max(baskets, 1) * 40)
    return [pairs[start : start + step] for start in range(0, len(pairs), step)]
