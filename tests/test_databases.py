"""A shop in PostgreSQL or MariaDB gives the same numbers as its files, and nothing is written, shown or kept of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from pyarrow import parquet

import crmlib as crm
from crmlib.cli import main
from crmlib.errors import DataError
from crmlib.shop import facts
from crmlib.shop.intake.copies import copied
from crmlib.shop.intake.database import hidden, is_address, read_address
from crmlib.shop.intake.settings import read_settings
from tests import servers
from tests.conftest import ROOT, ShopWriter

Rows = list[dict[str, Any]]
AS_OF = "2026-12-01"


@pytest.fixture(scope="module")
def postgres() -> Iterator[tuple[str, Callable[..., Any]]]:
    with servers.postgresql() as server:
        yield server


@pytest.fixture(scope="module")
def maria() -> Iterator[tuple[str, Callable[..., Any]]]:
    with servers.mariadb() as server:
        yield server


@pytest.fixture(autouse=True)
def passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", servers.PASSWORD)
    monkeypatch.setenv("MYSQL_PWD", servers.PASSWORD)


def invented() -> Rows:
    """Orders of one shop, told so that each schema can be filled from them."""
    orders = []
    for n in range(1, 61):
        lines = [
            {"product": 100 + (n * k) % 7, "quantity": k, "price": Decimal(5 + (n * k) % 11) + Decimal("0.49"),
             "name": f"Cup {(n * k) % 7}"} for k in range(1, n % 3 + 2)
        ]  # fmt: skip
        for line in lines:
            line["gross"] = line["quantity"] * line["price"]
            line["off"] = (line["gross"] / 10).quantize(Decimal("0.01")) if n % 4 == 0 else Decimal(0)
            line["net"] = line["gross"] - line["off"]
        net, shipping = sum(line["net"] for line in lines), Decimal("4.90")
        fee = Decimal(2) if n % 6 == 0 else Decimal(0)
        tax = ((net + shipping + fee) * Decimal("0.19")).quantize(Decimal("0.01"))
        total, at = net + shipping + fee + tax, datetime(2026, 1, 1) + timedelta(days=4 * n, hours=n * 7 % 24)
        account = n % 9 + 1 if n % 5 else 0
        orders.append({
            "n": n, "at": at, "account": account, "lines": lines, "net": net, "shipping": shipping, "fee": fee,
            "email": f"c{account}@example.org" if account else f"Guest{n % 3}@example.org", "tax": tax, "total": total,
            "status": "cancelled" if n % 11 == 0 else "completed", "off": sum(line["off"] for line in lines),
            "back": (total / 4).quantize(Decimal("0.01")) if n % 7 == 0 else None, "back_at": at + timedelta(days=40),
        })  # fmt: skip
    return orders


def canonical(orders: Rows, *, zone: str = "+00:00") -> dict[str, Rows]:
    """As files of ours."""
    return {
        "orders": [
            {"order_id": o["n"], "ordered_at": f"{o['at']}{zone}", "customer_id": o["email"].lower(), "total": o["total"],
             "status": o["status"], "currency": "EUR", "discount": o["off"], "shipping": o["shipping"], "tax": o["tax"],
             "refunded": o["back"], "refunded_at": f"{o['back_at']}{zone}" if o["back"] else None}
            for o in orders
        ],
        "order_lines": [
            {"order_id": o["n"], "line_no": o["n"] * 10 + k, "product_id": line["product"], "quantity": line["quantity"],
             "line_total": line["net"], "discount": line["off"]}
            for o in orders for k, line in enumerate(o["lines"])
        ],
    }  # fmt: skip


def numbers(shop: crm.Shop) -> dict[str, Any]:
    months = shop.fetch(facts.monthly(shop))
    orders = shop.fetch(shop.table("orders"))
    lines = shop.fetch(shop.table("order_lines")).astype({"order_id": str})
    sums = lines.groupby("order_id")[["quantity", "line_total", "discount"]].sum().round(4).sort_index()
    orders["order_id"] = orders["order_id"].str.lstrip("0")
    lines_by = {key.lstrip("0"): tuple(row) for key, row in zip(sums.index, sums.to_numpy(), strict=True)}
    kept = orders.set_index("order_id").sort_index()
    return {
        "months": [(str(row.month), row.orders, round(row.revenue, 4)) for row in months.itertuples()],
        "moments": kept["ordered_at"].astype(str).to_dict(),
        "refunds": kept.loc[kept["refunded"].fillna(0) > 0, "refunded"].round(4).to_dict(),
        "refunded_at": kept["refunded_at"].dropna().astype(str).to_dict(),
        "tax": kept["tax"].round(4).to_dict(),
        "people": kept["customer_id"].nunique(),
        "orders of the same": sorted(kept.groupby("customer_id").size()),
        "lines": lines_by,
    }


@pytest.fixture(scope="module")
def of_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the shop's canonical files say."""
    folder = tmp_path_factory.mktemp("files")
    for table, rows in canonical(invented()).items():
        pd.DataFrame(rows).to_csv(folder / f"{table}.csv", index=False)
    (folder / "shop.toml").write_text('timezone = "Europe/Berlin"')
    return numbers(crm.connect(folder, as_of=AS_OF))


