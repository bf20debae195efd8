"""CDNOW: the purchase histories of 23,570 customers who first bought from an online music shop in early 1997.

Published by Fader and Hardie and carried inside the lifetimes package: in full, and as the one-tenth sample of 2,357
customers on which the models' published figures stand.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pandas as pd

from crmlib.shop.samples.folder import settings, staged


def make(folder: Path) -> tuple[Path, Path]:
    """Write both shops below `folder`: cdnow (69,659 orders) and cdnow-sample (6,919), each orders.csv and shop.toml.

    Nothing is dropped: orders of zero dollars and rows that look alike stay, each with a number of its own.
    """
    return (
        _write(folder / "cdnow", "CDNOW", "CDNOW_master.txt", ["customer", "date", "cds", "total"]),
        _write(
            folder / "cdnow-sample", "CDNOW sample", "CDNOW_sample.txt", ["master", "customer", "date", "cds", "total"]
        ),
    )


def _write(folder: Path, name: str, file: str, columns: list[str]) -> Path:
    with files("lifetimes").joinpath("datasets", file).open(encoding="ascii") as source:
        text = source.read()
    lines = [line.split() for line in text.splitlines()]
    # The master file has a header, the sample has none.
    rows = pd.DataFrame([line for line in lines if line and line[0].isdigit()], columns=columns)
    orders = pd.DataFrame(
        {
            "order_id": [f"{number:06d}" for number in range(1, len(rows) + 1)],
            "ordered_at": pd.to_datetime(rows["date"], format="%Y%m%d").dt.strftime("%Y-%m-%d"),
            "customer_id": rows["customer"],
            "total": rows["total"],
            "cds": rows["cds"],
        }
    )
    with staged(folder, name=name) as into:
        orders.to_csv(into / "orders.csv", index=False, lineterminator="\n")
        text = settings(name=name, timezone="UTC", currency="USD", as_of="1998-07-01")
        (into / "shop.toml").write_text(text, encoding="utf-8")
    return folder
