"""How many of the complaints do the patterns find, and how many of those found are right?

Counted on the held-out sentences of tests/golden/feedback_themes.csv; tests/test_feedback.py counts them again.
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


MEASURED: Mapping[str, Counted] = MappingProxyType(
    {
        "price": Counted(right=5, wrong=0, missed=4),
        "delivery": Counted(right=4, wrong=4, missed=8),
        "quality": Counted(right=7, wrong=3, missed=5),
        "fit": Counted(right=6, wrong=1, missed=2),
        "service": Counted(right=5, wrong=1, missed=4),
        "returns": Counted(right=3, wrong=0, missed=4),
        "website": Counted(right=4, wrong=0, missed=4),
    }
)