def fill(
    connect: Callable[..., Any], name: str, tables: dict[str, tuple[str, Rows]], *, only_read: bool = True
) -> None:
    """Make a database of MariaDB with these tables: name -> columns with their kinds, and rows."""
    with connect() as owner, owner.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        cursor.execute(f"GRANT {'SELECT' if only_read else 'ALL'} ON {name}.* TO {servers.READER}@localhost")
    with connect(name) as owner, owner.cursor() as cursor:
        for table, (columns, rows) in tables.items():
            cursor.execute(f"CREATE TABLE {table} ({columns})")
            names = list(rows[0]) if rows else []
            marks = ", ".join(["%s"] * len(names))
            if rows:
                cursor.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})",
                                   [tuple(row[n] for n in names) for row in rows])  # fmt: skip


def items_of(orders: Rows) -> tuple[Rows, Rows]:
    """WooCommerce's order items and what is said of each."""
    items: Rows = []
    meta: Rows = []
    for o in orders:
        for k, line in enumerate(o["lines"]):
            place = o["n"] * 10 + k
            items.append(
                {
                    "order_item_id": place,
                    "order_item_name": line["name"],
                    "order_item_type": "line_item",
                    "order_id": o["n"],
                }
            )
            said = {"_product_id": line["product"], "_variation_id": 905 * (line["product"] == 105), "_qty": line["quantity"], "_line_subtotal": line["gross"],
                    "_line_total": line["net"], "_tax_class": "x"}  # fmt: skip
            meta += [{"order_item_id": place, "meta_key": key, "meta_value": str(value)} for key, value in said.items()]
        if o["fee"]:
            items.append(
                {
                    "order_item_id": o["n"] * 10 + 8,
                    "order_item_name": "Gift wrap",
                    "order_item_type": "fee",
                    "order_id": o["n"],
                }
            )
            meta.append({"order_item_id": o["n"] * 10 + 8, "meta_key": "_line_total", "meta_value": str(o["fee"])})
    for number, row in enumerate(meta, start=1):
        row["meta_id"] = number
    return items, meta


ITEMS = "order_item_id BIGINT UNSIGNED, order_item_name TEXT, order_item_type VARCHAR(200), order_id BIGINT UNSIGNED"
ITEM_META = "meta_id BIGINT UNSIGNED, order_item_id BIGINT UNSIGNED, meta_key VARCHAR(255), meta_value LONGTEXT"
OPTIONS = ("option_id BIGINT UNSIGNED, option_name VARCHAR(191), option_value LONGTEXT",
           [{"option_id": 1, "option_name": "timezone_string", "option_value": "Europe/Berlin"},
            {"option_id": 2, "option_name": "smtp_password", "option_value": "never"}])  # fmt: skip
