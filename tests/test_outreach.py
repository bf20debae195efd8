"""Who may be written to, who is left out and why, and lots that stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import crmlib as crm
from crmlib.analysis import outreach

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


def test_only_those_who_agreed_and_can_be_reached_stay_and_the_rest_is_counted(write_shop: ShopWriter) -> None:
    found = outreach.contactable(shop(write_shop), LIST)
    assert found.frame.to_dict("list") == {"customer_id": ["a", "a"], "about": [4, 6]} and found.checked
    # e agreed after the day of the report, x is no customer the shop knows.
    assert found.left_out == {"refused": 1, "unknown": 3, "no address": 1}
    assert found.note == (
        "Left out: 1 who has not agreed to marketing e-mail, 3 who have no consent on record and 1 who has not left an "
        "e-mail address."
    )


def test_nobody_left_out_is_said_too(write_shop: ShopWriter) -> None:
    found = outreach.contactable(shop(write_shop), LIST[LIST["customer_id"] == "a"])
    assert len(found.frame) == 2 and found.left_out == {}
    assert found.note == "All on the list have agreed to marketing e-mail."
    nobody = outreach.contactable(shop(write_shop), LIST.head(0))
    assert nobody.frame.empty and nobody.left_out == {}


def test_a_shop_that_does_not_know_consent_says_so(write_shop: ShopWriter) -> None:
    for customers in (None, CUSTOMERS[["customer_id"]]):
        found = outreach.contactable(shop(write_shop, customers), LIST)
        assert len(found.frame) == 7 and not found.checked
        assert found.note.startswith("The data does not say who agreed to marketing e-mail: check")
    addressed = outreach.contactable(shop(write_shop, CUSTOMERS[["customer_id", "email"]]), LIST)
    assert list(addressed.frame["customer_id"]) == ["e", "d", "b", "a", "a"]
    assert addressed.left_out == {"no address": 2} and "2 who have not left an e-mail address" in addressed.note


def test_text_messages_have_a_consent_of_their_own(write_shop: ShopWriter) -> None:
    customers = CUSTOMERS.assign(sms_consent="true", phone=["+49 30 1", "", "", "", ""], consent_at="2026-01-01")
    found = outreach.contactable(shop(write_shop, customers), LIST, channel="sms")
    assert set(found.frame["customer_id"]) == {"a"} and found.left_out == {"unknown": 1, "no address": 4}
    assert "phone number" in found.note


def test_lots_are_kept_by_key_and_id(monkeypatch: pytest.MonkeyPatch, write_shop: ShopWriter) -> None:
    """The same on a rerun with the same key, whatever else is on the list; another key or list draws anew."""
    folder = write_shop(orders=ORDERS)
    ids = [f"C{i:05d}" for i in range(4000)]

    def drawn_by(key: str, of: str = "owns_one_side") -> list[str]:
        monkeypatch.setenv("CRM_KEY", key)
        return outreach.lots(ids, shop=crm.connect(folder), of=of)

    one = drawn_by("a key of sixteen letters")
    assert one == drawn_by("a key of sixteen letters") and set(one) == {"write", "leave alone"}
    assert 1880 <= one.count("write") <= 2120  # 2,000 ± 3.8 standard errors
    for other in (drawn_by("another key of sixteen"), drawn_by("a key of sixteen letters", of="reminders")):
        assert 1880 <= sum(a == b for a, b in zip(one, other, strict=True)) <= 2120
    some = outreach.lots(ids[7:9], shop=crm.connect(folder), of="reminders", act="call")
    assert [lot == "call" for lot in some] == [
        lot == "write" for lot in drawn_by("a key of sixteen letters", "reminders")[7:9]
    ]
