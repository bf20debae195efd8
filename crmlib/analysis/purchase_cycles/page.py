"""Purchase cycles, in the order of the page."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from crmlib import formats, wording
from crmlib.analysis.few import part_there
from crmlib.analysis.purchase_cycles.chances import AHEAD, Chances
from crmlib.analysis.purchase_cycles.facts import LEAST
from crmlib.analysis.purchase_cycles.returns import again, followed, within
from crmlib.findings import Caveat, Findings, Part, compose
from crmlib.shop.shop import Shop


def page(counts: pd.DataFrame, found: Chances, parts: Sequence[Part], *, shop: Shop) -> Findings:
    """What whoever writes to customers should know of when they buy; `parts` in the order of the page.

    Below 20 customers nothing is concluded, and those there are stand in a table.
    """
    if (first := int(counts.loc[counts["number"] == 1, "n"].sum())) < LEAST:
        few = f"Too few to conclude: {wording.counted(first, 'customer')} with orders."
        there = part_there(shop, needed=f"When customers buy again can be told from {LEAST} on.")
        return compose("purchase_cycles", few, [there], status="too_few")
    return compose("purchase_cycles", headline(counts, found), [*parts, part_limits()])


def headline(counts: pd.DataFrame, found: Chances) -> str:
    """When they buy again, and how many will soon."""
    second = again(counts, number=1)
    median = second.median
    if median.value is not None:
        first = f"Half of all newcomers bought again within {wording.span(round(median.value))}"
    elif second.closed_median == second.closed_median:
        days = followed(counts)
        first = f"{formats.share(second.by(days).value)} of all newcomers bought again within {within(days)}"
    else:
        first = "No customer has bought a second time yet"
    due = found.due()
    if due.value is None:
        return f"{first}."
    return (
        f"{first}. About {due.text} {wording.noun(round(due.value), 'customer')} should buy in the next {AHEAD} days."
    )


def part_limits() -> Part:
    """When not to trust the page."""
    said = (
        "Chances come from each customer's past: a campaign or a season can move many at once.",
        "All newcomers are taken together; the cohorts report compares the newest.",
        "A late customer may be on holiday: ask before you offer a discount.",
        "Retention counts by another limit; most of the late have left by it, too: write to them once.",
    )
    return Part(caveats=[Caveat(text=text) for text in said])
