"""Fixtures for all tests come from small plugins; this file only names them."""

pytest_plugins = ["databases.fixtures"]
