"""The ledger in TimescaleDB: schema and migrations, the writer, typed reads."""
