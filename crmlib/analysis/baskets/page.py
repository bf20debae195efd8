"""The baskets page in words: metrics, actions, caveats and tables, for a shop's owner."""

from __future__ import annotations

import json
from datetime import timedelta

import numpy as np
import pandas as pd

from crmlib import formats, stats
from crmlib.analysis.baskets import predictions as ahead
from crmlib.analysis.baskets.comparisons import of_size
from crmlib.analysis.baskets.drawings import WORDS, counted, room, times_text
from crmlib.analysis.baskets.facts import Baskets
from crmlib.analysis.baskets.hits import (
    ALL,
    BEATEN,
    BESIDE,
    BESTSELLER,
    BETTER,
    OWNERS,
    SUGGESTION,
    TO_CUSTOMER,
    WRITE,
    HitRates,
)
from crmlib.analysis.baskets.rules import Rules
from crmlib.analysis.baskets.sequences import REMINDERS, Sequences
from crmlib.analysis.baskets.validation import (
    HELD,
    LEAST_CUSTOMERS,
    Validation,
    by_season,
    months_judged,
    relatives_left_out,
)
from crmlib.findings import Action, Caveat, Check, Findings, Grade, Metric

_FRESH = 30  # days a list of customers is good for
_COSTS_KNOWN = 0.8  # share of sales with known costs, below which the page warns


