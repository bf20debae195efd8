"""The index as the owner meets it: what it takes from which run, and what stands there when something is missing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from crmlib.findings import AVERAGE, Action, Change
from crmlib.report.folder import store
from crmlib.report.folder.manifest import Manifest
from crmlib.report.page import index
from crmlib.report.page.rules import validate
from crmlib.report.page.templates import render_template
from tests.pages_helpers import AS_OF, part
from tests.test_pages import run_of, tile_of

SHOP = {"name": "Tea", "folder": "data/tea"}


def shown(*runs: Manifest, **more: Any) -> str:
    html = render_template("index.html.j2", **index.model(SHOP, runs, **more))
    assert validate(html) == []
    return html


def put(reports: Path, run: Manifest) -> Manifest:
    staging = store.stage(reports, run.run_id)
    (staging / "report.html").write_text("page", encoding="utf-8")
    store.publish(reports, staging, run)
    return run


def test_without_a_report_that_lends_sales_it_says_which_to_run_and_nothing_untrue() -> None:
    html = shown(run_of("small", title="Small"))
    assert "Run <code>data_health</code> to see sales here." in html
    assert "not enough history" not in html and "Net sales" not in html
    # It ran, and this shop has no sales to show.
    html = shown(run_of("small", title="Small"), run_of("data_health", title="Data health"))
    assert "to see sales here" not in html and "not enough history" not in html


def test_a_lent_number_that_is_missing_lacks_history() -> None:
    glance = {"title": "Sales", "sentence": "Up.", "chart": part()["chart"],
              "tiles": [tile_of("September"), tile_of("Twelve months") | {"value": "not available", "change": ""},
                        tile_of("Orders") | {"counted_in": "orders"}]}  # fmt: skip
    html = shown(run_of("small", title="Small"), glance=glance)
    assert html.count("not enough history") == 1 and "<dt>Orders" not in html and "<figure>" in html
    assert "Up." not in html  # what the picture means is said on its own page
    alone = shown(run_of("small", title="Small"), glance=glance | {"tiles": []})
    assert "<figure>" in alone and "not enough history" not in alone


def test_no_run_says_how_to_make_one() -> None:
    assert "No report has been published yet" in shown() and "not enough history" not in shown()


def test_what_matters_most_to_each_report_leads_then_money_and_at_most_five() -> None:
    def run(report: str, *weights: float) -> Manifest:
        actions = tuple(
            Action(what=f"{report} {i}", weight=weight, file="lists/a.csv") for i, weight in enumerate(weights)
        )
        return run_of(report, title=report, actions=actions, files={"lists/a.csv": {}} if report == "one" else {})

    html = shown(run("one", 0, 5, 0), run("two", 100, 0), run("three", 0))
    order = [html.index(f">{what}<") for what in ("two 0", "one 0", "three 0", "one 1", "two 1")]
    assert order == sorted(order) and "one 2" not in html
    assert 'href="2026-11-22/one/lists/a.csv"' in html and "two/lists" not in html


def test_a_large_and_sure_worsening_without_a_price_stands_above_a_small_gain_with_one() -> None:
    slow = Action(what="Ask the carrier", worth="600 parcels", touched=500.0)
    gain, great = (Action(what=what, weight=weight) for what, weight in (("Raise", 3_500.0), ("Close a gap", 90_000.0)))
    average = {"id": AVERAGE, "number": 50.0, "label": "Average order", "value": "€50"}
    runs = [run_of("prices", title="Prices", actions=(gain, great)),
            run_of("teams", title="Teams", actions=(Action(what="First"), slow)),
            run_of("data_health", title="Data health", tiles=(tile_of("m") | average,))]  # fmt: skip
    found = [action.what for action, _ in index.model(SHOP, runs)["actions"]]
    assert found == ["Close a gap", "Ask the carrier", "Raise", "First"]
    # Where nobody says what an order comes to, money cannot be told in orders and comes after.
    found = [action.what for action, _ in index.model(SHOP, runs[:2])["actions"]]
    assert found == ["Ask the carrier", "Raise", "First", "Close a gap"]


def test_the_briefings_first_lines_lead_the_index_whatever_else_is_worth() -> None:
    week = tuple(Action(what=what, file="lists/briefing.csv") for what in ("Answer 3 customers", "Contact 9 customers"))
    runs = [run_of("teams", title="Teams", actions=(Action(what="Ask the carrier", touched=900.0),)),
            run_of("prices", title="Prices", actions=(Action(what="Raise", weight=1e6), Action(what="Drop", weight=9e5))),
            run_of(index.WEEK, title="Briefing", actions=week, files={"lists/briefing.csv": {}}),
            run_of("baskets", title="Baskets", actions=(Action(what="Test 8 pairs", weight=5.0),))]  # fmt: skip
    found = [(action.what, file) for action, file in index.model(SHOP, runs)["actions"]]
    place = "2026-11-22/briefing/lists/briefing.csv"
    assert found[:2] == [("Answer 3 customers", place), ("Contact 9 customers", place)] and len(found) == 5
    # Without a briefing the gravest of the others leads.
    assert index.model(SHOP, [*runs[:2], runs[3]])["actions"][0][0].what != "Answer 3 customers"


def test_what_to_do_stands_by_the_day_it_is_due_and_what_has_none_last() -> None:
    asked = [Action(what="Heavy", touched=900.0, by=AS_OF + timedelta(days=9)), Action(what="Some day", touched=800.0),
             Action(what="Soon", touched=5.0, by=AS_OF + timedelta(days=2))]  # fmt: skip
    found = index.model(SHOP, [run_of("teams", title="Teams", actions=tuple(asked))])
    assert [action.what for action, _ in found["actions"]] == ["Soon", "Heavy", "Some day"]


def test_what_two_reports_ask_for_stands_once_with_the_first() -> None:
    ask = Action(what="Ask the carrier", touched=5.0, file="tables/teams.csv")
    files: dict[str, Any] = {"tables/teams.csv": {}}
    runs = [run_of("overview", title="Sales", actions=(replace(ask, touched=0.0),)),
            run_of("teams", title="Teams", actions=(ask,), files=files)]  # fmt: skip
    assert index.model(SHOP, runs)["actions"] == [(ask, "2026-11-22/teams/tables/teams.csv")]


def test_one_line_at_least_is_of_what_improved_and_none_of_what_chance_explains() -> None:
    worse = tuple(Change(text=f"Worse {n}.", size=0.9 - n / 10, better=False) for n in range(5))
    many = run_of("one", title="One", changes=worse[:3])
    other = run_of(
        "two", title="Two", changes=(*worse[3:], Change(text="Up.", size=0.1, better=True), Change(text="No."))
    )
    html = shown(many, other)
    assert (
        all(f"<strong>Worse:</strong> Worse {n}." in html for n in range(3)) and "<strong>Better:</strong> Up." in html
    )
    assert "Worse 3." not in html and "No." not in html
    assert "Better:" not in shown(many) and "Worse:" not in shown(run_of("three", title="Three", came=("New.",)))


def test_what_changed_is_ranked_over_all_reports() -> None:
    one = run_of("one", title="One", changes=(Change(text="Small.", size=0.1), Change(text="Middle.", size=0.45)))
    two = run_of("two", title="Two", changes=(Change(text="Surge.", size=0.9),), came=("New.",), missed=("Missed.",))
    html = shown(one, two)
    order = [html.index(text) for text in ("Surge.", "Missed.", "Middle.", "New.")]
    assert order == sorted(order) and "Small." not in html


def test_where_nothing_is_like_it_nothing_can_stand_out() -> None:
    """Quiet weeks and no history are not the same."""
    quiet, young = "Nothing stands out.", "Not enough history to compare."
    alone = run_of("one", title="One", tiles=(tile_of("m") | {"change": "", "arrow": ""},))
    before = run_of("one", run_id="q", title="One", as_of=AS_OF - timedelta(days=7))
    for runs, said, unsaid in (
        ((alone,), young, quiet),
        ((run_of("one", title="One"),), young, quiet),
        ((alone, run_of("two", title="Two", tiles=(tile_of("n"),))), quiet, young),
        ((alone, before), quiet, young),
        ((alone, replace(before, status="too_few")), young, quiet),
        ((replace(alone, changes=(Change(text="Up.", size=0.1),)),), "Up.", young),
    ):
        html = shown(*runs)
        assert said in html and unsaid not in html


def test_a_newer_run_without_an_answer_stands_beside_the_good_one() -> None:
    good = run_of("one", title="One", as_of=AS_OF - timedelta(days=1), headline="Good.")
    html = shown(run_of("one", title="One", status="too_few", reason="n = 5"), good)
    assert "Good." in html and "has no answer: n = 5" in html
    assert "has no answer" not in shown(good)


def test_the_day_of_the_data_is_said_only_where_it_differs() -> None:
    assert "data to" not in shown(run_of("one", title="One", data_through="2026-11-21"))
    assert "data to 18" in shown(run_of("one", title="One", data_through="2026-11-18"))


def test_siblings_are_the_reports_there_are_and_those_under_way(tmp_path: Path) -> None:
    put(tmp_path, run_of("baskets", run_id="1", title="Baskets"))
    put(tmp_path, run_of("feedback", run_id="2", title="Feedback", as_of=date(2026, 11, 15)))
    put(tmp_path, run_of("old", run_id="3", title="Old", as_of=date(2026, 11, 15), status="too_few"))
    planned = [("04", "small", "Small"), ("13", "next", "Next")]
    links = index.siblings(tmp_path, slug="small", as_of=AS_OF, planned=planned)
    assert links == [
        ("Overview", "../../index.html", False),
        ("Small", "report.html", True),
        ("Baskets", "../baskets/report.html", False),
        ("Feedback", "../../latest/feedback.html", False),
        ("Next", "../../index.html#next", False),
    ]


def test_the_picture_is_that_of_the_newest_run_that_lends_one(tmp_path: Path) -> None:
    for day, title in ((20, "Older"), (21, "Newer"), (22, "")):
        run = put(tmp_path, run_of("small", run_id=str(day), title="Small", as_of=date(2026, 11, day)))
        if title:
            glance = {"title": title, "sentence": "", "chart": part()["chart"], "tiles": []}
            (tmp_path / str(run.as_of) / "small" / index.GLANCE).write_text(json.dumps(glance))
    index.rebuild(tmp_path, shop=SHOP)
    assert "<h1>Newer</h1>" in (tmp_path / "index.html").read_text()


def test_the_overview_leads_where_there_is_one_and_its_headline_stands_once(tmp_path: Path) -> None:
    tiles = [tile_of("Sales"), tile_of("Orders") | {"counted_in": "orders"}]
    for report, title, leads in (("data_health", "Months", False), (index.LEADS, "Sales rose.", True)):
        run = put(tmp_path, run_of(report, run_id=report, title=report, order="00" if leads else "01", headline=title))
        glance = {"title": title, "chart": part()["chart"], "tiles": tiles, "leads": leads}
        (tmp_path / str(run.as_of) / report / index.GLANCE).write_text(json.dumps(glance))
    index.rebuild(tmp_path, shop=SHOP)
    html = (tmp_path / "index.html").read_text()
    # The other place is the folded list of all runs, where a run without tiles is told by its headline.
    assert "<h1>Sales rose.</h1>" in html and html.count("Sales rose.") == 2 and "<dt>Orders" in html


def test_the_index_of_hundreds_of_days_stays_light() -> None:
    tiles = tuple(tile_of("Expected margin in the next 12 months") for _ in range(4))
    runs = [
        run_of(report, title=report.title(), as_of=AS_OF - timedelta(days=day), tiles=tiles)
        for day in range(300)
        for report in ("one", "two", "three")
    ]
    html = shown(*runs)
    assert html.count("<tr data-run>") == 900 and html.count("<details data-group>") == 11
    assert len(html) < 600_000
    listed = index._listed(replace(runs[0], tiles=(tile_of("m") | {"spark": {"src": "data:"}},)), "x")
    assert "spark" not in listed["tiles"][0] and listed["as_of"] == "2026-11-22"
