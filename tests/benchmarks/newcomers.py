"""Are planted changes of newcomers found, and none where none were planted? `python -m tests.benchmarks.newcomers 20`.

For so many seeds of the demo shop: with its changed first orders, as before (nothing planted), and with one better first
product. Printed are, for each, how often a change of the month is announced, how often in the planted month give or take
one, and which first products stand out.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import pandas as pd

NEEDED = ("customers", "orders", "order_lines", "products")


def main() -> None:
    import crmlib as crm
    from crmlib.shop.samples import demo

    warnings.simplefilter("ignore")
    counts: Counter[str] = Counter()
    first, last = (0, int(sys.argv[1])) if len(sys.argv) < 3 else (int(sys.argv[1]), int(sys.argv[2]))
    for seed in range(100 + first, 100 + last):
        for how in ("changed", "as before", "one better"):
            started = time.perf_counter()
            made = demo.simulate(seed=seed, dirty=False, first_orders=how)
            with tempfile.TemporaryDirectory() as place:
                for name in NEEDED:
                    made.tables[name].to_csv(Path(place) / f"{name}.csv", index=False)
                shop = crm.connect(place, as_of="2026-10-01")
                newcomers = crm.cohorts.measure(shop)
                step, found = crm.cohorts.shift(newcomers.months()), crm.cohorts.league(shop, newcomers)
            names = made.tables["products"].set_index("product_id")["name"]
            better = names.get(made.truth["newcomers"].get("product"), "")
            counts[f"{how}: shops"] += 1
            counts[f"{how}: change found"] += step.found
            near = step.month is not None and abs((step.month - pd.Timestamp("2026-04-01")).days) < 35
            counts[f"{how}: in its month"] += step.found and near
            above, below = found.above["item"].tolist(), found.below["item"].tolist()
            counts[f"{how}: better product first"] += above[:1] == [better]
            counts[f"{how}: shops with another product named"] += bool(set(above + below) - {better})
            took = time.perf_counter() - started
            print(
                seed,
                how,
                step.month,
                round(step.effect, 3),
                step.found,
                above[:3],
                below[:3],
                f"{took:.0f} s",
                flush=True,
            )
    for name, count in sorted(counts.items()):
        print(f"{name}: {count}")


if __name__ == "__main__":
    main()
