"""Cohorts: counted by hand, immature ones never compared, a change found where it was planted and nowhere else."""

import itertools
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

import crmlib as crm
from crmlib.analysis.cohorts import change, curves, facts, firsts, mix, paths
from crmlib.analysis.cohorts.ahead import came, expect, grade
from crmlib.analysis.cohorts.page import _left_out, headline, part_do
from crmlib.analysis.cohorts.payback import _paid
from crmlib.errors import NotAvailable, UsageError
from crmlib.findings import Due, Prediction
from crmlib.formats import Estimate
from crmlib.stats.shrinkage import towards_mean

co = crm.cohorts
DAY = date(2026, 1, 1)
END = pd.Timestamp(DAY)


def shop_of(folder, **tables):
    for name, frame in tables.items():
        pd.DataFrame(frame).to_csv(folder / f"{name}.csv", index=False)
    (folder / "shop.toml").write_text('name = "Small"\ncurrency = "EUR"\nas_of = 2026-01-01\n', encoding="utf-8")
    return crm.connect(folder)


def made(seed=5, people=700, months=30):
    """A shop with everything that may go wrong: guests, cancelled and refunded orders, two orders a day, a dealer."""
    rng = np.random.default_rng(seed)
    orders, lines, visits = [], [], []
    start = END - pd.DateOffset(months=months)
    for i in range(people):
        at = start + pd.Timedelta(days=float(rng.uniform(0, (END - start).days)))
        if rng.random() < 0.6:
            visits += [
                (f"c{i}", at - pd.Timedelta(hours=float(h)), rng.choice(["search", "social"]))
                for h in rng.uniform(1, 3000, 2)
            ]
        for _ in range(1 + rng.poisson(1.5)):
            if at >= END:
                break
            number = f"o{len(orders)}"
            orders.append(
                (number, f"c{i}", at.floor("s"), rng.choice(["", "HELLO", "BYE"]), rng.random(), rng.random())
            )
            lines += [
                (number, f"p{p}", 1 + int(rng.integers(2)), 10 + p)
                for p in rng.choice(6, 1 + int(rng.integers(3)), replace=False)
            ]
            at += pd.Timedelta(days=float(rng.exponential(90)) if rng.random() > 0.1 else 0.01)
    for day in pd.date_range(start, END, inclusive="left", freq="7D"):
        orders.append((number := f"o{len(orders)}", "dealer", day, "", 0.5, 0.5))
        lines.append((number, "p1", 4000, 11))
    lines = pd.DataFrame(lines, columns=["order_id", "product_id", "quantity", "unit_price"])
    lines = lines.assign(line_total=lines["quantity"] * lines["unit_price"], unit_cost=lines["unit_price"] * 0.6)
    orders = pd.DataFrame(orders, columns=["order_id", "customer_id", "ordered_at", "coupon", "_a", "_b"])
    orders["total"] = lines.groupby("order_id")["line_total"].sum().reindex(orders["order_id"]).to_numpy()
    soon = orders["ordered_at"] + pd.Timedelta(hours=2)
    orders["cancelled_at"] = soon.where(orders["_a"] < 0.04)
    orders["refunded"] = (orders["total"] * 0.5).where(orders["_b"] < 0.08, 0.0)
    orders["refunded_at"] = soon.where(orders["_b"] < 0.08)
    orders.loc[orders.index % 29 == 0, "customer_id"] = ""
    ids = [*(f"c{i}" for i in range(people)), "dealer"]
    customers = pd.DataFrame({"customer_id": ids, "country": ["DE" if i % 3 else "AT" for i in range(len(ids))],
                              "acquisition_channel": ["search" if i % 2 else "social" for i in range(len(ids))]})  # fmt: skip
    costs = pd.DataFrame([("acquisition", 40.0 * (1 + way), f"{month:%Y-%m-%d}", name)
                          for month in pd.date_range("2024-01-01", "2025-12-01", freq="MS")
                          for way, name in enumerate(["search", "social"])],
                         columns=["kind", "amount", "valid_from", "acquisition_channel"])  # fmt: skip
    products = pd.DataFrame(
        {"product_id": [f"p{p}" for p in range(6)], "name": ["Tea", "Cup", "Pot", "Jam", "Milk", "Salt"]}
    )
    visits = pd.DataFrame(visits, columns=["customer_id", "at", "channel"]).assign(kind="visit")
    visits["at"] = visits["at"].dt.floor("s")
    return {"orders": orders.drop(columns=["_a", "_b"]), "order_lines": lines, "customers": customers, "costs": costs,
            "products": products, "touches": visits}  # fmt: skip


