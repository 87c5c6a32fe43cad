"""Serving budgets: applications learn what they are, and are lent parts of what is left."""
