"""From what a run left behind to a published report, or to a failure with a page that says why."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from crmlib import errors
from crmlib.errors import CrmError, RunError, TimeOut
from crmlib.report.folder import store as publish
from crmlib.report.memory import changes as history
from crmlib.report.memory import record as track
from crmlib.report.page import index as overview
from crmlib.report.page import page, summary
from crmlib.report.page import privacy as personal
from crmlib.report.page.rules import validate
from crmlib.report.parameters import Report, Value
from crmlib.report.statuses import GOOD


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one report's run ended. `path` is its page, the failure's page included; None when it never began.

    `status` is the manifest's, or 'locked', or 'up_to_date' where the run that stands was left as it is.
    """

    report: str
    status: str
    exit_code: int
    message: str = ""
    path: Path | None = None
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What every report of a run shares. `shop` is the folder, relative to `project`; `engine` works on its tables.

    `timeout` is for a whole notebook, `cell_timeout` for each of its cells, both in seconds; 0 is no limit of its own.
    With `force` a report is run though it is up to date.
    """

    project: Path
    reports: Path
    shop: str
    shop_name: str
    as_of: date
    engine: str = ""
    variant: str = ""
    timeout: float = 1800.0
    cell_timeout: float = 0.0
    force: bool = False

    @property
    def address(self) -> str:
        """The shop as the notebooks get it: its folder, after the engine where one was asked for."""
        return f"{self.engine}:{self.shop}" if self.engine else self.shop

    @property
    def holder(self) -> dict[str, str]:
        """The shop as the reports folder remembers it."""
        return {"name": self.shop_name, "folder": self.shop}

    @property
    def scrub(self) -> list[tuple[str, str]]:
        """Local paths that must not travel, and what stands for them."""
        home = str(Path.home())
        pairs = [(f"{self.project}/", "")]
        return pairs + ([(f"{home}/", "~/")] if home != "/" else [])


@dataclass(kw_only=True)
class Job:
    number: int
    report: Report
    run_id: str
    staging: Path
    values: Mapping[str, Value]
    held: ExitStack
    started: datetime
    made_from: Mapping[str, Any] = field(default_factory=dict)
    clock: float = 0.0
    cell: int = 0
    cell_clock: float = 0.0
    source: str = ""
    overdue: str = ""
    killed_at: float = 0.0
    log: list[dict[str, Any]] = field(default_factory=list)

    def scrub(self, plan: Plan) -> list[tuple[str, str]]:
        """Local paths that must not travel, and what stands for them."""
        return [(f"{self.staging}/", ""), (str(self.staging), ""), *plan.scrub]


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    version: str
    commit: str
    changed: bool
    packages: Mapping[str, str]

    @staticmethod
    def look(project: Path) -> Surroundings:
        from importlib import metadata

        try:
            version, needs = metadata.version("crmlib"), metadata.requires("crmlib") or []
        except metadata.PackageNotFoundError:
            version, needs = "unknown", ["papermill", "nbconvert", "pandas"]
        names = sorted({_distribution(need) for need in needs if "extra ==" not in need})
        packages = {"python": ".".join(map(str, sys.version_info[:3]))}
        for name in names:
            try:
                packages[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        commit = _git(project, "rev-parse", "--short=12", "HEAD")
        changed = bool(commit and _git(project, "status", "--porcelain", "--", "crmlib", "notebooks"))
        return Surroundings(version=version, commit=commit, changed=changed, packages=packages)

    @property
    def sentence(self) -> str:
        commit = f", commit {self.commit}" if self.commit else ""
        return f"Code: crmlib {self.version}{commit}{', with changes not committed' if self.changed else ''}."


def _distribution(need: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", need)
    return match[0] if match else need


def _git(project: Path, *args: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(project), *args],
            capture_output=True,
            text=True,
            timeout=10,
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def finish(job: Job, event: Mapping[str, Any], plan: Plan, around: Surroundings) -> Outcome:
    seconds = time.monotonic() - job.clock
    history.clear_due(job.staging)
    outcome = _settle(job, event, seconds, plan, around)
    try:
        publish.rebuild(plan.reports, shop=plan.holder)
    except Exception as broken:
        message = f"{outcome.message} The index could not be rebuilt: {type(broken).__name__}: {broken}".strip()
        return replace(outcome, exit_code=outcome.exit_code or getattr(broken, "exit_code", 1), message=message)
    return outcome


def _settle(job: Job, event: Mapping[str, Any], seconds: float, plan: Plan, around: Surroundings) -> Outcome:
    try:
        notebook = _read_executed(job, plan)
        payload = page.published(notebook) if notebook else None
        error = _error(job, event, notebook, payload, plan)
        if error is None or error.exit_code == 0:
            target = _publish(job, notebook or {"cells": []}, payload or {}, error, seconds, plan, around)
            return Outcome(report=job.report.name, status=_status(payload or {}, error), exit_code=0,
                           message=str(error or ""), path=target / "report.html", seconds=seconds)  # fmt: skip
    except CrmError as refused:
        error = refused
    except Exception as broken:
        # A full disk, or a fault of our own: this run failed, the others go on.
        error = RunError(f"the report could not be published: {type(broken).__name__}: {broken}")
    return _fail(job, error, event, seconds, plan, around)


def _read_executed(job: Job, plan: Plan) -> dict[str, Any] | None:
    """The executed notebook without the staging folder's name and without personal data, and rewritten so."""
    path = job.staging / "executed.ipynb"
    try:
        # What an analyst showed is for whoever ran it: no web server that publishes the folder should hand it out.
        path.chmod(0o600)
        text = path.read_text(encoding="utf-8")
    except OSError:
        return None
    for place, instead in job.scrub(plan):
        text = text.replace(json.dumps(place, ensure_ascii=False)[1:-1], instead)
    notebook: dict[str, Any] = json.loads(text)
    notebook["cells"] = [
        cell for cell in notebook["cells"] if "papermill-error-cell-tag" not in cell.get("metadata", {}).get("tags", [])
    ]
    personal.clean(notebook)
    made = notebook["metadata"].get("papermill", {})
    made.update(input_path=job.report.notebook.name, output_path="executed.ipynb")
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return notebook


