"""One PostgreSQL server on a directory of its own: made, started, stopped, killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from databases.programs import NOBODY, ProgramFailed, Programs

# A receiver acknowledges what is durable, so its tests run on a server that really flushes.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "on",
    "max_connections": "200",
    # One insert may create many chunks, and each takes its locks (TimescaleDB's own advice).
    "max_locks_per_transaction": "256",
    "timezone": "UTC",
}

TIMESCALEDB_SETTINGS = {
    "shared_preload_libraries": "timescaledb",
    "timescaledb.telemetry_level": "off",
    # A scheduler connected to the template would block CREATE DATABASE ... TEMPLATE.
    "timescaledb.max_background_workers": "0",
}


@dataclass(frozen=True)
class Cluster:
    """A PostgreSQL server in *directory*, with trust authentication on loopback and a socket."""

    directory: Path
    programs: Programs
    settings: Mapping[str, str]

    def create(self) -> None:
        """Make an empty server directory in place of whatever is there; the server stays down."""
        self._make_directory()
        self._run("initdb", "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale")
        self._configure({**_SETTINGS, **self.settings, "port": str(_free_port())})

    def copy_of(self, primary: Cluster) -> None:
        """Make a standby of a running server in place of whatever is there; it stays down."""
        self._make_directory()
        source = ("--host", "127.0.0.1", "--port", primary.port, "--username", "postgres")
        self._run("pg_basebackup", *source, "--write-recovery-conf", "--checkpoint", "fast")
        self._configure({"port": str(_free_port())})

    def start(self) -> None:
        """Start the server and wait until it accepts connections. Raises ProgramFailed."""
        try:
            self._run("pg_ctl", "start", "--wait", "--silent", "--log", str(self._log))
        except ProgramFailed as failed:
            log = self._log.read_text() if self._log.exists() else "no log was written"
            raise ProgramFailed(f"{failed}\n{log}") from None

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stop the server and wait for its end; its data stays for the next start."""
        self._run("pg_ctl", "stop", "--wait", "--silent", "--mode", mode)

    def kill(self) -> None:
        """End the server as a power cut would: SIGKILL to every process of it at once."""
        postmaster = self._postmaster()
        os.kill(postmaster, signal.SIGSTOP)  # so that it cannot restart a backend meanwhile
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        victims = [*map(int, children), postmaster]
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        # Until its parent reaps it, the next start would take the ended postmaster for a live one.
        while any(Path(f"/proc/{pid}").exists() for pid in victims):
            time.sleep(0.01)

    def remove(self) -> None:
        """Stop the server if it runs and delete all that it wrote."""
        if self.is_running:
            self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def is_running(self) -> bool:
        """Whether a server holds this directory now; what a killed one left does not count."""
        if not (self.data / "PG_VERSION").exists():
            return False
        try:
            self._run("pg_ctl", "status")
        except ProgramFailed:
            return False
        return True

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def port(self) -> str:
        """Of TCP on loopback."""
        return self._port_file.read_text()

    def dsn(self, database: str = "postgres") -> str:
        """Connect as the superuser over TCP."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    @property
    def _log(self) -> Path:
        return self.directory / "log"

    @property
    def _port_file(self) -> Path:
        return self.directory / "port"

    def _make_directory(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        if os.geteuid() == 0:
            os.chown(self.directory, NOBODY, NOBODY)

    def _configure(self, settings: Mapping[str, str]) -> None:
        lines = {**settings, "unix_socket_directories": str(self.directory)}
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in lines.items())
        self._port_file.write_text(settings["port"])

    def _postmaster(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])

    def _run(self, program: str, *args: str) -> str:
        return self.programs.run(program, "-D", str(self.data), *args, state=self.directory)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