def findings(
    baskets: Baskets,
    rules: Rules,
    validation: Validation,
    suggestions: pd.DataFrame,
    *,
    strata: pd.DataFrame,
    replaced: pd.DataFrame,
    sequences: Sequences,
    rates: HitRates,
    owners: pd.DataFrame,
    reminders: pd.DataFrame,
    grades: tuple[Grade, ...] = (),
) -> Findings:
    """What does this page say?"""
    _, many = WORDS[baskets.level]
    multiple = int((baskets.sizes >= 2).sum())
    pairs_tested = rules.pairs_searched
    listed = set(suggestions["pair"])
    held = validation.count(HELD)
    followed = len(validation.found)
    low, high = stats.share_interval(held, followed) if followed else (np.nan, np.nan)
    level_note = f"{many} are the items"
    left_out = relatives_left_out(rules, baskets)
    metrics = (
        Metric(id="baskets", label="Baskets", value=baskets.n + baskets.undrawn, unit="baskets", n=baskets.n + baskets.undrawn, headline=True, note=_counted(baskets),
               definition="Kept orders with at least one line of positive quantity, guests and single items included."),
        Metric(id="multiple_share", label=f"Baskets with two or more {many}", value=multiple / baskets.n, unit="share", n=baskets.n, headline=True,
               note=f"{multiple:,} of {baskets.n:,}", definition=f"Share of baskets with at least two different {many}{'. A complete count' if baskets.one_in == 1 else ', of those drawn'}."),
        Metric(id="pairs_above_chance", label="Pairs above chance, given basket size", value=rules.pairs, unit="pairs", n=pairs_tested, headline=True,
               note=f"of {pairs_tested:,} looked at; of 100 rules found about {100 * rules.rate:.0f} at most may be luck",
               definition="Pairs of items in more baskets than the configuration model expects of basket sizes and item totals, "
               f"Benjamini–Hochberg false-discovery rate {rules.rate:g}, customers as clusters."),
        Metric(id="held_later", label="Held up later", value=held / followed if followed else None, unit="share", n=followed or None,
               low=float(low) if followed else None, high=float(high) if followed else None, headline=True,
               note=f"{held:,} of {followed:,} pairs found earlier{', judged within months' if validation.by_month else ''}; with so few pairs the truth may be anywhere in this range" if followed else validation.why or "no pairs to follow",
               definition=f"Share of the pairs found in the first three quarters of the time whose interval lies above chance again in the {validation.lately if followed else 'last'}"
               f"{', found and counted within months, each against its own totals, so that a pair of one season alone is not in it' if validation.by_month else ''}. The range takes pairs as independent."),
        Metric(id="suggestions", label="Pairs worth a try", value=len(suggestions), unit="pairs", n=rules.pairs, headline=True,
               note=f"of the {rules.pairs:,}, with {LEAST_CUSTOMERS} customers or more, not explained by the season",
               definition=f"Pairs above chance given basket size, also within months and groups of customers, with at least {LEAST_CUSTOMERS} customers, "
               "not sizes, sets or gifts of one another."),
        _hit_metric(rates),
        _room_metric(suggestions, baskets),
        Metric(id="relatives_left_out", label="Pairs left out as sizes, sets or gifts of one another", value=len(left_out), unit="pairs", n=rules.pairs,
               definition="Pairs that fulfil all else, but are the same product in another size, or a set or gift with the other in it, by name, category, brand and price."),
        Metric(id="turned", label="Pairs that turn round in a part of the baskets", value=strata.loc[strata["turned"], "pair"].nunique() if len(strata) else 0, unit="pairs", n=len(suggestions),
               definition="Suggested pairs found below chance within a season, group of customers, channel or basket size, its own totals held (Simpson)."),
        Metric(id="substitutes", label="Pairs that replace each other", value=len(replaced), unit="pairs", n=len(rules.all_pairs),
               definition=f"Pairs together less often than chance over all, within months and from each customer's own purchases; false-discovery rate {rules.rate:g}; bought by {LEAST_CUSTOMERS} customers or more who bought both."),
        Metric(id="sequences", label="Sequences: one bought after the other", value=None if sequences.why else len(sequences.table), unit="pairs", n=sequences.searched or None,
               definition=f"Pairs bought in one order more often than in the other within {sequences.window_days} days by the same customers, sales and how late each item is beside all others held equal; false-discovery rate {rules.rate:g}."),
        Metric(id="owners", label="Customers with one side of a pair only", value=len(owners), unit="customers", n=len(baskets.customer_ids),
               definition="Customers who bought one side of a suggested pair and never the other."),
        Metric(id="items", label=f"Different {many}", value=baskets.items, unit="items", n=baskets.n, definition=f"Distinct items in all baskets; {level_note}."),
        Metric(id="rules_mined", label="Rules with enough support and confidence", value=rules.mined, unit="rules", n=rules.searched,
               definition=f"All splits of sets of up to {rules.max_items} items in at least {rules.least:,} baskets, with confidence of at least {rules.min_confidence:g}."),
        Metric(id="rules_kept", label="Rules kept", value=rules.kept, unit="rules", n=rules.mined,
               definition="Of these, rules within the false-discovery rate" + ("." if rules.keep_redundant else " and not redundant beside a shorter rule.")),
        Metric(id="minimum_count", label="Baskets a rule must be in", value=rules.least, unit="baskets", n=baskets.n,
               definition=f"ceil({baskets.min_support:g} × {baskets.n:,}) in exact arithmetic."),
        Metric(id="searched", label="Candidate rules searched", value=rules.searched, unit="rules",
               definition="Every pair of frequent sets that could have been a rule, found or not; the correction counts them all."),
    )  # fmt: skip
    return Findings(
        report="baskets",
        lead=_lead(baskets, rules, suggestions),
        metrics=metrics,
        so_what=_so_what(validation, suggestions, rates),
        how_sure=_how_sure(rules, validation, rates),
        for_experts=_for_experts(rules, rates),
        caveats=_caveats(baskets, left_out=len(left_out)),
        actions=_actions(suggestions, baskets, replaced, sequences, rates, owners, reminders),
        checks=_checks(rules, strata),
        tables={
            "rules": rules_table(rules, baskets, listed=listed),
            "suggestions": suggestions.drop(columns="pair"),
            "strata": strata.drop(columns="pair"),
            "substitutes": replaced.drop(columns="pair"),
            "sequences": sequences.table.drop(columns="pair"),
            "hit_rates": rates.rates,
        },
        lists=({OWNERS: owners, ahead.LIST: ahead.listed(suggestions, level=baskets.level)} if len(suggestions) else {})
        | ({REMINDERS: reminders} if len(reminders) else {}),
        predictions=ahead.predictions(baskets, validation, suggestions, rates),
        grades=grades,
    )


