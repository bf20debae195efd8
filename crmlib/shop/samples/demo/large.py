"""The demo shop with as many customers as one likes, written block by block and never held in memory.

A block is a shop of its own, drawn from its own seed; its customers, orders and feedback carry the block's number in
their ids. Products are those of the first block, and so are the experiments, whose size does not depend on the shop.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from crmlib.shop.samples.demo.simulation import simulate

BLOCK = 20_000  # customers simulated at a time, about a million order lines
_IDS = ("customer_id", "order_id", "feedback_id", "ticket_id")
_ONCE = ("products", "assignments", "outcomes", "price_survey", "staff")
# True of every block alike; what names single rows would be as large as the shop.
_KEPT = (
    "first_day",
    "as_of",
    "population",
    "season",
    "reviews",
    "experiments",
    "touches",
    "service",
    "special_days",
    "prices",
    "dirty",
)


def sizes(customers: int) -> list[int]:
    """How many customers each block has: about the same number, at most BLOCK.

    >>> sizes(50_000)
    [16667, 16667, 16666]
    """
    blocks = -(-customers // BLOCK)
    each, more = divmod(customers, blocks)
    return [each + (block < more) for block in range(blocks)]


def blocks(customers: int, *, seed: int) -> Iterator[tuple[dict[str, pd.DataFrame], dict[str, Any]]]:
    """The tables of one block after the other, with ids that no other block has, and what is true of it."""
    for number, size in enumerate(sizes(customers)):
        shop = simulate(seed=seed + number, customers=size)
        tables = {name: frame for name, frame in shop.tables.items() if number == 0 or name not in _ONCE}
        yield {name: _marked(frame, f"B{number:04d}") for name, frame in tables.items()}, shop.truth


def write(folder: Path, *, seed: int, customers: int) -> dict[str, Any]:
    """Write all tables as CSV into `folder` and return what is true of the whole.

    The same seed and number of customers write the same bytes.
    """
    rows: dict[str, int] = {}
    dirt: dict[str, dict[str, int]] = {}
    truth: dict[str, Any] = {}
    for tables, own in blocks(customers, seed=seed):
        for name, frame in tables.items():
            path = folder / f"{name}.csv"
            _append(path, frame)
            rows[name] = rows.get(name, 0) + len(frame)
        for name, kinds in own["dirt"].items():
            counted = dirt.setdefault(name, {})
            for kind, count in kinds.items():
                # The products of the other blocks are not written.
                counted[kind] = counted.get(kind, 0) + count if name in tables else counted.get(kind, count)
        truth = truth or {key: own[key] for key in _KEPT} | {"baskets": _lasting(own["baskets"])}
    return (
        {"seed": seed, "customers_drawn": customers, "blocks": len(sizes(customers))}
        | truth
        | {"rows": rows, "dirt": dirt}
    )


def _lasting(baskets: dict[str, Any]) -> dict[str, Any]:
    """What is true of the baskets of every block."""
    return {key: value for key, value in baskets.items() if key not in ("big", "obsession")}


def _marked(frame: pd.DataFrame, block: str) -> pd.DataFrame:
    marked = {column: block + frame[column].where(frame[column] != "", None) for column in _IDS if column in frame}
    return frame.assign(**{column: ids.fillna("") for column, ids in marked.items()})


def _append(path: Path, frame: pd.DataFrame) -> None:
    """Add rows to a CSV as the smaller shops have them, the header before the first."""
    import pyarrow as pa
    from pyarrow import csv

    # Whole seconds, and nothing where there is nothing, as pandas writes them.
    texts = frame.select_dtypes(["object", "string"]).columns
    words = {column: frame[column].astype(object).where(frame[column] != "", None) for column in texts}
    times = {column: frame[column].astype("datetime64[s]") for column in frame.select_dtypes("datetime").columns}
    table = pa.Table.from_pandas(frame.assign(**words, **times), preserve_index=False)
    first = not path.exists()
    with path.open("ab") as file:
        csv.write_csv(table, file, csv.WriteOptions(include_header=first, quoting_style="needed"))
