"""Rules of many items, shops of few baskets, and work that would not fit: known before it is begun."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlxtend.frequent_patterns import association_rules, fpgrowth

import crmlib as crm
from crmlib.analysis import baskets as bk
from crmlib.analysis.baskets import mining
from crmlib.analysis.baskets.facts import without_wholesale
from crmlib.analysis.baskets.pairs import support_of
from crmlib.errors import UsageError
from tests.test_baskets import drawn, made

ShopWriter = Callable[..., Path]


def groceries(rng: np.random.Generator, baskets: int) -> np.ndarray:
    """Baskets as a supermarket's: 169 kinds, 4.4 of them on average, some bought for one of many meals."""
    popular = 0.25 / np.arange(1, 170) ** 0.9
    held = rng.random((baskets, 169)) < np.minimum(popular * rng.gamma(1.6, 0.8, (baskets, 1)), 0.9)
    for _ in range(40):
        meal = rng.choice(60, 7, replace=False)
        cooks = rng.random(baskets) < 0.012
        held[np.ix_(cooks, meal)] |= rng.random((cooks.sum(), 7)) < 0.7
    return held.astype(np.int64)


def test_rules_of_ten_items_equal_mlxtends(rng: np.random.Generator) -> None:
    """The textbook's question (support .001, confidence .8, up to ten items) on baskets like the textbook's."""
    held = groceries(rng, 1200)
    ours = bk.fit(made(held, support=0.005), min_confidence=0.8, max_items=10, q_max=1, keep_redundant=True)
    sets = fpgrowth(pd.DataFrame(held.astype(bool)), min_support=5.5 / 1200, max_len=10)
    theirs = association_rules(sets, num_itemsets=1200, metric="confidence", min_threshold=0.8)
    sides = {
        (tuple(sorted(a)), tuple(sorted(c))) for a, c in zip(theirs["antecedents"], theirs["consequents"], strict=True)
    }
    assert set(zip(ours.table["antecedent"], ours.table["consequent"], strict=True)) == sides
    assert len(sides) > 400 and sets["itemsets"].map(len).max() >= 6


def test_a_rule_needs_five_baskets_however_small_the_shop(write_shop: ShopWriter) -> None:
    rows = [(f"o{i}", item) for i in range(300) for item in (("a", "b") if i < 4 else ("c", "d") if i < 9 else ("e",))]
    shop = crm.connect(write_shop(order_lines=pd.DataFrame(rows, columns=["order_id", "product_id"])))
    baskets = bk.facts(shop, level="product", min_support=0.002, min_baskets=5)
    assert baskets.least == 5 and baskets.ids == ("c", "d", "e")
    rules = bk.fit(baskets, min_confidence=0, q_max=1, min_multiple=1)
    assert rules.least == 5 and set(rules.table["itemset"]) == {(0, 1)}
    assert bk.facts(shop, level="product", min_support=0.002).least == 1


def wholesale_shop(write_shop: ShopWriter, rng: np.random.Generator, large: int, name: str = "shop") -> crm.Shop:
    """400 baskets of one to three of 300 products, and so many of all 300."""
    rows = [(f"o{i}", f"p{item}") for i in range(400) for item in rng.choice(300, rng.integers(1, 4), replace=False)]
    rows += [(f"w{i}", f"p{item}") for i in range(large) for item in range(300)]
    return crm.connect(write_shop(name, order_lines=pd.DataFrame(rows, columns=["order_id", "product_id"])))


@pytest.mark.parametrize(
    ("large", "said"),
    [
        (0, None),
        (1, "1 wholesale basket of 300 products is counted but not compared: in it everything meets."),
        (6, "6 wholesale baskets of 300 products are counted but not compared: in them everything meets."),
    ],
)
def test_wholesale_baskets_are_counted_and_left_out(
    write_shop: ShopWriter, rng: np.random.Generator, large: int, said: str | None
) -> None:
    baskets = bk.facts(wholesale_shop(write_shop, rng, large), level="product", min_support=0.002, min_baskets=5)
    assert baskets.n == 400 and baskets.wholesale == (300,) * large and baskets.sizes.max() == 3
    rules = bk.fit(baskets, max_items=10)
    assert rules.mined == 0 and rules.chance.gap < 1e-6
    part = bk.part_sizes(baskets)
    assert next(metric.value for metric in part.metrics if metric.id == "baskets") == 400 + large
    assert [caveat.text for caveat in part.caveats if "wholesale" in caveat.text] == ([said] if said else [])


def test_large_baskets_of_a_shop_that_has_them_are_no_wholesale(rng: np.random.Generator) -> None:
    baskets = made(drawn(rng, baskets=900, items=120))
    assert baskets.sizes.max() > 50 and without_wholesale(baskets) is baskets
    two = replace(baskets, sizes=np.where(np.arange(900) < 2, 64, np.minimum(baskets.sizes, 3)))
    assert without_wholesale(two).wholesale == (64, 64) and without_wholesale(two).n == 898


def test_more_rules_than_fit_are_refused_with_the_support_that_does(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = (rng.random((400, 40)) < 0.04).astype(np.int64)
    held[:5, :30] = 1  # 53 million sets of up to ten items are in five baskets
    baskets = replace(made(held), min_baskets=5)
    with pytest.raises(UsageError, match=r"min_support 0.01 \(5 baskets\): take 0.015 \(6 baskets\) or a smaller"):
        bk.fit(baskets, max_items=10)
    assert bk.fit(replace(baskets, min_support=0.015), max_items=10).mined > 0
    monkeypatch.setattr(mining, "MOST_SPLITS", 100)
    with pytest.raises(UsageError, match=r"more than 100 rules of up to 2 items .* baskets\)$"):
        bk.fit(baskets, max_items=2)


def test_more_items_than_can_be_compared_are_refused_with_the_support_that_does(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = drawn(rng, baskets=2000, items=60)
    monkeypatch.setattr("crmlib.analysis.baskets.pairs.MOST_ITEMS", 20)
    with pytest.raises(UsageError, match="take min_support") as refusal:
        bk.fit(made(held, support=0.001))
    support = float(str(refusal.value).split("take min_support ")[1].split(" ")[0])
    fits = made(held, support=support)
    assert (held.sum(axis=0) >= fits.least).sum() <= 20 and bk.fit(fits).least == fits.least
    assert support_of(fits.least, 2000) == support


def test_a_table_too_large_to_lay_out_is_mined_all_the_same(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    baskets = made(groceries(rng, 800))
    whole = mining.frequent_itemsets(baskets.held, least=6, max_items=5)
    monkeypatch.setattr(mining, "_CELLS", 200)
    assert mining.frequent_itemsets(baskets.held, least=6, max_items=5).counts == whole.counts
