"""How good has the workbook been on this very shop? What earlier runs predicted, against what came.

Each run keeps its predictions. When their time is over, the next run of the same report is handed them, grades them once,
and its manifest keeps the grades. A grade counts as long as the run that made the prediction stands.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from crmlib import formats
from crmlib.report.statuses import GOOD

PREDICTIONS = "lists/predictions.json"
_Z = 1.959964  # the normal's 97.5 % point


@dataclass(frozen=True, kw_only=True)
class Graded:
    """A prediction with what came of it. `made` and `marked` are as-of days; `hindsight`: made after its time was over."""

    id: str
    label: str
    unit: str
    value: float
    low: float | None
    high: float | None
    n: int | None
    band: str
    start: date
    end: date
    made: date
    marked: date
    actual: float
    hindsight: bool

    @property
    def inside(self) -> bool | None:
        """Whether what came lies in the band; None without one."""
        if self.low is None or self.high is None:
            return None
        return self.low <= self.actual <= self.high


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
    """People (or things) given a chance in one band: the mean chance said, the share that came true with its interval."""

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
    """A report's track record. `due` are the predictions that came due; `inside` of `banded` lay in their 95 % band, and
    of the groups of people given a chance `groups_inside` of `groups` did.

    Windows overlap, so the interval (`low`, `high`) counts `windows` separate stretches of time, not predictions.
    """

    made: int
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
        """The record in one or two sentences."""
        if not self.due:
            when = f"; the first will on {formats.day(self.next_due)}" if self.next_due else ""
            return f"No prediction has come due yet{when}."
        if not self.banded:
            return f"{_count(self.due, 'prediction')} came due."
        share = formats.share(self.inside / self.banded)
        span = formats.interval(self.low, self.high, "share")
        return (
            f"{self.inside} of {_count(self.banded, 'prediction')} that came due lay inside their 95\N{NO-BREAK SPACE}% band: "
            f"{share} ({span}), where 95\N{NO-BREAK SPACE}% is promised."
        )

    @property
    def calibration(self) -> str:
        """Whether chances came true as often as said; empty where none came due."""
        if not self.chances:
            return ""
        agree = sum(chance.verdict == "agrees" for chance in self.chances)
        high = sum(chance.verdict == "too high" for chance in self.chances)
        wrong = [f"{high} too high" if high else "", f"{len(self.chances) - agree - high} too low"]
        rest = " and ".join(part for part in wrong if part and not part.startswith("0 "))
        held = (
            f" {self.groups_inside} of {_count(self.groups, 'group')} lay inside the band given for it."
            if self.groups
            else ""
        )
        return f"Chances agreed with what came in {agree} of {_count(len(self.chances), 'band')}{f'; {rest}' if rest else ''}.{held}"

    @property
    def caution(self) -> str:
        """What the sentence must not be taken for."""
        parts = []
        if self.banded:
            stretch = "one stretch" if self.windows == 1 else f"{self.windows} separate stretches"
            parts.append(f"Predictions overlap in time; the interval counts {stretch} of it, not predictions.")
        if self.hindsight:
            all_of = "All" if self.hindsight == self.due else f"{self.hindsight} of {self.due}"
            parts.append(
                f"{all_of} were made afterwards, from what was known on their day: the data could not look ahead, "
                "whoever wrote the method could."
            )
        return " ".join(parts)


def _count(n: int, what: str) -> str:
    return f"{formats.number(n)} {what}{'' if n == 1 else 's'}"


def due(folders: Iterable[tuple[Path, Mapping[str, Any]]], *, as_of: date) -> list[dict[str, Any]]:
    """Predictions of earlier good runs whose time is over by `as_of` and that no earlier run has graded, oldest first.

    `folders` are the good runs of one report and variant before `as_of`, with their manifests. The format is what
    `crmlib.findings.due` reads.
    """
    earlier = sorted(folders, key=lambda pair: str(pair[1]["as_of"]))
    marked = {_key(grade) for _, said in earlier for grade in said.get("grades", ())}
    found = []
    for folder, said in earlier:
        lists = folder / "lists"
        for prediction in _kept(folder):
            entry = {"prediction": prediction, "as_of": said["as_of"], "run_id": said["run_id"]}
            if date.fromisoformat(prediction["end"]) <= as_of and _key(entry) not in marked:
                found.append(entry | {"lists": str(lists.resolve()) if lists.is_dir() else None})
    return found


def _kept(folder: Path) -> list[dict[str, Any]]:
    """What a run predicted; nothing where its file is gone or damaged, which `crm verify` tells."""
    try:
        return list(json.loads((folder / PREDICTIONS).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return []


def _key(grade: Mapping[str, Any]) -> tuple[str, str, str]:
    return (grade["run_id"], grade["prediction"]["id"], grade["prediction"]["band"])


def graded(manifests: Iterable[Mapping[str, Any]]) -> tuple[Graded, ...]:
    """All grades in the manifests of one report's standing runs, each prediction once, by the run that came first."""
    standing = {said["run_id"]: said for said in manifests}
    seen: dict[tuple[str, str, str], Graded] = {}
    for said in sorted(standing.values(), key=lambda said: str(said["as_of"])):
        for grade in said.get("grades", ()):
            maker = standing.get(grade["run_id"])
            if maker is None or grade["actual"] is None or _key(grade) in seen:
                continue
            told = grade["prediction"]
            seen[_key(grade)] = Graded(
                **{name: told[name] for name in ("id", "label", "unit", "value", "low", "high", "n", "band")},
                start=date.fromisoformat(told["start"]),
                end=date.fromisoformat(told["end"]),
                made=date.fromisoformat(grade["as_of"]),
                marked=date.fromisoformat(said["as_of"]),
                actual=grade["actual"],
                hindsight=str(maker["started_at"])[:10] > told["end"],
            )
    return tuple(seen.values())


