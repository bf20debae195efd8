"""What goes wrong for each kind more often than for others?"""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy import stats

from crmlib import figures, formats, wording
from crmlib.analysis.personas.cut import ERROR
from crmlib.analysis.personas.facts import FEW, Plan, bought
from crmlib.analysis.personas.kinds import Personas
from crmlib.findings import Action, Metric, Part
from crmlib.formats import FEW_PEOPLE
from crmlib.shop.shop import Shop
from crmlib.stats.corrections import adjust

_TOPICS, _LEAST_TICKETS, _UNHAPPY, _LATE, _LEAST_EVENTS, _SHOWN, _WITHIN_DAYS = 12, 30, 2, 0.9, 10, 6, 14
_ASKED = {"tickets": ("tickets", "customer_id"), "bad reviews": ("feedback", "customer_id", "rating", "created_at"),
          "late parcels": ("shipments", "delivered_at"), "refunds": ("orders", "refunded"),
          "cancelled orders": ("orders", "cancelled_at")}  # fmt: skip
_COLUMNS = ["kind", "name", "problem", "customers", "events", "per_100", "others", "ratio", "low", "high", "p_value"]


@dataclass(frozen=True)
class Problems:
    """What goes wrong, by kind.

    table    a row a kind and problem: kind, name, problem, customers (who had it), events, per_100 and others (events
             in 100 orders of the kind and of the other kinds), ratio of the two with low and high (95 %; nan: too
             few), p_value, q_value (Holm over all rows)
    missing  what could not be asked, by the columns it needs
    pieces   pieces bought by each kind; empty where the shop's lines do not say
    """

    __repr__ = formats.outline

    table: pd.DataFrame
    missing: dict[str, str]
    pieces: pd.Series

    @property
    def named(self) -> pd.DataFrame:
        """Problems that a kind has more often, beyond chance over all that was looked at; `more`: how many cases."""
        rows = self.table
        rows = rows[(rows["q_value"] < ERROR) & (rows["ratio"] > 1) & (rows["customers"] >= FEW_PEOPLE)]
        return rows.assign(more=rows["events"] * (1 - 1 / rows["ratio"])).sort_values("more", ascending=False)


def within(at: Plan, rows: ir.Table, time: str) -> ir.Table:
    """The rows of named customers from the days of the plan, as they are."""
    day = rows[time].date()
    return rows.filter((day >= ibis.literal(at.start)) & (day < ibis.literal(at.until)) & rows["customer_id"].notnull())


def troubles(shop: Shop, at: Plan) -> ir.Table:
    """Grain: a customer and a problem of theirs within the plan's days. Columns customer_id, problem, events.

    Without any table that tells of problems there are no rows. Not enough for which order it was.
    """
    there = [name for name, asked in _ASKED.items() if shop.has(*asked)]
    orders = within(at, shop.table("orders"), "ordered_at")
    found = {"": orders.filter(ibis.literal(False)), "refunds": orders.filter(orders["refunded"] > 0),
             "cancelled orders": orders.filter(orders["cancelled_at"].notnull())}  # fmt: skip
    if "late parcels" in there:
        parcels = shop.table("shipments").select("order_id", "delivered_at").inner_join(bought(shop, at), "order_id")
        parcels = parcels.mutate(_days=parcels["delivered_at"].date().delta(parcels["day"], unit="day").cast("int64"))
        usual = shop.fetch(parcels.aggregate(days=parcels["_days"].quantile(_LATE)))["days"].fillna(1e6).iloc[0]
        found["late parcels"] = parcels.filter(parcels["_days"] > int(usual))
    if "bad reviews" in there:
        found["bad reviews"] = within(at, shop.table("feedback"), "created_at").filter(
            lambda t: t["rating"] <= _UNHAPPY
        )
    rows = [found[name].select("customer_id", problem=ibis.literal(name)) for name in ("", *there) if name in found]
    if "tickets" in there:
        tickets = within(at, shop.table("tickets"), "opened_at").filter(lambda t: t["topic"].notnull())
        often = tickets.group_by("topic").aggregate(n=tickets.count()).filter(lambda t: t["n"] >= _LEAST_TICKETS)
        often = shop.fetch(often.order_by(ibis.desc("n"), "topic").limit(_TOPICS))["topic"]
        tickets = (
            tickets.filter(tickets["topic"].isin(list(often))) if len(often) else tickets.filter(ibis.literal(False))
        )
        rows.append(tickets.select("customer_id", problem=ibis.literal("tickets about ‘") + tickets["topic"] + "’"))
    both = ibis.union(*rows) if len(rows) > 1 else rows[0]
    return both.group_by("customer_id", "problem").aggregate(events=both.count())


