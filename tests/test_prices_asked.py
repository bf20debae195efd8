"""The survey of four prices: crossings by hand, ranges that hold the truth, rows that do not rise, too few."""

import doctest
import importlib
import json
from datetime import date

import numpy as np
import pandas as pd
import pytest

import crmlib as crm
from crmlib.analysis.prices.advice import Advice, Floors
from crmlib.shop.samples.demo import survey as planted

asking = importlib.import_module("crmlib.analysis.prices.asked")
FOUR = ["too_cheap", "cheap", "expensive", "too_expensive"]
SETTINGS = 'name = "Small"\ntimezone = "Europe/Berlin"\ncurrency = "EUR"\nas_of = 2026-10-01\n'


def four(product, people, *, best=10.0, rng=None):
    """Answers that are symmetric about `best` in logarithms."""
    middle = np.log(best) + (rng or np.random.default_rng(1)).normal(0, 0.2, people)
    away = (-0.45, -0.15, 0.15, 0.45)
    return pd.DataFrame({name: np.exp(middle + by) for name, by in zip(FOUR, away, strict=True)}).assign(
        product_id=product
    )


def test_crossings_by_hand():
    """Five people, drawn on paper: at 5 two find it too cheap and two no longer cheap; at 8.5 likewise above."""
    prices = np.array([[2.0, 4, 8, 11], [3, 5, 7, 8], [4, 6, 9, 12], [5, 7, 10, 12], [6, 8, 9, 10]])

    def curves(price):
        below = (prices < price).sum(axis=0)
        return {"too_cheap": 5 - below[0], "not_cheap": below[1], "not_expensive": 5 - below[2], "too_dear": below[3]}

    start, best, end = asking.crossings(prices)
    assert (start, best, end) == (5.0, 7.0, 9.5)
    # Between the curves' steps beside it, each pair changes places.
    for at, falling, rising in ((start, "too_cheap", "not_cheap"), (best, "too_cheap", "too_dear"),
                                (end, "not_expensive", "too_dear")):  # fmt: skip
        before, after = curves(at - 0.01), curves(at + 0.01)
        assert before[falling] >= before[rising] and after[falling] <= after[rising]


def test_ranges_hold_the_truth_as_often_as_they_say():
    rng, held = np.random.default_rng(3), []
    truth = {"acceptable_from": 10 * np.exp(-0.3), "best": 10.0, "acceptable_to": 10 * np.exp(0.3)}
    for _ in range(40):
        (row,) = asking.read(four("a", 80, rng=rng)).table.to_dict("records")
        held.append(all(row[f"{name}_low"] <= true <= row[f"{name}_high"] for name, true in truth.items()))
    assert sum(held) >= 35


def test_below_thirty_answers_nothing_is_said():
    found = asking.read(pd.concat([four("a", 29), four("b", 30)]))
    assert found.table.set_index("product_id")["status"].to_dict() == {"b": "known", "a": "too_few"}
    assert found.table.set_index("product_id").loc["a", "best"] != found.table.set_index("product_id").loc["a", "best"]


def advice_of(**shelf):
    table = pd.DataFrame(
        {"product_id": list(shelf), "name": [f"Tea {name}" for name in shelf], "shelf": list(shelf.values())}
    )
    floors = Floors(table=table, before=table, costs=pd.Series(dtype=float), margin=0.0, currency="EUR")
    return Advice(table=table, floors=floors, compared=0, as_of=date(2026, 10, 1), currency="EUR")


@pytest.mark.parametrize(("shelf", "said"), [(10.0, "lies within"), (30.0, "is above"), (3.0, "is below")])
def test_where_the_price_on_the_shelf_lies(shelf, said):
    part = crm.prices.part_asked(asking.read(four("a", 60), currency="EUR"), advice_of(a=shelf))
    assert part.detail and part.title == "What people call acceptable, for 1 product"
    assert f"(n = 60); its price, €{shelf:.2f}, {said} that." in part.sentence


def test_sentences_for_none_one_and_many():
    nothing = asking.read(pd.DataFrame(columns=["product_id", *FOUR]))
    assert crm.prices.part_asked(nothing, advice_of(a=10.0)).title == ""
    few = crm.prices.part_asked(asking.read(four("a", 5), left_out=1, currency="EUR"), advice_of(a=10.0))
    assert few.title == "Too few answered the survey of prices"
    assert few.sentence == (
        "Too few answers to conclude: Tea a (n = 5); 30 are needed. 1 answer whose prices does not rise could not be used."
    )
    both = asking.read(pd.concat([four("a", 40), four("z", 40)]), left_out=3, currency="EUR")
    part = crm.prices.part_asked(both, advice_of(a=10.0))
    assert part.title.endswith("for 2 products") and "z is called acceptable" in part.sentence
    assert part.sentence.endswith("3 answers whose prices do not rise could not be used.")


def test_answers_that_do_not_rise_are_set_aside_and_counted(write_shop):
    rows = [
        {"product_id": "p", "too_cheap": a, "cheap": b, "expensive": c, "too_expensive": d, "asked_at": at}
        for a, b, c, d, at in ((1, 2, 3, 4, "2026-09-01"), (1, 3, 2, 4, ""), (1, 2, 2, 4, ""), (-1, 2, 3, 4, ""),
                               (1, 2, "", 4, ""), (1, 2, 3, 4, "2026-10-01"))
    ]  # fmt: skip
    shop = crm.connect(write_shop(price_survey=rows, toml=SETTINGS))
    audit = shop.audits["price_survey"]
    assert (audit.read, audit.kept, audit.after_as_of) == (6, 1, 1)
    assert audit.set_aside == {"unordered_prices": 3, "missing_value": 1}
    found = crm.prices.asked(shop)
    assert found.left_out == 3 and found.table["n"].tolist() == [1]


def test_a_shop_without_a_survey_has_no_rows(write_shop):
    shop = crm.connect(write_shop(orders=[{"order_id": "1", "ordered_at": "2026-09-01"}], toml=SETTINGS))
    assert crm.prices.asked(shop).table.empty


def test_the_demo_shops_best_prices_are_found(demo_folder, demo_shop):
    truth = json.loads((demo_folder / "truth.json").read_text(encoding="utf-8"))["price_survey"]
    found = crm.prices.asked(demo_shop)
    assert found.left_out == truth["not_rising"] == planted._MUDDLED
    for _, row in found.table.iterrows():
        true = truth["products"][row["product_id"]]
        for name, key in (("acceptable_from", "from"), ("best", "best"), ("acceptable_to", "to")):
            assert row[f"{name}_low"] <= true[key] <= row[f"{name}_high"]


def test_examples_run(demo_shop):
    public = {each: getattr(crm.prices, each) for each in crm.prices.__all__}
    found = doctest.testmod(asking, extraglobs=public | {"store": demo_shop})
    assert found.attempted and not found.failed
