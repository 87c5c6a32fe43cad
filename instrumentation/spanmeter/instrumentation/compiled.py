"""What is in C, where it was compiled: all of it is in Python too, and slower."""

import importlib
import os
from typing import Any


def compiled(module: str, revision: int) -> Any:
    """The module, if it was compiled and is wanted (`SPANMETER_PURE_PYTHON`); `None` where it was not, or where an
    earlier install has left one of another revision."""
    if os.environ.get("SPANMETER_PURE_PYTHON", "0") not in {"", "0"}:
        return None
    try:
        found = importlib.import_module(module)
    except ImportError:
        return None
    return found if revision == found.REVISION else None
