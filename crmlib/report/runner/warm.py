"""A process that imports what reports import once a run, and forks a worker with its kernel for each report.

Nursery, worker and kernel are each forked while their parent has one thread and has opened nothing: sockets, engines,
random states and temporary names are made afterwards, by each its own. The worker is its kernel's parent, as it is
without a nursery, so whatever ends the one ends the other.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import pkgutil
import resource
import signal
import socket
import sys
import warnings
from contextlib import suppress
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

from jupyter_client.provisioning import LocalProvisioner

from crmlib.report.runner import worker

# What analyses import where they need it; the rest comes with the modules of crmlib. DuckDB is not among it: it starts
# a thread on import, and no fork has that.
_LIBRARIES = (
    "ibis", "ipykernel.ipkernel", "ipykernel.kernelapp", "lifetimes", "matplotlib.pyplot", "mlxtend.frequent_patterns",
    "papermill.execute", "py3langid.langid", "scipy.optimize", "scipy.sparse.csgraph", "scipy.stats", "seaborn",
    "sklearn.feature_extraction.text", "sklearn.linear_model", "statsmodels.stats.proportion", "textblob.en",
    "vaderSentiment.vaderSentiment",
)  # fmt: skip
_PACKAGES = ("crmlib.analysis", "crmlib.stats", "crmlib.figures", "crmlib.shop.facts")
_PR_SET_PDEATHSIG = 1
_LARGEST = 1 << 16


def main() -> None:
    """Serve as the nursery, and in its children as a worker and as a kernel, each to its end."""
    # As in a worker: a dump of memory is a file of customers' rows.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Some libraries turn warnings on for everybody who imports them.
    with worker.lean_imports(), warnings.catch_warnings():
        _import_all()
    # Collecting what all share would copy it into each.
    gc.collect()
    gc.freeze()
    order = _birth()
    if order is None:
        return
    os.environ.update(order)
    give, taken = os.pipe()[::-1]
    kernel = os.fork()
    if not kernel:
        os.close(give)
        return _be_kernel(taken)
    os.close(taken)
    _Forked.waiting = [(kernel, give)]
    _serve_forked()
    worker.main()


def _import_all() -> None:
    for name in _LIBRARIES:
        # A notebook that needs what is missing says so itself.
        with suppress(ImportError):
            importlib.import_module(name)
    for name in _PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            importlib.import_module(module.name)


def _birth() -> dict[str, str] | None:
    """Wait as the nursery. Returns in each worker, with its environment; in the nursery, once the runner is gone."""
    line = socket.socket(fileno=os.dup(0))
    # The system clears away workers that have ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        told, given, *_ = socket.recv_fds(line, _LARGEST, 3)
        if not told:
            return None
        if os.fork():
            for number in given:
                os.close(number)
            continue
        line.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        for number, place in zip(given, (0, 1, 2), strict=True):
            os.dup2(number, place)
            os.close(number)
        order: dict[str, str] = json.loads(told)
        return order


def _be_kernel(orders: int) -> None:
    """Wait for the order to be a kernel, and be one; end with the worker, however that ended."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    with os.fdopen(orders) as line:
        told = line.read()
    if not told:
        return
    order = json.loads(told)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    import numpy as np
    from ipykernel import kernelapp

    # Python draws anew in a fork by itself, NumPy does not.
    np.random.seed()  # noqa: NPY002
    sys.argv = order["command"][2:]
    kernelapp.launch_new_instance()


def _serve_forked() -> None:
    from jupyter_client.provisioning import KernelProvisionerFactory

    factory = KernelProvisionerFactory.instance()
    factory.provisioners["crmlib"] = EntryPoint("crmlib", f"{__name__}:_Forked", factory.GROUP_NAME)
    factory.default_provisioner_name = "crmlib"


class _Forked(LocalProvisioner):
    """Launches the kernel that was forked with this worker; a second one as any other is launched."""

    waiting: ClassVar[list[tuple[int, int]]] = []

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        if not self.waiting:
            return await super().launch_kernel(cmd, **kwargs)
        pid, line = self.waiting.pop()
        order = {"command": cmd, "environment": dict(kwargs["env"]), "folder": str(kwargs.get("cwd") or Path.cwd())}
        with os.fdopen(line, "w") as told:
            json.dump(order, told)
        self.process: Any = _Child(pid)
        self.pid = self.pgid = pid
        self.cwd = order["folder"]
        return self.connection_info


class _Child:
    """A forked process, as far as a provisioner asks of subprocess.Popen."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self._ended(os.WNOHANG)

    def wait(self) -> int | None:
        return self._ended(0)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def _ended(self, options: int) -> int | None:
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, options)
            if ended:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode
