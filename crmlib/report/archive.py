"""What a reports folder holds: how old, how different, whether whole, and what of it can go."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from crmlib import formats
from crmlib.errors import Locked, UsageError, nearest
from crmlib.report.folder import store as publish
from crmlib.report.statuses import GOOD, STATUS_WORDS

SAID = ("published", "warnings", "too_few", "not_available")  # how a run may end and stand


@dataclass(frozen=True, kw_only=True)
class State:
    """Where a report stands: its newest run by day, and a failure since, if one is newer.

    `as_of` and `made_at` are None where no run stands; `status` is then the failure's, or '' for one never tried.
    """

    slug: str
    as_of: date | None = None
    made_at: datetime | None = None
    status: str = ""
    stale: bool = False
    failure: str = ""

    @property
    def word(self) -> str:
        """The status as a reader meets it."""
        return STATUS_WORDS.get(self.status, "Never run").lower() + (", stale data" if self.stale else "")

    def is_late(self, now: datetime, max_age: timedelta) -> bool:
        """Has no run ended well within `max_age`? A report that was never tried is not expected, so not late."""
        return bool(self.status) and (self.made_at is None or now - self.made_at > max_age)


def states(reports: Path, known: Sequence[str]) -> list[State]:
    """One State a report: those known, in their order, then others and variants that the folder holds."""
    newest: dict[str, dict[str, Any]] = {}
    for manifest in publish.dated_runs(reports):
        newest.setdefault(_slug(manifest), manifest)
    failed: dict[str, dict[str, Any]] = {}
    for manifest in _undated(reports, "failed"):
        failed.setdefault(_slug(manifest), manifest)
    slugs = [*known, *sorted({*newest, *failed} - {*known})]
    return [_state(slug, newest.get(slug), failed.get(slug)) for slug in slugs]


def _state(slug: str, stands: Mapping[str, Any] | None, failure: Mapping[str, Any] | None) -> State:
    said = failure["reason"] if failure and (not stands or failure["started_at"] > stands["started_at"]) else ""
    if stands is None:
        return State(slug=slug, status=failure["status"] if failure else "", failure=said)
    return State(
        slug=slug,
        as_of=date.fromisoformat(stands["as_of"]),
        made_at=datetime.fromisoformat(stands["started_at"]),
        status=stands["status"],
        stale=bool(stands.get("stale")),
        failure=said,
    )


# Two runs beside each other.


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What differs between two runs of a report. `metrics` are rows of text: label, before, after, change."""

    metrics: tuple[tuple[str, str, str, str], ...]
    data: tuple[str, ...]
    parameters: tuple[str, ...]
    code: tuple[str, ...]
    environment: tuple[str, ...]
    tables: tuple[str, ...]


def run_of(reports: Path, slug: str, day: str) -> tuple[Path, dict[str, Any]]:
    """The folder and manifest of a report's run of a day. UsageError names the days there are."""
    place = reports / day / slug
    manifest = publish.read_manifest(place)
    if manifest is None:
        days = [found["as_of"] for found in publish.dated_runs(reports) if _slug(found) == slug]
        raise UsageError(f"{slug} has no run of {day}; {nearest(day, days)}")
    return place, manifest


def newest_good(reports: Path, slug: str) -> Path:
    """The folder that `latest` forwards to for a report. UsageError where it has none."""
    runs = list(publish.dated_runs(reports))
    for manifest in runs:
        if _slug(manifest) == slug and manifest["status"] in GOOD:
            return publish.place_of(reports, manifest)
    good = {_slug(manifest) for manifest in runs if manifest["status"] in GOOD}
    raise UsageError(f"{slug} has no good run yet; {nearest(slug, good)}")


def difference(reports: Path, slug: str, before: str, after: str) -> Difference:
    """What changed in a report between its runs of two days, and what may have made it change."""
    (there, was), (here, now) = run_of(reports, slug, before), run_of(reports, slug, after)
    code = [
        f"{what} {old or 'unknown'} → {new or 'unknown'}"
        for what, old, new in (
            ("version", was["code"]["version"], now["code"]["version"]),
            ("commit", was["code"]["commit"], now["code"]["commit"]),
        )
        if old != new
    ]
    code += [f"the {what} changed" for what, old, new in _sources(was, now) if old != new]
    return Difference(
        metrics=tuple(_metric_rows(_metrics(there), _metrics(here))),
        data=tuple(_input_lines(was["inputs"], now["inputs"])),
        parameters=tuple(_changes(was["parameters"], now["parameters"])),
        code=tuple(code),
        environment=tuple(_changes(was["packages"], now["packages"])),
        tables=tuple(_table_lines(was, now)),
    )


def _sources(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    yield "notebook", was["code"]["notebook"], now["code"]["notebook"]
    yield "library", was.get("made_from", {}).get("code"), now.get("made_from", {}).get("code")


def _metrics(place: Path) -> dict[str, dict[str, Any]]:
    said = json.loads((place / "metrics.json").read_text(encoding="utf-8"))
    return {metric["id"]: metric for metric in said["metrics"]}


def _metric_rows(
    was: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, str, str, str]]:
    for name in [*now, *(name for name in was if name not in now)]:
        old, new = was.get(name), now.get(name)
        yield (old or new or {})["label"], _shown(old), _shown(new), _change(old, new)


def _shown(metric: Mapping[str, Any] | None) -> str:
    if metric is None:
        return formats.DASH
    span = formats.interval(metric["low"], metric["high"], metric["unit"])
    text = formats.quantity(metric["value"], metric["unit"], low=metric["low"], high=metric["high"])
    return f"{text} ({span})" if span else text


