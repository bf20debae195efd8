"""Personas: three kinds found and one crowd called cuts, a problem named for its kind, the demo page counted again."""

import doctest
import importlib
import json
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

import crmlib as crm
from crmlib.analysis.personas import cut, facts, kinds, proof
from crmlib.errors import NotAvailable, UsageError
from crmlib.findings import Due
from tests.persona_shops import END, made, written

# The package has a function of that name.
pages = importlib.import_module("crmlib.analysis.personas.page")
troubling = importlib.import_module("crmlib.analysis.personas.problems")
answering = importlib.import_module("crmlib.analysis.personas.answers")


def whole(shop, found):
    """The page as the notebook makes it."""
    troubles = crm.personas.problems(shop, found)
    parts = [
        crm.personas.part_kinds(found), crm.personas.part_problems(found, troubles),
        crm.personas.part_answers(found, crm.personas.answers(shop, found)), crm.personas.part_cards(found),
        crm.personas.part_lists(shop, found), crm.personas.part_launches(found, crm.personas.launches(shop, found)),
        crm.personas.part_held_out(crm.personas.held_out(shop, found), found), crm.personas.part_profile(found),
        crm.personas.part_ahead(shop, found),
    ]  # fmt: skip
    return crm.personas.page(found, parts, troubles=troubles)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    tables, kind = made(1, kinds=3, problem=True, people=400)
    return crm.connect(written(tmp_path_factory.mktemp("three"), tables)), kind


@pytest.fixture(scope="module")
def found(three):
    return crm.personas.measure(three[0])


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    shop = crm.connect(written(tmp_path_factory.mktemp("one"), made(2, kinds=1, people=400)[0]))
    return shop, crm.personas.measure(shop)


def test_three_kinds_are_found_and_called_kinds(three, found):
    shop, kind = three
    assert found.verdict.structure and found.word == "kind" and len(found.kinds) == 3
    rows = shop.fetch(found.people.filter(found.people["kind"] >= 0)).set_index("customer_id")
    assert adjusted_rand_score(kind[rows.index], rows["kind"]) > 0.8
    assert found.verdict.stability.min() > 0.9
    assert (
        found.table["customers"].sum() == len(kind) - (~kind.index.isin(shop.fetch(found.people)["customer_id"])).sum()
    )
    assert found.table["share_sales"].sum() == pytest.approx(1)


def test_the_planted_problem_is_named_for_its_kind_alone(three, found):
    shop, kind = three
    page = whole(shop, found)
    named = crm.personas.problems(shop, found).named
    assert list(named["problem"]) == ["tickets about ‘damaged’"]
    ids = shop.fetch(found.people.filter(found.people["kind"] == int(named["kind"].iloc[0])))["customer_id"]
    assert (kind[ids] == 1).mean() > 0.9
    assert page.headline.startswith("Three kinds of customers; ‘Large orders") and "damaged’" in page.headline
    assert len(page.headline.split()) <= 20 and len(page.actions) <= 3 and len(page.tiles) == 4
    assert page["structure"].value == 1 and page["problems"].value == 1
    assert {"personas", "problems", "answers", "held_out"} == set(page.tables)
    assert set(page.lists) == {"persona_1", "persona_2", "persona_3", "predictions"}
    people = [set(page.lists[f"persona_{n}"]["customer_id"]) for n in (1, 2, 3)]
    assert len(set.union(*people)) == sum(map(len, people))


def test_one_crowd_is_cut_and_called_so(crowd):
    shop, found = crowd
    page = whole(shop, found)
    assert not found.verdict.structure and page["structure"].value == 0
    assert "groups with blurred borders" in page.headline and len(page.headline.split()) <= 20
    assert "not kinds that exist" in page.parts[0].sentence
    assert any("Other cuts fit nearly as well" in caveat.text for caveat in page.caveats)
    said = json.dumps(page.to_json()["parts"])
    assert "Each kind" not in said and "Kinds of customers" not in said


@pytest.mark.slow
def test_twenty_crowds_of_one_correlated_gaussian_are_called_cuts():
    scales, claimed = [cut.Scale(facts.Trait(str(n), "more", "less", "it"), 0, 1, 0, 1) for n in range(5)], 0
    for seed in range(20):
        rng = np.random.default_rng([seed, 4])
        crowd = rng.standard_normal((400, 5)) @ rng.standard_normal((5, 5))
        claimed += cut.judge(crowd / crowd.std(axis=0), scales, draws=19)[1].structure
    assert claimed <= 3, "one in twenty is the declared share; four or more come in 2 of 100 suites"


