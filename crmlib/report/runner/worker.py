"""A process that executes notebooks with papermill, one after the other, and reports each step as a JSON line.

It is a process of its own so that the runner stays quick and alive whatever a notebook does. Jobs come as JSON
lines on standard input; when that ends, or the runner is gone, the worker and its kernel end too.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from crmlib import scratch

KERNEL = "crmlib"
START_TIMEOUT = 60
_LONGEST_SOCKET = 100  # a Unix socket's path may not be longer than 107 bytes


def prepare(folder: Path) -> dict[str, str]:
    """Make a private Jupyter home with one kernel, this very Python, and return the environment that finds it.

    Whatever kernel calls itself python3 on this machine, and whatever profile a user has, plays no part.
    """
    spec = folder / "kernels" / KERNEL
    spec.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = {"argv": argv, "display_name": "crmlib", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(kernel), encoding="utf-8")
    package = str(Path(__file__).parents[3])
    startup = folder / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "masking.py").write_text("__import__('crmlib.masking').masking.shown_figures()\n", encoding="utf-8")
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")])),
        "JUPYTER_PATH": str(folder),
        "IPYTHONDIR": str(folder / "ipython"),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def runtime(folder: Path, number: int) -> dict[str, str]:
    """A worker's own folder for sockets; by its name, its kernels are known when it is gone."""
    own = folder / f"run{number}"
    own.mkdir(mode=0o700)
    return {"JUPYTER_RUNTIME_DIR": str(own)}


def main() -> None:
    """Serve jobs until standard input ends."""
    # What a library prints must not be taken for an event.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    guard = threading.Lock()

    def say(event: str, **detail: Any) -> None:
        with guard:
            channel.write(json.dumps({"event": event, "at": time.time(), **detail}) + "\n")
            channel.flush()

    # A dump of a kernel's memory is a file of customers' rows; kernels have this from here.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()
    say("born", pid=os.getpid())
    for line in sys.stdin:
        job = json.loads(line)
        try:
            _execute(job, say)
        except BaseException as error:
            say("end", error=_fault("worker", type(error).__name__, str(error)))


def end_tree(pid: int, *, grace: float = 2.0) -> None:
    """End a process with all its descendants: ask, wait, kill. Kernels have sessions of their own: no group will do."""
    import psutil  # type: ignore[import-untyped]

    try:
        top = psutil.Process(pid)
        family = [*top.children(recursive=True), top]
    except psutil.NoSuchProcess:
        return
    for process in family:
        _quietly(process.terminate)
    _, alive = psutil.wait_procs(family, timeout=grace)
    for process in alive:
        for child in _quietly(process.children) or []:
            _quietly(child.kill)
        _quietly(process.kill)
    psutil.wait_procs(alive, timeout=grace)


def end_strays(folder: str) -> None:
    """End what a worker that is gone has left: nobody's children, but with its runtime folder in their environment."""
    import psutil

    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("JUPYTER_RUNTIME_DIR") == folder:
                end_tree(process.pid)


def interrupt(pid: int) -> None:
    """Press Ctrl-C in a worker's kernel, and in what the running cell has started."""
    import psutil

    for kernel in _quietly(psutil.Process(pid).children) or []:
        with suppress(ProcessLookupError):
            # A kernel leads a group of its own; the runner's group is never meant.
            if os.getpgid(kernel.pid) == kernel.pid:
                os.killpg(kernel.pid, signal.SIGINT)


def _quietly(call: Any) -> Any:
    import psutil

    try:
        return call()
    except psutil.NoSuchProcess:
        return None


def _watch(parent: int) -> None:
    """End with the runner or the nursery, however it ended: an orphan would hold a kernel and memory for ever."""
    while os.getppid() == parent:
        time.sleep(0.5)
    import psutil

    for child in psutil.Process().children(recursive=True):
        _quietly(child.kill)
    # Where the nursery alone is gone, the run goes on and keeps its folder.
    with suppress(OSError):
        scratch.clear(Path(os.environ["JUPYTER_PATH"]))
    os._exit(1)


