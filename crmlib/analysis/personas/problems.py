"""What goes wrong for each kind more often than for others who order as often, and how did tickets that ended well go?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.personas.facts import FEW, Plan, bought
from crmlib.analysis.personas.kinds import Personas
from crmlib.findings import Action, Metric, Part
from crmlib.formats import FEW_PEOPLE
from crmlib.stats import compare
from crmlib.stats.corrections import adjust
from crmlib.stats.strata import matched

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

ERROR = 0.05
_TOPICS, _LEAST_TICKETS, _UNHAPPY, _LATE, _AGAIN_DAYS, _REFUND_DAYS = 12, 30, 2, 0.9, 90, 14
_HOURS, _LEAST_SIDE, _ALL = (4, 24), 20, "all topics"
_WITHIN_DAYS = 14


@dataclass(frozen=True)
class Problems:
    """What goes wrong, by kind.

    table    a row a kind and problem: kind, name, problem, customers (who had it), events, per_100 and others (events
             in 100 orders, of the kind and of the other kinds), ratio of customers who had it among those with as many
             orders, with low and high (95 %), p_value, q_value (Holm over all rows)
    missing  what could not be asked, and what it would need
    """

    table: pd.DataFrame
    missing: dict[str, str]

    @property
    def named(self) -> pd.DataFrame:
        """Problems that a kind has more often, beyond chance over all that was looked at; most cases first."""
        rows = self.table
        rows = rows[(rows["q_value"] < ERROR) & (rows["ratio"] > 1) & (rows["customers"] >= FEW_PEOPLE)]
        return rows.assign(more=rows["events"] * (1 - 1 / rows["ratio"])).sort_values("more", ascending=False)


def troubles(shop: Shop, at: Plan) -> ir.Table | None:
    """Grain: a customer and a problem of theirs within the plan's days. Columns customer_id, problem, events.

    None where no table tells of problems. Not enough for which order it was.
    """
    inside, found = _inside(at), []
    if shop.has("tickets", "customer_id"):
        rows = shop.table("tickets").filter(lambda t: inside(t["opened_at"].date()) & t["customer_id"].notnull())
        topics = _topics(shop, rows) if shop.has("tickets", "topic") else []
        rows = rows.filter(rows["topic"].isin(topics)) if topics else rows.mutate(topic=ibis.literal("anything"))
        found.append(rows.select("customer_id", problem=ibis.literal("tickets about ‘") + rows["topic"] + "’"))
    orders = shop.table("orders").filter(lambda t: inside(t["ordered_at"].date()) & t["customer_id"].notnull())
    if shop.has("orders", "refunded"):
        found.append(_said(orders.filter(orders["refunded"] > 0), "refunds"))
    if shop.has("orders", "cancelled_at"):
        found.append(_said(orders.filter(orders["cancelled_at"].notnull()), "cancelled orders"))
    if shop.has("shipments", "delivered_at"):
        parcels = shop.table("shipments").select("order_id", "delivered_at").inner_join(bought(shop, at), "order_id")
        parcels = parcels.mutate(_days=parcels["delivered_at"].date().delta(parcels["day"], unit="day").cast("int64"))
        usual = shop.fetch(parcels.aggregate(days=parcels["_days"].quantile(_LATE)))["days"].iloc[0]
        if usual == usual and usual is not None:
            found.append(_said(parcels.filter(parcels["_days"] > int(usual)), "late parcels"))
    if shop.has("feedback", "rating", "created_at") and shop.has("feedback", "customer_id"):
        texts = shop.table("feedback").filter(lambda t: inside(t["created_at"].date()) & t["customer_id"].notnull())
        found.append(_said(texts.filter(texts["rating"] <= _UNHAPPY), "bad reviews"))
    if not found:
        return None
    rows = found[0].union(*found[1:]) if len(found) > 1 else found[0]
    return rows.group_by("customer_id", "problem").aggregate(events=rows.count())


def _said(rows: ir.Table, problem: str) -> ir.Table:
    return rows.select("customer_id", problem=ibis.literal(problem))


def _inside(at: Plan):
    return lambda day: ((day >= ibis.literal(at.start)) & (day < ibis.literal(at.until))).fill_null(False)


def _topics(shop: Shop, rows: ir.Table) -> list[str]:
    counts = rows.filter(rows["topic"].notnull()).group_by("topic").aggregate(n=lambda t: t.count())
    counts = counts.filter(counts["n"] >= _LEAST_TICKETS).order_by(ibis.desc("n"), "topic").limit(_TOPICS)
    return list(shop.fetch(counts)["topic"])


def problems(shop: Shop, found: Personas) -> Problems:
    """What goes wrong more often for a kind than for the others with as many orders?

    Customers with too few orders are left out, as nobody else has as few. Corrected over all kinds and problems, so
    that a shop where all have the same troubles names one in at most 5 of 100.

    >>> problems(shop, measure(shop)).table["q_value"].between(0, 1).all()
    True
    """
    needs = {
        "tickets": ("tickets with customer_id", ("tickets", "customer_id")),
        "bad reviews": ("feedback with customer_id and rating", ("feedback", "customer_id", "rating")),
        "late parcels": ("shipments", ("shipments", "delivered_at")), "refunds": ("orders.refunded", ("orders", "refunded")),
    }  # fmt: skip
    missing = {name: what for name, (what, asked) in needs.items() if not shop.has(*asked)}
    rows = troubles(shop, found.at)
    people = found.people.filter(found.people["kind"] != FEW)
    people = people.mutate(band=(people["orders"].cast("float64").ln() * 4).floor().cast("int64"))
    sizes = shop.fetch(people.group_by("kind", "band").aggregate(n=people.count(), orders=people["orders"].sum()))
    columns = ["kind", "name", "problem", "customers", "events", "per_100", "others", "ratio", "low", "high", "p_value"]
    if rows is None or sizes["kind"].nunique() < 2:
        return Problems(pd.DataFrame(columns=[*columns, "q_value"]), missing)
    had = rows.inner_join(people.select("customer_id", "kind", "band"), "customer_id")
    cells = shop.fetch(had.group_by("kind", "band", "problem").aggregate(had=had.count(), events=had["events"].sum()))
    names, orders = found.table.set_index("kind")["name"], sizes.groupby("kind")["orders"].sum()
    made = []
    for problem, its in cells.groupby("problem"):
        both = sizes.merge(its, on=["kind", "band"], how="left").fillna({"had": 0, "events": 0})
        counts = np.r_[both["had"], both["n"] - both["had"]].astype(int)
        has = np.repeat(np.repeat([True, False], len(both)), counts)
        kinds, bands = (np.repeat(np.tile(both[name].to_numpy(), 2), counts) for name in ("kind", "band"))
        events = both.groupby("kind")["events"].sum()
        for kind in sorted(orders.index):
            seen = matched(has, kinds == kind, bands)
            rate, rest = events[kind] / orders[kind], (events.sum() - events[kind]) / (orders.sum() - orders[kind])
            made.append((kind, names[kind], problem, int(has[kinds == kind].sum()), int(events[kind]), 100 * rate,
                         100 * rest, seen.ratio, seen.low, seen.high, seen.p_value))  # fmt: skip
    table = pd.DataFrame(made, columns=columns)
    table["q_value"] = adjust(table["p_value"], method="holm")
    return Problems(table.sort_values(["q_value", "p_value", "kind"], ignore_index=True), missing)


def endings(shop: Shop, at: Plan) -> ir.Table:
    """Grain: a ticket of the plan's days that is closed or answered, and of which one knows how it ended.

    Columns topic, hours (until the first answer), refunded (an order of the customer within two weeks), well: marked
    with at least four of five and not reopened; without marks: not reopened, and ordered again within 90 days. Not
    enough for who answered.
    """
    inside = _inside(at)
    rows = shop.table("tickets").filter(lambda t: inside(t["opened_at"].date()))
    rows = rows.mutate(
        topic=rows["topic"].fill_null("anything"),
        hours=rows["first_reply_at"].delta(rows["opened_at"], unit="minute").cast("float64") / 60,
        again=rows["reopened"].cast("boolean").fill_null(False),
    ).filter(lambda t: t["hours"] >= 0)
    named = shop.has("orders", "customer_id") and shop.has("tickets", "customer_id")
    orders = bought(shop, at).select("order_id", "customer_id", "day") if named else None
    if shop.has("tickets", "satisfaction"):
        top = shop.fetch(rows.aggregate(top=rows["satisfaction"].max()))["top"].iloc[0]
        good = 0.8 * (5 if pd.isna(top) or top <= 5 else 10 if top <= 10 else 100)
        rows = rows.filter(rows["satisfaction"].notnull()).mutate(pleased=lambda t: t["satisfaction"] >= good)
    elif orders is not None:
        rows = rows.filter(rows["opened_at"].date() < ibis.literal(at.until - pd.Timedelta(days=_AGAIN_DAYS)))
        next_ = rows.select("ticket_id", "customer_id", "opened_at").inner_join(orders, "customer_id")
        next_ = next_.filter(next_["day"].delta(next_["opened_at"].date(), unit="day").between(1, _AGAIN_DAYS))
        rows = rows.mutate(pleased=rows["ticket_id"].isin(next_["ticket_id"]))
    else:
        rows = rows.filter(ibis.literal(False)).mutate(pleased=ibis.literal(False))
    back = rows.mutate(refunded=ibis.literal(False))
    if orders is not None and shop.has("orders", "refunded", "refunded_at"):
        given = shop.table("orders").filter(lambda t: t["refunded"] > 0).select("customer_id", "refunded_at")
        given = rows.select("ticket_id", "customer_id", "opened_at").inner_join(given, "customer_id")
        after = given["refunded_at"].date().delta(given["opened_at"].date(), unit="day").between(0, _REFUND_DAYS)
        back = rows.mutate(refunded=rows["ticket_id"].isin(given.filter(after)["ticket_id"]))
    return back.select("topic", "hours", "refunded", well=back["pleased"] & ~back["again"])


def answers(shop: Shop, found: Personas) -> pd.DataFrame:
    """Which way of answering goes with tickets that end well? A row a topic (and all together) and way of answering.

    Columns topic, answer, n, share (ended well when answered so), others (when not), ratio, low, high, p_value, q_value
    (Holm over all rows): an association, as easy tickets are answered sooner, too. Empty without tickets.
    """
    columns = ["topic", "answer", "n", "share", "others", "ratio", "low", "high", "p_value"]
    if not shop.has("tickets", "first_reply_at"):
        return pd.DataFrame(columns=[*columns, "q_value"])
    rows = endings(shop, found.at)
    slot = ibis.cases(*((rows["hours"] <= limit, n) for n, limit in enumerate(_HOURS)), else_=len(_HOURS))
    rows = rows.group_by("topic", "refunded", "well", slot=slot).aggregate(n=lambda t: t.count())
    cells = shop.fetch(rows)
    made = []
    for topic in [_ALL, *sorted(cells["topic"].unique())]:
        its = cells if topic == _ALL else cells[cells["topic"] == topic]
        ways = {f"answered within {hours} hours": its["slot"] <= n for n, hours in enumerate(_HOURS)}
        for answer, so in (ways | {"refunded within two weeks": its["refunded"]}).items():
            n, well = (int(its.loc[so, "n"].sum()), int(its.loc[so & its["well"], "n"].sum()))
            rest, good = (int(its.loc[~so, "n"].sum()), int(its.loc[~so & its["well"], "n"].sum()))
            if min(n, rest) < _LEAST_SIDE or (topic == _ALL and its["topic"].nunique() < 2):
                continue
            if topic == _ALL:
                grown = its.loc[its.index.repeat(its["n"])]
                seen = matched(grown["well"].to_numpy(bool), so.loc[grown.index].to_numpy(bool),
                               pd.factorize(grown["topic"])[0].astype(np.int64))  # fmt: skip
                ratio, low, high, p = seen.ratio, seen.low, seen.high, seen.p_value
            else:
                ratio = (well / n) / (good / rest) if good else np.nan
                low, high = compare.ratio_interval(well, n, good, rest)
                p = compare.score_test(well, n, good, rest)
            made.append((topic, answer, n, well / n, good / rest, ratio, low, high, p))
    table = pd.DataFrame(made, columns=columns)
    table["q_value"] = adjust(table["p_value"], method="holm") if len(table) else pd.Series(dtype=float)
    return table.sort_values(["q_value", "p_value"], ignore_index=True)


def part_problems(found: Personas, troubles: Problems) -> Part:
    """The finding: which problems a kind has more often than others with as many orders."""
    table, named = troubles.table, troubles.named
    hidden = figures.masked(table, count="customers", rates=["events", "per_100", "others", "ratio", "low", "high"])
    if table.empty:
        return Part(tables={"problems": hidden})
    shown = named.head(6) if len(named) else table.head(6)
    shown = shown.assign(label=[f"{row['name']}: {row.problem}" for _, row in shown.iterrows()])
    checked = wording.counted(len(table), "pair")
    title, sentence = f"No {found.word} has a problem more often than others", f"None of {checked} differs beyond chance."
    actions = []
    if len(named):
        top = named.iloc[0]
        title = f"‘{top['name']}’ customers have {top['problem']} more often"
        sentence = (f"In 100 orders {formats.number(top['per_100'], digits=1)}, {formats.number(top['others'], digits=1)} "
                    "for others; compared with customers of as many orders.")  # fmt: skip
        cases = wording.counted(round(top["more"] / 2), "case")
        actions = [Action(
            what=f"Find out why ‘{top['name']}’ customers have {top['problem']}", owner="service",
            worth=f"about {cases} a year", count=int(top["customers"]), file="tables/problems.csv",
            by=wording.working_day(found.at.until, _WITHIN_DAYS),
            why="More than others with as many orders have; what the cause is, numbers do not tell.",
        )]  # fmt: skip
    return Part(
        title=title, sentence=sentence, actions=actions, tables={"problems": hidden}, detail=not len(named),
        metrics=[Metric(id="problems", label="Problems of one group", value=len(named), unit="problems",
                        definition="pairs of group and problem beyond chance, corrected over all pairs")],
        chart=figures.dots(
            shown, label="label", value="ratio", low="low", high="high", reference=1.0, form=formats.multiple,
            what="times as many customers as among others", log=True,
            table=figures.tabulate(
                shown.assign(customers=shown["customers"]), caption="Problems beside those of others", file="tables/problems.csv",
                labels={"label": "Problem", "customers": "Customers", "per_100": "In 100 orders", "others": "Others", "ratio": "Times"},
                formats={"customers": formats.people, "ratio": formats.multiple,
                         "per_100": lambda x: formats.number(x, digits=1), "others": lambda x: formats.number(x, digits=1)},
            ),
        ),
        certain=[f"If all had the same troubles, chance would name one of {checked} in at most five of 100 shops."],
    )  # fmt: skip


def part_answers(found: Personas, table: pd.DataFrame, troubles: Problems) -> Part:
    """The finding: which way of answering goes with tickets that end well, as standard answers."""
    if table.empty:
        return Part()
    good = table[(table["q_value"] < ERROR) & (table["ratio"] > 1)]
    shown = (good if len(good) else table).head(6)
    shown = shown.assign(label=[f"{wording.upper(row.topic)}, {row.answer}" for row in shown.itertuples()])
    title, sentence = "No way of answering ends better than another", "None differs beyond chance."
    actions = []
    if len(good):
        about = [row for row in good.itertuples() if row.topic != _ALL]
        top = about[0] if about else next(good.itertuples())
        tickets = "Tickets" if top.topic == _ALL else f"Tickets about ‘{top.topic}’"
        title = f"{tickets} {top.answer} end well more often"
        sentence = (f"{formats.share(top.share)} end well, {formats.share(top.others)} of the rest; easy tickets are "
                    "answered sooner, too.")  # fmt: skip
        actions = [Action(what=f"Standard answer: {wording.lower(tickets)} {top.answer}", owner="service", count=int(top.n),
                          worth=f"{formats.share(top.share)} end well, else {formats.share(top.others)}",
                          by=wording.working_day(found.at.until, _WITHIN_DAYS), file="tables/answers.csv",
                          why="An association: try it on half of such tickets.")]  # fmt: skip
    return Part(
        title=title, sentence=sentence, actions=actions, tables={"answers": table}, detail=not len(good),
        chart=figures.table(
            shown, caption="Tickets that ended well, by how they were answered", file="tables/answers.csv",
            labels={"label": "Tickets", "n": "So answered", "share": "Ended well", "others": "Others"},
            formats={"n": formats.people, "share": formats.share, "others": formats.share},
        ),
    )  # fmt: skip
