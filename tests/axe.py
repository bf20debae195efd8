"""axe-core over finished pages, light and dark, wide and narrow.

`python tests/axe.py [REPORTS]` ends with 1 where it finds a fault.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.shots import launched, pages

VERSION = "4.14.1"
SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
KEPT = Path(__file__).resolve().parent.parent / ".cache" / f"axe-{VERSION}.min.js"
WIDTHS, SCHEMES = (1280, 320), ("light", "dark")


class Missing(Exception):
    """axe-core is not here and cannot be fetched."""


def source() -> str:
    """The text of axe-core, fetched once with npm and kept; Missing where that is not possible."""
    if not KEPT.is_file() or _sha(KEPT) != SHA256:
        npm = shutil.which("npm")
        if npm is None:
            raise Missing("npm is not installed, so axe-core cannot be fetched")
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [npm, "pack", f"axe-core@{VERSION}", "--silent"],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=120,
            )
            packed = next(Path(folder).glob("axe-core-*.tgz"), None)
            if done.returncode or packed is None:
                raise Missing(f"npm could not fetch axe-core {VERSION}")
            with tarfile.open(packed) as archive:
                file = archive.extractfile("package/axe.min.js")
                assert file
                text = file.read()
        KEPT.parent.mkdir(exist_ok=True)
        beside = KEPT.with_suffix(f".{os.getpid()}")
        beside.write_bytes(text)
        beside.replace(KEPT)
    if _sha(KEPT) != SHA256:
        raise Missing(f"axe-core {VERSION} is not the file whose hash is written down here")
    return KEPT.read_text(encoding="utf-8")


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def faults(opened: Any) -> list[str]:
    """What every rule that axe has switched on finds on a page, folds opened: rule, level, place."""
    # Evaluated by the browser's debugger, which the page's own security policy does not bind.
    opened.evaluate(source())
    opened.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true })")
    found = opened.evaluate("axe.run(document, {resultTypes: ['violations']}).then(result => result.violations)")
    return [f"{rule['id']} ({rule['impact']}): {node['html'][:160]}" for rule in found for node in rule["nodes"]]


def main(reports: Path) -> int:
    """Print each fault of the index, the newest day's pages and the failures; how many there are."""
    count = 0
    with launched() as browser:
        for width in WIDTHS:
            for scheme in SCHEMES:
                opened = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
                for path in pages(reports):
                    opened.goto(path.resolve().as_uri())
                    for fault in faults(opened):
                        print(f"{path.relative_to(reports)} {width} {scheme}: {fault}")
                        count += 1
                opened.close()
    return count


if __name__ == "__main__":
    sys.exit(1 if main(Path(sys.argv[1] if len(sys.argv) > 1 else "reports")) else 0)
