"""Servers of several processes, and workers: every call is a row of its own tenant, and there are no others."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from databases.redis import broker
from services import vendors
from simulated_provider import SimulatedProvider
from spanmeter.collector_receiver import Collector, CollectorSettings
from spanmeter.instrumentation import instrument, uninstrument, usage

TESTS = Path(__file__).parents[1]
CUSTOMERS = [f"customer-{number}" for number in range(24)]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def provider() -> Generator[SimulatedProvider]:
    with SimulatedProvider() as running:
        yield running


@pytest.fixture
def environ(
    timescale_dsn: str, provider: SimulatedProvider, tmp_path: Path
) -> Generator[dict[str, str]]:
    """The environment of a service whose spans go to a real collector."""
    with Collector(CollectorSettings(dsn=timescale_dsn, grpc="127.0.0.1:0")) as collector:
        yield {
            **os.environ,
            **vendors(provider),
            "PYTHONPATH": str(TESTS),
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.grpc_address}",
            "SPANMETER_EXPORTER": "otlp",
            "SPANMETER_SPOOL": str(tmp_path / "spool"),
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
        }


@contextmanager
def running(
    argv: list[str], environ: Mapping[str, str], ready: str, log: Path
) -> Generator[re.Match[str]]:
    """A program under `opentelemetry-instrument`, from when it says that it is ready; stopped by SIGTERM."""
    programs = Path(sys.executable).parent
    command = [str(programs / "opentelemetry-instrument"), str(programs / argv[0]), *argv[1:]]
    with (
        log.open("wb") as printed,
        subprocess.Popen(command, env=environ, stdout=printed, stderr=printed) as process,
    ):
        try:
            yield _said(ready, log, process)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _said(ready: str, log: Path, process: subprocess.Popen[bytes]) -> re.Match[str]:
    deadline = time.monotonic() + 60
    while (found := re.search(ready, log.read_text())) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(log.read_text())
        time.sleep(0.02)
    return found


def tenants_of_rows(dsn: str, count: int) -> dict[str, str | None]:
    """Whose each row is, by the id of its response, once there are as many: what a process could not
    deliver before its end is delivered by the next of its service, or by `spanmeter spool flush`."""
    deadline = time.monotonic() + 60
    with psycopg.connect(dsn, autocommit=True) as connection:
        while True:
            rows = connection.execute("SELECT response_id, tenant_id FROM usage_events").fetchall()
            if len(rows) >= count or time.monotonic() > deadline:
                assert len(rows) == len(dict(rows))
                return dict(rows)
            time.sleep(0.05)


def asked_for(provider: SimulatedProvider) -> list[str]:
    """Whom each request was for, as the provider was told in the prompt."""
    prompts = [str(request.json()["messages"][0]["content"]) for request in provider.requests]
    return [prompt.removeprefix("for ") for prompt in prompts]


def post_all(url: str) -> list[dict[str, Any]]:
    """A request of each customer, twelve at a time, each on a connection of its own."""

    def post(customer: str) -> dict[str, Any]:
        answer = httpx.post(url, headers={"x-customer": customer}, timeout=60)
        answered: dict[str, Any] = answer.raise_for_status().json()
        return answered

    with ThreadPoolExecutor(12) as pool:
        return list(pool.map(post, CUSTOMERS * 4))


@pytest.mark.parametrize("preload", [False, True], ids=["prefork", "preload"])
def test_gunicorn_with_four_workers(
    environ: dict[str, str], timescale_dsn: str, tmp_path: Path, *, preload: bool
) -> None:
    argv = ["gunicorn", "--workers", "4", "--threads", "3", "--bind", "127.0.0.1:0"]
    argv += [*(["--preload"] if preload else []), "deployed.wsgi_app:application"]
    with running(argv, environ, r"Listening at: (http://\S+)", tmp_path / "log") as listening:
        answers = post_all(listening[1])
    rows = tenants_of_rows(timescale_dsn, len(answers))
    assert rows == {answer["id"]: answer["customer"] for answer in answers}
    assert len({answer["process"] for answer in answers}) > 1


def test_uvicorn_with_two_workers(
    environ: dict[str, str], provider: SimulatedProvider, timescale_dsn: str, tmp_path: Path
) -> None:
    # A server of several processes does not say which port it was given.
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    argv = ["uvicorn", "--workers", "2", "--port", str(port), "deployed.asgi_app:app"]
    # A busy machine takes longer to load the application than uvicorn waits for a worker by default.
    argv += ["--timeout-worker-healthcheck", "60"]
    with running(argv, environ, "Application startup complete", tmp_path / "log"):
        answers = post_all(f"http://127.0.0.1:{port}")
    rows = tenants_of_rows(timescale_dsn, 2 * len(answers))
    assert len(rows) == 2 * len(answers)
    assert rows.items() >= {answer["id"]: answer["customer"] for answer in answers}.items()
    assert sorted(map(str, rows.values())) == sorted(asked_for(provider))


@pytest.fixture
def sent(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Generator[Any]:
    """The application's tasks, to be sent from here through a broker."""
    with broker(tmp_path) as url:
        environ["BROKER_URL"] = url
        monkeypatch.setenv("BROKER_URL", url)
        sys.modules.pop("deployed.tasks", None)  # which reads where its broker is when it is loaded
        instrument()
        tasks: Any = import_module("deployed.tasks")
        yield tasks
        tasks.app.close()
        uninstrument()


@pytest.mark.parametrize("beside", ["alone", "beside OpenTelemetry's"])
def test_a_celery_worker(
    environ: dict[str, str], sent: Any, timescale_dsn: str, tmp_path: Path, beside: str
) -> None:
    if beside == "alone":
        environ["OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"] = "celery"
    argv = ["celery", "-A", "deployed.tasks", "worker", "--concurrency", "4", "--loglevel", "INFO"]
    with running(argv, environ, r"celery@\S+ ready", tmp_path / "log"):
        results: list[Any] = []
        for number, customer in enumerate(CUSTOMERS * 2):
            with usage(tenant_id=customer):
                results.append(sent.summarize.delay(customer, fails=number % 3))
        nobodys = sent.summarize.delay("nobody")
        with usage(tenant_id="nested"):
            nested = sent.app.AsyncResult(sent.index.delay("nested").get(timeout=60))
        answers = [result.get(timeout=60) for result in [*results, nobodys, nested]]
    rows = tenants_of_rows(timescale_dsn, len(answers))
    expected = {answer["id"]: answer["customer"] for answer in answers}
    expected[nobodys.get()["id"]] = None
    assert rows == expected
    assert len({answer["process"] for answer in answers}) > 1
