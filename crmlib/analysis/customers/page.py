"""Customers, in the order of the page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from crmlib import formats, wording
from crmlib.analysis.customers.facts import LEAST, YEAR, Profiles
from crmlib.analysis.customers.migration import Moves
from crmlib.analysis.customers.rfm import BEST, BEST_QUIET, Cuts, called, kinds
from crmlib.analysis.few import part_there
from crmlib.findings import Caveat, Findings, Part, compose
from crmlib.shop.facts import since
from crmlib.shop.shop import Shop

_ALONE = 0.2  # of what the best bring: one customer with more is named


def page(today: Profiles, at: Cuts, found: Moves, parts: Sequence[Part], *, shop: Shop) -> Findings:
    """What a shop's owner should know of who the customers are; `parts` in the order of the page.

    Below 20 customers nothing is concluded, and those there are stand in a table.
    """
    if today.few:
        n = wording.counted(len(today.frame), "customer")
        there = part_there(shop, needed=f"Kinds of customers can be told from {LEAST} on.")
        return compose("customers", f"Too few to conclude: {n} with orders.", [there], status="too_few")
    return compose("customers", headline(today, at), [*parts, part_limits(found, at, shop=shop)])


def headline(today: Profiles, at: Cuts) -> str:
    """What the best bring, and how many of them have gone quiet."""
    frame = today.frame
    kind = kinds(frame, at)
    n, sales = int((kind == BEST).sum()), float(frame["sales_year"].sum())
    if n and sales > 0:
        best = frame.loc[kind == BEST, "sales_year"]
        share = formats.share(float(best.sum()) / sales)
        first = f"{wording.upper(called(BEST, n))} {wording.noun(n, 'brings', 'bring')} {share} of sales"
        # One buyer may weigh as much as a crowd: a wholesaler, say, without whom the best bring far less.
        if n >= formats.FEW_PEOPLE and best.max() >= _ALONE * best.sum():
            first += f", one of them {formats.share(float(best.max()) / sales)} alone"
    else:
        first = f"{wording.upper(wording.counted(len(frame), 'customer'))} bought so far"
    silent = int(frame["silent_days"].min())
    if silent > YEAR:
        return f"{first}, the last of them {wording.span(silent)} ago: everybody has gone quiet."
    quiet = int((kind == BEST_QUIET).sum())
    were = wording.noun(quiet, "who was", "who were")
    return (
        f"{first}. {formats.number(quiet)} {were} among the best {wording.noun(quiet, 'has')} gone quiet."
        if quiet
        else f"{first}."
    )


def part_limits(found: Moves, at: Cuts, *, shop: Shop) -> Part:
    """When not to trust the page."""
    said = [
        "Two customers either side of a line between groups hardly differ.",
        "Guest orders are left out: we can't tell whose they are.",
    ]
    if found.table.empty:
        said.insert(0, "There is not enough history to say who moved.")
    opening = since(shop)[0]
    if opening is not None and found.then - timedelta(days=at.quiet_days) < opening:
        day = wording.day(found.then)
        said.insert(0, f"First orders rush in when the data begins: ‘new’ customers of {day} may be old ones.")
    return Part(caveats=[Caveat(text=text) for text in said])
