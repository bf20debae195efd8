from __future__ import annotations

import json
import multiprocessing
import os
import re
from pathlib import Path
from typing import Any

import pytest

from crmlib.errors import Locked, UsageError
from crmlib.report.folder import manifest as manifests
from crmlib.report.folder import store as publish
from crmlib.report.folder.manifest import Manifest
from crmlib.report.page.index import rebuild
from crmlib.report.page.rules import validate

SHOP = {"name": "Small shop", "folder": "data/shop"}


def manifest(run_id: str, **changes: Any) -> Manifest:
    known = {
        "run_id": run_id, "report": "baskets", "variant": "", "title": "Baskets", "order": "08",
        "as_of": "2026-11-22", "status": "published", "reason": "", "headline": "Ten baskets.",
        "started_at": "2026-11-22T06:00:00.000+00:00",
    }  # fmt: skip
    return Manifest.from_json(known | changes)


def put(reports: Path, number: int, **changes: Any) -> Path:
    """Publish a run whose page says its number."""
    slug = manifests.slug_of(changes.get("report", "baskets"), changes.get("variant", ""))
    run_id = f"20261122-06000{number}-{slug}-00a{number}"
    staging = publish.stage(reports, run_id)
    (staging / "report.html").write_text(f"run {number}")
    return publish.publish(reports, staging, manifest(run_id, **changes))


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_run_stands_in_its_day_and_replaces_what_stood_there(tmp_path: Path) -> None:
    target = put(tmp_path, 1)
    assert target == tmp_path / "2026-11-22" / "baskets" and (target / "report.html").read_text() == "run 1"
    put(tmp_path, 2)
    assert (target / "report.html").read_text() == "run 2"
    kept = tmp_path / "superseded" / "20261122-060001-baskets-00a1"
    assert (kept / "report.html").read_text() == "run 1"
    assert list((tmp_path / ".staging").iterdir()) == []


def test_where_the_system_cannot_swap_two_renames_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "_exchange", lambda one, other: False)
    put(tmp_path, 1)
    target = put(tmp_path, 2)
    assert (target / "report.html").read_text() == "run 2"
    assert (tmp_path / "superseded" / "20261122-060001-baskets-00a1" / "report.html").read_text() == "run 1"


@pytest.mark.parametrize("exchanges", [True, False])
def test_the_disk_has_a_run_before_its_name_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanges: bool
) -> None:
    put(tmp_path, 1)
    held: set[int] = set()
    missing: list[str] = []
    settle, exchange, rename = os.fsync, publish._exchange, Path.rename

    def named(folder: Path) -> None:
        missing.extend(str(path) for path in [*folder.rglob("*"), folder] if path.stat().st_ino not in held)

    def swapped(one: Path, other: Path) -> bool:
        named(one)
        return exchanges and exchange(one, other)

    def renamed(path: Path, target: Path) -> Path:
        if ".staging" in path.parts and "superseded" not in Path(target).parts:
            named(path)
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", lambda number: (held.add(os.fstat(number).st_ino), settle(number)))
    monkeypatch.setattr(publish, "_exchange", swapped)
    monkeypatch.setattr(Path, "rename", renamed)
    put(tmp_path, 2)
    put(tmp_path, 3, as_of="2026-11-23")
    assert len(held) >= 6 and missing == []


def test_linux_swaps_in_one_step(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "says").write_text(name)
    if not publish._exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this file system cannot exchange two folders")
    assert (tmp_path / "a" / "says").read_text() == "b" and (tmp_path / "b" / "says").read_text() == "a"


def test_a_stop_between_the_two_renames_is_completed_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, 1)
    monkeypatch.setattr(publish, "_exchange", lambda one, other: False)
    real = publish._supersede

    def stop(*args: Any) -> None:
        real(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(publish, "_supersede", stop)
    with pytest.raises(KeyboardInterrupt):
        put(tmp_path, 2)
    monkeypatch.undo()
    target = tmp_path / "2026-11-22" / "baskets"
    assert not target.exists()
    publish.recover(tmp_path, "baskets")
    assert (target / "report.html").read_text() == "run 2"
    assert list((tmp_path / ".staging").iterdir()) == []


def test_a_stop_after_the_swap_puts_the_old_run_away_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, 1)

    def stop(*args: Any) -> None:
        raise KeyboardInterrupt

    def swap(one: Path, other: Path) -> bool:
        aside = one.with_name("aside")
        one.rename(aside), other.rename(one), aside.rename(other)
        return True

    monkeypatch.setattr(publish, "_exchange", swap)
    monkeypatch.setattr(publish, "_supersede", stop)
    with pytest.raises(KeyboardInterrupt):
        put(tmp_path, 2)
    monkeypatch.undo()
    publish.recover(tmp_path, "baskets")
    assert (tmp_path / "2026-11-22" / "baskets" / "report.html").read_text() == "run 2"
    assert (tmp_path / "superseded" / "20261122-060001-baskets-00a1" / "report.html").read_text() == "run 1"
    assert list((tmp_path / ".staging").iterdir()) == []


