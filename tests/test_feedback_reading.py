"""Who reads: lexicons, rules of wording, a model of the shop's stars; against published figures, hard sentences and traps."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold
from textblob import TextBlob

import crmlib as crm
from crmlib.analysis import feedback
from crmlib.analysis.feedback import learning, phrasing, validation
from crmlib.analysis.feedback import readers as contest
from crmlib.analysis.feedback.moods import mood, scores, textblob, vader
from crmlib.analysis.feedback.reliability import HARD_DEVELOPMENT, HARD_FRESH, HARD_FRESH_FIRST, HARD_HELD_OUT
from crmlib.stats import share_interval
from crmlib.stats.resampling import resampled
from tests.conftest import ROOT, SHARED_DATA

READER = feedback.Reader(abstain_below=0.1)
KINDS = ["negation", "but", "polite complaint", "sizing", "late delivery", "sarcasm", "mixed", "neutral"]


@cache
def _uci(name: str) -> tuple[tuple[str, ...], np.ndarray]:
    """UCI Sentiment Labelled Sentences (Kotzias et al. 2015): 1,000 sentences, and which are negative."""
    path = SHARED_DATA / f"{name}_labelled.txt"
    if not path.exists():
        pytest.skip("../shared/data is not here")
    rows = [line.rsplit("\t", 1) for line in path.read_text(encoding="utf-8").split("\n") if "\t" in line]
    return tuple(text for text, _ in rows), np.array([label.strip() == "0" for _, label in rows])


@cache
def _uci_scores(name: str) -> tuple[object, ...]:
    return tuple(scores(text) for text in _uci(name)[0])


# Published figures


@pytest.mark.parametrize(("name", "by_textblob", "by_vader"), [("yelp", 0.774, 0.816), ("imdb", 0.764, 0.791)])
def test_lexicons_read_the_uci_sentences_as_well_as_published(name: str, by_textblob: float, by_vader: float) -> None:
    """Accuracy with threshold > 0, METHODS.md 'Feedback'; the rules of wording add to both."""
    texts, negative = _uci(name)
    found = np.array([score.numbers for score in _uci_scores(name)])  # type: ignore[attr-defined]
    right = {column: np.mean((found[:, column] > 0) != negative) for column in (0, 1, 4)}
    assert len(texts) == 1000
    assert right[0] == pytest.approx(by_textblob, abs=0.0005)
    assert np.mean((np.array([vader(text) for text in texts]) > 0) != negative) == pytest.approx(by_vader, abs=0.0005)
    # In plain form, as it is asked here, it reads no worse.
    assert right[1] >= by_vader - 0.0005
    assert right[4] > by_textblob + 0.02


@pytest.mark.parametrize(("name", "level", "reference"), [("yelp", 0.88, 0.878), ("imdb", 0.855, 0.852)])
def test_ten_folds_of_the_uci_sentences_beat_the_reference(name: str, level: float, reference: float) -> None:
    """Ten stratified folds, seed 0; vocabulary, idf and regularisation from the nine training folds alone.

    METHODS.md: scores, word 1–2-grams and character 2–5-grams with a logistic regression give .878 and .852.
    """
    texts, negative = _uci(name)
    scored = learning.matrix(_uci_scores(name))  # type: ignore[arg-type]
    folds = []
    for number, (train, test) in enumerate(StratifiedKFold(10, shuffle=True, random_state=0).split(texts, negative)):
        words = learning.vocabulary([texts[i] for i in train])
        known, new = words.counts([texts[i] for i in train]), words.counts([texts[i] for i in test])
        examples = learning.Examples(
            counts=known, scores=scored[train], negative=negative[train].astype(float), weight=np.ones(len(train)),
            group=np.arange(len(train)), vocabulary=words,
        )  # fmt: skip
        strength = learning.chosen_strength(examples, rng=np.random.default_rng(number))
        margins = examples.trained(strength=strength).margins(new, scored[test])
        folds.append(np.mean((margins > 0) == negative[test]))
    assert np.mean(folds) >= level > reference, np.round(folds, 3)


# Hard sentences


def _hard(part: str) -> list[dict[str, str]]:
    name = "feedback_fresh_hard" if part == "fresh" else "feedback_hard"
    lines = (ROOT / "tests" / "golden" / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return [row for row in rows if part == "fresh" or row["part"] == part]


def _called(row: dict[str, str]) -> str:
    found = READER.read(row["text"], language="en")
    if row["polarity"] == "mixed" and found.mixed:
        return "mixed"
    return {1: "positive", -1: "negative", 0: "none"}[READER.direction(found.polarity)]


WORDS = (
    "not", "no", "n't", "never", "very", "really", "hardly", "good", "bad", "terribly", "late", "don't", "can't", ":)", ":-(", "<3", "(!)", "!", "!!",
    "...", "?", ",", ".", "'", "e.g.", "U.S.", "naïve", "100", "3.5", "\n\n", "“", "ok", "lovely", "awful", "SLOW", "is", "a", "n-1", "&amp;",
)  # fmt: skip


@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=6), max_size=14).map(" ".join))
@settings(max_examples=600, deadline=None)
def test_the_quick_reading_is_textblobs_own(text):
    assert textblob(text) == TextBlob(text).sentiment.polarity


def test_the_hard_sentences_are_many_and_of_all_kinds() -> None:
    rows = _hard("development") + _hard("held_out") + _hard("fresh")
    assert len(rows) >= 150 and len({row["text"] for row in rows}) == len(rows)
    assert set(Counter(row["kind"] for row in rows)) == set(KINDS)
    assert len(_hard("held_out")) >= 70 and Counter(row["kind"] for row in _hard("fresh"))["negation"] >= 15
    header = (ROOT / "tests" / "golden" / "feedback_fresh_hard.csv").read_text(encoding="utf-8").splitlines()[2]
    first = HARD_FRESH_FIRST
    assert f"{first.right} of {first.sentences} right" in header and f"{first.silent} left alone" in header


@pytest.mark.parametrize(
    ("part", "quoted"), [("development", HARD_DEVELOPMENT), ("held_out", HARD_HELD_OUT), ("fresh", HARD_FRESH)]
)
def test_the_page_quotes_what_the_hard_sentences_give(part: str, quoted: object) -> None:
    rows = _hard(part)
    called = [_called(row) for row in rows]
    right = [said == row["polarity"] for said, row in zip(called, rows, strict=True)]
    silent = [said == "none" and not good for said, good in zip(called, right, strict=True)]
    plain = sum(
        {1: "positive", -1: "negative", 0: "none"}[READER.direction(textblob(row["text"]))] == row["polarity"]
        for row in rows
    )
    counted = (sum(right), sum(silent), len(rows) - sum(right) - sum(silent), plain)
    assert counted == (quoted.right, quoted.silent, quoted.wrong, quoted.textblob)  # type: ignore[attr-defined]
    assert sum(right) > 1.9 * plain


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_hard_sentence_falls_below_its_floor(kind: str) -> None:
    """Of the sentences that shaped the rules three of four, and never fewer than TextBlob alone reads right."""
    floors = {
        part: [_called(row) == row["polarity"] for row in _hard(part) if row["kind"] == kind]
        for part in ("development", "held_out")
    }
    assert np.mean(floors["development"]) >= 0.75
    plain = [
        {1: "positive", -1: "negative", 0: "none"}[READER.direction(textblob(row["text"]))] == row["polarity"]
        for row in _hard("held_out") if row["kind"] == kind
    ]  # fmt: skip
    assert sum(floors["held_out"]) >= sum(plain)


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("No problems at all", 1), ("Neither good nor cheap.", -1), ("The tea is not fresh, nor is it cheap.", -1),
        ("The return was easy but the dress never arrived.", -1), ("Runs small, had to send it back.", -1),
        ("It would have been nice to get an answer.", -1), ("It took long, but it is wonderful.", 1), ("Is it dishwasher safe?", 0),
        ("Great, another cup without a handle.", -1), ("", 0), ("!!!", 0),
    ],
)  # fmt: skip
def test_the_named_traps_are_read_right(text: str, direction: int) -> None:
    assert READER.direction(mood(text).polarity) == direction


def test_lexicons_alone_fall_into_the_named_traps() -> None:
    """METHODS.md: 'no problems' reads negative by VADER's words, 'Runs small …' as nothing, the dress as praise, 'neither … nor' as praise."""
    assert abs(vader("Runs small, had to send it back")) < 0.1
    assert textblob("The return was easy but the dress never arrived.") > 0
    assert textblob("Neither good nor cheap.") > 0
    assert vader("problems") < 0


