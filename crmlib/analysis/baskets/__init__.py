"""What is bought together, more often than chance given basket size, and what can be shown with what?"""

from crmlib.analysis.baskets.chance import Chance, SizeClasses, expected, fit_chance, fit_size_classes
from crmlib.analysis.baskets.facts import (
    Baskets,
    basket_lines,
    basket_table,
    facts,
    item_totals,
    minimum_count,
    total_profile,
)
from crmlib.analysis.baskets.later import Validation, above_chance, score, validate
from crmlib.analysis.baskets.page import figure_pairs, figure_season, figure_sizes, figure_suggestions, findings
from crmlib.analysis.baskets.rules import Rules, fit

__all__ = [
    "Baskets",
    "Chance",
    "Rules",
    "SizeClasses",
    "Validation",
    "above_chance",
    "basket_lines",
    "basket_table",
    "expected",
    "facts",
    "figure_pairs",
    "figure_season",
    "figure_sizes",
    "figure_suggestions",
    "findings",
    "fit",
    "fit_chance",
    "fit_size_classes",
    "item_totals",
    "minimum_count",
    "score",
    "total_profile",
    "validate",
]
