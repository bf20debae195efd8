"""Seasons: counted by hand, a season only where a later year shows it, alerts at their rate, shifts in their dates."""

import itertools
import json
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import crmlib as crm
from crmlib import cli
from crmlib.analysis.seasons import facts
from crmlib.analysis.seasons.alerts import moved_to, what
from crmlib.analysis.seasons.demand import amount, contest, periods
from crmlib.analysis.seasons.normal import CONFIRMED, confirmed
from crmlib.analysis.seasons.page import headline, part_limits
from crmlib.analysis.seasons.shifts import Shift, _lately, between, said
from crmlib.analysis.seasons.watching import bar_of, episodes
from crmlib.errors import NotAvailable, UsageError
from crmlib.findings import Due, Prediction
from crmlib.formats import Estimate
from crmlib.report.memory import raised
from crmlib.shop.samples import demo
from tests.conftest import ROOT
from tests.quiet_shops import END, GROUPS, season, shop, until

se = crm.seasons
BOOKED = "app down by 21, web up by 34; the total is as expected, so look at how orders are booked"


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory):
    """The demo shop as large as `crm demo` makes it: an outage of one channel does not show in a small one."""
    return demo.make(tmp_path_factory.mktemp("seasons") / "demo")


@pytest.fixture(scope="module")
def demo_shop(demo_folder):
    return crm.connect(demo_folder)


@pytest.fixture(scope="module")
def days(demo_shop):
    return se.measure(demo_shop)


@pytest.fixture(scope="module")
def usual(days):
    return se.normal(days)


@pytest.fixture(scope="module")
def seen(demo_shop, days, usual):
    return se.alerts(demo_shop, days, se.watch(days, yearly=usual.yearly))


@pytest.fixture(scope="module")
def raw(demo_folder):
    """The demo shop's orders that stand, from its files alone."""
    orders = pd.read_csv(demo_folder / "orders.csv", dtype=str, keep_default_na=False)
    orders["at"] = pd.to_datetime(orders["ordered_at"], format="%Y-%m-%d %H:%M:%S", errors="coerce")
    orders = orders.assign(**{name: pd.to_numeric(orders[name], errors="coerce") for name in ("total", "refunded")})
    orders = orders[orders["at"].between("2023-10-01", "2026-10-01", inclusive="left")].drop_duplicates("order_id")
    orders = orders[orders["cancelled_at"] == ""]
    return orders.assign(day=orders["at"].dt.normalize(), net=orders["total"] - orders["refunded"].fillna(0))


def test_days_are_those_of_the_raw_files(days, raw, demo_shop):
    kept = set(demo_shop.fetch(demo_shop.table("orders"))["order_id"])
    mine = raw[raw["order_id"].isin(kept)]
    by_day = mine.groupby("day").size().reindex(days.frame.index, fill_value=0)
    assert len(days.frame) == 1096 and days.frame["orders"].tolist() == by_day.tolist()
    september = mine[mine["day"] >= "2026-09-01"]
    assert days.frame.loc["2026-09", "sales"].sum() == pytest.approx(september["net"].sum())
    by_app = mine[mine["channel"] == "app"].groupby("day").size().reindex(days.frame.index, fill_value=0)
    assert days.series["channel", "app"].tolist() == by_app.tolist()
    mondays = mine[mine["day"].dt.day_of_week == 0].groupby("day").size()
    assert days.frame.loc[days.frame.index.day_of_week == 0, "orders"].sum() == mondays.sum()


def test_the_planted_outage_leads_the_page_with_its_cause(demo_shop, demo_folder, days, usual, seen):
    truth = json.loads((demo_folder / "truth.json").read_text(encoding="utf-8"))["outage"]
    assert len(seen.table) == 1
    row = seen.table.iloc[0]
    assert str(row["day"]) == truth["day"] and row["actual"] == 0 and row["low"] < truth["orders_moved"] < row["high"]
    assert (row["what"], row["cause"]) == ("orders by app", BOOKED)
    steps, ahead = se.shifts(days, yearly=usual.yearly), se.demand(demo_shop, days.frame)
    assert headline(days, seen, steps, ahead).startswith(
        "No orders by app came on 22\N{NO-BREAK SPACE}September, but more by web;"
    )
    assert len(headline(days, seen, steps, ahead).split()) <= 20


def test_the_demo_shops_season_is_claimed_and_near_the_planted_one(demo_folder, usual):
    truth = json.loads((demo_folder / "truth.json").read_text(encoding="utf-8"))["season"]
    assert usual.yearly and usual.p_value < 0.01
    week = usual.of("weekday")
    true = np.array(truth["weekdays_monday_first"])
    inside = (week["low"] <= true / np.exp(np.log(true).mean())) & (true / np.exp(np.log(true).mean()) <= week["high"])
    assert inside.sum() >= 6
    assert usual.of("week")["value"].idxmax() in range(48, 52)
    assert usual.of("holiday")["name"].str.contains("Christmas").any()


