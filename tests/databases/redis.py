"""A broker for tests of workers: redis-server from Debian's packages, on a port and directory of the test's own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from databases import debian
from databases.debian import CannotProvide

_PACKAGE = "redis-server"


def program() -> Path:
    """The server program, brought here first where it is absent. Raises CannotProvide."""
    found = shutil.which(_PACKAGE)
    if found is None:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise CannotProvide("no redis-server here: install it, or run once as root on Debian")
        debian.install_quietly(_PACKAGE)
        found = shutil.which(_PACKAGE)
    assert found is not None
    return Path(found)


@contextmanager
def broker(directory: Path) -> Generator[str]:
    """A running server that keeps nothing; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(directory),
        "save": "",
        "appendonly": "no",
    }
    argv = [
        str(program()),
        *(word for name, value in options.items() for word in (f"--{name}", value)),
    ]
    log = (directory / "redis.log").open("wb")
    with log, subprocess.Popen(argv, stdout=log) as server:
        try:
            _wait_until_listening(server, port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()


def _wait_until_listening(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
