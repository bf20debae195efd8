"""The cases of ../shared/cases, each held to what its EXPECT.md says of reading; CRM_CASES names another place."""

from __future__ import annotations

import csv
import importlib
import json
import os
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

import crmlib as crm
from crmlib.analysis import data_health, feedback
from crmlib.errors import CrmError, DataError, NotEnoughData, UsageError
from crmlib.findings import Findings
from crmlib.report.parameters import resolve, select
from crmlib.shop import facts
from crmlib.shop.tables import TABLES
from tests.conftest import ROOT

CASES = Path(os.environ.get("CRM_CASES") or ROOT.parent / "shared" / "cases")
SHOPS = sorted({str(path.parent.relative_to(CASES)) for path in CASES.rglob("*.csv")}) if CASES.is_dir() else []

# orders that stand, what they sold, rows set aside
SOLD = {
    "01_leading_zeros": (2, 30, 0), "03_preamble": (1, 12.5, 0), "03_preamble/sib_blank_first": (1, 12.5, 0),
    "03_preamble/sib_delim_in_title": (1, 12.5, 0), "03_preamble/sib_three_lines": (1, 12.5, 0),
    "03_preamble/sib_footer": (2, 20, 2), "08_excel_serial_dates": (2, 30, 0),
    "08_excel_serial_dates/sib_mixed": (1, 20, 1),
    "09_shopify_further_lines/sib_raw_unmapped": (1, 10, 0), "10_overlapping_names/sib_concat_id": (2, 30, 0), "15_decimal_comma": (3, 1256.4, 0),
    "15_decimal_comma/sib_apostrophe": (3, 1256.4, 0), "15_decimal_comma/sib_comma_thousand": (3, 1255.9, 0),
    "15_decimal_comma/sib_thousand_point": (4, 3755.9, 0), "15_decimal_comma/sib_three_decimals": (3, 1256.4, 0),
    "15_decimal_comma/sib_minus": (1, -5.5, 0), "15_decimal_comma/sib_mixed_signed_shop": (1085, 31413.38, 0),
    "16_dst_month": (2, 30, 0), "16_dst_month/sib_spring": (2, 30, 0), "18_new_years_eve": (2, 30, 0),
    "19_minutes_are_months/sib_pm": (4, 100, 0), "22_zero_dates": (500, 5000, 4),
    "22_zero_dates/sib_2000": (300, 3000, 2),
    "22_zero_dates/sib_berlin_epoch": (1, 10, 1), "30_refund_definitions": (2, 119, 0), "31_refund_rows": (1, 60, 0),
    "31_refund_rows/sib_many": (1033, 29319.48, 0), "26_returns_and_free": (1037, 30777.2, 0),
    "26_returns_and_free/sib_refunded": (1037, 30777.2, 0), "32_cancelled_still_paid": (1, 10, 0),
    "05_bom": (2, 20, 0), "16_dst_month/sib_seconds": (2, 30, 0), "17_long_day/sib_offset_space": (6, 210, 0),
    "71_trailing_delimiter/sib_both": (2, 30, 0), "71_trailing_delimiter/sib_both_newline": (2, 30, 0),
    "71_trailing_delimiter": (2, 30, 0), "71_trailing_delimiter/sib_newline": (2, 30, 0),
    "73_very_ragged": (51, 510, 3),
    "09_shopify_further_lines": (2, 10, 1), "09_shopify_further_lines/sib_both": (2, 10, 1),
    "09_shopify_further_lines/sib_by_id": (1, 0, 1), "10_overlapping_names/sib_concat": (1, 10, 1),
    "10_overlapping_names/sib_misnamed": (1, 10, 0), "17_long_day/sib_spring_gap_naive": (2, 30, 0),
    "18_new_years_eve/sib_seconds": (2, 30, 0), "18_new_years_eve/sib_seconds_utc": (2, 30, 0),
    "19_minutes_are_months/sib_all_midnight": (200, 2000, 0), "22_zero_dates/sib_2099": (1, 10, 0),
    "22_zero_dates/sib_ltv_without": (1150, 34754.88, 0), "71_trailing_delimiter/sib_no_final_newline": (2, 30, 0),
    "74_na_words": (14, 140, 0), "23_same_day": (6, 55, 0), "84_partial_shop": (2, 0, 0),
    "84_partial_shop/sib_all_aside": (2, 30, 0), "84_partial_shop/sib_no_customer": (2, 30, 0),
}  # fmt: skip
for _name in ("sib_bom_sep", "sib_cr_only", "sib_double_bom", "sib_nbsp_header", "sib_quoted", "sib_utf16be",
              "sib_utf16le",
              "sib_utf16le_nobom", "sib_utf16le_quoted_tab", "sib_utf32", "sib_zero_width_header"):  # fmt: skip
    SOLD[f"05_bom/{_name}"] = (2, 20, 0)
