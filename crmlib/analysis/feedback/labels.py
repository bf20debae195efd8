"""What is a text about, as a shop's own labels have it? Learnt where 500 texts are labelled, used where it is better.

themes.csv beside the shop's tables has feedback_id and theme: a row for each theme that a text is about, and one with
an empty theme for a text about none. A theme is read by what was learnt where that finds it better than our words do,
on phrasings left out of the learning and beyond the noise of that comparison.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib import wording
from crmlib.analysis.feedback import learning, phrasing
from crmlib.analysis.feedback.language import is_english
from crmlib.analysis.feedback.normalising import bounded, normalise
from crmlib.analysis.feedback.themes import THEMES, OwnWords
from crmlib.errors import UsageError, nearest
from crmlib.shop.shop import Shop, resolve
from crmlib.stats import Floats
from crmlib.stats.resampling import resampled

FILE = "themes.csv"
LEAST, LEAST_OF_THEME = 500, 20  # texts labelled, in all and of a theme, below which nothing is learnt
_STRENGTH, _DRAWS = 6.0, 1000
_GRADES = ["theme", "labelled", "words", "learnt", "low", "high"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelled:
    """What the shop's labels taught.

    texts    English texts that are labelled and in the data
    grades   theme, labelled, words, learnt (F1 of either on the labelled texts), low, high (of the lead, 95 % over
             phrasings)
    learnt   theme -> its model, of the themes whose labels read better than our words
    """

    texts: int = 0
    grades: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=_GRADES))
    learnt: Mapping[str, learning.Learnt] = field(default_factory=dict)

    def about(self, texts: Sequence[str], words: OwnWords) -> dict[str, NDArray[np.bool_]]:
        """Which of these texts are about each theme that is read by what was learnt?"""
        if not self.learnt:
            return {}
        short = [bounded(text) for text in texts]
        marks = [phrasing.signatures(text) for text in short]
        return {
            theme: model.probabilities(short, _heard(texts, theme, words), marks=marks) > model.cut
            for theme, model in self.learnt.items()
        }

    def sentence(self) -> str:
        """What came of the labels; '' without any."""
        if not self.texts:
            return ""
        if self.texts < LEAST:
            labelled = f"{FILE} labels {wording.counted(self.texts, 'text')}"
            return f"{labelled}: from {LEAST} on it teaches what they are about."
        read = self.grades[self.grades["theme"].isin(self.learnt)].itertuples()
        told = [f"{row.theme} ({row.learnt:.2f} against {row.words:.2f})" for row in read]
        better = f"better for {wording.listed(told)}, which they read" if told else "clearly better for no theme"
        known = f"What {self.texts:,} texts labelled in {FILE} taught finds themes"
        return f"{known}, by F1 on phrasings left out, {better}."


def labels(shop: Shop) -> dict[str, frozenset[str]]:
    """The labels of each text by feedback_id, as themes.csv has them; none without the file.

    UsageError where it cannot be read or names a theme that is none.
    """
    path = resolve(shop.folder) / FILE
    if not path.is_file():
        return {}
    rows = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    if lacks := {"feedback_id", "theme"} - set(rows.columns):
        raise UsageError(f"{FILE} has no column {wording.listed(sorted(lacks))}")
    found: dict[str, set[str]] = {}
    for line, (one, theme) in enumerate(zip(rows["feedback_id"], rows["theme"].str.strip().str.casefold()), 2):
        if theme and theme not in THEMES:
            raise UsageError(f"{FILE}, line {line}: no theme '{theme}'; {nearest(theme, THEMES)}")
        found.setdefault(one.strip(), set()).update({theme} - {""})
    return {one: frozenset(themes) for one, themes in found.items()}


def taught_by(shop: Shop, texts: ir.Table, *, words: OwnWords, seed: int = 0) -> Labelled:
    """Learn each theme from the shop's labels, and keep what finds it better than the words do."""
    given = labels(shop)
    if not given:
        return Labelled()
    known: dict[str, frozenset[str]] = {}
    for chunk in shop.stream(texts.select("feedback_id", "text", "language").order_by("feedback_id")):
        for row in chunk[chunk["feedback_id"].isin(given)].itertuples():
            if is_english(row.text, language=row.language if isinstance(row.language, str) else None):
                known[row.text] = known.get(row.text, frozenset()) | given[row.feedback_id]
    if len(known) < LEAST:
        return Labelled(texts=len(known))
    rng = np.random.default_rng(seed)
    said = list(known)
    short = [bounded(text) for text in said]
    marks = [phrasing.signatures(text) for text in short]
    vocabulary = learning.vocabulary(short)
    counts, group = vocabulary.counts(short), phrasing.groups(marks)
    rows, models = [], {}
    for theme in THEMES:
        truly = np.array([theme in known[text] for text in said])
        if min(truly.sum(), (~truly).sum()) < LEAST_OF_THEME:
            continue
        examples = learning.Examples(
            counts=counts, scores=_heard(said, theme, words), negative=truly.astype(float), weight=np.ones(len(said)),
            group=group, vocabulary=vocabulary, marks=marks,
        )  # fmt: skip
        model = learning.learnt(examples, strength=_STRENGTH, usual=float(truly.mean()), rng=rng)
        # Each labelled text is read by the part that left its phrasing out.
        read = model.probabilities(short, examples.scores, marks=marks) > model.cut
        grade = _graded((truly, examples.scores[:, 0] > 0, read), group=group, rng=rng)
        rows.append((theme, int(truly.sum()), *grade))
        if grade[2] > 0:
            models[theme] = model
    return Labelled(texts=len(said), grades=pd.DataFrame(rows, columns=_GRADES), learnt=models)


def _heard(texts: Sequence[str], theme: str, words: OwnWords) -> Floats:
    """What our words and the shop's say: is the theme mentioned, is a fault of it named?"""
    heard = [words.heard(normalise(text), theme) for text in texts]
    rows = [(words.mentions(text, theme), words.names_fault(text, theme)) for text in heard]
    return np.array(rows, dtype=float).reshape(-1, 2)


def _graded(said: Sequence[NDArray[np.bool_]], *, group: NDArray[np.int64], rng: np.random.Generator) -> list[float]:
    """F1 of the words and of what was learnt, and the 95 % range of the lead, phrasings drawn again together."""
    truly, words, learnt = said
    counts = np.hstack([learning.cells(truly, words), learning.cells(truly, learnt)])
    drawn = resampled(counts, pd.Series(group), rng=rng, draws=_DRAWS)
    low, high = np.nanquantile(_f1(drawn[:, 4:]) - _f1(drawn[:, :4]), (0.025, 0.975))
    whole = counts.sum(axis=0)
    return [float(value) for value in (_f1(whole[:4]), _f1(whole[4:]), low, high)]


def _f1(counts: Floats) -> Floats:
    hit, missed, false, _ = np.moveaxis(counts, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.nan_to_num(2 * hit / (2 * hit + missed + false)))
