from spanmeter.collector_receiver.received import Enclosing, Received, Replay
from spanmeter.metering.span import Span

LAYOUT: str

def bind(
    span: type[Span],
    received: type[Received],
    replay: type[Replay],
    enclosing: type[Enclosing],
    malformed: type[Exception],
    too_large: type[Exception],
    /,
) -> None: ...
def decode(body: bytes, max_spans: int, max_attributes: int, /) -> list[Received]: ...
