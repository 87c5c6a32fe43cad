"""The console beside a collector, as a process of its own: `python -m spanmeter.console.web FD`.

The first line of standard input is what it is told, as JSON: no secret is in its arguments or environment. It ends
when standard input does.
"""

import json
import socket
import sys
from pathlib import Path
from typing import Any

from spanmeter.collector_receiver.tls import Tls
from spanmeter.console.logs import log_to_stderr
from spanmeter.console.web.serving import serve
from spanmeter.console.web.settings import ConsoleSettings


def main(descriptor: int) -> None:
    """Serve on the socket of this descriptor."""
    told: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    log_to_stderr(told["log_level"], told["log_format"])
    settings = ConsoleSettings(
        **told["settings"]
        | {
            "logo": None if told["settings"]["logo"] is None else Path(told["settings"]["logo"]),
            "frame_ancestors": tuple(told["settings"]["frame_ancestors"]),
            "secrets": tuple(told["settings"]["secrets"]),
        }
    )
    files = told["tls"]
    tls = None if files is None else Tls(certificate=Path(files[0]), key=Path(files[1])).context()
    serve(settings, socket.socket(fileno=descriptor), tls=tls, parent_alive=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
