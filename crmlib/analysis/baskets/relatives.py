"""Which items are the same thing in another size, or a set or gift of one another? Nobody needs these suggested
together."""

from __future__ import annotations

import re

import numpy as np

from crmlib.analysis.baskets.facts import Baskets

SIZE, SET, FAMILY = "size", "set or gift", "family"
_NUMBER = r"\d+(?:[.,]\d+)?"
_UNIT = (
    r"(?:mg|g|kg|ml|cl|dl|l|liter|litre|mm|cm|m|inch|in|ft|oz|fl oz|lb|lbs|qt|pt|gal|ct|pc|pcs|pk|piece|pieces|pack|"
    r"packs|bag|bags|tin|tins|capsule|capsules|sachet|sachets|tablet|tablets|cup|cups|roll|rolls|sheet|sheets|w|v|kw)"
)
_AMOUNT = re.compile(
    rf"\b(?:{_NUMBER}\s*[x×]\s*)?{_NUMBER}\s*{_UNIT}\b|\b(?:set|pack|box|case)\s+of\s+\d+\b|"
    rf"\b{_NUMBER}\s*[x×]\s*{_NUMBER}\b|\b{_NUMBER}\b"
)
_SIZE_WORDS = frozenset([
    "xs", "s", "m", "l", "xl", "xxl", "xxxl", "small", "medium", "large", "extra-large", "mini", "midi", "maxi",
    "big", "jumbo", "giant", "family", "travel", "refill", "single", "double", "twin",
])  # fmt: skip
_SET_WORDS = frozenset([
    "set", "sets", "kit", "bundle", "box", "gift", "giftset", "hamper", "sampler", "selection", "assortment", "duo",
    "trio", "pair", "collection", "starter", "pack", "calendar", "with", "and",
])  # fmt: skip
_FILLERS = frozenset(["a", "an", "the", "of", "for", "in", "with", "and", "to", "by"])


def stem(name: str) -> frozenset[str]:
    """The words of a name without amounts, sizes and filler.

    >>> sorted(stem("House Espresso Beans 1 kg"))
    ['beans', 'espresso', 'house']
    """
    bare = _AMOUNT.sub(" ", name.lower())
    return frozenset(re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", bare)) - _SIZE_WORDS - _FILLERS


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
