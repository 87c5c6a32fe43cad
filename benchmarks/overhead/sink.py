"""A collector that takes what it is sent and forgets it: a process of its own, so that none of its work is counted.

Prints its address.
"""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Sink(BaseHTTPRequestHandler):
    """Accepts every `ExportTraceServiceRequest`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Reads the request, and accepts it: an empty response is a whole one."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()