def test_skew_alone_is_no_structure_and_three_clouds_are():
    rng = np.random.default_rng(0)
    scales = [cut.Scale(facts.Trait(str(n), "more", "less", "it"), 0, 1, 0, 1) for n in range(5)]
    crowd = np.exp(0.8 * rng.standard_normal((400, 5)) @ rng.standard_normal((5, 5)) / 2)
    assert not cut.judge(crowd, scales, draws=19)[1].structure
    clouds = rng.standard_normal((400, 5)) + 4 * np.eye(5)[rng.integers(0, 3, 400)]
    model, verdict = cut.judge(clouds, scales, draws=19)
    assert verdict.structure and model.kinds == 3
    assert cut.judge(clouds, scales, kinds=5, draws=19)[0].kinds == 5


def test_what_chance_adds_is_not_taken_for_a_habit():
    """Nobody prefers weekends: the habit is left out. Some do: a share of it is theirs."""
    rng = np.random.default_rng(3)
    trait, m = facts.Trait("a", "", "", ""), rng.integers(3, 30, 3000).astype(float)
    for spread in (0.0, 0.2):
        chance = np.clip(0.4 + spread * rng.standard_normal(3000), 0, 1)
        frame = pd.DataFrame({"x_a": rng.binomial(m.astype(int), chance) / m, "m_a": m})
        scales = cut.measured(frame, [trait])
        if spread:
            assert scales[0].between == pytest.approx(0.037, rel=0.15)
            z = cut.scores(frame, scales)[:, 0] / scales[0].weight
            assert z[m < 6].std() == pytest.approx(z[m > 20].std(), rel=0.15)  # no funnel
        else:
            assert not scales or scales[0].weight < 0.35


def test_the_engine_assigns_as_numpy_does(three, found):
    shop, _ = three
    rows = shop.fetch(found.people.filter(found.people["orders"] >= facts.LEAST_ORDERS))
    z = cut.scores(rows, found.model.scales)
    d = np.sort(((z[:, None, :] - found.model.centres) ** 2).sum(axis=2), axis=1)
    assert (cut.nearest(z, found.model) == rows["kind"]).all()
    assert ((d[:, 1] - d[:, 0] >= found.model.clearly) == rows["clear"]).all()
    few = shop.fetch(found.people.filter(found.people["orders"] < facts.LEAST_ORDERS))
    assert (few["kind"] == facts.FEW).all() and not few["clear"].any()


def test_habits_in_plain_pandas(three):
    shop, _ = three
    at = facts.plan(shop, until=shop.as_of)
    rows = shop.fetch(facts.behaviour(shop, at)).set_index("customer_id").sort_index()
    orders, lines = shop.fetch("orders"), shop.fetch("order_lines")
    orders = orders[(orders["ordered_at"] >= pd.Timestamp(at.start))]
    by = orders.assign(
        weekend=orders["ordered_at"].dt.day_of_week >= 5, evening=orders["ordered_at"].dt.hour >= 18,
        off=orders["coupon"].fillna("") != "", spend=np.log(orders["total"].astype(float)),
        day=orders["ordered_at"].dt.normalize(),
    ).groupby("customer_id")  # fmt: skip
    for name, column in (("weekend", "weekend"), ("evening", "evening"), ("discount", "off"), ("spend", "spend")):
        assert np.allclose(rows[f"x_{name}"], by[column].mean())
    many = by.size()
    gap = np.log(((by["day"].max() - by["day"].min()).dt.days / (many - 1)).clip(lower=0.5))
    assert np.allclose(rows["x_gap"][many > 1], gap[many > 1])
    first = lines.merge(orders[["order_id", "customer_id"]]).assign(has=lambda t: t["product_id"] == at.groups[0])
    share = first.groupby(["customer_id", "order_id"])["has"].any().groupby("customer_id").mean()
    assert np.allclose(rows["x_group0"].dropna(), share.reindex(rows.index).dropna())


