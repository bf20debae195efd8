"""One simulation of the demo shop: the tables in memory, and what is true of them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from crmlib.shop.samples.demo import (
    baskets,
    catalogue,
    costs,
    experiments,
    newcomers,
    orders,
    outage,
    people,
    population,
    prices,
    reviews,
    service,
    special_days,
    survey,
)
from crmlib.shop.samples.demo.dirt import with_dirt

_ORDER_COLUMNS = [
    "order_id", "ordered_at", "customer_id", "total", "status", "channel", "coupon", "currency", "discount",
    "shipping", "tax", "refunded", "refunded_at", "cancelled_at",
]  # fmt: skip


_LINE_COLUMNS = [
    "order_id", "product_id", "quantity", "unit_price", "line_total", "discount", "unit_cost", "line_no",
]  # fmt: skip


@dataclass(frozen=True)
class Simulation:
    """The demo shop's tables by name, and what is true of them (plain JSON values)."""

    tables: dict[str, pd.DataFrame]
    truth: dict[str, Any]


def simulate(
    *, seed: int = 20, customers: int = 5000, dirty: bool = True, first_orders: newcomers.FirstOrders = "changed",
    teams: service.Teams = "differ",
) -> Simulation:  # fmt: skip
    """What does the demo shop look like, and what is true of it?

    Tables customers, orders, order_lines, products, feedback, assignments, outcomes, costs, touches, staff, tickets,
    shipments, price_survey with the canonical columns; times are local (Europe/Berlin) without offset, money is in EUR
    with tax included, and an order's total is its line totals less discount plus shipping. `feedback` has no
    `language`: detecting it is the analysis's task.

    With `dirty=False` there are no guests, refunds, cancellations, wholesale buyer or faults; all other rows
    are the same. With dirt, a column that holds unreadable values is text. The experiments have the same
    size whatever the number of customers, which must be at least 50 (ValueError).

    From one month on half of new customers never return ('changed'); with 'as before' nothing changed, with 'one
    better' fewer return from the start unless their first order held a certain product. With `teams` 'alike' no team,
    carrier or supplier is better than another.

    `truth` holds: population and season (parameters), customers and feedback (columns as lists), baskets,
    experiments, costs, prices, price_survey, newcomers, touches, service, special_days, outage (of one channel on one
    day), dirt (counts by table and kind), dirt_rows (row numbers from 0 of each fault), rows.

    >>> shop = simulate(customers=200, dirty=False)
    >>> shop.truth["baskets"]["affinities"][0]["probability"]
    0.45
    """
    if customers < 50:
        raise ValueError(f"customers is {customers}: the demo shop needs at least 50")
    goods = catalogue.catalogue()
    clock = population.calendar()
    found = population.population(_stream(seed, "population"), customers=customers, clock=clock)
    taken = orders.orders_taken(
        _stream(seed, "orders"), day_rng=_stream(seed, "special days"), sequence_rng=_stream(seed, "sequences"),
        price_rng=_stream(seed, "prices"), found=found, goods=goods,
    )  # fmt: skip
    listed, ids = _customers(found, taken, seed=seed)

    table = taken.table.assign(customer_id=ids[taken.buyer])
    calm = taken.buyer == orders.WHOLESALE if dirty else np.ones(len(table), dtype=np.bool_)
    table = orders.with_status(_stream(seed, "status"), table=table, undisturbed=calm)[_ORDER_COLUMNS]
    lines = taken.lines.assign(
        order_id=table["order_id"].to_numpy()[taken.lines["order"]],
        product_id=goods.products["product_id"].to_numpy()[taken.lines["product"]],
    )
    bought = _one_product_each(_stream(seed, "product written about"), taken.lines)
    written, meant = reviews.reviews(
        _stream(seed, "feedback"), planting=_stream(seed, "planted complaints"), orders=table, product=bought,
        goods=goods, first_names=people.first_names(),
    )  # fmt: skip
    over = experiments.experiments(_stream(seed, "experiments"))
    now = experiments.running(_stream(seed, "running experiment"), until=population.AS_OF)
    assignments, outcomes = (pd.concat([over[place], now[place]], ignore_index=True) for place in (0, 1))
    assignments, effects = experiments.with_device(_stream(seed, "devices"), assignments), over[2] | now[2]

    kept = np.ones(len(table), dtype=np.bool_) if dirty else taken.buyer >= 0
    lost = newcomers.lost(
        _stream(seed, "newcomers"), how=first_orders, found=found, taken=taken, goods=goods,
        spoken=table["order_id"].isin(written["order_id"]).to_numpy(),
    )  # fmt: skip
    gone = set(table["order_id"][lost.orders])
    kept_ids = table["order_id"][kept & ~lost.orders]
    heard = written["order_id"].isin(kept_ids).to_numpy()
    tables = {
        "customers": listed if dirty else listed[listed["customer_id"] != ids[orders.WHOLESALE]],
        "orders": outage.app_down(table[kept]),
        "order_lines": lines.loc[kept[taken.lines["order"]], _LINE_COLUMNS],
        "products": goods.products,
        "feedback": written[heard],
        "assignments": assignments,
        "outcomes": outcomes,
        "costs": costs.acquisition_costs(
            _stream(seed, "costs"),
            channel=found.people["acquisition_channel"].to_numpy(),
            first_day=found.people["first_day"].to_numpy(),
        ),
    }
    tables["costs"] = pd.concat([tables["costs"], prices.distribution()], ignore_index=True).fillna("")
    tables["touches"] = newcomers.touches(_stream(seed, "touches"), found=found, taken=taken, ids=ids)
    asked, asked_truth = survey.survey(_stream(seed, "price survey"), goods=goods, ids=ids[:customers], dirty=dirty)
    tables["price_survey"] = asked
    tables = {name: frame.reset_index(drop=True) for name, frame in tables.items()}
    counted: dict[str, dict[str, int]] = {}
    rows: dict[str, dict[str, list[int]]] = {}
    if dirty:
        tables, rows = with_dirt(_stream(seed, "dirt"), tables)
    for name in ("orders", "order_lines"):
        tables[name] = newcomers.without(tables[name], rows.get(name, {}), gone)
    late = [themes.get("delivery") == "negative" for themes in meant["themes"]]
    served = _service(
        _stream(seed, "service"), table, lines, spoken=written[late].set_index("order_id")["text"], listed=listed,
        goods=goods, teams=teams,
    )  # fmt: skip
    for name, frame in served.tables.items():
        at = {"tickets": "customer_id", "shipments": "order_id"}.get(name, "")
        known = tables["customers"]["customer_id"] if at == "customer_id" else kept_ids
        tables[name] = frame[frame[at].isin(known)].reset_index(drop=True) if at else frame
    if dirty:
        counted = {name: {kind: len(at) for kind, at in kinds.items()} for name, kinds in rows.items()}
        counted["orders"] |= _life(tables["orders"], wholesale=str(ids[orders.WHOLESALE]))
    truth = {
        "seed": seed,
        "customers_drawn": customers,
        "dirty": dirty,
        "first_day": str(population.FIRST_DAY),
        "as_of": str(population.AS_OF),
        "rows": {name: len(frame) for name, frame in tables.items()},
        "population": _parameters(),
        "season": {
            "months": (population.MONTHS / population.MONTHS.mean()).round(4).tolist(),
            "weekdays_monday_first": (population.WEEKDAYS / population.WEEKDAYS.mean()).round(4).tolist(),
        },
        "customers": _truth_of_customers(found, taken, lost, ids=ids, seed=seed, dirty=dirty),
        "baskets": _truth_of_baskets(goods, taken, kept=kept & ~lost.orders, ids=ids, found=found),
        "feedback": meant[heard].to_dict(orient="list"),
        "reviews": _truth_of_reviews(),
        "experiments": effects,
        "costs": {"acquisition_per_new_buyer": dict(costs.COST_PER_CUSTOMER)},
        "prices": prices.truth(goods),
        "price_survey": asked_truth,
        "newcomers": newcomers.truth(first_orders, lost, goods=goods, ids=ids),
        "touches": newcomers.truth_of_touches(),
        "service": served.truth,
        "special_days": special_days.truth(),
        "outage": outage.truth(table[kept & ~lost.orders]),
        "dirt": counted,
        "dirt_rows": rows,
    }
    return Simulation(tables=tables, truth=truth)


