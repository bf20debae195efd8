"""Figures and tables that a page can carry: one finding each, drawn wide and narrow, with the numbers behind.

Colours are written into the SVG as CSS variables with a light and a dark value, so one drawing serves both. A cloud of
more than a thousand points would weigh megabytes as SVG; it is a PNG on the page's light paper instead.
"""

from __future__ import annotations

import base64
import html
import io
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from crmlib.errors import CrmError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

FIGURE_MIME = "application/vnd.crmlib.figure+json"

# name: (light, dark). Contrast against the page at least 3:1 for marks and 4.5:1 for ink; hues from Okabe and Ito.
_COLOURS = {
    "ink": ("#1c2530", "#e8ebef"),
    "muted": ("#57606c", "#a3adb9"),
    "grid": ("#e1e5ea", "#343c46"),
    "accent": ("#1b6ca9", "#6cb2ea"),
    "soft": ("#b8cee0", "#3d5f7c"),
    "orange": ("#b8540d", "#f0a35e"),
    "green": ("#1d7a5f", "#5fc3a2"),
    "purple": ("#75609f", "#b9a5e2"),
    "paper": ("#fefefe", "#14181d"),
}
INK, MUTED, GRID, ACCENT, SOFT, ORANGE, GREEN, PURPLE, PAPER = (light for light, _ in _COLOURS.values())
CYCLE = (ACCENT, ORANGE, GREEN, PURPLE, MUTED, INK)
SHOWN_ROWS = 50
MOST_MARKS = 1000  # a drawing with more points than these is a PNG
_DENSITY = 144  # its dots per inch: one and a half per CSS pixel

