"""What is suggested to whom: families once, the direction that works, habits left out, letters only where they can
pay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy import stats as distributions

import crmlib as crm
from crmlib.analysis import baskets as bk
from crmlib.analysis import outreach
from crmlib.analysis.baskets import hits, nextitem
from crmlib.analysis.baskets.chance import fit_size_classes, tail
from crmlib.analysis.baskets.expressions import basket_table
from crmlib.analysis.baskets.habits import dealt, trips, within_habits
from crmlib.analysis.baskets.owners import owns_not
from crmlib.analysis.baskets.pairs import gains, seasons_known
from crmlib.analysis.baskets.relatives import FAMILY, related, relatives
from crmlib.analysis.baskets.suggestions import _leading
from tests.test_baskets import SHOP, drawn, made
from tests.test_baskets_beyond import verdicts

ShopWriter = Callable[..., Path]


# ---- habits


def households(rng: np.random.Generator, *, homes: int = 250, months: int = 6, trips_a_month: int = 5) -> bk.Baskets:
    """Homes with tastes of their own for 80 products. A third buys 0 and 1 on every other trip each, whichever; 2 brings 3."""
    n = homes * months * trips_a_month
    who = np.repeat(np.arange(homes), months * trips_a_month)
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta(
        30.4 * np.tile(np.repeat(np.arange(months), trips_a_month), homes) + rng.integers(0, 28, n), unit="D"
    )
    rate = rng.gamma(2, 0.04, (homes, 80))
    rate[:, :2] = np.where(np.arange(homes) % 3 == 0, 0.5, 0.02)[:, None]
    held = rng.random((n, 80)) < np.minimum(rate, 0.8)[who]
    held[:, 3] |= held[:, 2] & (rng.random(n) < 0.3)
    return made(held.astype(np.int64), customers=who, days=days)


def test_habits_of_a_household_are_no_pair(rng: np.random.Generator) -> None:
    baskets = households(rng)
    found = within_habits([(0, 1), (2, 3)], baskets, rate=0.05)
    # By sales alone the two habits meet far more often than chance.
    chance = fit_size_classes(baskets).expected(np.array([[0, 1]])).sum()
    assert baskets.held.toarray()[:, :2].all(axis=1).sum() > 1.3 * chance
    assert found["times_in_habits"].iloc[0] == pytest.approx(1, abs=0.05) and not found["beyond_habits"].iloc[0]
    assert found["beyond_habits"].iloc[1] and found["times_low_in_habits"].iloc[1] > 1.2


def test_habits_err_at_the_declared_rate() -> None:
    """Of 1,300 pairs of homes with tastes, none of which goes together, one in twenty would be called at .05."""
    pairs = [(a, b) for a in range(12) for b in range(a + 1, 12) if (a, b) != (2, 3)]
    wrong = 0
    for seed in range(20):
        found = within_habits(pairs, households(np.random.default_rng(seed), homes=120), rate=0.05)
        se = (found["times_high_in_habits"] - found["times_in_habits"]) / 1.96 * found["expected_in_habits"]
        wrong += int((found["count_in_habits"] - found["expected_in_habits"] > 1.645 * se).sum())
    assert 0.02 <= wrong / (20 * len(pairs)) <= 0.07, wrong / (20 * len(pairs))


def test_what_a_month_holds_is_dealt_out_whole(rng: np.random.Generator) -> None:
    baskets = households(rng, homes=30)
    of = trips(baskets)
    held = sparse.csr_array(baskets.held)[of.rows]
    q = dealt(held, of).toarray()
    assert q.min() >= 0 and q.max() <= 1
    bought = pd.DataFrame(held.toarray()).groupby(of.group).sum()
    pd.testing.assert_frame_equal(pd.DataFrame(q).groupby(of.group).sum(), bought, check_dtype=False, atol=1e-3)
    # One home of equal baskets: each of five has two fifths of what two hold.
    alike = made(np.array([[1, 1], [1, 0], [0, 1], [1, 0], [0, 1]]), customers=np.zeros(5, dtype=np.int64),
                 days=["2026-01-05"] * 5)  # fmt: skip
    flat = replace(alike, sizes=np.full(5, 3))
    assert dealt(flat.held, trips(flat)).toarray() == pytest.approx(0.6)


def test_a_pair_whose_baskets_stand_alone_is_left_open(rng: np.random.Generator) -> None:
    held = drawn(rng, baskets=300, items=10)
    alone = made(held, customers=np.arange(300), days=["2026-01-05"] * 300)
    found = within_habits([(0, 1)], alone, rate=0.05)
    assert found["beyond_habits"].all() and found["q_in_habits"].isna().all()


# ---- few baskets


@pytest.mark.parametrize(("n", "a", "b"), [(100, 30, 40), (1000, 120, 60), (400, 200, 10)])
def test_the_tail_is_the_exact_one_where_totals_are_fixed(n: int, a: int, b: int) -> None:
    expected = a * b / n
    counts = np.arange(int(expected) + 1, min(a, b) + 1)
    exact = distributions.hypergeom.sf(counts - 1, n, a, b)
    ours = tail(counts, np.full(len(counts), expected), np.full(len(counts), a), np.full(len(counts), b))
    poisson = distributions.poisson.sf(counts - 1, expected)
    assert ours[(exact < 0.1) & (exact > 1e-9)] == pytest.approx(exact[(exact < 0.1) & (exact > 1e-9)])
    # Never surer than the exact one, and never less sure than a Poisson count.
    rare = exact < 0.1
    assert (ours >= exact * (1 - 1e-9))[rare].all() and (ours <= poisson)[rare].all()


def test_the_tail_is_never_too_sure_where_baskets_differ(rng: np.random.Generator) -> None:
    """Two items dealt anew into small and large baskets, each class keeping its totals: 20,000 times."""
    baskets, totals = (700, 200, 100), ((20, 40), (30, 40), (50, 60))
    met = sum(
        rng.hypergeometric(first, n - first, second, 20_000) for n, (first, second) in zip(baskets, totals, strict=True)
    )
    expected = sum(a * b / n for n, (a, b) in zip(baskets, totals, strict=True))
    first, second = (np.full(20_000, side) for side in np.sum(totals, axis=0))
    p = tail(met, np.full(20_000, expected), first, second)
    for rate in (0.05, 0.01, 0.001):
        assert (p <= rate).mean() <= rate + 2 * np.sqrt(rate / 20_000), rate


def test_small_shops_find_what_is_clear() -> None:
    """1,000 baskets of 50 products, five pairs of which a quarter of the first's buyers take the second too."""
    found = dict.fromkeys((2, 3), 0)
    false = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        popular = 1 / np.arange(1, 51) ** 0.8
        held = rng.random((1000, 50)) < 3 * popular / popular.sum()
        pairs = [(3 + 4 * k, 5 + 4 * k) for k in range(5)]
        for a, b in pairs:
            held[:, b] |= held[:, a] & (rng.random(1000) < 0.25)
        baskets = replace(
            made(held.astype(np.int64), customers=rng.integers(0, 700, 1000), support=0.002), min_baskets=5
        )
        for most in found:
            above = set(bk.rules.above_chance(bk.fit(baskets, max_items=most)))
            found[most] += len(above & set(pairs))
            false += len(above - set(pairs))
    # Of 30. With a t-test and a Poisson count alone it was 20 and 12.
    assert found[2] >= 24 and found[3] >= 23 and false <= 2


