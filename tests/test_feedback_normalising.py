"""Apostrophes, denials, emoji, words of goods, texts without end: what a text comes to before its wording is read."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from crmlib.analysis.feedback import moods, normalising
from crmlib.analysis.feedback.normalising import (
    EMOJI,
    bounded,
    emoji_mood,
    normalise,
    with_emoji,
    without_product_words,
)
from crmlib.analysis.feedback.reading import Reader
from tests.conftest import ROOT

QUOTES = "'\u2019\u02bc`\u00b4\u2018\u201b"


@pytest.fixture(autouse=True)
def goods_carry_no_mood(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Words of goods are dropped where words are heard; dropping them twice changes nothing."""
    heard = moods._words
    monkeypatch.setattr(moods, "_words", lambda clause: heard(without_product_words(clause)))
    return iter(())


def _direction(text: str) -> int:
    polarity = with_emoji(moods.mood(normalise(text)).polarity, text)
    return 0 if abs(polarity) < 0.1 else (-1 if polarity < 0 else 1)


@pytest.mark.parametrize(
    "text", ["isn{}t great", "It doesn{}t fit", "I don{}t recommend it", "wasn{}t happy", "can{}t use it"]
)
def test_every_apostrophe_and_none_denies_alike(text: str) -> None:
    forms = [text.format(quote) for quote in QUOTES] + [text.format(""), text.format(" ")]
    assert {normalise(form) for form in forms} == {text.format("'")}
    assert {_direction(form) for form in forms} == {-1}


@pytest.mark.parametrize(
    "text", ["were late", "my well cover", "ill fitting", "its lid", "cant", "wonton", "students' desks"]
)
def test_words_that_only_look_alike_stay(text: str) -> None:
    assert normalise(text) == {"cant": "can't"}.get(text, text)


NO_PROBLEMS = """no issues|never had a problem|without any trouble|Haven't had a single problem|Zero complaints
0 complaints|no probs|Have not experienced any problem so far|Problem free|No faults found|cant complain|Didnt have any problems
Issues? None.|NO ISSUES!!!|It didn’t break|no leaks, no cracks|Finally no more leaking bottles|No problems or complaints
The only complaint I have is that I didn't order more|My only regret is not ordering two|All good. No complaints.
This isn't a bad idea|This isnt a bad idea|Thank you for all your hard work|I appreciate your hard work
Cant say enough good things about this shop"""
STILL_PROBLEMS = """No solution to my problem|I had nothing but problems|No reply to my complaint|Not without problems
No problems until it broke|No one solved my problem|Not a single problem was solved|No issues were fixed
It was not problem free|My only complaint is that it broke|zero help with my problem|It is hard work
Website is not working|too small|Cheap and nasty"""
GOODS = """I ordered the green tea.|My black kettle arrived on Monday.|The mug is black.|A small teapot for two cups
Cold brew bottle, used it twice this week|A heavy cast iron pot, as it should be|Dark roast coffee|Half a litre
Thin porcelain, as on the picture|Bought the plain one|The little spoon is in the box|It came with a base and a lid
A game for four players|Sharp knife, cuts tomatoes|Raw honey|Bitter chocolate 85 %|Sour cherries in the jar
Common size, fits any oven|It is the usual size|It came in a brown box.|I got the large one."""


def _each(lines: str) -> list[str]:
    return re.split(r"[|\n]", lines)


@pytest.mark.parametrize("text", _each(NO_PROBLEMS))
def test_nothing_wrong_is_never_a_complaint(text: str) -> None:
    assert _direction(text) == 1


@pytest.mark.parametrize("text", _each(STILL_PROBLEMS))
def test_complaints_in_the_same_words_stay_complaints(text: str) -> None:
    assert _direction(text) == -1


@pytest.mark.parametrize("text", _each(GOODS))
def test_words_that_say_what_a_thing_is_carry_no_mood(text: str) -> None:
    assert _direction(text) == 0