@pytest.fixture(scope="module")
def tables():
    return made()


@pytest.fixture(scope="module")
def shop(tables, tmp_path_factory):
    return shop_of(tmp_path_factory.mktemp("cohorts"), **tables)


@pytest.fixture(scope="module")
def newcomers(shop):
    return co.measure(shop)


@pytest.fixture(scope="module")
def by_hand(tables):
    """One row a newcomer, in plain pandas: first (day), order, second (days until), known, and their orders."""
    orders = tables["orders"][tables["orders"]["cancelled_at"].isna() & (tables["orders"]["customer_id"] != "")]
    orders = orders[orders["customer_id"] != "dealer"].sort_values(["ordered_at", "order_id"])
    orders = orders.assign(day=orders["ordered_at"].dt.normalize(), net=orders["total"] - orders["refunded"])
    people = orders.groupby("customer_id").agg(
        first=("day", "first"), order=("order_id", "first"), coupon=("coupon", "first")
    )
    orders["since"] = (orders["day"] - orders["customer_id"].map(people["first"])).dt.days
    people["second"] = orders[orders["since"] > 0].groupby("customer_id")["since"].min()
    people["known"] = (END - people["first"]).dt.days - 1
    return people, orders


def test_cells_are_those_of_plain_pandas(newcomers, by_hand):
    people, orders = by_hand
    month = people["first"].dt.to_period("M").dt.start_time
    ours = newcomers.of("all").set_index("first")
    assert newcomers.dealers == 1 and newcomers.left_out == 0
    assert ours["n"].to_dict() == people.groupby(month).size().to_dict()
    judged = people[people["known"] >= 90]
    assert ours["within"].to_dict() == (people["known"] >= 90).groupby(month).sum().to_dict()
    assert ours["back_within"].sum() == (judged["second"] <= 90).sum() > 50
    for k, days in ((0, 0), (1, 30), (6, 182), (12, 365), (24, 730)):
        whole = people[people["known"] >= days]
        assert ours[f"n_{k}"].sum() == len(whole)
        assert ours[f"back_{k}"].sum() == (whole["second"] <= days).sum()
        rows = orders[orders["customer_id"].isin(whole.index) & (orders["since"] <= days)]
        assert ours[f"revenue_{k}"].sum() == pytest.approx(rows["net"].sum())
        kept = rows["total"] * 0.4 * rows["net"] / rows["total"]
        assert ours[f"margin_{k}"].sum() == pytest.approx(kept.sum())
        squares = kept.groupby(rows["customer_id"]).sum() ** 2
        assert ours[f"squares_{k}"].sum() == pytest.approx(squares.sum())
    at_once = orders[orders["since"] == 0]
    assert ours["given_back"].sum() == pytest.approx(at_once["refunded"].sum())
    coupons = newcomers.of("coupon").groupby("cohort")["n"].sum()
    assert coupons.to_dict() == people["coupon"].replace("", "no coupon").value_counts().to_dict()


def test_cohorts_are_compared_only_as_far_as_all_of_each_is_known(newcomers):
    table = curves.table(newcomers)
    assert list(table.columns) == [
        "by",
        "cohort",
        "month",
        "customers",
        "revenue",
        "margin",
        "repeat",
        "low",
        "high",
        "mature",
    ]
    months = table[table["by"] == "month"]
    for row in months.itertuples():
        last = pd.Period(row.cohort).end_time.normalize()
        assert row.mature or (END - last).days <= facts.BOUNDS[row.month]
        if (END - last).days > facts.BOUNDS[row.month]:
            assert row.mature
    young = months[(months["month"] == 12) & (months["cohort"] > "2025-01")]
    assert not young["mature"].any()
    assert months[months["customers"] == 0]["repeat"].isna().all(), "an empty cell is a dash, no 0 %"
    judged = newcomers.months()
    assert judged["first"].max() == pd.Timestamp("2025-09-01")
    part = curves.part_curves(newcomers, co.shift(judged), None)
    numbers = {row[0]: row for row in part.chart.table["rows"]}
    assert numbers["Oct–Dec 2025"][2:6] == ["–"] * 4 and numbers["Jan–Mar 2025"][5] == "–" != numbers["Jan–Mar 2025"][4]


def monthly(rng, *, n=100, months=33, effect=0.0, at=30, season=0.06):
    first = pd.date_range("2023-10-01", periods=months, freq="MS")
    chance = 0.55 + season * np.sin(2 * np.pi * np.arange(months) / 12)
    chance[at:] += effect
    people = rng.poisson(n, months)
    back = rng.binomial(people, chance)
    return pd.DataFrame({"first": first, "n": people, "back": back, "share": back / people})


