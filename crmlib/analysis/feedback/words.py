"""Sentences and choices that the figures and the findings share, so that they never contradict each other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from crmlib import formats
from crmlib.analysis.feedback.breakdown import ANY, Groups, Products, titled
from crmlib.analysis.feedback.causes import Cause
from crmlib.analysis.feedback.predictions import Ahead
from crmlib.analysis.feedback.rates import Rates, Trend, Validation
from crmlib.analysis.feedback.readers import NAMES, Learning
from crmlib.analysis.feedback.themes import THEMES

WIDE = 5  # times its lower end from which a band says little
_NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def leading(trend: Trend) -> list[str]:
    """Up to three themes worth naming: those that rose first, then by recent rate."""
    if trend.changes.empty:
        totals = trend.weeks[list(THEMES)].sum()
        return list(totals.sort_values(ascending=False, kind="stable").index[:3])
    order = trend.changes.assign(
        rose=trend.changes["change"] == "rose", all=trend.changes["recent"] + trend.changes["before"]
    )
    return list(order.sort_values(["rose", "all"], ascending=False, kind="stable")["theme"].head(3))


def trend_words(trend: Trend, causes: Sequence[Cause] = ()) -> tuple[str, str]:
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
        f"{str(row['theme']).capitalize()}: {row['recent_rate']:.1f} per 1,000 orders in the last {trend.recent_weeks} weeks ({row['recent']:,} complaints), {row['before_rate']:.1f} "
        f"in the {trend.before_weeks} weeks before: {row['ratio']:.1f} times as many ({row['low']:.1f}{formats.DASH}{high}; a 95 % range that holds for all {len(THEMES)} themes at once)."
    )
    for cause in causes:
        if cause.theme == row["theme"]:
            most = (
                "most name" if cause.recent > cause.recent_all / 2 else f"{cause.recent:,} of {cause.recent_all:,} name"
            )
            title += f"; {most} ‘{cause.word}’"
            sentence += (
                f" {cause.recent:,} of the {cause.recent_all:,} people who wrote them name ‘{cause.word}’, {cause.before:,} of {cause.before_all:,} did in the {trend.before_weeks} weeks before; "
                "being named is no proof of fault, so read the texts first."
            )
    return title, sentence


def product_words(products: Products) -> tuple[str, str]:
    """Does a product stand out? A title and a sentence, true whatever was found."""
    if products.frame.empty:
        return "Products cannot be compared", "That needs texts that name a product, order lines and dated orders."
    clear = standing_out(products)
    if clear.empty:
        return (
            "No product draws clearly more complaints than the others",
            f"{products.searched:,} pairs of product and theme were searched; with so few complaints only a large difference would show.",
        )
    row = next(clear.itertuples())
    about = "complained of it" if row.theme == ANY else f"complained about {row.theme} with it"
    span = span_words(products.start, products.end)
    more = (
        f" {len(clear) - 1} more {'pair stands' if len(clear) == 2 else 'pairs stand'} out." if len(clear) > 1 else ""
    )
    return (
        titled(row),
        f"{row.complaints:,} customers {about}{f' in {span}' if span else ''}: {rate_words(row)}; it holds after searching {products.searched:,} pairs of product and theme.{more}",
    )


def rate_words(row: Any) -> str:
    """A product's rate as it was counted and drawn towards the average."""
    return (
        f"{1000 * row.complaints / row.orders:.1f} per 1,000 orders with it as counted, cautiously {row.rate:.1f} ({row.low:.1f}{formats.DASH}{row.high:.1f}); "
        f"the average is {row.average:.1f}"
    )


def span_words(start: date | None, end: date | None) -> str:
    """How long a time is, in words: 'three years', '8 months', '20 days'; '' where it is not known.

    >>> from datetime import date
    >>> span_words(date(2023, 10, 9), date(2026, 10, 1)), span_words(date(2026, 1, 1), date(2026, 9, 1))
    ('three years', '8 months')
    """
    if start is None or end is None:
        return ""
    days = (end - start).days
    years, months = round(days / 365.25), round(days / 30.44)
    if months >= 22 and years <= len(_NUMBERS) + 1:
        return f"{_NUMBERS[years - 2]} years"
    return f"{years} years" if months >= 22 else f"{months} months" if months >= 2 else f"{days} days"


def over(rates: Rates) -> str:
    """'Over three years ' before a rate; '' where there is no period."""
    span = span_words(rates.start, rates.end)
    return f"Over {span} " if span else ""


