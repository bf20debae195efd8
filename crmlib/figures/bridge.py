"""A bridge: from one amount to another, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from crmlib import formats
from crmlib.figures.canvas import ACCENT, GREY, INK, MUTED, ORANGE, PAPER, draw
from crmlib.figures.charts import Form, behind, few_ticks, lacks, name_ticks, no_math, row_labels
from crmlib.findings import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STEP = 0.42


def bridge(
    frame: pd.DataFrame,
    *,
    label: str,
    amount: str,
    start: tuple[str, float],
    end: str,
    what: str,
    form: Form,
    quiet: bool = False,
    table: Mapping[str, Any] | None = None,
) -> Chart:
    """How each row's amount leads from `start` (its name and value) to the `end`: a bar from where the last one ended.

    What adds is in the accent, what takes away in orange; all in grey where `quiet` says that it may be chance. The
    axis need not begin at zero: ends are marks, not bars.
    """
    lacks(frame, label, amount)
    amounts = frame[amount].astype(float).to_numpy()
    levels = start[1] + np.concatenate([[0.0], np.cumsum(amounts)])
    names = [start[0], *map(str, frame[label]), end]
    steps = pd.DataFrame({label: names, "amount": [start[1], *amounts, levels[-1]]})
    table = table or behind(steps, label, {"amount": what[:1].upper() + what[1:]}, form)
    places = np.arange(len(names), dtype=np.float64) * _STEP

    def paint(ax: Axes, narrow: bool) -> None:
        low, high = levels.min(), levels.max()
        room = max(high - low, 0.02 * abs(high), 1.0)
        ax.vlines(levels, places[:-1], places[1:], color=MUTED, linewidth=1, linestyles="dotted", zorder=1)
        ax.plot(levels[[0, -1]], places[[0, -1]], "o", markersize=8, color=INK, markeredgecolor=PAPER, zorder=3)
        ink = [GREY if quiet else ACCENT if step >= 0 else ORANGE for step in amounts]
        ax.barh(places[1:-1], amounts, left=levels[:-1], height=_STEP * (0.42 if narrow else 0.6), color=ink, zorder=2)
        texts = [form(start[1]), *(formats.with_sign(form(step), step) for step in amounts), form(levels[-1])]
        right = np.maximum(np.concatenate([levels[:1], levels[:-1]]), levels)
        for at, y, text in zip([*right, levels[-1]], places, texts, strict=True):
            ax.annotate(text, (at, y), xytext=(8, 0), textcoords="offset points", va="center", color=INK)
        ax.set_xlim(low - 0.08 * room, high + (0.55 if narrow else 0.22) * room)
        ax.set_ylim(places[-1] + 0.6 * _STEP, -(1.1 if narrow else 0.6) * _STEP)
        row_labels(ax, places, names, narrow=narrow, lift=0.13)
        few_ticks(ax, narrow=narrow)
        ax.grid(visible=False)
        name_ticks(ax.xaxis, form)
        ax.set(xlabel=what, ylabel="")
        no_math(ax)

    alt = f"Bridge: {what}, {start[0]} {form(start[1])} to {end} {form(levels[-1])}, in {len(amounts)} steps."
    size = max(_STEP * len(names) + 0.75, 1.6)
    return draw(paint, alt=alt, table=table, height=size, narrow_height=size + 0.2)
