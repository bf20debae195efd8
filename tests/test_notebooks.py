"""The notebooks are thin, committed clean, open with the parameters the runner reads, and run from a clean kernel."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from papermill import inspect_notebook

from crmlib.shop.sharing import FOLDER_VARIABLE
from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def test_one_notebook_per_analysis():
    modules = {p.stem for p in (ROOT / "crmlib" / "analysis").iterdir() if not p.stem.startswith("_")} - {
        "forecasts",
        "earned",
        "few",
        "outreach",
    }
    assert {re.sub(r"^\d\d_", "", name) for name in NAMES} == modules
    assert all(re.fullmatch(r"\d\d_[a-z_]+", name) for name in NAMES)


@each
def test_a_notebook_is_valid_and_begins_with_its_question(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    first = notebook.cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
    assert len(first.source.split()) > 15
    assert notebook.metadata.kernelspec.name == "python3"


@each
def test_a_notebook_is_thin(path):
    cells = code_cells(path)
    assert len(cells) <= 15
    for cell in cells:
        for node in ast.walk(ast.parse(cell.source)):
            banned = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.Lambda, ast.Try)
            assert not isinstance(node, banned), f"{path.stem}: logic belongs in crmlib: {ast.unparse(node)[:60]}"
            if isinstance(node, ast.ImportFrom | ast.Import):
                assert ast.unparse(node) == "import crmlib as crm"


@each
def test_parameters_come_first_and_findings_last(path):
    cells = code_cells(path)
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    assert tagged == cells[:1]
    lines = tagged[0].source.splitlines()
    names = [line.split(":")[0] for line in lines]
    assert names[:2] == ["shop", "as_of"]
    assert names[-1] == "out"
    assert all(re.fullmatch(r"\w+: (str|int|float|bool) = .+  # .{10,}", line) for line in lines)
    # Plain papermill reads the same names, or it would warn of unknown parameters.
    assert list(inspect_notebook(str(path))) == names
    assert re.search(r"crm\.publish\([^\n]*, shop=shop, out=out\)$", cells[-1].source)


@each
def test_outputs_are_kept_where_they_are_compared_and_nowhere_else(path):
    checked = [cell for cell in code_cells(path) if "# NBVAL_CHECK_OUTPUT" in cell.source]
    # A stripped cell would be compared with nothing, and pass.
    assert checked
    assert all(cell.outputs for cell in checked)
    for cell in code_cells(path):
        assert cell in checked or not cell.outputs
        assert cell.execution_count is None or cell in checked


@each
def test_prose_stands_between_the_code(path):
    notebook = nbformat.read(path, as_version=4)
    prose = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    assert len(prose) >= 4
    assert sum(len(cell.source.split()) for cell in prose) > 100


@pytest.mark.slow
def test_notebooks_run_clean_and_say_what_they_said(demo_in_place, tmp_path):
    """nbval: every notebook from a clean kernel, the kept outputs compared; the shop is read once, as a run does."""
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-cell-timeout=300", "-q", "-p", "no:cacheprovider",
               "-W", "ignore", "--rootdir", str(ROOT), "-c", "/dev/null", *map(str, NOTEBOOKS)]  # fmt: skip
    environment = os.environ | {FOLDER_VARIABLE: str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
