"""From what a run left behind to a published report, or to a failure with a page that says why."""

from __future__ import annotations

import json
import os
import shlex
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crmlib import errors, masking
from crmlib.errors import CrmError, RunError, TimeOut
from crmlib.findings import Findings, from_json
from crmlib.report import erasing
from crmlib.report.folder import kept, store
from crmlib.report.folder.manifest import (
    Manifest,
    earlier_runs,
    fingerprint,
    place_of,
    read_manifest,
    sha256,
    write_json,
    write_text,
)
from crmlib.report.memory import changes, record
from crmlib.report.memory.provenance import Surroundings
from crmlib.report.page import index, page, privacy, summary, tiles
from crmlib.report.page.rules import validate
from crmlib.report.parameters import Value
from crmlib.report.plan import Job, Outcome, Plan
from crmlib.report.statuses import GOOD

MOST_ACTIONS = 5  # kept in a manifest
WHOLE = "error.txt"  # in a failed run's folder: the error with its own words
_METRIC = ("id", "label", "value", "unit", "n", "low", "high", "definition")


@dataclass(frozen=True, kw_only=True)
class _Ending:
    """A run that is over, however it ended; `event` is the last that was heard of it."""

    job: Job
    event: Mapping[str, Any]
    plan: Plan
    around: Surroundings
    seconds: float

    @property
    def scrub(self) -> list[tuple[str, str]]:
        return self.job.scrub(self.plan)

    def facts(self, *, status: str, reason: str, files: Mapping[str, int | None]) -> page.Facts:
        job, plan = self.job, self.plan
        parameters = [
            {"name": p.name, "value": _shown(job.values[p.name]), "default": _shown(p.default),
             "help": f"{p.help} ({p.allowed})" if p.allowed else p.help}
            for p in job.report.parameters if p.name in job.values
        ]  # fmt: skip
        return page.Facts(
            run_id=job.run_id, report=job.report.name, title=job.report.title, as_of=plan.as_of, status=status,
            shop_name=plan.shop_name, variant=plan.variant, reason=reason, seconds=self.seconds, parameters=parameters,
            code=self.around.sentence, packages=self.around.packages, command=self._command(), files=files,
            siblings=index.siblings(plan.reports, slug=plan.slug(job.report), as_of=plan.as_of, planned=plan.planned),
        )  # fmt: skip

    def _command(self) -> str:
        """What reproduces this run: every value that is not the notebook's own default."""
        job, plan = self.job, self.plan
        words = ["crm", "run", job.report.name, "--shop", plan.address, "--as-of", plan.as_of.isoformat()]
        words += ["--variant", plan.variant] if plan.variant else []
        for name, value in job.values.items():
            if value != job.report[name].default:
                words += ["-p", f"{name}={_shown(value)}"]
        return privacy.without_secrets(shlex.join(words))

    def manifest(self, facts: page.Facts, said: Findings, payload: Mapping[str, Any]) -> Manifest:
        """What the run says of itself, but for its files and what earlier runs make of it."""
        job, plan, around, shop = self.job, self.plan, self.around, payload.get("shop", {})
        return Manifest(
            run_id=job.run_id,
            report=job.report.name,
            variant=plan.variant,
            title=job.report.title,
            order=job.report.notebook.name[:2],
            as_of=plan.as_of,
            status=facts.status,
            reason=facts.reason,
            headline=said.headline,
            changes=said.changes,
            signals=said.signals,
            running=tuple(metric.id for metric in said.metrics if metric.running),
            actions=said.actions[:MOST_ACTIONS],
            ahead=said.ahead,
            watches=said.watches,
            predicts=tuple(sorted(told.end for told in said.predictions)),
            grades=said.grades,
            shop=plan.holder,
            data_through=shop.get("data_through"),
            stale=bool(shop.get("stale")),
            parameters={name: _kept(value) for name, value in job.values.items()},
            made_from=dict(job.made_from),
            inputs=tuple(shop.get("tables", [])),
            rows=payload.get("rows", {}),
            started_at=job.started.isoformat(timespec="milliseconds"),
            seconds=round(self.seconds, 2),
            command=facts.command,
            code={"version": around.version, "commit": around.commit, "changed": around.changed,
                  "notebook": sha256(job.report.notebook)},
            packages=dict(around.packages),
        )  # fmt: skip


