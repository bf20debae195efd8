"""What was planted in the demo shop is found again, over several shops that differ only by seed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import crmlib as crm
from crmlib.analysis import lifetime_value as clv
from crmlib.analysis.lifetime_value.spend import spend_of
from crmlib.shop.facts import customer_history
from crmlib.shop.samples import demo

pytestmark = pytest.mark.slow

SEEDS = range(8)


def shop_of(simulation: demo.Simulation, folder: Path, *tables: str) -> crm.Shop:
    for name in tables:
        simulation.tables[name].to_csv(folder / f"{name}.csv", index=False)
    return crm.connect(folder, as_of=simulation.truth["as_of"])


def test_next_years_orders_and_who_places_them(tmp_path_factory):
    """A year ahead the total lies in the stated range, and those ranked high are those who buy."""
    held, shares = 0, []
    for seed in SEEDS:
        simulation = demo.simulate(seed=seed, customers=700)
        shop = shop_of(simulation, tmp_path_factory.mktemp(f"seed{seed}"), "orders")
        checked = clv.validate(shop, holdout_days=365, time_unit="week", seed=seed)
        scores = clv.score(shop, checked, horizon_days=365, seed=seed)
        truth = pd.DataFrame(simulation.truth["customers"]).set_index("customer_id")["order_days_next_365"]
        came = scores.customers["customer_id"].map(truth)
        known = came.notna()
        # The wholesale buyer and unknown customers have no planted future.
        expected = scores.customers.loc[known, "expected_orders"].sum()
        ratio = came[known].sum() / expected
        held += scores.orders.low / scores.orders.value <= ratio <= scores.orders.high / scores.orders.value
        by_forecast = scores.customers[known].assign(came=came[known]).sort_values("expected_orders", ascending=False)
        top = by_forecast.head(len(by_forecast) // 10)["came"].sum() / by_forecast["came"].sum()
        best = (
            by_forecast["came"].sort_values(ascending=False).head(len(by_forecast) // 10).sum()
            / by_forecast["came"].sum()
        )
        shares.append(top / best)
    assert held >= len(SEEDS) - 1
    # The true tenth can only be known afterwards; the forecast's must hold most of what that one holds.
    assert min(shares) > 0.75


def test_spend_does_not_follow_frequency_and_the_wholesale_buyer_stands_apart(demo_shop):
    people = demo_shop.fetch(customer_history(demo_shop, until=demo_shop.as_of).order_by("customer_id"))
    spend = spend_of(people, until=demo_shop.as_of)
    assert abs(spend.correlation) < 0.15
    checked = clv.validate(demo_shop, holdout_days=365, time_unit="week")
    scores = clv.score(demo_shop, checked, horizon_days=365)
    assert scores.wholesale == 1
    assert scores.margin.source == "costs"
    assert scores.margin.known_share == pytest.approx(1, abs=0.05)
