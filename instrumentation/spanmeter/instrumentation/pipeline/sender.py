"""The thread that delivers: this process's records, and those of processes that died."""

import logging
import threading
import time
from contextvars import Context
from typing import Final

from opentelemetry.instrumentation.utils import suppress_instrumentation

from spanmeter.instrumentation.pipeline.adopted import LOOK_EVERY, Adopted
from spanmeter.instrumentation.pipeline.batch import MAX_RECORDS
from spanmeter.instrumentation.pipeline.dead_letters import bury
from spanmeter.instrumentation.pipeline.delivery import Delivery, PutOff, Tally
from spanmeter.instrumentation.pipeline.destination import Destination
from spanmeter.instrumentation.pipeline.directory import Directory
from spanmeter.instrumentation.pipeline.outbox import Outbox
from spanmeter.instrumentation.pipeline.rarely import Rarely

LINGER: Final = 0.5
"""Seconds that a record waits for others, to be sent with them."""
IDLE: Final = 1.0
"""Seconds without a record after which the connection is closed: an open one keeps a collector that
wants to stop waiting, and nobody here would notice that it does."""
_AFTER_SURPRISE: Final = 1.0

_logger: Final = logging.getLogger(__name__)


class Sender:
    """Delivers what is in an outbox. Its thread starts with the first record; there is one sender per
    process, so after a fork there is a new one."""

    def __init__(
        self, outbox: Outbox, directory: Directory | None, destination: Destination | str
    ) -> None:
        """The destination, or why there is none."""
        self._outbox = outbox
        self._directory = directory
        # Without a destination, what others have left stays for those who have one.
        adopts = directory is not None and not isinstance(destination, str)
        self._adopted = Adopted(directory, outbox.paths) if directory and adopts else None
        self._delivery = Delivery(destination, self._wait)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        # Set for whoever waits for records, and for whoever waits to try again.
        self._called, self._hurry = threading.Event(), threading.Event()
        self._progress = threading.Condition()
        self._flushing = self._stopping = False
        # Held by whoever delivers without the thread, who then gives up at the first failure.
        self._here = threading.Lock()
        self._complaints = Rarely()

    @property
    def tally(self) -> Tally:
        return self._delivery.tally

    @property
    def adopted(self) -> int:
        """How many records of other processes were delivered."""
        return self._adopted.records if self._adopted else 0

    def notice(self, waiting: int) -> None:
        """A record was kept; so many wait now."""
        if self._thread is None:
            self._start()
        if waiting == 1 or waiting == MAX_RECORDS:  # noqa: PLR1714 (a set is made each time)
            self._called.set()

    def look(self) -> None:
        """Delivers what others have left, before there is a record of this process."""
        self._start()

    def flush(self, timeout: float, *, until_failure: bool = False) -> bool:
        """Delivers at once what there is; whether the collector has it after `timeout` seconds at
        most. With `until_failure` it is left at the first that fails."""
        target, failed_before = self._outbox.kept, self._not_delivered()
        deadline = time.monotonic() + timeout

        def is_over() -> bool:
            return self._is_delivered(target) or (until_failure and self.tally.failure is not None)

        self._flushing = True
        self._hurry.set()
        self._called.set()
        if not self._is_delivered(target) and not self._start():
            self._deliver_here(target, deadline)
        with self._progress:
            self._progress.wait_for(is_over, deadline - time.monotonic())
        return self._is_delivered(target) and self._not_delivered() == failed_before

    def stop(self, timeout: float) -> None:
        """Ends the thread, after the request that is under way or `timeout` seconds."""
        self._stopping = True
        self._hurry.set()
        self._called.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def abandon(self) -> None:
        """After a fork, in the child: lets go of what is the parent's."""
        self._delivery.close()
        if self._adopted:
            self._adopted.abandon()

    def _is_delivered(self, target: int) -> bool:
        return self._outbox.settled >= target and self._outbox.all_told

    def _not_delivered(self) -> int:
        return self._outbox.dropped + self.tally.dead

    def _start(self) -> bool:
        """Whether the thread runs; none can be started once the interpreter shuts down."""
        with self._starting:
            if self._thread is None and not self._stopping:
                thread = threading.Thread(
                    # In a context of its own: it must not keep the identity of the first caller.
                    target=Context().run,
                    args=(self._run,),
                    name="spanmeter-sender",
                    daemon=True,
                )
                try:
                    thread.start()
                except RuntimeError:
                    return False
                self._thread = thread
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        # The requests are no work of the application's, and nothing that it should see in its traces.
        with suppress_instrumentation():
            while not self._stopping:
                self._called.clear()
                if not self._step():
                    self._be_idle()
        self._delivery.close()
        if self._adopted:
            self._adopted.close()

    def _be_idle(self) -> None:
        if not self._called.wait(min(IDLE, self._rest())) and not self._outbox.waiting:
            self._delivery.close()
            self._called.wait(self._rest())

    def _step(self) -> bool:
        """Delivers one batch of ours and one of others; whether there was any."""
        try:
            ours = self._is_ripe() and self._deliver(self._outbox)
            self._flushing = self._flushing and ours
            adopted = None if self._stopping else self._adopted
            return (adopted is not None and self._deliver(adopted)) or ours
        except PutOff:
            return True
        except Exception as error:  # noqa: BLE001 - the thread must not die of it
            self._complaints.log(
                _logger, "delivering usage records failed and is tried again: %r", error
            )
            self._wait(_AFTER_SURPRISE)
            return True
        finally:
            with self._progress:
                self._progress.notify_all()

    def _deliver(self, source: Outbox | Adopted) -> bool:
        batch = source.take()
        if batch is None:
            return False
        try:
            refusals = self._delivery.deliver(batch, self._outbox.to_disk)
        except Exception:
            source.put_back(batch)
            raise
        if refusals:
            lost = bury(self._directory, batch, refusals)
            self.tally.dead += len(refusals) - lost
            self._outbox.drop(lost)
        source.settle(batch)
        return True

    def _deliver_here(self, target: int, deadline: float) -> None:
        """Delivers without a thread, until something fails or it is time to stop."""
        with self._here, suppress_instrumentation():
            while not self._is_delivered(target) and self._step():
                if self.tally.failure is not None or time.monotonic() >= deadline:
                    return

    def _is_ripe(self) -> bool:
        waiting = self._outbox.waiting
        return (
            self._flushing
            or waiting >= MAX_RECORDS
            or not self._outbox.all_told
            or (waiting > 0 and time.monotonic() - self._outbox.waiting_since >= LINGER)
        )

    def _rest(self) -> float:
        """Seconds until there may be something to do."""
        if not self._outbox.waiting:
            return LOOK_EVERY if self._adopted else 60.0
        # Never 0: records that the disk has lost wait for ever.
        return max(0.05, self._outbox.waiting_since + LINGER - time.monotonic())

    def _wait(self, seconds: float) -> bool:
        """Waits to try again, less long if somebody is in a hurry; whether to go on."""
        leaves = self._stopping or self._here.locked()
        self._hurry.wait(0.0 if leaves else seconds)
        self._hurry.clear()
        with self._progress:
            self._progress.notify_all()
        return not (self._stopping or leaves)
