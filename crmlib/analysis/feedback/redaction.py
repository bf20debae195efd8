"""What in a customer's text would give a person away? Taken out before a quote leaves the analysis.

Strict on purpose: a price or a size too many is lost rather than a telephone number shown. What no pattern can know,
such as a bare name without anything beside it that gives it away, is not found; pages that quote say so.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable

_TLD = (
    "com|org|net|info|biz|shop|store|online|site|app|dev|io|me|co|ly|gl|eu|uk|de|at|ch|fr|nl|be|it|es|pt|pl|cz|dk|se|no|fi|ie|"
    "us|ca|au|nz|in|cn|jp|ru|gov|edu"
)
_DIGIT_WORD = r"(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple)"
_NAME = r"[A-ZÀ-Þ][\w'’-]+"
_STREET = r"(?:street|st|road|rd|avenue|ave|lane|ln|drive|close|way|court|square|place|terrace|crescent)"

# In this order: what stands first may contain what stands later.
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b(?:h..ps?|ftp)\s*:\s*//\s*\S+|\bwww\s?\.\s?\S+", re.IGNORECASE), "[link]"),
    (
        re.compile(
            r"[\w.+%'-]*\s?(?:@|[\[({<]\s*at\s*[\])}>])\s?[\w-]+(?:(?:\.|\s+\.\s+|\s*[\[({<]\s*dot\s*[\])}>]\s*|\s+dot\s+)[\w-]+)*"
            r"|[\w.+%-]+\s+at\s+[\w-]+(?:\s+(?:dot|punkt)\s+[\w-]+)+",
            re.IGNORECASE,
        ),
        "[e-mail]",
    ),
    (re.compile(rf"\b[\w-]+(?:\.[\w-]+)*\.(?:{_TLD})\b(?:/\S*)?", re.IGNORECASE), "[link]"),
    (
        re.compile(
            r"\b[a-z]{2}\d{2}[ -]?[a-z0-9]{4}(?:[ -]?(?=[a-z]{0,3}\d)[a-z0-9]{1,4}){2,8}\b|\b[a-z]{2}\d{2}[a-z0-9]{11,30}\b",
            re.IGNORECASE,
        ),
        "[account]",
    ),
    (
        re.compile(r"(?:\+|\b00|\(0|(?<![\w.,])0)[\s()./_\-–—·*:]{0,3}\d(?:[\s()./_\-–—·*:]{0,3}\d){4,}"),
        "[phone]",
    ),
    (re.compile(rf"\b{_DIGIT_WORD}(?:[\s,.-]+{_DIGIT_WORD}){{4,}}\b", re.IGNORECASE), "[number]"),
    (re.compile(r"(?<![\w])\d(?:[\s()./_\-–—·*:]{0,3}\d){5,}(?!\w)"), "[number]"),
    (
        re.compile(
            r"(?P<keep>\b(?:order|invoice|customer|account|tracking|reference|ref|ticket|case|parcel|booking|card|pin|id)\b"
            r"[\s.:]*(?:number|no|nr|id|code)?[\s.:#-]*)(?=[\w/-]*\d)[\w/-]+",
            re.IGNORECASE,
        ),
        r"\g<keep>[number]",
    ),
    (re.compile(r"(?<!\w)(?:#|№|\bno\.|\bnr\.?)\s?(?=[\w/-]*\d)[\w/-]+", re.IGNORECASE), "[number]"),
    (re.compile(r"\b(?=[\w/-]{6,})(?=(?:[\w/-]*\d){3})(?=[\w/-]*[A-Za-z])\w+(?:[-/]\w+)*\b"), "[number]"),
    (re.compile(r"\d{5,}"), "[number]"),
    (re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}\b", re.IGNORECASE), "[address]"),
    (
        re.compile(
            rf"\b\d{{1,4}}\s?[a-z]?,?\s+(?:{_NAME}\s+){{1,3}}(?i:{_STREET})\b\.?"
            r"|\b[A-ZÄÖÜ][\w-]*(?:str(?:\.|aße|asse)|weg|platz|gasse|allee)\s+\d+\s?[a-z]?\b"
        ),
        "[address]",
    ),
    (
        re.compile(rf"(?P<keep>\b(?i:mr|mrs|ms|miss|dr|prof|herr|frau|madame|monsieur)\b\.?\s+){_NAME}(?:\s+{_NAME})?"),
        r"\g<keep>[name]",
    ),
    (
        re.compile(rf"(?P<keep>\b(?i:my name is|my name's|this is|signed|i am|i'm)\s*[:,]?\s+){_NAME}(?:\s+{_NAME})*"),
        r"\g<keep>[name]",
    ),
    (
        re.compile(
            r"(?P<keep>\b(?i:regards|cheers|thanks|thank you|sincerely|yours|greetings|wishes|best|love|grüße|gruß)\s*[,!.\n–—-]+\s*)"
            rf"{_NAME}(?:\s+{_NAME}){{0,2}}\s*[.!]?\s*$"
        ),
        r"\g<keep>[name]",
    ),
)
# First names given away by what stands beside them: whom one spoke to, who promised, who sat at the counter.
_GIVEN = r"[A-ZÀ-Þ][a-zà-ÿß]+(?:-[A-ZÀ-Þ][a-zà-ÿß]+)?"
_PERSON = r"(?:colleagues?|assistants?|agents?|employees?|managers?|clerks?|lad(?:y|ies)|girls?|boys?|guys?|m[ae]n|wom[ae]n|neighbou?rs?|husband|wife|partner|son|daughter|friends?|sisters?|brothers?|mother|father|cousin|nieces?|nephews?|grand\w+)"
_ACTS = (
    r"(?:(?:has|had|have|also|then|kindly|even|just|never|always|finally)\s+)?(?:promised|told|assured|apologi[sz]ed|explained|insisted|replied|answered|wrote\s+back|rang|phoned|laughed|listened|shouted|advised|hung\s+up"
    r"|(?:helped|served|called|emailed|contacted|ignored)\s+(?:me|us|my|with)|(?:was|is)\s+(?:(?:so|very|really|extremely|most|incredibly|not|rather|quite)\s+)*(?:rude|kind(?!\s+(?:to|of))|friendly(?!\s+to)|polite|impolite|patient|unfriendly|unhelpful))"
)
_NAMED = re.compile(
    rf"(?P<before>\b(?i:sp(?:o|ea)ke?n?|speaking|talk(?:ed|ing)?|chatt(?:ed|ing)|dealt|dealing|complained|wrote|written)\s+(?i:to|with)\s+(?:(?i:a|an|your|the|our)\s+(?:\w+\s+){{0,2}}(?i:called|named)\s+)?"
    rf"|\b(?i:served|helped|advised|treated|handled|answered|signed|contacted|called|packed)\s+(?i:by)\s+|\b(?i:my|your|our|the|a)\s+(?:\w+\s+)?(?i:{_PERSON})\s*,?\s+(?:(?i:called|named)\s+)?|\b(?i:named|name\s+of|someone\s+called)\s+)"
    rf"(?P<one>{_GIVEN})\b|\b(?P<two>{_GIVEN})(?=\s+(?:{_ACTS}\b|(?:at|behind|on)\s+(?:the|your)\s+(?:counter|till|desk|phone|line|hotline|helpline|reception)\b"
    rf"|(?:from|in|of)\s+(?:the\s+|your\s+)?(?:customer\s+)?(?:service|support|care|team)\b))"
)
# Capitalised words that name nobody where a name may stand.
_NOBODY = frozenset((
    "i", "he", "she", "they", "we", "you", "it", "this", "that", "these", "those", "who", "which", "what", "one", "both", "all", "none", "some", "many",
    "most", "everyone", "everybody", "anyone", "anybody", "someone", "somebody", "nobody", "staff", "support", "service", "team", "delivery", "courier",
    "driver", "postman", "postie", "customer", "customers", "nothing", "everything", "website", "company", "shop", "store", "people", "person",
    "management", "manager", "reception", "assistant", "agent", "lady", "man", "woman", "girl", "guy", "employee", "colleague", "seller", "sellers",
    "sales", "returns", "accounts", "complaints", "helpdesk", "hotline", "chat", "email", "phone", "and", "but", "so", "then", "when", "while", "because",
    "although", "though", "if", "after", "before", "yet", "also", "still", "now", "here", "there", "again", "even", "only", "just", "never", "not",
    "always", "finally", "once", "a", "an", "the", "my", "your", "our", "his", "her", "their", "its", "no", "yes", "please", "sorry", "thanks", "hello",
    "hi", "dear", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december", "christmas", "easter", "german", "english", "french", "british", "american",
    "dutch", "italian", "spanish", "polish", "amazon", "google", "apple", "samsung", "ebay", "paypal", "klarna", "visa", "mastercard", "hermes", "royal",
    "mail", "fedex",
))  # fmt: skip
_SPLITS = re.compile(r"[\s'’-]+")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "oe", "å": "aa"})


def redact(
    text: str, *, names: Iterable[str | None] = (), ids: Iterable[str | None] = (), known: Collection[str] = ()
) -> str:
    """What may be quoted of a text? The text with personal data replaced by '[e-mail]', '[phone]', '[name]' …

    `names` are the writer's own given and family names, in any case and with or without accents; `ids` are values
    such as the order's that must not be shown; `known` are words in lower case that name no person though they are written
    like a name, such as the shop's brands and carriers. Invisible and direction-changing characters are dropped, look-alike
    widths folded, blanks closed up.

    >>> redact("Call me: 0176 1234567, Anna.Muster@example.com", names=["Anna", "Muster"])
    'Call me: [phone], [e-mail]'
    """
    clean = unicodedata.normalize("NFKC", text)
    clean = "".join(
        " " if char in "\n\r\t\v\f\x85\u2028\u2029" else char
        for char in clean
        if char in "\n\r\t\v\f\x85\u2028\u2029" or unicodedata.category(char) not in ("Cc", "Cf", "Co", "Cs", "Cn")
    )
    clean = re.sub(r"\s+", " ", clean).strip()
    # Digits of every script become 0 to 9, so that one pattern finds them all.
    clean = "".join(str(unicodedata.digit(char)) if char.isdigit() and not char.isascii() else char for char in clean)
    for code in sorted({str(value).strip() for value in ids if value and str(value).strip()}, key=len, reverse=True):
        clean = re.sub(rf"(?<!\w){re.escape(code)}(?!\w)", "[number]", clean, flags=re.IGNORECASE)
    for pattern, mark in _RULES:
        clean = pattern.sub(mark, clean)
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
    spellings |= {
        _fold(spelling.translate(_GERMAN)) for spelling in (word.casefold(), *(piece.casefold() for piece in pieces))
    }
    # "Annas Tasse": a genitive without apostrophe.
    spellings |= {spelling[:-1] for spelling in spellings if spelling.endswith("s") and len(spelling) > 3}
    return "[name]" if spellings & known else word
