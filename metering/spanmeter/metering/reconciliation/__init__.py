"""Reconciliation: what a provider billed beside what the ledger booked, and why they differ, to the last digit."""
