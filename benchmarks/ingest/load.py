"""One process that sends: `load.py ADDRESS SECONDS CONCURRENCY SPANS PROTOCOL`. Prints a line of JSON.

Every thread sends its next request when the one before is acknowledged. Only what was acknowledged counts.
"""

# grpc-stubs leaves the types of messages open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import http.client
import json
import sys
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import grpc
from traffic import Traffic

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
OF_ITS_OWN = [("grpc.use_local_subchannel_pool", 1)]
COMPRESSION = {"grpc": grpc.Compression.NoCompression, "grpc+gzip": grpc.Compression.Gzip}


@contextmanager
def over_grpc(address: str, compression: grpc.Compression) -> Generator[Callable[[bytes], object]]:
    """Sends over a connection for each thread."""
    own = threading.local()
    with ExitStack() as channels:

        def export(body: bytes) -> None:
            if not hasattr(own, "export"):
                channel = grpc.insecure_channel(address, OF_ITS_OWN, compression)
                own.export = channels.enter_context(channel).unary_unary(EXPORT, None, None)
            own.export(body, wait_for_ready=True, timeout=30)

        yield export


@contextmanager
def over_http(address: str) -> Generator[Callable[[bytes], object]]:
    """Sends over a connection for each thread."""
    host, _, port = address.rpartition(":")
    own = threading.local()

    def export(body: bytes) -> None:
        if not hasattr(own, "connection"):
            own.connection = http.client.HTTPConnection(host, int(port), timeout=30)
        own.connection.request(
            "POST", "/v1/traces", body, {"content-type": "application/x-protobuf"}
        )
        response = own.connection.getresponse()
        if response.status != http.client.OK or response.read():
            raise SystemExit(f"the request was answered {response.status}")

    yield export


def main(address: str, seconds: float, concurrency: int, spans: int, protocol: str) -> None:
    """Sends for so many seconds."""
    sending = (
        over_http(address) if protocol == "http" else over_grpc(address, COMPRESSION[protocol])
    )
    with sending as export:
        traffic = Traffic(spans)

        def send(_: int) -> list[float]:
            latencies: list[float] = []
            end = time.monotonic() + seconds
            while (started := time.monotonic()) < end:
                export(traffic.renewed())
                latencies.append(time.monotonic() - started)
            return latencies

        with ThreadPoolExecutor(concurrency) as threads:
            began, used = time.monotonic(), time.process_time()
            latencies = sorted(
                each for sent in threads.map(send, range(concurrency)) for each in sent
            )
            took, used = time.monotonic() - began, time.process_time() - used
    figures = {
        "spans": spans * len(latencies),
        "seconds": took,
        "cpu": used,
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[len(latencies) * 99 // 100],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
