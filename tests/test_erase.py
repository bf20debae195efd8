"""What is kept of a person can be shown and taken away: by hand, twice, in the middle of a run, of somebody unknown."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

import crmlib
from crmlib import cli, stones
from crmlib.errors import DataError
from crmlib.handover import TARGETS
from crmlib.handover.people import LEFT_ALONE, OTHER_LIST
from crmlib.publishing import csv_rows
from crmlib.report import archive, erasing
from crmlib.report.folder import kept, store
from crmlib.report.folder.manifest import Manifest, fingerprint, read_manifest, write_json
from crmlib.report.plan import Outcome
from tests.pages_helpers import make_project, write_notebook

LIST = (
    '\ufeffcustomer_id,lot,name,email,note\n\'-123,write,Ann,ann@example.com,"two\nlines, of 17"\n17,write,Bo,bo@example.com,x\n'
    "C9,leave alone,Cy,cy@example.com,mentions nobody\n"
)
ERROR = "KeyError: row 17 of bo@example.com, ANN@example.com, order 1170 and '-123'\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = make_project(tmp_path)
    shop = made / "data" / "shop"
    shop.mkdir(parents=True, exist_ok=True)
    ids = ["-123", "17", "C9"]
    people = pd.DataFrame({"customer_id": ids, "email": ["Ann@example.com", "bo@example.com", "cy@example.com"],
                           "phone": ["+49 30 23125001", "", ""], "email_consent": "yes"})  # fmt: skip
    people.to_csv(shop / "customers.csv", index=False)
    orders = pd.DataFrame({"order_id": ["o1", "o2", "o3"], "ordered_at": "2026-01-05", "customer_id": ids, "total": 10,
                           "ship_to": ["Ann", "Bo", "Cy"]})  # fmt: skip
    orders.to_csv(shop / "orders.csv", index=False)
    texts = pd.DataFrame(
        {"feedback_id": ["f1"], "text": ["Hello"], "created_at": "2026-01-06", "customer_id": ["-123"]}
    )
    texts.to_csv(shop / "feedback.csv", index=False)
    (shop / "shop.toml").write_text('name = "S"\nas_of = 2026-02-01\n')
    reports = made / "reports"
    reports.mkdir(exist_ok=True)
    write_json(reports / "index.json", {"shop": {"name": "S", "folder": "data/shop"}, "runs": []})
    monkeypatch.chdir(made)
    # The commands set both, for this process.
    monkeypatch.setenv("CRM_KEY", "a key of sixteen letters")
    monkeypatch.setenv("CRM_KEPT", "")
    return made


def put(reports: Path, as_of: str, *, report: str = "clv", kind: str = "", **changes: object) -> Path:
    run_id = f"20260101-000000-{report}-{as_of[-2:]}{kind[:2] or '00'}"
    folder = reports / (kind or as_of) / (run_id if kind else report)
    (folder / "lists").mkdir(parents=True)
    (folder / "lists" / "people.csv").write_bytes(LIST.encode())
    (folder / "lists" / "predictions.csv").write_text("customer_id,chance\n-123,0.5\n17,0.1\n")
    (folder / "lists" / "pairs.csv").write_text("item,then\na,b\n")
    (folder / "executed.ipynb").write_text(json.dumps({"cells": [{"n": 17, "text": ERROR}]}))
    (folder / "error.txt").write_text(ERROR)
    files = {path.relative_to(folder).as_posix(): fingerprint(path) for path in folder.rglob("*") if path.is_file()}
    said = Manifest(
        run_id=run_id,
        report=report,
        as_of=date.fromisoformat(as_of),
        status="published",
        rows={"people": 3, "predictions": 2},
        files=files,
        **changes,
    )  # type: ignore[arg-type]
    write_json(folder / "manifest.json", said.to_json())
    return folder


def crm(*words: str) -> Result:
    return CliRunner().invoke(cli.main, list(words))


def everything(folder: Path) -> str:
    return "\n".join(
        path.read_text() for path in sorted(folder.rglob("*")) if path.is_file() and ".locks" not in path.parts
    )


def test_a_person_is_taken_out_of_everything_and_what_stands_stays_verified(project: Path) -> None:
    reports = project / "reports"
    runs = [
        put(reports, "2026-02-01"),
        put(reports, "2026-01-01", kind="superseded"),
        put(reports, "2026-01-02", kind="failed"),
    ]
    exports = kept.folder(reports) / "exports"
    kept.private_text(exports / "2026-02-01-clv-people-brevo.csv", "EMAIL;X\nann@example.com;1\nbo@example.com;2\n")
    kept.hold(reports, runs[0] / "lists", date(2026, 2, 1))
    kept.remember(reports, {"list": "people", "channel": "email", "day": "2026-02-01"}, ["-123", "17"])
    done = crm("erase", "Ann@Example.com")
    assert done.exit_code == 0, done.output
    assert "8 rows taken out, 14 files changed" in done.output and "delete there, too" in done.output
    left = everything(reports)
    assert not re.search(r"ann@example|-123|\bAnn\b|23125001", left, re.IGNORECASE)
    # Everybody else is where he was, to the byte.
    assert (runs[0] / "lists" / "people.csv").read_text().split("\n")[1:] == LIST.split("\n")[3:]
    assert (
        runs[2] / "error.txt"
    ).read_text() == "KeyError: row 17 of bo@example.com, [erased], order 1170 and '[erased]'\n"
    assert json.loads((runs[0] / "executed.ipynb").read_text())["cells"][0]["n"] == 17
    assert archive.damages(reports) == (1, [])
    manifest = read_manifest(runs[0])
    assert manifest and manifest.rows == {"people": 2, "predictions": 1}
    log = [json.loads(line) for line in (kept.folder(reports) / kept.AUDIT).read_text().splitlines()]
    assert [line["what"] for line in log] == ["erase"] and log[0]["rows"] == 8
    assert not crm("verify").exit_code


def test_the_next_import_does_not_bring_the_person_back(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by id, nor under another id with the same address; orders stay as a guest's, without what is said of them."""
    put(project / "reports", "2026-02-01")
    assert crm("erase", "--", "-123").exit_code == 0
    monkeypatch.setenv("CRM_KEPT", "")
    shop = project / "data" / "shop"
    assert (shop / ".erased.json").stat().st_mode & 0o077 == 0
    people = pd.read_csv(shop / "customers.csv", dtype=str)
    again = pd.DataFrame([{"customer_id": "N1", "email": " ANN@example.com"}])
    pd.concat([people, again]).to_csv(shop / "customers.csv", index=False)
    orders = pd.read_csv(shop / "orders.csv", dtype=str)
    more = orders.assign(order_id="o4", customer_id="N1").head(1)
    pd.concat([orders, more]).to_csv(shop / "orders.csv", index=False)
    store_ = crmlib.connect(shop)
    assert set(store_.fetch("customers")["customer_id"]) == {"17", "C9"}
    found = store_.fetch("orders").set_index("order_id")
    assert found["customer_id"].fillna("").to_dict() == {"o1": "", "o2": "17", "o3": "C9", "o4": ""}
    assert found["ship_to"].fillna("").to_dict() == {"o1": "", "o2": "Bo", "o3": "Cy", "o4": ""}
    assert found["total"].sum() == 40 and store_.fetch("feedback").empty
    assert store_.audits["customers"].set_aside == {"erased": 2} and store_.audits["feedback"].set_aside == {
        "erased": 1
    }
    sums = store_.reconciliation().iloc[-1]
    assert sums["read"] == sums["kept"] + sums["set_aside"] + sums["after_as_of"]


