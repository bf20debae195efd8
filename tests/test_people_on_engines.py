"""Segments, profiles and cycles cross from each engine as the same small tables."""

import pandas as pd
import pytest

import crmlib as crm
from crmlib.analysis.customers import likeness
from crmlib.analysis.purchase_cycles import facts as cycles
from crmlib.analysis.retention import exposures
from crmlib.shop import segments

TEXTS = (
    "bought_often & unhappy", '(bought("Tea") | bought("Coffee")) - bought("Kitchen")', 'bought_often - bought_last("180d")',
    'birthday("7d")', 'country != "DE"', 'first_bought("Tea") & (orders >= 3)', 'first_coupon == "WELCOME10"',
    'last_order < "2026-01-01"', 'spent(200, last="52w")',
)  # fmt: skip


@pytest.mark.spark
def test_spark_says_what_duckdb_says(demo_shop: crm.Shop, spark_shop: crm.Shop) -> None:
    for text in TEXTS:
        who = segments.parse(text)
        ours, theirs = (
            set(shop.fetch(segments.members(shop, who))["customer_id"]) for shop in (demo_shop, spark_shop)
        )  # fmt: skip
        assert ours == theirs and ours, text
    for asked in (
        lambda shop: crm.customers.profiles(shop).frame,
        lambda shop: crm.customers.profiles(shop).gaps,
        lambda shop: likeness.traits(shop).sort_values("customer_id", ignore_index=True),
        lambda shop: cycles.gap_counts(shop),
        lambda shop: cycles.rhythms(shop, day=shop.as_of),
        lambda shop: pd.DataFrame(
            [*(at := crm.purchase_cycles.late(shop)).points, [at.regularity, at.false.value, 0, 0]]
        ),
        lambda shop: cycles.product_gaps(shop, day=shop.as_of),
        lambda shop: exposures.exposed(shop, crm.retention.limits(shop))[0],
        lambda shop: crm.retention.left(shop, crm.retention.limits(shop)).people,
        lambda shop: crm.cohorts.measure(shop).cells,
        lambda shop: crm.cohorts.league(shop, crm.cohorts.measure(shop)).table,
        lambda shop: crm.cohorts.ways(shop, crm.cohorts.measure(shop)),
    ):
        pd.testing.assert_frame_equal(asked(demo_shop), asked(spark_shop), check_dtype=False)
