"""What will each customer bring, and can the forecast be trusted?

facts → fit_all (BG/NBD, MBG/NBD, Pareto/NBD and its limits) → validate on later times beside simple rules → score
(with Gamma-Gamma spend) → channels → parts and page with predictions → grade, when a later run looks back
"""

from crmlib.analysis.lifetime_value.holdout import part_chances, part_tenths, part_weeks
from crmlib.analysis.lifetime_value.lists import part_wavering
from crmlib.analysis.lifetime_value.methods import fit_all
from crmlib.analysis.lifetime_value.models import cut_day, facts, fit
from crmlib.analysis.lifetime_value.page import page
from crmlib.analysis.lifetime_value.payback import Channels, channels, part_channels
from crmlib.analysis.lifetime_value.predictions import grade
from crmlib.analysis.lifetime_value.scoring import Scores, part_value, score
from crmlib.analysis.lifetime_value.validation import Validation, holdout_length, validate
from crmlib.analysis.lifetime_value.verdict import part_methods

__all__ = [
    "Channels",
    "Scores",
    "Validation",
    "channels",
    "cut_day",
    "facts",
    "fit",
    "fit_all",
    "grade",
    "holdout_length",
    "page",
    "part_chances",
    "part_channels",
    "part_methods",
    "part_tenths",
    "part_value",
    "part_wavering",
    "part_weeks",
    "score",
    "validate",
]
