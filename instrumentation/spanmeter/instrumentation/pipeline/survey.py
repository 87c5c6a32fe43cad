"""What lies in the spool, looked at without taking part: of processes that live and that have died."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from spanmeter.instrumentation.pipeline.directory import Directory
from spanmeter.instrumentation.pipeline.frames import Kind, frames
from spanmeter.instrumentation.pipeline.origin import Origin
from spanmeter.instrumentation.pipeline.segment import (
    HEADER_BYTES,
    NotASegment,
    is_owned,
    read_header,
)


class SegmentState(NamedTuple):
    """One file. Counts are of records."""

    producer: bytes
    """Its `Resource` message, which is no other producer's."""
    owned: bool
    """By a process that lives."""
    pending: int
    dropped: int
    """How many its producer had given up when it last wrote here."""
    reasons: Counter[str]
    """Why records were refused, and how many of each; for segments in `dead/`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolState:
    """The spool of one origin. Counts are of records."""

    origin: Origin
    path: Path
    bytes: int
    """Of all its files, room that was taken in advance included."""
    living: int
    """Kept by processes that live; they deliver them."""
    waiting: int
    """Left by processes that died, for the next process of the origin or `spanmeter spool flush`."""
    dropped: int
    """Lost, of producers whose files are still here."""
    dead: int
    """Refused by the collector, kept for a person to look at."""
    reasons: tuple[tuple[str, int], ...]
    """Why these were refused, the most frequent first."""
    oldest: datetime | None
    """When the oldest file with pending records was begun."""


def survey(base: Path, *, max_bytes: int) -> list[SpoolState]:
    """The spools of all origins in the directory. Raises `OSError`."""
    return [_spool(Directory(path, max_bytes=max_bytes)) for path in spools(base)]


def spools(base: Path) -> list[Path]:
    """The directories of all origins. Raises `OSError`."""
    return sorted(path for path in base.iterdir() if path.is_dir()) if base.exists() else []


def _spool(directory: Directory) -> SpoolState:
    states = list(_states(directory.segments()))
    dead = [state for _, state in _states(directory.dead_segments())]
    reasons = sum((state.reasons for state in dead), Counter[str]())
    return SpoolState(
        origin=Origin.read(directory.path),
        path=directory.path,
        bytes=directory.used(),
        living=sum(state.pending for _, state in states if state.owned),
        waiting=sum(state.pending for _, state in states if not state.owned),
        dropped=_dropped([state for _, state in states]),
        dead=sum(state.pending for state in dead),
        reasons=tuple(reasons.most_common()),
        oldest=min((_begun(path) for path, state in states if state.pending), default=None),
    )


def _states(paths: list[Path]) -> Iterator[tuple[Path, SegmentState]]:
    for path in paths:
        try:
            yield path, _state(path)
        except (OSError, NotASegment):
            # Delivered meanwhile, or put aside by whoever delivers.
            continue


def _state(path: Path) -> SegmentState:
    owned = is_owned(path)
    data = path.read_bytes()
    settled, dropped = read_header(data[:HEADER_BYTES])
    producer, pending, reason, reasons = b"", 0, "", Counter[str]()
    for each in frames(data, HEADER_BYTES):
        if each.kind == Kind.RESOURCE:
            producer = each.payload
        elif each.kind == Kind.REASON:
            reason = each.payload.decode(errors="replace")
        elif each.kind == Kind.RECORD and each.end > settled:
            pending += 1
            reasons[reason] += 1
    return SegmentState(producer, owned, pending, dropped, reasons)


def _dropped(states: list[SegmentState]) -> int:
    """Each file says how many its producer had dropped by then: the newest of a producer counts."""
    return sum({state.producer: state.dropped for state in states}.values())


def _begun(path: Path) -> datetime:
    return datetime.fromtimestamp(int(path.name.split("-")[0]) / 1e9, UTC)
