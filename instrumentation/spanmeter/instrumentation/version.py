"""The version of the installed distribution, which is the version of our instrumentation scopes."""

from importlib.metadata import PackageNotFoundError, version
from typing import Final


def _installed_version() -> str:
    try:
        return version("spanmeter")
    except PackageNotFoundError:  # a source tree on the path, not installed
        return "0"


VERSION: Final = _installed_version()
