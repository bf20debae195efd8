"""May the split be believed? Asked before any effect is looked at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from scipy import stats

from crmlib import formats
from crmlib.analysis.experiments.facts import Facts
from crmlib.analysis.experiments.measures import p_text, title, words
from crmlib.analysis.experiments.split import BLOCKED, WARNED, Ratio, Row, over_days, plans, ratios_of, sample_ratio
from crmlib.errors import UsageError
from crmlib.stats import adjust

# Kohavi, Deng, Longbotham and Xu 2014, rule 7: 355 skewness² units make a mean's tails right, where the mean's own
# skewness is 1 / √355. Here it is asked of the difference, in which equal arms cancel.
SKEWED = 1 / math.sqrt(355)
_COLUMNS = ["experiment", "check", "value", "p_value", "verdict", "text"]


@dataclass(frozen=True, kw_only=True)
class Checks:
    """The plan that was read, and what stands against each experiment.

    table     experiment, check, value, p_value, verdict (ok, warning, failed), text
    ratios    experiment, variant, control, units, units_control, planned, ratio, low, high: units for each one of the
              control's, over what was planned, with its interval
    controls  experiment -> the arm all others are compared with
    plans     experiment -> the planned size of each arm
    blocked   (experiment, metric) pairs that may not be read; metric '' is the whole experiment
    """

    table: pd.DataFrame
    ratios: pd.DataFrame
    controls: Mapping[str, str]
    plans: Mapping[str, Mapping[str, float]]
    blocked: frozenset[tuple[str, str]]

    def is_blocked(self, experiment: str, metric: str) -> bool:
        return (experiment, "") in self.blocked or (experiment, metric) in self.blocked


def validate(facts: Facts, *, control: str = "", split: str = "", confidence: float = 0.95) -> Checks:
    """Did as many units reach each arm as planned, and are the arms otherwise what they should be?

    Sample ratio mismatch by chi-square on the totals of the whole test, and by an always-valid test over its days:
    either blocks below p = .001, and is warned of below .01 (Fabijan et al. 2019). Values missing more in one arm block their metric in the same way, under Holm over metrics.
    `split` is what was planned, such as 'control=9, treatment=1'; empty is equal arms. Raises UsageError for a control
    or a split that names no arm.
    """
    variants = _variants(facts)
    controls = {name: _control(name, arms, control) for name, arms in variants.items()}
    planned = plans(variants, split)
    rows: list[Row] = []
    ratios: list[Ratio] = []
    blocked: set[tuple[str, str]] = set()
    for name, arms in variants.items():
        units = facts.arms[facts.arms["experiment"] == name].set_index("variant")["units"]
        counts = {arm: int(units.get(arm, 0)) for arm in arms}
        mine = ratios_of(name, counts, control=controls[name], plan=planned[name], confidence=confidence)
        ratios += mine
        unit = facts.unit
        found = [sample_ratio(name, counts, plan=planned[name], ratios=mine, unit=unit)]
        found += over_days(name, facts.days[facts.days["experiment"] == name], plan=planned[name])
        found += _apart(facts, name, sum(counts.values()))
        metrics = facts.moments[facts.moments["experiment"] == name]
        found += _missing(name, metrics, unit)
        # The mean of an arm that may not be read is said nowhere.
        void = {str(row[1]).partition(":")[2].strip() for row in found if row[4] == "failed"}
        found += _others(name, metrics, controls[name], unit=unit, void=void)
        for row in found:
            if row[4] == "failed":
                blocked.add((name, str(row[1]).partition(":")[2].strip()))
        rows += found
    return Checks(
        table=pd.DataFrame(rows, columns=_COLUMNS),
        ratios=pd.DataFrame(ratios, columns=[field.name for field in fields(Ratio)]),
        controls=controls,
        plans=planned,
        blocked=frozenset(blocked),
    )


def _variants(facts: Facts) -> dict[str, list[str]]:
    return {
        str(name): sorted(facts.arms.loc[facts.arms["experiment"] == name, "variant"])
        for name in facts.apart["experiment"]
    }


def _control(experiment: str, arms: list[str], wanted: str) -> str:
    name = wanted or "control"
    folded = [arm for arm in arms if arm.casefold() == name.casefold()]
    if name in arms:
        return name
    if len(folded) == 1:
        return folded[0]
    if not arms:
        return name
    found = ", ".join(f"'{arm}'" for arm in arms)
    if wanted:
        raise UsageError(
            f"experiment '{experiment}' has no arm '{wanted}'; it has {found}: give -p control=…, or pick one test by -p experiment=…"
        )
    raise UsageError(f"experiment '{experiment}' has no arm named 'control'; it has {found}: say which by -p control=…")


def _apart(facts: Facts, experiment: str, units: int) -> list[Row]:
    row = facts.apart[facts.apart["experiment"] == experiment].iloc[0]
    two, repeats, stray = int(row["two_arms"]), int(row["repeats"]), int(row["unassigned_units"])
    many = two > 0.01 * (units + two)
    texts = {
        "two_arms": (two, f"{facts.unit} seen in more than one arm, set aside", many),
        "repeated_assignments": (repeats, "assignments that repeat an earlier one, counted once", False),
        "unassigned_units": (
            stray,
            f"{facts.unit} with outcomes that were never assigned, set aside",
            stray > 0.01 * units,
        ),
    }
    return [
        (
            experiment,
            name,
            float(value),
            math.nan,
            "warning" if warn else "ok",
            f"{title(experiment)}: {value or 'no'} {text}.",
        )
        for name, (value, text, warn) in texts.items()
    ]


def _missing(experiment: str, metrics: pd.DataFrame, unit: str) -> list[Row]:
    """Values that are missing after their window closed; differently by arm means that the arms cannot be compared."""
    rows, p_values = [], []
    for metric, arms in metrics.groupby("metric", sort=True):
        missing, present = arms["missing"].to_numpy(dtype=float), arms["n"].to_numpy(dtype=float)
        table = np.array([missing, present])
        p = math.nan
        if len(arms) > 1 and missing.sum() and present.sum() and (missing + present).min() > 0:
            small = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
            fisher = len(arms) == 2 and small.min() < 5
            result = stats.fisher_exact(table) if fisher else stats.chi2_contingency(table, correction=False)
            p = float(result.pvalue)
        rows.append((metric, int(missing.sum()), int((missing + present).sum())))
        p_values.append(p)
    known = [p for p in p_values if not math.isnan(p)]
    raised = iter(adjust(known, method="holm")) if known else iter(())
    found: list[Row] = []
    for (metric, missing_units, units), p in zip(rows, p_values, strict=True):
        adjusted = p if math.isnan(p) else float(next(raised))
        verdict = "failed" if adjusted < BLOCKED else "warning" if adjusted < WARNED else "ok"
        text = f"{title(experiment)}: {missing_units:,} of {units:,} {unit} have no {words(metric)}"
        if not missing_units:
            text = f"{title(experiment)}: all {unit} that were followed for their whole window have {words(metric)}"
        text += {"failed": f", and not equally by arm ({p_text(adjusted)}): the arms cannot be compared on it.",
                 "warning": f", perhaps not equally by arm ({p_text(adjusted)}).", "ok": "."}[verdict]  # fmt: skip
        found.append((experiment, f"missing: {metric}", float(missing_units), adjusted, verdict, text))
    return found


def _others(experiment: str, metrics: pd.DataFrame, control: str, *, unit: str, void: Set[str]) -> list[Row]:
    """Diagnostics that never block: contradictory and early values, unequal windows, arms unlike before, heavy tails."""
    found: list[Row] = []
    before: list[tuple[str, str, float, float]] = []
    for metric, arms in metrics.groupby("metric", sort=True):
        where, name = f"{title(experiment)}: ", str(metric)
        for code, meaning in (
            ("contradictory", "have several values that differ"),
            ("early", "were measured before they were assigned"),
        ):
            if count := int(arms[code].sum()):
                text = f"{where}{count:,} {unit} {meaning} for {words(name)}; they are left out."
                found.append((experiment, f"{code}: {name}", float(count), math.nan, "warning", text))
        spread = float(arms["window_high"].max() - arms["window_low"].min())
        if spread > 1:
            low, high = (
                formats.number(value, digits=1) for value in (arms["window_low"].min(), arms["window_high"].max())
            )
            text = f"{where}{words(name)} was measured over {low} to {high} days, not the same window for all {unit}."
            found.append((experiment, f"equal_windows: {name}", spread, math.nan, "warning", text))
        by_arm = arms.set_index("variant")
        for arm in by_arm.index:
            if arm == control or control not in by_arm.index:
                continue
            a, b = by_arm.loc[control], by_arm.loc[arm]
            if min(a["pre_n"], b["pre_n"]) >= 30 and a["pre_var"] + b["pre_var"] > 0:
                z = (b["pre_mean"] - a["pre_mean"]) / math.sqrt(a["pre_var"] / a["n"] + b["pre_var"] / b["n"])
                before.append((name, str(arm), float(b["pre_mean"] - a["pre_mean"]), float(2 * stats.norm.sf(abs(z)))))
            skew = _skew_of_difference(a, b)
            if a["off_binary"] + b["off_binary"] > 0 and abs(skew) > SKEWED:
                top = max(a["largest"], b["largest"])
                text = (f"{where}{words(name)} has a heavy tail (largest single value {formats.number(top, digits=0 if float(top).is_integer() else 2)}), so its interval "
                        "is rough." + ("" if arms["open"].sum() or void & {"", name} else f" {_alone(by_arm, top)}"))  # fmt: skip
                found.append((experiment, f"heavy_tail: {name}", float(f"{skew:.4g}"), math.nan, "warning", text))
    for (name, arm, difference, _), p in zip(before, adjust([row[3] for row in before], method="holm"), strict=True):
        verdict = "warning" if p < WARNED else "ok"
        text = f"{title(experiment)}: before the test, {arm} and {control} " + (
            f"already differed in {words(name)} ({p_text(p)})."
            if p < WARNED
            else f"did not clearly differ in {words(name)}."
        )
        found.append((experiment, f"alike_before: {name}", difference, float(p), verdict, text))
    return found


def _alone(by_arm: pd.DataFrame, top: float) -> str:
    """What one value does to its arm's mean."""
    arm = by_arm[by_arm["largest"] == top].iloc[0]
    mean, without = float(arm["mean"]), float((arm["n"] * arm["mean"] - top) / (arm["n"] - 1))
    return f"Without that one, the mean of {words(str(arm.name))} would be {formats.number(without, digits=2)}, not {formats.number(mean, digits=2)}."


def _skew_of_difference(a: pd.Series, b: pd.Series) -> float:
    """Skewness of the difference of two means: (κ3b / nb² − κ3a / na²) / SE³."""
    if min(a["n"], b["n"]) < 3:
        return 0.0
    variance = a["var"] / a["n"] + b["var"] / b["n"]
    if not variance > 0:
        return 0.0
    return float((b["skew3"] / b["n"] ** 2 - a["skew3"] / a["n"] ** 2) / variance**1.5)
