"""crm run and crm backfill: reports of today, and of days gone by."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crmlib.cli import common
from crmlib.cli.common import Command
from crmlib.errors import CrmError, UsageError

if TYPE_CHECKING:
    from crmlib.report.parameters import Report, Value
    from crmlib.report.plan import Outcome, Plan


def _run_options(command: Command) -> Command:
    """The options run and backfill have in common, in the order of the help."""
    options = [
        click.argument("reports", nargs=-1, metavar="[REPORT]..."),
        click.option("--all", "everything", is_flag=True, help="Every report there is."),
        common.shop_option,
        common.reports_option,
        click.option("-p", "--parameter", "given", multiple=True, metavar="NAME=VALUE",
                     help="A parameter of every report chosen, or of one: -p baskets.min_support=0.001."),
        click.option("--variant", default="", metavar="NAME",
                     help="Keep this run apart from those with other parameters."),
        click.option("--workers", type=click.IntRange(1, 64), metavar="N",
                     help="Reports at a time; as many as cores by default."),
        click.option("--timeout", default="30m", show_default=True, metavar="TIME",
                     help="For one whole report: 90s, 20m, 2h."),
        click.option("--cell-timeout", metavar="TIME", help="For one cell; no limit of its own by default."),
        click.option("--force", is_flag=True, help="Run what is up to date too."),
        click.option("--no-warm", "cold", is_flag=True, help="Start each kernel by itself, not from a warm process."),
        click.option("--no-kept", "afresh", is_flag=True, help="Read every file, also those that a run has read."),
        click.option("--dry-run", is_flag=True, help="Say what would run and why; run and write nothing."),
        click.option("-v", "--verbose", is_flag=True, help="Say what was published even where nobody watches."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.option("--as-of", metavar="DAY", help="See only what came before this day; today if nobody says otherwise.")
@_run_options
@click.option("--on-success", metavar="CMD", help="Call for each report published; told by CRM_… variables.")
@click.option("--on-failure", metavar="CMD", help="Call for each report that was not; told by CRM_… variables.")
def run(as_of: str | None, on_success: str | None, on_failure: str | None, **options: Any) -> None:
    """Run and publish reports, unless they are up to date.

    Exit code: 0 all published or up to date, 1 a notebook failed, 2 a wrong word here, 3 the data cannot be used,
    4 a page broke its rules, 75 already running, 124 out of time; of several the gravest.

    Both commands find CRM_REPORT, CRM_STATUS, CRM_EXIT, CRM_MESSAGE, CRM_PAGE, CRM_SUMMARY, CRM_FOLDER, CRM_INDEX,
    CRM_AS_OF and CRM_SHOP in their environment. A report that was up to date calls neither.
    """
    try:
        asked = _asked(as_of, **options)
    except (CrmError, OSError) as error:
        if on_failure and not options["dry_run"]:
            _call("--on-failure", on_failure, [_not_begun(error)], _as_typed(as_of, **options))
        raise
    if options["dry_run"]:
        _say_what_would_run([(asked.plan, asked.reports)], asked.values)
        return
    ended: list[Outcome] = []
    try:
        code = _run(asked, [(asked.plan, asked.reports)], ended, **options)
    except (CrmError, OSError) as error:
        ended.append(_not_begun(error))
        raise
    finally:
        good = [o for o in ended if not o.exit_code and o.status != "up_to_date"]
        _call("--on-success", on_success, good, asked.plan)
        _call("--on-failure", on_failure, [o for o in ended if o.exit_code], asked.plan)
    sys.exit(code)


@click.command()
@click.option("--from", "start", required=True, metavar="DAY", help="The first day.")
@click.option("--to", "end", metavar="DAY", help="The last day; as-of by default.")
@click.option("--every", type=click.Choice(["day", "week", "month-end"]), default="day", show_default=True,
              help="Month-end: as of the first of the next month, when the whole month has been seen.")  # fmt: skip
@_run_options
def backfill(start: str, end: str | None, every: str, **options: Any) -> None:
    """Run reports as of days gone by; only days missing or failed.

    The oldest comes first, so that each run can look back. Called again, it goes on where it stopped. A day whose run
    has other parameters is run again; one whose data changed since is not, unless with --force.

    Exit code: as for `crm run`, the gravest of all days.
    """
    from crmlib.report.backfill import days, missing

    asked = _asked(None, **options)
    first, last = common.day(start, "--from"), common.day(end, "--to") if end else asked.plan.as_of
    wanted = list(days(first, last, every))
    if wanted[-1] > asked.today:
        raise UsageError(f"{wanted[-1]} is yet to come; the last day can be {asked.today}")
    todo = missing(asked.plan, asked.reports, asked.values, wanted)
    if options["dry_run"]:
        _say_what_would_run(todo, asked.values)
        return
    if not todo and (options["verbose"] or sys.stdout.isatty()):
        which = f"all {len(wanted)} days from {wanted[0]} to {wanted[-1]} are" if len(wanted) > 1 else f"{wanted[0]} is"
        click.echo(f"{which} there")
    sys.exit(_run(asked, todo, [], **options))


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """What the words on the command line came to. Lists of days before `lists_from` are not kept."""

    plan: Plan
    reports: list[Report]
    values: Mapping[str, Mapping[str, Value]]
    today: Any
    lists_from: Any = None


def _asked(as_of: str | None, **options: Any) -> _Asked:
    from datetime import timedelta

    from crmlib.report import parameters
    from crmlib.report.plan import Plan
    from crmlib.shop.intake.settings import read_settings

    if options["everything"] == bool(options["reports"]):
        raise UsageError("name the reports to run, or say --all; `crm list` shows what there is")
    variant, project = common.variant_name(options["variant"]), common.project_folder()
    notebooks = project / "notebooks"
    if options["everything"]:
        chosen = common.usable_reports(notebooks)
    else:
        chosen = parameters.select(notebooks, list(dict.fromkeys(options["reports"])))
    place, label, engine = common.shop_folder(project, options["shop"])
    by_cell = options["cell_timeout"]
    timeout = common.seconds(options["timeout"])
    cell_timeout = common.seconds(by_cell, "--cell-timeout") if by_cell else 0.0
    day = common.day(as_of) if as_of else None
    settings = read_settings(place)
    known = parameters.find_reports(notebooks)
    values = parameters.resolve(chosen, options["given"], defaults=settings.parameters, known=known)
    today = common.today(settings.timezone)
    if day and day > max(today, settings.as_of or today):
        # `latest` would stay there, and what is pruned would be the runs of days that have been.
        raise UsageError(f"--as-of {day} is yet to come; the last day can be {max(today, settings.as_of or today)}")
    plan = Plan(
        project=project,
        reports=(project / options["folder"]).resolve(),
        shop=label,
        engine=engine,
        shop_name=settings.name,
        database=bool(settings.database),
        as_of=day or settings.as_of or today,
        variant=variant,
        timeout=timeout,
        cell_timeout=cell_timeout,
        force=options["force"],
        warm=not options["cold"],
        keep=not options["afresh"],
    )
    return _Asked(
        plan=plan, reports=chosen, values=values, today=today,
        lists_from=(settings.as_of or today) - timedelta(days=settings.keep_lists) if settings.keep_lists else None,
    )  # fmt: skip


def _as_typed(as_of: str | None, **options: Any) -> Plan:
    """What a hook can be told where the words on the command line came to nothing."""
    from datetime import date

    from crmlib.report.plan import Plan
    from crmlib.shop.intake.database import hidden

    try:
        project = common.project_folder()
    except UsageError:
        project = Path.cwd()
    try:
        day = date.fromisoformat(as_of or "")
    except ValueError:
        day = common.today("")
    reports, shop = (project / options["folder"]).resolve(), hidden(options["shop"])
    return Plan(project=project, reports=reports, shop=shop, shop_name=shop, as_of=day)


def _not_begun(error: Exception) -> Outcome:
    from crmlib.report.plan import Outcome

    code = getattr(error, "exit_code", 1) or 1
    return Outcome(report="", status="failed", exit_code=code, message=str(error))


def _run(asked: _Asked, todo: Sequence[tuple[Plan, list[Report]]], ended: list[Outcome], **options: Any) -> int:
    """Run what is to do, day by day; `ended` takes each outcome as it comes. Returns the exit code of all."""
    from crmlib.report import erasing
    from crmlib.report.runner.supervisor import exit_code
    from crmlib.report.runner.supervisor import run as run_reports

    aloud = options["verbose"] or sys.stdout.isatty()
    with common.progress_line() as progress:

        def say(outcome: Outcome) -> None:
            ended.append(outcome)
            _say(outcome, progress, aloud)

        for number, (plan, reports) in enumerate(todo, start=1):
            before = f"{plan.as_of} ({number} of {len(todo)}): " if len(todo) > 1 else ""
            told = partial(_after, before, progress)
            run_reports(reports, plan=plan, values=asked.values, workers=options["workers"], say=say, progress=told)
    if asked.lists_from:
        erasing.thin(asked.plan.reports, asked.lists_from)
    return exit_code(ended)


def _after(words: str, progress: Callable[[str], None], line: str) -> None:
    progress(words + line)


def _say(outcome: Outcome, progress: Callable[[str], None], aloud: bool) -> None:
    progress("")
    page = common.near(outcome.path) if outcome.path else ""
    if outcome.exit_code:
        where = f" ({page})" if page else ""
        common.say(f"crm: {outcome.report} {outcome.status}: {outcome.message}{where}", err=True)
    elif aloud:
        # Why there is no answer stands beside it: a silent 'not available' sends nobody to the column that is missing.
        why = f": {outcome.message}" if outcome.message else ""
        common.say(f"{outcome.report:<16}  {outcome.status.replace('_', ' '):<13}  {page}{why}")


def _say_what_would_run(todo: Sequence[tuple[Plan, list[Report]]], values: Mapping[str, Mapping[str, Value]]) -> None:
    from crmlib.report.memory.provenance import Basis
    from crmlib.report.runner import fresh

    rows: list[tuple[str, ...]] = []
    for plan, reports in todo:
        basis = Basis.look(plan)
        for report in sorted(reports, key=lambda report: report.after):
            reasons = fresh.why(plan, report, values[report.name], basis.of(report, plan, values[report.name]))
            if report.after and not reasons and any(row[::2] == (str(plan.as_of), "would run") for row in rows):
                reasons = ["reports that it reads are run anew"]
            rows.append((str(plan.as_of), report.name, "would run" if reasons else "up to date", "; ".join(reasons)))
    common.echo_columns(rows)


def _call(option: str, command: str | None, outcomes: Sequence[Outcome], plan: Plan) -> None:
    if not command or not outcomes:
        return
    from crmlib.report import hooks

    for fault in hooks.call(command, outcomes, plan):
        click.echo(f"crm: {option} {fault}", err=True)
