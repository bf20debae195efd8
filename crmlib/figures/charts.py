"""The usual charts, each from one frame: marks, ranges, direct labels, alt text and the numbers behind.

Every function takes a frame, the names of its columns, and `what` is drawn, in words: that labels the axis and opens
the alt text. `table` is the payload of the numbers behind (`figures.tabulate`); without it the frame's own columns are
shown. Rows or points that a column named by `strong` marks are drawn in the accent, the rest in a softer ink.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from crmlib import formats, wording
from crmlib.errors import CrmError, nearest
from crmlib.figures.canvas import ACCENT, GREEN, GREY, INK, MUTED, PAPER, SOFT, draw
from crmlib.figures.tables import tabulate
from crmlib.findings import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from numpy.typing import NDArray

MOST_ROWS = 14
_LINE = 0.19  # inches of a line of text

Form = Callable[[float], str]


def dots(
    frame: pd.DataFrame,
    *,
    value: str,
    what: str,
    form: Form,
    label: str = "name",
    low: str = "low",
    high: str = "high",
    reference: float | None = None,
    worth: float | None = None,
    strong: str = "",
    colour: str = "",
    log: bool = False,
    caption: str = "",
    table: Mapping[str, Any] | None = None,
    rows: int = MOST_ROWS,
) -> Chart:
    """One value with its range below another, each under its name; hollow where the range holds the `reference`.

    `worth` marks the smallest value worth having. `colour` names a column of colours, else `strong` decides. Rows whose
    range is not finite are left to the table.
    """
    lacks(frame, label, value, low, high, strong, colour)
    finite = frame[np.isfinite(frame[[value, low, high]].astype(float)).all(axis=1)]
    shown = finite.head(rows)
    table = table or behind(frame, label, {value: wording.upper(what), low: "From", high: "To"}, form)
    if shown.empty:
        return Chart(table=table)
    marked = shown[strong].astype(bool) if strong else pd.Series(True, index=shown.index)
    colours = list(shown[colour]) if colour else [ACCENT if mark else MUTED for mark in marked]
    names, values = [str(name) for name in shown[label]], shown[[value, low, high]].astype(float).to_numpy()

    def paint(ax: Axes, narrow: bool) -> None:
        places = _named_rows(ax, names, narrow=narrow, bold=list(marked))
        if reference is not None:
            ax.axvline(reference, color=MUTED, linewidth=1, zorder=0)
        for (middle, start, end), y, ink, mark in zip(values, places, colours, marked, strict=True):
            if worth is not None and mark:
                ax.vlines(worth, y - 0.12, y + 0.12, color=GREEN, linewidth=2.4, zorder=1)
            ax.hlines(y, start, end, color=ink, linewidth=2.4, zorder=2)
            hollow = reference is not None and start <= reference <= end
            ax.plot([middle], [y], "o", markersize=7.5, markerfacecolor=PAPER if hollow else ink, markeredgecolor=ink,
                    markeredgewidth=2, zorder=3)  # fmt: skip
        at = [*values.ravel(), *([reference] if reference is not None else []), *([worth] if worth is not None else [])]
        _measure_axis(ax, min(at), max(at), form=form, what=what, narrow=narrow, log=log)

    span = f"from {form(values[:, 0].min())} to {form(values[:, 0].max())}"
    count = wording.counted(len(shown), "row")
    alt = f"Dots with ranges: {what}, {count}, {span}; first {names[0]}, {form(values[0, 0])}."
    return draw(
        paint,
        alt=alt,
        caption=caption,
        table=table,
        height=_height(names, narrow=False),
        narrow_height=_height(names, narrow=True),
    )


def bars(
    frame: pd.DataFrame,
    *,
    label: str,
    value: str,
    what: str,
    form: Form,
    low: str = "",
    high: str = "",
    strong: str = "",
    whole: str = "",
    caption: str = "",
    table: Mapping[str, Any] | None = None,
    rows: int = MOST_ROWS,
) -> Chart:
    """Amounts as horizontal bars from zero, each with its number at its end; a line shows its range.

    `whole` names the column of what each is a part of, which is drawn behind it.
    """
    lacks(frame, label, value, low, high, strong, whole)
    shown = frame.head(rows)
    said = {value: wording.upper(what)} | ({low: "From", high: "To"} if low else {})
    table = table or behind(frame, label, said, form)
    if shown.empty:
        return Chart(table=table)
    names, values = [str(name) for name in shown[label]], shown[value].astype(float).to_numpy()
    colours = [ACCENT if mark else SOFT for mark in shown[strong]] if strong else [ACCENT] * len(shown)
    step = 0.42

    def paint(ax: Axes, narrow: bool) -> None:
        places = np.arange(len(names), dtype=float) * step
        ax.barh(places, values, height=step * (0.42 if narrow else 0.6), color=colours, edgecolor=PAPER)
        ends, texts = values.copy(), [form(said) for said in values]
        if whole:
            ends = shown[whole].astype(float).to_numpy()
            ax.barh(places, ends, height=step * (0.42 if narrow else 0.6), color=GREY, edgecolor=PAPER, zorder=0.5)
            texts = [f"{text} of {form(end)}" for text, end in zip(texts, ends, strict=True)]
        if low:
            bounds = shown[[low, high]].astype(float).to_numpy()
            ax.hlines(places, bounds[:, 0], bounds[:, 1], color=INK, linewidth=1.2)
            ends = np.fmax(values, bounds[:, 1])
        reach = max(ends.max(), 0.0) or 1.0
        for end, y, text in zip(ends, places, texts, strict=True):
            ax.annotate(text, (max(end, 0), y), xytext=(6, 0), textcoords="offset points", va="center", color=INK)
        room = (1.7 if whole else 1.35) if narrow else 1.18
        ax.set_xlim(min(0.0, 1.1 * values.min()), reach * room)
        ax.set_ylim(places[-1] + 0.6 * step, places[0] - (1.1 if narrow else 0.6) * step)
        row_labels(ax, places, names, narrow=narrow, lift=0.13)
        few_ticks(ax, narrow=narrow)
        ax.grid(visible=False)
        name_ticks(ax.xaxis, form)
        ax.set(xlabel=what, ylabel="")
        no_math(ax)

    first = int(np.nanargmax(values))
    alt = f"Bars: {what}, {wording.counted(len(shown), 'row')}, largest {names[first]}, {form(values[first])}."
    size = max(step * len(names) + 0.75, 1.3)
    return draw(paint, alt=alt, caption=caption, table=table, height=size, narrow_height=size + 0.2)


def columns(
    frame: pd.DataFrame,
    *,
    period: str,
    value: str,
    what: str,
    form: Form,
    before: str = "",
    unfinished: str = "",
    caption: str = "",
    table: Mapping[str, Any] | None = None,
    now_name: str = "This year",
    before_name: str = "Last year",
) -> Chart:
    """Amounts by period (a column of short names) as upright bars; with `before` those of a year earlier in grey.

    A period that `unfinished` marks is drawn softer.
    """
    lacks(frame, period, value, before, unfinished)
    names, values = [str(name) for name in frame[period]], frame[value].astype(float).to_numpy()
    said = {value: wording.upper(what)} | ({before: before_name} if before else {})
    table = table or behind(frame, period, said, form)
    if frame.empty:
        return Chart(table=table)
    open_ = frame[unfinished].astype(bool).to_numpy() if unfinished else np.zeros(len(frame), dtype=bool)
    earlier = frame[before].astype(float).to_numpy() if before else np.full(len(frame), np.nan)

    def paint(ax: Axes, narrow: bool) -> None:
        keep = slice(-18 if narrow else -36, None)
        shown, was, at = values[keep], earlier[keep], np.arange(len(values[keep]))
        paired = bool(np.isfinite(was).any())
        if paired:
            ax.bar(at - 0.2, np.nan_to_num(was), width=0.38, color=GREY, edgecolor=PAPER)
        colours = [SOFT if part else ACCENT for part in open_[keep]]
        ax.bar(at + (0.2 if paired else 0), shown, width=0.38 if paired else 0.75, color=colours, edgecolor=PAPER)
        every = max(1, math.ceil(len(shown) / (4 if narrow else 12)))
        ticks = list(range(len(shown) - 1, -1, -every))[::-1]
        ax.set_xticks(ticks, [names[keep][i] for i in ticks])
        levels(ax)
        name_ticks(ax.yaxis, form)
        top = np.nanmax([*shown, *was, 0])
        ax.set_ylim(min(0.0, np.nanmin(shown)), (1.16 if paired else 1.04) * top or 1)
        if paired:
            _key(ax, [(before_name, MUTED), (now_name, ACCENT)])
        ax.set(xlabel="", ylabel=what)
        no_math(ax)

    alt = f"Columns: {what}, {names[0]} to {names[-1]}, from {form(np.nanmin(values))} to {form(np.nanmax(values))}."
    return draw(paint, alt=alt, caption=caption, table=table, height=3.6, narrow_height=3.2)


def grid(
    frame: pd.DataFrame,
    *,
    row: str,
    column: str,
    value: str,
    what: str,
    form: Form,
    across: str = "",
    down: str = "",
    before: str = "",
    caption: str = "",
    table: Mapping[str, Any] | None = None,
) -> Chart:
    """A value for each pair of row and column, written in its cell; the darker, the larger. Empty cells are dashes.

    Below it, smaller, its change since `before`, unless one of the two is of under five people.
    """
    lacks(frame, row, column, value, *([before] if before else []))
    wide = frame.pivot(index=row, columns=column, values=value)
    wide = wide.reindex(index=frame[row].drop_duplicates(), columns=frame[column].drop_duplicates()).astype(float)
    table = table or behind(frame, row, {column: wording.upper(column), value: wording.upper(what)}, form)
    if wide.empty:
        return Chart(table=table)

    bottom, top = float(np.nanmin(wide)), float(np.nanmax(wide))
    then = wide.to_numpy()  # no changes
    if before:
        then = frame.pivot(index=row, columns=column, values=before).reindex_like(wide).to_numpy(float)
    known = (wide >= formats.FEW_PEOPLE) & (then >= formats.FEW_PEOPLE)
    changes = (wide - then).round().where(known, 0.0).to_numpy()

    def paint(ax: Axes, narrow: bool) -> None:
        # One ink, more or less of it over the page's own paper: readable in the dark, too.
        for (down_at, across_at), cell in np.ndenumerate(wide.to_numpy()):
            depth = 0.45 * (cell - bottom) / (top - bottom or 1) if np.isfinite(cell) else 0.0
            ax.barh(down_at, 0.98, left=across_at - 0.49, height=0.94, color=ACCENT, alpha=depth, linewidth=0)
            words = form(cell) if np.isfinite(cell) else formats.DASH
            change, up = changes[down_at, across_at], 0.14 if before else 0.0
            ax.text(across_at, down_at - up, words, ha="center", va="center", color=INK, fontsize=9 if narrow else 10.5)
            if change:
                moved = formats.with_sign(formats.number(change), change)
                ax.text(across_at, down_at + 0.24, moved, ha="center", va="center", color=INK, fontsize=8)
        ax.grid(visible=False)
        ax.spines[:].set_visible(False)
        ax.set_xticks(range(wide.shape[1]), ["\n".join(textwrap.wrap(str(name), 9 if narrow else 16)) for name in wide])
        ax.set_yticks(
            range(len(wide)), ["\n".join(textwrap.wrap(str(name), 16 if narrow else 32)) for name in wide.index]
        )
        ax.set_ylim(len(wide) - 0.5, -0.5)
        ax.set(xlabel="\n".join(textwrap.wrap(across, 40 if narrow else 90)), ylabel=down)
        no_math(ax)

    span = f"from {form(bottom)} to {form(top)}"
    alt = f"Grid: {what}, {len(wide)} rows by {wide.shape[1]} columns, {span}."
    return draw(
        paint, alt=alt, caption=caption, table=table, height=0.5 * len(wide) + 1, narrow_height=0.5 * len(wide) + 1
    )


def row_labels(
    ax: Axes, y: Sequence[float] | NDArray[np.float64], labels: Iterable[str], *, narrow: bool, lift: float = 0.18
) -> None:
    """Names of the rows: on the axis, or above the marks on a phone."""
    if narrow:
        ax.set_yticks([])
        for place, label in zip(y, labels, strict=True):
            ax.text(0, place - lift, label, transform=ax.get_yaxis_transform(), va="bottom", color=INK, fontsize=9,
                    parse_math=False, bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.8})  # fmt: skip
    else:
        ax.set_yticks(y, ["\n".join(textwrap.wrap(label, 44)) for label in labels])
        for tick in ax.get_yticklabels():
            tick.set(parse_math=False, color=INK)


def log_ticks(low: float, high: float) -> list[float]:
    """At least four round numbers from `low` to `high` for an axis of ratios.

    >>> log_ticks(1, 12)
    [1.0, 2.0, 5.0, 10.0, 20.0]
    """
    first, last = math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1
    for steps in ((1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
        inside = [t for t in ticks if max(b for b in ticks if b <= low) <= t <= min(a for a in ticks if a >= high)]
        if len(inside) >= 4:
            return inside
    # Within a factor of two, even steps are as good.
    rough = max((high - low) / 3, low * 0.01)
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * max(step for step in (1, 2, 5) if step * power <= rough * (1 + 1e-9))
    start, end = math.floor(low / step + 1e-9), max(math.ceil(high / step - 1e-9), math.floor(low / step) + 3)
    return [round(n * step, 10) for n in range(max(start, 1), end + 1)]


def _measure_axis(ax: Axes, low: float, high: float, *, form: Form, what: str, narrow: bool, log: bool) -> None:
    """The axis along which rows are measured: its ticks, its name, and a margin at both ends."""
    if log:
        ticks = log_ticks(low, high)
        ax.set_xscale("log")
        ax.set_xlim(min(low, ticks[0]) / 1.05, max(high, ticks[-1]) * 1.05)
        ax.set_xticks(ticks[:: 2 if narrow and len(ticks) > 7 else 1], minor=False)
        ax.xaxis.minorticks_off()
        ax.xaxis.set_major_formatter(lambda at, _: form(at))
    else:
        margin = 0.06 * (high - low or 1)
        ax.set_xlim(low - margin, high + margin)
        few_ticks(ax, narrow=narrow)
        name_ticks(ax.xaxis, form)
    ax.grid(visible=False)
    ax.set(xlabel=f"{what} (log scale)" if log else what, ylabel="")
    no_math(ax)


def _named_rows(ax: Axes, names: Sequence[str], *, narrow: bool, bold: Sequence[bool]) -> list[float]:
    """Write each row's name above its place; the places, downwards in inches."""
    at, top = [], 0.0
    for name, strong in zip(names, bold, strict=True):
        lines = _wrapped(name, narrow)
        ax.text(0, top + 0.04, "\n".join(lines), transform=ax.get_yaxis_transform(), va="top", ha="left", color=INK,
                fontsize=9 if narrow else 10.5, fontweight="bold" if strong and not all(bold) else "normal",
                parse_math=False, linespacing=1.15, zorder=1,
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.5, "alpha": 0.9})  # fmt: skip
        at.append(top + _LINE * len(lines) + 0.17)
        top += _LINE * len(lines) + 0.36
    ax.set_ylim(top, 0)
    ax.set_yticks([])
    return at


