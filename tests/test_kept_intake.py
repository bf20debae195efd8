"""What was read of a file is kept: every answer is the same with it, and nothing of it is trusted blindly."""

from __future__ import annotations

import json
import os
import random
import stat
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from pyarrow import parquet

import crmlib as crm
from crmlib.cli import main
from crmlib.errors import CrmError
from crmlib.report.folder import kept as lists
from crmlib.report.runner import supervisor
from crmlib.shop import erased
from crmlib.shop.intake import compose, kept
from crmlib.shop.privacy import KEPT_VARIABLE
from crmlib.stones import Stones
from tests.conftest import ROOT
from tests.test_cases import SHOPS
from tests.test_shared import seen

DAY = "2026-03-01"
Reads = list[list[str]]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "reports" / ".intake"
    monkeypatch.setenv(kept.VARIABLE, str(folder))
    return folder


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """By intake, the files that were read."""
    found: Reads = []
    plain = kept.Kept.settle

    def settle(self: kept.Kept) -> None:
        found.append(list(self.read))
        plain(self)

    monkeypatch.setattr(kept.Kept, "settle", settle)
    return found


def orders(day: date, numbers: range) -> str:
    lines = [f"{n},{day} 1{n % 9}:00:00,c{n % 7},{n}.50,{n}.00" for n in numbers]
    return "\n".join(["order_id,ordered_at,customer_id,total,own", *lines]) + "\n"


def days(folder: Path, number: int) -> None:
    """A file of orders and one of their lines for each day."""
    folder.mkdir(exist_ok=True)
    for n in range(number):
        day, some = date(2026, 1, 1) + timedelta(days=n), range(n * 5, n * 5 + 5)
        (folder / f"orders-{day}.csv").write_text(orders(day, some))
        lines = [f"{order},p{order % 3},1,{order}.50" for order in some]
        (folder / f"order_lines-{day}.csv").write_text("\n".join(["order_id,product_id,quantity,line_total", *lines]))


def alike(folder: Path, monkeypatch: pytest.MonkeyPatch, *, times: int = 2, as_of: str | None = DAY) -> None:
    """Without what is kept, then with it: the same tables, audits, notes and page, or the same refusal."""
    with monkeypatch.context() as without:
        without.delenv(kept.VARIABLE)
        try:
            alone = crm.connect(folder, as_of=as_of)
        except CrmError as refused:
            for _ in range(times):
                with pytest.raises(type(refused)) as again:
                    crm.connect(folder, as_of=as_of)
                assert str(again.value) == str(refused)
            return
    for _ in range(times):
        shop = crm.connect(folder, as_of=as_of)
        for theirs, own in zip(seen(shop), seen(alone), strict=True):
            pd.testing.assert_frame_equal(theirs, own)
        assert shop.passport() == alone.passport()
        assert (shop.exports, shop.people) == (alone.exports, alone.people)
        assert {name: table.schema() for name, table in shop._tables.items()} == {
            name: table.schema() for name, table in alone._tables.items()
        }


def parts(place: Path) -> list[Path]:
    return sorted(place.glob("*.parquet"))


def log(place: Path) -> str:
    return (place / "log.txt").read_text() if (place / "log.txt").exists() else ""


def test_the_runner_and_the_shop_mean_the_same_folder():
    assert supervisor.INTAKE_VARIABLE == kept.VARIABLE


def test_without_a_folder_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.delenv(kept.VARIABLE, raising=False)
    days(tmp_path / "shop", 1)
    crm.connect(tmp_path / "shop", as_of=DAY)
    assert not list(tmp_path.rglob("*.parquet"))


def test_only_its_owner_can_read_it(tmp_path, place, reads):
    days(tmp_path / "shop", 2)
    crm.connect(tmp_path / "shop", as_of=DAY)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()} == {0o600}
    assert sorted(reads[0]) == sorted(path.name for path in (tmp_path / "shop").iterdir())


