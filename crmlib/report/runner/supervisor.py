"""Run notebooks side by side and publish what each leaves, or say why not.

Nothing a notebook's file or metadata claims is trusted. A run is good when its last cell handed over findings, its
page passed its own rules, and it stands in its dated folder; until then it lives in a staging folder nobody reads.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crmlib.errors import CrmError, Locked
from crmlib.report.folder import store
from crmlib.report.folder.manifest import is_listed
from crmlib.report.key import KEY_VARIABLE, key_of
from crmlib.report.memory import record
from crmlib.report.memory.provenance import Basis, Surroundings
from crmlib.report.page import page
from crmlib.report.page.index import rebuild
from crmlib.report.parameters import Report, Value
from crmlib.report.plan import Job, Outcome, Plan
from crmlib.report.runner import fresh, worker
from crmlib.report.runner.finish import finish

GRACE = 5.0  # seconds a notebook that is out of time has between the interrupt and the kill

SHARED_VARIABLE = "CRM_SHARED"  # the folder where the first kernel leaves the shop's tables for the others

# Of several outcomes the gravest speaks for all.
GRAVITY = (4, 3, 124, 2, 1, 75, 0)


class Interrupted(CrmError):
    """A signal ended the run; everything it had started is gone."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}; no report was left half done")
        self.exit_code = 128 + number


def run(
    reports: Sequence[Report],
    *,
    plan: Plan,
    values: Mapping[str, Mapping[str, Value]],
    workers: int | None = None,
    say: Callable[[Outcome], None] | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Outcome]:
    """Run the reports and publish them; one outcome each, in the order they were given.

    A report whose run of this day was made from the same is left as it stands. `values` are checked parameters as
    `parameters.resolve` gives them. `say` hears each outcome as it comes, `progress` a line about where things stand.
    Raises UsageError when the reports folder is another shop's, and Interrupted on SIGINT and SIGTERM, after clearing up.
    """
    plan.reports.mkdir(parents=True, exist_ok=True)
    store.claim(plan.reports, shop=plan.holder)
    plan = replace(plan, planned=tuple((plan.slug(report), report.title) for report in reports))
    basis = Basis.look(plan)
    outcomes: dict[str, Outcome] = {}

    def done(outcome: Outcome) -> None:
        outcomes[outcome.report] = outcome
        if say:
            say(outcome)

    # SimpleQueue may be put to from a signal handler.
    events: Events = queue.SimpleQueue()
    heard: list[int] = []

    def hear(number: int) -> None:
        heard.append(number)
        events.put((None, {"event": "signal", "number": number}))

    with _signals(hear), ExitStack() as everything:
        jobs: list[Job] = []
        for report in reports:
            try:
                prepared = _prepared(len(jobs), report, plan, values[report.name], basis)
                job = everything.enter_context(prepared)
            except Locked as error:
                done(Outcome(report=report.name, status="locked", exit_code=error.exit_code, message=str(error)))
                continue
            except OSError as error:
                done(Outcome(report=report.name, status="failed", exit_code=1, message=f"could not begin: {error}"))
                continue
            if isinstance(job, Job):
                jobs.append(job)
            else:
                done(job)
        if jobs:
            _supervise(jobs, plan, events, workers or os.cpu_count() or 1, done, progress or (lambda _: None))
            basis.remember(plan)
    if heard:
        # It came when the last report was already being published: that was brought to its end, what follows is not begun.
        raise Interrupted(heard[0])
    return [outcomes[report.name] for report in reports]


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """One exit code for several outcomes."""
    codes = {outcome.exit_code for outcome in outcomes}
    return next((code for code in GRAVITY if code in codes), max(codes, default=0))


@contextmanager
def _prepared(
    number: int, report: Report, plan: Plan, values: Mapping[str, Value], basis: Basis
) -> Iterator[Job | Outcome]:
    """A report's lock and staging folder, given back whatever happens; or the outcome, where it is up to date."""
    slug = plan.slug(report)
    with ExitStack() as held:
        held.enter_context(store.lock(plan.reports, slug, sign=False))
        store.recover(plan.reports, slug)
        made_from = basis.of(report, plan)
        if not fresh.why(plan, report, values, made_from):
            yield _up_to_date(report, plan)
            return
        store.sign_lock(plan.reports, slug)
        now = datetime.now(UTC)
        run_id = store.new_run_id(slug, now)
        staging = store.stage(plan.reports, run_id)
        held.callback(shutil.rmtree, staging, ignore_errors=True)
        record.lay_due(plan.reports, slug, as_of=plan.as_of, out=staging)
        yield Job(
            number=number, report=report, run_id=run_id, staging=staging, values=values, held=held, started=now,
            made_from=made_from,
        )  # fmt: skip


def _up_to_date(report: Report, plan: Plan) -> Outcome:
    place, manifest = fresh.standing(plan, report)
    if manifest and not is_listed(plan.reports, manifest):
        rebuild(plan.reports, shop=plan.holder)
    return Outcome(report=report.name, status="up_to_date", exit_code=0, path=place / "report.html")


# The supervisor: hands out jobs, listens, watches the clock.


@dataclass(kw_only=True)
class _Worker:
    process: subprocess.Popen[str]
    log: Path
    runtime: str
    job: Job | None = None

    def send(self, job: Job, plan: Plan) -> None:
        assert self.process.stdin
        self.job, job.clock = job, time.monotonic()
        order = {
            "number": job.number,
            "notebook": str(job.report.notebook),
            "output": str(job.staging / "executed.ipynb"),
            "cwd": str(plan.project),
            "parameters": {
                "shop": plan.address,
                "as_of": plan.as_of.isoformat(),
                "out": str(job.staging),
                **job.values,
            },
        }
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # its end is on the way through the events


