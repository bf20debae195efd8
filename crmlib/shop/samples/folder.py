"""How does a sample shop get its folder, whole or not at all?"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crmlib.errors import DataError

_SETTINGS = "shop.toml"


@contextmanager
def staged(folder: Path, *, name: str) -> Iterator[Path]:
    """An empty folder beside `folder` to write into; it takes the place of `folder` when the block ends well.

    `name` is the shop's name as its shop.toml says. What stood in `folder` before is replaced only if it is
    empty or a shop of the same name; anything else raises DataError before anything is written. When the
    block fails, `folder` is as it was.
    """
    folder = Path(folder)
    _refuse_others(folder, name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = folder.parent / f".{folder.name}.{os.getpid()}.new"
    old = folder.parent / f".{folder.name}.{os.getpid()}.old"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        yield new
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    except BaseException:
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def settings(*, name: str, timezone: str, currency: str, as_of: str) -> str:
    """The text of a closed sample's shop.toml."""
    return f'name = "{name}"\ntimezone = "{timezone}"\ncurrency = "{currency}"\nas_of = {as_of}\n'


def _refuse_others(folder: Path, name: str) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise DataError(f"{folder} is a file; the shop '{name}' needs a folder: choose another place")
    stated = folder / _SETTINGS
    ours = stated.is_file() and f'name = "{name}"' in stated.read_text(encoding="utf-8").splitlines()
    if not ours and any(folder.iterdir()):
        raise DataError(
            f"{folder} holds something other than the shop '{name}', and would be replaced: "
            "choose another folder, or empty this one"
        )
