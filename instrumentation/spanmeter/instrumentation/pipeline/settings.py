"""What a pipeline can be told, read once from the environment."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from spanmeter.instrumentation.pipeline.destination import Destination, InvalidDestination

MIB: Final = 1024 * 1024
SMALLEST_SPOOL: Final = MIB // 4

_logger: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSettings:
    """Where records go, and how they are kept until they are there."""

    destination: Destination | str
    """The collector; or why there is none, where the environment names none that there can be."""
    spool: Path | None = None
    """The directory for the spools of all services; by default the first usual one that can be
    written to."""
    write_ahead: bool = True
    """Each record is on disk before its call returns."""
    sync: bool = False
    """And has left the page cache, so that it outlives the machine too."""
    max_bytes: int = 512 * MIB
    """Of the spool, over all processes of the service."""
    handle_sigterm: bool = True
    """Records are sent off before SIGTERM ends a process that does nothing about it itself."""
    exit_timeout: float = 5.0
    """Seconds that the end of the process may be put off to deliver the last records."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "PipelineSettings":
        """The settings; a value that means nothing is logged, and the default stays."""
        read = _Reader(environ)
        return cls(
            destination=_destination(environ),
            spool=Path(chosen).expanduser() if (chosen := environ.get("SPANMETER_SPOOL")) else None,
            write_ahead=read.flag("SPANMETER_WRITE_AHEAD"),
            sync=read.word("SPANMETER_SPOOL_SYNC", ("none", "always")) == "always",
            max_bytes=max(SMALLEST_SPOOL, int(read.number("SPANMETER_SPOOL_MAX_BYTES", 512 * MIB))),
            handle_sigterm=read.flag("SPANMETER_HANDLE_SIGTERM"),
            exit_timeout=read.number("SPANMETER_EXIT_TIMEOUT", 5.0),
        )


class _Reader:
    """Reads variables; those that are empty are not set."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def flag(self, name: str) -> bool:
        """`true` unless it says otherwise."""
        return self.word(name, ("true", "false", "1", "0")) not in {"false", "0"}

    def word(self, name: str, known: tuple[str, ...]) -> str:
        """One of the known words, by default the first."""
        written = self._environ.get(name, "").strip().lower()
        if written and written not in known:
            _complain(name, written, f"none of {', '.join(known)}")
            return known[0]
        return written or known[0]

    def number(self, name: str, default: float) -> float:
        """A number from 0 on."""
        written = self._environ.get(name, "").strip()
        try:
            number = float(written or default)
        except ValueError:
            number = -1.0
        if 0 <= number < float("inf"):
            return number
        _complain(name, written, "no number from 0 on")
        return default


def _destination(environ: Mapping[str, str]) -> Destination | str:
    try:
        return Destination.from_environ(environ)
    except InvalidDestination as error:
        _logger.error("usage records are kept and not sent: %s", error)
        return str(error)


def _complain(name: str, written: str, what: str) -> None:
    _logger.error("%s=%r is %s, and not heeded", name, written, what)
