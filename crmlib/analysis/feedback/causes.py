"""What do the complaints of a risen theme name that earlier ones did not? A word, such as a carrier's name."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd
from scipy import stats

from crmlib.analysis.feedback.rates import BEFORE_WEEKS, Trend, author
from crmlib.analysis.feedback.texts import Readings
from crmlib.stats import adjust

MIN_WRITERS = 5  # recent complaints that must share a word before it is looked at
_WORD = re.compile(r"[^\W\d_][\w'’-]{3,}")
_COMMON = frozenset(
    [
        "that",
        "this",
        "with",
        "have",
        "from",
        "been",
        "they",
        "were",
        "your",
        "would",
        "could",
        "should",
        "when",
        "what",
        "which",
        "there",
        "their",
        "about",
        "after",
        "before",
        "again",
        "still",
        "just",
        "only",
        "very",
        "much",
        "more",
        "most",
        "than",
        "then",
        "them",
        "into",
        "over",
        "also",
        "even",
        "because",
        "never",
        "ever",
        "order",
        "ordered",
        "parcel",
        "delivery",
        "delivered",
        "arrived",
        "arrive",
        "weeks",
        "days",
        "week",
        "until",
        "where",
        "never",
        "didn",
        "don't",
        "didn't",
        "wasn't",
        "isn't",
        "can't",
        "couldn't",
        "doesn't",
        "they're",
        "it's",
        "i've",
        "it'd",
    ]
)


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A word that the recent complaints about `theme` share: in `recent` of `recent_all` of them, in `before` of `before_all` earlier."""

    theme: str
    word: str
    recent: int
    recent_all: int
    before: int
    before_all: int
    p_adjusted: float


def causes(readings: Readings, trend: Trend) -> tuple[Cause, ...]:
    """For each theme that rose: the word that its recent complaints have gained most, if that is clear (Fisher, Holm over words).

    Read in redacted texts, so no name of a customer can be the word; writers count once. At most one a theme.
    """
    if trend.changes.empty:
        return ()
    first = trend.weeks["week"].iloc[-trend.recent_weeks]
    start = trend.weeks["week"].iloc[max(0, len(trend.weeks) - trend.recent_weeks - BEFORE_WEEKS)]
    end = trend.weeks["week"].iloc[-1] + pd.Timedelta(weeks=1)
    said = readings.mentions[readings.mentions["complaint"]]
    found = []
    for theme in trend.changes.loc[trend.changes["change"] == "rose", "theme"]:
        texts = readings.texts.iloc[said.loc[said["theme"] == theme, "row"]]
        texts = texts.assign(author=author(texts))[(texts["day"] >= start) & (texts["day"] < end)]
        recent, before = texts[texts["day"] >= first], texts[texts["day"] < first]
        new, old = _writers(recent), _writers(before)
        size, earlier = recent["author"].nunique(), before["author"].nunique()
        words = [word for word, writers in new.items() if len(writers) >= MIN_WRITERS]
        if not words:
            continue
        counts = [(len(new[word]), len(old.get(word, set()))) for word in words]
        p = [stats.fisher_exact([[a, size - a], [b, earlier - b]], alternative="greater")[1] for a, b in counts]
        adjusted = adjust(p, method="holm")
        best = min(range(len(words)), key=lambda i: (adjusted[i], words[i]))
        if adjusted[best] < 0.05:
            spelt = _spelling(recent["text"], words[best])
            found.append(Cause(theme=theme, word=spelt, recent=counts[best][0], recent_all=size, before=counts[best][1], before_all=earlier,
                               p_adjusted=float(adjusted[best])))  # fmt: skip
    return tuple(found)


def _writers(texts: pd.DataFrame) -> dict[str, set[str]]:
    """Who used each word, common ones out."""
    used: dict[str, set[str]] = {}
    for text, writer in zip(texts["text"], texts["author"], strict=True):
        for word in {match.casefold() for match in _WORD.findall(re.sub(r"\[[\w-]+\]", " ", text))} - _COMMON:
            used.setdefault(word, set()).add(writer)
    return used


def _spelling(texts: pd.Series, word: str) -> str:
    """How the word is mostly written."""
    forms = texts.str.findall(rf"(?i)\b{re.escape(word)}\b").explode().dropna()
    return str(forms.value_counts().index[0])
