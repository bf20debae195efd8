"""`crm new`: what it writes passes and publishes as it stands, and nothing is written where something is in the way."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from crmlib.errors import UsageError
from crmlib.report import scaffold
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory, demo_folder: Path) -> Path:
    """The project with a report more, made by the command."""
    made = tmp_path_factory.mktemp("copy")
    for part in ("crmlib", "notebooks", "tests", "pyproject.toml", "README.md", "Makefile", "CHANGELOG.md"):
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, made / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, made / part)
    for folder in ("data", "reports"):
        (made / folder).mkdir()
        # What is committed there, and not what runs have left.
        for kept in [*(ROOT / folder).glob("*.md"), *(ROOT / folder).glob("*.png")]:
            shutil.copy(kept, made / folder)
    shutil.copytree(demo_folder, made / "data" / "demo")
    done = crm(made, "new", "order_weekdays", "--title", "Which weekday brings the orders?")
    assert done.returncode == 0, done.stderr
    assert "wrote crmlib/analysis/order_weekdays.py\n" in done.stdout
    assert "added a line to crmlib/__init__.py\nadded a line to README.md\n" in done.stdout
    return made


def crm(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return call(project, "crmlib", *words)


def call(project: Path, module: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(project), "PYTHONDONTWRITEBYTECODE": "1"}
    line = [sys.executable, "-m", module, *words]
    return subprocess.run(line, cwd=project, env=environment, capture_output=True, text=True, check=False)


def test_it_is_found_and_published_at_once(copy: Path) -> None:
    assert re.search(r"^order_weekdays +Which weekday brings the orders\?", crm(copy, "list").stdout, re.M)
    done = crm(copy, "run", "order_weekdays", "-v")
    assert done.returncode == 0 and "published" in done.stdout, done.stdout + done.stderr
    (page,) = (copy / "reports").glob("????-??-??/order_weekdays/report.html")
    assert "Which weekday brings the orders?" in page.read_text()
    # What the notebook keeps to be compared is what a run says.
    (notebook,) = (copy / "notebooks").glob("*_order_weekdays.ipynb")
    assert kept(notebook) == kept(page.with_name("executed.ipynb")) == ["7 rows\n"]


def kept(notebook: Path) -> list[str]:
    cells = nbformat.read(notebook, as_version=4).cells
    return [cell.outputs[0].text for cell in cells if "NBVAL_CHECK_OUTPUT" in cell.source]


@pytest.mark.slow
def test_its_own_test_and_the_rules_of_the_house_pass(copy: Path) -> None:
    tests = [f"tests/test_{name}.py" for name in ("order_weekdays", "docs", "architecture", "notebooks")]
    concerned = "(order_weekdays or one_notebook or readme or public) and not run_clean"
    done = call(copy, "pytest", "-q", "-p", "no:cacheprovider", "-k", concerned, *tests)
    assert done.returncode == 0, done.stdout[-3000:]
    assert done.stdout.count(".") >= 15
    made = ["crmlib/__init__.py", "crmlib/analysis/order_weekdays.py", "tests/test_order_weekdays.py"]
    for words in (["format", "--check"], ["check"]):
        done = call(copy, "ruff", *words, *made)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_starter_is_short_and_fits_the_first_screen(copy: Path) -> None:
    """Under 70 lines; its own words beside the chart are few."""
    module = copy / "crmlib" / "analysis" / "order_weekdays.py"
    assert len(module.read_text().splitlines()) < 70
    (manifest,) = (copy / "reports").glob("????-??-??/order_weekdays/manifest.json")
    said = json.loads(manifest.read_text())
    words = [said["headline"], *(tile["label"] for tile in said["tiles"]), *(a["what"] for a in said["actions"])]
    assert len(said["headline"].split()) <= 25 and len(" ".join(words).split()) <= 60


def test_names_stay_in_order(copy: Path) -> None:
    tree = ast.parse((copy / "crmlib" / "__init__.py").read_text())
    (names,) = [
        ast.literal_eval(n.value)
        for n in tree.body
        if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__"
    ]
    assert names == sorted(names, key=lambda name: (name[0].islower(), name)) and "order_weekdays" in names


@pytest.mark.parametrize(
    ("name", "more", "says"),
    [
        ("order_weekdays", {}, "is taken"),
        ("connect", {}, "is taken"),
        ("stats", {}, "is taken"),
        ("Weekdays", {}, "small letters"),
        ("../weekdays", {}, "small letters"),
        ("import", {}, "small letters"),
        ("weekdays", {"title": 'a" b'}, "one plain line"),
        ("weekdays", {"title": "<b>"}, "one plain line"),
    ],
)
def test_a_name_that_will_not_do_writes_nothing(copy: Path, name: str, more: dict[str, Any], says: str) -> None:
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=says):
        scaffold.create(copy, name, **more)
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_a_file_in_the_way_or_a_project_without_sources_is_said(copy: Path, tmp_path: Path) -> None:
    (copy / "tests" / "test_weekdays.py").write_text("")
    with pytest.raises(UsageError, match=r"test_weekdays\.py is there already"):
        scaffold.create(copy, "weekdays")
    with pytest.raises(UsageError, match="own sources"):
        scaffold.create(tmp_path, "weekdays")
