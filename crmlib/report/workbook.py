"""A workbook anywhere, after `pip install`: the notebooks, a shop to fill in, and the line for a schedule."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from crmlib.errors import UsageError
from crmlib.report.folder.manifest import write_text

_PACKAGE = Path(__file__).parents[1]
# What marks the root, from which folders are meant.
_ROOT = "# The root of a CRM workbook: crm means its folders from here.\n"
_SHOP = """\
# Put your tables beside this file: orders.csv, customers.csv … `crm check --shop data/myshop` says what is missing.
name = "My shop"
timezone = "UTC"                # such as Europe/Berlin: days are days of this zone
currency = "EUR"

# [columns.orders]              # canonical = theirs
# ordered_at = "Created at"

# [owners]                      # who acts, by role
# service = "support"
# marketing = ""
# sales = ""
# purchasing = ""
# shop = ""
"""
_CRON = """\
# Every morning at six; silent when all is well. At nine a line when a report is late. Take it over with: crontab -e
0 6 * * *  cd {folder} && {crm} run --all --shop data/myshop
0 9 * * *  cd {folder} && {crm} status --max-age 26h
"""


def init(folder: Path, *, crm: str = "crm") -> list[Path]:
    """Write a workbook into a folder that is new or empty; the files made. UsageError where something is there."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there and not empty; name a new folder")
    notebooks = next(
        (place for place in (_PACKAGE / "notebooks", _PACKAGE.parent / "notebooks") if place.is_dir()), None
    )
    if notebooks is None:
        raise UsageError("this installation has no notebooks; install crmlib anew")
    made = []
    for source in sorted(notebooks.glob("[0-9][0-9]_*.ipynb")):
        target = folder / "notebooks" / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        made.append(Path(shutil.copyfile(source, target)))
    texts = {
        "pyproject.toml": _ROOT,
        "data/myshop/shop.toml": _SHOP,
        "crontab.txt": _CRON.format(folder=_in_cron(folder.resolve()), crm=_in_cron(crm)),
    }
    # Read from the package until the shop has its own: a copy to put targets and owners into.
    texts["data/myshop/kpis.toml"] = (_PACKAGE / "analysis" / "overview" / "kpis.toml").read_text(encoding="utf-8")
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_text(folder / name, text)
        made.append(folder / name)
    return made


def _in_cron(word: object) -> str:
    """A path as a line of a crontab may have it: one word, and no % that cron would take for a line end."""
    return shlex.quote(str(word)).replace("%", r"\%")
