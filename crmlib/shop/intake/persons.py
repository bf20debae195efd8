"""Rows of raw exports get the customer they are of, and the customer list one row a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import reduce
from operator import or_

import ibis
import ibis.expr.types as ir
import pandas as pd

from crmlib.shop.engines import Engine
from crmlib.shop.intake.compose import A_FILE, WHO
from crmlib.shop.intake.encoding import MARK
from crmlib.shop.people import Identity, People, match
from crmlib.shop.tables import TABLES
from crmlib.shop.vocabulary import is_guest, yes_or_no

_SAID = ("_platform", *WHO)
_STATES = next(state.columns for state in TABLES["customers"].states if state.at == "consent_at")
_CONSENTS = tuple(name for name in _STATES if name.endswith("_consent"))
_NEVER = ibis.null("timestamp")


def resolved(works: Engine, tables: Mapping[str, ir.Table], *, country: str) -> tuple[dict[str, ir.Table], People]:
    """The tables with `customer_id`, wherever a row says who it is of, and what is to be told of people."""
    whose = {name: _said(rows) for name, rows in tables.items() if set(rows.columns) & set(WHO)}
    if not whose:
        return dict(tables), People()
    each = [rows.select(*_SAID).distinct() for rows in whose.values()]
    written = works.frame(ibis.union(*each, distinct=True) if len(each) > 1 else each[0])
    identities = [Identity(*row) for row in written[list(_SAID)].itertuples(index=False, name=None)]
    crowd = match(identities, country=country)
    known = pd.DataFrame([(*_fields(row), who) for row, who in crowd.of.items() if who], columns=[*_SAID, "_who"])
    ids = works.keep(
        "_who_is_who", ibis.memtable(known.astype("string"), schema=dict.fromkeys([*_SAID, "_who"], "string"))
    )
    found = dict(tables)
    for name, rows in whose.items():
        joined = rows.left_join(ids, list(_SAID)).drop(*(f"{column}_right" for column in _SAID))
        mine = joined["_who"] if "customer_id" not in joined.columns else joined["_who"].coalesce(joined["customer_id"])
        more = {"their_customer": _theirs(joined)} if name == "orders" else {}
        found[name] = works.keep(f"_whose_{name}", joined.mutate(customer_id=mine, **more))
    if "customers" in found and "_who" in found["customers"].columns:
        found["customers"] = _one_each(works, found["customers"])
        crowd = _counted(works, found["customers"], crowd)
    return found, crowd


def _counted(works: Engine, people: ir.Table, crowd: People) -> People:
    sound = people[MARK].fill_null("") == "" if MARK in people.columns else ibis.literal(True)
    nameless = (people["customer_id"].isnull() & sound).sum()
    counts = works.frame(people.aggregate(disputed=people["_disputed"].sum(), nameless=nameless)).fillna(0).iloc[0]
    return replace(crowd, disputed=int(counts["disputed"]), nameless=int(counts["nameless"]))


def _fields(row: Identity) -> tuple[str, ...]:
    return row.platform, row.account, row.email, row.phone, row.name


def _said(rows: ir.Table) -> ir.Table:
    """With all that is said of who a row is of, as texts; empty where nothing is."""
    texts = {name: rows[name].fill_null("") if name in rows.columns else ibis.literal("") for name in _SAID}
    account = texts["_account"].re_replace("^'", "").re_replace(r"[.]0$", "")
    texts["_account"] = ibis.ifelse(is_guest(account), "", account)
    return rows.mutate(**texts)


def _theirs(rows: ir.Table) -> ir.StringValue:
    """Whom the platform itself takes an order to be of, as a word that says nobody's name; empty for nobody known."""
    said = ibis.coalesce(
        rows["_account"].nullif(""), rows["_email"].strip().lower().nullif(""), rows["_phone"].nullif("")
    )
    return said.hexdigest("md5")


