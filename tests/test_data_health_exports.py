"""What data health says of raw exports, in words: none, one and many, and where a sentence would be false."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from crmlib.analysis.data_health import Bridge, part_admin, part_people, part_sums
from crmlib.shop.intake.told import Told, Way
from crmlib.shop.people import People


def shop(*ways: Way, **people: int) -> Any:
    return SimpleNamespace(exports=Told(ways=ways), currency="EUR", people=People(**people))


def test_sums_that_hold_and_sums_that_do_not() -> None:
    assert part_sums(shop()) is None
    holds = part_sums(shop(Way("Shopify", "Total", "Subtotal + Shipping", 409)))
    assert holds is not None and (holds.title, holds.detail) == ("The sums of Shopify add up", True)
    one = part_sums(shop(Way("Etsy", "Order Net", "sold", 9), Way("Etsy", "Order Net", "", 1, 12.4)))
    assert one is not None and one.title == "1 amount in the exports does not add up"
    assert one.sentence == "It is €12 apart: look whether the export was edited." and not one.detail
    many = part_sums(shop(Way("Etsy", "Order Net", "", 3, 1200), Way("Square", "Net Sales", "a", 5)))
    assert many is not None and many.title == "3 amounts in the exports do not add up"
    assert many.sentence == "They are €1,200 apart in all: look whether the export was edited."
    two = part_sums(shop(Way("Etsy", "Order Net", "sold", 9), Way("Square", "Net Sales", "a", 5)))
    assert two is not None and two.title == "The sums of Etsy and Square add up"


def test_people() -> None:
    assert part_people(shop()) is None
    one = part_people(shop(people=1))
    assert one is not None and one.title == "1 person behind accounts and guest orders"
    assert one.sentence.endswith("Names alone join nobody.")
    many = part_people(shop(people=1234, shared=1))
    assert many is not None and many.title == "1,234 people behind accounts and guest orders"
    assert many.sentence.endswith("1 address or phone of several people joined nobody.")


def bridge(theirs: float, ours: float) -> Bridge:
    steps = pd.DataFrame(
        [("Net sales", theirs, True), ("Total sales", theirs, True), ("Cancelled orders", ours - theirs, False),
         ("Net sales here", ours, True)], columns=["step", "amount", "total"],
    )  # fmt: skip
    rates = pd.DataFrame(
        [("Orders", 9, 7, np.nan, np.nan), ("Average order", 5, 4, np.nan, np.nan),
         ("Orders of nobody known", 3, 2, 30, 20), ("Orders of no value", 1, 1, 0, 0), ("Test orders", 0, 0, 0, 0)],
        columns=["what", "theirs", "ours", "their_money", "our_money"],
    )  # fmt: skip
    month = pd.DataFrame([("Total sales", 1.0, "May 2026")], columns=["step", "amount", "month"])
    ratios = pd.DataFrame([("Average order", "Here", 4.0)], columns=["of", "step", "amount"])
    return Bridge("Shopify", steps, rates, month, ratios)


def test_the_difference_from_the_admin() -> None:
    assert part_admin(None, currency="EUR") is None
    said = {
        (theirs, ours): part.title
        for theirs, ours in ((100, 100), (100, 80), (100, 120))
        if (part := part_admin(bridge(theirs, ours), currency="EUR"))
    }
    assert said == {
        (100, 100): "Net sales here are the same as Shopify's total sales",
        (100, 80): "Net sales here are €20 below Shopify's total sales",
        (100, 120): "Net sales here are €20 above Shopify's total sales",
    }
    part = part_admin(bridge(100, 80), currency="EUR")
    assert part and part.chart
    assert [row for row in part.chart.table["rows"] if "rders" in row[0] and row[3] != "–"] == [
        ["Orders", "Shopify", "–", "9"], ["Orders", "Here", "–", "7"],
        ["Orders of nobody known", "Shopify", "30.00", "3"], ["Orders of nobody known", "Here", "20.00", "2"],
        ["Orders of no value", "Shopify", "0.00", "1"], ["Orders of no value", "Here", "0.00", "1"],
    ]  # fmt: skip
