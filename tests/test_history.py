"""What a run remembers of earlier ones: changes beyond their uncertainty, their causes, tables, the track record."""

from __future__ import annotations

import itertools
import json
import re
import stat
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from crmlib import stats
from crmlib.findings import Prediction, Watch
from crmlib.publishing import DUE_FILE, csv_text
from crmlib.report.folder import store as publish
from crmlib.report.folder.manifest import Manifest, read_manifest, write_json, write_text
from crmlib.report.memory import changes as history
from crmlib.report.memory import record as track
from crmlib.report.memory import tables
from crmlib.report.page.page import FINDINGS_MIME
from crmlib.report.parameters import resolve, select
from crmlib.report.runner.supervisor import run
from tests.pages_helpers import code, make_plan, make_project, payload, write_notebook

NOW, BEFORE = "2026-11-22", "2026-11-15"


def number(**changes: Any) -> dict[str, Any]:
    known = {"id": "orders", "label": "Orders", "value": 100.0, "unit": "orders", "n": None, "low": None, "high": None,
             "definition": "Kept orders."}  # fmt: skip
    return known | changes


def manifest(as_of: str = NOW, **changes: Any) -> dict[str, Any]:
    known = {
        "run_id": f"{as_of.replace('-', '')}-060000-small-00a1", "report": "small", "variant": "", "title": "Small",
        "order": "01", "as_of": as_of, "status": "published", "reason": "", "headline": "Said.",
        "started_at": f"{as_of}T06:00:00.000+00:00",
        "parameters": {"days": 7}, "packages": {"pandas": "3.1.1"},
        "code": {"version": "0.1.0", "commit": "abc", "changed": False, "notebook": "n1"},
        "inputs": [{"table": "orders", "file": "orders.csv", "sha256": "aa", "read": 100, "kept": 100, "set_aside": 0,
                    "after_as_of": 0}],
    }  # fmt: skip
    return known | changes


def put(
    reports: Path,
    said: dict[str, Any],
    *,
    metrics: list[dict[str, Any]] | None = None,
    files: dict[str, str] | None = None,
) -> history.Run:
    """A run that stands in its day."""
    staging = publish.stage(reports, said["run_id"])
    write_json(staging / "metrics.json", {"metrics": metrics or [number()]})
    for path, text in (files or {}).items():
        write_text(staging / path, text)
    made = history.read(publish.publish(reports, staging, Manifest.from_json(said)))
    assert made
    return made


def change(before: dict[str, Any], now: dict[str, Any], tmp_path: Path) -> history.Change:
    old = put(tmp_path, manifest(BEFORE), metrics=[number(**before)])
    return history.compare(old, put(tmp_path, manifest(), metrics=[number(**now)])).metrics["orders"]


# A number is called changed only where it is


@pytest.mark.parametrize(("k1", "n1", "k2", "n2"), [(30, 100, 45, 110), (3, 40, 9, 37), (500, 1000, 505, 1000)])
def test_the_interval_of_a_movement_is_newcombes_for_two_shares(k1: int, n1: int, k2: int, n2: int) -> None:
    ends = [proportion_confint(k, n, method="wilson") for k, n in ((k1, n1), (k2, n2))]
    before, now = ((k / n, low, high) for (k, n), (low, high) in zip(((k1, n1), (k2, n2)), ends, strict=True))
    theirs = confint_proportions_2indep(k2, n2, k1, n1, method="newcomb", compare="diff")
    assert tables.between(before, now) == pytest.approx(theirs, abs=1e-6)


def test_quiet_numbers_are_called_changed_at_most_one_time_in_twenty(rng: np.random.Generator) -> None:
    """2,000 pairs of weeks of 400 customers with the same true share; then pairs that share four fifths of them."""
    called = {"apart": 0, "shared": 0}
    for _ in range(2000):
        for name, common in (("apart", 0), ("shared", 320)):
            core = rng.binomial(common, 0.3)
            sides = []
            for k in core + rng.binomial(400 - common, 0.3, size=2):
                low, high = stats.share_interval(k, 400)
                sides.append((k / 400, float(low), float(high)))
            low, high = tables.between(*sides)
            called[name] += not low <= 0 <= high
    assert 0.035 <= called["apart"] / 2000 <= 0.065
    assert called["shared"] / 2000 < 0.005


