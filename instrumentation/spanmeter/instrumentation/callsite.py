"""Where in the application a call was made: `app/billing.py:42`, for calls without a tenant."""

import os
import sys
import sysconfig
from enum import Enum, auto
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Final

from spanmeter.instrumentation.guard import guarded

_OURS: Final = str(Path(__file__).parent) + os.sep
_NOT_APPLICATIONS: Final = tuple(
    {
        sysconfig.get_path(name) + os.sep
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
        if sysconfig.get_path(name)
    }
)
_MAX_FRAMES: Final = 64


@guarded
def callsite(package: str) -> str:
    """`file:line` of the nearest frame that is neither ours, nor the standard library's, nor an
    installed package's.

    The file is relative to the working directory where it lies within. Without such a frame (a
    script run from an installed package) it is the nearest one outside of the client library
    `package`.
    """
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - the public way builds the whole stack
    nearest: FrameType | None = None
    for _ in range(_MAX_FRAMES):
        if frame is None:
            break
        whose = _whose(frame.f_code.co_filename, package)
        if whose is Whose.APPLICATION:
            return _shown(frame)
        if nearest is None and whose is Whose.PACKAGE:
            nearest = frame
        frame = frame.f_back
    return _shown(nearest) if nearest is not None else "unknown"


class Whose(Enum):
    """Who wrote a file."""

    APPLICATION = auto()
    PACKAGE = auto()
    CLIENT_LIBRARY = auto()


# The same files are asked about at every call.
@lru_cache(maxsize=4096)
def _whose(file: str, package: str) -> Whose:
    """Who wrote a file; what we did is taken for the client library `package`'s."""
    if file.startswith((_OURS, "<")):
        return Whose.CLIENT_LIBRARY
    if not file.startswith(_NOT_APPLICATIONS):
        return Whose.APPLICATION
    library = f"{os.sep}{package}{os.sep}"
    return Whose.CLIENT_LIBRARY if library in file else Whose.PACKAGE


def _shown(frame: FrameType) -> str:
    file = frame.f_code.co_filename
    here = os.getcwd() + os.sep  # noqa: PTH109 - at every unattributed call; a Path takes 10 us
    return f"{file.removeprefix(here)}:{frame.f_lineno}"
