"""Every report on every shop of ../shared/cases: each is published or says what is missing.

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
from pathlib import Path
from unittest import mock

import crmlib as crm
from crmlib.errors import CrmError
from tests.in_process import REPORTS, answer
from tests.test_cases import CASES, REFUSED, SHOPS

TODAY = "2026-12-01"
ANSWERS = {"published", "warnings", "too_few", "not_available"}


def judge(name: str, as_of: str = "", *, only: tuple[str, ...] = ()) -> tuple[list[tuple[str, str, str]], list[str]]:
    """(report, status, words) of each report on one shop, and what is wrong with any of them."""
    try:
        shop = crm.connect(CASES / name, as_of=as_of or None)
    except CrmError as error:
        refused = [("all", error.status, str(error))]
        return refused, [] if name in REFUSED else [f"refused: {error}"]
    said, wrong = [], []
    reports = [report for report in REPORTS if not only or report.name in only]
    with tempfile.TemporaryDirectory(prefix="cases-") as out, mock.patch.object(crm, "connect", lambda *_, **__: shop):
        for report in reports:
            began = time.perf_counter()
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    status, words = answer(report, CASES / name, Path(out) / report.name, as_of)
            except Exception as error:
                last = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{Path(last.filename).name}:{last.lineno}"
                wrong.append(f"{report.name}: {type(error).__name__}: {str(error)[:300]} ({where})")
                continue
            said.append((report.name, status, words))
            if status not in ANSWERS:
                wrong.append(f"{report.name}: {status}: {words}")
            if (seconds := time.perf_counter() - began) > 60:
                wrong.append(f"{report.name}: took {seconds:.0f} s")
    return said, wrong


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
