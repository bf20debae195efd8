"""Customers × orders of each × what an order comes to × what is left of it: which factor moved the margin?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from crmlib import figures, formats
from crmlib.analysis.overview.measure import YEAR, Change, Measured
from crmlib.findings import Metric, Part

FACTORS = {"customers": "Number of customers", "frequency": "Orders per customer", "basket": "Average order",
           "share": "Margin share"}  # fmt: skip


def tree(found: Measured, change: Change) -> pd.DataFrame:
    """What each factor of a period's margin was, is, and did to it; of sales, where no costs are known.

    Columns factor, before, now, amount. The product of the factors is the margin, and the amounts add up to its change:
    each is the change of the factor's logarithm times the logarithmic mean of both margins (Ang 2005, LMDI). Margin
    share is that of sales with known costs, and taken for all. A guest's order is a customer. Empty where a factor is
    not above zero.

    >>> list(tree(measure(store), measure(store).changes["month"]).columns)
    ['factor', 'before', 'now', 'amount']
    """
    sides = {}
    for side, back in (("before", change.pair.apart), ("now", 0)):
        money, orders, buyers = getattr(change, side), change.of(f"orders_{side}"), change.of(f"buyers_{side}")
        costed = found.over("costed", change.pair.months, back=back)
        share = found.over("margin", change.pair.months, back=back) / costed if costed > 0 else np.nan
        sides[side] = [buyers, orders / buyers if buyers else 0.0, money / orders if orders else 0.0, share]
    rows = pd.DataFrame({"factor": list(FACTORS), **sides}).astype({"before": float, "now": float})
    rows = rows if rows.iloc[-1].notna().all() else rows.iloc[:-1]
    rows = rows if found.known else rows[rows["factor"] != "frequency"]
    if not (rows[["before", "now"]] > 0).all(axis=None):
        return rows.iloc[:0].assign(amount=0.0)
    before, now = (float(rows[side].prod()) for side in ("before", "now"))
    mean = (now - before) / np.log(now / before) if not np.isclose(now, before, rtol=1e-12) else now
    return rows.assign(amount=mean * np.log(rows["now"] / rows["before"]))


def part_tree(found: Measured) -> Part:
    """The finding: which factor moved a year's margin, or the month's where there is no year before."""
    change = found.changes.get("12m") or found.main
    if change is None or not change.enough or (rows := tree(found, change)).empty:
        return Part(metrics=_margin(found))
    what = "margin" if "share" in set(rows["factor"]) else "sales"
    amount, top = float(rows["amount"].sum()), str(rows.loc[rows["amount"].abs().idxmax(), "factor"])
    moved = FACTORS[top].lower() if top == "frequency" else f"the {FACTORS[top].lower()}"
    shown = rows.assign(
        name=rows["factor"].map(FACTORS),
        **{side: [_said(*one, found) for one in zip(rows["factor"], rows[side], strict=True)]
           for side in ("before", "now")},
    )  # fmt: skip
    share = _covered(found, change.pair.months)
    rest = f" Costs are known for {formats.share(share)} of sales; the rest is taken to earn alike."
    return Part(
        title=f"{what.capitalize()} {'rose' if amount > 0 else 'fell'} by {found.money(abs(amount))} on "
        f"{change.pair.against}: {moved} moved it most",
        sentence=f"The factors, multiplied, are the {what}; what each did adds up to the change."
        + (" Each guest order counts as a customer." if found.months["guests"].any() else "")
        + (rest if what == "margin" and share <= 0.995 else ""),
        detail=True,
        metrics=_margin(found),
        chart=figures.table(
            shown, caption=f"{what.capitalize()}, factor by factor",
            labels={"name": "Factor", "before": "Before", "now": "Now", "amount": "Did to it"},
            formats={"amount": lambda value: formats.with_sign(found.money(value), value)},
        ),
        tables={"tree": rows.round(6)},
    )  # fmt: skip


def _covered(found: Measured, months: int) -> float:
    """The share of sales whose costs are known."""
    sales = found.over("revenue", months)
    return found.over("costed", months) / sales if sales > 0 else float("nan")


def _said(factor: str, value: float, found: Measured) -> str:
    if factor == "basket":
        return formats.money(value, found.currency, digits=2)
    return formats.quantity(value, {"share": "share", "frequency": "index"}.get(factor, "customers"))


def _margin(found: Measured) -> list[Metric]:
    value, before, share = found.over("margin"), found.over("margin", back=YEAR), _covered(found, YEAR)
    compared = value == value and before == before
    known = f"; {formats.share(share)} of sales" if share == share else ""
    return [
        Metric(id="margin_12m", label="Margin, 12 months", value=round(value, 2) if value == value else None,
               unit=found.unit, before=round(before, 2) if compared else None,
               against="the year before" if compared else "", definition="goods less discounts, refunds and product "
               f"costs of orders whose costs are known, without shipping, and tax where shop.toml says that prices "
               f"hold it; 12 full months{known}")
    ]  # fmt: skip
