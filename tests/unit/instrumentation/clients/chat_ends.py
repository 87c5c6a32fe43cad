"""How a chat can end, of the SDKs made by Stainless that speak OpenAI's API: the same of each."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Mapping
from typing import Any

import pytest

from simulated_provider import Reply, SimulatedProvider
from spanmeter.metering import attributes as names
from unit.instrumentation.recording import Recorder, check_usage


def check_attempts(
    recorder: Recorder, provider: SimulatedProvider, client: Any, ask: Mapping[str, Any]
) -> None:
    """Each attempt is a record."""
    provider.enqueue(Reply(status=503), Reply(status=429))
    client.chat.completions.create(**ask)
    assert [span[names.USAGE_ATTEMPT] for span in recorder.metered] == [1, 2, 3]
    assert [span.get(names.ERROR_TYPE) for span in recorder.metered] == ["503", "429", None]
    check_usage(recorder.metered[2], provider.served[2])


def check_failing(
    recorder: Recorder,
    provider: SimulatedProvider,
    client: Any,
    ask: Mapping[str, Any],
    error: type[Exception],
) -> None:
    """A stream that fails is an error with an estimate."""
    provider.enqueue(Reply(error_after=3))
    with pytest.raises(error):
        deque(client.chat.completions.create(**ask, stream=True))
    gc.collect()  # some leave such a stream open
    span = recorder.only()
    assert span[names.ERROR_TYPE] == "server_error"
    assert span[names.USAGE_SOURCE] == names.SOURCE_ESTIMATE


def check_given_up(
    recorder: Recorder, provider: SimulatedProvider, client: Any, ask: Mapping[str, Any]
) -> None:
    """A stream that is given up is cancelled."""
    provider.enqueue(Reply(chunks=50, chunk_delay=0.005))
    stream = client.chat.completions.create(**ask, stream=True)
    next(iter(stream))
    stream.close()
    assert recorder.only()[names.ERROR_TYPE] == names.CANCELLED
