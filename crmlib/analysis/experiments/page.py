"""The page: what the shop's owner should take from the tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crmlib import formats, wording
from crmlib.analysis.earned import Earned, part_earned
from crmlib.analysis.experiments.checks import part_checks
from crmlib.analysis.experiments.forest import part_effects
from crmlib.analysis.experiments.given import GIVEN
from crmlib.analysis.experiments.judging import DECIDED, READ, State
from crmlib.analysis.experiments.looks import Looks, part_looks, part_novelty
from crmlib.analysis.experiments.measures import capped_text, effect_text, title, words
from crmlib.analysis.experiments.planning import part_plan
from crmlib.analysis.experiments.predictions import predictions
from crmlib.analysis.experiments.results import LEAST_GAIN, Results
from crmlib.analysis.experiments.segments import Segments, part_segments
from crmlib.analysis.experiments.split import BLOCKED, WARNED, part_days, part_split
from crmlib.analysis.experiments.verdicts import Verdicts, part_verdicts
from crmlib.analysis.experiments.worth import part_worth
from crmlib.findings import Caveat, Findings, Grade, Part, Status, compose

# What is said of several tests without a result, in the order in which two of these states are told.
_SEVERAL = {
    State.OPEN: "tests show no clear difference",
    State.VOID: "tests are unusable",
    State.RUNNING: "tests are still running",
    State.UNFIT: "tests can't be judged by their measures",
    State.TOO_FEW: "tests are too small to tell",
    State.NO_OUTCOMES: "tests had nothing measured",
}


def page(
    verdicts: Verdicts,
    *,
    looks: Looks,
    segments: Segments,
    grades: Sequence[Grade] = (),
    lists: Earned | None = None,
) -> Findings:
    """What do the tests say, what should be done, and how far can that be trusted? `lists` are past ones, measured."""
    results = verdicts.results
    told = part_earned(lists) if lists is not None and len(lists) else None
    parts = [
        part_effects(verdicts),
        part_verdicts(verdicts),
        part_worth(verdicts.worth, largest=verdicts.largest),
        part_plan(results, worthwhile=verdicts.worthwhile),
        part_split(results.checks),
        part_segments(segments),
        part_novelty(looks),
        part_looks(looks),
        replace(told, detail=True, metrics=()) if told else None,
        part_days(results.checks),
        part_checks(results.checks, segments.splits, read=set(verdicts.of(*READ))),
        part_trust(results),
        Part(predictions=predictions(results), grades=grades),
    ]
    few = not verdicts.of(*DECIDED, State.RUNNING, State.VOID, State.OPEN)
    status: Status | None = "too_few" if few else None
    return compose("experiments", headline(verdicts), parts, status=status)


def headline(verdicts: Verdicts) -> str:
    """What the tests say, in one or two sentences: those with a result, then the rest."""
    table, clear = verdicts.table, verdicts.clear
    rest = table[~table["experiment"].isin(clear["experiment"])].drop_duplicates("experiment")
    clear = clear.drop_duplicates(["experiment", "said"])  # versions that are not told apart are told of together
    first = [f"{said}." for said in clear["said"].head(2 if len(clear) == 2 else 1)]
    if len(clear) > 2:
        first.append(f"{wording.upper(wording.small(len(clear) - 1))} other versions have a result too.")
    clauses: list[str] = []
    for state, several in _SEVERAL.items():
        said = rest.loc[rest["state"] == state, "said"]
        if len(said) and len(clauses) < 2:
            clauses.append(wording.lower(said.iloc[0]) if len(said) == 1 else f"{wording.small(len(said))} {several}")
    return wording.sentences(*first, f"{wording.upper('; '.join(clauses))}." if clauses else "")


def part_trust(results: Results) -> Part:
    """How certain are the ranges, what is the method, and when should the page not be trusted?"""
    facts, checks, unit = results.facts, results.checks, wording.upper(results.facts.unit)
    always = results.reading == "always"
    held = "on every day at once, so they may be read on any of them" if always else "for one look, at the end"
    certain = f"About {100 * results.confidence:g} of 100 such tests have the true change inside the range shown."
    counted = (
        f"{unit} count in the arm they were assigned to, whatever they did afterwards, each over the same window. "
        f"{unit} seen in more than one arm of a test are left out: {int(facts.apart['two_arms'].sum()):,}."
    )
    if facts.source == GIVEN:
        counted = "Sums are taken as another tool added them up: who saw two versions or is missing, they don't say."
    method = [
        counted,
        "The p-values of a test's metrics and arms are corrected for one another (Holm). Each interval stands for "
        "itself; with several arms, that of the measure that decides holds for all arms together. Metrics that only "
        "explain also carry a q-value: the share of false finds to expect among those up to it.",
        f"A broken split makes a test unusable below p = {BLOCKED:g}, on the total or at any day's look, and is warned "
        f"of below {WARNED:g}; days and segments are diagnostics, corrected for their number.",
        _gains(results),
        *_tails(results),
        *checks.table.loc[checks.table["kind"] == "several", "text"].tolist()[:3],
    ]
    if results.guardrails:
        named = "; ".join(f"{words(rail.metric)} {rail.text}" for rail in results.guardrails)
        method.append(f"Guardrails: {named}. A test ships only if the whole interval of each is on the safe side.")
    if facts.source == "orders":
        method.append(f"Outcomes are orders within {facts.window_days} days of assignment. {facts.money_rule}")
    return Part(certain=[f"{certain} The ranges hold {held}."], method=method, caveats=_caveats(results))


def _caveats(results: Results) -> list[Caveat]:
    facts, texts = results.facts, []
    if not results.named and results.primary:
        chosen = wording.listed(sorted({words(metric) for metric in results.primary.values()}), most=3, rest="measure")
        texts.append(f"Nobody named the measure that decides, so we used {chosen}.")
    if results.reading == "fixed":
        texts.append("If somebody looked earlier and stopped on a good day, more results are chance than it seems.")
    if not facts.dated:
        texts.append(f"Outcomes have no date, so nobody can check that all {facts.unit} were followed equally long.")
    texts.append(f"Results hold for those weeks and those {facts.unit}; higher is taken as better.")
    return [Caveat(text=text) for text in texts[:3]]


def _tails(results: Results) -> list[str]:
    """Where the largest values weigh heavily: the same effect with them cut back, beside the raw mean that counts."""
    heavy = results.checks.table[results.checks.table["kind"] == "heavy_tail"]
    pairs, currency = set(zip(heavy["experiment"], heavy["metric"])), results.facts.currency
    told = []
    for row in results.table.to_dict("records"):
        cut = capped_text(row, currency)
        if cut and (row["experiment"], row["metric"]) in pairs:
            name = f"{title(row['metric'])} in {words(row['experiment'])} has a heavy tail: the raw mean counts"
            cut = f"with the outermost thousandth of values cut back it would be {cut}, a check that decides nothing"
            told.append(f"{name}, {effect_text(row, currency)}; {cut}.")
    return told[:3]


def _gains(results: Results) -> str:
    table, unit = results.table[(results.table["state"] == "ok") & results.table["gain"].notna()], results.facts.unit
    used = table[table["gain"] >= LEAST_GAIN]
    if table.empty:
        return f"No pre-values, so nothing could be adjusted by what {unit} did before."
    adjusting = f"Adjusting by what {unit} did before the test (CUPED)"
    if used.empty:
        return f"{adjusting} did not help: it took away under one per cent of the variance."
    ends = dict.fromkeys(formats.share(gain) for gain in (used["gain"].min(), used["gain"].max()))
    return f"{adjusting} helped in {len(used)} of {len(table)} comparisons, by {' to '.join(ends)} of the variance."