def _error(
    job: Job, event: Mapping[str, Any], notebook: Mapping[str, Any] | None, payload: object, plan: Plan
) -> CrmError | None:
    """Why a run is no published report, as the error it stands for; None when it is one."""
    where = f"cell {job.cell}" if job.cell else "the start of the kernel"
    if job.overdue == "cell":
        return TimeOut(f"{where} of {job.report.name} took longer than {page.duration(plan.cell_timeout)}")
    if job.overdue:
        return TimeOut(f"{job.report.name} took longer than {page.duration(plan.timeout)} and was stopped in {where}")
    if event["event"] == "gone":
        return RunError(f"the process that ran {job.report.name} ended at {where}")
    said = event.get("error")
    if said is None and payload is None:
        stopped = [output for cell in (notebook or {"cells": []})["cells"] for output in cell.get("outputs", [])
                   if output["output_type"] == "error"]  # fmt: skip
        if stopped:
            return RunError(f"{stopped[0].get('ename')} in {where} ended the notebook before its last cell")
        return RunError("the notebook ran, but its last cell published no findings: end it with crm.publish(…)")
    if said is None:
        return None
    if said["kind"] == "kernel":
        return RunError(f"the kernel died in {where}: out of memory, or killed from outside")
    if said["kind"] == "notebook":
        return RunError(said["evalue"])
    kind = getattr(errors, str(said["ename"]), None) if said["kind"] == "cell" else None
    if isinstance(kind, type) and issubclass(kind, CrmError):
        return kind(said["evalue"])
    return RunError(f"{said['ename']} in {where}: {said['evalue']}")


def _status(payload: Mapping[str, Any], error: CrmError | None) -> str:
    if error:
        return error.status
    status = str(payload["status"])
    # A failed check and a clean status cannot both be true.
    failed = any(check["verdict"] == "failed" for check in payload.get("checks", []))
    return "warnings" if failed and status == "published" else status


