"""A shop drawn for the purpose, and whether what was planted in it is found."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from crmlib.analysis.proof.checks import Check, inside, named
from crmlib.formats import outline

_CUSTOMERS, _SEED = 800, 20
_WIDE = 3.29  # errors to either side: 99.9 %, so that a dozen ranges do not fail by chance
_SOURCE = "truth.json of the shop drawn"


@dataclass(frozen=True)
class Drawn:
    """A small shop in `folder`, and the `truth` it was drawn from. The folder goes with the last who holds this."""

    folder: Path
    truth: Mapping[str, Any]
    held: tempfile.TemporaryDirectory[str]

    __repr__ = outline


def drawn(seed: int) -> Drawn:
    """A demo shop of 800 customers, another one for each `seed`.

    >>> drawn(1).truth["customers_drawn"]
    800
    """
    from crmlib.shop.samples.demo import make

    held = tempfile.TemporaryDirectory(prefix="proof-")
    folder = make(Path(held.name) / "shop", seed=_SEED + seed, customers=_CUSTOMERS)
    return Drawn(folder, json.loads((folder / "truth.json").read_text(encoding="utf-8")), held)


def effects(shop: Drawn, table: pd.DataFrame) -> tuple[Check, ...]:
    """Do the ranges of effects hold what was planted? `table` is that of `crm.experiments.fit`, whose `state` is ok.

    >>> effects(shop_drawn, pd.DataFrame({"state": []}))
    ()
    """
    return tuple(
        inside(f"{row['experiment']}, {row['metric']}".replace("_", " "),
               shop.truth["experiments"][row["experiment"]]["effects"][row["metric"]], row["low"], row["high"],
               source=_SOURCE)
        for row in table[table["state"] == "ok"].to_dict("records")
    )  # fmt: skip


def slopes(shop: Drawn, table: pd.DataFrame) -> tuple[Check, ...]:
    """Do the ranges of products' elasticities hold what was planted? `table` is that of `crm.prices.slopes`.

    >>> slopes(shop_drawn, pd.DataFrame({"product_id": [], "own": [], "error": []}))
    ()
    """
    truth = shop.truth["prices"]["elasticities"]
    return tuple(
        inside(f"price of {row['product_id']}", truth[row["product_id"]], row["own"] - _WIDE * row["error"],
               row["own"] + _WIDE * row["error"], source=_SOURCE)
        for row in table[table["product_id"].isin(truth)].to_dict("records")
    )  # fmt: skip


def splits(shop: Drawn, table: pd.DataFrame) -> tuple[Check, ...]:
    """Are the broken splits found, and only they? `table` is that of `crm.experiments.validate`.

    >>> splits(shop_drawn, pd.DataFrame({"check": [], "verdict": [], "experiment": []}))[0].passed
    False
    """
    broken = table[(table["check"] == "sample_ratio") & (table["verdict"] != "ok")]["experiment"]
    wanted = [name for name, said in shop.truth["experiments"].items() if said["split_broken"]]
    return (named("tests whose split is broken", wanted, broken, source=_SOURCE),)


def teams(shop: Drawn, outside: pd.DataFrame) -> tuple[Check, ...]:
    """Is the late carrier named, and nobody who only has the hard cases? `outside` is that of `crm.teams.measure`.

    >>> [check.passed for check in teams(shop_drawn, pd.DataFrame({"kind": [], "team": []}))]
    [False, True]
    """
    service, found = shop.truth["service"], outside.groupby("kind")["team"].agg(set).to_dict()
    accused = found.get("team", set()) - {service["slow"]["team"]}
    return (
        named(
            "carriers that are late", {service["late_carrier"]["carrier"]}, found.get("carrier", set()), source=_SOURCE
        ),
        named("teams named that only have the hard cases", (), accused, source=_SOURCE),
    )
