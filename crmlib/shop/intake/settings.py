"""What a shop says of itself in shop.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from crmlib.errors import DataError, nearest
from crmlib.shop.tables import TABLES

_ENGINE = re.compile(r"(duckdb|spark):(?=.)")
_KNOWN = ("name", "timezone", "currency", "max_age", "as_of", "columns", "parameters", "owners")


@dataclass(frozen=True)
class Settings:
    """shop.toml, checked. `columns` maps table -> canonical name -> the name in the file, `owners` a role such as 'service' -> who acts."""

    name: str
    timezone: str = "UTC"
    currency: str = ""
    max_age: str | None = None
    as_of: date | None = None
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)


def engine_and_folder(shop: str | Path) -> tuple[str, str]:
    """The engine a shop is named with, empty where it is not, and its folder.

    >>> engine_and_folder("spark:data/demo"), engine_and_folder("data/demo")
    (('spark', 'data/demo'), ('', 'data/demo'))
    """
    named = _ENGINE.match(str(shop))
    return (named[1], str(shop)[named.end() :]) if named else ("", str(shop))


def read_settings(folder: Path) -> Settings:
    """Read `folder`/shop.toml; a shop without one is named after its folder.

    Raises DataError where the file cannot be read, names an unknown key, table or column, or an unknown time zone.
    """
    path = folder / "shop.toml"
    if not path.is_file():
        return Settings(name=folder.name)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path.name} of shop '{folder.name}' cannot be read: {error}") from None
    for key in raw:
        if key not in _KNOWN:
            raise DataError(f"shop.toml has no setting '{key}'; {nearest(key, _KNOWN)}")
    for key in ("name", "timezone", "currency", "max_age"):
        if key in raw and not isinstance(raw[key], str):
            raise DataError(f'shop.toml: {key} must be text in quotes, such as {key} = "…"')
    as_of = raw.get("as_of")
    if isinstance(as_of, str):
        try:
            as_of = date.fromisoformat(as_of)
        except ValueError:
            raise DataError(f"shop.toml: as_of must be a day such as 1998-07-01, not '{as_of}'") from None
    if isinstance(as_of, datetime) or not isinstance(as_of, date | None):
        raise DataError(f"shop.toml: as_of must be a day such as 1998-07-01, not {as_of!r}")
    timezone = raw.get("timezone", "UTC")
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        raise DataError(f"shop.toml: unknown time zone '{timezone}'; use a name such as Europe/Berlin") from None
    return Settings(
        name=raw.get("name", folder.name),
        timezone=timezone,
        currency=raw.get("currency", ""),
        max_age=raw.get("max_age"),
        as_of=as_of,
        columns=_columns(raw.get("columns", {})),
        parameters=_parameters(raw.get("parameters", {})),
        owners=_owners(raw.get("owners", {})),
    )


def _columns(raw: Any) -> Mapping[str, Mapping[str, str]]:
    if not isinstance(raw, dict) or not all(isinstance(mapping, dict) for mapping in raw.values()):
        raise DataError('shop.toml: write column names as [columns.orders] and below it ordered_at = "Created at"')
    for table, mapping in raw.items():
        if table not in TABLES:
            raise DataError(f"shop.toml: [columns.{table}] is not a table; {nearest(table, TABLES)}")
        for canonical, theirs in mapping.items():
            if canonical not in TABLES[table].names:
                raise DataError(
                    f"shop.toml: {table} has no column '{canonical}'; {nearest(canonical, TABLES[table].names)}"
                )
            if not isinstance(theirs, str):
                raise DataError(f"shop.toml: [columns.{table}] {canonical} must be the column's name in quotes")
    return raw


def _parameters(raw: Any) -> Mapping[str, Mapping[str, Any]]:
    if not isinstance(raw, dict) or not all(isinstance(values, dict) for values in raw.values()):
        raise DataError("shop.toml: write defaults as [parameters.baskets] and below it min_support = 0.002")
    return raw


def _owners(raw: Any) -> Mapping[str, str]:
    if not isinstance(raw, dict) or not all(isinstance(name, str) for name in raw.values()):
        raise DataError('shop.toml: write who acts as [owners] and below it service = "support"')
    return raw
