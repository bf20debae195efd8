"""Prices: six lines by hand, floors by plain pandas, planted elasticities found and naive ones shown wrong."""

import doctest
import importlib
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

import crmlib as crm
from crmlib.analysis.prices import facts
from crmlib.errors import NotAvailable, UsageError
from crmlib.shop.samples.demo import prices as planted
from tests.priced_shops import END, drawn, floors_of, worth

# The package has functions of these names.
advising, reading, pages, paying = (
    importlib.import_module(f"crmlib.analysis.prices.{name}") for name in ("advice", "history", "page", "willing")
)
SETTINGS = 'name = "Small"\ntimezone = "Europe/Berlin"\ncurrency = "EUR"\nas_of = 2026-10-01\n'
CAMPAIGN = '[[campaigns]]\nfrom = 2026-09-10\nto = 2026-09-12\nname = "Autumn"\n'


def order(number, day="2026-09-20", **more):
    return {"order_id": number, "ordered_at": day, "customer_id": f"c{number}"} | more


def line(number, product="p", quantity=1, line_total=10.0, **more):
    return {"order_id": number, "product_id": product, "quantity": quantity, "line_total": line_total} | more


@pytest.fixture
def small(write_shop):
    orders = [
        order("1", total=13.9, shipping=3.9, discount=0, coupon=""),
        order("2", total=18.0, shipping=0, discount=2, coupon="TEN"),
        order("3", total=9.0, discount=1, coupon="", shipping=0),  # the lines have lost it already
        order("4", total=10.0, refunded=10.0, refunded_at="2026-09-25", discount=0, coupon="", shipping=0),
        order("5", total=10.0, cancelled_at="2026-09-25", discount=0, coupon="", shipping=0),
        order("6", "2026-09-11", total=10.0, discount=0, coupon="", shipping=0),
    ]
    lines = [
        line("1"), line("2"), line("2", "q"), line("3", line_total=9.0, discount=1.0), line("4"), line("5"), line("6"),
        line("6", "q", quantity=-1, line_total=-10.0),
    ]  # fmt: skip
    products = [{"product_id": "p", "unit_cost": 9.2}, {"product_id": "q", "unit_cost": ""}]
    costs = [
        {"kind": "distribution", "amount": 3.0, "valid_from": "2025-01-01"},
        {"kind": "distribution", "amount": 1.5, "valid_from": "2026-01-01"},
        {"kind": "distribution", "amount": 0.5, "valid_from": "2026-01-01"},
        {"kind": "contact", "amount": 9.0, "valid_from": "2026-01-01"},
    ]
    return crm.connect(
        write_shop(orders=orders, order_lines=lines, products=products, costs=costs, toml=SETTINGS + CAMPAIGN)
    )


def test_lines_by_hand(small):
    """A coupon is shared out, one that the lines have lost is not; what was given back or cancelled is no price."""
    found = small.fetch(facts.lines(small)).sort_values(["order_id", "product_id"])
    assert found["order_id"].tolist() == ["1", "2", "2", "3", "6"]
    assert found["price"].round(4).tolist() == [10.0, 9.0, 9.0, 9.0, 10.0]
    assert found["reduced"].tolist() == [False, True, True, True, True]  # the last in a campaign
    assert found["cost"].fillna(0).tolist() == [9.2, 9.2, 0, 9.2, 9.2]
    # Two euros an order, less what was paid for shipping, by piece.
    assert found["delivery"].round(4).tolist() == [0.0, 1.0, 1.0, 2.0, 2.0]


def test_floors_by_hand(small):
    found = crm.prices.floors(small)
    (row,) = found.table[found.table["product_id"] == "p"].to_dict("records")
    assert row["pieces"] == 4 and row["price"] == pytest.approx(9.5) and row["floor"] == pytest.approx(9.2 + 5 / 4)
    assert found.costs["p"] == pytest.approx(row["floor"])  # the margin of other prices is after the same costs
    assert row["below"] == 3 and row["short"] == pytest.approx(1.2 + 2.2 + 1.2)
    assert found.under["product_id"].tolist() == ["p"]
    wanted = crm.prices.floors(small, margin=0.2).table.set_index("product_id")["floor"]
    assert wanted["p"] == pytest.approx((9.2 + 5 / 4) / 0.8) and np.isnan(wanted["q"])