def _hit_metric(rates: HitRates) -> Metric:
    ours, theirs = rates.rate(BESIDE, SUGGESTION), rates.rate(BESIDE, BESTSELLER)
    trials = int(ours["trials"]) if ours is not None else None
    note = rates.why or "too few later baskets"
    if theirs is not None:
        note = f"a bestseller: {formats.share(theirs['rate'], digits=1)}; {trials:,} later baskets"
    value, low, high = (float(ours[name]) if ours is not None else None for name in ("rate", "low", "high"))
    return Metric(
        id="hit_rate", label="Matching product bought without any prompt", unit="share", headline=True, value=value, n=trials,
        low=low, high=high, note=note,
        definition="Share of later baskets with a product that has a suggestion, found before, that hold the suggestion too. Nothing was shown to anybody.",
    )  # fmt: skip


def _room_metric(suggestions: pd.DataFrame, baskets: Baskets) -> Metric:
    known = suggestions[suggestions["room"].notna()]
    value, low, high = (float(known[name].sum()) if len(known) else None for name in ("room", "room_low", "room_high"))
    return Metric(
        id="room_per_1000", label="Room in margin per 1,000 baskets, untested", value=value, unit=baskets.currency or "money",
        n=len(known) or None, low=low, high=high,
        definition="Extra margin per 1,000 baskets if suggesting won those who take only the first of a pair as often as habit already joins the two "
        "beyond chance, after shrinkage; ranges added up as if all pairs moved together. Before refunds, from unit costs known for "
        f"{formats.share(baskets.margin_known)} of sales.",
    )  # fmt: skip


def rules_table(rules: Rules, baskets: Baskets, *, listed: set[tuple[int, ...]]) -> pd.DataFrame:
    """One row a rule kept, as tables/rules.csv has it: ids and names as JSON arrays, then the measures."""
    table = rules.table

    def arrays(side: str, words: tuple[str, ...]) -> list[str]:
        # Positions follow the sorted ids, so ids come out sorted and names in the same order.
        return [json.dumps([words[i] for i in items], ensure_ascii=False) for items in table[side]]

    named = pd.DataFrame(
        {
            "antecedents": arrays("antecedent", baskets.ids),
            "antecedent_names": arrays("antecedent", baskets.names),
            "consequents": arrays("consequent", baskets.ids),
            "consequent_names": arrays("consequent", baskets.names),
        },
        index=table.index,
    )
    measured = table[
        ["count", "customers", "support", "confidence", "lift", "lift_low", "lift_high", "p_value", "q_value", "leverage",
         "conviction", "zhang", "expected", "times", "times_low", "times_high", "times_shrunk", "shrunk_low", "shrunk_high",
         "extra", "extra_low", "margin_low", *[column for column in table if "_in_" in column]]
    ].rename(columns=lambda name: "times_chance" + name[5:] if name.startswith("times") else name)  # fmt: skip
    return named.join(measured).assign(listed=[itemset in listed for itemset in table["itemset"]])


def _counted(baskets: Baskets) -> str:
    if baskets.one_in > 1:
        return f"{baskets.n:,} of them looked at: one customer in {baskets.one_in}, drawn by lot"
    return "all kept orders with something in them"


def _lead(baskets: Baskets, rules: Rules, suggestions: pd.DataFrame) -> str:
    _, many = WORDS[baskets.level]
    if not rules.pairs:
        return (
            f"In {baskets.n:,} baskets no pair of {many} was found together more often than chance, given basket size."
        )
    found = counted(rules.pairs, f"pair of {many} is", f"pairs of {many} are")
    if suggestions.empty:
        return f"In {baskets.n:,} baskets {found} together more often than chance, given basket size, but none is sure enough to be shown."
    top, more = suggestions.iloc[0], len(suggestions) - 1
    named = f"{top['item']} with {top['suggest']}" + (
        f" and {counted(more, 'other pair', 'other pairs')}" if more else ""
    )
    rest = _left_out(rules, suggestions)
    return (
        f"{named} {'are' if more else 'is'} worth a try as {'suggestions' if more else 'a suggestion'}: in {baskets.n:,} baskets they came together more often than chance, "
        f"given basket size.{rest}"
    )


