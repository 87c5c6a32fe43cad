"""What really sends, with a key in its environment: our pipeline and OpenTelemetry's exporters, over gRPC and HTTP."""

from __future__ import annotations

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
    """Runs an application that records twenty calls and ends; their ids."""
    grpc, http = collector.addresses
    environ = environment(
        spool,
        f"http://{grpc if protocol == 'grpc' else http}",
        SPANMETER_PROTOCOL=protocol,
        SPANMETER_HEADERS=f"authorization=Bearer%20{token}",
    )
    return run("exits", environ)


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_our_pipeline_sends_with_its_key(plain_dsn: str, tmp_path: Path, protocol: str) -> None:
    key = make_key(plain_dsn, "acme")
    with guarded(plain_dsn) as collector:
        recorded = pipeline(collector, protocol, tmp_path, key.token)
    assert sorted(int.from_bytes(each) for each in Ledger(plain_dsn).spans()) == sorted(recorded)
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
        sent = pipeline(collector, protocol, tmp_path, make_key(plain_dsn).token)
    booked = sorted(int.from_bytes(each) for each in Ledger(plain_dsn).spans())
    assert booked == sorted(kept + sent)


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