USERS = (
    "ID BIGINT UNSIGNED, user_login VARCHAR(60), user_pass VARCHAR(255)",
    [{"ID": 1, "user_login": "a", "user_pass": "$P$B"}],
)

# A category within another, and a tag, which is none; cup 106 is in no category, cup 105 is sold as a variation of it.
TERMS = {
    "terms": ("term_id BIGINT UNSIGNED, name VARCHAR(200), slug VARCHAR(200)",
              [{"term_id": n, "name": name, "slug": ""} for n, name in ((1, "Cups &amp; Mugs"), (2, "Espresso"), (3, "Sale"))]),
    "term_taxonomy": ("term_taxonomy_id BIGINT UNSIGNED, term_id BIGINT UNSIGNED, taxonomy VARCHAR(32), parent BIGINT UNSIGNED",
                      [{"term_taxonomy_id": 10 + n, "term_id": n, "taxonomy": kind, "parent": parent}
                       for n, kind, parent in ((1, "product_cat", 0), (2, "product_cat", 1), (3, "product_tag", 0))]),
    "term_relationships": ("object_id BIGINT UNSIGNED, term_taxonomy_id BIGINT UNSIGNED, term_order INT",
                           [{"object_id": cup, "term_taxonomy_id": 10 + n, "term_order": 0}
                            for cup in range(100, 106) for n in (1, 2, 3) if cup == 100 or n == 1]),
}  # fmt: skip


