"""Pages: what they show, that nothing in the data comes alive on them, and that they hold in a real browser."""

from __future__ import annotations

import base64
import functools
import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

from crmlib import figures, findings, formats
from crmlib.errors import PageError
from crmlib.figures import canvas
from crmlib.report.folder import store as publish
from crmlib.report.folder.manifest import Manifest, write_json
from crmlib.report.memory import changes as history
from crmlib.report.memory import record as track
from crmlib.report.memory.provenance import Difference
from crmlib.report.memory.tables import TableChange
from crmlib.report.page import index as overview
from crmlib.report.page import page
from crmlib.report.page import sparkline as spark
from crmlib.report.page.rules import POLICY, SCRIPT, TEMPLATES, validate
from crmlib.report.page.templates import environment, render_template
from tests import axe
from tests.pages_helpers import (
    AS_OF,
    action,
    code,
    displayed,
    executed,
    metric,
    page_of,
    part,
    passport,
    payload,
    prose,
    table,
)
from tests.shots import launched

INJECTIONS = [
    "<script>window.hit=1</script>",
    "</script><script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    "<img src='https://example.org/x.png'>",
    "<svg onload=window.hit=1>",
    "<svg><script>window.hit=1</script></svg>",
    "<iframe src=javascript:window.hit=1></iframe>",
    "<body onload=window.hit=1>",
    "<a href=javascript:window.hit=1>click</a>",
    "<a href='https://example.org'>away</a>",
    "<object data=x></object>",
    "<embed src=x>",
    "<form action=https://example.org><input name=q autofocus onfocus=window.hit=1></form>",
    "<meta http-equiv=refresh content='0; url=https://example.org'>",
    "<link rel=stylesheet href=https://example.org/x.css>",
    "<base href=https://example.org/>",
    "<style>@import 'https://example.org/x.css';</style>",
    "<style>body{display:none}</style>",
    "</style><script>window.hit=1</script>",
    "</title><script>window.hit=1</script>",
    "</textarea><script>window.hit=1</script>",
    "<details open ontoggle=window.hit=1>",
    "<video><source onerror=window.hit=1></video>",
    "<math><mtext></mtext><mglyph><style><img src=x onerror=window.hit=1></style></mglyph></math>",
    "<noscript><p title=\"</noscript><img src=x onerror=window.hit=1>\"></noscript>",
    "<template><script>window.hit=1</script></template>",
    "\" onmouseover=\"window.hit=1",
    "' onmouseover='window.hit=1",
    "\"><script>window.hit=1</script>",
    "'><script>window.hit=1</script>",
    "` onmouseover=window.hit=1 `",
    "{{ 7*7 }}{% for x in () %}",
    "{{ ''.__class__.__mro__ }}",
    "{% raw %}<script>window.hit=1</script>",
    "<!-- comment --><script>window.hit=1</script>",
    "--><script>window.hit=1</script>",
    "]]><script>window.hit=1</script>",
    "<![CDATA[<script>window.hit=1</script>]]>",
    "&lt;script&gt;window.hit=1&lt;/script&gt;",
    "&#60;script&#62;window.hit=1&#60;/script&#62;",
    "<scr\x00ipt>window.hit=1</scr\x00ipt>",
    "<ScRiPt/x>window.hit=1</sCrIpT>",
    "\ud800 half a character",
    "\u202e<script>window.hit=1</script>",
    "javascript:window.hit=1",
    "data:text/html,<script>window.hit=1</script>",
    "[click](javascript:window.hit=1) ![x](https://example.org/x.png)",
    "$5 to $10 \\(x\\) `code` **bold** | a | b |",
    "\x1b[31mred\x1b[0m \x1b]8;;https://example.org\x07link\x1b]8;;\x07",
    "=cmd|'/c calc'!A1",
]  # fmt: skip


def page_with(text: str) -> str:
    """A page that has `text` in every place data can reach."""
    cells = [
        code(
            text,
            outputs=[displayed("text/plain", text), displayed("text/html", text), displayed("image/svg+xml", text)],
        ),
        code("x", outputs=[nbformat.v4.new_output("stream", text=text)]),
        code("x", outputs=[displayed(findings.PART_MIME, part(title=f"own {text}", sentence=text))]),
    ]
    drawn = part(title=text, sentence=text)
    drawn["chart"] |= {"caption": text, "alt": text, "wide": f"<svg>{text}</svg>", "narrow": f"<svg>{text}</svg>"}
    drawn["chart"]["table"] = table(
        caption=text, columns=[{"label": text, "numeric": False}], rows=[[text]], total=99, file=text
    )
    alone = part(title=text, chart={"wide": "", "narrow": "", "table": table(caption=text, rows=[[text, text]] * 12)})
    found = payload(
        headline=text,
        parts=[drawn, alone, alone | {"detail": True}],
        metrics=[
            metric(id=text, label=text, unit=text, note=text, definition=text, low=1.0, high=2.0, n=123456789),
            metric(id="other", before=5.0, against=text, spread=True, low=1.0, high=2.0,
                   history=[["2026-09-01", 1.0], ["2026-10-01", 2.0], ["2026-11-01", 3.0]]),
        ],
        changes=[{"text": text, "size": 0.5}],
        certain=[text],
        method=[text],
        caveats=[text] * 5,
        actions=[action(what=text, why=text, worth=text, owner=text, file=text)] * 4,
        checks=[{"name": text, "verdict": verdict, "text": text} for verdict in ("failed", "warning", "ok")],
        shop=passport(
            name=text,
            money=text,
            max_age=text,
            stale=True,
            not_as_known=[text],
            tables=[
                {"table": text, "file": text, "sha256": text, "read": 2, "kept": 1, "set_aside": 1, "after_as_of": 0}
            ],
            faults=[{"table": text, "code": text, "meaning": text, "rows": 1, "kept": True}],
        ),
    )  # fmt: skip
    return page_of(
        found,
        cells=cells,
        title=text,
        run_id=text,
        variant=text,
        code=text,
        command=text,
        shop_name=text,
        parameters=[{"name": text, "value": text, "default": text, "help": text}],
        packages={text: text},
        files={text: 3, f"tables/{text}": None},
        siblings=[("Overview", "../../index.html", False), (text, f"../{text}/report.html", True)],
        **memory(text),
    )


