"""Which pairs are made by the season: together over the whole time, but not within single months?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.baskets import mining
from crmlib.analysis.baskets.facts import Baskets
from crmlib.analysis.baskets.pairs import SHOWN, seasons_known, times_chart
from crmlib.analysis.baskets.rules import Rules, directions, pairs_above
from crmlib.findings import Part

SEASONS = ("Dec–Feb", "Mar–May", "Jun–Aug", "Sep–Nov")
_SPOKEN = dict(
    zip(SEASONS, ("December to February", "March to May", "June to August", "September to November"), strict=True)
)


def by_season(pairs: pd.DataFrame) -> pd.Series[bool]:
    """Which pairs (rows of the rules) does the season explain: clearly less together within months than over all?"""
    return ~pairs["beyond_season"].astype(bool) & (pairs["times_high_in_months"] < pairs["times_low"])


def season_of(pair: mining.Itemset, baskets: Baskets) -> tuple[str, float]:
    """In which season is a pair bought most, and what share of its baskets is that?"""
    here = np.asarray(mining.together(baskets.held, [pair]).sum(axis=1)).ravel() > 0
    seasons = baskets.months[here].str[5:7].astype(int) % 12 // 3
    most = seasons.value_counts().sort_index()
    return SEASONS[int(most.idxmax())], float(most.max() / most.sum())


def seasonal(rules: Rules, baskets: Baskets, suggestions: pd.DataFrame) -> pd.DataFrame:
    """Pairs above chance held against their months: those the season explains, those it may, the suggestions, the rest.

    Columns pair, first, second, count, times, times_low, times_high (whole time), within, within_low, within_high (each
    month held against its own sales), explained, beyond (also above chance within months). Empty where months are not
    known.
    """
    pairs = pairs_above(rules)
    if not rules.months_judged:
        pairs = pairs.head(0).assign(**{f"times{end}_in_months": 0.0 for end in ("", "_low", "_high")})
    pairs = pairs[pairs["times_in_months"].notna()]
    explained, beyond = by_season(pairs), pairs["beyond_season"].astype(bool)
    place = {pair: row for row, pair in enumerate(suggestions["pair"])}
    rank = np.array([place.get(pair, len(place)) for pair in pairs["itemset"]])
    group = np.where(explained, 0, np.where(beyond, 2, 1))
    order = np.lexsort((np.where(beyond, rank, 0), group))
    way = directions(rules)
    table = pd.DataFrame(
        {
            "pair": pairs["itemset"],
            "first": [baskets.names[way[pair][0]] for pair in pairs["itemset"]],
            "second": [baskets.names[way[pair][1]] for pair in pairs["itemset"]],
            **{name: pairs[name] for name in ("count", "times", "times_low", "times_high")},
            "within": pairs["times_in_months"],
            "within_low": pairs["times_low_in_months"],
            "within_high": pairs["times_high_in_months"],
            "explained": explained,
            "beyond": beyond,
        }
    )
    return table.iloc[order].reset_index(drop=True)


def part_season(rules: Rules, baskets: Baskets, suggestions: pd.DataFrame) -> Part | None:
    """Which pairs does the season explain? None where no pair could be held against its months, or in under two years:
    one year carries no season."""
    table = seasonal(rules, baskets, suggestions)
    if table.empty or not seasons_known(baskets) or (suggestions.empty and table["beyond"].all()):
        return None
    busiest = [season_of(pair, baskets) for pair in table["pair"].head(SHOWN)]
    shown = table.head(SHOWN).assign(
        name=lambda t: t["first"] + " + " + t["second"],
        busiest=[f"{season} ({formats.share(part)})" for season, part in busiest],
    )
    behind = figures.tabulate(
        shown,
        caption="Pairs over the whole time and month by month",
        labels={"name": "Pair", "count": "Baskets with both", "busiest": "Most of them in", "times": "Whole time",
                "within": "Month by month", "within_low": "From", "within_high": "To"},
        formats={"count": formats.number}
        | dict.fromkeys(("times", "within", "within_low", "within_high"), formats.multiple),
        file="tables/rules.csv",
    )  # fmt: skip
    title, sentence = _said(table, busiest[0])
    return Part(
        title=title,
        sentence=sentence,
        chart=times_chart(
            shown,
            what="times expected, month by month",
            value="within",
            strong="beyond",
            caption="Each month is compared with its own sales. Grey pairs are not suggested.",
            table=behind,
        ),
    )


def _said(table: pd.DataFrame, busiest: tuple[str, float]) -> tuple[str, str]:
    first, (season, part) = table.iloc[0], busiest
    explained, beyond = int(table["explained"].sum()), int(table["beyond"].sum())
    if beyond == len(table):
        title = "The pair is" if beyond == 1 else f"None of the {beyond} pairs is"
        sentence = "Compared month by month, the products are still bought together more often than expected."
        return f"{title}{' not' if beyond == 1 else ''} made by the season", sentence
    names, months = f"{first['first']} and {first['second']}", _SPOKEN[season]
    title = f"{names} {'' if explained else 'may '}sell together only because both sell from {months}"
    others = len(table) - beyond - 1
    subject = (
        f"neither they nor {wording.counted(others, 'other pair')} stand out" if others else "they do not stand out"
    )
    share = "All" if part == 1 else formats.share(part)
    count = wording.counted(int(first["count"]), "basket")
    return (
        title,
        f"{share} of their {count} {wording.noun(first['count'], 'is')} from those months; month by month, {subject}.",
    )
