"""Did the change do better than leaving things as they were, and may the test be believed?

    facts → validate (may the split be believed?) → fit (effects with intervals) → score (a verdict in words) → findings

One row crosses from the engine for each experiment, metric and arm: counts, means, variances and covariances are
enough for differences of means and proportions and for their adjustment by what units did before. They are not
enough for quantiles, for segments, or for reading a test before its end.
"""

from __future__ import annotations

from crmlib.analysis.experiments.checks import Checks, validate
from crmlib.analysis.experiments.drawing import (
    figure_days,
    figure_effects,
    figure_split,
    table_checks,
    table_verdicts,
)
from crmlib.analysis.experiments.effects import Results, fit
from crmlib.analysis.experiments.reduction import (
    Facts,
    assigned_days,
    assigned_units,
    facts,
    measured,
    moments,
    order_outcomes,
    recorded_outcomes,
    sums,
)
from crmlib.analysis.experiments.saying import findings
from crmlib.analysis.experiments.verdicts import Verdicts, score

__all__ = [
    "Checks",
    "Facts",
    "Results",
    "Verdicts",
    "assigned_days",
    "assigned_units",
    "facts",
    "figure_days",
    "figure_effects",
    "figure_split",
    "findings",
    "fit",
    "measured",
    "moments",
    "order_outcomes",
    "recorded_outcomes",
    "score",
    "sums",
    "table_checks",
    "table_verdicts",
    "validate",
]
