"""How good has it been on this very shop: what other reports published about their own tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.proof.checks import Proof, finite, part_checks
from crmlib.findings import Caveat, Check, Findings, Metric, Part, compose
from crmlib.publishing import Run

_ALIKE = 0.01  # two such figures that differ by less are called as good
_APART = 0.25  # of what came: a forecast that missed by more is not to be led with
_BETTER = (
    ("lifetime_value", "holdout_auc", "recency_auc", "who buys again", "days since the last order"),
    ("customers", "score_auc", "recency_auc", "who buys later", "days since the last order"),
    ("feedback", "macro_f1", "macro_f1_textblob", "the mood of texts", "TextBlob"),
)


def held(runs: Sequence[Run]) -> pd.DataFrame:
    """The reports' own tests on this shop: report, test, ours, beside, of what, verdict; and their track records.

    >>> held(()).empty
    True
    """
    newest = {run.report: run for run in reversed(runs)}
    rows = [*_contests(newest), *_forecasts(newest), *_cycles(newest), *_records(newest)]
    return pd.DataFrame(rows, columns=["report", "test", "ours", "beside", "verdict"])


def _contests(runs: dict[str, Run]) -> Iterator[dict[str, Any]]:
    for report, ours, other, what, simple in _BETTER:
        metrics = runs[report].metrics if report in runs else {}
        one, two = (metrics[name].value if name in metrics else None for name in (ours, other))
        if one is not None and two is not None and finite(one) and finite(two):
            verdict = "better" if one > two + _ALIKE else "worse" if one < two - _ALIKE else "as good"
            yield {"report": runs[report].title, "test": f"{what}, by area under the curve" if "auc" in ours else what,
                   "ours": f"{one:.3f}", "beside": f"{two:.3f} by {simple}", "verdict": verdict}  # fmt: skip


def _forecasts(runs: dict[str, Run]) -> Iterator[dict[str, Any]]:
    metrics = runs["lifetime_value"].metrics if "lifetime_value" in runs else {}
    if {"holdout_actual", "holdout_forecast"} <= metrics.keys():
        came, said = metrics["holdout_actual"].value, metrics["holdout_forecast"].value
        if came and said is not None:
            yield {"report": runs["lifetime_value"].title, "test": "repeat orders of a time held out",
                   "ours": formats.number(said), "beside": f"{formats.number(came)} came",
                   "verdict": "close" if abs(said - came) <= _APART * came else "too far off"}  # fmt: skip


def _cycles(runs: dict[str, Run]) -> Iterator[dict[str, Any]]:
    """Chances of a purchase, beside what came of them."""
    rows = pd.DataFrame(runs["purchase_cycles"].rows("chances") if "purchase_cycles" in runs else [])
    if rows.empty or not {"horizon", "forecast", "actual", "n"} <= set(rows):
        return
    for horizon, its in rows.groupby("horizon", sort=False):
        forecast, actual, n = (its[name].astype(float) for name in ("forecast", "actual", "n"))
        said, came = float((forecast * n).sum()), float((actual * n).sum())
        yield {"report": runs["purchase_cycles"].title, "test": f"chances to buy within {horizon} days",
               "ours": f"{formats.number(said)} expected", "beside": f"{formats.number(came)} bought",
               "verdict": "close" if abs(said - came) <= _APART * came else "too far off"}  # fmt: skip


def _records(runs: dict[str, Run]) -> Iterator[dict[str, Any]]:
    for run in runs.values():
        for line in run.record:
            if line["banded"]:
                share = line["inside"] / line["banded"]
                yield {"report": run.title, "test": f"{line['label']}: ranges said earlier",
                       "ours": f"{line['inside']} of {line['banded']} held", "beside": "95% should",
                       "verdict": "held" if share >= 0.8 else "too narrow"}  # fmt: skip


def distrusted(tests: pd.DataFrame) -> pd.DataFrame:
    """What not to trust here."""
    return tests[tests["verdict"].isin(["worse", "too far off", "too narrow"])]


def part_shop(tests: pd.DataFrame) -> Part:
    """What held on this shop, and what not to trust."""
    wrong = distrusted(tests)
    note = f"{len(wrong)} did not hold" if len(wrong) else "all held" if len(tests) else "run all reports"
    metric = Metric(
        id="shop_tests", label="Tests on this shop", value=len(tests), unit="tests", note=note, headline=True,
        definition="tests of their own that the other reports published for this shop",
    )  # fmt: skip
    if tests.empty:
        none = "The other reports have not published a test on this shop yet."
        return Part(title="Nothing is known of this shop yet", sentence=none, metrics=[metric], detail=True)
    labels = {"report": "Report", "test": "Test", "ours": "Ours", "beside": "Beside", "verdict": "Verdict"}
    said = [f"{row['test']} ({row['verdict']})" for row in wrong.to_dict("records")]
    return Part(
        title="What held on this shop" if wrong.empty else f"Do not trust here: {wording.listed(said, most=2)}",
        sentence="Tested on later purchases, or said earlier. Close is within a quarter; as good, within 0.01.",
        chart=figures.table(tests, caption="Tests on this shop", labels=labels, file="tables/shop_tests.csv"),
        metrics=[metric], tables={"shop_tests": tests},
        checks=[Check(name="on this shop", verdict="warning", text=f"Not to be trusted: {one}.") for one in said],
    )  # fmt: skip


def page(found: Proof, tests: pd.DataFrame) -> Findings:
    """Do the methods hold, in general and here?"""
    return compose("proof", headline(found, tests), [part_checks(found), part_shop(tests), _doubts()])


def headline(found: Proof, tests: pd.DataFrame) -> str:
    """In at most 20 words."""
    n, bad, wrong = len(found.checks), len(found.failed), len(distrusted(tests))
    whole = f"The methods pass all {n} checks" if n != 1 else "The methods pass their one check"
    first = whole if not bad else f"The methods fail {bad} of {wording.counted(n, 'check')}"
    if tests.empty:
        return f"{first}; of this shop nothing is known yet."
    here = (
        f"{wrong} of {wording.counted(len(tests), 'test')} on this shop failed"
        if wrong
        else f"{wording.counted(len(tests), 'test')} on this shop held"
    )
    return f"{first}; {here}."


def _doubts() -> Part:
    return Part(
        certain=["A method that holds on published data and on shops we drew can still be wrong on yours: the second "
                 "table is the one that counts."],
        caveats=[Caveat(text="Tests on this shop share its past: what changes tomorrow is in none of them.")],
    )  # fmt: skip
