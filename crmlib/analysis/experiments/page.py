"""What the shop's owner should take from the tests."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from crmlib import formats
from crmlib.analysis.experiments.checks import Checks
from crmlib.analysis.experiments.curves import CLEAR, stands_out
from crmlib.analysis.experiments.drawing import capped_text, headline, upper
from crmlib.analysis.experiments.facts import Facts
from crmlib.analysis.experiments.looks import Looks
from crmlib.analysis.experiments.measures import words
from crmlib.analysis.experiments.predictions import predictions
from crmlib.analysis.experiments.results import CONTRACT, Results
from crmlib.analysis.experiments.segments import LEAST_SHOWN, Segments
from crmlib.analysis.experiments.split import BLOCKED, WARNED
from crmlib.analysis.experiments.tables import loss_text, month_text
from crmlib.analysis.experiments.tiles import metrics
from crmlib.analysis.experiments.verdicts import DECIDED, READ, Verdicts, effect_text
from crmlib.analysis.experiments.worth import ASSUMED, BRIEFLY, Worth
from crmlib.findings import Action, Caveat, Check, Findings, Grade, Status

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

DECIDE_WITHIN = timedelta(days=14)
_DIGITS = 12  # significant digits in the tables: the same on every run, whatever the order of the sums
_DO = {
    "ship": "Ship {}",
    "stop": "Stop {}: keep things as they are",
    "open": "Plan a new test of {}",
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
        metrics=metrics(
            facts, checks, results, verdicts, worth, decided=decided, void=void, running=running, few=few, total=total
        ),
        so_what=_so_what(results, verdicts, _doubts(checks, verdicts) + stands_out(segments.tests, looks, facts)),
        how_sure=_how_sure(facts, checks, results, worth, segments, shop),
        for_experts=_for_experts(facts, results, looks, segments),
        caveats=_caveats(facts, results, worth),
        actions=_actions(facts, checks, results, verdicts, worth, looks),
        checks=tuple(_checks(checked, read=set(verdicts.table.loc[verdicts.table["state"].isin(READ), "experiment"]))),
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
                row = table.loc[(verdict.experiment, verdict.variant)]
                figures = verdict.why.partition(". ")[0]
                told = verdict.title.endswith(("is higher", "is lower"))
                line = f"{verdict.title}: {figures.removeprefix(words(row['metric'])).strip() if told else figures}."
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


def _doubtful(checks: Checks, verdicts: Verdicts) -> frozenset[str]:
    """Experiments that were read though their split is doubtful."""
    read = set(verdicts.table.loc[verdicts.table["state"].isin(READ), "experiment"])
    split = checks.table["check"].isin(["sample_ratio", "sample_ratio_any_day"])
    return frozenset(read & set(checks.table.loc[split & (checks.table["verdict"] == "warning"), "experiment"]))


def _doubts(checks: Checks, verdicts: Verdicts) -> tuple[str, ...]:
    names = sorted(words(name) for name in _doubtful(checks, verdicts))
    return (f"The split of {', '.join(names)} is doubtful: read the result with care.",) if names else ()


def _how_sure(
    facts: Facts, checks: Checks, results: Results, worth: Worth, segments: Segments, shop: Shop
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
        *_tails(checks, results, facts),
    ]
    if results.guardrails:
        named = "; ".join(f"{words(rail.metric)} {rail.text}" for rail in results.guardrails)
        lines.append(
            f"Guardrails: {named}. Each holds only if its whole interval is on the safe side, and a test ships only if all hold."
        )
    if worth.table["loss"].notna().any():
        lines.append(f"The chance of loss is reckoned {ASSUMED}; it says nothing of whether the effect will last.")
    if segments.left_out:
        lines.append(
            f"Not used as segments, for having one level or too many: {', '.join(words(name) for name in segments.left_out)}."
        )
    if facts.source == "orders":
        lines.append(f"Outcomes are orders within {facts.window_days} days of assignment. {shop.money_rule()}")
    two = int(facts.apart["two_arms"].sum())
    if two:
        lines.append(f"{two:,} {facts.unit} were seen in more than one arm of a test and are set aside.")
    return tuple(lines)


def _for_experts(facts: Facts, results: Results, looks: Looks, segments: Segments) -> tuple[str, ...]:
    lines = [
        "The p-values of a test's metrics and arms are corrected for one another (Holm). Each interval stands for itself; with several arms, that of the "
        "measure that decides holds for all arms together. Metrics that only explain also carry a q-value: the share of false finds to expect among those up to it.",
        f"A broken split voids a test below p = {BLOCKED:g}, on the total or at any day's look, and is warned of below {WARNED:g}; days and segments are diagnostics, corrected for their number.",
        *_gains(results, facts),
    ]
    if len(segments.tests):
        lines.append(
            f"{len(segments.effects):,} segment effects were looked at, those of one test corrected for one another (Holm); counts under {LEAST_SHOWN} are not shown."
        )
    if len(looks.changes):
        source = (
            f"orders early and late in each window, each of the {facts.unit} compared with itself, and arrivals week by week"
            if facts.source == "orders"
            else "arrivals week by week, since these outcomes do not say on which day they came about"
        )
        lines.append(f"Novelty was looked for in {source}.")
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
    if results.reading == "fixed":
        texts.append(
            "The shop's tables hold no plan, so each test is read as if its last arrival had been its planned end. Where somebody looked earlier and "
            "stopped on a good day, more finds are false than the ranges say."
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


def _actions(
    facts: Facts, checks: Checks, results: Results, verdicts: Verdicts, worth: Worth, looks: Looks
) -> tuple[Action, ...]:
    actions = []
    doubtful = _doubtful(checks, verdicts)
    changed = looks.changes[looks.changes["p_adjusted"] < CLEAR]
    fading = dict(zip(zip(changed["experiment"], changed["variant"], strict=True), changed["what"], strict=True))
    money = worth.table.set_index(["experiment", "variant"])
    deciding = results.table[results.table["primary"] & ((results.table["low"] > 0) | (results.table["high"] < 0))]
    read = verdicts.table[verdicts.table["state"].isin(READ)]
    clear = set(zip(deciding["experiment"], deciding["variant"])) & set(zip(read["experiment"], read["variant"]))
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
        if row.state == "open" and row.decision == "open" and (row.experiment, row.variant) in clear:
            what = f"Decide on {name}: take the risk shown, or test something bolder"
        what_changed = fading.get((row.experiment, row.variant), "")
        brings = ""
        # What nothing is shown of has no worth to show beside what has.
        if (row.experiment, row.variant) in money.index and (row.experiment, row.variant) in clear:
            one = money.loc[(row.experiment, row.variant)]
            loss = f"; chance of loss {loss_text(one['loss'])}, {BRIEFLY}" if one["loss"] == one["loss"] else ""
            brings = f"{month_text(one, facts.currency)} margin a month{loss}"
        actions.append(
            Action(
                what=what,
                why=row.why
                + ("; its split is doubtful" if row.experiment in doubtful else "")
                + (
                    f"; the effect changed {what_changed}, so watch whether it lasts"
                    if what_changed and row.decision == "ship"
                    else ""
                ),
                worth=brings,
                count=row.units,
                counted=facts.unit,
                by=formats.day(date.fromisoformat(row.by) if row.by else facts.as_of + DECIDE_WITHIN),
                owner="whoever runs the test",
            )
        )
    return tuple(actions)


def _checks(checked: pd.DataFrame, *, read: set[str]) -> list[Check]:
    """What needs a look, and every test's split; one banner where a split broke, not one for each way to see it, and no
    heavy tail of a test whose effects are not shown."""
    broken = set(checked.loc[(checked["check"] == "sample_ratio") & (checked["verdict"] == "failed"), "experiment"])
    return [
        Check(
            name=f"{row.check.replace('sample_ratio', 'split').replace('_', ' ')}, {words(row.experiment)}",
            verdict=row.verdict,
            text=row.text,
        )
        for row in checked.itertuples()
        if (row.verdict != "ok" or row.check == "sample_ratio")
        and not (row.check == "sample_ratio_any_day" and row.experiment in broken)
        and not (row.check.startswith("heavy_tail") and row.experiment not in read)
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
