"""Dates, amounts, ids and encodings as people and platforms write them, decided per column from all rows."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crmlib as crm
from crmlib.errors import DataError


def shop_of(folder: Path, text: str | bytes, *, name: str = "orders.csv", toml: str = "") -> crm.Shop:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    (folder / "shop.toml").write_text(toml, encoding="utf-8")
    return crm.connect(folder, as_of="2027-01-01")


def orders_of(folder: Path, column: str, values: list[str], *, toml: str = "") -> pd.DataFrame:
    """Orders 0, 1 … with these values in one column, in that order; others that are needed are sound."""
    day = "" if column == "ordered_at" else ",2025-01-01"
    head = "order_id,ordered_at" if column == "ordered_at" else f"order_id,{column},ordered_at"
    rows = "".join(f'{100 + i},"{value}"{day}\n' for i, value in enumerate(values))
    shop = shop_of(folder, f"{head}\n{rows}", toml=toml)
    frame = shop.fetch("orders").set_index("order_id")
    return frame.reindex([str(100 + i) for i in range(len(values))])


def days(frame: pd.DataFrame) -> list[str]:
    return [f"{at:%Y-%m-%d %H:%M}" if pd.notna(at) else "" for at in frame["ordered_at"]]


# Dates


@pytest.mark.usefixtures("each_engine")
def test_day_and_month_are_told_apart_by_one_row_for_all(tmp_path: Path) -> None:
    american = orders_of(tmp_path, "ordered_at", ["11/8/2018", "2/24/2015 11:35", "1/2/2018 9:05:59", "12/31/22"])
    assert days(american) == ["2018-11-08 00:00", "2015-02-24 11:35", "2018-01-02 09:05", "2022-12-31 00:00"]
    european = orders_of(tmp_path, "ordered_at", ["11/8/2018", "24/2/2015 11:35", "1-2-2018", "31/12/22"])
    assert days(european) == ["2018-08-11 00:00", "2015-02-24 11:35", "2018-02-01 00:00", "2022-12-31 00:00"]


@pytest.mark.usefixtures("each_engine")
def test_dates_of_other_forms(tmp_path: Path) -> None:
    written = {
        "8.11.2018": "2018-11-08 00:00", "08.11.18 9:30": "2018-11-08 09:30", "14-JUL-08": "2008-07-14 00:00",
        "1-Nov-08": "2008-11-01 00:00", "Jun 18, 2026": "2026-06-18 00:00", "18 June 2026 14:00": "2026-06-18 14:00",
        "3. März 2024": "2024-03-03 00:00", "5 déc. 2023": "2023-12-05 00:00",
        "Mon, 05 Jan 2026 10:00:00 +0000": "2026-01-05 10:00",
        "2022-12-31T19:50-06:00": "2023-01-01 01:50", "2022-12-31T19:50Z": "2022-12-31 19:50",
        "2022/12/31 19:50": "2022-12-31 19:50",
        "2026-04-05 14:04:00 PM": "2026-04-05 14:04", "2026-04-05 02:04 pm": "2026-04-05 14:04",
        "2026-04-05 12:00:00 AM": "2026-04-05 00:00", "2024-11-10 09:01:12 -0800": "2024-11-10 17:01",
    }  # fmt: skip
    assert dict(zip(written, days(orders_of(tmp_path, "ordered_at", list(written))), strict=True)) == written


@pytest.mark.usefixtures("each_engine")
@pytest.mark.parametrize(
    "written",
    [
        {"2022-12-31 19:50:00 CET": "2022-12-31 18:50", "2022-07-31 19:50 CEST": "2022-07-31 17:50",
         "12/31/2022 7:50 PM EST": "2023-01-01 00:50", "31.12.2022 19:50 MEZ": "2022-12-31 18:50",
         "Sep 4, 2026 1:05:07 AM PDT": "2026-09-04 08:05", "2022-12-31 19:50 IST": "",
         "2022-12-31T19:50:00.000+01:00[Europe/Berlin]": "2022-12-31 18:50",
         "Sat Dec 31 2022 19:50:00 GMT-0600 (CST)": "2023-01-01 01:50", "2022-12-31 19:50:00 UTC+1": "2022-12-31 18:50",
         "Sat Dec 31 19:50:00 CET 2022": "2022-12-31 18:50", "Sun Jan  1 19:50:00 2023": "2023-01-01 19:50"},
        {"20221231T195000Z": "2022-12-31 19:50", "20221231T1950": "2022-12-31 19:50",
         "20221231T195000+0100": "2022-12-31 18:50", "20221231195000": "2022-12-31 19:50"},
        {"Sep-18-26": "2026-09-18 00:00", "05-oct.-26": "2026-10-05 00:00", "10-Dez-25": "2025-12-10 00:00",
         "September 24, 2026": "2026-09-24 00:00", "31st December 2022": "2022-12-31 00:00",
         "31-DEC-22 07.50.00.000000 PM": "2022-12-31 19:50", "31.12.2022 19.50 Uhr": "2022-12-31 19:50",
         "31 déc. 2022 à 19h50": "2022-12-31 19:50", "31.12.2022 07:50 p. m.": "2022-12-31 19:50",
         "2022年12月31日 19:50": "2022-12-31 19:50", "2022. 12. 31.": "2022-12-31 00:00",
         "2022-12-31 19:50:00,123": "2022-12-31 19:50", "2022-12-31 25:00": ""},
        {"2022-W07-3": "2022-02-16 00:00", "2022W527": "2023-01-01 00:00", "2020-W53-5": "2021-01-01 00:00",
         "2022-W53-1": ""},
    ],
    ids=["zones", "digits", "signs", "weeks"],
)  # fmt: skip
def test_times_as_platforms_and_programs_write_them(tmp_path: Path, written: dict[str, str]) -> None:
    assert dict(zip(written, days(orders_of(tmp_path, "ordered_at", list(written))), strict=True)) == written


def test_cst_is_central_but_in_asia(tmp_path: Path) -> None:
    for zone, day in (("America/Chicago", "2022-12-31 19:50"), ("Asia/Shanghai", "2022-12-31 19:50")):
        found = orders_of(tmp_path, "ordered_at", ["2022-12-31 19:50 CST"], toml=f'timezone = "{zone}"')
        assert days(found) == [day]


def test_a_week_among_dates_is_set_aside(tmp_path: Path) -> None:
    assert days(orders_of(tmp_path, "ordered_at", ["2022-02-16", "2022-W07-3"])) == ["2022-02-16 00:00", ""]


def test_what_a_column_cannot_tell_is_told_by_its_neighbours_or_asked_for(tmp_path: Path) -> None:
    values = ["11/8/2018", "1/2/2018", "3/4/2018"]
    with pytest.raises(DataError, match=r"'1/2/2018', '11/8/2018', '3/4/2018'.*dates = \"month-first\""):
        orders_of(tmp_path, "ordered_at", values)
    assert days(orders_of(tmp_path, "ordered_at", values, toml='dates = "month-first"'))[0] == "2018-11-08 00:00"
    assert days(orders_of(tmp_path, "ordered_at", values, toml='dates = "day-first"'))[0] == "2018-08-11 00:00"
    text = "order_id,ordered_at,cancelled_at\n1,12/24/2018,1/2/2019\n2,1/5/2018,\n"
    shop = shop_of(tmp_path, text)
    assert f"{shop.fetch('orders').set_index('order_id').loc['1', 'cancelled_at']:%d.%m.%Y}" == "02.01.2019"


def test_a_column_of_both_orders_is_asked_about_and_a_slip_is_set_aside(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="some have the day first, some the month"):
        orders_of(tmp_path, "ordered_at", ["24/12/2018", "12/24/2018", "12/25/2018"])
    frame = orders_of(tmp_path, "ordered_at", ["12/24/2018"] * 40 + ["24/12/2018"])
    assert days(frame)[:1] + days(frame)[-1:] == ["2018-12-24 00:00", ""]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["45384.34789", "45385"], ["2024-04-02 08:20", "2024-04-03 00:00"]),
        (["45384,5", "45385,25"], ["2024-04-02 12:00", "2024-04-03 06:00"]),
        (["1712046058", "1712132458"], ["2024-04-02 08:20", "2024-04-03 08:20"]),
        (["1712046058000", "1712132458000"], ["2024-04-02 08:20", "2024-04-03 08:20"]),
        (["20240402", "20240403"], ["2024-04-02 00:00", "2024-04-03 00:00"]),
    ],
)
def test_numbers_are_dates_where_the_whole_column_is(tmp_path: Path, values: list[str], expected: list[str]) -> None:
    assert days(orders_of(tmp_path, "ordered_at", values)) == expected


def test_a_number_among_dates_is_set_aside_by_name(tmp_path: Path) -> None:
    shop = shop_of(tmp_path, "order_id,ordered_at\n1,45384.34789\n2,2024-04-03\n")
    assert shop.audits["orders"].set_aside == {"number_for_date": 1}


def test_days_that_computers_write_for_none_are_none(tmp_path: Path) -> None:
    rows = "".join(f"{i},2025-03-{1 + i % 28:02d}\n" for i in range(40))
    epoch = "e1,1970-01-01 00:00:00\ne2,1970-01-01T00:00:00Z\ne3,1999-11-30\ne4,2000-01-01\ne5,1900-01-01\n"
    shop = shop_of(tmp_path, "order_id,ordered_at\n" + rows + epoch, toml='timezone = "America/New_York"')
    assert shop.audits["orders"].set_aside == {"epoch_date": 4, "impossible_date": 1}
    born = "".join(f"{i},{'1970-01-01' if i % 3 == 0 else f'19{50 + i}-05-0{1 + i % 9}'},\n" for i in range(40))
    text = "customer_id,birth_date,created_at\n" + born + "z,0000-00-00,1970-01-01\n"
    people = shop_of(tmp_path, text, name="customers.csv")
    assert people.audits["customers"].kept == 41
    # Fourteen birthdays of 1970 and an account of 1970; a date of zeros is only empty.
    assert people.audits["customers"].oddities["impossible_value"] == 15
    assert people.audits["customers"].oddities["unreadable_value"] == 0


def test_a_person_born_on_the_first_of_1970_keeps_the_day(tmp_path: Path) -> None:
    text = "customer_id,birth_date\n" + "".join(f"{i},{1970 + i % 30}-01-01\n" for i in range(4))
    assert shop_of(tmp_path, text, name="customers.csv").fetch("customers")["birth_date"].notna().all()


def test_two_digit_years_of_birthdays_and_of_orders(tmp_path: Path) -> None:
    text = "customer_id,birth_date\n1,07/14/55\n2,12/31/09\n"
    born = shop_of(tmp_path, text, name="customers.csv").fetch("customers").set_index("customer_id")["birth_date"]
    assert [f"{day:%Y}" for day in born.loc[["1", "2"]]] == ["1955", "2009"]


DAY_FORMS = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%m/%d/%y", "%d-%b-%y", "%b %d, %Y", "%d %B %Y",
             "%Y-%m-%d %H:%M", "%m/%d/%Y %I:%M %p", "%d.%m.%Y %H:%M:%S")  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(st.lists(st.datetimes(datetime(2002, 1, 1), datetime(2025, 12, 31)), max_size=12), st.sampled_from(DAY_FORMS))
def test_days_written_in_any_form_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, moments: list[datetime], form: str
) -> None:
    # One day past the twelfth tells the order of the column.
    written = [f"{moment:{form}}" for moment in (datetime(2020, 4, 25, 16, 5), *moments)]
    read = orders_of(tmp_path_factory.mktemp("days"), "ordered_at", written)["ordered_at"]
    assert read.tolist() == [pd.Timestamp(datetime.strptime(text, form)) for text in written]


# Amounts


@pytest.mark.usefixtures("each_engine")
def test_amounts_with_signs_and_groups(tmp_path: Path) -> None:
    written = {
        "1 234,50 €": 1234.5, "EUR 90,00": 90, "$8.00": 8, "AU $3,000.00": 3000, "($33.62)": -33.62, "116,99 €": 116.99,
        "-$2.34": -2.34, "$-2.34": -2.34, "RM 1,234.56": 1234.56, "7.00": 7, "12,50-": -12.5, "−3,00": -3, "12,-": 12,
        "12.–": 12, "1'234.50": 1234.5, "CHF 1’234.50": 1234.5, "1,23,456.00": 123456, "€ -5,20": -5.2, "9.90 zł": 9.9,
        "$1,149.00 ": 1149, "Rs. 500": 500, "217,99\u00a0€": 217.99, "CHF\u202f3.50": 3.5, "1.234.567,8": 1234567.8,
    }  # fmt: skip
    read = orders_of(tmp_path, "total", list(written))["total"]
    assert dict(zip(written, read, strict=True)) == written


SIGNS = ((",", "."), (".", ","), (" ", ","), ("\u00a0", ","), ("\u202f", ","), ("'", "."), ("", "."), ("", ","))
AROUND = ("{}", "${}", "{} €", "EUR {}", "AU ${}", "CHF {}", "{} zł")
BELOW_ZERO = ("-{}", "({})", "{}-", "−{}")


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=12), st.sampled_from(SIGNS), st.sampled_from(AROUND),
    st.sampled_from(BELOW_ZERO),
)  # fmt: skip
def test_amounts_written_in_any_form_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, cents: list[int], signs: tuple[str, str], around: str, below: str
) -> None:
    group, decimal = signs
    plain = [f"{abs(n) / 100:,.2f}".replace(".", "d").replace(",", group).replace("d", decimal) for n in cents]
    written = [
        below.format(around.format(text)) if n < 0 else around.format(text)
        for n, text in zip(cents, plain, strict=True)
    ]
    read = orders_of(tmp_path_factory.mktemp("amounts"), "total", written)["total"]
    assert [round(100 * value) for value in read] == cents


@pytest.mark.usefixtures("each_engine")
def test_what_is_no_amount_is_counted_and_never_read_wrong(tmp_path: Path) -> None:
    values = ["12 K", "3 pcs", "(5", "5)", "--5", "1,2,3", "12.5.0", "1.5M", "10 %", "--", "9.50"]
    read = orders_of(tmp_path, "total", values)["total"]
    assert read.notna().tolist() == [False] * 10 + [True]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["9,90", "1.234", "12,00"], [9.9, 1234, 12]),
        (["9.90", "1,234", "12.00"], [9.9, 1234, 12]),
        (["9,900", "12,500", "1234,000"], [9.9, 12.5, 1234]),
        (["9.90", "1.234"], [9.9, 1.234]),
        (["9.90", "9,90", "1.234"], [9.9, 9.9, None]),
        (["1.234.567", "1.234"], [1234567, 1234]),
    ],
)
def test_three_digits_behind_a_sign_are_what_the_column_says(
    tmp_path: Path, values: list[str], expected: list[float | None]
) -> None:
    read = orders_of(tmp_path, "total", values)["total"]
    assert [None if pd.isna(value) else value for value in read] == expected


@pytest.mark.parametrize("values", [["1.234", "2.500"], ["1,234", "2,500"]])
def test_three_digits_that_may_be_either_are_asked_for(tmp_path: Path, values: list[str]) -> None:
    with pytest.raises(DataError, match=rf"'{values[0]}', '{values[1]}'.*decimals = \"point\""):
        orders_of(tmp_path, "total", values)
    sign = "comma" if "." in values[0] else "point"
    assert orders_of(tmp_path, "total", values, toml=f'decimals = "{sign}"')["total"].tolist() == [1234, 2500]


def test_a_column_of_which_nothing_can_be_read_names_three_values(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not one amount in total can be read, for example 'cheap', 'dear', 'free'"):
        orders_of(tmp_path, "total", ["dear", "cheap", "free", ""])
    assert orders_of(tmp_path, "total", ["--", "--", "n/a", "--"])["total"].isna().all()


# Ids


@pytest.mark.parametrize("ids", [["5.27762E+12"] * 2, ["5,27762E+12"] * 2, ["5.27762e+12"] * 2])
def test_ids_that_a_spreadsheet_rounded_are_refused_with_what_could_serve(tmp_path: Path, ids: list[str]) -> None:
    text = "order_id;Name;Note;ordered_at\n" + "".join(f"{id_};#{i};n;2026-01-0{i}\n" for i, id_ in enumerate(ids, 1))
    with pytest.raises(DataError, match=r"rounded \('5.27762[eE]\+12'\).*order_id = \"Name\""):
        shop_of(tmp_path, text)


def test_ids_cut_to_fifteen_digits_are_refused_and_long_ones_are_not(tmp_path: Path) -> None:
    text = "order_id,ordered_at\n1234567890123450000,2026-01-05\n1234567890123460000,2026-01-06\n"
    with pytest.raises(DataError, match="rounded"):
        shop_of(tmp_path, text)
    text = "order_id,ordered_at\n12345678901234567890,2026-01-05\n12345678901234567891,2026-01-06\n"
    assert sorted(shop_of(tmp_path, text).fetch("orders")["order_id"]) == [
        "12345678901234567890",
        "12345678901234567891",
    ]


@pytest.mark.usefixtures("each_engine")
def test_ids_meet_whatever_a_tool_made_of_them(tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text("customer_id\n12345\n12346\n")
    rows = "1,2026-01-05,12345.0\n2,2026-01-05,'12346\n3,2026-01-05,\n"
    shop = shop_of(tmp_path, "order_id,ordered_at,customer_id\n" + rows)
    assert shop.audits["orders"].oddities["unknown_customer"] == 0
    assert sorted(shop.fetch("orders")["customer_id"].dropna()) == ["12345", "12346"]
    # Sizes are no whole numbers.
    sizes = shop_of(tmp_path, "order_id,product_id\n1,10.0\n1,10.5\n", name="order_lines.csv")
    assert set(sizes.fetch("order_lines")["product_id"]) == {"10.0", "10.5"} or sizes.audits["order_lines"].kept == 2


@pytest.mark.usefixtures("each_engine")
def test_guests_are_nobody_by_whatever_name(tmp_path: Path) -> None:
    words = [
        "0",
        "guest",
        "Guest",
        "null",
        "N/A",
        "n/a",
        "-",
        "--",
        "(none)",
        "unknown",
        "NA",
        "0.0",
        "anonymous",
        "Gast",
    ]
    frame = orders_of(tmp_path, "customer_id", [*words, "c1", "17", "nora"])
    assert frame["customer_id"].notna().tolist() == [False] * len(words) + [True] * 3


def test_numbers_of_two_widths_are_noticed_and_kept(tmp_path: Path) -> None:
    shop = shop_of(tmp_path, "order_id,ordered_at\n000000123,2026-01-05\n123,2026-01-06\n")
    assert shop.audits["orders"].oddities["lost_zeros"] == 1 and shop.audits["orders"].kept == 2


# Files


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("cp1252", ["Café crème – 5 €", "Müller’s Tee", "Größe"]),
        ("cp1250", ["Łyżka żółta", "Šálek", "Čaj"]),
        ("cp1251", ["Чашка синяя", "Чай"]),
        ("cp932", ["湯のみ", "急須"]),
        ("mac_roman", ["Café crème", "Größe"]),
        ("utf-32", ["Größe", "湯のみ"]),
    ],
)
def test_old_encodings_are_known_by_their_words_and_said(tmp_path: Path, encoding: str, names: list[str]) -> None:
    text = "product_id,name\n" + "".join(f"{i},{name}\n" for i, name in enumerate(names))
    shop = shop_of(tmp_path, text.encode(encoding), name="products.csv")
    assert shop.fetch(shop.table("products").order_by("product_id"))["name"].tolist() == names
    assert shop.notes()["code"].tolist() == ["encoding"]


def test_a_file_that_ends_within_a_sign_is_read_to_there(tmp_path: Path) -> None:
    rows = "order_id,ordered_at,channel\n1,2025-01-01,Läden\n2,2025-01-02,Caf\u00e9"
    (tmp_path / "orders.csv").write_bytes(rows.encode()[:-1])
    shop = crm.connect(tmp_path, as_of="2025-02-01")
    assert shop.fetch(shop.table("orders").order_by("order_id"))["channel"].tolist()[0] == "Läden"
    assert shop.reconciliation().set_index("table").loc["orders", "read"] == 2


def test_some_bytes_that_are_none_do_not_make_another_encoding(tmp_path: Path) -> None:
    text = "product_id,name\n" + "".join(f"{i},Größe Café\n" for i in range(20))
    for bom in (b"", b"\xef\xbb\xbf"):
        shop = shop_of(tmp_path, bom + text.encode() + b"x,\xb2\n", name="products.csv")
        assert shop.fetch("products")["name"].value_counts().to_dict() == {"Größe Café": 20, "\ufffd": 1}


@pytest.mark.parametrize(
    "text",
    [
        "Extract of 2026-01-06\norder_id;ordered_at;total\n1;2026-01-05;12,50\n",
        '"Includes orders, refunds, and fees"\n"All amounts in EUR"\n\norder_id,ordered_at,total\n1,2026-01-05,12.50\n',
        ",,\norder_id,ordered_at,total\n1,2026-01-05,12.50\n,,\n , ,\n",
        "\u200border_id,ordered_at\u200b,total\n1,2026-01-05,12.50\n",
        "\ufeff\ufefforder_id,ordered_at,total\n1,2026-01-05,12.50\n",
        '"order_id"  ,"ordered_at","total"\n"1"   ,"2026-01-05"  ,"12.50"\n',
        "order_id,ordered_at,total\n1,2026-01-05,12.50,\n",
        "order_id;ordered_at;total;Tags;Tags\n1;2026-01-05;12,50;a;a\n",
    ],
)
def test_one_order_whatever_stands_around_it(tmp_path: Path, text: str) -> None:
    shop = shop_of(tmp_path, text)
    assert shop.reconciliation().iloc[0].tolist() == ["orders", 1, 1, 0, 0]
    assert shop.fetch("orders")["total"].tolist() == [12.5]


def test_of_two_columns_of_one_name_the_first_is_read_and_said(tmp_path: Path) -> None:
    shop = shop_of(tmp_path, "customer_id,email,email\n1,kim@example.org,kim2@example.org\n", name="customers.csv")
    assert shop.fetch("customers")["email"].tolist() == ["kim@example.org"]
    assert shop.notes().values.tolist() == [["twice", "customers.csv", "email"]]


def test_a_header_that_is_not_found_is_shown(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no column 'order_id'.*line 1 was taken as the header, with columns apart by"):
        shop_of(tmp_path, "Extract of today\nsome words\n")


def test_files_that_are_not_read_are_named(tmp_path: Path) -> None:
    for name in ("orders_2.csv", "customer.csv", "reviews.xlsx", "notes.md", ".hidden.csv"):
        (tmp_path / name).write_text("a\n")
    shop = shop_of(tmp_path, "order_id,ordered_at\n1,2026-01-05\n")
    assert shop.unread_files == ("customer.csv", "orders_2.csv", "reviews.xlsx")


def test_a_column_mapped_beside_one_of_the_same_name(tmp_path: Path) -> None:
    shop = shop_of(
        tmp_path,
        "order_id,ordered_at,Subtotal,Total\n1,2026-01-05,10,12\n",
        toml='[columns.orders]\ntotal = "Subtotal"',
    )
    assert shop.fetch("orders")[["total", "column Total"]].values.tolist() == [[10, "12"]]


def test_a_long_text_with_line_ends_survives_a_broken_quote_elsewhere(tmp_path: Path) -> None:
    long = "\n".join(f"X{i},line" for i in range(150))
    shop = shop_of(tmp_path, f'feedback_id,text\n1,"{long}"\n2,"open\n3,plain\n', name="feedback.csv")
    assert shop.reconciliation().iloc[0].tolist() == ["feedback", 3, 2, 1, 0]


# shop.toml


def test_what_a_shop_says_of_itself(tmp_path: Path) -> None:
    toml = """
        country = "DE"
        not_goods = ["POST"]
        [team]
        contacts_per_week = 40
        working_days = ["Mon", "Tue"]
        hours = "9-17:30"
        [[closures]]
        from = 2026-08-01
        to = 2026-08-14
        name = "Summer"
        [[campaigns]]
        from = 2026-11-27
    """
    settings = shop_of(tmp_path, "order_id,ordered_at\n1,2026-01-05\n", toml=toml).settings
    assert (settings.country, settings.team.contacts_per_week, settings.team.hours) == ("DE", 40, (9, 17.5))
    assert (settings.closures[0].name, str(settings.campaigns[0].end)) == ("Summer", "2026-11-27")


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ('dates = "us"', 'dates must be "month-first" or "day-first"'),
        ('decimals = ","', 'decimals must be "comma" or "point"'),
        ('country = "Germany"', "country must be two letters"),
        ("not_goods = 3", "not_goods = "),
        ("[team]\ncontacts = 4", "no setting 'contacts'; did you mean 'contacts_per_week'"),
        ("[team]\ncontacts_per_week = -1", "contacts_per_week is -1"),
        ('[team]\nworking_days = ["Monday"]', "working_days are some of Mon"),
        ('[team]\nhours = "17-9"', "hours end before they begin"),
        ('[owners]\nservise = "Ann"', "no role 'servise'; did you mean 'service'"),
        ("[owners]\nservice = 3", "service = "),
        ("[offers]\nwin_back = 3", "win_back = "),
        ('curency = "EUR"', "no setting 'curency'; did you mean 'currency'"),
        ('[columns.order]\ntotal = "x"', "did you mean 'orders'"),
        ('[columns.orders]\ntotl = "x"', "did you mean 'total'"),
        ("[[closures]]\nto = 2026-01-01", r"\[\[closures\]\]"),
        ("[[campaigns]]\nfrom = 2026-02-01\nto = 2026-01-01", "ends on 2026-01-01, before it begins"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(tmp_path: Path, toml: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        shop_of(tmp_path, "order_id,ordered_at\n1,2026-01-05\n", toml=toml)


def test_roles_are_those_that_actions_name() -> None:
    from crmlib import findings
    from crmlib.shop.intake import settings

    assert settings._ROLES == findings.ROLES
