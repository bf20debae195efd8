"""Do pairs found on earlier baskets hold on later ones, and which of them are worth showing to a customer?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from crmlib.analysis.baskets.facts import Baskets, Floats
from crmlib.analysis.baskets.mining import Itemset
from crmlib.analysis.baskets.pairs import expected_by, months_known
from crmlib.analysis.baskets.relatives import related
from crmlib.analysis.baskets.rules import Rules, count_pairs, fit, within_range
from crmlib.errors import NotEnoughData

LEAST_CUSTOMERS = 30  # behind a pair that is recommended; fewer may be a handful of habits
HELD, UNCLEAR, GONE = "held", "unclear", "gone"
_EMPTY = pd.DataFrame(
    columns=["itemset", "count", "expected", "times", "times_low", "times_high", "times_over_all", "verdict"]
)


@dataclass(frozen=True)
class Validation:
    """What later baskets say. `cut` is None where there was nothing to compare, and `why` says why.

    found   one row a pair found before `cut`, within months too where they are known: itemset, and on the baskets since:
            count, expected, times, times_low, times_high, times_over_all, verdict (see `recount`)
    before  the same at an earlier cut: pairs found in the first half of the time, on the quarter that came next
    season  pairs found before `cut` over all but not within months; they are not followed
    days_later, by_month  length of the time since `cut`, and whether each of its months was held to its own totals
    shown   the same for the pairs of the rules themselves, which rest on all baskets, these included
    rules   what the earlier baskets alone gave, None where nothing was compared
    """

    cut: date | None
    why: str
    baskets_earlier: int
    baskets_later: int
    found: pd.DataFrame
    shown: pd.DataFrame
    before: pd.DataFrame
    rules: Rules | None = None
    season: int = 0
    days_later: int = 0
    by_month: bool = False

    def count(self, verdict: str) -> int:
        """Pairs found earlier with this verdict."""
        return int((self.found["verdict"] == verdict).sum())

    @property
    def verdict(self) -> str:
        """What the comparison says, in words."""
        if self.cut is None:
            return self.why
        if self.found.empty and not self.season:
            return "No pair was above chance in the earlier baskets, so there was none to follow."
        if self.found.empty:
            return "What was above chance in the earlier baskets was so by the season, so there was no pair to follow."
        said = _held(self.found, "found in the first three quarters of the time", f"in the {self.lately}")
        said = f"{said[0].upper()}{said[1:]}"
        said += ", each month held against its own sales." if self.by_month else "."
        if self.season:
            said += f" {self.season:,} more {'was' if self.season == 1 else 'were'} by the season alone and {'is' if self.season == 1 else 'are'} not followed."
        if len(self.before):
            said += f" The same at an earlier cut: {_held(self.before, 'found in the first half', 'in the quarter of the time that came next')}."
        return said

    @property
    def lately(self) -> str:
        """The time since the cut: 'last 9 months'."""
        months = round(self.days_later / 30.4)
        return f"last {months} months" if months >= 2 else f"last {self.days_later:,} days"

    def __repr__(self) -> str:
        return f"Validation({self.verdict})"


def validate(baskets: Baskets, rules: Rules) -> Validation:
    """Were pairs found before `baskets.cut` above chance again afterwards? Same settings, later baskets, their own totals.

    Finding uses nothing of the later part; the later part's chance model is fitted to its own sizes and totals. A pair
    that only shares its season would be together again a year later, so both sides are judged within months.
    """
    pairs = above_chance(rules)
    if baskets.cut is None:
        return _nothing("There are no days to divide into earlier and later.")
    earlier, later = baskets.earlier(), baskets.later()
    try:
        found = _found(earlier, rules)
    except NotEnoughData as error:
        return _nothing(f"The earlier part is too small to find rules in: {error}.")
    followed = _beyond_season(found)
    return Validation(
        cut=baskets.cut,
        why="",
        baskets_earlier=earlier.n,
        baskets_later=later.n,
        found=recount(followed, later),
        shown=recount(pairs, later),
        before=_a_quarter_earlier(baskets, rules),
        rules=found,
        season=len(above_chance(found)) - len(followed),
        days_later=int((later.days.max() - pd.Timestamp(baskets.cut)).days) + 1,
        by_month=bool(months_known(later)),
    )


def _a_quarter_earlier(baskets: Baskets, rules: Rules) -> pd.DataFrame:
    try:
        found = _found(baskets.first_half(), rules)
    except NotEnoughData:
        return _EMPTY
    return recount(_beyond_season(found), baskets.third_quarter())


def _found(part: Baskets, rules: Rules) -> Rules:
    """The pairs of a part of the time, under the settings of the rules."""
    return fit(
        part,
        min_confidence=rules.min_confidence,
        max_items=2,
        q_max=rules.rate,
        keep_redundant=rules.keep_redundant,
    )


def above_chance(rules: Rules) -> list[Itemset]:
    """The pairs among the rules that are above chance given basket size, best first."""
    table = rules.table
    chosen = table.loc[table["above"] & (table["itemset"].map(len) == 2), "itemset"]
    return list(dict.fromkeys(chosen))


def _beyond_season(rules: Rules) -> list[Itemset]:
    """Of the pairs above chance those that are so within months too; all of them where months are not known."""
    table = rules.table
    if not months_judged(rules):
        return above_chance(rules)
    beyond = set(table.loc[table["beyond_season"], "itemset"])
    return [pair for pair in above_chance(rules) if pair in beyond]


def months_judged(rules: Rules) -> bool:
    """Were pairs held against the months they were sold in?"""
    return "times_in_months" in rules.table and bool(rules.table["times_in_months"].notna().any())


def by_season(pairs: pd.DataFrame) -> pd.Series[bool]:
    """Which of these pairs (rows of the rules) does the season explain: clearly less together within months than over all?"""
    return ~pairs["beyond_season"].astype(bool) & (pairs["times_high_in_months"] < pairs["times_low"])


def score(
    rules: Rules, baskets: Baskets, validation: Validation, *, least_customers: int = LEAST_CUSTOMERS
) -> pd.DataFrame:
    """What can be shown with what? One row a pair that is worth a try, best first.

    A pair is listed when it is above chance given basket size, also within months and within groups of customers where
    these are known, with at least `least_customers` customers behind it, and when neither item is another size, a set or
    a gift of the other. Shown with the item whose buyers take the other more often. Columns item, suggest (names), pair,
    item_id, suggest_id, baskets, expected, customers, share (of the item's baskets that hold the other), times,
    times_low, times_high (after shrinkage), extra_low (baskets beyond chance, lower bound; the order where costs are
    not known), margin_low (the same in margin of what is suggested), room, room_low, room_high (margin per 1,000 baskets,
    see `_room`; the order; NaN where costs are not known), later (verdict on the last quarter; '' where unknown).
    """
    table = _eligible(rules, least_customers=least_customers)
    table = table[[not related(baskets, *pair) for pair in table["itemset"]]] if len(table) else table
    later = validation.shown.set_index("itemset")["verdict"] if len(validation.shown) else pd.Series(dtype=str)
    room, room_low, room_high = (
        _room(table, baskets, times=column) for column in ("times_shrunk", "shrunk_low", "shrunk_high")
    )
    listed = pd.DataFrame(
        {
            "item": [baskets.names[i] for (i,) in table["antecedent"]],
            "suggest": [baskets.names[i] for (i,) in table["consequent"]],
            "pair": list(table["itemset"]),
            "item_id": [baskets.ids[i] for (i,) in table["antecedent"]],
            "suggest_id": [baskets.ids[i] for (i,) in table["consequent"]],
            "baskets": table["count"].to_numpy(),
            "expected": table["expected"].to_numpy(),
            "customers": table["customers"].to_numpy(),
            "share": table["confidence"].to_numpy(),
            "times": table["times_shrunk"].to_numpy(),
            "times_low": table["shrunk_low"].to_numpy(),
            "times_high": table["shrunk_high"].to_numpy(),
            "extra_low": table["extra_low"].to_numpy(),
            "margin_low": table["margin_low"].to_numpy(),
            "room": room,
            "room_low": room_low,
            "room_high": room_high,
            "later": [later.get(pair, "") for pair in table["itemset"]],
        }
    )
    worth = ["room", "margin_low"] if listed["room"].notna().any() else []
    return listed.sort_values([*worth, "extra_low"], ascending=False, kind="stable", ignore_index=True)


def relatives_left_out(
    rules: Rules, baskets: Baskets, *, least_customers: int = LEAST_CUSTOMERS
) -> list[tuple[Itemset, str]]:
    """Pairs that would have been suggested if they were not sizes, sets or gifts of one another, and which they are."""
    pairs = _eligible(rules, least_customers=least_customers)["itemset"]
    return [(pair, how) for pair in pairs if (how := related(baskets, *pair))]


def _eligible(rules: Rules, *, least_customers: int) -> pd.DataFrame:
    table = rules.table
    chosen = table["above"] & (table["itemset"].map(len) == 2) & (table["customers"] >= least_customers)
    if months_judged(rules):
        chosen &= table["beyond_season"]
    chosen &= table["beyond_groups"]
    ordered = table[chosen].sort_values(["confidence"], ascending=False, kind="stable")
    return ordered.drop_duplicates("itemset").sort_index()


def _room(table: pd.DataFrame, baskets: Baskets, *, times: str) -> Floats:
    """Margin per 1,000 baskets if suggesting won those who take the first alone as often as habit already joins the two
    beyond chance. Nothing says that a suggestion wins anybody: it is room, not a forecast."""
    margins = baskets.margins if len(baskets.margins) else np.full(len(baskets.ids), np.nan)
    margin = np.array([margins[i] for (i,) in table["consequent"]], dtype=float)
    beyond = table["expected"].to_numpy(dtype=float) * (table[times].to_numpy(dtype=float) - 1)
    left = 1 - table["count"].to_numpy(dtype=float) / table["count_a"].to_numpy(dtype=float)
    return np.asarray(beyond * left * margin * 1000 / max(baskets.n, 1))


def recount(pairs: list[Itemset], later: Baskets) -> pd.DataFrame:
    """How often do these pairs meet in these baskets, held against chance within each month where months are known?

    Columns itemset, count, expected, times, times_low, times_high, verdict: held (interval above 1), gone (below 1),
    unclear; and times_over_all, with chance over the whole time.
    """
    table = count_pairs(pairs, baskets=later)
    table["times_over_all"] = table["times"]
    months = months_known(later)
    if pairs and months:
        within = expected_by(months, np.array(pairs, dtype=np.int64), baskets=later).sum().to_numpy()
        reach = pd.Series(np.log(table["times_high"] / table["times"]))
        table["expected"], table["times"] = within, table["count"] / within
        table["times_low"], table["times_high"] = within_range(table["count"], table["expected"], reach=reach)
    verdicts = np.where(table["times_low"] > 1, HELD, np.where(table["times_high"] < 1, GONE, UNCLEAR))
    return table.assign(verdict=verdicts)


def _nothing(why: str) -> Validation:
    return Validation(cut=None, why=why, baskets_earlier=0, baskets_later=0, found=_EMPTY, shown=_EMPTY, before=_EMPTY)


def _held(pairs: pd.DataFrame, found: str, then: str) -> str:
    """'Of 9 pairs found before, 8 were above chance again later; 1 was below it' without the parts that are nought."""
    n = len(pairs)
    held, gone, unclear = (int((pairs["verdict"] == verdict).sum()) for verdict in (HELD, GONE, UNCLEAR))
    if held == n:
        return f"{'the one pair' if n == 1 else f'all {n:,} pairs'} {found} {'was' if n == 1 else 'were'} above chance again {then}"
    parts = [f"{held:,} of {n:,} pairs {found} were above chance again {then}"]
    parts += [f"{gone:,} {'was' if gone == 1 else 'were'} below it"] if gone else []
    parts += [f"for {unclear:,} the baskets were too few to tell"] if unclear else []
    return ", ".join(parts)
