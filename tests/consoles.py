"""A console that serves for a test, and requests to it."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

from spanmeter.collector_receiver.http_server import ImpatientProtocol, bound
from spanmeter.console.web.app import console_app
from spanmeter.console.web.settings import ConsoleSettings


@contextmanager
def serving(settings: ConsoleSettings) -> Generator[str]:
    """The console on a free port of this machine; its URL."""
    sock = bound("127.0.0.1:0", shared=False)
    sock.listen()
    config = uvicorn.Config(
        console_app(settings), http=ImpatientProtocol, log_config=None, access_log=False, ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        sock.close()


class Client:
    """Requests to one console with one credential, or none."""

    def __init__(self, url: str, credential: str | None = None) -> None:
        headers = {} if credential is None else {"Authorization": f"Bearer {credential}"}
        # Nothing is kept open, so that nothing has to be closed.
        self._client = httpx.Client(
            base_url=url,
            headers=headers,
            trust_env=False,
            timeout=30,
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def get(self, path: str, **headers: str) -> httpx.Response:
        """The answer to GET."""
        return self._client.get(path, headers=headers)

    def send(self, method: str, path: str, body: object = None) -> httpx.Response:
        """The answer to a request with a JSON body, if any."""
        return self._client.request(method, path, json=body)

    def submit(self, path: str, fields: Mapping[str, str], **headers: str) -> httpx.Response:
        """The answer to a form, as a page of the console sends it unless `headers` say otherwise."""
        origin = {"Origin": str(self._client.base_url).rstrip("/")}
        return self._client.post(path, data=dict(fields), headers={**origin, **headers})

    def data(self, path: str) -> list[dict[str, Any]]:
        """All rows of a listing, page by page."""
        rows: list[dict[str, Any]] = []
        following: str | None = path
        while following is not None:
            answer = self.get(following)
            assert answer.status_code == 200, answer.text
            told = answer.json()
            rows += told["data"]
            following = told.get("next")
        return rows
