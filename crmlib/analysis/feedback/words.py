"""Sentences and choices that the figures and the findings share, so that they never contradict each other."""

from __future__ import annotations

import numpy as np

from crmlib import formats
from crmlib.analysis.feedback.measures import Trend, Validation
from crmlib.analysis.feedback.themes import THEMES

FEW = 20  # complaints below which a theme is better read than counted


def leading(trend: Trend) -> list[str]:
    """Up to three themes worth naming: those that rose first, then by recent rate."""
    if trend.changes.empty:
        totals = trend.weeks[list(THEMES)].sum()
        return list(totals.sort_values(ascending=False, kind="stable").index[:3])
    order = trend.changes.assign(
        rose=trend.changes["change"] == "rose", all=trend.changes["recent"] + trend.changes["before"]
    )
    return list(order.sort_values(["rose", "all"], ascending=False, kind="stable")["theme"].head(3))


def trend_words(trend: Trend) -> tuple[str, str]:
    """Did anything rise or fall? A title and a sentence, true whatever was found."""
    rose = trend.changes[trend.changes["change"] == "rose"].sort_values("ratio", ascending=False)
    fell = trend.changes[trend.changes["change"] == "fell"].sort_values("ratio")
    if trend.changes.empty:
        return (
            "Too few weeks to say whether complaints are rising",
            "A comparison needs at least sixteen whole weeks of texts and orders.",
        )
    weeks = f"the last {trend.recent_weeks} weeks"
    names = [*rose["theme"], *fell["theme"]]
    if not names:
        return (
            f"No theme's complaints changed clearly in {weeks}",
            f"With {int(trend.changes['recent'].sum()):,} complaints in {weeks}, only a large change would show; small ones cannot be ruled out.",
        )
    row = (rose if len(rose) else fell).iloc[0]
    verb = "rose" if len(rose) else "fell"
    title = f"{_list([*(rose if len(rose) else fell)['theme']]).capitalize()} complaints {verb} in {weeks}"
    if len(rose) and len(fell):
        title += f"; {_list([*fell['theme']])} complaints fell"
    high = f"{row['high']:.1f}" if np.isfinite(row["high"]) else "any number"
    sentence = (
        f"{str(row['theme']).capitalize()}: {row['recent_rate']:.1f} per 1,000 orders ({row['recent']:,} complaints), {row['before_rate']:.1f} before: "
        f"{row['ratio']:.1f} times as many (95 % interval {row['low']:.1f}{formats.DASH}{high}), corrected for looking at {len(THEMES)} themes."
    )
    return title, sentence


def all_positive(validation: Validation) -> float:
    """Macro F1 of the laziest reader, who calls everything positive."""
    n = validation.accuracy.set_index("kind")["n"]
    return float(n["positive"] / (2 * n["positive"] + n["negative"]))


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
