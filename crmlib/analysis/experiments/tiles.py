"""The numbers above the page: what the largest test found, how many tests settled something, and who was assigned."""

from __future__ import annotations

from datetime import date

import pandas as pd

from crmlib import formats
from crmlib.analysis.experiments.checks import Checks
from crmlib.analysis.experiments.facts import Facts
from crmlib.analysis.experiments.measures import words
from crmlib.analysis.experiments.results import Results
from crmlib.analysis.experiments.split import BLOCKED
from crmlib.analysis.experiments.tables import loss_text
from crmlib.analysis.experiments.verdicts import READ, Verdicts, amount
from crmlib.analysis.experiments.worth import Worth
from crmlib.findings import Metric


def metrics(
    facts: Facts,
    checks: Checks,
    results: Results,
    verdicts: Verdicts,
    worth: Worth,
    *,
    decided: int,
    void: int,
    running: int,
    few: int,
    total: int,
) -> tuple[Metric, ...]:
    """What was found first, then how many tests stand how, and how many were assigned."""
    units = int(facts.arms["units"].sum())
    of = f"of {total:,}"

    def count(id: str, label: str, value: int, definition: str, *, headline: bool = True, note: str = "") -> Metric:
        return Metric(
            id=id, label=label, value=value, unit="tests", definition=definition, n=total, headline=headline, note=note
        )

    effect, money = _main_effect(facts, results, verdicts), _margin_a_month(facts, verdicts, worth)
    # The first tile is what a phone shows: what was found, where anything was.
    found = (effect, money) if effect.value is not None else ()
    return (
        *found,
        count(
            "experiments",
            "Tests",
            total,
            "experiments with at least one unit assigned before as_of",
            headline=False,
        ),
        count(
            "decided",
            "Settled what to do",
            decided,
            "every window closed, sound split, and the primary measure, margin and guardrails settle what to do",
            note=": ".join(filter(None, [of, _others(facts, verdicts, void=void, running=running)])),
        ),
        count(
            "running",
            "Still running",
            running,
            f"at least one of its {facts.unit} had not been followed for a whole window by as_of",
            headline=False,
        ),
        count(
            "open",
            "Ended open",
            verdicts.count("open"),
            "read at its end, but the measure, margin or what must not get worse is unclear",
            headline=False,
        ),
        count("void", "Void", void, f"split or outcomes broken at p < {BLOCKED:g}; no effect is shown", headline=False),
        count("too_few", "Too few to conclude", few, f"too few {facts.unit}, or nothing measured", headline=bool(few)),
        *(() if found else (effect, money)),
        _assigned(facts, checks, verdicts, units),
    )


def _others(facts: Facts, verdicts: Verdicts, *, void: int, running: int) -> str:
    """How the tests stand that settle nothing."""
    left = _days_left(facts, verdicts)
    said = (
        (verdicts.count("open"), "ended open"),
        (running, f"still running ({left})" if left else "still running"),
        (void, "void"),
    )
    return ", ".join(f"{count} {what}" for count, what in said if count)


def _days_left(facts: Facts, verdicts: Verdicts) -> str:
    ends = [date.fromisoformat(by) for by in verdicts.table.loc[verdicts.table["state"] == "running", "by"] if by]
    left = (max(ends) - facts.as_of).days if ends else 0
    return f"{left} more {'day' if left == 1 else 'days'}" if left > 0 else ""


def _largest(verdicts: Verdicts) -> pd.Series | None:
    """The comparison read at its end with the most units: a choice that does not look at effects."""
    settled = verdicts.table[verdicts.table["state"].isin(READ)]
    return None if settled.empty else settled.sort_values("units", ascending=False, kind="stable").iloc[0]


def _margin_a_month(facts: Facts, verdicts: Verdicts, worth: Worth) -> Metric:
    """The margin that the largest test read would bring a month."""
    top = _largest(verdicts)
    rows = worth.table if top is None else worth.table[worth.table["experiment"] == top["experiment"]]
    rows = rows.iloc[:0] if top is None else rows[rows["variant"] == top["variant"]]
    definition = f"margin for each of the {facts.unit} less the offer's cost, times {facts.unit} a month, in the test read at its end with the most"
    unit = facts.currency or "money"
    if rows.empty:
        return Metric(id="margin_a_month", label="Margin a month", value=None, unit=unit, definition=definition)
    row = rows.iloc[0]
    name = words(str(row["experiment"]))
    return Metric(id="margin_a_month", label=f"{name[:1].upper()}{name[1:]}: margin a month", value=float(row["month"]), low=float(row["month_low"]),
                  high=float(row["month_high"]), unit=unit, n=int(top["units"]) if top is not None else None, definition=definition, headline=True,
                  note=f"for {formats.number(row['units_a_month'])} {facts.unit} a month; chance of loss {loss_text(row['loss'])}")  # fmt: skip


def _assigned(facts: Facts, checks: Checks, verdicts: Verdicts, units: int) -> Metric:
    """Units in all, with the split of the largest test read."""
    top, note = _largest(verdicts), ""
    if top is not None:
        rows = checks.ratios[
            (checks.ratios["experiment"] == top["experiment"]) & (checks.ratios["variant"] == top["variant"])
        ]
        verdict = checks.table[
            (checks.table["experiment"] == top["experiment"])
            & checks.table["check"].str.match("sample_ratio(_any_day)?$")
        ]["verdict"]
        sound = "no mismatch found" if (verdict == "ok").all() else "the split is doubtful"
        note = "".join(
            f"{words(str(row.experiment))} {row.units:,} v {row.units_control:,}, {sound}" for row in rows.itertuples()
        )
    return Metric(
        id="units",
        label=f"{facts.unit[:1].upper()}{facts.unit[1:]} assigned",
        value=units,
        unit=facts.unit,
        definition=f"{facts.unit} in exactly one arm",
        n=units,
        headline=bool(note),
        note=note,
    )


def _main_effect(facts: Facts, results: Results, verdicts: Verdicts) -> Metric:
    """The primary effect of the comparison read at its end with the most units: a choice that does not look at effects."""
    settled = verdicts.table[verdicts.table["state"].isin(READ)].sort_values("units", ascending=False, kind="stable")
    definition = f"change of the primary measure against control in the test read at its end with the most {facts.unit}"
    if settled.empty:
        return Metric(id="primary_effect", label="Effect of the largest test read", value=None, unit="points", definition=definition,
                      headline=True, note="no test could be read")  # fmt: skip
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
        note=f"{results.rules[(row['experiment'], row['metric'])].words} of the mean effect; {_base(row, facts)}{int(row['n'] + row['n_control']):,} {facts.unit}",
    )


def _base(row: pd.Series, facts: Facts) -> str:
    """What a share started from: a change in points says little without it."""
    if row["kind"] != "share":
        return ""
    text = amount(row["mean_control"], "share", facts.currency, width=row["high"] - row["low"])
    return f"{text}\N{NO-BREAK SPACE}% in the old version; "
