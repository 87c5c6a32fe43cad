"""The OpenTelemetry Collector, the one in Go, in front of us: what it took before and in an outage arrives, once."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

import otlp
from booking import query
from interop.building import collector
from load import Load, audit, awaited
from receivers import Receivers, receivers
from spanmeter.collector_receiver import Addresses, CollectorSettings

CONFIGURATION = """
receivers:
  otlp: {{protocols: {{grpc: {{endpoint: "{address}"}}}}}}
processors:
  batch: {{timeout: 50ms, send_batch_size: 512}}
exporters:
  {exporter}:
    endpoint: "{endpoint}"
    tls: {{insecure: true}}
    compression: {compression}
    retry_on_failure: {{initial_interval: 100ms, max_interval: 1s}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], processors: [batch], exporters: [{exporter}]}}
"""


@pytest.fixture(scope="session")
def program() -> Path:
    return collector()


@pytest.fixture(name="receivers")
def running_receivers() -> Generator[Receivers]:
    with receivers() as running:
        yield running


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def forwarding(
    program: Path, directory: Path, to: Addresses, exporter: str, compression: str
) -> Generator[str]:
    """The Go collector, which sends what it takes to us; its own address."""
    address = free_address()
    endpoint = to.grpc if exporter == "otlp" else f"http://{to.http}"
    configuration = directory / "collector.yaml"
    configuration.write_text(
        CONFIGURATION.format(
            address=address, endpoint=endpoint, exporter=exporter, compression=compression
        )
    )
    with ExitStack() as stack:
        log = stack.enter_context((directory / "collector.log").open("wb"))
        process = stack.enter_context(
            subprocess.Popen([program, "--config", configuration], stderr=log)
        )
        stack.callback(process.terminate)
        with otlp.Client(address) as client:
            client.deliver(b"")
        yield address


@contextmanager
def locked(dsn: str) -> Generator[None]:
    """The ledger takes nothing while the block runs."""
    with psycopg.connect(dsn) as connection:
        connection.execute("LOCK TABLE usage_events IN ACCESS EXCLUSIVE MODE")
        yield


@pytest.mark.parametrize(
    ("exporter", "compression"),
    [("otlp", "gzip"), ("otlp", "none"), ("otlphttp", "gzip"), ("otlphttp", "none")],
)
@pytest.mark.parametrize("outage", ["receiver", "database"])
def test_nothing_is_lost_in_an_outage(
    program: Path,
    receivers: Receivers,
    timescale_dsn: str,
    tmp_path: Path,
    exporter: str,
    compression: str,
    outage: str,
) -> None:
    settings = CollectorSettings(
        dsn=timescale_dsn, grpc="127.0.0.1:0", http="127.0.0.1:0", hold=1.0
    )
    receiver = receivers.start(settings)
    settings = replace(settings, grpc=receiver.addresses.grpc, http=receiver.addresses.http)
    with forwarding(program, tmp_path, receiver.addresses, exporter, compression) as address:
        load = Load(address)
        with load.running():
            load.wait_for(500)
            if outage == "receiver":
                receiver.kill()
                load.wait_for(500)
                receivers.start(settings)
            else:
                with locked(timescale_dsn):
                    load.wait_for(500)
            load.wait_for(500)
        count = "SELECT count(*) FROM usage_events"
        awaited(lambda: query(timescale_dsn, count) == [(len(load.sent),)])

    assert not load.refusals
    log = (tmp_path / "collector.log").read_text()
    assert "Dropping data" not in log
    assert "Exporting failed. Will retry" in log or outage == "database"
    audit(timescale_dsn, load)
