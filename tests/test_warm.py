"""Kernels that are forked from one warm process: each its own, and gone with its worker, however the run goes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from crmlib.report.page.page import FINDINGS_MIME
from crmlib.report.parameters import select
from crmlib.report.plan import Outcome
from crmlib.report.runner.supervisor import run
from tests.pages_helpers import code, make_plan, make_project, payload, show, write_notebook

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux alone")

DONE = code(show(FINDINGS_MIME, payload()))
TELL = """
import sys
ENGINE = "duckdb" in sys.modules
import json, os, random, sys, tempfile, uuid
from pathlib import Path
import numpy as np
import duckdb
told = {{
    "engine": ENGINE, "ready": "crmlib.analysis.baskets" in sys.modules, "numpy": np.random.random(), "python": random.random(),
    "name": tempfile.mktemp(), "uuid": str(uuid.uuid4()), "pid": os.getpid(), "parent": os.getppid(),
    "runtime": os.environ["JUPYTER_RUNTIME_DIR"], "folder": os.getcwd(), "main": __name__,
    "sum": duckdb.sql("select sum(i) from range(1000000) t(i)").fetchone()[0],
}}
Path({!r}).write_text(json.dumps(told))
"""
# The nursery is the parent of the kernel's parent.
KILL = "import os, psutil\nos.kill(psutil.Process(os.getppid()).ppid(), 9)\nimport time\ntime.sleep(60)"


def start(project: Path, *names: str, **plan: Any) -> dict[str, Outcome]:
    chosen = select(project / "notebooks", names)
    values: dict[str, dict[str, Any]] = {report.name: {} for report in chosen}
    return {
        o.report: o for o in run(chosen, plan=make_plan(project, **{"warm": True} | plan), values=values, workers=1)
    }


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_project(tmp_path_factory.mktemp("warm"))
    for number, name in enumerate(("one", "two", "cold"), start=70):
        write_notebook(made, f"{number}_{name}", [code(TELL.format(name)), DONE])
    return made


@pytest.fixture(scope="module")
def told(project: Path) -> dict[str, dict[str, Any]]:
    outcomes = start(project, "one", "two") | start(project, "cold", warm=False)
    assert {o.status for o in outcomes.values()} == {"published"}, outcomes
    return {name: json.loads((project / name).read_text()) for name in outcomes}


def test_what_is_imported_once_is_there_in_each(told: dict[str, dict[str, Any]]) -> None:
    assert {name: kernel["ready"] for name, kernel in told.items()} == {"one": True, "two": True, "cold": False}


def test_no_engine_and_so_no_thread_is_there_before_a_fork(told: dict[str, dict[str, Any]]) -> None:
    assert not any(kernel["engine"] for kernel in told.values())


@pytest.mark.parametrize("what", ["numpy", "python", "name", "uuid", "pid", "parent", "runtime"])
def test_nothing_that_must_be_its_own_is_shared(told: dict[str, dict[str, Any]], what: str) -> None:
    assert told["one"][what] != told["two"][what]


@pytest.mark.parametrize("what", ["folder", "main", "sum"])
def test_a_forked_kernel_stands_where_any_other_does(told: dict[str, dict[str, Any]], what: str) -> None:
    assert told["one"][what] == told["two"][what] == told["cold"][what]


@pytest.mark.slow
def test_without_its_nursery_a_run_goes_on(project: Path) -> None:
    write_notebook(project, "69_killer", [code(KILL), DONE])
    outcomes = start(project, "killer", "one", "two", force=True)
    assert outcomes["killer"].status == "failed" and outcomes["killer"].exit_code == 1
    assert "the process that ran killer ended at cell 3" in outcomes["killer"].message
    assert outcomes["one"].status == outcomes["two"].status == "published"
    assert not json.loads((project / "two").read_text())["ready"]
