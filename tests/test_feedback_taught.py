"""The reader taught on labelled sentences: better than the wording alone, and silent where nothing is judged."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from crmlib.analysis.feedback import learning, moods, taught
from crmlib.analysis.feedback.moods import Scores
from crmlib.analysis.feedback.normalising import normalise, with_emoji, without_product_words
from crmlib.errors import UsageError
from tests.conftest import ROOT, SHARED_DATA

GOOD = ["lovely cup", "lovely pot and great tea", "great tea", "not bad at all", "lovely and great"]
BAD = ["awful cup", "awful pot and stale tea", "stale tea", "not lovely at all", "awful and stale"]


@pytest.fixture(autouse=True)
def goods_carry_no_mood(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    heard = moods._words
    monkeypatch.setattr(moods, "_words", lambda clause: heard(without_product_words(clause)))
    return iter(())


def _scores(text: str) -> Scores:
    one = moods.scores(normalise(text))
    return Scores(one.textblob, one.vader, one.praising, one.blaming, with_emoji(one.wording, text), one.mixed)


def _strengths(texts: list[str]) -> np.ndarray:
    return taught.shipped().strengths(texts, [_scores(text) for text in texts])


def _small() -> taught.Taught:
    texts = (GOOD + BAD) * 3
    return taught.fit(texts, np.array(([False] * 5 + [True] * 5) * 3), [_scores(text) for text in texts])


def test_the_file_that_ships_is_small_and_the_same_each_time() -> None:
    data = taught.FILE.read_bytes()
    assert len(data) < 100_000 and taught.packed(taught.unpacked(data)) == data
    assert taught.packed(_small()) == taught.packed(_small())


def test_it_learns_and_keeps_what_it_learnt() -> None:
    small = _small()
    again = taught.unpacked(taught.packed(small))
    numbers = learning.matrix([_scores(text) for text in GOOD + BAD])
    assert np.array_equal(small.margins(GOOD + BAD, numbers) > 0, [False] * 5 + [True] * 5)
    assert again.margins(GOOD, numbers[:5]) == pytest.approx(small.margins(GOOD, numbers[:5]), abs=0.05)
    assert small.strengths([], []).shape == (0,)


def test_no_sentence_it_was_taught_on_ships() -> None:
    """Only n-grams that several sentences hold: at most two words, at most five characters."""
    vocabulary = taught.shipped().vocabulary
    assert max(len(term.split(" ")) for term in vocabulary.words.vocabulary_) == 2
    assert max(len(term) for term in vocabulary.chars.vocabulary_) == 5


@pytest.mark.parametrize(("name", "floor"), [("feedback_hard", 290), ("feedback_fresh_hard", 51)])
def test_hard_sentences_are_read_as_well_as_by_the_rules(name: str, floor: int) -> None:
    lines = (ROOT / "tests" / "golden" / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    scored = [_scores(row["text"]) for row in rows]
    found = taught.shipped().strengths([row["text"] for row in rows], scored)
    right = 0
    for row, strength, score in zip(rows, found, scored, strict=True):
        said = "none" if abs(strength) < 0.1 else ("negative" if strength < 0 else "positive")
        right += (score.mixed and row["polarity"] == "mixed") or said == row["polarity"]
    assert right >= floor


def test_neutral_texts_and_questions_are_left_alone() -> None:
    goods = ["I ordered the green tea", "It came with a base and a lid", "Bitter chocolate 85 %", "Half a litre"]
    more = ["The mug is black", "A game for four players", "It came in a brown box", "Where do you ship to?"]
    texts = [*goods, *more, "Can I pay by invoice?", "😡😡", "", "5/5"]
    assert np.abs(_strengths(texts)).max() < 0.1


def test_plain_words_are_read() -> None:
    found = _strengths(["Lovely, thank you", "isnt great", "Never arrived", "No complaints", "This isn't a bad idea"])
    assert (np.sign(found) == [1, -1, -1, 1, 1]).all() and np.abs(found).min() > 0.1


def _needs(name: str) -> Path:
    path = SHARED_DATA / name
    if not path.exists():
        pytest.skip("../shared/data is not here")
    return path


@pytest.mark.parametrize(("learnt_on", "read", "level"), [("yelp", "imdb", 0.87), ("imdb", "yelp", 0.90)])
def test_taught_on_one_it_reads_the_other_better_than_the_rules(learnt_on: str, read: str, level: float) -> None:
    """Macro F1 on as many texts as the wording reads, the surest first: .885 and .911 against .868 and .901."""
    texts, negative = taught.labelled(_needs(f"{learnt_on}_labelled.txt"))
    reader = taught.fit([normalise(text) for text in texts], negative, [_scores(text) for text in texts])
    others, truly = taught.labelled(_needs(f"{read}_labelled.txt"))
    scored = [_scores(text) for text in others]
    wording = np.array([score.wording for score in scored])
    many = int((np.abs(wording) >= 0.1).sum())

    def graded(strengths: np.ndarray) -> float:
        surest = np.argsort(-np.abs(strengths), kind="stable")[:many]
        return float(f1_score(truly[surest], strengths[surest] < 0, average="macro"))

    assert graded(reader.strengths(others, scored)) > max(graded(wording), level)


def test_a_folder_without_the_sentences_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"lacks yelp_labelled\.txt and imdb_labelled\.txt"):
        taught.main(tmp_path, to=tmp_path / "taught.npz")
