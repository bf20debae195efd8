"""What each test says by its primary measure, and what to do about it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from enum import StrEnum
from typing import Any

import pandas as pd
from scipy import stats

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
from crmlib.analysis.experiments.results import CONTRACT, Results
from crmlib.analysis.experiments.split import BLOCKED
from crmlib.analysis.experiments.worth import Worth, loss_text, margin_row, month_of
from crmlib.findings import Action, Metric, Part, Signal

LONGEST = 84  # days of a test that anybody would still plan
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
_TOLD = {State.HIGHER: "better", State.LOWER: "worse", State.NO_DIFFERENCE: "no difference worth having",
         State.NO_GAIN: "no gain worth having", State.OPEN: "no clear answer", State.RUNNING: "still running",
         State.VOID: "unusable", State.TOO_FEW: "too few to tell", State.NO_OUTCOMES: "nothing measured"}  # fmt: skip
_RAILS = {"broken": Proviso.WORSE, "absent": Proviso.UNMEASURED, "unclear": Proviso.UNSURE}


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
    facts, rows = results.facts, []
    for experiment in map(str, facts.apart["experiment"]):
        units, control = facts.units_of(experiment), results.checks.controls[experiment]
        for arm in [name for name in units if name != control] or [""]:
            found = replace(
                _judge(_Case(worth, experiment, arm, worthwhile)),
                experiment=experiment, variant=arm, units=units.get(control, 0) + units.get(arm, 0),
            )  # fmt: skip
            rows.append(asdict(replace(found, said=_said(found, results))))
    table = pd.DataFrame(rows, columns=[field.name for field in fields(Verdict)])
    return Verdicts(worth=worth, table=table, worthwhile=worthwhile)


@dataclass(frozen=True)
class _Case:
    """One arm before its judge."""

    worth: Worth
    experiment: str
    arm: str
    worthwhile: float

    @property
    def results(self) -> Results:
        return self.worth.results

    @property
    def facts(self) -> Facts:
        return self.worth.results.facts

    @property
    def metric(self) -> str:
        return self.results.primary.get(self.experiment, "")

    @property
    def rows(self) -> pd.DataFrame:
        table = self.results.table
        mine = table[(table["experiment"] == self.experiment) & (table["variant"] == self.arm)]
        return mine.set_index("metric", drop=False).rename_axis(None)

    def undecided(self, why: str, *, proviso: Proviso = Proviso.NONE, about: str = "", side: int = 0) -> Verdict:
        """A test read once ends so; only where any day may be read does it run on."""
        decision = Decision.EXTEND if self.results.reading == "always" else Decision.OPEN
        return Verdict(state=State.OPEN, decision=decision, why=why, proviso=proviso, about=about, side=side)


def _judge(case: _Case) -> Verdict:
    facts = case.facts
    if (case.experiment, "") in case.results.checks.blocked:
        why = "Find out where the missing ones went (a redirect, an error, a blocked script), then rerun it."
        return Verdict(state=State.VOID, decision=Decision.VOID, why=why)
    if not case.arm:
        why = f"Only one version has {facts.unit}."
        return Verdict(state=State.TOO_FEW, decision=Decision.EXTEND, why=why)
    if not case.metric or case.metric not in case.rows.index:
        by = facts.end_of(case.experiment)
        if not case.metric and by > facts.as_of:
            why = f"None of its {facts.unit} has been followed for a whole window yet."
            return Verdict(state=State.RUNNING, decision=Decision.EXTEND, why=why, by=by)
        return Verdict(
            state=State.NO_OUTCOMES, decision=Decision.EXTEND, why="The shop's tables hold no outcomes of it."
        )
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
        factor = float(stats.norm.ppf(0.5 + row["level"] / 2) + stats.norm.ppf(0.8))
        why += f" A test of this size easily misses changes under {size_text(factor * row['error'], row['kind'], currency)}."
        if least > 0:
            why += f" To find {wish} takes about {needed(row, least):,} {unit} in each version."
    return case.undecided(why)


def _higher(case: _Case, row: pd.Series, said: str, least: float) -> Verdict:
    """The primary measure is higher: what stands in the way of shipping it?"""
    currency = case.facts.currency
    rails = {rail.metric: case.rows["guardrail"].get(rail.metric) or "absent" for rail in case.results.guardrails}
    texts = " ".join([said, *(_rail_text(case, metric, state) for metric, state in rails.items())])
    for state, proviso in _RAILS.items():
        if names := [words(metric) for metric, known in rails.items() if known == state]:
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
    days = more_days(net, case.facts)
    unpaid = case.undecided(why, proviso=Proviso.UNPAID, side=1)
    if days is None:
        return unpaid
    if days <= LONGEST:
        return replace(
            unpaid, why=f"{why} A test with {words(margin['metric'])} as its measure would take {days} days."
        )
    return replace(unpaid, why=f"{why} A clear answer would take about {wording.span(days)} more.")


def _rail_text(case: _Case, metric: str, state: str) -> str:
    limit = next(rail.text for rail in case.results.guardrails if rail.metric == metric)
    seen = case.rows.loc[metric] if metric in case.rows.index else None
    shown = f" {effect_text(seen, case.facts.currency)}" if seen is not None and seen["state"] == "ok" else ""
    told = {"holds": "stays within its limit", "broken": "breaks its limit", "unclear": "may break its limit",
            "absent": "was not measured"}[state]  # fmt: skip
    return f"{wording.upper(words(metric))}{shown} {told} ({limit})."


def needed(row: Any, least: float) -> int:
    """Units an arm needs to find `least` four times in five at this row's level, at this test's variance."""
    both = row["error"] ** 2 * 2 * row["n"] * row["n_control"] / (row["n"] + row["n_control"])
    factor = stats.norm.ppf(0.5 + row["level"] / 2) + stats.norm.ppf(0.8)
    return math.ceil(factor**2 * both / least**2) if least and row["error"] > 0 else 0


def more_days(row: Any, facts: Facts) -> int | None:
    """Days of a new test, in whole weeks and at this one's pace, that finds this effect four times in five, if any."""
    units = needed(row, row["effect"]) * len(facts.units_of(row["experiment"]))
    days = 7 * math.ceil(units / facts.a_day(row["experiment"]) / 7)
    return days if 0 < days <= 10_000 else None


