"""How does one text read? Its language, its polarity, its themes and how each is spoken of.

Nothing here sees a shop: a text goes in, a frozen reading comes out, the same each time, without a network.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

from crmlib.analysis.feedback.labels import Labelled
from crmlib.analysis.feedback.language import is_english
from crmlib.analysis.feedback.learning import Learnt, matrix
from crmlib.analysis.feedback.moods import Scores, mood, scores
from crmlib.analysis.feedback.normalising import bounded, normalise
from crmlib.analysis.feedback.phrasing import signatures
from crmlib.analysis.feedback.taught import NAME, shipped
from crmlib.analysis.feedback.themes import THEMES, OwnWords, clauses
from crmlib.errors import UsageError
from crmlib.formats import outline

Outcome = Literal["read", "no_signal", "other_language"]


@dataclass(frozen=True)
class Reading:
    """One distinct text: what became of it and its polarity, −1 to 1; `mixed` where clauses are of opposite mood.

    `themes` holds the mood of each theme it mentions: of the clauses about it or, where these have none (`moodless`),
    of the whole text. `against` are the themes spoken of negatively, `named` those of which a fault is named, `besides`
    whether the text is negative without the words of faults, too.
    """

    outcome: Outcome
    polarity: float
    themes: Mapping[str, float] = field(default_factory=dict)
    against: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()
    moodless: frozenset[str] = frozenset()
    mixed: bool = False
    besides: bool = False

    def complaints(self, *, rating: float | None = None) -> frozenset[str]:
        """Which themes does it complain about, given the stars that came with it (None: no stars)?

        Those spoken of negatively or with a named fault. Stars decide where the words leave room: with one or two, a
        theme without a mood of its own counts too; with four or five, only a named fault in a text that is negative as
        a whole and besides: a fault word alone is none.

        >>> Reading("read", 0.6, {"fit": -0.6}, frozenset({"fit"}), frozenset({"fit"})).complaints(rating=5)
        frozenset()
        """
        if rating is not None and rating >= 4:
            return self.named if self.outcome == "read" and self.polarity < 0 and self.besides else frozenset()
        return self.named | self.against | (self.moodless if rating is not None and rating <= 2 else frozenset())


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads English texts; says nothing below a strength of `abstain_below` (0 to 1), nor where nothing speaks.

    With a model of the shop's own stars if it has `learnt` one, else as `taught` on public sentences, else with
    TextBlob's lexicon and rules of wording alone. `known` holds the scores of texts met before by their key, so that
    none is scored twice. `words` are the shop's own, beside ours, and `labelled` what its labels teach of themes.
    """

    __repr__ = outline

    abstain_below: float = 0.1
    learnt: Learnt | None = None
    taught: bool = True
    known: Mapping[int, Scores] = field(default_factory=dict, repr=False, compare=False)
    words: OwnWords = field(default_factory=OwnWords, repr=False)
    labelled: Labelled = field(default_factory=Labelled, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.abstain_below <= 1:
            raise UsageError(f"abstain_below must lie in [0, 1]; {self.abstain_below!r} does not")

    @property
    def name(self) -> str:
        """What reads, in words."""
        if self.learnt:
            return "the shop's own model"
        return NAME if self.taught else "TextBlob with rules"

    def direction(self, strength: float) -> int:
        """−1 negative, 1 positive, 0 where the reader abstains."""
        return 0 if strength == 0 or abs(strength) < self.abstain_below else (-1 if strength < 0 else 1)

    def read(self, text: str, *, language: str | None = None) -> Reading:
        """How does this text read? `language` as the shop has it; without one it is guessed from its words."""
        return self.read_all([text], languages=[language])[0]

    def read_all(self, texts: Sequence[str], *, languages: Sequence[str | None]) -> list[Reading]:
        """How do these texts read? As `read`, and faster than one by one."""
        english = [is_english(text, language=said) for text, said in zip(texts, languages, strict=True)]
        ours = [text for text, own in zip(texts, english, strict=True) if own]
        found = [self.known.get(text_key(text)) or scores(text) for text in ours]
        if self.learnt and ours:
            short = [bounded(text) for text in ours]
            marks = [signatures(text) for text in short]
            strengths = self.learnt.strengths(short, matrix(found), marks=marks).tolist()
        elif self.taught:
            strengths = shipped().strengths(ours, found).tolist()
        else:
            strengths = [score.wording for score in found]
        about = self.labelled.about(ours, self.words)
        each = [{theme: bool(said[row]) for theme, said in about.items()} for row in range(len(ours))]
        read = map(self._reading, ours, strengths, found, each)
        return [next(read) if own else Reading("other_language", 0.0) for own in english]

    def _reading(self, text: str, strength: float, score: Scores, about: Mapping[str, bool]) -> Reading:
        """`about` has the themes read by what was learnt."""
        plain = normalise(text)
        outcome: Outcome = "read" if self.direction(strength) else "no_signal"
        themes: dict[str, float] = {}
        named, moodless = set(), set()
        for name in THEMES:
            heard = self.words.heard(plain, name)
            if not (about[name] if name in about else self.words.mentions(heard, name)):
                continue
            own_pieces = [piece for piece in clauses(heard) if self.words.mentions(piece, name)]
            own = mood(". ".join(own_pieces)).polarity
            themes[name] = own if self.direction(own) else strength
            if not self.direction(own):
                moodless.add(name)
            if any(self.words.names_fault(piece, name) for piece in own_pieces):
                named.add(name)
        against = frozenset(name for name, said in themes.items() if self.direction(said) < 0)
        besides = bool(named) and self.direction(mood(self.words.without_faults(plain)).polarity) < 0
        return Reading(outcome, strength, themes, against, frozenset(named), frozenset(moodless), score.mixed, besides)


def normal(text: str) -> str:
    """A text without differences that nobody reads: width of letters, case, runs of blanks."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def text_key(text: str) -> int:
    """A 63-bit key of a text's normal form, the same on every machine."""
    return int.from_bytes(blake2b(normal(text).encode("utf-8", "replace"), digest_size=8).digest(), "big") >> 1