def woocommerce(orders: Rows, *, hpos: bool, prefix: str = "wp_") -> dict[str, tuple[str, Rows]]:
    items, meta = items_of(orders)
    tables: dict[str, tuple[str, Rows]] = {
        "woocommerce_order_items": (ITEMS, items), "woocommerce_order_itemmeta": (ITEM_META, meta), "options": OPTIONS,
        "users": USERS, **TERMS,
        "posts": ("ID BIGINT UNSIGNED, post_type VARCHAR(20), post_status VARCHAR(20), post_date_gmt DATETIME, "
                  "post_parent BIGINT UNSIGNED", []),
        "postmeta": ("meta_id BIGINT UNSIGNED, post_id BIGINT UNSIGNED, meta_key VARCHAR(255), meta_value LONGTEXT", []),
    }  # fmt: skip
    backs = [o for o in orders if o["back"]]
    if hpos:
        tables |= {
            "wc_orders": (
                "id BIGINT UNSIGNED, status VARCHAR(20), currency VARCHAR(10), type VARCHAR(20), tax_amount DECIMAL(26,8), "
                "total_amount DECIMAL(26,8), customer_id BIGINT UNSIGNED, billing_email VARCHAR(320), date_created_gmt DATETIME, "
                "parent_order_id BIGINT UNSIGNED, payment_method_title TEXT, ip_address VARCHAR(100)",
                [{"id": o["n"], "status": f"wc-{o['status']}", "currency": "EUR", "type": "shop_order", "tax_amount": o["tax"],
                  "total_amount": o["total"], "customer_id": o["account"], "billing_email": o["email"],
                  "date_created_gmt": o["at"], "parent_order_id": 0, "payment_method_title": "Card", "ip_address": "10.0.0.1"}
                 for o in orders]
                + [{"id": 1000 + o["n"], "status": "wc-completed", "currency": "EUR", "type": "shop_order_refund",
                    "tax_amount": 0, "total_amount": -o["back"], "customer_id": 0, "billing_email": None,
                    "date_created_gmt": o["back_at"], "parent_order_id": o["n"], "payment_method_title": None, "ip_address": None}
                   for o in backs],
            ),
            "wc_order_addresses": (
                "id BIGINT UNSIGNED, order_id BIGINT UNSIGNED, address_type VARCHAR(20), first_name TEXT, last_name TEXT, "
                "phone VARCHAR(100), country TEXT, state TEXT, city TEXT, postcode TEXT",
                [{"id": 2 * o["n"] + k, "order_id": o["n"], "address_type": kind, "first_name": "Ann", "last_name": "Lee",
                  "phone": "", "country": "DE", "state": "BE", "city": "Berlin", "postcode": "01067"}
                 for o in orders for k, kind in enumerate(("billing", "shipping"))],
            ),
            "wc_order_operational_data": (
                "id BIGINT UNSIGNED, order_id BIGINT UNSIGNED, shipping_total_amount DECIMAL(26,8), discount_total_amount DECIMAL(26,8)",
                [{"id": o["n"], "order_id": o["n"], "shipping_total_amount": o["shipping"], "discount_total_amount": o["off"]}
                 for o in orders],
            ),
            "wc_customer_lookup": (
                "customer_id BIGINT, user_id BIGINT UNSIGNED, email VARCHAR(100), first_name TEXT, last_name TEXT, "
                "date_registered DATETIME, country CHAR(2), state TEXT, city TEXT, postcode VARCHAR(20)",
                [{"customer_id": 50 + n, "user_id": n, "email": f"c{n}@example.org", "first_name": "Ann", "last_name": f"Lee {n}",
                  "date_registered": "2025-12-01 08:00:00" if n > 1 else "0000-00-00 00:00:00", "country": "DE", "state": "",
                  "city": "Berlin", "postcode": "01067"} for n in range(1, 10)],
            ),
        }  # fmt: skip
    else:
        said: Rows = []
        for o in orders:
            keys = {"_order_total": o["total"], "_order_tax": o["tax"], "_order_shipping": o["shipping"], "_order_currency": "EUR",
                    "_cart_discount": o["off"], "_customer_user": o["account"], "_billing_email": o["email"],
                    "_billing_first_name": "Ann", "_customer_ip_address": "10.0.0.1"}  # fmt: skip
            said += [{"post_id": o["n"], "meta_key": key, "meta_value": str(value)} for key, value in keys.items()]
            if o["back"]:
                said.append({"post_id": 1000 + o["n"], "meta_key": "_refund_amount", "meta_value": str(o["back"])})
        posts = [
            {
                "ID": o["n"],
                "post_type": "shop_order",
                "post_status": f"wc-{o['status']}",
                "post_date_gmt": o["at"],
                "post_parent": 0,
            }
            for o in orders
        ]
        posts += [
            {
                "ID": 1000 + o["n"],
                "post_type": "shop_order_refund",
                "post_status": "wc-completed",
                "post_date_gmt": o["back_at"],
                "post_parent": o["n"],
            }
            for o in backs
        ]
        posts.append(
            {
                "ID": 5000,
                "post_type": "page",
                "post_status": "publish",
                "post_date_gmt": orders[0]["at"],
                "post_parent": 0,
            }
        )
        tables["posts"] = (tables["posts"][0], posts)
        tables["postmeta"] = (tables["postmeta"][0], [{"meta_id": k, **row} for k, row in enumerate(said)])
    return {prefix + name: told for name, told in tables.items()}


