"""Connections: TLS and client certificates, proxies, large requests, and servers that are no collector."""

# grpc-stubs leaves the types of messages open.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import pytest

from unit.instrumentation.pipeline.making import pipeline, record
from unit.instrumentation.pipeline.receivers import Receiver, grpc_receiver, http_receiver

Either = tuple[Receiver, str]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Files of a certificate that vouches for itself and for localhost, and of its key."""
    directory = tmp_path_factory.mktemp("tls")
    cert, key = str(directory / "cert.pem"), str(directory / "key.pem")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", key, "-out", cert),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


@contextmanager
def secure_receiver(protocol: str, certificate: tuple[str, str]) -> Generator[Receiver]:
    """A collector that asks its clients for a certificate."""
    cert, key = (Path(path).read_bytes() for path in certificate)
    if protocol == "grpc":
        credentials = grpc.ssl_server_credentials([(key, cert)], cert, require_client_auth=True)
        with grpc_receiver(credentials=credentials) as receiver:
            yield receiver
    else:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificate[0])
        context.load_cert_chain(*certificate)
        context.verify_mode = ssl.CERT_REQUIRED
        with http_receiver(tls=context) as receiver:
            yield receiver


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_tls_on_both_sides(protocol: str, certificate: tuple[str, str], spool: Path) -> None:
    cert, key = certificate
    with secure_receiver(protocol, certificate) as receiver:
        stranger = pipeline(
            spool, receiver.address, SPANMETER_PROTOCOL=protocol, SPANMETER_CERTIFICATE=cert
        )
        record(stranger)
        assert not stranger.flush(1)
        stranger.shutdown(0)
        assert receiver.asked == 0

        known = pipeline(
            spool,
            receiver.address,
            SPANMETER_PROTOCOL=protocol,
            SPANMETER_CERTIFICATE=cert,
            SPANMETER_CLIENT_CERTIFICATE=cert,
            SPANMETER_CLIENT_KEY=key,
        )
        made = record(known)
        assert known.flush(60)
        assert receiver.span_ids == [made], "what was recorded as another is not its own to send"
        known.shutdown()


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_certificate_of_nobody_we_know_is_not_accepted(
    protocol: str, certificate: tuple[str, str], spool: Path
) -> None:
    with secure_receiver(protocol, certificate) as receiver:
        sending = pipeline(spool, receiver.address, SPANMETER_PROTOCOL=protocol)
        record(sending)
        assert not sending.flush(1)
        assert "CERTIFICATE_VERIFY_FAILED" in str(sending.status().failure)
        sending.shutdown(0)


def test_large_records_arrive_whole(either: Either, spool: Path) -> None:
    """More than the windows of HTTP/2 let through at once."""
    receiver, protocol = either
    sending = pipeline(spool, receiver.address, SPANMETER_PROTOCOL=protocol)
    made = [record(sending, {"usage.raw": "x" * size}) for size in [9000] * 300 + [3_000_000] * 2]
    assert sending.flush(60)
    assert receiver.span_ids == made
    assert max(request.ByteSize() for request in receiver.requests[:-2]) < 1_200_000
    sending.shutdown()


class Proxy:
    """Passes bytes on to where CONNECT asks it to; remembers where that was."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.asked: list[bytes] = []

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _connect(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(1)
        self.asked.append(head)
        host, _, port = head.split()[1].partition(b":")
        server = socket.create_connection((host.decode(), int(port)))
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        there = threading.Thread(target=_pass_on, args=(client, server), daemon=True)
        there.start()
        _pass_on(server, client)
        there.join()
        client.close()
        server.close()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy() -> Generator[Proxy]:
    proxy = Proxy()
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    yield proxy
    proxy.close()
    thread.join()


def test_through_the_proxy_of_the_environment(
    collector: Receiver, spool: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://me:p%40ss@127.0.0.1:{proxy.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    sending = pipeline(spool, collector.address)
    made = record(sending)
    assert sending.flush(60)
    sending.shutdown()
    assert collector.span_ids == [made]
    (asked,) = proxy.asked
    assert asked.startswith(b"CONNECT localhost:")
    assert b"Basic bWU6cEBzcw==" in asked

    monkeypatch.setenv("no_proxy", "localhost")
    direct = pipeline(spool, collector.address)
    record(direct)
    assert direct.flush(60)
    direct.shutdown()
    assert len(proxy.asked) == 1


def test_http_through_the_proxy_of_the_environment(
    http_collector: Receiver, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without TLS a proxy is asked to send the request itself: here the collector plays the proxy."""
    monkeypatch.setenv("http_proxy", http_collector.address)
    monkeypatch.delenv("no_proxy", raising=False)
    endpoint = "http://collector.invalid:4318"
    sending = pipeline(spool, endpoint, SPANMETER_PROTOCOL="http/protobuf")
    record(sending)
    assert sending.flush(60)
    assert http_collector.headers[0][":path"] == f"{endpoint}/v1/traces"
    sending.shutdown()


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize(
    "answer",
    [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<html>"],
    ids=["silence", "ssh", "html"],
)
def test_what_is_no_collector_gets_nothing_out_of_us(
    protocol: str, answer: bytes, spool: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = server.accept()
                    with client:
                        client.recv(65536)
                        client.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        sending = pipeline(spool, address, SPANMETER_PROTOCOL=protocol, SPANMETER_TIMEOUT="2")
        record(sending)
        assert not sending.flush(1.5)
        status = sending.status()
        assert status.failure is not None
        assert (status.pending, status.delivered) == (1, 0)
        sending.shutdown(0)
        server.shutdown(socket.SHUT_RDWR)
