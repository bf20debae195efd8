"""crm: run the reports of a shop from the command line.

Nothing heavy is imported before a command needs it, so that help answers at once.
"""

from __future__ import annotations

import click

from crmlib.cli import alerting, checking, keeping, outward, running, shops
from crmlib.cli.common import Group

__all__ = ["main"]

_COMMANDS = (
    running.run, running.backfill, alerting.alerts, keeping.status, keeping.diff, keeping.verify, keeping.prune,
    keeping.open_page, outward.export, outward.outcome, outward.subject, outward.erase,
    shops.list_reports, shops.params, checking.check, checking.import_files, shops.demo, shops.new, shops.init,
)  # fmt: skip

main = click.version_option(package_name="crmlib", prog_name="crm")(
    Group(
        name="crm",
        commands=_COMMANDS,
        help="""Reports about an online shop, from its tables to dated pages.

        Folders are meant from the project's root, the nearest one above with a pyproject.toml.
        """,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
)
