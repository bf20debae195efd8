"""Real exports go in as they are, by one command: every row, the platform's own arithmetic, and the way to our figures."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

import crmlib as crm
from crmlib import cli
from crmlib.analysis import data_health
from crmlib.shop import facts
from tests.conftest import ROOT
from tests.test_platforms import PLATFORMS

pytestmark = pytest.mark.skipif(not PLATFORMS.is_dir(), reason="../shared/data is not here")


def rows_of(name: str) -> list[dict[str, str]]:
    with (PLATFORMS / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def shop_of(folder: Path, *names: str, toml: str = "") -> crm.Shop:
    for name in names:
        shutil.copyfile(PLATFORMS / name, folder / name)
    if toml:
        (folder / "shop.toml").write_text(toml)
    return crm.connect(folder)


def ways(shop: crm.Shop) -> dict[tuple[str, str], int]:
    return {(way.of, way.way): way.orders for way in shop.exports.ways}


@pytest.fixture(scope="module")
def shopify(tmp_path_factory: pytest.TempPathFactory) -> crm.Shop:
    folder = tmp_path_factory.mktemp("shopify")
    return shop_of(folder, "shopify_orders_export.csv", "shopify_customers_export.csv")


def test_shopify_holds_to_its_own_arithmetic(shopify: crm.Shop) -> None:
    assert ways(shopify) == {  # the shares of PLATFORMS 1.3
        ("Subtotal", "lines − discount"): 407, ("Subtotal", "lines, where the code pays shipping"): 2,
        ("Total", "Subtotal + Shipping + Taxes"): 362, ("Total", "Subtotal + Shipping, taxes inside"): 45,
        ("Total", "the code pays shipping"): 2, ("Refunded Amount", "Total, where refunded"): 43,
    }  # fmt: skip
    raw = rows_of("shopify_orders_export.csv")
    assert [shopify.audits[name].read for name in ("orders", "order_lines")] == [409, len(raw)]
    firsts = [row for row in raw if row["Id"]]
    lines = shopify.fetch("order_lines")
    # What lines came to after discounts is what the orders say they came to.
    subtotal = sum(Decimal(row["Subtotal"]) for row in firsts)
    assert Decimal(str(round(lines["line_total"].sum(), 2))) == subtotal
    orders = shopify.fetch("orders")
    assert round(orders["total"].sum(), 2) == float(sum(Decimal(row["Total"]) for row in firsts))
    assert round(orders["refunded"].sum(), 2) == float(sum(Decimal(row["Refunded Amount"]) for row in firsts))


def test_shopify_people_are_told_by_their_address(shopify: crm.Shop) -> None:
    names = defaultdict(set)
    for row in rows_of("shopify_orders_export.csv"):
        if row["Id"] and row["Email"]:
            names[row["Email"].strip().lower()].add(row["Billing Name"])
    orders = shopify.fetch("orders")
    shared = {email for email, whose in names.items() if len(whose) > 3}
    assert orders["customer_id"].nunique() >= len(names) - len(shared)
    assert shopify.people.shared == len(shared)
    guests = sum(
        1 for row in rows_of("shopify_orders_export.csv") if row["Id"] and not row["Email"] and not row["Phone"]
    )
    assert orders["customer_id"].isna().sum() >= guests
    assert "unknown_customer" not in {c for c, n in shopify.audits["orders"].oddities.items() if n}


def test_the_way_from_shopifys_figures_to_ours_has_no_gap(shopify: crm.Shop) -> None:
    firsts = [row for row in rows_of("shopify_orders_export.csv") if row["Id"]]
    bridge = data_health.measure_admin(shopify)
    assert bridge is not None and bridge.platform == "Shopify"
    steps = bridge.steps.set_index("step")["amount"].round(2)
    subtotal, refunded, discount = (
        sum(Decimal(row[name]) for row in firsts) for name in ("Subtotal", "Refunded Amount", "Discount Amount")
    )
    assert steps["Net sales"] == float(subtotal - refunded)
    assert steps["Total sales"] == float(sum(Decimal(row["Total"]) for row in firsts) - refunded)
    gross = sum(
        Decimal(row["Lineitem price"]) * Decimal(row["Lineitem quantity"])
        for row in rows_of("shopify_orders_export.csv")
    )
    assert steps["Gross sales"] == float(gross) and steps["Discounts"] == -float(gross - subtotal)
    # Two codes paid for shipping.
    shipping = sum(Decimal(row["Shipping"]) for row in firsts)
    assert steps["Shipping"] == float(shipping - discount + gross - subtotal)
    left = sum(Decimal(row["Total"]) - Decimal(row["Refunded Amount"]) for row in firsts if row["Cancelled at"])
    assert steps["Cancelled orders, not given back"] == -float(left)
    ours = shopify.fetch(facts.monthly(shopify))["revenue"].sum()
    assert steps["Net sales here"] == round(ours, 2)
    # From each total to the next, what stands between adds up to the cent.
    running = None
    for row in bridge.steps.itertuples():
        if row.total:
            assert running is None or abs(running - row.amount) < 0.005
            running = row.amount
        else:
            running += row.amount
    month = bridge.month
    assert abs(month["amount"].iloc[:-1].sum() - month["amount"].iloc[-1]) < 0.005
    # So do the ratios, as they are rounded.
    theirs = Counter(who for row in firsts if (who := row["Email"].lower() or row["Phone"] or row["Billing Phone"]))
    for of, begin in (
        ("Average order", subtotal / len(firsts)),
        ("Returning customers, %", 100 * Decimal(sum(n > 1 for n in theirs.values())) / len(theirs)),
    ):
        path = (
            bridge.ratios.loc[bridge.ratios["of"] == of, "amount"].map(lambda amount: Decimal(f"{amount:.2f}")).tolist()
        )
        assert path[0] == begin.quantize(Decimal("0.01")) and sum(path[:-1]) == path[-1] and len(path) > 2
    assert float(path[-1]) == round(
        100 * bridge.rates.set_index("what").at["Customers with more than one order", "ours"], 2
    )
    # Guests, orders of no value and test orders count on both sides, unless they were cancelled.
    kinds = bridge.rates.set_index("what")
    nothing = [row for row in firsts if not Decimal(row["Total"])]
    nobody = [row for row in firsts if not (row["Email"] or row["Phone"] or row["Billing Phone"])]
    for what, rows, paid in (
        ("Orders of no value", nothing, 0),
        ("Orders of nobody known", nobody, sum(Decimal(r["Total"]) - Decimal(r["Refunded Amount"]) for r in nobody)),
        ("Test orders", [], 0),
    ):
        here = [row for row in rows if not row["Cancelled at"]]
        assert kinds.loc[what, ["theirs", "ours"]].tolist() == [len(rows), len(here)], what
        assert kinds.at[what, "their_money"] == float(paid), what
    part = data_health.part_admin(bridge, currency="USD")
    assert part is not None and "below Shopify's total sales" in part.title


def test_the_clock_is_the_exports_own(shopify: crm.Shop) -> None:
    assert shopify.settings.timezone == "America/New_York"
    orders = shopify.fetch("orders")
    assert (orders["ordered_at"].dt.strftime("%Y-%m-%d") == orders["their_day"]).all()


def test_data_health_of_a_raw_export(shopify: crm.Shop) -> None:
    said = data_health.page(data_health.measure(shopify), shop=shopify)
    titles = [part.title for part in said.parts]
    assert "The sums of Shopify add up" in titles
    assert any(title.endswith("behind accounts and guest orders") for title in titles)
    assert "admin" in said.tables


def test_etsy_holds_to_its_own_arithmetic(tmp_path: Path) -> None:
    shop = shop_of(tmp_path, "etsy_sold_orders.csv")
    raw = rows_of("etsy_sold_orders.csv")
    assert ways(shop) == {("Order Net", "Order Value − Discount Amount + Shipping − Card Processing Fees"): 2828}
    sold = sum(Decimal(r["Order Value"]) - Decimal(r["Discount Amount"]) + Decimal(r["Shipping"]) for r in raw)
    orders = shop.fetch("orders")
    assert round(orders["total"].sum(), 2) == float(sold)
    assert orders["customer_id"].isna().sum() == sum(not row["Buyer User ID"] for row in raw) == 309


def test_square_lines_become_orders(tmp_path: Path) -> None:
    names = [f"square_items_{n}.csv" for n in (1, 2, 3, 4)]
    shop = shop_of(tmp_path, *names)
    raw = [row for name in names for row in rows_of(name)]
    assert all(one.again == 0 for one in shop.exports.recognised)
    assert shop.audits["orders"].read == len({row["Transaction ID"] for row in raw})

    def money(text: str) -> Decimal:
        return Decimal(text.replace("$", "").replace(",", ""))

    net = sum(money(row["Net Sales"]) + money(row["Tax"]) for row in raw)
    orders = shop.fetch("orders")
    assert round(orders["total"].sum() - orders["refunded"].fillna(0).sum(), 2) == float(net)
    assert ways(shop) == {("Net Sales", "Gross Sales + Discounts"): len(raw)}
    assert (orders["ordered_at"].dt.hour > 0).any()


def test_money_that_one_platform_signs_and_another_does_not_is_one_column(tmp_path: Path) -> None:
    """$9.00 in one export and 9.00 in the other: both are read, and come to the sum of each by itself."""
    sums, one, other = [], "shopify_orders_export.csv", "square_items_1.csv"
    for number, names in enumerate([(one,), (other,), (one, other)]):
        (tmp_path / str(number)).mkdir()
        shop = shop_of(tmp_path / str(number), *names)
        lines = shop.fetch("order_lines")
        sums.append((round(lines["line_total"].sum(), 2), len(lines)))
    assert sums[2] == (pytest.approx(sums[0][0] + sums[1][0]), sums[0][1] + sums[1][1])


def test_a_file_that_overlaps_another_counts_once(tmp_path: Path) -> None:
    shop_of(tmp_path, "square_items_1.csv")
    copy = (tmp_path / "square_items_1.csv").read_text().splitlines(keepends=True)
    (tmp_path / "items (2).csv").write_text("".join([copy[0], *copy[100:]]))
    shop = crm.connect(tmp_path)
    assert shop.audits["order_lines"].read == len(rows_of("square_items_1.csv"))
    assert sum(one.again for one in shop.exports.recognised) > 50


def test_ids_that_a_spreadsheet_rounded_are_told_and_names_serve(tmp_path: Path) -> None:
    shop = shop_of(tmp_path, "shopify_orders_after_a_spreadsheet.csv")
    assert shop.audits["orders"].kept == 94 and shop.audits["order_lines"].kept == 130
    assert any("rounded by a spreadsheet" in remark for _, remark in shop.exports.remarks)
    raw = rows_of("shopify_orders_after_a_spreadsheet.csv")
    assert round(shop.fetch("orders")["total"].sum(), 2) == float(sum(Decimal(row["Total"] or "0") for row in raw))


def test_the_other_real_files(tmp_path: Path) -> None:
    for name, tables in (
        ("square_transactions_2018.csv", {"orders": 4}),
        ("webtoffee_orders.csv", {"orders": 3, "order_lines": 5, "products": 5, "customers": 3}),
        ("shopify_products.csv", {"products": 21}),
        ("shopify_products_padded.csv", {"products": 24}),
    ):
        folder = tmp_path / name
        folder.mkdir()
        shop = shop_of(folder, name)
        assert {table: audit.kept for table, audit in shop.audits.items()} == tables, name
        assert not [way for way in shop.exports.ways if not way.way], name
    later = crm.connect(tmp_path / "webtoffee_orders.csv", as_of="2020-01-01").fetch("orders").set_index("order_id")
    assert later.loc["1002", "refunded"] == 46 and f"{later.loc['1002', 'refunded_at']:%F}" == "2019-06-19"


def test_check_says_what_each_file_is_and_import_writes_the_same_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, into = tmp_path / "exports", tmp_path / "canonical"
    folder.mkdir()
    shutil.copyfile(PLATFORMS / "shopify_orders_export.csv", folder / "orders_export_1.csv")
    header = "Name,Created at,Total,Lineitem name,Lineitem price"
    (folder / "almost.csv").write_text(f"{header}\n#1,2026-01-05,10,Cup,10\n")
    said = CliRunner().invoke(cli.main, ["check", "--shop", str(folder)], catch_exceptions=False)
    assert said.exit_code == 0
    assert "orders_export_1.csv → Shopify orders → orders, order_lines, products, customers (811 rows)" in said.output
    assert "Shopify Subtotal = lines − discount: 407" in said.output
    assert "Not read: almost.csv (nearest to Shopify orders, but it has no 'Lineitem quantity')." in said.output
    made = CliRunner().invoke(
        cli.main, ["import", str(folder / "orders_export_1.csv"), "--shop", str(into)], catch_exceptions=False
    )
    assert made.exit_code == 0, made.output
    assert sorted(path.name for path in into.iterdir()) == [
        "customers.parquet",
        "order_lines.parquet",
        "orders.parquet",
        "products.parquet",
    ]
    (folder / "almost.csv").unlink()
    one, other = crm.connect(folder), crm.connect(into)
    assert one.fetch(facts.monthly(one)).equals(other.fetch(facts.monthly(other)))
    assert {n: a.kept for n, a in one.audits.items()} == {n: a.kept for n, a in other.audits.items()}
    again = CliRunner().invoke(cli.main, ["import", str(folder / "orders_export_1.csv"), "--shop", str(into)])
    assert again.exit_code == 2 and "already" in again.output


@pytest.mark.slow
def test_a_raw_export_of_orders_becomes_pages_by_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop").mkdir()
    shutil.copyfile(PLATFORMS / "shopify_orders_export.csv", tmp_path / "shop" / "orders_export_1.csv")
    monkeypatch.chdir(ROOT)
    words = ["run", "--all", "--shop", str(tmp_path / "shop"), "--as-of", "2022-01-12"]
    done = CliRunner().invoke(cli.main, [*words, "--reports", str(tmp_path / "out"), "-v"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    status: dict[str, set[str]] = defaultdict(set)
    for manifest in (tmp_path / "out" / "2022-01-12").glob("*/manifest.json"):
        status[json.loads(manifest.read_text())["status"]].add(manifest.parent.name)
    # Whether a check warns depends on the sample; that there is a page does not.
    assert status["published"] | status["warnings"] == {
        "audiences", "baskets", "briefing", "cohorts", "customers", "data_health", "lifetime_value", "overview", "proof",
        "purchase_cycles", "retention", "seasons",
    }  # fmt: skip
    assert status["too_few"] == {"personas", "prices"}
    assert status["not_available"] == {"experiments", "feedback", "teams"}
    assert (tmp_path / "out" / "index.html").is_file()
