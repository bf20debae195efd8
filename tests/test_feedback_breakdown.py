"""Products, groups and channels against the rest; causes of a rise; what is to be expected and how it is marked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import crmlib as crm
from crmlib.analysis import feedback
from crmlib.analysis.feedback import breakdown
from crmlib.analysis.feedback.breakdown import ANY
from crmlib.analysis.feedback.breakdown import groups as groups_of
from crmlib.analysis.feedback.breakdown import products as products_of
from crmlib.analysis.feedback.causes import causes as causes_of
from crmlib.analysis.feedback.predictions import ahead as ahead_of
from crmlib.analysis.feedback.predictions import grade, predictions
from crmlib.analysis.feedback.texts import Readings
from crmlib.analysis.feedback.themes import THEMES
from crmlib.analysis.feedback.trend import Trend
from crmlib.analysis.forecasts import count_band
from crmlib.findings import Due, Prediction
from crmlib.stats.shrinkage import shrunk

AS_OF = date(2026, 10, 1)


def _made(days: np.ndarray, themes: list[str], *, texts: list[str] | None = None, **columns: list[object]) -> Readings:
    """Readings of complaining texts, one theme each, by day."""
    n = len(days)
    base: dict[str, object] = {
        "feedback_id": [f"F{i:05d}" for i in range(n)], "customer_id": [f"C{i}" for i in range(n)], "product_id": None, "channel": None,
        "acquisition_channel": None, "country": None, "gender": None, "age": None, "created_at": days, "day": days, "rating": 1.0,
        "outcome": "read", "polarity": -0.5, "key": range(n), "answered": False, "mixed": False, "text": texts or [""] * n,
    }  # fmt: skip
    frame = pd.DataFrame(base | columns)
    mentions = pd.DataFrame({"row": range(n), "theme": themes, "polarity": -0.5, "complaint": True})
    return Readings(texts=frame, mentions=mentions, reader=feedback.Reader(), as_of=AS_OF)


# Products


def _shop(write_shop: Callable[..., Path]) -> crm.Shop:
    """Two hundred orders of each of six products, one of them a shirt that eleven customers find small."""
    orders, lines, texts = [], [], []
    for i in range(1200):
        product = f"P{i % 6}"
        day = (date(2026, 1, 1) + timedelta(days=i // 10)).isoformat()
        orders.append({"order_id": f"O{i}", "ordered_at": day, "customer_id": f"C{i}", "total": 10})
        lines += [
            {"order_id": f"O{i}", "product_id": product, "quantity": 1, "line_total": 10}
        ] * 2  # twice a line is one order
        said = None
        if (product == "P3" and i % 100 == 3) or (product == "P3" and i < 60):
            said = "Runs small, had to send it back."
        elif i % 50 == 0:
            said = "Too long for me."
        elif i % 7 == 0:
            said = "A lovely cup"
        if said:
            texts.append(
                {"feedback_id": f"F{i}", "text": said, "created_at": day, "customer_id": f"C{i}", "product_id": product, "rating": "",
                 "channel": "chat" if i % 2 else "mail"}
            )  # fmt: skip
    # One customer writes the same again and again: a writer counts once.
    texts += [
        {
            "feedback_id": f"X{i}",
            "text": "Runs small!",
            "created_at": "2026-02-01",
            "customer_id": "C9",
            "product_id": "P5",
        }
        for i in range(15)
    ]
    people = [
        {"customer_id": f"C{i}", "country": "DE" if i % 3 else "AT", "birth_date": f"{1950 + i % 50}-06-15"}
        for i in range(1200)
    ]
    products = [
        {"product_id": f"P{i}", "name": name}
        for i, name in enumerate(["Cup", "Pan", "Lid", "Linen shirt", "Mat", "Box"])
    ]
    return crm.connect(
        write_shop(orders=orders, order_lines=lines, feedback=texts, customers=people, products=products),
        as_of="2026-05-01",
    )


def _read(shop: crm.Shop) -> tuple[Readings, pd.DataFrame]:
    return feedback.score(shop, feedback.facts(shop), reader=feedback.Reader(), at_least=1), feedback.orders_by_day(
        shop
    )


def test_a_product_that_runs_small_is_named_and_counted_by_hand(write_shop: Callable[..., Path]) -> None:
    shop = _shop(write_shop)
    readings, orders = _read(shop)
    found = products_of(readings, shop, orders)
    row = found.frame[(found.frame["product_id"] == "P3") & (found.frame["theme"] == "fit")].iloc[0]
    raw = pd.read_csv(shop_folder(shop) / "feedback.csv")
    writers = raw[(raw["product_id"] == "P3") & raw["text"].str.contains("small")]["customer_id"].nunique()
    assert (row["orders"], row["complaints"], row["above"], row["runs"]) == (200, writers, True, "small")
    others = found.frame[(found.frame["theme"] == "fit") & (found.frame["product_id"] != "P3")]
    assert not others["above"].any()
    assert others.set_index("product_id").loc["P5", "complaints"] <= 5
    total = found.frame.loc[found.frame["theme"] == "fit", "complaints"].sum()
    assert row["p_value"] == pytest.approx(
        stats.binomtest(int(writers), int(total), 1 / 6, alternative="greater").pvalue
    )
    part = feedback.part_products(readings, shop, orders)
    assert part.title == "Linen shirt runs small" and part.actions[0].what == "Check Linen shirt: it runs small"
    assert part.sentence == (
        f"{writers} buyers said it runs small. That is about 65 in 1,000 orders; for other products it is 25.0. "
        "One wrote: ‘Runs small, had to send it back.’ One more case stands out."
    )
    assert row["rate"] < 1000 * writers / 200  # drawn towards the average


def shop_folder(shop: crm.Shop) -> Path:
    return Path(shop.folder)


def test_rates_are_drawn_in_by_gamma_and_poisson() -> None:
    """Planted: rates from a gamma law. Shrunk rates are nearer to the truth than plain ones, and their intervals hold in 92 to 98 %."""
    rng = np.random.default_rng(1)
    held, plain, drawn = [], 0.0, 0.0
    for _ in range(40):
        truth = rng.gamma(2.0, 1.5, 100)
        exposure = rng.uniform(0.2, 4.0, 100)
        counts = rng.poisson(truth * exposure).astype(float)
        rate, low, high = shrunk(counts, exposure)
        held.append((low <= truth) & (truth <= high))
        plain += ((counts / exposure - truth) ** 2).sum()
        drawn += ((rate - truth) ** 2).sum()
    assert 0.92 < np.mean(held) < 0.98
    assert drawn < 0.7 * plain


def test_alike_products_rarely_stand_out() -> None:
    """60 shops without a bad product, 120 products and seven themes: a product is named in at most 5 % of them, and noise."""
    rng, wrong = np.random.default_rng(2), 0
    sold = pd.DataFrame(
        {"product_id": [f"P{i}" for i in range(120)], "orders": np.round(np.geomspace(60, 4000, 120)).astype(int)}
    )
    share = (sold["orders"] / sold["orders"].sum()).to_numpy()
    for _ in range(60):
        value = rng.choice(sold["product_id"], 500, p=share)
        written = pd.DataFrame({"value": value, "author": range(500), "theme": rng.choice(THEMES, 500)})
        found, searched = breakdown._judged(breakdown._rates(sold, pd.concat([written, written.assign(theme=ANY)])))
        assert searched == 120 * 8
        wrong += found["above"].any()
    assert wrong <= 0.05 * 60 + 3 * np.sqrt(60 * 0.05 * 0.95)


def test_naive_comparison_of_products_falls_into_the_trap() -> None:
    """Without correction some product looks significantly bad in nearly every shop where all are alike."""
    rng, wrong = np.random.default_rng(3), 0
    sold = pd.DataFrame({"product_id": [f"P{i}" for i in range(120)], "orders": 1000})
    for _ in range(10):
        written = pd.DataFrame(
            {"value": rng.choice(sold["product_id"], 500), "author": range(500), "theme": rng.choice(THEMES, 500)}
        )
        wrong += (breakdown._rates(sold, written)["p_value"] < 0.05).any()
    assert wrong >= 9


# Groups and channels


def test_channels_are_compared_given_their_texts() -> None:
    days = np.repeat(np.datetime64("2026-09-01"), 400)
    channel = ["chat"] * 100 + ["review"] * 300
    themes = ["service"] * 40 + ["price"] * 60 + ["service"] * 30 + ["price"] * 270
    readings = _made(days, themes, channel=channel)
    everyone = pd.Series(True, index=readings.texts.index)
    found = breakdown.compared(readings, "channel", everyone, pd.Series({"chat": 100, "review": 300}), per="texts")
    row = found.set_index(["value", "theme"]).loc[("chat", "service")]
    both = stats.fisher_exact([[40, 60], [30, 270]], alternative="greater")[1]
    assert row["p_value"] == pytest.approx(min(1, 2 * both))
    assert row["ratio"] == pytest.approx(0.4 / 0.1) and row["rate"] == pytest.approx(400)


def test_the_channel_that_is_named_is_quoted(monkeypatch: pytest.MonkeyPatch, demo_shop: crm.Shop) -> None:
    """Of that channel and theme; where no text of it is clear enough, or where nothing differs, there is no quote."""
    n, words = 400, ["Chat never answered me."] * 40 + ["The bill was a shock."] * 60 + ["They hung up on me."] * 300
    themes = ["service"] * 40 + ["price"] * 60 + ["service"] * 30 + ["price"] * 270
    readings = _made(
        np.repeat(np.datetime64("2026-09-01"), n), themes, texts=words, channel=["chat"] * 100 + ["mail"] * 300
    )
    everyone = pd.Series(True, index=readings.texts.index)
    found = breakdown.compared(readings, "channel", everyone, pd.Series({"chat": 100, "mail": 300}), per="texts")
    named = (found["value"] == "chat") & (found["theme"] == "service")

    def said(differs: object, made: Readings = readings) -> str:
        table = found.assign(q_value=0.01, differs=np.where(named, differs, ""))
        monkeypatch.setattr(breakdown, "groups", lambda *_: breakdown.Groups(frame=table, searched=4))
        return feedback.part_groups(made, demo_shop, pd.DataFrame()).sentence

    assert said("more").endswith("One wrote: ‘Chat never answered me.’")
    unsure = Readings(
        texts=readings.texts.assign(rating=5.0), mentions=readings.mentions, reader=readings.reader, as_of=AS_OF
    )
    assert "One wrote" not in said("more", unsure) and "One wrote" not in said("")


def test_groups_without_a_difference_rarely_differ() -> None:
    """40 shops of two dimensions: some group is called different in at most 5 % of them, and noise."""
    from crmlib.stats import adjust

    rng, wrong = np.random.default_rng(4), 0
    exposure = {
        "country": pd.Series({"DE": 8000, "AT": 1500, "CH": 500}),
        "age": pd.Series({f"a{i}": 1500 for i in range(6)}),
    }
    for _ in range(40):
        themes = rng.choice(THEMES, 300).tolist()
        values = {
            name: rng.choice(size.index, 300, p=(size / size.sum()).to_numpy()).tolist()
            for name, size in exposure.items()
        }
        readings = _made(np.repeat(np.datetime64("2026-09-01"), 300), themes, **values)
        everyone = pd.Series(True, index=readings.texts.index)
        frames = [breakdown.compared(readings, name, everyone, size, per="orders") for name, size in exposure.items()]
        wrong += (adjust(pd.concat(frames)["p_value"], method="fdr_bh") <= 0.05).any()
    assert wrong <= 0.05 * 40 + 3 * np.sqrt(40 * 0.05 * 0.95)


def test_orders_by_group_are_counted_as_pandas_counts_them(write_shop: Callable[..., Path]) -> None:
    shop = _shop(write_shop)
    end = date(2026, 5, 1)
    people = pd.read_csv(shop_folder(shop) / "customers.csv", parse_dates=["birth_date"]).set_index("customer_id")
    orders = pd.read_csv(shop_folder(shop) / "orders.csv")
    country = shop.fetch(breakdown.group_orders(shop, "country", start=date(2026, 1, 1), end=end)).set_index("value")[
        "orders"
    ]
    assert country.to_dict() == orders["customer_id"].map(people["country"]).value_counts().to_dict()
    born = people["birth_date"].dt
    age = 2026 - born.year - ((born.month * 100 + born.day) > 501)
    band = pd.cut(
        age,
        [0, 25, 35, 45, 55, 65, 200],
        right=False,
        labels=["under 25", "25–34", "35–44", "45–54", "55–64", "65 and over"],
    )
    ours = shop.fetch(breakdown.group_orders(shop, "age", start=date(2026, 1, 1), end=end)).set_index("value")["orders"]
    theirs = orders["customer_id"].map(band.astype(str)).value_counts()
    assert ours.to_dict() == theirs[theirs > 0].to_dict()


def test_small_counts_of_people_are_not_told(write_shop: Callable[..., Path]) -> None:
    shop = _shop(write_shop)
    readings, orders = _read(shop)
    found = groups_of(readings, shop, orders)
    hidden = (found.frame["complaints"] > 0) & (found.frame["complaints"] < 5)
    assert hidden.any()
    part = feedback.part_groups(readings, shop, orders)
    file = part.tables["groups"]
    assert (file.loc[hidden, "complaints"] == "<5").all() and file.loc[hidden, ["rate", "ratio", "p_value"]].isna().all(
        axis=None
    )
    assert part.chart is not None
    counts = [row[3] for row in part.chart.table["rows"]]
    assert not any(text in ("1", "2", "3", "4") for text in counts)


# Causes


def test_the_word_behind_a_rise_is_named() -> None:
    weeks = 60
    rng = np.random.default_rng(6)
    days, texts = [], []
    for week in range(weeks):
        late = week >= weeks - 8
        for i in range(9 if late else 2):
            days.append(np.datetime64("2025-08-07") + 7 * week + int(rng.integers(7)))
            texts.append("The Parcelo driver lost it" if late and i < 6 else "Came late again")
    readings = _made(np.array(days).astype("datetime64[s]"), ["delivery"] * len(days), texts=texts)
    orders = pd.DataFrame({"day": pd.date_range("2025-08-07", "2026-09-30"), "orders": 60})
    trend = feedback.trend(readings, orders)
    when = {"start": trend.weeks["week"].iloc[0], "since": trend.since, "end": trend.end}
    cause = causes_of(readings, trend.rose, **when)
    assert [(one.theme, one.word) for one in cause] in (
        [("delivery", "Parcelo")],
        [("delivery", "driver")],
        [("delivery", "lost")],
    )
    assert cause[0].recent > 0.5 * cause[0].recent_all and cause[0].before == 0
    assert trend.causes == cause
    same = Readings(
        texts=readings.texts.assign(text="Came late again"),
        mentions=readings.mentions,
        reader=readings.reader,
        as_of=AS_OF,
    )
    assert causes_of(same, trend.rose, **when) == ()


# Ahead


def _daily(
    rng: np.random.Generator, *, rate: float, scatter: float = 1.0, days: int = 1000
) -> tuple[Readings, pd.DataFrame]:
    index = pd.date_range(end=pd.Timestamp(AS_OF) - pd.Timedelta(days=1), periods=days)
    mean = (
        np.full(days, rate)
        if scatter == 1
        else np.repeat(rng.gamma(7 * rate / (scatter - 1), (scatter - 1) / 7, days // 7 + 1), 7)[:days]
    )
    counts = rng.poisson(mean)
    when = np.repeat(index.to_numpy(), counts)
    return _made(when, ["delivery"] * len(when)), pd.DataFrame({"day": index, "orders": 100})


@pytest.mark.parametrize("scatter", [1.0, 4.0])
def test_bands_hold_what_comes(scatter: float) -> None:
    """40 shops, complaints at a steady daily rate, Poisson or scattered by week: the 30-day band holds in at least 90 % of them."""
    rng, held = np.random.default_rng(7), 0
    for _ in range(40):
        readings, orders = _daily(rng, rate=0.6, scatter=scatter)
        cut = np.datetime64(AS_OF - timedelta(days=30))
        past = readings.texts["day"].to_numpy() < cut
        known = Readings(
            texts=readings.texts[past].reset_index(drop=True), mentions=readings.mentions[past].reset_index(drop=True).assign(row=range(past.sum())),
            reader=readings.reader, as_of=AS_OF - timedelta(days=30),
        )  # fmt: skip
        trend = Trend(weeks=pd.DataFrame(), changes=pd.DataFrame(), recent_weeks=8)
        found = (
            ahead_of(known, orders[orders["day"] < cut], trend=trend)
            .frame.set_index(["theme", "horizon_days"])
            .loc[("delivery", 30)]
        )
        held += found["low"] <= (~past).sum() <= found["high"]
    assert held >= 36


def test_a_band_is_poissons_or_wider() -> None:
    assert count_band(10, scatter=1) == (stats.poisson.ppf(0.025, 10), stats.poisson.ppf(0.975, 10))
    low, high = count_band(10, scatter=3)
    draws = np.random.default_rng(0).negative_binomial(5, 1 / 3, 100_000)  # mean 10, variance 30
    assert (low, high) == pytest.approx(np.quantile(draws, (0.025, 0.975)), abs=1)
    assert count_band(0, scatter=1) == (0, 3)


def test_what_was_expected_is_marked_by_a_later_run() -> None:
    readings = _made(
        np.array(["2026-07-01", "2026-07-30", "2026-07-31", "2026-06-30"], dtype="datetime64[s]"),
        ["delivery"] * 3 + ["price"],
    )

    def due(theme: str, end: date) -> Due:
        said = Prediction(
            id=f"{theme}_complaints_30d",
            label="",
            unit="complaints",
            value=1,
            low=0,
            high=4,
            start=date(2026, 7, 1),
            end=end,
        )
        return Due(prediction=said, as_of=date(2026, 7, 1), run_id="r", lists=None)

    grades = grade(readings, [due("delivery", date(2026, 7, 31)), due("price", date(2026, 7, 31)), due("delivery", date(2027, 1, 1)),
                                       due("orders", date(2026, 7, 31))])  # fmt: skip
    assert [(grade.due.prediction.id, grade.actual) for grade in grades] == [
        ("delivery_complaints_30d", 2),
        ("price_complaints_30d", 0),
    ]


def test_predictions_are_whole_and_dated_ahead() -> None:
    readings, orders = _daily(np.random.default_rng(8), rate=0.5)
    trend = feedback.trend(readings, orders)
    said = predictions(ahead_of(readings, orders, trend=trend))
    assert {one.id for one in said} == {f"{theme}_complaints_{days}d" for theme in THEMES for days in (30, 90)}
    assert all(one.start == AS_OF and one.low <= one.value <= one.high for one in said)  # type: ignore[operator]
    short = feedback.part_ahead(*_daily(np.random.default_rng(8), rate=0.5, days=300), trend)
    assert short.tables["ahead"].empty and short.title == "We can't say how many complaints the next weeks bring"


# The demo shop's planted truth


def test_the_demo_shops_planted_product_and_channel_are_found(tmp_path: Path) -> None:
    """In a shop of full size: the mug runs small, chat carries service complaints, and at most one other pair is called out."""
    from crmlib.shop.samples import demo

    others = 0
    for seed in (4,):
        made = demo.simulate(seed=seed, dirty=False)
        folder = tmp_path / str(seed)
        folder.mkdir()
        for name in ("feedback", "customers", "orders", "order_lines", "products"):
            made.tables[name].to_csv(folder / f"{name}.csv", index=False)
        shop = crm.connect(folder, as_of="2026-10-01")
        readings, orders = _read(shop)
        planted = made.truth["reviews"]
        clear = products_of(readings, shop, orders).frame
        clear = clear[clear["above"]]
        mug = clear[(clear["name"] == planted["runs_small"]["product"]) & (clear["theme"] == "fit")]
        assert len(mug) == 1 and mug["runs"].iloc[0] == "small"
        others += (clear["name"] != planted["runs_small"]["product"]).sum()
        frame = groups_of(readings, shop, orders).frame
        differs = frame[frame["differs"] != ""]
        assert ((differs["value"] == planted["loud_channel"]["channel"]) & (differs["theme"] == "service")).any()
        others += (differs["dimension"] != "channel").sum()
    assert others <= 1


def _sizes(complaints: dict[str, int]) -> tuple[pd.DataFrame, int]:
    """Four sizes of one shirt and thirty other products of a thousand orders each; every other has four complaints."""
    ids = [*(f"S{i}" for i in range(4)), *(f"P{i}" for i in range(30))]
    sold = pd.DataFrame({"product_id": ids, "name": [f"Shirt {i}" if "S" in i else i for i in ids], "orders": 1000})
    rows = [(one, f"{one}-{i}", theme) for one in ids for i in range(complaints.get(one, 4)) for theme in ("fit", ANY)]
    written = pd.DataFrame(rows, columns=["value", "author", "theme"])
    kin = pd.DataFrame({"family_id": "S0+S1+S2+S3", "name": "Shirt"}, index=ids[:4])
    theirs = written.assign(value=written["value"].map(kin["family_id"]).fillna(written["value"]))
    found, searched = breakdown.with_families(sold, written, theirs, kin)
    return found[(found["theme"] == "fit") & found["above"]].set_index("product_id"), searched


def test_what_each_size_shows_too_little_of_its_family_shows() -> None:
    one_size, searched = _sizes({"S0": 40})
    assert one_size.index.tolist() == ["S0"] and searched == 2 * 35
    spread, _ = _sizes({f"S{i}": 10 for i in range(4)})
    assert spread.index.tolist() == ["S0+S1+S2+S3"] and spread["name"].tolist() == ["Shirt"]
    assert (spread["orders"].iloc[0], spread["complaints"].iloc[0]) == (4000, 40)
    quiet, _ = _sizes({})
    assert quiet.empty
