"""Is every row accounted for, and what is wrong with those that could not be used?"""

from __future__ import annotations

import pandas as pd

from crmlib import figures, formats, wording
from crmlib.analysis.data_health.facts import Health
from crmlib.analysis.data_health.months import compare
from crmlib.findings import Action, Caveat, Metric, Part, Signal

_MEND_WITHIN_DAYS = 14


def part_rows(health: Health) -> Part:
    """Is every row accounted for?"""
    total = health.total
    counts = ("read", "kept", "set_aside", "after_as_of")
    numbers = (
        ("rows_read", "Rows read", "read", "rows below the headers of all files"),
        ("rows_kept", "Rows used", "kept", "rows that could be read and kept"),
        ("rows_set_aside", "Rows that could not be used", "set_aside", "by reason in set_aside.csv"),
        ("rows_after_as_of", "Rows dated later", "after_as_of", f"dated {formats.day(health.as_of)} or later"),
    )
    return Part(
        title=f"All {total['read']:,} rows are accounted for" if total["read"] > 1 else "Every row is accounted for",
        sentence="A row that cannot be used is listed with its reason, never dropped in silence.",
        detail=True,
        chart=figures.table(
            health.reconciliation,
            caption="Rows read = used + could not be used + dated later, by table",
            labels={"table": "Table", "read": "Read", "kept": "Used", "set_aside": "Could not be used",
                    "after_as_of": "Dated later"},
            formats=dict.fromkeys(counts, formats.number),
        ),
        metrics=[
            Metric(id=id, label=label, value=int(total[column]), unit="rows", definition=definition, running=True,
                   headline=id == "rows_set_aside" and compare(health, 12) is None, note=f"of {total['read']:,}")
            for id, label, column, definition in numbers
        ],
        certain=["These are counts of every row in every file, so they have no range."],
        caveats=[
            Caveat(text="What never reached the export can't be seen here."),
            Caveat(text="A row can be readable and still wrong; only the listed checks were made."),
        ],
        tables={"set_aside": health.set_aside},
    )  # fmt: skip


def part_faults(health: Health, *, nameless: int = 0) -> Part:
    """Which faults does the export have, and what are they worth? `nameless` accounts are no row to be fixed."""
    faults = health.faults
    if faults.empty:
        return Part(title="No faults found", sentence="Every row could be read and used as it stands.", detail=True)
    reasons = _by_reason(faults)
    aside = int(health.total["set_aside"])
    actions, fixed = [], aside - nameless
    if fixed:
        money = health.money_missing
        actions.append(
            Action(
                what=f"Fix {wording.counted(fixed, 'row')} in your shop system",
                worth=f"{wording.rounded_money(money, health.currency)} missing" if money else "",
                why=_causes(health), count=fixed, by=wording.working_day(health.as_of, _MEND_WITHIN_DAYS),
                owner="shop", file="tables/set_aside.csv", weight=money,
            )
        )  # fmt: skip
    return Part(
        title=f"Most common: {reasons['meaning'].iloc[0]} ({reasons['rows'].iloc[0]:,})",
        sentence=_nameless(nameless, int(health.guests["guests"].sum()))
        or ("" if aside else "Every row could still be used."),
        chart=figures.table(
            reasons,
            caption="Problems found",
            labels={"meaning": "What is wrong", "tables": "Tables", "rows": "Rows", "use": "Such rows are"},
            formats={"rows": formats.number},
        ),
        actions=actions,
        signals=[
            Signal(
                id=f"fault:{row.table}:{row.code}",
                text=f"New problem in {row.table.replace('_', ' ')}: {row.meaning} ({row.rows:,}).",
                gone=f"No longer a problem in {row.table.replace('_', ' ')}: {row.meaning}.",
            )
            for row in faults.itertuples()
        ],
    )


def _nameless(accounts: int, guests: int) -> str:
    if not accounts:
        return ""
    said = f"{wording.upper(wording.counted(accounts, 'account'))} {wording.noun(accounts, 'has', 'have')} no e-mail"
    orders = f"; {wording.counted(guests, 'order')} {wording.noun(guests, 'does', 'do')} in all" if guests else ""
    whose = wording.noun(accounts, "Its orders look", "Their orders look")
    return f"{said} address and no phone, which needs no fixing. {whose} like guests'{orders}."


def _by_reason(faults: pd.DataFrame) -> pd.DataFrame:
    """Faults of all tables by reason, those that make rows unusable first: meaning, tables, rows, use."""
    named = faults.assign(table=faults["table"].str.replace("_", " ")).sort_values(
        "rows", ascending=False, kind="stable"
    )
    reasons = named.groupby(["kept", "meaning"], sort=False).agg(tables=("table", wording.listed), rows=("rows", "sum"))
    reasons = reasons.reset_index().sort_values(["kept", "rows"], ascending=[True, False], kind="stable")
    return reasons.assign(use=reasons["kept"].map({True: "used", False: "not used"}))


def _causes(health: Health) -> str:
    """Why rows could not be used, over all tables: the two most frequent reasons."""
    aside = health.faults[~health.faults["kept"]]
    sums = aside.groupby("meaning", sort=False)["rows"].sum().sort_values(ascending=False, kind="stable")
    return wording.listed([f"{meaning} ({rows:,})" for meaning, rows in sums.items()], most=2, rest="reason")
