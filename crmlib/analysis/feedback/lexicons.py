"""What do two lexicons of moods say of a text? TextBlob's words and VADER's, both offline and the same each time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any


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
    lexicon, tokens, assess = _pattern()
    found = assess(lexicon, ((token.lower(), None) for token in " ".join(tokens(text)).split()))
    total = 0.0
    for one in found:
        total += one[1]
    return total / (len(found) or 1)


class _Plain(dict[str, Any]):
    """TextBlob's lexicon as a dictionary that is loaded: the original asks at every look whether it is."""


@cache
def _pattern() -> tuple[_Plain, Any, Any]:
    """TextBlob's lexicon, its tokens of a text and its reading of them; the rest of its `sentiment` is not needed here."""
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
    """The same by VADER (Hutto and Gilbert 2014), which also hears capitals, exclamation marks and emoji: its compound score.

    >>> vader("What a lovely cup") > 0 > vader("The worst cup")
    True
    """
    return float(vader_shares(text)["compound"])


def vader_shares(text: str) -> dict[str, float]:
    """VADER's compound score and the shares of praising ('pos') and blaming ('neg') words."""
    shares: dict[str, float] = _analyzer().polarity_scores(text)
    return shares


@cache
def _analyzer() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()
