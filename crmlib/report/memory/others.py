"""What the other reports have published by a day, for a report that runs after them and reads it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from crmlib.publishing import PUBLISHED_FILE
from crmlib.report.folder.manifest import Manifest, dated_runs, earlier_runs, place_of, write_json
from crmlib.report.memory import record
from crmlib.report.plan import Plan

AGO = (1, 12)  # months before the newest run from which one more is told, where there is one


def seen(plan: Plan, own: str, values: Mapping[str, Any]) -> list[Manifest]:
    """The runs that a report may read: of each other one the newest good run of the day or before, of the same segment
    and of its variant or of none, and the newest of a month and a year before that day. None that itself reads others:
    two of those would each make the other out of date."""
    found: dict[tuple[str, int], Manifest] = {}
    for run in dated_runs(plan.reports):
        same = run.variant in ("", plan.variant) and run.parameters.get("segment", "") == values.get("segment", "")
        if run.good and same and run.report != own and "others" not in run.made_from:
            for months in (0, *AGO):
                if run.as_of <= _before(plan.as_of, months):
                    found.setdefault((run.report, months), run)
    return list({run.run_id: run for run in found.values()}.values())


def memory(runs: list[Manifest]) -> str:
    """A hash of what was read: another run of any of them makes what was made from it out of date."""
    return hashlib.sha256(json.dumps(sorted(run.run_id for run in runs)).encode()).hexdigest()


def lay(plan: Plan, runs: list[Manifest], out: Path) -> None:
    """Put what they published where the notebook looks for it; the format is what `crmlib.publishing` reads."""
    write_json(out / PUBLISHED_FILE, list(_told(plan.reports, runs)))


def _told(reports: Path, runs: list[Manifest]) -> Iterator[dict[str, Any]]:
    for run in runs:
        folder = place_of(reports, run)
        try:
            metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["metrics"]
        except (OSError, ValueError, KeyError):
            continue  # damaged: `crm verify` tells
        yield {"report": run.report, "title": run.title, "as_of": str(run.as_of), "headline": run.headline,
               "metrics": metrics, "actions": run.to_json()["actions"], "folder": str(folder.resolve()),
               "record": [vars(line) for line in kept.lines] if (kept := _record(reports, run)) else []}  # fmt: skip


def _record(reports: Path, run: Manifest) -> record.Record | None:
    """What became of all that the report has said by that day."""
    return record.record([run, *earlier_runs(reports, run.slug, run.as_of)])


def _before(day: date, months: int) -> date:
    """The same day so many months before, or the month's last."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month + 1, min(day.day, last))
        except ValueError:
            continue
    raise AssertionError(day)
