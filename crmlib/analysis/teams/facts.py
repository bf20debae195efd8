"""Tickets, parcels and orders as cases: a row each in the engine, counts by group and kind of case when they leave it.

Nothing names a member of staff: people are summed into their teams before anything else is asked.
"""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from crmlib.analysis.teams.hours import NAMES, calendar, clocked
from crmlib.analysis.teams.judge import LEAST, Cells
from crmlib.shop.facts import net_orders
from crmlib.shop.shop import Shop
from crmlib.stats.survival import kaplan_meier

BLOCKS, WRITES_WITHIN = 12, 30  # parts of the window; days after an order within which a ticket is about it
MIX = {"team": ("topic", "part", "buyer"), "carrier": ("country", "weekday", "size"), "supplier": ("country", "size")}
MIX["department"] = MIX["team"]
LEAST_PEOPLE, MOST_GROUPS, MOST_LEVELS = 2, 60, 15
NOBODY, OTHER = "", "other"
TICK = 360  # seconds: a tenth of an hour
_LONGEST, _MOST_ROWS, _TRACKED = 20_000, 500_000, 0.5  # ticks told apart; rows that leave the engine


def members(shop: Shop) -> ir.Table:
    """Grain: a member of staff. Columns staff_id, team, department; '' for a team of one, which would be a person."""
    rows = shop.table("staff").select("staff_id", "team", "department")
    for name in ("team", "department"):
        rows = rows.mutate(**{name: rows[name].fill_null("").strip()})
        size = rows["staff_id"].count().over(ibis.window(group_by=name))
        rows = rows.mutate(**{name: ibis.ifelse(size >= LEAST_PEOPLE, rows[name], NOBODY)})
    return rows


def tickets(shop: Shop, *, within_days: int) -> ir.Table:
    """Grain: a ticket with a topic's, an hour's and a customer's difficulty, and how long it took.

    Columns team, department ('' unknown), block (twelfths of the window of `within_days`, 0 the newest; 12 to 23 are
    the window before), topic, part (of the week), buyer (regular: had ordered twice), and in seconds of the clock and
    of work: reply_*, close_* (empty: not yet), waited_* (from opening to as_of); closed, reopened, mark. Not enough for
    persons.
    """
    first = shop.fetch(shop.table("tickets").aggregate(at=lambda t: t["opened_at"].min()))["at"].iloc[0]
    days = calendar(shop, shop.as_of if pd.isna(first) else pd.Timestamp(first).date())
    inside = shop.keep(ibis.memtable(days, schema={name: "date" if name == "day" else "int64" for name in days}))
    rows = shop.table("tickets").filter(lambda t: t["opened_at"].date() < ibis.literal(shop.as_of))
    if shop.has("staff") and shop.has("tickets", "staff_id"):
        rows = rows.left_join(members(shop), "staff_id").drop("staff_id_right")
    else:
        rows = rows.mutate(team=ibis.literal(NOBODY), department=ibis.literal(NOBODY))
    hour, weekday = rows["opened_at"].hour(), rows["opened_at"].day_of_week.index()
    free = [n for n, day in enumerate(NAMES) if day not in shop.settings.team.working_days]
    rows = rows.mutate(
        part=ibis.cases((weekday.isin(free), "weekend"), (hour < 12, "morning"), (hour < 17, "afternoon"),
                        else_="evening"),
        topic=_often(shop, rows, "topic"), block=_block(shop, rows["opened_at"].date(), within_days),
        team=rows["team"].fill_null(NOBODY), department=rows["department"].fill_null(NOBODY),
    )  # fmt: skip
    if shop.has("orders", "customer_id") and shop.has("tickets", "customer_id"):
        place = ibis.row_number().over(ibis.window(group_by="customer_id", order_by="ordered_at"))
        second = net_orders(shop).mutate(_n=place).filter(lambda t: (t["_n"] == 1) & t["customer_id"].notnull())
        rows = rows.left_join(second.select("customer_id", _again="ordered_at"), "customer_id").drop(
            "customer_id_right"
        )
        rows = rows.mutate(buyer=ibis.ifelse((rows["_again"] < rows["opened_at"]).fill_null(False), "regular", "new"))
    else:
        rows = rows.mutate(buyer=ibis.literal("new"))
    for at in ("opened_at", "first_reply_at", "closed_at"):
        rows = clocked(shop, rows, inside, at)
    last = days.iloc[-1]
    ends = {"clock": int((len(days) - 1) * 86_400 - last["ahead"]), "work": int(last["before"])}
    took = {
        f"{name}_{how}": (rows[f"{at}_{how}"] - rows[f"opened_at_{how}"]).cast("float64")
        for how in ends for name, at in (("reply", "first_reply_at"), ("close", "closed_at"))
    }  # fmt: skip
    waited = {f"waited_{how}": end - rows[f"opened_at_{how}"] for how, end in ends.items()}
    return rows.select(
        "team", "department", "block", "topic", "part", "buyer", **took, **waited, closed=rows["closed_at"].notnull(),
        reopened=rows["reopened"].cast("boolean"), mark=rows["satisfaction"].cast("float64"),
    )  # fmt: skip


