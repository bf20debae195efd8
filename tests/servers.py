"""A PostgreSQL and a MariaDB of the tests' own: in a folder that goes again, at a socket that nobody else has."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

POSTGRES = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
MARIADB = shutil.which("mariadbd", path=f"/usr/sbin:{os.environ.get('PATH', '')}")
ADMIN, READER, PASSWORD = "admin", "reader", "p@ss/wörd:1"


def _own(user: str) -> dict[str, Any]:
    """Neither server runs as root: there as the user that its package makes."""
    return {"user": user, "group": user, "extra_groups": []} if os.geteuid() == 0 else {}


@contextmanager
def _folder(user: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="crm-db-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        if os.geteuid() == 0:
            shutil.chown(folder, user, user)
        folder.chmod(0o755)
        yield folder


@contextmanager
def _running(command: list[str], own: dict[str, Any], reached: Callable[[], Any]) -> Iterator[None]:
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **own)
    try:
        until = time.monotonic() + 60
        while True:
            try:
                reached().close()
                break
            except Exception:
                if server.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.1)
        yield
    finally:
        server.kill()
        server.wait()


@contextmanager
def postgresql() -> Iterator[tuple[str, Callable[[], Any]]]:
    """A new server: the address of its database 'shop' for a user who may only read, and a connection of the owner."""
    if POSTGRES is None:
        pytest.skip("PostgreSQL is not installed")
    psycopg = pytest.importorskip("psycopg")
    own = _own("postgres")
    with _folder("postgres") as folder:
        subprocess.run(
            [POSTGRES / "initdb", "-D", folder / "data", "--no-sync", "--no-locale", "-E", "UTF8", "-U", ADMIN,
             "-A", "trust"], check=True, capture_output=True, **own,
        )  # fmt: skip
        # The owner comes in by the socket as he is, the reader with a password.
        (folder / "data" / "pg_hba.conf").write_text(f"local all {ADMIN} trust\nlocal all all scram-sha-256\n")

        def connect(name: str = "shop") -> Any:
            return psycopg.connect(host=str(folder), user=ADMIN, dbname=name, autocommit=True)

        command = [str(POSTGRES / "postgres"), "-D", str(folder / "data"), "-k", str(folder), "-c", "fsync=off",
                   "-c", "listen_addresses=", "-c", "max_wal_senders=0", "-c", "wal_level=minimal"]  # fmt: skip
        with _running(command, own, lambda: connect("postgres")):
            with connect("postgres") as owner:
                owner.execute(f"CREATE USER {READER} PASSWORD '{PASSWORD}'")
                owner.execute("CREATE DATABASE shop")
            yield f"postgresql://{READER}@/shop?socket={folder}", connect


@contextmanager
def mariadb() -> Iterator[tuple[str, Callable[..., Any]]]:
    """The same for MariaDB; several databases, for each shop system one."""
    install = shutil.which("mariadb-install-db")
    if MARIADB is None or install is None:
        pytest.skip("MariaDB is not installed")
    pymysql = pytest.importorskip("pymysql")
    own = _own("mysql")
    with _folder("mysql") as folder:
        subprocess.run(
            [install, "--no-defaults", f"--datadir={folder}/data", "--auth-root-authentication-method=normal",
             "--skip-test-db", "--skip-name-resolve"], check=True, capture_output=True, **own,
        )  # fmt: skip

        def connect(name: str | None = None) -> Any:
            return pymysql.connect(unix_socket=f"{folder}/socket", user="root", database=name, autocommit=True)

        command = [MARIADB, "--no-defaults", f"--datadir={folder}/data", f"--socket={folder}/socket",
                   f"--pid-file={folder}/pid", "--skip-networking", "--innodb-flush-log-at-trx-commit=0",
                   "--innodb-buffer-pool-size=16M"]  # fmt: skip
        with _running(command, own, connect):
            with connect() as owner, owner.cursor() as cursor:
                cursor.execute(f"CREATE USER {READER}@localhost IDENTIFIED BY '{PASSWORD}'")
            yield f"mysql://{READER}@localhost/{{}}?socket={folder}/socket", connect
