"""Small shops whose customers are of three kinds, of one, or of one with skewed habits; with a problem of one kind."""

from __future__ import annotations

import numpy as np
import pandas as pd

END = pd.Timestamp("2026-10-01")
SETTINGS = 'name = "Small"\ntimezone = "Europe/Berlin"\ncurrency = "EUR"\nas_of = 2026-10-01\n'
GOODS = ("Tea", "Coffee", "Cups")
# By kind: orders a year, money of an order, shares of orders with a coupon, at weekends, in the evening, goods.
KINDS = np.array([[28, 25, 0.05, 0.2, 0.15, 2.0, 0, 0], [9, 90, 0.05, 0.2, 0.65, 0, 2.0, 0],
                  [13, 30, 0.6, 0.65, 0.2, 0, 0, 2.0]])  # fmt: skip
TOPICS = ("delivery", "damaged", "invoice")


def made(seed: int, *, kinds: int = 3, skewed: bool = False, people: int = 700, problem: bool = False):
    """Tables of a shop of two years, and each customer's kind (all 0 where there is one)."""
    rng = np.random.default_rng([seed, 11])
    d = KINDS.shape[1]
    if kinds == 3:
        kind = rng.integers(0, 3, people)
        habits, off = KINDS[kind], 0.35 * rng.standard_normal((people, d))
    else:
        kind = np.zeros(people, dtype=int)
        mix = rng.standard_normal((d, d))
        off = rng.standard_normal((people, d)) @ mix
        off = 0.7 * off / off.std(axis=0)
        habits = np.tile([14, 40, 0.25, 0.3, 0.35, 0.3, 0, 0.0], (people, 1))
        if skewed:
            off = np.exp(off * 1.2)
            off = 0.7 * (off - off.mean(axis=0)) / off.std(axis=0)
    rate, money = habits[:, 0] * np.exp(off[:, 0]), habits[:, 1] * np.exp(off[:, 1])
    odds = np.log(habits[:, 2:5] / (1 - habits[:, 2:5])) + off[:, 2:5]
    coupon, weekend, evening = (1 / (1 + np.exp(-odds))).T
    goods = np.exp(habits[:, 5:8] + off[:, 5:8])
    goods /= goods.sum(axis=1, keepdims=True)

    count = rng.poisson(2 * np.clip(rate, 1, 80))
    who = np.repeat(np.arange(people), count)
    n = len(who)
    week = pd.to_timedelta(7 * rng.integers(0, 104, n), unit="D")
    free = rng.random(n) < weekend[who]
    day = (
        pd.Timestamp("2024-10-07")
        + week
        + pd.to_timedelta(np.where(free, 5, 0) + rng.integers(0, np.where(free, 2, 5)), "D")
    )
    late = rng.random(n) < evening[who]
    at = day + pd.to_timedelta(np.where(late, 18 * 60, 9 * 60) + rng.integers(0, np.where(late, 240, 540)), "min")
    total = money[who] * np.exp(0.4 * rng.standard_normal(n))
    orders = pd.DataFrame(
        {"order_id": [f"o{i}" for i in range(n)], "ordered_at": at, "customer_id": [f"c{i}" for i in who],
         "total": total.round(2), "coupon": np.where(rng.random(n) < coupon[who], "SAVE", "")}
    )  # fmt: skip
    pick = (rng.random((n, 1)) > goods[who].cumsum(axis=1)).sum(axis=1).clip(0, 2)
    more = (rng.random((n, 1)) > goods[who].cumsum(axis=1)).sum(axis=1).clip(0, 2)
    lines = pd.concat(
        [pd.DataFrame({"order_id": orders["order_id"], "product_id": np.array(GOODS)[one], "quantity": 1})
         for one in (pick, more)]
    ).drop_duplicates()  # fmt: skip
    chance = np.array([0.04, 0.03, 0.03])[None] * np.ones((n, 1))
    if problem:
        chance[kind[who] == 1, 1] += 0.08
    asked = rng.random((n, 3)) < chance
    row, topic = np.nonzero(asked & (at.to_numpy() < (END - pd.Timedelta(days=9)).to_numpy())[:, None])
    opened = at[row] + pd.to_timedelta(rng.integers(1, 8, len(row)), "D")
    wait = rng.exponential(20, len(row))
    tickets = pd.DataFrame(
        {"ticket_id": [f"t{i}" for i in range(len(row))], "opened_at": opened,
         "customer_id": orders["customer_id"].to_numpy()[row], "topic": np.array(TOPICS)[topic],
         "first_reply_at": opened + pd.to_timedelta(wait, "h").floor("min"), "reopened": False,
         "satisfaction": np.clip(np.rint(4.4 - 0.05 * wait + rng.standard_normal(len(row))), 1, 5)}
    )  # fmt: skip
    for name in ("opened_at", "first_reply_at"):
        tickets[name] = pd.DatetimeIndex(tickets[name]).floor("min")
    tables = {
        "orders": orders[orders["ordered_at"] < END], "order_lines": lines, "tickets": tickets,
        "products": pd.DataFrame({"product_id": GOODS, "category": GOODS}),
    }  # fmt: skip
    return tables, pd.Series(kind, index=[f"c{i}" for i in range(people)])


def written(folder, tables):
    """The tables as a shop's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in tables.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    (folder / "shop.toml").write_text(SETTINGS, encoding="utf-8")
    return folder
