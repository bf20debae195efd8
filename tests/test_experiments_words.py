"""Experiments: each sentence for none, one and many, and for where it would be false; no engine is asked."""

from __future__ import annotations

import importlib
import math
from dataclasses import asdict
from typing import Any

import pandas as pd
import pytest

from crmlib.analysis.experiments import checks, looks, planning, split
from crmlib.analysis.experiments.judging import Decision, Proviso, State, Verdict
from crmlib.analysis.experiments.verdicts import Verdicts

page, worth = (importlib.import_module(f"crmlib.analysis.experiments.{name}") for name in ("page", "worth"))


def verdicts(*said: tuple[str, State, str, int]) -> Verdicts:
    """Tests: name, state, what is said of them, and the side on which the interval lies; the first is the largest."""
    rows = [
        asdict(
            Verdict(
                experiment=name,
                variant="new",
                state=state,
                decision=Decision.OPEN,
                why="",
                side=side,
                units=1000 - place,
                said=text,
            )
        )
        for place, (name, state, text, side) in enumerate(said)
    ]
    return Verdicts(worth=None, table=pd.DataFrame(rows), worthwhile=0.0)  # type: ignore[arg-type]


SELLS = ("a", State.HIGHER, "A sells more and pays", 1)
UNPAID = ("b", State.OPEN, "B sells more, but we can't tell if it pays", 1)
OPEN = ("c", State.OPEN, "C shows no clear difference", 0)
RUNS = ("d", State.RUNNING, "The d test is still running", 0)
VOID = ("e", State.VOID, "The e test is unusable", 0)


def again(row: tuple[str, State, str, int], name: str) -> tuple[str, State, str, int]:
    return (name, *row[1:])


@pytest.mark.parametrize(
    ("tests", "headline"),
    [
        ([SELLS], "A sells more and pays."),
        ([OPEN], "C shows no clear difference."),
        ([RUNS], "The d test is still running."),
        ([VOID], "The e test is unusable."),
        ([SELLS, UNPAID], "A sells more and pays. B sells more, but we can't tell if it pays."),
        ([SELLS, OPEN], "A sells more and pays. C shows no clear difference."),
        ([SELLS, VOID], "A sells more and pays. The e test is unusable."),
        ([SELLS, OPEN, again(OPEN, "f")], "A sells more and pays. Two tests show no clear difference."),
        (
            [UNPAID, OPEN, RUNS],
            "B sells more, but we can't tell if it pays. C shows no clear difference; the d test is still running.",
        ),
        (
            [UNPAID, RUNS, OPEN, VOID],
            "B sells more, but we can't tell if it pays. C shows no clear difference; the e test is unusable.",
        ),
        ([OPEN, RUNS, VOID], "C shows no clear difference; the e test is unusable."),
        ([OPEN, VOID, again(VOID, "f")], "C shows no clear difference; two tests are unusable."),
        ([RUNS, again(RUNS, "f"), VOID], "The e test is unusable; two tests are still running."),
        ([SELLS, RUNS, again(RUNS, "f")], "A sells more and pays. Two tests are still running."),
        ([VOID, again(VOID, "f")], "Two tests are unusable."),
        ([SELLS, UNPAID, again(SELLS, "f")], "A sells more and pays. Two other versions have a result too."),
    ],
)
def test_the_headline(tests, headline):
    said = page.headline(verdicts(*tests))
    assert said == headline and len(said.split()) <= 25


def test_a_test_with_one_clear_arm_is_not_among_the_rest():
    arms = verdicts(SELLS, again(OPEN, "a"))
    assert page.headline(arms) == "A sells more and pays."
    assert arms.of(State.OPEN) == ["a"] and arms.largest == ("a", "new")
    assert verdicts(RUNS).largest == ("", "")


def test_provisos_name_what_they_are_about():
    assert Proviso.WORSE.format("returns and speed") == ", but makes returns and speed worse than allowed"
    assert Proviso.UNPAID.format("") == ", but we can't tell if it pays"


