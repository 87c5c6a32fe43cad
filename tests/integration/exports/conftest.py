"""The fixtures of tests of exports."""

from exports_fixtures import exports, ledger

__all__ = ["exports", "ledger"]