def test_a_planted_change_is_found_in_its_month_and_none_where_there_is_none():
    found = [change.shift(monthly(np.random.default_rng(seed), effect=-0.22), seed=seed) for seed in range(20)]
    assert sum(one.found for one in found) >= 19
    near = [one for one in found if abs((one.month - pd.Timestamp("2026-04-01")).days) < 35]
    assert len(near) >= 19
    assert sum(one.low <= -0.22 <= one.high for one in found) >= 17
    quiet = [change.shift(monthly(np.random.default_rng(1000 + seed)), seed=seed).found for seed in range(60)]
    assert sum(quiet) <= 7, "5% is declared; more than 7 of 60 come by chance once in a hundred times"


def test_a_season_is_no_change_and_a_young_shop_claims_none():
    for seed in range(10):
        young = change.shift(monthly(np.random.default_rng(seed), months=14, season=0.15, n=300), seed=seed)
        assert not young.found and not young.seasonal
    strong = change.shift(monthly(np.random.default_rng(1), months=14, season=0.0, effect=-0.3, at=10, n=300))
    assert strong.likely and not strong.found
    assert change._title(strong).endswith("or it is the season")
    assert change.shift(monthly(np.random.default_rng(1), months=5)).month is None


def test_mix_and_rate_add_up_and_are_told_apart():
    rng = np.random.default_rng(3)
    for seed in range(40):
        frames = []
        for _ in range(2):
            n = rng.integers(0, 60, 5)
            frames.append(pd.DataFrame({"cohort": list("abcde"), "n": n, "back": rng.binomial(n, rng.random(5))}))
        if not all(frame["n"].sum() for frame in frames):
            continue
        now, then = frames
        found = mix.split(now, then, by="channel", seed=seed)
        whole = now["back"].sum() / now["n"].sum() - then["back"].sum() / then["n"].sum()
        assert found.mix + found.rate == pytest.approx(whole, abs=1e-12)
    one = pd.DataFrame({"cohort": ["a", "b"], "n": [50, 50], "back": [10, 40]})
    new = pd.DataFrame({"cohort": ["a", "c"], "n": [50, 50], "back": [10, 5]})
    assert mix.split(new, one, by="x").rate == pytest.approx(0), "who was not there before only counts as mix"
    worse = one.assign(back=[5, 20])
    assert mix.split(worse, one, by="x").mix == pytest.approx(0)
    assert mix.split(worse, one, by="x").rate == pytest.approx(-0.25)


def test_mix_is_within_its_range_in_19_of_20_shops():
    rng, held = np.random.default_rng(8), 0
    weight, chance = np.array([[0.5, 0.3, 0.2], [0.3, 0.3, 0.4]]), np.array([[0.5, 0.4, 0.6], [0.4, 0.35, 0.6]])
    true = ((chance[0] - chance[1]) * (weight[0] + weight[1]) / 2).sum()
    for seed in range(100):
        frames = []
        for w, c in zip(weight, chance, strict=True):
            n = rng.multinomial(400, w)
            frames.append(pd.DataFrame({"cohort": list("abc"), "n": n, "back": rng.binomial(n, c)}))
        found = mix.split(*frames, by="x", seed=seed)
        held += found.low <= true <= found.high
    assert held >= 88


def league_of(rng, *, better=0.0, people=4000, products=25):
    """Cells of a shop whose seasons and order sizes matter, and in which first product 0 may add to coming back."""
    month, size = rng.integers(0, 12, people), rng.integers(1, 4, people)
    chance = 0.3 + 0.02 * month + 0.08 * size
    # Some products are sold in some months only, and all the more in large orders.
    likely = np.exp(0.3 * np.sin(month[:, None] + np.arange(products))) * 0.03 * size[:, None]
    has = rng.random((people, products)) < likely
    back = rng.random(people) < np.clip(chance + better * has[:, 0], 0, 1)
    frame = pd.DataFrame({"first": month, "size": size, "n": 1, "back": back.astype(int)})
    cells = pd.concat([frame[has[:, p]].assign(item=f"p{p}") for p in range(products)])
    return firsts.judge(cells.groupby(["item", "first", "size"], as_index=False).sum(), frame, within_days=90)