def test_planted_holidays_are_found_and_named_days_bend_nothing(demo_folder, days, usual, seen):
    truth = json.loads((demo_folder / "truth.json").read_text(encoding="utf-8"))["special_days"]
    called = ["New Year's Day", "Labor Day", "German Unity Day", "Christmas Day", "Second Day of Christmas"]
    found = usual.of("holiday").set_index("name").loc[called]
    assert len(called) == len(truth["holidays"])
    stays = truth["share_of_a_holiday_that_stays"]
    assert ((found["low"] < stays) & (stays < found["high"])).sum() >= 4 and (found["high"] < 1).sum() >= 4
    assert se.part_holidays(usual, days).title.startswith("Orders differ on ")
    closed, campaign = (days.frame.loc[slice(*truth[name])] for name in ("closed", "campaign"))
    assert closed["masked"].all() and campaign["masked"].all() and days.frame["masked"].sum() == 9
    assert closed["orders"].sum() <= 1  # the wholesale buyer's
    assert campaign["orders"].sum() > 1.5 * days.frame.loc["2026-03-09":"2026-03-13", "orders"].sum()
    assert not set(seen.table["day"]) & {*closed.index.date, *campaign.index.date}


def test_holidays_that_do_nothing_are_rarely_said_to_do_something():
    called = {"01-01": "New Year", "04-03": "Spring", "05-01": "May", "05-29": "June", "10-03": "Unity", "12-25": "First",
              "12-26": "Second"}  # fmt: skip
    claimed = inside = 0
    for seed in range(20):
        quiet = shop(seed)
        names = pd.Series([called.get(f"{day:%m-%d}", "") for day in quiet.frame.index], index=quiet.frame.index)
        quiet = replace(quiet, frame=quiet.frame.assign(holiday=names), country="DE")
        found = se.normal(quiet)
        claimed += se.part_holidays(found, quiet).title != "Public holidays bring orders as other days do"
        inside += found.of("holiday").eval("low <= 1 <= high").sum()
    assert claimed <= 3 and inside >= 0.92 * 20 * len(called)


def test_no_season_is_claimed_that_a_later_year_does_not_show():
    flat = [confirmed(shop(seed, years=4, yearly=0.0)) < CONFIRMED for seed in range(20)]
    assert sum(flat) <= 3
    # A season of the first years only, gone in the last.
    gone = []
    for seed in range(8):
        size = 365 * 4
        index = pd.date_range(END - timedelta(days=size), periods=size)
        last = np.arange(size) >= size - 365
        made = shop(seed, years=4, yearly=0.0, factor=np.where(last, 1.0, season(index)))
        gone.append(confirmed(made) < CONFIRMED)
    assert sum(gone) <= 1
    assert all(confirmed(shop(seed, years=3)) < CONFIRMED for seed in range(8))
    young = se.normal(shop(1, years=1.9))
    assert not young.yearly and young.p_value == 1.0 and young.of("week").empty
    assert se.part_year(young).title == "No season of the year is claimed: two whole years are needed"


def test_indices_hold_the_planted_ones():
    held, count = 0, 0
    for seed in range(6):
        found = se.normal(shop(seed, years=4, drift=0.0))
        weeks = found.of("week")
        curve = np.log(season(pd.date_range("2025-01-01", periods=364))).reshape(52, 7).mean(axis=1)
        held += ((np.log(weeks["low"]) <= curve) & (curve <= np.log(weeks["high"]))).sum()
        count += 52
    assert held / count > 0.8


@pytest.mark.slow
def test_alerts_come_at_the_declared_rate_on_quiet_years():
    # Twelve shop-quarters, at a rate that brings enough of them to count.
    came = 0
    for seed in range(6):
        full = shop(300 + seed, years=3.25, level=(15, 40, 120)[seed % 3], noise=(0.05, 0.1)[seed % 2])
        for back in (0, 91):
            there = until(full, back)
            found = se.watch(there, false_alarms_per_year=20.0, yearly=True, judged_days=91)
            came += sum(first >= len(there.frame) - 91 for first, _, _ in found.passed)
    assert 41 <= came <= 79, "60 are expected; the standard deviation is about 8"


@pytest.mark.parametrize("rate", [1.0, 4.0])
def test_the_bar_brings_as_many_alerts_as_declared_in_hundreds_of_quiet_years(rate):
    """Days and weeks of ten numbers, the bar set by three years, alerts counted in the fourth."""
    rng, came, shops = np.random.default_rng(8), 0, 300
    for _ in range(shops):
        each = rng.normal(size=(4 * 365 + 6, 10))
        weeks = np.lib.stride_tricks.sliding_window_view(each, 7, axis=0).sum(axis=2) / np.sqrt(7)
        scores = np.maximum(np.abs(each[6:]), np.abs(weeks)).max(axis=1)
        notice, bar, _ = bar_of(scores[:-365], rate=rate)
        came += sum(scores[top] > bar for _, _, top in episodes(scores, notice) if top >= 3 * 365)
    assert came == pytest.approx(rate * shops, rel=0.2)


