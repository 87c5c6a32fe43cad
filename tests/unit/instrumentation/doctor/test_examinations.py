"""Each examination says what is so, what is wrong with it, and what to do."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from spanmeter.instrumentation.doctor import collector, spool, tracing, trusting
from spanmeter.instrumentation.doctor.finding import Finding

KEY = "key-that-nobody-may-see"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """None of the variables of whoever runs the tests, and a spool of its own."""
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SPANMETER_SPOOL", str(tmp_path / "spool"))
    return monkeypatch


class Server(ThreadingHTTPServer):
    """A collector that takes exports with the right key, and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), TakingKeys)
        self.bodies: list[bytes] = []


class TakingKeys(BaseHTTPRequestHandler):
    """One request to such a collector."""

    def do_POST(self) -> None:
        assert isinstance(self.server, Server)
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200 if self.headers.get("x-api-key") == KEY else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Nothing is printed."""


@pytest.fixture
def server() -> Generator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def by_subject(findings: Iterable[Finding]) -> dict[str, Finding]:
    return {each.subject: each for each in findings}


def test_a_collector_that_accepts_the_key(environment: pytest.MonkeyPatch, server: Server) -> None:
    address = f"http://127.0.0.1:{server.server_port}"
    environment.setenv("SPANMETER_ENDPOINT", address)
    environment.setenv("SPANMETER_PROTOCOL", "http/protobuf")
    environment.setenv("SPANMETER_HEADERS", f"x-api-key={KEY}")
    found = by_subject(collector.examine())
    assert found["collector"].what == f"{address}/v1/traces, http/protobuf"
    assert found["key"] == Finding("key", "ok", "sent in the header x-api-key")
    assert found["answer"] == Finding("answer", "ok", "the collector accepts records")
    assert server.bodies == [b""]
    assert KEY not in str(found)


def test_a_collector_that_refuses_the_key(environment: pytest.MonkeyPatch, server: Server) -> None:
    environment.setenv("SPANMETER_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    environment.setenv("SPANMETER_PROTOCOL", "http/protobuf")
    environment.setenv("SPANMETER_HEADERS", "x-api-key=another")
    answer = by_subject(collector.examine())["answer"]
    assert answer.level == "problem"
    assert "401" in answer.what
    assert "SPANMETER_HEADERS" in answer.to_do


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_nobody_listens(environment: pytest.MonkeyPatch, protocol: str) -> None:
    with Server() as closed:
        port = closed.server_port
    environment.setenv("SPANMETER_ENDPOINT", f"http://127.0.0.1:{port}")
    environment.setenv("SPANMETER_PROTOCOL", protocol)
    answer = by_subject(collector.examine())["answer"]
    assert answer.level == "problem"
    assert "spanmeter up" in answer.to_do


def test_an_endpoint_that_is_none_and_a_key_in_clear_text(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SPANMETER_ENDPOINT", "ftp://collector")
    (found,) = collector.examine()
    assert found.level == "problem"
    assert "ftp://collector" in found.what
    environment.setenv("SPANMETER_ENDPOINT", "http://192.0.2.1:9")
    environment.setenv("SPANMETER_TIMEOUT", "0.01")
    environment.setenv("SPANMETER_HEADERS", f"authorization={KEY}")
    assert by_subject(collector.examine())["key"].level == "warning"


def test_the_spool(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    dead = tmp_path / "spool" / "shop" / "dead"
    dead.mkdir(parents=True)
    (dead / "1-1-1.spool").write_bytes(b"refused")
    (dead.parent / "2-1-1.spool").write_bytes(b"waiting")
    found = list(spool.examine())
    assert [each.level for each in found] == ["ok", "ok", "problem"]
    assert found[1].what.startswith("1 segments, 14 bytes")
    environment.setenv("SPANMETER_WRITE_AHEAD", "false")
    assert next(spool.examine()).level == "warning"
    environment.setenv("SPANMETER_SPOOL", str(dead / "1-1-1.spool"))
    assert next(spool.examine()).level == "problem"


def test_tracing(environment: pytest.MonkeyPatch) -> None:
    assert by_subject(tracing.examine())["service"].to_do == "set OTEL_SERVICE_NAME"
    environment.setenv("OTEL_SERVICE_NAME", "shop")
    environment.setenv("OTEL_SDK_DISABLED", "true")
    environment.setenv("OTEL_TRACES_SAMPLER", "always_off")
    environment.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "5")
    environment.setenv("ANTHROPIC_OPEN_TELEMETRY", "false")
    found = by_subject(tracing.examine())
    assert found["service"].what == "shop"
    assert "OTEL_SDK_DISABLED" in found["tracing"].what
    assert found["sampler"].what.startswith("always_off")
    assert "LIMIT=5" in found["limits"].what
    assert found["anthropic"].what == "its own tracing is off"
    environment.delenv("ANTHROPIC_OPEN_TELEMETRY")
    assert "traces itself" in by_subject(tracing.examine())["anthropic"].what


def test_others_that_make_a_second_span(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    metadata = tmp_path / "others-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[opentelemetry_instrumentor]\nopenai = others:OpenAI\ntogether = others:Together\n"
    )
    environment.syspath_prepend(str(tmp_path))  # pyright: ignore[reportUnknownMemberType]
    environment.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "together")
    found = by_subject(tracing.examine())
    assert found["openai of others"].level == "warning"
    assert found["openai of others"].to_do.endswith("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=openai")
    assert found["together of others"].what == "switched off"


def test_trust(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("SPANMETER_MISSING_TENANT", raising=False)
    environment.delenv("SPANMETER_TRUST_INBOUND", raising=False)
    found = by_subject(trusting.examine())
    assert found["missing tenant"].level == found["inbound trust"].level == "ok"
    environment.setenv("SPANMETER_MISSING_TENANT", "refuse")
    environment.setenv("SPANMETER_TRUST_INBOUND", "the-office")
    found = by_subject(trusting.examine())
    assert found["missing tenant"].level == found["inbound trust"].level == "problem"
    environment.setenv("SPANMETER_TRUST_INBOUND", "always")
    assert by_subject(trusting.examine())["inbound trust"].level == "warning"
    environment.setenv("SPANMETER_TRUST_INBOUND", "10.0.0.0/8")
    assert "10.0.0.0/8" in by_subject(trusting.examine())["inbound trust"].what


def test_a_leak_of_baggage_is_a_problem(environment: pytest.MonkeyPatch) -> None:
    """With everything switched off, a library that sends baggage by itself is not looked after."""
    environment.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "*")
    leak = by_subject(trusting.examine())["baggage"]
    assert leak.level == "problem"
    assert "anthropic" in leak.what
    assert "openai" not in leak.what