def memory(text: str) -> dict[str, Any]:
    """What changed and how earlier predictions did, with `text` wherever a name of the data can stand."""
    moved = history.Change(id=text, label=text, arrow=history.UP, words=text, before=text, now=text)
    changes = history.Changes(
        since=date(2026, 11, 15),
        run_id="r",
        slug=text,
        alike=True,
        why=text,
        metrics={text: moved},
        differences=tuple(Difference(kind=kind, text=text) for kind in ("data", "parameters", "code", "environment")),
        tables=(
            TableChange(table=text, label=text, before=1, now=2, entered=1, left=0, moved=1, measure=text,
                        names=(text,)),
        ),
        came=(text,),
        went=(text,),
        missed=(text,),
    )  # fmt: skip
    record = track.Record(
        due=4, banded=4, inside=3, groups=6, groups_inside=5, windows=2, low=0.3, high=0.95, hindsight=4,
        next_due=None,
        lines=(track.Line(label=text, due=4, banded=4, inside=3, bias=text, said=text, came=text, day=text),),
        chances=(track.Chance(label=text, n=400, said=0.3, came=0.35, low=0.3, high=0.4),),
    )  # fmt: skip
    drawn = spark.line(
        [(AS_OF - timedelta(days=7 * week), float(week % 3)) for week in range(4)], label=text, unit=text
    )
    return {"changes": changes, "record": record, "trends": {text: drawn}}


