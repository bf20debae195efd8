"""What the shop's owner should take from the tests."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pandas as pd

from crmlib import formats
from crmlib.analysis.experiments.checks import Checks
from crmlib.analysis.experiments.curves import stands_out
from crmlib.analysis.experiments.drawing import capped_text, headline, upper
from crmlib.analysis.experiments.fitting import CONTRACT, Results
from crmlib.analysis.experiments.foresight import predictions
from crmlib.analysis.experiments.looks import Looks
from crmlib.analysis.experiments.money import ASSUMED, BRIEFLY, Worth
from crmlib.analysis.experiments.naming import words
from crmlib.analysis.experiments.reduction import Facts
from crmlib.analysis.experiments.segments import LEAST_SHOWN, Segments
from crmlib.analysis.experiments.splits import BLOCKED, WARNED
from crmlib.analysis.experiments.tables import loss_text, month_text
from crmlib.analysis.experiments.verdicts import DECIDED, READ, Verdicts, effect_text
from crmlib.findings import Action, Caveat, Check, Findings, Grade, Metric, Status

if TYPE_CHECKING:
    from crmlib.shop.engine import Shop

_DIGITS = 12  # significant digits in the tables: the same on every run, whatever the order of the sums
_DO = {
    "ship": "Ship {}",
    "stop": "Stop {}: keep things as they are",
    "open": "Plan a new, longer or bolder test of {}",
    "void": "Void {}: mend the split, then test again",
    "extend": "Do not decide {} yet",
}


def findings(
    facts: Facts,
    checks: Checks,
    results: Results,
    verdicts: Verdicts,
    *,
    worth: Worth,
    looks: Looks,
    segments: Segments,
    shop: Shop,
    grades: tuple[Grade, ...] = (),
) -> Findings:
    """What do the tests say, what should be done, and how far can that be trusted?"""
    checked = pd.concat([checks.table, segments.splits], ignore_index=True) if len(segments.splits) else checks.table
    decided, void = verdicts.count(*DECIDED), verdicts.count("void")
    running, few = verdicts.count("running"), verdicts.count("too_few", "no_outcomes")
    total = len(facts.apart)
    bad = checked[checked["verdict"] != "ok"]
    title = headline(verdicts)
    undecided = not (decided or running or void or verdicts.count("open"))
    status: Status = "too_few" if undecided else "warnings" if len(bad) else "published"
    return Findings(
        report="experiments",
        lead=_lead(title, verdicts, decided=decided, running=running, void=void, few=few, total=total),
        status=status,
        metrics=_metrics(
            facts, checks, results, verdicts, worth, decided=decided, void=void, running=running, few=few, total=total
        ),
        so_what=_so_what(results, verdicts, stands_out(segments.tests, looks, facts)),
        how_sure=_how_sure(facts, checks, results, worth, looks, segments, shop),
        caveats=_caveats(facts, results, worth),
        actions=_actions(facts, verdicts, worth),
        checks=tuple(_checks(checked)),
        tables={
            "results": _rounded(results.table[[*CONTRACT, "state"]]),
            "checks": _rounded(checked.drop(columns="text")),
            "looks": _rounded(looks.days),
            "segments": _segment_table(segments),
            "worth": _rounded(worth.table),
            "since_seen": _rounded(looks.since),
        },
        predictions=predictions(facts, checks, results),
        grades=grades,
    )


def _lead(title: str, verdicts: Verdicts, *, decided: int, running: int, void: int, few: int, total: int) -> str:
    if total == 1:
        return f"{title}. The test {'settles' if decided else 'does not settle'} what to do{'' if decided or void else ' yet'}."
    parts = [
        f"{count} {one if count == 1 else many}"
        for count, one, many in (
            (verdicts.count("open"), "ended open", "ended open"),
            (running, "is still running", "are still running"),
            (void, "is void", "are void"),
            (few, "has too few to conclude", "have too few to conclude"),
        )
        if count
    ]
    settled = f"{decided or 'none'} {'settle' if decided > 1 else 'settles'} what to do"
    return f"{title}. Of {total} tests {settled}{': ' if not decided and parts else ', ' if parts else ''}{', '.join(parts)}."


def _metrics(
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
            note=f"{of}; {opened} ended open" if (opened := verdicts.count("open")) else of,
        ),
        count(
            "running",
            "Still running",
            running,
            f"at least one of its {facts.unit} had not been followed for a whole window by as_of",
            headline=bool(running) or not few,
            note=_days_left(facts, verdicts) or of,
        ),
        count(
            "open",
            "Ended open",
            verdicts.count("open"),
            "read at its end, but measure, margin or guardrails are unclear",
            headline=False,
        ),
        count("void", "Void", void, f"split or outcomes broken at p < {BLOCKED:g}; no effect is shown", note=of),
        count("too_few", "Too few to conclude", few, f"too few {facts.unit}, or nothing measured", headline=bool(few)),
        *(() if found else (effect, money)),
        _assigned(facts, checks, verdicts, units),
    )


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
        note=f"{results.rules[(row['experiment'], row['metric'])].words} of the mean effect; {int(row['n'] + row['n_control']):,} {facts.unit}",
    )


def _so_what(results: Results, verdicts: Verdicts, more: tuple[str, ...]) -> tuple[str, ...]:
    """Three lines: the tests, the settled ones first, and what stands out among segments and days."""
    table = results.table[results.table["primary"]].set_index(["experiment", "variant"])
    lines, rest = [], []
    for state in (*READ, "void", "running", "too_few", "no_outcomes"):
        for verdict in verdicts.table[verdicts.table["state"] == state].itertuples():
            line = f"{verdict.title}; {verdict.why}."
            if state in ("higher", "lower") or (
                state == "open" and table.loc[(verdict.experiment, verdict.variant), "low"] > 0
            ):
                # Only the figures: what to do about it stands among the actions.
                line = f"{verdict.title}: {verdict.why.partition('. ')[0]}."
            elif state == "open":
                line = f"{verdict.title.partition(', from ')[0]}: {verdict.why}."
            lines.append(line)
            rest.append(verdict.brief)
    room = 3 - len(more[:1])
    if len(lines) > room:
        left = len(lines) - room - 1
        last = "; ".join(rest[room - 1 : room + 1]) + (f"; {left} more in the table" if left else "")
        lines = [*lines[: room - 1], f"{last[:1].upper()}{last[1:]}."]
    spare = ("A test is read once, at its planned end; looking earlier and stopping on a good day finds effects that are not there.",
             "Without a clear margin or a smallest effect worth having, a test may end undecided.")  # fmt: skip
    return tuple([*lines, *more[:1], *spare][:3])


def _how_sure(
    facts: Facts, checks: Checks, results: Results, worth: Worth, looks: Looks, segments: Segments, shop: Shop
) -> tuple[str, ...]:
    share = f"{100 * results.confidence:g}"
    lines = [
        f"About {share} of 100 such tests have the true change inside the range shown; where a range reaches over zero, chance alone may explain it.",
        f"Always-valid reading: in {share} of 100 such tests the interval holds the mean effect on every day at once, so it may be read on any of them; it pays for that with width."
        if results.reading == "always"
        else f"Fixed horizon: intervals hold the mean effect in {share} of 100 such tests, for one look at the planned end. Only the band by day may be watched before.",
        f"{upper(facts.unit)} count in the arm they were assigned to, whatever they did afterwards, each over the same window, and those without an "
        "order count as nothing bought."
        if facts.source == "orders"
        else f"{upper(facts.unit)} count in the arm they were assigned to, whatever they did afterwards, each over the same window.",
        "Every metric and arm of a test is corrected for all of them (Holm); the primary measure's interval for the arms alone. "
        "Metrics that only explain also carry a q-value: the share of false finds to expect among those up to it.",
        f"A broken split voids a test below p = {BLOCKED:g}, on the total or at any day's look, and is warned of below {WARNED:g}; days and segments are diagnostics, corrected for their number.",
        *_gains(results, facts),
        *_tails(checks, results, facts),
    ]
    if results.guardrails:
        named = "; ".join(f"{words(rail.metric)} {rail.text}" for rail in results.guardrails)
        lines.append(
            f"Guardrails: {named}. Each holds only if its whole interval is on the safe side, and a test ships only if all hold."
        )
    if worth.table["loss"].notna().any():
        lines.append(f"The chance of loss is reckoned {ASSUMED}; it says nothing of whether the effect will last.")
    if len(segments.tests):
        lines.append(
            f"{len(segments.effects):,} segment effects were looked at and corrected for one another (Holm); counts under {LEAST_SHOWN} are not shown."
        )
    if segments.left_out:
        lines.append(
            f"Not used as segments, for having one level or too many: {', '.join(words(name) for name in segments.left_out)}."
        )
    if len(looks.changes):
        source = (
            f"orders early and late in each window, each of the {facts.unit} compared with itself, and arrivals week by week"
            if facts.source == "orders"
            else "arrivals week by week, since these outcomes do not say on which day they came about"
        )
        lines.append(f"Novelty was looked for in {source}.")
    if facts.source == "orders":
        lines.append(f"Outcomes are orders within {facts.window_days} days of assignment. {shop.money_rule()}")
    two = int(facts.apart["two_arms"].sum())
    if two:
        lines.append(f"{two:,} {facts.unit} were seen in more than one arm of a test and are set aside.")
    return tuple(lines)


def _tails(checks: Checks, results: Results, facts: Facts) -> list[str]:
    """Where the largest values weigh heavily: the same effect with them cut back, beside the raw mean that counts."""
    heavy = checks.table[checks.table["check"].str.startswith("heavy_tail")]
    pairs = {(row.experiment, row.check.partition(": ")[2]) for row in heavy.itertuples()}
    lines = []
    for _, row in results.table.iterrows():
        cut = capped_text(row, facts.currency)
        if (row["experiment"], row["metric"]) in pairs and cut:
            lines.append(
                f"{words(row['metric'])[:1].upper()}{words(row['metric'])[1:]} in {words(row['experiment'])} has a heavy tail: the raw mean counts, "
                f"{effect_text(row, facts.currency)}; with the outermost thousandth of values cut back it would be {cut}, a check that decides nothing."
            )
    return lines[:3]


def _gains(results: Results, facts: Facts) -> list[str]:
    table = results.table[(results.table["state"] == "ok") & results.table["gain"].notna()]
    if table.empty:
        return [f"No pre-values, so nothing could be adjusted by what {facts.unit} did before."]
    used = table[table["method"].str.startswith("CUPED")]
    if used.empty:
        return [
            f"Adjusting by what {facts.unit} did before did not help: it took away less than one per cent of the variance."
        ]
    low, high = used["gain"].min(), used["gain"].max()
    span = (
        formats.share(low)
        if round(100 * low) == round(100 * high)
        else f"{formats.number(100 * low)} to {formats.share(high)}"
    )
    return [
        f"Adjusting by what {facts.unit} did before the test (CUPED) helped in {len(used)} of {len(table)} comparisons: it took away {span} of the variance."
    ]


def _caveats(facts: Facts, results: Results, worth: Worth) -> tuple[Caveat, ...]:
    texts = []
    if not results.named and results.primary:
        chosen = ", ".join(sorted({words(metric) for metric in results.primary.values()}))
        texts.append(
            f"No measure that decides was named for this run; a rule took {chosen}. If another was named before the test, give it (primary=…)."
        )
    texts += [
        "If the rule for stopping, the arms or the measure changed on the way, these numbers do not hold.",
        f"Results hold for those weeks and those {facts.unit}; early winners are exaggerated, and refunds may still be open.",
        "Higher is taken as better. 'No difference found' is not 'no effect': effects inside the interval are still possible.",
    ]
    if len(worth.table):
        texts.append(
            "Money a month takes the test's own weeks for every month, and the change for everybody to do what it did in the test."
        )
    if not facts.dated:
        texts.append(
            f"Outcomes carry no observed_at, so it cannot be checked that all {facts.unit} were measured over the same window."
        )
    return tuple(Caveat(text=text) for text in texts)


def _actions(facts: Facts, verdicts: Verdicts, worth: Worth) -> tuple[Action, ...]:
    actions = []
    money = worth.table.set_index(["experiment", "variant"])
    ranked = verdicts.table.sort_values("decision", key=lambda named: named.map(list(_DO).index), kind="stable")
    for row in ranked.itertuples():
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
        brings = ""
        if (row.experiment, row.variant) in money.index and row.state in ("higher", "lower", "open"):
            one = money.loc[(row.experiment, row.variant)]
            loss = f"; chance of loss {loss_text(one['loss'])}, {BRIEFLY}" if one["loss"] == one["loss"] else ""
            brings = f"{month_text(one, facts.currency)} margin a month{loss}"
        actions.append(
            Action(
                what=what,
                why=row.why,
                worth=brings,
                count=row.units,
                counted=facts.unit,
                by=formats.day(date.fromisoformat(row.by)) if row.by else "",
                owner="whoever runs the test",
            )
        )
    return tuple(actions)


def _checks(checked: pd.DataFrame) -> list[Check]:
    """What needs a look, and every test's split; one banner where a split broke, not one for each way to see it."""
    broken = set(checked.loc[(checked["check"] == "sample_ratio") & (checked["verdict"] == "failed"), "experiment"])
    return [
        Check(name=f"{row.check.replace('_', ' ')}, {words(row.experiment)}", verdict=row.verdict, text=row.text)
        for row in checked.itertuples()
        if (row.verdict != "ok" or row.check == "sample_ratio")
        and not (row.check == "sample_ratio_any_day" and row.experiment in broken)
    ]


def _segment_table(segments: Segments) -> pd.DataFrame:
    """As shown: no count of people under five; p of each level against zero named so, that between levels beside it."""
    tests = segments.tests[
        ["experiment", "variant", "segment", "apart", "apart_low", "apart_high", "p_value", "p_adjusted"]
    ]
    shown = segments.effects.rename(columns={"p_value": "p_against_zero", "p_adjusted": "p_against_zero_adjusted"})
    tests = tests.rename(columns={"p_value": "p_between", "p_adjusted": "p_between_adjusted"})
    shown = _rounded(shown.merge(tests, on=["experiment", "variant", "segment"], how="left"))
    small = {
        name: [f"<{LEAST_SHOWN}" if size < LEAST_SHOWN else str(size) for size in shown[name]]
        for name in ("n", "n_control")
    }
    return shown.assign(**small)


def _rounded(frame: pd.DataFrame) -> pd.DataFrame:
    numbers = frame.select_dtypes("number").columns.difference(["n", "n_control"])
    return frame.assign(**{name: [float(f"{value:.{_DIGITS}g}") for value in frame[name]] for name in numbers})