# Phrasings


def test_one_phrasing_with_other_names_or_typing_errors_is_one_group() -> None:
    same = [
        "Lovely kettle, but it took ages to arrive.",
        "lovely cup, but it took ages to arrive",
        "Lovely cup, but it tok ages to arrive.",
    ]
    other = ["Very good", "Very bad", "Took ages to arrive, but the cup is lovely."]
    found = phrasing.groups([phrasing.signatures(text) for text in same + other])
    assert len(set(found[:3])) == 1 and len(set(found)) == 4


# The model of the shop's own stars


def _rated_shop(write_shop: Callable[..., Path], *, size: int, private: bool, seed: int = 0) -> crm.Shop:
    """Texts over two years. `private`: the shop's customers use words of mood that no lexicon knows."""
    rng = np.random.default_rng(seed)
    good, bad = (
        (["zimtig", "wumm", "knorke", "dufte"], ["murksig", "pilsig", "grotty", "naff"])
        if private
        else (["lovely"], ["horrible"])
    )
    things = [
        f"{a}{b}"
        for a in ("tea", "cup", "pan", "lid", "jar", "mat", "box", "tin")
        for b in ("let", "lor", "mon", "dal", "ner", "vik")
    ]
    places = ["kitchen", "office", "garden", "boat", "shed", "cellar", "attic", "hall", "van", "hut"]
    rows = []
    for i in range(size):
        negative = rng.random() < 0.35
        words = rng.choice(bad if negative else good)
        a, b, c = rng.choice(things), rng.choice(places), rng.choice(things)
        text = f"The {a} for our {b} is {words} and so is {c} with {rng.choice(places)} {rng.choice(things)}"
        rows.append(
            {"feedback_id": f"F{i:04d}", "text": text, "rating": rng.choice([1, 2] if negative else [4, 5]), "language": "en",
             "created_at": (date(2024, 1, 1) + timedelta(days=int(i * 700 / size))).isoformat()}
        )  # fmt: skip
    return crm.connect(write_shop(feedback=rows))