def problems(shop: Shop, found: Personas) -> Problems:
    """What goes wrong more often in the orders of a kind than in those of the others?

    Customers with too few orders are left out. Corrected over all kinds and problems, so that a shop where all have the
    same troubles names one in at most 5 of 100.

    >>> bool(problems(shop, measure(shop)).table["q_value"].between(0, 1).all())
    True
    """
    missing = {name: f"{asked[0]}.{' and '.join(asked[1:])}" for name, asked in _ASKED.items() if not shop.has(*asked)}
    people = found.people.filter(found.people["kind"] != FEW).select("customer_id", "kind", o=lambda t: t["orders"])
    sizes = people.group_by("kind").aggregate(orders=people["o"].sum(), oo=(people["o"] * people["o"]).sum())
    all_ = shop.fetch(sizes).set_index("kind").astype(float).sort_index()
    had = troubles(shop, found.at).inner_join(people, "customer_id")
    e, o = had["events"], had["o"]
    sums = {"customers": had.count(), "events": e.sum(), "ee": (e * e).sum(), "eo": (e * o).sum()}
    cells = shop.fetch(had.group_by("problem", "kind").aggregate(**sums)).set_index("kind")
    names, made = found.table.set_index("kind")["name"], []
    for problem, its in cells.groupby("problem"):
        both = all_.join(its.drop(columns="problem")).fillna(0.0)
        for kind in all_.index if len(all_) > 1 else []:
            one, other = both.loc[kind], both.drop(kind).sum()
            made.append((kind, names[kind], problem, int(one["customers"]), int(one["events"]), *_rates(one, other)))
    table = pd.DataFrame(made, columns=_COLUMNS)
    table["q_value"] = adjust(table["p_value"].astype(float), method="holm")
    table = table.sort_values(["q_value", "p_value", "kind"], ignore_index=True)
    return Problems(table, missing, _pieces(shop, found.at, people))


def _pieces(shop: Shop, at: Plan, people: ir.Table) -> pd.Series:
    """Pieces by kind: whoever buys more at once can have more go wrong in an order without anything being amiss."""
    if not shop.has("order_lines", "quantity"):
        return pd.Series(dtype=float)
    lines = shop.table("order_lines").filter(lambda t: t["quantity"] > 0).select("order_id", "quantity")
    lines = bought(shop, at).select("order_id", "customer_id").inner_join(lines, "order_id")
    lines = lines.inner_join(people.select("customer_id", "kind"), "customer_id")
    return shop.fetch(lines.group_by("kind").aggregate(n=lines["quantity"].sum())).set_index("kind")["n"].astype(float)


