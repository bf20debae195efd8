"""Which texts are one phrasing? 'Lovely cup, came late' and 'lovely kettle, came late' are, and grade a reader once.

A model that has seen a phrasing recites its stars instead of reading it. So whatever is graded must be new in wording,
not only in its letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

# Words below which only the same words are one phrasing, from which two may differ, and beyond which one.
SHORT, LONG, LONGEST = 3, 8, 24
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|\d+")


def signatures(text: str) -> frozenset[int]:
    """Marks of a text; two texts that share one are of one phrasing.

    The text's words, and those words less any one of them (less any two from eight words on): texts that differ in a
    product's name or by a typing error share such a rest. Digits count as one and the same word.
    """
    words = tuple("0" if word.isdigit() else word.casefold() for word in _WORD.findall(text))
    marks = {hash_of(words)}
    if len(words) > SHORT:
        for place in range(len(words)):
            rest = words[:place] + words[place + 1 :]
            marks.add(hash_of(rest))
            if LONG <= len(words) <= LONGEST:
                marks |= {hash_of(rest[:other] + rest[other + 1 :]) for other in range(place, len(rest))}
    return frozenset(marks)


def hash_of(words: Sequence[str]) -> int:
    """A 60-bit number of a sequence of words, the same in every process."""
    from hashlib import blake2b

    return int.from_bytes(blake2b(" ".join(words).encode("utf-8", "replace"), digest_size=8).digest(), "big") >> 4


def groups(marked: Sequence[Iterable[int]]) -> NDArray[np.int64]:
    """A number for each text, the same for texts that are of one phrasing, directly or through others."""
    columns: dict[int, int] = {}
    places = [(row, columns.setdefault(mark, len(columns))) for row, marks in enumerate(marked) for mark in marks]
    rows, cols = np.array(places, dtype=np.int64).reshape(-1, 2).T
    size = len(marked) + len(columns)
    joined = coo_array((np.ones(len(rows)), (rows, cols + len(marked))), shape=(size, size))
    _, labels = connected_components(joined, directed=False)
    return np.asarray(np.unique(labels[: len(marked)], return_inverse=True)[1], dtype=np.int64)
