"""Every error this package raises on purpose.

    CrmError
    ├── UsageError        exit 2    a parameter, report or option that does not exist or does not fit
    ├── DataError         exit 3    the shop's data cannot be used as it is
    │   └── TooManyRows   exit 3    more rows would cross from the engine than the caller allowed
    ├── PageError         exit 4    a page broke its own rules, so it was not published
    ├── NotAvailable      exit 0    the shop has no table this report needs
    ├── NotEnoughData     exit 0    too few to conclude; an answer, not a fault
    ├── RunError          exit 1    a notebook did not reach its end
    ├── TimeOut           exit 124  a notebook took longer than allowed
    └── Locked            exit 75   another run holds the lock

A message says what was asked, what exists, and what to do.
"""

from __future__ import annotations

import difflib
import html
from collections.abc import Iterable

__all__ = [
    "CrmError",
    "DataError",
    "Locked",
    "NotAvailable",
    "NotEnoughData",
    "PageError",
    "RunError",
    "TimeOut",
    "TooManyRows",
    "UsageError",
    "nearest",
]


class CrmError(Exception):
    """An error with a message meant for the person at the keyboard."""

    exit_code = 1
    status = "failed"

    def _render_traceback_(self) -> list[str]:
        # IPython shows this instead of forty lines of library frames.
        return [f"{type(self).__name__}: {self}"]

    def _repr_html_(self) -> str:
        kind = (type(self).__doc__ or "").split("\n")[0]
        return f"<p><strong>{type(self).__name__}</strong> {html.escape(kind)}</p><pre>{html.escape(str(self))}</pre>"


class UsageError(CrmError):
    """A parameter, report or option that does not exist or does not fit."""

    exit_code = 2
    status = "refused"


class DataError(CrmError):
    """The shop's data cannot be used as it is."""

    exit_code = 3
    status = "refused"


class TooManyRows(DataError):
    """More rows would cross from the engine than the caller allowed."""


class PageError(CrmError):
    """A page broke its own rules, so it was not published."""

    exit_code = 4
    status = "refused"


class NotAvailable(CrmError):
    """The shop has no table, or no column, that this needs."""

    exit_code = 0
    status = "not_available"


class NotEnoughData(CrmError):
    """Too few to conclude: an answer, not a fault."""

    exit_code = 0
    status = "too_few"


class RunError(CrmError):
    """A notebook did not reach its end."""


class TimeOut(CrmError):
    """A notebook took longer than allowed."""

    exit_code = 124


class Locked(CrmError):
    """Another run holds the lock."""

    exit_code = 75


def nearest(name: str, known: Iterable[str], *, limit: int = 3) -> str:
    """A clause that names the closest known words, ready to end a message.

    >>> nearest("min_suport", ["min_support", "min_confidence", "level"])
    "did you mean 'min_support'?"
    """
    words = sorted(known)
    folded = {word.casefold(): word for word in words}
    close = difflib.get_close_matches(name.casefold(), folded, n=limit, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(f"'{folded[word]}'" for word in close) + "?"
    if not words:
        return "there are none"
    return "there are: " + ", ".join(words)