@contextmanager
def lean_imports() -> Iterator[None]:
    """Import nbformat's dependents in half the time: jsonschema's optional check of one address format builds a
    grammar for 1.3 s, and no notebook has such an address."""
    name = "rfc3987_syntax"
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.modules.pop(name, None)


def _execute(job: dict[str, Any], say: Any) -> None:
    with lean_imports():
        import nbformat

    written_for = nbformat.read(job["notebook"], as_version=4).metadata.get("kernelspec", {})
    asked = written_for.get("name", "python3")
    if asked not in ("python3", KERNEL):
        text = (f"{Path(job['notebook']).name} asks for the kernel {asked!r}; reports run on this environment's own "
                "Python: choose the kernel python3 in the notebook")  # fmt: skip
        return say("end", error=_fault("notebook", "NoSuchKernel", text))
    say("start")
    started: dict[int, float] = {}
    error = _attempt(job, say, started)
    if error and not started:
        # Nothing of the notebook has run yet: a kernel that did not start may do so the second time.
        say("retry", reason=error["ename"])
        error = _attempt(job, say, started)
    say("end", error=error)


def _fault(kind: str, ename: str, evalue: str, traceback: str = "", **more: str) -> dict[str, str]:
    return {"kind": kind, "ename": ename, "evalue": evalue, "traceback": traceback, **more}


def _attempt(job: dict[str, Any], say: Any, started: dict[int, float]) -> dict[str, str] | None:
    """Run a notebook to its end; `started` takes the moment of each cell. What stopped it, if anything did."""
    import nbformat
    from papermill import execute_notebook
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    # Unix sockets in a private folder: no port to race for, nothing on the network.
    sockets = Path(os.environ["JUPYTER_RUNTIME_DIR"]) / f"{job['number']}"
    local = len(os.fsencode(sockets)) < _LONGEST_SOCKET - 10
    manager = {"transport": "ipc", "ip": str(sockets)} if local else {}
    injected = 0

    def number(cell: Any, cell_index: int) -> int:
        """The cell's place in the notebook as its author sees it."""
        nonlocal injected
        if "injected-parameters" in cell.metadata.get("tags", []):
            injected = 1
        return cell_index + 1 - injected

    def starts(cell: Any, cell_index: int, **_: Any) -> None:
        started[cell_index] = time.monotonic()
        say("cell", number=number(cell, cell_index), source=cell["source"])

    def ends(cell: Any, cell_index: int, **_: Any) -> None:
        seconds = round(time.monotonic() - started.get(cell_index, time.monotonic()), 3)
        say("cell_done", number=number(cell, cell_index), seconds=seconds)

    def literal(path: str) -> str:
        """A path that papermill takes as it is: it would fill in what stands in braces."""
        return path.replace("{", "{{").replace("}", "}}")

    try:
        execute_notebook(
            nbformat.read(job["notebook"], as_version=4),
            literal(job["output"]),
            job["parameters"],
            kernel_name=KERNEL,
            language="python",
            progress_bar=False,
            log_output=False,
            request_save_on_cell_execute=False,
            start_timeout=START_TIMEOUT,
            iopub_timeout=START_TIMEOUT,  # what a cell printed is read after its end: on a busy machine for long
            cwd=job["cwd"],
            config=Config({"KernelManager": manager}),
            on_cell_execute=starts,
            on_cell_executed=ends,
        )
    except PapermillExecutionError as failure:
        trace = "\n".join(failure.traceback)
        return _fault("cell", failure.ename, failure.evalue, trace, source=failure.source)
    except Exception as failure:
        kind = "kernel" if type(failure).__name__ == "DeadKernelError" else "worker"
        return _fault(kind, type(failure).__name__, str(failure))
    return None


if __name__ == "__main__":
    main()