def magento(orders: Rows) -> dict[str, tuple[str, Rows]]:
    lines: Rows = []
    for o in orders:
        for k, line in enumerate(o["lines"]):
            place = o["n"] * 10 + k
            row = {"item_id": place, "order_id": 500 + o["n"], "parent_item_id": None, "product_id": line["product"],
                   "product_type": "simple", "sku": f"S{line['product']}", "name": line["name"], "qty_ordered": line["quantity"],
                   "base_price": line["price"], "base_row_total": line["gross"], "base_discount_amount": line["off"],
                   "base_cost": 1}  # fmt: skip
            if k == 0:  # one that can be configured: the row below it says which was bought
                lines.append(row | {"product_id": 9, "product_type": "configurable"})
                row |= {"item_id": place + 5000, "parent_item_id": place, "base_price": 0, "base_row_total": 0,
                        "base_discount_amount": 0}  # fmt: skip
            elif k == 1:  # a bundle: its parts have the prices
                lines.append(row | {"product_id": 8, "product_type": "bundle"})
                row |= {"item_id": place + 5000, "parent_item_id": place}
            lines.append(row)
    address = {"telephone": "", "country_id": "DE", "region": "Berlin", "city": "Berlin", "postcode": "01067"}
    return {
        "sales_order": (
            "entity_id INT UNSIGNED, increment_id VARCHAR(50), state VARCHAR(32), customer_id INT UNSIGNED, customer_email VARCHAR(128), "
            "customer_firstname VARCHAR(128), customer_lastname VARCHAR(128), created_at TIMESTAMP NULL, base_currency_code VARCHAR(3), "
            "base_grand_total DECIMAL(20,4), base_subtotal DECIMAL(20,4), base_discount_amount DECIMAL(20,4), "
            "base_shipping_amount DECIMAL(20,4), base_tax_amount DECIMAL(20,4), remote_ip VARCHAR(45)",
            [{"entity_id": 500 + o["n"], "increment_id": f"{o['n']:09}", "state": o["status"].replace("cancelled", "canceled").replace("completed", "complete"),
              "customer_id": o["account"] or None, "customer_email": o["email"], "customer_firstname": "Ann", "customer_lastname": "Lee",
              "created_at": o["at"], "base_currency_code": "EUR", "base_grand_total": o["total"], "base_subtotal": o["net"] + o["off"] + o["fee"],
              "base_discount_amount": -o["off"], "base_shipping_amount": o["shipping"], "base_tax_amount": o["tax"], "remote_ip": "10.0.0.1"}
             for o in orders],
        ),
        "sales_order_item": (
            "item_id INT UNSIGNED, order_id INT UNSIGNED, parent_item_id INT UNSIGNED, product_id INT UNSIGNED, product_type VARCHAR(255), "
            "sku VARCHAR(255), name VARCHAR(255), qty_ordered DECIMAL(12,4), base_price DECIMAL(12,4), base_row_total DECIMAL(20,4), "
            "base_discount_amount DECIMAL(20,4), base_cost DECIMAL(12,4)", lines,
        ),
        "sales_creditmemo": (
            "entity_id INT UNSIGNED, order_id INT UNSIGNED, created_at TIMESTAMP NULL, base_grand_total DECIMAL(20,4)",
            [{"entity_id": o["n"], "order_id": 500 + o["n"], "created_at": o["back_at"], "base_grand_total": o["back"]}
             for o in orders if o["back"]],
        ),
        "sales_order_address": (
            "entity_id INT UNSIGNED, parent_id INT UNSIGNED, address_type VARCHAR(255), telephone VARCHAR(255), country_id VARCHAR(2), "
            "region VARCHAR(255), city VARCHAR(255), postcode VARCHAR(255)",
            [{"entity_id": o["n"], "parent_id": 500 + o["n"], "address_type": "billing", **address} for o in orders],
        ),
        "customer_entity": (
            "entity_id INT UNSIGNED, email VARCHAR(255), firstname VARCHAR(255), lastname VARCHAR(255), dob DATE, gender SMALLINT UNSIGNED, "
            "created_at TIMESTAMP NULL, password_hash VARCHAR(128), rp_token VARCHAR(128)",
            [{"entity_id": n, "email": f"c{n}@example.org", "firstname": "Ann", "lastname": f"Lee {n}", "dob": f"198{n - 1}-02-2{n}" if n != 1 else "1980-02-29", "gender": 2,
              "created_at": "2025-12-01 08:00:00", "password_hash": "never", "rp_token": "never"} for n in range(1, 10)],
        ),
        "newsletter_subscriber": (
            "subscriber_id INT UNSIGNED, customer_id INT UNSIGNED, subscriber_status INT, change_status_at TIMESTAMP NULL",
            [{"subscriber_id": n, "customer_id": n, "subscriber_status": 1 + n % 2 * 2, "change_status_at": "2026-01-05 10:00:00"}
             for n in range(1, 7)],
        ),
        "core_config_data": ("config_id INT UNSIGNED, scope VARCHAR(8), path VARCHAR(255), value TEXT",
                             [{"config_id": 1, "scope": "default", "path": "general/locale/timezone", "value": "Europe/Berlin"}]),
    }  # fmt: skip


