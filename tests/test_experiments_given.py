"""Results that another tool added up are judged as the same units would be, as far as sums can say."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import crmlib as crm
from crmlib.analysis import experiments
from crmlib.errors import DataError, UsageError
from crmlib.findings import Findings

ShopWriter = Callable[..., Path]
AS_OF = "2026-06-01"


def units(n: int = 4000) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Assignments and outcomes of a test with a share and a sum of money."""
    rng = np.random.default_rng(5)
    arm = np.array(["control", "blue"])[np.arange(n) % 2]
    bought = rng.random(n) < np.where(arm == "blue", 0.26, 0.20)
    spent = np.where(bought, rng.gamma(2.0, 20.0, n), 0).round(2)
    at = pd.Timestamp("2026-03-01") + pd.to_timedelta(np.arange(n) * 10, unit="min")
    assigned = pd.DataFrame(
        {"experiment": "button", "unit_id": [f"u{i}" for i in range(n)], "variant": arm, "assigned_at": at}
    )
    one = assigned[["experiment", "unit_id"]].assign(observed_at="2026-05-01")
    both = [one.assign(metric="converted", value=bought.astype(int)), one.assign(metric="revenue", value=spent)]
    return assigned, pd.concat(both)


def added_up(assigned: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    told = outcomes.merge(assigned, on=["experiment", "unit_id"])
    told["square"] = told["value"] ** 2
    each = told.groupby(["experiment", "variant", "metric"], as_index=False).agg(
        n=("value", "size"), sum=("value", "sum"), sum_of_squares=("square", "sum")
    )
    share = each["metric"] == "converted"
    return each.assign(
        conversions=each["sum"].where(share),
        sum=each["sum"].where(~share),
        sum_of_squares=each["sum_of_squares"].where(~share),
    )


def judged(shop: crm.Shop, **asked: Any) -> tuple[experiments.results.Results, Findings]:
    facts = experiments.facts(shop)
    results = experiments.fit(experiments.validate(facts), primary="converted")
    verdicts = experiments.score(results, experiments.worth(results, **asked))
    looks, segments = experiments.by_day(shop, results), experiments.by_segment(shop, results)
    return results, experiments.page(
        verdicts, looks=looks, segments=segments, grades=experiments.grade(shop, (), results=results)
    )


def test_sums_say_what_their_units_say(write_shop: ShopWriter) -> None:
    assigned, outcomes = units()
    days = {"started_at": "2026-03-01", "ended_at": "2026-03-28"}
    whole = crm.connect(write_shop("units", assignments=assigned, outcomes=outcomes), as_of=AS_OF)
    sums = crm.connect(write_shop("sums", results=added_up(assigned, outcomes).assign(**days)), as_of=AS_OF)
    one, other = judged(whole)[0], judged(sums)[0]
    told = [
        "experiment",
        "metric",
        "variant",
        "n",
        "n_control",
        "mean",
        "mean_control",
        "effect",
        "low",
        "high",
        "p_value",
        "p_adjusted",
        "method",
    ]
    pd.testing.assert_frame_equal(one.table[told], other.table[told], rtol=1e-9)
    assert other.facts.units_of("button") == {"blue": 2000, "control": 2000} and other.facts.span_of("button") == 28
    # And by another library, from the sums alone.
    row = other.table.set_index("metric").loc["revenue"]
    by = added_up(assigned, outcomes).query("metric == 'revenue'").set_index("variant")
    mean, sd = by["sum"] / by["n"], np.sqrt((by["sum_of_squares"] - by["sum"] ** 2 / by["n"]) / (by["n"] - 1))
    welch = stats.ttest_ind_from_stats(
        mean["blue"], sd["blue"], 2000, mean["control"], sd["control"], 2000, equal_var=False
    )
    assert row["p_value"] == pytest.approx(welch.pvalue, rel=1e-9)


def test_a_page_of_sums_without_days(write_shop: ShopWriter) -> None:
    assigned, outcomes = units()
    shop = crm.connect(write_shop(results=added_up(assigned, outcomes)), as_of=AS_OF)
    results, page = judged(shop)
    assert results.facts.span_of("button") is None
    said = " ".join([page.headline, *(f"{part.title} {part.sentence}" for part in page.parts)])
    assert "Button" in said and not re.search(r"\bnan\b|\bNone\b(?! of)", said)
    assert "The results came as sums, without days" in said
    checks = set(results.checks.table["check"])
    assert "sample_ratio" in checks and not checks & {"two_arms", "missing", "sample_ratio_any_day"}


def test_a_broken_split_blocks_sums_too(write_shop: ShopWriter) -> None:
    rows = [{"experiment": "button", "variant": arm, "metric": "converted", "n": n, "conversions": 200}
            for arm, n in (("control", 2000), ("blue", 2300))]  # fmt: skip
    results, page = judged(crm.connect(write_shop(results=rows), as_of=AS_OF))
    assert results.checks.is_blocked("button", "converted") and "unusable" in page.headline


def test_a_pasted_table_is_known_by_its_header_whatever_its_name(write_shop: ShopWriter) -> None:
    folder = write_shop("pasted")
    (folder / "from the tool.csv").write_text(
        "Experiment;Variant;Metric;N;Conversions\nbutton;control;converted;2000;200\nbutton;blue;converted;2000;260\n"
    )
    shop = crm.connect(folder, as_of=AS_OF)
    assert [(one.platform, one.what) for one in shop.exports.recognised] == [("Experiments", "results by arm")]
    assert judged(shop)[0].table["effect"].iloc[0] == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"n": 0, "conversions": 0}, "n must be the number of units"), ({"n": 10, "conversions": 11}, "11 conversions of 10 units"),
        ({"n": 10, "sum": 5}, "needs conversions, or sum and sum_of_squares"),
        ({"n": 10, "sum": 50, "sum_of_squares": 200}, "at least sum² / n"),
    ],
)  # fmt: skip
def test_sums_that_cannot_be_are_refused(more: dict[str, float], said: str, write_shop: ShopWriter) -> None:
    rows = [{"experiment": "button", "variant": arm, "metric": "sales", **more} for arm in ("control", "blue")]
    shop = crm.connect(write_shop(results=rows), as_of=AS_OF)
    with pytest.raises(DataError, match=said.replace("²", ".")):
        experiments.facts(shop)
    with pytest.raises(UsageError, match="there is no experiment 'buton'; did you mean 'button'"):
        experiments.facts(shop, experiment="buton")
