"""Whatever tables a shop has, each notebook publishes or says what is missing: run here cell by cell, once as a schedule does."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import crmlib as crm
from crmlib import cli
from crmlib.errors import DataError
from tests.conftest import ROOT
from tests.in_process import REPORTS, answer, clumsy

TABLES = (
    "assignments", "costs", "customers", "feedback", "order_lines", "orders", "outcomes", "price_survey", "products",
    "shipments", "staff", "tickets", "touches",
)  # fmt: skip
ROWS = {"header": 0, "rows": 8}


@pytest.fixture(scope="module")
def few(demo_folder: Path) -> dict[str, pd.DataFrame]:
    return {name: pd.read_csv(demo_folder / f"{name}.csv", dtype="string", nrows=8) for name in TABLES}


# What each report cannot do without, where a single table is all there is.
NEEDS = {
    "customers": {"orders"}, "audiences": {"orders", "customers"}, "lifetime_value": {"orders"},
    "purchase_cycles": {"orders"}, "retention": {"orders"}, "cohorts": {"orders"}, "baskets": {"order_lines"}, "seasons": {"orders"},
    "overview": {"orders"}, "feedback": {"feedback"}, "experiments": {"assignments"},
    "teams": {"shipments"}, "prices": {"order_lines"}, "personas": {"orders"},
}  # fmt: skip
CASES = [((name,), rows) for name in TABLES for rows in ("rows", "header")] + [(TABLES, "rows"), (TABLES, "header")]


@pytest.mark.parametrize(("tables", "rows"), CASES, ids=lambda said: said if isinstance(said, str) else said[-1])
def test_every_report_answers_or_says_what_is_missing(
    tables: tuple[str, ...], rows: str, few: dict[str, pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in tables:
        few[name].head(ROWS[rows]).to_csv(tmp_path / f"{name}.csv", index=False)
    opened = crm.connect(tmp_path, as_of="2026-10-01")
    # One reading for all, as in a run.
    monkeypatch.setattr(crm, "connect", lambda place, **_: opened, raising=False)
    said = {report.name: answer(report, tmp_path, tmp_path / "out") for report in REPORTS}
    assert said.pop("data_health")[0] in ("published", "warnings")
    assert said.pop("briefing")[0] in ("published", "warnings", "too_few")
    said.pop("proof")  # opens a shop of its own, which it does not get here
    assert said.keys() == NEEDS.keys()
    for report, (status, words) in said.items():
        if NEEDS[report] & set(tables):
            # An audience can be one person.
            assert status in ("too_few", "not_available") or report == "audiences", (report, status)
        else:
            assert status == "not_available" and re.search(r"(^| )need|, but not ", words), (report, words)


def test_a_table_without_a_header_is_an_error_that_names_it(tmp_path: Path) -> None:
    for name in TABLES:
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"{name}.csv").touch()
        with pytest.raises(DataError, match=rf"{name}\.csv is empty"):
            crm.connect(folder)


def test_one_is_not_called_many() -> None:
    assert clumsy("1 rows of 1 was nan, 1 1 order; 11 days") == ["1 rows", "nan"]
    assert clumsy("2.1 points, 0–1 stars and 1 row is not None") == ["None"]


@pytest.mark.slow
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
    assert told["baskets"].endswith("The export holds products, but not the products in each order (table order_lines)")
