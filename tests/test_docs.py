"""The documents say what the code does: codebook, README, change log, docstring examples."""

from __future__ import annotations

import doctest
import importlib
import re

import pytest

from crmlib.cli.checking import needs
from crmlib.report.parameters import select
from crmlib.shop.quality import KEPT, SET_ASIDE
from crmlib.shop.tables import TABLES
from tests.conftest import ROOT

CODEBOOK = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_the_codebook_lists_every_column(table):
    section = CODEBOOK.split(f"### {table.name}\n")[1].split("\n#")[0]
    listed = re.findall(r"^\| (\*\*)?(\w+)(?:\*\*)? \|", section, re.MULTILINE)[1:]
    assert [(name, bool(bold)) for bold, name in listed] == [(c.name, c.required) for c in table.columns]


def test_the_codebook_lists_every_reason():
    for code, meaning in {**SET_ASIDE, **KEPT}.items():
        assert f"| `{code}` | {meaning} |" in CODEBOOK


def test_the_codebook_lists_what_an_engine_cannot_do():
    gaps = re.findall(
        r'xfail\(.*reason="(Spark [^"]+)"', (ROOT / "tests" / "test_engines.py").read_text(encoding="utf-8")
    )
    assert gaps
    for gap in gaps:
        assert f"| {gap} |" in CODEBOOK, gap


def test_readme_names_every_notebook_and_its_files_exist():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"notebooks/{path.name}" in README, path.name
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_readme_says_what_each_notebook_needs():
    for report in select(ROOT / "notebooks"):
        assert re.search(rf"^\| \[notebooks/\d\d_{report.name}\.ipynb\].*\| {needs(report.needs)} \|$", README, re.M)


def test_readme_commands_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)\b", README))
    assert named
    assert named <= targets
    from crmlib.cli import main

    assert set(re.findall(r"\bcrm (check|demo|list|params|run)\b", README)) <= set(main.commands)


@pytest.mark.parametrize(
    "module",
    [
        "crmlib.cli.checking",
        "crmlib.errors",
        "crmlib.figures.charts",
        "crmlib.figures.own",
        "crmlib.findings",
        "crmlib.formats",
        "crmlib.plain",
        "crmlib.report.memory.tables",
        "crmlib.shop.intake.platforms",
        "crmlib.shop.intake.settings",
        "crmlib.shop.people",
        "crmlib.stats.corrections",
        "crmlib.stats.intervals",
        "crmlib.wording",
    ],
)
def test_docstring_examples(module):
    found = doctest.testmod(importlib.import_module(module))
    assert found.attempted > 0
    assert found.failed == 0
