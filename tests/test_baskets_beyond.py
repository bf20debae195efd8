"""Luck taken off, strata, substitutes, sequences, relatives, hit rates, and what is said of the days ahead."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlxtend.frequent_patterns import fpgrowth
from scipy import sparse

import crmlib as crm
from crmlib.analysis import baskets as bk
from crmlib.analysis.baskets import hits, mining, strata, substitutes
from crmlib.analysis.baskets import sequences as after
from crmlib.analysis.baskets.facts import Profile, size_class
from crmlib.analysis.baskets.owners import owns_not
from crmlib.analysis.baskets.predictions import HIT_RATE, PAIRS_HELD, listed, predictions
from crmlib.analysis.baskets.relatives import related
from crmlib.analysis.baskets.rules import above_chance, count_pairs
from crmlib.analysis.baskets.suggestions import relatives_left_out
from crmlib.analysis.baskets.validation import recount
from crmlib.findings import Due
from crmlib.shop.samples import demo
from crmlib.stats import shrinkage
from tests.test_baskets import SHOP, drawn, made


def with_profiles(baskets: bk.Baskets, labels: pd.Series, *, prefix: str = "") -> bk.Baskets:
    """The same baskets with item totals of each part, as the engine would have summed them."""
    profiles = dict(baskets.profiles)
    held = baskets.held.toarray()
    for label in sorted(set(labels)):
        here = (labels == label).to_numpy()
        for c in np.unique(size_class(baskets.sizes[here])):
            totals = held[here & (size_class(baskets.sizes) == c)].sum(axis=0)
            values, counts = np.unique(totals[totals > 0], return_counts=True)
            if len(values):
                profiles[prefix + label, int(c)] = Profile(
                    totals=values.astype(np.int64), items=counts.astype(np.int64)
                )
    return replace(baskets, profiles=profiles)


def test_itemsets_equal_mlxtends_on_random_baskets(rng: np.random.Generator) -> None:
    held = drawn(rng, baskets=600, items=25)
    found = mining.frequent_itemsets(sparse.csc_array(held.astype(np.int32)), least=6, max_items=4)
    theirs = fpgrowth(pd.DataFrame(held.astype(bool)), min_support=5.5 / 600, max_len=4)
    want = {tuple(sorted(s)): round(p * 600) for s, p in zip(theirs["itemsets"], theirs["support"], strict=True)}
    assert found.counts == want
    assert max(map(len, want)) == 4


# ---- luck taken off


def test_the_prior_of_planted_pairs_is_recovered(rng: np.random.Generator) -> None:
    pairs = 30_000
    common = rng.random(pairs) < 0.9
    truth = np.where(common, rng.gamma(50, 1 / 50, pairs), rng.gamma(2, 1.5, pairs))
    expected = rng.lognormal(1.0, 1.2, pairs)
    count = rng.poisson(expected * truth)
    prior = shrinkage.fit_prior(count, expected)
    assert prior.mean == pytest.approx(truth.mean(), rel=0.03)
    _, low, high = shrinkage.shrink(prior, times=count / expected, information=count.astype(float))
    met = count > 0
    assert 0.94 <= ((low <= truth) & (truth <= high))[met].mean() <= 0.965


def test_top_lift_is_luck_and_top_shrunk_is_not(rng: np.random.Generator) -> None:
    """Split halves: of pairs with the highest ratio few do as well on the other half; of the highest bounds most do."""
    pairs = 20_000
    truth = np.where(rng.random(pairs) < 0.97, 1.0, rng.gamma(4, 0.75, pairs))
    expected = rng.lognormal(0.3, 1.3, pairs)
    one, other = (rng.poisson(expected * truth) for _ in range(2))
    prior = shrinkage.fit_prior(one, expected)
    with np.errstate(divide="ignore", invalid="ignore"):
        times, again = one / expected, other / expected
    _, low, _ = shrinkage.shrink(prior, times=times, information=one.astype(float))
    naive, ours = np.argsort(-times)[:100], np.argsort(-np.where(one > 0, low, 0))[:100]
    assert (again[naive] >= 2).mean() < 0.5
    assert (again[ours] >= 2).mean() > 0.85


# ---- strata


def test_a_pair_made_by_two_kinds_of_customer_is_no_suggestion(rng: np.random.Generator) -> None:
    held = drawn(rng, baskets=8000, items=40, large=0)
    kind = pd.Series(np.where(rng.random(8000) < 0.2, "new", "returning"))
    fond = (kind == "new").to_numpy()
    for item in (20, 21):
        held[:, item] = rng.random(8000) < np.where(fond, 0.4, 0.02)
    baskets = made(held, customers=rng.integers(0, 2500, 8000), support=0.005)
    plain = bk.fit(baskets, max_items=2, min_confidence=0)
    assert (20, 21) in set(bk.score(plain, baskets, bk.validate(baskets, plain))["pair"])
    known = with_profiles(replace(baskets, groups={"customers": kind}), kind, prefix="customers: ")
    rules = bk.fit(known, max_items=2, min_confidence=0)
    row = rules.table[rules.table["itemset"] == (20, 21)].iloc[0]
    assert row["times"] > 1.3 and not row["beyond_groups"]
    assert (20, 21) not in set(bk.score(rules, known, bk.validate(known, rules))["pair"])


def test_a_pair_that_turns_round_among_new_customers_warns(rng: np.random.Generator) -> None:
    held = drawn(rng, baskets=9000, items=40, large=0)
    kind = pd.Series(np.where(rng.random(9000) < 0.4, "new", "returning"))
    old = (kind == "returning").to_numpy()
    held[:, 20] = rng.random(9000) < 0.2
    held[:, 21] = np.where(
        old, rng.random(9000) < np.where(held[:, 20], 0.6, 0.1), (rng.random(9000) < 0.2) & (held[:, 20] == 0)
    )
    known = replace(made(held, customers=rng.integers(0, 2500, 9000)), groups={"customers": kind})
    known = with_profiles(known, kind, prefix="customers: ")
    rules = bk.fit(known, max_items=2, min_confidence=0)
    parts = strata.strata(rules, known, [(20, 21)])
    by_kind = parts[parts["dimension"] == "customers"].set_index("part")
    assert by_kind.loc["new", "turned"] and not by_kind.loc["returning", "turned"]
    part = strata.part_of(parts, asked=1)
    assert part.title == "i021 and i020 do not hold everywhere (new)" and part.checks[0].verdict == "warning"
    assert part.sentence == "1 suggested pair is bought together less often than expected in some baskets."


# ---- later time


def divided(held: np.ndarray, days: pd.DatetimeIndex, **more: Any) -> bk.Baskets:
    """Baskets with days, a cut at three quarters, one in the middle, and the totals of every part and month."""
    whole = made(held, days=days, **more)
    start, span = days.min(), (days.max() - days.min()).days + 1
    cut, middle = ((start + pd.Timedelta(days=round(span * share))).date() for share in (0.75, 0.5))
    late, half = days >= pd.Timestamp(cut), days < pd.Timestamp(middle)
    parts = pd.Series(np.where(late, "later", "earlier"))
    quarters = pd.Series(np.where(late, "later", np.where(half, "first half", "third quarter")))
    for label in (whole.months, parts, quarters, parts + " " + whole.months, quarters + " " + whole.months):
        whole = with_profiles(whole, label)
    return replace(whole, cut=cut, middle=middle)


def test_a_pair_of_one_season_is_not_held_up_later(rng: np.random.Generator) -> None:
    """Sun hat and towel sell every summer, each for itself; kettle and filter belong together. Four summers."""
    n = 16_000
    days = pd.Timestamp("2022-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 4 * 365, n)), unit="D")
    summer = np.isin(days.month, (6, 7, 8))
    held = drawn(rng, baskets=n, items=40, large=0)
    for item in (30, 31):
        held[:, item] = rng.random(n) < np.where(summer, 0.3, 0.005)
    both = rng.random(n) < 0.02
    held[both, 20] = held[both, 21] = 1
    baskets = divided(held, days, customers=rng.integers(0, 4000, n), support=0.005)
    rules = bk.fit(baskets, max_items=2, min_confidence=0)
    hats, kettles = (30, 31), (20, 21)
    assert {hats, kettles} <= set(above_chance(rules))
    # The naive count calls the season a success: summer came back.
    naive = count_pairs([hats], baskets=baskets.part("later")).iloc[0]
    assert naive["times_low"] > 1.5
    validation = bk.validate(baskets, rules)
    assert validation.by_month and validation.season >= 1
    for followed in (validation.found, validation.before):
        held_up = set(followed.loc[followed["verdict"] == "held", "itemset"])
        assert kettles in held_up and hats not in held_up
    hat, kettle = (row for _, row in recount([hats, kettles], baskets.part("later")).iterrows())
    assert hat["verdict"] != "held" and kettle["verdict"] == "held"
    assert hat["times_low"] < 1 and hat["times_over_all"] == pytest.approx(naive["times"])
    shown = dict(zip(validation.shown["itemset"], validation.shown["verdict"], strict=True))
    assert shown[hats] != "held" and shown[kettles] == "held"
    assert "by the season alone" in validation.verdict and "not followed" in validation.verdict


# ---- sizes, sets and gifts


@pytest.mark.parametrize(
    ("first", "second", "prices", "how"),
    [
        ("House Espresso Beans 250 g", "House Espresso Beans 1 kg", (9, 30), "size"),
        ("T-Shirt Organic S", "T-Shirt Organic XL", (20, 20), "size"),
        ("Lavender Soap", "Lavender Soap Gift Set", (5, 18), "set or gift"),
        ("Lavender Soap", "Lavender Soap Gift Set", (18, 5), ""),
        ("French Press 1.0 l", "French Press Grind 500 g", (33, 15), ""),
        ("Matcha Ceremonial 30 g", "Bamboo Whisk", (23, 15), ""),
        ("Set of 4", "Set of 6", (1, 2), ""),
        ("i000", "i001", (1, 2), ""),
    ],
)
def test_relatives_are_told_by_their_names(first: str, second: str, prices: tuple[int, int], how: str) -> None:
    baskets = replace(
        made(np.ones((2, 2), dtype=np.int64)),
        names=(first, second),
        kinds=(("", ""),) * 2,
        prices=np.array(prices, float),
    )
    assert related(baskets, 0, 1) == related(baskets, 1, 0) == how
    if how == "size":
        assert related(replace(baskets, kinds=(("Tea", ""), ("Cups", ""))), 0, 1) == ""


def test_sizes_of_one_another_are_not_suggested_and_counted(rng: np.random.Generator) -> None:
    held = drawn(rng, baskets=6000, items=30)
    together = rng.random(6000) < 0.04
    held[together, 20] = held[together, 25] = 1
    baskets = made(held, customers=rng.integers(0, 1500, 6000))
    names = tuple({20: "Soap 1 l", 25: "Soap 2 l"}.get(i, name) for i, name in enumerate(baskets.names))
    baskets = replace(baskets, names=names, kinds=(("", ""),) * 30, prices=np.ones(30))
    rules = bk.fit(baskets, max_items=2, min_confidence=0)
    assert (20, 25) in above_chance(rules)
    assert (20, 25) not in set(bk.score(rules, baskets, bk.validate(baskets, rules))["pair"])
    assert ((20, 25), "size") in relatives_left_out(rules, baskets)


# ---- the demo shop: substitutes, sequences, hit rates, the days ahead


@pytest.fixture(scope="module")
def demo_found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, ...]]:
    made_shop = demo.simulate(seed=20)
    folder = tmp_path_factory.mktemp("demo")
    for name in ("orders", "order_lines", "products", "customers"):
        made_shop.tables[name].to_csv(folder / f"{name}.csv", index=False)
    shop = crm.connect(folder, as_of=made_shop.truth["as_of"])
    baskets = bk.facts(shop, level="product", min_support=0.002)
    rules = bk.fit(baskets, max_items=2)
    yield folder, baskets, rules, made_shop.truth["baskets"]


@pytest.fixture(scope="module")
def small_shops(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[bk.Baskets, bk.Rules, Any]]:
    answer = []
    for seed in (22, 24, 26, 28):
        made_shop = demo.simulate(seed=seed, customers=2000)
        folder = tmp_path_factory.mktemp("small")
        for name in ("orders", "order_lines", "products"):
            made_shop.tables[name].to_csv(folder / f"{name}.csv", index=False)
        shop = crm.connect(folder, as_of=made_shop.truth["as_of"])
        baskets = bk.facts(shop, level="product", min_support=0.002)
        answer.append((baskets, bk.fit(baskets, max_items=2), made_shop.truth["baskets"]))
    return answer


@pytest.mark.slow
def test_planted_substitutes_are_found_and_no_others(demo_found: tuple[Any, ...]) -> None:
    _, baskets, rules, truth = demo_found
    found = substitutes.substitutes(rules, baskets)
    assert set(zip(found["first"], found["second"], strict=True)) == {
        (pair["first_name"], pair["second_name"]) for pair in truth["substitutes"]
    }
    assert (found["relation"] == "size").all() and (found["times_high"] < 1).all()
    part = substitutes.part_of(found, rules)
    assert part.title == "Customers buy one size of House Espresso Beans or another, rarely both at once"
    assert part.sentence.endswith("The same goes for 1 other pair.")
    assert part.actions[0].what == "If one of these 2 pairs is sold out, offer the other"
    alone = substitutes.part_of(found.head(1).assign(relation=""), rules)
    assert alone.title == "Customers buy House Espresso Beans 250 g or House Espresso Beans 1 kg, rarely both at once"
    assert alone.actions[0].what == "Offer House Espresso Beans 1 kg when House Espresso Beans 250 g is sold out"
    nothing = substitutes.part_of(found.head(0), rules)
    assert not nothing.shown and nothing.actions == () and nothing.metrics[0].value == 0


def test_planted_sequences_are_found_and_none_in_shuffled_days(
    demo_found: tuple[Any, ...], rng: np.random.Generator
) -> None:
    _, baskets, rules, truth = demo_found
    found = after.sequences(baskets, rules, window_days=60)
    assert set(zip(found.table["first"], found.table["then"], strict=True)) == {
        (pair["first_name"], pair["second_name"]) for pair in truth["sequences"]
    }
    assert (found.table["times_low"] > 1).all()
    # Order within each customer at random: activity, taste and popularity stay.
    wrong = 0
    for _ in range(10):
        order = np.lexsort((rng.random(baskets.n), baskets.customers))
        into = np.argsort(baskets.customers, kind="stable")
        where = np.empty(baskets.n, dtype=np.int64)
        where[into] = order
        mixed = replace(baskets, held=baskets.held[where], sizes=baskets.sizes[where])
        wrong += len(after.sequences(mixed, rules, window_days=60).table) > 0
    assert wrong <= 2  # of 10, at a rate of .05: three or more have a chance of .012


@pytest.mark.parametrize(("times", "by_sales", "habit"), [(1.0, 0.5, False), (3.0, 0.4, True), (8.0, 0.5, True)])
def test_ranges_of_sequences_hold_when_customers_repeat_themselves(times: float, by_sales: float, habit: bool) -> None:
    """2,000 planted pairs of 200 customers; with habits, every customer has an order of his own."""
    rng = np.random.default_rng(5)
    odds = times * by_sales / (1 - by_sales)
    share = odds / (1 + odds)
    events = rng.poisson(0.6, (200, 2000))
    ahead = rng.binomial(events, rng.beta(share * 3, (1 - share) * 3, events.shape) if habit else share)
    low, high = after.order_range(ahead, events - ahead, np.full(2000, by_sales))
    assert 0.94 <= ((low <= times) & (times <= high)).mean() <= 0.96


@pytest.mark.slow
def test_planted_sequences_are_found_in_small_shops_too(small_shops: list[tuple[bk.Baskets, bk.Rules, Any]]) -> None:
    found, wrong, planted = 0, 0, 0
    for baskets, rules, truth in small_shops:
        table = after.sequences(baskets, rules, window_days=60).table
        named = set(zip(table["first"], table["then"], strict=True))
        wanted = {(pair["first_name"], pair["second_name"]) for pair in truth["sequences"]}
        found, wrong, planted = found + len(named & wanted), wrong + len(named - wanted), planted + len(wanted)
    assert 4 * found >= 3 * planted and wrong == 0


def test_what_one_item_brings_does_not_come_after_everything(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refill is bought after its kettle only, so it is late beside all that its buyers hold: no sequence but one."""
    people, orders, items = 3000, 6, 20
    held = (rng.random((people, orders, items)) < 0.15).astype(np.int64)
    held[..., 1] = rng.random((people, orders)) < 0.004
    held[:, 1:, 1] |= (held[:, :-1, 0] == 1) & (rng.random((people, orders - 1)) < 0.6)
    start = rng.integers(0, 300, (people, 1))
    days = pd.Timestamp("2025-01-01") + pd.to_timedelta((start + 12 * np.arange(orders)).ravel(), unit="D")
    flat = held.reshape(-1, items)
    baskets = made(flat, customers=np.repeat(np.arange(people), orders), days=days)
    baskets = replace(baskets, customer_ids=tuple(f"c{i}" for i in range(people)))
    rules = bk.fit(baskets, max_items=2)
    found = after.sequences(baskets, rules, window_days=60).table
    assert list(zip(found["first"], found["then"], strict=True)) == [("i000", "i001")]
    monkeypatch.setattr(
        importlib.import_module("crmlib.analysis.baskets.sequences"),
        "lateness",
        lambda events, _: np.zeros(len(events)),
    )
    assert len(after.sequences(baskets, rules, window_days=60).table) > 5


