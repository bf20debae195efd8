"""Findings as parts: what is gathered, what is refused, and that JSON loses nothing."""

from __future__ import annotations

import csv
import io
import re
import tempfile
import tomllib
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmlib import publishing
from crmlib.errors import UsageError
from crmlib.findings import (
    PART_MIME,
    ROLES,
    Action,
    Caveat,
    Change,
    Chart,
    Check,
    Due,
    Grade,
    Metric,
    Part,
    Prediction,
    Signal,
    Watch,
    compose,
    from_json,
)
from crmlib.formats import Estimate
from crmlib.shop.samples.demo import _MORE
from tests.conftest import ROOT

SHARE = Estimate(value=0.25, low=0.2, high=0.3, unit="share", n=400)
TABLE = {"caption": "c", "columns": [{"label": "<i>", "numeric": True}], "rows": [["<u>"]], "total": 1, "file": ""}
SAID = Prediction(
    id="orders_30d", label="Orders", unit="orders", value=12.0, start=date(2026, 1, 1), end=date(2026, 1, 31)
)


def full_part() -> Part:
    return Part(
        title="A quarter is unhappy",
        sentence="It was an eighth before.",
        chart=Chart(wide="<svg>", narrow="<svg>", alt="Line", caption="By week.", table=TABLE),
        metrics=[Metric.of(SHARE, id="unhappy", label="Unhappy", definition="of texts", headline=True, before=0.13,
                           against="the year before", history=(("2025-12-01", 0.1),))],
        actions=[Action(what="Answer these 12 texts", by=date(2026, 1, 5), owner="service", file="lists/reply.csv")],
        changes=[Change(text="Unhappy: up 12 points.", size=0.5)],
        signals=[Signal(id="rose:delivery", text="Delivery rose.", gone="Delivery no longer rises.")],
        checks=[Check(name="coverage", verdict="ok", text="All read.")],
        caveats=[Caveat(text="Few write.")],
        certain=["The range is of the mean."],
        method=["Wilson."],
        ahead=["Expect 12 more."],
        predictions=[SAID],
        grades=[Grade(due=Due(prediction=SAID, as_of=date(2025, 12, 1), run_id="r", lists=Path("lists")), actual=3.0)],
        watches=[Watch(table="themes", key=("theme",), label="themes")],
        tables={"themes": pd.DataFrame({"theme": ["delivery"]})},
        lists={"reply": pd.DataFrame({"customer_id": ["-123", "=1+1"]})},
    )  # fmt: skip


def test_json_there_and_back_loses_nothing_but_the_frames():
    made = compose("feedback", "A quarter is unhappy.", [full_part()])
    back = from_json(made.to_json())
    assert back.to_json() == made.to_json()
    assert back.actions[0].by == date(2026, 1, 5)
    assert back["unhappy"].estimate == SHARE
    assert back.grades[0].due.prediction == SAID
    assert back.parts[0].chart == made.parts[0].chart


def test_keys_of_a_later_version_are_passed_over():
    said = compose("feedback", "All well.", [full_part()]).to_json()
    said["metrics"][0]["colour"] = "red"
    assert from_json(said)["unhappy"].value == 0.25


def test_parts_that_are_not_there_are_left_out():
    made = compose("feedback", "Nothing.", [None, Part(title="Only numbers", metrics=[]), None])
    assert len(made.parts) == 1
    assert made.to_json()["parts"] == []
    assert made.status == "published"


def test_a_check_that_is_not_ok_warns_unless_a_status_is_given():
    part = Part(checks=[Check(name="a", verdict="warning", text="b")])
    assert compose("x", "y", [part]).status == "warnings"
    assert compose("x", "y", [part], status="too_few").status == "too_few"


def metric(name: str, *, headline: bool = False) -> Metric:
    return Metric(id=name, label=name, value=1, unit="orders", definition="", headline=headline)


