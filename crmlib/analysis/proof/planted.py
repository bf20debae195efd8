"""A shop drawn for the purpose, and whether what was planted in it is found."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from crmlib.analysis.proof.checks import Check, inside, named
from crmlib.formats import outline

_CUSTOMERS, _SEED = 800, 20
_WIDE = 3.29  # errors to either side: 99.9 %, so that a dozen ranges do not fail by chance
_SOURCE = "truth.json of the shop drawn"
_DEALT = {"order_lines": "product_id", "tickets": "staff_id", "shipments": "carrier"}


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


def dealt(shop: Drawn, seed: int) -> Drawn:
    """The same shop with products dealt anew to baskets, tickets to people and parcels to carriers.

    Nothing is left to be found. Baskets keep their sizes, products and people their totals.

    >>> dealt(shop_drawn, seed=1).folder.name
    'shop'
    """
    rng, held = np.random.default_rng(seed), tempfile.TemporaryDirectory(prefix="proof-")
    folder = shutil.copytree(shop.folder, Path(held.name) / "shop")
    for table, column in _DEALT.items():
        path = folder / f"{table}.csv"
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
        rows.assign(**{column: rng.permutation(rows[column].to_numpy())}).to_csv(path, index=False)
    return replace(shop, folder=folder, held=held)


def effects(shop: Drawn, table: pd.DataFrame, checks: pd.DataFrame) -> tuple[Check, ...]:
    """Do the ranges of effects hold what was planted, and are the broken splits found, and only they?

    `table` is that of `crm.experiments.fit`, whose `state` is ok; `checks` that of `crm.experiments.validate`.

    >>> none = pd.DataFrame({"state": [], "check": [], "verdict": [], "experiment": []})
    >>> effects(shop_drawn, none, none)[0].passed
    False
    """
    tests = shop.truth["experiments"]
    broken = checks[(checks["check"] == "sample_ratio") & (checks["verdict"] != "ok")]["experiment"]
    wanted = [name for name, said in tests.items() if said["split_broken"]]
    return (
        named("tests whose split is broken", wanted, broken, source=_SOURCE),
        *(inside(f"{row['experiment']}, {row['metric']}".replace("_", " "),
                 tests[row["experiment"]]["effects"][row["metric"]], row["low"], row["high"], source=_SOURCE)
          for row in table[table["state"] == "ok"].to_dict("records")),
    )  # fmt: skip


def pairs(shop: Drawn, items: Sequence[str], found: Iterable[Sequence[int]]) -> tuple[Check, ...]:
    """Are the planted pairs among those found?

    `found` has places in `items`, as `rules.table["itemset"]` has in `baskets.ids`.

    >>> pairs(shop_drawn, ["P085", "P082"], [(0, 1)])[0].ours
    7
    """
    planted = {frozenset((one["first"], one["second"])) for one in shop.truth["baskets"]["affinities"]}
    missing = planted - {frozenset(items[place] for place in places) for places in found}
    source = f"{_SOURCE}, which has {len(planted)}"
    return (
        named("planted pairs of products not found", (), ("–".join(sorted(pair)) for pair in missing), source=source),
    )


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
