"""What does the wording of a text say that a lexicon of moods cannot hear?

TextBlob gives each word its mood. Around it stand a few general rules that anyone can read: what 'not', 'nor' and 'never'
reach, what 'but' and 'although' weigh, faults that are denied ('no problems'), complaints without a word of mood
('runs small', 'still waiting'), polite ones ('it would have been nice to …') and praise that a fault turns sour.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from crmlib.analysis.feedback.themes import FAULTS, names_fault

# Moods of phrases that carry no word of mood, about those of 'bad' and 'good'.
FAULT, COMPLAINT, PRAISE = -0.6, -0.45, 0.45
BEFORE_BUT = 0.3  # weight of what is said before 'but' or under 'although', against 1 for what it gives way to
MILD = 0.1  # the least mood worth turning round
VADER_WEIGHT = 0.6  # VADER's compound scores run higher than TextBlob's
MIXED = 0.3  # strength from which two clauses of opposite mood make a text mixed

_PAUSE = re.compile(r"(?<=[.!?;:\n\u2026])\s+|\n+|\s[-\u2013\u2014]+\s")
_TURN = re.compile(
    r",?\s*\b(?:but|however|yet(?!\s+to\b)|whereas|only\s+that|except\s+that|unfortunately|sadly)\b,?", re.IGNORECASE
)
_THOUGH = re.compile(
    r"^\s*(?:even\s+)?(?:although|though|while|despite|in\s+spite\s+of)\b(?P<under>[^,]*),(?P<main>.*)$", re.IGNORECASE
)
_THOUGH_LATER = re.compile(r",?\s*\b(?:even\s+though|although|though|despite)\b(?=\s+\w+\s+\w+)", re.IGNORECASE)

_NEGATOR = r"(?:not|never|nor|neither|no\ longer|hardly|scarcely|barely|nothing|nobody|no\ one|none|far\ from|anything\ but|without|cannot|\w+n't|can't)"
_DENIES = re.compile(rf"\b{_NEGATOR}\s+(?:\w+\s+){{0,3}}$", re.IGNORECASE | re.VERBOSE)
# 'not only good', 'no doubt' and their like deny nothing.
_NO_DENIAL = re.compile(
    r"\b(?:not\s+(?:only|just|merely|to\s+mention)|no\s+(?:doubt|wonder)|why\s+not|whether\s+or\s+not|nothing\s+but|cannot\s+but|"
    r"(?:can't|cannot|couldn't|can\s+not)\s+(?:recommend|praise|thank|stress)\b(?=.*\benough\b))",
    re.IGNORECASE,
)
_FAR_FROM = re.compile(r"\b(?:far\s+from|anything\s+but)\s+", re.IGNORECASE)
_TROUBLE = (
    r"(?:problems?|issues?|complaints?|faults?|flaws?|hassles?|trouble|fuss|delays?|damages?|scratch(?:es)?|defects?|difficult(?:y|ies)|regrets?"
    r"|drama|quibbles?|worries|nonsense|mistakes?|errors?|smells?|leaks?|stains?|cracks?|dents?|breakages?|disappointments?|waiting|queues?|doubts?|downsides?"
    r"|catch|hidden\s+(?:costs?|fees)|surprises|bother|effort|marks?|chips?|wobble|rust)"
)
_GOOD_DENIALS = re.compile(
    rf"\b(?:(?:no|not\s+a\s+single|not\s+one|without\s+(?:any|a)?|without|zero|never\s+(?:had\s+)?(?:any|a|an)?|not\s+(?:had\s+)?any|\w+n't\s+(?:had\s+)?any"
    rf"|free\s+of|free\s+from|not\s+a|hardly\s+any)\s+(?:(?!\b(?:reply|answer|help)\b)\w+\s+){{0,1}}{_TROUBLE}\b(?!\s+(?:solved|fixed|was\s+solved))"
    r"|nothing\s+(?:(?:at\s+all|really|whatsoever|much)\s+)?(?:to\s+(?:complain|criticise|criticize|fault)|wrong|broken|missing|but\s+(?:praise|good))"
    r"|(?:can't|cannot|can\s+not|couldn't|could\s+not)\s+(?:really\s+)?(?:complain|fault|go\s+wrong|find\s+fault|wait\s+to|stop\s+using)"
    r"|(?:can't|cannot|can\s+not)\s+(?:recommend|praise|thank)\b[^.!?]*\benough"
    r"|(?:never|doesn't|does\s+not|didn't|did\s+not|won't|will\s+not|hasn't|has\s+not|not)\s+(?:once\s+)?(?:disappoint(?:ed|s)?|let\s+(?:me|us|you)\s+down|regret(?:ted)?|leak(?:s|ed)?"
    r"|fail(?:s|ed)?|break|broken|fade|faded|shrink|shrunk|scratch|wobble|slip|smell|sting|stick|stain|rust|hurt|pinch)(?!\s+(?:nice|good|great|fresh|like|well|of))(?:\s*,\s*\w+)*(?:\s+n?or\s+\w+)?"
    r"|(?:have|has|had)\s+yet\s+to\s+(?:find|see|have|meet)\s+(?:a|any)\s+(?:\w+\s+)?(?:fault|flaw|problem|issue|complaint)|a\s+(?:real\s+|total\s+)?steal"
    r"|(?:wouldn't|would\s+not|couldn't|could\s+not|can't|cannot|don't\s+want\s+to|never\s+want\s+to)\s+(?:ever\s+)?(?:swap|trade|change|be\s+without|do\s+without|live\s+without|part\s+with|miss|go\s+back\s+to)\b(?:\s+(?:it|them|this|a\s+thing|anything))?"
    r"|(?:nothing|isn't\s+a\s+thing|not\s+a\s+thing)\s+(?:that\s+)?I(?:'d|\s+would)\s+change|not\s+a\s+bad\s+word|nothing\s+bad|(?:no|without)\s+(?:any\s+)?(?:argument|arguing|quibbling|stress|ifs)"
    r"|not\s+(?:at\s+all\s+|too\s+|so\s+|a\s+|overly\s+)?(?:bad|shabby|cheap-looking|disappointed|wrong|mistake)"
    r"|not\s+(?:at\s+all|too|overly)\s+(?:tight|loose|big|small|large|long|short|heavy|loud|sweet|bitter|strong|expensive|dear|hot|cold|thick|thin|wide|narrow|hard|soft|late|difficult))\b",
    re.IGNORECASE,
)
# 'Never had a better one' praises, 'is no better' does not.
_BEST = re.compile(
    r"\b(?:never|not|nobody|no\s+one|nothing|couldn't|could\s+not|can't|cannot|won't|will\s+not|don't|wouldn't|hardly)\s+(?!better\b|any\s+better\b)(?:(?!\b(?:get|getting|got|gets)\b)\w+\s+){1,4}"
    r"(?:better|happier|nicer|easier|faster|quicker|kinder|prettier|more\s+(?:pleased|satisfied|helpful|delighted|perfect))\b"
    r"|\b(?:doesn't|does\s+not|can't|cannot|won't|will\s+not)\s+get\s+(?:any\s+|much\s+)?(?:better|easier|nicer)\s+than\b|(?<!not\s)(?<!n't\s)(?<!nothing\s)\bas\s+(?:I\s+|we\s+)?(?:expected|hoped)\b"
    r"|\bnothing\s+(?:beats|better)\b|\b(?:better|nicer|faster|quicker|sooner|earlier|bigger\s+and\s+better)\s+than\s+(?:I\s+|we\s+)?(?:expected|hoped|promised|thought|announced|stated|described)",
    re.IGNORECASE,
)
_COMPLAINTS = re.compile(
    r"\b(?:(?:had|have|having)\s+(?:it\s+|this\s+|them\s+)?to\s+(?:be\s+)?(?:send|sent|return(?:ed)?|throw|thrown|bin|call|phone|ring|chase|fix|glue|sew|cut|repair|drive|pay|ask|wait|write|buy|order)"
    r"|(?:expected|hoped\s+for|was\s+hoping\s+for|had\s+hoped\s+for)\s+(?:\w+\s+){0,3}(?:more|better|something)|not\s+(?:quite\s+|really\s+|exactly\s+)?(?:what|as(?!\s+bad)|up\s+to|the\s+\w+\s+(?:I|it|they|you|we))\b"
    r"|(?:isn't|wasn't|aren't|weren't)\s+(?:quite\s+|really\s+|exactly\s+)?(?:what|as|up\s+to)\b|would\s+(?:have\s+been|be)\s+(?:\w+\s+)?(?:nice|good|great|kind|lovely|helpful|better|useful|appreciated|wonderful|fair)"
    r"|would\s+(?:really\s+|have\s+)?(?:appreciate|wish|prefer|welcome|expect)(?:d|ed)?|would\s+have\s+(?:liked|loved|wished|thought|been\s+happier)|(?:I|we)\s+(?:do\s+|only\s+|just\s+)?wish(?:ed)?\b|if\s+only"
    r"|could\s+(?:\w+\s+)?(?:have\s+been|be|do|use|pack|have)\s+(?:\w+\s+){0,3}(?:better|nicer|faster|clearer|more|improved|improvement)|(?:pack|do)\s+(?:\w+\s+){0,3}better|room\s+for\s+improvement|to\s+be\s+desired"
    r"|not\s+once\s+(?:did|has|have|was|were)|nice\s+try|so\s+(?:good|kind)\s+as\s+to|(?:may|might|can|could)\s+I\s+suggest|I(?:'ve|\s+have)\s+been\s+(?:\w+\s+)?patient|(?:expected|deserved|waiting\s+for|owe\s+me)\s+an\s+apology"
    r"|where\s+(?:is|are|'s)\s+(?:my|our)|where\s+(?:my|our)\s+\w+\s+(?:is|are|was|went|could|might)|(?:everywhere\s+else|in\s+other\s+shops|usually|normally)\b[^.!?]*\b(?:here\s+I|this\s+(?:one|was|is)|these\s+(?:are|were)|with\s+you)"
    r"|(?<!nothing\sI\s)(?<!thing\sI\s)(?<!what\sI\s)(?:do\s+not|don't|didn't|did\s+not|doesn't|does\s+not)\s+(?:really\s+|much\s+|particularly\s+)?(?:like|love|enjoy|care\s+for|suit)\b|(?:to|with|of)\s+no\s+(?:avail|success|effect)|in\s+vain"
    r"|(?:sorry|sad|afraid|disappointed)\s+(?:\w+\s+)?(?:to\s+(?:say|tell|report|inform|bother|see)|that|there|the|it|my|our)\b|if\s+you\s+(?:don't|do\s+not)\s+mind\s+\w+ing|if\s+you\s+have\s+(?:a|the)\s+(?:year|day|week|month|patience|time|lifetime)"
    r"|please\s+(?:\w+\s+)?(?:look\s+into|see\s+to|sort|refund|replace|cancel|correct|respond|fix|improve|change|stop|call|reply|answer|check|get\s+back|explain|let\s+me\s+know\s+(?:where|when|why))|(?:may|might|must)\s+I\s+(?:\w+\s+)?remind"
    r"|(?:could|can|would)\s+(?:you|somebody|someone|anybody|anyone)\s+(?:please\s+|kindly\s+|perhaps\s+)?(?:tell\s+me|let\s+me\s+know|explain|say)\s+(?:\w+\s+){0,2}(?:where|when|why|what)\b[^?]*\b(?:order|parcel|refund|money|it\s+(?:is|was)|take|took)"
    r"|never\s+again|(?:won't|will\s+not|wouldn't|would\s+not|shan't|not)\s+(?:be\s+)?(?:\w+\s+)?(?:order(?:ing)?|buy(?:ing)?|shop(?:ping)?|com(?:e|ing)|recommend(?:ing)?|return(?:ing)?|using|back)\b"
    r"|(?:can't|cannot|couldn't|could\s+not|don't|do\s+not)\s+(?:\w+\s+)?recommend|last\s+time\s+(?:I|we)|first\s+and\s+last|(?:look(?:ing)?|go(?:ing)?|order(?:ing)?|shop(?:ping)?|buy(?:ing)?)\s+elsewhere"
    r"|avoid|beware|stay\s+away|steer\s+clear|(?:don't|do\s+not)\s+(?:bother|waste|buy|order)|waste\s+of|rip[- ]?off|for\s+nothing|of\s+no\s+(?:use|help)|no\s+(?:use|good|thanks)|not\s+worth|isn't\s+worth"
    r"|still\s+(?:no|not|nothing|waiting|haven't|hasn't|unresolved|un\w+ed)|not\s+(?:been\s+)?(?:solved|fixed|resolved|answered|refunded)|unresolved|(?:second|third|fourth|fifth)\s+(?:time|attempt|reminder|replacement|e-?mail)"
    r"|gave\s+up|give\s+up|falls?\s+short|let\s+(?:me|us)\s+down|let\s?down|sen[dt]\s+(?:it|them|this|both|everything)\s+(?:straight\s+)?back|back\s+it\s+(?:goes|went)|going\s+back|went\s+(?:straight\s+)?back"
    r"|(?:want|wanted|like)\s+my\s+money\s+back|in\s+(?:the\s+)?(?:bin|rubbish|trash)|thr(?:ew|ow|own)\s+(?:it\s+|them\s+)?away|un(?:usable|acceptable|reliable|wearable)|useless|pointless|joke|disgrace(?:ful)?|scam|fraud"
    r"|shame|pity|disaster|nightmare|wish\s+I\s+had(?:n't|\s+not|\s+never)?|get\s+what\s+(?:you|one)\s+pay|used\s+to\s+be|once\s+(?:was|were)|(?:half|one)\s+(?:of\s+it\s+)?(?:was\s+|is\s+)?missing|gone\s+downhill|(?:a|one)\s+used\s+(?:item|one)"
    r"|(?:nobody|no\s+one|no-one)\s+(?:\w+\s+){0,2}(?:repl\w+|answer\w*|respond\w*|car(?:es|ed)|help\w*|rang|knocked|knows|came)|shattered|smashed|in\s+pieces|soaked|crushed|mouldy|moldy"
    r"|(?:didn't|did\s+not|doesn't|does\s+not|don't|won't|wouldn't|never)\s+(?:even\s+|really\s+|quite\s+)?(?:work|fit|arrive|come|show|help|reply|answer|last|match|close|turn\s+on|hold|taste|look\s+like)"
    r"|(?:barely|hardly|scarcely)\s+(?:get|fits?|works?|holds?|covers?|lasted|any)|way\s+(?:off|too)|(?:\d+|one|two|three|four|a|half\s+a)\s+(?:whole\s+)?sizes?\s+(?:too\s+)?(?:big|small|large|bigger|smaller|off)"
    r"|(?:lose|loses|lost|losing)\s+(?:my|our|the|it|this)\b|(?:not|\w+n't)\s+moved|took\s+(?!only\b|just\b|less\b)(?:\w+\s+){0,2}(?:days|weeks|months)|(?:days?|weeks?|months?)\s+(?:after\s+(?:the|my|his|her|our|Christmas)|overdue)"
    r"|came\s+(?:up|out)\s+(?:\w+\s+){0,2}(?:small|large|big|tight|loose|long|short)|so\s+(?:tight|loose|short|baggy|narrow|stiff|heavy|thin)\s+(?:that|it|I|you|they)"
    r"|may\s+I\s+(?:\w+\s+)?ask\s+(?:when|where|why|how\s+long)|(?:be|am)\s+(?:\w+\s+)?grateful\s+(?:for\s+(?:a|an|your|some)|if)|kindly\s+(?:check|tell|reply|answer|send|refund|explain|improve|stop|look)"
    r"|forgive\s+me|with\s+the\s+best\s+will|(?:one|you)\s+would\s+(?:think|expect)|(?:don't|do\s+not)\s+(?:want|wish|mean)\s+to\s+(?:be|seem|sound)|would\s+(?:just|really|only|simply|at\s+least)\s+like"
    r"|(?:can't|cannot|can\s+not|could\s+not|couldn't|would\s+not|wouldn't|won't|will\s+not|unable\s+to|impossible\s+to)\s+(?:\w+\s+)?(?:use|wear|solve|open|close|reach|get(?!\s+enough)|go(?!\s+wrong)|help|read|drink|eat|see|understand|turn|switch|charge|connect|stay|be\s+used|say\s+I)"
    r"|stopped\s+(?:working|after|heating|charging|closing|holding)|holes?\s+in|(?:is|was|were|are|still|still\s+is)\s+missing|(?:expected|ordered|paid\s+for)\s+(?:\w+\s+){1,4}(?:and|but)\s+got|(?:far|way|much|centimet(?:re|er)s?|inch(?:es)?)\s+too\s+\w+"
    r"|pinch(?:es)?|(?:been|am|are|was|were)\s+waiting|(?:arrived|came|delivered|turned\s+up)\s+(?:long\s+)?after|(?:was|were)\s+(?:supposed|meant|promised)\s+(?:to|for)|ordered\s+(?:in|on)\b.*\b(?:now|today)|claims?\s+(?:that\s+)?(?:I|to|it|they)"
    r"|lost\s+(?:a|another|one)\s+customer|lasted\s+(?:all\s+of|a\s+whole|barely|only|just|(?:one|two|three)\s+(?:days?|weeks?|hours?|wash\w*|evenings?|uses?))|wrong\s+(?:\w+\s+)?(?:colou?r|item|size|one|product|model|article)"
    r"|if\s+you\s+(?:enjoy|like|love|fancy)\s+(?:waiting|being\s+ignored|queu\w+|paying|surprises|disappointment\w*))\b",
    re.IGNORECASE,
)
_PRAISES = re.compile(
    r"\b(?:(?:highly|really|fully|definitely|warmly|thoroughly|can\s+only|would|will|to)\s+recommend(?:ed)?(?!\s+(?:against|avoiding))|recommended|(?:will|would|shall)\s+(?:definitely\s+|certainly\s+|gladly\s+|always\s+)?(?:buy|order|come\s+back|be\s+back|shop\s+here)(?:\s+\w+){0,3}(?:\s+again)?"
    r"|(?:already\s+)?ordered\s+(?:another|a\s+second|two\s+more|more)|exceed(?:s|ed)|exactly\s+(?:as|what|right)|just\s+(?:right|as\s+(?:described|promised|pictured))|as\s+(?:described|promised|pictured|announced|advertised|ordered)"
    r"|(?:a|an\s+absolute)\s+(?:breeze|doddle|gem|treasure|delight|joy)|adore[sd]?|overnight|made\s+to\s+last|so\s+patient|(?:took|takes)\s+(?:\w+\s+){0,2}(?:seconds|a\s+minute|one\s+minute|two\s+minutes)|how\s+little\s+I\s+paid"
    r"|(?:finally|at\s+last)\b[^.!?]*\b(?:fits?|works|made\s+for|for\s+my)|(?:was|were)\s+here\s+(?:on|by|the|before|within|in)|(?:came|arrived|here|delivered)\s+(?:right\s+|exactly\s+|just\s+)?on\s+the\s+day|went\s+out\s+of\s+(?:their|his|her|your)\s+way"
    r"|on\s+time|ahead\s+of|(?:\w+\s+)?days?\s+(?:early|earlier)|came\s+early|in\s+no\s+time|next\s+day|(?:the\s+)?(?:very\s+)?same\s+(?:day|afternoon|evening)|true\s+to\s+size|fits?\s+(?:like\s+a\s+glove|perfectly|well|beautifully|wonderfully)|spot\s+on|like\s+new"
    r"|still\s+(?:going\s+strong|works|working|looks\s+(?:new|good|great|like\s+new))|worth\s+(?:it|the\s+\w+|every|waiting)|(?:well|safely|carefully|neatly|securely)\s+(?:packed|wrapped|made|packaged)|works?\s+(?:a\s+treat|well|perfectly|fine|like\s+a\s+charm)"
    r"|delight(?:s|ed|ful)?|thrilled|over\s+the\s+moon|(?:quick|fast|prompt)(?:ly)?\s+(?:refund|reply|answer|response|delivery|shipping)|replaced\s+(?:it\s+|them\s+)?(?:at\s+once|immediately|free)"
    r"|without\s+(?:a\s+)?question|no\s+questions\s+asked|keep\s+it\s+up|keep\s+up\s+the|hats\s+off|thumbs\s+up|must[- ]have|top\s+marks|(?:five|5)\s+stars|saved\s+(?:the|my)|(?:here|arrived|came|delivered|refunded|answered|replied)\s+(?:within|in\s+(?:one|two|a|1|2|less|under))|amazed|(?:Monday|Tuesday|Wednesday|Thursday|yesterday|today)[^.!?]*\bhere\s+(?:on\s+)?(?:Tuesday|Wednesday|Thursday|Friday|today|tomorrow))\b",
    re.IGNORECASE,
)
# An outcry or thanks in front that a fault in the same breath turns round.
_OUTCRY = re.compile(
    r"^\s*(?:(?:oh\s+|how\s+|what\s+(?:a\s+)?|really\s+|absolutely\s+|simply\s+)?(?:great|wonderful|brilliant|fantastic|lovely|amazing|excellent|perfect|super|marvellous|bravo|congratulations"
    r"|well\s+done|thanks(?:\s+(?:a\s+lot|so\s+much))?|thank\s+you(?:\s+(?:so|very)\s+much)?|just\s+(?:what\s+\w+\s+(?:needed|wanted)|great)|impressive|nice|charming|top|bargain)"
    r"(?:\s+(?:one|job|work|touch|stuff|service|start|timing|experience|quality|bargain))?\s*[,.!:\u2026]"
    r"|I\s+(?:just\s+|really\s+|do\s+)?(?:love|adore|enjoy(?:ed)?)\s+(?=being|having|how|when|waiting|to\s+wait|it\s+when|paying|queu\w+|standing\s+in|spending|chasing|calling|listening\s+to))",
    re.IGNORECASE,
)
# Marks, congratulations or thanks for what nobody wants.
_MOCKED = re.compile(
    r"\b(?:(?:full|top)\s+marks|(?:ten|10)\s*(?:out\s+of|/)\s*(?:ten|10)|five\s+stars|congratulations|well\s+done|bravo|hats\s+off|kudos|thanks(?:\s+(?:a\s+lot|so\s+much))?"
    r"|thank\s+you(?:\s+(?:so|very)\s+much)?|how\s+(?:nice|kind|lovely|thoughtful)\s+of\s+you)\s+(?:to\s+you\s+)?(?:for|on|to)\s+(?:not\b|never\b|nothing\b|los(?:e|ing)|break(?:ing)?|ignor(?:e|ing)|forget(?:ting)?"
    r"|wast(?:e|ing)|ruin(?:ing)?|delay(?:ing)?|cancel(?:l?ing)?|miss(?:ing)?|overcharg\w+|mak(?:e|ing)\s+(?:me|us)\s+(?:wait|pay|feel|queue)|(?:send|leav|keep)(?:ing|e)?\s+(?:me|us)\s+(?:the\s+wrong|wait\w*|hanging|another|two))",
    re.IGNORECASE,
)
# Words of mood that have none where they stand.
_NO_MOOD = re.compile(r"\bon\s+top\s+of\b", re.IGNORECASE)
_YET_ANOTHER = re.compile(r"^\W*(?:yet\s+)?another\b|\bonce\s+(?:more|again)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")


@dataclass(frozen=True)
class Scores:
    """What is known of a text before any model: the lexicons' scores and what its wording comes to."""

    textblob: float
    vader: float
    praising: float
    blaming: float
    wording: float
    mixed: bool

    @property
    def numbers(self) -> tuple[float, ...]:
        """The scores as features."""
        return (self.textblob, self.vader, self.praising, self.blaming, self.wording, float(self.mixed))


