"""What changed since the last comparable run, and why: one rule for the page and for `crm diff`.

A run's folder is its memory: manifest.json says what it was made from, metrics.json what it found, tables/ and lists/
the rows. A number counts as changed only beyond the uncertainty of both runs; complete counts are compared exactly, and
a running total, which can only grow, is never called a change.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from crmlib import formats, wording
from crmlib.findings import Grade, Metric, from_json
from crmlib.report.folder.manifest import Manifest, earlier_runs, place_of, read_manifest
from crmlib.report.memory import tables
from crmlib.report.memory.provenance import Difference, differences
from crmlib.report.memory.tables import TableChange, between

UP, DOWN = "▲", "▼"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run as its folder tells it. `metrics` by id, as in metrics.json."""

    folder: Path
    manifest: Manifest
    metrics: Mapping[str, Metric]


@dataclass(frozen=True, kw_only=True)
class Change:
    """How one number moved: an arrow (none when it did not, clearly) and words that need no arrow.

    `before` and `now` are the number with its range, as text; a dash where a run did not have it.
    """

    id: str
    label: str
    arrow: str
    words: str
    before: str
    now: str

    @property
    def moved(self) -> bool:
        """Is it more than chance?"""
        return bool(self.arrow)


@dataclass(frozen=True, kw_only=True)
class Changes:
    """A run against the last comparable one. `alike`: same parameters and code, so that the numbers compare.

    `came` and `went` are findings that hold now and did not, or did and do not; `missed` are forecasts graded by this
    run that were further off than their range, the worst first. `replaced` are files whose rows cannot be told apart.
    """

    since: date
    run_id: str
    slug: str
    alike: bool
    why: str
    metrics: Mapping[str, Change]
    differences: tuple[Difference, ...]
    tables: tuple[TableChange, ...]
    replaced: tuple[str, ...] = ()
    came: tuple[str, ...] = ()
    went: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()

    @property
    def link(self) -> str:
        """The earlier page, as seen from this one."""
        return f"../../{self.since.isoformat()}/{self.slug}/report.html"

    def to_json(self) -> dict[str, Any]:
        """What the manifest keeps, for other programs."""
        said: dict[str, Any] = json.loads(json.dumps(asdict(self), default=str))
        return said


def read(folder: Path) -> Run | None:
    """A published run, or None where its folder does not hold one."""
    manifest = read_manifest(folder)
    try:
        return present(folder, manifest) if manifest else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def present(folder: Path, manifest: Manifest) -> Run:
    """The run that is being finished in `folder`, its metrics.json written, its manifest not yet."""
    said = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    metrics = from_json({"report": "", "headline": "", "status": "published", "metrics": said["metrics"]}).metrics
    return Run(folder=folder, manifest=manifest, metrics={metric.id: metric for metric in metrics})


def last_comparable(reports: Path, slug: str, *, as_of: date) -> Run | None:
    """The good run of the same report, variant and shop with the newest earlier as-of day."""
    runs = (read(place_of(reports, manifest)) for manifest in earlier_runs(reports, slug, as_of))
    return next((run for run in runs if run), None)


def compare(before: Run, now: Run) -> Changes:
    """What is different between two runs of a report, and what its numbers did."""
    old, new = before.manifest, now.manifest
    running = {*old.running, *new.running}
    ids = [*now.metrics, *(id for id in before.metrics if id not in now.metrics)]
    by_key = tuple(tables.compare(before.folder, now.folder, new.watches))
    watched = [
        Difference(kind="data", text=f"{table.label}: {table.entered:,} entered, {table.left:,} left")
        for table in by_key
        if table.label and (table.entered or table.left)
    ]
    found = [*differences(old, new), *watched]
    was, told = {signal.id: signal for signal in old.signals or ()}, {signal.id for signal in new.signals or ()}
    return Changes(
        since=old.as_of,
        run_id=old.run_id,
        slug=old.slug,
        alike=not {d.kind for d in found} & {"parameters", "code"},
        why=_why({d.kind for d in found}, (new.as_of - old.as_of).days),
        metrics={id: _change(before.metrics.get(id), now.metrics.get(id), running) for id in ids},
        differences=tuple(found),
        tables=by_key,
        replaced=tuple(_replaced(old, new, {table.table for table in by_key})),
        # A run of an earlier version told no signals, so that nothing can be said to be new.
        came=tuple(s.text for s in new.signals or () if old.signals is not None and s.id not in was),
        went=tuple(signal.gone for signal in was.values() if signal.id not in told),
        missed=missed(new.grades, as_of=new.as_of),
    )


