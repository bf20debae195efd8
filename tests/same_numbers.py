"""Do two reports folders hold the same numbers? `python -m tests.same_numbers BEFORE AFTER` names what differs.

Tables and lists are compared byte by byte, metrics by id, value, unit, n and bounds: words may change, numbers may not.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

KEYS = ("value", "unit", "n", "low", "high")


def differences(before: Path, after: Path) -> Iterator[str]:
    """One line for each file or metric of `before` that `after` lacks or tells otherwise, and for each that is new."""
    runs = [path.parent.relative_to(before) for path in sorted(before.glob("[12]*/*/metrics.json"))]
    for run in runs:
        if not (after / run / "metrics.json").is_file():
            yield f"{run}: gone"
            continue
        yield from _metrics(before / run, after / run, run)
        files = {p.relative_to(root / run) for root in (before, after) for p in (root / run).glob("*s/*.csv")}
        for file in sorted(files):
            old, new = before / run / file, after / run / file
            if not new.is_file() or not old.is_file():
                yield f"{run}/{file}: {'new' if new.is_file() else 'gone'}"
            elif old.read_bytes() != new.read_bytes():
                yield f"{run}/{file}: differs"


def _metrics(before: Path, after: Path, run: Path) -> Iterator[str]:
    old, new = (
        {m["id"]: [m[key] for key in KEYS] for m in json.loads((folder / "metrics.json").read_text())["metrics"]}
        for folder in (before, after)
    )
    for name in [*old, *(name for name in new if name not in old)]:
        if old.get(name) != new.get(name):
            yield f"{run}: {name} was {old.get(name, 'not there')}, is {new.get(name, 'gone')}"


if __name__ == "__main__":
    found = list(differences(Path(sys.argv[1]), Path(sys.argv[2])))
    sys.stdout.write("\n".join(found or ["the same numbers"]) + "\n")
    sys.exit(bool(found))