@pytest.mark.parametrize(
    ("before", "now", "arrow", "words"),
    [
        ({"value": 1000}, {"value": 1030}, "▲", "up 30 (3%)"),
        ({"value": 1000}, {"value": 1000}, "", "unchanged"),
        ({"value": 1000}, {"value": 999}, "▼", "down 1 (0.1%)"),
        ({"value": 0.1, "unit": "share"}, {"value": 0.0999, "unit": "share"}, "▼", "down less than 0.1 points"),
        ({"value": 100, "low": 90, "high": 110}, {"value": 112, "low": 100, "high": 124}, "", "no clear change"),
        ({"value": 100, "low": 90, "high": 110}, {"value": 150, "low": 140, "high": 160}, "▲", "up 50 (50%)"),
        ({"value": 0.20, "low": 0.19, "high": 0.21, "unit": "share"},
         {"value": 0.17, "low": 0.16, "high": 0.18, "unit": "share"},
         "▼", "down 3.0 points"),
        ({"value": 5000, "unit": "EUR"}, {"value": 6000, "unit": "EUR"}, "▲", "up €1,000 (20%)"),
        ({"value": 5000, "unit": "EUR"}, {"value": 6000, "unit": "USD"}, "", "defined anew, not compared"),
        ({"definition": "Orders of 90 days."}, {"definition": "Paid orders of 90 days."}, "",
         "defined anew, not compared"),
        ({"definition": "Orders of 90 days."}, {"definition": "Orders of 60 days."}, "", "unchanged"),
        ({"value": None}, {"value": 3}, "", "not available before"),
        ({"value": 3}, {"value": None}, "", "was 3"),
        ({"value": 100}, {"value": 150, "low": 140, "high": 160}, "", "was 100; too little is known to compare"),
    ],
)  # fmt: skip
def test_what_a_number_did_is_said_in_words(
    before: dict[str, Any], now: dict[str, Any], arrow: str, words: str, tmp_path: Path
) -> None:
    got = change(before, now, tmp_path)
    assert (got.arrow, got.words) == (arrow, words)


def test_a_number_that_was_not_there_is_new(tmp_path: Path) -> None:
    old = put(tmp_path, manifest(BEFORE), metrics=[number(id="other")])
    assert history.compare(old, put(tmp_path, manifest())).metrics["orders"].words == "new on this page"


def test_a_running_total_is_never_called_a_change(tmp_path: Path) -> None:
    old = put(tmp_path, manifest(BEFORE), metrics=[number(), number(id="all", label="All")])
    now = put(tmp_path, manifest(running=["orders"]), metrics=[number(value=130.0), number(id="all", value=130.0)])
    found = history.compare(old, now)
    total = found.metrics["orders"]
    assert (total.arrow, total.words, total.before, total.now) == ("", "", "100", "130")
    assert found.metrics["all"].moved and found.metrics["all"].words == "up 30 (30%)"


def test_a_number_of_another_month_is_named_after_both(tmp_path: Path) -> None:
    old = put(tmp_path, manifest(BEFORE), metrics=[number(label="August orders")])
    found = history.compare(old, put(tmp_path, manifest(), metrics=[number(label="September orders", value=130.0)]))
    assert found.metrics["orders"].label == "August orders → September orders"


# Findings that come and go, and forecasts that missed


def signal(name: str) -> dict[str, str]:
    return {"id": name, "text": f"{name} are late.", "gone": f"{name} are on time again."}


@pytest.mark.parametrize(
    ("before", "now", "came", "went"),
    [
        ([], [], (), ()),
        ([], ["Hats"], ("Hats are late.",), ()),
        (["Hats"], ["Hats"], (), ()),
        (["Hats"], [], (), ("Hats are on time again.",)),
        (["Hats", "Mugs"], ["Mugs", "Teas", "Pans"], ("Teas are late.", "Pans are late."),
         ("Hats are on time again.",)),
        (None, ["Hats"], (), ()),
    ],
)  # fmt: skip
def test_findings_that_came_or_went_are_told_from_run_to_run(
    before: list[str] | None, now: list[str], came: tuple[str, ...], went: tuple[str, ...], tmp_path: Path
) -> None:
    """A run of an earlier version told no signals: nothing is then said to be new."""
    told = {} if before is None else {"signals": [signal(name) for name in before]}
    old = put(tmp_path, manifest(BEFORE, **told))
    found = history.compare(old, put(tmp_path, manifest(signals=[signal(name) for name in now])))
    assert (found.came, found.went) == (came, went)