def textblob(text: str) -> float:
    """How positive are a text's words, from −1 to 1? TextBlob's pattern lexicon; 0.0 where no word is in it.

    >>> textblob("What a lovely cup") > 0 > textblob("The worst cup")
    True
    """
    lexicon, tokens, assess = _pattern()
    found = assess(lexicon, ((token.lower(), None) for token in " ".join(tokens(text)).split()))
    total = 0.0
    for one in found:
        total += one[1]
    return total / (len(found) or 1)


class _Plain(dict[str, Any]):
    """TextBlob's lexicon as a dictionary that is loaded: the original asks at every look whether it is."""


@cache
def _pattern() -> tuple[_Plain, Any, Any]:
    """TextBlob's lexicon, its tokens of a text and its reading of them; the rest of its `sentiment` is not needed here."""
    from textblob.en import Sentiment, parser, sentiment

    sentiment("good")  # loads the words
    plain = _Plain(dict.items(sentiment))
    plain.__dict__.update(vars(sentiment))
    return plain, parser.find_tokens, Sentiment.assessments


@lru_cache(maxsize=1 << 15)
def word(one: str) -> float:
    """The mood of a single word by TextBlob, remembered: few words make up most texts."""
    return textblob(one)


def vader(text: str) -> float:
    """The same by VADER (Hutto and Gilbert 2014), which also hears capitals, exclamation marks and emoji: its compound score.

    >>> vader("What a lovely cup") > 0 > vader("The worst cup")
    True
    """
    return float(vader_shares(text)["compound"])


