"""Do pairs found on earlier baskets hold on later ones, and which of them are worth showing to a customer?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from crmlib import stats, wording
from crmlib.analysis.baskets.facts import Baskets, tally
from crmlib.analysis.baskets.mining import Itemset
from crmlib.analysis.baskets.pairs import expected_by, months_known, seasons_known, times_chart
from crmlib.analysis.baskets.rules import Rules, above_chance, count_pairs, fit
from crmlib.analysis.baskets.significance import within_range
from crmlib.errors import NotEnoughData, UsageError
from crmlib.findings import Metric, Part
from crmlib.formats import Estimate

HELD, UNCLEAR, GONE = "held", "unclear", "gone"
_EMPTY = pd.DataFrame(
    columns=["itemset", "count", "expected", "times", "times_low", "times_high", "times_over_all", "verdict"]
)


@dataclass(frozen=True)
class Validation:
    """What later baskets say. `cut` is None where there was nothing to compare, and `why` says why.

    found   one row a pair found before `cut`, within months too where they are known: itemset, and on the baskets
            since: count, expected, times, times_low, times_high, times_over_all, verdict (see `recount`)
    before  the same at an earlier cut: pairs found in the first half of the time, on the quarter that came next
    season  pairs found before `cut` over all but not within months; they are not followed
    years   whether the baskets span two years, so that these can be called the season's
    days_later, by_month  length of the time since `cut`, and whether each of its months was held to its own totals
    shown   the same for the pairs of the rules themselves, which rest on all baskets, these included
    rules   what the earlier baskets alone gave, None where nothing was compared
    """

    cut: date | None
    why: str
    found: pd.DataFrame
    shown: pd.DataFrame
    before: pd.DataFrame
    rules: Rules | None = None
    season: int = 0
    days_later: int = 0
    by_month: bool = False
    years: bool = True

    def count(self, verdict: str) -> int:
        """Pairs found earlier with this verdict."""
        return int((self.found["verdict"] == verdict).sum())

    @property
    def verdict(self) -> str:
        """What the comparison says, in a sentence or two."""
        if self.cut is None:
            return self.why
        if self.found.empty:
            alone = f" but by {self._alone}" if self.season else ""
            return f"No pair stood out{alone} in the first three quarters of the time, so there was none to follow."
        said = f"{_held(self.found, 'first three quarters of the time', self.lately)}."
        if self.season:
            more = wording.counted(self.season, "more pair")
            said += f" {more} stood out by {self._alone} and {wording.noun(self.season, 'was')} not followed."
        return said

    @property
    def _alone(self) -> str:
        return "the season alone" if self.years else "the months they were sold in"

    @property
    def verdict_before(self) -> str:
        """The same of pairs found in the first half, in a sentence; '' where there are none."""
        return f"{_held(self.before, 'first half of the time', 'quarter that came next')}." if len(self.before) else ""

    @property
    def lately(self) -> str:
        """The time since the cut: 'last 9 months'."""
        months = round(self.days_later / 30.4)
        return f"last {months} months" if months >= 2 else f"last {self.days_later:,} days"

    def __repr__(self) -> str:
        return f"Validation({self.verdict})"


def validate(baskets: Baskets, rules: Rules) -> Validation:
    """Were pairs found before `baskets.cut` above chance again afterwards? Same settings, later baskets, their own
    totals.

    Finding uses nothing of the later part; the later part's chance model is fitted to its own sizes and totals. A pair
    that only shares its season would be together again a year later, so both sides are judged within months.
    """
    pairs = above_chance(rules)
    if baskets.cut is None:
        return _nothing("Orders have no days here, so no pair could be followed over time.")
    later = baskets.part("later")
    try:
        found = _found(baskets.part("earlier"), rules)
    except NotEnoughData as error:
        return _nothing(f"The earlier part is too small to find rules in: {error}.")
    except UsageError:
        return _nothing("In the earlier part more pairs are frequent than can be compared, so none was followed.")
    followed = _beyond_season(found)
    try:
        before = recount(_beyond_season(_found(baskets.part("first half"), rules)), baskets.part("third quarter"))
    except (NotEnoughData, UsageError):
        before = _EMPTY
    return Validation(
        cut=baskets.cut,
        why="",
        found=recount(followed, later),
        shown=recount(pairs, later),
        before=before,
        rules=found,
        season=len(above_chance(found)) - len(followed),
        days_later=int((later.days.max() - pd.Timestamp(baskets.cut)).days) + 1,
        by_month=bool(months_known(later)),
        years=seasons_known(baskets),
    )


def _found(part: Baskets, rules: Rules) -> Rules:
    """The pairs of a part of the time, under the settings of the rules."""
    same = {name: getattr(rules, name) for name in ("min_confidence", "keep_redundant")}
    return fit(part, max_items=2, q_max=rules.rate, **same)


def _beyond_season(rules: Rules) -> list[Itemset]:
    """Of the pairs above chance those that are so within months too; all of them where months are not known."""
    table = rules.table
    if not rules.months_judged:
        return above_chance(rules)
    beyond = set(table.loc[table["beyond_season"], "itemset"])
    return [pair for pair in above_chance(rules) if pair in beyond]


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
    return Validation(cut=None, why=why, found=_EMPTY, shown=_EMPTY, before=_EMPTY)


def _held(pairs: pd.DataFrame, found: str, then: str) -> str:
    """'All 8 pairs found in the first half held up in the next quarter', or how many did, and what became of the
    rest."""
    n = len(pairs)
    held, gone = (int((pairs["verdict"] == verdict).sum()) for verdict in (HELD, GONE))
    if held == n:
        all_of_them = {1: "The one pair", 2: "Both pairs"}.get(n, f"All {n} pairs")
        return f"{all_of_them} found in the {found} held up in the {then}"
    if n == 1 and gone:
        return f"The one pair found in the {found} reversed in the {then}"
    if n == 1:
        return f"Whether the one pair found in the {found} held up in the {then} could not be told"
    rest = [f"{gone} reversed"] if gone else []
    rest += [f"{n - held - gone} could not be told"] if n > held + gone else []
    counted = f"{held or 'None'} of {wording.counted(n, 'pair')} found in the {found}"
    return f"{counted} held up in the {then}, {wording.listed(rest)}"


def held_up(validation: Validation, baskets: Baskets) -> Part:
    """How many pairs found earlier held up later? With `predictions.part_later` around it."""
    found = validation.found
    held, n = validation.count(HELD), len(found)
    low, high = (float(end) for end in stats.share_interval(held, n)) if n else (None, None)
    share = Estimate(value=held / n if n else None, low=low, high=high, unit="share", n=n or None)
    within = ", found and counted within months, each against its own totals" if validation.by_month else ""
    definition = f"Pairs found in the first three quarters of the time whose range is above chance in the rest{within}."
    tile = tally("pairs_held", "Pairs that held up later", held if n else None, n or None, definition)
    title = (
        f"{held or 'None'} of {wording.counted(n, 'pair')} found earlier held up in the {validation.lately}"
        if n
        else ""
    )
    if n == 1:
        title = f"The pair found earlier {'held up' if held else 'could not be confirmed'} in the {validation.lately}"
    names = [" + ".join(baskets.names[i] for i in pair) for pair in found["itemset"]]
    return Part(
        title=title,
        chart=times_chart(found.assign(name=names), what=f"times expected, {validation.lately}") if n else None,
        detail=True,
        metrics=[
            replace(tile, headline=bool(n), note=f"of {n}, in the {validation.lately}"),
            Metric.of(share, id="held_later", label="Share of pairs that held up later", definition=definition),
        ],
        certain=[validation.verdict],
        method=[before] if (before := validation.verdict_before) else [],
    )
