"""May the split be believed? Asked before any effect is looked at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from scipy import stats

from crmlib import formats
from crmlib.analysis.experiments.reduction import Facts
from crmlib.analysis.stats import adjust, share_interval
from crmlib.errors import UsageError, nearest

BLOCKED, WARNED = 0.001, 0.01  # p below which a broken split voids a test, or is only warned of
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
    blocked   (experiment, metric) pairs that may not be read; metric '' is the whole experiment
    """

    table: pd.DataFrame
    ratios: pd.DataFrame
    controls: Mapping[str, str]
    blocked: frozenset[tuple[str, str]]

    def is_blocked(self, experiment: str, metric: str) -> bool:
        return (experiment, "") in self.blocked or (experiment, metric) in self.blocked


@dataclass(frozen=True, kw_only=True)
class _Ratio:
    experiment: str
    variant: str
    control: str
    units: int
    units_control: int
    planned: float
    ratio: float
    low: float
    high: float


def validate(facts: Facts, *, control: str = "", split: str = "", confidence: float = 0.95) -> Checks:
    """Did as many units reach each arm as planned, and are the arms otherwise what they should be?

    Sample ratio mismatch by chi-square on the totals of the whole test: blocking below p = .001, warned of below .01
    (Fabijan et al. 2019). Values missing more in one arm block their metric in the same way, under Holm over metrics.
    `split` is what was planned, such as 'control=9, treatment=1'; empty is equal arms. Raises UsageError for a control
    or a split that names no arm.
    """
    variants = _variants(facts)
    controls = {name: _control(name, arms, control) for name, arms in variants.items()}
    plans = _plans(variants, split)
    rows: list[tuple[object, ...]] = []
    ratios: list[_Ratio] = []
    blocked: set[tuple[str, str]] = set()
    for name, arms in variants.items():
        units = facts.arms[facts.arms["experiment"] == name].set_index("variant")["units"]
        counts = {arm: int(units.get(arm, 0)) for arm in arms}
        mine = _ratios(name, counts, control=controls[name], plan=plans[name], confidence=confidence)
        ratios += mine
        found = [_sample_ratio(name, counts, plan=plans[name], ratios=mine)]
        found += _apart(facts, name, sum(counts.values()))
        metrics = facts.moments[facts.moments["experiment"] == name]
        found += _missing(name, metrics) + _others(name, metrics, controls[name])
        for row in found:
            if row[4] == "failed":
                blocked.add((name, str(row[1]).partition(":")[2].strip()))
        rows += found
    return Checks(
        table=pd.DataFrame(rows, columns=_COLUMNS),
        ratios=pd.DataFrame(ratios, columns=[field.name for field in fields(_Ratio)]),
        controls=controls,
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


def _plans(variants: Mapping[str, list[str]], split: str) -> dict[str, dict[str, float]]:
    """Planned sizes by experiment and arm; equal where `split` does not name an experiment's arms."""
    equal = {name: dict.fromkeys(arms, 1.0) for name, arms in variants.items()}
    if not split.strip():
        return equal
    planned: dict[str, float] = {}
    for part in split.split(","):
        arm, _, size = part.rpartition("=")
        try:
            planned[arm.strip()] = float(size)
        except ValueError:
            planned[arm.strip()] = math.nan
        if not arm.strip() or not 0 < planned[arm.strip()] < math.inf:
            raise UsageError(f"split is written as control=9, treatment=1, with sizes above 0; '{part.strip()}' is not")
    fitting = [name for name, arms in variants.items() if set(arms) == set(planned)]
    if not fitting:
        known = {arm for arms in variants.values() for arm in arms}
        stray = next((arm for arm in planned if arm not in known), next(iter(planned)))
        raise UsageError(
            f"split names {', '.join(planned)}, which are the arms of no experiment here; {nearest(stray, known)}"
        )
    return equal | dict.fromkeys(fitting, planned)


def _ratios(
    experiment: str, counts: Mapping[str, int], *, control: str, plan: Mapping[str, float], confidence: float
) -> list[_Ratio]:
    found = []
    base = counts.get(control, 0)
    for arm, units in counts.items():
        if arm == control or not base:
            continue
        planned = plan[arm] / plan[control]
        low, high = (float(end) for end in share_interval(units, units + base, confidence=confidence))
        found.append(
            _Ratio(
                experiment=experiment,
                variant=arm,
                control=control,
                units=units,
                units_control=base,
                planned=planned,
                ratio=units / base / planned,
                low=low / (1 - low) / planned,
                high=high / (1 - high) / planned,
            )
        )
    return found


def _sample_ratio(
    experiment: str, counts: Mapping[str, int], *, plan: Mapping[str, float], ratios: list[_Ratio]
) -> tuple[object, ...]:
    if not ratios:
        text = f"{_title(experiment)}: only one arm holds units, so nothing can be compared."
        return experiment, "sample_ratio", math.nan, math.nan, "warning", text
    expected = np.array([plan[arm] for arm in counts]) / sum(plan.values()) * sum(counts.values())
    p = float(stats.chisquare(list(counts.values()), expected).pvalue)
    worst = max(ratios, key=lambda found: abs(math.log(found.ratio)))
    others = (arm for arm in counts if arm != worst.control)
    sizes = " v ".join(f"{counts[arm]:,} {arm}" for arm in (worst.control, *others))
    span = f"{worst.variant} got {worst.ratio:.3f} ({worst.low:.3f}–{worst.high:.3f}) of its planned units per control unit"
    verdict = "failed" if p < BLOCKED else "warning" if p < WARNED else "ok"
    word = {"failed": "the split broke", "warning": "the split is doubtful", "ok": "no mismatch found"}[verdict]
    text = f"{_title(experiment)}: {word} ({sizes}; {span}; {p_text(p)})."
    if min(expected) < 5:
        text += " So few units would hide a broken split."
    return experiment, "sample_ratio", worst.ratio, p, verdict, text


def _apart(facts: Facts, experiment: str, units: int) -> list[tuple[object, ...]]:
    row = facts.apart[facts.apart["experiment"] == experiment].iloc[0]
    two, repeats, stray = int(row["two_arms"]), int(row["repeats"]), int(row["unassigned_units"])
    many = two > 0.01 * (units + two)
    texts = {
        "two_arms": (two, "units seen in more than one arm, set aside", many),
        "repeated_assignments": (repeats, "assignments that repeat an earlier one, counted once", False),
        "unassigned_units": (stray, "units with outcomes that were never assigned, set aside", stray > 0.01 * units),
    }
    return [
        (
            experiment,
            name,
            float(value),
            math.nan,
            "warning" if warn else "ok",
            f"{_title(experiment)}: {value or 'no'} {text}.",
        )
        for name, (value, text, warn) in texts.items()
    ]


def _missing(experiment: str, metrics: pd.DataFrame) -> list[tuple[object, ...]]:
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
    found: list[tuple[object, ...]] = []
    for (metric, missing_units, units), p in zip(rows, p_values, strict=True):
        adjusted = p if math.isnan(p) else float(next(raised))
        verdict = "failed" if adjusted < BLOCKED else "warning" if adjusted < WARNED else "ok"
        text = f"{_title(experiment)}: {missing_units:,} of {units:,} units have no {words(metric)}"
        if not missing_units:
            text = f"{_title(experiment)}: every unit whose window closed has {words(metric)}"
        text += {"failed": f", and not equally by arm ({p_text(adjusted)}): the arms cannot be compared on it.",
                 "warning": f", perhaps not equally by arm ({p_text(adjusted)}).", "ok": "."}[verdict]  # fmt: skip
        found.append((experiment, f"missing: {metric}", float(missing_units), adjusted, verdict, text))
    return found


def _others(experiment: str, metrics: pd.DataFrame, control: str) -> list[tuple[object, ...]]:
    """Diagnostics that never block: contradictory and early values, unequal windows, arms unlike before, heavy tails."""
    found: list[tuple[object, ...]] = []
    before: list[tuple[str, str, float, float]] = []
    for metric, arms in metrics.groupby("metric", sort=True):
        where, name = f"{_title(experiment)}: ", str(metric)
        for code, meaning in (
            ("contradictory", "have several values that differ"),
            ("early", "were measured before they were assigned"),
        ):
            if count := int(arms[code].sum()):
                text = f"{where}{count:,} units {meaning} for {words(name)}; they are left out."
                found.append((experiment, f"{code}: {name}", float(count), math.nan, "warning", text))
        spread = float(arms["window_high"].max() - arms["window_low"].min())
        if spread > 1:
            low, high = (
                formats.number(value, digits=1) for value in (arms["window_low"].min(), arms["window_high"].max())
            )
            text = f"{where}{words(name)} was measured over {low} to {high} days, not the same window for each unit."
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
                text = (f"{where}{words(name)} has a heavy tail (largest single value {formats.number(top, digits=2)}), so its interval "
                        "is rough.")  # fmt: skip
                found.append((experiment, f"heavy_tail: {name}", float(f"{skew:.4g}"), math.nan, "warning", text))
    for (name, arm, difference, _), p in zip(before, adjust([row[3] for row in before], method="holm"), strict=True):
        verdict = "warning" if p < WARNED else "ok"
        text = f"{_title(experiment)}: before the test, {arm} and {control} " + (
            f"already differed in {words(name)} ({p_text(p)})."
            if p < WARNED
            else f"did not clearly differ in {words(name)}."
        )
        found.append((experiment, f"alike_before: {name}", difference, float(p), verdict, text))
    return found


def _skew_of_difference(a: pd.Series, b: pd.Series) -> float:
    """Skewness of the difference of two means: (κ3b / nb² − κ3a / na²) / SE³."""
    if min(a["n"], b["n"]) < 3:
        return 0.0
    variance = a["var"] / a["n"] + b["var"] / b["n"]
    if not variance > 0:
        return 0.0
    return float((b["skew3"] / b["n"] ** 2 - a["skew3"] / a["n"] ** 2) / variance**1.5)


def words(name: str) -> str:
    """A shop's own name for something, to be read in a sentence."""
    return name.replace("_", " ").strip()


def _title(name: str) -> str:
    return words(name)[:1].upper() + words(name)[1:]


def p_text(p: float) -> str:
    """A p-value as it is written in a sentence.

    >>> p_text(0.0086), p_text(0.00000012)
    ('p = .0086', 'p < .0001')
    """
    if math.isnan(p):
        return "no test"
    if p < 0.0001:
        return "p < .0001"
    digits = 2 if p >= 0.1 else 3 if p >= 0.01 else 4
    text = f"{p:.{digits}f}"
    return f"p = {text[1:] if text.startswith('0') else text}"
