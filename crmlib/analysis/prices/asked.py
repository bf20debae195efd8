"""Which prices do people call acceptable? Four prices asked of each (Van Westendorp 1976)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.prices.advice import ERROR, Advice
from crmlib.analysis.prices.history import Floats, cash
from crmlib.findings import Part
from crmlib.shop.shop import Shop

LEAST_ANSWERS, DRAWS, _MOST_ROWS = 30, 2000, 200_000
_ASKED = ["too_cheap", "cheap", "expensive", "too_expensive"]
# Two curves cross where as many answers of the one kind lie below a price as of the other above: at the median of both.
_CROSSINGS = {"acceptable_from": (0, 1), "best": (0, 3), "acceptable_to": (2, 3)}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a survey of four prices says of each product; no rows without a survey.

    table    product_id, n (answers), status ('known' or 'too_few'), and where known acceptable_from ('too cheap'
             crosses 'not cheap'), best ('too cheap' crosses 'too expensive') and acceptable_to ('too expensive' crosses
             'not expensive'), each with _low and _high (95 %, all at once)
    left_out answers whose four prices do not rise
    """

    __repr__ = formats.outline

    table: pd.DataFrame
    left_out: int
    currency: str


def asked(shop: Shop, *, seed: int = 0) -> Asked:
    """Between which prices is each product acceptable, and how surely is that known?

    Ranges by bootstrap of the people. Below 30 answers a product is 'too_few'.

    >>> made = asked(store).table
    >>> bool((made["acceptable_from_low"] <= made["acceptable_to_high"]).all())
    True
    """
    if not shop.has("price_survey"):
        return read(pd.DataFrame(columns=["product_id", *_ASKED]), currency=shop.currency, seed=seed)
    rows = shop.table("price_survey")
    rows = rows.select("product_id", **{name: rows[name].cast("float64") for name in _ASKED})
    answers = shop.fetch(rows.order_by("product_id", *_ASKED), max_rows=_MOST_ROWS)
    left_out = shop.audits["price_survey"].set_aside.get("unordered_prices", 0)
    return read(answers, left_out=left_out, currency=shop.currency, seed=seed)


def read(answers: pd.DataFrame, *, left_out: int = 0, currency: str = "", seed: int = 0) -> Asked:
    """The same from answers: product_id and the four prices.

    >>> four = {"too_cheap": [2.0, 3, 4], "cheap": [4.0, 5, 6], "expensive": [7.0, 8, 9], "too_expensive": [9.0, 9, 12]}
    >>> read(pd.DataFrame({"product_id": "a"} | four)).table[["n", "status"]].values.tolist()
    [[3, 'too_few']]
    """
    rng, made = np.random.default_rng(seed), []
    by = answers.groupby("product_id")[_ASKED]
    tail = ERROR / 2 / len(_CROSSINGS) / max(int((by.size() >= LEAST_ANSWERS).sum()), 1)
    for name, rows in by:
        prices, row = rows.to_numpy(float), {"product_id": name, "n": len(rows), "status": "too_few"}
        if len(rows) >= LEAST_ANSWERS:
            again = [crossings(prices[rng.integers(0, len(prices), len(prices))]) for _ in range(DRAWS)]
            low, high = np.quantile(again, [tail, 1 - tail], axis=0)
            for place, point in enumerate(_CROSSINGS):
                row |= {point: crossings(prices)[place], f"{point}_low": low[place], f"{point}_high": high[place]}
            row["status"] = "known"
        made.append(row)
    points = [f"{point}{end}" for point in _CROSSINGS for end in ("", "_low", "_high")]
    table = pd.DataFrame(made, columns=["product_id", "n", "status", *points])
    return Asked(table=table.sort_values("n", ascending=False, ignore_index=True), left_out=left_out, currency=currency)


def crossings(prices: Floats) -> Floats:
    """Where the curves cross: acceptable from, best, acceptable to. A row a person, columns as they are asked.

    >>> crossings(np.array([[2.0, 4, 7, 9], [3, 5, 8, 9], [4, 6, 9, 12]])).tolist()
    [4.0, 6.5, 9.0]
    """
    return np.array([np.median(prices[:, both]) for both in map(list, _CROSSINGS.values())])


def part_asked(found: Asked, advice: Advice) -> Part:
    """The finding, folded: which prices people call acceptable, beside the price on the shelf."""
    if found.table.empty:
        return Part()
    known = advice.table.drop_duplicates("product_id").set_index("product_id")
    rows = found.table.assign(
        name=[known["name"].get(one, one) for one in found.table["product_id"]],
        shelf=found.table["product_id"].map(known["shelf"]).astype(float),
    )
    money, sure = cash(found.currency), rows[rows["status"] == "known"]
    said, few = [_verdict(row, money) for row in sure.itertuples()], rows[rows["status"] == "too_few"]
    if len(few):
        those = wording.listed([f"{row.name} (n = {row.n})" for row in few.itertuples()], most=3)
        said = [*said[:2], f"Too few answers to conclude: {those}; {LEAST_ANSWERS} are needed."]
    if found.left_out:
        do, its = wording.noun(found.left_out, "does", "do"), wording.counted(found.left_out, "answer")
        said = [*said[:3], f"{wording.upper(its)} whose prices {do} not rise could not be used."]
    title = f"What people call acceptable, for {wording.counted(len(sure), 'product')}" if len(sure) else (
        "Too few answered the survey of prices"
    )  # fmt: skip
    spans = {f"{point}_range": [_span(row, point, money) for _, row in rows.iterrows()] for point in _CROSSINGS}
    return Part(
        title=title, sentence=wording.sentences(*said), detail=True, tables={"price_survey": rows},
        chart=figures.table(
            rows.assign(**spans), caption="Acceptable prices, as asked", file="tables/price_survey.csv",
            labels={"name": "Product", "n": "Answers", "acceptable_from_range": "From", "best_range": "Best",
                    "acceptable_to_range": "To", "shelf": "Price now"},
            formats={"n": formats.number, "shelf": money},
        ),
        method=["Four prices each (Van Westendorp): 'too cheap' crosses 'not cheap', 'too expensive' 'not expensive'; "
                f"ranges by bootstrap over people, {DRAWS:,} draws, all held at once."],
    )  # fmt: skip


def _verdict(row: Any, money: figures.Form) -> str:
    """Where the price on the shelf lies; outside only where the range of that end is beyond it."""
    span = f"{row.name} is called acceptable from {money(row.acceptable_from)} to {money(row.acceptable_to)}"
    if not np.isfinite(row.shelf):
        return f"{span} (n = {row.n})."
    place = "lies within"
    if row.shelf > row.acceptable_to_high:
        place = "is above"
    elif row.shelf < row.acceptable_from_low:
        place = "is below"
    elif not row.acceptable_from_high <= row.shelf <= row.acceptable_to_low:
        place = "is near the edge of"
    return f"{span} (n = {row.n}); its price, {money(row.shelf)}, {place} that."


def _span(row: pd.Series, point: str, money: figures.Form) -> str:
    if row["status"] != "known":
        return f"too few (n = {row['n']})"
    return f"{money(row[point])} ({money(row[f'{point}_low'])}–{money(row[f'{point}_high'])})"
