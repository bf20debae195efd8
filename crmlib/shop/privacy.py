"""How can a page speak of one customer without naming anybody? By a keyed hash, the same on every page of a shop.

An id that is only hashed is found again by hashing every id there is; with a key that stays with the shop it is not.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from functools import cache

KEY_VARIABLE = "CRM_KEY"
KEPT_VARIABLE = "CRM_KEPT"  # names the folder where what concerns single customers is kept from run to run
_LETTERS = 12  # 48 bits: among a million customers two share a name with a chance of 1 in 560


def key() -> bytes:
    """CRM_KEY, as the runner and the schedule set it; without it a random one that lasts as long as this process."""
    given = os.environ.get(KEY_VARIABLE, "")
    return given.encode() if given else _of_this_process()


def pseudonym(value: object, *, key: bytes, kind: str = "customer") -> str:
    """A short name for an id: HMAC-SHA256 under `key`, 12 hexadecimal letters behind the kind's first.

    The same id under another kind has another name, so that order 17 does not give customer 17 away.

    >>> pseudonym("C00017", key=b"a key")
    'c-df9e0158a106'
    """
    digest = hmac.new(key, f"{kind}\0{value}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
    return f"{kind[:1]}-{digest[:_LETTERS]}"


def lot(value: object, *, key: bytes, of: str) -> bool:
    """Is an id among the four in five who are acted on, under `key`? The same on every rerun and engine, another `of`.

    By the id alone and not by its place in a list, so that whoever was left alone stays so when the list changes.
    """
    digest = hmac.new(key, f"lot\0{of}\0{value}".encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return digest[0] < 205


@cache
def _of_this_process() -> bytes:
    return secrets.token_bytes(32)
