"""The page: parts in order, and the one sentence above them."""

from __future__ import annotations

from collections.abc import Sequence

from crmlib import formats, wording
from crmlib.analysis.feedback.satisfaction import Satisfaction
from crmlib.analysis.feedback.trend import Trend, about, risen
from crmlib.analysis.feedback.validation import Validation
from crmlib.findings import Findings, Part, compose


def page(
    satisfaction: Satisfaction | None, trend: Trend, validation: Validation, parts: Sequence[Part | None]
) -> Findings:
    """What customers wrote, for the owner: `parts` in their order, under what changed in the last weeks."""
    return compose("feedback", headline(satisfaction, trend, validation), parts)


def headline(satisfaction: Satisfaction | None, trend: Trend, validation: Validation) -> str:
    """What happened and what it means: the unhappy share and the theme that rose, or what can be said instead."""
    weeks = f"the last {wording.span(7 * trend.recent_weeks)}"
    rose = trend.moved[trend.moved["change"] == "rose"]
    first = rose.index[0] if len(rose) else ""
    whom = about(first, trend.cause(first)) if first else ""
    if satisfaction is None:
        if first:
            return f"{whom} {risen(rose['ratio'].iloc[0])} in {weeks}."
        return _over_all(validation)
    share, before = formats.share(satisfaction.recent.value), formats.share(satisfaction.before)
    what = "One- and two-star ratings" if satisfaction.basis == "stars" else "Texts that read as negative"
    if satisfaction.change == "rose":
        lead = f"{what} {risen(satisfaction.ratio)}: {share} in {weeks}, {before} in {trend.against}."
        return wording.sentences(lead, f"{whom} rose most." if first else "No single theme explains it.")
    if satisfaction.change == "fell":
        lead = f"Fewer customers are unhappy: {share} in {weeks}, {before} in {trend.against}."
        return wording.sentences(lead, f"But {wording.lower(whom)} {risen(rose['ratio'].iloc[0])}." if first else "")
    if first:
        lead = f"{whom} {risen(rose['ratio'].iloc[0])} in {weeks}."
        return f"{lead} Overall {share} of customers are unhappy, about as in {trend.against}."
    lead = f"{share} of customers were unhappy in {weeks}, about as many as in {trend.against} ({before})."
    return f"{lead} No complaint has become more common."


def _over_all(validation: Validation) -> str:
    """Without dates: how many are unhappy over all texts."""
    share = formats.share(validation.share.value)
    if validation.share.method == "stars":
        return f"{share} of the ratings carry one or two stars. Without dated texts nothing can be said of a change."
    return f"{share} of the texts we could read are negative. Without enough dated texts we can't say whether that changed."
