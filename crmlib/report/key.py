"""The key under which a reports folder's pages speak of customers: CRM_KEY, else a random one kept beside the pages."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from crmlib.errors import UsageError

KEY_VARIABLE = "CRM_KEY"
_FILE = ".key"


def key_of(reports: Path) -> str:
    """CRM_KEY where it is set, else the folder's own key, made on first use and readable by its owner only.

    Raises UsageError where CRM_KEY is too short to keep anything, or the file is not a key.
    """
    given = os.environ.get(KEY_VARIABLE, "")
    if given:
        if len(given) < 16:
            raise UsageError(
                "CRM_KEY has fewer than 16 characters, so that names could be guessed: choose a longer one"
            )
        return given
    file = reports / _FILE
    if not file.exists():
        _make(file)
    file.chmod(0o600)
    found = file.read_text(encoding="utf-8").strip()
    if not re.fullmatch(r"[0-9a-f]{64}", found):
        raise UsageError(f"{reports.name}/{_FILE} is damaged: put the old one back, or delete it for new pseudonyms")
    return found


def _make(file: Path) -> None:
    """Write a key in one step; of two processes that begin together, the second takes the first one's."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name(f"{_FILE}.{os.getpid()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(secrets.token_hex(32) + "\n")
    try:
        os.link(beside, file)
    except FileExistsError:
        pass
    finally:
        beside.unlink()
