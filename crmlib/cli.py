"""crm: run the reports of a shop from the command line.

Nothing heavy is imported before a command needs it, so that help answers at once.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from crmlib.errors import CrmError, UsageError

if TYPE_CHECKING:
    from datetime import date

    from crmlib.report.run import Outcome

Command = TypeVar("Command", bound=Callable[..., Any])
_UNITS = {"s": 1, "m": 60, "h": 3600}
_VARIANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,30}")
_SAMPLES = {"demo": "demo", "complete-journey": "complete-journey", "cdnow": "cdnow"}


class _Group(click.Group):
    """A group whose errors are one line and an exit code, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CrmError as error:
            click.echo(f"crm: {error}", err=True)
            ctx.exit(error.exit_code or 1)


def _shop_option(command: Command) -> Command:
    return click.option("--shop", default="data/demo", show_default=True, metavar="DIR", help="The shop's folder.")(
        command
    )


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="crmlib", prog_name="crm")
def main() -> None:
    """Reports about an online shop, from its tables to dated pages.

    Folders are meant from the project's root, the nearest one above with a pyproject.toml.
    """


@main.command()
@click.argument("reports", nargs=-1, metavar="[REPORT]...")
@click.option("--all", "everything", is_flag=True, help="Every report there is.")
@_shop_option
@click.option("--reports", "folder", default="reports", show_default=True, metavar="DIR", help="Where pages go.")
@click.option("--as-of", metavar="DAY", help="See only what came before this day; today if nobody says otherwise.")
@click.option("-p", "--parameter", "given", multiple=True, metavar="NAME=VALUE",
              help="A parameter of every report chosen, or of one: -p baskets.min_support=0.001.")  # fmt: skip
@click.option(
    "--workers", type=click.IntRange(1, 64), metavar="N", help="Reports at a time; as many as cores by default."
)
@click.option("--timeout", default="30m", show_default=True, metavar="TIME", help="For one whole report: 90s, 20m, 2h.")
@click.option("--variant", default="", metavar="NAME", help="Keep this run apart from those with other parameters.")
@click.option("-v", "--verbose", is_flag=True, help="Say what was published even where nobody watches.")
def run(
    reports: tuple[str, ...],
    everything: bool,
    shop: str,
    folder: str,
    as_of: str | None,
    given: tuple[str, ...],
    workers: int | None,
    timeout: str,
    variant: str,
    verbose: bool,
) -> None:
    """Run reports and publish their pages.

    Exit code: 0 all published, 1 a notebook failed, 2 a wrong word here, 3 the data cannot be used, 4 a page broke
    its rules, 75 already running, 124 out of time; of several the gravest.
    """
    from crmlib.report import parameters
    from crmlib.report.run import Plan, exit_code
    from crmlib.report.run import run as run_reports

    if everything == bool(reports):
        raise UsageError("name the reports to run, or say --all; `crm list` shows what there is")
    if variant and not _VARIANT.fullmatch(variant):
        raise UsageError(f"--variant is a short name of small letters, digits, - and _; {variant!r} is not")
    project = _project()
    chosen = parameters.select(project / "notebooks", list(dict.fromkeys(reports)))
    place, label = _shop_folder(project, shop)
    limit = _seconds(timeout)
    asked = _day(as_of) if as_of else None
    settings = _settings(place)
    values = parameters.resolve(
        chosen, given, defaults=settings.parameters, known=parameters.find_reports(project / "notebooks")
    )
    plan = Plan(
        project=project,
        reports=(project / folder).resolve(),
        shop=label,
        shop_name=settings.name or place.name,
        as_of=asked or settings.as_of or _today(settings.timezone),
        variant=variant,
        timeout=limit,
    )
    with _progress() as progress:
        outcomes = run_reports(
            chosen,
            plan=plan,
            values=values,
            workers=workers,
            say=lambda outcome: _say(outcome, progress, verbose or sys.stdout.isatty()),
            progress=progress,
        )
    sys.exit(exit_code(outcomes))


@main.command("list")
def list_reports() -> None:
    """Name the reports there are."""
    from crmlib.report import parameters

    found = parameters.select(_project() / "notebooks")
    width = max(len(report.name) for report in found)
    for report in found:
        click.echo(f"{report.name:<{width}}  {report.title}")


@main.command()
@click.argument("report")
def params(report: str) -> None:
    """Show what a report can be told with -p."""
    from crmlib.report import parameters

    (found,) = parameters.select(_project() / "notebooks", [report])
    settable = [p for p in found.parameters if p.name not in parameters.RESERVED]
    if not settable:
        click.echo(f"{found.name} has no parameters of its own")
    rows = [(p.name, p.type, _default(p.default), p.allowed, p.help) for p in settable]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(4)]
    for row in rows:
        click.echo(
            "  ".join([*(f"{text:<{width}}" for text, width in zip(row, widths, strict=False)), row[4]]).rstrip()
        )


