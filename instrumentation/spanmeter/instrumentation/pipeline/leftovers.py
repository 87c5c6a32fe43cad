"""What dead processes of a service have left: for this process to deliver, or for a person to decide."""

import logging
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from opentelemetry.sdk.resources import Resource

from spanmeter.instrumentation.pipeline.directory import LOCK, segments
from spanmeter.instrumentation.pipeline.origin import FILE, Origin
from spanmeter.instrumentation.pipeline.process import own_origin
from spanmeter.instrumentation.pipeline.segment import is_owned
from spanmeter.instrumentation.pipeline.settings import PipelineSettings
from spanmeter.instrumentation.pipeline.survey import spools

_DAY: Final = 86_400.0

_logger: Final = logging.getLogger(__name__)


def find_leftovers(settings: PipelineSettings, resource: Resource) -> bool:
    """Whether there are records that this process may deliver. Logs where there are some of its service
    that it may not, since they were recorded for another collector or key."""
    try:
        base, origin = own_origin(settings, resource)
        remove_empty(base, origin)
        for other in of_other_destinations(base, origin):
            _logger.warning(
                "usage records that %s has left were recorded for another collector or key and are "
                "not delivered by this process: `spanmeter spool flush --spool %s "
                "--any-destination` sends them with the endpoint and headers of its environment",
                other.service,
                other.name,
            )
        return not isinstance(settings.destination, str) and _is_left(base / origin.name)
    except OSError:
        return False


def of_other_destinations(base: Path, own: Origin) -> list[Origin]:
    """Origins of the same service, with other destinations, of which there are records and no process that lives."""
    return [
        other
        for other in map(Origin.read, spools(base))
        if other.name != own.name and other.is_same_service(own) and _is_orphan(base / other.name)
    ]


def remove_empty(base: Path, own: Origin) -> None:
    """Removes the directories of other origins in which there has been nothing for a day: each new key begins
    another."""
    for path in spools(base):
        with suppress(OSError):
            old = time.time() - path.stat().st_mtime > _DAY
            if old and path.name != own.name and _is_empty(path):
                (path / FILE).unlink()
                (path / LOCK).unlink(missing_ok=True)
                path.rmdir()


def _is_empty(path: Path) -> bool:
    return {each.name for each in path.iterdir()} <= {FILE, LOCK}


def _is_left(path: Path) -> bool:
    """Whether there is a segment whose owner has died."""
    return any(not is_owned(segment) for segment in segments(path))


def _is_orphan(path: Path) -> bool:
    """Whether all owners have died: one that lives delivers what the others have left."""
    found = segments(path)
    return bool(found) and not any(map(is_owned, found))
