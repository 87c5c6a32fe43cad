"""Connections that are kept open between the requests of a server."""

import psycopg
from psycopg_pool import ConnectionPool as Pool
from psycopg_pool import PoolTimeout

from spanmeter.storage.connection import Connection, with_defaults
from spanmeter.storage.console_access import bound_session

ConnectionPool = Pool[Connection]

__all__ = ["ConnectionPool", "PoolTimeout", "connection_pool"]


def connection_pool(conninfo: str, *, most: int) -> ConnectionPool:
    """Up to `most` connections in autocommit, none of which asks for long; to be opened by the caller.

    A database that is away is tried again in the background; who waits five seconds gets PoolTimeout. Raises
    StorageError when `conninfo` is malformed.
    """
    return Pool(
        with_defaults(conninfo),
        connection_class=psycopg.Connection,
        kwargs={"autocommit": True},
        min_size=1,
        max_size=most,
        timeout=5,
        max_idle=120,
        configure=bound_session,
        check=Pool.check_connection,
        open=False,
        name="spanmeter-console",
    )
