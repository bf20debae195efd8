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
        pric(?:e[sdy]?|ey|ier|ing) | overpriced | expensive(?:ly)? | inexpensive | (?<!looks\ )(?<!look\ )(?<!looked\ )(?<!feels\ )(?<!feel\ )cheap(?!ly|\s+(?:made|material|plastic))(?:er|est)?
        | cost(?:s|ly|ing)? | afford(?:able|ed)? | bargains? | discount(?:s|ed)? | good\ value | value\ for\ (?:the\ )?money
        | money'?s\ worth | worth\ (?:the|every|its|that)\ (?:money|price|penny|cent|euro)s? | waste\ of\ money
        | rip[- ]?offs? | euros? | dollars? | pounds | bucks | voucher(?:s)?
        | overpaid | over\ the\ odds | a\ steal | voucher\ codes? | coupons? | promo(?:tion)?\ codes? | (?:poor|bad|great|fair|excellent|amazing)\ value | on\ (?:sale|offer) | extortionate
        | exorbitant | fortune | overcharg\w+ | how\ (?:little|much)\ I\ paid | paid\ (?:too\ much|a\ lot) | (?:charged?|paid|pay)\ (?:me\ |us\ )?(?:\d+|less|more)\b | for\ that\ (?:sort|kind)\ of\ money
    """,
    "delivery": r"""
        deliver(?:y|ies|ed|s|ing)? | ship(?:s|ped|ping|ments?)? | arriv(?:e[sd]?|als?|ing) | couriers? | carriers? | parcels?
        | packages? | packaging | post(?:man|al|age) | dispatch(?:ed)? | despatch(?:ed)? | track(?:ing|ed) | in\ transit
        | lost\ in\ the\ (?:post|mail) | in\ the\ (?:post|mail) | on\ time | (?<!my\ )late | delay(?:s|ed)? | turned\ up | never\ came
        | came\ (?:late|early|quickly|fast|within|after|on|in|a) | (?:wait(?:ed|ing)?|took)\ (?:\w+\ ){0,4}(?:days?|weeks?|months?)
        | doorstep | driver
        | (?:well|carefully|neatly|safely|badly|poorly|nicely)\ (?:packed|wrapped|packaged) | (?:was|is|were|are)\ here\ (?:by|on|in|within|the|before|after) | letterbox | next\ day | overnight\ (?:post|delivery)
        | on\ (?:its|their)\ way | (?:super|very|really|so|incredibly)\ (?:quick|fast)$ | sent\ (?:quickly|fast|promptly)
    """,
    "quality": r"""
        quality | br(?:oke(?:n)?|eaks?|eaking) | f(?:ell|alls?|alling|allen)\ apart | defect(?:s|ive)? | fault(?:y|s)? | flaw(?:s|ed|less)?
        | damaged? | scratch(?:es|ed)? | tore | torn | ripped | seams? | stitch(?:es|ing|ed)? | fabrics? | materials? | durab(?:le|ility)
        | sturdy | flimsy | (?:well|poorly|badly|cheaply|beautifully|nicely|cheap)[- ]made | cheap\ (?:material|plastic) | craftsmanship | workmanship
        | fad(?:ed?|es|ing) | shrank | shrunk | leak(?:s|ed|ing|y)? | crack(?:s|ed|ing)? | dent(?:s|ed)? | (?:wore|worn)\ out | chipped
        | stopped\ working | (?:does|did)(?:n't|\ not)\ work | works\ (?:well|perfectly|great|fine) | (?:lasts|lasted|lasting) | (?:to|will|would|not|long|\w+n't)\ last | solid
        | tast(?:e[sd]?|y|eless|ing) | flavou?r(?:s|ful|less)? | aroma(?:s|tic)? | stale | fresh(?:ly|ness)?
        | (?:well|beautifully|perfectly|badly|poorly|nicely)\ (?:finished|built|sewn|put\ together) | made\ to\ last | (?:heavy|soft|thick|thin)\ (?:cotton|wool|linen|leather|fabric|glass|steel) | (?:rough|clean)\ edges
        | (?:not\ a|without\ a)\ mark | plasticky | holds\ up | held\ up | hard[- ]?wearing | robust | like\ new
    """,
    "fit": r"""
        fit(?:s|ted|ting)? | siz(?:e[sd]?|ing) | too\ (?:small|big|large|tight|loose|long|short|wide|narrow|baggy)
        | r(?:u|a)n(?:s|ning)?\ (?:\w+\ )?(?:small|large|big|tight|short|long|true|wide|narrow)
        | comes?\ up\ (?:\w+\ )?(?:small|large|big|short|long) | tight | (?<!coming\ )(?<!comes\ )(?<!came\ )(?<!come\ )loose | snug(?:ly)? | baggy | waist | sleeves? | hems?
        | measurements? | (?:larger|smaller|bigger|shorter|longer)\ than
        | the\ cut\b | right\ length | length\ is | sits?\ (?:well|perfectly|nicely|badly) | too\ (?:snug|broad|slim|roomy) | shoulders? | in\ the\ (?:leg|arm|waist|hips|bust)
    """,
    "service": r"""
        (?:customer|client)\ (?:service|care|support|relations) | service | support | help\ ?desk | hotline | helpline | staff | agents?
        | representatives? | repl(?:y|ied|ies) | respon(?:d(?:s|ed)?|ses?|sive) | answer(?:s|ed|ing)? | rude(?:ly)? | polite(?:ly)?
        | friendly | (?:un)?helpful | e-?mail(?:s|ed)? | contact(?:ed|ing)? | complain(?:t|ts|ed)? | live\ chat | chat | hung\ up
        | phoned | called | on\ hold | ignored
        | assistants? | advis[eo]rs? | (?:the|your|sales)\ team | (?:on|over|answers?)\ the\ (?:phone|line) | phone\ calls? | call\ (?:centre|center|back) | (?:rang|phoned)\ (?:them|you|up|the)
        | (?:wrote|written)\ (?:to|back) | customer\ desk | apolog(?:y|ies|ise[sd]?|ize[sd]?)
    """,
    "returns": r"""
        return(?:s|ed|ing)?(?!\s+customer) | refund(?:s|ed|ing)? | exchang(?:e[sd]?|ing) | money\ back | replacements?
        | s(?:en[dt]|ending)\ (?:\w+\ ){0,3}back | took\ it\ back | (?:sent|gave|give)\ me\ a\ new | credit\ note
        | guarantee | warranty | (?:take|took|taken|have)\ (?:it|them|this|the\ \w+)\ back | my\ claim | swap(?:s|ped|ping)?\ (?:it|them|this)\ (?:for|against) | my\ money\ back
    """,
    "website": r"""
        web\ ?(?:site|page|shop)s? | site | online\ (?:shop|store) | app | check[- ]?out | log(?:ged|ging)?[- ]?in | password
        | (?:my|an?)\ account | (?<!tracking\ )pages? | navigat(?:e|ion|ing) | search\ (?:function|filters?|bar|box) | payment
        | shopping\ (?:cart|basket|bag) | browsers? | crash(?:es|ed|ing)? | click(?:s|ed|ing)? | order\ form | error\ message
        | product\ (?:photos?|pictures?|descriptions?)
        | order(?:s|ed|ing)?\ online | online\ order(?:s|ing)? | registering | registration | paying\ (?:was|took|online|by|with) | log\ (?:me|in|on|out) | logs?\ me | (?:my|the|shopping)\ cart
        | plac(?:e|ing)\ (?:the|my|an)\ order | pay\ (?:with|by)\ (?:my\ )?(?:card|PayPal) | (?:the|your)\ (?:sorting|filters?|links?|menu|search)\b
    """,
}  # fmt: skip
_NOT = r"(?:not|never|\w+n't|cannot|no\ longer)"
_DAMAGED = r"(?:crushed|squashed|soaked|wet|dented|battered|ripped|torn|open(?:ed)?|damaged|empty|smashed|broken)"
_TIMES = r"(?:twice|(?:two|three|four|five|six|several|many|countless|\d+)\ times)"
_SIZE = r"(?:small|large|big|tight|loose|long|short|wide|narrow|baggy|snug|broad|slim|roomy)"
_BODY = (
    r"(?:hips?|waist|middle|shoulders?|chest|bust|ribs?|head|f(?:ee|oo)t|toes?|heels?|calf|calves|thighs?|arms?|armpits?|elbows?|wrists?|legs?|knees?|ankles?"
    r"|necks?|throat|belly|stomach|bottom|back)"
)
_GARMENT = r"(?:sleeves?|trousers|legs?|waist(?:band)?|shoulders?|hems?|collars?|cuffs?|straps?|cups?|necklines?|cut|shoes?|boots?|soles?|dress|shirt|coat|skirt|hat|gloves?|bra)"
_SPAN = r"(?:(?:\d+|an?|one|two|three|four|five|six|seven|eight|nine|ten|twelve|several|many|some|a\ few|another|whole|full|more\ than|over|nearly|almost|about)\ ){1,3}(?:weeks?|months?|fortnights?)"
_LONG = r"(?:(?:over|more\ than|nearly|almost|about|a\ (?:full|whole))\ )?(?:(?:[6-9]|\d\d+|six|seven|eight|nine|ten|eleven|twelve|fourteen|sixteen|twenty)\ (?:working\ )?days|(?:(?:an?|\d+|one|two|three|four|five|six|several|many)\ )?(?:whole\ |full\ )?(?:weeks?|months?|fortnights?))"
_DAY = r"(?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|tomorrow|yesterday|today|Christmas|Easter|the\ (?:\d+|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|\w+teenth|twent\w+|\w+tieth)|(?:last|this)\ week)"
_MONEY = r"(?:\d+|ten|fifteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred)\ (?:euros?|pounds?|dollars?|quid|bucks)"
_FAULTS = {
    "price": rf"""
        overpriced | too\ (?:expensive|dear|pricey|costly) | (?:not|\w+n't|hardly)\ (?:\w+\ )?worth | rip[- ]?offs? | waste\ of\ money
        | (?:elsewhere|else|shops?|store|market|online|town|street)\ (?:\w+\ ){{0,4}}half\ (?:the\ price|as\ much) | cheaper\ (?:elsewhere|at|on|in) | (?:bit|rather|quite|so|pretty)\ (?:expensive|pricey|dear|steep|costly)
        | pric(?:e|es)\ (?:\w+\ ){{0,3}}(?:increased?|rise|hike|up) | hidden\ (?:fees?|costs?|charges?) | charged\ (?:\w+\ )?(?:twice|extra|more|double)
        | costs?\ (?:a\ fortune|too\ much) | too\ much\ (?:money|for) | daylight\ robbery | at\ (?:this|that)\ price\ I\ expect(?:ed)?
        | (?:has|have|had|prices?|costs?|keeps?)\ (?:\w+\ )?(?:gone|going|went|shot|crept)\ (?:up|through\ the\ roof) | (?:rais|hik|increas|upp)ed\ (?:your|their|the)\ prices? | (?:got|getting|become|became)\ (?:dearer|pricier|more\ expensive)
        | (?:arm|fortune)\ and\ a\ leg | a\ (?:small\ )?fortune | overpaid | overcharg\w+ | over\ the\ odds | extortionate | exorbitant | unaffordable | {_NOT}\ (?:\w+\ )?afford
        | (?:less|cheaper|lower)\ (?:(?!than)\w+\ )?(?:at|in|from|elsewhere|somewhere) | (?:less|cheaper)\ (?:for\ )?the\ (?:very\ )?same | (?:reduced|cheaper|on\ sale|on\ offer|marked\ down|dropped)\ (?:\w+\ ){{0,3}}(?:later|the\ (?:next|day|week)|for\ half)
        | (?:day|week|days|weeks)\ (?:after|later),?\ (?:\w+\ ){{0,3}}(?:on\ (?:sale|offer)|reduced|cheaper|less|half) | (?:paid|pay|charged?|costs?|cost\ me)\ (?:\w+\ ){{0,3}}(?:too\ much|instead\ of|more\ than)
        | (?:poor|bad|terrible|no)\ value | (?:not|\w+n't)\ (?:\w+\ )?(?:good|great)\ value | (?:expect\w*|get)\ (?:\w+\ )?more\ for\ (?:that|this|the|my)\ (?:\w+\ ){{0,2}}(?:money|price)
        | {_MONEY}\ for\ (?:an?|one)\ (?:simple|plain|mere|tiny|little|piece|bit|scrap) | worth\ (?:\w+\ )?(?:half|a\ third|a\ quarter|a\ fraction)
        | (?:code|voucher|coupon|discount|promotion)s?\ (?:\w+\ ){{0,3}}(?:{_NOT}\ (?:\w+\ )?(?:accept\w*|appl\w*|work\w*|valid|count\w*|taken|recogni\w*|come|deducted)|refused|rejected|expired|invalid|declined|ignored)
    """,
    "delivery": rf"""
        {_NOT}\ (?:\w+\ ){{0,2}}(?:arriv\w+|turn(?:ed)?\ up|come(?!\ (?:off|apart|undone|with|in|up))|came(?!\ (?:off|apart|undone|with|in|up))|show(?:n|ed)?\ up|deliver\w*|shipp?\w*|received|dispatched|got\ here)
        | still\ (?:waiting|missing|not\ here|no\ sign|nothing) | (?:days?|weeks?|months?|hours?)\ late | too\ late | late\ (?:delivery|arrival|again)
        | (?:arriv|came|turn|deliver|show|com)\w*\ (?:\w+\ ){{0,3}}late | delay(?:s|ed)? | (?:took|takes|taken)\ (?:forever|ages|an\ eternity)
        | (?:took|takes|taken|waited|waiting)\ (?:\w+\ ){{0,3}}(?:too\ long|weeks|months?|ages|forever) | (?:days|weeks?|months?)\ (?:\w+\ ){{0,2}}too\ long | waited\ in\ (?:all|vain)
        | (?:lost|missing|vanished|disappeared)\ (?:in|by|parcel|package|item|items|from|somewhere) | (?:went|gone|got|get|gets|was|were)\ (?:missing|lost)
        | {_DAMAGED}\ (?:box|parcel|package|packaging|carton) | (?:arriv|deliver)\w*\ (?:\w+\ )?{_DAMAGED} | half\ (?:of\ )?(?:my|the|our)\ order
        | (?:box|parcel|package|packaging|carton)\ (?:was|were|is|came|got)\ (?:(?!not|never)\w+\ )?{_DAMAGED} | no\ sign\ of | nowhere\ to\ be\ (?:seen|found)
        | wrong\ (?:address|house|door|neighbou?r|item|product|parcel|order) | in\ the\ (?:rain|street) | (?:threw|thrown|dumped|flung)\ (?!an?\ error|me\ |(?:it|them|this)\ (?:away|out|in))
        | slow(?:est|er)?\ (?:delivery|shipping|post|courier) | (?:delivery|shipping|courier|post)\ (?:(?:was|is|so|very|too|really|far|rather|quite)\ )*(?:slow|late)
        | (?:nobody|no\ one|never)\ (?:rang|knocked)
        | {_NOT}\ (?:\w+\ ){{0,2}}(?:got|seen|reached|had)\ (?:(?:my|the|our|a|any)\ )?(?:\w+\ )?(?:parcel|package|order|box|shipment|delivery|letter) | nothing\ (?:has\ |had\ |ever\ )?(?:come|came|arrived|turned\ up|here|yet)
        | (?:should|supposed|meant|due|promised|expected)\ (?:\w+\ ){{0,4}}(?:(?:be|been|come|came|arrive[d]?|delivered|here)\ (?:\w+\ ){{0,2}}(?:(?:on|by|before)\ )?{_DAY}|(?:be|been|come|arrived)\ here\b|(?:for\ |on\ |by\ )?{_DAY}) | (?:too\ late|came|arrived|here)\ (?:for|after|when)\ (?:the\ |my\ |his\ |her\ |our\ )?(?:\w+\ )?(?:birthday|wedding|party|holidays?|Christmas|Easter|anniversary)
        | missed\ (?:[\w']+\ ){{0,3}}(?:birthday|wedding|party|anniversary|Christmas|Easter) | {_LONG}\ (?:late|overdue|and\ counting|ago\ and|ago,?\ (?:still|nothing)|(?:on|later),?\ (?:and\ )?(?:still|no|nothing))
        | (?:took|takes|taken|taking|waited|waiting)\ (?:\w+\ ){{0,3}}{_LONG}(?:\ (?:to\ (?:send|get|reach|come|deliver|ship|arrive)|for\ (?:my|the|it|a|this)|until|before))
        | (?:left|dumped|thrown|threw|dropped|gave|given|delivered)\ (?:\w+\ ){{0,3}}(?:in|on|over|with|to|at|behind)\ (?:the\ |a\ |an\ |my\ |some\ |somebody|someone)?(?:rain|street|pavement|road|bins?|fence|wall|gate|stranger|wrong\ \w+|else)
        | (?:tracking|date|status)\ (?:\w+\ ){{0,3}}(?:{_NOT}\ (?:\w+\ )?(?:changed|moved|updated?|budged)|stuck|been\ moved|moved|put\ back) | (?:putting|pushing|moving|put|pushed|moved)\ (?:back\ )?the\ (?:delivery\ )?date | (?:somebody|someone)\ else's\ (?:order|parcel|package|things)
        | missing\ (?:from|in|out\ of)\ (?:the|my|our)\ (?:box|parcel|package|order|delivery) | (?:waited|stayed|waiting)\ (?:\w+\ )?(?:in|at\ home)\ (?:all\ day|the\ whole|for\ nothing) | (?:driver|courier|carrier|postman|delivery\ (?:man|driver|company))\ (?:\w+\ ){{0,3}}(?:lost|left|{_NOT}|claims?|lied|refused)
        | (?:nobody|no\ one|nobody\ at\ \w+)\ (?:can|could|knows|knew)\ (?:\w+\ ){{0,2}}where | (?:lost|wrong)\ (?:my|the|our)\ (?:order|parcel|package) | {_SPAN}\ (?:has|have|had)\ (?:gone|passed) | on\ (?:its|the|their)\ way\ (?:since|for) | how\ (?:much|many)\ (?:longer|more\ days)
        | why\ (?:does|did|is)\ (?:\w+\ ){{0,2}}(?:tak\w+|need)\ (?:\w+\ )?(?:so\ )?long | (?:said|promised|told)\ (?:\w+\ )?(?:\w+\ )days?,?\ (?:and\ )?(?:it|that)\ (?:was|took|became|turned)
    """,
    "quality": rf"""
        broke(?:n)? | breaks | f(?:ell|alls|alling)\ (?:apart|off|to\ pieces) | c(?:ame|omes?|oming)\ (?:off|apart|loose|undone) | defective | faulty | damaged
        | scratch(?:es|ed)? | torn | tore | ripped | leak(?:s|ed|ing|y)? | crack(?:s|ed)? | chipped | dent(?:s|ed)? | shrank | shrunk | faded | fading
        | peel(?:s|ed|ing) | rust(?:s|ed|y|ing)? | flimsy | wobbl(?:es?|y|ing) | stopped\ working | {_NOT}\ (?:\w+\ )?(?:work|hold|last|close|function|seal)(?:s|ed|ing)?
        | (?:cheaply|poorly|badly)[- ]made | cheap\ (?:material|plastic|fabric) | feels?\ (?:\w+\ )?cheap | (?:poor|low|bad)\ quality | inferior | shoddy | stale | tasteless
        | bland | mou?ldy | expired | past\ its\ date | smell(?:s|ed)?\ (?:of|like|bad|awful|odd) | tast(?:es?|ed)\ (?:\w+\ )?(?:of|like\ (?!heaven)|bad|bitter|burnt|off)
        | died\ after | burst | warped | bent | stain(?:s|ed)? | fall(?:en)?\ apart
        | flak(?:es?|ed|ing) | pill(?:s|ed|ing) | bobbl(?:y|es?|ed|ing) | fray(?:s|ed|ing) | unravel\w* | sagg\w+ | discolou?r\w* | snapped | split\ (?:after|open|at|along|in|on) | collaps\w+ | crumbl\w+ | disintegrat\w+
        | jammed | plasticky | tacky | shoddily | crooked | wonky | lop-?sided | rattl(?:es|ed|ing) | grind(?:s|ing)\ noise | blunt | (?:is|was|were|went|goes|already|completely|arrived)\ dead | conked\ out | packed\ up | burnt\ out | gave\ up\ the\ ghost
        | los(?:t|es|ing)\ (?:its|their|all)\ (?:shape|colou?r|shine|grip|stretch) | see[- ]?through | paper[- ]thin | (?:very|too|so|really|awfully)\ thin | thin\ (?:fabric|material|cloth) | see\ the\ glue | (?:turned|went|gone|goes)\ (?:grey|gray|yellow|brown|dull|bobbly|hard|black)
        | (?:looks?|feels?)\ (?:\w+\ )?(?:cheap|worn|second[- ]hand|used|tatty) | {_NOT}\ (?:\w+\ )?(?:stay\ (?:on|closed|shut|up)|flat|straight|even|stand) | stop(?:s|ped)\ (?!repl|answer|respond|order|buy|shop|com|us|wear)\w+ing | coming\ (?:loose|apart|undone)
        | (?:wash|rubb|wear|wor|com|peel)(?:ed|es|e|s|n|ing)\ off | (?:screws?|parts?|pieces?|instructions|button)\ (?:\w+\ )?(?:missing|short)
    """,
    "fit": rf"""
        too\ {_SIZE} | r(?:u|a)n(?:s|ning)?\ (?:\w+\ )?{_SIZE} | comes?\ (?:up|out)\ (?:\w+\ )?{_SIZE} | {_NOT}\ (?:\w+\ )?fit | {_NOT}\ true\ to\ size | wrong\ size
        | up\ (?:a|one|two|three)\ (?:whole\ )?sizes? | (?:a|one|two)\ sizes?\ (?:\w+\ )?(?:up|down|bigger|larger|smaller|off) | siz(?:e|ing)\ (?:up|down|is\ off)
        | (?:smaller|larger|bigger|shorter|longer|tighter|wider)\ than\ (?:expected|described|stated|shown|I|the) | pinch(?:es|ed) | rides\ up
        | (?:{_NOT}|barely|hardly)\ (?:\w+\ ){{0,4}}(?:over|past|round|around|up|into|across)\ (?:my|her|his|the|our)\ (?:\w+\ )?{_BODY} | (?:digs?|cuts?|cutting|rubs?|rubbing|gap(?:es?|ing)|slid(?:es?|ing)|slips?|slipping|bulg\w+|pinch\w*|falls?)\ (?:\w+\ ){{0,3}}(?:my|the|her|his)\ {_BODY}
        | {_GARMENT}\ (?:slid(?:e|es|ing)|slips?|fall|falls|ride|rides)\ (?:\w+\ )?(?:down|off|up) | hangs?\ (?:off|on|loose)\ (?:me|her|him|my)? | like\ a\ (?:sack|tent|bin\ bag) | (?:bigger|smaller|larger|shorter|longer|tighter|wider|narrower)\ than\ (?:usual|normal|my|your|other|others|they|it|last|before)
        | (?:take|order|buy|get|go|went|need|had\ to\ take|choose)\ (?:for\ )?(?:a|one|two|the\ next)\ (?:size\ )?(?:up|down|bigger|larger|smaller|size\ (?:up|bigger|larger|smaller|down)) | size\ (?:chart|guide|table)\ (?:\w+\ ){{0,2}}(?:wrong|off|useless|mislead\w*|{_NOT}) | siz(?:es?|ing)\ (?:\w+\ ){{0,2}}(?:wrong|odd|strange|random|inconsistent|all\ over|a\ (?:joke|lottery|mess))
        | (?:is|was|were|are|like|as|really|got|more|something)\ (?:\w+\ )?(?:like\ )?an?\ (?:XXS|XS|S|M|L|XL|XXL|3\d|4\d)\b | (?:swim|swims|swimming|drown|drowning|lost)\ in\ (?:it|them|this|these) | {_GARMENT}\ (?:is|are|was|were|come|comes)\ (?:\w+\ ){{0,2}}(?:tiny|huge|enormous|minute|massive)
        | {_GARMENT}\ (?:\w+\ ){{0,2}}(?:end|stop|finish)s?\ (?:\w+\ ){{0,3}}(?:above|at|below|before|short)\ | (?:so|awfully|terribly|really|very|far)\ (?:tight|loose|narrow|baggy|short|wide)\b(?!\ (?:range|choice|variety|time|list)) | for\ (?:dolls|dwarfs|giants),? | (?:inch(?:es)?|cm|centimet(?:re|er)s?)\ (?:too\ \w+|longer|shorter)
    """,
    "service": rf"""
        (?:no|nobody|no\ one|none|without|{_NOT})\ (?:\w+\ ){{0,3}}(?:repl(?:y|ied|ies)|respon(?:d|ds|ded|se)|answer(?:s|ed)?|call(?:ed)?\ back|g[eo]t\ back|help(?:s|ed)?)
        | nobody\ (?:picks|picked|cares|cared|knows|knew) | unhelpful | rude(?:ly|ness)? | impolite | unfriendly | ignored | hung\ up | brushed\ (?:off|aside) | fobbed\ off
        | on\ hold | (?:heard|hear)\ nothing | nothing\ back | (?:wrote|e-?mailed|called|rang|phoned|asked|contacted)\ (?:\w+\ ){{0,2}}{_TIMES} | no\ help | standard\ (?:reply|text|answer)
        | waiting\ for\ (?:a|an|your|any)\ (?:reply|answer|response)
        | (?:nobody|no\ one|none|{_NOT})\ (?:\w+\ ){{0,4}}(?:pick(?:s|ed)?\ up|wr(?:ote|ite|itten)\ back|listen(?:s|ed|ing)?\ to\ (?:me|us|you|customers)|apologi[sz]e[sd]?|wants?\ to\ know|care(?:s|d)?\ less|interested|bother\w*) | no\ apolog(?:y|ies) | (?:automat(?:ic|ed)|stock|standard|pre-?written|copy[- ](?:and[- ])?pasted?|scripted|template)\ (?:\w+\ )?(?:answer|reply|replies|response|e-?mail|message)s?
        | (?:assistant|advis[eo]r|agent|staff|salesman|saleswoman|man|woman|lady|person|employee)\ (?:\w+\ ){{0,4}}(?:snappy|curt|rude|short|arrogant|clueless|dismissive|laughed|shouted|shrugged|{_NOT}|no\ (?:idea|clue)) | (?:laughed|shouted|yelled)\ at\ me | accus(?:ed|ing)\ (?:me|us) | lied\ to | condescending | patroni[sz]\w+
        | dismissive | incompetent | clueless | (?:different|four|three|five|six|ten|several)\ (?:different\ )?people | (?:passed|transferred|sent|pushed|handed)\ (?:\w+\ )?(?:around|on|from)\b(?=.*\b(?:to|department|person|people|around)\b) | (?:line|hotline|phone|number)\ (?:is\ |was\ )?(?:\w+\ )?(?:engaged|busy|dead|rings)
        | (?:wr(?:ote|itten)|e-?mailed|called|rung|rang|phoned|asked|contacted|messaged|chased)\ (?:to\ )?(?:\w+\ ){{0,2}}(?:again|every\ day|{_TIMES}) | (?:\d+|two|three|four|five|six|ten|several|many|countless)\ (?:unanswered\ )?(?:e-?mails|calls|messages|letters|phone\ calls|tickets)\b(?!\ (?:a|per)\ ) | unanswered | (?:hour|hours|minutes|ages)\ (?:\w+\ )?(?:on\ the\ phone|in\ the\ queue|queu\w+)
        | (?:promised|going|said|meant)\ (?:\w+\ ){{0,3}}(?:call|ring|phone|write|get)\ (?:me\ |us\ )?back | {_NOT}\ (?:\w+\ )?heard\ (?:back\ |anything\ )?from
    """,
    "returns": rf"""
        (?:no|without|{_NOT})\ (?:\w+\ ){{0,4}}(?:refund(?:ed)?|money\ back) | waiting\ (?:\w+\ ){{0,3}}(?:refund|money|replacement|exchange)
        | refus(?:e|es|ed|ing)\ (?:\w+\ ){{0,4}}(?:refund|returns?|exchange) | (?:pay|paid|charged?)\ (?:\w+\ ){{0,4}}return(?:s|ing)? | partial\ refund | restocking
        | refund\ (?:\w+\ ){{0,3}}(?:late|missing|weeks?|months?|never|not|\w+n't|took|takes|taking) | returns?\ (?:\w+\ ){{0,4}}(?:missing|complicated|difficult|impossible|nightmare|hassle|pain)
        | return\ (?:label|form|address)\ (?:\w+\ )?(?:missing|{_NOT}) | no\ return\ (?:label|slip|form)
        | {_NOT}\ (?:\w+\ )?(?:take|took|taken|taking|accept\w*|have)\ (?:it|them|this|that|the\ \w+|my\ \w+|anything)\ (?:back|for) | {_NOT}\ (?:\w+\ ){{0,2}}(?:accept\w*|honou?r\w*|recei\w+|got|process\w*)\ (?:\w+\ )?(?:returns?|guarantee|warranty|exchange) | (?:refused|refuse|refuses)\ (?:\w+\ ){{0,3}}(?:back|swap|replace|exchange|refund\w*)
        | (?:still|yet)\ (?:\w+\ ){{0,5}}(?:without|no|waiting\ for|owe\ me|not\ had|awaiting)\ (?:(?:my|a|the|any)\ )?(?:refund|money) | where\ is\ my\ (?:refund|money) | want\ my\ money | (?:keep|kept|keeping)\ my\ money | (?:seen|had|received|got|see)\ (?:any\ of\ )?my\ money\ (?:yet|back\ yet) | {_NOT}\ (?:\w+\ )?(?:seen|had|received|got)\ (?:any\ of\ )?my\ money
        | (?:voucher|credit|gift\ card)\ (?:only|instead|rather) | instead\ of\ (?:my|the|a)\ (?:money|refund) | refunded\ (?:me\ )?(?:only|just|half|part|less) | (?:only|just)\ (?:\w+\ )?(?:half|part)\ of\ (?:my|the)\ (?:money|refund) | (?:deduct\w*|took|kept|subtract\w*|charg\w+)\ (?:\w+\ ){{0,4}}(?:from|for|off)\ (?:my\ |the\ |a\ )?(?:refunds?|returns?|returning)
        | (?:pay|paid|charge[ds]?|cost|costs)\ (?:\w+\ ){{0,5}}(?:send\ (?:\w+\ )?back|return\w*|send\ \w+\ \w+\ back|postage\ back) | return\ (?:fees?|charges?|costs?|postage) | (?:exchange|refund|claim|return|replacement|guarantee|warranty)\ (?:\w+\ ){{0,2}}(?:turned\ down|rejected|refused|denied|declined|ran\ out|impossible|not\ possible|useless|worthless|ignored)
        | (?:exchange|refund|return|replacement)\ (?:\w+\ ){{0,2}}(?:took|takes|taking|lasted)\ (?:\w+\ )?{_LONG} | (?:return|exchange)\ (?:window|period|policy|deadline|time)\ (?:\w+\ ){{0,2}}(?:short|strict|joke|ridiculous|unfair|over|closed|a\ joke) | only\ \w+\ days\ to\ (?:return|send|change|exchange)
    """,
    "website": rf"""
        (?<!tracking\ )(?:site|page|app|website|webshop|shop|check-?out|cart|browser|search|login|payment|link|button|form)s?\ (?:\w+\ ){{0,3}}(?:crash\w*|fr(?:oze|eezes)|hangs?|hung|errors?|fail\w*
        |broken|down|slow|confus\w+|timed\ out|{_NOT}|kept|keeps|lost|logged\ me\ out) | error\ (?:message|page) | (?:could|can)(?:n't|'t|\ ?not)\ (?:\w+\ )?(?:log|pay|check\ ?out|sign|register|reset)
        | (?:card|payment)\ (?:(?:was|is|kept|got|being)\ )*(?:declined|refused|rejected|not\ accepted) | logged\ me\ out | (?:hard|difficult|impossible)\ to\ (?:navigate|find\ anything|order)
        | (?:photo|picture|image|description)s?\ (?:\w+\ ){{0,3}}(?:mislead\w*|wrong|inaccurate|nothing\ like|different) | not\ as\ (?:described|pictured|shown) | nothing\ like\ the\ (?:photo|picture)s?
        | (?<!tracking\ )(?:pages?|site|app|screen|(?:my|the|shopping)\ (?:basket|cart)|menu|links?|filters?|sort(?:ing)?|search|form|map|captcha|login|check-?out|payment)\ (?:\w+\ ){{0,3}}(?:stuck|empty|emptied|blank|white|spin\w*|load(?:s|ing)\ (?:for|and)|vanish\w*|disappear\w*|gone|useless|nothing|nowhere|loops?|jumps|covers|{_NOT}\ (?:work|load|open|respond|react|show|sort|move|let)\w*|a\ (?:pain|mess|nightmare|maze|joke))
        | (?:empt(?:y|ies|ied)|los(?:es|t|ing)|clear(?:s|ed)?|delet(?:es|ed)|forg[eo]t\w*)\ (?:my|the)\ (?:\w+\ )?(?:basket|cart|log-?in|details\ I) | (?:{_NOT}|unable\ to|impossible\ to|won't\ let\ me|doesn't\ let\ me|didn't\ let\ me)\ (?:\w+\ )?(?:log\ (?:in|on)|sign\ (?:in|up)|register|check\ out|place\ (?:an?|my|the)\ order|pay\ (?:with|by|online)|search|filter|scroll|find\ (?:where|the\ (?:button|page|link|search|form|product))|(?:change|update|edit|enter)\ my\ (?:\w+\ )?(?:address|password|details|e-?mail|name|card|account))
        | (?:log|logs|logged|logging|kick|kicks|kicked|throw|throws|threw)\ me\ out | (?:register\w*|registration|ordering\ online|log(?:ging)?[- ]?in|check-?out|paying)\ (?:\w+\ ){{0,2}}(?:a\ )?(?:pain|nightmare|mess|hassle|impossible|maze|complicated|painful) | (?:code|link|mail)\ (?:\w+\ ){{0,4}}(?:log-?in|password|account|confirm)\ (?:\w+\ ){{0,2}}{_NOT} | an?\ error\ (?:when|while|as|every|at|on|after|each)
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
# What is charged for a return, or how long it takes, is said of the return; a search that does not work is the site's fault.
_LENT = MappingProxyType(
    {
        "price": (
            "returns",
            re.compile(
                r"\b(?:pa(?:y|id)|charg\w+|costs?|vouchers?|credit|euros?|pounds?|dollars?|expensive)\b", re.IGNORECASE
            ),
        ),
        "delivery": (
            "returns",
            re.compile(
                r"\b(?:took|takes|taken|taking|wait\w*|weeks?|months?|days|postage|shipping|late)\b", re.IGNORECASE
            ),
        ),
        "quality": ("website", re.compile(rf"\b{_NOT}\ (?:\w+\ )?(?:work|close|function|stay)\w*", re.IGNORECASE)),
    }
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


def names_fault(text: str, theme: str) -> bool:
    """Does a text name one of the theme's faults, and not to deny it?

    >>> names_fault("It runs small", "fit"), names_fault("Not too tight", "fit")
    (True, False)
    """
    heard = _own_words(text, theme)
    named = any(not _DENIED.search(heard[: match.start()]) for match in FAULTS[theme].finditer(heard))
    return named or (theme == "delivery" and any(_harmed(piece) for piece in clauses(text) if _on_the_way(piece)))


def _own_words(text: str, theme: str) -> str:
    """The text without what is said of another theme in words that this one knows too."""
    heard = _without_harm_on_the_way(text) if theme == "quality" else text
    if theme == "fit":
        heard = _WAITED.sub(" ", heard)
    owner, words = _LENT.get(theme, ("", None))
    if words is None or not (words.search(heard) and FAULTS[owner].search(heard)):
        return heard
    return ". ".join(words.sub(" ", piece) if FAULTS[owner].search(piece) else piece for piece in clauses(heard))


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
