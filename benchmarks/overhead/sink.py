"""A collector that takes what it is sent and forgets it: a process of its own, so that none of its work is counted. To
the one row that is to have a budget it lends whatever is asked for.

Prints its address.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BUDGET = {
    "name": "acme",
    "scope": {"tenant.id": "acme"},
    "metric": "cost",
    "currency": "USD",
    "action": "block",
    "fail": "closed",
    "per_request": None,
    "unpriced": "refuse",
    "output_tokens": 4096,
    "max_wait": 30,
    "least_output": 256,
    "models": {},
}


def told(asked):  # type: ignore[no-untyped-def]
    """What is answered about budgets."""
    budgeted = asked["service"] == "spanmeter, with a budget"
    told = {"lent": "1000000", "spent": "0", "limit": "1e9", "left": "1e9", "others": "0"}
    until = {
        "recalled": False,
        "window": "2026-01-01T00:00:00+00:00",
        "resets_at": None,
        "ends_in": None,
    }
    wallets = [{**each, **told, **until} for each in asked["wallets"]]
    cost = {"tokens": ["0.00000015", "0.0000006"] * 2, "units": {}, "currency": "USD"}
    rates = [{"model": model, "cost": cost} for model in asked["models"]]
    answer = {"version": "1", "lives": 15, "wallets": wallets, "rates": rates}
    if asked["known"] != "1":
        answer["budgets"] = [BUDGET] if budgeted else []
    return json.dumps(answer).encode()


class Sink(BaseHTTPRequestHandler):
    """Accepts every `ExportTraceServiceRequest`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Reads the request, and accepts it: of records, an empty response is a whole one."""
        body = self.rfile.read(int(self.headers["content-length"]))
        answer = told(json.loads(body)) if self.path.endswith("/budgets") else b""
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()
