"""Two invented exports of each platform, made from its header: what they say comes out to the cent, and once."""

from __future__ import annotations

import csv
import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest

import crmlib as crm
from crmlib.analysis import outreach
from crmlib.errors import DataError
from crmlib.shop.intake.gather import Gathered, gather
from crmlib.shop.intake.platforms import EXPORTS, recognise
from crmlib.shop.intake.settings import read_settings

Row = dict[str, object]


@dataclass(frozen=True)
class Order:
    """An invented order; amounts in cents."""

    id: int
    day: int
    email: str
    lines: tuple[tuple[str, int, int], ...]  # product, pieces, price of one
    off: int
    shipping: int
    tax: int
    back: int

    @property
    def goods(self) -> int:
        return sum(pieces * price for _, pieces, price in self.lines)

    @property
    def net(self) -> int:
        return self.goods - self.off


def orders(seed: int, ids: Sequence[int]) -> list[Order]:
    made = []
    for i in ids:
        rng = random.Random(f"{seed} {i}")  # an order is the same in every export that has it
        lines = tuple(
            (f"P{rng.randrange(9)}", rng.randint(1, 3), rng.randint(199, 9999)) for _ in range(rng.randint(1, 4))
        )
        goods = sum(pieces * price for _, pieces, price in lines)
        off = rng.choice([0, 0, rng.randrange(goods // 2)])
        back = rng.choice([0, 0, 0, goods - off, (goods - off) // 3])
        made.append(
            Order(
                i, i % 27 + 1, f"buyer{i % 5}@example.org", lines, off, rng.choice([0, 495]), rng.randrange(500), back
            )
        )
    return made


def money(cents: int, form: str = "{}") -> str:
    return form.format(f"{cents / 100:.2f}")


def dollars(cents: int) -> str:
    return money(abs(cents), "-${}" if cents < 0 else "${}")


def write(path: Path, header: str, rows: Sequence[Row], *, sep: str = ",", before: str = "", after: str = "") -> None:
    names = next(csv.reader([header], delimiter=sep))
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(before)
        out = csv.DictWriter(file, names, restval="", delimiter=sep)
        out.writeheader()
        out.writerows(rows)
        file.write(after)


def tables(folder: Path, *, toml: str = "") -> tuple[dict[str, pd.DataFrame], Gathered]:
    scratch = folder.parent / f"{folder.name}-scratch"
    scratch.mkdir()
    (folder / "shop.toml").write_text(toml)
    gathered = gather(folder, read_settings(folder), scratch=scratch)
    read = {s.table: pd.read_parquet(s.read_path) if s.parquet else pd.read_csv(s.read_path) for s in gathered.sources}
    # What cannot be read at all, such as the last lines of a report, is marked.
    return {
        name: t[t["_mark"].eq("")].drop(columns="_mark") if "_mark" in t else t for name, t in read.items()
    }, gathered


def cents(values: pd.Series) -> int:
    plain = values.fillna("0").astype(str).str.replace(r"[^0-9.-]", "", regex=True)
    return round(sum(float(value or 0) * 100 for value in plain))


# Headers as the platforms write them; what is not filled in is left empty.
SHOPIFY = (
    "Name,Email,Financial Status,Paid at,Fulfillment Status,Currency,Subtotal,Shipping,Taxes,Total,Discount Code,"
    "Discount Amount,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Cancelled at,"
    "Refunded Amount,Vendor,Id,Source,Phone"
)


def shopify(path: Path, made: list[Order]) -> None:
    rows: list[Row] = []
    for o in made:
        for place, (product, pieces, price) in enumerate(o.lines):
            row: Row = {
                "Name": f"#{o.id}",
                "Created at": f"2026-01-{o.day:02d} 10:00:00 +0100",
                "Lineitem quantity": pieces,
                "Lineitem name": f"Cup - {product}",
                "Lineitem price": money(price),
                "Lineitem sku": product,
            }
            if not place:
                row |= {
                    "Id": 9_000_000_000_000 + o.id,
                    "Email": o.email,
                    "Subtotal": money(o.net),
                    "Taxes": money(o.tax),
                    "Financial Status": "paid",
                    "Total": money(o.net + o.shipping + o.tax),
                    "Currency": "EUR",
                    "Shipping": money(o.shipping),
                    "Discount Amount": money(o.off),
                    "Refunded Amount": money(o.back),
                }
            rows.append(row)
    write(path.with_suffix(".csv"), SHOPIFY, rows)


ETSY = (
    "Sale Date,Order ID,Buyer User ID,Full Name,First Name,Last Name,Number of Items,Date Shipped,Ship City,Ship State,"
    "Ship Zipcode,Ship Country,Currency,Order Value,Coupon Code,Discount Amount,Shipping Discount,Shipping,Sales Tax,"
    "Order Total,Status,Card Processing Fees,Order Net,Adjusted Order Total,Adjusted Card Processing Fees,"
    "Adjusted Net Order Amount,Buyer,Order Type"
)
ETSY_ITEMS = (
    "Sale Date,Item Name,Buyer,Quantity,Price,Coupon Code,Discount Amount,Order Shipping,Order Sales Tax,Item Total,"
    "Currency,Transaction ID,Listing ID,Date Paid,Date Shipped,Order ID,Variations,SKU"
)


def etsy(path: Path, made: list[Order]) -> None:
    rows, items = [], []
    for o in made:
        fee = 31
        sold = o.net + o.shipping
        rows.append(
            {
                "Sale Date": f"01/{o.day:02d}/26",
                "Order ID": o.id,
                "Buyer User ID": f"buyer{o.id % 5}",
                "Currency": "USD",
                "Order Value": money(o.goods),
                "Discount Amount": money(o.off),
                "Shipping": money(o.shipping),
                "Order Total": money(sold + o.tax),
                "Card Processing Fees": money(fee),
                "Order Net": money(sold - fee),
                "Adjusted Card Processing Fees": money(fee if o.back else 0),
                "Adjusted Net Order Amount": money(sold - o.back - fee if o.back else 0),
            }
        )
        for place, (product, pieces, price) in enumerate(o.lines):
            items.append(
                {
                    "Sale Date": f"01/{o.day:02d}/26",
                    "Item Name": product,
                    "Quantity": pieces,
                    "Price": money(price),
                    "Item Total": money(pieces * price),
                    "Currency": "USD",
                    "Transaction ID": f"{o.id}{place}",
                    "Listing ID": product,
                    "Order ID": o.id,
                    "Discount Amount": money(o.off) if not place else "0",
                    "Order Shipping": money(o.shipping) if not place else "0",
                }
            )
    write(path.with_suffix(".csv"), ETSY, rows)
    write(path.with_name(f"items-{path.name}.csv"), ETSY_ITEMS, items)


SQUARE = (
    "Date,Time,Time Zone,Category,Item,Qty,Price Point Name,SKU,Modifiers Applied,Gross Sales,Discounts,Net Sales,Tax,"
    "Transaction ID,Payment ID,Device Name,Notes,Details,Event Type,Location,Customer ID,Customer Name"
)


def square(path: Path, made: list[Order]) -> None:
    rows: list[Row] = []
    for o in made:
        for place, (product, pieces, price) in enumerate(o.lines):
            off, tax = (o.off, o.tax) if not place else (0, 0)
            rows.append(
                {
                    "Date": f"2026-01-{o.day:02d}",
                    "Time": "11:34:15",
                    "Item": product,
                    "Qty": f"{pieces}.0",
                    "Tax": dollars(tax),
                    "Gross Sales": dollars(pieces * price),
                    "Discounts": dollars(-off),
                    "Event Type": "Payment",
                    "Net Sales": dollars(pieces * price - off),
                    "Transaction ID": f"T{o.id}",
                    "Customer ID": f"c{o.id % 5}",
                }
            )
        if o.back:
            rows.append(
                {
                    "Date": "2026-02-02",
                    "Time": "09:00:00",
                    "Item": o.lines[0][0],
                    "Qty": "-1.0",
                    "Tax": "$0.00",
                    "Gross Sales": dollars(-o.back),
                    "Discounts": "$0.00",
                    "Net Sales": dollars(-o.back),
                    "Event Type": "Refund",
                    "Transaction ID": f"T{o.id}",
                    "Payment ID": f"R{o.id}",
                }
            )
    write(path.with_suffix(".csv"), SQUARE, rows)


def analytics(path: Path, made: list[Order]) -> None:
    rows: list[Row] = []
    for o in made:
        rows.append(
            {"Date": f"2026-01-{o.day:02d} 10:00:00", "Order #": o.id, "Status": "completed", "Net Sales": money(o.net)}
        )
        if o.back:
            rows.append(
                {"Date": "2026-02-02 09:00:00", "Order #": o.id, "Status": "refunded", "Net Sales": money(-o.back)}
            )
    header = 'Date,"Order #","N. Revenue (formatted)",Status,Customer,"Customer type",Product(s),"Items sold",Coupon(s),"Net Sales",Attribution'
    write(path.with_suffix(".csv"), header, rows)


WEBTOFFEE = (
    "order_id,order_number,order_date,paid_date,status,shipping_total,shipping_tax_total,fee_total,fee_tax_total,tax_total,"
    "cart_discount,order_discount,discount_total,order_total,order_currency,payment_method,customer_id,customer_email,"
    "billing_first_name,billing_last_name,billing_email,billing_phone,coupon_items,refund_items"
)


def spread(o: Order) -> list[int]:
    """The order's discount over its lines, so that they sum to it."""
    shares, left = [], o.off
    for place, (_, pieces, price) in enumerate(o.lines):
        part = left if place == len(o.lines) - 1 else min(left, o.off * pieces * price // max(o.goods, 1))
        shares.append(part)
        left -= part
    return shares


def webtoffee(path: Path, made: list[Order]) -> None:
    rows: list[Row] = []
    for o in made:
        row: Row = {
            "order_id": o.id,
            "order_date": f"2026-01-{o.day:02d} 07:32:06",
            "status": "completed",
            "shipping_total": money(o.shipping),
            "tax_total": money(o.tax),
            "discount_total": money(o.off),
            "order_discount": "0",
            "order_currency": "EUR",
            "order_total": money(o.net + o.shipping + o.tax),
            "customer_id": 0,
            "customer_email": o.email,
        }
        for place, ((product, pieces, price), off) in enumerate(zip(o.lines, spread(o), strict=True), start=1):
            row[f"line_item_{place}"] = (
                f"name:Cup: {product}|product_id:{product[1:]}1|sku:{product}|quantity:{pieces}|total:{money(pieces * price - off)}|tax:0"
            )
        if o.back:
            row["refund_items"] = (
                f"amount:{money(o.back - 1)}|reason:|date:2026-02-02 12:00:00;amount:0.01|reason:x|date:2026-02-03 12:00:00"
            )
        rows.append(row)
    write(path.with_suffix(".csv"), f"{WEBTOFFEE},line_item_1,line_item_2,line_item_3,line_item_4", rows)


def advanced(path: Path, made: list[Order]) -> None:
    header = (
        "Order Number,Order Status,Order Date,First Name (Billing),Last Name (Billing),Email (Billing),Phone (Billing),"
        "Cart Discount Amount,Order Subtotal Amount,Order Shipping Amount,Order Refund Amount,Order Total Amount,"
        "Order Total Tax Amount,Item #,SKU,Name,Quantity,Item Cost"
    )
    rows: list[Row] = []
    for o in made:
        whole: Row = {
            "Order Number": o.id,
            "Order Status": "Completed",
            "Order Date": f"2026-01-{o.day:02d} 10:00",
            "Email (Billing)": o.email,
            "Cart Discount Amount": money(o.off),
            "Order Subtotal Amount": money(o.goods),
            "Order Shipping Amount": money(o.shipping),
            "Order Total Amount": money(o.net + o.shipping + o.tax),
            "Order Total Tax Amount": money(o.tax),
            "Order Refund Amount": money(o.back),
        }
        rows += [
            whole | {"SKU": product, "Name": product, "Quantity": pieces, "Item Cost": money(price)}
            for product, pieces, price in o.lines
        ]
    write(path.with_suffix(".csv"), header, rows)


def magento(path: Path, made: list[Order]) -> None:
    header = (
        'ID,"Purchase Point","Purchase Date","Bill-to Name","Ship-to Name","Grand Total (Base)","Grand Total (Purchased)",Status,'
        '"Customer Email","Customer Group",Subtotal,"Shipping and Handling","Customer Name","Payment Method","Total Refunded"'
    )
    rows: list[Row] = [
        {
            "ID": f"{o.id:09d}",
            "Purchase Date": f"2026-01-{o.day:02d} 10:00:00",
            "Status": "complete",
            "Customer Email": o.email,
            "Grand Total (Base)": money(o.net + o.shipping, "${}"),
            "Subtotal": money(o.net, "${}"),
            "Shipping and Handling": money(o.shipping, "${}"),
            "Total Refunded": money(o.back, "${}"),
        }
        for o in made
    ]
    write(path.with_suffix(".csv"), header, rows)


def prestashop(path: Path, made: list[Order]) -> None:
    rows, lines, slips = [], [], []
    for o in made:
        rows.append(
            {
                "id_order": o.id,
                "reference": "ABCDEFGHI",
                "id_customer": o.id % 5 + 1,
                "current_state": 5,
                "valid": 1,
                "conversion_rate": "2.000000",
                "total_discounts": money(2 * o.off),
                "total_paid_tax_incl": money(2 * (o.net + o.shipping)),
                "total_paid_tax_excl": money(2 * (o.net + o.shipping)),
                "total_products_wt": money(2 * o.goods),
                "total_shipping": money(2 * o.shipping),
                "date_add": f"2026-01-{o.day:02d} 10:00:00",
            }
        )
        lines += [
            {
                "id_order_detail": f"{o.id}{place}",
                "id_order": o.id,
                "product_id": product,
                "product_name": product,
                "product_quantity": pieces,
                "unit_price_tax_incl": money(price),
                "total_price_tax_incl": money(pieces * price),
            }
            for place, (product, pieces, price) in enumerate(o.lines)
        ]
        slips += (
            [{"id_order_slip": o.id, "id_order": o.id, "amount": money(o.back), "date_add": "2026-02-02 10:00:00"}]
            if o.back
            else []
        )
    for name, table in (("ps_orders", rows), ("ps_order_detail", lines), ("ps_order_slip", slips)):
        write(
            path.with_name(f"{name}-{path.name}.csv"),
            ",".join(table[0]) if table else "id_order_slip,id_order,amount,date_add",
            table,
        )


def amazon(path: Path, made: list[Order]) -> None:
    header = [
        "amazon-order-id",
        "merchant-order-id",
        "purchase-date",
        "last-updated-date",
        "order-status",
        "fulfillment-channel",
        "sales-channel",
        "url",
        "product-name",
        "sku",
        "asin",
        "item-status",
        "quantity",
        "currency",
        "item-price",
        "item-tax",
        "shipping-price",
        "shipping-tax",
        "gift-wrap-price",
        "gift-wrap-tax",
        "item-promotion-discount",
        "ship-promotion-discount",
        "ship-city",
        "promotion-ids",
    ]
    with path.with_suffix(".txt").open("w", encoding="cp1252") as file:
        file.write("\t".join(header) + "\n")
        for o in made:
            for place, ((product, pieces, price), off) in enumerate(zip(o.lines, spread(o), strict=True)):
                row = {
                    "amazon-order-id": f"114-{o.id}",
                    "purchase-date": f"2026-01-{o.day:02d}T08:04:21+00:00",
                    "order-status": "Shipped",
                    "product-name": '"Best" 12" café pan',
                    "sku": product,
                    "quantity": pieces,
                    "currency": "EUR",
                    "item-price": money(pieces * price),
                    "shipping-price": money(o.shipping) if not place else "",
                    "item-promotion-discount": money(off),
                    "item-tax": "0.10",
                }
                # Trailing tabs are trimmed.
                file.write("\t".join(str(row.get(name, "")) for name in header).rstrip("\t") + "\n")


EBAY = (
    '"Sales Record Number","Order Number","Buyer Username","Buyer Name","Buyer Email","Item Number","Item Title","Custom Label",'
    '"Quantity","Sold For","Shipping And Handling","Seller Collected Tax","eBay Collected Tax","Total Price",'
    '"eBay Collected Tax Included in Total","Sale Date","Transaction ID"'
)


def ebay(path: Path, made: list[Order]) -> None:
    rows: list[Row] = []
    for o in made:
        whole: Row = {
            "Sales Record Number": o.id,
            "Order Number": f"05-{o.id}",
            "Buyer Username": f"buyer{o.id % 5}",
            "Sale Date": f"Jan-{o.day:02d}-26",
            "Shipping And Handling": dollars(o.shipping),
            "Seller Collected Tax": "$0.00",
            "eBay Collected Tax": dollars(o.tax),
            "Total Price": dollars(o.goods + o.shipping + o.tax),
            "eBay Collected Tax Included in Total": "Yes",
        }
        items: list[Row] = [
            {
                "Sales Record Number": o.id,
                "Order Number": f"05-{o.id}",
                "Item Number": f"1{product[1:]}",
                "Item Title": product,
                "Custom Label": product,
                "Quantity": pieces,
                "Sold For": dollars(price),
            }
            for product, pieces, price in o.lines
        ]
        rows += [whole, *items] if len(items) > 1 else [whole | items[0]]
    write(
        path.with_suffix(".csv"), EBAY, rows, before="\n", after=f"\n{len(rows)},record(s) downloaded\nSeller ID : x\n"
    )


def stripe(path: Path, made: list[Order]) -> None:
    header = (
        "id,Description,Created date (UTC),Amount,Amount Refunded,Currency,Captured,Converted Amount,Converted Amount Refunded,Fee,Status,"
        "Customer ID,Customer Email,Invoice ID,order_id (metadata)"
    )
    rows: list[Row] = [
        {
            "id": f"ch_{o.id}",
            "Created date (UTC)": f"2026-01-{o.day:02d} 08:00",
            "Amount": money(o.net),
            "Amount Refunded": money(o.back),
            "Currency": "eur",
            "Fee": "0.30",
            "Customer Email": o.email,
            "Captured": "true",
            "Status": "Refunded" if o.back == o.net else "Paid",
        }
        for o in made
    ]
    write(path.with_suffix(".csv"), header, rows)


def paypal(path: Path, made: list[Order]) -> None:
    header = (
        '"Date","Time","TimeZone","Name","Type","Status","Currency","Gross","Fee","Net","From Email Address","To Email Address",'
        '"Transaction ID","Reference Txn ID","Invoice Number","Balance","Balance Impact"'
    )
    rows: list[Row] = []

    def row(kind: str, name: str, gross: int, day: str, **more: object) -> None:
        said = f"{gross / 100:,.2f}".translate(str.maketrans(",.", ".,"))
        rows.append(
            {
                "Date": day,
                "Time": "10:00:00",
                "TimeZone": "CET",
                "Type": kind,
                "Status": "Completed",
                "Currency": "EUR",
                "Gross": said,
                "Fee": "0,00",
                "Net": said,
                "Transaction ID": name,
                "Balance Impact": "Credit" if gross > 0 else "Debit",
                **more,
            }
        )

    for o in made:
        row("Express Checkout Payment", f"P{o.id}", o.net, f"{o.day:02d}.01.2026", **{"From Email Address": o.email})
        if o.back:
            row(
                "Payment Refund",
                f"R{o.id}",
                -o.back,
                "28.02.2026",
                **{"Reference Txn ID": f"P{o.id}", "To Email Address": o.email},
            )
    row("General Withdrawal", "W1", -5000, "28.02.2026")
    row("Hold on Available Balance", "H1", 5000, "28.02.2026", **{"Balance Impact": "Memo"})
    with path.with_suffix(".csv").open("w", encoding="utf-8-sig", newline="") as file:
        out = csv.DictWriter(file, next(csv.reader([header])), restval="", quoting=csv.QUOTE_ALL)
        out.writeheader()
        out.writerows(rows)


@dataclass(frozen=True)
class Made:
    """How a platform's export is written, and what its orders, refunds and lines come to."""

    write: Callable[[Path, list[Order]], None]
    total: Callable[[Order], int]
    back: Callable[[Order], int] = lambda o: o.back
    lines: Callable[[Order], int] | None = lambda o: o.net
    holds: bool = True


PLATFORMS = {
    "Shopify": Made(shopify, lambda o: o.net + o.shipping + o.tax),
    "Etsy": Made(etsy, lambda o: o.net + o.shipping),
    "Square": Made(square, lambda o: o.net + o.tax),
    "analytics": Made(analytics, lambda o: o.net, lines=None),
    "WebToffee": Made(webtoffee, lambda o: o.net + o.shipping + o.tax),
    "Advanced": Made(advanced, lambda o: o.net + o.shipping + o.tax, lines=None),
    "Magento": Made(magento, lambda o: o.net + o.shipping, lines=None),
    "PrestaShop": Made(prestashop, lambda o: o.net + o.shipping, lines=lambda o: o.goods),
    "Amazon": Made(amazon, lambda o: o.net + o.shipping, back=lambda o: 0),
    "eBay": Made(ebay, lambda o: o.goods + o.shipping, back=lambda o: 0, lines=lambda o: o.goods),
    "Stripe": Made(stripe, lambda o: o.net, lines=None),
    "PayPal": Made(paypal, lambda o: o.net - o.back, back=lambda o: 0, lines=None),
}


@pytest.mark.parametrize("name", PLATFORMS)
def test_two_exports_that_overlap_come_to_what_was_sold(tmp_path: Path, name: str) -> None:
    platform, folder = PLATFORMS[name], tmp_path / "shop"
    folder.mkdir()
    everything = orders(7, range(101, 141))
    platform.write(folder / "2026-01", everything[:25])
    platform.write(folder / "2026-02", everything[15:])
    found, gathered = tables(folder, toml='dates = "month-first"')
    sold = found["orders"]
    expected = {"total": sum(map(platform.total, everything)), "back": sum(map(platform.back, everything))}
    assert cents(sold["total"]) == expected["total"]
    assert (cents(sold["refunded"]) if "refunded" in sold else 0) == expected["back"]
    if name != "PayPal":  # whose refunds are rows
        assert len(sold) == 40 and sold["order_id"].is_unique
    if platform.lines is not None:
        assert cents(found["order_lines"]["line_total"]) == sum(map(platform.lines, everything))
        assert set(found["order_lines"]["order_id"]) == set(sold["order_id"])
    ways = [way for way in gathered.told.ways if not way.way]
    assert ways == [] if platform.holds else ways
    assert {way.platform for way in gathered.told.ways} <= {export.platform for export in EXPORTS}
    assert not gathered.told.unknown
    if "customer_id" in sold and name not in ("Etsy", "Square", "eBay"):
        assert sold["customer_id"].nunique() == 5


def test_ebays_report_in_german_is_the_english_one(tmp_path: Path) -> None:
    """With its names, its days and its money."""
    everything = orders(7, range(101, 121))
    german = next(export.called for export in EXPORTS if export.platform == "eBay" and export.called)
    for name in ("english", "german"):
        (tmp_path / name).mkdir()
        ebay(tmp_path / name / "report", [replace(order, tax=0) for order in everything])
    file = tmp_path / "german" / "report.csv"
    first, header, *rows = file.read_text().split("\n")
    header = ";".join(german.get(name, name) for name in header.strip().split(","))
    plain = [re.sub(r"[$]([0-9]+)[.]([0-9]+)", r"\1,\2 €", re.sub(r"Jan-(\d\d)-26", r"\1-Jan-26", row.replace(",", ";")))
             for row in rows]  # fmt: skip
    file.write_bytes("\n".join([first, header, *plain]).encode("cp1252"))
    shops = [crm.connect(tmp_path / name, as_of="2026-02-01") for name in ("english", "german")]
    (known,) = shops[1].exports.recognised
    assert (known.platform, known.what) == ("eBay", "orders report in German")
    assert {"Angebotstitel", "Gesamtbetrag"} <= set(known.used) and "Transaction ID" in known.left
    for table, column in (("orders", "total"), ("order_lines", "line_total")):
        sums = [shop.fetch(table) for shop in shops]
        assert round(sums[0][column].sum(), 2) == round(sums[1][column].sum(), 2) > 0 and len(sums[0]) == len(sums[1])
    assert shops[0].fetch("orders")["ordered_at"].tolist() == shops[1].fetch("orders")["ordered_at"].tolist()


WOO_PRODUCTS = {
    "English": "ID,Type,SKU,Name,Published,Is featured?,Sale price,Regular price,Categories,Cost of goods",
    "German": "ID,Typ,Artikelnummer,Name,Veröffentlicht,Ist hervorgehoben?,Angebotspreis,Regulärer Preis,Kategorien,Cost of goods",
    "French": "ID,Type,UGS,Nom,Publié,Mis en avant ?,Tarif promo,Tarif régulier,Catégories,Cost of goods",
}


@pytest.mark.parametrize("language", WOO_PRODUCTS)
def test_woocommerces_products_are_read_in_three_languages(tmp_path: Path, language: str) -> None:
    prices = ["20.00", "1299.50"] if language == "English" else ['"20,00"', '"1299,50"']
    rows = [f'7,simple,S7,Cup,1,0,,{prices[0]},"Kitchen > Cups, Sale",4', f"8,simple,S8,Pot,1,0,,{prices[1]},,"]
    (tmp_path / "wc-product-export.csv").write_text("\n".join([WOO_PRODUCTS[language], *rows, ""]))
    shop = crm.connect(tmp_path)
    goods = shop.fetch("products").set_index("product_id").sort_index()
    assert goods["name"].tolist() == ["Cup", "Pot"] and goods["list_price"].tolist() == [20.0, 1299.5]
    assert goods["sku"].tolist() == ["S7", "S8"] and goods.loc["7", "category"] == "Kitchen > Cups"
    assert goods.loc["7", "unit_cost"] == 4 and {one.platform for one in shop.exports.recognised} == {"WooCommerce"}


def test_a_header_is_known_in_any_order_case_and_with_more_columns() -> None:
    for export in EXPORTS:
        needs = [export.called.get(name, name) for name in reversed(export.needs)]
        names = [f" {name.upper()} " for name in needs]
        assert recognise([*names, "a column of the future"]) is export, export
    assert recognise(["order_id", "ordered_at", "total"]) is None
    assert recognise(SHOPIFY.split(",")) is not None


def test_a_refund_has_the_day_that_payments_tell(tmp_path: Path) -> None:
    everything = orders(3, range(1, 21))
    shopify(tmp_path / "orders", everything)
    header = "Transaction Date,Type,Order,Card Brand,Payout Status,Amount,Fee,Net,Presentment Amount,Currency"
    rows: list[Row] = [
        {
            "Transaction Date": "2026-02-07 10:00:00 +0100",
            "Type": "refund",
            "Order": f"#{o.id}",
            "Amount": money(-o.back),
        }
        for o in everything
        if o.back
    ]
    rows += [
        {"Transaction Date": "2026-01-07 10:00:00 +0100", "Type": "charge", "Order": f"#{o.id}", "Amount": money(o.net)}
        for o in everything
    ]
    write(tmp_path / "payment_transactions_export_1.csv", header, rows[1:])
    sold = tables(tmp_path)[0]["orders"]
    back = sold[sold["refunded"].astype(float) > 0]
    # The one refund that the payments do not have stays without a day.
    assert back["refunded_at"].notna().sum() == len(back) - 1
    assert sold[sold["refunded"].astype(float) == 0]["refunded_at"].isna().all()


def test_orders_of_one_name_without_an_id_are_refused_over_files(tmp_path: Path) -> None:
    header = "Name,Email,Created at,Total,Lineitem quantity,Lineitem name,Lineitem price"
    for number, day in enumerate(("2026-01-05", "2026-01-06")):
        row: Row = {
            "Name": "#1",
            "Created at": day,
            "Total": "10",
            "Lineitem quantity": 1,
            "Lineitem name": "Cup",
            "Lineitem price": 10,
        }
        write(tmp_path / f"orders_export_{number}.csv", header, [row])
    with pytest.raises(DataError, match="different orders of one name"):
        tables(tmp_path)


def test_payments_are_no_second_orders_beside_a_shop_system(tmp_path: Path) -> None:
    everything = orders(5, range(1, 11))
    shopify(tmp_path / "orders", everything)
    stripe(tmp_path / "stripe", everything)
    found, _ = tables(tmp_path)
    assert len(found["orders"]) == 10
    assert cents(found["orders"]["total"]) == sum(o.net + o.shipping + o.tax for o in everything)


REVIEWS = {
    "judgeme.csv": "title,body,rating,review_date,source,curated,reviewer_name,reviewer_email,product_id,product_handle,reply",
    "loox.csv": "id,status,rating,email,nickname,full_name,review,date,productId,handle,img,variant,verified_purchase",
    "old.csv": "product_handle,state,rating,title,author,email,location,body,reply,created_at,replied_at",
    "yotpo.csv": "Review Title,Review Content,Review Score,Date,Product ID,Product Title,Product URL,Display Name,Email,Verified Purchase",
    "okendo.csv": "Review ID,Product ID,Product Name,Rating,Title,Body,Reviewer Name,Is Verified Buyer,Date Created,Status",
    "trust.csv": "Review ID,Review Created (UTC),Review Username,Review Title,Review Content,Review Stars,Source Of Review",
}


def test_reviews_of_six_tools_are_one_table_and_know_who_wrote_them(tmp_path: Path) -> None:
    shopify(tmp_path / "orders", orders(5, range(1, 11)))
    for name, header in REVIEWS.items():
        rows: list[Row] = []
        for i in range(3):
            filled: Row = {
                column: value for column in header.split(",") for words, value in (
                    (("title", "review title"), f"Nice {i}"), (("body", "review", "review content"), f"Lovely cup {i}, {name}"),
                    (("rating", "review score", "review stars"), 5 - i), (("email", "reviewer_email"), " Buyer1@Example.org"),
                    (("review_date", "date", "created_at", "date created", "review created (utc)"), f"2026-01-0{i + 1} 10:00:00"),
                    (("id", "review id"), f"{name}{i}"), (("product id",), "gid://shopify/Product/555"),
                ) if column.lower() in words
            }  # fmt: skip
            rows.append(filled)
        write(tmp_path / name, header, rows)
    found, gathered = tables(tmp_path)
    texts = found["feedback"]
    assert len(texts) == 18 and texts["feedback_id"].is_unique and texts["text"].str.contains("Lovely cup").all()
    assert texts["customer_id"].notna().sum() == 12  # two tools say no address
    assert set(texts["customer_id"].dropna()) <= set(found["orders"]["customer_id"])
    assert sorted(texts["rating"].astype(int).unique()) == [3, 4, 5]
    assert {one.platform for one in gathered.told.recognised} >= {"Judge.me", "Loox", "Yotpo", "Okendo", "Trustpilot"}


def test_etsys_reviews_are_texts_of_their_orders(tmp_path: Path) -> None:
    etsy(tmp_path / "orders", orders(5, range(1, 4)))
    said = {"reviewer": "Ann", "date_reviewed": "07/13/2026", "star_rating": 5, "message": "Lovely, thanks"}
    told = [said | {"order_id": 1}, said | {"order_id": 1}, said | {"order_id": 2, "star_rating": 1},
            said | {"order_id": 3, "message": ""}]  # fmt: skip
    (tmp_path / "reviews.json").write_text(json.dumps(told))
    shop = crm.connect(tmp_path, as_of="2026-08-01")
    assert {one.platform for one in shop.exports.recognised if "feedback" in one.tables} == {"Etsy"}
    texts = shop.fetch("feedback").sort_values("order_id")
    assert texts["order_id"].tolist() == ["1", "2"] and texts["rating"].tolist() == [5, 1]
    assert set(texts["order_id"]) <= set(shop.fetch("orders")["order_id"])
    assert texts["created_at"].dt.strftime("%Y-%m-%d").tolist() == ["2026-07-13"] * 2
    # An entry without a word, and what repeats another, are counted.
    assert shop.audits["feedback"].read == 4 and sum(shop.audits["feedback"].set_aside.values()) == 2


def test_an_offered_rating_is_no_answer(tmp_path: Path) -> None:
    header = "Summation column,Id,Requester,Requester Email,Subject,Tags,Status,Created at,Solved at,Satisfaction Score,Reopens,First reply time in minutes"
    rows: list[Row] = [
        {
            "Id": i,
            "Subject": "Late",
            "Created at": "2026-01-05 10:00:00",
            "Satisfaction Score": score,
            "Reopens": i,
            "First reply time in minutes": 90,
        }
        for i, score in enumerate(("Good", "Bad", "Offered", "Not Offered"))
    ]
    write(tmp_path / "tickets-2026.csv", header, rows)
    tickets = tables(tmp_path)[0]["tickets"]
    assert tickets["satisfaction"].fillna(-1).astype(int).tolist() == [1, 0, -1, -1]
    assert tickets["first_reply_at"].astype(str).str[:16].tolist() == ["2026-01-05 11:30"] * 4
    assert tickets["reopened"].tolist() == ["no", "yes", "yes", "yes"]


def test_our_own_files_win_over_what_is_recognised(tmp_path: Path) -> None:
    shopify(tmp_path / "export", orders(5, range(1, 11)))
    (tmp_path / "orders.csv").write_text("order_id,ordered_at,total\n1,2026-01-05,10\n")
    found, gathered = tables(tmp_path)
    assert found["orders"].columns.tolist() == ["order_id", "ordered_at", "total"]
    assert len(found["order_lines"]) > 10
    (shop,) = [one for one in gathered.told.recognised if one.platform == "Shopify"]
    assert "orders" not in shop.tables and "order_lines" in shop.tables


def test_shop_toml_wins_over_the_platforms_own_columns(tmp_path: Path) -> None:
    shopify(tmp_path / "export", orders(5, range(1, 11)))
    found, _ = tables(tmp_path, toml='[columns.orders]\norder_id = "Name"\ntotal = "Subtotal"\n')
    assert found["orders"]["order_id"].str.startswith("#").all()
    assert cents(found["orders"]["total"]) == sum(o.net for o in orders(5, range(1, 11)))
    assert set(found["order_lines"]["order_id"]) == set(found["orders"]["order_id"])


SHOPIFY_CUSTOMERS = "First Name,Last Name,Email,Accepts Email Marketing,Zip,Accepts SMS Marketing"
# Header, rows before and after, and what the later file says of each of two people.
CHANGED = {
    "Shopify": ("Customer ID," + SHOPIFY_CUSTOMERS, "{i},Ann,A,{mail},{said},,no", "email_consent"),
    "Shopify of old": (SHOPIFY_CUSTOMERS, "Ann,A,{mail},{said},,no", "email_consent"),
    "Magento grid": ("ID,Name,Email,Group,Phone,Customer Since", "{i},Ann,{mail},{said},,2026-01-01", "customer_group"),
    "Magento main file": ("email,_website,created_at,firstname,lastname,group_id",
                          "{mail},base,2026-01-01,Ann,A,{said}", "customer_group"),
    "PrestaShop": ("id_customer,email,firstname,lastname,newsletter,newsletter_date_add,date_add",
                   "{i},{mail},Ann,A,{said},,2026-01-01", "email_consent"),
    "WooCommerce": ("woocommerce customer,email,first_name,last_name,email_consent", "{i},{mail},Ann,A,{said}",
                    "email_consent"),
    "WebToffee": ("order_id,order_date,order_total,customer_email,billing_first_name,item_product_id,item_quantity,"
                  "item_total", "{order},2026-01-01,9,{mail},{said},7,1,9", "first_name"),
    "Square": ("Date,Time,Item,Qty,Gross Sales,Net Sales,Event Type,Transaction ID,Customer ID,Customer Name",
               "2026-01-01,10:00:00,Cup,1,9,9,Payment,T{order},C{i},{said}", "name"),
}  # fmt: skip


@pytest.mark.parametrize("platform", CHANGED)
def test_of_several_exports_the_later_one_says_what_holds_of_a_person(tmp_path: Path, platform: str) -> None:
    header, row, column = CHANGED[platform]
    for file, said in enumerate([("yes", "yes", "no"), ("no", "yes", "yes"), ("yes", "no", "no")]):
        rows = [
            row.format(i=i, mail=f"{i}@example.org", said=word, order=10 * file + i)
            for i, word in enumerate(said, start=1)
        ]
        (tmp_path / f"export_{file + 1}.csv").write_text("\n".join([header, *rows, ""]))
    people = tables(tmp_path)[0]["customers"]
    assert len(people) == 3 and list(people.sort_values("customer_id")[column]) == ["yes", "no", "no"]


def test_a_file_of_the_older_generation_is_outdone_by_a_later_one(tmp_path: Path) -> None:
    (tmp_path / "customers_1.csv").write_text(f"{SHOPIFY_CUSTOMERS}\nAnn,A,Ann@example.org,yes,10115,no\n")
    later = f"Customer ID,{SHOPIFY_CUSTOMERS}\n'7,Ann,A,ann@example.org,no,,yes\n"
    (tmp_path / "customers_2.csv").write_text(later)
    (ann,) = tables(tmp_path)[0]["customers"].to_dict("records")
    assert (ann["email_consent"], ann["sms_consent"], str(ann["postcode"])) == ("no", "yes", "10115")


PRESTA_CUSTOMERS = "id_customer,email,firstname,lastname,newsletter,newsletter_date_add,date_add"


@pytest.mark.parametrize(
    ("accounts", "said", "day"),
    [
        (["1,ann@example.org,Ann,A,1,2026-01-05,2025-01-01"], "1", "2026-01-05"),
        # A no wins wherever it stands, with its own day: where it has none, none of another account is put beside it.
        (["1,ann@example.org,Ann,A,1,2026-01-05,2025-01-01", "2,Ann@example.org,Ann,A,0,2025-12-01,2025-01-01"],
         "0", "2025-12-01"),
        (["1,ann@example.org,Ann,A,0,,2025-01-01", "2,ann@example.org,Ann,A,1,2026-01-05,2025-01-01"], "0", ""),
        # What says nothing, and what is no word of consent, is no no.
        (["1,ann@example.org,Ann,A,,2026-01-09,2025-01-01", "2,ann@example.org,Ann,A,1,2026-01-05,2025-01-01"],
         "1", "2026-01-05"),
        (["1,ann@example.org,Ann,A,not set,2026-01-09,2025-01-01", "2,ann@example.org,Ann,A,1,2026-01-05,2025-01-01"],
         "1", "2026-01-05"),
    ],
)  # fmt: skip
def test_a_no_of_one_account_is_the_persons(tmp_path: Path, accounts: list[str], said: str, day: str) -> None:
    for turned in (False, True):
        rows, folder = accounts[::-1] if turned else accounts, tmp_path / str(turned)
        folder.mkdir()
        (folder / "ps_customer.csv").write_text("\n".join([PRESTA_CUSTOMERS, *rows, ""]))
        (ann,) = tables(folder)[0]["customers"].astype(object).fillna("").to_dict("records")
        assert (str(ann["email_consent"]).removesuffix(".0"), str(ann["consent_at"])) == (said, day)


@pytest.mark.parametrize(("sms", "day"), [("yes", ""), ("no", "2026-01-05")])
def test_a_day_of_one_channel_is_none_of_another(tmp_path: Path, sms: str, day: str) -> None:
    (tmp_path / "shopify.csv").write_text(f"Customer ID,{SHOPIFY_CUSTOMERS}\n7,Ann,A,ann@example.org,,,{sms}\n")
    (tmp_path / "ps_customer.csv").write_text(f"{PRESTA_CUSTOMERS}\n1,ann@example.org,Ann,A,1,2026-01-05,2025-01-01\n")
    (ann,) = tables(tmp_path)[0]["customers"].astype(object).fillna("").to_dict("records")
    assert (str(ann["email_consent"]), ann["sms_consent"], str(ann["consent_at"])) == ("1", sms, day)


def test_what_one_shop_system_is_told_holds_for_the_other(tmp_path: Path) -> None:
    (tmp_path / "shopify.csv").write_text(f"Customer ID,{SHOPIFY_CUSTOMERS}\n7,Ann,A,ann@example.org,no,,\n")
    (tmp_path / "a_presta.csv").write_text(f"{PRESTA_CUSTOMERS}\n1,ann@example.org,Ann,A,1,2026-01-05,2025-01-01\n")
    (ann,) = tables(tmp_path)[0]["customers"].to_dict("records")
    assert ann["email_consent"] == "no" and pd.isna(ann["consent_at"])


SHOPIFY_ORDERS = (
    "Name,Email,Financial Status,Accepts Marketing,Currency,Total,Created at,"
    "Lineitem quantity,Lineitem name,Lineitem price"
)


@pytest.mark.parametrize(
    ("ticked", "disputed", "said"),
    [(("yes", "yes"), 0, []), (("no", "yes"), 1, ["1 person"]), (("no", "no"), 2, ["2 people"])],
)
def test_consents_that_two_exports_contradict_are_a_no_and_are_counted(
    tmp_path: Path, ticked: tuple[str, str], disputed: int, said: list[str]
) -> None:
    people = ["Ann,A,a@x.org,yes,,no", "Bea,B,b@x.org,yes,,no", "Cid,C,,yes,,no"]
    (tmp_path / "customers_export.csv").write_text("\n".join([SHOPIFY_CUSTOMERS, *people, ""]))
    rows = [f"#{n},{who}@x.org,paid,{word},EUR,9,2026-01-05 10:00:00 +0100,1,Cup,9"
            for n, (who, word) in enumerate(zip("ab", ticked, strict=True))]  # fmt: skip
    rows.append("#9,,paid,,EUR,9,2026-01-05 10:00:00 +0100,1,Cup,9")
    (tmp_path / "orders_export.csv").write_text("\n".join([SHOPIFY_ORDERS, *rows, ""]))
    shop = crm.connect(tmp_path, as_of="2026-02-01")
    assert sum(yes is False for yes, _ in consents(shop).values()) == disputed == shop.people.disputed
    health = crm.data_health.measure(shop)
    actions = [action for part in crm.data_health.page(health, shop=shop).parts for action in part.actions]
    assert [action.what for action in actions if "agreed" in action.what] == [
        f"Look up whether {many} agreed to e-mail: your exports disagree" for many in said
    ]
    # An account that nothing names is nothing to be fixed.
    assert shop.people.nameless == 1 and not [action for action in actions if action.what.startswith("Fix")]
    faults = crm.data_health.part_faults(health, nameless=1)
    assert faults.sentence == (
        "1 account has no e-mail address and no phone, which needs no fixing. "
        "Its orders look like guests'; 1 order does in all."
    )


MAILCHIMP = "Email Address,First Name,Last Name,MEMBER_RATING,OPTIN_TIME,OPTIN_IP,CONFIRM_TIME,CONFIRM_IP,LAST_CHANGED,LEID,EUID,NOTES,TAGS"


def mailchimp(folder: Path, name: str, *rows: str, more: str = "") -> None:
    folder.mkdir(exist_ok=True)
    header = MAILCHIMP + more
    (folder / f"{name}.csv").write_text("\n".join([header, *rows, ""]))


def member(mail: str, changed: str, *, optin: str = "2025-03-01 10:00:00", more: str = "") -> str:
    return f"{mail},Ann,A,2,{optin},10.0.0.1,{optin},10.0.0.1,{changed},17,e17,,VIP{more}"


def consents(shop: crm.Shop) -> dict[str, tuple[object, str]]:
    people = shop.fetch("customers")
    said = people["email_consent"].astype(object).where(people["email_consent"].notna(), None)
    days = people["consent_at"].dt.strftime("%Y-%m-%d").fillna("")
    return dict(zip(people["email"], zip(said, days, strict=True), strict=True))


def test_mailchimps_three_files_say_who_agreed_and_since_when(tmp_path: Path) -> None:
    """A no wins over what the shop system says, whichever of the three files is read first."""
    shop_says = "\n".join(f"{i},Ann,A,{mail},{said},," for i, (mail, said) in enumerate(
        [("a@x.org", "yes"), ("b@x.org", "yes"), ("c@x.org", "yes"), ("d@x.org", ""), ("e@x.org", "no")]))  # fmt: skip
    mailchimp(tmp_path / "in", "subscribed", *(member(f"{who}@x.org", "2025-03-01 10:00:00") for who in "Ade"),
              member("f@x.org", "2026-01-02 08:00:00"))  # fmt: skip
    mailchimp(tmp_path / "in", "unsubscribed", member("b@x.org", "2025-09-09 09:00:00", more=",2025-09-09 09:00:00,Too many"),
              member("f@x.org", "2025-05-05 09:00:00", more=",2025-05-05 09:00:00,"), more=",UNSUB_TIME,UNSUB_REASON")  # fmt: skip
    mailchimp(tmp_path / "in", "cleaned", member("c@x.org", "2025-10-10 09:00:00", more=",2025-10-10 09:00:00"),
              more=",CLEAN_TIME")  # fmt: skip
    (tmp_path / "in" / "customers_export.csv").write_text(f"Customer ID,{SHOPIFY_CUSTOMERS}\n{shop_says}\n")
    shop = crm.connect(tmp_path / "in", as_of="2026-02-01")
    assert consents(shop) == {
        "a@x.org": (True, "2025-03-01"),  # the shop system agrees, and knows no day
        "b@x.org": (False, "2025-09-09"), "c@x.org": (False, "2025-10-10"), "d@x.org": (True, "2025-03-01"),
        "e@x.org": (False, ""), "f@x.org": (True, "2025-03-01"),  # who came back after having left
    }  # fmt: skip
    # Before the day on which somebody left nothing is known of the time after it.
    assert consents(crm.connect(tmp_path / "in", as_of="2025-09-01"))["b@x.org"] == (None, "")


def test_days_that_do_not_sort_let_no_old_yes_win(tmp_path: Path) -> None:
    mailchimp(tmp_path / "in", "subscribed", member("a@x.org", "9/1/25 10:00"))
    mailchimp(
        tmp_path / "in",
        "unsubscribed",
        member("a@x.org", "12/1/25 10:00", more=",2025-12-01 10:00:00"),
        more=",UNSUB_TIME",
    )
    assert consents(crm.connect(tmp_path / "in", as_of="2026-02-01")) == {"a@x.org": (False, "2025-12-01")}


def left_out(shop: crm.Shop) -> tuple[list[str], dict[str, int]]:
    """The addresses on a list of all customers, and who is not on it."""
    found = outreach.contactable(shop, shop.fetch("customers")[["customer_id"]])
    return sorted(found.frame["email"]), dict(found.left_out)


def test_who_bounced_is_on_no_list_and_counted_so(tmp_path: Path) -> None:
    """Whatever the other exports say, and in the order of their names or not."""
    mailchimp(tmp_path / "in", "subscribed", member("a@x.org", "2025-03-01 10:00:00"))
    gone = ",2025-10-10 09:00:00"
    mailchimp(tmp_path / "in", "cleaned", member("b@x.org", gone[1:], more=gone), more=",CLEAN_TIME")
    mailchimp(tmp_path / "in", "left", member("c@x.org", gone[1:], more=gone), more=",UNSUB_TIME")
    said = [("a", "SUBSCRIBED", ""), ("b", "SUBSCRIBED", ""), ("d", "SUBSCRIBED", '"[""HARD_BOUNCE""]"'),
            ("e", "SUBSCRIBED", '"[""UNSUBSCRIBE""]"'), ("f", "SUBSCRIBED", "[]"), ("g", "NEVER_SUBSCRIBED", ""),
            ("h", "SUBSCRIBED", '"[""USER_SUPPRESSED""]"')]  # fmt: skip
    header = "Email,Klaviyo ID,First Name,Last Name,Email Marketing Consent,Email Marketing Consent Timestamp,Email Suppressions"
    rows = [f"{who}@x.org,k{who},Ann,A,{word},2025-01-02 03:04:05,{why}" for who, word, why in said]
    (tmp_path / "in" / "profiles.csv").write_text("\n".join([header, *rows, ""]))
    (tmp_path / "in" / "brevo.csv").write_text(
        "EMAIL;LASTNAME;FIRSTNAME;SMS;EMAIL_BLACKLISTED;SMS_BLACKLISTED;ADDED_TIME\n"
        "b@x.org;A;Ann;;No;No;12-04-2022 09:30\ni@x.org;A;Ann;;Yes;No;12-04-2022 09:30\n"
    )
    shop = crm.connect(tmp_path / "in", as_of="2026-02-01")
    known = shop.fetch("customers").set_index("email")
    assert left_out(shop) == (["a@x.org", "f@x.org"], {"refused": 2, "unsubscribed": 2, "bounced": 3})
    assert known["email_status"].to_dict() == {
        "a@x.org": "subscribed", "b@x.org": "cleaned", "c@x.org": "unsubscribed", "d@x.org": "bounced",
        "e@x.org": "unsubscribed", "f@x.org": "subscribed", "g@x.org": "never_subscribed", "h@x.org": "suppressed",
        "i@x.org": "blacklisted",
    }  # fmt: skip
    # Of what keeps an address from mail the day is not told, and the day of the yes is none of it.
    assert consents(shop)["d@x.org"] == (False, "") and consents(shop)["f@x.org"] == (True, "2025-01-02")
    # Before somebody left, or bounced, nothing is said of it.
    before = crm.connect(tmp_path / "in", as_of="2025-09-01")
    assert pd.isna(before.fetch("customers").set_index("email").loc["b@x.org", "email_status"])


def test_matrixify_says_whose_address_is_none_and_since_when(tmp_path: Path) -> None:
    header = "ID,Email,First Name,Last Name,Email Marketing: Status,Email Marketing: Updated At,SMS Marketing: Status,SMS Marketing: Updated At"
    rows = ["7,a@x.org,Ann,A,subscribed,2025-03-01 10:00:00 +0100,subscribed,2025-04-01 10:00:00 +0100",
            "8,b@x.org,Bo,B,invalid,2025-03-02 10:00:00 +0100,not_subscribed,",
            "9,c@x.org,Cy,C,unsubscribed,2025-03-03 10:00:00 +0100,,", "10,d@x.org,Di,D,pending,,,",
            "11,e@x.org,Ed,E,subscribed,2025-03-05 10:00:00 +0100,,"]  # fmt: skip
    (tmp_path / "Customers.csv").write_text("\n".join([header, *rows, ""]))
    shop = crm.connect(tmp_path, as_of="2026-02-01")
    assert left_out(shop) == (["a@x.org", "e@x.org"], {"refused": 1, "unsubscribed": 1, "bounced": 1})
    assert consents(shop) == {"a@x.org": (True, "2025-03-01"), "b@x.org": (False, "2025-03-02"), "c@x.org": (False, "2025-03-03"),
                              "d@x.org": (False, ""), "e@x.org": (True, "2025-03-05")}  # fmt: skip
    assert shop.fetch("customers")["customer_id"].tolist() == ["7", "8", "9", "10", "11"]


OWN = [  # e-mail, consent and its day as the shop's own customers.csv has them, and what comes of it
    ("a@x.org", "yes", "", True, ""), (" B@x.org", "yes", "2025-01-01", False, "2025-09-09"),
    ("c@x.org", "yes", "", False, "2025-10-10"), ("d@x.org", "yes", "01.12.2025", True, "2025-12-01"),
    ("e@x.org", "no", "2025-01-05", False, "2025-01-05"), ("c@x.org", "yes", "2025-02-02", False, "2025-10-10"),
    ("", "yes", "", True, ""), ("z@x.org", "yes", "2025-02-02", True, "2025-02-02"),
]  # fmt: skip


def test_a_no_in_an_export_wins_over_the_shops_own_list(tmp_path: Path) -> None:
    """But for what the shop was told on a later day; whoever is in the export alone is no customer."""
    left = ",2025-09-09 09:00:00"
    mailchimp(tmp_path / "in", "subscribed", *(member(f"{who}@x.org", "2025-03-01 10:00:00") for who in "aey"))
    mailchimp(
        tmp_path / "in", "left", *(member(f"{who}@x.org", left[1:], more=left) for who in "bd"), more=",UNSUB_TIME"
    )
    gone = ",2025-10-10 09:00:00"
    mailchimp(tmp_path / "in", "cleaned", member("c@x.org", gone[1:], more=gone), more=",CLEAN_TIME")
    own = "".join(f"{place},{mail},{said},{day}\n" for place, (mail, said, day, *_) in enumerate(OWN))
    (tmp_path / "in" / "customers.csv").write_text(f"customer_id,email,email_consent,consent_at\n{own}")
    shop = crm.connect(tmp_path / "in", as_of="2026-02-01")
    people = shop.fetch("customers")
    assert people["customer_id"].tolist() == [str(place) for place in range(len(OWN))]
    days = people["consent_at"].astype(str).replace("NaT", "").fillna("").str[:10]
    assert list(zip(people["email_consent"], days, strict=True)) == [row[3:] for row in OWN]
    assert left_out(shop)[1] == {"refused": 1, "unsubscribed": 1, "bounced": 2, "no address": 1}
    told = shop.notes().set_index("code").loc[["remark"], "detail"]
    assert list(told) == ["a no in it wins over a yes in the shop's own customers, unless that is newer"]
    # Of an old day what came later is not known: the shop's own word stands.
    assert left_out(crm.connect(tmp_path / "in", as_of="2025-09-01"))[1] == {
        "refused": 1,
        "unknown": 1,
        "no address": 1,
    }


def test_a_no_on_one_channel_leaves_the_other_its_day(tmp_path: Path) -> None:
    header = "EMAIL;LASTNAME;FIRSTNAME;SMS;EMAIL_BLACKLISTED;SMS_BLACKLISTED;ADDED_TIME"
    (tmp_path / "brevo.csv").write_text(f"{header}\na@x.org;A;Ann;;No;Yes;12-04-2022 09:30\n")
    own = "customer_id,email,email_consent,sms_consent,consent_at\n1,a@x.org,yes,yes,2025-01-02\n"
    (tmp_path / "customers.csv").write_text(own)
    shop = crm.connect(tmp_path, as_of="2026-02-01")
    assert consents(shop) == {"a@x.org": (True, "2025-01-02")} and not shop.fetch("customers").loc[0, "sms_consent"]


def test_a_shop_that_has_not_asked_for_consent_heeds_a_mailing_tool(tmp_path: Path) -> None:
    gone = ",2025-10-10 09:00:00"
    mailchimp(tmp_path / "in", "cleaned", member("c@x.org", gone[1:], more=gone), more=",CLEAN_TIME")
    (tmp_path / "in" / "customers.csv").write_text("customer_id,email\n1,a@x.org\n2,c@x.org\n")
    found = outreach.contactable(
        crm.connect(tmp_path / "in", as_of="2026-02-01"), pd.DataFrame({"customer_id": ["1", "2"]})
    )
    assert (found.checked, dict(found.left_out), list(found.frame["customer_id"])) == (False, {"bounced": 1}, ["1"])


def test_brevos_block_lists_are_read_the_other_way_round(tmp_path: Path) -> None:
    rows = ["a@x.org;A;Ann;493023125000;No;No;12-04-2022 09:30", "b@x.org;B;Bo;;Yes;Yes;25-04-2022 09:30",
            "c@x.org;C;Cy;;;No;03-04-2022 09:30"]  # fmt: skip
    header = "EMAIL;LASTNAME;FIRSTNAME;SMS;EMAIL_BLACKLISTED;SMS_BLACKLISTED;ADDED_TIME"
    (tmp_path / "brevo.csv").write_text("\n".join([header, *rows, ""]))
    shop = crm.connect(tmp_path, as_of="2026-02-01")
    assert consents(shop) == {"a@x.org": (True, "2022-04-12"), "b@x.org": (False, ""), "c@x.org": (None, "")}
    people = shop.fetch("customers").set_index("email")
    assert people["sms_consent"].isna().tolist() == [True, False, True] and not people.loc["b@x.org", "sms_consent"]
    assert people.loc["a@x.org", "phone"] == "+493023125000"
