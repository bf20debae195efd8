"""Can a model learnt from the shop's own stars read better than lexicons? How it is trained and how readers are graded.

Features are the lexicons' scores, word 1–2-grams in which what a negator reaches is marked, and character 2–5-grams.
Two logistic regressions are averaged, one on all of them and one on word n-grams weighted by how much more often they
stand in negative texts (Wang and Manning 2012); their chances are calibrated on texts they were not trained on.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse, special

from crmlib.analysis.feedback.moods import Scores
from crmlib.stats import Floats

STRENGTHS = (6.0, 36.0)  # inverse regularisation, chosen on training texts
SCORE_SCALE = 1.5  # weight of the scores against n-gram blocks of length 1
RATIO_STRENGTH, RATIO_SCALE = 0.3, 3.0  # the same two for n-grams weighted by their log-ratio, which are longer
FOLDS, INNER = 5, 3
SOLVER: dict[str, Any] = {"solver": "liblinear", "dual": True, "max_iter": 5000, "random_state": 0}
CHARS: dict[str, Any] = {"analyzer": "char_wb", "ngram_range": (2, 5)}
MIN_RATED = 20  # rated texts of either kind below which a reader is not graded and shares are not corrected

_NEGATORS = re.compile(r"not|no|never|nor|neither|cannot|without|hardly|barely|nothing|nobody|none|\w+n't")
_TOKEN = re.compile(r"[\w']+|[.,!?;:]")


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The n-grams of a set of texts, counted by scikit-learn; labels play no part in it."""

    words: Any
    chars: Any

    @property
    def size(self) -> int:
        """How many n-grams are of words."""
        return len(self.words.vocabulary_)

    def counts(self, texts: Sequence[str]) -> Any:
        """A sparse row a text: word n-grams first, then character n-grams."""
        return sparse.hstack([self.words.transform(texts), self.chars.transform(texts)]).tocsr().astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class Linear:
    """One trained pair: how n-grams and scores add up to the log-odds of a negative text, in two ways."""

    idf: Floats
    words: int
    weights: Floats
    ratio_weights: Floats
    score_weights: Floats
    intercept: float

    def margins(self, counts: Any, scores: Floats) -> Floats:
        """Log-odds of negative, the mean of both ways, not calibrated; one a row."""
        one = weighted(counts, scores, idf=self.idf, words=self.words) @ self.weights
        other = _seen(counts, self.words) @ self.ratio_weights + scores @ self.score_weights
        found: Floats = (one + other) / 2 + self.intercept
        return found


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """What was learnt from the rated texts of one shop.

    Each text is read by the one of `parts` that was trained without its phrasing, so that rated and unrated texts are
    misread alike; `part_of` knows which. `whole` reads what is new. Margins become chances by `slope` and `offset`.
    Above `cut` a text is negative, below `usual` (the share of negatives in training) positive; between, nothing.
    """

    vocabulary: Vocabulary
    parts: tuple[Linear, ...]
    whole: Linear
    part_of: Mapping[int, int]
    slope: float
    offset: float
    cut: float
    usual: float

    def probabilities(self, texts: Sequence[str], scores: Floats, *, marks: Sequence[frozenset[int]]) -> Floats:
        """The chance that each text is negative (one or two stars)."""
        counts = self.vocabulary.counts(texts)
        parts = np.array([next((self.part_of[mark] for mark in own if mark in self.part_of), -1) for own in marks])
        margins = np.empty(len(texts))
        for part in np.unique(parts):
            rows = np.flatnonzero(parts == part)
            model = self.whole if part < 0 else self.parts[part]
            margins[rows] = model.margins(counts[rows], scores[rows])
        found: Floats = special.expit(self.slope * margins + self.offset)
        return found

    def strengths(self, texts: Sequence[str], scores: Floats, *, marks: Sequence[frozenset[int]]) -> Floats:
        """How positive is each text, from −1 to 1? 0 between the usual chance and the cut."""
        p = self.probabilities(texts, scores, marks=marks)
        bad, good = (p - self.cut) / (1 - self.cut), (self.usual - p) / self.usual
        found: Floats = np.where(p > self.cut, -bad, np.where(p < self.usual, good, 0.0))
        return found


