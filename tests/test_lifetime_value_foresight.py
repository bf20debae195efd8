"""Value by channel beside its cost, and predictions that a later run can mark, on small shops and on the demo's planted truth."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

import crmlib as crm
from crmlib.analysis import lifetime_value as clv
from crmlib.analysis.lifetime_value import assurance, chances, drawings, holdout, scoring, validation
from crmlib.analysis.lifetime_value import lists as calling
from crmlib.analysis.lifetime_value import payback as by_channel
from crmlib.analysis.lifetime_value.predictions import predictions_list
from crmlib.findings import Due, Prediction
from crmlib.shop import facts as shop_facts
from crmlib.shop.samples import demo


@pytest.fixture(scope="module")
def made():
    return demo.simulate(seed=4, customers=900)


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    place = tmp_path_factory.mktemp("planted")
    for name in ("orders", "order_lines", "products", "customers", "costs"):
        made.tables[name].to_csv(place / f"{name}.csv", index=False)
    return place


@pytest.fixture(scope="module")
def shop(folder, made):
    return crm.connect(folder, as_of=made.truth["as_of"])


@pytest.fixture(scope="module")
def scored(shop):
    checked = clv.validate(shop, holdout_days=91, time_unit="week")
    return checked, clv.score(shop, checked, horizon_days=365)


# ---- money by hand


def test_margin_is_net_of_discounts_refunds_and_costs(write_shop):
    orders = [
        {"order_id": 1, "customer_id": "a", "ordered_at": "2025-01-01", "total": 105, "discount": 10, "refunded": 0},
        {"order_id": 2, "customer_id": "a", "ordered_at": "2025-01-02", "total": 50, "discount": 0, "refunded": 25},
        {"order_id": 3, "customer_id": "a", "ordered_at": "2025-01-03", "total": 40, "discount": 0, "refunded": 0},
    ]
    lines = [
        {"order_id": 1, "product_id": "p", "quantity": 2, "line_total": 60, "unit_cost": 10},
        {"order_id": 1, "product_id": "q", "quantity": 1, "line_total": 40, "unit_cost": ""},
        {"order_id": 2, "product_id": "p", "quantity": 5, "line_total": 50, "unit_cost": 4},
        {"order_id": 3, "product_id": "q", "quantity": 1, "line_total": 40, "unit_cost": ""},
    ]
    shop = crm.connect(write_shop(orders=orders, order_lines=lines), as_of="2025-02-01")
    found = shop.fetch(shop_facts.order_margins(shop)).set_index("order_id")["margin"].sort_index()
    # 1: goods 100 − 10, cost 20 on 60 known, so 33.33 on 100. 2: half of 50 − 20 kept. 3: no cost known.
    assert found.iloc[:2].tolist() == pytest.approx([100 - 10 - 20 * 100 / 60, 15.0])
    assert np.isnan(found.iloc[2])
    margin = clv.margin_of(shop, assumed=0.3)
    assert margin.share == pytest.approx((56.6667 + 15) / (105 + 25), rel=1e-4)
    assert margin.known_share == pytest.approx(110 / 190)
    # Half of order 2 was given back, whose goods cost 20.
    assert margin.at_risk == pytest.approx(10 / (56.6667 + 15), rel=1e-4)


def test_earnings_by_month_since_the_first_order_by_hand(write_shop):
    orders = [
        {"order_id": 1, "customer_id": "a", "ordered_at": "2025-01-01", "total": 10},
        {"order_id": 2, "customer_id": "a", "ordered_at": "2025-01-01 20:00", "total": 5},
        {"order_id": 3, "customer_id": "a", "ordered_at": "2025-01-31", "total": 20},
        {"order_id": 4, "customer_id": "a", "ordered_at": "2025-02-02", "total": 40},
        {"order_id": 5, "customer_id": "", "ordered_at": "2025-02-01", "total": 99},
    ]
    shop = crm.connect(write_shop(orders=orders), as_of="2025-06-01")
    found = shop.fetch(by_channel.earnings(shop, share=0.5))
    # The first month of 30.44 days ends with day 31 after the first order; 2 February is day 32.
    assert found[["month", "earned"]].to_numpy().tolist() == [[0, 7.5], [1, 10.0], [2, 20.0]]


def test_young_customers_do_not_make_a_channel_look_poor():
    earned, known = np.array([[10.0, 10.0], [10.0, 0.0]]), np.array([[True, True], [True, False]])
    lines = by_channel._cumulative(earned, known, seed=0)
    assert lines[0].tolist() == [10.0, 20.0]
    # The naive average counts the one who was not there yet.
    assert np.cumsum(earned.mean(axis=0)).tolist() == [10.0, 15.0]


def test_payback_is_the_month_in_which_the_cost_is_covered():
    lines = np.array([[5.0, 12.0, 20.0], [5.0, 9.0, 10.0]])
    assert by_channel._payback(lines, 12.0).tolist() == [1, np.inf]
    assert by_channel._payback(lines, 4.0).tolist() == [0, 0]
    value, _, _ = by_channel._median([(10, np.array([0.0])), (30, np.array([np.inf])), (25, np.array([4.0]))])
    assert value == 4.0


# ---- planted truth


def test_channels_find_the_planted_costs_and_who_pays_back(shop, scored, made):
    _, scores = scored
    found = clv.channels(shop, scores)
    assert found.missing == ""
    table = found.table.set_index("channel")
    truth = made.truth["costs"]["acquisition_per_new_buyer"]
    assert table["cost"].dropna().to_dict() == pytest.approx(truth, rel=0.06)
    # Referral keeps its customers, coupon sites do not.
    assert table.loc["referral", "earned"] > 1.5 * table.loc["coupon_site", "earned"]
    assert table.loc["referral", "payback_month"] <= 1
    assert table.loc["coupon_site", "payback_month"] > table.loc["social", "payback_month"]
    assert np.isinf(table.loc["coupon_site", "payback_month"])
    assert 0 <= found.median[1] <= found.median[0] <= found.median[2]
    assert (table["low"] <= table["earned"]).all()
    assert (table["earned"] <= table["high"]).all()
    # Nobody earns less by staying longer, refunds apart, which belong to their order.
    assert (found.curves.groupby("channel")["earned"].diff().dropna() >= -1e-9).all()
    drawn = clv.figure_channels(found, currency="EUR")
    got, cost = (
        found.curves[found.curves["channel"] == "coupon_site"]["earned"].iloc[-1],
        table.loc["coupon_site", "cost"],
    )
    slowest = table.loc[np.isfinite(table["payback_month"]), "payback_month"].max()
    assert drawn.title == (
        f"Coupon site customers have not repaid their cost within {found.months} months: margin €{got:.0f}, cost €{cost:.0f}; "
        f"all other channels with a cost repaid within {slowest:.0f} months"
    )


def test_every_customer_with_a_cost_is_in_one_of_three_groups(shop, scored):
    checked, scores = scored
    found = clv.channels(shop, scores)
    said = clv.findings(checked, scores, shop=shop, channels=found)
    note = said["payback_month"].note
    shares = [int(text) for text in re.findall(r"(\d+)\N{NO-BREAK SPACE}% (?:came )?by", note)]
    assert len(shares) == 3
    assert sum(shares) in (99, 100, 101)
    assert "(coupon site)" in note
    (review,) = [action for action in said.actions if action.what.startswith("Review")]
    known = found.table.set_index("channel").loc["coupon_site"]
    assert known["known"] < known["customers"] == review.count
    assert review.counted == f"customers, {int(known['known']):,} of them known for {found.months} months"


def test_one_wholesale_buyer_does_not_decide_a_channel(shop, scored):
    _, scores = scored
    assert scores.wholesale == 1
    found = clv.channels(shop, scores).table.set_index("channel")
    # With the wholesale buyer inside, search would earn several times what comparable channels do.
    assert found.loc["search", "high"] < 2 * found.loc["referral", "high"]
    assert found["customers"].sum() < len(scores.customers)


def test_what_is_missing_is_said(shop, scored, cdnow_sample, folder, tmp_path):
    _, scores = scored
    nothing = clv.channels(cdnow_sample, scores)
    assert nothing.missing == "customers.acquisition_channel"
    assert clv.figure_channels(nothing, currency="").title == "Value by channel is not available"
    for name in ("orders", "customers"):
        (tmp_path / f"{name}.csv").write_bytes((folder / f"{name}.csv").read_bytes())
    bare = crm.connect(tmp_path, as_of=str(shop.as_of))
    found = clv.channels(bare, scores)
    assert found.missing == "costs of kind 'acquisition' with a channel"
    assert not found.table.empty
    assert np.isnan(found.median[0])
    assert "Not available: costs of kind 'acquisition'" in clv.figure_channels(found, currency="EUR").caption


# ---- predictions and grades


def test_predictions_have_stable_ids_bands_and_lists(shop, scored):
    checked, scores = scored
    said = clv.findings(checked, scores, shop=shop)
    ids = [prediction.id for prediction in said.predictions]
    assert set(ids) == {"orders_30d", "orders_90d", "orders_365d", "sales_30d", "sales_90d", "sales_365d", "buys_90d"}
    for prediction in said.predictions:
        assert prediction.start == shop.as_of
        assert prediction.low <= prediction.value <= prediction.high
    bands = [prediction for prediction in said.predictions if prediction.id == "buys_90d"]
    listed = said.lists["predictions"]
    assert sum(prediction.n for prediction in bands) == len(listed) == len(scores.customers)
    for prediction in bands:
        inside = listed[listed["band"] == prediction.band]["chance"]
        low, high = (float(end) / 100 for end in prediction.band.removesuffix(" %").split("–"))
        assert inside.between(low - 1e-3, high + 1e-3).all()
        assert inside.mean() == pytest.approx(prediction.value, abs=1e-3)
    year = next(p for p in said.predictions if p.id == "orders_365d")
    assert year.value == pytest.approx(scores.orders.value)
    assert (year.low, year.high) == (
        pytest.approx(scores.orders.low, rel=0.02),
        pytest.approx(scores.orders.high, rel=0.02),
    )


def test_grades_count_what_came(write_shop, tmp_path):
    rows = [
        ("a", "2025-01-01", 10), ("a", "2025-02-03", 20), ("a", "2025-02-03 22:00", 5), ("a", "2025-03-09", 40),
        ("=b", "2025-01-15", 10), ("=b", "2025-02-28", 30), ("c", "2025-02-10", 70), ("c", "2025-02-20", 80), ("d", "2025-01-20", 10),
    ]  # fmt: skip
    orders = [
        {"order_id": i, "customer_id": who, "ordered_at": at, "total": total} for i, (who, at, total) in enumerate(rows)
    ]
    shop = crm.connect(write_shop(orders=orders), as_of="2025-03-10")
    start, lists = date(2025, 2, 1), tmp_path / "lists"
    lists.mkdir()
    # As published: an id like a formula stands behind a quote.
    (lists / "predictions.csv").write_text("customer_id,chance,band\na,0.5,40–60 %\n'=b,0.5,40–60 %\nd,0.41,40–60 %\n")

    def due(id: str, *, days: int = 28, band: str = "", folder=lists) -> Due:
        said = Prediction(id=id, label="", unit="", value=1.0, start=start, end=start + timedelta(days=days), band=band)
        return Due(prediction=said, as_of=start, run_id="r", lists=folder)

    grades = clv.grade(shop, [due("orders_28d"), due("sales_28d"), due("buys_90d", band="40–60 %")])
    # c was not known on 1 February; two orders of a on one day are one.
    assert [grade.actual for grade in grades] == [2.0, 55.0, pytest.approx(2 / 3)]
    assert clv.grade(shop, [due("orders_90d", days=90)]) == ()
    assert clv.grade(shop, [due("buys_90d", band="40–60 %", folder=None)]) == ()
    assert clv.grade(shop, [due("buys_90d", band="0–5 %")]) == ()


def test_an_earlier_runs_predictions_hold_when_they_are_due(folder, made, shop, tmp_path):
    """Predict on 1 July, grade on 1 October: totals in their range, chances calibrated band by band."""
    earlier = crm.connect(folder, as_of="2026-07-01")
    checked = clv.validate(earlier, holdout_days=91, time_unit="week")
    scores = clv.score(earlier, checked, horizon_days=90)
    predictions_list(scores).to_csv(tmp_path / "predictions.csv", index=False)
    said = clv.predictions(scores, shop=earlier)
    due = [
        Due(prediction=one, as_of=earlier.as_of, run_id="r", lists=tmp_path) for one in said if one.end <= shop.as_of
    ]
    grades = clv.grade(shop, due)
    assert len(grades) == len(due)
    for grade in grades:
        prediction = grade.due.prediction
        if not prediction.band:
            assert prediction.low <= grade.actual <= prediction.high, prediction.id
    bands = [grade for grade in grades if grade.due.prediction.band]
    inside = [grade.due.prediction.low - 0.02 <= grade.actual <= grade.due.prediction.high + 0.02 for grade in bands]
    assert sum(inside) >= len(bands) - 1
    assert [grade.actual for grade in bands] == sorted(grade.actual for grade in bands)


def test_tiers_add_up_and_stand_apart(scored):
    _, scores = scored
    tiers = scores.tiers.set_index("tier")
    assert tiers["customers"].sum() == len(scores.customers)
    assert tiers["expected_value"].sum() == pytest.approx(scores.value.value, rel=1e-3)
    assert tiers.loc["wholesale", "customers"] == 1
    assert tiers["share"].sum() == pytest.approx(1)
    assert tiers.drop(index="wholesale")["expected_value"].is_monotonic_decreasing
    assert (tiers["low_value"] <= tiers["expected_value"]).all()
    assert not scores.customers.loc[scores.customers["wholesale"], "quiet"].any()
    assert scores.customers.loc[scores.customers["tier"] == "top tenth", "rank"].max() <= scores.customers.loc[
        scores.customers["tier"] == "the rest", "rank"].min()  # fmt: skip


# ---- sentences


def holdout_of(checked: clv.Validation, *, said: list[float], came: list[int]) -> clv.Validation:
    """Ten groups of 200 customers of whom `said` orders were expected each, and who placed `came` in all."""
    rows = []
    for tenth, orders in enumerate(came):
        rows += [{"frequency": 10 - tenth, "recency_days": 10, "t_days": 90, "purchases": 1, "customers": orders}]
        rows += [{"frequency": 10 - tenth, "recency_days": 10, "t_days": 90, "purchases": 0, "customers": 200 - orders}]
    patterns = pd.DataFrame(rows)
    expected = np.repeat(np.array(said) / 200, 2)
    look = replace(checked.holdout, patterns=patterns, expected={checked.chosen: expected})
    return replace(checked, holdout=look, ranking={checked.chosen: expected})


SAID = [150.0, 120, 90, 60, 50, 40, 30, 25, 20, 15]


def test_lower_tenths_that_brought_less_than_said_are_named(scored):
    checked, _ = scored
    (said,) = assurance._lower_tenths(holdout_of(checked, said=SAID, came=[150, 120, 90, 60, 50, 40, 5, 2, 1, 0]))
    # By hand: 60 + 50 + 40 + 30 + 25 + 20 + 15 = 240 and 60 + 50 + 40 + 5 + 2 + 1 + 0 = 158.
    assert "240 orders were forecast and 158 came, and 4 of these tenths lie beyond chance" in said
    assert "take fewer orders than are expected of them" in said
    (said,) = assurance._lower_tenths(holdout_of(checked, said=SAID, came=[150, 120, 90, 60, 50, 40, 70, 70, 60, 15]))
    assert "take more orders" in said
    # One tenth of seven may lie outside by chance; nothing is said then.
    assert assurance._lower_tenths(holdout_of(checked, said=SAID, came=[150, 120, 90, 60, 50, 40, 30, 25, 20, 0])) == ()


def test_tiers_say_what_was_forecast_of_them_last_time(scored):
    checked, scores = scored
    then = holdout.tiers_then(holdout_of(checked, said=SAID, came=[150, 120, 90, 60, 50, 40, 5, 2, 1, 0]))
    assert then["forecast"].tolist() == pytest.approx([150, 210, 150, 90])
    assert then["came"].tolist() == pytest.approx([150, 210, 150, 8])
    drawn = clv.table_tiers(
        scores, holdout_of(checked, said=SAID, came=[150, 120, 90, 60, 50, 40, 5, 2, 1, 0]), currency="EUR"
    )
    assert "Of 'the rest' too much was expected last time" in drawn.sentence
    right = clv.table_tiers(scores, holdout_of(checked, said=SAID, came=[int(n) for n in SAID]), currency="EUR")
    assert "last time:" not in right.sentence


def test_quiet_customers_are_listed_best_first_in_two_halves(shop, scored):
    checked, scores = scored
    said = clv.findings(checked, scores, shop=shop)
    listed = said.lists["quiet_customers"]
    quiet = scores.customers[scores.customers["quiet"]]
    assert set(listed["customer_id"]) == set(quiet["customer_id"])
    assert listed["past_revenue"].is_monotonic_decreasing
    called = listed[listed["half"] == "call"]
    assert set(listed["half"]) == {"call", "leave alone"}
    # A fair coin: within three standard deviations of half.
    assert abs(len(called) - len(listed) / 2) < 1.5 * np.sqrt(len(listed))
    (call,) = [action for action in said.actions if action.what.startswith("Call")]
    assert (call.count, call.counted) == (len(called), f"of {len(listed):,} customers")
    assert call.file == "lists/quiet_customers.csv"
    gone = int((quiet["p_no_order"] >= 0.9).sum())
    assert 0 < gone < len(quiet)
    assert f"for {gone:,} of the {len(quiet):,} that is all but certain" in call.why
    assert call.worth.startswith("at most €")
    assert call.worth.endswith(f"if all {len(called):,} bought again as before; untested")
    more = (called["value_if_back"] - called["expected_value"]).sum()
    amount = float(call.worth.partition("€")[2].partition(" ")[0].replace(",", ""))
    assert amount == pytest.approx(more, rel=0.1)


def test_a_customer_stays_in_the_half_that_was_drawn(shop, scored):
    _, scores = scored
    listed = calling.quiet_customers(shop, scores).set_index("customer_id")["half"]
    fewer = replace(scores, customers=scores.customers[scores.customers["customer_id"] != listed.index[0]])
    again = calling.quiet_customers(shop, fewer).set_index("customer_id")["half"]
    assert again.equals(listed.drop(listed.index[0]))
    # Another key draws other halves, and a handful is called as a whole.
    other = calling.quiet_customers(replace(shop, _key=b"another key altogether"), scores).set_index("customer_id")[
        "half"
    ]
    assert not other.equals(listed)
    few = replace(scores, customers=scores.customers[scores.customers["customer_id"].isin(listed.index[:5])])
    assert set(calling.quiet_customers(shop, few)["half"]) == {"call"}


def test_what_a_lost_customer_would_bring_back_does_not_vanish_with_the_chance_of_it(scored):
    """A hundred orders in two years, then silence: the chance of more is nil, what they would be is not."""
    _, scores = scored
    model = scores.model
    rows = pd.DataFrame(
        {"frequency": [100.0, 100.0], "recency_days": [700, 700], "t_days": [705, 1000], "customers": 1}
    )
    alive, expected = model.p_alive(rows), model.expected(rows, days=365)
    assert alive[1] < 1e-9
    back = scoring._if_active(expected, alive)
    # By the longer time in which nobody heard of the second, their rate is lower, but by no more than that.
    assert back[0] > back[1] > back[0] * 0.6
    assert scoring._if_active(np.zeros(1), np.zeros(1)).tolist() == [0.0]


def test_the_trial_says_orders_sales_and_the_day_in_no_week(scored):
    checked, _ = scored
    right = replace(checked, sales_forecast=99.0, sales_actual=100.0)
    assert drawings._tried(replace(right), 0.04, "") == (
        "Tried on the last 91 days the forecast was 4\N{NO-BREAK SPACE}% too high in orders, 1\N{NO-BREAK SPACE}% too low in net sales"
    )
    assert drawings._odd_days(checked) == ""
    odd = replace(checked, holdout=replace(checked.holdout, end=checked.holdout.start + timedelta(days=365)))
    assert drawings._odd_days(odd) == " (the last day is in neither sum)"


def test_wholesale_buyers_have_a_list_of_their_own(shop, scored):
    checked, scores = scored
    said = clv.findings(checked, scores, shop=shop)
    (keep,) = [action for action in said.actions if action.what.startswith("Keep")]
    assert keep.file == "lists/wholesale_customers.csv"
    assert len(said.lists["wholesale_customers"]) == keep.count == scores.wholesale


def test_a_tiers_range_holds_its_own_miss_of_last_time(scored):
    checked, scores = scored
    missed = holdout.tiers_then(checked).set_index("tier")
    tiers = scores.tiers.set_index("tier").loc[missed.index]
    again = tiers["expected_value"] * missed["came"] / missed["forecast"]
    assert ((tiers["low_value"] <= again * 1.000001) & (again <= tiers["high_value"] * 1.000001)).all()
    assert ((tiers["low_value"] <= tiers["expected_value"]) & (tiers["expected_value"] <= tiers["high_value"])).all()


def test_first_sentence_of_how_sure_is_for_anybody(shop, scored):
    checked, scores = scored
    first = clv.findings(checked, scores, shop=shop).how_sure[0]
    held = assurance.holdout_band(checked)
    assert first.endswith("inside the range given with it.") == (held.low <= checked.actual <= held.high)
    said = clv.findings(checked, scores, shop=shop)
    plain = " ".join(said.how_sure)
    assert checked.verdict() in said.for_experts
    assert not any(word in plain for word in ("NBD", "correlation", "window", "holdout"))
    exact = holdout_of(checked, said=SAID, came=[int(n) for n in SAID])
    assert "would have been right within 1\N{NO-BREAK SPACE}%" in assurance._plainly(exact)
    # By hand: 600 were said; 438 came, which is 37 % too high, or 750, which is 20 % too low.
    high = holdout_of(checked, said=SAID, came=[150, 120, 90, 60, 10, 5, 2, 1, 0, 0])
    assert "37\N{NO-BREAK SPACE}% too high" in assurance._plainly(high)
    low = holdout_of(checked, said=SAID, came=[180, 160, 120, 80, 60, 50, 40, 30, 20, 10])
    assert "20\N{NO-BREAK SPACE}% too low" in assurance._plainly(low)


def test_what_was_chosen_without_the_days_kept_aside_is_said(scored):
    checked, _ = scored
    assert "a little flattered" in assurance._unaided(replace(checked, unaided="", looks=3))[0]
    assert "choose the same method" in assurance._unaided(replace(checked, unaided=checked.chosen))[0]
    other = next(
        name for name in checked.expected if name != checked.chosen and checked.measure(name, "error_share")[0] < 0
    )
    (said,) = assurance._unaided(replace(checked, unaided=other))
    assert f"'{other}', which was off by −" in said
    assert assurance._unaided(replace(checked, unaided="", looks=1)) == []


def test_weeks_that_miss_on_one_side_for_long_are_said_and_chance_is_not():
    def weeks(signs: str) -> pd.DataFrame:
        return pd.DataFrame({"forecast": 10.0, "came": [12.0 if sign == "+" else 8.0 for sign in signs]})

    assert holdout.one_sided(weeks("+-" * 13 + "-" * 26)) == (25, 27, False)
    assert holdout.one_sided(weeks("+" * 20 + "-+" * 16)) == (0, 20, True)
    rng = np.random.default_rng(3)
    fair = [holdout.one_sided(weeks("".join(rng.choice(["+", "-"], 52)))) is not None for _ in range(2000)]
    assert np.mean(fair) < 0.01
    assert holdout.one_sided(weeks("")) is None


# ---- chances on the page


def test_chances_never_contradict_one_another(scored):
    checked, scores = scored
    people = scores.customers
    assert checked.chances.mending is not None
    # Rounded to four decimals, so half of one may lie between.
    assert (people["chance_90d"] <= 1 - people["p_no_order"] + 1.01e-4).all()
    assert (1 - people["p_no_order"] <= people["expected_orders"] + 1.01e-4).all()
    assert scores.buyers.value == pytest.approx((1 - people["p_no_order"]).sum(), rel=1e-3)
    for row in scores.tiers.itertuples():
        inside = people[people["tier"] == row.tier]
        assert row.p_no_order == pytest.approx(inside["p_no_order"].mean(), abs=1e-3)
    # Who is called quiet, and the bands that a later run marks, follow from the same numbers.
    assert (people.loc[people["quiet"], "p_no_order"] >= 0.5).all()
    bands = chances.band_of(people["chance_90d"])
    listed = predictions_list(scores)
    assert [chances.band_names()[k] for k in bands] == listed["band"].tolist()


def test_chances_that_came_true_are_drawn(scored):
    checked, _ = scored
    drawn = clv.figure_chances(checked)
    bands = checked.chances.bands
    inside = int(((bands["came"] >= bands["low"]) & (bands["came"] <= bands["high"])).sum())
    assert (f"all {len(bands)} groups" if inside == len(bands) else f"{inside} of {len(bands)} groups") in drawn.title
    bare = clv.figure_chances(replace(checked, chances=chances.Chances(windows=2)))
    assert bare.title == "Single chances could not be checked"
    assert "only 2 windows of 90 days are over" in bare.sentence


def test_a_crowd_is_measured_in_parts_with_the_same_numbers(shop, scored, monkeypatch):
    checked, scores = scored
    whole = validation._compare(checked.holdout, checked.ranking, seed=0)
    monkeypatch.setattr(validation, "_CELLS_AT_ONCE", 7 * len(checked.patterns))
    pd.testing.assert_frame_equal(validation._compare(checked.holdout, checked.ranking, seed=0), whole, rtol=1e-12)
    draws = scores.forecaster.simulate(90, n=50, seed=1)
    monkeypatch.setattr(scoring, "_CHUNK", 13)
    np.testing.assert_array_equal(scoring._variances(draws), draws.var(axis=1, dtype=float))
