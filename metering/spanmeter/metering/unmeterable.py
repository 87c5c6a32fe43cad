"""The one error of metering: an LLM call's span that cannot be booked as it stands."""


class Unmeterable(ValueError):
    """A span that cannot be metered. Its sender is told, and the span is kept for replay.

    `reason` is a short code to group by (`bad_count`, `bad_time` …), `detail` one sentence that names
    the attribute and what was wrong with it.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
