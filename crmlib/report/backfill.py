"""The days of the past a report should have been run for, and those it still has to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from crmlib.errors import UsageError
from crmlib.report.parameters import Report, Value
from crmlib.report.plan import Plan
from crmlib.report.runner import fresh


def days(start: date, end: date, every: str) -> Iterator[date]:
    """The as-of days from `start` to `end`, oldest first, so that each run can look back on those before it.

    A week's step is seven days from `start` on. A month's end is the first day of the next month: as-of days are
    exclusive, and only then has the whole month been seen. UsageError where there is none.
    """
    if end < start:
        raise UsageError(f"--from {start} is after --to {end}")
    if every == "month-end":
        found = [day + timedelta(days=1) for day in _each(start, end, 1) if (day + timedelta(days=1)).day == 1]
        if not found:
            raise UsageError(f"no month ends from {start} to {end}")
        yield from found
    else:
        yield from _each(start, end, {"day": 1, "week": 7}[every])


def missing(
    plan: Plan, reports: Sequence[Report], values: Mapping[str, Mapping[str, Value]], wanted: Sequence[date]
) -> list[tuple[Plan, list[Report]]]:
    """A plan and its reports for each day on which a report has no run with these parameters; `force` wants all.

    What stands is left as it is even if the shop's files have changed since: they change every day, the past does not.
    """
    todo = []
    for day in wanted:
        of_day = replace(plan, as_of=day)
        lacking = [report for report in reports if plan.force or not _stands(of_day, report, values[report.name])]
        if lacking:
            todo.append((of_day, lacking))
    return todo


def _stands(plan: Plan, report: Report, values: Mapping[str, Value]) -> bool:
    _, manifest = fresh.standing(plan, report)
    # One whose table was missing is tried again: the table may have come.
    return bool(manifest and manifest.status != "not_available" and manifest.parameters == dict(values))


def _each(start: date, end: date, step: int) -> Iterator[date]:
    day = start
    while day <= end:
        yield day
        day += timedelta(days=step)