def grade(actual: float | None, **changes: Any) -> dict[str, Any]:
    told = {"start": "2026-07-03", "end": "2026-10-01", "low": 1402.3, "high": 1698.2, "value": 1550.0}
    return {"due": {"prediction": prediction(**told | changes), "as_of": "2026-07-03", "run_id": "r", "lists": None},
            "actual": actual}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "actual", "said"),
    [
        ({}, 1210,
         "We expected 1,400 to 1,700 orders in the 90 days to 30\N{NO-BREAK SPACE}September; there were 1,210."),
        ({}, 1402,
         "We expected 1,403 to 1,698 orders in the 90 days to 30\N{NO-BREAK SPACE}September; there were 1,402."),
        ({"low": 3.0, "high": 9.0}, 0,
         "We expected 3 to 9 orders in the 90 days to 30\N{NO-BREAK SPACE}September; there were none."),
        ({"start": "2026-09-30", "low": 30.0, "high": 50.0}, 1,
         "We expected 30 to 50 orders on 30\N{NO-BREAK SPACE}September; there was 1."),
        ({"label": "Delivery complaints in the next 90 days", "unit": "complaints", "low": 20.0, "high": 60.0}, 131,
         "Delivery complaints in the next 90 days (to 30\N{NO-BREAK SPACE}September): we expected 20 to 60; "
         "there were 131."),
        ({"label": "Net sales", "unit": "EUR", "low": 5000.0, "high": 6000.0}, 7100,
         "Net sales (to 30\N{NO-BREAK SPACE}September): we expected €5,000 to €6,000; it was €7,100."),
        ({"label": "Hit rate", "unit": "share", "low": 0.2, "high": 0.3}, 0.1,
         "Hit rate (to 30\N{NO-BREAK SPACE}September): we expected 20% to 30%; it was 10%."),
        ({}, 1500, None),
        ({}, None, None),
        ({"low": None, "high": None}, 1210, None),
        ({"band": "20–40%"}, 1210, None),
    ],
)  # fmt: skip
def test_a_forecast_that_missed_its_range_is_said(
    changes: dict[str, Any], actual: float | None, said: str | None, tmp_path: Path
) -> None:
    found = history.compare(put(tmp_path, manifest(BEFORE)), put(tmp_path, manifest(grades=[grade(actual, **changes)])))
    assert found.missed == (() if said is None else (said,))


def test_of_several_misses_the_largest_comes_first() -> None:
    grades = Manifest.from_json(manifest(grades=[grade(1390), grade(3000, id="b"), grade(1000, id="c")])).grades
    assert [text[-6:-1] for text in history.missed(grades, as_of=date(2027, 1, 1))] == ["3,000", "1,000", "1,390"]
    assert "30\N{NO-BREAK SPACE}September 2026" in history.missed(grades, as_of=date(2027, 1, 1))[0]


def test_an_id_that_begins_like_a_formula_comes_back_as_it_was(tmp_path: Path) -> None:
    """Spreadsheets are kept from running '-123' by a quote before it, which is no part of the id."""
    text = csv_text(pd.DataFrame({"product_id": ["-123", "=4"], "texts": [1, 2]}))
    assert text == "product_id,texts\n'-123,1\n'=4,2\n"
    old = put(tmp_path, manifest(BEFORE), files={"tables/products.csv": "product_id,texts\n'=4,2\n"})
    (products,) = history.compare(old, put(tmp_path, manifest(), files={"tables/products.csv": text})).tables
    assert products.names == ("-123",)


