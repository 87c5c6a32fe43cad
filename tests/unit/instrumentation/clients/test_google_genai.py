"""Every form of a google-genai call is what the provider has booked, over every transport of it."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest

from simulated_provider import Framing, Reply, SimulatedProvider
from spanmeter.instrumentation import usage
from spanmeter.instrumentation.clients.google_usage import endpoint_of
from spanmeter.metering import attributes as names
from unit.instrumentation.clients.google_calls import (
    ASYNC_FORMS,
    FORMS,
    HTTP,
    NO_AUTHORITIES,
    AsyncForm,
    Form,
    client_of,
    run,
)
from unit.instrumentation.recording import Recorder, check_usage

# The SDK's own sessions are a subclass of aiohttp's, made on first use.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")


@pytest.fixture
def client(provider: SimulatedProvider) -> Generator[Any]:
    with client_of(provider) as client:
        yield client


each_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
each_async_form = pytest.mark.parametrize("form", ASYNC_FORMS.values(), ids=ASYNC_FORMS)


@each_form
@pytest.mark.parametrize("backend", ["httpx", "httpx2"])
def test_a_call_is_what_was_booked(
    recorder: Recorder,
    provider: SimulatedProvider,
    monkeypatch: pytest.MonkeyPatch,
    form: Form,
    backend: str,
) -> None:
    monkeypatch.setenv("GOOGLE_GENAI_HTTP_CLIENT", backend)
    with client_of(provider) as client:
        form(client)
    [served] = provider.served
    check_usage(recorder.only(), served)
    assert recorder.only()[names.PROVIDER_NAME] == "gcp.gemini"
    assert recorder.only()[names.USAGE_SERVICE_TIER] == "standard"


@each_async_form
@pytest.mark.parametrize("backend", ["aiohttp", "httpx", "httpx2", "own transport"])
def test_an_async_call_is_what_was_booked(
    recorder: Recorder,
    provider: SimulatedProvider,
    monkeypatch: pytest.MonkeyPatch,
    form: AsyncForm,
    backend: str,
) -> None:
    options: dict[str, Any] = {}
    if backend == "own transport":
        options["async_client_args"] = {"transport": HTTP.AsyncHTTPTransport(verify=NO_AUTHORITIES)}
    elif backend != "aiohttp":
        monkeypatch.setattr("google.genai._api_client.has_aiohttp", False)
        monkeypatch.setenv("GOOGLE_GENAI_HTTP_CLIENT", backend)
    run(client_of(provider, **options), form)
    [served] = provider.served
    check_usage(recorder.only(), served)


@pytest.mark.parametrize(
    "framing",
    [Framing(line_end="\r\n"), Framing(split=7), Framing(split=1)],
    ids=["crlf", "split", "bytes"],
)
def test_a_stream_is_read_however_its_bytes_come(
    recorder: Recorder, provider: SimulatedProvider, client: Any, framing: Framing
) -> None:
    provider.enqueue(Reply(framing=framing, gzip=True), Reply(framing=framing, gzip=True))
    FORMS["stream"](client)
    run(client, ASYNC_FORMS["stream"])
    for span, served in zip(recorder.metered, provider.served, strict=True):
        check_usage(span, served)


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1beta/models/gemini-2.5-pro:generateContent", "gemini-2.5-pro"),
        ("/v1beta/tunedModels/ours-1:generateContent", "tunedModels/ours-1"),
        ("/v1/projects/p/locations/l/endpoints/42:generateContent", "endpoints/42"),
        ("/v1/projects/p/locations/l/publishers/google/models/g:streamGenerateContent", "g"),
    ],
)
def test_the_model_is_in_the_path(path: str, model: str) -> None:
    found = endpoint_of(path, {})
    assert found is not None
    assert found[1] == model


@pytest.mark.parametrize(
    "path", ["/v1beta/models/g:countTokens", "/v1beta/files", "/v1beta/models/g:computeTokens"]
)
def test_what_uses_no_model_is_not_metered(path: str) -> None:
    assert endpoint_of(path, {}) is None


def test_nothing_of_ours_and_no_text_leaves(
    recorder: Recorder, provider: SimulatedProvider, client: Any
) -> None:
    with usage(tenant_id="secret-tenant"):
        FORMS["stream"](client)
        run(client, ASYNC_FORMS["stream"])
    assert all(b"secret-tenant" not in request.raw for request in provider.requests)
    assert "How did we do" not in json.dumps([dict(span) for span in recorder.metered])