def test_rates_have_errors_over_customers():
    """Against a bootstrap of customers: the same spread, wider than Poisson's where one customer has all."""
    rng = np.random.default_rng(5)
    sides = []
    for level in (0.08, 0.05):
        o = rng.integers(3, 40, 400)
        e = rng.poisson(o * level * rng.gamma(1.0, 1.0, 400))
        sides.append(pd.DataFrame({"o": o, "e": e}))
    sums = [pd.Series({"events": s.e.sum(), "orders": s.o.sum(), "ee": (s.e**2).sum(), "eo": (s.e * s.o).sum(),
                       "oo": (s.o**2).sum()}) for s in sides]  # fmt: skip
    _, _, ratio, low, high, _ = troubling._rates(*sums)
    again = []
    for _ in range(400):
        one, other = (s.sample(len(s), replace=True, random_state=int(rng.integers(1e9))).sum() for s in sides)
        again.append(np.log(one.e / one.o / (other.e / other.o)))
    assert np.log(high / low) / 3.92 == pytest.approx(np.std(again), rel=0.15)
    assert low < ratio < high


def test_answers_that_go_with_good_endings(three, found):
    shop, _ = three
    table = crm.personas.answers(shop, found)
    top = table.iloc[0]
    assert top["topic"] == "all topics" and top["answer"] == "answered within 24 hours" and top["q_value"] < 0.01
    rows = shop.fetch("tickets")
    rows = rows[rows["opened_at"] >= pd.Timestamp(found.at.start)]
    quick = (rows["first_reply_at"] - rows["opened_at"]).dt.total_seconds() <= 24 * 3600
    assert top["n"] == quick.sum()
    part = crm.personas.part_answers(found, table)
    assert "end well more often" in part.title and part.actions[0].what.startswith("Try as a standard: ")
    none = crm.personas.part_answers(found, table.assign(q_value=1.0))
    assert none.title == "No way of answering ends better than another" and not none.actions


def test_without_marks_an_ending_is_good_where_they_order_again(three, tmp_path):
    tables, _ = made(1, kinds=3, people=150)
    tables["tickets"] = tables["tickets"].drop(columns="satisfaction")
    shop = crm.connect(written(tmp_path, tables))
    at = facts.plan(shop, until=shop.as_of)
    rows = shop.fetch(answering.endings(shop, at))
    tickets, orders = shop.fetch("tickets"), shop.fetch("orders")
    tickets = tickets[tickets["opened_at"] < END - pd.Timedelta(days=90)]
    days = orders.assign(day=orders["ordered_at"].dt.normalize())[["customer_id", "day"]]
    both = tickets.merge(days, on="customer_id")
    after = (both["day"] - both["opened_at"].dt.normalize()).dt.days
    assert len(rows) == len(tickets)
    assert rows["well"].sum() == both.loc[(after > 0) & (after <= 90), "ticket_id"].nunique()


@pytest.mark.parametrize("people", [0, 1, 5])
def test_few_customers_are_shown_and_not_judged(people, tmp_path):
    tables, _ = made(4, kinds=3, people=people or 1)
    tables = tables if people else {name: frame.head(0) for name, frame in tables.items()}
    shop = crm.connect(written(tmp_path, tables))
    found = crm.personas.measure(shop)
    page = whole(shop, found)
    assert page.status == "too_few" and page.headline.startswith(f"Too few to conclude (n = {people}")
    assert page["personas"].value == 0 and not page.lists and not page.actions


def test_a_shop_of_orders_alone(tmp_path):
    tables, _ = made(6, kinds=3, people=150)
    shop = crm.connect(written(tmp_path, {"orders": tables["orders"][["order_id", "ordered_at", "customer_id"]]}))
    found = crm.personas.measure(shop)
    page = whole(shop, found)
    assert page.status == "published" and not found.money and page.tiles[1].label.endswith("of customers")
    assert "Not compared: tickets (needs tickets.customer_id)" in " ".join(caveat.text for caveat in page.caveats)
    assert (
        crm.personas.answers(shop, found).empty and page["problems"].value == 0 if "problems" in page.metrics else True
    )


def test_what_is_asked_wrongly_or_missing(three, tmp_path):
    with pytest.raises(UsageError, match="personas is 7; it has to lie between 2 and 6"):
        crm.personas.measure(three[0], personas=7)
    orders = made(6, people=20)[0]["orders"].drop(columns="customer_id")
    with pytest.raises(NotAvailable, match=r"needs orders\.customer_id"):
        crm.personas.measure(crm.connect(written(tmp_path, {"orders": orders})))


