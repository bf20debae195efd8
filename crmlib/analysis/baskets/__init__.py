"""What is bought together, more often than chance given basket size, and what can be shown with what?"""

from crmlib.analysis.baskets.chance import Chance, SizeClasses, expected, fit_chance, fit_size_classes
from crmlib.analysis.baskets.comparisons import figure_groups, figure_hits, figure_sequences, figure_substitutes
from crmlib.analysis.baskets.drawings import figure_pairs, figure_season, figure_sizes, figure_suggestions
from crmlib.analysis.baskets.facts import (
    Baskets,
    basket_lines,
    basket_table,
    facts,
    item_totals,
    minimum_count,
    sized_items,
    total_profile,
)
from crmlib.analysis.baskets.hits import HitRates, hit_rates, owns_not
from crmlib.analysis.baskets.page import findings
from crmlib.analysis.baskets.predictions import grade, predictions
from crmlib.analysis.baskets.rules import Rules, fit
from crmlib.analysis.baskets.sequences import Sequences, reminders, sequences
from crmlib.analysis.baskets.strata import strata
from crmlib.analysis.baskets.substitutes import substitutes
from crmlib.analysis.baskets.validation import Validation, above_chance, relatives_left_out, score, validate

__all__ = [
    "Baskets",
    "Chance",
    "HitRates",
    "Rules",
    "Sequences",
    "SizeClasses",
    "Validation",
    "above_chance",
    "basket_lines",
    "basket_table",
    "expected",
    "facts",
    "figure_groups",
    "figure_hits",
    "figure_pairs",
    "figure_season",
    "figure_sequences",
    "figure_sizes",
    "figure_substitutes",
    "figure_suggestions",
    "findings",
    "fit",
    "fit_chance",
    "fit_size_classes",
    "grade",
    "hit_rates",
    "item_totals",
    "minimum_count",
    "owns_not",
    "predictions",
    "relatives_left_out",
    "reminders",
    "score",
    "sequences",
    "sized_items",
    "strata",
    "substitutes",
    "total_profile",
    "validate",
]