def test_a_model_is_used_where_it_is_better(write_shop: Callable[..., Path]) -> None:
    """Customers with words of their own: no lexicon knows them, the stars teach them."""
    shop = _rated_shop(write_shop, size=320, private=True)
    found = feedback.learn(shop, feedback.facts(shop), reader=READER, draws=200)
    assert found.chosen and found.of("model")[0] > 0.9 > 0.6 > found.of("textblob")[0]  # type: ignore[operator]
    assert (found.contest.set_index("reader").loc[["taught", "rules", "textblob", "vader"], "lead_low"] > 0).all()
    readings = feedback.score(shop, feedback.facts(shop), reader=found.reader)
    assert feedback.validate(readings, draws=100).macro_f1 > 0.9  # type: ignore[operator]
    part = feedback.part_readers(found)
    assert part.title == "A model of the shop's own stars reads better than every other"
    assert part.sentence == "So the model is used." and found.used == "model"


def test_a_tie_goes_to_the_simpler(write_shop: Callable[..., Path]) -> None:
    """Where the lexicon knows every word, a model cannot be better, and the rules no better than the taught reader."""
    shop = _rated_shop(write_shop, size=320, private=False)
    found = feedback.learn(shop, feedback.facts(shop), reader=READER, draws=200)
    assert found.of("model")[0] is not None and not found.chosen and found.reader.learnt is None
    part = feedback.part_readers(found)
    assert "not clearly better" in found.reason
    assert found.used == "taught"
    assert part.sentence == "So a simpler one is used: a reader taught on 2,000 public sentences."
    assert "a tie goes to the simpler. So a reader taught on 2,000 public sentences reads." in part.method[0]


@pytest.mark.parametrize(
    ("taught_errs", "rules_err", "used"), [(20, 40, True), (30, 30, True), (33, 30, True), (70, 30, False)]
)
def test_the_taught_reader_gives_way_only_to_rules_that_are_clearly_better(
    taught_errs: int, rules_err: int, used: bool
) -> None:
    """Of 400 texts; 3 errors fewer are a tie, 40 fewer are not. Each reader errs on texts of its own."""
    bad = np.arange(400) % 4 == 0
    rows = pd.DataFrame({"bad": bad, "group": np.arange(400), "taught": bad.copy(), "rules": bad.copy()})
    rows.loc[: taught_errs - 1, "taught"] ^= True
    rows.loc[400 - rules_err :, "rules"] ^= True
    found = contest._contest(rows, readers=["taught", "rules"], rng=np.random.default_rng(1), draws=400)
    assert contest._ahead(READER, found).taught is used
    assert not contest._ahead(feedback.Reader(taught=False), found).taught


