"""A reader for shops without stars, taught on labelled sentences of others: 1,000 from Yelp and 1,000 from IMDb.

Sentences: UCI Sentiment Labelled Sentences (Kotzias, Denil, de Freitas and Smyth 2015, "From Group to Individual Labels
using Deep Features"), CC BY 4.0. What ships, taught.npz, is a logistic regression on the lexicons' scores, word
1–2-grams with denials marked and character 2–5-grams; of the sentences only n-grams that several of them hold.

    python -m crmlib.analysis.feedback.taught FOLDER        fits it again from yelp_labelled.txt and imdb_labelled.txt

The regression knows words and no grammar, and no text without a mood. So the rules of wording go before it where they
have spoken against a lexicon or of a denial, and where they are silent it must be sure.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crmlib.analysis.feedback.learning import CHARS, SOLVER, Vocabulary, marked, matrix, weighted, word_grams
from crmlib.analysis.feedback.moods import Scores, textblob
from crmlib.analysis.feedback.normalising import normalise, without_product_words
from crmlib.errors import UsageError
from crmlib.stats import Floats

FILE = Path(__file__).with_name("taught.npz")
SENTENCES = 2000  # that it was taught on
NAME = f"a reader taught on {SENTENCES:,} public sentences"
SOURCES = ("yelp_labelled.txt", "imdb_labelled.txt")
IN_WORDS, IN_CHARS = 2, 5  # sentences that must hold a word n-gram, a character n-gram
STRENGTH = 6.0  # inverse regularisation
# How much the wording weighs against log-odds: as one voice more, or before all where it says what no lexicon could.
VOICE, VERDICT = 3.0, 12.0
LEAST = 0.2  # strength of a verdict at least
SILENT = 0.22  # weight of the log-odds where the wording says nothing
HEARD = 0.1  # strength from which the wording says something
SURE = 0.8  # log-odds that come to a strength of HEARD, so that about as many texts are read as by the wording alone


@dataclass(frozen=True, kw_only=True)
class Taught:
    """The fitted weights: of word n-grams first, then character n-grams, then scores."""

    vocabulary: Vocabulary
    idf: Floats
    weights: Floats
    intercept: float

    def margins(self, texts: Sequence[str], scores: Floats) -> Floats:
        """Log-odds of negative by the regression alone, one a text."""
        rows = weighted(self.vocabulary.counts(texts), scores, idf=self.idf, words=self.vocabulary.size)
        found: Floats = rows @ self.weights + self.intercept
        return found

    def strengths(self, texts: Sequence[str], scores: Sequence[Scores]) -> Floats:
        """How positive is each text, from −1 to 1? Below HEARD in size: say nothing. `scores` of the same texts."""
        if not texts:
            return np.zeros(0)
        texts = [normalise(text) for text in texts]
        numbers = _numbers(texts, scores)
        margins = self.margins(texts, numbers)
        wording = np.array([score.wording for score in scores])
        denies = [any(token.endswith("_NOT") for token in marked(text)) for text in texts]
        alone = (numbers[:, 0] * wording <= 0) | np.array(denies)
        asks = np.array([text.rstrip().endswith("?") for text in texts])
        verdict = VERDICT * np.sign(wording) * np.maximum(np.abs(wording), LEAST)
        spoken = margins - np.where(alone, verdict, VOICE * wording)
        # A question has no mood of its own, unless the wording hears a complaint in it.
        unspoken = np.where(asks | (np.abs(SILENT * margins) < SURE), 0.0, SILENT * margins)
        log_odds = np.where(np.abs(wording) >= HEARD, spoken, unspoken)
        found: Floats = 0.0 - np.tanh(log_odds * np.arctanh(HEARD) / SURE)
        return found


def fit(texts: Sequence[str], negative: NDArray[np.bool_], scores: Sequence[Scores]) -> Taught:
    """What labelled texts, put in plain form by `normalise`, teach: the same weights each time."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    words = CountVectorizer(analyzer=word_grams, min_df=IN_WORDS).fit(texts)
    vocabulary = Vocabulary(words=words, chars=CountVectorizer(**CHARS, min_df=IN_CHARS).fit(texts))
    counts = vocabulary.counts(texts)
    idf = np.log((1 + len(texts)) / (1 + np.asarray((counts > 0).sum(axis=0)).ravel())) + 1
    rows = weighted(counts, _numbers(texts, scores), idf=idf, words=vocabulary.size)
    model = LogisticRegression(C=STRENGTH, **SOLVER).fit(rows, negative)
    return Taught(vocabulary=vocabulary, idf=idf, weights=model.coef_[0], intercept=float(model.intercept_[0]))


