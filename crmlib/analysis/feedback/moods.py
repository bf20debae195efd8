"""What does the wording of a text say that a lexicon of moods cannot hear?

TextBlob gives each word its mood. Around it stand a few general rules that anyone can read: what 'not' and 'never'
reach, what 'but' and 'although' weigh, faults that are denied ('no problems'), complaints without a word of mood ('runs
small', 'still waiting'), polite ones ('it would have been nice to …') and praise that a fault turns sour.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from crmlib.analysis.feedback.lexicon import lexicon, pattern
from crmlib.analysis.feedback.normalising import LONGEST, normalise, with_emoji, without_product_words
from crmlib.analysis.feedback.themes import FAULTS, names_fault

# Moods of phrases that carry no word of mood, about those of 'bad' and 'good'.
FAULT, COMPLAINT, PRAISE = -0.6, -0.45, 0.45
BEFORE_BUT = 0.3  # weight of what is said before 'but' or under 'although', against 1 for what it gives way to
MILD = 0.1  # the least mood worth turning round
VADER_WEIGHT = 0.6  # VADER's compound scores run higher than TextBlob's
MIXED = 0.3  # strength from which two clauses of opposite mood make a text mixed

_PAUSE = re.compile(r"(?<=[.!?;:\n\u2026])\s+|\n+|\s[-\u2013\u2014]+\s")
_TURN = re.compile(
    r",?\s*\b(?:but|however|yet(?!\s+to\b)|whereas|only\s+that|except\s+that|unfortunately|sadly)\b,?", re.IGNORECASE
)
_THOUGH = re.compile(
    r"^\s*(?:even\s+)?(?:although|though|while|despite|in\s+spite\s+of)\b(?P<under>[^,]*),(?P<main>.*)$", re.IGNORECASE
)
_THOUGH_LATER = re.compile(r",?\s*\b(?:even\s+though|although|though|despite)\b(?=\s+\w+\s+\w+)", re.IGNORECASE)

_DENIES = re.compile(pattern("moods", r"\b<NEGATOR>\s+(?:\w+\s+){0,3}$"), re.IGNORECASE | re.VERBOSE)
# 'Not only good' and 'no doubt' deny nothing; 'never had a better one' praises, 'is no better' does not; an outcry or
# thanks in front is turned round by a fault in the same breath, marks or thanks for what nobody wants by themselves.
_NO_DENIAL, _GOOD_DENIALS, _BEST, _COMPLAINTS, _PRAISES, _OUTCRY, _MOCKED = (
    re.compile(pattern("moods", lexicon("moods")["phrases"][name]), re.IGNORECASE)
    for name in ("no_denial", "good_denials", "best", "complaints", "praises", "outcry", "mocked")
)
_FAR_FROM = re.compile(r"\b(?:far\s+from|anything\s+but)\s+", re.IGNORECASE)
# Words of mood that have none where they stand.
_NO_MOOD = re.compile(r"\bon\s+top\s+of\b", re.IGNORECASE)
_YET_ANOTHER = re.compile(r"^\W*(?:yet\s+)?another\b|\bonce\s+(?:more|again)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")


@dataclass(frozen=True)
class Scores:
    """What is known of a text before any model: the lexicons' scores and what its wording comes to."""

    textblob: float
    vader: float
    praising: float
    blaming: float
    wording: float
    mixed: bool

    @property
    def numbers(self) -> tuple[float, ...]:
        """The scores as features."""
        return (self.textblob, self.vader, self.praising, self.blaming, self.wording, float(self.mixed))


def textblob(text: str) -> float:
    """How positive are a text's words, from −1 to 1? TextBlob's pattern lexicon; 0.0 where no word is in it.

    >>> textblob("What a lovely cup") > 0 > textblob("The worst cup")
    True
    """
    moods, tokens, assess = _pattern()
    found = assess(moods, ((token.lower(), None) for token in " ".join(tokens(text)).split()))
    total = 0.0
    for one in found:
        total += one[1]
    return total / (len(found) or 1)


class _Plain(dict[str, Any]):
    """TextBlob's lexicon as a dictionary that is loaded: the original asks at every look whether it is."""


@cache
def _pattern() -> tuple[_Plain, Any, Any]:
    """TextBlob's lexicon, its tokens of a text and its reading of them."""
    from textblob.en import Sentiment, parser, sentiment

    sentiment("good")  # loads the words
    plain = _Plain(dict.items(sentiment))
    plain.__dict__.update(vars(sentiment))
    return plain, parser.find_tokens, Sentiment.assessments


@lru_cache(maxsize=1 << 15)
def word(one: str) -> float:
    """The mood of a single word by TextBlob, remembered: few words make up most texts."""
    return textblob(one)


def vader(text: str) -> float:
    """The same by VADER (Hutto and Gilbert 2014), which also hears capitals, exclamation marks and emoji: its compound.

    >>> vader("What a lovely cup") > 0 > vader("The worst cup")
    True
    """
    return float(_analyzer().polarity_scores(text)["compound"])


@cache
def _analyzer() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


@dataclass(frozen=True)
class Mood:
    """What the wording of a text comes to, −1 to 1, and whether clauses of opposite mood stand in it."""

    polarity: float
    mixed: bool