for _name in ("13_blank_lines", "13_blank_lines/sib_commas", "13_blank_lines/sib_crlf", "13_blank_lines/sib_quoted",
              "13_blank_lines/sib_spaces", "14_header_twice/sib_empty_headers",
              "14_header_twice/sib_tags"):  # fmt: skip
    SOLD[_name] = (2, 30, 0)
REFUSED = {
    "07_scientific_ids": r"rounded.*order_id = \"Name\"",
    "07_scientific_ids/sib_customer_id": "customer_id .* rounded",
    "07_scientific_ids/sib_lower_e": "order_id .* rounded",
    "07_scientific_ids/sib_product_id": "product_id .* rounded",
    "07_scientific_ids/sib_trailing_zeros": "order_id .* rounded",
    "10_overlapping_names": r"one name \(#1001\).*order_id = \"Id\"",
    "14_header_twice/sib_required": "two columns named 'order_id'",
    "15_decimal_comma/sib_ambiguous_comma": "decimals = ",
    "15_decimal_comma/sib_ambiguous_point": "decimals = ",
}
LISTED = {  # of the first table: rows kept, rows set aside
    "04_stray_quote": (1501, 0), "04_stray_quote/sib_backslash": (2, 1), "04_stray_quote/sib_blank_after_quote": (3, 0),
    "04_stray_quote/sib_opens": (3, 1), "04_stray_quote/sib_two_marks": (3, 0), "11_twenty_digit_id": (99, 1),
    "04_stray_quote/sib_quote_then_text": (2, 1), "04_stray_quote/sib_single_quotes": (1, 1),
    "04_stray_quote/sib_space_after_comma": (3, 0), "13_blank_lines/sib_one_column": (2, 0),
    "12_crlf_in_cell": (2, 0), "12_crlf_in_cell/sib_blank_lines_inside": (2, 0), "12_crlf_in_cell/sib_cr": (2, 0),
    "12_crlf_in_cell/sib_lf_in_crlf": (2, 0), "12_crlf_in_cell/sib_many": (2, 0),
    "12_crlf_in_cell/sib_many_and_stray": (2, 1),
    "12_crlf_in_cell/sib_fabricated_rows": (2, 1), "14_header_twice": (1, 0), "17_long_day": (73, 0),
    "17_long_day/sib_naive": (73, 0), "17_long_day/sib_utc": (73, 0), "17_long_day/sib_spring": (71, 0),
    "18_new_years_eve/sib_time_forms": (35, 3), "73_very_ragged/sib_wider": (0, 50),
    "73_very_ragged/sib_wider_40": (0, 50),
}  # fmt: skip
ODD = {
    "01_leading_zeros": ("orders", "lost_zeros", 1), "19_minutes_are_months": ("orders", "minutes_are_months", 196),
    "22_zero_dates": ("customers", "impossible_value", 120),
    "32_cancelled_still_paid": ("orders", "cancelled_with_money", 8),
    "31_refund_rows": ("orders", "refund_row", 1),
}  # fmt: skip
NAMES = {
    "05_bom/sib_cp1250": ["Łyżka żółta", "Šálek"], "05_bom/sib_cp1252": ["Café crème – 5 €", "Müller’s Tee"],
    "05_bom/sib_latin1_like_macroman": ["Café crème", "Größe"], "05_bom/sib_shiftjis": ["湯のみ", "急須"],
}  # fmt: skip

