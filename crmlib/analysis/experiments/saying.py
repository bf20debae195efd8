"""What the shop's owner should take from the tests."""

from __future__ import annotations

import math
from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from crmlib import formats
from crmlib.analysis.experiments.checks import BLOCKED, WARNED, Checks, words
from crmlib.analysis.experiments.drawing import headline
from crmlib.analysis.experiments.effects import CONTRACT, Results
from crmlib.analysis.experiments.reduction import Facts
from crmlib.analysis.experiments.verdicts import Verdicts, effect_text
from crmlib.findings import Action, Caveat, Check, Findings, Metric, Status

if TYPE_CHECKING:
    from crmlib.shop.engine import Shop

_DECIDED = ("higher", "lower", "no_difference")
_DIGITS = 12  # significant digits in the tables: the same on every run, whatever the order of the sums
_DO = {
    "ship": "Ship {}",
    "stop": "Stop {}: keep things as they are",
    "extend": "Do not decide {} yet",
    "void": "Void {}: mend the split, then test again",
}


def findings(facts: Facts, checks: Checks, results: Results, verdicts: Verdicts, *, shop: Shop) -> Findings:
    """What do the tests say, what should be done, and how far can that be trusted?"""
    decided, void = verdicts.count(*_DECIDED), verdicts.count("void")
    running, few = verdicts.count("running"), verdicts.count("too_few", "no_outcomes")
    total = len(facts.apart)
    bad = checks.table[checks.table["verdict"] != "ok"]
    title = headline(verdicts)
    undecided = not (decided or running or void)
    status: Status = "too_few" if undecided else "warnings" if len(bad) else "published"
    return Findings(
        report="experiments",
        lead=_lead(title, decided=decided, void=void, few=few, total=total),
        status=status,
        metrics=_metrics(facts, results, verdicts, decided=decided, void=void, running=running, few=few, total=total),
        so_what=_so_what(facts, results, verdicts),
        how_sure=_how_sure(facts, results, shop),
        caveats=_caveats(facts, results),
        actions=_actions(verdicts),
        checks=tuple(_checks(checks)),
        tables={"results": _rounded(results.table[CONTRACT]), "checks": _rounded(_check_table(checks, results))},
    )


def _lead(title: str, *, decided: int, void: int, few: int, total: int) -> str:
    tail = f"{decided} of {total} {'test' if total == 1 else 'tests'} could be decided"
    parts = [f"{void} void" if void else "", f"{few} with too few to conclude" if few else ""]
    extra = ", ".join(part for part in parts if part)
    return f"{title}. {tail}{f' ({extra})' if extra else ''}."


def _metrics(
    facts: Facts, results: Results, verdicts: Verdicts, *, decided: int, void: int, running: int, few: int, total: int
) -> tuple[Metric, ...]:
    units = int(facts.arms["units"].sum())
    of = f"of {total:,}"

    def count(id: str, label: str, value: int, definition: str, *, headline: bool = True, note: str = "") -> Metric:
        return Metric(
            id=id, label=label, value=value, unit="tests", definition=definition, n=total, headline=headline, note=note
        )

    return (
        count(
            "experiments",
            "Tests",
            total,
            "experiments with at least one unit assigned before as_of",
            note=f"{units:,} units",
        ),
        count("decided", "Decided", decided, "every window closed, sound split, enough units", note=of),
        count("running", "Still running", running, "at least one unit's window had not closed by as_of", note=of),
        count("void", "Void", void, f"split or outcomes broken at p < {BLOCKED:g}; no effect is shown", note=of),
        count("too_few", "Too few to conclude", few, "too few units, or nothing measured", headline=bool(few)),
        _main_effect(facts, results, verdicts),
        Metric(
            id="units",
            label="Units assigned",
            value=units,
            unit="units",
            definition="units in exactly one arm",
            n=units,
        ),
    )


def _main_effect(facts: Facts, results: Results, verdicts: Verdicts) -> Metric:
    """The primary effect of the decided comparison with the most units: a choice that does not look at effects."""
    settled = verdicts.table[verdicts.table["state"].isin(_DECIDED)].sort_values(
        "units", ascending=False, kind="stable"
    )
    definition = "change of the primary measure against control in the decided test with the most units"
    if settled.empty:
        return Metric(id="primary_effect", label="Effect of the largest decided test", value=None, unit="points", definition=definition,
                      headline=True, note="no test could be decided")  # fmt: skip
    top = settled.iloc[0]
    rows = results.table[results.table["primary"] & (results.table["experiment"] == top["experiment"])]
    row = rows[rows["variant"] == top["variant"]].iloc[0]
    share = row["kind"] == "share"
    scale, unit = (
        (100, "points") if share else (1, facts.currency if row["kind"] == "money" and facts.currency else "index")
    )
    unit = "per unit" if unit == "index" else unit
    name = words(str(row["experiment"]))
    return Metric(
        id="primary_effect",
        label=f"{name[:1].upper()}{name[1:]}: change in {words(row['metric'])}"
        + (", percentage points" if share else ""),
        value=float(scale * row["effect"]),
        low=float(scale * row["low"]),
        high=float(scale * row["high"]),
        unit=unit,
        n=int(row["n"] + row["n_control"]),
        definition=f"{definition}: {row['experiment']}, {row['metric']}, {row['variant']} less {row['control']}; {row['method']}",
        headline=True,
        note=f"{100 * row['level']:.4g} % interval of the mean effect; {int(row['n'] + row['n_control']):,} units",
    )


