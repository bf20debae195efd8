"""What does a day cost? `python -m tests.benchmarks.daily SHOP [--days 30] [--report NAME ...]`, all reports if none is named.

The shop is given a day at a time: all of its past in one file a table, then each day a file more, and `crm run` after
each, as a timer would. Printed are rows, seconds and processor seconds; the first run has read nothing before.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from datetime import date, timedelta
from pathlib import Path

import pandas as pd

import crmlib as crm
from tests.benchmarks.growth import run

CLOCKS = {"orders": "ordered_at", "feedback": "created_at", "tickets": "opened_at", "touches": "at",
          "shipments": "shipped_at", "customers": "created_at"}  # fmt: skip


def main() -> None:
    words = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.daily", description=__doc__.split("\n", maxsplit=1)[0]
    )
    words.add_argument("shop", type=Path)
    words.add_argument("--days", type=int, default=30)
    words.add_argument("--report", action="append")
    given = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="crm-daily-") as place:
        shop, reports = Path(place, "shop"), Path(place, "reports")
        parts = _begin(given.shop, shop)
        end = crm.connect(given.shop).as_of
        print("| day | new rows | seconds | processor, s |\n|---|--:|--:|--:|")
        for back in range(given.days, -1, -1):
            rows = _add(parts, shop, end - timedelta(days=back), first=back == given.days)
            asked = given.report or ["--all"]
            seconds, busy, _ = run(shop, reports, *asked, "--as-of", str(end - timedelta(days=back)))
            print(f"| {end - timedelta(days=back)} | {rows:,} | {seconds:.1f} | {busy:.1f} |", flush=True)


def _begin(source: Path, shop: Path) -> dict[str, pd.DataFrame]:
    """The tables that grow, with the day of each row; the others are copied whole."""
    shop.mkdir()
    parts = {}
    for path in sorted(source.glob("*.*")):
        if path.suffix == ".csv" and path.stem in CLOCKS:
            rows = pd.read_csv(path, dtype=str, keep_default_na=False)
            parts[path.stem] = rows.assign(day=rows[CLOCKS[path.stem]].str[:10])
        elif path.name != "order_lines.csv":
            shutil.copy(path, shop)
    lines = pd.read_csv(source / "order_lines.csv", dtype=str, keep_default_na=False)
    days = parts["orders"].drop_duplicates("order_id").set_index("order_id")["day"]
    parts["order_lines"] = lines.assign(day=lines["order_id"].map(days).fillna(""))
    return parts


def _add(parts: dict[str, pd.DataFrame], shop: Path, as_of: date, *, first: bool) -> int:
    """Write what is new before `as_of`, a file a table; how many rows."""
    written, last = 0, str(as_of - timedelta(days=1))
    for name, rows in parts.items():
        new = rows[rows["day"] <= last] if first else rows[rows["day"] == last]
        if len(new):
            new.drop(columns="day").to_csv(shop / f"{name}-{last}.csv", index=False)
        written += len(new)
    return written


if __name__ == "__main__":
    main()