def test_the_bar_does_not_hide_behind_old_shocks_and_is_infinite_without_a_past():
    rng = np.random.default_rng(1)
    quiet = np.abs(rng.normal(size=(1000, 10))).max(axis=1)
    shaken = quiet.copy()
    shaken[[100, 500]] = 30.0
    assert bar_of(shaken, rate=1.0)[1] < 1.1 * bar_of(quiet, rate=1.0)[1]
    assert bar_of(quiet, rate=4.0)[1] < bar_of(quiet, rate=0.5)[1]
    assert bar_of(quiet[:20], rate=1.0)[1] == np.inf
    assert episodes(np.array([np.nan, 1.0]), 2.0) == []


@pytest.mark.slow
def test_outages_and_surges_are_found_once_each_with_their_day():
    hit = 0
    for seed in range(6):
        size, factor = 365 * 3, np.ones(365 * 3)
        at = size - 5 - seed
        factor[at] = 0.05 if seed % 2 else 2.6
        made = shop(seed, level=60, factor=factor)
        passed = [one for one in se.watch(made, yearly=True).passed if one[1] >= size - 28]
        hit += len(passed) == 1 and passed[0][0] <= at <= passed[0][1]
    assert hit >= 5


@pytest.mark.slow
def test_a_closure_that_is_named_raises_no_alert_and_bends_nothing():
    size, factor = 365 * 3, np.ones(365 * 3)
    factor[size - 12 : size - 5] = 0.0
    made = shop(3, level=60, factor=factor)
    masked = np.arange(size) >= size - 12
    masked[size - 5 :] = False
    named = replace(made, frame=made.frame.assign(masked=masked, span=np.where(masked, "Summer break", "")))
    first, last = size - 12, size - 6
    assert any(one[0] <= last and one[1] >= first for one in se.watch(made, yearly=True).passed)
    found = se.watch(named, yearly=True)
    assert not any(one[1] >= first for one in found.passed)
    assert (
        found.expected["", ""].iloc[size - 2]
        > 0.8 * se.watch(shop(3, level=60), yearly=True).expected["", ""].iloc[size - 2]
    )
    assert (
        se.part_shifts(se.shifts(named, yearly=True), days=named).title
        == "No shift of level before the last four weeks"
    )


@pytest.mark.slow
def test_a_shift_lies_inside_its_dates_and_a_quiet_shop_has_none():
    inside = found = 0
    for seed in range(20):
        factor = np.ones(365 * 3)
        at = 500 + 25 * seed
        factor[at:] = 0.65
        made = shop(50 + seed, factor=factor)
        falls = [one for one in se.shifts(made, yearly=True, seed=seed).found if one.ratio.value < 1]
        found += bool(falls)
        inside += any(one.first <= made.frame.index[at].date() <= one.last for one in falls)
    assert found >= 19 and inside >= 17
    assert sum(bool(se.shifts(shop(400 + seed), yearly=True).found) for seed in range(8)) <= 2


def test_the_last_weeks_are_never_said_to_be_unchanged():
    made = shop(2)
    found = se.shifts(made, yearly=True)
    words = se.part_shifts(replace(found, found=()), days=made).sentence
    assert words.startswith("The last four weeks are too recent to tell: they lie between")
    assert "no change" not in words.lower()
    unknown = replace(found, found=(), recent=Estimate(value=None, unit="index"))
    assert _lately(unknown, made) == "The last four weeks are too recent to tell."


def test_periods_and_the_contest():
    spans = periods(date(2026, 10, 1), 0)
    assert spans[-1] == (date(2026, 10, 1), date(2026, 11, 1)) and spans[-2][1] == date(2026, 10, 1)
    assert periods(date(2026, 12, 31), 0)[-1] == (date(2027, 1, 1), date(2027, 2, 1))
    assert periods(date(2026, 10, 1), 28)[-1] == (date(2026, 10, 1), date(2026, 10, 29))
    with pytest.raises(UsageError, match="7 to 92"):
        periods(date(2026, 10, 1), 5)
    months, rng = np.arange(41), np.random.default_rng(0)
    curve = 100 * (1 + 0.5 * np.sin(2 * np.pi * months / 12)) * 1.02**months
    grown = contest(curve[:-1] * np.exp(rng.normal(0, 0.02, 40)), np.full(41, 30.0), year=12, gap=1)
    assert grown.chosen.name.endswith("this year's growth") and grown.total.low < curve[-1] < grown.total.high
    flat = contest(100 * np.exp(rng.normal(0, 0.1, 40)), np.full(41, 30.0), year=12, gap=1)
    assert flat.chosen.name == "the last three periods" and flat.leads
    wild = contest(np.array([100.0] * 30 + [300.0]), np.full(32, 30.0), year=12, gap=1)
    assert not wild.leads, "the last test missed by more than a quarter"
    assert contest(np.array([]), np.array([30.0]), year=12, gap=1).total is None
    assert contest(np.zeros(5), np.full(6, 30.0), year=12, gap=1).chosen is None


