"""Did as many units reach each arm as planned, in all, at any day, and day by day?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from crmlib import figures, formats, wording
from crmlib.analysis.experiments.facts import Facts
from crmlib.analysis.experiments.given import GIVEN
from crmlib.analysis.experiments.measures import p_text, title, words
from crmlib.errors import UsageError, nearest
from crmlib.findings import Part
from crmlib.stats import adjust, share_interval
from crmlib.stats.sequential import split_p

BLOCKED, WARNED = 0.001, 0.01  # p below which a broken split makes a test unusable, or is only warned of
SPLIT = ("sample_ratio", "sample_ratio_any_day")  # the checks that may do so
RATIOS = ("experiment", "variant", "control", "units", "units_control", "planned", "ratio", "low", "high")


@dataclass(frozen=True)
class Row:
    """One check of one experiment. `metric` is what it is about; '' is the whole experiment."""

    experiment: str
    kind: str
    value: float
    said: str
    verdict: str = "ok"  # ok, warning, failed
    p_value: float = math.nan
    metric: str = ""


def tabled(rows: Sequence[Row]) -> pd.DataFrame:
    """Checks as a table, with `check` (its kind, and the metric it is about) and `text`."""
    frame = pd.DataFrame([vars(row) for row in rows], columns=[field.name for field in fields(Row)])
    return frame.assign(
        check=[f"{row.kind}: {row.metric}" if row.metric else row.kind for row in rows],
        text=[f"{title(row.experiment)}: {row.said}" for row in rows],
    )


def verdict_of(p: float, *, blocks: bool = True) -> str:
    """failed, where the check blocks, warning or ok."""
    return "failed" if p < BLOCKED and blocks else "warning" if p < WARNED else "ok"


@dataclass(frozen=True, kw_only=True)
class Checks:
    """The plan that was read, and what stands against each experiment.

    table     experiment, check, kind, metric, value, p_value, verdict (ok, warning, failed), text
    ratios    experiment, variant, control, units, units_control, planned, ratio (units for each one of the control's,
              over what was planned), low, high
    controls  experiment -> the arm all others are compared with
    plans     experiment -> the planned size of each arm
    blocked   (experiment, metric) pairs that may not be read; metric '' is the whole experiment
    """

    facts: Facts
    table: pd.DataFrame
    ratios: pd.DataFrame
    controls: Mapping[str, str]
    plans: Mapping[str, Mapping[str, float]]
    blocked: frozenset[tuple[str, str]]

    def is_blocked(self, experiment: str, metric: str) -> bool:
        """May this metric not be read?"""
        return (experiment, "") in self.blocked or (experiment, metric) in self.blocked

    @property
    def doubtful(self) -> frozenset[str]:
        """Experiments whose split is warned of."""
        rows = self.table[self.table["kind"].isin(SPLIT) & (self.table["verdict"] == "warning")]
        return frozenset(rows["experiment"]) & frozenset(self.ratios["experiment"])

    def __repr__(self) -> str:
        return f"Checks({len(self.table)} checks of {wording.counted(len(self.controls), 'experiment')})"


def plans(variants: Mapping[str, list[str]], split: str) -> dict[str, dict[str, float]]:
    """Planned sizes by experiment and arm, as 'control=9, treatment=1' says; equal for experiments of other arms."""
    equal = {name: dict.fromkeys(arms, 1.0) for name, arms in variants.items()}
    if not split.strip():
        return equal
    planned: dict[str, float] = {}
    for part in split.split(","):
        arm, _, size = part.rpartition("=")  # a key
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
        near = nearest(stray, known)
        raise UsageError(f"split names {', '.join(planned)}, which are the arms of no experiment here; {near}")
    return equal | dict.fromkeys(fitting, planned)


def ratios_of(
    experiment: str, counts: Mapping[str, int], *, control: str, plan: Mapping[str, float], confidence: float
) -> list[dict[str, Any]]:
    """Each arm's units beside the control's, as rows of `Checks.ratios`."""
    found, base = [], counts.get(control, 0)
    for arm, units in counts.items() if base else ():
        planned = plan[arm] / plan[control]
        ends = (float(end) for end in share_interval(units, units + base, confidence=confidence))
        ratios = units / base / planned, *(end / (1 - end) / planned for end in ends)
        values = (experiment, arm, control, units, base, planned, *ratios)
        found += [dict(zip(RATIOS, values, strict=True))] if arm != control else []
    return found


def sample_ratio(
    experiment: str, counts: Mapping[str, int], *, plan: Mapping[str, float], ratios: list[dict[str, Any]], unit: str
) -> Row:
    """Are the totals as planned? Chi-square."""
    if not ratios:
        said = f"only one version has {unit}, so nothing can be compared."
        return Row(experiment, "sample_ratio", math.nan, said, "warning")
    expected = np.array([plan[arm] for arm in counts]) / sum(plan.values()) * sum(counts.values())
    p = float(stats.chisquare(list(counts.values()), expected).pvalue)
    worst = max(ratios, key=lambda found: abs(math.log(found["ratio"])))
    verdict = verdict_of(p)
    both = worst["units"] + worst["units_control"]
    said = f"of {both:,} {unit} the new version got {worst['units']:,} and the old one {worst['units_control']:,}."
    if len(ratios) > 1:
        said = f"{wording.listed(f'{words(arm)} got {size:,}' for arm, size in counts.items())} {unit}."
    if verdict == "failed":
        planned = wording.listed(f"{size:g} for {words(arm)}" for arm, size in plan.items())
        said += " They should be equal." if len(set(plan.values())) == 1 else f" The plan was {planned}."
    elif verdict == "warning":
        said += f" Chance seldom makes such a gap ({p_text(p)})."
    if min(expected) < 5:
        said += f" So few {unit} would hide a broken split."
    elif verdict == "ok":
        unseen = formats.share(loss_found(worst["units"], worst["units_control"]), digits=1)
        said += f" That fits the plan, though a loss of {unseen} of one version could go unseen."
    return Row(experiment, "sample_ratio", worst["ratio"], said, verdict, p)


def loss_found(units: int, units_control: int) -> float:
    """The share of one arm whose loss would be warned of four times in five; a smaller one is missed more often."""
    error = math.sqrt(1 / units + 1 / units_control)
    return -math.expm1(-float(stats.norm.ppf(1 - WARNED / 2) + stats.norm.ppf(0.8)) * error)


def over_days(experiment: str, days: pd.DataFrame, *, plan: Mapping[str, float]) -> list[Row]:
    """The split at every look, each day's own split, and whether whole weeks ran.

    The first is always valid and blocks a test like the total does; each day's own split only helps to find a cause,
    and is corrected for the number of days (Holm): of 42 sound days one in three tests has one below p = .01.
    """
    wide = days.pivot_table(index="day", columns="variant", values="units", aggfunc="sum", fill_value=0)
    arms = [arm for arm in plan if arm in wide.columns]
    if len(arms) < 2 or len(arms) < len(plan):
        return []
    counts = wide[arms].sort_index().to_numpy(dtype=float)
    shares = np.array([plan[arm] for arm in arms]) / sum(plan[arm] for arm in arms)
    p = split_p(counts.cumsum(axis=0), shares.tolist())
    fell, last = np.flatnonzero(p < BLOCKED), float(p[-1])
    since = formats.day(wide.index[fell[0]]) if len(fell) else ""
    said = {
        "failed": f"the versions' numbers drifted apart; by {since} chance could no longer explain it",
        "warning": "on some day the versions' numbers were further apart than chance usually makes them",
        "ok": "on no day were the versions' running totals too far apart",
    }[verdict_of(last)]
    found = [Row(experiment, "sample_ratio_any_day", last, f"{said} ({p_text(last)}).", verdict_of(last), last)]
    found += _day_by_day(experiment, wide.index.tolist(), counts, shares)
    span = (max(wide.index) - min(wide.index)).days + 1
    said = f"ran for {wording.counted(span, 'day')}, "
    said += "so some weekdays count more than others." if span % 7 else "whole weeks."
    return [*found, Row(experiment, "whole_weeks", float(span), said, "warning" if span % 7 else "ok")]


def _day_by_day(
    experiment: str, days: list[date], counts: NDArray[np.float64], shares: NDArray[np.float64]
) -> list[Row]:
    enough = counts.sum(axis=1) * shares.min() >= 5
    if enough.sum() < 2:
        return []
    tested = counts[enough]
    expected = tested.sum(axis=1, keepdims=True) * shares
    p = np.atleast_1d(stats.chi2.sf(((tested - expected) ** 2 / expected).sum(axis=1), len(shares) - 1))
    worst = int(np.argmin(p))
    raised = float(adjust(p, method="holm")[worst])
    day = [day for day, kept in zip(days, enough, strict=True) if kept][worst]
    out = f"{formats.day(day)} stands out ({p_text(raised)}, corrected for {len(p)} days)."
    said = out if raised < WARNED else f"no single day of {len(p)} stands out."
    return [Row(experiment, "sample_ratio_by_day", float(p[worst]), said, verdict_of(raised, blocks=False), raised)]


def split_of_groups(
    experiment: str, groups: Mapping[str, Mapping[str, int]], *, plan: Mapping[str, float]
) -> list[Row]:
    """Each segment's own split, corrected for their number (Holm): a diagnostic that never blocks a test."""
    kept = {}
    for name, counts in groups.items():
        seen = np.array([counts.get(arm, 0) for arm in plan], dtype=float)
        shares = np.array(list(plan.values())) / sum(plan.values())
        if len(plan) > 1 and seen.sum() * shares.min() >= 5:
            kept[name] = float(stats.chisquare(seen, seen.sum() * shares).pvalue)
    if not kept:
        return []
    worst = min(kept, key=lambda name: kept[name])
    raised = float(min(adjust(list(kept.values()), method="holm")))
    out = f"the split looks wrong in {words(worst)} ({p_text(raised)}, corrected)."
    said = out if raised < WARNED else f"no mismatch found in any of {wording.counted(len(kept), 'segment')}."
    verdict = verdict_of(raised, blocks=False)
    return [Row(experiment, "sample_ratio_by_segment", kept[worst], said, verdict, raised)]


