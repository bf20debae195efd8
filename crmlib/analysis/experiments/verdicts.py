"""What each test says by its primary measure, and what to do about it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from enum import StrEnum
from typing import Any

import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.experiments.facts import Facts
from crmlib.analysis.experiments.measures import (
    effect_text,
    is_selling,
    mean_text,
    most_text,
    rounded,
    size_text,
    words,
)
from crmlib.analysis.experiments.planning import detectable, needed
from crmlib.analysis.experiments.results import CONTRACT, LEAST_GAIN, Results
from crmlib.analysis.experiments.split import BLOCKED
from crmlib.analysis.experiments.worth import Worth, loss_text, margin_row, month_of
from crmlib.findings import Action, Metric, Part, Signal

DECIDE_WITHIN = 14  # days


class State(StrEnum):
    """How a comparison stands."""

    HIGHER = "higher"
    LOWER = "lower"
    NO_DIFFERENCE = "no_difference"
    NO_GAIN = "no_gain"
    OPEN = "open"
    RUNNING = "running"
    VOID = "void"
    TOO_FEW = "too_few"
    NO_OUTCOMES = "no_outcomes"


class Decision(StrEnum):
    """What is to be done about it, the most urgent first."""

    SHIP = "ship"
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


DECIDED = (State.HIGHER, State.LOWER, State.NO_DIFFERENCE, State.NO_GAIN)
READ = (*DECIDED, State.OPEN)  # read at its end, whether or not that settles what to do
# In a table, and of a test in a sentence.
_TOLD = {
    State.HIGHER: ("better", "{name} is better"),
    State.LOWER: ("worse", "{name} is worse"),
    State.NO_DIFFERENCE: ("no difference worth having", "{name} makes no difference worth having"),
    State.NO_GAIN: ("no gain worth having", "{name} brings no gain worth having"),
    State.OPEN: ("no clear difference", "{name} shows no clear difference"),
    State.RUNNING: ("still running", "the {name} test is still running"),
    State.VOID: ("unusable", "the {name} test is unusable"),
    State.TOO_FEW: ("too few to tell", "the {name} test is too small to tell"),
    State.NO_OUTCOMES: ("nothing measured", "nothing was measured in the {name} test"),
}
_ADJUSTED = "changes are adjusted for differences there were before the test"
_RAILS = {
    "broken": (Proviso.WORSE, "breaks its limit"),
    "absent": (Proviso.UNMEASURED, "was not measured"),
    "unclear": (Proviso.UNSURE, "may break its limit"),
    "holds": (Proviso.NONE, "stays within its limit"),
}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One arm's: `side` is 1 or -1 where the interval is clear of zero; `about` what the proviso names; `by` a day."""

    experiment: str = ""
    variant: str = ""
    state: State
    decision: Decision
    why: str
    proviso: Proviso = Proviso.NONE
    about: str = ""
    side: int = 0
    units: int = 0
    by: date | None = None
    early: bool = False
    said: str = ""


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """What each test says, by its primary measure alone.

    table    one row per experiment and arm, a column for each field of `Verdict`; `units` in both arms, `early`
             (decided while windows are still open, which only an always-valid reading may), `said` in a few words
    """

    worth: Worth
    table: pd.DataFrame
    worthwhile: float

    @property
    def results(self) -> Results:
        """What was judged."""
        return self.worth.results

    @property
    def facts(self) -> Facts:
        """What the results rest on."""
        return self.results.facts

    @property
    def clear(self) -> pd.DataFrame:
        """The comparisons that have a result, decided or not, the largest first: a rank that looks at no effect."""
        table = self.table
        told = table["state"].isin(DECIDED) | ((table["state"] == State.OPEN) & (table["side"] != 0))
        return table[told].sort_values("units", ascending=False, kind="stable")

    @property
    def largest(self) -> tuple[str, str]:
        """Experiment and arm of the comparison read at its end with the most units; empty where none was."""
        read = self.table[self.table["state"].isin(READ)].sort_values("units", ascending=False, kind="stable")
        return (read["experiment"].iloc[0], read["variant"].iloc[0]) if len(read) else ("", "")

    def of(self, *states: State) -> list[str]:
        """Experiments with at least one arm in one of these states."""
        return list(dict.fromkeys(self.table.loc[self.table["state"].isin(states), "experiment"]))

    def __repr__(self) -> str:
        return f"Verdicts({'; '.join(self.table['said'])})"


