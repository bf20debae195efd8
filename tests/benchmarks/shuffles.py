"""What is found where nothing is? `python -m tests.benchmarks.shuffles [--shop data/demo] [--level product]`.

A shop's baskets are shuffled in two ways, freely (item totals stay) and by trades (basket sizes stay too), as often as
asked, customers staying with their baskets. Printed: in how many shuffles pairs were called above chance, which is the
false-discovery rate where no pair is one; and what Fisher's test, for which all baskets are alike, would have called.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats as distributions

import crmlib as crm
from crmlib import stats
from crmlib.analysis import baskets as bk
from crmlib.analysis.baskets import mining
from crmlib.analysis.baskets.facts import Matrix
from tests.shuffling import freely, traded, with_items


def naive(held: Matrix, *, least: int) -> tuple[int, int, float]:
    """Pairs in `least` baskets or more; those with q < .05 by Fisher's test, corrected for all; their median lift."""
    n = held.shape[0]
    totals = mining.column_sums(held)
    pairs = mining.frequent_itemsets(held, least=least, max_items=2).counts
    table = np.array([(count, totals[s[0]], totals[s[1]]) for s, count in pairs.items() if len(s) == 2])
    if not len(table):
        return 0, 0, float("nan")
    count, a, c = table.T
    called = stats.adjust(distributions.hypergeom.sf(count - 1, n, a, c), method="fdr_bh") < 0.05
    lift = count * float(n) / (a * c.astype(float))
    return len(table), int(called.sum()), float(np.median(lift[called])) if called.any() else float("nan")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    words.add_argument("--shop", type=Path, default=Path("data/demo"))
    words.add_argument("--level", default="product")
    words.add_argument("--min-support", type=float, default=0.002)
    words.add_argument("--shuffles", type=int, default=50)
    given = words.parse_args()
    # Shuffled are all items, the rare ones too.
    every = bk.facts(crm.connect(given.shop), level=given.level, min_support=1e-9)
    baskets = replace(
        every, min_support=given.min_support, months=pd.Series(None, index=every.months.index, dtype=object)
    )
    ways: dict[str, Callable[[Matrix, np.random.Generator], Matrix]] = {"freely": freely, "by trades": traded}
    print(f"{given.shop}, {given.level}: {baskets!r}")
    for way, shuffle in ways.items():
        rng = np.random.default_rng(0)
        held = traded(baskets.held, rng, rounds=100)
        wrong, called, started = [], [], time.perf_counter()
        for _ in range(given.shuffles):
            held = shuffle(held, rng)
            rules = bk.fit(with_items(baskets, held), min_confidence=0, max_items=2)
            wrong.append(rules.pairs)
            called.append(naive(held, least=rules.least))
        above, fisher, lift = np.median(np.array(called), axis=0)
        print(
            f"{way}: {sum(n > 0 for n in wrong)} of {given.shuffles} shuffles gave a pair above chance "
            f"({sum(wrong)} pairs in all); Fisher's test called {fisher:,.0f} of {above:,.0f} pairs, "
            f"median lift {lift:.2f} (medians over shuffles); {time.perf_counter() - started:,.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
