"""Rows of who asked to be erased are left out, whatever the shop's files still hold.

Orders stay as sales of a guest; what is about the person alone, such as a text, is set aside as 'erased'.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import ibis
import ibis.expr.types as ir

from crmlib.errors import DataError
from crmlib.shop.engines import Engine
from crmlib.shop.privacy import KEPT_VARIABLE
from crmlib.shop.tables import TABLES
from crmlib.stones import CONTACT, ID, Stones, read

FILE = ".erased.json"  # in the shop's folder, for who opens it by hand; the reports folder's own lies in its lists
_PERSONS = dict.fromkeys(("orders", "tickets", "price_survey"), "customer_id")  # rows that stay without the person
_ABOUT = {"feedback": "customer_id", "touches": "customer_id", "assignments": "unit_id", "outcomes": "unit_id"}


def stones(folder: Path) -> list[Stones]:
    """Those of the shop's folder and of the reports folder, as the runner names it; none where nobody was erased."""
    kept = os.environ.get(KEPT_VARIABLE, "")
    try:
        found = [read(folder / FILE), *([read(Path(kept) / "erased.json")] if kept else [])]
    except ValueError as error:
        raise DataError(str(error)) from None
    return list({one.key: one for one in found if one.key}.values())


def without(works: Engine, typed: Mapping[str, ir.Table], folder: Path) -> dict[str, ir.Table]:
    """Typed rows with `_reason` 'erased', or without a customer, where the person was erased."""
    known, tables = stones(folder), dict(typed)
    if not known:
        return tables
    also: list[str] = []
    if "customers" in tables:
        people = tables["customers"]
        by_contact = _marked(people["email"].strip().lower(), CONTACT, known)
        # Who came back under another id is named in other tables by that.
        also = list(
            works.frame(people.filter(by_contact).select("customer_id").distinct().limit(10_000))["customer_id"]
        )
        gone = by_contact | _marked(people["customer_id"], ID, known)
        tables["customers"] = _aside(people, gone)
    for name, column in _ABOUT.items():
        if name in tables:
            tables[name] = _aside(tables[name], _gone(tables[name][column], known, also))
    for name, column in _PERSONS.items():
        if name in tables:
            rows = tables[name]
            own = [c for c in rows.columns if c == column or (c not in TABLES[name].names and c[0] != "_")]
            gone = _gone(rows[column], known, also)
            emptied = {c: ibis.ifelse(gone, ibis.null(rows[c].type()), rows[c]) for c in own}
            tables[name] = rows.mutate(**emptied)
    return tables


def _gone(who: ir.StringValue, known: Sequence[Stones], also: Sequence[str]) -> ir.BooleanValue:
    test = _marked(who, ID, known)
    return test | who.isin(also).fill_null(False) if also else test


def _marked(value: ir.StringValue, kind: str, known: Sequence[Stones]) -> ir.BooleanValue:
    test: ir.BooleanValue = ibis.literal(False)
    for one in known:
        if hashes := one.hashes.get(kind):
            digest = (ibis.literal(one.prefix(kind)) + value).hexdigest("sha256")
            test = test | digest.isin(list(hashes)).fill_null(False)
    return test


def _aside(rows: ir.Table, gone: ir.BooleanValue) -> ir.Table:
    return rows.mutate(_reason=ibis.ifelse(gone & rows["_reason"].isnull(), "erased", rows["_reason"]))
