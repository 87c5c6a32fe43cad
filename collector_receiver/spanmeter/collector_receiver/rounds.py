"""Work that is done again and again, beside the requests."""

import threading
from collections.abc import Callable


class Rounds:
    """A thread that does a round of work at once, and another each `interval` seconds. `work` must not raise."""

    def __init__(self, name: str, work: Callable[[], object], *, interval: float) -> None:
        self._work = work
        self._interval = interval
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"spanmeter-{name}", daemon=True)

    def start(self) -> None:
        """Begin the first round."""
        self._thread.start()

    def stop(self) -> None:
        """End after the round under way, which is not waited for: it is one of many."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._work()
            self._stopping.wait(self._interval)