def test_recovery_clears_half_runs_of_its_own_report_only(tmp_path: Path) -> None:
    put(tmp_path, 1)
    before = everything(tmp_path / "2026-11-22")
    mine = publish.stage(tmp_path, "20261122-060005-baskets-00a5")
    (mine / "executed.ipynb").write_text("{")
    other = publish.stage(tmp_path, "20261122-060005-baskets@low-00a6")
    publish.recover(tmp_path, "baskets")
    assert not mine.exists() and other.exists()
    assert everything(tmp_path / "2026-11-22") == before


def test_latest_is_the_newest_good_run_by_day_not_by_clock(tmp_path: Path) -> None:
    put(tmp_path, 1, as_of="2026-11-21")
    put(tmp_path, 2, as_of="2026-11-22", status="warnings")
    put(tmp_path, 3, as_of="2026-11-23", status="too_few", reason="too few to conclude (n = 5)", headline="")
    put(tmp_path, 4, as_of="2026-11-01")
    put(
        tmp_path,
        5,
        report="feedback",
        status="not_available",
        title="Feedback",
        order="12",
        headline="",
        reason="needs feedback",
    )
    rebuild(tmp_path, shop=SHOP)
    latest = json.loads((tmp_path / "latest.json").read_text())
    assert set(latest) == {"baskets"} and latest["baskets"]["path"] == "2026-11-22/baskets/report.html"
    forward = (tmp_path / "latest" / "baskets.html").read_text()
    target = re.search(r'content="0; url=([^"]+)"', forward)
    assert target and (tmp_path / "latest" / target[1]).resolve() == tmp_path / "2026-11-22" / "baskets" / "report.html"
    assert [path.name for path in (tmp_path / "latest").iterdir()] == ["baskets.html"]
    index = (tmp_path / "index.html").read_text()
    assert "too few to conclude (n = 5)" in index and "needs feedback" in index and "has no answer" in index


def test_a_good_run_replaced_by_one_without_an_answer_leaves_latest(tmp_path: Path) -> None:
    put(tmp_path, 1)
    rebuild(tmp_path, shop=SHOP)
    assert (tmp_path / "latest" / "baskets.html").exists()
    put(tmp_path, 2, status="too_few")
    rebuild(tmp_path, shop=SHOP)
    assert not (tmp_path / "latest" / "baskets.html").exists()
    assert json.loads((tmp_path / "latest.json").read_text()) == {}


def test_variants_live_beside_each_other(tmp_path: Path) -> None:
    put(tmp_path, 1)
    put(tmp_path, 2, variant="low")
    rebuild(tmp_path, shop=SHOP)
    assert set(json.loads((tmp_path / "latest.json").read_text())) == {"baskets", "baskets@low"}
    assert (tmp_path / "2026-11-22" / "baskets@low" / "report.html").read_text() == "run 2"
    assert "Baskets (low)" in (tmp_path / "index.html").read_text()


def test_the_index_lists_every_run_newest_first_with_links_that_lead_somewhere(tmp_path: Path) -> None:
    tile = {"id": "b", "label": "Baskets sold", "value": "61,200", "unit": "", "interval": "", "note": "", "n": ""}
    for number, day in enumerate(["2026-11-20", "2026-11-22", "2026-11-21"]):
        put(tmp_path, number, as_of=day, tiles=[tile])
    staging = publish.stage(tmp_path, "20261122-070000-feedback-00ff")
    failed = manifest(
        staging.name, report="feedback", title="Feedback", status="failed", reason="KeyError in cell 3", headline=""
    )
    publish.keep_failure(tmp_path, staging, failed, html="<p>no</p>")
    rebuild(tmp_path, shop=SHOP)
    listed = json.loads((tmp_path / "index.json").read_text())
    assert listed["shop"] == SHOP
    assert [run["as_of"] for run in listed["runs"]] == ["2026-11-22", "2026-11-21", "2026-11-20", "2026-11-22"]
    html = (tmp_path / "index.html").read_text()
    validate(html)
    links = re.findall(r'<a href="([^"#]+)"', html)
    assert len(links) == 1 + 1 + 1 + 3 and all((tmp_path / link).exists() for link in links)
    assert "61,200" in html and "KeyError in cell 3" in html


