"""What a collector has done since it started."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from spanmeter.collector_receiver.refusals import Refused


class Counts(NamedTuple):
    """Spans, except for three that count export requests: those `refused` were answered with an error; those `joined`
    came again while they were under way, those `answered_again` when they were durable, and were taken no second time;
    and for evaluations: `evaluations` were committed as new ones, `unusable_evaluations` name no call, or no result.

    Every span received is one of `not_llm`, `tracing_copies`, `rejected`, `stored` or `duplicates`, or is still under
    way, or was part of a request that was refused. Of those `stored`, `same_call` describe a call that another counts,
    and `shared_ids` have the response id of another call and count beside it.
    `journaled` were acknowledged from the journal; they are stored when they are replayed, perhaps by another process.
    `unpriced` and `unattributed` are committed without a cost or a tenant, those that were there already included.
    """

    received: int = 0
    stored: int = 0
    duplicates: int = 0
    rejected: int = 0
    not_llm: int = 0
    refused: int = 0
    tracing_copies: int = 0
    same_call: int = 0
    journaled: int = 0
    unpriced: int = 0
    unattributed: int = 0
    shared_ids: int = 0
    joined: int = 0
    answered_again: int = 0
    evaluations: int = 0
    unusable_evaluations: int = 0

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self._asdict().items())


class Counters:
    """Adds up `Counts` from many threads, and why spans were rejected and requests refused."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = Counts()
        self._rejections: Counter[str] = Counter()
        self._refusals: Counter[str] = Counter()

    def add(self, counts: Counts) -> None:
        """Add to each count."""
        with self._lock:
            self._counts = Counts(*map(sum, zip(self._counts, counts, strict=True)))

    def reject(self, reasons: Iterable[str]) -> None:
        """Count spans as rejected, each for one of the reasons."""
        with self._lock:
            before = self._rejections.total()
            self._rejections.update(reasons)
            new = self._rejections.total() - before
            self._counts = self._counts._replace(rejected=self._counts.rejected + new)

    def refuse(self, refusal: Refused) -> None:
        """Count a request as refused, for what the refusal says."""
        with self._lock:
            self._refusals[refusal.code] += 1
            self._counts = self._counts._replace(refused=self._counts.refused + 1)

    def read(self) -> Counts:
        """The counts at this moment, consistent with each other."""
        return self._counts

    def rejections(self) -> Mapping[str, int]:
        """The rejected spans by reason."""
        with self._lock:
            return dict(self._rejections)

    def refusals(self) -> Mapping[str, int]:
        """The refused requests by the code of the refusal."""
        with self._lock:
            return dict(self._refusals)
