"""Who may be written to, who is left out and why, and lots that stay."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_effectsize

import crmlib as crm
from crmlib.analysis import outreach
from crmlib.lots import LEAVE
from crmlib.report.folder import kept
from crmlib.report.key import key_of

ShopWriter = Callable[..., Path]

ORDERS = pd.DataFrame({"order_id": ["o1"], "ordered_at": ["2026-01-05"], "customer_id": ["a"]})
CUSTOMERS = pd.DataFrame(
    [
        ("a", "a@example.com", "true", "2026-01-01"), ("b", "b@example.com", "false", "2026-01-01"),
        ("c", "", "true", "2026-01-01"), ("d", "d@example.com", "", ""), ("e", "e@example.com", "true", "2026-03-01"),
    ],
    columns=["customer_id", "email", "email_consent", "consent_at"],
)  # fmt: skip
LIST = pd.DataFrame({"customer_id": ["e", "d", "c", "b", "a", "x", "a"], "about": range(7)})


def shop(write_shop: ShopWriter, customers: pd.DataFrame | None = CUSTOMERS) -> crm.Shop:
    tables = {"orders": ORDERS} | ({} if customers is None else {"customers": customers})
    return crm.connect(write_shop(**tables), as_of="2026-02-01")


@pytest.mark.usefixtures("nobody_left_alone")
def test_only_those_who_agreed_and_can_be_reached_stay_and_the_rest_is_counted(write_shop: ShopWriter) -> None:
    found = outreach.contactable(shop(write_shop), LIST)
    assert found.frame[["customer_id", "about"]].to_dict("list") == {"customer_id": ["a", "a"], "about": [4, 6]}
    assert (
        list(found.frame) == ["customer_id", "lot", "email", "email_consent", "consent_at", "about"] and found.checked
    )
    assert list(found.frame["email"]) == ["a@example.com"] * 2
    assert list(found.frame["consent_at"]) == [date(2026, 1, 1)] * 2
    # e agreed after the day of the report, x is no customer the shop knows.
    assert found.left_out == {"refused": 1, "unknown": 3, "no address": 1}
    assert found.note == (
        "Left out: 1 who has not agreed to marketing e-mail, 3 who have no consent on record and 1 who has not left an "
        "e-mail address."
    )


@pytest.mark.usefixtures("nobody_left_alone")
def test_nobody_left_out_is_said_too(write_shop: ShopWriter) -> None:
    found = outreach.contactable(shop(write_shop), LIST[LIST["customer_id"] == "a"])
    assert len(found.frame) == 2 and found.left_out == {}
    assert found.note == "All on the list have agreed to marketing e-mail."
    nobody = outreach.contactable(shop(write_shop), LIST.head(0))
    assert nobody.frame.empty and nobody.left_out == {}


@pytest.mark.usefixtures("nobody_left_alone")
def test_a_shop_that_does_not_know_consent_says_so(write_shop: ShopWriter) -> None:
    for customers in (None, CUSTOMERS[["customer_id"]]):
        found = outreach.contactable(shop(write_shop, customers), LIST)
        assert len(found.frame) == 7 and not found.checked
        assert found.note.startswith(
            "The data does not say who agreed to marketing e-mail, so the list holds no e-mail"
        )
        assert "the column email_consent of customers would tell." in found.note
    addressed = outreach.contactable(shop(write_shop, CUSTOMERS[["customer_id", "email"]]), LIST)
    assert list(addressed.frame["customer_id"]) == ["e", "d", "b", "a", "a"]
    assert not {"email", "phone"} & set(addressed.frame)
    called = shop(write_shop, CUSTOMERS[["customer_id", "email", "email_consent"]].assign(phone="030 1234567"))
    texted = outreach.contactable(called, LIST, channel="sms")
    assert len(texted.frame) == 6 and not {"email", "phone"} & set(texted.frame)
    assert "the column sms_consent of customers would tell." in texted.note
    assert {"email", "phone"} <= set(outreach.contactable(called, LIST).frame)
    assert addressed.left_out == {"no address": 2} and "2 who have not left an e-mail address" in addressed.note


def test_text_messages_have_a_consent_of_their_own(write_shop: ShopWriter) -> None:
    customers = CUSTOMERS.assign(sms_consent="true", phone=["+49 30 1", "", "", "", ""], consent_at="2026-01-01")
    found = outreach.contactable(shop(write_shop, customers), LIST, channel="sms")
    assert set(found.frame["customer_id"]) == {"a"} and found.left_out == {"unknown": 1, "no address": 4}
    assert "phone number" in found.note


def test_lots_are_kept_by_key_and_id(monkeypatch: pytest.MonkeyPatch, write_shop: ShopWriter) -> None:
    """The same on a rerun with the same key and for every list of a half-year; another key or half draws anew."""
    folder = write_shop(orders=ORDERS)
    ids = [f"C{i:05d}" for i in range(4000)]

    def drawn_by(key: str, as_of: str = "2026-02-01") -> list[str]:
        monkeypatch.setenv("CRM_KEY", key)
        return outreach.lots(ids, shop=crm.connect(folder, as_of=as_of))

    one = drawn_by("a key of sixteen letters")
    assert one == drawn_by("a key of sixteen letters") and set(one) == {"write", "leave alone"}
    assert one == drawn_by("a key of sixteen letters", as_of="2026-06-30")
    assert 3100 <= one.count("write") <= 3300  # 3,203 ± 3.8 standard errors
    for other in (drawn_by("another key of sixteen"), drawn_by("a key of sixteen letters", as_of="2026-07-01")):
        assert 2600 <= sum(a == b for a, b in zip(one, other, strict=True)) <= 2840  # 0.8² + 0.2² of them, by chance
    monkeypatch.setenv("CRM_KEY", "a key of sixteen letters")
    some = outreach.lots(ids[7:9], shop=crm.connect(folder, as_of="2026-02-01"), act="call")
    assert [lot == "call" for lot in some] == [lot == "write" for lot in one[7:9]]


@pytest.mark.parametrize(
    ("reason", "count", "said"),
    [
        ("bounced", 1, "1 who has an address that bounced"), ("bounced", 2, "2 who have an address that bounced"),
        ("unsubscribed", 1, "1 who has unsubscribed"), ("unsubscribed", 2, "2 who have unsubscribed"),
        ("complaint", 1, "1 who waits for an answer to a complaint"),
        ("complaint", 2, "2 who wait for an answer to a complaint"),
        ("under control", 1, "1 who is left alone by an earlier list"),
        ("under control", 2, "2 who are left alone by an earlier list"),
        ("another list", 1, "1 who was on another list this week"),
        ("another list", 2, "2 who were on another list this week"),
    ],
)  # fmt: skip
def test_each_reason_is_said_for_one_and_for_many(reason: outreach.Reason, count: int, said: str) -> None:
    found = outreach.Contactable(LIST, {reason: count}, "email", checked=True)
    assert found.note == f"Left out: {said}."


def test_unsubscribed_bounced_and_those_who_wait_for_an_answer_are_left_out(write_shop: ShopWriter) -> None:
    """The first reason counts; a status that nobody knows is no yes; an answered ticket ends the wait."""
    status = ["Unsubscribed", "cleaned", "pending", "subscribed", "", "", "", ""]
    people = pd.DataFrame({"customer_id": list("abcdefgh"), "email": "x@example.com", "email_consent": "true",
                           "email_status": status})  # fmt: skip
    feedback = pd.DataFrame(
        [("1", "Bad", "2026-01-20", "d", 1), ("2", "Bad", "2026-01-20", "e", 1), ("3", "Fine", "2026-01-20", "f", 5),
         ("4", "Long ago", "2025-12-01", "g", 1), ("5", "Undated, and so never recent", "", "f", 1)],
        columns=["feedback_id", "text", "created_at", "customer_id", "rating"],
    )  # fmt: skip
    tickets = pd.DataFrame(
        [("t", "2026-01-21", "e", "2026-01-22"), ("u", "2026-01-25", "h", "2026-02-09")],
        columns=["ticket_id", "opened_at", "customer_id", "closed_at"],
    )
    folder = write_shop(orders=ORDERS, customers=people, feedback=feedback, tickets=tickets)
    found = outreach.contactable(crm.connect(folder, as_of="2026-02-01"), people[["customer_id"]])
    assert found.left_out == {"unknown": 1, "unsubscribed": 1, "bounced": 1, "complaint": 2}  # h's is closed later
    assert list(found.frame["customer_id"]) == ["e", "f", "g"]


def test_nobody_left_alone_by_one_list_is_written_to_by_another(
    monkeypatch: pytest.MonkeyPatch, write_shop: ShopWriter, tmp_path: Path
) -> None:
    monkeypatch.setenv("CRM_KEPT", str(tmp_path))
    (tmp_path / "held_out.csv").write_text(
        "customer_id,list,since,until\na,reminders,2026-01-20,2026-03-21\nb,reminders,2025-12-20,2026-02-18\n"
        "c,reminders,2025-11-01,2025-12-31\nd,reminders,2026-02-01,2026-04-01\n", encoding="utf-8",
    )  # fmt: skip
    (tmp_path / "exported.csv").write_text(
        "customer_id,list,channel,day\ne,reminders,email,2026-01-26\nf,reminders,email,2026-01-24\n"
        "g,winback,email,2026-01-31\nh,reminders,email,2026-02-01\n", encoding="utf-8",
    )  # fmt: skip
    ids = list("abcdefgh")
    people = pd.DataFrame({"customer_id": ids, "email": "x@example.com", "email_consent": "true"})
    store = crm.connect(write_shop(orders=ORDERS, customers=people), as_of="2026-02-01")
    found = outreach.contactable(store, people[["customer_id"]], name="winback")
    # b is still under the control of the half-year before, and so is whom its lot leaves alone, on record or not.
    off = {who for who in ids if who == "b" or not store.lot(who, of="marketing 2025-2")}
    assert found.left_out == {"under control": len(off), "another list": 1} and not off & {"a", "e"}
    assert list(found.frame["customer_id"]) == [who for who in "acdfgh" if who not in off]
    # a's lot of this half-year is the same for every list.
    assert found.frame.set_index("customer_id").loc["a", "lot"] == "leave alone"


@pytest.mark.parametrize(
    ("lot", "said"),
    [
        (["write"] * 3, ""),
        (["write", "leave alone", "write"],
         "1 other chosen at random is left alone, too few to show within a year what writing adds. "),
        (["write"] * 800 + ["leave alone"] * 200,
         "200 others chosen at random are left alone, too few to show within a year what writing adds. "),
        (["write"] * 1600 + ["leave alone"] * 400,
         "400 others chosen at random are left alone, to show what writing adds. "),
    ],
)  # fmt: skip
def test_how_many_are_left_alone_none_one_many(lot: list[str], said: str) -> None:
    found = outreach.Contactable(
        pd.DataFrame({"customer_id": [f"c{i}" for i in range(len(lot))], "lot": lot}), {}, "email", checked=True
    )
    assert found.note == f"{said}All on the list have agreed to marketing e-mail."
    assert len(found.write) == lot.count("write")


def test_how_many_show_what_writing_adds_is_the_power_of_a_test_of_two_half_years() -> None:
    power = NormalIndPower()
    for alone in (200, 300, 320, 330, 340, 400):
        least = power.solve_power(proportion_effectsize(0.25, 0.2), nobs1=8 * alone, alpha=0.05, ratio=0.25)
        assert least == pytest.approx(0.8, abs=0.03) if alone in (320, 330, 340) else (least > 0.8) == (alone > 330)
        assert outreach.shows(4 * alone, alone) == (alone >= 330)
    assert not outreach.shows(10_000, 0) and outreach.shows(40, 10, times=68) and not outreach.shows(40, 10, times=60)


def test_all_lists_of_a_day_leave_the_same_people_alone(write_shop: ShopWriter) -> None:
    ids = [f"c{i}" for i in range(300)]
    people = pd.DataFrame({"customer_id": ids, "email": "x@example.com", "email_consent": "true"})
    store = crm.connect(write_shop(orders=ORDERS, customers=people), as_of="2026-02-01")
    one, other = (
        outreach.contactable(store, people[["customer_id"]].iloc[part], name=name)
        for name, part in (("due", slice(0, 200)), ("win_back", slice(100, 300)))
    )
    alone = [set(found.frame["customer_id"]) - set(found.write["customer_id"]) for found in (one, other)]
    assert all(20 <= len(found) <= 60 for found in alone)
    assert not alone[0] & set(other.write["customer_id"]) and not alone[1] & set(one.write["customer_id"])


IDS = [f"c{n:03d}" for n in range(200)]


@pytest.fixture
def sides(
    monkeypatch: pytest.MonkeyPatch, write_shop: ShopWriter, tmp_path: Path
) -> Callable[[str, list[str]], tuple[set[str], set[str]]]:
    """Whom a list of a day writes to and leaves alone, by the records and the key of the folder `reports`."""
    reports = tmp_path / "reports"
    people = pd.DataFrame({"customer_id": IDS, "email": "x@example.com", "email_consent": "true"})
    folder = write_shop(orders=ORDERS, customers=people)
    monkeypatch.setenv(kept.VARIABLE, str(reports / kept.FOLDER))

    def sides(day: str, who: list[str]) -> tuple[set[str], set[str]]:
        """Whom a list of the day writes to and leaves alone; both are kept, as a run and an export do."""
        monkeypatch.delenv("CRM_KEY", raising=False)
        monkeypatch.setenv("CRM_KEY", key_of(reports))
        store = crm.connect(folder, as_of=day)
        frame = outreach.contactable(store, people[people["customer_id"].isin(who)][["customer_id"]], name="due").frame
        lists = tmp_path / "lists" / day
        lists.mkdir(parents=True, exist_ok=True)
        frame.to_csv(lists / "due.csv", index=False)
        kept.hold(reports, lists, store.as_of)
        kept.assign(reports, "due", frame.astype(str).to_dict("records"), store.as_of)
        alone = frame["lot"] == LEAVE
        return set(frame.loc[~alone, "customer_id"]), set(frame.loc[alone, "customer_id"])

    return sides


def test_nobody_held_out_is_contacted_after_reruns_a_missed_week_and_a_restored_backup(
    sides: Callable[[str, list[str]], tuple[set[str], set[str]]], tmp_path: Path
) -> None:
    """The folder is put back to how it was two weeks before, key and records too: the weeks since are forgotten."""
    reports, backup, ids = tmp_path / "reports", tmp_path / "backup", IDS
    written, held = sides("2026-03-02", ids[:80])
    assert (written, held) == sides("2026-03-02", ids[:80]) and len(held) > 5  # a rerun of the day
    shutil.copytree(reports, backup)
    for day, who in (("2026-03-09", ids[40:140]), ("2026-03-23", ids[100:])):  # no run on the 16th
        more, alone = sides(day, who)
        assert not more & held and not alone & written
        written, held = written | more, held | alone
    shutil.rmtree(reports)
    shutil.copytree(backup, reports)
    known = {row["customer_id"] for row in kept.rows(reports, kept.HELD)}
    assert known < held  # those of the weeks that were lost are on no record
    # The lot is drawn again from the same key: within the windows, and after all of them have closed.
    for day in ("2026-03-24", "2026-03-30", "2026-06-22"):
        assert sides(day, ids) == (written, held)
    lots = pd.DataFrame(kept.rows(reports, kept.ASSIGNED)).groupby("customer_id")["lot"].nunique()
    assert lots.eq(1).all() and len(lots) == len(ids)
    # In the next half-year another lot is drawn; who is on record is left out until their window is over.
    assert not sides("2026-07-06", ids)[0] & held
    assert sides("2026-09-07", ids)[0] & held


def test_a_backup_of_before_the_half_year_ended_contacts_nobody_who_was_held_out_at_its_end(
    sides: Callable[[str, list[str]], tuple[set[str], set[str]]], tmp_path: Path
) -> None:
    """Who was first held out in the weeks that were lost is on no record: the old half-year's lot tells it."""
    reports, backup = tmp_path / "reports", tmp_path / "backup"
    sides("2026-06-15", IDS[:80])
    shutil.copytree(reports, backup)
    _, held = sides("2026-06-29", IDS[80:])
    shutil.rmtree(reports)
    shutil.copytree(backup, reports)
    assert len(held) > 10 and not held & {row["customer_id"] for row in kept.rows(reports, kept.HELD)}
    for day in ("2026-07-06", "2026-08-17", "2026-08-28"):
        assert not sides(day, IDS)[0] & held
    assert sides("2026-08-31", IDS)[0] & held  # their window is over