@pytest.mark.parametrize("margin", [-0.1, 1.0])
def test_a_margin_is_a_share(small, margin):
    with pytest.raises(UsageError, match="share of the price"):
        crm.prices.floors(small, margin=margin)


def whole(shop, **more):
    """The page as the notebook makes it."""
    floors, found = crm.prices.floors(shop, **more), crm.prices.history(shop)
    slopes = crm.prices.slopes(found)
    advice = crm.prices.advise(found, slopes, floors)
    who = crm.prices.part_willing(crm.prices.willing(shop, found))
    parts = [crm.prices.part_advice(advice), crm.prices.part_floor(floors, advice), crm.prices.part_ladder(slopes), who,
             crm.prices.part_tests(advice), crm.prices.part_history(found)]  # fmt: skip
    return crm.prices.page(found, advice, parts)


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """A shop that writes its prices without tax, and the same with 19 % in them: orders name it, or shop.toml does."""
    rng, rows = np.random.default_rng(8), []
    for product, cost, prices in (("up", 4.0, (12, 10)), ("steep", 3.0, (8, 10)), ("under", 9.0, (9.5, 9.5))):
        for week in range(104):
            price = prices[week >= 52]
            for _ in range(rng.poisson(12 * (price / 10) ** (-0.3 if product == "up" else -4))):
                rows.append((product, cost, price, END - pd.Timedelta(days=int(728 - 7 * week - rng.integers(0, 7)))))
    lines = pd.DataFrame(rows, columns=["product_id", "cost", "unit_price", "ordered_at"])
    lines["order_id"], lines["quantity"] = [f"o{n}" for n in range(len(lines))], 1
    made = {}
    for name, times in (("net", 1.0), ("gross", 1.19), ("rate", 1.19)):
        folder = tmp_path_factory.mktemp(name)
        of = lines.assign(unit_price=lines["unit_price"] * times, shipping=0.5 * times)
        orders = of.assign(total=of["unit_price"] + of["shipping"], customer_id="c" + of["order_id"])
        orders = orders.assign(tax=orders["total"] * 0.19 / 1.19) if name == "gross" else orders
        orders.drop(columns=["product_id", "cost", "quantity", "unit_price"]).to_csv(folder / "orders.csv", index=False)
        of[["order_id", "product_id", "quantity", "unit_price"]].to_csv(folder / "order_lines.csv", index=False)
        costs = lines[["product_id", "cost"]].drop_duplicates().rename(columns={"cost": "unit_cost"})
        costs.to_csv(folder / "products.csv", index=False)
        pd.DataFrame([{"kind": "distribution", "amount": 1.5, "valid_from": "2024-01-01"}]).to_csv(
            folder / "costs.csv", index=False
        )
        tax = {"net": "prices_include_tax = false\n", "gross": "prices_include_tax = true\n"}.get(
            name, "prices_include_tax = true\ntax_rate = 0.19\n"
        )
        (folder / "shop.toml").write_text(SETTINGS + tax, encoding="utf-8")
        shop = crm.connect(folder)
        found, floors = crm.prices.history(shop), crm.prices.floors(shop)
        made[name] = crm.prices.advise(found, crm.prices.slopes(found), floors)
    return made


