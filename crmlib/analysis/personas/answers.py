"""How were the tickets answered that ended well?"""

from __future__ import annotations

from datetime import timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.personas.cut import ERROR
from crmlib.analysis.personas.facts import Plan, bought
from crmlib.analysis.personas.kinds import Personas
from crmlib.analysis.personas.problems import within
from crmlib.findings import Action, Part
from crmlib.shop.shop import Shop
from crmlib.stats.corrections import adjust
from crmlib.stats.strata import matched

AGAIN_DAYS, REFUND_DAYS, PART_DAYS, HOURS = 90, 14, 3, (4, 24)
_LEAST_SIDE, _ALL, _SHOWN, _WITHIN_DAYS, _GOOD = 20, "all topics", 6, 14, 0.8


def endings(shop: Shop, at: Plan) -> ir.Table:
    """Grain: an answered ticket of the plan's days of which one knows how it ended. Not enough for who answered.

    Columns topic, hours (until the first answer), refunded (an order of theirs within two weeks), replaced (another
    parcel of an order that had one before, or an order that costs nothing, within two weeks), well: marked with at
    least four of five and not reopened; without marks: not reopened, and ordered again within 90 days.
    """
    rows = within(at, shop.table("tickets"), "opened_at")
    begun, ended = (rows[name].truncate("m") for name in ("opened_at", "first_reply_at"))
    hours = ended.delta(begun, unit="minute").cast("float64") / 60
    rows = rows.mutate(topic=rows["topic"].fill_null("anything"), hours=hours).filter(hours >= 0)

    def followed(dated: ir.Table, days: int) -> ir.BooleanColumn:
        both = rows.select("ticket_id", "customer_id", "opened_at").inner_join(dated, "customer_id")
        after = both["_day"].delta(both["opened_at"].date(), unit="day")
        return rows["ticket_id"].isin(both.filter((after > 0) & (after <= days))["ticket_id"])

    back = shop.table("orders").filter(lambda t: t["refunded"] > 0).mutate(_day=lambda t: t["refunded_at"].date())
    refunded = followed(back.select("customer_id", "_day"), REFUND_DAYS)
    replaced = [followed(rows_, REFUND_DAYS) for rows_ in replacements(shop)]
    if marked := shop.has("tickets", "satisfaction"):
        top = shop.fetch(rows.aggregate(top=rows["satisfaction"].max()))["top"].fillna(0).iloc[0]
        well = rows["satisfaction"] >= _GOOD * next(scale for scale in (5, 10, 100) if top <= scale)
    else:
        well = followed(bought(shop, at).select("customer_id", _day="day"), AGAIN_DAYS)
    known = rows["satisfaction"].notnull() if marked else (
        rows["opened_at"].date() < ibis.literal(at.until - timedelta(days=AGAIN_DAYS))
    )  # fmt: skip
    again = rows["reopened"].cast("boolean").fill_null(False)
    rows = rows.mutate(refunded=refunded, replaced=ibis.or_(*replaced), well=well & ~again)
    return rows.filter(known).select("topic", "hours", "refunded", "replaced", "well")


def replacements(shop: Shop) -> list[ir.Table]:
    """What was sent once more: customer_id, _day; orders that cost nothing, and further parcels of an order."""
    orders = shop.table("orders").filter(lambda t: t["cancelled_at"].isnull())
    free = orders.filter(orders["total"] == 0).select("customer_id", _day=orders["ordered_at"].date())
    if not shop.has("shipments", "shipped_at"):
        return [free]
    sent = shop.table("shipments").filter(lambda t: t["shipped_at"].notnull())
    sent = sent.mutate(_day=sent["shipped_at"].date(), _first=sent["shipped_at"].min().over(group_by="order_id"))
    # Parcels of one day, or of a few after it, are one order in parts.
    later = sent.filter(sent["_day"].delta(sent["_first"].date(), unit="day") > PART_DAYS)
    return [free, later.inner_join(orders.select("order_id", "customer_id"), "order_id").select("customer_id", "_day")]