@pytest.mark.parametrize(
    ("low", "high", "title"),
    [
        (1_000, 4_000, "The gift earns between €1,000 and €4,000 more a month"),
        (-4_000, -1_000, "The gift costs between €1,000 and €4,000 a month"),
        (-1_500, 5_000, "The gift could cost €1,500 a month or earn €5,000"),
    ],
)
def test_money_a_month(low, high, title):
    assert worth._title({"month_low": low, "month_high": high}, "the gift", "EUR") == title


@pytest.mark.parametrize(
    ("found", "span"),
    [
        ([(0.0057, 0.06, "share")], "0.6 points"),
        ([(0.0057, 0.06, "share"), (0.0077, 0.06, "share")], "0.6–0.8 points"),
        ([(0.9, 10.0, "money"), (0.12, 1.0, "number")], "9–12%"),
    ],
)
def test_what_a_test_could_detect(found, span):
    assert planning._span(pd.DataFrame(found, columns=["detectable", "base", "kind"])) == span


def ratio(counts: dict[str, int], **plan: float) -> split.Row:
    plan = plan or dict.fromkeys(counts, 1.0)
    rows = split.ratios_of("sorting", counts, control="control", plan=plan, confidence=0.95)
    return split.sample_ratio("sorting", counts, plan=plan, ratios=rows, unit="visitors")


def test_a_split_is_told_by_its_counts():
    assert ratio({"control": 20_000, "new": 18_800}).said == (
        "of 38,800 visitors the new version got 18,800 and the old one 20,000. They should be equal."
    )
    assert ratio({"control": 9_000, "new": 1_150}, control=9, new=1).said.endswith(
        "The plan was 9 for control and 1 for new."
    )
    assert ratio({"control": 5_000, "new": 4_730}).said.endswith("Chance seldom makes such a gap (p = .0062).")
    assert "That fits the plan, though a loss of" in ratio({"control": 5_000, "new": 5_000}).said
    several = ratio({"control": 3_000, "a": 3_000, "b": 2_700}).said
    assert several.startswith("control got 3,000, a got 3,000 and b got 2,700 visitors.")
    alone = ratio({"control": 50})
    assert alone.said == "only one version has visitors, so nothing can be compared." and math.isnan(alone.p_value)


def test_checks_are_counted_for_none_one_and_many():
    def told(*verdict: str) -> Any:
        rows = [split.Row("x", f"check{place}", 0.0, "so.", one) for place, one in enumerate(verdict)]
        found = split.Checks(
            facts=None,
            table=split.tabled(rows),
            ratios=pd.DataFrame(columns=split.RATIOS),
            controls={},
            plans={},
            blocked=frozenset(),
        )  # type: ignore[arg-type]
        return checks.part_checks(found, pd.DataFrame())

    assert told("ok", "ok").title == "None of 2 checks found a problem"
    assert told("ok", "warning").title == "1 of 2 checks found a problem"
    assert [check.verdict for check in told("ok", "warning", "failed").checks] == ["warning", "failed"]
    assert told("ok").chart.table["rows"] == [["X: 1 check found no problem.", "ok"]]


@pytest.mark.parametrize(
    ("p", "value", "by_day", "title"),
    [
        (0.2, 1.0, True, "No clear change in the effect of x since it was first seen"),
        (0.01, 1.0, True, "The effect of x was larger in the first days than later (p = .010, corrected)"),
        (0.01, -1.0, True, "The effect of x was smaller in the first days than later (p = .010, corrected)"),
        (0.01, 1.0, False, "The effect of x was not the same in every week (p = .010, corrected)"),
        (math.nan, 1.0, False, "Whether the effect of x changed from week to week could not be tested"),
    ],
)
def test_whether_an_effect_lasts(p, value, by_day, title):
    assert looks._novelty_title("x", pd.Series({"p_adjusted": p, "value": value}), by_day=by_day) == title
    assert "could not be tested" in looks._novelty_title("x", None, by_day=by_day)
