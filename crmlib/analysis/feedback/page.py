"""The page: parts in order, and the one or two sentences above them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crmlib import formats, wording
from crmlib.analysis.feedback.learning import MIN_RATED
from crmlib.analysis.feedback.satisfaction import Satisfaction
from crmlib.analysis.feedback.trend import Trend, risen, share_naming
from crmlib.analysis.feedback.validation import Validation
from crmlib.findings import Findings, Metric, Part, compose


def page(
    satisfaction: Satisfaction | None, trend: Trend, validation: Validation, parts: Sequence[Part | None]
) -> Findings:
    """What customers wrote, for the owner: `parts` in their order, under what changed in the last weeks.

    Without two periods to compare, the tiles are those of all texts.
    """
    if satisfaction is None:
        parts = [part and replace(part, metrics=[_as_tile(metric) for metric in part.metrics]) for part in parts]
    return compose("feedback", headline(satisfaction, trend, validation), parts)


def _as_tile(metric: Metric) -> Metric:
    return replace(metric, headline=metric.headline or metric.id in ("negative_share", "mean_stars"))


def headline(satisfaction: Satisfaction | None, trend: Trend, validation: Validation) -> str:
    """What happened and what it means: the unhappy share and the theme that rose, or what can be said instead."""
    weeks = trend.lately
    risen_themes = [theme for theme in trend.moved.index if theme in trend.rose]
    which = f"{risen_themes[0].capitalize()} complaints" if risen_themes else ""
    theme = f"{which} {risen(trend.moved['ratio'].iloc[0])}" if which else ""
    # The name stands apart: the rise is that of all complaints of the theme.
    naming = f"; {named}" if which and (named := share_naming(trend, risen_themes[0])) else ""
    if satisfaction is None:
        return f"{theme} in {weeks}{naming}." if theme else _over_all(validation, trend)
    share, before = formats.share(satisfaction.recent.value), formats.share(satisfaction.before)
    noun = satisfaction.noun
    if satisfaction.change == "no clear change":
        if theme:
            return f"{theme} in {weeks}{naming}. {wording.upper(noun)} have not clearly changed: {share}."
        lead = f"No clear change in {noun}: {share} in {weeks}, {before} in {trend.against}."
        return f"{lead} No complaint clearly rose."
    lead = f"{wording.upper(noun)} {risen(satisfaction.ratio)}: {share} in {weeks}, {before} in {trend.against}."
    if satisfaction.change == "fell":
        return wording.sentences(lead, f"But {wording.lower(theme)}." if theme else "")
    return wording.sentences(lead, f"{which} rose most{naming}." if which else "No single theme explains it.")


def _over_all(validation: Validation, trend: Trend) -> str:
    """Without two periods to compare: how many are unhappy over all texts, by their stars where there are any."""
    stars, rated = validation.by_star, validation.stars.n or 0
    if rated >= MIN_RATED:
        low = float(stars.loc[stars["stars"] <= 2, "texts"].sum()) / rated
        lead = f"{formats.share(low)} of the ratings carry one or two stars."
    else:
        lead = f"{formats.share(validation.share.estimate.value)} of the texts we could read are negative."
    dated, needed = len(trend.weeks), 2 * trend.recent_weeks
    if dated >= needed or not dated:
        return f"{lead} Too few are dated to say whether that changed."
    weeks = wording.counted(dated, "week")
    return f"{lead} To say whether that changed needs {needed} weeks of texts; these cover {weeks}."
