"""The paper and the ink: a theme, light and dark, and drawings made wide and narrow.

Colours are written into the SVG as CSS variables with a light and a dark value, so one drawing serves both. A cloud of
more than a thousand points would weigh megabytes as SVG; it is a PNG on the page's light paper instead.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from crmlib import masking
from crmlib.errors import CrmError
from crmlib.findings import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# name: (light, dark). Contrast against the page at least 3:1 for marks and 4.5:1 for ink; hues from Okabe and Ito.
_COLOURS = {
    "ink": ("#1c2530", "#e8ebef"),
    "muted": ("#57606c", "#a3adb9"),
    "grid": ("#e1e5ea", "#343c46"),
    "accent": ("#1b6ca9", "#6cb2ea"),
    "soft": ("#7093b5", "#4b7396"),
    "grey": ("#868e99", "#666f7a"),
    "orange": ("#b8540d", "#f0a35e"),
    "green": ("#1d7a5f", "#5fc3a2"),
    "purple": ("#75609f", "#b9a5e2"),
    "paper": ("#fefefe", "#14181d"),
}
INK, MUTED, GRID, ACCENT, SOFT, GREY, ORANGE, GREEN, PURPLE, PAPER = (light for light, _ in _COLOURS.values())
CYCLE = (ACCENT, ORANGE, GREEN, PURPLE, MUTED, INK)
MOST_MARKS = 1000  # a drawing with more points than these is a PNG
_DENSITY = 144  # its dots per inch: one and a half per CSS pixel

_FONTS = ["DejaVu Sans"]
_PAGE_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


def draw(
    paint: Callable[[Axes, bool], None],
    *,
    alt: str,
    table: Mapping[str, Any],
    caption: str = "",
    height: float = 4.0,
    narrow_height: float = 3.4,
) -> Chart:
    """Draw one finding twice, for a wide page and for a phone.

    `paint(ax, narrow)` puts the marks on an axes that carries the theme; heights are inches of a figure 9.6 wide,
    3.6 when narrow. `alt` says what a listener needs: finding, type of figure, range. Raises CrmError without it.
    """
    if not alt.strip():
        raise CrmError("a figure needs an alt text that says what it shows")
    wide = _drawing(paint, narrow=False, size=(9.6, height))
    narrow = _drawing(paint, narrow=True, size=(3.6, narrow_height))
    return Chart(wide=wide, narrow=narrow, alt=alt, caption=caption, table=table)


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
        masking.figure(canvas)
        if _marks(ax) > MOST_MARKS:
            return png(canvas)
        buffer = io.StringIO()
        canvas.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _recolour(buffer.getvalue())


def _marks(ax: Axes) -> int:
    """The points drawn one by one: scatters, and lines that carry a marker at each point. A line itself is one mark."""
    scattered = sum(np.ma.getdata(collection.get_offsets()).shape[0] for collection in ax.collections)
    marked = [line for line in ax.lines if line.get_marker() not in ("None", "none", "", None)]
    return scattered + sum(np.size(line.get_xdata()) for line in marked) + len(ax.patches)


def png(canvas: Any) -> str:
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
