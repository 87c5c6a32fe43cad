"""A simulated provider, spans that end in memory, and the real SDKs between them."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest
from anthropic import Anthropic
from openai import OpenAI

from simulated_provider import SimulatedProvider
from spanmeter.instrumentation import guard
from unit.instrumentation.recording import Recorder


@pytest.fixture(scope="session")
def running_provider() -> Generator[SimulatedProvider]:
    with SimulatedProvider(deployments={"chat-eu": "gpt-4o-mini"}) as provider:
        yield provider


@pytest.fixture
def provider(running_provider: SimulatedProvider) -> SimulatedProvider:
    """A provider that has seen nothing yet."""
    running_provider.reset()
    return running_provider


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Generator[Recorder]:
    """The spans of this test's calls. A fault of ours would be logged as if it were the first."""
    monkeypatch.setattr(guard, "_seen", set[tuple[str, type[BaseException]]]())
    recorder = Recorder()
    recorder.start()
    yield recorder
    recorder.stop()
    recorder.tracer_provider.shutdown()


@pytest.fixture
def openai_client(provider: SimulatedProvider) -> Generator[OpenAI]:
    with OpenAI(base_url=provider.openai_base_url, api_key="any") as client:
        yield client


@pytest.fixture
def anthropic_client(provider: SimulatedProvider) -> Generator[Anthropic]:
    with Anthropic(base_url=provider.url, api_key="any") as client:
        yield client


# What serves is not installed where the tests of one client library run with older releases of it.


@pytest.fixture
def serve() -> Generator[Callable[..., str]]:
    """Serves an ASGI application behind the middleware, on a real server."""
    from unit.instrumentation.serving import asgi_servers

    with asgi_servers() as start:
        yield start


@pytest.fixture
def serve_wsgi() -> Generator[Callable[..., str]]:
    """Serves a WSGI application behind the middleware, on a real server."""
    from unit.instrumentation.serving import wsgi_servers

    with wsgi_servers() as start:
        yield start
