"""Days gone by: which they are, which are left, and a backfill that was stopped going on where it stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from crmlib import cli
from crmlib.errors import UsageError
from crmlib.report.backfill import days
from crmlib.report.folder import store
from crmlib.report.folder.manifest import Manifest
from crmlib.report.page.page import FINDINGS_MIME
from crmlib.report.plan import Outcome, Plan
from tests.conftest import ROOT
from tests.pages_helpers import code, make_project, payload, show, write_notebook


def test_steps() -> None:
    def said(start: str, end: str, every: str) -> list[str]:
        return [day.isoformat() for day in days(date.fromisoformat(start), date.fromisoformat(end), every)]

    assert said("2024-02-28", "2024-03-01", "day") == ["2024-02-28", "2024-02-29", "2024-03-01"]
    assert said("2026-11-02", "2026-11-20", "week") == ["2026-11-02", "2026-11-09", "2026-11-16"]
    # As-of days are exclusive: only on the first of March has all of February been seen.
    assert said("2024-01-31", "2024-03-30", "month-end") == ["2024-02-01", "2024-03-01"]
    assert (
        len(said("2025-10-01", "2026-09-30", "month-end")) == len(said("2025-10-31", "2026-09-30", "month-end")) == 12
    )
    with pytest.raises(UsageError, match="after --to"):
        said("2026-11-02", "2026-11-01", "day")
    with pytest.raises(UsageError, match="no month ends"):
        said("2026-11-02", "2026-11-20", "month-end")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = make_project(tmp_path)
    done = code(show(FINDINGS_MIME, payload()))
    write_notebook(made, "08_baskets", [done], parameters='level: str = "product"  # one of product, brand\n')
    monkeypatch.chdir(made)
    return made


def test_only_missing_or_failed_days_or_other_parameters_oldest_first(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which days are asked for; a fake runner publishes all but one."""
    asked: list[str] = []

    def fake(reports: Any, *, plan: Plan, values: Any, say: Any, **more: Any) -> list[Outcome]:
        asked.append(plan.as_of.isoformat())
        status = {"2024-11-02": "failed", "2024-11-03": "not_available"}.get(asked[-1], "published")
        outcome = Outcome(report="baskets", status=status, exit_code=3 if status == "failed" else 0)
        if status != "failed":
            run_id = f"20261122-06000{len(asked) % 10}-baskets-00a1"
            manifest = {"run_id": run_id, "report": "baskets", "variant": "", "as_of": asked[-1], "status": status,
                        "parameters": dict(values["baskets"])}  # fmt: skip
            store.publish(plan.reports, store.stage(plan.reports, run_id), Manifest.from_json(manifest))
        say(outcome)
        return [outcome]

    monkeypatch.setattr("crmlib.report.runner.supervisor.run", fake)

    def backfill(*more: str) -> int:
        asked.clear()
        words = ["backfill", "baskets", "--shop", "data/shop", "--from", "2024-11-01", "--to", "2024-11-04", *more]
        return CliRunner().invoke(cli.main, words, catch_exceptions=False).exit_code

    assert backfill() == 3 and asked == ["2024-11-01", "2024-11-02", "2024-11-03", "2024-11-04"]
    assert backfill() == 3 and asked == ["2024-11-02", "2024-11-03"]
    assert backfill("-p", "level=brand") == 3 and len(asked) == 4
    assert backfill("-p", "level=brand") == 3 and asked == ["2024-11-02", "2024-11-03"]
    assert backfill("--force", "-p", "level=brand") == 3 and len(asked) == 4
    words = ["backfill", "baskets", "--shop", "data/shop", "--from", "2024-11-01", "--to", "2999-01-01"]
    done = CliRunner().invoke(cli.main, words, catch_exceptions=False)
    assert done.exit_code == 2 and "is yet to come" in done.output


def test_a_backfill_that_was_stopped_goes_on_where_it_stopped(project: Path) -> None:
    line = [sys.executable, "-m", "crmlib", "backfill", "--all", "--shop", "data/shop", "--from", "2024-08-01",
            "--to", "2024-10-31", "--every", "month-end", "-v"]  # fmt: skip
    more: dict[str, Any] = {"cwd": project, "env": os.environ | {"PYTHONPATH": str(ROOT)}, "text": True}
    first = project / "reports" / "2024-09-01" / "baskets"
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    end = time.monotonic() + 60
    while not (first / "manifest.json").exists() and time.monotonic() < end:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 143 and "interrupted by SIGTERM" in said
    stood = (first / "manifest.json").read_bytes()
    assert not (project / "reports" / "2024-11-01").exists()
    done = subprocess.run(line, capture_output=True, check=False, **more)
    assert done.returncode == 0 and "2024-09-01" not in done.stdout
    assert sorted(path.name for path in (project / "reports").glob("????-??-??")) == [
        "2024-09-01",
        "2024-10-01",
        "2024-11-01",
    ]
    assert (first / "manifest.json").read_bytes() == stood
    again = subprocess.run(line, capture_output=True, check=False, **more)
    assert (again.returncode, again.stdout) == (0, "all 3 days from 2024-09-01 to 2024-11-01 are there\n")
