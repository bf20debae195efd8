"""Teams, carriers and suppliers in their funnels: who is outside, and who only seems to be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.teams.judge import Verdict, funnel
from crmlib.analysis.teams.measure import Judged
from crmlib.findings import Metric, Part, Signal


@dataclass(frozen=True)
class Said:
    """A measure in words: what one group does, what many do, what happened to its cases, and the share of them."""

    does: str
    do: str
    happened: str
    share: str


MEASURES = {
    "late_reply": Said("answers late", "answer late", "waited longer than {limit}", "answered late"),
    "late_close": Said("closes late", "close late", "stayed open longer than {limit}", "closed late"),
    "reopened": Said("closes too early", "close too early", "were opened again", "opened again"),
    "unhappy": Said("leaves customers unhappy", "leave customers unhappy", "got a poor mark", "with a poor mark"),
    "late_parcel": Said("delivers late", "deliver late", "took longer than {limit}", "delivered late"),
    "wrote": Said("makes customers write", "make customers write", "led to a ticket within 30 days", "with a ticket"),
    "refunded": Said("causes refunds", "cause refunds", "were paid back within 30 days", "paid back"),
}
CASES = {"team": "ticket", "department": "ticket", "carrier": "parcel", "supplier": "order"}
_LIMITS = {"late_reply": "reply", "late_close": "close", "late_parcel": "parcel"}


def chief(found: Judged, kind: str) -> Verdict | None:
    """The comparison of a kind that is shown: the surest with a group on the bad side, else the first."""
    of = found.of(kind)
    bad = [one for one in of if len(one.bad)]
    return max(bad, key=lambda one: float(one.bad["z"].max()), default=of[0] if of else None)


def part_funnel(found: Judged, kind: str) -> Part:
    """The finding: which teams, departments, carriers or suppliers stand out once their cases are allowed for."""
    one = chief(found, kind)
    if one is None:
        return Part()
    said, grid = MEASURES[one.measure], np.linspace(1, 1.08 * float(one.table["comparable"].max()), 120)
    ends = {end: funnel(one.usual, grid, sign * one.limit) for end, sign in (("low", -1), ("high", 1))}
    limits = pd.DataFrame({"n": grid} | ends)
    hard = seeming(found).head(1 if kind == "team" else 0)
    return Part(
        title=title(one), sentence=_sentence(found, one), detail=kind == "department",
        chart=figures.funnel(
            one.table, label="team", n="comparable", value="adjusted", outside="outside", limits=limits,
            usual=one.usual, form=formats.share, what=f"{CASES[kind]}s {said.share}, adjusted",
            across=f"weight of evidence, in usual {CASES[kind]}s", table=_table(one),
        ),
        signals=[
            Signal(id=f"{kind}_{name}", gone=f"{wording.upper(name)} no longer stands out.",
                   text=f"{wording.upper(name)} {said.does} more often than its {CASES[kind]}s explain.")
            for name in one.bad["team"] if kind != "department"
        ],
        certain=[f"{wording.upper(row.team)} answers {formats.share(row.raw)} of its tickets late; of such tickets "
                 f"others would answer {formats.share(row.expected / row.n)} late." for row in hard.itertuples()],
    )  # fmt: skip


def part_all(found: Judged) -> Part:
    """The numbers of the page: how many were compared, who is outside, and the table of all comparisons."""
    compared = sum(one.table["team"].nunique() for one in {one.kind: one for one in found.verdicts}.values())
    kinds = wording.listed([f"{kind}s" for kind in dict.fromkeys(one.kind for one in found.verdicts)])
    rows = [one.table.assign(kind=one.kind, measure=one.measure, usual=one.usual) for one in found.verdicts]
    names = ["kind", "measure", "team", "n", "raw", "expected", "usual", "adjusted", "low", "high", "likely",
             "comparable", "p_value", "outside"]  # fmt: skip
    whole = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=names)
    return Part(
        metrics=[
            Metric(id="outside_funnel", label="Stand out", value=len(found.outside), unit="groups", n=compared,
                   note=f"of {compared} compared", headline=True,
                   definition=f"{kinds} with more or fewer bad cases than chance and their cases explain"),
            Metric(id="teams", label="Compared", value=compared, unit="groups",
                   definition=f"{kinds} with at least 30 cases, of which five or more were expected to go wrong"),
        ],
        tables={"teams": whole.assign(expected=whole["expected"] / whole["n"])[names]},
        method=["Indirectly standardised by logistic regression on group, kind of case and time of year; funnel limits "
                "on arcsines, widened for scatter from month to month, Bonferroni within each kind, 5% over all "
                f"{len(whole)} comparisons; the weight of evidence is the number of usual cases that would be as sure; "
                "likely values are drawn together by a hierarchical model."],
    )  # fmt: skip


def title(one: Verdict) -> str:
    """The finding of one comparison."""
    said, cases = MEASURES[one.measure], f"{CASES[one.kind]}s"
    for rows, more in ((one.bad, "more"), (one.good, "less")):
        if len(rows):
            names, its = wording.listed(rows["team"], most=3), wording.noun(len(rows), "its")
            does = wording.noun(len(rows), said.does, said.do)
            return f"{wording.upper(names)} {does} {more} often than {its} {cases} explain"
    return f"No {one.kind} stands out"


def _sentence(found: Judged, one: Verdict) -> str:
    said, cases = MEASURES[one.measure], f"{CASES[one.kind]}s"
    ends = one.bad if len(one.bad) else one.good
    if ends.empty:
        many = wording.counted(len(one.table), one.kind)
        return f"{wording.upper(many)} were compared; they differ no more than chance and their {cases} explain."
    row = ends.iloc[0]
    happened = said.happened.format(limit=_limit(found, one.measure))
    its = "its" if len(ends) == 1 else f"{row['team']}'s"
    others = f"with the same {cases} others would have had {formats.share(row['expected'] / row['n'])}"
    return f"{formats.share(row['raw'])} of {its} {cases} {happened}; {others}."


def also(found: Judged, one: Verdict, name: str) -> str:
    """What else a group that stands out does more often, in a sentence; '' where nothing."""
    others = [other.measure for other in found.of(one.kind) if name in set(other.bad["team"])]
    more = [MEASURES[measure].does for measure in others if measure != one.measure]
    return f"It also {wording.listed(more)} more often." if more else ""


def worst(one: Verdict, name: str) -> str:
    """Where a group has more too many than elsewhere: 'about returns', 'at the weekend'; '' where nowhere."""
    column, value = one.apart.get(name, ("", "other"))
    part = "at the weekend" if value == "weekend" else f"in the {value}"
    told = {"topic": f"about {value}", "part": part, "country": f"to {value}"}
    return told.get(column, "") if value != "other" else ""


def seeming(found: Judged) -> pd.DataFrame:
    """Teams with many late answers, none of them too many for their tickets, and nothing else against them."""
    of = found.of("team")
    bad = [name for one in of for name in one.bad["team"]]
    late = [(one.table, one.usual) for one in of if one.measure == "late_reply"]
    rows = [table[table["seeming"] & (table["raw"] > usual) & ~table["team"].isin(bad)] for table, usual in late]
    return rows[0] if rows else pd.DataFrame(columns=["team"])


def _limit(found: Judged, measure: str) -> str:
    value = found.limits.get(_LIMITS.get(measure, ""), 0.0)
    unit = "day" if measure == "late_parcel" else "working hour" if found.hours else "hour"
    return f"{formats.number(value, digits=0 if value == int(value) else 1)} {wording.noun(value, unit)}"


def _table(one: Verdict) -> dict[str, object]:
    place = {1: "too many", -1: "fewer", 0: "as others"}
    cases = wording.upper(f"{CASES[one.kind]}s")
    shown = one.table.assign(expected=one.table["expected"] / one.table["n"], place=one.table["outside"].map(place))
    shares = {"raw": "Counted", "expected": "Expected", "adjusted": "Adjusted", "low": "From", "high": "to",
              "likely": "Likely"}  # fmt: skip
    return figures.tabulate(
        shown, caption="As counted, as others would have had with the same cases, and as is likely after chance",
        labels={"team": wording.upper(one.kind), "n": cases, **shares, "place": "Stands"},
        formats={"n": formats.people, **dict.fromkeys(shares, formats.share)},
    )  # fmt: skip
