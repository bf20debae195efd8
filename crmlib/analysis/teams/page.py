"""Teams, in the order of the page."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.teams.funnels import CASES, MEASURES, also, chief, seeming, worst
from crmlib.analysis.teams.judge import LEAST
from crmlib.analysis.teams.marketing import Returns
from crmlib.analysis.teams.measure import Judged
from crmlib.findings import Action, Caveat, Findings, Metric, Part, compose

_MOST_WORDS, _MOST_ACTIONS, _WITHIN_DAYS = 20, 3, 14
_KINDS = ("team", "carrier", "supplier")


def page(found: Judged, parts: Sequence[Part], *, returns: Returns | None = None) -> Findings:
    """Who does well after a fair adjustment, and where is help needed; `parts` in the order of the page.

    Where nothing can be compared there is no page to conclude from, and what there is is shown as a table.
    """
    if not found.verdicts:
        return compose("teams", few(found), [part_few(found)], status="too_few")
    return compose("teams", headline(found), [*parts, part_do(found, returns), part_limits(found)])


def headline(found: Judged) -> str:
    """Who needs help, who only seems to, in at most 20 words."""
    bad, many = [], 0
    for one in (chief(found, kind) for kind in _KINDS):
        if one is not None and len(one.bad):
            does = wording.noun(len(one.bad), MEASURES[one.measure].does, MEASURES[one.measure].do)
            bad.append(f"{wording.listed(one.bad['team'], most=2)} {does}")
            many += len(one.bad)
    hard = seeming(found)
    slow = f"{wording.listed(hard, most=2)} only {wording.noun(len(hard), 'looks', 'look')} slow" if hard else ""
    good = [name for kind in _KINDS for one in found.of(kind) for name in one.good["team"]]
    while True:
        its = wording.noun(many, "its", "their")
        if bad:
            text = f"{wording.listed(bad)}, more often than {its} cases explain" + (f"; {slow}" if slow else "")
        elif good:
            names = list(dict.fromkeys(good))
            does = wording.noun(len(names), "does", "do")
            text = f"{wording.listed(names, most=2)} {does} better than others; nobody falls behind"
        else:
            kinds = [kind for kind in _KINDS if found.of(kind)] or ["department"]
            none = " or ".join([", ".join(kinds[:-1]), kinds[-1]][len(kinds) < 2 :])
            text = f"No {none} stands out once its cases are allowed for" + (f"; {slow}" if slow else "")
        if len(text.split()) <= _MOST_WORDS or len(bad) < 2:
            return f"{wording.upper(text)}."
        bad.pop()


def part_do(found: Judged, returns: Returns | None) -> Part:
    """Coaching, talks and budget: at most three."""
    made = []
    for kind in _KINDS:
        one = chief(found, kind)
        if one is None or one.bad.empty:
            continue
        row = one.bad.iloc[0]
        name, where = str(row["team"]), worst(one, str(row["team"]))
        excess = round((row["events"] - row["expected"]) * 365 / found.within_days)
        late = one.measure == "late_parcel"
        what = {
            "team": f"Coach {name} {_LESSONS.get(one.measure, '')}" + (f", first {where}" if where else ""),
            "carrier": f"Ask {name} why its parcels {'come late' if late else 'bring complaints'}",
            "supplier": f"Talk to {name} about its goods: more {_TALK.get(one.measure, 'complaints')}",
        }[kind]
        others = formats.share(row["expected"] / row["n"])
        made.append(
            Action(
                what=what, owner="service" if kind == "team" else "purchasing", count=int(row["n"]),
                worth=f"about {wording.counted(excess, CASES[kind])} a year", file="tables/teams.csv",
                by=wording.working_day(found.as_of, _WITHIN_DAYS),
                why=wording.sentences(
                    f"{formats.share(row['raw'])} of its {CASES[kind]}s against {others} with the same in other hands.",
                    also(found, one, name), "The reason is to be asked: numbers do not tell it.",
                ),
            )
        )  # fmt: skip
    if returns is not None and (action := returns.action(found)):
        made.insert(min(2, len(made)), action)
    return Part(actions=made[:_MOST_ACTIONS])


_LESSONS = {"late_reply": "on first answers", "late_close": "on closing tickets", "reopened": "on solving at once",
            "unhappy": "on what customers mark badly"}  # fmt: skip
_TALK = {"refunded": "refunds", "wrote": "tickets"}


def part_limits(found: Judged) -> Part:
    """When not to trust the page."""
    said = []
    if found.of("team") or found.of("department"):
        said.append(
            f"Answers are timed in the hours the shop works ({found.hours})." if found.hours else
            "All hours count as working hours: shop.toml's [team] names none."
        )  # fmt: skip
    left = []
    if found.unassigned:
        left.append(f"{wording.counted(found.unassigned, 'ticket')} of no known team")
    if found.unmarked:
        left.append(f"{wording.counted(found.unmarked, 'closed ticket')} without a mark, not taken for unhappy")
    if left:
        said.append(f"Left out: {wording.listed(left)}.")
    if found.missing:
        needs = wording.listed(f"{kind}s (needs {what})" for kind, what in found.missing.items())
        said.append(f"Not compared: {needs}.")
    said.append("What makes a case hard and is in no column is not allowed for.")
    compared = sum(len(one.table) for one in found.verdicts)
    certain = (
        f"If all were alike, chance would put any of the {formats.number(compared)} comparisons outside in at most "
        "five of 100 shops. Nobody inside is ranked."
    )
    return Part(caveats=[Caveat(text=text) for text in said[:4]], certain=[certain])


def few(found: Judged) -> str:
    """The headline where nothing can be concluded."""
    n = int(found.cases["n"].sum())
    return f"Too few to conclude (n = {formats.number(n)}): two groups of at least {LEAST} cases are needed."


def part_few(found: Judged) -> Part:
    """What there is, where there is little."""
    rows = found.cases.assign(kind=[wording.upper(kind) for kind in found.cases["kind"]])
    return Part(
        title="What there is", sentence="Each row is a group with the cases it has.",
        chart=figures.table(
            rows, caption="Cases of each group", labels={"kind": "Kind", "team": "Name", "n": "Cases"},
            formats={"n": formats.people},
        ) if len(rows) else None,
        metrics=[Metric(id="teams", label="Compared", value=0, unit="groups", definition="groups with enough cases")],
        tables={"teams": pd.DataFrame(columns=["team", "n", "raw", "adjusted", "low", "high", "outside"])},
    )  # fmt: skip
