"""A page of one's own in a few lines: a headline, a frame, and what was drawn by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from crmlib import formats, masking, wording
from crmlib.errors import CrmError
from crmlib.figures.canvas import png
from crmlib.figures.tables import tabulate
from crmlib.findings import Chart, Findings, Part, compose

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PHONE = (3.6, 3.4)  # inches


def page(headline: str, frame: pd.DataFrame, ax: Axes | None = None, *, alt: str = "", **said: Any) -> Findings:
    """A page to publish from a frame and an axes: `crm.publish(crm.page("…", frame, ax), shop=shop, out=out)`.

    The axes' title is the finding's; its labels are the words for whoever hears the page, or `alt` is. `said` goes to
    the finding: `sentence`, `metrics`, `actions`, `caveats` and what else a Part takes. Draw in the same cell, or the
    picture stands twice. Raises CrmError for an axes without words, and for a frame with a column that names people.

    >>> page("Few orders come back.", pd.DataFrame({"week": ["1 Jan"], "share": [0.031]})).parts[0].chart.table["rows"]
    [['1 Jan', '0.03']]
    """
    frame = frame if isinstance(frame.index, pd.RangeIndex) else frame.reset_index()
    if people := sorted(masking.PERSONAL.intersection(map(str, frame.columns))):
        raise CrmError(f"a page names no customer: leave out {', '.join(people)}, or publish a Part with lists=")
    labels = {name: wording.upper(str(name).replace("_", " ")) for name in frame.columns}
    floats = dict.fromkeys(frame.select_dtypes("float").columns, lambda value: formats.quantity(value, ""))
    table = tabulate(frame, caption="The numbers", labels=labels, formats=floats, file="page")
    title = said.pop("title", "") or (ax.get_title() if ax else "") or headline
    chart = Chart(table=table) if ax is None else _drawn(ax, alt, table)
    return compose("page", headline, [Part(title=title, chart=chart, tables={"page": frame}, **said)])


def _drawn(ax: Axes, alt: str, table: dict[str, Any]) -> Chart:
    """The figure of an axes as it is, and once more for a phone; it is closed, so that no notebook shows it twice."""
    from matplotlib import pyplot

    along = " by ".join(filter(None, (ax.get_ylabel(), ax.get_xlabel())))
    alt = masking.label(alt or ": ".join(filter(None, (ax.get_title(), along))))
    if not alt.strip():
        raise CrmError("say what the figure shows: label its axes, or pass alt=")
    figure: Any = ax.get_figure()
    masking.figure(figure)
    wide, size = png(figure), figure.get_size_inches()
    figure.set_size_inches(*_PHONE)
    narrow = png(figure)
    figure.set_size_inches(*size)
    pyplot.close(figure)
    return Chart(wide=wide, narrow=narrow, alt=f"Figure: {alt}", table=table)
