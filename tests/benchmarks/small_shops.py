"""What is found in small shops, and what where nothing is? `python -m tests.benchmarks.small_shops [--shops 100]`.

Shops of 1,000 baskets of 50 products: with baskets alike in size and with a few that hold many times more, without a
pair, and with five pairs in which 12 % or 25 % of the first's buyers take the second. Beside what is found here:
hyperconfidence (Hahsler and Hornik 2007) with the same correction, for which all baskets are alike. Then homes whose
habits meet on many trips, of which none is a pair.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
from scipy import stats as distributions

from crmlib import stats
from crmlib.analysis import baskets as bk
from crmlib.analysis.baskets.habits import within_habits
from crmlib.analysis.baskets.rules import above_chance
from tests.test_baskets import made
from tests.test_baskets_next import households

PAIRS = [(3 + 4 * k, 5 + 4 * k) for k in range(5)]


def shop(rng: np.random.Generator, *, share: float, spread: float) -> np.ndarray:
    """1,000 baskets; the larger `spread`, the more their sizes differ."""
    popular = 1 / np.arange(1, 51) ** 0.8
    scale = rng.gamma(1 / spread, spread, (1000, 1)) if spread else 1.0
    held = rng.random((1000, 50)) < np.minimum(3 * popular / popular.sum() * scale, 0.9)
    for a, b in PAIRS:
        held[:, b] |= held[:, a] & (rng.random(1000) < share)
    return held.astype(np.int64)


def hyperconfident(held: np.ndarray, *, rate: float = 0.05) -> set[tuple[int, int]]:
    """Pairs by the hypergeometric tail, Benjamini and Hochberg over all pairs."""
    first, second = np.triu_indices(held.shape[1], k=1)
    totals = held.sum(axis=0)
    p = distributions.hypergeom.sf((held.T @ held)[first, second] - 1, len(held), totals[first], totals[second])
    called = stats.adjust(p, method="fdr_bh") <= rate
    return set(zip(first[called].tolist(), second[called].tolist(), strict=True))


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    words.add_argument("--shops", type=int, default=100)
    shops = words.parse_args().shops
    print(
        "sizes, share that takes both: planted found, false ones of all found, shops with a false one (hyperconfidence)"
    )
    for spread in (0.0, 0.5):
        for share in (0.0, 0.12, 0.25):
            started = time.process_time()
            found, false, some = np.zeros(2), np.zeros(2), np.zeros(2)
            for seed in range(shops):
                rng = np.random.default_rng(seed)
                held = shop(rng, share=share, spread=spread)
                baskets = made(held, customers=rng.integers(0, 700, 1000), support=0.002)
                ours = set(above_chance(bk.fit(replace(baskets, min_baskets=5))))
                for way, called in enumerate((ours, hyperconfident(held))):
                    found[way] += len(called & set(PAIRS)) / (5 * shops)
                    false[way] += len(called - set(PAIRS))
                    some[way] += bool(called - set(PAIRS)) / shops
            of_found = false / np.maximum(false + found * 5 * shops, 1)
            told = [
                f"{ours:.3f} ({theirs:.3f})" for ours, theirs in zip(*np.array([found, of_found, some]).T, strict=True)
            ]
            print(
                f"{'alike' if not spread else 'uneven'}, {share:.0%}: {', '.join(told)}; {time.process_time() - started:.0f} s"
            )
    called, planted = 0, 0
    for seed in range(20):
        pairs = [(a, b) for a in range(12) for b in range(a + 1, 12)]
        table = within_habits(pairs, households(np.random.default_rng(seed), homes=160), rate=0.05)
        beyond = {pair for pair, more in zip(pairs, table["beyond_habits"], strict=True) if more}
        called, planted = called + bool(beyond - {(2, 3)}), planted + ((2, 3) in beyond)
    print(
        f"habits of 160 homes, 66 pairs of products: {called} of 20 shops with a habit called a pair, planted {planted} of 20"
    )


if __name__ == "__main__":
    main()