def test_suggestions_are_tried_on_later_baskets_beside_bestsellers(demo_found: tuple[Any, ...]) -> None:
    _, baskets, rules, _ = demo_found
    validation = bk.validate(baskets, rules)
    rates = bk.hit_rates(baskets, validation)
    assert rates.difference("beside a product")["verdict"] == "better"  # planted with up to .45
    assert rates.difference("to a customer")["verdict"] != "better"  # a pair is made in one basket, not over time
    gap = rates.difference("beside a product")
    ours, theirs = (rates.rate("beside a product", method)["rate"] for method in ("suggestion", "bestseller"))
    assert gap["difference"] == pytest.approx(ours - theirs)
    suggestions = bk.score(rules, baskets, validation)
    owners = owns_not(suggestions, baskets, shop=SHOP)
    ever = pd.DataFrame({"c": baskets.customers[baskets.held.tocoo().row], "i": baskets.held.tocoo().col})
    bought = {
        (baskets.customer_ids[c], baskets.ids[i])
        for c, i in set(zip(ever["c"], ever["i"], strict=True))
        if c < len(baskets.customer_ids)
    }
    assert len(owners) and owners["customer_id"].is_unique
    for row in owners.itertuples():
        assert (row.customer_id, row.owns_id) in bought
        assert (row.customer_id, row.suggest_id) not in bought and (row.customer_id, row.bestseller_id) not in bought
    top = suggestions.iloc[0]
    assert top["room_low"] < top["room"] < top["room_high"]


