"""One file of the journal: requests one after the other, each with the time of its receipt and a checksum."""

import errno
import json
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

from spanmeter.collector_receiver.sender import Grant

MAGIC: Final = b"spanmeter journal 2\n"
"""What a segment begins with; the number is that of the format."""

# Length of the packed request, microseconds since the epoch, checksum of the request; then a checksum of these, so that
# an entry that was cut short can be told from one whose length was changed.
_FACTS: Final = struct.Struct("<IqI")
_CHECKSUM: Final = struct.Struct("<I")
_HEADER_SIZE: Final = _FACTS.size + _CHECKSUM.size
_GRANT_SIZE: Final = struct.Struct("<I")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Entry(NamedTuple):
    """A request as it came in, when, and with which key."""

    body: bytes
    received_at: datetime
    grant: Grant | None = None


class Damaged(Exception):
    """A segment holds what was never written to it: its disk, or somebody, has changed it."""


class Segment:
    """A file that entries are added to until it is sealed. What was added is durable once `sync` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_WRONLY, 0o600)
        self._syncing = Lock()
        self._synced = 0
        self.broken = False
        """Whether the disk may have lost a part of it: what comes after that part could not be found again."""
        self.size = 0
        """Bytes of the whole entries."""
        try:
            self._write(MAGIC)
            sync_directory(path.parent)
        except BaseException:
            self.close()
            path.unlink()
            raise

    def add(self, entries: Sequence[bytes]) -> None:
        """Add packed entries, all or none. To be called by one thread at a time. Raises OSError."""
        self._write(b"".join(entries))

    def sync(self, size: int) -> None:
        """Make the first `size` bytes durable; threads that wait share one turn of the disk. Raises OSError."""
        with self._syncing:
            if self._synced < size:
                reached = self.size
                self._sync_file()
                self._synced = reached

    def close(self) -> None:
        """Close the file, once nothing is added or synced any more."""
        os.close(self._file)

    def _sync_file(self) -> None:
        if self.broken:
            # The kernel tells of a lost write once; syncing again would succeed.
            raise OSError(errno.EIO, "an earlier write was lost")
        try:
            os.fdatasync(self._file)
        except OSError:
            self.broken = True
            raise

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError:
            self._take_back()
            raise
        self.size += len(data)

    def _take_back(self) -> None:
        """The disk may have taken a part of what could not be added."""
        try:
            os.ftruncate(self._file, self.size)
        except OSError:
            self.broken = True
            raise


def packed(entry: Entry) -> bytes:
    """The entry as it lies in the file."""
    body = zlib.compress(_with_grant(entry), 1)
    microseconds = (entry.received_at - _EPOCH) // timedelta(microseconds=1)
    facts = _FACTS.pack(len(body), microseconds, zlib.crc32(body))
    return facts + _CHECKSUM.pack(zlib.crc32(facts)) + body


def entries(path: Path) -> Iterator[Entry]:
    """The entries of a segment, in the order they were added.

    An entry that the end of the file cuts short was never acknowledged, and is left out. Raises Damaged for
    anything else that is not as it was written, after the entries before it.
    """
    data = path.read_bytes()
    if not data.startswith(MAGIC):
        if MAGIC.startswith(data):
            return
        raise Damaged(f"{path} is no segment of a journal")
    at = len(MAGIC)
    while at + _HEADER_SIZE <= len(data):
        facts = data[at : at + _FACTS.size]
        length, microseconds, checksum = _FACTS.unpack(facts)
        if _CHECKSUM.unpack_from(data, at + _FACTS.size) != (zlib.crc32(facts),):
            raise Damaged(f"{path} is damaged from byte {at} on")
        body = data[at + _HEADER_SIZE : at + _HEADER_SIZE + length]
        if len(body) < length:
            return
        if zlib.crc32(body) != checksum:
            raise Damaged(f"{path} is damaged from byte {at} on")
        yield _entry(zlib.decompress(body), _EPOCH + timedelta(microseconds=microseconds))
        at += _HEADER_SIZE + length


def _with_grant(entry: Entry) -> bytes:
    """Whose usage a key may send is decided at receipt, so that is kept with the request, in JSON before it."""
    grant = b""
    if entry.grant is not None:
        key_id, tenants = entry.grant
        grant = json.dumps([key_id, None if tenants is None else sorted(tenants)]).encode()
    return _GRANT_SIZE.pack(len(grant)) + grant + entry.body


def _entry(content: bytes, received_at: datetime) -> Entry:
    (size,) = _GRANT_SIZE.unpack_from(content)
    start = _GRANT_SIZE.size + size
    grant = None
    if size:
        key_id, tenants = json.loads(content[_GRANT_SIZE.size : start])
        grant = Grant(key_id, None if tenants is None else frozenset(tenants))
    return Entry(content[start:], received_at, grant)


def sync_directory(path: Path) -> None:
    """Make the names of the files in a directory durable."""
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
