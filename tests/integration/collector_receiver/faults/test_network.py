"""F16: the network is slow, silent, or breaks in the middle of an answer."""

from __future__ import annotations

import http.client
import random
import time
from pathlib import Path

import grpc
import pytest

from booking import query
from load import Batch, Load, assert_sums, audit, awaited, batch
from receivers import Receivers
from spanmeter.collector_receiver import CollectorSettings
from tcp_proxy import Proxy


def test_fault_16_answers_cut_in_the_middle_over_grpc(dsn: str, receivers: Receivers) -> None:
    receiver = receivers.start(CollectorSettings(dsn=dsn, grpc="127.0.0.1:0"))
    with Proxy(receiver.address) as proxy:
        load = Load(proxy.address)
        with load.running():
            for _ in range(5):
                load.wait_for(20)
                proxy.answers_to_cut += 2
                awaited(lambda: not proxy.answers_to_cut)
            load.wait_for(100)

    assert proxy.cut == 10
    assert load.refusals.keys() == {grpc.StatusCode.UNAVAILABLE}
    assert load.acknowledged == load.sent
    audit(dsn, load)


def test_fault_16_answers_cut_in_the_middle_over_http(dsn: str, receivers: Receivers) -> None:
    receiver = receivers.start(CollectorSettings(dsn=dsn, grpc="127.0.0.1:0", http="127.0.0.1:0"))
    assert receiver.addresses.http is not None
    made = batch(50)
    with Proxy(receiver.addresses.http) as proxy:
        proxy.answers_to_cut = 3
        for _ in range(3):
            with pytest.raises((ConnectionError, http.client.HTTPException)):
                post(proxy.address, made)
        assert post(proxy.address, made) == 200

    assert query(dsn, "SELECT count(*) FROM usage_events") == [(50,)]
    assert_sums(dsn, made.calls)


def test_fault_16_a_network_that_takes_long(plain_dsn: str, receivers: Receivers) -> None:
    """Too long for the clients' deadline; what they send again was committed all the same."""
    receiver = receivers.start(CollectorSettings(dsn=plain_dsn, grpc="127.0.0.1:0"))
    with Proxy(receiver.address) as proxy:
        load = Load(proxy.address, clients=8, timeout=1)
        with load.running():
            load.wait_for(20)
            proxy.latency = 0.6
            awaited(lambda: load.refusals[grpc.StatusCode.DEADLINE_EXCEEDED])
            proxy.latency = 0.05
            load.wait_for(200)

    assert load.acknowledged == load.sent
    audit(plain_dsn, load)


def test_fault_16_a_network_that_swallows_everything_for_a_while(
    plain_dsn: str, receivers: Receivers, tmp_path: Path
) -> None:
    receiver = receivers.start(
        CollectorSettings(dsn=plain_dsn, grpc="127.0.0.1:0", journal=tmp_path)
    )
    with Proxy(receiver.address) as proxy:
        load = Load(proxy.address, timeout=1)
        with load.running():
            load.wait_for(100)
            proxy.black_hole()
            awaited(lambda: load.refusals[grpc.StatusCode.DEADLINE_EXCEEDED] >= 4)
            proxy.heal()
            load.wait_for(100)

    assert load.acknowledged == load.sent
    awaited(lambda: query(plain_dsn, "SELECT count(*) FROM usage_events") == [(len(load.sent),)])
    audit(plain_dsn, load)


def test_fault_16_the_network_between_the_receiver_and_the_database(
    plain_dsn: str, receivers: Receivers
) -> None:
    """It falls silent at any moment of a transaction, the commit itself included, and then breaks."""
    server, _, database = plain_dsn.rpartition("/")
    with Proxy(server.rpartition("@")[2]) as proxy:
        dsn = f"{server.rpartition('@')[0]}@{proxy.address}/{database}"
        receiver = receivers.start(CollectorSettings(dsn=dsn, grpc="127.0.0.1:0"))
        load = Load(receiver.address)
        with load.running():
            for _ in range(4):
                load.wait_for(50)
                proxy.hold_answers()
                time.sleep(random.uniform(0, 0.3))
                proxy.break_connections()
                proxy.heal()
            load.wait_for(100)

    assert load.refusals.keys() <= {grpc.StatusCode.UNAVAILABLE}
    assert load.acknowledged == load.sent
    audit(plain_dsn, load)


def post(address: str, made: Batch) -> int:
    """Send a batch over HTTP; the status."""
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        headers = {"content-type": "application/x-protobuf"}
        connection.request("POST", "/v1/traces", made.body, headers)
        return connection.getresponse().status
    finally:
        connection.close()
