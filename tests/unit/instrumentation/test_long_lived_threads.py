"""A thread that is started in the course of a call and lives on is of its tenant, and keeps no more of the call."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

from openai import OpenAI

from simulated_provider import SimulatedProvider
from spanmeter.instrumentation import current_usage, usage
from spanmeter.instrumentation.call import Call, current_call
from unit.instrumentation.recording import Recorder


class Monitored(OpenAI):
    """A client that starts a thread of its own with its first request, as pools and monitors do."""

    def _prepare_options(self, options: Any) -> Any:
        during.append(current_call())
        thread = threading.Thread(target=monitor)
        thread.start()
        threads.append(thread)
        begun.wait(60)
        return super()._prepare_options(options)


during: list[Any] = []
threads: list[threading.Thread] = []
seen: list[Any] = []
begun, answered, ended = threading.Event(), threading.Event(), threading.Event()


def monitor() -> None:
    call, context = current_call(), current_usage()
    seen.append((None if call is None else weakref.ref(call), context and context.tenant_id))
    del call
    begun.set()
    answered.wait(60)
    seen.append(current_call())
    ended.set()


def test_a_call_is_let_go_of_by_the_threads_that_it_has_started(
    recorder: Recorder, provider: SimulatedProvider
) -> None:
    messages: Any = [{"role": "user", "content": "a long document"}]
    with (
        usage(tenant_id="acme"),
        Monitored(base_url=provider.openai_base_url, api_key="x") as client,
    ):
        client.chat.completions.create(model="gpt-4o-mini", messages=messages)
    (call,) = during
    assert isinstance(call, Call)
    ((in_thread, tenant),) = seen
    assert in_thread() is call, "while it lasts, what is done there is done for it"
    assert tenant == "acme"

    del call
    during.clear()
    gc.collect()
    assert in_thread() is None
    answered.set()
    assert ended.wait(60)
    assert seen[1] is None
    threads[0].join()
    assert len(recorder.metered) == 1
