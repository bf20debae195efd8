"""A shop to try everything on: simulated from one seed, with the truth planted and written beside it.

It sells tea, coffee, kettles, cups, kitchen and summer things, since 1 October 2023, to about 5,000
customers. `simulate` makes the tables in memory, `make` writes them as a folder by the contract. The truth
says what an analysis should find; nothing here is shared with the analyses.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from crmlib.shop.samples.demo import large, population, special_days
from crmlib.shop.samples.demo.simulation import Simulation, simulate
from crmlib.shop.samples.folder import settings, staged

__all__ = ["Simulation", "is_current", "make", "simulate"]


NAME = "Demo shop"


_STAMP = ".made-by"


_MORE = """country = "DE"

[owners]
service = "Service"
marketing = "Marketing"
sales = "Sales"
purchasing = "Purchasing"
shop = "Shop system"

[team]
contacts_per_week = 60
hours = "9-17"
"""


def make(folder: Path, *, seed: int = 20, customers: int = 5000) -> Path:
    """Write the demo shop into `folder` and return it: one CSV file a table, shop.toml and truth.json.

    The folder appears whole or not at all; one that holds something else is refused with DataError. The same
    seed and number of customers write the same bytes. Above large.BLOCK customers it is written block by block, in the
    memory of one, and the truth names no single row.
    """
    with staged(folder, name=NAME) as into:
        if customers > large.BLOCK:
            truth = large.write(into, seed=seed, customers=customers)
        else:
            shop = simulate(seed=seed, customers=customers)
            truth = shop.truth
            for name, frame in shop.tables.items():
                frame.to_csv(into / f"{name}.csv", index=False, lineterminator="\n", encoding="utf-8")
        (into / "shop.toml").write_text(
            settings(name=NAME, timezone="Europe/Berlin", currency="EUR", as_of=str(population.AS_OF))
            + _MORE
            + special_days.SPANS,
            encoding="utf-8",
        )
        (into / "truth.json").write_text(
            json.dumps(truth, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
        )
        (into / _STAMP).write_text(_stamp(seed=seed, customers=customers), encoding="utf-8")
    return folder


def is_current(folder: Path, *, seed: int = 20, customers: int = 5000) -> bool:
    """Was this folder made by the simulation as it is now, with this seed and size?"""
    try:
        return (Path(folder) / _STAMP).read_text(encoding="utf-8") == _stamp(seed=seed, customers=customers)
    except OSError:
        return False


def _stamp(*, seed: int, customers: int) -> str:
    code = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        code.update(source.read_bytes())
    return f"simulation {code.hexdigest()}, seed {seed}, {customers} customers\n"
