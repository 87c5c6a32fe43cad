"""Transport security on both ports: who is let in, and who is not."""

# The stubs of grpc and trustme leave types open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
import trustme

import otlp
from collecting import Ledger
from spanmeter.collector_receiver import Collector, CollectorSettings
from spanmeter.collector_receiver.tls import Tls, UnusableCertificate

HEADERS = {"content-type": "application/x-protobuf"}


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA, tmp_path: Path) -> Tls:
    """The collector's own certificate; senders need one too."""
    issued = authority.issue_cert("localhost")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(key))
    client_authority = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(client_authority))
    return Tls(certificate=certificate, key=key, client_authority=client_authority)


@pytest.fixture
def served(plain_dsn: str, tls: Tls) -> Generator[Collector]:
    settings = CollectorSettings(dsn=plain_dsn, grpc="localhost:0", http="localhost:0", tls=tls)
    with Collector(settings) as running:
        yield running


def export(collector: Collector, authority: trustme.CA, client: trustme.LeafCert | None) -> bytes:
    """One request over gRPC."""
    credentials = grpc.ssl_channel_credentials(
        authority.cert_pem.bytes(),
        client.private_key_pem.bytes() if client else None,
        client.cert_chain_pems[0].bytes() if client else None,
    )
    with grpc.secure_channel(collector.addresses.grpc, credentials) as channel:
        answer: bytes = channel.unary_unary(otlp.EXPORT, None, None)(
            otlp.llm_request(1), timeout=10
        )
        return answer


def post(collector: Collector, authority: trustme.CA, client: trustme.LeafCert | None) -> int:
    """One request over HTTP; the status."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if client is not None:
        client.configure_cert(context)
    port = int((collector.addresses.http or "").rpartition(":")[2])
    connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=10)
    try:
        connection.request("POST", "/v1/traces", otlp.llm_request(1), HEADERS)
        return connection.getresponse().status
    finally:
        connection.close()


def test_fault_17_who_shows_a_certificate_of_the_authority_is_let_in(
    served: Collector, authority: trustme.CA, plain_dsn: str
) -> None:
    client = authority.issue_cert("sender.example")

    export(served, authority, client)
    assert post(served, authority, client) == 200

    assert len(Ledger(plain_dsn).spans()) == 2


@pytest.mark.parametrize(
    "shown", ["no certificate", "one of another authority", "one that has expired"]
)
def test_fault_17_who_shows_no_certificate_of_the_authority_is_not(
    served: Collector, authority: trustme.CA, plain_dsn: str, shown: str
) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    client = {
        "no certificate": None,
        "one of another authority": trustme.CA().issue_cert("sender.example"),
        "one that has expired": authority.issue_cert("sender.example", not_after=yesterday),
    }[shown]

    with pytest.raises(grpc.RpcError) as refused:
        export(served, authority, client)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    with pytest.raises(OSError):  # noqa: PT011 (a TLS alert, or the connection reset: it depends on timing)
        post(served, authority, client)

    assert Ledger(plain_dsn).spans() == []


@pytest.mark.parametrize("port", ["grpc", "http"])
def test_fault_17_who_insists_on_an_old_version_is_not_let_in(
    served: Collector, authority: trustme.CA, port: str
) -> None:
    """As somebody in between would have two that speak newer ones do."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    authority.issue_cert("sender.example").configure_cert(context)
    address: str = getattr(served.addresses, port)
    host, _, number = address.rpartition(":")

    def agreed() -> str | None:
        with (
            socket.create_connection((host, int(number)), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            return secure.version()

    assert agreed() == "TLSv1.3"
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    # Otherwise OpenSSL would not even ask for it.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match=r"ALERT_PROTOCOL_VERSION|UNEXPECTED_EOF"):
        agreed()


def test_fault_17_who_speaks_plainly_is_not_let_in(served: Collector, plain_dsn: str) -> None:
    with (
        grpc.insecure_channel(served.addresses.grpc) as channel,
        pytest.raises(grpc.RpcError),
    ):
        channel.unary_unary(otlp.EXPORT, None, None)(otlp.llm_request(1), timeout=10)

    assert Ledger(plain_dsn).spans() == []


def test_a_key_of_another_certificate_is_named(tls: Tls, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(str(other))

    with pytest.raises(UnusableCertificate, match=r"other\.pem"):
        Tls(certificate=tls.certificate, key=other).credentials()


def test_a_missing_authority_is_named(tls: Tls, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"

    with pytest.raises(UnusableCertificate, match=r"missing\.pem"):
        Tls(certificate=tls.certificate, key=tls.key, client_authority=missing).context()
