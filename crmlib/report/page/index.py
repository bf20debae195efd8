"""The index: the owner's page over all reports, and the forwarding pages, derived from the runs that stand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from crmlib import formats
from crmlib.findings import AVERAGE, Action, Change, severest
from crmlib.report.folder import store
from crmlib.report.folder.manifest import (
    Manifest,
    dated_runs,
    place_of,
    set_aside,
    write_json,
    write_text,
)
from crmlib.report.memory import record
from crmlib.report.page.page import HEALTH
from crmlib.report.page.rules import validate
from crmlib.report.page.templates import render_template
from crmlib.report.page.tiles import ranked

SHOWN_FAILURES = 20
OPEN_DAYS = 7  # newest days of all runs; older ones are folded by month
OPEN_CHANGES, OPEN_ACTIONS = 4, 5
GLANCE = "glance.json"  # the picture and the numbers that a report lends to the index
LEADS = "overview"  # the report whose first screen the index takes where there is one
WEEK = "briefing"  # whose actions stand first
_NO_HISTORY = "not enough history"
_KEPT = ("report", "variant", "title", "as_of", "status", "run_id", "started_at", "headline", "reason", "tiles",
         "data_through", "stale", "slug")  # fmt: skip


def rebuild(reports: Path, *, shop: Mapping[str, str]) -> None:
    """Derive latest/, latest.json, index.json and index.html from the manifests there are."""
    with store.lock(reports, "index", wait=True):
        runs = dated_runs(reports)
        _write_latest(reports, runs)
        failed = list(_failures(reports, runs))
        listed = [_listed(run, path) for run, path in [*_placed(runs), *_placed(failed, stands=False)]]
        rows = ",\n".join(json.dumps(one, ensure_ascii=False, allow_nan=False) for one in listed)  # a line a run
        whose = json.dumps(dict(shop), ensure_ascii=False)
        write_text(reports / "index.json", f'{{"shop": {whose}, "runs": [\n{rows}\n]}}\n')
        html = render_template("index.html.j2", **model(shop, runs, failed, glance=_glance(reports, runs)))
        validate(html)
        write_text(reports / "index.html", html)


def siblings(
    reports: Path, *, slug: str, as_of: date, planned: Iterable[tuple[str, str, str]] = ()
) -> list[tuple[str, str, bool]]:
    """The line of links on a report's page: title, link, is it this one; in the order of the notebooks.

    The same day's page where it stands, else the newest good one. `planned` are order, slug and title of the reports
    run with this one: one that has nothing to show yet leads to the index, which is always there.
    """
    found: dict[str, tuple[str, str, str]] = {}
    for run in dated_runs(reports):
        same = run.as_of == as_of
        if run.slug not in found and (same or run.good):
            where = f"../{run.slug}/report.html" if same else f"../../latest/{run.slug}.html"
            found[run.slug] = (run.order, _title(run), where)
    for order, name, title in planned:
        found.setdefault(name, (order, title, f"../../index.html#{name}"))
    pages = sorted(found.items(), key=lambda page: (page[1][0], page[0]))
    links = [(title, "report.html" if name == slug else link, name == slug) for name, (_, title, link) in pages]
    return [("Overview", "../../index.html", False), *links]


def model(
    shop: Mapping[str, str],
    runs: Sequence[Manifest],
    failed: Sequence[Manifest] = (),
    *,
    glance: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What the index shows of runs that stand, newest first, and of failures that no later run made good."""
    by_slug: dict[str, list[Manifest]] = {}
    for run in runs:
        by_slug.setdefault(run.slug, []).append(run)
    newest = [next((run for run in same if run.good), same[0]) for same in by_slug.values()]
    answers = [run for run in newest if run.good]
    as_of = max((run.as_of for run in runs), default=None)
    asked = [(place, action, run) for run in answers for place, action in enumerate(run.actions)]
    # The week's own first; then what goes worse for most or is worth most, told in orders.
    ranks = sorted(severest(asked, order=_order(answers)), key=lambda one: one[2].report != WEEK)
    actions: dict[str, tuple[Action, Manifest]] = {}
    for _, action, run in ranks:  # what two reports ask for stands once
        actions.setdefault(action.what, (action, run))
    soonest = sorted(list(actions.values())[:OPEN_ACTIONS], key=lambda one: one[0].by or date.max)
    through = max((date.fromisoformat(run.data_through) for run in answers if run.data_through), default=None)
    days = list(dict.fromkeys(run.as_of for run in runs))[:OPEN_DAYS]
    older = groupby(
        (pair for pair in _placed(runs) if pair[0].as_of not in days), lambda pair: f"{pair[0].as_of:%B %Y}"
    )
    return {
        "shop": shop["name"],
        "as_of": as_of,
        "through": through if through and as_of and through < as_of - timedelta(days=1) else None,
        "glance": glance,
        "tiles": _tiles(glance) if answers else [],
        # Sales stand here once the report that lends them has run; before that there is nothing to say of them.
        "invite": bool(answers) and not glance and not any(run.report == HEALTH for run in runs),
        "changes": _changed(answers),
        "quiet": "Nothing stands out." if _comparable(answers, by_slug) else "Not enough history to compare.",
        "actions": [(action, _list(action, run)) for action, run in soonest],
        "ahead": next((line for run in answers for line in run.ahead), ""),
        # Each with the run without an answer that came after it, if one did.
        "reports": [(run, path, by_slug[run.slug][0]) for run, path in _placed(newest)],
        "records": [(run, path, kept) for run, path in _placed(answers)
                    if (kept := record.record(by_slug[run.slug])) and kept.due],
        "failed": list(_placed(failed, stands=False)),
        "days": days,
        "recent": [pair for pair in _placed(runs) if pair[0].as_of in days],
        "months": [(month, list(pairs)) for month, pairs in older],
    }  # fmt: skip