def _wrapped(name: str, narrow: bool) -> list[str]:
    # Where one line does not hold it, the numbers stand below the name, unbroken.
    width = 42 if narrow else 96
    parts = [name] if len(name) <= width else name.rpartition(": ")[::2]
    return [text for part in parts for text in _even(part, width)] or [""]


def _even(text: str, width: int) -> list[str]:
    """A text in as few lines as `width` allows, about as long as one another, so that no word stands alone."""
    lines = textwrap.wrap(text, width, break_long_words=True)
    for narrower in range(math.ceil(len(text) / len(lines)) if lines else width, width):
        if len(tried := textwrap.wrap(text, narrower, break_long_words=True)) == len(lines):
            return tried
    return lines


def _height(names: Sequence[str], *, narrow: bool) -> float:
    return sum(_LINE * len(_wrapped(name, narrow)) + 0.36 for name in names) + 0.75


def _key(ax: Axes, names: Sequence[tuple[str, str]]) -> None:
    """What each colour is, in words of that colour, above the drawing on the right."""
    from matplotlib.offsetbox import AnchoredOffsetbox, HPacker, TextArea

    words: list[Any] = [TextArea(name, textprops={"color": ink, "fontweight": "bold"}) for name, ink in names]
    box = HPacker(children=words, pad=0, sep=12)
    ax.add_artist(AnchoredOffsetbox(loc="upper right", child=box, frameon=False, pad=0.2, borderpad=0.1))


