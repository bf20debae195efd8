"""What will each customer bring, and can the forecast be trusted?

facts → fit (BG/NBD, MBG/NBD, Pareto/NBD) and fit_spend (Gamma-Gamma) → validate on later times beside simple rules → score →
channels → figures, findings with predictions → grade, when a later run looks back
"""

from crmlib.analysis.forecasts import Errors, Total, band
from crmlib.analysis.lifetime_value.chances import Chances
from crmlib.analysis.lifetime_value.drawings import (
    figure_channels,
    figure_tenths,
    figure_weeks,
    table_methods,
    table_tiers,
)
from crmlib.analysis.lifetime_value.methods import Look, fit_all, holdout_patterns
from crmlib.analysis.lifetime_value.models import PurchaseModel, Unfit, cut_day, facts, fit
from crmlib.analysis.lifetime_value.page import findings
from crmlib.analysis.lifetime_value.payback import Channels, channels
from crmlib.analysis.lifetime_value.predictions import grade, predictions
from crmlib.analysis.lifetime_value.scoring import Margin, Scores, margin_of, score
from crmlib.analysis.lifetime_value.season import Clock, season
from crmlib.analysis.lifetime_value.single import figure_chances, figure_quiet
from crmlib.analysis.lifetime_value.spend import SpendModel, fit_spend
from crmlib.analysis.lifetime_value.validation import Cut, Validation, holdout_length, validate, weekly_repeats

__all__ = [
    "Chances",
    "Channels",
    "Clock",
    "Cut",
    "Errors",
    "Look",
    "Margin",
    "PurchaseModel",
    "Scores",
    "SpendModel",
    "Total",
    "Unfit",
    "Validation",
    "band",
    "channels",
    "cut_day",
    "facts",
    "figure_chances",
    "figure_channels",
    "figure_quiet",
    "figure_tenths",
    "figure_weeks",
    "findings",
    "fit",
    "fit_all",
    "fit_spend",
    "grade",
    "holdout_length",
    "holdout_patterns",
    "margin_of",
    "predictions",
    "score",
    "season",
    "table_methods",
    "table_tiers",
    "validate",
    "weekly_repeats",
]
