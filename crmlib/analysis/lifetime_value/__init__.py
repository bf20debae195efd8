"""What will each customer bring, and can the forecast be trusted?

facts → fit (BG/NBD) and fit_spend (Gamma-Gamma) → validate on a holdout beside simple rules → score → figures, findings
"""

from crmlib.analysis.lifetime_value.models import PurchaseModel, SpendModel, cut_day, facts, fit, fit_spend
from crmlib.analysis.lifetime_value.pages import (
    figure_quiet,
    figure_tenths,
    figure_weeks,
    findings,
    table_methods,
)
from crmlib.analysis.lifetime_value.scoring import Margin, Scores, Total, margin_of, score
from crmlib.analysis.lifetime_value.validation import (
    Cut,
    Validation,
    holdout_length,
    holdout_patterns,
    validate,
    weekly_repeats,
)

__all__ = [
    "Cut",
    "Margin",
    "PurchaseModel",
    "Scores",
    "SpendModel",
    "Total",
    "Validation",
    "cut_day",
    "facts",
    "figure_quiet",
    "figure_tenths",
    "figure_weeks",
    "findings",
    "fit",
    "fit_spend",
    "holdout_length",
    "holdout_patterns",
    "margin_of",
    "score",
    "table_methods",
    "validate",
    "weekly_repeats",
]
