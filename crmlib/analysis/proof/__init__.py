"""Do the methods hold, here?

papers, nulls, drawn → effects, pairs, slopes, teams; dealt → unfounded; all → proof → part_checks; held → part_shop;
page
"""

from crmlib.analysis.proof.checks import Proof, equal, inside, named, part_checks, proof, rate
from crmlib.analysis.proof.nulls import nulls, unfounded
from crmlib.analysis.proof.papers import papers
from crmlib.analysis.proof.planted import Drawn, dealt, drawn, effects, pairs, slopes, teams
from crmlib.analysis.proof.record import held, page, part_shop

__all__ = [
    "Drawn",
    "Proof",
    "dealt",
    "drawn",
    "effects",
    "equal",
    "held",
    "inside",
    "named",
    "nulls",
    "page",
    "pairs",
    "papers",
    "part_checks",
    "part_shop",
    "proof",
    "rate",
    "slopes",
    "teams",
    "unfounded",
]
