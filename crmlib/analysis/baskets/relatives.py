"""Which items are the same thing in another size, or a set or gift of one another? Nobody needs these suggested
together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from crmlib.analysis.baskets.facts import Baskets
from crmlib.shop.facts.families import words

SIZE, SET, FAMILY = "size", "set or gift", "family"
_SET_WORDS = frozenset([
    "set", "sets", "kit", "bundle", "box", "gift", "giftset", "hamper", "sampler", "selection", "assortment", "duo",
    "trio", "pair", "collection", "starter", "pack", "calendar", "with", "and",
])  # fmt: skip


@lru_cache(maxsize=20_000)
def stem(name: str) -> frozenset[str]:
    """The words of a name without amounts, sizes and filler, one of several as many.

    >>> sorted(stem("House Espresso Beans 1 kg"))
    ['bean', 'espresso', 'house']
    """
    return frozenset(words(name))


def same_family(baskets: Baskets, first: int, second: int) -> bool:
    """Are these two of one family?"""
    return bool(baskets.families) and baskets.families[first] == baskets.families[second] != ""


def related(baskets: Baskets, first: int, second: int) -> str:
    """How are two products related? 'size', 'set or gift', 'family' (designs or colours of one thing), or '' for none.

    Sizes: the same words once amounts are out, and not of two categories or brands. Sets: one name has all words of the
    other and, beyond them, a word for a set; where prices are known the set must cost more than its part. An id is no
    name; levels other than product have no relatives.
    """
    return _by_name(baskets, first, second) or (FAMILY if same_family(baskets, first, second) else "")


def relatives(baskets: Baskets, items: Iterable[int]) -> dict[int, list[int]]:
    """All that are `related` to each of these items; only what shares a word or a family is looked at."""
    sharing: dict[str, set[int]] = defaultdict(set)
    families = baskets.families or ("",) * len(baskets.ids)
    marks = [
        {*stem(name), f"family {family}"} if family else stem(name)
        for name, family in zip(baskets.names, families, strict=True)
    ]
    for place, words_of in enumerate(marks):
        for word in words_of:
            sharing[word].add(place)
    return {
        item: sorted(
            other
            for other in set().union(*(sharing[word] for word in marks[item]))
            if other != item and related(baskets, item, other)
        )
        for item in items
    }


def _by_name(baskets: Baskets, first: int, second: int) -> str:
    nameless = any(baskets.names[item] == baskets.ids[item] for item in (first, second))
    if baskets.level != "product" or not baskets.kinds or nameless:
        return ""
    # An id that was added where two products share a name is no word of it.
    a, b = (stem(baskets.names[item].replace(f" ({baskets.ids[item]})", "")) for item in (first, second))
    if not a or not b:
        return ""
    if a == b and a - _SET_WORDS:
        kinds = zip(baskets.kinds[first], baskets.kinds[second], strict=True)
        return SIZE if all(x == y or not x or not y for x, y in kinds) else ""
    part, whole = (first, second) if len(a) <= len(b) else (second, first)
    small, large = sorted((a, b), key=len)
    if not small - _SET_WORDS or not small - _SET_WORDS <= large or not (large - small) & _SET_WORDS:
        return ""
    dearer = baskets.prices[whole] > baskets.prices[part]
    return SET if dearer or np.isnan(baskets.prices[[whole, part]]).any() else ""