@pytest.fixture(scope="module")
def shops(maria: tuple[str, Callable[..., Any]]) -> Callable[[str], str]:
    """The address of a database of MariaDB by name."""
    address, connect = maria
    orders = invented()
    fill(connect, "hpos", woocommerce(orders, hpos=True))
    fill(connect, "legacy", woocommerce(orders, hpos=False))
    fill(connect, "magento", magento(orders))
    return address.format


@pytest.mark.parametrize("system", ["hpos", "legacy", "magento"])
def test_a_shop_systems_own_tables_are_what_its_files_are(
    system: str, shops: Callable[[str], str], of_files: dict[str, Any]
) -> None:
    shop = crm.connect(shops(system), as_of=AS_OF)
    assert numbers(shop) == of_files
    assert shop.settings.timezone == "Europe/Berlin"
    assert {way.way for way in shop.exports.ways} == {"lines + shipping + fees + tax"}
    assert not shop.exports.remarks
    columns = {name for table in shop.audits for name in shop.table(table).columns}
    assert not columns & {"ip_address", "remote_ip", "password_hash", "rp_token", "user_pass"}
    people = shop.fetch(shop.table("customers")).set_index("email").sort_index()
    assert (people["postcode"].dropna() == "01067").all() and len(people) == 12
    if system != "magento":
        goods = shop.fetch(shop.table("products")).set_index("product_id")["category"]
        assert goods.dropna().to_dict() == {"100": "Espresso"} | dict.fromkeys(
            ("101", "102", "103", "104", "905"), "Cups & Mugs"
        )
        assert set(goods.index) - set(goods.dropna().index) == {"106"}
    if system == "magento":
        assert people.loc["c1@example.org", "birth_date"] == pd.Timestamp("1980-02-29")
        agreed = people.loc[[f"c{n}@example.org" for n in range(1, 10)], "email_consent"]
        assert agreed.astype(object).where(agreed.notna(), "unknown").tolist() == [False, True] * 3 + ["unknown"] * 3


def test_of_two_schemas_the_one_with_more_orders_counts_and_several_shops_are_told_apart(
    maria: tuple[str, Callable[..., Any]], tmp_path: Path
) -> None:
    address, connect = maria
    orders = invented()
    # Moved to tables of its own, WooCommerce keeps the last orders in the old ones too; and there is a second shop.
    both = woocommerce(orders[-5:], hpos=False) | woocommerce(orders, hpos=True, prefix="b_")
    hpos = woocommerce(orders[:40], hpos=True)
    fill(
        connect,
        "two_shops",
        both | {name: told for name, told in hpos.items() if "wc_" in name or "woo" in name},
        only_read=False,
    )
    with pytest.raises(DataError, match=r"several shops, named b_…, wp_….*table_prefix"):
        copied(read_settings(address.format("two_shops")), tmp_path / "none")
    (tmp_path / "shop.toml").write_text(f'database = "{address.format("two_shops")}"\ntable_prefix = "wp_"\n')
    mine = copied(read_settings(tmp_path), tmp_path / "mine")
    other = copied(read_settings(f"{address.format('two_shops')}&table_prefix=b_"), tmp_path / "other")
    rows = [parquet.read_metadata(next(f for f in told.files if "orders" in f.name)).num_rows for told in (mine, other)]
    assert rows == [40, 60]
    assert mine.remarks[0][1] == "its user may change tables: one who may only read them is enough"


