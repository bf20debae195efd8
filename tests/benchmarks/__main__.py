"""How fast, beside what a user would pick instead? `make bench`, or `python -m tests.benchmarks [--full] [--only WORK] [--at SIZE]`.

Both sides of a work run in fresh processes on the same data, in turn, several times. Printed are medians, the ratio
of medians with its spread over the runs, and peak memory. Imports do not count, reading the input does.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.works import WORKS

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "data" / "bench"
RUNS = 5


def main() -> None:
    words = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.split("\n", maxsplit=1)[0])
    words.add_argument(
        "--full", action="store_true", help="all three sizes, as in the README's table; else the middle one"
    )
    words.add_argument("--only", action="append", choices=list(WORKS), help="one work; may be given again")
    words.add_argument("--at", type=int, help="this size alone")
    words.add_argument("--runs", type=int, default=RUNS)
    words.add_argument("--data", type=Path, default=DATA, help="where the data are made, and found again")
    given = words.parse_args()
    print("| work | beside | ours, s | theirs, s | times as fast | ours, MiB | theirs, MiB |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for name in given.only or WORKS:
        work = WORKS[name]
        if work.needs and importlib.util.find_spec(work.needs) is None:
            print(f"{name}: left out, {work.needs} is not installed", file=sys.stderr)
            continue
        for size in [given.at] if given.at else work.sizes if given.full else work.sizes[1:2]:
            folder = given.data / f"{work.prepare.__name__.strip('_')}-{size}"
            if not (folder / ".done").exists():
                folder.mkdir(parents=True, exist_ok=True)
                work.prepare(folder, size)
                (folder / ".done").touch()
            pairs = [tuple(_measure(name, side, folder) for side in ("ours", "beside")) for _ in range(given.runs)]
            print(_row(f"{work.what}, {size:,} {work.unit}", work.beside_what, pairs), flush=True)


def _measure(name: str, side: str, folder: Path) -> dict[str, float]:
    """Seconds and peak MiB of one run in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.one", name, side, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PYTHONHASHSEED": "0"})
    if done.returncode:
        raise SystemExit(f"{name}, {side}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _row(what: str, beside: str, pairs: list[tuple[dict[str, float], ...]]) -> str:
    ours, theirs = ([pair[side]["seconds"] for pair in pairs] for side in (0, 1))
    memory = [statistics.median(pair[side]["mib"] for pair in pairs) for side in (0, 1)]
    ratio = statistics.median(theirs) / statistics.median(ours)
    low, high = min(theirs) / max(ours), max(theirs) / min(ours)
    return (
        f"| {what} | {beside} | {statistics.median(ours):.2f} | {statistics.median(theirs):.2f} | "
        f"**{ratio:.1f}** ({low:.1f}–{high:.1f}) | {memory[0]:,.0f} | {memory[1]:,.0f} |"
    )


if __name__ == "__main__":
    main()
