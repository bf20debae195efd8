"""What a reports folder holds: late, different, damaged, prunable. Runs are put there by hand."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from crmlib import cli
from crmlib.errors import UsageError
from crmlib.report import archive
from crmlib.report.folder import store as publish
from crmlib.report.folder.manifest import Manifest, fingerprint, slug_of
from crmlib.report.page.index import rebuild
from tests.pages_helpers import make_project, metric, write_notebook

SHOP = {"name": "Small shop", "folder": "data/shop"}
NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = make_project(tmp_path)
    write_notebook(made, "08_baskets", [], title="Baskets")
    write_notebook(made, "12_feedback", [], title="Feedback")
    monkeypatch.chdir(made)
    return made


def crm(*words: str) -> Result:
    return CliRunner().invoke(cli.main, list(words), catch_exceptions=False)


def put(
    reports: Path, as_of: str, *, failed: bool = False, age: timedelta = timedelta(0), metrics: Any = (), **changes: Any
) -> Path:
    """A run with a page, a table and a list, made `age` before NOW; failed ones go where failures go."""
    report, variant = changes.get("report", "baskets"), changes.get("variant", "")
    started = NOW - age
    run_id = publish.new_run_id(slug_of(report, variant), started)
    staging = publish.stage(reports, run_id)
    (staging / "report.html").write_text(f"page of {as_of}")
    (staging / "metrics.json").write_text(json.dumps({"metrics": [metric(**m) for m in metrics]}))
    (staging / "tables").mkdir()
    (staging / "tables" / "rules.csv").write_text(f"rule\n{as_of}\n")
    names = ("report.html", "metrics.json", "tables/rules.csv")
    manifest = {
        "run_id": run_id, "report": report, "variant": variant, "title": report.capitalize(), "order": "08",
        "as_of": as_of,
        "status": "failed" if failed else "published", "reason": "KeyError in cell 3" if failed else "",
        "headline": "Ten.",
        "started_at": started.isoformat(timespec="milliseconds"), "parameters": {"level": "product"},
        "code": {"version": "0.1.0", "commit": "abc", "notebook": "11"}, "packages": {"pandas": "3.1.1"},
        "rows": {"rules": 1},
        "inputs": [{"table": "orders", "sha256": "aa", "kept": 10}], "made_from": {"code": "c1"},
        "files": {} if failed else {name: fingerprint(staging / name) for name in names},
    } | changes  # fmt: skip
    said = Manifest.from_json(manifest)
    if failed:
        return publish.keep_failure(reports, staging, said, html="<p>no</p>")
    return publish.publish(reports, staging, said)


def test_a_state_is_the_newest_day_and_a_failure_since(tmp_path: Path) -> None:
    put(tmp_path, "2026-11-23", age=timedelta(hours=25))
    # A backfill made an old day a minute ago: it is not the newest.
    put(tmp_path, "2026-01-01", age=timedelta(minutes=1))
    put(tmp_path, "2026-11-24", failed=True, age=timedelta(hours=1))
    put(tmp_path, "2026-11-24", failed=True, age=timedelta(hours=1), report="feedback")
    baskets, feedback, experiments = archive.states(tmp_path, ["baskets", "feedback", "experiments"])
    assert baskets.run and baskets.failed and (baskets.run.as_of, baskets.word) == (date(2026, 11, 23), "published")
    assert baskets.failed.reason == "KeyError in cell 3"
    assert (feedback.run, feedback.word) == (None, "failed") and experiments.word == "never run"
    assert not baskets.is_late(NOW, timedelta(hours=26)) and baskets.is_late(NOW, timedelta(hours=24))
    assert feedback.is_late(NOW, timedelta(days=999)) and not experiments.is_late(NOW, timedelta(hours=1))
    put(tmp_path, "2026-11-24")
    assert archive.states(tmp_path, ["baskets"])[0].failed is None


def test_status_exits_1_when_a_report_is_late_or_nothing_ever_ran(project: Path) -> None:
    reports = project / "reports"
    assert crm("status").exit_code == 2
    reports.mkdir()
    assert (crm("status", "--max-age", "26h").exit_code, crm("status", "--max-age", "26h").stderr) == (
        1, "crm: no report has a run in reports\n")  # fmt: skip
    put(reports, "2026-11-24", started_at=(datetime.now(UTC) - timedelta(hours=3)).isoformat())
    # As cron calls it: silent when all is well.
    assert (crm("status", "--max-age", "4h").exit_code, crm("status", "--max-age", "4h").output) == (0, "")
    done = crm("status", "--max-age", "4h", "-v")
    assert done.exit_code == 0 and "late" not in done.output
    assert "baskets   2026-11-24  published" in done.output and "feedback  –           never run" in done.output
    done = crm("status", "--max-age", "2h")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "crm: baskets is late: its newest run was made 3 h ago\n"
    assert crm("status").exit_code == 0 and "published" in crm("status").output
    # One that is named is expected.
    assert crm("status", "feedback", "--max-age", "4h").stderr == "crm: feedback is late: it has no run\n"
    assert crm("status", "baskets", "--max-age", "4h").exit_code == 0
    assert "did you mean 'baskets'" in crm("status", "basket").output
    assert crm("status", "--max-age", "26").exit_code == 2


def test_diff_shows_what_changed_and_what_may_have_made_it(project: Path) -> None:
    reports = project / "reports"
    before = [{"value": 100.0},
              {"id": "hit", "label": "Hit rate", "value": 0.10, "unit": "share", "low": 0.08, "high": 0.12},
              {"id": "gone", "label": "Gone", "value": 1.0}]  # fmt: skip
    after = [
        {"value": 110.0},
        {"id": "hit", "label": "Hit rate", "value": 0.11, "unit": "share", "low": 0.09, "high": 0.13},
    ]
    put(reports, "2026-10-01", metrics=before)
    put(
        reports, "2026-11-01", metrics=after, parameters={"level": "brand"}, packages={"pandas": "3.2.0"},
        inputs=[{"table": "orders", "sha256": "bb", "kept": 12}, {"table": "feedback", "sha256": "cc", "kept": 3}],
        code={"version": "0.1.0", "commit": "def", "notebook": "11"}, made_from={"code": "c2"}, rows={"rules": 2},
    )  # fmt: skip
    done = crm("diff", "baskets", "2026-10-01", "2026-11-01")
    lines = [" ".join(line.split()) for line in done.output.splitlines()]
    assert done.exit_code == 0
    assert "Baskets 100 110 up 10 (10%)" in lines
    assert "Hit rate 10.0% (8.0–12.0%) 11.0% (9.0–13.0%) no clear change" in lines
    assert "Gone 1 – gone" in lines
    assert "feedback: new (3 rows)" in lines and "orders: 2 more rows, now 12" in lines
    assert "level was product, is brand" in lines and "pandas was 3.1.1, is 3.2.0" in lines
    assert "crmlib 0.1.0 at abc → 0.1.0 at def" in lines
    assert "rules: 1 → 1 row; 1 entered, 1 left, 0 moved" in lines
    same = crm("diff", "baskets", "2026-10-01", "2026-10-01").output
    assert same.count(": the same") == 6
    assert "did you mean '2026-11-01'" in crm("diff", "baskets", "2026-10-01", "2026-11-02").output
    assert crm("diff", "baskets", "2026-10-01", "today").exit_code == 2


def test_a_difference_moves_no_terminal(project: Path) -> None:
    odd = "\x1b[2J\x1b]0;title\x07\u202e"
    put(project / "reports", "2026-10-01", metrics=[{"label": "Name", "value": 1.0}], parameters={"level": "a"})
    put(project / "reports", "2026-11-01", metrics=[{"label": f"{odd}Name", "value": 2.0}], parameters={"level": odd})
    output = (
        CliRunner()
        .invoke(cli.main, ["diff", "baskets", "2026-10-01", "2026-11-01"], color=True, catch_exceptions=False)
        .output
    )
    assert "Name" in output and "level was a" in output
    assert not {"\x1b", "\x07", "\u202e"} & set(output)


def test_diff_calls_no_running_total_a_change_and_tells_findings_that_came_or_went(project: Path) -> None:
    """The same rule as the page's, from the manifests of both runs."""
    reports = project / "reports"
    signals = [
        {"id": name, "text": f"{name} are late.", "gone": f"{name} are on time again."} for name in ("Hats", "Mugs")
    ]
    put(reports, "2026-10-01", metrics=[{"value": 100.0}], running=["baskets"], signals=signals[:1])
    put(reports, "2026-11-01", metrics=[{"value": 110.0}], running=["baskets"], signals=signals[1:])
    lines = [" ".join(line.split()) for line in crm("diff", "baskets", "2026-10-01", "2026-11-01").output.splitlines()]
    assert "Baskets 100 110" in lines
    assert "Mugs are late." in lines and "Hats are on time again." in lines