def finish(job: Job, event: Mapping[str, Any], plan: Plan, around: Surroundings) -> Outcome:
    """Publish what a run left or keep its failure, and bring the index up to date."""
    seconds = time.monotonic() - job.clock
    record.clear_due(job.staging)
    outcome = _settle(_Ending(job=job, event=event, plan=plan, around=around, seconds=seconds))
    try:
        index.rebuild(plan.reports, shop=plan.holder)
    except Exception as broken:
        message = f"{outcome.message} The index could not be rebuilt: {_named(broken)}".strip()
        return replace(outcome, exit_code=outcome.exit_code or getattr(broken, "exit_code", 1), message=message)
    return outcome


def _settle(end: _Ending) -> Outcome:
    try:
        notebook = _read_executed(end)
        payload = page.published(notebook) if notebook else None
        error = _error(end, notebook, payload)
        if error is None or error.exit_code == 0:
            return _publish(end, notebook or {"cells": []}, payload or {}, error)
    except CrmError as refused:
        error = refused
    except Exception as broken:
        # A full disk, or a fault of our own: this run failed, the others go on.
        error = RunError(f"the report could not be published: {_named(broken)}")
        return _fail(end, error, whole="".join(traceback.format_exception(broken)))
    return _fail(end, error)


def _named(broken: Exception) -> str:
    """What can be said of an error of another's making; its own words may hold a row."""
    if isinstance(broken, CrmError):
        return str(broken)
    if isinstance(broken, OSError):
        return broken.strerror or type(broken).__name__
    last = traceback.extract_tb(broken.__traceback__)[-1:]
    return type(broken).__name__ + "".join(f" in {Path(frame.filename).name}, line {frame.lineno}" for frame in last)


def _read_executed(end: _Ending) -> dict[str, Any] | None:
    """The executed notebook without the staging folder's name and without personal data, and rewritten so."""
    path = end.job.staging / "executed.ipynb"
    try:
        # What an analyst showed is for whoever ran it: no web server that publishes the folder should hand it out.
        path.chmod(0o600)
        text = path.read_text(encoding="utf-8")
    except OSError:
        return None
    for place, instead in end.scrub:
        text = text.replace(json.dumps(place, ensure_ascii=False)[1:-1], instead)
    notebook: dict[str, Any] = json.loads(text)
    notebook["cells"] = [
        cell for cell in notebook["cells"] if "papermill-error-cell-tag" not in cell.get("metadata", {}).get("tags", [])
    ]
    privacy.clean(notebook)
    made = notebook["metadata"].get("papermill", {})
    made["parameters"] = {name: _kept(value) for name, value in made.get("parameters", {}).items()}
    made.update(input_path=end.job.report.notebook.name, output_path="executed.ipynb")
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return notebook


def _error(end: _Ending, notebook: Mapping[str, Any] | None, payload: object) -> CrmError | None:
    """Why a run is no published report, as the error it stands for; None when it is one."""
    job, plan, name = end.job, end.plan, end.job.report.name
    where = f"cell {job.cell}" if job.cell else "the start of the kernel"
    if job.overdue == "cell":
        return TimeOut(f"{where} of {name} took longer than {page.duration(plan.cell_timeout)}")
    if job.overdue:
        return TimeOut(f"{name} took longer than {page.duration(plan.timeout)} and was stopped in {where}")
    if end.event["event"] == "gone":
        return RunError(f"the process that ran {name} ended at {where}")
    said = end.event.get("error")
    if said is None and payload is None:
        outputs = [output for cell in (notebook or {"cells": []})["cells"] for output in cell.get("outputs", [])]
        for output in outputs:
            if output["output_type"] == "error":
                return RunError(f"{output.get('ename')} in {where} ended the notebook before its last cell")
        return RunError("the notebook ran, but its last cell published no findings: end it with crm.publish(…)")
    if said is None:
        return None
    if said["kind"] == "kernel":
        return RunError(f"the kernel died in {where}: out of memory, or killed from outside")
    if said["kind"] == "notebook":
        return RunError(said["evalue"])
    if _is_ours(said):
        kind: type[CrmError] = getattr(errors, said["ename"])
        return kind(said["evalue"])
    line = privacy.line_of(said.get("traceback", ""))
    return RunError(f"{said['ename']} in {where}{f', line {line}' if line else ''}")


