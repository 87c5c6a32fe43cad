"""OTLP in: decode, normalise, cost, commit, and only then acknowledge."""
