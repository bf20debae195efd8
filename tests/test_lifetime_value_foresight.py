"""Value by channel, the page's sentences, and predictions that a later run can mark, on small and planted shops."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

import crmlib as crm
from crmlib import wording
from crmlib.analysis import lifetime_value as clv
from crmlib.analysis.forecasts import Total
from crmlib.analysis.lifetime_value import chances, contest, holdout, lists, methods, payback, scoring, verdict
from crmlib.analysis.lifetime_value.margin import margin_of
from crmlib.analysis.lifetime_value.page import headline, part_limits
from crmlib.analysis.lifetime_value.past import part_past, past_year
from crmlib.analysis.lifetime_value.predictions import predictions, predictions_list
from crmlib.analysis.lifetime_value.tiers import tiers_then
from crmlib.analysis.lifetime_value.validation import Trust
from crmlib.errors import DataError
from crmlib.findings import Due, Prediction
from crmlib.shop import facts as shop_facts
from crmlib.shop.samples import demo


@pytest.fixture(scope="module")
def made():
    return demo.simulate(seed=10, customers=900)


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
    margin = margin_of(shop, assumed=0.3)
    assert margin.share == pytest.approx((56.6667 + 15) / (105 + 25), rel=1e-4)
    assert margin.known_share == pytest.approx(110 / 190)
    # Half of order 2 was given back, whose goods cost 20.
    assert margin.at_risk == pytest.approx(10 / (56.6667 + 15), rel=1e-4)


TAXED = ({"tax": 19, "total": 119}, {"tax": "", "total": 107}, {"tax": 0, "total": 100}, {"tax": 200, "total": 107})


@pytest.mark.parametrize(
    ("said", "kept"),
    [("", [1, 1, 1, 1]), ("prices_include_tax = false", [1, 1, 1, 1]),
     ("prices_include_tax = true", [100 / 119, 1, 1, 1]),
     ("prices_include_tax = true\ntax_rate = 0.07", [100 / 119, 1 / 1.07, 1, 1 / 1.07])],
)  # fmt: skip
def test_a_margin_is_without_the_tax_in_prices_where_the_shop_says_so(write_shop, said, kept):
    """An order's own tax counts, the rate only where it names none or one that cannot be; sales stay as they are."""
    orders = [{"order_id": n, "customer_id": "a", "ordered_at": "2025-01-01", **row} for n, row in enumerate(TAXED)]
    lines = [{"order_id": n, "product_id": f"p{n}", "quantity": 2, "line_total": row["total"], "unit_cost": 10}
             for n, row in enumerate(TAXED)]  # fmt: skip
    shop = crm.connect(write_shop(orders=orders, order_lines=lines, toml=said), as_of="2025-02-01")
    wanted = pd.Series([row["total"] * part - 20 for row, part in zip(TAXED, kept, strict=True)])
    found = shop.fetch(shop_facts.order_margins(shop)).sort_values("order_id")
    assert found["margin"].tolist() == pytest.approx(wanted.tolist())
    assert found["revenue"].tolist() == [row["total"] for row in TAXED]
    items = shop.fetch(shop_facts.item_money(shop)).sort_values("item")
    assert (items["known_sales"] - items["tax"] - items["cost"]).tolist() == pytest.approx(wanted.tolist())
    margin = margin_of(shop, assumed=1.0)
    assert margin.share == pytest.approx(wanted.sum() / 433) and margin.known_share == 1
    told = "does not say" if not said else "taken off" if "true" in said else "hold no tax"
    assert told in margin.sentence()


@pytest.mark.parametrize(
    ("said", "fault"),
    [("prices_include_tax = 1", "must be true or false"), ("tax_rate = 0.19", "needs prices_include_tax"),
     ("prices_include_tax = true\ntax_rate = 19", "such as 0.19"),
     ("prices_include_tax = true\ntax_rate = true", "such as 0.19")],
)  # fmt: skip
def test_what_is_said_of_tax_is_checked(write_shop, said, fault):
    orders = [{"order_id": 1, "customer_id": "a", "ordered_at": "2025-01-01", "total": 1}]
    with pytest.raises(DataError, match=fault):
        crm.connect(write_shop(orders=orders, toml=said))