def vader_shares(text: str) -> dict[str, float]:
    """VADER's compound score and the shares of praising ('pos') and blaming ('neg') words."""
    shares: dict[str, float] = _analyzer().polarity_scores(text)
    return shares


@cache
def _analyzer() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


@dataclass(frozen=True)
class Mood:
    """What the wording of a text comes to, −1 to 1, and whether clauses of opposite mood stand in it."""

    polarity: float
    mixed: bool


def mood(text: str) -> Mood:
    """How does a text's wording read, clause by clause, with what follows 'but' weighing more?

    >>> mood("The return was easy but the dress never arrived.").polarity < 0 < mood("No problems at all").polarity
    True
    """
    plain = text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    weighed: list[tuple[float, float]] = []
    for sentence in _PAUSE.split(plain):
        bare = sentence.strip(" .!;:\u2026")
        weighed += [(_complaint(bare), 1.0)] if bare.endswith("?") else _weighed(bare)
    heard = [(strength, weight) for strength, weight in weighed if strength]
    if _sour(plain):
        return Mood(min([COMPLAINT, *(strength for strength, _ in heard)]), False)
    if not heard:
        return Mood(0.0, False)
    total = sum(strength * weight for strength, weight in heard) / sum(weight for _, weight in heard)
    strengths = [strength for strength, _ in heard]
    return Mood(max(-1.0, min(1.0, total)), min(strengths) <= -MIXED and max(strengths) >= MIXED)


