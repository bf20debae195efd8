"""One side of one work, in a process of its own: `python -m tests.benchmarks.one WORK ours|beside FOLDER`."""

import json
import sys
import threading
import time
from pathlib import Path

import psutil

from tests.benchmarks.works import WORKS


def main(name: str, side: str, folder: Path) -> None:
    work = WORKS[name]
    call = getattr(work, side)
    call(folder, warm=True)
    watched = psutil.Process()
    before, peak, over = memory(watched), [0], threading.Event()
    watch = threading.Thread(target=_watch, args=(peak, over), daemon=True)
    watch.start()
    started = time.perf_counter()
    own = call(folder, warm=False)
    seconds = own or time.perf_counter() - started
    over.set()
    watch.join()
    print(json.dumps({"seconds": seconds, "mib": max(peak[0] - before, 0) / 2**20}))


def memory(of: psutil.Process) -> int:
    """Of a process and all it started, what they share counted once."""
    total = 0
    try:
        family = [of, *of.children(recursive=True)]
    except psutil.Error:
        return total
    for process in family:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def _watch(peak: list[int], over: threading.Event) -> None:
    while not over.wait(0.1):
        peak[0] = max(peak[0], memory(psutil.Process()))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
