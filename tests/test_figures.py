"""Charts from one frame: what is drawn, what is said of it, and what is left to the table."""

from __future__ import annotations

import functools
import math
import re

import numpy as np
import pandas as pd
import pytest

import crmlib as crm
from crmlib import figures, findings, formats
from crmlib.errors import CrmError
from crmlib.figures.charts import log_ticks, name_ticks

ROWS = pd.DataFrame(
    {"name": ["Free shipping", "Sorting $1 & $2", "Banner"], "value": [0.02, -0.01, 0.0], "low": [0.01, -0.03, -0.01],
     "high": [0.03, 0.01, 0.01], "first": [True, False, False]}
)  # fmt: skip
DAYS = pd.DataFrame({"day": pd.date_range("2026-01-05", periods=20, freq="W"), "share": np.linspace(0.1, 0.3, 20)})


def percent(value: float) -> str:
    return formats.share(value, digits=1)


def texts(svg: str) -> str:
    return " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg))


def test_dots_take_name_low_and_high_unless_told_otherwise():
    told = figures.dots(ROWS, label="name", value="value", low="low", high="high", what="change", form=percent)
    assert figures.dots(ROWS, value="value", what="change", form=percent) == told


def test_dots_say_what_they_show_and_name_their_axis():
    chart = figures.dots(ROWS, label="name", value="value", low="low", high="high", what="change", form=percent,
                         reference=0.0, worth=0.005, strong="first")  # fmt: skip
    assert chart.alt == "Dots with ranges: change, 3 rows, from −1.0% to 2.0%; first Free shipping, 2.0%."
    for drawing in (chart.wide, chart.narrow):
        assert "Free shipping" in texts(drawing)
        assert "Sorting $1 &amp; $2" in texts(drawing)
        assert "change" in texts(drawing)
    assert [column["label"] for column in chart.table["columns"]] == ["Name", "Change", "From", "To"]


def test_rows_without_a_range_stay_in_the_table_alone():
    frame = ROWS.assign(high=[math.inf, 0.01, math.nan])
    chart = figures.dots(frame, label="name", value="value", low="low", high="high", what="change", form=percent)
    assert "Sorting" in chart.wide and "Banner" not in chart.wide
    assert len(chart.table["rows"]) == 3
    none = figures.dots(frame.iloc[:1], label="name", value="value", low="low", high="high", what="x", form=percent)
    assert not none.wide and len(none.table["rows"]) == 1


def test_bars_carry_their_numbers():
    chart = figures.bars(ROWS.head(1), label="name", value="value", what="share", form=percent)
    assert "2.0%" in texts(chart.wide)
    assert chart.alt == "Bars: share, 1 row, largest Free shipping, 2.0%."


@pytest.mark.parametrize("low", [[-5.0, 1, 2], [1, 2, 3]])
def test_bars_below_zero_are_drawn(low):
    frame = ROWS.assign(value=[-2.0, 2, 3], low=low, high=[3.0, 4, 5])
    assert figures.bars(frame, label="name", value="value", low="low", high="high", what="x", form=str).wide


def test_columns_stand_beside_a_year_before():
    frame = pd.DataFrame(
        {"month": ["Jan 26", "Feb 26"], "sales": [10.0, 12.0], "before": [8.0, np.nan], "open": [0, 1]}
    )
    chart = figures.columns(frame, period="month", value="sales", before="before", unfinished="open", what="Sales",
                            form=formats.number)  # fmt: skip
    assert "Last year" in texts(chart.wide) and "This year" in texts(chart.wide)
    alone = figures.columns(frame, period="month", value="sales", what="Sales", form=formats.number)
    assert "Last year" not in texts(alone.wide)


def test_lines_are_named_at_their_ends():
    both = pd.concat([DAYS.assign(kind="delivery"), DAYS.assign(kind="fit", share=0.05)])
    chart = figures.line(both, x="day", y="share", group="kind", strong="delivery", what="unhappy", form=percent,
                         mark=(DAYS["day"].iloc[-8], "last eight weeks"))  # fmt: skip
    for word in ("delivery", "fit", "last eight weeks"):
        assert word in texts(chart.wide)
    assert chart.alt == "Lines: unhappy, for delivery and fit, between 5.0% and 30.0%."


def test_one_point_is_no_line_and_no_crash():
    chart = figures.line(DAYS.head(1), x="day", y="share", what="unhappy", form=percent)
    assert chart.alt == "Points: unhappy, between 10.0% and 10.0%."
    nothing = figures.line(DAYS.head(1).assign(share=math.nan), x="day", y="share", what="unhappy", form=percent)
    assert not nothing.wide and nothing.table["rows"] == [["11\xa0Jan 2026", "–"]]


def test_the_numbers_behind_a_line_are_days_with_their_ranges_newest_first():
    frame = DAYS.assign(low=DAYS["share"] - 0.004, high=DAYS["share"] + 0.004).head(2)
    chart = figures.line(frame, x="day", y="share", low="low", high="high", what="refunded", form=formats.share)
    assert [column["label"] for column in chart.table["columns"]] == ["Day", "Refunded", "From", "To"]
    assert chart.table["rows"][1] == ["11\xa0Jan 2026", "10.0%", "9.6%", "10.4%"]
    assert chart.table["rows"][0][0] == "18\xa0Jan 2026"
    weeks = frame.assign(day=frame["day"].dt.to_period("W"))
    assert figures.line(weeks, x="day", y="share", what="refunded", form=formats.share).wide


