"""Did the change do better than leaving things as they were, and may the test be believed?

    facts → validate (may the split be believed?) → fit (effects with intervals) → worth (in money) → score (what to do)
          → by_day, by_segment (what explains) → page

One row crosses from the engine for each experiment, metric and arm: counts, means, variances and covariances are
enough for differences of means and proportions and for their adjustment by what units did before. Ratios need two
metrics' covariance, quantiles three values in order, both reduced there too; looks by day and segments the same sums
for each day or level. No row of a unit ever leaves.
"""

from crmlib.analysis.experiments.checks import part_checks, validate
from crmlib.analysis.experiments.facts import facts
from crmlib.analysis.experiments.forest import part_effects
from crmlib.analysis.experiments.looks import by_day, part_looks, part_novelty
from crmlib.analysis.experiments.page import page
from crmlib.analysis.experiments.planning import part_plan, plan
from crmlib.analysis.experiments.predictions import grade
from crmlib.analysis.experiments.results import fit
from crmlib.analysis.experiments.segments import by_segment, part_segments
from crmlib.analysis.experiments.split import part_days, part_split
from crmlib.analysis.experiments.verdicts import part_verdicts, score
from crmlib.analysis.experiments.worth import part_worth, worth

__all__ = [
    "by_day",
    "by_segment",
    "facts",
    "fit",
    "grade",
    "page",
    "part_checks",
    "part_days",
    "part_effects",
    "part_looks",
    "part_novelty",
    "part_plan",
    "part_segments",
    "part_split",
    "part_verdicts",
    "part_worth",
    "plan",
    "score",
    "validate",
    "worth",
]
