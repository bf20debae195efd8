"""Who is one person? The rule by hand, the same whatever the order of rows, and what it may never do."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from crmlib.shop.people import Identity, e164, email_of, match

PEOPLE = st.builds(
    Identity,
    platform=st.sampled_from(["Shopify", "WooCommerce"]),
    account=st.sampled_from(["", "", "1", "2", "3"]),
    email=st.sampled_from(
        ["", "", "a@x.org", " A@x.ORG ", "b@x.org", "noreply@shop.example", "c@marketplace.amazon.de"]
    ),
    phone=st.sampled_from(["", "", "030 1234567", "+49 30 1234567", "0301 7654321", "000000"]),
    name=st.sampled_from(["", "Kim", "Lee", "Ada", "Max", "Zoe"]),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PEOPLE, max_size=14), st.randoms(use_true_random=False))
def test_the_order_of_rows_makes_no_difference(rows: list[Identity], chance: random.Random) -> None:
    first = match(rows, country="DE")
    again = [*rows]
    chance.shuffle(again)
    other = match([*again, *again[:2]], country="DE")
    assert (other.of, other.why, other.doubtful, other.shared) == (first.of, first.why, first.doubtful, first.shared)


@settings(max_examples=300, deadline=None)
@given(st.lists(PEOPLE, max_size=14))
def test_what_holds_of_every_answer(rows: list[Identity]) -> None:
    found = match(rows, country="DE")
    for row in rows:
        who = found.of[row]
        # Somebody with nothing but a name stays unknown; an account or an address of one's own is known.
        if not (row.account or email_of(row.email) or e164(row.phone, "DE")):
            assert not who
        if row.account:
            assert who
    for one, other in pairwise(sorted(rows, key=lambda r: r.account)):
        if one.account and (one.platform, one.account) == (other.platform, other.account):
            assert found.of[one] == found.of[other]
        same = email_of(one.email) == email_of(other.email) == "a@x.org"
        if same and not found.shared:
            assert found.of[one] == found.of[other]


def ids(*rows: Identity, country: str = "DE") -> list[str]:
    found = match(rows, country=country)
    return [found.of[row] for row in rows]


def test_a_guest_is_the_account_of_the_same_address() -> None:
    account, guest = Identity("Shopify", "7", "kim@x.org"), Identity("Shopify", "", " Kim@X.org ", "", "K")
    assert ids(account, guest) == ["7", "7"]
    assert match([account, guest]).why["7"] == {"Shopify 7": "own id", "kim@x.org": "same account"}


def test_each_account_address_and_phone_has_the_rule_that_joined_it() -> None:
    rows = [
        Identity("Shopify", "7", "kim@x.org"), Identity("WooCommerce", "31", "KIM@x.org", "030 1111112"),
        Identity("Etsy", "kk", phone="+49 30 1111112"), Identity("Etsy", "kk", phone="030 2222223"),
        Identity(email="lee@x.org"),
    ]  # fmt: skip
    found = match(rows, country="DE")
    assert found.of[rows[2]] == found.of[rows[0]] and set(found.why) == {found.of[rows[0]]}
    assert found.why[found.of[rows[0]]] == {
        "Etsy kk": "own id", "+49301111112": "same account", "+49302222223": "same account",
        "WooCommerce 31": "same phone", "kim@x.org": "same account", "Shopify 7": "same e-mail",
    }  # fmt: skip
    assert match([Identity("", "", "kim@x.org", "030 1111112")], country="DE").why == {
        "kim@x.org": {"kim@x.org": "own id", "+49301111112": "same e-mail"}
    }
    # Who shares an address and a phone is told by the address, the surer of the two.
    both = [Identity("Shopify", "7", "kim@x.org", "030 1111112"), Identity("Woo", "8", "kim@x.org", "030 1111112")]
    assert match(both, country="DE").why["8"]["Shopify 7"] == "same e-mail"
    office = [Identity(email="office@x.org", name=name, phone="030 1111112") for name in ("Kim", "Lee", "Ada", "Max")]
    assert all(list(said.values()) == ["own id", "same e-mail"] for said in match(office, country="DE").why.values())


def test_a_phone_tells_only_where_there_is_no_address() -> None:
    known, caller = Identity(email="kim@x.org", phone="030 1234567"), Identity(phone="+49 30 123 45 67")
    assert ids(known, caller) == ["kim@x.org"] * 2
    family = Identity(email="lee@x.org", phone="030 1234567")
    found = match([known, caller, family], country="DE")
    assert [found.of[row] for row in (known, caller, family)] == ["kim@x.org", "+49301234567", "lee@x.org"]
    assert found.doubtful == 1
    assert ids(Identity(account="1", phone="030 1234567"), Identity(account="2", phone="0301234567")) == ["1", "1"]


def test_a_chain_of_phones_joins_nobody_with_two_addresses() -> None:
    kim, lee = Identity(email="kim@x.org", phone="030 1111112"), Identity(email="lee@x.org", phone="030 2222223")
    between = [Identity("p", "9", phone="030 1111112"), Identity("p", "9", phone="030 2222223")]
    found = match([kim, lee, *between], country="DE")
    assert found.of[kim] != found.of[lee] and found.of[between[0]] == found.of[between[1]] == "9"
    assert found.doubtful == 1


def test_shared_addresses_join_nobody() -> None:
    office = [Identity(email="office@x.org", name=name) for name in ("Kim", "Lee", "Ada", "Max")]
    assert len(set(ids(*office))) == 4
    assert len(set(ids(*office[:2]))) == 1
    assert ids(Identity(email="noreply@shop.example"), Identity(email="c@marketplace.amazon.de")) == ["", ""]


def test_a_name_alone_joins_nobody() -> None:
    assert ids(Identity(name="Kim Lee"), Identity(name="Kim Lee")) == ["", ""]


def test_numbers_of_two_platforms_stay_apart() -> None:
    one, other = Identity("Shopify", "1", "a@x.org"), Identity("WooCommerce", "1", "b@x.org")
    assert len(set(ids(one, other))) == 2


def test_a_phone_needs_a_country() -> None:
    assert e164("030 1234567") == "" and e164("0049 30 1234567") == "+49301234567"
    assert e164("06 1234 5678", "IT") == "+390612345678" and e164("(212) 555-0100", "US") == "+12125550100"