def test_a_better_first_product_is_named_and_no_other():
    named = [league_of(np.random.default_rng(seed), better=0.25) for seed in range(20)]
    assert sum(one.above["item"].tolist()[:1] == ["p0"] for one in named) >= 19
    assert all(one.table["item"].iloc[0] == "p0" for one in named)
    wrong = sum(len(set(one.table.loc[one.table["stands"] != 0, "item"]) - {"p0"}) for one in named)
    assert wrong <= 3
    null = [league_of(np.random.default_rng(100 + seed)) for seed in range(20)]
    assert sum((one.table["stands"] != 0).any() for one in null) <= 4


def test_the_league_agrees_with_statsmodels(newcomers):
    from statsmodels.stats.contingency_tables import StratifiedTable

    cells = newcomers.of("channel")
    rows = cells[["cohort", "first", "within", "back_within"]].set_axis(["item", "first", "n", "back"], axis=1)
    found = firsts.judge(rows, rows.drop(columns="item"), within_days=90).table.set_index("item")
    stacks = []
    for _, lot in rows.groupby("first"):
        mine, others = lot[lot["item"] == "search"], lot[lot["item"] != "search"]
        counts = [(lot["back"].sum(), (lot["n"] - lot["back"]).sum()) for lot in (mine, others)]
        if all(sum(pair) for pair in counts):
            stacks.append(np.array(counts))
    theirs = StratifiedTable(stacks).test_null_odds(correction=True)
    assert found.loc["search", "p_value"] == pytest.approx(theirs.pvalue, rel=1e-6)


def test_first_products_are_counted_by_hand(shop, newcomers, tables, by_hand):
    people, _ = by_hand
    found = co.league(shop, newcomers)
    lines = tables["order_lines"].merge(tables["products"], on="product_id")
    judged = people[people["known"] >= 90].reset_index().rename(columns={"order": "order_id"})
    both = lines.merge(judged, on="order_id")[["customer_id", "name", "second"]].drop_duplicates()
    wanted = both.groupby("name")["second"].agg(["size", lambda days: (days <= 90).mean()])
    ours = found.table.set_index("item")
    assert ours["customers"].to_dict() == {name: n for name, n in wanted["size"].items() if n >= facts.LEAST}
    assert ours["repeat"].to_dict() == pytest.approx(wanted.iloc[:, 1].to_dict())


def test_effects_drawn_together_cover_the_truth_and_lie_nearer_to_it():
    rng, held, near = np.random.default_rng(2), {}, {}
    for spread in (0.03, 0.1, 0.3):
        truth = rng.normal(0, spread, (100, 20))
        seen = truth + rng.normal(0, 0.1, truth.shape)
        middle, low, high = (
            np.array(ends) for ends in zip(*(towards_mean(row, np.full(20, 0.1)) for row in seen), strict=True)
        )
        held[spread] = ((low <= truth) & (truth <= high)).mean()
        near[spread] = np.square(middle - truth).mean() / np.square(seen - truth).mean()
    assert 0.94 < np.mean(list(held.values())) < 0.97 and min(held.values()) > 0.9
    assert near[0.03] < 0.2 and near[0.1] < 0.65 and near[0.3] < 1


def test_payback_is_by_hand(shop, newcomers, by_hand, tables):
    people, orders = by_hand
    found = co.payback(shop, newcomers)
    whole = people[people["known"] >= 365]
    rows = orders[orders["customer_id"].isin(whole.index) & (orders["since"] <= 365)]
    curve = found.curve.set_index("month")
    assert curve.loc[12, "earned"] == pytest.approx((rows["net"] * 0.4).sum() / len(whole))
    won = people["first"].between("2024-01-01", "2025-12-31").sum()
    assert found.cost == pytest.approx(tables["costs"]["amount"].sum() / won)
    reached = curve.index[curve["earned"] >= found.cost]
    assert found.months.value == (reached[0] if len(reached) else None)
    part = co.part_payback(found, shop=shop)
    assert part.metrics[0].id == "payback_months"


