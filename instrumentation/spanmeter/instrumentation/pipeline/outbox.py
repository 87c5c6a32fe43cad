"""The records that this process has made, until they are delivered: on disk, in memory, or in order
on both."""

import logging
import threading
import time
from collections import deque
from itertools import islice
from pathlib import Path
from typing import Final

from spanmeter.instrumentation.pipeline.batch import MAX_BYTES, MAX_RECORDS, Batch, Record
from spanmeter.instrumentation.pipeline.frames import MAX_PAYLOAD
from spanmeter.instrumentation.pipeline.rarely import Rarely
from spanmeter.instrumentation.pipeline.spool import FULL, UNWRITABLE, YES, Spool

MAX_MEMORY: Final = 16 * 1024 * 1024
"""Bytes of records that are kept in memory where they cannot be on disk."""

_logger: Final = logging.getLogger(__name__)


class Outbox:
    """Takes records from any thread, and hands them to one thread that delivers them.

    With `write_ahead` a record is on disk before `put` returns. Without, it goes there once the
    collector is away or the process ends. Without a spool, or while the disk fails, memory is all
    there is.
    """

    def __init__(self, spool: Spool | None, resource: bytes, *, write_ahead: bool) -> None:
        self._spool = spool
        self._resource = resource
        self._to_disk = self._write_ahead = write_ahead
        self._lock = threading.Lock()
        self._memory: deque[Record] = deque()
        self._memory_bytes = 0
        self._in_hand: Batch | None = None
        self._from_memory = False
        """Where what is in hand came from, and still is."""
        self._kept = self._settled = self._dropped = self._told = 0
        self._complaints = Rarely()
        self.waiting_since = 0.0
        """When the first of the records that wait came (`time.monotonic`)."""

    @property
    def kept(self) -> int:
        """How many records were taken so far."""
        return self._kept

    @property
    def settled(self) -> int:
        """How many of these are delivered or dealt with. The oldest come first."""
        return self._settled

    @property
    def dropped(self) -> int:
        """How many records there was no place for."""
        return self._dropped

    @property
    def waiting(self) -> int:
        """How many records are to be delivered and are not on their way."""
        in_hand = len(self._in_hand.records) if self._in_hand else 0
        return self._kept - self._settled - in_hand

    @property
    def all_told(self) -> bool:
        """Whether the collector knows how many records were dropped."""
        return self._told == self._dropped

    def put(self, scope: bytes, span: bytes) -> int:
        """Keeps a record; how many wait now. 0 where there is no place for it: then it is counted
        as dropped."""
        with self._lock:
            if not self._keep(scope, span):
                self._drop()
                return 0
            waiting = self._kept - self._settled + 1
            if self._in_hand is not None:
                waiting -= len(self._in_hand.records)
            if waiting == 1:
                # Before it is counted: the sender looks without the lock.
                self.waiting_since = time.monotonic()
            self._kept += 1
            return waiting

    def drop(self, count: int) -> None:
        """Counts records that are lost."""
        with self._lock:
            for _ in range(count):
                self._drop()

    def take(self) -> Batch | None:
        """The next batch; one without records where there only is to tell what was dropped. The one
        before must have been settled, or come back."""
        with self._lock:
            records = self._spool.take() if self._spool else []
            self._from_memory = not records
            records = records or self._oldest_in_memory()
            if not records and self._told == self._dropped:
                self._to_disk = self._write_ahead
                return None
            self._in_hand = Batch(
                resource=self._resource, dropped=self._dropped, records=tuple(records)
            )
            return self._in_hand

    def settle(self, batch: Batch) -> None:
        """What was taken is delivered, or dealt with."""
        with self._lock:
            if batch is not self._in_hand:
                return
            if self._from_memory:
                self._forget(len(batch.records))
            elif self._spool:
                self._spool.settle()
            self._in_hand = None
            self._settled += len(batch.records)
            self._told = batch.dropped
            self.waiting_since = time.monotonic()

    def put_back(self, batch: Batch) -> None:
        """What was taken is not delivered: it is to be taken again."""
        with self._lock:
            if batch is not self._in_hand:
                return
            if not self._from_memory and self._spool:
                self._spool.put_back()
            self._in_hand = None

    def to_disk(self) -> bool:
        """From now on, until all is delivered, records go to disk, and those in memory first.

        Whether what was taken is among these: then it has to be taken anew.
        """
        with self._lock:
            return self._turn_to_disk()

    def close(self) -> None:
        """Leaves on disk what is not delivered, to whichever process comes. `put` still works."""
        with self._lock:
            self._to_disk = self._write_ahead = True
            self._in_hand = None
            self._spill()
            if self._spool:
                self._spool.close(told=self.all_told)

    def abandon(self) -> None:
        """After a fork, in the child: lets go of what is the parent's."""
        if self._spool:
            self._spool.abandon()

    def paths(self) -> set[Path]:
        """The segments that are being written or delivered."""
        return self._spool.paths() if self._spool else set()

    def _turn_to_disk(self) -> bool:
        self._to_disk = True
        if self._in_hand is None or not self._from_memory:
            return False
        self._in_hand = None
        self._spill()
        return True

    def _keep(self, scope: bytes, span: bytes) -> bool:
        spool = self._spool
        size = len(span)
        if size > MAX_PAYLOAD:
            return False
        if not self._to_disk and spool and self._memory_bytes + size > MAX_MEMORY:
            # A collector that is slow is as good as away.
            self._turn_to_disk()
        if self._to_disk and spool is not None and (not self._memory or self._spill()):
            kept = spool.put(scope, span)
            if kept is not UNWRITABLE:
                return kept is YES
            self._complaints.log(
                _logger, "cannot write to %s; records are kept in memory", spool.directory.path
            )
        if self._memory_bytes + size > MAX_MEMORY:
            return False
        self._memory.append(Record(scope, span))
        self._memory_bytes += size
        return True

    def _spill(self) -> bool:
        """Moves what is in memory to disk, the oldest first; whether all of it is there."""
        if self._in_hand is not None and self._from_memory:
            return False
        while self._memory and self._spool is not None:
            kept = self._spool.put(*self._memory[0])
            if kept is UNWRITABLE:
                return False
            self._forget(1)
            if kept is FULL:
                self._settled += 1
                self._drop()
        return not self._memory

    def _oldest_in_memory(self) -> list[Record]:
        taken: list[Record] = []
        size = 0
        for record in islice(self._memory, MAX_RECORDS):
            size += len(record.span)
            if taken and size > MAX_BYTES:
                break
            taken.append(record)
        return taken

    def _forget(self, count: int) -> None:
        for _ in range(count):
            self._memory_bytes -= len(self._memory.popleft().span)

    def _drop(self) -> None:
        self._dropped += 1
        if self._spool:
            self._spool.drop(self._dropped)
        self._complaints.log(
            _logger,
            "%d usage records of this process are lost: there is no place to keep them until the "
            "collector takes them",
            self._dropped,
        )