NOT_ENGLISH = {
    "41_hearts": {"F0004"}, "44_other_languages": {"F0001", "F0002"},
    "44_other_languages/sib_more": {f"F{n:04d}" for n in range(1, 9)},
}  # fmt: skip
WORDLESS = {"41_hearts": {"F0002", "F0003", "F0005", "F0006"}, "44_other_languages": {"F0004", "F0005"}}
NEGATIVE = {"42_apostrophes": {"F0001", "F0002"}, "43_lexicon_words": {"F0003"}}
NOT_POSITIVE = {"43_lexicon_words": {"F0003", "F0004"}}
MAY_BE_NEGATIVE = {"43_lexicon_words": {"F0003", "F0004"}, "44_other_languages/sib_more": {"F0010"}}
FEEDBACK = [name for name in SHOPS if "40" <= name[:2] <= "45"]

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not SHOPS, reason="../shared/cases is not here")]


@pytest.mark.parametrize("name", SHOPS or ["none"])
def test_every_case_comes_out_as_it_should(name: str) -> None:
    if name in REFUSED:
        with pytest.raises(DataError, match=REFUSED[name]):
            crm.connect(CASES / name)
        return
    try:
        shop = crm.connect(CASES / name)
    except CrmError as error:
        pytest.fail(f"{name} was refused: {error}")
    table = shop.reconciliation()
    assert (table["read"] == table[["kept", "set_aside", "after_as_of"]].sum(axis=1)).all()
    if name in LISTED:
        assert (table["kept"].iloc[0], table["set_aside"].iloc[0]) == LISTED[name]
    if name in ODD:
        where, code, n = ODD[name]
        assert shop.audits[where].oddities[code] == n
    if name in NAMES:
        assert shop.fetch(shop.table("products").order_by("product_id"))["name"].tolist() == NAMES[name]
    if name in SOLD:
        months = shop.fetch(facts.monthly(shop))
        sold = int(months["orders"].sum()), round(float(months["revenue"].fillna(0).sum()), 2)
        aside = int(table.set_index("table").loc["orders", "set_aside"])
        assert (*sold, aside) == SOLD[name]


def test_further_lines_of_a_raw_export_belong_to_their_order(tmp_path: Path) -> None:
    for name in ("orders.csv", "orders_export_1.csv"):  # the export is known under a name of ours too
        (tmp_path / name).mkdir()
        path = tmp_path / name / name
        path.write_bytes((CASES / "09_shopify_further_lines/orders.csv").read_bytes())
        shop = crm.connect(path.parent)
        orders = shop.fetch("orders").set_index("order_id")
        assert orders["total"].to_dict() == {"9001": 30, "9002": 10} and orders["refunded"].to_dict() == {
            "9001": 30,
            "9002": 0,
        }
        assert sorted(shop.fetch("order_lines")["order_id"]) == ["9001", "9001", "9002"]
        assert shop.fetch(facts.monthly(shop))["revenue"].sum() == 10


def test_what_only_some_cases_hold() -> None:
    assert "order-lines.csv" in crm.connect(CASES / "10_overlapping_names/sib_misnamed").unread_files
    signs = crm.connect(CASES / "15_decimal_comma/sib_signs").fetch("orders").set_index("order_id")["total"]
    assert signs.drop("6").tolist() == [1234.5, 90, 8, 3000, -33.62, 116.99, -2.34, 1234.56, 7]
    states = crm.connect(CASES / "32_cancelled_still_paid/sib_statuses").states()
    assert states[~states["kind"].isin(["out", "given_back"])]["status"].tolist() == ["5", "paid", "pending"]
    serial = crm.connect(CASES / "08_excel_serial_dates").fetch("orders").set_index("order_id")["ordered_at"]
    assert f"{serial['1']}" == "2024-04-02 08:20:58"
    for name in ("74_na_words/sib_guest_zero", "74_na_words/sib_guest_word"):
        orders = crm.connect(CASES / name).fetch("orders")
        assert orders["customer_id"].isna().sum() > 200 and not orders["customer_id"].isin(["0", "guest"]).any()
    new_year = crm.connect(CASES / "18_new_years_eve", as_of="2023-01-01")
    assert f"{new_year.fetch('orders')['ordered_at'].max():%Y-%m-%d}" == "2022-12-31"
    assert crm.connect(CASES / "18_new_years_eve/sib_utc", as_of="2023-01-01").audits["orders"].after_as_of == 1
    edge = crm.connect(CASES / "16_dst_month/sib_edge")
    assert edge.fetch(facts.monthly(edge))["month"].dt.month.tolist() == [10, 11]
    longest = crm.connect(CASES / "17_long_day")
    days = longest.fetch(facts.net_orders(longest).group_by("day").agg(n=lambda t: t.count()).order_by("day"))
    assert days["n"].tolist() == [24, 25, 24]
    leap = crm.connect(CASES / "21_leap_birthday").fetch("customers").set_index("customer_id")["birth_date"]
    assert f"{leap['a']:%Y-%m-%d}" == "2000-02-29"


