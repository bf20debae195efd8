"""The queue of the week: nobody twice, nobody who may not be contacted, no more than can be done, answers first."""

from __future__ import annotations

import doctest
import importlib
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import crmlib as crm
from crmlib.analysis.briefing import occasions, page, part_earned, queue
from crmlib.analysis.briefing.page import part_days
from crmlib.analysis.briefing.queue import Queue
from crmlib.analysis.earned import Earned, earned
from crmlib.cli import main
from crmlib.findings import Action
from crmlib.publishing import Run, list_text
from crmlib.report.folder import kept
from tests.test_archive import put

ShopWriter = Callable[..., Path]

AS_OF = date(2026, 2, 27)
PEOPLE = [f"c{n:03d}" for n in range(120)]


def customers(**more: object) -> pd.DataFrame:
    frame = pd.DataFrame(
        {"customer_id": PEOPLE, "email": [f"{who}@example.com" for who in PEOPLE], "phone": "+49301234567",
         "email_consent": [n % 3 != 0 for n in range(len(PEOPLE))], "sms_consent": [n % 9 == 0 for n in range(len(PEOPLE))],
         "consent_at": "2026-01-01", "birth_date": "1980-06-01"}
    )  # fmt: skip
    return frame.assign(**more)


def orders(n: int = 1) -> pd.DataFrame:
    rows = [(f"o{who}{k}", f"{AS_OF - timedelta(days=1 + k)}", who, 10.0) for who in PEOPLE for k in range(n)]
    return pd.DataFrame(rows, columns=["order_id", "ordered_at", "customer_id", "total"])


def run(folder: Path, report: str, lists: dict[str, pd.DataFrame], actions: list[Action]) -> Run:
    (folder / report / "lists").mkdir(parents=True, exist_ok=True)
    for name, frame in lists.items():
        (folder / report / "lists" / f"{name}.csv").write_text(list_text(frame), encoding="utf-8")
    return Run(report=report, title=report.title(), as_of=AS_OF, headline="", metrics={}, actions=tuple(actions), record=(),
               folder=folder / report)  # fmt: skip


def listed(ids: list[str], store: crm.Shop, **more: object) -> pd.DataFrame:
    lots = ["write" if store.lot(who, of=f"marketing {AS_OF.year}-1") else "leave alone" for who in ids]
    return pd.DataFrame({"customer_id": ids, "lot": lots, "email": ""}).assign(**more)


@pytest.fixture
def store(write_shop: ShopWriter) -> crm.Shop:
    return crm.connect(write_shop(orders=orders(), customers=customers()), as_of=AS_OF)


def two_runs(folder: Path, store: crm.Shop) -> list[Run]:
    due = listed(PEOPLE[:80], store, reason="due", margin_last_year=range(80))
    back = listed(PEOPLE[40:], store, reason="left", margin_last_year=50.0, chance_back=0.1)
    waits = pd.DataFrame({"customer_id": [*PEOPLE[:5], "", ""], "email": "", "feedback_id": "f",
                          "reason": "unhappy about delivery time, no answer on record"})  # fmt: skip
    values = pd.DataFrame({"customer_id": PEOPLE, "expected_value": range(120), "low_value": 0.0, "high_value": 200.0})
    return [
        run(folder, "purchase_cycles", {"due": due}, [Action(what="Remind 80 customers, soonest first", file="lists/due.csv")]),
        run(folder, "retention", {"win_back": back}, [Action(what="Write to 80 customers", file="lists/win_back.csv")]),
        run(folder, "feedback", {"reply_queue": waits}, [Action(what="Answer these 5 texts", file="lists/reply_queue.csv",
                                                                by=AS_OF)]),
        run(folder, "lifetime_value", {"customers": values}, [Action(what="Cut 3 channels", file="tables/channels.csv")]),
    ]  # fmt: skip


def asked(store: crm.Shop, runs: list[Run], **more: int) -> Queue:
    return queue(store, runs, earned(store), **more)


