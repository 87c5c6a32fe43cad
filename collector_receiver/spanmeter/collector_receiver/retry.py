"""How a client is asked to send its spans again: RetryInfo, in the two trailers where clients look for it."""

import random
from typing import Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration

# googleapis-common-protos ships stubs without the marker that says so.
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from grpc_status import rpc_status

DELAY_MS: Final = (500, 2000)
"""Drawn at random, so that clients do not come back all at once. One that gives up after 10 s, as SDKs do, drops its
spans at once if told to wait for longer than it has left."""

PYTHON_TRAILER: Final = "google.rpc.retryinfo-bin"
"""Where the Python exporter looks; all others read the standard `grpc-status-details-bin`."""

Trailers = tuple[tuple[str, str | bytes], ...]


def retry_trailers(code: grpc.StatusCode, message: str) -> Trailers:
    """Trailing metadata for an answer of this code and message that asks to try again in 0.5 to 2 seconds."""
    delay = Duration()
    delay.FromMilliseconds(random.randint(*DELAY_MS))  # noqa: S311 (nobody gains by guessing it)
    retry_info = RetryInfo(retry_delay=delay)
    details = AnyMessage()
    details.Pack(retry_info)
    status = Status(code=code.value[0], message=message, details=[details])
    return (
        *rpc_status.to_status(status).trailing_metadata,
        (PYTHON_TRAILER, retry_info.SerializeToString()),
    )