def _column(name: str, table: str, column: str) -> list[object]:
    shop = crm.connect(CASES / name)
    key = TABLES[table].required[0]
    return [None if pd.isna(value) else value for value in shop.fetch(shop.table(table).order_by(key))[column]]


def _moments(name: str) -> list[str]:
    return [f"{at:%Y-%m-%d %H:%M:%S}" for at in _column(name, "orders", "ordered_at")]  # type: ignore[str-format]


def test_ids_postcodes_and_names_stay_as_they_are_written() -> None:
    assert _column("01_leading_zeros", "orders", "order_id") == ["000000123", "123"]
    assert _column("01_leading_zeros", "products", "product_id") == ["00123", "123"]
    assert _column("01_leading_zeros", "customers", "postcode") == ["02138", "75008"]
    assert set(_column("01_leading_zeros", "assignments", "experiment")) == {"00123"}
    assert "12345678901234567891" in _column("11_twenty_digit_id", "orders", "order_id")
    assert [name for name in _column("04_stray_quote", "products", "name") if '"' in str(name)] == ['Mug 3" tall']
    assert _column("74_na_words", "customers", "first_name")[:2] == ["Christopher", "Nan"]
    assert _column("74_na_words", "customers", "last_name")[:2] == ["Null", "None"]
    assert _column("74_na_words", "customers", "country")[:2] == ["NA", "DE"]
    assert _column("74_na_words", "products", "name") == ["Namibia tea", "Truth"]
    assert crm.connect(CASES / "74_na_words").audits["products"].set_aside == {"missing_value": 2}
    assert set(_column("74_na_words", "orders", "customer_id")) == {None, "1"}
    assert _column("14_header_twice", "customers", "email") == ["kim@example.org"]
    twice = crm.connect(CASES / "14_header_twice").notes().set_index("code").loc["twice"]
    assert (twice["file"], twice["detail"]) == ("customers.csv", "email")


@pytest.mark.parametrize("name", [name for name in SHOPS if name.startswith("12_")] or ["none"])
def test_a_text_keeps_its_words_whatever_line_ends_it_holds(name: str) -> None:
    with (CASES / name / "feedback.csv").open(encoding="utf-8-sig", newline="") as file:
        words = {row["feedback_id"]: row["text"].split() for row in csv.DictReader(file) if row["text"]}
    shop = crm.connect(CASES / name)
    read = shop.fetch("feedback").set_index("feedback_id")["text"]
    assert {key: text.split() for key, text in read.items()} == {key: words[key] for key in read.index}


