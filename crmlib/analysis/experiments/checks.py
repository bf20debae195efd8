"""May the split be believed? Asked before any effect is looked at."""

from __future__ import annotations

import math
import re
from collections.abc import Set
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from crmlib import figures, formats, wording
from crmlib.analysis.experiments import split as splits
from crmlib.analysis.experiments.enough import SKEWED, skewness
from crmlib.analysis.experiments.facts import Facts
from crmlib.analysis.experiments.given import GIVEN
from crmlib.analysis.experiments.measures import p_text, rounded, title, words
from crmlib.analysis.experiments.split import RATIOS, SPLIT, WARNED, Checks, Row, tabled, verdict_of
from crmlib.errors import UsageError
from crmlib.findings import Check, Part
from crmlib.stats import adjust

# Names that say an arm got nothing new, without blanks and hyphens.
OLD = ("control", "holdout", "heldout", "holdback", "baseline")
_TOLD = {"sample_ratio": "split", "sample_ratio_any_day": "split at any day", "sample_ratio_by_day": "split by day",
         "sample_ratio_by_segment": "split by segment"}  # fmt: skip


def validate(facts: Facts, *, control: str = "", split: str = "", confidence: float = 0.95) -> Checks:
    """Did as many units reach each arm as planned, and are the arms otherwise what they should be?

    Sample ratio mismatch by chi-square on the totals of the whole test, and by an always-valid test over its days:
    either blocks below p = .001, and is warned of below .01 (Fabijan et al. 2019). Values missing more in one arm block
    their metric in the same way, under Holm over metrics. `split` is what was planned, such as 'control=9,
    treatment=1'; empty is equal arms. Raises UsageError for a control or a split that names no arm.
    """
    variants = {str(name): list(facts.units_of(str(name))) for name in facts.apart["experiment"]}
    controls = {name: _control(name, arms, control) for name, arms in variants.items()}
    planned = splits.plans(variants, split)
    rows: list[Row] = []
    ratios: list[dict[str, Any]] = []
    for name in variants:
        counts, plan = facts.units_of(name), planned[name]
        mine = splits.ratios_of(name, counts, control=controls[name], plan=plan, confidence=confidence)
        ratios += mine
        found = [splits.sample_ratio(name, counts, plan=plan, ratios=mine, unit=facts.unit)]
        found += splits.over_days(name, facts.days[facts.days["experiment"] == name], plan=plan)
        metrics = facts.moments[facts.moments["experiment"] == name]
        if facts.source != GIVEN:  # sums do not say who is missing, or saw two versions
            found += _apart(facts, name, sum(counts.values()))
            found += _missing(name, metrics, facts.unit)
        # The mean of an arm that may not be read is said nowhere.
        hidden = {row.metric for row in found if row.verdict == "failed"}
        found += _metrics(name, metrics, controls[name], unit=facts.unit, hidden=hidden)
        rows += found
    blocked = frozenset((row.experiment, row.metric) for row in rows if row.verdict == "failed")
    shares, table = pd.DataFrame(ratios, columns=RATIOS), tabled(rows)
    return Checks(facts=facts, table=table, ratios=shares, controls=controls, plans=planned, blocked=blocked)


def _control(experiment: str, arms: list[str], wanted: str) -> str:
    """The old version: the arm that was asked for, else the one whose name says so; two of them are asked for."""
    names = [wanted.casefold()] if wanted else list(OLD)
    folded = [arm for arm in arms if re.sub(r"[\s_-]+", "", arm.casefold()) in names or arm.casefold() in names]
    if wanted in arms or not arms:
        return wanted or "control"
    if len(folded) == 1:
        return folded[0]
    found, what = ", ".join(f"'{arm}'" for arm in arms), f"experiment '{experiment}' has"
    if wanted:
        one = "give -p control=…, or pick one test by -p experiment=…"
        raise UsageError(f"{what} no arm '{wanted}'; it has {found}: {one}")
    if folded:
        both = wording.listed(f"'{arm}'" for arm in folded)
        raise UsageError(f"{what} the arms {found}; {both} may each be the old version: say which by -p control=…")
    raise UsageError(f"{what} no arm named 'control'; it has {found}: say which by -p control=…")


