"""Prices, in the order of the page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.prices.advice import DROP, LONGEST_TEST, LOWER, RAISE, TEST, Advice
from crmlib.analysis.prices.history import LEAST_LINES, MOVED, NEVER, PROMOTED, History, cash
from crmlib.findings import Action, Caveat, Findings, Metric, Part, compose

_MOST_ACTIONS, _WITHIN_DAYS = 3, 14
_COLUMNS = ["product_id", "product", "price", "floor", "elasticity", "low", "high", "identified", "advice", "shelf", "other",
            "worth", "worth_low", "worth_high", "days", "moved"]  # fmt: skip


def page(found: History, advice: Advice, parts: Sequence[Part]) -> Findings:
    """Are prices right, and for whom? `parts` in the order of the page."""
    if found.products.empty:
        n = formats.number(advice.floors.table["pieces"].sum())
        few = f"Too few to conclude (n = {n} pieces in three months): a product of {LEAST_LINES} order lines is needed."
        return compose("prices", few, [part_few(advice)], status="too_few")
    return compose("prices", headline(advice), [*parts, part_do(advice), part_limits(found, advice)])


def headline(advice: Advice) -> str:
    """What prices should do, in at most 20 words."""
    said = []
    for what, verb in ((RAISE, "rise"), (LOWER, "fall")):
        rows = advice.of(what)
        if len(rows):
            said.append(f"{wording.counted(len(rows), 'price')} should {verb}")
    if len(rows := advice.floors.under):
        said.append(f"{wording.counted(len(rows), 'product')} {wording.noun(len(rows), 'sells', 'sell')} below "
                    f"{wording.noun(len(rows), 'its')} floor")  # fmt: skip
    if said:
        return wording.upper(wording.listed(said)) + "."
    known = int(advice.table["identified"].sum())
    if known:
        return f"None of {wording.counted(known, 'price')} that moved is known to earn more elsewhere; keep them."
    never = int((advice.table["moved"] == NEVER).sum())
    return f"Whether prices are right is not known: {wording.counted(never, 'price')} never moved."


def part_advice(advice: Advice) -> Part:
    """The finding that leads: what the margin would be at the other price that was tried, for products that moved."""
    table = advice.table.rename(columns={"name": "product"})
    moved, sure = table[table["worth"].notna()], table["advice"].isin([RAISE, LOWER]) & (table["worth_low"] > 0)
    gain = table[sure]
    judged, known = int(table["shelf"].notna().sum()), int(table["identified"].sum())
    metrics = [
        Metric(id="identified", label="Prices whose effect is known", value=float(known), unit="products", n=judged,
               headline=True, note=f"of {formats.number(judged)}; the others hardly moved",
               definition="products whose lasting price moved, with enough pieces at both prices"),
        Metric(id="never_moved", label="Prices that never moved", value=float(table["moved"].isin([NEVER, PROMOTED]).sum()),
               unit="products", headline=True, note="outside promotions",
               definition="products with one lasting price only"),
    ]  # fmt: skip
    if len(gain):
        metrics.append(Metric(
            id="gain", label="Margin a year, from better prices", value=float(gain["worth"].sum()), unit=advice.currency,
            low=float(gain["worth_low"].sum()), high=float(gain["worth_high"].sum()), headline=True, spread=True, n=len(gain),
            definition="margin a year at the tried price that pays, against today's; all ranges hold at once",
        ))  # fmt: skip
    tables = {"prices": table[_COLUMNS]}
    if moved.empty:
        return Part(metrics=metrics, tables=tables)
    shown = moved.assign(
        strong=sure, label=[_moves(row, advice.currency) for row in moved.itertuples()], size=moved["worth"].abs()
    ).sort_values(["strong", "size"], ascending=False)
    money = cash(advice.currency)
    worth = wording.rounded_money(float(gain["worth"].sum()), advice.currency)
    title = f"{wording.upper(wording.counted(len(gain), 'other price'))} would earn {worth} more a year" if len(gain) else \
        "No other price that was tried is known to earn more"  # fmt: skip
    return Part(
        title=title, metrics=metrics, tables=tables, glance=True,
        sentence="Dots are today's price against the other one tried, in margin a year; hollow ones may be chance.",
        chart=figures.dots(
            shown, label="label", value="worth", low="worth_low", high="worth_high", strong="strong" if len(gain) else "",
            what="margin a year at the other price, against today's", reference=0.0, rows=6,
            form=lambda value: formats.money(value, advice.currency),
            table=figures.tabulate(
                shown, caption="Products whose lasting price moved", file="prices",
                labels={"product": "Product", "shelf": "Price", "other": "Other price", "elasticity": "Elasticity",
                        "low": "From", "high": "To", "worth": "A year", "advice": "Advice"},
                formats={"shelf": money, "other": money, "worth": lambda value: formats.money(value, advice.currency)}
                | dict.fromkeys(["elasticity", "low", "high"], lambda value: formats.number(value, digits=1)),
            ),
        ),
    )  # fmt: skip


def _moves(row: object, currency: str) -> str:
    money = cash(currency)
    return f"{row.product}: {money(row.shelf)} to {money(row.other)}"  # type: ignore[attr-defined]


def part_tests(advice: Advice) -> Part:
    """The finding, folded: prices whose effect is not known, and how long a test of each would take."""
    rows = advice.of(TEST).sort_values("days")
    if rows.empty:
        half = wording.span(LONGEST_TEST)
        return Part(title="No price is worth a test", detail=True,
                    sentence=f"None sells enough for a test to tell within {half} whether another price earns more.")  # fmt: skip
    money = cash(advice.currency)
    shown = rows.assign(weeks=rows["days"] // 7)
    return Part(
        title=f"{wording.upper(wording.counted(len(rows), 'price'))} could be tested within {wording.span(LONGEST_TEST)}",
        sentence="Two prices take turns by week until it is clear which earns more.", detail=True,
        chart=figures.table(shown, caption="Tests, the shortest first", file="prices",
                            labels={"name": "Product", "shelf": "Price", "other": "Against", "weeks": "Weeks", "moved": "Until now"},
                            formats={"shelf": money, "other": money, "weeks": formats.number}),
    )  # fmt: skip


def part_do(advice: Advice) -> Part:
    """Raise, lower, drop, test: at most three lines."""
    money, by = cash(advice.currency), wording.working_day(advice.as_of, _WITHIN_DAYS)
    made = []
    for what, verb in ((RAISE, "Raise"), (LOWER, "Lower")):
        for row in advice.of(what).head(2).itertuples():
            worth = row.worth if np.isfinite(row.worth) else np.nan
            known = (
                f"{wording.rounded_money(worth, advice.currency)} a year"
                if np.isfinite(worth)
                else "sells below its floor"
            )
            made.append(Action(
                what=f"{verb} {row.name} to {money(row.other)}", worth=known, by=by, owner="sales", file="tables/prices.csv",
                count=int(row.pieces) if np.isfinite(row.pieces) else None, weight=max(float(np.nan_to_num(worth)), 0.0),
                why=_why(row, advice.currency),
            ))  # fmt: skip
    rows = advice.of(DROP)
    if len(rows):
        short = float(advice.floors.table.set_index("product_id")["short"].reindex(rows["product_id"]).sum())
        made.append(Action(
            what=f"Drop {wording.listed(rows['name'], most=2)}, or find a price above the floor", by=by, owner="purchasing",
            worth=f"{wording.rounded_money(short, advice.currency)} lost in three months", file="tables/floors.csv",
            count=len(rows), weight=4 * short, why="No price that was tried lies above cost and delivery.",
        ))  # fmt: skip
    made.sort(key=lambda action: -action.weight)
    for row in advice.of(TEST).sort_values("yearly", ascending=False).head(1).itertuples():
        ends = advice.as_of + timedelta(days=_WITHIN_DAYS + int(row.days))
        made.append(Action(
            what=f"Test {row.name} at {money(row.other)}, week by week in turn", worth=f"tells within {int(row.days) // 7} weeks",
            by=by, owner="sales", file="tables/prices.csv",
            why=f"Its effect is not known; begun in two weeks, the test ends about {wording.day(ends)}.",
        ))  # fmt: skip
    return Part(actions=made[:_MOST_ACTIONS])


def _why(row: object, currency: str) -> str:
    value = float(row.elasticity)  # type: ignore[attr-defined]
    if not np.isfinite(value):
        return "It is paid less than cost and delivery; the price lasted before."
    said = f"{formats.number(abs(value), digits=1)}% {'fewer' if value < 0 else 'more'} pieces for 1% more price"
    low, high = (formats.money(end, currency) for end in (row.worth_low, row.worth_high))  # type: ignore[attr-defined]
    return f"{said}; between {low} and {high} a year. That price lasted before."


def part_limits(found: History, advice: Advice) -> Part:
    """When not to trust the page."""
    said = ["Sales moved with prices; only prices set by lot would show that prices moved sales."]
    table = advice.floors.table
    lacking = int(table["floor"].isna().sum())
    if lacking:
        share = formats.share(float(table.loc[table["floor"].isna(), "pieces"].sum() / table["pieces"].sum()))
        said.append(
            f"Without a cost, and so without a floor: {wording.counted(lacking, 'product')}, {share} of pieces."
        )
    said.append("Tax is in prices as the shop counts it; competitors' prices are in no table.")
    moved, known = int((found.products["moved"] == MOVED).sum()), int(advice.table["identified"].sum())
    if moved > known:
        count = moved - known
        said.append(f"{wording.upper(wording.counted(count, 'price'))} moved only when all others did: not judged.")
    certain = [
        f"Ranges of all {wording.counted(advice.compared, 'comparison')} hold at once, with 95%."
        if advice.compared
        else "",
        "Each product's own weeks decide; nothing is advised beyond prices that lasted four weeks and sold 30 pieces.",
    ]
    return Part(caveats=[Caveat(text=text) for text in said[:4]], certain=[text for text in certain if text])


def part_few(advice: Advice) -> Part:
    """What there is, where there is little: what was paid."""
    rows = advice.table.sort_values("pieces", ascending=False)
    money = cash(advice.currency)
    empty = pd.DataFrame(columns=_COLUMNS)
    zero = [Metric(id=name, label=label, value=0, unit="products", definition="products with enough lines") for name, label in
            (("below_floor", "Sold below their floor"), ("identified", "Prices whose effect is known"))]  # fmt: skip
    return Part(
        title="What there is", sentence="Each row is a product sold in the last three months.", metrics=zero,
        chart=figures.table(rows, caption="Prices paid", labels={"name": "Product", "pieces": "Pieces", "price": "Paid",
                            "floor": "Floor"}, formats={"pieces": formats.number, "price": money, "floor": money})
        if len(rows) else None,
        tables={"prices": empty},
    )  # fmt: skip
