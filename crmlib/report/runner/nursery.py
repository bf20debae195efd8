"""The runner's end of the one warm process from which the workers of a run are forked."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO


class Nursery:
    """The runner's end: asks for workers, and ends the nursery."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, log.open("w") as said:
            self.process = subprocess.Popen[bytes](
                [sys.executable, "-P", "-c", "from crmlib.report.runner.warm import main; main()"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=said,
                # Matplotlib reads this when it is imported, and a kernel would set it only then.
                env={**environment, "MPLBACKEND": "module://matplotlib_inline.backend_inline"},
                start_new_session=True,
            )

    def worker(self, environment: Mapping[str, str], log: Path) -> tuple[IO[str], IO[str]]:
        """Where a new worker hears and where it speaks; it says its process id first. OSError: the nursery is gone."""
        heard, hear = os.pipe()
        speech, speak = os.pipe()
        with log.open("w") as said, os.fdopen(heard) as heard_, os.fdopen(speak, "w") as speak_:
            told = json.dumps(environment).encode()
            try:
                socket.send_fds(self._line, [told], [heard_.fileno(), speak_.fileno(), said.fileno()])
            except OSError:
                os.close(hear)
                os.close(speech)
                raise
        return os.fdopen(hear, "w", encoding="utf-8"), os.fdopen(speech, encoding="utf-8")

    def end(self) -> None:
        """No worker is born after this."""
        self._line.close()
        self.process.kill()
        self.process.wait()
