"""Whose the records of a spool are: which service made them, and for which collector, with which key.

Only a process of the same origin delivers what another has left: with another key, or to another collector,
it would be booked to somebody else. Endpoint and headers are compared by a keyed hash, whose key stays
beside the spools, so that what is written down reveals neither.
"""

import hmac
import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Self, cast

from spanmeter.instrumentation.pipeline.destination import Destination
from spanmeter.metering import attributes as names

FILE: Final = "origin.json"
"""Describes the origin in its directory of the spool."""
UNKNOWN_SERVICE: Final = "unknown_service"
_MAX_BYTES: Final = 64 * 1024
_MAX_NAME: Final = 1024
"""Characters of a name that are told; all of them count."""
_DIGITS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A service, and the destination that it records for. Made by `of` or `read`."""

    service: str
    namespace: str = ""
    environment: str = ""
    endpoint: str = ""
    """Of the collector, without path and key; empty where there is none."""
    destination: str = ""
    """A keyed hash of all that tells where records go and as whose; empty where there is no collector."""
    name: str
    """Of its directory in the spool."""

    @classmethod
    def of(cls, resource: Mapping[str, object], destination: Destination | str, key: bytes) -> Self:
        """The origin of a process with these resource attributes and this destination, or the reason
        why it has none; hashed with the spool's key."""
        service = str(resource.get(names.SERVICE_NAME) or UNKNOWN_SERVICE)
        namespace = str(resource.get(names.SERVICE_NAMESPACE) or "")
        environment = str(
            resource.get(names.DEPLOYMENT_ENVIRONMENT_NAME)
            or resource.get(names.DEPLOYMENT_ENVIRONMENT)
            or ""
        )
        hashed = hashed_destination(destination, key)
        return cls(
            service=service[:_MAX_NAME],
            namespace=namespace[:_MAX_NAME],
            environment=environment[:_MAX_NAME],
            endpoint="" if isinstance(destination, str) else destination.origin,
            destination=hashed,
            name=f"{_file_name(service)}-{_hash(key, [service, namespace, environment, hashed])}",
        )

    @classmethod
    def read(cls, directory: Path) -> Self:
        """The origin of a directory of the spool; where none is described, all that there is to tell is
        its name."""
        told: object = None
        with suppress(OSError, ValueError, RecursionError), (directory / FILE).open("rb") as file:
            told = json.loads(file.read(_MAX_BYTES))
        return cls(
            service=_text(told, "service") or directory.name,
            namespace=_text(told, "namespace"),
            environment=_text(told, "environment"),
            endpoint=_text(told, "endpoint"),
            destination=_text(told, "destination"),
            name=directory.name,
        )

    def write(self, directory: Path) -> None:
        """Describes the origin in its directory. Raises `OSError`."""
        if (directory / FILE).exists():
            return
        partial = directory / f".{FILE}.{os.getpid()}"
        partial.write_text(json.dumps(asdict(self), indent=1))
        partial.rename(directory / FILE)

    def is_same_service(self, other: "Origin") -> bool:
        """Whether the other is the same service, whichever destination it records for."""
        return (self.service, self.namespace, self.environment) == (
            other.service,
            other.namespace,
            other.environment,
        )


def hashed_destination(destination: Destination | str, key: bytes) -> str:
    """The same for destinations that book to the same account; empty where there is none."""
    return "" if isinstance(destination, str) else _hash(key, destination.identity)


def _hash(key: bytes, told: Sequence[object]) -> str:
    return hmac.new(key, json.dumps(told).encode(), sha256).hexdigest()[:_DIGITS]


def _file_name(service: str) -> str:
    """As much of the name as a file's can hold, for people to read."""
    name = re.sub(r"[^\w.:@+-]", "_", service, flags=re.ASCII).strip(".")[:128]
    return name or UNKNOWN_SERVICE


def _text(told: object, name: str) -> str:
    value = cast("dict[str, object]", told).get(name) if isinstance(told, dict) else None
    return value[:_MAX_NAME] if isinstance(value, str) else ""