def test_diff_of_tables_without_a_key_names_the_rows(project: Path) -> None:
    reports = project / "reports"
    for day, rows in (("2026-10-01", 1), ("2026-11-01", 2)):
        place = put(reports, day, rows={"rules": rows})
        table = place / "tables" / "rules.csv"
        table.write_text("rule\n" + "x\n" * (rows + 1))
    assert "tables/rules.csv: 1 row → 2 rows" in crm("diff", "baskets", "2026-10-01", "2026-11-01").output


def test_verify_finds_what_was_changed_lost_or_never_complete(project: Path) -> None:
    reports = project / "reports"
    place, other = put(reports, "2026-10-01"), put(reports, "2026-11-01")
    assert crm("verify", "-v").output == "2 runs as published\n"
    assert crm("verify").output == ""
    table = place / "tables" / "rules.csv"
    table.write_text(table.read_text().replace("2026", "2025"))
    done = crm("verify")
    assert (done.exit_code, done.output) == (1, "crm: 2026-10-01/baskets/tables/rules.csv is not as it was published\n")
    assert crm("verify", "2026-11-01").exit_code == 0
    (other / "report.html").unlink()
    assert crm("verify", "2026-11-01").output == "crm: 2026-11-01/baskets/report.html is missing\n"
    (other / "manifest.json").write_text("{")
    assert "manifest.json is missing or cannot be read" in crm("verify", "2026-11-01").output
    assert crm("verify", "2026-12-01").exit_code == 2