def test_answers_come_first_then_what_is_at_stake_and_nobody_twice(tmp_path: Path, store: crm.Shop) -> None:
    found = asked(store, two_runs(tmp_path, store), contacts=20)
    people = found.people
    assert people["customer_id"].is_unique and len(found.contacts) == 20
    assert list(people["customer_id"][:5]) == PEOPLE[4::-1], "who is worth most is answered first"
    assert found.waiting == 5 and set(people["reason"][:5]) == {"unhappy about delivery time, no answer on record (f)"}
    rest = people[5:]
    # 79, 78 … are worth most of the due; those who left come back with a chance of a tenth.
    assert rest["customer_id"].is_monotonic_decreasing and rest["customer_id"].iloc[0] <= "c079"
    assert set(rest["what"]) == {"Remind customers"}
    days = [AS_OF, *[AS_OF + timedelta(days=3)] * 4, *people["by"][5:]]
    answer, contact = page(store, replace(found, people=people.assign(by=days)), earned(store)).actions
    assert answer.by == AS_OF + timedelta(days=3) and contact.by == date(2026, 3, 4)
    assert answer.why.endswith("nobody is held back. 1 of them sooner, from 27\xa0February on. "
                               "2 more, by guests, are on Feedback's list alone.")  # fmt: skip
    assert people.set_index("customer_id").loc["c004", "also"] == "due"
    assert list(people.loc[0, ["expected_value", "low_value", "high_value"]]) == [4.0, 0.0, 200.0]


def test_consent_is_asked_anew_and_by_channel(tmp_path: Path, store: crm.Shop) -> None:
    found = asked(store, two_runs(tmp_path, store), contacts=1000)
    written = found.people[found.people["lot"] != ""]
    number = written["customer_id"].str[1:].astype(int)
    assert set(written.loc[number % 3 == 0, "channel"]) == {"sms"} and (number[number % 3 == 0] % 9 == 0).all()
    assert set(written.loc[number % 3 != 0, "channel"]) == {"email"}
    assert found.unreachable == sum(n % 3 == 0 and n % 9 != 0 for n in range(5, 120)) and found.beyond == 0


@pytest.mark.parametrize(
    ("lacks", "ways", "unreachable"),
    [
        (["sms_consent"], {"email"}, sum(n % 3 == 0 for n in range(5, 120))),
        (["email_consent"], {"sms", ""}, 0),
        (["email_consent", "sms_consent"], {""}, 0),
    ],
)
def test_no_channel_is_proposed_of_which_nobody_knows_who_agreed(
    tmp_path: Path, write_shop: ShopWriter, lacks: list[str], ways: set[str], unreachable: int
) -> None:
    shop = crm.connect(write_shop(orders=orders(), customers=customers().drop(columns=lacks)), as_of=AS_OF)
    found = asked(shop, two_runs(tmp_path, shop), contacts=1000)
    written = found.people[found.people["lot"] != ""]
    assert set(written["channel"]) == ways and found.unreachable == unreachable
    by_text = written.loc[written["channel"] == "sms", "customer_id"].str[1:].astype(int)
    assert (by_text % 9 == 0).all() and bool(len(by_text)) == ("sms" in ways)
    unsure = any("nobody knows whether they agreed" in action.why for action in page(shop, found, earned(shop)).actions)
    assert unsure == ("" in ways)


def test_an_answer_goes_where_there_is_an_address(tmp_path: Path, write_shop: ShopWriter) -> None:
    people = customers().assign(email=["", "", *customers()["email"][2:]], phone=["", *["+49301234567"] * 119])
    shop = crm.connect(write_shop(orders=orders(), customers=people), as_of=AS_OF)
    answered = asked(shop, two_runs(tmp_path, shop), contacts=5).people.set_index("customer_id")["channel"]
    assert answered.loc[["c000", "c001", "c002"]].tolist() == ["", "phone", "email"]


def test_those_left_alone_stand_where_they_would_have_come_and_are_no_contacts(tmp_path: Path, store: crm.Shop) -> None:
    found = asked(store, two_runs(tmp_path, store), contacts=30)
    alone = found.people[found.people["lot"] == "leave alone"]
    assert len(alone) and not set(alone["customer_id"]) & set(found.contacts["customer_id"])
    assert all(not store.lot(who, of="marketing 2026-1") for who in alone["customer_id"])
    again = asked(store, two_runs(tmp_path, store), contacts=30)
    pd.testing.assert_frame_equal(found.people, again.people)


