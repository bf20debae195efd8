"""Purchase cycles: open gaps counted, chances that hold on later days, and late as often by mistake as declared."""

from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from statsmodels.duration.survfunc import SurvfuncRight

import crmlib as crm
from crmlib.analysis.purchase_cycles.chances import _groups, _said
from crmlib.analysis.purchase_cycles.late import _actions
from crmlib.errors import NotAvailable, NotEnoughData
from crmlib.findings import Due
from crmlib.stats.logistic import chance, fit_logistic
from crmlib.stats.survival import kaplan_meier
from tests.conftest import SHARED_DATA

pc = crm.purchase_cycles
DAY = date(2026, 1, 1)


def planted(n=1500, seed=1, days=1100, shape=3.0):
    """Customers with a rhythm of their own (gamma gaps of that shape) who stop one day; product R every 40 days."""
    rng = np.random.default_rng(seed)
    mean, stop = rng.gamma(4, 12, n) + 5, rng.exponential(900, n)
    rows = []
    for i in range(n):
        start = at = rng.uniform(0, days)
        while at < min(days, start + stop[i]):
            rows.append((f"c{i}", at))
            at += rng.gamma(shape, mean[i] / shape)
    frame = pd.DataFrame(rows, columns=["customer_id", "at"])
    frame["ordered_at"] = pd.Timestamp(DAY) - pd.to_timedelta(days - frame["at"], unit="D")
    frame["order_id"] = [f"o{i}" for i in range(len(frame))]
    return frame.assign(total=10)[["order_id", "customer_id", "ordered_at", "total"]]


def opened(folder, orders, **more):
    for name, frame in {"orders": orders, **more}.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return crm.connect(folder, as_of=DAY)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return opened(tmp_path_factory.mktemp("cycles"), planted())


@pytest.fixture(scope="module")
def counts(shop):
    return pc.gap_counts(shop)


@pytest.fixture(scope="module")
def chances(shop):
    return pc.chances(shop)


def purchases():
    rows = planted()
    rows["day"] = rows["ordered_at"].dt.normalize()
    rows = rows[rows["day"] < pd.Timestamp(DAY)].drop_duplicates(["customer_id", "day"])
    return rows.sort_values(["customer_id", "day"])


def test_gaps_are_what_the_orders_say(counts):
    rows = purchases()
    after = rows.groupby("customer_id")["day"].shift(-1)
    rows["gap"] = (after.fillna(pd.Timestamp(DAY)) - rows["day"]).dt.days
    rows["closed"] = after.notna()
    rows["number"] = (rows.groupby("customer_id").cumcount() + 1).clip(upper=10)
    meant = rows.groupby(["number", "gap", "closed"]).size().rename("n").reset_index()
    pd.testing.assert_frame_equal(meant, counts, check_dtype=False)


def test_the_curve_is_that_of_statsmodels_on_single_rows(counts):
    first = counts[(counts["number"] == 1) & (counts["gap"] > 0)]
    days, share, low, high = kaplan_meier(*(first[name].to_numpy(float) for name in ("gap", "closed", "n")))
    rows = first.loc[first.index.repeat(first["n"])]
    theirs = SurvfuncRight(rows["gap"].to_numpy(float), rows["closed"].to_numpy(float))
    at = np.isin(theirs.surv_times, days)
    np.testing.assert_allclose(share, 1 - theirs.surv_prob[at], atol=1e-12)
    left = 1 - share
    half = 1.959964 * theirs.surv_prob_se[at] / np.abs(left * np.log(left))
    inside = left > 1e-9
    np.testing.assert_allclose(low[inside], (1 - np.exp(np.log(left) * np.exp(-half)))[inside], atol=1e-6)
    np.testing.assert_allclose(high[inside], (1 - np.exp(np.log(left) * np.exp(half)))[inside], atol=1e-6)


