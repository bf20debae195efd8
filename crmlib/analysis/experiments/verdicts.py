"""What each test says by its primary measure, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.experiments import judging
from crmlib.analysis.experiments.facts import Facts
from crmlib.analysis.experiments.judging import DECIDED, READ, TOLD, Decision, Proviso, State, Verdict
from crmlib.analysis.experiments.measures import effect_text, mean_text, rounded, words
from crmlib.analysis.experiments.results import CONTRACT, LEAST_GAIN, Results
from crmlib.analysis.experiments.split import BLOCKED
from crmlib.analysis.experiments.versions import between, settled
from crmlib.analysis.experiments.worth import Worth, loss_text, month_of
from crmlib.findings import Action, Metric, Part, Signal

DECIDE_WITHIN = 14  # days
_ADJUSTED = "changes are adjusted for differences there were before the test"


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """What each test says, by its primary measure alone.

    table    one row per experiment and arm, a column for each field of `Verdict`; `units` in both arms, `early`
             (decided while windows are still open, which only an always-valid reading may), `said` in a few words
    pairs    new versions of one test beside each other, as `between` says
    """

    worth: Worth
    table: pd.DataFrame
    worthwhile: float
    pairs: pd.DataFrame = field(default_factory=pd.DataFrame)

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
    always-valid reading may let it run on. Of several arms that would ship none does where another is clearly better,
    and one is to be chosen where none is. A test whose windows are still open is not decided when it is read once, at
    its end; under an always-valid reading it is, as soon as its interval clears zero. `worthwhile` is the smallest
    effect worth having, relative to control's mean; 0 leaves it unsaid, and then a gain under one per cent is not.
    Higher counts as better.
    """
    facts, table, rows, pairs = results.facts, results.table, [], between(results)
    for experiment in map(str, facts.apart["experiment"]):
        units, control = facts.units_of(experiment), results.checks.controls[experiment]
        found = []
        for arm in [name for name in units if name != control] or [""]:
            mine = table[(table["experiment"] == experiment) & (table["variant"] == arm)]
            mine = mine.set_index("metric", drop=False).rename_axis(None)
            metric, both = results.primary.get(experiment, ""), units.get(control, 0) + units.get(arm, 0)
            verdict = judging.judge(judging.Case(worth, results, facts, experiment, arm, metric, mine, worthwhile))
            found.append(replace(verdict, experiment=experiment, variant=arm, units=both))
        mine = pairs[pairs["experiment"] == experiment]
        found = settled(found, mine, currency=facts.currency)
        rows += [asdict(replace(one, said=judging.said_of(one, results))) for one in found]
    judged = pd.DataFrame(rows, columns=[one.name for one in fields(Verdict)])
    return Verdicts(worth=worth, table=judged, worthwhile=worthwhile, pairs=pairs)


