"""A shirt that runs small does so in every colour: sizes and colours of one thing are held to account together too."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd

from crmlib.analysis.feedback.texts import Readings
from crmlib.shop import facts as shop_facts
from crmlib.shop.shop import Shop

_ONE_THING = ("shop.toml", "variant", "size", "colour")  # of what `families` knows; designs are things of their own
_SMALL = re.compile(
    r"\b(?:small(?:er)?|tight(?:er)?|short(?:er)?|narrow(?:er)?|tiny|size up|next size up|barely|hardly)\b",
    re.IGNORECASE,
)
_LARGE = re.compile(
    r"\b(?:big(?:ger)?|large(?:r)?|loose(?:r)?|long(?:er)?|wide(?:r)?|baggy|huge|size down)\b", re.IGNORECASE
)


def of_one_thing(shop: Shop) -> pd.DataFrame:
    """Grain: a product that comes in several sizes or colours, by product_id. Columns family_id (the ids of them all)
    and name (of the family)."""
    kin = shop_facts.families(shop)
    kin = kin[kin["evidence"].isin(_ONE_THING)].sort_values(["family", "product_id"])
    ids = kin.groupby("family")["product_id"].transform("+".join)
    return pd.DataFrame({"family_id": ids, "name": kin["family"]}).set_index(kin["product_id"])


def together(readings: Readings, kin: pd.DataFrame) -> Readings:
    """Readings whose texts name the family of their product, where it has one."""
    ids, named = kin["family_id"].to_dict(), readings.texts["product_id"]
    kind = pd.Series([ids.get(one, one) for one in named], index=named.index, dtype=named.dtype)
    return replace(readings, texts=readings.texts.assign(product_id=kind))


def sold_together(sold: pd.DataFrame, kin: pd.DataFrame) -> pd.DataFrame:
    """product_id, name and orders, one row a family; an order with two of one family counts for both.

    >>> kin = pd.DataFrame({"family_id": ["1+2", "1+2"], "name": ["Mug", "Mug"]}, index=["1", "2"])
    >>> sold = pd.DataFrame({"product_id": ["1", "2", "3"], "name": ["Mug M", "Mug L", "Cup"], "orders": [4, 5, 6]})
    >>> sold_together(sold, kin).to_numpy().tolist()
    [['1+2', 'Mug', 9], ['3', 'Cup', 6]]
    """
    ids, names = kin["family_id"].to_dict(), kin["name"].to_dict()
    frame = sold.assign(
        product_id=[ids.get(one, one) for one in sold["product_id"]],
        name=[names.get(one, name) for one, name in zip(sold["product_id"], sold["name"], strict=True)],
    )
    return frame.groupby("product_id", as_index=False).agg(name=("name", "first"), orders=("orders", "sum"))


def about(readings: Readings, shop: Shop, product_id: str) -> Readings:
    """The readings in which texts name this product, or the family it is."""
    return readings if (readings.texts["product_id"] == product_id).any() else together(readings, of_one_thing(shop))


def runs(readings: Readings, product_id: str) -> str:
    """'small' or 'large' where two of three fit complaints about a product say so, else ''."""
    said = readings.mentions[readings.mentions["complaint"] & (readings.mentions["theme"] == "fit")]
    texts = readings.texts.iloc[said["row"]]
    texts = texts.loc[texts["product_id"] == product_id, "text"]
    small, large = (int(texts.str.contains(pattern).sum()) for pattern in (_SMALL, _LARGE))
    most = 2 / 3 * len(texts)
    return "small" if small >= most and small > large else ("large" if large >= most and large > small else "")
