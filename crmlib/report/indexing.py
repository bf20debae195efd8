"""The index and the forwarding pages, derived from the manifests there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from crmlib import formats
from crmlib.report.folder.manifest import Manifest, dated_runs, set_aside, write_json, write_text
from crmlib.report.folder.store import lock
from crmlib.report.page import index, page
from crmlib.report.page.rules import validate

SHOWN_FAILURES = 20


def rebuild(reports: Path, *, shop: Mapping[str, str]) -> None:
    """Derive latest/, latest.json, index.json and index.html from the manifests there are."""
    with lock(reports, "index", wait=True):
        runs = dated_runs(reports)
        _write_latest(reports, runs)
        listed = [index.listed(_said(run), slug=run.slug, stands=True) for run in runs]
        listed += [index.listed(_said(run), slug=run.slug, stands=False) for run in _failures(reports, runs)]
        write_json(reports / "index.json", {"shop": dict(shop), "runs": listed})
        by_slug: dict[str, list[Any]] = {}
        for run in runs:
            by_slug.setdefault(run.slug, []).append(run)
        html = page.render_template("overview.html.j2", **index.model(shop, listed, by_slug))
        validate(html)
        write_text(reports / "index.html", html)


def _said(run: Manifest) -> dict[str, Any]:
    first = run.actions[0].what if run.actions else ""
    return run.to_json() | {
        "lead": run.headline,
        "headlines": list(run.tiles),
        "changes": run.compared,
        "do_first": first,
    }


def _write_latest(reports: Path, runs: list[Manifest]) -> None:
    newest: dict[str, Manifest] = {}
    for run in runs:
        if run.good:
            newest.setdefault(run.slug, run)
    folder, said = reports / "latest", {}
    for slug, run in sorted(newest.items()):
        path = f"{run.as_of}/{slug}/report.html"
        said[slug] = {"as_of": str(run.as_of), "status": run.status, "run_id": run.run_id, "path": path}
        target = {"title": run.title, "target": f"../{path}", "as_of": formats.day(run.as_of)}
        html = page.render_template("forward.html.j2", **target)
        validate(html)
        write_text(folder / f"{slug}.html", html)
    for stray in folder.glob("*.html"):
        if stray.stem not in newest:
            stray.unlink()
    if said or (reports / "latest.json").exists():
        write_json(reports / "latest.json", said)


def _failures(reports: Path, runs: list[Manifest]) -> Iterator[Manifest]:
    """Failed runs that no later run of the same report and day has made good, newest first."""
    good = {(run.slug, run.as_of): run.started_at for run in runs}
    seen = set()
    for _, run in set_aside(reports, "failed"):
        key = (run.slug, run.as_of)
        if key not in seen and run.started_at > good.get(key, ""):
            yield run
        seen.add(key)
        if len(seen) == SHOWN_FAILURES:
            return