def test_earnings_by_month_since_the_first_order_by_hand(write_shop):
    orders = [
        {"order_id": 1, "customer_id": "a", "ordered_at": "2025-01-01", "total": 10},
        {"order_id": 2, "customer_id": "a", "ordered_at": "2025-01-01 20:00", "total": 5},
        {"order_id": 3, "customer_id": "a", "ordered_at": "2025-01-31", "total": 20},
        {"order_id": 4, "customer_id": "a", "ordered_at": "2025-02-02", "total": 40},
        {"order_id": 5, "customer_id": "", "ordered_at": "2025-02-01", "total": 99},
    ]
    shop = crm.connect(write_shop(orders=orders), as_of="2025-06-01")
    found = shop.fetch(payback.earnings(shop, share=0.5))
    # The first month of 30.44 days ends with day 31 after the first order; 2 February is day 32.
    assert found[["month", "earned"]].to_numpy().tolist() == [[0, 7.5], [1, 10.0], [2, 20.0]]


def test_young_customers_do_not_make_a_channel_look_poor():
    earned, known = np.array([[10.0, 10.0], [10.0, 0.0]]), np.array([[True, True], [True, False]])
    lines = payback._cumulative(earned, known, seed=0)
    assert lines[0].tolist() == [10.0, 20.0]
    # The naive average counts the one who was not there yet.
    assert np.cumsum(earned.mean(axis=0)).tolist() == [10.0, 15.0]


def test_payback_is_the_month_in_which_the_cost_is_covered():
    lines = np.array([[5.0, 12.0, 20.0], [5.0, 9.0, 10.0]])
    assert payback._payback(lines, 12.0).tolist() == [1, np.inf]
    assert payback._payback(lines, 4.0).tolist() == [0, 0]
    value, _, _ = payback._median([(10, np.array([0.0])), (30, np.array([np.inf])), (25, np.array([4.0]))])
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


def test_a_channel_that_does_not_pay_is_an_action_with_what_each_customer_loses(shop, scored):
    _, scores = scored
    found = clv.channels(shop, scores)
    # So few customers leave a range that holds the cost; without it the loss is sure.
    assert not clv.part_channels(found, shop=shop).actions
    found = replace(found, curves=found.curves.assign(high=found.curves["earned"]))
    part = clv.part_channels(found, shop=shop)
    (cut,) = part.actions
    known, last = found.table.set_index("channel").loc["coupon_site"], found.curves.groupby("channel")["earned"].last()
    cost, earned = known["cost"], last["coupon_site"]
    assert cut.what == "Cut or renegotiate the coupon site channel"
    assert cut.worth == f"€{cost - earned:.0f} lost on each customer in {found.months} months"
    assert cut.why.startswith(f"A customer costs €{cost:.0f} and earns €{earned:.0f} in {found.months} months (range ")
    assert f"each over the customers known for all of it; {known['known']:.0f} customers are known for all" in cut.why
    assert cut.by.weekday() < 5
    assert cut.weight == pytest.approx((cost - earned) * found.lately["coupon_site"])
    assert 0 < found.lately["coupon_site"] < known["customers"]
    assert part.title.startswith("Coupon site customers cost €")
    assert part.sentence.startswith("All other channels pay back within ")


def channels_of(*rows: tuple[str, float, float]) -> payback.Channels:
    """Channels with their cost and the month that repaid it; each customer had earned 100 after a year."""
    table = pd.DataFrame([{"channel": name, "customers": 50, "known": 40, "cost": cost, "payback_month": month,
                           "first": 10.0, "earned": 100.0, "low": 90.0, "high": 110.0, "expected_value": 5.0}
                          for name, cost, month in rows])  # fmt: skip
    curves = pd.DataFrame([{"channel": name, "month": month, "earned": 100.0, "low": 90.0, "high": 110.0}
                           for name, _, _ in rows for month in (0, 18)])  # fmt: skip
    return payback.Channels(
        missing="", table=table, curves=curves, months=18, lately=dict.fromkeys(table["channel"], 7)
    )


@pytest.mark.parametrize(
    ("rows", "title", "sentence"),
    [
        ([("a", 50.0, 0)], "Every channel pays back with the first order", "Channels attract"),
        ([("a", 50.0, 0), ("b", 90.0, 1)], "Every channel pays back within 1 month", "Channels attract"),
        ([("a", 50.0, 2), ("b_c", 120.0, np.inf)], "B c customers cost €120 each and earn €100 in 18 months",
         "The other channel pays back within 2 months."),
        ([("a", 150.0, np.inf), ("b_c", 120.0, np.inf)],
         "A and b c customers don't repay what they cost within 18 months", "Channels attract"),
    ],
)  # fmt: skip
def test_channels_that_pay_and_that_do_not(shop, rows, title, sentence):
    part = clv.part_channels(channels_of(*rows), shop=shop)
    assert part.title == title
    assert part.sentence.startswith(sentence)
    assert len(part.actions) == sum(np.isinf(month) for _, _, month in rows)