class Structure(HTMLParser):
    """Tags and attribute names in order: what a browser would build, without the words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[Any] = []
        # Which figures must not break over two lines depends on the words.
        self.feed(re.sub(r'<span class="whole">([^<]*)</span>', r"\1", html))

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in ("wbr",):
            self.seen.append((tag, tuple(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.seen.append(tag)


# What is shown


def heads(html: str) -> list[str]:
    return re.findall(r"<h[12][^>]*>(.*?)</h[12]>", html)


def first_screen(html: str) -> str:
    return re.sub("</?span[^>]*>", "", html[html.index("<body>") : html.index('class="rest"')])


def test_the_colours_of_the_page_are_those_of_its_drawings() -> None:
    css = (TEMPLATES / "style.css").read_text()
    light, dark = re.findall(r":root \{(.+?)\}", css, re.DOTALL)[:2]
    for name, (bright, dim) in canvas._COLOURS.items():
        if f"--{name}:" in css:
            assert f"--{name}: {bright};" in light and f"--{name}: {dim};" in dark


def test_prose_has_the_apostrophes_of_print_and_markup_none_of_ours() -> None:
    made = environment().from_string('{{ text }} {{ text|whole }} <b title="{{ code }}">')
    told = made.render(text="we can't say; it's 'all'", code="x='y'")
    assert told.count("we can’t say; it’s &#39;all&#39;") == 2 and 'title="x=&#39;y&#39;"' in told


def test_the_page_comes_in_the_order_a_reader_needs() -> None:
    found = payload(
        parts=[part(), part(title="Tuesdays sell least"), part(title="By hour", detail=True)],
        changes=[{"text": "Mondays: 12, a year ago 8.", "size": 0.2}],
        checks=[{"name": "Sum", "verdict": "warning", "text": "Off by 1."}],
    )
    html = page_of(found)
    assert heads(html) == ["Ten baskets were sold.", "Mondays sell most", "What to do", "What changed",
                           "Tuesdays sell least", "How certain is this?", "Limits", "Data checks", "More detail",
                           "Sources and settings", "Method and code"]  # fmt: skip
    assert html.index('class="tiles"') < html.index(">Mondays sell most<") < html.index('id="actions"')
    anchors = set(re.findall(r'href="#([^"]+)"', html))
    assert anchors and all(f'id="{anchor}"' in html for anchor in anchors)
    validate(html)


def test_the_first_part_with_a_drawing_carries_the_headline() -> None:
    alone = part(title="A table", chart={"wide": "", "narrow": ""})
    html = page_of(payload(parts=[alone, part(detail=True, title="Folded"), part()]))
    hero = html[html.index('class="hero"') : html.index('class="todo"')]
    assert "<h2>Mondays sell most</h2>" in hero and html.count(">Mondays sell most<") == 1
    assert '<h2 id="finding-1">A table</h2>' in html
    nothing = page_of(payload(parts=[alone]))
    assert 'class="hero"' not in nothing and 'class="first alone"' in nothing


def test_a_tile_says_value_and_how_it_moved_on_the_comparable_period() -> None:
    shown = metric(value=612345.0, unit="EUR", before=534000.0, against="the year before", label="Margin", n=1234)
    tiles = first_screen(page_of(payload(metrics=[shown, metric(id="x", headline=False, label="Not above")])))
    for words in ("Margin", "€612,345", "▲", "up 15% on the year before"):
        assert words in tiles
    assert "Not above" not in tiles and "between" not in tiles


@pytest.mark.parametrize(
    ("changes", "words", "not_said"),
    [
        ({"note": "of 12"}, "of 12", "on the"),
        ({"spread": True, "low": 8.0, "high": 12.0}, "between 8.0 and 12.0", "of 12"),
        ({"low": 8.0, "high": 12.0}, "10.0", "between"),
        ({"before": 12.0, "against": "last week", "note": "of 12"}, "▼ down 17% on last week", "of 12"),
        ({"before": 10.0, "against": "last week"}, "unchanged on last week", "▲"),
        ({"before": 9.0, "against": "last week", "low": 8.0, "high": 12.0}, "about the same as last week", "▲"),
        ({"before": 7.0, "against": "last week", "low": 8.0, "high": 12.0}, "▲ up 43% on last week", "same"),
        ({"value": None, "note": "no orders"}, "not available", "on the"),
        ({"value": 0.1, "unit": "share", "before": 0.1, "against": "last week", "signed": True}, "+10.0%", "▲"),
    ],
)
def test_the_small_print_of_a_tile(changes: dict[str, Any], words: str, not_said: str) -> None:
    html = page_of(payload(metrics=[metric(**changes)]))
    tiles = re.sub(r"</?span[^>]*>", "", html[html.index('class="tiles"') : html.index("</dl>")])
    tiles = tiles.replace(" and\N{NO-BREAK SPACE}", " and ")
    assert words in tiles and not_said not in tiles


def test_a_tile_tells_runs_apart_only_without_a_period_and_never_a_running_total() -> None:
    since = memory("baskets")["changes"]
    assert "baskets since 15\N{NO-BREAK SPACE}November" in first_screen(page_of(payload(), changes=since))
    compared = page_of(payload(metrics=[metric(before=9.0, against="last week")]), changes=since)
    assert "since 15" not in first_screen(compared) and "on last week" in compared
    assert "since 15" not in first_screen(page_of(payload(metrics=[metric(running=True)]), changes=since))


def test_a_tile_draws_its_own_history_before_that_of_the_runs() -> None:
    days = [["2026-09-01", 1.0], ["2026-10-01", 2.0], ["2026-11-01", 3.0]]
    runs = memory("baskets")["trends"]
    assert "over 3 periods" in page_of(payload(metrics=[metric(history=days)]), trends=runs)
    assert "over 4 runs" in page_of(payload(), trends=runs)
    assert 'class="line"' not in page_of(payload(metrics=[metric(history=days[:2])]))


def test_three_actions_are_open_and_the_rest_is_folded() -> None:
    def todo(count: int, **changes: Any) -> str:
        actions = [action(what=f"Do {i}", **changes) for i in range(count)]
        html = page_of(payload(actions=actions), files={"lists/late.csv": 3})
        return html[html.index('id="actions"') : html.index('class="rest"')]

    assert "Nothing to do today." in todo(0) and "<details>" not in todo(0)
    one = todo(1)
    assert ">Do 0</th>" in one and "€30" in one and "Service" in one and "27\N{NO-BREAK SPACE}Nov<" in one
    assert '<a href="lists/late.csv">late.csv</a>' in one and "<summary>Why</summary>" in one
    assert "<details>" not in todo(3, why="")
    opened, _, folded = todo(5, why="").partition("<summary>2 more</summary>")
    assert opened.count('<th scope="row">') == 3 and folded.count('<th scope="row">') == 2
    assert "<summary>1 more, and why</summary>" in todo(4)
    assert "by 27\N{NO-BREAK SPACE}Jan 2027" in todo(1, by="2027-01-27")
    assert "Service" not in todo(1, owner="") and "by " not in todo(1, by=None)


def test_a_first_report_says_so_after_the_actions_and_nothing_changed_is_one_line() -> None:
    first = page_of(payload())
    assert "First report; the next shows what changed." in first and 'id="changed"' not in first
    since = replace(memory("m")["changes"], came=(), went=(), missed=())
    still = page_of(payload(), changes=since)
    assert "No finding is new or gone since 15\N{NO-BREAK SPACE}November." in still and "First report" not in still


def test_the_largest_change_comes_first_and_at_most_four_periods() -> None:
    since = replace(
        memory("m")["changes"], came=("Late parcels are new.",), went=("Returns fell.",), missed=("Missed.",)
    )
    changes = [{"text": f"Change {i}.", "size": i / 10} for i in (9, 1, 2, 6, 7, 8)]
    html = page_of(payload(changes=changes), changes=since)
    lines = re.findall(r"<li>([^<]+)</li>", html[html.index('id="changed"') : html.index('id="certain"')])
    assert lines == ["Change 9.", "Change 8.", "Change 7.", "Change 6.", "Missed.", "Late parcels are new.",
                     "Returns fell."]  # fmt: skip


def test_the_masthead_says_what_is_not_as_it_should_be() -> None:
    def masthead(found: dict[str, Any], **facts: Any) -> str:
        html = page_of(found, shop_name="Small shop", **facts)
        start = html.index('<p class="masthead">')
        return re.sub(r"<[^>]+>", "", html[start : html.index("</p>", start)])

    day = formats.day(AS_OF)
    assert masthead(payload()).endswith(f"A title · Small shop · {day}")
    late = payload(shop=passport(data_through="2026-11-18"))
    assert masthead(late).endswith("· data to 18\N{NO-BREAK SPACE}Nov")
    warned = payload(checks=[{"name": "Sum", "verdict": "warning", "text": "Off."}])
    assert masthead(warned, status="warnings").endswith("· 1 warning")
    assert '<a href="#checks">1 warning</a>' in page_of(warned, status="warnings")
    assert "too few to conclude" in masthead(payload(), status="too_few")
    assert "stale: newer data was due within 26h" in masthead(payload(shop=passport(stale=True, max_age="26h")))


def test_a_failed_check_is_a_banner_before_everything_else() -> None:
    html = page_of(payload(checks=[{"name": "Sum", "verdict": "failed", "text": "Lines do not add up."}]))
    assert html.index("Lines do not add up.") < html.index("<main") and html.count("Lines do not add up.") == 1
    assert 'class="banner"' not in page_of(payload(checks=[{"name": "Sum", "verdict": "ok", "text": "Adds up."}]))


def test_what_only_experts_read_is_folded() -> None:
    html = page_of(payload(certain=["Off by 4%."], method=["Deviance 3.03 over windows."]))
    assert html.index('id="certain"') < html.index("Off by 4%.".replace("4%", '<span class="whole">4%</span>'))
    assert html.index("Deviance") > html.index('<details class="fold" id="method">')


def test_rows_that_could_not_be_used_are_one_line_but_on_the_report_on_the_data() -> None:
    tables = passport()["tables"]
    links = [("Data health", "../data_health/report.html", False)]
    told = page_of(payload(), siblings=links)
    assert (
        "1 of the shop’s 12 rows could not be used." in told
        and 'href="../data_health/report.html">Data health</a> shows' in told
    )
    assert "could not be used" not in page_of(payload(), report="data_health")
    assert "could not be used" not in page_of(payload(shop=passport(tables=[tables[0] | {"kept": 11, "set_aside": 0}])))
    assert "do not add up" in page_of(payload(shop=passport(tables=[tables[0] | {"kept": 9}])))


def test_a_page_links_only_to_files_that_are_there() -> None:
    assert 'href="lists/late.csv"' in page_of(payload(actions=[action()]), files={"lists/late.csv": 3})
    assert 'href="lists/late.csv"' not in page_of(payload(actions=[action()]))
    many = part(chart={"table": table(total=99, file="rules")})
    assert 'href="tables/rules.csv"' in page_of(payload(parts=[many]), files={"tables/rules.csv": 99})


def test_the_line_of_links_marks_this_report() -> None:
    links = [("Overview", "../../index.html", False), ("A title", "report.html", True)]
    html = page_of(payload(), siblings=links)
    assert '<a href="report.html" aria-current="page">A title</a>' in html
    assert 'class="siblings"' not in page_of(payload()) and "All reports" in page_of(payload())


def test_more_limits_than_four_and_longer_tables_than_ten_are_folded() -> None:
    html = page_of(payload(caveats=[f"Limit {i}." for i in range(6)]))
    opened, _, folded = html[html.index('id="limits"') :].partition("<summary>2 more</summary>")
    assert "Limit 3." in opened and "Limit 4." not in opened and "Limit 5." in folded
    long = table(rows=[[f"Day {i}", "1"] for i in range(12)], total=12)
    html = page_of(payload(parts=[part(chart={"wide": "", "narrow": "", "table": long})]))
    assert html.count("Day 9<") == 2 and html.count("Day 10<") == 1 and "<summary>All 12 rows</summary>" in html


def test_an_analysts_own_part_and_picture_follow_the_published_ones() -> None:
    good = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()
    cells = [
        code("a", outputs=[displayed(findings.PART_MIME, part()), displayed(findings.PART_MIME, part(title="Mine"))]),
        # Nothing to see: no finding, no empty heading and no link without words.
        code("a", outputs=[displayed(findings.PART_MIME, part(title="", sentence="") | {"chart": None})]),
        prose("## A cloud"),
        code("b", outputs=[displayed("image/png", good)]),
        code("c", tags=["detail"], outputs=[displayed(findings.PART_MIME, part(title="Folded"))]),
    ]
    html = page_of(payload(parts=[part(), part(title="Second")]), cells=cells)
    validate(html)
    found = re.findall(r'<h2 id="finding-\d">(.*?)</h2>', html)
    assert found == ["Second", "Mine", "A cloud"] and html.count(">Mondays sell most<") == 1
    assert html.count(f'src="data:image/png;base64,{good}"') == 1 and "Figure of cell 5 of the notebook" in html
    assert "></a>" not in html and html.index("<h3>Folded</h3>") > html.index('id="details"')


def test_the_track_record_is_hidden_until_something_is_due() -> None:
    record = memory("m")["record"]
    assert 'id="record"' in page_of(payload(), record=record)
    assert 'id="record"' not in page_of(payload(), record=replace(record, due=0))


def test_how_money_is_counted_stands_only_where_there_is_money() -> None:
    assert "total less refunds" not in page_of(payload())
    assert "total less refunds" in page_of(payload(metrics=[metric(unit="EUR")]))


def test_the_zone_of_its_days_stands_on_every_page() -> None:
    assert "Days begin at midnight in Europe/Berlin." in page_of(payload())
    named = page_of(payload(shop=passport(timezone="UTC")))
    assert "Days begin at midnight in UTC; shop.toml can name another zone." in named


def test_prose_is_rendered_below_the_sections_own_heading() -> None:
    text = "# A title\n\n## Facts\n\n#### Deep\n\n| a | b |\n|--|--:|\n| x | 1 |\n\n<b>raw</b> [paper](https://doi.org/10/x)"
    html = page_of(payload(), cells=[prose(text)])
    validate(html)
    assert "<h3>Facts</h3>" in html and "<h4>Deep</h4>" in html and html.count("<h1>") == 1
    assert "&lt;b&gt;raw&lt;/b&gt;" in html and "paper (https://doi.org/10/x)" in html
    assert '<th scope="col" class="number">b</th>' in html


def test_local_paths_do_not_travel() -> None:
    cells = [code("x", outputs=[displayed("text/plain", "/home/ann/shop/crmlib/x.py")])]
    last = code("crm.publish()", outputs=[displayed(page.FINDINGS_MIME, payload())])
    facts = page.Facts(run_id="r", report="small", title="T", as_of=AS_OF, status="published")
    html = page.render(executed([*cells, last]), facts, scrub=[("/home/ann/shop/", "")])
    assert "crmlib/x.py" in html and "/home/ann" not in html


def test_other_displays_are_left_out_and_named() -> None:
    kinds = ["application/javascript", "image/svg+xml", "text/html", "text/latex"]
    cells = [code("x", outputs=[displayed(kind, "SECRET-MARK") for kind in kinds])]
    last = code("crm.publish()", outputs=[displayed(page.FINDINGS_MIME, payload())])
    notebook = executed([*cells, last])
    assert sorted(entry["type"] for entry in page.dropped(notebook)) == kinds
    html = page.render(notebook, page.Facts(run_id="r", report="s", title="T", as_of=AS_OF, status="published"))
    assert "SECRET-MARK" not in html


def test_a_text_that_only_claims_to_be_a_picture_is_none() -> None:
    for text in ('x" onerror="window.hit=1', "AAAA"):
        html = page_of(payload(), cells=[code("x", outputs=[displayed("image/png", text)])])
        assert "window.hit" not in html and "Figure of cell" not in html


def test_only_the_last_code_cell_can_complete_a_report() -> None:
    done = displayed(page.FINDINGS_MIME, payload())
    assert page.published(executed([code("a", outputs=[done])]))
    assert page.published(executed([code("a", outputs=[done]), prose("x"), code("")]))
    assert page.published(executed([code("a", outputs=[done]), code("b")])) is None
    unfinished = displayed(page.FINDINGS_MIME, payload(complete=False))
    assert page.published(executed([code("a", outputs=[unfinished])])) is None


# What is not let through


@pytest.mark.parametrize("text", INJECTIONS)
def test_hostile_text_changes_no_page(text: str) -> None:
    html = page_with(text)
    validate(html)
    hostile, harmless = Structure(html).seen, Structure(page_with("word")).seen
    assert hostile == harmless


@pytest.mark.parametrize("text", INJECTIONS)
def test_hostile_text_changes_no_failure_and_no_index(text: str, tmp_path: Path) -> None:
    def failure(words: str) -> str:
        facts = page.Facts(run_id="r", report="s", title=words, as_of=AS_OF, status="failed", command=words,
                           shop_name=words, variant=words, code=words)  # fmt: skip
        return page.render_failure(facts, message=words, cell=words)

    def index(words: str) -> str:
        run = run_of("s", variant=words, title=words, headline=words, reason=words, ahead=(words,), came=(words,),
                     changes=(findings.Change(text=words),), tiles=(tile_of(words),), files={words: {}},
                     actions=(findings.Action(what=words, worth=words, owner=words, file=words),))  # fmt: skip
        failed = replace(run, status="failed")
        chart = part()["chart"] | {"alt": words, "caption": words}
        glance = {"title": words, "sentence": words, "chart": chart, "tiles": [tile_of(words) | {"counted_in": "EUR"}]}
        shown = overview.model({"name": words}, [run], [failed], glance=glance)
        return render_template("index.html.j2", **shown)

    for make in (failure, index):
        validate(make(text))
        assert Structure(make(text)).seen == Structure(make("word")).seen


@pytest.mark.parametrize("text", INJECTIONS)
def test_hostile_prose_stays_prose(text: str) -> None:
    html = page_of(payload(), cells=[prose(f"# T\n\n{text}\n\n## {text}\n\n- {text}\n\n```\n{text}\n```\n")])
    validate(html)
    method = html[html.index('id="method"') : html.index("</main>")]
    assert not re.search(r"<(a|img|script|iframe|svg|style|form|base|meta|link)\b", method)


def _broken(html: str, old: str, new: str) -> str:
    assert old in html
    return html.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("</main>", "<script>1</script></main>", "<script>"),
        ("</main>", "<iframe></iframe></main>", "<iframe>"),
        ("</main>", "<form></form></main>", "<form>"),
        ("</main>", "<svg></svg></main>", "<svg>"),
        ("<main", "<main onclick='x'", "onclick"),
        ("<main", "<main style='x'", "style"),
        ("</main>", "<a href='javascript:x'>x</a></main>", "href"),
        ("</main>", "<a href=' JAVASCRIPT:x'>x</a></main>", "href"),
        ("</main>", "<a href='https://example.org'>x</a></main>", "href"),
        ("</main>", "<a href='//example.org'>x</a></main>", "href"),
        ("</main>", "<a href='/etc/passwd'>x</a></main>", "href"),
        ("</main>", "<img alt='x' src='https://example.org/x.png'></main>", "src"),
        ("</main>", "<img alt='x' src='x.png'></main>", "src"),
        ("</main>", "<img alt='x' src='data:text/html;base64,AAAA'></main>", "src"),
        ("</main>", "<picture><source srcset='x.png 2x'></picture></main>", "srcset"),
        ("</main>", "<img src='data:image/png;base64,AAAA'></main>", "alt"),
        ("</main>", "<link rel='stylesheet' href='x.css'></main>", "link"),
        ("</main>", "<meta http-equiv='set-cookie' content='x'></main>", "http-equiv"),
        ("</main>", "<h1>again</h1></main>", "one h1"),
        ("</main>", "<h2>x</h2><h4>y</h4></main>", "level is skipped"),
        ("</main>", "<table><tr><th>x</th></tr></table></main>", "scope"),
        ("</main>", f"</main><script>{SCRIPT}</script>", "<script>"),
        ("</main>", "<script src='x.js'></script></main>", "<script src>"),
        ("</main>", "<button>x</button></main>", "<button>"),
        (SCRIPT[-40:], SCRIPT[-40:] + " ", "<script>"),
        ("<title>", f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><title>', "security policy"),
        ("script-src 'sha256-", "script-src 'unsafe-inline' 'sha256-", "security policy"),
        ("default-src 'none'", "default-src *", "security policy"),
        ("default-src 'none';", "default-src 'none'; script-src *;", "security policy"),
        ("</style>", "a{background:url(//example.org)}</style>", "style sheet"),
        ('lang="en"', "", "lang"),
        ("</main>", "x" * 5_000_001 + "</main>", "MB"),
    ],
)
def test_a_page_that_breaks_a_rule_is_refused(old: str, new: str, says: str) -> None:
    html = page_of(payload(parts=[part()]))
    assert validate(html) == []
    with pytest.raises(PageError) as caught:
        validate(_broken(html, old, new))
    assert says in str(caught.value) and caught.value.exit_code == 4


def test_a_large_page_is_a_warning() -> None:
    html = page_of(payload(headline="x" * 1_000_000))
    assert len(validate(html)) == 1


# In a real browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as started:
        yield started


def tile_of(words: str) -> dict[str, Any]:
    """A tile as a manifest keeps it."""
    texts = dict.fromkeys(("id", "label", "value", "unit", "interval", "note", "change"), words)
    return texts | {"number": 1.0, "counted_in": "EUR", "spread": 0.0, "running": False, "arrow": "▲", "spark": {}}


def run_of(report: str, **changes: Any) -> Manifest:
    known: dict[str, Any] = {"run_id": "r", "report": report, "as_of": AS_OF, "status": "published", "order": "08",
                             "started_at": "2026-11-22T06:00:00+00:00"}  # fmt: skip
    return Manifest(**known | changes)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reports folder with an ordinary page, a hostile one, one without an answer, a failure and the index."""
    reports = tmp_path_factory.mktemp("reports")
    drawing = canvas._recolour(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 100">'
        '<rect width="400" height="100" fill="#1c2530"/></svg>'
    )
    wide_table = table(columns=[{"label": f"Column {i}", "numeric": True} for i in range(14)], rows=[["123,456"] * 14])
    long_name = "lists/late_and_much_longer_than_a_phone_is_wide.csv"
    long_word = "x" * 300
    found = payload(
        actions=[action(file=long_name)] * 5,
        caveats=[long_word],
        parts=[part(chart={"wide": drawing, "narrow": drawing, "table": wide_table}),
               part(title="Second", chart={"wide": drawing, "narrow": drawing}),
               part(title="Third", chart={"wide": "", "narrow": "", "table": wide_table})],
        metrics=[metric(id=f"m{i}", value=1234567.0) for i in range(4)],
    )  # fmt: skip
    ordinary = page_of(
        found,
        cells=[
            prose("# T\n\n" + "| a | b | c |\n|--|--|--|\n| " + " | ".join([long_word] * 3) + " |"),
            code(long_word),
        ],
        files={long_name: 3},
        siblings=[("Overview", "../../index.html", False), ("Baskets", "report.html", True),
                  ("Feedback", "../feedback/report.html", False)],
        **memory("m1"),
    )  # fmt: skip
    hostile = page_with(" ".join(INJECTIONS))
    no_answer = page.render(
        executed([code("raise")]),
        page.Facts(
            run_id="r", report="f", title="Feedback", as_of=AS_OF, status="not_available", reason="needs feedback"
        ),
    )
    for name, html in [("baskets", ordinary), ("hostile", hostile), ("feedback", no_answer)]:
        run_id = f"20261122-060000-{name}-00aa"
        staging = publish.stage(reports, run_id)
        (staging / "report.html").write_text(html, encoding="utf-8")
        good = name != "feedback"
        run = run_of(name, run_id=run_id, status="published" if good else "not_available", title=name,
                     headline="Ten." if good else "", stale=name == "baskets", files={long_name: {}},
                     tiles=(tile_of("Baskets"),) * 4, ahead=("Expect 30 more.",), came=("Late parcels are new.",),
                     changes=(findings.Change(text="Complaints: 48, a year ago 12.", size=0.9),),
                     actions=(findings.Action(what="Call 3 customers", owner="Service", file=long_name),))  # fmt: skip
        (staging / long_name).parent.mkdir()
        (staging / long_name).write_text("customer_id\n1\n", encoding="utf-8")
        publish.publish(reports, staging, run)
        if name == "baskets":
            chart = part(chart={"wide": drawing, "narrow": drawing})["chart"]
            shown = {"title": "Sales rose", "sentence": "", "chart": chart, "tiles": [tile_of("Sales")] * 2}
            write_json(reports / "2026-11-22" / "baskets" / "glance.json", shown)
    # Days enough for a trend and for months that are folded away; their pages are not looked at.
    for week in range(1, 10):
        as_of = AS_OF - timedelta(days=7 * week)
        staging = publish.stage(reports, f"{as_of:%Y%m%d}-060000-baskets-00aa")
        (staging / "report.html").write_text(ordinary, encoding="utf-8")
        publish.publish(reports, staging, run_of("baskets", run_id=staging.name, title="baskets", as_of=as_of))
    staging = publish.stage(reports, "20261122-070000-broken-00ab")
    facts = page.Facts(
        run_id=staging.name, report="broken", title="Broken", as_of=AS_OF, status="failed", command=long_word
    )
    html = page.render_failure(facts, message=long_word, cell="\n".join([long_word, *INJECTIONS]))
    broken = run_of("broken", run_id=staging.name, title="Broken", status="failed", reason=long_word,
                    started_at="2026-11-22T07:00:00+00:00")  # fmt: skip
    publish.keep_failure(reports, staging, broken, html=html)
    overview.rebuild(reports, shop={"name": "Small shop", "folder": "data/shop"})
    return reports


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The folder served, so that a request for anything else shows in the server's own log too."""
    handler = functools.partial(_Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


def _all_pages(site: Path) -> list[str]:
    """Those of the newest day, the failure and the index."""
    every = (path.relative_to(site) for path in site.rglob("*.html"))
    found = sorted(path.as_posix() for path in every if path.parts[0] in ("index.html", "failed", AS_OF.isoformat()))
    assert len(found) == 5
    return found


@pytest.mark.browser
@pytest.mark.parametrize("script", [True, False])
def test_pages_ask_for_nothing_and_complain_of_nothing(browser: Any, site: Path, address: str, script: bool) -> None:
    start = address if script else f"{site.as_uri()}/"
    for path in _all_pages(site):
        context = browser.new_context(java_script_enabled=script)
        opened = context.new_page()
        requests: list[str] = []
        complaints: list[str] = []
        opened.on("request", lambda request, kept=requests: kept.append(request.url))
        opened.on("console", lambda message, kept=complaints: kept.append(message.text))
        opened.on("pageerror", lambda error, kept=complaints: kept.append(str(error)))
        opened.on("dialog", lambda dialog, kept=complaints: kept.append("dialog"))
        opened.goto(start + path)
        opened.wait_for_load_state()
        assert opened.locator("h1").count() == 1 and opened.locator("main").is_visible()
        outside = [url for url in requests if not url.startswith("data:") and url != start + path]
        assert outside == [] and complaints == []
        if script:
            assert opened.evaluate("window.hit") is None
        context.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 360, 768, 1100, 1280])