@pytest.mark.slow
def test_a_later_day_changes_nothing(three, tmp_path):
    """Cut at a day, a shop says what one says that ends there."""
    tables, _ = made(1, kinds=3, problem=True, people=100)
    day = pd.Timestamp("2026-06-01")
    past = tables | {"orders": tables["orders"][tables["orders"]["ordered_at"] < day],
                     "tickets": tables["tickets"][tables["tickets"]["opened_at"] < day]}  # fmt: skip
    ends = [crm.connect(written(tmp_path / str(n), one), as_of="2026-06-01") for n, one in enumerate((tables, past))]
    one, other = (crm.personas.measure(shop).table for shop in ends)
    pd.testing.assert_frame_equal(one, other)


def test_what_was_said_of_each_kinds_orders_is_graded(three, found, tmp_path):
    shop, _ = three
    then = crm.connect(shop.folder, as_of="2026-07-01")
    was = crm.personas.measure(then)
    part = crm.personas.part_ahead(then, was)
    assert len(part.predictions) == len(was.kinds) == 3 and sum(one.value for one in part.predictions) == pytest.approx(
        1
    )
    listed = part.lists["predictions"]
    listed.to_csv(tmp_path / "predictions.csv", index=False)
    due = [Due(prediction=one, as_of=date(2026, 7, 1), run_id="r", lists=tmp_path) for one in part.predictions]
    grades = crm.personas.part_ahead(shop, found, due).grades
    orders = pd.read_csv(f"{shop.folder}/orders.csv", parse_dates=["ordered_at"])
    orders = orders[(orders["ordered_at"] >= "2026-07-01") & (orders["ordered_at"] < "2026-09-29")]
    counted = orders.merge(listed, on="customer_id").groupby("prediction").size()
    assert [one.actual for one in grades] == pytest.approx(
        [counted[one.id] / counted.sum() for one in part.predictions]
    )
    assert all(one.due.prediction.low <= one.actual <= one.due.prediction.high for one in grades)
    assert not crm.personas.part_ahead(then, was, due).grades, "their time is not over"
    gone = [replace(one, lists=tmp_path / "nowhere") for one in due]
    assert not crm.personas.part_ahead(shop, found, gone).grades


def test_nothing_is_said_ahead_of_a_segment_or_a_young_shop(three):
    for said in ({"as_of": "2026-02-01"}, {"segment": "bought_often"}):
        shop = crm.connect(three[0].folder, **said)
        part = crm.personas.part_ahead(shop, crm.personas.measure(shop))
        assert not part.predictions and not part.lists


def test_names_and_advice_say_one_none_many():
    spend, tea = (
        facts.Trait("spend", "large orders", "small orders", ""),
        facts.Trait("g", "much tea", "little tea", "", "tea"),
    )
    gap = facts.Trait("gap", "rarely", "often", "")
    assert kinds.named([[(gap, False)], [(gap, False), (tea, True)], []]) == [
        "Order often", "Order often, much tea", "Like most customers"]  # fmt: skip
    assert kinds.named([[(spend, True)], [(spend, True)]]) == ["Large orders 1", "Large orders 2"]
    three_alike = [[(spend, True), (gap, True), (tea, True)], [(spend, True), (gap, True), (tea, False)]]
    assert kinds.named(three_alike) == ["Large orders, rarely, much tea", "Large orders, rarely, little tea"]
    assert kinds.advised([]) == ("the bestsellers", "nothing in particular")
    assert kinds.advised([(tea, False)]) == ("the bestsellers", "tea")
    assert kinds.advised([(spend, True), (tea, True)]) == (
        "sets and the best of the range, news of tea",
        "small discounts",
    )
    evening = facts.Trait("evening", "in the evening", "in the daytime", "")
    assert kinds.advised([(spend, True), (evening, False)]) == (
        "sets and the best of the range, in the morning",
        "small discounts and late-night offers",
    )


def test_headlines(found):
    none = troubling.Problems(pd.DataFrame(columns=[*troubling._COLUMNS, "q_value"]), {}, pd.Series(dtype=float))
    said = pages.headline(found, none)
    assert said.startswith("Three kinds of customers: ‘") and said.endswith("of sales.")
    poor = replace(found, table=found.table.assign(year=0.0, share_sales=np.nan))
    assert pages.headline(poor, none).endswith("of customers.")
    calm = replace(found, verdict=replace(found.verdict, structure=False))
    assert pages.headline(calm, none).startswith("Three groups with blurred borders: ‘")