def test_moments_and_days_are_the_shops_own() -> None:
    noon = ["2024-04-02 08:20:58", "2024-04-03 08:20:58"]
    for name in ("08_excel_serial_dates/sib_unix_seconds", "08_excel_serial_dates/sib_unix_ms"):
        assert _moments(name) == noon
    assert _moments("08_excel_serial_dates/sib_compact") == ["2024-04-02 00:00:00", "2024-04-03 00:00:00"]
    for name in ("18_new_years_eve/sib_auckland", "18_new_years_eve/sib_seconds_auckland"):
        assert _moments(name) == ["2023-01-01 01:00:00", "2022-12-31 23:59:00"]
    edge = crm.connect(CASES / "16_dst_month/sib_edge_seconds")
    assert edge.fetch(facts.monthly(edge))["month"].dt.month.tolist() == [10, 11]
    for name, hours in (("sib_naive", 25), ("sib_utc", 25), ("sib_spring", 23)):
        shop = crm.connect(CASES / "17_long_day" / name)
        days = shop.fetch(facts.net_orders(shop).group_by("day").agg(n=lambda t: t.count()).order_by("day"))
        assert days["n"].tolist() == [24, hours, 24]
    zero = crm.connect(CASES / "22_zero_dates")
    assert zero.data_through is not None and zero.data_through.year > 2000
    assert zero.fetch(facts.monthly(zero))["month"].min().year > 2000


def test_purchase_days_refunds_and_rows_that_give_back() -> None:
    def history(name: str) -> pd.DataFrame:
        shop = crm.connect(CASES / name)
        return shop.fetch(facts.customer_history(shop, until=shop.as_of)).set_index("customer_id")

    one = history("23_same_day").loc["a"]
    assert (one["frequency"], one["revenue"]) == (0, 50)
    for name in ("23_same_day/sib_midnight", "23_same_day/sib_midnight_seconds"):
        assert history(name)["frequency"].to_dict() == {"a": 1, "b": 0, "c": 0}
    shop = crm.connect(CASES / "30_refund_definitions")
    assert shop.fetch(facts.net_orders(shop).order_by("order_id"))["revenue"].tolist() == [69, 50]
    back = history("31_refund_rows").iloc[0]
    assert (back["frequency"], back["revenue"]) == (0, 60)


def test_data_health_says_what_the_cases_expect() -> None:
    def page(name: str) -> Findings:
        shop = crm.connect(CASES / name)
        return data_health.page(data_health.measure(shop), shop=shop)

    kept = page("32_cancelled_still_paid")
    assert any("cancelled, with money that was not given back" in str(part) and "8" in str(part) for part in kept.parts)
    minutes = page("19_minutes_are_months")
    assert any("the minutes of the time are those of its month" in str(part) for part in minutes.parts)
    for name in ("84_partial_shop", "84_partial_shop/sib_all_aside", "84_partial_shop/sib_no_customer"):
        assert page(name).headline
    for name in ("44_other_languages", "05_bom/sib_shiftjis"):
        assert page(name).headline, "one table alone, without orders"


def _read(name: str) -> dict[str, str]:
    """What the report's reader, chosen as the report chooses it, makes of each text."""
    shop = crm.connect(CASES / name)
    texts = feedback.facts(shop)
    reader = feedback.learn(shop, texts, reader=feedback.Reader(), draws=20).reader
    found = feedback.score(shop, texts, reader=reader, at_least=0).texts
    moods = ["negative" if mood < 0 else "positive" for mood in found["polarity"]]
    said = [mood if out == "read" else out for mood, out in zip(moods, found["outcome"], strict=True)]
    return dict(zip(found["feedback_id"], said, strict=True))


@pytest.mark.parametrize("name", FEEDBACK or ["none"])
def test_every_text_of_a_case_reads_as_it_should(name: str) -> None:
    said = _read(name)
    assert said

    def such(*kinds: str) -> set[str]:
        return {one for one, kind in said.items() if kind in kinds}

    assert such("other_language") == NOT_ENGLISH.get(name, set())
    wordless = set(said) if name.startswith("45") else WORDLESS.get(name, set())
    assert wordless <= such("no_signal")
    negative = set(said) if name.startswith("42") else NEGATIVE.get(name, set())
    assert negative <= such("negative") <= negative | MAY_BE_NEGATIVE.get(name, set())
    assert not such("positive") & NOT_POSITIVE.get(name, set())


def test_every_way_to_write_an_apostrophe_reads_the_same() -> None:
    marks = ("'", "\u2019", "\u02bc", "`", "\u00b4", "\u2018", "\u201b", "")
    reader = feedback.Reader()
    for text in ("isn{}t great", "It wasn{}t good and doesn{}t work", "They don{}t answer"):
        found = {reader.read(text.replace("{}", mark)).polarity for mark in marks}
        assert len(found) == 1 and max(found) < -0.1