def few_ticks(ax: Axes, *, narrow: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    # Steps that a label without decimals can say.
    ax.xaxis.set_major_locator(MaxNLocator(nbins=4 if narrow else 7, steps=[1, 2, 5, 10]))


def levels(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))


def name_ticks(axis: Axis, form: Form) -> None:
    """Name the ticks; where rounding would write the same name twice, every second, fifth or tenth alone."""

    def said(at: float, _: float) -> str:
        places = axis.get_majorticklocs()
        steps = np.round(places / (np.diff(places).min() if len(places) > 1 else 1.0)).astype(int)
        for every in (1, 2, 5, 10):
            named = places[steps % every == 0]
            if len({form(place) for place in named}) == len(named):
                break
        return form(at) if np.isclose(named, at).any() else ""

    axis.set_major_formatter(said)


def no_math(ax: Axes) -> None:
    # A shop's own names may hold dollar signs, which would be read as formulas.
    for text in (*ax.texts, *ax.get_xticklabels(), *ax.get_yticklabels()):
        text.set_parse_math(False)


def behind(frame: pd.DataFrame, label: str, columns: Mapping[str, str], form: Form) -> dict[str, Any]:
    """The numbers behind a chart where the caller has no table of his own; no coarser than a tile would say them."""
    lacks(frame, label, *columns)
    numeric = [name for name in columns if pd.api.types.is_numeric_dtype(frame[name])]
    labels = {label: wording.upper(label.replace("_", " ")), **columns}
    said = dict.fromkeys(numeric, _as_on_a_tile(form))
    return tabulate(frame, caption="The numbers behind the chart", labels=labels, formats=said)


def lacks(frame: pd.DataFrame, *columns: str) -> None:
    """CrmError in one line where a frame has no such column."""
    if wrong := [name for name in columns if name and name not in frame.columns]:
        raise CrmError(f"the frame has no column '{wrong[0]}'; {nearest(wrong[0], map(str, frame.columns))}")


def _as_on_a_tile(form: Form) -> Form:
    """An axis may round 14.3% to 14%; the table below a tile that says 14.3% may not."""
    units: dict[Any, str] = {formats.share: "share", formats.number: ""}
    unit = units.get(form)
    return form if unit is None else lambda value: formats.quantity(value, unit)