def test_who_first_buys_before_christmas_is_a_group_held_against_the_others_of_the_year(tmp_path):
    """Half as many of those four weeks come back; in a shop whose country is not named there is no such group."""
    rng, rows = np.random.default_rng(3), []
    for n, day in enumerate(pd.date_range("2023-01-01", "2025-06-30").repeat(4)):
        gift = (11, 27) <= (day.month, day.day) <= (12, 24)
        rows.append((f"a{n}", f"c{n}", day))
        if rng.random() < (0.2 if gift else 0.4):
            rows.append((f"b{n}", f"c{n}", day + pd.Timedelta(days=int(rng.integers(5, 80)))))
    orders = pd.DataFrame(rows, columns=["order_id", "customer_id", "ordered_at"]).assign(total=20.0)
    orders.to_csv(tmp_path / "orders.csv", index=False)
    settings = 'name = "Gifts"\ntimezone = "Europe/Berlin"\ncurrency = "EUR"\nas_of = 2026-01-01\n'
    (tmp_path / "shop.toml").write_text(settings + 'country = "DE"\n', encoding="utf-8")
    found = co.measure(crm.connect(tmp_path))
    n = found.of("season").groupby("cohort")["n"].sum()
    assert n.to_dict() == {"before Christmas": 2 * 28 * 4, "at other times": found.total - 2 * 28 * 4}
    league = co.by_group(found)["season"].table.set_index("item")
    assert league.loc["before Christmas", "stands"] == -1 and league.loc["at other times", "stands"] >= 0
    assert co.part_groups(co.by_group(found)).title == "Newcomers won before Christmas come back less often than others"
    (tmp_path / "shop.toml").write_text(settings, encoding="utf-8")
    assert co.measure(crm.connect(tmp_path)).of("season").empty


def test_payback_by_channel_coupon_and_country_is_by_hand(shop, newcomers, by_hand, tables):
    people, orders = by_hand
    ours = co.payback(shop, newcomers).groups.set_index("name")
    traits = tables["customers"].set_index("customer_id")
    for name, mine in (("From DE", people.index.map(traits["country"]) == "DE"),
                       ("Through search", people.index.map(traits["acquisition_channel"]) == "search"),
                       ("Without a coupon", people["coupon"] == "")):  # fmt: skip
        row, ids = ours.loc[name], people.index[mine]
        own = orders[orders["customer_id"].isin(ids)]
        at_once = own[own["since"] == 0]
        assert row["n"] == len(ids) and row["refunds"] == pytest.approx(
            at_once["refunded"].sum() / at_once["total"].sum()
        )
        assert row["first"] == pytest.approx((at_once["net"] * 0.4).sum() / len(ids))
        year = people.index[mine & (people["known"] >= 365)]
        within = own[own["customer_id"].isin(year) & (own["since"] <= 365)]
        assert row["year"] == pytest.approx((within["net"] * 0.4).sum() / len(year))
    month = people[people.index.map(traits["acquisition_channel"]) == "search"]["first"].dt.strftime("%Y-%m-01")
    bills = tables["costs"].query("acquisition_channel == 'search'").set_index("valid_from")["amount"]
    paid = bills[bills.index.isin(month)].sum() / month.isin(bills.index).sum()
    assert ours.loc["Through search", "cost"] == pytest.approx(paid)
    assert ours.loc["From DE", ["cost", "paid"]].isna().all() and ours.loc["Through search", "paid"]
    part = co.part_payback(co.payback(shop, newcomers), shop=shop)
    assert [row[0] for row in part.chart.table["rows"]] == list(ours.index) and "payback" in part.tables


def test_paths_are_seen_not_credited(shop, newcomers, by_hand, tables):
    people, _ = by_hand
    found = co.ways(shop, newcomers)
    visits = tables["touches"].merge(people.reset_index(), on="customer_id")
    ordered = tables["orders"].set_index("order_id")["ordered_at"]
    visits["order_at"] = visits["order"].map(ordered)
    visits = visits[(visits["at"] <= visits["order_at"]) & (visits["at"] >= visits["order_at"] - pd.Timedelta(days=90))]
    visits = visits.sort_values(["at", "channel"])
    ends = visits.groupby("customer_id")["channel"].agg(["first", "last"])
    assert found.set_index(["opening", "closing"])["n"].to_dict() == ends.value_counts().to_dict()
    assert found["visits"].sum() == len(visits)
    first = visits.groupby("customer_id").agg(at=("at", "min"), order_at=("order_at", "max"))
    lead = int(
        (first["order_at"].dt.normalize() - first["at"].dt.normalize()).dt.days.quantile(0.5, interpolation="lower")
    )
    assert set(found["lead"]) == {lead}
    said = {days: paths.part_paths(found.assign(lead=days)).sentence for days in (0, 1, 5)}
    assert (
        "does not say what brought them" in said[5] and "Half order within 5 days of the first visit seen." in said[5]
    )
    assert "Half order within 1 day of the" in said[1] and "Half order on the day of the first visit seen." in said[0]


