"""Providers' bills: one file for each provider that says how its reports are read."""
