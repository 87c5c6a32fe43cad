"""Where records go, by the standard variables or by ones of our own."""

from __future__ import annotations

import pytest

from spanmeter.instrumentation.pipeline.destination import Destination, InvalidDestination
from spanmeter.instrumentation.pipeline.settings import SMALLEST_SPOOL, PipelineSettings

OTLP = "OTEL_EXPORTER_OTLP_"


@pytest.mark.parametrize(
    ("environ", "protocol", "url"),
    [
        ({}, "grpc", "http://localhost:4317"),
        (
            {"OTEL_TRACES_EXPORTER": "console,otlp_proto_http"},
            "http/protobuf",
            "http://localhost:4318/v1/traces",
        ),
        ({OTLP + "PROTOCOL": "http/protobuf"}, "http/protobuf", "http://localhost:4318/v1/traces"),
        ({OTLP + "PROTOCOL": "http/json"}, "http/protobuf", "http://localhost:4318/v1/traces"),
        ({OTLP + "ENDPOINT": "http://c:4317"}, "grpc", "http://c:4317"),
        ({OTLP + "ENDPOINT": "c:4317"}, "grpc", "http://c:4317"),
        ({OTLP + "ENDPOINT": "c:4317", OTLP + "INSECURE": "false"}, "grpc", "https://c:4317"),
        ({OTLP + "ENDPOINT": "https://c"}, "grpc", "https://c:443"),
        ({OTLP + "ENDPOINT": "http://[::1]:4317"}, "grpc", "http://[::1]:4317"),
        ({OTLP + "ENDPOINT": "http://c:4318"}, "http/protobuf", "http://c:4318/v1/traces"),
        ({OTLP + "ENDPOINT": "https://c/otlp/"}, "http/protobuf", "https://c:443/otlp/v1/traces"),
        (
            {OTLP + "TRACES_ENDPOINT": "http://c:4318/in?a=b"},
            "http/protobuf",
            "http://c:4318/in?a=b",
        ),
        (
            {OTLP + "ENDPOINT": "http://a:4318", OTLP + "TRACES_ENDPOINT": "http://b:4317"},
            "grpc",
            "http://b:4317",
        ),
        (
            {OTLP + "TRACES_PROTOCOL": "grpc", OTLP + "PROTOCOL": "http/protobuf"},
            "grpc",
            "http://localhost:4317",
        ),
        (
            {"SPANMETER_ENDPOINT": "http://own:4317", OTLP + "TRACES_PROTOCOL": "http/protobuf"},
            "grpc",
            "http://own:4317",
        ),
        (
            {"SPANMETER_ENDPOINT": "https://own/v1/traces"},
            "http/protobuf",
            "https://own:443/v1/traces",
        ),
        (
            {"SPANMETER_PROTOCOL": "http/protobuf", OTLP + "ENDPOINT": "http://c:9"},
            "http/protobuf",
            "http://c:9/v1/traces",
        ),
        ({"SPANMETER_ENDPOINT": "  "}, "grpc", "http://localhost:4317"),
    ],
    ids=str,
)
def test_the_address(environ: dict[str, str], protocol: str, url: str) -> None:
    destination = Destination.from_environ(environ)
    assert (destination.protocol, destination.url) == (protocol, url)


def test_another_collectors_key_is_not_sent_to_ours() -> None:
    environ = {
        OTLP + "HEADERS": "api-key=theirs",
        OTLP + "TRACES_HEADERS": "api-key=theirs,x=1",
        "SPANMETER_HEADERS": "Authorization=Bearer ours",
    }
    shared = Destination.from_environ(environ)
    assert dict(shared.headers) == {"api-key": "theirs", "x": "1", "authorization": "Bearer ours"}
    own = Destination.from_environ({**environ, "SPANMETER_ENDPOINT": "http://own:4317"})
    assert dict(own.headers) == {"authorization": "Bearer ours"}
    assert "ours" not in repr(own)


def test_the_rest() -> None:
    environ = {
        OTLP + "TIMEOUT": "3",
        OTLP + "TRACES_COMPRESSION": "gzip",
        OTLP + "CERTIFICATE": "ca.pem",
        OTLP + "CLIENT_CERTIFICATE": "own.pem",
        OTLP + "CLIENT_KEY": "own.key",
    }
    destination = Destination.from_environ(environ)
    assert (destination.timeout, destination.gzip, destination.certificate) == (3.0, True, "ca.pem")
    assert (destination.client_certificate, destination.client_key) == ("own.pem", "own.key")
    assert Destination.from_environ({OTLP + "TIMEOUT": "10000"}).timeout == 60.0


@pytest.mark.parametrize(
    "environ",
    [
        {OTLP + "ENDPOINT": "ftp://c"},
        {OTLP + "ENDPOINT": "http://c:port"},
        {OTLP + "ENDPOINT": "http://"},
        {OTLP + "ENDPOINT": "http://c:99999"},
        {OTLP + "PROTOCOL": "carrier-pigeon"},
        {OTLP + "TIMEOUT": "soon"},
    ],
    ids=str,
)
def test_what_is_no_destination_is_said(
    environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InvalidDestination):
        Destination.from_environ(environ)
    settings = PipelineSettings.from_environ(environ)
    assert isinstance(settings.destination, str)
    assert settings.destination in caplog.text


def test_settings_that_mean_nothing_are_not_heeded(caplog: pytest.LogCaptureFixture) -> None:
    settings = PipelineSettings.from_environ(
        {
            "SPANMETER_WRITE_AHEAD": "perhaps",
            "SPANMETER_SPOOL_SYNC": "sometimes",
            "SPANMETER_SPOOL_MAX_BYTES": "-1",
            "SPANMETER_EXIT_TIMEOUT": "nan",
        }
    )
    assert settings == PipelineSettings.from_environ({})
    assert caplog.text.count("not heeded") == 4


def test_settings() -> None:
    settings = PipelineSettings.from_environ(
        {
            "SPANMETER_WRITE_AHEAD": "False",
            "SPANMETER_SPOOL_SYNC": "always",
            "SPANMETER_SPOOL_MAX_BYTES": "1",
            "SPANMETER_HANDLE_SIGTERM": "0",
            "SPANMETER_EXIT_TIMEOUT": "2.5",
        }
    )
    assert not settings.write_ahead
    assert settings.sync
    assert settings.max_bytes == SMALLEST_SPOOL
    assert not settings.handle_sigterm
    assert settings.exit_timeout == 2.5