def _one_each(works: Engine, rows: ir.Table) -> ir.Table:
    """One row a person: of each column what the best file says, the latest of its kind and there the top row first."""
    people = rows.filter(rows["customer_id"].notnull())
    account = people["_email"].strip().lower().nullif("").coalesce(people["_account"])
    people = people.mutate(_file=people["_at"] // A_FILE, _one=account)
    latest = people["_file"].max().over(group_by=["customer_id", "_part", "_one"])
    people = works.keep("_accounts", people.mutate(_last=people["_file"] == latest))
    names = [name for name in rows.columns if name not in ("customer_id", "_at", "_rank", "_part")]
    order = [people["_rank"], people["_part"], people["_file"].desc(), people["_at"]]
    firsts = {name: people[name].first(order_by=order) for name in names} | _consents(people, order)
    each = people.group_by("customer_id").aggregate(**firsts, _at=people["_at"].min(), _rank=people["_rank"].min())
    each = _of_one_day(each) if "consent_at" in names else each
    each = each if "_disputed" in each.columns else each.mutate(_disputed=False)
    # Who cannot be named is told so, where the list itself has such rows.
    nobody = rows.filter(rows["customer_id"].isnull() & (rows["_rank"] == 0)).mutate(_disputed=False)
    nobody = nobody.select(*each.columns)
    return works.keep("_people", ibis.union(each, nobody))


def _consents(people: ir.Table, order: Sequence[ir.Value]) -> dict[str, ir.Value]:
    """Of what the latest file says of each account a no before a yes, of equal ones one with its day, and as '_since …'
    that day."""
    found: dict[str, ir.Value] = {}
    undated = [people["consent_at"].isnull()] if "consent_at" in people.columns else []
    for name in (name for name in _STATES if name in people.columns):
        says = _says(people, name)
        first = ibis.cases((says.isnull(), 2), (says, 1), else_=0)
        told = {"order_by": [first, *undated, *order], "where": people["_last"] & people[name].notnull()}
        found[name] = people[name].first(**told)
        if name == "email_consent":
            found["_disputed"] = ((says & people["_last"]).any() & (~says & people["_last"]).any()).fill_null(False)
        if undated and name in _CONSENTS:
            found[f"_since {name}"] = people["consent_at"].first(**told, include_null=True)
    return found


def _says(rows: ir.Table, name: str) -> ir.BooleanValue:
    return yes_or_no(rows[name].cast("string").strip().lower(), name)


def _of_one_day(each: ir.Table) -> ir.Table:
    """With the day of the first channel of which anything is said; none where a yes on another is of another day."""
    said = [name for name in _CONSENTS if name in each.columns]
    if not said:
        return each
    day = ibis.cases(*((each[name].notnull(), each[f"_since {name}"]) for name in said), else_=each["consent_at"])
    other = [_says(each, name).fill_null(False) & ~each[f"_since {name}"].identical_to(day) for name in said]
    alone = ibis.ifelse(reduce(or_, other), ibis.null(day.type()), day)
    return each.mutate(consent_at=alone).drop(*(f"_since {name}" for name in said))


def refusals(rows: ir.Table) -> ir.Table:
    """What the latest files of exports say no to, by `mail`: 'no <column>' what is said, 'since <column>' the last day
    it was said on, where all who say so know one."""
    latest = rows.mutate(mail=rows["_email"].strip().lower(), _file=rows["_at"] // A_FILE)
    latest = latest.mutate(_last=latest["_file"] == latest["_file"].max().over(group_by=["mail", "_part"]))
    day = latest["consent_at"].left(19).try_cast("timestamp") if "consent_at" in rows.columns else _NEVER
    # A row's one day is that of its yes to e-mail, where it has one.
    day = ibis.ifelse(_says(latest, "email_consent").fill_null(False), _NEVER, day)
    found: dict[str, ir.Value] = {}
    for name in (name for name in _STATES if name in rows.columns):
        no = latest["_last"] & ~_says(latest, name).fill_null(True)
        found[f"no {name}"] = latest[name].first(where=no, order_by=[latest["_rank"], latest["_at"]])
        found[f"since {name}"] = ibis.ifelse((no & day.isnull()).any(), _NEVER, day.max(where=no))
    return latest.filter(latest["mail"] != "").group_by("mail").aggregate(**found)


def heeded(works: Engine, people: ir.Table, noes: ir.Table, *, as_of: date) -> ir.Table:
    """The shop's own customers: a no that exports know before as_of wins over what is not said on a later day."""
    told = people.left_join(noes, people["email"].strip().lower() == noes["mail"])
    changes: dict[str, ir.Value] = {}
    days: list[tuple[ir.BooleanValue, ir.Value]] = []
    for name in (name for name in _STATES if f"no {name}" in noes.columns):
        no, since = told[f"no {name}"], told[f"since {name}"]
        later = (told["consent_at"] > since) | (since >= ibis.timestamp(as_of.isoformat()))
        won = no.notnull() & ~later.fill_null(False)
        changes[name] = ibis.ifelse(won, ibis.literal(False) if name in _CONSENTS else no, told[name])
        days.append((won, since))
    # What is still a yes keeps its day.
    still = reduce(or_, [changes.get(name, told[name]).fill_null(False) for name in _CONSENTS])
    day = ibis.ifelse(still, told["consent_at"], ibis.cases(*days, else_=told["consent_at"]))
    rows = told.mutate(**changes, consent_at=day).select(*people.columns)
    return works.keep("_heeded_customers", rows.order_by("_row"))
