"""Billing systems on this machine: each enforces what the real one documents, and fails when it is told to."""
