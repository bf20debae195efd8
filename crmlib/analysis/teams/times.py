"""How long do an answer, a closed ticket and a parcel take, and is it longer than before?"""

from __future__ import annotations

import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.teams.measure import Judged
from crmlib.findings import Metric, Part

_NAMES = {"reply": "First answer", "close": "Until closed", "delivery": "Delivery"}


def part_times(found: Judged) -> Part:
    """The finding: median times in hours of work and of the clock, beside the window before."""
    rows = found.medians.dropna(subset=["now"])
    if rows.empty:
        return Part()
    year = 360 <= found.within_days <= 366
    against = "the year before" if year else f"the {wording.span(found.within_days)} before"
    metrics, chief = [], "work" if found.hours else "clock"
    for row in rows.itertuples(index=False):
        if row.how not in (chief, "days"):
            continue
        unit = "days" if row.how == "days" else "hours"
        metrics.append(
            Metric(id=f"{row.what}_{unit}", label=_NAMES[row.what], value=float(row.now), unit=unit, n=int(row.n),
                   headline=True, said=f"{_amount(row.now)} {wording.noun(row.now, unit[:-1])}",
                   before=None if pd.isna(row.before) else float(row.before), against=against,
                   note="" if not pd.isna(row.before) else "working hours" if row.how == "work" else "",
                   definition=f"median {'working ' if row.how == 'work' else ''}{unit} until then, those still waiting "
                   "counted as such")
        )  # fmt: skip
    shown = rows.assign(
        name=rows["what"].map(_NAMES),
        unit=rows["how"].map({"work": "working hours", "clock": "hours of the clock", "days": "days"}),
    )
    first = rows.iloc[0]
    return Part(
        title=_title(first, found), detail=True, metrics=metrics,
        sentence=f"Half of all tickets and parcels took no longer; {against} is beside it.",
        chart=figures.table(
            shown, caption="Median times, those still waiting counted as such",
            labels={"name": "Until", "unit": "In", "now": "Now", "before": "Before", "n": "Of"},
            formats={"now": _amount, "before": _amount, "n": formats.number},
        ),
    )  # fmt: skip


def _title(first: pd.Series, found: Judged) -> str:
    unit = "days" if first["how"] == "days" else "working hours" if found.hours else "hours"
    return f"{_NAMES[first['what']]}: {_amount(first['now'])} {unit} at the median"


def _amount(value: float) -> str:
    return formats.number(value, digits=0 if float(value).is_integer() else 1)