def test_what_repeats_or_is_too_much_is_refused():
    with pytest.raises(UsageError, match="metric ids repeat"):
        compose("x", "y", [Part(metrics=[metric("a")]), Part(metrics=[metric("a")])])
    with pytest.raises(UsageError, match="tables repeat"):
        compose("x", "y", [Part(tables={"t": pd.DataFrame()}), Part(lists={"t": pd.DataFrame()})])
    with pytest.raises(UsageError, match="at most 4 tiles"):
        compose("x", "y", [Part(metrics=[metric(str(n), headline=True) for n in range(5)])])


@pytest.mark.parametrize(
    ("headline", "part", "says"),
    [
        (" ", {}, "needs a headline"),
        ("y", {"metrics": [replace(metric("a"), before=2.0)]}, "metric a: `before` needs `against`"),
        ("y", {"metrics": [replace(metric("a"), unit="percent")]}, "write share. Units: 'share'"),
        ("y", {"metrics": [replace(metric("a"), unit="€")]}, "write the shop's currency code"),
        ("y", {"actions": [Action(what="Call", owner="servise")]}, "given to 'servise'; did you mean 'service'"),
    ],
)
def test_what_a_page_would_say_wrongly_is_refused(headline, part, says):
    with pytest.raises(UsageError, match=re.escape(says)):
        compose("x", headline, [Part(**part)])


def test_the_roles_are_those_of_the_codebook_and_the_demo_shop():
    codebook = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    assert f"by role: {', '.join(ROLES)}\n" in codebook
    assert tuple(tomllib.loads(_MORE)["owners"]) == ROLES


def test_a_published_table_no_longer_changes():
    frame = pd.DataFrame({"a": [1]})
    part = Part(tables={"t": frame})
    frame.loc[0, "a"] = 2
    assert part.tables["t"]["a"].tolist() == [1]
    with pytest.raises(TypeError):
        part.tables["u"] = frame  # type: ignore[index]


def test_a_part_shows_itself_and_runs_nothing():
    shown = Part(title="<script>", sentence="<b>", chart=full_part().chart)._repr_mimebundle_()
    assert "<script>" not in shown["text/html"]
    assert shown[PART_MIME]["title"] == "<script>"


class Shop:
    as_of = date(2026, 1, 1)

    def __init__(self, owners: dict[str, str]) -> None:
        self.owners = owners

    def passport(self) -> dict[str, object]:
        return {"name": "Shop"}


@pytest.mark.parametrize(("owners", "named"), [({"service": "Ann's team"}, "Ann's team"), ({}, "")])
def test_owners_are_those_of_the_shop_or_nobody(owners, named):
    done = publishing.publish(compose("feedback", "x", [full_part()]), shop=Shop(owners))
    assert done.payload["actions"][0]["owner"] == named


@pytest.mark.parametrize(
    "text", ["-123", "=1+1", "+49 30", "@x", "'quoted", "plain", "a;=b", "\t=x", "", "'-1", "\uff1dx"]
)
def test_a_csv_we_wrote_comes_back_as_it_was(tmp_path, text):
    frame = pd.DataFrame({"customer_id": [text], "-n": ["1"]})
    path = tmp_path / "list.csv"
    path.write_text(publishing.csv_text(frame), encoding="utf-8", newline="")
    assert publishing.csv_rows(path) == [{"customer_id": text, "-n": "1"}]
    assert publishing.csv_rows(tmp_path / "none.csv") == []


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("'\"=+-@;\t\n\r ax,\uff1d"), max_size=8))
def test_any_text_comes_back_and_none_is_a_formula(text):
    written = publishing.csv_text(pd.DataFrame({"a": [text, "x"]}))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        path.write_bytes(written.encode())
        assert publishing.csv_rows(path)[0]["a"] == text
    assert not text or next(csv.reader(io.StringIO(written.split("\n", 1)[1])))[0][:1] not in tuple("=+-@\t\uff1d")
