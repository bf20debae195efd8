"""The last sieve before publication: personal data and secrets that a cell, an error or a name brought along.

A page is written without them; this is for what nobody foresaw, such as a frame an analyst left at the end of a cell.
E-mail addresses, telephone numbers and the environment's secrets are masked wherever they stand. A frame that shows
columns that name customers is left out whole: such rows belong into lists/.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

# What says who somebody is; a test holds these to the canonical tables.
PERSONAL = frozenset({"customer_id", "first_name", "last_name", "email", "phone", "birth_date", "postcode"})

# Beginning only where a word begins: in a picture of megabytes every other start would be tried to its end.
_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@[\w-]+(?:\.[\w-]+)*\.[^\W\d_]{2,}")
# With a country code, or a leading zero and a break, so that no amount, id or date is taken for a telephone.
_PHONE = re.compile(
    r"(?<![\w.+])\+\d{10,15}(?!\w)|(?<![\w.+])\+\d{1,3}(?:[ /-]?\(?\d{1,5}\)?){2,5}(?<=\d)(?!\w)"
    r"|(?<![\w.,-])0\d{2,5}[ /-]\d{3,8}(?:[ -]\d{2,5})?(?!\w)"
)
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
_SHORTEST_SECRET = 8
_DRAWN = ("wide", "narrow")  # figures as SVG: numbers in them are places


def mask(text: str, *, secrets: Iterable[str] | None = None) -> str:
    """The text without e-mail addresses, telephone numbers and secrets of the environment."""
    text = _masked_words(text, secrets)
    return _PHONE.sub(lambda found: "[phone]" if sum(map(str.isdigit, found[0])) >= 9 else found[0], text)


def mask_page(html: str) -> str:
    """The same for a finished page; telephone numbers are masked before, where text is still text."""
    return _masked_words(html, None)


def clean(notebook: dict[str, Any]) -> dict[str, Any]:
    """An executed notebook whose outputs can stand beside a page; changed in place and returned."""
    secrets = secrets_of(os.environ)
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            said = "".join(output.get("text", "")) or "".join(data.get("text/plain", ""))
            if columns := personal_columns(said):
                note = f"[left out: a table with {', '.join(columns)}; rows that name customers go to lists/]"
                output.update({"text": note} if "text" in output else {"data": {"text/plain": note}})
                continue
            for key in ("text", "data", "ename", "evalue", "traceback"):
                if key in output:
                    output[key] = _walk(output[key], secrets)
    return notebook


def personal_columns(text: str) -> list[str]:
    """The personal columns in the heading of a printed frame, or the name of a printed column."""
    found: set[str] = set()
    for line in text.splitlines() if ":=" not in text else ():
        words = line.split()
        if all(re.fullmatch(r"[A-Za-z_]\w*|\\|\.\.\.", word) for word in words):
            found |= PERSONAL & set(words)
        if match := re.match(r"Name: (\w+),", line):
            found |= PERSONAL & {match[1]}
    return sorted(found)


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """Values of variables that call themselves a key, token, secret or password, the longest first."""
    found = {v for name, v in environment.items() if _SECRET_NAME.search(name) and len(v) >= _SHORTEST_SECRET}
    # A path to a key file is no secret, and masking it would spoil every message that names the folder.
    return sorted((value for value in found if "/" not in value or len(value) > 60), key=len, reverse=True)


def _masked_words(text: str, secrets: Iterable[str] | None) -> str:
    for secret in secrets_of(os.environ) if secrets is None else secrets:
        text = text.replace(secret, "[secret]")
    return _EMAIL.sub("[e-mail]", text) if "@" in text else text


def _walk(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        return mask(value, secrets=secrets)
    if isinstance(value, list):
        return [_walk(item, secrets) for item in value]
    if isinstance(value, dict):
        return {
            key: item if key in _DRAWN or str(key).startswith("image/") else _walk(item, secrets)
            for key, item in value.items()
        }
    return value
