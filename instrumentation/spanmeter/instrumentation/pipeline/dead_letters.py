"""Records that the collector refuses for good: kept for a person to look at, and to send again."""

import logging
from collections.abc import Sequence
from typing import Final, NamedTuple

from spanmeter.instrumentation.pipeline.batch import Batch, Record
from spanmeter.instrumentation.pipeline.directory import DEAD, Directory
from spanmeter.instrumentation.pipeline.spool import YES, Spool

_logger: Final = logging.getLogger(__name__)


class Refusal(NamedTuple):
    """A record, and why the collector does not take it."""

    record: Record
    reason: str


def bury(directory: Directory | None, batch: Batch, refusals: Sequence[Refusal]) -> int:
    """Writes the refused records of a batch, with the reasons, to `dead/`; how many could not be
    written and so are lost."""
    _logger.error(
        "the collector refuses %d usage records (%s); they are %s",
        len(refusals),
        refusals[0].reason,
        f"kept in {directory.path / DEAD}" if directory else "lost, as there is no spool",
    )
    if directory is None:
        return len(refusals)
    lost = _write(directory, batch, refusals)
    if lost:
        _logger.error("there is no room for %d of them in %s", lost, directory.path / DEAD)
    return lost


def _write(directory: Directory, batch: Batch, refusals: Sequence[Refusal]) -> int:
    try:
        grave = Spool(directory.dead(), batch.resource, sync=False)
    except OSError:
        return len(refusals)
    lost = 0
    for record, reason in refusals:
        grave.explain(reason)
        lost += grave.put(*record) is not YES
    grave.close(told=True)
    return lost
