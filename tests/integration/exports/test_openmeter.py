"""OpenMeter: what is not known to have arrived is looked for, since it may not know a duplicate."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from billing.openmeter import KEY, OpenMeterServer
from billing.server import Fault, Reply, served
from exports_fixtures import START, Exports, ledger_totals, values

TARGET = """
[billing]
kind = "openmeter"
address = "{url}"
key_env = "OPENMETER_KEY"
since = {since}
wait = "0m"
{more}

[[billing.meters]]
name = "tokens"
measure = "input_tokens"
"""

LOOKS = 'visible_after = "0m"'
KNOWS = "deduplicates = true"


pytestmark = pytest.mark.usefixtures("no_waiting")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Generator[OpenMeterServer]:
    monkeypatch.setenv("OPENMETER_KEY", KEY)
    found = OpenMeterServer()
    with served(found):
        yield found


def configure(exports: Exports, server: OpenMeterServer, more: str) -> None:
    exports.configure(TARGET.format(url=server.url, since=f"{START:%Y-%m-%d}", more=more))


FAULTS = [Fault("after"), Fault("after", Reply(500)), Fault("before"), Fault("before", Reply(429))]


@pytest.mark.parametrize("more", [LOOKS, KNOWS])
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_is_made_good_whether_it_knows_duplicates_or_not(
    exports: Exports, server: OpenMeterServer, more: str, fault: Fault
) -> None:
    server.deduplicates = more == KNOWS
    configure(exports, server, more)
    server.faults.append(fault)

    exports.ran()

    assert values(server.totals(), "tokens") == ledger_totals(exports.dsn)
    assert "to the last digit" in exports("status").stdout


def test_what_may_not_be_listed_yet_is_not_sent_again(
    exports: Exports, server: OpenMeterServer
) -> None:
    configure(exports, server, 'visible_after = "5m"')
    server.faults.append(Fault("before"))

    done = exports("run")

    assert done.exit_code == 1
    assert server.events == []
    assert set(exports.states()) == {"ambiguous"}
    assert exports.status()["tokens"]["open"] == sum(ledger_totals(exports.dsn).values())


def test_what_somebody_found_out_is_noted(exports: Exports, server: OpenMeterServer) -> None:
    configure(exports, server, 'visible_after = "5m"')
    server.faults.append(Fault("before"))
    exports("run")
    first, *others = (row["id"] for row in exports.listed("show", "billing")["rows"])

    assert exports("retry", "billing", first, "--delivered").exit_code == 0
    for each in others:
        assert exports("retry", "billing", each, "--not-delivered").exit_code == 0
    again = exports("retry", "billing", first, "--delivered")
    assert (again.exit_code, "is confirmed" in again.output) == (1, True)
    exports.ran()

    assert len(server.events) == len(others)
