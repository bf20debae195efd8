"""The cases of ../shared/cases, each held to what its EXPECT.md says of reading; CRM_CASES names another place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import crmlib as crm
from crmlib.analysis import feedback
from crmlib.errors import CrmError, DataError
from crmlib.shop import facts
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
    "71_trailing_delimiter": (2, 30, 0), "71_trailing_delimiter/sib_newline": (2, 30, 0),
    "73_very_ragged": (51, 510, 3),
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
    "12_crlf_in_cell": (2, 0), "12_crlf_in_cell/sib_blank_lines_inside": (2, 0), "12_crlf_in_cell/sib_cr": (2, 0),
    "12_crlf_in_cell/sib_lf_in_crlf": (2, 0), "12_crlf_in_cell/sib_many": (2, 0),
    "12_crlf_in_cell/sib_many_and_stray": (2, 1),
    "12_crlf_in_cell/sib_fabricated_rows": (2, 1), "14_header_twice": (1, 0), "17_long_day": (73, 0),
    "17_long_day/sib_naive": (73, 0), "17_long_day/sib_utc": (73, 0), "17_long_day/sib_spring": (71, 0),
    "18_new_years_eve/sib_time_forms": (33, 5), "73_very_ragged/sib_wider": (0, 50),
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

pytestmark = pytest.mark.skipif(not SHOPS, reason="../shared/cases is not here")


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
