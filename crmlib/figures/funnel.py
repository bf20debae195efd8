"""A funnel: groups by how much is known of them, within the limits that chance alone keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from crmlib import wording
from crmlib.figures.canvas import ACCENT, GRID, INK, MUTED, ORANGE, PAPER, draw
from crmlib.figures.charts import Form, behind, few_ticks, lacks, levels, name_ticks, no_math
from crmlib.findings import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def funnel(
    frame: pd.DataFrame,
    *,
    label: str,
    n: str,
    value: str,
    outside: str,
    limits: pd.DataFrame,
    usual: float,
    what: str,
    across: str,
    form: Form,
    table: Mapping[str, Any] | None = None,
) -> Chart:
    """One dot a group, named only where `outside` is not 0: those above the limits in orange, below in the accent.

    `limits` has columns n, low, high, in the order of n; `usual` is the line between them.
    """
    lacks(frame, label, n, value, outside)
    table = table or behind(frame, label, {n: wording.upper(across), value: wording.upper(what)}, form)
    if frame.empty:
        return Chart(table=table)

    def paint(ax: Axes, narrow: bool) -> None:
        ax.fill_between(limits["n"], limits["low"], limits["high"], color=GRID, alpha=0.6, linewidth=0, zorder=0)
        ax.axhline(usual, color=INK, linewidth=1.2, zorder=1)
        top = float(limits["n"].iloc[-1])
        for name, x, y, far in frame[[label, n, value, outside]].itertuples(index=False, name=None):
            ink = (ORANGE if far > 0 else ACCENT) if far else MUTED
            ax.plot([x], [y], "o", markersize=8 if far else 6.5, color=ink, markeredgecolor=PAPER, zorder=3)
            if far:
                side = -1 if x > 0.6 * top else 1
                ax.annotate(str(name), (x, y), xytext=(8 * side, 0), textcoords="offset points", color=ink, va="center",
                            ha="left" if side > 0 else "right", fontweight="bold", parse_math=False)  # fmt: skip
        seen = [*frame[value].astype(float), *np.interp(frame[n].astype(float), limits["n"], limits["high"]), usual]
        ax.set(xlim=(0, top), ylim=(0, min(1.2 * max(seen), 1.05)), xlabel=across, ylabel=what)
        few_ticks(ax, narrow=narrow)
        levels(ax)
        name_ticks(ax.yaxis, form)
        no_math(ax)

    far = [str(name) for name in frame.loc[frame[outside] != 0, label]]
    said = f"outside: {wording.listed(far, most=6)}" if far else "none outside"
    alt = f"Funnel: {what}, {wording.counted(len(frame), 'group')} around {form(usual)}; {said}."
    return draw(paint, alt=alt, table=table, caption="Shaded: what chance explains.", height=3.8, narrow_height=3.4)
