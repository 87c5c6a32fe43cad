"""Everything a collector can be told, read once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from spanmeter.collector_receiver.authentication import only_loopback
from spanmeter.collector_receiver.decode import MAX_ATTRIBUTES
from spanmeter.collector_receiver.tls import Tls

MIB = 1024 * 1024


class Worker(NamedTuple):
    """One of several processes: its `number`, from 0, and the directory where all of them publish their metrics."""

    number: int
    pages: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorSettings:
    """Where a collector listens and stores, and its limits. Durations are seconds unless they are a `timedelta`."""

    dsn: str = field(repr=False)
    """The database, as libpq takes it. Kept out of `repr`: it may hold a password."""

    grpc: str = "127.0.0.1:4317"
    """HOST:PORT for OTLP over gRPC. Port 0 picks a free one; `Collector.grpc_address` tells which."""

    http: str | None = None
    """HOST:PORT for OTLP over HTTP, likewise; without it there is none."""

    workers: int = 1
    """Processes that receive on the same ports. A single one uses about one core."""

    shared: bool = False
    """Whether other processes may listen on the same ports: the kernel spreads connections over them."""

    worker: Worker | None = None
    """Which one of several this process is."""

    tls: Tls | None = None
    """Transport security, for both. Without it whoever can listen in on the network can read along."""

    auth: bool | None = None
    """Whether senders need an API key. None: unless only programs of this machine can connect."""

    handlers: int = 256
    """Threads that answer export requests. Each waits for its commit, so this bounds the requests under way; one
    sender may have three quarters of them."""

    writers: int = 2
    """Threads, each with a connection of its own, that commit: while one waits for the disk the other writes."""

    max_request_bytes: int = 16 * MIB
    """The largest export request, after decompression. Larger is answered RESOURCE_EXHAUSTED."""

    max_request_spans: int = 20_000
    """The most spans in one export request. SDKs send 512, the OpenTelemetry Collector 8,192."""

    max_request_attributes: int = MAX_ATTRIBUTES
    """The most attributes in one export request, with items of lists, events and links."""

    commit_rows: int = 8192
    """A group commit closes when it has this many rows …"""

    commit_linger: float = 0.005
    """… or when its oldest request has waited this long."""

    queue_bytes: int = 256 * MIB
    """Memory for requests that wait for their commit: their bytes as they came in, and two KiB for each row. Beyond
    it new ones are refused, to be sent again; a quarter is kept for senders who have less than their share in it. As
    much again for the bodies of HTTP requests that are still to be decoded."""

    journal: Path | None = None
    """Directory for requests that the database cannot take now: they are acknowledged from there. None: there is no
    journal, and they are held, then refused to be sent again. Several collectors may share it, of one database only."""

    journal_bytes: int = 1024 * MIB
    """The most that one collector keeps in the journal, packed: some five million spans."""

    hold: float = 5.0
    """How long a request waits for its commit before it is journaled, or its sender is asked to send it again."""

    deadline_margin: float = 1.0
    """The answer leaves this long before the client's own deadline, so that a retry still fits."""

    grace: float = 15.0
    """On SIGTERM: how long requests that are under way may take to finish."""

    attribution: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """By dimension (`tenant`, `user` ...), where to look for it in place of the defaults; see `Attribution`."""

    max_age: timedelta = timedelta(days=400)
    max_ahead: timedelta = timedelta(minutes=10)
    """Spans that began outside of this range around now are rejected: a wrong clock makes chunks of its own."""

    seal_after: timedelta | None = timedelta(hours=2)
    """How long after the end of a day, UTC, what was booked until then is sealed. None: that is left to others."""

    seal_key: bytes | None = field(default=None, repr=False)
    """What seals are signed with: a secret that the database does not know."""

    @property
    def needs_key(self) -> bool:
        """Whether senders need an API key."""
        listening = [self.grpc, *([] if self.http is None else [self.http])]
        return not only_loopback(listening) if self.auth is None else self.auth