def _apart(facts: Facts, experiment: str, units: int) -> list[Row]:
    row = facts.apart[facts.apart["experiment"] == experiment].iloc[0]
    two, repeats, stray = int(row["two_arms"]), int(row["repeats"]), int(row["unassigned_units"])
    found = [
        ("two_arms", two, "{unit} saw more than one version and are left out.", two > 0.01 * (units + two)),
        ("repeated_assignments", repeats, "assignments only repeat an earlier one and count once.", False),
        ("unassigned_units", stray, "{unit} with outcomes were never assigned and are left out.", stray > 0.01 * units),
    ]
    return [
        Row(experiment, kind, float(n), f"{n or 'no'} {said.format(unit=facts.unit)}", "warning" if many else "ok")
        for kind, n, said, many in found
    ]


def _missing(experiment: str, metrics: pd.DataFrame, unit: str) -> list[Row]:
    """Values that are missing after their window closed; differently by arm means the arms cannot be compared."""
    rows = []
    for metric, arms in metrics.groupby("metric", sort=True):
        missing, present = arms["missing"].to_numpy(dtype=float), arms["n"].to_numpy(dtype=float)
        table = np.array([missing, present])
        p = math.nan
        if len(arms) > 1 and missing.sum() and present.sum() and (missing + present).min() > 0:
            small = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
            fisher = len(arms) == 2 and small.min() < 5
            result = stats.fisher_exact(table) if fisher else stats.chi2_contingency(table, correction=False)
            p = float(result.pvalue)
        rows.append((str(metric), int(missing.sum()), int((missing + present).sum()), p))
    known = [p for *_, p in rows if not math.isnan(p)]
    raised = iter(adjust(known, method="holm")) if known else iter(())
    found = []
    for metric, lost, units, p in rows:
        adjusted = p if math.isnan(p) else float(next(raised))
        verdict, more = verdict_of(adjusted), f"more in one version than in the other ({p_text(adjusted)})"
        said = f"{lost:,} of {units:,} {unit} have no {words(metric)}"
        said = said if lost else f"all {unit} that were followed for their whole window have {words(metric)}"
        ends = {"failed": f", {more}: they can't be compared on it.", "warning": f", perhaps {more}.", "ok": "."}
        found.append(Row(experiment, "missing", float(lost), f"{said}{ends[verdict]}", verdict, adjusted, metric))
    return found


def _metrics(experiment: str, metrics: pd.DataFrame, control: str, *, unit: str, hidden: Set[str]) -> list[Row]:
    """What never blocks: several and early values, unequal windows, arms unlike before, heavy tails."""
    found: list[Row] = []
    before: list[tuple[str, str, float, float]] = []

    def warn(kind: str, metric: str, value: float, said: str) -> None:
        found.append(Row(experiment, kind, value, said, "warning", metric=metric))

    for metric, arms in metrics.groupby("metric", sort=True):
        name = str(metric)
        if count := int(arms["several"].sum()):
            how = "who ever did it counts once" if arms["off_binary"].sum() == 0 else "they are added up"
            said = f"{count:,} {unit} have several rows of {words(name)}; {how}."
            found.append(Row(experiment, "several", float(count), said, metric=name))
        if count := int(arms["early"].sum()):
            said = f"{count:,} {unit} have values of {words(name)} from before the test; those are left out."
            warn("early", name, float(count), said)
        ends = arms["window_low"].min(), arms["window_high"].max()
        if float(ends[1] - ends[0]) > 1:
            low, high = (formats.number(value, digits=1) for value in ends)
            said = f"{words(name)} was measured over {low} to {high} days, not the same window for all {unit}."
            warn("equal_windows", name, float(ends[1] - ends[0]), said)
        by_arm = arms.set_index("variant")
        for arm in by_arm.index.drop(control) if control in by_arm.index else ():
            a, b = by_arm.loc[control], by_arm.loc[arm]
            if min(a["pre_n"], b["pre_n"]) >= 30 and a["pre_var"] + b["pre_var"] > 0:
                z = (b["pre_mean"] - a["pre_mean"]) / math.sqrt(a["pre_var"] / a["n"] + b["pre_var"] / b["n"])
                before.append((name, str(arm), float(b["pre_mean"] - a["pre_mean"]), float(2 * stats.norm.sf(abs(z)))))
            skew = skewness(a, b)
            if a["off_binary"] + b["off_binary"] > 0 and abs(skew) > SKEWED:
                shown = not (arms["open"].sum() or hidden & {"", name})
                said = _tail_text(name, by_arm, max(a["largest"], b["largest"]), shown=shown)
                warn("heavy_tail", name, float(f"{skew:.4g}"), said)
    for (name, arm, difference, _), p in zip(before, adjust([row[3] for row in before], method="holm"), strict=True):
        differed = f"already differed in {words(name)} ({p_text(p)})"
        said = differed if p < WARNED else f"did not clearly differ in {words(name)}"
        said = f"before the test, {arm} and {control} {said}."
        found.append(Row(experiment, "alike_before", difference, said, verdict_of(p, blocks=False), float(p), name))
    return found


