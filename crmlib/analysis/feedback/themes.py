"""What is a text about, and which faults does it name? Seven themes as word patterns that anyone can read.

A theme's words say what a text is about: 'arrived a day early' and 'never arrived' are both about delivery. Its faults
are phrases that complain without a word of mood, which a lexicon of moods cannot see: 'never arrived', 'runs small'.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

_PATTERNS = {
    "price": r"""
        pric(?:e[sdy]?|ey|ier|ing) | overpriced | expensive(?:ly)? | inexpensive | cheap(?!ly|\s+(?:made|material|plastic))(?:er|est)?
        | cost(?:s|ly|ing)? | afford(?:able|ed)? | bargains? | discount(?:s|ed)? | good\ value | value\ for\ (?:the\ )?money
        | money'?s\ worth | worth\ (?:the|every|its|that)\ (?:money|price|penny|cent|euro)s? | waste\ of\ money
        | rip[- ]?offs? | euros? | dollars? | pounds | bucks | voucher(?:s)?
    """,
    "delivery": r"""
        deliver(?:y|ies|ed|s|ing)? | ship(?:s|ped|ping|ments?)? | arriv(?:e[sd]?|als?|ing) | couriers? | carriers? | parcels?
        | packages? | packaging | post(?:man|al|age) | dispatch(?:ed)? | despatch(?:ed)? | track(?:ing|ed) | in\ transit
        | lost\ in\ the\ (?:post|mail) | in\ the\ (?:post|mail) | on\ time | late | delay(?:s|ed)? | turned\ up | never\ came
        | came\ (?:late|early|quickly|fast|within|after|on|in|a) | (?:wait(?:ed|ing)?|took)\ (?:\w+\ ){0,4}(?:days?|weeks?|months?)
        | doorstep | driver
    """,
    "quality": r"""
        quality | br(?:oke(?:n)?|eaks?|eaking) | f(?:ell|alls?|alling|allen)\ apart | defect(?:s|ive)? | fault(?:y|s)? | flaw(?:s|ed|less)?
        | damaged? | scratch(?:es|ed)? | tore | torn | ripped | seams? | stitch(?:es|ing|ed)? | fabrics? | materials? | durab(?:le|ility)
        | sturdy | flimsy | (?:well|poorly|badly|cheaply|beautifully|nicely|cheap)[- ]made | cheap\ (?:material|plastic) | craftsmanship | workmanship
        | fad(?:ed?|es|ing) | shrank | shrunk | leak(?:s|ed|ing|y)? | crack(?:s|ed|ing)? | dent(?:s|ed)? | (?:wore|worn)\ out | chipped
        | stopped\ working | (?:does|did)(?:n't|\ not)\ work | works\ (?:well|perfectly|great|fine) | (?:lasts|lasted|lasting) | (?:to|will|would|not|long|\w+n't)\ last | solid
        | tast(?:e[sd]?|y|eless|ing) | flavou?r(?:s|ful|less)? | aroma(?:s|tic)? | stale | fresh(?:ly|ness)?
    """,
    "fit": r"""
        fit(?:s|ted|ting)? | siz(?:e[sd]?|ing) | too\ (?:small|big|large|tight|loose|long|short|wide|narrow|baggy)
        | r(?:u|a)n(?:s|ning)?\ (?:\w+\ )?(?:small|large|big|tight|short|long|true|wide|narrow)
        | comes?\ up\ (?:\w+\ )?(?:small|large|big|short|long) | tight | loose | snug(?:ly)? | baggy | waist | sleeves? | hems?
        | measurements? | (?:larger|smaller|bigger|shorter|longer)\ than
    """,
    "service": r"""
        (?:customer|client)\ (?:service|care|support|relations) | service | support | help\ ?desk | hotline | helpline | staff | agents?
        | representatives? | repl(?:y|ied|ies) | respon(?:d(?:s|ed)?|ses?|sive) | answer(?:s|ed|ing)? | rude(?:ly)? | polite(?:ly)?
        | friendly | (?:un)?helpful | e-?mail(?:s|ed)? | contact(?:ed|ing)? | complain(?:t|ts|ed)? | live\ chat | chat | hung\ up
        | phoned | called | on\ hold | ignored
    """,
    "returns": r"""
        return(?:s|ed|ing)?(?!\s+customer) | refund(?:s|ed|ing)? | exchang(?:e[sd]?|ing) | money\ back | replacements?
        | s(?:en[dt]|ending)\ (?:\w+\ ){0,3}back | took\ it\ back | (?:sent|gave|give)\ me\ a\ new | credit\ note
    """,
    "website": r"""
        web\ ?(?:site|page|shop)s? | site | online\ (?:shop|store) | app | check[- ]?out | log(?:ged|ging)?[- ]?in | password
        | (?:my|an?)\ account | (?<!tracking\ )pages? | navigat(?:e|ion|ing) | search\ (?:function|filters?|bar|box) | payment
        | shopping\ (?:cart|basket|bag) | browsers? | crash(?:es|ed|ing)? | click(?:s|ed|ing)? | buttons? | order\ form | error\ message
        | product\ (?:photos?|pictures?|descriptions?)
    """,
}  # fmt: skip
_NOT = r"(?:not|never|\w+n't|cannot|no\ longer)"
_DAMAGED = r"(?:crushed|squashed|soaked|wet|dented|battered|ripped|torn|open(?:ed)?|damaged|empty|smashed|broken)"
_TIMES = r"(?:twice|(?:two|three|four|five|six|several|many|countless|\d+)\ times)"
_SIZE = r"(?:small|large|big|tight|loose|long|short|wide|narrow|baggy)"
_FAULTS = {
    "price": r"""
        overpriced | too\ (?:expensive|dear|pricey|costly) | (?:not|\w+n't|hardly)\ (?:\w+\ )?worth | rip[- ]?offs? | waste\ of\ money
        | half\ (?:the\ price|as\ much) | cheaper\ (?:elsewhere|at|on|in) | (?:bit|rather|quite|so|pretty)\ (?:expensive|pricey|dear|steep|costly)
        | pric(?:e|es)\ (?:\w+\ ){0,3}(?:increased?|rise|hike|up) | hidden\ (?:fees?|costs?|charges?) | charged\ (?:\w+\ )?(?:twice|extra|more|double)
        | costs?\ (?:a\ fortune|too\ much) | too\ much\ (?:money|for) | daylight\ robbery | at\ (?:this|that)\ price\ I\ expect(?:ed)?
    """,
    "delivery": rf"""
        {_NOT}\ (?:\w+\ ){{0,2}}(?:arriv\w+|turn(?:ed)?\ up|come|came|show(?:n|ed)?\ up|deliver\w*|shipp?\w*|received|dispatched|got\ here)
        | still\ (?:waiting|missing|not\ here|no\ sign|nothing) | (?:days?|weeks?|months?|hours?)\ late | too\ late | late\ (?:delivery|arrival|again)
        | (?:arriv|came|turn|deliver|show|com)\w*\ (?:\w+\ ){{0,3}}late | delay(?:s|ed)? | (?:took|takes|taken)\ (?:forever|ages|an\ eternity)
        | (?:took|takes|taken|waited|waiting)\ (?:\w+\ ){{0,3}}(?:too\ long|weeks|months?|ages|forever) | waited\ in\ (?:all|vain)
        | (?:lost|missing|vanished|disappeared)\ (?:in|by|parcel|package|item|items|from|somewhere) | (?:went|gone|got|get|gets|was|were)\ (?:missing|lost)
        | {_DAMAGED}\ (?:box|parcel|package|packaging|carton) | (?:arriv|deliver)\w*\ (?:\w+\ )?{_DAMAGED} | half\ (?:of\ )?(?:my|the|our)\ order
        | (?:box|parcel|package|packaging|carton)\ (?:was|were|is|came|got)\ (?:(?!not|never)\w+\ )?{_DAMAGED} | no\ sign\ of | nowhere\ to\ be\ (?:seen|found)
        | wrong\ (?:address|house|door|neighbou?r|item|product|parcel|order) | in\ the\ (?:rain|street) | (?:threw|thrown|dumped|flung)
        | slow(?:est|er)?\ (?:delivery|shipping|post|courier) | (?:delivery|shipping|courier|post)\ (?:(?:was|is|so|very|too|really|far|rather|quite)\ )*(?:slow|late)
        | (?:nobody|no\ one|never)\ (?:rang|knocked)
    """,
    "quality": rf"""
        broke(?:n)? | breaks | f(?:ell|alls|alling)\ (?:apart|off|to\ pieces) | c(?:ame|omes?|oming)\ (?:off|apart|loose|undone) | defective | faulty | damaged
        | scratch(?:es|ed)? | torn | tore | ripped | leak(?:s|ed|ing|y)? | crack(?:s|ed)? | chipped | dent(?:s|ed)? | shrank | shrunk | faded | fading
        | peel(?:s|ed|ing) | rust(?:s|ed|y|ing)? | flimsy | wobbl(?:es?|y|ing) | stopped\ working | {_NOT}\ (?:\w+\ )?(?:work|hold|last|close|function|seal)(?:s|ed|ing)?
        | (?:cheaply|poorly|badly)[- ]made | cheap\ (?:material|plastic|fabric) | feels?\ (?:\w+\ )?cheap | (?:poor|low|bad)\ quality | inferior | shoddy | stale | tasteless
        | bland | mou?ldy | expired | past\ its\ date | smell(?:s|ed)?\ (?:of|like|bad|awful|odd) | tast(?:es?|ed)\ (?:\w+\ )?(?:of|like\ (?!heaven)|bad|bitter|burnt|off)
        | died\ after | burst | warped | bent | stain(?:s|ed)? | fall(?:en)?\ apart
    """,
    "fit": rf"""
        too\ {_SIZE} | r(?:u|a)n(?:s|ning)?\ (?:\w+\ )?{_SIZE} | comes?\ (?:up|out)\ (?:\w+\ )?{_SIZE} | {_NOT}\ (?:\w+\ )?fit | {_NOT}\ true\ to\ size | wrong\ size
        | up\ (?:a|one|two|three)\ (?:whole\ )?sizes? | (?:a|one|two)\ sizes?\ (?:\w+\ )?(?:up|down|bigger|larger|smaller|off) | siz(?:e|ing)\ (?:up|down|is\ off)
        | (?:smaller|larger|bigger|shorter|longer|tighter|wider)\ than\ (?:expected|described|stated|shown|I|the) | pinch(?:es|ed) | rides\ up
    """,
    "service": rf"""
        (?:no|nobody|no\ one|none|without|{_NOT})\ (?:\w+\ ){{0,3}}(?:repl(?:y|ied|ies)|respon(?:d|ds|ded|se)|answer(?:s|ed)?|call(?:ed)?\ back|g[eo]t\ back|help(?:s|ed)?)
        | nobody\ (?:picks|picked|cares|cared|knows|knew) | unhelpful | rude(?:ly|ness)? | impolite | unfriendly | ignored | hung\ up | brushed\ (?:off|aside) | fobbed\ off
        | on\ hold | (?:heard|hear)\ nothing | nothing\ back | (?:wrote|e-?mailed|called|rang|phoned|asked|contacted)\ (?:\w+\ ){{0,2}}{_TIMES} | no\ help | standard\ (?:reply|text|answer)
        | waiting\ for\ (?:a|an|your|any)\ (?:reply|answer|response)
    """,
    "returns": rf"""
        (?:no|without|{_NOT})\ (?:\w+\ ){{0,4}}(?:refund(?:ed)?|money\ back) | waiting\ (?:\w+\ ){{0,3}}(?:refund|money|replacement|exchange)
        | refus(?:e|es|ed|ing)\ (?:\w+\ ){{0,4}}(?:refund|returns?|exchange) | (?:pay|paid|charged?)\ (?:\w+\ ){{0,4}}return(?:s|ing)? | partial\ refund | restocking
        | refund\ (?:\w+\ ){{0,3}}(?:late|missing|weeks?|months?|never|not|\w+n't|took|takes|taking) | returns?\ (?:\w+\ ){{0,4}}(?:missing|complicated|difficult|impossible|nightmare|hassle|pain)
        | return\ (?:label|form|address)\ (?:\w+\ )?(?:missing|{_NOT}) | no\ return\ (?:label|slip|form)
    """,
    "website": rf"""
        (?<!tracking\ )(?:site|page|app|website|webshop|shop|check-?out|cart|browser|search|login|payment|link|button|form)s?\ (?:\w+\ ){{0,3}}(?:crash\w*|fr(?:oze|eezes)|hangs?|hung|errors?|fail\w*
        |broken|down|slow|confus\w+|timed\ out|{_NOT}|kept|keeps|lost|logged\ me\ out) | error\ (?:message|page) | (?:could|can)(?:n't|'t|\ ?not)\ (?:\w+\ )?(?:log|pay|check\ ?out|sign|register|reset)
        | (?:card|payment|code|voucher)\ (?:(?:was|is|kept|got|being)\ )*(?:declined|refused|rejected|not\ accepted) | logged\ me\ out | (?:hard|difficult|impossible)\ to\ (?:navigate|find\ anything|order)
        | (?:photo|picture|image|description)s?\ (?:\w+\ ){{0,3}}(?:mislead\w*|wrong|inaccurate|nothing\ like|different) | not\ as\ (?:described|pictured|shown) | nothing\ like\ the\ (?:photo|picture)s?
    """,
}  # fmt: skip


def _compiled(patterns: Mapping[str, str]) -> Mapping[str, re.Pattern[str]]:
    found = {name: re.compile(rf"\b(?:{text})\b", re.IGNORECASE | re.VERBOSE) for name, text in patterns.items()}
    return MappingProxyType(found)


PATTERNS, FAULTS = _compiled(_PATTERNS), _compiled(_FAULTS)
# What turns a fault into its absence when it stands just before: 'no scratches', 'not too tight', 'has never leaked'.
_DENIED = re.compile(r"\b(?:no|not|never|without|zero|nothing|hardly|\w+n't|cannot)(?:\s+\w+){0,2}\s*$", re.IGNORECASE)
# Harm done on the way is the carrier's: 'the parcel arrived damaged', 'the driver threw the box, two cups broken'. Harm that
# shows in use stays the product's: 'delivered on Monday and broken after a week'.
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
_IN_USE = re.compile(
    r"\b(?:after|within|since|already|first\s+(?:use|wash|time|day|week)|when\s+I\s+us(?:e|ed))\b", re.IGNORECASE
)
THEMES = tuple(PATTERNS)
OWNERS: Mapping[str, str] = MappingProxyType(
    {
        "price": "Pricing",
        "delivery": "Logistics",
        "quality": "Purchasing",
        "fit": "Product",
        "service": "Service",
        "returns": "Logistics",
        "website": "Web shop",
    }
)
# Where one thought ends and the next, perhaps of another mood, begins.
_CLAUSE = re.compile(
    r"[.!?;\n]+|\b(?:but|however|although|though|yet|whereas|except|unfortunately|luckily)\b", re.IGNORECASE
)


def themes_of(text: str) -> tuple[str, ...]:
    """Which themes does a text mention? In the order of THEMES; () for none.

    >>> themes_of("Lovely fabric, but it arrived late."), themes_of("Parcel arrived damaged.")
    (('delivery', 'quality'), ('delivery',))
    """
    return tuple(name for name in THEMES if mentions(text, name))


def mentions(text: str, theme: str) -> bool:
    """Does a text mention this theme, by its words or by one of its faults?"""
    heard = _without_harm_on_the_way(text) if theme == "quality" else text
    return bool(PATTERNS[theme].search(heard) or FAULTS[theme].search(heard))


def names_fault(text: str, theme: str) -> bool:
    """Does a text name one of the theme's faults, and not to deny it?

    >>> names_fault("It runs small", "fit"), names_fault("Not too tight", "fit")
    (True, False)
    """
    heard = _without_harm_on_the_way(text) if theme == "quality" else text
    named = any(not _DENIED.search(heard[: match.start()]) for match in FAULTS[theme].finditer(heard))
    return named or (theme == "delivery" and any(_harmed(piece) for piece in clauses(text) if _on_the_way(piece)))


def _on_the_way(clause: str) -> bool:
    return bool(_ON_THE_WAY.search(clause)) and not _IN_USE.search(clause)


def _harmed(clause: str) -> bool:
    return any(not _DENIED.search(clause[: match.start()]) for match in _HARM.finditer(clause))


def _without_harm_on_the_way(text: str) -> str:
    if not (_HARM.search(text) and _ON_THE_WAY.search(text)):
        return text
    return ". ".join(_HARM.sub("", piece) if _on_the_way(piece) else piece for piece in clauses(text))


def clauses(text: str) -> list[str]:
    """A text cut at full stops, semicolons and words like 'but', without empty pieces.

    >>> clauses("The return was easy but the dress never arrived.")
    ['The return was easy', 'the dress never arrived']
    """
    return [piece.strip(" ,-") for piece in _CLAUSE.split(text) if piece.strip(" ,-")]
