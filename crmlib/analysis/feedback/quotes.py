"""What did people write? Quotes that say it, chosen by a fixed rule and free of personal data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from crmlib.analysis.feedback.redaction import shorten
from crmlib.analysis.feedback.texts import Readings
from crmlib.analysis.feedback.themes import THEMES

QUOTE_DAYS = 365


def since(readings: Readings, days: int) -> pd.Timestamp:
    """The first of the last `days` before as_of."""
    return pd.Timestamp(readings.as_of) - pd.Timedelta(days=days)


def quotes(
    readings: Readings, *, rose: Sequence[str] = (), from_day: pd.Timestamp | None = None, per_theme: int = 3
) -> pd.DataFrame:
    """What did people write? Up to `per_theme` redacted quotes a theme: theme, text, rating, day, polarity.

    Rule: texts of the last year (all, of a theme without one) that read negative about the theme, never abstained from,
    not given four or five stars; only those with one or two stars where a theme has any; of a theme that `rose`, those
    written since `from_day` first; then those about one theme alone, the most negative, the newest; no wording much
    like another.
    """
    clear = readings.mentions["polarity"].map(readings.reader.direction) < 0
    found = readings.mentions[readings.mentions["complaint"] & clear]
    texts = readings.texts.iloc[found["row"]].reset_index(drop=True)
    joined = texts.assign(theme=found["theme"].to_numpy(), polarity=found["polarity"].to_numpy())
    # Where nothing is of the last year, or dated, what there is.
    recent = joined["day"] >= since(readings, QUOTE_DAYS)
    recent |= ~recent.groupby(joined["theme"]).transform("any").astype(bool)
    joined = joined[recent & ~(joined["rating"] >= 4) & (joined["outcome"] == "read") & (joined["text"] != "")]
    joined = joined.assign(unsure=~(joined["rating"] <= 2), order=joined["theme"].map(THEMES.index))
    # Without stars a text may be praise that was misread, so it is quoted only where there is nothing surer.
    joined = joined[~joined["unsure"] | joined.groupby("theme")["unsure"].transform("all")]
    first = from_day if from_day is not None else pd.Timestamp(readings.as_of)
    joined["before"] = joined["theme"].isin(rose) & ~(joined["day"] >= first)
    joined["several"] = joined["feedback_id"].map(texts["feedback_id"].value_counts())
    order = ["order", "before", "several", "polarity", "day", "feedback_id"]
    joined = joined.sort_values(order, ascending=[True, True, True, True, False, True], na_position="last")
    chosen: list[int] = []
    words: list[set[str]] = []
    taken = dict.fromkeys(THEMES, 0)
    for row in joined.itertuples():
        own = set(re.findall(r"\w+", row.text.casefold()))
        if taken[row.theme] < per_theme and all(len(own & other) < 0.6 * len(own | other) for other in words):
            chosen.append(row.Index)
            words.append(own)
            taken[row.theme] += 1
    best = joined.loc[chosen]
    best = best.assign(text=best["text"].map(shorten))
    return best[["theme", "text", "rating", "day", "polarity"]].reset_index(drop=True)


def quoted(readings: Readings, theme: str, **of: str) -> str:
    """The first quote of a theme, or of a theme and a product, channel or group, as a sentence; '' where none is clear
    enough.

    'any' stands for all themes.
    """
    said = readings.mentions
    for column, value in of.items():
        said = said[(readings.texts[column] == value).to_numpy()[said["row"]]]
    found = quotes(replace(readings, mentions=said), per_theme=1)
    texts = found.loc[(found["theme"] == theme) | (theme == "any"), "text"]
    return f"One wrote: ‘{shorten(texts.iloc[0], limit=120)}’" if len(texts) else ""


def naming(texts: pd.Series, word: str) -> pd.Series:
    """Which texts have this word?"""
    return texts.str.contains(rf"(?i)\b{re.escape(word)}\b")


def spelling(texts: pd.Series, word: str) -> str:
    """How the word is mostly written."""
    forms = texts.str.findall(rf"(?i)\b{re.escape(word)}\b").explode().dropna()
    return str(forms.value_counts().index[0])