def test_old_customers_of_a_file_that_begins_in_mid_life_are_no_newcomers(tmp_path):
    """A shop with 400 old customers who buy every 40 days or so, seen from one day on, and 10 new ones a month."""
    rng, rows = np.random.default_rng(4), []
    for i in range(400 + 180):
        at = float(rng.uniform(0, 40)) if i < 400 else (i - 400) * 3.0
        while at < 540:
            rows.append((f"{'old' if i < 400 else 'new'}{i}", END - pd.Timedelta(days=540 - at)))
            at += float(rng.gamma(3, 14))
    orders = pd.DataFrame(rows, columns=["customer_id", "ordered_at"]).assign(total=10.0)
    orders["order_id"] = [f"o{i}" for i in range(len(orders))]
    orders["ordered_at"] = orders["ordered_at"].dt.floor("s")
    found = co.measure(shop_of(tmp_path, orders=orders))
    assert found.rule and found.left_out >= 400
    assert 120 < found.total < 180, "who was not seen for as long as 95 of 100 gaps last is new"
    accounts = pd.DataFrame({"customer_id": orders["customer_id"].unique()})
    first = orders.groupby("customer_id")["ordered_at"].min()
    accounts["created_at"] = [
        pd.Timestamp("2020-01-01") if name.startswith("old") else first[name] for name in accounts["customer_id"]
    ]
    known = co.measure(shop_of(tmp_path, orders=orders, customers=accounts))
    assert (known.total, known.left_out, known.rule) == (180, 400, "")


def test_refunds_and_discounts_that_no_order_has_are_no_columns(newcomers):
    sums = curves.periods(newcomers)
    for shown, there in ((sums.assign(off=1.0), True), (sums.assign(given_back=0.0, off=0.0), False)):
        heads = str(curves._numbers(shown, newcomers)["columns"])
        assert "Back in 1 month" in heads
        assert ("Refunds of first orders" in heads, "Discount on first orders" in heads) == (there, there)


def test_old_customers_who_buy_seldom_are_not_new_before_the_rush_has_ebbed(tmp_path):
    """A panel: 1,920 of 2,000 old customers buy every month, 80 twice a year; one new customer comes in six days."""
    rng, rows = np.random.default_rng(8), []
    for i in range(2000 + 65):
        every = 180 if i < 80 else 30
        at = i * 2.25 if i < 80 else float(rng.uniform(0, every)) if i < 2000 else (i - 2000) * 6.0
        while at < 390:
            rows.append((f"{'old' if i < 2000 else 'new'}{i}", END - pd.Timedelta(days=390 - at)))
            at += every * float(rng.uniform(0.9, 1.1))
    orders = pd.DataFrame(rows, columns=["customer_id", "ordered_at"]).assign(total=10.0)
    orders["order_id"], orders["ordered_at"] = [f"o{i}" for i in range(len(orders))], orders["ordered_at"].dt.floor("s")
    found = co.measure(shop_of(tmp_path, orders=orders))
    assert found.rule.endswith("whoever was first seen in its first 180 days is left out.")
    assert found.total == 35, "the new ones of the last 210 days"


def test_what_comes_later_changes_nothing(tmp_path):
    small, then, cells = made(people=80), date(2025, 7, 1), []
    past = small["orders"][small["orders"]["ordered_at"] < pd.Timestamp(then)].copy()
    for at in ("cancelled_at", "refunded_at"):
        past.loc[past[at] >= pd.Timestamp(then), at] = pd.NaT
    past.loc[past["refunded_at"].isna(), "refunded"] = 0.0
    assert len(past) < len(small["orders"])
    for orders in (past, small["orders"]):
        (folder := tmp_path / str(len(cells))).mkdir()
        for name, frame in (small | {"orders": orders}).items():
            frame.to_csv(folder / f"{name}.csv", index=False)
        cells.append(co.measure(crm.connect(folder, as_of=then)).cells)
    pd.testing.assert_frame_equal(*cells)


def test_the_next_90_days_are_counted_as_said(shop, newcomers, by_hand):
    people, _ = by_hand
    found = co.ahead(shop, newcomers)
    once = people[(END - people["first"]).dt.days.between(1, 90) & people["second"].isna()]
    assert found.waiting == len(once)
    assert found.total is not None and 0 < found.total.low < found.total.value < found.total.high <= len(once)
    start = DAY - timedelta(days=90)
    said = Prediction(id="newcomers_back_90d", label="", unit="customers", value=1.0, start=start, end=DAY)
    (graded,) = grade(shop, newcomers, (Due(prediction=said, as_of=start, run_id=""),))
    at = pd.Timestamp(start)
    waited = people[
        (at - people["first"]).dt.days.between(1, 90) & ~(people["first"] + pd.to_timedelta(people["second"], "D") < at)
    ]
    there = waited["first"] + pd.to_timedelta(waited["second"], "D") < END
    assert graded.actual == there.sum() > 0