@pytest.mark.parametrize("name", ["gross", "rate"])
def test_prices_with_tax_get_the_advice_of_their_net_twins(twins, name):
    net, gross = (twins[one].table.set_index("product_id").sort_index() for one in ("net", name))
    assert net["advice"].to_dict() == {"up": "raise", "steep": "lower", "under": "drop"} == gross["advice"].to_dict()
    for money in ("worth", "worth_low", "worth_high", "yearly"):
        np.testing.assert_allclose(gross[money], net[money], rtol=0.005)
    for shelf in ("price", "floor", "shelf", "other", "tried"):
        np.testing.assert_allclose(gross[shelf], 1.19 * net[shelf], rtol=0.002)
    np.testing.assert_allclose(twins[name].floors.table["short"], twins["net"].floors.table["short"], rtol=1e-6)
    said = [pages.part_limits(twins[one]).caveats[-1].text for one in ("net", name)]
    assert said == ["Prices hold no tax; competitors' prices are unknown.",
                    "Prices are with tax, costs put up by it, and margins without; competitors' prices are unknown."]  # fmt: skip


def test_few_lines_are_too_few(small):
    page = whole(small)
    assert page.status == "too_few" and "Too few to conclude (n = 5 pieces" in page.headline
    assert len(page.parts[0].chart.table["rows"]) == 2 and page["identified"].value == 0


def test_what_a_shop_must_have(write_shop):
    lines = [line("1")]
    with pytest.raises(NotAvailable, match="needs orders;"):
        crm.prices.floors(crm.connect(write_shop("a", order_lines=lines), as_of="2026-10-01"))
    with pytest.raises(NotAvailable, match="money needs"):
        crm.prices.history(crm.connect(write_shop("b", orders=[order("1")], order_lines=[{"order_id": "1", "product_id": "p",
                                                                                         "quantity": 1}]), as_of="2026-10-01"))  # fmt: skip


def weeks_of(*prices, lines=9, reduced=()):
    """Counts of one product, the oldest week first."""
    size = len(prices)
    return pd.DataFrame({"product_id": "a", "week": range(size - 1, -1, -1), "cents": np.round(np.array(prices) * 100).astype(int),
                         "reduced": np.isin(np.arange(size), reduced), "lines": lines, "pieces": float(lines),
                         "money": lines * np.array(prices)})  # fmt: skip


def read(counts):
    return reading.read(counts, counts[["product_id"]].drop_duplicates(), as_of=END)


def test_a_lasting_price_is_told_from_a_promotion():
    """Three weeks lower and back, and a discounted week, are promotions; a new price that stays is a step, on its day."""
    found = read(weeks_of(*[10] * 8, *[8] * 3, *[10] * 8, *[12] * 6, 9.6, *[12] * 4, reduced=[25]))
    assert found.levels["price"].tolist() == [10.0, 12.0]
    assert found.steps[["day", "before", "after"]].values.tolist() == [[date(2026, 7, 16), 10.0, 12.0]]
    assert found.weeks.loc[found.weeks["promotion"], "week"].tolist() == [21, 20, 19, 4]
    assert found.products["moved"].tolist() == ["moved"] and found.products["shelf"].tolist() == [12.0]


def test_promotions_stand_beside_each_product_in_the_history():
    promoted = weeks_of(*[10] * 12, *[8] * 3, *[10] * 15).assign(product_id="b")
    both = read(
        pd.concat(
            [weeks_of(*[10] * 8, *[8] * 3, *[10] * 8, *[12] * 6), promoted, weeks_of(*[5] * 30).assign(product_id="c")]
        )
    )
    part = crm.prices.part_history(both)
    assert part.title == "1 lasting new price of 1 product"
    assert [(row[0], *row[2:]) for row in part.chart.table["rows"]] == [
        ("a", "10.00", "12.00", "3"),
        ("b", "–", "–", "3"),
    ]
    alone = crm.prices.part_history(read(promoted))
    assert alone.title == "No price moved for good" and [row[0] for row in alone.chart.table["rows"]] == ["b"]
    never = crm.prices.part_history(read(weeks_of(*[5] * 30)))
    assert never.chart is None and never.sentence == "A price lasts from four weeks on."


