"""crm list, params, demo, new, init: what there is to run, and on what."""

from __future__ import annotations

from pathlib import Path

import click

from crmlib.cli import common

_SAMPLES = ("demo", "complete-journey", "cdnow")


@click.command("list")
def list_reports() -> None:
    """Name the reports there are."""
    found = common.usable_reports(common.project_folder() / "notebooks")
    common.echo_columns((report.name, report.title) for report in found)


@click.command()
@click.argument("report")
def params(report: str) -> None:
    """Show what a report can be told with -p."""
    from crmlib.report import parameters

    (found,) = parameters.select(common.project_folder() / "notebooks", [report])
    settable = [p for p in found.parameters if p.name not in parameters.RESERVED]
    if not settable:
        click.echo(f"{found.name} has no parameters of its own")
    rows = [(p.name, p.type, _default(p.default), p.allowed, p.help) for p in settable]
    common.echo_columns(rows)


@click.command()
@click.option("--from", "source", type=click.Choice(_SAMPLES), default="demo", show_default=True, help="Which shop.")
@click.option("--customers", type=click.IntRange(100, 5_000_000), default=5000, show_default=True, metavar="N",
              help="How large, for the simulated shop.")  # fmt: skip
@click.option("--seed", type=int, default=20, show_default=True, help="Which simulated shop; same seed, same bytes.")
@click.option("--to", "target", metavar="DIR", help="Where to; data/demo and the like by default.")
@click.option("--force", is_flag=True, help="Replace what is there.")
def demo(source: str, customers: int, seed: int, target: str | None, force: bool) -> None:
    """Make a sample shop.

    A simulated one with known truths, or real purchase histories.
    """
    project = common.project_folder()
    # CDNOW is two shops, the sample and the whole, side by side.
    several = source == "cdnow"
    folder = project / (target or ("data" if several else f"data/{source}"))
    made = [folder / "cdnow", folder / "cdnow-sample"] if several else [folder]
    if not force and all(place.is_dir() and any(place.iterdir()) for place in made):
        click.echo(f"{', '.join(common.near(place) for place in made)}: already there (--force makes it anew)")
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
    click.echo(f"made {', '.join(common.near(place) for place in made)}")


@click.command()
@click.argument("name")
@click.option("--title", default="", metavar="TEXT", help="The page's title; the name in words by default.")
def new(name: str, title: str) -> None:
    """Begin a report: a notebook, a module and a test that run.

    They answer a small question at once; make them your own from top to bottom.
    """
    from crmlib.report import scaffold

    made, changed = scaffold.create(common.project_folder(), name, title=title)
    for path in made:
        click.echo(f"wrote {common.near(path)}")
    for path in changed:
        click.echo(f"added a line to {common.near(path)}")
    click.echo(f"next: crm run {name} -v; pytest tests/test_{name}.py")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Make a workbook in a new folder: notebooks, a shop to fill in, a cron line."""
    import shutil
    import sys

    from crmlib.report import workbook

    beside = Path(sys.executable).with_name("crm")
    for path in workbook.init(folder, crm=str(beside) if beside.is_file() else shutil.which("crm") or "crm"):
        click.echo(f"wrote {common.near(path.resolve())}")
    click.echo(f"next: cd {common.near(folder.resolve())}; crm demo; crm run --all -v")
    click.echo("your own tables go into data/myshop; crm check --shop data/myshop says what they are enough for")


def _default(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) if value != "" else "''"