def packed(taught: Taught) -> bytes:
    """The weights as the file that ships: terms as text, numbers with half precision, nothing that runs when loaded."""
    parts = (taught.vocabulary.words, taught.vocabulary.chars)
    terms = ["\n".join(part.get_feature_names_out()).encode() for part in parts]
    words, chars = (np.frombuffer(term, dtype=np.uint8) for term in terms)
    weights, scores = np.split(taught.weights, [len(taught.idf)])
    halves: dict[str, Any] = {"idf": taught.idf.astype(np.float16), "weights": weights.astype(np.float16)}
    out = io.BytesIO()
    np.savez_compressed(out, words=words, chars=chars, **halves, scores=np.append(scores, taught.intercept))
    return out.getvalue()


def unpacked(data: bytes) -> Taught:
    """The weights of a file made by `packed`."""
    from sklearn.feature_extraction.text import CountVectorizer

    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        words, chars = (found[name].tobytes().decode().split("\n") for name in ("words", "chars"))
        idf, weights, rest = (found[name].astype(np.float64) for name in ("idf", "weights", "scores"))
    counters = CountVectorizer(analyzer=word_grams, vocabulary=words), CountVectorizer(**CHARS, vocabulary=chars)
    for part in counters:
        part._validate_vocabulary()
    vocabulary, weights = Vocabulary(words=counters[0], chars=counters[1]), np.concatenate([weights, rest[:-1]])
    return Taught(vocabulary=vocabulary, idf=idf, weights=weights, intercept=float(rest[-1]))


@cache
def shipped() -> Taught:
    """The reader that comes with the library; loaded once."""
    return unpacked(FILE.read_bytes())


def labelled(path: Path) -> tuple[list[str], NDArray[np.bool_]]:
    """Sentences and which are negative, of a file 'sentence TAB 0 or 1'; split on the last tab, quotes are text."""
    rows = [line.rsplit("\t", 1) for line in path.read_text(encoding="utf-8").split("\n") if "\t" in line]
    return [text.strip() for text, _ in rows], np.array([label.strip() == "0" for _, label in rows])


def _numbers(texts: Sequence[str], scores: Sequence[Scores]) -> Floats:
    """The scores as features, TextBlob's without the words that describe goods."""
    found = matrix(scores)
    found[:, 0] = [textblob(without_product_words(normalise(text))) for text in texts]
    return found


def main(folder: Path, *, to: Path = FILE) -> Taught:
    """Fits the reader from the labelled sentences of a folder and writes the file that ships."""
    from crmlib.analysis.feedback.moods import scores

    missing = [name for name in SOURCES if not (folder / name).is_file()]
    if missing:
        raise UsageError(f"{folder} lacks {' and '.join(missing)}")
    both = [labelled(folder / name) for name in SOURCES]
    texts = [text for part, _ in both for text in part]
    negative = np.concatenate([each for _, each in both])
    found = fit([normalise(text) for text in texts], negative, [scores(text) for text in texts])
    to.write_bytes(packed(found))
    return found


if __name__ == "__main__":
    import sys

    main(Path(sys.argv[1]))