def test_people_under_five_are_masked(found):
    row = dict.fromkeys(troubling._COLUMNS, 1.0) | {"name": "a", "problem": "refunds", "customers": 3, "q_value": 0.001}
    part = crm.personas.part_problems(found, troubling.Problems(pd.DataFrame([row]), {}, pd.Series(dtype=float)))
    assert part.tables["problems"]["customers"].tolist() == ["<5"] and part.title.startswith("No kind has")
    assert np.isnan(part.tables["problems"]["ratio"].iloc[0])


@pytest.fixture(scope="module")
def demo(demo_shop):
    found = crm.personas.measure(demo_shop)
    return found, crm.personas.problems(demo_shop, found)


@pytest.mark.slow
def test_the_demo_shops_planted_problem(demo, demo_folder):
    truth = json.loads((demo_folder / "truth.json").read_text(encoding="utf-8"))["service"]["large_orders"]
    found, named = demo[0], demo[1].named
    assert list(named["problem"]) == [f"tickets about ‘{truth['topic']}’"] and named["name"].iloc[0].startswith(
        "Large orders"
    )
    # Rates are independent of what people are like, and spend of how often they buy: nothing but cuts.
    assert not found.verdict.structure


def dealers(shop, found):
    """Who orders for more than the limit, of all who order."""
    everybody = shop.fetch(facts.behaviour(shop, replace(found.at, most=np.inf)))
    return everybody.loc[everybody["sales"] > found.at.most * everybody["orders"], "customer_id"].tolist()


def test_the_demo_shops_dealer_is_in_no_group(demo, demo_shop, demo_folder):
    found, troubles = demo
    people = pd.read_csv(demo_folder / "customers.csv", dtype=str)
    firm = people.loc[people["last_name"] == "Mustergrosshandel", "customer_id"].tolist()
    assert dealers(demo_shop, found) == firm and found.left_out["dealer"] == 1
    assert firm[0] not in set(demo_shop.fetch(found.people)["customer_id"])
    caveats = " ".join(one.text for one in crm.personas.page(found, [], troubles=troubles).caveats)
    assert "1 customer who orders as dealers do, far beyond others" in caveats


def test_a_dealer_changes_no_group(three, found, tmp_path):
    tables, _ = made(1, kinds=3, problem=True, people=400)
    orders = tables["orders"]
    bought = orders[orders["customer_id"] == "c0"].assign(
        customer_id="dealer", order_id=lambda t: "d" + t["order_id"], total=lambda t: 300 * t["total"]
    )
    more = crm.connect(written(tmp_path, tables | {"orders": pd.concat([orders, bought], ignore_index=True)}))
    other = crm.personas.measure(more)
    assert found.left_out == {} and other.left_out == {"dealer": 1}
    assert other.enough == found.enough
    columns = ["kind", "name", "customers", "year"]
    pd.testing.assert_frame_equal(other.table[columns], found.table[columns])


def test_who_is_in_no_group_is_said_for_one_and_many():
    assert pages.not_in_any({"before": 1}) == "In no group: 1 customer who last ordered over two years ago."
    assert pages.not_in_any({"dealer": 2, "never": 1200}) == (
        "In no group: 1,200 customers who never ordered and 2 customers who order as dealers do, far beyond others."
    )


def test_what_was_sent_once_more_is_told_from_an_order_in_parts(write_shop):
    orders = [
        {"order_id": str(n), "ordered_at": day, "customer_id": f"c{n}", "total": total, "cancelled_at": gone}
        for n, day, total, gone in ((1, "2026-05-01", 20, ""), (2, "2026-05-01", 20, ""), (3, "2026-05-09", 0, ""),
                                    (4, "2026-05-09", 0, "2026-05-10"), (5, "2026-05-01", 20, ""))
    ]  # fmt: skip
    parcels = [{"order_id": number, "shipped_at": day} for number, day in
               (("1", "2026-05-02"), ("1", "2026-05-12"), ("2", "2026-05-02"), ("2", "2026-05-04"), ("5", ""))]  # fmt: skip
    tickets = [
        {"ticket_id": f"t{n}", "customer_id": f"c{n}", "opened_at": "2026-05-06 09:00",
         "first_reply_at": "2026-05-06 10:00", "satisfaction": 5} for n in range(1, 6)
    ]  # fmt: skip
    shop = crm.connect(write_shop(orders=orders, shipments=parcels, tickets=tickets), as_of="2026-10-01")
    sent = pd.concat([shop.fetch(rows) for rows in answering.replacements(shop)])
    assert sorted(sent["customer_id"]) == ["c1", "c3"]
    rows = shop.fetch(answering.endings(shop, facts.plan(shop, until=shop.as_of)))
    assert rows["replaced"].sum() == 2 and len(rows) == 5


