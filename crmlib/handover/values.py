"""How are addresses, numbers and days written, so that a tool takes them? What cannot be made sound becomes empty."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from datetime import date

EMAIL = r"[^@\s,;:<>()\[\]\"\\]{1,64}@(?=.{4,253}$)[^@\s,;<>()\[\]\"\\_]+\.[^@\s.,;<>()\[\]\"\\_\d]{2,}"
PHONE = r"\+[1-9]\d{7,14}"
HASH = r"[0-9a-f]{64}"
TEXT = r"(?![=+\-@＝＋－＠])[^\x00-\x1f\x7f]*"  # nothing that a spreadsheet on the way would run
# Calling codes, and what stands before a number within the country: '0' but where it belongs to the number.
_CALLING = {
    "AT": "43", "AU": "61", "BE": "32", "BG": "359", "BR": "55", "CA": "1", "CH": "41", "CN": "86", "CZ": "420",
    "DE": "49", "DK": "45", "EE": "372", "ES": "34", "FI": "358", "FR": "33", "GB": "44", "GR": "30", "HR": "385",
    "HU": "36", "IE": "353", "IL": "972", "IN": "91", "IS": "354", "IT": "39", "JP": "81", "KR": "82", "LI": "423",
    "LT": "370", "LU": "352", "LV": "371", "MT": "356", "MX": "52", "NL": "31", "NO": "47", "NZ": "64", "PL": "48",
    "PT": "351", "RO": "40", "RS": "381", "SE": "46", "SG": "65", "SI": "386", "SK": "421", "TR": "90", "UA": "380",
    "US": "1", "ZA": "27",
}  # fmt: skip
_TRUNK = {"HU": "06", "LT": "8", "US": "1", "CA": "1"}
_NO_TRUNK = ("CZ", "DK", "ES", "GR", "IS", "IT", "LU", "LV", "MT", "NO", "PL", "PT", "EE", "SG", "LI")


def email(text: str) -> str:
    """An address, trimmed and in small letters; empty where it is none.

    >>> email(" Anna.Muster@Example.COM "), email("anna@example"), email("anna, bert@example.com")
    ('anna.muster@example.com', '', '')
    """
    folded = text.strip().lower()
    sound = re.fullmatch(EMAIL, folded) and ".." not in folded and not re.search(r"^\.|\.@|@[.-]|-\.", folded)
    return folded if sound else ""


def phone(text: str, country: str = "") -> str:
    """A number as E.164, by its own country code or that of `country`; empty where that cannot be told.

    >>> phone("'+49 (0)30 23125-959"), phone("030 23125959", "DE"), phone("020 7946 0123", "GB"), phone("030 1234567")
    ('+493023125959', '+493023125959', '+442079460123', '')
    """
    plain = re.sub(r"[\s().\-–/\u00a0\u2011']", "", text.strip().replace("(0)", "") if _international(text) else text)
    plain = re.sub(r"^00", "+", plain)
    if not plain.startswith("+"):
        trunk = "" if country in _NO_TRUNK else _TRUNK.get(country, "0")
        if not plain.isdecimal() or country not in _CALLING:
            return ""
        plain = f"+{_CALLING[country]}{plain.removeprefix(trunk)}"
    return plain if re.fullmatch(PHONE, plain, re.ASCII) else ""


def _international(text: str) -> bool:
    return bool(re.match(r"\s*'?\s*(\+|00)", text))


def country(text: str, otherwise: str = "") -> str:
    """A country as its two letters, or the shop's; empty where it is written in another way.

    >>> country("de"), country("", "AT"), country("Germany")
    ('DE', 'AT', '')
    """
    code = text.strip().upper() or otherwise
    return code if re.fullmatch("[A-Z]{2}", code) else ""


def name(text: str) -> str:
    """A name as one writes it, without what no cell may hold."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", unicodedata.normalize("NFC", text)).strip()


def folded(text: str) -> str:
    """A name as it is hashed: trimmed, in small letters, one blank between words."""
    return " ".join(name(text).lower().split())


def letters(text: str) -> str:
    """The same without blanks and punctuation, as Meta hashes towns and names.

    >>> letters(" Sankt-Gallen ")
    'sanktgallen'
    """
    return "".join(c for c in folded(text) if c.isalnum())


def hashed(text: str) -> str:
    """SHA-256 in small hexadecimal letters; of nothing nothing.

    >>> hashed("test@gmail.com")[:16], hashed("")
    ('87924606b4131a8a', '')
    """
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def day(text: str) -> date | None:
    """A day as our lists write it; None where there is none."""
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None