def test_what_large_baskets_hold_anyway_is_told_apart(rng: np.random.Generator) -> None:
    """In small baskets the pair goes together; large ones hold the bestseller, whatever else is in them."""
    n = 20_000
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 720, n)), unit="D")
    held = drawn(rng, baskets=n, items=60, large=0.12)
    large = held.sum(axis=1) >= 11
    held[large, 0] = 1
    held[~large, 0] = rng.random(int((~large).sum())) < 0.2
    shown = rng.random(n) < 0.05
    held[shown, 40] = 1
    held[shown & (rng.random(n) < 0.6), 41] = 1
    baskets = divided(held, days, customers=rng.integers(0, 3000, n), support=0.005)
    rules = bk.fit(baskets, max_items=2, min_confidence=0)
    validation = bk.validate(baskets, rules)
    rates = bk.hit_rates(baskets, validation)
    suggested = bk.score(validation.rules, baskets.part("earlier"), validation)
    ((first, then),) = hits.first_choice(suggested, baskets.ids).items()
    later, (small, many) = baskets.part("later"), ("under 11 items", "11 items or more")
    for size, inside in ((small, later.sizes < 11), (many, later.sizes >= 11)):
        tried = later.held.toarray()[inside]
        tried = tried[tried[:, first] == 1]
        pair, best = (rates.rate("beside a product", method, size=size) for method in ("suggestion", "bestseller"))
        assert pair["trials"] == best["trials"] == len(tried)
        assert pair["rate"] == pytest.approx(tried[:, then].mean()) and best["rate"] == pytest.approx(
            tried[:, 0].mean()
        )
    assert rates.difference("beside a product", size=small)["verdict"] == "better"
    assert rates.difference("beside a product", size=many)["verdict"] == "beaten"
    parts = [rates.rate("beside a product", "suggestion", size=size)["trials"] for size in ("all", small, many)]
    assert parts[0] == parts[1] + parts[2]
    assert rates.better == (("beside a product", small),)


