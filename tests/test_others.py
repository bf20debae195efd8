"""A report that runs after the others: what it is handed, by which day, and when it is out of date."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from crmlib.publishing import published
from crmlib.report.folder import store
from crmlib.report.memory import others
from crmlib.report.page.page import FINDINGS_MIME
from crmlib.report.parameters import resolve, select
from crmlib.report.runner.supervisor import run
from tests.pages_helpers import code, make_plan, make_project, metric, payload, show, write_notebook
from tests.test_pages import run_of

READ = (
    "from pathlib import Path\nfrom crmlib.publishing import published\nPath(out, 'tables').mkdir()\n"
    "text = ''.join(f'{r.report} {r.as_of} {sorted(r.metrics)}\\n' for r in published(out))\n"
    "Path(out, 'tables', 'read.csv').write_text(text)"
)


def put(reports: Path, day: str, report: str = "small", **said: Any) -> None:
    run = run_of(report, run_id=f"{day}-{report}", as_of=date.fromisoformat(day), **said)
    staging = store.stage(reports, run.run_id)
    (staging / "metrics.json").write_text(json.dumps({"metrics": [{**METRIC, "value": float(day[8:])}]}))
    store.publish(reports, staging, run)


METRIC = {
    "id": "m",
    "label": "M",
    "value": 1.0,
    "unit": "orders",
    "definition": "",
    "n": None,
    "low": None,
    "high": None,
}


def test_it_is_handed_the_newest_runs_of_its_day_and_those_of_a_month_and_a_year_before(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    plan = make_plan(project)  # as of 22 November 2026
    for day in ("2025-11-20", "2026-10-05", "2026-10-22", "2026-11-20", "2026-11-22", "2026-11-23"):
        put(plan.reports, day)
    put(plan.reports, "2026-11-22", "own")
    put(plan.reports, "2026-11-21", "few", status="too_few")
    put(plan.reports, "2026-11-21", "part", parameters={"segment": "unhappy"})
    put(plan.reports, "2026-11-21", "other", variant="strict")
    runs = others.seen(plan, "own", {"segment": ""})
    assert sorted(str(found.as_of) for found in runs) == ["2025-11-20", "2026-10-22", "2026-11-22"]
    assert {found.report for found in runs} == {"small"}
    assert [found.report for found in others.seen(plan, "own", {"segment": "unhappy"})] == ["part"]
    out = tmp_path / "out"
    out.mkdir()
    others.lay(plan, runs, out)
    told = published(out)
    assert [(str(one.as_of), one.metrics["m"].value) for one in told] == [
        ("2026-11-22", 22.0),
        ("2026-10-22", 22.0),
        ("2025-11-20", 20.0),
    ]
    assert others.memory(runs) == others.memory(runs[::-1]) != others.memory(runs[1:])


@pytest.mark.parametrize(
    ("day", "months", "was"),
    [("2026-03-31", 1, "2026-02-28"), ("2024-02-29", 12, "2023-02-28"), ("2026-01-15", 1, "2025-12-15")],
)
def test_months_before(day: str, months: int, was: str) -> None:
    assert others._before(date.fromisoformat(day), months) == date.fromisoformat(was)


@pytest.mark.parametrize("warm", [True, False])
@pytest.mark.slow
def test_it_runs_last_and_again_when_what_it_reads_was_run_anew(tmp_path: Path, warm: bool) -> None:
    project = make_project(tmp_path)
    write_notebook(project, "01_after", [code(READ), code(show(FINDINGS_MIME, payload()))])
    notebook = project / "notebooks" / "01_after.ipynb"
    written = json.loads(notebook.read_text())
    written["metadata"]["crm"] = {"after": "others"}
    notebook.write_text(json.dumps(written))
    for name in ("02_one", "03_two"):
        write_notebook(project, name, [code(show(FINDINGS_MIME, payload(metrics=[metric()])))])
    plan = make_plan(project, warm=warm)
    reports = select(project / "notebooks")
    assert [report.after for report in reports] == [True, False, False]

    def once(**more: Any) -> list[tuple[str, str]]:
        seen: list[tuple[str, str]] = []
        chosen = [report for report in reports if report.name in more.get("names", ("after", "one", "two"))]
        of = make_plan(project, warm=warm, force=more.get("force", False))
        run(chosen, plan=of, values=resolve(reports, ()), say=lambda o: seen.append((o.report, o.status)))
        return seen

    assert once()[-1] == ("after", "published")
    place = plan.reports / str(plan.as_of) / "after"
    assert sorted(line.split()[0] for line in (place / "tables" / "read.csv").read_text().splitlines()) == [
        "one",
        "two",
    ]
    assert not (place / "published.json").exists()
    assert {status for _, status in once()} == {"up_to_date"}
    assert once(names=("one",), force=True) == [("one", "published")]
    assert dict(once(names=("after",))) == {"after": "published"}
    assert dict(once()) == dict.fromkeys(("after", "one", "two"), "up_to_date")
    assert once(force=True)[-1] == ("after", "published")
