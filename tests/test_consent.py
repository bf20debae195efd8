"""Who agreed? What says yes beyond doubt, in the words of tools and spreadsheets; all else is no yes, and is named."""

from __future__ import annotations

import pandas as pd
import pytest

import crmlib as crm
from crmlib.errors import DataError
from crmlib.shop import consent
from tests.conftest import ShopWriter

YES = [
    "yes", "Y", "TRUE", "1", "1.0", "Wahr", "ja", "oui", "sí", "subscribed", "Subscribed", "opted-in", "Opt in", "double opt-in",
    "abonniert", "Yes, email", "yes (e-mail)", "true: Email marketing", "Ja, Newsletter", '["email"]', '["sms","email"]',
]  # fmt: skip
NO = [
    "no", "FALSE", "0", "falsch", "nein", "unsubscribed", "non-subscribed", "never_subscribed", "not subscribed", "cleaned", "bounced",
    "pending", "redacted", "opted out", "opt-out", "withdrawn", "abgemeldet",
]  # fmt: skip
UNCLEAR = [
    "Not set", "active", "confirmed", "yes, sms", "Yes, until June", "yes?", "maybe", "subscribe", '["sms"]', "email", "n/a", "2", "-1", "x",
    "not yes", "Email: yes please", "yes and no",
]  # fmt: skip


def shop_of(write_shop: ShopWriter, words: list[str]) -> crm.Shop:
    rows = [{"customer_id": f"c{n}", "email": f"c{n}@example.org", "email_consent": word, "sms_consent": word, "phone": f"+4930231250{n:02}"}
            for n, word in enumerate(words)]  # fmt: skip
    return crm.connect(write_shop(customers=rows))


def test_words_of_consent(write_shop: ShopWriter, each_engine: str) -> None:
    words = [*YES, *NO, *UNCLEAR]
    shop = shop_of(write_shop, words)
    why = consent.standing(shop, channel="email").of(f"c{n}" for n in range(len(words)))
    told = dict(zip(words, why, strict=True))
    assert [word for word in YES if told[word]] == []
    assert [word for word in NO if told[word] != "refused"] == []
    assert [word for word in UNCLEAR if told[word] != "unknown"] == []
    texted = dict(zip(words, consent.standing(shop, channel="sms").of(f"c{n}" for n in range(len(words))), strict=True))
    assert not texted["yes, sms"] and not texted['["sms"]'] and texted["Yes, email"] == texted['["email"]'] == "unknown"


def test_words_that_are_no_yes_are_named_unless_few_say_them(write_shop: ShopWriter) -> None:
    shop = shop_of(write_shop, ["yes"] * 6 + ["Not set"] * 7 + ["Anna Kern"] * 4)
    notes = shop.notes().query("code == 'unclear'")
    assert notes["detail"].tolist() == ["email_consent: 'Not set' in 7 rows", "sms_consent: 'Not set' in 7 rows"]
    assert shop.audits["customers"].oddities["unreadable_value"] == 11


def test_a_column_of_who_may_not_be_written_to_is_no_consent(write_shop: ShopWriter) -> None:
    rows = [{"customer_id": "c1", "email": "c1@example.org", "EMAIL_BLACKLISTED": "Yes"}]
    folder = write_shop(customers=rows, toml='[columns.customers]\nemail_consent = "EMAIL_BLACKLISTED"\n')
    with pytest.raises(DataError, match="may not be written to"):
        crm.connect(folder)


def test_details_of_many_are_asked_for_once(demo_shop: crm.Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """One question for all of them, with the answers of small ones; who is not known is not there."""
    ids = demo_shop.fetch("customers").head(50)["customer_id"].tolist()
    few, asked, fetch = consent.details(demo_shop, ids), [], type(demo_shop).fetch
    monkeypatch.setattr(consent, "_AT_ONCE", 3)
    monkeypatch.setattr(type(demo_shop), "fetch", lambda *args, **said: asked.append(1) or fetch(*args, **said))
    many = consent.details(demo_shop, [*ids, "nobody"])
    assert len(asked) == 1 and len(many) == 50
    pd.testing.assert_frame_equal(many.sort_index(), few.sort_index())
