"""`make bench` runs from a fresh checkout: every work, both sides, at a very small size."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.benchmarks.works import WORKS
from tests.conftest import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("name", WORKS)
def test_each_work_runs_on_both_sides(name: str, tmp_path: Path) -> None:
    work = WORKS[name]
    if work.needs and importlib.util.find_spec(work.needs) is None:
        pytest.skip(f"{work.needs} is not installed")
    command = [sys.executable, "-m", "tests.benchmarks", "--only", name, "--at", "400", "--runs", "1"]
    done = subprocess.run([*command, "--data", str(tmp_path)], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    *_, row = done.stdout.splitlines()
    what, beside, ours, theirs, *_ = (cell.strip() for cell in row.strip("|").split("|"))
    assert (what, beside) == (f"{work.what}, 400 {work.unit}", work.beside_what)
    assert min(float(ours), float(theirs)) >= 0


def test_what_is_not_installed_is_left_out_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.benchmarks import __main__ as bench

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["bench", "--only", "mining"])
    bench.main()
    assert "mining: left out, rusket is not installed" in capsys.readouterr().err


@pytest.mark.slow
def test_growth_is_measured_over_all_reports(tmp_path: Path) -> None:
    """Of a shop of one table only, which most reports answer at once."""
    (tmp_path / "shop").mkdir()
    orders = "order_id,ordered_at,customer_id,total\n" + "".join(f"{n},2026-09-0{n % 9 + 1},C{n},5\n" for n in range(9))
    (tmp_path / "shop" / "orders.csv").write_text(orders, encoding="utf-8")
    command = [sys.executable, "-m", "tests.benchmarks.growth", str(tmp_path / "shop")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    rows, seconds, busy, most, each = (cell.strip() for cell in done.stdout.splitlines()[-1].strip("|").split("|"))
    assert (rows, each.count(",")) == ("9", len(list((ROOT / "notebooks").glob("*.ipynb"))) - 1)
    assert float(seconds) > 0 and float(busy) > 1 and int(most.replace(",", "")) > 50


@pytest.mark.slow
def test_a_day_is_measured_with_its_own_rows(demo_folder: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.daily",
        str(demo_folder),
        "--days",
        "1",
        "--report",
        "data_health",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    past, day = ([cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines()[-2:])
    orders = pd.read_csv(demo_folder / "orders.csv", dtype=str)["ordered_at"].str[:10]
    new = int(day[1].replace(",", ""))
    assert (orders == past[0]).sum() < new < int(past[1].replace(",", "")) / 100 and float(day[3]) > 1