def _publish(
    job: Job,
    notebook: Mapping[str, Any],
    payload: Mapping[str, Any],
    error: CrmError | None,
    seconds: float,
    plan: Plan,
    around: Surroundings,
) -> Path:
    status, reason = _status(payload, error), page.plain(str(error), job.scrub(plan)) if error else ""
    _keep_predictions(job, payload)
    _restrict_lists(job.staging)
    rows = payload.get("rows", {})
    files = {path: rows.get(Path(path).stem) for path in _files(job.staging, "tables", "lists")}
    files.pop(track.PREDICTIONS, None)
    facts = _facts(job, plan, around, status=status, reason=reason, seconds=seconds, files=files)
    _write_metrics(job, payload, status, plan)
    manifest = _manifest(job, facts, payload, plan, around)
    facts = _with_memory(job, facts, manifest, payload, plan)
    html = page.render(notebook, facts, scrub=job.scrub(plan))
    notes = validate(html)
    for note in notes:
        job.log.append({"event": "warning", "at": time.time(), "text": note})
    for display in page.dropped(notebook):
        job.log.append({"event": "dropped", "at": time.time(), **display})
    (job.staging / "report.html").write_text(html, encoding="utf-8")
    manifest |= {"headlines": page.headlines(payload, facts.changes),
                 "changes": facts.changes.to_json() if facts.changes else None}  # fmt: skip
    publish.write_text(job.staging / "summary.txt", summary.of_report(facts, payload))
    job.log.append({"event": "published", "at": time.time(), "status": status})
    _write_log(job, plan)
    manifest |= {
        "files": {path: publish.fingerprint(job.staging / path) for path in _files(job.staging, ".", "tables", "lists")}
    }
    if status == "not_available" and _stands_good(manifest, plan):
        # A table that is missing today is no answer, and takes no answer's place.
        return publish.keep_failure(plan.reports, job.staging, manifest | {"files": {}}, html=html)
    return publish.publish(plan.reports, job.staging, manifest)


def _keep_predictions(job: Job, payload: Mapping[str, Any]) -> None:
    """What this run says of the days ahead, kept beside its lists for the run that will grade it."""
    if payload.get("predictions"):
        publish.write_json(job.staging / track.PREDICTIONS, payload["predictions"])


def _with_memory(
    job: Job, facts: page.Facts, manifest: Mapping[str, Any], payload: Mapping[str, Any], plan: Plan
) -> page.Facts:
    """The facts with what changed since the last comparable run, and how headlines and predictions did over all runs."""
    slug = publish.slug_of(job.report.name, plan.variant)
    runs = [manifest, *publish.earlier_runs(plan.reports, slug, plan.as_of)]
    facts = replace(facts, record=track.record(runs), trends=overview.trends(runs))
    before = history.last_comparable(plan.reports, slug, as_of=plan.as_of)
    if before is None or facts.status not in GOOD:
        return facts
    now = history.present(job.staging, manifest)
    return replace(facts, changes=history.compare(before, now, watches=payload.get("watches", ())))


def _stands_good(manifest: Mapping[str, Any], plan: Plan) -> bool:
    held = publish.read_manifest(publish.place_of(plan.reports, manifest))
    return held is not None and held["status"] in GOOD


def _fail(
    job: Job, error: CrmError, event: Mapping[str, Any], seconds: float, plan: Plan, around: Surroundings
) -> Outcome:
    status = error.status if error.status in ("failed", "refused") else "failed"
    message = page.plain(str(error), job.scrub(plan))
    said = event.get("error") or {}
    facts = _facts(job, plan, around, status=status, reason=message, seconds=seconds, files={})
    job.log.append({"event": "failed", "at": time.time(), "status": status, "text": message})
    path = None
    try:
        html = page.render_failure(facts, message=message, cell=str(said.get("source") or job.source),
                                   traceback=str(said.get("traceback") or ""), scrub=job.scrub(plan))  # fmt: skip
        validate(html)
        publish.write_text(job.staging / "summary.txt", summary.of_failure(facts))
        _write_log(job, plan)
        manifest = _manifest(job, facts, {}, plan, around) | {"files": {}}
        path = publish.keep_failure(plan.reports, job.staging, manifest, html=html) / "report.html"
    except (OSError, CrmError) as also:
        message = f"{message} (and its page could not be written: {also})"
    return Outcome(report=job.report.name, status=status, exit_code=error.exit_code or 1, message=message,
                   path=path, seconds=seconds)  # fmt: skip