def part_split(checks: Checks) -> Part:
    """Did each version get the units it was meant to get? Open on the page only where one did not."""
    facts, ratios = checks.facts, checks.ratios
    broken = sorted(name for name, metric in checks.blocked if not metric)
    p_values = checks.table[checks.table["kind"] == "sample_ratio"].set_index("experiment")["p_value"]
    worst = ratios.assign(off=(ratios["ratio"] - 1).abs()).sort_values("off", ascending=False, kind="stable")
    test = [facts.name(one.experiment, one.variant) for one in worst.itertuples()]
    sizes = [f"{one.units:,} and {one.units_control:,}" for one in worst.itertuples()]
    ends = ["ratio", "low", "high"]
    shown = worst.assign(
        test=test,
        label=[f"{name}: {size}" for name, size in zip(test, sizes, strict=True)],
        p=[p_text(p_values[name]) for name in worst["experiment"]],
        colour=[figures.ORANGE if name in broken else figures.ACCENT for name in worst["experiment"]],
        **{name: 100 * worst[name] for name in ends},
    )
    labels = {"test": "Test", "variant": "New version", "units": "In it", "units_control": "In the old version"}
    labels |= {"ratio": "For 100 planned", "low": "From", "high": "To", "p": "Chi-square"}
    forms = dict.fromkeys(("units", "units_control"), formats.number) | dict.fromkeys(ends, _tenths)
    caption = f"{wording.upper(facts.unit)} in each version"
    table = figures.tabulate(shown, caption=caption, labels=labels, formats=forms, file="tables/checks.csv")
    names = wording.listed((words(name) for name in broken or sorted(checks.doubtful)), most=3, rest="test")
    said = "Those who stayed may differ from those who are missing, so no effect of it is shown."
    if broken:
        head = f"The {names} {wording.noun(len(broken), 'test')} can't be used"
    elif names:
        head, said = f"The split in {names} is doubtful: read it with care", "Chance seldom makes such a gap."
    elif len(ratios):
        head, said = "Every version got about as many as planned", "Small losses can go unseen in tests of this size."
    else:
        head, said = "No test has two versions yet", f"A test needs {facts.unit} in the old version and in a new one."
    caption = "In the new version for 100 in the old one, corrected for the plan. Orange: unusable."
    said_: dict[str, Any] = {"what": f"{facts.unit} for 100 planned", "form": _tenths, "reference": 100.0}
    chart = figures.dots(shown, label="label", value="ratio", colour="colour", table=table, caption=caption, **said_)
    return Part(title=head, sentence=said, chart=chart, detail=not (broken or names))


