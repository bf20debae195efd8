"""One arm against the old version: how it stands, and what is to be done about it."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Any

import pandas as pd

from crmlib import wording
from crmlib.analysis.experiments.facts import Facts
from crmlib.analysis.experiments.measures import effect_text, gain_text, is_selling, most_text, size_text, words
from crmlib.analysis.experiments.planning import USUAL_EFFECT, detectable, needed
from crmlib.analysis.experiments.results import Results
from crmlib.analysis.experiments.worth import Worth, margin_row

USUAL_LEAST = 0.01  # of control's mean: a gain below it is not worth having where nobody says what is
TOO_LONG = 365  # days of a new test that nobody waits for


class State(StrEnum):
    """How a comparison stands."""

    HIGHER = "higher"
    LOWER = "lower"
    NO_DIFFERENCE = "no_difference"
    NO_GAIN = "no_gain"
    OPEN = "open"
    UNFIT = "unfit"
    RUNNING = "running"
    VOID = "void"
    TOO_FEW = "too_few"
    NO_OUTCOMES = "no_outcomes"


class Decision(StrEnum):
    """What is to be done about it, the most urgent first."""

    SHIP = "ship"
    CHOOSE = "choose"  # one of several that beat the old version and are not told apart
    STOP = "stop"
    OPEN = "open"  # read at its end, undecided
    VOID = "void"
    EXTEND = "extend"


class Proviso(StrEnum):
    """What else is known of a measure that is higher: does the change pay, and does it hurt what may not get worse?"""

    NONE = ""
    PAYS = " and pays"
    UNPAID = ", but we can't tell if it pays"
    LOSES = ", but loses money"
    WORSE = ", but makes {} worse than allowed"
    UNSURE = ", but may make {} worse than allowed"
    UNMEASURED = ", but nobody measured {}"
    SMALL = ", but too little to be worth having"
    LESS = ", but less than {}"
    TIED = ", as {} do"


DECIDED = (State.HIGHER, State.LOWER, State.NO_DIFFERENCE, State.NO_GAIN)
READ = (*DECIDED, State.OPEN)  # read at its end, whether or not that settles what to do
# In a table, and of a test in a sentence.
TOLD = {
    State.HIGHER: ("better", "{name} is better"),
    State.LOWER: ("worse", "{name} is worse"),
    State.NO_DIFFERENCE: ("no difference worth having", "{name} makes no difference worth having"),
    State.NO_GAIN: ("no gain worth having", "{name} brings no gain worth having"),
    State.OPEN: ("no clear difference", "{name} shows no clear difference"),
    State.UNFIT: ("no measure to judge by", "the {name} test can't be judged by its measure"),
    State.RUNNING: ("still running", "the {name} test is still running"),
    State.VOID: ("unusable", "the {name} test is unusable"),
    State.TOO_FEW: ("too few to tell", "the {name} test is too small to tell"),
    State.NO_OUTCOMES: ("nothing measured", "nothing was measured in the {name} test"),
}
_RAILS = {
    "broken": (Proviso.WORSE, "breaks its limit"),
    "absent": (Proviso.UNMEASURED, "was not measured"),
    "unclear": (Proviso.UNSURE, "may break its limit"),
    "holds": (Proviso.NONE, "stays within its limit"),
}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One arm's: `side` is 1 or -1 where the interval is clear of zero; `about` what the proviso names; `by` a day.

    `note` is what the action says of it: how much it adds at best, or how long an answer would take.
    """

    experiment: str = ""
    variant: str = ""
    state: State
    decision: Decision
    why: str
    proviso: Proviso = Proviso.NONE
    about: str = ""
    note: str = ""
    side: int = 0
    units: int = 0
    by: date | None = None
    early: bool = False
    said: str = ""


@dataclass(frozen=True)
class Case:
    """One arm before its judge: `rows` are its metrics, `metric` the one that decides."""

    worth: Worth
    results: Results
    facts: Facts
    experiment: str
    arm: str
    metric: str
    rows: pd.DataFrame
    worthwhile: float

    def undecided(self, why: str, **more: Any) -> Verdict:
        """A test read once ends so; only where any day may be read does it run on."""
        decision = Decision.EXTEND if self.results.reading == "always" else Decision.OPEN
        return Verdict(state=State.OPEN, decision=decision, why=why, **more)