def _facts(
    job: Job,
    plan: Plan,
    around: Surroundings,
    *,
    status: str,
    reason: str,
    seconds: float,
    files: Mapping[str, int | None],
) -> page.Facts:
    parameters = [
        {"name": p.name, "value": _shown(job.values[p.name]), "default": _shown(p.default),
         "help": f"{p.help} ({p.allowed})" if p.allowed else p.help}
        for p in job.report.parameters if p.name in job.values
    ]  # fmt: skip
    return page.Facts(
        run_id=job.run_id, report=job.report.name, title=job.report.title, as_of=plan.as_of, status=status,
        shop_name=plan.shop_name, variant=plan.variant, reason=reason, seconds=seconds, parameters=parameters,
        code=around.sentence, packages=around.packages, command=_command(job, plan), files=files,
    )  # fmt: skip


def _command(job: Job, plan: Plan) -> str:
    """What reproduces this run: every value that is not the notebook's own default."""
    words = ["crm", "run", job.report.name, "--shop", plan.address, "--as-of", plan.as_of.isoformat()]
    words += ["--variant", plan.variant] if plan.variant else []
    for name, value in job.values.items():
        if value != job.report[name].default:
            words += ["-p", f"{name}={_shown(value)}"]
    return shlex.join(words)


def _shown(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _write_metrics(job: Job, payload: Mapping[str, Any], status: str, plan: Plan) -> None:
    keys = ("id", "label", "value", "unit", "n", "low", "high", "definition")
    metrics = [{key: page.finite(metric.get(key)) for key in keys} for metric in payload.get("metrics", [])]
    said = {"report": job.report.name, "as_of": plan.as_of.isoformat(), "status": status, "metrics": metrics}
    publish.write_json(job.staging / "metrics.json", said)


def _manifest(
    job: Job, facts: page.Facts, payload: Mapping[str, Any], plan: Plan, around: Surroundings
) -> dict[str, Any]:
    shop = payload.get("shop", {})
    return {
        "run_id": job.run_id,
        "report": job.report.name,
        "variant": plan.variant,
        "title": job.report.title,
        "order": job.report.notebook.name[:2],
        "as_of": plan.as_of.isoformat(),
        "status": facts.status,
        "reason": facts.reason,
        "lead": payload.get("lead", ""),
        "do_first": summary.first_action(payload),
        "headlines": page.headlines(payload),
        "shop": plan.holder,
        "data_through": shop.get("data_through"),
        "stale": bool(shop.get("stale")),
        "parameters": dict(job.values),
        "made_from": dict(job.made_from),
        "inputs": shop.get("tables", []),
        "rows": payload.get("rows", {}),
        "predicts": sorted(said["end"] for said in payload.get("predictions", ())),
        "grades": [grade | {"actual": page.finite(grade["actual"])} for grade in payload.get("grades", ())],
        "page": "report.html",
        "summary": "summary.txt",
        "started_at": job.started.isoformat(timespec="milliseconds"),
        "seconds": round(facts.seconds, 2),
        "command": facts.command,
        "code": {"version": around.version, "commit": around.commit, "changed": around.changed,
                 "notebook": publish.fingerprint(job.report.notebook)["sha256"]},
        "packages": dict(around.packages),
    }  # fmt: skip


def _restrict_lists(staging: Path) -> None:
    lists = staging / "lists"
    if lists.is_dir():
        lists.chmod(0o700)
        for file in lists.iterdir():
            file.chmod(0o600)


def _files(staging: Path, *folders: str) -> list[str]:
    return sorted(
        path.relative_to(staging).as_posix()
        for folder in folders
        for path in (staging / folder).glob("*")
        if path.is_file() and path.name != "manifest.json"
    )


def _write_log(job: Job, plan: Plan) -> None:
    lines = []
    for event in job.log:
        at = datetime.fromtimestamp(event["at"], UTC).isoformat(timespec="milliseconds")
        # A traceback may quote the data; it stands on the failure's page, not in a log that travels.
        error = (
            {"error": {k: v for k, v in event["error"].items() if k in ("kind", "ename")}} if event.get("error") else {}
        )
        lines.append(page.plain(json.dumps({**event, "at": at, **error}, ensure_ascii=False), job.scrub(plan)))
    publish.write_text(job.staging / "run.log.jsonl", "".join(line + "\n" for line in lines))