def _tenths(value: Any) -> str:
    return formats.number(value, digits=0 if value == round(value) else 1)


def part_days(checks: Checks) -> Part:
    """How many units reached each arm on each day, in the test whose split is least sound?"""
    facts = checks.facts
    ratio = checks.table[checks.table["kind"] == "sample_ratio"].sort_values(["p_value", "experiment"], kind="stable")
    experiment = str(ratio["experiment"].iloc[0])
    mine = facts.days[facts.days["experiment"] == experiment].assign(day=lambda frame: pd.to_datetime(frame["day"]))
    wide = mine.pivot_table(index="day", columns="variant", values="units", fill_value=0, aggfunc="sum")
    if wide.empty and facts.source == GIVEN:
        said = "So nobody can tell whether the versions' numbers drifted apart on the way."
        return Part(title="The results came as sums, without days", sentence=said, detail=True)
    if wide.empty:
        return Part(title=f"All {facts.unit} saw several versions", sentence="Nothing can be compared.", detail=True)
    wide = wide.reindex(pd.date_range(wide.index[0], wide.index[-1]), fill_value=0).rename_axis("day")
    listed = wide.reset_index().assign(day=lambda frame: frame["day"].dt.strftime("%Y-%m-%d"))
    labels = {"day": "Day"} | {arm: words(arm) for arm in wide.columns}
    caption = f"{wording.upper(facts.unit)} assigned a day, {words(experiment)}"
    forms = dict.fromkeys(wide.columns, formats.number)
    table = figures.tabulate(listed, caption=caption, labels=labels, formats=forms)
    long = wide.rename(columns=words).melt(ignore_index=False, value_name="units").reset_index()
    what = f"{facts.unit} assigned a day"
    chart = figures.line(long, x="day", y="units", group="variant", what=what, form=formats.number, table=table)
    each = wording.listed((f"{formats.number(wide[arm].mean())} to {words(arm)}" for arm in wide.columns), most=4)
    return Part(
        title=f"{title(experiment)}: on an average day {each}",
        sentence=f"The test with the least even split; {words(checks.controls[experiment])} is the old version.",
        chart=chart if len(wide) > 2 else figures.Chart(table=table),
        detail=True,
    )