def _stream(seed: int, part: str) -> np.random.Generator:
    """A generator of its own for each part, so that a change in one leaves the others as they were."""
    return np.random.default_rng([seed, zlib.crc32(part.encode())])


def _one_product_each(rng: np.random.Generator, lines: pd.DataFrame) -> orders.Ints:
    counts = np.bincount(lines["order"])
    start = np.cumsum(counts) - counts
    product = lines["product"].to_numpy()
    chosen: orders.Ints = product[start + (rng.random(len(counts)) * counts).astype(np.int64)]
    return chosen


def _customers(
    found: population.Population, taken: orders.Orders, *, seed: int
) -> tuple[pd.DataFrame, np.ndarray[Any, Any]]:
    """The customers table in order of registration, and the id of each buyer by its position.

    The last two ids are the wholesale buyer's (at WHOLESALE, -2) and the guests' empty one (at GUEST, -1).
    """
    rng = _stream(seed, "customers")
    size = len(found.people)
    # First orders come shortly after registering, some days later for a few.
    at = taken.table["ordered_at"].to_numpy().astype("datetime64[s]")
    first = np.full(size + 2, population.AS_OF.astype("datetime64[s]") - np.timedelta64(1, "D"))
    buyer, where = np.unique(taken.buyer, return_index=True)
    first[buyer] = at[where]
    never = (found.people["first_day"] < 0).to_numpy()
    first[:size][never] = rng.choice(at, size=int(never.sum()))
    minutes = rng.integers(60, 1800, size + 2).astype("timedelta64[s]")
    days = np.where(rng.random(size + 2) < 0.15, rng.integers(1, 21, size + 2), 0).astype("timedelta64[D]")
    created = (first - minutes - days)[: size + 1].astype("datetime64[us]")

    facts = pd.concat([found.people, pd.DataFrame({"acquisition_channel": ["search"]})], ignore_index=True)
    table = people.people_table(rng, facts)
    table.insert(0, "created_at", created)
    table = pd.concat([table, people.consents(rng, table["created_at"])], axis=1)
    # Drawn by itself: what came before it stays as it was.
    table.insert(
        len(table.columns) - 1,
        "ads_consent",
        table["email_consent"] & (_stream(seed, "adverts").random(size + 1) < 0.4),
    )
    firm = {
        "first_name": "Einkauf",
        "last_name": "Mustergrosshandel",
        "email": "einkauf@example.org",
        "gender": "",
    }
    table.loc[size, list(firm)] = list(firm.values())
    table.loc[size, "birth_date"] = pd.NaT
    order = np.argsort(created, kind="stable")
    ids = np.empty(size + 2, dtype=object)
    ids[order] = [f"C{number:05d}" for number in range(1, size + 2)]
    ids[size + 1] = ""
    table.insert(0, "customer_id", ids[: size + 1])
    return table.iloc[order].reset_index(drop=True), ids