def test_a_manifest_comes_back_as_it_was_and_older_ones_are_read() -> None:
    said = manifest(
        signals=[signal("Hats")], running=["orders"], grades=[grade(1210)], predicts=["2026-12-31"],
        actions=[{"what": "Call", "worth": "", "by": "2026-12-01", "owner": "", "file": "", "count": None, "why": "",
                  "weight": 2.0, "touched": 3.0}],
        changes=[{"text": "Sales rose.", "size": 0.5, "better": True}],
        watches=[{"table": "t", "key": ["a"], "label": "rows", "by": "", "top": 1.0}],
    )  # fmt: skip
    made = Manifest.from_json(said)
    assert made.actions[0].by == date(2026, 12, 1) and made.grades[0].due.prediction.end == date(2026, 10, 1)
    assert {key: made.to_json()[key] for key in said} == said and Manifest.from_json(made.to_json()) == made
    before = said | {
        "changes": [{"text": "Sales rose.", "size": 0.5}],
        "actions": [{"what": "Call", "by": "2026-12-01"}],
    }
    assert Manifest.from_json(before).changes[0].better is None and not Manifest.from_json(before).actions[0].touched
    early = {key: said[key] for key in ("run_id", "report", "variant", "as_of", "status")}
    flat = {"prediction": prediction(), "as_of": BEFORE, "run_id": "r", "actual": None}
    old = Manifest.from_json(
        early | {"lead": "So.", "headlines": [{"id": "m"}], "changes": {"why": "x"}, "grades": [flat]}
    )
    assert (old.headline, old.tiles, old.changes, old.compared) == ("So.", ({"id": "m"},), (), {"why": "x"})
    assert old.signals is None and old.to_json()["grades"][0]["actual"] is None and old.slug == "small"
    assert Manifest.from_json(early | {"changes": None}).changes == ()


# The last comparable run, and why it differs


def test_the_last_comparable_run_is_the_newest_good_one_of_an_earlier_day(tmp_path: Path) -> None:
    for as_of, changes in [
        ("2026-10-01", {}),
        ("2026-11-15", {}),
        ("2026-11-18", {"status": "too_few"}),
        ("2026-11-19", {"variant": "low"}),
        (NOW, {}),
        ("2026-11-29", {}),
    ]:
        put(tmp_path, manifest(as_of, run_id=f"20261129-060000-small-{as_of[5:7]}{as_of[8:]}", **changes))
    found = history.last_comparable(tmp_path, "small", as_of=date(2026, 11, 22))
    assert found and found.manifest.as_of == date(2026, 11, 15)
    assert history.last_comparable(tmp_path, "small", as_of=date(2026, 10, 1)) is None


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"parameters": {"days": 14}}, "parameters", "days was 7, is 14"),
        ({"parameters": {}}, "parameters", "days is gone, was 7"),
        ({"packages": {"pandas": "3.2.0"}}, "environment", "pandas was 3.1.1, is 3.2.0"),
        ({"code": {"version": "0.2.0", "commit": "abc", "changed": False, "notebook": "n1"}}, "code",
         "crmlib 0.1.0 at abc → 0.2.0 at abc"),
        ({"code": {"version": "0.1.0", "commit": "abc", "changed": False, "notebook": "n2"}}, "code",
         "the notebook was edited"),
        ({"code": {"version": "0.1.0", "commit": "abc", "changed": True, "notebook": "n1"}}, "code",
         "this run had changes that were not committed"),
    ],
)  # fmt: skip
def test_each_difference_has_its_class(changes: dict[str, Any], kind: str, text: str, tmp_path: Path) -> None:
    old, now = put(tmp_path, manifest(BEFORE)), put(tmp_path, manifest(**changes))
    got = history.compare(old, now)
    assert [(d.kind, d.text) for d in got.differences] == [(kind, text)]
    assert got.alike is (kind == "environment")
    assert ("not compare like for like" in got.why) is (kind != "environment")


def test_new_data_alone_leaves_the_numbers_comparable(tmp_path: Path) -> None:
    table = manifest()["inputs"][0]
    more = [
        table | {"kept": 140, "read": 142, "set_aside": 2, "sha256": "bb"},
        table | {"table": "feedback", "kept": 7},
    ]
    got = history.compare(put(tmp_path, manifest(BEFORE)), put(tmp_path, manifest(inputs=more)))
    assert [d.text for d in got.differences] == [
        "orders: 40 more rows, now 140, 2 more that could not be used",
        "feedback: new (7 rows)",
    ]
    assert got.alike and got.why == "7 days of newer data, nothing else: the numbers compare like for like."


