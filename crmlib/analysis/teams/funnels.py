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
    stands = [(name, f"{wording.upper(name)} {said.does} more often than its {CASES[kind]}s explain.")
              for name in one.bad["team"] if kind != "department"]  # fmt: skip
    return Part(
        title=title(one), sentence=_sentence(found, one), detail=kind == "department",
        chart=figures.funnel(
            one.table, label="team", n="comparable", value="adjusted", outside="outside", limits=limits,
            usual=one.usual, form=formats.share, what=f"{CASES[kind]}s {said.share}, adjusted",
            across=f"weight of evidence, in usual {CASES[kind]}s", table=_table(one),
        ),
        signals=[Signal(id=f"{kind}_{name}", text=text, gone=f"{wording.upper(name)} no longer stands out.")
                 for name, text in stands],
        certain=[seems(found)] if kind == "team" and seeming(found) else [],
        method=[_method(found)] if kind == "team" else [],
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
    others = formats.share(row["expected"] / row["n"])
    return f"{formats.share(row['raw'])} of {its} {cases} {happened}; others would have had {others} with the same."


def also(found: Judged, one: Verdict, name: str) -> str:
    """What else a group that stands out does more often, in a sentence; '' where nothing."""
    more = [MEASURES[other.measure].does for other in found.of(one.kind)
            if other.measure != one.measure and name in set(other.bad["team"])]  # fmt: skip
    return f"It also {wording.listed(more)} more often." if more else ""


def worst(one: Verdict, name: str) -> str:
    """Where a group has more too many than elsewhere: 'with returns', 'at the weekend'; '' where nowhere."""
    column, value = one.apart.get(name, ("", ""))
    when = {"weekend": "at the weekend", "morning": "in the morning", "afternoon": "in the afternoon",
            "evening": "in the evening"}  # fmt: skip
    days = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
    told = {
        "": "", "topic": f"about {value}", "part": when.get(value, value), "country": f"to {value}",
        "weekday": f"when sent on a {days[int(value)]}" if column == "weekday" else "",
        "size": f"in orders of {'three lines or more' if value == '3' else wording.counted(int(value), 'line')}"
        if column == "size" else "",
        "buyer": "with regular customers" if value == "regular" else "with new customers",
    }  # fmt: skip
    return told[column] if value != "other" else ""


def seems(found: Judged) -> str:
    """Why the first team that looks slow is not, in a sentence."""
    one = next(one for one in found.of("team") if one.measure == "late_reply")
    row = one.table[one.table["team"] == seeming(found)[0]].iloc[0]
    return (
        f"{wording.upper(row['team'])} answers {formats.share(row['raw'])} of its tickets late; of such tickets others "
        f"would answer {formats.share(row['expected'] / row['n'])} late."
    )


def seeming(found: Judged) -> list[str]:
    """Teams that have many late answers, none of them too many for their tickets, and nothing else against them."""
    bad = {name for one in found.of("team") for name in one.bad["team"]}
    return [
        str(name) for one in found.of("team") if one.measure == "late_reply"
        for name in one.table.loc[one.table["seeming"] & (one.table["raw"] > one.usual), "team"] if name not in bad
    ]  # fmt: skip


def _limit(found: Judged, measure: str) -> str:
    if measure not in _LIMITS:
        return ""
    value = found.limits.get(_LIMITS[measure], float("nan"))
    if measure == "late_parcel":
        return wording.counted(int(value), "day")
    hours = f"{formats.number(value, digits=0 if float(value).is_integer() else 1)}"
    return f"{hours} {'working ' if found.hours else ''}{wording.noun(value, 'hour')}"


def _table(one: Verdict) -> dict[str, object]:
    place = {1: "too many", -1: "fewer", 0: "as others"}
    shown = one.table.assign(expected=one.table["expected"] / one.table["n"], place=one.table["outside"].map(place))
    return figures.tabulate(
        shown, caption="As counted, as others would have had with the same cases, and as is likely after chance",
        labels={"team": wording.upper(one.kind), "n": wording.upper(f"{CASES[one.kind]}s"), "raw": "Counted",
                "expected": "Expected", "adjusted": "Adjusted", "low": "From", "high": "to", "likely": "Likely",
                "place": "Stands"},
        formats={"n": formats.people, **dict.fromkeys(("raw", "expected", "adjusted", "low", "high", "likely"),
                                                      formats.share)},
    )  # fmt: skip


def _method(found: Judged) -> str:
    tests = sum(len(one.table) for one in found.verdicts)
    return (
        "Indirectly standardised by logistic regression on group, kind of case and time of year; funnel limits on "
        "arcsines, widened for scatter from month to month, Bonferroni within each kind, 5% over all "
        f"{tests} comparisons; the weight of evidence is the number of usual cases that would be as sure; likely "
        "values are drawn together by a hierarchical model."
    )
