"""Shops whose prices move, drawn by themselves: weeks with a season, promotions in strong weeks, dear goods that sell less."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from crmlib.analysis.prices.advice import Floors

END = date(2026, 10, 1)


def floors_of(counts: pd.DataFrame, truth: pd.DataFrame) -> Floors:
    """What was paid in the last 90 days beside what is true of the costs."""
    late = counts[counts["week"] < 13].groupby("product_id")[["pieces", "money"]].sum()
    table = truth.set_index("product_id")[["cost"]].join(late).fillna(0.0)
    table = table.assign(price=(table["money"] / table["pieces"]).fillna(99.0), floor=table["cost"], below=0.0, short=0.0,
                         share_below=0.0).drop(columns=["money", "cost"]).reset_index()  # fmt: skip
    costs = truth.set_index("product_id")["cost"]
    return Floors(table=table, before=table.head(0), costs=costs, margin=0.0, currency="EUR")


def worth(row: pd.Series, truth: pd.DataFrame) -> float:
    """How many times today's margin the price that is advised truly earns, less one."""
    one = truth.set_index("product_id").loc[row["product_id"]]
    unit, other = row["shelf"] - one["cost"], row["other"] - one["cost"]
    return float(other / unit * (row["other"] / row["shelf"]) ** one["elasticity"] - 1)


def drawn(
    seed: int, *, products: int = 40, moved: int = 14, weeks: int = 130, mean: float = 14.0, slope: float = -1.6,
    spread: float = 0.4, wander: float = 0.1, null: bool = False, moves: bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Counts as `facts.weekly` has them, and what is true of each product: product_id, elasticity, cost, moved.

    Dear products sell less for other reasons (−2.5 times the logarithm of the price), promotions fall in strong weeks and
    sell more than the price explains. How dear a product is must outweigh how well it is liked (0.3): at 0.5 the naive
    slope was shown wrong in 15 of 20 shops only. With `null` each elasticity is the one at which no tried price earns more.
    """
    rng = np.random.default_rng([seed, 11])
    week = np.arange(weeks)[::-1]
    season = 0.35 * np.sin(2 * np.pi * week / 52) + rng.normal(0, 0.05, weeks)
    strong = season > np.quantile(season, 0.8)
    rows, truth = [], []
    for number in range(products):
        usual = float(np.round(np.exp(rng.normal(2.5, 0.5)), 1) + 0.9)
        cost = usual * rng.uniform(0.35, 0.6)
        beta = rng.normal(slope, spread)
        price = np.full(weeks, usual)
        if moves and number < moved:
            size = rng.choice([-1, 1]) * rng.uniform(0.08, 0.2)
            at = int(rng.integers(weeks // 4, 3 * weeks // 4))
            price[at:] = np.round(usual * (1 + size), 2)
            if null:
                ratio = (price[-1] - cost) / (usual - cost)
                beta = -np.log(ratio) / np.log(price[-1] / usual)
        level = np.log(mean) - 2.5 * (np.log(usual) - 2.5) + rng.normal(0, 0.3) - 0.8
        mood = np.zeros(weeks)
        for place in range(1, weeks):
            mood[place] = 0.9 * mood[place - 1] + rng.normal(0, wander * np.sqrt(1 - 0.81))
        off = strong & (rng.random(weeks) < 0.35)
        paid = np.where(off, np.round(price * 0.8, 2), price)
        lift = np.where(off, 0.4 + beta * np.log(0.8), 0.0)
        lines = rng.poisson(np.exp(level + season + mood + beta * np.log(price / usual) + lift) / 1.3)
        pieces = lines + rng.poisson(0.3 * lines)
        name = f"P{number:03d}"
        frame = pd.DataFrame({"product_id": name, "week": week, "cents": np.round(paid * 100).astype(int), "reduced": off,
                              "lines": lines, "pieces": pieces.astype(float), "money": pieces * paid})  # fmt: skip
        rows.append(frame[frame["lines"] > 0])
        truth.append((name, beta, cost, moves and number < moved, float(price[-1])))
    counts = pd.concat(rows, ignore_index=True)
    kept = counts.groupby("product_id")["lines"].transform("sum") >= 50
    return counts[kept], pd.DataFrame(truth, columns=["product_id", "elasticity", "cost", "moved", "price"])
