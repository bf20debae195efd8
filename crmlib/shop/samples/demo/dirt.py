"""What is wrong with the demo shop's tables, and how often?

The faults of real exports, put into sound tables and counted by table and kind. A fault is a row of its own,
so that setting it aside gives back the sound shop; only birth dates, ratings and two products' costs are
spoilt. A row has at most one fault, a missing cost apart. Orders added by a fault have no lines, except those
of the future and of unknown customers; lines added to an order are not in that order's total.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

Tables = dict[str, pd.DataFrame]
Rows = dict[str, dict[str, list[int]]]

# Shares of a table's rows; at least two rows of each.
SHARES: dict[str, dict[str, float]] = {
    "customers": {
        "repeated_key": 0.003,
        "identical_row": 0.002,
        "missing_id": 0.001,
        "impossible_birth_date": 0.0025,
    },
    "orders": {
        "repeated_key": 0.0008,
        "identical_row": 0.0005,
        "future_date": 0.0004,
        "unreadable_date": 0.0004,
        "missing_date": 0.0001,
        "missing_id": 0.0002,
        "unreadable_number": 0.0002,
        "decimal_comma": 0.0002,
        "negative_total": 0.0003,
        "unknown_customer": 0.0007,
    },
    "order_lines": {
        "identical_row": 0.0004,
        "unknown_order": 0.0004,
        "missing_order_id": 0.0001,
        "missing_product_id": 0.0001,
        "unreadable_number": 0.0001,
        "decimal_comma": 0.0001,
        "negative_quantity": 0.0003,
        "zero_quantity": 0.0002,
    },
    "feedback": {
        "repeated_key": 0.004,
        "identical_row": 0.003,
        "missing_id": 0.002,
        "empty_text": 0.005,
        "unreadable_date": 0.002,
        "rating_out_of_range": 0.004,
    },
}
COST_UNKNOWN = ("Copper Kettle 1.2 l", "Tamper 58 mm")
_UNREADABLE_DATES = ("31.02.2025", "n/a", "2025-13-40", "0000-00-00 00:00:00", "yesterday")
_UNREADABLE_NUMBERS = ("abc", "n/a", "--", "12.5.0")


def with_dirt(rng: np.random.Generator, tables: Tables) -> tuple[Tables, Rows]:
    """The tables with faults, and the rows (numbers from 0) of each kind of fault by table.

    Columns that hold unreadable values become text, as they are in a CSV file: orders.ordered_at and total,
    order_lines.quantity and line_total, feedback.created_at.
    """
    soiled, rows = dict(tables), {}
    orders, own_lines = _orders(rng, tables)
    soiled["orders"], rows["orders"] = orders
    soiled["order_lines"], rows["order_lines"] = _order_lines(rng, tables, own_lines)
    soiled["customers"], rows["customers"] = _customers(rng, tables["customers"])
    soiled["feedback"], rows["feedback"] = _feedback(rng, tables["feedback"])
    unknown = tables["products"]["name"].isin(COST_UNKNOWN)
    soiled["products"] = tables["products"].assign(unit_cost=tables["products"]["unit_cost"].mask(unknown))
    rows["products"] = {"missing_cost": np.flatnonzero(unknown).tolist()}
    return soiled, rows


def _orders(rng: np.random.Generator, tables: Tables) -> tuple[tuple[pd.DataFrame, dict[str, list[int]]], pd.DataFrame]:
    table = tables["orders"]
    plain = table[(table["status"] == "completed") & (table["customer_id"] != "")]
    goods = tables["products"]
    goods = goods[goods["category"] == "Tea"]
    table, plain = (_as_text(frame, times=["ordered_at"], money=["total"]) for frame in (table, plain))
    count = _counts("orders", len(table))
    numbers = iter(range(900_001, 1_000_000))
    sold: list[pd.DataFrame] = []

    def fresh(kind: str) -> pd.DataFrame:
        """Orders that never were: like existing ones in all but the number and the money."""
        rows = plain.iloc[rng.choice(len(plain), size=count[kind])].copy()
        tea = goods.iloc[rng.choice(len(goods), size=count[kind])]
        price = tea["list_price"].to_numpy()
        rows["order_id"] = [f"D{next(numbers)}" for _ in range(len(rows))]
        rows["total"] = [f"{value:.2f}" for value in price]
        rows = rows.assign(coupon="", discount=0.0, shipping=0.0, tax=(price * 0.07 / 1.07).round(2))
        if kind in ("future_date", "unknown_customer"):
            sold.append(
                pd.DataFrame(
                    {
                        "order_id": rows["order_id"].to_numpy(),
                        "product_id": tea["product_id"].to_numpy(),
                        "quantity": "1",
                        "unit_price": price,
                        "line_total": rows["total"].to_numpy(),
                        "discount": 0.0,
                        "unit_cost": tea["unit_cost"].to_numpy(),
                        "line_no": 1,
                        "_kind": "of_future_order" if kind == "future_date" else "",
                    }
                )
            )
        return rows

    again = _copies(rng, plain, count["repeated_key"] + count["identical_row"])
    exported = again.iloc[: count["repeated_key"]]
    exported = exported.assign(channel="import", total=[f"{float(total) + 1:.2f}" for total in exported["total"]])
    future = fresh("future_date")
    day = rng.integers(0, 365, len(future)).astype("timedelta64[D]")
    future["ordered_at"] = [f"{date} 10:15:00" for date in np.datetime64("2031-01-01") + day]
    credit = fresh("negative_total")
    credit["total"] = "-" + credit["total"]
    added = {
        "repeated_key": exported,
        "identical_row": again.iloc[count["repeated_key"] :],
        "future_date": future,
        "unreadable_date": _spoilt(fresh("unreadable_date"), "ordered_at", _UNREADABLE_DATES),
        "missing_date": fresh("missing_date").assign(ordered_at=""),
        "missing_id": fresh("missing_id").assign(order_id=""),
        "unreadable_number": _spoilt(fresh("unreadable_number"), "total", _UNREADABLE_NUMBERS),
        "decimal_comma": _comma(fresh("decimal_comma"), "total"),
        "negative_total": credit,
        "unknown_customer": fresh("unknown_customer"),
    }
    strangers = added["unknown_customer"]
    strangers["customer_id"] = [f"C{number}" for number in range(90_001, 90_001 + len(strangers))]
    return _mixed(rng, table, added), pd.concat(sold, ignore_index=True)


def _order_lines(
    rng: np.random.Generator, tables: Tables, own: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, list[int]]]:
    table = tables["order_lines"]
    count = _counts("order_lines", len(table))
    names = tables["products"].set_index("product_id")["name"]
    table = table.assign(unit_cost=table["unit_cost"].mask(table["product_id"].map(names).isin(COST_UNKNOWN)))
    completed = tables["orders"].loc[tables["orders"]["status"] == "completed", "order_id"]
    plain = table[table["unit_cost"].notna() & table["order_id"].isin(completed)]
    table, plain = (_as_text(frame, numbers=["quantity"], money=["line_total"]) for frame in (table, plain))

    def fresh(kind: str) -> pd.DataFrame:
        rows = plain.iloc[rng.choice(len(plain), size=count[kind], replace=False)].copy()
        # Numbered through, or two rows that lost their ids could be alike by accident.
        return rows.assign(line_no=np.arange(91, 91 + len(rows)), discount=0.0)

    orphans = fresh("unknown_order")
    orphans["order_id"] = [f"D{number}" for number in range(800_001, 800_001 + len(orphans))]
    returned = fresh("negative_quantity")
    returned["quantity"] = "-1"
    returned["line_total"] = [f"{-price:.2f}" for price in returned["unit_price"]]
    added = {
        "identical_row": _copies(rng, plain, count["identical_row"]),
        "unknown_order": orphans,
        "missing_order_id": fresh("missing_order_id").assign(order_id=""),
        "missing_product_id": fresh("missing_product_id").assign(product_id=""),
        "unreadable_number": _spoilt(fresh("unreadable_number"), "quantity", _UNREADABLE_NUMBERS),
        "decimal_comma": _comma(fresh("decimal_comma"), "line_total"),
        "negative_quantity": returned,
        "zero_quantity": fresh("zero_quantity").assign(quantity="0", unit_price=0.0, line_total="2.90"),
    }
    for kind, rows in own.groupby("_kind"):
        added[str(kind)] = rows.drop(columns="_kind")
    whole, found = _mixed(rng, table, added)
    found["missing_cost"] = np.flatnonzero(whole["unit_cost"].isna()).tolist()
    return whole, found


def _customers(rng: np.random.Generator, table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, list[int]]]:
    count = _counts("customers", len(table))
    again = _copies(rng, table, count["repeated_key"] + count["identical_row"])
    moved = again.iloc[: count["repeated_key"]].assign(city="Bielefeld", postcode="33602", region="Elsewhere")
    nameless = table.iloc[rng.choice(len(table), size=count["missing_id"])].assign(
        customer_id="", email=[f"unknown{number}@example.com" for number in range(count["missing_id"])]
    )
    untouched = np.flatnonzero(~table["customer_id"].isin(again["customer_id"]))
    born = rng.choice(untouched, size=count["impossible_birth_date"], replace=False)
    spoilt = table.copy()
    spoilt["_kind"] = ""
    wrong = [pd.Timestamp(1890, 1, 1) if place % 2 else pd.Timestamp(2030, 5, 5) for place in range(len(born))]
    spoilt.loc[born, "birth_date"] = wrong
    spoilt.loc[born, "_kind"] = "impossible_birth_date"
    added = {
        "repeated_key": moved,
        "identical_row": again.iloc[count["repeated_key"] :],
        "missing_id": nameless,
    }
    return _mixed(rng, spoilt, added)


def _feedback(rng: np.random.Generator, table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, list[int]]]:
    count = _counts("feedback", len(table))
    table = _as_text(table, times=["created_at"])
    again = _copies(rng, table, count["repeated_key"] + count["identical_row"])
    numbers = iter(range(90_001, 100_000))

    def fresh(kind: str) -> pd.DataFrame:
        rows = table.iloc[rng.choice(len(table), size=count[kind])].copy()
        rows["feedback_id"] = [f"F{next(numbers)}" for _ in range(len(rows))]
        return rows

    untouched = np.flatnonzero(~table["feedback_id"].isin(again["feedback_id"]))
    starred = rng.choice(untouched, size=count["rating_out_of_range"], replace=False)
    spoilt = table.copy()
    spoilt["_kind"] = ""
    spoilt.loc[starred, "rating"] = [9 if place % 2 else 0 for place in range(len(starred))]
    spoilt.loc[starred, "_kind"] = "rating_out_of_range"
    added = {
        "repeated_key": again.iloc[: count["repeated_key"]].assign(text="(resent)"),
        "identical_row": again.iloc[count["repeated_key"] :],
        "missing_id": fresh("missing_id").assign(feedback_id=""),
        "empty_text": _spoilt(fresh("empty_text"), "text", ("", "   ")),
        "unreadable_date": _spoilt(fresh("unreadable_date"), "created_at", _UNREADABLE_DATES),
    }
    return _mixed(rng, spoilt, added)


def _counts(table: str, rows: int) -> dict[str, int]:
    return {kind: max(2, round(share * rows)) for kind, share in SHARES[table].items()}


def _as_text(
    table: pd.DataFrame, *, times: list[str] | None = None, numbers: list[str] | None = None,
    money: list[str] | None = None,
) -> pd.DataFrame:  # fmt: skip
    text: dict[str, list[str]] = {}
    for column in times or []:
        text[column] = table[column].dt.strftime("%Y-%m-%d %H:%M:%S").tolist()
    for column in numbers or []:
        text[column] = table[column].astype(str).tolist()
    for column in money or []:
        text[column] = [f"{value:.2f}" for value in table[column]]
    return table.assign(**text)


def _copies(rng: np.random.Generator, table: pd.DataFrame, size: int) -> pd.DataFrame:
    """Distinct rows, keeping their place in the table as the index."""
    return table.iloc[np.sort(rng.choice(len(table), size=size, replace=False))]


def _spoilt(table: pd.DataFrame, column: str, values: tuple[str, ...]) -> pd.DataFrame:
    return table.assign(**{column: [values[place % len(values)] for place in range(len(table))]})


def _comma(table: pd.DataFrame, column: str) -> pd.DataFrame:
    return table.assign(**{column: table[column].str.replace(".", ",")})


def _mixed(
    rng: np.random.Generator, table: pd.DataFrame, added: dict[str, pd.DataFrame]
) -> tuple[pd.DataFrame, dict[str, list[int]]]:
    """The table with the added rows among its own, a copy always after its original; rows of each kind."""
    own = table if "_kind" in table else table.assign(_kind="")
    parts, places = [own], [np.arange(len(own), dtype=np.float64)]
    for kind, rows in added.items():
        parts.append(rows.assign(_kind=kind))
        # Every added row was made from one of the table's: its index says which. Keep it near, and after.
        near = rng.uniform(0.1, 40, len(rows))
        after = (
            rows.index.to_numpy() if kind in ("repeated_key", "identical_row") else rng.uniform(0, len(own), len(rows))
        )
        places.append(after + near)
    order = np.argsort(np.concatenate(places), kind="stable")
    whole = pd.concat(parts, ignore_index=True).iloc[order].reset_index(drop=True)
    kinds = whole.pop("_kind")
    found = {kind: np.flatnonzero(kinds == kind).tolist() for kind in sorted(set(kinds) - {""})}
    return whole, found
