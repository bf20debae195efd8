"""crm status, diff, verify, prune, open: what a reports folder holds."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from crmlib.cli import common
from crmlib.errors import UsageError, nearest
from crmlib.formats import DASH

if TYPE_CHECKING:
    from datetime import timedelta


@click.command()
@click.argument("reports", nargs=-1, metavar="[REPORT]...")
@common.reports_option
@click.option("--max-age", metavar="TIME", help="Exit 1 if a report's newest run is older: 26h, 8d.")
@click.option("-v", "--verbose", is_flag=True, help="Show all of them even where nobody watches.")
def status(reports: tuple[str, ...], folder: str, max_age: str | None, verbose: bool) -> None:
    """Show each report's newest run, and whether it is late.

    The age is that of the newest day's run, counted from when it was made. A report that never was tried is not late,
    unless it is named here. With --max-age, where nobody watches, only what is late is said, on stderr.
    """
    from datetime import UTC, datetime, timedelta

    from crmlib.report import archive, parameters

    limit = timedelta(seconds=common.seconds(max_age, "--max-age", "26h or 8d")) if max_age else None
    known = list(parameters.find_reports(common.project_folder() / "notebooks"))
    found = {state.slug: state for state in archive.states(common.reports_folder(folder), known)}
    for name in reports:
        if name not in found:
            raise UsageError(f"there is no report {name!r}; {nearest(name, found)}")
    chosen = [state for state in found.values() if not reports or state.slug in reports]
    now = datetime.now(UTC)
    # One that is named is expected.
    never = {state.slug for state in chosen if state.made_at is None and state.slug in reports}
    late = never | {state.slug for state in chosen if state.is_late(now, limit)} if limit else set()
    rows, told = [], verbose or limit is None or sys.stdout.isatty()
    for state in chosen:
        age = f"{_age(now - state.made_at)} ago" if state.made_at else ""
        notes = ["late"] if state.slug in late else []
        notes += [f"last try failed: {state.failed.reason}"] if state.failed else []
        rows.append((state.slug, str(state.run.as_of) if state.run else DASH, state.word, age, "; ".join(notes)))
        if state.slug in late:
            last = f"its newest run was made {age}" if age else "it has no run"
            common.say(f"crm: {state.slug} is late: {'; '.join([last, *notes[1:]])}", err=True)
    if told:
        common.echo_columns(rows)
    nothing = limit is not None and not any(state.made_at for state in chosen)
    if nothing and not late:
        click.echo(f"crm: no report has a run in {folder}", err=True)
    sys.exit(1 if late or nothing else 0)


@click.command()
@click.argument("report")
@click.argument("before", metavar="D1")
@click.argument("after", metavar="D2")
@common.reports_option
@common.variant_option
def diff(report: str, before: str, after: str, folder: str, variant: str) -> None:
    """Show what changed in a report between two days, and why.

    Metrics beside each other; then what may have made them change: data, parameters, code, environment. As on the page,
    a number counts as changed only beyond the uncertainty of both runs.
    """
    from crmlib.report import archive
    from crmlib.report.folder.manifest import slug_of
    from crmlib.report.memory.provenance import KINDS

    days = [common.day(text, "crm diff").isoformat() for text in (before, after)]
    slug = slug_of(report, common.variant_name(variant))
    found = archive.difference(common.reports_folder(folder), slug, *days)
    rows = [(change.label, change.before, change.now, change.words) for change in found.metrics.values()]
    common.echo_columns([("", *days, "change"), *rows])
    told: dict[str, list[str]] = {str(kind): [d.text for d in found.differences if d.kind == kind] for kind in KINDS}
    told["tables"] = [table.line for table in found.tables if table.line] + list(found.replaced)
    told["findings"] = [*found.came, *found.went, *found.missed]
    for heading, lines in told.items():
        common.say(f"\n{heading}: " + ("the same" if not lines else ""))
        for line in lines:
            common.say(f"  {line}")


@click.command()
@click.argument("day", required=False, metavar="[D]")
@common.reports_option
@click.option("-v", "--verbose", is_flag=True, help="Say so when all is well.")
def verify(day: str | None, folder: str, verbose: bool) -> None:
    """Read published files again; exit 1 where one was changed.

    Each is compared with its run's manifest. This finds damage and hasty hands, not forgery: who can change a file can
    change its manifest.
    """
    from crmlib.report import archive

    wanted = common.day(day, "crm verify").isoformat() if day else ""
    found, faults = archive.damages(common.reports_folder(folder), wanted)
    if not found:
        raise UsageError(f"no run of {day} in {folder}" if day else f"no run in {folder}")
    for fault in faults:
        common.say(f"crm: {fault}", err=True)
    if not faults and (verbose or sys.stdout.isatty()):
        click.echo(f"{found} run{'s' if found > 1 else ''} as published")
    sys.exit(1 if faults else 0)


@click.command()
@common.reports_option
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="The newest N runs of each report stay.")
@click.option("--older-than", metavar="TIME", help="Runs of days older than this go: 400d.")
@click.option("--dry-run", is_flag=True, help="Name what would go; remove nothing.")
@click.option("-v", "--verbose", is_flag=True, help="Name what went.")
def prune(folder: str, keep: int | None, older_than: str | None, dry_run: bool, verbose: bool) -> None:
    """Remove old runs; each report's last good one stays.

    Superseded and failed runs go too, by when they were made. What later runs grade and compare themselves with goes
    with them: keep at least as long as forecasts look ahead.
    """
    from datetime import UTC, datetime, timedelta

    from crmlib.report import archive

    if (keep is None) == (older_than is None):
        raise UsageError("say either --keep N or --older-than TIME")
    place = common.reports_folder(folder)
    span = timedelta(seconds=common.seconds(older_than, "--older-than", "400d")) if older_than else None
    before = (datetime.now(UTC) - span).date() if span else None
    gone = archive.prunable(place, keep=keep, before=before)
    locked = [] if dry_run else archive.prune(place, gone)
    if dry_run or verbose or sys.stdout.isatty():
        for path in gone:
            if path.exists() == dry_run:
                click.echo(f"{'would remove' if dry_run else 'removed'} {path.relative_to(place).as_posix()}")
    for slug in locked:
        click.echo(f"crm: {slug} is being run; its runs were left alone", err=True)
    sys.exit(75 if locked else 0)


@click.command("open")
@click.argument("report", required=False, metavar="[REPORT]")
@click.argument("day", required=False, metavar="[D]")
@common.reports_option
@common.variant_option
def open_page(report: str | None, day: str | None, folder: str, variant: str) -> None:
    """Open the index, or a report's page, newest or of a day.

    Where there is no screen, say where it is.
    """
    import os
    import webbrowser

    from crmlib.report import archive
    from crmlib.report.folder.manifest import slug_of

    place = common.reports_folder(folder)
    slug = slug_of(report or "", common.variant_name(variant))
    if not report:
        page = place / "index.html"
    elif day:
        page = archive.run_of(place, slug, common.day(day, "crm open").isoformat()) / "report.html"
    else:
        page = archive.newest_good(place, slug) / "report.html"
    screen = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not screen or not webbrowser.open(page.as_uri()):
        click.echo(common.near(page))


def _age(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 72 * 60 else f"{minutes // 1440} days"