def _is_ours(said: Mapping[str, Any]) -> bool:
    return said["kind"] == "cell" and privacy.is_ours(said["ename"], said["evalue"], said.get("traceback", ""))


def _status(said: Findings, error: CrmError | None) -> str:
    if error:
        return error.status
    # A failed check and a clean status cannot both be true.
    failed = any(check.verdict == "failed" for check in said.checks)
    return "warnings" if failed and said.status == "published" else said.status


def _publish(end: _Ending, notebook: Mapping[str, Any], payload: Mapping[str, Any], error: CrmError | None) -> Outcome:
    job, plan, staging = end.job, end.plan, end.job.staging
    said = from_json(payload) if payload else Findings(report=job.report.name, headline="", parts=())
    status, reason = _status(said, error), page.plain(str(error), end.scrub) if error else ""
    if said.predictions:
        # Kept beside the lists for the run that will grade them.
        write_json(staging / record.PREDICTIONS, payload["predictions"])
    _restrict_lists(staging)
    _mask_tables(staging)
    erasing.leave_out(end.plan.reports, staging)
    rows = payload.get("rows", {})
    files = {path: rows.get(Path(path).stem) for path in _files(staging, "tables", "lists")}
    files.pop(record.PREDICTIONS, None)
    _write_metrics(end, said, status)
    facts = end.facts(status=status, reason=reason, files=files)
    facts, manifest = _remember(end, facts, end.manifest(facts, said, payload), payload)
    html = page.render(notebook, facts, scrub=end.scrub)
    for note in validate(html):
        _log(job, "warning", text=note)
    for display in page.dropped(notebook):
        _log(job, "dropped", **display)
    (staging / "report.html").write_text(html, encoding="utf-8")
    _write_glance(staging, said, manifest)
    write_text(staging / "summary.txt", summary.of_report(facts, payload))
    _log(job, "published", status=status)
    _write_log(end)
    stands = read_manifest(place_of(plan.reports, manifest))
    if status == "not_available" and stands and stands.good:
        # A table that is missing today is no answer, and takes no answer's place.
        target = store.keep_failure(plan.reports, staging, manifest, html=html)
    else:
        listed = {path: fingerprint(staging / path) for path in _files(staging, ".", "tables", "lists")}
        kept.hold(plan.reports, staging / "lists", plan.as_of)
        target = store.publish(plan.reports, staging, replace(manifest, files=listed))
    return Outcome(report=job.report.name, status=status, exit_code=0, message=reason,
                   path=target / "report.html", seconds=end.seconds)  # fmt: skip


def _remember(
    end: _Ending, facts: page.Facts, manifest: Manifest, payload: Mapping[str, Any]
) -> tuple[page.Facts, Manifest]:
    """Both with what changed since the last comparable run; the facts with how forecasts did over all runs."""
    reports, slug, as_of = end.plan.reports, manifest.slug, end.plan.as_of
    before = changes.last_comparable(reports, slug, as_of=as_of) if facts.status in GOOD else None
    found = changes.compare(before, changes.present(end.job.staging, manifest)) if before else None
    manifest = replace(manifest, tiles=tuple(page.headlines(payload, found)))
    if found:
        manifest = replace(manifest, compared=found.to_json(), came=found.came, went=found.went, missed=found.missed)
    runs = [manifest, *earlier_runs(reports, slug, as_of)]
    return replace(facts, changes=found, record=record.record(runs), trends=tiles.trends(runs)), manifest


def _write_glance(staging: Path, said: Findings, manifest: Manifest) -> None:
    """The part that is lent to the index, with the tiles beside it."""
    for part in said.parts:
        if part.glance and part.chart:
            chart = {name: getattr(part.chart, name) for name in ("wide", "narrow", "alt", "caption")}
            glance: dict[str, Any] = {"title": part.title, "chart": chart, "tiles": list(manifest.tiles)}
            if said.report == index.LEADS:
                glance |= {"title": said.headline, "leads": True}
            return write_json(staging / index.GLANCE, glance)


