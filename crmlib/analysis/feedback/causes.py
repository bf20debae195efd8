"""What do the new complaints of a theme that rose name that the earlier ones did not?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from scipy import stats

from crmlib.analysis.feedback.quotes import naming, spelling
from crmlib.analysis.feedback.rates import author
from crmlib.analysis.feedback.texts import Readings
from crmlib.stats import adjust

MIN_WRITERS = 5  # recent complaints that must share a word before it is looked at
_WORD = re.compile(r"[^\W\d_][\w'’-]{3,}")
_COMMON = """
    that this with have from been they were your would could should when what which there their about after before
    again still just only very much more most than then them into over also even because never ever order ordered parcel
    delivery delivered arrived arrive weeks days week until where didn don't didn't wasn't isn't can't couldn't doesn't
    they're it's i've it'd
"""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A word that recent complaints about `theme` share: `recent` of `recent_all` writers, `before` of `before_all`.

    `texts` are the recent complaints that have the word: a writer may have written several.
    """

    theme: str
    word: str
    recent: int
    recent_all: int
    before: int
    before_all: int
    texts: int

    @property
    def is_name(self) -> bool:
        """Is it written like a name, such as a carrier's?"""
        return self.word[:1].isupper()


def causes(
    readings: Readings, rose: Sequence[str], *, start: pd.Timestamp, since: pd.Timestamp, end: pd.Timestamp
) -> tuple[Cause, ...]:
    """For each theme that rose: the word its complaints of [since, end) have gained most on those of [start, since).

    Only where that is clear (Fisher, Holm). Read in redacted texts, so no name of a customer can be the word; writers
    count once. At most one a theme.
    """
    said = readings.mentions[readings.mentions["complaint"]]
    found = []
    for theme in rose:
        texts = readings.texts.iloc[said.loc[said["theme"] == theme, "row"]]
        texts = texts.assign(author=author(texts))[(texts["day"] >= start) & (texts["day"] < end)]
        recent, before = texts[texts["day"] >= since], texts[texts["day"] < since]
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
            (now, then), spelt = counts[best], spelling(recent["text"], words[best])
            texts_with = int(naming(recent["text"], words[best]).sum())
            found.append(Cause(theme=theme, word=spelt, recent=now, recent_all=size, before=then, before_all=earlier,
                               texts=texts_with))  # fmt: skip
    return tuple(found)


def _writers(texts: pd.DataFrame) -> dict[str, set[str]]:
    """Who used each word, common ones out."""
    used: dict[str, set[str]] = {}
    common = set(_COMMON.split())
    for text, writer in zip(texts["text"], texts["author"], strict=True):
        for word in {match.casefold() for match in _WORD.findall(re.sub(r"\[[\w-]+\]", " ", text))} - common:
            used.setdefault(word, set()).add(writer)
    return used
