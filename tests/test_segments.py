"""Segments: AND, OR and BUT NOT as Python's sets have them, what the rules mean, and what is refused."""

import random
import re
import tomllib
from datetime import date

import pandas as pd
import pytest

import crmlib as crm
from crmlib.errors import NotAvailable, UsageError
from crmlib.shop import consent, segments
from crmlib.shop.rules import FIELDS, RULES
from tests.conftest import ROOT

ORDERS = [
    {
        "order_id": "1",
        "ordered_at": "2026-01-05 10:00",
        "customer_id": "a",
        "total": 10,
        "channel": "web",
        "coupon": "HI",
    },
    {
        "order_id": "2",
        "ordered_at": "2026-06-05 10:00",
        "customer_id": "a",
        "total": 20,
        "channel": "app",
        "coupon": "",
    },
    {
        "order_id": "3",
        "ordered_at": "2026-02-05 10:00",
        "customer_id": "b",
        "total": 90,
        "channel": "app",
        "coupon": "",
    },
    {
        "order_id": "4",
        "ordered_at": "2026-08-30 10:00",
        "customer_id": "b",
        "total": 90,
        "channel": "web",
        "coupon": "HI",
    },
    {"order_id": "5", "ordered_at": "2026-08-31 10:00", "customer_id": "c", "total": 5, "channel": "web", "coupon": ""},
    {"order_id": "6", "ordered_at": "2026-08-31 10:00", "customer_id": "", "total": 5, "channel": "web", "coupon": ""},
]
LINES = [("1", "P1"), ("1", "P2"), ("2", "P2"), ("3", "P3"), ("4", "P1"), ("5", "P3")]
PRODUCTS = [("P1", "Green tea", "Tea"), ("P2", "Cup", "Ware"), ("P3", "Coffee beans", "Coffee")]
PEOPLE = [
    ("a", "DE", "2000-02-29", "gold", 3),
    ("b", "AT", "1990-09-03", "", 10),
    ("c", "", "", "gold", ""),
    ("d", "DE", "1970-12-24", "new", 7),
]
TEXTS = [("1", "a", 1, "2026-06-20"), ("2", "b", 5, "2026-02-20"), ("3", "d", 2, "2025-02-20")]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    people = [dict(zip(("customer_id", "country", "birth_date", "club", "visits"), row, strict=True)) for row in PEOPLE]
    texts = [dict(zip(("feedback_id", "customer_id", "rating", "created_at"), row, strict=True)) for row in TEXTS]
    tables = {
        "orders": ORDERS,
        "order_lines": [{"order_id": order, "product_id": product, "quantity": 1} for order, product in LINES],
        "products": [dict(zip(("product_id", "name", "category"), row, strict=True)) for row in PRODUCTS],
        "customers": people,
        "feedback": [row | {"text": "so it was"} for row in texts],
    }
    for name, rows in tables.items():
        pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False)
    return crm.connect(folder, as_of="2026-09-01")


def ids(shop, text, **said):
    found = segments.members(shop, segments.parse(text, **said))
    return "".join(sorted(shop.fetch(found)["customer_id"]))


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("everyone", "abcd"),
        ("bought", "abc"),
        ("everyone - bought", "d"),
        ("bought_often", "ab"),
        ("bought_often(2, last='90d')", ""),
        ('bought("tea")', "ab"),
        ('bought("P2", "Coffee")', "abc"),
        ('bought("Cup", since="2026-03-01")', "a"),
        ('bought("Green tea", last="1w")', "b"),
        ('first_bought("Tea")', "a"),
        ('bought_since("2026-08-31")', "c"),
        ('bought_before("2026-02-05")', "a"),
        ('bought_last("2d")', "bc"),
        ("spent(30)", "ab"),
        ('spent(90, last="30d")', "b"),
        ("unhappy", "ad"),
        ('unhappy(last="90d")', "a"),
        ("happy", "b"),
        ("rated(1, 1)", "a"),
        ('birthday("3d")', "b"),
        ('country == "DE"', "ad"),
        ('country != "DE"', "bc"),
        ('country in ["DE", "AT"]', "abd"),
        ('country not in ["DE", "AT"]', "c"),
        ('club == "gold"', "ac"),
        ("visits > 5", "bd"),
        ('birth_date < "1995-01-01"', "bd"),
        ('first_channel == "app"', "b"),
        ('last_channel == "web"', "bc"),
        ('first_coupon == "HI"', "a"),
        ("orders >= 2", "ab"),
        ("sales > 30", "b"),
        ('last_order < "2026-07-01"', "a"),
        # The three a shop starts with.
        ("bought_often & unhappy", "a"),
        ('(bought("Tea") | bought("Coffee")) - bought("Cup")', "bc"),
        ('bought_often - bought_since("2026-08-01")', "a"),
        # Words do the same; as in Python, BUT NOT binds before AND, and AND before OR.
        ('country == "DE" and not unhappy or happy', "b"),
        ("everyone - bought & unhappy", "d"),
        ("(everyone - bought) | happy", "bd"),
    ],
)
def test_a_rule_means_what_it_says(small, text, who):
    assert ids(small, text) == who


