"""The demo's programs: each in a process group of its own, its log in a file, always cleaned up."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

_POLL: Final = 0.05
_TAIL_LINES: Final = 15


@contextlib.contextmanager
def signals_held() -> Generator[None]:
    """Deliver SIGINT and SIGTERM after the block instead of in it.

    Whoever starts a program and notes that it runs does both in here: interrupted in between, it
    would leave the program behind.
    """
    held: list[int] = []
    before = {
        number: signal.signal(number, lambda number, frame: held.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for each in held:
        signal.raise_signal(each)


class ChildFailed(Exception):
    """A program of the demo failed. The message ends with the last lines of its log."""


class Child:
    """One running program. Leaving the context stops it and everything that it started."""

    def __init__(
        self, name: str, argv: Sequence[str], environ: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as output:
            # A session of its own: Ctrl-C reaches the demo alone, which then stops this.
            self._process = subprocess.Popen(
                argv,
                # Not the caller's directory: its modules are none of the demo's.
                cwd=log.parent,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(grace=5)

    def wait_for(self, pattern: str, timeout: float) -> str:
        """The first group of `pattern` as soon as the log holds it.

        Raises `ChildFailed` if the program ends, or `timeout` seconds pass, before that.
        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            # The exit is read before the log: output written just before it is still seen.
            ended = self._process.poll()
            if (found := re.search(pattern, self._output())) is not None:
                return found[1]
            if ended is not None:
                raise ChildFailed(f"{self.name} ended with exit code {ended}{self.tail()}")
            time.sleep(_POLL)
        raise ChildFailed(f"{self.name} was not ready after {timeout:.0f} s{self.tail()}")

    def finish(self, timeout: float) -> None:
        """Wait for the program's end. Raises `ChildFailed` unless it is exit code 0, in time."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ChildFailed(
                f"{self.name} did not finish in {timeout:.0f} s{self.tail()}"
            ) from None
        if code != 0:
            raise ChildFailed(f"{self.name} ended with exit code {code}{self.tail()}")

    def stop(self, grace: float) -> bool:
        """Ask the program to end; after `grace` seconds kill it. True if it ended by itself."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
        try:
            self._process.wait(grace)
            return True
        except subprocess.TimeoutExpired:
            return False
        finally:
            # Whatever the program left behind in its group goes with it.
            self._signal(signal.SIGKILL)
            self._process.wait()

    def tail(self) -> str:
        """The last lines of the log, introduced by its path; empty if nothing was written."""
        lines = self._output().splitlines()[-_TAIL_LINES:]
        return "\n    ".join([f"; the end of {self.log}:", *lines]) if lines else ""

    def _output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)
