"""The demo's cast: a simulated provider, and a SaaS of two services that knows nothing of metering.

What is metered is metered by `opentelemetry-instrument` and these environment variables alone.
"""

import json
import os
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.request import ProxyHandler, build_opener

from spanmeter.console.demo.examples import examples_directory
from spanmeter.console.demo.processes import Child, signals_held

_START_S: Final = 60.0
_STOP_S: Final = 20.0
_TRAFFIC_S: Final = 600.0


class Stage:
    """Runs the programs of the demo; leaving the context ends all that still run.

    Every method raises `ChildFailed` if its program does not do what it should.
    """

    def __init__(self, logs: Path, grpc: str) -> None:
        self._logs = logs
        self._environ = _environ(grpc) | {"SPANMETER_SPOOL": str(logs.parent / "spool")}
        self._running = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._running.close()

    def start_provider(self) -> str:
        """Start the simulated provider; its address, which the services are told."""
        child = self._start("provider", [sys.executable, "-m", "simulated_provider"], {})
        url = child.wait_for(r"(http://\S+)", _START_S)
        self._environ |= {
            "OPENAI_BASE_URL": f"{url}/v1",
            "ANTHROPIC_BASE_URL": url,
            # A host that is not known is not OpenAI, and has no prices.
            "SPANMETER_PROVIDER_HOSTS": "127.0.0.1=openai",
        }
        return url

    def start_service(self, name: str, variables: Mapping[str, str]) -> tuple[Child, str]:
        """Start one service of the SaaS under `opentelemetry-instrument`; it, and its address."""
        instrument = Path(sysconfig.get_path("scripts")) / "opentelemetry-instrument"
        server = ["-m", "uvicorn", f"saas.{name}:app", "--port", "0", "--no-access-log"]
        argv = [str(instrument), sys.executable, *server]
        child = self._start(name, argv, {"OTEL_SERVICE_NAME": name, **variables})
        return child, child.wait_for(r"running on (http://\S+)", _START_S)

    def run_traffic(self, gateway: str, requests: int) -> None:
        """Send the customers' requests through the gateway, and wait until all are answered."""
        argv = [sys.executable, "-m", "saas.traffic", "--gateway", gateway]
        self._start("traffic", [*argv, "--requests", str(requests)], {}).finish(_TRAFFIC_S)

    def stop(self, service: Child) -> None:
        """End a service in order: what it still holds is delivered before it is gone."""
        service.stop(_STOP_S)

    def _start(self, name: str, argv: Sequence[str], variables: dict[str, str]) -> Child:
        with signals_held():
            child = Child(name, argv, self._environ | variables, self._logs / f"{name}.log")
            return self._running.enter_context(child)


def served_by(provider: str) -> Mapping[str, Any]:
    """The sums of what the provider served, by its own count."""
    direct = build_opener(ProxyHandler({}))
    with direct.open(f"{provider}/_served", timeout=10) as answer:
        sums: Mapping[str, Any] = json.load(answer)
    return sums


def _environ(grpc: str) -> dict[str, str]:
    """This process's variables, with all that concerns telemetry and the provider replaced."""
    # Whatever the user's own services export, or which proxy they use, is not the demo's business.
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(("OTEL_", "SPANMETER_", "OPENAI_", "ANTHROPIC_"))
    }
    paths = [str(examples_directory()), kept.get("PYTHONPATH", "")]
    return kept | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "OPENAI_API_KEY": "demo",
        "ANTHROPIC_API_KEY": "demo",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{grpc}",
    }