def _life(table: pd.DataFrame, *, wholesale: str) -> dict[str, int]:
    return {
        "guest": int((table["customer_id"] == "").sum()),
        "refunded": int((table["status"] == "refunded").sum()),
        "partly_refunded": int((table["status"] == "partly_refunded").sum()),
        "cancelled": int((table["status"] == "cancelled").sum()),
        "wholesale": int((table["customer_id"] == wholesale).sum()),
    }


def _parameters() -> dict[str, Any]:
    return {
        "kinds": "regular: gamma gaps; irregular: exponential gaps; one_time; registered_only; one obsessive",
        "clock": "gaps and rates run on the season's clock, in average days; dropout on the calendar",
        "regular": {
            "gap_shape": population.REGULAR_GAP_SHAPE,
            "rate_per_year_median": population.REGULAR_RATE_MEDIAN,
            "rate_per_year_sigma_log": population.REGULAR_RATE_SIGMA,
        },
        "irregular": {
            "rate_per_year_shape": population.IRREGULAR_RATE_SHAPE,
            "rate_per_year_mean": population.IRREGULAR_RATE_MEAN,
        },
        "dropout_hazard_per_year": {
            "shape": population.DROPOUT_SHAPE,
            "mean_before_channel": population.DROPOUT_MEAN,
        },
        "spend_level": {
            "sigma_log": population.SPEND_SIGMA,
            "mean": 1.0,
            "independent_of": "rate, kind, channel",
        },
        "channels": {
            name: {"share": share, "regular_irregular_one_time": list(kinds), "dropout_factor": factor}
            for name, (share, kinds, factor) in population.CHANNELS.items()
        },
    }


