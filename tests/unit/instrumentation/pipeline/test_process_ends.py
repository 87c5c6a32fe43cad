"""However a process ends, and whatever it forked: what it recorded is delivered."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from unit.instrumentation.pipeline.apps import PROGRAM, app, environment, ids, run
from unit.instrumentation.pipeline.making import pipeline
from unit.instrumentation.pipeline.making import record as record_one
from unit.instrumentation.pipeline.receivers import Receiver, grpc_receiver, http_receiver, plain


def deliver_the_rest(spool: Path, receiver: Receiver, expected: list[int]) -> None:
    """A later process of the service delivers what is left."""
    later = pipeline(spool, receiver.address)
    own = record_one(later)
    receiver.wait_for(lambda: {*expected, own} <= set(receiver.span_ids))
    later.shutdown()


AT_ONCE = [
    "exits",
    "raises",
    "a_late_thread",
    "forks",
    "multiprocessing_fork",
    "multiprocessing_spawn",
    "multiprocessing_forkserver",
]


@pytest.mark.parametrize("write_ahead", ["true", "false"])
@pytest.mark.parametrize("way", AT_ONCE)
def test_what_ends_in_order_has_delivered(
    way: str, write_ahead: str, spool: Path, collector: Receiver
) -> None:
    made = run(way, environment(spool, collector.address, SPANMETER_WRITE_AHEAD=write_ahead))
    assert len(made) >= 21
    # What was recorded after the pipeline's own exit handler is on disk.
    deliver_the_rest(spool, collector, made)
    assert len(set(collector.span_ids)) == len(made) + 1
    assert set(made[:20]) <= set(collector.span_ids)


@pytest.mark.parametrize("make_receiver", [grpc_receiver, http_receiver])
def test_a_fork_has_a_producer_of_its_own(make_receiver: type, spool: Path) -> None:
    with make_receiver() as receiver:
        protocol = "grpc" if make_receiver is grpc_receiver else "http/protobuf"
        made = run("forks", environment(spool, receiver.address, SPANMETER_PROTOCOL=protocol))
        receiver.wait_for(lambda: len(set(receiver.span_ids)) >= len(made) - 1)

        sequences: dict[object, set[object]] = {}
        processes: dict[object, set[object]] = {}
        for each in receiver.arrived:
            producer, attributes = each.resource["usage.producer.id"], plain(each.span.attributes)
            sequences.setdefault(producer, set()).add(attributes["usage.producer.sequence"])
            processes.setdefault(producer, set()).add(attributes["process"])
        assert len(sequences) == 5
        assert all(numbers == {*range(1, len(numbers) + 1)} for numbers in sequences.values())
        assert all(len(pids) == 1 for pids in processes.values())


@pytest.mark.parametrize("way", ["os_exit", "forks_and_vanishes"])
def test_what_vanishes_left_it_on_disk(way: str, spool: Path, collector: Receiver) -> None:
    with collector.away():
        made = run(way, environment(spool, collector.address))
    deliver_the_rest(spool, collector, made)
    assert sorted(set(collector.span_ids) & set(made)) == sorted(made)


@pytest.mark.parametrize("write_ahead", ["true", "false"])
@pytest.mark.parametrize("way", ["until_a_signal", "until_a_signal_in_a_server"])
def test_sigterm_delivers_first(
    way: str, write_ahead: str, spool: Path, collector: Receiver
) -> None:
    environ = environment(spool, collector.address, SPANMETER_WRITE_AHEAD=write_ahead)
    with app(way, environ) as process:
        assert process.stdout is not None
        before = "".join(iter(process.stdout.readline, "ready\n"))
        process.terminate()
        after = process.stdout.read()
        process.wait(60)
    assert process.returncode == -signal.SIGTERM, "it dies of the signal, as it would without us"
    made = ids(before + after)
    assert len(made) == 20
    assert sorted(collector.span_ids) == sorted(made)


def test_sigterm_while_the_collector_is_away_is_not_put_off_for_long(
    spool: Path, collector: Receiver
) -> None:
    environ = environment(spool, collector.address)
    with collector.away(), app("until_a_signal", environ) as process:
        assert process.stdout is not None
        made = ids("".join(iter(process.stdout.readline, "ready\n")))
        process.terminate()
        process.wait(10)
    deliver_the_rest(spool, collector, made)


@pytest.mark.parametrize("collectors", ["away", "there"])
def test_kill_9_loses_nothing_that_had_been_recorded(
    collectors: str, spool: Path, collector: Receiver
) -> None:
    made: list[int] = []
    with collector.away() if collectors == "away" else nullcontext():
        for _ in range(3):
            with app("forever", environment(spool, collector.address)) as process:
                assert process.stdout is not None
                lines = [process.stdout.readline() for _ in range(2000)]
                process.kill()
                made += ids("".join(lines) + process.stdout.read())
    assert len(made) >= 5900
    deliver_the_rest(spool, collector, made)
    assert len(set(made) - set(collector.span_ids)) == 0


def test_a_disk_that_is_full_is_in_nobodys_way(spool: Path, collector: Receiver) -> None:
    """No file may grow beyond 100 kB: a write fails, as on a full disk."""
    code = (
        "import resource, signal, runpy, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        f"sys.argv = ['app', 'exits', '1000']\n"
        f"runpy.run_path({str(PROGRAM)!r}, run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(spool, collector.address),
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    made = ids(done.stdout)
    deliver_the_rest(spool, collector, made)
    assert set(made) <= set(collector.span_ids)
    assert "Traceback" not in done.stderr