@pytest.mark.parametrize(
    ("unit", "value", "said"),
    [("USD", 72_691.7, "about $73,000"), ("orders", 1_234.0, "about 1,200 orders"), ("EUR", 1_412_345.0, "about €1.4m"),
     ("amount", 72_691.7, "about 73,000")],
)  # fmt: skip
def test_a_headline_has_no_more_digits_than_the_range_of_its_forecast_allows(demo_shop, days, unit, value, said):
    found = se.demand(demo_shop, days.frame)
    total = replace(found.sales.total, value=value, low=0.65 * value, high=1.55 * value)
    assert amount(replace(found, unit=unit, sales=replace(found.sales, total=total))) == said


def test_ranges_of_the_next_period_hold_19_of_20_times():
    rng, held = np.random.default_rng(4), 0
    for _ in range(200):
        rate = 1000 * np.exp(np.cumsum(rng.normal(0, 0.03, 31)) + rng.normal(0, 0.05, 31))
        total = contest(rate[:-1] * 30, np.full(31, 30.0), year=12, gap=1).total
        held += total.low <= rate[-1] * 30 <= total.high
    assert held >= 180


def test_products_add_up_and_are_those_of_the_raw_files(demo_shop, days, raw, demo_folder):
    found = se.demand(demo_shop, days.frame)
    assert found.products["forecast"].sum() == pytest.approx(found.pieces.total.value)
    assert (found.products["low"] <= found.products["forecast"]).all()
    assert (found.products["forecast"] <= found.products["high"]).all() and 0.85 <= found.held <= 1
    kept = demo_shop.fetch(demo_shop.table("order_lines"), max_rows=400_000)
    october = set(raw.loc[(raw["day"] >= "2025-10-01") & (raw["day"] < "2025-11-01"), "order_id"])
    mine = kept[kept["order_id"].isin(october) & (kept["quantity"] > 0)].groupby("product_id")["quantity"].sum()
    ours = found.products.set_index("product")["last_year"]
    assert ours[ours > 0].to_dict() == {name: float(n) for name, n in mine.items() if name in ours.index}
    assert found.called == "October" and found.unit == "EUR"
    four = se.demand(demo_shop, days.frame, period_days=28)
    assert (four.end - four.start).days == 28 and four.called == "the four weeks from 1\N{NO-BREAK SPACE}October"


def test_what_was_said_of_a_month_is_graded(demo_shop, days, raw):
    said = [
        Prediction(id=name, label="x", unit=unit, value=1.0, start=date(2026, 9, 1), end=date(2026, 10, 1))
        for name, unit in (("next_sales", "EUR"), ("next_sales", "orders"), ("next_pieces", "pieces"), ("other", "x"))
    ]  # fmt: skip
    due = tuple(Due(prediction=one, as_of=date(2026, 9, 1), run_id="r") for one in said)
    found = [one.actual for one in se.grade(demo_shop, days.frame, due)]
    assert len(found) == 3
    assert found[0] == pytest.approx(days.frame.loc["2026-09", "sales"].sum())
    assert found[1] == days.frame.loc["2026-09", "orders"].sum()
    later = tuple(replace(one, prediction=replace(one.prediction, end=date(2026, 11, 1))) for one in due)
    assert se.grade(demo_shop, days.frame, later) == []


def shop_of(folder, orders, more=""):
    pd.DataFrame(orders, columns=["order_id", "customer_id", "ordered_at", "total"]).to_csv(
        folder / "orders.csv", index=False
    )
    (folder / "shop.toml").write_text(f'name = "Small"\ncurrency = "EUR"\nas_of = 2026-04-06\n{more}', encoding="utf-8")
    return crm.connect(folder)


def answered(store, **said):
    days = se.measure(store)
    usual = se.normal(days)
    found = se.alerts(store, days, se.watch(days, yearly=usual.yearly))
    steps, ahead = se.shifts(days, yearly=usual.yearly), se.demand(store, days.frame, **said)
    parts = [se.part_alerts(found, days, shop=store), se.part_demand(ahead, shop=store), se.part_year(usual),
             se.part_shifts(steps, days=days), se.part_week(usual), se.part_holidays(usual, days)]  # fmt: skip
    return se.page(days, (found, steps, ahead), parts)