def test_no_channel_is_cut_that_may_pay_or_wins_nobody(shop):
    # Earned 100 with a range up to 110: a cost of 105 may be repaid.
    maybe = clv.part_channels(channels_of(("a", 105.0, np.inf)), shop=shop)
    assert not maybe.actions and not maybe.signals
    (told,) = clv.part_channels(channels_of(("a", 120.0, np.inf)), shop=shop).signals
    assert (told.text, told.gone) == (
        "A customers don't repay what they cost.",
        "A customers may repay what they cost now.",
    )
    # Sure of it alone, a loss of one in six channels that were looked at may be chance.
    alone = clv.part_channels(channels_of(("a", 112.0, np.inf)), shop=shop)
    assert alone.actions and "chance" not in alone.sentence
    others = [(name, 50.0, 0) for name in "bcdef"]
    unsure = clv.part_channels(channels_of(("a", 112.0, np.inf), *others), shop=shop)
    assert not unsure.actions and not unsure.signals and unsure.sentence.startswith("Such a loss may be chance. All")
    both = clv.part_channels(channels_of(("a", 112.0, np.inf), ("g", 150.0, np.inf), *others), shop=shop)
    assert len(both.actions) == 1 and both.sentence.startswith("Some of it may be chance. All other")
    idle = replace(channels_of(("a", 120.0, np.inf)), lately={})
    assert not clv.part_channels(idle, shop=shop).actions


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
    assert not clv.part_channels(nothing, shop=cdnow_sample).shown
    told = part_limits(scored[0], scores, nothing)
    assert "Payback by channel is missing: the data lacks customers.acquisition_channel." in [
        c.text for c in told.caveats
    ]
    assert len(told.caveats) == 4
    for name in ("orders", "customers"):
        (tmp_path / f"{name}.csv").write_bytes((folder / f"{name}.csv").read_bytes())
    bare = crm.connect(tmp_path, as_of=str(shop.as_of))
    found = clv.channels(bare, scores)
    assert found.missing == "costs of kind 'acquisition' with a channel"
    assert not found.table.empty
    assert np.isnan(found.median[0])
    drawn = clv.part_channels(found, shop=bare)
    assert drawn.title.endswith("customers least") and not drawn.actions and not drawn.metrics


# ---- predictions and grades


def test_predictions_have_stable_ids_bands_and_lists(shop, scored):
    checked, scores = scored
    said = clv.page(checked, scores, shop=shop)
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
        ("=b", "2025-01-15", 10), ("=b", "2025-02-28", 30), ("c", "2025-02-10", 70), ("c", "2025-02-20", 80),
        ("d", "2025-01-20", 10),
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
    said = predictions(scores, shop=earlier)
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
    told = {checked.chosen: expected}
    return replace(checked, patterns=patterns, expected=told, ranking=told, then=chances.Chances())


SAID = [150.0, 120, 90, 60, 50, 40, 30, 25, 20, 15]


@pytest.mark.parametrize(
    ("came", "said"),
    [
        # By hand: 60 + 50 + 40 were expected of the middle, 30 + 25 + 20 + 15 of the rest.
        ([150, 120, 90, 60, 50, 40, 5, 2, 1, 0],
         "It expected too much from the bottom 40%: 90 orders, 8 came. Treat their figures as upper limits."),
        ([150, 120, 90, 40, 30, 20, 5, 2, 1, 0],
         "It expected too much from the bottom 70%: 240 orders, 98 came. Treat their figures as upper limits."),
        ([150, 120, 90, 90, 80, 70, 30, 25, 20, 15],
         "It expected too little from the middle tier: 150 orders, 240 came. Treat their figures as lower limits."),
        ([150, 120, 90, 90, 80, 70, 5, 2, 1, 0], "Forecasts for the bottom 70% were far off: use them only to rank."),
        ([150, 120, 90, 60, 50, 40, 30, 25, 20, 10], ""),
    ],
)  # fmt: skip
def test_tiers_that_were_far_off_are_named(scored, came, said):
    checked, _ = scored
    told = holdout_of(checked, said=SAID, came=came)
    assert holdout._weak(tiers_then(told)) == said
    assert clv.part_weeks(told).certain[0].endswith(said or ".")


def test_tiers_say_what_was_forecast_of_them_last_time(scored):
    checked, _ = scored
    then = tiers_then(holdout_of(checked, said=SAID, came=[150, 120, 90, 60, 50, 40, 5, 2, 1, 0]))
    assert then["forecast"].tolist() == pytest.approx([150, 210, 150, 90])
    assert then["came"].tolist() == pytest.approx([150, 210, 150, 8])
    assert scoring._then(pd.DataFrame({"tier": ["wholesale", "the rest"]}), then) == [None, "90 expected, 8 came"]


