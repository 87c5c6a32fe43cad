"""Alerts at work: rounds that look for what the rules ask, and messages to those who are to know."""