def test_a_replacement_that_pleases_is_found_among_the_answers(tmp_path):
    tables, _ = made(1, kinds=3, people=300)
    rng, tickets = np.random.default_rng(8), tables["tickets"].copy()
    sent = rng.random(len(tickets)) < 0.4
    tickets["satisfaction"] = np.where(rng.random(len(tickets)) < np.where(sent, 0.9, 0.5), 5, 2)
    free = tickets[sent].assign(order_id=lambda t: "r" + t["ticket_id"], ordered_at=lambda t: t["opened_at"]
                                + pd.Timedelta(days=4), total=0.0, coupon="")  # fmt: skip
    orders = pd.concat([tables["orders"], free[tables["orders"].columns]], ignore_index=True)
    shop = crm.connect(written(tmp_path, tables | {"tickets": tickets, "orders": orders[orders["ordered_at"] < END]}))
    found = crm.personas.measure(shop)
    table = crm.personas.answers(shop, found)
    top = table.iloc[0]
    assert (top["topic"], top["answer"]) == ("all topics", "replaced within two weeks")
    assert top["low"] < 0.9 / 0.5 < top["high"] and top["q_value"] < 0.01
    part = crm.personas.part_answers(found, table)
    assert "replaced within two weeks end well more often" in part.title
    assert part.chart.table["caption"].startswith("Tickets that ended well (marked at least 4 of 5, and not reopened)")
    again = crm.personas.part_answers(found, table.assign(by="order"))
    assert "(ordered again within 90 days, and not reopened)" in again.chart.table["caption"]


def test_numbers_of_the_demo_page_from_the_raw_files(demo, demo_shop, demo_folder):
    """But for the few rows that were spoilt on purpose."""
    found, troubles = demo
    page = crm.personas.page(found, [crm.personas.part_kinds(found)], troubles=troubles)
    orders = pd.read_csv(demo_folder / "orders.csv", dtype={"customer_id": str}).drop_duplicates("order_id")
    at = pd.to_datetime(orders["ordered_at"], format="mixed", errors="coerce")
    known = (orders["customer_id"].fillna("") != "") & ~orders["customer_id"].isin(dealers(demo_shop, found))
    inside = known & (at >= "2024-10-01") & (at < "2026-10-01") & orders["cancelled_at"].isna()
    mine = orders[inside].assign(at=at[inside])
    money = pd.to_numeric(mine["total"], errors="coerce") - pd.to_numeric(mine["refunded"]).fillna(0)
    many = mine.groupby("customer_id").size()
    assert found.enough == (many >= 3).sum()
    assert page["too_few_orders"].value == pytest.approx((many < 3).mean())
    year = money[mine["at"] >= "2025-10-01"].groupby(mine["customer_id"]).sum()
    assert found.table["year"].sum() == pytest.approx(year.sum(), rel=1e-3)
    ids = demo_shop.fetch(found.people.filter(found.people["kind"] == int(found.kinds["kind"].iloc[0])))["customer_id"]
    assert page["top_share"].value == pytest.approx(year.reindex(ids).sum() / year.sum(), rel=1e-3)
    tickets = pd.read_csv(demo_folder / "tickets.csv")
    tickets = tickets[(tickets["topic"] == "damaged") & (tickets["opened_at"] >= "2024-10-01")]
    rate = 100 * tickets["customer_id"].isin(ids).sum() / many[ids].sum()
    row = troubles.table.set_index(["kind", "problem"]).loc[
        (int(found.kinds["kind"].iloc[0]), "tickets about ‘damaged’")
    ]
    assert row["per_100"] == pytest.approx(rate, rel=5e-3)


def test_held_out_says_so_where_there_is_no_past(found, tmp_path):
    empty = pd.DataFrame(columns=["variable", "kind", "n", "mean", "p_value", "q_value"])
    assert "could not be tested" in crm.personas.part_held_out(empty, found).certain[0]
    row = {"variable": "age", "kind": "a", "n": 30, "mean": 40.0, "p_value": 0.5, "q_value": 0.5}
    part = crm.personas.part_held_out(pd.DataFrame([row]), found)
    assert part.title == "Told apart by habits, kinds differ in nothing else" and proof.HELD_DAYS == 180


