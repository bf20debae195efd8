"""How often do tests err, from raw files to the verdict? `python -m tests.benchmarks.effects [--tests 2000] [--only KIND]`.

Twenty shops, each of a seed of its own, share so many tests of two equal things, and a fifth as many of two that differ.
Printed are the share of equal ones called different (at most 5 %) and the most of any seed, the share left undecided,
how often the interval holds what was planted (95 %), and in how many of the seeds that of their first test does.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import crmlib as crm
from crmlib.analysis import experiments as ex

Rng = np.random.Generator
AT = pd.Timestamp("2026-01-01 08:00")
METRIC = {"ratio": "spent/orders"}


def _rows(unit: np.ndarray, metric: str, value: np.ndarray, pre: np.ndarray | None = None) -> pd.DataFrame:
    frame = pd.DataFrame({"unit_id": unit, "metric": metric, "value": np.round(value, 4), "observed_at": AT})
    return frame.assign(observed_at=AT + pd.Timedelta(days=7), pre_value=np.nan if pre is None else np.round(pre, 4))


def means(rng: Rng, unit: np.ndarray, new: np.ndarray) -> tuple[pd.DataFrame, float]:
    """About normal."""
    return _rows(unit, "spent", rng.normal(50, 12, len(unit)) + 4 * new), 4.0


def shares(rng: Rng, unit: np.ndarray, new: np.ndarray) -> tuple[pd.DataFrame, float]:
    """One in ten buys."""
    return _rows(unit, "converted", (rng.random(len(unit)) < 0.1 + 0.1 * new).astype(float)), 0.1


def rare(rng: Rng, unit: np.ndarray, new: np.ndarray) -> tuple[pd.DataFrame, float]:
    """One in a hundred buys; where planted, one in thirty more."""
    return _rows(unit, "converted", (rng.random(len(unit)) < 0.01 + new / 30).astype(float)), 1 / 30


def skewed(rng: Rng, unit: np.ndarray, new: np.ndarray) -> tuple[pd.DataFrame, float]:
    """Every third unit buys, with a long tail."""
    value = np.where(rng.random(len(unit)) < 0.3, rng.lognormal(3, 1.2, len(unit)), 0.0)
    return _rows(unit, "spent", value + 5 * new), 5.0


def events(rng: Rng, unit: np.ndarray, new: np.ndarray) -> tuple[pd.DataFrame, float]:
    """One to several rows of each unit."""
    who = np.repeat(np.arange(len(unit)), 1 + rng.poisson(1, len(unit)))
    value = rng.gamma(2, 10, len(who)) * (1 + 0.1 * new[who])
    rows = _rows(unit[who], "spent", value)
    return rows.assign(observed_at=AT + pd.to_timedelta(rng.integers(1, 7 * 86_400, len(who)), unit="s")), 2 * 20 * 0.1


def ratio(rng: Rng, unit: np.ndarray, new: np.ndarray) -> tuple[pd.DataFrame, float]:
    """Money for each order; customers differ in both."""
    orders = 1 + rng.poisson(0.8, len(unit))
    spent = orders * rng.gamma(4, 5, len(unit)) * (1 + 0.1 * new)
    return pd.concat([_rows(unit, "orders", orders), _rows(unit, "spent", spent)]), 2.0


def known(rng: Rng, unit: np.ndarray, new: np.ndarray) -> tuple[pd.DataFrame, float]:
    """Everybody has a past that tells much of what comes (CUPED)."""
    pre = rng.gamma(2, 10, len(unit))
    return _rows(unit, "spent", 20 + pre + rng.normal(0, 6, len(unit)) + 2 * new, pre), 2.0


def before(rng: Rng, unit: np.ndarray, new: np.ndarray) -> tuple[pd.DataFrame, float]:
    """Two in five have no past, and buy less."""
    without = rng.random(len(unit)) < 0.4
    pre = rng.gamma(2, 10, len(unit))
    value = np.where(without, 5.0, 20 + pre) + rng.normal(0, 6, len(unit)) + 2 * new
    return _rows(unit, "spent", value, np.where(without, np.nan, pre)), 2.0


KINDS: dict[str, tuple[Callable[..., tuple[pd.DataFrame, float]], tuple[int, int]]] = {
    "means": (means, (120, 120)), "shares": (shares, (300, 300)),
    "rare": (rare, (200, 200)), "skewed, equal arms": (skewed, (150, 150)), "skewed, 9 to 1": (skewed, (540, 60)),
    "several rows": (events, (120, 120)), "ratio": (ratio, (150, 150)), "CUPED": (known, (120, 120)),
    "missing pre-values": (before, (120, 120)),
}  # fmt: skip


def shop(folder: Path, kind: str, tests: int, rng: Rng) -> float:
    """Writes the files; the planted effect."""
    make, (control, arm) = KINDS[kind]
    size, names = control + arm, [f"null{n:05d}" for n in range(tests)] + [f"real{n:05d}" for n in range(tests // 5)]
    experiment = np.repeat(names, size)
    unit = np.array([f"u{n}" for n in range(len(experiment))])
    variant = np.tile(np.repeat(["control", "new"], [control, arm]), len(names))
    frame = {"experiment": experiment, "unit_id": unit, "variant": variant, "assigned_at": AT}
    pd.DataFrame(frame).to_parquet(folder / "assignments.parquet", index=False)
    planted = ((variant == "new") & np.char.startswith(experiment, "real")).astype(float)
    rows, effect = make(rng, unit, planted)
    rows = rows.merge(pd.DataFrame(frame)[["experiment", "unit_id"]], on="unit_id")
    rows.to_parquet(folder / "outcomes.parquet", index=False)
    return effect


def tried(kind: str, tests: int, seed: int) -> tuple[pd.DataFrame, float]:
    """What the primary measure of each test of one shop came to; the planted effect."""
    with tempfile.TemporaryDirectory() as name:
        effect = shop(Path(name), kind, tests, np.random.default_rng([seed, 7]))
        facts = ex.facts(crm.connect(name, as_of="2026-02-01"), also=METRIC.get(kind, ""))
        table = ex.fit(ex.validate(facts), primary=METRIC.get(kind, "")).table
    return table[table["primary"]].assign(seed=seed), effect


def main() -> None:
    words = argparse.ArgumentParser(prog="python -m tests.benchmarks.effects", description=__doc__)
    words.add_argument("--tests", type=int, default=2_000)
    words.add_argument("--seeds", type=int, default=20)
    words.add_argument("--only", action="append", choices=list(KINDS))
    given = words.parse_args()
    print(
        "| kind | equal ones called different | of a seed at most | undecided | interval holds what was planted | seeds |"
    )
    print("|---|--:|--:|--:|--:|--:|")
    for kind in given.only or KINDS:
        parts, effects = zip(
            *(tried(kind, given.tests // given.seeds, seed) for seed in range(given.seeds)), strict=True
        )
        table, effect = pd.concat(parts), effects[0]
        null, real = (table[table["experiment"].str.startswith(start)] for start in ("null", "real"))
        called = ((null["low"] > 0) | (null["high"] < 0)).groupby(null["seed"]).mean()
        known = real[real["state"] == "ok"]
        holds = (known["low"] <= effect) & (effect <= known["high"])
        first = int(holds.groupby(known["seed"]).first().sum())
        undecided = (null["state"] != "ok").mean()
        print(
            f"| {kind} | {called.mean():.1%} | {called.max():.0%} | {undecided:.1%} | {holds.mean():.1%} ({len(known)}) "
            f"| {first} of {known['seed'].nunique()} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
