"""Lists on their way out: each file by its tool's own rules, nobody without consent, nobody held out, nobody twice."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import crmlib as crm
from crmlib.errors import DataError, UsageError
from crmlib.handover import TARGETS, calendar, values
from crmlib.handover import people as handing
from crmlib.handover.people import LEFT_ALONE, OTHER_LIST, SHARED, TWICE, Asked, Handed, hand_over
from crmlib.publishing import csv_rows, list_text

ShopWriter = Callable[..., Path]
ORDERS = pd.DataFrame({"order_id": ["o1"], "ordered_at": ["2026-01-05"], "customer_id": ["a"]})
COLUMNS = ["customer_id", "first_name", "last_name", "email", "phone", "country", "postcode", "city", "gender",
           "birth_date", "language", "email_consent", "sms_consent", "ads_consent", "consent_at"]  # fmt: skip
NAMED = ("Ann", "Müller-Łoś, Dr.")
PEOPLE = pd.DataFrame(
    [
        ("a", *NAMED, " Ann@Example.com", "030 23125 959", "DE", "10115", "Berlin", "female", "1992-02-29", "de",
         "yes", "yes", "yes", "2025-05-01 10:00:00"),
        ("b", "=cmd()", "B", "b@example.com", "+44 (0)20 7946 0123", "GB", "N1 2XX", "London", "male", "1980-12-31",
         "en", "yes", "no", "yes", "2025-05-01"),
        ("c", "C", "C", "c@example.com", "", "", "", "", "", "", "", "no", "no", "no", "2025-05-01"),
        ("d", "D", "D", "not an address", "12", "DE", "1", "", "", "", "", "yes", "yes", "yes", "2025-05-01"),
        ("e", "E", "E", "ann@example.com", "", "", "", "", "", "", "", "yes", "no", "yes", "2025-05-01"),
        ("f", "F", "F", "C@example.com ", "", "", "", "", "", "", "", "yes", "no", "yes", "2025-05-01"),
        ("g", "G", "G", "g@example.com", "", "", "", "", "", "", "", "", "", "", ""),
        ("-1", "H", "H", "h@example.com", "00491712345678", "DE", "01067", "Dresden", "", "", "de", "yes", "no", "yes",
         "2025-05-01"),
        ("i", "I", "I", "i@example.com", "", "", "", "", "", "", "", "yes", "no", "no", "2026-06-01"),
    ],
    columns=COLUMNS,
)  # fmt: skip


@pytest.fixture
def store(write_shop: ShopWriter) -> crm.Shop:
    return crm.connect(write_shop(orders=ORDERS, customers=PEOPLE, toml='country = "DE"\n'), as_of="2026-02-01")


def rows(ids: str | list[str], **more: str) -> list[dict[str, str]]:
    return [{"customer_id": who, "reason": "bought tea", "lot": "write", **more} for who in ids]


def handed(store: crm.Shop, target: str, listed: list[dict[str, str]], **asked: object) -> tuple[Handed, str]:
    to = TARGETS[target]
    channel = str(asked.pop("channel", to.channels[0]))
    options = {"as_of": "2026-02-01", "list": "winback", "for": str(asked.pop("form", ""))}
    found = hand_over(store, listed, Asked(name="winback", target=to, channel=channel, **asked))  # type: ignore[arg-type]
    return found, to.text(found.people, options)


ALL = [*"abcdefg", "-1", "i", "nobody", "a"]


def test_who_goes_out_and_why_the_others_do_not(store: crm.Shop) -> None:
    found, _ = handed(store, "klaviyo", rows(ALL), held=frozenset({"b"}), elsewhere=frozenset({"-1"}))
    assert [person["customer_id"] for person in found.people] == ["a"]
    assert dict(found.rejected) == {
        "b": LEFT_ALONE, "c": "has not agreed", "d": "no usable Email", "e": "another row has the same Email",
        "f": SHARED, "g": "no consent on record", "-1": OTHER_LIST, "i": "no consent on record",
        "nobody": "no consent on record", "a": TWICE,
    }  # fmt: skip
    assert handed(store, "klaviyo", rows("a", lot="leave alone"))[0].rejected == (("a", LEFT_ALONE),)
    assert found.counts()["no consent on record"] == 3


def test_a_personal_answer_goes_out_whoever_is_held_out_of_mailings(store: crm.Shop) -> None:
    """As a briefing has them: those who wait for an answer with an empty lot, all others with theirs."""
    briefing = [*rows("ac", lot=""), *rows("b"), *rows(["-1"], lot="leave alone")]
    found, _ = handed(store, "klaviyo", briefing, held=frozenset({"a", "b", "-1"}))
    assert [person["customer_id"] for person in found.people] == ["a"]
    assert dict(found.rejected) == {"c": "has not agreed", "b": LEFT_ALONE, "-1": LEFT_ALONE}
    # e shares the address of a, who is left alone: an answer reaches it, a mailing does not; f's was stopped by c.
    for lot, people in (("", ["e"]), ("write", [])):
        found, _ = handed(store, "klaviyo", rows("ef", lot=lot), held=frozenset({"a"}))
        assert [person["customer_id"] for person in found.people] == people and dict(found.rejected)["f"] == SHARED
    # A list without lots is a mailing.
    bare = [{"customer_id": "a", "reason": "best customer"}]
    assert handed(store, "klaviyo", bare, held=frozenset({"a"}))[0].rejected == (("a", LEFT_ALONE),)


def test_who_waits_for_an_answer_gets_one_and_no_mailing(write_shop: ShopWriter) -> None:
    tickets = pd.DataFrame({"ticket_id": ["t"], "customer_id": ["a"], "opened_at": ["2026-01-20"], "closed_at": [""]})
    shop = crm.connect(write_shop(orders=ORDERS, customers=PEOPLE, tickets=tickets), as_of="2026-02-01")
    assert [p["customer_id"] for p in handed(shop, "klaviyo", rows("a", lot=""))[0].people] == ["a"]
    assert handed(shop, "klaviyo", rows("a"))[0].rejected == (("a", "waits for an answer to a complaint"),)


def test_an_address_of_another_channel_comes_along_only_with_its_own_consent(store: crm.Shop) -> None:
    by_mail = {person["customer_id"]: person["phone"] for person in handed(store, "klaviyo", rows("ab"))[0].people}
    assert by_mail == {"a": "+493023125959", "b": ""}  # b wants no text messages
    by_text, _ = handed(store, "klaviyo", rows("abd"), channel="sms")
    assert [person["customer_id"] for person in by_text.people] == ["a"]
    assert dict(by_text.rejected) == {"b": "has not agreed", "d": "no usable Phone Number"}


def test_without_a_column_of_consent_nobody_goes_out(write_shop: ShopWriter) -> None:
    people = PEOPLE.drop(columns=["ads_consent", "email_consent"])
    store = crm.connect(write_shop(orders=ORDERS, customers=people), as_of="2026-02-01")
    for target, column in (("google", "ads_consent"), ("klaviyo", "email_consent")):
        with pytest.raises(DataError, match=rf"customers\.{column} is missing, so nobody can be"):
            handed(store, target, rows("a"))


def test_a_wrong_channel_and_a_list_of_things_are_said(store: crm.Shop) -> None:
    with pytest.raises(UsageError, match="google takes lists for ads, not for 'email'"):
        handed(store, "google", rows("a"), channel="email")
    with pytest.raises(UsageError, match="names no customers, only product_id"):
        handed(store, "klaviyo", [{"product_id": "p"}])
    assert handed(store, "klaviyo", [])[0] == Handed((), ())


# Parsers of the tools' own rules, written from their documentation and not from our writer.


def table(text: str, header: str, delimiter: str = ",") -> list[list[str]]:
    assert "\ufeff" not in text and text.split("\r\n")[0] == header
    read = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    assert {len(row) for row in read} == {len(header.split(delimiter))}
    return read[1:]


def unique(cells: list[str]) -> None:
    there = [cell for cell in cells if cell]
    assert len(there) == len(set(there))


def test_klaviyo_takes_it(store: crm.Shop) -> None:
    header = "Email,Phone Number,First Name,Last Name,Language,Consent,Consent Timestamp,CRM List,CRM Reason"
    read = table(handed(store, "klaviyo", rows(ALL))[1], header)
    assert read[0] == ["ann@example.com", "+493023125959", *NAMED, "de", '["email"]', "2025-05-01 10:00:00", "winback",
                       "bought tea"]  # fmt: skip
    for row in read:
        assert row[0] or row[1], "every row has an address or a number"
        assert json.loads(row[5]) in (["email"], ["sms"]), "consent is a list of channels; true and false are refused"
        pd.to_datetime(row[6], format="%Y-%m-%d %H:%M:%S")
    unique([row[0] for row in read])
    unique([row[1] for row in read])
    assert "subscribes everybody" in TARGETS["klaviyo"].notice and TARGETS["klaviyo"].most_bytes == 50_000_000


def test_mailchimp_takes_it(store: crm.Shop) -> None:
    read = table(
        handed(store, "mailchimp", rows(ALL))[1],
        "Email Address,First Name,Last Name,Address,Phone Number,Birthday,Tags",
    )
    assert read[0][5:] == ["02/29", "crm:winback"] and read[1][5] == "12/31"
    assert all(re.fullmatch(r"(\d\d/\d\d)?", row[5]) for row in read)


def test_shopify_takes_it(store: crm.Shop) -> None:
    whole = (
        "Customer ID,First Name,Last Name,Email,Accepts Email Marketing,Default Address Company,"
        "Default Address Address1,Default Address Address2,Default Address City,Default Address Province Code,"
        "Default Address Country Code,Default Address Zip,Default Address Phone,Phone,Accepts SMS Marketing,"
        "Total Spent,Total Orders,Note,Tax Exempt,Tags"
    )
    ours = [name for name in whole.split(",") if name not in ("Customer ID", "Total Spent", "Total Orders")]
    read = [dict(zip(ours, row, strict=True)) for row in table(handed(store, "shopify", rows("ab"))[1], ",".join(ours))]
    assert {row[name] for row in read for name in ("Accepts Email Marketing", "Accepts SMS Marketing", "Tax Exempt")} <= {
        "yes", "no"}  # fmt: skip
    assert [row["Accepts SMS Marketing"] for row in read] == ["yes", "no"]
    assert read[1]["Default Address Country Code"] == "GB" and read[0]["Tags"] == "crm:winback"


@pytest.mark.parametrize("target", ["klaviyo", "mailchimp", "shopify", "brevo"])
def test_no_cell_begins_a_formula(store: crm.Shop, target: str) -> None:
    """A name that would run in a spreadsheet is left out; numbers begin with + and with nothing but digits behind it."""
    found, text = handed(store, target, rows("b"))
    cells = [cell for row in csv.reader(io.StringIO(text), delimiter=TARGETS[target].delimiter) for cell in row]
    assert len(found.people) == 1 and "b@example.com" in cells
    assert not [cell for cell in cells if re.match(r"[=+\-@]", cell) and not re.fullmatch(r"\+[0-9]+", cell)]


def test_google_takes_it(store: crm.Shop) -> None:
    read = table(handed(store, "google", rows(ALL))[1], "Email,Phone,First Name,Last Name,Country,Zip")
    sha = lambda text: hashlib.sha256(text.encode()).hexdigest()  # noqa: E731
    assert read[0] == [sha("ann@example.com"), sha("+493023125959"), sha("ann"), sha("müller-łoś, dr."), "DE", "10115"]
    for row in read:
        assert all(re.fullmatch("([0-9a-f]{64})?", cell) for cell in row[:4]), "all rows are hashed"
        assert not (row[2] or row[3]) or (re.fullmatch("[A-Z]{2}", row[4]) and row[5])
    # What Google's own page gives for this address.
    assert values.hashed("test@gmail.com") == "87924606b4131a8aceeeae8868531fbb9712aaa07a5d3a756b26ce0f5d6ca674"


def test_meta_takes_it_and_hashes_another_number(store: crm.Shop) -> None:
    read = table(handed(store, "meta", rows("ab"))[1], "email,phone,fn,ln,zip,ct,country,gen")
    sha = lambda text: hashlib.sha256(text.encode()).hexdigest()  # noqa: E731
    assert read[0][1] == sha("493023125959") and read[1][4:] == [sha("n12xx"), sha("london"), sha("gb"), sha("m")]
    assert TARGETS["meta"].fewest == 100


def test_brevo_takes_it(store: crm.Shop) -> None:
    read = table(
        handed(store, "brevo", rows(ALL))[1], "EMAIL;LASTNAME;FIRSTNAME;SMS;CRM_LIST;CRM_REASON", delimiter=";"
    )
    assert read[0][:4] == ["ann@example.com", NAMED[1], NAMED[0], "493023125959"]


@pytest.mark.parametrize(("form", "delimiter", "decimal"), [("", ",", "."), ("excel-de", ";", ",")])
def test_a_spreadsheet_opens_it(store: crm.Shop, form: str, delimiter: str, decimal: str) -> None:
    listed = rows(["a", "b", "-1"], worth="1234.5", product_id="00123", ean="4006381333931")
    text = handed(store, "spreadsheet", listed, form=form)[1]
    assert text.startswith("\ufeffcustomer_id")
    read = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=delimiter))
    assert [row["customer_id"] for row in read] == ["a", "b", "'-1"]
    assert read[1]["first_name"] == "'=cmd()" and read[0]["phone"] == "'+493023125959"
    assert read[2]["postcode"] == "'01067" and read[0]["product_id"] == "'00123"
    assert read[0]["worth"] == f"1234{decimal}5" and read[0]["birth_date"] == "1992-02-29"


def test_a_calendar_reads_it() -> None:
    """As RFC 5545 has it: lines of 75 octets ended by CRLF, days as dates, unique and stable names."""
    people = [{"birth_date": "1992-02-29", "by": "2026-02-10"}, {"birth_date": "1980-12-31", "by": "2026-02-10"},
              {"birth_date": "1999-12-31", "by": ""}]  # fmt: skip
    options = {"as_of": "2026-02-01", "list": "ä" * 40 + ";,"}
    text = calendar.TARGET.text(people, options)
    assert text == calendar.TARGET.text(people, options)
    assert text.endswith("END:VCALENDAR\r\n") and "\n" not in text.replace("\r\n", "")
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    lines = text.replace("\r\n ", "").split("\r\n")
    events = [dict(line.split(":", 1) for line in part.split("\n") if ":" in line)
              for part in "\n".join(lines).split("BEGIN:VEVENT")[1:]]  # fmt: skip
    assert [event["SUMMARY"].rsplit(": ")[-1] for event in events] == ["2 due", "1 birthday", "2 birthdays"]
    assert [event["DTSTART;VALUE=DATE"] for event in events] == ["20260210", "20260228", "20261231"]
    assert events[1]["RRULE"] == "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1" and events[2]["RRULE"] == "FREQ=YEARLY"
    assert len({event["UID"] for event in events}) == 3 and "\\;\\," in events[0]["SUMMARY"]
    # With a country its public holidays of the coming year stand beside them, and nobody is in a calendar without days.
    free = calendar.TARGET.text(people, options | {"country": "DE"})
    assert (
        free.count("BEGIN:VEVENT") == 3 + 9 and "SUMMARY:Good Friday" in free and "DTSTART;VALUE=DATE:20260403" in free
    )
    assert "BEGIN:VEVENT" not in calendar.TARGET.text([], options | {"country": "DE"})
    assert calendar._next(date(2028, 2, 29), 2, 29) == date(2028, 2, 29)


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("0171 2345678", "DE", "+491712345678"), ("(555) 123-4567", "US", "+15551234567"),
        ("1 555 123 4567", "US", "+15551234567"), ("06 12345678", "IT", "+390612345678"),
        ("06 30 123 4567", "HU", "+36301234567"), ("612 345 678", "ES", "+34612345678"), ("'+33 1 99 00 12 34", "", "+33199001234"),
        ("0049 30 23125000", "", "+493023125000"), ("call me", "DE", ""), ("+0 123 456 789", "DE", ""), ("123", "", ""),
        ("+49 30 231259591234567", "DE", ""), ("٣٠٢٣١٢٥", "DE", ""),
    ],
)  # fmt: skip
def test_numbers_become_e164_or_nothing(text: str, country: str, number: str) -> None:
    assert values.phone(text, country) == number


def written(target: str, text: str) -> int:
    """How many people a file is for, by the target's own rules."""
    if target == "calendar":
        return sum(map(int, re.findall(r"SUMMARY:l: (\d+) birthday", text)))
    lines = [
        row for row in csv.reader(io.StringIO(text.removeprefix("\ufeff")), delimiter=TARGETS[target].delimiter) if row
    ]
    assert {len(row) for row in lines[1:]} <= {len(lines[0]) if lines else 0}
    return max(len(lines) - 1, 0)


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_ten_thousand_lists_hold_nobody_who_must_not_be_in_them(
    target: str, write_shop: ShopWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each target 3 random shops and 420 random lists of each: consent, control, shared addresses and doubles."""
    to, found, handed_over = TARGETS[target], [], 0
    rng, decide = np.random.default_rng(14), handing.decide
    monkeypatch.setattr(handing, "decide", lambda rows, known, asked: found.append(known) or Handed((), ()))
    ids, channel = [f"k{i}" for i in range(30)], to.channels[0]
    for number in range(3):
        mail, at = rng.integers(0, 25, 30), rng.choice(["2025-01-01", "2026-03-01", ""], 30, p=[0.6, 0.1, 0.3])
        agreed = rng.choice(["yes", "no", ""], 30, p=[0.7, 0.15, 0.15])
        frame = pd.DataFrame({"customer_id": ids, "email": [f"M{m}@example.com" for m in mail], f"{channel}_consent": agreed,
                              "consent_at": at, "birth_date": [f"19{50 + k}-0{1 + k % 9}-1{k % 10}" for k in range(30)]})  # fmt: skip
        held = frozenset(rng.choice(ids, 4))
        shop = crm.connect(write_shop(f"s{number}", orders=ORDERS, customers=frame), as_of="2026-02-01")
        asked = Asked(name="l", target=to, channel=channel, held=held)
        hand_over(shop, rows([*ids, "stranger"]), asked)
        late = at == "2026-03-01"
        stopped = {m for m, no, who in zip(mail, (agreed == "no") & ~late, ids, strict=True) if no or who in held}
        may = {
            who for who, m, yes in zip(ids, mail, (agreed == "yes") & ~late, strict=True) if yes and m not in stopped
        }
        once = any(column.once for column in to.fields)
        for turn in range(420):
            listed = [str(who) for who in rng.choice([*ids, "stranger"], rng.integers(0, 40))]
            people = decide(rows(listed), found[-1], asked).people
            got = [person["customer_id"] for person in people]
            mails = [mail[ids.index(who)] for who in got]
            assert set(got) <= may & set(listed) and len(set(got)) == len(got)
            assert not once or len(set(mails)) == len(mails)
            # Nobody is lost either: each address that may be written to is in the file.
            assert set(mails) == {mail[ids.index(who)] for who in may & set(listed)}
            if turn % 20 == 0:
                assert written(target, to.text(people, {"as_of": "2026-02-01", "list": "l"})) == len(got)
            handed_over += len(got)
    assert handed_over > 2_000


def test_lists_open_in_a_spreadsheet_and_are_read_back(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"customer_id": ["-123", "007"], "sum": [0.1 + 0.2, 1e-7], "big": [123456789012.5, 1e16], "day": [date(2026, 1, 2)] * 2,
         "name": ["Łoś", "=1+1"]}
    )  # fmt: skip
    file = tmp_path / "list.csv"
    file.write_text(list_text(frame), encoding="utf-8", newline="")
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    assert csv_rows(file) == [
        {"customer_id": "-123", "sum": "0.3", "big": "123456789012.50", "day": "2026-01-02", "name": "Łoś"},
        {"customer_id": "007", "sum": "0.0000001", "big": "10000000000000000.00", "day": "2026-01-02", "name": "=1+1"},
    ]
    assert pd.read_csv(file, dtype=str)["sum"].tolist() == ["0.3", "0.0000001"]


NOTICES = {
    "klaviyo": "subscribes everybody in the file", "mailchimp": "would subscribe again who has unsubscribed",
    "shopify": "gives consent back to who has withdrawn it", "google": "another consent than that to e-mail",
    "meta": "another consent than that to e-mail", "brevo": "makes everybody in the file a contact who may be mailed",
    "spreadsheet": "whoever unsubscribes after today is still in it", "calendar": "names none",
}  # fmt: skip


def test_each_target_says_where_its_file_could_grant_what_nobody_gave() -> None:
    assert set(NOTICES) == set(TARGETS)
    assert [name for name, words in NOTICES.items() if words not in TARGETS[name].notice] == []
