"""Retention, in the order of the page."""

from __future__ import annotations

from collections.abc import Sequence

from crmlib import formats, wording
from crmlib.analysis.few import part_there
from crmlib.analysis.retention.back import Back
from crmlib.analysis.retention.common import Common, stood_out
from crmlib.analysis.retention.facts import AHEAD, LEAST_CUSTOMERS, LEAST_GAPS, YEAR
from crmlib.analysis.retention.left import Left
from crmlib.findings import Caveat, Findings, Part, compose
from crmlib.shop.shop import Shop


def page(found: Left, shared: Common, likely: Back, parts: Sequence[Part]) -> Findings:
    """What a shop's owner should know of who left; `parts` in the order of the page."""
    every = [*parts, part_limits(found)]
    return compose("retention", headline(found, shared, likely), every, status="too_few" if found.at.few else None)


def headline(found: Left, shared: Common, likely: Back) -> str:
    """How many left, and what stood out among them."""
    at = found.at
    if at.few:
        return (
            f"Too few to conclude who left: {wording.counted(at.customers, 'customer')} and "
            f"{wording.counted(at.gaps, 'repeat purchase')}."
        )
    within = "in a year" if at.span == YEAR else f"in {wording.span(at.span)}"
    if not found.base:
        gone = wording.counted(len(found.people), "customer")
        return f"All {gone} had left before: nobody bought {within}."
    if not found.left:
        still = f"{wording.counted(found.base, 'customer')} still {wording.noun(found.base, 'buys', 'buy')}"
        return f"Nobody left {within}: {still} at their own rhythm."
    who = wording.upper(wording.counted(found.left, "customer"))
    if likely.most and likely.total is not None:
        back = formats.share(likely.total.value / len(likely.chance))
        silent = f"{who} {wording.noun(found.left, 'has')} been silent for unusually long"
        return f"{silent}; about {back} of such customers come back within {AHEAD} days."
    early = "; most bought last before it began" if (found.lately["silent_days"] > at.span).mean() > 0.5 else ""
    if common := stood_out(shared):
        return f"{who} left {within}{early}. {common}"
    return f"{who} left {within}, {formats.share(found.share)} of those who had not left before{early}."


def part_few(shop: Shop, found: Left) -> Part | None:
    """What there is in a shop with too few customers to say who left: all of them, counted. None for a larger one."""
    if not found.at.few:
        return None
    return part_there(
        shop, needed=f"Who left can be said from {LEAST_CUSTOMERS} customers and {LEAST_GAPS} repeat purchases on."
    )


def part_limits(found: Left) -> Part:
    """When not to trust the page."""
    said = ["Guests are not in it: their orders belong to nobody."]
    if not found.at.few:
        said.insert(0, "Seasonal buyers look gone between their seasons.")
        if found.before is None:
            said.insert(0, "The shop is too young to compare with the span before.")
    return Part(caveats=[Caveat(text=text) for text in said])
