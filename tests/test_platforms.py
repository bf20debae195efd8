"""Real exports that a mapping alone can read: every row is accounted for, and the money is the platform's own."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

import crmlib as crm
from crmlib.errors import DataError
from crmlib.shop import facts
from tests.conftest import SHARED_DATA

PLATFORMS = Path(os.environ.get("CRM_DATA") or SHARED_DATA) / "platforms"
pytestmark = pytest.mark.skipif(not PLATFORMS.is_dir(), reason="../shared/data is not here")

GOODS = {"product_id": "Handle", "name": "Title", "list_price": "Variant Price"}
# file, table, mapping, rows read, rows set aside by reason
READ = [
    ("etsy_sold_orders.csv", "orders", {"order_id": "Order ID", "ordered_at": "Sale Date", "total": "Order Total",
     "customer_id": "Buyer User ID"}, 2828, {}),
    ("shopify_orders_after_a_spreadsheet.csv", "orders", {"order_id": "Name", "ordered_at": "Created at",
     "total": "Total"}, 130, {"repeated_key": 36}),
    ("shopify_orders_export.csv", "orders", {"order_id": "Name", "ordered_at": "Created at", "customer_id": "Email",
     "total": "Total", "status": "Financial Status", "refunded": "Refunded Amount"}, 811, {"repeated_key": 402}),
    ("shopify_customers_export.csv", "customers", {"customer_id": "Email", "first_name": "First Name"}, 1511,
     {"missing_value": 28}),
    ("webtoffee_orders.csv", "orders", {"ordered_at": "order_date", "total": "order_total"}, None, {}),
    ("square_items_1.csv", "order_lines", {"order_id": "Transaction ID", "product_id": "Item", "quantity": "Qty",
     "line_total": "Gross Sales"}, None, {}),
    *((f"square_items_{number}.csv", "order_lines", {"order_id": "Transaction ID", "product_id": "Item",
       "quantity": "Qty", "line_total": "Net Sales"}, None, {}) for number in (2, 3)),
    ("square_transactions_2018.csv", "orders", {"order_id": "Transaction ID", "ordered_at": "Date",
     "total": "Total Collected"}, 4, {"missing_value": 4}),
    ("square_items_4.csv", "order_lines", {"order_id": "Transaction ID", "product_id": "Item", "quantity": "Qty",
     "line_total": "Net Sales"}, None, {}),
    ("shopify_products.csv", "products", GOODS, None, None),
    ("shopify_products_padded.csv", "products", GOODS, None, None),
]  # fmt: skip


def test_every_real_file_is_read_here() -> None:
    assert sorted(row[0] for row in READ) == sorted(path.name for path in PLATFORMS.iterdir())


def open_as(folder: Path, file: str, table: str, mapping: dict[str, str], toml: str = "") -> crm.Shop:
    (folder / f"{table}.csv").write_bytes((PLATFORMS / file).read_bytes())
    lines = "".join(f'{ours} = "{theirs}"\n' for ours, theirs in mapping.items())
    (folder / "shop.toml").write_text(f"{toml}\n[columns.{table}]\n{lines}")
    return crm.connect(folder, as_of="2027-01-01")


@pytest.mark.parametrize(("file", "table", "mapping", "read", "aside"), READ, ids=[row[0] for row in READ])
def test_an_export_reconciles(
    tmp_path: Path, file: str, table: str, mapping: dict[str, str], read: int | None, aside: dict[str, int] | None
) -> None:
    # Three of the files have days that could be months in all of their rows.
    shop = open_as(tmp_path, file, table, mapping, toml='dates = "month-first"')
    audit = shop.audits[table]
    with (PLATFORMS / file).open(encoding="utf-8-sig", newline="") as opened:
        rows = sum(1 for row in csv.reader(opened) if any(field.strip() for field in row)) - 1
    assert audit.read == rows == (read or rows)
    assert audit.read == audit.kept + sum(audit.set_aside.values()) + audit.after_as_of
    assert audit.oddities["unreadable_value"] == 0
    if aside is not None:
        assert audit.set_aside == aside


def test_a_year_of_etsy(tmp_path: Path) -> None:
    shop = open_as(tmp_path, *READ[0][:3])
    with (PLATFORMS / READ[0][0]).open(encoding="utf-8-sig", newline="") as opened:
        theirs = sum(float(row["Order Total"]) for row in csv.DictReader(opened))
    months = shop.fetch(facts.monthly(shop))
    assert months["month"].dt.year.unique().tolist() == [2022] and len(months) == 12
    assert months["revenue"].sum() == pytest.approx(theirs)


def test_ids_that_a_spreadsheet_rounded_name_the_column_that_serves(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="rounded"):
        open_as(tmp_path, READ[1][0], "orders", {"order_id": "Id", "ordered_at": "Created at"})
