"""Customers: a true partition, moves that add up, and a score that later purchases bear out."""

import importlib
from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace

import ibis
import numpy as np
import pandas as pd
import pytest

import crmlib as crm
from crmlib import formats
from crmlib.analysis.customers import ahead, facts, likeness, migration, people, rfm, score
from crmlib.analysis.customers.facts import Profiles
from crmlib.analysis.customers.page import headline
from crmlib.errors import NotEnoughData, UsageError
from crmlib.findings import Due
from tests.conftest import SHARED_DATA

cu, pc = crm.customers, crm.purchase_cycles
pages = importlib.import_module("crmlib.analysis.customers.page")
DAY = date(2026, 1, 1)


def planted(n=3000, seed=1, *, tells=True, days=730):
    """Orders of customers with a rate of their own and a day on which they stop, none where nothing `tells`."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(1.2, 1 / 60, n) if tells else np.full(n, 1 / 60)
    stop = rng.exponential(250, n) if tells else np.full(n, 1e9)
    start = rng.uniform(0, days - 30, n) if tells else np.zeros(n)
    rows = []
    for i in range(n):
        at = start[i]
        while at < min(days, start[i] + stop[i]):
            rows.append((f"c{i}", at, 20 + 10 * (i % 7)))
            at += rng.exponential(1 / rate[i]) + 0.01
    frame = pd.DataFrame(rows, columns=["customer_id", "at", "total"])
    frame["ordered_at"] = pd.Timestamp(DAY) - pd.to_timedelta(days - frame["at"], unit="D")
    frame["order_id"] = [f"o{i}" for i in range(len(frame))]
    return frame[["order_id", "customer_id", "ordered_at", "total"]]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    planted().to_csv(folder / "orders.csv", index=False)
    return crm.connect(folder, as_of=DAY)


@pytest.fixture(scope="module")
def today(shop):
    return cu.profiles(shop)


def test_a_profile_is_what_the_orders_say(today):
    rows = planted()
    rows["day"] = rows["ordered_at"].dt.normalize()
    rows = rows[rows["day"] < pd.Timestamp(DAY)]
    for row in today.frame.sample(40, random_state=2).itertuples():
        own = rows[rows["customer_id"] == row.customer_id]
        assert row.purchases == own["day"].nunique()
        assert row.silent_days == (pd.Timestamp(DAY) - own["day"].max()).days
        assert row.known_days == (pd.Timestamp(DAY) - own["day"].min()).days
        year = own[own["day"] >= pd.Timestamp(DAY) - pd.Timedelta(days=365)]
        assert row.sales_year == pytest.approx(year["total"].sum())
        last = own[own["day"] > own["day"].max() - pd.Timedelta(days=365)]
        assert row.last_year == pytest.approx(last["total"].sum())


def test_orders_are_put_in_order_once_for_all_days_that_are_asked_of(shop, today):
    """What takes longest in a large shop: neither an earlier day nor its gaps does it again."""
    kept, day = len(shop._kept), DAY - timedelta(days=90)
    before = cu.profiles(shop, day=day)
    assert len(shop._kept) == kept
    assert "OVER (" not in ibis.to_sql(facts.profile(shop, day=day), dialect="duckdb")
    rows = planted()
    rows = rows[rows["ordered_at"] < pd.Timestamp(day)].assign(day=rows["ordered_at"].dt.normalize())
    own = rows.groupby("customer_id").agg(n=("day", "nunique"), last=("day", "max"), total=("total", "sum"))
    meant = own.loc[before.frame["customer_id"]]
    assert len(own) == len(before.frame) and (meant["n"].to_numpy() == before.frame["purchases"]).all()
    np.testing.assert_allclose(before.frame["sales"], meant["total"])
    year = rows[(rows["customer_id"].map(own["last"]) - rows["day"]).dt.days < 365]
    year = year.groupby("customer_id")["total"].sum().loc[before.frame["customer_id"]]
    np.testing.assert_allclose(before.frame["last_year"], year)


def test_everybody_is_in_exactly_one_kind_by_the_printed_rules(today):
    at = cu.cuts(today)
    frame, kind = today.frame, cu.kinds(today.frame, at)
    quiet, best = frame["silent_days"] > at.quiet_days, frame["last_year"] >= at.best
    meant = {
        "best": best & ~quiet,
        "regular": ~best & ~quiet & frame["purchases"].ge(3),
        "returning": ~best & ~quiet & frame["purchases"].eq(2),
        "new": ~best & ~quiet & frame["purchases"].eq(1),
        "best, gone quiet": best & quiet,
        "repeat, gone quiet": ~best & quiet & frame["purchases"].ge(2),
        "one order only": ~best & quiet & frame["purchases"].eq(1),
    }
    assert sum(test.astype(int) for test in meant.values()).eq(1).all()
    for name, test in meant.items():
        assert test.equals(kind == name), name
    assert set(rfm.rules(at, "EUR")) == set(meant)
    assert cu.stages(frame, at).notna().all()


def test_cuts_are_the_shops_own_and_each_customer_counts_once(today):
    rows = planted()
    days = rows.assign(day=rows["ordered_at"].dt.normalize()).query("day < @pd.Timestamp(@DAY)")
    days = days.drop_duplicates(["customer_id", "day"]).sort_values(["customer_id", "day"])
    gap = days.groupby("customer_id")["day"].diff().dt.days.dropna()
    weight = 1 / gap.groupby(days["customer_id"]).transform("size")
    order = gap.sort_values().index
    reached = weight[order].cumsum() / weight.sum()
    assert cu.cuts(today).quiet_days == int(gap[order][reached >= 0.95].iloc[0])
    assert cu.cuts(today).late_days == int(gap[order][reached >= 0.5].iloc[0])
    assert cu.cuts(today, quiet_days=90).quiet_days == 90
    with pytest.raises(UsageError, match="regular 2 or more"):
        cu.cuts(today, regular=1)


def test_the_best_are_those_who_bring_most_margin_where_costs_are_known(write_shop):
    """The odd spend more, on goods that cost nearly as much; one order has no cost, and old ones do not count."""
    rows = [(i, 200 + i if i % 2 else 100 + i, 190 if i % 2 else 20) for i in range(100)]
    orders = [{"order_id": f"{age}-{i}", "customer_id": f"c{i}", "total": total,
               "ordered_at": pd.Timestamp(DAY) - pd.Timedelta(days=age)}
              for age in (20, 400) for i, total, _ in rows if age == 20 or i < 40]  # fmt: skip
    lines = [{"order_id": row["order_id"], "product_id": "unknown" if row["order_id"] == "20-99" else
              "dear" if row["total"] >= 200 else "own", "quantity": 1, "line_total": row["total"]} for row in orders]  # fmt: skip
    products = [{"product_id": "dear", "unit_cost": 190}, {"product_id": "own", "unit_cost": 20}]
    costed = crm.connect(write_shop("costed", orders=orders, order_lines=lines, products=products), as_of=DAY)
    today = cu.profiles(costed)
    plain = cu.profiles(crm.connect(write_shop("plain", orders=orders, order_lines=lines), as_of=DAY))
    twice = [*rows[:-1], *rows[:40]]
    usual = sum(total - cost for _, total, cost in twice) / sum(total for _, total, _ in twice)
    wanted = {f"c{i}": total - cost for i, total, cost in rows} | {"c99": 299 * usual}
    assert today.frame.set_index("customer_id")["last_year"].to_dict() == pytest.approx(wanted)
    assert plain.frame.set_index("customer_id")["last_year"].to_dict() == {f"c{i}": total for i, total, _ in rows}
    for found, brought, left in ((today, "margin", 0), (plain, "sales", 1)):
        at = cu.cuts(found)
        best = found.frame.loc[cu.kinds(found.frame, at) == "best", "customer_id"]
        assert len(best) == 10 and all(int(who[1:]) % 2 == left for who in best)
        assert f" of {brought} in the year up to the last purchase" in rfm.rules(at, "EUR")["best, gone quiet"]


def test_the_cut_that_is_printed_is_the_one_that_cuts(today):
    """To the cent: whoever counts by the printed rule finds the same best customers."""
    frame = today.frame.assign(last_year=today.frame["last_year"] + 0.27 + 0.001 * (np.arange(len(today.frame)) % 3))
    at = cu.cuts(replace(today, frame=frame))
    printed = rfm.rules(at, "EUR")["best"]
    assert printed.startswith(f"at least €{at.best:,.2f} of sales") and at.best % 1 == pytest.approx(0.27)
    still, best = frame["silent_days"] <= at.quiet_days, frame["last_year"].round(2) >= round(at.best, 2)
    assert (cu.kinds(frame, at) == "best").equals(still & best)
    assert rfm.rules(replace(at, best=40.0), "EUR")["best"].startswith("at least €40 of sales")


def test_ties_stay_together_and_nobody_is_best_where_nothing_separates():
    frame = pd.DataFrame(
        {"customer_id": [f"c{i}" for i in range(100)], "purchases": 1, "silent_days": 10, "known_days": 10,
         "sales": 20.0, "sales_year": 20.0, "purchases_year": 1, "last_year": 20.0}
    )  # fmt: skip
    same = Profiles(DAY, frame, pd.DataFrame({"gap": [], "n": []}))
    at = cu.cuts(same)
    assert at.best == np.inf and cu.kinds(frame, at).unique().tolist() == ["new"]
    assert not rfm.separates(frame, at)
    assert "best" not in rfm.rules(at, "EUR")
    few = frame.assign(last_year=[90.0] * 12 + [20.0] * 88)
    assert (cu.kinds(few, cu.cuts(Profiles(DAY, few, same.gaps))) == "best").sum() == 12


def test_where_nothing_separates_customers_the_page_says_so(write_shop):
    rows = [{"order_id": str(i), "customer_id": f"c{i}", "ordered_at": "2025-12-20", "total": 20} for i in range(40)]
    shop = crm.connect(write_shop(orders=rows), as_of=DAY)
    today = cu.profiles(shop)
    part = cu.part_kinds(today, cu.cuts(today), shop=shop)
    assert part.title == "All customers are in one group"
    assert part.sentence == "Nothing in their purchases separates them yet."


def test_moves_add_up_to_the_customers_known_on_both_days(shop, today):
    at, then = cu.cuts(today), cu.earlier(shop, days=365)
    found = cu.moves(then, today, at)
    assert found.known == len(set(then.frame["customer_id"]) & set(today.frame["customer_id"])) == len(then.frame)
    stayed = found.table[found.table["before"].astype(str) == found.table["now"].astype(str)]["customers"].sum()
    assert found.moved(1)["customers"].sum() + found.moved(-1)["customers"].sum() + stayed == found.known
    assert found.grid["customers"].sum() == len(today.frame)
    assert found.grid["customers_before"].sum() == len(then.frame)
    assert found.grid["revenue"].sum() == pytest.approx(today.frame["sales_year"].sum())
    assert found.table["sales_before"].sum() == pytest.approx(then.frame["sales_year"].sum())
    assert found.grid["revenue_before"].sum() == pytest.approx(then.frame["sales_year"].sum())
    single = set(today.frame.loc[today.frame["purchases"] == 1, "customer_id"])
    assert found.table["once"].sum() == len(single & set(then.frame["customer_id"])) > 0
    # Half a year of data before the earlier day is no year to compare sales with.
    young = replace(then, frame=then.frame.assign(known_days=then.frame["known_days"].clip(upper=182)))
    assert found.whole and not cu.moves(young, today, at).whole
    chart = cu.part_grid(found).chart
    assert "by 3 columns" in chart.alt
    cell = found.grid[found.grid[["customers", "customers_before"]].min(axis=1) >= 5].iloc[0]
    moved = cell["customers"] - cell["customers_before"]
    assert moved and formats.with_sign(formats.number(moved), moved) in chart.wide
    assert [len(row) for row in chart.table["rows"]][:1] == [6]


@pytest.mark.parametrize(
    ("slid", "slid_before", "says"),
    [
        (0, 10, "Nobody dropped to a weaker group "),
        (30, 30, "About as many"),
        (60, 20, "More customers dropped"),
        (20, 60, "Fewer customers"),
    ],
)
def test_moves_are_held_against_the_year_before(slid, slid_before, says):
    kind = pd.CategoricalDtype(list(rfm.KINDS), ordered=True)

    def made(n):
        rows = [("regular", "regular", 200 - n, 1.0, 1.0, 0), ("regular", "repeat, gone quiet", n, 5.0, 2.0, 0)]
        table = pd.DataFrame(rows, columns=["before", "now", "customers", "sales_before", "sales_now", "once"])
        grid = pd.DataFrame(
            {"recency": ["a"], "frequency": ["1"], "customers": [200], "revenue": [1.0], "customers_before": [9]}
        )
        return migration.Moves(
            DAY - timedelta(days=365), DAY, table[table["customers"] > 0].astype({"before": kind, "now": kind}), grid
        )

    part = cu.part_moves(made(slid), made(slid_before), currency="EUR")
    assert (part.changes[0].text if part.changes else part.title).startswith(says)
    assert [metric.value for metric in part.metrics] == [0, slid]
    # Who was quiet already cannot drop: a thousand more of them make no year better.
    quiet = [("repeat, gone quiet", "repeat, gone quiet", 1000, 0.0, 0.0, 0)]
    more = pd.DataFrame(quiet, columns=["before", "now", "customers", "sales_before", "sales_now", "once"]).astype(
        {"before": kind, "now": kind}
    )
    now = made(slid)
    fuller = replace(now, table=pd.concat([now.table, more]).astype({"before": kind, "now": kind}))
    again = cu.part_moves(fuller, made(slid_before), currency="EUR")
    assert (fuller.could(-1), fuller.share(-1)) == (200, slid / 200)
    assert [change.text for change in again.changes] == [change.text for change in part.changes]


def test_the_score_finds_what_was_planted_and_its_parts_add_up(shop, today):
    made, tested = cu.test(shop, days=90)
    assert tested.rises
    assert tested.auc.low > 0.8 and tested.auc.value > tested.recency.value - 0.01
    points = made.points(today.frame)
    assert points.ge(0).all(axis=None) and points.sum(axis=1).between(0, 100).all()
    assert list(points.columns) == list(score.PARTS) and made.most.sum() == pytest.approx(100)
    # Brute force: of all pairs of a later buyer and another, how often is the buyer's score the higher?
    then = tested.before.frame
    orders = planted()
    after = orders[
        (orders["ordered_at"] >= pd.Timestamp(DAY) - pd.Timedelta(days=90)) & (orders["ordered_at"] < pd.Timestamp(DAY))
    ]
    bought = then["customer_id"].isin(set(after["customer_id"])).to_numpy()
    silent = then["silent_days"].to_numpy()
    yes, no = silent[bought], silent[~bought]
    wins = (yes[:, None] < no[None, :]).mean() + (yes[:, None] == no[None, :]).mean() / 2
    assert tested.recency.value == pytest.approx(wins)
    assert tested.tenths["n"].sum() == len(then) and tested.tenths["bought"].sum() == bought.sum()


def online_grocer(folder):
    if not (SHARED_DATA / "groceryElog.csv").is_file():
        pytest.skip("../shared/data is not here: groceryElog.csv")
    log = pd.read_csv(SHARED_DATA / "groceryElog.csv")
    rows = {"order_id": range(len(log)), "customer_id": "c" + log["cust"].astype(str), "ordered_at": log["date"]}
    pd.DataFrame(rows).assign(total=10).to_csv(folder / "orders.csv", index=False)
    return crm.connect(folder, as_of="2007-04-01")


@pytest.mark.parametrize(("data", "baseline"), [("cdnow", 0.784), ("grocer", 0.912)])
def test_the_score_stands_beside_the_hard_baseline_and_groups_keep_their_order(cdnow_folders, tmp_path, data, baseline):
    """METHODS.md: AUC of recency alone for a purchase in 90 days, after 1997-09-30 and 2007-01-01."""
    shop = online_grocer(tmp_path) if data == "grocer" else crm.connect(cdnow_folders[1], as_of="1997-12-30")
    _, tested = cu.test(shop, days=90)
    assert tested.recency.value == pytest.approx(baseline, abs=0.001)
    assert tested.auc.value > baseline and tested.rises
    assert pc.chances(shop).ranked[90] == (pytest.approx(baseline, abs=0.02), pytest.approx(baseline, abs=0.001))
    today = cu.profiles(shop)
    found = people.table(today, cu.cuts(today), tested, currency="USD")
    assert found["orders_later"].iloc[0] > 2 * found["orders_later"].dropna().iloc[1:].max()
    assert "stands above it" not in people._later(found, tested)


def test_a_group_that_bought_more_than_one_above_it_is_named():
    found = pd.DataFrame({"segment": ["best", "regular", "returning"], "orders_later": [2.0, 0.3, 0.9],
                          "low": [1.8, 0.2, 0.8], "high": [2.2, 0.4, 1.0]})  # fmt: skip
    at = SimpleNamespace(days=90)
    said = "In 90 days ‘best’ bought 2.0 times each, ‘regular’ 0.3 times."
    more = "‘returning’ bought more often than ‘regular’, which stands above it."
    assert people._later(found, at) == f"{said} {more}"
    assert people._later(found.assign(high=[2.2, 0.8, 1.0]), at) == said


def test_where_nothing_tells_the_score_says_so(tmp_path):
    """Everybody buys at the same rate and nobody stops: by chance alone the tenths must not rise."""
    planted(800, seed=5, tells=False).to_csv(tmp_path / "orders.csv", index=False)
    shop = crm.connect(tmp_path, as_of=DAY)
    made, tested = cu.test(shop, days=30)
    assert tested.auc.low < 0.5 < tested.auc.high
    assert cu.part_score(made, tested).title == "The loyalty score did not tell who buys again"


@pytest.mark.slow
def test_the_score_tells_in_20_shops_and_in_none_where_there_is_nothing_to_tell(tmp_path):
    """A twentieth of the shops without a difference may seem to have one."""
    said = {True: 0, False: 0}
    for tells in said:
        for seed in range(20):
            planted(500, seed=50 + seed, tells=tells).to_csv(tmp_path / "orders.csv", index=False)
            made, tested = cu.test(crm.connect(tmp_path, as_of=DAY), days=60)
            said[tells] += (
                bool(tested) and cu.part_score(made, tested).title == "The loyalty score tells who buys again"
            )
    assert said[True] >= 17 and said[False] <= 2


def test_what_the_best_have_in_common_is_found_at_the_declared_rate():
    rng = np.random.default_rng(3)
    chosen = pd.Series(rng.random(2000) < 0.1)
    false, found = 0, 0
    for _ in range(60):
        people_ = pd.DataFrame({"customer_id": range(2000), "country": rng.choice(list("abcdefgh"), 2000)})
        false += (likeness.common(people_, chosen)["q_value"] < 0.05).any()
        people_.loc[chosen & (rng.random(2000) < 0.4), "country"] = "h"
        top = likeness.common(people_, chosen).iloc[0]
        found += top["value"] == "h" and top["q_value"] < 0.05 and top["ratio"] > 1
    assert false <= 7 and found == 60


def test_lookalikes_are_those_most_like_the_segment(shop, today):
    inside = today.frame["purchases"].ge(6) & (np.arange(len(today.frame)) % 2 == 0)
    traits = pd.DataFrame({"customer_id": today.frame["customer_id"], "country": "DE"})
    alike = likeness.lookalikes(traits, today, inside, most=50)
    assert not set(alike["customer_id"]) & set(today.frame.loc[inside, "customer_id"])
    bought = today.frame.set_index("customer_id")["purchases"]
    assert bought[alike["customer_id"]].median() >= 5 > bought.median()
    with pytest.raises(NotEnoughData, match="lookalikes need 30"):
        likeness.lookalikes(traits, today, inside & False)


def test_a_segment_is_crossed_by_two_traits_and_few_are_not_counted_out(shop, today, monkeypatch):
    often = today.frame.loc[today.frame["purchases"] >= 5, "customer_id"].reset_index(drop=True)
    people = pd.DataFrame({"customer_id": today.frame["customer_id"], "country": "DE", "first_channel": "web"})
    people.loc[people["customer_id"].isin(often[:3]), "country"] = "AT"
    people.loc[people["customer_id"].isin(often[3:60]), "first_channel"] = "app"
    monkeypatch.setattr(likeness, "traits", lambda _: people.assign(gender="x"))
    part = cu.part_lookalikes(today, "bought_often(5)", shop=shop)
    assert part.title == "‘bought_often(5)’ by country and first channel" and part.detail and "lookalikes" in part.lists
    rows = {tuple(row[:2]): row[2] for row in part.chart.table["rows"]}
    assert rows[("AT", "web")] == "<5" and rows[("DE", "app")] == "57" and len(rows) == 3
    assert rows[("DE", "web")] == f"{len(often) - 60:,}" and "&lt;5" in part.chart.wide and ">3<" not in part.chart.wide
    monkeypatch.setattr(likeness, "traits", lambda _: people[["customer_id", "country"]])
    alone = cu.part_lookalikes(today, "bought_often(5)", shop=shop)
    assert alone.chart is None and "lookalikes" in alone.lists


def page_of(shop, today, days=365):
    """The page as the notebook makes it."""
    at, then = cu.cuts(today), cu.earlier(shop, days=days)
    made, tested = cu.test(shop, days=90)
    found = cu.moves(then, today, at)
    parts = [
        cu.part_kinds(today, at, tested=tested, earlier=then, shop=shop),
        cu.part_moves(found, currency=shop.currency),
        cu.part_score(made, tested),
        cu.part_common(today, at, shop=shop),
        cu.part_grid(found),
        cu.part_cuts(at, currency=shop.currency),
        cu.part_list(today, at, made, shop=shop),
        cu.part_lookalikes(today, "" if today.few else "bought_often(5)", shop=shop),
        cu.part_ahead(shop, today, at),
    ]
    return cu.page(today, at, found, parts, shop=shop)


def test_the_page_holds_what_the_contract_names(shop, today):
    said = page_of(shop, today)
    ids = {metric.id for metric in said.metrics}
    assert ids == {"customers", "segments", "top_tenth_share", "moved_up", "moved_down", "score_auc", "recency_auc"}
    assert list(said.tables["segments"].columns) == [
        "segment",
        "rule",
        "customers",
        "revenue",
        "orders_later",
        "low",
        "high",
        "brought_later",
    ]
    assert list(said.tables["grid"].columns) == [
        "recency",
        "frequency",
        "customers",
        "revenue",
        "customers_before",
        "revenue_before",
    ]
    listed = said.lists["customers"]
    assert list(listed.columns[:4]) == ["customer_id", "segment", "stage", "score"]
    assert listed["customer_id"].is_unique and len(listed) == said["customers"].value == len(today.frame)
    assert said.tables["segments"]["customers"].sum() == len(today.frame)
    for name in ("orders_later", "brought_later"):
        later = said.tables["segments"].set_index("segment")[name]
        assert later["best"] > later["regular"] > later["repeat, gone quiet"]
    _, tested = cu.test(shop, days=90)
    orders = planted().assign(day=lambda t: t["ordered_at"].dt.normalize())
    orders = orders[
        orders["day"].between(pd.Timestamp(DAY) - pd.Timedelta(days=90), pd.Timestamp(DAY), inclusive="left")
    ]
    paid = tested.before.frame["customer_id"].map(orders.groupby("customer_id")["total"].sum()).fillna(0)
    of = cu.kinds(tested.before.frame, cu.cuts(today))
    assert later.to_dict() == pytest.approx(paid.groupby(of, observed=False).mean().to_dict())
    assert "were among the best have gone quiet." in said.headline and said.lists["lookalikes"]["customer_id"].is_unique


def test_a_shop_long_asleep_says_so(shop):
    late = crm.connect(shop.folder, as_of=DAY + timedelta(days=800))
    now = cu.profiles(late)
    at = cu.cuts(now)
    said = cu.page(
        now, at, cu.moves(cu.earlier(late, days=365), now, at), [cu.part_kinds(now, at, shop=late)], shop=late
    )
    assert said.headline.endswith("bought so far, the last of them two years ago: everybody has gone quiet.")


def test_five_customers_are_too_few(write_shop):
    rows = [{"order_id": str(i), "customer_id": f"c{i % 5}", "ordered_at": "2025-06-01", "total": 3} for i in range(9)]
    shop = crm.connect(write_shop(orders=rows), as_of=DAY)
    today = cu.profiles(shop)
    said = page_of(shop, today)
    assert said.status == "too_few" and said.headline == "Too few to conclude: 5 customers with orders."
    assert said.parts[0].chart.table["rows"] == [["at most 365 days", "5", "5"]] and not said.actions and not said.lists
    assert said.parts[0].sentence == "Kinds of customers can be told from 20 on."
    one = crm.connect(write_shop("one", orders=rows[:1]), as_of=DAY)
    assert page_of(one, cu.profiles(one)).headline == "Too few to conclude: 1 customer with orders."
    with pytest.raises(NotEnoughData, match="need 20 customers with orders; there are 0"):
        cu.profiles(
            crm.connect(write_shop("none", orders=[rows[0] | {"customer_id": ""}, rows[1]]), as_of="2025-06-01")
        )
    with pytest.raises(NotEnoughData, match="there are 5"):
        cu.profiles(shop, day=DAY)


def test_a_young_shop_has_kinds_and_says_what_is_missing(shop, today):
    young = replace(today)
    at = cu.cuts(young)
    found = cu.moves(None, young, at)
    assert found.table.empty and [metric.value for metric in cu.part_moves(found, currency="EUR").metrics] == [
        None,
        None,
    ]
    assert cu.part_score(None, None).metrics[0].value is None
    part = cu.part_kinds(young, at, tested=None, earlier=None, shop=shop)
    assert "not enough history" in part.certain[0]
    assert people.table(young, at, None, currency="EUR")["orders_later"].isna().all()
    assert "bring" in crm.customers.page(young, at, found, [part], shop=shop).headline


def test_new_ones_of_a_panel_that_has_just_begun_may_be_old(shop, today, monkeypatch):
    at = cu.cuts(today)
    for found, begins, told in (
        (cu.moves(cu.earlier(shop, days=365), today, at), DAY - timedelta(days=500), "1\N{NO-BREAK SPACE}January 2025"),
        (cu.moves(None, today, at), DAY - timedelta(days=at.quiet_days - 1), "1\N{NO-BREAK SPACE}January 2026"),
        (cu.moves(None, today, at), DAY - timedelta(days=at.quiet_days), ""), (cu.moves(None, today, at), None, ""),
    ):  # fmt: skip
        monkeypatch.setattr(pages, "since", lambda _shop, begins=begins: (begins, ""))
        said = [caveat.text for caveat in cu.page(today, at, found, [], shop=shop).caveats]
        want = f"First orders rush in when the data begins: ‘new’ customers of {told} may be old ones."
        assert (want in said) == bool(told) and sum("may be old" in text for text in said) == bool(told)


def test_kinds_in_ninety_days_go_by_how_people_just_moved():
    best, new, once = (list(rfm.KINDS).index(kind) for kind in (rfm.BEST, rfm.NEW, rfm.ONCE))
    before = pd.Series([best] * 10 + [new] * 4, index=range(14))
    now = pd.Series([best] * 8 + [new] * 2 + [once] * 4 + [new] * 6, index=range(20))
    value, _ = ahead.expect(before, now)
    # Of the best 8 in 10 stay and 2 in 10 are new; nobody else stays new; 6 come new, as did just now.
    assert value[best] == pytest.approx(8 * 0.8) and value[new] == pytest.approx(8 * 0.2 + 6)
    assert value.sum() == pytest.approx(20 + 6)


def test_what_was_said_of_kinds_is_graded_by_the_kinds_of_that_day(shop, tmp_path):
    then = crm.connect(shop.folder, as_of=DAY - timedelta(days=100))
    said = cu.part_ahead(then, (was := cu.profiles(then)), cu.cuts(was))
    assert {one.unit for one in said.predictions} >= {"best customers", "regular customers"}
    due = [Due(prediction=one, as_of=then.as_of, run_id="r") for one in said.predictions]
    at = cu.cuts(cu.profiles(shop))
    grades = cu.part_ahead(shop, cu.profiles(shop), at, due).grades
    ended = cu.profiles(shop, day=DAY - timedelta(days=10))
    counted = cu.kinds(ended.frame, cu.cuts(ended, quiet_days=at.quiet_days)).value_counts()
    assert [f"{one.due.prediction.unit.split()[0]} {one.actual:.0f}" for one in grades] == [
        f"{kind} {counted[kind]}" for kind in (one.unit.split()[0] for one in said.predictions)
    ]
    assert not cu.part_ahead(then, was, cu.cuts(was), due).grades, "their time is not over"


def test_a_segment_is_not_forecast_by_those_who_are_in_it_today(shop):
    only = crm.connect(shop.folder, as_of=DAY, segment="bought_often")
    found = cu.profiles(only)
    assert not cu.part_ahead(only, found, cu.cuts(found)).predictions


def test_a_year_before_that_is_not_whole_is_not_compared(shop, today):
    at = cu.cuts(today)
    then = cu.earlier(shop, days=365)
    young = replace(then, frame=then.frame.assign(known_days=then.frame["known_days"].clip(upper=180)))
    tops = [cu.part_kinds(today, at, earlier=one, shop=shop).metrics[-1] for one in (then, young)]
    assert tops[0].before is not None and tops[1].before is None and tops[1].against == ""


def test_one_customer_who_outweighs_the_best_is_said(today):
    at, best = cu.cuts(today), cu.kinds(today.frame, cu.cuts(today)) == "best"
    assert "alone" not in headline(today, at)
    top = today.frame.loc[best, "sales_year"].idxmax()
    rest = today.frame.loc[best, "sales_year"].drop(top).sum()
    frame = today.frame.assign(sales_year=today.frame["sales_year"].where(today.frame.index != top, rest))
    alone = rest / frame["sales_year"].sum()
    assert f", one of them {formats.share(alone)} alone" in headline(replace(today, frame=frame), at)


def test_most_who_dropped_may_be_single_orders_and_that_is_said(today):
    kind = pd.CategoricalDtype(list(rfm.KINDS), ordered=True)
    for once, said in ((60, True), (10, False)):
        # One order may have been large enough for the best: it is one all the same.
        rows = [("new", "one order only", once - 2, 9.0, 0.0, once - 2), ("best", "best, gone quiet", 2, 9.0, 0.0, 2),
                ("regular", "repeat, gone quiet", 20, 5.0, 2.0, 0)]  # fmt: skip
        table = pd.DataFrame(rows, columns=["before", "now", "customers", "sales_before", "sales_now", "once"])
        found = migration.Moves(
            DAY - timedelta(days=365), DAY, table.astype({"before": kind, "now": kind}), pd.DataFrame()
        )
        part = cu.part_moves(found, currency="EUR")
        assert part.changes[0].text.endswith("60 of them ordered once and not again.") == said
        half = cu.part_moves(replace(found, whole=False), currency="EUR")
        assert half.title == part.changes[0].text.rstrip(".") and not half.changes and "not compared" in half.sentence
        assert [metric.note for metric in part.metrics] == [
            found.since,
            "60 after a single order" if said else found.since,
        ]


def test_the_grid_begins_with_one_purchase_and_hides_few(today):
    grid = pd.DataFrame({"recency": ["31 to 60 days", "over 60 days", "at most 30 days"], "frequency": ["10+", "1", "2"],
                         "customers": [3, 60, 37], "revenue": 1.0, "customers_before": np.nan,
                         "revenue_before": np.nan})  # fmt: skip
    found = migration.Moves(DAY, DAY, pd.DataFrame(), grid)
    part = cu.part_grid(found)
    assert part.title == "60% of customers have been silent for over 60 days: they count as quiet"
    assert [row[:2] for row in part.chart.table["rows"]][:3] == [
        ["at most 30 days", "1"], ["at most 30 days", "2"], ["at most 30 days", "10+"]]  # fmt: skip
    assert "&lt;5" in part.chart.wide
    quiet = replace(found, grid=grid[grid["recency"] != "over 60 days"])
    assert cu.part_grid(quiet).title == "No customer has been silent for long"


def test_what_few_of_the_best_share_or_a_first_order_that_was_none_is_not_named(shop, today, monkeypatch):
    at = cu.cuts(today)
    best = cu.kinds(today.frame, at) == "best"
    traits = pd.DataFrame({"customer_id": today.frame["customer_id"], "country": "DE", "first_channel": "web"})
    few = traits.assign(country=np.where((best & (best.cumsum() <= 20)) | (today.frame.index < 3), "AT", "DE"))
    many = traits.assign(first_channel=np.where((best & (best.cumsum() <= 40)) | (today.frame.index < 3), "app", "web"))
    assert best.sum() >= 45
    for made, begins, title in ((few, None, ""), (many, None, "More of the best first ordered through app"),
                                (many, DAY, "")):  # fmt: skip
        monkeypatch.setattr(likeness, "traits", lambda _shop, made=made: made)
        monkeypatch.setattr(likeness, "since", lambda _shop, begins=begins: (begins, ""))
        assert cu.part_common(today, at, shop=shop).title == title