# ---- families and directions


def listed(pairs: list[tuple[int, int]], gain: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"pair": pairs, "gain": gain, "item_id": [f"i{a:03d}" for a, _ in pairs]})


def test_ten_suggestions_lead_one_a_family() -> None:
    # Twelve designs of a bag with a purse, the bag with a hat, and ten other pairs.
    pairs = [(i, 12) for i in range(12)] + [(0, 13)] + [(14 + 2 * i, 15 + 2 * i) for i in range(10)]
    families = ("Bag",) * 12 + ("",) * 22
    baskets = replace(made(np.ones((2, 34), dtype=np.int64)), families=families)
    found = _leading(listed(pairs, [0.1] * len(pairs)), baskets)
    # The purse once; the hat after ten others, since the bag has led.
    assert found["pair"].tolist() == [(0, 12), *pairs[13:22], (0, 13), pairs[22]]
    assert related(baskets, 0, 1) == FAMILY and related(baskets, 0, 12) == ""
    named = replace(baskets, names=tuple(f"Tea {i % 3} kg" if i < 6 else f"Cup {i}" for i in range(34)))
    every = {a: [b for b in range(34) if b != a and related(named, a, b)] for a in range(34)}
    assert relatives(named, range(34)) == every


def test_what_a_bestseller_beats_comes_last_and_is_not_tested() -> None:
    pairs = [(0, 1), (2, 3), (4, 5)]
    baskets = made(np.ones((2, 6), dtype=np.int64))
    found = _leading(listed(pairs, [-0.1, 0.2, -0.3]), baskets)
    assert found["pair"].tolist() == [(2, 3), (0, 1), (4, 5)]
    assert hits.to_test(found)["pair"].tolist() == [(2, 3)]
    assert hits.to_test(found.head(0)).empty