@pytest.mark.parametrize(
    ("counts", "moved"),
    [
        (weeks_of(*[10] * 30), "never moved"),
        (weeks_of(*[10] * 12, *[8] * 2, *[10] * 6, *[8] * 3, *[10] * 7), "moved in promotions only"),
        (weeks_of(*[10] * 20, *[12] * 4, lines=5), "too few pieces at two prices"),
        (weeks_of(*[10] * 15, *[10.2] * 15), "never moved"),  # two per cent are no other price
    ],
)
def test_why_an_elasticity_is_not_claimed(counts, moved):
    found = read(counts)
    assert found.products["moved"].tolist() == [moved] and crm.prices.slopes(found).table.empty


def test_weeks_without_a_sale_count_as_zeros_and_winter_goods_are_not_on_sale_in_summer():
    counts = weeks_of(*[10] * 40)
    assert read(counts[~counts["week"].between(10, 11)]).weeks["pieces"].tolist().count(0.0) == 2
    assert 0.0 not in read(counts[~counts["week"].between(10, 30)]).weeks["pieces"].tolist()


@pytest.fixture(scope="module")
def simulated():
    """Three shops with what was planted: history, slopes, advice, truth."""
    made = []
    for seed in (1, 2, 3):
        counts, truth = drawn(seed)
        found = read(counts)
        slopes = crm.prices.slopes(found)
        made.append((found, slopes, crm.prices.advise(found, slopes, floors_of(counts, truth)), truth))
    return made


def test_planted_elasticities_lie_inside_and_the_naive_slope_does_not(simulated):
    inside, own, naive = [], [], 0
    for _, slopes, _, truth in simulated:
        both = slopes.table.merge(truth[["product_id", "elasticity"]], on="product_id", suffixes=("", "_true"))
        inside += both["elasticity_true"].between(both["low"], both["high"]).tolist()
        own += both["elasticity_true"].between(both["own_low"], both["own_high"]).tolist()
        ladder, true = slopes.ladder.set_index("rung"), both["elasticity_true"].mean()
        assert ladder["low"].iloc[-1] < true < ladder["high"].iloc[-1]
        # Promotions sell more than their price explains: within products alone the slope is far too steep.
        assert ladder["high"].iloc[1] < true - 1
        naive += not ladder["low"].iloc[0] < true < ladder["high"].iloc[0]
    assert np.mean(inside) >= 0.9 and np.mean(own) >= 0.85 and naive >= 2


@pytest.mark.slow
def test_over_twenty_shops_the_naive_slopes_are_shown_wrong_and_the_last_rung_is_right():
    naive, within, last, inside = 0, 0, 0, []
    for seed in range(1, 21):
        counts, truth = drawn(seed)
        slopes = crm.prices.slopes(read(counts))
        each = truth.set_index("product_id").loc[slopes.table["product_id"], "elasticity"].to_numpy()
        inside.append(((slopes.table["low"] <= each) & (each <= slopes.table["high"])).mean())
        true = each.mean()
        holds = [low <= true <= high for low, high in slopes.ladder[["low", "high"]].to_numpy()]
        naive, within, last = naive + (not holds[0]), within + (not holds[1]), last + holds[-1]
    assert min(naive, within, last) >= 17
    assert np.mean(inside) >= 0.93 and sum(share >= 0.85 for share in inside) >= 17


def test_what_is_sold_in_a_part_of_the_year_gets_no_test_and_no_other_price():
    """The same product, once all year and once before Christmas only: a test of the first alone."""
    all_year = weeks_of(*[10] * 110, lines=40)
    winter = all_year[all_year["week"] % 52 < 12].assign(product_id="winter")
    moved = weeks_of(*[10] * 55, *[12] * 55, lines=40).query("week % 52 < 12").assign(product_id="moved")
    counts = pd.concat([all_year, winter, moved])
    truth = pd.DataFrame({"product_id": ["a", "winter", "moved"], "cost": 5.0})
    found = read(counts)
    assert found.part_year == ["moved", "winter"]
    slopes = crm.prices.Slopes(
        ladder=pd.DataFrame(), together=(), wander=0.0, table=pd.DataFrame(
            {"product_id": ["moved"], "own": -0.1, "error": 0.01, "own_low": 0, "own_high": 0, "elasticity": -0.1,
             "low": -0.2, "high": 0.0}),
    )  # fmt: skip
    advice = crm.prices.advise(found, slopes, floors_of(counts, truth))
    assert advice.table.set_index("product_id")["advice"].to_dict() == {"a": "test", "winter": "keep", "moved": "keep"}
    said = crm.prices.part_tests(advice).sentence
    assert said.endswith(("left out: moved and winter.", "left out: winter and moved."))


