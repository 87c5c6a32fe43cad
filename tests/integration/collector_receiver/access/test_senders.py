"""What really sends, with a key in its environment: our pipeline and OpenTelemetry's exporters, over gRPC and HTTP."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as OverGrpc
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as OverHttp
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

import otlp
from collecting import Ledger
from keys import make_key
from spanmeter.collector_receiver import Collector, CollectorSettings
from spanmeter.storage.api_keys import create_key, revoke_key
from spanmeter.storage.connection import connect
from unit.instrumentation.pipeline.apps import environment, run

ANYWHERE = "127.0.0.1:0"


def guarded(dsn: str) -> Collector:
    return Collector(CollectorSettings(dsn=dsn, grpc=ANYWHERE, http=ANYWHERE, auth=True))


def pipeline(collector: Collector, protocol: str, spool: Path, token: str) -> list[int]:
    """Runs an application that records twenty calls, ends, and records one more; their ids."""
    return run("exits", settings(collector, protocol, spool, token))


def settings(collector: Collector, protocol: str, spool: Path, token: str) -> dict[str, str]:
    grpc, http = collector.addresses
    return environment(
        spool,
        f"http://{grpc if protocol == 'grpc' else http}",
        SPANMETER_PROTOCOL=protocol,
        SPANMETER_HEADERS=f"authorization=Bearer%20{token}",
    )


def flush(environ: dict[str, str]) -> None:
    """What an operator runs once a key was replaced."""
    command = [
        str(Path(sys.executable).with_name("spanmeter")),
        "spool",
        "flush",
        "--any-destination",
    ]
    subprocess.run(command, env=environ, check=True, timeout=90)


def booked(dsn: str) -> list[int]:
    return sorted(int.from_bytes(each) for each in Ledger(dsn).spans())


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_our_pipeline_sends_with_its_key(plain_dsn: str, tmp_path: Path, protocol: str) -> None:
    key = make_key(plain_dsn, "acme")
    with guarded(plain_dsn) as collector:
        *recorded, _ = pipeline(collector, protocol, tmp_path, key.token)
    assert booked(plain_dsn) == sorted(recorded)
    assert set(Ledger(plain_dsn).column("key_id")) == {key.key_id}


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_our_pipeline_keeps_its_records_until_its_key_is_mended(
    plain_dsn: str, tmp_path: Path, protocol: str
) -> None:
    """A revoked key loses nothing: the spool waits for one that works."""
    with closing(connect(plain_dsn)) as connection:
        gone = create_key(connection, "gone", scopes=["ingest"])
        revoke_key(connection, gone.key_id)
    with guarded(plain_dsn) as collector:
        kept = pipeline(collector, protocol, tmp_path, gone.token)
        assert Ledger(plain_dsn).spans() == []
        flush(settings(collector, protocol, tmp_path, make_key(plain_dsn).token))
    assert booked(plain_dsn) == sorted(kept)


@pytest.mark.parametrize("header", ["authorization=Bearer%20{}", "Authorization=Bearer {}"])
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_exporters_of_opentelemetry_send_with_a_key(
    plain_dsn: str, monkeypatch: pytest.MonkeyPatch, protocol: str, header: str
) -> None:
    key = make_key(plain_dsn)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", header.format(key.token))
    with guarded(plain_dsn) as collector:
        grpc, http = collector.addresses
        exporter: SpanExporter = (
            OverGrpc(f"http://{grpc}", insecure=True)
            if protocol == "grpc"
            else OverHttp(f"http://{http}/v1/traces")
        )
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with provider.get_tracer("spanmeter.openai").start_as_current_span(
            "chat", attributes=otlp.CALL
        ):
            pass
        provider.shutdown()
    assert Ledger(plain_dsn).column("key_id") == [key.key_id]
