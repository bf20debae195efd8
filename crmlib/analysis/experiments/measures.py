"""A shop's own names, amounts and p-values as they stand in a sentence or a table."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from crmlib import figures, formats, wording

_PEOPLE = re.compile("visitor|customer|user|player|member|subscriber|household|session|account|device|store")
_MONEY = ("revenue", "margin", "profit", "sales", "spend", "turnover")
_SELLING = ("conver", "order", "purchase", "bought", "buy", "sales", "revenue", "turnover", "sold")
ENDS = ("effect", "low", "high")
_DIGITS = 12  # significant digits in the tables: the same on every run, whatever the order of the sums


def words(name: str) -> str:
    """A shop's own name for something, to be read in a sentence.

    >>> words("revenue_per_visitor@0.95"), words("revenue/orders"), words("converted")
    ('95% quantile of revenue per visitor', 'revenue / orders', 'conversion')
    """
    metric, _, share = name.rpartition("@")  # a key
    if metric and share.replace(".", "", 1).isdigit():
        return f"{100 * float(share):g}% quantile of {words(metric)}"
    if name.casefold() in ("converted", "conversions"):
        return "conversion"
    return name.replace("_", " ").replace("/", " / ").strip()


def parts_of(metric: str) -> list[str]:
    """A measure and the metrics it is made of: both of a ratio, the one of a quantile.

    >>> parts_of("revenue/orders"), parts_of("revenue@0.5")
    (['revenue/orders', 'revenue', 'orders'], ['revenue@0.5', 'revenue'])
    """
    return list(dict.fromkeys([metric, *metric.split("@")[0].split("/")]))


def title(name: str) -> str:
    """The same at the head of a sentence."""
    return wording.upper(words(name))


def unit_called(metrics: Iterable[str], *, source: str) -> str:
    """What was assigned, in the plural, where nobody says: as the metrics' names tell, else by their source.

    >>> unit_called(["converted", "margin_per_visitor"], source="outcomes"), unit_called(["spent"], source="orders")
    ('visitors', 'customers')
    """
    said = {one for metric in metrics for one in re.findall(r"(?:^|[_ ])per[_ ]([a-z]+)", metric.casefold())}
    known = [name for name in said if _PEOPLE.fullmatch(name)]
    if len(known) == 1:
        return f"{known[0]}s"
    return "customers" if source == "orders" else "units"


def kind_of(metric: str, *, binary: bool) -> str:
    """share, money or number: money per order is money, orders per unit of money are not."""
    name = words(metric.split("/")[0]).casefold()
    return "share" if binary else "money" if any(word in name for word in _MONEY) else "number"


def is_selling(metric: str) -> bool:
    """Does more of it mean more sold? More revenue an order, or in the upper tenth, does not."""
    return not set("/@") & set(metric) and any(word in metric.casefold() for word in _SELLING)


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


def amount(value: float, kind: str, currency: str, *, width: float, sign: bool = False) -> str:
    """A value of a metric, in percentage points, money or plain, with the digits that an interval of `width` supports.

    >>> amount(0.0638, "share", "", width=0.008), amount(0.061, "money", "EUR", width=0.22, sign=True)
    ('6.4', '+€0.06')
    """
    return _amount(value, kind, currency, digits=_digits(width * scale_of(kind)), sign=sign)


def mean_text(row: Mapping[str, Any], column: str, currency: str) -> str:
    """An arm's mean with as many digits as the effect has: '6.4%'."""
    if pd.isna(row[column]) or pd.isna(row["low"]):
        return formats.DASH
    text = amount(row[column], row["kind"], currency, width=row["high"] - row["low"])
    return f"{text}%" if row["kind"] == "share" else text


def size_text(value: float, kind: str, currency: str) -> str:
    """A size, such as the smallest effect worth having, with its own two leading digits: '0.32 points'."""
    shown = value * scale_of(kind)
    text = _amount(value, kind, currency, digits=max(0, min(4, 1 - math.floor(math.log10(shown)))) if shown > 0 else 2)
    return formats.points(text) if kind == "share" else text