SMALL, LARGE, ANY, LATER = (
    ("beside a product", "under 11 items"), ("beside a product", "11 items or more"), ("beside a product", "all"),
    ("to a customer", "all"),
)  # fmt: skip


def verdicts(**said: str) -> bk.HitRates:
    """Hit rates with these verdicts by place."""
    ends = {"better": (0.01, 0.005, 0.015), "tie": (0.0, -0.1, 0.1), "beaten": (-0.01, -0.015, -0.005)}
    places = {"small": SMALL, "large": LARGE, "any": ANY, "later": LATER}
    rates = [
        (*places[key], method, 500, 400, 50.0, 0.1, 0.08, 0.12)
        for key in said
        for method in ("suggestion", "bestseller")
    ]
    differences = [(*places[key], *ends[verdict], 0.0025, verdict) for key, verdict in said.items()]
    return bk.HitRates(
        rates=pd.DataFrame(
            rates, columns=["place", "size", "method", "trials", "customers", "hits", "rate", "low", "high"]
        ),
        differences=pd.DataFrame(differences, columns=["place", "size", "difference", "low", "high", "se", "verdict"]),
        days=90,
        why="" if said else "Fewer than 100 later baskets held a product with a suggestion.",
    )


@pytest.mark.parametrize(
    ("said", "advice", "title"),
    [
        ({"any": "better", "small": "better", "large": "beaten", "later": "beaten"},
         "In small baskets, suggest the matching product; in large baskets and in e-mails, keep to bestsellers.",
         "The matching product was bought more often than a bestseller in small baskets, but less often in large ones and in "
         "later orders"),
        ({"any": "better", "small": "better", "large": "better", "later": "better"},
         "In small baskets, in large baskets and in e-mails, suggest the matching product.",
         "The matching product was bought more often than a bestseller in small baskets, in large ones and in later "
         "orders"),
        ({"any": "better", "small": "better"}, "In the basket, suggest the matching product.",
         "The matching product was bought more often than a bestseller in the basket"),
        ({"any": "better", "small": "better", "large": "beaten", "later": "tie"},
         "In small baskets, suggest the matching product; in large baskets, keep to bestsellers; "
         "in e-mails neither was clearly better.",
         "The matching product was bought more often than a bestseller in small baskets, but less often in large ones "
         "and not clearly in later orders"),
        ({"any": "better", "later": "tie"},
         "In the basket, suggest the matching product; in e-mails neither was clearly better.",
         "The matching product was bought more often than a bestseller in the basket, but not clearly in later "
         "orders"),
        ({"any": "beaten", "later": "beaten"},
         "Keep showing bestsellers: unprompted, they were bought more often than the matching product.",
         "The matching product was bought less often than a bestseller in the basket and in later orders"),
        ({"any": "tie", "later": "beaten"},
         "Keep showing bestsellers in e-mails; in the basket neither was clearly better.",
         "The matching product was bought less often than a bestseller in later orders, and not clearly more "
         "often in the basket"),
        ({"any": "beaten", "small": "beaten", "large": "beaten", "later": "tie"},
         "Keep showing bestsellers in small baskets and in large baskets; in e-mails "
         "neither was clearly better.",
         "The matching product was bought less often than a bestseller in small baskets and in large ones, and not "
         "clearly more often in later orders"),
        ({"any": "tie"}, "Keep showing bestsellers: unprompted, the matching product was not clearly bought more often.",
         "The matching product was not clearly bought more often than a bestseller"),
        ({}, "", ""),
    ],
)  # fmt: skip
def test_advice_follows_the_evidence(said: dict[str, str], advice: str, title: str) -> None:
    rates = verdicts(**said)
    assert hits.advised(rates) == advice
    part = bk.part_hits(rates, NO_PAIRS, made(np.ones((3, 2), dtype=np.int64)), shop=SHOP)
    assert part.title == title and part.actions == ()
    assert part.shown == bool(said) and part.certain == ()


