"""Do the models earn their place beside simple rules? The measures of each, and how the choice was made."""

from __future__ import annotations

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.lifetime_value.methods import MODELS, NOBODY, RECENCY, SAME_RATE
from crmlib.analysis.lifetime_value.validation import Validation, off_words
from crmlib.findings import Check, Metric, Part


def part_methods(validation: Validation) -> Part:
    """Do the models earn their place beside simple rules? The measures of each, folded, and how the choice was made."""
    rows = []
    for method in (*MODELS, RECENCY, SAME_RATE, NOBODY):
        if method not in validation.expected and method not in validation.ranking:
            continue
        value, low, high = validation.measure(method, "top_tenth_share_minus_days_since_last_order")
        rows.append(
            {"method": method + (" (used)" if method == validation.chosen else ""),
             **{name: validation.measure(method, name)[0]
                for name in ("forecast", "error_share", "deviance", "top_tenth_share")},
             "more": f"{_points(value)} ({_points(low)} to {_points(high)})" if np.isfinite(value) else None}
        )  # fmt: skip
    chart = figures.table(
        pd.DataFrame(rows),
        caption=f"Forecasts made on {formats.day(validation.start)} for {validation.days} days, "
        f"when {wording.counted(validation.actual, 'repeat order')} came",
        labels={"method": "Method", "forecast": "Forecast", "error_share": "Off by", "deviance": "Miss per customer",
                "top_tenth_share": "Orders in its top tenth", "more": "Points more than days since last order"},
        formats={"forecast": formats.number, "top_tenth_share": formats.share,
                 "error_share": lambda value: formats.with_sign(formats.share(value), value),
                 "deviance": lambda value: formats.number(value, digits=2)},
        file="validation",
    )  # fmt: skip
    beaten, failed = validation.chosen in MODELS, [f"{one.name} {one.reason}" for one in validation.failed]
    fitted = f"Fitted: {', '.join(validation.models) or 'none'}."
    fitted += f" Not fitted: {'; '.join(failed)}." if failed else ""
    return Part(
        title=f"{validation.chosen} beats the simple rules" if beaten else "A simple rule does as well as the models",
        sentence=f"{verdict(validation)} Miss per customer is Poisson deviance, which decides: 0 is perfect.",
        chart=chart, detail=True, tables={"validation": validation.measures}, metrics=_ranking_metrics(validation),
        # One of three that cannot be fitted leaves a page as good as it is; it took no part in the choice.
        checks=[Check(name="models converged", verdict="ok" if validation.models else "warning", text=fitted)],
        method=[*_unaided_words(validation), _past_words(validation)],
    )  # fmt: skip


def verdict(validation: Validation) -> str:
    """Which method is used and why, in words."""
    seen, chosen = f"Over {wording.counted(validation.looks, 'test window')}", validation.chosen
    if not validation.models:
        return f"No model could be fitted on this shop, so '{chosen}' is used."
    if chosen not in MODELS:
        return f"{seen}, '{chosen}' came as close as the models, so the simpler rule is used."
    others = [name for name in validation.models if name != chosen]
    than = " and no other model was clearly closer" if others else ""
    return f"{seen}, {chosen} came closer, customer by customer, than every simple rule{than}, so it is used."


def _ranking_metrics(validation: Validation) -> list[Metric]:
    n, defined = int(validation.customers.sum()), "chance that a buyer of the test was ranked above a non-buyer"
    made, recency = [], ("recency_auc", "Ranking by days since the last order", RECENCY)
    for id, label, by in (("holdout_auc", "Ranking by expected orders", validation.chosen), recency):
        found = validation.estimate(by, "auc", "index", n=n)
        made.append(Metric.of(found, id=id, label=label, definition=f"{defined}, by {by}"))
    return made


def _unaided_words(validation: Validation) -> list[str]:
    """What would have been chosen without the test, which had its say in the choice."""
    if not validation.unaided:
        text = "The test had its say in the choice of the method, so its error there is a little flattered."
        return [text] if validation.looks > 1 else []
    if validation.unaided == validation.chosen:
        return ["Windows that were over before the test choose the same method, so its error there is not flattered."]
    off = off_words(validation.measure(validation.unaided, "error_share")[0])
    other = f"windows that were over before it choose '{validation.unaided}', which was {off} there"
    return [f"The test had its say in the choice: {other}."]


def _past_words(validation: Validation) -> str:
    seen = (*validation.cuts, *validation.recent)
    each = [f"{at.start} for {(at.end - at.start).days} days: {at.forecast:,.0f}, actual {at.actual:,}" for at in seen]
    own = "no more than the method's own doubt explains, so that doubt sets the ranges"
    if validation.errors.worse_than_own:
        own = "more than the method's own doubt explains, so ranges are as wide as these errors suggest"
    typical = formats.share(validation.errors.typical)
    return f"{wording.counted(len(seen), 'look-back')} ({'; '.join(each)}), typically off by {typical}: {own}."


def _points(value: float) -> str:
    return formats.with_sign(formats.number(100 * value, digits=1), value)
