"""The numbers beside the headline: value, how it moved, its small line; the same for the manifest and the index."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from crmlib import formats, wording
from crmlib.findings import Change, Findings, Metric, from_json
from crmlib.report.page import sparkline

if TYPE_CHECKING:
    from crmlib.report.memory.changes import Changes

UP, DOWN = "▲", "▼"
MOST_CHANGES = 4  # periods that a page compares
# Where lines without a size of their own stand among those that have one, 0 to 1.
_MISSED, _CAME, _WENT = 0.5, 0.4, 0.3


def headlines(
    payload: Mapping[str, Any] | Findings,
    changes: Changes | None = None,
    trends: Mapping[str, Mapping[str, str]] | None = None,
) -> list[dict[str, Any]]:
    """The tiles as text: moved against the comparable period where there is one, else since the last comparable run."""
    if not isinstance(payload, Findings):
        payload = from_json(payload) if payload else Findings(report="", headline="", parts=())
    return [tile(metric, changes, (trends or {}).get(metric.id)) for metric in payload.tiles]


def tile(metric: Metric, changes: Changes | None = None, trend: Mapping[str, str] | None = None) -> dict[str, Any]:
    """One number as a tile."""
    estimate, unit = metric.estimate, metric.unit
    text = metric.said or (formats.with_sign(estimate.text, metric.value) if metric.signed else estimate.text)
    there = text != formats.NOTHING
    arrow, moved = _moved(metric, changes)
    low, high = metric.low, metric.high
    line = [(date.fromisoformat(day), value) for day, value in metric.history if finite(value) is not None]
    return {
        "id": metric.id,
        "label": metric.label,
        "value": text,
        "unit": _unit(metric) if there else "",
        "interval": estimate.between if metric.spread else "",
        "note": "" if moved and there else metric.note,
        "arrow": arrow,
        "change": moved,
        "number": finite(metric.value),
        "counted_in": unit,
        "spread": high - low if low is not None and high is not None and math.isfinite(high - low) else 0.0,
        "running": metric.running,
        "spark": sparkline.line(line, label=metric.label, unit=unit, steps="periods") or trend or {},
    }


def _moved(metric: Metric, changes: Changes | None) -> tuple[str, str]:
    """An arrow and how the number moved; both empty where there is nothing to compare with."""
    if metric.before is not None and metric.value is not None:
        against = metric.against or "the period before"
        if metric.low is not None and metric.high is not None and metric.low <= metric.before <= metric.high:
            return "", f"about the same as {against}"
        words = wording.change(metric.value, metric.before, metric.unit, against=against)
        up = metric.value > metric.before
        return ("" if words.startswith("unchanged") else UP if up else DOWN), words
    moved = changes.metrics.get(metric.id) if changes and not metric.running else None
    if changes is None or moved is None or not moved.moved:
        return "", ""
    return moved.arrow, f"{moved.words} since {formats.day(changes.since, year=False)}"


def _unit(metric: Metric) -> str:
    """What is counted, where the label does not say so."""
    unit = metric.unit.replace("_", " ")
    if metric.unit in ("share", "index", "") or (len(unit) == 3 and unit.isupper()):
        return ""
    if unit.rstrip("s").casefold() in metric.label.replace("_", " ").casefold():
        return ""
    return unit if metric.value != 1 else "person" if unit == "people" else unit.rstrip("s")


def trends(runs: Iterable[Any]) -> dict[str, dict[str, str]]:
    """By tile id, its line over the good runs of one report, told by their manifests; none for running totals."""
    points: dict[str, list[sparkline.Point]] = {}
    last: dict[str, Mapping[str, Any]] = {}
    for run in sorted((run for run in runs if run.good), key=lambda run: run.as_of):
        for shown in run.tiles:
            if shown.get("number") is not None and not shown.get("running"):
                points.setdefault(shown["id"], []).append((run.as_of, shown["number"]))
                last[shown["id"]] = shown
    return {
        id: sparkline.line(values, label=last[id]["label"], unit=last[id]["counted_in"], spread=last[id]["spread"])
        for id, values in points.items()
    }


def ranked(periods: Iterable[Change], between: Any) -> list[Change]:
    """What changed, the largest first: forecasts that missed, periods beside their like, and
    findings that came or went between two runs (`between`, which may be None)."""
    lines = [Change(text=text, size=_MISSED) for text in getattr(between, "missed", ())]
    lines += sorted(periods, key=lambda line: -line.size)[:MOST_CHANGES]
    for found, size in (("came", _CAME), ("went", _WENT)):
        lines += [Change(text=text, size=size) for text in getattr(between, found, ())]
    return sorted(lines, key=lambda line: -line.size)


def duration(seconds: float) -> str:
    """A length of time as one says it."""
    return f"{seconds:.1f} seconds" if seconds < 90 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def finite(value: Any) -> Any:
    """A number as JSON allows it: None where it is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
