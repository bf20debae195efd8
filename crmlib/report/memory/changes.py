"""What changed since the last comparable run, and why: data, parameters, code or environment.

A run's folder is its memory: manifest.json says what it was made from, metrics.json what it found, tables/ and lists/ the
rows. A number counts as changed only beyond the uncertainty of both runs; complete counts are compared exactly.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from crmlib import formats
from crmlib.report.folder import store as publish
from crmlib.report.memory import record as track

Kind = Literal["data", "parameters", "code", "environment"]
DUE_FILE = "due.json"  # as in crmlib.findings, whose imports the runner does not need
KINDS: tuple[Kind, ...] = ("data", "parameters", "code", "environment")
UP, DOWN = "▲", "▼"
TOP = 0.1
_NAMED = 3  # rows named when few came or went


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run as its folder tells it. `metrics` by id, as in metrics.json."""

    folder: Path
    manifest: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Any]]

    @property
    def as_of(self) -> date:
        return date.fromisoformat(self.manifest["as_of"])

    @property
    def headline_ids(self) -> list[str]:
        return [tile["id"] for tile in self.manifest.get("headlines", ())]


@dataclass(frozen=True, kw_only=True)
class Change:
    """How one number moved: an arrow (none when it did not, clearly) and words that need no arrow."""

    id: str
    label: str
    arrow: str
    words: str

    @property
    def moved(self) -> bool:
        return bool(self.arrow)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that is not as it was, by its class."""

    kind: Kind
    text: str


@dataclass(frozen=True, kw_only=True)
class TableChange:
    """A table compared by key. `moved` counts rows beyond their own uncertainty, or changed at all where none is given."""

    table: str
    label: str
    before: int
    now: int
    entered: int
    left: int
    moved: int
    measure: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Changes:
    """A run against the last comparable one. `alike`: same parameters and code, so that the numbers compare."""

    since: date
    run_id: str
    slug: str
    alike: bool
    summary: str
    why: str
    metrics: Mapping[str, Change]
    differences: tuple[Difference, ...]
    tables: tuple[TableChange, ...]

    @property
    def link(self) -> str:
        """The earlier page, as seen from this one."""
        return f"../../{self.since.isoformat()}/{self.slug}/report.html"

    def to_json(self) -> dict[str, Any]:
        """What the manifest keeps, for the index and for other programs."""
        return {
            "since": self.since.isoformat(),
            "run_id": self.run_id,
            "alike": self.alike,
            "summary": self.summary,
            "why": self.why,
            "metrics": {id: {"arrow": change.arrow, "words": change.words} for id, change in self.metrics.items()},
            "differences": [asdict(difference) for difference in self.differences],
            "tables": [asdict(table) for table in self.tables],
        }


def read(folder: Path) -> Run | None:
    """A published run, or None where its folder does not hold one."""
    manifest = publish.read_manifest(folder)
    try:
        said = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return Run(folder=folder, manifest=manifest, metrics=_by_id(said)) if manifest else None


def present(folder: Path, manifest: Mapping[str, Any]) -> Run:
    """The run that is being finished in `folder`, its metrics.json written, its manifest not yet."""
    said = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return Run(folder=folder, manifest=manifest, metrics=_by_id(said))


def _by_id(said: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {metric["id"]: metric for metric in said["metrics"]}


def earlier(reports: Path, slug: str, *, as_of: date) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The good runs of one report and variant with an earlier as-of day, newest first: folder and manifest."""
    for manifest in publish.earlier_runs(reports, slug, as_of):
        yield reports / manifest["as_of"] / slug, manifest


def last_comparable(reports: Path, slug: str, *, as_of: date) -> Run | None:
    """The good run of the same report, variant and shop with the newest earlier as-of day."""
    return next((run for folder, _ in earlier(reports, slug, as_of=as_of) if (run := read(folder))), None)


