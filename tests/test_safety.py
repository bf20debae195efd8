"""Nothing of another shop is read, no row is lost unseen, and a file that changes while it is read is refused."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet

import crmlib as crm
from crmlib.analysis.experiments.facts import among
from crmlib.errors import DataError, NotEnoughData
from crmlib.shop import load
from crmlib.shop.engines.duckdb import DuckDB

ROW = "order_id,ordered_at,total\n{},2026-01-05,10.00\n"


@pytest.mark.usefixtures("each_engine")
@pytest.mark.parametrize(
    ("name", "others"), [("shop [EU]", ["shop E", "shop U"]), ("shop*", ["shop1"]), ("s?p", ["sxp"])]
)
def test_a_folder_is_a_name_and_not_a_pattern(tmp_path: Path, name: str, others: list[str]) -> None:
    for folder in (name, *others):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "orders.csv").write_text(ROW.format(folder.replace(" ", "")))
        table = pa.table({"product_id": [folder]})
        parquet.write_table(table, tmp_path / folder / "products.parquet")
    shop = crm.connect(tmp_path / name, as_of="2026-06-01")
    assert shop.fetch("orders")["order_id"].tolist() == [name.replace(" ", "")]
    assert shop.fetch("products")["product_id"].tolist() == [name]


def test_the_engine_reads_and_writes_where_the_shop_is_and_nowhere_else(tmp_path: Path) -> None:
    for folder in ("mine", "other", "scratch"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.csv").write_text("a\n1\n")
    works = DuckDB(tmp_path / "scratch", folder=tmp_path / "mine")
    sql = works._backend.con.execute
    assert sql("SELECT current_setting('max_temp_directory_size')").fetchone() != ("90% of available disk space",)
    assert sql(f"SELECT * FROM read_csv('{tmp_path}/mine/a.csv')").fetchall() == [(1,)]
    for statement in (
        f"SELECT * FROM read_csv('{tmp_path}/other/a.csv')",
        f"COPY (SELECT 1) TO '{tmp_path}/other/b.csv'",
        "SET enable_external_access = true",
        "SET memory_limit = '9GB'",
        "INSTALL excel",
    ):
        with pytest.raises(duckdb.Error):
            sql(statement)


@pytest.mark.usefixtures("each_engine")
def test_a_column_called_rowid_loses_no_row(tmp_path: Path) -> None:
    at = [datetime(2026, 1, day) for day in range(1, 7)]
    names = {"order_id": [f"o{i}" for i in range(6)], "ordered_at": at, "rowid": [7] * 6, "RowNumber": [1] * 6}
    parquet.write_table(pa.table(names), tmp_path / "orders.parquet")
    shop = crm.connect(tmp_path, as_of="2026-06-01")
    assert shop.reconciliation().iloc[0].tolist() == ["orders", 6, 6, 0, 0]
    assert sorted(shop.fetch("orders")["order_id"]) == names["order_id"]
    head = "order_id,ordered_at,rowid,_row,_reason,_waits,_blank,_late\n"
    (tmp_path / "orders.parquet").unlink()
    (tmp_path / "orders.csv").write_text(head + "".join(f"{i},2026-01-05,1,1,1,1,1,1\n" for i in range(6)))
    assert crm.connect(tmp_path, as_of="2026-06-01").audits["orders"].kept == 6


def test_rows_that_are_not_found_again_stop_the_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "orders.csv").write_text(ROW.format(1) + "2,2026-01-05,10.00\n")
    whole = load.quality.usable
    monkeypatch.setattr(load.quality, "usable", lambda *a, **k: whole(*a, **k).limit(1))
    with pytest.raises(DataError, match="has 2 rows, found again 1"):
        crm.connect(tmp_path)


@pytest.mark.parametrize("how", ["grown", "cut", "replaced", "gone"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(ROW.format(1) + "2,2026-01-05,10.00\n")
    read = load._first

    def meanwhile(*given: object) -> object:
        found = read(*given)  # type: ignore[arg-type]
        if how == "gone":
            path.unlink()
        else:
            text = path.read_text()
            path.write_text(
                {"grown": text + "3,2026-01-05,1\n", "cut": text[:-9], "replaced": text.replace("10", "99")}[how]
            )
        return found

    monkeypatch.setattr(load, "_first", meanwhile)
    with pytest.raises(DataError, match=r"orders\.csv changed while it was read"):
        crm.connect(tmp_path)


def test_a_shop_is_looked_for_here_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (tmp_path / "data", tmp_path / "sub" / "data"):
        place.mkdir(parents=True)
        (place / "orders.csv").write_text(ROW.format(place.parent.name))
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path / "sub")
    assert crm.connect("data").fetch("orders")["order_id"].tolist() == ["sub"]


def test_a_missing_id_of_a_parquet_file_is_empty(tmp_path: Path) -> None:
    table = {"order_id": ["1", "2"], "ordered_at": [datetime(2026, 1, 1)] * 2, "customer_id": [float("nan"), 7.0]}
    parquet.write_table(pa.table(table), tmp_path / "orders.parquet")
    assert crm.connect(tmp_path).fetch("orders")["customer_id"].dropna().tolist() == ["7"]


def test_names_in_a_currency_column_are_counted_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("order_id,ordered_at,currency\n1,2026-01-05,EUR\n2,2026-01-05,Kim Example\n")
    with pytest.raises(DataError, match=r"2 currencies \(EUR, 1 that are no codes\)"):
        crm.connect(tmp_path)


def test_ten_thousand_columns_are_refused_for_what_they_are(tmp_path: Path) -> None:
    names = ",".join(f"c{i}" for i in range(10_000))
    (tmp_path / "orders.csv").write_text(f"order_id,ordered_at,{names}\n1,2026-01-05{',1' * 10_000}\n")
    with pytest.raises(DataError, match="10,002 columns"):
        crm.connect(tmp_path)


def test_two_thousand_experiments_are_as_many_and_no_recursion(tmp_path: Path) -> None:
    units = [(f"E{e}", f"u{u}", "control" if u else "new") for e in range(2_000) for u in range(2)]
    rows = "".join(f"{experiment},{unit},{arm},2026-01-05\n" for experiment, unit, arm in units)
    (tmp_path / "assignments.csv").write_text("experiment,unit_id,variant,assigned_at\n" + rows)
    values = "".join(f"{experiment},{unit},converted,1\n" for experiment, unit, _ in units)
    (tmp_path / "outcomes.csv").write_text("experiment,unit_id,metric,value\n" + values)
    shop = crm.connect(tmp_path, as_of="2026-06-01")
    arms = crm.experiments.facts(shop).arms
    assert len(arms) == 4_000 and arms["units"].eq(1).all()
    rows = shop.table("outcomes")
    chosen = among(rows, [(f"E{e}", "converted") for e in range(1, 2_000)])
    assert len(shop.fetch(rows.filter(chosen))) == 3_998


def test_forty_orders_of_the_same_two_thousand_items_take_no_memory(tmp_path: Path) -> None:
    import resource

    rows = "".join(f"o{order},p{item},1,1.0\n" for order in range(40) for item in range(2_000))
    (tmp_path / "order_lines.csv").write_text("order_id,product_id,quantity,unit_price\n" + rows)
    shop = crm.connect(tmp_path, as_of="2026-06-01")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    baskets = crm.baskets.facts(shop, level="product", min_support=0.002)
    with pytest.raises(NotEnoughData, match="rules need 100 baskets"):
        crm.baskets.fit(baskets)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000