def test_forecasts_hold_over_seeds_where_nothing_changes():
    """Waits drawn from one law: the number that comes lies in its range as often as said."""
    held, off = 0, []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        first = rng.integers(0, 720, 3000)
        second = np.where(rng.random(3000) < 0.6, np.ceil(rng.exponential(60, 3000)), np.inf)
        age = 630 - first
        shown = pd.DataFrame({"first_day": END - pd.to_timedelta(age, unit="D"), "second": second, "n": 1})
        seen = shown.assign(second=np.where((second <= facts.MONTH_DAYS * 30) & (second <= 180), second, np.nan))
        waiting, value, own = expect(seen, DAY)
        actual = came(seen, DAY)
        off.append(actual / value - 1)
        held += abs(np.log(actual / value)) <= 1.96 * own
        assert waiting > 100
    assert abs(np.mean(off)) < 0.03 and held >= 53


def test_five_customers_are_too_few_and_are_shown(tmp_path):
    rows = [(1, 24, 9, 1200), (2, 32, 3, 400), (3, 21, 8, 9000), (4, 53, 1, 500), (5, 23, 6, 650)]
    orders = [
        (f"{who}-{i}", str(who), f"2025-{1 + i:02d}-05", spent / n) for who, _, n, spent in rows for i in range(n)
    ]
    shop = shop_of(tmp_path, orders=pd.DataFrame(orders, columns=["order_id", "customer_id", "ordered_at", "total"]))
    found = co.measure(shop)
    quiet = co.shift(found.months())
    parts = [curves.part_curves(found, quiet, None), change.part_change(found, quiet, None), mix.part_mix(found, quiet, None),
             firsts.part_firsts(co.league(shop, found), shop=shop), firsts.part_groups(co.by_group(found)),
             co.part_payback(co.payback(shop, found), shop=shop), paths.part_paths(co.ways(shop, found)),
             co.part_ahead(co.ahead(shop, found), shop=shop)]  # fmt: skip
    said = co.page(found, parts)
    assert (said.status, said.headline) == ("too_few", "Too few to conclude: 5 newcomers; 30 are needed.")
    assert said.parts[0].chart.table["rows"] == [["January 2025", "5", "4"]]
    with pytest.raises(UsageError, match="between 1 and 730"):
        co.measure(shop, within_days=0)
    with pytest.raises(NotAvailable, match="customer_id"):
        (tmp_path / "orders.csv").write_text("order_id,ordered_at\n1,2025-01-01\n")
        co.measure(crm.connect(tmp_path))


def test_sentences_for_none_one_and_many():
    step = {"month": pd.Timestamp("2026-04-01"), "p_value": 0.001, "seasonal": True}
    fall = change.Shift(effect=-0.24, low=-0.31, high=-0.17, **step)
    rise = change.Shift(effect=0.01, low=0.004, high=0.3, **step)
    none = change.Shift(
        month=pd.Timestamp("2026-04-01"), effect=-0.03, low=-0.08, high=0.02, p_value=0.4, seasonal=True
    )
    assert change._title(fall) == "Customers won since April 2026 come back less"
    assert change._title(rise) == "Customers won since April 2026 come back more"
    assert change._title(none) == "No change is large enough to be seen"
    assert change._sentence(fall) == "Against the same months of other years, between 17 and 31 in 100 fewer."
    assert change._sentence(none) == "The largest difference, from April 2026 on, may be chance."
    assert [firsts.who(*pair) for pair in (("channel", "coupon_site"), ("coupon", "no coupon"), ("country", "DE"))] == [
        "through coupon site", "without a coupon", "from DE"]  # fmt: skip
    row = {"customers": 90, "repeat": 0.5, "expected": 0.3, "likely": 0.45, "low": 0.4, "high": 0.5}
    table = pd.DataFrame([row | {"item": name, "stands": 0} for name in ("Tea", "Cups", "Jam")])
    for stands, title in (
        ([0, 0, 0], "No first product stands out"),
        ([1, 0, 0], "Who begins with Tea comes back more often"),
        ([1, 1, -1], "Who begins with Tea and Cups comes back more often"),
        ([0, 0, -1], "Who begins with Jam comes back less often"),
    ):
        assert firsts._said(firsts.League(table=table.assign(stands=stands), usual=0.3, within_days=90))[0] == title
    assert _left_out(1, "who buys like a dealer") == "1 customer who buys like a dealer is left out."
    assert _left_out(2, "who buy like a dealer") == "2 customers who buy like a dealer are left out."
    assert [_paid(month) for month in (None, 0.0, 1.0, 3.0)] == [
        "not yet", "with the first order", "within 1 month", "within 3 months"]  # fmt: skip


