"""The lists of words and phrases in words/*.toml, which anyone can read and mend without reading code."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any


@cache
def lexicon(name: str) -> dict[str, Any]:
    """One file of words/, as it stands."""
    file = resources.files(__package__).joinpath("words", f"{name}.toml")
    return tomllib.loads(file.read_text(encoding="utf-8"))


def pattern(name: str, text: str) -> str:
    """A pattern of that file in one line, its <PARTS> filled in.

    >>> pattern("themes", "is <NOT> here")
    "is (?:not|never|\\\\w+n't|cannot|no\\\\ longer) here"
    """
    for part, meaning in reversed(lexicon(name)["parts"].items()):
        text = text.replace(f"<{part}>", meaning)
    return "".join(text.splitlines())