def test_the_range_of_a_share_holds_as_often_as_it_says():
    rng, held = np.random.default_rng(5), 0
    for _ in range(400):
        time, end = rng.exponential(60, 200), rng.uniform(0, 300, 200)
        days, _, low, high = kaplan_meier(np.minimum(time, end), time <= end, np.ones(200))
        at = np.searchsorted(days, 60, side="right") - 1
        held += low[at] <= 1 - np.exp(-1) <= high[at]
    assert 0.92 <= held / 400 <= 0.98


def test_counting_open_gaps_makes_the_second_order_later(counts):
    found = pc.again(counts, number=1)
    assert found.median.value > found.closed_median
    assert found.median.low <= found.median.value <= found.median.high
    table = pc.order_numbers(counts)
    assert table["order"].tolist() == list(range(1, 11))
    assert table["customers"].iloc[0] == purchases()["customer_id"].nunique()


def test_chances_hold_on_later_days(shop, chances):
    tenths = chances.tenths
    assert set(tenths["horizon"]) == {7, 30, 90}
    month = tenths[tenths["horizon"] == 30]
    inside = ((month["low"] <= month["forecast"]) & (month["forecast"] <= month["high"])).mean()
    assert inside >= 0.8 and month["actual"].iloc[-1] > 5 * month["actual"].iloc[0]
    each = chances.customers
    assert (each["chance_7d"] <= each["chance_30d"]).all() and (each["chance_30d"] <= each["chance_90d"]).all()
    # Brute force: the mean chance said a month ago beside who came.
    rows = purchases()
    start = pd.Timestamp(DAY) - pd.Timedelta(days=30)
    known = set(rows.loc[rows["day"] < start, "customer_id"])
    came = set(rows.loc[rows["day"] >= start, "customer_id"]) & known
    assert (month["actual"] * month["n"]).sum() == pytest.approx(len(came)) and month["n"].sum() == len(known)
    assert chances.due().low <= chances.due().value <= chances.due().high
    last = rows[rows["day"] < start].groupby("customer_id")["day"].max()
    bought = last.index.isin(came)
    yes, no = (last[side].to_numpy() for side in (bought, ~bought))
    wins = (yes[:, None] > no[None, :]).mean() + (yes[:, None] == no[None, :]).mean() / 2
    own, recency = chances.ranked[30]
    assert recency == pytest.approx(wins) and own > recency
    said = pc.part_chances(chances).certain[1]
    assert said.endswith(f"first {100 * own:.0f} times in 100; the last purchase alone, {100 * recency:.0f} times.")
    same = pc.part_chances(replace(chances, ranked={30: (0.8, 0.802)})).certain[1]
    assert same.endswith("80 times in 100; so does the last purchase alone.")


def test_a_prediction_is_graded_by_who_came(shop, chances):
    (said,) = pc.part_due(chances, None, shop=shop).predictions
    old = said.__class__(**{**vars(said), "start": DAY - timedelta(days=30), "end": DAY})
    (grade,) = pc.grade(shop, (Due(prediction=old, as_of=DAY - timedelta(days=30), run_id="r"),))
    month = chances.tenths[chances.tenths["horizon"] == 30]
    assert grade.actual == pytest.approx((month["actual"] * month["n"]).sum())
    assert not pc.grade(shop, (Due(prediction=said, as_of=DAY, run_id="r"),))


