"""What lists earned: a planted gain is found, none is where none was, a spoilt control is noticed, and day by day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import crmlib as crm
from crmlib.analysis import earned as loop
from crmlib.cli import main
from crmlib.publishing import list_text
from crmlib.report.folder import kept
from tests.test_archive import put

ShopWriter = Callable[..., Path]

BEGIN, WEEKS, A_WEEK, TIMES, SPEND = date(2025, 1, 6), 52, 60, 0.4, float(np.exp(3.4 + 0.7**2 / 2))


def a_year(seed: int, *, more: float = 0.0, contaminated: float = 0.0) -> pd.DataFrame:
    """People of weekly lists: some buy often, most seldom; those written to `more` often."""
    rng = np.random.default_rng(seed)
    n = WEEKS * A_WEEK
    alone, level = rng.random(n) < 51 / 256, rng.gamma(0.7, 1 / 0.7, n)

    def spent(orders: np.ndarray) -> np.ndarray:
        return np.array([rng.lognormal(3.4, 0.7, k).sum() for k in orders])

    return pd.DataFrame(
        {
            "day": np.repeat(pd.date_range(BEGIN, periods=WEEKS, freq="7D"), A_WEEK), "alone": alone,
            "value": spent(rng.poisson(level * TIMES * np.where(alone, 1, 1 + more))),
            "before": spent(rng.poisson(level * TIMES * 6)), "answered": False,
            "contacted": ~alone | (alone & (rng.random(n) < contaminated)),
        }
    )  # fmt: skip


def weekly(people: pd.DataFrame) -> list[dict[str, object]]:
    """What each Monday of the year and of the two months after it read."""
    days = [BEGIN + timedelta(days=7 * week) for week in range(10, WEEKS + 10)]
    return [loop.compare(people[people["day"] < pd.Timestamp(day)], day) for day in days]


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_gain_is_found_within_its_interval(seed: int) -> None:
    looks = weekly(a_year(seed, more=0.5))
    truth = 0.5 * TIMES * SPEND
    assert looks[-1]["verdict"] == "earns"
    assert looks[-1]["low"] < truth < looks[-1]["high"]
    assert not any(str(look["verdict"]).startswith("costs") for look in looks)


@pytest.mark.slow
def test_none_is_found_where_none_was_planted_however_often_one_looks() -> None:
    """200 years of 52 weekly looks: at most the declared 5 % say anything (the bound allows for 200 draws)."""
    said = [any(look["verdict"] != "not known yet" for look in weekly(a_year(seed))) for seed in range(1000, 1200)]
    assert np.mean(said) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)


def test_what_was_earned_is_drawn_week_by_week() -> None:
    """As each week read it: no week before enough windows had closed, none of what came later; too few weeks, no line."""
    people, day = a_year(2, more=0.5), BEGIN + timedelta(days=7 * 30)
    weeks = loop.by_week(people, day, cost=1.0)
    assert (
        15 < len(weeks) < 26
        and weeks["day"].iloc[-1] == day
        and weeks["day"].diff().dropna().eq(timedelta(days=7)).all()
    )
    for row in (weeks.iloc[0], weeks.iloc[-1]):
        told = loop.compare(people[people["day"] < pd.Timestamp(row["day"])], row["day"], cost=1.0)
        assert (row["each"], row["low"], row["high"]) == (told["each"], told["low"], told["high"])
    table = pd.DataFrame([{"list": "due", **loop.compare(people[people["day"] < pd.Timestamp(day)], day)}])
    drawn = [
        loop.part_earned(loop.Earned(table, "margin", "EUR", 1.0, day, weeks.tail(n).reset_index(drop=True))).chart
        for n in (2, 3)
    ]
    assert [("beyond those left alone" in chart.alt, "As each week" in chart.caption) for chart in drawn] == [
        (False, False), (True, True)]  # fmt: skip
    assert drawn[0].table == drawn[1].table


def test_a_contact_costs() -> None:
    people = a_year(7, more=0.0)
    day = BEGIN + timedelta(days=7 * (WEEKS + 9))
    free, dear = loop.compare(people, day), loop.compare(people, day, cost=12.0)
    assert dear["each"] == pytest.approx(free["each"] - 12)
    assert dear["verdict"] == "costs more than it brings"


def test_a_spoilt_control_is_noticed() -> None:
    day = BEGIN + timedelta(days=7 * (WEEKS + 9))
    assert loop.compare(a_year(3, more=0.5, contaminated=0.2), day)["verdict"] == "spoilt"
    people = a_year(3, more=0.5)
    # Half of those to be left alone went missing from the list.
    fewer = people[~people["alone"] | (np.arange(len(people)) % 2 == 0)]
    assert loop.compare(fewer, day)["verdict"] == "spoilt"


def test_what_was_known_before_narrows_the_range_and_moves_no_mean() -> None:
    people = a_year(5)
    flat = people.assign(before=0.0)
    day = BEGIN + timedelta(days=7 * (WEEKS + 9))
    one, other = loop.compare(people, day), loop.compare(flat, day)
    assert one["high"] - one["low"] < 0.97 * (other["high"] - other["low"])
    assert (one["mean"], one["mean_alone"]) == (other["mean"], other["mean_alone"])


def test_the_day_of_a_first_answer_is_when_enough_windows_have_closed() -> None:
    people = a_year(11)
    day = BEGIN + timedelta(days=30)
    seen = people[people["day"] < pd.Timestamp(day)]
    told = loop.compare(seen, day)
    by = told["answer_by"]
    assert told["verdict"] == "not known yet" and isinstance(by, date)
    before, then = by - timedelta(days=1), by + timedelta(days=1)
    assert np.isnan(loop.compare(people[people["day"] < pd.Timestamp(before)], before)["each"])
    assert not np.isnan(loop.compare(people[people["day"] < pd.Timestamp(then)], then)["each"])


LISTED = [
    {"customer_id": f"c{n}", "lot": "leave alone" if n % 5 == 0 else "write", "reason": "due"} for n in range(200)
]


def orders(day: date) -> pd.DataFrame:
    """Everybody bought for 10 in the year before; those written to for 30 in the window, the others for 20, late too."""
    rows = []
    for n, row in enumerate(LISTED):
        rows.append((f"b{n}", row["customer_id"], day - timedelta(days=40), 10.0))
        amount = 20.0 if row["lot"] == "leave alone" else 30.0
        rows.append((f"a{n}", row["customer_id"], day + timedelta(days=n % 60), amount))
        rows.append((f"l{n}", row["customer_id"], day + timedelta(days=60), 500.0))
    return pd.DataFrame(rows, columns=["order_id", "customer_id", "ordered_at", "total"])


def test_orders_of_the_window_are_counted_by_the_lot(
    tmp_path: Path, write_shop: ShopWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = date(2026, 1, 5)
    kept.assign(tmp_path, "due", LISTED, day)
    kept.assign(tmp_path, "due", LISTED, day + timedelta(days=7))  # listed again: counts from its first day
    kept.remember(tmp_path, {"list": "due", "channel": "email", "day": str(day)}, ["c1", "c2", "c5"])
    answer = {"list": "briefing", "channel": "email", "day": str(day), "customer_id": "c10", "personal": "yes"}
    kept.contacted(tmp_path, [answer])  # whoever waits for an answer gets one on either side, which spoils nothing
    monkeypatch.setenv(kept.VARIABLE, str(tmp_path / kept.FOLDER))
    folder = write_shop(orders=orders(day))
    found = loop.earned(crm.connect(folder, as_of=day + timedelta(days=70)))
    row = found.of("due")
    assert len(found) == 1 and found.money == "revenue"
    assert (row["written"], row["left_alone"], row["waiting"]) == (160, 40, 0)
    assert (row["mean"], row["mean_alone"], row["each"]) == (30.0, 20.0, pytest.approx(10.0))
    assert (row["contacted"], row["contaminated"]) == (2, 1) and row["verdict"] == "earns"
    costs = pd.DataFrame({"kind": ["contact", "offer"], "amount": [1.0, 2.5], "valid_from": "2025-01-01"})
    dear = loop.earned(crm.connect(write_shop("dear", orders=orders(day), costs=costs), as_of=day + timedelta(days=70)))
    assert dear.cost == 3.5 and dear.of("due")["each"] == pytest.approx(6.5)
    # A day before the window closes nobody counts, and the day of a first answer is said.
    early = loop.earned(crm.connect(folder, as_of=day + timedelta(days=59))).of("due")
    assert (early["written"], early["waiting"]) == (0, 200) and early["answer_by"] == day + timedelta(days=60)
    whole = loop.earned(crm.connect(folder, as_of=day + timedelta(days=60))).of("due")
    assert (whole["written"], whole["waiting"], whole["each"]) == (160, 0, pytest.approx(10.0))


def test_letters_of_the_shops_own_record_spoil_a_control_and_newsletters_do_not(
    tmp_path: Path, write_shop: ShopWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = date(2026, 1, 5)
    kept.assign(tmp_path, "due", LISTED, day)
    monkeypatch.setenv(kept.VARIABLE, str(tmp_path / kept.FOLDER))
    everybody = [f"c{n}" for n in range(400)]  # half of them on no list
    alone = [row["customer_id"] for row in LISTED if row["lot"] == "leave alone"]
    asked = [row["customer_id"] for row in LISTED if row["lot"] == "write"]

    def due(name: str, *sent: tuple[list[str], date, str, str, str]) -> dict[str, object]:
        rows = [(who, str(at), channel, kind, campaign) for ids, at, channel, kind, campaign in sent for who in ids]
        touches = pd.DataFrame(rows, columns=["customer_id", "at", "channel", "kind", "campaign_id"])
        shop = crm.connect(write_shop(name, orders=orders(day), touches=touches), as_of=day + timedelta(days=70))
        return loop.earned(shop).of("due")

    week = day + timedelta(days=7)
    news = (everybody, week, "newsletter", "sent", "spring")
    clean = due("clean", news, (alone, week, "e-mail", "bounce", "due"), (alone, day - timedelta(days=1), "e-mail", "sent", "x"),
                (alone, day + timedelta(days=60), "e-mail", "sent", "x"), (asked, week, "e-mail", "sent", "due"))  # fmt: skip
    assert clean["contaminated"] == 0 and clean["contacted"] == 160 and clean["verdict"] == "earns"
    # The list's own letter by mistake to a few left alone, to all of them, or another letter to them alone.
    for name, ids, n in (("few", asked + alone[:8], 8), ("all", asked + alone, 40), ("only", alone[:5], 5)):
        spoilt = due(name, news, (ids, week, "e-mail", "sent", ""))
        assert spoilt["contaminated"] == n and spoilt["verdict"] == "spoilt", name


def test_nothing_was_used_so_nothing_is_measured(tmp_path: Path, write_shop: ShopWriter) -> None:
    assert loop.earned(crm.connect(write_shop(orders=orders(date(2026, 1, 5))))).table.empty
    kept.assign(tmp_path, "customers", [{"customer_id": "c1", "lot": ""}], date(2026, 1, 5))
    assert kept.rows(tmp_path, kept.ASSIGNED) == []


def test_a_lost_key_moves_nobody_from_one_side_to_the_other(tmp_path: Path) -> None:
    day = date(2026, 1, 5)
    kept.assign(tmp_path, "due", LISTED[:6], day)
    turned = [{**row, "lot": "write"} for row in LISTED[:6]]
    kept.assign(tmp_path, "due", turned, day + timedelta(days=30))
    rows = kept.rows(tmp_path, kept.ASSIGNED)
    assert {row["customer_id"]: row["lot"] for row in rows}["c0"] == "leave alone"
    assert {row["day"] for row in rows} == {str(day)}
    # The next half-year draws anew.
    kept.assign(tmp_path, "due", turned, date(2026, 7, 2))
    assert len(kept.rows(tmp_path, kept.ASSIGNED)) == 12


def test_crm_outcome_takes_in_what_was_done(tmp_path: Path) -> None:
    day = "2026-01-05"
    run = put(tmp_path, day, report="briefing")
    (run / "lists").mkdir()
    (run / "lists" / "briefing.csv").write_text(list_text(pd.DataFrame(LISTED)), encoding="utf-8")
    put(tmp_path, "2026-02-01", report="briefing")  # came later, and has no list
    done = tmp_path / "done.csv"
    done.write_text(
        "customer_id,contacted_at,answered\nc1,2026-01-06,yes\nc2,2026-01-07,\nc5,2026-01-07,NO\nx,2026-01-07,\n"
    )

    def crm_outcome(file: Path) -> tuple[int, str]:
        words = ["outcome", "briefing", "briefing", str(file), "--reports", str(tmp_path)]
        told = CliRunner().invoke(main, words)
        return told.exit_code, told.output

    late = tmp_path / "late.csv"
    late.write_text("customer_id,contacted_at\nc1,2026-01-06\nc1,2026-02-02\n")
    code, output = crm_outcome(late)
    assert code == 2 and "has no list 'briefing'" in output
    assert not kept.rows(tmp_path, kept.ASSIGNED) and not kept.rows(tmp_path, kept.EXPORTED)  # all or nothing
    said = "4 contacted, 1 answered; 1 of them not on the list, 1 to be left alone"
    assert crm_outcome(done) == (0, said + "\n")
    before = kept.rows(tmp_path, kept.EXPORTED)
    assert crm_outcome(done)[0] == 0 and kept.rows(tmp_path, kept.EXPORTED) == before
    assert {(r["customer_id"], r["channel"], r["answered"]) for r in before} == {
        ("c1", "phone", "yes"), ("c2", "phone", ""), ("c5", "phone", "no"), ("x", "phone", ""),
    }  # fmt: skip
    assigned = kept.rows(tmp_path, kept.ASSIGNED)
    assert len(assigned) == len(LISTED) and {row["day"] for row in assigned} == {day}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("customer_id,contacted_at\nc1,6.1.2026\n", "line 2: contacted_at is '6.1.2026'"),
        ("customer_id,contacted_at,answered\nc1,2026-01-06,yes\n,2026-01-06,\n", "line 3: customer_id is ''"),
        ("customer_id,contacted_at,answered\nc1,2026-01-06,maybe\n", "answered 'maybe'"),
        ("customer_id,contacted_at\n", "names nobody"),
        ("customer_id,contacted_at\nc1,2025-01-06\n", "no good run as of 2025-01-06 or before"),
    ],
)
def test_an_outcome_that_cannot_be_read_says_which_line(tmp_path: Path, text: str, fault: str) -> None:
    put(tmp_path, "2026-01-05", report="briefing")
    (tmp_path / "done.csv").write_text(text)
    words = ["outcome", "briefing", "briefing", str(tmp_path / "done.csv"), "--reports", str(tmp_path)]
    told = CliRunner().invoke(main, words)
    assert told.exit_code == 2 and fault in told.output
    assert not kept.rows(tmp_path, kept.EXPORTED)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "more"), [(1, 0.6), (2, 0.6), (3, 0.0), (4, 0.0)])
def test_a_year_of_weekly_lists_is_measured_from_the_shops_own_orders(
    seed: int, more: float, tmp_path: Path, write_shop: ShopWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    rows, days = [], 365 + 7 * WEEKS + loop.WINDOW_DAYS
    level = rng.gamma(0.7, 1 / 0.7, WEEKS * A_WEEK) * TIMES / loop.WINDOW_DAYS
    for who, rate in enumerate(level):
        week, alone = who // A_WEEK, rng.random() < 51 / 256
        listed = 365 + 7 * week
        for at in np.sort(rng.integers(0, days, rng.poisson(rate * days))):
            rows.append((who, int(at), float(rng.lognormal(3.4, 0.7))))
        gained = 0 if alone else rng.poisson(rate * loop.WINDOW_DAYS * more)
        rows += [
            (who, int(listed + rng.integers(0, loop.WINDOW_DAYS)), float(rng.lognormal(3.4, 0.7)))
            for _ in range(gained)
        ]
        if who % A_WEEK == 0:
            week_rows: list[dict[str, str]] = []
        week_rows.append({"customer_id": f"c{who}", "lot": "leave alone" if alone else "write"})
        if who % A_WEEK == A_WEEK - 1:
            kept.assign(tmp_path, "briefing", week_rows, BEGIN + timedelta(days=7 * week))
    table = pd.DataFrame(rows, columns=["customer_id", "at", "total"]).reset_index(names="order_id")
    table["ordered_at"] = [str(BEGIN + timedelta(days=at - 365)) for at in table.pop("at")]
    table["customer_id"] = "c" + table["customer_id"].astype(str)
    monkeypatch.setenv(kept.VARIABLE, str(tmp_path / kept.FOLDER))
    shop = crm.connect(write_shop(orders=table.round(2)), as_of=BEGIN + timedelta(days=7 * WEEKS + loop.WINDOW_DAYS))
    row = loop.earned(shop).of("briefing")
    assert row["written"] + row["left_alone"] == WEEKS * A_WEEK and row["waiting"] == 0
    assert row["low"] <= more * TIMES * SPEND <= row["high"]
    assert row["verdict"] == ("earns" if more else "not known yet")