def score(results: Results, worth: Worth, *, worthwhile: float = 0.0) -> Verdicts:
    """What should be done about each test?

    It ships where the primary measure is higher, its margin less the offer's cost, where measured, is shown to gain,
    and every guardrail holds. It stops where measure or margin is shown to lose, a guardrail is broken, or no gain
    worth having is left. In between it is open: a test read once is over, so a new one is to be planned; only an
    always-valid reading may let it run on. A test whose windows are still open is not decided when it is read once, at
    its end; under an always-valid reading it is, as soon as its interval clears zero. `worthwhile` is the smallest
    effect worth having, relative to control's mean; 0 leaves it unsaid, and then no interval excludes it. Higher counts
    as better.
    """
    facts, table, rows = results.facts, results.table, []
    for experiment in map(str, facts.apart["experiment"]):
        units, control = facts.units_of(experiment), results.checks.controls[experiment]
        for arm in [name for name in units if name != control] or [""]:
            mine = table[(table["experiment"] == experiment) & (table["variant"] == arm)]
            mine = mine.set_index("metric", drop=False).rename_axis(None)
            case = _Case(worth, results, facts, experiment, arm, results.primary.get(experiment, ""), mine, worthwhile)
            both = units.get(control, 0) + units.get(arm, 0)
            found = replace(_judge(case), experiment=experiment, variant=arm, units=both)
            rows.append(asdict(replace(found, said=_said(found, results))))
    judged = pd.DataFrame(rows, columns=[field.name for field in fields(Verdict)])
    return Verdicts(worth=worth, table=judged, worthwhile=worthwhile)


@dataclass(frozen=True)
class _Case:
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


def _judge(case: _Case) -> Verdict:
    facts = case.facts
    if (case.experiment, "") in case.results.checks.blocked:
        why = "Find out where the missing ones went (a redirect, an error, a blocked script), then rerun it."
        return Verdict(state=State.VOID, decision=Decision.VOID, why=why)
    if not case.arm:
        why = f"Only one version has {facts.unit}."
        return Verdict(state=State.TOO_FEW, decision=Decision.EXTEND, why=why)
    if not case.metric or case.metric not in case.rows.index:
        end = facts.end_of(case.experiment)
        if not case.metric and end > facts.as_of:
            why = f"None of its {facts.unit} has been followed for a whole window yet."
            return Verdict(state=State.RUNNING, decision=Decision.EXTEND, why=why, by=end)
        why = "The shop's tables hold no outcomes of it."
        return Verdict(state=State.NO_OUTCOMES, decision=Decision.EXTEND, why=why)
    row = case.rows.loc[case.metric]
    early = row["state"] == "ok" and (row["low"] > 0 or row["high"] < 0)
    by = facts.end_of(case.experiment, case.metric) if row["open"] else None
    if row["open"] and not early:
        closed = int(row["n"] + row["n_control"] + row["missing"])
        why = f"{closed:,} of {closed + int(row['open']):,} {facts.unit} have been followed for their whole window."
        return Verdict(state=State.RUNNING, decision=Decision.EXTEND, why=why, by=by)
    if row["state"] == "void":
        why = f"{wording.upper(words(case.metric))} is missing more often in one version than in the other."
        return Verdict(state=State.VOID, decision=Decision.VOID, why=why)
    if row["state"] == "too_few":
        return Verdict(state=State.TOO_FEW, decision=Decision.EXTEND, why=f"It {row['reason']}.")
    found = _read(case, row)
    if by and found.state == State.OPEN:
        return replace(found, state=State.RUNNING, by=by)
    if by:
        why = f"{found.why} It was read before its end, which this range allows, but early winners are exaggerated."
        return replace(found, why=why, early=True)
    return found


def _read(case: _Case, row: pd.Series) -> Verdict:
    """Of a primary measure that may be read."""
    currency, unit = case.facts.currency, case.facts.unit
    said = f"{wording.upper(words(row['metric']))} {effect_text(row, currency)}."
    least = case.worthwhile * row["mean_control"]
    if row["low"] > 0:
        return _higher(case, row, said, least)
    if row["high"] < 0:
        return Verdict(state=State.LOWER, decision=Decision.STOP, why=said, side=-1)
    wish = size_text(least, row["kind"], currency) if least > 0 else ""
    if least > 0 and row["high"] < least:
        if row["low"] > -least:
            why = f"{said} Any effect is smaller than {most_text(row, currency)}; {wish} would be worth having."
            return Verdict(state=State.NO_DIFFERENCE, decision=Decision.STOP, why=why)
        why = f"{said} A gain of {wish}, the smallest worth having, is unlikely; a loss is still possible."
        return Verdict(state=State.NO_GAIN, decision=Decision.STOP, why=why)
    why = said
    if row["error"] > 0:
        least_seen = size_text(detectable(row), row["kind"], currency)
        why += f" A test of this size easily misses changes under {least_seen}."
        if least > 0:
            why += f" To find {wish} takes about {needed(row, least):,} {unit} in each version."
    return case.undecided(why)