def _truth_of_customers(
    found: population.Population,
    taken: orders.Orders,
    lost: newcomers.Lost,
    *,
    ids: np.ndarray[Any, Any],
    seed: int,
    dirty: bool,
) -> dict[str, list[Any]]:
    size = len(found.people)
    future = found.day >= population.HISTORY_DAYS
    buyer, ahead = found.buyer[future], found.day[future] - population.HISTORY_DAYS
    # A later cancellation is as likely as an earlier one.
    rng = _stream(seed, "future")
    stands = rng.random(len(buyer)) >= (orders.CANCELLED_SHARE if dirty else 0.0)
    stands &= ~lost.people[buyer]
    buyer, ahead = buyer[stands], ahead[stands]
    truth: dict[str, list[Any]] = {"customer_id": ids[:size].tolist()}
    for column in ("kind", "acquisition_channel", "rate_per_year", "spend_level"):
        truth[column] = found.people[column].tolist()
    # As special days have moved them.
    days_taken = (taken.table["ordered_at"].to_numpy().astype("datetime64[D]") - population.FIRST_DAY).astype(np.int64)
    first, last_taken = found.people["first_day"].to_numpy().copy(), np.full(size, -1)
    own = taken.buyer >= 0
    first[taken.buyer[own][::-1]] = days_taken[own][::-1]
    last_taken[taken.buyer[own & ~lost.orders]] = days_taken[own & ~lost.orders]
    last = np.floor(np.minimum(found.people["dropout_day"].to_numpy(), 1e6) + 0.5).astype(np.int64)
    last = np.maximum(np.where(lost.people, first, last), last_taken)
    truth["first_order_day"] = [str(population.FIRST_DAY + day) if day >= 0 else None for day in first]
    end = population.HISTORY_DAYS + population.FUTURE_DAYS
    truth["dropout_day"] = [
        str(population.FIRST_DAY + day) if start >= 0 and day < end else None
        for start, day in zip(first, last, strict=True)
    ]
    past = taken.buyer[(taken.buyer >= 0) & ~lost.orders]
    truth["orders_taken"] = np.bincount(past, minlength=size).tolist()
    for days in (90, 365):
        within = ahead < days
        truth[f"orders_next_{days}"] = np.bincount(buyer[within], minlength=size).tolist()
        pairs = np.unique(np.stack([buyer[within], ahead[within]]), axis=1)
        truth[f"order_days_next_{days}"] = np.bincount(pairs[0], minlength=size).tolist()
    return truth