def test_five_customers_and_silent_shops_are_too_few(tmp_path):
    rows = [
        (f"{who}-{i}", str(who), f"2026-{1 + i % 3:02d}-05", 50)
        for who, n in enumerate((9, 3, 8, 1, 6))
        for i in range(n)
    ]
    page = answered(shop_of(tmp_path, rows))
    assert page.status == "too_few" and page.headline.startswith("Too few to conclude: 27 orders in 91 days;")
    old = [(str(i), str(i), f"{day:%Y-%m-%d}", 9) for i, day in enumerate(pd.date_range("2025-06-01", periods=200))]
    page = answered(shop_of(tmp_path, old))
    assert page.headline == "Too few to conclude: the last order is 110 days old, so nothing can be said of now."
    rare = [
        (str(i), "c", f"{day:%Y-%m-%d}", 9)
        for i, day in enumerate(pd.date_range(end="2026-04-01", periods=60, freq="9D"))
    ]
    page = answered(shop_of(tmp_path, rare))
    assert page.headline == "Too few to conclude: orders came on 60 of 536 days; one in a week is needed."
    (tmp_path / "orders.csv").write_text("order_id,ordered_at\n")
    assert answered(crm.connect(tmp_path)).status == "too_few"
    (tmp_path / "orders.csv").rename(tmp_path / "products.csv")
    (tmp_path / "products.csv").write_text("product_id,name\n1,Tea\n")
    with pytest.raises(NotAvailable, match="not orders"):
        se.measure(crm.connect(tmp_path))


def test_a_young_shop_answers_and_local_days_hold_over_summer_time(tmp_path):
    """Orders at half past midnight in Berlin are of the evening before in UTC, on either side of 29 March 2026."""
    rows = []
    for day in pd.date_range("2026-01-01", "2026-04-05"):
        local = pd.Timestamp(day) + pd.Timedelta(minutes=30)
        at = local.tz_localize("Europe/Berlin").tz_convert("UTC")
        rows += [(f"{day:%j}-{i}", "c", f"{at:%Y-%m-%dT%H:%M:%SZ}", 10) for i in range(4)]
    store = shop_of(
        tmp_path,
        rows,
        'timezone = "Europe/Berlin"\ncountry = "DE"\n[[closures]]\nfrom = 2026-02-02\nname = "Stocktaking"\n',
    )
    days = se.measure(store)
    assert (days.frame["orders"] == 4).all() and len(days.frame) == 95
    assert days.frame.loc["2026-04-03", "holiday"] == "Good Friday" and days.country == "DE"
    assert days.frame["masked"].sum() == 1 and days.frame.loc["2026-02-02", "span"] == "Stocktaking"
    page = answered(store)
    assert page.status == "published" and page["alerts"].value is None
    assert page.headline.startswith("There is too little to say what is normal; May ")
    assert "Stocktaking: such days bend nothing and raise no alert." in {caveat.text for caveat in page.caveats}


def test_each_hour_of_a_day_of_25_is_of_that_day(tmp_path):
    """An order an hour around 26 October 2025, when clocks in Berlin go back; each is in exactly one day."""
    at = pd.date_range(
        "2025-10-24 00:30", "2025-10-29 00:30", freq="h", tz="Europe/Berlin", inclusive="left"
    ).tz_convert("UTC")
    rows = [(str(i), "c", f"{one:%Y-%m-%dT%H:%M:%SZ}", 10) for i, one in enumerate(at)]
    store = shop_of(tmp_path, rows, 'timezone = "Europe/Berlin"\n')
    found = store.fetch(facts.daily(store))
    assert found["orders"].tolist() == [24, 24, 25, 24, 24] and found["orders"].sum() == len(rows)


@pytest.mark.parametrize("named", [True, False])
def test_a_campaign_of_shop_toml_raises_no_alert_and_bends_nothing(named, tmp_path):
    rng = np.random.default_rng(17)
    index = pd.date_range("2025-06-01", "2026-04-05")
    level = np.where((index >= "2026-03-28") & (index <= "2026-03-30"), 300, 100)
    rows = [(f"{day:%y%j}-{i}", "c", f"{day:%Y-%m-%d}", 10) for day, n in zip(index, rng.poisson(level), strict=True)
            for i in range(n)]  # fmt: skip
    campaign = '[[campaigns]]\nfrom = 2026-03-28\nto = 2026-03-30\nname = "Spring"\n'
    store = shop_of(tmp_path, rows, campaign * named)
    days = se.measure(store)
    assert list(days.frame.index[days.frame["span"] == "Spring"].day) == ([28, 29, 30] if named else [])
    watch = se.watch(days, yearly=False)
    alerts = se.alerts(store, days, watch).table
    assert len(alerts) == (0 if named else 1) and (named or alerts["first"].iloc[0] == date(2026, 3, 28))
    assert not named or watch.expected["", ""].loc["2026-03-31":].between(80, 120).all()


