"""What commands share: folders as they are typed, days, lengths of time, and errors of one line."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from crmlib import masking
from crmlib.errors import CrmError, DataError, UsageError

if TYPE_CHECKING:
    from datetime import date

    from crmlib.report.parameters import Report

Command = TypeVar("Command", bound=Callable[..., Any])
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_VARIANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,30}")


class Group(click.Group):
    """A group whose errors are one line and an exit code, never a traceback; its help keeps the order given."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CrmError as error:
            say(f"crm: {error}", err=True)
            ctx.exit(error.exit_code or 1)
        except KeyboardInterrupt:
            click.echo("crm: interrupted", err=True)
            ctx.exit(130)
        except BrokenPipeError:
            raise
        except OSError as error:
            # A full disk, a folder that may not be written: the words of the system say it best.
            say(f"crm: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", err=True)
            ctx.exit(1)


def shop_option(command: Command) -> Command:
    return click.option(
        "--shop", default="data/demo", show_default=True, metavar="DIR",
        help="The shop's folder, or postgresql://user@host/name and mysql://…; spark:DIR on Spark.",
    )(command)  # fmt: skip


def reports_option(command: Command) -> Command:
    return click.option(
        "--reports", "folder", default="reports", show_default=True, metavar="DIR", help="Where pages are."
    )(command)


def variant_option(command: Command) -> Command:
    return click.option("--variant", default="", metavar="NAME", help="Runs kept apart for their parameters.")(command)


def project_folder() -> Path:
    """The nearest folder above the current one that has a pyproject.toml, or the one this package lies in."""
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).parents[2]):
        if (folder / "pyproject.toml").is_file():
            return folder
    raise UsageError(f"no project: neither {here} nor a folder above it has a pyproject.toml")


def shop_folder(project: Path, shop: str) -> tuple[Path | str, str, str]:
    """A shop's folder or database, its name as the notebooks are told (from the project's root where it lies below it),
    and the engine it was named with: 'spark' of spark:data/demo, else empty."""
    from crmlib.shop.intake.database import is_address, read_address
    from crmlib.shop.intake.settings import engine_and_folder

    engine, shop = engine_and_folder(shop)
    if is_address(shop):
        try:
            return shop, read_address(shop).text, engine
        except DataError as error:
            raise UsageError(str(error)) from None
    named = Path(shop).expanduser()
    # As a notebook reads it: from where one stands, and only then from the project's root.
    place = (named if named.is_dir() else project / named).resolve()
    if not place.is_dir():
        hint = "; `crm demo` makes the demo shop" if shop == "data/demo" else ""
        raise UsageError(f"there is no shop folder {shop} (looked in {place}){hint}")
    inside = place.is_relative_to(project.resolve())
    return place, place.relative_to(project.resolve()).as_posix() if inside else str(place), engine


def reports_folder(folder: str) -> Path:
    """A reports folder that is there. UsageError where it is not."""
    place = (project_folder() / folder).resolve()
    if not place.is_dir():
        raise UsageError(f"there is no reports folder {folder} (looked in {place}); `crm run --all` makes one")
    return place


def variant_name(text: str) -> str:
    if text and not _VARIANT.fullmatch(text):
        raise UsageError(f"--variant is a short name of small letters, digits, - and _; {text!r} is not")
    return text


def day(text: str, option: str = "--as-of") -> date:
    from datetime import date

    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option} wants a day like 2026-11-21; {text!r} is none") from error


def today(timezone: str) -> date:
    # The one place where the clock is asked for a day: the day it is where the shop is.
    from datetime import datetime
    from zoneinfo import ZoneInfo

    return datetime.now(ZoneInfo(timezone or "UTC")).date()


def seconds(text: str, option: str = "--timeout", like: str = "90s, 20m or 2h") -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not match or not float(match[1]):
        raise UsageError(f"{option} wants a time like {like}; {text!r} is none")
    return float(match[1]) * _UNITS[match[2]]


def near(path: Path) -> str:
    """A path as one would type it from here."""
    return path.relative_to(Path.cwd()).as_posix() if path.is_relative_to(Path.cwd()) else str(path)


def usable_reports(notebooks: Path) -> list[Report]:
    """All reports there are; a notebook that is none is named on stderr and left out."""
    from crmlib.report import parameters

    reports, faults = parameters.usable(notebooks)
    for fault in faults:
        say(f"crm: left out: {fault}", err=True)
    return reports


def say(text: str, *, err: bool = False) -> None:
    """A line whose words may come from the data: nothing in it moves the cursor, colours or links."""
    click.echo(masking.printable(text), err=err)


def echo_columns(rows: Iterable[tuple[str, ...]]) -> None:
    """Rows of text as lines with aligned columns."""
    lines = [tuple(map(masking.printable, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for row in lines:
        click.echo("  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip())


@contextmanager
def progress_line() -> Iterator[Callable[[str], None]]:
    """A line on the terminal that overwrites itself; silence where there is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return

    def show(line: str) -> None:
        import shutil

        width = shutil.get_terminal_size().columns
        click.echo(f"\r\x1b[2K{line[: width - 1]}", nl=False, err=True)

    try:
        yield show
    finally:
        show("")
