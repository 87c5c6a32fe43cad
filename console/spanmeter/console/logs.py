"""Where the log goes: never to standard output, which stays readable by scripts."""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

TEXT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonLines(logging.Formatter):
    """One JSON object per record, on one line: time (UTC), level, logger, process, message, exception if any."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        said = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


FORMATTERS: Final[Mapping[str, logging.Formatter]] = {
    "text": logging.Formatter(TEXT),
    "json": JsonLines(),
}


def log_to_stderr(level: str, form: str = "text") -> None:
    """Log this level and above to standard error, in one of `FORMATTERS`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FORMATTERS[form])
    logging.basicConfig(level=level.upper(), handlers=[handler])


def log_to_file(path: Path) -> None:
    """Log all but debugging to a file, whose directory is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=path, level=logging.INFO, format=TEXT)
