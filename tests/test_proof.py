"""Checks that can fail, and what a page makes of them and of the other reports' own tests."""

from __future__ import annotations

import doctest
import importlib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import crmlib as crm
from crmlib.analysis import proof
from crmlib.analysis.proof.record import headline
from crmlib.findings import Metric
from crmlib.publishing import Run


@dataclass(frozen=True)
class Dealt:
    """Days as `unfounded` needs them."""

    series: pd.DataFrame


def run(report: str, record: tuple[dict[str, Any], ...] = (), **values: float | None) -> Run:
    metrics = {key: Metric(id=key, label=key, value=value, unit="", definition="") for key, value in values.items()}
    return Run(report=report, title=report.replace("_", " ").capitalize(), as_of=date(2026, 1, 1), headline="",
               metrics=metrics, actions=(), record=record, folder=Path())  # fmt: skip


def test_a_figure_is_right_within_its_rounding_and_no_further() -> None:
    assert proof.equal("r", 0.2427, 0.2426, source="paper").passed
    assert not proof.equal("r", 0.2430, 0.2426, source="paper").passed
    assert proof.equal("log-likelihood", -9582.4, -9582.43, source="paper").passed
    assert not proof.equal("r", float("nan"), 0.2426, source="paper").passed


def test_a_rate_is_held_to_what_so_many_draws_would_show() -> None:
    rng = np.random.default_rng(4)
    assert proof.rate("fair", rng.random(1_000) < 0.05, 0.05, source="drawn").passed
    assert not proof.rate("too many", rng.random(1_000) < 0.10, 0.05, source="drawn").passed
    assert not proof.rate("too few", rng.random(1_000) < 0.01, 0.05, source="drawn").passed
    assert proof.rate("fewer is as good", rng.random(1_000) < 0.01, 0.05, source="drawn", most=True).passed
    missed = [not proof.rate("fair", rng.random(400) < 0.05, 0.05, source="drawn").passed for _ in range(2_000)]
    assert np.mean(missed) < 0.01


def test_planted_truths() -> None:
    assert proof.inside("gain", 0.1, 0.05, 0.2, source="drawn").passed
    assert not proof.inside("gain", 0.3, 0.05, 0.2, source="drawn").passed
    assert not proof.inside("gain", 0.3, float("nan"), float("nan"), source="drawn").passed
    assert proof.named("teams", ["a", "b"], ["b", "a"], source="drawn").passed
    assert proof.named("teams", ["a"], ["b"], source="drawn").ours == 2


def test_a_shop_dealt_anew_keeps_its_totals_and_loses_its_pairs() -> None:
    shop = proof.drawn(3)
    other = proof.dealt(shop, 3)
    before, after = (pd.read_csv(one.folder / "order_lines.csv", dtype=str) for one in (shop, other))
    assert sorted(before["product_id"].dropna()) == sorted(after["product_id"].dropna())
    assert before["order_id"].equals(after["order_id"]) and not before["product_id"].equals(after["product_id"])
    found, items = [], []
    for one in (shop, other):
        baskets = crm.baskets.facts(crm.connect(one.folder), level="product", min_support=0.002)
        found.append(crm.baskets.fit(baskets, min_confidence=0.05))
        items.append(baskets.ids)
    assert proof.pairs(shop, items[0], found[0].table["itemset"])[0].passed
    assert not proof.pairs(shop, items[1], found[1].table["itemset"])[0].passed
    assert found[0].pairs >= 8 and found[1].pairs <= 1
    assert not proof.pairs(shop, items[0], ())[0].passed


def test_what_is_found_in_nothing_fails() -> None:
    verdict = SimpleNamespace(kind="team", table=pd.DataFrame({"team": ["a", "b", "c"]}), far=["a", "b", "c"])
    days = Dealt(pd.DataFrame({"orders": [1.0, 2.0, 3.0]}))
    found = proof.unfounded(
        (9, 10), SimpleNamespace(verdicts=[verdict]), days, lambda _: SimpleNamespace(yearly=True), seed=1
    )
    assert [check.passed for check in found] == [False, False, False]
    assert [check.ours for check in found] == [0.9, 1.0, 1.0]


def test_the_page_leads_with_what_failed_and_what_not_to_trust() -> None:
    good, bad = proof.equal("r", 1.0, 1.0, source="paper"), proof.equal("q", 2.0, 1.0, source="paper")
    lines = (
        {"label": "Orders", "due": 4, "banded": 4, "inside": 2},
        {"label": "New", "due": 3, "banded": 0, "inside": 0},
    )
    runs = [
        run("lifetime_value", lines, holdout_auc=0.81, recency_auc=0.83, holdout_actual=100.0, holdout_forecast=140.0),
        run("customers", score_auc=0.9, recency_auc=0.7),
        run("feedback", macro_f1=0.505, macro_f1_textblob=0.5),
        run("lifetime_value", holdout_auc=0.99, recency_auc=0.5),  # a year ago
    ]
    tests = proof.held(runs)
    assert dict(zip(tests["test"], tests["verdict"], strict=True)) == {
        "who buys again, by area under the curve": "worse",
        "who buys later, by area under the curve": "better",
        "the mood of texts": "as good",
        "repeat orders of a time held out": "too far off",
        "Orders: ranges said earlier": "too narrow",
    }
    said = proof.page(proof.proof(good, bad), tests)
    assert said.headline == "The methods fail 1 of 2 checks; 3 of 5 tests on this shop failed."
    assert (said["passed"].value, said["failed"].value, said.status) == (1, 1, "warnings")
    assert list(said.tables["checks"]["verdict"]) == ["failed", "passed"]
    assert "Do not trust here" in said.parts[1].title


def test_without_other_reports_only_the_methods_are_judged() -> None:
    found = proof.proof(proof.equal("r", 1.0, 1.0, source="paper"))
    assert headline(found, proof.held(())) == "The methods pass their one check; of this shop nothing is known yet."
    assert proof.page(found, proof.held(())).status == "published"


@pytest.mark.parametrize("module", ["checks", "nulls", "papers", "planted", "record"])
def test_examples_of_docstrings_run(module: str) -> None:
    shown: dict[str, Any] = {"crm": crm}
    if module in ("planted", "nulls"):
        shop_drawn = proof.drawn(1)
        dealt = proof.dealt(shop_drawn, 1)
        shown |= {"shop_drawn": shop_drawn, "small": crm.connect(dealt.folder)}
    found = doctest.testmod(importlib.import_module(f"crmlib.analysis.proof.{module}"), extraglobs=shown)
    assert found.attempted and not found.failed
