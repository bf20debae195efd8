"""Which items are bought together, how often, by how many customers, and is that more often than chance?"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats as distributions

from crmlib import formats, stats, wording
from crmlib.analysis.baskets import clusters, mining
from crmlib.analysis.baskets.chance import SizeClasses, fit_size_classes
from crmlib.analysis.baskets.facts import MIN_BASKETS, Baskets, Floats, tally
from crmlib.analysis.baskets.habits import within_habits
from crmlib.analysis.baskets.pairs import (
    Pairs,
    all_pairs,
    expected_by,
    frequent,
    group_rows,
    months_known,
    with_gain,
)
from crmlib.analysis.baskets.significance import intervals, pieces, tested, within_range
from crmlib.errors import NotEnoughData, UsageError
from crmlib.findings import Check, Part
from crmlib.stats import shrinkage

FALSE_DISCOVERIES = 0.05  # the rate declared where q_max asks for no filter
LEAST_CUSTOMERS = 30  # behind a pair that is recommended; fewer may be a handful of habits
MIN_MULTIPLE = 100  # baskets with two or more items, below which nothing is concluded
_MEASURES = (
    "count", "customers", "support", "confidence", "lift", "lift_low", "lift_high", "p_value", "q_value", "leverage",
    "conviction", "zhang", "expected", "times", "times_low", "times_high", "times_shrunk", "shrunk_low", "shrunk_high",
    "extra", "extra_low", "margin_low",
)  # fmt: skip


@dataclass(frozen=True)
class Rules:
    """Rules read from a shop's baskets.

    table      one row a rule kept, best first: antecedent and consequent (tuples of item positions), count, customers,
               support, confidence, lift, lift_low, lift_high, p_value, q_value, leverage, conviction, zhang, expected,
               times, times_low, times_high (count over expected given basket size), times_shrunk, shrunk_low,
               shrunk_high (the same with luck taken off), extra, extra_low (count − expected and its lower bound after
               shrinkage, in baskets), margin_low (the same in margin of the consequent, NaN where costs are not known);
               above (more often than chance given basket size); for pairs above chance, and for each of months,
               customers and channel that the shop has: expected_in_…, times_in_… with its range and q_in_… with each
               held against its own totals; beyond_season (also within months), beyond_groups (also within the others),
               beyond_habits (see `habits`); gain (see `gains`; of pairs only)
    mined      rules with enough support and confidence, before the filters on q and redundancy
    searched   candidate splits that the correction counts
    pairs      pairs of items above chance given basket size, whatever their confidence
    pairs_searched  pairs of frequent items, all of which were candidates
    least      baskets that must hold a set
    rate       the false-discovery rate that `above` is held to
    all_pairs  every pair of frequent items, and `prior`, the shrinkage fitted on them
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
    keep_redundant: bool
    all_pairs: Pairs
    prior: shrinkage.Prior

    @property
    def kept(self) -> int:
        """Rules in the table."""
        return len(self.table)

    @property
    def months_judged(self) -> bool:
        """Were pairs held against the months they were sold in?"""
        return "times_in_months" in self.table and bool(self.table["times_in_months"].notna().any())

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

    A rule must be in `baskets.least` baskets and have the confidence asked for, both compared exactly. Its p-value is
    the larger of two: a Poisson tail of its count over what the configuration model expects of sizes and totals, and a
    test of customers (a t-test on the log of that ratio with customers as clusters, or, where chance gives fewer than
    30 baskets, the same tail with each customer counted once), so that no household makes a rule alone. q is Benjamini
    and Hochberg's, over every candidate split and before the cut on confidence. Best first means by the lower bound of
    the margin beyond chance after shrinkage, or of the baskets where costs are not known. Raises NotEnoughData where
    fewer than `min_multiple` baskets hold two items, UsageError for parameters out of range, and, with the support
    that would do, where more rules come than memory holds.
    """
    if not 2 <= max_items <= 10 or not 0 <= min_confidence <= 1 or not 0 < q_max <= 1:
        raise UsageError("max_items lies in [2, 10], min_confidence in [0, 1], q_max in (0, 1]")
    multiple = int((baskets.sizes >= 2).sum())
    if multiple < min_multiple:
        raise NotEnoughData(
            f"rules need {min_multiple:,} baskets of two or more items; {multiple:,} of "
            f"{wording.counted(baskets.n, 'basket')} {wording.noun(multiple, 'is')}"
        )
    least = baskets.least
    itemsets = frequent(baskets, max_items=max_items)
    chance = fit_size_classes(baskets)
    pairs = all_pairs(baskets, chance=chance, least=least)
    prior = shrinkage.fit_prior(pairs.count, pairs.expected)
    rate = q_max if q_max < 1 else FALSE_DISCOVERIES
    every = mining.splits(itemsets)
    mined = int(mining.confident(every["count"], every["count_a"], least=min_confidence).sum())
    table, by_class = tested(every, itemsets, baskets, chance, rate=rate if q_max < 1 else 1.0)
    table["above"] = table["q_value"] <= rate
    found = table.loc[table["above"] & (table["itemset"].map(len) == 2), "itemset"].nunique()

    kept = mining.confident(table["count"], table["count_a"], least=min_confidence)
    if q_max < 1:
        kept &= (table["q_value"] <= q_max).to_numpy()
    table, by_class = table[kept], by_class[:, kept]
    if not keep_redundant:
        lean = ~mining.redundant(table, itemsets)
        table, by_class = table[lean], by_class[:, lean]
    table = table.join(mining.measures(table, itemsets).rename(columns={"zhangs_metric": "zhang"}))
    table = table.join(_within(table, by_class, baskets=baskets, chance=chance, rate=rate))
    return Rules(
        table=_ranked(table, baskets=baskets, prior=prior).pipe(with_gain, baskets),
        mined=mined,
        searched=itemsets.searched(),
        pairs=int(found),
        pairs_searched=math.comb(itemsets.of_size(1), 2),
        least=least,
        rate=rate,
        chance=chance,
        min_confidence=min_confidence,
        max_items=max_items,
        keep_redundant=keep_redundant,
        all_pairs=pairs,
        prior=prior,
    )


def _ranked(table: pd.DataFrame, *, baskets: Baskets, prior: shrinkage.Prior) -> pd.DataFrame:
    """Luck taken off, and the best first."""
    se = table.pop("reach").to_numpy() / distributions.norm.ppf(0.5 + clusters.CONFIDENCE / 2)
    with np.errstate(divide="ignore"):
        information = np.where(se > 0, 1 / se**2, table["count"])
    shrunk, low, high = shrinkage.shrink(prior, times=table["times"].to_numpy(), information=information)
    # Where no item's margin is known baskets decide; where some are, the others come last.
    margins = baskets.margins if len(baskets.margins) else np.full(len(baskets.ids), np.nan)
    margin = np.array([margins[list(items)].sum() for items in table["consequent"]], dtype=float)
    extra_low = table["expected"] * (low - 1)
    table = table.assign(
        times_shrunk=shrunk, shrunk_low=low, shrunk_high=high, extra=table["count"] - table["expected"],
        extra_low=extra_low, margin_low=extra_low * margin,
    )  # fmt: skip
    worth = "margin_low" if np.isfinite(margins).any() else "extra_low"
    return table.sort_values(
        [worth, "extra_low", "count", "antecedent", "consequent"],
        ascending=[False, False, False, True, True],
        ignore_index=True,
    )


def pairs_above(rules: Rules) -> pd.DataFrame:
    """The rows of the pairs that are above chance given basket size, best first, each pair once."""
    table = rules.table
    return table[table["above"] & (table["itemset"].map(len) == 2)].drop_duplicates("itemset")


def above_chance(rules: Rules) -> list[mining.Itemset]:
    """The pairs among the rules that are above chance given basket size, best first."""
    return list(pairs_above(rules)["itemset"])


def directions(rules: Rules) -> dict[mining.Itemset, tuple[int, int]]:
    """Each pair of the rules as it is suggested, in the direction that works: beside the first item the second gains
    more over a bestseller than the other way round."""
    pairs = rules.table[rules.table["itemset"].map(len) == 2]
    pairs = pairs.sort_values(["gain", "confidence"], ascending=False, kind="stable")
    one = pairs.drop_duplicates("itemset")
    return {pair: (a, c) for pair, (a,), (c,) in zip(one["itemset"], one["antecedent"], one["consequent"], strict=True)}


def count_pairs(pairs: list[mining.Itemset], *, baskets: Baskets) -> pd.DataFrame:
    """How often do these pairs meet in these baskets, and how often would they by chance? One row a pair.

    Columns itemset, count, expected, times, times_low, times_high, lift, lift_low, lift_high; all after
    expected NaN where a pair never meets.
    """
    chance, sets = fit_size_classes(baskets), np.array(pairs, dtype=np.int64).reshape(-1, 2)
    totals = mining.column_sums(baskets.held)
    counts = [mining.column_sums(mining.together(baskets.held, piece)) for piece in pieces(pairs, baskets.n)]
    table = pd.DataFrame(
        {
            "antecedent": [(first,) for first, _ in pairs],
            "consequent": [(second,) for _, second in pairs],
            "itemset": pairs,
            "count": np.concatenate([*counts, np.empty(0, dtype=np.int64)]),
            "count_a": totals[sets[:, 0]],
            "count_c": totals[sets[:, 1]],
        }
    )
    by_class = chance.expected(sets)
    table["expected"] = by_class.sum(axis=0)
    met = (table["count"] > 0).to_numpy()
    measures = intervals(table[met], by_class[:, met], baskets=baskets, chance=chance)
    measured = ["times", "times_low", "times_high", "lift", "lift_low", "lift_high"]
    return table[["itemset", "count", "expected"]].join(measures[measured])


def _within(
    rules: pd.DataFrame, by_class: Floats, *, baskets: Baskets, chance: SizeClasses, rate: float
) -> pd.DataFrame:
    """Do pairs above chance stay above it when each month, and each group of customers, is held against its own totals?

    Two things sold in the same season, or to the same kind of customer, look like a pair over all without being one
    within any part (Simpson). Rules of more items, and what the shop does not know, are left open (NaN). Same rows as
    `rules`.
    """
    parts = {"months": months_known(baskets)} | {name: group_rows(baskets, name) for name in baskets.groups}
    answer = pd.DataFrame(
        {
            f"{column}_in_{name}": np.nan
            for name in parts
            for column in ("expected", "times", "times_low", "times_high", "q")
        },
        index=rules.index,
    ).assign(beyond_season=False, beyond_groups=True, beyond_habits=True)
    here = (rules["above"] & (rules["itemset"].map(len) == 2)).to_numpy()
    chosen = rules[here]
    if chosen.empty:
        return answer
    pairs = sorted(set(chosen["itemset"]))
    place = {pair: row for row, pair in enumerate(pairs)}
    rows = [place[pair] for pair in chosen["itemset"]]
    for name, groups in parts.items():
        if not groups:
            continue
        inside = chosen.assign(expected=expected_by(groups, np.array(pairs), baskets=baskets).sum().to_numpy()[rows])
        found = intervals(inside, by_class[:, here], baskets=baskets, chance=chance)
        p = np.maximum(distributions.poisson.sf(inside["count"] - 1, inside["expected"]), found["p_customers"])
        q = pd.Series(stats.adjust(p, method="fdr_bh"), index=chosen.index)
        answer.loc[chosen.index, f"expected_in_{name}"] = inside["expected"]
        low, high = within_range(inside["count"], inside["expected"], reach=found["reach"])
        for column, values in (("times", found["times"]), ("times_low", low), ("times_high", high)):
            answer.loc[chosen.index, f"{column}_in_{name}"] = values
        answer.loc[chosen.index, f"q_in_{name}"] = q
        if name == "months":
            answer.loc[chosen.index, "beyond_season"] = q <= rate
        else:
            answer.loc[chosen.index, "beyond_groups"] &= q <= rate
    if parts["months"]:
        habits = within_habits(pairs, baskets, rate=rate).iloc[rows].set_axis(chosen.index, axis=0)
        answer = answer.drop(columns="beyond_habits").join(habits)
        answer["beyond_habits"] = answer["beyond_habits"].fillna(True).astype(bool)
    return answer


def rules_table(rules: Rules, baskets: Baskets, *, listed: set[mining.Itemset]) -> pd.DataFrame:
    """One row a rule kept, as tables/rules.csv has it: ids and names as JSON arrays, then the measures."""
    table = rules.table
    # Positions follow the sorted ids, so ids come out sorted and names in the same order.
    named = {
        column: [json.dumps([words[i] for i in items], ensure_ascii=False) for items in table[side]]
        for side in ("antecedent", "consequent")
        for column, words in ((f"{side}s", baskets.ids), (f"{side}_names", baskets.names))
    }
    within = [column for column in table if "_in_" in column]
    measured = table[[*_MEASURES, *within]]
    measured = measured.rename(columns=lambda name: f"times_chance{name[5:]}" if name.startswith("times") else name)
    shown = [itemset in listed for itemset in table["itemset"]]
    return pd.DataFrame(named, index=table.index).join(measured).assign(listed=shown)


def part_rules(rules: Rules, baskets: Baskets, suggestions: pd.DataFrame) -> Part:
    """The numbers of the search, its checks and its table; nothing to see on the page."""
    pairs = pairs_above(rules)
    factor = float((pairs["lift"] / pairs["times"]).median())
    gap = formats.share(rules.chance.gap, digits=2)
    fitted = f"Fitted item totals and basket sizes differ from the observed by at most {gap}."
    checks = [Check(name="chance model", verdict="ok" if rules.chance.gap < 0.01 else "warning", text=fitted)]
    if rules.least < MIN_BASKETS:
        text = f"A rule may rest on {wording.counted(rules.least, 'basket')}: raise min_baskets."
        checks.append(Check(name="minimum count", verdict="warning", text=text))
    rate = f"{100 * rules.rate:.0f}"
    mined = (
        f"All splits of sets of up to {rules.max_items} items in {rules.least:,} baskets or more, with confidence of "
    )
    kept = "Of these, rules within the false-discovery rate"
    ceiling = f"ceil({baskets.min_support:g} × {baskets.n:,}) in exact arithmetic, at least {baskets.min_baskets}."
    every = "Every pair of frequent sets that could have been a rule, found or not."
    lean = "." if rules.keep_redundant else " and not redundant beside a shorter rule."
    return Part(
        metrics=[
            tally("rules_mined", "Rules with enough support and confidence", rules.mined, rules.searched,
                  f"{mined}{rules.min_confidence:g} or more.", unit="rules"),
            tally("rules_kept", "Rules kept", rules.kept, rules.mined, kept + lean, unit="rules"),
            tally("minimum_count", "Baskets a rule must be in", rules.least, baskets.n, ceiling, unit="baskets"),
            tally("searched", "Candidate rules searched", rules.searched, None, every, unit="rules")
        ],
        tables={"rules": rules_table(rules, baskets, listed=set(suggestions["pair"]))},
        checks=checks,
        certain=[
            "Expected means: the same baskets and the same sales, but filled at random. Ranges hold for other such "
            f"customers 95 times in 100. Of 100 pairs called unusual, about {rate} at most are luck."
        ],
        method=[
            "Chance is the bipartite configuration model within classes of basket size: baskets keep their sizes, "
            "items their totals. Customers, not baskets, are taken as independent.",
            f"{rules.searched:,} candidate rules were searched; one false-discovery rate of {rate}% counts them all"
            f"{', nine tenths of it for pairs' if rules.max_items > 2 else ''}.",
            f"Plain lift would be {formats.number(factor, digits=1)} times as high for the middle pair."
            if len(pairs)
            else "No pair is above chance, whatever plain lift says."
        ],
    )  # fmt: skip
