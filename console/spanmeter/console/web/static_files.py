"""Styles, scripts and fonts: all of them ours to serve, since no page asks any other host."""

from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Final

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_DIRECTORY: Final = Path(str(files("spanmeter.console.web").joinpath("static")))


class _Lasting(StaticFiles):
    """Files that a browser keeps: their address changes with what is in them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def static_files() -> StaticFiles:
    """The application that serves them."""
    return _Lasting(directory=_DIRECTORY)


@cache
def address_of(name: str) -> str:
    """Where a page finds the file: with the beginning of its digest."""
    digest = sha256((_DIRECTORY / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?{digest}"
