"""The connection under one answer: write, wait while the client is there, cut."""

import asyncio
import math
from collections.abc import Mapping
from typing import Any

from starlette.types import Send


class Connection:
    """What an answer does to its HTTP connection."""

    def __init__(
        self,
        send: Send,
        transport: asyncio.Transport,
        client_left: asyncio.Task[Any],
        stopping: asyncio.Task[Any],
    ) -> None:
        self._send = send
        self._transport = transport
        self._client_left = client_left
        self._ends = (client_left, stopping)

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Write the status line and the headers."""
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def write(self, data: bytes) -> None:
        """Write a piece of the body, at once."""
        if data:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self, data: bytes) -> None:
        """Write the last piece and end the answer in order."""
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def pause(self, seconds: float) -> bool:
        """Wait; False as soon as the client has left or the provider stops."""
        done, _ = await asyncio.wait(
            self._ends,
            timeout=None if seconds == math.inf else seconds,
            return_when=asyncio.FIRST_COMPLETED,
        )
        return not done

    async def silence(self) -> None:
        """Say nothing until the client leaves or the provider stops."""
        await self.pause(math.inf)

    async def cut(self) -> None:
        """Close the connection, after what was written, with the answer unfinished."""
        self._transport.close()
        await self._client_left
