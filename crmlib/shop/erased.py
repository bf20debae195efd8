"""Rows of who asked to be erased are left out, whatever the shop's files still hold.

Orders stay as sales of a guest; what is about the person alone, such as a text, is set aside as 'erased'.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence, Set
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


def about(folder: Path) -> str:
    """What is kept of the shop's files depends on who was erased: another word for other people."""
    return hashlib.sha256("".join(sorted(one.text() for one in stones(folder))).encode()).hexdigest()[:16]


def without(works: Engine, typed: Mapping[str, ir.Table], folder: Path) -> dict[str, ir.Table]:
    """Typed rows with `_reason` 'erased', or without a customer, where the person was erased."""
    tables, gone = dict(typed), _tests(works, typed, folder)
    for name, test in gone.items():
        rows = tables[name]
        if name in _PERSONS:
            column = _PERSONS[name]
            own = [c for c in rows.columns if c == column or (c not in TABLES[name].names and c[0] != "_")]
            tables[name] = rows.mutate(**{c: ibis.ifelse(test, ibis.null(rows[c].type()), rows[c]) for c in own})
        else:
            reason = ibis.ifelse(test & rows["_reason"].isnull(), "erased", rows["_reason"])
            tables[name] = rows.mutate(_reason=reason)
    return tables


def places(works: Engine, typed: Mapping[str, ir.Table], folder: Path, names: Set[str]) -> dict[str, list[int]]:
    """In which rows of these tables those who were erased stand, counted from 1."""
    found = {}
    for name, test in _tests(works, typed, folder).items():
        if name in names:
            found[name] = [int(n) for n in works.frame(typed[name].filter(test).select("_row"))["_row"]]
    return found


def _tests(works: Engine, tables: Mapping[str, ir.Table], folder: Path) -> dict[str, ir.BooleanValue]:
    """By table, is a row about who was erased, or of theirs?"""
    known, found = stones(folder), dict[str, ir.BooleanValue]()
    if not known:
        return found
    also: list[str] = []
    if "customers" in tables:
        people = tables["customers"]
        by_contact = _marked(people["email"].strip().lower(), CONTACT, known)
        # Who came back under another id is named in other tables by that.
        also = list(
            works.frame(people.filter(by_contact).select("customer_id").distinct().limit(10_000))["customer_id"]
        )
        found["customers"] = by_contact | _marked(people["customer_id"], ID, known)
    for name, column in (_ABOUT | _PERSONS).items():
        if name in tables:
            found[name] = _gone(tables[name][column], known, also)
    return found


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