def part_verdicts(verdicts: Verdicts) -> Part:
    """What does each test say, every version beside the others, and what is to be done?"""
    table, unit = verdicts.table, verdicts.facts.unit
    running = table[table["by"].notna() & (table["state"] == State.RUNNING)].drop_duplicates("experiment")
    told = table[(table["side"] != 0) | table["state"].isin([*DECIDED, State.VOID])]
    always = verdicts.results.reading == "always"
    adjusted = (verdicts.results.table["gain"] >= LEAST_GAIN).any()
    caption = f"The range the change may lie in stands in brackets{f'; {_ADJUSTED}' if adjusted else ''}"
    labels = {"test": "Test", "version": "Version", "units": wording.upper(unit), "measure": "Measure"}
    labels |= {"mean": "Mean", "effect": "Change from the old version", "result": "Result"}
    forms, shown = {"units": formats.number}, pd.DataFrame(_arms(verdicts))
    tables = {"results": rounded(verdicts.results.table[CONTRACT])}
    if len(verdicts.pairs):
        tables["versions"] = rounded(verdicts.pairs)
    signals = []
    for row in told.itertuples():
        id_ = f"{row.experiment}:{row.variant}:{row.state}"
        signals.append(Signal(id=id_, text=f"{row.said}.", gone=f"No longer: {row.said}."))
    return Part(
        title="Every version beside the others",
        sentence="Roll out what sells more and pays; keep the old version of what does not. "
        + ("A test may be read on any day." if always else "Each test is read once, at its end."),
        chart=figures.table(shown, caption=caption, labels=labels, formats=forms, file="tables/results.csv"),
        metrics=_counts(verdicts),
        actions=actions(verdicts),
        signals=signals,
        ahead=[f"The {words(r.experiment)} test can be read from {formats.day(r.by)}." for r in running.itertuples()],
        tables=tables,
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
            arm = {"version": words(row.variant), "units": units[row.variant], "result": TOLD[row.state][0]}
            if row.state in READ:
                found = primary.loc[(row.experiment, row.variant)]
                arm |= {"mean": mean_text(found, "mean", facts.currency), "effect": effect_text(found, facts.currency)}
                base["mean"] = mean_text(found, "mean_control", facts.currency)
            if row.side > 0:
                tied = row.proviso == Proviso.TIED
                arm["result"] = "better, none clearly most" if tied else f"better{row.proviso.format(row.about)}"
            arms.append(arm)
        rows += [shared | dict.fromkeys(("mean", "effect", "result")) | arm for arm in (base, *arms)]
    return rows


def _counts(verdicts: Verdicts) -> list[Metric]:
    """How many tests stand how."""
    unit, total = verdicts.facts.unit, len(verdicts.facts.apart)
    units = int(verdicts.facts.arms["units"].sum())
    counted = {
        "experiments": (total, "Tests", "experiments with at least one unit assigned before as_of"),
        "decided": (len(verdicts.of(*DECIDED)), "Tests that say what to do",
                    "read with a sound split, and measure, margin and guardrails say what to do"),
        "running": (len(verdicts.of(State.RUNNING)), "Tests still running",
                    f"at least one of its {unit} had not been followed for a whole window by as_of"),
        "open": (len(verdicts.of(State.OPEN)), "Tests without a clear decision",
                 "read at its end, but the measure, margin or what must not get worse is unclear"),
        "void": (len(verdicts.of(State.VOID)), "Unusable tests",
                 f"split or outcomes broken at p < {BLOCKED:g}; no effect is shown"),
        "too_few": (len(verdicts.of(State.TOO_FEW, State.UNFIT, State.NO_OUTCOMES)), "Tests too small to tell",
                    f"too few {unit}, or nothing measured to judge by"),
    }  # fmt: skip
    said = counted.items()
    metrics = [
        Metric(id=one, label=label, value=n, unit="tests", definition=what, n=total) for one, (n, label, what) in said
    ]
    metrics[1] = replace(metrics[1], headline=True, note=f"of {total}")
    label, definition = f"{wording.upper(unit)} assigned", f"{unit} in exactly one arm"
    return [*metrics, Metric(id="units", label=label, value=units, unit=unit, definition=definition, n=units)]


def actions(verdicts: Verdicts) -> list[Action]:
    """What to do about each test, the most urgent first: what nothing is shown of comes last."""
    order = list(Decision)
    rows = [Verdict(**row) for row in verdicts.table.to_dict("records")]
    # What is to be chosen among is one decision.
    chosen = {row.experiment: row.variant for row in reversed(rows) if row.decision == Decision.CHOOSE}
    rows = [row for row in rows if row.decision != Decision.CHOOSE or chosen[row.experiment] == row.variant]
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
        old = few == verdicts.results.checks.controls[row.experiment]
        arm = words(few) if len(units) > 2 else f"the {'old' if old else 'new'} version"
        return f"Ignore the {test} test: {lost:,.0f} {facts.unit} are missing from {arm}"
    if row.decision == Decision.CHOOSE:
        return f"Choose between {row.about} for {test}: each beats the old version"
    if row.proviso == Proviso.LESS:
        return f"End {name}: {row.about} does more"
    if row.state == State.OPEN and row.decision == Decision.STOP:
        return f"Leave {name} out"
    if row.state == State.OPEN and row.side:
        return f"Decide whether to keep {name}"
    if row.decision == Decision.SHIP:
        return f"Give {name} to everybody"
    return {
        State.OPEN: f"Leave {name} out: {row.note}" if row.note else f"Leave {name} out, or plan a longer test",
        State.NO_DIFFERENCE: f"Keep the old version: at best {name} adds {row.note}",
        State.NO_GAIN: f"Keep the old version: at best {name} adds {row.note}",
        State.UNFIT: f"Choose another measure for {name}",
        State.VOID: f"Ignore the {test} test",
        State.RUNNING: f"Let the {name} test run to its end",
        State.TOO_FEW: f"Collect more {facts.unit} before reading {name}",
        State.NO_OUTCOMES: f"Bring the outcomes of {name}",
    }.get(row.state, f"End {name}: keep the old version")
