"""What is a text about, and which faults does it name? Seven themes as word patterns that anyone can read.

A theme's words say what a text is about: 'arrived a day early' and 'never arrived' are both about delivery. Its faults
are phrases that complain without a word of mood, which a lexicon of moods cannot see: 'never arrived', 'runs small'.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from crmlib.analysis.feedback.lexicon import lexicon, pattern
from crmlib.errors import UsageError, nearest


def _compiled(part: str) -> Mapping[str, re.Pattern[str]]:
    # In small letters for texts in small letters: several times as fast as patterns that look at both.
    texts = {name: pattern("themes", text).lower() for name, text in lexicon("themes")[part].items()}
    return MappingProxyType({name: re.compile(rf"\b(?:{text})\b", re.VERBOSE) for name, text in texts.items()})


PATTERNS, FAULTS = _compiled("about"), _compiled("faults")
_NOT = pattern("themes", "<NOT>")
# What turns a fault into its absence when it stands just before: 'no scratches', 'not too tight', 'has never leaked'.
_DENIED = re.compile(r"\b(?:no|not|never|without|zero|nothing|hardly|\w+n't|cannot)(?:\s+\w+){0,2}\s*$", re.IGNORECASE)
# Harm done on the way is the carrier's: 'the parcel arrived damaged', 'the driver threw the box, two cups broken'. Harm
# that shows in use stays the product's: 'delivered on Monday and broken after a week'.
_HARM = re.compile(
    r"\b(?:damaged?|broke(?:n)?|crushed|smashed|squashed|squeezed|dent(?:s|ed)?|chipped|crack(?:s|ed)?|scratch(?:es|ed)?|torn|ripped"
    r"|shattered|bent|burst|leak(?:s|ed|ing)?|(?:in|to)\s+pieces)\b",
    re.IGNORECASE,
)
_ON_THE_WAY = re.compile(
    r"\b(?:parcels?|packages?|packaging|box|cartons?|couriers?|carriers?|drivers?|post(?:man|al)|deliver(?:y|ies|ed)|shipp(?:ed|ing)"
    r"|shipments?|transit|arriv(?:e[sd]?|als?|ing))\b",
    re.IGNORECASE,
)
# What is charged for a return, or how long it takes, is said of the return; a search that fails is the site's fault; a
# voucher missing from the bill was never in the post: (theme that knows the words too, whose they are, words).
_LENT = tuple(
    (theme, owner, re.compile(rf"\b(?:{words})\b", re.IGNORECASE))
    for theme, owner, words in (
        ("price", "returns", r"pa(?:y|id)|charg\w+|costs?|vouchers?|credit|euros?|pounds?|dollars?|expensive"),
        ("delivery", "returns", r"took|takes|taken|taking|wait\w*|weeks?|months?|days|postage|shipping|late"),
        (
            "delivery",
            "website",
            r"missing|vanished|disappeared|los(?:t|es)|gone|took|takes|arriv(?:es?|ed)|tracking\ link"
            r"|(?:mail|code|link)\ (?:never|not|\w+n't)\ (?:\w+\ )?(?:came|come|received|reached)",
        ),
        ("delivery", "price", r"missing|lost|gone"),
        (
            "quality",
            "website",
            rf"{_NOT}\ (?:\w+\ )?(?:work|close|function|stay|hold|last)\w*|broken?|fault\w*|cracks?|expired",
        ),
    )
)
# What is too long here is no sleeve.
_WAITED = re.compile(
    r"\b(?:(?:hour|day|week|month)s?|minutes|wait\w*|deliver\w*|took|takes?|queue)\b[^.!?;,]{0,30}?\btoo\s+long\b",
    re.IGNORECASE,
)
_IN_USE = re.compile(
    r"\b(?:after|within|since|already|first\s+(?:use|wash|time|day|week)|when\s+I\s+us(?:e|ed))\b", re.IGNORECASE
)
THEMES = tuple(PATTERNS)
# Who acts, by the role that a shop's settings may name.
OWNERS: Mapping[str, str] = MappingProxyType(
    {"price": "sales", "delivery": "service", "quality": "purchasing", "fit": "purchasing", "service": "service",
     "returns": "service", "website": "shop"}
)  # fmt: skip
# Where one thought ends and the next, perhaps of another mood, begins.
_CLAUSE = re.compile(
    r"[.!?;\n]+|\b(?:but|however|although|though|yet|whereas|except|unfortunately|luckily)\b", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnWords:
    """A shop's own phrases by theme: what else a theme is about, which faults it has, and what is never of it."""

    about: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    faults: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    never: Mapping[str, re.Pattern[str]] = field(default_factory=dict)

    def heard(self, text: str, theme: str) -> str:
        """The text without what is never of this theme."""
        return self.never[theme].sub(" ", text) if theme in self.never else text

    def mentions(self, text: str, theme: str) -> bool:
        """Does a text mention the theme, by our words or the shop's?"""
        own = [said[theme] for said in (self.about, self.faults) if theme in said]
        return mentions(text, theme) or any(words.search(text) for words in own)

    def names_fault(self, text: str, theme: str) -> bool:
        """Does a text name one of the theme's faults, by our words or the shop's?"""
        return names_fault(text, theme) or (theme in self.faults and _affirmed(self.faults[theme], text))

    def without_faults(self, text: str) -> str:
        """The text in small letters, without the words of any fault."""
        for pattern_ in (*FAULTS.values(), *self.faults.values()):
            text = pattern_.sub(" ", text.lower())
        return text


