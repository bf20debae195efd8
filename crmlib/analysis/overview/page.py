"""The overview, in the order of its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.overview.causes import change_table, chief
from crmlib.analysis.overview.kpis import missed, unread
from crmlib.analysis.overview.measure import LEAST_ORDERS, YEAR, Measured
from crmlib.analysis.overview.movers import named, silent, sure
from crmlib.findings import Action, Caveat, Change, Findings, Metric, Part, compose, severest
from crmlib.publishing import average_order, newest
from crmlib.stats import surely

if TYPE_CHECKING:
    from crmlib.publishing import Run

_MOST_WORDS, _MOST_ACTIONS, _WITHIN_DAYS, _FRESH_DAYS, _HISTORY = 20, 3, 7, 14, 25


def page(
    found: Measured, parts: Sequence[Part], *, moved: pd.DataFrame, numbers: pd.DataFrame, runs: Sequence[Run] = ()
) -> Findings:
    """How the month went, what moved it and where to look; `parts` in the order of the page, the first the picture.

    `moved` and `numbers` are what `movers` and `kpis` found, `runs` what other reports have published.
    """
    if found.main is None:
        return compose("overview", few(found), [*part_tiles(found), part_few(found)], status="too_few")
    told = [*parts, *part_tiles(found), part_look(found, moved, numbers, runs),
            part_limits(found, numbers, runs)]  # fmt: skip
    return compose("overview", headline(found), told)


def headline(found: Measured) -> str:
    """How the month went, the one cause that weighed most, and since when nobody new came, in at most 20 words."""
    said = _went(found)
    silent = f"{said[:-1]}; nobody new has come since {found.nobody_new}."
    return silent if found.nobody_new and len(silent.split()) <= _MOST_WORDS else said


def _went(found: Measured) -> str:
    change = found.main
    assert change is not None and found.last is not None
    now = wording.rounded_money(change.now, found.currency)
    sales = f"{wording.month(found.last, as_of=found.as_of)} sales were {now}"
    if change.before <= 0:
        return f"{sales}; {change.pair.against} had none."
    moved = wording.change(change.now, change.alike, found.unit, against=change.pair.fairly)
    if not change.moved and found.nobody_new:
        return f"{sales}, {moved}."  # nothing is usual for a crowd that only shrinks
    if not change.moved:
        why = "within the usual swing" if change.usual else "no more than chance explains"
        if moved.startswith("unchanged"):
            return f"{sales}, the same as {change.pair.fairly}."
        text, year = f"{sales}, {moved}, {why}", found.changes.get("12m")
        if year is not None and year.moved and year.enough:
            longer = f"{text}; 12 months {wording.change(year.now, year.before, found.unit)}"
            text = longer if len(longer.split()) <= _MOST_WORDS else text
        return f"{text}."
    lead = chief(change)
    if lead is None:
        return f"{sales}, {moved}."
    return f"{sales}, {moved}, {'mostly from' if lead[1] else 'above all from'} {lead[0]}."


def part_tiles(found: Measured) -> list[Part]:
    """The numbers beside the headline, each with its own a year, or else a month, before."""
    change, year = found.main, found.changes.get("12m")
    full = found.full.tail(_HISTORY)
    if found.last is None:
        return []
    month, last = wording.month(found.last, as_of=found.as_of), full.iloc[-1]
    back = change.pair.apart if change else 0
    was = found.full.iloc[-1 - back] if change else None
    against, longer = (change.pair.fairly, change.pair.longer) if change else ("", 1.0)

    def tile(id: str, label: str, column: str, unit: str, before: float | None) -> Metric:
        shown = full.dropna(subset=column)
        line = tuple((f"{row.month:%Y-%m-%d}", float(getattr(row, column))) for row in shown.itertuples())
        value = round(float(last[column]), 2) if pd.notna(last[column]) else None
        before = before * longer if before is not None and value is not None and pd.notna(before) else None
        return Metric(id=id, label=label, value=value, unit=unit, headline=value is not None, history=line,
                      before=before, against=against if before is not None else "",
                      note="" if before is not None else "nothing to compare with yet",
                      definition=f"{label}, in the last full month; earlier refunds as known then")  # fmt: skip

    metrics = [tile("revenue_month", f"{month} sales", "revenue", found.unit, change.before if change else None)]
    total = found.over("revenue")
    metrics.append(
        Metric(id="revenue_12m", label="Sales, 12 months", value=round(total, 2) if total == total else None,
               unit=found.unit, headline=total == total, before=year.before if year else None,
               against="the year before" if year else "", note="" if year else "no year before it yet",
               definition="net sales of the last 12 full months; the year before as it was known then")
    )  # fmt: skip
    metrics.append(tile("orders_month", f"{month} orders", "orders", "orders",
                        float(was["orders"]) if was is not None else None))  # fmt: skip
    if found.known:
        one = tile("customers_new", "New customers", "new", "customers", float(was["new"]) if was is not None else None)
        if found.nobody_new and not one.before:
            one = replace(one, before=None, against="", note=f"none since {found.nobody_new}")
        metrics.append(one)
    shown = found.months.assign(month=found.months["month"].dt.strftime("%Y-%m"))
    return [
        Part(
            metrics=metrics,
            changes=_last_month(found),
            tables={"change": change_table(found), "months": shown.round(4)},
        )
    ]


def _last_month(found: Measured) -> list[Change]:
    """The month beside the one before it, where the page leads with the year."""
    change = found.changes.get("month")
    if change is None or change is found.main or change.before <= 0:
        return []
    moved = wording.change(change.now, change.alike, found.unit, against=change.pair.fairly)
    usual = (
        ""
        if change.moved or found.nobody_new
        else ", within the usual swing"
        if change.usual
        else ", no more than chance explains"
    )
    text = f"{wording.month(change.pair.start, as_of=found.as_of)} sales were {moved}{usual}."
    ends = ((change.now + side * change.half) / change.alike for side in (-1, 1))
    return [Change(text=text, size=surely(*ends), better=change.now > change.alike if change.moved else None)]


def part_look(found: Measured, moved: pd.DataFrame, numbers: pd.DataFrame, runs: Sequence[Run]) -> Part:
    """Where to look: what other reports have raised, the target furthest off, what moved most; at most three."""
    by = wording.working_day(found.as_of, _WITHIN_DAYS)
    asked = ((place, action, run) for run in newest(runs) if run.as_of >= found.as_of - timedelta(days=_FRESH_DAYS)
             for place, action in enumerate(run.actions) if action.touched)  # fmt: skip
    # Whose it is and where its list lies says its own report, by which it is ranked too.
    raised = [replace(action, touched=0.0, weight=0.0, owner="", file="", why=f"Found by {run.title}. {action.why}")
              for _, action, run in severest(asked, order=average_order(runs))]  # fmt: skip
    made = raised[: _MOST_ACTIONS - 1]
    for row in missed(numbers).head(1).itertuples(index=False):
        made.append(Action(what=f"See why {wording.lower(row.name)} is "
                           f"{formats.share(row.off)} {'under' if row.now < row.target else 'over'} target",
                           owner=row.owner, by=by, file="tables/kpis.csv"))  # fmt: skip
    for _, row in sure(moved).drop_duplicates("by").head(_MOST_ACTIONS - len(made)).iterrows():
        size, way = abs(float(row["beyond"])), "rose more" if row["beyond"] > 0 else silent(row) or "fell behind"
        made.append(Action(what=f"Find out why {wording.lower(named(row))} {way}", owner="sales", by=by, weight=size,
                           worth=f"{found.money(size)} beside the rest", file="tables/movers.csv"))  # fmt: skip
    return Part(actions=[*made, *raised[_MOST_ACTIONS - 1 :]][:_MOST_ACTIONS])


def part_limits(found: Measured, numbers: pd.DataFrame, runs: Sequence[Run]) -> Part:
    """When not to trust the page."""
    said = []
    if found.as_of.day > 1 and not found.months["whole"].iloc[-1]:
        said.append(f"{found.months['month'].iloc[-1]:%B} is not over and is compared with nothing.")
    if found.undated:
        said.append("Refunds have no day: the newest month may still lose some that earlier months have lost already.")
    if found.opening is not None and len(found.full) <= _HISTORY:
        said.append(f"First orders rush in when the data begins, so nobody first seen before "
                    f"{formats.day(found.opening)} is called new.")  # fmt: skip
    elif len(found.full) <= YEAR and found.known:
        said.append("New customers are those not in the data before, which reach back less than a year.")
    if lacking := unread(numbers, runs):
        said.append(f"Not published yet, so not read: {wording.listed(name.replace('_', ' ') for name in lacking)}.")
    said.append("The causes share out what happened; they do not say why people did it.")
    return Part(caveats=[Caveat(text=text) for text in said[-4:]])


def few(found: Measured) -> str:
    """The headline where nothing can be concluded."""
    n = wording.counted(int(found.months["orders"].sum()), "order")
    full = wording.counted(len(found.full), "full month")
    return f"Too few to conclude (n = {n}, {full}): two comparable months with {LEAST_ORDERS} orders are needed."


def part_few(found: Measured) -> Part:
    """What there is, where there is little."""
    rows = found.months.assign(name=found.months["month"].dt.strftime("%B %Y") if len(found.months) else "")
    return Part(
        title="What there is", sentence="Each row is a month.",
        chart=figures.table(rows[::-1], caption="Orders and net sales by month", rows=24,
                            labels={"name": "Month", "orders": "Orders", "revenue": "Net sales"},
                            formats={"orders": formats.number, "revenue": formats.number}) if len(rows) else None,
        tables={} if found.last is not None else {"change": change_table(found), "months": found.months},
    )  # fmt: skip