def waits(rows: ir.Table, what: str, how: str) -> ir.Table:
    """Grain: tenths of an hour that something took, or that a ticket waits. Columns recent, ticks, done, n.

    `what` is 'reply' or 'close', `how` 'clock' or 'work'. Closed without an answer is no wait for one. Times that end
    before they begin are left out.
    """
    rows = rows.filter((rows["block"] < 2 * BLOCKS) & (rows["block"] >= 0))
    took, done = rows[f"{what}_{how}"], rows[f"{what}_{how}"].notnull()
    if what == "reply":
        rows = rows.filter(done | ~rows["closed"])
    ticks = ibis.ifelse(done, took, rows[f"waited_{how}"]) // TICK
    rows = rows.mutate(recent=rows["block"] < BLOCKS, ticks=ibis.least(ticks, _LONGEST).cast("int64"), done=done)
    return rows.filter(rows["ticks"] >= 0).group_by("recent", "ticks", "done").aggregate(n=lambda t: t.count())


def reached(counts: pd.DataFrame, share: float) -> float:
    """Ticks within which a share of all was done, those still waiting counted; nan where it was not.

    >>> reached(pd.DataFrame({"ticks": [0, 1, 5], "done": [True, True, False], "n": [2, 1, 1]}), 0.5)
    0.0
    """
    if not len(counts) or not counts["done"].any():
        return float("nan")
    at, by, _, _ = kaplan_meier(*(counts[name].to_numpy(float) for name in ("ticks", "done", "n")))
    return float(at[np.argmax(by >= share - 1e-9)]) if by[-1] >= share - 1e-9 else float("nan")


def ticket_cells(shop: Shop, rows: ir.Table, *, group: str, limits: Mapping[str, float], how: str) -> list[Cells]:
    """The comparisons that tickets allow between teams or departments; `limits` in hours by 'reply' and 'close'.

    A ticket counts once the limit has passed since it came in, answered or not: so that the newest count only when all
    of them could be late.
    """
    asked: dict[str, tuple[ir.BooleanValue, ir.BooleanValue]] = {}
    for what in (what for what in ("reply", "close") if what in limits):
        took, limit = rows[f"{what}_{how}"], int(limits[what] * 3600)
        known = (rows[f"waited_{how}"] >= limit) & ~(took < 0).fill_null(False)
        known &= (took.notnull() | ~rows["closed"]) if what == "reply" else ibis.literal(True)
        asked[f"late_{what}"] = (known, ~(took <= limit).fill_null(False))
    asked["reopened"] = (rows["closed"] & rows["reopened"].notnull(), rows["reopened"])
    top = shop.fetch(rows.aggregate(top=rows["mark"].max()))["top"].iloc[0]
    asked["unhappy"] = (rows["mark"].notnull(), rows["mark"] <= 0.4 * _scale(top))
    return _counted(shop, rows, kind=group, asked=asked)


def left_out(shop: Shop, rows: ir.Table) -> tuple[int, int]:
    """Closed tickets without a mark, where there are marks, and tickets of no known team, in the window."""
    recent = rows.filter((rows["block"] >= 0) & (rows["block"] < BLOCKS))
    unmarked = recent["closed"] & recent["mark"].isnull() & ibis.literal(shop.has("tickets", "satisfaction"))
    sums = {"unmarked": unmarked, "unknown": recent["team"] == NOBODY}
    found = shop.fetch(recent.aggregate(**{name: said.cast("int64").sum() for name, said in sums.items()}))
    unmarked_n, unknown = found.fillna(0).astype(int).iloc[0]
    return int(unmarked_n), int(unknown)


