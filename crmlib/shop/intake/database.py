"""Where a shop's database is, as one writes it; a password is never part of that, and never repeated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from crmlib.errors import DataError, nearest

_BEGIN = re.compile(r"(postgresql|postgres|mysql|mariadb)://", re.IGNORECASE)
_OPTIONS = ("schema", "table_prefix", "socket", "sslmode", "sslrootcert")
_MODES = ("disable", "prefer", "require", "verify-full")


@dataclass(frozen=True)
class Address:
    """A database on a server: its kind, 'postgresql' or 'mysql', and how it is reached. `text` is safe to show."""

    kind: str
    text: str
    name: str
    host: str = ""
    port: int = 0
    user: str = ""
    options: Mapping[str, str] | None = None

    def option(self, name: str) -> str:
        return (self.options or {}).get(name, "")


def is_address(shop: object) -> bool:
    """Is a shop named as a database rather than as a folder?

    >>> is_address("postgresql://reader@db.example.org/shop"), is_address("data/demo")
    (True, False)
    """
    return bool(_BEGIN.match(str(shop)))


def hidden(text: str) -> str:
    """A text in which an address may stand, without the password of any.

    >>> hidden("mysql://reader:s3cret@db/shop and postgresql://db/shop?password=s3cret")
    'mysql://reader:…@db/shop and postgresql://db/shop?password=…'
    """
    text = re.sub(r"(?i)((?:postgresql|postgres|mysql|mariadb)://[^\s:@/]*:)[^\s]*@", r"\1…@", text)
    return re.sub(r"(?i)([?&](?:password|passwd|pwd)=)[^\s&]*", r"\1…", text)


def read_address(text: str) -> Address:
    """What an address says. DataError for one with a password, without a database's name, or with an unknown option.

    >>> read_address("mysql://reader@db.example.org:3307/shop?table_prefix=wp_").option("table_prefix")
    'wp_'
    """
    shown = hidden(text)
    kind = "postgresql" if text.lower().startswith("postgres") else "mysql"
    if shown != text:
        where = "PGPASSWORD or ~/.pgpass" if kind == "postgresql" else "MYSQL_PWD or ~/.my.cnf"
        raise DataError(f"{shown} has a password in it, which others would read: take it out, and put it into {where}")
    try:
        parts = urlsplit(text)
        port = parts.port or 0
    except ValueError:
        raise DataError(f"{shown} is no address of a database: write postgresql://user@host:5432/name") from None
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for key in options:
        if key not in _OPTIONS:
            raise DataError(f"the address of a database has no option '{key}'; {nearest(key, _OPTIONS)}")
    if options.get("sslmode", "prefer") not in _MODES:
        raise DataError(f"sslmode must be one of {', '.join(_MODES)}, not '{options['sslmode']}'")
    name = unquote(parts.path.strip("/"))
    if not name or "/" in name:
        raise DataError(f"{shown} does not name one database: write {kind}://user@host/name")
    return Address(kind, text, name, unquote(parts.hostname or ""), port, unquote(parts.username or ""), options)