def clause_mood(clause: str) -> float:
    """How does one clause read? Faults and phrases first, TextBlob for the words that are left; 0.0 where nothing speaks."""
    heard: list[float] = []
    rest = clause
    for pattern, strength in ((_BEST, PRAISE), (_GOOD_DENIALS, PRAISE)):
        if pattern.search(rest):
            heard.append(strength)
            rest = pattern.sub(" ", rest)
    if any(names_fault(rest, theme) for theme in FAULTS):
        heard.append(FAULT)
    if _COMPLAINTS.search(rest):
        heard.append(COMPLAINT)
        rest = _COMPLAINTS.sub(" ", rest)
    elif not heard or heard[-1] != FAULT:
        praised = _PRAISES.search(rest)
        if praised:
            denied = bool(_DENIES.search(rest[: praised.start()]))
            heard.append(-PRAISE if denied else PRAISE)
    words = _words(rest)
    # A named fault or complaint outweighs the words of the same clause: 'a lovely dress that never arrived'.
    wronged = bool(heard) and min(heard) < 0
    if abs(words) >= (MIXED if wronged and words > 0 else 0.05):
        heard.append(0.4 * words if wronged and words > 0 else words)
    return sum(heard) / len(heard) if heard else 0.0


def _complaint(question: str) -> float:
    """A question has no mood of its own unless it complains: 'Is it safe?' asks, 'Where is my parcel? Still waiting' does not."""
    return COMPLAINT if _COMPLAINTS.search(question) or any(names_fault(question, theme) for theme in FAULTS) else 0.0


