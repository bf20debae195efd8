"""Cohorts, in the order of the page."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.cohorts.change import Newest, Shift, month_name, moved, newest, shift
from crmlib.analysis.cohorts.curves import table
from crmlib.analysis.cohorts.facts import LEAST, Newcomers
from crmlib.findings import Action, Caveat, Findings, Metric, Part, compose

_ASK_WITHIN_DAYS, _SILENT_MONTHS = 7, 3


def page(found: Newcomers, parts: Sequence[Part]) -> Findings:
    """What a shop's owner should know of newcomers; `parts` in the order of the page.

    With fewer than 30 newcomers there is no page to conclude from, and what there is is shown as a table.
    """
    if found.total < LEAST:
        return compose("cohorts", few(found), [part_few(found)], status="too_few")
    months = found.months()
    step, latest = shift(months), newest(months)
    return compose("cohorts", headline(found, step, latest), [*parts, part_do(found, step), part_limits(found)])


def headline(found: Newcomers, step: Shift, latest: Newest | None) -> str:
    """Are newer customers better or worse?"""
    days = found.within_days
    if last := _nobody_since(found):
        back = (
            f"; {formats.share(latest.now.value)} of the last newcomers came back within {days} days" if latest else ""
        )
        return f"Nobody new has come since {last}{back}."
    if latest is None:
        return (
            f"It is too early to say how the newest come back: too few of {wording.counted(found.total, 'newcomer')} "
            f"are known for {days} days."
        )
    now = formats.share(latest.now.value)
    if latest.before is None:
        if step.likely and step.month is not None:
            return (
                f"{now} of the newest customers come back within {days} days, "
                f"{'more' if step.effect > 0 else 'fewer'} than before {month_name(step.month)}; it may be the season."
            )
        return f"{now} of the newest customers come back within {days} days; the year before is not known."
    before = formats.share(latest.before.value)
    if not moved(step, latest):
        return (
            f"Newer customers differ from those of a year before by no more than chance: {now} of the newest come back "
            f"within {days} days, then {before}."
        )
    if not step.found or step.month is None:
        more = "more" if latest.low > 0 else "less"
        return f"The newest customers come back {more} than a year before: {now} within {days} days, then {before}."
    more, since = "more" if step.effect > 0 else "less", month_name(step.month)
    if step.month > latest.months["first"].min() - pd.DateOffset(years=1):
        return f"Customers won since {since} come back {more}: {now} within {days} days, {before} a year before."
    return f"Customers won since {since} come back {more} than those before; {now} of the newest within {days} days."


def _nobody_since(found: Newcomers) -> str:
    """The month of the last newcomers, where none has come for months; '' where they still do."""
    last = found.of("all")["first"].max()
    silent = pd.Timestamp(found.as_of) > last + pd.DateOffset(months=_SILENT_MONTHS + 1)
    return month_name(last) if silent else ""


def part_do(found: Newcomers, step: Shift) -> Part:
    """What to do about a fall, and where nobody new comes."""
    by = wording.working_day(found.as_of, _ASK_WITHIN_DAYS)
    if _nobody_since(found):
        what = "Find out why nobody new came, or whether the export holds only old customers"
        return Part(actions=[Action(what=what, owner="shop", by=by)])
    if not step.found or step.month is None or step.effect > 0:
        return Part()
    # Of later newcomers nobody knows yet whether they come back.
    rows = found.months()
    n = rows.loc[rows["first"] >= step.month, "n"]
    since = int(n.sum())
    ends = sorted(abs(end) * since for end in (step.low, step.high))
    lost = formats.quantity(-step.effect * since, "newcomers", low=ends[0], high=ends[1])
    return Part(
        actions=[
            Action(
                what=f"Find out what changed for first orders in {month_name(step.month)}", owner="shop",
                worth=f"about {lost} fewer came back", count=since, by=by, file="tables/cohorts.csv",
                touched=ends[0] * 12 / len(n) if step.high < 0 else 0.0,
                why=f"Since then {formats.number(abs(100 * step.effect))} in 100 fewer come back than in the same "
                "months of other years. Compare parcels, stock, range and offers of first orders.",
            )
        ]
    )  # fmt: skip


def part_limits(found: Newcomers) -> Part:
    """When not to trust the page."""
    said = []
    if found.rule:
        said.append(found.rule)
    elif found.left_out:
        said.append(_left_out(found.left_out, "with an account before the data begins"))
    if found.dealers:
        said.append(_left_out(found.dealers, f"who {wording.noun(found.dealers, 'buys', 'buy')} like a dealer"))
    if found.segment:
        said.append("Only a segment is shown: one chosen by what people did later flatters all its cohorts.")
    said.append("Who chooses a product or a channel differs from who does not: nothing here proves a cause.")
    return Part(caveats=[Caveat(text=text) for text in said[:4]])


def few(found: Newcomers) -> str:
    """The headline where nothing can be concluded."""
    return f"Too few to conclude: {wording.counted(found.total, 'newcomer')}; {LEAST} are needed."


def part_few(found: Newcomers) -> Part:
    """What there is, where there is little."""
    rows = found.of("all").assign(month=lambda t: [month_name(day) for day in t["first"]])
    rows["again"] = rows[[name for name in rows if name.startswith("back_")]].max(axis=1)
    return Part(
        title="What there is", sentence="Each row is a month of first orders.",
        chart=figures.table(
            rows, caption="Newcomers by month of the first order",
            labels={"month": "First order", "n": "Newcomers", "again": "Came back"},
            formats={"n": formats.number, "again": formats.number},
        ) if len(rows) else None,
        metrics=[Metric(id="cohorts", label="Cohorts", value=len(rows), unit="cohorts", n=found.total,
                        definition="months with a first order")],
        tables={"cohorts": table(found)},
    )  # fmt: skip


def _left_out(n: int, who: str) -> str:
    return f"{wording.upper(wording.counted(n, 'customer'))} {who} {wording.noun(n, 'is', 'are')} left out."
