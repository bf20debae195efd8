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
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from crmlib import scratch
from crmlib.errors import CrmError, Locked
from crmlib.report.folder import kept, store
from crmlib.report.folder.manifest import is_listed
from crmlib.report.key import KEY_VARIABLE, key_of
from crmlib.report.memory import others, record
from crmlib.report.memory.provenance import Basis, Surroundings
from crmlib.report.page import page, privacy
from crmlib.report.page.index import rebuild
from crmlib.report.parameters import Report, Value
from crmlib.report.plan import Job, Outcome, Plan
from crmlib.report.runner import fresh, worker
from crmlib.report.runner.finish import finish
from crmlib.report.runner.nursery import Nursery

GRACE = 5.0  # seconds a notebook that is out of time has between the interrupt and the kill
INTAKE_VARIABLE = "CRM_INTAKE"  # the folder where what was read of files stays from run to run
SHARED_VARIABLE = "CRM_SHARED"  # the folder where the first kernel leaves the shop's tables for the others
GRAVITY = (4, 3, 124, 2, 1, 75, 0)  # of several outcomes the gravest speaks for all


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
    Raises UsageError when the reports folder is another shop's, and Interrupted on SIGINT and SIGTERM, after clearing
    up.
    """
    plan.reports.mkdir(parents=True, exist_ok=True)
    store.claim(plan.reports, shop=plan.holder)
    plan = replace(plan, planned=tuple((r.notebook.name[:2], plan.slug(r), r.title) for r in reports))
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
        for report in sorted(reports, key=lambda report: report.after):
            # What the others are about to publish makes it out of date.
            own = replace(plan, force=plan.force or (report.after and any(not job.report.after for job in jobs)))
            try:
                job = everything.enter_context(_prepared(len(jobs), report, own, values[report.name], basis))
            except Locked as error:
                job = Outcome(report=report.name, status="locked", exit_code=error.exit_code, message=str(error))
            except OSError as error:
                job = Outcome(report=report.name, status="failed", exit_code=1, message=f"could not begin: {error}")
            if isinstance(job, Job):
                jobs.append(job)
            else:
                done(job)
        if jobs:
            private = everything.enter_context(scratch.private())
            crew = _Crew(plan=plan, waiting=deque(jobs), events=events, private=private, progress=progress)
            _supervise(crew, min(workers or os.cpu_count() or 1, crew.ready or len(jobs)), done)
            basis.remember(plan)
    if heard:
        # It came when the last report was already being published: that was ended, what follows is not begun.
        raise Interrupted(heard[0])
    return [outcomes[report.name] for report in reports]


def _supervise(crew: _Crew, workers: int, done: Callable[[Outcome], None]) -> None:
    try:
        crew.prepare(workers)
        # The runner's own imports happen while the kernels start.
        page.warm_up()
        around = Surroundings.look(crew.plan.project)
        for job, event in crew.ended():
            done(finish(job, event, crew.plan, around))
            job.held.close()
    finally:
        crew.close()


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
        made_from = basis.of(report, plan, values)
        if not fresh.why(plan, report, values, made_from):
            yield _up_to_date(report, plan)
            return
        store.sign_lock(plan.reports, slug)
        now = datetime.now(UTC)
        run_id = store.new_run_id(slug, now)
        staging = store.stage(plan.reports, run_id)
        held.callback(shutil.rmtree, staging, ignore_errors=True)
        record.lay_due(plan.reports, slug, as_of=plan.as_of, out=staging)
        record.lay_earlier(plan.reports, slug, as_of=plan.as_of, values=values, out=staging)
        yield Job(
            number=number, report=report, run_id=run_id, staging=staging, values=values, held=held, started=now,
            made_from=made_from,
        )  # fmt: skip


def _up_to_date(report: Report, plan: Plan) -> Outcome:
    place, manifest = fresh.standing(plan, report)
    if manifest and not is_listed(plan.reports, manifest):
        rebuild(plan.reports, shop=plan.holder)
    return Outcome(report=report.name, status="up_to_date", exit_code=0, path=place / "report.html")


@dataclass(kw_only=True)
class _Worker:
    """A process that executes notebooks, and the job it has.

    One from the nursery is no child of ours, known once it has spoken, and has a single job: its kernel came with it.
    """

    orders: IO[str]
    log: Path
    runtime: str
    process: subprocess.Popen[str] | None
    job: Job | None = None
    pid: int = 0
    listener: threading.Thread | None = None

    def send(self, job: Job, plan: Plan) -> None:
        # A worker that is not yet born says when its time begins.
        self.job, job.clock = job, time.monotonic() + (0 if self.process else worker.START_TIMEOUT)
        if job.report.after:
            runs = others.seen(plan, job.report.name, job.values)
            others.lay(plan, runs, job.staging)
            job.made_from = {**job.made_from, "others": others.memory(runs)}
        own = {"shop": plan.address, "as_of": plan.as_of.isoformat(), "out": str(job.staging)}
        order = {
            "number": job.number,
            "notebook": str(job.report.notebook),
            "output": str(job.staging / "executed.ipynb"),
            "cwd": str(plan.project),
            "parameters": own | dict(job.values),
        }
        try:
            self.orders.write(json.dumps(order) + "\n")
            self.orders.flush()
        except BrokenPipeError:
            pass  # its end is on the way through the events

    def end(self) -> None:
        if pid := self.process.pid if self.process else self.pid:
            worker.end_tree(pid)
        worker.end_strays(self.runtime)


Events = queue.SimpleQueue[tuple["_Worker | None", dict[str, Any]]]


@dataclass(kw_only=True)
class _Crew:
    """The workers of a run: hands out jobs, listens, watches the clock. `private` is a folder of this run alone."""

    plan: Plan
    waiting: deque[Job]
    events: Events
    private: Path
    progress: Callable[[str], None] | None
    environment: Mapping[str, str] = field(default_factory=dict)
    members: list[_Worker] = field(default_factory=list)
    finished: int = 0
    nursery: Nursery | None = None

    @property
    def ready(self) -> int:
        """How many of those that wait need wait for no other; the rest come last."""
        return sum(not job.report.after for job in self.waiting)

    def prepare(self, count: int) -> None:
        """Set up what kernels find and where they may write, and let `count` workers begin."""
        key = key_of(self.plan.reports)
        privacy.keep(key)
        environment = os.environ | worker.prepare(self.private) | {KEY_VARIABLE: key}
        environment[kept.VARIABLE] = str(kept.folder(self.plan.reports))
        environment[INTAKE_VARIABLE] = str(self.plan.reports / kept.INTAKE) if self.plan.keep else ""
        # What a kernel leaves behind, killed or not, goes with the run: an engine's scratch files hold customers' rows.
        folders = {"TMPDIR": "tmp"} | ({SHARED_VARIABLE: "shared"} if len(self.waiting) > 1 else {})
        for variable, name in folders.items():
            (self.private / name).mkdir(mode=0o700)
            environment[variable] = str(self.private / name)
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            environment.setdefault(name, str(max(1, (os.cpu_count() or 1) // count)))
        self.environment = environment
        if self.plan.warm and len(self.waiting) > 1 and sys.platform == "linux":
            self.nursery = Nursery(environment, self.private / "nursery.log")
        for _ in range(count):
            self.hire()

    def hire(self) -> None:
        """One worker more, with the next job."""
        number = len(self.members)
        log, own = self.private / f"worker-{number}.log", worker.runtime(self.private, number)
        orders, events, process = self._start(log, own)
        made = _Worker(orders=orders, log=log, runtime=own["JUPYTER_RUNTIME_DIR"], process=process)

        def listen() -> None:
            for line in events:
                self.events.put((made, json.loads(line)))
            self.events.put((made, {"event": "gone", "at": time.time()}))

        made.listener = threading.Thread(target=listen, daemon=True)
        made.listener.start()
        self.members.append(made)
        made.send(self.waiting.popleft(), self.plan)

    def _start(self, log: Path, own: Mapping[str, str]) -> tuple[IO[str], IO[str], subprocess.Popen[str] | None]:
        """Where a new worker hears and speaks, and its process where it is a child of ours."""
        if self.nursery:
            try:
                return *self.nursery.worker(own, log), None
            except OSError:
                self.nursery = None  # it was killed; the others start on their own
        # -P: a file in the current folder is no module. Its own session: Ctrl-C reaches the runner alone.
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "crmlib.report.runner.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("w"),
            text=True,
            encoding="utf-8",
            env={**self.environment, **own},
            start_new_session=True,
        )
        assert process.stdin and process.stdout
        return process.stdin, process.stdout, process

    def ended(self) -> Iterator[tuple[Job, dict[str, Any]]]:
        """Each job as it ends, with the last that was heard of it; what it was doing meanwhile is on the job."""
        while any(member.job for member in self.members):
            member, event = self._next()
            if event["event"] == "signal":
                raise Interrupted(event["number"])
            if member is None or member.job is None:
                continue
            job = member.job
            if event["event"] == "born":
                # What the nursery took to get ready is not the report's time.
                member.pid, job.clock = event["pid"], time.monotonic()
                continue
            job.log.append({key: value for key, value in event.items() if key != "source"})
            if event["event"] == "cell":
                job.cell, job.source, job.cell_clock = event["number"], event["source"], time.monotonic()
            if event["event"] == "overdue":
                # An interrupt shows in the traceback where the time went, and spares the worker.
                job.overdue, job.killed_at = event["limit"], time.monotonic() + GRACE
                if member.pid:
                    worker.interrupt(member.pid)
            if event["event"] in ("end", "gone", "kill"):
                member.job = None
                if event["event"] != "end":
                    self._end(member)
                    event |= {"error": {"kind": "worker", "traceback": _tail(member.log)}}
                elif not member.process:
                    member.orders.close()
                if self.ready:
                    if event["event"] == "end" and member.process:
                        member.send(self.waiting.popleft(), self.plan)
                    else:
                        self.hire()
                yield job, event
                self.finished += 1
                if self.waiting and not any(member.job for member in self.members):
                    # The others have been published: now those that read them.
                    self.hire()
            if self.progress:
                self.progress(self._line())

    def _line(self) -> str:
        """Where things stand."""
        jobs = [member.job for member in self.members if member.job]
        doing = [f"{job.report.name} {f'cell {job.cell}' if job.cell else 'starting'}" for job in jobs]
        of = self.finished + len(jobs) + len(self.waiting)
        return " · ".join([f"{self.finished} of {of} done", *doing])

    def _next(self) -> tuple[_Worker | None, dict[str, Any]]:
        """The next event; a limit that is reached is one, and so is the end of the grace after it."""
        while True:
            limits = [(*_limit(member.job, self.plan), member) for member in self.members if member.job]
            at, limit, member = min(limits, key=lambda found: found[0])
            left = at - time.monotonic()
            if left <= 0:
                kind = {"event": "kill"} if limit == "grace" else {"event": "overdue", "limit": limit}
                return member, {**kind, "at": time.time()}
            try:
                return self.events.get(timeout=min(left, 0.5))
            except queue.Empty:
                continue

    def _end(self, member: _Worker) -> None:
        if not member.pid and self.nursery and not member.process:
            # Not yet born: its order must not be carried out later.
            self.nursery.end()
            self.nursery = None
        member.end()

    def close(self) -> None:
        """Nothing of the run stays behind, whatever it was doing."""
        if self.nursery:
            self.nursery.end()
        for member in self.members:
            if not member.job:
                member.orders.close()
        for member in self.members:
            if member.job:
                member.end()
            assert member.listener
            member.listener.join(timeout=5)
            if member.listener.is_alive():
                member.end()
            if member.process:
                member.process.wait()


def _limit(job: Job, plan: Plan) -> tuple[float, str]:
    """When a job's time runs out, and which time that is."""
    if job.overdue:
        return job.killed_at, "grace"
    whole = (job.clock + plan.timeout, "whole")
    return min(whole, (job.cell_clock + plan.cell_timeout, "cell")) if plan.cell_timeout and job.cell else whole


def _tail(log: Path, size: int = 4000) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-size:]


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
