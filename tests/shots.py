"""Photograph every page of a reports folder, wide and narrow.

`python tests/shots.py [REPORTS] [SHOTS] [light|dark]`
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WIDTHS = (1280, 390)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip


def pages(reports: Path) -> list[Path]:
    """The index, the newest day's reports, and the failures."""
    days = sorted(folder for folder in reports.glob("????-??-??") if folder.is_dir())
    newest = sorted(days[-1].glob("*/report.html")) if days else []
    return [reports / "index.html", *newest, *sorted((reports / "failed").glob("*/report.html"))]


@contextmanager
def launched() -> Iterator[Any]:
    """A browser for as long as it is needed; CHROMIUM names another one."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


def main(reports: Path, shots: Path, scheme: str = "light") -> int:
    """Write one full-page picture per page and width; the number of pictures."""
    shots.mkdir(parents=True, exist_ok=True)
    taken = 0
    with launched() as browser:
        for path in pages(reports):
            name = "-".join(part for part in path.relative_to(reports).with_suffix("").parts if part != "report")
            for width in WIDTHS:
                page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                page.goto(path.resolve().as_uri())
                target = shots / f"{name}-{width}{'-dark' if scheme == 'dark' else ''}.png"
                page.screenshot(path=target, full_page=True)
                page.close()
                print(target)
                taken += 1
    return taken


if __name__ == "__main__":
    given = [*sys.argv[1:], "reports", "shots"][: max(2, len(sys.argv) - 1)]
    if len(sys.argv) == 2:
        given = [sys.argv[1], "shots"]
    main(Path(given[0]), Path(given[1]), given[2] if len(given) > 2 else "light")