def _left_out(rules: Rules, suggestions: pd.DataFrame) -> str:
    """What else is above chance and not suggested, and why: each pair under the first reason that holds."""
    table = rules.table
    pairs = table[table["above"] & (table["itemset"].map(len) == 2)].drop_duplicates("itemset")
    left = pairs[~pairs["itemset"].isin(set(suggestions["pair"]))]
    if left.empty:
        return ""
    nowhere = pd.Series(False, index=left.index)
    season = ~left["beyond_season"].astype(bool) if months_judged(rules) else nowhere
    explained = by_season(left) if months_judged(rules) else nowhere
    group = ~season & ~left["beyond_groups"]
    few = ~season & ~group & (left["customers"] < LEAST_CUSTOMERS)
    reasons = {
        "are explained by the season": explained, "cannot be told from the season": season & ~explained, "are made by a group of customers": group,
        f"rest on fewer than {LEAST_CUSTOMERS} customers": few, "are sizes, sets or gifts of one another": ~season & ~group & ~few,
    }  # fmt: skip
    # One pair is, several are.
    one = {"are": "is", "rest": "rests", "cannot": "cannot"}
    said = []
    for reason, test in reasons.items():
        verb, _, rest = reason.partition(" ")
        count = int(test.sum())
        said += [f"{count:,} {one[verb] if count == 1 else verb} {rest}"] if count else []
    return f" Not suggested: {', '.join(said)}."


def _so_what(validation: Validation, suggestions: pd.DataFrame, rates: HitRates) -> tuple[str, ...]:
    if suggestions.empty:
        return (
            "No pair is strong enough to be shown to customers on this evidence.",
            "Bestsellers remain the plainer suggestion.",
            validation.verdict,
        )
    top = suggestions.iloc[0]
    gap = rates.difference(BESIDE)
    against = {
        BETTER: "Beside a product its pair was bought more often than a bestseller, unprompted, so pairs are worth a test",
        BEATEN: "Beside a product a bestseller was bought more often than its pair, unprompted: keep showing bestsellers",
    }
    none = "Whether a pair is likelier than a bestseller could not be measured; bestsellers remain the plainer choice."
    tie = "Beside a product its pair and a bestseller were bought equally often: bestsellers are the plainer choice"
    turned = "; it turns round with the size of the basket" if rates.turned else ""
    if rates.opposite:
        turned = f"; in baskets {of_size(rates.opposite)} it is the other way round"
    return (
        f"Start with {top['item']}: {formats.share(top['share'], digits=1)} of its baskets also hold {top['suggest']}, "
        f"{times_text(top['times'])} times as often as chance ({times_text(top['times_low'])}–{times_text(top['times_high'])}), given basket size.",
        none if gap is None else f"{against.get(gap['verdict'], tie)}{turned}.",
        "Try suggestions on a random half of visitors: pairs say what goes together, not what a suggestion adds.",
    )


def _how_sure(rules: Rules, validation: Validation, rates: HitRates) -> tuple[str, ...]:
    return (
        validation.verdict,
        "Chance means the same baskets and the same products sold, otherwise put together at random: large baskets hold everything together, and that counts "
        "for nothing here.",
        f"Of 100 pairs that are called above chance, about {100 * rules.rate:.0f} at most should be luck, however many were looked at.",
        "Ranges cover what other customers of the same kind would have given (95 %): customers, not baskets, are taken as independent, so one "
        "household's habit makes a range wide.",
        f"The numbers and ranges of suggestions are cautious: they are drawn towards what all {rules.prior.pairs:,} pairs of frequent items do, the more "
        "the fewer customers stand behind them.",
        *((rates.why,) if rates.why else ()),
    )


