"""Which products, customers and feedback channels draw more complaints than the rest of the shop?

Every product or group is held against all others, theme by theme, given their orders (or texts); a writer counts once.
p-values are corrected for all pairs that were searched (Benjamini and Hochberg), rates of products are drawn towards the shop's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy import optimize, special, stats

from crmlib.analysis.feedback.rates import author, period_of
from crmlib.analysis.feedback.texts import SEGMENTS, Readings, with_segments
from crmlib.analysis.feedback.themes import THEMES
from crmlib.shop import facts as shop_facts
from crmlib.stats import Floats, adjust, rate_interval, share_interval

if TYPE_CHECKING:
    from crmlib.shop.shop import Shop

ANY = "any"  # a complaint about whatever theme
MIN_ORDERS = 50  # orders (or texts) below which a product or group is not searched
MIN_COMPLAINTS = 5  # writers below which nothing is said of a product or group
Q_MAX = 0.05
_SMALL = re.compile(
    r"\b(?:small(?:er)?|tight(?:er)?|short(?:er)?|narrow(?:er)?|tiny|size up|next size up|barely|hardly)\b",
    re.IGNORECASE,
)
_LARGE = re.compile(
    r"\b(?:big(?:ger)?|large(?:r)?|loose(?:r)?|long(?:er)?|wide(?:r)?|baggy|huge|size down)\b", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class Products:
    """Complaints by product and theme over [start, end), against the orders that held the product.

    frame     product_id, name, theme (ANY included), orders, complaints (writers), rate, low, high (per 1,000 orders, drawn towards
              the average), average, ratio (of the plain rate to the others'), p_value, q_value, above (clearly above the others), runs
    searched  product–theme pairs that were compared
    start, end  of the time they are counted in, None where there is none
    """

    frame: pd.DataFrame
    searched: int
    without_product: int
    start: date | None = None
    end: date | None = None


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Complaints by customer group, per 1,000 orders, and by feedback channel, per 1,000 texts.

    frame  dimension, value, theme (ANY included), per ('orders' or 'texts'), exposure, complaints, rate, low, high, average, ratio,
           p_value, q_value, differs ('more', 'fewer', '')
    """

    frame: pd.DataFrame
    searched: int


def product_orders(shop: Shop, *, start: object, end: object) -> ir.Table:
    """Grain: a product with at least one kept order in [start, end). Columns product_id, name, orders.

    Enough for complaints per order; not for which orders they were.
    """
    items = shop_facts.basket_items(shop)
    items = items.filter(items["day"] >= ibis.literal(start), items["day"] < ibis.literal(end))
    counted = items.group_by(product_id=items["item"]).aggregate(orders=items["order_id"].nunique())
    if shop.has("products", "name"):
        names = shop.table("products").select("product_id", "name")
        counted = counted.left_join(names, "product_id").drop("product_id_right")
    else:
        counted = counted.mutate(name=ibis.null("string"))
    return counted.select("product_id", "orders", name=counted["name"].fill_null(counted["product_id"])).order_by(
        "product_id"
    )


def group_orders(shop: Shop, dimension: str, *, start: object, end: object) -> ir.Table:
    """Grain: a value of a customer column with kept orders in [start, end), guests and blanks out. Columns value, orders."""
    orders = shop_facts.net_orders(shop)
    orders = orders.filter(orders["day"] >= ibis.literal(start), orders["day"] < ibis.literal(end))
    people = with_segments(shop, shop.table("customers").select("customer_id"))
    joined = orders.inner_join(people, "customer_id")
    joined = joined.filter(joined[dimension].notnull() & (joined[dimension] != ""))
    return joined.group_by(value=joined[dimension]).aggregate(orders=joined.count()).order_by("value")


def products(readings: Readings, shop: Shop, orders: pd.DataFrame) -> Products:
    """Which products are complained about more than the others, and for what?"""
    columns = ["product_id", "name", "theme", "orders", "complaints", "rate", "low", "high", "average", "ratio", "p_value", "q_value", "above", "runs"]  # fmt: skip
    texts = readings.texts
    period = period_of(readings, orders)
    named = texts["product_id"].notna() & (texts["product_id"] != "")
    if not period or not named.any() or not shop.has("order_lines"):
        return Products(frame=pd.DataFrame(columns=columns), searched=0, without_product=int((~named).sum()))
    start, end = period
    sold = shop.fetch(product_orders(shop, start=start, end=end))
    inside = named & (texts["day"] >= pd.Timestamp(start)) & (texts["day"] < pd.Timestamp(end))
    written = _complaints(readings, texts["product_id"], inside)
    found, searched = against_others(sold, written)
    found["runs"] = [
        _runs(readings, row.product_id) if row.above and row.theme == "fit" else "" for row in found.itertuples()
    ]
    return Products(frame=found[columns], searched=searched, without_product=int((~named).sum()), start=start, end=end)


def against_others(sold: pd.DataFrame, written: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Each product's complaints against all other products', theme by theme, and how many pairs were compared.

    `sold` has product_id and orders; `written` one row a product (value), author and theme. Given all complaints about a theme, those
    of one product are binomial with its share of the orders. Source: Przyborowski and Wilenski 1940.
    """
    frames = []
    for theme in (ANY, *THEMES):
        own = written[written["theme"] == theme].groupby("value").size()
        frame = sold.assign(theme=theme, complaints=own.reindex(sold["product_id"], fill_value=0).to_numpy(np.int64))
        total, exposed = int(frame["complaints"].sum()), float(frame["orders"].sum())
        rate, low, high = shrunk(frame["complaints"].to_numpy(float), frame["orders"].to_numpy(float) / 1000)
        others = (total - frame["complaints"]) / (exposed - frame["orders"]).replace(0, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (frame["complaints"] / frame["orders"]) / others
        p = stats.binom.sf(frame["complaints"] - 1, total, frame["orders"] / exposed)
        frames.append(
            frame.assign(
                rate=rate, low=low, high=high, average=1000 * total / exposed, ratio=ratio, p_value=p, total=total
            )
        )
    found = pd.concat(frames, ignore_index=True)
    tested = (found["orders"] >= MIN_ORDERS) & (found["total"] > 0)
    found = found.assign(q_value=np.nan)
    if tested.any():
        found.loc[tested, "q_value"] = adjust(found.loc[tested, "p_value"], method="fdr_bh")
    found["above"] = (found["q_value"] <= Q_MAX) & (found["complaints"] >= MIN_COMPLAINTS)
    return found, int(tested.sum())


def groups(readings: Readings, shop: Shop, orders: pd.DataFrame) -> Groups:
    """Which customers complain more per order, and do the channels of feedback carry other complaints?"""
    texts, period = readings.texts, period_of(readings, orders)
    frames = []
    if period:
        start, end = period
        inside = (texts["day"] >= pd.Timestamp(start)) & (texts["day"] < pd.Timestamp(end))
        for dimension in SEGMENTS:
            if texts[dimension].isna().all():
                continue
            exposure = shop.fetch(group_orders(shop, dimension, start=start, end=end)).set_index("value")["orders"]
            frames.append(_compared(readings, texts[dimension], inside, exposure, dimension=dimension, per="orders"))
    heard = texts["channel"].notna() & (texts["channel"] != "") & (texts["outcome"] != "other_language")
    exposure = texts[heard].groupby("channel").size()
    if len(exposure) > 1:
        frames.append(_compared(readings, texts["channel"], heard, exposure, dimension="channel", per="texts"))
    columns = [
        "dimension",
        "value",
        "theme",
        "per",
        "exposure",
        "complaints",
        "rate",
        "low",
        "high",
        "average",
        "ratio",
        "p_value",
    ]
    found = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
    found = found.assign(q_value=adjust(found["p_value"], method="fdr_bh") if len(found) else np.nan)
    clear = (
        (found["q_value"] <= Q_MAX) & (found[["complaints", "expected"]].max(axis=1) >= MIN_COMPLAINTS)
        if len(found)
        else False
    )
    found["differs"] = np.where(clear, np.where(found["ratio"] > 1, "more", "fewer"), "") if len(found) else ""
    return Groups(frame=found[[*columns, "q_value", "differs"]], searched=len(found))


def shrunk(counts: Floats, exposure: Floats) -> tuple[Floats, Floats, Floats]:
    """Rates drawn towards their common mean as far as chance explains their scatter, with 95 % intervals.

    Gamma–Poisson, its prior fitted to all counts by maximum likelihood. Source: Clayton and Kaldor 1987. In events per unit.
    """
    mean = counts.sum() / exposure.sum() if exposure.sum() else np.nan
    if not counts.any():
        low, high = rate_interval(counts, exposure)
        return np.zeros(len(counts)), low, high

    def unlikely(log_shape: float) -> float:
        shape = np.exp(log_shape)
        p = shape / (shape + mean * exposure)
        return -float(
            (special.gammaln(shape + counts) - special.gammaln(shape) + shape * np.log(p) + counts * np.log1p(-p)).sum()
        )

    shape = float(np.exp(optimize.minimize_scalar(unlikely, bounds=(-3.0, 8.0), method="bounded").x))
    above, below = shape + counts, shape / mean + exposure
    return above / below, stats.gamma.ppf(0.025, above) / below, stats.gamma.ppf(0.975, above) / below


def _complaints(readings: Readings, values: pd.Series, inside: pd.Series) -> pd.DataFrame:
    """One row a writer, value and theme (ANY included): columns value, author, theme."""
    said = readings.mentions[readings.mentions["complaint"]]
    rows = said["row"].to_numpy()
    writer = author(readings.texts).to_numpy()
    frame = pd.DataFrame({"value": values.to_numpy()[rows], "author": writer[rows], "theme": said["theme"].to_numpy()})
    frame = frame[inside.to_numpy()[rows]]
    return pd.concat([frame, frame.assign(theme=ANY)]).drop_duplicates()


def _compared(
    readings: Readings, values: pd.Series, inside: pd.Series, exposure: pd.Series, *, dimension: str, per: str
) -> pd.DataFrame:
    """Each value with enough behind it against all others of its dimension, for every theme and for any."""
    written = _complaints(readings, values, inside & values.isin(exposure.index))
    rows = []
    for theme in (ANY, *THEMES):
        own = written[written["theme"] == theme].groupby("value").size().reindex(exposure.index, fill_value=0)
        total, exposed = int(own.sum()), int(exposure.sum())
        for value, count, size in zip(exposure.index, own, exposure, strict=True):
            if size < MIN_ORDERS or total == 0 or size == exposed:
                continue
            p = _two_sided(int(count), total=total, size=int(size), all_sizes=exposed, texts=per == "texts")
            low, high = share_interval(count, size) if per == "texts" else rate_interval(count, size)
            rest = (total - count) / (exposed - size)
            ratio = (count / size) / rest if rest else np.inf
            rows.append((dimension, value, theme, per, int(size), int(count), 1000 * count / size, 1000 * float(low), 1000 * float(high),
                         1000 * total / exposed, ratio, p, total * size / exposed))  # fmt: skip
    names = [
        "dimension",
        "value",
        "theme",
        "per",
        "exposure",
        "complaints",
        "rate",
        "low",
        "high",
        "average",
        "ratio",
        "p_value",
        "expected",
    ]
    return pd.DataFrame(rows, columns=names)


def _two_sided(count: int, *, total: int, size: int, all_sizes: int, texts: bool) -> float:
    """Twice the smaller tail: given all complaints, hypergeometric over texts, binomial over orders."""
    law = stats.hypergeom(all_sizes, min(total, all_sizes), size) if texts else stats.binom(total, size / all_sizes)
    return float(min(1.0, 2 * min(law.sf(count - 1), law.cdf(count))))


def _runs(readings: Readings, product_id: str) -> str:
    """'small' or 'large' where two of three fit complaints about a product say so, else ''."""
    said = readings.mentions[readings.mentions["complaint"] & (readings.mentions["theme"] == "fit")]
    texts = readings.texts.iloc[said["row"]]
    texts = texts.loc[texts["product_id"] == product_id, "text"]
    small, large = (int(texts.str.contains(pattern).sum()) for pattern in (_SMALL, _LARGE))
    most = 2 / 3 * len(texts)
    return "small" if small >= most and small > large else ("large" if large >= most and large > small else "")


def titled(row: Sequence[object] | object) -> str:
    """A product's finding in a few words: 'Linen shirt runs small', else its theme."""
    name, theme, runs = (getattr(row, field) for field in ("name", "theme", "runs"))
    if runs:
        return f"{name} runs {runs}"
    return (
        f"{name} draws more complaints than the other products"
        if theme == ANY
        else f"{name} draws more {theme} complaints than the others"
    )
