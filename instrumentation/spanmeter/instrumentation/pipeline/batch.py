"""Records on their way: some of one producer, up to what one request may hold."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from spanmeter.instrumentation.pipeline.protobuf import field, varint
from spanmeter.instrumentation.pipeline.values import key_value
from spanmeter.metering.attributes import PRODUCER_DROPPED

MAX_RECORDS: Final = 512
MAX_BYTES: Final = 1024 * 1024


class Record(NamedTuple):
    """An `InstrumentationScope` message and a `Span` message of it."""

    scope: bytes
    span: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Records of one producer, and what it has had to give up by now."""

    resource: bytes
    dropped: int
    records: tuple[Record, ...]

    def request(self) -> bytes:
        """The `ExportTraceServiceRequest`. Without records it only tells what was given up."""
        resource = self.resource
        if self.dropped:
            resource += field(1, key_value(PRODUCER_DROPPED, self.dropped))
        scopes = (field(2, _scope_spans(scope, spans)) for scope, spans in self._by_scope())
        return field(1, field(1, resource) + b"".join(scopes))

    def halves(self) -> tuple["Batch", ...]:
        """The same in two, to find out which half was refused."""
        middle = len(self.records) // 2
        return self.part(self.records[:middle]), self.part(self.records[middle:])

    def part(self, records: Iterable[Record]) -> "Batch":
        return Batch(resource=self.resource, dropped=self.dropped, records=tuple(records))

    def _by_scope(self) -> Iterable[tuple[bytes, list[bytes]]]:
        grouped: dict[bytes, list[bytes]] = {}
        for record in self.records:
            grouped.setdefault(record.scope, []).append(record.span)
        return grouped.items()


def _scope_spans(scope: bytes, spans: Iterable[bytes]) -> bytes:
    parts = [field(1, scope)]
    for span in spans:
        # `field(2, span)`, of which there are many.
        parts += (b"\x12", varint(len(span)), span)
    return b"".join(parts)