def _for_experts(rules: Rules, rates: HitRates) -> tuple[str, ...]:
    table = rules.table
    pairs = table[table["above"] & (table["itemset"].map(len) == 2)]
    big = ""
    if len(pairs):
        factor = float((pairs["lift"] / pairs["times"]).median())
        big = f" Plain lift, which takes baskets for alike, would be {formats.number(factor, digits=1)} times as high for the middle pair."
    return (
        f"Chance is the bipartite configuration model: baskets keep their sizes, items their totals.{big}",
        f"{rules.searched:,} candidate rules were searched, pairs among them, and one false discovery rate of {100 * rules.rate:.0f} % counts them all.",
        *(_measured(rates) if not rates.why else ()),
    )


def _measured(rates: HitRates) -> tuple[str, ...]:
    words = {
        BESIDE: "Beside a product, its pair less a bestseller",
        TO_CUSTOMER: "As next purchase of those who own one side, the other side less a bestseller",
    }
    return tuple(
        f"{words[row.place]}{'' if row.size == ALL else f', baskets {of_size(row.size)}'}, on the same later trials: {formats.number(100 * row.difference, digits=1)} points "
        f"({formats.number(100 * row.low, digits=1)} to {formats.number(100 * row.high, digits=1)})."
        for row in rates.differences.itertuples()
    )


def _caveats(baskets: Baskets, *, left_out: int) -> tuple[Caveat, ...]:
    texts = [
        "Bought together does not mean that suggesting one sells the other; only a test tells.",
        "Promotions, shelf and page placement create pairs too.",
        f"Below {LEAST_CUSTOMERS} customers nothing is suggested; such rules are in the table only.",
        "Room is what a pair could bring if others did as those who take both; it is no forecast, and no suggestion was tested.",
        f"Sizes, sets and gifts of one another are told by name, category, brand and price ({left_out:,} left out); names that do not say so are missed. "
        "Stock is not in the tables: look before you show a pair.",
        "Consent is not applied to the lists; apply it before writing to anybody.",
        "Who is written to is drawn by lot with the shop's key: the same on every rerun, as long as the key is kept.",
    ]
    if baskets.one_in > 1:
        texts.append(
            f"This shop has more baskets than are looked at here: those of one customer in {baskets.one_in}, drawn by lot and with all their orders. "
            "Shares, times and room per 1,000 baskets hold for the whole shop; counts and lists are of those drawn."
        )
    if 0 < baskets.margin_known < _COSTS_KNOWN:
        texts.append(
            f"Unit costs are known for {formats.share(baskets.margin_known)} of sales only; pairs without them come last."
        )
    if baskets.guests:
        share = formats.share(baskets.guests / baskets.n)
        texts.append(
            f"{share} of baskets have no customer; each counts as a customer of its own, so a guest who comes often is not recognised."
        )
    if baskets.cut is None:
        texts.append("Orders have no days here, so pairs made by a season alone are not recognised.")
    if empty := int((baskets.sizes == 0).sum()):
        texts.append(
            f"{empty:,} baskets hold only products without a known {baskets.level}; they count as baskets and hold no items."
        )
    return tuple(Caveat(text=text) for text in texts)


