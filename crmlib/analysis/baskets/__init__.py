"""What is bought together, more often than chance given basket size, and what can be shown with what?"""

from crmlib.analysis.baskets.facts import Baskets, facts, minimum_count
from crmlib.analysis.baskets.hits import HitRates, hit_rates, part_hits
from crmlib.analysis.baskets.page import page
from crmlib.analysis.baskets.predictions import grade, part_later
from crmlib.analysis.baskets.rules import Rules, fit
from crmlib.analysis.baskets.season import part_season
from crmlib.analysis.baskets.sequences import part_sequences
from crmlib.analysis.baskets.sizes import part_sizes
from crmlib.analysis.baskets.strata import part_strata
from crmlib.analysis.baskets.substitutes import part_substitutes
from crmlib.analysis.baskets.suggestions import part_pairs, score
from crmlib.analysis.baskets.validation import Validation, validate

__all__ = [
    "Baskets",
    "HitRates",
    "Rules",
    "Validation",
    "facts",
    "fit",
    "grade",
    "hit_rates",
    "minimum_count",
    "page",
    "part_hits",
    "part_later",
    "part_pairs",
    "part_season",
    "part_sequences",
    "part_sizes",
    "part_strata",
    "part_substitutes",
    "score",
    "validate",
]