def test_the_gain_of_another_price_counts_what_the_floor_counts(simulated):
    """A euro more to send a piece takes a euro times the pieces sold more from the gain."""
    found, slopes, advice, truth = simulated[0]
    counts, _ = drawn(1)
    dearer = crm.prices.advise(found, slopes, floors_of(counts, truth.assign(cost=truth["cost"] + 1)))
    both = advice.table.merge(dearer.table, on=["product_id", "tried"], suffixes=("", "_then")).dropna(subset="worth")
    both = both.merge(slopes.table.query("own < 0")[["product_id"]], on="product_id")
    assert len(both) > 5
    change = both["worth_then"] - both["worth"]
    assert (np.sign(change) == np.sign(both["tried"] - both["shelf"])).all()  # fewer pieces are sent at a higher price


@pytest.mark.parametrize(
    ("naive", "said"),
    [
        (-2.1, "Naively it is 2.1% less, too near to tell apart."),
        (-1.1, "Here a naive comparison says the same."),
        (0.4, "Whoever compares naively gets 0.4% more."),
    ],
)
def test_the_ladder_says_no_more_than_its_range(simulated, naive, said):
    rows = pd.DataFrame({"rung": ["All products together", "Without season"], "elasticity": [naive, -1.1],
                         "low": [-3.2, -2.3], "high": [-1.0, 0.0], "n": [9, 9]})  # fmt: skip
    assert crm.prices.part_ladder(replace(simulated[0][1], ladder=rows)).sentence == said


def test_no_advice_outside_tried_prices_and_what_is_advised_is_better(simulated):
    for found, _, advice, truth in simulated:
        moves = advice.table[advice.table["advice"].isin(["raise", "lower"])]
        for _, row in moves.iterrows():
            tried = found.levels.loc[found.levels["product_id"] == row["product_id"], "price"]
            assert row["other"] in tried.tolist() and worth(row, truth) > 0
        assert advice.table.loc[~advice.table["identified"], "worth"].isna().all()


@pytest.mark.parametrize("seed", [1002, 1003, 1004])
def test_where_no_price_pays_none_is_advised(seed):
    counts, truth = drawn(seed, null=True)
    found = read(counts)
    advice = crm.prices.advise(found, crm.prices.slopes(found), floors_of(counts, truth))
    assert not advice.table["advice"].isin(["raise", "lower"]).any()
    assert pages.headline(advice).startswith(
        f"Of the {advice.table['identified'].sum()} prices that moved, not one is known"
    )


def test_a_shop_whose_prices_never_moved_gets_no_elasticity():
    counts, truth = drawn(5, moves=False, products=12)
    found = read(counts)
    slopes = crm.prices.slopes(found)
    advice = crm.prices.advise(found, slopes, floors_of(counts, truth))
    assert slopes.table.empty and slopes.ladder.empty and not advice.table["identified"].any()
    assert pages.headline(advice) == f"Whether prices are right is not known: {len(found.products)} prices never moved."
    tests = advice.of("test")
    assert (tests["days"] % 7 == 0).all() and np.allclose(tests["other"], 1.1 * tests["shelf"])


def test_prices_that_all_moved_at_once_are_not_told_from_the_season():
    counts = pd.concat([weeks_of(*[10] * 30, *[12] * 30, lines=n).assign(product_id=f"p{n}") for n in range(20, 32)])
    slopes = crm.prices.slopes(read(counts))
    assert len(slopes.together) == 12 and slopes.table.empty


