"""Runs with real kernels: each way to end, and what is left of it."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from crmlib.errors import UsageError
from crmlib.findings import FINDINGS_MIME, PART_MIME
from crmlib.report.folder import store as publish
from crmlib.report.page.rules import validate
from crmlib.report.parameters import resolve, select
from crmlib.report.plan import Outcome
from crmlib.report.runner.supervisor import Interrupted, _signals, exit_code, run
from tests.pages_helpers import (
    action,
    code,
    make_plan,
    make_project,
    metric,
    part,
    payload,
    prose,
    show,
    write_notebook,
)

DONE = code(show(FINDINGS_MIME, payload(rows={"weeks": 1, "late": 2})))
SAID = payload(
    rows={"weeks": 1, "late": 2},
    parts=[part(), part(title="Tuesdays sell least", glance=True)],
    metrics=[metric(), metric(id="ever", label="Baskets ever", headline=False, running=True)],
    actions=[action(what=f"Do {number}", weight=float(number)) for number in range(6)],
    changes=[{"text": "Sales rose by a tenth.", "size": 0.4, "better": True}],
    signals=[{"id": "late", "text": "Hats are late.", "gone": "Hats are on time again."}],
    ahead=["Expect 31 orders."],
)
FILES = (
    "from pathlib import Path\n"
    "for folder in ('tables', 'lists'):\n    (Path(out) / folder).mkdir()\n"
    "Path(out, 'tables', 'weeks.csv').write_text('week\\n1\\n')\n"
    "Path(out, 'lists', 'late.csv').write_text('customer_id\\n1\\n2\\n')\n"
    "Path('ran-in.txt').write_text(str([shop, as_of, label, share, flag]))\n"
    "import sys\nprint(sys.executable)\nprint(out)"
)
KINDS = {
    "01_good": ([code(FILES), code(show(PART_MIME, part())), code(show(FINDINGS_MIME, SAID))],
                'label: str = "x"  # a text\nshare: float = 0.5  # in [0, 1]\nflag: bool = true\n'.replace("true",
                                                                                                           "True")),
    "02_flaky": ([DONE], ""),
    "03_killed": ([code("import os\nos.kill(os.getpid(), 9)"), DONE], ""),
    "04_exits": ([code("import sys\nsys.exit(0)"), DONE], ""),
    "05_silent": ([code("1 + 1")], ""),
    "06_too_few": ([code(show(PART_MIME, part())), code("from crmlib.errors import NotEnoughData\n"
                   "raise NotEnoughData('too few to conclude (n = 5)')"), DONE], ""),
    "07_missing": ([code("from crmlib.errors import NotAvailable\nraise NotAvailable('needs feedback')"), DONE], ""),
    "08_data": ([code("from crmlib.errors import DataError\nraise DataError('two currencies: EUR, USD')"), DONE], ""),
    "09_usage": ([code("from crmlib.errors import UsageError\nraise UsageError('no such control')"), DONE], ""),
    "10_raises": ([code("def f():\n    raise ValueError('<script>window.hit=1</script> ' + out)\nf()"), DONE], ""),
    "11_page": ([DONE, code(show(FINDINGS_MIME, payload(parts=[part(chart={"alt": ""})])))], ""),
    "12_checks": ([code(show(FINDINGS_MIME, payload(checks=[{"name": "Sum", "verdict": "failed", "text": "Off."}])))],
                  ""),
}  # fmt: skip
OUTCOMES = {
    "good": ("published", 0),
    "flaky": ("failed", 1),
    "killed": ("failed", 1),
    "exits": ("failed", 1),
    "silent": ("failed", 1),
    "too_few": ("too_few", 0),
    "missing": ("not_available", 0),
    "data": ("refused", 3),
    "usage": ("refused", 2),
    "raises": ("failed", 1),
    "page": ("refused", 4),
    "checks": ("warnings", 0),
}


def start(project: Path, *names: str, given: tuple[str, ...] = (), workers: int = 2, **plan: Any) -> dict[str, Outcome]:
    chosen = select(project / "notebooks", names)
    outcomes = run(chosen, plan=make_plan(project, **plan), values=resolve(chosen, given), workers=workers)
    return {outcome.report: outcome for outcome in outcomes}


def everything(*folders: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_project(tmp_path_factory.mktemp("project"))
    for name, (cells, parameters) in KINDS.items():
        write_notebook(made, name, [prose("## Some prose"), *cells], parameters=parameters)
    return made


@pytest.fixture(scope="module")
def ran(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """All kinds side by side, after a good run of the flaky one, with another kernel called python3 in the way."""
    decoy = tmp_path_factory.mktemp("decoy") / "kernels"
    for name in ("python3", "crmlib"):
        (decoy / name).mkdir(parents=True)
        spec = {"argv": ["/bin/false"], "display_name": "decoy", "language": "python"}
        (decoy / name / "kernel.json").write_text(json.dumps(spec))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(decoy.parent))
        first = start(project, "flaky")
        reports = project / "reports"
        before = everything(reports / "2026-11-22", reports / "latest") | {
            "latest.json": (reports / "latest.json").read_bytes()
        }
        write_notebook(project, "02_flaky", [code("{}['gone']"), DONE])
        began = time.monotonic()
        outcomes = start(project, given=("good.label=00123", "good.share=1", "good.flag=false"))
        took = time.monotonic() - began
    yield {"first": first, "before": before, "outcomes": outcomes, "took": took, "reports": reports}


@pytest.mark.parametrize("name", list(OUTCOMES))
def test_each_ending_has_its_status_and_exit_code(ran: dict[str, Any], name: str) -> None:
    outcome = ran["outcomes"][name]
    assert (outcome.status, outcome.exit_code) == OUTCOMES[name], outcome.message
    assert outcome.path is not None and outcome.path.is_file()
    stands = (ran["reports"] / "2026-11-22" / name).exists()
    assert stands == (outcome.exit_code == 0 or name == "flaky")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("flaky", "KeyError in cell 3"),
        ("killed", "the kernel died in cell 4"),
        ("exits", "SystemExit in cell 4 ended the notebook before its last cell"),
        ("silent", "its last cell published no findings"),
        ("too_few", "too few to conclude (n = 5)"),
        ("missing", "needs feedback"),
        ("data", "two currencies: EUR, USD"),
        ("usage", "no such control"),
        ("raises", "ValueError in cell 4"),
        ("page", "alt text"),
    ],
)
def test_each_failure_says_what_happened_and_where(ran: dict[str, Any], name: str, words: str) -> None:
    outcome = ran["outcomes"][name]
    assert words in outcome.message
    html = outcome.path.read_text()
    validate(html)
    assert words.replace("'", "&#39;") in html


def test_a_good_run_leaves_all_it_should(ran: dict[str, Any]) -> None:
    folder = ran["reports"] / "2026-11-22" / "good"
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {"report.html", "summary.txt", "executed.ipynb", "metrics.json", "manifest.json", "run.log.jsonl",
                     "glance.json", "tables/weeks.csv", "lists/late.csv"}  # fmt: skip
    assert stat.S_IMODE((folder / "lists").stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "lists" / "late.csv").stat().st_mode) == 0o600
    metrics = json.loads((folder / "metrics.json").read_text())
    assert set(metrics) == {"report", "as_of", "status", "metrics"} and metrics["as_of"] == "2026-11-22"
    keys = ["id", "label", "value", "unit", "n", "low", "high", "definition"]
    assert [list(metric) for metric in metrics["metrics"]] == [keys, keys]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["parameters"] == {"label": "00123", "share": 1.0, "flag": False}
    assert manifest["files"]["tables/weeks.csv"]["bytes"] == 7 and len(manifest["code"]["notebook"]) == 64
    assert manifest["command"] == (
        "crm run good --shop data/shop --as-of 2026-11-22 -p label=00123 -p share=1.0 -p flag=false"
    )
    events = [json.loads(line) for line in (folder / "run.log.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events][:2] == ["start", "cell"] and events[-1]["event"] == "published"
    html = (folder / "report.html").read_text()
    assert "Mondays sell most" in html and "tables/weeks.csv" in html and "Ten baskets were sold." in html


def test_a_manifest_carries_what_the_index_and_the_next_run_need(ran: dict[str, Any]) -> None:
    folder = ran["reports"] / "2026-11-22" / "good"
    said = json.loads((folder / "manifest.json").read_text())
    assert said["headline"] == "Ten baskets were sold." and said["ahead"] == ["Expect 31 orders."]
    assert [tile["id"] for tile in said["tiles"]] == ["baskets"] and said["running"] == ["ever"]
    assert said["changes"] == SAID["changes"] and said["signals"] == SAID["signals"]
    assert [action["what"] for action in said["actions"]] == [f"Do {number}" for number in range(5)]
    assert {"what", "worth", "by", "owner", "file", "weight"} <= set(said["actions"][0])
    assert (said["came"], said["went"], said["missed"], said["compared"]) == ([], [], [], None)


def test_the_part_lent_to_the_index_lies_beside_the_page(ran: dict[str, Any]) -> None:
    folder = ran["reports"] / "2026-11-22" / "good"
    glance = json.loads((folder / "glance.json").read_text())
    assert set(glance) == {"title", "chart", "tiles"}
    assert set(glance["chart"]) == {"wide", "narrow", "alt", "caption"} and glance["title"] == "Tuesdays sell least"
    said = json.loads((folder / "manifest.json").read_text())
    assert glance["tiles"] == said["tiles"] and "glance.json" in said["files"]
    assert not (ran["reports"] / "2026-11-22" / "checks" / "glance.json").exists()


def test_parameters_arrive_as_typed_and_the_kernel_is_this_python(ran: dict[str, Any], project: Path) -> None:
    assert (project / "ran-in.txt").read_text() == "['data/shop', '2026-11-22', '00123', 1.0, False]"
    assert sys.executable in (ran["reports"] / "2026-11-22" / "good" / "executed.ipynb").read_text()


def test_no_page_or_notebook_names_the_staging_folder_or_the_project(ran: dict[str, Any], project: Path) -> None:
    for path in ran["reports"].rglob("*"):
        if path.is_file() and path.suffix in (".html", ".ipynb", ".json", ".jsonl"):
            text = path.read_text()
            assert str(project) not in text, path
            assert ".staging/" not in text, path
    executed = json.loads((ran["reports"] / "2026-11-22" / "good" / "executed.ipynb").read_text())
    (injected,) = [c for c in executed["cells"] if "injected-parameters" in c["metadata"].get("tags", [])]
    assert 'out = ""' in "".join(injected["source"]) and executed["metadata"]["papermill"]["parameters"]["out"] == ""


def test_after_a_failure_latest_and_the_earlier_run_are_byte_for_byte_as_before(ran: dict[str, Any]) -> None:
    assert ran["first"]["flaky"].status == "published"
    reports = ran["reports"]
    now = everything(reports / "2026-11-22", reports / "latest")
    assert {path: now.get(path) for path in ran["before"] if path != "latest.json"} == {
        path: data for path, data in ran["before"].items() if path != "latest.json"
    }
    latest = json.loads((reports / "latest.json").read_text())
    assert set(latest) == {"flaky", "good", "checks"}
    assert latest["flaky"] == json.loads(ran["before"]["latest.json"])["flaky"]


def test_a_report_without_an_answer_has_a_page_and_no_numbers(ran: dict[str, Any]) -> None:
    folder = ran["reports"] / "2026-11-22" / "too_few"
    html = (folder / "report.html").read_text()
    assert "too few to conclude" in html and "Mondays sell most" in html
    assert "papermill" not in html[: html.index('id="sources"')]
    assert json.loads((folder / "metrics.json").read_text()) == {
        "report": "too_few", "as_of": "2026-11-22", "status": "too_few", "metrics": [],
    }  # fmt: skip
    index = (ran["reports"] / "index.html").read_text()
    assert "needs feedback" in index and "too few to conclude (n = 5)" in index


def test_a_failure_page_shows_the_cell_and_lets_nothing_run(ran: dict[str, Any]) -> None:
    html = ran["outcomes"]["raises"].path.read_text()
    assert "raise ValueError(" in html and "&lt;script&gt;window.hit=1&lt;/script&gt;" in html
    assert "ValueError in cell 4, line 2" in html
    assert "<script" not in html
    killed = ran["outcomes"]["killed"].path.read_text()
    assert "os.kill(os.getpid(), 9)" in killed
    assert ran["outcomes"]["raises"].path.parent.parent.name == "failed"


def test_nothing_is_left_behind(ran: dict[str, Any]) -> None:
    assert list((ran["reports"] / ".staging").iterdir()) == []
    assert [
        child for child in psutil.Process().children(recursive=True) if "crmlib.report.runner.worker" in child.cmdline()
    ] == []


def test_the_gravest_outcome_speaks_for_all(ran: dict[str, Any]) -> None:
    assert exit_code(list(ran["outcomes"].values())) == 4

    def code_of(*codes: int) -> int:
        return exit_code([Outcome(report="x", status="", exit_code=code) for code in codes])

    assert [code_of(0, 1, 124, 3, 4), code_of(0, 1, 124, 3), code_of(1, 124, 0), code_of(1, 75), code_of(0)] == [
        4, 3, 124, 1, 0,
    ]  # fmt: skip


def test_another_shops_folder_is_refused_before_anything_starts(ran: dict[str, Any], project: Path) -> None:
    before = everything(ran["reports"])
    with pytest.raises(UsageError, match="--reports"):
        start(project, "good", shop="data/other")
    assert everything(ran["reports"]) == before


def test_a_report_that_is_running_is_not_run_twice(ran: dict[str, Any], project: Path) -> None:
    with publish.lock(ran["reports"], "good"):
        outcome = start(project, "good")["good"]
    assert (outcome.status, outcome.exit_code) == ("locked", 75)


def test_a_key_press_is_a_signal_like_the_other() -> None:
    heard: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    with _signals(heard.append):
        os.kill(os.getpid(), signal.SIGINT)
    assert heard == [signal.SIGINT] and signal.getsignal(signal.SIGINT) is before
    assert Interrupted(signal.SIGINT).exit_code == 130 and Interrupted(signal.SIGTERM).exit_code == 143
