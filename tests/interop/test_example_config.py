"""The configuration that the examples give the OpenTelemetry Collector, in it, to a receiver with TLS and keys."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import trustme
import yaml

import otlp
from booking import query
from interop.building import collector
from interop.test_go_collector import free_address
from keys import make_key
from load import awaited
from receivers import receivers
from spanmeter.collector_receiver import CollectorSettings
from spanmeter.collector_receiver.tls import Tls

CONFIGURATION = Path(__file__).parents[2] / "examples/deployment/collector/config.yaml"


def here(authority: str, address: str) -> dict[str, Any]:
    """The configuration on this machine. What keeps the queue on disk is not in Debian's Collector."""
    configuration: dict[str, Any] = yaml.safe_load(CONFIGURATION.read_text())
    configuration["receivers"]["otlp"]["protocols"] = {"grpc": {"endpoint": address}}
    exporter = configuration["exporters"]["otlp/spanmeter"]
    exporter["tls"]["ca_file"] = authority
    assert exporter["sending_queue"].pop("storage") in configuration.pop("extensions")
    del configuration["service"]["extensions"]
    configuration["service"]["telemetry"] = {"metrics": {"level": "none"}}
    return configuration


def test_the_example_configuration_forwards_with_a_key_over_tls(
    timescale_dsn: str, tmp_path: Path
) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    for name, blob in (
        ("ca.pem", authority.cert_pem),
        ("cert.pem", certificate.cert_chain_pems[0]),
        ("key.pem", certificate.private_key_pem),
    ):
        blob.write_to_path(str(tmp_path / name))
    address = free_address()
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(here(str(tmp_path / "ca.pem"), address)))
    with receivers() as running, ExitStack() as stack:
        receiver = running.start(
            CollectorSettings(
                dsn=timescale_dsn,
                grpc="127.0.0.1:0",
                auth=True,
                tls=Tls(certificate=tmp_path / "cert.pem", key=tmp_path / "key.pem"),
            )
        )
        process = stack.enter_context(
            subprocess.Popen(
                [collector(), "--config", tmp_path / "config.yaml"],
                env={
                    **os.environ,
                    "SPANMETER_COLLECTOR": receiver.address.replace("127.0.0.1", "localhost"),
                    "SPANMETER_KEY": make_key(timescale_dsn).token,
                },
            )
        )
        stack.callback(process.terminate)
        with otlp.Client(address) as client:
            client.deliver(otlp.llm_request(7))
        awaited(lambda: query(timescale_dsn, "SELECT count(*) FROM usage_events") == [(7,)])
