"""What in a customer's text would give a person away? Taken out before a quote leaves the analysis.

Strict on purpose: a price or a size too many is lost rather than a telephone number shown. What no pattern can know,
such as a bare name without anything beside it that gives it away, is not found; pages that quote say so.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable

from crmlib import masking
from crmlib.analysis.feedback.lexicon import lexicon, pattern

_RULES = tuple(
    (re.compile(pattern("redaction", rule["pattern"]), 0 if rule.get("case") else re.IGNORECASE), rule["mark"])
    for rule in lexicon("redaction")["rules"]
)
_NAMED = re.compile(pattern("redaction", lexicon("redaction")["named"]))
_NOBODY = frozenset(lexicon("redaction")["nobody"].split())
_SPLITS = re.compile(r"[\s'’-]+")
_BREAKS, _UNSEEN = "\n\r\t\v\f\x85\u2028\u2029", ("Cc", "Cf", "Co", "Cs", "Cn")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "oe", "å": "aa"})


def redact(
    text: str, *, names: Iterable[str | None] = (), ids: Iterable[str | None] = (), known: Collection[str] = ()
) -> str:
    """What may be quoted of a text? The text with personal data replaced by '[e-mail]', '[phone]', '[name]' …

    `names` are the writer's own given and family names, in any case and with or without accents; `ids` are values
    such as the order's that must not be shown; `known` are words in lower case that name no person though they are
    written like a name, such as the shop's brands and carriers. Invisible and direction-changing characters are
    dropped, look-alike widths folded, blanks closed up.

    >>> redact("Call me: 0176 1234567, Anna.Muster@example.com", names=["Anna", "Muster"])
    'Call me: [phone], [e-mail]'
    """
    clean = unicodedata.normalize("NFKC", text)
    kept = (char for char in clean if char in _BREAKS or unicodedata.category(char) not in _UNSEEN)
    clean = re.sub(r"\s+", " ", "".join(kept)).strip()
    # Digits of every script become 0 to 9, so that one pattern finds them all.
    clean = "".join(str(unicodedata.digit(char)) if char.isdigit() and not char.isascii() else char for char in clean)
    for code in sorted({str(value).strip() for value in ids if value and str(value).strip()}, key=len, reverse=True):
        clean = re.sub(rf"(?<!\w){re.escape(code)}(?!\w)", "[number]", clean, flags=re.IGNORECASE)
    # Before the rules that take a number for itself.
    clean = masking.whereabouts(clean)
    for rule, mark in _RULES:
        clean = rule.sub(mark, clean)
    clean = _NAMED.sub(lambda match: _without_given(match, known), clean)
    forms = _name_forms(names)
    if forms:
        clean = _WORD.sub(lambda match: _without_name(match[0], forms), clean)
    return re.sub(r"\[name\](?:[\s-]+\[name\])+", "[name]", clean).strip()


def shorten(text: str, *, limit: int = 240) -> str:
    """The first `limit` characters of a text, cut between words and closed with '…'."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1].rsplit(" ", 1)[0]
    return cut.rstrip(" ,;:-") + "…"


def _fold(word: str) -> str:
    plain = unicodedata.normalize("NFKD", word.casefold())
    return "".join(char for char in plain if not unicodedata.combining(char))


def _without_given(match: re.Match[str], known: Collection[str]) -> str:
    one = match["one"] or match["two"]
    return match[0] if one.casefold() in _NOBODY or one.casefold() in known else (match["before"] or "") + "[name]"


def _name_forms(names: Iterable[str | None]) -> frozenset[str]:
    """Every spelling under which a name counts as found: parts, the whole run together, accents gone or spelt out."""
    forms: set[str] = set()
    wholes = [str(name).strip() for name in names if name and str(name).strip()]
    for spelling in (wholes, [whole.casefold().translate(_GERMAN) for whole in wholes]):
        parts = [part for whole in spelling for part in _SPLITS.split(whole) if len(part) > 1]
        joined = ["".join(_SPLITS.split(whole)) for whole in spelling]
        both = ["".join(joined), "".join(reversed(joined))]
        forms |= {_fold(form) for form in (*parts, *joined, *both) if len(form) > 1}
    return frozenset(forms)


def _without_name(word: str, known: frozenset[str]) -> str:
    pieces = [piece for piece in _SPLITS.split(word) if piece]
    spellings = {_fold(piece) for piece in (word, "".join(pieces), *pieces)}
    spellings |= {_fold(piece.casefold().translate(_GERMAN)) for piece in (word, *pieces)}
    # "Annas Tasse": a genitive without apostrophe.
    spellings |= {spelling[:-1] for spelling in spellings if spelling.endswith("s") and len(spelling) > 3}
    return "[name]" if spellings & known else word