def test_a_leap_day_has_its_birthday_on_the_last_of_february(write_shop):
    people = [{"customer_id": "a", "birth_date": "2000-02-29"}, {"customer_id": "b", "birth_date": "2001-03-01"}]
    folder = write_shop(customers=people)
    assert ids(crm.connect(folder, as_of="2026-02-28"), 'birthday("1d")') == "a"
    assert ids(crm.connect(folder, as_of="2024-02-28"), 'birthday("1d")') == ""
    assert ids(crm.connect(folder, as_of="2024-02-29"), 'birthday("1d")') == "a"


def _tree(lot, leaves, depth):
    if depth == 0 or lot.random() < 0.25:
        return lot.choice(leaves)
    sign = lot.choice("&|-")
    return f"({_tree(lot, leaves, depth - 1)} {sign} {_tree(lot, leaves, depth - 1)})"


LEAVES = [
    "bought_often", "unhappy", "happy", 'bought("Tea")', 'bought_since("2026-06-01")', "spent(200)", "everyone",
    'country == "DE"', 'country != "DE"', 'first_channel == "web"', "(orders >= 3)", 'bought_last("90d")',
]  # fmt: skip


@pytest.mark.parametrize("batches", [2, pytest.param(100, marks=pytest.mark.slow)])
def test_random_trees_are_pythons_sets_and_nobody_leaks(demo_shop, demo_folder, batches):
    """100 trees a batch; consent, applied to what a tree holds, leaves those who agreed by the raw file alone."""
    sets = {
        text: set(demo_shop.fetch(segments.members(demo_shop, segments.parse(text)))["customer_id"]) for text in LEAVES
    }
    assert len({frozenset(found) for found in sets.values()}) == len(LEAVES)
    raw = pd.read_csv(demo_folder / "customers.csv", dtype=str, keep_default_na=False)
    raw = raw[(raw["email_consent"].str.lower() == "true") & (raw["email"] != "")]
    agreed, mask = set(raw["customer_id"]), consent.standing(demo_shop)
    lot = random.Random(4)
    names = {f"s{i}": text for i, text in enumerate(LEAVES)}
    table, columns = segments._memberships(demo_shop, *(segments.parse(text) for text in LEAVES))
    empty = reached = 0
    for _ in range(batches):
        trees = [_tree(lot, list(names), 5) for _ in range(100)]
        read = [segments.parse(tree, names=names) for tree in trees]
        flags = {f"t{i}": segments._holds(who, table, columns) for i, who in enumerate(read)}
        found = demo_shop.fetch(table.select("customer_id", **flags)).set_index("customer_id")
        free = {who for who, why in zip(found.index, mask.of(pd.Series(found.index)), strict=True) if why == ""}
        for i, tree in enumerate(trees):
            expected = eval(tree, {name: sets[text] for name, text in names.items()})
            held = found.index[found[f"t{i}"]]
            assert set(held) == expected, tree
            allowed = set(held) & free
            assert allowed <= agreed, tree
            empty, reached = empty + (not expected), reached + bool(allowed)
    assert empty < 50 * batches < reached + 50 * batches


def test_each_node_says_how_many_it_keeps_and_loses(small):
    sizes = segments.sizes(small, segments.parse('(bought("Tea") | bought("Coffee")) - bought("Cup")'))
    assert sizes["people"].tolist() == [2, 3, 2, 2, 1]
    assert sizes["left_out"].tolist() == [1, 0, 0, 0, 0]
    assert sizes["depth"].tolist() == [0, 1, 2, 2, 1]
    why = small.fetch(segments.reasons(small, segments.parse("happy | unhappy"))).sort_values("customer_id")
    assert why.to_numpy().tolist() == [["a", False, True], ["b", True, False], ["d", False, True]]


def test_who_fell_out_at_which_node_and_why(small):
    who = segments.parse('((bought("Tea") | bought("Coffee")) - bought("Cup")) & happy')
    off = small.fetch(segments.lost(small, who)).sort_values(["customer_id", "why"])
    assert off[["customer_id", "why"]].to_numpy().tolist() == [["a", 'in bought("Cup")'], ["c", "not in happy"]]
    assert off["rule"].tolist() == ['(bought("Tea") OR bought("Coffee")) BUT NOT bought("Cup")', str(who)]
    left = segments.sizes(small, who).set_index("rule")["left_out"]
    assert off.groupby("rule").size().to_dict() == left[left > 0].to_dict()
    assert small.fetch(segments.lost(small, segments.parse("happy | unhappy"))).empty