def standing_out(products: Products) -> pd.DataFrame:
    """The products and themes clearly above the others, clearest first; a theme says more than ‘any’."""
    clear = products.frame[products.frame["above"].astype(bool)]
    named = set(clear.loc[clear["theme"] != ANY, "product_id"])
    clear = clear[(clear["theme"] != ANY) | ~clear["product_id"].isin(named)]
    # How a thing runs says what to do, so it comes first.
    return clear.assign(plain=clear["runs"] == "").sort_values(["plain", "p_value", "product_id"]).drop(columns="plain")


def group_words(groups: Groups) -> tuple[str, str]:
    """Do groups of customers or channels differ? A title and a sentence."""
    if groups.frame.empty:
        return (
            "Customers and channels cannot be compared",
            "That needs customer columns or channels with at least fifty orders or texts each.",
        )
    clear = differing(groups)
    searched = f"{groups.searched:,} comparisons were made and corrected for."
    if clear.empty:
        return "No group of customers and no channel differs reliably", searched
    # A theme says more than 'any'.
    row = next(clear.sort_values("theme", key=lambda names: names == ANY, kind="stable").itertuples())
    about = "complaints" if row.theme == ANY else f"{row.theme} complaints"
    per = "orders" if row.per == "orders" else "texts"
    side = "more" if row.ratio > 1 else "fewer"
    where = f"{'Feedback by ' if row.dimension == 'channel' else ''}{row.value}"
    times = f"{row.ratio:.1f} times the rate of the others" if np.isfinite(row.ratio) else "the others have none"
    others = (
        f" {len(clear) - 1} more {'comparison differs' if len(clear) == 2 else 'comparisons differ'}."
        if len(clear) > 1
        else ""
    )
    return (
        f"{where[:1].upper()}{where[1:]} carries {side} {about} than the rest",
        f"{row.rate:.1f} per 1,000 {per} ({row.low:.1f}{formats.DASH}{row.high:.1f}), {times}; {searched}{others} "
        "Who writes where differs, so this compares writers, not causes.",
    )


def differing(groups: Groups) -> pd.DataFrame:
    """The comparisons that differ, clearest first; of two groups that mirror each other, only the one that complains more."""
    frame = groups.frame
    two = frame.groupby(["dimension", "theme"])["value"].transform("size") == 2
    clear = frame[(frame["differs"] != "") & ~(two & (frame["differs"] == "fewer"))]
    return clear.sort_values(["p_value", "value"])


def reader_words(learning: Learning) -> tuple[str, str]:
    """Who reads, and why? A title and a sentence."""
    model, rules, plain, vader = (learning.of(name) for name in ("model", "rules", "textblob", "vader"))
    if model[0] is None:
        title = "TextBlob with rules reads; no model of this shop yet"
        return title, f"{learning.reason[:1].upper()}{learning.reason[1:]}."
    said = (
        f"On {learning.tested:,} later texts in {learning.phrasings:,} phrasings left out of training, macro F1 is {model[0]:.2f} for the shop's own model, "
        f"{rules[0]:.2f} for TextBlob with rules, {plain[0]:.2f} for TextBlob alone and {vader[0]:.2f} for VADER."
    )
    if learning.chosen:
        return "A model of the shop's own stars reads better than the lexicons, so it is used", said
    rival = learning.contest[learning.contest["reader"] != "model"].sort_values("lead_low").iloc[0]
    ahead = f"ahead by {rival['lead']:+.2f} ({rival['lead_low']:+.2f} to {rival['lead_high']:+.2f})".replace(
        "-", formats.MINUS
    )
    name = NAMES[rival["reader"]]
    return (
        f"{name[:1].upper()}{name[1:]} reads as well as a model of the shop's own stars, so it is used",
        f"{said} Against {name} the model is {ahead}: a tie goes to the simpler.",
    )


def ahead_words(found: Ahead, *, first: str) -> tuple[str, str]:
    """What is to be expected? A title and a sentence."""
    if found.frame.empty:
        return (
            "What the next weeks bring cannot be said",
            "That needs a year and a half of dated texts and orders up to this day.",
        )
    rows = found.frame[found.frame["theme"] == first].set_index("horizon_days")
    row = rows.iloc[0]
    days = rows.index[0]
    wide = row["high"] > WIDE * max(row["low"], 1.0)
    return (
        f"How many {first} complaints the next {days} days bring can hardly be said"
        if wide
        else f"Expect {row['low']:.0f} to {row['high']:.0f} {first} complaints in the next {days} days",
        f"About {row['expected']:.0f}; 95 % of such counts should fall between {row['low']:.0f} and {row['high']:.0f}; the band is as wide as the same forecast's errors at earlier days. "
        "A later run of this report marks it.",
    )


def all_positive(validation: Validation) -> float:
    """Macro F1 of the laziest reader, who calls everything positive."""
    n = validation.accuracy.set_index("kind")["n"]
    return float(n["positive"] / (2 * n["positive"] + n["negative"]))


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
