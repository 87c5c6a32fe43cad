"""The demo's children, as real processes."""

import os
import signal
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from spanmeter.console.demo.processes import Child, ChildFailed, signals_held

Start = Callable[[str], Child]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    def start(program: str) -> Child:
        return Child("the child", [sys.executable, "-uc", program], os.environ, tmp_path / "log")

    return start


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended and waits for its parent's attention does not."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_a_child_is_ready_when_its_log_says_so(start: Start) -> None:
    with start("print('listening on port 4317'); import time; time.sleep(60)") as child:
        assert child.wait_for(r"port (\d+)", timeout=10) == "4317"


def test_a_child_that_ends_before_it_is_ready_shows_the_end_of_its_log(start: Start) -> None:
    with start("raise SystemExit('no such thing')") as child, pytest.raises(ChildFailed) as failure:
        child.wait_for("never", timeout=10)
    assert str(failure.value) == (
        f"the child ended with exit code 1; the end of {child.log}:\n    no such thing"
    )


def test_a_child_that_is_not_ready_in_time_is_a_failure(start: Start) -> None:
    with (
        start("import time; time.sleep(60)") as child,
        pytest.raises(ChildFailed, match="not ready"),
    ):
        child.wait_for("never", timeout=0.2)


def test_finish_wants_exit_code_0_in_time(start: Start) -> None:
    with start("pass") as child:
        child.finish(timeout=10)
    with start("raise SystemExit(3)") as child, pytest.raises(ChildFailed, match="exit code 3"):
        child.finish(timeout=10)
    with start("import time; time.sleep(60)") as child, pytest.raises(ChildFailed, match="did not"):
        child.finish(timeout=0.2)


def test_a_child_is_asked_to_end_before_it_is_killed(start: Start) -> None:
    polite = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit('bye'))"
    with start(f"{polite}; print('ready now'); time.sleep(60)") as child:
        child.wait_for("ready (now)", timeout=10)
        assert child.stop(grace=10) is True
        assert "bye" in child.tail()


@pytest.fixture
def interruptible() -> Generator[None]:
    """As in a terminal; a shell starts what runs in its background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_signal_waits_until_a_started_child_is_noted() -> None:
    noted: list[str] = []

    def interrupted_between() -> None:
        with signals_held():
            signal.raise_signal(signal.SIGINT)
            noted.append("after the signal")

    with pytest.raises(KeyboardInterrupt):
        interrupted_between()
    assert noted == ["after the signal"]
    with pytest.raises(KeyboardInterrupt):  # and the next one is not held any more
        signal.raise_signal(signal.SIGINT)


def test_what_ignores_the_request_is_killed_with_all_that_it_started(start: Start) -> None:
    stubborn = "import os, signal, time; signal.signal(15, signal.SIG_IGN); pid = os.fork()"
    with start(f"{stubborn}; print('grandchild', pid) if pid else 0; time.sleep(60)") as child:
        grandchild = int(child.wait_for(r"grandchild (\d+)", timeout=10))
        assert alive(grandchild)
        assert child.stop(grace=0.2) is False
    # A signal is on its way when `kill` returns; a busy machine delivers it a moment later.
    deadline = time.monotonic() + 10
    while alive(grandchild) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(grandchild)
