"""A PostgreSQL of our own in one directory, for those who have no server yet.

DIR/postgresql   the data, PostgreSQL's own files, its log among them
DIR/socket       where it is reached; only its user and root may enter, and it asks no password
DIR/users.lock   held by every process that uses it; the last to leave stops the server
DIR/change.lock  held while it is started or stopped
"""

import fcntl
import hashlib
import os
import shlex
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

import psycopg

from spanmeter.storage.connection import connect
from spanmeter.storage.errors import DatabaseUnavailable, EmbeddedDatabaseError
from spanmeter.storage.server_programs import NOBODY, ServerPrograms, enterable

_NAME: Final = "spanmeter"

# sun_path holds 104 bytes on macOS and 108 on Linux, its final NUL included.
_LONGEST_SOCKET: Final = 103

_START_SECONDS: Final = 120


class EmbeddedDatabase:
    """The database kept in `data_dir`: `conninfo` leads to it for as long as the context lasts.

    It is made on first use, and what it holds stays. Processes that use it at once share one
    server; one that a killed process left running is taken over. Raises MissingExtra, or
    EmbeddedDatabaseError where it cannot run.
    """

    def __init__(self, data_dir: Path) -> None:
        self._home = data_dir.expanduser().absolute()
        self._data = self._home / "postgresql"

    @property
    def conninfo(self) -> str:
        """A DSN without a password, for psql and any other program of this user."""
        return self._conninfo(_NAME)

    def __enter__(self) -> Self:
        self._user = _server_user(self._data)
        self._make_home()
        self._programs = ServerPrograms(self._home, self._user)
        self._socket = self._make_socket_directory()
        with self._changing():
            self._users = _lock_file(self._home / "users.lock")
            try:
                fcntl.flock(self._users, fcntl.LOCK_SH)
                self._run_server()
            except BaseException:
                os.close(self._users)
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._changing():
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            else:
                self._programs.run("pg_ctl", "stop", "-D", str(self._data), "-m", "fast", "-w")
            finally:
                os.close(self._users)

    def _run_server(self) -> None:
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        if not self._answers():
            self._start()
        self._ensure_database()

    def _initialise(self) -> None:
        # Made under another name first, so that what is half made is never taken for data.
        partial = self._home / "postgresql-partial"
        shutil.rmtree(partial, ignore_errors=True)
        self._make_private(partial)
        self._programs.run(
            *("initdb", "-D", str(partial), "-U", _NAME, "-A", "trust"),
            *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin"),
            "--builtin-locale=C.UTF-8",
        )
        partial.rename(self._data)

    def _start(self) -> None:
        log = self._data / "server.log"
        settings = (
            f"-c listen_addresses= -c unix_socket_directories={shlex.quote(str(self._socket))}"
        )
        try:
            self._programs.run(
                *("pg_ctl", "start", "-D", str(self._data), "-l", str(log), "-o", settings),
                *("-w", "-t", str(_START_SECONDS)),
            )
        except EmbeddedDatabaseError:
            raise EmbeddedDatabaseError(
                f"the embedded database in {self._home} did not start: {_failure(log)}; see {log}"
            ) from None

    def _answers(self) -> bool:
        try:
            connect(self._conninfo("postgres")).close()
        except DatabaseUnavailable:
            return False
        return True

    def _ensure_database(self) -> None:
        with connect(self._conninfo("postgres")) as connection:
            try:
                connection.execute("CREATE DATABASE spanmeter")
            except psycopg.errors.DuplicateDatabase:
                return

    def _make_home(self) -> None:
        self._home.mkdir(parents=True, exist_ok=True)
        if self._user is None:
            return
        self._home.chmod(self._home.stat().st_mode | 0o001)
        if not enterable(self._home):
            raise EmbeddedDatabaseError(
                f"the embedded database does not run as root, and no other user can enter "
                f"{self._home}; choose a directory such as /var/lib/spanmeter with --data"
            )

    def _make_socket_directory(self) -> Path:
        directory = self._home / "socket"
        if len(os.fsencode(directory / ".s.PGSQL.5432")) > _LONGEST_SOCKET:
            name = hashlib.sha256(os.fsencode(self._home)).hexdigest()[:16]
            directory = Path(tempfile.gettempdir()) / f"spanmeter-{name}"
        self._make_private(directory)
        return directory

    def _make_private(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        if self._user is not None and directory.lstat().st_uid == 0:
            os.chown(directory, self._user, self._user)
        if directory.lstat().st_uid != (os.getuid() if self._user is None else self._user):
            raise EmbeddedDatabaseError(f"{directory} belongs to another user; remove it")

    def _conninfo(self, database: str) -> str:
        return f"postgresql://{_NAME}@/{database}?host={quote(str(self._socket), safe='/')}"

    @contextmanager
    def _changing(self) -> Generator[None]:
        lock = _lock_file(self._home / "change.lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def _server_user(data: Path) -> int | None:
    if os.geteuid() != 0:
        return None
    return (data.stat().st_uid if data.exists() else 0) or NOBODY


def _lock_file(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)


def _failure(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    fatal = (line for line in reversed(lines) if "FATAL:" in line)
    return next(fatal, "it wrote no reason").rpartition("FATAL:")[2].strip()
