"""Themes as a shop's own labels have them: learnt from 500 on, used where they read better than our words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import crmlib as crm
from crmlib.analysis.feedback import labels, texts
from crmlib.analysis.feedback.reading import Reader
from crmlib.analysis.feedback.themes import OwnWords, mentions
from crmlib.errors import UsageError

Write = Callable[..., Path]
# What this shop's customers say of quality, and of nothing, in words that our patterns do not know.
WEEPS = [
    "the bezel weeps",
    "a weeping bezel",
    "bezel went cloudy",
    "its movement gains",
    "gains ten seconds",
    "a cloudy dial",
]
PLAIN = [
    "my second watch",
    "a gift for dad",
    "blue strap",
    "worn on Sunday",
    "from the spring list",
    "boxed with a card",
]
FILL = [
    "we",
    "had",
    "this",
    "one",
    "since",
    "winter",
    "and",
    "my",
    "sister",
    "knows",
    "about",
    "it",
    "too",
    "while",
    "friends",
    "at",
    "office",
    "asked",
    "where",
]


def made(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Texts of some words of either kind; a third are about quality, every fifth about delivery in plain words."""
    about, late = rng.random(n) < 1 / 3, rng.random(n) < 0.2
    rows = []
    for row in range(n):
        words = list(rng.permutation(FILL)[: rng.integers(5, 12)])
        said = [rng.choice(WEEPS)] if about[row] else [rng.choice(PLAIN)]
        rows.append(" ".join([*words, *said, *(["The courier delivered it"] if late[row] else [])]))
    ids = [f"F{row:04d}" for row in range(n)]
    return pd.DataFrame({"feedback_id": ids, "text": rows, "quality": about, "delivery": late})


def label(folder: Path, rows: pd.DataFrame) -> None:
    said = [
        (row.feedback_id, theme)
        for row in rows.itertuples()
        for theme in [*(name for name in ("quality", "delivery") if getattr(row, name)), ""][
            : 1 + row.quality * row.delivery
        ]
    ]
    pd.DataFrame(said, columns=["feedback_id", "theme"]).to_csv(folder / labels.FILE, index=False)


@pytest.fixture
def written(write_shop: Write, rng: np.random.Generator) -> Iterator[tuple[Path, pd.DataFrame]]:
    rows = made(rng, 900)
    yield write_shop(feedback=rows[["feedback_id", "text"]].assign(created_at="2026-01-05", language="en")), rows


def _learnt(folder: Path) -> labels.Labelled:
    shop = crm.connect(folder, as_of="2026-02-01")
    return labels.taught_by(shop, texts.facts(shop), words=OwnWords())


def test_themes_are_read_as_labelled_where_that_is_better(written: tuple[Path, pd.DataFrame]) -> None:
    folder, rows = written
    label(folder, rows.head(600))
    found = _learnt(folder)
    assert found.texts == 600 and set(found.learnt) == {"quality"}
    grades = found.grades.set_index("theme")
    # Our words know delivery; a tie stays with them.
    assert grades.loc["quality", "learnt"] > 0.9 > 0.2 > grades.loc["quality", "words"]
    assert grades.loc["delivery", "words"] > 0.95 and grades.loc["delivery", "low"] <= 0
    assert found.sentence().startswith("What 600 texts labelled in themes.csv taught finds themes")
    # On texts without a label, which taught nothing.
    rest = rows.tail(300)
    read = Reader(labelled=found).read_all(list(rest["text"]), languages=["en"] * 300)
    ours = np.array(["quality" in one.themes for one in read])
    assert (
        (ours == rest["quality"]).mean()
        > 0.95
        > np.mean([mentions(text, "quality") for text in rest["text"]] == rest["quality"])
    )
    assert (np.array(["delivery" in one.themes for one in read]) == rest["delivery"]).mean() > 0.95


def test_labels_without_a_meaning_teach_nothing(written: tuple[Path, pd.DataFrame], rng: np.random.Generator) -> None:
    folder, rows = written
    label(folder, rows.assign(quality=rng.permutation(rows["quality"]), delivery=False))
    found = _learnt(folder)
    assert not found.learnt and "clearly better for no theme" in found.sentence()


def test_few_labels_teach_nothing_and_it_is_said(written: tuple[Path, pd.DataFrame]) -> None:
    folder, rows = written
    assert _learnt(folder).sentence() == ""
    label(folder, rows.head(499))
    found = _learnt(folder)
    assert not found.learnt
    assert found.sentence() == "themes.csv labels 499 texts: from 500 on it teaches what they are about."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("feedback_id,topic\nF0001,fit\n", "themes.csv has no column theme"),
        ("feedback_id,theme\nF0001,fit\nF0002,fitt\n", "themes.csv, line 3: no theme 'fitt'; did you mean 'fit'?"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(written: tuple[Path, pd.DataFrame], text: str, said: str) -> None:
    (written[0] / labels.FILE).write_text(text)
    with pytest.raises(UsageError, match=said.replace("?", r"\?")):
        _learnt(written[0])