def test_prune_keeps_the_newest_and_always_the_last_good_one(project: Path) -> None:
    reports = project / "reports"
    put(reports, "2026-08-01")
    put(reports, "2026-09-01")
    for day in ("2026-10-01", "2026-11-01"):
        put(reports, day, status="too_few")
    put(reports, "2026-08-01", report="feedback")
    put(reports, "2026-11-01", variant="low")
    put(reports, "2026-11-01", variant="low", age=timedelta(minutes=-1))
    put(reports, "2026-11-02", failed=True, age=timedelta(days=9))
    put(reports, "2026-11-03", failed=True, age=timedelta(days=1))
    rebuild(reports, shop=SHOP)
    before = sorted(path for path in reports.rglob("*") if ".locks" not in path.parts)
    done = crm("prune", "--keep", "1", "--dry-run")
    assert sorted(path for path in reports.rglob("*") if ".locks" not in path.parts) == before
    assert done.output.count("would remove") == 3 and "2026-09-01/baskets" not in done.output
    assert crm("prune", "--keep", "1").output == ""
    left = {path.relative_to(reports).as_posix() for path in reports.glob("????-??-??/*")}
    assert left == {"2026-09-01/baskets", "2026-11-01/baskets", "2026-11-01/baskets@low", "2026-08-01/feedback"}
    assert len(list((reports / "failed").iterdir())) == 1 and len(list((reports / "superseded").iterdir())) == 1
    assert not (reports / "2026-10-01").exists() and not (reports / ".staging" / "pruned").exists()
    runs = json.loads((reports / "index.json").read_text())["runs"]
    assert {run["as_of"] for run in runs if run["report"] == "baskets"} == {"2026-09-01", "2026-11-01", "2026-11-03"}
    assert json.loads((reports / "latest.json").read_text())["baskets"]["as_of"] == "2026-09-01"
    assert crm("verify").exit_code == 0


def test_prune_by_age_leaves_a_report_that_is_running_alone(project: Path) -> None:
    reports = project / "reports"
    for day in ("2020-01-01", "2020-02-01"):
        put(reports, day)
        put(reports, day, report="feedback")
    rebuild(reports, shop=SHOP)
    with publish.lock(reports, "feedback"):
        done = crm("prune", "--older-than", "300d")
    assert done.exit_code == 75 and "feedback is being run" in done.output
    left = {path.relative_to(reports).as_posix() for path in reports.glob("????-??-??/*")}
    assert left == {"2020-02-01/baskets", "2020-01-01/feedback", "2020-02-01/feedback"}
    for words in ([], ["--keep", "1", "--older-than", "1d"], ["--keep", "0"], ["--older-than", "1x"]):
        assert crm("prune", *words).exit_code == 2


def test_open_says_where_a_page_is_when_there_is_no_screen(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports = project / "reports"
    put(reports, "2026-10-01")
    put(reports, "2026-11-01", status="too_few")
    rebuild(reports, shop=SHOP)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert crm("open").output == "reports/index.html\n"
    assert crm("open", "baskets").output == "reports/2026-10-01/baskets/report.html\n"
    assert crm("open", "baskets", "2026-11-01").output == "reports/2026-11-01/baskets/report.html\n"
    assert "did you mean 'baskets'" in crm("open", "basket").output
    opened: list[str] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    assert crm("open").output == ""
    assert opened == [(reports / "index.html").as_uri()]


def test_a_folder_that_is_not_there_is_exit_2(project: Path) -> None:
    for words in (
        ["status"],
        ["verify"],
        ["open"],
        ["prune", "--keep", "1"],
        ["diff", "baskets", "2026-10-01", "2026-10-02"],
    ):
        done = crm(*words)
        assert done.exit_code == 2 and "there is no reports folder reports" in done.output
    with pytest.raises(UsageError, match="has no run of"):
        archive.run_of(project / "reports", "baskets", "2026-10-01")


def test_a_folder_that_may_not_be_written_is_one_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **more: Any) -> None:
        raise OSError(28, os.strerror(28), "reports/index.json")

    put(project / "reports", "2026-10-01")
    rebuild(project / "reports", shop=SHOP)
    monkeypatch.setattr(archive, "rebuild", refuse)
    done = crm("prune", "--keep", "1")
    assert (done.exit_code, done.output) == (1, "crm: No space left on device: reports/index.json\n")
