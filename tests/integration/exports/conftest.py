"""The fixtures of tests of exports."""

from exports_fixtures import exports, ledger, no_waiting

__all__ = ["exports", "ledger", "no_waiting"]