def test_a_pair_is_shown_in_the_direction_that_works() -> None:
    held = np.zeros((1000, 4), dtype=np.int64)
    held[:400, 0] = 1  # the bestseller
    held[300:500, 1] = held[440:540, 2] = 1  # 100 of the first's 200 with the bestseller; 60 with the second
    held[0:30, 3] = 1  # always with the bestseller
    baskets = made(held)
    one, two = np.array([1, 2]), np.array([2, 1])
    assert gains(one, two, baskets=baskets) == pytest.approx([60 / 200 - 100 / 200, 60 / 100])
    assert gains(np.array([3]), np.array([0]), baskets=baskets) == pytest.approx([0.0])
    large = replace(baskets, sizes=np.where(held[:, 1] == 1, 11, baskets.sizes))
    # Counted in small baskets; where an item is in none of these, in all.
    assert gains(two, one, baskets=large)[0] == pytest.approx(0.0)
    assert gains(one, two, baskets=large)[0] == pytest.approx(60 / 200 - 100 / 200)


# ---- what to suggest next


def test_likeness_is_the_cosine(rng: np.random.Generator) -> None:
    held = drawn(rng, baskets=200, items=12)
    norm = held / np.linalg.norm(held, axis=0)
    want = norm.T @ norm
    np.fill_diagonal(want, 0)
    alike = nextitem.likeness(sparse.csc_array(held))
    assert alike.toarray() == pytest.approx(want)
    has = sparse.csr_array((held[:40] > 0).astype(np.int32))
    popular = np.argsort(-held.sum(axis=0), kind="stable")
    best, most = nextitem.next_items(alike, has, popular=popular)
    for row in range(40):
        score = np.where(held[row] > 0, -1, held[row] @ want)
        assert score[best[row]] == pytest.approx(score.max()) and not held[row, best[row]]
        assert most[row] == next(item for item in popular if not held[row, item])
    tested = {(0, 1), (2, 5)}
    reasons = nextitem.because(alike, has, best, tested=tested)
    for row in range(40):
        pairs = [(min(i, best[row]), max(i, best[row])) for i in np.flatnonzero(held[row])]
        score = [
            want[i, best[row]] + (pair in tested) for i, pair in zip(np.flatnonzero(held[row]), pairs, strict=True)
        ]
        assert reasons[row] == np.flatnonzero(held[row])[int(np.argmax(score))]
    table = nextitem.next_table(alike, made(held), tested=tested)
    for item, rows in table.groupby("item_id"):
        place = int(str(item)[1:])
        assert rows["likeness"].tolist() == pytest.approx(np.sort(want[place][want[place] > 0])[::-1][:10], abs=1e-4)
        assert rows["rank"].tolist() == list(range(1, len(rows) + 1))
    assert table["tested"].sum() == 4


def shop_of_two_tastes(rng: np.random.Generator, *, back: float = 1.0) -> bk.Baskets:
    """600 customers who buy two of their taste's five items, a day later perhaps a third; a bestseller of one taste."""
    rows, who, days = [], [], []
    for customer in range(600):
        mine = 5 * (customer % 3) + rng.permutation(5)
        baskets = [mine[:2], mine[2:4]] if rng.random() < back else [mine[:2]]
        for turn, items in enumerate(baskets):
            held = np.zeros(15, dtype=np.int64)
            held[items] = 1
            rows.append(held)
            who.append(customer)
            days.append(pd.Timestamp("2026-01-01") + pd.Timedelta(days=turn * 200 + int(rng.integers(0, 100))))
    made_up = made(np.array(rows), customers=np.array(who), days=days)
    return replace(made_up, customer_ids=tuple(f"c{i}" for i in range(600)))


def test_the_next_item_beats_a_bestseller_where_tastes_differ(rng: np.random.Generator) -> None:
    baskets = shop_of_two_tastes(rng)
    early = (baskets.days < pd.Timestamp("2026-06-01")).to_numpy()
    parts = [baskets.rows(np.flatnonzero(here), period="all") for here in (early, ~early)]
    trials = hits._to_customers(*parts)
    # One of three left of the taste, and two are bought; of bestsellers a third are of the taste.
    assert len(trials) == 600 and trials["suggestion"].mean() == pytest.approx(2 / 3, abs=0.06)
    assert trials["bestseller"].mean() < 0.45
    hidden = nextitem.hidden_items(nextitem.likeness(parts[0].held), parts[1], popular=np.arange(15))
    assert hidden["suggestion"].mean() > hidden["bestseller"].mean() + 0.2