def effect_text(row: Mapping[str, Any], currency: str) -> str:
    """An effect with its interval, in the metric's own unit: '+0.93 points (0.41 to 1.45)'."""
    digits, kind = _row_digits(row), str(row["kind"])
    low, high = (_amount(row[end], kind, currency, digits=digits) for end in ("low", "high"))
    text = _amount(row["effect"], kind, currency, digits=digits, sign=True)
    return f"{formats.points(text) if kind == 'share' else text} ({low} to {high})"


def most_text(row: Mapping[str, Any], currency: str) -> str:
    """The end of the interval that lies further from zero, without its sign, rounded as `effect_text` does."""
    return _end_text(max(-row["low"], row["high"]), row, currency)


def gain_text(row: Mapping[str, Any], currency: str) -> str:
    """The most there is to gain: the upper end of the interval, rounded as `effect_text` does."""
    return _end_text(row["high"], row, currency)


def _end_text(end: float, row: Mapping[str, Any], currency: str) -> str:
    text = _amount(end, str(row["kind"]), currency, digits=_row_digits(row))
    return formats.points(text) if row["kind"] == "share" else text


def capped_text(row: Mapping[str, Any], currency: str) -> str:
    """The same effect with the outermost thousandth of values cut back, a check that decides nothing; or ''."""
    if pd.isna(row["capped_effect"]):
        return ""
    cut = {name: row[f"capped_{name}"] for name in ("effect", "low", "high")}
    return effect_text(cut | {"kind": row["kind"]}, currency)


def on_axis(effects: pd.DataFrame, currency: str) -> tuple[pd.DataFrame, Callable[[float], str], str]:
    """Effects of one metric in the unit they are shown in, how a tick is written, and what the axis counts."""
    kind, scale = str(effects["kind"].iloc[0]), scale_of(str(effects["kind"].iloc[0]))
    width = float((effects["high"] - effects["low"]).min())
    scaled = effects.assign(**{name: scale * effects[name].astype(float) for name in ENDS})
    unit = {"share": "percentage points", "money": currency or "money"}.get(kind, "its own unit")
    what = f"change in {words(str(effects['metric'].iloc[0]))}, {unit}"
    return scaled, lambda value: amount(value / scale, kind, currency, width=width, sign=True), what


def chart_of(effects: pd.DataFrame, currency: str, *, table: Mapping[str, Any], caption: str) -> figures.Chart:
    """Effects of one metric with their ranges, a row for each `label`."""
    shown, form, what = on_axis(effects, currency)
    ends: dict[str, Any] = dict(zip(("value", "low", "high"), ENDS, strict=True))
    return figures.dots(shown, label="label", what=what, form=form, reference=0.0, table=table, caption=caption, **ends)


def scale_of(kind: str) -> int:
    """What a value is multiplied by to be shown."""
    return 100 if kind == "share" else 1


def rounded(frame: pd.DataFrame) -> pd.DataFrame:
    """A table as it is published: twelve digits, counts as they are."""
    numbers = frame.select_dtypes("number").columns.difference(["n", "n_control"])
    return frame.assign(**{name: [float(f"{value:.{_DIGITS}g}") for value in frame[name]] for name in numbers})


def _row_digits(row: Mapping[str, Any]) -> int:
    """As the interval's width supports, and one more where an end that is off zero would else read as zero."""
    scale = scale_of(row["kind"])
    digits = _digits((row["high"] - row["low"]) * scale)
    if row["low"] * row["high"] > 0 and round(min(abs(row["low"]), abs(row["high"])) * scale, digits) == 0:
        return min(4, digits + 1)
    return digits


def _amount(value: float, kind: str, currency: str, *, digits: int, sign: bool = False) -> str:
    shown = value * scale_of(kind)
    text = formats.money(shown, currency, digits=digits) if kind == "money" else formats.number(shown, digits=digits)
    return formats.with_sign(text, value) if sign else text


def _digits(width: float) -> int:
    """The interval is eight to eighty steps of the last digit, as in the page's tiles."""
    return max(0, min(4, -math.floor(math.log10(width / 8)))) if width > 0 and math.isfinite(width) else 2
