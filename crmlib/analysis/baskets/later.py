"""Do pairs found on earlier baskets hold on later ones, and which of them are worth showing to a customer?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from crmlib.analysis.baskets.facts import Baskets
from crmlib.analysis.baskets.mining import Itemset
from crmlib.analysis.baskets.rules import Rules, count_pairs, fit
from crmlib.errors import NotEnoughData

LEAST_CUSTOMERS = 30  # behind a pair that is recommended; fewer may be a handful of habits
HELD, UNCLEAR, GONE = "held", "unclear", "gone"


@dataclass(frozen=True)
class Validation:
    """What later baskets say. `cut` is None where there was nothing to compare, and `why` says why.

    found   one row a pair found before `cut`: itemset, and on the baskets since: count, expected, times, times_low,
            times_high, verdict: held (interval above 1), gone (below 1), unclear
    shown   the same for the pairs of the rules themselves, which rest on all baskets, these included
    """

    cut: date | None
    why: str
    baskets_earlier: int
    baskets_later: int
    found: pd.DataFrame
    shown: pd.DataFrame

    def count(self, verdict: str) -> int:
        """Pairs found earlier with this verdict."""
        return int((self.found["verdict"] == verdict).sum())

    @property
    def verdict(self) -> str:
        """What the comparison says, in words."""
        if self.cut is None:
            return self.why
        if self.found.empty:
            return "No pair was above chance in the earlier baskets, so there was none to follow."
        return (
            f"Of {len(self.found):,} pairs found in the earlier three quarters of the time, {self.count(HELD):,} were above chance "
            f"again in the last quarter, {self.count(GONE):,} were below it, and for {self.count(UNCLEAR):,} the later baskets "
            "are too few to tell."
        )

    def __repr__(self) -> str:
        return f"Validation({self.verdict})"


def validate(baskets: Baskets, rules: Rules) -> Validation:
    """Were pairs found before `baskets.cut` above chance again afterwards? Same settings, later baskets, their own totals.

    Finding uses nothing of the later part; the later part's chance model is fitted to its own sizes and totals.
    """
    pairs = above_chance(rules)
    if baskets.cut is None:
        return _nothing("There are no days to divide into earlier and later.")
    earlier, later = baskets.earlier(), baskets.later()
    try:
        found = fit(
            earlier,
            min_confidence=rules.min_confidence,
            max_items=2,
            q_max=rules.rate,
            keep_redundant=rules.keep_redundant,
        )
    except NotEnoughData as error:
        return _nothing(f"The earlier part is too small to find rules in: {error}.")
    return Validation(
        cut=baskets.cut,
        why="",
        baskets_earlier=earlier.n,
        baskets_later=later.n,
        found=_recount(above_chance(found), later),
        shown=_recount(pairs, later),
    )


def above_chance(rules: Rules) -> list[Itemset]:
    """The pairs among the rules that are above chance given basket size, best first."""
    table = rules.table
    chosen = table.loc[table["above"] & (table["itemset"].map(len) == 2), "itemset"]
    return list(dict.fromkeys(chosen))


def score(
    rules: Rules, baskets: Baskets, validation: Validation, *, least_customers: int = LEAST_CUSTOMERS
) -> pd.DataFrame:
    """What can be shown with what? One row a pair that is worth a try, best first.

    A pair is listed when it is above chance given basket size, also within months where days are known, with at least
    `least_customers` customers behind it. Shown with the item whose buyers take the other more often. Columns item, suggest
    (names), pair, baskets, customers, share (of the item's baskets that hold the other), times, times_low, times_high,
    extra_low (baskets beyond chance, lower bound: the order), later (verdict on the last quarter; '' where unknown).
    """
    table = rules.table
    chosen = table["above"] & (table["itemset"].map(len) == 2) & (table["customers"] >= least_customers)
    if baskets.cut is not None:
        chosen &= table["beyond_season"]
    table = (
        table[chosen]
        .sort_values(["confidence"], ascending=False, kind="stable")
        .drop_duplicates("itemset")
        .sort_index()
    )
    later = validation.shown.set_index("itemset")["verdict"] if len(validation.shown) else pd.Series(dtype=str)
    return pd.DataFrame(
        {
            "item": [baskets.names[i] for (i,) in table["antecedent"]],
            "suggest": [baskets.names[i] for (i,) in table["consequent"]],
            "pair": list(table["itemset"]),
            "baskets": table["count"].to_numpy(),
            "customers": table["customers"].to_numpy(),
            "share": table["confidence"].to_numpy(),
            "times": table["times"].to_numpy(),
            "times_low": table["times_low"].to_numpy(),
            "times_high": table["times_high"].to_numpy(),
            "extra_low": table["extra_low"].to_numpy(),
            "later": [later.get(pair, "") for pair in table["itemset"]],
        }
    )


def _recount(pairs: list[Itemset], later: Baskets) -> pd.DataFrame:
    table = count_pairs(pairs, baskets=later)
    verdicts = np.where(table["times_low"] > 1, HELD, np.where(table["times_high"] < 1, GONE, UNCLEAR))
    return table.assign(verdict=verdicts)


def _nothing(why: str) -> Validation:
    columns = ["itemset", "count", "expected", "times", "times_low", "times_high", "verdict"]
    empty = pd.DataFrame(columns=columns)
    return Validation(cut=None, why=why, baskets_earlier=0, baskets_later=0, found=empty, shown=empty)