@main.command()
@_shop_option
def check(shop: str) -> None:
    """Read a shop's tables and say what was kept, what set aside, and why."""
    place, _ = _shop_folder(_project(), shop)
    import crmlib

    connected = crmlib.connect(place)
    click.echo(connected.reconciliation().to_string(index=False))
    faults = connected.passport()["faults"]
    for fault in faults:
        treated = "kept" if fault["kept"] else "set aside"
        click.echo(f"{fault['table']}: {fault['rows']:,} rows {treated}: {fault['meaning']} ({fault['code']})")
    if not faults:
        click.echo("No faults found.")


@main.command()
@click.option(
    "--from", "source", type=click.Choice(list(_SAMPLES)), default="demo", show_default=True, help="Which shop."
)
@click.option("--customers", type=click.IntRange(100, 5_000_000), default=5000, show_default=True, metavar="N",
              help="How large, for the simulated shop.")  # fmt: skip
@click.option("--seed", type=int, default=20, show_default=True, help="Which simulated shop; same seed, same bytes.")
@click.option("--to", "target", metavar="DIR", help="Where to; data/demo and the like by default.")
@click.option("--force", is_flag=True, help="Replace what is there.")
def demo(source: str, customers: int, seed: int, target: str | None, force: bool) -> None:
    """Make a sample shop: a simulated one with known truths, or real purchase histories."""
    project = _project()
    # CDNOW is two shops, the sample and the whole, side by side.
    several = source == "cdnow"
    folder = project / (target or ("data" if several else f"data/{source}"))
    made = [folder / "cdnow", folder / "cdnow-sample"] if several else [folder]
    if not force and all(place.is_dir() and any(place.iterdir()) for place in made):
        click.echo(f"{', '.join(_near(place) for place in made)}: already there (--force makes it anew)")
        return
    if source == "demo":
        from crmlib.shop.samples import demo as sample

        sample.make(folder, seed=seed, customers=customers)
    elif source == "cdnow":
        from crmlib.shop.samples import cdnow

        cdnow.make(folder)
    else:
        from crmlib.shop.samples import complete_journey

        complete_journey.make(folder)
    click.echo(f"made {', '.join(_near(place) for place in made)}")


def _project() -> Path:
    """The nearest folder above the current one that has a pyproject.toml, or the one this package lies in."""
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).parents[1]):
        if (folder / "pyproject.toml").is_file():
            return folder
    raise UsageError(f"no project: neither {here} nor a folder above it has a pyproject.toml")


def _shop_folder(project: Path, shop: str) -> tuple[Path, str]:
    """A shop's folder, and its name as the notebooks are told: from the project's root where it lies below it."""
    place = (project / Path(shop).expanduser()).resolve()
    if not place.is_dir():
        hint = "; `crm demo` makes the demo shop" if shop == "data/demo" else ""
        raise UsageError(f"there is no shop folder {shop} (looked in {place}){hint}")
    inside = place.is_relative_to(project.resolve())
    return place, place.relative_to(project.resolve()).as_posix() if inside else str(place)


def _settings(place: Path) -> Any:
    from crmlib.shop.intake.settings import read_settings

    return read_settings(place)


def _day(text: str) -> date:
    from datetime import date

    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--as-of wants a day like 2026-11-21; {text!r} is none") from error


def _today(timezone: str) -> date:
    # The one place where the clock is read: the day it is where the shop is.
    from datetime import datetime
    from zoneinfo import ZoneInfo

    return datetime.now(ZoneInfo(timezone or "UTC")).date()


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if not match or not float(match[1]):
        raise UsageError(f"--timeout wants a time like 90s, 20m or 2h; {text!r} is none")
    return float(match[1]) * _UNITS[match[2]]


def _default(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) if value != "" else "''"


def _near(path: Path) -> str:
    """A path as one would type it from here."""
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else str(path)


def _say(outcome: Outcome, progress: Callable[[str], None], aloud: bool) -> None:
    progress("")
    page = _near(outcome.path) if outcome.path else ""
    if outcome.exit_code:
        where = f" ({page})" if page else ""
        click.echo(f"crm: {outcome.report} {outcome.status}: {outcome.message}{where}", err=True)
    elif aloud:
        click.echo(f"{outcome.report:<16}  {outcome.status.replace('_', ' '):<13}  {page}")


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A line on the terminal that overwrites itself; silence where there is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return

    def show(line: str) -> None:
        import shutil

        columns = shutil.get_terminal_size().columns
        click.echo(f"\r\x1b[2K{line[: columns - 1]}", nl=False, err=True)

    try:
        yield show
    finally:
        show("")