def kinds_of(rng, effect):
    """Lines of two kinds of customers at two prices of eight products; 'b' stays away from the dear one by `effect`."""
    rows, weeks = [], []
    for number, name in enumerate([*(f"p{n}" for n in range(8)), ""]):
        for week in range(60):
            dear = (week < 30) == (number % 2 == 0)
            for value, size in (("a", 12.0), ("b", 4.0 + 0.05 * week)):  # b becomes rarer, whatever the price
                size *= 8 if name == "" else 1
                size *= np.exp(effect * np.log(1.2)) if value == "b" and dear and name else 1
                rows.append((name, week, value, rng.poisson(size)))
            weeks.append((name, week, 12.0 if dear else 10.0, False))
    return pd.DataFrame(rows, columns=["product_id", "week", "value", "lines"]), pd.DataFrame(
        weeks, columns=["product_id", "week", "base", "promotion"]
    ).query("product_id != ''")


def test_who_minds_a_dearer_price_is_found_and_who_only_became_rarer_is_not():
    rng, wrong = np.random.default_rng(4), 0
    counts, weeks = kinds_of(rng, -2.5)
    found = paying.compare({"buyer": counts}, weeks)
    assert found.table.set_index("value")["stands"].to_dict() == {"a": 1, "b": -1}
    part = crm.prices.part_willing(found)
    assert part.title == "Buyer: a customers mind higher prices less than others" and not part.detail
    for _ in range(40):
        counts, weeks = kinds_of(rng, 0.0)
        null = paying.compare({"buyer": counts}, weeks)
        wrong += bool(null.table["stands"].any())
    assert wrong <= 5
    assert crm.prices.part_willing(null).detail


def test_the_shops_own_segments_are_asked_whether_they_mind_too(tmp_path):
    """Who is in the club buys on when a price rises, the others less; a segment of what people did is not asked."""
    rng, rows = np.random.default_rng(5), []
    for week in range(60):
        for product in (*"abcdefgh", "steady", "still"):
            dear = len(product) == 1 and (week < 30) == (product in "aceg")
            for club in (True, False):
                for _ in range(rng.poisson(6 * (0.3 if dear and not club else 1))):
                    rows.append((product, 12.0 if dear else 10.0, END - pd.Timedelta(days=420 - 7 * week), club))
    lines = pd.DataFrame(rows, columns=["product_id", "unit_price", "ordered_at", "club"])
    lines["order_id"], lines["quantity"] = [f"o{n}" for n in range(len(lines))], 1
    lines["customer_id"] = [f"{'k' if club else 'x'}{n % 700}" for n, club in enumerate(lines["club"])]
    lines[["order_id", "ordered_at", "customer_id"]].assign(total=lines["unit_price"]).to_csv(
        tmp_path / "orders.csv", index=False
    )
    lines[["order_id", "product_id", "quantity", "unit_price"]].to_csv(tmp_path / "order_lines.csv", index=False)
    people = lines[["customer_id", "club"]].drop_duplicates().assign(club=lambda t: np.where(t["club"], "yes", "no"))
    people.to_csv(tmp_path / "customers.csv", index=False)
    (tmp_path / "shop.toml").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "segments.toml").write_text("club = 'club == \"yes\"'\nbusy = 'bought_often'\n", encoding="utf-8")
    shop = crm.connect(tmp_path)
    table = crm.prices.willing(shop, crm.prices.history(shop)).table
    own = table[table["kind"] == "segment club"].set_index("value")
    assert own["stands"].to_dict() == {"in it": 1, "others": -1} and "segment busy" not in set(table["kind"])
    moved = lines[lines["product_id"].isin(list("abcdefgh"))]
    assert own["lines"].to_dict() == {"in it": moved["club"].sum(), "others": (~moved["club"]).sum()}


