"""The works that are measured: the same data in, the same answer out, ours and what a user would pick instead.

Each side is `side(folder, warm)`: with `warm` it only imports what it needs.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

Side = Callable[..., float | None]  # seconds where a side has measured only its own part
ROOT = Path(__file__).resolve().parents[2]
AS_OF = "2026-10-01"


@dataclass(frozen=True, kw_only=True)
class Work:
    """`sizes` are counted in `unit`; `prepare(folder, size)` makes the data once; `needs` is what the other side imports
    and the project does not install."""

    what: str
    unit: str
    beside_what: str
    sizes: tuple[int, int, int]
    prepare: Callable[[Path, int], None]
    ours: Side
    beside: Side
    needs: str = ""


# Rules from order lines.


def _journey_lines(folder: Path, size: int) -> None:
    from crmlib.shop.samples import complete_journey

    complete_journey.make(folder / "shop")
    lines = pd.read_parquet(folder / "shop" / "order_lines.parquet", columns=["order_id", "product_id", "quantity"])
    keep = lines["order_id"].drop_duplicates().iloc[:size]
    lines[lines["order_id"].isin(keep)].to_parquet(folder / "lines.parquet", index=False)
    _only_lines(folder)


def _simulated_lines(folder: Path, size: int) -> None:
    rng = np.random.default_rng(1)
    popularity = 1 / np.arange(1, 2001) ** 0.9
    count = 1 + rng.poisson(3.0, size)
    lines = pd.DataFrame(
        {
            "order_id": np.repeat(np.arange(size), count),
            "product_id": rng.choice(2000, size=count.sum(), p=popularity / popularity.sum()),
        }
    ).drop_duplicates()
    # Pairs that belong together, so that there are rules to find.
    for pair in range(50):
        has = lines.loc[lines["product_id"] == 2 * pair, "order_id"]
        more = pd.DataFrame({"order_id": has[rng.random(len(has)) < 0.3], "product_id": 2 * pair + 1})
        lines = pd.concat([lines, more])
    lines = lines.drop_duplicates().astype("string").assign(quantity=1)
    lines.to_parquet(folder / "lines.parquet", index=False)
    _only_lines(folder)


def _only_lines(folder: Path) -> None:
    shop = folder / "only_lines"
    shop.mkdir(exist_ok=True)
    (shop / "order_lines.parquet").unlink(missing_ok=True)
    (folder / "lines.parquet").rename(shop / "order_lines.parquet")


def _support(folder: Path) -> float:
    size = int(folder.name.rpartition("-")[2])
    return max(0.001 if "journey" in folder.name else 0.002, 5 / size)


def _rules_ours(folder: Path, *, warm: bool) -> None:
    import crmlib as crm
    from crmlib.analysis.baskets import mining

    if warm:
        return
    store = crm.connect(folder / "only_lines", as_of="2030-01-01")
    baskets = crm.baskets.facts(store, level="product", min_support=_support(folder))
    least = crm.baskets.minimum_count(_support(folder), baskets.n)
    found = mining.frequent_itemsets(baskets.held, least=least, max_items=3)
    rules = mining.splits(found)
    rules = rules[mining.confident(rules["count"], rules["count_a"], least=0.05)]
    print(len(mining.measures(rules, found)))


def _rules_beside(folder: Path, *, warm: bool) -> None:
    from mlxtend.frequent_patterns import association_rules, fpgrowth
    from mlxtend.preprocessing import TransactionEncoder

    if warm:
        return
    lines = pd.read_parquet(folder / "only_lines" / "order_lines.parquet")
    lines = lines[lines["quantity"] > 0]
    baskets = lines.groupby("order_id")["product_id"].agg(lambda items: sorted(set(items))).tolist()
    encoder = TransactionEncoder()
    table = encoder.fit_transform(baskets, sparse=True)
    frame = pd.DataFrame.sparse.from_spmatrix(table, columns=encoder.columns_)
    found = fpgrowth(frame, min_support=_support(folder), max_len=3, use_colnames=True)
    print(len(association_rules(found, metric="confidence", min_threshold=0.05)))


def _mined_ours(folder: Path, *, warm: bool) -> float | None:
    import crmlib as crm
    from crmlib.analysis.baskets import mining

    if warm:
        return None
    store = crm.connect(folder / "only_lines", as_of="2030-01-01")
    baskets = crm.baskets.facts(store, level="product", min_support=_support(folder))
    least = crm.baskets.minimum_count(_support(folder), baskets.n)
    started = time.perf_counter()
    found = mining.frequent_itemsets(baskets.held, least=least, max_items=3)
    rules = mining.splits(found)
    print(len(rules[mining.confident(rules["count"], rules["count_a"], least=0.05)]))
    return time.perf_counter() - started


def _mined_beside(folder: Path, *, warm: bool) -> float | None:
    import rusket

    if warm:
        return None
    lines = pd.read_parquet(folder / "only_lines" / "order_lines.parquet")
    table = rusket.from_transactions(lines[lines["quantity"] > 0], transaction_col="order_id", item_col="product_id")
    started = time.perf_counter()
    found = rusket.fpgrowth(table, min_support=_support(folder), max_len=3, use_colnames=True)
    print(len(rusket.association_rules(found, metric="confidence", min_threshold=0.05)))
    return time.perf_counter() - started


# Customer history, fit and score.


def _customers(folder: Path, size: int) -> None:
    rng = np.random.default_rng(2)
    start = np.datetime64("2024-01-01")
    first = rng.integers(0, 900, size)
    rate = rng.gamma(0.6, 1 / 40, size)
    ends = first + rng.exponential(400, size)
    count = rng.poisson(rate * np.minimum(ends - first, 1000 - first))
    who = np.repeat(np.arange(size), count)
    until = np.minimum(ends, 1000)[who]
    day = np.floor(first[who] + rng.random(len(who)) * (until - first[who])).astype(int)
    who, day = np.concatenate([np.arange(size), who]), np.concatenate([first, day])
    orders = pd.DataFrame(
        {
            "order_id": np.arange(len(who)).astype(str),
            "ordered_at": (start + day).astype("datetime64[s]"),
            "customer_id": who.astype(str),
            "total": np.round(np.exp(rng.normal(3.5, 0.5, len(who))), 2),
        }
    )
    orders.to_parquet(folder / "orders.parquet", index=False)


def _history_ours(folder: Path, *, warm: bool) -> None:
    import crmlib as crm
    from crmlib.shop import facts

    clv = crm.lifetime_value
    if warm:
        return
    store = crm.connect(folder, as_of="2026-10-01")
    people = store.fetch(facts.customer_history(store, until=store.as_of), max_rows=20_000_000)
    groups = people.groupby(["frequency", "recency_days", "t_days"], sort=True)
    patterns = groups.size().rename("customers").reset_index()
    model = clv.fit(patterns, time_unit="day", until=store.as_of)
    low, high = model.limits(patterns, days=90)
    scored = pd.DataFrame(
        {
            "expected": model.expected(patterns, days=90),
            "none": model.p_none(patterns, days=90),
            "low": low,
            "high": high,
        }
    )
    print(len(people.assign(**scored.iloc[groups.ngroup().to_numpy()].reset_index(drop=True))))


def _history_beside(folder: Path, *, warm: bool) -> None:
    import lifetimes
    from lifetimes.utils import summary_data_from_transaction_data

    if warm:
        return
    orders = pd.read_parquet(folder / "orders.parquet")
    summary = summary_data_from_transaction_data(
        orders, "customer_id", "ordered_at", observation_period_end="2026-09-30"
    )
    model = lifetimes.BetaGeoFitter()
    model.fit(summary["frequency"], summary["recency"], summary["T"])
    args = (summary["frequency"], summary["recency"], summary["T"])
    summary["expected"] = model.conditional_expected_number_of_purchases_up_to_time(90, *args)
    summary["alive"] = model.conditional_probability_alive(*args)
    print(len(summary))


# Kinds of customers.


def _kinds_ours(folder: Path, *, warm: bool) -> None:
    import crmlib as crm
    from crmlib.analysis.customers import kinds

    if warm:
        return
    found = crm.customers.profiles(crm.connect(folder, as_of=AS_OF))
    print(kinds(found.frame, crm.customers.cuts(found)).value_counts().to_dict())


def _kinds_beside(folder: Path, *, warm: bool) -> None:
    import ibis
    from openretailscience.segmentation.rfm import RFMSegmentation

    if warm:
        return
    orders = ibis.duckdb.connect().read_parquet(folder / "orders.parquet")
    named = orders.rename(transaction_id="order_id", transaction_date="ordered_at", unit_spend="total")
    print(len(RFMSegmentation(named, current_date=AS_OF).df))


# Sentiment.


def _reviews(folder: Path, size: int) -> None:
    from crmlib.shop.samples import demo

    texts = demo.simulate(customers=min(size, 2_000), dirty=False).tables["feedback"]["text"]
    rng = np.random.default_rng(3)
    feedback = pd.DataFrame(
        {
            "feedback_id": np.arange(size).astype(str),
            "text": texts.iloc[rng.integers(0, len(texts), size)].to_numpy(),
        }
    )
    # Two in three are written once only, as they are in life.
    once = rng.random(size) < 0.66
    feedback.loc[once, "text"] += (
        " " + pd.Series(rng.integers(0, 10**9, once.sum()).astype(str)).radd("no. ").to_numpy()
    )
    feedback.to_parquet(folder / "feedback.parquet", index=False)


def _polarity_ours(folder: Path, *, warm: bool) -> None:
    from crmlib.analysis.feedback.moods import textblob

    if warm:
        textblob("A warm word.")
        return
    texts = pd.read_parquet(folder / "feedback.parquet")["text"]
    scored = {text: textblob(text) for text in texts.unique()}
    print(round(float(texts.map(scored).sum()), 6))


def _polarity_beside(folder: Path, *, warm: bool) -> None:
    from textblob import TextBlob

    if warm:
        print(TextBlob("A warm word.").sentiment)
        return
    texts = pd.read_parquet(folder / "feedback.parquet")["text"]
    print(round(float(texts.map(lambda text: TextBlob(text).sentiment.polarity).sum()), 6))


# Experiments.


def _experiment(folder: Path, size: int) -> None:
    rng = np.random.default_rng(4)
    units = np.arange(size // 2)
    assigned = pd.DataFrame(
        {
            "experiment": "price",
            "unit_id": units.astype(str),
            "variant": np.where(rng.random(len(units)) < 0.5, "control", "treatment"),
            "assigned_at": np.datetime64("2026-06-01T00:00:00")
            + rng.integers(0, 30 * 86400, len(units)).astype("timedelta64[s]"),
        }
    )
    assigned.to_parquet(folder / "assignments.parquet", index=False)
    outcomes = [
        pd.DataFrame(
            {
                "experiment": "price",
                "unit_id": assigned["unit_id"],
                "metric": metric,
                "value": value.round(2),
                "observed_at": assigned["assigned_at"] + pd.Timedelta(days=14),
                "pre_value": before.round(2),
            }
        )
        for metric, value, before in (
            ("converted", (rng.random(len(units)) < 0.1).astype(float), (rng.random(len(units)) < 0.1).astype(float)),
            ("revenue", rng.exponential(30, len(units)), rng.exponential(30, len(units))),
        )
    ]
    pd.concat(outcomes).to_parquet(folder / "outcomes.parquet", index=False)


def _effects_ours(folder: Path, *, warm: bool) -> None:
    import crmlib as crm

    if warm:
        import tea_tasting  # noqa: F401

        return
    store = crm.connect(folder, as_of="2026-10-01")
    facts = crm.experiments.facts(store)
    print(len(crm.experiments.fit(crm.experiments.validate(facts)).table))


def _effects_beside(folder: Path, *, warm: bool) -> None:
    from scipy import stats

    if warm:
        return
    assigned = pd.read_parquet(folder / "assignments.parquet")
    outcomes = pd.read_parquet(folder / "outcomes.parquet")
    arms = assigned.groupby("unit_id")["variant"].nunique()
    assigned = assigned[assigned["unit_id"].isin(arms[arms == 1].index)].drop_duplicates("unit_id")
    stats.chisquare(assigned["variant"].value_counts())
    joined = outcomes.merge(assigned[["experiment", "unit_id", "variant"]], on=["experiment", "unit_id"])
    for _, rows in joined.groupby("metric"):
        theta = rows["value"].cov(rows["pre_value"]) / rows["pre_value"].var()
        adjusted = rows["value"] - theta * (rows["pre_value"] - rows["pre_value"].mean())
        for values in (rows["value"], adjusted):
            stats.ttest_ind(
                values[rows["variant"] == "treatment"], values[rows["variant"] == "control"], equal_var=False
            )


def _means_beside(folder: Path, *, warm: bool) -> None:
    import ibis
    import tea_tasting as tt

    if warm:
        return
    base = ibis.duckdb.connect()
    assigned, outcomes = (base.read_parquet(folder / f"{name}.parquet") for name in ("assignments", "outcomes"))
    joined = outcomes.join(assigned.select("unit_id", "variant"), "unit_id")
    for metric in ("converted", "revenue"):
        test = tt.Experiment(mean=tt.Mean("value", covariate="pre_value"), ratio=tt.SampleRatio())
        print(test.analyze(joined.filter(joined["metric"] == metric), control="control").to_string()[:60])


# Reading.


def _csv_lines(folder: Path, size: int) -> None:
    from crmlib.shop.samples import demo

    shop = demo.simulate(customers=min(size, 2_000)).tables
    orders, lines = shop["orders"], shop["order_lines"]
    with (
        (folder / "order_lines.csv").open("w", encoding="utf-8") as file,
        (folder / "orders.csv").open("w", encoding="utf-8") as of,
    ):
        written, block = 0, 0
        while written < size:
            mark = f"B{block}"
            part = lines.iloc[: size - written]
            part.assign(order_id=mark + part["order_id"].where(part["order_id"] != "", None)).to_csv(
                file, index=False, header=not block, lineterminator="\n"
            )
            orders.assign(order_id=mark + orders["order_id"].where(orders["order_id"] != "", None)).to_csv(
                of, index=False, header=not block, lineterminator="\n"
            )
            written, block = written + len(part), block + 1


def _reading_ours(folder: Path, *, warm: bool) -> None:
    import crmlib as crm

    if warm:
        return
    print(crm.connect(folder, as_of=AS_OF).faults()["rows"].sum())


def _reading_beside(folder: Path, *, warm: bool) -> None:
    if warm:
        return
    orders = pd.read_csv(folder / "orders.csv", dtype=str, keep_default_na=False)
    lines = pd.read_csv(folder / "order_lines.csv", dtype=str, keep_default_na=False)
    at = pd.to_datetime(orders["ordered_at"], format="%Y-%m-%d %H:%M:%S", errors="coerce")
    money = ["total", "discount", "shipping", "tax", "refunded"]
    for column in money:
        orders[column] = pd.to_numeric(orders[column].str.replace(",", ".", regex=False), errors="coerce")
    bad = (orders["order_id"] == "") | at.isna() | (orders["total"] < 0) | orders["order_id"].duplicated()
    late = at >= AS_OF
    faults = [bad.sum(), late.sum(), (orders["total"] == 0).sum(), (orders["refunded"] > orders["total"]).sum()]
    for column in ("quantity", "unit_price", "line_total", "discount", "unit_cost"):
        lines[column] = pd.to_numeric(lines[column].str.replace(",", ".", regex=False), errors="coerce")
    missing = (lines["order_id"] == "") | (lines["product_id"] == "")
    unknown = ~lines["order_id"].isin(orders.loc[~bad, "order_id"])
    again = lines.duplicated(["order_id", "line_no"])
    after = lines["order_id"].isin(orders.loc[late, "order_id"])
    faults += [
        missing.sum(),
        unknown.sum(),
        again.sum(),
        after.sum(),
        (lines["quantity"] < 0).sum(),
        lines.isna().any(axis=1).sum(),
    ]
    print(sum(faults))


# All reports.


def _shop(folder: Path, size: int) -> None:
    from crmlib.shop.samples import demo

    demo.make(folder / "shop", customers=size)


def _notebooks(folder: Path) -> list[Path]:
    """All of them; the first alone for the very small shop of a trial."""
    size = int(folder.name.rpartition("-")[2])
    return sorted((ROOT / "notebooks").glob("*.ipynb"))[: None if size >= 1_000 else 1]


def _reports_ours(folder: Path, *, warm: bool) -> None:
    if warm:
        return
    place = ["--shop", str(folder / "shop"), "--reports", str(folder / "reports"), "--force"]
    names = [path.stem.partition("_")[2] for path in _notebooks(folder)]
    subprocess.run([sys.executable, "-m", "crmlib", "run", *names, *place], cwd=ROOT, check=True, capture_output=True)


def _reports_beside(folder: Path, *, warm: bool) -> None:
    if warm:
        return
    for notebook in _notebooks(folder):
        out = folder / notebook.name
        parameters = ["-p", "shop", str(folder / "shop"), "-p", "as_of", AS_OF]
        papermill = [sys.executable, "-m", "papermill", str(notebook), str(out), *parameters, "--cwd", str(ROOT)]
        subprocess.run(papermill, cwd=ROOT, check=True, capture_output=True)
        subprocess.run([sys.executable, "-m", "nbconvert", "--to", "html", str(out)], check=True, capture_output=True)


WORKS = {
    "journey_rules": Work(
        what="Rules from order lines, Complete Journey by product", unit="baskets", beside_what="mlxtend",
        sizes=(5_000, 40_000, 155_848), prepare=_journey_lines, ours=_rules_ours, beside=_rules_beside,
    ),
    "simulated_rules": Work(
        what="Rules from order lines, simulated", unit="baskets", beside_what="mlxtend",
        sizes=(10_000, 100_000, 1_000_000), prepare=_simulated_lines, ours=_rules_ours, beside=_rules_beside,
    ),
    "mining": Work(
        what="Rules alone, reading left out, simulated", unit="baskets", beside_what="rusket",
        sizes=(10_000, 100_000, 1_000_000), prepare=_simulated_lines, ours=_mined_ours, beside=_mined_beside,
        needs="rusket",
    ),
    "history": Work(
        what="Customer history, fit, score (ours with bands)", unit="customers", beside_what="lifetimes",
        sizes=(10_000, 100_000, 1_000_000), prepare=_customers, ours=_history_ours, beside=_history_beside,
    ),
    "kinds": Work(
        what="Kinds of customers from their orders", unit="customers", beside_what="openretailscience, RFM",
        sizes=(10_000, 100_000, 1_000_000), prepare=_customers, ours=_kinds_ours, beside=_kinds_beside,
        needs="openretailscience",
    ),
    "sentiment": Work(
        what="Polarity of reviews, two in three written once", unit="texts", beside_what="TextBlob(text).sentiment, row by row",
        sizes=(2_000, 20_000, 200_000), prepare=_reviews, ours=_polarity_ours, beside=_polarity_beside,
    ),
    "experiment": Work(
        what="Effects with CUPED", unit="outcome rows", beside_what="pandas and scipy",
        sizes=(100_000, 1_000_000, 10_000_000), prepare=_experiment, ours=_effects_ours, beside=_effects_beside,
    ),
    "means": Work(
        what="Effects with CUPED", unit="outcome rows", beside_what="tea-tasting on DuckDB, no checks",
        sizes=(100_000, 1_000_000, 10_000_000), prepare=_experiment, ours=_effects_ours, beside=_means_beside,
    ),
    "reading": Work(
        what="Reading order lines from CSV, with quality checks", unit="lines", beside_what="pandas, the same checks",
        sizes=(100_000, 1_000_000, 10_000_000), prepare=_csv_lines, ours=_reading_ours, beside=_reading_beside,
    ),
    "reports": Work(
        what="All reports of the demo shop", unit="customers", beside_what="papermill, then nbconvert",
        sizes=(1_000, 2_000, 5_000), prepare=_shop, ours=_reports_ours, beside=_reports_beside,
    ),
}  # fmt: skip
