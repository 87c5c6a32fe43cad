"""Budgets, kept inside the application: a call that does not fit is stopped before it is made.

The collector lends this process parts of what is left. A call takes an estimate of what it will use from that, in
microseconds, and gives back what it did not use once the provider has said how much it was.
"""
