"""How does the engine's work grow with a shop? `python -m tests.benchmarks.growth FOLDER ...`, smallest shop first.

For each folder, in a process of its own: reading with its checks, data health, and the facts of each analysis. Printed
are seconds and the peak memory of the process. `crm demo --customers N --to FOLDER` makes the shops; 29,000 customers have
about a million order lines.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path

STEPS = ("reading", "data health", "lifetime value", "baskets", "experiments", "feedback")


def main() -> None:
    print("| order lines | " + " | ".join(f"{step}, s" for step in STEPS) + " | peak, MiB |")
    print("|--:|" + "--:|" * (len(STEPS) + 1))
    for folder in sys.argv[1:]:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.growth", "--one", folder],
            check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        found = json.loads(done.stdout.splitlines()[-1])
        seconds = " | ".join(f"{found[step]:,.0f}" for step in STEPS)
        print(f"| {found['lines']:,} | {seconds} | {found['mib']:,.0f} |", flush=True)


def one(folder: Path) -> None:
    import crmlib as crm
    from crmlib.shop.facts import customer_history

    warnings.simplefilter("ignore")
    clv, found, started = crm.lifetime_value, {}, time.perf_counter()

    def lap(step: str) -> None:
        nonlocal started
        found[step] = time.perf_counter() - started
        print(step, round(found[step]), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)
        started = time.perf_counter()

    store = crm.connect(folder)
    lap("reading")
    crm.data_health.measure(store)
    lap("data health")
    store.fetch(clv.facts(store), max_rows=20_000_000)
    store.fetch(customer_history(store, until=store.as_of), max_rows=20_000_000)
    lap("lifetime value")
    crm.baskets.facts(store, level="product", min_support=0.002)
    lap("baskets")
    crm.experiments.facts(store)
    lap("experiments")
    crm.feedback.facts(store)
    lap("feedback")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(found | {"lines": store.audits["order_lines"].read, "mib": peak}))


if __name__ == "__main__":
    one(Path(sys.argv[2])) if sys.argv[1] == "--one" else main()
