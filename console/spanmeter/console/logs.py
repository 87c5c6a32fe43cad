"""Where the log goes: standard error, so that standard output stays readable by scripts."""

import logging
import sys


def log_to_stderr(level: str) -> None:
    """Log this level and above, a line each with time, level and module."""
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(stream=sys.stderr, level=level.upper(), format=form)
