"""Teams, in the order of the page."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.teams.funnels import CASES, MEASURES, also, chief, seeming, worst
from crmlib.analysis.teams.judge import LEAST
from crmlib.analysis.teams.marketing import Returns
from crmlib.analysis.teams.measure import ASKED, Judged
from crmlib.findings import Action, Caveat, Findings, Metric, Part, compose

_MOST_WORDS, _MOST_ACTIONS, _WITHIN_DAYS = 20, 3, 14
_NAMES = {"reply": "First answer", "close": "Until closed", "delivery": "Delivery"}
_UNITS = {"work": "working hours", "clock": "hours", "days": "days"}
_LESSONS = {"late_reply": "on first answers", "late_close": "on closing tickets", "reopened": "on solving at once",
            "unhappy": "on what customers mark badly"}  # fmt: skip


def page(found: Judged, parts: Sequence[Part], *, returns: Returns | None = None) -> Findings:
    """Who does well after a fair adjustment, and where is help needed; `parts` in the order of the page.

    Where nothing can be compared there is no page to conclude from, and what there is is shown as a table.
    """
    if not found.verdicts:
        n = formats.number(found.cases["n"].sum())
        few = f"Too few to conclude (n = {n}): two groups of at least {LEAST} cases are needed."
        return compose("teams", few, [part_few(found)], status="too_few")
    return compose("teams", headline(found), [*parts, part_do(found, returns), part_limits(found)])


def headline(found: Judged) -> str:
    """Who needs help, who only seems to, in at most 20 words."""
    shown = [one for kind in ASKED if (one := chief(found, kind)) is not None]
    bad = [(len(one.bad), f"{wording.listed(one.bad['team'], most=2)} "
            + wording.noun(len(one.bad), MEASURES[one.measure].does, MEASURES[one.measure].do))
           for one in shown if len(one.bad)]  # fmt: skip
    good = list(dict.fromkeys(name for kind in ASKED for one in found.of(kind) for name in one.good["team"]))
    hard = seeming(found)["team"]
    slow = f"; {wording.listed(hard, most=2)} only {wording.noun(len(hard), 'looks', 'look')} slow" if len(hard) else ""
    for kept in range(len(bad), 0, -1):
        its = wording.noun(sum(n for n, _ in bad[:kept]), "its", "their")
        text = f"{wording.listed(said for _, said in bad[:kept])}, more often than {its} cases explain{slow}."
        if kept == 1 or len(text.split()) <= _MOST_WORDS:
            return wording.upper(text)
    if good:
        does = wording.noun(len(good), "does", "do")
        return wording.upper(f"{wording.listed(good, most=2)} {does} better than others; nobody falls behind.")
    kinds = [one.kind for one in shown] or ["department"]
    return f"No {' or '.join(kinds)} stands out once its cases are allowed for{slow}."


def part_do(found: Judged, returns: Returns | None) -> Part:
    """Coaching, talks and budget: at most three."""
    made = []
    for kind in ASKED:
        one = chief(found, kind)
        if one is None or one.bad.empty:
            continue
        row, cases = one.bad.iloc[0], CASES[kind]
        name, where = str(row["team"]), worst(one, str(row["team"]))
        what = {
            "team": f"Coach {name} {_LESSONS.get(one.measure, '')}" + (f", first {where}" if where else ""),
            "carrier": f"Ask {name} why its parcels {'come late' if one.measure == 'late_parcel' else 'bring tickets'}",
            "supplier": f"Talk to {name} about its goods: more {'refunds' if one.measure == 'refunded' else 'tickets'}",
        }[kind]
        excess = round((row["events"] - row["expected"]) * 365 / found.within_days)
        least = excess * (row["low"] - one.usual) / (row["adjusted"] - one.usual)
        raw, others = formats.share(row["raw"]), formats.share(row["expected"] / row["n"])
        made.append(
            Action(
                what=what, owner="service" if kind == "team" else "purchasing", count=int(row["n"]),
                worth=f"about {wording.counted(excess, cases)} a year", file="tables/teams.csv",
                touched=max(least, 0.0), by=wording.working_day(found.as_of, _WITHIN_DAYS),
                why=wording.sentences(f"{raw} of its {cases}s against {others} of the same in other hands.",
                                      also(found, one, name), "Ask why: the numbers do not say."),
            )
        )  # fmt: skip
    if returns is not None and (action := returns.action(found)):
        made.insert(2, action)
    return Part(actions=made[:_MOST_ACTIONS])


def part_times(found: Judged) -> Part:
    """The finding: median times in hours of work and of the clock, beside the window before."""
    rows = found.medians.dropna(subset=["now"])
    if rows.empty:
        return Part()
    year, chief_unit = abs(found.within_days - 365) < 2, "work" if found.hours else "clock"
    against = "the year before" if year else f"the {wording.span(found.within_days)} before"
    shown = rows.assign(name=rows["what"].map(_NAMES), unit=rows["how"].map(_UNITS))
    metrics = [
        Metric(id=f"{row.what}_{'days' if row.how == 'days' else 'hours'}", label=row.name, value=float(row.now),
               unit=row.unit, n=int(row.n), said=_amount(row.now),
               headline=row.what != "close", before=None if pd.isna(row.before) else float(row.before), against=against,
               definition=f"median {row.unit} until then, those still waiting counted as such")
        for row in shown[shown["how"].isin([chief_unit, "days"])].itertuples(index=False)
    ]  # fmt: skip
    first = shown.iloc[0]
    return Part(
        title=f"{first['name']}: {_amount(first['now'])} {first['unit']} at the median", detail=True, metrics=metrics,
        sentence=f"Half of all took no longer; {against} stands beside it.",
        chart=figures.table(
            shown, caption="Median times, those still waiting counted as such",
            labels={"name": "Until", "unit": "In", "now": "Now", "before": "Before", "n": "Of"},
            formats={"now": _amount, "before": _amount, "n": formats.number},
        ),
    )  # fmt: skip


def _amount(value: float) -> str:
    return formats.number(value, digits=0 if value == int(value) else 1)


def part_limits(found: Judged) -> Part:
    """When not to trust the page."""
    said = []
    if found.of("team") or found.of("department"):
        said = [f"Answers are timed in the hours the shop works ({found.hours})." if found.hours else
                "All hours count as working hours: shop.toml's [team] names none."]  # fmt: skip
    left = [f"{wording.counted(found.unassigned, 'ticket')} of no known team"] if found.unassigned else []
    if found.unmarked:
        left.append(f"{wording.counted(found.unmarked, 'closed ticket')} without a mark, not taken for unhappy")
    said += [f"Left out: {wording.listed(left)}."] if left else []
    needs = wording.listed(f"{kind}s (needs {what})" for kind, what in found.missing.items())
    said += [f"Not compared: {needs}."] if needs else []
    told = {(one.kind, name) for one in found.verdicts for name in one.table["team"]}
    few = sum((row.kind, row.team) not in told for row in found.cases.itertuples())
    if few:
        said.append(f"Too few cases to judge: {wording.counted(few, 'group')}.")
    said.append("What makes a case hard and is in no column is not allowed for.")
    compared = formats.number(sum(len(one.table) for one in found.verdicts))
    certain = f"If all were alike, chance would put any of {compared} comparisons outside in at most five of 100 shops."
    return Part(caveats=[Caveat(text=text) for text in said[-4:]], certain=[certain, "Nobody inside is ranked."])


def part_few(found: Judged) -> Part:
    """What there is, where there is little."""
    rows = found.cases.assign(kind=[wording.upper(kind) for kind in found.cases["kind"]])
    return Part(
        title="What there is", sentence="Each row is a group with the cases it has.",
        chart=figures.table(rows, caption="Cases of each group", formats={"n": formats.people},
                            labels={"kind": "Kind", "team": "Name", "n": "Cases"}) if len(rows) else None,
        metrics=[Metric(id="teams", label="Compared", value=0, unit="groups", definition="groups with enough cases")],
        tables={"teams": pd.DataFrame(columns=["team", "n", "raw", "adjusted", "low", "high", "outside"])},
    )  # fmt: skip