def test_without_stars_the_taught_reader_reads_and_the_page_names_it(write_shop: Callable[..., Path]) -> None:
    rows = [
        {"feedback_id": f"F{i}", "text": text, "created_at": "2024-03-01"}
        for i, text in enumerate(["Lovely cup, thank you", "Never arrived"] * 30)
    ]
    shop = crm.connect(write_shop(feedback=rows))
    found = feedback.learn(shop, feedback.facts(shop), reader=READER, draws=50)
    assert found.used == "taught" and found.contest.empty and found.of("taught") == (None, None, None)
    part = feedback.part_readers(found)
    assert part.title.startswith("A reader taught on 2,000 public sentences reads the texts")
    assert part.method[0].endswith("So a reader taught on 2,000 public sentences reads.")
    assert "Kotzias and others 2015" in part.method[1] and "CC BY 4.0" in part.method[1]


def test_names_say_who_reads() -> None:
    assert feedback.Reader().name == contest.NAMES["taught"] == "a reader taught on 2,000 public sentences"
    assert feedback.Reader(taught=False).name == contest.NAMES["rules"]
    plain = "Do not hesitate to order"
    assert feedback.Reader(taught=False).read(plain).polarity == scores(plain).wording


def test_stars_without_relation_to_the_texts_teach_nothing(write_shop: Callable[..., Path]) -> None:
    shop = _rated_shop(write_shop, size=260, private=True)
    frame = shop.fetch(feedback.facts(shop)).assign(rating=np.random.default_rng(4).choice([1, 5], 260))
    mixed = crm.connect(
        write_shop("mixed", feedback=frame[["feedback_id", "text", "rating", "language", "created_at"]])
    )
    assert not feedback.learn(mixed, feedback.facts(mixed), reader=READER, draws=200).chosen


def test_too_few_stars_teach_nothing_and_it_is_said(write_shop: Callable[..., Path]) -> None:
    shop = _rated_shop(write_shop, size=90, private=True)
    found = feedback.learn(shop, feedback.facts(shop), reader=READER, draws=100)
    assert not found.chosen and found.of("model") == (None, None, None)
    assert "different phrasings" in found.reason and "no model of this shop yet" in feedback.part_readers(found).title


@pytest.fixture(scope="module")
def demo_learning(demo_shop: crm.Shop) -> contest.Learning:
    return feedback.learn(demo_shop, feedback.facts(demo_shop), reader=READER, seed=1, draws=300)


def test_repeated_phrasings_flatter_a_random_split(demo_folder: Path) -> None:
    """The trap: split at random the same model seems far better than on phrasings it has not seen."""
    table = pd.read_csv(demo_folder / "feedback.csv").dropna(subset=["text", "rating", "feedback_id"])
    table = table[table["rating"].isin([1, 2, 4, 5])].head(900)
    texts, negative = table["text"].tolist(), (table["rating"] <= 2).to_numpy(float)
    words = learning.vocabulary(texts)
    base = {"counts": words.counts(texts), "scores": np.zeros((len(texts), 1)), "negative": negative, "weight": np.ones(len(texts)),
            "vocabulary": words}  # fmt: skip
    by_phrase = learning.Examples(group=phrasing.groups([phrasing.signatures(text) for text in texts]), **base)
    at_random = learning.Examples(group=np.arange(len(texts)), **base)
    found = {}
    for name, examples in (("random", at_random), ("phrasing", by_phrase)):
        margins, _ = examples.unseen_margins(examples.folds(5, rng=np.random.default_rng(0)), strength=6.0)
        found[name] = f1_score(negative > 0.5, margins > 0, average="macro")
    assert found["random"] > found["phrasing"] + 0.1