def test_sentences_for_none_one_and_many(days, usual, seen):
    parts = {0: seen.table.head(0), 1: seen.table, 2: pd.concat([seen.table] * 2, ignore_index=True)}
    titles = [se.part_alerts(replace(seen, table=rows), days, shop=_Named()).title for rows in parts.values()]
    assert titles == [
        "Nothing out of the ordinary in four weeks",
        "Orders by app left the band on 22\N{NO-BREAK SPACE}September",
        "Orders by app left the band on 22\N{NO-BREAK SPACE}September, and 1 more alert",
    ]
    one = Shift(day=date(2026, 3, 2), first=date(2026, 2, 20), last=date(2026, 3, 9),
                ratio=Estimate(value=0.8, unit="index"), p_value=0.01)  # fmt: skip
    assert said(one) == "Since 2\N{NO-BREAK SPACE}March 2026, 20% fewer orders come"
    assert said(replace(one, ratio=Estimate(value=1.3, unit="index"))).endswith("30% more orders come")
    assert between(one) == "between 20\N{NO-BREAK SPACE}February and 9\N{NO-BREAK SPACE}March 2026"
    names = list(days.series)
    assert (
        what(days, 0, 1) == "orders" and what(days, names.index(("country", "DE")), 7) == "orders from DE in seven days"
    )
    assert what(days, names.index(("category", "Tea")), 1) == "orders with Tea"


class _Named:
    as_of = date(2026, 10, 1)


def test_one_event_is_raised_once_while_it_lasts(tmp_path):
    row = {"what": "orders", "expected": "50.0", "actual": "3.0", "first": "2026-09-01", "last": "2026-09-02"}
    assert raised.new(tmp_path, [row]) == [row] and raised.new(tmp_path, [row]) == []
    longer = row | {"last": "2026-09-20"}
    assert raised.new(tmp_path, [longer]) == []
    assert raised.new(tmp_path, [row | {"first": "2026-09-22", "last": "2026-09-25"}]) == [], "it lasts"
    other = row | {"what": "orders by app"}
    more = row | {"actual": "90.0", "first": "2026-09-26", "last": "2026-09-26"}
    later = row | {"first": "2026-10-05", "last": "2026-10-05"}
    assert raised.new(tmp_path, [other, more, later]) == [other, more, later]
    assert (tmp_path / "lists" / raised.FILE).stat().st_mode & 0o777 == 0o600
    assert raised.new(tmp_path, []) == []