def test_a_commit_that_touched_no_file_of_the_library_is_no_difference(tmp_path: Path) -> None:
    other = {"version": "0.1.0", "commit": "def", "changed": True, "notebook": "n1"}
    old = put(tmp_path, manifest(BEFORE, made_from={"code": "h1"}))
    assert history.compare(old, put(tmp_path, manifest(code=other, made_from={"code": "h1"}))).alike
    edited = put(tmp_path, manifest(run_id="20261122-070000-small-00a2", made_from={"code": "h2"}))
    assert [d.text for d in history.compare(old, edited).differences] == [
        "crmlib 0.1.0 at abc was edited between the runs"
    ]


# Tables by key


def test_tables_are_compared_by_the_columns_that_name_a_row(tmp_path: Path) -> None:
    old = "theme,texts,per_1000,low,high\nprice,5,2.0,1.0,3.0\ndelivery,9,4.0,3.5,4.5\nfit,1,1.0,0.5,1.5\n"
    new = "theme,texts,per_1000,low,high\nprice,6,2.5,1.5,3.5\ndelivery,30,9.0,8.0,10.0\nservice,2,1.0,0.5,1.5\n"
    got = history.compare(
        put(tmp_path, manifest(BEFORE), files={"tables/themes.csv": old}),
        put(tmp_path, manifest(), files={"tables/themes.csv": new}),
    )
    (themes,) = got.tables
    assert (themes.before, themes.now, themes.entered, themes.left, themes.moved) == (3, 3, 1, 1, 1)
    assert themes.measure == "per_1000" and themes.names == ("service",)


def test_a_pair_names_a_row_and_a_table_without_intervals_is_compared_exactly(tmp_path: Path) -> None:
    old = "model,parameter,value\nbg,a,1\nbg,b,2\nmbg,a,3\n"
    files = ({"tables/model.csv": old}, {"tables/model.csv": old.replace("bg,b,2", "bg,b,5").replace("mbg,a,3\n", "")})
    before, now = put(tmp_path, manifest(BEFORE), files=files[0]), put(tmp_path, manifest(), files=files[1])
    (model,) = history.compare(before, now).tables
    assert (model.entered, model.left, model.moved, model.measure) == (0, 1, 1, "")


def test_a_watched_list_tells_who_came_and_went_and_names_nobody(tmp_path: Path) -> None:
    def customers(best: range) -> str:
        rows = [f"c{i:03},{1000 - i if i in best else i}" for i in range(100)]
        return "\n".join(["customer_id,expected_value", *rows]) + "\n"

    watch = {
        "table": "customers",
        "key": ["customer_id"],
        "label": "customers in the top tenth",
        "by": "expected_value",
        "top": 0.1,
    }
    old = put(tmp_path, manifest(BEFORE), files={"lists/customers.csv": customers(range(10))})
    files = {"lists/customers.csv": customers(range(3, 13))}
    got = history.compare(old, put(tmp_path, manifest(watches=[watch]), files=files))
    assert [d.text for d in got.differences] == ["customers in the top tenth: 3 entered, 3 left"]
    assert got.tables[0].now == 10 and got.tables[0].names == ()
    assert "c0" not in json.dumps(got.to_json())
    (unasked,) = history.compare(old, put(tmp_path, manifest(run_id="20261122-070000-small-00a2"), files=files)).tables
    assert (unasked.now, unasked.label, unasked.names) == (100, "", ())


def test_of_a_list_with_a_value_for_each_row_the_top_tenth_is_followed_unasked(tmp_path: Path) -> None:
    def customers(best: range) -> str:
        rows = [f"c{i:03},{50 + i if i in best else 1},{40 + i if i in best else 0},99" for i in range(50)]
        return "\n".join(["customer_id,expected_orders,low_orders,high_orders", *rows]) + "\n"

    old = put(tmp_path, manifest(BEFORE), files={"lists/customers.csv": customers(range(5))})
    now = put(tmp_path, manifest(), files={"lists/customers.csv": customers(range(4, 9))})
    got = history.compare(old, now)
    assert [d.text for d in got.differences] == ["customers, top tenth by expected orders: 4 entered, 4 left"]
    assert got.tables[0].names == () and "c0" not in json.dumps(got.to_json())


