"""Do those who left have in common what makes them leave, and nothing else? `python -m tests.benchmarks.leavers`.

Shops are made in which one thing (late parcels) is `RATIO` times as frequent at a purchase after which somebody leaves
for good, and four are not, although each is more frequent where more leave: tickets at first orders, refunds in winter,
unhappy texts among small spenders, a channel of those who buy rarely. Printed: how often the first is found and its range
holds the planted ratio, and how often each other is called; then the same with nothing planted.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

import crmlib as crm

DAY, DAYS, RATIO = date(2026, 1, 1), 1100, 3.0


def leavers(seed: int, *, customers: int = 2500, ratio: float = RATIO) -> dict[str, pd.DataFrame]:
    """The tables of a shop; `left` of orders says after which order somebody left for good."""
    rng = np.random.default_rng([seed, 77])
    mean, money = rng.gamma(4, 10, customers) + 8, rng.lognormal(3.5, 0.6, customers)
    rare, small = mean > np.median(mean), money < np.median(money)
    rows = []
    for i in range(customers):
        at, number = rng.uniform(0, DAYS), 1
        while at < DAYS:
            day = pd.Timestamp(DAY) - pd.Timedelta(days=DAYS - at)
            winter = day.month in (11, 12, 1)
            leaves = rng.random() < 0.05 + 0.2 * (number == 1) + 0.08 * winter + 0.06 * small[i] + 0.04 * rare[i]
            rows.append((f"c{i}", day, round(money[i] * rng.lognormal(0, 0.3), 2), number, leaves, winter, small[i]))
            if leaves:
                break
            at, number = at + rng.gamma(2.0, mean[i] / 2.0), number + 1
    orders = pd.DataFrame(rows, columns=["customer_id", "ordered_at", "total", "number", "left", "winter", "small"])
    orders.insert(0, "order_id", [f"o{i}" for i in range(len(orders))])
    n = len(orders)

    def happens(chance: np.ndarray) -> pd.DataFrame:
        return orders[rng.random(n) < chance]

    late = rng.random(n) < 0.03 * np.where(orders["left"], ratio, 1.0)
    took = np.where(late, rng.integers(8, 13, n), rng.integers(2, 6, n))
    back = happens(0.02 + 0.12 * orders["winter"].to_numpy()).index
    orders["refunded"] = np.where(orders.index.isin(back), orders["total"] * 0.5, 0.0).round(2)
    orders["refunded_at"] = (orders["ordered_at"] + pd.Timedelta(days=4)).where(orders["refunded"] > 0)
    asked, wrote = happens(0.03 + 0.2 * (orders["number"] == 1)), happens(0.03 + 0.1 * orders["small"])
    people = pd.DataFrame({"customer_id": [f"c{i}" for i in range(customers)]})
    people["acquisition_channel"] = np.where(rng.random(customers) < 0.2 + 0.4 * rare, "fair", "search")
    lines = orders[["order_id", "total"]].assign(quantity=1).rename(columns={"total": "unit_price"})
    lines["product_id"] = [f"p{k}" for k in rng.integers(0, 15, n)]
    days = (orders["ordered_at"] - orders["ordered_at"].min()).dt.days
    dearer = (10.0 + lines["product_id"].str[1:].astype(int)) * 1.1 ** np.searchsorted([300, 600, 900], days)
    lines["unit_price"] = dearer.round(2)
    return {
        "orders": orders[["order_id", "customer_id", "ordered_at", "total", "refunded", "refunded_at"]],
        "order_lines": lines, "customers": people,
        "shipments": pd.DataFrame({"order_id": orders["order_id"],
                                   "delivered_at": orders["ordered_at"].dt.normalize() + pd.to_timedelta(took, "D")}),
        "tickets": pd.DataFrame({"ticket_id": "t" + asked["order_id"], "customer_id": asked["customer_id"],
                                 "opened_at": asked["ordered_at"] + pd.Timedelta(days=2)}),
        "feedback": pd.DataFrame({"feedback_id": "f" + wrote["order_id"], "text": "Bad.", "rating": 1,
                                  "customer_id": wrote["customer_id"],
                                  "created_at": wrote["ordered_at"] + pd.Timedelta(days=3)}),
        "truth": orders[["customer_id", "ordered_at", "left"]],
    }  # fmt: skip


def shop_of(folder: Path, tables: dict[str, pd.DataFrame], *, as_of: date = DAY) -> crm.Shop:
    """The shop of these tables, without their truth."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in tables.items():
        if name != "truth":
            frame.to_csv(folder / f"{name}.csv", index=False)
    return crm.connect(folder, as_of=as_of)


def planted(tables: dict[str, pd.DataFrame], people: pd.DataFrame, *, ratio: float = RATIO) -> float:
    """The ratio to be found: some who are silent for so long will come back, and had no more late parcels than others.

    `people` are customers said to have left; that a true leaver's last order is the one after which they left is sure.
    """
    for_good = set(tables["truth"].loc[tables["truth"]["left"], "customer_id"])
    return 1 + (ratio - 1) * float(people["customer_id"].isin(for_good).mean())


def main() -> None:
    asked = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("--seeds", type=int, default=20)
    asked.add_argument("--customers", type=int, default=2500)
    given = asked.parse_args()
    for ratio in (RATIO, 1.0):
        held = found = called = shops = 0
        names: list[str] = []
        for seed in range(given.seeds):
            with tempfile.TemporaryDirectory() as folder:
                tables = leavers(seed, customers=given.customers, ratio=ratio)
                shop = shop_of(Path(folder), tables)
                limits = crm.retention.limits(shop)
                common = crm.retention.common(shop, limits)
            row = common.table[common.table["key"] == "late delivery"].iloc[0]
            true = planted(tables, common.people, ratio=ratio)
            held += row["low"] <= true <= row["high"]
            loud = common.table[(common.table["q_value"] < 0.05) & (common.table["goes_with"] == "")]
            found += "late delivery" in set(loud["key"])
            wrong = [key for key in loud["key"] if ratio == 1 or key != "late delivery"]
            called, shops, names = called + len(wrong), shops + bool(wrong), names + wrong
            print(
                f"seed {seed}: {common.left} left, {common.stayed} stayed, {common.alike:.0%} alike; late parcels "
                f"{row['ratio']:.2f} ({row['low']:.2f}-{row['high']:.2f}), planted {true:.2f}; wrong {wrong}",
                flush=True,
            )
        print(f"ratio {ratio}: range holds in {held}, found in {found} of {given.seeds} shops; wrongly called {called} "
              f"in {shops} shops: {names}; looked at {len(common.table)} each", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