def test_erased_twice_says_so_and_finds_nothing(project: Path) -> None:
    put(project / "reports", "2026-02-01")
    assert crm("erase", "17").exit_code == 0
    before = everything(project / "reports" / "2026-02-01")
    again = crm("erase", "17")
    assert again.exit_code == 0 and "erased before; 0 rows taken out, 0 files changed" in again.output
    assert everything(project / "reports" / "2026-02-01") == before


def test_somebody_unknown_is_said_and_nothing_is_written(project: Path) -> None:
    before = everything(project)
    for command in ("erase", "subject"):
        done = crm(command, "nobody@example.com")
        assert done.exit_code == 2 and "nothing is kept of 'nobody@example.com'" in done.output
    assert everything(project) == before


def test_whom_only_old_lists_know_can_be_erased(project: Path) -> None:
    put(project / "reports", "2026-02-01")
    people = pd.read_csv(project / "data" / "shop" / "customers.csv", dtype=str)
    for name in ("customers", "orders"):
        frame = pd.read_csv(project / "data" / "shop" / f"{name}.csv", dtype=str)
        frame[frame["customer_id"] != "17"].to_csv(project / "data" / "shop" / f"{name}.csv", index=False)
    assert len(people) == 3
    done = crm("erase", "17")
    assert done.exit_code == 0 and "2 rows taken out" in done.output


