"""How many of the complaints do the patterns find, how many of those found are right, and how many hard sentences are read right?

Counted on the held-out sentences of tests/golden/feedback_themes.csv and feedback_hard.csv; the tests count them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

HELD_OUT = 95


@dataclass(frozen=True)
class Counted:
    """Complaints about one theme: found and right, found and wrong, missed."""

    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> str:
        """How many of those found were right: '5 of 6'."""
        return f"{self.right} of {self.right + self.wrong}"

    @property
    def recall(self) -> str:
        """How many of those there were found: '5 of 9'."""
        return f"{self.right} of {self.right + self.missed}"


@dataclass(frozen=True)
class Hard:
    """Hard sentences by what became of them: read right, left alone though they had a direction, read wrong; and by TextBlob alone."""

    right: int
    silent: int
    wrong: int
    textblob: int

    @property
    def sentences(self) -> int:
        """How many there are."""
        return self.right + self.silent + self.wrong


MEASURED: Mapping[str, Counted] = MappingProxyType(
    {
        "price": Counted(right=5, wrong=0, missed=4),
        "delivery": Counted(right=5, wrong=4, missed=7),
        "quality": Counted(right=8, wrong=1, missed=4),
        "fit": Counted(right=6, wrong=0, missed=2),
        "service": Counted(right=4, wrong=1, missed=5),
        "returns": Counted(right=4, wrong=0, missed=3),
        "website": Counted(right=5, wrong=1, missed=3),
    }
)
# Negation, 'but', polite complaints, sizing, late delivery, sarcasm, mixed feelings, questions: `held_out` was written after the rules.
HARD_DEVELOPMENT = Hard(right=176, silent=8, wrong=4, textblob=59)
HARD_HELD_OUT = Hard(right=48, silent=11, wrong=15, textblob=24)
