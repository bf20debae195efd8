"""Is a pair a pair for new and for returning customers, in every season, in small baskets and in large?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import special

from crmlib import figures, formats, stats, wording
from crmlib.analysis.baskets import clusters, mining
from crmlib.analysis.baskets.expressions import EDGES
from crmlib.analysis.baskets.facts import Baskets, Floats, Ints, tally
from crmlib.analysis.baskets.mining import Itemset
from crmlib.analysis.baskets.pairs import LARGE, expected_by, group_rows, months_known, seasons_known
from crmlib.analysis.baskets.rules import Rules, count_pairs, directions
from crmlib.analysis.baskets.season import SEASONS
from crmlib.findings import Check, Part

SEASON, SIZE = "season", "basket size"
_SMALL = 4  # with LARGE, the edges between small, middle and large baskets, all of them edges of size classes
SIZES = (f"2–{_SMALL - 1} items", f"{_SMALL}–{LARGE - 1} items", f"{LARGE} or more")
LEAST_EXPECTED = 1.0  # baskets that chance must give a part, or nothing is said of it


def strata(rules: Rules, baskets: Baskets, pairs: list[Itemset]) -> pd.DataFrame:
    """How many times as often as chance is each pair together within each part of the baskets, its own totals held?

    One row a pair, dimension (season, customers, channel, basket size) and part: pair, first, second (as they are
    suggested), dimension, part, count, expected, times, times_low, times_high, turned. `turned` warns (Simpson): within
    this part the pair is below chance though it is above over all, at the false-discovery rate of the rules over all
    parts looked at. Chance within a season is that of its months.
    """
    columns = ["pair", "first", "second", "dimension", "part", "count", "expected", "times", "times_low", "times_high",
               "turned"]  # fmt: skip
    if not pairs:
        return pd.DataFrame(columns=columns)
    sets = np.array(pairs, dtype=np.int64)
    met = mining.together(baskets.held, pairs)
    way = directions(rules)
    overall = count_pairs(pairs, baskets=baskets)
    se = np.log(overall["times_high"] / overall["times"]) / 1.96
    inflation = np.maximum(1.0, (overall["count"] * se**2).fillna(1.0)).to_numpy()
    rows = []
    for dimension, parts in _parts(rules, baskets, sets).items():
        for part, (here, expected) in parts.items():
            count = np.asarray(met[here].sum(axis=0)).ravel().astype(np.int64)
            low, high = clusters.ratio_range(count, expected, inflation=inflation)
            rows += [
                (pair, *(baskets.names[item] for item in way.get(pair, pair)), dimension, part, *values)
                for pair, *values in zip(pairs, count, expected, low, high, inflation, strict=True)
            ]
    table = pd.DataFrame(rows, columns=[*columns[:7], "times_low", "times_high", "inflation"])
    table = table[table["expected"] >= LEAST_EXPECTED].reset_index(drop=True)
    below = special.gammaincc(table["count"] / table["inflation"] + 1, table["expected"] / table["inflation"])
    table["times"] = table["count"] / table["expected"]
    table["turned"] = stats.adjust(below, method="fdr_bh") <= rules.rate
    return table[columns]


def _parts(rules: Rules, baskets: Baskets, sets: Ints) -> dict[str, dict[str, tuple[Ints, Floats]]]:
    """By dimension and part: the rows of its baskets, and what chance gives each pair there."""
    answer: dict[str, dict[str, tuple[Ints, Floats]]] = {}
    if (months := months_known(baskets)) and seasons_known(baskets):
        expected = expected_by(months, sets, baskets=baskets)
        season = {month: SEASONS[int(month[5:7]) % 12 // 3] for month in months}
        answer[SEASON] = {
            name: (np.concatenate([months[month] for month in of_it]), expected.loc[of_it].sum().to_numpy())
            for name in SEASONS
            if (of_it := [month for month in months if season[month] == name])
        }
    for name in baskets.groups:
        if groups := group_rows(baskets, name):
            expected = expected_by(groups, sets, baskets=baskets)
            answer[name] = {
                label[len(name) + 2 :]: (here, expected.loc[label].to_numpy()) for label, here in groups.items()
            }
    by_class = rules.chance.expected(sets)
    lower = np.array([EDGES[baskets.classes[here[0]] - 1] for here in rules.chance.rows])
    band = np.digitize(lower, [_SMALL, LARGE])
    answer[SIZE] = {
        name: (
            np.concatenate([rules.chance.rows[place] for place in np.flatnonzero(band == number)]),
            by_class[band == number].sum(axis=0),
        )
        for number, name in enumerate(SIZES)
        if (band == number).any()
    }
    return answer


def part_strata(rules: Rules, baskets: Baskets, suggestions: pd.DataFrame) -> Part:
    """Do the suggested pairs hold for new and returning customers, in small baskets and in large?"""
    return part_of(strata(rules, baskets, list(suggestions["pair"])), asked=len(suggestions))


def part_of(table: pd.DataFrame, *, asked: int) -> Part:
    """The part on a table of `strata`, in which so many pairs were asked for."""
    turned = table[table["turned"].astype(bool)]
    pairs = turned.drop_duplicates("pair")
    shown = table[table["dimension"].isin(["customers", SIZE])]
    metric = tally(
        "turned", "Pairs that reverse in a part of the baskets", len(pairs), asked,
        "Suggested pairs found below chance within a season, group of customers, channel or basket size, its own "
        "totals held (Simpson).",
    )  # fmt: skip
    tables = {"strata": table.drop(columns="pair")}
    if shown.empty:
        return Part(metrics=[metric], tables=tables)
    customers = "for new and returning customers, " if "customers" in set(shown["dimension"]) else ""
    checks = []
    if len(pairs):
        first = pairs.iloc[0]
        where = f"{wording.counted(len(pairs), 'suggested pair')} {wording.noun(len(pairs), 'is')}"
        title = f"{first['first']} and {first['second']} do not hold everywhere ({first['part']})"
        sentence = f"{where} bought together less often than expected in some baskets."
        checks = [Check(name="direction", verdict="warning", text=sentence)]
    elif (shown["times"] > 1).all():
        title = f"The pairs hold {customers}in small and large baskets"
        sentence = "In large baskets nearly everything meets, so there the multiples are smaller."
    else:
        title = f"No pair reverses {customers}in small or large baskets"
        sentence = "Some are about as frequent as expected in one of these groups."
    wide = shown.assign(name=shown["first"] + " + " + shown["second"]).pivot_table(
        index="name", columns="part", values="times", sort=False
    )
    parts = list(dict.fromkeys(shown["part"]))
    chart = figures.table(
        wide[parts].reset_index(),
        caption="Times as often together as expected; a dash where baskets are too few",
        labels={"name": "Pair"} | {part: wording.upper(part) for part in parts},
        formats=dict.fromkeys(parts, formats.multiple),
        file="tables/strata.csv",
    )
    return Part(
        title=title, sentence=sentence, chart=chart, detail=True, metrics=[metric], tables=tables, checks=checks
    )
