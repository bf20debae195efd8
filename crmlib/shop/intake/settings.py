"""What a shop says of itself in shop.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from crmlib.errors import DataError, nearest
from crmlib.shop.intake.database import is_address, read_address
from crmlib.shop.tables import TABLES

_ENGINE = re.compile(r"(duckdb|spark):(?=.)")
_KNOWN = (
    "name", "timezone", "currency", "max_age", "as_of", "country", "dates", "decimals", "not_goods",
    "families", "columns", "parameters", "owners", "team", "closures", "campaigns", "words", "keep_lists",
    "database", "table_prefix", "prices_include_tax", "tax_rate", "offers",
)  # fmt: skip
_WORDS = {"dates": ("month-first", "day-first"), "decimals": ("comma", "point")}
_ROLES = ("service", "marketing", "sales", "purchasing", "shop")
_WORD_KINDS = ("about", "faults", "never")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class Team:
    """What the people of a shop can do: contacts a week, the days they work, and the hours, as 9 and 17."""

    contacts_per_week: int | None = None
    working_days: tuple[str, ...] = _DAYS[:5]
    hours: tuple[float, float] | None = None


@dataclass(frozen=True)
class Span:
    """Days, both included, that should not bend a season, and what they were."""

    start: date
    end: date
    name: str = ""


@dataclass(frozen=True)
class Settings:
    """shop.toml, checked.

    `columns` maps table -> canonical name -> the name in the file, `owners` a role such as 'service' -> who acts,
    `offers` the name of a list -> what its people are offered.
    `dates` and `decimals` decide what a column alone cannot; `not_goods` are products that are money only, by id or
    name; `families` maps a family of products to ids, names or beginnings of names; `words` are phrases of the shop's
    customers by kind (about, faults, never) and theme. Lists older than `keep_lists` days are thinned; 0 keeps them.
    `database` is the address of one whose tables are read beside the folder's files; their names begin with
    `table_prefix`. `prices_include_tax` is None where the shop does not say; `tax_rate` is for orders that name no tax.
    """

    name: str
    timezone: str = "UTC"
    currency: str = ""
    max_age: str | None = None
    as_of: date | None = None
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    offers: Mapping[str, str] = field(default_factory=dict)
    country: str = ""
    dates: str = ""
    decimals: str = ""
    not_goods: tuple[str, ...] = ()
    families: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    team: Team = Team()
    closures: tuple[Span, ...] = ()
    campaigns: tuple[Span, ...] = ()
    words: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    keep_lists: int = 0
    zone_named: bool = False  # shop.toml says the time zone
    database: str = ""
    table_prefix: str = ""
    prices_include_tax: bool | None = None
    tax_rate: float = 0.0


def engine_and_folder(shop: str | Path) -> tuple[str, str]:
    """The engine a shop is named with, empty where it is not, and its folder.

    >>> engine_and_folder("spark:data/demo"), engine_and_folder("data/demo")
    (('spark', 'data/demo'), ('', 'data/demo'))
    """
    named = _ENGINE.match(str(shop))
    return (named[1], str(shop)[named.end() :]) if named else ("", str(shop))


def read_settings(shop: str | Path) -> Settings:
    """Read a shop's shop.toml; one without is named after its folder, and one that is an address after its database.

    Raises DataError where the file cannot be read, names an unknown key, table or column, or an unknown time zone.
    """
    if is_address(shop):
        return Settings(name=read_address(str(shop)).name, database=str(shop))
    folder = Path(shop)
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
    for key in ("name", "timezone", "currency", "max_age", "country", "database", "table_prefix", *_WORDS):
        if key in raw and not isinstance(raw[key], str):
            raise DataError(f'shop.toml: {key} must be text in quotes, such as {key} = "…"')
    for key, words in _WORDS.items():
        if key in raw and raw[key] not in words:
            raise DataError(
                f"""shop.toml: {key} must be {" or ".join(f'"{word}"' for word in words)}, not '{raw[key]}'"""
            )
    if not re.fullmatch("([A-Z]{2})?", raw.get("country", "")):
        raise DataError(f"""shop.toml: country must be two letters such as "DE", not '{raw["country"]}'""")
    timezone = raw.get("timezone", "UTC")
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        raise DataError(f"shop.toml: unknown time zone '{timezone}'; use a name such as Europe/Berlin") from None
    if database := raw.get("database", ""):
        read_address(database)
    as_of = raw.get("as_of")
    return Settings(
        name=raw.get("name", folder.name),
        timezone=timezone,
        zone_named="timezone" in raw,
        currency=raw.get("currency", ""),
        max_age=raw.get("max_age"),
        as_of=None if as_of is None else _day(as_of, "as_of"),
        columns=_columns(raw.get("columns", {})),
        parameters=_parameters(raw.get("parameters", {})),
        owners=_owners(raw.get("owners", {})),
        offers=_offers(raw.get("offers", {})),
        country=raw.get("country", ""),
        dates=raw.get("dates", ""),
        decimals=raw.get("decimals", ""),
        not_goods=_not_goods(raw.get("not_goods", [])),
        families=_families(raw.get("families", {})),
        team=_team(raw.get("team", {})),
        closures=_spans(raw.get("closures", []), "closures"),
        campaigns=_spans(raw.get("campaigns", []), "campaigns"),
        words=_words(raw.get("words", {})),
        keep_lists=_days(raw.get("keep_lists", "0d")),
        database=database,
        table_prefix=raw.get("table_prefix", ""),
        prices_include_tax=raw.get("prices_include_tax"),
        tax_rate=_tax_rate(raw),
    )


def _tax_rate(raw: Mapping[str, Any]) -> float:
    inside, rate = raw.get("prices_include_tax"), raw.get("tax_rate", 0.0)
    if not isinstance(inside, bool | None):
        raise DataError(f"shop.toml: prices_include_tax must be true or false, not {inside!r}")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
        raise DataError(f"shop.toml: tax_rate must be a share of the price without tax, such as 0.19, not {rate!r}")
    if rate and not inside:
        raise DataError("shop.toml: tax_rate needs prices_include_tax = true")
    return float(rate)


def _day(value: Any, name: str) -> date:
    if isinstance(value, str):
        with suppress(ValueError):
            value = date.fromisoformat(value)
    if isinstance(value, datetime) or not isinstance(value, date):
        said = f"'{value}'" if isinstance(value, str) else repr(value)
        raise DataError(f"shop.toml: {name} must be a day such as 1998-07-01, not {said}")
    return value


def _days(raw: Any) -> int:
    if not isinstance(raw, str) or not re.fullmatch(r"\d{1,5}d", raw):
        raise DataError(f'shop.toml: keep_lists must be a number of days such as "400d", not {raw!r}')
    return int(raw[:-1])


def _not_goods(raw: Any) -> tuple[str, ...]:
    if not isinstance(raw, list) or not all(isinstance(product, str) for product in raw):
        raise DataError('shop.toml: write products that are no goods as not_goods = ["POST", "Gift wrap"]')
    return tuple(raw)


def _families(raw: Any) -> Mapping[str, tuple[str, ...]]:
    if not isinstance(raw, dict) or not all(isinstance(products, list) for products in raw.values()):
        raise DataError('shop.toml: write families of products as [families] and below it "Jumbo bag" = ["Jumbo bag"]')
    if empty := [name for name, products in raw.items() if not all(isinstance(p, str) and p for p in products)]:
        raise DataError(f"shop.toml: [families] {empty[0]} must be ids, names or beginnings of names in quotes")
    return {name: tuple(products) for name, products in raw.items()}


def _team(raw: Any) -> Team:
    shape = 'shop.toml: write [team] as contacts_per_week = 40, working_days = ["Mon", "Tue"], hours = "9-17"'
    known = ("contacts_per_week", "working_days", "hours")
    if not isinstance(raw, dict):
        raise DataError(shape)
    for key in raw:
        if key not in known:
            raise DataError(f"shop.toml: [team] has no setting '{key}'; {nearest(key, known)}")
    contacts, days, hours = raw.get("contacts_per_week"), raw.get("working_days", _DAYS[:5]), raw.get("hours")
    if contacts is not None and (type(contacts) is not int or contacts < 0):
        raise DataError(f"{shape}; contacts_per_week is {contacts!r}")
    if not isinstance(days, list | tuple) or not days or any(day not in _DAYS for day in days):
        raise DataError(f"{shape}; working_days are some of {', '.join(_DAYS)}")
    found = re.fullmatch(
        r"(\d{1,2})(?::(\d\d))?\s*[-–]\s*(\d{1,2})(?::(\d\d))?", hours if isinstance(hours, str) else ""
    )
    if hours is not None and not found:
        raise DataError(f"{shape}; hours are {hours!r}")
    span = (int(found[1]) + int(found[2] or 0) / 60, int(found[3]) + int(found[4] or 0) / 60) if found else None
    if span and not 0 <= span[0] < span[1] <= 24:
        raise DataError(f"{shape}; hours end before they begin, or after midnight: {hours!r}")
    return Team(contacts, tuple(days), span)


def _spans(raw: Any, name: str) -> tuple[Span, ...]:
    shape = (
        f'shop.toml: write each of the {name} as [[{name}]] and below it from = 2026-08-01, to = 2026-08-14, name = "…"'
    )
    if not isinstance(raw, list) or not all(isinstance(entry, dict) for entry in raw):
        raise DataError(shape)
    found = []
    for entry in raw:
        if set(entry) - {"from", "to", "name"} or "from" not in entry or not isinstance(entry.get("name", ""), str):
            raise DataError(f"{shape}; one has {', '.join(entry) or 'nothing'}")
        start = _day(entry["from"], f"{name} from")
        end = _day(entry.get("to", start), f"{name} to")
        if end < start:
            raise DataError(f"shop.toml: one of the {name} ends on {end}, before it begins on {start}")
        found.append(Span(start, end, entry.get("name", "")))
    return tuple(found)


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
    for role in raw:
        if role not in _ROLES:
            raise DataError(f"shop.toml: [owners] has no role '{role}'; {nearest(role, _ROLES)}")
    return raw


def _offers(raw: Any) -> Mapping[str, str]:
    if not isinstance(raw, dict) or not all(isinstance(what, str) and what.strip() for what in raw.values()):
        raise DataError('shop.toml: write what lists offer as [offers] and below it win_back = "free delivery"')
    return raw


def _words(raw: Any) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    shape = 'shop.toml: write phrases as [words.faults] and below it quality = ["glaze came off"]'
    if not isinstance(raw, dict) or not all(isinstance(themes, dict) for themes in raw.values()):
        raise DataError(shape)
    for kind, themes in raw.items():
        if kind not in _WORD_KINDS:
            raise DataError(f"shop.toml: [words.{kind}] is not known; {nearest(kind, _WORD_KINDS)}")
        for theme, phrases in themes.items():
            if not isinstance(phrases, list) or not all(isinstance(one, str) and one.strip() for one in phrases):
                raise DataError(f"{shape}; {theme} is {phrases!r}")
    return {kind: {theme: tuple(phrases) for theme, phrases in themes.items()} for kind, themes in raw.items()}
