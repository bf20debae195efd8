"""Is a text English? Its words say so where they are known, else an identifier of languages that ships its model.

py3langid (a naive Bayes of byte n-grams, Lui and Baldwin 2012; BSD, 4.6 MB, nothing but numpy) knows foreign words that
no list holds, and is lost on two English words; TextBlob's lexicon knows English words, and nothing else. So the larger
the share of known words, the clearer the identifier must be to call a text foreign.
"""

from __future__ import annotations

import math
import re
import unicodedata
from functools import cache
from typing import Any

READ = 1000  # characters that are looked at; the language of a long text shows at its start
# Log-odds against English that call a text foreign: without a known word, and how many more by their share.
SURE, PER_KNOWN = 0.25, 3.5
LONGEST = 30  # letters of a word
LEAST = 1e-9  # chance below which the identifier's numbers are noise

# Languages that shoppers write; the identifier's others (Latin, Esperanto, Breton …) only draw English words to them.
_LANGUAGES = """
    af am ar az be bg bn bs ca cs cy da de el en es et eu fa fi fr ga gl gu he hi hr hu hy id is it ja ka kk km kn ko lo
    lt lv mk ml mr ms mt my ne nl no pa pl pt ro ru si sk sl sq sr sv sw ta te th tl tr uk ur vi zh
"""
# Words of shoppers that TextBlob's lexicon, made of newspapers, lacks; of shorter ones only these count as English.
_SHOPPERS = """
    ace amazeballs app awsome blah bonsai brill chuffed colour colours comfy decaf decor doa doddle dunno emoji fab fave
    favourite fiddly flavour flavours gifted gonna gorg gr grey gutted hubby jewellery kinda latte legit lol luv meh
    mum naff nan nope omg online oversized ppl pls pricey prob probs rec reorder reordered refund refunds sizing sooo
    stylish thx tho tracking ugh unboxed unboxing unwearable vegan wanna website wifi wow xmas xxl yay yep yum yummy
    asap btw cba fyi idk ily imho imo lmao omw qty ty tysm tyvm yh crikey eek oof welp yikes yup
    appliqué brûlée café cafés cliché crème déjà décor entrée fiancé fiancée jalapeño jalapeños naïve piñata purée rosé
"""
_SHORT = """
    a i am an as at be by do go he if in is it me my no of oh ok on or so to tv up us we gb mm cm kg ta uk xl xs
"""
_TOKEN = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_APOSTROPHES = re.compile("[\u2018\u2019\u201b\u02bc`\u00b4]")
_ENDINGS = (("'s", ""), *((end, "") for end in ("s", "ed", "ly", "er", "est", "ish", "ing", "y")),
            ("ed", "e"), ("ing", "e"), ("ier", "y"), ("iest", "y"))  # fmt: skip
# British spellings of words that the lexicon has in American ones: marvellous, favourable, organised, centre.
_BRITISH = (("ll", "l"), ("our", "or"), ("ise", "ize"), ("isi", "izi"), ("tre", "ter"))
_STRETCHED = re.compile(r"(.)\1{2,}")  # sloooow, goooood
_PREFIX = re.compile(r"^(?:un|re|mis|over|non|pre)(?=\w{4})")
_SOUND = re.compile(r"h+m+|u+r*g+h+|(?:woo)?h+oo+|[bcdfghjklmnpqrstvwxz]{2,5}|a+w+|o+h+|no+|ye+s+|so+")


def is_english(text: str, *, language: str | None = None) -> bool:
    """Is this text English? By the shop's `language` if given, else by its words and, where they do not, letters.

    A text without a word ('5/5', a heart) counts as English; a text mostly in a script other than Latin does not.

    >>> is_english("Sehr schön, kam schnell"), is_english("luv it"), is_english("whatever", language="de")
    (False, True, False)
    """
    if language and language.strip():
        return language.strip().casefold().replace("_", "-").split("-")[0] in ("en", "eng", "english")
    text = text[:READ]
    letters = [char for char in text if char.isalpha()]
    if sum("LATIN" not in unicodedata.name(char, "") for char in letters) > len(letters) / 2:
        return False
    tokens = _TOKEN.findall(_APOSTROPHES.sub("'", text.casefold()))
    known = sum(_known(token) for token in tokens) / len(tokens) if tokens else 1.0
    return known == 1 or _against(text) <= SURE + PER_KNOWN * known


def _against(text: str) -> float:
    """The identifier's log-odds of the likeliest other language against English."""
    chances = dict(_identifier().rank(text))
    english = chances.pop("en")
    return math.log(max(chances.values()) + LEAST) - math.log(english + LEAST)


def _known(token: str) -> bool:
    """Is this an English word, perhaps with an apostrophe, an ending, a prefix or another word before it?"""
    words = _words()
    if len(token) > LONGEST:
        return False
    if (plain := _STRETCHED.sub(r"\1", token)) != token and (_known(plain) or _known(_STRETCHED.sub(r"\1\1", token))):
        return True
    if token in words or token.replace("'", "") in words or token.split("'")[0] in words or _SOUND.fullmatch(token):
        return True
    stems = [token[: -len(end)] + more for end, more in _ENDINGS if token.endswith(end) and len(token) - len(end) >= 3]
    stems += [stem[:-1] for stem in stems if len(stem) > 3 and stem[-1] == stem[-2]]  # zippered
    if any(stem in words for stem in stems):
        return True
    if any(british in token and token.replace(british, american) in words for british, american in _BRITISH):
        return True
    bare = _PREFIX.sub("", token)
    if bare != token:
        return _known(bare)
    return any(token[:cut] in words and token[cut:] in words for cut in range(4, len(token) - 3))


@cache
def _words() -> frozenset[str]:
    """English words: TextBlob's lexicon without the names and the foreign words it marks as such."""
    from textblob.en import parser

    len(parser.lexicon)  # it reads its file when first asked
    tags = dict.items(parser.lexicon)
    own = {word for word, tag in tags if word.islower() and word.isascii() and not tag.startswith(("FW", "NNP"))}
    return frozenset(word for word in own if len(word) > 2) | {*_SHOPPERS.split(), *_SHORT.split()}


@cache
def _identifier() -> Any:
    """py3langid's model, in chances that add up to 1."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    found = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    found.set_languages(set(_LANGUAGES.split()) & set(found.labels))
    return found
