"""Whatever tables a shop has, each notebook publishes or says what is missing: run here cell by cell, once as a schedule does."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from click.testing import CliRunner

import crmlib as crm
from crmlib import cli
from crmlib.errors import CrmError
from crmlib.report.page import notebook as executed
from crmlib.report.page import page
from crmlib.report.page.rules import validate
from crmlib.report.parameters import Report, resolve, select
from tests.conftest import ROOT

REPORTS = select(ROOT / "notebooks")
TABLES = ("assignments", "costs", "customers", "feedback", "order_lines", "orders", "outcomes", "products", "touches")
ROWS = {"header": 0, "rows": 8}


def run_cells(report: Report, folder: Path, out: Path) -> dict[str, Any]:
    """A notebook's cells, one after the other in this process; the executed notebook with what its last cells showed."""
    notebook = nbformat.read(report.notebook, as_version=4)
    names: dict[str, Any] = {"shop": str(folder), "as_of": "2026-10-01", "out": str(out)}
    names |= resolve([report], ())[report.name]
    for cell in notebook.cells:
        if cell.cell_type != "code" or "parameters" in cell.metadata.get("tags", ()):
            continue
        tree = ast.parse(cell.source)
        shown = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, report.name, "exec"), names)
        value = eval(compile(ast.Expression(shown.value), report.name, "eval"), names) if shown else None
        bundle = value._repr_mimebundle_() if hasattr(value, "_repr_mimebundle_") else {"text/plain": repr(value)}
        kept = json.loads(json.dumps(bundle))
        cell.outputs = [nbformat.v4.new_output("execute_result", data=kept)]
    return dict(json.loads(nbformat.writes(notebook)))


def outcome(report: Report, folder: Path, out: Path) -> str:
    """What became of a report, its page made and held to the rules where there is one."""
    try:
        notebook = run_cells(report, folder, out)
    except CrmError as error:
        assert error.exit_code == 0, error
        return error.status
    payload = executed.published(notebook)
    assert payload is not None
    facts = page.Facts(run_id="20261122-060000-small-0a1b", report=report.name, title=report.title,
                       as_of=pd.Timestamp(payload["as_of"]).date(), status=payload["status"], command="crm run")  # fmt: skip
    html = page.render(notebook, facts)
    validate(html)
    # What the page says of numbers that are not there.
    assert not {"nan", "NaN", "None", "inf", "NaT"} & set(payload["headline"].split())
    return str(payload["status"])


@pytest.fixture(scope="module")
def few(demo_folder: Path) -> dict[str, pd.DataFrame]:
    return {name: pd.read_csv(demo_folder / f"{name}.csv", dtype="string", nrows=8) for name in TABLES}


CASES = [*(((name,), "rows") for name in TABLES), (TABLES, "rows"), (TABLES, "header"), (("products",), "header")]


@pytest.mark.parametrize(("tables", "rows"), CASES, ids=lambda said: said if isinstance(said, str) else said[-1])
def test_every_report_answers_or_says_what_is_missing(
    tables: tuple[str, ...], rows: str, few: dict[str, pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in tables:
        few[name].head(ROWS[rows]).to_csv(tmp_path / f"{name}.csv", index=False)
    opened = crm.connect(tmp_path, as_of="2026-10-01")
    # One reading for the five, as in a run.
    monkeypatch.setattr(crm, "connect", lambda place, **_: opened, raising=False)
    said = {report.name: outcome(report, tmp_path, tmp_path / "out") for report in REPORTS}
    assert said.pop("data_health") in ("published", "warnings")
    answers = {
        "lifetime_value": "orders",
        "baskets": "order_lines",
        "feedback": "feedback",
        "experiments": "assignments",
    }
    for report, needed in answers.items():
        if needed not in tables:
            assert said[report] == "not_available"
        else:
            assert said[report] in ("too_few", "not_available")


def test_a_shop_of_products_alone_runs_as_a_schedule_runs_it(
    few: dict[str, pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few["products"].to_csv(tmp_path / "products.csv", index=False)
    monkeypatch.chdir(ROOT)
    words = ["run", "--all", "--shop", str(tmp_path), "--reports", str(tmp_path / "out"), "-v"]
    done = CliRunner().invoke(cli.main, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    told = {line.split()[0]: " ".join(line.split()[1:]) for line in done.output.splitlines()}
    assert told["data_health"].startswith("published") and (tmp_path / "out" / "latest" / "data_health.html").is_file()
    assert all(told[name].startswith("not available") for name in ("lifetime_value", "baskets", "feedback"))
    assert told["baskets"].endswith("needs order_lines; this shop has products")
