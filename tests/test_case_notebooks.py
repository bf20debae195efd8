"""The notebooks of ../shared/cases: whatever ends one, what is told is true and nothing is published by half.

Their cells run as they are written, but for the shop, which is not the point: the last cell shows findings at once.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from crmlib.errors import UsageError
from crmlib.findings import FINDINGS_MIME
from crmlib.report.parameters import select
from crmlib.report.plan import Outcome
from crmlib.report.runner.supervisor import run
from tests.pages_helpers import AS_OF, code, make_plan, make_project, payload, show
from tests.test_cases import CASES

BOOKS = {path.stem: path for path in sorted(CASES.glob("*/*.ipynb"))} if CASES.is_dir() else {}
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not BOOKS, reason="../shared/cases is not here")]

# Exit code and words of the message.
ENDS = {
    "52_rich_failure": (1, "in cell"),
    "53_swallowed": (1, "SystemExit in cell"),
    "54_sysexit": (1, "SystemExit in cell"),
    "55_publish_then_fail": (1, "ZeroDivisionError in cell"),
    "56_no_publish": (1, "published no findings"),
    "59_raises_tag": (1, "ZeroDivisionError in cell"),
    "57_utf8_text": (0, ""),
    "58_kernel_killed": (1, "the kernel died in cell"),
    "60_kill_once": (1, "the kernel died in cell"),
    "61_sigterm": (1, "the kernel died in cell"),
    "64_flood": (0, ""),
    "65_sleep": (1, "the kernel died in cell"),
}


def test_every_notebook_of_the_cases_is_held_to_something() -> None:
    assert set(BOOKS) == {*ENDS, "66_secret"}


def _without_a_shop(path: Path) -> nbformat.NotebookNode:
    book = nbformat.read(path, as_version=4)
    book.cells = [cell for cell in book.cells if "crm.connect(" not in cell.source]
    for cell in book.cells:
        if "crm.publish(" in cell.source:
            cell.source = code(show(FINDINGS_MIME, payload())).source
    return book


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Outcome]]]:
    """All of them, two at a time, in a locale that knows no letter beyond ASCII; one is killed from outside."""
    project = make_project(tmp_path_factory.mktemp("cases"))
    (project / "notebooks").mkdir()
    (project / "tmp").mkdir()
    for name in ENDS:
        nbformat.write(_without_a_shop(BOOKS[name]), project / "notebooks" / BOOKS[name].name)
    chosen = select(project / "notebooks")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"LC_ALL": "C", "LANG": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}.items():
            patch.setenv(name, value)
        patch.chdir(project)
        threading.Thread(target=_kill, args=(project / "tmp" / "kernel.pid",), daemon=True).start()
        outcomes = run(chosen, plan=make_plan(project), values={report.name: {} for report in chosen}, workers=2)
    yield project / "reports", {outcome.report: outcome for outcome in outcomes}


def _kill(told: Path) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end:
        if told.exists() and (pid := told.read_text()):
            os.kill(int(pid), signal.SIGKILL)
            return
        time.sleep(0.1)


@pytest.mark.parametrize("name", list(ENDS))
def test_each_ends_as_it_should(site: tuple[Path, dict[str, Outcome]], name: str) -> None:
    reports, outcomes = site
    report = name.partition("_")[2]
    outcome, (exit_code, words) = outcomes[report], ENDS[name]
    assert (outcome.exit_code, outcome.status) == (exit_code, "failed" if exit_code else "published"), outcome.message
    assert words in outcome.message
    assert (reports / "latest" / f"{report}.html").exists() == (exit_code == 0)
    assert outcome.path is not None
    assert not exit_code or outcome.message.split(";")[0] in outcome.path.read_text(encoding="utf-8")


def test_texts_arrive_whatever_the_locale_and_however_much_was_printed_before(
    site: tuple[Path, dict[str, Outcome]],
) -> None:
    reports, _ = site
    day = reports / AS_OF.isoformat()
    assert "€ – § Łódź 東京" in (day / "utf8_text" / "report.html").read_text(encoding="utf-8")
    flood = (day / "flood" / "report.html").read_text(encoding="utf-8")
    assert payload()["headline"] in flood and "THE LAST WORD" in (day / "flood" / "executed.ipynb").read_text()


def test_a_secret_is_no_parameter(tmp_path: Path) -> None:
    (tmp_path / "66_secret.ipynb").write_bytes(BOOKS["66_secret"].read_bytes())
    with pytest.raises(UsageError, match="api_key sounds like a secret"):
        select(tmp_path)