NO_PAIRS = pd.DataFrame(columns=["gain", "pair", "item_id", "suggest_id", "share", "room", "room_low", "room_high"])


@pytest.mark.parametrize(
    ("said", "test"),
    [({"any": "beaten"}, False), ({"any": "tie"}, False), ({"small": "better", "large": "beaten"}, True), ({}, True)],
)
def test_nobody_is_asked_to_test_what_the_evidence_speaks_against(said: dict[str, str], test: bool) -> None:
    pairs = pd.DataFrame({"pair": [(0, 1)], "item_id": "i000", "suggest_id": "i001", "share": 0.5, "gain": 0.1,
                          "room": np.nan,
                          "room_low": np.nan, "room_high": np.nan})  # fmt: skip
    part = bk.part_hits(verdicts(**said), pairs, made(np.ones((3, 2), dtype=np.int64)), shop=SHOP)
    assert [action.what for action in part.actions] == (["Test 1 pair on half of visitors"] if test else [])
    assert bool(part.certain) != bool(said)


@pytest.mark.parametrize(
    ("share", "title"),
    [
        (0.346, "One in three orders with A is followed by B within 60 days"),
        (0.5, "One in two orders with A is followed by B within 60 days"),
        (0.406, "41% of orders with A are followed by B within 60 days"),
        (0.04, "4% of orders with A are followed by B within 60 days"),
        (float("nan"), "B usually comes after A"),
    ],
)
def test_a_sequence_is_said_as_one_says_it(share: float, title: str) -> None:
    assert after._title(pd.Series({"first": "A", "then": "B", "share_after": share}), 60) == title


