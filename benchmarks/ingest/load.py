"""One process that sends: `load.py ADDRESS SECONDS CONCURRENCY SPANS none|gzip`. Prints a line of JSON.

Every thread sends its next request when the one before is acknowledged. Only what was acknowledged counts.
"""

# grpc-stubs leaves the types of messages open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from traffic import Traffic

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
COMPRESSION = {"none": grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip}


def main(address: str, seconds: float, concurrency: int, spans: int, compression: str) -> None:
    """Sends for so many seconds over one connection."""
    with grpc.insecure_channel(address, compression=COMPRESSION[compression]) as channel:
        export = channel.unary_unary(EXPORT, None, None)
        export(b"", wait_for_ready=True, timeout=30)
        ready = threading.Barrier(concurrency)

        def send(_: int) -> list[float]:
            traffic = Traffic(spans)
            latencies: list[float] = []
            ready.wait()
            end = time.monotonic() + seconds
            while (started := time.monotonic()) < end:
                export(traffic.renewed(), timeout=30)
                latencies.append(time.monotonic() - started)
            return latencies

        with ThreadPoolExecutor(concurrency) as threads:
            began = time.monotonic()
            latencies = sorted(
                each for sent in threads.map(send, range(concurrency)) for each in sent
            )
            took = time.monotonic() - began
    figures = {
        "spans": spans * len(latencies),
        "seconds": took,
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[len(latencies) * 99 // 100],
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