# ---- what the page leads with


def led(checked: clv.Validation, scores: clv.Scores) -> str:
    return headline(checked, scores, currency="EUR")


def test_a_page_leads_with_no_forecast_that_was_not_tested(shop, scored):
    checked, scores = scored
    assert checked.days == 91
    assert checked.trust(91) is Trust.TESTED
    assert checked.trust(365) is Trust.UNTESTED
    said = clv.page(checked, scores, shop=shop)
    assert said.headline.startswith("We can't forecast this shop's year yet. Customers brought €")
    assert said.headline.endswith(" in the past 12 months.")
    assert "expected_value" not in {metric.id for metric in said.tiles}
    assert said["past_sales"].headline
    (signal,) = [signal for signal in said.signals if signal.text == "The next 12 months can't be forecast."]
    assert signal.gone == "Lifetime value can forecast the next 12 months now."
    assert said.parts[0].title.startswith("One in ten buyers brought ")
    assert any("untested: forecasts were checked over 91 days only" in caveat.text for caveat in said.caveats)
    # Only what stands is left out of the lead: lists and numbers are all there.
    assert said["expected_value"].value == scores.value.value


def test_a_page_leads_with_no_forecast_after_a_miss_of_more_than_a_quarter(shop, scored):
    checked, scores = scored
    year = replace(checked, cuts=tuple(replace(cut, end=cut.start + timedelta(days=365)) for cut in checked.cuts))
    assert year.trust(365) is Trust.TESTED
    assert led(year, scores).startswith("Today's customers should bring about €")
    missed = holdout_of(year, said=SAID, came=[150, 120, 90, 60, 20, 10, 5, 2, 1, 0])
    assert missed.off == pytest.approx(600 / 458 - 1)
    assert missed.trust(365) is Trust.MISSED
    assert led(missed, scores).startswith("We can't forecast")
    # To rank only is said once.
    for checks, lines in ((missed, 1), (year, 1)):
        limits = [line.text for line in clv.page(checks, scores, shop=shop).caveats]
        assert sum("to rank" in text or "the ranking" in text for text in limits) == lines
    assert any(
        "The last forecast missed by 31%" in caveat.text for caveat in clv.page(missed, scores, shop=shop).caveats
    )
    near = holdout_of(year, said=SAID, came=[150, 120, 90, 60, 50, 10, 5, 2, 1, 0])
    assert near.trust(365) is Trust.TESTED
    nothing = holdout_of(year, said=SAID, came=[0] * 10)
    assert nothing.trust(365) is Trust.MISSED
    assert clv.part_weeks(nothing).title == "The forecast for the last 91 days was wrong: nothing came"


def test_headlines_for_money_orders_and_other_horizons(scored):
    checked, scores = scored
    year = replace(checked, cuts=tuple(replace(cut, end=cut.start + timedelta(days=365)) for cut in checked.cuts))
    amount = f"{float(f'{scores.value.value:.2g}'):,.0f}"
    values = scores.customers["expected_value"].sort_values(ascending=False)
    top = values.head(round(len(values) / 10)).sum() / values.sum()
    part = "over three quarters" if top > 3 / 4 else "over two thirds" if top > 2 / 3 else "over half"
    assert led(year, scores) == (
        f"Today's customers should bring about €{amount} of margin in the next 12 months. "
        f"One in ten brings {part} of it."
    )
    assert len(led(year, scores).split()) <= 25
    share = scores.tiers.set_index("tier").loc["top tenth", "share"]
    hero = clv.part_value(scores, year, currency="EUR")
    assert hero.title == f"One in ten brings {share:.0%} of margin, wholesale apart"
    assert hero.chart.alt.startswith("Bars: expected margin, next 12 months")
    unpaid = replace(scores, value=None, past=replace(scores.past, sales=float("nan")))
    assert led(year, unpaid).endswith("orders in the next 12 months. What these are worth can't be forecast.")
    assert led(checked, unpaid).startswith("We can't forecast this shop's year yet. ")
    assert led(checked, unpaid).endswith(" customers bought in the past 12 months.")
    one = replace(unpaid, past=replace(unpaid.past, customers=1, whole=False, start=date(2026, 3, 1)))
    assert led(checked, one).endswith("yet. 1 customer bought since 1\N{NO-BREAK SPACE}March 2026.")
    assert "We can't forecast the next three months yet" in led(
        replace(checked, cuts=(replace(checked.cuts[0], end=checked.start),), known=(), recent=()),
        replace(scores, horizon_days=90),
    )