def test_whoever_was_contacted_this_week_is_not_proposed_again(
    tmp_path: Path, store: crm.Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = asked(store, two_runs(tmp_path, store), contacts=20)
    done = list(first.contacts["customer_id"])
    kept.remember(tmp_path, {"list": "briefing", "channel": "email", "day": str(AS_OF - timedelta(days=2))}, done)
    monkeypatch.setenv(kept.VARIABLE, str(tmp_path / kept.FOLDER))
    second = asked(store, two_runs(tmp_path, store), contacts=20)
    assert not set(second.contacts["customer_id"]) & set(done) and len(second.contacts) == 20


def test_after_a_lost_key_nobody_who_was_held_out_is_contacted(
    tmp_path: Path, store: crm.Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = two_runs(tmp_path, store)
    first = asked(store, runs, contacts=1000).people
    held = set(first.loc[first["lot"] == "leave alone", "customer_id"])
    assert held
    rows = [{"customer_id": who, "list": "due", "since": str(AS_OF - timedelta(days=7)),
             "until": str(AS_OF + timedelta(days=50))} for who in sorted(held)]  # fmt: skip
    kept.keep(tmp_path, kept.HELD, rows)
    monkeypatch.setenv(kept.VARIABLE, str(tmp_path / kept.FOLDER))
    monkeypatch.setenv("CRM_KEY", "another key")
    for found in (asked(store, runs, contacts=1000), asked(store, two_runs(tmp_path / "new", store), contacts=1000)):
        assert not held & set(found.contacts.loc[found.contacts["lot"] != "", "customer_id"])
        assert held <= set(found.people["customer_id"]) | set(PEOPLE[:5])


def test_each_row_says_who_does_it_and_with_which_offer(tmp_path: Path, write_shop: ShopWriter) -> None:
    offers = 'due = "a second cup"\nwin_back = "free delivery"\nmilestone = "a card"\nwin_bak = "tea"\n'
    toml = f'[owners]\nmarketing = "Anna"\n[offers]\n{offers}'
    store = crm.connect(write_shop(orders=orders(), customers=customers(), toml=toml), as_of=AS_OF)
    runs = two_runs(tmp_path, store)
    due = listed(PEOPLE[:80], store, suggest=["Kettle" if n % 2 else "" for n in range(80)], margin_last_year=900)
    runs[0] = run(tmp_path, "purchase_cycles", {"due": due},
                  [Action(what="Remind 80 customers", file="lists/due.csv", owner="Bo")])  # fmt: skip
    found = asked(store, runs, contacts=1000)
    rows = found.people.set_index("customer_id")
    assert rows.loc["c041", ["list", "owner", "offer"]].tolist() == ["due", "Bo", "Kettle"]
    assert rows.loc["c040", ["list", "owner", "offer"]].tolist() == ["due", "Bo", "a second cup"]
    assert rows.loc["c100", ["list", "owner", "offer"]].tolist() == ["win_back", "", "free delivery"]
    assert rows.loc["c000", ["list", "owner", "offer"]].tolist() == ["reply_queue", "", ""]
    said = page(store, found, earned(store))
    chart = next(part for part in said.parts if part.lists).chart
    assert chart and "Bo" in str(chart.table) and found.unknown == ("milestone", "win_bak")
    assert "an offer for milestone and win_bak, and nobody is on those lists" in said.caveats[0].text
    round_ones = crm.connect(write_shop("ten", orders=orders(10), customers=customers(), toml=toml), as_of=AS_OF)
    alone = asked(round_ones, [], contacts=1000).people
    assert set(alone["owner"]) == {"Anna"} and set(alone["offer"]) == {"a card"}


def test_a_list_that_costs_more_than_it_brings_is_not_proposed(tmp_path: Path, store: crm.Shop) -> None:
    row = {"list": "due", "verdict": "costs more than it brings", "each": -3.0}
    measured = Earned(pd.DataFrame([row]), "margin", "EUR", 1.0, AS_OF)
    found = queue(store, two_runs(tmp_path, store), measured, contacts=1000)
    assert "due" not in set(found.people["list"]) and "win_back" in set(found.people["list"])
    earns = Earned(
        pd.DataFrame([row | {"list": "win_back", "verdict": "earns", "each": 3.9}]), "margin", "EUR", 1.0, AS_OF
    )
    best = queue(store, two_runs(tmp_path, store), earns, contacts=50).people
    # A twentieth of 79 is 3.95; below it what is known to earn comes first.
    assert best.loc[best["lot"] != "", "list"].iloc[1:].eq("win_back").mean() > 0.9


def test_nobody_without_consent_or_twice_over_random_lists(tmp_path: Path, store: crm.Shop) -> None:
    may = {who for n, who in enumerate(PEOPLE) if n % 3 != 0 or n % 9 == 0}
    chance = random.Random(7)
    for trial in range(25):
        runs = []
        for name in ("a", "b", "c")[: chance.randint(1, 3)]:
            ids = chance.sample([*PEOPLE, "stranger"], chance.randint(0, 60))
            frame = listed(ids, store, margin_last_year=[chance.choice(["", 5, 80]) for _ in ids])
            runs.append(
                run(tmp_path / str(trial), name, {name: frame}, [Action(what="Write", file=f"lists/{name}.csv")])
            )
        found = asked(store, runs, contacts=chance.randint(1, 90))
        assert found.people["customer_id"].is_unique
        assert set(found.people["customer_id"]) <= may


def test_birthdays_of_29_february_are_kept_and_cards_are_beside_the_capacity(write_shop: ShopWriter) -> None:
    born = {
        "c001": "1988-02-29",
        "c002": "1990-03-01",
        "c004": "1990-02-26",
        "c005": "1970-03-05",
        "c007": "1970-03-06",
    }
    frame = customers(birth_date=[born.get(who, "1980-06-01") for who in PEOPLE])
    shop = crm.connect(write_shop(orders=orders(), customers=frame), as_of=AS_OF)
    found = occasions(shop)
    days = dict(zip(found["customer_id"], found["by"], strict=True))
    assert days == {"c001": date(2026, 2, 28), "c002": date(2026, 3, 1), "c005": date(2026, 3, 5)}
    cards = asked(shop, [], contacts=1).cards
    assert set(cards["customer_id"]) == set(days) and asked(shop, []).people.empty
    leap = crm.connect(write_shop(orders=orders(), customers=frame), as_of=date(2028, 2, 27))
    assert dict(zip(*occasions(leap)[["customer_id", "by"]].T.to_numpy(), strict=True))["c001"] == date(2028, 2, 29)


def test_round_orders_and_the_next_of_a_line(write_shop: ShopWriter) -> None:
    shop = crm.connect(write_shop(orders=orders(10), customers=customers()), as_of=AS_OF)
    assert set(occasions(shop)["list"]) == {"milestone"} and len(occasions(shop)) == len(PEOPLE)
    days = [AS_OF - timedelta(days=400 - 60 * n) for n in range(6)] + [AS_OF - timedelta(days=3)]
    made = [(f"p{n}", f"Vintage {2019 + n}", "Castle") for n in range(7)]
    rows = [(f"o{n}{who}", day, who, f"p{n}") for n, day in enumerate(days) for who in ("c001", "c002", "c004")]
    # c002 has the newest already, c004 lacks one of the five.
    rows = [row for row in rows if (row[2], row[3]) not in {("c001", "p6"), ("c004", "p3"), ("c004", "p6")}]
    lines = pd.DataFrame(rows, columns=["order_id", "ordered_at", "customer_id", "product_id"])
    shop = crm.connect(
        write_shop(
            orders=lines[["order_id", "ordered_at", "customer_id"]].assign(total=9.0),
            order_lines=lines[["order_id", "product_id"]].assign(quantity=1, unit_price=9.0),
            products=pd.DataFrame(made, columns=["product_id", "name", "brand"]),
        ),
        as_of=AS_OF,
    )
    found = occasions(shop)
    assert found[["customer_id", "reason", "offer"]].to_numpy().tolist() == [
        ["c001", "bought the last five of Castle", "Vintage 2025"]
    ]


def test_the_page_counts_people_and_names_none(tmp_path: Path, store: crm.Shop) -> None:
    found = asked(store, two_runs(tmp_path, store), contacts=20)
    said = page(store, found, earned(store))
    assert said.headline == "20 customers to contact this week; 5 of them have no answer yet."
    assert [one.what for one in said.actions] == ["Answer 5 customers", "Contact 15 customers"]
    texts = said.texts
    assert set(texts) == {"briefing.txt", "briefing.ics"} and "c0" not in texts["briefing.txt"].replace("\r", "")
    assert texts["briefing.ics"].count("BEGIN:VEVENT") == texts["briefing.ics"].count("END:VEVENT") >= 1
    assert said["contacts"].value == 20 and said["actions"].value == 1 and said["earned"].value is None
    assert part_earned(earned(store)).title == "What lists earn is not measured yet"


def test_an_exported_briefing_holds_answers_to_those_held_out_and_no_mailing_to_them(
    tmp_path: Path, write_shop: ShopWriter
) -> None:
    reports, everybody = tmp_path / "reports", customers(email_consent=True, phone="")
    texts = pd.DataFrame({"feedback_id": PEOPLE[:5], "customer_id": PEOPLE[:5], "created_at": "2026-02-20",
                          "text": "The parcel never arrived.", "rating": 1})  # fmt: skip
    folder = write_shop(orders=orders(), customers=everybody, feedback=texts)
    found = asked(crm.connect(folder, as_of=AS_OF), two_runs(tmp_path, crm.connect(folder, as_of=AS_OF)), contacts=60)
    lists = put(reports, str(AS_OF), report="briefing") / "lists"
    lists.mkdir()
    (lists / "briefing.csv").write_text(list_text(found.people), encoding="utf-8")
    alone = {*found.people.loc[found.people["lot"] == "leave alone", "customer_id"], *PEOPLE[:3]}
    kept.keep(reports, kept.HELD, [{"customer_id": who, "list": "due", "since": str(AS_OF), "until": "2026-04-30"}
                                   for who in sorted(alone)])  # fmt: skip
    words = ["export", "briefing", "briefing", "--to", "brevo", "--shop", str(folder), "--reports", str(reports)]
    told = CliRunner().invoke(main, words)
    assert told.exit_code == 0, told.output
    sent = {row["customer_id"]: row["personal"] for row in kept.rows(reports, kept.EXPORTED)}
    assert set(PEOPLE[:5]) <= set(sent) and {who for who, own in sent.items() if own} == set(PEOPLE[:5])
    assert set(sent) & alone == set(PEOPLE[:3]) and set(sent) == set(found.contacts["customer_id"])
    text = (kept.folder(reports) / "exports" / f"{AS_OF}-briefing-briefing-brevo.csv").read_text()
    assert "c000@example.com" in text and len(text.splitlines()) == 61


def test_days_to_know_are_holidays_closures_campaigns_and_greetings(write_shop: ShopWriter) -> None:
    toml = """
        country = "DE"
        [[closures]]
        from = 2026-03-30
        to = 2026-04-20
        [[closures]]
        from = 2026-03-01
        to = 2026-03-31
        name = "Stocktaking"
        [[campaigns]]
        from = 2026-04-10
        name = "Spring sale"
        [[campaigns]]
        from = 2026-04-16
        name = "Too far ahead"
        [[campaigns]]
        from = 2026-03-01
        to = 2026-03-30
        name = "Over"
    """
    born = customers(birth_date=[f"19{50 + n % 40}-0{4 if n < 20 else 6}-02" for n in range(len(PEOPLE))])
    day = date(2026, 3, 31)
    shop = crm.connect(write_shop(orders=orders(), customers=born, toml=toml), as_of=day)
    found = asked(shop, [])
    greeted = int((found.cards["lot"] != "leave alone").sum())
    said = [line for line in page(shop, found, earned(shop)).texts["briefing.txt"].split("\n") if line.startswith("- ")]
    assert said[-3:] == [
        "- 31\xa0March: Stocktaking",
        "- 31\xa0March: closed",
        f"- 2\xa0April: {greeted} birthday greetings",
    ]
    text = part_days(shop, found)
    assert text and text.title == "Days to know in the next two weeks"
    for what in ("3\xa0April: Good Friday", "6\xa0April: Easter Monday", "10\xa0April: Spring sale"):
        assert what in text.sentence
    assert "Too far" not in text.sentence and "Over" not in text.sentence
    quiet = crm.connect(write_shop("quiet", orders=orders(), customers=customers()), as_of=AS_OF)
    assert part_days(quiet, asked(quiet, [])) is None


def test_nobody_is_proposed_long_after_the_data_end(write_shop: ShopWriter, tmp_path: Path) -> None:
    born = customers(birth_date=["1980-06-05"] * len(PEOPLE))
    folder, late = write_shop(orders=orders(10), customers=born), date(2026, 6, 1)
    shop = crm.connect(folder, as_of=late)
    assert shop.data_through and (late - shop.data_through).days > 92
    found = asked(shop, two_runs(tmp_path, shop))
    assert found.people.empty and found.cards.empty and found.ended == shop.data_through
    said = page(shop, found, earned(shop))
    assert said.headline.startswith("Nobody is proposed: the data end on ") and not said.lists
    fresh = crm.connect(folder, as_of=shop.data_through + timedelta(days=90))
    assert asked(fresh, []).ended is None


def test_an_open_ticket_comes_first_whatever_the_lot(write_shop: ShopWriter) -> None:
    rows = [("t1", "c003", "2026-02-20", "", ""), ("t2", "c003", "2026-02-10", "", ""), ("t3", "c004", "2026-02-20",
            "2026-02-21", ""), ("t4", "c005", "2025-12-01", "", ""), ("t5", "c006", "2026-02-20", "", "2026-02-22"),
            ("t6", "c007", "2026-02-20", "2026-03-01", "")]  # fmt: skip
    tickets = pd.DataFrame(rows, columns=["ticket_id", "customer_id", "opened_at", "first_reply_at", "closed_at"])
    shop = crm.connect(
        write_shop(orders=orders(), customers=customers(), tickets=tickets.assign(topic="damaged")), as_of=AS_OF
    )
    found = asked(shop, [])
    # c003 agreed to nothing, and gets an answer all the same; c007's answer came after that day.
    assert list(found.people["customer_id"]) == ["c003", "c007"] and found.waiting == 2
    assert found.people["reason"].iloc[0] == "ticket t2 about damaged of 10\xa0February without an answer"


def test_what_old_reports_ask_for_is_left_out_and_said(tmp_path: Path, store: crm.Shop) -> None:
    runs = two_runs(tmp_path, store)
    runs[0] = replace(runs[0], as_of=AS_OF - timedelta(days=15))
    found = asked(store, runs)
    assert "purchase_cycles" not in set(found.people["report"]) and found.old == ("Purchase_Cycles",)
    assert "Left out, since more than 14 days old" in page(store, found, earned(store)).caveats[0].text


def test_without_other_reports_the_page_says_what_to_do(store: crm.Shop) -> None:
    said = page(store, asked(store, []), earned(store))
    assert said.headline == "Nobody is to be contacted this week; no report asks for anything."
    assert "run them all" in said.caveats[0].text


@pytest.mark.parametrize("module", ["briefing.occasions", "briefing.queue", "earned"])
def test_examples_of_docstrings_run(module: str, store: crm.Shop) -> None:
    people = pd.DataFrame({"day": pd.to_datetime(["2026-01-05"] * 2), "alone": [True, False], "value": 1.0, "before": 1.0,
                           "contacted": False, "answered": False})  # fmt: skip
    shown = {"store": store, "earned": earned(store), "PEOPLE": people, "DAY": AS_OF}
    made = importlib.import_module(f"crmlib.analysis.{module}")
    found = doctest.testmod(made, extraglobs=shown if module != "earned" else shown | {"earned": made.earned})
    assert found.attempted and not found.failed
