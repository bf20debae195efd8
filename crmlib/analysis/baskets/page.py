"""The baskets page: its headline over its parts."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from crmlib import wording
from crmlib.analysis.baskets.facts import WORDS, Baskets
from crmlib.analysis.baskets.hits import HitRates, advised, to_test, worth_a_test
from crmlib.analysis.baskets.rules import Rules, part_rules
from crmlib.analysis.baskets.suggestions import none_worth_a_test, part_not_suggested
from crmlib.findings import Findings, Part, compose


def page(
    baskets: Baskets, rules: Rules, suggestions: pd.DataFrame, rates: HitRates, parts: Sequence[Part | None]
) -> Findings:
    """The parts in the order given, under what they come to: what to show with what, or to keep showing bestsellers."""
    more = [part_not_suggested(rules, baskets, suggestions), part_rules(rules, baskets, suggestions)]
    return compose("baskets", headline(baskets, rules, suggestions, rates), [*parts, *more])


def headline(baskets: Baskets, rules: Rules, suggestions: pd.DataFrame, rates: HitRates) -> str:
    """What to show with what, in one or two sentences."""
    many = WORDS[baskets.level][1]
    if suggestions.empty:
        return f"{none_worth_a_test(rules, many)}. Keep showing bestsellers."
    count = len(suggestions)
    found = f"{wording.upper(wording.small(count))} {wording.noun(count, 'pair')} of {many}"
    if not rates.verdicts:
        unusual = f"{found} {wording.noun(count, 'is')} bought together unusually often."
        them = wording.noun(count, "it", "them")
        return f"{unusual} Test {them} before showing {them} widely."
    said = advised(rates, level=baskets.level)
    if not worth_a_test(rates):
        return said
    if not (tested := len(to_test(suggestions))):
        return said
    if count > tested > 1:
        return f"{said} The {wording.small(tested)} best pairs are worth a test."
    return f"{said} {wording.upper(wording.small(tested))} {wording.noun(tested, 'pair is', 'pairs are')} worth a test."
