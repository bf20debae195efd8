"""Experiments: results by arm as any tool's table may be pasted, and who was shown what, as GrowthBook keeps it."""

from __future__ import annotations

from crmlib.shop.intake.platforms.base import Export, Made

_DAYS = {"started_at": "started_at | start date | start", "ended_at": "ended_at | end date | end"}
_SUMS = {"sum": "sum | total", "sum_of_squares": "sum_of_squares | sum of squares | sum_squares"}

RESULTS = Export(
    platform="Experiments",
    what="results by arm",
    needs=("experiment", "variant", "metric", "n"),
    made={"results": Made({
        "experiment": "experiment", "variant": "variant", "metric": "metric", "n": "n", "conversions": "conversions",
        **_SUMS, **_DAYS})},
)  # fmt: skip

ASSIGNMENTS = Export(
    platform="Experiments",
    what="assignments",
    needs=("experiment", "unit_id", "variant", "assigned_at"),
    made={"assignments": Made({name: name for name in ("experiment", "unit_id", "variant", "assigned_at")})},
)

EXPOSURES = Export(
    platform="GrowthBook",
    what="exposures",
    needs=("experiment_id", "user_id", "variation_id", "timestamp"),
    made={"assignments": Made({
        "experiment": "experiment_id", "unit_id": "user_id", "variant": "variation_id", "assigned_at": "timestamp"})},
)  # fmt: skip