def own_words(words: Mapping[str, Mapping[str, Sequence[str]]]) -> OwnWords:
    """A shop's phrases, as shop.toml has them, ready to be looked for: whole words in any case.

    Raises UsageError for a theme that is none.

    >>> own_words({"faults": {"quality": ["glaze came off"]}}).names_fault("The glaze  came off", "quality")
    True
    """
    for theme in {theme for themes in words.values() for theme in themes}:
        if theme not in THEMES:
            raise UsageError(f"shop.toml: [words] has no theme '{theme}'; {nearest(theme, THEMES)}")

    def compiled(phrases: Sequence[str]) -> re.Pattern[str]:
        spoken = "|".join(r"\s+".join(map(re.escape, phrase.split())) for phrase in phrases)
        return re.compile(rf"(?<!\w)(?:{spoken})(?!\w)", re.IGNORECASE)

    return OwnWords(
        **{kind: {theme: compiled(said) for theme, said in of.items() if said} for kind, of in words.items()}
    )


def themes_of(text: str) -> tuple[str, ...]:
    """Which themes does a text mention? In the order of THEMES; () for none.

    >>> themes_of("Lovely fabric, but it arrived late."), themes_of("Parcel arrived damaged.")
    (('delivery', 'quality'), ('delivery',))
    >>> themes_of("Three weeks really is too long."), themes_of("The sleeves are too long.")
    (('delivery',), ('fit',))
    """
    return tuple(name for name in THEMES if mentions(text, name))


def mentions(text: str, theme: str) -> bool:
    """Does a text mention this theme, by its words or by one of its faults?"""
    heard = _own_words(text, theme)
    return bool(PATTERNS[theme].search(heard) or FAULTS[theme].search(heard))


@lru_cache(maxsize=1 << 15)
def names_fault(text: str, theme: str) -> bool:
    """Does a text name one of the theme's faults, and not to deny it?

    >>> names_fault("It runs small", "fit"), names_fault("Not too tight", "fit")
    (True, False)
    """
    if _affirmed(FAULTS[theme], _own_words(text, theme)):
        return True
    return theme == "delivery" and any(_affirmed(_HARM, piece) for piece in clauses(text) if _on_the_way(piece))


def _affirmed(fault: re.Pattern[str], text: str) -> bool:
    """Does the text have these words, and not to deny them?"""
    return any(not _DENIED.search(text[: match.start()]) for match in fault.finditer(text))


def _own_words(text: str, theme: str) -> str:
    """The text in small letters, without what is said of another theme in words that this one knows too."""
    if theme == "quality" and _HARM.search(text) and _ON_THE_WAY.search(text):
        text = ". ".join(_HARM.sub("", piece) if _on_the_way(piece) else piece for piece in clauses(text))
    heard = _WAITED.sub(" ", text.lower()) if theme == "fit" else text.lower()
    for knows, owner, words in _LENT:
        if knows == theme and words.search(heard) and FAULTS[owner].search(heard):
            pieces = clauses(heard)
            heard = ". ".join(words.sub(" ", piece) if FAULTS[owner].search(piece) else piece for piece in pieces)
    return heard


def _on_the_way(clause: str) -> bool:
    return bool(_ON_THE_WAY.search(clause)) and not _IN_USE.search(clause)


def clauses(text: str) -> list[str]:
    """A text cut at full stops, semicolons and words like 'but', without empty pieces.

    >>> clauses("The return was easy but the dress never arrived.")
    ['The return was easy', 'the dress never arrived']
    """
    return [piece.strip(" ,-") for piece in _CLAUSE.split(text) if piece.strip(" ,-")]
