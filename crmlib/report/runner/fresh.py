"""Is a report up to date, and if not, what has changed since the run that stands?

A run made from the same would write the same again, so it is spared. Whatever cannot be told counts as changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crmlib.report.folder.manifest import Manifest, damage, read_manifest
from crmlib.report.memory.provenance import changed
from crmlib.report.parameters import Report, Value
from crmlib.report.plan import Plan

SHOWN = 3  # changed packages that a reason names
_WORDS = {
    "notebook": "the notebook changed",
    "code": "the code changed",
    "engine": "the engine changed",
    "memory": "earlier runs changed or came in",
    "others": "reports that it reads were run anew",
}


def standing(plan: Plan, report: Report) -> tuple[Path, Manifest | None]:
    """Where the report's run of this day stands, or would, and its manifest."""
    place = plan.reports / plan.as_of.isoformat() / plan.slug(report)
    return place, read_manifest(place)


def why(plan: Plan, report: Report, values: Mapping[str, Value], made: Mapping[str, Any]) -> list[str]:
    """The reasons for a run, in words; none when the run that stands is up to date and whole."""
    place, manifest = standing(plan, report)
    if manifest is None:
        return ["no run of this day yet"]
    if plan.force:
        return ["--force"]
    was = manifest.made_from
    if not was:
        return ["the run that stands does not say what it was made from"]
    reasons = [*changed(was.get("inputs", {}), made["inputs"], show=False), *changed(manifest.parameters, values)]
    reasons += [words for key, words in _WORDS.items() if was.get(key) != made.get(key)]
    packages = list(changed(was.get("environment", {}), made["environment"]))
    reasons += packages[:SHOWN] + ([f"{len(packages) - SHOWN} more packages"] if len(packages) > SHOWN else [])
    return reasons or [f"{path} {fault}" for path, fault in damage(place, manifest)]
