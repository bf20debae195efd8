"""Charts and tables that a page can carry: `bridge`, `dots`, `bars`, `columns`, `line`, `grid`, `table`, `draw`."""

from crmlib.figures.bridge import bridge
from crmlib.figures.canvas import (
    ACCENT,
    GREEN,
    GREY,
    GRID,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    PURPLE,
    SOFT,
    draw,
    reset_theme,
    set_theme,
)
from crmlib.figures.charts import Form, bars, columns, dots, grid
from crmlib.figures.funnel import funnel
from crmlib.figures.lines import line
from crmlib.figures.tables import masked, missing, table, tabulate
from crmlib.findings import Chart

__all__ = [
    "ACCENT",
    "GREEN",
    "GREY",
    "GRID",
    "INK",
    "MUTED",
    "ORANGE",
    "PAPER",
    "PURPLE",
    "SOFT",
    "Chart",
    "Form",
    "bars",
    "bridge",
    "columns",
    "dots",
    "draw",
    "funnel",
    "grid",
    "line",
    "masked",
    "missing",
    "reset_theme",
    "set_theme",
    "table",
    "tabulate",
]
