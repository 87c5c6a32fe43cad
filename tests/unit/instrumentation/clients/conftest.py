"""What the tests of single client libraries share."""

from __future__ import annotations

import pytest


@pytest.fixture
def nothing_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the client library itself say who serves, and not trace what it does."""
    monkeypatch.delenv("SPANMETER_PROVIDER_HOSTS", raising=False)
    monkeypatch.delenv("MISTRAL_SDK_TELEMETRY", raising=False)