def lay_due(reports: Path, slug: str, *, as_of: date, out: Path) -> int:
    """Put what earlier runs predicted and can be graded now where the notebook looks for it; how many there are."""
    found = track.due(earlier(reports, slug, as_of=as_of), as_of=as_of)
    if found:
        publish.write_json(out / DUE_FILE, found)
    return len(found)


def clear_due(out: Path) -> None:
    """Take it away again: it names folders of this machine, and the grades are in the manifest."""
    (out / DUE_FILE).unlink(missing_ok=True)


def compare(before: Run, now: Run, *, watches: Sequence[Mapping[str, Any]] = ()) -> Changes:
    """What is different between two runs of a report, and what its numbers did."""
    metrics = {id: _metric(before.metrics.get(id), metric) for id, metric in now.metrics.items()}
    tables = tuple(_tables(before.folder, now.folder, watches))
    differences = (*_data(before, now), *_watched(tables), *_parameters(before, now), *_code(before, now),
                   *_environment(before, now))  # fmt: skip
    kinds = {difference.kind for difference in differences}
    headlines = [metrics[id] for id in now.headline_ids if id in metrics]
    return Changes(
        since=before.as_of,
        run_id=before.manifest["run_id"],
        slug=publish.slug_of(before.manifest["report"], before.manifest["variant"]),
        alike=not kinds & {"parameters", "code"},
        summary=_summary(headlines),
        why=_why(kinds, before, now),
        metrics=metrics,
        differences=differences,
        tables=tables,
    )


# Numbers


