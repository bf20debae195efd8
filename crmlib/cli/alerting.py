"""crm alerts: what is not normal, a line each, for a mail by cron."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from crmlib.cli import common, running

if TYPE_CHECKING:
    from crmlib.report.plan import Outcome

REPORT = "seasons"


@click.command()
@common.shop_option
@common.reports_option
@click.option("--as-of", metavar="DAY", help="See only what came before this day; today if nobody says otherwise.")
@click.option("-p", "--parameter", "given", multiple=True, metavar="NAME=VALUE",
              help="As for `crm run seasons`: -p false_alarms_per_year=4.")  # fmt: skip
@click.option("--all", "again", is_flag=True, help="Print those that were raised before, too.")
def alerts(shop: str, folder: str, as_of: str | None, given: tuple[str, ...], again: bool) -> None:
    """Run seasons, and print what is not normal and was not said before.

    One line an alert: day, what, expected, actual, cause. One that lasts is printed once; which those are is kept in
    lists/ of the reports folder.

    Exit code: 1 where there is a new alert, 0 where there is none or too little data to tell; else as for `crm run`.
    """
    from crmlib.formats import number
    from crmlib.publishing import csv_rows
    from crmlib.report.memory import raised
    from crmlib.report.runner.supervisor import exit_code
    from crmlib.report.runner.supervisor import run as run_reports

    asked = running._asked(
        as_of, reports=(REPORT,), everything=False, shop=shop, folder=folder, given=given, variant="", timeout="30m",
        cell_timeout=None, force=False, cold=False, afresh=False,
    )  # fmt: skip
    ended: list[Outcome] = []
    run_reports(asked.reports, plan=asked.plan, values=asked.values, workers=1, say=ended.append)
    if code := exit_code(ended):
        for outcome in ended:
            common.say(f"crm: {outcome.report} {outcome.status}: {outcome.message}", err=True)
        sys.exit(code)
    table = asked.plan.reports / str(asked.plan.as_of) / REPORT / "tables" / "alerts.csv"
    found = csv_rows(table) if table.is_file() else []
    fresh = raised.new(asked.plan.reports, found)
    common.echo_columns(
        (row["day"], row["what"], f"expected {number(float(row['expected']))}",
         f"actual {number(float(row['actual']))}", row["cause"])
        for row in (found if again else fresh)
    )  # fmt: skip
    sys.exit(1 if fresh else 0)
