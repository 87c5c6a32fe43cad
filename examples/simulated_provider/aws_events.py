"""AWS's event streams as bytes: each event a message with its lengths and checksums.

Source: smithy.io/2.0/aws/amazon-eventstream.html.
"""

import base64
import struct
import zlib
from collections.abc import Iterable

from simulated_provider.exchange import JSON, Event
from simulated_provider.reply import Framing
from simulated_provider.sse import to_json

STREAM_TYPE = "application/vnd.amazon.eventstream"

# The type of a header's value that is a string.
_STRING = 7


def encode(event: Event, framing: Framing) -> bytes:
    """One message. An event whose name ends in Exception is the exception that ends the stream."""
    name = event.name or "chunk"
    kind = "exception" if name.endswith("Exception") else "event"
    data = event.data if isinstance(event.data, str) else to_json(event.data)
    headers = {
        f":{kind}-type": name,
        ":content-type": "application/json",
        ":message-type": kind,
    }
    return message(headers.items(), data.encode())


def message(headers: Iterable[tuple[str, str]], payload: bytes) -> bytes:
    """A message: total length, headers' length, checksum of both, headers, payload, checksum of
    all."""
    packed = b"".join(_header(name, value) for name, value in headers)
    # 16: two lengths and two checksums.
    prelude = struct.pack(">II", 16 + len(packed) + len(payload), len(packed))
    checked = prelude + struct.pack(">I", zlib.crc32(prelude)) + packed + payload
    return checked + struct.pack(">I", zlib.crc32(checked))


def wrapped(data: JSON) -> JSON:
    """A model's own event, as InvokeModelWithResponseStream wraps it."""
    return {"bytes": base64.b64encode(to_json(data).encode()).decode(), "p": "abcdefghijk"}


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    return struct.pack(">B", len(key)) + key + struct.pack(">BH", _STRING, len(text)) + text