def between(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[float, float]:
    """A 95 % interval for how far a number moved, from the interval of each (Zou and Donner 2008, MOVER).

    It takes the two for independent. Runs share most of their data, so it errs on the side of 'no clear change'.
    """
    moved = now["value"] - before["value"]
    low = moved - math.hypot(now["value"] - now["low"], before["high"] - before["value"])
    high = moved + math.hypot(now["high"] - now["value"], before["value"] - before["low"])
    return low, high


def _metric(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> Change:
    def said(words: str, arrow: str = "") -> Change:
        return Change(id=now["id"], label=now["label"], arrow=arrow, words=words)

    if before is None:
        return said("new on this page")
    if before["unit"] != now["unit"] or _wording(before) != _wording(now):
        return said("defined anew, not compared")
    if before["value"] is None or now["value"] is None:
        if before["value"] is None and now["value"] is None:
            return said("not available before either")
        known = before if now["value"] is None else now
        was = formats.quantity(known["value"], known["unit"], low=known["low"], high=known["high"])
        return said(f"was {was}" if now["value"] is None else "not available before")
    estimated = [metric["low"] is not None and metric["high"] is not None for metric in (before, now)]
    if any(estimated) and not all(estimated):
        was = formats.quantity(before["value"], before["unit"], low=before["low"], high=before["high"])
        return said(f"was {was}; too little is known to compare")
    moved = now["value"] - before["value"]
    low, high = between(before, now) if all(estimated) else (moved, moved)
    if not moved and not all(estimated):
        return said("unchanged")
    if low <= 0 <= high:
        return said("no clear change")
    size = formats.movement(moved, now["unit"], before=before["value"], low=low, high=high)
    return said(f"{'up' if moved > 0 else 'down'} {size}", UP if moved > 0 else DOWN)


def _wording(metric: Mapping[str, Any]) -> str:
    """A definition without the figures in it: days and thresholds are parameters and said as such."""
    return "".join(letter for letter in str(metric["definition"]) if not letter.isdigit() and letter not in ".,")


def _summary(headlines: Sequence[Change]) -> str:
    moved = [change for change in headlines if change.moved]
    still = [change for change in headlines if change.words in ("no clear change", "unchanged")]
    if not headlines:
        return ""
    if not moved:
        return "No headline number shows a clear change." if still else "No headline number could be compared."
    said = "; ".join(f"{change.label}: {change.words}" for change in moved)
    if not still:
        return f"{said}."
    rest = "one other shows" if len(still) == 1 else f"{len(still)} others show"
    return f"{said}; {rest} no clear change."


def _why(kinds: set[Kind], before: Run, now: Run) -> str:
    """What the numbers moved by, in one sentence."""
    later = (now.as_of - before.as_of).days
    span = f"{later} day{'' if later == 1 else 's'}"
    data = f"{span} of newer data" if "data" in kinds else f"{span} later, the same rows"
    causes = {"parameters": "other parameters", "code": "other code"}
    others = [words for kind, words in causes.items() if kind in kinds]
    if others:
        return f"{data}, but also {' and '.join(others)}: the numbers do not compare like for like."
    if "environment" in kinds:
        return f"{data}, and other package versions; parameters and code are the same."
    return f"{data}, nothing else: the numbers compare like for like."


# What a run was made from


def _data(before: Run, now: Run) -> Iterator[Difference]:
    old, new = ({table["table"]: table for table in run.manifest["inputs"]} for run in (before, now))
    for name in [*new, *(name for name in old if name not in new)]:
        if name not in new or name not in old:
            rows = formats.number((new.get(name) or old[name])["kept"])
            yield Difference(kind="data", text=f"{name}: {'new' if name in new else 'gone'} ({rows} rows)")
            continue
        parts = [
            f"{_more(new[name][key] - old[name][key])} {words}"
            for key, words in (("kept", f"rows, now {formats.number(new[name]['kept'])}"), ("set_aside", "set aside"))
            if new[name][key] != old[name][key]
        ]
        if not parts and new[name]["sha256"] != old[name]["sha256"] and new[name]["read"] == old[name]["read"]:
            parts = ["rows were edited, as many as before"]
        if parts:
            yield Difference(kind="data", text=f"{name}: {', '.join(parts)}")


def _more(count: int) -> str:
    return f"{formats.number(abs(count))} {'more' if count > 0 else 'fewer'}"


def _parameters(before: Run, now: Run) -> Iterator[Difference]:
    old, new = before.manifest["parameters"], now.manifest["parameters"]
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            was = repr(old[name]) if name in old else "not there"
            text = f"{name} is {new[name]!r}, was {was}" if name in new else f"{name} is gone, was {was}"
            yield Difference(kind="parameters", text=text)


def _code(before: Run, now: Run) -> Iterator[Difference]:
    old, new = before.manifest["code"], now.manifest["code"]
    if old["notebook"] != new["notebook"]:
        yield Difference(kind="code", text="the notebook was edited")
    # Every file of the library, hashed: a commit that touched none of them is no difference, an edit before one is.
    hashes = [run.manifest.get("made_from", {}).get("code") for run in (before, now)]
    if all(hashes) and hashes[0] == hashes[1]:
        return
    names = [f"{code['version']} at {code['commit'] or 'no commit'}" for code in (old, new)]
    edited = [which for which, code in (("the earlier", old), ("this", new)) if code["changed"]]
    if names[0] != names[1]:
        yield Difference(kind="code", text=f"crmlib {names[0]} → {names[1]}")
    elif all(hashes):
        yield Difference(kind="code", text=f"crmlib {names[1]} was edited between the runs")
    if edited:
        which = "both runs" if len(edited) == 2 else f"{edited[0]} run"
        yield Difference(kind="code", text=f"{which} had changes that were not committed")


def _environment(before: Run, now: Run) -> Iterator[Difference]:
    old, new = before.manifest["packages"], now.manifest["packages"]
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield Difference(kind="environment", text=f"{name} {old.get(name, 'not there')} → {new.get(name, 'gone')}")


# Tables by key


def _tables(old: Path, new: Path, watches: Sequence[Mapping[str, Any]]) -> Iterator[TableChange]:
    for watch in watches:
        places = (place for place in ("lists", "tables") if (new / place / f"{watch['table']}.csv").is_file())
        for place in places:
            before, now = (_rows(folder / place / f"{watch['table']}.csv") for folder in (old, new))
            needed = {*watch["key"], *filter(None, [watch["by"]])}
            if before and now and needed <= {*before[0]} & {*now[0]}:
                rows = _top(before, watch), _top(now, watch)
                yield _table(str(watch["table"]), str(watch["label"]), *rows, watch["key"], named=place == "tables")
    watched = {watch["table"] for watch in watches}
    for place in ("lists", "tables"):
        for path in sorted((new / place).glob("*.csv")):
            before, now = _rows(old / place / path.name), _rows(path)
            if path.stem in watched or not (key := _key(before, now)):
                continue
            label, measure = "", _measure(list(now[0]))
            if place == "lists" and measure:
                # Of a list with a value for each row, the best tenth is what a shop acts on.
                rule = {"by": measure[0], "top": TOP}
                before, now = _top(before, rule), _top(now, rule)
                label = f"{path.stem}, top tenth by {measure[0]}".replace("_", " ")
            yield _table(path.stem, label, before, now, key, named=place == "tables")


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table; none where it is not there or not ours to read, as another user's lists are."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, csv.Error, UnicodeDecodeError):
        return []


def _top(rows: list[dict[str, str]], watch: Mapping[str, Any]) -> list[dict[str, str]]:
    if not watch["by"]:
        return rows
    ordered = sorted(rows, key=lambda row: -(_number(row[watch["by"]]) or 0.0))
    return ordered[: math.ceil(watch["top"] * len(ordered))]


def _key(before: list[dict[str, str]], now: list[dict[str, str]]) -> tuple[str, ...]:
    """The fewest leading columns that name each row in both runs, at most three; none where no such columns are."""
    if not before or not now or list(before[0]) != list(now[0]):
        return ()
    columns = list(now[0])
    for count in (1, 2, 3):
        key = tuple(columns[:count])
        if all(len({_named(row, key) for row in rows}) == len(rows) for rows in (before, now)):
            return key
    return ()


def _named(row: Mapping[str, str], key: Sequence[str]) -> tuple[str, ...]:
    return tuple(row[column] for column in key)


def _table(
    table: str,
    label: str,
    before: list[dict[str, str]],
    now: list[dict[str, str]],
    key: Sequence[str],
    *,
    named: bool,
) -> TableChange:
    old, new = ({_named(row, key): row for row in rows} for rows in (before, now))
    entered = [name for name in new if name not in old]
    columns = list(now[0]) if now else []
    measure = _measure(columns)
    both = [(old[name], new[name]) for name in new if name in old]
    moved = sum(_moved(one, other, measure, key) for one, other in both)
    shown = [" · ".join(name) for name in entered] if named and len(entered) <= _NAMED else []
    return TableChange(
        table=table,
        label=label,
        before=len(old),
        now=len(new),
        entered=len(entered),
        left=sum(name not in new for name in old),
        moved=moved,
        measure=measure[0] if measure else "",
        names=tuple(text for text in shown if len(text) <= 60 and "[" not in text),
    )


def _measure(columns: Sequence[str]) -> tuple[str, str, str] | None:
    """The first value that is followed by its two bounds, as every table with an interval has them."""
    for value, low, high in zip(columns, columns[1:], columns[2:], strict=False):
        if "low" in low and high == low.replace("low", "high"):
            return value, low, high
    return None


def _moved(
    before: Mapping[str, str], now: Mapping[str, str], measure: tuple[str, str, str] | None, key: Sequence[str]
) -> bool:
    if measure is None:
        return any(before.get(column) != text for column, text in now.items() if column not in key)
    pair = [
        {name: _number(row.get(column)) for name, column in zip(("value", "low", "high"), measure, strict=True)}
        for row in (before, now)
    ]
    if any(part is None for row in pair for part in row.values()):
        return False
    low, high = between(*pair)
    return not low <= 0 <= high


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _watched(tables: Sequence[TableChange]) -> Iterator[Difference]:
    for change in tables:
        if change.label and (change.entered or change.left):
            told = f"{formats.number(change.entered)} entered, {formats.number(change.left)} left"
            yield Difference(kind="data", text=f"{change.label}: {told}")
