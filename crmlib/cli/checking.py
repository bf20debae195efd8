"""crm check: what of a shop's folder is read and used, which reports that is enough for, and what to do next."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crmlib import wording
from crmlib.cli import common
from crmlib.errors import UsageError

if TYPE_CHECKING:
    from crmlib.report.parameters import Report
    from crmlib.shop.shop import Shop

_MOST = 20  # names in one line
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NOTHING_USABLE = 3  # as for data that cannot be used


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="FILES…")
@click.option("--shop", required=True, metavar="DIR", help="The folder that takes the tables.")
@click.option("--force", is_flag=True, help="Replace tables that are there.")
def import_files(files: tuple[Path, ...], shop: str, force: bool) -> None:
    """Write what exports hold as tables of ours, in Parquet.

    Files, or folders of them, as a shop system exports them; what cannot be read is counted and named.
    """
    from crmlib.shop.intake.importing import import_files as take

    into = common.project_folder() / Path(shop).expanduser()
    taken = take(files, into, force=force)
    for line in _data(taken):
        click.echo(_CONTROL.sub(" ", line))
    click.echo(f"\nwrote {', '.join(f'{name}.parquet' for name in taken.audits)} to {common.near(into)}")


@click.command()
@common.shop_option
def check(shop: str) -> None:
    """Say what of a shop's tables is used, and what for.

    Exit code: 0 where a report can run, 3 where nothing can be used.
    """
    place, label, engine = common.shop_folder(common.project_folder(), shop)
    import crmlib
    from crmlib.report import parameters

    connected = crmlib.connect(place, engine=engine)
    try:
        reports = parameters.select(common.project_folder() / "notebooks")
    except UsageError as error:
        click.echo(f"crm: {error}", err=True)
        reports = []
    for line in _data(connected):
        click.echo(_CONTROL.sub(" ", line))
    click.echo("\nReports")
    able = [report for report in reports if not unmet(report, connected)]
    rows = [(f"  {report.name}", "can run" if report in able else "needs " + needs(unmet(report, connected)))
            for report in reports]  # fmt: skip
    if rows:
        common.echo_columns(rows)
    click.echo("")
    click.echo(_verdict(connected, able, len(reports), f"{engine}:{label}" if engine else label))
    if not any(audit.kept for audit in connected.audits.values()):
        sys.exit(_NOTHING_USABLE)


def needs(wanted: Iterable[str]) -> str:
    """What a report needs, in words.

    >>> needs(["assignments", "outcomes or orders.customer_id"])
    'assignments, and outcomes or orders with customer_id'
    """
    return ", and ".join(re.sub(r"\.(\w+)", r" with \1", need) for need in wanted) or "any table"


def unmet(report: Report, shop: Shop) -> list[str]:
    """Which of a report's needs does a shop not meet, by columns that are there and rows that can be used?"""

    def met(place: str) -> bool:
        table, *columns = place.split(".")
        return shop.has(table, *columns) and shop.audits[table].kept > 0

    return [need for need in report.needs if not any(map(met, need.split(" or ")))]


def _data(shop: Shop) -> Iterator[str]:
    """The folder's tables: rows, columns, faults, and files that are not read."""
    known = [shop.settings.name, f"as of {shop.as_of}", f"data to {shop.data_through or 'no known day'}"]
    yield ", ".join([*known, *filter(None, (shop.currency, shop.settings.timezone))])
    yield ""
    names = {"table": "table", "read": "read", "kept": "used", "set_aside": "not used", "after_as_of": "later"}
    yield from shop.reconciliation().rename(columns=names).to_string(index=False).splitlines()
    yield from _exports(shop)
    for name in shop.audits:
        yield ""
        yield from _columns(shop, name)
    yield ""
    faults = shop.faults().sort_values("kept", kind="stable").to_dict("records")
    for fault in faults:
        rows = f"{fault['rows']:,} row{'s' if fault['rows'] != 1 else ''}"
        used = "used" if fault["kept"] else "not used"
        yield f"{fault['table']}: {rows} {used}: {fault['meaning']} ({fault['code']})"
    if not faults:
        yield "No faults found."
    yield from _unread(shop)


def _exports(shop: Shop) -> Iterator[str]:
    """What each raw export was taken for, which of its columns are used, and whether its arithmetic holds."""
    told = shop.exports
    for one in told.recognised:
        yield ""
        again = f", {one.again:,} of them in a later file too" if one.again else ""
        made = ", ".join(one.tables) or "nothing"
        rows = wording.counted(one.rows, "row")
        yield f"{one.file} → {f'{one.platform} {one.what}'.strip()} → {made} ({rows}{again})"
        yield f"  used: {_listed(one.used)}"
        if one.left:
            yield f"  not used: {_listed(one.left)}"
    for file, remark in told.remarks:
        yield f"  {file}: {remark}"
    for way in told.ways:
        how = f"= {way.way}" if way.way else f"is none of these, {way.money:,.2f} apart in all"
        yield f"  {way.platform} {way.of} {how}: {way.orders:,}"


def _unread(shop: Shop) -> Iterator[str]:
    told = [unknown for unknown in shop.exports.unknown if unknown.why]
    for unknown in told[:_MOST]:
        yield f"Not read: {unknown.file} ({unknown.why})."
    if others := [*(u.file for u in told[_MOST:]), *(u.file for u in shop.exports.unknown if not u.why)]:
        yield f"Not read: {_listed(others)}."
    if shop.exports.unknown:
        yield "Files are read that are named after a table, such as orders.csv, or that a shop system exports:"
        yield "data/README.md names the tables, data/exports.md the exports."


def _columns(shop: Shop, name: str) -> Iterator[str]:
    """The columns of one table: those that are read, under which name, those that are missing, and those left over."""
    from crmlib.shop.intake.files import parquet_names
    from crmlib.shop.tables import TABLES

    source = shop.audits[name].source
    mapped = {} if source.canonical else shop.settings.columns.get(name, {})
    theirs = source.header or parquet_names(source.path)
    present = shop.audits[name].present
    named = {column: mapped.get(column, column) for column in TABLES[name].names if column in present}
    folded = {theirs_.strip().casefold() for theirs_ in named.values()}
    left = [column for column in theirs if column.strip().casefold() not in folded]
    missing = [column for column in TABLES[name].names if column not in present]
    yield f"{name} from {source.path.name}" if source.given else source.path.name
    yield "  read: " + ", ".join(c if c == own else f'{c} = "{own}"' for c, own in named.items())
    if missing:
        yield f"  missing: {', '.join(missing)}"
    if left:
        yield f"  not known: {_listed(left)}"
    if missing and left and not source.canonical:
        yield f'  one of these by another name? In shop.toml, below [columns.{name}]: {missing[0]} = "{left[0]}"'


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {more} more" if more > 0 else "")


def _verdict(shop: Shop, able: list[Report], of: int, label: str) -> str:
    if not any(audit.kept for audit in shop.audits.values()):
        return "Nothing can be used: no row of any table. Mend what stands above in the export, and check again."
    if not able:
        return "The rows can be used, but no report can run on them yet: bring what stands beside one."
    return f"{len(able)} of {of} reports can run. Next: crm run --all --shop {label} -v"