def parcels(shop: Shop, *, within_days: int) -> ir.Table:
    """Grain: a parcel that left. Columns carrier, block (by the day it left), country, weekday, size (of the order),
    days (until delivered; empty: not yet), waited (days to as_of), wrote (a ticket within 30 days of the order)."""
    rows = shop.table("shipments").filter(lambda t: t["shipped_at"].notnull() & t["carrier"].notnull())
    if shop.has("orders"):
        of = shop.keep(orders(shop)).select("order_id", "country", "size", "wrote")
        rows = rows.inner_join(of, "order_id")
    else:
        rows = rows.mutate(country=ibis.literal(OTHER), size=ibis.literal("1"), wrote=ibis.null("boolean"))
    left = rows["shipped_at"].date()
    return rows.select(
        "country", "size", "wrote", carrier=rows["carrier"].strip(), weekday=left.day_of_week.index().cast("string"),
        block=_block(shop, left, within_days), days=rows["delivered_at"].date().delta(left, unit="day").cast("int64"),
        waited=_ago(shop, left),
    )  # fmt: skip


def parcel_cells(shop: Shop, rows: ir.Table) -> tuple[list[Cells], float, tuple[float, float, int]]:
    """The comparisons that parcels allow, the days after which one is late (nine of ten took no longer), and the median
    days now, in the window before, and of how many parcels.

    Carriers with under half of their parcels ever delivered tell no deliveries, and are not compared by them.
    """
    by = shop.fetch(
        rows.filter((rows["block"] >= 0) & (rows["block"] < 2 * BLOCKS))
        .group_by("carrier", now=rows["block"] < BLOCKS, done=rows["days"].notnull(),
                  ticks=ibis.least(ibis.coalesce(rows["days"], rows["waited"]), 400))
        .aggregate(n=lambda t: t.count()), max_rows=_MOST_ROWS,
    )  # fmt: skip
    told = by.assign(got=by["n"] * by["done"]).groupby("carrier")[["n", "got"]].sum()
    silent = told.index[told["got"] < _TRACKED * told["n"]].tolist()
    counts = by[~by["carrier"].isin(silent) & (by["ticks"] >= 0)]
    now, before = (counts[counts["now"] == recent] for recent in (True, False))
    late, half = reached(now, 0.9), reached(before, 0.5) if before["n"].sum() >= LEAST else float("nan")
    asked = {}
    if late == late:
        known = (rows["waited"] > int(late)) & ~rows["carrier"].isin(silent) & ~(rows["days"] < 0).fill_null(False)
        asked["late_parcel"] = (known, ~(rows["days"] <= int(late)).fill_null(False))
    asked["wrote"] = ((rows["waited"] > WRITES_WITHIN) & rows["wrote"].notnull(), rows["wrote"])
    return _counted(shop, rows, kind="carrier", asked=asked), late, (reached(now, 0.5), half, int(now["n"].sum()))


def orders(shop: Shop) -> ir.Table:
    """Grain: an order that stands. Columns order_id, day, supplier (empty unless all its goods are of one), size
    (lines: 1, 2, 3 or more), country, refunded (anything within 30 days), wrote (a ticket of the customer within 30
    days and before the next order; empty where that cannot be told).
    """
    rows = net_orders(shop).select("order_id", "customer_id", "ordered_at", "day")
    if shop.has("order_lines"):
        lines = shop.table("order_lines").select("order_id", "product_id")
        made = shop.table("products").select("product_id", _by=lambda t: t["supplier"].strip()) \
            if shop.has("products") else lines.select("product_id", _by=ibis.null("string")).distinct()  # fmt: skip
        lines = lines.left_join(made, "product_id")
        held = lines.group_by("order_id").aggregate(_n=lines.count(), _known=lines["_by"].count(),
                                                    _one=lines["_by"].min(), _other=lines["_by"].max())  # fmt: skip
        rows = rows.left_join(held, "order_id").drop("order_id_right")
    else:
        rows = rows.mutate(
            _n=ibis.literal(1), _known=ibis.literal(0), _one=ibis.null("string"), _other=ibis.null("string")
        )
    one = (rows["_one"] == rows["_other"]) & (rows["_known"] == rows["_n"]) & (rows["_one"] != "")
    if shop.has("customers", "country"):
        rows = rows.left_join(shop.table("customers").select("customer_id", "country"), "customer_id")
        rows = rows.drop("customer_id_right")
    else:
        rows = rows.mutate(country=ibis.null("string"))
    back = shop.table("orders").filter(lambda t: t["refunded"] > 0).select("order_id", "ordered_at", "refunded_at")
    took = back["refunded_at"].date().delta(back["ordered_at"].date(), unit="day")
    back = back.filter((took <= WRITES_WITHIN).fill_null(True))
    wrote = ibis.null("boolean")
    if shop.has("tickets", "customer_id"):
        # A ticket is about the latest order before it; who is not named could not be seen to write.
        own = ibis.window(group_by="customer_id", order_by=["ordered_at", "order_id"])
        bought = rows.select("order_id", "customer_id", "ordered_at", _next=rows["ordered_at"].lead().over(own))
        said = bought.inner_join(shop.table("tickets").select("customer_id", "opened_at"), "customer_id")
        after = said["opened_at"].date().delta(said["ordered_at"].date(), unit="day")
        said = said.filter((said["opened_at"] >= said["ordered_at"]) & (after <= WRITES_WITHIN)
                           & (said["opened_at"] < said["_next"]).fill_null(True))  # fmt: skip
        wrote = ibis.ifelse(rows["customer_id"].notnull(), rows["order_id"].isin(said["order_id"]), None)
    return rows.select(
        "order_id", "day", supplier=ibis.ifelse(one, rows["_one"], None), country=_often(shop, rows, "country"),
        size=ibis.least(rows["_n"].fill_null(1), 3).cast("string"), refunded=rows["order_id"].isin(back["order_id"]),
        wrote=wrote,
    )  # fmt: skip


