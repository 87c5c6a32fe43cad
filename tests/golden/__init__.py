"""Other libraries' tracing at work: each emitter in an environment of its own, calling the local provider."""