_FONTS = ["DejaVu Sans"]
_PAGE_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A finding: its sentence, its drawing (none for a table alone), and the numbers behind it.

    `wide` and `narrow` are SVG, or a PNG as a data URI. `table` is the payload `tabulate` makes. Displayed as the last value of a cell, it becomes a section of the page.
    """

    title: str
    sentence: str
    caption: str
    alt: str
    wide: str
    narrow: str
    table: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Figure({self.title!r})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        fields = ("title", "sentence", "caption", "alt", "wide", "narrow")
        payload = {name: getattr(self, name) for name in fields} | {"table": dict(self.table)}
        return {FIGURE_MIME: payload, "text/html": self._as_html(), "text/plain": f"{self.title}. {self.sentence}"}

    def _as_html(self) -> str:
        head = f"<h4>{html.escape(self.title)}</h4><p>{html.escape(self.sentence)}</p>"
        table = f"<table>{_table_html(self.table)}</table>"
        if not self.wide:
            return head + table
        image = f'<img src="{image_address(self.wide)}" alt="{html.escape(self.alt)}" style="max-width:100%">'
        return f"{head}{image}<p>{html.escape(self.caption)}</p><details><summary>Show the numbers</summary>{table}</details>"


def draw(
    paint: Callable[[Axes, bool], None],
    *,
    title: str,
    sentence: str,
    alt: str,
    table: Mapping[str, Any],
    caption: str = "",
    height: float = 4.0,
    narrow_height: float = 3.4,
) -> Figure:
    """Draw one finding twice, for a wide page and for a phone.

    `paint(ax, narrow)` puts the marks on an axes that carries the theme; heights are inches of a figure 9.6 wide,
    3.6 when narrow. `alt` says what a listener needs: finding, type of figure, range. Raises CrmError without it.
    """
    if not alt.strip() or not title.strip():
        raise CrmError("a figure needs a title that says its finding and an alt text that says what it shows")
    wide = _drawing(paint, narrow=False, size=(9.6, height))
    narrow = _drawing(paint, narrow=True, size=(3.6, narrow_height))
    return Figure(title=title, sentence=sentence, caption=caption, alt=alt, wide=wide, narrow=narrow, table=table)


def show_table(table: Mapping[str, Any], *, title: str, sentence: str) -> Figure:
    """A section whose finding is best read as a table."""
    return Figure(title=title, sentence=sentence, caption="", alt="", wide="", narrow="", table=table)


def tabulate(
    frame: pd.DataFrame,
    *,
    caption: str,
    labels: Mapping[str, str],
    formats: Mapping[str, Callable[[Any], str]] | None = None,
    rows: int = SHOWN_ROWS,
    file: str = "",
) -> dict[str, Any]:
    """A frame as the page shows it: chosen columns in the order of `labels`, formatted, at most `rows` of them.

    The first column heads its row. `file` names the CSV that has all rows.
    """
    formats = formats or {}
    shown = frame.loc[:, list(labels)].head(min(rows, SHOWN_ROWS))
    columns = [
        {"label": label, "numeric": pd.api.types.is_numeric_dtype(frame[name])} for name, label in labels.items()
    ]
    cells = [[_cell(value, formats.get(name)) for name, value in zip(labels, row, strict=True)]
             for row in shown.itertuples(index=False, name=None)]  # fmt: skip
    return {"caption": caption, "columns": columns, "rows": cells, "total": len(frame), "file": file}


def _cell(value: Any, form: Callable[[Any], str] | None) -> str:
    if value is None or value is pd.NaT or (isinstance(value, float) and value != value):
        return "\N{EN DASH}"
    return form(value) if form else str(value)


def row_labels(ax: Axes, y: Sequence[float] | NDArray[np.float64], labels: Iterable[str], *, narrow: bool) -> None:
    """Names of the rows: on the axis, or above the marks on a phone."""
    if narrow:
        ax.set_yticks([])
        for place, label in zip(y, labels, strict=True):
            ax.text(0, place - 0.18, label, transform=ax.get_yaxis_transform(), va="bottom", color=INK,
                    fontsize=8.5, parse_math=False,
                    bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.8})  # fmt: skip
    else:
        ax.set_yticks(y, list(labels))
        for tick in ax.get_yticklabels():
            tick.set(parse_math=False, color=INK)


def label_ends(ax: Axes, ends: Sequence[tuple[float, float, str, str]], *, gap: float = 0.06) -> None:
    """Write labels beside line ends, (x, y, text, colour) each, pushed apart so that none overlap.

    `gap` is the least distance between labels as a share of the axis' height. Linear axes only.
    """
    low, high = ax.get_ylim()
    step = gap * (high - low)
    placed: float | None = None
    for x, y, text, colour in sorted(ends, key=lambda end: end[1]):
        at = y if placed is None else max(y, placed + step)
        ax.annotate(text, (x, at), xytext=(6, 0), textcoords="offset points", va="center", color=colour,
                    fontweight="bold", annotation_clip=False)  # fmt: skip
        placed = at


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


def set_theme() -> dict[str, Any]:
    """Give figures drawn by hand the look of the pages; returns the settings there were, for `reset_theme`."""
    import matplotlib as mpl
    import seaborn as sns

    before = dict(mpl.rcParams)
    mpl.rcParams.update({**sns.axes_style("whitegrid", rc=_theme(False)), **_theme(False)})
    return before


def reset_theme(before: Mapping[str, Any]) -> None:
    """Put back what `set_theme` found."""
    import matplotlib as mpl

    # Straight into the dictionary: setting the backend's entry by name would load it.
    dict.update(mpl.rcParams, before)


def _theme(narrow: bool) -> dict[str, Any]:
    size = 9.5 if narrow else 11
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": "crmlib",
        "font.family": _FONTS,
        "font.size": size,
        "axes.labelsize": size,
        "xtick.labelsize": size,
        "ytick.labelsize": size,
        "text.color": INK,
        "axes.labelcolor": MUTED,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "axes.edgecolor": MUTED,
        "axes.linewidth": 0.8,
        "grid.color": GRID,
        "grid.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "xtick.bottom": False,
        "ytick.left": False,
        # Bars are set apart by the page's own colour, in the dark too.
        "patch.edgecolor": PAPER,
        "lines.linewidth": 2.0,
        "lines.solid_capstyle": "round",
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
    }


def image_address(drawing: str) -> str:
    """A drawing as the address of an image that needs no file."""
    if drawing.startswith("data:image/png;base64,"):
        return drawing
    return "data:image/svg+xml;base64," + base64.b64encode(drawing.encode("utf-8", "replace")).decode()


def _drawing(paint: Callable[[Axes, bool], None], *, narrow: bool, size: tuple[float, float]) -> str:
    import seaborn as sns
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    with sns.axes_style("whitegrid", rc=_theme(narrow)), rc_context(_theme(narrow)):
        # A figure of its own, outside pyplot: nothing global, nothing shown twice.
        canvas = Canvas(figsize=size, layout="constrained")
        FigureCanvasAgg(canvas)
        ax = canvas.add_subplot()
        ax.grid(axis="x", visible=False)
        paint(ax, narrow)
        if _marks(ax) > MOST_MARKS:
            return _png(canvas)
        buffer = io.StringIO()
        canvas.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _recolour(buffer.getvalue())


def _marks(ax: Axes) -> int:
    """The points drawn one by one: scatters, and lines that carry a marker at each point. A line itself is one mark."""
    scattered = sum(np.ma.getdata(collection.get_offsets()).shape[0] for collection in ax.collections)
    marked = [line for line in ax.lines if line.get_marker() not in ("None", "none", "", None)]
    return scattered + sum(np.size(line.get_xdata()) for line in marked) + len(ax.patches)


def _png(canvas: Any) -> str:
    """A PNG of few colours on the page's own paper, which is light in the dark too: its inks are light paper's."""
    from PIL import Image

    full = io.BytesIO()
    canvas.savefig(full, format="png", dpi=_DENSITY, facecolor=PAPER, transparent=False, metadata={"Software": None})
    full.seek(0)
    small = io.BytesIO()
    Image.open(full).convert("RGB").quantize(64).save(small, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(small.getvalue()).decode()


def _recolour(svg: str) -> str:
    """Palette colours become CSS variables, fonts the page's own, and the prologue goes."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for name, (light, _) in _COLOURS.items():
        svg = svg.replace(light, f"var(--{name})")
    svg = svg.replace("'DejaVu Sans'", _PAGE_FONTS)
    lights = "".join(f"--{name}:{light};" for name, (light, _) in _COLOURS.items())
    darks = "".join(f"--{name}:{dark};" for name, (_, dark) in _COLOURS.items())
    # No blank around ">": the style must survive both XML and the page's sanitising check.
    style = f"<style>svg{{{lights}}}@media (prefers-color-scheme:dark){{svg{{{darks}}}}}</style>"
    end = svg.index(">") + 1
    return svg[:end] + style + svg[end:]


def _table_html(table: Mapping[str, Any]) -> str:
    heads = "".join(f'<th scope="col">{html.escape(column["label"])}</th>' for column in table["columns"])
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in table["rows"])
    return f"<caption>{html.escape(table['caption'])}</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>"