def _tail_text(name: str, by_arm: pd.DataFrame, top: float, *, shown: bool) -> str:
    """A few large values weigh heavily; where the arm's mean may be `shown`, what the largest does to it."""
    largest = formats.number(top, digits=0 if float(top).is_integer() else 2)
    text = f"a few large values of {words(name)} weigh heavily (the largest is {largest}), so its range is rough."
    if not shown:
        return text
    arm = by_arm[by_arm["largest"] == top].iloc[0]
    mean, without = float(arm["mean"]), float((arm["n"] * arm["mean"] - top) / (arm["n"] - 1))
    rest, whole = formats.number(without, digits=2), formats.number(mean, digits=2)
    return f"{text} Without that one, the mean of {words(str(arm.name))} would be {rest}, not {whole}."


def part_checks(checks: Checks, splits: pd.DataFrame, *, read: Set[str] | None = None) -> Part:
    """What was checked before any effect was looked at, and what was found? Those that found nothing are counted only.

    `splits` are the checks of the segments. `read` are the experiments whose effects are shown (all if None): the page
    says nothing of a heavy tail elsewhere.
    """
    table = pd.concat([checks.table, splits], ignore_index=True) if len(splits) else checks.table
    order = {"failed": 0, "warning": 1, "ok": 2}
    ranked = table.sort_values("verdict", key=lambda column: column.map(order), kind="stable")
    bad = ranked[ranked["verdict"] != "ok"]
    quiet = ranked[ranked["verdict"] == "ok"].groupby("experiment").size()
    said = [f"{title(str(name))}: {wording.counted(count, 'check')} found no problem." for name, count in quiet.items()]
    shown = pd.concat([bad[["verdict", "text"]], pd.DataFrame({"verdict": "ok", "text": said})], ignore_index=True)
    labels = {"text": "What was found", "verdict": "Verdict"}
    caption = "Checks of the tests themselves, the gravest first"
    return Part(
        title=f"{len(bad) or 'None'} of {wording.counted(len(ranked), 'check')} found a problem",
        sentence="A check that finds no problem is no proof that there is none.",
        chart=figures.table(shown, caption=caption, labels=labels, file="tables/checks.csv"),
        checks=_checks(table, read),
        tables={"checks": rounded(table[["experiment", "check", "value", "p_value", "verdict"]])},
        detail=True,
    )


def _checks(table: pd.DataFrame, read: Set[str] | None) -> list[Check]:
    """What found a problem, and every test's split; one banner where a split broke, not one for each way to see it."""
    broken = set(table.loc[(table["kind"] == SPLIT[0]) & (table["verdict"] == "failed"), "experiment"])
    kept = (table["verdict"] != "ok") | (table["kind"] == SPLIT[0])
    kept &= ~((table["kind"] == SPLIT[1]) & table["experiment"].isin(broken))
    if read is not None:
        kept &= (table["kind"] != "heavy_tail") | table["experiment"].isin(read)
    found = []
    for row in table[kept].itertuples():
        name = _TOLD.get(row.kind, words(row.kind))
        if row.kind != SPLIT[0]:
            name += f"{f' of {words(row.metric)}' if row.metric else ''}, {words(row.experiment)}"
        found.append(Check(name=name, verdict=row.verdict, text=row.text))
    return found