def _truth_of_baskets(
    goods: catalogue.Catalogue,
    taken: orders.Orders,
    *,
    kept: orders.Flags,
    ids: np.ndarray[Any, Any],
    found: population.Population,
) -> dict[str, Any]:
    numbers = dict(zip(goods.products["name"], goods.products["product_id"], strict=True))

    def pair(first: str, second: str) -> dict[str, Any]:
        return {
            "first": numbers[first],
            "second": numbers[second],
            "first_name": first,
            "second_name": second,
        }

    obsessive = int(np.flatnonzero((found.people["kind"] == "obsessive").to_numpy())[0])
    return {
        "draw": "distinct products by popularity in the month, without replacement; all else is stated here",
        "affinities": [pair(a, b) | {"probability": p} for a, b, p in catalogue.AFFINITIES],
        "affinity_definition": "once the first is in an order, the second is added with this probability",
        "substitutes": [pair(a, b) | {"probability": p} for a, b, p in catalogue.SUBSTITUTES],
        "substitute_definition": "an order that would hold both lacks the second with this probability",
        "sequences": [pair(a, b) | {"probability": p} for a, b, p in catalogue.SEQUENCES],
        "sequence_definition": (
            "once the first is in an order, the customer's next order has the second with this probability, if it "
            f"comes 1 to {catalogue.SEQUENCE_DAYS} days later"
        ),
        "season_pair": pair(*catalogue.SEASON_PAIR)
        | {
            "months": list(catalogue.SEASON_MONTHS),
            "definition": "sold in these months only, independent in them",
        },
        "obsession": pair(*catalogue.OBSESSION)
        | {"customer_id": ids[obsessive], "probability": baskets.OBSESSION_SHARE},
        "big": {
            "share": baskets.BIG_SHARE,
            "distinct_products": [baskets.BIG_FROM, baskets.BIG_TO],
            "order_ids": taken.table["order_id"][taken.big & kept].tolist(),
        },
    }


def _truth_of_reviews() -> dict[str, Any]:
    return {
        "phrasings": len(reviews.phrasings()),
        "polarity_shares": dict(zip(reviews.POLARITIES, reviews.POLARITY_SHARES, strict=True)),
        "stars_by_polarity": {name: list(shares) for name, shares in reviews.STARS.items()},
        "german_share": reviews.GERMAN_SHARE,
        "written_share_of_orders": reviews.WRITES,
        "rise": {
            "theme": "delivery",
            "from": str(population.AS_OF - np.timedelta64(7 * reviews.RISE_WEEKS, "D")),
            "carrier": reviews.RISE_CARRIER,
            "extra_share_of_orders": reviews.RISE_SHARE,
            "share_naming_the_carrier": reviews.RISE_NAMED,
        },
        "runs_small": {"product": reviews.SMALL_PRODUCT, "theme": "fit", "share_of_its_texts": reviews.SMALL_SHARE},
        "loud_channel": {"channel": reviews.LOUD_CHANNEL, "theme": "service", "share_of_its_texts": reviews.LOUD_SHARE},
    }


def _service(
    rng: np.random.Generator,
    table: pd.DataFrame,
    lines: pd.DataFrame,
    *,
    spoken: pd.Series,
    listed: pd.DataFrame,
    goods: catalogue.Catalogue,
    teams: service.Teams,
) -> service.Served:
    """Tickets and parcels of all orders. `spoken` are the texts that complain of a delivery, by order_id."""
    where = table["customer_id"].map(listed.set_index("customer_id")["country"])
    orders = table[["order_id", "ordered_at", "customer_id", "total"]].assign(
        country=where.replace("", "DE").fillna("DE"), stands=table["cancelled_at"].isna()
    )
    theirs = goods.products.loc[goods.products["supplier"] == service.BAD_SUPPLIER, "product_id"]
    faulty = table["order_id"].isin(lines.loc[lines["product_id"].isin(theirs), "order_id"]).to_numpy()
    named = spoken.str.extract(f"({'|'.join(service.CARRIERS)})")[0].dropna()
    return service.service(rng, orders=orders, faulty=faulty, named=named[~named.index.duplicated()], teams=teams)