def record(runs: Sequence[Mapping[str, Any]]) -> Record | None:
    """The track record over the standing runs of one report; None when none of them predicted anything."""
    manifests = [said for said in runs if said["status"] in GOOD]
    promises = [day for said in manifests for day in said.get("predicts", ())]
    if not promises:
        return None
    grades = graded(manifests)
    judged = [grade for grade in grades if grade.inside is not None]
    banded = [grade for grade in judged if not grade.band]
    # Groups of one forecast are many and move together: they are counted apart, or they would drown the totals.
    groups = [grade for grade in judged if grade.band]
    inside, windows = sum(bool(grade.inside) for grade in banded), separate(banded)
    low, high = wilson(inside / len(banded), windows) if banded else (None, None)
    newest = max(str(said["as_of"]) for said in manifests)
    ahead = [day for day in promises if day > newest]
    return Record(
        made=len(promises),
        due=len(grades),
        banded=len(banded),
        inside=inside,
        groups=len(groups),
        groups_inside=sum(bool(grade.inside) for grade in groups),
        windows=windows,
        low=low,
        high=high,
        hindsight=sum(grade.hindsight for grade in grades),
        next_due=date.fromisoformat(min(ahead)) if ahead else None,
        lines=tuple(_lines(grades)),
        chances=tuple(_chances(grades)),
    )


def separate(grades: Sequence[Graded]) -> int:
    """How many of the predictions' windows fit side by side without overlapping: the most there can be."""
    count, reached = 0, date.min
    for grade in sorted(grades, key=lambda grade: (grade.end, grade.start)):
        if grade.start >= reached:
            count, reached = count + 1, grade.end
    return count


def wilson(share: float, n: float) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share seen in `n` independent trials, which need not be whole."""
    middle = (share + _Z * _Z / (2 * n)) / (1 + _Z * _Z / n)
    half = _Z / (1 + _Z * _Z / n) * math.sqrt(share * (1 - share) / n + _Z * _Z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def _lines(grades: Sequence[Graded]) -> Iterator[Line]:
    for same in _groups(grades, lambda grade: grade.id if not grade.band else None):
        last = max(same, key=lambda grade: (grade.end, grade.made))
        judged = [grade.inside for grade in same if grade.inside is not None]
        said = formats.quantity(last.value, last.unit, low=last.low, high=last.high)
        span = formats.interval(last.low, last.high, last.unit)
        yield Line(
            label=last.label,
            due=len(same),
            banded=len(judged),
            inside=sum(map(bool, judged)),
            bias=_bias(same),
            said=f"{said} ({span})" if span else said,
            came=formats.quantity(last.actual, last.unit),
            day=formats.day(last.end),
        )


def _bias(grades: Sequence[Graded]) -> str:
    """How far what came lay above or below what was said, over all: relative, or in points for shares."""
    said, came = sum(grade.value for grade in grades), sum(grade.actual for grade in grades)
    if grades[0].unit in ("share", "index") or said <= 0:
        error = (came - said) / len(grades)
        text = formats.movement(error, grades[0].unit, before=0)
    else:
        error = came / said - 1
        text = formats.share(abs(error), digits=0 if abs(error) >= 0.02 else 1)
    if not any(digit in text for digit in "123456789"):
        return "on the mark"
    return f"{text} {'above' if error > 0 else 'below'} forecast"


def _chances(grades: Sequence[Graded]) -> Iterator[Chance]:
    counted = [grade for grade in grades if grade.band and grade.n]
    for same in _groups(counted, lambda grade: (grade.id, grade.band)):
        n = sum(grade.n or 0 for grade in same)
        came = sum(grade.actual * (grade.n or 0) for grade in same) / n
        # The same people stand in overlapping windows: only separate ones count as new evidence.
        low, high = wilson(came, n * separate(same) / len(same))
        said = sum(grade.value * (grade.n or 0) for grade in same) / n
        label = same[0].label if same[0].band in same[0].label else f"{same[0].label}, {same[0].band}"
        yield Chance(label=label, n=n, said=said, came=came, low=low, high=high)


def _groups(grades: Iterable[Graded], key: Any) -> Iterator[list[Graded]]:
    found: dict[Any, list[Graded]] = {}
    for grade in grades:
        if (name := key(grade)) is not None:
            found.setdefault(name, []).append(grade)
    yield from found.values()