def test_a_sequence_whose_window_is_never_over_is_told_by_its_counts() -> None:
    row = {"pair": (0, 1), "first": "A", "then": "B", "share_after": np.nan, "share_any": 0.0, "after": 40, "before": 9,
           "customers": 38, "times": 4.0, "times_low": 2.0, "times_high": 9.0}  # fmt: skip
    assert after._sentence(pd.Series(row)).startswith("It came 40 times after and 9 times before.")
    drawn_of = after._chart(after.Sequences(table=pd.DataFrame([row]), window_days=60, searched=1))
    assert not drawn_of.wide and len(drawn_of.table["rows"]) == 1


def planted_refills(rng: np.random.Generator) -> bk.Baskets:
    """A refill (1) after its kettle (0), within 60 days or not; customers, some guests, days up to the last."""
    people, orders, items = 1500, 5, 12
    held = (rng.random((people, orders, items)) < 0.2).astype(np.int64)
    held[..., 1] = rng.random((people, orders)) < 0.01
    held[:, 1:, 1] |= (held[:, :-1, 0] == 1) & (rng.random((people, orders - 1)) < 0.5)
    start = rng.integers(0, 300, (people, 1))
    days = pd.Timestamp("2025-01-01") + pd.to_timedelta((start + 17 * np.arange(orders)).ravel(), unit="D")
    who = np.repeat(np.arange(people), orders)
    guest = rng.random(len(who)) < 0.1
    who[guest] = people + np.arange(guest.sum())
    baskets = made(held.reshape(-1, items), customers=who, days=days)
    return replace(baskets, customer_ids=tuple(f"c{i}" for i in range(people)), as_of=date(2025, 11, 20))


