"""Frozen values as plain JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """Days and paths as text, tuples as lists, all the way down.

    >>> plain({"by": date(2026, 10, 1), "key": ("theme",)})
    {'by': '2026-10-01', 'key': ['theme']}
    """
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value.isoformat() if isinstance(value, date) else str(value) if isinstance(value, Path) else value


def typed(kind: type[Any], said: Mapping[str, Any]) -> Any:
    """A dataclass from plain values, days and tuples as its fields say; keys of later versions are passed over."""
    values = {}
    for item in fields(kind):
        if item.name in said:
            value = said[item.name]
            if isinstance(value, str) and str(item.type).startswith("date"):
                value = date.fromisoformat(value)
            values[item.name] = _tuples(value) if str(item.type).startswith("tuple") else value
    return kind(**values)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, (list, tuple)) else value
