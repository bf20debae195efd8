"""Which texts are English: short foreign ones are found, and English as shoppers write it is not lost."""

from __future__ import annotations

import csv

import pytest

from tests.conftest import ROOT, SHARED_DATA

pytest.importorskip("py3langid")

from crmlib.analysis.feedback import language
from crmlib.analysis.feedback.language import is_english

GOLDEN = ROOT / "tests" / "golden"


def _lines(name: str) -> list[str]:
    lines = (GOLDEN / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#")]


def _rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(_lines(name)))


def test_ninety_short_foreign_texts_in_fifteen_languages_are_found() -> None:
    rows = _rows("feedback_languages.csv")
    assert len(rows) == 90 and len({row["language"] for row in rows}) == 15
    assert [row["text"] for row in rows if is_english(row["text"])] == []


def test_at_most_one_in_a_hundred_english_texts_is_lost() -> None:
    texts = _lines("feedback_english.txt")
    lost = [text for text in texts if not is_english(text)]
    assert len(texts) >= 300 and len(lost) / len(texts) <= 0.01, lost


def test_very_short_english_is_kept_but_for_dialect() -> None:
    """13 of these 394 were lost at their first reading."""
    texts = _lines("feedback_short_english.txt")
    lost = {text for text in texts if not is_english(text)}
    assert len(texts) == 394 and lost == {"Peng", "Bonzer"}


def test_texts_written_afterwards_are_told_apart_too() -> None:
    rows = _rows("feedback_languages_fresh.csv")
    wrong = {row["text"] for row in rows if is_english(row["text"]) != (row["language"] == "en")}
    assert wrong == {"Tack", "Elendig service", "Zingy", "Schleich horse broken"}


@pytest.mark.parametrize("name", ["yelp", "imdb"])
def test_no_english_sentence_of_real_reviews_is_lost(name: str) -> None:
    path = SHARED_DATA / f"{name}_labelled.txt"
    if not path.exists():
        pytest.skip("../shared/data is not here")
    texts = [line.rsplit("\t", 1)[0] for line in path.read_text(encoding="utf-8").split("\n") if "\t" in line]
    assert sum(not is_english(text) for text in texts) <= 1


@pytest.mark.parametrize(
    ("text", "english"),
    [
        *((text, True) for text in ("ok", "5/5", "\N{THUMBS UP SIGN}", "", "!!!", "isn\u00b4t great", "ISNT GREAT")),
        *((text, True) for text in ("Le Creuset pot, lovely", "Der Spiegel poster is great", "Do better")),
        *((text, False) for text in ("Schlecht", "SEHR SCHLECHT", "Das ist ein Erfolg", "とても良い", "جيد جدا")),
        ("Plus de 50 euros de frais, je trouve ça exagéré", False),
    ],
)
def test_words_brands_and_scripts(text: str, english: bool) -> None:
    assert is_english(text) is english


def test_what_the_shop_says_of_the_language_wins() -> None:
    assert is_english("Sehr gut", language="en_GB") and not is_english("Very good", language="de")


def test_a_long_text_is_read_at_its_start_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(language, "_against", lambda text: seen.append(len(text)) or 0.0)
    for size in (10_000, 100_000):
        assert is_english("qiz qox. " * size)
    assert seen == [language.READ, language.READ]