def test_shares_of_sequences_count_known_customers_with_their_whole_window(rng: np.random.Generator) -> None:
    baskets = planted_refills(rng)
    found = after.sequences(baskets, bk.fit(baskets, max_items=2), window_days=60)
    row = found.table.iloc[0]
    assert row["pair"] == (0, 1)
    held, day = baskets.held.toarray(), baskets.days.dt.date.tolist()
    of: dict[int, list[int]] = {}
    for basket, customer in enumerate(baskets.customers):
        of.setdefault(int(customer), []).append(basket)
    seen = {"first": [], "any": []}  # type: dict[str, list[bool]]
    for basket, customer in enumerate(baskets.customers):
        # The last day that is seen is the one before as_of.
        if customer >= len(baskets.customer_ids) or day[basket] + timedelta(days=60) > date(2025, 11, 19):
            continue
        followed = any(held[other, 1] and 1 <= (day[other] - day[basket]).days <= 60 for other in of[int(customer)])
        seen["any"].append(followed)
        if held[basket, 0]:
            seen["first"].append(followed)
    assert row["baskets_first"] == len(seen["first"]) < held[:, 0].sum()
    assert row["share_after"] == pytest.approx(np.mean(seen["first"]))
    assert row["share_any"] == pytest.approx(np.mean(seen["any"])) and row["share_any"] < 0.7 * row["share_after"]
    part = after.part_of(found, after.reminders(found, baskets), bk.fit(baskets, max_items=2), shop=SHOP)
    assert part.title.endswith("orders with i000 are followed by i001 within 60 days") or "One in " in part.title
    assert part.sentence.startswith("After any order it is ")
    assert part.actions[0].what == f"Remind {part.actions[0].count} customers of i001"
    assert "does not say who agreed to marketing e-mail" in part.actions[0].why