def _changed(answers: Iterable[Manifest]) -> list[Change]:
    """What moved most over all reports, and what improved among it where anything did; nothing that chance explains."""
    lines = [line for run in answers for line in ranked(run.changes, run) if line.size > 0]
    lines.sort(key=lambda line: -line.size)
    kept, rest = lines[:OPEN_CHANGES], lines[OPEN_CHANGES:]
    if not any(line.better for line in kept):
        kept[OPEN_CHANGES - 1 :] = next(([line] for line in rest if line.better), kept[OPEN_CHANGES - 1 :])
    return kept


def _order(answers: Iterable[Manifest]) -> float:
    """What an order comes to, as a tile says it; 0 where none does."""
    tiles = (tile for run in answers for tile in run.tiles if tile.get("id") == AVERAGE)
    return float(next(tiles, {}).get("number") or 0.0)


def _tiles(glance: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Sales of the last complete month and of twelve months, as the report with the picture says them; all that the
    one that leads says."""
    lent = (glance or {}).get("tiles", ())
    money = [tile for tile in lent if len(unit := tile["counted_in"]) == 3 and unit.isupper()]
    tiles = [dict(tile) for tile in (lent if (glance or {}).get("leads") else money[:2])]
    empty = dict.fromkeys(("unit", "interval", "note", "arrow", "change", "spark"), "")
    return [empty | tile | ({} if tile["value"] not in ("", formats.NOTHING) else {"value": _NO_HISTORY})
            for tile in tiles]  # fmt: skip


def _comparable(answers: Iterable[Manifest], by_slug: Mapping[str, Sequence[Manifest]]) -> bool:
    """Has any report a number beside its like, or an earlier good run?"""
    return any(
        any(tile.get("change") for tile in run.tiles)
        or any(other.good and other is not run for other in by_slug[run.slug])
        for run in answers
    )


def _list(action: Action, run: Manifest) -> str:
    """Where an action's list lies, if it is there."""
    return f"{run.as_of}/{run.slug}/{action.file}" if action.file in run.files else ""


def _title(run: Manifest) -> str:
    return f"{run.title} ({run.variant})" if run.variant else run.title


def _placed(runs: Iterable[Manifest], *, stands: bool = True) -> Iterator[tuple[Manifest, str]]:
    """Runs with the path of their page; one that does not stand in its day lies under failed/."""
    for run in runs:
        place = f"{run.as_of}/{run.slug}" if stands else f"failed/{run.run_id}"
        yield run, f"{place}/{run.page}"


def _listed(run: Manifest, path: str) -> dict[str, Any]:
    """What index.json keeps of a run."""
    tiles = [{name: value for name, value in tile.items() if name != "spark"} for tile in run.tiles]
    return {key: getattr(run, key) for key in _KEPT} | {"as_of": str(run.as_of), "tiles": tiles, "path": path}


def _glance(reports: Path, runs: Iterable[Manifest]) -> dict[str, Any] | None:
    """What the newest good run that has one lends; of one day's, that of the report that leads."""
    for run in sorted(runs, key=lambda run: (-run.as_of.toordinal(), run.report != LEADS)):
        try:
            if run.good:
                found: dict[str, Any] = json.loads((place_of(reports, run) / GLANCE).read_text(encoding="utf-8"))
                return found
        except (OSError, ValueError):
            continue
    return None


def _write_latest(reports: Path, runs: Iterable[Manifest]) -> None:
    newest: dict[str, Manifest] = {}
    for run in runs:
        if run.good:
            newest.setdefault(run.slug, run)
    folder, said = reports / "latest", {}
    for slug, run in sorted(newest.items()):
        path = f"{run.as_of}/{slug}/report.html"
        said[slug] = {"as_of": run.as_of.isoformat(), "status": run.status, "run_id": run.run_id, "path": path}
        day = formats.day(run.as_of)
        html = render_template("forward.html.j2", title=run.title, target=f"../{path}", as_of=day)
        validate(html)
        write_text(folder / f"{slug}.html", html)
    for stray in folder.glob("*.html"):
        if stray.stem not in newest:
            stray.unlink()
    if said or (reports / "latest.json").exists():
        write_json(reports / "latest.json", said)


def _failures(reports: Path, runs: Iterable[Manifest]) -> Iterator[Manifest]:
    """Failed runs that no later run of the same report and day has made good, newest first."""
    good = {(run.slug, run.as_of): run.started_at for run in runs}
    seen: set[tuple[str, date]] = set()
    for _, run in set_aside(reports, "failed"):
        key = (run.slug, run.as_of)
        if key not in seen and run.started_at > good.get(key, ""):
            yield run
        seen.add(key)
        if len(seen) == SHOWN_FAILURES:
            return
