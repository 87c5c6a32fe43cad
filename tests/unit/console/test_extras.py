"""A missing optional part is one sentence that can be pasted into a shell."""

import pytest

from spanmeter.console import extras
from spanmeter.console.failures import MissingExtra


def test_what_is_installed_is_accepted() -> None:
    extras.require("spanmeter up", "collector", "embedded", "demo", "otlp-grpc")


@pytest.mark.parametrize("module", ["no_such_module", "no_such_package.module"])
def test_what_is_missing_names_every_extra_of_the_command(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(extras.PROBES, "embedded", (module,))
    with pytest.raises(MissingExtra) as failure:
        extras.require("spanmeter up", "collector", "embedded")
    assert str(failure.value) == (
        "spanmeter up is not in the base install: pip install 'spanmeter[collector,embedded]'"
    )
    assert failure.value.exit_code == 2