@pytest.mark.parametrize("seed", range(2))
def test_random_shops_are_the_same(tmp_path, place, monkeypatch, seed):
    """Dirt of every kind, in several files of different columns, with and without rows in common."""
    draw, folder = random.Random(seed), tmp_path / "shop"
    folder.mkdir()
    cells = ["1", "2.50", "1,234.5", "n/a", "", " 7 ", "-3", "'0012", "x", '"a ""b"""', "1.5E+3"]
    for table, first in (("orders", "order_id,ordered_at"), ("touches", "customer_id,at")):
        for file in range(3):
            common = "" if seed else f"{file}-"
            rows = [f"{first},{'total,' if table == 'orders' else 'kind,'}own{',more' if file == 1 else ''}"]
            for n in range(30):
                day = draw.choice(["2026-01-05 10:00:00", "2026-01-06", "13.01.2026", "no day", "2027-01-01", ""])
                key = draw.choice([f"{common}{n}", f"A{common}{n}", ""])
                rows.append(f"{key},{day if seed == 0 else '2026-01-05'},{draw.choice(cells)},{draw.choice(cells)}"
                            + (",z" if file == 1 else draw.choice(["", "", "", ",too,many"])))  # fmt: skip
            rows.insert(draw.randrange(30), ",,,")
            (folder / f"{table}-{file}.csv").write_text("\n".join(rows))
    alike(folder, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SHOPS))
def test_every_case_is_the_same(name, place, monkeypatch):
    from tests.test_cases import CASES

    alike(CASES / name, monkeypatch, as_of=None)


@pytest.mark.slow
def test_the_demo_shop_is_the_same(demo_in_place, place, monkeypatch, reads):
    alike(demo_in_place, monkeypatch, as_of="2026-09-01")
    assert reads[0] and not reads[1]


@pytest.mark.parametrize("month", [5, pytest.param(30, marks=pytest.mark.slow)])
def test_a_month_of_days_reads_one_file_a_day(tmp_path, place, reads, monkeypatch, month):
    folder = tmp_path / "shop"
    for number in range(2, month + 1):  # where there is one file alone, it is read as any other that stands alone
        days(folder, number)
        for path in folder.glob("order_lines-*"):  # one table in daily files is enough here
            path.unlink()
        crm.connect(folder, as_of=DAY)
    assert [len(each) for each in reads[1:]] == [1] * (month - 2)
    assert reads[-1] == [f"orders-2026-01-{month:02d}.csv"]
    alike(folder, monkeypatch, times=1)


def test_a_changed_removed_or_renamed_file(tmp_path, place, reads, monkeypatch):
    folder = tmp_path / "shop"
    days(folder, 3)
    crm.connect(folder, as_of=DAY)
    (folder / "orders-2026-01-03.csv").write_text(orders(date(2026, 1, 3), range(10, 13)))
    alike(folder, monkeypatch, times=1)
    assert reads[-1] == ["orders-2026-01-03.csv"]
    (folder / "orders-2026-01-01.csv").unlink()
    (folder / "orders-2026-01-02.csv").rename(folder / "orders-2026-01-04.csv")
    alike(folder, monkeypatch, times=1)
    assert not reads[-1]
    # What no run needs any more is gone: two files of orders and three of lines are left.
    assert len(parts(place)) == 5


def test_rows_that_two_files_have_count_once(tmp_path, place, monkeypatch):
    folder = tmp_path / "shop"
    days(folder, 2)
    crm.connect(folder, as_of=DAY)
    (folder / "orders-2026-01-03.csv").write_text(orders(date(2026, 1, 2), range(8, 12)))
    text = (folder / "order_lines-2026-01-02.csv").read_text()
    (folder / "order_lines-2026-01-03.csv").write_text(text)
    alike(folder, monkeypatch)
    assert crm.connect(folder, as_of=DAY).audits["orders"].read == 12


def test_files_that_overlap_are_read_once_and_the_newest_row_counts(tmp_path, place, reads, monkeypatch):
    """Each day's export has yesterday's orders again, one of them changed; some rows cannot be used."""
    folder = tmp_path / "shop"
    days(folder, 3)
    lines = (folder / "order_lines-2026-01-02.csv").read_text().splitlines()
    # A row twice in one file and once in another stands twice; an order's second export overrules the first.
    (folder / "order_lines-2026-01-02.csv").write_text("\n".join([*lines, lines[1], "7,p1,x,1"]))
    for day, numbers in ((3, range(8, 15)), (4, range(12, 20)), (5, range(14, 25))):
        text = orders(date(2026, 1, 2), numbers).replace(f"{numbers[0]}.50", "999.00") + ",2026-01-02,c1,5,\n"
        (folder / f"orders-2026-01-{day:02d}.csv").write_text(text)
        (folder / f"order_lines-2026-01-{day + 10}.csv").write_text("\n".join([lines[0], *lines[2:], "99,p1,1,1"]))
        alike(folder, monkeypatch, times=1)
    assert [len(each) for each in reads] == [7, 1, 1]  # the lines are the same bytes each day
    shop = crm.connect(folder, as_of=DAY)
    assert (shop.audits["orders"].read, shop.audits["orders"].kept) == (28, 25)
    totals = shop._tables["orders"].to_pandas().set_index("order_id")["total"]
    assert totals[["8", "12", "14"]].tolist() == [999, 999, 999] and totals["13"] == 13.5
    # Without the newest file the older ones count again.
    (folder / "orders-2026-01-05.csv").unlink()
    alike(folder, monkeypatch)
    assert crm.connect(folder, as_of=DAY)._tables["orders"].to_pandas().set_index("order_id")["total"]["14"] == 14.5