def test_on_the_demo_shop_the_taught_reader_is_ahead_and_reads(demo_learning: contest.Learning) -> None:
    """Its macro F1 is .83 on later texts, that of the rules .81."""
    assert demo_learning.used == "taught"
    title = "A model of the shop's own stars reads no better than a reader taught on 2,000 public sentences"
    assert feedback.part_readers(demo_learning).title == title
    assert demo_learning.of("taught")[0] > demo_learning.of("rules")[0] + 0.01  # type: ignore[operator]
    assert "So a reader taught on 2,000 public sentences reads." in feedback.part_readers(demo_learning).method[0]


def test_no_model_has_seen_what_it_is_judged_on(demo_learning: contest.Learning) -> None:
    if demo_learning.of("model")[0] is None:
        assert "judged" in demo_learning.reason or "learnt" in demo_learning.reason
        return
    assert demo_learning.reciting is not None and demo_learning.reciting > demo_learning.of("model")[0]  # type: ignore[operator]


def test_parts_leave_whole_phrasings_out() -> None:
    rng = np.random.default_rng(2)
    group = rng.integers(0, 40, 300)
    examples = learning.Examples(
        counts=None,
        scores=np.zeros((300, 1)),
        negative=np.zeros(300),
        weight=np.ones(300),
        group=group,
        vocabulary=None,
    )
    folds = examples.folds(5, rng=rng)
    assert all(len(set(folds[group == g])) == 1 for g in set(group)) and set(folds) == set(range(5))


def test_the_same_seed_reads_the_same(write_shop: Callable[..., Path]) -> None:
    shop = _rated_shop(write_shop, size=240, private=True)
    one, two = (feedback.learn(shop, feedback.facts(shop), reader=READER, seed=3, draws=100) for _ in range(2))
    pd.testing.assert_frame_equal(one.contest, two.contest)
    first, second = (feedback.score(shop, feedback.facts(shop), reader=found.reader) for found in (one, two))
    pd.testing.assert_frame_equal(first.texts, second.texts)


def test_texts_met_while_learning_are_not_scored_again(
    write_shop: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from crmlib.analysis.feedback import reading

    shop = _rated_shop(write_shop, size=120, private=False)
    found = feedback.learn(shop, feedback.facts(shop), reader=READER, draws=50)
    monkeypatch.setattr(reading, "scores", lambda text: pytest.fail("scored twice"))
    assert len(feedback.score(shop, feedback.facts(shop), reader=found.reader).texts) == 120


def test_chances_are_calibrated_on_unseen_rows() -> None:
    """Margins twice too sure are brought back: planted log-odds x, margins 2x, fitted slope one half."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=4000)
    truth = (rng.random(4000) < 1 / (1 + np.exp(-x))).astype(float)
    examples = learning.Examples(
        counts=None, scores=x[:, None], negative=truth, weight=np.ones(4000), group=np.arange(4000), vocabulary=None
    )
    slope, offset = learning.calibrated(2 * x, examples)
    assert slope == pytest.approx(0.5, abs=0.05) and offset == pytest.approx(0, abs=0.1)


# Shares


def test_the_share_on_half_negative_sentences_is_corrected(rng: np.random.Generator) -> None:
    """Half of Yelp's sentences are negative; TextBlob alone reads a quarter, and no interval of its count holds the half.

    A third of the sentences rated, errors measured there and taken out of all: 95 % intervals hold the truth in at least 17 of 20 draws.
    """
    _, negative = _uci("yelp")
    plain = np.array([score.numbers[0] for score in _uci_scores("yelp")])  # type: ignore[attr-defined]
    read = np.abs(plain) >= 0.1
    said = plain < 0
    assert said.mean() == pytest.approx(0.25, abs=0.02) and negative.mean() == 0.5
    truth = negative[read].mean()
    held = 0
    for _ in range(20):
        rated = rng.random(read.sum()) < 1 / 3
        counts = np.zeros((read.sum(), 6))
        counts[rated, :4] = validation.cells(negative[read][rated], said[read][rated])
        counts[~rated, 4], counts[~rated, 5] = said[read][~rated], ~said[read][~rated]
        units = pd.Series(np.arange(len(counts)))
        drawn = validation.corrected(resampled(counts, units, rng=rng, draws=300))[0]
        low, high = np.quantile(drawn, (0.025, 0.975))
        held += low <= truth <= high
    assert held >= 17
    assert share_interval(said[read].sum(), read.sum())[1] < truth
