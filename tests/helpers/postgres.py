"""A PostgreSQL server for a test: its own data folder, on loopback, with trust, gone afterwards."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


def binaries():
    """Return the folder of PostgreSQL's programs, or None."""
    found = [Path(path).resolve().parent for path in [shutil.which("pg_ctl")] if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)  # Debian's
    return next((folder for folder in found if (folder / "initdb").exists()), None)


@dataclass(frozen=True)
class Server:
    """A running server: the URL of its database; `stop` ends it at once, connections included, `start` starts it again."""

    url: str
    stop: Callable[[], object]
    start: Callable[[], object]


@contextlib.contextmanager
def server_or_skip():
    """Start a server and yield it; skip the test without PostgreSQL or its driver."""
    pytest.importorskip("psycopg", reason="needs psycopg[binary]")
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    user = {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}  # it refuses to run as root
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="toykit-postgres-"))
    try:
        if user:
            shutil.chown(folder, "postgres", "postgres")
        data, options = folder / "data", f"-p {port} -h 127.0.0.1 -k {folder}"
        quiet = {"check": True, "stdout": subprocess.DEVNULL, "cwd": folder, **user}
        subprocess.run([binaries() / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync"], **quiet)
        control = [binaries() / "pg_ctl", "-D", data, "-l", folder / "log", "-w"]
        server = Server(
            f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres",
            lambda: subprocess.run([*control, "-m", "immediate", "stop"], **quiet),
            lambda: subprocess.run([*control, "-o", options, "start"], **quiet),
        )
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