def test_days_without_orders_are_files_like_others(tmp_path, place, reads, monkeypatch):
    folder = tmp_path / "shop"
    days(folder, 3)
    for day in (2, 4, 5):
        (folder / f"orders-2026-01-{day:02d}.csv").write_text("order_id,ordered_at,customer_id,total,own\n")
    alike(folder, monkeypatch)
    assert not reads[-1]


def test_more_records_in_common_than_are_remembered(tmp_path, place, reads, monkeypatch):
    folder = tmp_path / "shop"
    days(folder, 2)
    (folder / "orders-2026-01-03.csv").write_text(orders(date(2026, 1, 2), range(5, 10)))
    monkeypatch.setattr(compose, "_MOST_IN_COMMON", 4)
    alike(folder, monkeypatch)


def test_one_order_of_two_days_is_refused_with_or_without_what_is_kept(tmp_path, place, monkeypatch):
    folder = tmp_path / "shop"
    days(folder, 2)
    (folder / "orders-2026-01-03.csv").write_text(orders(date(2026, 1, 3), range(8, 12)))
    alike(folder, monkeypatch)
    with pytest.raises(CrmError, match="different orders of one name"):
        crm.connect(folder, as_of=DAY)


def test_an_older_day_sees_no_later_rows(tmp_path, place, monkeypatch):
    days(tmp_path / "shop", 4)
    crm.connect(tmp_path / "shop", as_of=DAY)
    alike(tmp_path / "shop", monkeypatch, times=1, as_of="2026-01-02")
    assert crm.connect(tmp_path / "shop", as_of="2026-01-02").audits["orders"].kept == 5


