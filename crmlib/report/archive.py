"""What a reports folder holds: how old, how different, whether whole, and what of it can go."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from crmlib.errors import Locked, UsageError, nearest
from crmlib.publishing import csv_rows
from crmlib.report.folder import store
from crmlib.report.folder.manifest import (
    Manifest,
    damage,
    dated_runs,
    holder,
    place_of,
    read_manifest,
    run_folders,
    set_aside,
)
from crmlib.report.memory import changes
from crmlib.report.memory.changes import Changes
from crmlib.report.page.index import rebuild
from crmlib.report.statuses import STATUS_WORDS


@dataclass(frozen=True, kw_only=True)
class State:
    """Where a report stands: its newest run by day, and a failure since; None for what is not there."""

    slug: str
    run: Manifest | None = None
    failed: Manifest | None = None

    @property
    def made_at(self) -> datetime | None:
        """When the run that stands was made."""
        return datetime.fromisoformat(self.run.started_at) if self.run else None

    @property
    def word(self) -> str:
        """The status as a reader meets it."""
        known = self.run or self.failed
        stale = ", stale data" if self.run and self.run.stale else ""
        return (STATUS_WORDS[known.status].lower() if known else "never run") + stale

    def is_late(self, now: datetime, max_age: timedelta) -> bool:
        """Has no run ended well within `max_age`? A report that was never tried is not expected, so not late."""
        made_at = self.made_at
        return now - made_at > max_age if made_at else self.failed is not None


def states(reports: Path, known: Sequence[str]) -> list[State]:
    """One State a report: those known, in their order, then others and variants that the folder holds."""
    newest = {slug: runs[0] for slug, runs in _by_slug(dated_runs(reports)).items()}
    failed = {slug: runs[0] for slug, runs in _by_slug([run for _, run in set_aside(reports, "failed")]).items()}
    found = []
    for slug in [*known, *sorted({*newest, *failed} - {*known})]:
        run, since = newest.get(slug), failed.get(slug)
        if run and since and since.started_at < run.started_at:
            since = None
        found.append(State(slug=slug, run=run, failed=since))
    return found


def _by_slug(runs: Sequence[Manifest]) -> dict[str, list[Manifest]]:
    found: dict[str, list[Manifest]] = {}
    for run in runs:
        found.setdefault(run.slug, []).append(run)
    return found


def run_of(reports: Path, slug: str, day: str) -> Path:
    """The folder of a report's run of a day. UsageError names the days there are."""
    place = reports / day / slug
    if read_manifest(place) is None:
        days = [str(found.as_of) for found in dated_runs(reports) if found.slug == slug]
        raise UsageError(f"{slug} has no run of {day}; {nearest(day, days)}")
    return place


def newest_good(reports: Path, slug: str, *, until: str = "") -> Path:
    """The folder that `latest` forwards to for a report, or did on the day `until`. UsageError where there is none."""
    good = _by_slug([run for run in dated_runs(reports) if run.good and (not until or str(run.as_of) <= until)])
    if slug not in good:
        raise UsageError(
            f"{slug} has no good run {f'as of {until} or before' if until else 'yet'}; {nearest(slug, good)}"
        )
    return place_of(reports, good[slug][0])


def list_rows(run: Path, name: str) -> list[dict[str, str]]:
    """The rows of one of a run's lists. UsageError names the lists there are."""
    known = [path.stem for path in sorted((run / "lists").glob("*.csv"))]
    if name not in known:
        raise UsageError(f"{run.name} of {run.parent.name} has no list {name!r}; {nearest(name, known)}")
    return csv_rows(run / "lists" / f"{name}.csv")


def difference(reports: Path, slug: str, before: str, after: str) -> Changes:
    """What changed in a report between its runs of two days, and what may have made it change."""
    runs = [changes.read(run_of(reports, slug, day)) for day in (before, after)]
    old, new = runs
    if old is None or new is None:
        raise UsageError(f"{slug} of {after if old else before} has no metrics.json that can be read; run it again")
    return changes.compare(old, new)


def damages(reports: Path, day: str = "") -> tuple[int, list[str]]:
    """How many runs were read again, and each fault as a line: a file changed, missing or unreadable."""
    found = [folder for folder in sorted(run_folders(reports)) if day in ("", folder.parent.name)]
    faults = []
    for folder in found:
        name, manifest = folder.relative_to(reports).as_posix(), read_manifest(folder)
        if manifest is None:
            faults.append(f"{name}/manifest.json is missing or cannot be read")
        else:
            faults += [f"{name}/{path} {fault}" for path, fault in damage(folder, manifest)]
    return len(found), faults


def prunable(reports: Path, *, keep: int | None = None, before: date | None = None) -> list[Path]:
    """The runs that may go: beyond the newest `keep` of each report, or older than `before`.

    Never a report's last good one. Dated runs go by their day; superseded and failed ones by when they were made, since
    their day says nothing of it.
    """
    limit = before.isoformat() if before else ""
    gone = []
    for newest_first in _by_slug(dated_runs(reports)).values():
        # A run as of a day that had not come when it was made takes no place of those of days that had.
        runs = sorted(newest_first, key=_foretold)
        good = next((run for run in runs if run.good), runs[0])
        old = runs[keep:] if keep is not None else [run for run in runs if str(run.as_of) < limit]
        gone += [place_of(reports, run) for run in old if run is not good]
    for kind in ("superseded", "failed"):
        aside = set_aside(reports, kind)
        for slug in {run.slug for _, run in aside}:
            same = [(folder, run) for folder, run in aside if run.slug == slug]
            old_ones = same[keep:] if keep is not None else [s for s in same if s[1].started_at[:10] < limit]
            gone += [folder for folder, _ in old_ones]
    return sorted(gone)


def _foretold(run: Manifest) -> bool:
    # A day's difference may be the time zone's.
    return bool(run.started_at) and run.as_of > date.fromisoformat(run.started_at[:10]) + timedelta(days=1)


def prune(reports: Path, folders: Sequence[Path]) -> list[str]:
    """Remove runs, each out of sight in one step before its files go. Returns the slugs left alone: they are locked."""
    by_slug: dict[str, list[Path]] = {}
    for folder in folders:
        if manifest := read_manifest(folder):
            by_slug.setdefault(manifest.slug, []).append(folder)
    bin_ = reports / ".staging" / "pruned"
    locked = []
    for slug, chosen in by_slug.items():
        with ExitStack() as held:
            try:
                held.enter_context(store.lock(reports, slug))
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
    if shop := holder(reports):
        rebuild(reports, shop=shop)
    return locked