def ours(connect: Callable[..., Any], orders: Rows) -> None:
    """The canonical tables in PostgreSQL, with types of its own and columns that are never read."""
    tables = canonical(orders)
    with connect() as owner, owner.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE orders (order_id bigint PRIMARY KEY, ordered_at timestamptz, customer_id text, total numeric(12,3), "
            "status varchar(20), currency char(3), discount numeric, shipping numeric(10,2), tax double precision, "
            "refunded money_of_ours, refunded_at timestamptz, gift boolean, card_number text, ip_address inet, note json)"
            .replace("money_of_ours", "numeric(12,2)")
        )  # fmt: skip
        cursor.execute(
            "CREATE TABLE lines_of_ours (order_id bigint, line_no int, product_id int, quantity smallint, line_total numeric(12,2), discount real)"
        )
        # What is called as ours may be a view: who may read no more than that, sees no more.
        cursor.execute("CREATE VIEW order_lines AS SELECT * FROM lines_of_ours ORDER BY line_no")
        cursor.execute("CREATE TABLE secrets (id int)")
        for table, rows in (("orders", tables["orders"]), ("lines_of_ours", tables["order_lines"])):
            names = list(rows[0])
            marks = ", ".join(["%s"] * len(names))
            cursor.executemany(
                f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", [tuple(r.values()) for r in rows]
            )
        cursor.execute("UPDATE orders SET gift = true, card_number = '4111', ip_address = '10.0.0.1', note = '{}'")
        cursor.execute(f"GRANT SELECT ON orders, order_lines TO {servers.READER}")


@pytest.fixture(scope="module")
def in_postgres(postgres: tuple[str, Callable[..., Any]]) -> str:
    address, connect = postgres
    ours(connect, invented())
    return address


def test_tables_under_our_names_are_what_files_are(
    in_postgres: str, write_shop: ShopWriter, of_files: dict[str, Any]
) -> None:
    folder = write_shop("named", toml=f'database = "{in_postgres}"\ntimezone = "Europe/Berlin"\n')
    shop = crm.connect(folder, as_of=AS_OF)
    assert numbers(shop) == of_files
    columns = set(shop.table("orders").columns)
    assert {"gift", "note"} <= columns and not columns & {"card_number", "ip_address"}
    assert not shop.exports.remarks


def test_files_in_the_folder_are_read_beside_the_database(in_postgres: str, write_shop: ShopWriter) -> None:
    texts = [{"feedback_id": n, "text": "Good", "created_at": "2026-02-01"} for n in range(3)]
    shop = crm.connect(write_shop("both", toml=f'database = "{in_postgres}"', feedback=texts), as_of=AS_OF)
    assert {name: audit.read for name, audit in shop.audits.items()} == {
        "orders": 60,
        "order_lines": 120,
        "feedback": 3,
    }
    with pytest.raises(DataError, match=r"two files for one table: orders\.csv, orders\.parquet"):
        crm.connect(write_shop("both", orders=canonical(invented())["orders"]), as_of=AS_OF)


def test_nothing_is_written_to_the_database(in_postgres: str, maria: tuple[str, Callable[..., Any]]) -> None:
    import psycopg
    import pymysql

    from crmlib.shop.intake.servers import opened

    address, connect = maria
    fill(connect, "writable", {"wp_users": USERS}, only_read=False)
    asked = [
        (in_postgres, psycopg.Error, "CREATE TABLE crm_was_here (id int)"),
        (address.format("writable"), pymysql.err.Error, "DELETE FROM wp_users"),
    ]
    for where, fault, sql in asked:
        with opened(read_address(where)) as server, pytest.raises(fault, match=r"(?i)read.only"):
            server._connection.cursor().execute(sql)