@pytest.mark.parametrize("change", ["settings", "code", "erased"])
def test_what_the_reading_depends_on_has_it_read_anew(tmp_path, place, reads, monkeypatch, change):
    folder = tmp_path / "shop"
    days(folder, 2)
    crm.connect(folder, as_of=DAY)
    if change == "settings":
        (folder / "shop.toml").write_text('[columns.orders]\ntotal = "own"\n')
    elif change == "code":
        monkeypatch.setattr(kept, "FORMAT", kept.FORMAT + 1)
    else:
        (folder / erased.FILE).write_text(Stones().with_ones(ids=["nobody"]).text())
    alike(folder, monkeypatch, times=1)
    assert len(reads[-1]) == (2 if change == "settings" else 4)


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _altered(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


def _open_to_all(path: Path) -> None:
    path.chmod(0o666)


def _a_link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def _foreign(path: Path) -> None:
    # Only the superuser can give a file away; anybody can open one to others.
    path.chmod(0o644) if os.getuid() else os.chown(path, 65534, 65534)


FAULTS = {"orders": _truncated, "products": _altered, "staff": _open_to_all, "costs": _a_link, "customers": _foreign}


@pytest.mark.parametrize("kind", ["parquet", "json"])
def test_what_is_damaged_is_noticed_and_read_anew(tmp_path, place, reads, write_shop, kind):
    tables = {"products": "product_id", "staff": "staff_id", "costs": "kind", "customers": "customer_id"}
    folder = write_shop(**{name: [{key: "1", "amount": "2"}] for name, key in tables.items()})
    (folder / "orders.csv").write_text(orders(date(2026, 1, 1), range(5)))
    crm.connect(folder, as_of=DAY)
    for path in place.glob("*.json"):
        if path.name != "common.json":
            FAULTS[json.loads(json.loads(path.read_text())["key"])["table"]](path.with_suffix(f".{kind}"))
    assert crm.connect(folder, as_of=DAY).audits["orders"].kept == 5
    assert sorted(reads[0]) == sorted(reads[1]) == sorted(f"{name}.csv" for name in FAULTS)
    assert log(place).count("is not trusted") == len(log(place).splitlines()) == len(FAULTS)
    crm.connect(folder, as_of=DAY)
    assert not reads[2]


def test_a_folder_that_others_reach_is_cleared_and_a_foreign_one_left_alone(tmp_path, place, reads, monkeypatch):
    days(tmp_path / "shop", 1)
    crm.connect(tmp_path / "shop", as_of=DAY)
    place.chmod(0o777)
    crm.connect(tmp_path / "shop", as_of=DAY)
    assert len(reads[1]) == 2 and stat.S_IMODE(place.stat().st_mode) == 0o700
    assert log(place).count("others could reach it") == 1
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    alike(tmp_path / "shop", monkeypatch, times=1)
    assert len(reads) == 2


def test_who_is_killed_leaves_nothing_that_is_trusted(tmp_path, place, reads):
    days(tmp_path / "shop", 2)
    code = (
        "import os; from crmlib.shop import quality; import crmlib as crm\n"
        "quality.oddities = lambda *a, **k: os.kill(os.getpid(), 9)\n"
        f"crm.connect({str(tmp_path / 'shop')!r}, as_of={DAY!r})"
    )
    killed = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert killed.returncode == -9
    assert parts(place) and not list(place.glob("*.json"))
    crm.connect(tmp_path / "shop", as_of=DAY)
    assert len(reads[0]) == 4 and len(parts(place)) == 4
    assert all(not path.name.startswith("new-") for path in place.iterdir())


def test_one_intake_does_not_clear_what_another_uses(tmp_path, place):
    days(tmp_path / "shop", 2)
    crm.connect(tmp_path / "shop", as_of=DAY)
    before = parts(place)
    days(tmp_path / "other", 1)
    with kept.opened("another"):
        crm.connect(tmp_path / "other", as_of=DAY)
        assert set(before) <= set(parts(place))
    crm.connect(tmp_path / "other", as_of=DAY)
    assert len(parts(place)) == 2


def test_a_file_with_rows_of_who_was_erased_is_not_kept(tmp_path, place, reads, monkeypatch):
    folder = tmp_path / "shop"
    days(folder, 2)
    (folder / "orders-2026-01-09.csv").write_text("order_id,ordered_at,customer_id,total,own\n99,2026-01-09,Zed,1,2\n")
    crm.connect(folder, as_of=DAY)
    assert b"Zed" in b"".join(_bytes(path) for path in place.iterdir())
    (folder / erased.FILE).write_text(Stones().with_ones(ids=["Zed"]).text())
    alike(folder, monkeypatch)
    assert [len(each) for each in reads] == [5, 5, 1]
    assert reads[-1] == ["orders-2026-01-09.csv"]
    assert b"Zed" not in b"".join(_bytes(path) for path in place.iterdir())


def test_what_another_file_has_again_of_who_was_erased_is_not_kept_either(tmp_path, place, reads, monkeypatch):
    folder = tmp_path / "shop"
    days(folder, 2)
    for day, who in ((8, "Zed"), (9, "c1")):
        row = f"99,2026-01-08,{who},1,2\n"
        (folder / f"orders-2026-01-0{day}.csv").write_text("order_id,ordered_at,customer_id,total,own\n" + row)
    crm.connect(folder, as_of=DAY)
    assert b"Zed" in b"".join(_bytes(path) for path in place.iterdir())
    (folder / erased.FILE).write_text(Stones().with_ones(ids=["Zed"]).text())
    alike(folder, monkeypatch)
    assert reads[-1] == ["orders-2026-01-08.csv"]
    assert b"Zed" not in b"".join(_bytes(path) for path in place.iterdir())


def _bytes(path: Path) -> bytes:
    """A file's bytes, and what its pages hold once they are unpacked."""
    plain = parquet.read_table(path).to_pandas().to_csv().encode() if path.suffix == ".parquet" else b""
    return path.read_bytes() + plain


def test_erase_takes_all_that_is_kept_away(tmp_path, place, monkeypatch):
    folder, reports = tmp_path / "shop", tmp_path / "reports"
    days(folder, 1)
    crm.connect(folder, as_of=DAY)
    assert reports / lists.INTAKE == place and parts(place)
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    for name in (kept.VARIABLE, KEPT_VARIABLE):
        monkeypatch.setenv(name, "")
    done = CliRunner().invoke(main, ["erase", "c1", "--shop", str(folder), "--reports", str(reports)])
    assert done.exit_code == 0, done.output
    assert [path.name for path in place.iterdir()] == [".lock"]


def test_what_is_noted_names_no_customer(tmp_path, place):
    days(tmp_path / "shop", 1)
    crm.connect(tmp_path / "shop", as_of=DAY)
    for path in place.glob("*.json"):
        assert "c1" not in json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k in ("rows", "size")})
        assert set(json.loads(path.read_text())) <= {"key", "rows", "size", "sha256", "seal", "common"}