@pytest.mark.parametrize(
    ("now", "then", "days", "said"),
    [
        (0, 100, 365, "the year before, from 100% fewer customers"), (100, 0, 365, "the year before"),
        (101, 100, 365, "the year before"), (139, 100, 365, "the year before, from 39% more customers"),
        (80, 100, 90, "the three months before, from 20% fewer customers"),
    ],
)  # fmt: skip
def test_money_of_two_times_is_compared_with_how_many_brought_it(now, then, days, said):
    assert scoring._against(now, then, days) == said


def test_all_who_ever_bought_are_not_taken_for_those_of_the_year(scored):
    told = {metric.id: metric for metric in clv.part_value(scored[1], scored[0], currency="EUR").metrics}
    assert told["customers"].label == "Customers who ever bought" and told["customers"].headline
    assert told["past_buyers"].label == "Customers who bought in the past 12 months"


def test_what_came_in_the_past_year_by_hand(write_shop):
    days = [("a", "2024-01-05", 7), ("a", "2024-06-05", 10), ("b", "2024-08-01", 30), ("", "2024-09-01", 99)]
    orders = [{"order_id": i, "customer_id": who, "ordered_at": at, "total": sum_}
              for i, (who, at, sum_) in enumerate(days)]  # fmt: skip
    shop = crm.connect(write_shop(orders=orders), as_of="2025-01-20")
    found = past_year(shop)
    # Guests are nobody's history; 5 January 2024 is more than a year before.
    assert (found.sales, found.customers, found.whole, found.before) == (40.0, 2, True, None)
    assert found.top == pytest.approx(30 / 40)
    later = past_year(crm.connect(write_shop(orders=orders), as_of="2026-01-06"))
    assert (later.sales, later.before, later.customers) == (0.0, 47.0 - 7.0 + 7.0 - 7.0, 0)
    part = part_past(later, currency="EUR")
    assert not part.shown and part.metrics[0].value == 0


# ---- whom to contact


def over_a_year(checked: clv.Validation) -> clv.Validation:
    """The same as if the forecast had been checked over a year."""
    return replace(checked, cuts=tuple(replace(cut, end=cut.start + timedelta(days=365)) for cut in checked.cuts))


def quiet_scores(scores: clv.Scores, *chances: float) -> clv.Scores:
    """Ten customers, the best two of whom ever bought most; then one for each chance of no order."""
    best = scores.customers.head(len(chances)).assign(p_no_order=chances, quiet=[c >= 0.5 for c in chances],
                                                      past_revenue=1e6, wholesale=False)  # fmt: skip
    rest = scores.customers.iloc[100:].assign(quiet=False).head(4 * len(chances))
    return replace(scores, customers=pd.concat([best, rest], ignore_index=True))


