"""How a run ended, in a word, and which words are good news."""

from __future__ import annotations

GOOD = ("published", "warnings")  # complete, and with an answer

STATUS_WORDS = {
    "published": "Published",
    "warnings": "Published with warnings",
    "too_few": "Too few to conclude",
    "not_available": "Not available",
    "failed": "Failed",
    "refused": "Refused",
}
