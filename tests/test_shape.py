"""The house in numbers: how long a module and a function may be, and what may be said in one place only."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "crmlib"
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if "samples" not in path.parts]
ANALYSES = sorted(
    path.stem
    for path in (PACKAGE / "analysis").iterdir()
    if not path.stem.startswith("_") and path.stem not in ("earned", "few", "forecasts", "outreach")
)

LONGEST_MODULE = 450
LONGEST_FUNCTION = 60
MOST_PARAMETERS = 6
MOST_NAMES = 20
MOST_LINES = 55_522  # to fall, never to rise without a feature that is worth it


def short(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            yield node


def test_the_library_stays_small():
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES)
    assert lines <= MOST_LINES


@pytest.mark.parametrize("path", MODULES, ids=short)
def test_a_module_fits_one_question(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE


@pytest.mark.parametrize("path", MODULES, ids=short)
def test_functions_are_read_at_a_glance(path):
    """Lines without the docstring. The charts take the names of their columns, which are many."""
    for node in functions(path):
        body = node.body[1:] if ast.get_docstring(node) else node.body
        lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
        assert lines <= LONGEST_FUNCTION, f"{short(path)}: {node.name} has {lines} lines"
        if path.parent.name == "figures":
            continue
        named = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        named = [name for name in named if name not in ("self", "cls")]
        assert len(named) <= MOST_PARAMETERS, f"{short(path)}: {node.name} takes {len(named)} parameters"


@pytest.mark.parametrize("name", ANALYSES)
def test_an_analysis_shows_few_names(name):
    """The verbs, the parts and the types."""
    module = importlib.import_module(f"crmlib.analysis.{name}")
    assert 0 < len(module.__all__) <= MOST_NAMES
    assert {"page"} <= set(module.__all__)
    for public in module.__all__:
        assert getattr(module, public).__doc__, public


@pytest.mark.parametrize("path", [p for p in MODULES if "analysis" in p.parts], ids=short)
def test_no_sentence_is_read_back(path):
    """State travels as values; what was put into words is not taken apart again."""
    text = path.read_text(encoding="utf-8")
    for taken in re.findall(r"\.(?:removeprefix|removesuffix|partition|rpartition)\(.*|\.split\(\"[.;:] ?\".*", text):
        assert "# a key" in taken, f"{short(path)}: {taken}"


def test_the_rule_of_five_stands_in_one_place():
    told = [short(path) for path in MODULES if re.search(r"[\"']<5[\"']", path.read_text(encoding="utf-8"))]
    assert told == ["formats.py"]


def test_what_we_write_as_csv_is_read_in_one_place():
    readers = [short(path) for path in MODULES if "DictReader(" in path.read_text(encoding="utf-8")]
    assert readers == ["publishing.py"]


PLATFORMS = sorted((PACKAGE / "shop" / "intake" / "platforms").glob("*.py"))
LONGER = ("base.py",)  # what all of them are written in


@pytest.mark.parametrize("path", PLATFORMS, ids=lambda path: path.name)
def test_a_platform_is_a_table_of_under_80_lines(path: Path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert (lines < 80) == (path.name not in LONGER), f"{path.name} has {lines} lines"
