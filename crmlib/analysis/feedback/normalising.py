"""What stands between a text as it was typed and a lexicon of moods?

Apostrophes of all kinds and none, ways to say that nothing is wrong which no rule of wording lists, emoji, words that
describe goods and carry no mood ('green tea', 'killer heels'), and texts without end.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

from crmlib.analysis.feedback.lexicon import lexicon, pattern

LONGEST = 5000  # characters of a text that are read; some rules of wording look as far ahead as there is text
CLAUSE = 600  # characters without a pause
RUN = 120  # characters without a blank; beyond, it is no word but a link or a cat on the keyboard
EMOJI_WEIGHT = 0.5  # mood of an emoji beside that of words, where both speak

_QUOTE = "[\u2018\u2019\u201b\u02bc\u2032\uff07`\u00b4']"
_APOSTROPHES = re.compile(rf"(?<=[^\W\d_])\s?{_QUOTE}(?=(?:s|t|re|ve|ll|d|m)\b)", re.IGNORECASE)
_QUOTES = re.compile(_QUOTE)
_BARE = re.compile(
    r"\b(is|are|was|were|do|does|did|has|have|had|ca|wo|could|would|should|need|must|ai|sha)\s?n\s?t\b", re.IGNORECASE
)
_PRONOUN = re.compile(r"\b(?:(i)(m|ve)|(they|you)(re|ve)|(that|there|what)(s))\b", re.IGNORECASE)
_IT = re.compile(r"\bits(?=\s+(?:not|a|an|the|been|so|too|very|really|just|only|no)\b)", re.IGNORECASE)
_TROUBLE = r"""(?:problems?|probs?|issues?|complaints?|faults?|flaws?|hassles?|troubles?|difficult(?:y|ies)|defects?
    |damages?|delays?)"""
# 'No problems until it broke' and 'no issues were solved' stay as they are.
_AND_THAT_IS_ALL = r"""(?!\ (?:with\ )?(?:solved|fixed|resolved|until|till|before|when)
    |\ (?:was|were|has|have|had)\ (?:been\ )?(?:solved|fixed|answered))"""
_HAVE_NOT = r"(?:have|has|had|did|do|does)(?:n't|\ not|\ never)"
# Ways of saying something, and what the rules of wording understand.
_SAYINGS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(words, re.IGNORECASE | re.VERBOSE), plain)
    for words, plain in (
        (rf"\b(?:0|zero|nil|no\ more)\ {_TROUBLE}\b{_AND_THAT_IS_ALL}", "no problems"),
        (r"\bno\ probs?\b", "no problems"),
        (
            rf"""\b(?:no|not\ a\ single|not\ one|none\ of\ (?:the|my))\ {_TROUBLE}
            \ (?:was|were|is|are|got|has\ been|have\ been)\ (?:\w+\ )?(?:solved|fixed|resolved|addressed|answered)\b""",
            "complaints were ignored",
        ),
        (r"\b(?:0|zero)\ (?=(?:help|repl|answer|respon|service|support|communication|effort)\w*)", "no "),
        (
            rf"""\b(?:{_HAVE_NOT}|never|not)\ (?:yet\ )?
            (?:had|have|experienced?|encounter(?:ed)?|found|find|seen?|noticed?)
            \ (?:a\ single|any?|one|the\ slightest)\ (?:\w+\ )?{_TROUBLE}\b{_AND_THAT_IS_ALL}""",
            "had no problems",
        ),
        (rf"\b{_HAVE_NOT}\ (?:a\ single|any|one)\ (?:\w+\ )?{_TROUBLE}\b{_AND_THAT_IS_ALL}", "had no problems"),
        (rf"\bnot\ (?:without\ (?:\w+\ )?{_TROUBLE}|{_TROUBLE}[- ]free)\b", "bad problems"),
        (rf"\b{_TROUBLE}[- ]free\b", "without problems"),
        (rf"\b(?:any\ )?{_TROUBLE}\s?\?\s?(?:none|no|nope|never|zero|not\ one)\b", "no problems"),
        (
            r"""\bno\ more\ (?:leak|break|wait|drip|wobbl|slip|squeak|burn|crack|scratch|stick|worr|guess)
            (?:ing|ies|s|es)?\b(?:\ \w+)?""",
            "no problems",
        ),
        (
            rf"""\b(?:my|the|our)\ only\ (?:{_TROUBLE}|regrets?|gripe|criticism|downside|mistake)\ (?:(?:I|we)\ have\ )?
            (?:is|was|being)\ (?:that\ )?(?:(?:I|we)\ )?(?:did(?:n't|\ not)|had(?:n't|\ not)|not)\ (?:\w+\ )?
            (?:order|buy|bought|get|got|find|found|purchas|tak|discover)\w*
            (?:\ (?:more|two|another|it|them|one|sooner|earlier|before|both))*""",
            "excellent",
        ),
        (
            r"""\b(thank(?:s|\ you)?\b[^.!?]{0,40}?|appreciate\b[^.!?]{0,30}?|grateful\b[^.!?]{0,30}?|(?:your|their)\ )
            hard(?=[- ]work)""",
            r"\1good",
        ),
        (r"\bhard[- ]?working\b", "diligent"),
        (r"\bcan(?:'t|not|\ not)\ say\ enough\ (?:good|nice|great|about)\b(?:\ things)?", "excellent"),
        (
            r"""\b(came|arrived|delivered)\ in\ (?=(?:an?|one|two)\ (?:[\w-]+\ )?(?:box|boxes|bags?|pack|packet|parcels?
            |envelope|case|tin|jar|tube|carton|pouch|sack|bottle|colou?rs?|sizes?|pieces|parts)\b)""",
            r"\1 with ",
        ),
    )
)
_AGAIN = re.compile(
    r"\b(?:second|third|fourth|\w+th) time (?=(?:i|we)(?:'ve)? (?:have )?(?:bought|ordered)\b)", re.IGNORECASE
)
_GOODS, _BOUGHT = (
    re.compile(pattern("goods", text), re.IGNORECASE | re.VERBOSE) for text in lexicon("goods")["goods"].values()
)
# Words that say what a thing is, not what it is worth; and words that do so only in front of a thing ('cold brew').
_PLAIN_TEXT = """
    base game green black pink pale dark half little small large big square plain usual common typical normal other
    previous past expected foreign closed center remote bass cow yarn chicken mean subject secret static parade aged
    icy-blue alcoholic military mental active partial slight few less least minus behind everyday conventional casual
    collectible dried uncooked unprocessed orthodox approximate golden stainless concrete main primary adult young old
    older new modern classic natural real whole certain many much more most high higher near live first latest
    available complete particular full original free action cultural wide narrow long short
