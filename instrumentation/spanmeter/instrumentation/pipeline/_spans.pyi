from collections.abc import Callable

REVISION: int

def encoded_attributes(
    attributes: dict[str, object], other: Callable[[str, object], bytes], /
) -> bytes: ...
def span(
    trace_id: int,
    span_id: int,
    parent_span_id: int,
    name: bytes,
    kind: int,
    start_ns: int,
    end_ns: int,
    encoded: bytes,
    attributes: dict[str, object],
    rest: bytes,
    trace_flags: int,
    other: Callable[[str, object], bytes],
    /,
) -> bytes: ...
