"""How the demo shop serves its customers: staff in teams, tickets, and parcels by carrier.

One team answers late, worst of all about returns; another only has the hard cases, and so looks bad. One carrier is
late; another brings what goes abroad, and so looks slow. What one supplier sends makes people write more often. Large
orders arrive damaged more often. All is drawn by itself, so that whatever else the shop holds stays as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib.shop.samples.demo.population import AS_OF

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Teams = Literal["differ", "alike"]

HOURS, MONDAY = (9, 17), np.datetime64("2023-01-02")
STAFF = {"Alster": ("Hamburg", 6), "Bille": ("Hamburg", 5), "Oste": ("Hamburg", 5),
         "Trave": ("Leipzig", 6), "Weser": ("Leipzig", 5), "Elbe": ("Leipzig", 4)}  # fmt: skip
SLOW_TEAM, SLOW_TOPIC, SLOW_TIMES, SLOWER_TIMES = "Oste", "returns", 1.9, 4.0
HARD_TEAM, HARD_TOPICS = "Weser", ("damaged", "warranty")
# topic: share of tickets, business hours until the first answer (median), share opened again once closed
TOPICS = {"delivery": (0.30, 2.5, 0.05), "product question": (0.22, 2.0, 0.03), "returns": (0.18, 4.0, 0.06),
          "invoice": (0.10, 3.0, 0.04), "website": (0.06, 2.5, 0.04), "damaged": (0.09, 9.0, 0.14),
          "warranty": (0.05, 12.0, 0.16)}  # fmt: skip
TICKETS, MARKED, UNASSIGNED, FORGOTTEN, SIGMA = 0.095, 0.35, 0.04, 0.015, 0.8
_HARD_SHARE = 0.55  # of hard tickets that go to HARD_TEAM
BAD_SUPPLIER, MORE_TICKETS = "Nordlicht Wholesale", 0.06

LARGE_FROM, BROKEN, BROKEN_SHARE = 60.0, "damaged", 0.4  # of the tickets about orders of so much money, beside usual

CARRIERS = {"Swiftpost": (0.55, 0.30), "BlueVan": (0.20, 0.60), "Parcelo": (0.25, 0.10)}  # at home, abroad
LATE_CARRIER, LATE_MORE, LATE, LOST = "Parcelo", 0.14, 0.05, 0.003


@dataclass(frozen=True)
class Served:
    """Tables staff, tickets and shipments, and what is true of them."""

    tables: dict[str, pd.DataFrame]
    truth: dict[str, Any]


def service(
    rng: np.random.Generator, *, orders: pd.DataFrame, faulty: Flags, named: pd.Series, teams: Teams = "differ"
) -> Served:
    """Who answered whom, and who brought what?

    `orders` has order_id, ordered_at, customer_id ('' for guests), country, stands (false: cancelled) and may have
    total, so that large ones arrive damaged more often; `faulty` marks orders with goods of the supplier whose goods
    make people write. `named` is the carrier that a text about an order complains of, by order_id. With teams 'alike'
    all teams, carriers and suppliers are as good as one another, and still have the cases they have.
    """
    differ = teams == "differ"
    staff = pd.DataFrame(
        [(f"S{place:02d}{n}", team, department) for place, (team, (department, size)) in enumerate(STAFF.items(), 1)
         for n in range(1, size + 1)], columns=["staff_id", "team", "department"],
    )  # fmt: skip
    tables = {
        "staff": staff,
        "tickets": _tickets(rng, orders, faulty=faulty & differ, staff=staff, differ=differ),
        "shipments": _shipments(rng, orders, named=named, differ=differ),
    }
    return Served(tables=tables, truth=_truth(differ))


def _tickets(
    rng: np.random.Generator, orders: pd.DataFrame, *, faulty: Flags, staff: pd.DataFrame, differ: bool
) -> pd.DataFrame:
    size = len(orders)
    asked = rng.random(size) < TICKETS + MORE_TICKETS * faulty
    asked &= (orders["customer_id"] != "").to_numpy()
    shares = np.array([share for share, _, _ in TOPICS.values()])
    topic = rng.choice(list(TOPICS), size=size, p=shares / shares.sum())
    if differ and "total" in orders:
        broken = rng.spawn(1)[0].random(size) < BROKEN_SHARE
        topic = np.where(broken & (orders["total"] >= LARGE_FROM).to_numpy(), BROKEN, topic)
    days = 1 + rng.gamma(2.0, 2.5, size).astype(int)
    minutes = (6.5 * 60 + 990 * rng.beta(2.2, 2.2, size)).astype(int)  # from half past six until eleven at night
    midnight = orders["ordered_at"].to_numpy().astype("datetime64[D]")
    opened = (midnight + days).astype("datetime64[s]") + minutes * 60 + rng.integers(0, 60, size)
    table = pd.DataFrame({"opened_at": opened, "customer_id": orders["customer_id"].to_numpy(), "topic": topic})
    asked &= opened < AS_OF

    names = list(STAFF)
    team = rng.choice([name for name in names if name != HARD_TEAM], size=size)
    hard = np.isin(topic, HARD_TOPICS)
    team = np.where(rng.random(size) < np.where(hard, _HARD_SHARE, 0.09), HARD_TEAM, team)
    first = staff.groupby("team")["staff_id"].first()
    sizes = pd.Series({name: count for name, (_, count) in STAFF.items()})
    who = pd.Series(team).map(first).to_numpy()
    member = 1 + (rng.random(size) * pd.Series(team).map(sizes).to_numpy()).astype(int)
    ids = np.array([one[:-1] + str(n) for one, n in zip(who, member, strict=True)], dtype=object)
    table["staff_id"] = np.where(rng.random(size) < UNASSIGNED, "", ids)

    usual = np.array([TOPICS[name][1] for name in topic])
    times = np.where(topic == SLOW_TOPIC, SLOWER_TIMES, SLOW_TIMES) if differ else np.ones(size)
    hours = usual * np.where(team == SLOW_TEAM, times, 1.0) * np.exp(SIGMA * rng.standard_normal(size))
    reply = worked(opened, hours)
    forgotten = rng.random(size) < FORGOTTEN
    reply[forgotten] = np.datetime64("NaT")
    closing = worked(reply, usual * np.exp(0.4 + SIGMA * rng.standard_normal(size)))
    again = rng.random(size) < np.array([TOPICS[name][2] for name in topic])
    mark = np.clip(np.rint(4.4 - 0.06 * np.minimum(hours, 40) - 0.9 * again + 0.9 * rng.standard_normal(size)), 1, 5)
    reply[~(reply < AS_OF)] = np.datetime64("NaT")
    closing[~(closing < AS_OF)] = np.datetime64("NaT")
    open_ = np.isnat(closing)
    table["first_reply_at"], table["closed_at"] = (at.astype("datetime64[us]") for at in (reply, closing))
    table["opened_at"] = opened.astype("datetime64[us]")
    table["reopened"] = pd.Series(again, dtype=object).mask(open_, None)
    table["satisfaction"] = np.where(open_ | (rng.random(size) >= MARKED), np.nan, mark)
    table = table[asked].sort_values(["opened_at", "customer_id"], kind="stable", ignore_index=True)
    table.insert(0, "ticket_id", [f"T{number:05d}" for number in range(1, len(table) + 1)])
    columns = ["ticket_id", "opened_at", "customer_id", "first_reply_at", "closed_at", "topic", "staff_id", "reopened"]
    return table[[*columns, "satisfaction"]]


def worked(start: NDArray[np.datetime64], hours: Floats) -> NDArray[np.datetime64]:
    """The moment when so many hours of work have passed, from Monday to Friday at HOURS."""
    long = 3600 * (HOURS[1] - HOURS[0])
    missing = np.isnat(start)
    at = np.where(missing, MONDAY.astype("datetime64[s]"), start.astype("datetime64[s]"))
    day = (at.astype("datetime64[D]") - MONDAY).astype(int)
    within = (at - at.astype("datetime64[D]").astype("datetime64[s]")).astype(int) - 3600 * HOURS[0]
    week, weekday = np.divmod(day, 7)
    done = (5 * week + np.minimum(weekday, 5)) * long + np.where(weekday < 5, np.clip(within, 0, long), 0)
    days, rest = np.divmod((done + 3600 * hours).astype(np.int64), long)
    weeks, weekdays = np.divmod(days, 5)
    then: NDArray[np.datetime64] = (
        MONDAY.astype("datetime64[s]") + (7 * weeks + weekdays) * 86400 + 3600 * HOURS[0] + rest
    )
    then[missing] = np.datetime64("NaT")
    return then


def _shipments(rng: np.random.Generator, orders: pd.DataFrame, *, named: pd.Series, differ: bool) -> pd.DataFrame:
    size = len(orders)
    abroad = (orders["country"] != "DE").to_numpy()
    draw, carrier = rng.random(size), np.empty(size, dtype=object)
    for at_home in (True, False):
        ends = np.cumsum([shares[0 if at_home else 1] for shares in CARRIERS.values()])
        rows = abroad != at_home
        carrier[rows] = np.array(list(CARRIERS))[np.minimum(np.searchsorted(ends, draw[rows]), len(CARRIERS) - 1)]
    said = orders["order_id"].map(named if differ else named.iloc[:0]).astype(object)
    carrier = np.where(said.notna(), said.fillna(""), carrier)
    midnight = orders["ordered_at"].to_numpy().astype("datetime64[D]")
    shipped: Any = np.busday_offset(midnight, 1 + (rng.random(size) < 0.3), roll="backward")
    late = rng.random(size) < LATE + LATE_MORE * ((carrier == LATE_CARRIER) & differ)
    late |= said.notna().to_numpy()
    days = 1 + rng.poisson(0.7, size) + 2 * abroad + np.where(late, rng.integers(4, 10, size), 0)
    arrived = np.busday_offset(shipped, days, roll="forward").astype("datetime64[s]")
    shipped = shipped.astype("datetime64[s]") + rng.integers(15 * 60, 18 * 60, size) * 60
    arrived = arrived + rng.integers(9 * 60, 19 * 60, size) * 60
    arrived[(rng.random(size) < LOST) | ~(arrived < AS_OF)] = np.datetime64("NaT")
    table = pd.DataFrame(
        {"order_id": orders["order_id"].to_numpy(), "shipped_at": shipped.astype("datetime64[us]"),
         "delivered_at": arrived.astype("datetime64[us]"), "carrier": carrier}
    )  # fmt: skip
    return table[orders["stands"].to_numpy() & (shipped < AS_OF)].reset_index(drop=True)


def _truth(differ: bool) -> dict[str, Any]:
    said: dict[str, Any] = {
        "hours": "Mon to Fri, 9 to 17", "tickets_per_order": TICKETS, "marked_share": MARKED,
        "topics": {name: {"share": share, "business_hours_to_first_reply_median": hours, "reopened": again}
                   for name, (share, hours, again) in TOPICS.items()},
        "reply_sigma_log": SIGMA, "forgotten_share": FORGOTTEN,
        "hard_cases": {"team": HARD_TEAM, "topics": list(HARD_TOPICS), "share_of_them": _HARD_SHARE, "as_good": True},
        "carriers": {name: {"at_home": home, "abroad": abroad} for name, (home, abroad) in CARRIERS.items()},
        "late_share": LATE,
    }  # fmt: skip
    if differ:
        said |= {
            "slow": {"team": SLOW_TEAM, "times": SLOW_TIMES, "topic": SLOW_TOPIC, "times_there": SLOWER_TIMES},
            "late_carrier": {"carrier": LATE_CARRIER, "more": LATE_MORE},
            "supplier": {"supplier": BAD_SUPPLIER, "more_tickets_per_order": MORE_TICKETS},
            "large_orders": {"from": LARGE_FROM, "topic": BROKEN, "more_of_their_tickets": BROKEN_SHARE},
        }
    return said
