"""What a tenant owes for a period: a pure function of ledger, plans and grants."""
