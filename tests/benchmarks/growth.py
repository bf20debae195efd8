"""How do time and memory grow with a shop? `python -m tests.benchmarks.growth FOLDER ...`, smallest shop first.

`crm run --all` on each folder from files that nothing has read yet: seconds, processor seconds and the most memory of
all its processes together, then the seconds of each report. Seconds want a quiet machine, processor seconds do not. `crm demo --customers N --to FOLDER` makes the shops; 29,000
customers have about a million order lines.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.benchmarks.one import memory

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    words = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.growth", description=__doc__.split("\n", maxsplit=1)[0]
    )
    words.add_argument("folders", nargs="+", type=Path)
    print("| rows read | all reports, s | processor, s | most memory, MiB | each report, s |")
    print("|--:|--:|--:|--:|---|")
    for folder in words.parse_args().folders:
        with tempfile.TemporaryDirectory(prefix="crm-growth-") as reports:
            seconds, busy, most = run(folder, Path(reports), "--all")
            said = [json.loads(path.read_text("utf-8")) for path in Path(reports).glob("20*/*/manifest.json")]
            (health,) = Path(reports).glob("20*/data_health/metrics.json")
            metrics = {metric["id"]: metric["value"] for metric in json.loads(health.read_text("utf-8"))["metrics"]}
        each = ", ".join(f"{run['report'].replace('_', ' ')} {run['seconds']:.0f}" for run in
                         sorted(said, key=lambda run: run["order"]))  # fmt: skip
        print(f"| {metrics['rows_read']:,} | {seconds:,.0f} | {busy:,.0f} | {most / 2**20:,.0f} | {each} |", flush=True)


def run(folder: Path, reports: Path, *what: str) -> tuple[float, float, int]:
    """Seconds, processor seconds and most memory of `crm run`."""
    words = ["--shop", str(folder.resolve()), "--reports", str(reports)]
    command = [sys.executable, "-m", "crmlib", "run", *what, *words]
    started, most, busy = time.perf_counter(), 0, {}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, env=os.environ) as run:
        watched = psutil.Process(run.pid)
        while run.poll() is None:
            most = max(most, memory(watched))
            busy |= _busy(watched)
            time.sleep(0.2)
    if run.returncode:
        raise SystemExit(f"{folder}: crm run ended with {run.returncode}")
    return time.perf_counter() - started, sum(busy.values()), most


def _busy(of: psutil.Process) -> dict[int, float]:
    """Processor seconds of a process and of all it started, as far as they still live, by number."""
    seconds: dict[int, float] = {}
    with contextlib.suppress(psutil.Error):
        for process in [of, *of.children(recursive=True)]:
            seconds[process.pid] = sum(process.cpu_times()[:2])
    return seconds


if __name__ == "__main__":
    main()