# Track record


def prediction(**changes: Any) -> dict[str, Any]:
    known = {"id": "orders_30d", "label": "Orders in 30 days", "unit": "orders", "value": 100.0, "start": "2026-01-01",
             "end": "2026-01-31", "low": 90.0, "high": 110.0, "n": None, "band": ""}  # fmt: skip
    return known | changes


def test_the_share_inside_has_wilsons_interval() -> None:
    for k, n in ((8, 9), (0, 4), (95, 100)):
        assert track._interval(k / n, n) == pytest.approx(proportion_confint(k, n, method="wilson"), abs=1e-6)


def test_separate_stretches_are_the_most_windows_that_do_not_overlap(rng: np.random.Generator) -> None:
    for _ in range(40):
        starts, lengths = rng.integers(0, 30, size=7), rng.integers(1, 12, size=7)
        windows = [(date(2026, 1, 1) + timedelta(int(s)), date(2026, 1, 1) + timedelta(int(s + d))) for s,
                   d in zip(starts, lengths, strict=True)]  # fmt: skip
        best = max(
            size
            for size in range(1, 8)
            for some in itertools.combinations(windows, size)
            if all(a[1] <= b[0] for a, b in itertools.pairwise(sorted(some)))
        )
        grades = [graded(start=start, end=end) for start, end in windows]
        assert track.separate(grades) == best


def graded(**changes: Any) -> track.Graded:
    known: dict[str, Any] = {"id": "orders_30d", "label": "Orders", "unit": "orders", "value": 100.0, "low": 90.0,
                             "high": 110.0, "start": date(2026, 1, 1), "end": date(2026, 1, 31)}  # fmt: skip
    told = Prediction(**known | changes)
    return track.Graded(told=told, actual=100.0, made=date(2026, 1, 1), hindsight=False)


def record(runs: list[dict[str, Any]]) -> track.Record | None:
    return track.record([Manifest.from_json(said) for said in runs])


def months(*actuals: float) -> list[dict[str, Any]]:
    """A run at each month's start that predicts 100 (90-110) orders for the month and grades the month before."""
    days = [date(2026, month, 1) for month in range(1, len(actuals) + 2)]
    runs: list[dict[str, Any]] = []
    for place, day in enumerate(days):
        end = days[place + 1] if place + 1 < len(days) else date(2026, 12, 31)
        told = prediction(start=day.isoformat(), end=end.isoformat())
        made = manifest(day.isoformat(), predicts=[end.isoformat()], grades=[])
        if place:
            earlier = runs[-1]
            made["grades"] = [{"prediction": earlier["told"], "as_of": earlier["as_of"], "run_id": earlier["run_id"],
                               "actual": actuals[place - 1]}]  # fmt: skip
        runs.append(made | {"told": told})
    return runs


def test_a_record_counts_what_lay_inside_and_how_far_off_the_rest_was() -> None:
    found = record(months(95, 105, 132, 100))
    assert found and (found.due, found.inside, found.banded, found.windows) == (4, 3, 4, 4)
    assert (found.low, found.high) == pytest.approx(proportion_confint(3, 4, method="wilson"), abs=1e-6)
    (line,) = found.lines
    assert line.bias == "8% above forecast" and (line.said, line.came) == ("100 (90–110)", "100")
    assert found.next_due == date(2026, 12, 31)
    assert found.sentence == (
        "3 of 4 forecasts that could be checked had the actual number in their range: 75% (30–95%). It should be 95%."
    )


def test_before_anything_is_due_one_line_says_when() -> None:
    found = record(months()[:1])
    assert (
        found
        and found.sentence == "No forecast can be checked yet; the first can be on 31\N{NO-BREAK SPACE}December 2026."
    )
    assert record([manifest()]) is None


def test_a_grade_counts_once_and_only_while_its_run_stands() -> None:
    runs = months(95, 105)
    again = runs[2] | {"run_id": "again", "as_of": "2026-03-05"}
    assert record([*runs, again]).due == 2  # type: ignore[union-attr]
    redone = [runs[0] | {"run_id": "redone"}, *runs[1:]]
    assert record(redone).due == 1  # type: ignore[union-attr]


