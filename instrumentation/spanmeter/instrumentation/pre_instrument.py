"""What `opentelemetry-instrument` runs when the application's tracer provider is there, and before any
instrumentation is: the entry point of the group `opentelemetry_pre_instrument`."""


def pre_instrument() -> None:
    """Has the spans of others metered. Never raises: no instrumentation would be loaded after it."""
    try:
        from spanmeter.instrumentation.harvest.attaching import harvest

        harvest()
    except Exception:
        import logging

        logging.getLogger("spanmeter.instrumentation").exception(
            "the spans of other instrumentations are not metered"
        )
