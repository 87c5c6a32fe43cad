"""The server's life: in a thread of a test, or as a process of its own."""

import asyncio
import socket
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from simulated_provider.app import Provider
from simulated_provider.reply import Reply
from simulated_provider.served import Received, Served, summary

STARTUP_SECONDS = 10.0
SHUTDOWN_SECONDS = 10.0


class SimulatedProvider:
    """A provider on a free local port for as long as the `with` block lasts.

    It answers from the request alone, the same every time, unless `enqueue` scripts the next
    answers or `default` all of them. `deployments` maps Azure deployment names to models.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        default: Reply | None = None,
        deployments: Mapping[str, str] | None = None,
    ) -> None:
        self._provider = Provider(default or Reply(), deployments or {})
        self._socket = socket.create_server(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = _Server(self._provider)
        self._thread: threading.Thread | None = None

    @property
    def openai_base_url(self) -> str:
        """What OPENAI_BASE_URL wants. For Anthropic's SDK and for Azure's, it is `url`."""
        return self.url + "/v1"

    def enqueue(self, *replies: Reply) -> None:
        """Script the next replies. Retries of a client take one each."""
        self._provider.script.add(*replies)

    def keep(self, kept_id: str, made: dict[str, Any]) -> None:
        """Have something that can be fetched by its id, as if it had been made here."""
        self._provider.kept[kept_id] = made

    @property
    def requests(self) -> list[Received]:
        """Every request so far, as it was received."""
        return self._provider.record.requests

    @property
    def served(self) -> list[Served]:
        """Every attempt that was answered so far, errors included."""
        return self._provider.record.served

    @property
    def bill(self) -> dict[str, Any]:
        """The totals that GET /_served shows."""
        return summary(self.served)

    def wait_for_served(self, count: int, timeout: float = 5.0) -> list[Served]:
        """`served`, once there are `count`: for clients that leave early. Raises TimeoutError."""
        return self._provider.record.wait(count, timeout)

    def reset(self) -> None:
        """Forget the script, the record and the cached prompts."""
        self._provider.reset()

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, in the main thread."""
        self._server.run(sockets=[self._socket])

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.run, name="simulated-provider", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + STARTUP_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the simulated provider did not start")
            time.sleep(0.001)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(SHUTDOWN_SECONDS)


class _Server(uvicorn.Server):
    """Uvicorn, which on its way out ends the answers that hang on purpose."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(
            uvicorn.Config(
                provider.app(),
                loop="asyncio",
                http=_Cuttable,
                ws="auto",
                lifespan="off",
                log_config=None,
                access_log=False,
                # As providers do: one closed while a request is on its way is a call that failed.
                timeout_keep_alive=75,
                timeout_graceful_shutdown=2,
            )
        )
        self._stopping = provider.stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping.set()
        await super().shutdown(sockets)


class _Cuttable(H11Protocol):
    """HTTP/1.1 that lets the application cut a connection, which ASGI has no word for."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app = _with_transport(self.app, transport)


def _with_transport(app: ASGIApp, transport: asyncio.Transport) -> ASGIApp:
    async def passed_on(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "transport": transport, "path": _path(scope)}, receive, send)

    return passed_on


def _path(scope: Scope) -> str:
    """The path, also of a target in absolute form, which uvicorn passes on (RFC 9112, 3.2.2)."""
    path: str = scope["path"]
    return urlsplit(path).path if path.startswith("http://") else path
