"""The index: every dated run of every report, what the newest ones say, what changed and why, and how good they were."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from crmlib import formats
from crmlib.report.memory import record as track
from crmlib.report.page import sparkline as spark
from crmlib.report.statuses import GOOD, STATUS_WORDS

OPEN_DAYS = 7  # newest days shown in full; older ones are folded by month
_KEPT = ("report", "variant", "title", "as_of", "status", "run_id", "started_at", "lead", "reason", "headlines")


def listed(manifest: Mapping[str, Any], *, slug: str, stands: bool) -> dict[str, Any]:
    """What the index keeps of a run; one that does not stand in its day lies under failed/."""
    place = f"{manifest['as_of']}/{slug}" if stands else f"failed/{manifest['run_id']}"
    changes = manifest.get("changes") or {}
    said = {key: changes.get(key, "") for key in ("since", "summary", "why")}
    return {key: manifest[key] for key in _KEPT} | {
        "data_through": manifest.get("data_through"),
        "do_first": manifest.get("do_first", ""),
        "stale": bool(manifest.get("stale")),
        "changes": said if changes else None,
        "path": f"{place}/report.html",
        "slug": slug,
    }


def trends(runs: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """By headline id, its line over the good runs of one report; `runs` are manifests or what the index keeps of them."""
    points: dict[str, list[spark.Point]] = {}
    last: dict[str, Mapping[str, Any]] = {}
    for run in sorted((run for run in runs if run["status"] in GOOD), key=lambda run: str(run["as_of"])):
        for tile in run["headlines"]:
            if tile.get("number") is not None:
                points.setdefault(tile["id"], []).append((date.fromisoformat(run["as_of"]), tile["number"]))
                last[tile["id"]] = tile
    return {
        id: spark.line(values, label=last[id]["label"], unit=last[id]["counted_in"], spread=last[id]["spread"])
        for id, values in points.items()
    }


def model(
    shop: Mapping[str, str], runs: Sequence[Mapping[str, Any]], manifests: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, Any]:
    """What the index shows. `runs` are listed, standing ones first and newest first; `manifests` by slug."""
    stood = [run for run in runs if not run["path"].startswith("failed/")]
    by_slug: dict[str, list[Mapping[str, Any]]] = {}
    for run in stood:
        by_slug.setdefault(run["slug"], []).append(run)
    newest = [_entry(slug, same) for slug, same in by_slug.items()]
    days: dict[str, list[dict[str, Any]]] = {}
    for run in stood:
        days.setdefault(run["as_of"], []).append(_row(run))
    shown = [
        {"day": rows[0]["day"], "short": _short(as_of, than=stood[0]["as_of"]), "month": _month(as_of), "runs": rows}
        for as_of, rows in days.items()
    ]
    count = f"{formats.number(len(stood))} run" + ("s" if len(stood) != 1 else "")
    through = max((run["data_through"] for run in stood if run["data_through"]), default=None)
    return {
        "shop": shop["name"],
        "summary": f"{count}, the newest as of {_day(stood[0]['as_of'])}" if stood else "No runs yet",
        "through": _day(through) if through else "",
        "stale": [entry["title"] for entry in newest if entry["stale"]],
        "newest": newest,
        "records": list(_records(newest, manifests)),
        "failed": [_row(run) | {"at": _moment(run["started_at"])} for run in runs if run["path"].startswith("failed/")],
        "days": shown[:OPEN_DAYS],
        "months": _by_month(shown[OPEN_DAYS:]),
    }


def _entry(slug: str, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    chosen = next((run for run in runs if run["status"] in GOOD), runs[0])
    good = chosen["status"] in GOOD
    lines = trends(runs)
    row = _row(chosen)
    return row | {
        "slug": slug,
        "anchor": f"newest-{slug}",
        "latest": f"latest/{slug}.html" if good else "",
        "newer": _row(runs[0]) if chosen is not runs[0] else None,
        "headlines": [tile | {"spark": lines.get(tile["id"])} for tile in row["headlines"]],
    }


def _records(
    newest: Iterable[Mapping[str, Any]], manifests: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Iterable[dict[str, Any]]:
    for entry in newest:
        record = track.record(manifests.get(entry["slug"], ()))
        if record is None:
            continue
        share = record.inside / record.banded if record.banded else None
        yield {
            "title": entry["title"],
            "link": entry["link"],
            "due": formats.number(record.due),
            "inside": f"{record.inside} of {record.banded}" if record.banded else formats.DASH,
            "share": formats.share(share) if share is not None else formats.DASH,
            "interval": formats.interval(record.low, record.high, "share") or formats.DASH,
            "bias": "; ".join(f"{line.label}: {line.bias}" for line in record.lines[:3]) or formats.DASH,
            "next": formats.day(record.next_due) if record.next_due else formats.DASH,
        }


def _by_month(days: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    months: dict[str, list[Mapping[str, Any]]] = {}
    for day in days:
        months.setdefault(day["month"], []).append(day)
    return [
        {"month": month, "days": inside, "count": sum(len(day["runs"]) for day in inside)}
        for month, inside in months.items()
    ]


def _row(run: Mapping[str, Any]) -> dict[str, Any]:
    title = f"{run['title']} ({run['variant']})" if run["variant"] else run["title"]
    changes = run.get("changes")
    return {
        "title": title,
        "link": run["path"],
        "day": _day(run["as_of"]),
        "status": run["status"],
        "word": STATUS_WORDS[run["status"]],
        "text": run["reason"] or run["lead"],
        # Runs of earlier versions of this workbook said nothing of changes.
        "headlines": [{"arrow": "", "change": ""} | tile for tile in run["headlines"]],
        "do_first": run.get("do_first", ""),
        "stale": run["stale"],
        "changes": changes | {"since": _day(changes["since"])} if changes else None,
    }


def _day(iso: str) -> str:
    return formats.day(date.fromisoformat(iso))


def _short(iso: str, *, than: str) -> str:
    """A day, with its year where that is not the newest run's."""
    return formats.day(date.fromisoformat(iso), year=iso[:4] != than[:4])


def _month(iso: str) -> str:
    return f"{date.fromisoformat(iso):%B %Y}"


def _moment(text: str) -> str:
    at = datetime.fromisoformat(text)
    return f"{formats.day(at.date())}, {at:%H:%M} UTC"
