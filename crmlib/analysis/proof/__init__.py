"""Do the methods hold, here?

equal, rate, inside, named → proof → part_checks; held → part_shop; page
"""

from crmlib.analysis.proof.checks import Check, Proof, equal, inside, named, part_checks, proof, rate
from crmlib.analysis.proof.record import held, page, part_shop

__all__ = [
    "Check",
    "Proof",
    "equal",
    "held",
    "inside",
    "named",
    "page",
    "part_checks",
    "part_shop",
    "proof",
    "rate",
]