"""
_BEFORE_TEXT = """
    cold hot raw bitter sour sharp thin thick heavy light sweet strong cool icy peppery mild delicate firm stiff
    fluffy dim loud fatty cutting churning artificial complex hidden empty wet harsh rough humble pure rich smooth cheap
"""
_JUDGING_TEXT = """
    no not never neither nor without too so very really rather quite bit far way extremely incredibly terribly overly
    awfully super pretty fairly
"""
_LINKING_TEXT = """
    and or but to for in on at of with when as after than that then which if because so is was are were it i we they you
    the a an this my your our not no nor yet though again now inside outside there here from by enough
"""
_PLAIN, _BEFORE_A_THING, _JUDGING, _LINKING = (
    frozenset(words.split()) for words in (_PLAIN_TEXT, _BEFORE_TEXT, _JUDGING_TEXT, _LINKING_TEXT)
)
_TOKEN = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*|[^\w\s]|\d+")
# Scripts that set no blanks between words are left as they are.
_RUN = re.compile(rf"[^\s\u0e00-\u0eff\u2e80-\u9fff\uac00-\ud7af\uff00-\uffef]{{{RUN},}}")
_BLANKS = re.compile(r"[^\S\n]+")
_PAUSE = re.compile(r"(?<=[.!?;:])\s+|\n+")

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


def bounded(text: str) -> str:
    """A text short enough for patterns that look far ahead: at most `LONGEST` characters, runs from `RUN` on as '…'.

    >>> bounded("See " + "a." * 60000 + " thanks"), len(bounded("never " * 60000))
    ('See …', 5000)
    """
    return _RUN.sub("\N{HORIZONTAL ELLIPSIS}", text[:LONGEST])


def normalise(text: str) -> str:
    """A text as the rules of wording want it: `bounded`, one kind of apostrophe, denials spelt out, no emoji, and a
    pause at least every `CLAUSE` characters.

    >>> normalise("It isn’t great, didnt fit"), normalise("0 complaints"), normalise("Thank you for your hard work")
    ("It isn't great, didn't fit", 'no problems', 'Thank you for your good work')
    """
    text = _QUOTES.sub("'", _APOSTROPHES.sub("'", text[:LONGEST]))
    text = _EMOJI.sub(" ", bounded(unicodedata.normalize("NFKC", text)))
    text = _BLANKS.sub(" ", text)
    text = _BARE.sub(lambda found: f"{found[1]}n't", text)
    text = _PRONOUN.sub(lambda found: f"{found[1] or found[3] or found[5]}'{found[2] or found[4] or found[6]}", text)
    text = _IT.sub("it's", text)
    for saying, plain in _SAYINGS:
        text = saying.sub(plain, text)
    text = _BOUGHT.sub(r"\1item", _AGAIN.sub("time ", _GOODS.sub("item", text)))
    # Where a text runs on without a pause, one is set: rules of wording look ahead as far as a clause goes.
    pieces = _PAUSE.split(text)
    if max(map(len, pieces)) <= CLAUSE:
        return text
    return ". ".join(one[start : start + CLAUSE] for one in pieces for start in range(0, max(len(one), 1), CLAUSE))


def emoji_mood(text: str) -> float:
    """The mean mood of the distinct emoji of a text, −1 to 1; 0.0 without one. Ten hearts are one.

    >>> emoji_mood("Came late 😡😡😡"), emoji_mood("plain")
    (-0.7, 0.0)
    """
    found = sorted({EMOJI[char] for char in text[:LONGEST] if char in EMOJI})
    return sum(found) / len(found) if found else 0.0


def with_emoji(polarity: float, text: str) -> float:
    """What the words of a text come to, moved by its emoji; emoji alone decide where the words say nothing.

    A text without a word stays without a direction.

    >>> with_emoji(0.0, "Arrived today 😍"), with_emoji(0.0, "😍"), with_emoji(-0.6, "Broken 😂")
    (0.7, 0.0, -0.6)
    """
    heard = emoji_mood(text)
    if not heard or not any(char.isalpha() for char in text[:LONGEST]):
        return polarity
    if abs(polarity) < 0.05:
        return heard
    # A laugh or a heart under a complaint takes nothing back; anger under praise does.
    if polarity < 0 < heard:
        return polarity
    return polarity + EMOJI_WEIGHT * (heard - polarity) if polarity * heard < 0 else polarity


def without_product_words(clause: str) -> str:
    """A clause less the words in it that describe goods, unless a degree or a denial makes them a judgement.

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
