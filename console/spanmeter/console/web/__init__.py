"""The HTTP API and the pages: what operators and tenants see of the ledger."""
