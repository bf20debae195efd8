"""The kill matrix: every way a run can end badly, done for real, with good runs of that day and an earlier at stake.

Whatever happens, `latest` and the runs that stood are byte for byte as before, the status is not 'published', and the
exit code is the one that is documented.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import psutil
import pytest

from crmlib.report.folder import store as publish
from crmlib.report.folder.manifest import read_manifest
from crmlib.report.page.index import rebuild
from crmlib.report.page.page import FINDINGS_MIME
from crmlib.report.parameters import select
from crmlib.report.plan import Outcome
from crmlib.report.runner.supervisor import run
from tests.conftest import ROOT
from tests.pages_helpers import AS_OF, code, make_plan, make_project, payload, show, write_notebook

DONE = code(show(FINDINGS_MIME, payload()))
PID = "import os, time\nfrom pathlib import Path\nPath({!r}).write_text(f'{{os.getpid()}}\\n')\n"
STUBBORN = (
    "end = time.monotonic() + 600\nwhile time.monotonic() < end:\n    try:\n        time.sleep(1)\n"
    "    except KeyboardInterrupt:\n        pass"
)
# Holds the interpreter for ever, so that a kernel cannot see by itself that its worker is gone.
BUSY = "os.kill(os.getppid(), 9)\nimport re\nre.match('(a+)+$', 'a' * 60 + 'b')"
# report -> what its cell does, the status, the exit code, and words of the message
MATRIX: dict[str, tuple[str, str, int, str]] = {
    "raises": ("{}['gone']", "failed", 1, "KeyError in cell 3"),
    "overdue_cell": (PID.format("overdue") + "time.sleep(600)", "failed", 124,
                     "cell 3 of overdue_cell took longer than 4.0 seconds"),
    "stubborn_cell": (PID.format("stubborn") + STUBBORN, "failed", 124, "cell 3 of stubborn_cell took longer than 4.0"),
    "kernel_killed": ("import os\nos.kill(os.getpid(), 9)", "failed", 1, "the kernel died in cell 3"),
    "worker_killed": (PID.format("orphan") + BUSY, "failed", 1, "the process that ran worker_killed ended at cell 3"),
    "exits": ("import sys\nsys.exit(0)", "failed", 1, "SystemExit in cell 3 ended the notebook before its last cell"),
    "foreign_kernel": ("1", "failed", 1, "asks for the kernel 'ir'"),
    "no_table": ("import crmlib\ncrmlib.connect(shop, as_of=as_of).table('feedback')", "not_available", 0,
                 "The export holds orders, but not reviews or ratings (table feedback)"),
    "bad_data": ("from crmlib.errors import DataError\nraise DataError('orders.csv is empty')", "refused", 3,
                 "orders.csv is empty"),
}  # fmt: skip


def start(project: Path, *names: str, workers: int = 2, **plan: Any) -> dict[str, Outcome]:
    chosen = select(project / "notebooks", names)
    values: dict[str, dict[str, Any]] = {report.name: {} for report in chosen}
    outcomes = run(chosen, plan=make_plan(project, **plan), values=values, workers=workers)
    return {outcome.report: outcome for outcome in outcomes}


def standing(reports: Path) -> dict[str, bytes]:
    """Every dated run and all of latest."""
    folders = [*reports.glob("????-??-??"), reports / "latest"]
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(reports).as_posix(): path.read_bytes() for path in [*files, reports / "latest.json"]}


def gone(pid: int, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def written(path: Path, seconds: float = 60) -> int:
    """The process id a notebook wrote down."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if path.exists() and path.read_text().endswith("\n"):
            return int(path.read_text())
        time.sleep(0.05)
    raise AssertionError(f"{path.name} did not appear")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every report of the matrix, and a slow one, with a good run of the day; the slow one with an earlier one too."""
    made = make_project(tmp_path_factory.mktemp("kill"))
    write_notebook(made, f"{len(MATRIX):02d}_slow", [DONE])
    for day in (AS_OF, date(2026, 11, 21)):
        assert start(made, "slow", as_of=day)["slow"].status == "published"
    # The others are given the same page, without a kernel each.
    reports = made / "reports"
    model = reports / AS_OF.isoformat() / "slow"
    manifest = read_manifest(model)
    assert manifest
    for name in MATRIX:
        run_id = manifest.run_id.replace("slow", name)
        staging = publish.stage(reports, run_id)
        shutil.copytree(model, staging, dirs_exist_ok=True)
        publish.publish(reports, staging, replace(manifest, report=name, run_id=run_id, made_from={}))
    rebuild(reports, shop=make_plan(made).holder)
    return made


@pytest.fixture(scope="module")
def killed(project: Path) -> dict[str, Any]:
    """The whole matrix, two at a time; what need not be quick runs without a limit for its cells."""
    for number, (name, (source, *_)) in enumerate(MATRIX.items()):
        path = write_notebook(project, f"{number:02d}_{name}", [code(source), DONE])
        if name == "foreign_kernel":
            notebook = json.loads(path.read_text())
            notebook["metadata"]["kernelspec"] = {"name": "ir", "display_name": "R", "language": "R"}
            path.write_text(json.dumps(notebook))
    before = standing(project / "reports")
    limited = [name for name in MATRIX if name.endswith("_cell")]
    outcomes = start(project, *limited, cell_timeout=4.0) | start(project, *(set(MATRIX) - {*limited}), warm=True)
    return {"before": before, "after": standing(project / "reports"), "outcomes": outcomes}


@pytest.mark.parametrize("name", list(MATRIX))
def test_each_ending_is_told_as_it_was(killed: dict[str, Any], name: str) -> None:
    _, status, code_, words = MATRIX[name]
    outcome = killed["outcomes"][name]
    assert (outcome.status, outcome.exit_code) == (status, code_), outcome.message
    assert words in outcome.message
    assert outcome.path.is_file() and outcome.path.parent.parent.name == "failed"
    manifest = json.loads((outcome.path.parent / "manifest.json").read_text())
    assert manifest["status"] == status != "published"


def test_nothing_that_stood_has_changed_by_a_byte(killed: dict[str, Any], project: Path) -> None:
    assert len(killed["before"]) > 50
    assert killed["after"] == killed["before"]
    assert list((project / "reports" / ".staging").iterdir()) == []


def test_no_kernel_outlives_its_end(killed: dict[str, Any], project: Path) -> None:
    assert all(gone(written(project / name)) for name in ("overdue", "stubborn", "orphan"))


def test_an_interrupt_shows_where_the_time_went(killed: dict[str, Any]) -> None:
    page = killed["outcomes"]["overdue_cell"].path
    whole = (page.parent / "error.txt").read_text()
    assert "KeyboardInterrupt" in whole and "time.sleep(600)" in whole and "time.sleep(600)" in page.read_text()
    log = (killed["outcomes"]["overdue_cell"].path.parent / "run.log.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in log]
    assert [e["event"] for e in events if e["event"] in ("overdue", "kill")] == ["overdue"]
    stubborn = (killed["outcomes"]["stubborn_cell"].path.parent / "run.log.jsonl").read_text().splitlines()
    assert [e for line in stubborn if (e := json.loads(line)["event"]) in ("overdue", "kill")] == ["overdue", "kill"]


def test_the_index_lists_what_failed_beside_what_stands(killed: dict[str, Any], project: Path) -> None:
    runs = json.loads((project / "reports" / "index.json").read_text())["runs"]
    stands = {run["report"] for run in runs if not run["path"].startswith("failed/")}
    assert stands == {*MATRIX, "slow"}
    assert {run["report"] for run in runs if run["path"].startswith("failed/")} == set(MATRIX)
    assert all((project / "reports" / run["path"]).is_file() for run in runs)


def crm(project: Path, *words: str, scratch: str = "", **more: Any) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "crmlib", "run", *words, "--shop", "data/shop", "--as-of", AS_OF.isoformat()]
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | ({"TMPDIR": scratch} if scratch else {})
    return subprocess.Popen(line, cwd=project, env=environment, text=True, stdout=-1, stderr=-1, **more)


@pytest.fixture
def sleeping(project: Path) -> Path:
    """The slow report, asleep; it writes its process id when it is."""
    (project / "pid").unlink(missing_ok=True)
    write_notebook(project, f"{len(MATRIX):02d}_slow", [code(PID.format("pid") + "time.sleep(600)"), DONE])
    return project


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_ends_the_runner_and_changes_nothing(sleeping: Path, number: signal.Signals) -> None:
    # A short path, so that sockets fit; of its own, to see that it is left empty.
    with tempfile.TemporaryDirectory() as scratch:
        _end_by_signal(sleeping, number, scratch)


def _end_by_signal(sleeping: Path, number: signal.Signals, scratch: str) -> None:
    reports = sleeping / "reports"
    before, index = standing(reports), (reports / "index.json").read_bytes()
    process = crm(sleeping, "slow", scratch=scratch)
    try:
        kernel = written(sleeping / "pid")
        if number == signal.SIGTERM:
            second = crm(sleeping, "slow")
            _, said = second.communicate(timeout=30)
            assert second.returncode == 75 and f"process {process.pid}" in said
        os.kill(process.pid, number)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert gone(kernel)
    end = time.monotonic() + 10
    while list(Path(scratch).glob("crm-*")) and time.monotonic() < end:
        time.sleep(0.05)
    assert list(Path(scratch).glob("crm-*")) == []
    assert standing(reports) == before and (reports / "index.json").read_bytes() == index
    if number == signal.SIGKILL:
        assert process.returncode == -9
        # Nobody was left to clear up: the next start does, and runs.
        assert len(list((reports / ".staging").iterdir())) == 1
        write_notebook(sleeping, f"{len(MATRIX):02d}_slow", [DONE])
        assert start(sleeping, "slow", force=True)["slow"].status == "published"
    else:
        assert process.returncode == 128 + number and f"interrupted by {number.name}" in said
    assert list((reports / ".staging").iterdir()) == []


@pytest.mark.slow
def test_a_whole_notebook_out_of_time_is_stopped_and_the_next_one_runs(sleeping: Path) -> None:
    before = standing(sleeping / "reports")
    write_notebook(sleeping, "99_quick", [DONE])
    outcomes = start(sleeping, "slow", "quick", timeout=12.0, workers=1)
    outcome = outcomes["slow"]
    assert outcomes["quick"].status == "published"
    assert (outcome.status, outcome.exit_code) == ("failed", 124)
    assert "slow took longer than 12.0 seconds and was stopped in cell 3" in outcome.message
    assert gone(written(sleeping / "pid"))
    now = standing(sleeping / "reports")
    assert {path: now[path] for path in before if path != "latest.json"} == {
        path: data for path, data in before.items() if path != "latest.json"
    }


def test_a_shop_that_is_gone_is_said_before_anything_starts(project: Path) -> None:
    before = standing(project / "reports")
    shop = project / "data" / "shop"
    shop.rename(shop.with_name("away"))
    try:
        process = crm(project, "slow")
        _, said = process.communicate(timeout=30)
    finally:
        shop.with_name("away").rename(shop)
    assert process.returncode == 2 and "there is no shop folder data/shop" in said
    assert standing(project / "reports") == before


CAN_MOUNT = (
    subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True,
                   check=False).returncode == 0
    if shutil.which("unshare")
    else False
)  # fmt: skip


@pytest.mark.parametrize("room", [20_000, *([8_192, 65_536] if CAN_MOUNT else [])])
def test_a_full_disk_changes_nothing_that_stands(project: Path, tmp_path: Path, room: int) -> None:
    """With `room` left for the page, or almost none: on a file system of its own where one may be mounted, and always
    by the largest file a process may write."""
    write_notebook(project, f"{len(MATRIX):02d}_slow", [code("print('x' * 15_000)"), DONE])
    reports = project / "reports"
    before = standing(reports)
    if room == 20_000:
        limit = (room, room)
        process = crm(project, "slow", "--force", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
        _, said = process.communicate(timeout=60)
        code_, now = process.returncode, standing(reports)
    else:
        code_, said, now = full(project, tmp_path, room)
    assert code_ == 1, said
    assert now == before
    assert "File too large" in said or "No space left" in said


def full(project: Path, scratch: Path, room: int) -> tuple[int, str, dict[str, bytes]]:
    """The same, with the reports on a disk that has `room` bytes left."""
    size = sum(path.stat().st_size + 4096 for path in (project / "reports").rglob("*")) // 4096 * 4096 * 2
    script = (
        'set -e; mount -t tmpfs -o size="$1" none "$2"; cp -a "$3/." "$2"; '
        'free=$(df --output=avail -B1 "$2" | tail -1); head -c $((free - $4)) /dev/zero > "$2/filler"; set +e; '
        '"$5" -m crmlib run slow --force --shop data/shop --as-of 2024-11-22 --reports "$2"; code=$?; '
        'rm "$2/filler"; cp -a "$2" "$6"; exit $code'
    )
    place, after = scratch / "disk", scratch / "after"
    place.mkdir()
    words = [str(size), str(place), str(project / "reports"), str(room), sys.executable, str(after)]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *words], cwd=project, text=True, capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stderr, standing(after)
