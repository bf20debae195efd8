"""What nobody foresaw in a cell, an error or a name: it reaches no page, no table, no log, no terminal, no dump."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest

from crmlib import figures, masking
from crmlib.publishing import csv_text
from crmlib.report.page import page, privacy

AWS = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
PEOPLE = pd.DataFrame(
    {
        "customer_id": ["C00017", "C00018"],
        "first_name": ["Zqanna", "Zqbob"],
        "last_name": ["Zqkim", "Zqlee"],
        "birth_date": ["1971-03-07", "1980-01-02"],
        "postcode": ["10115", "20095"],
    }
)


def cleaned(*cells: tuple[str, Any]) -> list[str]:
    """What is left of the outputs of cells, each given as source and what it prints."""
    made = [
        nbformat.v4.new_code_cell(source, outputs=[nbformat.v4.new_output("stream", text=str(text))])
        for source, text in cells
    ]
    notebook = json.loads(nbformat.writes(nbformat.v4.new_notebook(cells=made)))
    return ["".join(cell["outputs"][0]["text"]) for cell in privacy.clean(notebook)["cells"]]


# Secrets


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CRM_KEY", "a key from the schedule"),
        ("AWS_SECRET_ACCESS_KEY", AWS),
        ("DB_PASSWORD", "hunter2"),
        ("PGPASS", "tr0ub4dor"),
        ("SENTRY_DSN", "https://abcdef0123456789@o1.ingest.example/5"),
        ("GITHUB_PAT", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
        ("DATABASE", "postgresql://shop:s3cr%23t-pw@db.example/shop"),
        ("STRIPE", "sk_live_51H8abcdefghijklmnop"),
        ("SESSION", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"),
        ("SIGNING", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
        ("TLS_KEY", "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA04up8hoq\n-----END RSA PRIVATE KEY-----"),
    ],
)
def test_a_cell_that_prints_the_environment_publishes_no_secret(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    shown = "\n".join(cleaned(("os.environ", dict(os.environ)), ("print(value)", value)))
    lines = [line for line in value.splitlines() if "-----" not in line]
    assert not [line for line in lines if line in shown], shown
    assert "s3cr" not in shown and "[secret]" in shown
    html = page.plain(f"could not reach {value}")
    assert not [line for line in lines if line in html]


def test_the_folders_own_key_is_masked_though_no_variable_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    key = "5e" * 32
    monkeypatch.setattr(privacy, "_kept", set())
    privacy.keep(key)
    assert cleaned(("print(x)", f"the key is {key}")) == ["the key is [secret]"]
    assert privacy.mask_page(f"<p>{key}</p>") == "<p>[secret]</p>"


def test_a_secret_is_masked_as_html_writes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "a<b&c'd\"e")
    assert privacy.mask_page("<p>a&lt;b&amp;c&#x27;d&quot;e</p>") == "<p>[secret]</p>"


def test_paths_and_plain_words_are_no_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"KEY_FILE": str(tmp_path), "PWD": str(tmp_path), "PASS": "public", "TOKEN": "yes"}.items():
        monkeypatch.setenv(name, value)
    text = f"public: yes, in {tmp_path}"
    assert privacy.without_secrets(text) == text
    monkeypatch.setenv("PIN_PASS", "123456")
    assert privacy.without_secrets("n = 91234567, pin 123456") == "n = 91234567, pin [secret]"


# Rows


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("people.T", PEOPLE.T),
        ("people.iloc[0]", PEOPLE.iloc[0]),
        ("print(people.to_csv(index=False))", PEOPLE.to_csv(index=False)),
        ("print(people.to_csv(sep=';'))", PEOPLE.to_csv(sep=";")),
        ("people.to_dict()", PEOPLE.to_dict()),
        ("people.to_json()", PEOPLE.to_json()),
        ("next(people.itertuples())", next(PEOPLE.itertuples())),
        ("people['last_name'].tolist()", PEOPLE["last_name"].tolist()),
        ("people.last_name.values", PEOPLE["last_name"].to_numpy()),
        ("for name in people['last_name']:\n    print(name)", "Zqkim\nZqlee"),
        ("print(', '.join(people['first_name']))", "Zqanna, Zqbob"),
        ("people = crm.fetch('customers')\npeople.values.tolist()", PEOPLE.to_numpy().tolist()),
        (
            "people = pd.read_csv('data/shop/customers.csv')\nprint(*people.itertuples(index=False, name=None))",
            "Zqkim Zqlee",
        ),
        ("print(people['birth_date'].iloc[0])", "17.03.1971"),
        ("people['customer_id'].str[1:].astype(int).tolist()", [17, 18]),
    ],
)
def test_rows_of_customers_leave_no_output_whatever_their_form(source: str, text: object) -> None:
    (shown,) = cleaned((source, text))
    assert "left out" in shown and "Zq" not in shown and "17" not in shown


def test_a_frame_in_markup_is_left_out_too() -> None:
    for kind, shown in {"text/html": PEOPLE.to_html(), "application/json": PEOPLE.to_dict()}.items():
        output = nbformat.v4.new_output("display_data", data={kind: shown, "text/plain": "<object>"})
        cell = privacy.clean({"cells": [{"source": "show(people)", "outputs": [output]}]})["cells"][0]
        assert "left out" in str(cell) and "Zq" not in str(cell)


def test_what_was_taken_out_is_known_in_later_cells_too() -> None:
    names = PEOPLE["last_name"].tolist()
    shown = cleaned(
        ("names = people['last_name'].tolist()\nlen(names)", "2"), ("names", names), ("for n in names:\n    n", "Zqlee")
    )
    assert shown[0] == "2" and all("left out" in text for text in shown[1:])


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("people['email'].notna().mean()", "0.93"),
        ("people['customer_id'].nunique()", "np.int64(5000)"),
        ("people.dtypes", PEOPLE.dtypes),
        ("list(people.columns)", list(PEOPLE.columns)),
        ("weeks", pd.DataFrame({"week": ["2026-W01"], "orders": [3]})),
        ("shares.tolist()", [0.1, 0.2]),
    ],
)
def test_numbers_about_customers_stay(source: str, text: object) -> None:
    assert cleaned((source, text)) == [str(text)]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("(212) 555-0123", "[phone]"),
        ("06 12 34 56 78", "[phone]"),
        ("+49\u00a0170\u00a05512345", "[phone]"),
        ("0049 170 5512345", "[phone]"),
        ("(030) 1234567", "[phone]"),
        ("06.12.34.56.78", "[phone]"),
        ("+1 212-555-0123", "[phone]"),
        ("212-555-0123", "[phone]"),
        ("06\u202f12\u202f34\u202f56\u202f78", "[phone]"),
        ("anna (at) example.org", "[e-mail]"),
        ("anna [at] example [dot] org", "[e-mail]"),
        ("anna＠example.org", "[e-mail]"),
        ("anna%40example.org", "[e-mail]"),
        ("anna at example dot org", "[e-mail]"),
        ("Anna.O'Neil@example.org", "[e-mail]"),
        ("12 rue de la Paix", "[address]"),
        ("3 bis, avenue du Général Leclerc", "[address]"),
        ("Calle de Alcalá, 45", "[address]"),
        ("C/ Mayor 12", "[address]"),
        ("Hauptstraße 12a", "[address]"),
        ("12 High Street", "[address]"),
        ("born on 7 March 1971", "[date of birth]"),
        ("née le 7 mars 1971", "[date of birth]"),
        ("nacido el 7 de marzo de 1971", "[date of birth]"),
        ("geb. am 7. März 1971", "[date of birth]"),
        ("DOB: 03/07/1971", "[date of birth]"),
        ("DE89 3704 0044 0532 0130 00", "[account]"),
        ("FR1420041010050500013M02606", "[account]"),
    ],
)
def test_people_are_masked_in_the_forms_they_write(text: str, masked: str) -> None:
    assert masking.personal(f"see {text}!") == f"see {masked}!"


@pytest.mark.parametrize(
    "text",
    [
        "2026-10-01 10:00:00",
        "1 234 567",
        "10 20 30 40 50",
        "ISO 9001-2015-0001",
        "€1,234.50 to €2,345.60",
        "DE12 is a code 3456",
        "SKU 0123456789012",
        "3 of 12 customers",
        "look at 12 places",
        "5 Place mats",
        "0.5 0.6 0.7",
        "Place 3",
        "C. 12 weeks",
        "born in 1971",
        "sales at 4.5 million",
        "12-345-6789",
        "calls at night",
        "2024-2025-2026",
    ],
)
def test_numbers_dates_and_codes_are_nobody(text: str) -> None:
    assert masking.personal(text) == text


# Labels


NAMES = ["Gift for anna@example.org", "Hotline (212) 555-0123", "Mug\x0b\x00 & bowl", "+49 30 23125 959"]


def test_no_table_names_a_contact_and_every_list_does() -> None:
    frame = pd.DataFrame({"product": NAMES, "channel": pd.Categorical(NAMES), "n": [1, 2, 3, 4]})
    text = csv_text(frame)
    assert "anna@" not in text and "0123" not in text and "23125" not in text and text.count("[phone]") == 4
    assert "anna@example.org" in csv_text(frame, mask=False)
    again = csv_text(pd.DataFrame({"x": ["a"], "call 0176 1234567": [1]}))
    assert again.splitlines()[0] == "x,call [phone]"


@pytest.mark.parametrize("chart", ["dots", "bars", "own"])
def test_no_drawing_names_a_contact_or_breaks(chart: str) -> None:
    from xml.dom import minidom

    frame = pd.DataFrame({"name": NAMES, "n": [4.0, 3.0, 2.0, 1.0], "low": [1.0] * 4, "high": [5.0] * 4})
    if chart == "dots":
        made = figures.dots(frame, label="name", value="n", low="low", high="high", what="orders", form=str)
    elif chart == "bars":
        made = figures.bars(frame, label="name", value="n", what="orders", form=str)
    else:

        def paint(ax: Any, narrow: bool) -> None:
            ax.bar(NAMES, [1, 2, 3, 4], label=NAMES[0])
            ax.set_xlabel(NAMES[1])
            ax.legend()

        made = figures.draw(paint, alt="x", table={})
    for drawing in (made.wide, made.narrow):
        minidom.parseString(drawing.encode())
        text = " ".join(drawing.split())
        assert "anna@" not in text and "555-0123" not in text and "23125" not in text


def test_nothing_in_a_text_moves_a_terminal() -> None:
    text = "\x1b[31mred\x1b[0m \x1b]8;;javascript:1\x07link\x1b]8;;\x07 \x1b(B\x9b2J\x08\x7f\u202eend\ttab\nline"
    assert masking.printable(text) == "red link B2Jend\ttab\nline"
