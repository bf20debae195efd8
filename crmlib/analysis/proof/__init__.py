"""Do the methods hold, here?

papers, nulls, drawn → effects, slopes, splits, teams → proof → part_checks; held → part_shop; page
"""

from crmlib.analysis.proof.checks import Check, Proof, equal, inside, named, part_checks, proof, rate
from crmlib.analysis.proof.nulls import nulls
from crmlib.analysis.proof.papers import papers
from crmlib.analysis.proof.planted import Drawn, drawn, effects, slopes, splits, teams
from crmlib.analysis.proof.record import held, page, part_shop

__all__ = [
    "Check",
    "Drawn",
    "Proof",
    "drawn",
    "effects",
    "equal",
    "held",
    "inside",
    "named",
    "nulls",
    "page",
    "papers",
    "part_checks",
    "part_shop",
    "proof",
    "rate",
    "slopes",
    "splits",
    "teams",
]