def test_a_failure_made_good_is_listed_no_more(tmp_path: Path) -> None:
    staging = publish.stage(tmp_path, "20261122-050000-baskets-00ff")
    early = manifest(staging.name, status="failed", reason="was broken", started_at="2026-11-22T05:00:00.000+00:00")
    publish.keep_failure(tmp_path, staging, early, html="<p>no</p>")
    rebuild(tmp_path, shop=SHOP)
    assert "was broken" in (tmp_path / "index.html").read_text()
    put(tmp_path, 1)
    rebuild(tmp_path, shop=SHOP)
    assert "was broken" not in (tmp_path / "index.html").read_text()


def test_rebuilding_twice_writes_the_same_and_touches_nothing(tmp_path: Path) -> None:
    put(tmp_path, 1)
    rebuild(tmp_path, shop=SHOP)
    names = ["index.html", "index.json", "latest.json", "latest/baskets.html"]
    before = {name: ((tmp_path / name).stat().st_mtime_ns, (tmp_path / name).read_bytes()) for name in names}
    rebuild(tmp_path, shop=SHOP)
    assert {name: ((tmp_path / name).stat().st_mtime_ns, (tmp_path / name).read_bytes()) for name in names} == before


def test_a_broken_manifest_hides_its_run_and_no_other(tmp_path: Path) -> None:
    put(tmp_path, 1)
    put(tmp_path, 2, report="feedback", title="Feedback")
    (tmp_path / "2026-11-22" / "feedback" / "manifest.json").write_text("{")
    rebuild(tmp_path, shop=SHOP)
    assert [run["report"] for run in json.loads((tmp_path / "index.json").read_text())["runs"]] == ["baskets"]


def test_a_manifest_is_read_once_and_anew_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, 1)
    folder = tmp_path / "2026-11-22" / "baskets"
    texts: list[str] = []
    monkeypatch.setattr(json, "loads", lambda text, load=json.loads: (texts.append(text), load(text))[1])
    first = manifests.read_manifest(folder)
    assert first is not None and manifests.read_manifest(folder) is first and len(texts) == 1
    said = (folder / "manifest.json").read_text(encoding="utf-8").replace(first.run_id, "another")
    (folder / "manifest.json").write_text(said, encoding="utf-8")
    again = manifests.read_manifest(folder)
    assert again is not None and again.run_id == "another" and len(texts) == 2
    (folder / "manifest.json").unlink()
    assert manifests.read_manifest(folder) is None


def test_one_shop_a_reports_folder(tmp_path: Path) -> None:
    publish.claim(tmp_path, shop=SHOP)
    rebuild(tmp_path, shop=SHOP)
    publish.claim(tmp_path, shop=SHOP | {"name": "Renamed"})
    with pytest.raises(UsageError, match="--reports"):
        publish.claim(tmp_path, shop={"name": "Other", "folder": "data/other"})


def _hold(folder: str, ready: Any, leave: Any) -> None:
    with publish.lock(Path(folder), "baskets"):
        ready.set()
        leave.wait(20)


def test_a_lock_keeps_other_processes_out_and_ends_with_its_holder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready, leave = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(str(tmp_path), ready, leave))
    holder.start()
    try:
        assert ready.wait(10)
        with pytest.raises(Locked, match=f"process {holder.pid}") as caught, publish.lock(tmp_path, "baskets"):
            pass
        assert caught.value.exit_code == 75
        with publish.lock(tmp_path, "feedback"):
            pass
    finally:
        os.kill(holder.pid or 0, 9)
        holder.join()
    with publish.lock(tmp_path, "baskets"):
        pass


def test_numbers_that_are_none_are_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        manifests.write_json(tmp_path / "x.json", {"value": float("nan")})
    assert not (tmp_path / "x.json").exists()
