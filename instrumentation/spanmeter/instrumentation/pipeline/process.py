"""All that one process has of a pipeline: a producer of its own, an outbox, a sender."""

import logging
import os
import uuid
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Final

from opentelemetry.sdk.resources import Resource

from spanmeter.instrumentation.pipeline import encoding
from spanmeter.instrumentation.pipeline.directory import Directory
from spanmeter.instrumentation.pipeline.location import (
    hashing_key,
    origin_directory,
    usual_directory,
)
from spanmeter.instrumentation.pipeline.origin import Origin
from spanmeter.instrumentation.pipeline.outbox import Outbox
from spanmeter.instrumentation.pipeline.sender import Sender
from spanmeter.instrumentation.pipeline.settings import PipelineSettings
from spanmeter.instrumentation.pipeline.spool import Spool
from spanmeter.instrumentation.pipeline.status import PipelineStatus
from spanmeter.metering.attributes import PRODUCER_ID

STOPPING: Final = 0.5
"""Seconds that the thread is waited for, beyond the time for delivery."""

_logger: Final = logging.getLogger(__name__)


class Process:
    """A producer of records. Its id and its sequence of numbers are this process's alone."""

    def __init__(self, settings: PipelineSettings, resource: Resource) -> None:
        self.producer_id = uuid.uuid4().hex
        self.sequence = count(1)
        self.directory: Directory | None = None
        self.no_spool: str | None = None
        """Why there is no spool."""
        encoded = encoding.resource({**resource.attributes, PRODUCER_ID: self.producer_id})
        try:
            self.directory = open_directory(settings, resource)
        except OSError as error:
            self.no_spool = str(error)
            _logger.error(
                "usage records are kept in memory only and do not survive this process, since there "
                "is no directory for them (set SPANMETER_SPOOL): %s",
                error,
            )
        spool = Spool(self.directory, encoded, sync=settings.sync) if self.directory else None
        self.outbox = Outbox(spool, encoded, write_ahead=settings.write_ahead)
        self.sender = Sender(self.outbox, self.directory, settings.destination)
        self._gave_up = False

    def end(self, timeout: float) -> None:
        """Delivers what it can in so many seconds, and leaves the rest on disk."""
        durable = self.directory is not None
        self.outbox.to_disk()
        # More than one exit handler may come here: nobody waits a second time for what did not work.
        if not self._gave_up:
            self._gave_up = not self.sender.flush(timeout, until_failure=durable)
        self.sender.stop(STOPPING)
        self.outbox.close()

    def status(self, settings: PipelineSettings) -> PipelineStatus:
        """What became of this process's records so far."""
        tally = self.sender.tally
        unsent = PipelineStatus.before_first_record(settings)
        return replace(
            unsent,
            begun=True,
            producer_id=self.producer_id,
            spool=self.directory.path if self.directory else None,
            problem=unsent.problem or self.no_spool,
            kept=self.outbox.kept,
            pending=self.outbox.kept - self.outbox.settled,
            dropped=self.outbox.dropped,
            delivered=tally.delivered,
            adopted=self.sender.adopted,
            rejected=tally.rejected,
            dead=tally.dead,
            failure=tally.failure,
            failing_since=tally.failing_since,
        )

    def abandon(self) -> None:
        """After a fork, in the child: lets go of what is the parent's."""
        self.sender.abandon()
        self.outbox.abandon()


def open_directory(settings: PipelineSettings, resource: Resource) -> Directory:
    """The spool of this service and its destination. Raises `OSError`."""
    base, origin = own_origin(settings, resource)
    return Directory(origin_directory(base, origin), max_bytes=settings.max_bytes)


def own_origin(settings: PipelineSettings, resource: Resource) -> tuple[Path, Origin]:
    """Where the spools lie, and whose records this process makes. Raises `OSError`."""
    base = settings.spool or usual_directory(os.environ)
    return base, Origin.of(resource.attributes, settings.destination, hashing_key(base))