def test_reminders_are_for_who_bought_the_first_lately_and_not_the_second_since(rng: np.random.Generator) -> None:
    baskets = planted_refills(rng)
    baskets = replace(baskets, as_of=date(2025, 11, 20))
    found = after.sequences(baskets, bk.fit(baskets, max_items=2), window_days=60)
    listed = after.reminders(found, baskets)
    held, want = baskets.held.toarray(), set()
    for customer, name in enumerate(baskets.customer_ids):
        own = np.flatnonzero(baskets.customers == customer)
        first, then = (baskets.days[own[held[own, item] == 1]] for item in (0, 1))
        if len(first) and (date(2025, 11, 20) - first.max().date()).days <= 60 and not (then >= first.max()).any():
            want.add((name, first.max().date()))
    assert listed["customer_id"].is_unique
    of_it = listed[listed["bought_id"] == "i000"]
    assert set(zip(of_it["customer_id"], of_it["last_bought"], strict=True)) == want and len(want) > 20
    assert all(by - last == timedelta(days=60) for by, last in zip(listed["by"], listed["last_bought"], strict=True))


def test_a_customer_is_reminded_of_one_thing_even_with_two_on_the_way(rng: np.random.Generator) -> None:
    baskets = replace(planted_refills(rng), as_of=date(2025, 11, 20))
    found = after.sequences(baskets, bk.fit(baskets, max_items=2), window_days=60)
    once = after.reminders(found, baskets)
    again = replace(found, table=pd.concat([found.table.head(1)] * 2).assign(then=["one", "two"]))
    twice = after.reminders(again, baskets)
    assert twice["customer_id"].is_unique and set(twice["customer_id"]) <= set(once["customer_id"])
    part = after.part_of(again, twice, bk.fit(baskets, max_items=2), shop=SHOP)
    listed = part.lists["reminders"]
    assert part.actions[0].count == (listed["lot"] == "write").sum()
    assert part.actions[0].what.endswith(" customers of the product that usually comes next")
    assert after.reminders(replace(found, table=found.table.head(0)), baskets).empty


@pytest.mark.slow
def test_predictions_are_marked_by_a_later_run(demo_found: tuple[Any, ...], tmp_path: Path) -> None:
    folder, _, _, _ = demo_found
    then = crm.connect(folder, as_of="2026-07-01")
    baskets = bk.facts(then, level="product", min_support=0.002)
    rules = bk.fit(baskets, max_items=2)
    validation = bk.validate(baskets, rules)
    suggestions = bk.score(rules, baskets, validation)
    said = predictions(baskets, validation, suggestions, bk.hit_rates(baskets, validation))
    assert {prediction.id for prediction in said} == {PAIRS_HELD, HIT_RATE}
    assert all(prediction.low <= prediction.value <= prediction.high for prediction in said)
    listed(suggestions, level="product").to_csv(tmp_path / "suggested_pairs.csv", index=False)
    due = tuple(Due(prediction=one, as_of=date(2026, 7, 1), run_id="r", lists=tmp_path) for one in said)
    now = crm.connect(folder, as_of="2026-10-01")
    marks = {grade.due.prediction.id: grade.actual for grade in bk.grade(now, due)}
    assert marks[PAIRS_HELD] >= 0.8
    wanted = next(one for one in said if one.id == HIT_RATE)
    assert wanted.low <= marks[HIT_RATE] <= wanted.high
    gone = tuple(replace(one, lists=None) for one in due)
    assert bk.grade(now, gone) == ()
