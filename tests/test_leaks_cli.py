"""What the command line refuses, names and shows: days to come, broken notebooks, colours out of the data."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from crmlib import cli, scratch
from crmlib.errors import UsageError
from crmlib.report import archive
from crmlib.report.folder import store
from crmlib.report.folder.manifest import Manifest, write_json
from tests.conftest import ROOT
from tests.pages_helpers import PARAMETERS, code, make_project, prose, write_notebook

TODAY = datetime.now(UTC).date()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = make_project(tmp_path / "project")
    write_notebook(made, "01_good", [prose("x")])
    monkeypatch.chdir(made)
    return made


def crm(*words: str) -> Result:
    return CliRunner().invoke(cli.main, list(words))


# Days to come


def test_a_day_to_come_is_refused_unless_the_shop_lives_then(project: Path) -> None:
    words = ["run", "good", "--shop", "data/shop", "--dry-run", "--as-of"]
    done = crm(*words, "2062-10-01")
    assert done.exit_code == 2 and "--as-of 2062-10-01 is yet to come; the last day can be" in done.output
    assert crm(*words, str(TODAY)).exit_code == 0
    (project / "data" / "shop" / "shop.toml").write_text("as_of = 2062-10-01\n")
    assert crm(*words, "2062-10-01").exit_code == 0
    assert crm(*words, "2062-10-02").exit_code == 2
    assert not (project / "reports").exists()


def put(reports: Path, day: str, made: datetime) -> None:
    run_id = f"r-{day}"
    said = Manifest(run_id=run_id, report="good", as_of=datetime.fromisoformat(day).date(), status="published",
                    started_at=made.isoformat())  # fmt: skip
    write_json(reports / day / "good" / "manifest.json", said.to_json())


def test_runs_of_days_to_come_are_pruned_before_those_of_days_that_were(tmp_path: Path) -> None:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    for day in ("2026-10-01", "2026-10-15", "2026-11-01", "2062-10-01", "2062-10-02"):
        put(tmp_path, day, now)
    gone = [path.parent.name for path in archive.prunable(tmp_path, keep=2)]
    assert gone == ["2026-10-01", "2062-10-01", "2062-10-02"]
    left = [path.parent.name for path in archive.prunable(tmp_path, before=(now + timedelta(days=9)).date())]
    assert left == ["2026-10-01", "2026-10-15"]


# Notebooks that are none


BROKEN = {
    "02_torn": "{",
    "03_list": "[1, 2]",
    "04_empty": "",
    "05_bare": json.dumps({"cells": []}),
    "06_syntax": json.dumps(
        {"cells": [{"cell_type": "code", "source": ["shop: str = ("], "metadata": {"tags": ["parameters"]}}]}
    ),
    "07_julia": json.dumps(
        {
            "cells": [{"cell_type": "code", "source": [PARAMETERS], "metadata": {"tags": ["parameters"]}}],
            "metadata": {"kernelspec": {"name": "julia-1.11", "language": "julia"}},
        }
    ),
    "08_odd": json.dumps({"cells": [3, None]}),
}


def test_a_broken_or_foreign_notebook_is_named_and_the_others_run(project: Path) -> None:
    for name, text in BROKEN.items():
        (project / "notebooks" / f"{name}.ipynb").write_text(text)
    (project / "notebooks" / "09_bytes.ipynb").write_bytes(b"\xff\xfe\x00")
    for words in (["run", "--all", "--shop", "data/shop", "--dry-run"], ["list"]):
        done = crm(*words)
        assert done.exit_code == 0 and "good" in done.stdout, done.output
        assert all(f"left out: {name}.ipynb" in done.stderr for name in [*BROKEN, "09_bytes"]), done.stderr
        assert "Traceback" not in done.output
    assert crm("run", "torn", "--shop", "data/shop").exit_code == 2
    (project / "notebooks" / "01_good.ipynb").unlink()
    assert crm("run", "--all", "--shop", "data/shop").exit_code == 2


# Hooks


@pytest.mark.parametrize(
    "words",
    [
        ["--shop", "data/gone"],
        ["--shop", "data/shop", "-p", "nothing=1"],
        ["--shop", "data/shop", "--as-of", "2062-10-01"],
        ["--shop", "data/shop", "--as-of", "some day"],
        ["other", "--shop", "data/shop"],
        ["--shop", "data/shop", "--timeout", "x"],
    ],
)
def test_the_failure_hook_is_called_whenever_nothing_could_begin(project: Path, words: list[str]) -> None:
    heard = 'printf "%s|%s|%s|%s\\n" "$CRM_REPORT" "$CRM_STATUS" "$CRM_EXIT" "$CRM_MESSAGE" >> heard.txt'
    done = crm("run", "good", *words, "--on-failure", heard, "--on-success", "touch success")
    assert done.exit_code == 2
    (line,) = (project / "heard.txt").read_text().splitlines()
    assert line.startswith("|failed|2|") and line.removeprefix("|failed|2|") in done.output
    assert not (project / "success").exists()
    crm("run", "good", *words, "--on-failure", heard, "--dry-run")
    assert len((project / "heard.txt").read_text().splitlines()) == 1


def test_a_shop_is_looked_for_here_first(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from crmlib.cli import common

    here = project / "sub" / "data" / "shop"
    here.mkdir(parents=True)
    monkeypatch.chdir(project / "sub")
    assert common.shop_folder(project, "data/shop")[:2] == (here.resolve(), "sub/data/shop")
    here.rmdir()
    assert common.shop_folder(project, "data/shop")[:2] == ((project / "data" / "shop").resolve(), "data/shop")


# The terminal


ORDERS = "order_id,ordered_at,total,status\n1,2026-11-01,10,{odd}\n{odd},x,1,\n"


def test_nothing_of_the_data_moves_the_terminal(project: Path) -> None:
    odd = "a\x1b[2J\x1b]0;title\x07b"
    (project / "data" / "shop" / "orders.csv").write_text(ORDERS.format(odd=odd))
    write_notebook(project, "02_odd", [code("1")], title=odd)
    for words in (["check", "--shop", "data/shop"], ["list"], ["run", odd], ["check", "--shop", odd]):
        output = CliRunner().invoke(cli.main, words, color=True).output
        assert "\x1b" not in output and "\x07" not in output, words


# Left behind, and two at once


def _be_killed(ready: Any) -> None:
    with scratch.private() as folder:
        (folder / "rows.tmp").write_text("Zqkim")
        ready.put(str(folder))
        time.sleep(60)


# Beside DuckDB's threads no process may be forked: one of its own.
_OPENS = (
    "import sys, time\nimport crmlib as crm\nshop = crm.connect(sys.argv[1])\nprint('open', flush=True)\ntime.sleep(60)"
)


def test_what_a_killed_kernel_left_is_swept_where_a_shop_is_opened_next(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import crmlib

    place = project / "tmp"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.setattr(scratch, "_YOUNGEST", 0.0)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(place)}
    words = [sys.executable, "-c", _OPENS, str(project / "data" / "shop")]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as kernel:
        assert kernel.stdout and kernel.stdout.readline() == "open\n"
        (left,) = place.glob("crmlib-*")
        shop = crmlib.connect(project / "data" / "shop")
        assert left.is_dir() and len(list(place.iterdir())) == 2, "one that is alive keeps its own"
        kernel.kill()
    del shop
    gc.collect()
    assert list(place.iterdir()) == [left]
    again = crmlib.connect(project / "data" / "shop")
    assert list(place.iterdir()) == [again._scratch.path]


def test_what_a_killed_run_left_is_swept_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(scratch, "_YOUNGEST", 0.0)
    context = multiprocessing.get_context("fork")
    told = context.Queue()
    process = context.Process(target=_be_killed, args=(told,))
    process.start()
    left = Path(told.get(timeout=20))
    (tmp_path / "crm-of-somebody-else").mkdir()
    with scratch.private() as own:
        assert left.is_dir() and own.is_dir() and own.stat().st_mode & 0o777 == 0o700
    assert not own.exists()
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert (left / "rows.tmp").exists()
    with scratch.private():
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["crm-of-somebody-else"]


def _claim(folder: str, shop: str, begin: Any, told: Any) -> None:
    begin.wait()
    try:
        store.claim(Path(folder), shop={"name": shop, "folder": shop})
        told.put(shop)
    except UsageError:
        told.put("")


def test_of_two_shops_that_begin_together_one_has_the_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for attempt in range(5):
        begin, told = context.Barrier(4), context.Queue()
        args = [(str(tmp_path / f"reports{attempt}"), f"shop{i}", begin, told) for i in range(4)]
        crowd = [context.Process(target=_claim, args=given) for given in args]
        for process in crowd:
            process.start()
        heard = [told.get(timeout=20) for _ in crowd]
        for process in crowd:
            process.join()
        assert len([shop for shop in heard if shop]) == 1, heard