def _change(was: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> str:
    if was is None or now is None:
        return "gone" if now is None else "new"
    old, new = was["value"], now["value"]
    if old is None or new is None:
        return "" if old == new else "not comparable"
    if old == new:
        return "the same"
    if was["unit"] == "share":
        text = f"{_signed(100 * (new - old), digits=1)} points"
    elif old > 0:
        text = _signed(100 * (new / old - 1), digits=1) + "\N{NO-BREAK SPACE}%"
    else:
        text = _signed(new - old, digits=2)
    low, high = was["low"], was["high"]
    inside = low is not None and high is not None and low <= new <= high
    return f"{text}, within the earlier range" if inside else text


def _signed(value: float, *, digits: int) -> str:
    return ("+" if value > 0 else "") + formats.number(value, digits=digits)


def _input_lines(was: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    old, new = {table["table"]: table for table in was}, {table["table"]: table for table in now}
    for name in sorted({*old, *new}):
        if name not in new:
            yield f"{name} is gone"
        elif name not in old:
            yield f"{name} is new, {formats.number(new[name]['kept'])} rows kept"
        elif old[name]["sha256"] != new[name]["sha256"] or old[name]["kept"] != new[name]["kept"]:
            file = "another file" if old[name]["sha256"] != new[name]["sha256"] else "the same file"
            rows = f"{formats.number(old[name]['kept'])} → {formats.number(new[name]['kept'])} rows kept"
            yield f"{name}: {rows}, {file}"


def _changes(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*was, *now}):
        if was.get(name) != now.get(name):
            yield f"{name} {was.get(name, formats.DASH)} → {now.get(name, formats.DASH)}"


def _table_lines(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for path in sorted({*was["files"], *now["files"]}):
        if not path.startswith(("tables/", "lists/")) or was["files"].get(path) == now["files"].get(path):
            continue
        old, new = (side["rows"].get(Path(path).stem) if path in side["files"] else None for side in (was, now))
        yield f"{path}: {_rows(old)} → {_rows(new)}"


def _rows(count: int | None) -> str:
    return formats.DASH if count is None else f"{formats.number(count)} rows"


# Are the runs as they were published?


def damages(reports: Path, day: str = "") -> tuple[int, list[str]]:
    """How many runs were read again, and each fault as a line: a file changed, missing or unreadable."""
    found, faults = 0, []
    for folder in sorted(publish.run_folders(reports)):
        if day and folder.parent.name != day:
            continue
        found += 1
        name = folder.relative_to(reports).as_posix()
        manifest = publish.read_manifest(folder)
        if manifest is None:
            faults.append(f"{name}/manifest.json is missing or cannot be read")
        else:
            faults += [f"{name}/{path} {fault}" for path, fault in publish.damage(folder, manifest)]
    return found, faults


# Forgetting.


def prunable(reports: Path, *, keep: int | None = None, before: date | None = None) -> list[Path]:
    """The runs that may go: beyond the newest `keep` of each report, or older than `before`. Never a report's last good one.

    Dated runs go by their day; superseded and failed ones by when they were made, since their day says nothing of it.
    """
    dated: dict[str, list[dict[str, Any]]] = {}
    for manifest in publish.dated_runs(reports):
        dated.setdefault(_slug(manifest), []).append(manifest)
    gone = []
    for runs in dated.values():
        good = next((run for run in runs if run["status"] in GOOD), runs[0])
        old = runs[keep:] if keep is not None else [r for r in runs if before and r["as_of"] < before.isoformat()]
        gone += [publish.place_of(reports, run) for run in old if run is not good]
    for kind in ("superseded", "failed"):
        aside: dict[str, list[dict[str, Any]]] = {}
        for manifest in _undated(reports, kind):
            aside.setdefault(_slug(manifest), []).append(manifest)
        for runs in aside.values():
            old = (
                runs[keep:]
                if keep is not None
                else [r for r in runs if before and r["started_at"][:10] < before.isoformat()]
            )
            gone += [Path(run["folder"]) for run in old]
    return sorted(gone)


def prune(reports: Path, folders: Sequence[Path]) -> list[str]:
    """Remove runs, each out of sight in one step before its files go. Returns the slugs left alone because they are locked."""
    by_slug: dict[str, list[Path]] = {}
    for folder in folders:
        manifest = publish.read_manifest(folder)
        if manifest:
            by_slug.setdefault(_slug(manifest), []).append(folder)
    bin_ = reports / ".staging" / "pruned"
    locked = []
    for slug, chosen in by_slug.items():
        with ExitStack() as held:
            try:
                held.enter_context(publish.lock(reports, slug))
            except Locked:
                locked.append(slug)
                continue
            for folder in chosen:
                target = bin_ / folder.relative_to(reports).as_posix().replace("/", "-")
                bin_.mkdir(parents=True, exist_ok=True)
                shutil.rmtree(target, ignore_errors=True)
                folder.rename(target)
                if not any(folder.parent.iterdir()):
                    folder.parent.rmdir()
    shutil.rmtree(bin_, ignore_errors=True)
    if holder := publish.holder(reports):
        publish.rebuild(reports, shop=holder)
    return locked


def _undated(reports: Path, kind: str) -> list[dict[str, Any]]:
    """The manifests under superseded/ or failed/, newest first, each with its folder."""
    found = [
        manifest | {"folder": str(folder)}
        for folder in (reports / kind).glob("*")
        if (manifest := publish.read_manifest(folder))
    ]
    return sorted(found, key=lambda manifest: manifest["started_at"], reverse=True)


def _slug(manifest: Mapping[str, Any]) -> str:
    return publish.slug_of(manifest["report"], manifest["variant"])
