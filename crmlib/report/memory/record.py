"""How good has the workbook been on this very shop? What earlier runs predicted, against what came.

Each run keeps its predictions. When their time is over, the next run of the same report is handed them, grades them
once, and its manifest keeps the grades. A grade counts as long as the run that made the prediction stands.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from crmlib import formats
from crmlib.findings import Grade, Prediction
from crmlib.publishing import DUE_FILE, EARLIER_FILE, PUBLISHED_FILE
from crmlib.report.folder.manifest import Manifest, earlier_runs, place_of, write_json
from crmlib.wording import counted, sentences

PREDICTIONS = "lists/predictions.json"

Key = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class Graded:
    """A prediction with what came of it; `made` is the day it was made as of, `hindsight`: after its time was over."""

    told: Prediction
    actual: float
    made: date
    hindsight: bool

    @property
    def inside(self) -> bool | None:
        """Whether what came lies in the range; None without one."""
        if self.told.low is None or self.told.high is None:
            return None
        return self.told.low <= self.actual <= self.told.high


@dataclass(frozen=True, kw_only=True)
class Line:
    """One kind of prediction over all runs. `bias` is how far what came lay above (+) what was said, as text."""

    label: str
    due: int
    banded: int
    inside: int
    bias: str
    said: str
    came: str
    day: str


@dataclass(frozen=True, kw_only=True)
class Chance:
    """People (or things) given a chance in one band: the mean chance said, the share that came true, its interval."""

    label: str
    n: int
    said: float
    came: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Whether what was said lies within what the outcome allows."""
        return "agrees" if self.low <= self.said <= self.high else "too high" if self.said > self.high else "too low"


@dataclass(frozen=True, kw_only=True)
class Record:
    """A report's track record. `due` are the predictions whose time is over; of `banded`, those with a range, `inside`
    were in it, and of the groups of people given a chance `groups_inside` of `groups`.

    Windows overlap, so the interval (`low`, `high`) counts `windows` separate stretches of time, not predictions.
    """

    due: int
    banded: int
    inside: int
    groups: int
    groups_inside: int
    windows: int
    low: float | None
    high: float | None
    hindsight: int
    next_due: date | None
    lines: tuple[Line, ...]
    chances: tuple[Chance, ...]

    @property
    def sentence(self) -> str:
        """The record in a sentence, and whether chances came true as often as said."""
        if not self.due:
            when = f"; the first can be on {formats.day(self.next_due)}" if self.next_due else ""
            return f"No forecast can be checked yet{when}."
        if not self.banded:
            return sentences(f"{counted(self.due, 'forecast')} could be checked.", self.calibration)
        share, span = formats.share(self.inside / self.banded), formats.interval(self.low, self.high, "share")
        checked = f"{self.inside} of {counted(self.banded, 'forecast')} that could be checked"
        told = f"{checked} had the actual number in their range: {share} ({span}). It should be 95%."
        return sentences(told, self.calibration)

    @property
    def calibration(self) -> str:
        """Whether chances came true as often as said; empty where none can be told."""
        if not self.chances:
            return ""
        told = [chance.verdict for chance in self.chances]
        wrong = [f"{n} {word}" for word in ("too high", "too low") if (n := told.count(word))]
        rest = f"; {' and '.join(wrong)}" if wrong else ""
        groups = counted(self.groups, "group")
        held = f" {self.groups_inside} of {groups} were inside the range given for them." if self.groups else ""
        return (
            f"Chances agreed with what happened in {told.count('agrees')} of {counted(len(told), 'band')}{rest}.{held}"
        )

    @property
    def caution(self) -> str:
        """What the sentence must not be taken for."""
        parts = []
        if self.banded:
            stretch = "one stretch" if self.windows == 1 else f"{self.windows} separate stretches"
            parts.append(f"Forecasts overlap in time; the range in brackets counts {stretch} of it, not forecasts.")
        if self.hindsight:
            all_of = "All" if self.hindsight == self.due else f"{self.hindsight} of {self.due}"
            parts.append(
                f"{all_of} were made afterwards, from what was known on their day: the data could not look ahead, "
                "whoever wrote the method could."
            )
        return " ".join(parts)


def lay_due(reports: Path, slug: str, *, as_of: date, out: Path) -> int:
    """Put what earlier runs predicted and can be graded now where the notebook looks for it; how many there are."""
    found = due(reports, slug, as_of=as_of)
    if found:
        write_json(out / DUE_FILE, found)
    return len(found)


def lay_earlier(reports: Path, slug: str, *, as_of: date, values: Mapping[str, Any], out: Path) -> None:
    """Put where the earlier runs with the same parameters are where the notebook looks for it."""
    runs = [run for run in earlier_runs(reports, slug, as_of) if run.parameters == dict(values)]
    told = [{"as_of": str(run.as_of), "folder": str(place_of(reports, run).resolve())} for run in runs]
    if told:
        write_json(out / EARLIER_FILE, told)


def clear_due(out: Path) -> None:
    """Take it away again: it names folders of this machine, and the grades are in the manifest."""
    for name in (DUE_FILE, EARLIER_FILE, PUBLISHED_FILE):
        (out / name).unlink(missing_ok=True)


def due(reports: Path, slug: str, *, as_of: date) -> list[dict[str, Any]]:
    """Predictions of earlier good runs whose time is over by `as_of` and that no earlier run has graded, oldest first.

    The format is what `crmlib.publishing.due` reads.
    """
    earlier = sorted(earlier_runs(reports, slug, as_of), key=lambda run: run.as_of)
    marked = {_key(grade) for run in earlier for grade in run.grades}
    found = []
    for run in earlier:
        folder = place_of(reports, run)
        lists = str((folder / "lists").resolve()) if (folder / "lists").is_dir() else None
        for told in _kept(folder):
            if date.fromisoformat(told["end"]) <= as_of and (run.run_id, told["id"], told["band"]) not in marked:
                found.append({"prediction": told, "as_of": str(run.as_of), "run_id": run.run_id, "lists": lists})
    return found


