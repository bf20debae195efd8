"""Did as many units reach each arm as planned, in all, at any day, and day by day?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from crmlib import formats
from crmlib.analysis.experiments.measures import p_text, title, words
from crmlib.analysis.experiments.sequential import split_p
from crmlib.errors import UsageError, nearest
from crmlib.stats import adjust, share_interval

BLOCKED, WARNED = 0.001, 0.01  # p below which a broken split voids a test, or is only warned of
Row = tuple[str, str, float, float, str, str]  # experiment, check, value, p_value, verdict, text


@dataclass(frozen=True, kw_only=True)
class Ratio:
    experiment: str
    variant: str
    control: str
    units: int
    units_control: int
    planned: float
    ratio: float
    low: float
    high: float


def plans(variants: Mapping[str, list[str]], split: str) -> dict[str, dict[str, float]]:
    """Planned sizes by experiment and arm, as 'control=9, treatment=1' says; equal where it does not name an experiment's arms."""
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


def ratios_of(
    experiment: str, counts: Mapping[str, int], *, control: str, plan: Mapping[str, float], confidence: float
) -> list[Ratio]:
    found = []
    base = counts.get(control, 0)
    for arm, units in counts.items():
        if arm == control or not base:
            continue
        planned = plan[arm] / plan[control]
        low, high = (float(end) for end in share_interval(units, units + base, confidence=confidence))
        found.append(
            Ratio(
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


def sample_ratio(
    experiment: str, counts: Mapping[str, int], *, plan: Mapping[str, float], ratios: list[Ratio], unit: str = "units"
) -> Row:
    if not ratios:
        text = f"{title(experiment)}: only one arm holds {unit}, so nothing can be compared."
        return experiment, "sample_ratio", math.nan, math.nan, "warning", text
    expected = np.array([plan[arm] for arm in counts]) / sum(plan.values()) * sum(counts.values())
    p = float(stats.chisquare(list(counts.values()), expected).pvalue)
    worst = max(ratios, key=lambda found: abs(math.log(found.ratio)))
    others = (arm for arm in counts if arm != worst.control)
    sizes = " v ".join(f"{counts[arm]:,} {words(arm)}" for arm in (worst.control, *others))
    percent = f"{100 * worst.ratio:.1f}\N{NO-BREAK SPACE}% ({100 * worst.low:.1f}–{100 * worst.high:.1f})"
    span = f"{words(worst.variant)} got {percent} of the {unit} planned beside {words(worst.control)}"
    verdict = "failed" if p < BLOCKED else "warning" if p < WARNED else "ok"
    word = {"failed": "the split broke", "warning": "the split is doubtful", "ok": "no mismatch found"}[verdict]
    text = f"{title(experiment)}: {word} ({sizes}; {span}; {p_text(p)})."
    if verdict == "failed":
        text += f" Chance alone does not do that: {unit} are missing, or counted twice, so what this test seems to show counts for nothing."
    if min(expected) < 5:
        text += f" So few {unit} would hide a broken split."
    elif verdict == "ok":
        unseen = loss_found(worst.units, worst.units_control)
        text += f" A loss of up to {formats.share(unseen, digits=1)} of one arm could go unseen."
    return experiment, "sample_ratio", worst.ratio, p, verdict, text


def loss_found(units: int, units_control: int) -> float:
    """The share of one arm whose loss would be warned of four times in five; a smaller one is missed more often."""
    error = math.sqrt(1 / units + 1 / units_control)
    return -math.expm1(-float(stats.norm.ppf(1 - WARNED / 2) + stats.norm.ppf(0.8)) * error)


def over_days(experiment: str, days: pd.DataFrame, *, plan: Mapping[str, float]) -> list[Row]:
    """The split at every look, each day's own split, and whether whole weeks ran.

    The first is always valid and voids a test like the total does; each day's own split only helps to find a cause, and
    is corrected for the number of days (Holm): of 42 sound days one in three tests has one below p = .01.
    """
    wide = days.pivot_table(index="day", columns="variant", values="units", aggfunc="sum", fill_value=0)
    arms = [arm for arm in plan if arm in wide.columns]
    if len(arms) < 2 or len(arms) < len(plan):
        return []
    counts = wide[arms].sort_index().to_numpy(dtype=float)
    shares = np.array([plan[arm] for arm in arms]) / sum(plan[arm] for arm in arms)
    p = split_p(counts.cumsum(axis=0), shares.tolist())
    fell = np.flatnonzero(p < BLOCKED)
    verdict = "failed" if p[-1] < BLOCKED else "warning" if p[-1] < WARNED else "ok"
    text = {"failed": "the split broke, and looking every day would have shown it on {}".format(formats.day(wide.index[fell[0]]) if len(fell) else ""),
            "warning": "the split is doubtful at some look", "ok": "no mismatch found at any day's look"}[verdict]  # fmt: skip
    found: list[Row] = [(experiment, "sample_ratio_any_day", float(p[-1]), float(p[-1]), verdict,
                         f"{title(experiment)}: {text} (always-valid test, {p_text(float(p[-1]))}).")]  # fmt: skip
    found += _day_by_day(experiment, wide.index.tolist(), counts, shares)
    span = (max(wide.index) - min(wide.index)).days + 1
    whole = span % 7 == 0
    length = "a single day" if span == 1 else f"{span} days"
    text = f"{length}, whole weeks" if whole else f"{length}, not whole weeks: some weekdays count more than others"
    found.append((experiment, "whole_weeks", float(span), math.nan, "ok" if whole else "warning", f"{title(experiment)} was assigned over {text}."))  # fmt: skip
    return found


def _day_by_day(experiment: str, days: list[object], counts: np.ndarray, shares: np.ndarray) -> list[Row]:
    enough = counts.sum(axis=1) * shares.min() >= 5
    if enough.sum() < 2:
        return []
    tested = counts[enough]
    expected = tested.sum(axis=1, keepdims=True) * shares
    p = np.atleast_1d(stats.chi2.sf(((tested - expected) ** 2 / expected).sum(axis=1), len(shares) - 1))
    raised = adjust(p, method="holm")
    worst = int(np.argmin(p))
    day = [day for day, kept in zip(days, enough, strict=True) if kept][worst]
    verdict = "warning" if raised[worst] < WARNED else "ok"
    said = f"{formats.day(day)} stands out ({p_text(float(raised[worst]))}, corrected for {len(p)} days)"  # type: ignore[arg-type]
    text = said if verdict == "warning" else f"no single day of {len(p)} stands out"
    return [
        (
            experiment,
            "sample_ratio_by_day",
            float(p[worst]),
            float(raised[worst]),
            verdict,
            f"{title(experiment)}: {text}.",
        )
    ]


def split_of_groups(
    experiment: str, groups: Mapping[str, Mapping[str, int]], *, plan: Mapping[str, float]
) -> list[Row]:
    """Each segment's own split, corrected for their number (Holm): a diagnostic that never voids a test."""
    kept = {}
    for name, counts in groups.items():
        seen = np.array([counts.get(arm, 0) for arm in plan], dtype=float)
        shares = np.array(list(plan.values())) / sum(plan.values())
        if len(plan) > 1 and seen.sum() * shares.min() >= 5:
            kept[name] = float(stats.chisquare(seen, seen.sum() * shares).pvalue)
    if not kept:
        return []
    raised = dict(zip(kept, adjust(list(kept.values()), method="holm").tolist(), strict=True))
    worst = min(kept, key=lambda name: kept[name])
    bad = raised[worst] < WARNED
    text = (
        f"the split looks wrong in {words(worst)} ({p_text(raised[worst])}, corrected)"
        if bad
        else f"no mismatch found in any of {len(kept)} segments"
    )
    return [
        (
            experiment,
            "sample_ratio_by_segment",
            kept[worst],
            raised[worst],
            "warning" if bad else "ok",
            f"{title(experiment)}: {text}.",
        )
    ]