def test_what_was_said_afterwards_is_called_so() -> None:
    runs = months(95, 105)
    assert record(runs).hindsight == 0  # type: ignore[union-attr]
    late = [said | {"started_at": "2026-11-22T06:00:00+00:00"} for said in runs]
    found = record(late)
    assert found and found.hindsight == 2 and "All were made afterwards" in found.caution


def test_overlapping_predictions_do_not_narrow_the_interval() -> None:
    start = date(2026, 1, 1)
    twelve = [graded(start=start, end=date(2026, 1, 31), id=f"p{i}") for i in range(12)]
    assert track.separate(twelve) == 1
    assert track._interval(1.0, 1)[0] == pytest.approx(0.2065, abs=1e-4)


def test_chances_are_pooled_by_band_and_weighted_by_people() -> None:
    told = [prediction(id="buys_90d", band="20–40 %", value=value, n=n, low=None, high=None, end=end, start=start)
            for value, n, start,
            end in ((0.30, 100, "2026-01-01", "2026-02-01"), (0.36, 300, "2026-02-01", "2026-03-01"))]  # fmt: skip
    maker = [manifest(said["start"], run_id=said["start"], predicts=[said["end"]]) for said in told]
    grades = [{"prediction": said, "as_of": said["start"], "run_id": said["start"], "actual": actual}
              for said, actual in zip(told, (0.20, 0.40), strict=True)]  # fmt: skip
    found = record([*maker, manifest("2026-04-01", grades=grades)])
    assert found and found.banded == 0
    (chance,) = found.chances
    assert chance.label == "Orders in 30 days, 20–40 %" and chance.verdict == "agrees"
    assert found.calibration == "Chances agreed with what happened in 1 of 1 band."
    assert (chance.n, chance.said, chance.came) == (400, pytest.approx(0.345), pytest.approx(0.35))
    assert (chance.low, chance.high) == pytest.approx(proportion_confint(140, 400, method="wilson"), abs=1e-6)


# The whole way, with kernels

FORECASTER = """
import json
from dataclasses import asdict
from datetime import date, timedelta
from crmlib.publishing import due
today = date.fromisoformat(as_of)
handed = due(out)
# What came is the day of the month on which the window ends, twice that on the 5th.
grades = [{"due": json.loads(json.dumps(asdict(d), default=str)),
           "actual": d.prediction.end.day * (2 if d.prediction.end.day == 5 else 1)} for d in handed]
end = today + timedelta(days=2)
told = {"id": "orders_2d", "label": "Orders in two days", "unit": "orders", "value": end.day, "start": str(today),
        "end": str(end), "low": end.day - 1, "high": end.day + 1, "n": None, "band": ""}
assert all((d.lists / "predictions.json").is_file() for d in handed)
"""