def _said(verdict: Verdict, results: Results) -> str:
    """The verdict in a few words: 'Free shipping sells more, but we can't tell if it pays'."""
    test, metric = results.facts.name(verdict.experiment, verdict.variant), results.primary.get(verdict.experiment, "")
    name, the = wording.upper(test), f"The {test} test"
    if verdict.state == State.VOID:
        return f"{the} is unusable"
    if verdict.side:
        more, less = (
            ("sells more", "sells less")
            if is_selling(metric)
            else (f"raises {words(metric)}", f"lowers {words(metric)}")
        )
        return f"{name} {more if verdict.side > 0 else less}{verdict.proviso.format(verdict.about)}"
    return {
        State.NO_DIFFERENCE: f"{name} makes no difference worth having",
        State.NO_GAIN: f"{name} brings no gain worth having",
        State.OPEN: f"{name} shows no clear difference",
        State.RUNNING: f"{the} is still running",
        State.TOO_FEW: f"{the} is too small to tell",
    }.get(verdict.state, f"Nothing was measured in the {test} test")


def headline(verdicts: Verdicts) -> str:
    """What the tests say, in one or two sentences: those with a result, then the rest."""
    table, clear = verdicts.table, verdicts.clear
    rest = [name for name in dict.fromkeys(table["experiment"]) if name not in set(clear["experiment"])]
    void = [name for name in verdicts.of(State.VOID) if name in rest]
    unusable = (
        f"the {words(void[0])} test is unusable" if len(void) == 1 else f"{wording.small(len(void))} tests are unusable"
    )
    waiting = [name for name in rest if name not in void]
    first = [f"{said}." for said in clear["said"].head(2 if len(clear) == 2 else 1)]
    if len(clear) > 2:
        first.append(f"{wording.upper(wording.small(len(clear) - 1))} other versions have a result too.")
    if not clear.empty and not rest:
        return " ".join(first)
    if len(rest) == 1 or (len(void) == len(rest) and not clear.empty):
        alone = table.loc[table["experiment"] == rest[0], "said"].iloc[0]
        last = wording.upper(unusable) if void else alone
    elif not waiting:
        last = f"None of the {wording.small(len(rest))} tests can be used"
    else:
        yet = " yet" if verdicts.of(State.RUNNING) else ""
        last = f"No {'other test' if first else 'test'} has a result{yet}" + (f"; {unusable}" if void else "")
    return " ".join([*first, f"{last}."])


