"""The rates of the ledger, kept between requests until somebody approves another."""

import threading

from spanmeter.console.rates_known import RatesKnown, rates_known
from spanmeter.storage.connection import Connection
from spanmeter.storage.rates import State, read_state


class RatesHeld:
    """Read once for each approval, since a catalogue has thousands. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: tuple[State, RatesKnown] | None = None

    def read(self, connection: Connection) -> RatesKnown:
        """The rates as of this connection's snapshot. Raises DatabaseUnavailable."""
        state = read_state(connection)
        with self._lock:
            if self._held is None or self._held[0] != state:
                self._held = (state, rates_known(connection))
            return self._held[1]
