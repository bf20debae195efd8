"""Customers, in the order of the page."""

from __future__ import annotations

from collections.abc import Sequence

from crmlib import formats, wording
from crmlib.analysis.customers.facts import YEAR, Profiles
from crmlib.analysis.customers.migration import Moves
from crmlib.analysis.customers.rfm import BEST, BEST_QUIET, Cuts, called, kinds
from crmlib.findings import Caveat, Findings, Part, compose


def page(today: Profiles, at: Cuts, found: Moves, parts: Sequence[Part], *, before: Moves | None = None) -> Findings:
    """What a shop's owner should know of who the customers are; `parts` in the order of the page."""
    return compose("customers", headline(today, at, found, before), [*parts, part_limits(found)])


def headline(today: Profiles, at: Cuts, found: Moves, before: Moves | None = None) -> str:
    """What the best bring, and whether more slid than moved up."""
    frame = today.frame
    kind = kinds(frame, at)
    n, sales = int((kind == BEST).sum()), float(frame["sales_year"].sum())
    if n and sales > 0:
        share = float(frame.loc[kind == BEST, "sales_year"].sum()) / sales
        first = f"{wording.upper(called(BEST, n))} {wording.noun(n, 'brings', 'bring')} {formats.share(share)} of sales"
    else:
        first = f"{wording.upper(wording.counted(len(frame), 'customer'))} bought so far"
    silent = int(frame["silent_days"].min())
    if silent > YEAR:
        return f"{first}, the last of them {wording.span(silent)} ago: everybody has gone quiet."
    if found.known:
        was = f", {formats.share(before.share(-1))} the year before" if before is not None and before.known else ""
        return f"{first}. Since {wording.day(found.then)}, {formats.share(found.share(-1))} of customers slid{was}."
    quiet = int((kind == BEST_QUIET).sum())
    return f"{first}; {called(BEST_QUIET, quiet)}." if quiet else f"{first}."


def part_limits(found: Moves) -> Part:
    """When not to trust the page."""
    said = [
        "Kinds are cuts through what shades off: two people beside a cut hardly differ.",
        "Guests are not in it: their orders belong to nobody.",
    ]
    if found.table.empty:
        said.insert(0, "The shop is too young to say who moved within a year.")
    return Part(caveats=[Caveat(text=text) for text in said])