def test_erased_in_the_middle_of_a_run(project: Path) -> None:
    """What stands of a report that is being run is left for later, and what it is about to publish leaves them out."""
    reports = project / "reports"
    running, other = put(reports, "2026-02-01"), put(reports, "2026-02-01", report="baskets")
    with store.lock(reports, "clv"):
        done = crm("erase", "17")
        assert done.exit_code == 75 and "clv is being run: give the command again" in done.output
        assert "17" in {row["customer_id"] for row in csv_rows(running / "lists" / "people.csv")}
        assert "17" not in {row["customer_id"] for row in csv_rows(other / "lists" / "people.csv")}
        staging = store.stage(reports, "20260201-000000-clv-abcd")
        (staging / "lists").mkdir()
        (staging / "lists" / "people.csv").write_bytes(LIST.encode())
        erasing.leave_out(reports, staging)
        assert {row["customer_id"] for row in csv_rows(staging / "lists" / "people.csv")} == {"-123", "C9"}
        store.recover(reports, "clv")
    done = crm("erase", "17")
    assert done.exit_code == 0 and "erased before; 2 rows taken out" in done.output
    assert "bo@example.com" not in everything(project / "reports")
    assert "17" not in {row["customer_id"] for row in csv_rows(running / "lists" / "people.csv")}