def marked(text: str) -> list[str]:
    """A text's tokens, those within four words of a negator marked as denied: 'not good' gives 'not', 'good_NOT'."""
    tokens: list[str] = []
    reach = 0
    for token in _TOKEN.findall(text.casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")):
        if token in ".,!?;:" or token == "but" or _NEGATORS.fullmatch(token):
            reach = 4 if _NEGATORS.fullmatch(token) else 0
            tokens.append(token)
        else:
            tokens.append(f"{token}_NOT" if reach > 0 else token)
            reach -= 1
    return tokens


def vocabulary(texts: Sequence[str]) -> Vocabulary:
    """Every n-gram these texts hold."""
    from sklearn.feature_extraction.text import CountVectorizer

    words = CountVectorizer(analyzer=word_grams).fit(texts)
    return Vocabulary(words=words, chars=CountVectorizer(**CHARS).fit(texts))


def word_grams(text: str) -> list[str]:
    """Words, marked where they are denied, and pairs of neighbours."""
    tokens = marked(text)
    return tokens + [f"{one} {two}" for one, two in itertools.pairwise(tokens)]


def matrix(scores: Sequence[Scores]) -> Floats:
    """Scores as numbers, one row a text."""
    return np.array([score.numbers for score in scores], dtype=np.float64).reshape(len(scores), -1)


def weighted(counts: Any, scores: Floats, *, idf: Floats, words: int) -> Any:
    """Counts as sublinear tf-idf of length 1 in either block, with the scores beside."""
    from sklearn.preprocessing import normalize

    tf = counts.copy()
    tf.data = 1 + np.log(tf.data)
    tf = tf @ sparse.diags_array(idf)
    blocks = [normalize(tf[:, :words]), normalize(tf[:, words:]), sparse.csr_array(SCORE_SCALE * scores)]
    return sparse.hstack(blocks).tocsr()


def _seen(counts: Any, words: int) -> Any:
    """Which word n-grams stand in a text, however often."""
    return (counts[:, :words] > 0).astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Rated texts to learn from, a row for each text and side its stars were on; `group` numbers phrasings, `marks`
    are theirs."""

    counts: Any
    scores: Floats
    negative: Floats
    weight: Floats
    group: NDArray[np.int64]
    vocabulary: Vocabulary
    marks: Sequence[frozenset[int]] = ()

    def trained(self, *, strength: float, rows: Any = slice(None)) -> Linear:
        """A logistic regression on these rows alone; n-grams that they lack weigh nothing."""
        from sklearn.linear_model import LogisticRegression

        words, counts, scores, weight = self.vocabulary.size, self.counts[rows], self.scores[rows], self.weight[rows]
        present = np.asarray((counts > 0).sum(axis=0)).ravel()
        idf = np.where(present > 0, np.log((1 + counts.shape[0]) / (1 + present)) + 1, 0.0)
        bad = self.negative[rows] > 0.5
        seen_as = weighted(counts, scores, idf=idf, words=words)
        one = LogisticRegression(C=strength, **SOLVER).fit(seen_as, bad, sample_weight=weight)
        seen = _seen(counts, words)
        often = [1 + weight[side] @ seen[np.flatnonzero(side)] for side in (bad, ~bad)]
        # An n-gram that these rows lack says nothing, however the smoothing falls.
        leaning = np.log(often[0] / often[0].sum()) - np.log(often[1] / often[1].sum())
        ratio = np.where(present[:words] > 0, leaning, 0.0)
        rest = sparse.hstack([seen @ sparse.diags_array(ratio), sparse.csr_array(RATIO_SCALE * scores)]).tocsr()
        other = LogisticRegression(C=RATIO_STRENGTH, **SOLVER).fit(rest, bad, sample_weight=weight)
        ratio_weights, score_weights = ratio * other.coef_[0, :words], RATIO_SCALE * other.coef_[0, words:]
        found = {"weights": one.coef_[0], "ratio_weights": ratio_weights, "score_weights": score_weights}
        return Linear(idf=idf, words=words, intercept=float(one.intercept_[0] + other.intercept_[0]) / 2, **found)

    def folds(self, count: int, *, rng: np.random.Generator) -> NDArray[np.int64]:
        """A fold for each row; phrasings stay together."""
        _, place = np.unique(self.group, return_inverse=True)
        return np.asarray((rng.permutation(place.max() + 1) % count)[place], dtype=np.int64)

    def unseen_margins(self, folds: NDArray[np.int64], *, strength: float) -> tuple[Floats, tuple[Linear, ...]]:
        """Each row's margin by a model trained without its fold, and those models."""
        margins, models = np.zeros(len(self.negative)), []
        for fold in range(folds.max() + 1):
            out = folds == fold
            model = self.trained(strength=strength, rows=np.flatnonzero(~out))
            margins[out] = model.margins(self.counts[out], self.scores[out])
            models.append(model)
        return margins, tuple(models)


def chosen_strength(examples: Examples, *, rng: np.random.Generator, among: Sequence[float] = STRENGTHS) -> float:
    """The regularisation whose calibrated margins are likeliest on rows left out in turn."""
    folds = examples.folds(INNER, rng=rng)
    losses = []
    for strength in among:
        margins, _ = examples.unseen_margins(folds, strength=strength)
        slope, offset = calibrated(margins, examples)
        p = np.clip(special.expit(slope * margins + offset), 1e-6, 1 - 1e-6)
        said = examples.negative * np.log(p) + (1 - examples.negative) * np.log(1 - p)
        losses.append(-float(np.average(said, weights=examples.weight)))
    return among[int(np.argmin(losses))]


def calibrated(margins: Floats, examples: Examples) -> tuple[float, float]:
    """Slope and offset that turn margins of unseen rows into chances. Source: Platt 1999."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=100.0).fit(margins[:, None], examples.negative > 0.5, sample_weight=examples.weight)
    return max(float(fitted.coef_[0, 0]), 1e-3), float(fitted.intercept_[0])


def best_cut(p: Floats, examples: Examples) -> float:
    """The chance of negative above which to call a text negative, by macro F1 on unseen rows; within .2 and .6."""
    cuts = np.linspace(0.2, 0.6, 21)
    bad, w = examples.negative > 0.5, examples.weight
    counts = [[w[side & said].sum() for side in (bad, ~bad) for said in (p > cut, p <= cut)] for cut in cuts]
    found = np.nan_to_num(macro_f1(np.array(counts)))
    # The middle of the best, so that a lucky spike does not decide.
    return float(np.mean(cuts[found >= found.max() - 1e-9]))


def learnt(examples: Examples, *, strength: float, usual: float, rng: np.random.Generator) -> Learnt:
    """The model to read with: parts that each leave a fold of phrasings out, and the whole."""
    folds = examples.folds(FOLDS, rng=rng)
    margins, parts = examples.unseen_margins(folds, strength=strength)
    slope, offset = calibrated(margins, examples)
    cut = best_cut(special.expit(slope * margins + offset), examples)
    part_of = {mark: int(fold) for fold, own in zip(folds, examples.marks, strict=True) for mark in own}
    chances = {"slope": slope, "offset": offset, "cut": cut, "usual": min(usual, 0.8 * cut)}
    whole = examples.trained(strength=strength)
    return Learnt(vocabulary=examples.vocabulary, parts=parts, whole=whole, part_of=part_of, **chances)


def cells(truly: ArrayLike, said: ArrayLike) -> Floats:
    """Indicator columns: truly and said negative, truly only, said only, neither."""
    true, heard = np.asarray(truly, dtype=bool), np.asarray(said, dtype=bool)
    return np.column_stack([true & heard, true & ~heard, ~true & heard, ~true & ~heard]).astype(float)


def macro_f1(counts: Floats) -> Floats:
    """The mean of both sides' F1 from (hit, missed, false, clear) in the last axis."""
    hit, missed, false, clear = np.moveaxis(np.asarray(counts, dtype=float), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean: Floats = (2 * hit / (2 * hit + missed + false) + 2 * clear / (2 * clear + missed + false)) / 2
    return mean