def mood(text: str) -> Mood:
    """How does a text's wording read, clause by clause, with what follows 'but' weighing more?

    >>> mood("The return was easy but the dress never arrived.").polarity < 0 < mood("No problems at all").polarity
    True
    """
    plain = text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    weighed: list[tuple[float, float]] = []
    for sentence in _PAUSE.split(plain):
        bare = sentence.strip(" .!;:\u2026")
        weighed += [(_complaint(bare), 1.0)] if bare.endswith("?") else _weighed(bare)
    heard = [(strength, weight) for strength, weight in weighed if strength]
    if _sour(plain):
        return Mood(min([COMPLAINT, *(strength for strength, _ in heard)]), False)
    if not heard:
        return Mood(0.0, False)
    total = sum(strength * weight for strength, weight in heard) / sum(weight for _, weight in heard)
    strengths = [strength for strength, _ in heard]
    return Mood(max(-1.0, min(1.0, total)), min(strengths) <= -MIXED and max(strengths) >= MIXED)


def clause_mood(clause: str) -> float:
    """How does one clause read? Faults and phrases first, TextBlob for the words left; 0.0 where nothing speaks."""
    heard: list[float] = []
    rest = clause
    for phrase, strength in ((_BEST, PRAISE), (_GOOD_DENIALS, PRAISE)):
        if phrase.search(rest):
            heard.append(strength)
            rest = phrase.sub(" ", rest)
    if any(names_fault(rest, theme) for theme in FAULTS):
        heard.append(FAULT)
    if _COMPLAINTS.search(rest):
        heard.append(COMPLAINT)
        rest = _COMPLAINTS.sub(" ", rest)
    elif (not heard or heard[-1] != FAULT) and (praised := _PRAISES.search(rest)):
        heard.append(-PRAISE if _DENIES.search(rest[: praised.start()]) else PRAISE)
    words = _words(rest)
    # A named fault or complaint outweighs the words of the same clause: 'a lovely dress that never arrived'.
    wronged = bool(heard) and min(heard) < 0
    if abs(words) >= (MIXED if wronged and words > 0 else 0.05):
        heard.append(0.4 * words if wronged and words > 0 else words)
    return sum(heard) / len(heard) if heard else 0.0


def _complaint(question: str) -> float:
    """A question has no mood unless it complains: 'Is it safe?' asks, 'Where is my parcel?' does not."""
    return COMPLAINT if _COMPLAINTS.search(question) or any(names_fault(question, theme) for theme in FAULTS) else 0.0


def _weighed(sentence: str) -> list[tuple[float, float]]:
    """The moods of a sentence's clauses with their weights."""
    under = _THOUGH.match(sentence)
    if under:
        return _against(clause_mood(under["under"]), clause_mood(under["main"]))
    pieces = [piece for piece in _TURN.split(sentence) if piece and piece.strip()]
    if len(pieces) > 1:
        *before, last = (clause_mood(piece) for piece in pieces)
        heard = [strength for strength in before if strength]
        return _against(sum(heard) / len(heard) if heard else 0.0, last)
    pieces = [piece for piece in _THOUGH_LATER.split(sentence) if piece.strip()]
    if len(pieces) > 1:
        return [(clause_mood(piece), 1.0 if place == 0 else BEFORE_BUT) for place, piece in enumerate(pieces)]
    pieces = [piece for piece in re.split(r",|\band\b", sentence) if piece.strip()]
    moods = [clause_mood(piece) for piece in pieces]
    if len(pieces) > 1 and min(moods) < 0 < max(moods):
        return [(strength, 1.0) for strength in moods]
    return [(clause_mood(sentence), 1.0)]


def _words(clause: str) -> float:
    """The mood of a clause's words: TextBlob's, with what a negator reaches; VADER's where TextBlob knows none."""
    clause = without_product_words(clause)
    denied = _with_denials(clause)
    strength = textblob(denied)
    if strength:
        return min(strength, -3 * MILD) if -3 * MILD < strength < 0 and " not " in f" {denied} " else strength
    heard = vader(clause)
    return VADER_WEIGHT * heard if abs(heard) >= 0.3 else 0.0


def _against(given: float, turned: float) -> list[tuple[float, float]]:
    """What is granted and what it gives way to. After praise, 'but' announces a complaint even without a mood."""
    if given > 0 and not turned:
        turned = COMPLAINT
    return [(given, BEFORE_BUT), (turned, 1.0)]


def _with_denials(clause: str) -> str:
    """A clause in which every word that a negator reaches has a 'not' of its own, the only form TextBlob understands.

    A negator reaches five words on, 'nor' and 'or' carry it further; 'not only', 'no doubt' deny nothing.
    """
    clause = _FAR_FROM.sub("not ", _NO_DENIAL.sub(" ", _NO_MOOD.sub(" ", clause)))
    out: list[str] = []
    reach = 0
    tokens = _WORD.findall(clause)
    for token in tokens:
        low = token.casefold()
        if re.fullmatch(
            r"not|never|nor|neither|hardly|scarcely|barely|nothing|nobody|none|without|cannot|no|\w+n't", low
        ):
            reach = 5
            continue
        if low in ("nor", "or") and reach:
            reach = 5
        if reach and abs(word(low)) >= MILD:
            out.append("not")
        out.append(token)
        reach = max(0, reach - 1)
    return " ".join(out)


def _sour(text: str) -> bool:
    """Is this praise that a fault in the next breath turns round: 'Great, another cup without a handle'?"""
    if _MOCKED.search(text):
        return True
    outcry = _OUTCRY.match(text)
    rest = text[outcry.end() :].strip() if outcry else ""
    if not rest or _TURN.search(text):
        return False
    first = _PAUSE.split(rest)[0]
    return clause_mood(first) < 0 or (bool(_YET_ANOTHER.search(first)) and clause_mood(first) <= 0)


def scores(text: str) -> Scores:
    """All that the lexicons and the wording say of a text."""
    plain = normalise(text)
    said, own = _analyzer().polarity_scores(plain), mood(plain)
    wording = with_emoji(own.polarity, text)
    return Scores(textblob(text[:LONGEST]), said["compound"], said["pos"], said["neg"], wording, own.mixed)