def test_a_line_stands_beside_its_reference():
    plain, compared = (
        figures.line(DAYS, x="day", y="share", what="refunded", form=formats.share, reference=level).wide
        for level in (None, 0.5)
    )
    assert "50%" in texts(compared) and "50%" not in texts(plain)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"y": "shre"}, "no column 'shre'; did you mean 'share'"),
        ({"low": "least", "high": "share"}, "no column 'least'; there are: day, share"),
        ({"mark": "5 January"}, "mark is an x and the words at it"),
        ({"x": "share"}, "'share' holds no days"),
    ],
)
def test_a_slip_in_a_call_is_one_line_that_says_what_there_is(wrong, says):
    with pytest.raises(CrmError, match=says) as error:
        figures.line(DAYS, **{"x": "day", "y": "share", "what": "refunded", "form": formats.share} | wrong)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("draw", [figures.dots, figures.bars, figures.columns, figures.grid])
def test_every_chart_names_a_column_that_is_not_there(draw):
    said = {
        figures.dots: {"label": "name", "value": "x", "low": "low", "high": "high"},
        figures.bars: {"label": "name", "value": "x"},
        figures.columns: {"period": "name", "value": "x"},
        figures.grid: {"row": "name", "column": "name", "value": "x"},
    }[draw]
    with pytest.raises(CrmError, match="no column 'x'; there are: first, high"):
        draw(ROWS, **said, what="x", form=formats.share)


def test_a_grid_writes_what_changed_and_hides_few():
    frame = pd.DataFrame({"r": ["a", "a", "b"], "c": ["x", "y", "x"], "n": [10.0, 3, 30], "then": [17.0, 9, 8]})
    draw = functools.partial(figures.grid, frame, row="r", column="c", value="n", what="customers", form=formats.people)
    said = set(texts(draw(before="then").wide).split())
    assert {"−7", "+22"} <= said and "−6" not in said
    assert not {"−7", "+22"} & set(texts(draw().wide).split())


def test_a_grid_writes_each_cell():
    frame = pd.DataFrame({"r": ["a", "a", "b"], "c": ["x", "y", "x"], "n": [1.0, 2, 3]})
    chart = figures.grid(frame, row="r", column="c", value="n", what="customers", form=formats.number)
    assert {"1", "2", "3", "–"} <= set(texts(chart.wide).split())


@pytest.mark.parametrize("make", [figures.dots, figures.bars, figures.columns, figures.line, figures.grid])
def test_nothing_to_draw_leaves_an_empty_table(make):
    empty = ROWS.iloc[:0].assign(day=[], month=[])
    said = {
        figures.dots: {"label": "name", "value": "value", "low": "low", "high": "high"},
        figures.bars: {"label": "name", "value": "value"},
        figures.columns: {"period": "name", "value": "value"},
        figures.line: {"x": "day", "y": "value"},
        figures.grid: {"row": "name", "column": "month", "value": "value"},
    }[make]
    chart = make(empty, **said, what="x", form=str)
    assert not chart.wide and chart.table["rows"] == []


@pytest.mark.parametrize("low", [0.3, 0.9, 1.0, 2.2, 9])
@pytest.mark.parametrize("factor", [1.05, 1.5, 3, 12, 400])
def test_log_axes_have_four_ticks_at_least(low, factor):
    ticks = log_ticks(low, low * factor)
    assert len(ticks) >= 4
    assert ticks[0] <= low and ticks[-1] >= low * factor


def test_a_drawing_without_words_for_it_is_refused():
    with pytest.raises(CrmError, match="alt text"):
        figures.draw(lambda ax, narrow: None, alt=" ", table={})


def test_the_same_frame_gives_the_same_bytes():
    def make() -> figures.Chart:
        return figures.bars(ROWS, label="name", value="value", what="share", form=percent)

    assert make() == make()


def test_a_page_of_ones_own_from_a_frame_and_an_axes():
    import matplotlib.pyplot as plt

    open_before = plt.get_fignums()
    weeks = DAYS.set_index("day").head(3)
    ax = weeks.plot(xlabel="week", ylabel="refund share")
    made = crm.page("Refunds rise.", weeks, ax, sentence="By a half.", caveats=[findings.Caveat(text="Few weeks.")])
    (part,) = made.parts
    assert part.chart.wide.startswith("data:image/png;base64,") and part.chart.wide != part.chart.narrow
    assert part.chart.alt == "Figure: refund share by week"
    assert part.title == "Refunds rise." and made.caveats[0].text == "Few weeks."
    assert list(made.tables["page"].columns) == ["day", "share"] and part.chart.table["rows"][0][1] == "0.10"
    assert plt.get_fignums() == open_before
    with pytest.raises(CrmError, match="label its axes"):
        crm.page("x", weeks, plt.figure().add_subplot())
    with pytest.raises(CrmError, match="leave out customer_id"):
        crm.page("x", pd.DataFrame({"customer_id": ["a"]}))
    plt.close("all")


@pytest.mark.parametrize(
    ("places", "named"),
    [
        ([0, 0.5, 1, 1.5, 2], ["0", "", "1", "", "2"]),
        ([-0.4, -0.2, 0, 0.2, 0.4], ["", "", "0", "", ""]),
        ([9.8, 10, 10.2, 10.4, 10.6, 10.8, 11], ["", "10", "", "", "", "", "11"]),
        ([0, 1, 2, 3], ["0", "1", "2", "3"]),
        ([2], ["2"]),
    ],
)
def test_no_two_ticks_are_named_the_same(places, named):
    from matplotlib.figure import Figure

    axis = Figure().add_subplot().xaxis
    axis.set_ticks(places)
    name_ticks(axis, lambda value: f"{value:.0f}".replace("-0", "0"))
    assert [axis.get_major_formatter()(place, n) for n, place in enumerate(places)] == named