def advice_of(rows, under=0):
    table = pd.DataFrame(rows, columns=["product_id", "advice"]).assign(
        name=lambda t: t["product_id"],
        identified=True,
        moved="moved",
        part_year=False,
        shelf=10.0,
        worth=5.0,
        yearly=9.0,
        other=11.0,
    )
    floor = pd.DataFrame(
        {"product_id": [f"u{n}" for n in range(under)], "price": 1.0, "floor": 2.0, "short": 1.0, "pieces": 1.0}
    )
    floors = advising.Floors(table=floor, before=floor, costs=pd.Series(dtype=float), margin=0.0, currency="EUR")
    return advising.Advice(table=table, floors=floors, compared=3, as_of=END, currency="EUR")


@pytest.mark.parametrize(
    ("advice", "said"),
    [
        (advice_of([("a", "raise")]), "Raising one price would probably earn more."),
        (advice_of([("a", "raise"), ("b", "raise"), ("c", "lower")], under=1),
         "Raising two prices and lowering one would probably earn more; one product sells below its floor."),
        (advice_of([("a", "keep")], under=2), "Two products sell below their floor."),
        (advice_of([("a", "keep")]), "Of the one price that moved, not one is known to earn more elsewhere: keep them."),
    ],
)  # fmt: skip
def test_headlines_for_none_one_and_many(advice, said):
    assert pages.headline(advice) == said and len(said.split()) <= 20


@pytest.fixture(scope="module")
def shop(demo_in_place):
    return crm.connect(demo_in_place)


@pytest.mark.slow
def test_the_demo_shops_page(shop, demo_in_place):
    """What was planted is found, and five numbers of the page are those of the files."""
    page = whole(shop)
    assert (
        page.headline
        == "Raising one price and lowering one would probably earn more; one product sells below its floor."
    )
    table = page.tables["prices"].set_index("product")
    assert table.loc[["Ethiopia Yirgacheffe 250 g", "Sencha Uji 100 g", planted.COSTLY], "advice"].tolist() == [
        "raise", "lower", "drop"
    ]  # fmt: skip
    assert set(table.index[table["identified"]]) == set(planted.MOVED)
    true = pd.Series({name: slope for name, (slope, _) in planted.MOVED.items()})
    assert true.between(table["low"].reindex(true.index), table["high"].reindex(true.index)).sum() >= 13
    files = {
        name: pd.read_csv(demo_in_place / f"{name}.csv", dtype=str) for name in ("orders", "order_lines", "products")
    }
    orders = files["orders"].drop_duplicates("order_id")
    day = pd.to_datetime(orders["ordered_at"], errors="coerce")
    kept = orders[(day >= "2026-07-03") & (day < "2026-10-01") & ~orders["status"].isin(["cancelled", "refunded"])]
    lines = files["order_lines"].merge(kept, on="order_id", suffixes=("", "_order"))
    number = {
        name: pd.to_numeric(lines[name].str.replace(",", "."), errors="coerce")
        for name in ("quantity", "line_total", "discount_order")
    }
    goods = (
        pd.to_numeric(files["order_lines"]["line_total"].str.replace(",", "."), errors="coerce")
        .groupby(files["order_lines"]["order_id"])
        .sum()
    )
    paid = number["line_total"] * (1 - number["discount_order"] / lines["order_id"].map(goods))
    ids = files["products"].set_index("name")["product_id"]
    for name in (
        "Sencha Uji 100 g",
        "Ethiopia Yirgacheffe 250 g",
        planted.COSTLY,
        "Kenya AA 250 g",
        "Lemon Curd 320 g",
    ):
        own = (lines["product_id"] == ids[name]) & (number["quantity"] > 0)
        assert paid[own].sum() / number["quantity"][own].sum() == pytest.approx(table.loc[name, "price"], rel=2e-3)


@pytest.mark.parametrize("name", ["facts", "history", "slopes", "advice", "willing"])
def test_examples_run(name, demo_shop):
    module = importlib.import_module(f"crmlib.analysis.prices.{name}")
    public = {each: getattr(crm.prices, each) for each in crm.prices.__all__}
    found = doctest.testmod(module, extraglobs=public | {"store": demo_shop})
    assert not found.failed and (found.attempted or name == "facts")