def _weighed(sentence: str) -> list[tuple[float, float]]:
    """The moods of a sentence's clauses with their weights."""
    under = _THOUGH.match(sentence)
    if under:
        return _against(clause_mood(under["under"]), clause_mood(under["main"]))
    pieces = [piece for piece in _TURN.split(sentence) if piece and piece.strip()]
    if len(pieces) > 1:
        *before, last = (clause_mood(piece) for piece in pieces)
        heard = [strength for strength in before if strength]
        return _against(sum(heard) / len(heard) if heard else 0.0, last)
    pieces = [piece for piece in _THOUGH_LATER.split(sentence) if piece.strip()]
    if len(pieces) > 1:
        return [(clause_mood(piece), 1.0 if place == 0 else BEFORE_BUT) for place, piece in enumerate(pieces)]
    pieces = [piece for piece in re.split(r",|\band\b", sentence) if piece.strip()]
    moods = [clause_mood(piece) for piece in pieces]
    if len(pieces) > 1 and min(moods) < 0 < max(moods):
        return [(strength, 1.0) for strength in moods]
    return [(clause_mood(sentence), 1.0)]


def _words(clause: str) -> float:
    """The mood of a clause's words: TextBlob's, what a negator reaches turned round; VADER's where TextBlob knows none."""
    denied = _with_denials(clause)
    strength = textblob(denied)
    if strength:
        return min(strength, -3 * MILD) if -3 * MILD < strength < 0 and " not " in f" {denied} " else strength
    heard = vader(clause)
    return VADER_WEIGHT * heard if abs(heard) >= 0.3 else 0.0