def _kept(folder: Path) -> list[dict[str, Any]]:
    """What a run predicted; nothing where its file is gone or damaged, which `crm verify` tells."""
    try:
        return list(json.loads((folder / PREDICTIONS).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return []


def _key(grade: Grade) -> Key:
    return grade.due.run_id, grade.due.prediction.id, grade.due.prediction.band


def graded(runs: Iterable[Manifest]) -> tuple[Graded, ...]:
    """All grades of one report's standing runs, each prediction once, by the run that came first."""
    standing = {run.run_id: run for run in runs}
    seen: dict[Key, Graded] = {}
    for run in sorted(standing.values(), key=lambda run: run.as_of):
        for grade in run.grades:
            maker = standing.get(grade.due.run_id)
            if maker is not None and math.isfinite(grade.actual) and _key(grade) not in seen:
                told = grade.due.prediction
                late = maker.started_at[:10] > told.end.isoformat()
                seen[_key(grade)] = Graded(told=told, actual=grade.actual, made=grade.due.as_of, hindsight=late)
    return tuple(seen.values())


def record(runs: Sequence[Manifest]) -> Record | None:
    """The track record over the standing runs of one report; None when none of them predicted anything."""
    good = [run for run in runs if run.good]
    promises = [day for run in good for day in run.predicts]
    if not promises:
        return None
    grades = graded(good)
    judged = [grade for grade in grades if grade.inside is not None]
    banded = [grade for grade in judged if not grade.told.band]
    # Groups of one forecast are many and move together: they are counted apart, or they would drown the totals.
    groups = [grade for grade in judged if grade.told.band]
    inside, windows = sum(bool(grade.inside) for grade in banded), separate(banded)
    low, high = _interval(inside / len(banded), windows) if banded else (None, None)
    newest = max(run.as_of for run in good)
    return Record(
        due=len(grades),
        banded=len(banded),
        inside=inside,
        groups=len(groups),
        groups_inside=sum(bool(grade.inside) for grade in groups),
        windows=windows,
        low=low,
        high=high,
        hindsight=sum(grade.hindsight for grade in grades),
        next_due=min((day for day in promises if day > newest), default=None),
        lines=tuple(_lines(grades)),
        chances=tuple(_chances(grades)),
    )


def separate(grades: Sequence[Graded]) -> int:
    """How many of the predictions' windows fit side by side without overlapping: the most there can be."""
    count, reached = 0, date.min
    for told in sorted((grade.told for grade in grades), key=lambda told: (told.end, told.start)):
        if told.start >= reached:
            count, reached = count + 1, told.end
    return count


def _interval(share: float, n: float) -> tuple[float, float]:
    """A share's interval from `n` independent trials, which need not be whole."""
    # Loaded here: a run that is up to date does without numpy.
    from crmlib.stats import share_interval

    low, high = share_interval(share * n, n)
    return float(low), float(high)


def _lines(grades: Sequence[Graded]) -> Iterator[Line]:
    for same in _groups(grades, lambda told: (told.id,) if not told.band else None):
        last = max(same, key=lambda grade: (grade.told.end, grade.made))
        judged = [grade.inside for grade in same if grade.inside is not None]
        told, span = last.told, formats.interval(last.told.low, last.told.high, last.told.unit)
        said = formats.quantity(told.value, told.unit, low=told.low, high=told.high)
        yield Line(
            label=told.label,
            due=len(same),
            banded=len(judged),
            inside=sum(map(bool, judged)),
            bias=_bias(same),
            said=f"{said} ({span})" if span else said,
            came=formats.quantity(last.actual, told.unit),
            day=formats.day(told.end),
        )


def _bias(grades: Sequence[Graded]) -> str:
    """How far what came lay above or below what was said, over all: relative, or in points for shares."""
    said, came, unit = sum(g.told.value for g in grades), sum(g.actual for g in grades), grades[0].told.unit
    if unit in ("share", "index") or said <= 0:
        error = (came - said) / len(grades)
        text = formats.movement(error, unit, before=0)
    else:
        error = came / said - 1
        text = formats.share(abs(error), digits=0 if abs(error) >= 0.02 else 1)
    if not any(digit in text for digit in "123456789"):
        return "on the mark"
    return f"{text} {'above' if error > 0 else 'below'} forecast"


def _chances(grades: Sequence[Graded]) -> Iterator[Chance]:
    for same in _groups(grades, lambda told: (told.id, told.band) if told.band and told.n else None):
        told, n = same[0].told, sum(grade.told.n or 0 for grade in same)
        came = sum(grade.actual * (grade.told.n or 0) for grade in same) / n
        # The same people stand in overlapping windows: only separate ones count as new evidence.
        low, high = _interval(came, n * separate(same) / len(same))
        label = told.label if told.band in told.label else f"{told.label}, {told.band}"
        said = sum(grade.told.value * (grade.told.n or 0) for grade in same) / n
        yield Chance(label=label, n=n, said=said, came=came, low=low, high=high)


def _groups(
    grades: Iterable[Graded], key: Callable[[Prediction], tuple[str, ...] | None]
) -> Iterator[Sequence[Graded]]:
    found: dict[tuple[str, ...], list[Graded]] = {}
    for grade in grades:
        if (name := key(grade.told)) is not None:
            found.setdefault(name, []).append(grade)
    yield from found.values()
