"""crm new: a report of one's own."""

from __future__ import annotations

import click

from crmlib.cli import common


@click.command()
@click.argument("name")
@click.option("--title", default="", metavar="TEXT", help="The page's title; the name in words by default.")
def new(name: str, title: str) -> None:
    """Begin a report: a notebook, a module and a test that run.

    They answer a small question at once; make them your own from top to bottom.
    """
    from crmlib.report import scaffold

    project = common.project_folder()
    for path in scaffold.create(project, name, title=title):
        click.echo(f"wrote {common.near(path)}")
    click.echo(f"next: crm run {name} -v; pytest tests/test_{name}.py")