def test_no_page_scrolls_sideways(browser: Any, site: Path, width: int) -> None:
    opened = browser.new_page(viewport={"width": width, "height": 800})
    for path in _all_pages(site):
        opened.goto(f"{site.as_uri()}/{path}")
        for opening in (False, True):
            if opening:
                opened.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            assert opened.evaluate("document.documentElement.scrollWidth") <= width, (path, opening)
    opened.close()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", axe.SCHEMES)
@pytest.mark.parametrize("width", axe.WIDTHS)
def test_axe_finds_nothing_on_any_page(browser: Any, site: Path, width: int, scheme: str) -> None:
    try:
        axe.source()
    except axe.Missing as reason:
        pytest.skip(str(reason))
    opened = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    for path in _all_pages(site):
        opened.goto(f"{site.as_uri()}/{path}")
        assert axe.faults(opened) == [], path
    if width == axe.WIDTHS[0]:
        # And it does find what is wrong.
        opened.evaluate("document.querySelector('main').append(document.createElement('img'))")
        assert any("image-alt" in fault for fault in axe.faults(opened))
    opened.close()


@pytest.mark.browser
def test_a_table_is_sorted_by_the_button_in_its_heading_and_by_key(browser: Any, tmp_path: Path) -> None:
    rows = [["Tea 10", "€1,200", "1 July 2026"], ["tea 9", "−€5", "30 June 2026"], ["Zaatar", "–", "2 January 2027"],
            ["Ähre", "€30", "3 March 2025"]]  # fmt: skip
    columns = [
        {"label": "Name", "numeric": False},
        {"label": "Worth", "numeric": True},
        {"label": "Day", "numeric": False},
    ]
    file = tmp_path / "page.html"
    html = page_of(payload(parts=[part(chart={"wide": "", "narrow": "", "table": table(columns=columns, rows=rows)})]))
    file.write_text(html, encoding="utf-8")
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.goto(file.as_uri())
    shown = opened.locator("table", has=opened.locator("caption", has_text="Baskets by weekday"))

    def names() -> list[str]:
        return [text.strip() for text in shown.locator("tbody th").all_inner_texts()]

    assert names() == ["Tea 10", "tea 9", "Zaatar", "Ähre"]
    worth = shown.get_by_role("button", name="Worth")
    worth.focus()
    opened.keyboard.press("Enter")
    assert names() == ["Tea 10", "Ähre", "tea 9", "Zaatar"]
    assert worth.locator("..").get_attribute("aria-sort") == "descending"
    opened.keyboard.press("Space")
    assert names() == ["tea 9", "Ähre", "Tea 10", "Zaatar"]
    shown.get_by_role("button", name="Name").click()
    assert names() == ["Ähre", "tea 9", "Tea 10", "Zaatar"]
    assert shown.locator("[aria-sort]").count() == 1
    shown.get_by_role("button", name="Day").click()
    assert names() == ["Ähre", "tea 9", "Tea 10", "Zaatar"]
    shown.get_by_role("button", name="Day").click()
    assert names() == ["Zaatar", "Tea 10", "tea 9", "Ähre"]
    opened.close()


