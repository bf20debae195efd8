"""One taking-in for all notebooks of a run: the same shop, found where the first left it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import crmlib as crm
from crmlib.errors import DataError
from crmlib.report.parameters import resolve, select
from crmlib.report.runner import supervisor as running
from crmlib.shop import sharing as shared
from tests.conftest import ROOT
from tests.pages_helpers import FINDINGS_MIME, code, make_plan, make_project, payload, show, write_notebook

ORDERS = [
    {"order_id": "1", "ordered_at": "2025-03-01 09:00", "customer_id": "a", "total": "10.10"},
    {"order_id": "2", "ordered_at": "2025-03-02 23:59:59", "customer_id": "b", "total": "20"},
    {"order_id": "2", "ordered_at": "2025-03-03", "customer_id": "b", "total": "20"},
    {"order_id": "3", "ordered_at": "no day", "customer_id": "b", "total": "20"},
]
FEEDBACK = [{"feedback_id": "f", "created_at": "2025-03-02", "text": "Good.", "order_id": "1"}]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "of the run"
    made.mkdir()
    monkeypatch.setenv(shared.FOLDER_VARIABLE, str(made))
    return made


def seen(shop: crm.Shop) -> list[pd.DataFrame]:
    """All a page can see of a shop."""
    tables = [
        shop.fetch(shop.table(name).order_by(shop.table(name).columns), max_rows=1_000_000) for name in shop.audits
    ]
    return [*tables, shop.reconciliation(), shop.faults(), shop.fetch(shop.set_aside())]


def test_runner_and_kernel_mean_the_same_folder():
    assert running.SHARED_VARIABLE == shared.FOLDER_VARIABLE


def test_what_is_found_is_what_was_taken_in(demo_in_place, place, monkeypatch):
    first, second = (crm.connect(demo_in_place, as_of="2026-09-01") for _ in range(2))
    monkeypatch.delenv(shared.FOLDER_VARIABLE)
    alone = crm.connect(demo_in_place, as_of="2026-09-01")
    for one in (first, second):
        for theirs, own in zip(seen(one), seen(alone), strict=True):
            pd.testing.assert_frame_equal(theirs, own)
        assert one.passport() == alone.passport()
        assert {name: table.schema() for name, table in one._tables.items()} == {
            name: table.schema() for name, table in alone._tables.items()
        }


def test_files_replaced_during_a_run_change_nothing_in_it(write_shop, place):
    folder = write_shop(orders=ORDERS, feedback=FEEDBACK)
    before = crm.connect(folder, as_of="2025-04-01")
    write_shop(orders=ORDERS[:1], feedback=FEEDBACK)
    after = crm.connect(folder, as_of="2025-04-01")
    assert before.audits == after.audits
    assert after.audits["orders"].kept == 2
    # Another day, and another shop, are other tables.
    assert crm.connect(folder, as_of="2025-04-02").audits["orders"].kept == 1
    assert crm.connect(write_shop("other", orders=ORDERS[:2]), as_of="2025-04-01").audits["orders"].kept == 2


def test_shop_keeps_and_draws_as_ever(write_shop, place, monkeypatch):
    orders = [{**ORDERS[0], "order_id": f"{n}", "customer_id": f"c{n % 40}"} for n in range(200)]
    folder = write_shop(orders=orders)
    shops = [crm.connect(folder, as_of="2025-04-01") for _ in range(2)]
    monkeypatch.delenv(shared.FOLDER_VARIABLE)
    alone = crm.connect(folder, as_of="2025-04-01")
    wanted = set(alone.fetch(alone.drawn(2).table("orders"))["order_id"])
    assert 0 < len(wanted) < 200
    for shop in shops:
        counted = shop.keep(shop.table("orders").aggregate(n=lambda t: t.count()))
        assert shop.fetch(counted)["n"].tolist() == [200]
        assert set(shop.fetch(shop.drawn(2).table("orders"))["order_id"]) == wanted


def test_who_was_killed_leaves_nothing_that_counts(write_shop, place):
    folder = write_shop(orders=ORDERS)
    code = (
        "import os, sys; from crmlib.shop import quality; import crmlib as crm\n"
        "quality.oddities = lambda *a, **k: os.kill(os.getpid(), 9)\n"
        f"crm.connect({str(folder)!r}, as_of='2025-04-01')"
    )
    killed = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert killed.returncode == -9
    assert list(place.glob("*.rows*")) and not list(place.glob("*.words"))
    assert crm.connect(folder, as_of="2025-04-01").audits["orders"].kept == 2


def test_a_refusal_is_not_kept(write_shop, place):
    folder = write_shop(orders=ORDERS, toml='currency = "EUR"')
    (folder / "feedback.csv").write_text("")
    for _ in range(2):
        with pytest.raises(DataError, match=r"feedback\.csv is empty"):
            crm.connect(folder, as_of="2025-04-01")
    (folder / "feedback.csv").unlink()
    assert crm.connect(folder, as_of="2025-04-01").audits["orders"].kept == 2


def test_a_run_reads_the_files_once_and_leaves_no_rows_behind(write_shop, tmp_path):
    project = make_project(tmp_path / "project")
    notes = tmp_path / "notes"
    notes.mkdir()
    told = (
        "import os, pathlib; import crmlib as crm; from crmlib.shop import load\n"
        "read = []; plain = load.take_in\n"
        "load.take_in = lambda *a, **k: read.append(1) or plain(*a, **k)\n"
        f"crm.connect({str(write_shop(orders=ORDERS))!r}, as_of=as_of)\n"
        f"pathlib.Path({str(notes)!r}, os.environ['CRM_SHARED'].replace('/', '!') + f'@{{os.getpid()}}')"
        ".write_text(str(len(read)))"
    )
    for name in ("01_one", "02_two", "03_three"):
        write_notebook(project, name, [code(told), code(show(FINDINGS_MIME, payload()))])
    chosen = select(project / "notebooks", [])
    outcomes = running.run(chosen, plan=make_plan(project), values=resolve(chosen, []), workers=2)
    assert [outcome.status for outcome in outcomes] == ["published"] * 3
    kernels = sorted(notes.iterdir())
    assert sorted(note.read_text() for note in kernels) == ["0", "0", "1"]
    assert not Path(kernels[0].name.split("@")[0].replace("!", "/")).exists()


def test_a_killed_kernel_leaves_no_scratch_behind(write_shop, tmp_path):
    project, note = make_project(tmp_path / "project"), tmp_path / "scratch.txt"
    told = (
        "import os, pathlib; import crmlib as crm\n"
        f"store = crm.connect({str(write_shop(orders=ORDERS))!r}, as_of=as_of)\n"
        f"pathlib.Path({str(note)!r}).write_text(str(store._scratch.path))\n"
        "os.kill(os.getpid(), 9)"
    )
    write_notebook(project, "01_one", [code(told), code(show(FINDINGS_MIME, payload()))])
    chosen = select(project / "notebooks", [])
    outcomes = running.run(chosen, plan=make_plan(project), values=resolve(chosen, []), workers=1)
    assert [outcome.status for outcome in outcomes] == ["failed"]
    assert note.read_text() and not Path(note.read_text()).exists()