Events = queue.SimpleQueue[tuple["_Worker | None", dict[str, Any]]]


def _supervise(
    jobs: Sequence[Job],
    plan: Plan,
    events: Events,
    workers: int,
    done: Callable[[Outcome], None],
    progress: Callable[[str], None],
) -> None:
    waiting = deque(jobs)
    crew: list[_Worker] = []
    count = min(workers, len(jobs))
    private = Path(tempfile.mkdtemp(prefix="crm-"))
    try:
        environment = os.environ | worker.prepare(private) | {KEY_VARIABLE: key_of(plan.reports)}
        # What a kernel leaves behind, killed or not, goes with the run: an engine's scratch files hold customers' rows.
        scratch = private / "tmp"
        scratch.mkdir(mode=0o700)
        environment["TMPDIR"] = str(scratch)
        if len(jobs) > 1:
            shared = private / "shared"
            shared.mkdir(mode=0o700)
            environment[SHARED_VARIABLE] = str(shared)
        threads = str(max(1, (os.cpu_count() or 1) // count))
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            environment.setdefault(name, threads)

        def hire() -> None:
            made = _hire(environment, private, len(crew), events)
            crew.append(made)
            made.send(waiting.popleft(), plan)

        for _ in range(count):
            hire()
        # The runner's own imports happen while the kernels start.
        page.warm_up()
        facts = Surroundings.look(plan.project)
        finished = 0
        while any(member.job for member in crew):
            member, event = _next(events, crew, plan)
            if event["event"] == "signal":
                raise Interrupted(event["number"])
            if member is None or member.job is None:
                continue
            job = member.job
            job.log.append({key: value for key, value in event.items() if key != "source"})
            if event["event"] == "cell":
                job.cell, job.source, job.cell_clock = event["number"], event["source"], time.monotonic()
            if event["event"] == "overdue":
                # An interrupt shows in the traceback where the time went, and spares the worker.
                job.overdue, job.killed_at = event["limit"], time.monotonic() + GRACE
                worker.interrupt(member.process.pid)
            if event["event"] in ("end", "gone", "kill"):
                member.job = None
                if event["event"] == "end" and waiting:
                    member.send(waiting.popleft(), plan)
                elif event["event"] != "end":
                    worker.end_tree(member.process.pid)
                    worker.end_strays(member.runtime)
                    event = event | {"error": {"kind": "worker", "traceback": _tail(member.log)}}
                    if waiting:
                        hire()
                done(finish(job, event, plan, facts))
                job.held.close()
                finished += 1
            progress(_progress_line(crew, finished, len(jobs)))
    finally:
        for member in crew:
            if member.process.stdin and not member.job:
                member.process.stdin.close()
        for member in crew:
            if member.job:
                worker.end_tree(member.process.pid)
                worker.end_strays(member.runtime)
            _reap(member.process)
        shutil.rmtree(private, ignore_errors=True)


def _hire(environment: Mapping[str, str], private: Path, number: int, events: Events) -> _Worker:
    log, own = private / f"worker-{number}.log", worker.runtime(private, number)
    # -P: a file in the current folder cannot stand in for a module. Its own session: Ctrl-C reaches the runner alone.
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "crmlib.report.runner.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log.open("w"),
        text=True,
        encoding="utf-8",
        env={**environment, **own},
        start_new_session=True,
    )
    made = _Worker(process=process, log=log, runtime=own["JUPYTER_RUNTIME_DIR"])

    def listen() -> None:
        assert process.stdout
        for line in process.stdout:
            events.put((made, json.loads(line)))
        events.put((made, {"event": "gone", "at": time.time()}))

    threading.Thread(target=listen, daemon=True).start()
    return made


def _next(events: Events, crew: Sequence[_Worker], plan: Plan) -> tuple[_Worker | None, dict[str, Any]]:
    """The next event; a limit that is reached is one, and so is the end of the grace after it."""
    while True:
        limits = [(*_limit(member.job, plan), member) for member in crew if member.job]
        at, limit, member = min(limits, key=lambda found: found[0])
        left = at - time.monotonic()
        if left <= 0:
            kind = {"event": "kill"} if limit == "grace" else {"event": "overdue", "limit": limit}
            return member, {**kind, "at": time.time()}
        try:
            return events.get(timeout=min(left, 0.5))
        except queue.Empty:
            continue


def _limit(job: Job, plan: Plan) -> tuple[float, str]:
    """When a job's time runs out, and which time that is."""
    if job.overdue:
        return job.killed_at, "grace"
    whole = (job.clock + plan.timeout, "whole")
    return min(whole, (job.cell_clock + plan.cell_timeout, "cell")) if plan.cell_timeout and job.cell else whole


def _tail(log: Path, size: int = 4000) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-size:]


def _reap(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        worker.end_tree(process.pid)
        process.wait()


@contextmanager
def _signals(tell: Callable[[int], None]) -> Iterator[None]:
    """SIGINT and SIGTERM are told, not obeyed, so that nothing is left half done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda got, _: tell(got)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _progress_line(crew: Sequence[_Worker], finished: int, of: int) -> str:
    running = [
        f"{m.job.report.name} cell {m.job.cell}" if m.job.cell else f"{m.job.report.name} starting"
        for m in crew
        if m.job
    ]
    return f"{finished} of {of} done" + (" · " + " · ".join(running) if running else "")