@pytest.mark.parametrize("module", ["ahead", "cut", "facts", "kinds", "problems", "answers"])
def test_examples(module, three, found):
    names = {"shop": three[0], "measure": lambda _shop: found}
    tried = doctest.testmod(importlib.import_module(f"crmlib.analysis.personas.{module}"), extraglobs=names)
    assert tried.failed == 0


def with_launch(seed, *, often=(0.4, 0.05, 0.05), people=400):
    """The shop of three kinds, with Mint, a tea, sold for the last 60 days: to this share of each kind's customers."""
    tables, kind = made(seed, kinds=3, people=people)
    rng = np.random.default_rng([seed, 5])
    orders = tables["orders"]
    late = orders[orders["ordered_at"] >= END - pd.Timedelta(days=60)]
    late = late.sample(frac=1, random_state=seed).drop_duplicates("customer_id")
    has = rng.random(len(late)) < np.array(often)[kind[late["customer_id"]].to_numpy()]
    new = pd.DataFrame({"order_id": late["order_id"][has], "product_id": "Mint", "quantity": 1})
    named = pd.DataFrame({"product_id": ["Mint"], "category": ["Tea"]})
    lines, products = (pd.concat(two) for two in ((tables["order_lines"], new), (tables["products"], named)))
    return {**tables, "order_lines": lines, "products": products}, kind


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    tables, _ = with_launch(1)
    shop = crm.connect(written(tmp_path_factory.mktemp("launched"), tables))
    found = crm.personas.measure(shop)
    return tables, shop, found, crm.personas.launches(shop, found)


def test_a_new_product_suits_the_kind_that_buys_it(launched):
    tables, shop, found, table = launched
    top = table.iloc[0]
    assert set(table["product_id"]) == {"Mint"} and top["q_value"] < 0.05 and top["low"] > 1
    said = crm.personas.part_launches(found, table)
    assert said.title == f"‘{top['name']}’ customers take to Mint" and said.metrics[0].value == 1
    # Counted again from the tables.
    who = shop.fetch(found.people.filter(found.people["kind"] == int(top["kind"])))["customer_id"]
    lines = tables["order_lines"].merge(tables["orders"], on="order_id").merge(tables["products"], on="product_id")
    since = lines.loc[lines["product_id"] == "Mint", "ordered_at"].dt.normalize().min()
    its = lines[(lines["ordered_at"] >= since) & lines["customer_id"].isin(who)]
    mint = its["product_id"] == "Mint"
    counted = [rows["customer_id"].nunique() for rows in (its, its[mint], its[~mint & (its["category"] == "Tea")])]
    assert [top["active"], top["buyers"], round(top["category"] * top["active"] / 100)] == counted


def test_a_product_that_no_other_kind_buys_is_taken_to(tmp_path):
    shop = crm.connect(written(tmp_path / "one", with_launch(1, often=(0.4, 0.0, 0.0))[0]))
    found = crm.personas.measure(shop)
    table = crm.personas.launches(shop, found)
    assert table.loc[0, "others"] == 0 and np.isnan(table.loc[0, "ratio"])
    assert crm.personas.part_launches(found, table).title == f"‘{table.loc[0, 'name']}’ customers take to Mint"


@pytest.mark.parametrize("seed", [3, 4])
def test_a_product_for_all_suits_all_alike(tmp_path, seed):
    shop = crm.connect(written(tmp_path / "all", with_launch(seed, often=(0.15, 0.15, 0.15))[0]))
    found = crm.personas.measure(shop)
    table = crm.personas.launches(shop, found)
    said = crm.personas.part_launches(found, table)
    assert said.title == "The new product suits all kinds alike" and len(table) == len(found.kinds) == 3


def test_a_shop_that_is_new_itself_has_no_new_products(launched, tmp_path):
    tables = launched[0]
    young = tables["orders"][tables["orders"]["ordered_at"] >= END - pd.Timedelta(days=200)]
    shop = crm.connect(written(tmp_path / "young", {**tables, "orders": young}))
    found = crm.personas.measure(shop)
    assert crm.personas.launches(shop, found).empty and len(found.kinds) > 1
    assert crm.personas.part_launches(found, crm.personas.launches(shop, found)).title == ""
