"""Which products, customers and feedback channels draw more complaints than the rest of the shop?

Every product or group is held against all others, theme by theme, given their orders (or texts); a writer counts once.
p-values are corrected for all pairs searched (Benjamini and Hochberg), rates of products drawn towards the shop's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy import stats

from crmlib import figures, formats, wording
from crmlib.analysis.feedback.quotes import quoted
from crmlib.analysis.feedback.rates import author, period_of
from crmlib.analysis.feedback.texts import SEGMENTS, Readings, with_segments
from crmlib.analysis.feedback.themes import OWNERS, THEMES
from crmlib.analysis.feedback.trend import ACT_WITHIN_DAYS
from crmlib.analysis.feedback.variants import about, of_one_thing, runs, sold_together, together
from crmlib.findings import Action, Chart, Part, Signal
from crmlib.shop import facts as shop_facts
from crmlib.shop.shop import Shop
from crmlib.stats import adjust, rate_interval, share_interval
from crmlib.stats.shrinkage import shrunk

ANY = "any"  # a complaint about whatever theme
MIN_ORDERS = 50  # orders (or texts) below which a product or group is not searched
MIN_COMPLAINTS = 5  # writers below which nothing is said of a product or group
Q_MAX = 0.05
SHOWN = 10  # products drawn, and groups without a clear difference listed
_RATE = ["complaints", "rate", "low", "high", "average", "ratio", "p_value"]
_PRODUCT = ["product_id", "name", "theme", "orders", *_RATE, "q_value", "above", "runs"]
_GROUP = ["dimension", "value", "theme", "per", "exposure", *_RATE]
_TOLD = ("Came by", "Country", "Gender", "Age", "Written in")
_DIMENSIONS = dict(zip((*SEGMENTS, "channel"), _TOLD, strict=True))


@dataclass(frozen=True, kw_only=True)
class Products:
    """Complaints by product and theme over [start, end), against the orders that held the product.

    frame     product_id, name, theme (ANY included), orders, complaints (writers), rate, low, high (per 1,000 orders,
              drawn towards the average), average, ratio (of the plain rate to the others'), p_value, q_value, above
              (clearly above the others), runs ('small', 'large' or '')
    searched  product–theme pairs that were compared
    """

    frame: pd.DataFrame
    searched: int
    without_product: int

    @property
    def clear(self) -> pd.DataFrame:
        """The products and themes clearly above the others, clearest first; a theme says more than ‘any’."""
        clear = self.frame[self.frame["above"].astype(bool)]
        named = set(clear.loc[clear["theme"] != ANY, "product_id"])
        clear = clear[(clear["theme"] != ANY) | ~clear["product_id"].isin(named)]
        # How a thing runs says what to do, so it comes first.
        return clear.sort_values(["p_value", "product_id"]).sort_values(
            "runs", key=lambda runs: runs == "", kind="stable"
        )


@dataclass(frozen=True, kw_only=True)
class Groups:
    """Complaints by customer group, per 1,000 orders, and by feedback channel, per 1,000 texts.

    frame  dimension, value, theme (ANY included), per ('orders' or 'texts'), exposure, complaints, rate, low, high,
           average, ratio, p_value, q_value, differs ('more', 'fewer', '')
    """

    frame: pd.DataFrame
    searched: int

    @property
    def clear(self) -> pd.DataFrame:
        """What differs, clearest first; of two groups that mirror each other, only the one that complains more."""
        two = self.frame.groupby(["dimension", "theme"])["value"].transform("size") == 2
        clear = self.frame[(self.frame["differs"] != "") & ~(two & (self.frame["differs"] == "fewer"))]
        return clear.sort_values(["p_value", "value"])

    @property
    def named(self) -> list[Any]:
        """The one to name, if any: a theme says more than 'any'."""
        return list(self.clear.sort_values("theme", key=lambda names: names == ANY, kind="stable").head(1).itertuples())


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
    named = counted.select("product_id", "orders", name=counted["name"].fill_null(counted["product_id"]))
    return named.order_by("product_id")


def group_orders(shop: Shop, dimension: str, *, start: object, end: object) -> ir.Table:
    """Grain: a value of a customer column with kept orders in [start, end), no guests. Columns value, orders."""
    orders = shop_facts.net_orders(shop)
    orders = orders.filter(orders["day"] >= ibis.literal(start), orders["day"] < ibis.literal(end))
    people = with_segments(shop, shop.table("customers").select("customer_id"))
    joined = orders.inner_join(people, "customer_id")
    joined = joined.filter(joined[dimension].notnull() & (joined[dimension] != ""))
    return joined.group_by(value=joined[dimension]).aggregate(orders=joined.count()).order_by("value")


def products(readings: Readings, shop: Shop, orders: pd.DataFrame) -> Products:
    """Which products are complained about more than the others, and for what?"""
    texts, period = readings.texts, period_of(readings, orders)
    named = texts["product_id"].notna() & (texts["product_id"] != "")
    without = int((~named).sum())
    if not period or not named.any() or not shop.has("order_lines"):
        return Products(frame=pd.DataFrame(columns=_PRODUCT), searched=0, without_product=without)
    start, end = period
    sold = shop.fetch(product_orders(shop, start=start, end=end))
    inside, kin = named & _within(texts, period), of_one_thing(shop)
    families = together(readings, kin)
    written, theirs = (_complaints(one, one.texts["product_id"], inside) for one in (readings, families))
    found, searched = with_families(sold, written, theirs, kin)
    fits = found["above"] & (found["theme"] == "fit")
    source = [families if one in set(kin["family_id"]) else readings for one in found["product_id"]]
    found["runs"] = [runs(*one) if fit else "" for *one, fit in zip(source, found["product_id"], fits, strict=True)]
    return Products(frame=found[_PRODUCT], searched=searched, without_product=without)


def with_families(
    sold: pd.DataFrame, written: pd.DataFrame, theirs: pd.DataFrame, kin: pd.DataFrame
) -> tuple[pd.DataFrame, int]:
    """Each product, and families of sizes and colours of one thing, against all others, corrected for both; and how
    many pairs were compared.

    `theirs` is `written` by family. A family is named only where none of its products stands out by itself.
    """
    grown = _rates(sold_together(sold, kin), theirs)
    found, searched = _judged(pd.concat([_rates(sold, written), grown[grown["product_id"].isin(kin["family_id"])]]))
    clear = found[found["above"]]
    alone = set(zip(clear["product_id"].map(kin["family_id"]), clear["theme"], strict=True))
    family = found["product_id"].isin(kin["family_id"])
    said = [pair in alone for pair in zip(found["product_id"], found["theme"], strict=True)]
    return found[~family | (found["above"] & ~pd.Series(said, index=found.index))].reset_index(drop=True), searched


def _rates(sold: pd.DataFrame, written: pd.DataFrame) -> pd.DataFrame:
    """Each product's complaints against all other products', theme by theme.

    `sold` has product_id and orders; `written` one row a product (value), author and theme. Given all complaints about
    a theme, those of one product are binomial with its share of the orders. Source: Przyborowski and Wilenski 1940.
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
        average = 1000 * total / exposed
        frames.append(frame.assign(rate=rate, low=low, high=high, average=average, ratio=ratio, p_value=p, total=total))
    return pd.concat(frames, ignore_index=True)


def _judged(found: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    found = found.reset_index(drop=True).assign(q_value=np.nan)
    tested = (found["orders"] >= MIN_ORDERS) & (found["total"] > 0)
    if tested.any():
        found.loc[tested, "q_value"] = adjust(found.loc[tested, "p_value"], method="fdr_bh")
    found["above"] = (found["q_value"] <= Q_MAX) & (found["complaints"] >= MIN_COMPLAINTS)
    return found, int(tested.sum())


def groups(readings: Readings, shop: Shop, orders: pd.DataFrame) -> Groups:
    """Which customers complain more per order, and do the channels of feedback carry other complaints?"""
    texts, period = readings.texts, period_of(readings, orders)
    frames = []
    if period:
        for name in SEGMENTS:
            if texts[name].isna().all():
                continue
            exposure = shop.fetch(group_orders(shop, name, start=period[0], end=period[1])).set_index("value")["orders"]
            frames.append(compared(readings, name, _within(texts, period), exposure, per="orders"))
    heard = texts["channel"].notna() & (texts["channel"] != "") & (texts["outcome"] != "other_language")
    exposure = texts[heard].groupby("channel").size()
    if len(exposure) > 1:
        frames.append(compared(readings, "channel", heard, exposure, per="texts"))
    if not frames:
        return Groups(frame=pd.DataFrame(columns=[*_GROUP, "q_value", "differs"]), searched=0)
    found = pd.concat(frames, ignore_index=True)
    found["q_value"] = adjust(found["p_value"], method="fdr_bh") if len(found) else np.nan
    clear = (found["q_value"] <= Q_MAX) & (found[["complaints", "expected"]].max(axis=1) >= MIN_COMPLAINTS)
    found["differs"] = np.where(clear, np.where(found["ratio"] > 1, "more", "fewer"), "")
    return Groups(frame=found[[*_GROUP, "q_value", "differs"]], searched=len(found))


def compared(readings: Readings, dimension: str, inside: pd.Series, exposure: pd.Series, *, per: str) -> pd.DataFrame:
    """Each value with enough behind it against all others of its dimension, for every theme and for any.

    `exposure` has the orders or texts of each value, `inside` marks the texts that count.
    """
    values = readings.texts[dimension]
    written = _complaints(readings, values, inside & values.isin(exposure.index))
    rows, exposed = [], int(exposure.sum())
    for theme in (ANY, *THEMES):
        own = written[written["theme"] == theme].groupby("value").size().reindex(exposure.index, fill_value=0)
        total = int(own.sum())
        for value, count, size in zip(exposure.index, own.astype(int), exposure.astype(int), strict=True):
            if size < MIN_ORDERS or total == 0 or size == exposed:
                continue
            # Twice the smaller tail, given all complaints.
            if per == "texts":
                law, (low, high) = stats.hypergeom(exposed, min(total, exposed), size), share_interval(count, size)
            else:
                law, (low, high) = stats.binom(total, size / exposed), rate_interval(count, size)
            p = float(min(1.0, 2 * min(law.sf(count - 1), law.cdf(count))))
            rest = (total - count) / (exposed - size)
            ratio = (count / size) / rest if rest else np.inf
            rates = 1000 * count / size, 1000 * float(low), 1000 * float(high), 1000 * total / exposed
            rows.append((dimension, value, theme, per, size, count, *rates, ratio, p, total * size / exposed))
    return pd.DataFrame(rows, columns=[*_GROUP, "expected"])


def _within(texts: pd.DataFrame, period: tuple[date, date]) -> pd.Series:
    return (texts["day"] >= pd.Timestamp(period[0])) & (texts["day"] < pd.Timestamp(period[1]))


def _complaints(readings: Readings, values: pd.Series, inside: pd.Series) -> pd.DataFrame:
    """One row a writer, value and theme (ANY included): columns value, author, theme."""
    said = readings.mentions[readings.mentions["complaint"]]
    rows = said["row"].to_numpy()
    writer = author(readings.texts).to_numpy()
    frame = pd.DataFrame({"value": values.to_numpy()[rows], "author": writer[rows], "theme": said["theme"].to_numpy()})
    frame = frame[inside.to_numpy()[rows]]
    return pd.concat([frame, frame.assign(theme=ANY)]).drop_duplicates()


def part_products(readings: Readings, shop: Shop, orders: pd.DataFrame) -> Part:
    """Which product is complained about more than the others? Those that stand out, beside the shop's average."""
    found = products(readings, shop, orders)
    clear = found.clear
    if found.frame.empty:
        title, sentence = "Products cannot be compared", "That needs texts that name a product, and dated order lines."
    elif clear.empty:
        title = "No product draws clearly more complaints than the others"
        sentence = f"{wording.upper(wording.counted(found.searched, 'pair'))} of product and theme were searched."
    else:
        row, more = next(clear.itertuples()), len(clear) - 1
        cases = f"{wording.upper(wording.small(more))} more {wording.noun(more, 'case stands', 'cases stand')} out."
        quote = quoted(about(readings, shop, row.product_id), row.theme, product_id=row.product_id)
        title, sentence = titled(row), wording.sentences(_counted(row), quote, cases if more else "")
    method = f"Products are held against the others in {found.searched:,} pairs with a theme; what is called different "
    method += "holds at a false discovery rate of 5 %. Rates are drawn towards the average where there is little to go "
    method += f"by. A writer counts once; {wording.counted(found.without_product, 'text')} without a product."
    by, signals = wording.working_day(readings.as_of, ACT_WITHIN_DAYS), []
    for one in clear.itertuples():
        id_, gone = f"product:{one.product_id}:{one.theme}", f"{one.name} no longer stands out."
        signals.append(Signal(id=id_, text=f"{titled(one)}.", gone=gone))
    return Part(
        title=title,
        sentence=sentence,
        chart=_chart(found),
        actions=[_action(row, by) for row in clear.head(3).itertuples()],
        signals=signals,
        method=[method] if found.searched else [],
        tables={"products": found.frame},
    )


def titled(row: Any) -> str:
    """A product's finding in a few words: 'Linen shirt runs small', else its theme."""
    theme = "" if row.theme == ANY else f"{row.theme} "
    finding = f"runs {row.runs}" if row.runs else f"draws more {theme}complaints than other products"
    return f"{row.name} {finding}"


def _counted(row: Any) -> str:
    """How many said so, and how that compares: '17 buyers said it runs small. That is about 6 in 1,000 orders; …'."""
    about = "" if row.theme == ANY else f" about {row.theme}"
    said = f"said it runs {row.runs}" if row.runs else f"complained{about}"
    rate = 1000 * row.complaints / row.orders
    others = "no other product has any"
    if np.isfinite(row.ratio):
        others = f"for other products it is {formats.number(rate / row.ratio, digits=1)}"
    per = formats.number(rate, digits=0 if rate >= 2 else 1)
    return f"{wording.counted(int(row.complaints), 'buyer')} {said}. That is about {per} in 1,000 orders; {others}."


def _action(row: Any, by: date) -> Action:
    what = f"it runs {row.runs}" if row.runs else "complaints" if row.theme == ANY else f"{row.theme} complaints"
    owner, count = OWNERS.get(row.theme, "purchasing"), int(row.complaints)
    what, file = f"Check {row.name}: {what}", "tables/products.csv"
    return Action(what=what, why=_counted(row), count=count, by=by, owner=owner, file=file)


def _chart(found: Products) -> Chart | None:
    """The products with the highest rates for the theme that stands out; None where fewer than three have five."""
    clear = found.clear
    theme = clear["theme"].iloc[0] if len(clear) else ANY
    # A dot looks like a finding, which fewer than five complaints are not.
    told = (found.frame["orders"] >= MIN_ORDERS) & (found.frame["complaints"] >= MIN_COMPLAINTS)
    shown = found.frame[told & (found.frame["theme"] == theme)].sort_values("rate", ascending=False).head(SHOWN)
    if len(shown) < 3:
        return None
    listed = pd.concat([clear.head(20), shown]).drop_duplicates(["product_id", "theme"])
    listed["counted"] = 1000 * listed["complaints"] / listed["orders"]
    labels = {"name": "Product", "theme": "Theme", "orders": "Orders with it", "complaints": "Complaints",
              "counted": "Per 1,000 as counted", "rate": "Cautious rate", "low": "From", "high": "To",
              "average": "Average"}  # fmt: skip
    forms = dict.fromkeys(("counted", "rate", "low", "high", "average"), _one) | {"orders": formats.number}
    said = f"Complaints per 1,000 orders that held the product; {found.searched:,} pairs searched"
    table = figures.tabulate(listed, caption=said, labels=labels, formats=forms, file="tables/products.csv")
    average = float(shown["average"].iloc[0])
    caption = f"Upright line: the average, {average:.1f}. Products with fewer than five complaints are not drawn."
    what = f"{'Complaints' if theme == ANY else f'{theme.capitalize()} complaints'} per 1,000 orders with it"
    return figures.dots(
        shown, value="rate", what=what, form=_one, reference=average, strong="above", caption=caption, table=table
    )


def _one(value: float) -> str:
    return formats.number(value, digits=1)


def part_groups(readings: Readings, shop: Shop, orders: pd.DataFrame) -> Part:
    """Do groups of customers complain more per order, and do channels of feedback carry other complaints?"""
    found = groups(readings, shop, orders)
    title, sentence = group_words(found)
    clear = found.clear
    rest = found.frame[(found.frame["theme"] == ANY) & (found.frame["differs"] == "")]
    shown = pd.concat([clear, rest.sort_values("p_value", kind="stable").head(SHOWN)]).reset_index(drop=True)
    hidden = ["rate", "low", "high"]  # a rate beside its orders would give a hidden count away
    shown = figures.masked(shown, count="complaints", rates=hidden).assign(
        group=[f"{_DIMENSIONS[row.dimension]}: {row.value}" for row in shown.itertuples()],
        basis=[f"{size:,} {per}" for size, per in zip(shown["exposure"], shown["per"], strict=True)],
        verdict=shown["differs"].replace("", "no clear difference"),
    )
    labels = {"group": "Group", "theme": "Theme", "basis": "Out of", "complaints": "Complaints", "rate": "Per 1,000",
              "low": "From", "high": "To", "average": "Average", "verdict": "Against the rest"}  # fmt: skip
    method = f"Groups and channels were compared {found.searched:,} times and corrected for it (false discovery rate "
    method += "5 %). Who writes where differs, so this compares writers, not causes."
    heard = [quoted(readings, row.theme, **{row.dimension: row.value}) for row in found.named if row.ratio > 1]
    said = "Complaints per 1,000 orders of a group of customers, or per 1,000 texts of a channel"
    forms = dict.fromkeys((*hidden, "average"), _one)
    chart = figures.table(shown, caption=said, labels=labels, formats=forms, file="tables/groups.csv")
    signals = []
    for row in clear[(clear["theme"] != ANY) & (clear["differs"] == "more")].itertuples():
        gone = f"{wording.upper(_named(row))} no longer brings more complaints about {row.theme}."
        id_ = f"group:{row.dimension}:{row.value}:{row.theme}"
        signals.append(Signal(id=id_, text=f"{group_title(row)}.", gone=gone))
    return Part(
        title=title,
        sentence=wording.sentences(sentence, *heard),
        detail=True,
        chart=chart if len(shown) else None,
        signals=signals,
        method=[method] if found.searched else [],
        tables={
            "groups": figures.masked(found.frame, count="complaints", rates=[*hidden, "ratio", "p_value", "q_value"])
        },
    )


def group_words(found: Groups) -> tuple[str, str]:
    """Do groups of customers or channels differ? A title and a sentence."""
    if found.frame.empty:
        return "Customers and channels cannot be compared", "That needs fifty orders or texts of at least two of them."
    if not found.named:
        return "No group of customers and no channel differs clearly", ""
    row, more = found.named[0], len(found.clear) - 1
    said = f"{formats.number(row.rate)} per 1,000 {row.per}; on average {formats.number(row.average)}."
    differ = wording.noun(more, "comparison differs", "comparisons differ")
    others = f"{wording.upper(wording.small(more))} more {differ}." if more else ""
    return group_title(row), wording.sentences(said, others)


def group_title(row: Any) -> str:
    """What a group differs in: 'Chat brings about seven times as many complaints about service as other channels'."""
    about = "complaints" if row.theme == ANY else f"complaints about {row.theme}"
    others = "other channels" if row.dimension == "channel" else "other customers"
    if not np.isfinite(row.ratio):
        return f"Only {_named(row)} brings {about}"
    much = f"fewer {about} than" if row.ratio < 1 else f"{wording.times(row.ratio)} {about} as"
    return f"{wording.upper(_named(row))} brings {much} {others}"


def _named(row: Any) -> str:
    return str(row.value) if row.dimension == "channel" else f"{_DIMENSIONS[row.dimension].lower()} {row.value}"