def test_letters_name_what_is_not_owned_and_the_tested_pair_it_goes_with(rng: np.random.Generator) -> None:
    baskets = shop_of_two_tastes(rng)
    owners = owns_not(pd.DataFrame({"pair": [(0, 1), (0, 2)]}), baskets, shop=SHOP)
    has = nextitem.owned(baskets).toarray()
    for row in owners.itertuples():
        mine = has[int(row.customer_id[1:])]
        assert mine[int(row.owns_id[1:])] and not mine[int(row.suggest_id[1:])] and not mine[int(row.bestseller_id[1:])]
        pair = tuple(sorted((int(row.owns_id[1:]), int(row.suggest_id[1:]))))
        assert row.tested == (pair in {(0, 1), (0, 2)})
    assert owners["tested"].any() and owners["customer_id"].is_unique
    # Who has not bought for a year is not written to.
    old = replace(baskets, days=baskets.days.where(baskets.customers > 0, pd.Timestamp("2024-01-01")))
    assert "c0" not in set(owns_not(pd.DataFrame({"pair": [(0, 1)]}), old, shop=SHOP)["customer_id"])


@pytest.mark.parametrize(
    ("said", "found", "about"),
    [({}, 0, None), ({"later": "tie"}, 50, None), ({"later": "better"}, 50, True), ({"later": "beaten"}, 50, False),
     ({"later": "better"}, 29, None), ({"later": "beaten"}, 29, None)],
)  # fmt: skip
def test_no_letters_where_nobody_comes_back(said: dict[str, str], found: int, about: bool | None) -> None:
    rates = verdicts(**said)
    rates = replace(rates, rates=rates.rates.assign(hits=float(found)))
    assert hits.letters_about(rates) is about


def test_one_lot_a_customer_for_all_lists(rng: np.random.Generator) -> None:
    drawn_of: set[str] = set()

    class Watching:
        as_of = SHOP.as_of

        def lot(self, customer: object, *, of: str) -> bool:
            drawn_of.add(of)
            return True

        def has(self, *_: str) -> bool:
            return False

    shop: Any = Watching()
    owns_not(pd.DataFrame({"pair": [(0, 1)]}), shop_of_two_tastes(rng), shop=shop)
    outreach.lots(["c1"], shop=shop)
    assert drawn_of == {"marketing 2026-2"}


# ---- prompted purchases, years


def test_orders_that_a_coupon_or_letter_prompted_are_marked(write_shop: ShopWriter) -> None:
    orders = pd.DataFrame(
        [("o1", "2026-01-05 10:00", "a", "", ""), ("o2", "2026-01-06 10:00", "a", "SALE", ""),
         ("o3", "2026-01-07 10:00", "b", "", "c9"), ("o4", "2026-01-20 10:00", "b", "", ""),
         ("o5", "2026-01-24 10:00", "b", "", ""), ("o6", "2026-02-20 10:00", "", "", "")],
        columns=["order_id", "ordered_at", "customer_id", "coupon", "campaign_id"],
    )  # fmt: skip
    lines = pd.DataFrame({"order_id": orders["order_id"], "product_id": "p1"})
    touches = pd.DataFrame(
        [("b", "2026-01-18 09:00", "e-mail", "sent"), ("b", "2026-01-23 09:00", "search", "visit"),
         ("a", "2026-01-06 09:00", "e-mail", "sent")],
        columns=["customer_id", "at", "channel", "kind"],
    )  # fmt: skip
    shop = crm.connect(write_shop(orders=orders, order_lines=lines, touches=touches), as_of="2026-03-01")
    table = shop.fetch(basket_table(shop), max_rows=100).set_index("order_id")["prompted"]
    assert table.to_dict() == {"o1": False, "o2": True, "o3": True, "o4": True, "o5": False, "o6": False}
    baskets = bk.facts(shop, level="product", min_support=0.1)
    assert hits.unprompted(baskets).n == 3
    bare = crm.connect(write_shop("bare", order_lines=lines))
    assert not bk.facts(bare, level="product", min_support=0.1).prompted.any()


def test_one_year_carries_no_season(rng: np.random.Generator) -> None:
    held = drawn(rng, baskets=300, items=5)
    for years, known in ((1, False), (2, True)):
        days = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.linspace(0, 365 * years, 300).astype(int), unit="D")
        assert seasons_known(made(held, days=days)) is known
    assert not seasons_known(made(held))


def test_a_months_large_basket_gets_what_its_size_gives_it() -> None:
    """Of two baskets of 50 and 2 items of one month, an item bought once is in the larger 50 times of 52."""
    held = np.zeros((2, 52), dtype=np.int64)
    held[0, :50] = held[1, 50:] = 1
    both = made(held, customers=np.zeros(2, dtype=np.int64), days=["2026-01-05", "2026-01-06"])
    found = dealt(both.held, trips(both)).toarray()
    assert found[:, 0] == pytest.approx([50 / 52, 2 / 52], rel=0.01)
    assert found.sum(axis=1) == pytest.approx([50, 2], rel=0.01)