def _higher(case: _Case, row: pd.Series, said: str, least: float) -> Verdict:
    """The primary measure is higher: what stands in the way of shipping it?"""
    currency = case.facts.currency
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


def _rail_text(case: _Case, metric: str, state: str) -> str:
    limit = next(rail.text for rail in case.results.guardrails if rail.metric == metric)
    seen = case.rows.loc[metric] if metric in case.rows.index else None
    shown = f" {effect_text(seen, case.facts.currency)}" if seen is not None and seen["state"] == "ok" else ""
    return f"{wording.upper(words(metric))}{shown} {_RAILS[state][1]} ({limit})."


def more_days(row: Any, facts: Facts) -> int | None:
    """Days of a new test, in whole weeks and at this one's pace, that finds this effect four times in five, if any."""
    if not (row["effect"] and row["error"] > 0):
        return None
    units = needed(row, row["effect"]) * len(facts.units_of(row["experiment"]))
    days = 7 * math.ceil(units / facts.a_day(row["experiment"]) / 7)
    return days if days <= 10_000 else None


def _said(verdict: Verdict, results: Results) -> str:
    """The verdict in a few words: 'Free shipping sells more, but we can't tell if it pays'."""
    name, metric = results.facts.name(verdict.experiment, verdict.variant), results.primary.get(verdict.experiment, "")
    said = _TOLD[verdict.state][1].format(name=name)
    if verdict.side and verdict.state != State.VOID:
        verb = "sells more" if is_selling(metric) else f"raises {words(metric)}"
        if verdict.side < 0:
            verb = "sells less" if is_selling(metric) else f"lowers {words(metric)}"
        said = f"{name} {verb}{verdict.proviso.format(verdict.about)}"
    return wording.upper(said)


def part_verdicts(verdicts: Verdicts) -> Part:
    """What does each test say, every version beside the others, and what is to be done?"""
    table, unit = verdicts.table, verdicts.facts.unit
    running = table[table["by"].notna() & (table["state"] == State.RUNNING)].drop_duplicates("experiment")
    told = table[(table["side"] != 0) | table["state"].isin([*DECIDED, State.VOID])]
    always = verdicts.results.reading == "always"
    adjusted = (verdicts.results.table["gain"] >= LEAST_GAIN).any()
    return Part(
        title="Every version beside the others",
        sentence="Roll out what sells more and pays; keep the old version of what does not. "
        + ("A test may be read on any day." if always else "Each test is read once, at its end."),
        chart=figures.table(
            pd.DataFrame(_arms(verdicts)),
            caption="The range the change may lie in stands in brackets" + (f"; {_ADJUSTED}" if adjusted else ""),
            labels={"test": "Test", "version": "Version", "units": wording.upper(unit), "measure": "Measure"}
            | {"mean": "Mean", "effect": "Change from the old version", "result": "Result"},
            formats={"units": formats.number},
            file="tables/results.csv",
        ),
        metrics=_counts(verdicts),
        actions=actions(verdicts),
        signals=[
            Signal(
                id=f"{row.experiment}:{row.variant}:{row.state}", text=f"{row.said}.", gone=f"No longer: {row.said}."
            )
            for row in told.itertuples()
        ],
        ahead=[f"The {words(r.experiment)} test can be read from {formats.day(r.by)}." for r in running.itertuples()],
        tables={"results": rounded(verdicts.results.table[CONTRACT])},
    )


def _arms(verdicts: Verdicts) -> list[dict[str, Any]]:
    """A row for every arm, the old version first."""
    facts, results, rows = verdicts.facts, verdicts.results, []
    primary = results.table[results.table["primary"]].set_index(["experiment", "variant"])
    for experiment, mine in verdicts.table.groupby("experiment", sort=True):
        units, control = facts.units_of(str(experiment)), results.checks.controls[str(experiment)]
        shared = {"test": words(str(experiment)), "measure": words(results.primary.get(str(experiment), "")) or None}
        base = {"version": words(control), "units": units.get(control, 0), "effect": "the old version"}
        arms: list[dict[str, Any]] = []
        for row in mine[mine["variant"] != ""].itertuples():
            arm = {"version": words(row.variant), "units": units[row.variant], "result": _TOLD[row.state][0]}
            if row.state in READ:
                found = primary.loc[(row.experiment, row.variant)]
                arm |= {"mean": mean_text(found, "mean", facts.currency), "effect": effect_text(found, facts.currency)}
                base["mean"] = mean_text(found, "mean_control", facts.currency)
            if row.side > 0:
                arm["result"] = f"better{row.proviso.format(row.about)}"
            arms.append(arm)
        rows += [shared | dict.fromkeys(("mean", "effect", "result")) | arm for arm in (base, *arms)]
    return rows


