"""Where in the application a call was made: `app/billing.py:42`, for calls without a tenant."""

import os
import sys
import sysconfig
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
    library = f"{os.sep}{package}{os.sep}"
    for _ in range(_MAX_FRAMES):
        if frame is None:
            break
        file = frame.f_code.co_filename
        if not file.startswith(_NOT_APPLICATIONS) and not file.startswith((_OURS, "<")):
            return _shown(frame)
        if nearest is None and library not in file and not file.startswith((_OURS, "<")):
            nearest = frame
        frame = frame.f_back
    return _shown(nearest) if nearest is not None else "unknown"


def _shown(frame: FrameType) -> str:
    file = frame.f_code.co_filename
    here = os.getcwd() + os.sep  # noqa: PTH109 - at every unattributed call; a Path takes 10 us
    return f"{file.removeprefix(here)}:{frame.f_lineno}"
