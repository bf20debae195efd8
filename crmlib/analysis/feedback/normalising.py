"""What stands between a text as it was typed and a lexicon of moods?

Apostrophes of all kinds and none, ways to say that nothing is wrong which no rule of wording lists, emoji, words that
describe goods and carry no mood ('green tea', 'a base and a lid'), and texts without end.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

LONGEST = 5000  # characters of a text that are read; some rules of wording look as far ahead as there is text
CLAUSE = 600  # characters without a pause
EMOJI_WEIGHT = 0.5  # mood of an emoji beside that of words, where both speak

_APOSTROPHES = re.compile("(?<=[^\\W\\d_])\\s?[\u2018\u2019\u201b\u02bc\u2032\uff07`\u00b4'](?=(?:s|t|re|ve|ll|d|m)\\b)", re.IGNORECASE)  # fmt: skip
_QUOTES = re.compile("[\u2018\u2019\u201b\u02bc\u2032\uff07`\u00b4]")
_BARE = re.compile(
    r"\b(is|are|was|were|do|does|did|has|have|had|ca|wo|could|would|should|need|must|ai|sha)\s?n\s?t\b", re.IGNORECASE
)
_PRONOUN = re.compile(r"\b(?:(i)(m|ve)|(they|you|we)(re|ve)|(that|there|what)(s))\b", re.IGNORECASE)
_IT = re.compile(r"\bits(?=\s+(?:not|a|an|the|been|so|too|very|really|just|only|no)\b)", re.IGNORECASE)
_TROUBLE = (
    r"(?:problems?|probs?|issues?|complaints?|faults?|flaws?|hassles?|troubles?|difficult(?:y|ies)|defects?|damages?|delays?)"
)
_NOTHING_ELSE = r"(?!\s+(?:with\s+)?(?:solved|fixed|resolved|until|till|before|when|(?:was|were|has|have|had)\s+(?:been\s+)?(?:solved|fixed|answered)))"
# Ways of saying something, and what the rules of wording understand; the first that fits a place wins.
_SAYINGS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), plain)
    for pattern, plain in (
        (rf"\b(?:0|zero|nil|no\ more)\s+{_TROUBLE}\b{_NOTHING_ELSE}", "no problems"),
        (r"\bno\s+probs?\b", "no problems"),
        (
            rf"\b(?:(?:have|has|had|did|do|does)(?:n't|\s+not|\s+never)|never|not)\s+(?:yet\s+)?(?:had|have|experienced?|encounter(?:ed)?|found|find|seen?|notice[d]?)"
            rf"\s+(?:a\s+single|a|any|one|the\s+slightest)\s+(?:\w+\s+)?{_TROUBLE}\b{_NOTHING_ELSE}",
            "had no problems",
        ),
        (
            rf"\b(?:have|has|had)(?:n't|\s+not|\s+never)\s+(?:a\s+single|any|one)\s+(?:\w+\s+)?{_TROUBLE}\b{_NOTHING_ELSE}",
            "had no problems",
        ),
        (rf"\b{_TROUBLE}[- ]free\b", "without problems"),
        (rf"\b(?:any\s+)?{_TROUBLE}\s*\?\s*(?:none|no|nope|never|zero|not\s+one)\b", "no problems"),
        (r"\bno\s+more\s+(?:leak|break|wait|drip|wobbl|slip|squeak|burn|crack|scratch|stick|worr|guess)(?:ing|ies|s|es)?(?:\s+\w+)?", "no problems"),
        (
            rf"\b(?:my|the|our)\s+only\s+(?:{_TROUBLE}|regrets?|gripe|criticism|downside|mistake)\s+(?:(?:I|we)\s+have\s+)?(?:is|was|being)\s+(?:that\s+)?"
            r"(?:(?:I|we)\s+)?(?:did(?:n't|\s+not)|had(?:n't|\s+not)|not)\s+(?:\w+\s+)?(?:order|buy|bought|get|got|find|found|purchas|tak|discover)\w*"
            r"(?:\s+(?:more|two|another|it|them|one|sooner|earlier|before|both))*",
            "excellent",
        ),
        (r"\b(thank(?:s|\s+you)?\b[^.!?]{0,40}?|appreciate\b[^.!?]{0,30}?|grateful\b[^.!?]{0,30}?|(?:your|their|all\s+the)\s+)hard(?=[- ]work)", r"\1good"),
        (r"\bcan(?:'t|not|\s+not)\s+say\s+enough\s+(?:good|nice|great|about)\b(?:\s+things)?", "excellent"),
        (r"\bhard[- ]?working\b", "diligent"),
    )
)
# Words that say what a thing is, not what it is worth; and words that do so only in front of a thing ('cold brew').
_PLAIN = frozenset(
    """
    base game green black pink pale dark half little small large big square plain usual common typical normal other
    previous past expected foreign closed center remote bass cow yarn chicken mean subject secret static parade aged
    icy-blue alcoholic military mental active partial slight few less least minus behind everyday conventional casual
    collectible dried uncooked unprocessed orthodox approximate golden stainless concrete main primary adult young old
    older new modern classic natural real whole certain many much more most high higher near live first latest
    available complete particular full original free action cultural wide narrow long short
    """.split()  # noqa: SIM905
)
_BEFORE_A_THING = frozenset(
    """
    cold hot raw bitter sour sharp thin thick heavy light sweet strong cool icy peppery mild delicate fluffy firm stiff
    dim loud fatty cutting churning artificial complex hidden empty wet harsh rough humble pure rich smooth cheap
    """.split()  # noqa: SIM905
)
_JUDGING = frozenset(
    "no not never neither nor without too so very really rather quite bit far way extremely incredibly terribly overly awfully super pretty fairly".split()  # noqa: SIM905
)
_LINKING = frozenset(
    """
    and or but to for in on at of with when as after than that then which if because so is was are were it i we they you
    the a an this my your our not no nor yet though again now inside outside there here from by enough
    """.split()  # noqa: SIM905
)
_TOKEN = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*|[^\w\s]|\d+")
_PAUSED = re.compile(r"[.!?;:,\n]")

# Moods of emoji, −1 to 1, by what people write them beside (in kind as Kralj Novak et al. 2015 counted them).
EMOJI: Mapping[str, float] = MappingProxyType(
    {
        **dict.fromkeys("😍🥰😘🤩💖💗💓💞💕❤💜💙💚🧡💛🖤🤍💝💘♥🏆🎉🥳👏🙌", 0.7),
        **dict.fromkeys("😀😃😄😁😊☺🙂😺😻😇🤗😋😎👍👌💯⭐🌟✨✅✔💪🤝🙏😌😆😂🤣💐🌹🎁🫶👑🔥😉🆗", 0.5),
        **dict.fromkeys("👎😡🤬😠💩🤮🤢🖕😤😾❌🚫⛔", -0.7),
        **dict.fromkeys("😞😔😟😕🙁☹😣😖😫😩😢😭😒🙄💔😑😬😓😥😰😱🤦😿🥺😧😦😨⚠🤥👿😪🥴", -0.5),
    }
)
_EMOJI = re.compile(f"[{''.join(EMOJI)}\ufe0f\u200d\U0001f3fb-\U0001f3ff]+")


def normalise(text: str) -> str:
    """A text as the rules of wording want it: width, apostrophes, plain ways of saying that nothing is wrong, no more than
    `LONGEST` characters and none without a pause for more than `CLAUSE`.

    >>> normalise("It isn’t great, didnt fit"), normalise("0 complaints"), normalise("Thank you for your hard work")
    ("It isn't great, didn't fit", 'no problems', 'Thank you for your good work')
    """
    text = unicodedata.normalize("NFKC", text[:LONGEST])[:LONGEST]
    text = _EMOJI.sub(" ", text)
    text = _QUOTES.sub("'", _APOSTROPHES.sub("'", text))
    text = _BARE.sub(lambda found: f"{found[1]}n't", text)
    text = _PRONOUN.sub(lambda found: f"{found[1] or found[3] or found[5]}'{found[2] or found[4] or found[6]}", text)
    text = _IT.sub("it's", text)
    for pattern, plain in _SAYINGS:
        text = pattern.sub(plain, text)
    return _paused(text)


def _paused(text: str) -> str:
    """Where a text runs on without a pause, a full stop is set: rules of wording look ahead as far as a clause goes."""
    if len(text) <= CLAUSE:
        return text
    out, since = [], 0
    for token in re.findall(rf"\S{{1,{CLAUSE}}}\s*", text):
        since = 0 if _PAUSED.search(token[-3:]) else since + len(token)
        out.append(token if since <= CLAUSE else f"{token.rstrip()}. ")
        since = since if since <= CLAUSE else 0
    return "".join(out)[:LONGEST]


def emoji_mood(text: str) -> float:
    """The mean mood of the distinct emoji of a text, −1 to 1; 0.0 without one. Ten hearts are one.

    >>> emoji_mood("Came late 😡😡😡"), emoji_mood("plain")
    (-0.7, 0.0)
    """
    found = sorted({EMOJI[char] for char in text[:LONGEST] if char in EMOJI})
    return sum(found) / len(found) if found else 0.0


def has_words(text: str) -> bool:
    """Is there a word in it? Emoji and marks alone are counted and not read."""
    return any(char.isalpha() for char in text[:LONGEST])


def with_emoji(polarity: float, text: str) -> float:
    """What the words of a text come to, moved by its emoji; emoji alone decide where the words say nothing.

    A text without a word stays without a direction.

    >>> with_emoji(0.0, "Arrived today 😍"), with_emoji(0.0, "😍"), with_emoji(-0.6, "Broken 😂")
    (0.7, 0.0, -0.6)
    """
    heard = emoji_mood(text)
    if not heard or not has_words(text):
        return polarity
    if abs(polarity) < 0.05:
        return heard
    # A laugh or a heart under a complaint takes nothing back; anger under praise does.
    if polarity < 0 < heard:
        return polarity
    return polarity + EMOJI_WEIGHT * (heard - polarity) if polarity * heard < 0 else polarity


def without_product_words(clause: str) -> str:
    """A clause less the words in it that describe goods, unless a degree or a denial makes them a judgement ('too small').

    >>> without_product_words("I ordered the green tea"), without_product_words("a heavy pot, far too small")
    ('I ordered the tea', 'a pot , far too small')
    """
    tokens = _TOKEN.findall(clause)
    kept = []
    for place, token in enumerate(tokens):
        low = token.casefold()
        judged = any(before.casefold() in _JUDGING for before in tokens[max(0, place - 2) : place])
        after = tokens[place + 1].casefold() if place + 1 < len(tokens) else ""
        thing = after[:1].isalpha() and after not in _LINKING
        if judged or not (low in _PLAIN or (low in _BEFORE_A_THING and thing)):
            kept.append(token)
    return " ".join(kept)