def test_the_headline_says_what_one_question_decided(newcomers):
    quiet = change.Shift(month=END, effect=-0.1, low=-0.2, high=0.1, p_value=0.5, seasonal=True)
    fall = change.Shift(
        month=pd.Timestamp("2025-03-01"), effect=-0.2, low=-0.3, high=-0.1, p_value=0.001, seasonal=True
    )
    counts = {"first": pd.to_datetime(["2025-07-01", "2025-08-01", "2025-09-01"]), "n": 50, "back": 10, "share": 0.2}
    now, before = (Estimate(value=value, unit="share", low=0.1, high=0.5, n=150) for value in (0.2, 0.4))
    apart = change.Newest(months=pd.DataFrame(counts), now=now, before=before, low=-0.3, high=-0.1)
    lone = change.Newest(months=pd.DataFrame(counts), now=now, before=None)
    young = change.Shift(month=END, effect=-0.1, low=-0.2, high=0.1, p_value=0.5, seasonal=False)
    assert [headline(newcomers, *pair) for pair in ((quiet, apart), (fall, apart), (young, apart), (young, lone), (young, None))] == [
        "Newer customers differ from those of a year before by no more than chance: 20% of the newest come back within 90 days, then 40%.",
        "Customers won since March 2025 come back less: 20% within 90 days, 40% a year before.",
        "The newest customers come back less than a year before: 20% within 90 days, then 40%.",
        "20% of the newest customers come back within 90 days; the year before is not known.",
        f"It is too early to say how the newest come back: too few of {newcomers.total} newcomers are known for 90 days.",
    ]  # fmt: skip
    assert change.moved(fall, apart) and change.moved(young, apart) and not change.moved(quiet, apart)
    old = replace(newcomers, as_of=date(2027, 1, 1))
    assert (
        headline(old, quiet, apart)
        == "Nobody new has come since December 2025; 20% of the last newcomers came back within 90 days."
    )
    (find_out,) = part_do(old, quiet).actions
    assert find_out.what.startswith("Find out why nobody new came") and not part_do(newcomers, quiet).actions
    # Only who is known long enough can have come back less.
    (ask,) = part_do(newcomers, fall).actions
    judged = newcomers.months().query("first >= @fall.month")["n"].sum()
    assert ask.count == judged and ask.worth.endswith(" fewer came back")


def test_a_quarter_is_named_by_the_months_that_have_newcomers():
    march, june = pd.Timestamp("2017-03-01"), pd.Timestamp("2017-06-01")
    assert curves._called(march, march, "quarter") == "March 2017" and curves._called(march, june, "year") == "2017"
    assert curves._called(pd.Timestamp("2017-04-01"), june, "quarter") == "Apr–Jun 2017"


def test_a_period_under_way_is_marked_so_far(newcomers):
    for as_of, marked in ((date(2026, 1, 1), False), (date(2025, 12, 31), True)):
        found = replace(newcomers, as_of=as_of)
        rows = curves._numbers(curves.periods(found), found)["rows"]
        assert rows[0][0].endswith(" (so far)") == marked and not rows[1][0].endswith(" (so far)")


def test_the_page_holds_together(shop, newcomers):
    months = newcomers.months()
    step, latest = co.shift(months), co.newest(months)
    parts = [co.part_curves(newcomers, step, latest), co.part_change(newcomers, step, latest), co.part_mix(newcomers, step, latest),
             co.part_firsts(co.league(shop, newcomers), shop=shop), co.part_payback(co.payback(shop, newcomers), shop=shop),
             co.part_groups(co.by_group(newcomers)), co.part_paths(co.ways(shop, newcomers)), co.part_ahead(co.ahead(shop, newcomers), shop=shop)]  # fmt: skip
    said = co.page(newcomers, parts)
    assert {metric.id for metric in said.metrics} >= {"cohorts", "repeat_12m", "payback_months"}
    assert set(said.tables) >= {"cohorts", "first_products"}
    assert len(said.headline.split()) <= 25
    words = " ".join(itertools.chain([said.headline], (f"{part.title} {part.sentence}" for part in said.parts)))
    assert not {"nan", "NaN", "None", "inf"} & set(words.split())
    assert "1 customer who buys like a dealer is left out." in {caveat.text for caveat in said.caveats}
