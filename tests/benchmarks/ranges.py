"""Do the ranges of tiers and of single customers hold what comes? `python -m tests.benchmarks.ranges [SHOPS] [FOLDER DAY]…`.

Shops are simulated by a loop over purchases that shares no code with the models, and known in full for a quarter after the
day they are scored on; of a FOLDER the quarter after DAY is what came. Printed: how many of the tiers' 95 % ranges of value
and of the customers' 95 % ranges of orders and value held it, and how well expected orders ranked buyers beside recency.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

import crmlib as crm
from crmlib.analysis import lifetime_value as clv
from crmlib.errors import NotEnoughData
from crmlib.shop import facts as shop_facts
from crmlib.stats import weighted_auc

AHEAD, FIRST = 91, date(2023, 1, 1)
KINDS = ("irregular", "irregular, own level of spend", "regular", "never stops")


def write(folder: Path, seed: int) -> date:
    """Orders of a shop, those of the quarter after its last scored day too; that day."""
    rng = np.random.default_rng([seed, 9])
    kind, n, days = KINDS[seed % len(KINDS)], int(rng.integers(400, 1200)), int(rng.integers(500, 900))
    shape, gap, rows = np.exp(rng.uniform(-0.5, 1.0)), np.exp(rng.uniform(3.2, 4.6)), []
    for who in range(n):
        rate = max(rng.gamma(shape, 1 / (shape * gap)), 1e-6)
        end = np.inf if kind == "never stops" else rng.exponential(1 / max(rng.gamma(0.8, 1 / 300), 1e-9))
        level = 40 * np.exp(rng.normal(0, 0.6 if "spend" in kind else 0.2))
        won = rng.integers(1, days)
        now = 0.0
        while now <= end and won + now < days + AHEAD:
            day = FIRST + timedelta(days=int(won + now))
            rows.append((f"c{who}", day.isoformat(), round(rng.gamma(3, level / 3), 2)))
            now += rng.gamma(4, 1 / (4 * rate)) if kind == "regular" else rng.exponential(1 / rate)
    frame = pd.DataFrame(rows, columns=["customer_id", "ordered_at", "total"])
    frame.assign(order_id=[f"o{row}" for row in range(len(frame))]).to_csv(folder / "orders.csv", index=False)
    (folder / "shop.toml").write_text('timezone = "UTC"\ncurrency = "EUR"\n')
    return FIRST + timedelta(days=days)


def held(folder: str, day: date, kind: str) -> dict[str, object]:
    """How the ranges said on `day` did over the quarter after it."""
    end = day + timedelta(days=AHEAD)
    shop, later = (crm.connect(folder, as_of=at.isoformat()) for at in (day, end))
    try:
        checked = clv.validate(shop, holdout_days=AHEAD)
        scores = clv.score(shop, checked, horizon_days=AHEAD)
    except NotEnoughData:
        return {"kind": kind}
    came = later.fetch(shop_facts.later_purchases(later, start=day, end=end), max_rows=10_000_000)
    people = scores.customers.merge(came[["customer_id", "purchases", "revenue"]], on="customer_id", how="left")
    orders, value = people["purchases"].fillna(0).to_numpy(float), people["revenue"].fillna(0).to_numpy(float)
    actual = pd.Series(value).groupby(people["tier"].to_numpy()).sum()
    tiers = scores.tiers.set_index("tier").join(actual.rename("came")).fillna({"came": 0.0})
    tiers = tiers[tiers.index != "wholesale"]
    money = people["low_value"].notna()
    ranks = {
        name: float(weighted_auc(score.to_numpy(float), orders > 0, np.ones((1, len(people))))[0])
        for name, score in (("auc", people["expected_orders"]), ("recency", -people["days_since_last_order"]))
    }
    return {
        "kind": kind, "method": scores.method, "tiers": len(tiers),
        "tier": float(((tiers["low_value"] <= tiers["came"]) & (tiers["came"] <= tiers["high_value"])).mean()),
        "total": float(scores.value.low <= value.sum() <= scores.value.high) if scores.value else np.nan,
        "orders": float(((people["low_orders"] <= orders) & (orders <= people["high_orders"])).mean()),
        "value": float(((people["low_value"] <= value + 0.005) & (value <= people["high_value"] + 0.005))[money].mean()),
        **ranks,
    }  # fmt: skip


def main(shops: int, real: list[str]) -> None:
    warnings.simplefilter("ignore")
    rows = []
    for seed in range(shops):
        with tempfile.TemporaryDirectory() as name:
            rows.append(held(name, write(Path(name), seed), KINDS[seed % len(KINDS)]))
    for folder, day in zip(real[::2], real[1::2], strict=True):
        rows.append(held(folder, date.fromisoformat(day), f"{Path(folder).name} {day}"))
        print(rows[-1], flush=True)
    found = pd.DataFrame(rows)
    columns = ["tier", "total", "orders", "value", "auc", "recency"]
    print(found.groupby("kind")[columns].mean().round(3).assign(shops=found.groupby("kind").size()).to_string())
    print(found[columns].mean().round(3).to_string())


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["40"])[0]), sys.argv[2:])
