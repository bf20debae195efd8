"""Every report on every shop of ../shared/cases: each is published or says what is missing, and says what is expected.

python -m tests.every_case                    every folder with a shop, all reports, as of the day after its last event
python -m tests.every_case --today 26 67      as a run of today sees them; those whose names begin so
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

import crmlib as crm
from crmlib.errors import CrmError
from crmlib.findings import Findings
from tests.in_process import REPORTS, answer
from tests.test_cases import CASES, REFUSED, SHOPS

TODAY = "2026-12-01"
ANSWERS = {"published", "warnings", "too_few", "not_available"}
Pages = Mapping[str, Findings]


def _people(pages: Pages) -> pd.DataFrame:
    """The list of customers by their forecasts, held to what is true of each such list."""
    people = pages["lifetime_value"].lists["customers"].set_index("customer_id")
    numbers = people[["expected_orders", "low_orders", "high_orders", "expected_value", "low_value", "high_value"]]
    assert np.isfinite(numbers.to_numpy(float)).all() and (numbers >= 0).all().all()
    assert (people["low_value"] <= people["expected_value"]).all()
    # A value above the upper end happens where next to nobody orders.
    assert (people["high_value"] >= people["expected_value"])[people["p_no_order"] < 0.9].all()
    assert people["p_no_order"].between(0, 1).all()
    return people


def _sound(pages: Pages) -> None:
    assert len(_people(pages))


def _too_few(pages: Pages) -> None:
    assert "lifetime_value" not in pages


def _says_something(pages: Pages) -> None:
    assert pages["data_health"].headline


def _price(price: float) -> Callable[[Pages], None]:
    def holds(pages: Pages) -> None:
        people = _people(pages)
        assert abs(people["expected_value"].sum() / (people["expected_orders"].sum() * price) - 1) < 0.02

    return holds


def _one_time_buyers(pages: Pages) -> None:
    people = _people(pages)
    once, more = people[people["past_orders"] == 1], people[people["past_orders"] > 1]
    # His one order says little of the next: he stands where others do who bought once, as long ago.
    alike = once[(once["days_since_last_order"] - once.loc["huge", "days_since_last_order"]).abs() <= 30]
    assert once.loc["huge", "expected_orders"] <= alike["expected_orders"].max()
    assert once.loc["huge", "rank"] > more["rank"].quantile(0.1)
    assert once["expected_value"].nunique() < len(once) and (once["high_value"] > once["low_value"]).any()


def _given_back(pages: Pages) -> None:
    people = _people(pages)
    assert people.loc[["netneg", "free"], "past_revenue"].tolist() == [-20, 0]


def _newcomer(pages: Pages) -> None:
    assert _people(pages).loc["brandnew", "past_orders"] == 1


def _beside_naive(pages: Pages) -> None:
    _people(pages)
    assert {"nobody buys", "same rate as before"} <= set(pages["lifetime_value"].tables["validation"]["method"])


def _once_and_long_ago(pages: Pages) -> None:
    people = _people(pages)
    once = people[people["past_orders"] == 1]
    assert once.loc["old_once", "p_no_order"] > 0.9 > once.loc["new_once", "p_no_order"]
    assert once["p_no_order"].corr(once["days_since_last_order"], method="spearman") > 0.99


def _own_totals(pages: Pages) -> None:
    (part,) = [part for part in pages["data_health"].parts if "total_spent" in part.title]
    assert part.title == "‘total_spent’ differs from the orders of 2 of 2 customers"
    assert "comes to €145, their orders to €119 after refunds" in part.sentence


# What EXPECT.md says of pages, where more is said than that there is one. `clumsy` holds every page to case 29.
EXPECTED: dict[str, Callable[[Pages], None]] = {
    "24_months": _sound,
    "25_new_since_cut": _newcomer,
    "25_new_since_cut/sib_three": _too_few,
    "26_returns_and_free/sib_all_free": _says_something,
    "26_returns_and_free/sib_one_amount": _sound,
    "26_returns_and_free": _given_back,
    "26_returns_and_free/sib_refunded": _given_back,
    "27_one_time_buyers": _one_time_buyers,
    "27_one_time_buyers/sib_all_one_time": _too_few,
    "28_zero_spenders": _beside_naive,
    "29_recency_word": _sound,
    "30_refund_definitions": _own_totals,
    "67_spend_convergence": _price(20),
    "67_spend_convergence/sib_two_prices": _sound,
    "67_spend_convergence/sib_seed21": _sound,
    "67_spend_convergence/sib_seed23": _sound,
    "67_spend_convergence/sib_inf_seed113": _sound,
    "68_heavy_millions": _sound,
    "70_one_time_alive": _once_and_long_ago,
}


def judge(name: str, as_of: str = "", *, only: tuple[str, ...] = ()) -> tuple[list[tuple[str, str, str]], list[str]]:
    """(report, status, words) of each report on one shop, and what is wrong with any of them."""
    try:
        shop = crm.connect(CASES / name, as_of=as_of or None)
    except CrmError as error:
        refused = [("all", error.status, str(error))]
        return refused, [] if name in REFUSED else [f"refused: {error}"]
    said: list[tuple[str, str, str]] = []
    wrong: list[str] = []
    pages: dict[str, Findings] = {}
    publish = crm.publish

    def kept(page: Findings, **more: Any) -> Any:
        pages[page.report] = page
        return publish(page, **more)

    with (
        tempfile.TemporaryDirectory(prefix="cases-") as out,
        mock.patch.object(crm, "connect", lambda *_, **__: shop),
        mock.patch.object(crm, "publish", kept),
    ):
        for report in (report for report in REPORTS if not only or report.name in only):
            began = time.process_time()
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    status, words = answer(report, CASES / name, Path(out) / report.name, as_of)
            except Exception as error:
                wrong.append(f"{report.name}: {_told(error)}")
                continue
            said.append((report.name, status, words))
            if status not in ANSWERS:
                wrong.append(f"{report.name}: {status}: {words}")
            if (seconds := time.process_time() - began) > 60:
                wrong.append(f"{report.name}: took {seconds:.0f} s of CPU")
    if name in EXPECTED and not as_of:
        try:
            EXPECTED[name](pages)
        except Exception as error:
            wrong.append(f"not as EXPECT.md says: {_told(error)}")
    return said, wrong


def _told(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {str(error)[:300]} ({Path(last.filename).name}:{last.lineno})"


def main(words: list[str]) -> int:
    warnings.simplefilter("error")
    for quiet in (DeprecationWarning, ResourceWarning):
        warnings.filterwarnings("ignore", category=quiet)
    as_of = TODAY if "--today" in words else ""
    names = tuple(word for word in words if not word.startswith("--"))
    begun, statuses, failed = time.perf_counter(), Counter[str](), 0
    shops = [name for name in SHOPS if not names or name.startswith(names)]
    for name in shops:
        said, wrong = judge(name, as_of)
        statuses.update(status for _, status, _ in said)
        failed += bool(wrong)
        print(name, *(f"    {report} {status}: {text}" for report, status, text in said), sep="\n")
        print(*(f"WRONG {name}: {text}\n" for text in wrong), sep="", end="", flush=True)
    print(f"{len(shops)} shops, {failed} failed, {dict(statuses)}, {time.perf_counter() - begun:.0f} s", flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