def answers(shop: Shop, found: Personas) -> pd.DataFrame:
    """Which way of answering goes with tickets that end well? A row a topic (and all together) and way of answering.

    Columns topic, answer, n, share (ended well when answered so), others (when not), ratio, low, high, p_value, by
    ('mark' or 'order', what shows that it ended well), q_value (Holm over all rows): an association, as easy tickets
    are answered sooner, too. Empty without tickets.
    """
    columns, made = ["topic", "answer", "n", "share", "others", "ratio", "low", "high", "p_value"], []
    if shop.has("tickets", "first_reply_at", "customer_id"):
        rows = endings(shop, found.at)
        slot = ibis.cases(*((rows["hours"] <= limit, n) for n, limit in enumerate(HOURS)), else_=len(HOURS))
        cells = shop.fetch(
            rows.group_by("topic", "refunded", "replaced", "well", slot=slot).aggregate(n=lambda t: t.count())
        )
        cells = cells.loc[cells.index.repeat(cells["n"])].reset_index(drop=True)
        ways = {f"answered within {hours} hours": cells["slot"] <= n for n, hours in enumerate(HOURS)}
        ways |= {f"{done} within two weeks": cells[done] for done in ("refunded", "replaced")}
        topics = [_ALL, *sorted(cells["topic"].unique())] if cells["topic"].nunique() > 1 else cells["topic"].unique()
        for topic in topics:
            its = np.ones(len(cells), dtype=bool) if topic == _ALL else (cells["topic"] == topic).to_numpy()
            for answer, so in ways.items():
                had, group = cells["well"].to_numpy(bool)[its], so.to_numpy(bool)[its]
                if min(group.sum(), (~group).sum()) >= _LEAST_SIDE:
                    seen = matched(had, group, pd.factorize(cells["topic"][its])[0].astype(np.int64))
                    made.append((topic, answer, int(group.sum()), seen.one, seen.other, seen.ratio, seen.low, seen.high,
                                 seen.p_value))  # fmt: skip
    table = pd.DataFrame(made, columns=columns).assign(by="mark" if shop.has("tickets", "satisfaction") else "order")
    table["q_value"] = adjust(table["p_value"].astype(float), method="holm")
    return table.sort_values(["q_value", "p_value"], ignore_index=True)


def part_answers(found: Personas, table: pd.DataFrame) -> Part:
    """The finding: which way of answering goes with tickets that end well, as standard answers."""
    good = table[(table["q_value"] < ERROR) & (table["ratio"] > 1)]
    if table.empty:
        return Part()
    shown = (good if len(good) else table).head(_SHOWN)
    shown = shown.assign(label=[f"{wording.upper(row.topic)}, {row.answer}" for row in shown.itertuples()])
    title, sentence, actions = "No way of answering ends better than another", "None differs beyond chance.", []
    if len(good):
        top = (good[good["topic"] != _ALL] if (good["topic"] != _ALL).any() else good).iloc[0]
        tickets = "Tickets" if top["topic"] == _ALL else f"Tickets about ‘{top['topic']}’"
        ends, else_ = formats.share(top["share"]), formats.share(top["others"])
        title = f"{tickets} {top['answer']} end well more often"
        sentence = f"{ends} end well, {else_} of the rest; easy tickets are answered sooner, too."
        actions = [
            Action(
                what=f"Try as a standard: {wording.lower(tickets)} {top['answer']}", owner="service",
                worth=f"{ends} end well, else {else_}", by=wording.working_day(found.at.until, _WITHIN_DAYS),
                file="tables/answers.csv", why="An association, not a proof: try it on half of such tickets.",
            )
        ]  # fmt: skip
    marked = (table["by"] == "mark").all()
    well = "marked at least 4 of 5" if marked else f"ordered again within {AGAIN_DAYS} days"
    said = f"Tickets that ended well ({well}, and not reopened), by how they were answered"
    return Part(
        title=title, sentence=sentence, actions=actions, tables={"answers": table}, detail=not len(good),
        chart=figures.table(
            shown, caption=said, file="tables/answers.csv",
            labels={"label": "Tickets", "n": "So answered", "share": "Ended well", "others": "Others"},
            formats={"n": formats.people, "share": formats.share, "others": formats.share},
        ),
    )  # fmt: skip
