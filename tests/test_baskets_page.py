"""What the baskets page says, for none, one and many, and where it would not be true."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crmlib.analysis import baskets as bk
from crmlib.analysis.baskets import hits, season, strata, suggestions, validation
from crmlib.analysis.baskets.owners import part_owners
from crmlib.analysis.baskets.page import headline
from tests.test_baskets import SHOP, made
from tests.test_baskets_beyond import verdicts

TWO = made(np.ones((3, 2), dtype=np.int64))
# Customer c0 owns i000, c1 i002, the others i003.
FOUR = replace(made(np.eye(4, dtype=np.int64)[[0, 2, 3, 3]]), customer_ids=("c0", "c1", "c2", "c3"))


def pairs(count: int) -> pd.DataFrame:
    """So many suggestions, with what a headline asks of them."""
    return pd.DataFrame({"pair": [(0, i) for i in range(count)], "gain": 0.1})


@pytest.mark.parametrize(
    ("above", "suggested", "said", "want"),
    [
        (0, 0, {}, "No two products are bought together unusually often. Keep showing bestsellers."),
        (1, 0, {}, "One pair of products stands out, but is not worth a test. Keep showing bestsellers."),
        (3, 0, {}, "Three pairs of products stand out, but none is worth a test. Keep showing bestsellers."),
        (1, 1, {}, "One pair of products is bought together unusually often. Test it before showing it widely."),
        (9, 2, {}, "Two pairs of products are bought together unusually often. Test them before showing them widely."),
        (1, 1, {"any": "better"}, "In the basket, suggest the matching product. One pair is worth a test."),
        (30, 12, {"small": "better", "large": "beaten"},
         "In small baskets, suggest the matching product; in large baskets, keep to bestsellers. The ten best pairs are worth "
         "a test."),
        (8, 8, {"small": "better", "large": "beaten", "later": "tie"},
         "In small baskets, suggest the matching product; in large baskets, keep to bestsellers; in e-mails neither was "
         "clearly better. Eight pairs are worth a test."),
        (9, 9, {"any": "beaten", "later": "better"},
         "In e-mails, suggest the matching product; in the basket, keep to bestsellers."),
        (9, 9, {"small": "beaten", "large": "beaten", "later": "tie"},
         "Keep showing bestsellers in small baskets and in large baskets; in e-mails neither was clearly better."),
        (9, 9, {"any": "beaten"}, "Keep showing bestsellers: unprompted, they were bought more often than the matching product."),
        (9, 9, {"any": "tie"}, "Keep showing bestsellers: unprompted, the matching product was not clearly bought more often."),
    ],
)  # fmt: skip
def test_the_headline_is_what_to_show(above: int, suggested: int, said: dict[str, str], want: str) -> None:
    rules: Any = SimpleNamespace(pairs=above)
    found = headline(TWO, rules, pairs(suggested), verdicts(**said))
    assert found == want and len(found.split()) <= 25


def seasons(*kinds: str) -> pd.DataFrame:
    """Pairs the season explains, may explain, or does not."""
    return pd.DataFrame(
        {"first": "Hat", "second": "Towel", "count": 172, "explained": [kind == "explained" for kind in kinds],
         "beyond": [kind == "beyond" for kind in kinds]}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kinds", "part", "title", "sentence"),
    [
        (["explained", "beyond"], 1.0, "Hat and Towel sell together only because both sell from June to August",
         "All of their 172 baskets are from those months; month by month, they do not stand out."),
        (["explained", "unclear"], 0.8, "Hat and Towel sell together only because both sell from June to August",
         "80% of their 172 baskets are from those months; month by month, neither they nor 1 other pair stand out."),
        (["unclear", "unclear", "unclear"], 0.5,
         "Hat and Towel may sell together only because both sell from June to August",
         "50% of their 172 baskets are from those months; month by month, neither they nor 2 other pairs stand out."),
        (["beyond"], 0.3, "The pair is not made by the season",
         "Compared month by month, the products are still bought together more often than expected."),
        (["beyond", "beyond"], 0.3, "None of the 2 pairs is made by the season",
         "Compared month by month, the products are still bought together more often than expected."),
    ],
)  # fmt: skip
def test_the_season_is_blamed_only_where_it_is_at_fault(
    kinds: list[str], part: float, title: str, sentence: str
) -> None:
    assert season._said(seasons(*kinds), ("Jun–Aug", part)) == (title, sentence)


def followed(*verdicts: str, **more: Any) -> bk.Validation:
    """A validation in which pairs found earlier came to this."""
    found = pd.DataFrame({"verdict": verdicts, "itemset": [(0, 1)] * len(verdicts)}).assign(
        times=2.0, times_low=1.5, times_high=3.0
    )
    return bk.Validation(
        cut=date(2026, 1, 1), why="", found=found, shown=found.head(0), before=found.head(0), days_later=274, **more
    )


@pytest.mark.parametrize(
    ("held", "more", "verdict"),
    [
        (["held"], {}, "The one pair found in the first three quarters of the time held up in the last 9 months."),
        (["held", "held"], {"season": 1},
         "Both pairs found in the first three quarters of the time held up in the last 9 "
         "months. 1 more pair stood out by the season alone and was not followed."),
        (["held", "gone", "unclear"], {"season": 2},
         "1 of 3 pairs found in the first three quarters of the time held up in "
         "the last 9 months, 1 reversed and 1 could not be told. 2 more pairs stood out by the season alone and were "
         "not followed."),
        (["unclear"], {},
         "Whether the one pair found in the first three quarters of the time held up in the last 9 months could not "
         "be told."),
        (["gone"], {}, "The one pair found in the first three quarters of the time reversed in the last 9 months."),
        ([], {}, "No pair stood out in the first three quarters of the time, so there was none to follow."),
        ([], {"season": 1},
         "No pair stood out but by the season alone in the first three quarters of the time, so there was "
         "none to follow."),
    ],
)  # fmt: skip
def test_what_held_up_is_counted(held: list[str], more: dict[str, int], verdict: str) -> None:
    found = followed(*held, **more)
    assert found.verdict == verdict
    part = validation.held_up(found, TWO)
    tiles = [metric.id for metric in part.metrics if metric.headline]
    assert part.shown == bool(held) and tiles == (["pairs_held"] if held else [])
    assert part.certain == (verdict,) and part.method == ()
    # The same of the first half is for whoever asks.
    twice = validation.held_up(replace(found, before=found.found), TWO)
    assert len(" ".join(twice.certain).split("held up")) <= 2 and len(twice.method) == bool(held)


def test_what_holds_for_all_is_said_only_if_it_does() -> None:
    parts = pd.DataFrame(
        [
            ((0, 1), "A", "B", "customers", "new", 2.0, False),
            ((0, 1), "A", "B", "basket size", "11 or more", 1.2, False),
        ],
        columns=["pair", "first", "second", "dimension", "part", "times", "turned"],
    )
    holds = strata.part_of(parts, asked=1)
    assert holds.title == "The pairs hold for new and returning customers, in small and large baskets"
    assert strata.part_of(parts.tail(1), asked=1).title == "The pairs hold in small and large baskets"
    weaker = strata.part_of(parts.assign(times=[2.0, 0.9]), asked=1)
    assert weaker.title == "No pair reverses for new and returning customers, in small or large baskets"
    assert not holds.checks and not weaker.checks and not strata.part_of(parts.head(0), asked=0).shown


@pytest.mark.parametrize(
    ("reasons", "title", "sentence"),
    [
        (["few"], "One pair stands out but is not worth a test", "It has fewer than 30 buyers."),
        (["few", "few"], "Two pairs stand out but are not worth a test", "They have fewer than 30 buyers."),
        (["season", "group", "few", "relatives", "relatives", "again"], "Six pairs stand out but are not worth a test",
         "1 follows the season, 1 belongs to one group of customers, 1 has fewer than 30 buyers, 2 complete a set: "
         "sizes, designs or parts of one thing and 1 repeats a better pair in another size or design."),
    ],
)  # fmt: skip
def test_why_a_pair_is_not_suggested(reasons: list[str], title: str, sentence: str) -> None:
    n = len(reasons)
    table = pd.DataFrame(
        {
            "itemset": [(0, i + 1) for i in range(n)], "antecedent": [(0,)] * n,
            "consequent": [(i + 1,) for i in range(n)],
            "above": True, "confidence": 0.5, "gain": 0.1, "count": 50, "times": 2.0, "times_low": 1.8, "times_high_in_months": 1.1,
            "beyond_season": [reason != "season" for reason in reasons],
            "beyond_groups": [reason != "group" for reason in reasons],
            "beyond_habits": True,
            "customers": [10 if reason == "few" else 40 for reason in reasons],
        }
    )  # fmt: skip
    rules: Any = SimpleNamespace(table=table, months_judged=True)
    many = replace(
        made(np.ones((2, n + 1), dtype=np.int64), days=["2024-01-01", "2026-01-01"]),
        families=("Bag", *("Bag" if reason == "relatives" else "" for reason in reasons)),
    )
    part = suggestions.part_not_suggested(rules, many, pairs(0))
    assert part is not None and (part.title, part.sentence) == (title, sentence) and part.detail
    everything = pd.DataFrame({"pair": list(table["itemset"])})
    assert suggestions.part_not_suggested(rules, many, everything) is None


def writers(*who: str, suggest: int = 0, bestseller: int = 1) -> pd.DataFrame:
    """Owners by lot, with what each would be written to about."""
    return pd.DataFrame(
        {"customer_id": [f"c{i}" for i in range(len(who))], "lot": who, "owns": "a cup", "suggest": "a saucer",
         "bestseller": "a pot", "suggest_id": f"i{suggest:03}",
         "bestseller_id": f"i{bestseller:03}"}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("count", "what"),
    [
        (1, "E-mail 1 customer about a bestseller, once you know who agreed"),
        (3, "E-mail 3 customers about a bestseller, once you know who agreed"),
    ],
)
def test_whom_to_write_to(count: int, what: str) -> None:
    owners = writers("leave alone", *["write"] * count)
    part = part_owners(owners, FOUR, matching=False, shop=SHOP)
    assert [action.what for action in part.actions] == [what] and not part.shown
    assert part.actions[0].by == date(2026, 11, 2)  # 31 October is a Saturday
    assert part_owners(owners.head(1), FOUR, matching=False, shop=SHOP).actions == ()
    # Neither clearly better: the list stands, nobody is told to write.
    tie = part_owners(owners, FOUR, matching=None, shop=SHOP)
    assert tie.actions == () and len(tie.lists["owns_one_side"]) == count + 1


@pytest.mark.parametrize(
    ("replaced", "left", "said"),
    [
        ([], 4, ""),
        ([("i000", "i002")], 4, ""),
        ([("i000", "i001")], 3, "1 customer who owns one that replaces it is left out."),
        ([("i001", "i000"), ("i001", "i002")], 2, "2 customers who own one that replaces it are left out."),
    ],
)
def test_nobody_is_written_to_about_what_replaces_a_thing_they_own(
    replaced: list[tuple[str, str]], left: int, said: str
) -> None:
    owners = writers(*["write"] * 4)
    table = pd.DataFrame(replaced, columns=["first", "second"])
    part = part_owners(owners, FOUR, matching=False, shop=SHOP, replaced=table)
    assert len(part.lists["owns_one_side"]) == part.actions[0].count == left
    assert part.metrics[0].value == 4
    assert said in part.actions[0].why and ("left out" in part.actions[0].why) == bool(said)


def test_a_bestseller_is_no_match_and_what_nobody_prompted_measures_no_letter() -> None:
    same, other = writers(*["write"] * 3, suggest=1), writers(*["write"] * 5)
    owners = pd.concat([same, other.assign(customer_id=[f"d{i}" for i in range(5)])], ignore_index=True)
    part = part_owners(owners, FOUR, matching=True, shop=SHOP)
    action = part.actions[0]
    assert (
        action.what == "E-mail 5 customers about the matching product, once you know who agreed" and action.count == 5
    )
    assert set(part.lists["owns_one_side"]["customer_id"]) == {f"d{i}" for i in range(5)}
    assert (
        "3 customers whose match is only the bestseller are left out. This rests on what people buy next unprompted; "
        "whether a letter brings more is not known."
    ) in action.why
    # To whom a bestseller is to be suggested, it may be.
    assert part_owners(owners, FOUR, matching=False, shop=SHOP).actions[0].count == 8
    large = writers(*(["leave alone"] + ["write"] * 4) * 400)
    large["customer_id"] = ["c0"] * len(large)
    why = part_owners(large, FOUR, matching=True, shop=SHOP).actions[0].why
    assert "only those left alone can tell whether a letter brings more. 400 others" in why


def priced(count: int, room: float) -> pd.DataFrame:
    """So many suggestions, each with this much room."""
    return pd.DataFrame({"room": [room] * count, "room_low": room / 2, "room_high": 2 * room, "gain": 0.1})


@pytest.mark.parametrize(
    ("count", "room", "what", "worth"),
    [
        (0, 1.0, "", ""),
        (1, 348.0, "Test 1 pair on half of visitors", "up to 350 margin per 1,000 baskets"),
        (8, 43.5, "Test 8 pairs on half of visitors", "up to 350 margin per 1,000 baskets"),
        (234, 34.8, "Test the 10 best pairs on half of visitors",
         "up to 350 margin per 1,000 baskets"),
        (2, np.nan, "Test 2 pairs on half of visitors", "untested"),
        (2, -5.0, "Test 2 pairs on half of visitors", "untested"),
    ],
)  # fmt: skip
def test_what_a_test_of_pairs_may_bring_at_most(count: int, room: float, what: str, worth: str) -> None:
    found = hits._to_test(verdicts(any="better"), priced(count, room), TWO)
    assert [(action.what, action.worth) for action in found] == ([(what, worth)] if what else [])
    for said in ({"any": "tie"}, {"any": "beaten", "later": "better"}, {"small": "beaten", "large": "tie"}):
        assert hits._to_test(verdicts(**said), priced(count, room), TWO) == []


def years(before: float, now: float, *, days: int = 730) -> bk.Baskets:
    """Baskets of one or two products, four a day, with these shares of two by year."""
    rng = np.random.default_rng(1)
    when = pd.Timestamp("2026-10-01") - pd.to_timedelta(np.repeat(np.arange(days, 0, -1), 4), unit="D")
    share = np.where(when < pd.Timestamp("2025-10-01"), before, now)
    held = np.stack([np.ones(len(when)), rng.random(len(when)) < share], axis=1).astype(np.int64)
    return replace(made(held, days=when), as_of=date(2026, 10, 1))


def test_baskets_are_compared_with_the_year_before() -> None:
    more = bk.part_sizes(years(0.4, 0.6))
    tile = next(metric for metric in more.metrics if metric.headline)
    assert tile.before == pytest.approx(0.4, abs=0.05) and tile.value == pytest.approx(0.6, abs=0.05)
    assert len(tile.history) == 24 and len(more.changes) == 1
    assert more.changes[0].text.endswith("points on the year before.") and ", up " in more.changes[0].text
    same = bk.part_sizes(years(0.5, 0.5))
    assert same.changes == () and next(metric for metric in same.metrics if metric.headline).before is not None
    young = bk.part_sizes(years(0.5, 0.5, days=200))
    assert young.changes == () and next(metric for metric in young.metrics if metric.headline).before is None
    assert [metric.id for metric in bk.part_sizes(TWO).metrics if metric.headline] == []


def test_a_pair_is_the_same_finding_whichever_of_the_two_is_suggested() -> None:
    row = {"item_id": "p1", "item": "Milk Frother", "suggest_id": "p2", "suggest": "Oat Drink"}
    turned = {"item_id": "p2", "item": "Oat Drink", "suggest_id": "p1", "suggest": "Milk Frother"}
    assert suggestions._signal(row) == suggestions._signal(turned)
    assert suggestions._signal(row).text == "Milk Frother and Oat Drink are bought together unusually often."