@pytest.mark.parametrize(
    ("chances", "title", "sentence"),
    [
        ([0.1, 0.2, 0.3], "All of your best 3 customers should order again", "None is more likely than not to stay"),
        ([0.1, 0.6, 0.3], "1 of your best 3 customers has probably stopped", "1 is wavering."),
        ([0.1, 0.95, 0.3], "1 of your best 3 customers has probably stopped", "1 almost certainly for good."),
        ([0.6, 0.95, 0.7], "3 of your best 3 customers have probably stopped",
         "1 almost certainly for good and 2 are wavering; don't spend calls on those who are gone."),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("nobody_left_alone")
def test_best_customers_who_stopped_none_one_many(cdnow_sample, scored, chances, title, sentence):
    part = clv.part_wavering(quiet_scores(scored[1], *chances), over_a_year(scored[0]), shop=cdnow_sample)
    assert part.metrics[0].headline
    assert part.title == title
    assert part.sentence.startswith(sentence)
    wavering = sum(0.5 <= c < 0.9 for c in chances)
    assert [action.what for action in part.actions] == {
        0: [], 1: ["Contact 1 top-fifth customer who wavers"], 2: ["Contact 2 top-fifth customers who waver"],
    }[wavering]  # fmt: skip
    assert ("wavering_customers" in part.lists) == bool(wavering)


@pytest.mark.parametrize(
    ("chances", "title", "what"),
    [
        ([0.1, 0.2, 0.3], "None of your best 3 customers is likelier than not to stay away", []),
        ([0.1, 0.6, 0.3], "1 of your best 3 customers may have stopped",
         ["Contact one of your top-fifth customers who may have stopped"]),
        ([0.1, 0.95, 0.3], "1 of your best 3 customers may have stopped", []),
        ([0.6, 0.95, 0.7], "3 of your best 3 customers may have stopped",
         ["Contact two of your top-fifth customers who may have stopped"]),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("nobody_left_alone")
def test_nobody_has_stopped_where_the_chance_of_it_was_not_tested(cdnow_sample, scored, chances, title, what):
    checked, scores = scored[0], quiet_scores(scored[1], *chances)
    assert checked.trust(scores.horizon_days) is Trust.UNTESTED
    part = clv.part_wavering(scores, checked, shop=cdnow_sample)
    assert part.title == title
    assert part.sentence == ""  # the limits say that no forecast so long has been tested
    assert [action.what for action in part.actions] == what
    # No money hangs on a chance that may be wrong, and no number of it is a tile.
    assert all((action.worth, action.weight) == ("", 0) for action in part.actions) and not part.metrics[0].headline
    said = [part.title, part.sentence, part.metrics[0].label, str(part.chart), *map(str, part.signals)]
    said += [text for action in part.actions for text in (action.what, action.why)]
    assert not re.search("probably stopped|for good|wavering|gone[^=]|almost certainly", " ".join(said))
    assert all("1 other with less is left out." in action.why for action in part.actions if 0.95 in chances)
    assert [signal.id for signal in part.signals] == (["best_stopped"] if len(what) and chances[0] == 0.6 else [])


@pytest.mark.usefixtures("nobody_left_alone")
def test_after_a_miss_no_money_is_set_on_a_list(cdnow_sample, scored):
    missed = holdout_of(over_a_year(scored[0]), said=SAID, came=[150, 120, 90, 60, 20, 10, 5, 2, 1, 0])
    assert missed.trust(365) is Trust.MISSED
    quiet = quiet_scores(scored[1], 0.6, 0.7)
    # Less is expected of who wavers than they would bring if they came back.
    quiet = replace(quiet, customers=quiet.customers.assign(expected_value=quiet.customers["expected_value"] * 0.1))
    part = clv.part_wavering(quiet, missed, shop=cdnow_sample)
    (action,) = part.actions
    assert (action.worth, action.weight) == ("", 0)
    assert part.sentence == ""
    held = clv.part_wavering(quiet, over_a_year(scored[0]), shop=cdnow_sample).actions[0]
    assert held.worth.startswith("up to $") and held.weight > 0


@pytest.mark.usefixtures("nobody_left_alone")
def test_only_the_wavering_who_may_be_written_to_are_listed_best_first(shop, scored):
    checked, scores = over_a_year(scored[0]), scored[1]
    said = clv.page(checked, scores, shop=shop)
    listed, quiet = said.lists["wavering_customers"], scores.customers[scores.customers["quiet"]]
    wavering = quiet[quiet["p_no_order"] < 0.9]
    assert listed["p_no_order"].between(0.5, 0.9, inclusive="left").all()
    agreed = shop.fetch(shop.table("customers").select("customer_id", "email_consent")).set_index("customer_id")
    may = agreed["email_consent"].reindex(wavering["customer_id"]).fillna(False).astype(bool).to_numpy()
    # Nobody waits for an answer to a complaint: this shop has neither texts nor tickets.
    assert not shop.has("feedback") and not shop.has("tickets")
    assert set(listed["customer_id"]) == set(wavering["customer_id"][may])
    assert {"first_name", "email", "language", "consent_at", "reason"} <= set(listed)
    assert 0 < len(listed) < len(wavering) < len(quiet)
    assert listed["new"].is_monotonic_decreasing and listed["new"].any() and not listed["new"].all()
    assert all(some["past_revenue"].is_monotonic_decreasing for _, some in listed.groupby("new"))
    (contact,) = [action for action in said.actions if action.what.startswith("Contact")]
    assert contact.count == len(listed)
    assert "Left out: " in contact.why
    more = (listed["value_if_back"] - listed["expected_value"]).sum()
    assert contact.weight == pytest.approx(more)
    assert contact.worth == f"up to {wording.rounded_money(more, 'EUR')}"


@pytest.mark.parametrize(
    ("n", "said"),
    [
        (0, ""),
        (1, "One was still more likely than not to order 30 days ago and comes first."),
        (2, "Two were still more likely than not to order 30 days ago and come first."),
    ],
)
def test_who_is_new_to_the_list_none_one_many(n, said):
    assert lists._newcomers(n) == said


@pytest.mark.parametrize("key", ["a key of this test 4", "a key of this test 5"])
def test_of_the_wavering_some_are_left_alone_and_stay_so(folder, made, scored, monkeypatch, key):
    monkeypatch.setenv("CRM_KEY", key)
    shop = crm.connect(folder, as_of=made.truth["as_of"])
    checked, scores = over_a_year(scored[0]), scored[1]
    part = clv.part_wavering(scores, checked, shop=shop)
    listed = part.lists["wavering_customers"].set_index("customer_id")["lot"]
    assert set(listed) == {"write", "leave alone"}
    assert part.actions[0].count == (listed == "write").sum()
    assert "chosen at random" in part.actions[0].why
    fewer = replace(scores, customers=scores.customers[scores.customers["customer_id"] != listed.index[0]])
    again = clv.part_wavering(fewer, checked, shop=shop).lists["wavering_customers"].set_index("customer_id")["lot"]
    both = listed.index.intersection(again.index)
    assert again[both].equals(listed[both])


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


def test_the_test_is_told_in_orders_and_in_money(scored):
    checked, _ = scored
    right = replace(checked, sales_forecast=99.0, sales_actual=100.0)
    assert "; in net sales it was 1% too low." in holdout._plainly(right, None)
    bare = replace(checked, sales_forecast=float("nan"))
    assert holdout._plainly(bare, None) == "The forecast for the last 91 days came without a range."
    held = Total(value=1.0, low=0.0, high=float(checked.actual - 1))
    assert holdout._plainly(bare, held) == "The forecast for the last 91 days missed its range."
    inside = replace(held, high=float(checked.actual + 1))
    assert holdout._plainly(bare, inside) == "The forecast for the last 91 days stayed inside its range."
    year = replace(bare, end=checked.start + timedelta(days=365))
    assert holdout._plainly(year, inside) == "Last year's forecast stayed inside its range."
    exact = holdout_of(checked, said=SAID, came=[int(n) for n in SAID])
    assert clv.part_weeks(exact).title.startswith("The forecast for the last 91 days was within 1%")
    # By hand: 600 were said; 438 came, which is 37 % too high, or 750, which is 20 % too low.
    high = holdout_of(checked, said=SAID, came=[150, 120, 90, 60, 10, 5, 2, 1, 0, 0])
    assert "was 37% too high" in clv.part_weeks(high).title
    low = holdout_of(checked, said=SAID, came=[180, 160, 120, 80, 60, 50, 40, 30, 20, 10])
    assert clv.part_weeks(low).metrics[0].said == "20% too low"


def test_a_drift_is_told_with_its_days(scored):
    checked, _ = scored

    def drift(signs: str) -> str:
        day = pd.Timestamp(checked.start) + pd.to_timedelta(7 * np.arange(len(signs)), unit="D")
        weeks = pd.DataFrame({"day": day, "forecast": 10.0, "came": [12.5 if sign == "+" else 8.0 for sign in signs]})
        return holdout._drift(checked, weeks)

    assert drift("+-" * 10) == drift("-" * 20) == ""
    since = checked.start + timedelta(days=63)
    assert drift("+-" * 5 + "-" * 20).startswith(f", and 25% too high from {since.day}\N{NO-BREAK SPACE}{since:%B}")
    assert " to " in drift("+" * 20 + "-+" * 5)
    assert drift("+" * 20 + "-+" * 5).startswith(", and 20% too low from ")


def test_wholesale_buyers_have_a_list_of_their_own(shop, scored):
    checked, scores = over_a_year(scored[0]), scored[1]
    said = clv.page(checked, scores, shop=shop)
    (keep,) = [action for action in said.actions if action.what.startswith("Look after")]
    share = (
        scores.customers.loc[scores.customers["wholesale"], "expected_value"].sum()
        / scores.customers["expected_value"].sum()
    )
    assert keep.what == f"Look after your wholesale customer: {share:.0%} of expected margin"
    assert keep.file == "lists/wholesale_customers.csv"
    # What they should bring was not tested over so long.
    plain = lists.part_wholesale(scores, shop=shop, tested=False).actions[0]
    assert (plain.what, plain.worth, plain.weight) == ("Look after your wholesale customer", "", 0)
    assert len(said.lists["wholesale_customers"]) == keep.count == scores.wholesale == 1
    two = scores.customers.assign(wholesale=[True, True] + [False] * (len(scores.customers) - 2))
    assert (
        lists.part_wholesale(replace(scores, customers=two), shop=shop)
        .actions[0]
        .what.startswith("Look after your 2 wholesale customers: ")
    )
    none = replace(scores, customers=scores.customers.assign(wholesale=False))
    assert lists.part_wholesale(none, shop=shop) is None


@pytest.mark.usefixtures("nobody_left_alone")
@pytest.mark.parametrize(
    ("consent", "listed", "columns", "words"),
    [
        ({"email_consent": "yes"}, 1, {"email"}, "All on the list have agreed to marketing e-mail."),
        ({"email_consent": "no"}, 0, set(), "Left out: 1 who has not agreed to marketing e-mail."),
        ({}, 1, set(), "the column email_consent of customers would tell."),
    ],
)
def test_wholesale_buyers_are_asked_for_consent_too(write_shop, scored, consent, listed, columns, words):
    scores = scored[1]
    (who,) = scores.customers.loc[scores.customers["wholesale"], "customer_id"]
    people = pd.DataFrame([{"customer_id": who, "email": "a@example.org", **consent}])
    orders = pd.DataFrame({"order_id": ["1"], "ordered_at": ["2026-01-05"], "customer_id": [who], "total": [9]})
    part = lists.part_wholesale(scores, shop=crm.connect(write_shop(orders=orders, customers=people)))
    assert part.actions[0].why.endswith(words) and bool(part.actions[0].file) == bool(part.lists) == bool(listed)
    rows = part.lists.get("wholesale_customers", pd.DataFrame())
    assert len(rows) == listed and {"email", "phone"} & set(rows) == columns


def test_a_tiers_range_holds_its_own_miss_of_last_time(scored):
    checked, scores = scored
    missed = tiers_then(checked).set_index("tier")
    tiers = scores.tiers.set_index("tier").loc[missed.index]
    again = tiers["expected_value"] * missed["came"] / missed["forecast"]
    assert ((tiers["low_value"] <= again * 1.000001) & (again <= tiers["high_value"] * 1.000001)).all()
    assert ((tiers["low_value"] <= tiers["expected_value"]) & (tiers["expected_value"] <= tiers["high_value"])).all()


def test_how_certain_is_short_and_plain(shop, scored):
    checked, scores = scored
    said = clv.page(checked, scores, shop=shop)
    plain = " ".join(said.certain)
    assert len(plain.split()) <= 100
    assert not any(word in plain for word in ("NBD", "correlation", "window", "holdout"))
    assert len(said.caveats) <= 4
    assert any("NBD" in line or "window" in line for line in said.method)


def test_what_was_chosen_without_the_days_kept_aside_is_said(scored):
    checked, _ = scored
    assert "a little flattered" in verdict._unaided_words(replace(checked, unaided="", looks=3))[0]
    assert "choose the same method" in verdict._unaided_words(replace(checked, unaided=checked.chosen))[0]
    other = next(
        name for name in checked.expected if name != checked.chosen and checked.measure(name, "error_share")[0] < 0
    )
    (said,) = verdict._unaided_words(replace(checked, unaided=other))
    assert f"'{other}', which was " in said and "too low" in said
    assert verdict._unaided_words(replace(checked, unaided="", looks=1)) == []


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


@pytest.mark.parametrize("learnt", [False, True])
def test_chances_never_contradict_one_another(shop, scored, learnt):
    checked, scores = scored
    if learnt:
        taught = methods.taught(shop, first=shop.as_of - timedelta(days=500))
        likely = replace(checked.chances, mending=chances.learn(taught, clock=checked.now.clock))
        scores = clv.score(shop, replace(checked, chances=likely), horizon_days=365)
        assert not np.allclose(scores.forecaster.orders(365), scores.forecaster.expected(365))
    people = scores.customers
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
    drawn = clv.part_chances(checked)
    bands = checked.chances.bands
    inside = int(((bands["came"] >= bands["low"]) & (bands["came"] <= bands["high"])).sum())
    assert (f"all {len(bands)} groups" if inside == len(bands) else f"{inside} of {len(bands)} groups") in drawn.title
    bare = clv.part_chances(replace(checked, chances=chances.Chances(windows=2)))
    assert not bare.shown
    assert "only 2 windows of 90 days are over" in bare.method[0]
    assert "whose chances are not checked" in clv.part_chances(replace(checked, chances=chances.Chances())).method[0]


def test_a_crowd_is_measured_in_parts_with_the_same_numbers(shop, scored, monkeypatch):
    checked, scores = scored
    whole = contest.compare(checked, checked.ranking, seed=0)
    monkeypatch.setattr(contest, "_CELLS_AT_ONCE", 7 * len(checked.patterns))
    pd.testing.assert_frame_equal(contest.compare(checked, checked.ranking, seed=0), whole, rtol=1e-12)
    draws = scores.forecaster.simulate(90, n=50, seed=1)
    monkeypatch.setattr(scoring, "CHUNK", 13)
    np.testing.assert_array_equal(scoring._variances(draws), draws.var(axis=1, dtype=float))
