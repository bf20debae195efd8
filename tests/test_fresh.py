"""Up to date or not, and why: every thing a run is made from, changed one at a time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from crmlib.report.folder import store as publish
from crmlib.report.folder.manifest import Manifest, fingerprint
from crmlib.report.memory import provenance
from crmlib.report.page.page import FINDINGS_MIME
from crmlib.report.parameters import Report, select
from crmlib.report.plan import Plan
from crmlib.report.runner import fresh
from tests.conftest import ROOT
from tests.pages_helpers import code, make_plan, make_project, payload, show, write_notebook

VALUES = {"level": "brand"}
TABLE = (
    "from pathlib import Path\nPath(out, 'tables').mkdir()\nPath(out, 'tables', 'weeks.csv').write_text('week\\n1\\n')"
)
CELLS = [code(TABLE), code(show(FINDINGS_MIME, payload()))]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = make_project(tmp_path)
    write_notebook(made, "08_baskets", CELLS, parameters='level: str = "brand"  # one of brand, product\n')
    return made


def stand(plan: Plan, report: Report, *, values: dict[str, Any] = VALUES, **changes: Any) -> Path:
    """A published run of the day, as if just made from all there is."""
    run_id = f"20261122-060000-{report.name}-00a1"
    staging = publish.stage(plan.reports, run_id)
    (staging / "metrics.json").write_text("{}")
    manifest = {
        "run_id": run_id, "report": report.name, "variant": plan.variant, "as_of": plan.as_of.isoformat(),
        "status": "published", "parameters": values, "made_from": provenance.Basis.look(plan).of(report, plan),
        "files": {"metrics.json": fingerprint(staging / "metrics.json")},
    }  # fmt: skip
    return publish.publish(plan.reports, staging, Manifest.from_json(manifest | changes))


def why(plan: Plan, report: Report, values: dict[str, Any] = VALUES) -> list[str]:
    return fresh.why(plan, report, values, provenance.Basis.look(plan).of(report, plan))


def test_each_thing_a_run_is_made_from_is_a_reason(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, (report,) = make_plan(project), select(project / "notebooks")
    assert why(plan, report) == ["no run of this day yet"]
    stand(plan, report)
    assert why(plan, report) == []
    shop = project / "data" / "shop"
    orders = shop / "orders.csv"
    before = orders.read_bytes()
    stamp = orders.stat()
    orders.write_bytes(before.replace(b"10", b"11"))
    os.utime(orders, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert why(plan, report) == ["orders.csv changed"]
    orders.write_bytes(before)
    assert why(plan, report) == []
    (shop / "feedback.csv").write_text("feedback_id,text\n")
    (shop / "notes.md").write_text("not a table")
    assert why(plan, report) == ["feedback.csv is new"]
    (shop / "feedback.csv").unlink()
    orders.rename(shop / "orders.parquet")
    assert why(plan, report) == ["orders.csv is gone", "orders.parquet is new"]
    (shop / "orders.parquet").rename(orders)
    (shop / "shop.toml").write_text('name = "Other"')
    assert why(plan, report) == ["shop.toml is new"]
    (shop / "shop.toml").unlink()
    assert why(plan, report, {"level": "product"}) == ["level was brand, is product"]
    assert why(make_plan(project, variant="low"), report) == ["no run of this day yet"]
    assert why(make_plan(project, force=True), report) == ["--force"]
    assert why(plan, report) == []
    write_notebook(project, "08_baskets", [*CELLS, code("1")])
    assert why(plan, report) == ["the notebook changed"]


def test_another_as_of_day_is_another_run(project: Path) -> None:
    plan, (report,) = make_plan(project), select(project / "notebooks")
    stand(plan, report)
    assert why(make_plan(project, as_of=date(2026, 11, 23)), report) == ["no run of this day yet"]


def test_a_package_that_comes_goes_or_changes_is_a_reason(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, (report,) = make_plan(project), select(project / "notebooks")
    site = tmp_path / "site"
    (site / "somelib-1.0.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(site))
    stand(plan, report)
    (site / "somelib-1.0.dist-info").rename(site / "somelib-1.1.dist-info")
    assert why(plan, report) == ["somelib was 1.0, is 1.1"]
    (site / "somelib-1.1.dist-info").rmdir()
    assert why(plan, report) == ["somelib is gone, was 1.0"]


def test_changed_code_is_a_reason_the_template_included(project: Path, tmp_path: Path) -> None:
    """In a copy of the package, so that the one in use is not touched."""
    copy = tmp_path / "copy"
    shutil.copytree(ROOT / "crmlib", copy / "crmlib", ignore=shutil.ignore_patterns("__pycache__"))
    program = "from crmlib.report.memory import provenance as p; print(p.__file__, p._code())"

    def look() -> str:
        environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=copy, capture_output=True, text=True, env=environment, check=True
        )
        where, digest = done.stdout.split()
        assert Path(where).is_relative_to(copy)
        return digest

    before = look()
    assert look() == before
    for path in ("stats/intervals.py", "report/page/template/style.css"):
        file = copy / "crmlib" / path
        file.write_text(file.read_text() + "\n")
        assert look() != before
        before = look()


def test_an_earlier_run_that_came_in_since_is_a_reason_and_the_same_made_again_is_none(project: Path) -> None:
    plan, (report,) = make_plan(project), select(project / "notebooks")
    earlier = make_plan(project, as_of=date(2026, 11, 21))
    stand(plan, report)
    stand(earlier, report)
    assert why(plan, report) == ["earlier runs changed or came in"]
    stand(plan, report)
    assert why(plan, report) == []
    stand(earlier, report, run_id="20261122-070000-baskets-00b2")
    assert why(plan, report) == []
    # What comes later is not looked back on.
    stand(make_plan(project, as_of=date(2026, 11, 23)), report)
    assert why(plan, report) == []


def test_a_run_that_stands_damaged_or_says_too_little_is_made_anew(project: Path) -> None:
    plan, (report,) = make_plan(project), select(project / "notebooks")
    place = stand(plan, report)
    (place / "metrics.json").write_text("[]")
    assert why(plan, report) == ["metrics.json is not as it was published"]
    (place / "metrics.json").unlink()
    assert why(plan, report) == ["metrics.json is missing"]
    manifest = json.loads((place / "manifest.json").read_text())
    del manifest["made_from"]
    (place / "manifest.json").write_text(json.dumps(manifest))
    assert why(plan, report) == ["the run that stands does not say what it was made from"]


def test_a_large_file_is_read_once_while_nothing_touches_it(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "LARGE", 10)
    plan = make_plan(project)
    orders = project / "data" / "shop" / "orders.csv"
    read: list[str] = []
    real = provenance.sha256

    def counting(path: Path) -> str:
        read.append(path.name)
        return real(path)

    monkeypatch.setattr(provenance, "sha256", counting)
    # Written a moment ago, it could be written again within the clock's step: not remembered.
    provenance.Basis.look(plan).remember(plan)
    assert not (plan.reports / ".stamps.json").exists()
    monkeypatch.setattr(provenance, "_SETTLED", -1.0)
    known = provenance.Basis.look(plan)
    known.remember(plan)
    assert str(project) not in (plan.reports / ".stamps.json").read_text()
    read.clear()
    assert provenance.Basis.look(plan).inputs == known.inputs and "orders.csv" not in read
    stamp = orders.stat()
    orders.write_bytes(orders.read_bytes().replace(b"10", b"11"))
    # Even with its old time put back the system's own change time tells.
    os.utime(orders, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert provenance.Basis.look(plan).inputs != known.inputs and "orders.csv" in read


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory, demo_in_place: Path) -> Path:
    """Five quick reports on the demo shop's own files, run once."""
    made = make_project(tmp_path_factory.mktemp("five"))
    (made / "data" / "demo").symlink_to(demo_in_place)
    for number, letter in enumerate("abcde"):
        write_notebook(made, f"0{number}_report_{letter}", CELLS, title=f"Report {letter}")
    done = command(made, "--all")
    assert done.returncode == 0, done.stderr
    return made