# Pages


def _page(notebook: str, case: str, **parameters: object) -> Findings:
    """What a notebook would publish of a case: its code cells one after the other, without a kernel."""
    book = json.loads(next((ROOT / "notebooks").glob(f"*_{notebook}.ipynb")).read_text(encoding="utf-8"))
    pages: list[Findings] = []
    names: dict[str, object] = {"_keep": lambda page, **_: pages.append(page)}
    for cell in book["cells"]:
        code = "".join(cell["source"]) if cell["cell_type"] == "code" else ""
        exec(code.replace("crm.publish(", "_keep("), names)
        if "parameters" in cell["metadata"].get("tags", []):
            names |= {"shop": str(CASES / case), **parameters}
    return pages[0]


@pytest.mark.parametrize(
    ("case", "parameters", "found"),
    [
        ("36_min_support_one_of_n", {}, {"rules_kept": 0}),
        ("36_min_support_one_of_n/sib_empty_id", {}, {"items": 4, "baskets": 300}),
        ("37_one_basket", {"min_support": 0.5}, "1 of 1 basket is"),
        ("37_one_basket/sib_two", {}, "2 of 2 baskets"),
        ("38_no_pairs", {}, "0 of 600 baskets"),
        ("38_no_pairs/sib_twice", {}, "0 of 600 baskets"),
        ("38_no_pairs/sib_negative", {}, "this shop has 0"),
        ("38_no_pairs/sib_empty_file", {}, "this shop has 0"),
        ("38_no_pairs/sib_no_quantity", {}, {"baskets": 600, "items": 20}),
        ("38_no_pairs/sib_always_two", {}, {"rules_kept": 0}),
        ("36_min_support_one_of_n/sib_basket_of_40_five_items", {}, {"rules_kept": 0, "baskets": 401}),
        ("36_min_support_one_of_n/sib_default_one_wholesale", {}, {"rules_kept": 0, "baskets": 401}),
        ("37_one_basket/sib_same_100", {}, {"rules_kept": 0, "baskets": 100}),
    ],
)
def test_baskets_end_at_once_and_say_what_is_missing(
    case: str, parameters: dict[str, object], found: str | dict[str, int]
) -> None:
    if isinstance(found, str):
        with pytest.raises(NotEnoughData, match=found):
            _page("baskets", case, **parameters)
        return
    page = _page("baskets", case, **parameters)
    assert {name: page[name].value for name in found} == found


def test_rules_are_all_splits_of_each_set() -> None:
    page = _page("baskets", "39_missing_subsets", min_confidence=0, q_max=1, keep_redundant=True)
    splits: dict[tuple[str, ...], int] = {}
    for rule in page.tables["rules"].itertuples():
        sides = [
            json.loads(side) if isinstance(side, str) else list(side) for side in (rule.antecedents, rule.consequents)
        ]
        both = tuple(sorted([*sides[0], *sides[1]]))
        splits[both] = splits.get(both, 0) + 1
    assert {len(both): number for both, number in splits.items()} == {2: 2, 3: 6}
    assert all(number == {2: 2, 3: 6}[len(both)] for both, number in splits.items())


_OVER = "2027-01-01"  # when all windows of the cases' experiments are closed


def _results(case: str, **parameters: object) -> pd.DataFrame:
    return _page("experiments", case, as_of=_OVER, **parameters).tables["results"].set_index("metric")


def test_a_ratio_that_is_the_same_everywhere_has_no_effect() -> None:
    ratio = _results("46_ratio", ratios="revenue/orders").loc["revenue/orders"]
    assert (ratio["mean"], ratio["mean_control"], ratio["effect"]) == pytest.approx((20, 20, 0))
    dearer = _results("46_ratio/sib_one_arm_constant", ratios="revenue/orders").loc["revenue/orders"]
    assert (dearer["mean"], dearer["mean_control"]) == pytest.approx((2922 / 222, 10)) and dearer["p_value"] < 0.001