def _counts(verdicts: Verdicts) -> list[Metric]:
    """How many tests stand how."""
    unit, total = verdicts.facts.unit, len(verdicts.facts.apart)
    units = int(verdicts.facts.arms["units"].sum())
    counted = {
        "experiments": (total, "Tests", "experiments with at least one unit assigned before as_of"),
        "decided": (len(verdicts.of(*DECIDED)), "Tests with a clear decision",
                    "read with a sound split, and measure, margin and guardrails say what to do"),
        "running": (len(verdicts.of(State.RUNNING)), "Tests still running",
                    f"at least one of its {unit} had not been followed for a whole window by as_of"),
        "open": (len(verdicts.of(State.OPEN)), "Tests without a clear decision",
                 "read at its end, but the measure, margin or what must not get worse is unclear"),
        "void": (len(verdicts.of(State.VOID)), "Unusable tests",
                 f"split or outcomes broken at p < {BLOCKED:g}; no effect is shown"),
        "too_few": (len(verdicts.of(State.TOO_FEW, State.NO_OUTCOMES)), "Tests too small to tell",
                    f"too few {unit}, or nothing measured"),
    }  # fmt: skip
    metrics = [
        Metric(id=id_, label=label, value=value, unit="tests", definition=definition, n=total)
        for id_, (value, label, definition) in counted.items()
    ]
    metrics[1] = replace(metrics[1], headline=True, note=f"of {total}")
    label, definition = f"{wording.upper(unit)} assigned", f"{unit} in exactly one arm"
    return [*metrics, Metric(id="units", label=label, value=units, unit=unit, definition=definition, n=units)]


def actions(verdicts: Verdicts) -> list[Action]:
    """What to do about each test, the most urgent first: what nothing is shown of comes last."""
    order = list(Decision)
    rows = [Verdict(**row) for row in verdicts.table.to_dict("records")]
    rows.sort(key=lambda row: (row.state == State.OPEN and not row.side, order.index(row.decision), -row.units))
    return [_action(verdicts, row) for row in rows]


def _action(verdicts: Verdicts, row: Verdict) -> Action:
    facts, checks = verdicts.facts, verdicts.results.checks
    # What nothing is shown of has no worth to show beside what has.
    money = verdicts.worth.of(row.experiment, row.variant) if row.side else None
    brings = f"{month_of(money, facts.currency).text} margin a month" if money else ""
    why = f"{row.why}{' Its split is doubtful.' if row.experiment in checks.doubtful else ''}"
    if money and row.proviso == Proviso.UNPAID:
        brings += ", uncertain"
        if loss := loss_text(money["loss"]):
            why = f"{why} There is {loss} that it loses money."
    return Action(
        what=_what(verdicts, row),
        worth=brings,
        why=why,
        by=wording.working_day(row.by or facts.as_of, 0 if row.by else DECIDE_WITHIN),
        owner="marketing",
        count=row.units,
        weight=abs(money["month"]) if money else 0.0,
    )


def _what(verdicts: Verdicts, row: Verdict) -> str:
    facts, name, test = verdicts.facts, verdicts.facts.name(row.experiment, row.variant), words(row.experiment)
    if row.state == State.VOID and (row.experiment, "") in verdicts.results.checks.blocked:
        units, plan = facts.units_of(row.experiment), verdicts.results.checks.plans[row.experiment]
        full = max(size / plan[arm] for arm, size in units.items())
        lost, few = max((plan[arm] * full - size, arm) for arm, size in units.items())
        return f"Ignore the {test} test: {lost:,.0f} {facts.unit} are missing from {words(few)}"
    if row.state == State.OPEN and row.side:
        return f"Decide whether to keep {name}"
    if row.decision == Decision.SHIP:
        return f"Give {name} to everybody"
    return {
        State.OPEN: f"Leave {name} out, or plan a longer test",
        State.VOID: f"Ignore the {test} test",
        State.RUNNING: f"Let the {name} test run to its end",
        State.TOO_FEW: f"Collect more {facts.unit} before reading {name}",
        State.NO_OUTCOMES: f"Bring the outcomes of {name}",
    }.get(row.state, f"End {name}: keep the old version")
