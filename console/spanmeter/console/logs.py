"""Where the log goes: never to standard output, which stays readable by scripts."""

import logging
import sys
from pathlib import Path

_FORM = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def log_to_stderr(level: str) -> None:
    """Log this level and above to standard error."""
    logging.basicConfig(stream=sys.stderr, level=level.upper(), format=_FORM)


def log_to_file(path: Path) -> None:
    """Log all but debugging to a file, whose directory is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=path, level=logging.INFO, format=_FORM)
