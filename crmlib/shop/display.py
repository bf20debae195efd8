"""A shop as a notebook shows it: what is there, how good it is, and what to call next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from html import escape

from crmlib.shop.intake.settings import Settings
from crmlib.shop.load import Audit

_NEXT = (
    ("shop.table('orders')", "a table, lazily, with every canonical column"),
    ("shop.fetch(expression)", "carry rows into pandas, 100,000 at most unless you say more"),
    ("shop.faults()", "what is wrong with the rows, by reason"),
    ("shop.reconciliation()", "read = kept + set aside + dated later"),
)


def shop_html(
    settings: Settings, audits: Mapping[str, Audit], *, as_of: date, data_through: date | None, remarks: Sequence[str]
) -> str:
    """A small table of the shop's tables with the next calls below; everything from the data escaped."""
    rows = "".join(_row(name, audit) for name, audit in audits.items())
    facts = [f"as of {as_of}", f"data through {data_through or 'unknown'}", settings.timezone, settings.currency]
    notes = [
        f"{audit.source.path.name} read as {audit.source.encoding}" for audit in audits.values() if audit.source.recoded
    ]
    notes += remarks
    head = "".join(f"<th>{label}</th>" for label in ("table", "kept", "set aside", "dated later", "columns"))
    calls = "".join(f"<li><code>{escape(call)}</code> {escape(text)}</li>" for call, text in _NEXT)
    return (
        f"<p><strong>{escape(settings.name)}</strong> · {escape(' · '.join(fact for fact in facts if fact))}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        + "".join(f"<p>{escape(note)}</p>" for note in notes)
        + f"<details><summary>Next</summary><ul>{calls}</ul></details>"
    )


def another_day(as_of: date, data_through: date | None, today: date) -> list[str]:
    """Where no day was said, a notebook's as-of is not that of the command line: which is which.

    >>> another_day(date(2026, 10, 1), date(2026, 9, 30), date(2026, 11, 2))
    ['as of the day after the latest event; crm run takes today, 2026-11-02, unless it is told a day']
    """
    if data_through is None or as_of != data_through + timedelta(days=1) or as_of >= today:
        return []
    return [f"as of the day after the latest event; crm run takes today, {today}, unless it is told a day"]


def _row(name: str, audit: Audit) -> str:
    counts = (audit.kept, sum(audit.set_aside.values()), audit.after_as_of)
    cells = "".join(f'<td style="text-align:right">{count:,}</td>' for count in counts)
    columns = escape(", ".join(sorted(audit.present)))
    left = 'style="text-align:left"'
    return f"<tr><th {left}>{escape(name)}</th>{cells}<td {left}>{columns}</td></tr>"