def _actions(
    suggestions: pd.DataFrame,
    baskets: Baskets,
    replaced: pd.DataFrame,
    sequences: Sequences,
    rates: HitRates,
    owners: pd.DataFrame,
    reminders: pd.DataFrame,
) -> tuple[Action, ...]:
    # Lists and pairs are of one day; after a month the next report has newer ones.
    by = formats.day(baskets.as_of + timedelta(days=_FRESH)) if baskets.as_of else ""
    actions = []
    if len(suggestions):
        top, gap = suggestions.iloc[0], rates.difference(BESIDE)
        beaten = gap is not None and gap["verdict"] != BETTER
        likelier = "the pair" if beaten else "a bestseller"
        but = f"; but in baskets {of_size(rates.opposite)} {likelier} is likelier" if rates.opposite else ""
        actions.append(
            Action(
                what="Show bestsellers; try these pairs on a random half of visitors" if beaten else "Show these pairs with each other, to a random half of visitors",
                why=f"above chance given basket size, {LEAST_CUSTOMERS} customers or more; first {top['item']} with {top['suggest']}{but}",
                count=len(suggestions),
                counted="pair" if len(suggestions) == 1 else "pairs",
                worth=f"room for {room(suggestions, baskets.currency)}; untested"
                if suggestions["room"].notna().any()
                else "untested",
                owner="Shop",
                by=by,
                file="tables/suggestions.csv",
            )
        )  # fmt: skip
    one, _ = WORDS[baskets.level]
    if len(owners):
        gap = rates.difference(TO_CUSTOMER)
        better = gap is not None and gap["verdict"] == BETTER
        write = int((owners["lot"] == WRITE).sum())
        actions.append(
            Action(
                what=f"{counted(len(owners), 'customer owns', 'customers own')} one {one} of a pair but not the other. Write to half ({write:,}, ‘{WRITE}’ in column lot) "
                f"about the {one} in column {'suggest' if better else 'bestseller'}; leave the other half alone to compare. Take out those without consent first",
                why=("unprompted, they bought the other side more often than a bestseller" if better
                     else "unprompted, they bought a bestseller more often than the other side" if gap is not None and gap["verdict"] == BEATEN
                     else "neither is known to be likelier, and a bestseller is the plainer choice") + "; what a letter adds, only the other half tells",
                count=len(owners),
                counted="customer" if len(owners) == 1 else "customers",
                worth="untested",
                owner="CRM",
                by=by,
                file=f"lists/{OWNERS}.csv",
            )
        )  # fmt: skip
    if len(sequences.table):
        said = [f"who bought {row.first} of {row.then}" for row in sequences.table.head(3).itertuples()]
        more = (
            f", and {counted(len(sequences.table) - 3, 'sequence', 'sequences')} more"
            if len(sequences.table) > 3
            else ""
        )
        order = "bought in this order more often than in the other"
        people = reminders["customer_id"].nunique()
        actions.append(
            Action(
                what=f"Remind those {', and those '.join(said)}{more}",
                why=f"{order}; listed: who bought the first in the last {sequences.window_days} days and not the second since. Write to those with ‘{WRITE}’ in column lot, "
                "leave the others alone to compare. Take out those without consent first"
                if people
                else f"{order}; nobody bought the first in the last {sequences.window_days} days without the second since",
                count=people or len(sequences.table),
                counted=("customers" if people > 1 else "customer") if people else ("sequences" if len(sequences.table) > 1 else "sequence"),
                worth="untested",
                owner="CRM",
                by=by,
                file=f"lists/{REMINDERS}.csv" if people else "tables/sequences.csv",
            )
        )  # fmt: skip
    if len(replaced):
        first = replaced.iloc[0]
        actions.append(
            Action(
                what="Offer these in place of each other when one is sold out, never beside each other",
                why=f"first {first['first']} and {first['second']}",
                count=len(replaced),
                counted="pair" if len(replaced) == 1 else "pairs",
                owner="Shop",
                file="tables/substitutes.csv",
            )
        )
    return tuple(actions)


def _checks(rules: Rules, strata: pd.DataFrame) -> tuple[Check, ...]:
    met = rules.chance.gap < 0.01
    checks = [
        Check(
            name="chance model",
            verdict="ok" if met else "warning",
            text=f"Fitted item totals and basket sizes differ from the observed by at most {formats.share(rules.chance.gap, digits=2)}.",
        )
    ]
    if len(strata) and strata["turned"].any():
        pairs = strata.loc[strata["turned"], ["first", "second"]].drop_duplicates()
        checks.append(
            Check(
                name="direction",
                verdict="warning",
                text=f"{counted(len(pairs), 'suggested pair is', 'suggested pairs are')} below chance in a part of the baskets, first {pairs.iloc[0]['first']} and {pairs.iloc[0]['second']}.",
            )
        )
    if rules.least < 5:
        checks.append(
            Check(
                name="minimum count",
                verdict="warning",
                text=f"A rule may rest on {rules.least} baskets; raise min_support unless you look for rare pairs on purpose.",
            )
        )
    return tuple(checks)
