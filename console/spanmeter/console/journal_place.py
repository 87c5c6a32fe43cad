"""Where the journal of one ledger's collectors is kept."""

import os
from hashlib import sha256
from pathlib import Path
from typing import Final

from psycopg.conninfo import conninfo_to_dict

from spanmeter.collector_receiver.journal import SET_ASIDE
from spanmeter.console.failures import UnusableSetting
from spanmeter.console.listing import Value
from spanmeter.console.settings import Settings

_WHICH_DATABASE: Final = ("service", "host", "hostaddr", "port", "dbname")


def journal_directory(settings: Settings, dsn: str) -> Path | None:
    """The directory, made if it was missing; `None` where only the database is to be acknowledged from.

    It is one of `--journal` for this database alone: what was meant for one ledger must not be booked in another.
    Raises `UnusableSetting`.
    """
    if settings.durability == "db":
        return None
    directory = _directory(settings, dsn)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        reason = None if os.access(directory, os.W_OK | os.X_OK) else "it may not be written to"
    except OSError as error:
        reason = error.strerror
    if reason is not None:
        raise UnusableSetting(
            f"the journal cannot be kept in {directory}: {reason}; choose another place with --journal,"
            " or do without one with --durability db"
        )
    return directory


def journal_state(settings: Settings, dsn: str) -> dict[str, Value]:
    """What waits in the journal of this machine: where, its bytes, and how many segments cannot be replayed."""
    directory = _directory(settings, dsn)
    if not os.access(directory, os.R_OK | os.X_OK):
        return {"journal": None}
    segments = list(directory.glob("*/*.log"))
    return {
        "journal": str(directory),
        "journal_bytes": sum(map(_size, segments)),
        "journal_set_aside": len(list(directory.glob(f"*/*.log{SET_ASIDE}"))),
    }


def _size(segment: Path) -> int:
    try:
        return segment.stat().st_size
    except FileNotFoundError:
        # It was replayed at this moment.
        return 0


def _directory(settings: Settings, dsn: str) -> Path:
    return (settings.journal or settings.data / "journal") / _name_of(dsn)


def _name_of(dsn: str) -> str:
    """The database's name for people, and its address for whoever has another of that name."""
    given = conninfo_to_dict(dsn)
    address = "\0".join(str(given.get(name, "")) for name in _WHICH_DATABASE)
    name = "".join(each if each.isalnum() else "-" for each in str(given.get("dbname", "ledger")))
    return f"{name[:40]}-{sha256(address.encode()).hexdigest()[:12]}"
