"""Who pays the higher price? Kinds of customers by what they buy at the dearer of two lasting prices.

When a price was high other people may have been about: so each kind's share of a product at the dear and at the cheap
price is put beside its share of all other goods in the same weeks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats as distributions

from crmlib import figures, formats, wording
from crmlib.analysis.prices import facts
from crmlib.analysis.prices.history import History
from crmlib.findings import Part
from crmlib.stats.corrections import adjust

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

LEAST_LINES, Q_MOST = 100, 0.05
_DEARER, _SCATTER = 0.10, 1.0
_COLUMNS = ["kind", "value", "lines", "products", "times", "low", "high", "p_value", "q_value", "stands"]


@dataclass(frozen=True, kw_only=True)
class Willing:
    """How kinds of customers answer to a dearer price, beside all others.

    table    kind, value, lines, products, times (how many times as much they buy at a price 10 % higher, against what
             all customers do) with low and high (95 %), p_value, q_value (corrected for all kinds), stands (1 they
             mind less, −1 more, 0 inside the noise)
    """

    __repr__ = formats.outline

    table: pd.DataFrame


def willing(shop: Shop, found: History) -> Willing:
    """Which kinds of customers mind a higher price less, and which more?

    >>> bool(willing(store, history(store)).table["q_value"].between(0, 1).all())
    True
    """
    moved = found.moved["product_id"].tolist()
    rows = facts.shelf(shop.keep(facts.lines(shop)), within_days=found.within_days)
    kinds = facts.kinds(shop) if moved else []
    counts = {kind: facts.fetched(shop, facts.by_kind(shop, rows, kind, products=moved)) for kind in kinds}
    return compare(counts, found.weeks[found.weeks["product_id"].isin(moved)])


def compare(counts: dict[str, pd.DataFrame], weeks: pd.DataFrame) -> Willing:
    """The same from lines by product ('' for all whose price never moved), week and value, for each kind.

    >>> compare({}, pd.DataFrame({"product_id": [], "week": [], "base": [], "promotion": []})).table.empty
    True
    """
    base = weeks.loc[~weeks["promotion"].astype(bool), ["product_id", "week", "base"]]
    made = [row for kind, rows in counts.items() for row in _kind(kind, rows, base)]
    table = pd.DataFrame(made, columns=_COLUMNS[:-2])
    q = adjust(table["p_value"], method="holm") if len(table) else np.zeros(0)
    stands = np.where(q < Q_MOST, np.sign(table["times"] - 1), 0).astype(int)
    return Willing(table=table.assign(q_value=q, stands=stands).sort_values(["kind", "times"], ascending=[True, False]))


def _kind(kind: str, rows: pd.DataFrame, base: pd.DataFrame) -> list[tuple[object, ...]]:
    """A row for each value of a kind that is often enough."""
    wide = rows.pivot_table(index=["product_id", "week"], columns="value", values="lines", aggfunc="sum", fill_value=0)
    if wide.shape[1] < 2 or "" not in wide.index.get_level_values(0):
        return []
    rest = wide.xs("", level=0)
    usual = rest.div(rest.sum(axis=1), axis=0)
    own = wide.drop("", level=0).reset_index().merge(base, on=["product_id", "week"])
    own = own[own["week"].isin(usual.index)]
    made = []
    for value in wide.columns:
        lines = own[value].to_numpy(float)
        total = own[list(wide.columns)].sum(axis=1).to_numpy(float)
        asked = total * usual[value].reindex(own["week"]).to_numpy(float)
        log = np.log(own["base"].to_numpy(float))
        found = _slope(own["product_id"].to_numpy(), lines, asked, total, log)
        if found is None or lines.sum() < LEAST_LINES or (total - lines).sum() < LEAST_LINES:
            continue
        slope, error, products = found
        step = np.log(1 + _DEARER)
        times, low, high = (float(np.exp(step * (slope + side * 1.96 * error))) for side in (0, -1, 1))
        p = float(2 * distributions.norm.sf(abs(slope / error)))
        made.append((kind, str(value), int(lines.sum()), products, times, low, high, p))
    return made


def _slope(names: np.ndarray, lines: np.ndarray, asked: np.ndarray, total: np.ndarray,
           log: np.ndarray) -> tuple[float, float, int] | None:  # fmt: skip
    """How the logarithm of lines over those to be expected moves with a price's, within products; with its error.

    One score a product, so that a product on which customers differ by chance weighs no more than it tells.
    """
    _, code = np.unique(names, return_inverse=True)
    k, e = np.bincount(code, lines), np.bincount(code, asked)
    good = (k > 0) & (e > 0)
    if good.sum() < 1:
        return None
    level = np.where(good, k / np.where(e > 0, e, 1), 0)[code]
    slope, scores, weight = 0.0, np.zeros(len(k)), np.zeros(len(k))
    for _ in range(30):
        mean = asked * np.exp(np.clip(slope * log, -5, 5))
        norm = np.bincount(code, mean)
        mu = np.where(norm[code] > 0, mean * (k / np.where(norm > 0, norm, 1))[code], 0.0)
        centre = (np.bincount(code, mu * log) / np.where(k > 0, k, 1))[code]
        # Of `total` lines at most all are of one kind: a share scatters less than a count.
        free = mu * np.clip(1 - level * asked / np.where(total > 0, total, 1), 0.05, 1)
        scores = np.bincount(code, (lines - mu) * (log - centre))
        weight = np.bincount(code, free * (log - centre) ** 2)
        curve = float((mu * (log - centre) ** 2).sum())
        if curve <= 1e-9:
            return None
        step = scores.sum() / curve
        slope += float(np.clip(step, -2, 2))
        if abs(step) < 1e-7:
            break
    told = weight > 1e-9
    products = int(told.sum())
    # Chance alone, or how much products really disagree, whichever is more.
    spread = (
        max(_SCATTER, float((scores[told] ** 2 / weight[told]).sum()) / max(products - 1, 1)) if products > 1 else 1.5
    )
    return slope, float(np.sqrt(spread * weight.sum())) / curve, products


def part_willing(found: Willing) -> Part:
    """The finding: kinds of customers who mind a higher price less or more than others; nothing where that is noise."""
    rows = found.table.assign(stands=found.table["stands"].astype(int))
    if rows.empty:
        return Part()
    rows = rows.assign(
        name=[f"{wording.upper(kind)}: {value}" for kind, value in zip(rows["kind"], rows["value"], strict=True)]
    )
    sure = rows[rows["stands"] != 0].sort_values("p_value")
    many = wording.counted(len(rows), "kind")
    if sure.empty:
        title, said = "No kind of customer is known to pay more readily", f"None of {many} stands out from chance."
    else:
        top = sure.iloc[0]
        title = f"{top['name']} mind higher prices {'less' if top['stands'] > 0 else 'more'} than others"
        size = formats.share(abs(top["times"] - 1))
        said = f"At a price 10% higher they buy {size} {'more' if top['stands'] > 0 else 'less'} than the others' answer says."
    return Part(
        title=title, sentence=said, detail=sure.empty, tables={"willing": rows.drop(columns="name")},
        chart=figures.dots(
            rows.sort_values("p_value"), label="name", value="times", low="low", high="high", reference=1.0, rows=8,
            what="bought at a price 10% higher, against all customers", form=formats.multiple,
            strong="stands" if len(sure) else "",
        ),
    )  # fmt: skip
