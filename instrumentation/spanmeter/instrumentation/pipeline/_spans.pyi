from collections.abc import Callable

from spanmeter.instrumentation.pipeline.python_spans import Fields

REVISION: int

def encoded_attributes(
    attributes: dict[str, object], other: Callable[[str, object], bytes], /
) -> bytes: ...
def span(fields: Fields, sequence: int, other: Callable[[str, object], bytes], /) -> bytes: ...
def append_frame(
    descriptor: int, at: int, room: int, kind: int, scope: int, payload: bytes, /
) -> int: ...