def part_verdicts(verdicts: Verdicts) -> Part:
    """What does each test say, every version beside the others, and what is to be done?"""
    facts, results, table = verdicts.facts, verdicts.results, verdicts.table
    running = table[table["state"] == State.RUNNING].drop_duplicates("experiment")
    ahead = [
        f"The {words(row.experiment)} test can be read from {formats.day(row.by)}."
        for row in running.itertuples()
        if row.by
    ]
    told = table[(table["side"] != 0) | table["state"].isin([*DECIDED, State.VOID])]
    signals = [
        Signal(id=f"{row.experiment}:{row.variant}:{row.state}", text=f"{row.said}.",
               gone=f"No longer so: {wording.lower(row.said)}.")
        for row in told.itertuples()
    ]  # fmt: skip
    always = "It may be read on any day." if results.reading == "always" else "Each test is read once, at its end."
    return Part(
        title="Every version beside the others",
        sentence=f"Roll out what sells more and pays; keep the old version of what does not. {always}",
        chart=figures.table(
            pd.DataFrame(_arms(verdicts)),
            caption="One row a version; the range is what the test still allows",
            labels={"test": "Test", "version": "Version", "units": wording.upper(facts.unit), "measure": "Measure",
                    "mean": "Mean", "effect": "Change from the old version", "result": "Result"},
            formats={"units": formats.number},
            file="tables/results.csv",
        ),
        metrics=_counts(verdicts),
        actions=actions(verdicts),
        signals=signals,
        ahead=ahead,
        tables={"results": rounded(results.table[CONTRACT])},
    )  # fmt: skip


def _arms(verdicts: Verdicts) -> list[dict[str, Any]]:
    """A row for every arm, the old version first."""
    facts, results = verdicts.facts, verdicts.results
    rows: list[dict[str, Any]] = []
    primary = results.table[results.table["primary"]].set_index(["experiment", "variant"])
    for experiment, mine in verdicts.table.groupby("experiment", sort=True):
        units, control = facts.units_of(str(experiment)), results.checks.controls[str(experiment)]
        measure = words(results.primary.get(str(experiment), "")) or None
        arms = []
        for row in mine[mine["variant"] != ""].itertuples():
            key = (row.experiment, row.variant)
            found = primary.loc[key] if key in primary.index and row.state in READ else None
            arms.append({"test": words(row.experiment), "version": words(row.variant), "units": units[row.variant], "measure": measure,
                         "mean": None if found is None else mean_text(found, "mean", facts.currency),
                         "effect": None if found is None else effect_text(found, facts.currency), "result": f"better{row.proviso.format(row.about)}" if row.side > 0 else _TOLD[row.state],
                         "base": None if found is None else mean_text(found, "mean_control", facts.currency)})  # fmt: skip
        base = next((arm["base"] for arm in arms if arm["base"]), None)
        rows.append({"test": words(str(experiment)), "version": words(control), "units": units.get(control, 0), "measure": measure,
                     "mean": base, "effect": "the old version", "result": None})  # fmt: skip
        rows += arms
    return rows


