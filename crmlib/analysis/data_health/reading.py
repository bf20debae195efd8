"""How were the files read? Order states, files left unread, and what was decided along the way."""

from __future__ import annotations

from crmlib import figures, formats, wording
from crmlib.findings import Action, Part
from crmlib.shop.shop import Shop

_KINDS = {"sale": "a sale", "open": "a sale, still open", "out": "no sale", "given_back": "paid back",
          "unknown": "a sale, until you say otherwise"}  # fmt: skip
_NOTES = {"encoding": "read as", "preamble": "lines above the headers", "twice": "column there twice",
          "dates": "read as", "unread_file": "not read", "platform": "recognised as",
          "again": "there twice", "remark": "decided", "unclear": "neither yes nor no"}  # fmt: skip
_TABLES = (".csv", ".tsv", ".txt", ".parquet", ".xlsx", ".xls", ".gz", ".zip", ".jsonl")


def part_states(shop: Shop) -> Part | None:
    """Which order states count as sales, and which are unknown?"""
    states = shop.states()
    if states.empty:
        return None
    unknown = states[states["kind"] == "unknown"]
    money = float(unknown["money"].astype(float).sum())
    worth = f", worth {wording.rounded_money(money, shop.currency)}" if money else ""
    title = "All order states are known"
    if len(unknown):
        named = wording.listed([f"‘{status}’" for status in unknown["status"]], most=3, rest="state")
        title = f"{named} {wording.noun(len(unknown), 'is')} counted as sales"
    return Part(
        title=title,
        sentence=f"{wording.counted(int(unknown['orders'].sum()), 'order')}{worth}: say if they are no sales."
        if len(unknown)
        else "Cancelled, failed and draft orders are no sales.",
        detail=unknown.empty,
        chart=figures.table(
            states.assign(counted=states["kind"].map(_KINDS)),
            caption="States of orders, as the shop writes them",
            labels={"status": "State", "orders": "Orders", "money": "Money", "counted": "Counts as"},
            formats={"orders": formats.number, "money": formats.number},
        ),
    )


def part_files(shop: Shop) -> Part | None:
    """Which files were not read, and what was decided in reading the others?"""
    notes = shop.notes()
    left = [name for name in shop.unread_files if name.lower().endswith(_TABLES)]
    shown = notes[(notes["code"] != "unread_file") | notes["file"].isin(left)]
    if shown.empty:
        return None
    named = wording.listed(left, most=3, rest="file")
    count = wording.counted(len(left), "file")
    beside = f"{count} beside the tables {wording.noun(len(left), 'was')} not read"
    return Part(
        title=beside if left else "How the files were read",
        sentence=f"Not read: {named}." if left else "Nothing to do, unless one of these is wrong.",
        detail=not left,
        chart=figures.table(
            shown.assign(what=shown["code"].map(_NOTES)),
            caption="What was decided in reading",
            labels={"file": "File", "what": "What", "detail": "Detail"},
        ),
        actions=[Action(what=f"Rename {named} if {wording.noun(len(left), 'it')} should count", owner="shop")]
        if left
        else [],
    )