@pytest.mark.browser
def test_one_button_opens_all_code(browser: Any, site: Path) -> None:
    opened = browser.new_page()
    opened.goto(f"{site.as_uri()}/2026-11-22/baskets/report.html")
    opened.locator("#method > summary").click()
    parts = opened.locator("#method details.code")
    assert parts.count() > 1 and opened.locator("#method details.code[open]").count() == 0
    opened.get_by_role("button", name="Open all code").click()
    assert opened.locator("#method details.code[open]").count() == parts.count()
    opened.get_by_role("button", name="Close all code").click()
    assert opened.locator("#method details.code[open]").count() == 0
    opened.close()


@pytest.mark.browser
def test_the_index_folds_its_runs_and_filters_them(browser: Any, site: Path) -> None:
    opened = browser.new_page()
    opened.goto((site / "index.html").as_uri())
    runs = opened.locator("#runs")
    assert runs.get_attribute("open") is None
    runs.locator("summary").first.click()
    every = opened.locator("[data-run]")
    assert every.count() == 12 and runs.locator("details:not([open])").count() == 2
    field = opened.get_by_label("Show only")
    field.fill("baskets september")
    assert [row.inner_text().split()[0] for row in every.all() if row.is_visible()] == ["27", "20"]
    assert opened.get_by_role("status").inner_text() == "2 of 12 runs"
    field.fill("")
    assert opened.locator("[data-run]:not([hidden])").count() == 12
    assert runs.locator("details:not([open])").count() == 2
    opened.close()