def _counts(verdicts: Verdicts) -> list[Metric]:
    """How many tests stand how."""
    facts, total = verdicts.facts, len(verdicts.facts.apart)
    counted = {
        "experiments": ("Tests", total, "experiments with at least one unit assigned before as_of"),
        "decided": ("Tests with a clear answer", len(verdicts.of(*DECIDED)),
                    "tests read with a sound split whose measure, margin and guardrails say what to do"),
        "running": ("Tests still running", len(verdicts.of(State.RUNNING)),
                    f"at least one of its {facts.unit} had not been followed for a whole window by as_of"),
        "open": ("Tests without a clear answer", len(verdicts.of(State.OPEN)),
                 "read at its end, but the measure, margin or what must not get worse is unclear"),
        "void": ("Unusable tests", len(verdicts.of(State.VOID)), f"split or outcomes broken at p < {BLOCKED:g}; no effect is shown"),
        "too_few": ("Tests too small to tell", len(verdicts.of(State.TOO_FEW, State.NO_OUTCOMES)),
                    f"too few {facts.unit}, or nothing measured"),
    }  # fmt: skip
    told = [f"{value} {what}" for name, what in (("open", "unclear"), ("running", "running"), ("void", "unusable"), ("too_few", "too small"))
            if (value := counted[name][1])]  # fmt: skip
    note = f"of {total}" + (f": {', '.join(told)}" if told else "")
    return [
        Metric(id=id_, label=label, value=value, unit="tests", definition=definition, n=total, headline=id_ == "decided",
               note=note if id_ == "decided" else "")
        for id_, (label, value, definition) in counted.items()
    ] + [Metric(id="units", label=f"{wording.upper(facts.unit)} assigned", value=int(facts.arms["units"].sum()), unit=facts.unit,
                definition=f"{facts.unit} in exactly one arm", n=int(facts.arms["units"].sum()))]  # fmt: skip


def actions(verdicts: Verdicts) -> list[Action]:
    """What to do about each test, the most urgent first."""
    order = list(Decision)
    rows = [Verdict(**row) for row in verdicts.table.to_dict("records")]
    rows.sort(
        key=lambda row: (
            order.index(row.decision) + (not row.side and row.state == State.OPEN) * len(order),
            -row.units,
        )
    )
    return [_action(verdicts, row) for row in rows]


def _action(verdicts: Verdicts, row: Verdict) -> Action:
    facts, name = verdicts.facts, verdicts.facts.name(row.experiment, row.variant)
    money = verdicts.worth.of(row.experiment, row.variant) if row.side else None
    brings = ""
    # What nothing is shown of has no worth to show beside what has.
    if money is not None:
        risk = loss_text(money["loss"])
        brings = (
            f"{risk} that it loses money"
            if risk and row.proviso == Proviso.UNPAID
            else f"{month_of(money, facts.currency).text} margin a month"
        )
    doubt = " Its split is doubtful." if row.experiment in verdicts.results.checks.doubtful else ""
    return Action(
        what=_what(verdicts, row, name),
        worth=brings,
        why=f"{row.why}{doubt}",
        by=wording.working_day(row.by or facts.as_of, 0 if row.by else DECIDE_WITHIN),
        owner="marketing",
        count=row.units,
        weight=abs(money["month"]) if money else 0.0,
    )


def _what(verdicts: Verdicts, row: Verdict, name: str) -> str:
    facts = verdicts.facts
    if row.decision == Decision.VOID:
        units = facts.units_of(row.experiment)
        plan = verdicts.results.checks.plans[row.experiment]
        full = max(size / plan[arm] for arm, size in units.items())
        lost, few = max((plan[arm] * full - size, arm) for arm, size in units.items())
        whole = (row.experiment, "") in verdicts.results.checks.blocked
        why = f": {lost:,.0f} {facts.unit} are missing from {words(few)}" if whole and lost >= 1 else ""
        return f"Ignore the {words(row.experiment)} test{why}"
    if row.state == State.OPEN and row.side:
        return f"Decide whether to keep {name}"
    return {
        State.HIGHER: f"Give {name} to everybody"
        if row.decision == Decision.SHIP
        else f"End {name}: keep the old version",
        State.OPEN: f"Leave {name} out, or plan a longer test",
        State.RUNNING: f"Let the {name} test run to its end",
        State.TOO_FEW: f"Collect more {facts.unit} before reading {name}",
        State.NO_OUTCOMES: f"Bring the outcomes of {name}",
    }.get(row.state, f"End {name}: keep the old version")
