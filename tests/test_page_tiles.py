"""A line in a tile, and five lines for a phone."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from crmlib.findings import Change, Metric
from crmlib.report.page import sparkline as spark
from crmlib.report.page import summary
from crmlib.report.page.page import Facts
from crmlib.report.page.tiles import ranked, tile, trends
from tests.pages_helpers import action, metric, page_of, part, payload
from tests.test_pages import memory, run_of, tile_of


def facts(**changes: Any) -> Facts:
    known: dict[str, Any] = {"run_id": "r", "report": "small", "title": "Small", "as_of": date(2026, 11, 22),
                             "status": "published", "shop_name": "Tea", "command": "crm run small"}  # fmt: skip
    return Facts(**known | changes)


def test_the_summary_says_headline_change_reason_action_and_page_in_five_lines() -> None:
    since = replace(
        memory("baskets")["changes"], came=("Late parcels are new.",), went=(), missed=(), why="Newer data."
    )
    said = payload(actions=[action(owner="Service"), action()], metrics=[metric(before=8.0, against="last week")])
    lines = summary.of_report(facts(changes=since), said).replace("\N{NO-BREAK SPACE}", " ").splitlines()
    assert lines == [
        "Small, Tea, 22 November 2026, published: Ten baskets were sold.",
        "Changed: Late parcels are new. Baskets: up 25% on last week.",
        "Why: Newer data.",
        "First: Call 3 customers; €30; by 27 November; Service.",
        "How certain: Counted, not estimated. Page: report.html",
    ]


def test_the_summary_of_a_first_run_with_nothing_to_do() -> None:
    lines = summary.of_report(facts(), payload(certain=[])).splitlines()
    assert lines[1:] == [
        "Changed: first report.",
        "Why: There is no earlier run to compare with.",
        "First: nothing today.",
        "Page: report.html",
    ]


@pytest.mark.parametrize("text", ["a\nb\r\nc\u2028d\x1b[31m", "x" * 5000, "\ud800"])
def test_the_summary_has_five_lines_whatever_the_data_hold(text: str) -> None:
    said = payload(headline=text, certain=[text], actions=[action(what=text, worth=text, owner=text)])
    for made in (summary.of_report(facts(title=text), said), summary.of_failure(facts(status="failed", reason=text))):
        assert len(made.splitlines()) == 5 and len(made) < 2000 and "\x1b" not in made


def test_changes_are_ranked_by_size_and_periods_are_at_most_four() -> None:
    since = memory("m")["changes"]
    periods = [Change(text=f"{i}", size=i / 10) for i in range(10)]
    assert [line.text for line in ranked(periods, None)] == ["9", "8", "7", "6"]
    assert len(ranked(periods, since)) == 4 + 3 and ranked([], None) == []


def test_a_trend_follows_the_good_runs_and_no_running_total() -> None:
    def run(day: int, **changes: Any) -> Any:
        tile = tile_of("m") | {"number": float(day)} | changes
        return run_of("small", as_of=date(2026, 11, day), tiles=(tile,))

    runs = [run(3), run(1), run(2)]
    assert "over 3 runs" in trends(runs)["m"]["alt"]
    assert trends([*runs[:2], replace(runs[2], status="too_few")])["m"] == {}
    assert trends([run(day, running=True) for day in (1, 2, 3)]) == {}


def test_a_trend_needs_three_runs_and_says_its_numbers_in_words() -> None:
    days = [date(2026, 9, 1), date(2026, 10, 1), date(2026, 11, 1)]
    assert spark.line(list(zip(days[:2], (1.0, 2.0), strict=True)), label="Margin", unit="EUR") == {}
    drawn = spark.line(list(zip(days, (540000.0, 520000.0, 560000.0), strict=True)), label="Margin", unit="EUR")
    assert drawn["alt"].replace("\N{NO-BREAK SPACE}", " ") == (
        "Margin over 3 runs, 1 September 2026 to 1 November 2026: from €540,000 to €560,000, "
        "between €520,000 and €560,000"
    )


def test_noise_within_the_interval_looks_flat() -> None:
    days = [date(2026, month, 1) for month in range(1, 6)]
    points = list(zip(days, (100.0, 103.0, 98.0, 101.0, 99.0), strict=True))

    def heights(**given: float) -> list[float]:
        svg = base64.b64decode(spark.line(points, label="x", unit="", **given)["src"].partition(",")[2]).decode()
        return [float(pair.split()[1]) for pair in svg.split('d="M')[1].split('"')[0].split("L")]

    assert max(heights()) - min(heights()) == pytest.approx(20)
    assert max(heights(spread=50.0)) - min(heights(spread=50.0)) == pytest.approx(20 * 5 / 50, abs=0.11)


def test_what_the_first_finding_means_stands_below_its_picture_and_not_among_folded_numbers() -> None:
    html = page_of(payload(parts=[part()]))
    meaning = '<span class="meaning">Three in ten baskets fall on a Monday.</span> Baskets by weekday.</figcaption>'
    assert meaning in html and html.count("Three in ten baskets") == 1
    bare = page_of(payload(parts=[part(sentence="", chart={"caption": ""})]))
    assert "<figcaption>" not in bare


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [(1.0, "customers", "customer"), (2.0, "customers", "customers"), (0.0, "customers", "customers"), (1.0, "people", "person")],
)  # fmt: skip
def test_one_is_counted_in_the_singular(value: float, unit: str, said: str) -> None:
    held = Metric(id="held_out", label="Held back at random", value=value, unit=unit, definition="who is left alone")
    assert tile(held)["unit"] == said
