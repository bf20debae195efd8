"""Who has asked to be erased? Kept as keyed hashes, so that the next import does not bring anybody back.

The key lies beside the hashes: it keeps a list of hashes of all addresses there are from telling whose these are, not
somebody who holds both file and addresses.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ID, CONTACT = "id", "contact"


@dataclass(frozen=True)
class Stones:
    """Hashes of ids and of contacts (addresses in small letters) under one key."""

    key: str = ""
    hashes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def mark(self, kind: str, value: str) -> str:
        """The hash under which a value is kept."""
        return hashlib.sha256(f"{self.prefix(kind)}{value}".encode()).hexdigest()

    def prefix(self, kind: str) -> str:
        """What stands before a value when it is hashed, so that an engine can do the same."""
        return f"{self.key}|{kind}|"

    def holds(self, kind: str, value: str) -> bool:
        """Was this id, or contact, erased?

        >>> stones = Stones("k").with_ones(ids=["C1"], contacts=["A@example.com"])
        >>> stones.holds(ID, "C1"), stones.holds(ID, "C2"), stones.holds(CONTACT, "a@example.com")
        (True, False, True)
        """
        value = value.strip().lower() if kind == CONTACT else value
        return self.mark(kind, value) in self.hashes.get(kind, ())

    def with_ones(self, *, ids: Iterable[str] = (), contacts: Iterable[str] = ()) -> Stones:
        """The same with more people; the first makes the key."""
        base = self if self.key else Stones(secrets.token_hex(32))
        new = {ID: list(ids), CONTACT: [contact.strip().lower() for contact in contacts]}
        found = {
            kind: tuple(sorted({*base.hashes.get(kind, ()), *(base.mark(kind, value) for value in values)}))
            for kind, values in new.items()
        }
        return Stones(base.key, found)

    def text(self) -> str:
        """As its file holds it."""
        return json.dumps({"key": self.key, **{kind: list(found) for kind, found in self.hashes.items()}}) + "\n"


def read(path: Path) -> Stones:
    """The stones of a file; none where there is no file. ValueError for one that is damaged: nobody may come back."""
    if not path.is_file():
        return Stones()
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return Stones(said["key"], {kind: tuple(said.get(kind, ())) for kind in (ID, CONTACT)})
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: put the old one back, or those who were erased come back") from error
