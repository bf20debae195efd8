"""Prices, in the order of the page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.prices.advice import DROP, LONGEST_TEST, LOWER, RAISE, TEST, Advice
from crmlib.analysis.prices.history import LEAST_LINES, NEVER, PROMOTED, History, cash
from crmlib.analysis.prices.slopes import TOGETHER
from crmlib.findings import Action, Caveat, Findings, Metric, Part, compose

_MOST_ACTIONS, _WITHIN_DAYS = 3, 14
_TAX = {True: "Prices are with tax, costs put up by it, and margins without", False: "Prices hold no tax",
        None: "Whether prices hold tax shop.toml does not say (prices_include_tax): none is taken off"}  # fmt: skip
_COLUMNS = ["product_id", "product", "price", "floor", "elasticity", "low", "high", "identified", "advice", "shelf",
            "other", "tried", "worth", "worth_low", "worth_high", "days", "moved", "part_year"]  # fmt: skip


def page(found: History, advice: Advice, parts: Sequence[Part]) -> Findings:
    """Are prices right, and for whom? `parts` in the order of the page."""
    if found.products.empty:
        n = wording.counted(round(advice.floors.table["pieces"].sum()), "piece")
        few = f"Too few to conclude (n = {n} in three months): a product of {LEAST_LINES} order lines is needed."
        return compose("prices", few, [part_few(advice)], status="too_few")
    return compose("prices", headline(advice), [*parts, part_do(advice), part_limits(advice)])


def headline(advice: Advice) -> str:
    """What prices should do, in at most 20 words."""
    moves = [(verb, n) for what, verb in ((RAISE, "raising"), (LOWER, "lowering")) if (n := len(advice.of(what)))]
    told = [
        f"{verb} {wording.small(n)}" + f" {wording.noun(n, 'price')}" * (not at) for at, (verb, n) in enumerate(moves)
    ]
    said = [f"{wording.listed(told)} would probably earn more"] if told else []
    if under := len(advice.floors.under):
        sell, its = wording.noun(under, "sells", "sell"), wording.noun(under, "its")
        said.append(f"{wording.small(under)} {wording.noun(under, 'product')} {sell} below {its} floor")
    if said:
        return wording.upper("; ".join(said)) + "."
    known, never = int(advice.table["identified"].sum()), int((advice.table["moved"].isin([NEVER, PROMOTED])).sum())
    if not known:
        there = wording.counted(never, "price") + " never moved" if never else "too little was sold at two prices"
        return f"Whether prices are right is not known: {there}."
    if not advice.compared:
        return f"{wording.upper(wording.counted(known, 'price'))} moved; without costs nobody can say which earn more."
    those = "the one price" if known == 1 else f"the {wording.counted(known, 'price')}"
    return f"Of {those} that moved, not one is known to earn more elsewhere: keep them."


def part_advice(advice: Advice) -> Part:
    """The finding that leads: what the margin would be at the other price that was tried, for products that moved."""
    table = advice.table.rename(columns={"name": "product"})
    sure, known = table["advice"].isin([RAISE, LOWER]) & (table["worth_low"] > 0), int(table["identified"].sum())
    judged, never = int(table["shelf"].notna().sum()), int(table["moved"].isin([NEVER, PROMOTED]).sum())
    gain, moved = table[sure], table[table["worth"].notna()]
    sums = {name: float(gain[name].sum()) for name in ("worth", "worth_low", "worth_high")}
    metrics = [
        Metric(id="identified", label="Moved enough to judge", value=float(known), unit=wording.noun(known, "product"),
               headline=True, n=judged, note=f"of {formats.number(judged)}",
               definition="products whose lasting price moved, with at least 30 pieces at each of two prices"),
        Metric(id="never_moved", label="Price never moved", value=float(never), unit=wording.noun(never, "product"),
               headline=True, definition="products with one lasting price only, outside promotions"),
    ]  # fmt: skip
    if len(gain):
        metrics.append(Metric(
            id="gain", label="Margin a year from better prices", value=sums["worth"], unit=advice.currency,
            low=sums["worth_low"], high=sums["worth_high"], headline=True, spread=True,
            n=len(gain), definition="what is paid less cost and delivery, in a year at the tried price that pays, less "
            "today's; all ranges hold at once",
        ))  # fmt: skip
    tables = {"prices": table[_COLUMNS]}
    if moved.empty:
        return Part(metrics=metrics, tables=tables)
    money, whole = cash(advice.currency), lambda value: formats.money(value, advice.currency)
    label = [f"{row.product}: {money(row.shelf)} to {money(row.tried)}" for row in moved.itertuples()]
    shown = moved.assign(sure=sure, label=label, size=moved["worth"].abs()).sort_values(
        ["sure", "size"], ascending=False
    )
    worth = formats.quantity(sums["worth"], advice.currency, low=sums["worth_low"], high=sums["worth_high"])
    title = f"{wording.small(len(gain))} other {wording.noun(len(gain), 'price')} would earn {worth} more a year"
    if gain.empty:
        title = "No other price that was tried is known to earn more"
    return Part(
        title=wording.upper(title), metrics=metrics, tables=tables, glance=True,
        sentence="Each dot is a price that was tried before, against today's; hollow ones may be chance.",
        chart=figures.dots(
            shown, label="label", value="worth", low="worth_low", high="worth_high", strong="sure" if len(gain) else "",
            what="margin a year at the other price, against today's", reference=0.0, rows=6, form=whole,
            table=figures.tabulate(
                shown, caption="Products whose lasting price moved", file="prices",
                labels={"product": "Product", "shelf": "Price", "tried": "Other price", "elasticity": "Elasticity",
                        "low": "From", "high": "To", "worth": "A year", "advice": "Advice"},
                formats={"shelf": money, "tried": money, "worth": whole}
                | dict.fromkeys(["elasticity", "low", "high"], lambda value: formats.number(value, digits=1)),
            ),
        ),
    )  # fmt: skip


def part_tests(advice: Advice) -> Part:
    """The finding, folded: prices whose effect is not known, and how long a test of each would take."""
    rows, span = advice.of(TEST).sort_values("days"), wording.span(LONGEST_TEST + 1)
    money, part = cash(advice.currency), advice.table.loc[advice.table["part_year"], "name"]
    left = f" Sold in a part of the year only, and so left out: {wording.listed(part, most=4)}." if len(part) else ""
    if rows.empty:
        few = f"No product sells enough for a test to tell within {span} what earns more."
        return Part(title="No price is worth a test", sentence=few + left, detail=True)
    return Part(
        title=f"{wording.upper(wording.counted(len(rows), 'price'))} could be tested within {span}", detail=True,
        sentence=f"Two prices take turns by week until it is clear which earns more.{left}",
        chart=figures.table(rows.assign(weeks=rows["days"] // 7), caption="Tests, the shortest first", file="prices",
                            labels={"name": "Product", "shelf": "Price", "other": "Against", "weeks": "Weeks"},
                            formats={"shelf": money, "other": money, "weeks": formats.number}),
    )  # fmt: skip


def part_do(advice: Advice) -> Part:
    """Raise, lower, drop, test: at most three lines, the best of each kind first."""
    money, by = cash(advice.currency), wording.working_day(advice.as_of, _WITHIN_DAYS)
    ranked: list[tuple[int, float, Action]] = []
    file = "tables/prices.csv"
    for what, verb in ((RAISE, "Raise"), (LOWER, "Lower")):
        for place, row in enumerate(advice.of(what).head(_MOST_ACTIONS).itertuples()):
            worth = float(np.nan_to_num(row.worth)) if row.other == row.tried else 0.0
            said = f"{wording.rounded_money(worth, advice.currency)} a year" if worth else "sells below its floor"
            ranked.append((place, -worth, Action(
                what=f"{verb} {row.name} to {money(row.other)}", worth=said, by=by, owner="sales", file=file,
                weight=worth, why=_why(row, advice.currency),
            )))  # fmt: skip
    if len(rows := advice.of(DROP)):
        short = float(advice.floors.table.set_index("product_id")["short"].reindex(rows["product_id"]).sum())
        ranked.append((0, -4 * short, Action(
            what=f"Drop {wording.listed(rows['name'], most=2)}, or find a price above the floor", by=by,
            owner="purchasing", worth=f"{wording.rounded_money(short, advice.currency)} missing in three months",
            file="tables/floors.csv", count=len(rows), weight=4 * short,
            why="No price that was tried lies above cost and delivery.",
        )))  # fmt: skip
    for row in advice.of(TEST).sort_values("yearly", ascending=False).head(1).itertuples():
        ends = advice.as_of + timedelta(days=_WITHIN_DAYS + int(row.days))
        ranked.append((1, 0.0, Action(
            what=f"Test {row.name} at {money(row.other)}, week by week in turn", by=by, owner="sales", file=file,
            worth=f"tells within {int(row.days) // 7} weeks", why=f"Begun by then, it ends about {wording.day(ends)}.",
        )))  # fmt: skip
    return Part(actions=[action for *_, action in sorted(ranked, key=lambda one: one[:2])[:_MOST_ACTIONS]])


def _why(row: Any, currency: str) -> str:
    if row.other != row.tried or not np.isfinite(row.elasticity):
        return "It is paid less than cost and delivery."
    low, high = (formats.money(end, currency) for end in (row.worth_low, row.worth_high))
    fewer = "fewer" if row.elasticity < 0 else "more"
    said = f"{formats.number(abs(row.elasticity), digits=1)}% {fewer} pieces for 1% more price"
    return f"{said}; between {low} and {high} a year."


def part_limits(advice: Advice) -> Part:
    """When not to trust the page."""
    said, table = ["Sales moved with prices; only a test would show why."], advice.floors.table
    if 0 < (lacking := int(table["floor"].isna().sum())) < len(table):
        share = formats.share(float(table.loc[table["floor"].isna(), "pieces"].sum() / table["pieces"].sum()))
        said.append(
            f"Without a cost, and so without a floor: {wording.counted(lacking, 'product')}, {share} of pieces."
        )
    if together := int((advice.table["moved"] == TOGETHER).sum()):
        said.append(f"{wording.upper(wording.counted(together, 'price'))} moved only with all others: not judged.")
    said.append(f"{_TAX[advice.floors.taxed]}; competitors' prices are unknown.")
    certain = ["A price counts once it lasted four weeks and sold 30 pieces."]
    if advice.compared > 1:
        certain.append(f"The ranges of all {wording.counted(advice.compared, 'comparison')} hold at once, with 95%.")
    return Part(caveats=[Caveat(text=text) for text in said], certain=certain)


def part_few(advice: Advice) -> Part:
    """What there is, where there is little: what was paid."""
    rows, money = advice.table.sort_values("pieces", ascending=False), cash(advice.currency)
    named = {"below_floor": "Sold below their floor", "identified": "Moved enough to judge"}
    zero = [Metric(id=name, label=label, value=0, unit="products", definition="products with enough lines")
            for name, label in named.items()]  # fmt: skip
    return Part(
        title="What there is", sentence="Each row is a product sold in the last three months.", metrics=zero,
        chart=figures.table(rows, caption="Prices paid",
                            formats={"pieces": formats.number, "price": money, "floor": money},
                            labels={"name": "Product", "pieces": "Pieces", "price": "Paid", "floor": "Floor"})
        if len(rows) else None,
        tables={"prices": pd.DataFrame(columns=_COLUMNS)},
    )  # fmt: skip
