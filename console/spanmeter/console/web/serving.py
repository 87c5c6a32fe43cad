"""The console as a server: on a socket that is bound already, until a signal or until whoever started it is gone."""

import logging
import socket
import ssl
import sys
import threading

import uvicorn

from spanmeter.collector_receiver.http_server import BACKLOG, IDLE, ImpatientProtocol
from spanmeter.console.web.app import console_app
from spanmeter.console.web.settings import GRACE, ConsoleSettings

logger = logging.getLogger(__name__)


def serve(
    settings: ConsoleSettings,
    listening: socket.socket,
    *,
    tls: ssl.SSLContext | None = None,
    parent_alive: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM; with `parent_alive`, no longer than standard input is open.

    To be called from the main thread.
    """
    config = uvicorn.Config(
        console_app(settings),
        http=ImpatientProtocol,
        ws="none",
        access_log=False,  # a tenant's page has its token in the address
        log_config=None,
        server_header=False,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=GRACE,
    )
    config.load()
    config.ssl = tls
    server = uvicorn.Server(config)
    if parent_alive:
        threading.Thread(target=_end_with_parent, args=[server], daemon=True).start()
    listening.listen(BACKLOG)
    server.run(sockets=[listening])


def _end_with_parent(server: uvicorn.Server) -> None:
    sys.stdin.buffer.read()
    logger.info("what started the console is gone")
    server.should_exit = True
