"""Lines: values over time or along another measure."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from crmlib import wording
from crmlib.errors import CrmError
from crmlib.figures.canvas import ACCENT, CYCLE, INK, MUTED, PAPER, draw
from crmlib.figures.charts import Form, behind, few_ticks, lacks, levels, name_ticks, no_math
from crmlib.findings import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def line(
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    what: str,
    form: Form,
    group: str = "",
    low: str = "",
    high: str = "",
    strong: str = "",
    across: str = "",
    x_form: Callable[[float], str] | None = None,
    mark: tuple[Any, str] | None = None,
    reference: float | None = None,
    zero: bool = True,
    caption: str = "",
    table: Mapping[str, Any] | None = None,
) -> Chart:
    """Values over time or another measure, a line for each `group`, named at its end; a band where there is a range.

    With `strong`, the group of that name is drawn in the accent and the others in grey. `mark` is an x and the words
    at it: where a period begins; `reference` a level to compare with. `x_form` and the axis' name `across` are for an x
    that is no date. Raises CrmError for a column that is not there, an x that is neither, and a mark of another shape.
    """
    lacks(frame, x, y, group, low, high)
    if mark is not None and not (isinstance(mark, tuple) and len(mark) == 2 and isinstance(mark[1], str)):
        raise CrmError(f"mark is an x and the words at it, (day, 'test begins'); {mark!r} is not")
    if x_form is None:
        frame = frame.assign(**{x: _days(frame[x])})
    table = table or _newest_first(frame, [x, group, y, low, high], what=what, form=form, x_form=x_form)
    if frame.empty or frame[y].isna().all():
        return Chart(table=table)
    groups = [(str(name), part) for name, part in frame.groupby(group, sort=False)] if group else [("", frame)]
    inks = dict(zip((name for name, _ in groups), _inks([name for name, _ in groups], strong), strict=True))

    def paint(ax: Axes, narrow: bool) -> None:
        ends = []
        for name, part in groups:
            ink = inks[name]
            if low:
                ax.fill_between(part[x], part[low].astype(float), part[high].astype(float), color=ink, alpha=0.16,
                                linewidth=0)  # fmt: skip
            ax.plot(
                part[x], part[y].astype(float), color=ink, linewidth=2.4 if name == strong or len(groups) == 1 else 1.6,
                marker="o" if part[y].count() == 1 else "",
            )  # fmt: skip
            last = part.dropna(subset=[y])
            if name and len(last):
                ends.append((last[x].iloc[-1], float(last[y].iloc[-1]), "\n".join(textwrap.wrap(name, 14)), ink))
        if reference is not None:
            ax.axhline(reference, color=INK, linewidth=1.2, zorder=1)
        bottom, top = ax.get_ylim()
        least = float(np.nanmin(frame[[y, low] if low else [y]].astype(float)))
        ax.set_ylim(0 if zero and least >= 0 else bottom, top + (0.12 if mark else 0.02) * (top - bottom))
        if frame[x].nunique() > 1:
            ax.set_xlim(frame[x].min(), frame[x].max())
        if mark is not None:
            ax.axvline(mark[0], color=MUTED, linewidth=1, linestyle=":")
            first, last = ax.get_xlim()
            late = ax.convert_xunits(mark[0]) > (first + last) / 2  # type: ignore[no-untyped-call]
            ax.annotate("\n".join(textwrap.wrap(mark[1], 26 if narrow else 60)), (mark[0], ax.get_ylim()[1]),
                        xytext=(-4 if late else 4, -4), textcoords="offset points", va="top",
                        ha="right" if late else "left", color=MUTED)  # fmt: skip
        label_ends(ax, ends, gap=0.13 if narrow else 0.08)
        if x_form is None:
            time_axis(ax, narrow=narrow)
        else:
            few_ticks(ax, narrow=narrow)
            name_ticks(ax.xaxis, x_form)
        levels(ax)
        name_ticks(ax.yaxis, form)
        ax.set(xlabel=across, ylabel="\n".join(textwrap.wrap(what, 34)))
        no_math(ax)

    values = frame[y].astype(float)
    kind = "Points" if frame[x].nunique() == 1 else "Lines" if len(groups) > 1 else "Line"
    names = f", for {wording.listed([name for name, _ in groups], most=6)}" if group else ""
    # The least and the most, not the way from the first to the last.
    alt = f"{kind}: {what}{names}, between {form(values.min())} and {form(values.max())}."
    return draw(paint, alt=alt, caption=caption, table=table, height=3.6, narrow_height=3.2)


def _days(values: pd.Series) -> pd.Series:
    """An x of days, whether dates, periods or their texts; CrmError for what is none."""
    if isinstance(values.dtype, pd.PeriodDtype):
        return values.dt.start_time
    if pd.api.types.is_datetime64_any_dtype(values) or values.empty:
        return values
    try:
        if pd.api.types.is_numeric_dtype(values):
            raise ValueError
        return pd.to_datetime(values)
    except (ValueError, TypeError):
        raise CrmError(f"'{values.name}' holds no days; for another measure say x_form=formats.number") from None


def _newest_first(
    frame: pd.DataFrame, names: Sequence[str], *, what: str, form: Form, x_form: Callable[[float], str] | None
) -> dict[str, Any]:
    """The numbers behind: each x with its value and range, by day the newest first."""
    x, group, y, low, high = names
    shown = frame.loc[:, [name for name in dict.fromkeys(names) if name]]
    if x_form is None:
        shown = shown.sort_values(x, ascending=False, kind="stable")
        # The axis' own type goes: a day in words is no number.
        shown = shown.assign(**{x: [_day(at) for at in shown[x]]})
    else:
        shown = shown.assign(**{x: [x_form(at) for at in shown[x]]})
    said = {group: wording.upper(group)} if group else {}
    said |= {y: wording.upper(what)} | ({low: "From", high: "To"} if low else {})
    return behind(shown, x, said, form)


def _day(value: pd.Timestamp) -> str:
    return "" if pd.isna(value) else f"{value.day}\N{NO-BREAK SPACE}{value:%b} {value.year}"


def label_ends(ax: Axes, ends: Sequence[tuple[Any, float, str, str]], *, gap: float = 0.06) -> None:
    """Write labels beside line ends, (x, y, text, colour) each, pushed apart where they would overlap.

    `gap` is the least distance between labels as a share of the axis' height. Linear axes only.
    """
    low, high = ax.get_ylim()
    step = gap * (high - low)
    left, right = ax.get_xlim()
    placed: list[tuple[float, float]] = []
    for x, y, text, colour in sorted(ends, key=lambda end: end[1]):
        across = float(ax.convert_xunits(x))  # type: ignore[no-untyped-call]
        near = [height for other, height in placed if abs(across - other) < 3 * gap * (right - left)]
        at = max([y, *(height + step for height in near)])
        ax.annotate(text, (x, at), xytext=(6, 0), textcoords="offset points", va="center", color=colour,
                    fontweight="bold", annotation_clip=False,
                    bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1, "alpha": 0.8})  # fmt: skip
        placed.append((across, at))


def time_axis(ax: Axes, *, narrow: bool) -> None:
    """Few, short dates along the x axis, which must already hold its marks."""
    from matplotlib.dates import ConciseDateFormatter, DayLocator, MonthLocator

    first, last = ax.get_xlim()
    days, most = max(last - first, 1.0), 4 if narrow else 8
    months = next((step for step in (1, 2, 3, 6, 12) if days / 30.4 / step <= most), 12)
    # Whole steps from January on, so that years begin at a tick.
    locator = (
        MonthLocator(bymonth=range(1, 13, months)) if days > 75 else DayLocator(interval=max(1, math.ceil(days / most)))
    )
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))


def _inks(names: Sequence[str], strong: str) -> list[str]:
    if strong:
        return [ACCENT if name == strong else MUTED for name in names]
    return [CYCLE[i % len(CYCLE)] for i in range(len(names))]
