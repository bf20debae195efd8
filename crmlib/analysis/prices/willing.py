"""Who pays the higher price? Kinds of customers by what they buy at the dearer of two lasting prices.

When a price was high other people may have been about: so each kind's share of a product at the dear and at the cheap
price is put beside its share of all other goods in the same weeks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats as distributions

from crmlib import figures, formats, wording
from crmlib.analysis.prices import facts
from crmlib.analysis.prices.history import Floats, History
from crmlib.findings import Part
from crmlib.shop.shop import Shop
from crmlib.stats.corrections import adjust

LEAST_LINES, Q_MOST = 100, 0.05
_DEARER, _MOST_VALUES = 0.10, 12
_COLUMNS = ["kind", "value", "lines", "products", "times", "low", "high", "p_value"]


@dataclass(frozen=True, kw_only=True)
class Willing:
    """How kinds of customers answer to a dearer price, beside all customers.

    table    kind, value, lines, products, times (how many times as much they buy at a price 10 % higher, against what
             all customers do) with low and high (95 %), p_value, q_value (corrected for all kinds), stands (1 they
             mind less, −1 more, 0 inside the noise); the surest first
    """

    __repr__ = formats.outline

    table: pd.DataFrame


def willing(shop: Shop, found: History) -> Willing:
    """Which kinds of customers mind a higher price less, and which more?

    >>> bool(willing(store, history(store)).table["q_value"].between(0, 1).all())
    True
    """
    rows = facts.shelf(shop.keep(facts.lines(shop)), within_days=found.within_days)
    kinds = facts.kinds(shop) if found.moved else []
    counts = {kind: facts.fetched(shop, facts.by_kind(shop, rows, kind, products=found.moved)) for kind in kinds}
    return compare(counts, found.weeks[found.weeks["product_id"].isin(found.moved)])


def compare(counts: Mapping[str, pd.DataFrame], weeks: pd.DataFrame) -> Willing:
    """The same from lines by product ('' for all whose price never moved), week and value, for each kind.

    >>> compare({}, pd.DataFrame({"product_id": [], "week": [], "base": [], "promotion": []})).table.empty
    True
    """
    base, made = weeks.loc[~weeks["promotion"].astype(bool), ["product_id", "week", "base"]], []
    for kind, rows in counts.items():
        wide = rows.pivot_table(
            index=["product_id", "week"], columns="value", values="lines", aggfunc="sum", fill_value=0
        )
        if "" not in wide.index.get_level_values(0):
            continue
        rest = wide.xs("", level=0)
        own = wide.drop("", level=0).reset_index().merge(base, on=["product_id", "week"])
        own = own[own["week"].isin(rest.index)]
        code, log, total = pd.factorize(own["product_id"])[0], np.log(own["base"]), own[list(wide)].sum(axis=1)
        usual = rest.div(rest.sum(axis=1), axis=0).loc[own["week"]]
        for value in wide.sum().nlargest(_MOST_VALUES).index:
            lines = own[value].to_numpy(float)
            if min(lines.sum(), total.sum() - lines.sum()) < LEAST_LINES:
                continue
            asked = total.to_numpy(float) * usual[value].to_numpy(float)
            slope, error, products = _slope(code, lines, asked, total.to_numpy(float), log.to_numpy(float))
            if error > 0:
                ends = np.exp(np.log1p(_DEARER) * (slope + np.array([0.0, -1.96, 1.96]) * error))
                made.append(
                    (kind, str(value), int(lines.sum()), products, *ends, 2 * distributions.norm.sf(abs(slope / error)))
                )
    table = pd.DataFrame(made, columns=_COLUMNS)
    q = adjust(table["p_value"], method="holm") if len(table) else np.zeros(0)
    stands = np.where(q < Q_MOST, np.sign(table["times"] - 1), 0).astype(int)
    return Willing(table=table.assign(q_value=q, stands=stands).sort_values("p_value", ignore_index=True))


def _slope(code: np.ndarray, lines: Floats, asked: Floats, total: Floats, log: Floats) -> tuple[float, float, int]:
    """How the logarithm of lines over those to be expected moves with a price's, within products; its error, and of how
    many products. One step from no difference (Rao's score), since that is what is asked."""
    k, e = np.bincount(code, lines), np.bincount(code, asked)
    level = np.divide(k, e, out=np.zeros(len(k)), where=e > 0)[code]
    mu = asked * level
    centre = np.divide(np.bincount(code, mu * log), k, out=np.zeros(len(k)), where=k > 0)[code]
    # Of `total` lines at most all are of one kind: a share scatters less than a count.
    free = mu * np.clip(1 - mu / np.maximum(total, 1), 0.05, 1)
    scores, told = np.bincount(code, (lines - mu) * (log - centre)), np.bincount(code, free * (log - centre) ** 2)
    curve, some = float((mu * (log - centre) ** 2).sum()), told > 1e-9
    if curve <= 1e-9 or not some.any():
        return 0.0, 0.0, 0
    # Chance alone, or how much products disagree, whichever is more.
    spread = max(1.0, float((scores[some] ** 2 / told[some]).mean()))
    return float(scores.sum()) / curve, float(np.sqrt(spread * told.sum())) / curve, int(some.sum())


def part_willing(found: Willing) -> Part:
    """The finding: kinds of customers who mind a higher price less or more than others; nothing where that is noise."""
    rows = found.table
    if rows.empty:
        return Part()
    rows = rows.assign(name=[f"{wording.upper(row.kind)}: {row.value}" for row in rows.itertuples()])
    sure, many = rows[rows["stands"] != 0], wording.counted(len(rows), "kind")
    title, said = (
        "No kind of customer is known to pay more readily",
        f"Nothing that {many} {wording.noun(len(rows), 'shows', 'show')} is beyond chance.",
    )
    if len(sure):
        top = sure.iloc[0]
        less, more = ("less", "more") if top["stands"] > 0 else ("more", "less")
        title = f"{top['name']} customers mind higher prices {less} than others"
        said = f"At a price 10% higher they buy {formats.share(abs(top['times'] - 1))} {more} than all customers would."
    return Part(
        title=title, sentence=said, detail=sure.empty, tables={"willing": rows.drop(columns="name")},
        chart=figures.dots(rows, label="name", value="times", low="low", high="high", reference=1.0, rows=8,
                           what="bought at a price 10% higher, against all customers", form=formats.multiple,
                           strong="stands" if len(sure) else ""),
    )  # fmt: skip