def _change(before: Metric | None, now: Metric | None, running: set[str]) -> Change:
    known = now or before
    assert known
    arrow, words = ("", "") if known.id in running else _moved(before, now)
    texts = [str(metric) if metric else formats.DASH for metric in (before, now)]
    # The last month is August in one run and September in the next.
    labels = dict.fromkeys(metric.label for metric in (before, now) if metric)
    return Change(id=known.id, label=" → ".join(labels), arrow=arrow, words=words, before=texts[0], now=texts[1])


def _moved(before: Metric | None, now: Metric | None) -> tuple[str, str]:
    """An arrow, or none, and what the number did in words."""
    if before is None or now is None:
        return "", "gone" if now is None else "new on this page"
    if before.unit != now.unit or _wording(before) != _wording(now):
        return "", "defined anew, not compared"
    if before.value is None or now.value is None:
        if before.value is None:
            return "", "not available before" + (" either" if now.value is None else "")
        return "", f"was {before.estimate.text}"
    ranges = [(m.value, m.low, m.high) for m in (before, now) if m.low is not None and m.high is not None]
    if len(ranges) == 1:
        return "", f"was {before.estimate.text}; too little is known to compare"
    moved = now.value - before.value
    if not moved and not ranges:
        return "", "unchanged"
    low, high = between(*ranges) if ranges else (moved, moved)  # type: ignore[arg-type]
    if low <= 0 <= high:
        return "", "no clear change"
    size = formats.movement(moved, now.unit, before=before.value, low=low, high=high)
    return (UP, f"up {size}") if moved > 0 else (DOWN, f"down {size}")


def _wording(metric: Metric) -> str:
    """A definition without the figures in it: days and thresholds are parameters and said as such."""
    return "".join(letter for letter in metric.definition if not letter.isdigit() and letter not in ".,")


def _why(kinds: set[Any], days: int) -> str:
    """What the numbers moved by, in one sentence."""
    span = wording.counted(days, "day")
    data = f"{span} of newer data" if "data" in kinds else f"{span} later, the same rows"
    others = [words for kind, words in (("parameters", "other parameters"), ("code", "other code")) if kind in kinds]
    if others:
        return f"{data}, but also {' and '.join(others)}: the numbers do not compare like for like."
    if "environment" in kinds:
        return f"{data}, and other package versions; parameters and code are the same."
    return f"{data}, nothing else: the numbers compare like for like."


def _replaced(before: Manifest, now: Manifest, compared: set[str]) -> Iterator[str]:
    for path in sorted({*before.files, *now.files}):
        name = Path(path).stem
        if not path.startswith(("tables/", "lists/")) or before.files.get(path) == now.files.get(path):
            continue
        if name not in compared:
            counts = [run.rows.get(name) if path in run.files else None for run in (before, now)]
            rows = [formats.DASH if count is None else wording.counted(count, "row") for count in counts]
            yield f"{path}: {rows[0]} → {rows[1]}"


def missed(grades: Sequence[Grade], *, as_of: date) -> tuple[str, ...]:
    """Forecasts that were further off than their range, in a sentence each, the worst first.

    Groups of a chance are left out: they are many, and the track record has them.
    """
    found = []
    for grade in grades:
        told = grade.due.prediction
        if told.band or told.low is None or told.high is None or not math.isfinite(grade.actual):
            continue
        beyond = max(told.low - grade.actual, grade.actual - told.high)
        if beyond > 0:
            found.append((beyond / ((told.high - told.low) or 1.0), _miss(grade, as_of)))
    return tuple(text for _, text in sorted(found, key=lambda pair: -pair[0]))


def _miss(grade: Grade, as_of: date) -> str:
    told, actual = grade.due.prediction, grade.actual
    low, high = told.low or 0.0, told.high or 0.0
    counted = len(told.unit) > 3 and told.unit not in ("share", "index", "amount")
    if counted and math.ceil(low) <= math.floor(high):
        low, high = math.ceil(low), math.floor(high)
    # A narrow miss is not to be rounded away, nor a count to be split.
    rounded = max(low - actual, actual - high) > (high - low) / 8 and (not counted or high - low >= 8)
    bounds = {"low": low, "high": high} if rounded else {}
    ends = " to ".join(formats.quantity(end, told.unit, **bounds) for end in (low, high))
    last = wording.day(told.end - timedelta(days=1), near=as_of)
    if not counted:
        return f"{told.label} (to {last}): we expected {ends}; it was {formats.quantity(actual, told.unit, **bounds)}."
    there = f"there {'was' if actual == 1 else 'were'} {formats.quantity(actual, told.unit) if actual else 'none'}"
    if not told.label.casefold().startswith(told.unit.casefold()):
        return f"{told.label} (to {last}): we expected {ends}; {there}."
    days = (told.end - told.start).days
    return f"We expected {ends} {told.unit} {f'in the {days} days to' if days > 1 else 'on'} {last}; {there}."