def test_of_160_neutral_texts_with_product_words_few_read_as_negative() -> None:
    lines = (ROOT / "tests" / "golden" / "feedback_goods.txt").read_text(encoding="utf-8").splitlines()
    texts = [line for line in lines if not line.startswith("#")]
    assert len(set(texts)) == 160
    for reader in (Reader(), Reader(taught=False)):
        read = reader.read_all(texts, languages=["en"] * len(texts))
        assert sum(one.outcome == "read" and one.polarity < 0 for one in read) <= 0.03 * len(texts)
        assert sum(bool(one.complaints()) for one in read) <= 0.03 * len(texts)


@pytest.mark.parametrize(
    "text",
    [
        "The chocolate was bitter.", "Far too bitter chocolate.", "Such hard cheese, inedible.", "The tea is weak.",
        "I was sent ripped jeans instead of new ones.", "I received ripped jeans.", "The knives are blunt.",
        "The broken rice cooker was never replaced.", "The stain remover left a stain.", "The fur is fake and smells.",
        "My slow cooker arrived broken.", "The mouse trap does not work.", "The evil eye bracelet fell apart.",
        "This is the second time I have bought these and they broke again.", "I bought a terrible kettle.",
        "I ordered a dress and it came torn.", "I ordered the wrong size chart nonsense.", "We ordered cups, two were broken.",
        "I bought a faulty lamp.", "I ordered a lamp three weeks ago and it has not arrived.", "We bought cracked plates from you.",
        "I bought useless rubbish.", "I ordered a kettle and it never arrived.", "We ordered the soap, which is awful.",
    ],
)  # fmt: skip
def test_a_complaint_about_goods_stays_one(text: str) -> None:
    read = Reader().read(text, language="en")
    assert read.outcome == "read" and read.polarity < 0


def test_a_degree_a_denial_or_the_end_of_a_sentence_judges() -> None:
    assert without_product_words("a very heavy pot") == "a very heavy pot"
    assert without_product_words("no cheap toy") == "no cheap toy"
    assert without_product_words("The coffee was cold") == "The coffee was cold"
    assert without_product_words("") == ""


def test_emoji_speak_once_and_never_take_a_complaint_back() -> None:
    beating = "\N{BEATING HEART}"
    assert emoji_mood(beating) == emoji_mood(beating * 30) > 0 > emoji_mood("👎")
    assert with_emoji(0.0, f"Arrived today {beating}") > 0 > with_emoji(0.0, "Arrived today 😡")
    assert with_emoji(-0.6, "Broken 😂") == -0.6
    assert 0 < with_emoji(0.8, "Great 😒") < 0.8
    assert _direction(f"Thank you, happy customer {beating * 3}") == 1
    assert all(len(emoji) == 1 and -1 <= mood <= 1 for emoji, mood in EMOJI.items())


@pytest.mark.parametrize("text", ["😡😡", "👍", "💓" * 30, "⭐⭐⭐⭐⭐", "🙂", "", "5/5", "!!!"])
def test_without_a_word_nothing_is_said(text: str) -> None:
    assert _direction(text) == 0


# Texts without end: what is read is bounded, so that the work grows with the text and then no more.


@pytest.mark.parametrize(
    "unit", ["a.", "not ", "no more ", "0", "-", "a b c ", "n't ", "😡", "é.", " ", "never had a single "]
)
def test_what_is_read_of_a_hostile_text_grows_with_it_and_then_no_more(unit: str) -> None:
    read = [len(normalise(unit * times)) for times in (100, 200, 60_000, 120_000)]
    assert read[1] <= 2.05 * read[0] + 1 and read[2] == read[3] <= 2 * normalising.LONGEST
    clauses = re.split(r"(?<=[.!?;:])\s+|\n+", normalise(unit * 60_000))
    assert max(map(len, clauses)) <= normalising.CLAUSE + 1
    assert max((len(run) for run in bounded(unit * 60_000).split()), default=0) < normalising.RUN


def test_scripts_without_blanks_are_not_cut_out() -> None:
    assert bounded("好" * 300) == "好" * 300 and bounded("ok" * 300) == "\N{HORIZONTAL ELLIPSIS}"


def test_what_is_plain_stays_plain() -> None:
    for text in ("No problems at all.", "It isn't great, didn't fit", "I ordered the tea.\nIt came.", "Is it safe?"):
        assert normalise(text) == normalise(normalise(text)) == text