def test_copies_are_the_owners_alone_and_go_with_the_shop(in_postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crmlib.shop.intake.servers._BLOCK", 7)
    shop = crm.connect(in_postgres, as_of=AS_OF)
    place = shop.audits["orders"].source.read_path
    assert parquet.ParquetFile(place).metadata.num_row_groups == 9  # a block is held at a time
    assert place.is_file() and place.parent.stat().st_mode & 0o777 == 0o700
    del shop
    import gc

    gc.collect()
    assert not place.exists()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (
            "postgresql://reader:s3cret@db.example.org/shop",
            "postgresql://reader:…@db.example.org/shop has a password in it",
        ),
        ("mysql://reader:s3/cr@et@db/shop", "MYSQL_PWD"),
        ("postgresql://reader@db/shop?password=s3cret", "PGPASSWORD or ~/.pgpass"),
        ("postgresql://reader@db", "does not name one database"),
        ("postgresql://reader@db/shop?tabel_prefix=wp_", "did you mean 'table_prefix'?"),
        ("mysql://reader@db/shop?sslmode=always", "sslmode must be one of"),
        ("mysql://reader@db:port/shop", "no address of a database"),
    ],
)
def test_an_address_is_refused_without_its_password(address: str, said: str, write_shop: ShopWriter) -> None:
    with pytest.raises(DataError) as one:
        crm.connect(address)
    with pytest.raises(DataError) as other:
        crm.connect(write_shop(toml=f'database = "{address}"'))
    for error in (one, other):
        assert said in str(error.value)
        assert "s3" not in str(error.value) and "et@" not in str(error.value)
    assert is_address(address) and "s3" not in hidden(f"a {address} b")


def test_what_cannot_be_reached_or_read_is_said_in_one_line(
    in_postgres: str,
    shops: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    maria: tuple[str, Callable[..., Any]],
) -> None:
    _, connect = maria
    fill(connect, "empty", {"wp_users": USERS})
    with pytest.raises(DataError, match="holds no table of a shop: it has wp_users"):
        crm.connect(shops("empty"))
    for name, variable, address in (("psycopg", "PGPASSWORD", in_postgres), ("pymysql", "MYSQL_PWD", shops("hpos"))):
        with monkeypatch.context() as patch:
            patch.setenv(variable, "wrong")
            with pytest.raises(DataError, match="cannot be reached: ") as error:
                crm.connect(address)
            assert "wrong" not in str(error.value) and "\n" not in str(error.value)
            assert error.value.__cause__ is None and error.value.__suppress_context__
        with monkeypatch.context() as patch:
            patch.setattr("crmlib.shop.intake.servers.find_spec", lambda _: None)
            with pytest.raises(DataError, match=rf"needs the package {name}: install crmlib\[databases\]"):
                crm.connect(address)


def test_a_report_of_a_database_is_made_anew_each_time_and_keeps_no_password(in_postgres: str, tmp_path: Path) -> None:
    words = ["run", "data_health", "--shop", in_postgres, "--reports", str(tmp_path / "reports")]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    kept = b"".join(path.read_bytes() for path in (tmp_path / "reports").rglob("*") if path.is_file())
    assert servers.PASSWORD.encode() not in kept and in_postgres.encode() in kept
    assert "the database changed" in CliRunner().invoke(main, [*words, "--dry-run"]).output
    gone = CliRunner().invoke(main, ["erase", "c1@example.org", "--reports", words[5]])
    assert gone.exit_code == 0, gone.output
    assert list((tmp_path / "reports").rglob("erased.json")) and not (ROOT / "postgresql:").exists()
    words[3] = in_postgres.replace("@", f":{servers.PASSWORD}@")
    wrong = CliRunner().invoke(main, [*words, "--on-failure", f"env > {tmp_path}/env"])
    assert wrong.exit_code == 2 and "has a password in it" in wrong.output
    told = [line for line in (tmp_path / "env").read_text().splitlines() if line.startswith("CRM_")]
    assert [line for line in told if line.startswith("CRM_SHOP")] and servers.PASSWORD not in wrong.output + "".join(
        told
    )
