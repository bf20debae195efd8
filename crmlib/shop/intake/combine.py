"""Tables that several exports make become one of each name, and rows that several files have count once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ibis
import ibis.expr.types as ir
import pandas as pd

from crmlib.shop.intake.compose import CENT, Table_
from crmlib.shop.tables import TABLES


def with_refunds(tables: Mapping[str, ir.Table]) -> dict[str, ir.Table]:
    """Orders with the day their refund came about, where the payments that say so come to what was given back."""
    found = {name: rows for name, rows in tables.items() if name != "refunds"}
    orders = found.get("orders")
    if "refunds" not in tables or orders is None or "_label" not in orders.columns:
        return found
    paid = tables["refunds"].filter(lambda t: t["_label"].notnull())
    each = paid.group_by(_of="_label").aggregate(_sum=paid["_back"].sum(), _last=paid["refunded_at"].max())
    # A label that two orders bear says nothing of either.
    lone = orders.group_by(_of="_label").aggregate(_n=orders.count())
    each = each.semi_join(lone.filter(lone["_n"] == 1), "_of")
    told = orders.left_join(each, orders["_label"] == each["_of"])
    if "_refunded" not in orders.columns:
        back, at = told["_sum"], told["_last"]
        told = told.mutate(refunded=back)
    else:
        whole = (told["_sum"] - told["_refunded"]).abs() < CENT
        at = ibis.ifelse(whole, told["_last"], ibis.null("string"))
    told = told.mutate(refunded_at=at.coalesce(told["refunded_at"]) if "refunded_at" in orders.columns else at)
    return found | {"orders": told.drop("_of", "_sum", "_last")}


def together(tables: Mapping[str, Sequence[Table_]]) -> Mapping[str, ir.Table]:
    """The tables of all exports in one of each name; of one key, the rows of the better rank."""
    found = {}
    for name, parts in tables.items():
        best = min(part.rank for part in parts)
        used = [part for part in parts if part.rank < 2 or best == 2]
        columns = list(dict.fromkeys(column for part in used for column in part.rows.columns))
        # What one export brings as text, such as $9.00, is text in all: `cells` reads it, or says that it cannot.
        kinds = {
            c: max((p.rows[c].type() for p in used if c in p.rows.columns),
                   key=lambda kind: kind.is_string() and c[:1] != "_")
            for c in columns
        }  # fmt: skip
        same = []
        for number, part in enumerate(used):
            values = {
                c: part.rows[c].cast(kinds[c]) if c in part.rows.columns else ibis.null(kinds[c]) for c in columns
            }
            same.append(part.rows.select(**values, _rank=ibis.literal(part.rank, type="int32"),
                                         _part=ibis.literal(number, type="int32")))  # fmt: skip
        rows = ibis.union(*same) if len(same) > 1 else same[0]
        key = [column for column in TABLES[name].key if column in rows.columns] if name in TABLES else []
        if len({part.rank for part in used}) > 1 and len(key) == len(TABLES[name].key):
            least = rows["_rank"].min().over(group_by=key)
            rows = rows.filter(rows[key[0]].isnull() | (rows["_rank"] == least))
        found[name] = rows
    return found


def once(rows: ir.Table, again: Sequence[int]) -> ir.Table:
    """Rows of several files without those that stand there `again`."""
    return rows.anti_join(_listed(again), "_row") if again else rows


def renumbered(rows: ir.Table, again: Sequence[int]) -> ir.Table:
    """A few of these rows, counted as if those that stand there `again` were not there."""
    if not again:
        return rows
    listed = _listed(again)
    before = listed.mutate(_before=ibis.row_number().over(order_by="_row").cast("int64") + 1)
    found = rows.left_join(before, rows["_row"] > before["_row"])
    most = found.group_by(_at="_row").aggregate(_before=found["_before"].max().fill_null(0))
    return rows.inner_join(most, rows["_row"] == most["_at"]).mutate(_row=lambda t: t["_row"] - t["_before"])


def _listed(again: Sequence[int]) -> ir.Table:
    return ibis.memtable(pd.DataFrame({"_row": pd.Series(again, dtype="int64")}))
