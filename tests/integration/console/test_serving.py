"""`spanmeter up` and `collector` as processes: ready, receiving, drained, and their failures."""

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
    OTLPSpanExporter as HttpSpanExporter,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from commands import INSTALLED
from scraping import Scraped, scraped_until

Run = Callable[..., subprocess.CompletedProcess[str]]


class Server:
    """A running `spanmeter up` or `collector`, and what it printed until it was ready."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdout is not None
        self.printed = ""
        for line in process.stdout:
            self.printed += line
            if line.startswith("READY "):
                break
        ready = re.fullmatch(
            r"READY grpc=(\S+) http=(\S+)(?: console=(\S+))?\n",
            self.printed.splitlines(keepends=True)[-1],
        )
        assert ready is not None, self.printed
        self.address = ready[1]
        self.http = ready[2]
        self.console = ready[3]

    def end(self) -> int:
        """Ask it to end, as a supervisor does; its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=30)


Serve = Callable[..., Server]


@pytest.fixture
def serve(tmp_path: Path, environ: dict[str, str]) -> Generator[Serve]:
    """Start `spanmeter ARGUMENTS` on a free port; it ends with the test, however that ends."""
    with ExitStack() as running:

        def serve(*arguments: str, **variables: str) -> Server:
            log = running.enter_context((tmp_path / "log").open("a"))
            process = running.enter_context(
                subprocess.Popen(
                    [INSTALLED, *arguments, "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"],
                    cwd=tmp_path,
                    env=environ | variables,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
            )
            running.callback(process.kill)
            return Server(process)

        yield serve


@pytest.fixture
def data() -> Generator[Path]:
    """A directory that every user can enter: as root, PostgreSQL runs as another one."""
    with tempfile.TemporaryDirectory(prefix="spanmeter-test-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory) / "ledger"


def send(address: str, tenant: str) -> None:
    """Export one LLM call of the tenant, with the exporter that apps use."""
    _send(OTLPSpanExporter(endpoint=f"http://{address}", insecure=True), tenant)


def _send(exporter: SpanExporter, tenant: str) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("spanmeter.openai", "1").start_as_current_span("chat") as span:
        span.set_attributes(
            {
                "tenant.id": tenant,
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-4o-mini",
                "gen_ai.usage.input_tokens": 1000,
                "gen_ai.usage.output_tokens": 10,
            }
        )
    provider.shutdown()


def send_over_http(address: str, tenant: str) -> None:
    """The same, with the exporter for OTLP over HTTP."""
    _send(HttpSpanExporter(endpoint=f"http://{address}/v1/traces"), tenant)


def tenants(spanmeter: Run, *arguments: str) -> list[str]:
    """The tenants that a report of the ledger has, in order."""
    done = spanmeter("report", *arguments, "--format", "csv")
    assert done.stderr == ""
    return sorted(line.partition(",")[0] for line in done.stdout.splitlines()[1:])


def test_up_makes_the_ledger_and_books_what_is_sent(
    serve: Serve, spanmeter: Run, empty_dsn: str
) -> None:
    server = serve("up", "--dsn", empty_dsn)
    assert f"export OTEL_EXPORTER_OTLP_ENDPOINT=http://{server.address}\n" in server.printed
    send(server.address, "acme")
    assert tenants(spanmeter, "--dsn", empty_dsn) == ["acme"]
    assert server.end() == 0


def test_up_serves_the_console_beside_it(serve: Serve, plain_dsn: str) -> None:
    """The link logs in once, and the console ends with what started it."""
    server = serve("up", "--dsn", plain_dsn)
    (link,) = re.findall(r"http://\S+/login/link\?token=\S+", server.printed)
    assert link.startswith(f"http://{server.console}/")
    with httpx.Client(trust_env=False, timeout=60) as browser:
        assert browser.get(link).headers["location"] == "/"
        assert "Overview" in browser.get(f"http://{server.console}/").text
        assert browser.get(link).status_code == 401
    assert server.end() == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{server.console}/healthz", trust_env=False)


def test_up_serves_no_console_where_it_is_off(serve: Serve, plain_dsn: str) -> None:
    server = serve("up", "--dsn", plain_dsn, "--console", "off")
    assert server.console is None
    assert "/login/link" not in server.printed
    assert server.end() == 0


def test_a_collector_books_in_the_ledger_of_the_environment(
    serve: Serve, spanmeter: Run, plain_dsn: str
) -> None:
    server = serve("collector", SPANMETER_DSN=plain_dsn)
    assert server.printed == f"READY grpc={server.address} http={server.http}\n"
    send(server.address, "globex")
    send_over_http(server.http, "initech")
    assert server.end() == 0
    assert tenants(spanmeter, "--dsn", plain_dsn) == ["globex", "initech"]


def test_several_workers_receive_on_one_port(serve: Serve, spanmeter: Run, plain_dsn: str) -> None:
    server = serve("collector", "--workers", "2", SPANMETER_DSN=plain_dsn)
    for number in range(6):
        send(server.address, f"tenant-{number}")
        send_over_http(server.http, f"tenant-{number}")
    assert server.end() == 0
    assert tenants(spanmeter, "--dsn", plain_dsn) == [f"tenant-{number}" for number in range(6)]


def test_any_worker_tells_of_the_metrics_of_all(serve: Serve, plain_dsn: str) -> None:
    server = serve("collector", "--workers", "2", SPANMETER_DSN=plain_dsn)
    scraped_until(server.http, lambda page: len(page.by("span_received_total", "worker")) == 2)
    for number in range(12):
        send(server.address, f"tenant-{number}")

    def told(page: Scraped) -> bool:
        return page.by("span_processed_total", "outcome")["stored"] == 12

    scraped_until(server.http, told)
    # Each connection goes to either of them.
    pages = [scraped_until(server.http, told) for _ in range(6)]
    assert all(set(page.by("span_received_total", "worker")) == {"0", "1"} for page in pages)
    assert all(page.by("database_available", "worker") == {"0": 1, "1": 1} for page in pages)
    assert server.end() == 0


def test_the_log_of_all_processes_is_json_where_asked_for(
    serve: Serve, spanmeter: Run, plain_dsn: str, tmp_path: Path
) -> None:
    server = serve(
        *("collector", "--workers", "2", "--log-format", "json", "--durability", "db"),
        SPANMETER_DSN=plain_dsn,
    )
    send(server.address, "acme")
    assert server.end() == 0
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    stopped = [line for line in lines if line["message"].startswith("stopped; spans: received ")]
    assert len({line["process"] for line in stopped}) == 2
    for line in stopped:
        assert line["level"] == "info"
        assert line["logger"] == "spanmeter.collector_receiver.server"
        assert datetime.fromisoformat(line["time"]).tzinfo is not None


@pytest.mark.timeout(180)
def test_an_embedded_ledger_stays_between_runs_and_can_be_read_meanwhile(
    serve: Serve, spanmeter: Run, data: Path
) -> None:
    for tenant, known in (("acme", ["acme"]), ("globex", ["acme", "globex"])):
        server = serve("up", "--data", str(data))
        send(server.address, tenant)
        assert tenants(spanmeter, "--data", str(data)) == known
        assert server.end() == 0
    assert tenants(spanmeter, "--data", str(data)) == ["acme", "globex"]


def test_a_password_is_neither_printed_nor_logged(
    serve: Serve, plain_dsn: str, tmp_path: Path
) -> None:
    dsn = re.sub("//postgres@", "//postgres:hunter2@", plain_dsn)
    assert "hunter2" in dsn
    server = serve("up", "--dsn", dsn, "--log-level", "debug")
    send(server.address, "acme")
    assert server.end() == 0
    assert "psql " in server.printed
    assert "hunter2" not in server.printed
    assert "hunter2" not in (tmp_path / "log").read_text()


def test_a_taken_port_is_one_sentence(spanmeter: Run, plain_dsn: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refused = spanmeter("up", "--dsn", plain_dsn, "--grpc", address, "--log-level", "error")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"Error: cannot listen on {address}: ")
    assert "--grpc" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--tls-key", "key.pem"], "needs both"),
        (["--tls-key", "key.pem", "--tls-certificate", "none.pem"], "none.pem"),
        (["--workers", "0"], "--workers"),
    ],
)
def test_settings_that_cannot_be_used_are_bad_usage(
    spanmeter: Run, plain_dsn: str, arguments: list[str], complaint: str
) -> None:
    refused = spanmeter("collector", "--dsn", plain_dsn, *arguments)
    assert refused.returncode == 2
    assert complaint in refused.stderr


def test_a_collector_refuses_a_database_without_a_ledger(spanmeter: Run, empty_dsn: str) -> None:
    refused = spanmeter("collector", "--dsn", empty_dsn)
    assert refused.returncode == 1
    assert refused.stderr.endswith("make one with `spanmeter db init`\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="another user can enter its own directories")
def test_a_directory_that_postgresql_cannot_enter_is_one_sentence(
    spanmeter: Run, tmp_path: Path
) -> None:
    refused = spanmeter("up", "--data", str(tmp_path / "ledger"))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "choose a directory such as" in refused.stderr