@pytest.mark.slow
def test_crm_alerts_says_each_once_and_exits_with_one(demo_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    words = ["alerts", "--shop", str(demo_folder), "--reports", str(tmp_path / "reports")]
    first = CliRunner().invoke(cli.main, words)
    assert first.exit_code == 1, first.output
    said = " ".join(first.output.split())
    assert said == "2026-09-22 orders by app expected 21 actual 0 " + BOOKED
    second = CliRunner().invoke(cli.main, words)
    assert (second.exit_code, second.output) == (0, "")
    again = CliRunner().invoke(cli.main, [*words, "--all"])
    assert again.exit_code == 0 and again.output == first.output
    wrong = CliRunner().invoke(cli.main, [*words, "-p", "false_alarms_per_year=0"])
    assert wrong.exit_code == 2 and "false_alarms_per_year" in wrong.output


def test_the_page_holds_together(demo_shop):
    page = answered(demo_shop)
    assert {metric.id for metric in page.metrics} >= {"alerts", "false_alarm_rate", "forecast_next"}
    assert set(page.tables) == {"indices", "alerts", "demand"} and len(page.actions) <= 3
    assert any("a few large ones move sales by chance" in caveat.text for caveat in page.caveats)
    assert list(page.tables["alerts"])[:7] == ["day", "what", "expected", "actual", "low", "high", "cause"]
    assert {"product", "forecast", "low", "high"} <= set(page.tables["demand"])
    assert page["forecast_next"].low < page["forecast_next"].value < page["forecast_next"].high
    words = " ".join(itertools.chain([page.headline], (f"{part.title} {part.sentence}" for part in page.parts)))
    assert not {"nan", "NaN", "None", "inf"} & set(words.split())
    assert {one.id for one in page.predictions} == {"next_sales", "next_pieces"}
    assert facts.TOTAL == ("", "") and set(GROUPS) == set(facts.WATCHED)


def struck(folder, seed):
    """Ten months of orders, of which one day loses those of the afternoon, or all that come by app; the day and which."""
    rng = np.random.default_rng(seed)
    index = pd.date_range("2025-06-01", "2026-04-05")
    day = np.repeat(index, rng.poisson(70 * np.exp(rng.normal(0, 0.05, len(index)))))
    hour = rng.choice([9, 14, 20], size=len(day), p=[0.25, 0.5, 0.25])
    channel = rng.choice(["web", "app"], size=len(day), p=[0.6, 0.4])
    on, by_app = index[-3 - seed % 20], seed % 2 == 1
    gone = (day == on) & (channel == "app" if by_app else hour == 14)
    at = day + pd.to_timedelta(hour, unit="h")
    rows = pd.DataFrame({"order_id": np.arange(len(day)), "ordered_at": at, "total": 10.0, "channel": channel})
    rows[~gone].to_csv(folder / "orders.csv", index=False)
    (folder / "shop.toml").write_text('name = "Struck"\ncurrency = "EUR"\nas_of = 2026-04-06\n', encoding="utf-8")
    return crm.connect(folder), (on.date(), "channel app" if by_app else "in the afternoon")


@pytest.mark.parametrize("seed", [0, 1])
def test_an_outage_of_some_hours_or_of_a_channel_is_found_with_its_cause(seed, tmp_path):
    store, wanted = struck(tmp_path, seed)
    days = se.measure(store)
    rows = se.alerts(store, days, se.watch(days, yearly=False)).table
    assert [tuple(row) for row in rows[["day", "cause"]].itertuples(index=False)] == [wanted]


@pytest.mark.parametrize("kind", ["booked", "lost"])
def test_orders_booked_otherwise_are_told_from_those_lost(kind):
    """Orders by app of one day: booked as web, or not there at all."""
    made = shop(3, years=1.2, level=90)
    at, rows, frame = len(made.frame) - 5, made.series.copy(), made.frame.copy()
    came = rows.iloc[at][("channel", "app")]
    rows.iloc[at, list(rows).index(("channel", "app"))] = 0.0
    if kind == "booked":
        rows.iloc[at, list(rows).index(("channel", "web"))] += came
    else:
        rows.iloc[at, 0] -= came
        frame.iloc[at, 0] -= came
    days = replace(made, series=rows, frame=frame)
    found, names = se.watch(days, yearly=False), list(rows)
    other, said = moved_to(days, found, names.index(("channel", "app")), (0, at))
    if kind == "lost":
        assert (other, said) == ("", "")
    else:
        assert other == "web" and said.startswith("app down by ") and ", web up by " in said
        assert moved_to(days, found, names.index(("channel", "web")), (0, at))[1] == said  # seen from the other side
    assert moved_to(days, found, 0, (0, at)) == ("", "")
    assert moved_to(days, found, names.index(("category", "Tea")), (0, at)) == ("", "")


def test_orders_that_only_moved_rank_below_a_fall_of_the_total(tmp_path):
    rng = np.random.default_rng(7)
    index = pd.date_range("2025-06-01", "2026-04-05")
    day = np.repeat(index, rng.poisson(70, len(index)))
    channel = np.where(rng.random(len(day)) < 0.4, "app", "web")
    channel[day == index[-4]] = "web"
    gone = (day == index[-15]) & (rng.random(len(day)) < 0.6)
    rows = pd.DataFrame({"order_id": np.arange(len(day)), "ordered_at": day, "total": 10.0, "channel": channel})
    rows[~gone].to_csv(tmp_path / "orders.csv", index=False)
    (tmp_path / "shop.toml").write_text('name = "Two"\ncurrency = "EUR"\nas_of = 2026-04-06\n', encoding="utf-8")
    store = crm.connect(tmp_path)
    days = se.measure(store)
    found = se.alerts(store, days, se.watch(days, yearly=False))
    assert found.table["what"].tolist() == ["orders", "orders by app"] and found.table["other"].tolist() == ["", "web"]
    assert found.table["score"].is_monotonic_increasing, "the more surprising one is the lesser"
    moved = replace(found, table=found.table.tail(1).reset_index(drop=True))
    (action,) = se.part_alerts(moved, days, shop=_Named()).actions
    assert action.what == "Look at how orders of 2\N{NO-BREAK SPACE}April are booked"
    assert action.worth.endswith(" fewer than normal, more by web")
    assert action.why == "Where orders are only booked otherwise, none is lost."


def test_a_channel_that_is_gone_for_weeks_hides_no_outage_of_all(tmp_path):
    rng = np.random.default_rng(5)
    index = pd.date_range("2025-06-01", "2026-04-05")
    day = np.repeat(index, rng.poisson(70, len(index)))
    channel = np.where(rng.random(len(day)) < 0.4, "app", "web")
    channel[day >= index[-30]] = "web"
    gone = (day == index[-6]) & (rng.random(len(day)) < 0.6)
    rows = pd.DataFrame({"order_id": np.arange(len(day)), "ordered_at": day, "total": 10.0, "channel": channel})
    rows[~gone].to_csv(tmp_path / "orders.csv", index=False)
    (tmp_path / "shop.toml").write_text('name = "Two"\ncurrency = "EUR"\nas_of = 2026-04-06\n', encoding="utf-8")
    store = crm.connect(tmp_path)
    days = se.measure(store)
    found = se.alerts(store, days, se.watch(days, yearly=False)).table
    assert [one.split(" in ")[0] for one in found["what"]] == ["orders", "orders by app"]
    outage, moved = found.itertuples()
    assert (outage.day, outage.first) == (index[-6].date(), index[-6].date())
    assert moved.first <= index[-25].date() and moved.last == index[-1].date()


@pytest.mark.parametrize("cause", ["region", "product"])
def test_a_region_or_a_product_is_named_as_the_cause(cause, tmp_path):
    """On one day nobody of a region orders, or a product is bought as never before."""
    rng = np.random.default_rng(13)
    index = pd.date_range("2025-06-01", "2026-04-05")
    day = np.repeat(index, rng.poisson(100, len(index)))
    rows = pd.DataFrame({"order_id": np.arange(len(day)), "ordered_at": day, "total": 10.0, "quantity": 1})
    rows["customer_id"] = rng.integers(0, 900, len(rows)).astype(str)
    rows["product_id"] = rng.choice(["p1", "p2", "p3"], len(rows))
    if cause == "region":
        rows = rows[(rows["ordered_at"] != index[-6]) | ~rows["customer_id"].str.endswith(tuple("01234"))]
    else:
        more = (
            rows[rows["ordered_at"] == index[-6]]
            .head(90)
            .assign(product_id="p2", order_id=lambda t: t["order_id"] + 10**6)
        )
        rows = pd.concat([rows, more])
    rows[["order_id", "ordered_at", "customer_id", "total"]].to_csv(tmp_path / "orders.csv", index=False)
    rows[["order_id", "product_id", "quantity"]].to_csv(tmp_path / "order_lines.csv", index=False)
    pd.DataFrame({"product_id": ["p1", "p2", "p3"], "name": ["Tea", "Cup", "Pot"]}).to_csv(
        tmp_path / "products.csv", index=False
    )
    people = pd.DataFrame({"customer_id": [str(one) for one in range(900)]})
    people["region"] = np.where(people["customer_id"].str.endswith(tuple("01234")), "North", "South")
    people.to_csv(tmp_path / "customers.csv", index=False)
    (tmp_path / "shop.toml").write_text('name = "Far"\ncurrency = "EUR"\nas_of = 2026-04-06\n', encoding="utf-8")
    store = crm.connect(tmp_path)
    days = se.measure(store)
    found = se.alerts(store, days, se.watch(days, yearly=False)).table
    assert [(row.day, row.cause) for row in found.itertuples()] == [
        (index[-6].date(), {"region": "region North", "product": "product Cup"}[cause])
    ]


@pytest.mark.parametrize("struck_ones", ["club", "new"])
def test_a_segment_and_new_customers_are_watched_and_segments_of_what_people_did_are_not(struck_ones, tmp_path):
    rng = np.random.default_rng(11)
    index = pd.date_range("2025-06-01", "2026-04-05")
    day = np.repeat(index, rng.poisson(100, len(index)))
    who = rng.integers(1, 900, len(day)).astype(str)
    fresh = rng.random(len(day)) < 0.3
    who[fresh] = [f"n{number}" for number in range(fresh.sum())]
    club = np.array([one.endswith(("1", "2", "3")) and not one.startswith("n") for one in who])
    gone = (day == index[-6]) & (club if struck_ones == "club" else fresh)
    rows = pd.DataFrame({"order_id": np.arange(len(day)), "ordered_at": day, "customer_id": who, "total": 10.0})[~gone]
    rows.to_csv(tmp_path / "orders.csv", index=False)
    people = pd.DataFrame({"customer_id": who, "club": np.where(club, "yes", "no")}).drop_duplicates()
    people.to_csv(tmp_path / "customers.csv", index=False)
    (tmp_path / "shop.toml").write_text('name = "Club"\ncurrency = "EUR"\nas_of = 2026-04-06\n', encoding="utf-8")
    (tmp_path / "segments.toml").write_text(
        "club = 'club == \"yes\"'\nregulars = 'club - bought_often'\n", encoding="utf-8"
    )
    store = crm.connect(tmp_path)
    days = se.measure(store)
    assert days.changing == ("regulars",)
    assert list(days.series)[1:] == [("customers", "new"), ("customers", "returning"), ("segment", "club")]
    first = ~rows.sort_values(["ordered_at", "order_id"]).duplicated("customer_id")
    assert days.series["customers", "new"].sum() == first.sum()
    assert (
        days.series["segment", "club"].sum()
        == rows["customer_id"].isin(people.query("club == 'yes'").customer_id).sum()
    )
    found = se.alerts(store, days, se.watch(days, yearly=False))
    called = {"club": "segment club", "new": "new customers"}[struck_ones]
    wanted = [(index[-6].date(), called)]
    assert [(row.day, row.cause.split(" alone")[0]) for row in found.table.itertuples()] == wanted
    (said,) = [one.text for one in part_limits(days, found).caveats if one.text.startswith("Segment")]
    assert said == "Segment regulars: not watched, as what customers do decides who is in."