def supplier_cells(shop: Shop, *, within_days: int) -> list[Cells]:
    """The comparisons that orders of one supplier's goods alone allow: it is clear there whose goods they were."""
    rows = shop.keep(orders(shop)).filter(lambda t: t["supplier"].notnull())
    rows = rows.mutate(block=_block(shop, rows["day"], within_days))
    old = _ago(shop, rows["day"]) > WRITES_WITHIN
    asked = {"refunded": (old, rows["refunded"])} if shop.has("orders", "refunded") else {}
    return _counted(
        shop, rows, kind="supplier", asked=asked | {"wrote": (old & rows["wrote"].notnull(), rows["wrote"])}
    )


def _counted(
    shop: Shop, rows: ir.Table, *, kind: str, asked: dict[str, tuple[ir.BooleanValue, ir.BooleanValue]]
) -> list[Cells]:
    """Each measure's cases and events in the window, by group and kind of case; of the groups with most cases."""
    mix, inside = MIX[kind], (rows["block"] >= 0) & (rows["block"] < BLOCKS) & (rows[kind] != NOBODY)
    top = rows.filter(inside).group_by(kind).aggregate(n=lambda t: t.count())
    names = shop.fetch(top.order_by(ibis.desc("n"), kind).limit(MOST_GROUPS))[kind].tolist()
    found = []
    for measure, (known, happened) in asked.items():
        counted = rows.mutate(_event=happened.cast("int64")).filter(inside & rows[kind].isin(names) & known)
        cells = counted.group_by(kind, "block", *mix).aggregate(n=counted.count(), events=counted["_event"].sum())
        frame = shop.fetch(cells.order_by(kind, "block", *mix), max_rows=_MOST_ROWS).rename(columns={kind: "team"})
        found += [Cells(kind=kind, measure=measure, frame=frame, mix=mix)] if len(frame) else []
    return found


def _often(shop: Shop, rows: ir.Table, column: str) -> ir.StringValue:
    """A text column with its rarer values as one."""
    said = rows[column].fill_null("").strip()
    by = rows.mutate(_said=said).group_by("_said").aggregate(n=lambda t: t.count())
    names = shop.fetch(by.order_by(ibis.desc("n"), "_said").limit(MOST_LEVELS))["_said"].tolist()
    return ibis.ifelse(said.isin([name for name in names if name]), said, OTHER)


def _ago(shop: Shop, day: ir.DateValue) -> ir.IntegerValue:
    return ibis.literal(shop.as_of).delta(day, unit="day").cast("int64") - 1


def _block(shop: Shop, day: ir.DateValue, within_days: int) -> ir.IntegerValue:
    return (_ago(shop, day) * BLOCKS // within_days).cast("int64")


def _scale(top: float) -> float:
    """The best mark of a scale that goes up to one, five, ten or a hundred, by the best that was given."""
    return next((end for end in (1.0, 5.0, 10.0) if top <= end), 100.0) if pd.notna(top) else 5.0
