"""Budgets: limits on what a scope may use in a window of time; pure arithmetic, without any I/O."""
