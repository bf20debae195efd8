"""Did the change do better than leaving things as they were, and may the test be believed?

    facts → validate (may the split be believed?) → fit (effects with intervals) → worth (in money) → score (a verdict in words) → findings

One row crosses from the engine for each experiment, metric and arm: counts, means, variances and covariances are
enough for differences of means and proportions and for their adjustment by what units did before. Ratios need two
metrics' covariance, quantiles three values in order, both reduced there too; looks by day and segments the same sums
for each day or level. No row of a unit ever leaves.
"""

from __future__ import annotations

from crmlib.analysis.experiments.checks import Checks, validate
from crmlib.analysis.experiments.curves import figure_looks, figure_novelty, figure_segments
from crmlib.analysis.experiments.drawing import figure_days, figure_effects, figure_split, table_verdicts
from crmlib.analysis.experiments.facts import (
    Facts,
    assigned_days,
    assigned_units,
    measured,
    moments,
    order_outcomes,
    recorded_outcomes,
    sums,
)
from crmlib.analysis.experiments.gathering import facts
from crmlib.analysis.experiments.looks import Looks, by_day
from crmlib.analysis.experiments.page import findings
from crmlib.analysis.experiments.planning import Plan, plan, power_of
from crmlib.analysis.experiments.predictions import grade, predictions
from crmlib.analysis.experiments.results import Results, fit
from crmlib.analysis.experiments.segments import Segments, by_segment
from crmlib.analysis.experiments.tables import table_checks, table_plan, table_worth
from crmlib.analysis.experiments.verdicts import Verdicts, score
from crmlib.analysis.experiments.worth import Worth, worth

__all__ = [
    "Checks",
    "Facts",
    "Looks",
    "Plan",
    "Results",
    "Segments",
    "Verdicts",
    "Worth",
    "assigned_days",
    "assigned_units",
    "by_day",
    "by_segment",
    "facts",
    "figure_days",
    "figure_effects",
    "figure_looks",
    "figure_novelty",
    "figure_segments",
    "figure_split",
    "findings",
    "fit",
    "grade",
    "measured",
    "moments",
    "order_outcomes",
    "plan",
    "power_of",
    "predictions",
    "recorded_outcomes",
    "score",
    "sums",
    "table_checks",
    "table_plan",
    "table_verdicts",
    "table_worth",
    "validate",
    "worth",
]