def test_signs_join_segments_in_python_too(small):
    often, unhappy = segments.parse("bought_often"), segments.parse("unhappy")
    assert str((often | unhappy) - often) == "(bought_often OR unhappy) BUT NOT bought_often"
    assert str(often - (unhappy - often)) == "bought_often BUT NOT (unhappy BUT NOT bought_often)"
    assert small.fetch(segments.members(small, often & unhappy))["customer_id"].tolist() == ["a"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read"),
        ("bougt", r"no rule or segment is called 'bougt'; did you mean 'bought'"),
        ('bought("Teaa")', "no product, category or brand is called 'Teaa'; did you mean 'Tea'"),
        ('country == "DE" & unhappy', r"texts stand in quotes"),
        ('contry == "DE"', "customers have no column 'contry'; did you mean 'country'"),
        ("1 + 1", "no rule"),
        ("__import__('os').system('true')", "no rule"),
        ("(lambda: everyone)()", "no rule"),
        ("[everyone for x in 'a']", "no rule"),
        ("everyone.x", "no rule"),
        ("bought_often(3, 4)", "does not fit"),
        ("bought_often(times='x')", "takes a number"),
        ("bought_last('soon')", "no span of time"),
        ("bought_since('1.6.2026')", "no day"),
        ("not bought", "is no rule"),
        ("happy or not bought", "stands alone"),
        ("birth_date > 3", "no day"),
        ("country in 'DE'", "wants a list"),
        ("(" * 90 + "bought" + ")" * 90 + " & " + "-".join(["bought"] * 300), "parts"),
        ("(" * 4000 + "bought" + ")" * 4000, "cannot be read|nested"),
        ("a" * 20_000, "characters"),
    ],
)
def test_what_is_no_segment_is_refused_with_what_to_do(small, text, says):
    with pytest.raises(UsageError, match=says):
        ids(small, text)


def test_a_shop_names_its_own_segments(small, write_shop):
    folder = write_shop(orders=ORDERS)
    (folder / "segments.toml").write_text('loyal = "bought_often"\nasleep = "loyal - bought_last(\'30d\')"\n')
    shop = crm.connect(folder, as_of="2026-09-01")
    assert ids(shop, "asleep", names=segments.saved(shop)) == "a"
    assert (
        str(segments.segment("asleep | loyal", shop=shop))
        == "(bought_often BUT NOT bought_last('30d')) OR bought_often"
    )
    with pytest.raises(UsageError, match="did you mean 'loyal'"):
        segments.segment("loyl", shop=shop)


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('a = "b"\nb = "a"', "a → b → a goes round in a circle|b → a → b goes round in a circle"),
        ('unhappy = "bought"', "is a rule already"),
        ("a = 3", "write each segment"),
        ('"a b" = "bought"', "write each segment"),
        ("a = ", "cannot be read"),
    ],
)
def test_a_wrong_file_of_segments_says_so(write_shop, toml, says):
    folder = write_shop(orders=ORDERS)
    (folder / "segments.toml").write_text(toml)
    shop = crm.connect(folder, as_of="2026-09-01")
    with pytest.raises(UsageError, match=says):
        segments.segment("a", shop=shop)


def test_what_a_shop_lacks_is_not_available(write_shop):
    shop = crm.connect(write_shop(orders=ORDERS), as_of="2026-09-01")
    for text in ("unhappy", 'country == "DE"', "birthday", 'bought("P1")', "open_ticket"):
        with pytest.raises(NotAvailable, match=r"needs|but not"):
            ids(shop, text)


def test_a_shop_of_one_segment_has_their_rows_alone(small):
    part = segments.only(small, segments.parse("happy"))
    assert sorted(part.fetch("orders")["order_id"]) == ["3", "4"]
    assert sorted(part.fetch("order_lines")["product_id"]) == ["P1", "P3"]
    assert part.fetch("customers")["customer_id"].tolist() == ["b"]
    assert part.fetch("feedback")["feedback_id"].tolist() == ["2"]
    assert part.fetch("products").shape == small.fetch("products").shape
    assert part.passport()["segment"] == "happy" and "only happy" in repr(part)
    assert small.passport()["segment"] == ""


def test_connect_takes_a_segment(small):
    part = crm.connect(small.folder, as_of="2026-09-01", segment="bought_often - unhappy")
    assert set(part.fetch("orders")["customer_id"]) == {"b"}
    assert part.as_of == date(2026, 9, 1)


def test_every_rule_is_in_the_codebook_with_an_example_that_can_be_read():
    page = (
        (ROOT / "data" / "README.md").read_text(encoding="utf-8").partition("## Segments")[2].partition("## Tables")[0]
    )
    for name in (*RULES, *FIELDS):
        assert re.search(rf"`{name}\b", page), name
    saved = tomllib.loads(page.partition("```toml")[2].partition("```")[0])
    for text in (*saved.values(), *re.findall(r"^\| `([^`]+)`", page, flags=re.M)):
        segments.parse(text)