def test_a_power_cut_between_manifest_and_list_is_mended_by_the_next_call(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = put(project / "reports", "2026-02-01")
    replace = Path.replace

    def cut(self: Path, target: Path) -> Path:
        if self.suffix == ".new":
            raise OSError("power cut")
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", cut)
        assert crm("erase", "17").exit_code == 1 and archive.damages(project / "reports")[1]
    assert crm("erase", "17").exit_code == 0 and archive.damages(project / "reports") == (1, [])
    assert not list(folder.rglob("*.new"))


def test_a_list_that_was_damaged_stays_damaged(project: Path) -> None:
    folder = put(project / "reports", "2026-02-01")
    (folder / "lists" / "people.csv").write_text(LIST + "X,write,by hand,,\n")
    assert crm("erase", "17").exit_code == 0
    assert archive.damages(project / "reports")[1] == ["2026-02-01/clv/lists/people.csv is not as it was published"]


def test_all_that_is_kept_of_a_person_comes_as_a_file(project: Path) -> None:
    put(project / "reports", "2026-02-01")
    done = crm("subject", "Ann@example.com", "--out", "ann.json")
    assert done.exit_code == 0, done.output
    told = json.loads((project / "ann.json").read_text())
    assert told["customer"] == "-123" and told["tables"]["customers"][0]["phone"] == "+49 30 23125001"
    assert set(told["tables"]) == {"customers", "orders", "feedback"} and len(told["tables"]["orders"]) == 1
    assert set(told["kept"]) == {"2026-02-01/clv/lists/people.csv", "2026-02-01/clv/lists/predictions.csv"}
    assert (project / "ann.json").stat().st_mode & 0o077 == 0
    assert "bo@example.com" not in (project / "ann.json").read_text()


def test_an_address_of_several_is_asked_about(project: Path) -> None:
    people = pd.read_csv(project / "data" / "shop" / "customers.csv", dtype=str).assign(email="all@example.com")
    people.to_csv(project / "data" / "shop" / "customers.csv", index=False)
    done = crm("erase", "all@example.com")
    assert done.exit_code == 2 and "3 customers have this address: -123, 17, C9; name one by its id" in done.output


def test_a_damaged_stone_stops_the_import(project: Path) -> None:
    (project / "data" / "shop" / ".erased.json").write_text("{")
    with pytest.raises(DataError, match="those who were erased come back"):
        crmlib.connect(project / "data" / "shop")


def test_old_lists_are_thinned_to_what_grades_need(project: Path) -> None:
    reports = project / "reports"
    old = put(reports, "2026-01-01")
    waits = put(reports, "2026-01-02", report="b", predicts=(date(2026, 3, 1),))
    aside = put(reports, "2026-01-03", kind="superseded", predicts=(date(2026, 3, 1),))
    new = put(reports, "2026-02-01")
    assert erasing.thin(reports, date(2026, 2, 1)) == 5
    names = [{path.name for path in (run / "lists").iterdir()} for run in (old, waits, aside, new)]
    assert names == [{"pairs.csv"}, {"pairs.csv", "predictions.csv"}, {"pairs.csv"},
                     {"pairs.csv", "predictions.csv", "people.csv"}]  # fmt: skip
    assert archive.damages(reports) == (3, [])


def test_a_stone_is_no_name() -> None:
    text = stones.Stones().with_ones(ids=["C00017"], contacts=["Ann@example.com"]).text()
    assert "C00017" not in text and "ann" not in text.lower()
    assert len({stones.Stones().with_ones(ids=["C1"]).text() for _ in range(3)}) == 3


def test_a_list_is_handed_over_by_the_command_and_all_of_it_is_recorded(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = project / "reports"
    put(reports, "2026-02-01")
    # An earlier run left somebody alone: this is read from disk, the list itself says nothing of it.
    held = {"customer_id": "17", "list": "winback", "since": "2026-01-10", "until": "2026-07-01"}
    kept.keep(reports, kept.HELD, [held])
    words = ["export", "clv", "people", "--to", "klaviyo"]
    for _ in range(2):  # giving the command again changes nothing
        done = crm(*words)
        assert done.exit_code == 0, done.output
        assert "1 of 3 in" in done.output and f"2  {LEFT_ALONE}" in done.output
        assert TARGETS["klaviyo"].notice in done.output.replace("\n", " ")
    out = kept.folder(reports) / "exports"
    file, rejected = out / "2026-02-01-clv-people-klaviyo.csv", out / "2026-02-01-clv-people-klaviyo-rejected.csv"
    assert {path.stat().st_mode & 0o077 for path in (file, rejected)} == {0}
    assert [row["Email"] for row in csv_rows(file)] == ["ann@example.com"]
    assert {row["customer_id"]: row["reason"] for row in csv_rows(rejected)} == {"17": LEFT_ALONE, "C9": LEFT_ALONE}
    exported = [
        [row[name] for name in ("customer_id", "list", "channel", "day")] for row in kept.rows(reports, kept.EXPORTED)
    ]
    assert exported == [["-123", "people", "email", "2026-02-01"]]
    # The calendar has the holidays of the shop's country; nobody is written to by it.
    with (project / "data" / "shop" / "shop.toml").open("a") as toml:
        toml.write('country = "DE"\n')
    (reports / "2026-02-01" / "clv" / "lists" / "people.csv").write_text(
        LIST.replace("note", "by", 1).replace('"two\nlines, of 17"', "2026-02-10")
    )
    assert crm("export", "clv", "people", "--to", "calendar").exit_code == 0
    assert "SUMMARY:Good Friday" in (out / "2026-02-01-clv-people-calendar.ics").read_text()
    assert len(kept.rows(reports, kept.EXPORTED)) == 1
    audit = kept.folder(reports) / kept.AUDIT
    line = json.loads(audit.read_text().splitlines()[0])
    assert line.pop("at") and line == {
        "what": "export", "report": "clv", "list": "people", "day": "2026-02-01", "to": "klaviyo", "channel": "email",
        "people": 1, "rejected": {LEFT_ALONE: 2},
    }  # fmt: skip
    assert not re.search("ann@|bo@|-123|C9", audit.read_text(), re.IGNORECASE)
    # Who was handed over with one list is not with another of the same week.
    assert f"1  {OTHER_LIST}" in crm("export", "clv", "predictions", "--to", "klaviyo").output
    # A file that the tool would refuse is not written, and nothing of it is recorded.
    before = everything(kept.folder(reports))
    monkeypatch.setitem(TARGETS, "klaviyo", replace(TARGETS["klaviyo"], most_bytes=20))  # type: ignore[arg-type]
    unknown = crm(*words, "--channel", "sms", "--out", "elsewhere")
    assert unknown.exit_code == 3 and "customers.sms_consent is missing, so nobody can be handed over" in unknown.output
    refused = crm(*words, "--out", "elsewhere")
    assert refused.exit_code == 2 and "klaviyo takes files of up to 0 MB; export a shorter list" in refused.output
    assert everything(kept.folder(reports)) == before and not (project / "elsewhere").exists()


def test_a_run_thins_lists_older_than_the_shop_keeps_them(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`keep_lists` counts back from the shop's day, once all reports have ended; without it every list stays."""
    reports = project / "reports"
    old, newer = put(reports, "2026-01-10"), put(reports, "2026-01-12")
    write_notebook(project, "08_baskets", [], title="Baskets")
    there = []

    def ends(chosen: list[Any], *, plan: Any, say: Any, **_: Any) -> list[Outcome]:
        there.append((old / "lists" / "people.csv").exists())
        say(done := Outcome(report=chosen[0].name, status="published", exit_code=0, path=plan.reports / "x.html"))
        return [done]

    monkeypatch.setattr("crmlib.report.runner.supervisor.run", ends)
    for keep, left in (("", [True, True]), ('keep_lists = "20d"\n', [False, True])):
        with (project / "data" / "shop" / "shop.toml").open("a") as toml:
            toml.write(keep)
        done = crm("run", "baskets", "--shop", "data/shop")
        assert done.exit_code == 0, done.output
        assert [(run / "lists" / "people.csv").exists() for run in (old, newer)] == left
    assert there == [True, True] and archive.damages(reports) == (2, [])
