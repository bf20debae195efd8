"""Files from anywhere become a shop's tables in Parquet, for those who want to keep them so."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from crmlib.errors import DataError, UsageError
from crmlib.scratch import Scratch
from crmlib.shop.shop import Shop, connect
from crmlib.shop.tables import TABLES


def import_files(files: Iterable[Path], into: Path, *, force: bool = False) -> Shop:
    """Write the tables that `files` (or folders of them) make into a folder; shop.toml there says what is unclear.

    Only rows that can be used are written; the shop that is returned counts the others. Raises UsageError for a table
    that is there already, unless `force`, and DataError for files that cannot be used.
    """
    with Scratch("crmlib-") as place:
        folder = place / (into.name or "shop")
        folder.mkdir()
        for path in _each(files):
            # A link: files may be large, and are only read.
            (folder / path.name).symlink_to(path.resolve())
        if (into / "shop.toml").is_file():
            shutil.copyfile(into / "shop.toml", folder / "shop.toml")
        shop = connect(folder, as_of="2100-01-01")
        there = [name for name in shop.audits for kind in ("csv", "parquet") if (into / f"{name}.{kind}").exists()]
        if there and not force:
            raise UsageError(f"{into} has {', '.join(there)} already; --force replaces what is there")
        into.mkdir(parents=True, exist_ok=True)
        for name in shop.audits:
            copy = shop.written(name)
            for old in (into / f"{name}.csv", into / f"{name}.parquet"):
                old.unlink(missing_ok=True)
            shutil.move(copy, into / f"{name}.parquet")
    return shop


def _each(files: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in files:
        found += sorted(child for child in path.iterdir() if child.is_file()) if path.is_dir() else [path]
    names = [path.name for path in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"two files are named {twice[0]}: rename one, so that both can be told apart")
    if not any(path.stem.lower() in TABLES or path.suffix for path in found):
        raise DataError("no file to import")
    return [path for path in found if path.name != "shop.toml"]