def _fail(end: _Ending, error: CrmError, *, whole: str = "") -> Outcome:
    job, plan = end.job, end.plan
    status = error.status if error.status in ("failed", "refused") else "failed"
    message = page.plain(str(error), end.scrub)
    said = end.event.get("error") or {}
    if said.get("traceback") and not _is_ours(said):
        whole = f"{said['traceback']}\n{said.get('ename', '')}: {said.get('evalue', '')}\n{whole}"
    if whole:
        _keep_whole(job.staging / WHOLE, page.plain(whole, end.scrub))
        message += f"; the whole error is in {plan.reports.name}/failed/{job.run_id}/{WHOLE}, for its owner alone"
    facts = end.facts(status=status, reason=message, files={})
    _log(job, "failed", status=status, text=message)
    path = None
    try:
        html = page.render_failure(facts, message=message, cell=str(said.get("source") or job.source), scrub=end.scrub)
        validate(html)
        write_text(job.staging / "summary.txt", summary.of_failure(facts))
        _write_log(end)
        manifest = end.manifest(facts, Findings(report=job.report.name, headline="", parts=()), {})
        path = store.keep_failure(plan.reports, job.staging, manifest, html=html) / "report.html"
    except (OSError, CrmError) as also:
        message = f"{message} (and its page could not be written: {_named(also)})"
    return Outcome(report=job.report.name, status=status, exit_code=error.exit_code or 1, message=message,
                   path=path, seconds=end.seconds)  # fmt: skip


def _keep_whole(file: Path, text: str) -> None:
    """What an error says in full may quote a customer's row: it is for who ran the report, and travels nowhere."""
    try:
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(text.encode("utf-8", "replace").decode() + "\n")
    except OSError:
        pass  # a full disk: the error itself is told all the same


def _shown(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(_kept(value))


def _kept(value: Value) -> Value:
    """A parameter's value as a page and a manifest may have it; one that is masked never counts as the same again."""
    return privacy.mask(value) if isinstance(value, str) else value


def _write_metrics(end: _Ending, said: Findings, status: str) -> None:
    metrics = [{key: page.finite(getattr(metric, key)) for key in _METRIC} for metric in said.metrics]
    head = {"report": end.job.report.name, "as_of": end.plan.as_of.isoformat(), "status": status}
    write_json(end.job.staging / "metrics.json", head | {"metrics": metrics})


def _restrict_lists(staging: Path) -> None:
    lists = staging / "lists"
    if lists.is_dir():
        lists.chmod(0o700)
        for file in lists.iterdir():
            file.chmod(0o600)


def _mask_tables(staging: Path) -> None:
    """Tables that a cell wrote by itself hold no contact and no secret either; what is no text stays as it is."""
    for file in (staging / "tables").glob("*"):
        if file.is_file() and not file.is_symlink():
            text = file.read_bytes().decode("utf-8", "surrogateescape")
            masked = masking.contacts(privacy.without_secrets(text))
            if masked != text:
                file.write_bytes(masked.encode("utf-8", "surrogateescape"))


def _files(staging: Path, *folders: str) -> list[str]:
    return sorted(
        path.relative_to(staging).as_posix()
        for folder in folders
        for path in (staging / folder).glob("*")
        if path.is_file() and path.name != "manifest.json"
    )


def _log(job: Job, event: str, **said: Any) -> None:
    job.log.append({"event": event, "at": time.time(), **said})


def _write_log(end: _Ending) -> None:
    lines = []
    for event in end.job.log:
        told = event | {"at": datetime.fromtimestamp(event["at"], UTC).isoformat(timespec="milliseconds")}
        if told.get("error"):
            # What an error says may quote the data, and a log travels.
            told["error"] = {key: value for key, value in told["error"].items() if key in ("kind", "ename")}
        lines.append(page.plain(json.dumps(told, ensure_ascii=False), end.scrub) + "\n")
    write_text(end.job.staging / "run.log.jsonl", "".join(lines))