def test_experiments_without_spread_end_in_words() -> None:
    ratio = _results("46_ratio/sib_zero_denominator", ratios="revenue/orders").loc["revenue/orders"]
    assert ratio["state"] == "too_few" and "to divide by, has 0" in ratio["method"]
    for case in ("49_constant", "49_constant/sib_one_two"):
        row = _results(case).loc["items"]
        assert not row["p_value"] < 0.05, "nothing can be concluded from values that are all alike"
    assert _results("49_constant/sib_one_unit").loc["items", "state"] in ("void", "too_few")
    assert _page("experiments", "49_constant/sib_missing_arm", as_of=_OVER).status == "too_few"
    named = _page("experiments", "01_leading_zeros", as_of=_OVER, experiment="00123")
    assert "00123" in named.headline


@pytest.mark.parametrize(
    ("case", "metric", "state", "words"),
    [
        ("46_ratio/sib_zero_both", "revenue/orders", "too_few", "to divide by, has 0"),
        ("46_ratio/sib_fixed_price", "revenue/orders", "unfit", "is 19.99 for all units"),
        ("47_winsor_zero", "revenue@0.95", "too_few", "share one value that this quantile cannot move"),
        ("49_constant/sib_exposure_second", "saw_banner", "unfit", "only says which version units saw"),
        ("49_constant/sib_nan_inf", "items", "void", "cannot be compared"),
        ("49_constant/sib_all_none", "converted", "unfit", "all of one have it, and none of the other"),
        ("49_constant/sib_exposure_metric", "saw_banner", "unfit", "only says which version units saw"),
        ("49_constant/sib_rounding", "items", "unfit", "is 0.10 for all units"),
        ("49_constant/sib_small_all_none", "converted", "unfit", "all of one have it, and none of the other"),
        ("50_one_constant/sib_four", "items", "too_few", "needs 30 units in each arm, has 4"),
    ],
)
def test_what_cannot_be_judged_says_why(case: str, metric: str, state: str, words: str) -> None:
    said: dict[str, object] = {"quantiles": metric} if "@" in metric else {"ratios": metric} if "/" in metric else {}
    row = _results(case, **said).loc[metric]
    assert (row["state"], words in row["method"]) == (state, True), row["method"]
    assert pd.isna(row["p_value"])


def test_one_constant_arm_takes_the_spread_of_the_other() -> None:
    row = _results("50_one_constant").loc["items"]
    spread = pd.Series([0, 2, 1, 3] * 100).std() / 400**0.5
    half = float(stats.t.ppf(0.975, 399)) * spread
    assert (row["effect"], row["low"], row["high"]) == pytest.approx((0.5, 0.5 - half, 0.5 + half), rel=1e-6)
    assert 0 < row["p_value"] < 1e-10


def test_customers_who_are_all_alike_are_too_few_to_tell_apart() -> None:
    for case in ("33_all_equal", "33_all_equal/sib_two_days", "33_all_equal/sib_recent"):
        with pytest.raises(NotEnoughData, match="too few to conclude"):
            _page("lifetime_value", case)


def test_a_month_is_no_unit_of_time() -> None:
    with pytest.raises(UsageError, match="day, week"):
        resolve(select(ROOT / "notebooks"), ["lifetime_value.time_unit=month"])


@pytest.mark.parametrize(
    ("name", "report"), [("70_one_time_alive", "lifetime_value"), ("30_refund_definitions", "data_health")]
)
def test_a_page_says_what_the_case_expects(name: str, report: str) -> None:
    """Two of those that `python -m tests.every_case` holds to their words, in full and for every report."""
    every_case = importlib.import_module("tests.every_case")
    said, wrong = every_case.judge(name, only=(report,))
    assert wrong == [] and [line[0] for line in said] == [report]


def test_every_case_is_held_to_something() -> None:
    every_case = importlib.import_module("tests.every_case")
    here = Path(__file__).read_text(encoding="utf-8")
    tables = (SOLD, LISTED, REFUSED, NAMES, FEEDBACK, every_case.EXPECTED)
    assert [name for name in SHOPS if not any(name in table for table in tables) and f'{name}"' not in here] == []