def judge(case: Case) -> Verdict:
    facts, waits = case.facts, functools.partial(Verdict, decision=Decision.EXTEND)
    if (case.experiment, "") in case.results.checks.blocked:
        why = "Find out where the missing ones went (a redirect, an error, a blocked script), then rerun it."
        return Verdict(state=State.VOID, decision=Decision.VOID, why=why)
    if not case.arm:
        return waits(state=State.TOO_FEW, why=f"Only one version has {facts.unit}.")
    if not case.metric or case.metric not in case.rows.index:
        end = facts.end_of(case.experiment)
        if not case.metric and end > facts.as_of:
            why = f"None of its {facts.unit} has been followed for a whole window yet."
            return waits(state=State.RUNNING, why=why, by=end)
        return waits(state=State.NO_OUTCOMES, why="The shop's tables hold no outcomes of it.")
    row, metric = case.rows.loc[case.metric], wording.upper(words(case.metric))
    early = row["state"] == "ok" and (row["low"] > 0 or row["high"] < 0)
    by = facts.end_of(case.experiment, case.metric) if row["open"] else None
    if row["open"] and not early:
        closed = int(row["n"] + row["n_control"] + row["missing"])
        why = f"{closed:,} of {closed + int(row['open']):,} {facts.unit} have been followed for their whole window."
        return waits(state=State.RUNNING, why=why, by=by)
    if row["state"] == "void":
        why = f"{metric} is missing more often in one version than in the other."
        return Verdict(state=State.VOID, decision=Decision.VOID, why=why)
    if row["state"] == "too_few":
        return waits(state=State.TOO_FEW, why=f"It {row['reason']}.")
    if row["state"] == "unfit":
        return waits(state=State.UNFIT, why=f"{metric} {row['reason']}.")
    found = _read(case, row)
    if by and found.state == State.OPEN:
        return replace(found, state=State.RUNNING, by=by)
    if by:
        why = f"{found.why} It was read before its end, which this range allows, but early winners are exaggerated."
        return replace(found, why=why, early=True)
    return found


def _read(case: Case, row: pd.Series) -> Verdict:
    """Of a primary measure that may be read."""
    currency, unit = case.facts.currency, case.facts.unit
    said = f"{wording.upper(words(row['metric']))} {effect_text(row, currency)}."
    named = case.worthwhile * row["mean_control"]
    least = named or USUAL_LEAST * row["mean_control"]
    if row["low"] > 0:
        return _higher(case, row, said, named)
    if row["high"] < 0:
        return Verdict(state=State.LOWER, decision=Decision.STOP, why=said, side=-1)
    wish = size_text(least, row["kind"], currency) if least > 0 else ""
    if least > 0 and row["high"] < least:
        worth = f"that is under {USUAL_LEAST:.0%} of the old version's mean"
        worth = f"{wish} would be worth having" if named else worth
        most, note = most_text(row, currency), gain_text(row, currency)
        if row["low"] > -least:
            why = f"{said} Any effect is smaller than {most}; {worth}."
            return Verdict(state=State.NO_DIFFERENCE, decision=Decision.STOP, why=why, note=note)
        why = f"{said} At best it adds {note}; {worth}. A loss is still possible."
        return Verdict(state=State.NO_GAIN, decision=Decision.STOP, why=why, note=note)
    if not row["error"] > 0:
        return case.undecided(said)
    why = f"{said} A test of this size easily misses changes under {size_text(detectable(row), row['kind'], currency)}."
    target = named or USUAL_EFFECT * row["mean_control"]
    days = more_days({**row, "effect": target}, case.facts) if target > 0 else None
    if named > 0:
        why += f" To find {wish} takes about {needed(row, least):,} {unit} in each version."
    note = f"a clear answer would take about {wording.span(days)}" if days and days > TOO_LONG else ""
    return case.undecided(why, note=note)