def _rates(one: pd.Series, other: pd.Series) -> tuple[float, ...]:
    """Events in 100 orders of the one and the other, their ratio with a 95 % range, and p.

    What one customer has several times counts as one: errors are those of a ratio of sums over customers (Cochran
    1977, section 6.4).
    """
    rates = [side["events"] / side["orders"] for side in (one, other)]
    if min(one["events"], other["events"]) < _LEAST_EVENTS:
        return 100 * rates[0], 100 * rates[1], np.nan, np.nan, np.nan, 1.0
    variance = sum(
        (side["ee"] - 2 * rate * side["eo"] + rate**2 * side["oo"]) / side["events"] ** 2
        for side, rate in zip((one, other), rates, strict=True)
    )
    ratio, error = rates[0] / rates[1], float(np.sqrt(variance))
    p = 2 * float(stats.norm.sf(abs(np.log(ratio)) / error))
    return 100 * rates[0], 100 * rates[1], ratio, ratio * np.exp(-1.96 * error), ratio * np.exp(1.96 * error), p


def part_problems(found: Personas, troubles: Problems) -> Part:
    """The finding: which problems a kind has more often than others."""
    table, named = troubles.table, troubles.named
    hidden = figures.masked(table, count="customers", rates=["events", "per_100", "others", "ratio", "low", "high"])
    if table.empty:
        return Part(tables={"problems": hidden})
    shown = (named if len(named) else hidden).head(_SHOWN)
    shown = shown.assign(label=[f"{row['name']}: {row['problem']}" for _, row in shown.iterrows()])
    checked = wording.counted(len(table), "pair")
    title, sentence = f"No {found.word} has a problem more often than others", f"None of {checked} stands out."
    actions = []
    if len(named):
        top = named.iloc[0]
        title = f"‘{top['name']}’ customers have {top['problem']} more often"
        sentence = f"In 100 of their orders {_one(top['per_100'])}, in 100 of others {_one(top['others'])}."
        sentence = wording.sentences(sentence, _by_piece(troubles, top))
        cases = wording.counted(round(top["more"] / 2), "case")
        actions = [
            Action(
                what=f"Find out why ‘{top['name']}’ customers have {top['problem']}", owner="service",
                worth=f"about {cases} a year beyond others", count=int(top["customers"]), file="tables/problems.csv",
                by=wording.working_day(found.at.until, _WITHIN_DAYS),
                why="They have more in 100 orders than others; numbers do not tell the cause.",
            )
        ]  # fmt: skip
    return Part(
        title=title, sentence=sentence, actions=actions, tables={"problems": hidden}, detail=not len(named),
        metrics=[Metric(id="problems", label="Problems of one group", value=len(named), unit="problems",
                        definition="pairs of group and problem beyond chance, corrected over all pairs")],
        chart=figures.dots(
            shown, label="label", value="ratio", low="low", high="high", reference=1.0, form=formats.multiple, log=True,
            what="times as many in 100 orders as others have",
            table=figures.tabulate(
                shown, caption="Problems beside those of others", file="tables/problems.csv",
                labels={"label": "Problem", "customers": "Customers", "per_100": "In 100 orders", "others": "Others"},
                formats={"customers": _count, "per_100": _one, "others": _one},
            ),
        ),
        certain=[f"If all had the same troubles, chance would name any of {checked} in at most five of 100 shops."],
    )  # fmt: skip


def _by_piece(troubles: Problems, top: pd.Series) -> str:
    """The same for each piece bought, where the two are not alike in how much they buy at once."""
    rows, pieces = troubles.table[troubles.table["problem"] == top["problem"]].set_index("kind"), troubles.pieces
    if top["kind"] not in pieces or len(rows) < 2:
        return ""
    mine = 100 * rows.at[top["kind"], "events"] / pieces[top["kind"]]
    others = 100 * rows["events"].drop(top["kind"]).sum() / pieces.drop(top["kind"]).sum()
    both = f"in 100 pieces {formats.number(mine, digits=2)}, in 100 of others {formats.number(others, digits=2)}"
    return f"By the piece they have no more: {both}." if mine <= 1.1 * others else f"By the piece, too: {both}."


def _one(value: float) -> str:
    return formats.number(value, digits=2 if value < 10 else 1)


def _count(value: float | str) -> str:
    return value if isinstance(value, str) else formats.people(value)
