"""An export request of log records: of these, evaluations are taken, and everything else is let go."""

import math

from spanmeter.collector_receiver.exports import Exports
from spanmeter.collector_receiver.log_records import NOTHING_KEPT, as_spans
from spanmeter.collector_receiver.sender import Sender


class LogExports:
    """Takes export requests of log records, and answers after the commit, as `exports` do for spans."""

    def __init__(self, exports: Exports, *, max_records: int) -> None:
        self._exports = exports
        self._max_records = max_records

    def __call__(
        self, body: bytes, sender: Sender, peer: str, *, patience: float = math.inf
    ) -> bytes:
        """Store what a serialized `ExportLogsServiceRequest` holds of evaluations; the response, serialized.

        On the wire it is that of spans. Raises `Refused`.
        """
        spans = as_spans(body, max_records=self._max_records)
        return self._exports(spans, sender, peer, patience=patience) if spans else NOTHING_KEPT
