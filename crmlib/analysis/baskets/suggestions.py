"""What can be shown with what? The pairs that are worth a try, and why others are not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.baskets.facts import WORDS, Baskets, Floats, tally
from crmlib.analysis.baskets.mining import Itemset
from crmlib.analysis.baskets.pairs import SHOWN, seasons_known, times_chart
from crmlib.analysis.baskets.relatives import related
from crmlib.analysis.baskets.rules import LEAST_CUSTOMERS, Rules, directions, pairs_above
from crmlib.analysis.baskets.season import by_season
from crmlib.analysis.baskets.validation import GONE, HELD, UNCLEAR, Validation
from crmlib.findings import Caveat, Chart, Metric, Part, Signal
from crmlib.formats import Estimate

_LIMITS = (
    "Bought together does not mean that showing one sells the other: only a test can tell.",
    "Promotions and page placement create pairs too.",
)
_LISTED = LEADING = 10
_COSTS_KNOWN = 0.8  # share of sales with known costs, below which the page says so
_MEASURES = {"baskets": "count", "expected": "expected", "customers": "customers", "share": "confidence",
             "times": "times_shrunk", "times_low": "shrunk_low", "times_high": "shrunk_high", "extra_low": "extra_low",
             "margin_low": "margin_low", "gain": "gain"}  # fmt: skip
_LATER = {HELD: "yes", UNCLEAR: "too few to tell", GONE: "no", "": "not known"}
# Why a pair above chance is not suggested, of one and of several; the first that holds counts.
_REASONS = {
    "season": ("follows the season", "follow the season"),
    "months": ("sold only in the same months", "sold only in the same months"),
    "maybe season": ("may only follow the season", "may only follow the season"),
    "group": ("belongs to one group of customers", "belong to one group of customers"),
    "habit": ("comes from habits of the same customers", "come from habits of the same customers"),
    "few": (f"has fewer than {LEAST_CUSTOMERS} buyers", f"have fewer than {LEAST_CUSTOMERS} buyers"),
    "relatives": ("completes a set", "complete a set: sizes, designs or parts of one thing"),
    "again": ("repeats a better pair in another size or design", "repeat a better pair in another size or design"),
}


def score(
    rules: Rules, baskets: Baskets, validation: Validation, *, least_customers: int = LEAST_CUSTOMERS
) -> pd.DataFrame:
    """What can be shown with what? One row a pair that is worth a try, best first.

    A pair is listed when it is above chance given basket size, also within months, within groups of customers and
    beyond each customer's own habits where these are known, with at least `least_customers` customers behind it, and
    when neither item is another size, design, set or gift of the other. Two families make one pair, their best; ten
    lead, no family twice. Shown with the item beside which the other gains more over a bestseller. Columns item,
    suggest (names), pair, item_id, suggest_id, baskets, expected, customers, share (of the item's baskets that hold
    the other), times, times_low, times_high (after shrinkage), extra_low (baskets beyond chance, lower bound; the
    order where costs are not known), margin_low (the same in margin of what is suggested), room, room_low,
    room_high (margin per 1,000 baskets, see `_room`; the order; NaN where costs are not known), later (verdict on
    the last quarter; '' where unknown), gain (share less that of a bestseller, see `pairs.gains`).
    """
    table = _eligible(rules, least_customers=least_customers)
    table = table[[not related(baskets, *pair) for pair in table["itemset"]]] if len(table) else table
    later = validation.shown.set_index("itemset")["verdict"] if len(validation.shown) else pd.Series(dtype=str)
    room, room_low, room_high = (
        _room(table, baskets, times=column) for column in ("times_shrunk", "shrunk_low", "shrunk_high")
    )
    names, ids = np.array(baskets.names, dtype=object), np.array(baskets.ids, dtype=object)
    item, suggest = ([i for (i,) in table[side]] for side in ("antecedent", "consequent"))
    listed = pd.DataFrame(
        {
            "item": names[item], "suggest": names[suggest], "pair": list(table["itemset"]), "item_id": ids[item],
            "suggest_id": ids[suggest], **{name: table[column].to_numpy() for name, column in _MEASURES.items()},
            "room": room, "room_low": room_low, "room_high": room_high,
            "later": [later.get(pair, "") for pair in table["itemset"]]
        }
    )  # fmt: skip
    worth = ["room", "margin_low"] if listed["room"].notna().any() else []
    listed = listed.sort_values([*worth, "extra_low"], ascending=False, kind="stable", ignore_index=True)
    return _leading(listed, baskets)


def _leading(listed: pd.DataFrame, baskets: Baskets) -> pd.DataFrame:
    """Each two families once, by their best pair; ten of them lead, no family twice, those that beat a bestseller
    first."""
    families = baskets.families or ("",) * len(baskets.ids)
    of = [tuple(families[item] or baskets.ids[item] for item in pair) for pair in listed["pair"]]
    once = ~pd.Series([tuple(sorted(pair)) for pair in of], dtype=object).duplicated().to_numpy(dtype=bool)
    seen: set[str] = set()
    lead: list[int] = []
    for row in [*np.flatnonzero(once & (listed["gain"] > 0)), *np.flatnonzero(once & ~(listed["gain"] > 0))]:
        if len(lead) < LEADING and not seen & set(of[row]):
            lead.append(int(row))
            seen |= set(of[row])
    rest = [int(row) for row in np.flatnonzero(once) if row not in set(lead)]
    return listed.iloc[[*lead, *rest]].reset_index(drop=True)


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
    chosen &= table["beyond_groups"] & table["beyond_habits"]
    ordered = table[chosen].sort_values(["gain", "confidence"], ascending=False, kind="stable")
    return ordered.drop_duplicates("itemset").sort_index()


def _room(table: pd.DataFrame, baskets: Baskets, *, times: str) -> Floats:
    """Margin per 1,000 baskets if suggesting won those who take the first alone as often as habit already joins the two
    beyond chance. Nothing says that a suggestion wins anybody: it is room, not a forecast."""
    margins = baskets.margins if len(baskets.margins) else np.full(len(baskets.ids), np.nan)
    margin = np.array([margins[i] for (i,) in table["consequent"]], dtype=float)
    beyond = table["expected"].to_numpy(dtype=float) * (table[times].to_numpy(dtype=float) - 1)
    left = 1 - table["count"].to_numpy(dtype=float) / table["count_a"].to_numpy(dtype=float)
    return np.asarray(beyond * left * margin * 1000 / max(baskets.n, 1))


def room(suggestions: pd.DataFrame, baskets: Baskets) -> Estimate:
    """Room of all pairs together, margin per 1,000 baskets; its ends are added up as if all pairs moved together."""
    known = suggestions[suggestions["room"].notna()]
    value, low, high = (float(known[name].sum()) if len(known) else None for name in ("room", "room_low", "room_high"))
    return Estimate(value=value, low=low, high=high, unit=baskets.currency or "money", n=len(known) or None)


def none_worth_a_test(rules: Rules, many: str) -> str:
    """That no pair is suggested, in words that do not deny those that stand out."""
    n = rules.pairs
    if not n:
        return f"No two {many} are bought together unusually often"
    stand = f"{wording.noun(n, 'pair')} of {many} {wording.noun(n, 'stands', 'stand')} out"
    return f"{wording.upper(wording.small(n))} {stand}, but {wording.noun(n, 'is not', 'none is')} worth a test"


def part_pairs(rules: Rules, baskets: Baskets, suggestions: pd.DataFrame, validation: Validation) -> Part:
    """Which pairs are worth a try, by how much do they stand out, and did they lately?"""
    many = WORDS[baskets.level][1]
    title = none_worth_a_test(rules, many)
    compared = wording.counted(rules.pairs_searched, "pair")
    were = wording.noun(rules.pairs_searched, "was", "were")
    sentence = f"{wording.upper(compared)} {were} compared. Bestsellers remain the plainer choice."
    for top in suggestions.head(1).itertuples():
        title = f"{top.item} and {top.suggest} are bought together {wording.times(top.times, word='often')} as expected"
        sentence = f"{formats.number(top.baskets)} baskets hold both; you would expect {formats.number(top.expected)}."
    share = formats.share(baskets.margin_known)
    some = f"Costs are known for {share} of sales only; other pairs come last."
    return Part(
        title=title,
        sentence=sentence,
        chart=_chart(suggestions, baskets, validation),
        metrics=_metrics(rules, baskets, suggestions),
        tables={"suggestions": suggestions.drop(columns="pair")},
        signals=[_signal(row) for row in suggestions.head(10).to_dict("records")],
        method=[
            f"The multiples are pulled towards what all {wording.counted(rules.prior.pairs, 'pair')} of frequent "
            f"{many} do, the more the fewer customers stand behind them (gamma-Poisson shrinkage).",
            f"Unit costs are known for {share} of sales.",
        ],
        caveats=[Caveat(text=wording.sentences(*_LIMITS, some if 0 < baskets.margin_known < _COSTS_KNOWN else ""))],
    )


def _signal(row: dict[str, Any]) -> Signal:
    """Of the pair, whichever of the two is suggested: that may turn from run to run."""
    (one, first), (other, second) = sorted([(row["item_id"], row["item"]), (row["suggest_id"], row["suggest"])])
    return Signal(
        id=f"pair {one} {other}", text=f"{first} and {second} are bought together unusually often.",
        gone=f"{first} and {second} no longer stand out as a pair.",
    )  # fmt: skip


def _chart(suggestions: pd.DataFrame, baskets: Baskets, validation: Validation) -> Chart | None:
    if suggestions.empty:
        return None
    later = dict(zip(validation.shown["itemset"], validation.shown["times_over_all"], strict=True))
    named = suggestions.assign(
        name=suggestions["item"] + " + " + suggestions["suggest"],
        lately=[float(later.get(pair, np.nan)) for pair in suggestions["pair"]],
        later=suggestions["later"].map(_LATER),
        beyond=1000 * suggestions["extra_low"] / baskets.n,
    )
    money = bool(suggestions["room"].notna().any())
    worth = {"beyond": "Beyond expected, per 1,000 baskets"}
    if money:
        worth = {"room": "Room, margin per 1,000 baskets", "room_low": "From", "room_high": "To"}
    behind = figures.tabulate(
        named,
        caption="Pairs bought together unusually often",
        labels={"item": "Shown with", "suggest": "Suggest", "baskets": "Baskets with both", "expected": "Expected",
                "customers": "Customers", "share": "Of its baskets", "times": "Times as often", "times_low": "From",
                "times_high": "To", "lately": wording.upper(validation.lately), "later": "Held up later", **worth},
        formats=dict.fromkeys(("baskets", "expected", "customers"), formats.number) | {"share": formats.share}
        | dict.fromkeys(("times", "times_low", "times_high", "lately"), formats.multiple)
        | dict.fromkeys(worth, lambda v: formats.money(v, baskets.currency) if money else formats.number(v, digits=1)),
        rows=_LISTED,
        file="tables/suggestions.csv",
    )  # fmt: skip
    caption = f"The first {SHOWN} of {formats.number(len(named))} pairs." if len(named) > SHOWN else ""
    return times_chart(named, what="times as often together as expected", caption=caption, table=behind)


def _metrics(rules: Rules, baskets: Baskets, suggestions: pd.DataFrame) -> list[Metric]:
    compared, left_out = rules.pairs_searched, len(relatives_left_out(rules, baskets))
    unusual = (
        "Pairs in more baskets than the configuration model expects of basket sizes and item totals; "
        f"Benjamini-Hochberg false-discovery rate {rules.rate:g}, customers as clusters."
    )
    above = tally("pairs_above_chance", "Pairs bought together unusually often", rules.pairs, compared, unusual)
    worth = (
        "Of these, pairs above chance within months and groups of customers too, with at least "
        f"{LEAST_CUSTOMERS} customers, not sizes, designs, sets or gifts of one another; each two families once."
    )
    return [
        replace(above, headline=True, note=f"of {formats.number(compared)} compared"),
        tally("suggestions", "Pairs clear enough to be shown", len(suggestions), rules.pairs, worth),
        Metric.of(
            room(suggestions, baskets),
            id="room_per_1000",
            label="Room in margin per 1,000 baskets, untested",
            definition="Extra margin per 1,000 baskets if suggesting won those who take only the first of a pair as "
            "often as habit already joins the two beyond chance, after shrinkage. Before refunds.",
        ),
        tally(
            "relatives_left_out",
            "Sizes, designs, sets and gifts left out",
            left_out,
            rules.pairs,
            "Pairs left out for this alone.",
        ),
    ]


def part_not_suggested(rules: Rules, baskets: Baskets, suggestions: pd.DataFrame) -> Part | None:
    """Which pairs stand out and are not suggested, and why (the first reason that holds)? None where all are."""
    table = pairs_above(rules)
    left = table[~table["itemset"].isin(set(suggestions["pair"]))]
    if left.empty:
        return None
    season = ~left["beyond_season"].astype(bool) & rules.months_judged
    explained = by_season(left) if rules.months_judged else season
    alike = pd.Series([bool(related(baskets, *pair)) for pair in left["itemset"]], index=left.index)
    years = seasons_known(baskets)
    tests = [
        explained & years,
        season & (not years),
        season,
        ~left["beyond_groups"].astype(bool),
        ~left["beyond_habits"].astype(bool),
        left["customers"] < LEAST_CUSTOMERS,
        alike,
    ]
    reason = np.select([test.to_numpy(dtype=bool) for test in tests], list(_REASONS)[:-1], "again")
    way, counts, n = directions(rules), pd.Series(reason).value_counts(), len(left)
    said = [
        f"{(wording.noun(n, 'it', 'they') if len(counts) == 1 else counts[name])} {wording.noun(counts[name], *words)}"
        for name, words in _REASONS.items()
        if name in counts
    ]
    shown = left.assign(
        first=[baskets.names[way[pair][0]] for pair in left["itemset"]],
        second=[baskets.names[way[pair][1]] for pair in left["itemset"]],
        reason=[_REASONS[name][0] for name in reason],
    )
    stand = f"{wording.noun(n, 'pair stands', 'pairs stand')} out but {wording.noun(n, 'is')} not worth a test"
    return Part(
        title=f"{wording.upper(wording.small(n))} {stand}",
        sentence=f"{wording.upper(wording.listed(said))}.",
        detail=True,
        chart=figures.table(
            shown,
            caption="Pairs bought together unusually often that are not suggested",
            labels={"first": "Product", "second": "With", "count": "Baskets with both", "customers": "Customers",
                    "times": "Times as often", "reason": "Why not"},
            formats={"count": formats.number, "customers": formats.number, "times": formats.multiple},
            file="tables/rules.csv"
        ),
    )  # fmt: skip