def command(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "crmlib", "run", "--shop", "data/demo", "--as-of", "2026-10-01", *words]
    return subprocess.run(
        line, cwd=project, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )


def state(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.stat().st_ino,
                                              path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }  # fmt: skip


def test_the_second_run_of_five_reports_says_up_to_date_loads_little_and_writes_nothing(
    five: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(five / "reports")
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    done = command(five, "--all", "-v")
    assert done.returncode == 0 and done.stdout.count("up to date") == 5
    assert state(five / "reports") == before
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "crmlib.report.runner.fresh" in loaded
    assert not loaded & {"pandas", "numpy", "ibis", "duckdb", "papermill", "nbconvert", "nbformat", "jinja2"}
    monkeypatch.delenv("PYTHONPROFILEIMPORTTIME")
    # A lock held elsewhere still says that a run is under way.
    with publish.lock(five / "reports", "report_a"):
        assert command(five, "--all").returncode == 75


def test_a_run_killed_before_the_index_knew_it_is_indexed_by_the_next(five: Path) -> None:
    index = five / "reports" / "index.json"
    whole = index.read_bytes()
    said = json.loads(whole)
    said["runs"] = said["runs"][1:]
    index.write_text(json.dumps(said))
    done = command(five, "--all", "-v")
    assert done.stdout.count("up to date") == 5
    assert index.read_bytes() == whole


def test_force_writes_tables_and_metrics_byte_for_byte_again(five: Path) -> None:
    reports = five / "reports"
    before = {p: p.read_bytes() for p in reports.glob("2026-10-01/*/*") if p.name == "metrics.json"}
    before |= {p: p.read_bytes() for p in reports.glob("2026-10-01/*/tables/*")}
    assert len(before) == 10
    first = {p: json.loads(p.read_text())["run_id"] for p in reports.glob("2026-10-01/*/manifest.json")}
    done = command(five, "report_a", "report_b", "--force", "-v")
    assert done.returncode == 0 and done.stdout.count("published") == 2
    now = {p: json.loads(p.read_text())["run_id"] for p in first}
    assert sum(first[p] != now[p] for p in first) == 2
    assert {p: p.read_bytes() for p in before} == before