@pytest.fixture(scope="module")
def backfilled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of three days, each of which predicts two days ahead and grades what it is handed."""
    project = make_project(tmp_path_factory.mktemp("project"))
    said = payload(predictions=["told"], grades=["grades"])
    show = (
        f"from IPython.display import display\nsaid = json.loads({json.dumps(said)!r})\n"
        f"display({{{FINDINGS_MIME!r}: said | dict(predictions=[told], grades=grades)}}, raw=True)"
    )
    write_notebook(project, "01_small", [code(FORECASTER), code(show)])
    chosen = select(project / "notebooks", ())
    for day in (1, 3, 5):
        (outcome,) = run(chosen, plan=make_plan(project, as_of=date(2026, 11, day)), values=resolve(chosen, ()))
        assert outcome.status == "published", outcome.message
    return project / "reports"


def of_day(reports: Path, day: int) -> Manifest:
    made = read_manifest(reports / f"2026-11-0{day}" / "small")
    assert made
    return made


def test_each_run_grades_what_came_due_once_and_keeps_what_it_says(backfilled: Path) -> None:
    counts = [[str(grade.due.as_of) for grade in of_day(backfilled, day).grades] for day in (1, 3, 5)]
    assert counts == [[], ["2026-11-01"], ["2026-11-03"]]
    kept = backfilled / "2026-11-01" / "small" / track.PREDICTIONS
    assert json.loads(kept.read_text())[0]["end"] == "2026-11-03"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600 and stat.S_IMODE(kept.parent.stat().st_mode) == 0o700


def test_the_pages_and_the_index_show_the_record(backfilled: Path) -> None:
    pages = [(backfilled / f"2026-11-0{day}" / "small" / "report.html").read_text() for day in (1, 5)]
    assert 'id="record"' not in pages[0]
    pages[1] = re.sub("</?span[^>]*>", "", pages[1])
    assert "1 of 2 forecasts that could be checked had the actual number in their range: 50%" in pages[1]
    assert "We expected" in pages[1] and of_day(backfilled, 5).missed[0].endswith("; there were 10.")
    assert "All were made afterwards" in pages[1] and "Beside the run of 3" in pages[1]
    # Said 3 + 5, came 3 + 10.
    assert "62% above forecast" in pages[1]
    index = (backfilled / "index.html").read_text()
    assert "1 of 2" in index and 'href="2026-11-05/small/report.html#record"' in index


def test_what_was_handed_over_is_not_left_behind(backfilled: Path) -> None:
    assert not list(backfilled.rglob(DUE_FILE))
    assert str(backfilled) not in (backfilled / "2026-11-05" / "small" / "executed.ipynb").read_text()


def test_a_run_of_an_old_day_is_handed_nothing_of_later_ones(backfilled: Path) -> None:
    for day, handed in [(2, []), (3, ["2026-11-01"]), (4, []), (6, []), (9, ["2026-11-05"])]:
        as_of = date(2026, 11, day)
        found = track.due(backfilled, "small", as_of=as_of)
        assert [said["as_of"] for said in found] == handed, day


def test_each_run_leaves_its_summary_beside_its_page(backfilled: Path) -> None:
    folder = backfilled / "2026-11-05" / "small"
    assert len((folder / "summary.txt").read_text().splitlines()) == 5
    made = of_day(backfilled, 5)
    assert all((folder / name).is_file() for name in (made.page, made.summary))


def test_a_chance_said_too_high_is_called_so() -> None:
    low, high = track._interval(0.029, 700)
    said = {"label": "Order", "n": 1395, "came": 0.029, "low": low, "high": high}
    assert track.Chance(said=0.098, **said).verdict == "too high"
    assert track.Chance(said=0.001, **said).verdict == "too low"


# What is gone or damaged stops no run


def test_an_earlier_run_with_damaged_files_stops_no_later_one(tmp_path: Path) -> None:
    files = {
        "tables/themes.csv": "theme,texts\nprice,5\n",
        track.PREDICTIONS: json.dumps([prediction(end="2026-11-20")]),
    }
    old = put(tmp_path, manifest(BEFORE), files=files)
    now = put(tmp_path, manifest(), files={"tables/themes.csv": "theme,texts\nprice,6\n"})
    as_of = date(2026, 11, 22)
    assert len(history.compare(old, now).tables) == 1
    assert track.lay_due(tmp_path, "small", as_of=as_of, out=tmp_path) == 1
    (old.folder / "tables" / "themes.csv").write_bytes(b"theme\xff\x00,")
    (old.folder / track.PREDICTIONS).write_text("[{")
    assert history.compare(old, now).tables == ()
    assert track.lay_due(tmp_path, "small", as_of=as_of, out=tmp_path) == 0
    watch = Watch(table="themes", key=("gone",), label="themes")
    assert list(tables.compare(old.folder, now.folder, [watch])) == []
    (old.folder / "metrics.json").unlink()
    assert history.last_comparable(tmp_path, "small", as_of=as_of) is None


def test_groups_of_a_chance_do_not_drown_the_totals() -> None:
    runs = months(95, 130)
    bands = [{"prediction": prediction(id="buys", band=f"{i}", value=0.1, low=0.05, high=0.15, n=50),
              "as_of": "2026-01-01",
              "run_id": runs[0]["run_id"], "actual": 0.1 if i else 0.3} for i in range(6)]  # fmt: skip
    runs[1]["grades"] += bands
    found = record(runs)
    assert found and (found.inside, found.banded, found.groups_inside, found.groups, found.due) == (1, 2, 5, 6, 8)
    assert found.calibration.endswith("5 of 6 groups were inside the range given for them.")