def _against(given: float, turned: float) -> list[tuple[float, float]]:
    """What is granted and what it gives way to. After praise, 'but' announces a complaint even in words that say nothing."""
    if given > 0 and not turned:
        turned = COMPLAINT
    return [(given, BEFORE_BUT), (turned, 1.0)]


def _with_denials(clause: str) -> str:
    """A clause in which every word that a negator reaches has a 'not' of its own, the only form TextBlob understands.

    A negator reaches five words on, 'nor' and 'or' carry it further; 'not only', 'no doubt' deny nothing.
    """
    clause = _FAR_FROM.sub("not ", _NO_DENIAL.sub(" ", _NO_MOOD.sub(" ", clause)))
    out: list[str] = []
    reach = 0
    tokens = _WORD.findall(clause)
    for token in tokens:
        low = token.casefold()
        if re.fullmatch(
            r"not|never|nor|neither|hardly|scarcely|barely|nothing|nobody|none|without|cannot|no|\w+n't", low
        ):
            reach = 5
            continue
        if low in ("nor", "or") and reach:
            reach = 5
        if reach and abs(word(low)) >= MILD:
            out.append("not")
        out.append(token)
        reach = max(0, reach - 1)
    return " ".join(out)


def _sour(text: str) -> bool:
    """Is this praise that a fault in the next breath turns round: 'Great, another cup without a handle'?"""
    if _MOCKED.search(text):
        return True
    outcry = _OUTCRY.match(text)
    rest = text[outcry.end() :].strip() if outcry else ""
    if not rest or _TURN.search(text):
        return False
    first = _PAUSE.split(rest)[0]
    return clause_mood(first) < 0 or (bool(_YET_ANOTHER.search(first)) and clause_mood(first) <= 0)


def scores(text: str) -> Scores:
    """All that the lexicons and the wording say of a text."""
    said, own = vader_shares(text), mood(text)
    return Scores(textblob(text), said["compound"], said["pos"], said["neg"], own.polarity, own.mixed)
