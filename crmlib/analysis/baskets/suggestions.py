"""What can be shown with what? The pairs that are worth a try, and why others are not."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.baskets.facts import WORDS, Baskets, Floats
from crmlib.analysis.baskets.mining import Itemset
from crmlib.analysis.baskets.relatives import related
from crmlib.analysis.baskets.rules import LEAST_CUSTOMERS, Rules, directions, pairs_above
from crmlib.analysis.baskets.season import by_season
from crmlib.analysis.baskets.validation import GONE, HELD, UNCLEAR, Validation
from crmlib.findings import Caveat, Chart, Metric, Part, Signal
from crmlib.formats import Estimate

SHOWN = 10  # pairs open on the page
_COSTS_KNOWN = 0.8  # share of sales with known costs, below which the page says so
_LATER = {HELD: "yes", UNCLEAR: "too few to tell", GONE: "no", "": "not known"}
# Why a pair above chance is not suggested, of one and of several; the first that holds counts.
_REASONS = {
    "season": ("follows the season", "follow the season"),
    "maybe season": ("may only follow the season", "may only follow the season"),
    "group": ("belongs to one group of customers", "belong to one group of customers"),
    "few": (f"has fewer than {LEAST_CUSTOMERS} buyers", f"have fewer than {LEAST_CUSTOMERS} buyers"),
    "relatives": ("is two sizes, or a set and its part", "are sizes or sets of one another"),
}


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
    if rules.months_judged:
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


def not_suggested(rules: Rules, baskets: Baskets, suggestions: pd.DataFrame) -> pd.DataFrame:
    """Which pairs above chance are not suggested, and why? One row a pair, under the first reason that holds.

    Columns pair, first, second (names), count, customers, times, reason (season, maybe season, group, few, relatives).
    """
    table = pairs_above(rules)
    left = table[~table["itemset"].isin(set(suggestions["pair"]))]
    season = ~left["beyond_season"].astype(bool) & rules.months_judged
    explained = by_season(left) if rules.months_judged else season
    tests = [explained, season, ~left["beyond_groups"].astype(bool), left["customers"] < LEAST_CUSTOMERS]
    way = directions(rules)
    return pd.DataFrame(
        {
            "pair": list(left["itemset"]),
            "first": [baskets.names[way[pair][0]] for pair in left["itemset"]],
            "second": [baskets.names[way[pair][1]] for pair in left["itemset"]],
            **{name: left[name].to_numpy() for name in ("count", "customers", "times")},
            "reason": np.select([test.to_numpy(dtype=bool) for test in tests], list(_REASONS)[:4], "relatives"),
        }
    )


def room(suggestions: pd.DataFrame, baskets: Baskets) -> Estimate:
    """Room of all pairs together, margin per 1,000 baskets; its ends are added up as if all pairs moved together."""
    known = suggestions[suggestions["room"].notna()]
    value, low, high = (float(known[name].sum()) if len(known) else None for name in ("room", "room_low", "room_high"))
    return Estimate(value=value, low=low, high=high, unit=baskets.currency or "money", n=len(known) or None)


def part_pairs(rules: Rules, baskets: Baskets, suggestions: pd.DataFrame, validation: Validation) -> Part:
    """Which pairs are worth a try, by how much do they stand out, and did they lately?"""
    many = WORDS[baskets.level][1]
    if suggestions.empty:
        title = f"No pair of {many} is sure enough to be shown"
        sentence = f"{wording.upper(wording.counted(rules.pairs_searched, 'pair'))} were compared. Bestsellers remain the plainer choice."
    else:
        top = suggestions.iloc[0]
        often = wording.times(float(top["times"]), word="often")
        title = f"{top['item']} and {top['suggest']} are bought together {often} as expected"
        sentence = (
            f"{formats.number(top['baskets'])} baskets hold both; from how well each sells, and how large baskets are, "
            f"you would expect {formats.number(top['expected'])}."
        )
    return Part(
        title=title,
        sentence=sentence,
        chart=_chart(suggestions, baskets, validation),
        metrics=_metrics(rules, baskets, suggestions),
        tables={"suggestions": suggestions.drop(columns="pair")},
        signals=[
            Signal(
                id=f"pair {row.item_id} {row.suggest_id}",
                text=f"{row.item} and {row.suggest} are bought together unusually often.",
                gone=f"{row.item} and {row.suggest} no longer stand out as a pair.",
            )
            for row in suggestions.itertuples()
        ],
        certain=[
            "Expected means: the same baskets and the same sales, but filled at random. Ranges are where the number would "
            "lie with other customers of the same kind, 95 times in 100."
        ],
        method=[
            f"The multiples are pulled towards what all {formats.number(rules.prior.pairs)} pairs of frequent {many} do, "
            "the more the fewer customers stand behind them (gamma-Poisson shrinkage).",
            f"A pair is suggested when it is above chance also within months and groups of customers, with "
            f"{LEAST_CUSTOMERS} customers or more, and is not a size, set or gift of itself as name, category, brand and "
            "price tell.",
            *(
                [
                    "Room is the margin there would be if suggesting won those who take one product alone as often as habit "
                    f"already joins the two. Unit costs are known for {formats.share(baskets.margin_known)} of sales."
                ]
                if baskets.margin_known
                else []
            ),
        ],
        caveats=[
            Caveat(
                text=wording.sentences(
                    "Bought together does not mean that showing one sells the other: only a test can tell.",
                    "Promotions and page placement create pairs too, and stock is not in the data.",
                    f"Costs are known for {formats.share(baskets.margin_known)} of sales only; other pairs come last."
                    if 0 < baskets.margin_known < _COSTS_KNOWN
                    else "",
                )
            )
        ],
    )


def _chart(suggestions: pd.DataFrame, baskets: Baskets, validation: Validation) -> Chart | None:
    if suggestions.empty:
        return None
    later = dict(zip(validation.shown["itemset"], validation.shown["times_over_all"], strict=True))
    money = suggestions["room"].notna().any()
    named = suggestions.assign(
        name=suggestions["item"] + " + " + suggestions["suggest"],
        lately=[float(later.get(pair, np.nan)) for pair in suggestions["pair"]],
        later=suggestions["later"].map(_LATER),
        range=suggestions["times_low"].map(formats.multiple)
        + formats.DASH
        + suggestions["times_high"].map(formats.multiple),
        worth=[
            Estimate(value=r.room, low=r.room_low, high=r.room_high, unit=baskets.currency).text
            if money
            else formats.number(1000 * r.extra_low / baskets.n, digits=1)
            for r in suggestions.itertuples()
        ],
    )
    more = len(suggestions) - SHOWN
    caption = f"The first {SHOWN} of {formats.number(len(suggestions))} pairs. " if more > 0 else ""
    return figures.dots(
        named,
        label="name",
        value="times",
        low="times_low",
        high="times_high",
        what="times as often together as expected",
        form=formats.multiple,
        reference=1,
        log=True,
        rows=SHOWN,
        caption=f"{caption}Dots are cautious estimates; lines are 95% ranges.",
        table=figures.tabulate(
            named,
            caption="Pairs worth a test",
            labels={"item": "Shown with", "suggest": "Suggest", "baskets": "Baskets with both", "expected": "Expected",
                    "customers": "Customers", "share": "Of its baskets", "times": "Times as often", "range": "Range",
                    "lately": wording.upper(validation.lately), "later": "Held up later",
                    "worth": "Room, margin per 1,000 baskets" if money else "Beyond expected, per 1,000 baskets"},
            formats=dict.fromkeys(("baskets", "expected", "customers"), formats.number)
            | dict.fromkeys(("times", "lately"), formats.multiple) | {"share": formats.share},
            file="tables/suggestions.csv",
        ),
    )  # fmt: skip


def _metrics(rules: Rules, baskets: Baskets, suggestions: pd.DataFrame) -> list[Metric]:
    related_pairs = len(relatives_left_out(rules, baskets))
    return [
        Metric(
            id="pairs_above_chance", label="Pairs bought together unusually often", value=rules.pairs, unit="pairs",
            n=rules.pairs_searched, headline=True, note=f"of {formats.number(rules.pairs_searched)} compared",
            definition="Pairs in more baskets than the configuration model expects of basket sizes and item totals; "
            f"Benjamini-Hochberg false-discovery rate {rules.rate:g}, customers as clusters.",
        ),
        Metric(
            id="suggestions", label="Pairs worth a test", value=len(suggestions), unit="pairs", n=rules.pairs,
            definition="Pairs above chance given basket size, also within months and groups of customers, with at least "
            f"{LEAST_CUSTOMERS} customers, not sizes, sets or gifts of one another.",
        ),
        Metric.of(
            room(suggestions, baskets), id="room_per_1000", label="Room in margin per 1,000 baskets, untested",
            definition="Extra margin per 1,000 baskets if suggesting won those who take only the first of a pair as often "
            "as habit already joins the two beyond chance, after shrinkage. Before refunds.",
        ),
        Metric(
            id="relatives_left_out", label="Sizes, sets and gifts left out", value=related_pairs, unit="pairs",
            n=rules.pairs, definition="Pairs that fulfil all else, but are the same product in another size, or a set or "
            "gift with the other in it, by name, category, brand and price.",
        ),
    ]  # fmt: skip


def part_not_suggested(rules: Rules, baskets: Baskets, suggestions: pd.DataFrame) -> Part | None:
    """Which pairs stand out and are not suggested, and why? None where all are."""
    left = not_suggested(rules, baskets, suggestions)
    if left.empty:
        return None
    counts = left["reason"].value_counts()
    alike = wording.noun(len(left), "it", "they")
    said = [
        f"{alike if len(counts) == 1 else formats.number(counts[name])} {wording.noun(counts[name], *words)}"
        for name, words in _REASONS.items()
        if name in counts
    ]
    return Part(
        title=f"{wording.upper(wording.small(len(left)))} {wording.noun(len(left), 'pair')} "
        f"{wording.noun(len(left), 'stands', 'stand')} out but {wording.noun(len(left), 'is')} not worth a test",
        sentence=f"{wording.upper(wording.listed(said))}.",
        detail=True,
        chart=figures.table(
            left.assign(reason=left["reason"].map({name: words[0] for name, words in _REASONS.items()})),
            caption="Pairs bought together unusually often that are not suggested",
            labels={"first": "Product", "second": "With", "count": "Baskets with both", "customers": "Customers",
                    "times": "Times as often", "reason": "Why not"},
            formats={"count": formats.number, "customers": formats.number, "times": formats.multiple},
            file="tables/rules.csv",
        ),
    )  # fmt: skip