@pytest.mark.browser
def test_the_index_is_the_owners_page(browser: Any, site: Path) -> None:
    opened = browser.new_page(viewport={"width": 1280, "height": 860})
    opened.goto((site / "index.html").as_uri())
    assert opened.locator("h1").inner_text() == "Sales rose"
    assert opened.locator(".tiles dt").all_inner_texts() == ["Sales", "Sales"]
    assert opened.locator("figure img").bounding_box()["y"] < 860
    lines = opened.locator("#changed ~ ul li").all_inner_texts()
    assert len(lines) == 4 and lines[0] == "Complaints: 48, a year ago 12."
    assert opened.locator(".ahead").inner_text() == "Ahead: Expect 30 more."
    first = opened.locator(".actions tbody tr").first
    assert "Call 3 customers" in first.inner_text()
    assert (site / first.get_by_role("link").get_attribute("href")).parent.name == "lists"
    opened.locator(".reports").get_by_role("link", name="baskets", exact=True).click()
    assert opened.url.endswith("/2026-11-22/baskets/report.html")
    opened.close()


@pytest.mark.browser
def test_without_javascript_all_is_shown_and_no_control_is_dead(browser: Any, site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    for path in _all_pages(site):
        opened.goto(f"{site.as_uri()}/{path}")
        assert opened.locator("button, input, [hidden]").count() == 0
    context.close()


@pytest.mark.browser
def test_the_policy_runs_our_script_and_no_other(browser: Any, tmp_path: Path) -> None:
    html = page_of(payload(), cells=[code("x")])
    smuggled = (
        "<script>window.hit=1</script><img src=x onerror='window.hit=1'>"
        "<script src='data:text/javascript,window.hit=1'></script>"
    )
    file = tmp_path / "page.html"
    file.write_text(html.replace("</main>", f"{smuggled}</main>"), encoding="utf-8")
    opened = browser.new_page()
    opened.goto(file.as_uri())
    opened.wait_for_load_state()
    assert opened.evaluate("window.hit") is None
    assert opened.locator("#method button").count() == 1
    opened.close()
    given = re.search(r"script-src 'sha256-([^']+)'", html)
    ours = html[html.index("<script>") + 8 : html.index("</script>")]
    assert given and base64.b64decode(given[1]) == hashlib.sha256(ours.encode()).digest()


@pytest.mark.browser
def test_drawings_and_text_follow_the_readers_dark(browser: Any, site: Path) -> None:
    from PIL import Image

    light = {}
    for scheme in ("light", "dark"):
        opened = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
        opened.goto(f"{site.as_uri()}/2026-11-22/baskets/report.html")
        picture = opened.locator("figure img").first
        picture.scroll_into_view_if_needed()
        shot = Image.open(BytesIO(picture.screenshot())).convert("RGB")
        paper = opened.evaluate("getComputedStyle(document.body).backgroundColor")
        light[scheme] = (shot.getpixel((shot.width // 2, shot.height // 2)), paper)
        opened.close()
    ink, paper = canvas._COLOURS["ink"], canvas._COLOURS["paper"]
    for place, scheme in enumerate(("light", "dark")):
        got, background = light[scheme]
        assert "#{:02x}{:02x}{:02x}".format(*got) == ink[place]
        assert background == "rgb({}, {}, {})".format(*bytes.fromhex(paper[place][1:]))


@pytest.mark.browser
def test_a_phone_gets_the_narrow_drawing_cards_and_no_contents(browser: Any, site: Path) -> None:
    opened = browser.new_page(viewport={"width": 390, "height": 800})
    opened.goto(f"{site.as_uri()}/2026-11-22/baskets/report.html")
    assert opened.locator("nav.contents").is_hidden()
    assert opened.locator("table.cards td").first.evaluate("e => getComputedStyle(e).display") in (
        "block",
        "inline-flex",
        "flex",
    )
    source = opened.locator("figure source").first.get_attribute("srcset")
    assert opened.locator("figure img").first.evaluate("e => e.currentSrc") == source
    opened.set_viewport_size({"width": 1280, "height": 800})
    assert opened.locator("nav.contents").is_visible()
    opened.close()


@pytest.mark.browser
def test_contrast_is_enough_in_both_schemes(browser: Any, site: Path) -> None:
    measure = """() => {
      const lum = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map(v => v / 255)
        .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b };
      const paper = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
        if (!/, 0\\)$|transparent/.test(c)) return c } return 'rgb(255,255,255)' };
      document.querySelectorAll('details').forEach(d => d.open = true);
      return [...document.querySelectorAll('body *')]
        .filter(e => [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim())
        && !e.closest('head, style, .skip')).map(e => { const a = lum(getComputedStyle(e).color), b = lum(paper(e));
        return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), e.tagName + '.' + e.className] })
        .filter(p => p[0] < 4.5) }"""
    for scheme in ("light", "dark"):
        opened = browser.new_page(color_scheme=scheme)
        for path in _all_pages(site):
            opened.goto(f"{site.as_uri()}/{path}")
            assert opened.evaluate(measure) == [], (path, scheme)
        opened.close()


@pytest.mark.browser
def test_latest_forwards_and_the_index_leads_everywhere(browser: Any, site: Path) -> None:
    opened = browser.new_page()
    opened.goto(f"{site.as_uri()}/latest/baskets.html")
    opened.wait_for_url("**/2026-11-22/baskets/report.html")
    opened.get_by_role("link", name="Overview").click()
    assert opened.url.endswith("/index.html")
    for link in opened.locator("main a").all():
        target = (link.get_attribute("href") or "").partition("#")[0]
        assert (site / target).is_file()
    opened.close()


@pytest.mark.browser
def test_it_prints_without_its_navigation_and_what_is_folded_but_with_every_reason(browser: Any, site: Path) -> None:
    opened = browser.new_page()
    opened.goto(f"{site.as_uri()}/2026-11-22/baskets/report.html")
    opened.emulate_media(media="print")
    for hidden in ("nav.contents", "nav.siblings", "#sources", "#method", ".todo summary"):
        assert opened.locator(hidden).is_hidden(), hidden
    assert opened.locator(".todo details p").first.is_visible()
    keep = "e => [getComputedStyle(e).breakInside, getComputedStyle(e).breakAfter]"
    assert opened.locator(".hero").evaluate(keep)[0] == "avoid"
    assert opened.locator(".finding").first.evaluate(keep)[0] == "avoid"
    assert opened.locator(".finding h2").first.evaluate(keep)[1] == "avoid"
    assert opened.locator(".whole").first.evaluate("e => getComputedStyle(e).whiteSpace") == "nowrap"
    # The text area of each paper in CSS pixels, with the margins of the style sheet.
    for paper, width in (("A4", 688), ("Letter", 710)):
        assert opened.pdf(format=paper).startswith(b"%PDF-")
        opened.set_viewport_size({"width": width, "height": 900})
        assert opened.evaluate("document.documentElement.scrollWidth") <= width, paper
    opened.close()


# A cloud of points


def test_a_dense_cloud_is_a_small_png_and_all_else_stays_a_drawing(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(2, 5000))

    def cloud(count: int) -> findings.Chart:
        return figures.draw(
            lambda ax, narrow: ax.scatter(x[:count], y[:count], s=4),
            alt="A cloud of points around zero.",
            table=table(),
        )

    dense, sparse = cloud(5000), cloud(1000)
    assert sparse.wide.startswith("<svg") and sparse.narrow.startswith("<svg")
    assert dense.wide.startswith("data:image/png;base64,") and dense.narrow.startswith("data:image/png;base64,")
    assert len(dense.wide) < 120_000
    html = page_of(payload(parts=[findings.Part(title="A cloud", sentence="Points.", chart=dense).to_json()]))
    assert validate(html) == []
    assert f'src="{dense.wide}" alt="A cloud of points around zero." width="1382" height="576"' in html
    long_line = figures.draw(lambda ax, narrow: ax.plot(np.sort(x), y), alt="A line.", table=table())
    assert long_line.wide.startswith("<svg")


def test_a_text_that_only_claims_to_be_a_png_is_no_address() -> None:
    html = page_of(payload(parts=[part(chart={"wide": 'data:image/png;base64,AAAA" onerror="window.hit=1'})]))
    validate(html)
    assert "window.hit" not in html