@pytest.mark.parametrize("seeds", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_late_is_wrong_about_as_often_as_declared(tmp_path, seeds):
    """Nobody stops here, so that each silence called late is a false alarm."""
    rates = []
    for seed in range(seeds):
        folder = tmp_path / str(seed)
        folder.mkdir()
        rng = np.random.default_rng(seed)
        frames = []
        for i in range(500):
            at = np.cumsum(rng.gamma(3.0, (rng.gamma(4, 12) + 5) / 3.0, 400)) % 10**9
            frames.append(pd.DataFrame({"customer_id": f"c{i}", "at": at[at < 1100]}))
        frame = pd.concat(frames, ignore_index=True)
        frame["ordered_at"] = pd.Timestamp(DAY) - pd.to_timedelta(1100 - frame["at"], unit="D")
        rows = frame.assign(order_id=[f"o{i}" for i in range(len(frame))], total=1)
        found = pc.late(opened(folder, rows[["order_id", "customer_id", "ordered_at", "total"]]))
        rates.append(found.false.value)
        assert 2.0 < found.regularity < 4.0
    # Within 20 % of the rate declared once there are shops enough to measure it.
    assert abs(np.mean(rates) - 0.05) <= (0.02 if seeds < 20 else 0.01)


def test_points_are_those_of_all_gaps_though_few_rows_leave_the_engine(shop, monkeypatch):
    crossed, frame = [], type(shop._engine).frame

    def counted(self, expression):
        found = frame(self, expression)
        crossed.append(len(found))
        return found

    monkeypatch.setattr(type(shop._engine), "frame", counted)
    found = pc.late(shop)
    rows = purchases()
    days = rows.groupby("customer_id")["day"]
    rows["gap"], rows["number"] = (days.shift(-1) - rows["day"]).dt.days, days.cumcount() + 1
    rows["behind"] = (rows["day"] - days.transform("min")).dt.days
    gaps = rows[rows["gap"].notna()]
    known = gaps[gaps["number"] >= 3]
    assert sum(crossed) < len(known) / 2
    usual = (known["behind"] + 2 * known["gap"].median()) / (known["number"] + 1)
    known = known.assign(ratio=known["gap"] / usual, usual=usual)
    cut = pd.Timestamp(DAY) - pd.Timedelta(days=365)
    old, new = known[known["day"] < cut], known[known["day"] >= cut]
    limit = pd.Series(np.nan, index=new.index)
    for at, (least, end) in enumerate(((3, 6), (6, 11), (11, 10**6))):
        part = old[old["number"].between(least, end - 1)]
        part = part.assign(w=1 / part.groupby("customer_id")["gap"].transform("size")).sort_values("ratio")
        reached = part["w"].cumsum() / part["w"].sum()
        meant = [part["ratio"].iloc[int((reached >= share).argmax())] for share in (0.25, 0.5, 0.75, 0.95)]
        np.testing.assert_array_equal(found.points[at], meant)
        limit[new["number"].between(least, end - 1)] = meant[3]
    limit *= new["usual"]
    could = (pd.Timestamp(DAY) - new["day"]).dt.days > limit
    wrong = (new["gap"] > limit)[could].groupby(new["customer_id"]).mean()
    assert found.false.value == pytest.approx(wrong.mean()) and found.false.n == len(wrong)
    last = gaps.groupby("customer_id")["gap"].agg(lambda of: of.iloc[-1] / of.iloc[-2:].sum() if len(of) > 1 else None)
    spread = last.dropna().var()
    assert found.regularity == pytest.approx((1 - 4 * spread) / (8 * spread))


@pytest.mark.slow
def test_who_will_buy_in_30_days_is_within_its_range_in_17_of_20_shops(tmp_path):
    held, apart = 0, []
    for seed in range(20):
        orders = planted(600, seed=100 + seed)
        orders.to_csv(tmp_path / "orders.csv", index=False)
        start, end = pd.Timestamp(DAY) - pd.Timedelta(days=30), pd.Timestamp(DAY)
        found = pc.chances(crm.connect(tmp_path, as_of=start.date()))
        known = found.customers.set_index("customer_id")["chance_30d"]
        later = set(
            orders.loc[orders["ordered_at"].dt.normalize().between(start, end, inclusive="left"), "customer_id"]
        )
        came, due = known.index.isin(later), found.due()
        held += due.low <= came.sum() <= due.high
        apart.append(known[came].mean() - known[~came].mean())
    assert held >= 17 and min(apart) > 0.1


def test_no_next_order_lies_in_the_past(shop, chances):
    rows = pc.part_due(chances, pc.late(shop), shop=shop).lists["due"]
    days = pd.concat([rows["expected_from"], rows["expected_to"]]).dropna()
    assert len(days) > 100 and min(days) >= DAY
    both = rows.dropna(subset=["expected_from"])
    assert (both["expected_from"] <= both["expected_to"]).all()
    assert not (rows["late"] & rows["expected_from"].notna()).any()
    assert set(rows["reason"]) == {"due", "late"} and rows["customer_id"].is_unique


def test_a_product_with_a_clock_is_found_and_one_without_is_not(tmp_path):
    rng = np.random.default_rng(2)
    orders, lines = [], []
    for i in range(200):
        for product, at in (
            ("R", np.cumsum(rng.gamma(30, 40 / 30, 12))), ("X", np.cumsum(rng.exponential(60, 12))),
        ):  # fmt: skip
            for day in at[at < 500]:
                orders.append((f"o{len(orders)}", f"c{i}", pd.Timestamp(DAY) - pd.Timedelta(days=501 - day), 5))
                lines.append((orders[-1][0], product, 1))
    found = opened(
        tmp_path,
        pd.DataFrame(orders, columns=["order_id", "customer_id", "ordered_at", "total"]),
        order_lines=pd.DataFrame(lines, columns=["order_id", "product_id", "quantity"]),
    )
    table = pc.replenished(found)
    assert table["product_id"].tolist() == ["R"]
    assert 32 <= table["from_days"].iloc[0] <= 40 <= table["to_days"].iloc[0] <= 48
    assert pc.part_products(table).title == "1 product is bought again more steadily than others"


def test_the_page_holds_what_the_contract_names(shop, counts, chances):
    parts = [
        pc.part_second(counts), pc.part_due(chances, pc.late(shop), shop=shop), pc.part_chances(chances),
        pc.part_orders(counts), pc.part_products(pc.replenished(shop)),
    ]  # fmt: skip
    said = pc.page(counts, chances, parts, shop=shop)
    for name in ("days_to_second_order", "days_to_second_closed", "due_30d", "late", "false_alarm_rate"):
        assert said[name].value is not None
    assert list(said.tables["order_numbers"].columns) == [
        "order",
        "customers",
        "share_on",
        "low",
        "high",
        "median_days",
    ]
    assert {"horizon", "tenth", "forecast", "actual", "n"} <= set(said.tables["chances"].columns)
    assert said.headline.startswith("Half of all newcomers bought again within") and "due" in said.lists
    assert dict(parts[1].chart.table["rows"])["late"] == f"{said['late'].value:,.0f}"


def test_tenths_that_were_given_the_same_chance_are_one_row():
    tenths = pd.DataFrame({"forecast": [0.001, 0.002, 0.4], "actual": [0.0, 0.01, 0.5], "n": [100, 300, 400]})
    rows = _groups(tenths)
    assert rows["name"].tolist() == ["Chance given: 40%", "Chance given: 0%"]
    assert rows["n"].tolist() == [400, 400] and rows["actual"].tolist() == pytest.approx([0.5, 3 / 400])
    assert rows["forecast"].iloc[1] == pytest.approx((0.1 + 0.6) / 400)
    assert (rows["low"] < rows["actual"]).all() and (rows["actual"] < rows["high"]).all()


def test_chances_that_did_not_hold_are_said_with_their_way():
    frame = pd.DataFrame({"tenth": [1, 2], "forecast": [0.1, 0.6], "actual": [0.1, 0.6], "n": [400, 400]})
    held, high, low = frame, frame.assign(actual=[0.01, 0.4]), frame.assign(actual=[0.2, 0.8])
    both = frame.assign(actual=[0.01, 0.8])

    def said(*parts):
        return _said(pd.concat([part.assign(horizon=days) for days, part in zip((30, 7, 90), parts, strict=False)]))

    assert said(held) == ("30-day chances held in 2 of 2 groups of customers", "")
    assert said(high)[0] == "30-day chances were too high in 2 of 2 groups of customers" and "rough" in said(high)[1]
    title = (
        "30-day chances held in 2 of 2 groups of customers; those for 7 days were too low; those for 90 days were off"
    )
    assert said(held, low, both) == (title, "Take those as a rough guide.")
    assert said(held, low, low)[0].endswith("; those for 7 and 90 days were too low")


def test_where_the_data_begins_in_mid_life_old_customers_are_not_called_new(tmp_path):
    """300 customers who buy weekly were there before; 40 join later, and a quarter of them buy again."""
    rows = [(f"old{i}", 200 - 7 * n) for i in range(300) for n in range(28)]
    rows += [(f"new{i}", 120 - i) for i in range(40)] + [(f"new{i}", 100 - i) for i in range(10)]
    days = pd.DataFrame(rows, columns=["customer_id", "ago"])
    days["ordered_at"] = pd.Timestamp(DAY) - pd.to_timedelta(days["ago"], unit="D")
    shop = opened(tmp_path, days.assign(order_id=range(len(days)), total=1).drop(columns="ago"))
    first = pc.again(pc.gap_counts(shop), number=1)
    assert first.n == 40 and first.share[-1] == pytest.approx(0.25, abs=0.01)


def test_who_goes_on_by_the_first_order_is_what_plain_pandas_says(tmp_path):
    rows = planted(400)
    rows["channel"] = np.where(rows["customer_id"].str.endswith(("1", "2", "3")), "app", "web")
    rows["total"] = rows["customer_id"].str[-1].astype(int) * 10.0
    counts = pc.group_counts(opened(tmp_path, rows))
    rows["day"] = rows["ordered_at"].dt.normalize()
    rows = (
        rows[rows["day"] < pd.Timestamp(DAY)]
        .drop_duplicates(["customer_id", "day"])
        .sort_values(["customer_id", "day"])
    )
    after = rows.groupby("customer_id")["day"].shift(-1)
    rows = rows.assign(gap=(after.fillna(pd.Timestamp(DAY)) - rows["day"]).dt.days, closed=after.notna(),
                       number=rows.groupby("customer_id").cumcount() + 1)  # fmt: skip
    first = rows.groupby("customer_id").first()
    rank = ((first["total"].rank(method="min") - 1) / (len(first) - 1) * 3).astype(int).clip(upper=2)
    thirds = rank.map({0: "lowest third", 1: "middle third", 2: "highest third"})
    for kind, of in (("value", thirds), ("channel", first["channel"]), ("year", first["day"].dt.year.astype(str))):
        meant = rows[rows["number"] <= 3].assign(group=lambda t, of=of: t["customer_id"].map(of))
        meant = meant.groupby(["group", "number", "gap", "closed"]).size().rename("n").reset_index()
        ours = counts[counts["kind"] == kind].drop(columns="kind")[meant.columns]
        pd.testing.assert_frame_equal(ours.reset_index(drop=True), meant, check_dtype=False)
    part = pc.part_groups(counts)
    shown = {row[0]: row[1:] for row in part.chart.table["rows"]}
    assert {"Channel: app", "Channel: web", "Value: lowest third", "Year: 2025"} <= set(shown)
    app = pc.again(counts[(counts["group"] == "app") & (counts["number"] == 2)]).by(365).value
    assert shown["Channel: app"][2] == f"{app:.0%}" and part.detail
    assert shown["Year: 2025"][1] == "–" != shown["Year: 2023"][1], "nobody of the last has been followed for a year"
    assert not pc.part_groups(counts[counts["group"] == "app"]).shown


def test_waiting_longer_brings_little_once_nine_in_ten_who_return_have(tmp_path):
    """Half come back, evenly over 200 days; the rest never do. Whoever is young counts only for the time they had."""
    rng = np.random.default_rng(6)
    gone = pd.DataFrame({"number": 1, "gap": rng.integers(400, 900, 1000), "closed": False, "n": 1})
    back = pd.DataFrame({"number": 1, "gap": rng.integers(1, 201, 1000), "closed": True, "n": 1})
    young = pd.concat([gone, back]).assign(seen=rng.integers(1, 300, 2000))
    young = young.assign(
        closed=young["closed"] & (young["gap"] <= young["seen"]), gap=young[["gap", "seen"]].min(axis=1)
    )
    later = pd.DataFrame({"number": 2, "gap": range(1, 99), "closed": True, "n": 9})
    found = pc.wait(pd.concat([gone, back, young, later]))
    assert found.low < 180 < found.high and found.high - found.low < 20 and found.n == 1000 + young["closed"].sum()
    said = pc.part_orders(pd.concat([gone, back])).sentence
    assert said.startswith("Nine in ten of those who come back within a year have by day 1")
    few = pc.part_orders(pd.concat([gone, back.head(29)])).sentence
    assert few == "How long to wait for them: too few to conclude (n = 29 back within a year)."
    assert pc.wait(back).value is None, "nobody was followed for a year"


def test_the_weakest_step_is_named_only_where_it_is_weak():
    def after(*shares):
        rows = [(n, gap, closed, count) for n, share in enumerate(shares, 1)
                for gap, closed, count in ((5, True, share), (400, False, 100 - share))]  # fmt: skip
        return pc.part_orders(pd.DataFrame(rows, columns=["number", "gap", "closed", "n"]))

    assert after(58, 80, 90).title == "The first order is the weakest step: 58% order again"
    assert after(58, 80, 90).sentence.startswith("Within a year; after order 3, 90% do. Nine in ten of those who come ")
    assert after(90, 80, 90).title == "Order 2 is the weakest step: 80% order again"
    assert after(99, 98, 99).title == "How long to wait for a second purchase"


def test_actions_say_how_many_of_the_late_may_be_asked(shop):
    def asked(n, late, likely=True, proviso=""):
        listed = {reason: SimpleNamespace(write=range(n), note="", proviso=proviso) for reason in ("due", "late")}
        made = _actions(listed, late=late, calm=0, likely=likely, shop=shop)
        most = "Most" if likely else "Many"
        assert [action.why for action in made[:1]] == [
            f"{most} of them would buy without a reminder."] * bool(made)  # fmt: skip
        assert not [action for action in made[1:] if action.why]
        return [action.what for action in made]

    assert asked(0, 0) == []
    assert asked(1, 1) == ["Remind 1 customer who will probably buy within 30 days",
                           "Ask the late customer what stopped them"]  # fmt: skip
    assert asked(1, 1, likely=False)[0] == "Remind 1 customer who is due within 30 days"
    assert asked(1, 1, proviso=", once you know who agreed")[1].endswith("them, once you know who agreed")
    assert asked(7, 9)[1] == "Ask 7 of the 9 late customers what stopped them"
    assert asked(9, 9)[1] == "Ask the 9 late customers what stopped them"


def test_who_is_late_and_will_probably_buy_is_not_asked_what_stopped_them(shop, chances):
    at = pc.late(shop)
    rows = pc.part_due(chances, at, shop=shop).lists["due"]
    some = set(rows.loc[rows["late"], "customer_id"].head(3))
    people = chances.customers
    sure = replace(
        chances, customers=people.assign(chance_30d=people["chance_30d"].mask(people["customer_id"].isin(some), 0.6))
    )
    part = pc.part_due(sure, at, shop=shop)
    asked = part.lists["due"]
    assert not some & set(asked.loc[asked["late"], "customer_id"]) and len(asked) == len(rows) - 3
    assert part.actions[-1].why.endswith("3 others are likelier than not to buy within 30 days and left alone.")


def test_of_newcomers_whom_nobody_followed_for_a_year_no_year_is_told():
    rows = [(1, gap, True, 1) for gap in range(1, 61)] + [(1, 200, False, 40), (2, 50, True, 9), (2, 364, False, 91)]
    counts = pd.DataFrame(rows, columns=["number", "gap", "closed", "n"])
    second, orders = pc.part_second(counts), pc.part_orders(counts)
    year = next(metric for metric in second.metrics if metric.id == "second_within_year")
    assert year.value is None and not year.headline
    assert second.chart.table["caption"] == "From each order to the next, within 200 days"
    assert orders.sentence == (
        "Within 200 days; after order 1, 60% do. "
        "How long to wait for them is not known yet: it takes newcomers watched for a year."
    )


def test_few_none_and_nameless(write_shop):
    rows = [{"order_id": str(i), "customer_id": f"c{i % 5}", "ordered_at": "2025-06-01", "total": 3} for i in range(9)]
    few = crm.connect(write_shop(orders=rows), as_of=DAY)
    counts, found = pc.gap_counts(few), pc.chances(few)
    parts = [pc.part_second(counts), pc.part_due(found, pc.late(few), shop=few), pc.part_chances(found),
             pc.part_orders(counts), pc.part_products(pc.replenished(few))]  # fmt: skip
    said = pc.page(counts, found, parts, shop=few)
    assert said.status == "too_few" and said.headline == "Too few to conclude: 5 customers with orders."
    assert said.parts[0].chart.table["rows"] == [["at most 365 days", "5", "5"]] and not said.lists
    with pytest.raises(NotEnoughData, match="need 20 customers with orders; there are none"):
        pc.gap_counts(crm.connect(write_shop(name="z", orders=rows), as_of="2025-06-01"))
    with pytest.raises(NotAvailable, match=r"orders\.customer_id"):
        pc.gap_counts(
            crm.connect(write_shop(name="b", orders=[{"order_id": "1", "ordered_at": "2025-06-01"}]), as_of=DAY)
        )
    old = [{"order_id": str(i), "customer_id": f"c{i}", "ordered_at": "2024-06-01", "total": 3} for i in range(30)]
    with pytest.raises(NotEnoughData, match="the last order is 579 days before 2026-01-01; one in 90 is needed"):
        pc.gap_counts(crm.connect(write_shop(name="d", orders=old), as_of=DAY))
    once = [{"order_id": str(i), "customer_id": f"c{i}", "ordered_at": "2025-12-01", "total": 3} for i in range(30)]
    shop = crm.connect(write_shop(name="c", orders=once), as_of=DAY)
    counts, found = pc.gap_counts(shop), pc.chances(shop)
    assert pc.late(shop) is None and found.due().value is None
    parts = [pc.part_second(counts), pc.part_due(found, None, shop=shop), pc.part_chances(found)]
    said = pc.page(counts, found, parts, shop=shop)
    assert said.headline == "No customer has bought a second time yet." and said["late"].value is None


def test_a_logistic_regression_is_that_of_statsmodels():
    import statsmodels.api as sm

    rng = np.random.default_rng(1)
    x = rng.normal(size=(500, 2))
    y = rng.random(500) < 1 / (1 + np.exp(-(0.3 + x @ [1.0, -0.5])))
    theirs = sm.Logit(y.astype(float), sm.add_constant(x)).fit(disp=False).params
    ours = fit_logistic(x, y, ridge=0.0)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert fit_logistic(x, y, ridge=0.0, lasso=1.0)[2] == 0.0
    assert chance(ours, x).shape == (500,)


def test_the_regularity_of_an_online_grocer_is_the_published_one(tmp_path):
    if not SHARED_DATA.is_dir():
        pytest.skip("../shared/data is not here")
    log = pd.read_csv(SHARED_DATA / "groceryElog.csv")
    rows = log.rename(columns={"cust": "customer_id", "date": "ordered_at"}).assign(order_id=range(len(log)))
    rows["customer_id"] = "c" + rows["customer_id"].astype(str)
    rows.to_csv(tmp_path / "orders.csv", index=False)
    found = pc.late(crm.connect(tmp_path, as_of="2008-01-01"))
    # BTYDplus (Platzer 2016), estimateRegularity(groceryElog): 1.87 over all with three purchases or more.
    assert found.regularity == pytest.approx(1.87, abs=0.02)
