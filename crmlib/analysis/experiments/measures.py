"""A shop's own names and p-values as they stand in a sentence."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

_PEOPLE = (
    "visitor",
    "customer",
    "user",
    "player",
    "member",
    "subscriber",
    "household",
    "session",
    "account",
    "device",
    "store",
)


def words(name: str) -> str:
    """A shop's own name for something, to be read in a sentence.

    >>> words("revenue_per_visitor@0.95"), words("revenue/orders")
    ('95 % quantile of revenue per visitor', 'revenue / orders')
    """
    metric, at, share = name.rpartition("@")
    if at and metric and share.replace(".", "", 1).isdigit():
        return f"{100 * float(share):g} % quantile of {words(metric)}"
    return name.replace("_", " ").replace("/", " / ").strip()


def title(name: str) -> str:
    """The same at the head of a sentence."""
    return words(name)[:1].upper() + words(name)[1:]


def unit_called(metrics: Iterable[str], *, source: str) -> str:
    """What was assigned, in the plural, where the caller does not say: as the metrics' names tell, else by their source.

    >>> unit_called(["converted", "margin_per_visitor"], source="outcomes"), unit_called(["spent"], source="orders")
    ('visitors', 'customers')
    """
    said = {one for metric in metrics for one in re.findall(r"(?:^|[_ ])per[_ ]([a-z]+)", metric.casefold())}
    known = [name for name in _PEOPLE if name in said]
    if len(known) == 1:
        return f"{known[0]}s"
    return "customers" if source == "orders" else "units"


def p_text(p: float) -> str:
    """A p-value as it is written in a sentence.

    >>> p_text(0.0086), p_text(0.00000012)
    ('p = .0086', 'p < .0001')
    """
    if math.isnan(p):
        return "no test"
    if p < 0.0001:
        return "p < .0001"
    digits = 2 if p >= 0.1 else 3 if p >= 0.01 else 4
    text = f"{p:.{digits}f}"
    return f"p = {text[1:] if text.startswith('0') else text}"
