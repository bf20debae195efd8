"""Seasons, in the order of the page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from crmlib import figures, formats, wording
from crmlib.analysis.seasons.alerts import Alerts, elsewhere
from crmlib.analysis.seasons.demand import Demand, amount
from crmlib.analysis.seasons.facts import Days
from crmlib.analysis.seasons.shifts import RECENT_DAYS, Shifts, said
from crmlib.findings import Caveat, Findings, Part, compose


def page(days: Days, found: tuple[Alerts | None, Shifts, Demand], parts: Sequence[Part]) -> Findings:
    """What a shop's owner should know of now and next month; `parts` in the order of the page."""
    watched, steps, ahead = found
    if days.lacks:
        return compose("seasons", f"Too few to conclude: {days.lacks}.", [*parts, part_few(days)], status="too_few")
    return compose("seasons", headline(days, watched, steps, ahead), [*parts, part_limits(days, watched)])


def headline(days: Days, watched: Alerts | None, steps: Shifts, ahead: Demand) -> str:
    """What is not normal, and what the next period needs, in a sentence."""
    return f"{_now(days, watched, steps)}; {_next(ahead)}."


def _now(days: Days, watched: Alerts | None, steps: Shifts) -> str:
    if watched is None:
        return "There is too little to say what is normal"
    if len(watched.table):
        top = watched.table.iloc[0]
        on = f"{'on' if top['days'] == 1 else 'until'} {wording.day(top['day'], near=days.as_of)}"
        on += f", but {elsewhere(top)}" if top["other"] else ""
        size = abs(top["actual"] / top["expected"] - 1)
        if top["actual"] == 0:
            return f"No {top['what']} came {on}"
        many = f"{formats.share(size)} {'more' if top['actual'] > top['expected'] else 'fewer'}"
        return f"{many} {top['what']} than normal came {on}"
    border = days.as_of - timedelta(days=RECENT_DAYS + 365)
    if steps.found and steps.found[-1].day >= border and steps.seasonal:
        return said(steps.found[-1])
    return "Orders of the last four weeks are normal for the season" if steps.seasonal else (
        "Orders of the last four weeks are normal for this shop"
    )  # fmt: skip


def _next(ahead: Demand) -> str:
    if ahead.sales.leads:
        return f"{ahead.called} should bring {amount(ahead)}"
    if ahead.sales.last_year:
        value = ahead.sales.last_year
        was = f"{formats.number(value)} orders" if ahead.unit == "orders" else wording.rounded_money(value, ahead.unit)
        return f"{ahead.called} of the year before brought {was}"
    return f"{ahead.called} cannot be forecast yet"


def part_limits(days: Days, watched: Alerts | None) -> Part:
    """When not to trust the page."""
    texts = []
    if watched is None:
        texts.append("Alerts need seven months of days that are much alike, with three orders a week.")
    if not days.country:
        texts.append("Public holidays are not known: shop.toml does not say the shop's country.")
    if spans := sorted({name for name in days.frame["span"] if name}):
        texts.append(f"{wording.upper(wording.listed(spans, most=3))}: such days bend nothing and raise no alert.")
    if days.changing:
        many = wording.noun(len(days.changing), "Segment", "Segments")
        said = f"{many} {wording.listed(days.changing, most=3)}: not watched, as what customers do decides who is in."
        texts.append(said)
    texts.append(
        "Orders are watched by number: a few large ones move sales by chance. A cause is where it shows, not why."
    )
    return Part(caveats=[Caveat(text=text) for text in texts])


def part_few(days: Days) -> Part:
    """What there is, where there is little: orders by month."""
    rows = days.frame["orders"].resample("MS").sum().reset_index()
    rows = rows.assign(month=[f"{day:%B %Y}" for day in rows["day"]])
    shown = figures.table(rows, caption="Orders by month", labels={"month": "Month", "orders": "Orders"},
                          formats={"orders": formats.number}, rows=24)  # fmt: skip
    return Part(title="What there is", sentence="Each row is a month.", chart=shown) if len(rows) else Part()
