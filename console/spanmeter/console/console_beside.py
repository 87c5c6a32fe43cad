"""The console that `up` starts beside its collector: a process of its own, so that no page slows receiving."""

import json
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import Final

from spanmeter.collector_receiver import CannotListen
from spanmeter.collector_receiver.http_server import address_of, bound
from spanmeter.console.failures import UnusableSetting
from spanmeter.console.settings import CONSOLE_OFF, Settings
from spanmeter.console.web.settings import GRACE, LINK_LASTS, ConsoleSettings
from spanmeter.storage.connection import connect
from spanmeter.storage.console_access import make_login_link

# Where a server that listens on every address is reached from this machine.
_ANY_HOST: Final = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104


def console_settings(settings: Settings, dsn: str) -> ConsoleSettings:
    """What a console is told. Raises UnusableSetting for a logo that is not there."""
    if settings.console_logo is not None and not settings.console_logo.is_file():
        raise UnusableSetting(f"console_logo: {settings.console_logo} is no file")
    return ConsoleSettings(
        dsn=dsn,
        name=settings.console_name,
        accent=settings.console_accent,
        logo=settings.console_logo,
        frame_ancestors=tuple(settings.console_frame_ancestors),
        secrets=tuple(settings.console_secret),
    )


@contextmanager
def console_beside(settings: Settings, dsn: str) -> Generator[str | None]:
    """A console for as long as the context lasts: HOST:PORT, or None where it is off. Raises CannotListen."""
    if settings.console == CONSOLE_OFF:
        yield None
        return
    # From then on the socket is the console's alone: nobody waits for one that is gone.
    with closing(listening(settings)) as sock:
        address = address_of(sock)
        started = _process(settings, dsn, sock)
    with started as process:
        try:
            yield address
        finally:
            _end(process)


def listening(settings: Settings) -> socket.socket:
    """A socket bound to the console's address. Raises CannotListen."""
    try:
        return bound(settings.console, shared=False)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CannotListen(
            f"cannot listen on {settings.console}: {reason}; choose another with --console,"
            f" or leave the console out with --console {CONSOLE_OFF}"
        ) from error


def login_address(settings: Settings, dsn: str, address: str) -> str:
    """Where an operator logs in, once, within an hour. Raises DatabaseUnavailable."""
    with closing(connect(dsn)) as connection:
        token = make_login_link(connection, LINK_LASTS)
    return f"{page_address(settings, address)}/login/link?token={token}"


def page_address(settings: Settings, address: str) -> str:
    """Where the console is for people: by the setting, else on this machine."""
    if settings.console_url is not None:
        return settings.console_url
    scheme = "https" if settings.tls_certificate else "http"
    return f"{scheme}://{reachable(address)}"


def reachable(address: str) -> str:
    """HOST:PORT for a client on this machine."""
    host, _, port = address.rpartition(":")
    return f"{_ANY_HOST.get(host, host)}:{port}"


def _process(settings: Settings, dsn: str, sock: socket.socket) -> subprocess.Popen[bytes]:
    sock.listen()
    process = subprocess.Popen(
        # Not the modules of whatever directory this is.
        [sys.executable, "-P", "-m", "spanmeter.console.web", str(sock.fileno())],
        stdin=subprocess.PIPE,
        pass_fds=[sock.fileno()],
    )
    assert process.stdin is not None  # noqa: S101 - it was asked for
    told = {
        "settings": asdict(console_settings(settings, dsn)),
        "tls": None
        if settings.tls_certificate is None
        else [str(settings.tls_certificate), str(settings.tls_key)],
        "log_level": settings.log_level,
        "log_format": settings.log_format,
    }
    process.stdin.write(json.dumps(told, default=str).encode() + b"\n")
    process.stdin.flush()
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(GRACE + 2)
    except subprocess.TimeoutExpired:
        process.kill()