def _so_what(facts: Facts, results: Results, verdicts: Verdicts) -> tuple[str, ...]:
    lines = []
    table = results.table[results.table["primary"]]
    for state, words_ in (("higher", "better than control"), ("lower", "worse than control")):
        for verdict in verdicts.table[verdicts.table["state"] == state].itertuples():
            row = table[(table["experiment"] == verdict.experiment) & (table["variant"] == verdict.variant)].iloc[0]
            lines.append(f"{verdict.title}: {words(row['metric'])} {effect_text(row, facts.currency)}, {words_}.")
    for state in ("no_difference", "void", "running", "too_few", "no_outcomes"):
        lines += [
            f"{verdict.title}; {verdict.why}."
            for verdict in verdicts.table[verdicts.table["state"] == state].itertuples()
        ]
    if len(lines) > 3:
        lines = [*lines[:2], f"{len(lines) - 2} more comparisons are in the table."]
    spare = ("A test is read once, at its planned end; looking earlier and stopping on a good day finds effects that are not there.",
             "One measure, named before the test, decides; the others explain.")  # fmt: skip
    return tuple([*lines, *spare][:3])


def _how_sure(facts: Facts, results: Results, shop: Shop) -> tuple[str, ...]:
    lines = [
        f"Intervals cover the mean effect in {100 * results.confidence:g} of 100 such tests, for a fixed end: they are meant to be read once.",
        "Units count in the arm they were assigned to, whatever they did afterwards, and units without an order count as nothing bought."
        if facts.source == "orders"
        else "Units count in the arm they were assigned to, whatever they did afterwards.",
        f"Every metric and arm of a test is corrected for all of them (Holm); the primary measure's interval for the arms alone. "
        f"A broken split voids a test below p = {BLOCKED:g} and is warned of below {WARNED:g}.",
        *_gains(results),
    ]
    if facts.source == "orders":
        lines.append(f"Outcomes are orders within {facts.window_days} days of assignment. {shop.money_rule()}")
    two = int(facts.apart["two_arms"].sum())
    if two:
        lines.append(f"{two:,} units were seen in more than one arm of a test and are set aside.")
    return tuple(lines)


def _gains(results: Results) -> list[str]:
    table = results.table[(results.table["state"] == "ok") & results.table["gain"].notna()]
    if table.empty:
        return ["No pre-values, so nothing could be adjusted by what units did before."]
    used = table[table["method"].str.startswith("CUPED")]
    if used.empty:
        return ["Adjusting by what units did before did not help: it took away less than one per cent of the variance."]
    low, high = used["gain"].min(), used["gain"].max()
    span = (
        formats.share(low)
        if round(100 * low) == round(100 * high)
        else f"{formats.number(100 * low)} to {formats.share(high)}"
    )
    return [
        f"Adjusting by what units did before the test (CUPED) helped in {len(used)} of {len(table)} comparisons: it took away {span} of the variance."
    ]


def _caveats(facts: Facts, results: Results) -> tuple[Caveat, ...]:
    texts = []
    if not results.named and results.primary:
        chosen = ", ".join(sorted({words(metric) for metric in results.primary.values()}))
        texts.append(
            f"No primary measure was named for this run; a rule took {chosen}. If another was named before the test, give it."
        )
    texts += [
        "If the rule for stopping, the arms or the measure changed on the way, these numbers do not hold.",
        "Results hold for those weeks and those units; early winners are exaggerated, and refunds may still be open.",
        "Higher is taken as better. 'No difference found' is not 'no effect': effects inside the interval are still possible.",
    ]
    if not facts.dated:
        texts.append(
            "Outcomes carry no observed_at, so it cannot be checked that every unit was measured over the same window."
        )
    return tuple(Caveat(text=text) for text in texts)


def _actions(verdicts: Verdicts) -> tuple[Action, ...]:
    actions = []
    for row in verdicts.table.itertuples():
        name = words(row.experiment) + (
            f" ({words(row.variant)})" if (verdicts.table["experiment"] == row.experiment).sum() > 1 else ""
        )
        what = _DO[row.decision].format(name)
        if row.state == "too_few":
            what = f"Collect more before reading {name}"
        elif row.state == "running":
            what = f"Let {name} run to its end"
        elif row.state == "no_outcomes":
            what = f"Bring the outcomes of {name}"
        actions.append(
            Action(
                what=what,
                why=row.why,
                count=row.units,
                by=formats.day(date.fromisoformat(row.by)) if row.by else "",
                owner="whoever runs the test",
            )
        )
    return tuple(actions)


def _checks(checks: Checks) -> list[Check]:
    return [
        Check(name=f"{row.check.replace('_', ' ')}, {words(row.experiment)}", verdict=row.verdict, text=row.text)
        for row in checks.table.itertuples()
        if row.verdict != "ok" or row.check == "sample_ratio"
    ]


def _check_table(checks: Checks, results: Results) -> pd.DataFrame:
    """The checks, and for each comparison with pre-values whether adjusting by them helped."""
    rows = checks.table.drop(columns="text")
    adjusted = results.table[results.table["gain"].notna()]
    gains = [
        (
            row.experiment,
            f"cuped: {row.metric}, {row.variant}",
            row.gain,
            math.nan,
            "helped" if row.method.startswith("CUPED") else "did not help",
        )
        for row in adjusted.itertuples()
    ]
    if not gains:
        return rows
    both = pd.concat([rows, pd.DataFrame(gains, columns=rows.columns)], ignore_index=True)
    return both.sort_values("experiment", kind="stable").reset_index(drop=True)


def _rounded(frame: pd.DataFrame) -> pd.DataFrame:
    numbers = frame.select_dtypes("number").columns.difference(["n", "n_control"])
    return frame.assign(**{name: [float(f"{value:.{_DIGITS}g}") for value in frame[name]] for name in numbers})
