"""A tile's number over runs or periods, as a line small enough for a tile."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import date

from crmlib import formats

WIDTH, HEIGHT, EDGE = 112, 28, 4
LONGEST = 60  # points drawn
# The page's accent and its soft tint, light and dark.
_STYLE = (
    "path{fill:none;stroke:#1b6ca9;stroke-width:1.5;stroke-linejoin:round}circle{fill:#1b6ca9}"
    "@media (prefers-color-scheme:dark){path{stroke:#6cb2ea}circle{fill:#6cb2ea}}"
)

Point = tuple[date, float]


def line(points: Sequence[Point], *, label: str, unit: str, spread: float = 0.0, steps: str = "runs") -> dict[str, str]:
    """An image and what it shows in words; empty for fewer than three points, which make no trend.

    The height stands for at least `spread`, the width of the newest number's interval: what is noise looks flat.
    """
    drawn = sorted(points)[-LONGEST:]
    if len(drawn) < 3:
        return {}
    (first, start), (last, end) = drawn[0], drawn[-1]
    values = [value for _, value in drawn]
    span = max(max(values) - min(values), spread)
    low = (min(values) + max(values) - span) / 2
    days = (last - first).days or 1

    def place(day: date, value: float) -> str:
        x = EDGE + (WIDTH - 2 * EDGE) * (day - first).days / days
        y = HEIGHT / 2 if not span else HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * (value - low) / span
        return f"{x:.1f} {y:.1f}"

    path = "M" + "L".join(place(day, value) for day, value in drawn)
    x, y = place(last, end).split()
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"><style>{_STYLE}</style>'
        f'<path d="{path}"/><circle cx="{x}" cy="{y}" r="2.5"/></svg>'
    )
    ends = [formats.quantity(value, unit) for value in (start, end, min(values), max(values))]
    alt = (
        f"{label} over {len(drawn)} {steps}, {formats.day(first)} to {formats.day(last)}: from {ends[0]} to {ends[1]}, "
        f"between {ends[2]} and {ends[3]}"
    )
    return {"src": "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode(), "alt": alt}