def _higher(case: Case, row: pd.Series, said: str, least: float) -> Verdict:
    """The primary measure is higher: what stands in the way of shipping it?"""
    currency = case.facts.currency
    if row["high"] < least:
        why = f"{said} {wording.upper(size_text(least, row['kind'], currency))} would be worth having."
        return Verdict(state=State.HIGHER, decision=Decision.STOP, why=why, proviso=Proviso.SMALL, side=1)
    rails = {rail.metric: case.rows["guardrail"].get(rail.metric) or "absent" for rail in case.results.guardrails}
    texts = " ".join([said, *(_rail_text(case, metric, state) for metric, state in rails.items())])
    for state, (proviso, _) in _RAILS.items():
        names = [words(metric) for metric, known in rails.items() if known == state]
        if names and state != "holds":
            found = case.undecided(texts, proviso=proviso, about=wording.listed(names), side=1)
            stops = replace(found, state=State.HIGHER, decision=Decision.STOP)
            return stops if state == "broken" else found
    ship = Verdict(state=State.HIGHER, decision=Decision.SHIP, why=texts, side=1)
    margin = margin_row(case.rows)
    if margin is None:
        short = " It may be less than the smallest effect worth having." if row["low"] < least else ""
        return replace(ship, why=f"{texts}{short}")
    what = wording.upper(words(margin["metric"])) + (" less the offer's cost" if case.worth.offer_cost else "")
    if margin["state"] != "ok":
        return case.undecided(f"{texts} {what} could not be tested yet.", proviso=Proviso.UNPAID, side=1)
    net = margin.to_dict() | {name: margin[name] - case.worth.offer_cost for name in ("effect", "low", "high")}
    # Where the offer costs nothing, the corrected p-value says what the interval says, for all metrics at once.
    clear = bool(case.worth.offer_cost) or margin["primary"] or margin["p_adjusted"] < 1 - case.results.confidence
    why = f"{texts} {what} {effect_text(net, currency)}."
    if net["low"] > 0 and clear:
        return replace(ship, why=why, proviso=Proviso.NONE if margin["primary"] else Proviso.PAYS)
    if net["high"] < 0 and clear:
        return replace(ship, decision=Decision.STOP, why=why, proviso=Proviso.LOSES)
    if days := more_days(net, case.facts):
        why += f" A clear answer would take about {wording.span(days)} more."
    return case.undecided(why, proviso=Proviso.UNPAID, side=1)


def _rail_text(case: Case, metric: str, state: str) -> str:
    limit = next(rail.text for rail in case.results.guardrails if rail.metric == metric)
    seen = case.rows.loc[metric] if metric in case.rows.index else None
    shown = f" {effect_text(seen, case.facts.currency)}" if seen is not None and seen["state"] == "ok" else ""
    return f"{wording.upper(words(metric))}{shown} {_RAILS[state][1]} ({limit})."


def more_days(row: Any, facts: Facts) -> int | None:
    """Days of a new test, in whole weeks and at this one's pace, that finds this effect four times in five, if any."""
    if not (row["effect"] and row["error"] > 0):
        return None
    units, pace = needed(row, row["effect"]) * len(facts.units_of(row["experiment"])), facts.a_day(row["experiment"])
    if math.isnan(pace):
        return None
    days = 7 * math.ceil(units / pace / 7)
    return days if days <= 10_000 else None


def said_of(verdict: Verdict, results: Results) -> str:
    """The verdict in a few words: 'Free shipping sells more, but we can't tell if it pays'."""
    name, metric = results.facts.name(verdict.experiment, verdict.variant), results.primary.get(verdict.experiment, "")
    said = TOLD[verdict.state][1].format(name=name)
    if verdict.proviso == Proviso.TIED:
        verb = "sell more" if is_selling(metric) else f"raise {words(metric)}"
        return f"{wording.upper(words(verdict.experiment))}: {verdict.about} {verb}, none clearly most"
    if verdict.side and verdict.state != State.VOID:
        verb = "sells more" if is_selling(metric) else f"raises {words(metric)}"
        if verdict.side < 0:
            verb = "sells less" if is_selling(metric) else f"lowers {words(metric)}"
        said = f"{name} {verb}{verdict.proviso.format(verdict.about)}"
    return wording.upper(said)
